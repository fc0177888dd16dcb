//! Request and response heads, and trailer sections, from bytes that may come in any pieces.
//!
//! The engine gives the storage and the range of it that holds unread bytes; the parser fills a pooled
//! [`Head`] and says how the message goes on. Violations that
//! `accept-unsafe-violations-in-http-request/-response` let through are reported in `Framing::tolerated`.
//! Sources: RFC 9112 sections 2 to 7, configuration manual, verdicts as HAProxy 3.4.0 gives them.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::proto::h1::Framing;
use crate::proto::h1::fields::{self, Codings, Fault, Options, Protocols};
use crate::proto::h1::scan::{Scanner, Section, Token, is_blank, is_token};
use crate::proto::h1::target;
use crate::proto::head::{Head, Known, Method, NoRoom, Slot, Span, StartLine};

mod conclude;

/// Settings that change the verdict on a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// `option accept-unsafe-violations-in-http-request` (or `-response`).
    pub lenient: bool,
    /// Global `h1-accept-payload-with-any-method`.
    pub payload_with_any_method: bool,
    /// Global `h1-do-not-close-on-insecure-transfer-encoding`.
    pub keep_on_insecure_te: bool,
    /// Largest weight of a head in bytes, 0 for no limit; see [`max_weight`].
    pub max_weight: u32,
}

/// Largest weight of a head for `tune.bufsize` and `tune.maxrewrite`. A head weighs its names and values, the
/// parts of its start line, and some bytes for each (8 per field, 37 for the message), as it does in HAProxy's
/// buffers: with many short fields this limit is met before that of the input.
pub const fn max_weight(bufsize: u32, maxrewrite: u32) -> u32 {
    bufsize.saturating_sub(40).saturating_sub(maxrewrite)
}

/// How many bytes of input fill a buffer of `tune.bufsize` bytes: HAProxy keeps 56 for its own use.
pub const fn input_limit(bufsize: u32) -> u32 {
    bufsize.saturating_sub(56)
}

/// Why a head cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeadError {
    /// A byte that may not stand where it stands.
    #[error("invalid byte in message head")]
    Syntax,
    /// More fields than `tune.http.maxhdr` allows.
    #[error("too many header fields")]
    TooManyFields,
    /// The version is not `HTTP/` digit `.` digit.
    #[error("invalid protocol version")]
    Version,
    /// The target has the wrong form for the method, or an invalid authority.
    #[error("invalid request target")]
    Target,
    /// `Host` is malformed, there are two different ones, or it contradicts the target.
    #[error("invalid Host")]
    Host,
    /// `Content-Length` is no number, or there are two different ones.
    #[error("invalid Content-Length")]
    ContentLength,
    /// `Transfer-Encoding` is empty, repeats `chunked`, or does not end with it in a request.
    #[error("invalid Transfer-Encoding")]
    TransferEncoding,
    /// `Transfer-Encoding` names a coding other than `chunked`.
    #[error("unknown transfer coding")]
    UnknownCoding,
    /// A body in an HTTP/1.0 GET, HEAD or DELETE.
    #[error("payload forbidden in HTTP/1.0 GET, HEAD and DELETE")]
    Payload,
    /// A WebSocket handshake without its key.
    #[error("missing WebSocket key")]
    WebsocketKey,
    /// The method `PRI` belongs to HTTP/2's preface.
    #[error("method reserved for HTTP/2")]
    ReservedMethod,
    /// The request line alone fills the buffer.
    #[error("request line too long")]
    LineTooLong,
    /// The head fills the buffer.
    #[error("message head too large")]
    TooLarge,
    /// The preface of HTTP/2 where there is none. Found by whoever sees the whole of it, not by the parser.
    #[error("HTTP/2 is not spoken here")]
    Preface,
}

impl HeadError {
    /// Status that a client gets for a request with this fault. For a fault in a response it is always 502.
    pub const fn request_status(self) -> u16 {
        match self {
            Self::Preface => 405,
            Self::Payload => 413,
            Self::LineTooLong => 414,
            Self::UnknownCoding => 422,
            Self::TooLarge => 431,
            _ => 400,
        }
    }
}

