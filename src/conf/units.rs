//! Numbers with units: times, sizes, integers, percentages.
//!
//! For the argument cursor and for whoever reads a number outside of a line (command line, runtime socket).
//! Sources: manual chapters 2.5 and 2.6; rounding, limits and error positions follow HAProxy 3.4.0: results are
//! rounded up to the wanted unit (so a non-zero time never becomes 0), and a time stops at 2147483647 units.

use thiserror::Error;

/// Largest time in any unit.
pub const MAX_TIME: u64 = 0x7fff_ffff;

/// Unit of a time: of the result, and of a number written without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    Min,
    /// Hours.
    Hour,
    /// Days.
    Day,
}

impl TimeUnit {
    /// Length in microseconds.
    fn micros(self) -> u128 {
        match self {
            Self::Us => 1,
            Self::Ms => 1_000,
            Self::S => 1_000_000,
            Self::Min => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }
}

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Value in the wanted unit, rounded up.
    pub value: u32,
    /// Offset of characters after the unit: HAProxy ignores them with a warning.
    pub trailing: Option<usize>,
}

/// Why a text is no number of the wanted kind. Offsets are in bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Unexpected character, or the end of the text where a digit is needed.
    #[error("unexpected character at offset {0}")]
    Unexpected(usize),
    /// Above the largest value.
    #[error("overflow")]
    Overflow,
    /// Below the smallest value.
    #[error("underflow")]
    Underflow,
}

/// Leading decimal digits: value (saturated) and number of bytes.
fn digits(text: &[u8]) -> (u128, usize) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text.iter().take(count).fold(0_u128, |value, byte| {
        value
            .saturating_mul(10)
            .saturating_add(u128::from(byte - b'0'))
            .min(u128::from(u64::MAX) * 2)
    });
    (value, count)
}

/// Reads a time; `unit` is the unit of the result and the default one.
pub fn parse_time(text: &[u8], unit: TimeUnit) -> Result<Time, UnitError> {
    let (number, at) = digits(text);
    if at == 0 {
        return Err(UnitError::Unexpected(0));
    }
    let (given, end) = match (text.get(at), text.get(at + 1)) {
        (None, _) => (unit, at),
        (Some(b's'), _) => (TimeUnit::S, at + 1),
        (Some(b'u'), Some(b's')) => (TimeUnit::Us, at + 2),
        (Some(b'm'), Some(b's')) => (TimeUnit::Ms, at + 2),
        (Some(b'm'), _) => (TimeUnit::Min, at + 1),
        (Some(b'h'), _) => (TimeUnit::Hour, at + 1),
        (Some(b'd'), _) => (TimeUnit::Day, at + 1),
        _ => return Err(UnitError::Unexpected(at)),
    };
    let value = number.saturating_mul(given.micros()).div_ceil(unit.micros());
    if value > u128::from(MAX_TIME) {
        return Err(UnitError::Overflow);
    }
    Ok(Time {
        value: value as u32,
        trailing: (end < text.len()).then_some(end),
    })
}

/// Reads a size in bytes: decimal digits, then nothing or `k`, `m`, `g`; with `large` also `t` and `p`.
pub fn parse_size(text: &[u8], max: u64, large: bool) -> Result<u64, UnitError> {
    let (number, at) = digits(text);
    if at == 0 {
        return Err(UnitError::Unexpected(0));
    }
    let shift = match text.get(at).map(u8::to_ascii_lowercase) {
        None => 0,
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        Some(b't') if large => 40,
        Some(b'p') if large => 50,
        Some(_) => return Err(UnitError::Unexpected(at)),
    };
    if at + 1 < text.len() {
        return Err(UnitError::Unexpected(at + 1));
    }
    match u64::try_from(number.saturating_mul(1 << shift)) {
        Ok(value) if value <= max => Ok(value),
        _ => Err(UnitError::Overflow),
    }
}

/// Reads a whole decimal integer with an optional sign.
pub fn parse_int(text: &[u8]) -> Result<i64, UnitError> {
    let (negative, start) = match text.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let (number, count) = digits(text.get(start..).unwrap_or(&[]));
    if count == 0 || start + count < text.len() {
        return Err(UnitError::Unexpected(start + count));
    }
    let number = i128::try_from(number).map_err(|_| UnitError::Overflow)?;
    i64::try_from(if negative { -number } else { number }).map_err(|_| {
        if negative {
            UnitError::Underflow
        } else {
            UnitError::Overflow
        }
    })
}

