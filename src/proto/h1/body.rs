//! Where the body of an HTTP/1 message ends: decoders for both directions, and the chunk writer.
//!
//! A [`Decoder`] looks at the bytes in front of it and says what they are; it never copies nor keeps any.
//! Chunk extensions are dropped. A size has at most 13 hexadecimal digits (2^52 - 1), so that no peer which
//! keeps integers in floats can be fooled; line ends within the chunked coding are CR LF and nothing else.
//! Source: RFC 9112 sections 6 and 7, errata on quoted chunk extensions.

use crate::proto::h1::Body;

/// What the front of the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many bytes belong to the framing: drop them and ask again.
    Skip(usize),
    /// So many bytes are body.
    Data(usize),
    /// The next bytes are the trailer section (its first byte is at the front): parse it with
    /// [`Parser::trailers`](crate::proto::h1::parse::Parser::trailers), then call [`Decoder::trailers_done`].
    Trailers,
    /// The message is over; what follows belongs to the next one.
    End,
    /// Not decidable yet.
    NeedMore,
    /// The coding is broken: nothing after this point can be trusted.
    Error(BodyError),
}

/// Why a body cannot be decoded. A request gets 400 (if the response has not begun), a response 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BodyError {
    /// No digit, a foreign byte after the size, or a line end other than CR LF.
    #[error("invalid chunk size")]
    ChunkSize,
    /// More than 2^52 - 1 bytes.
    #[error("chunk too large")]
    ChunkTooLarge,
    /// A quote that does not end, a backslash outside of quotes, or a control character.
    #[error("invalid chunk extension")]
    ChunkExtension,
    /// The chunk's data is not followed by CR LF.
    #[error("missing CR LF after chunk")]
    ChunkEnd,
    /// Bytes that cannot stand in a trailer section.
    #[error("invalid trailers")]
    Trailers,
    /// The trailer section does not fit in a buffer, or has too many fields.
    #[error("trailers too large")]
    TrailersTooLarge,
    /// The sender closed before the end.
    #[error("message truncated")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Body bytes left by `Content-Length`.
    Length(u64),
    /// Size digits: value so far, number of digits seen.
    Size {
        value: u64,
        digits: bool,
    },
    /// Blanks after the size.
    SizeBlank(u64),
    /// Inside an extension.
    Extension {
        value: u64,
        quoted: bool,
        escaped: bool,
    },
    /// The CR after a size line was seen.
    SizeLf(u64),
    /// Chunk bytes left.
    Chunk(u64),
    /// CR then LF after a chunk.
    ChunkCr,
    ChunkLf,
    Trailers,
    UntilClose,
    Done,
    Broken(BodyError),
}

/// Follows one body.
///
/// ```text
///  Length(n) ----------- n bytes ------------------------------> Done
///  Size -> [SizeBlank] -> [Extension] -> SizeLf -+-> Chunk -> ChunkCr -> ChunkLf -> Size
///                                                +-- (size 0) -> Trailers --> Done
///  UntilClose -- close --> Done                  any unexpected byte -> Broken
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    state: State,
    seen: u64,
}

/// Largest chunk size plus one.
const SIZE_LIMIT: u64 = 1 << 52;

impl Decoder {
    /// Starts a body of this kind. A tunnel is read like a body that lasts until the close.
    pub const fn new(body: Body) -> Self {
        let state = match body {
            Body::None | Body::Length(0) => State::Done,
            Body::Length(len) => State::Length(len),
            Body::Chunked => State::Size {
                value: 0,
                digits: false,
            },
            Body::UntilClose | Body::Tunnel => State::UntilClose,
        };
        Self { state, seen: 0 }
    }

    /// Body bytes found so far.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the end was reached.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Body bytes known to be left: of the whole body with a length, of the current chunk when chunked
    /// (what may be spliced without looking), `u64::MAX` until close.
    pub const fn left(&self) -> u64 {
        match self.state {
            State::Length(len) | State::Chunk(len) => len,
            State::UntilClose => u64::MAX,
            _ => 0,
        }
    }

    /// Looks at the front of `input`. The bytes of `Skip` and `Data` count as taken: the next call starts after
    /// them. `Data` may be taken in part only: give the rest back with [`Decoder::untake`].
    pub fn decode(&mut self, input: &[u8]) -> Step {
        match self.state {
            State::Done => Step::End,
            State::Broken(error) => Step::Error(error),
            State::Trailers => {
                if input.is_empty() {
                    Step::NeedMore
                } else {
                    Step::Trailers
                }
            }
            _ if input.is_empty() => Step::NeedMore,
            State::UntilClose => {
                self.seen = self.seen.saturating_add(input.len() as u64);
                Step::Data(input.len())
            }
            State::Length(left) => {
                let taken = left.min(input.len() as u64);
                let rest = left - taken;
                self.state = if rest == 0 {
                    State::Done
                } else {
                    State::Length(rest)
                };
                self.seen = self.seen.saturating_add(taken);
                Step::Data(taken as usize)
            }
            State::Chunk(left) => {
                let taken = left.min(input.len() as u64);
                let rest = left - taken;
                self.state = if rest == 0 {
                    State::ChunkCr
                } else {
                    State::Chunk(rest)
                };
                self.seen = self.seen.saturating_add(taken);
                Step::Data(taken as usize)
            }
            _ => self.framing(input),
        }
    }

