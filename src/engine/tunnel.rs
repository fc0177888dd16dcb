//! Moving bytes between sockets inside the kernel: pipes for splice(2), pooled.
//!
//! Source: configuration manual, `option splice-auto`, `splice-request`, `splice-response`, `maxpipes`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::sys;

/// A pipe and how much is in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes inside.
    pub(crate) filled: usize,
}

/// The pipes of one loop.
#[derive(Debug)]
pub(crate) struct Pipes {
    idle: Vec<Pipe>,
    used: u32,
    max: u32,
    size_bytes: u32,
}

impl Pipes {
    /// A pool of at most `max` pipes of `size_bytes` each (0: the system's size).
    pub(crate) fn new(max: u32, size_bytes: u32) -> Self {
        Self {
            idle: Vec::new(),
            used: 0,
            max,
            size_bytes,
        }
    }

    /// A pipe, if there may be one more.
    pub(crate) fn take(&mut self) -> Option<Pipe> {
        let pipe = match self.idle.pop() {
            Some(pipe) => pipe,
            None if self.used < self.max => {
                let (read, write) = sys::pipe(self.size_bytes).ok()?;
                Pipe {
                    read,
                    write,
                    filled: 0,
                }
            }
            None => return None,
        };
        self.used += 1;
        Some(pipe)
    }

    /// Gives a pipe back. One that still holds bytes is closed: they belong to a stream that is gone.
    pub(crate) fn put(&mut self, pipe: Pipe) {
        self.used = self.used.saturating_sub(1);
        if pipe.filled == 0 {
            self.idle.push(pipe);
        }
    }

    /// Pipes in use and pipes kept.
    pub(crate) fn counts(&self) -> (u32, u32) {
        (self.used, u32::try_from(self.idle.len()).unwrap_or(u32::MAX))
    }
}

impl Pipe {
    /// Moves up to `length` bytes from a socket into the pipe. 0 is the end of the stream.
    pub(crate) fn fill(&mut self, from: RawFd, length: usize) -> io::Result<usize> {
        let moved = sys::splice(from, self.write.as_raw_fd(), length)?;
        self.filled += moved;
        Ok(moved)
    }

    /// Moves what is in the pipe to a socket.
    pub(crate) fn empty(&mut self, to: RawFd) -> io::Result<usize> {
        let moved = sys::splice(self.read.as_raw_fd(), to, self.filled)?;
        self.filled -= moved.min(self.filled);
        Ok(moved)
    }
}
