//! The response: its head, interim ones before it, its body, and what a server may do wrong.
//!
//! Sources: RFC 9110 section 15, RFC 9112 sections 4, 6 and 9; configuration manual, `timeout server`,
//! `retry-on`, "Session state at disconnection".

use super::super::channel::{Flushed, Places};
use super::super::conn::{Conn, Io};
use super::super::core::{Core, Refused};
use super::forward::Moved;
use super::stage::{Staged, begins_broken, stage};
use super::{Flow, Step, Stream};
use crate::model::cause::{When, Who};
use crate::proto::h1::body::{Decoder, Step as BodyStep};
use crate::proto::h1::conn::{After, ConnError, is_interim};
use crate::proto::h1::parse::{Parsed, Parser};
use crate::proto::h1::write::{Encoding, WriteRules, write_response};
use crate::proto::h1::{Body, Framing};
use crate::proto::head::Known;

impl Stream {
    /// The response's direction.
    pub(super) fn pull_response(&mut self, core: &mut Core) -> Moved {
        match self.response.flow {
            Flow::Head if self.request.flow == Flow::Head => Moved::Nothing,
            Flow::Head => self.read_response_head(core),
            Flow::Body => self.pull_response_body(core),
            Flow::Done => self.flush_response(core),
            Flow::Tunnel => self.pass(core, false),
        }
    }

    fn read_response_head(&mut self, core: &mut Core) -> Moved {
        if self.res.pending() {
            // An interim response is on its way.
            match self.flush_response(core) {
                Moved::Nothing if self.res.pending() => return Moved::Nothing,
                Moved::Left => return Moved::Left,
                Moved::Some | Moved::Nothing => {}
            }
        }
        if self.res.input.is_empty() && !self.back_may_read(core) && !self.res.read_closed {
            return Moved::Nothing;
        }
        let most = self.open_response_burst(core);
        if !self.borrow(core, false, Places::Both) {
            return Moved::Nothing;
        }
        if self.response.parser.is_none() {
            if self.response.head.is_none() {
                self.response.head = core.take_head();
            }
            if let Some(head) = &mut self.response.head {
                head.clear();
            }
            self.response.parser = Some(Parser::response(self.response_rules(core), self.server.asked()));
        }
        loop {
            if !self.res.input.is_empty() {
                self.server.begin();
                match self.parse_response(core) {
                    Parsed::Done { body_at, framing } => return self.on_response(core, body_at, framing),
                    Parsed::Error(_) => return self.junk_response(core, true),
                    Parsed::NeedMore => {}
                }
            }
            if self.res.read_closed {
                return self.no_response(core);
            }
            if self.res.input.room_len(core.reserve()) == 0 {
                // Interim responses used up the room; the parser follows the bytes.
                self.res.input.compact();
            }
            match self.read_response(core, most) {
                Io::Done(_) => {}
                Io::Blocked => return Moved::Nothing,
                Io::Closed => {}
                Io::Failed(_) => {
                    self.res.read_closed = true;
                    self.server.input_closed();
                }
            }
        }
    }

    fn back_may_read(&self, core: &Core) -> bool {
        use super::super::poll::Ready;
        let conn = self.back.and_then(|back| core.conns.get(back));
        conn.is_none_or(|conn| conn.ready.any(Ready::READ))
    }

    fn parse_response(&mut self, core: &Core) -> Parsed {
        let (Some(parser), Some(head)) = (&mut self.response.parser, &mut self.response.head) else {
            return Parsed::NeedMore;
        };
        let input = &mut self.res.input;
        // What one buffer holds is all that a head may take, whatever the size of this one.
        let limit = core.input_limit();
        let full = input.len() >= limit;
        let end = input.start() + input.len().min(limit);
        let unread = u32::try_from(input.start()).unwrap_or(0)..u32::try_from(end).unwrap_or(0);
        parser.parse(input.storage_mut(), unread, full, head)
    }

