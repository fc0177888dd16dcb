//! Tests of the PROXY header: families, limits, refusals, round trips.

use proptest::prelude::*;

use super::*;

/// What is made of a whole input; TLVs that are not what they should be count as a bad header.
fn whole(input: &[u8]) -> Result<Option<Header>, ProxyError> {
    match decode(input, 16384) {
        Ok(Some(header)) if !header.sound => Err(ProxyError::BadHeader),
        other => other,
    }
}

fn addrs(source: &str, destination: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((
        source.parse().expect("an address"),
        destination.parse().expect("an address"),
    ))
}

#[test]
fn version_1() {
    let header = whole(b"PROXY TCP4 1.2.3.4 5.6.7.8 11 22\r\nGET /")
        .expect("valid")
        .expect("whole");
    assert_eq!((header.len, header.family), (34, Family::Tcp4));
    assert_eq!(header.addresses, addrs("1.2.3.4:11", "5.6.7.8:22"));
    let header = whole(b"PROXY TCP6 ::1 ::ffff:1.2.3.4 0 65535\r\n")
        .expect("valid")
        .expect("whole");
    assert_eq!(header.addresses, addrs("[::1]:0", "[::ffff:1.2.3.4]:65535"));
    let header = whole(b"PROXY UNKNOWN\r\n").expect("valid").expect("whole");
    assert_eq!((header.len, header.addresses), (15, None));
}

#[test]
fn version_1_refusals() {
    use ProxyError::{BadHeader, BadProtocol, NotHeader};
    for (line, error) in [
        (&b"GET / HTTP/1.1\r\n"[..], NotHeader),
        (b"proxy TCP4 ", NotHeader),
        (b"PROXY TCP5 1.2.3.4", BadProtocol),
        (b"PROXY UNKNOWN foo\r\n", BadProtocol),
        (b"PROXY UNKNOWN \r\n", BadProtocol),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", BadHeader),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", BadHeader),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", BadHeader),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", BadHeader),
        (b"PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n", BadHeader),
        (b"PROXY TCP4 1.2.3.999 5.6.7.8 1 2\r\n", BadHeader),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", BadHeader),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", BadHeader),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", BadHeader),
        (b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n", BadHeader),
    ] {
        assert_eq!(whole(line), Err(error), "{}", String::from_utf8_lossy(line));
    }
    let endless = [&b"PROXY TCP4 "[..], &[b'1'; 120]].concat();
    assert_eq!(whole(&endless), Err(BadHeader));
    assert_eq!(decode(b"PROXY TCP4 1", 12), Err(ProxyError::TooLong));
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend(payload);
    header
}

#[test]
fn version_2_families() {
    let block = [1, 2, 3, 4, 5, 6, 7, 8, 0, 11, 0, 22];
    let header = whole(&v2(0x21, 0x11, &block)).expect("valid").expect("whole");
    assert_eq!(header.addresses, addrs("1.2.3.4:11", "5.6.7.8:22"));
    for (family, len, name) in [
        (0x00, 0, Family::Unspecified),
        (0x12, 12, Family::Udp4),
        (0x22, 36, Family::Udp6),
        (0x31, 216, Family::UnixStream),
        (0x32, 216, Family::UnixDatagram),
        (0x77, 40, Family::Unspecified),
    ] {
        let header = whole(&v2(0x21, family, &vec![7; len]))
            .expect("valid")
            .expect("whole");
        assert_eq!((header.family, header.addresses), (name, None), "{family:#x}");
    }
    for (family, len) in [(0x11, 11), (0x21, 35), (0x31, 215)] {
        assert_eq!(
            whole(&v2(0x21, family, &vec![7; len])),
            Err(ProxyError::BadHeader),
            "{family:#x}"
        );
    }
    let header = whole(&v2(0x20, 0, &[0xee, 0, 1, b'x']))
        .expect("valid")
        .expect("whole");
    assert!(header.local && header.tlvs == (16..20));
    assert!(
        whole(&v2(0x20, 0x11, &block))
            .expect("valid")
            .expect("whole")
            .addresses
            .is_none()
    );
    assert_eq!(whole(&v2(0x22, 0x11, &block)), Err(ProxyError::BadHeader));
    assert_eq!(whole(&v2(0x11, 0x11, &block)), Err(ProxyError::NotHeader));
}

