//! One log line: the fields of a compiled format laid out as HAProxy prints them.
//!
//! The engine collects what a line may tell in a [`LogCx`] and gives a buffer that it keeps; nothing is allocated
//! once that buffer has grown. Source: configuration manual, "Log formats", "Timing events" and "Session state at
//! disconnection"; the bytes were compared with HAProxy 3.4.0.

use std::net::{IpAddr, SocketAddr};

use super::calendar::{Civil, Zone};
use super::line::{Escape, Full, Line};
use crate::base::iptext::IpText;
use crate::base::ticks::Ticks;
use crate::model::cause::{Cause, When, Who};
use crate::model::conn_error::ConnError;
use crate::model::format::{Field, Flags, Item, LogFormat};
use crate::model::listener::Listener;
use crate::model::proxy::{Mode, Proxy};
use crate::model::txn::{Captured, ConnCounts, Endpoint, SessionFacts, Stamp, StreamFacts};

/// What happened that is worth a line (`%OG`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A stream ended.
    TxnClose,
    /// The request line is there.
    TxnRequest,
    /// The server is connected.
    TxnConnect,
    /// The response head is there.
    TxnResponse,
    /// What came was no request.
    SessError,
    /// A session was refused in its handshakes.
    SessKilled,
}

impl Origin {
    fn name(self) -> &'static [u8] {
        match self {
            Self::TxnClose => b"txn_close",
            Self::TxnRequest => b"txn_request",
            Self::TxnConnect => b"txn_connect",
            Self::TxnResponse => b"txn_response",
            Self::SessError => b"sess_error",
            Self::SessKilled => b"sess_killed",
        }
    }
}

/// What is known of a session whose handshakes failed.
#[derive(Clone, Copy, Debug)]
pub struct EarlyEnd {
    /// The number that a stream would have had.
    pub counter: u64,
    /// When it was accepted.
    pub begun: Stamp,
    /// When it ended.
    pub ended_at: Ticks,
}

/// What a line tells about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A stream.
    Stream(&'a StreamFacts),
    /// A session without a stream.
    Session(&'a EarlyEnd),
}

/// Persistence cookies as logs show them.
#[derive(Clone, Copy, Debug)]
pub struct Cookies<'a> {
    /// The captured cookie of the request.
    pub request: Option<&'a [u8]>,
    /// The captured cookie of the response.
    pub response: Option<&'a [u8]>,
    /// The two letters that follow the termination state, `--` without persistence cookies.
    pub state: [u8; 2],
}

impl Default for Cookies<'_> {
    fn default() -> Self {
        Self {
            request: None,
            response: None,
            state: *b"--",
        }
    }
}

/// What a line says about the process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessFacts<'a> {
    /// Its number.
    pub pid: u32,
    /// Name of the host.
    pub hostname: &'a str,
}

/// Everything that a line may tell.
#[derive(Clone, Copy, Debug)]
pub struct LogCx<'a> {
    /// What happened.
    pub origin: Origin,
    /// The process.
    pub process: ProcessFacts<'a>,
    /// Local time at the moment of the accept.
    pub zone: Zone,
    /// The client connection.
    pub session: &'a SessionFacts,
    /// What the line is about.
    pub subject: Subject<'a>,
    /// The listener that accepted.
    pub listener: &'a Listener,
    /// The frontend.
    pub frontend: &'a Proxy,
    /// The backend, or the frontend while none was chosen.
    pub backend: &'a Proxy,
    /// Name of the server.
    pub server: Option<&'a str>,
    /// Connections at present.
    pub counts: ConnCounts,
    /// Lines already logged for the frontend.
    pub log_count: u32,
    /// Captured request headers, one per `capture request header` of the frontend.
    pub request_captures: &'a [Captured],
    /// Captured response headers.
    pub response_captures: &'a [Captured],
    /// Cookies.
    pub cookies: Cookies<'a>,
    /// `unique-id-format`, laid out.
    pub unique_id: Option<&'a [u8]>,
    /// The client connection has TLS.
    pub is_tls: bool,
    /// The error of the client connection.
    pub conn_error: ConnError,
}

