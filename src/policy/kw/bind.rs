//! The `bind` row and the rows of its options, shared with `stats socket`.
//!
//! One line makes one listener per address and port; its options may stand in any order and hold for all of them.
//! Source: configuration manual, chapter 5.1 ("Bind options"); messages are those of HAProxy 3.4.0.

use std::rc::Rc;
use std::sync::Arc;

use super::proxy::check_guid;
use super::thread_set::{ThreadSet, Threads, read_thread_set};
use super::words::{Fault, Words, octal};
use super::{row, whole_int};
use crate::base::addr::{Addr, Ports, Target};
use crate::conf::addr::{AddrError, Rules, parse_list};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag, Form, nearest};
use crate::conf::row::{Arity, Keyword, Where};
use crate::model::listener::{Level, Listener, SeverityOutput, V6Only};
use crate::model::proxy::Mode;
use crate::policy::draft::{BindDraft, Draft, MuxName, Side};
use crate::policy::host::{Host, PathKind};

/// Most listeners of one line: as many as one address has ports, twice.
const MAX_LISTENERS: usize = 131_072;

/// Where named network namespaces stand.
const NAMESPACES: &[u8] = b"/var/run/netns/";

/// `bind`: appends a `BindDraft` to `draft.proxy.binds`.
pub const ROWS: &[Keyword<Draft>] = &[row(
    "bind",
    Where::PROXY,
    Arity::ANY,
    bind,
    "addresses to listen on, separated by commas, and their options",
)];

/// One option of a `bind` or `stats socket` line.
pub struct BindOption {
    /// Its name.
    pub name: &'static str,
    read: fn(&mut BindLine<'_, '_>) -> Result<(), Fault>,
    /// What it does, with units.
    pub doc: &'static str,
}

const fn option(
    name: &'static str,
    read: fn(&mut BindLine<'_, '_>) -> Result<(), Fault>,
    doc: &'static str,
) -> BindOption {
    BindOption { name, read, doc }
}