/// Reads a whole number from 0 to 100 followed by an optional `%`.
pub fn parse_percent(text: &[u8]) -> Result<u8, UnitError> {
    let (number, at) = digits(text);
    let rest = text.get(at..).unwrap_or(&[]);
    if at == 0 || !matches!(rest, b"" | b"%") {
        return Err(UnitError::Unexpected(if rest.first() == Some(&b'%') {
            at + 1
        } else {
            at
        }));
    }
    match u8::try_from(number) {
        Ok(value) if value <= 100 => Ok(value),
        _ => Err(UnitError::Overflow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Result<u32, UnitError> {
        parse_time(text.as_bytes(), TimeUnit::Ms).map(|time| time.value)
    }

    #[test]
    fn times() {
        assert_eq!(ms("0"), Ok(0));
        assert_eq!(ms("10"), Ok(10));
        assert_eq!(ms("10s"), Ok(10_000));
        assert_eq!(ms("1m"), Ok(60_000));
        assert_eq!(ms("1h"), Ok(3_600_000));
        assert_eq!(ms("24d"), Ok(2_073_600_000));
        assert_eq!(ms("25d"), Err(UnitError::Overflow));
        assert_eq!(ms("2147483647"), Ok(2_147_483_647));
        assert_eq!(ms("2147483648"), Err(UnitError::Overflow));
        assert_eq!(
            ms("99999999999999999999999999999999999999999999d"),
            Err(UnitError::Overflow)
        );
        assert_eq!(ms("1us"), Ok(1));
        assert_eq!(ms("1001us"), Ok(2));
        assert_eq!(ms("0us"), Ok(0));
        assert_eq!(ms(""), Err(UnitError::Unexpected(0)));
        assert_eq!(ms("-1"), Err(UnitError::Unexpected(0)));
        assert_eq!(ms("10x"), Err(UnitError::Unexpected(2)));
        assert_eq!(ms("1.5s"), Err(UnitError::Unexpected(1)));
        assert_eq!(ms("10u"), Err(UnitError::Unexpected(2)));
        assert_eq!(
            parse_time(b"10sec", TimeUnit::Ms),
            Ok(Time {
                value: 10_000,
                trailing: Some(3)
            })
        );
        assert_eq!(parse_time(b"90", TimeUnit::S).map(|t| t.value), Ok(90));
        assert_eq!(parse_time(b"1500ms", TimeUnit::S).map(|t| t.value), Ok(2));
        assert_eq!(parse_time(b"1d", TimeUnit::Hour).map(|t| t.value), Ok(24));
        assert_eq!(parse_time(b"1s", TimeUnit::Us).map(|t| t.value), Ok(1_000_000));
    }

    #[test]
    fn sizes() {
        let ui = |text: &str| parse_size(text.as_bytes(), u64::from(u32::MAX), false);
        assert_eq!(ui("16384"), Ok(16384));
        assert_eq!(ui("16k"), Ok(16384));
        assert_eq!(ui("1M"), Ok(1 << 20));
        assert_eq!(ui("3G"), Ok(3 << 30));
        assert_eq!(ui("4g"), Err(UnitError::Overflow));
        assert_eq!(ui("1t"), Err(UnitError::Unexpected(1)));
        assert_eq!(ui("1kb"), Err(UnitError::Unexpected(2)));
        assert_eq!(ui("k"), Err(UnitError::Unexpected(0)));
        assert_eq!(parse_size(b"2P", u64::MAX, true), Ok(2 << 50));
        assert_eq!(parse_size(b"99999p", u64::MAX, true), Err(UnitError::Overflow));
    }

    #[test]
    fn integers() {
        assert_eq!(parse_int(b"-5"), Ok(-5));
        assert_eq!(parse_int(b"+5"), Ok(5));
        assert_eq!(parse_int(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(parse_int(b"9223372036854775808"), Err(UnitError::Overflow));
        assert_eq!(parse_int(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_int(b"-9223372036854775809"), Err(UnitError::Underflow));
        assert_eq!(parse_int(b"12a"), Err(UnitError::Unexpected(2)));
        assert_eq!(parse_int(b"-"), Err(UnitError::Unexpected(1)));
        assert_eq!(parse_int(b""), Err(UnitError::Unexpected(0)));
    }

    #[test]
    fn percentages() {
        assert_eq!(parse_percent(b"50%"), Ok(50));
        assert_eq!(parse_percent(b"100"), Ok(100));
        assert_eq!(parse_percent(b"101"), Err(UnitError::Overflow));
        assert_eq!(parse_percent(b"5%%"), Err(UnitError::Unexpected(2)));
        assert_eq!(parse_percent(b"x"), Err(UnitError::Unexpected(0)));
    }
}
