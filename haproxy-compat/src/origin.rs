//! A scripted origin server: keeps the exact bytes of every connection in the order of acceptance,
//! and answers by script. Without a script it answers every complete request like a plain server.

use socket2::{Protocol, SockAddr, Socket};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::{End, chunked_length, find, header, spoken};
use super::proxy::listener;

/// What the origin answers when no script says otherwise.
pub const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PLAIN_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
/// What it answers for targets that begin with `/large`: more than socket buffers hold.
const LARGE: usize = 4_000_000;
const PROBE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Probe: yes\r\nContent-Length: 0\r\n\r\n";

/// When a block of the script begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// A request is complete, body included.
    Request,
    /// The head of a request is complete.
    Head,
    /// A connection has been accepted.
    Accept,
    /// This many bytes have come over the connection since its beginning.
    Bytes(usize),
    /// The proxy ended its sending side.
    Eof,
}

/// One step of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Send these bytes in one write.
    Send(Vec<u8>),
    /// Pause, in milliseconds.
    Wait(u64),
    /// End the sending side and go on reading.
    Shut,
    /// Close.
    Close,
    /// Close with a RST.
    Reset,
    /// Take what follows as raw bytes: no request is looked for any more.
    Raw,
}

/// One piece of an origin's script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// When it begins.
    pub trigger: Trigger,
    /// What it does.
    pub acts: Vec<Act>,
}

/// One connection as the origin saw it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Everything received.
    pub bytes: Vec<u8>,
    /// How the proxy ended it, as far as the origin did not end it first.
    pub end: End,
    /// The origin closed or reset it itself.
    pub ended_here: bool,
    /// The proxy's address; none for a unix socket.
    pub from: Option<SocketAddr>,
    /// The address that it connected to; none for a unix socket.
    pub at: Option<SocketAddr>,
    /// `tcp`, `mptcp` or `unix`.
    pub over: &'static str,
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Block>>,
    records: Mutex<Vec<Record>>,
    /// Counts the calls of `reset`, so that a late event of an old connection changes no new record.
    age: AtomicUsize,
    /// Connections of a lower age are to be closed.
    oldest: AtomicUsize,
    stop: AtomicBool,
    /// Bytes that were served are not kept.
    forget: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running origin.
pub struct Origin {
    shared: Arc<Shared>,
    addr: Option<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// An origin on a free TCP port.
    pub fn new(script: Vec<Block>) -> Self {
        Self::on(listener(256), script)
    }

    /// An origin on a unix socket; a name that begins with a NUL is an abstract one.
    pub fn unix(path: &str, script: Vec<Block>) -> Self {
        let socket = Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a unix socket");
        socket
            .bind(&SockAddr::unix(path).expect("a short name"))
            .expect("a free name");
        socket.listen(64).expect("listen");
        Self::on(socket, script)
    }