/// Appends the line to `out`, at most `limit` bytes, without a line feed.
pub fn write_line(out: &mut Vec<u8>, limit: usize, format: &LogFormat, cx: &LogCx<'_>) {
    let mut line = Line::new(out, limit);
    // A full line ends there: what was written is what is sent.
    let _ = write_items(&mut line, format, cx);
}

fn write_items(line: &mut Line<'_>, format: &LogFormat, cx: &LogCx<'_>) -> Result<(), Full> {
    let times = Times::new(cx);
    let mut blank = true;
    for item in &format.items {
        match item {
            Item::Text(text) => {
                line.cut(text)?;
                blank = false;
            }
            Item::Separator => {
                if !blank {
                    line.push(b' ')?;
                    blank = true;
                }
            }
            Item::Field { field, flags } => {
                let before = line.len();
                write_field(line, *field, *flags, cx, &times)?;
                blank &= line.len() == before;
            }
        }
    }
    Ok(())
}

/// Durations in milliseconds since the beginning of the stream, -1 for a phase that was not reached.
struct Times {
    begun: Stamp,
    handshake: i64,
    idle: i64,
    request: i64,
    queue: i64,
    connect: i64,
    data: i64,
    close: i64,
}

impl Times {
    fn new(cx: &LogCx<'_>) -> Self {
        match cx.subject {
            Subject::Stream(facts) => {
                let since = |at: Option<Ticks>| at.map_or(-1, |at| millis(at, facts.begun));
                let handshake = i64::from(facts.handshake_ms);
                // A line that is written early (`option logasap`) ends where the stream is at that time.
                let ended = facts.closed_at.or(facts.response_at).or(facts.connected_at);
                Self {
                    begun: facts.begun,
                    handshake,
                    idle: match facts.first_byte_at {
                        Some(at) => (millis(at, facts.begun) - handshake).max(0),
                        None if facts.is_http => 0,
                        None => -1,
                    },
                    request: since(facts.request.map(|stamp| stamp.at)),
                    queue: since(facts.queued_at),
                    connect: since(facts.connected_at),
                    data: since(facts.response_at),
                    close: ended.map_or(0, |at| millis(at, facts.begun)),
                }
            }
            Subject::Session(end) => Self {
                begun: end.begun,
                handshake: -1,
                idle: 0,
                request: -1,
                queue: -1,
                connect: -1,
                data: -1,
                close: millis(end.ended_at, end.begun),
            },
        }
    }

    /// Milliseconds before the request began.
    fn before_request(&self) -> i64 {
        if self.idle >= 0 {
            self.idle + self.handshake
        } else {
            0
        }
    }

    fn accept_us(&self) -> u64 {
        self.begun.wall_us
    }

    fn request_us(&self) -> u64 {
        self.begun
            .wall_us
            .saturating_add(self.before_request().unsigned_abs().saturating_mul(1_000))
    }
}

fn millis(at: Ticks, begun: Stamp) -> i64 {
    i64::try_from(at.ms_since(begun.at)).unwrap_or(i64::MAX)
}

/// `to - from` where both phases were reached, else -1.
fn span(from: i64, to: i64) -> i64 {
    if to >= 0 { to - from } else { -1 }
}

