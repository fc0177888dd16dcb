//! HTTP/1 (RFC 9112): heads, bodies, connection persistence, both directions.
//!
//! [`parse`] turns bytes into a [`Head`](crate::proto::head::Head) and a [`Framing`], [`body`] finds where the
//! body ends, [`conn`] decides whether a connection serves another message, [`mod@write`] flattens a head again.
//! Nothing here owns a buffer: storages and slices come in as arguments.

pub mod body;
pub mod conn;
pub(crate) mod fields;
pub mod parse;
pub mod reason;
mod scan;
pub mod target;
pub mod write;

/// How the body of a message ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// There is none.
    #[default]
    None,
    /// After this many bytes (more than none).
    Length(u64),
    /// With the last chunk and the trailers.
    Chunked,
    /// When the sender closes; responses only.
    UntilClose,
    /// No HTTP any more: the message opened a tunnel (2xx to CONNECT, 101).
    Tunnel,
}

/// What the header fields of a message say of its length. It differs from [`Body`] where the rules of HTTP
/// take the body away: responses to HEAD, 304.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Declared {
    /// Nothing.
    #[default]
    Nothing,
    /// `Content-Length` with this value in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// All that the head of a message says about how to go on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Framing {
    /// How the body ends.
    pub body: Body,
    /// What the header fields say.
    pub declared: Declared,
    /// The end of the message can be known before the connection closes.
    pub length_known: bool,
    /// A `Transfer-Encoding` field was there.
    pub transfer_encoding: bool,
    /// HTTP/1.1 or later.
    pub v11: bool,
    /// `Connection: close`, or a framing so doubtful that the connection must end with this message
    /// (`Transfer-Encoding` beside `Content-Length` or in HTTP/1.0).
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep_alive: bool,
    /// `Connection: upgrade` with an `Upgrade` field.
    pub upgrade: bool,
    /// The upgrade asks for a WebSocket.
    pub websocket: bool,
    /// `Expect: 100-continue` in an HTTP/1.1 request that announces a body. Servers answer it; the proxy does so
    /// itself (and removes the field) only when a rule or `option http-buffer-request` waits for the body.
    pub expect_continue: bool,
    /// The version is not HTTP at all; only with `accept-unsafe-violations-in-http-*`.
    pub not_http: bool,
    /// Offset of the first violation that was let through because of `accept-unsafe-violations-in-http-*`.
    pub tolerated: Option<u32>,
}
