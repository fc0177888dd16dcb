//! One line of configuration cut into raw words, and one raw word cut into its parts.
//!
//! For `conf/ast.rs` (the words with their places) and `conf/cook.rs` (what the parts become). Built with nom on
//! bytes. Sources: manual chapters 2.2 and 2.3, and HAProxy 3.4.0's behaviour where the manual is silent: CR, LF
//! and NUL end a line even inside quotes, a backslash that escapes nothing stays, `\xNN` works unquoted and in
//! weak quotes, variables are seen in weak quotes only, and nothing is escaped or quoted inside a default value.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while, take_while1};
use nom::combinator::{map, map_opt, opt, recognize, verify};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::{pair, preceded, terminated};
use nom::{Err, IResult, Parser};
use thiserror::Error;

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// A line of a file: `#` starts a comment.
    File,
    /// The argument of `-cc`: no comments.
    Condition,
}

/// Quotes around a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    None,
    Weak,
    Strong,
}

/// Why a line cannot be cut into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// The quote at this place is never closed.
    #[error("unmatched quote")]
    Quote,
    /// The brace at this place is never closed, or not where it should be.
    #[error("unmatched brace in environment variable name")]
    Brace,
    /// Not a letter, underscore or known pseudo-variable after `$`.
    #[error("forbidden first char in environment variable name")]
    Name,
    /// `\x` without two hexadecimal digits.
    #[error("truncated or invalid hexadecimal sequence")]
    Hex,
    /// `[` after a name, but not `[*]`.
    #[error("truncated or invalid word expansion sequence")]
    Expansion,
}

/// A fault and the offset of the byte it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexError {
    /// What is wrong.
    pub fault: Fault,
    /// Offset in the text that was read.
    pub at: usize,
}

/// Pseudo-variables, resolved where the line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pseudo {
    /// `.FILE`: name of the file.
    File,
    /// `.LINE`: number of the line, from 1.
    Line,
    /// `.SECTION`: name of the section, or its kind if it has none.
    Section,
}

/// What a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'t> {
    /// An environment variable.
    Env(&'t [u8]),
    /// A pseudo-variable.
    Pseudo(Pseudo),
}

/// A reference to a variable: `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'t> {
    /// What is referred to.
    pub name: Name<'t>,
    /// Offset of the name from the dollar sign.
    pub name_at: usize,
    /// True for `[*]`: blanks in the value separate words.
    pub list: bool,
    /// Value if the variable does not exist.
    pub default: Option<&'t [u8]>,
}

/// A piece of a raw word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'t> {
    /// Bytes that stand for themselves.
    Text(&'t [u8]),
    /// An escape, and the byte it stands for.
    Escape(u8),
    /// An opening quote.
    Open,
    /// A closing quote.
    Close,
    /// A variable.
    Variable(Variable<'t>),
}

/// A raw word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawWord {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
    /// True when it has neither quotes, escapes nor variables.
    pub plain: bool,
}

/// A line cut into words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawLine {
    /// The words, up to the fault if there is one.
    pub words: Vec<RawWord>,
    /// Offset where reading stopped: a comment, CR, LF, NUL, the fault, or the end of the text.
    pub end: usize,
    /// True when a comment starts at `end`.
    pub comment: bool,
    /// Why the line is not usable.
    pub error: Option<LexError>,
}

/// Error of the parsers below: `fault` is set for what no other alternative can cure.
#[derive(Debug)]
struct Stuck {
    fault: Option<Fault>,
    /// How many bytes were left of the text at the place of the fault.
    left: usize,
}

impl<'t> ParseError<&'t [u8]> for Stuck {
    fn from_error_kind(rest: &'t [u8], _: ErrorKind) -> Self {
        Self {
            fault: None,
            left: rest.len(),
        }
    }

