//! One conversation on a runtime socket of the master: its socket, and the relay to the worker while a command of
//! the worker runs. Buffers are bounded: nothing is read while output waits.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use super::cli::{MasterCli, MasterView, Next};
use crate::engine::poll::Poller;
use crate::engine::sys;
use crate::model::listener::Level;

/// Bytes read at a time.
const PIECE: usize = 8 * 1024;

/// A command under way in the worker.
#[derive(Debug)]
struct Relay {
    socket: Socket,
    request: Vec<u8>,
    sent: usize,
}

impl Relay {
    /// Sends what the worker has not got yet. It is told where the request ends: a command such as `prompt` has it
    /// wait for more, and the peer would wait with it.
    fn send(&mut self) {
        while self.sent < self.request.len() {
            match self
                .socket
                .write(self.request.get(self.sent..).unwrap_or_default())
            {
                Ok(count) if count > 0 => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => self.sent = self.request.len(),
            }
            if self.sent == self.request.len() {
                // A worker that is gone shows when its answer is read.
                let _ = self.socket.shutdown(Shutdown::Write);
            }
        }
    }
}

/// One conversation.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    cli: MasterCli,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    read_closed: bool,
    relay: Option<Relay>,
}

impl Client {
    /// A conversation on an accepted socket.
    pub fn new(socket: Socket, level: Level, line_max: usize) -> Self {
        Self {
            socket,
            cli: MasterCli::new(level, line_max),
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            read_closed: false,
            relay: None,
        }
    }

    /// Works until it would have to wait for its peer or the worker: events are edges, so nothing that is there may
    /// stay unread. `Break` when the conversation is over.
    pub fn work(
        &mut self,
        view: &MasterView<'_>,
        link: Option<&Socket>,
        poller: &Poller,
        relay_token: u64,
    ) -> ControlFlow<()> {
        loop {
            self.flush()?;
            if self.sent < self.output.len() {
                return ControlFlow::Continue(());
            }
            if self.relay.is_some() {
                if self.pump() {
                    continue;
                } else {
                    return ControlFlow::Continue(());
                }
            }
            match self.cli.next(view) {
                Next::Output(bytes) => self.output.extend_from_slice(&bytes),
                Next::Close => {
                    self.flush()?;
                    return ControlFlow::Break(());
                }
                Next::Relay(request) => {
                    match link.and_then(|link| open_relay(link, request, poller, relay_token)) {
                        Some(relay) => self.relay = Some(relay),
                        None => self.cli.relay_failed(),
                    }
                }
                Next::Input => {
                    if !self.input.is_empty() {
                        let taken = self.cli.input(&self.input);
                        self.input.drain(..taken);
                    } else if self.read_closed {
                        return ControlFlow::Break(());
                    } else if !self.receive()? {
                        return ControlFlow::Continue(());
                    }
                }
            }
        }
    }

    /// Reads from the peer. False when there is nothing to read now.
    fn receive(&mut self) -> ControlFlow<(), bool> {
        let mut bytes = [0; PIECE];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.read_closed = true,
            Ok(count) => self
                .input
                .extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(false),
            Err(_) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(true)
    }

    /// Sends what waits, as far as the peer takes it.
    fn flush(&mut self) -> ControlFlow<()> {
        while self.sent < self.output.len() {
            match self
                .socket
                .write(self.output.get(self.sent..).unwrap_or_default())
            {
                Ok(0) => return ControlFlow::Break(()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(()),
                Err(_) => return ControlFlow::Break(()),
            }
        }
        self.output.clear();
        self.sent = 0;
        ControlFlow::Continue(())
    }

    /// Moves bytes between the worker and the peer. False when there is nothing to move now.
    fn pump(&mut self) -> bool {
        let Some(relay) = &mut self.relay else {
            return false;
        };
        relay.send();
        let mut bytes = [0; PIECE];
        match relay.socket.read(&mut bytes) {
            Ok(count) if count > 0 => {
                self.output
                    .extend_from_slice(bytes.get(..count).unwrap_or_default());
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            // The worker has answered, or is gone.
            _ => {
                self.relay = None;
                self.cli.relay_ended();
                true
            }
        }
    }
}

/// Hands the worker one end of a new pair.
fn open_relay(link: &Socket, request: Vec<u8>, poller: &Poller, token: u64) -> Option<Relay> {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None).ok()?;
    ours.set_nonblocking(true).ok()?;
    sys::send_descriptor(link.as_raw_fd(), theirs.as_raw_fd()).ok()?;
    poller.register(ours.as_raw_fd(), token).ok()?;
    Some(Relay {
        socket: ours,
        request,
        sent: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::control::{Control, ControlSource};
    use crate::ops::master::link::MasterLink;

    const VIEW: MasterView<'_> = MasterView {
        pid: 100,
        started_s: 0,
        now_s: 0,
        worker: Some((101, 0)),
        env: &[],
    };

    fn pair() -> (Socket, Socket) {
        let (left, right) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        left.set_nonblocking(true).unwrap();
        right.set_nonblocking(true).unwrap();
        (left, right)
    }

    fn read_all(socket: &mut Socket) -> Vec<u8> {
        let mut all = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(count) = socket.read(&mut bytes) {
            if count == 0 {
                break;
            }
            all.extend_from_slice(&bytes[..count]);
        }
        all
    }

    #[test]
    fn a_command_goes_to_the_worker_and_its_answer_comes_back() {
        let poller = Poller::new(8).unwrap();
        let (mut peer, socket) = pair();
        let (link, workers_end) = pair();
        let (mut workers_end, _) = MasterLink::new(workers_end).unwrap();
        let mut client = Client::new(socket, Level::Operator, 1000);
        peer.write_all(b"@1 show info\nshow version\n").unwrap();
        assert!(client.work(&VIEW, Some(&link), &poller, 7).is_continue());
        let Some(Control::Adopt(mut relay)) = workers_end.next() else {
            panic!("nothing was handed down")
        };
        assert_eq!(read_all(&mut relay), b"operator -;show info\n");
        assert!(matches!(relay.read(&mut [0]), Ok(0)), "the worker sees the end");
        // An answer that is longer than all socket buffers: the master holds little of it.
        let answer = vec![b'x'; 4 << 20];
        let mut sent = 0;
        let mut got = Vec::new();
        while sent < answer.len() {
            if let Ok(count) = relay.write(&answer[sent..]) {
                sent += count;
            }
            assert!(client.work(&VIEW, Some(&link), &poller, 7).is_continue());
            assert!(client.output.len() <= 2 * PIECE);
            got.extend(read_all(&mut peer));
        }
        drop(relay);
        peer.shutdown(Shutdown::Write).unwrap();
        while client.work(&VIEW, Some(&link), &poller, 7).is_continue() {
            got.extend(read_all(&mut peer));
        }
        got.extend(read_all(&mut peer));
        assert_eq!(got.len(), answer.len() + b"3.4.0-rproxy\n\n".len());
        assert!(got.ends_with(b"x3.4.0-rproxy\n\n"));
    }

    #[test]
    fn without_a_worker_the_conversation_ends() {
        let poller = Poller::new(8).unwrap();
        let (mut peer, socket) = pair();
        let mut client = Client::new(socket, Level::Admin, 1000);
        peer.write_all(b"@1 show info\n").unwrap();
        assert!(client.work(&VIEW, None, &poller, 7).is_break());
        assert_eq!(read_all(&mut peer), b"Can't connect to the target process.\n");
    }
}
