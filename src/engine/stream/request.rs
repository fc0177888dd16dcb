//! From the first byte of a request to the choice of its backend.
//!
//! Sources: RFC 9112 sections 2 and 3; configuration manual, `timeout http-request`, `monitor-uri`,
//! `option http-buffer-request`, `option http-restrict-req-hdr-names`, `option http-ignore-probes`.

use super::super::channel::Places;
use super::super::conn::Io;
use super::super::core::{Core, Refused};
use super::super::poll::Ready;
use super::forward::Moved;
use super::stage::{Came, begins_broken, look_ahead};
use super::{Flow, Next, Step, Stream};
use crate::base::freq::SECOND_MS;
use crate::base::pool::Urgency;
use crate::base::ticks::Ticks;
use crate::model::cause::{When, Who};
use crate::model::ids::ProxyId;
use crate::model::proxy::{Mode, RestrictNames};
use crate::proto::h1::Framing;
use crate::proto::h1::body::Decoder;
use crate::proto::h1::conn::EarlyEnd;
use crate::proto::h1::parse::{H2_PREFACE, HeadError, Parsed, Parser};
use crate::proto::h1::write::NameRestriction;
use crate::proto::head::{Known, Method};

/// What is refused before its head is read counts as a request of this version.
const HTTP_1: usize = 1;

impl Stream {
    /// Reads and parses until the request head is complete.
    pub(super) fn wait_request(&mut self, core: &mut Core) -> Next {
        if self.request.head.is_none() {
            self.request.head = core.take_head();
            self.request.parser = Some(Parser::request(self.request_rules(core)));
        }
        loop {
            if !self.req.input.is_empty() {
                self.note_first_byte(core);
                match self.parse_request(core) {
                    Parsed::Done { body_at, framing } => return self.on_request(core, body_at, framing),
                    Parsed::Error(error) => {
                        let is_preface = self.req.input.data().starts_with(H2_PREFACE);
                        if is_preface && self.client.served() == 0 {
                            // It was never a stream of HTTP/1.
                            self.facts.first_byte_at = None;
                            return self.refuse_request(core, HeadError::Preface);
                        }
                        self.capture_unparsed(core);
                        return self.refuse_request(core, error);
                    }
                    Parsed::NeedMore => {}
                }
            }
            if self.req.read_closed {
                return self.early_end(core, false);
            }
            let reserve = core.reserve();
            self.compact_full_input(reserve);
            let Some(conn) = core.conns.get(self.front) else {
                return self.lost(core);
            };
            let readable = conn.ready.any(Ready::READ);
            if readable && !self.borrow_as(core, true, Places::Input, Urgency::Begin) {
                self.phase_deadline = self.request_deadline(core);
                return Next::Wait;
            }
            let io = match core.conns.get_mut(self.front) {
                Some(conn) if readable => self.req.receive(conn, reserve),
                _ => Some(Io::Blocked),
            };
            match io {
                Some(Io::Done(_)) => self.hear_front(core.now()),
                Some(Io::Blocked) if self.req.input.is_empty() && self.is_between_requests(core) => {
                    return self.park_front(core);
                }
                Some(Io::Blocked) => {
                    self.phase_deadline = self.request_deadline(core);
                    return Next::Wait;
                }
                Some(Io::Closed) => {}
                Some(Io::Failed(_)) => {
                    self.front_dead = true;
                    return self.early_end(core, false);
                }
                None => return self.refuse_request(core, HeadError::TooLarge),
            }
        }
    }

    /// Whether the connection may wait without a stream: nothing of a request came yet, and the frontend
    /// speaks HTTP from the start.
    fn is_between_requests(&self, core: &Core) -> bool {
        self.facts.first_byte_at.is_none() && core.config.proxy(self.session.frontend).mode == Mode::Http
    }

    fn note_first_byte(&mut self, core: &Core) {
        if self.facts.first_byte_at.is_none() {
            self.facts.first_byte_at = Some(core.now());
            self.client.begin();
        }
    }