#[test]
fn version_2_tlvs() {
    let with = |tlvs: &[u8]| v2(0x21, 0x11, &[&[0_u8; 12][..], tlvs].concat());
    let tlv = |kind: u8, len: usize| [&[kind, (len >> 8) as u8, len as u8][..], &vec![b'a'; len]].concat();
    for (kind, len, good) in [
        (0xee, 0, true),
        (0xee, 1024, true),
        (0xee, 1025, false),
        (tlv::AUTHORITY, 255, true),
        (tlv::AUTHORITY, 256, false),
        (tlv::UNIQUE_ID, 128, true),
        (tlv::UNIQUE_ID, 129, false),
        (tlv::CRC32C, 4, false),
        (tlv::CRC32C, 3, false),
    ] {
        assert_eq!(whole(&with(&tlv(kind, len))).is_ok(), good, "{kind:#x} {len}");
    }
    for cut in 1..6 {
        let short = tlv(0xee, 3);
        assert_eq!(whole(&with(&short[..cut])), Err(ProxyError::BadHeader), "{cut}");
    }
    assert_eq!(decode(&with(&[0xee; 3000]), 2048), Err(ProxyError::TooLong));
}

#[test]
fn checksum() {
    assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
    let mut out = [0; 256];
    let tlvs = [Tlv::Crc32c, Tlv::Value(tlv::UNIQUE_ID, b"id")];
    let len = encode_v2(addrs("1.2.3.4:11", "[::1]:22"), &tlvs, &mut out).expect("room");
    let header = whole(&out[..len]).expect("valid").expect("whole");
    assert_eq!(header.addresses, addrs("[::ffff:1.2.3.4]:11", "[::1]:22"));
    let found: Vec<_> = Tlvs::new(&out[header.tlvs])
        .map(|item| item.expect("valid").0)
        .collect();
    assert_eq!(found, [tlv::CRC32C, tlv::UNIQUE_ID]);
    out[len - 1] ^= 1;
    assert_eq!(whole(&out[..len]), Err(ProxyError::BadHeader));
}

#[test]
fn encoded_lines() {
    let mut out = [0; 107];
    let mut line = |addresses| {
        let len = encode_v1(addresses, &mut out).expect("room");
        String::from_utf8_lossy(&out[..len]).into_owned()
    };
    assert_eq!(line(None), "PROXY UNKNOWN\r\n");
    assert_eq!(
        line(addrs("1.2.3.4:1", "5.6.7.8:2")),
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"
    );
    assert_eq!(
        line(addrs("1.2.3.4:1", "[::2]:2")),
        "PROXY TCP6 ::ffff:1.2.3.4 ::2 1 2\r\n"
    );
    assert_eq!(encode_v1(None, &mut [0; 14]), None);
    assert_eq!(encode_v2(None, &[], &mut [0; 15]), None);
    assert_eq!(encode_v2(None, &[], &mut [0; 16]), Some(16));
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces(mut input in prop::collection::vec(any::<u8>(), 0..300), start in 0..4) {
        let fronts = [&b""[..], b"PROXY TCP4 1.2.3.4 5.6.7.8 ", V2_SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x20"];
        input.splice(0..0, fronts[start as usize].iter().copied());
        let verdict = whole(&input);
        for cut in 0..input.len() {
            match whole(&input[..cut]) {
                Ok(None) => {}
                early => {
                    // What a prefix decides, the rest cannot change.
                    prop_assert_eq!(&early, &verdict);
                    break;
                }
            }
        }
    }

    #[test]
    fn round_trip(
        source: (u32, u16), destination: (u128, u16), wide: bool,
        values in prop::collection::vec((0x10_u8.., prop::collection::vec(any::<u8>(), 0..40)), 0..5),
    ) {
        let from = SocketAddr::new(Ipv4Addr::from(source.0).into(), source.1);
        let to_ip: IpAddr = if wide { Ipv6Addr::from(destination.0).into() } else { Ipv4Addr::from(destination.0 as u32).into() };
        let to = SocketAddr::new(to_ip, destination.1);
        let (_, from_ip, to_ip) = same_family(from.ip(), to.ip());
        let expected = Some((SocketAddr::new(from_ip, from.port()), SocketAddr::new(to_ip, to.port())));
        let mut out = [0; 512];
        let len = encode_v1(Some((from, to)), &mut out).expect("room");
        prop_assert_eq!(whole(&out[..len]).expect("valid").expect("whole").addresses, expected);
        let mut tlvs: Vec<_> = values.iter().map(|(kind, value)| Tlv::Value(*kind, value)).collect();
        tlvs.push(Tlv::Crc32c);
        let len = encode_v2(Some((from, to)), &tlvs, &mut out).expect("room");
        let header = whole(&out[..len]).expect("valid").expect("whole");
        prop_assert_eq!(header.addresses, expected);
        let found: Vec<_> = Tlvs::new(&out[header.tlvs]).map(|item| item.expect("valid")).collect();
        for ((kind, value), (found_kind, found_value)) in values.iter().zip(found) {
            prop_assert_eq!((*kind, &value[..]), (found_kind, found_value));
        }
    }
}