fn write_field(
    line: &mut Line<'_>,
    field: Field,
    flags: Flags,
    cx: &LogCx<'_>,
    times: &Times,
) -> Result<(), Full> {
    match field {
        Field::Options => Ok(()),
        Field::ClientIp
        | Field::ClientPort
        | Field::FrontendIp
        | Field::FrontendPort
        | Field::BackendSourceIp
        | Field::BackendSourcePort
        | Field::ServerIp
        | Field::ServerPort => address_field(line, field, flags, cx),
        Field::HandshakeTime
        | Field::IdleTime
        | Field::RequestTime
        | Field::QueryTime
        | Field::QueueTime
        | Field::ConnectTime
        | Field::ResponseTime
        | Field::DataTime
        | Field::ActiveTime
        | Field::TotalTime
        | Field::UserTime => time_field(line, field, cx, times),
        Field::AcceptDate
        | Field::AcceptDateGmt
        | Field::AcceptDateLocal
        | Field::AcceptSeconds
        | Field::AcceptMilliseconds
        | Field::RequestDate
        | Field::RequestDateGmt
        | Field::RequestDateLocal => date_field(line, field, flags, cx, times),
        Field::HttpMethod
        | Field::HttpPath
        | Field::HttpPathOnly
        | Field::HttpQuery
        | Field::HttpUri
        | Field::HttpVersion
        | Field::HttpRequest => request_field(line, field, flags, cx),
        Field::RequestCaptures => captures(line, cx.request_captures, flags),
        Field::ResponseCaptures => captures(line, cx.response_captures, flags),
        Field::RequestCapturesList => captures_list(line, cx.request_captures, flags),
        Field::ResponseCapturesList => captures_list(line, cx.response_captures, flags),
        Field::TlsError
        | Field::TlsClientError
        | Field::TlsClientCaError
        | Field::TlsSni
        | Field::TlsCipher
        | Field::TlsVersion => line.text(b"", flags),
        Field::TlsResumed => line.text(b"0", flags),
        _ => plain_field(line, field, flags, cx),
    }
}

/// Names, counters and states.
fn plain_field(line: &mut Line<'_>, field: Field, flags: Flags, cx: &LogCx<'_>) -> Result<(), Full> {
    let stream = match cx.subject {
        Subject::Stream(facts) => Some(facts),
        Subject::Session(_) => None,
    };
    let counter = |pick: fn(&StreamFacts) -> u64| {
        stream.map_or(0, |facts| i64::try_from(pick(facts)).unwrap_or(i64::MAX))
    };
    match field {
        Field::FrontendName => line.text(cx.frontend.name.as_bytes(), flags),
        Field::FrontendNameTransport => {
            quote(line, flags)?;
            line.raw(cx.frontend.name.as_bytes(), flags)?;
            if cx.is_tls {
                line.push(b'~')?;
            }
            quote(line, flags)
        }
        Field::BackendName => line.text(cx.backend.name.as_bytes(), flags),
        Field::ServerName => {
            let service = stream.and_then(|facts| facts.service);
            line.text(service.or(cx.server).unwrap_or("<NOSRV>").as_bytes(), flags)
        }
        Field::BytesRead => {
            early_mark(line, cx)?;
            line.number(counter(|facts| facts.received_bytes))
        }
        Field::BytesUploaded => line.number(counter(|facts| facts.sent_bytes)),
        Field::StatusCode => line.number(match cx.subject {
            Subject::Stream(facts) if facts.status == StreamFacts::ABORTED => -1,
            Subject::Stream(facts) => facts.status.into(),
            Subject::Session(_) => 0,
        }),
        Field::TerminationState => {
            let cause = cause(cx);
            line.raw(&[cause.who.letter(), cause.when.letter()], flags)
        }
        Field::TerminationStateCookie => {
            let (cause, [request, response]) = (cause(cx), cx.cookies.state);
            line.raw(
                &[cause.who.letter(), cause.when.letter(), request, response],
                flags,
            )
        }
        Field::RequestCookie => line.text(cx.cookies.request.unwrap_or_default(), flags),
        Field::ResponseCookie => line.text(cx.cookies.response.unwrap_or_default(), flags),
        Field::ActiveConns => line.number(cx.counts.process.into()),
        Field::FrontendConns => line.number(cx.counts.frontend.into()),
        Field::BackendConns => line.number(cx.counts.backend.into()),
        Field::ServerConns => line.number(cx.counts.server.into()),
        Field::Retries => {
            if stream.is_some_and(|facts| facts.redispatched) {
                line.push(b'+')?;
            }
            line.number(counter(|facts| facts.retries.into()))
        }
        Field::ServerQueue => line.number(counter(|facts| facts.server_queue.into())),
        Field::BackendQueue => line.number(counter(|facts| facts.backend_queue.into())),
        Field::RequestCounter => {
            // 32 bits wide, as the counter of HAProxy.
            let number = match cx.subject {
                Subject::Stream(facts) => facts.counter,
                Subject::Session(end) => end.counter,
            } as u32;
            if flags.hex {
                line.hex(number.into(), 4)
            } else {
                line.number(number.into())
            }
        }
        Field::LogCounter => hex_or_number(line, cx.log_count, 4, flags),
        Field::Pid => hex_or_number(line, cx.process.pid, 4, flags),
        Field::Hostname => line.text(cx.process.hostname.as_bytes(), flags),
        Field::UniqueId => line.text(cx.unique_id.unwrap_or_default(), flags),
        Field::Origin => line.text(cx.origin.name(), flags),
        Field::ConnError => {
            let code = cx.conn_error.code();
            line.text(
                &[b'0' + code / 10, b'0' + code % 10][usize::from(code < 10)..],
                flags,
            )
        }
        // The others are laid out by the functions that `write_field` chose.
        _ => Ok(()),
    }
}

