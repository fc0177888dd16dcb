//! Addresses from text: prefixes, hosts, ports, paths, descriptors.
//!
//! For bind, server, source, log and stats lines, and for the command line: text to [`Addr`], without resolving
//! anything. What a statement allows comes in as [`Rules`]. Sources: manual chapter 2.9; order of the checks and
//! messages follow HAProxy 3.4.0 as tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::base::addr::{Addr, Family, Ports, Target, Transport};

use super::diag::{Code, shown};
use super::env::Env;

/// Longest name in the abstract name space, in bytes: `sun_path` less one.
pub const MAX_ABSTRACT_BYTES: usize = 107;

/// Longest path of a unix socket with its prefix, in bytes: HAProxy keeps room for the suffix of the temporary
/// names it binds first (a dot, five digits, a dot, three letters).
pub const MAX_UNIX_BYTES: usize = MAX_ABSTRACT_BYTES - 10;

/// Most addresses in one comma list.
pub const MAX_LIST: usize = 1024;

/// Longest host name, and longest label of one, in bytes.
const MAX_NAME_BYTES: usize = 255;
const MAX_LABEL_BYTES: usize = 63;

/// What may stand for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Literal addresses only.
    Never,
    /// Also names, which are resolved at once and must be well formed.
    AtOnce,
    /// Also names that are looked at later.
    Later,
}

/// Whether a port may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRule {
    /// No.
    Forbidden,
    /// Yes.
    Optional,
    /// It must, and not be 0.
    Mandatory,
}

/// Which socket types are acceptable, and which one is meant when nothing says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// Streams.
    Stream,
    /// Datagrams.
    Datagram,
    /// Both, streams if nothing is said.
    StreamOrDatagram,
    /// Both, datagrams if nothing is said.
    DatagramOrStream,
}

/// What a statement allows in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Host names.
    pub names: Names,
    /// A port.
    pub port: PortRule,
    /// `low-high`.
    pub port_range: bool,
    /// `+N` and `-N`.
    pub port_offset: bool,
    /// `fd@`: an inherited descriptor.
    pub fd: bool,
    /// Socket types.
    pub sockets: Sockets,
}

impl Rules {
    /// `bind`, `stats socket`, `-S`.
    pub const BIND: Self = Self {
        names: Names::AtOnce,
        port: PortRule::Mandatory,
        port_range: true,
        port_offset: false,
        fd: true,
        sockets: Sockets::Stream,
    };
    /// `server`, `server-template`.
    pub const SERVER: Self = Self {
        names: Names::Later,
        port: PortRule::Optional,
        port_range: false,
        port_offset: true,
        fd: false,
        sockets: Sockets::StreamOrDatagram,
    };
    /// `source` of a proxy, `usesrc`, `addr` of a check: an address and an optional port.
    pub const SOURCE: Self = Self {
        names: Names::AtOnce,
        port: PortRule::Optional,
        port_range: false,
        port_offset: false,
        fd: false,
        sockets: Sockets::Stream,
    };
    /// `source` of a server: also a port range.
    pub const SERVER_SOURCE: Self = Self {
        port_range: true,
        ..Self::SOURCE
    };
    /// `dispatch`, `socks4`, `peer`: an address and a port.
    pub const CONNECT: Self = Self {
        port: PortRule::Mandatory,
        ..Self::SOURCE
    };
    /// `log`.
    pub const LOG: Self = Self {
        fd: true,
        sockets: Sockets::DatagramOrStream,
        ..Self::SOURCE
    };
    /// `nameserver`.
    pub const NAMESERVER: Self = Self {
        sockets: Sockets::DatagramOrStream,
        ..Self::CONNECT
    };
    /// `dgram-bind`.
    pub const DGRAM_BIND: Self = Self {
        sockets: Sockets::Datagram,
        ..Self::BIND
    };
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrError {
    /// What is wrong, for programs.
    pub code: Code,
    /// For people, as HAProxy words it.
    pub text: String,
    /// The bytes it is about.
    pub at: Range<usize>,
}

/// Family that a prefix asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ip(Family),
    Unix,
    Abstract { zero_terminated: bool },
    Fd,
    SockPair,
    ReverseHttp,
}

