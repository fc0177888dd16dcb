//! The worker's end of the pair to its master: it says that it serves, and takes over conversations that the master
//! hands it. The end of the master is the end of the worker.

use std::cell::Cell;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use socket2::Socket;

use crate::engine::control::{Control, ControlSource};
use crate::engine::sys;

/// The worker's end.
#[derive(Debug)]
pub struct MasterLink {
    socket: Socket,
    gone: Rc<Cell<bool>>,
}

impl MasterLink {
    /// Takes the socket over. The cell tells whether the master is gone.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn new(socket: Socket) -> io::Result<(Self, Rc<Cell<bool>>)> {
        socket.set_nonblocking(true)?;
        let gone = Rc::new(Cell::new(false));
        Ok((
            Self {
                socket,
                gone: Rc::clone(&gone),
            },
            gone,
        ))
    }

    /// Tells the master that this worker serves.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn ready(&mut self) -> io::Result<()> {
        self.socket.write_all(b"R")
    }
}

impl ControlSource for MasterLink {
    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn next(&mut self) -> Option<Control> {
        loop {
            match sys::receive_descriptor(self.socket.as_raw_fd()) {
                Ok(Some(descriptor)) => {
                    let socket = Socket::from(descriptor);
                    if socket.set_nonblocking(true).is_ok() {
                        return Some(Control::Adopt(socket));
                    }
                }
                Ok(None) if self.gone.replace(true) => return None,
                Ok(None) => return Some(Control::Stop),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use std::io::Read;

    #[test]
    fn conversations_are_handed_over() {
        let (mut master, worker) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        let (mut link, gone) = MasterLink::new(worker).unwrap();
        assert!(link.next().is_none());
        link.ready().unwrap();
        let mut byte = [0; 1];
        master.read_exact(&mut byte).unwrap();
        let (mut ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        sys::send_descriptor(master.as_raw_fd(), theirs.as_raw_fd()).unwrap();
        drop(theirs);
        let Some(Control::Adopt(mut adopted)) = link.next() else {
            panic!("no conversation came")
        };
        adopted.write_all(b"hello").unwrap();
        drop(adopted);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(!gone.get());
        drop(master);
        assert!(matches!(link.next(), Some(Control::Stop)));
        assert!(gone.get() && link.next().is_none());
    }
}
