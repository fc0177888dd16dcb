//! The life of an HTTP/1 connection, seen from each side: what may be read and written now, and whether the
//! connection serves another message afterwards.
//!
//! [`ClientSide`] is the half-machine that faces a client (requests in, responses out), [`ServerSide`] the one
//! that faces a server (requests out, responses in). Both are plain state: the engine tells them what happened,
//! they answer what is next. The writers call them for the value of `Connection`.
//! Sources: RFC 9112 section 9, RFC 9110 sections 7.8, 9.3.6 and 10.1.1; configuration manual,
//! `option httpclose`, `http-server-close`, `http-keep-alive`, `http-pretend-keepalive`.

use crate::proto::h1::{Body, Framing};
use crate::proto::head::Method;

/// What a proxy's options want of its connections. The last one set wins; without any it is `KeepAlive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMode {
    /// `option http-keep-alive`: both sides persist.
    #[default]
    KeepAlive,
    /// `option http-server-close`: the client side persists, the server side closes.
    ServerClose,
    /// `option httpclose`: the side on which the proxy stands closes.
    Close,
}

/// What becomes of a connection after the current exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// It serves another request.
    #[default]
    KeepAlive,
    /// It closes.
    Close,
    /// It is no HTTP any more.
    Tunnel,
}

/// How far a message got in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// Nothing of it yet.
    #[default]
    Idle,
    /// Its head is on the way.
    Head,
    /// Its body is on the way.
    Body,
    /// It is complete.
    Done,
    /// Bytes without meaning pass.
    Tunnel,
}

/// What to do with a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The exchange is not over.
    Wait,
    /// The response is out but the request is still coming in: read it and drop it, then ask again.
    Drain,
    /// The exchange is over and the connection takes another one.
    Reuse,
    /// Close the connection (once the output is flushed).
    Close,
    /// Relay bytes both ways until either side closes.
    Tunnel,
}

/// An event that cannot happen in the current phase: the peer or the engine broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ConnError {
    /// The server agreed to a tunnel before it had the whole request. The client gets a 502.
    #[error("protocol switched before the end of the request")]
    EarlySwitch,
    /// The server switched protocols although request and response do not both say `Connection: upgrade`.
    /// The client gets a 502.
    #[error("protocol switched without agreement")]
    UnaskedSwitch,
    /// The event does not fit the phase.
    #[error("event out of order")]
    OutOfOrder,
}

/// What a message being written says of its connection; the writer fills it from the head that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// HTTP/1.1 or later.
    pub v11: bool,
    /// The receiver can know where the message ends without a close.
    pub length_known: bool,
    /// A rule put `close` in `Connection`.
    pub close: bool,
    /// A rule put `keep-alive` in `Connection`.
    pub keep_alive: bool,
    /// `Connection: upgrade` stands in the head.
    pub upgrade: bool,
    /// The client asked for an upgrade, whatever rules made of it: the server may switch protocols.
    pub may_switch: bool,
    /// The framing is such that the connection must not persist.
    pub must_close: bool,
}

/// How an input that ends before a complete request head is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyEnd {
    /// Nobody waits for an answer: close, log nothing.
    Silent,
    /// Answer (400 for a close, 408 for a timeout), log, close.
    Answer,
}

/// Whether a status announces a further response to the same request (RFC 9110 section 15.2).
pub const fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..=199)
}

/// Whether a response opens a tunnel.
pub const fn opens_tunnel(asked: Method, status: u16) -> bool {
    status == 101 || (matches!(asked, Method::Connect) && status >= 200 && status < 300)
}

/// The half-machine that faces a client.
///
/// ```text
///  request  (in):   Idle --first byte--> Head --head--> Body --end--> Done       Done --tunnel--> Tunnel
///                                          +--head without body-------^
///  response (out):  Idle --interim--> Idle      Idle --final head--> Body --end--> Done
///                                                 +--switch--> Tunnel
///  both Done:            wish KeepAlive -> Reuse (next_request: both Idle)     wish Close -> Close
///  response Done first:  Drain until the request is Done
///  a further request that was read in advance waits in the buffer until Reuse
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientSide {
    request: Phase,
    response: Phase,
    wish: Wish,
    asked: Method,
    request_v11: bool,
    broken: bool,
    served: u32,
}

impl ClientSide {
    /// A new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Phase of the request.
    pub const fn request(&self) -> Phase {
        self.request
    }

    /// Phase of the response.
    pub const fn response(&self) -> Phase {
        self.response
    }

    /// What becomes of the connection, as known now.
    pub const fn wish(&self) -> Wish {
        self.wish
    }

    /// Method of the request in progress.
    pub const fn asked(&self) -> Method {
        self.asked
    }

    /// Number of exchanges that ended before the current one; 0 on a connection's first request.
    pub const fn served(&self) -> u32 {
        self.served
    }

