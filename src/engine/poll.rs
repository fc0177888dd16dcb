//! Readiness: mio wrapped to what the loop needs.
//!
//! Every descriptor is registered once, for reading and writing, edge-triggered, and never again. Whoever
//! owns it keeps the [`Ready`] bits and clears one only when the kernel said "would block" (or when a short
//! read proved the socket empty): no second edge comes for what was left. Source: epoll(7), mio `Poll`.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Token};

/// What is known of a descriptor's readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready(u8);

impl Ready {
    /// Nothing known.
    pub const NONE: Self = Self(0);
    /// A read may yield something.
    pub const READ: Self = Self(1);
    /// A write may be taken.
    pub const WRITE: Self = Self(2);
    /// The peer will send nothing more: read on until end of file.
    pub const READ_CLOSED: Self = Self(4);
    /// Nothing more can be written.
    pub const WRITE_CLOSED: Self = Self(8);
    /// The socket has an error to tell.
    pub const ERROR: Self = Self(16);
    /// Urgent data is there: a short read proves nothing.
    pub const PRIORITY: Self = Self(32);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Sets the bits of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl std::ops::BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a token stands for; kept in its upper 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A descriptor given at boot (signals).
    Control,
    /// A listener; the rest is its index.
    Listener,
    /// A connection; the rest is its key.
    Conn,
    /// A runtime socket's connection; the rest is its key.
    Service,
    /// A stream, as the owner of a timer; the rest is its key.
    Stream,
    /// A regular duty of the loop, as the owner of a timer.
    Duty,
}

const KIND_SHIFT: u32 = 56;

/// Packs a kind and the 56 bits that name one of it.
pub fn token(kind: Kind, rest: u64) -> u64 {
    ((kind as u64) << KIND_SHIFT) | (rest & ((1 << KIND_SHIFT) - 1))
}

/// Unpacks a token.
pub fn untoken(token: u64) -> (Kind, u64) {
    let kind = match token >> KIND_SHIFT {
        0 => Kind::Control,
        1 => Kind::Listener,
        2 => Kind::Conn,
        3 => Kind::Service,
        4 => Kind::Stream,
        _ => Kind::Duty,
    };
    (kind, token & ((1 << KIND_SHIFT) - 1))
}

/// The poller of one loop.
pub struct Poller {
    poll: mio::Poll,
    events: Events,
}

impl Poller {
    /// A poller that takes at most `events_max` events per turn.
    ///
    /// # Errors
    /// The system's, when it has no poll instance left.
    pub fn new(events_max: usize) -> io::Result<Self> {
        Ok(Self {
            poll: mio::Poll::new()?,
            events: Events::with_capacity(events_max.max(1)),
        })
    }

    /// Registers a descriptor for everything, once.
    ///
    /// # Errors
    /// The system's.
    pub fn register(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let token = Token(usize::try_from(token).unwrap_or(usize::MAX));
        self.poll
            .registry()
            .register(&mut SourceFd(&fd), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Registers a descriptor that is only read or accepted from.
    ///
    /// # Errors
    /// The system's.
    pub fn register_read(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let token = Token(usize::try_from(token).unwrap_or(usize::MAX));
        self.poll
            .registry()
            .register(&mut SourceFd(&fd), token, Interest::READABLE)
    }

    /// Forgets a descriptor that stays open.
    ///
    /// # Errors
    /// The system's.
    pub fn deregister(&self, fd: RawFd) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&fd))
    }

    /// Waits for events, at most `timeout`, and appends them to `out`. An interrupted wait is no error.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&mut self, timeout: Option<Duration>, out: &mut Vec<(u64, Ready)>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            let mut ready = Ready::NONE;
            if event.is_readable() {
                ready.insert(Ready::READ);
            }
            if event.is_writable() {
                ready.insert(Ready::WRITE);
            }
            if event.is_read_closed() {
                ready.insert(Ready::READ | Ready::READ_CLOSED);
            }
            if event.is_write_closed() {
                ready.insert(Ready::WRITE_CLOSED);
            }
            if event.is_error() {
                ready.insert(Ready::READ | Ready::WRITE | Ready::ERROR);
            }
            if event.is_priority() {
                ready.insert(Ready::PRIORITY);
            }
            out.push((event.token().0 as u64, ready));
        }
        Ok(())
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_kind_and_rest() {
        for kind in [
            Kind::Control,
            Kind::Listener,
            Kind::Conn,
            Kind::Service,
            Kind::Stream,
            Kind::Duty,
        ] {
            let rest = 0x00ab_cdef_0123_4567 & ((1 << 56) - 1);
            assert_eq!(untoken(token(kind, rest)), (kind, rest));
        }
    }

    #[test]
    fn bits_are_set_and_cleared_apart() {
        let mut ready = Ready::READ | Ready::READ_CLOSED;
        assert!(ready.has(Ready::READ) && !ready.any(Ready::WRITE));
        ready.remove(Ready::READ);
        assert!(!ready.has(Ready::READ) && ready.has(Ready::READ_CLOSED));
    }
}