/// The options, in alphabetical order.
pub const OPTIONS: &[BindOption] = &[
    option(
        "accept-netscaler-cip",
        later,
        "NetScaler client IP header before the data; not supported yet",
    ),
    option(
        "accept-proxy",
        accept_proxy,
        "a PROXY header, version 1 or 2, comes before the data",
    ),
    option("allow-0rtt", later, "TLS early data; not supported yet"),
    option("alpn", later, "protocols offered in TLS; not supported yet"),
    option("backlog", backlog, "connections that may wait to be accepted"),
    option(
        "ca-file",
        later,
        "authorities that may sign client certificates; not supported yet",
    ),
    option(
        "ca-ignore-err",
        later,
        "certificate errors to ignore; not supported yet",
    ),
    option(
        "ca-sign-file",
        later,
        "authority that signs generated certificates; not supported yet",
    ),
    option("ca-sign-pass", later, "its passphrase; not supported yet"),
    option(
        "ca-verify-file",
        later,
        "authorities to verify client certificates with; not supported yet",
    ),
    option("cc", congestion, "TCP congestion control algorithm"),
    option("ciphers", later, "TLS ciphers up to TLS 1.2; not supported yet"),
    option("ciphersuites", later, "TLS 1.3 cipher suites; not supported yet"),
    option(
        "client-sigalgs",
        later,
        "signature algorithms of client certificates; not supported yet",
    ),
    option(
        "crl-file",
        later,
        "certificates that are revoked; not supported yet",
    ),
    option("crt", later, "certificate of this listener; not supported yet"),
    option(
        "crt-ignore-err",
        later,
        "certificate errors to ignore; not supported yet",
    ),
    option("crt-list", later, "list of certificates; not supported yet"),
    option("curves", later, "TLS curves; not supported yet"),
    option(
        "default-crt",
        later,
        "certificate for unknown names; not supported yet",
    ),
    option(
        "defer-accept",
        defer_accept,
        "the kernel reports connections once data is there",
    ),
    option("ecdhe", later, "TLS curve; not supported yet"),
    option(
        "expose-fd",
        expose_fd,
        "descriptors that a runtime socket hands over: listeners; without effect until reloads hand sockets over",
    ),
    option("force-sslv3", later, "TLS version; not supported yet"),
    option("force-tlsv10", later, "TLS version; not supported yet"),
    option("force-tlsv11", later, "TLS version; not supported yet"),
    option("force-tlsv12", later, "TLS version; not supported yet"),
    option("force-tlsv13", later, "TLS version; not supported yet"),
    option(
        "generate-certificates",
        later,
        "certificates made as needed; not supported yet",
    ),
    option("gid", gid, "group number of the socket file"),
    option("group", group, "group of the socket file"),
    option(
        "guid-prefix",
        guid_prefix,
        "beginning of the listeners' global ids, which must be unique; nothing else uses them yet",
    ),
    option("id", id, "number of the listener in its proxy, from 1"),
    option(
        "idle-ping",
        later,
        "milliseconds before an idle HTTP/2 client is probed; not supported yet",
    ),
    option("interface", interface, "network interface to listen on"),
    option("ktls", later, "TLS in the kernel; not supported yet"),
    option("label", label, "name for grouping, kept for reports"),
    option(
        "level",
        level,
        "rights on a runtime socket: user, operator or admin",
    ),
    option("maxconn", maxconn, "connections at once, 0 for no limit"),
    option("mode", mode, "permissions of the socket file, in octal"),
    option(
        "mss",
        mss,
        "TCP segment size in bytes; negative: relative to the path's",
    ),
    option("name", name, "name of the listeners, for reports"),
    option("namespace", namespace, "network namespace to listen in"),
    option(
        "nbconn",
        later,
        "connections of a reverse HTTP listener; not supported yet",
    ),
    option(
        "nice",
        nice,
        "priority of the connections' tasks, -1024 to 1024; without effect: each stream gets a bounded part of every turn",
    ),
    option("no-alpn", later, "no protocols offered in TLS; not supported yet"),
    option(
        "no-ca-names",
        later,
        "no authority names sent in TLS; not supported yet",
    ),
    option("no-sslv3", later, "TLS version; not supported yet"),
    option("no-strict-sni", later, "TLS server names; not supported yet"),
    option("no-tls-tickets", later, "TLS tickets; not supported yet"),
    option("no-tlsv10", later, "TLS version; not supported yet"),
    option("no-tlsv11", later, "TLS version; not supported yet"),
    option("no-tlsv12", later, "TLS version; not supported yet"),
    option("no-tlsv13", later, "TLS version; not supported yet"),
    option("npn", later, "protocols offered in TLS; not supported yet"),
    option(
        "prefer-client-ciphers",
        later,
        "order of TLS ciphers; not supported yet",
    ),
    option("process", process, "gone from HAProxy: use thread"),
    option(
        "proto",
        proto,
        "protocol spoken by clients: h1, or none in TCP mode",
    ),
    option(
        "quic-cc-algo",
        later,
        "QUIC congestion control; not supported yet",
    ),
    option(
        "quic-force-retry",
        later,
        "QUIC address validation; not supported yet",
    ),
    option("quic-socket", later, "QUIC sockets; not supported yet"),
    option(
        "severity-output",
        severity_output,
        "severity before answers: none, number or string",
    ),
    option(
        "shards",
        shards,
        "number of sockets per address; one loop opens one",
    ),
    option("sigalgs", later, "TLS signature algorithms; not supported yet"),
    option("ssl", later, "TLS on this listener; not supported yet"),
    option("ssl-max-ver", later, "highest TLS version; not supported yet"),
    option("ssl-min-ver", later, "lowest TLS version; not supported yet"),
    option("strict-sni", later, "TLS server names; not supported yet"),
    option("tcp-md5sig", later, "TCP MD5 signatures; not supported yet"),
    option("tcp-ss", later, "the client's SYN is kept; not supported yet"),
    option(
        "tcp-ut",
        tcp_ut,
        "milliseconds before unacknowledged data ends a connection",
    ),
    option("tfo", tfo, "TCP Fast Open"),
    option(
        "thread",
        thread,
        "threads that accept; one loop serves whatever is asked for",
    ),
    option("tls-ticket-keys", later, "TLS tickets; not supported yet"),
    option("tls-tickets", later, "TLS tickets; not supported yet"),
    option(
        "transparent",
        transparent,
        "addresses that this host does not have may be bound",
    ),
    option("uid", uid, "user number of the socket file"),
    option("user", user, "user of the socket file"),
    option("v4v6", v4v6, "an IPv6 address also takes IPv4 clients"),
    option("v6only", v6only, "an IPv6 address takes IPv6 clients only"),
    option(
        "verify",
        later,
        "whether client certificates are verified; not supported yet",
    ),
];

