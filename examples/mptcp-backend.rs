//! The demo origin: an HTTP/1.1 server over Multipath TCP that says what it saw of each request.
//!
//! For `make run` and whoever wants to look at both legs of a proxied request: the answer tells whether the
//! connection to the origin was MPTCP or plain TCP, who the peer was, and which headers arrived. Where the
//! kernel has no MPTCP it listens over TCP and says so. One thread per connection, at most [`CONNS_MAX`].
//!
//! Sources: RFC 9112 (messages), RFC 8684 and the kernel's mptcp documentation (`SO_PROTOCOL` of an accepted
//! socket is 262 for MPTCP, 6 after a client without MPTCP).
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a small program with threads of its own

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, atomic::AtomicBool};
use std::thread;
use std::time::Duration;

use httparse::Status;
use signal_hook::consts::{SIGINT, SIGTERM};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Where to listen unless told otherwise.
const ADDRESS: &str = "[::]:4331";
/// Connections at once; those above wait in the backlog of the listener.
const CONNS_MAX: usize = 1_000;
/// The largest request head, bytes.
const HEAD_MAX: usize = 64 * 1024;
/// Header lines of a request.
const HEADERS_MAX: usize = 128;
/// How long a silent client is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How often the parent is looked at.
const PARENT_LOOK: Duration = Duration::from_millis(200);
/// Header fields that the answer repeats.
const SHOWN: [&str; 8] = [
    "host",
    "user-agent",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-original-to",
    "x-request-id",
];

const USAGE: &str = "usage: mptcp-backend [--parent PID] [ADDRESS:PORT]

Listens over MPTCP (TCP where the kernel has none) on ADDRESS:PORT, [::]:4331 unless given, and answers HTTP.
Prints one line on standard output once it listens.
  --parent PID  end as soon as process PID is no longer the parent of this one";

/// What the command line asks for.
struct Options {
    address: SocketAddr,
    parent: Option<u32>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("mptcp-backend: {reason}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("mptcp-backend: {}: {error}", options.address);
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut address = ADDRESS.to_owned();
    let mut parent = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--parent" => {
                let pid = args.next().and_then(|pid| pid.parse().ok());
                parent = Some(pid.ok_or("--parent expects a process number")?);
            }
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            _ => address = arg,
        }
    }
    let address = address.parse().map_err(|error| format!("'{address}': {error}"))?;
    Ok(Options { address, parent })
}

/// Listens and serves until a signal, or the end of the parent, ends the process.
fn serve(options: &Options) -> io::Result<std::convert::Infallible> {
    // A shell may have started this with SIGINT ignored, as it does for commands in the background.
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::new(AtomicBool::new(true)))?;
    }
    if let Some(parent) = options.parent {
        thread::spawn(move || {
            while parent_id() == parent {
                thread::sleep(PARENT_LOOK);
            }
            std::process::exit(0);
        });
    }
    let listener = listen(options.address)?;
    let bound = listener.local_addr()?.as_socket().unwrap_or(options.address);
    println!(
        "mptcp-backend: listening on {bound} over {}",
        transport(&listener)
    );
    let conns = Arc::new(AtomicUsize::new(0));
    loop {
        if conns.load(Ordering::Acquire) >= CONNS_MAX {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let (socket, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that left before it was accepted: others may follow.
                if error.kind() != ErrorKind::ConnectionAborted {
                    thread::sleep(Duration::from_millis(10));
                }
                continue;
            }
        };
        conns.fetch_add(1, Ordering::AcqRel);
        let slot = Slot(conns.clone());
        let peer = peer.as_socket();
        let spawned = thread::Builder::new().stack_size(256 * 1024).spawn(move || {
            let _slot = slot;
            // A client that leaves in the middle of something concerns nobody else.
            let _ = Conn::new(socket.into(), peer).map(Conn::run);
        });
        if spawned.is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A place among the connections, free again when dropped.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::MPTCP)).or_else(|error| {
        eprintln!("mptcp-backend: no MPTCP in this kernel ({error}): listening over plain TCP");
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
    })?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket)
}

/// What a listening or accepted socket really is.
fn transport(socket: &Socket) -> &'static str {
    match socket.protocol() {
        Ok(Some(Protocol::MPTCP)) => "MPTCP",
        Ok(Some(Protocol::TCP)) => "TCP",
        _ => "an unknown transport",
    }
}

