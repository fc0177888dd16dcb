//! Bodies between two sockets: what came is told apart, and laid out as it goes on.
//!
//! Nothing is moved but small chunks: larger parts stay where they were read and are only counted, and the whole
//! of it leaves in one call. Sources: RFC 9112 sections 6 and 7.

use super::super::channel::{Channel, Places, Tail};
use super::super::core::Core;
use super::Message;
use crate::base::buf::Buf;
use crate::proto::h1::body::{BodyError, CHUNK_END, CHUNK_HEAD_MAX, ChunkHead, LAST_CHUNK_BEFORE_TRAILERS};
use crate::proto::h1::parse::{Parsed, Parser, Rules};
use crate::proto::h1::write::{Encoding, WriteRules, write_trailers};
use crate::proto::h1::{Body, body};
use crate::proto::head::Head;

/// Chunks up to this size are copied behind their head, so that many of them leave in one call; larger ones
/// stay where they were read.
const COPIED_CHUNK_MAX: usize = 1_024;

/// What laying out the next part of a body gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staged {
    /// More must be read first.
    NeedMore,
    /// What is laid out must be sent first.
    Full,
    /// There is no buffer to lay it out in.
    Starved,
    /// The message is complete.
    Complete,
    /// The body is broken.
    Broken(BodyError),
}

impl Message {
    /// Whether the whole body came in.
    pub(super) fn body_complete(&self) -> bool {
        self.body.is_done()
    }

    /// The buffers that its body needs to come in and go out again.
    pub(super) fn body_places(&self) -> Places {
        match self.encoding {
            Encoding::Chunked => Places::Both,
            Encoding::Nothing | Encoding::Identity | Encoding::Tunnel => Places::Input,
        }
    }
}

/// What logs count for a trailer section: names and values, 1 for its end.
fn counted_trailers(head: &Head) -> u64 {
    let fields = head
        .slots()
        .iter()
        .map(|slot| u64::from(slot.name.len) + u64::from(slot.value.len));
    fields.sum::<u64>() + 1
}

/// What the bytes behind a head are, as far as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A part of the body.
    Part,
    /// The whole body, trailers included.
    Whole,
    /// No HTTP, from this place of the input on.
    Broken(usize),
}

/// Looks at the part of a body that came, without taking any of it.
pub(super) fn look_ahead(
    message: &Message,
    input: &mut Buf,
    head_len: usize,
    core: &mut Core,
    rules: Rules,
) -> Came {
    measure_ahead(message, input, head_len, core, rules).0
}

/// [`look_ahead`], and what logs and statistics count for that part. `skip`: what is before it in the input.
pub(super) fn measure_ahead(
    message: &Message,
    input: &mut Buf,
    skip: usize,
    core: &mut Core,
    rules: Rules,
) -> (Came, u64) {
    let mut decoder = message.body;
    let mut at = input.start() + skip;
    let mut counted = 0;
    loop {
        let seen = input.storage().get(at..input.end()).unwrap_or_default();
        match decoder.decode(seen) {
            body::Step::Skip(n) => at += n,
            body::Step::Data(n) => {
                at += n;
                counted += n as u64;
            }
            body::Step::Error(_) => return (Came::Broken(at - input.start()), counted),
            body::Step::End => return (Came::Whole, counted),
            body::Step::NeedMore => return (Came::Part, counted),
            body::Step::Trailers => {
                let Some(mut head) = core.take_head() else {
                    return (Came::Part, counted);
                };
                let unread = u32::try_from(at).unwrap_or(0)..u32::try_from(input.end()).unwrap_or(0);
                let parsed = Parser::trailers(rules).parse(input.storage_mut(), unread, false, &mut head);
                if let Parsed::Done { .. } = parsed {
                    counted += counted_trailers(&head);
                }
                core.heads.put(head);
                let came = match parsed {
                    Parsed::Done { .. } => Came::Whole,
                    Parsed::NeedMore => Came::Part,
                    Parsed::Error(_) => Came::Broken(at - input.start()),
                };
                return (came, counted);
            }
        }
    }
}

/// Where the part of a body that came with its head is broken already, if it is: then the message is refused as a
/// whole, before anything of it is passed on.
pub(super) fn begins_broken(
    message: &Message,
    input: &mut Buf,
    head_len: usize,
    core: &mut Core,
    rules: Rules,
) -> Option<usize> {
    if message.framing.body != Body::Chunked {
        return None;
    }
    match look_ahead(message, input, head_len, core, rules) {
        Came::Broken(at) => Some(at),
        Came::Part | Came::Whole => None,
    }
}