    fn read_response(&mut self, core: &mut Core, most: usize) -> Io {
        let reserve = core.reserve();
        let Some(conn) = self.back.and_then(|back| core.conns.get_mut(back)) else {
            self.res.read_closed = true;
            return Io::Closed;
        };
        let io = self.res.receive_most(conn, reserve, most).unwrap_or(Io::Blocked);
        match io {
            Io::Done(_) => self.hear_back(core.clock.now()),
            Io::Closed => self.server.input_closed(),
            Io::Blocked | Io::Failed(_) => {}
        }
        io
    }

    /// A whole head came in.
    fn on_response(&mut self, core: &mut Core, body_at: u32, framing: Framing) -> Moved {
        self.response.parser = None;
        if let Some(at) = framing.tolerated {
            self.capture_response(core, (at as usize).saturating_sub(self.res.input.start()));
        }
        let status = self.response.head.as_ref().map_or(0, |head| head.status());
        let retry = core.config.proxy(self.backend()).retry_on;
        if retry.status(status) && self.may_resend(core) {
            self.finish_answer(core, body_at, &framing);
            if self.resend(core, false) {
                return Moved::Left;
            }
        }
        if let Err(error) = self.server.response_head(status, &framing) {
            // The head was good, what it asks for is not: logs and statistics count it.
            let unasked = error == ConnError::UnaskedSwitch;
            let behind = u32::try_from(self.res.input.end())
                .unwrap_or(body_at)
                .saturating_sub(body_at);
            self.response.counted +=
                self.response.head.as_ref().map_or(0, |head| head.counted_len()) + u64::from(behind);
            if unasked {
                self.count_server_response(core, status);
            }
            self.drop_back(core, true);
            return self.junk_response(core, !unasked);
        }
        let start = u32::try_from(self.res.input.start()).unwrap_or(0);
        let head_len = body_at.saturating_sub(start) as usize;
        let interim = is_interim(status);
        if interim {
            self.no_reuse |= framing.close;
        } else {
            self.response.framing = framing;
            self.response.body = Decoder::new(framing.body);
            let rules = self.response_rules(core);
            if let Some(at) = begins_broken(&self.response, &mut self.res.input, head_len, core, rules) {
                self.capture_response(core, at);
                return self.junk_response(core, true);
            }
        }
        self.count_server_response(core, status);
        if !interim {
            self.facts.status = status;
            self.facts.response_at = Some(core.now());
            self.forget_copy(core);
        }
        if !self.write_head(core, &framing) {
            return self.fail_internally(core);
        }
        self.res.input.consume(head_len.min(self.res.input.len()));
        if interim {
            return Moved::Some;
        }
        let is_login = self.begins_login(status);
        if let Some(head) = self.response.head.take() {
            core.heads.put(head);
        }
        self.response.flow = Flow::Body;
        if is_login {
            self.private = true;
            if let Some(front) = core.conns.get_mut(self.front).and_then(Conn::front_mut) {
                front.prefers_private = true;
            }
        }
        if self.client.after() == After::Tunnel {
            self.open_tunnel(core);
        }
        Moved::Some
    }

    /// Writes the head as it goes to the client.
    pub(super) fn write_head(&mut self, core: &mut Core, framing: &Framing) -> bool {
        let stopping = core.ends_reuse(self.session.frontend);
        let config = &core.config;
        let frontend = config.proxy(self.session.frontend);
        let rules = WriteRules {
            case: frontend.options.case_adjust_client.then_some(&core.case_map),
            server_name: None,
            keep_on_insecure_te: config.global.h1_keep_on_insecure_te,
            websocket_key: None,
        };
        self.response.adjusts_case = frontend.options.case_adjust_client;
        let mode = frontend.http_mode;
        let Some(head) = &self.response.head else {
            return false;
        };
        let (store, room) = (self.res.input.storage(), self.res.pre.room(0));
        match write_response(
            head,
            store,
            framing,
            &mut self.client,
            &rules,
            (mode, stopping),
            room,
        ) {
            Ok(written) => {
                self.res.pre.commit(written.len);
                self.response.passed += head.counted_len();
                if self.step == Step::Exchange {
                    self.response.counted += head.counted_len();
                }
                if !is_interim(head.status()) {
                    self.response.encoding = written.encoding;
                }
                true
            }
            Err(_) => false,
        }
    }