/// What a parser found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The head is not complete and has no fault so far.
    NeedMore,
    /// The head is complete.
    Done {
        /// Offset in the storage of the first byte after the head.
        body_at: u32,
        /// What follows.
        framing: Framing,
    },
    /// The head has a fault.
    Error(HeadError),
}

/// What an HTTP/2 client sends first (RFC 9113 section 3.4). Where no upgrade to HTTP/2 is possible HAProxy answers
/// 405; look for it before parsing.
pub const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Fields that one call of httparse may return; heads with more take the other way.
const FAST_FIELDS: usize = 128;
/// Reads one section: the head of a request or of a response, or trailers.
///
/// A head that arrives whole takes one pass of httparse. Any other, and whatever httparse refuses, goes
/// through the byte-wise scanner, which resumes where it was and has the last word; a property test holds both
/// ways to the same result.
#[derive(Debug, Clone)]
pub struct Parser {
    scanner: Scanner,
    section: Section,
    rules: Rules,
    /// Method of the request to which a response answers.
    asked: Method,
    /// Where the unread bytes began at the last call; none before the first.
    origin: Option<u32>,
    said: Said,
}

/// What the fields said so far.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    codings: Codings,
    length: Option<u64>,
    options: Options,
    protocols: Protocols,
    /// Slot of the first `Host`.
    host: Option<usize>,
    v11: bool,
}

impl Parser {
    /// A parser for one request.
    pub const fn request(rules: Rules) -> Self {
        Self::new(Section::Request, rules, Method::Other)
    }

    /// A parser for one response to a request of method `asked`. Each interim response (1xx) takes its own.
    pub const fn response(rules: Rules, asked: Method) -> Self {
        Self::new(Section::Response, rules, asked)
    }

    /// A parser for one trailer section. Its fields go to a head of their own; the framing says nothing.
    pub const fn trailers(rules: Rules) -> Self {
        Self::new(Section::Trailers, rules, Method::Other)
    }

    const fn new(section: Section, rules: Rules, asked: Method) -> Self {
        let said = Said {
            codings: Codings {
                present: false,
                chunked: false,
                chunked_last: false,
                other: false,
            },
            length: None,
            options: Options {
                close: false,
                keep_alive: false,
                upgrade: false,
            },
            protocols: Protocols {
                any: false,
                websocket: false,
            },
            host: None,
            v11: false,
        };
        Self {
            scanner: Scanner::new(section, rules.lenient, 0),
            section,
            rules,
            asked,
            origin: None,
            said,
        }
    }

    /// Whether a byte other than those of leading empty lines was seen.
    pub fn begun(&self) -> bool {
        self.scanner.begun()
    }

    /// Offset of the byte that the last call stopped at: the faulty one after a syntax error.
    pub const fn stopped_at(&self) -> u32 {
        self.scanner.pos()
    }

    /// Reads `store[unread]`. Call it again with the same bytes and more of them until it does not say
    /// `NeedMore`; the whole range may have moved within the storage in the meantime. `full` tells that the
    /// storage cannot take any more bytes. `head` must be the same, and cleared before the first call.
    pub fn parse(&mut self, store: &mut [u8], unread: Range<u32>, full: bool, head: &mut Head) -> Parsed {
        let fresh = self.moved_to(unread.start, head);
        if fresh && let Some(body_at) = self.whole(store, &unread, head) {
            return match self.all_fields(store, head) {
                Ok(()) => self.finish(store, head, body_at),
                Err(error) => Parsed::Error(error),
            };
        }
        loop {
            let done = match self.scanner.next(store, unread.end) {
                Token::NeedMore if full => Err(self.overflow()),
                Token::NeedMore => return Parsed::NeedMore,
                Token::Invalid => Err(HeadError::Syntax),
                Token::StartLine { first, second, third } => {
                    self.start_line(store, head, first, second, third)
                }
                Token::Field { name, value } => {
                    let slot = Slot {
                        name,
                        value,
                        id: Known::from_name(name.of(store)),
                    };
                    self.field(store, head, slot)
                }
                Token::End(body_at) => return self.finish(store, head, body_at),
            };
            if let Err(error) = done {
                return Parsed::Error(error);
            }
        }
    }