fn cause(cx: &LogCx<'_>) -> Cause {
    match cx.subject {
        Subject::Stream(facts) => facts.cause,
        Subject::Session(_) => Cause::new(Who::Proxy, When::Request),
    }
}

fn hex_or_number(line: &mut Line<'_>, value: u32, width: usize, flags: Flags) -> Result<(), Full> {
    if flags.hex {
        line.hex(value.into(), width)
    } else {
        line.number(value.into())
    }
}

/// `+` before a value that is not final (`option logasap`).
fn early_mark(line: &mut Line<'_>, cx: &LogCx<'_>) -> Result<(), Full> {
    if cx.frontend.options.logasap {
        line.push(b'+')
    } else {
        Ok(())
    }
}

fn quote(line: &mut Line<'_>, flags: Flags) -> Result<(), Full> {
    if flags.quote { line.push(b'"') } else { Ok(()) }
}

fn address_field(line: &mut Line<'_>, field: Field, flags: Flags, cx: &LogCx<'_>) -> Result<(), Full> {
    let (server_src, server_addr) = match cx.subject {
        Subject::Stream(facts) => (facts.server_src, facts.server_addr),
        Subject::Session(_) => (Endpoint::Unknown, Endpoint::Unknown),
    };
    // Clients of a UNIX socket have no port: the number of the listener stands for it.
    let luid = cx.listener.luid;
    match field {
        Field::ClientIp => ip(line, cx.session.src, flags),
        Field::ClientPort => port(line, cx.session.src, luid, flags),
        Field::FrontendIp => ip(line, cx.session.dst, flags),
        Field::FrontendPort => port(line, cx.session.dst, luid, flags),
        Field::BackendSourceIp => ip(line, server_src, flags),
        Field::BackendSourcePort => port(line, server_src, 0, flags),
        Field::ServerIp => ip(line, server_addr, flags),
        _ => port(line, server_addr, 0, flags),
    }
}

fn ip(line: &mut Line<'_>, end: Endpoint, flags: Flags) -> Result<(), Full> {
    match end {
        Endpoint::Unknown => line.text(b"", flags),
        // HAProxy has no hexadecimal form for these and gives the line up there.
        Endpoint::Unix if flags.hex => Err(Full),
        Endpoint::Unix => line.text(b"unix", flags),
        Endpoint::Inet(addr) if flags.hex => match addr.ip() {
            IpAddr::V4(ip) => line.hex(u32::from(ip).into(), 8),
            IpAddr::V6(ip) => {
                let bits = u128::from(ip);
                line.hex((bits >> 64) as u64, 16)?;
                line.hex(bits as u64, 16)
            }
        },
        Endpoint::Inet(addr) => line.text(IpText::new(addr.ip()).as_bytes(), flags),
    }
}

fn port(line: &mut Line<'_>, end: Endpoint, luid: u32, flags: Flags) -> Result<(), Full> {
    match end {
        Endpoint::Unknown => line.text(b"", flags),
        Endpoint::Unix => line.number(luid.into()),
        Endpoint::Inet(addr) => hex_or_number(line, addr.port().into(), 4, flags),
    }
}