    fn parse_request(&mut self, core: &Core) -> Parsed {
        let (Some(parser), Some(head)) = (&mut self.request.parser, &mut self.request.head) else {
            return Parsed::NeedMore;
        };
        let input = &mut self.req.input;
        let unread = u32::try_from(input.start()).unwrap_or(0)..u32::try_from(input.end()).unwrap_or(0);
        let full = input.room_len_compacted(core.reserve()) == 0;
        parser.parse(input.storage_mut(), unread, full, head)
    }

    /// Moves what was read of a request to the front of its buffer when pipelined requests before it used up
    /// the room behind it.
    fn compact_full_input(&mut self, reserve: usize) {
        if self.req.input.room_len(reserve) > 0 {
            return;
        }
        let start = i64::try_from(self.req.input.start()).unwrap_or(0);
        // A parser at work follows the bytes by itself.
        if self.req.input.compact()
            && self.request.parser.is_none()
            && let Some(head) = &mut self.request.head
        {
            head.rebase(-start);
        }
    }

    /// The head must be there by then: counted from the accept for a session's first request, from the first
    /// byte for the others.
    fn request_deadline(&self, core: &Core) -> Ticks {
        let timeout_ms = core.config.proxy(self.session.frontend).timeouts.http_request_ms;
        match (self.client.served(), self.facts.first_byte_at) {
            (0, _) | (_, None) => Ticks::after(self.facts.begun.at, timeout_ms),
            (_, Some(first)) => Ticks::after(first, timeout_ms),
        }
    }

    /// A whole head came in: counts it, keeps what logs need, looks for a backend.
    fn on_request(&mut self, core: &mut Core, body_at: u32, framing: Framing) -> Next {
        self.facts.request = Some(core.clock.stamp());
        self.request.parser = None;
        if let Some(at) = framing.tolerated {
            let at = (at as usize).saturating_sub(self.req.input.start());
            core.capture_error(&self.session, Refused::Request(None), self.req.input.data(), at);
        }
        let is_new = self.take_number(core);
        self.count_request(core, self.named_version());
        self.capture_request_line(core);
        self.log_at_request(core);
        let method = self
            .request
            .head
            .as_ref()
            .map_or(Method::Other, |head| head.method());
        let stopping = core.ends_reuse(self.session.frontend);
        if self.client.request_head(&framing, method, stopping).is_err() {
            return self.refuse_request(core, HeadError::Syntax);
        }
        let start = u32::try_from(self.req.input.start()).unwrap_or(0);
        self.request.framing = framing;
        self.request.body = Decoder::new(framing.body);
        self.request.flow = Flow::Head;
        self.request.head_len = body_at.saturating_sub(start) as usize;
        self.set_edit_room(core);
        let rules = self.request_rules(core);
        if let Some(at) = begins_broken(
            &self.request,
            &mut self.req.input,
            self.request.head_len,
            core,
            rules,
        ) {
            core.capture_error(&self.session, Refused::Request(None), self.req.input.data(), at);
            return self.refuse_request(core, HeadError::Syntax);
        }
        core.state.process.counters.streams += u64::from(is_new);
        self.count_head();
        if self.is_monitored(core) {
            core.state
                .proxy_mut(self.session.frontend)
                .counters
                .fe
                .intercepted += 1;
            self.silent = true;
            return self.reply_page(core, 200, Who::Local, When::Request);
        }
        // A TCP frontend has no say in HTTP: its backend was chosen before.
        if self.facts.backend_chosen {
            return self.enter_http_backend(core);
        }
        if self.buffers_request(core) {
            return self.begin_gather(core);
        }
        self.leave_frontend(core, false)
    }

    /// The frontend's last word on a request, then the choice of its backend; `gathered`: its body was
    /// waited for.
    fn leave_frontend(&mut self, core: &mut Core, gathered: bool) -> Next {
        if !self.restrict_names(core, self.session.frontend) {
            return self.deny_names(core);
        }
        self.choose_backend(core);
        if gathered {
            self.restrict_in_backend(core)
        } else {
            self.enter_http_backend(core)
        }
    }