/// Transport that a prefix forces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forced {
    No,
    To(Transport),
    Quic,
}

const STREAM: Forced = Forced::To(Transport::Stream);
const MPTCP: Forced = Forced::To(Transport::Mptcp);
const DATAGRAM: Forced = Forced::To(Transport::Datagram);

/// Prefixes of the socket type; one of them may come first.
const TYPE_PREFIXES: [(&str, Forced); 3] =
    [("stream+", STREAM), ("dgram+", DATAGRAM), ("quic+", Forced::Quic)];

/// Prefixes of family and protocol.
const PREFIXES: [(&str, Kind, Forced); 22] = [
    ("unix@", Kind::Unix, Forced::No),
    ("uxdg@", Kind::Unix, DATAGRAM),
    ("uxst@", Kind::Unix, STREAM),
    (
        "abns@",
        Kind::Abstract {
            zero_terminated: false,
        },
        Forced::No,
    ),
    (
        "abnsz@",
        Kind::Abstract {
            zero_terminated: true,
        },
        Forced::No,
    ),
    ("ip@", Kind::Ip(Family::Any), Forced::No),
    ("ipv4@", Kind::Ip(Family::V4), Forced::No),
    ("ipv6@", Kind::Ip(Family::V6), Forced::No),
    ("tcp@", Kind::Ip(Family::Any), STREAM),
    ("tcp4@", Kind::Ip(Family::V4), STREAM),
    ("tcp6@", Kind::Ip(Family::V6), STREAM),
    ("mptcp@", Kind::Ip(Family::Any), MPTCP),
    ("mptcp4@", Kind::Ip(Family::V4), MPTCP),
    ("mptcp6@", Kind::Ip(Family::V6), MPTCP),
    ("udp@", Kind::Ip(Family::Any), DATAGRAM),
    ("udp4@", Kind::Ip(Family::V4), DATAGRAM),
    ("udp6@", Kind::Ip(Family::V6), DATAGRAM),
    ("quic4@", Kind::Ip(Family::V4), Forced::Quic),
    ("quic6@", Kind::Ip(Family::V6), Forced::Quic),
    ("fd@", Kind::Fd, Forced::No),
    ("sockpair@", Kind::SockPair, Forced::No),
    ("rhttp@", Kind::ReverseHttp, Forced::No),
];

/// Reads one address. `prefix` is put before the path of a unix socket (`unix-bind prefix`); variables in the
/// text (`$NAME`, `${NAME}`, also outside of quotes) are looked up in `env`.
pub fn parse(text: &[u8], rules: &Rules, prefix: &[u8], env: &Env) -> Result<Addr, AddrError> {
    let expanded = expand(text, env);
    let plain = expanded == text;
    let reader = Reader {
        whole: text,
        rules,
        prefix,
    };
    reader.address(&expanded).map_err(|error| {
        // Places in what a variable became mean nothing to whoever wrote the variable.
        let at = if plain { error.at.clone() } else { 0..text.len() };
        AddrError { at, ..error }
    })
}

/// Reads a comma list of addresses; a comma at the end is allowed. Each error's place is one of the whole text.
pub fn parse_list(text: &[u8], rules: &Rules, prefix: &[u8], env: &Env) -> Result<Vec<Addr>, AddrError> {
    let mut list = Vec::new();
    let mut start = 0;
    let text_end = text.len() - usize::from(text.len() > 1 && text.ends_with(b","));
    for part in text.get(..text_end).unwrap_or(text).split(|&byte| byte == b',') {
        if list.len() >= MAX_LIST {
            let at = start..text.len();
            return Err(AddrError {
                code: Code::OutOfRange,
                text: format!("more than {MAX_LIST} addresses"),
                at,
            });
        }
        let moved = |error: AddrError| {
            let at = error.at.start + start..error.at.end + start;
            AddrError { at, ..error }
        };
        list.push(parse(part, rules, prefix, env).map_err(moved)?);
        start += part.len() + 1;
    }
    Ok(list)
}