/// Why a connection comes to its end before the client wants it to.
enum End {
    /// The request is refused with this status.
    Refused(&'static str),
    /// The client is gone.
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

const BAD_REQUEST: End = End::Refused("400 Bad Request");
const TOO_LARGE: End = End::Refused("431 Request Header Fields Too Large");

/// What an answer needs to know of a request.
struct Request {
    line: String,
    head_only: bool,
    keep_alive: bool,
    is_http_10: bool,
    continue_expected: bool,
    body: BodyKind,
    shown: String,
}

#[derive(Clone, Copy)]
enum BodyKind {
    Length(u64),
    Chunked,
}

/// One client connection.
struct Conn {
    stream: TcpStream,
    peer: String,
    transport: &'static str,
    /// Bytes received and not used yet.
    input: Vec<u8>,
}

impl Conn {
    fn new(stream: TcpStream, peer: Option<SocketAddr>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        let transport = match SockRef::from(&stream).protocol()? {
            Some(Protocol::MPTCP) => "MPTCP",
            _ => "TCP",
        };
        let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
        Ok(Self {
            stream,
            peer,
            transport,
            input: Vec::new(),
        })
    }

    /// Serves requests until the client leaves or one of them is refused.
    fn run(mut self) -> Result<(), End> {
        match self.serve() {
            Err(End::Refused(status)) => {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                self.stream.write_all(answer.as_bytes())?;
                self.close()
            }
            Err(End::Gone) => Err(End::Gone),
            Ok(()) => self.close(),
        }
    }

    fn serve(&mut self) -> Result<(), End> {
        while let Some(request) = self.next_request()? {
            if request.continue_expected {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            match request.body {
                BodyKind::Length(length) => self.skip(length)?,
                BodyKind::Chunked => self.skip_chunks()?,
            }
            self.answer(&request)?;
            if !request.keep_alive {
                break;
            }
        }
        Ok(())
    }

    /// Reads more; `false` is the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        let mut room = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut room) {
                Ok(length) => {
                    self.input
                        .extend_from_slice(room.get(..length).unwrap_or_default());
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads more of something that must come and must not grow without end.
    fn fill_bounded(&mut self) -> Result<(), End> {
        if self.input.len() > HEAD_MAX {
            return Err(TOO_LARGE);
        }
        if self.fill()? { Ok(()) } else { Err(BAD_REQUEST) }
    }

    /// The next request; `None` when the client left between two.
    fn next_request(&mut self) -> Result<Option<Request>, End> {
        if self.input.is_empty() && !self.fill()? {
            return Ok(None);
        }
        loop {
            if let Some((request, used)) = parse(&self.input)? {
                self.input.drain(..used);
                return Ok(Some(request));
            }
            self.fill_bounded()?;
        }
    }

    /// Reads `length` bytes and forgets them.
    fn skip(&mut self, mut length: u64) -> Result<(), End> {
        loop {
            let here = self
                .input
                .len()
                .min(usize::try_from(length).unwrap_or(usize::MAX));
            self.input.drain(..here);
            length -= here as u64;
            if length == 0 {
                return Ok(());
            }
            if !self.fill()? {
                return Err(End::Gone);
            }
        }
    }

    fn skip_chunks(&mut self) -> Result<(), End> {
        loop {
            match httparse::parse_chunk_size(&self.input).map_err(|_| BAD_REQUEST)? {
                Status::Partial => self.fill_bounded()?,
                Status::Complete((used, 0)) => {
                    self.input.drain(..used);
                    return self.skip_trailers();
                }
                Status::Complete((used, size)) => {
                    self.input.drain(..used);
                    // The data and the line end after it.
                    self.skip(size.saturating_add(2))?;
                }
            }
        }
    }

    fn skip_trailers(&mut self) -> Result<(), End> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let parsed = httparse::parse_headers(&self.input, &mut fields).map_err(|_| BAD_REQUEST)?;
            if let Status::Complete((used, _)) = parsed {
                self.input.drain(..used);
                return Ok(());
            }
            self.fill_bounded()?;
        }
    }

    fn answer(&mut self, request: &Request) -> Result<(), End> {
        let text = format!(
            "connection to the origin: {}\npeer: {}\nrequest: {}\n{}",
            self.transport, self.peer, request.line, request.shown
        );
        let connection = match (request.keep_alive, request.is_http_10) {
            (true, true) => "Connection: keep-alive\r\n",
            (true, false) => "",
            (false, _) => "Connection: close\r\n",
        };
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{connection}\r\n",
            text.len()
        );
        if !request.head_only {
            answer.push_str(&text);
        }
        Ok(self.stream.write_all(answer.as_bytes())?)
    }

    /// Lets the client read the last answer: closing with unread bytes would reset the connection.
    fn close(mut self) -> Result<(), End> {
        self.stream.shutdown(std::net::Shutdown::Write)?;
        self.stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut room = [0; 16 * 1024];
        for _ in 0..64 {
            if self.stream.read(&mut room)? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// A whole request head and its length; `None` while it is not there yet.
fn parse(input: &[u8]) -> Result<Option<(Request, usize)>, End> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let used = match head.parse(input) {
        Ok(Status::Complete(used)) => used,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LARGE),
        Err(_) => return Err(BAD_REQUEST),
    };
    let (method, path) = (head.method.unwrap_or(""), head.path.unwrap_or(""));
    let is_http_10 = head.version == Some(0);
    let tokens = |name: &'static str| {
        let values = head
            .headers
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name));
        values
            .flat_map(|field| field.value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
    };
    let says = |name, token: &[u8]| tokens(name).any(|value| value.eq_ignore_ascii_case(token));
    let mut lengths = tokens("content-length");
    let body = match (tokens("transfer-encoding").next(), lengths.next()) {
        // Both together, or another coding, is somebody trying something.
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && !is_http_10 => BodyKind::Chunked,
        (Some(_), _) => return Err(BAD_REQUEST),
        (None, None) => BodyKind::Length(0),
        (None, Some(length)) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let value = std::str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok());
            match value {
                Some(value) if digits && lengths.all(|other| other == length) => BodyKind::Length(value),
                _ => return Err(BAD_REQUEST),
            }
        }
    };
    let mut shown = String::new();
    for field in head.headers.iter() {
        if SHOWN.iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            let value = String::from_utf8_lossy(field.value);
            shown.push_str(&format!("{}: {value}\n", field.name.to_ascii_lowercase()));
        }
    }
    let request = Request {
        line: format!("{method} {path} HTTP/1.{}", u8::from(!is_http_10)),
        head_only: method == "HEAD",
        keep_alive: if is_http_10 {
            says("connection", b"keep-alive")
        } else {
            !says("connection", b"close")
        },
        is_http_10,
        continue_expected: !is_http_10 && says("expect", b"100-continue"),
        body,
        shown,
    };
    Ok(Some((request, used)))
}