    fn pull_response_body(&mut self, core: &mut Core) -> Moved {
        let rules = self.response_rules(core);
        let drops = core
            .config
            .proxy(self.session.frontend)
            .options
            .drop_response_trailers;
        let parser = || Parser::trailers(rules);
        let mut moved = Moved::Nothing;
        loop {
            if let Some(spliced) = self.splice_body(core, false) {
                return spliced;
            }
            let staged = stage(&mut self.res, &mut self.response, core, parser, drops);
            if !self.logged {
                self.log_early(core);
            }
            if let Staged::Broken(_) = staged {
                return self.response_broken(core);
            }
            if staged == Staged::Complete {
                self.response_complete(core);
                let flushed = self.flush_response(core);
                return if flushed == Moved::Left {
                    Moved::Left
                } else {
                    Moved::Some
                };
            }
            match self.flush_response(core) {
                Moved::Left => return Moved::Left,
                Moved::Nothing if self.res.pending() => return moved,
                Moved::Some | Moved::Nothing => {}
            }
            match staged {
                Staged::Starved if !self.borrow(core, false, Places::Pre) => return moved,
                Staged::Starved | Staged::Full => continue,
                Staged::NeedMore | Staged::Complete | Staged::Broken(_) => {}
            }
            if self.res.read_closed {
                return self.response_broken(core);
            }
            let mut most = usize::MAX;
            if self.back_may_read(core) {
                most = self.open_response_burst(core);
                if !self.borrow(core, false, self.response.body_places()) {
                    return moved;
                }
            }
            if self.res.input.room_len(core.reserve()) == 0 {
                self.res.input.compact();
            }
            match self.read_response(core, most) {
                Io::Done(_) if moved == Moved::Some => return Moved::Some,
                Io::Done(_) => moved = Moved::Some,
                Io::Blocked => return moved,
                Io::Closed => {}
                Io::Failed(_) if self.response.framing.body == Body::UntilClose => {
                    return self.response_broken(core);
                }
                Io::Failed(_) => {
                    self.res.read_closed = true;
                    self.server.input_closed();
                }
            }
        }
    }

    /// The last byte of the response came in: the server's connection is of no more use to this stream.
    fn response_complete(&mut self, core: &mut Core) {
        self.server.response_end();
        self.client.response_end();
        self.response.flow = Flow::Done;
        if self.request.flow == Flow::Done {
            self.settle_back(core);
        }
    }

    /// Sends what is laid out for the client.
    pub(super) fn flush_response(&mut self, core: &mut Core) -> Moved {
        if !self.res.pending() {
            return Moved::Nothing;
        }
        let Some(conn) = core.conns.get_mut(self.front) else {
            self.lost(core);
            return Moved::Left;
        };
        let before = self.res.sent;
        let flushed = self.res.flush(conn);
        if self.res.sent != before {
            self.front_active_at = core.clock.now();
        }
        match flushed {
            Flushed::All => Moved::Some,
            Flushed::Blocked => Moved::Nothing,
            Flushed::Failed(_) => self.client_unwritable(core),
        }
    }

    /// The client takes nothing more: the exchange is over.
    pub(super) fn client_unwritable(&mut self, core: &mut Core) -> Moved {
        self.count_client_abort(core);
        self.facts.cause.set_who(Who::Client);
        self.set_term_phase();
        self.front_dead = true;
        self.step = Step::Finish;
        Moved::Left
    }

