//! Character classes, case folding and numbers over raw bytes, by table.
//!
//! Classes are those of RFC 9110 (token, field value) and RFC 9112; names of headers and methods of comparing
//! them ignore ASCII case only. Numbers are decimal, without sign or blanks, and overflow is an error: what
//! Content-Length asks for. No locale anywhere.

/// `tchar` of RFC 9110: what header names and methods are made of.
pub const TOKEN: u8 = 1;
/// What a field value may hold beside obs-text: visible characters, space and tab.
pub const FIELD: u8 = 1 << 1;
/// Decimal digits.
pub const DIGIT: u8 = 1 << 2;
/// Hexadecimal digits.
pub const HEX: u8 = 1 << 3;
/// Letters.
pub const ALPHA: u8 = 1 << 4;
/// Space and tab, the OWS of RFC 9110.
pub const BLANK: u8 = 1 << 5;
/// Control characters and DEL.
pub const CONTROL: u8 = 1 << 6;
/// Bytes above 127: obs-text.
pub const HIGH: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        let mut class = 0;
        if byte.is_ascii_digit() {
            class |= DIGIT;
        }
        if byte.is_ascii_hexdigit() {
            class |= HEX;
        }
        if byte.is_ascii_alphabetic() {
            class |= ALPHA;
        }
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            class |= TOKEN;
        }
        if byte == b' ' || byte == b'\t' {
            class |= BLANK;
        }
        if byte == b' ' || byte == b'\t' || byte.is_ascii_graphic() {
            class |= FIELD;
        }
        if byte.is_ascii_control() {
            class |= CONTROL;
        }
        if byte >= 128 {
            class |= HIGH;
        }
        table[i] = class;
        i += 1;
    }
    table
}

/// Whether a byte is in one of the classes, or-ed together.
#[must_use]
pub fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// Whether every byte is in one of the classes. True for none.
#[must_use]
pub fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|&byte| is(byte, class))
}

/// The offset of the first byte in none of the classes.
#[must_use]
pub fn first_not(bytes: &[u8], class: u8) -> Option<usize> {
    bytes.iter().position(|&byte| !is(byte, class))
}

