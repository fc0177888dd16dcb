//! Signals as requests to a loop: a handler notes the signal and wakes the loop through a socket.
//!
//! SIGUSR1 soft stop, SIGTERM and SIGINT stop, SIGTTOU pause, SIGTTIN resume, SIGHUP state dump, SIGQUIT freeing of pools; a
//! master has its own table. SIGPIPE is ignored by Rust's start-up. Source: management manual, "Signals".

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Socket, Type};

/// Signals that are caught, and the socket that wakes the loop.
#[derive(Debug)]
pub struct Signals {
    wake: Socket,
    caught: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    /// Catches these signals from now on: each is noted, and its default action does not happen.
    ///
    /// # Errors
    /// When the system refuses the socket or a handler.
    pub fn catch(signals: &[i32]) -> io::Result<Self> {
        let (wake, writer) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        wake.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let mut caught = Vec::with_capacity(signals.len());
        for &signal in signals {
            let flag = Arc::new(AtomicBool::new(false));
            // Handlers run in the order of registration: the note is there before the loop wakes.
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(signal, OwnedFd::from(writer.try_clone()?))?;
            caught.push((signal, flag));
        }
        Ok(Self { wake, caught })
    }

    /// The descriptor that becomes readable after a signal.
    pub fn fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// The next signal that came, in the order in which they were given to [`Signals::catch`].
    pub fn take(&mut self) -> Option<i32> {
        self.drain();
        let came = |(_, flag): &&(i32, Arc<AtomicBool>)| flag.swap(false, Ordering::SeqCst);
        self.caught.iter().find(came).map(|(signal, _)| *signal)
    }

    /// Takes the bytes that only wake.
    fn drain(&mut self) {
        let mut bytes = [0; 64];
        loop {
            match self.wake.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_noted_once() {
        let mut signals = Signals::catch(&[libc::SIGWINCH, libc::SIGURG]).unwrap();
        assert_eq!(signals.take(), None);
        signal_hook::low_level::raise(libc::SIGURG).unwrap();
        signal_hook::low_level::raise(libc::SIGWINCH).unwrap();
        signal_hook::low_level::raise(libc::SIGWINCH).unwrap();
        assert_eq!(signals.take(), Some(libc::SIGWINCH));
        assert_eq!(signals.take(), Some(libc::SIGURG));
        assert_eq!(signals.take(), None);
    }
}
