//! The rows of the options of `server`, `server-template` and `default-server` lines.
//!
//! Source: configuration manual, chapter 5.2; messages are those of HAProxy 3.4.0. Options of health checks, TLS,
//! persistence and name servers come with those; `no-` forms of what is not there yet are accepted, since they
//! ask for what is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::bind::{mux_name, namespace_exists, user_timeout_ms};
use super::proxy::check_guid;
use super::source;
use super::words::{Fault, Words};
use crate::base::addr::Family;
use crate::conf::cursor::Arg;
use crate::conf::diag::Code;
use crate::model::server::ServerNamespace;
use crate::policy::draft::{Draft, InitMethod, ServerDraft};
use crate::policy::host::Host;

/// Highest weight.
const MAX_WEIGHT: i32 = 256;

/// Most methods of one `init-addr`.
const MAX_INIT_METHODS: usize = 10;

/// What an option reads and changes.
pub(super) struct ServerLine<'a, 'c> {
    pub(super) words: Words<'a, 'c>,
    pub(super) host: &'a dyn Host,
    pub(super) draft: &'a Draft,
    pub(super) made: &'a mut ServerDraft,
}

type Read = fn(&mut ServerLine<'_, '_>) -> Result<(), Fault>;

/// One option of a server line.
pub struct ServerOption {
    /// Its name; an argument between parentheses may follow in the same word.
    pub name: &'static str,
    pub(super) read: Read,
    /// Words it takes, for the lines that leave it out.
    pub(super) skip: u8,
    /// Whether `default-server` takes it.
    pub(super) in_defaults: bool,
    /// What it does, with units.
    pub doc: &'static str,
}

impl ServerOption {
    pub(super) fn is(&self, word: &Arg) -> bool {
        let rest = word.bytes().strip_prefix(self.name.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"("))
    }
}

const fn option(name: &'static str, read: Read, doc: &'static str) -> ServerOption {
    ServerOption {
        name,
        read,
        skip: 1,
        in_defaults: true,
        doc,
    }
}

/// An option that `default-server` does not take.
const fn own(name: &'static str, read: Read, skip: u8, doc: &'static str) -> ServerOption {
    ServerOption {
        name,
        read,
        skip,
        in_defaults: false,
        doc,
    }
}

