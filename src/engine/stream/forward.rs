//! HTTP both ways at once: the request out, the response in, bodies as they come.
//!
//! A body goes out in the encoding that its head announced; what is in the buffers goes in one call. Each
//! direction stops when its consumer is full, which stops its producer: memory is bounded by two buffers.
//! Sources: RFC 9112 sections 6 to 8; configuration manual, `option abortonclose`, `retry-on`.

use super::super::channel::{Flushed, Places};
use super::super::conn::Io;
use super::super::core::{Core, Refused};
use super::super::poll::Ready;
use super::burst::TURN_LEN;
use super::fields::PROXY_HEADER_MAX;
use super::stage::{Staged, stage};
use super::{Flow, Next, Step, Stream};
use crate::base::pool::Urgency;
use crate::model::cause::{When, Who};
use crate::proto::h1::body::BodyError;
use crate::proto::h1::conn::{After, ServerModes};
use crate::proto::h1::parse::Parser;
use crate::proto::h1::write::{Encoding, WriteError, WriteRules, write_request};

/// Times that one side is read in a turn before other streams come first.
pub(super) const READS_MAX: u32 = 8;

/// What a try to move one direction gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Something went on: look again.
    Some,
    /// Nothing can be done now.
    Nothing,
    /// The stream took another step.
    Left,
}

impl Stream {
    /// Moves both directions until neither can go on.
    pub(super) fn exchange(&mut self, core: &mut Core) -> Next {
        let begun_len = self.received_len();
        for _ in 0..READS_MAX {
            if self.received_len() - begun_len >= TURN_LEN {
                break;
            }
            let request = self.push_request(core);
            if request == Moved::Left {
                return Next::Go;
            }
            let response = self.pull_response(core);
            if response == Moved::Left {
                return Next::Go;
            }
            if self.exchange_is_over() {
                self.step = Step::Finish;
                return Next::Go;
            }
            if self.undeliverable && self.response.flow == Flow::Done && !self.owes_client() {
                // The answer is out, and nobody is left who wants the rest of the request.
                self.facts.cause.set(Who::Server, When::Last);
                self.count_failed_response(core);
                self.count_server_abort(core);
                self.step = Step::Drain;
                return Next::Go;
            }
            if (request, response) == (Moved::Nothing, Moved::Nothing) {
                return Next::Wait;
            }
        }
        Next::Yield
    }

    fn exchange_is_over(&self) -> bool {
        self.response.flow == Flow::Done
            && !self.res.pending()
            && (self.request.flow == Flow::Done || matches!(self.client.after(), After::Close))
            && (!self.req.pending() || self.back.is_none())
    }

    /// The request's direction.
    fn push_request(&mut self, core: &mut Core) -> Moved {
        match self.request.flow {
            Flow::Head => self.send_request_head(core),
            Flow::Body => self.push_request_body(core),
            Flow::Done => self.after_request(core),
            Flow::Tunnel => self.pass(core, true),
        }
    }

    /// Writes the head as it goes to the server, behind a PROXY header on a fresh connection.
    fn send_request_head(&mut self, core: &mut Core) -> Moved {
        if !self.borrow(core, true, Places::Both) {
            return Moved::Nothing;
        }
        self.proxy_header_len = 0;
        if !self.reused {
            self.put_proxy_header(core);
        }
        let config = &core.config;
        let (frontend, backend) = (config.proxy(self.session.frontend), config.proxy(self.backend()));
        let key = self
            .request
            .framing
            .websocket
            .then(|| websocket_key(core.rng.next_u64(), core.rng.next_u64()));
        let rules = WriteRules {
            case: backend.options.case_adjust_server.then_some(&core.case_map),
            server_name: None,
            keep_on_insecure_te: config.global.h1_keep_on_insecure_te,
            websocket_key: key.as_ref().map(<[u8; 24]>::as_slice),
        };
        self.request.adjusts_case = backend.options.case_adjust_server;
        let modes = ServerModes {
            frontend: frontend.http_mode,
            backend: backend.http_mode,
            pretend_keep_alive: backend.options.pretend_keepalive,
            stopping: core.state.proxy(self.backend()).stopped,
        };
        let Some(head) = self.request.head.take() else {
            return Moved::Nothing;
        };
        let (counted, line) = (head.counted_len(), head.counted_line_len());
        let store = self.req.input.storage();
        let room = self.req.pre.room(0);
        let written = write_request(
            &head,
            store,
            &self.request.framing,
            &mut self.server,
            &rules,
            modes,
            room,
        );
        core.heads.put(head);
        match written {
            Ok(written) => {
                self.req.pre.commit(written.len);
                self.request.encoding = written.encoding;
                self.request.passed += counted;
            }
            Err(WriteError::ContentLength | WriteError::Conn(_)) => {
                // As HAProxy, which has taken the start line when it sees that the rest cannot be.
                self.request.passed += line;
                // As HAProxy, whose connection to the server fails over it before the response can.
                self.count_failed_response(core);
                self.count_failed_response(core);
                self.count_server_abort(core);
                return self.leave_with_error(core, 502, Who::Server, When::Headers);
            }
            Err(WriteError::Full | WriteError::StartLine) => return self.fail_internally(core),
        }
        self.req
            .input
            .consume(self.request.head_len.min(self.req.input.len()));
        self.request.head_len = 0;
        self.count_request_on_back(core);
        self.request.flow = Flow::Body;
        self.resend_side = self.server;
        let wants_copy = core.config.proxy(self.backend()).retry_on.needs_copy();
        self.resend_broken = !wants_copy;
        Moved::Some
    }

