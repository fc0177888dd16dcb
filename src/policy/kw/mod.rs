//! Keyword rows that only set fields, by subject. Each file holds its rows and the fns that read their
//! arguments into a [`Draft`]; what several files share stands here.
//!
//! Numbers are read as HAProxy reads them, keyword by keyword: some insist on a whole number, others take the
//! digits a word begins with and ignore what follows (`leading_int`). The latter leave a hint for diagnostic
//! mode, so that a file that HAProxy accepts is accepted, and `-dD` still shows the slip.

pub mod bind;
pub mod errorfile;
pub mod global;
pub mod log;
pub mod option;
pub mod process;
pub mod proxy;
pub mod quic;
pub mod removed;
pub mod server;
pub mod server_options;
mod source;
pub mod stats;
#[cfg(test)]
pub(crate) mod testing;
pub mod thread_set;
pub mod threads;
pub mod timeout;
pub mod tls;
pub mod tune;
pub mod tune_later;
pub mod unsupported;
mod words;

use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag, Severity};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::{UnitError, parse_int};

use super::draft::Draft;

/// A row that takes neither `no` nor `default`.
pub(crate) const fn row(
    name: &'static str,
    place: Where,
    arity: Arity,
    parse: fn(&mut ArgCursor<'_>, &mut Draft) -> Result<(), Diag>,
    doc: &'static str,
) -> Keyword<Draft> {
    Keyword {
        name,
        place,
        arity,
        negatable: false,
        parse,
        doc,
    }
}

/// A row that `no` and `default` may precede.
pub(crate) const fn negatable(
    name: &'static str,
    place: Where,
    arity: Arity,
    parse: fn(&mut ArgCursor<'_>, &mut Draft) -> Result<(), Diag>,
    doc: &'static str,
) -> Keyword<Draft> {
    Keyword {
        negatable: true,
        ..row(name, place, arity, parse, doc)
    }
}

/// The integer a word begins with, as C's `atol` sees it: blanks, a sign, digits; 0 without digits. Saturates.
pub(crate) fn leading_int(bytes: &[u8]) -> i64 {
    let bytes = bytes.trim_ascii_start();
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, bytes),
    };
    let value = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |value, byte| {
            value.saturating_mul(10).saturating_add(i64::from(byte - b'0'))
        });
    if negative { -value } else { value }
}

/// The next argument's leading integer; a missing argument is reported in the words HAProxy uses for most
/// numbers. A word that is no number throughout leaves a hint.
pub(crate) fn loose_int(cursor: &mut ArgCursor<'_>) -> Result<i64, Diag> {
    let Some(word) = cursor.next() else {
        let text = format!("'{}' expects an integer argument.", cursor.keyword());
        return Err(cursor.error_here(Code::MissingArgument, text));
    };
    hint_unless_int(cursor, word);
    Ok(leading_int(word.bytes()))
}

/// Leaves a hint when a word is no whole number although only its leading digits count.
pub(crate) fn hint_unless_int(cursor: &mut ArgCursor<'_>, word: &Arg) {
    if parse_int(word.bytes()).is_err() {
        let text = format!(
            "'{}' takes '{word}' as {}: only the digits a word begins with count.",
            cursor.keyword(),
            leading_int(word.bytes())
        );
        cursor.note(Diag::hint(Code::Suspicious, word.span(), text));
    }
}

/// Reads a whole decimal integer as C's `strtol` does, saturating; `None` when anything else is in the word.
pub(crate) fn whole_int(bytes: &[u8]) -> Option<i64> {
    match parse_int(bytes.trim_ascii_start()) {
        Ok(value) => Some(value),
        Err(UnitError::Overflow) => Some(i64::MAX),
        Err(UnitError::Underflow) => Some(i64::MIN),
        Err(UnitError::Unexpected(_)) => None,
    }
}