/// The options, in alphabetical order.
pub const OPTIONS: &[ServerOption] = &[
    option(
        "addr",
        later,
        "address that health checks connect to; not supported yet",
    ),
    option("agent-addr", later, "address of the agent; not supported yet"),
    option("agent-check", later, "agent checks; not supported yet"),
    option(
        "agent-inter",
        later,
        "milliseconds between agent checks; not supported yet",
    ),
    option("agent-port", later, "port of the agent; not supported yet"),
    option("agent-send", later, "text sent to the agent; not supported yet"),
    option("allow-0rtt", later, "TLS early data; not supported yet"),
    option("alpn", later, "protocols offered in TLS; not supported yet"),
    option(
        "backup",
        |line| set(line, |made| made.server.backup = true),
        "used when all others are down",
    ),
    option(
        "ca-file",
        later,
        "authorities that may sign certificates; not supported yet",
    ),
    option("cc", congestion, "TCP congestion control algorithm"),
    option("check", later, "health checks; not supported yet"),
    option(
        "check-alpn",
        later,
        "protocols offered by checks in TLS; not supported yet",
    ),
    option(
        "check-pool-conn-name",
        later,
        "connection that checks reuse; not supported yet",
    ),
    option("check-proto", later, "protocol of checks; not supported yet"),
    option(
        "check-reuse-pool",
        later,
        "checks reuse idle connections; not supported yet",
    ),
    option(
        "check-send-proxy",
        later,
        "checks send a PROXY header; not supported yet",
    ),
    option(
        "check-sni",
        later,
        "server name sent by checks in TLS; not supported yet",
    ),
    option(
        "check-sni-auto",
        later,
        "server name of checks from the Host header; not supported yet",
    ),
    option("check-ssl", later, "checks in TLS; not supported yet"),
    option(
        "check-via-socks4",
        later,
        "checks through the SOCKS proxy; not supported yet",
    ),
    option("ciphers", later, "TLS ciphers up to TLS 1.2; not supported yet"),
    option("ciphersuites", later, "TLS 1.3 cipher suites; not supported yet"),
    option(
        "client-sigalgs",
        later,
        "signature algorithms of client certificates; not supported yet",
    ),
    option(
        "cookie",
        later,
        "value of the persistence cookie; not supported yet",
    ),
    option(
        "crl-file",
        later,
        "certificates that are revoked; not supported yet",
    ),
    option("crt", later, "client certificate; not supported yet"),
    option("curves", later, "TLS curves; not supported yet"),
    option(
        "disabled",
        |line| set(line, |made| made.server.disabled = true),
        "starts in maintenance",
    ),
    option(
        "downinter",
        later,
        "milliseconds between checks of a server that is down; not supported yet",
    ),
    option(
        "enabled",
        |line| set(line, |made| made.server.disabled = false),
        "starts ready",
    ),
    option(
        "error-limit",
        later,
        "failures before on-error acts; not supported yet",
    ),
    option(
        "fall",
        later,
        "checks that bring a server down; not supported yet",
    ),
    option(
        "fastinter",
        later,
        "milliseconds between checks while the state changes; not supported yet",
    ),
    option("force-sslv3", later, "TLS version; not supported yet"),
    option("force-tlsv10", later, "TLS version; not supported yet"),
    option("force-tlsv11", later, "TLS version; not supported yet"),
    option("force-tlsv12", later, "TLS version; not supported yet"),
    option("force-tlsv13", later, "TLS version; not supported yet"),
    own(
        "guid",
        guid,
        1,
        "unique name that stays over reloads; nothing else uses it yet",
    ),
    option(
        "hash-key",
        later,
        "what the server is placed by in a consistent hash; not supported yet",
    ),
    own("id", id, 1, "number of the server in its backend, from 1"),
    option(
        "idle-ping",
        later,
        "milliseconds before an idle HTTP/2 connection is probed; not supported yet",
    ),
    option(
        "init-addr",
        init_addr,
        "how a name gets its first address: last, libc, none, an address",
    ),
    option(
        "init-state",
        later,
        "state before the first check; not supported yet",
    ),
    option("inter", later, "milliseconds between checks; not supported yet"),
    option("ktls", later, "TLS in the kernel; not supported yet"),
    option(
        "log-bufsize",
        later,
        "bytes kept for a log server; not supported yet",
    ),
    option("log-proto", later, "framing for a log server; not supported yet"),
    option(
        "max-reuse",
        max_reuse,
        "requests after the first on one connection, -1 for no limit; as in HAProxy, HTTP/1 is not bound by it",
    ),
    option("maxconn", maxconn, "requests at once, 0 for no limit"),
    option("maxqueue", maxqueue, "requests that may wait, 0 for no limit"),
    option(
        "minconn",
        minconn,
        "lower bound of the limit while the backend is calm",
    ),
    option(
        "namespace",
        namespace,
        "network namespace of the connections, * for the one that the client's connection belongs to",
    ),
    option("no-agent-check", nothing, "no agent checks"),
    option(
        "no-backup",
        |line| set(line, |made| made.server.backup = false),
        "used as any other",
    ),
    option("no-check", nothing, "no health checks"),
    option(
        "no-check-reuse-pool",
        nothing,
        "checks open their own connections",
    ),
    option("no-check-send-proxy", nothing, "checks send no PROXY header"),
    option("no-check-sni-auto", nothing, "no server name sent by checks"),
    option("no-check-ssl", nothing, "checks without TLS"),
    option("no-renegotiate", nothing, "no TLS renegotiation"),
    option(
        "no-send-proxy",
        |line| set(line, |made| made.send_proxy.v1 = false),
        "no PROXY header of version 1",
    ),
    option(
        "no-send-proxy-v2",
        |line| set(line, |made| made.send_proxy.v2 = false),
        "no PROXY header of version 2",
    ),
    option("no-send-proxy-v2-ssl", nothing, "no PROXY header with TLS facts"),
    option(
        "no-send-proxy-v2-ssl-cn",
        nothing,
        "no PROXY header with the client certificate name",
    ),
    option("no-sni-auto", nothing, "no server name from the Host header"),
    option("no-ssl", nothing, "no TLS to this server"),
    option("no-ssl-reuse", nothing, "no TLS sessions reused"),
    own("no-sslv3", nothing, 0, "without that TLS version"),
    option(
        "no-tfo",
        |line| set(line, |made| made.server.tfo = false),
        "no TCP Fast Open",
    ),
    option("no-tls-tickets", nothing, "no TLS tickets"),
    own("no-tlsv10", nothing, 0, "without that TLS version"),
    own("no-tlsv11", nothing, 0, "without that TLS version"),
    own("no-tlsv12", nothing, 0, "without that TLS version"),
    own("no-tlsv13", nothing, 0, "without that TLS version"),
    option(
        "non-stick",
        later,
        "no persistence through stick tables; not supported yet",
    ),
    option("npn", later, "protocols offered in TLS; not supported yet"),
    option(
        "observe",
        later,
        "traffic watched for failures; not supported yet",
    ),
    option("on-error", later, "what failures lead to; not supported yet"),
    option(
        "on-marked-down",
        later,
        "what happens to sessions of a server that goes down; not supported yet",
    ),
    option(
        "on-marked-up",
        later,
        "what happens to sessions of backups when a server comes up; not supported yet",
    ),
    option(
        "pool-conn-name",
        later,
        "expression that names connections of the pool; not supported yet",
    ),
    option(
        "pool-low-conn",
        pool_low_conn,
        "idle connections before those of others are taken",
    ),
    option(
        "pool-max-conn",
        pool_max_conn,
        "idle connections kept, -1 for no limit",
    ),
    option(
        "pool-purge-delay",
        pool_purge_delay,
        "milliseconds before idle connections are closed",
    ),
    option("port", later, "port that checks connect to; not supported yet"),
    option(
        "proto",
        proto,
        "protocol spoken to the server: h1, or none in TCP mode",
    ),
    option(
        "proxy-v2-options",
        proxy_v2_options,
        "TLVs of the PROXY header: authority, crc32c, unique-id",
    ),
    option("redir", later, "prefix of redirects; not supported yet"),
    option("renegotiate", later, "TLS renegotiation; not supported yet"),
    option(
        "resolve-net",
        later,
        "networks preferred among the addresses of a name; not supported yet",
    ),
    option("resolve-opts", later, "options of resolvers; not supported yet"),
    option(
        "resolve-prefer",
        resolve_prefer,
        "family preferred at run time: ipv4 or ipv6",
    ),
    option(
        "resolvers",
        later,
        "name servers to ask at run time; not supported yet",
    ),
    option("rise", later, "checks that bring a server up; not supported yet"),
    option(
        "send-proxy",
        |line| set(line, |made| made.send_proxy.v1 = true),
        "a PROXY header of version 1 goes before the data",
    ),
    option(
        "send-proxy-v2",
        |line| set(line, |made| made.send_proxy.v2 = true),
        "a PROXY header of version 2 goes before the data",
    ),
    option(
        "send-proxy-v2-ssl",
        later,
        "PROXY header with TLS facts; not supported yet",
    ),
    option(
        "send-proxy-v2-ssl-cn",
        later,
        "PROXY header with the client certificate name; not supported yet",
    ),
    option(
        "set-proxy-v2-tlv-fmt",
        later,
        "TLV added to the PROXY header; not supported yet",
    ),
    option("shard", later, "part of a sharded peer; not supported yet"),
    option("sigalgs", later, "TLS signature algorithms; not supported yet"),
    option("slowstart", later, "milliseconds of warm-up; not supported yet"),
    option("sni", later, "server name sent in TLS; not supported yet"),
    option(
        "sni-auto",
        later,
        "server name from the Host header; not supported yet",
    ),
    option("socks4", later, "SOCKS proxy to go through; not supported yet"),
    option("source", source::of_server, "local address, usesrc, interface"),
    option("ssl", later, "TLS to this server; not supported yet"),
    option("ssl-max-ver", later, "highest TLS version; not supported yet"),
    option("ssl-min-ver", later, "lowest TLS version; not supported yet"),
    option("ssl-reuse", later, "TLS sessions are reused; not supported yet"),
    option(
        "stick",
        nothing,
        "persistence through stick tables where there are any",
    ),
    option(
        "strict-maxconn",
        |line| set(line, |made| made.server.strict_maxconn = true),
        "idle connections count in maxconn",
    ),
    option("tcp-md5sig", later, "TCP MD5 signatures; not supported yet"),
    option(
        "tcp-ut",
        tcp_ut,
        "milliseconds before unacknowledged data ends a connection",
    ),
    option(
        "tfo",
        |line| set(line, |made| made.server.tfo = true),
        "TCP Fast Open",
    ),
    option("tls-tickets", later, "TLS tickets; not supported yet"),
    option(
        "track",
        later,
        "server whose state is followed; not supported yet",
    ),
    option("usesrc", usesrc, "an argument of source, not an option"),
    option(
        "verify",
        later,
        "whether certificates are verified; not supported yet",
    ),
    option(
        "verifyhost",
        later,
        "name that certificates must have; not supported yet",
    ),
    option("weight", weight, "share of the load, 0 to 256"),
    option("ws", websocket, "protocol of WebSocket: auto or h1"),
];