/// What an option reads and changes.
struct BindLine<'a, 'c> {
    words: Words<'a, 'c>,
    host: &'a dyn Host,
    bind: &'a mut BindDraft,
    /// The other lines of the same proxy, for numbers given twice.
    others: &'a [BindDraft],
}

impl BindLine<'_, '_> {
    fn all(&mut self, change: impl Fn(&mut Listener)) -> Result<(), Fault> {
        self.bind.listeners.iter_mut().for_each(change);
        Ok(())
    }

    /// A number of 32 bits as C reads it; a missing one is refused.
    fn number(&mut self) -> Result<i32, Fault> {
        let word = self.words.word(|name| format!("'{name}' : missing value"))?;
        Ok(self.words.number(word) as i32)
    }
}

/// How the messages of a line begin.
#[derive(Clone, Copy)]
pub(super) enum Line<'a> {
    /// `bind`, in a section of that kind, with its address.
    Bind { section: &'a str, address: &'a str },
    /// `stats socket`.
    StatsSocket,
}

impl Line<'_> {
    fn option_refused(self, fault: Fault) -> Diag {
        let text = match self {
            Self::Bind { section, address } => {
                format!("'bind {address}' in section '{section}' : {}", fault.text)
            }
            Self::StatsSocket => format!("'stats socket' : '{}'", fault.text),
        };
        Diag::alert(fault.code, fault.span, text)
    }

    fn unknown_option(self, word: &Arg) -> Diag {
        let best = nearest(word.bytes(), OPTIONS.iter().map(|option| option.name));
        let text = match (self, best) {
            (Self::Bind { section, address }, Some(best)) => format!(
                "'bind {address}' in section '{section}': unknown keyword '{word}'; did you mean '{best}' maybe ?"
            ),
            (Self::Bind { section, address }, None) => {
                format!("'bind {address}' in section '{section}': unknown keyword '{word}'.")
            }
            (Self::StatsSocket, Some(best)) => {
                format!("'stats socket' : unknown keyword '{word}'. Did you mean '{best}' maybe ?")
            }
            (Self::StatsSocket, None) => format!("'stats socket' : unknown keyword '{word}'."),
        };
        Diag::alert(Code::UnknownKeyword, word.span(), text)
    }
}

fn bind(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    draft.proxy.not_in_defaults(cursor)?;
    draft.proxy.has_side(cursor, Side::Front, "bind", "");
    let Some(word) = cursor.next() else {
        let text = "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.";
        return Err(cursor.error_here(Code::MissingArgument, text));
    };
    let section = draft.proxy.kind.place().names().next().unwrap_or_default();
    let address = word.text();
    let prefix = draft.global.settings.unix_bind.prefix.clone().unwrap_or_default();
    let addrs = addresses(word, prefix.as_bytes(), draft).map_err(|error| {
        let span = word.span_of(error.at.start, error.at.end);
        Diag::alert(error.code, span, format!("'bind' : {}", error.text))
    })?;
    let mut bind = new_bind(cursor, word, addrs, draft);
    let defaults = &draft.global.settings.unix_bind;
    for listener in &mut bind.listeners {
        (listener.mode, listener.uid, listener.gid) = (defaults.mode, defaults.uid, defaults.gid);
    }
    let line = Line::Bind {
        section,
        address: &address,
    };
    let host = Rc::clone(&draft.host);
    read_options(cursor, line, &*host, &mut bind, &draft.proxy.binds)?;
    draft.proxy.binds.push(bind);
    Ok(())
}

