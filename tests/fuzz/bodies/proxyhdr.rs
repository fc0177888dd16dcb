//! Fuzz body: any bytes as a PROXY protocol header.
//!
//! What must hold: no panic; a verdict on a prefix stays; and a header that names addresses, encoded again in
//! either version, decodes to the same addresses.

use rproxy::proto::proxyhdr::{Tlvs, decode, encode_v1, encode_v2};

const LIMIT: usize = 16384;

/// Runs one input. The first byte says how much comes first.
pub(crate) fn run(data: &[u8]) {
    let [split, input @ ..] = data else { return };
    let whole = decode(input, LIMIT);
    let early = decode(&input[..usize::from(*split).min(input.len())], LIMIT);
    if early != Ok(None) {
        assert_eq!(early, whole);
    }
    let Ok(Some(header)) = whole else { return };
    assert!(header.len <= input.len());
    assert!(!header.sound || Tlvs::new(&input[header.tlvs.clone()]).all(|item| item.is_ok()));
    let mut out = [0; 107];
    let len = encode_v1(header.addresses, &mut out).expect("107 bytes always suffice");
    let one = decode(&out[..len], LIMIT).expect("valid").expect("whole");
    let len = encode_v2(header.addresses, &[], &mut out).expect("107 bytes always suffice");
    let two = decode(&out[..len], LIMIT).expect("valid").expect("whole");
    assert_eq!(one.addresses, two.addresses);
    if let (Some(addresses), Some(again)) = (header.addresses, two.addresses) {
        let narrow = |addr: std::net::SocketAddr| (addr.ip().to_canonical(), addr.port());
        assert_eq!(
            (narrow(addresses.0), narrow(addresses.1)),
            (narrow(again.0), narrow(again.1))
        );
    }
}