fn time_field(line: &mut Line<'_>, field: Field, cx: &LogCx<'_>, times: &Times) -> Result<(), Full> {
    let value = match field {
        Field::HandshakeTime => times.handshake,
        Field::IdleTime => times.idle,
        Field::QueryTime => times.request,
        Field::RequestTime => span(times.idle + times.handshake, times.request),
        Field::QueueTime => span(times.request, times.queue),
        Field::ConnectTime => span(times.queue, times.connect),
        Field::ResponseTime => span(times.connect, times.data),
        Field::DataTime => {
            let from = if cx.backend.mode == Mode::Http {
                times.data
            } else {
                times.connect
            };
            if from >= 0 { times.close - from } else { -1 }
        }
        _ => {
            early_mark(line, cx)?;
            match field {
                Field::ActiveTime => times.close - times.before_request(),
                Field::UserTime => times.close - times.idle.max(0),
                _ => times.close,
            }
        }
    };
    line.number(value)
}

fn date_field(
    line: &mut Line<'_>,
    field: Field,
    flags: Flags,
    cx: &LogCx<'_>,
    times: &Times,
) -> Result<(), Full> {
    let us = match field {
        Field::RequestDate | Field::RequestDateGmt | Field::RequestDateLocal => times.request_us(),
        _ => times.accept_us(),
    };
    let (epoch_s, milliseconds) = (us / 1_000_000, (us / 1_000 % 1_000) as u32);
    match field {
        Field::AcceptDate | Field::RequestDate => {
            line.whole(&Civil::new(epoch_s, cx.zone).with_milliseconds(milliseconds))
        }
        Field::AcceptDateGmt | Field::RequestDateGmt => {
            line.whole(&Civil::new(epoch_s, Zone::UTC).with_offset(Zone::UTC))
        }
        Field::AcceptDateLocal | Field::RequestDateLocal => {
            line.whole(&Civil::new(epoch_s, cx.zone).with_offset(cx.zone))
        }
        Field::AcceptSeconds if flags.hex => line.hex((epoch_s as u32).into(), 4),
        Field::AcceptSeconds => line.number(i64::try_from(epoch_s).unwrap_or(i64::MAX)),
        _ if flags.hex => line.hex(milliseconds.into(), 2),
        _ => line.whole(&[
            b'0' + (milliseconds / 100) as u8,
            b'0' + (milliseconds / 10 % 10) as u8,
            b'0' + (milliseconds % 10) as u8,
        ]),
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_text(byte: &u8) -> bool {
    !is_blank(byte)
}

/// Splits at the first byte that `stop` picks.
fn split(bytes: &[u8], stop: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(stop).unwrap_or(bytes.len()))
}

/// The request line and its parts; `<BADREQ>` where there is none.
fn request_field(line: &mut Line<'_>, field: Field, flags: Flags, cx: &LogCx<'_>) -> Result<(), Full> {
    const BAD: &[u8] = b"<BADREQ>";
    let whole = match cx.subject {
        Subject::Stream(facts) if facts.is_http => facts.request_line.as_slice(),
        _ => b"",
    };
    if field == Field::HttpRequest && !whole.is_empty() {
        return request_part(line, whole, flags);
    }
    let (method, rest) = split(whole, is_blank);
    let (uri, rest_of_uri) = split(split(rest, is_text).1, is_blank);
    let version = split(rest_of_uri, is_text).1;
    let part = match field {
        _ if whole.is_empty() => BAD,
        Field::HttpQuery => split(split(whole, |byte| *byte == b'?').1, is_blank).0,
        _ if rest.is_empty() => BAD,
        Field::HttpMethod => method,
        Field::HttpUri => uri,
        Field::HttpPath => split(uri, |byte| *byte == b'?').0,
        Field::HttpPathOnly => split(path_of(uri), |byte| *byte == b'?').0,
        _ if version.is_empty() => b"HTTP/0.9",
        _ => version,
    };
    request_part(line, part, flags)
}

fn request_part(line: &mut Line<'_>, part: &[u8], flags: Flags) -> Result<(), Full> {
    quote(line, flags)?;
    line.encoded(part, Escape::Url, flags)?;
    quote(line, flags)
}

/// The path and query of a request target: none in `*` and in the authority form of CONNECT.
fn path_of(uri: &[u8]) -> &[u8] {
    match uri.first() {
        Some(b'/') => uri,
        Some(first) if first.is_ascii_alphabetic() => {
            let scheme = split(uri, |byte| {
                !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'-' | b'.')
            })
            .1;
            scheme
                .strip_prefix(b"://")
                .map_or(b"".as_slice(), |rest| split(rest, |byte| *byte == b'/').1)
        }
        _ => b"",
    }
}