    /// The server's connection carries one more request.
    pub(super) fn count_request_on_back(&self, core: &mut Core) {
        if let Some(back) = self
            .back
            .and_then(|back| core.conns.get_mut(back))
            .and_then(|conn| conn.back_mut())
        {
            back.requests = back.requests.saturating_add(1);
        }
    }

    /// Lays out and sends the body, reads more of it.
    fn push_request_body(&mut self, core: &mut Core) -> Moved {
        let rules = self.request_rules(core);
        let drops = core.config.proxy(self.backend()).options.drop_request_trailers;
        let parser = || Parser::trailers(rules);
        let mut moved = Moved::Nothing;
        loop {
            if let Some(spliced) = self.splice_body(core, true) {
                return spliced;
            }
            let staged = stage(&mut self.req, &mut self.request, core, parser, drops);
            if let Staged::Broken(error) = staged {
                return self.request_body_broken(core, error);
            }
            if staged == Staged::Complete && !self.resend_broken && self.resend.is_none() {
                self.keep_copy(core);
            }
            match self.flush_to_server(core) {
                Flushed::All => {}
                Flushed::Blocked => return moved,
                Flushed::Failed(_) => {
                    if staged == Staged::Complete && self.response.flow == Flow::Done {
                        self.facts.cause.set(Who::Server, When::Data);
                        self.count_failed_response(core);
                        self.count_server_abort(core);
                    }
                    self.request_cannot_leave(core);
                }
            }
            match staged {
                Staged::Complete => {
                    self.client.request_end();
                    self.server.request_end();
                    self.request.flow = Flow::Done;
                    return Moved::Some;
                }
                Staged::Full => {}
                Staged::Starved if self.borrow(core, true, Places::Pre) => {}
                Staged::Starved => return moved,
                Staged::NeedMore | Staged::Broken(_) => {
                    if self.req.read_closed {
                        return self.client_left(core);
                    }
                    match self.read_request(core) {
                        Io::Done(_) => moved = Moved::Some,
                        Io::Blocked => return moved,
                        Io::Closed => {}
                        Io::Failed(_) => return self.client_left(core),
                    }
                    if moved == Moved::Some {
                        self.resend_broken = true;
                        return moved;
                    }
                }
            }
        }
    }

    pub(super) fn read_request(&mut self, core: &mut Core) -> Io {
        match core.conns.get(self.front) {
            None => return Io::Closed,
            Some(conn) if !conn.ready.any(Ready::READ) => return Io::Blocked,
            Some(_) => {}
        }
        let most = self.open_request_burst(core);
        if !self.borrow(core, true, self.request.body_places()) {
            return Io::Blocked;
        }
        let reserve = core.reserve();
        let Some(conn) = core.conns.get_mut(self.front) else {
            return Io::Closed;
        };
        if self.req.input.room_len(reserve) == 0 {
            self.req.input.compact();
        }
        let io = self.req.receive_most(conn, reserve, most).unwrap_or(Io::Blocked);
        if let Io::Done(_) = io {
            self.hear_front(core.clock.now());
        }
        io
    }

    pub(super) fn flush_to_server(&mut self, core: &mut Core) -> Flushed {
        let Some(conn) = self.back.and_then(|back| core.conns.get_mut(back)) else {
            self.req.drop_pending();
            return Flushed::All;
        };
        let before = self.req.sent;
        let flushed = self.req.flush(conn);
        if self.req.sent != before {
            self.back_active_at = core.clock.now();
        }
        flushed
    }

    /// The server takes nothing more, though it may still answer.
    pub(super) fn request_cannot_leave(&mut self, core: &mut Core) {
        // The answer may have come before: the response's direction decides.
        self.undeliverable = self.request.flow == Flow::Body;
        self.req.drop_pending();
        self.request.encoding = Encoding::Nothing;
        self.resend_broken = self.resend.is_none();
        if let Some(conn) = self.back.and_then(|back| core.conns.get_mut(back)) {
            conn.ready.insert(Ready::READ | Ready::READ_CLOSED);
        }
        self.server.input_closed();
    }

