//! Flattens a head into HTTP/1 bytes, as HAProxy 3.4.0 sends them: to servers and to clients.
//!
//! Names go out in lower case (or as `h1-case-adjust` says), fields in the order in which they stand.
//! `Connection` loses `close` and `keep-alive`, and the persistence of *this* connection is written after the
//! other fields; a missing or contradictory framing is repaired the same way. The head itself is not changed.
//! Sources: RFC 9112 sections 3, 4, 6 and 9; configuration manual, `h1-case-adjust`, `http-send-name-header`.

use crate::proto::h1::conn::{
    ClientSide, ConnError, HttpMode, Outgoing, ServerModes, ServerSide, is_interim, opens_tunnel,
};
use crate::proto::h1::fields::{self, Options, Protocols};
use crate::proto::h1::reason::reason;
use crate::proto::h1::{Declared, Framing};
use crate::proto::head::{Head, Known, Method, Slot, Span};

/// How the body goes out after the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// None goes out; bytes that come in for it are dropped.
    Nothing,
    /// As it is: its length was announced, or it ends with the connection.
    Identity,
    /// In chunks.
    Chunked,
    /// No HTTP any more.
    Tunnel,
}

/// A head was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes written.
    pub len: usize,
    /// How its body goes out.
    pub encoding: Encoding,
}

/// Why a head cannot be written. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WriteError {
    /// The output has not enough room.
    #[error("no room for the message head")]
    Full,
    /// A rule left a `Content-Length` that is none, or one on a request without a body: the client gets a 502.
    #[error("invalid Content-Length")]
    ContentLength,
    /// The head has no start line of this kind.
    #[error("no start line")]
    StartLine,
    /// The connection is not ready for a head.
    #[error(transparent)]
    Conn(#[from] ConnError),
}

/// Names whose case is adjusted for peers that cannot read lower case (`h1-case-adjust`).
#[derive(Debug, Clone, Default)]
pub struct CaseMap {
    /// Sorted by name.
    entries: Vec<Spelling>,
}

/// A lower-case name and how it is written.
#[derive(Debug, Clone)]
struct Spelling {
    name: Box<[u8]>,
    written: Box<[u8]>,
}

/// Why a pair is refused by [`CaseMap::insert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CaseError {
    /// The spelling is empty.
    #[error("expect <to>")]
    Empty,
    /// The two differ in more than case.
    #[error("<from> and <to> must not differ except the case")]
    Different,
    /// The name has a spelling already.
    #[error("duplicate entry")]
    Duplicate,
}

impl CaseMap {
    /// Adds a spelling.
    pub fn insert(&mut self, from: &[u8], to: &[u8]) -> Result<(), CaseError> {
        if to.is_empty() {
            return Err(CaseError::Empty);
        }
        if !from.eq_ignore_ascii_case(to) {
            return Err(CaseError::Different);
        }
        match self.entries.binary_search_by(|entry| (*entry.name).cmp(from)) {
            Ok(_) => Err(CaseError::Duplicate),
            Err(at) => {
                self.entries.insert(
                    at,
                    Spelling {
                        name: from.into(),
                        written: to.into(),
                    },
                );
                Ok(())
            }
        }
    }

    /// Whether there is no spelling.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Spelling of `name`, which is in lower case.
    pub fn adjust<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        match self.entries.binary_search_by(|entry| (*entry.name).cmp(name)) {
            Ok(at) => self.entries.get(at).map_or(name, |entry| &entry.written),
            Err(_) => name,
        }
    }
}

/// Settings of the proxy that change what is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteRules<'a> {
    /// The map, where `option h1-case-adjust-bogus-client` (responses) or `-server` (requests) is set.
    pub case: Option<&'a CaseMap>,
    /// `http-send-name-header`: field name and server name; requests only.
    pub server_name: Option<(&'a [u8], &'a [u8])>,
    /// Global `h1-do-not-close-on-insecure-transfer-encoding`.
    pub keep_on_insecure_te: bool,
    /// 24 random base64 characters for a WebSocket request whose missing key was let through.
    pub websocket_key: Option<&'a [u8]>,
}