/// The line before its options are read.
pub(super) fn new_bind(cursor: &ArgCursor<'_>, word: &Arg, addrs: Vec<Addr>, draft: &Draft) -> BindDraft {
    BindDraft {
        span: cursor.line_span(),
        arg: word.text().into_owned(),
        listeners: addrs
            .into_iter()
            .map(|addr| Listener::new(addr, draft.at.clone()))
            .collect(),
        mux: None,
        threads: ThreadSet::default(),
    }
}

/// The addresses of a line, names resolved and port ranges taken apart.
pub(super) fn addresses(word: &Arg, prefix: &[u8], draft: &Draft) -> Result<Vec<Addr>, AddrError> {
    let whole = 0..word.bytes().len();
    let mut list = Vec::new();
    for mut addr in parse_list(word.bytes(), &Rules::BIND, prefix, &draft.env)? {
        resolve_now(&mut addr, draft).map_err(|host| {
            let text = format!("invalid address: '{host}' in '{word}'");
            AddrError {
                code: Code::UnresolvedName,
                text,
                at: whole.clone(),
            }
        })?;
        if let Target::Fd(fd) | Target::SockPair(fd) = addr.target {
            inherited(fd, draft).map_err(|text| AddrError {
                code: Code::BadAddress,
                text,
                at: whole.clone(),
            })?;
        }
        let (low, high) = (addr.ports().low(), addr.ports().high());
        if list.len() + usize::from(high - low) >= MAX_LISTENERS {
            let text = format!("more than {MAX_LISTENERS} listeners on one line in '{word}'");
            return Err(AddrError {
                code: Code::OutOfRange,
                text,
                at: whole,
            });
        }
        match addr.target {
            Target::Ip { ip, .. } => list.extend((low..=high).map(|port| Addr {
                transport: addr.transport,
                target: Target::Ip {
                    ip,
                    ports: Ports::One(port),
                },
            })),
            _ => list.push(addr),
        }
    }
    Ok(list)
}

/// Checks an inherited descriptor while it is known to nobody else: what is opened later may get its number.
fn inherited(fd: i32, draft: &Draft) -> Result<(), String> {
    match draft.host.is_stream_socket(fd) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("socket on file descriptor '{fd}' is of the wrong type.")),
        Err(error) => Err(format!("cannot use file descriptor '{fd}' : {error}.")),
    }
}

/// Replaces a host name by its first address; gives the name back when it has none.
pub(super) fn resolve_now(addr: &mut Addr, draft: &Draft) -> Result<(), Box<str>> {
    if let Target::Name { host, family, ports } = &addr.target {
        let found = draft.host.resolve(host, *family, draft.global.no_getaddrinfo);
        let Some(&ip) = found.first() else {
            return Err(host.clone());
        };
        addr.target = Target::Ip { ip, ports: *ports };
    }
    Ok(())
}

/// Reads the options of a line up to its end.
pub(super) fn read_options(
    cursor: &mut ArgCursor<'_>,
    line: Line<'_>,
    host: &dyn Host,
    bind: &mut BindDraft,
    others: &[BindDraft],
) -> Result<(), Diag> {
    while let Some(word) = cursor.next() {
        let Some(option) = OPTIONS.iter().find(|option| word.is(option.name)) else {
            return Err(line.unknown_option(word));
        };
        let words = Words::new(cursor, word);
        let mut target = BindLine {
            words,
            host,
            bind,
            others,
        };
        (option.read)(&mut target).map_err(|fault| line.option_refused(fault))?;
    }
    let guids = bind
        .listeners
        .iter()
        .filter_map(|listener| listener.guid.as_ref());
    let bad = guids
        .map(|guid| check_guid(guid.as_bytes()))
        .find_map(Result::err);
    bad.map_or(Ok(()), |why| Err(guid_refused(bind, &why)))
}

