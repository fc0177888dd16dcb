//! The server behind the proxies: one loop with answers made beforehand, so that it costs as little as can be.
//!
//! | path | answer |
//! |---|---|
//! | `/tiny` | 3 bytes |
//! | `/16k` | 16 KiB |
//! | `/1m` | 1 MiB |
//! | anything with a body | 3 bytes, when the body is there to its end |
//!
//! With `--stay` it does not close after `Connection: close`, for the relay that parses nothing.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::{sockets, wire};

/// Bytes of one receive.
const BUFFER: usize = 256 * 1024;
/// Answers that leave with one call.
const PIECES: usize = 64;
/// Tokens of listeners are above those of connections.
const LISTENERS: usize = usize::MAX - 64;

/// Where to listen.
pub(crate) struct Options {
    /// Addresses, each with whether it is MPTCP.
    pub(crate) listen: Vec<(SocketAddr, bool)>,
    pub(crate) stay: bool,
}

/// Which of the answers.
#[derive(Clone, Copy)]
enum Answer {
    Tiny,
    Page,
    Bulk,
    Lost,
}

struct Answers([Vec<u8>; 4]);

impl Answers {
    fn new() -> Self {
        let body = |size: usize| -> Vec<u8> {
            let text = b"The quick brown fox jumps over the lazy dog. ";
            text.iter().copied().cycle().take(size).collect()
        };
        let answer = |status: &str, body: &[u8]| {
            let head = format!(
                "HTTP/1.1 {status}\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        };
        Self([
            answer("200 OK", b"ok\n"),
            answer("200 OK", &body(16 * 1024)),
            answer("200 OK", &body(1024 * 1024)),
            answer("404 Not Found", b"no\n"),
        ])
    }

    fn bytes(&self, answer: Answer) -> &[u8] {
        &self.0[answer as usize]
    }
}

struct Conn {
    stream: TcpStream,
    /// The beginning of a head that is not whole.
    carry: Vec<u8>,
    /// Bytes of a body that are still to come, and what answers it.
    body: u64,
    after: Answer,
    /// Answers to send, and how much of the first one is sent.
    queue: VecDeque<Answer>,
    sent: usize,
    /// Ends when the queue is empty.
    close: bool,
}

/// Serves until the process is ended; says on standard output when it listens.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listeners: Vec<TcpListener> = Vec::new();
    for (addr, mptcp) in &options.listen {
        let mut listener = sockets::listen(*addr, *mptcp)?;
        let token = Token(LISTENERS + listeners.len());
        poll.registry()
            .register(&mut listener, token, Interest::READABLE)?;
        listeners.push(listener);
    }
    println!("ready");
    let answers = Answers::new();
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            done => done?,
        }
        for event in &events {
            let token = event.token().0;
            if token >= LISTENERS {
                accept(&poll, &listeners[token - LISTENERS], &mut conns, &mut free);
                continue;
            }
            let Some(conn) = conns.get_mut(token).and_then(Option::as_mut) else {
                continue;
            };
            let mut open = true;
            if event.is_readable() {
                open = conn.receive(&mut buffer, options.stay);
            }
            if !(open && conn.send(&answers)) {
                conns[token] = None;
                free.push(token);
            }
        }
    }
}

fn accept(poll: &Poll, listener: &TcpListener, conns: &mut Vec<Option<Conn>>, free: &mut Vec<usize>) {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                if error.kind() != ErrorKind::WouldBlock {
                    eprintln!("origin: accept: {error}");
                }
                return;
            }
        };
        let place = free.pop().unwrap_or(conns.len());
        let both = Interest::READABLE | Interest::WRITABLE;
        if stream.set_nodelay(true).is_err()
            || poll.registry().register(&mut stream, Token(place), both).is_err()
        {
            free.push(place);
            continue;
        }
        if place >= conns.len() {
            conns.resize_with(place + 1, || None);
        }
        conns[place] = Some(Conn {
            stream,
            carry: Vec::new(),
            body: 0,
            after: Answer::Tiny,
            queue: VecDeque::new(),
            sent: 0,
            close: false,
        });
    }
}

impl Conn {
    /// Reads all there is; `false` at the end of the connection.
    fn receive(&mut self, buffer: &mut [u8], stay: bool) -> bool {
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(length) => length,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            if !self.take(&buffer[..length], stay) {
                return false;
            }
            if length < buffer.len() {
                return true;
            }
        }
    }

    /// Goes through what came; `false` when it cannot be HTTP.
    fn take(&mut self, mut data: &[u8], stay: bool) -> bool {
        while !data.is_empty() {
            if self.body > 0 {
                let here = self.body.min(data.len() as u64);
                self.body -= here;
                data = &data[usize::try_from(here).unwrap_or(data.len())..];
                if self.body == 0 {
                    self.queue.push_back(self.after);
                }
                continue;
            }
            let known = self.carry.len();
            let (text, is_carried) = if known > 0 {
                self.carry.extend_from_slice(data);
                (&self.carry[..], true)
            } else {
                (data, false)
            };
            let Some(head) = wire::head(text) else {
                if !is_carried {
                    self.carry.extend_from_slice(data);
                }
                return self.carry.len() < wire::HEAD_MAX;
            };
            let answer = answer_for(text);
            self.close |= head.close && !stay;
            self.body = head.length.unwrap_or(0);
            if self.body > 0 {
                self.after = Answer::Tiny;
            } else {
                self.queue.push_back(answer);
            }
            data = &data[head.size - known..];
            self.carry.clear();
        }
        true
    }

    /// Sends what there is to send; `false` when the connection is at its end.
    fn send(&mut self, answers: &Answers) -> bool {
        while let Some(first) = self.queue.front() {
            let first = &answers.bytes(*first)[self.sent..];
            let sent = if self.queue.len() == 1 {
                self.stream.write(first)
            } else {
                let mut pieces = [IoSlice::new(&[]); PIECES];
                let all = self.queue.iter().map(|answer| answers.bytes(*answer));
                for (piece, bytes) in pieces.iter_mut().zip(all) {
                    *piece = IoSlice::new(bytes);
                }
                pieces[0] = IoSlice::new(first);
                let used = self.queue.len().min(PIECES);
                self.stream.write_vectored(&pieces[..used])
            };
            match sent {
                Ok(sent) => self.sent += sent,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            while let Some(first) = self.queue.front() {
                let size = answers.bytes(*first).len();
                if self.sent < size {
                    break;
                }
                self.sent -= size;
                self.queue.pop_front();
            }
        }
        !self.close || self.body > 0
    }
}

fn answer_for(head: &[u8]) -> Answer {
    let path = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
    match path {
        b"/tiny" => Answer::Tiny,
        b"/16k" => Answer::Page,
        b"/1m" => Answer::Bulk,
        _ => Answer::Lost,
    }
}
