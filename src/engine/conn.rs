//! One connected stream socket, of a client or to a server, and what is known of its readiness.
//!
//! A connection owns no buffer: it reads into and writes from what its stream lends. An idle kept-alive
//! connection is therefore this structure and nothing else.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::Socket;

use super::netns::NetnsId;
use super::poll::Ready;
use super::sys;
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::base::wheel::Timer;
use crate::model::ids::{ProxyId, ServerId};
use crate::model::txn::{SessionFacts, Stamp};
use crate::proto::h1::conn::{ClientSide, ServerSide};

/// What an attempt to read or write gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Io {
    /// So many bytes.
    Done(usize),
    /// Nothing now: an event will tell.
    Blocked,
    /// End of file (reads only).
    Closed,
    /// The connection is broken.
    Failed(ErrorKind),
}

/// Who acts on the events of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody: it waits for a next request (client) or for a stream that takes it (server).
    Idle,
    /// A stream.
    Stream(Key),
    /// A client connection that must first send its PROXY header.
    Handshake,
}

/// Where a connection to a server may be found while it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Nowhere: in use.
    None,
    /// With the client session that it is private to: `http-reuse never`, or made so by what it carried.
    Session,
    /// With the server, for requests that may be sent again.
    Idle,
    /// With the server, proven by more than one request.
    Safe,
}

/// What only client connections have.
#[derive(Debug)]
pub(crate) struct FrontSide {
    /// Facts for logs and headers.
    pub(crate) facts: SessionFacts,
    /// Streams so far.
    pub(crate) streams: u32,
    /// Connections to servers for this session alone, idle or not, in the order in which they became so.
    pub(crate) private: Vec<Key>,
    /// One of them carried a login: requests are to go where such a connection is.
    pub(crate) prefers_private: bool,
    /// The protocol state, while no stream has it.
    pub(crate) h1: ClientSide,
    /// When the wait for the next request began.
    pub(crate) begun: Stamp,
    /// The host name that its PROXY header told.
    pub(crate) authority: Option<Box<[u8]>>,
    /// The network namespace it belongs to: its listener's, or the one that its PROXY header told.
    pub(crate) netns: Option<NetnsId>,
}

/// What only connections to servers have.
#[derive(Debug)]
pub(crate) struct BackSide {
    /// The server, none for `dispatch` and `transparent`.
    pub(crate) server: Option<ServerId>,
    /// The backend.
    pub(crate) backend: ProxyId,
    /// What must be equal for another session to use it: address, PROXY header, source.
    pub(crate) hash: u64,
    /// Requests so far.
    pub(crate) requests: u32,
    /// Where it waits.
    pub(crate) shelf: Shelf,
    /// The client connection it is private to.
    pub(crate) private_to: Option<Key>,
    /// Since when it waits.
    pub(crate) idle_since: Ticks,
    /// A source port borrowed from the server's range, to be given back.
    pub(crate) source_port: Option<u16>,
    /// The protocol state, while no stream has it.
    pub(crate) h1: ServerSide,
}

/// Which side of a stream a connection is on.
#[derive(Debug)]
pub(crate) enum Side {
    /// A client's.
    Front(FrontSide),
    /// A server's.
    Back(BackSide),
}

/// One connected stream socket.
pub(crate) struct Conn {
    socket: Socket,
    /// What is known of its readiness.
    pub(crate) ready: Ready,
    /// Counted among the HTTP/1 connections of its proxy.
    pub(crate) is_h1: bool,
    /// Who acts on its events.
    pub(crate) owner: Owner,
    /// Which side it is on.
    pub(crate) side: Side,
    /// While idle or in handshake; a stream has a timer of its own.
    pub(crate) timer: Timer,
    /// The peer's end was read, or ours was sent: closing needs no reset.
    pub(crate) ended: bool,
    /// Reading failed: the system tells an error once, and an end of file from then on.
    broken: Option<ErrorKind>,
}

impl Conn {
    /// A connection over that socket.
    pub(crate) fn new(socket: Socket, ready: Ready, owner: Owner, side: Side) -> Self {
        Self {
            socket,
            ready,
            is_h1: false,
            owner,
            side,
            timer: Timer::new(),
            ended: false,
            broken: None,
        }
    }

    /// Its descriptor.
    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Its socket, for options.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The client's side of it, if it is one.
    pub(crate) fn front(&self) -> Option<&FrontSide> {
        match &self.side {
            Side::Front(front) => Some(front),
            Side::Back(_) => None,
        }
    }