/// The report when `proto` does not go with the proxy's mode, which is known once the section is complete.
/// `owner` is what messages call the proxy, for instance `frontend 'f'`.
pub fn check_mux(bind: &BindDraft, mode: Mode, owner: &str) -> Option<Diag> {
    let mux = bind.mux.filter(|mux| mux.mode() != mode)?;
    let at = &bind.listeners.first()?.declared;
    let text = format!(
        "{owner} : MUX protocol '{}' is not usable for 'bind {}' at [{}:{}].",
        mux.name(),
        bind.arg,
        at.file,
        at.line
    );
    Some(Diag::alert(Code::Conflict, bind.span, text).with_form(Form::Bare))
}

/// The report when `thread` names no thread that exists.
pub fn check_threads(bind: &BindDraft, threads: Threads, owner: &str) -> Option<Diag> {
    let refusal = bind.threads.refusal(threads)?;
    let at = &bind.listeners.first()?.declared;
    let text = format!(
        "{owner}: {refusal} in 'bind {}' at [{}:{}].",
        bind.arg, at.file, at.line
    );
    Some(Diag::alert(Code::OutOfRange, bind.span, text).with_form(Form::Bare))
}

fn later(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    Err(line.words.not_supported(&format!("'{}'", line.words.name)))
}

fn accept_proxy(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.all(|listener| listener.accept_proxy = true)
}

fn backlog(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let value = line.number()?;
    let Ok(count) = u32::try_from(value) else {
        return Err(line
            .words
            .named_fault(Code::OutOfRange, format!("invalid value {value}, must be > 0")));
    };
    line.all(|listener| listener.backlog = (count > 0).then_some(count))
}

fn congestion(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let name: Arc<str> = line
        .words
        .text("missing TCP congestion control algorithm")?
        .into();
    line.all(|listener| listener.cc = Some(Arc::clone(&name)))
}

fn defer_accept(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.all(|listener| listener.defer_accept = true)
}

fn expose_fd(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let word = line.words.word(|name| format!("'{name}' : missing fd type"))?;
    if !word.is("listeners") {
        let text = format!("'{}' only supports 'listeners' (got '{word}')", line.words.name);
        return Err(line.words.fault(Code::BadChoice, text));
    }
    line.all(|listener| listener.expose_fd_listeners = true)
}

fn gid(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let value = line.number()? as u32;
    line.all(|listener| listener.gid = Some(value))
}

fn uid(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let value = line.number()? as u32;
    line.all(|listener| listener.uid = Some(value))
}

fn group(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let group = line.words.text("missing group name")?;
    let Ok(value) = line.host.group_id(group) else {
        return Err(line
            .words
            .named_fault(Code::UnresolvedName, format!("unknown group name '{group}'")));
    };
    line.all(|listener| listener.gid = Some(value))
}

fn user(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let user = line.words.text("missing user name")?;
    let Ok(value) = line.host.user_id(user) else {
        return Err(line
            .words
            .named_fault(Code::UnresolvedName, format!("unknown user name '{user}'")));
    };
    line.all(|listener| listener.uid = Some(value))
}

/// Listeners are numbered after the prefix: `p-0`, `p-1`, ...
fn guid_prefix(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let prefix = line.words.text("expects an argument")?;
    for (at, listener) in line.bind.listeners.iter_mut().enumerate() {
        listener.guid = Some(format!("{prefix}-{at}").into());
    }
    Ok(())
}

/// The refusal of a global id made from `guid-prefix`; HAProxy makes them once all sections are read.
pub fn guid_refused(bind: &BindDraft, why: &str) -> Diag {
    let place = bind.listeners.first().map(|listener| &listener.declared);
    let (file, at) = place.map_or(("", 0), |declared| (&*declared.file, declared.line));
    let text =
        format!("[{file}:{at}] : error on GUID generation : {why}. You may fix it by adjusting guid-prefix.");
    Diag::alert(Code::BadName, bind.span, text).with_form(Form::Bare)
}

