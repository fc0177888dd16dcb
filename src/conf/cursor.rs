//! The arguments of one line, as keyword rows read them.
//!
//! For every `parse` fn of a row: an [`ArgCursor`] walks the cooked words and turns them into numbers, times,
//! choices and addresses, or into a [`Diag`] that points at the right bytes, also inside a quoted word. Messages
//! follow HAProxy's wordings where HAProxy words the case the same way for most keywords.

use std::borrow::Cow;
use std::fmt;

use crate::base::addr::Addr;

use super::addr::{self, AddrError, Rules};
use super::diag::{Code, Diag, Form, shown};
use super::env::Env;
use super::source::Span;
use super::units::{self, TimeUnit, UnitError};

/// One cooked word: its bytes without quotes and escapes, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    bytes: Box<[u8]>,
    span: Span,
    /// Pieces in cooked order: from this cooked offset on, the raw bytes start at that file offset.
    map: Vec<Piece>,
}

/// Where a run of cooked bytes comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First cooked byte of the run.
    pub cooked: u32,
    /// Offset in the file of the raw byte it comes from.
    pub raw: u32,
    /// True when cooked and raw bytes advance together; false when the whole run comes from one raw place
    /// (an escape, a variable).
    pub literal: bool,
}

impl Arg {
    /// A word with the map of its bytes; pieces in order of `cooked`, none for a word without bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>, span: Span, map: Vec<Piece>) -> Self {
        Self {
            bytes: bytes.into(),
            span,
            map,
        }
    }

    /// A word that stands in the file as it is.
    pub fn plain(bytes: impl Into<Box<[u8]>>, span: Span) -> Self {
        Self::new(
            bytes,
            span,
            vec![Piece {
                cooked: 0,
                raw: span.start,
                literal: true,
            }],
        )
    }

    /// Cooked bytes, free of NUL.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Cooked bytes as text, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Cooked bytes as text to print.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// True when the cooked word is exactly `name`.
    pub fn is(&self, name: &str) -> bool {
        *self.bytes == *name.as_bytes()
    }

    /// The raw word in the file, with its quotes.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The raw place of cooked byte `offset`: one byte, or the end of the word past its last byte.
    pub fn span_at(&self, offset: usize) -> Span {
        if offset >= self.bytes.len() {
            return self.span.after();
        }
        let offset = offset as u32;
        let index = self.map.partition_point(|piece| piece.cooked <= offset);
        let Some(piece) = index.checked_sub(1).and_then(|index| self.map.get(index)) else {
            return self.span;
        };
        let raw = if piece.literal {
            piece.raw + (offset - piece.cooked)
        } else {
            piece.raw
        };
        Span::new(self.span.file, raw, raw + 1)
    }

    /// The raw places of cooked bytes `start..end`.
    pub fn span_of(&self, start: usize, end: usize) -> Span {
        let first = self.span_at(start);
        if end <= start + 1 {
            first
        } else {
            first.to(self.span_at(end - 1))
        }
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Word in front of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// None.
    Set,
    /// `no`.
    No,
    /// `default`.
    Default,
}

/// Walks the words of one line.
#[derive(Debug)]
pub struct ArgCursor<'a> {
    words: &'a [Arg],
    /// Words of the keyword, then index of the next argument.
    keyword_words: usize,
    at: usize,
    modifier: Modifier,
    line: Span,
    notes: Vec<Diag>,
}

impl<'a> ArgCursor<'a> {
    /// A cursor over a line whose first `keyword_words` words are the keyword (without the modifier).
    pub fn new(words: &'a [Arg], keyword_words: usize, modifier: Modifier, line: Span) -> Self {
        let keyword_words = keyword_words.min(words.len());
        Self {
            words,
            keyword_words,
            at: keyword_words,
            modifier,
            line,
            notes: Vec::new(),
        }
    }

    /// Keyword as written, its words joined by spaces.
    pub fn keyword(&self) -> String {
        let words: Vec<_> = self
            .words
            .iter()
            .take(self.keyword_words)
            .map(Arg::text)
            .collect();
        words.join(" ")
    }

    /// Words of the keyword.
    pub fn keyword_span(&self) -> Span {
        let first = self.words.first().map_or(self.line, Arg::span);
        let last = self
            .keyword_words
            .checked_sub(1)
            .and_then(|index| self.words.get(index));
        last.map_or(first, |last| first.to(last.span()))
    }

    /// The line from its first word to its last.
    pub fn line_span(&self) -> Span {
        self.line
    }

    /// `no` or `default` in front.
    pub fn modifier(&self) -> Modifier {
        self.modifier
    }

