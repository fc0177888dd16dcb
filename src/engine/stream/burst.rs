//! Bursts: bulk data rushes through a large buffer that all streams of the loop use in turn.
//!
//! A usual buffer makes a megabyte cost some 64 reads and 64 writes. Where much is to come, a stream reads into a burst
//! buffer and writes at once; what the consumer did not take moves to a usual buffer, so that a slow consumer costs no
//! more memory than ever. How much a consumer takes is asked before a large read. Small reads need no question: a
//! socket with nothing to send takes them.
//! With `tune.bufsize` below its default, or `tune.buffers.limit`, there are no bursts: memory is what counts then.

use super::super::core::Core;
use super::super::sys;
use super::Stream;
use crate::base::slab::Key;
use crate::proto::h1::Body;

/// Bytes of a read into a burst buffer that nobody is asked about.
const UNASKED_LEN: usize = 32_768;

/// Bytes read beyond what the consumer's socket has room for: only a socket that was filled once is given a larger send
/// queue by the kernel.
const BEYOND_LEN: usize = 8_192;

/// Bytes that a request's read may take beyond the end of its body: those of a next request must fit in a usual buffer.
const BEHIND_BODY_LEN: u64 = 4_096;

/// Bytes that a stream moves in a turn before other streams come first.
pub(super) const TURN_LEN: u64 = 262_144;

impl Stream {
    /// Prepares a read of the response. Gives how many bytes to read at most.
    pub(super) fn open_response_burst(&mut self, core: &mut Core) -> usize {
        // The length of what is to come is known, or more came than was asked for last time.
        let known = match self.response.framing.body {
            Body::Length(_) | Body::Chunked => self.response.body.left(),
            Body::None | Body::UntilClose | Body::Tunnel => 0,
        };
        let much = known > UNASKED_LEN as u64 || self.res.filled;
        if self.res.pending() || !self.res.open_burst(&mut core.bufs) {
            return usize::MAX;
        }
        if much {
            Self::burst_len(core, self.front)
        } else {
            UNASKED_LEN
        }
    }

    /// Prepares a read of the body of a request.
    pub(super) fn open_request_burst(&mut self, core: &mut Core) -> usize {
        let ahead = self.request.body.left();
        let (Some(back), true) = (self.back, ahead > core.bufs.capacity() as u64) else {
            return usize::MAX;
        };
        if self.req.pending() || !self.req.open_burst(&mut core.bufs) {
            return usize::MAX;
        }
        let most = usize::try_from(ahead.saturating_add(BEHIND_BODY_LEN)).unwrap_or(usize::MAX);
        match most {
            0..=UNASKED_LEN => most,
            _ => most.min(Self::burst_len(core, back)),
        }
    }

    /// Prepares a read of a relay, whose last read tells whether much is to come.
    pub(super) fn open_relay_burst(&mut self, core: &mut Core, upward: bool, to: Key) -> usize {
        let channel = if upward { &mut self.req } else { &mut self.res };
        if !channel.filled || channel.pending() || !channel.open_burst(&mut core.bufs) {
            return usize::MAX;
        }
        Self::burst_len(core, to)
    }

    /// What a consumer takes, and a little more.
    fn burst_len(core: &Core, to: Key) -> usize {
        let conn = core.conns.get(to);
        let room = conn.and_then(|conn| sys::send_room_len(conn.fd()).ok());
        room.map_or(UNASKED_LEN, |room| room.saturating_add(BEYOND_LEN))
    }

    /// Bytes received from both sides so far.
    pub(super) fn received_len(&self) -> u64 {
        self.req.received.saturating_add(self.res.received)
    }
}