fn id(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    if line.bind.listeners.len() > 1 {
        let text = format!("'{}' can only be used with a single socket", line.words.name);
        return Err(line.words.fault(Code::Conflict, text));
    }
    let word = line
        .words
        .word(|name| format!("'{name}' : expects an integer argument"))?;
    let Some(value) = whole_int(word.bytes()) else {
        let text = format!("expects an integer argument, found '{word}'");
        return Err(line.words.named_fault(Code::BadNumber, text));
    };
    // 32 bits, wrapped, as in C.
    let Some(luid) = u32::try_from(value as i32).ok().filter(|luid| *luid > 0) else {
        return Err(line
            .words
            .named_fault(Code::OutOfRange, "custom id has to be > 0"));
    };
    let uses = |bind: &&BindDraft| bind.listeners.iter().any(|listener| listener.luid == luid);
    if let Some(bind) = line.others.iter().find(uses) {
        let place = bind.listeners.first().map(|listener| &listener.declared);
        let (file, at) = place.map_or(("", 0), |declared| (&*declared.file, declared.line));
        let text = format!(
            "custom id {luid} already used at {file}:{at} ('bind {}')",
            bind.arg
        );
        return Err(line.words.named_fault(Code::DuplicateName, text));
    }
    line.all(|listener| listener.luid = luid)
}

fn interface(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let name: Arc<str> = line.words.text("missing interface name")?.into();
    line.all(|listener| listener.interface = Some(Arc::clone(&name)))
}

fn label(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.words.text("missing label").map(|_| ())
}

fn level(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let word = line.words.word(|name| format!("'{name}' : missing level"))?;
    let level = match word.bytes() {
        b"user" => Level::User,
        b"operator" => Level::Operator,
        b"admin" => Level::Admin,
        _ => {
            let name = line.words.name;
            let text = format!("'{name}' only supports 'user', 'operator', and 'admin' (got '{word}')");
            return Err(line.words.fault(Code::BadChoice, text));
        }
    };
    line.all(|listener| listener.level = level)
}

fn maxconn(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let value = line.number()?;
    let Ok(count) = u32::try_from(value) else {
        return Err(line
            .words
            .named_fault(Code::OutOfRange, format!("invalid value {value}, must be >= 0")));
    };
    line.all(|listener| listener.maxconn = count)
}

fn mode(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let fault = |found: &str| format!("missing or invalid mode '{found}' (octal integer expected)");
    let word = line.words.word(|name| format!("'{name}' : {}", fault("")))?;
    let Some(mode) = octal(word.bytes()) else {
        return Err(line.words.named_fault(Code::BadNumber, fault(&word.text())));
    };
    line.all(|listener| listener.mode = Some(mode))
}

fn mss(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let word = line.words.word(|name| format!("'{name}' : missing MSS value"))?;
    let value = line.words.number(word) as i32;
    if value == 0 || value.unsigned_abs() > 65_535 {
        let text = "expects an MSS with and absolute value between 1 and 65535";
        return Err(line.words.named_fault(Code::OutOfRange, text));
    }
    line.all(|listener| listener.mss = Some(value))
}

fn name(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let name: Arc<str> = line.words.text("missing name")?.into();
    line.all(|listener| listener.name = Some(Arc::clone(&name)))
}

fn namespace(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let name: Arc<str> = line.words.text("missing namespace id")?.into();
    if !namespace_exists(line.host, &name) {
        let span = line.words.cursor().line_span();
        let text = format!("Cannot open namespace '{name}'.");
        let diag = Diag::alert(Code::UnresolvedName, span, text).with_form(Form::Plain);
        line.words.cursor().note(diag);
        let text = format!("error encountered while processing '{}'.", line.words.name);
        return Err(line.words.fault(Code::UnresolvedName, text));
    }
    line.all(|listener| listener.namespace = Some(Arc::clone(&name)))
}

/// Whether a named network namespace is there.
pub(super) fn namespace_exists(host: &dyn Host, name: &str) -> bool {
    let path = [NAMESPACES, name.as_bytes()].concat();
    host.path_kind(&path)
        .is_ok_and(|kind| kind != PathKind::Directory)
}

