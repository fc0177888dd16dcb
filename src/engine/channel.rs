//! One direction of a stream: bytes from a producer to a consumer through fixed buffers.
//!
//! ```text
//!   producer socket --receive--> input --(stage)--> [ pre | body: front of input | tail ] --flush--> consumer
//! ```
//! What goes out first is flattened into `pre` (a head, a chunk header); body bytes stay where they were
//! read and are only counted; `tail` closes a chunk. One `writev` of at most three slices sends all of it.

use std::io::{ErrorKind, IoSlice};

use super::conn::{Conn, Io};
use crate::base::buf::Buf;
use crate::base::pool::{BufPool, Urgency};

/// What follows the body bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    #[default]
    None,
    /// The end of a chunk.
    ChunkEnd,
}

impl Tail {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::ChunkEnd => b"\r\n",
        }
    }
}

/// Buffers that a step needs before it can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// `input`.
    Input,
    /// `pre`.
    Pre,
    /// `input` and `pre`.
    Both,
}

/// What a flush gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Everything is out.
    All,
    /// The consumer takes no more for now.
    Blocked,
    /// The consumer is gone.
    Failed(ErrorKind),
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// What was received and is not forwarded yet; message heads are parsed in it.
    pub(crate) input: Buf,
    /// Bytes made here that go before the body.
    pub(crate) pre: Buf,
    /// How many bytes at the front of `input` go next.
    pub(crate) body: usize,
    /// What follows them.
    pub(crate) tail: Tail,
    /// How much of the tail is out.
    pub(crate) tail_sent: usize,
    /// The producer sent its end.
    pub(crate) read_closed: bool,
    /// The consumer was told the end.
    pub(crate) write_closed: bool,
    /// The last read took all it was given room for: more waits.
    pub(crate) filled: bool,
    /// Bytes received from the producer so far.
    pub(crate) received: u64,
    /// Bytes taken by the consumer so far.
    pub(crate) sent: u64,
}

impl Channel {
    /// Whether anything waits to be sent.
    pub(crate) fn pending(&self) -> bool {
        !self.pre.is_empty() || self.body > 0 || self.tail != Tail::None
    }

    /// Bytes that wait to be sent.
    fn pending_len(&self) -> usize {
        self.pre.len() + self.body + self.tail.bytes().len() - self.tail_sent
    }

    /// Drops what waits to be sent.
    pub(crate) fn drop_pending(&mut self) {
        self.pre.clear();
        self.input.consume(self.body);
        self.body = 0;
        self.tail = Tail::None;
        self.tail_sent = 0;
    }

    /// Puts bytes before everything else that waits in `pre`. False when they do not fit.
    pub(crate) fn put_first(&mut self, bytes: &[u8]) -> bool {
        if self.pre.room_len_compacted(0) < bytes.len() {
            return false;
        }
        self.pre.compact();
        let held = self.pre.len();
        if !self.pre.push(bytes) {
            return false;
        }
        self.pre.data_mut().rotate_right(bytes.len());
        debug_assert_eq!(self.pre.len(), held + bytes.len());
        true
    }

    /// Appends what waits to be sent to a buffer, without its first `skip` bytes of `pre`, if it fits.
    pub(crate) fn copy_pending(&self, copy: &mut Buf, skip: usize) -> bool {
        let body = self.input.data().get(..self.body).unwrap_or_default();
        let tail = self.tail.bytes().get(self.tail_sent..).unwrap_or_default();
        copy.push(self.pre.data().get(skip..).unwrap_or_default()) && copy.push(body) && copy.push(tail)
    }

    /// How many buffers these places lack.
    pub(crate) fn lacks(&self, places: Places) -> usize {
        let lacks_input = places != Places::Pre && !self.input.is_allocated();
        let lacks_pre = places != Places::Input && !self.pre.is_allocated();
        usize::from(lacks_input) + usize::from(lacks_pre)
    }

    /// Makes sure that these places have storage. False, with nothing taken, when the pool has too few to give:
    /// who waits for a second buffer never holds a first one back from others.
    pub(crate) fn lend(&mut self, bufs: &mut BufPool, places: Places, urgency: Urgency) -> bool {
        if bufs.left(urgency) < self.lacks(places) {
            return false;
        }
        for (place, wanted) in [
            (&mut self.input, places != Places::Pre),
            (&mut self.pre, places != Places::Input),
        ] {
            if wanted && !place.is_allocated() {
                match bufs.take(urgency) {
                    Some(buf) => *place = buf,
                    None => return false,
                }
            }
        }
        true
    }

    /// Puts an empty burst buffer where input is to be received. False: the place holds something, or there is none.
    pub(crate) fn open_burst(&mut self, bufs: &mut BufPool) -> bool {
        if bufs.is_burst(&self.input) {
            return true;
        }
        if !self.input.is_empty() {
            return false;
        }
        let Some(burst) = bufs.take_burst() else {
            return false;
        };
        bufs.put(std::mem::replace(&mut self.input, burst));
        true
    }