    /// The client's side of it, to change.
    pub(crate) fn front_mut(&mut self) -> Option<&mut FrontSide> {
        match &mut self.side {
            Side::Front(front) => Some(front),
            Side::Back(_) => None,
        }
    }

    /// The server's side of it, if it is one.
    pub(crate) fn back(&self) -> Option<&BackSide> {
        match &self.side {
            Side::Back(back) => Some(back),
            Side::Front(_) => None,
        }
    }

    /// The server's side of it, to change.
    pub(crate) fn back_mut(&mut self) -> Option<&mut BackSide> {
        match &mut self.side {
            Side::Back(back) => Some(back),
            Side::Front(_) => None,
        }
    }

    /// Reads into `room`, which must not be empty. A short read has drained a stream socket (epoll(7)), so
    /// the next attempt is saved, unless the end, an error or urgent data wait behind what was read.
    pub(crate) fn receive(&mut self, room: &mut [u8]) -> Io {
        if let Some(kind) = self.broken {
            return Io::Failed(kind);
        }
        if !self.ready.any(Ready::READ) {
            return Io::Blocked;
        }
        loop {
            match (&self.socket).read(room) {
                Ok(0) => {
                    self.ended = true;
                    return Io::Closed;
                }
                Ok(n) => {
                    if n < room.len()
                        && !self
                            .ready
                            .any(Ready::READ_CLOSED | Ready::ERROR | Ready::PRIORITY)
                    {
                        self.ready.remove(Ready::READ);
                    }
                    return Io::Done(n);
                }
                Err(error) => match self.blocked(&error, Ready::READ) {
                    Some(Io::Failed(kind)) => {
                        self.broken = Some(kind);
                        return Io::Failed(kind);
                    }
                    Some(io) => return io,
                    None => continue,
                },
            }
        }
    }

    /// Whether the connection is open both ways and holds nothing to read. The kernel is asked where that is
    /// not known: a read that took all it wanted says nothing of what may be behind.
    pub(crate) fn is_silent(&mut self) -> bool {
        if self.ready.any(Ready::READ_CLOSED | Ready::ERROR) {
            return false;
        }
        if !self.ready.any(Ready::READ) {
            return true;
        }
        let seen = sys::peek(self.fd(), &mut [0]);
        seen.is_err_and(|error| matches!(self.blocked(&error, Ready::READ), Some(Io::Blocked)))
    }

    /// Writes what it can of `slices`. A short write means a full socket: an event tells when it drains.
    pub(crate) fn send(&mut self, slices: &[IoSlice<'_>], length: usize) -> Io {
        if !self.ready.any(Ready::WRITE) {
            return Io::Blocked;
        }
        loop {
            let result = match slices {
                [one] => (&self.socket).write(one),
                _ => (&self.socket).write_vectored(slices),
            };
            match result {
                Ok(n) => {
                    if n < length {
                        self.ready.remove(Ready::WRITE);
                    }
                    return Io::Done(n);
                }
                Err(error) => match self.blocked(&error, Ready::WRITE) {
                    Some(io) => return io,
                    None => continue,
                },
            }
        }
    }

    /// What an error of a read or write means; `None` asks to try again.
    pub(crate) fn blocked(&mut self, error: &io::Error, direction: Ready) -> Option<Io> {
        match error.kind() {
            ErrorKind::Interrupted => None,
            ErrorKind::WouldBlock => {
                self.ready.remove(direction);
                Some(Io::Blocked)
            }
            kind => Some(Io::Failed(kind)),
        }
    }

    /// Tells the peer that nothing more will be sent.
    pub(crate) fn shut_write(&mut self) {
        self.ended = true;
        // A peer that is gone already makes this fail, and has nothing more to be told.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes the coming close a reset, so that no port stays in TIME_WAIT (`nolinger`, aborted connections).
    pub(crate) fn reset_on_close(&self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Reads and drops what waits, at most `limit` bytes, so that closing sends FIN rather than RST and the
    /// peer can read our last words.
    pub(crate) fn drain(&mut self, scratch: &mut [u8], limit: usize) {
        let mut drained = 0;
        while drained < limit {
            match self.receive(scratch) {
                Io::Done(n) => drained += n,
                _ => return,
            }
        }
    }
}