    fn append(_: &'t [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Parsed<'t, T> = IResult<&'t [u8], T, Stuck>;

/// Fails for good, at the place where `rest` is left.
fn fail<T>(fault: Fault, rest: &[u8]) -> Parsed<'_, T> {
    Err(Err::Failure(Stuck {
        fault: Some(fault),
        left: rest.len(),
    }))
}

/// Blanks between words; CR counts only after another blank (see [`fn@line`]).
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Bytes that end a line wherever they stand.
fn is_end(byte: u8) -> bool {
    matches!(byte, 0 | b'\n' | b'\r')
}

/// Bytes that stand for themselves.
fn text(quote: Quote, syntax: Syntax) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> {
    move |input| {
        take_while1(|byte: u8| match quote {
            _ if is_end(byte) => false,
            Quote::None if byte == b'#' => syntax == Syntax::Condition,
            Quote::None => !is_blank(byte) && !matches!(byte, b'"' | b'\'' | b'\\'),
            Quote::Weak => !matches!(byte, b'"' | b'\\' | b'$'),
            Quote::Strong => byte != b'\'',
        })
        .parse(input)
    }
}

/// A backslash with what it escapes; alone it stands for itself.
fn escape(quote: Quote, syntax: Syntax) -> impl Fn(&[u8]) -> Parsed<'_, Part<'_>> {
    move |input| {
        let (rest, backslash) = tag(&b"\\"[..]).parse(input)?;
        let Some((&next, after)) = rest.split_first() else {
            return Ok((rest, Part::Text(backslash)));
        };
        let byte = match next {
            b' ' | b'\\' | b'\'' | b'"' => next,
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'#' if syntax == Syntax::File => next,
            b'$' if quote == Quote::Weak => next,
            b'x' => {
                return match hex_pair(after) {
                    Ok((rest, byte)) => Ok((rest, Part::Escape(byte))),
                    Err(_) => fail(Fault::Hex, input),
                };
            }
            _ => return Ok((rest, Part::Text(backslash))),
        };
        Ok((after, Part::Escape(byte)))
    }
}

/// Two hexadecimal digits.
fn hex_pair(input: &[u8]) -> Parsed<'_, u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    let digits = verify(take(2_usize), |pair: &[u8]| {
        pair.iter().all(u8::is_ascii_hexdigit)
    });
    map(digits, |pair: &[u8]| {
        pair.iter().fold(0, |byte, &next| byte << 4 | digit(next))
    })
    .parse(input)
}

/// Bytes of a name after its first one.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Name of an environment variable.
fn env_name(input: &[u8]) -> Parsed<'_, Name<'_>> {
    let first = take_while1(|byte: u8| byte.is_ascii_alphabetic() || byte == b'_');
    map(recognize(pair(first, take_while(is_word))), Name::Env).parse(input)
}

/// Name of a pseudo-variable.
fn pseudo_name(input: &[u8]) -> Parsed<'_, Name<'_>> {
    let known = |name: &[u8]| match name {
        b"FILE" => Some(Name::Pseudo(Pseudo::File)),
        b"LINE" => Some(Name::Pseudo(Pseudo::Line)),
        b"SECTION" => Some(Name::Pseudo(Pseudo::Section)),
        _ => None,
    };
    map_opt(preceded(tag(&b"."[..]), take_while(is_word)), known).parse(input)
}

/// Name of a variable or pseudo-variable; anything else is a fault for good.
fn name(input: &[u8]) -> Parsed<'_, Name<'_>> {
    alt((env_name, pseudo_name))
        .parse(input)
        .or_else(|_: Err<Stuck>| fail(Fault::Name, input))
}

/// The end of a reference in braces: an optional `-default`, then the closing brace.
fn default_and_brace(input: &[u8]) -> Parsed<'_, Option<&[u8]>> {
    let default = preceded(tag(&b"-"[..]), take_while(|byte: u8| byte != b'}'));
    terminated(opt(default), tag(&b"}"[..])).parse(input)
}

