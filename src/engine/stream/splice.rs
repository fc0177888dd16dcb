//! Bytes that pass through a pipe and never enter this process: splice(2), for tunnels and for HTTP bodies.
//!
//! A body is spliced where its bytes go out as they came in: of known length, until the close, or the rest of a
//! chunk whose head is out. Heads, chunk lines and short rests are read as ever. A pipe is held only while
//! bytes are in it. Source: configuration manual, `option splice-auto`, `splice-request`, `splice-response`.

use std::io;

use super::super::channel::Tail;
use super::super::conn::{Conn, Io};
use super::super::core::Core;
use super::super::poll::Ready;
use super::super::tunnel::Pipe;
use super::forward::Moved;
use super::{Message, Step, Stream};
use crate::base::slab::Key;
use crate::proto::h1::Body;
use crate::proto::h1::write::Encoding;

/// Most bytes that one splice call moves: the size of a default pipe.
const SPLICE_MAX: usize = 65_536;

/// Shorter rests of a body are cheaper to copy.
const SPLICE_MIN: u64 = 4_096;

/// A first read this large means bulk traffic, for `option splice-auto`.
const BULK_BYTES: usize = 8_192;

/// What one turn of a pipe did.
#[derive(Debug, Default)]
struct Turn {
    /// Bytes that went in.
    filled: usize,
    /// Bytes that came out.
    emptied: usize,
    /// The producer sent its end.
    closed: bool,
    /// The kernel cannot splice between these sockets.
    refused: bool,
    /// The producer's socket failed.
    failed_from: bool,
    /// The consumer's socket failed.
    failed_to: bool,
}

impl Message {
    /// Bytes of the body ahead that go out as they come in.
    fn plain_ahead(&self) -> u64 {
        match self.encoding {
            Encoding::Identity => self.body.left(),
            Encoding::Chunked if self.framing.body == Body::Chunked && self.in_chunk => self.body.left(),
            _ => 0,
        }
    }
}

impl Stream {
    /// Whether bytes of that direction are in a pipe.
    pub(super) fn pipe_holds(&self, upward: bool) -> bool {
        let pipe = self.pipes[usize::from(upward)].as_ref();
        pipe.is_some_and(|pipe| pipe.filled > 0)
    }

    /// Whether anything waits to be taken by the client.
    pub(super) fn owes_client(&self) -> bool {
        self.res.pending() || (self.step == Step::Exchange && self.pipe_holds(false))
    }

    /// Whether anything waits to be taken by the server.
    pub(super) fn owes_server(&self) -> bool {
        self.req.pending() || (self.step == Step::Exchange && self.pipe_holds(true))
    }

    /// Gives the pipe of that direction up, with what is in it.
    pub(super) fn drop_pipe(&mut self, core: &mut Core, upward: bool) {
        if let Some(pipe) = self.pipes[usize::from(upward)].take() {
            core.pipes.put(pipe);
        }
    }

    /// Whether this direction goes through a pipe.
    pub(super) fn splices(&self, core: &Core, upward: bool) -> bool {
        if core.config.global.nosplice || self.splice_refused {
            return false;
        }
        if self.pipes[usize::from(upward)].is_some() {
            return true;
        }
        let frontend = core.config.proxy(self.session.frontend).splice;
        let backend = core.config.proxy(self.backend()).splice;
        let forced = if upward {
            frontend.request || backend.request
        } else {
            frontend.response || backend.response
        };
        let channel = if upward { &self.req } else { &self.res };
        let bulk = channel.received >= BULK_BYTES as u64;
        forced || ((frontend.auto || backend.auto) && bulk)
    }

    /// Moves bytes without meaning through a pipe.
    pub(super) fn splice(&mut self, core: &mut Core, from: Key, to: Key, upward: bool) -> Moved {
        let Some(turn) = self.turn_pipe(core, from, to, upward, SPLICE_MAX) else {
            return self.read_and_forward(core, from, to, upward);
        };
        if turn.refused {
            return Moved::Some;
        }
        let moved = turn.filled > 0 || turn.emptied > 0;
        if moved {
            self.count_passed(turn.filled, upward);
            self.note_activity(core);
            if turn.filled > 0 {
                self.hear(core.clock.now(), upward);
            }
        }
        match turn {
            Turn {
                failed_from: true, ..
            } => self.side_lost(core, !upward),
            Turn { failed_to: true, .. } => self.side_lost(core, upward),
            _ if moved || turn.closed => Moved::Some,
            _ => Moved::Nothing,
        }
    }

    /// Moves bytes of an HTTP body through a pipe. `None`: what comes next is to be read.
    pub(super) fn splice_body(&mut self, core: &mut Core, upward: bool) -> Option<Moved> {
        let (channel, message) = if upward {
            (&self.req, &self.request)
        } else {
            (&self.res, &self.response)
        };
        let ahead = message.plain_ahead();
        let begun = self.pipe_holds(upward);
        let fits = ahead >= SPLICE_MIN && !channel.pending() && channel.input.is_empty();
        if !begun && (!fits || channel.read_closed || !self.splices(core, upward)) {
            return None;
        }
        let (from, to) = match (upward, self.back) {
            (true, Some(back)) => (self.front, back),
            (false, Some(back)) => (back, self.front),
            // The server's connection is gone: what the pipe holds can still reach the client, and nothing
            // is read while it holds something.
            (false, None) if begun => (self.front, self.front),
            (_, None) => {
                self.drop_pipe(core, upward);
                return None;
            }
        };
        let limit = usize::try_from(ahead).unwrap_or(SPLICE_MAX).min(SPLICE_MAX);
        let turn = self.turn_pipe(core, from, to, upward, limit)?;
        if turn.refused {
            return None;
        }
        self.take_turn(core, upward, &turn);
        if turn.failed_to {
            self.drop_pipe(core, upward);
            return Some(if upward {
                self.request_cannot_leave(core);
                Moved::Some
            } else {
                self.client_unwritable(core)
            });
        }
        if turn.failed_from && upward {
            return Some(self.client_left(core));
        }
        if turn.failed_from && self.response.framing.body == Body::UntilClose {
            return Some(self.response_broken(core));
        }
        if !upward && (turn.failed_from || turn.closed) {
            self.res.read_closed = true;
            self.server.input_closed();
        }
        let moved = turn.filled > 0 || turn.emptied > 0 || turn.closed || turn.failed_from;
        Some(if moved { Moved::Some } else { Moved::Nothing })
    }