    /// The request is out: what else may come from the client is its end.
    fn after_request(&mut self, core: &mut Core) -> Moved {
        if self.req.pending() {
            match self.flush_to_server(core) {
                Flushed::All => return Moved::Some,
                Flushed::Blocked => {}
                Flushed::Failed(_) => {
                    self.request_cannot_leave(core);
                }
            }
        }
        if self.response.flow != Flow::Done && self.client_gave_up(core) {
            if core
                .conns
                .get(self.front)
                .is_none_or(|conn| conn.ready.any(Ready::ERROR))
            {
                // A reset is an error of the connection, whatever the phase.
                self.facts.cause.set(Who::Client, When::Data);
            }
            return self.client_left(core);
        }
        Moved::Nothing
    }

    /// The client closed before it had its answer.
    pub(super) fn client_left(&mut self, core: &mut Core) -> Moved {
        self.client_aborted(core, Who::Client);
        Moved::Left
    }

    /// Ends the exchange for the client's fault: by a page when nothing was answered yet and it may still read.
    pub(super) fn client_aborted(&mut self, core: &mut Core, who: Who) {
        self.count_client_abort(core);
        self.client.input_closed();
        self.facts.cause.set_who(who);
        self.set_term_phase();
        let body_missing = !self.request.body_complete();
        let at_once = who == Who::Client && matches!(self.response.flow, Flow::Head | Flow::Done);
        self.drop_back(core, at_once);
        if self.facts.status == 0 && self.response.flow == Flow::Head {
            let cause = self.facts.cause;
            if who == Who::Client && body_missing {
                // Nobody reads an answer after a request that was cut off: only the log tells.
                self.facts.status = 400;
                self.front_dead = true;
                self.step = Step::Finish;
            } else {
                self.reply_page(core, 400, cause.who, cause.when);
            }
        } else {
            self.front_dead = true;
            self.step = Step::Finish;
        }
    }

    /// The body of the request is no HTTP.
    fn request_body_broken(&mut self, core: &mut Core, _error: BodyError) -> Moved {
        // The head has left: what is kept begins with what is broken.
        let rest = self.req.input.data().get(self.req.body..).unwrap_or_default();
        core.capture_error(&self.session, Refused::Request(Some(self.backend())), rest, 0);
        self.client.input_closed();
        self.count_failed_request(core);
        self.facts.cause.set_who(Who::Proxy);
        self.set_term_phase();
        self.drop_back(core, true);
        if self.facts.status == 0 {
            self.facts.status = 400;
        }
        self.front_dead = true;
        self.step = Step::Finish;
        Moved::Left
    }

    /// A head that was read cannot be written: no fault of either side.
    pub(super) fn fail_internally(&mut self, core: &mut Core) -> Moved {
        let backend = core.state.proxy_mut(self.facts.backend);
        backend.counters.be.internal_errors += 1;
        if let Some(server) = self.facts.server {
            core.state.server_mut(server).counters.internal_errors += 1;
        }
        self.leave_with_error(core, 500, Who::Internal, When::Headers)
    }

    pub(super) fn leave_with_error(&mut self, core: &mut Core, status: u16, who: Who, when: When) -> Moved {
        self.drop_back(core, true);
        self.reply_page(core, status, who, when);
        Moved::Left
    }

    /// Keeps what was laid out, so that it can be sent again (`retry-on`).
    fn keep_copy(&mut self, core: &mut Core) {
        let Some(mut copy) = core.bufs.take(Urgency::Begin) else {
            self.resend_broken = true;
            return;
        };
        // The PROXY header belongs to the connection, not to the request: another attempt makes its own.
        let copied = self.req.copy_pending(&mut copy, self.proxy_header_len);
        if copied && self.req.sent == 0 && copy.room_len(0) >= PROXY_HEADER_MAX {
            self.resend = Some(copy);
        } else {
            core.bufs.put(copy);
            self.resend_broken = true;
        }
    }
}

/// A key for a WebSocket request that came without one and was let through (RFC 6455 section 4.1): 16 random
/// bytes in base64.
fn websocket_key(high: u64, low: u64) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key = [b'='; 24];
    let bits = (u128::from(high) << 64) | u128::from(low);
    for (index, digit) in key.iter_mut().take(22).enumerate() {
        let shift = 122_u32.saturating_sub(6 * index as u32);
        let six = (bits >> shift) as usize & if index == 21 { 0x30 } else { 0x3f };
        *digit = DIGITS[six & 0x3f];
    }
    key
}