fn nice(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let value = line.number()?;
    if !(-1024..=1024).contains(&value) {
        let text = format!("invalid value {value}, allowed range is -1024..1024");
        return Err(line.words.named_fault(Code::OutOfRange, text));
    }
    line.all(|listener| listener.nice = value)
}

fn process(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let set = line
        .words
        .cursor()
        .next()
        .map_or_else(String::new, |word| word.text().into_owned());
    let text =
        format!("'process {set}' on 'bind' lines is not supported anymore, please use 'thread' instead.");
    Err(line.words.fault(Code::Deprecated, text))
}

fn proto(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.bind.mux = Some(mux_name(&mut line.words)?);
    Ok(())
}

/// The argument of `proto`, on bind and server lines.
pub(super) fn mux_name(words: &mut Words<'_, '_>) -> Result<MuxName, Fault> {
    let word = words.word(|name| format!("'{name}' : missing value"))?;
    match word.bytes() {
        b"h1" => Ok(MuxName::H1),
        b"none" => Ok(MuxName::None),
        b"h2" | b"fcgi" | b"spop" => Err(words.not_supported(&format!("'{} {word}'", words.name))),
        _ => {
            // Two blanks, as HAProxy prints it.
            let text = format!("'{}' :  unknown MUX protocol '{word}'", words.name);
            Err(words.fault(Code::BadChoice, text))
        }
    }
}

fn severity_output(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let word = line
        .words
        .word(|name| format!("'{name}' : missing severity format"))?;
    let output = match word.bytes() {
        b"none" => SeverityOutput::None,
        b"number" => SeverityOutput::Number,
        b"string" => SeverityOutput::String,
        _ => {
            let name = line.words.name;
            let text = format!("'{name}' only supports 'none', 'number', and 'string' (got '{word}')");
            return Err(line.words.fault(Code::BadChoice, text));
        }
    };
    line.all(|listener| listener.severity_output = output)
}

/// Accepted and without effect: one loop needs one socket per address.
fn shards(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    const MAX_THREADS: i32 = 1024;
    let word = line.words.word(|name| format!("'{name}' : missing value"))?;
    if word.is("by-thread") || word.is("by-group") {
        return Ok(());
    }
    let value = line.words.number(word) as i32;
    if !(1..=MAX_THREADS).contains(&value) {
        let text = format!("invalid value {value}, allowed range is 1..{MAX_THREADS} or 'by-thread'");
        return Err(line.words.named_fault(Code::OutOfRange, text));
    }
    Ok(())
}

fn tcp_ut(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let time = user_timeout_ms(&mut line.words)?;
    line.all(|listener| listener.tcp_ut_ms = Some(time))
}

/// The argument of `tcp-ut`, on bind and server lines.
pub(super) fn user_timeout_ms(words: &mut Words<'_, '_>) -> Result<u32, Fault> {
    let word = words.word(|name| format!("'{name}' : missing TCP User Timeout value"))?;
    words.milliseconds(word, |_| {
        format!("'{}' : expects a positive delay in milliseconds", words.name)
    })
}

fn tfo(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.all(|listener| listener.tfo = true)
}

/// One loop accepts everything; the set must name a thread that exists all the same ([`check_threads`]).
fn thread(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    let set = line.words.cursor().next().map_or(&b""[..], Arg::bytes);
    let read = read_thread_set(set, &mut line.bind.threads);
    read.map_err(|text| line.words.fault(Code::BadArgument, text))
}

fn transparent(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.all(|listener| listener.transparent = true)
}

/// `v6only` wins where both are given.
fn v4v6(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.all(|listener| {
        if listener.v6only != V6Only::Only {
            listener.v6only = V6Only::Both;
        }
    })
}

fn v6only(line: &mut BindLine<'_, '_>) -> Result<(), Fault> {
    line.all(|listener| listener.v6only = V6Only::Only)
}

#[cfg(test)]
mod tests;