fn set(line: &mut ServerLine<'_, '_>, change: fn(&mut ServerDraft)) -> Result<(), Fault> {
    change(line.made);
    Ok(())
}

fn later(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    Err(line.words.not_supported(&format!("'{}'", line.words.name)))
}

/// Asks for what is the case.
fn nothing(_: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    Ok(())
}

/// The next word, or the refusal that several options share.
fn value<'c>(line: &mut ServerLine<'_, 'c>) -> Result<&'c Arg, Fault> {
    line.words
        .word(|name| format!("'{name}' expects <value> as argument."))
}

fn congestion(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let name: Arc<str> = line
        .words
        .text("missing TCP congestion control algorithm")?
        .into();
    line.made.server.cc = Some(name);
    Ok(())
}

fn guid(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let guid = line.words.text("expects an argument")?;
    check_guid(guid.as_bytes()).map_err(|why| line.words.fault(Code::BadName, format!("'guid': {why}")))?;
    line.made.server.guid = Some(guid.into());
    Ok(())
}

fn id(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let word = line
        .words
        .word(|name| format!("'{name}' : expects an integer argument"))?;
    let value = line.words.number(word);
    let Some(puid) = u32::try_from(value).ok().filter(|puid| *puid > 0) else {
        let text = "custom id has to be between 1 and 4294967295.";
        return Err(line.words.named_fault(Code::OutOfRange, text));
    };
    let others = &line.draft.proxy.servers;
    if let Some(other) = others
        .iter()
        .map(|made| &made.server)
        .find(|server| server.puid == puid)
    {
        let (file, at) = (&other.declared.file, other.declared.line);
        // Printed as a signed number of 32 bits.
        let text = format!(
            "custom id {} already used at {file}:{at} ('server {}')",
            puid as i32, other.name
        );
        return Err(line.words.named_fault(Code::DuplicateName, text));
    }
    line.made.server.puid = puid;
    Ok(())
}