/// What is known of the message while its lines go out.
#[derive(Debug, Clone, Copy, Default)]
struct Message {
    response: bool,
    status: u16,
    v11: bool,
    length_known: bool,
    transfer_encoding: bool,
    /// The body is framed by a length.
    length: bool,
    /// The body is framed by chunks.
    chunked: bool,
    wrote_length: bool,
    wrote_chunked: bool,
    former_length: Option<u64>,
    options: Options,
    websocket: bool,
    websocket_key: bool,
    must_close: bool,
}

/// Writes a request head to a server. `framing` is what the parser said of the request, `side` the connection.
pub fn write_request(
    head: &Head,
    store: &[u8],
    framing: &Framing,
    side: &mut ServerSide,
    rules: &WriteRules<'_>,
    modes: ServerModes,
    out: &mut [u8],
) -> Result<Written, WriteError> {
    let method = head.method();
    let mut line = Output::new(store, out);
    let name = head.method_text(store);
    if name.is_empty() {
        return Err(WriteError::StartLine);
    }
    let v11 = framing.v11;
    line.put_all(&[
        name,
        b" ",
        head.target(store),
        b" ",
        version(head, store, v11),
        b"\r\n",
    ])?;
    let bodyless = matches!(framing.declared, Declared::Nothing);
    let mut message = Message {
        v11,
        length_known: true,
        transfer_encoding: framing.transfer_encoding,
        length: bodyless || matches!(framing.declared, Declared::Length(_)),
        chunked: framing.declared == Declared::Chunked,
        // A request without a body needs no field to say so, and stands no other.
        wrote_length: bodyless,
        former_length: bodyless.then_some(0),
        ..Message::default()
    };
    fields(head, store, rules, &mut message, &mut line)?;
    settle(&mut message);
    let body = !bodyless && framing.declared != Declared::Length(0);
    let outgoing = Outgoing {
        may_switch: framing.upgrade,
        ..message.outgoing(rules.keep_on_insecure_te)
    };
    let mut next = *side;
    if let Some(value) = next.request_head(method, outgoing, body, modes)? {
        line.field(rules, b"connection", value.as_bytes())?;
    }
    if let Some((name, value)) = rules.server_name {
        line.field(rules, name, value)?;
    }
    if let Some(key) = rules
        .websocket_key
        .filter(|_| message.websocket && !message.websocket_key)
    {
        line.put_all(&[b"Sec-Websocket-Key: ", key, b"\r\n"])?;
    }
    line.put(b"\r\n")?;
    let encoding = match (body, message.chunked) {
        (false, _) => Encoding::Nothing,
        (true, true) => Encoding::Chunked,
        (true, false) => Encoding::Identity,
    };
    *side = next;
    Ok(Written {
        len: line.len,
        encoding,
    })
}

/// Writes a response head to a client. `framing` is what the parser said of the response (or what the proxy
/// says of its own), `side` the connection, `mode` and `stopping` those of the frontend.
pub fn write_response(
    head: &Head,
    store: &[u8],
    framing: &Framing,
    side: &mut ClientSide,
    rules: &WriteRules<'_>,
    (mode, stopping): (HttpMode, bool),
    out: &mut [u8],
) -> Result<Written, WriteError> {
    let status = head.status();
    let mut line = Output::new(store, out);
    let code = head.status_text(store);
    if code.is_empty() {
        return Err(WriteError::StartLine);
    }
    let v11 = framing.v11;
    let why = head.reason(store);
    let why = if why.is_empty() {
        reason(status).as_bytes()
    } else {
        why
    };
    line.put_all(&[version(head, store, v11), b" ", code, b" ", why, b"\r\n"])?;
    let known = framing.length_known;
    let mut message = Message {
        response: true,
        status,
        v11,
        length_known: known,
        transfer_encoding: known && framing.transfer_encoding,
        length: known && matches!(framing.declared, Declared::Length(_)),
        chunked: known && framing.declared == Declared::Chunked,
        ..Message::default()
    };
    fields(head, store, rules, &mut message, &mut line)?;
    settle(&mut message);
    let asked = side.asked();
    let tunnel = opens_tunnel(asked, status);
    let bodyless = asked == Method::Head || matches!(status, 204 | 304);
    let mut next = *side;
    if let Some(value) = next.response_head(
        status,
        message.outgoing(rules.keep_on_insecure_te),
        mode,
        stopping,
    )? {
        line.field(rules, b"connection", value.as_bytes())?;
    }
    line.put(b"\r\n")?;
    let encoding = match message.chunked {
        _ if tunnel => Encoding::Tunnel,
        _ if bodyless || is_interim(status) => Encoding::Nothing,
        true => Encoding::Chunked,
        false => Encoding::Identity,
    };
    *side = next;
    Ok(Written {
        len: line.len,
        encoding,
    })
}

