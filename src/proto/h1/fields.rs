//! What the fields that frame a message say: `Content-Length`, `Transfer-Encoding`, `Connection`, `Upgrade`.
//!
//! Each function reads one occurrence and adds to what the former ones said, so that the same message gives the
//! same verdict however its fields are split over lines. Used by the parsers, and again by the writers, since
//! rules may have changed the fields in between.
//! Source: RFC 9112 sections 6, 7.4 and 9, RFC 9110 sections 5.6.1, 7.6.1 and 7.8.

use crate::proto::h1::scan::is_blank;
use crate::proto::head::Span;

/// End of the list element at the front of `rest`: the next comma outside of a quoted string.
pub(crate) fn element_end(rest: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    rest.len()
}

/// Walks a comma-separated list: elements without their blanks, and where each ended (at the comma).
pub(crate) struct Elements<'a> {
    value: &'a [u8],
    at: usize,
}

/// One element of a list.
pub(crate) struct Element {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Offset of the comma after it, or the length of the value.
    pub(crate) comma: usize,
}

impl<'a> Elements<'a> {
    pub(crate) const fn new(value: &'a [u8]) -> Self {
        Self { value, at: 0 }
    }
}

impl Iterator for Elements<'_> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        let rest = self.value.get(self.at..)?;
        let start = self.at + rest.iter().position(|&byte| !is_blank(byte))?;
        let rest = self.value.get(start..)?;
        let comma = start + element_end(rest);
        let text = self.value.get(start..comma)?;
        let len = text
            .iter()
            .rposition(|&byte| !is_blank(byte))
            .map_or(0, |last| last + 1);
        self.at = comma + 1;
        Some(Element {
            start,
            end: start + len,
            comma,
        })
    }
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// May be let through in a response when the configuration says so.
    Soft,
    Hard,
}

/// What the `Transfer-Encoding` fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Codings {
    /// There was a non-empty field.
    pub(crate) present: bool,
    /// `chunked` was named.
    pub(crate) chunked: bool,
    /// `chunked` is the last coding so far.
    pub(crate) chunked_last: bool,
    /// Another coding was named.
    pub(crate) other: bool,
}

impl Codings {
    /// Reads one field.
    pub(crate) fn read(&mut self, value: &[u8], response: bool) -> Result<(), Fault> {
        if value.is_empty() {
            return Err(Fault::Soft);
        }
        self.present = true;
        let mut verdict = Ok(());
        for element in Elements::new(value) {
            if element.comma + 1 == value.len() {
                verdict = Err(Fault::Soft); // nothing after the last comma
            }
            let word = value.get(element.start..element.end).unwrap_or_default();
            self.chunked_last = false;
            if word.is_empty() {
                verdict = Err(Fault::Soft);
            } else if word.eq_ignore_ascii_case(b"chunked") {
                if self.chunked {
                    verdict = Err(Fault::Soft);
                }
                self.chunked = true;
                self.chunked_last = true;
            } else if self.chunked && !response {
                // A request must end with chunked, or nobody knows where it ends.
                return Err(Fault::Hard);
            } else {
                self.other = true;
            }
        }
        verdict
    }
}

/// Reads one `Content-Length` field: digits, or a list of equal numbers, equal to those of `former` fields.
/// Gives the number and where its last copy stands, leading zeros left out.
pub(crate) fn content_length(value: &[u8], former: Option<u64>) -> Option<(u64, Span)> {
    let mut known = former;
    let mut at = 0;
    loop {
        let rest = value.get(at..)?;
        at += rest.iter().position(|&byte| !is_blank(byte))?;
        let digits = value
            .get(at..)?
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let text = value.get(at..at + digits)?;
        let zeros = text
            .iter()
            .take_while(|&&byte| byte == b'0')
            .count()
            .min(digits.checked_sub(1)?);
        let number = text.iter().try_fold(0_u64, |sum, &digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })?;
        if known.is_some_and(|known| known != number) {
            return None;
        }
        known = Some(number);
        let span = Span::between((at + zeros) as u32, (at + digits) as u32);
        at += digits;
        at += value
            .get(at..)?
            .iter()
            .take_while(|&&byte| is_blank(byte))
            .count();
        match value.get(at) {
            None => return Some((number, span)),
            Some(b',') => at += 1,
            Some(_) => return None,
        }
    }
}

/// What the `Connection` fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

