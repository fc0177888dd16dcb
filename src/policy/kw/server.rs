//! The `server`, `default-server`, `server-template` and `dispatch` rows.
//!
//! A line makes one server, or several from a template, starting from what `default-server` lines said before it;
//! the options are rows of [`super::server_options`]. Source: configuration manual, chapter 5.2 ("Server and
//! default-server options"); messages are those of HAProxy 3.4.0.

use std::rc::Rc;

use super::bind::resolve_now;
use super::server_options::{OPTIONS, ServerLine};
use super::source;
use super::words::{Fault, Words};
use super::{forbidden_char, leading_int, row};
use crate::base::addr::{Addr, Ports, Target as AddrTarget, Transport};
use crate::conf::addr::{Rules, parse};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag, Form, Severity, nearest};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::source::Span;
use crate::model::proxy::Mode;
use crate::model::server::{PortChoice, SendProxy, Server, Target};
use crate::policy::draft::{Draft, SendProxyWanted, ServerDraft, Side, not_supported};

/// Most servers that one template makes.
const MAX_TEMPLATE: i32 = 65_536;

/// `server` and `server-template` append to `draft.proxy.servers`, `default-server` changes
/// `draft.proxy.default_server`, `source` and `dispatch` set fields of `draft.proxy.settings`.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "server",
        Where::PROXY,
        Arity::ANY,
        server,
        "a server: name, address, options",
    ),
    row(
        "default-server",
        Where::PROXY,
        Arity::ANY,
        default_server,
        "options of the servers that follow",
    ),
    row(
        "server-template",
        Where::PROXY,
        Arity::ANY,
        server_template,
        "several servers: prefix of their names, how many or from-to, address, options",
    ),
    row(
        "source",
        Where::PROXY,
        Arity::ANY,
        source::of_proxy,
        "local address of connections to the servers",
    ),
    row(
        "dispatch",
        Where::PROXY,
        Arity::at_most(1),
        dispatch,
        "address that all connections go to; deprecated",
    ),
];

/// How a line is introduced in messages.
struct Place<'a> {
    draft: &'a Draft,
    /// `'server b/s1' : `, once the server has a name.
    subject: String,
}

impl Place<'_> {
    fn new(draft: &Draft) -> Place<'_> {
        Place {
            draft,
            subject: String::new(),
        }
    }

    /// HAProxy prints these without "parsing".
    fn diag(&self, severity: Severity, code: Code, span: Span, text: &str) -> Diag {
        let at = &self.draft.at;
        let text = format!("[{}:{}] : {}{text}", at.file, at.line, self.subject);
        Diag::new(severity, code, span, text).with_form(Form::Plain)
    }

    fn alert(&self, code: Code, span: Span, text: &str) -> Diag {
        self.diag(Severity::Alert, code, span, text)
    }

    fn refused(&self, fault: Fault) -> Diag {
        let end = if fault.ended { "" } else { "." };
        self.alert(fault.code, fault.span, &format!("{}{end}", fault.text))
    }
}

/// Refuses the line in a section without servers.
fn check_side(cursor: &ArgCursor<'_>, place: &Place<'_>) -> Result<(), Diag> {
    let proxy = &place.draft.proxy;
    if Side::Back.within(proxy.caps()) {
        return Ok(());
    }
    let at = &place.draft.at;
    let text = format!(
        "parsing [{}:{}] : '{}' not allowed because {} '{}' has no backend capability.",
        at.file,
        at.line,
        cursor.keyword(),
        proxy.kind.noun(),
        proxy.name()
    );
    Err(place.alert(Code::WrongSection, cursor.line_span(), &text))
}

fn not_in_defaults(cursor: &ArgCursor<'_>, place: &Place<'_>) -> Result<(), Diag> {
    if place.draft.proxy.not_in_defaults(cursor).is_ok() {
        return Ok(());
    }
    let text = format!("'{}' not allowed in 'defaults' section.", cursor.keyword());
    Err(place.alert(Code::WrongSection, cursor.keyword_span(), &text))
}

