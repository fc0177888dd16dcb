//! A raw client: sends the bytes it is told to, keeps every byte it gets, and knows how the other
//! side ended. It understands just enough of HTTP/1 to read one response by its framing.

use rproxy::engine::sys;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// `SOL_MPTCP` and `MPTCP_INFO` of linux/mptcp.h.
const SOL_MPTCP: i32 = 284;
const MPTCP_INFO: i32 = 1;

/// What a connection really speaks: `mptcp`, `tcp` where it is that or has fallen back to it, `unix`.
pub fn spoken(socket: &Socket) -> &'static str {
    if socket.domain().is_ok_and(|domain| domain == Domain::UNIX) {
        return "unix";
    }
    let is_multipath = socket.protocol().ok().flatten() == Some(Protocol::MPTCP)
        && sys::sockopt(socket.as_raw_fd(), SOL_MPTCP, MPTCP_INFO).is_ok();
    if is_multipath { "mptcp" } else { "tcp" }
}

/// What is known of the peer's sending side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It may still send.
    Open,
    /// It sent its last byte (FIN).
    Closed,
    /// It reset the connection.
    Reset,
}

/// One connection to the proxy.
pub struct Client {
    socket: Socket,
    /// All bytes received so far.
    pub got: Vec<u8>,
    /// How far `read_response` has consumed `got`.
    pub consumed: usize,
    /// Whether the peer ended.
    pub end: End,
    /// The local port, 0 for a unix socket.
    pub port: u16,
}

impl Client {
    /// Connects over TCP; panics when nobody listens.
    pub fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).unwrap_or_else(|e| panic!("cannot connect to {addr}: {e}"))
    }

    /// Connects over TCP.
    pub fn try_connect(addr: SocketAddr) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.connect_timeout(&addr.into(), super::PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        Self::over(socket)
    }

    /// Connects to a unix socket; a name that begins with a NUL is an abstract one.
    pub fn unix(path: &str) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Self::over(socket)
    }

    /// Takes over a connected socket.
    pub fn over(socket: Socket) -> std::io::Result<Self> {
        socket.set_write_timeout(Some(super::PATIENCE))?;
        let port = socket.local_addr()?.as_socket().map_or(0, |a| a.port());
        Ok(Self {
            socket,
            got: Vec::new(),
            consumed: 0,
            end: End::Open,
            port,
        })
    }

    /// The address of this side.
    pub fn local(&self) -> SocketAddr {
        self.socket
            .local_addr()
            .ok()
            .and_then(|a| a.as_socket())
            .expect("a connected TCP socket")
    }

    /// Sends all of `bytes`; false when the peer had closed or reset.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    /// Sends bytes one at a time, each in a write of its own.
    pub fn dribble(&mut self, bytes: &[u8], pause: Duration) -> bool {
        bytes.iter().all(|b| {
            std::thread::sleep(pause);
            self.send(&[*b])
        })
    }

    /// Ends the sending side (FIN).
    pub fn shut(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a RST.
    pub fn reset(self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Keeps the receive buffer small, so that a reader that stops is felt at once.
    pub fn small_window(&self) {
        let _ = self.socket.set_recv_buffer_size(4096);
    }

    /// One read of at most `limit`; true when bytes came, false when none did or the peer ended.
    pub fn read_once(&mut self, limit: Duration) -> bool {
        if self.end != End::Open {
            return false;
        }
        let mut buf = [0u8; 65536];
        let _ = self
            .socket
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))));
        match self.socket.read(&mut buf) {
            Ok(0) => self.end = End::Closed,
            Ok(n) => {
                self.got.extend_from_slice(&buf[..n]);
                return true;
            }
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => self.end = End::Reset,
        }
        false
    }

    /// Reads until `done` says so, the peer ends or `limit` passes; true when `done` said so.
    pub fn read_until(&mut self, limit: Duration, mut done: impl FnMut(&[u8]) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if done(&self.got) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.end != End::Open {
                return false;
            }
            self.read_once(left);
        }
    }

    /// Reads until the peer ends; true when it did within `limit`.
    pub fn read_to_end(&mut self, limit: Duration) -> bool {
        self.read_until(limit, |_| false);
        self.end != End::Open
    }

    /// Reads until nothing has come for `quiet`, the peer ends, or patience is over.
    pub fn read_quiet(&mut self, quiet: Duration) {
        let deadline = Instant::now() + super::PATIENCE;
        while self.read_once(quiet) && Instant::now() < deadline {}
    }

    /// Reads one whole final response (with the interim ones before it) and returns its bytes, or
    /// `None` when it did not come whole. A response to HEAD has no body.
    pub fn read_response(&mut self, head: bool, limit: Duration) -> Option<Vec<u8>> {
        let from = self.consumed;
        let mut length = None;
        self.read_until(limit, |got| {
            length = response_length(&got[from..], head, false);
            length.is_some()
        });
        if length.is_none() && self.end != End::Open {
            length = response_length(&self.got[from..], head, true);
        }
        let to = from + length?;
        self.consumed = to;
        Some(self.got[from..to].to_vec())
    }

    /// Sends a request and reads its response, which must come.
    pub fn ask(&mut self, request: &str) -> String {
        self.send(request.as_bytes());
        let head = request.starts_with("HEAD ");
        let response = self.read_response(head, super::PATIENCE);
        let response = response.unwrap_or_else(|| {
            panic!(
                "no response to {request:?}: got {:?}, {:?}",
                String::from_utf8_lossy(&self.got),
                self.end
            )
        });
        String::from_utf8_lossy(&response).into_owned()
    }
}

/// The value of a header in a raw head, without case.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (n, v) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| v.trim())
    })
}

/// How many bytes the first final response takes, with interim ones before it; `None` while it is
/// not complete. `ended` tells that no byte will follow.
fn response_length(bytes: &[u8], head: bool, ended: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let end = find(rest, b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        let status: u16 = text
            .split(' ')
            .nth(1)
            .and_then(|s| s.trim().parse().ok())
            .unwrap_or(0);
        if (100..200).contains(&status) && status != 101 {
            at += end;
            continue;
        }
        if head || status == 204 || status == 304 || status == 101 {
            return Some(at + end);
        }
        let chunked =
            header(&text, "transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
        if chunked {
            return chunked_length(&rest[end..]).map(|n| at + end + n);
        }
        if let Some(n) = header(&text, "content-length").and_then(|v| v.parse::<usize>().ok()) {
            return (rest.len() >= end + n).then_some(at + end + n);
        }
        return ended.then_some(bytes.len());
    }
}

/// How many bytes a chunked body takes, trailers included; `None` while it is not complete.
pub fn chunked_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let digits = bytes[at..at + line]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        let size = std::str::from_utf8(&bytes[at..at + digits]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            if bytes[at..].starts_with(b"\r\n") {
                return Some(at + 2);
            }
            return find(&bytes[at..], b"\r\n\r\n").map(|n| at + n + 4);
        }
        at += size + 2;
        if bytes.len() < at {
            return None;
        }
    }
}

/// Where `needle` first stands in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|w| w == needle)
}
