//! The PROXY protocol header, versions 1 and 2: what a load balancer in front says of the client, and what we
//! say to a server behind.
//!
//! [`decode`] takes the bytes read so far and asks for more until the header is whole; it refuses a wrong byte
//! as soon as it can be told. HAProxy 3.4.0 is followed in what it refuses (lines after `UNKNOWN`, TLVs that do
//! not end with the header, a wrong CRC32c, its length limits), with four differences on purpose: a header
//! may come in several segments; the addresses and ports of version 1 must be well-formed; families other than
//! TCP over IP, and LOCAL with an address block, are accepted as the specification asks and as the manual
//! says; and only one CRC32c may stand in a header.
//! Source: the PROXY protocol specification, versions 1 and 2.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;

use crate::base::iptext::IpText;

/// First bytes of a version 2 header.
pub const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 header without addresses and TLVs.
const V2_FIXED: usize = 16;
/// Longest version 1 line by its specification, CR LF included.
const V1_MAX: usize = 107;
/// Longest value of any TLV, of an authority, of a unique id.
const TLV_MAX: usize = 1024;
const AUTHORITY_MAX: usize = 255;
const UNIQUE_ID_MAX: usize = 128;

/// Types of TLVs with a meaning of their own.
pub mod tlv {
    /// Application protocol (ALPN).
    pub const ALPN: u8 = 0x01;
    /// Host name that the client asked for.
    pub const AUTHORITY: u8 = 0x02;
    /// Checksum of the header.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// Identity of the connection.
    pub const UNIQUE_ID: u8 = 0x05;
    /// What is known of the client's TLS.
    pub const SSL: u8 = 0x20;
    /// Network namespace.
    pub const NETNS: u8 = 0x30;
}

/// Why a header is refused; each has its own connection error in HAProxy's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProxyError {
    /// The stream does not begin with a PROXY header.
    #[error("received something which does not look like a PROXY protocol header")]
    NotHeader,
    /// The header is malformed.
    #[error("received an invalid PROXY protocol header")]
    BadHeader,
    /// A version 1 line names an unknown protocol.
    #[error("received an unhandled protocol in the PROXY protocol header")]
    BadProtocol,
    /// The header does not fit in a buffer.
    #[error("truncated PROXY protocol header received")]
    TooLong,
}

/// Address family and transport that a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Not told (`UNKNOWN`, `UNSPEC`, or a value of no known meaning).
    Unspecified,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
    /// Unix stream socket.
    UnixStream,
    /// Unix datagram socket.
    UnixDatagram,
}

impl Family {
    const fn from_v2(byte: u8) -> Self {
        match byte {
            0x11 => Self::Tcp4,
            0x12 => Self::Udp4,
            0x21 => Self::Tcp6,
            0x22 => Self::Udp6,
            0x31 => Self::UnixStream,
            0x32 => Self::UnixDatagram,
            _ => Self::Unspecified,
        }
    }

    /// Bytes of the address block in version 2.
    const fn v2_len(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Tcp4 | Self::Udp4 => 12,
            Self::Tcp6 | Self::Udp6 => 36,
            Self::UnixStream | Self::UnixDatagram => 216,
        }
    }
}

/// A decoded header. It refers to the input by offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the header: what follows belongs to the client.
    pub len: usize,
    /// The sender speaks for itself (health checks): the connection keeps its own addresses.
    pub local: bool,
    /// What the header names.
    pub family: Family,
    /// Source and destination, for TCP over IP; for all else the connection keeps its own.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Where the TLVs stand in the input; walk them with [`Tlvs`].
    pub tlvs: Range<usize>,
    /// The TLVs are well-formed and the checksum, if there is one, is right. If not, the connection is refused, but its
    /// source is known.
    pub sound: bool,
}

/// Reads a header from the front of `input`. `None`: more bytes are needed. `limit` is the largest header in
/// bytes that the caller can hold.
pub fn decode(input: &[u8], limit: usize) -> Result<Option<Header>, ProxyError> {
    const V1: &[u8] = b"PROXY ";
    let begins = |sign: &[u8]| input.iter().zip(sign).all(|(byte, sign)| byte == sign);
    let found = if begins(V1) {
        if input.len() < V1.len() {
            None
        } else {
            decode_v1(input)?
        }
    } else if begins(V2_SIGNATURE) {
        decode_v2(input, limit)?
    } else {
        return Err(ProxyError::NotHeader);
    };
    if found.is_none() && input.len() >= limit {
        return Err(ProxyError::TooLong);
    }
    Ok(found)
}