    /// Follows the bytes when the owner moved them; says whether this is the first call.
    fn moved_to(&mut self, start: u32, head: &mut Head) -> bool {
        let fresh = self.origin.is_none();
        let delta = i64::from(start) - i64::from(self.origin.unwrap_or(0));
        if delta != 0 {
            self.scanner.rebase(delta);
            if !fresh {
                head.rebase(delta);
            }
        }
        self.origin = Some(start);
        fresh
    }

    /// What it means that the storage is full in the middle of a head.
    fn overflow(&self) -> HeadError {
        if self.scanner.past_start_line() {
            HeadError::TooLarge
        } else {
            HeadError::LineTooLong
        }
    }

    /// Tokenises a head that is complete and free of faults; `None` leaves all untouched but the head's slots,
    /// which are cleared.
    fn whole(&mut self, store: &[u8], unread: &Range<u32>, head: &mut Head) -> Option<u32> {
        let input = store.get(unread.start as usize..unread.end as usize)?;
        let span = |part: &[u8]| {
            // Parts are slices of `input`, which starts at `unread.start`.
            let off = (part.as_ptr() as usize).wrapping_sub(input.as_ptr() as usize) as u32;
            Span::new(unread.start + off, part.len() as u32)
        };
        let mut room = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; FAST_FIELDS];
        let (len, start, version, fields) = match self.section {
            Section::Request => {
                let mut message = httparse::Request::new(&mut []);
                let status = httparse::ParserConfig::default()
                    .parse_request_with_uninit_headers(&mut message, input, &mut room)
                    .ok()?;
                let httparse::Status::Complete(len) = status else {
                    return None;
                };
                let (method, path) = (message.method?, message.path?);
                if path.bytes().any(|byte| byte == b'#' || byte >= 128) {
                    return None;
                }
                let target = span(path.as_bytes());
                let start = StartLine::Request {
                    method: Method::from_bytes(method.as_bytes()),
                    name: span(method.as_bytes()),
                    target,
                };
                (
                    len,
                    start,
                    (target.end() + 1, message.version?),
                    &*message.headers,
                )
            }
            Section::Response => {
                let mut message = httparse::Response::new(&mut []);
                let status = httparse::ParserConfig::default()
                    .parse_response_with_uninit_headers(&mut message, input, &mut room)
                    .ok()?;
                let httparse::Status::Complete(len) = status else {
                    return None;
                };
                // httparse gives no place for the parts of the line: "HTTP/1.x SP ddd [SP reason] EOL".
                let at = input.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
                let rest = input.get(at + 12..)?;
                let stop = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
                let lead = rest
                    .iter()
                    .take_while(|&&byte| matches!(byte, b' ' | b'\t'))
                    .count();
                let reason = span(rest.get(lead.min(stop)..stop)?);
                let code = span(input.get(at + 9..at + 12)?);
                let start = StartLine::Response {
                    status: message.code?,
                    code,
                    reason,
                };
                (
                    len,
                    start,
                    (unread.start + at as u32, message.version?),
                    &*message.headers,
                )
            }
            Section::Trailers => return None,
        };
        for field in fields {
            let name = span(field.name.as_bytes());
            let value = match field.value {
                // An empty slice need not lie within the input.
                [] => after_blanks(input, name.end() + 1, unread.start),
                value => span(value),
            };
            let slot = Slot {
                name,
                value,
                id: Known::from_name(field.name.as_bytes()),
            };
            if head.push_unbounded(slot).is_err() {
                head.clear_fields();
                return None;
            }
        }
        head.start = start;
        head.version_text = Span::new(version.0, 8);
        self.said.v11 = version.1 >= 1;
        Some(unread.start + len as u32)
    }

    /// Gives meaning to all the fields that [`Parser::whole`] stored.
    fn all_fields(&mut self, store: &mut [u8], head: &mut Head) -> Result<(), HeadError> {
        let (mut read, mut kept) = (0, 0);
        while let Some(&slot) = head.slots().get(read) {
            if kept >= head.max_fields() {
                return Err(HeadError::TooManyFields);
            }
            if !slot.id.frames() && kept == read {
                kept += 1;
            } else if let Some(slot) = self.meaning(store, head, slot, kept)? {
                if let Some(place) = head.slots_mut().get_mut(kept) {
                    *place = slot;
                }
                kept += 1;
            }
            read += 1;
        }
        head.truncate(kept);
        Ok(())
    }

    /// Stores a field that the scanner found.
    fn field(&mut self, store: &mut [u8], head: &mut Head, slot: Slot) -> Result<(), HeadError> {
        if head.len() >= head.max_fields() {
            return Err(HeadError::TooManyFields);
        }
        // A name that was let through although it is none must not reach a server.
        if self.scanner.tolerated().is_some() && !slot.name.of(store).iter().all(|&byte| is_token(byte)) {
            return Ok(());
        }
        match self.meaning(store, head, slot, head.len())? {
            Some(slot) => head.push(slot).map_err(|NoRoom| HeadError::TooManyFields),
            None => Ok(()),
        }
    }

    /// What a field says of the message. `None`: the field is dropped. `index` is the slot that it would get.
    fn meaning(
        &mut self,
        store: &mut [u8],
        head: &Head,
        mut slot: Slot,
        index: usize,
    ) -> Result<Option<Slot>, HeadError> {
        let response = self.section == Section::Response;
        match slot.id {
            Known::TransferEncoding => match self.said.codings.read(slot.value.of(store), response) {
                Ok(()) => {}
                Err(Fault::Soft) if response && self.scanner.tolerate(slot.value.off) => {}
                Err(_) => return Err(HeadError::TransferEncoding),
            },
            Known::ContentLength => {
                let former = self.said.length;
                let (number, span) =
                    fields::content_length(slot.value.of(store), former).ok_or(HeadError::ContentLength)?;
                if former.is_some() {
                    return Ok(None);
                }
                self.said.length = Some(number);
                slot.value = Span::new(slot.value.off + span.off, span.len);
            }
            Known::Connection if self.section != Section::Trailers => {
                slot.value.len = self.said.options.read(slot.value.of_mut(store)) as u32;
                return Ok((slot.value.len > 0).then_some(slot));
            }
            Known::Upgrade => {
                slot.value.len = self.said.protocols.read(slot.value.of_mut(store)) as u32;
                return Ok((slot.value.len > 0).then_some(slot));
            }
            Known::Host if !response => match self.said.host {
                None => {
                    if target::has_forbidden_byte(slot.value.of(store)) {
                        return Err(HeadError::Host);
                    }
                    self.said.host = Some(index);
                }
                Some(first) => {
                    if !slot
                        .value
                        .of(store)
                        .eq_ignore_ascii_case(head.value(store, first))
                    {
                        return Err(HeadError::Host);
                    }
                    return Ok(None);
                }
            },
            _ => {}
        }
        Ok(Some(slot))
    }

    /// Stores the start line that the scanner found.
    fn start_line(
        &mut self,
        store: &[u8],
        head: &mut Head,
        first: Span,
        second: Span,
        third: Span,
    ) -> Result<(), HeadError> {
        let version = match self.section {
            Section::Response => {
                let digits = second.of(store);
                let status = digits
                    .iter()
                    .try_fold(0_u16, |sum, &digit| {
                        sum.checked_mul(10)?.checked_add(u16::from(digit - b'0'))
                    })
                    .ok_or(HeadError::Syntax)?;
                head.start = StartLine::Response {
                    status,
                    code: second,
                    reason: third,
                };
                first
            }
            _ => {
                head.start = StartLine::Request {
                    method: Method::from_bytes(first.of(store)),
                    name: first,
                    target: second,
                };
                third
            }
        };
        head.version_text = version;
        let text = version.of(store);
        self.said.v11 = match (text.len(), text.get(5), text.get(7)) {
            (8, Some(&major), Some(&minor)) => major > b'1' || (major == b'1' && minor >= b'1'),
            _ => false,
        };
        Ok(())
    }
}

/// The empty value that stands after the blanks at offset `from`; `input` starts at offset `base`.
fn after_blanks(input: &[u8], from: u32, base: u32) -> Span {
    let rest = input.get((from - base) as usize..).unwrap_or_default();
    let blanks = rest.iter().take_while(|&&byte| is_blank(byte)).count();
    Span::new(from + blanks as u32, 0)
}

#[cfg(test)]
mod tests;