/// `{a|b}`
fn captures(line: &mut Line<'_>, values: &[Captured], flags: Flags) -> Result<(), Full> {
    if values.is_empty() {
        return Ok(());
    }
    quote(line, flags)?;
    for (at, value) in values.iter().enumerate() {
        line.push(if at == 0 { b'{' } else { b'|' })?;
        line.encoded(value.bytes().unwrap_or_default(), Escape::Header, flags)?;
    }
    line.push(b'}')?;
    quote(line, flags)
}

/// `a b`, each between quotes if quotes are asked for.
fn captures_list(line: &mut Line<'_>, values: &[Captured], flags: Flags) -> Result<(), Full> {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            line.push(b' ')?;
        }
        quote(line, flags)?;
        match value.bytes() {
            Some(bytes) => line.encoded(bytes, Escape::Header, flags)?,
            None if flags.quote => {}
            None => line.push(b'-')?,
        }
        quote(line, flags)?;
    }
    Ok(())
}

/// Appends the line of a connection to a frontend that has no log format.
pub fn write_connect(out: &mut Vec<u8>, limit: usize, cx: &LogCx<'_>) {
    let mut line = Line::new(out, limit);
    let _ = connect_items(&mut line, cx);
}

fn connect_items(line: &mut Line<'_>, cx: &LogCx<'_>) -> Result<(), Full> {
    match cx.session.src {
        Endpoint::Unknown => {
            line.cut(b"Connect from unknown source to listener ")?;
            line.number(cx.listener.luid.into())?;
        }
        Endpoint::Unix => {
            line.cut(b"Connect to unix:")?;
            line.number(cx.listener.luid.into())?;
        }
        Endpoint::Inet(src) => {
            line.cut(b"Connect from ")?;
            ip_port(line, src)?;
            line.cut(b" to ")?;
            match cx.session.dst {
                Endpoint::Inet(dst) => ip_port(line, dst)?,
                Endpoint::Unix => line.cut(b"unix:0")?,
                Endpoint::Unknown => line.cut(b"undetermined address:0")?,
            }
        }
    }
    line.cut(b" (")?;
    line.cut(cx.frontend.name.as_bytes())?;
    line.cut(if cx.frontend.mode == Mode::Http {
        b"/HTTP)"
    } else {
        b"/TCP)"
    })
}

/// Appends the line of a session that failed in its handshakes, for a frontend without `error-log-format`.
pub fn write_handshake_error(out: &mut Vec<u8>, limit: usize, cx: &LogCx<'_>) {
    let mut line = Line::new(out, limit);
    let _ = handshake_items(&mut line, cx);
}

fn handshake_items(line: &mut Line<'_>, cx: &LogCx<'_>) -> Result<(), Full> {
    match cx.session.src {
        Endpoint::Unknown => line.cut(b"unknown")?,
        Endpoint::Unix => {
            line.cut(b"unix:")?;
            line.number(cx.listener.luid.into())?;
        }
        Endpoint::Inet(src) => ip_port(line, src)?,
    }
    line.cut(b" [")?;
    let us = cx.session.accepted.wall_us;
    line.whole(&Civil::new(us / 1_000_000, cx.zone).with_milliseconds((us / 1_000 % 1_000) as u32))?;
    line.cut(b"] ")?;
    line.cut(cx.frontend.name.as_bytes())?;
    line.push(b'/')?;
    match &cx.listener.name {
        Some(name) => line.cut(name.as_bytes())?,
        None => line.number(cx.listener.luid.into())?,
    }
    line.cut(b": ")?;
    line.cut(cx.conn_error.message().as_bytes())
}

fn ip_port(line: &mut Line<'_>, addr: SocketAddr) -> Result<(), Full> {
    line.cut(IpText::new(addr.ip()).as_bytes())?;
    line.push(b':')?;
    line.number(addr.port().into())
}

#[cfg(test)]
mod tests;