fn init_addr(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let list = line.words.cursor().next().map_or(&b""[..], Arg::bytes);
    let mut methods: Vec<InitMethod> = Vec::new();
    // A comma at the end is followed by nothing.
    let list = list.strip_suffix(b",").unwrap_or(list);
    for word in list.split(|byte| *byte == b',').filter(|_| !list.is_empty()) {
        let shown = String::from_utf8_lossy(word);
        let method = match word {
            b"last" => InitMethod::Last,
            b"libc" => InitMethod::Libc,
            b"none" => InitMethod::None,
            _ => match literal(word) {
                Some(ip) => InitMethod::Ip(ip),
                None => {
                    let text = format!(
                        "unknown init-addr method '{shown}', supported methods are 'libc', 'last', 'none'."
                    );
                    return Err(line.words.named_fault(Code::BadChoice, text));
                }
            },
        };
        let is_ip = |method: &InitMethod| matches!(method, InitMethod::Ip(_));
        if is_ip(&method) && methods.iter().any(is_ip) {
            let text = format!("initial address already specified, cannot add '{shown}'.");
            return Err(line.words.named_fault(Code::Conflict, text));
        }
        if methods.len() >= MAX_INIT_METHODS {
            let text = format!("too many init-addr methods when trying to add '{shown}'");
            return Err(line.words.named_fault(Code::OutOfRange, text));
        }
        methods.push(method);
    }
    line.made.init_addr = methods;
    Ok(())
}

