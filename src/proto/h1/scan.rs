//! The tokeniser behind the HTTP/1 parsers: a state per byte position, so that a head may come in any pieces.
//!
//! It resumes where the input ended, and refuses a byte as soon as it sees it: a client that sends garbage is
//! answered at once, not when its head is complete. What it lets through is HAProxy 3.4.0's grammar: leading empty lines, several
//! blanks between the parts of a start line, LF for CR LF, folded lines (turned into blanks), any byte but
//! NUL, CR and LF in a value. Meaning is given elsewhere.
//! Source: RFC 9112 sections 2.2, 3, 4 and 5.

use crate::proto::head::Span;

/// Class bits of a byte.
const TOKEN: u8 = 1;
const VERSION: u8 = 2;

/// Byte classes: token characters (RFC 9110 section 5.6.2) and those that may stand in a version.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric()
            || matches!(c, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            table[byte] |= TOKEN;
        }
        if c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, b'.' | b'/') {
            table[byte] |= VERSION;
        }
        byte += 1;
    }
    table
};

/// Whether `byte` may stand in a token.
pub(crate) fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

fn is_version(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & VERSION != 0
}

/// Whether `byte` is a blank within a line.
pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What kind of section is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Request,
    Response,
    Trailers,
}

/// A piece of the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The start line: method, target, version; or version, code, reason.
    StartLine { first: Span, second: Span, third: Span },
    /// A field, its value trimmed and unfolded.
    Field { name: Span, value: Span },
    /// The empty line was read; this is the offset after it.
    End(u32),
    /// The input ended.
    NeedMore,
    /// The byte at the current position is refused.
    Invalid,
}

/// ```text
///  Before <-> BeforeCr      Before -> Method -> MethodSp -> Target -> TargetSp -> Version -> LineLf -> First
///                                  -> Edition -> EditionSp -> Code -> CodeSp -> Reason ----> LineLf -> First
///  First -+-> Name -> Lead -+-> Value -> ValueLf -> Fold -+-> Name ...   (Fold: a blank continues the value)
///         |                 +-> LeadLf -> LeadFold -------+
///         +-> LastLf -> Over <----------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Before,
    BeforeCr,
    Method,
    MethodSp,
    Target,
    TargetSp,
    Version,
    Edition,
    EditionSp,
    Code,
    CodeSp,
    Reason,
    LineLf,
    First,
    Name,
    Lead,
    LeadLf,
    LeadFold,
    Value,
    ValueLf,
    Fold,
    LastLf,
    Over,
}

/// How far a section was read. All offsets are absolute in the storage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner {
    state: State,
    section: Section,
    /// Let violations through, and remember the first.
    lenient: bool,
    tolerated: Option<u32>,
    /// Next byte to look at.
    pos: u32,
    /// Where the current element starts (name, or part of the start line).
    mark: u32,
    first: Span,
    second: Span,
    name: Span,
    value_start: u32,
    value_end: u32,
}

impl Scanner {
    pub(crate) const fn new(section: Section, lenient: bool, at: u32) -> Self {
        let state = match section {
            Section::Trailers => State::First,
            Section::Request | Section::Response => State::Before,
        };
        let none = Span::new(at, 0);
        Self {
            state,
            section,
            lenient,
            tolerated: None,
            pos: at,
            mark: at,
            first: none,
            second: none,
            name: none,
            value_start: at,
            value_end: at,
        }
    }

    /// Offset of the next byte to look at (of the refused one after `Invalid`).
    pub(crate) const fn pos(&self) -> u32 {
        self.pos
    }

    /// First violation that was let through.
    pub(crate) const fn tolerated(&self) -> Option<u32> {
        self.tolerated
    }

    /// Whether the start line is complete.
    pub(crate) fn past_start_line(&self) -> bool {
        self.state >= State::First
    }

    /// Whether anything but empty lines was seen.
    pub(crate) fn begun(&self) -> bool {
        self.state > State::BeforeCr
    }

    /// The storage moved by `delta` bytes.
    pub(crate) fn rebase(&mut self, delta: i64) {
        let shift = |at: &mut u32| *at = (i64::from(*at) + delta).clamp(0, i64::from(u32::MAX)) as u32;
        shift(&mut self.pos);
        shift(&mut self.mark);
        shift(&mut self.first.off);
        shift(&mut self.second.off);
        shift(&mut self.name.off);
        shift(&mut self.value_start);
        shift(&mut self.value_end);
        if let Some(at) = &mut self.tolerated {
            shift(at);
        }
    }

    /// Notes a violation: refused when strict, remembered when lenient.
    pub(crate) const fn tolerate(&mut self, at: u32) -> bool {
        if self.lenient && self.tolerated.is_none() {
            self.tolerated = Some(at);
        }
        self.lenient
    }