fn decode_v1(input: &[u8]) -> Result<Option<Header>, ProxyError> {
    let rest = input.get(6..).unwrap_or_default();
    let known = [&b"TCP4 "[..], b"TCP6 ", b"UNKNOWN\r\n"];
    let Some(sign) = known
        .into_iter()
        .find(|sign| rest.iter().zip(*sign).all(|(byte, sign)| byte == sign))
    else {
        return Err(ProxyError::BadProtocol);
    };
    let Some(line_len) = input.iter().take(V1_MAX).position(|&byte| byte == b'\n') else {
        return if input.len() >= V1_MAX {
            Err(ProxyError::BadHeader)
        } else {
            Ok(None)
        };
    };
    let len = line_len + 1;
    let line = input
        .get(6..line_len)
        .and_then(|line| line.strip_suffix(b"\r"))
        .ok_or(ProxyError::BadHeader)?;
    let (family, addresses) = match sign {
        b"TCP4 " => (Family::Tcp4, Some(v1_addresses::<Ipv4Addr>(line)?)),
        b"TCP6 " => (Family::Tcp6, Some(v1_addresses::<Ipv6Addr>(line)?)),
        _ => (Family::Unspecified, None),
    };
    Ok(Some(Header {
        len,
        local: false,
        family,
        addresses,
        tlvs: len..len,
        sound: true,
    }))
}

/// Reads `TCPx source destination port port`.
fn v1_addresses<A: FromStr + Into<IpAddr>>(line: &[u8]) -> Result<(SocketAddr, SocketAddr), ProxyError> {
    let text = std::str::from_utf8(line).map_err(|_| ProxyError::BadHeader)?;
    let mut words = text.split(' ').skip(1);
    let mut word = || words.next().ok_or(ProxyError::BadHeader);
    let addr = |word: &str| {
        word.parse::<A>()
            .map(Into::into)
            .map_err(|_| ProxyError::BadHeader)
    };
    let port = |word: &str| match word.bytes().all(|byte| byte.is_ascii_digit()) {
        true => word.parse::<u16>().map_err(|_| ProxyError::BadHeader),
        false => Err(ProxyError::BadHeader),
    };
    let (source, destination) = (addr(word()?)?, addr(word()?)?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(ProxyError::BadHeader);
    }
    Ok((
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    ))
}

fn decode_v2(input: &[u8], limit: usize) -> Result<Option<Header>, ProxyError> {
    let Some(&version_command) = input.get(12) else {
        return Ok(None);
    };
    if version_command & 0xf0 != 0x20 {
        return Err(ProxyError::NotHeader);
    }
    let local = match version_command & 0x0f {
        0 => true,
        1 => false,
        _ => return Err(ProxyError::BadHeader),
    };
    let (Some(&family), Some(&[high, low])) = (input.get(13), input.get(14..16)) else {
        return Ok(None);
    };
    let len = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > limit {
        return Err(ProxyError::TooLong);
    }
    let Some(header) = input.get(..len) else {
        return Ok(None);
    };
    let family = Family::from_v2(family);
    let unspecified = family == Family::Unspecified;
    let block_end = V2_FIXED + family.v2_len();
    // Without a family the length of the address block is unknown; TLVs can only follow a local header.
    let tlvs = match unspecified && !local {
        true => len..len,
        false => block_end..len,
    };
    let block = match header.get(V2_FIXED..block_end) {
        Some(block) => block,
        None if local => &[],
        None => return Err(ProxyError::BadHeader),
    };
    let tlvs = if tlvs.start > len { len..len } else { tlvs };
    let sound = check_tlvs(header, tlvs.clone()).is_ok();
    let addresses = if local { None } else { v2_addresses(family, block) };
    Ok(Some(Header {
        len,
        local,
        family,
        addresses,
        tlvs,
        sound,
    }))
}

fn v2_addresses(family: Family, block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| Some(u16::from_be_bytes(block.get(at..at + 2)?.try_into().ok()?));
    match family {
        Family::Tcp4 => {
            let addr = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(block.get(at..at + 4)?).ok()?));
            Some((
                SocketAddr::new(addr(0)?.into(), port(8)?),
                SocketAddr::new(addr(4)?.into(), port(10)?),
            ))
        }
        Family::Tcp6 => {
            let addr = |at: usize| {
                Some(Ipv6Addr::from(
                    <[u8; 16]>::try_from(block.get(at..at + 16)?).ok()?,
                ))
            };
            Some((
                SocketAddr::new(addr(0)?.into(), port(32)?),
                SocketAddr::new(addr(16)?.into(), port(34)?),
            ))
        }
        _ => None,
    }
}

/// The TLVs must end with the header, keep their limits, and the checksum must be right.
fn check_tlvs(header: &[u8], range: Range<usize>) -> Result<(), ProxyError> {
    let mut at = range.start;
    let mut checked = false;
    for item in Tlvs::new(header.get(range).unwrap_or_default()) {
        let (kind, value) = item?;
        let value_at = at + 3;
        at = value_at + value.len();
        let max = match kind {
            tlv::AUTHORITY => AUTHORITY_MAX,
            tlv::UNIQUE_ID => UNIQUE_ID_MAX,
            _ => TLV_MAX,
        };
        if value.len() > max {
            return Err(ProxyError::BadHeader);
        }
        if kind == tlv::CRC32C {
            let sum = <[u8; 4]>::try_from(value)
                .map(u32::from_be_bytes)
                .map_err(|_| ProxyError::BadHeader)?;
            let (before, after) = (header.get(..value_at), header.get(at..));
            let pieces = [before.unwrap_or_default(), &[0; 4], after.unwrap_or_default()];
            if checked || crc32c(&pieces) != sum {
                return Err(ProxyError::BadHeader);
            }
            checked = true;
        }
    }
    Ok(())
}