/// A literal address, `*` or nothing for any IPv4 one.
fn literal(text: &[u8]) -> Option<IpAddr> {
    match text {
        b"" | b"*" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        [b'[', inner @ .., b']'] => std::str::from_utf8(inner)
            .ok()?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6),
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

// Limits are 32 bits wide and wrap, as in C: a negative one is as good as none.

fn maxconn(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    line.made.server.maxconn = line.words.lax_number() as u32;
    Ok(())
}

fn maxqueue(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    line.made.server.maxqueue = line.words.lax_number() as u32;
    Ok(())
}

fn minconn(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    line.made.server.minconn = line.words.lax_number() as u32;
    Ok(())
}

fn max_reuse(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let word = value(line)?;
    line.made.server.max_reuse = u32::try_from(line.words.number(word) as i32).ok();
    Ok(())
}

fn namespace(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let name: Arc<str> = line.words.text("expects <name> as argument")?.into();
    if &*name == "*" {
        line.made.server.namespace = Some(ServerNamespace::OfClient);
        return Ok(());
    }
    if !namespace_exists(line.host, &name) {
        return Err(line
            .words
            .fault(Code::UnresolvedName, format!("Cannot open namespace '{name}'")));
    }
    line.made.server.namespace = Some(ServerNamespace::Named(name));
    Ok(())
}

fn pool_low_conn(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let word = value(line)?;
    line.made.server.pool_low_conn = line.words.number(word) as u32;
    Ok(())
}

fn pool_max_conn(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let word = value(line)?;
    let count = line.words.number(word) as i32;
    if count < -1 {
        return Err(line
            .words
            .fault(Code::OutOfRange, "'pool-max-conn' must be >= -1"));
    }
    line.made.server.pool_max_conn = u32::try_from(count).ok();
    Ok(())
}

fn pool_purge_delay(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let word = value(line)?;
    let bad = |found| format!("unexpected character '{found}' in argument to <pool-purge-delay>.");
    line.made.server.pool_purge_delay_ms = line.words.milliseconds(word, bad)?;
    Ok(())
}

fn proto(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    line.made.mux = Some(mux_name(&mut line.words)?);
    Ok(())
}

fn proxy_v2_options(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let list = line.words.cursor().next().map_or(&b""[..], Arg::bytes);
    for word in list.split(|byte| *byte == b',') {
        let options = &mut line.made.server.proxy_v2_options;
        let shown = String::from_utf8_lossy(word);
        match word {
            b"authority" => options.authority = true,
            b"crc32c" => options.crc32c = true,
            b"unique-id" => options.unique_id = true,
            b"ssl" | b"cert-cn" | b"cert-key" | b"cert-sig" | b"ssl-cipher" => {
                let what = format!("'proxy-v2-options {shown}'");
                return Err(line.words.not_supported(&what));
            }
            _ => {
                let text = format!("'{shown}' : proxy v2 option not implemented");
                return Err(line.words.fault(Code::BadChoice, text));
            }
        }
    }
    Ok(())
}

fn resolve_prefer(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    line.made.prefer = match line.words.cursor().next().map_or(&b""[..], Arg::bytes) {
        b"ipv4" => Some(Family::V4),
        b"ipv6" => Some(Family::V6),
        _ => {
            let text = "'resolve-prefer' expects either ipv4 or ipv6 as argument.";
            return Err(line.words.fault(Code::BadChoice, text));
        }
    };
    Ok(())
}

fn tcp_ut(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    line.made.server.tcp_ut_ms = Some(user_timeout_ms(&mut line.words)?);
    Ok(())
}

fn usesrc(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    Err(line.words.fault(
        Code::Conflict,
        "'usesrc' only allowed after a 'source' statement.",
    ))
}

fn weight(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let weight = line.words.lax_number();
    if !(0..=MAX_WEIGHT).contains(&weight) {
        let name = &line.made.server.name;
        let text = format!("weight of server {name} is not within 0 and {MAX_WEIGHT} ({weight}).");
        return Err(line.words.fault(Code::OutOfRange, text));
    }
    line.made.server.weight = weight.unsigned_abs();
    Ok(())
}

/// HTTP/1 is what WebSocket goes over either way.
fn websocket(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    match line.words.cursor().next().map_or(&b""[..], Arg::bytes) {
        b"auto" | b"h1" => Ok(()),
        b"h2" => Err(line.words.not_supported("'ws h2'")),
        _ => Err(line
            .words
            .fault(Code::BadChoice, "'ws' has to be 'auto', 'h1' or 'h2'")),
    }
}
