//! Addresses as a configuration writes them: transport, family, host or path, ports.
//!
//! For bind, server, source, log and stats lines: the result of `conf/addr.rs`, free of text. A host name stays
//! a name here; resolving belongs to whoever has a resolver. Source: manual chapter 2.9.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A stream: TCP for IP addresses, `SOCK_STREAM` for the others.
    Stream,
    /// Multipath TCP (IP addresses only).
    Mptcp,
    /// Datagrams: UDP for IP addresses, `SOCK_DGRAM` for the others.
    Datagram,
}

/// Which families a host name may resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 or IPv6.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The port part of an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ports {
    /// None written.
    None,
    /// One port, from 0 where 0 is allowed.
    One(u16),
    /// All ports from the first to the second, both included; the first is not above the second.
    Range(u16, u16),
    /// `+N` or `-N`: added to the port of the client's connection.
    Offset(i32),
}

impl Ports {
    /// First port, 0 when there is none or only an offset.
    pub fn low(self) -> u16 {
        match self {
            Self::None | Self::Offset(_) => 0,
            Self::One(port) | Self::Range(port, _) => port,
        }
    }

    /// Last port, 0 when there is none or only an offset.
    pub fn high(self) -> u16 {
        match self {
            Self::None | Self::Offset(_) => 0,
            Self::One(port) | Self::Range(_, port) => port,
        }
    }
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A literal IP address; `*` and an empty host are 0.0.0.0.
    Ip {
        /// The address.
        ip: IpAddr,
        /// Its ports.
        ports: Ports,
    },
    /// A host name to resolve.
    Name {
        /// The name as written.
        host: Box<str>,
        /// The families it may resolve to.
        family: Family,
        /// Its ports.
        ports: Ports,
    },
    /// A unix socket in the file system; the prefix (`unix-bind prefix`) already stands in front.
    Unix(Box<[u8]>),
    /// A name in the abstract name space (Linux).
    Abstract {
        /// The name without its leading NUL.
        name: Box<[u8]>,
        /// True for `abnsz@`: the socket address ends with the name; false for
        /// `abns@`: the name is padded with NULs to the whole `sun_path`.
        zero_terminated: bool,
    },
    /// An inherited descriptor, already bound.
    Fd(i32),
    /// An inherited descriptor over which connected sockets are passed.
    SockPair(i32),
}

/// An address with its transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Addr {
    /// What carries the bytes.
    pub transport: Transport,
    /// Where it leads.
    pub target: Target,
}

impl Addr {
    /// Ports of an IP address or host name, [`Ports::None`] for others.
    pub fn ports(&self) -> Ports {
        match &self.target {
            Target::Ip { ports, .. } | Target::Name { ports, .. } => *ports,
            Target::Unix(_) | Target::Abstract { .. } | Target::Fd(_) | Target::SockPair(_) => Ports::None,
        }
    }

    /// HAProxy's name of the protocol; `bound` is where a listener really listens, when that is an IP address.
    pub fn protocol_name(&self, bound: Option<SocketAddr>) -> &'static str {
        let is_v6 = match (&self.target, bound) {
            (_, Some(bound)) => bound.is_ipv6(),
            (Target::Ip { ip, .. }, None) => ip.is_ipv6(),
            (
                Target::Abstract {
                    zero_terminated: true,
                    ..
                },
                None,
            ) => return "abnsz_stream",
            (Target::Abstract { .. }, None) => return "abns_stream",
            (Target::SockPair(_), None) => return "sockpair",
            (Target::Unix(_) | Target::Fd(_) | Target::Name { .. }, None) => return "unix_stream",
        };
        match (self.transport, is_v6) {
            (Transport::Mptcp, false) => "mptcpv4",
            (Transport::Mptcp, true) => "mptcpv6",
            (_, false) => "tcpv4",
            (_, true) => "tcpv6",
        }
    }

    /// The name to resolve, if there is one.
    pub fn host_name(&self) -> Option<&str> {
        match &self.target {
            Target::Name { host, .. } => Some(host),
            _ => None,
        }
    }
}

/// Writes the port part with its colon, nothing for no port.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::One(port) => write!(f, ":{port}"),
            Self::Range(low, high) => write!(f, ":{low}-{high}"),
            Self::Offset(offset) => write!(f, ":{offset:+}"),
        }
    }
}

/// Writes the address in a form that reads back as the same address (for text in UTF-8 without separators).
impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (any, v4, v6) = match self.transport {
            Transport::Stream => ("", "ipv4@", "ipv6@"),
            Transport::Mptcp => ("mptcp@", "mptcp4@", "mptcp6@"),
            Transport::Datagram => ("udp@", "udp4@", "udp6@"),
        };
        let kind = match self.transport {
            Transport::Datagram => "dgram+",
            Transport::Stream | Transport::Mptcp => "",
        };
        match &self.target {
            Target::Ip {
                ip: IpAddr::V4(ip),
                ports,
            } => write!(f, "{any}{ip}{ports}"),
            Target::Ip {
                ip: IpAddr::V6(ip),
                ports,
            } => write!(f, "{any}[{ip}]{ports}"),
            Target::Name { host, family, ports } => {
                let prefix = match family {
                    Family::Any => any,
                    Family::V4 => v4,
                    Family::V6 => v6,
                };
                write!(f, "{prefix}{host}{ports}")
            }
            Target::Unix(path) => write!(f, "{kind}unix@{}", String::from_utf8_lossy(path)),
            Target::Abstract {
                name,
                zero_terminated,
            } => {
                let prefix = if *zero_terminated { "abnsz@" } else { "abns@" };
                write!(f, "{kind}{prefix}{}", String::from_utf8_lossy(name))
            }
            Target::Fd(fd) => write!(f, "{kind}fd@{fd}"),
            Target::SockPair(fd) => write!(f, "sockpair@{fd}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_forms() {
        let ip = |text: &str, ports| Target::Ip {
            ip: text.parse().expect("literal"),
            ports,
        };
        let show = |transport, target| Addr { transport, target }.to_string();
        assert_eq!(
            show(Transport::Stream, ip("127.0.0.1", Ports::One(80))),
            "127.0.0.1:80"
        );
        assert_eq!(
            show(Transport::Mptcp, ip("::", Ports::Range(80, 90))),
            "mptcp@[::]:80-90"
        );
        assert_eq!(
            show(Transport::Stream, ip("10.0.0.1", Ports::Offset(-5))),
            "10.0.0.1:-5"
        );
        assert_eq!(
            show(Transport::Stream, ip("10.0.0.1", Ports::Offset(5))),
            "10.0.0.1:+5"
        );
        let name = Target::Name {
            host: "h".into(),
            family: Family::V6,
            ports: Ports::None,
        };
        assert_eq!(show(Transport::Mptcp, name), "mptcp6@h");
        assert_eq!(
            show(Transport::Datagram, Target::Unix((*b"/x").into())),
            "dgram+unix@/x"
        );
        assert_eq!(show(Transport::Stream, Target::Fd(3)), "fd@3");
    }

    #[test]
    fn port_bounds() {
        assert_eq!((Ports::Range(1, 9).low(), Ports::Range(1, 9).high()), (1, 9));
        assert_eq!((Ports::Offset(4).low(), Ports::None.high()), (0, 0));
    }
}
