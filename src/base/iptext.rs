//! IP addresses as text, without allocating.
//!
//! For logs, headers and the PROXY protocol: the forms are those of inet_ntop(3) of the GNU C library, which differ
//! from Rust's for IPv4-compatible addresses (`::1.2.3.4`). Source: RFC 4291 section 2.2, RFC 5952.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest text, as in `INET6_ADDRSTRLEN` without its NUL.
const LEN_MAX: usize = 45;

/// An address laid out.
#[derive(Clone, Copy, Debug)]
pub struct IpText {
    bytes: [u8; LEN_MAX],
    len: usize,
}

impl IpText {
    /// Lays the address out.
    pub fn new(ip: IpAddr) -> Self {
        let mut bytes = [0; LEN_MAX];
        let len = match ip {
            // What nearly every line of a log begins with: without the detour of formatting.
            IpAddr::V4(ip) => dotted(ip.octets(), &mut bytes),
            IpAddr::V6(ip) => {
                let mut left = bytes.as_mut_slice();
                // 45 bytes hold any address, so that writing cannot fail.
                let _ = match compatible(ip) {
                    Some(ip) => write!(left, "::{ip}"),
                    None => write!(left, "{ip}"),
                };
                LEN_MAX - left.len()
            }
        };
        Self { bytes, len }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Lays four numbers out between dots; returns how many bytes that took.
fn dotted(octets: [u8; 4], bytes: &mut [u8; LEN_MAX]) -> usize {
    let mut at = 0;
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            bytes[at] = b'.';
            at += 1;
        }
        if octet >= 100 {
            bytes[at] = b'0' + octet / 100;
            at += 1;
        }
        if octet >= 10 {
            bytes[at] = b'0' + octet / 10 % 10;
            at += 1;
        }
        bytes[at] = b'0' + octet % 10;
        at += 1;
    }
    at
}

/// The IPv4 address at the end of an address that begins with exactly 96 zero bits.
fn compatible(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(ip);
    let low = u32::try_from(bits).ok()?;
    (low > 0xffff).then(|| Ipv4Addr::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_inet_ntop() {
        for (ip, text) in [
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("10.9.100.99", "10.9.100.99"),
            ("::", "::"),
            ("::1", "::1"),
            ("::ffff", "::ffff"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::1:0", "::0.1.0.0"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            (
                "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
        ] {
            assert_eq!(
                IpText::new(ip.parse().expect("literal")).as_bytes(),
                text.as_bytes()
            );
        }
    }
}