    fn enter_http_backend(&mut self, core: &mut Core) -> Next {
        if self.buffers_request(core) {
            return self.begin_gather(core);
        }
        self.restrict_in_backend(core)
    }

    fn restrict_in_backend(&mut self, core: &mut Core) -> Next {
        if !self.restrict_names(core, self.backend()) {
            return self.deny_names(core);
        }
        if !self.add_forwarding_fields(core) {
            return self.no_room_for_fields(core);
        }
        self.step = Step::Assign;
        Next::Go
    }

    fn deny_names(&mut self, core: &mut Core) -> Next {
        self.count_denied_request(core);
        self.reply_page(core, 403, Who::Proxy, When::Request)
    }

    /// Whether the proxy that the request is at waits for its body, and there is one.
    fn buffers_request(&self, core: &Core) -> bool {
        core.config.proxy(self.backend()).options.http_buffer_request && !self.request.body.is_done()
    }

    /// Begins to wait for the body, for as long as a head may take.
    fn begin_gather(&mut self, core: &mut Core) -> Next {
        self.facts.request = None;
        let timeout_ms = core.config.proxy(self.backend()).timeouts.http_request_ms;
        self.phase_deadline = Ticks::after(core.now(), timeout_ms);
        self.step = Step::Gather;
        if std::mem::take(&mut self.request.framing.expect_continue) {
            // The client waits for a word before it sends the body, and the server is asked only after.
            if !self.borrow(core, false, Places::Pre) {
                self.request.framing.expect_continue = true;
                return Next::Wait;
            }
            if let Some(head) = &mut self.request.head {
                head.remove_known(Known::Expect);
            }
            self.res.pre.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Next::Go
    }

    /// Edits of the head may write behind what was read, within what `tune.maxrewrite` keeps free.
    fn set_edit_room(&mut self, core: &Core) {
        let capacity = self.req.input.capacity();
        let from = capacity.saturating_sub(core.reserve()).max(self.req.input.end());
        if let Some(head) = &mut self.request.head {
            head.reserve = u32::try_from(from).unwrap_or(0)..u32::try_from(capacity).unwrap_or(0);
        }
    }

    /// Keeps the request line as it came, cut to what logs may hold.
    fn capture_request_line(&mut self, core: &Core) {
        let Some(head) = &self.request.head else { return };
        let store = self.req.input.storage();
        let limit = (core.config.global.tune.http_logurilen as usize).saturating_sub(1);
        let line = &mut self.facts.request_line;
        line.clear();
        for part in [
            head.method_text(store),
            b" ",
            head.target(store),
            b" ",
            head.version_name(store),
        ] {
            let room = limit.saturating_sub(line.len());
            line.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        }
    }

    fn is_monitored(&self, core: &Core) -> bool {
        let Some(wanted) = &core.config.proxy(self.session.frontend).monitor_uri else {
            return false;
        };
        let Some(head) = &self.request.head else {
            return false;
        };
        let target = head.target(self.req.input.storage());
        &**wanted == target || (wanted.first() == Some(&b'/') && path_of(target) == &**wanted)
    }

    /// Applies `option http-restrict-req-hdr-names` of a proxy. False: the request is denied.
    fn restrict_names(&mut self, core: &Core, id: ProxyId) -> bool {
        let rule = match core.config.proxy(id).restrict_names {
            RestrictNames::Preserve => return true,
            RestrictNames::Delete => NameRestriction::Delete,
            RestrictNames::Reject => NameRestriction::Reject,
        };
        let store = self.req.input.storage();
        let head = self.request.head.as_mut();
        head.is_none_or(|head| rule.apply(head, store))
    }

    /// Chooses the backend: `use_backend`, `default_backend`, or for a `listen` itself.
    pub(super) fn choose_backend(&mut self, core: &mut Core) {
        let frontend = core.config.proxy(self.session.frontend);
        let own = frontend.caps.backend.then_some(frontend.id);
        let chosen = frontend.use_backend.or(frontend.default_backend).or(own);
        self.enter_backend(core, chosen);
    }

    /// Waits until the body is complete or fills the buffer.
    pub(super) fn gather(&mut self, core: &mut Core) -> Next {
        if self.request.framing.expect_continue {
            return self.begin_gather(core);
        }
        if self.flush_response(core) == Moved::Left {
            return Next::Go;
        }
        let rules = self.request_rules(core);
        loop {
            let reserve = core.reserve();
            let head_len = self.request.head_len;
            match look_ahead(&self.request, &mut self.req.input, head_len, core, rules) {
                Came::Part if self.req.input.room_len_compacted(reserve) > 0 => {}
                Came::Part | Came::Whole => {
                    self.facts.request = Some(core.clock.stamp());
                    return if self.facts.backend_chosen {
                        self.restrict_in_backend(core)
                    } else {
                        self.leave_frontend(core, true)
                    };
                }
                Came::Broken(at) => {
                    core.capture_error(&self.session, Refused::Request(None), self.req.input.data(), at);
                    return self.gathered_junk(core);
                }
            }
            self.compact_full_input(reserve);
            let Some(conn) = core.conns.get_mut(self.front) else {
                return self.lost(core);
            };
            match self.req.receive(conn, reserve) {
                Some(Io::Done(_)) => self.hear_front(core.now()),
                Some(Io::Blocked) => return Next::Wait,
                Some(Io::Closed | Io::Failed(_)) | None => return self.gather_cut_off(core),
            }
        }
    }

    /// The body that was waited for is broken: its sender gets nothing but the end.
    fn gathered_junk(&mut self, core: &mut Core) -> Next {
        self.client.input_closed();
        self.count_failed_request(core);
        self.facts.cause.set(Who::Proxy, When::Request);
        self.facts.status = 400;
        self.front_dead = true;
        self.step = Step::Finish;
        Next::Go
    }

    /// The client left before the body was complete. It is told from the log only, under the backend that
    /// the request was meant for.
    fn gather_cut_off(&mut self, core: &mut Core) -> Next {
        self.facts.request = Some(core.clock.stamp());
        if !self.facts.backend_chosen {
            self.choose_backend(core);
        }
        self.client_aborted(core, Who::Client);
        Next::Go
    }

    pub(super) fn body_too_late(&mut self, core: &mut Core) {
        self.client.input_closed();
        self.count_failed_request(core);
        self.reply_page(core, 408, Who::ClientTimeout, When::Request);
    }

    pub(super) fn request_too_late(&mut self, core: &mut Core) {
        self.early_end(core, true);
    }

    /// The client closed or was silent before its request was complete.
    fn early_end(&mut self, core: &mut Core, timed_out: bool) -> Next {
        let options = core.config.proxy(self.session.frontend).options;
        let buffered = !self.req.input.is_empty();
        let (status, who) = if timed_out {
            (408, Who::ClientTimeout)
        } else {
            (400, Who::Client)
        };
        self.facts.cause.set(who, When::Request);
        if self.client.early_end(buffered, options.http_ignore_probes) == EarlyEnd::Silent {
            self.silent = true;
            self.front_dead = true;
            self.step = Step::Finish;
            return Next::Go;
        }
        if !buffered && options.dontlognull {
            self.silent = true;
        }
        self.is_request = false;
        self.take_number(core);
        self.count_request(core, Some(HTTP_1));
        self.count_failed_request(core);
        self.reply_raw(core, status)
    }

    /// Keeps a head that could not be read for `show errors`.
    fn capture_unparsed(&self, core: &mut Core) {
        if let Some(parser) = &self.request.parser {
            let at = (parser.stopped_at() as usize).saturating_sub(self.req.input.start());
            core.capture_error(&self.session, Refused::Request(None), self.req.input.data(), at);
        }
    }

    /// The request is no HTTP, or none that is safe to pass on.
    fn refuse_request(&mut self, core: &mut Core, error: HeadError) -> Next {
        self.client.input_closed();
        self.facts.request_line.clear();
        let was_counted = self.facts.request.take().is_some();
        self.facts.backend = self.session.frontend;
        if error == HeadError::ReservedMethod {
            self.count_stream(core);
        } else {
            self.facts.cause.set(Who::Proxy, When::Request);
            self.is_request = false;
            self.take_number(core);
        }
        if !was_counted {
            self.count_request(core, Some(HTTP_1));
        }
        self.count_failed_request(core);
        if error == HeadError::ReservedMethod {
            self.count_head();
            return self.reply_page(core, error.request_status(), Who::Proxy, When::Request);
        }
        self.reply_raw(core, error.request_status())
    }

    /// The client's connection is gone from under the stream: nothing is left to do.
    pub(super) fn lost(&mut self, core: &mut Core) -> Next {
        self.facts.cause.set_who(Who::Internal);
        self.set_term_phase();
        self.count_stream(core);
        self.front_dead = true;
        self.step = Step::Finish;
        Next::Go
    }

    /// Counts the stream, once: in HTTP with its request.
    pub(super) fn count_stream(&mut self, core: &mut Core) {
        if self.take_number(core) {
            core.state.process.counters.streams += 1;
        }
    }

    /// Gives the stream its number, once: as HAProxy, also to what never becomes a request.
    fn take_number(&mut self, core: &mut Core) -> bool {
        if std::mem::replace(&mut self.counted, true) {
            return false;
        }
        if !self.silent {
            self.facts.counter = core.next_number();
        }
        if self.facts.first_byte_at.is_some() {
            self.open_h1_front(core);
        }
        self.log_connect(core);
        true
    }

    /// The major version that the request line names, 0 for another protocol; `None` where no column counts it.
    fn named_version(&self) -> Option<usize> {
        let head = self.request.head.as_ref()?;
        match head.version_name(self.req.input.storage()) {
            [b'H', b'T', b'T', b'P', b'/', major, b'.', _] => match major.wrapping_sub(b'0') {
                major @ 0..=3 => Some(usize::from(major)),
                _ => None,
            },
            _ => Some(0),
        }
    }

    fn count_request(&self, core: &mut Core, version: Option<usize>) {
        let now = core.now();
        let numbers = core.state.proxy_mut(self.session.frontend);
        numbers.fe_req_rate.add(now, SECOND_MS, 1);
        let rate = numbers.fe_req_rate.rate(now, SECOND_MS);
        let counters = &mut numbers.counters.fe;
        if let Some(count) = version.and_then(|version| counters.requests.get_mut(version)) {
            *count += 1;
        }
        counters.request_rate_max = counters.request_rate_max.max(rate);
    }

    pub(super) fn count_failed_request(&self, core: &mut Core) {
        core.state
            .proxy_mut(self.session.frontend)
            .counters
            .fe
            .failed_requests += 1;
        core.state
            .listener_mut(self.session.listener)
            .counters
            .failed_requests += 1;
    }

    fn count_denied_request(&self, core: &mut Core) {
        core.state
            .proxy_mut(self.session.frontend)
            .counters
            .fe
            .denied_requests += 1;
        core.state
            .listener_mut(self.session.listener)
            .counters
            .denied_requests += 1;
        if self.facts.backend_chosen {
            core.state
                .proxy_mut(self.facts.backend)
                .counters
                .be
                .denied_requests += 1;
        }
    }
}

/// The path and query of a request target (RFC 9110 section 7.1).
fn path_of(target: &[u8]) -> &[u8] {
    match target.windows(3).position(|window| window == b"://") {
        Some(scheme) if target.first() != Some(&b'/') => {
            let rest = target.get(scheme + 3..).unwrap_or_default();
            let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            rest.get(slash..).unwrap_or_default()
        }
        _ => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_all_target_forms() {
        assert_eq!(path_of(b"/a/b?c"), b"/a/b?c");
        assert_eq!(path_of(b"http://h/a?x=/b"), b"/a?x=/b");
        assert_eq!(path_of(b"http://h"), b"");
        assert_eq!(path_of(b"/x://y"), b"/x://y");
    }
}