/// A reference to a variable, from its dollar sign on.
fn variable(input: &[u8]) -> Parsed<'_, Part<'_>> {
    let (brace, _) = tag(&b"$"[..]).parse(input)?;
    let (rest, opened) = opt(tag(&b"{"[..])).parse(brace)?;
    let name_at = input.len() - rest.len();
    let (rest, name) = name(rest)?;
    if opened.is_none() {
        return Ok((
            rest,
            Part::Variable(Variable {
                name,
                name_at,
                list: false,
                default: None,
            }),
        ));
    }
    let (rest, list) = opt(tag(&b"[*]"[..])).parse(rest)?;
    if list.is_none() && rest.first() == Some(&b'[') {
        return fail(Fault::Expansion, rest);
    }
    let (rest, default) = default_and_brace(rest).or_else(|_: Err<Stuck>| fail(Fault::Brace, brace))?;
    Ok((
        rest,
        Part::Variable(Variable {
            name,
            name_at,
            list: list.is_some(),
            default,
        }),
    ))
}

/// Reads parts one after the other, knowing which quotes are open.
#[derive(Clone, Debug)]
pub struct Parts<'t> {
    text: &'t [u8],
    rest: &'t [u8],
    syntax: Syntax,
    quote: Quote,
    /// Where the open quote is.
    opened_at: usize,
}

impl<'t> Parts<'t> {
    /// The parts of a text, quotes closed at its start.
    pub fn new(text: &'t [u8], syntax: Syntax) -> Self {
        Self {
            text,
            rest: text,
            syntax,
            quote: Quote::None,
            opened_at: 0,
        }
    }

    /// Offset of the next part.
    pub fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// The next part with its offset; `None` at what ends the word: a blank, a comment, the end of the line.
    pub fn next_part(&mut self) -> Result<Option<(usize, Part<'t>)>, LexError> {
        let at = self.offset();
        let Some(&first) = self.rest.first() else {
            return self.ended();
        };
        let quote = self.quote;
        let parsed = match (first, quote) {
            (b'"', Quote::None) => self.turn(Quote::Weak, Part::Open),
            (b'\'', Quote::None) => self.turn(Quote::Strong, Part::Open),
            (b'"', Quote::Weak) | (b'\'', Quote::Strong) => self.turn(Quote::None, Part::Close),
            (b'\\', Quote::None | Quote::Weak) => escape(quote, self.syntax)(self.rest),
            (b'$', Quote::Weak) => variable(self.rest),
            _ => map(text(quote, self.syntax), Part::Text).parse(self.rest),
        };
        match parsed {
            Ok((rest, part)) => {
                self.rest = rest;
                Ok(Some((at, part)))
            }
            Err(Err::Failure(Stuck {
                fault: Some(fault),
                left,
            })) => Err(LexError {
                fault,
                at: self.text.len() - left,
            }),
            Err(_) => self.ended(),
        }
    }

    /// Takes one quote and remembers it.
    fn turn(&mut self, quote: Quote, part: Part<'t>) -> Parsed<'t, Part<'t>> {
        self.opened_at = self.offset();
        self.quote = quote;
        Ok((self.rest.get(1..).unwrap_or(&[]), part))
    }

    /// The end of a word, unless a quote is still open.
    fn ended<T>(&self) -> Result<Option<T>, LexError> {
        match self.quote {
            Quote::None => Ok(None),
            Quote::Weak | Quote::Strong => Err(LexError {
                fault: Fault::Quote,
                at: self.opened_at,
            }),
        }
    }

    /// Skips blanks. A CR that follows a word directly ends the line, further on it is a blank.
    fn skip_blanks(&mut self) {
        if self.rest.first() != Some(&b'\r') {
            let blanks = self.rest.iter().take_while(|&&byte| is_blank(byte)).count();
            self.rest = self.rest.get(blanks..).unwrap_or(&[]);
        }
    }
}