    /// Moves what is left of a burst to a usual buffer, if it fits. A parser that has begun follows its bytes.
    pub(crate) fn close_burst(&mut self, bufs: &mut BufPool) {
        if !bufs.is_burst(&self.input) || self.input.len() > bufs.capacity() {
            return;
        }
        let mut usual = Buf::empty();
        if !self.input.is_empty() {
            match bufs.take(Urgency::Response) {
                Some(buf) => usual = buf,
                None => return,
            }
            usual.push(self.input.data());
        }
        bufs.put(std::mem::replace(&mut self.input, usual));
    }

    /// Gives empty buffers back to the pool. Where buffers are few, `pre` stays as long as `input` holds something:
    /// it may be what the rest needs to go out.
    pub(crate) fn give_back_empty(&mut self, bufs: &mut BufPool) {
        self.close_burst(bufs);
        let keeps_pre = bufs.is_limited() && !self.input.is_empty();
        if self.pre.is_allocated() && self.pre.is_empty() && !keeps_pre {
            bufs.put_from(&mut self.pre);
        }
        if self.input.is_allocated() && self.input.is_empty() {
            bufs.put_from(&mut self.input);
        }
    }

    /// Gives all buffers back, data or not.
    pub(crate) fn give_back(&mut self, bufs: &mut BufPool) {
        for place in [&mut self.input, &mut self.pre] {
            if place.is_allocated() {
                place.clear();
                bufs.put_from(place);
            }
        }
    }

    /// Forgets all but the buffers and what they hold of a next message.
    pub(crate) fn restart(&mut self) {
        self.pre.clear();
        self.body = 0;
        self.tail = Tail::None;
        self.tail_sent = 0;
        self.write_closed = false;
        self.filled = false;
        self.received = self.input.len() as u64;
        self.sent = 0;
    }

    /// Receives once into the input, leaving the last `reserve` bytes of the buffer free. `None` when there
    /// is no room.
    pub(crate) fn receive(&mut self, conn: &mut Conn, reserve: usize) -> Option<Io> {
        self.receive_most(conn, reserve, usize::MAX)
    }

    /// The same, of no more than `most` bytes.
    pub(crate) fn receive_most(&mut self, conn: &mut Conn, reserve: usize, most: usize) -> Option<Io> {
        let room = self.input.room(reserve);
        let length = room.len().min(most);
        if length == 0 {
            return None;
        }
        let io = conn.receive(&mut room[..length]);
        match io {
            Io::Done(n) => {
                self.input.commit(n);
                self.filled = n == length;
                self.received += n as u64;
            }
            Io::Closed => self.read_closed = true,
            Io::Blocked | Io::Failed(_) => {}
        }
        Some(io)
    }

    /// Sends what waits, in as few calls as the socket allows.
    pub(crate) fn flush(&mut self, conn: &mut Conn) -> Flushed {
        self.join_head_and_body();
        while self.pending() {
            let tail = self.tail.bytes().get(self.tail_sent..).unwrap_or_default();
            let body = self.input.data().get(..self.body).unwrap_or_default();
            let length = self.pending_len();
            let io = match (self.pre.is_empty(), body.is_empty(), tail.is_empty()) {
                (false, true, true) => conn.send(&[IoSlice::new(self.pre.data())], length),
                (true, false, true) => conn.send(&[IoSlice::new(body)], length),
                (true, true, false) => conn.send(&[IoSlice::new(tail)], length),
                _ => {
                    let slices = [
                        IoSlice::new(self.pre.data()),
                        IoSlice::new(body),
                        IoSlice::new(tail),
                    ];
                    conn.send(&slices, length)
                }
            };
            match io {
                Io::Done(n) => self.advance(n),
                Io::Blocked => return Flushed::Blocked,
                Io::Closed => return Flushed::Failed(ErrorKind::BrokenPipe),
                Io::Failed(kind) => return Flushed::Failed(kind),
            }
        }
        Flushed::All
    }

    /// Puts a head right before its body, where the one stood that came in: one piece costs the kernel less than two.
    fn join_head_and_body(&mut self) {
        let joins = self.body > 0 && self.tail == Tail::None && !self.pre.is_empty();
        if joins && self.input.push_front(self.pre.data()) {
            self.body += self.pre.len();
            self.pre.clear();
        }
    }

    /// Takes `n` sent bytes off what waits.
    fn advance(&mut self, n: usize) {
        self.sent += n as u64;
        let of_pre = n.min(self.pre.len());
        self.pre.consume(of_pre);
        let of_body = (n - of_pre).min(self.body);
        self.input.consume(of_body);
        self.body -= of_body;
        self.tail_sent += n - of_pre - of_body;
        if self.tail_sent >= self.tail.bytes().len() {
            self.tail = Tail::None;
            self.tail_sent = 0;
        }
    }
}