    /// The next argument, left in place.
    pub fn peek(&self) -> Option<&'a Arg> {
        self.words.get(self.at)
    }

    /// The argument `ahead` places after the next one.
    pub fn peek_at(&self, ahead: usize) -> Option<&'a Arg> {
        self.words.get(self.at.saturating_add(ahead))
    }

    /// The argument that was read last, or the last word of the keyword.
    pub fn last(&self) -> Option<&'a Arg> {
        self.at.checked_sub(1).and_then(|index| self.words.get(index))
    }

    /// True once an argument was read.
    pub fn argument_read(&self) -> bool {
        self.at > self.keyword_words
    }

    /// Number of arguments not read yet.
    pub fn remaining(&self) -> usize {
        self.words.len() - self.at
    }

    /// Takes all arguments not read yet.
    pub fn rest(&mut self) -> &'a [Arg] {
        let rest = self.words.get(self.at..).unwrap_or(&[]);
        self.at = self.words.len();
        rest
    }

    /// Place of the next argument, or the end of the last word.
    pub fn here(&self) -> Span {
        let end = || self.words.last().map_or(self.line, Arg::span).after();
        self.peek().map_or_else(end, Arg::span)
    }

    /// Takes the next argument if it is `name`.
    pub fn accept(&mut self, name: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.is(name));
        self.at += usize::from(found);
        found
    }

    /// An error about the keyword as a whole.
    pub fn error(&self, code: Code, text: impl Into<String>) -> Diag {
        Diag::alert(code, self.keyword_span(), text)
    }

    /// An error about the argument read last.
    pub fn error_last(&self, code: Code, text: impl Into<String>) -> Diag {
        Diag::alert(
            code,
            self.last().map_or_else(|| self.keyword_span(), Arg::span),
            text,
        )
    }

    /// An error about the next argument, or the missing one.
    pub fn error_here(&self, code: Code, text: impl Into<String>) -> Diag {
        Diag::alert(code, self.here(), text)
    }

    /// Keeps a warning, notice or hint that does not end the line.
    pub fn note(&mut self, diag: Diag) {
        self.notes.push(diag);
    }

    /// Keeps a warning about the argument read last.
    pub fn warn(&mut self, code: Code, text: impl Into<String>) {
        let span = self.last().map_or_else(|| self.keyword_span(), Arg::span);
        self.notes.push(Diag::warning(code, span, text));
    }

    /// The same about the process more than about the line, which is not named.
    pub fn warn_plain(&mut self, code: Code, text: impl Into<String>) {
        let span = self.keyword_span();
        self.notes
            .push(Diag::warning(code, span, text).with_form(Form::Plain));
    }

    /// The reports kept, for the sink.
    pub fn take_notes(&mut self) -> Vec<Diag> {
        std::mem::take(&mut self.notes)
    }

    /// The next argument; `what` says what is expected: `'bind' expects <what> as argument.`
    pub fn expect_word(&mut self, what: &str) -> Result<&'a Arg, Diag> {
        match self.next() {
            Some(word) => Ok(word),
            None => {
                let text = format!("'{}' expects {what} as argument.", self.keyword());
                Err(self.error_here(Code::MissingArgument, text))
            }
        }
    }

    /// Refuses whatever is left on the line.
    pub fn end(&self) -> Result<(), Diag> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(self.unexpected(word)),
        }
    }

    /// The error for an argument that does not belong there.
    pub fn unexpected(&self, word: &Arg) -> Diag {
        let text = format!("'{}' cannot handle unexpected argument '{word}'.", self.keyword());
        Diag::alert(Code::UnexpectedArgument, word.span(), text)
    }

    /// A time in `unit`, which is also the unit of a bare number.
    pub fn time(&mut self, unit: TimeUnit) -> Result<u32, Diag> {
        let Some(word) = self.next() else {
            let text = format!(
                "'{}' expects an integer value (in {})",
                self.keyword(),
                unit_name(unit)
            );
            return Err(self.error_here(Code::MissingArgument, text));
        };
        let keyword = self.keyword();
        match units::parse_time(word.bytes(), unit) {
            Ok(time) => {
                if let Some(at) = time.trailing {
                    let text = format!(
                        "unexpected character '{}' after the timer value '{word}', only (us=microseconds,\
                         ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be \
                         reported as an error in next versions.",
                        char_at(word, at)
                    );
                    // HAProxy does not say where.
                    self.note(Diag::warning(Code::BadTime, word.span_at(at), text).with_form(Form::Plain));
                }
                Ok(time.value)
            }
            Err(UnitError::Unexpected(at)) => {
                let text = format!("unexpected character '{}' in '{keyword}'", char_at(word, at));
                let help = "a time is a number with us, ms, s, m, h or d";
                Err(Diag::alert(Code::BadTime, word.span_at(at), text).with_help(help))
            }
            Err(UnitError::Overflow | UnitError::Underflow) => {
                let text = format!(
                    "timer overflow in argument '{word}' to '{keyword}' (maximum value is {})",
                    longest(unit)
                );
                Err(Diag::alert(Code::TimeOverflow, word.span(), text))
            }
        }
    }

    /// A time in milliseconds, the default unit being milliseconds.
    pub fn time_ms(&mut self) -> Result<u32, Diag> {
        self.time(TimeUnit::Ms)
    }

    /// A size in bytes up to `max`; `large` allows the suffixes `t` and `p`.
    pub fn size(&mut self, max: u64, large: bool) -> Result<u64, Diag> {
        let word = self.expect_word("a size")?;
        let keyword = self.keyword();
        units::parse_size(word.bytes(), max, large).map_err(|error| match error {
            UnitError::Unexpected(at) => {
                let text = format!(
                    "unexpected character '{}' in argument to '{keyword}'.",
                    char_at(word, at)
                );
                let help = if large {
                    "a size is a number with k, m, g, t or p"
                } else {
                    "a size is a number with k, m or g"
                };
                Diag::alert(Code::BadSize, word.span_at(at), text).with_help(help)
            }
            UnitError::Overflow | UnitError::Underflow => {
                let text =
                    format!("size overflow in argument '{word}' to '{keyword}' (maximum value is {max}).");
                Diag::alert(Code::OutOfRange, word.span(), text)
            }
        })
    }

    /// A whole number from 0 to 100, `%` allowed after it.
    pub fn percent(&mut self) -> Result<u8, Diag> {
        let word = self.expect_word("a percentage")?;
        units::parse_percent(word.bytes()).map_err(|_| {
            let text = format!(
                "'{}' expects a percentage from 0 to 100, got '{word}'.",
                self.keyword()
            );
            Diag::alert(Code::BadNumber, word.span(), text)
        })
    }

    /// An address; see [`addr::parse`].
    pub fn address(&mut self, rules: &Rules, prefix: &[u8], env: &Env) -> Result<Addr, Diag> {
        let word = self.expect_word("an address")?;
        addr::parse(word.bytes(), rules, prefix, env).map_err(|error| self.bad_address(word, &error))
    }

    /// A comma list of addresses; see [`addr::parse_list`].
    pub fn addresses(&mut self, rules: &Rules, prefix: &[u8], env: &Env) -> Result<Vec<Addr>, Diag> {
        let word = self.expect_word("an address")?;
        addr::parse_list(word.bytes(), rules, prefix, env).map_err(|error| self.bad_address(word, &error))
    }

    /// The report about an address: `'bind' : <what is wrong>`.
    fn bad_address(&self, word: &Arg, error: &AddrError) -> Diag {
        let text = format!("'{}' : {}", self.keyword(), error.text);
        Diag::alert(error.code, word.span_of(error.at.start, error.at.end), text)
    }

    /// `on` or `off`.
    pub fn on_off(&mut self) -> Result<bool, Diag> {
        self.choice(&[("on", true), ("off", false)])
    }

    /// One of a list of names.
    pub fn choice<T: Copy>(&mut self, choices: &[(&'static str, T)]) -> Result<T, Diag> {
        let names = || choices.iter().map(|&(name, _)| name);
        let keyword = self.keyword();
        let list = || {
            let quoted: Vec<_> = names().map(|name| format!("'{name}'")).collect();
            match quoted.split_last() {
                Some((last, [])) => last.clone(),
                Some((last, others)) => format!("{} or {last}", others.join(", ")),
                None => String::new(),
            }
        };
        let Some(word) = self.next() else {
            let text = format!("'{keyword}' expects {} as argument.", list());
            return Err(self.error_here(Code::MissingArgument, text));
        };
        match choices.iter().find(|(name, _)| word.is(name)) {
            Some(&(_, value)) => Ok(value),
            None => {
                let text = format!("'{keyword}' expects {} (got '{word}').", list());
                let diag = Diag::alert(Code::BadChoice, word.span(), text);
                Err(diag.with_nearest(word.bytes(), names()))
            }
        }
    }
}

impl<'a> Iterator for ArgCursor<'a> {
    type Item = &'a Arg;

    /// Takes the next argument.
    fn next(&mut self) -> Option<&'a Arg> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }
}

/// The character at an offset, to print; nothing past the end.
fn char_at(word: &Arg, at: usize) -> String {
    word.bytes()
        .get(at)
        .map_or_else(String::new, |&byte| shown(byte).to_string())
}

/// Name of a unit in messages.
fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Us => "microseconds",
        TimeUnit::Ms => "milliseconds",
        TimeUnit::S => "seconds",
        TimeUnit::Min => "minutes",
        TimeUnit::Hour => "hours",
        TimeUnit::Day => "days",
    }
}

/// The longest time, as messages have it.
fn longest(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Us => "2147483647 us or ~35.8 minutes",
        TimeUnit::Ms => "2147483647 ms or ~24.8 days",
        TimeUnit::S => "2147483647 s or ~68 years",
        TimeUnit::Min => "2147483647 m",
        TimeUnit::Hour => "2147483647 h",
        TimeUnit::Day => "2147483647 d",
    }
}

#[cfg(test)]
mod tests;