    /// An origin on a listening socket.
    pub fn on(socket: Socket, script: Vec<Block>) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into()),
            ..Shared::default()
        });
        let addr = socket.local_addr().ok().and_then(|a| a.as_socket());
        // A time-out bounds accept(2), except on MPTCP sockets, which are asked again and again.
        let is_multipath = socket.protocol().ok().flatten() == Some(Protocol::MPTCP);
        socket.set_nonblocking(is_multipath).expect("O_NONBLOCK");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("SO_RCVTIMEO");
        let inner = Arc::clone(&shared);
        let thread = Some(std::thread::spawn(move || accept_all(&socket, &inner)));
        Self { shared, addr, thread }
    }

    /// Keeps no bytes from now on: for long runs.
    pub fn forgetful(self) -> Self {
        self.shared.forget.store(true, Ordering::Relaxed);
        self
    }

    /// Its TCP address.
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("a TCP origin")
    }

    /// Its TCP address, if it has one.
    pub fn inet(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// What each connection received so far.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.shared.records).clone()
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        lock(&self.shared.records).len()
    }

    /// Forgets the connections so far (they must be over) and takes a new script.
    pub fn reset(&self, script: Vec<Block>) {
        let mut records = lock(&self.shared.records);
        records.clear();
        self.shared.age.fetch_add(1, Ordering::Relaxed);
        *lock(&self.shared.script) = script.into();
    }

    /// Closes all connections; what comes later belongs to the next `reset`.
    pub fn hang_up(&self) {
        let age = self.shared.age.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.oldest.store(age, Ordering::Relaxed);
    }

    /// All the bytes of all connections, as text.
    pub fn text(&self) -> String {
        self.records()
            .iter()
            .map(|r| String::from_utf8_lossy(&r.bytes).into_owned())
            .collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept_all(socket: &Socket, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        threads.retain(|t: &JoinHandle<()>| !t.is_finished());
        let (connection, from) = match socket.accept() {
            Ok(accepted) => accepted,
            Err(e) => {
                if e.kind() == ErrorKind::WouldBlock && socket.nonblocking().unwrap_or(false) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                continue;
            }
        };
        let at = connection.local_addr().ok().and_then(|a| a.as_socket());
        let place = {
            let mut records = lock(&shared.records);
            records.push(Record {
                bytes: Vec::new(),
                end: End::Open,
                ended_here: false,
                from: from.as_socket(),
                at,
                over: spoken(&connection),
            });
            (shared.age.load(Ordering::Relaxed), records.len() - 1)
        };
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || {
            Connection::new(connection, place, &shared).serve()
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// One connection being served.
struct Connection<'a> {
    socket: Socket,
    /// The age of the records and the place in them.
    place: (usize, usize),
    shared: &'a Shared,
    got: Vec<u8>,
    /// Where the message being read begins.
    at: usize,
    /// The message being read was answered at its head.
    answered: bool,
    raw: bool,
    open: bool,
}

impl<'a> Connection<'a> {
    fn new(socket: Socket, place: (usize, usize), shared: &'a Shared) -> Self {
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_read_timeout(Some(Duration::from_millis(10)));
        let _ = socket.set_write_timeout(Some(super::PATIENCE));
        Self {
            socket,
            place,
            shared,
            got: Vec::new(),
            at: 0,
            answered: false,
            raw: false,
            open: true,
        }
    }

    fn serve(mut self) {
        while let Some(block) = self.take(|t| t == Trigger::Accept) {
            self.play(block);
        }
        let mut buf = [0u8; 65536];
        while self.open && !self.is_stopped() {
            match self.socket.read(&mut buf) {
                Ok(0) => {
                    self.note(|r| r.end = End::Closed);
                    let Some(block) = self.take(|t| t == Trigger::Eof) else {
                        return;
                    };
                    self.play(block);
                    return;
                }
                Ok(n) => {
                    self.got.extend_from_slice(&buf[..n]);
                    let forget = self.shared.forget.load(Ordering::Relaxed);
                    if !forget {
                        self.note(|r| r.bytes.extend_from_slice(&buf[..n]));
                    }
                    self.react();
                    if forget {
                        self.got.drain(..std::mem::take(&mut self.at));
                    }
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => {
                    self.note(|r| r.end = End::Reset);
                    return;
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        let (age, _) = self.place;
        self.shared.stop.load(Ordering::Relaxed) || age < self.shared.oldest.load(Ordering::Relaxed)
    }

    fn note(&self, change: impl FnOnce(&mut Record)) {
        let (age, index) = self.place;
        let mut records = lock(&self.shared.records);
        if self.shared.age.load(Ordering::Relaxed) == age
            && let Some(record) = records.get_mut(index)
        {
            change(record);
        }
    }

    /// Takes the next block when its trigger is the wanted one.
    fn take(&self, wanted: impl Fn(Trigger) -> bool) -> Option<Block> {
        let mut script = lock(&self.shared.script);
        if script.front().is_some_and(|b| wanted(b.trigger)) {
            script.pop_front()
        } else {
            None
        }
    }

    fn react(&mut self) {
        while self.open {
            let count = self.got.len();
            if let Some(block) = self.take(|t| matches!(t, Trigger::Bytes(n) if count >= n)) {
                self.play(block);
                continue;
            }
            if self.raw {
                return;
            }
            if self.at == 0 {
                self.at = proxy_header_length(&self.got);
            }
            let Some((head_end, whole)) = request_length(&self.got[self.at..]) else {
                return;
            };
            if !self.answered
                && let Some(block) = self.take(|t| t == Trigger::Head)
            {
                self.answered = true;
                self.play(block);
                continue;
            }
            let Some(whole) = whole else { return };
            let head = String::from_utf8_lossy(&self.got[self.at..self.at + head_end]).into_owned();
            self.at += whole;
            if !std::mem::take(&mut self.answered) {
                self.answer(&head);
            }
        }
    }

    fn answer(&mut self, head: &str) {
        let target = head.split(' ').nth(1).unwrap_or("");
        let probe = target.starts_with("/probe");
        if !probe && let Some(block) = self.take(|t| t == Trigger::Request) {
            self.play(block);
            return;
        }
        let reply = match head {
            _ if probe => PROBE.to_vec(),
            _ if head.starts_with("HEAD ") => PLAIN_HEAD.to_vec(),
            _ if target.starts_with("/large") => large(),
            _ => PLAIN.to_vec(),
        };
        self.play(Block {
            trigger: Trigger::Request,
            acts: vec![Act::Send(reply)],
        });
        let says = |word: &str| header(head, "connection").is_some_and(|v| v.eq_ignore_ascii_case(word));
        let old = head.split("\r\n").next().is_some_and(|l| l.ends_with("HTTP/1.0"));
        if says("close") || (old && !says("keep-alive")) {
            self.close();
        }
    }

    fn play(&mut self, block: Block) {
        for act in block.acts {
            match act {
                Act::Send(bytes) => {
                    if self.socket.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Act::Wait(ms) => std::thread::sleep(Duration::from_millis(ms)),
                Act::Shut => {
                    let _ = self.socket.shutdown(Shutdown::Write);
                }
                Act::Close => self.close(),
                Act::Reset => {
                    let _ = self.socket.set_linger(Some(Duration::ZERO));
                    self.open = false;
                    self.note(|r| r.ended_here = true);
                }
                Act::Raw => self.raw = true,
            }
        }
    }

    fn close(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        self.open = false;
        self.note(|r| r.ended_here = true);
    }
}

/// The answer of [`LARGE`] bytes.
fn large() -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
    reply.resize(reply.len() + LARGE, b'x');
    reply
}

/// The length of a PROXY protocol header at the beginning, 0 without one.
fn proxy_header_length(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"PROXY ") {
        return find(bytes, b"\r\n").map_or(0, |n| n + 2);
    }
    if bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n") && bytes.len() >= 16 {
        return 16 + usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
    }
    0
}

/// The length of the head of the first request, and of the whole once it is complete.
fn request_length(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    let end = find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let body = &bytes[end..];
    if header(&head, "transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked")) {
        return Some((end, chunked_length(body).map(|n| end + n)));
    }
    let length: usize = header(&head, "content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    Some((end, (body.len() >= length).then(|| end + length)))
}