fn server(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let mut place = Place::new(draft);
    not_in_defaults(cursor, &place)?;
    check_side(cursor, &place)?;
    let (Some(name), Some(address)) = (cursor.next(), cursor.next()) else {
        let text = "'server' expects <name> and <addr>[:<port>] as arguments.";
        return Err(place.alert(Code::MissingArgument, cursor.here(), text));
    };
    if let Some(found) = forbidden_char(name.bytes()) {
        let text = format!("character '{found}' is not permitted in server name '{name}'.");
        return Err(place.alert(Code::BadName, name.span(), &text));
    }
    let text = name.text();
    place.subject = format!("'server {}/{text}' : ", draft.proxy.name());
    let mut made = start(&place, &text, address, cursor.line_span())?;
    read_options(cursor, &place, &mut made, true)?;
    finish(cursor, &place, &mut made);
    draft.proxy.servers.push(made);
    Ok(())
}

fn server_template(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let mut place = Place::new(draft);
    not_in_defaults(cursor, &place)?;
    check_side(cursor, &place)?;
    let (Some(prefix), Some(count), Some(address)) = (cursor.next(), cursor.next(), cursor.next()) else {
        let text = "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.";
        return Err(place.alert(Code::MissingArgument, cursor.here(), text));
    };
    let forbidden = forbidden_char(prefix.bytes()).or_else(|| prefix.bytes().contains(&b':').then_some(':'));
    if let Some(found) = forbidden {
        let text = format!("character '{found}' is not permitted in server-template prefix '{prefix}'.");
        return Err(place.alert(Code::BadName, prefix.span(), &text));
    }
    let Some((low, high)) = template_range(count.bytes()) else {
        let text = format!("Wrong server-template number or range arg '{count}'.");
        return Err(place.alert(Code::BadNumber, count.span(), &text));
    };
    // A template has no name yet, and HAProxy prints it so.
    place.subject = format!("'server {}/(null)' : ", draft.proxy.name());
    let mut made = start(&place, "(null)", address, cursor.line_span())?;
    read_options(cursor, &place, &mut made, true)?;
    finish(cursor, &place, &mut made);
    let prefix = prefix.text();
    for number in low..=high {
        let mut one = made.clone();
        one.server.name = format!("{prefix}{number}").into();
        one.template = true;
        draft.proxy.servers.push(one);
        // Numbers and global ids go to the first only.
        (made.server.puid, made.server.guid) = (0, None);
    }
    Ok(())
}

/// `5` or `3-7`, as HAProxy reads it: the first number includes its sign.
fn template_range(text: &[u8]) -> Option<(i32, i32)> {
    let number = |text: &[u8]| i32::try_from(leading_int(text)).ok();
    let first = number(text)?;
    let (low, high) = match text.iter().position(|byte| *byte == b'-') {
        Some(dash) => (first, number(&text[dash + 1..])?),
        None => (1, first),
    };
    (low >= 0 && high >= low && high - low < MAX_TEMPLATE).then_some((low, high))
}

fn default_server(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let place = Place::new(draft);
    check_side(cursor, &place)?;
    let span = cursor.line_span();
    let mut made = match &draft.proxy.default_server {
        Some(known) => ServerDraft {
            span,
            ..(**known).clone()
        },
        None => blank(
            draft,
            "default-server",
            unset_address(),
            Target::Unix(Vec::new()),
            span,
        ),
    };
    read_options(cursor, &place, &mut made, false)?;
    draft.proxy.default_server = Some(Box::new(made));
    Ok(())
}

/// Stands for the address that `default-server` does not have.
fn unset_address() -> Addr {
    Addr {
        transport: Transport::Stream,
        target: AddrTarget::Unix(Box::default()),
    }
}

