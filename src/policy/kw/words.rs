//! What the options of `bind`, `stats socket`, `server` and `default-server` lines have in common: rows that take
//! words in any order, numbers read the way C reads them, and refusals that get the line's own beginning.
//!
//! For the tables in `bind` and `server`. Source: behaviour of HAProxy 3.4.0.

use super::{leading_int, whole_int};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag};
use crate::conf::source::Span;
use crate::conf::units::{TimeUnit, UnitError, parse_time};

/// Why an option is refused; the line puts its own words before the text.
#[derive(Debug)]
pub(super) struct Fault {
    /// For programs.
    pub(super) code: Code,
    /// Where.
    pub(super) span: Span,
    /// For people.
    pub(super) text: String,
    /// The text is complete: nothing is put after it.
    pub(super) ended: bool,
}

/// The words of one option, read from the line's cursor.
pub(super) struct Words<'a, 'c> {
    cursor: &'a mut ArgCursor<'c>,
    /// The option's name as written.
    pub(super) name: &'c Arg,
}

impl<'a, 'c> Words<'a, 'c> {
    /// The words after `name`, which was just read.
    pub(super) fn new(cursor: &'a mut ArgCursor<'c>, name: &'c Arg) -> Self {
        Self { cursor, name }
    }

    /// The cursor itself, for options that take optional words.
    pub(super) fn cursor(&mut self) -> &mut ArgCursor<'c> {
        self.cursor
    }

    /// A refusal about the word read last.
    pub(super) fn fault(&self, code: Code, text: impl Into<String>) -> Fault {
        Fault {
            code,
            span: ArgCursor::last(self.cursor).unwrap_or(self.name).span(),
            text: text.into(),
            ended: false,
        }
    }

    /// A refusal that begins with the option's name: `'name' : text`.
    pub(super) fn named_fault(&self, code: Code, text: impl AsRef<str>) -> Fault {
        self.fault(code, format!("'{}' : {}", self.name, text.as_ref()))
    }

    /// What HAProxy has and this program does not have yet.
    pub(super) fn not_supported(&self, what: &str) -> Fault {
        let fault = self.fault(Code::NotSupported, format!("{what} is not supported yet."));
        Fault { ended: true, ..fault }
    }

    /// The next word; without one the text made by `missing`.
    pub(super) fn word(&mut self, missing: impl FnOnce(&Arg) -> String) -> Result<&'c Arg, Fault> {
        match self.cursor.next() {
            Some(word) => Ok(word),
            None => {
                let text = missing(self.name);
                Err(Fault {
                    code: Code::MissingArgument,
                    span: self.cursor.here(),
                    text,
                    ended: false,
                })
            }
        }
    }

    /// The next word as text; without one `'name' : missing`.
    pub(super) fn text(&mut self, missing: &str) -> Result<&'c str, Fault> {
        let word = self.word(|name| format!("'{name}' : {missing}"))?;
        word.as_str()
            .ok_or_else(|| self.named_fault(Code::BadText, format!("expects text in UTF-8, got '{word}'")))
    }

    /// The number that a word begins with, 0 for none; a hint is left when it is not a number as a whole.
    pub(super) fn number(&mut self, word: &Arg) -> i64 {
        let value = leading_int(word.bytes());
        if whole_int(word.bytes()).is_none() {
            let text = format!(
                "'{}' takes '{word}' as {value}: only the digits a word begins with count.",
                self.name
            );
            self.cursor.note(Diag::hint(Code::Suspicious, word.span(), text));
        }
        value
    }

    /// The next word as a number of 32 bits, wrapped as C does; a missing one counts as 0.
    pub(super) fn lax_number(&mut self) -> i32 {
        match self.cursor.next() {
            Some(word) => self.number(word) as i32,
            None => {
                let text = format!("'{}' takes the missing number as 0.", self.name);
                let diag = Diag::hint(Code::MissingArgument, self.cursor.here(), text);
                self.cursor.note(diag);
                0
            }
        }
    }

    /// A time in milliseconds; `bad` makes the text for what is none, from its first wrong character.
    pub(super) fn milliseconds(&self, word: &Arg, bad: impl Fn(char) -> String) -> Result<u32, Fault> {
        let limit = |kind, end| format!("timer {kind} in argument '{word}' to '{}' ({end})", self.name);
        let at_character = |at: usize| {
            let found = word.bytes().get(at).map_or(' ', |&byte| char::from(byte));
            Fault {
                code: Code::BadTime,
                span: word.span_at(at),
                text: bad(found),
                ended: false,
            }
        };
        match parse_time(word.bytes(), TimeUnit::Ms) {
            Ok(time) => match time.trailing {
                None => Ok(time.value),
                Some(at) => Err(at_character(at)),
            },
            Err(UnitError::Unexpected(at)) => Err(at_character(at)),
            Err(UnitError::Overflow) => {
                let text = limit("overflow", "maximum value is 2147483647 ms or ~24.8 days");
                Err(self.fault(Code::TimeOverflow, text))
            }
            Err(UnitError::Underflow) => Err(self.fault(
                Code::TimeOverflow,
                limit("underflow", "minimum non-null value is 1 ms"),
            )),
        }
    }
}

/// An octal number as `strtol` reads it, if the text is one as a whole.
pub(super) fn octal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u32::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers() {
        assert_eq!(octal(b"0660"), Some(0o660));
        assert_eq!(octal(b"0x1"), None);
        assert_eq!(octal(b"9"), None);
        assert_eq!(octal(b""), None);
        assert_eq!(octal(b"77777777777"), None);
    }
}