/// Reads an integer in the base its prefix tells (`0x`, `0`), as C's `strtol` with base 0 does, or the offset of
/// the first byte that does not belong to it.
pub(crate) fn based_int(bytes: &[u8]) -> Result<i64, usize> {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let signed = matches!(bytes.get(start), Some(b'-' | b'+'));
    let negative = bytes.get(start) == Some(&b'-');
    let digits_at = start + usize::from(signed);
    let digits = bytes.get(digits_at..).unwrap_or(&[]);
    let hex = digits.len() > 2 && digits[0] == b'0' && digits[1].eq_ignore_ascii_case(&b'x');
    let (radix, skip) = match digits {
        _ if hex && digits[2].is_ascii_hexdigit() => (16, 2),
        [b'0', ..] => (8, 0),
        _ => (10, 0),
    };
    let mut value = 0_i64;
    for (at, &byte) in digits.iter().enumerate().skip(skip) {
        match char::from(byte).to_digit(radix) {
            Some(digit) => {
                value = value
                    .saturating_mul(i64::from(radix))
                    .saturating_add(i64::from(digit));
            }
            // Without a single digit C stops at the start of the word.
            None if at == 0 => return Err(0),
            None => return Err(digits_at + at),
        }
    }
    // C takes an empty word for 0 and finds nothing after it.
    Ok(if negative { -value } else { value })
}

/// A number within `u32`, clamped at both ends.
pub(crate) fn clamp_u32(value: i64) -> u32 {
    // In range after the clamp.
    value.clamp(0, i64::from(u32::MAX)) as u32
}

/// The report for a value that is missing or wrong, in words of its own.
pub(crate) fn refuse(cursor: &ArgCursor<'_>, text: impl Into<String>) -> Diag {
    if cursor.argument_read() {
        cursor.error_last(Code::BadArgument, text)
    } else {
        cursor.error_here(Code::MissingArgument, text)
    }
}

/// Notes that a statement was given before and that this one is ignored: printed as an alert, yet the file is
/// accepted.
pub(crate) fn already(cursor: &mut ArgCursor<'_>, text: impl Into<String>) {
    let span = cursor.keyword_span();
    let _ = cursor.rest();
    cursor.note(Diag::new(Severity::Tolerated, Code::Overwritten, span, text));
}

/// The words left, joined by one space.
pub(crate) fn joined(cursor: &mut ArgCursor<'_>) -> String {
    let words: Vec<String> = cursor
        .rest()
        .iter()
        .map(|word| word.text().into_owned())
        .collect();
    words.join(" ")
}

/// The first byte of a section or object name that HAProxy does not allow there, to print; an empty name has
/// none but is not allowed either.
pub(crate) fn forbidden_char(name: &[u8]) -> Option<char> {
    name.iter()
        .find(|byte| !(byte.is_ascii_alphanumeric() || b".:_-".contains(byte)))
        .map(|&byte| char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_integers() {
        assert_eq!(leading_int(b"42"), 42);
        assert_eq!(leading_int(b" -7x"), -7);
        assert_eq!(leading_int(b"10k"), 10);
        assert_eq!(leading_int(b"k"), 0);
        assert_eq!(leading_int(b""), 0);
        assert_eq!(leading_int(b"99999999999999999999"), i64::MAX);
    }

    #[test]
    fn whole_integers() {
        assert_eq!(whole_int(b"42"), Some(42));
        assert_eq!(whole_int(b"42k"), None);
        assert_eq!(whole_int(b"99999999999999999999"), Some(i64::MAX));
        assert_eq!(whole_int(b""), None);
    }

    #[test]
    fn integers_of_any_base() {
        assert_eq!(based_int(b"10"), Ok(10));
        assert_eq!(based_int(b"0x10"), Ok(16));
        assert_eq!(based_int(b"010"), Ok(8));
        assert_eq!(based_int(b"-1"), Ok(-1));
        assert_eq!(based_int(b"08"), Err(1));
        assert_eq!(based_int(b"x"), Err(0));
        assert_eq!(based_int(b"10s"), Err(2));
        assert_eq!(based_int(b"0x"), Err(1));
    }

    #[test]
    fn names() {
        assert_eq!(forbidden_char(b"a.b:c_d-9"), None);
        assert_eq!(forbidden_char(b"a b"), Some(' '));
        assert_eq!(forbidden_char(b"a/b"), Some('/'));
    }
}
