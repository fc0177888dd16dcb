//! A bounded line under construction, and the escaping of what clients and servers sent.
//!
//! A log line has a limit (the longest `len` of all targets). What does not fit is dropped the way HAProxy drops it, which
//! differs by kind: text and encoded strings are cut, numbers, dates and quoted texts disappear as a whole, and
//! either way the line ends there. Source: behaviour of HAProxy 3.4.0; manual, "Custom log format", flags `E`, `Q`.

use crate::base::ascii::{U64_DIGITS, format_u64};
use crate::model::format::Flags;

/// The line is full: nothing may be added after the point that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Which bytes are written as `#XX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Request lines: controls, bytes from 127, `"` and `#`.
    Url,
    /// Captured headers: as for request lines, and `{`, `|`, `}`.
    Header,
}

impl Escape {
    /// Whether that byte is written as `#XX`.
    pub fn hits(self, byte: u8) -> bool {
        match byte {
            0..=31 | 127..=255 | b'"' | b'#' => true,
            b'{' | b'|' | b'}' => self == Self::Header,
            _ => false,
        }
    }
}

/// Appends to a caller's buffer, never past its limit.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> Line<'a> {
    /// A line that begins where `out` ends and takes at most `limit` bytes.
    pub fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        let start = out.len();
        Self {
            end: start.saturating_add(limit),
            start,
            out,
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }

    /// One byte.
    pub fn push(&mut self, byte: u8) -> Result<(), Full> {
        if self.room() == 0 {
            return Err(Full);
        }
        self.out.push(byte);
        Ok(())
    }

    /// All of the bytes or none.
    pub fn whole(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.room() {
            return Err(Full);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// As many of the bytes as fit. `Full` when they did not all fit.
    pub fn cut(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let fits = bytes.len().min(self.room());
        self.out.extend_from_slice(&bytes[..fits]);
        if fits == bytes.len() { Ok(()) } else { Err(Full) }
    }

    /// A number in decimal, or nothing.
    pub fn number(&mut self, value: i64) -> Result<(), Full> {
        // Most numbers of a line are.
        if let 0..=9 = value {
            return self.push(b'0' + value as u8);
        }
        let mut scratch = [0; U64_DIGITS];
        let digits = format_u64(value.unsigned_abs(), &mut scratch);
        if value < 0 {
            if digits.len() + 1 > self.room() {
                return Err(Full);
            }
            self.push(b'-')?;
        }
        self.whole(digits)
    }

    /// A number in hexadecimal capitals, padded with zeros to `width` (at most 16).
    pub fn hex(&mut self, value: u64, width: usize) -> Result<(), Full> {
        let mut digits = [b'0'; 16];
        let mut at = digits.len();
        let mut left = value;
        while left != 0 {
            at -= 1;
            digits[at] = hex_digit((left & 15) as u8);
            left >>= 4;
        }
        let from = at.min(digits.len() - width.clamp(1, digits.len()));
        self.whole(&digits[from..])
    }

    /// Text that is trusted to be printable (names, addresses), with the flags `Q`, `E` and `M`.
    pub fn text(&mut self, text: &[u8], flags: Flags) -> Result<(), Full> {
        if !flags.quote {
            let text = if text.is_empty() && flags.mandatory {
                b"-"
            } else {
                text
            };
            return self.raw(text, flags);
        }
        let mark = self.out.len();
        let quoted = self
            .push(b'"')
            .and_then(|()| self.raw(text, flags))
            .and_then(|()| self.push(b'"'));
        if quoted.is_err() {
            self.out.truncate(mark);
        }
        quoted
    }

    /// Text with flag `E` only.
    pub fn raw(&mut self, text: &[u8], flags: Flags) -> Result<(), Full> {
        if !flags.escape {
            return self.cut(text);
        }
        for &byte in text {
            if is_structured_special(byte) {
                if self.room() <= 2 {
                    return Err(Full);
                }
                self.push(b'\\')?;
            }
            self.push(byte)?;
        }
        Ok(())
    }

    /// Bytes that came from a peer: the unprintable ones as `#XX`.
    pub fn encoded(&mut self, bytes: &[u8], escape: Escape, flags: Flags) -> Result<(), Full> {
        let special = |byte: &u8| escape.hits(*byte) || (flags.escape && is_structured_special(*byte));
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(special) {
            self.cut(&rest[..at])?;
            let byte = rest[at];
            rest = &rest[at + 1..];
            if escape.hits(byte) {
                if self.room() <= 3 {
                    return Err(Full);
                }
                self.whole(&[b'#', hex_digit(byte >> 4), hex_digit(byte & 15)])?;
            } else {
                if self.room() <= 2 {
                    return Err(Full);
                }
                self.whole(&[b'\\', byte])?;
            }
        }
        self.cut(rest)
    }
}

/// The characters that RFC 5424 section 6.3.3 wants escaped in structured data.
fn is_structured_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b']')
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble & 15 {
        digit @ 0..=9 => b'0' + digit,
        letter => b'A' + (letter - 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(limit: usize, fill: impl FnOnce(&mut Line<'_>) -> Result<(), Full>) -> (String, bool) {
        let mut out = b">".to_vec();
        let full = fill(&mut Line::new(&mut out, limit)).is_err();
        (String::from_utf8_lossy(&out[1..]).into_owned(), full)
    }

    #[test]
    fn numbers_fit_or_vanish() {
        assert_eq!(line(9, |l| l.number(-1)), ("-1".into(), false));
        assert_eq!(line(2, |l| l.number(-12)), (String::new(), true));
        assert_eq!(line(3, |l| l.number(-12)), ("-12".into(), false));
        assert_eq!(
            line(20, |l| l.number(i64::MIN)),
            ("-9223372036854775808".into(), false)
        );
        assert_eq!(line(9, |l| l.hex(0xab, 4)), ("00AB".into(), false));
        assert_eq!(line(9, |l| l.hex(0xabcde, 4)), ("ABCDE".into(), false));
        assert_eq!(line(9, |l| l.hex(0, 2)), ("00".into(), false));
    }

    #[test]
    fn text_is_cut_and_quoted_text_vanishes() {
        let quote = Flags {
            quote: true,
            ..Flags::default()
        };
        let mandatory = Flags {
            mandatory: true,
            ..Flags::default()
        };
        assert_eq!(line(3, |l| l.text(b"abcd", mandatory)), ("abc".into(), true));
        assert_eq!(line(3, |l| l.text(b"", mandatory)), ("-".into(), false));
        assert_eq!(line(3, |l| l.text(b"", Flags::default())), (String::new(), false));
        assert_eq!(line(9, |l| l.text(b"", quote)), ("\"\"".into(), false));
        assert_eq!(line(5, |l| l.text(b"abcd", quote)), (String::new(), true));
        assert_eq!(line(6, |l| l.text(b"abcd", quote)), ("\"abcd\"".into(), false));
    }

    #[test]
    fn escapes() {
        let plain = Flags::default();
        let structured = Flags {
            escape: true,
            ..plain
        };
        assert_eq!(
            line(99, |l| l.encoded(b"a\"#{\x7f\xff\0 ", Escape::Url, plain)).0,
            "a#22#23{#7F#FF#00 "
        );
        assert_eq!(
            line(99, |l| l.encoded(b"{a|b}", Escape::Header, plain)).0,
            "#7Ba#7Cb#7D"
        );
        assert_eq!(
            line(99, |l| l.encoded(b"a]\\\"", Escape::Url, structured)).0,
            "a\\]\\\\#22"
        );
        assert_eq!(line(99, |l| l.raw(b"a]\\\"", structured)).0, "a\\]\\\\\\\"");
        assert_eq!(
            line(3, |l| l.encoded(b"\n", Escape::Url, plain)),
            (String::new(), true)
        );
        assert_eq!(
            line(4, |l| l.encoded(b"\n", Escape::Url, plain)),
            ("#0A".into(), false)
        );
    }
}