/// A server with every option at its built-in default.
fn blank(draft: &Draft, name: &str, addr: Addr, target: Target, span: Span) -> ServerDraft {
    ServerDraft {
        span,
        server: Server::new(name, addr, target, draft.at.clone()),
        template: false,
        init_addr: Vec::new(),
        prefer: None,
        mux: None,
        send_proxy: SendProxyWanted::default(),
    }
}

/// A server of that name and address with the options that `default-server` lines gave so far.
fn start(place: &Place<'_>, name: &str, word: &Arg, span: Span) -> Result<ServerDraft, Diag> {
    let draft = place.draft;
    let addr = parse(word.bytes(), &Rules::SERVER, b"", &draft.env).map_err(|error| {
        let span = word.span_of(error.at.start, error.at.end);
        place.alert(error.code, span, &error.text)
    })?;
    let target = target(&addr).map_err(|what| {
        place.alert(
            Code::NotSupported,
            word.span(),
            &format!("{what} is not supported yet in '{word}'"),
        )
    })?;
    let hostname = addr.host_name().map(Into::into);
    let mut made = match &draft.proxy.default_server {
        Some(known) => ServerDraft {
            span,
            ..(**known).clone()
        },
        None => blank(draft, name, addr.clone(), target.clone(), span),
    };
    let server = &mut made.server;
    (server.name, server.addr, server.target, server.hostname) = (name.into(), addr, target, hostname);
    server.declared = draft.at.clone();
    Ok(made)
}

/// Where connections go; names have no address yet.
fn target(addr: &Addr) -> Result<Target, &'static str> {
    let mptcp = addr.transport == Transport::Mptcp;
    let inet = |ip, ports: &Ports| Target::Inet {
        ip,
        port: port_choice(*ports),
        mptcp,
    };
    match &addr.target {
        AddrTarget::Ip { ip, ports } => Ok(inet(Some(*ip), ports)),
        AddrTarget::Name { ports, .. } => Ok(inet(None, ports)),
        AddrTarget::Unix(path) => Ok(Target::Unix(path.to_vec())),
        AddrTarget::Abstract {
            name,
            zero_terminated,
        } => Ok(Target::Abstract {
            name: name.to_vec(),
            zero_padded: !zero_terminated,
        }),
        AddrTarget::Fd(_) => Err("a file descriptor as server address"),
        AddrTarget::SockPair(_) => Err("a pair of sockets as server address"),
    }
}

/// No port, port 0 and offsets follow the port that the client connected to.
fn port_choice(ports: Ports) -> PortChoice {
    match ports {
        Ports::None | Ports::One(0) => PortChoice::Client(0),
        Ports::Offset(offset) => PortChoice::Client(offset),
        Ports::One(port) | Ports::Range(port, _) => PortChoice::Fixed(port),
    }
}

/// Reads the options of a line up to its end.
fn read_options(
    cursor: &mut ArgCursor<'_>,
    place: &Place<'_>,
    made: &mut ServerDraft,
    has_address: bool,
) -> Result<(), Diag> {
    let host = Rc::clone(&place.draft.host);
    while let Some(word) = cursor.next() {
        let found = OPTIONS.iter().find(|option| option.is(word));
        let Some(option) = found else {
            return Err(unknown_option(place, word, has_address));
        };
        if !has_address && !option.in_defaults {
            let text = format!("'{word}' option is not accepted in default-server sections");
            // HAProxy prints an alert and starts all the same.
            cursor.note(place.diag(Severity::Tolerated, Code::WrongSection, word.span(), &text));
            for _ in 0..option.skip {
                let _ = cursor.next();
            }
            continue;
        }
        let words = Words::new(cursor, word);
        let mut line = ServerLine {
            words,
            host: &*host,
            draft: place.draft,
            made,
        };
        (option.read)(&mut line).map_err(|fault| place.refused(fault))?;
    }
    Ok(())
}