    /// Reads up to the next token. `store[..end]` are the bytes there are.
    pub(crate) fn next(&mut self, store: &mut [u8], end: u32) -> Token {
        loop {
            let Some(&byte) = store.get(self.pos as usize).filter(|_| self.pos < end) else {
                return Token::NeedMore;
            };
            let step = if self.state < State::First {
                self.start_line(store, end, byte)
            } else {
                self.field_line(store, end, byte)
            };
            match step {
                Step::Go(state) => {
                    self.state = state;
                    self.pos += 1;
                }
                Step::Stay(state) => self.state = state,
                Step::Emit(token) => return token,
                Step::Refuse => return Token::Invalid,
            }
        }
    }

    /// Moves to the first byte that `stop` wants; `false` if the input ended before.
    fn skip_to(&mut self, store: &[u8], end: u32, stop: impl Fn(u8) -> bool) -> Option<u8> {
        let rest = store.get(self.pos as usize..end as usize).unwrap_or_default();
        match rest.iter().position(|&byte| stop(byte)) {
            Some(count) => {
                self.pos += count as u32;
                rest.get(count).copied()
            }
            None => {
                self.pos = end;
                None
            }
        }
    }

    /// Ends the start line at the current CR or LF.
    fn end_line(&mut self, byte: u8, third: Span) -> Step {
        // Without a version (HTTP/0.9) there are no fields: the line end is the end of the head.
        let after = if self.section == Section::Request && third.is_empty() {
            State::LastLf
        } else {
            State::LineLf
        };
        self.state = after;
        if byte == b'\r' {
            self.pos += 1;
        }
        Step::Emit(Token::StartLine {
            first: self.first,
            second: self.second,
            third,
        })
    }

    fn start_line(&mut self, store: &[u8], end: u32, byte: u8) -> Step {
        match self.state {
            State::Before => match byte {
                b'\n' => Step::Go(State::Before),
                b'\r' => Step::Go(State::BeforeCr),
                _ if is_token(byte) => {
                    self.mark = self.pos;
                    let request = self.section == Section::Request;
                    Step::Stay(if request { State::Method } else { State::Edition })
                }
                _ => Step::Refuse,
            },
            State::BeforeCr if byte == b'\n' => Step::Go(State::Before),
            State::Method | State::MethodSp | State::Target | State::TargetSp | State::Version => {
                self.request_line(store, end, byte)
            }
            State::Edition | State::EditionSp | State::Code | State::CodeSp | State::Reason => {
                self.status_line(store, end, byte)
            }
            State::LineLf if byte == b'\n' => Step::Go(State::First),
            _ => Step::Refuse,
        }
    }

    fn request_line(&mut self, store: &[u8], end: u32, byte: u8) -> Step {
        let here = Span::between(self.mark, self.pos);
        match self.state {
            State::Method if is_token(byte) => Step::Go(State::Method),
            State::Method if is_blank(byte) => {
                self.first = here;
                Step::Go(State::MethodSp)
            }
            State::Method if is_line_end(byte) => {
                self.first = here;
                self.second = Span::new(self.pos, 0);
                self.end_line(byte, self.second)
            }
            State::MethodSp | State::TargetSp if is_blank(byte) => Step::Go(self.state),
            State::MethodSp if is_line_end(byte) => {
                self.second = Span::new(self.pos, 0);
                self.end_line(byte, self.second)
            }
            State::MethodSp => {
                self.mark = self.pos;
                Step::Stay(State::Target)
            }
            State::Target => {
                let Some(byte) = self.skip_to(store, end, |b| !matches!(b, 33..=126) || b == b'#') else {
                    return Step::Stay(State::Target);
                };
                let here = Span::between(self.mark, self.pos);
                match byte {
                    b' ' | b'\t' => {
                        self.second = here;
                        Step::Go(State::TargetSp)
                    }
                    b'\r' | b'\n' => {
                        self.second = here;
                        self.end_line(byte, Span::new(self.pos, 0))
                    }
                    b'#' | 128..=255 if self.tolerate(self.pos) => Step::Go(State::Target),
                    _ => Step::Refuse,
                }
            }
            State::TargetSp if is_line_end(byte) => self.end_line(byte, Span::new(self.pos, 0)),
            State::TargetSp => {
                self.mark = self.pos;
                Step::Stay(State::Version)
            }
            State::Version if is_version(byte) => Step::Go(State::Version),
            State::Version if is_line_end(byte) => self.end_line(byte, here),
            _ => Step::Refuse,
        }
    }

