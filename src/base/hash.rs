//! Hash functions over whole inputs, without state.
//!
//! [`avalanche`] spreads a number over 32 bits and places servers on a ring as HAProxy does; [`xxh32`] and [`xxh64`]
//! follow the xxHash specification: names made anonymous look as HAProxy's, and keys of our own are xxh64.

/// Jenkins' full-avalanche integer hash and HAProxy's final multiplication: near keys land far apart.
#[must_use]
pub const fn avalanche(key: u32) -> u32 {
    let a = key.wrapping_add(0x7ed5_5d16).wrapping_add(key << 12);
    let a = (a ^ 0xc761_c23c) ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    let a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    let a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

mod xx32 {
    pub(super) const P1: u32 = 0x9e37_79b1;
    pub(super) const P2: u32 = 0x85eb_ca77;
    pub(super) const P3: u32 = 0xc2b2_ae3d;
    pub(super) const P4: u32 = 0x27d4_eb2f;
    pub(super) const P5: u32 = 0x1656_67b1;
}

mod xx64 {
    pub(super) const P1: u64 = 0x9e37_79b1_85eb_ca87;
    pub(super) const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
    pub(super) const P3: u64 = 0x1656_67b1_9e37_79f9;
    pub(super) const P4: u64 = 0x85eb_ca77_c2b2_ae63;
    pub(super) const P5: u64 = 0x27d4_eb2f_1656_67c5;
}

/// xxHash, 32 bits.
#[must_use]
pub fn xxh32(bytes: &[u8], seed: u32) -> u32 {
    use xx32::{P1, P2, P3, P4, P5};
    let (stripes, tail) = bytes.as_chunks::<16>();
    let mut hash = if stripes.is_empty() {
        seed.wrapping_add(P5)
    } else {
        let mut lanes = [
            seed.wrapping_add(P1).wrapping_add(P2),
            seed.wrapping_add(P2),
            seed,
            seed.wrapping_sub(P1),
        ];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<4>().0) {
                let word = u32::from_le_bytes(*word);
                *lane = lane
                    .wrapping_add(word.wrapping_mul(P2))
                    .rotate_left(13)
                    .wrapping_mul(P1);
            }
        }
        let [a, b, c, d] = lanes;
        a.rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18))
    };
    // The specification adds the length modulo 2^32.
    hash = hash.wrapping_add(bytes.len() as u32);
    let (words, rest) = tail.as_chunks::<4>();
    for word in words {
        hash = hash
            .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(P3))
            .rotate_left(17)
            .wrapping_mul(P4);
    }
    for &byte in rest {
        hash = hash
            .wrapping_add(u32::from(byte).wrapping_mul(P5))
            .rotate_left(11)
            .wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P3);
    hash ^ (hash >> 16)
}

/// xxHash, 64 bits. HAProxy seeds it with 0 where it has no other seed.
#[must_use]
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    use xx64::{P1, P2, P3, P4, P5};
    let round = |lane: u64, word: u64| {
        lane.wrapping_add(word.wrapping_mul(P2))
            .rotate_left(31)
            .wrapping_mul(P1)
    };
    let (stripes, tail) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        seed.wrapping_add(P5)
    } else {
        let mut lanes = [
            seed.wrapping_add(P1).wrapping_add(P2),
            seed.wrapping_add(P2),
            seed,
            seed.wrapping_sub(P1),
        ];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
                *lane = round(*lane, u64::from_le_bytes(*word));
            }
        }
        let [a, b, c, d] = lanes;
        let merged = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        lanes.iter().fold(merged, |hash, &lane| {
            (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4)
        })
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let (words, tail) = tail.as_chunks::<8>();
    for word in words {
        hash = (hash ^ round(0, u64::from_le_bytes(*word)))
            .rotate_left(27)
            .wrapping_mul(P1)
            .wrapping_add(P4);
    }
    let (words, rest) = tail.as_chunks::<4>();
    for word in words {
        let word = u64::from(u32::from_le_bytes(*word));
        hash = (hash ^ word.wrapping_mul(P1))
            .rotate_left(23)
            .wrapping_mul(P2)
            .wrapping_add(P3);
    }
    for &byte in rest {
        hash = (hash ^ u64::from(byte).wrapping_mul(P5))
            .rotate_left(11)
            .wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdefgh";

    #[test]
    fn published_check_values() {
        assert_eq!(xxh32(b"", 0), 0x02cc_5d05);
        assert_eq!(xxh64(b"", 0), 0xef46_db37_51d8_e999);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition", 0), 0xe229_3b2f);
        assert_eq!(
            xxh64(b"Nobody inspects the spammish repetition", 0),
            0xfbce_a83c_8a37_8bf1
        );
    }

    /// What the converters of HAProxy 3.4.0 answer for the same strings.
    #[test]
    fn as_haproxy_computes_them() {
        struct Row(&'static [u8], u32, i64, u32, i64, u32, u32);
        let rows = [
            Row(
                b"a",
                1_426_945_110,
                -3_292_477_735_350_538_661,
                3_666_002_600,
                -2_566_126_185_475_933_851,
                177_670,
                3_548_763_807,
            ),
            Row(
                b"123456789",
                2_474_356_071,
                -8_306_817_102_742_376_829,
                2_836_932_084,
                4_910_684_964_170_326_389,
                902_675_330,
                2_717_138_294,
            ),
            Row(
                LONG,
                254_321_644,
                5_625_046_287_052_581_467,
                1_021_132_904,
                -74_320_160_389_072_956,
                2_959_912_865,
                1_389_316_074,
            ),
            Row(
                b"www.example.com",
                2_877_219_856,
                8_593_773_211_378_266_670,
                4_057_166_411,
                -866_550_414_929_300_076,
                2_843_247_409,
                2_767_889_732,
            ),
        ];
        for Row(text, xx32, xx64, xx32_seed_7, xx64_seed_7, djb2, djb2_avalanche) in rows {
            assert_eq!(xxh32(text, 0), xx32);
            assert_eq!(xxh64(text, 0).cast_signed(), xx64);
            assert_eq!(xxh32(text, 7), xx32_seed_7);
            assert_eq!(xxh64(text, 7).cast_signed(), xx64_seed_7);
            assert_eq!(avalanche(djb2), djb2_avalanche);
        }
    }
}