fn unknown_option(place: &Place<'_>, word: &Arg, has_address: bool) -> Diag {
    let hint = if has_address {
        ""
    } else {
        " Hint: no address was expected for this server."
    };
    let best = nearest(word.bytes(), OPTIONS.iter().map(|option| option.name));
    let text = match best {
        Some(best) => format!("unknown keyword '{word}'; did you mean '{best}' maybe ?{hint}"),
        None => format!("unknown keyword '{word}'.{hint}"),
    };
    place.alert(Code::UnknownKeyword, word.span(), &text)
}

/// What follows from the options together.
fn finish(cursor: &mut ArgCursor<'_>, place: &Place<'_>, made: &mut ServerDraft) {
    let wanted = made.send_proxy;
    let server = &mut made.server;
    server.send_proxy = match wanted {
        SendProxyWanted { v2: true, .. } => Some(SendProxy::V2),
        SendProxyWanted { v1: true, .. } => Some(SendProxy::V1),
        _ => None,
    };
    if server.minconn > server.maxconn {
        server.maxconn = server.minconn;
    } else if server.maxconn > 0 && server.minconn == 0 {
        server.minconn = server.maxconn;
    }
    if server.weight == 0 {
        let text = "configured with weight of 0 will never be selected by load balancing algorithms";
        cursor.note(place.diag(Severity::Diag, Code::Suspicious, made.span, text));
    }
}

/// The report when a server's transport or `proto` does not go with the proxy's mode, which is known once the
/// section is complete. `owner` is what messages call the proxy, for instance `backend 'b'`.
pub fn check_mode(made: &ServerDraft, mode: Mode, owner: &str) -> Option<Diag> {
    let server = &made.server;
    let (file, line) = (&server.declared.file, server.declared.line);
    if server.addr.transport == Transport::Datagram {
        let word = if mode == Mode::Http { "http" } else { "tcp" };
        let text = format!("[{file}:{line}] : unsupported transport for server address in '{word}' backend.");
        return Some(Diag::alert(Code::BadAddress, made.span, text).with_form(Form::Bare));
    }
    let mux = made.mux.filter(|mux| mux.mode() != mode)?;
    let (mux, name) = (mux.name(), &server.name);
    let text =
        format!("{owner} : MUX protocol '{mux}' is not usable for server '{name}' at [{file}:{line}].");
    Some(Diag::alert(Code::Conflict, made.span, text).with_form(Form::Bare))
}

fn dispatch(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    draft.proxy.not_in_defaults(cursor)?;
    draft.proxy.has_side(cursor, Side::Back, "dispatch", "");
    let refused = |code, span, text: String| Diag::alert(code, span, format!("'dispatch' : {text}"));
    let Some(word) = cursor.next() else {
        let text = "'' resolves to an empty address (environment variable missing?)";
        return Err(refused(Code::MissingArgument, cursor.here(), text.to_owned()));
    };
    let mut addr = parse(word.bytes(), &Rules::CONNECT, b"", &draft.env)
        .map_err(|error| refused(error.code, word.span_of(error.at.start, error.at.end), error.text))?;
    resolve_now(&mut addr, draft).map_err(|host| {
        refused(
            Code::UnresolvedName,
            word.span(),
            format!("invalid address: '{host}' in '{word}'"),
        )
    })?;
    if !draft.global.deprecated {
        let text = "'dispatch' is deprecated in 3.3 and will be removed in 3.5. The modern way to do the same is to \
                    create a server with the same address, and possibly to assign any extra server a weight of zero if \
                    any:";
        let diag = Diag::warning(Code::Deprecated, cursor.keyword_span(), text).with_form(Form::Reader);
        cursor.note(diag.with_help(format!("server dispatch {word}")));
    }
    let target = target(&addr).map_err(|what| not_supported(cursor, what))?;
    draft.proxy.settings.dispatch = Some(target);
    Ok(())
}

#[cfg(test)]
mod tests;