/// Lays out the next part of a body: framing and small chunks in `pre`, larger parts where they are.
pub(super) fn stage(
    channel: &mut Channel,
    message: &mut Message,
    core: &mut Core,
    parser: impl Fn() -> Parser,
    drops: bool,
) -> Staged {
    let chunked_in = matches!(message.framing.body, Body::Chunked);
    loop {
        if channel.tail != Tail::None || (chunked_in && channel.body > 0) {
            return Staged::Full;
        }
        let unread = channel.input.data().get(channel.body..).unwrap_or_default();
        match message.body.decode(unread) {
            body::Step::NeedMore => {
                if channel.read_closed && message.body.close().is_ok() {
                    continue;
                }
                return if channel.pending() {
                    Staged::Full
                } else {
                    Staged::NeedMore
                };
            }
            body::Step::Skip(n) => {
                channel.input.consume(n);
                message.skipped += n;
                if message.skipped > core.bufs.capacity() {
                    // Extensions that would fill a buffer are no part of an honest message.
                    return Staged::Broken(BodyError::ChunkExtension);
                }
            }
            body::Step::Data(n) => {
                message.skipped = 0;
                match message.encoding {
                    Encoding::Nothing => {
                        channel.input.consume(n);
                        message.counted += n as u64;
                    }
                    Encoding::Identity | Encoding::Tunnel => {
                        channel.body += n;
                        message.counted += n as u64;
                        message.passed += n as u64;
                    }
                    Encoding::Chunked => {
                        let more = if chunked_in { message.body.left() } else { 0 };
                        if !channel.pre.is_allocated() {
                            message.body.untake(n);
                            return Staged::Starved;
                        }
                        if !put_chunk(channel, &mut message.in_chunk, n, more) {
                            message.body.untake(n);
                            return Staged::Full;
                        }
                        message.counted += n as u64;
                        message.passed += n as u64;
                    }
                }
            }
            body::Step::Trailers => match take_trailers(channel, message, core, &parser, drops) {
                Some(staged) => return staged,
                None => continue,
            },
            body::Step::End => return Staged::Complete,
            body::Step::Error(error) => return Staged::Broken(error),
        }
    }
}

/// Lays out the `n` bytes at the front of the input as a chunk, or as the next part of one. A chunk of which
/// `more` bytes are still to come is announced whole. False when `pre` has no room for its head.
fn put_chunk(channel: &mut Channel, in_chunk: &mut bool, n: usize, more: u64) -> bool {
    let room = channel.pre.room_len(0);
    if room < CHUNK_HEAD_MAX + CHUNK_END.len() {
        return false;
    }
    let head = ChunkHead::new((n as u64).saturating_add(more));
    let head = if *in_chunk { b"" } else { head.as_bytes() };
    let copied = n <= COPIED_CHUNK_MAX && room >= head.len() + n + CHUNK_END.len();
    channel.pre.push(head);
    if copied {
        let bytes = channel.input.data().get(..n).unwrap_or_default();
        channel.pre.push(bytes);
        channel.input.consume(n);
        if more == 0 {
            channel.pre.push(CHUNK_END);
        }
    } else {
        channel.body = n;
        channel.tail = if more == 0 { Tail::ChunkEnd } else { Tail::None };
    }
    *in_chunk = more > 0;
    true
}

/// Parses a trailer section and lays it out behind the last chunk. `None`: done, go on.
fn take_trailers(
    channel: &mut Channel,
    message: &mut Message,
    core: &mut Core,
    parser: impl Fn() -> Parser,
    drops: bool,
) -> Option<Staged> {
    if message.encoding == Encoding::Chunked && !channel.pre.is_allocated() {
        return Some(Staged::Starved);
    }
    if message.head.is_none() {
        message.head = core.take_head();
        message.parser = Some(parser());
    }
    let (Some(parser), Some(head)) = (&mut message.parser, &mut message.head) else {
        return Some(Staged::Full);
    };
    let full = channel.input.start() == 0 && channel.input.room_len(core.reserve()) == 0;
    let input = &mut channel.input;
    if channel.pre.is_allocated() && !channel.pre.is_empty() && channel.pre.room_len(0) < 2 * input.len() + 64
    {
        // The section might not fit beside what waits: that leaves first.
        return Some(Staged::Full);
    }
    let unread = u32::try_from(input.start()).unwrap_or(0)..u32::try_from(input.end()).unwrap_or(0);
    match parser.parse(input.storage_mut(), unread.clone(), full, head) {
        Parsed::NeedMore if channel.read_closed => Some(Staged::Broken(BodyError::Truncated)),
        Parsed::NeedMore => Some(if channel.pending() {
            Staged::Full
        } else {
            Staged::NeedMore
        }),
        Parsed::Error(_) => Some(Staged::Broken(BodyError::Trailers)),
        Parsed::Done { body_at, .. } => {
            if message.encoding == Encoding::Chunked {
                let rules = WriteRules {
                    case: message.adjusts_case.then_some(&core.case_map),
                    ..WriteRules::default()
                };
                if !channel.pre.push(LAST_CHUNK_BEFORE_TRAILERS) {
                    return Some(Staged::Broken(BodyError::TrailersTooLarge));
                }
                let (store, room) = (channel.input.storage(), channel.pre.room(0));
                match write_trailers(head, store, &rules, drops, room) {
                    Ok(written) => {
                        channel.pre.commit(written);
                        message.passed += counted_trailers(head);
                    }
                    Err(_) => return Some(Staged::Broken(BodyError::TrailersTooLarge)),
                }
            }
            message.counted += counted_trailers(head);
            let section = body_at.saturating_sub(unread.start) as usize;
            channel.input.consume(section.min(channel.input.len()));
            message.parser = None;
            if let Some(head) = message.head.take() {
                core.heads.put(head);
            }
            message.body.trailers_done();
            None
        }
    }
}