/// Writes a trailer section after the last chunk, with its empty line. `drop`: `option http-drop-request-trailers`
/// or `-response-trailers`.
pub fn write_trailers(
    trailers: &Head,
    store: &[u8],
    rules: &WriteRules<'_>,
    drop: bool,
    out: &mut [u8],
) -> Result<usize, WriteError> {
    let mut line = Output::new(store, out);
    if !drop {
        for (_, name, value) in trailers.iter(store) {
            line.field(rules, name, value)?;
        }
    }
    line.put(b"\r\n")?;
    Ok(line.len)
}

fn version<'s>(head: &Head, store: &'s [u8], v11: bool) -> &'s [u8] {
    if v11 {
        b"HTTP/1.1"
    } else {
        head.version_name(store)
    }
}

/// Writes the fields, and learns from them what they frame.
fn fields(
    head: &Head,
    store: &[u8],
    rules: &WriteRules<'_>,
    message: &mut Message,
    line: &mut Output<'_>,
) -> Result<(), WriteError> {
    let mut protocols = Protocols::default();
    for slot in head.slots() {
        let (id, name, value) = (slot.id, slot.name.of(store), slot.value.of(store));
        if rules
            .server_name
            .is_some_and(|(own, _)| !message.response && own.eq_ignore_ascii_case(name))
        {
            continue;
        }
        match id {
            Known::TransferEncoding => {
                let never = message.response && (message.status < 200 || message.status == 204);
                if !never && message.chunked && !message.wrote_chunked {
                    line.field(rules, name, b"chunked")?;
                    message.wrote_chunked = true;
                }
            }
            Known::ContentLength => {
                let former = message.former_length.filter(|_| message.wrote_length);
                let (number, span) =
                    fields::content_length(value, former).ok_or(WriteError::ContentLength)?;
                if number == 0 && message.response && (message.status < 200 || message.status == 204) {
                    message.length = true;
                }
                if message.length && !message.wrote_length {
                    if span.len == slot.value.len {
                        line.pass(rules, slot)?;
                    } else {
                        line.field(rules, name, span.of(value))?;
                    }
                    message.wrote_length = true;
                    message.former_length = Some(number);
                }
            }
            Known::Connection => {
                line.edited_field(rules, name, value, |text| message.options.read(text))?;
            }
            Known::Upgrade => line.edited_field(rules, name, value, |text| protocols.read(text))?,
            Known::SecWebsocketKey => {
                message.websocket_key = true;
                line.pass(rules, slot)?;
            }
            Known::Te => {
                if wants_trailers(value) {
                    line.field(rules, name, b"trailers")?;
                }
            }
            _ => line.pass(rules, slot)?,
        }
    }
    message.websocket = message.options.upgrade && protocols.websocket;
    Ok(())
}

/// Whether `TE` asks for trailers; nothing else of it survives a proxy (RFC 9110 section 7.6.1).
fn wants_trailers(value: &[u8]) -> bool {
    const WORD: &[u8] = b"trailers";
    value
        .windows(WORD.len())
        .position(|window| window == WORD)
        .is_some_and(|at| matches!(value.get(at + WORD.len()), None | Some(b',')))
}

/// Brings what is said of the framing in line with the fields that went out: chunks that were not announced (a response
/// that never has a body) are none, and a length beside a transfer coding is in doubt.
const fn settle(message: &mut Message) {
    if message.chunked && !message.wrote_chunked {
        message.length_known = false;
        message.transfer_encoding = false;
        message.chunked = false;
    }
    let interim = message.response && message.status < 200;
    if message.transfer_encoding && message.length && !interim {
        message.length = false;
        message.must_close = true;
    }
}