/// Replaces `$NAME` and `${NAME}`; a variable that does not exist is empty.
fn expand(text: &[u8], env: &Env) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|&byte| byte == b'$') {
        let (before, after) = rest.split_at(dollar);
        out.extend_from_slice(before);
        let braced = after.get(1) == Some(&b'{');
        let name = after.get(1 + usize::from(braced)..).unwrap_or(&[]);
        let count = name
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let (name, after) = name.split_at(count);
        out.extend_from_slice(env.value(name).unwrap_or(&[]));
        rest = if braced {
            after.strip_prefix(b"}").unwrap_or(after)
        } else {
            after
        };
    }
    out.extend_from_slice(rest);
    out
}

/// Text for a message.
fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One address with all that messages need.
struct Reader<'a> {
    /// As written, for messages.
    whole: &'a [u8],
    rules: &'a Rules,
    prefix: &'a [u8],
}

impl Reader<'_> {
    fn error(&self, text: String, at: Range<usize>) -> AddrError {
        AddrError {
            code: Code::BadAddress,
            text,
            at,
        }
    }

    /// An error whose message ends with the whole address.
    fn error_in(&self, text: &str, at: Range<usize>) -> AddrError {
        self.error(format!("{text} in '{}'", show(self.whole)), at)
    }

    fn unsupported(&self, text: String, at: Range<usize>) -> AddrError {
        AddrError {
            code: Code::NotSupported,
            text,
            at,
        }
    }

    /// Reads the address after variables were replaced.
    fn address(&self, text: &[u8]) -> Result<Addr, AddrError> {
        let all = 0..text.len();
        if text.is_empty() {
            let whole = show(self.whole);
            let text = format!("'{whole}' resolves to an empty address (environment variable missing?)");
            return Err(self.error(text, all));
        }
        let mut forced = Forced::No;
        let mut rest = text;
        if let Some((after, by_type)) = TYPE_PREFIXES
            .iter()
            .find_map(|&(prefix, by_type)| Some((rest.strip_prefix(prefix.as_bytes())?, by_type)))
        {
            (rest, forced) = (after, by_type);
        }
        let known = PREFIXES.iter().find_map(|&(prefix, kind, by_protocol)| {
            Some((rest.strip_prefix(prefix.as_bytes())?, kind, by_protocol))
        });
        let kind = match known {
            Some((after, kind, by_protocol)) => {
                rest = after;
                forced = if by_protocol == Forced::No {
                    forced
                } else {
                    by_protocol
                };
                kind
            }
            None if rest.first() == Some(&b'/') => Kind::Unix,
            None => Kind::Ip(Family::Any),
        };
        let from = text.len() - rest.len();
        let target = match kind {
            Kind::Ip(family) => self.ip(rest, from, family)?,
            Kind::Unix => Target::Unix(self.path(rest, from)?),
            Kind::Abstract { zero_terminated } => {
                self.check_length(rest, MAX_ABSTRACT_BYTES, from)?;
                Target::Abstract {
                    name: rest.into(),
                    zero_terminated,
                }
            }
            Kind::Fd => {
                let fd = self.descriptor(rest, from)?;
                if !self.rules.fd {
                    return Err(self.error_in("a file descriptor is not acceptable here", all));
                }
                Target::Fd(fd)
            }
            Kind::SockPair => Target::SockPair(self.descriptor(rest, from)?),
            Kind::ReverseHttp => {
                let text = format!("reverse HTTP address '{}' is not supported yet", show(self.whole));
                return Err(self.unsupported(text, all));
            }
        };
        let transport = self.transport(forced, &target, all)?;
        Ok(Addr { transport, target })
    }

    /// What carries the bytes, if the statement accepts it.
    fn transport(&self, forced: Forced, target: &Target, all: Range<usize>) -> Result<Transport, AddrError> {
        let (stream, datagram, default) = match self.rules.sockets {
            Sockets::Stream => (true, false, Transport::Stream),
            Sockets::Datagram => (false, true, Transport::Datagram),
            Sockets::StreamOrDatagram => (true, true, Transport::Stream),
            Sockets::DatagramOrStream => (true, true, Transport::Datagram),
        };
        let transport = match forced {
            Forced::No => default,
            Forced::To(transport) => transport,
            Forced::Quic => {
                return Err(self.unsupported(self.no_quic(target), all));
            }
        };
        match transport {
            Transport::Stream | Transport::Mptcp if !stream => {
                Err(self.error_in("stream-type address not acceptable", all))
            }
            Transport::Datagram if !datagram => Err(self.error_in("dgram-type address not acceptable", all)),
            _ => Ok(transport),
        }
    }

    /// What HAProxy says when it was built without QUIC, which is not here either.
    fn no_quic(&self, target: &Target) -> String {
        // A server line gets as far as to the transport, the others ask for a protocol of the family.
        if self.rules.names == Names::Later {
            return "QUIC protocol selected but support not compiled in (check build options).".into();
        }
        let family = match target {
            Target::Ip {
                ip: IpAddr::V6(_), ..
            }
            | Target::Name {
                family: Family::V6, ..
            } => 10,
            _ => 2,
        };
        format!(
            "unsupported stream protocol for datagram family {family} address '{}'; QUIC is not compiled in if \
             this is what you were looking for.",
            show(self.whole)
        )
    }

    /// A path with the prefix in front.
    fn path(&self, path: &[u8], from: usize) -> Result<Box<[u8]>, AddrError> {
        self.check_length(path, MAX_UNIX_BYTES.saturating_sub(self.prefix.len()), from)?;
        Ok([self.prefix, path].concat().into())
    }

    fn check_length(&self, path: &[u8], max: usize, from: usize) -> Result<(), AddrError> {
        if path.len() <= max {
            return Ok(());
        }
        let text = format!("socket path '{}' too long (max {max})", show(self.whole));
        Err(self.error(text, from..from + path.len()))
    }

    /// Number of an inherited descriptor.
    fn descriptor(&self, text: &[u8], from: usize) -> Result<i32, AddrError> {
        let number = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<i32>().ok());
        number.filter(|&fd| fd >= 0).ok_or_else(|| {
            let message = format!("file descriptor '{}' is not a valid integer", show(text));
            self.error_in(&message, from..from + text.len())
        })
    }

    /// A host with its ports.
    fn ip(&self, text: &[u8], from: usize, family: Family) -> Result<Target, AddrError> {
        let end = from + text.len();
        // A colon before any bracket, seen from the end, separates the port. The first byte is the host's,
        // unless it is the separator itself.
        let split = text.iter().rposition(|byte| matches!(byte, b']' | b':'));
        let (host, port) = match split {
            Some(at) if text.get(at) == Some(&b':') => (
                text.get(..at).unwrap_or(&[]),
                Some(text.get(at + 1..).unwrap_or(&[])),
            ),
            _ => (text, None),
        };
        let port_from = from + host.len() + usize::from(port.is_some());
        if port.is_some() && self.rules.port == PortRule::Forbidden {
            return Err(self.error_in("port specification not permitted here", port_from..end));
        }
        let ports = match port {
            None | Some([]) if self.rules.port == PortRule::Mandatory => {
                return Err(self.error_in("missing port specification", end..end));
            }
            None | Some([]) => Ports::None,
            Some(port) => self.ports(port, port_from)?,
        };
        let invalid = || {
            let message = format!("invalid address: '{}'", show(host));
            self.error_in(&message, from..from + host.len())
        };
        match literal(host, family) {
            Literal::Ip(ip) => return Ok(Target::Ip { ip, ports }),
            Literal::Broken if self.rules.names != Names::Later => return Err(invalid()),
            Literal::Broken | Literal::Name => {}
        }
        match (std::str::from_utf8(host), self.rules.names) {
            (Ok(name), Names::Later) => Ok(Target::Name {
                host: name.into(),
                family,
                ports,
            }),
            (Ok(name), Names::AtOnce) if is_host_name(name) => Ok(Target::Name {
                host: name.into(),
                family,
                ports,
            }),
            _ => Err(invalid()),
        }
    }

    /// A port, a range or an offset; the text is not empty.
    fn ports(&self, text: &[u8], from: usize) -> Result<Ports, AddrError> {
        let all = from..from + text.len();
        match text {
            [b'0'..=b'9', ..] => {}
            [sign @ (b'+' | b'-'), digits @ ..] => {
                if !self.rules.port_offset {
                    return Err(self.error_in("port offset not permitted here", all));
                }
                let offset = self.number(digits, from + 1)?;
                if offset > i64::from(u16::MAX) {
                    return Err(self.error(format!("invalid port '{}'", show(text)), all));
                }
                // Within 16 bits by the check above.
                let offset = offset as i32;
                return Ok(Ports::Offset(if *sign == b'-' { -offset } else { offset }));
            }
            _ => return self.number(text, from).map(|_| Ports::None),
        }
        let dash = text.iter().position(|&byte| byte == b'-');
        let (low_text, high_text) = match dash {
            Some(dash) if self.rules.port_range => text.split_at(dash),
            Some(_) => return Err(self.error_in("port range not permitted here", all)),
            None => (text, &[][..]),
        };
        let low = self.number(low_text, from)?;
        let high_from = from + low_text.len() + 1;
        let high_text = if dash.is_some() {
            high_text.get(1..).unwrap_or(&[])
        } else {
            low_text
        };
        let high = if dash.is_some() {
            self.number(high_text, high_from)?
        } else {
            low
        };
        let low_port = self.port(low, low_text, from)?;
        let high_port = self.port(high, high_text, high_from)?;
        if low > high {
            return Err(self.error(format!("invalid port range '{low}-{high}'"), all));
        }
        Ok(if dash.is_some() && low != high {
            Ports::Range(low_port, high_port)
        } else {
            Ports::One(low_port)
        })
    }

    /// A number within the limits of a port.
    fn port(&self, number: i64, text: &[u8], from: usize) -> Result<u16, AddrError> {
        let least = i64::from(self.rules.port == PortRule::Mandatory);
        u16::try_from(number)
            .ok()
            .filter(|_| number >= least)
            .ok_or_else(|| self.error(format!("invalid port '{}'", show(text)), from..from + text.len()))
    }

    /// Decimal digits and nothing else; none at all count as 0, too many as very many.
    fn number(&self, text: &[u8], from: usize) -> Result<i64, AddrError> {
        if let Some(at) = text.iter().position(|byte| !byte.is_ascii_digit()) {
            let byte = text.get(at).copied().unwrap_or(b'?');
            let message = format!(
                "invalid character '{}' in port number '{}'",
                shown(byte),
                show(text)
            );
            return Err(self.error_in(&message, from + at..from + at + 1));
        }
        let add = |value: i64, digit: &u8| value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        Ok(text.iter().fold(0, add))
    }
}