impl Options {
    /// Reads one field, and takes `close` and `keep-alive` out of it in place: they are hop by hop, and each
    /// side writes its own. Gives the length of what is left.
    pub(crate) fn read(&mut self, value: &mut [u8]) -> usize {
        strip(value, |word| {
            if word.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
                return true;
            }
            if word.eq_ignore_ascii_case(b"close") {
                self.close = true;
                return true;
            }
            self.upgrade |= word.eq_ignore_ascii_case(b"upgrade");
            false
        })
    }
}

/// What the `Upgrade` fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Protocols {
    pub(crate) any: bool,
    pub(crate) websocket: bool,
}

impl Protocols {
    /// Reads one field, and takes HTTP/2 out of it in place: the proxy would not understand what follows.
    /// Gives the length of what is left.
    pub(crate) fn read(&mut self, value: &mut [u8]) -> usize {
        let len = strip(value, |word| {
            self.websocket |= word.eq_ignore_ascii_case(b"websocket");
            word.eq_ignore_ascii_case(b"h2c") || word.eq_ignore_ascii_case(b"h2")
        });
        self.any |= len > 0;
        len
    }
}

/// Takes the elements that `drop` wants out of a list, in place; gives the length of what is left. Up to the
/// first dropped element the text stays as it is; after it elements are joined by commas.
pub(crate) fn strip(value: &mut [u8], mut drop: impl FnMut(&[u8]) -> bool) -> usize {
    let (mut kept, mut verbatim, mut at) = (0, true, 0);
    loop {
        let mut rest = Elements { value, at };
        let Some(Element { start, end, comma }) = rest.next() else {
            return kept;
        };
        at = rest.at;
        if drop(value.get(start..end).unwrap_or_default()) {
            verbatim = false;
        } else if verbatim {
            kept = comma;
        } else {
            // `kept` lies before `start`: what was dropped left room, and one comma at least.
            if kept > 0 {
                if let Some(byte) = value.get_mut(kept) {
                    *byte = b',';
                }
                kept += 1;
            }
            value.copy_within(start..end, kept);
            kept += end - start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str, word: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let len = strip(&mut bytes, |element| {
            element.eq_ignore_ascii_case(word.as_bytes())
        });
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    #[test]
    fn strip_keeps_the_text_before_the_first_drop() {
        assert_eq!(stripped("close", "close"), "");
        assert_eq!(stripped("foo , bar", "close"), "foo , bar");
        assert_eq!(stripped("close, upgrade", "close"), "upgrade");
        assert_eq!(stripped("foo , close, bar", "close"), "foo ,bar");
        assert_eq!(stripped("a, close , b , c", "close"), "a,b,c");
        assert_eq!(stripped(",foo", "close"), ",foo");
        assert_eq!(stripped("\"close, close\", close", "close"), "\"close, close\"");
    }

    #[test]
    fn content_lengths() {
        let read = |text: &str, former| {
            content_length(text.as_bytes(), former)
                .map(|(number, span)| (number, span.of(text.as_bytes()).to_vec()))
        };
        assert_eq!(read("5", None), Some((5, b"5".to_vec())));
        assert_eq!(read("005", None), Some((5, b"5".to_vec())));
        assert_eq!(read("000", None), Some((0, b"0".to_vec())));
        assert_eq!(read("5 , 05", None), Some((5, b"5".to_vec())));
        assert_eq!(
            read("18446744073709551615", None).map(|found| found.0),
            Some(u64::MAX)
        );
        for bad in [
            "",
            "5,",
            ",5",
            "5,6",
            "+5",
            "-5",
            "0x5",
            "5 5",
            "18446744073709551616",
            "5;",
            " ",
            "5.0",
        ] {
            assert_eq!(read(bad, None), None, "{bad:?}");
        }
        assert_eq!(read("5", Some(6)), None);
        assert!(read("5", Some(5)).is_some());
    }

    #[test]
    fn transfer_codings() {
        let read = |text: &str, response| {
            let mut codings = Codings::default();
            let verdict = codings.read(text.as_bytes(), response);
            (verdict, codings.chunked_last, codings.other)
        };
        assert_eq!(read("Chunked", false), (Ok(()), true, false));
        assert_eq!(read("gzip, chunked", false), (Ok(()), true, true));
        assert_eq!(read("chunked, gzip", false).0, Err(Fault::Hard));
        assert_eq!(read("chunked, gzip", true), (Ok(()), false, true));
        for soft in ["", "chunked,", ",chunked", "chunked, chunked", "chunked,,"] {
            assert_eq!(read(soft, false).0, Err(Fault::Soft), "{soft:?}");
        }
        assert_eq!(read("chunked;q=1", false), (Ok(()), false, true));
    }
}