    /// Notes what passed of a body, and closes a chunk that passed whole.
    fn take_turn(&mut self, core: &Core, upward: bool, turn: &Turn) {
        let now = core.now();
        let held = self.pipe_holds(upward);
        if turn.filled > 0 {
            self.hear(now, upward);
        }
        let (channel, message, to) = if upward {
            self.resend_broken |= turn.filled > 0;
            (&mut self.req, &mut self.request, &mut self.back_active_at)
        } else {
            (&mut self.res, &mut self.response, &mut self.front_active_at)
        };
        if turn.filled > 0 {
            message.body.take(turn.filled as u64);
            message.counted += turn.filled as u64;
            message.passed += turn.filled as u64;
        }
        if turn.emptied > 0 {
            *to = now;
        }
        if message.in_chunk && !held && message.body.left() == 0 {
            message.in_chunk = false;
            channel.tail = Tail::ChunkEnd;
        }
    }

    /// Counts bytes that a pipe moved: what came in and what went out, each with the proxy of its side.
    fn count_spliced(&self, core: &mut Core, upward: bool, filled: usize, emptied: usize) {
        let (filled, emptied) = (filled as u64, emptied as u64);
        core.state.process.counters.spliced_out_bytes += emptied;
        if !self.http {
            // As HAProxy, whose proxies count this in HTTP alone.
            return;
        }
        let (front, back) = if upward {
            ((filled, 0), (0, emptied))
        } else {
            ((0, emptied), (filled, 0))
        };
        let fe = &mut core.state.proxy_mut(self.session.frontend).counters.fe.h1;
        fe.spliced_in_bytes += front.0;
        fe.spliced_out_bytes += front.1;
        let be = &mut core.state.proxy_mut(self.facts.backend).counters.be.h1;
        be.spliced_in_bytes += back.0;
        be.spliced_out_bytes += back.1;
    }

    /// Fills a pipe from one socket when it is empty, and empties it into the other. `None`: no pipe is left.
    fn turn_pipe(&mut self, core: &mut Core, from: Key, to: Key, upward: bool, limit: usize) -> Option<Turn> {
        let place = usize::from(upward);
        let mut pipe = match self.pipes[place].take() {
            Some(pipe) => pipe,
            None => core.pipes.take()?,
        };
        let channel = if upward { &mut self.req } else { &mut self.res };
        let mut turn = Turn::default();
        if pipe.filled == 0 && !channel.read_closed {
            fill(core, from, &mut pipe, limit, &mut turn);
        }
        if turn.refused {
            // This pair of sockets cannot: bytes are copied from here on.
            core.pipes.put(pipe);
            self.splice_refused = true;
            return Some(turn);
        }
        channel.read_closed |= turn.closed;
        channel.received += turn.filled as u64;
        if pipe.filled > 0
            && let Some(conn) = core.conns.get_mut(to)
        {
            match try_splice(conn, Ready::WRITE, |fd| pipe.empty(fd)) {
                Io::Done(n) => turn.emptied = n,
                Io::Blocked | Io::Closed => {}
                Io::Failed(_) => turn.failed_to = true,
            }
        }
        channel.sent += turn.emptied as u64;
        if pipe.filled == 0 {
            core.pipes.put(pipe);
        } else {
            self.pipes[place] = Some(pipe);
        }
        self.count_spliced(core, upward, turn.filled, turn.emptied);
        Some(turn)
    }
}

fn fill(core: &mut Core, from: Key, pipe: &mut Pipe, limit: usize, turn: &mut Turn) {
    let Some(conn) = core.conns.get_mut(from) else {
        return;
    };
    match try_splice(conn, Ready::READ, |fd| pipe.fill(fd, limit)) {
        Io::Done(0) | Io::Closed => {
            conn.ended = true;
            turn.closed = true;
        }
        Io::Done(n) => turn.filled = n,
        Io::Blocked => {}
        Io::Failed(io::ErrorKind::InvalidInput) => turn.refused = true,
        Io::Failed(_) => turn.failed_from = true,
    }
}

/// One splice call on a connection's descriptor, with its readiness kept.
fn try_splice(conn: &mut Conn, direction: Ready, mut call: impl FnMut(i32) -> io::Result<usize>) -> Io {
    if !conn.ready.any(direction) {
        return Io::Blocked;
    }
    loop {
        match call(conn.fd()) {
            Ok(n) => return Io::Done(n),
            Err(error) => match conn.blocked(&error, direction) {
                Some(io) => return io,
                None => continue,
            },
        }
    }
}