/// Walks TLVs: (type, value). An item that does not fit is an error, and the last one.
#[derive(Debug, Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// Walks the TLVs in `bytes`: the part of the input that [`Header::tlvs`] names, or the value of a TLV of
    /// type [`tlv::SSL`] after its first five bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<(u8, &'a [u8]), ProxyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.rest);
        match bytes {
            [] => None,
            [kind, high, low, rest @ ..] => {
                match rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) {
                    Some((value, rest)) => {
                        self.rest = rest;
                        Some(Ok((*kind, value)))
                    }
                    None => Some(Err(ProxyError::BadHeader)),
                }
            }
            _ => Some(Err(ProxyError::BadHeader)),
        }
    }
}

/// A TLV to send.
#[derive(Debug, Clone, Copy)]
pub enum Tlv<'a> {
    /// Type and value.
    Value(u8, &'a [u8]),
    /// The checksum of the whole header.
    Crc32c,
}

/// Writes a version 1 line; gives its length, or nothing when `out` is too small (107 bytes always suffice).
/// Without addresses (unix sockets) the line says `UNKNOWN`.
pub fn encode_v1(addresses: Option<(SocketAddr, SocketAddr)>, out: &mut [u8]) -> Option<usize> {
    let room = out.len();
    let mut rest = out;
    let Some((source, destination)) = addresses else {
        rest.write_all(b"PROXY UNKNOWN\r\n").ok()?;
        return Some(room - rest.len());
    };
    let (proto, from, to) = same_family(source.ip(), destination.ip());
    for piece in [
        &b"PROXY "[..],
        proto,
        b" ",
        IpText::new(from).as_bytes(),
        b" ",
        IpText::new(to).as_bytes(),
    ] {
        rest.write_all(piece).ok()?;
    }
    write!(rest, " {} {}\r\n", source.port(), destination.port()).ok()?;
    Some(room - rest.len())
}

/// Both addresses in IPv4, or both in IPv6 (mapped).
fn same_family(source: IpAddr, destination: IpAddr) -> (&'static [u8], IpAddr, IpAddr) {
    if source.is_ipv4() && destination.is_ipv4() {
        return (b"TCP4", source, destination);
    }
    let wide = |addr: IpAddr| match addr {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        wide => wide,
    };
    (b"TCP6", wide(source), wide(destination))
}

/// Writes a version 2 header; gives its length, or nothing when it does not fit in `out` or in 16 bits.
/// Without addresses (unix sockets, or a connection of the proxy's own such as a check) it says `LOCAL`.
pub fn encode_v2(
    addresses: Option<(SocketAddr, SocketAddr)>,
    tlvs: &[Tlv<'_>],
    out: &mut [u8],
) -> Option<usize> {
    let room = out.len();
    let mut rest = &mut *out;
    let (command, family) = match addresses {
        None => (0x20, 0x00),
        Some((source, destination)) if source.is_ipv4() && destination.is_ipv4() => (0x21, 0x11),
        Some(_) => (0x21, 0x21),
    };
    rest.write_all(V2_SIGNATURE).ok()?;
    rest.write_all(&[command, family, 0, 0]).ok()?;
    if let Some((source, destination)) = addresses {
        let (_, from, to) = same_family(source.ip(), destination.ip());
        for addr in [from, to] {
            match addr {
                IpAddr::V4(v4) => rest.write_all(&v4.octets()).ok()?,
                IpAddr::V6(v6) => rest.write_all(&v6.octets()).ok()?,
            }
        }
        rest.write_all(&source.port().to_be_bytes()).ok()?;
        rest.write_all(&destination.port().to_be_bytes()).ok()?;
    }
    let mut sum_at = None;
    for item in tlvs {
        let (kind, value) = match *item {
            Tlv::Value(kind, value) => (kind, value),
            Tlv::Crc32c => {
                sum_at = Some(room - rest.len() + 3);
                (tlv::CRC32C, &[0_u8; 4][..])
            }
        };
        let [high, low] = u16::try_from(value.len()).ok()?.to_be_bytes();
        rest.write_all(&[kind, high, low]).ok()?;
        rest.write_all(value).ok()?;
    }
    let len = room - rest.len();
    let payload = u16::try_from(len - V2_FIXED).ok()?;
    out.get_mut(14..16)?.copy_from_slice(&payload.to_be_bytes());
    if let Some(at) = sum_at {
        let sum = crc32c(&[out.get(..len)?]);
        out.get_mut(at..at + 4)?.copy_from_slice(&sum.to_be_bytes());
    }
    Some(len)
}

/// CRC32c (Castagnoli) by bytes.
static CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                (sum >> 1) ^ 0x82f6_3b78
            } else {
                sum >> 1
            };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

fn crc32c(pieces: &[&[u8]]) -> u32 {
    let bytes = pieces.iter().copied().flatten();
    !bytes.fold(!0_u32, |sum, &byte| {
        (sum >> 8) ^ CRC32C[((sum ^ u32::from(byte)) & 0xff) as usize]
    })
}

#[cfg(test)]
mod tests;