    /// `count` body bytes passed without being looked at (spliced): no more than [`Decoder::left`] said.
    pub fn take(&mut self, count: u64) {
        self.seen = self.seen.saturating_add(count);
        self.state = match self.state {
            State::Length(left) if left <= count => State::Done,
            State::Length(left) => State::Length(left - count),
            State::Chunk(left) if left <= count => State::ChunkCr,
            State::Chunk(left) => State::Chunk(left - count),
            other => other,
        };
    }

    /// Gives back `count` bytes of the last `Data`, which the caller had no room for.
    pub fn untake(&mut self, count: usize) {
        let count = count as u64;
        self.seen = self.seen.saturating_sub(count);
        self.state = match self.state {
            State::Length(left) => State::Length(left.saturating_add(count)),
            State::Chunk(left) => State::Chunk(left.saturating_add(count)),
            State::ChunkCr if count > 0 => State::Chunk(count),
            State::Done if count > 0 => State::Length(count),
            other => other,
        };
    }

    /// The trailer section was parsed and dropped or kept: the message is over.
    pub fn trailers_done(&mut self) {
        if self.state == State::Trailers {
            self.state = State::Done;
        }
    }

    /// The trailer section cannot be accepted.
    pub const fn fail(&mut self, error: BodyError) -> Step {
        self.state = State::Broken(error);
        Step::Error(error)
    }

    /// The sender closed: is the message whole?
    pub const fn close(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Broken(error) => Err(error),
            _ => {
                self.state = State::Broken(BodyError::Truncated);
                Err(BodyError::Truncated)
            }
        }
    }

    /// Walks over size lines and chunk ends until data, trailers or the end of the input.
    fn framing(&mut self, input: &[u8]) -> Step {
        for (index, &byte) in input.iter().enumerate() {
            match self.framing_byte(byte) {
                Ok(state) => self.state = state,
                // What is good is taken first, so that an error is always that of the byte in front.
                Err(_) if index > 0 => return Step::Skip(index),
                Err(error) => return self.fail(error),
            }
            if matches!(self.state, State::Chunk(_) | State::Trailers) {
                return Step::Skip(index + 1);
            }
        }
        Step::Skip(input.len())
    }

    fn framing_byte(&self, byte: u8) -> Result<State, BodyError> {
        match self.state {
            State::ChunkCr if byte == b'\r' => Ok(State::ChunkLf),
            State::ChunkLf if byte == b'\n' => Ok(State::Size {
                value: 0,
                digits: false,
            }),
            State::ChunkCr | State::ChunkLf => Err(BodyError::ChunkEnd),
            State::Size { value, digits } => match (byte as char).to_digit(16) {
                Some(digit) => {
                    let value = (value << 4) | u64::from(digit);
                    if value >= SIZE_LIMIT {
                        return Err(BodyError::ChunkTooLarge);
                    }
                    Ok(State::Size { value, digits: true })
                }
                None if digits => Self::after_size(value, byte),
                None => Err(BodyError::ChunkSize),
            },
            State::SizeBlank(value) => Self::after_size(value, byte),
            State::SizeLf(0) if byte == b'\n' => Ok(State::Trailers),
            State::SizeLf(value) if byte == b'\n' => Ok(State::Chunk(value)),
            State::SizeLf(_) => Err(BodyError::ChunkSize),
            State::Extension {
                value,
                quoted,
                escaped,
            } => Self::in_extension(value, quoted, escaped, byte),
            other => Ok(other),
        }
    }

    const fn after_size(value: u64, byte: u8) -> Result<State, BodyError> {
        match byte {
            b' ' | b'\t' => Ok(State::SizeBlank(value)),
            b'\r' => Ok(State::SizeLf(value)),
            b';' => Ok(State::Extension {
                value,
                quoted: false,
                escaped: false,
            }),
            _ => Err(BodyError::ChunkSize),
        }
    }

    /// Extensions mean nothing here, but a quoted string must not hide a line end from whoever comes next.
    const fn in_extension(value: u64, quoted: bool, escaped: bool, byte: u8) -> Result<State, BodyError> {
        let (quoted, escaped) = match byte {
            b'\r' if !quoted && !escaped => return Ok(State::SizeLf(value)),
            0..=8 | 10..=31 | 127 => return Err(BodyError::ChunkExtension),
            _ if escaped => (quoted, false),
            b'\\' if quoted => (true, true),
            b'\\' => return Err(BodyError::ChunkExtension),
            b'"' => (!quoted, false),
            _ => (quoted, false),
        };
        Ok(State::Extension {
            value,
            quoted,
            escaped,
        })
    }
}

/// Longest chunk head: 16 digits, CR LF.
pub const CHUNK_HEAD_MAX: usize = 18;
/// What ends each chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The last chunk and an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// The last chunk before a trailer section.
pub const LAST_CHUNK_BEFORE_TRAILERS: &[u8] = b"0\r\n";

/// The line that opens a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHead {
    bytes: [u8; CHUNK_HEAD_MAX],
    start: u8,
}

impl ChunkHead {
    /// Makes the line for a chunk of `len` bytes (not 0: that is [`LAST_CHUNK`]).
    pub const fn new(len: u64) -> Self {
        let mut bytes = [0; CHUNK_HEAD_MAX];
        bytes[CHUNK_HEAD_MAX - 2] = b'\r';
        bytes[CHUNK_HEAD_MAX - 1] = b'\n';
        let mut start = CHUNK_HEAD_MAX - 2;
        let mut rest = len;
        loop {
            start -= 1; // at most 16 digits in a u64
            bytes[start] = b"0123456789ABCDEF"[(rest & 15) as usize];
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        Self {
            bytes,
            start: start as u8,
        }
    }

    /// Size line, CR LF included.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(usize::from(self.start)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