    /// Whether the next request may be parsed now.
    pub const fn may_parse(&self) -> bool {
        matches!(self.request, Phase::Idle | Phase::Head) && !self.broken
    }

    /// The first byte of a request came in.
    pub fn begin(&mut self) {
        if self.request == Phase::Idle {
            self.request = Phase::Head;
        }
    }

    /// A request head was parsed. `stopping`: the frontend is being stopped and does not keep connections.
    pub fn request_head(
        &mut self,
        framing: &Framing,
        method: Method,
        stopping: bool,
    ) -> Result<(), ConnError> {
        if !self.may_parse() {
            return Err(ConnError::OutOfOrder);
        }
        self.asked = method;
        self.request_v11 = framing.v11;
        if framing.close || !(framing.v11 || framing.keep_alive) || stopping {
            self.wish = Wish::Close;
        }
        self.request = if framing.body == Body::None {
            Phase::Done
        } else {
            Phase::Body
        };
        Ok(())
    }

    /// The last byte of the request came in.
    pub fn request_end(&mut self) {
        if self.request == Phase::Body {
            self.request = Phase::Done;
        }
    }

    /// A response head is about to go out: decides on persistence and gives the value of `Connection`, if one is to be sent.
    /// Interim responses change nothing and carry no such field.
    pub fn response_head(
        &mut self,
        status: u16,
        out: Outgoing,
        mode: HttpMode,
        stopping: bool,
    ) -> Result<Option<&'static str>, ConnError> {
        if self.response != Phase::Idle {
            return Err(ConnError::OutOfOrder);
        }
        if is_interim(status) {
            return Ok(None);
        }
        self.response = Phase::Body;
        if status < 100 {
            // No class of RFC 9110: passed on without a word on persistence, closed where the end is doubtful.
            if !out.length_known || self.asked == Method::Head {
                self.wish = Wish::Close;
            }
            return Ok(None);
        }
        if opens_tunnel(self.asked, status) {
            self.wish = Wish::Tunnel;
            self.request = Phase::Tunnel;
            self.response = Phase::Tunnel;
            return Ok(None);
        }
        let unwanted = mode == HttpMode::Close && !out.keep_alive;
        if out.must_close || !out.length_known || out.close || unwanted || stopping {
            self.wish = Wish::Close;
        }
        if out.upgrade {
            return Ok(None);
        }
        Ok(match self.wish {
            Wish::KeepAlive if !(out.v11 && self.request_v11) => Some("keep-alive"),
            Wish::Close if out.v11 => Some("close"),
            _ => None,
        })
    }

    /// The last byte of the response was handed to the output.
    pub fn response_end(&mut self) {
        if self.response == Phase::Body {
            self.response = Phase::Done;
        }
    }

    /// Nothing more can be read (close, error) or the request was refused: the connection ends with what is under way.
    pub fn input_closed(&mut self) {
        self.broken = true;
        if self.wish == Wish::KeepAlive {
            self.wish = Wish::Close;
        }
    }

    /// What is next.
    pub fn after(&self) -> After {
        match (self.request, self.response) {
            (Phase::Tunnel, _) | (_, Phase::Tunnel) => After::Tunnel,
            (Phase::Done, Phase::Done) if self.wish == Wish::KeepAlive && !self.broken => After::Reuse,
            (Phase::Done, Phase::Done) => After::Close,
            (_, Phase::Done) if self.broken => After::Close,
            (_, Phase::Done) => After::Drain,
            (Phase::Idle | Phase::Head, Phase::Idle) if self.broken => After::Close,
            _ => After::Wait,
        }
    }

    /// Prepares for another request after [`After::Reuse`].
    pub fn next_request(&mut self) -> Result<(), ConnError> {
        if self.after() != After::Reuse {
            return Err(ConnError::OutOfOrder);
        }
        *self = Self {
            served: self.served.saturating_add(1),
            ..Self::default()
        };
        Ok(())
    }

    /// The input ended or timed out before a request head was complete. `buffered`: there are unread bytes,
    /// be they only empty lines; `ignore_probes`: `option http-ignore-probes`.
    pub const fn early_end(&self, buffered: bool, ignore_probes: bool) -> EarlyEnd {
        let between = self.served > 0 && matches!(self.request, Phase::Idle);
        if !buffered && (between || ignore_probes) {
            EarlyEnd::Silent
        } else {
            EarlyEnd::Answer
        }
    }
}

/// Settings that decide on the persistence of a server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerModes {
    /// Options of the frontend.
    pub frontend: HttpMode,
    /// Options of the backend.
    pub backend: HttpMode,
    /// `option http-pretend-keepalive` in the backend.
    pub pretend_keep_alive: bool,
    /// The backend is being stopped.
    pub stopping: bool,
}

