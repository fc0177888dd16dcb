//! Values of the fields that tell a server about the client: `Forwarded` (RFC 7239).
//!
//! The values of `X-Forwarded-For` and `X-Original-To` are plain addresses: see [`IpText`].
//! What stands in each parameter is decided elsewhere (options, expressions); here they are put in HAProxy's
//! order and spelling: `proto`, `host`, `by`, `for`; the host always quoted, a node quoted when it has a port
//! or is an IPv6 address. `option forwarded` alone means `proto` and `for` without port.
//! Sources: RFC 7239 sections 4 to 6; configuration manual, `option forwarded`.

use std::net::IpAddr;

use crate::base::ascii::{U64_DIGITS, format_u64};
use crate::base::iptext::IpText;

/// Who a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeName {
    /// An address.
    Ip(IpAddr),
    /// Not known: written `unknown`.
    Unknown,
}

/// The port of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePort {
    /// A number.
    Number(u16),
    /// Not known: left out, though the node stays quoted.
    Unknown,
}

/// A node: `by` or `for`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Who.
    pub name: NodeName,
    /// The port, when the configuration asks for one.
    pub port: Option<NodePort>,
}

/// The parameters of one `Forwarded` element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forwarded<'a> {
    /// `proto=http`, or `https` when true.
    pub proto_tls: Option<bool>,
    /// `host="..."`
    pub host: Option<&'a [u8]>,
    /// `by=...`
    pub by: Option<Node>,
    /// `for=...`
    pub for_: Option<Node>,
}

/// The value does not fit in the room given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for the Forwarded value")]
pub struct TooLong;

impl Forwarded<'_> {
    /// Writes the value; gives its length.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, TooLong> {
        let mut text = Text { out, len: 0 };
        if let Some(tls) = self.proto_tls {
            text.parameter(b"proto=")?;
            text.put(if tls { b"https" } else { b"http" })?;
        }
        if let Some(host) = self.host {
            text.parameter(b"host=\"")?;
            text.put(host)?;
            text.put(b"\"")?;
        }
        if let Some(by) = &self.by {
            text.parameter(b"by=")?;
            text.node(by)?;
        }
        if let Some(node) = &self.for_ {
            text.parameter(b"for=")?;
            text.node(node)?;
        }
        Ok(text.len)
    }
}

struct Text<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Text<'_> {
    fn put(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        let room = self
            .out
            .get_mut(self.len..self.len + piece.len())
            .ok_or(TooLong)?;
        room.copy_from_slice(piece);
        self.len += piece.len();
        Ok(())
    }

    fn parameter(&mut self, name: &[u8]) -> Result<(), TooLong> {
        if self.len > 0 {
            self.put(b";")?;
        }
        self.put(name)
    }

    fn node(&mut self, node: &Node) -> Result<(), TooLong> {
        let quoted = node.port.is_some() || matches!(node.name, NodeName::Ip(IpAddr::V6(_)));
        if quoted {
            self.put(b"\"")?;
        }
        match node.name {
            NodeName::Ip(addr @ IpAddr::V4(_)) => self.put(IpText::new(addr).as_bytes())?,
            NodeName::Ip(addr) => {
                self.put(b"[")?;
                self.put(IpText::new(addr).as_bytes())?;
                self.put(b"]")?;
            }
            NodeName::Unknown => self.put(b"unknown")?,
        }
        match node.port {
            None | Some(NodePort::Unknown) => {}
            Some(NodePort::Number(port)) => {
                self.put(b":")?;
                self.put(format_u64(u64::from(port), &mut [0; U64_DIGITS]))?;
            }
        }
        if quoted { self.put(b"\"") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(forwarded: Forwarded<'_>) -> String {
        let mut out = [0; 256];
        let len = forwarded.write(&mut out).expect("room");
        String::from_utf8_lossy(&out[..len]).into_owned()
    }

    fn ip(text: &str, port: Option<NodePort>) -> Option<Node> {
        Some(Node {
            name: NodeName::Ip(text.parse().expect("an address")),
            port,
        })
    }

    #[test]
    fn default_form() {
        let value = Forwarded {
            proto_tls: Some(false),
            for_: ip("192.0.2.1", None),
            ..Forwarded::default()
        };
        assert_eq!(text(value), "proto=http;for=192.0.2.1");
        let value = Forwarded {
            proto_tls: Some(true),
            for_: ip("2001:db8::1", None),
            ..Forwarded::default()
        };
        assert_eq!(text(value), "proto=https;for=\"[2001:db8::1]\"");
    }

    #[test]
    fn all_parameters() {
        let value = Forwarded {
            proto_tls: Some(false),
            host: Some(b"h.example"),
            by: ip("2001:db8::1", Some(NodePort::Number(0))),
            for_: Some(Node {
                name: NodeName::Unknown,
                port: Some(NodePort::Number(65535)),
            }),
        };
        assert_eq!(
            text(value),
            "proto=http;host=\"h.example\";by=\"[2001:db8::1]:0\";for=\"unknown:65535\""
        );
        let unknown = Node {
            name: NodeName::Unknown,
            port: Some(NodePort::Unknown),
        };
        assert_eq!(
            text(Forwarded {
                for_: Some(unknown),
                ..Forwarded::default()
            }),
            "for=\"unknown\""
        );
        assert_eq!(text(Forwarded::default()), "");
    }

    #[test]
    fn no_room() {
        let value = Forwarded {
            proto_tls: Some(true),
            ..Forwarded::default()
        };
        assert_eq!(value.write(&mut [0; 10]), Err(TooLong));
        assert_eq!(value.write(&mut [0; 11]), Ok(11));
    }
}