    fn status_line(&mut self, store: &[u8], end: u32, byte: u8) -> Step {
        let here = Span::between(self.mark, self.pos);
        match self.state {
            State::Edition if is_version(byte) => Step::Go(State::Edition),
            State::Edition if is_blank(byte) => {
                self.first = here;
                Step::Go(State::EditionSp)
            }
            State::EditionSp | State::CodeSp if is_blank(byte) => Step::Go(self.state),
            State::EditionSp if !is_line_end(byte) => {
                self.mark = self.pos;
                Step::Stay(State::Code)
            }
            State::Code if byte.is_ascii_digit() => {
                // Four digits or more: let through when asked for, as long as the number stays a small one.
                if here.len < 3 || (self.tolerate(self.pos) && here.len < 5 && small(here.of(store))) {
                    Step::Go(State::Code)
                } else {
                    Step::Refuse
                }
            }
            State::Code if is_blank(byte) => {
                self.second = here;
                Step::Go(State::CodeSp)
            }
            State::Code if is_line_end(byte) => {
                self.second = here;
                self.end_line(byte, Span::new(self.pos, 0))
            }
            State::CodeSp if is_line_end(byte) => self.end_line(byte, Span::new(self.pos, 0)),
            State::CodeSp => {
                self.mark = self.pos;
                Step::Stay(State::Reason)
            }
            State::Reason => match self.skip_to(store, end, is_line_end) {
                Some(byte) => self.end_line(byte, Span::between(self.mark, self.pos)),
                None => Step::Stay(State::Reason),
            },
            _ => Step::Refuse,
        }
    }

    fn field_line(&mut self, store: &mut [u8], end: u32, byte: u8) -> Step {
        match self.state {
            State::First => self.new_line(byte),
            State::Name => self.name(store, end),
            State::Lead if is_blank(byte) => Step::Go(State::Lead),
            State::Lead => {
                self.value_start = self.pos;
                match byte {
                    b'\r' => Step::Go(State::LeadLf),
                    b'\n' => Step::Go(State::LeadFold),
                    _ => Step::Stay(State::Value),
                }
            }
            State::LeadLf if byte == b'\n' => Step::Go(State::LeadFold),
            State::LeadFold if is_blank(byte) => {
                blank_out(store, self.value_start, self.pos);
                Step::Stay(State::Lead)
            }
            State::LeadFold => {
                self.value_end = self.value_start;
                self.field(store, byte)
            }
            State::Value => match self.skip_to(store, end, |b| matches!(b, 0 | b'\r' | b'\n')) {
                None => Step::Stay(State::Value),
                Some(0) if self.tolerate(self.pos) => Step::Go(State::Value),
                Some(0) => Step::Refuse,
                Some(byte) => {
                    self.value_end = self.pos;
                    Step::Go(if byte == b'\r' {
                        State::ValueLf
                    } else {
                        State::Fold
                    })
                }
            },
            State::ValueLf if byte == b'\n' => Step::Go(State::Fold),
            State::Fold if is_blank(byte) => {
                blank_out(store, self.value_end, self.pos);
                Step::Stay(State::Value)
            }
            State::Fold => self.field(store, byte),
            State::LastLf if byte == b'\n' => {
                self.pos += 1;
                self.state = State::Over;
                Step::Emit(Token::End(self.pos))
            }
            State::Over => Step::Emit(Token::End(self.pos)),
            _ => Step::Refuse,
        }
    }

    /// First byte of a line after the start line or a field.
    const fn new_line(&mut self, byte: u8) -> Step {
        match byte {
            b'\r' => Step::Go(State::LastLf),
            b'\n' => Step::Stay(State::LastLf),
            _ => {
                self.mark = self.pos;
                Step::Stay(State::Name)
            }
        }
    }

    fn name(&mut self, store: &[u8], end: u32) -> Step {
        match self.skip_to(store, end, |b| !is_token(b)) {
            None => Step::Stay(State::Name),
            Some(b':') => {
                self.name = Span::between(self.mark, self.pos);
                if self.name.is_empty() {
                    Step::Refuse
                } else {
                    Step::Go(State::Lead)
                }
            }
            Some(byte) if byte != b'\n' && self.tolerate(self.pos) => Step::Go(State::Name),
            Some(_) => Step::Refuse,
        }
    }

    /// A field is complete: `byte` is the first of the next line.
    fn field(&mut self, store: &[u8], byte: u8) -> Step {
        let lead = self.value_start;
        let raw = Span::between(lead, self.value_end).of(store);
        let start = raw.iter().position(|&b| !is_blank(b)).unwrap_or(raw.len());
        let stop = raw
            .iter()
            .rposition(|&b| !is_blank(b))
            .map_or(start, |last| last + 1);
        let value = Span::between(lead + start as u32, lead + stop as u32);
        let token = Token::Field {
            name: self.name,
            value,
        };
        match self.new_line(byte) {
            Step::Go(state) => {
                self.state = state;
                self.pos += 1;
            }
            Step::Stay(state) => self.state = state,
            Step::Emit(_) | Step::Refuse => {}
        }
        Step::Emit(token)
    }
}

/// Whether a status of three or four digits takes another one without leaving 16 bits.
fn small(digits: &[u8]) -> bool {
    digits
        .iter()
        .fold(0_u16, |sum, &digit| sum * 10 + u16::from(digit & 15))
        < 6552
}

/// What to do after a byte.
enum Step {
    /// Take the byte, go on in this state.
    Go(State),
    /// Look at the (maybe new) current byte again in this state.
    Stay(State),
    Emit(Token),
    Refuse,
}

/// A folded line counts as blanks.
fn blank_out(store: &mut [u8], from: u32, to: u32) {
    Span::between(from, to).of_mut(store).fill(b' ');
}