/// The half-machine that faces a server.
///
/// ```text
///  request  (out):  Idle --head--> Body --end--> Done
///  response (in):   Idle --first byte--> Head --interim--> Head      Head --final head--> Body --end--> Done
///                                          +--switch (request Done)--> Tunnel
///  both Done: wish KeepAlive -> Reuse, else Close      response Done first -> Close
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerSide {
    request: Phase,
    response: Phase,
    wish: Wish,
    asked: Method,
    may_switch: bool,
    broken: bool,
    served: u32,
}

impl ServerSide {
    /// A new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Phase of the request.
    pub const fn request(&self) -> Phase {
        self.request
    }

    /// Phase of the response.
    pub const fn response(&self) -> Phase {
        self.response
    }

    /// What becomes of the connection, as known now.
    pub const fn wish(&self) -> Wish {
        self.wish
    }

    /// Method of the request in progress.
    pub const fn asked(&self) -> Method {
        self.asked
    }

    /// Number of exchanges that ended on this connection.
    pub const fn served(&self) -> u32 {
        self.served
    }

    /// A request head is about to go out: decides on persistence and gives the value of `Connection`, if one
    /// is to be sent. `body`: the request has one.
    pub fn request_head(
        &mut self,
        method: Method,
        out: Outgoing,
        body: bool,
        modes: ServerModes,
    ) -> Result<Option<&'static str>, ConnError> {
        if self.request != Phase::Idle || self.broken {
            return Err(ConnError::OutOfOrder);
        }
        self.asked = method;
        self.may_switch = out.may_switch;
        self.request = if body { Phase::Body } else { Phase::Done };
        let unwanted = modes.frontend == HttpMode::ServerClose || modes.backend != HttpMode::KeepAlive;
        if out.must_close || out.close || (unwanted && !out.keep_alive) || modes.stopping {
            self.wish = Wish::Close;
        }
        if out.upgrade {
            return Ok(None);
        }
        Ok(match self.wish == Wish::KeepAlive || modes.pretend_keep_alive {
            true if !out.v11 => Some("keep-alive"),
            false if out.v11 => Some("close"),
            _ => None,
        })
    }

    /// The last byte of the request was handed to the output.
    pub fn request_end(&mut self) {
        if self.request == Phase::Body {
            self.request = Phase::Done;
        }
    }

    /// The first byte of a response came in.
    pub fn begin(&mut self) {
        if self.response == Phase::Idle {
            self.response = Phase::Head;
        }
    }

    /// A response head was parsed. Tells whether it is interim: then another one follows.
    pub fn response_head(&mut self, status: u16, framing: &Framing) -> Result<bool, ConnError> {
        if !matches!(self.response, Phase::Idle | Phase::Head) {
            return Err(ConnError::OutOfOrder);
        }
        if is_interim(status) {
            self.response = Phase::Head;
            return Ok(true);
        }
        if opens_tunnel(self.asked, status) {
            if self.request != Phase::Done {
                return Err(ConnError::EarlySwitch);
            }
            if status == 101 && !(self.may_switch && framing.upgrade) {
                return Err(ConnError::UnaskedSwitch);
            }
            self.wish = Wish::Tunnel;
            self.request = Phase::Tunnel;
            self.response = Phase::Tunnel;
            return Ok(false);
        }
        if !framing.length_known || framing.close || !(framing.v11 || framing.keep_alive) {
            self.wish = Wish::Close;
        }
        self.response = if framing.body == Body::None {
            Phase::Done
        } else {
            Phase::Body
        };
        Ok(false)
    }

    /// The last byte of the response came in.
    pub fn response_end(&mut self) {
        if self.response == Phase::Body {
            self.response = Phase::Done;
        }
    }

    /// The server closed, or the connection failed.
    pub fn input_closed(&mut self) {
        self.broken = true;
        if self.wish == Wish::KeepAlive {
            self.wish = Wish::Close;
        }
    }

    /// What is next. `unread`: bytes stand in the input beyond the end of the response; no server may
    /// send any, so that such a connection is not used again.
    pub fn after(&self, unread: bool) -> After {
        match (self.request, self.response) {
            (Phase::Tunnel, _) | (_, Phase::Tunnel) => After::Tunnel,
            (Phase::Done, Phase::Done) if self.wish == Wish::KeepAlive && !self.broken && !unread => {
                After::Reuse
            }
            (_, Phase::Done) => After::Close,
            _ if self.broken => After::Close,
            _ => After::Wait,
        }
    }

    /// Prepares for another request after [`After::Reuse`].
    pub fn next_request(&mut self) -> Result<(), ConnError> {
        if self.after(false) != After::Reuse {
            return Err(ConnError::OutOfOrder);
        }
        *self = Self {
            served: self.served.saturating_add(1),
            ..Self::default()
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
