//! Lower case and decimal numbers over raw bytes: ASCII alone, no locale anywhere.

/// Puts letters into lower case, in place; eight bytes at a time, since names are mostly longer than that.
pub fn fold(bytes: &mut [u8]) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in &mut *words {
        *word = lower8(u64::from_le_bytes(*word)).to_le_bytes();
    }
    if words.is_empty() || rest.is_empty() {
        rest.make_ascii_lowercase();
    } else if let Some(last) = bytes.last_chunk_mut::<8>() {
        // Once more over what is in lower case already.
        *last = lower8(u64::from_le_bytes(*last)).to_le_bytes();
    }
}

/// Bytes that [`format_u64`] may need.
pub const U64_DIGITS: usize = 20;

/// Writes a number in decimal into a scratch array. Returns the part that holds the digits.
pub fn format_u64(mut number: u64, scratch: &mut [u8; U64_DIGITS]) -> &[u8] {
    let mut at = U64_DIGITS;
    loop {
        at -= 1;
        scratch[at] = b'0' + (number % 10) as u8;
        number /= 10;
        // 2^64 has 20 digits: `number` is 0 by the time `at` is.
        if number == 0 || at == 0 {
            return &scratch[at..];
        }
    }
}

/// Eight bytes with their ASCII upper-case letters made lower-case.
#[must_use]
pub const fn lower8(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let seven = word & (0x7f * EACH);
    // The top bit of a byte: set when it is at least `A`, and when it is beyond `Z`.
    let from_a = seven + (0x80 - b'A' as u64) * EACH;
    let beyond_z = seven + (0x7f - b'Z' as u64) * EACH;
    let upper = (from_a ^ beyond_z) & !word & (0x80 * EACH);
    word | (upper >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_print(number in any::<u64>(), shift in 0..64u32) {
            let number = number >> shift;
            let mut scratch = [0; U64_DIGITS];
            let expected = number.to_string();
            prop_assert_eq!(format_u64(number, &mut scratch), expected.as_bytes());
        }
    }

    #[test]
    fn lower_case_by_words_is_that_by_bytes() {
        for byte in 0..=255_u8 {
            for len in 0..20 {
                let bytes: Vec<u8> = (0..len)
                    .map(|at| {
                        if at % 3 == 0 {
                            byte
                        } else {
                            b'A'.wrapping_add(at * 7)
                        }
                    })
                    .collect();
                let mut lowered = bytes.clone();
                fold(&mut lowered);
                assert_eq!(lowered, bytes.to_ascii_lowercase());
            }
        }
    }
}