/// What a host is without asking a resolver.
enum Literal {
    Ip(IpAddr),
    /// Brackets that do not match, or a literal of another family.
    Broken,
    Name,
}

/// A literal address of the family; nothing and `*` are any address.
fn literal(host: &[u8], family: Family) -> Literal {
    let host = match host {
        [b'[', inner @ .., b']'] if inner.len() >= 2 => inner,
        [b'[', ..] => return Literal::Broken,
        _ => host,
    };
    let any_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let any_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if matches!(host, b"" | b"*") {
        return Literal::Ip(if family == Family::V6 { any_v6 } else { any_v4 });
    }
    let ip = std::str::from_utf8(host)
        .ok()
        .and_then(|text| text.parse::<IpAddr>().ok());
    match (ip, family) {
        (Some(IpAddr::V4(_)), Family::V6) | (Some(IpAddr::V6(_)), Family::V4) => Literal::Broken,
        (Some(ip), _) => Literal::Ip(ip),
        (None, _) => Literal::Name,
    }
}

/// True for what a resolver may be asked: labels of letters, digits, dashes and underscores.
pub fn is_host_name(name: &str) -> bool {
    let label_ok = |label: &str| {
        label.len() <= MAX_LABEL_BYTES
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(label_ok)
}

#[cfg(test)]
mod tests;