    /// Keeps what came of a response for `show errors`; `at`: where it is no HTTP.
    fn capture_response(&self, core: &mut Core, at: usize) {
        let by = Refused::Response(self.backend(), self.facts.server);
        core.capture_error(&self.session, by, self.res.input.data(), at);
    }

    /// What came instead of a response is none; `broken`: by its form, so that its connection failed.
    fn junk_response(&mut self, core: &mut Core, broken: bool) -> Moved {
        if let Some(parser) = &self.response.parser {
            let at = (parser.stopped_at() as usize).saturating_sub(self.res.input.start());
            self.capture_response(core, at);
        }
        // As HAProxy: once for the connection, once for the response that never comes.
        if broken {
            self.count_failed_response(core);
        }
        let retry = core.config.proxy(self.backend()).retry_on;
        if retry.junk_response && self.resend(core, false) {
            return Moved::Left;
        }
        self.count_failed_response(core);
        self.drop_back(core, false);
        self.leave_with_error(core, 502, Who::Proxy, When::Headers)
    }

    /// The server closed without a complete head.
    fn no_response(&mut self, core: &mut Core) -> Moved {
        if !self.res.input.is_empty() {
            return self.junk_response(core, true);
        }
        self.count_failed_response(core);
        let retry = core.config.proxy(self.backend()).retry_on;
        if retry.empty_response && self.resend(core, true) {
            return Moved::Left;
        }
        if self.ever_reused {
            // The server closed an idle connection while the request was on its way: the client is to send
            // the request again, as it would had it met that close itself (RFC 9112 section 9.3.1).
            self.count_server_abort(core);
            self.silent = true;
            self.drop_back(core, true);
            self.front_dead = true;
            self.step = Step::Finish;
            return Moved::Left;
        }
        self.count_failed_response(core);
        self.leave_with_error(core, 502, Who::Server, When::Headers)
    }

    /// No head within `timeout server`.
    pub(super) fn response_too_late(&mut self, core: &mut Core) {
        let retry = core.config.proxy(self.backend()).retry_on;
        if retry.response_timeout && self.resend(core, true) {
            return;
        }
        self.count_failed_response(core);
        self.leave_with_error(core, 504, Who::ServerTimeout, When::Headers);
    }

    /// The body ended early or is no HTTP: the client must see that it is incomplete.
    pub(super) fn response_broken(&mut self, core: &mut Core) -> Moved {
        let truncated = self.res.read_closed || self.response.framing.body == Body::UntilClose;
        self.count_failed_response(core);
        if truncated {
            self.count_server_abort(core);
        } else {
            // The head has left: what is kept begins with what is broken.
            let rest = self.res.input.data().get(self.res.body..).unwrap_or_default();
            let by = Refused::Response(self.backend(), self.facts.server);
            core.capture_error(&self.session, by, rest, 0);
            // As HAProxy: for the connection, and for the response.
            self.count_failed_response(core);
        }
        self.facts
            .cause
            .set_who(if truncated { Who::Server } else { Who::Proxy });
        self.set_term_phase();
        if !truncated {
            self.drop_back(core, false);
        }
        // What was good is sent before the connection is cut.
        let _ = self.flush_response(core);
        self.front_dead = true;
        self.step = Step::Finish;
        Moved::Left
    }

    fn may_resend(&self, core: &Core) -> bool {
        let proxy = core.config.proxy(self.backend());
        // An interim response that is out does no harm, half a one would.
        self.resend.is_some() && self.facts.retries < proxy.retries && !self.res.pending()
    }