/// Cuts a line into words. The text ends at the first LF or NUL if it holds any.
pub fn line(text: &[u8], syntax: Syntax) -> RawLine {
    let mut parts = Parts::new(text, syntax);
    let mut found = RawLine::default();
    loop {
        parts.skip_blanks();
        let start = parts.offset();
        let mut plain = true;
        loop {
            match parts.next_part() {
                Ok(Some((_, part))) => plain &= matches!(part, Part::Text(_)),
                Ok(None) => break,
                Err(error) => {
                    found.end = error.at;
                    found.error = Some(error);
                    return found;
                }
            }
        }
        let end = parts.offset();
        if end == start {
            found.end = end;
            found.comment = syntax == Syntax::File && parts.rest.first() == Some(&b'#');
            return found;
        }
        found.words.push(RawWord { start, end, plain });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let found = line(text.as_bytes(), Syntax::File);
        assert_eq!(found.error, None, "{text}");
        found
            .words
            .iter()
            .map(|word| &text[word.start..word.end])
            .collect()
    }

    fn error(text: &str) -> Option<(Fault, usize)> {
        line(text.as_bytes(), Syntax::File)
            .error
            .map(|error| (error.fault, error.at))
    }

    #[test]
    fn words_and_comments() {
        assert_eq!(words("  a  b\tc # d"), ["a", "b", "c"]);
        assert_eq!(words("global#this"), ["global"]);
        assert_eq!(words(r"a\#b a\ b 'x # y' "), [r"a\#b", r"a\ b", "'x # y'"]);
        assert_eq!(words("a'b c'\"d e\"f"), ["a'b c'\"d e\"f"]);
        assert_eq!(words("a \r b\rc"), ["a", "b"]);
        assert_eq!(words("a\0b"), ["a"]);
        assert_eq!(words("\ra"), Vec::<&str>::new());
        assert_eq!(words(""), Vec::<&str>::new());
        assert_eq!(words("a\\\tb"), ["a\\", "b"]);
        assert_eq!(words("$A ${"), ["$A", "${"]);
        let found = line(b"1 # 2", Syntax::Condition);
        assert_eq!((found.words.len(), found.comment), (3, false));
    }

    #[test]
    fn faults() {
        assert_eq!(error("a 'b"), Some((Fault::Quote, 2)));
        assert_eq!(error("a \"b\r\""), Some((Fault::Quote, 2)));
        assert_eq!(error(r"a \x4"), Some((Fault::Hex, 2)));
        assert_eq!(error(r"a b\xg0 '"), Some((Fault::Hex, 3)));
        assert_eq!(error(r"a '\xg0'"), None);
        assert_eq!(error("a \"$1\""), Some((Fault::Name, 4)));
        assert_eq!(error("a \"${}\""), Some((Fault::Name, 5)));
        assert_eq!(error("a \"${.LINES}\""), Some((Fault::Name, 5)));
        assert_eq!(error("a \"${A\""), Some((Fault::Brace, 4)));
        assert_eq!(error("a \"${A-x\""), Some((Fault::Brace, 4)));
        assert_eq!(error("a \"${A+x}\""), Some((Fault::Brace, 4)));
        assert_eq!(error("a \"${A[]}\""), Some((Fault::Expansion, 6)));
        assert_eq!(error("a \"$A[]\""), None);
        assert_eq!(error("a '$1' $1"), None);
    }

    #[test]
    fn parts_of_a_word() {
        let mut parts = Parts::new(br#"a\x41"b${.LINE-c"d}\$"'e'"#, Syntax::File);
        let mut seen = Vec::new();
        while let Some(part) = parts.next_part().expect("no fault") {
            seen.push(part);
        }
        let variable = Variable {
            name: Name::Pseudo(Pseudo::Line),
            name_at: 2,
            list: false,
            default: Some(&b"c\"d"[..]),
        };
        assert_eq!(
            seen,
            [
                (0, Part::Text(b"a")),
                (1, Part::Escape(b'A')),
                (5, Part::Open),
                (6, Part::Text(b"b")),
                (7, Part::Variable(variable)),
                (19, Part::Escape(b'$')),
                (21, Part::Close),
                (22, Part::Open),
                (23, Part::Text(b"e")),
                (24, Part::Close),
            ]
        );
    }
}