impl Message {
    const fn outgoing(&self, keep_on_insecure_te: bool) -> Outgoing {
        let doubtful = self.must_close && !keep_on_insecure_te;
        let too_old = self.transfer_encoding && !self.v11 && !self.must_close;
        Outgoing {
            v11: self.v11,
            length_known: self.length_known,
            close: self.options.close,
            keep_alive: self.options.keep_alive,
            upgrade: self.options.upgrade,
            may_switch: false,
            must_close: doubtful || too_old,
        }
    }
}

/// The bytes being written.
struct Output<'o> {
    /// What spans refer to.
    store: &'o [u8],
    bytes: &'o mut [u8],
    len: usize,
    /// Lines that stand in the storage as they go out, one after the other: they are copied at once, before anything
    /// else.
    run: Span,
}

impl<'o> Output<'o> {
    fn new(store: &'o [u8], bytes: &'o mut [u8]) -> Self {
        Self {
            store,
            bytes,
            len: 0,
            run: Span::default(),
        }
    }

    fn put(&mut self, piece: &[u8]) -> Result<(), WriteError> {
        self.end_run()?;
        self.put_now(piece)
    }

    fn end_run(&mut self) -> Result<(), WriteError> {
        if self.run.is_empty() {
            return Ok(());
        }
        let run = std::mem::take(&mut self.run).of(self.store);
        self.put_now(run)
    }

    fn put_now(&mut self, piece: &[u8]) -> Result<(), WriteError> {
        let room = self
            .bytes
            .get_mut(self.len..self.len + piece.len())
            .ok_or(WriteError::Full)?;
        room.copy_from_slice(piece);
        self.len += piece.len();
        Ok(())
    }

    fn put_all(&mut self, pieces: &[&[u8]]) -> Result<(), WriteError> {
        pieces.iter().try_for_each(|piece| self.put(piece))
    }

    /// Writes a field as it is.
    fn pass(&mut self, rules: &WriteRules<'_>, slot: &Slot) -> Result<(), WriteError> {
        let plain = slot.line(self.store).filter(|_| rules.case.is_none());
        match plain {
            Some(line) if line.off == self.run.end() => self.run.len += line.len,
            Some(line) => {
                self.end_run()?;
                self.run = line;
            }
            None => {
                let store = self.store;
                return self.field(rules, slot.name.of(store), slot.value.of(store));
            }
        }
        Ok(())
    }

    fn field(&mut self, rules: &WriteRules<'_>, name: &[u8], value: &[u8]) -> Result<(), WriteError> {
        let name = rules.case.map_or(name, |case| case.adjust(name));
        self.put_all(&[name, b": ", value, b"\r\n"])
    }

    /// Writes a field whose value `edit` shortens in place; a value that becomes empty takes the line with it.
    fn edited_field(
        &mut self,
        rules: &WriteRules<'_>,
        name: &[u8],
        value: &[u8],
        edit: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), WriteError> {
        self.end_run()?;
        let before = self.len;
        let name = rules.case.map_or(name, |case| case.adjust(name));
        self.put_all(&[name, b": "])?;
        let start = self.len;
        self.put(value)?;
        let kept = edit(self.bytes.get_mut(start..self.len).unwrap_or_default());
        if kept == 0 {
            self.len = before;
            return Ok(());
        }
        self.len = start + kept.min(self.len - start);
        self.put(b"\r\n")
    }
}

/// What `http-restrict-req-hdr-names` does with names that hold other bytes than letters, digits and `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameRestriction {
    /// Let them pass.
    #[default]
    Preserve,
    /// Remove the fields.
    Delete,
    /// Refuse the request with 403.
    Reject,
}

impl NameRestriction {
    /// Applies the setting; `false` means that the request is refused.
    pub fn apply(self, head: &mut Head, store: &[u8]) -> bool {
        let foreign = |name: &[u8]| {
            !name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        };
        match self {
            Self::Preserve => true,
            Self::Delete => {
                head.retain(|slot| !foreign(slot.name.of(store)));
                true
            }
            Self::Reject => !head.iter(store).any(|(_, name, _)| foreign(name)),
        }
    }
}

#[cfg(test)]
mod tests;