    /// Skips an answer that is given up for a retry; when all of it is there, its connection may serve others.
    fn finish_answer(&mut self, core: &mut Core, body_at: u32, framing: &Framing) {
        let status = self.response.head.as_ref().map_or(0, |head| head.status());
        // As HAProxy, which looks no further than a buffer.
        let is_long = self.res.input.len() > core.input_limit();
        if self.server.response_head(status, framing).is_err() || is_long {
            return;
        }
        let start = u32::try_from(self.res.input.start()).unwrap_or(0);
        let head_len = body_at.saturating_sub(start) as usize;
        self.res.input.consume(head_len.min(self.res.input.len()));
        let mut body = Decoder::new(framing.body);
        loop {
            match body.decode(self.res.input.data()) {
                BodyStep::Skip(n) | BodyStep::Data(n) => self.res.input.consume(n),
                BodyStep::End => break,
                BodyStep::NeedMore | BodyStep::Trailers | BodyStep::Error(_) => return,
            }
        }
        self.server.response_end();
        self.settle_back(core);
    }

    /// Sends the request again on another connection, if that is still possible. True: it is under way. `reset`:
    /// the connection that failed ends by a reset.
    fn resend(&mut self, core: &mut Core, reset: bool) -> bool {
        if !self.may_resend(core) {
            return false;
        }
        let Some(copy) = self.resend.take() else {
            return false;
        };
        let server = self.facts.server;
        self.drop_back(core, reset);
        self.req.drop_pending();
        if self.req.pre.is_allocated() {
            core.bufs.put_from(&mut self.req.pre);
        }
        self.req.pre = copy;
        self.res.give_back(&mut core.bufs);
        self.res.read_closed = false;
        self.response.parser = None;
        self.undeliverable = false;
        self.response.counted = 0;
        // As HAProxy, which counts a request that is sent again as a retry, and then its next attempt.
        core.state.proxy_mut(self.facts.backend).counters.be.retries += 1;
        if let Some(id) = server {
            core.state.server_mut(id).counters.retries += 1;
        }
        self.choose_redispatch(core, server);
        self.request.flow = Flow::Body;
        self.again = true;
        self.step = Step::Assign;
        true
    }

    /// The request need not be sent again any more.
    fn forget_copy(&mut self, core: &mut Core) {
        self.resend_broken = true;
        if let Some(copy) = self.resend.take() {
            core.bufs.put(copy);
        }
    }

    /// Both sides agreed to speak something else.
    fn open_tunnel(&mut self, core: &Core) {
        self.request.flow = Flow::Tunnel;
        self.response.flow = Flow::Tunnel;
        self.response.encoding = Encoding::Tunnel;
        self.request.encoding = Encoding::Tunnel;
        // What came behind the heads passes too.
        for (message, channel) in [(&mut self.request, &self.req), (&mut self.response, &self.res)] {
            let behind = channel.input.len() as u64;
            message.counted += behind;
            message.passed += behind;
        }
        let now = core.now();
        self.hear_front(now);
        self.hear_back(now);
    }

    /// Whether the response begins a login that belongs to its connection (NTLM, Negotiate): such a connection
    /// must never carry requests of another client.
    fn begins_login(&self, status: u16) -> bool {
        let field = match status {
            401 => Known::WwwAuthenticate,
            407 => Known::ProxyAuthenticate,
            _ => return false,
        };
        let Some(head) = &self.response.head else {
            return false;
        };
        let store = self.res.input.storage();
        head.slots().iter().filter(|slot| slot.id == field).any(|slot| {
            let value = slot.value.of(store);
            [&b"NTLM"[..], b"Nego"]
                .iter()
                .any(|name| value.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(name)))
        })
    }

    fn count_server_response(&self, core: &mut Core, status: u16) {
        if let Some(server) = self.slot {
            let counters = &mut core.state.server_mut(server).counters;
            counters.responses.count(status);
            counters.requests += 1;
        }
    }

    pub(super) fn count_failed_response(&self, core: &mut Core) {
        core.state
            .proxy_mut(self.facts.backend)
            .counters
            .be
            .failed_responses += 1;
        if let Some(server) = self.facts.server {
            core.state.server_mut(server).counters.failed_responses += 1;
        }
    }
}
