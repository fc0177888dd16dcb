//! Facts of one client session and of one stream, as logs, rules and headers read them.
//!
//! Source: configuration manual, "Log formats" and "Timing events". Times are kept as monotonic
//! ticks (milliseconds); a phase that was not reached is `None` and printed as -1.

use std::net::SocketAddr;

use super::cause::Cause;
use super::ids::{ListenerId, ProxyId, ServerId};
use crate::base::ticks::Ticks;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Wall clock, microseconds since the epoch.
    pub wall_us: u64,
    /// Monotonic clock.
    pub at: Ticks,
}

/// One end of a client connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoint {
    /// Not known (a LOCAL or UNKNOWN PROXY header, or not asked for yet).
    #[default]
    Unknown,
    /// An IP address and port.
    Inet(SocketAddr),
    /// A UNIX socket; clients have no name, so the listener's is printed.
    Unix,
}

impl Endpoint {
    /// The IP address and port, if it has one.
    pub fn inet(self) -> Option<SocketAddr> {
        match self {
            Self::Inet(addr) => Some(addr),
            _ => None,
        }
    }
}

/// Facts of one client connection, from `accept` on.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts {
    /// The frontend that accepted.
    pub frontend: ProxyId,
    /// The listener that accepted.
    pub listener: ListenerId,
    /// When it was accepted.
    pub accepted: Stamp,
    /// Where the client is: from the PROXY header if one came.
    pub src: Endpoint,
    /// Where the client connected to: from the PROXY header if one came.
    pub dst: Endpoint,
    /// Milliseconds spent in handshakes (PROXY header, TLS).
    pub handshake_ms: u32,
}

/// Facts of one stream: one request and its response, or one relayed connection.
#[derive(Clone, Debug)]
pub struct StreamFacts {
    /// Number of the stream in this process (`%rt`).
    pub counter: u64,
    /// When the stream began: the accept for a session's first, the end of the previous one otherwise.
    pub begun: Stamp,
    /// Milliseconds of handshakes charged to this stream (the session's first only).
    pub handshake_ms: u32,
    /// When the first byte of the request came.
    pub first_byte_at: Option<Ticks>,
    /// When the request head was complete, on both clocks.
    pub request: Option<Stamp>,
    /// When a server slot was had (the end of the wait in queues).
    pub queued_at: Option<Ticks>,
    /// When the connection to the server was there.
    pub connected_at: Option<Ticks>,
    /// When the response head was complete.
    pub response_at: Option<Ticks>,
    /// When the stream ended.
    pub closed_at: Option<Ticks>,
    /// The backend; the frontend itself while none was chosen.
    pub backend: ProxyId,
    /// Whether a backend was chosen.
    pub backend_chosen: bool,
    /// The server.
    pub server: Option<ServerId>,
    /// Name printed instead of a server's when the stream was answered here (`<STATS>`, ...).
    pub service: Option<&'static str>,
    /// Status sent to the client, 0 while none.
    pub status: u16,
    /// Bytes from the client to the server.
    pub sent_bytes: u64,
    /// Bytes from the server to the client.
    pub received_bytes: u64,
    /// Who ended the stream and when.
    pub cause: Cause,
    /// Connection attempts after the first.
    pub retries: u32,
    /// Another server was taken after a failed attempt.
    pub redispatched: bool,
    /// Requests ahead of this one in the server's queue.
    pub server_queue: u32,
    /// Requests ahead of this one in the backend's queue.
    pub backend_queue: u32,
    /// Where the server is (the address that was connected to).
    pub server_addr: Endpoint,
    /// The local address of the connection to the server.
    pub server_src: Endpoint,
    /// Whether the request was HTTP (fields of HTTP have no value otherwise).
    pub is_http: bool,
    /// The request line as received, cut at `tune.http.logurilen`; empty while none was seen.
    /// The buffer is kept from one stream to the next.
    pub request_line: Vec<u8>,
}

impl StreamFacts {
    /// The status of a stream whose client left before there was any: logs print -1.
    pub const ABORTED: u16 = u16::MAX;

    /// Facts of a stream that begins now in that frontend; `request_line` lends its memory.
    pub fn begin(
        counter: u64,
        begun: Stamp,
        frontend: ProxyId,
        is_http: bool,
        mut request_line: Vec<u8>,
    ) -> Self {
        request_line.clear();
        Self {
            counter,
            begun,
            handshake_ms: 0,
            first_byte_at: None,
            request: None,
            queued_at: None,
            connected_at: None,
            response_at: None,
            closed_at: None,
            backend: frontend,
            backend_chosen: false,
            server: None,
            service: None,
            status: 0,
            sent_bytes: 0,
            received_bytes: 0,
            cause: Cause::default(),
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            server_addr: Endpoint::Unknown,
            server_src: Endpoint::Unknown,
            is_http,
            request_line,
        }
    }
}

/// Numbers of concurrent connections at the moment a line is logged (`%ac %fc %bc %sc`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnCounts {
    /// Of the process.
    pub process: u32,
    /// Of the frontend.
    pub frontend: u32,
    /// Of the backend.
    pub backend: u32,
    /// Of the server.
    pub server: u32,
}

/// One captured header value. Its memory is kept from one stream to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    bytes: Vec<u8>,
    present: bool,
}

impl Captured {
    /// Keeps the first `len_max` bytes of a value.
    pub fn set(&mut self, value: &[u8], len_max: usize) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&value[..value.len().min(len_max)]);
        self.present = true;
    }

    /// Forgets the value.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.present = false;
    }

    /// The value, if the message had the header.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.present.then_some(self.bytes.as_slice())
    }
}