/// Whether the bytes are a token: at least one, and all `tchar`.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// Whether two strings are the same but for ASCII case.
#[must_use]
pub fn eq_fold(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Whether `bytes` begin with `prefix`, ASCII case aside.
#[must_use]
pub fn starts_fold(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes
        .get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// The offset of the first occurrence of `needle`, ASCII case aside.
#[must_use]
pub fn find_fold(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack
        .windows(needle.len())
        .position(|window| window.eq_ignore_ascii_case(needle))
}

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

/// Without blanks (space, tab) at both ends.
#[must_use]
pub fn trim(bytes: &[u8]) -> &[u8] {
    let start = first_not(bytes, BLANK).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|&byte| !is(byte, BLANK))
        .map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The comma-separated elements of a header value, trimmed, empty ones left out (RFC 9110, 5.6.1). Commas
/// within quoted strings separate too, as nothing that is read this way may hold them.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Why a number was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberError {
    /// Nothing there.
    Empty,
    /// A byte that is no digit.
    NotADigit,
    /// More than a `u64` holds.
    Overflow,
}

/// A decimal number, the whole of `bytes`.
///
/// # Errors
/// On no digits, any other byte, or more than 64 bits.
pub fn parse_u64(bytes: &[u8]) -> Result<u64, NumberError> {
    parse_radix(bytes, 10)
}

/// A hexadecimal number in either case, the whole of `bytes`, without prefix: the size of a chunk.
///
/// # Errors
/// As [`parse_u64`].
pub fn parse_hex_u64(bytes: &[u8]) -> Result<u64, NumberError> {
    parse_radix(bytes, 16)
}

fn parse_radix(bytes: &[u8], radix: u32) -> Result<u64, NumberError> {
    if bytes.is_empty() {
        return Err(NumberError::Empty);
    }
    let mut number = 0u64;
    for &byte in bytes {
        let digit = char::from(byte).to_digit(radix).ok_or(NumberError::NotADigit)?;
        number = number
            .checked_mul(u64::from(radix))
            .and_then(|n| n.checked_add(u64::from(digit)))
            .ok_or(NumberError::Overflow)?;
    }
    Ok(number)
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

/// Bytes that [`format_hex_u64`] may need.
pub const U64_HEX_DIGITS: usize = 16;

/// Writes a number in lower-case hexadecimal into a scratch array. Returns the part that holds the digits.
pub fn format_hex_u64(mut number: u64, scratch: &mut [u8; U64_HEX_DIGITS]) -> &[u8] {
    let mut at = U64_HEX_DIGITS;
    loop {
        at -= 1;
        scratch[at] = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
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

    #[test]
    fn classes_are_those_of_the_rfc() {
        let tokens = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for byte in 0..=255u8 {
            assert_eq!(is(byte, TOKEN), tokens.contains(&byte), "{byte}");
            assert_eq!(is(byte, FIELD), byte == 9 || (32..127).contains(&byte), "{byte}");
            assert_eq!(is(byte, CONTROL), byte < 32 || byte == 127, "{byte}");
            assert_eq!(is(byte, HIGH), byte >= 128, "{byte}");
            assert_eq!(is(byte, BLANK), byte == 9 || byte == 32, "{byte}");
        }
        assert!(is_token(b"Content-Length"));
        assert!(!is_token(b""));
        assert!(!is_token(b"a b"));
        assert_eq!(first_not(b"abc: d", TOKEN), Some(3));
        assert!(all(b"09afAF", HEX) && all(b"09", DIGIT) && all(b"azAZ", ALPHA));
        assert!(all(b"", HEX));
    }

    #[test]
    fn folding() {
        assert!(eq_fold(b"Keep-Alive", b"kEEP-aLIVE"));
        // Differ in the bit of case, but are no letters.
        assert!(!eq_fold(b"[", b"{"));
        assert!(starts_fold(b"Bearer x", b"bearer "));
        assert!(!starts_fold(b"Be", b"bearer"));
        assert_eq!(find_fold(b"a=1; CHUNKED", b"chunked"), Some(5));
        assert_eq!(find_fold(b"a", b"chunked"), None);
        assert_eq!(find_fold(b"a", b""), Some(0));
        let mut name = *b"X-Forwarded-For";
        fold(&mut name);
        assert_eq!(&name, b"x-forwarded-for");
    }

    #[test]
    fn blanks_and_elements() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b""), b"");
        assert!(elements(b" close ,, Upgrade\t,").eq([&b"close"[..], b"Upgrade"]));
        assert_eq!(elements(b" , ").count(), 0);
    }

    #[test]
    fn numbers() {
        assert_eq!(parse_u64(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), Err(NumberError::Overflow));
        assert_eq!(parse_u64(b"000000000000000000000000000007"), Ok(7));
        assert_eq!(parse_u64(b""), Err(NumberError::Empty));
        assert_eq!(parse_u64(b"+1"), Err(NumberError::NotADigit));
        assert_eq!(parse_u64(b"1 "), Err(NumberError::NotADigit));
        assert_eq!(parse_hex_u64(b"fFfFffffffffffff"), Ok(u64::MAX));
        assert_eq!(parse_hex_u64(b"10000000000000000"), Err(NumberError::Overflow));
        assert_eq!(parse_hex_u64(b"0x1"), Err(NumberError::NotADigit));
    }

    proptest! {
        #[test]
        fn numbers_print_and_parse_back(number in any::<u64>(), shift in 0..64u32) {
            let number = number >> shift;
            let mut scratch = [0; U64_DIGITS];
            let digits = format_u64(number, &mut scratch);
            let expected = number.to_string();
            prop_assert_eq!(digits, expected.as_bytes());
            prop_assert_eq!(parse_u64(digits), Ok(number));
            let mut scratch = [0; U64_HEX_DIGITS];
            let digits = format_hex_u64(number, &mut scratch);
            let expected = format!("{number:x}");
            prop_assert_eq!(digits, expected.as_bytes());
            prop_assert_eq!(parse_hex_u64(digits), Ok(number));
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
