//! The end of a stream: both connections settled, numbers counted, the line logged, what comes next.
//!
//! Source: configuration manual, `http-reuse`, `option dontlognull`, `dontlog-normal`,
//! `log-separate-errors`, `logasap`, `timeout http-keep-alive`; management manual, "Statistics".

use super::super::conn::{Conn, Owner};
use super::super::core::Core;
use super::super::poll::{Kind, Ready, token};
use super::{Flow, Message, Next, Step, Stream};
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::model::cause::Who;
use crate::model::proxy::{HttpReuse, Mode};
use crate::model::txn::{Stamp, StreamFacts};
use crate::policy::log::write::Origin;
use crate::proto::h1::conn::After;

/// Bytes of a client's unread input that are read before its connection is closed, so that the close is a FIN
/// and our last words are read.
const DRAIN_MAX: usize = 65_536;

impl Stream {
    /// Settles everything; the client's connection gets its next request, waits for one, or is closed.
    pub(super) fn finish(&mut self, core: &mut Core) -> Next {
        self.close_accounts(core);
        self.free_messages(core);
        // As HAProxy: a client that has ended gets its answer, and nothing for what it sent behind.
        let has_ended = core
            .conns
            .get(self.front)
            .is_none_or(|conn| conn.ready.any(Ready::READ_CLOSED | Ready::ERROR));
        let reusable = self.http && !self.front_dead && !has_ended && self.client.after() == After::Reuse;
        if reusable && self.client.next_request().is_ok() {
            self.begin_again(core);
            return Next::Go;
        }
        self.close_front(core);
        self.req.give_back(&mut core.bufs);
        self.res.give_back(&mut core.bufs);
        Next::Over
    }

    /// Gives the server's connection and slot up, counts and logs: what is left concerns the client alone.
    pub(super) fn close_accounts(&mut self, core: &mut Core) {
        if std::mem::replace(&mut self.accounts_closed, true) {
            return;
        }
        self.facts.closed_at = Some(core.now());
        if !self.http && self.facts.connected_at.is_none() && !self.req.read_closed {
            // What came meanwhile counts, as if it had been read at once.
            self.reads_to_end(core);
        }
        self.tally_bytes(core);
        self.settle_back(core);
        self.close_h1_front(core);
        self.release_slot(core);
        for pipe in self.pipes.iter_mut().filter_map(Option::take) {
            core.pipes.put(pipe);
        }
        self.facts.sent_bytes = self.counted_request(core);
        self.facts.received_bytes = self.response.counted;
        self.count_end(core);
        if !self.logged {
            self.log_now(core, self.origin_of_end());
        }
        self.leave_backend(core);
    }

    /// The server's connection waits for another request, or is closed.
    pub(super) fn settle_back(&mut self, core: &mut Core) {
        let Some(key) = self.back.take() else { return };
        self.close_h1_back(core);
        let unread = !self.res.input.is_empty() && self.res.input.len() > self.res.body;
        let keep = self.http
            && !self.no_reuse
            && self.server.after(unread) == After::Reuse
            && self.server.next_request().is_ok();
        if keep && self.keep_back(core, key) {
            self.release_slot(core);
            return;
        }
        let by_client = matches!(self.facts.cause.who, Who::Client | Who::ClientTimeout);
        let is_tunnel = !self.http || self.response.flow == Flow::Tunnel;
        if self.response.flow != Flow::Done
            && (by_client || is_tunnel)
            && !self.resets_back
            && let Some(conn) = core.conns.get_mut(key)
        {
            conn.shut_write();
        }
        core.release_back(key);
        core.close_conn(key);
        self.release_slot(core);
    }

    fn keep_back(&self, core: &mut Core, key: Key) -> bool {
        let now = core.now();
        let front_stays = !self.front_dead
            && core.conns.contains(self.front)
            && matches!(self.client.after(), After::Reuse | After::Wait);
        let Some(conn) = core.conns.get_mut(key) else {
            return false;
        };
        if !conn.is_silent() {
            return false;
        }
        let Some(back) = conn.back_mut() else { return false };
        back.h1 = self.server;
        // Where requests are dispatched to has no shelf of its own.
        let is_private = self.private || back.private_to.is_some() || back.server.is_none();
        if is_private || core.config.proxy(self.backend()).http_reuse == HttpReuse::Never {
            return front_stays && core.keep_private(key, self.front);
        }
        let Some(id) = back.server else { return false };
        let limits = core.fd_limits();
        let kept = core
            .idle
            .shelve(key, limits, now, &core.config, &mut core.conns, &mut core.state);
        if kept {
            core.schedule_purge(id);
        }
        kept
    }

    /// A fresh start on the same connection.
    fn begin_again(&mut self, core: &mut Core) {
        let begun = core.clock.stamp();
        let line = std::mem::take(&mut self.facts.request_line);
        self.facts = StreamFacts::begin(0, begun, self.session.frontend, true, line);
        if let Some(front) = core.conns.get_mut(self.front).and_then(Conn::front_mut) {
            front.begun = begun;
            front.streams = front.streams.saturating_add(1);
        }
        self.req.close_burst(&mut core.bufs);
        self.req.restart();
        self.res.give_back(&mut core.bufs);
        self.res.restart();
        self.res.read_closed = false;
        self.restart_tally();
        self.counted = false;
        self.is_request = true;
        self.accounts_closed = false;
        self.undeliverable = false;
        self.head_counted = false;
        self.assigned = false;
        self.failed_at = None;
        self.reused = false;
        self.ever_reused = false;
        self.again = false;
        self.private = false;
        self.no_reuse = false;
        self.logged = false;
        self.silent = false;
        self.counted_bytes = [0; 4];
        self.phase_deadline = Ticks::NEVER;
        self.hear_front(begun.at);
        self.step = Step::Request;
    }

    /// The client has nothing to say for now: its connection waits without a stream.
    pub(super) fn park_front(&mut self, core: &mut Core) -> Next {
        self.free_messages(core);
        self.req.give_back(&mut core.bufs);
        self.res.give_back(&mut core.bufs);
        let frontend = self.session.frontend;
        if self.client.served() > 0 && core.closes_idle(frontend) {
            self.close_front(core);
            return Next::Over;
        }
        let timeouts = core.config.proxy(frontend).timeouts;
        let wait_ms = if self.client.served() > 0 {
            timeouts.http_keep_alive_ms.or(timeouts.http_request_ms)
        } else {
            timeouts.http_request_ms
        };
        let since = self.facts.begun.at;
        let deadline = Ticks::after(since, wait_ms).min(Ticks::after(since, timeouts.client_ms));
        let deadline = core.idle_deadline(frontend, deadline);
        let (client, begun): (_, Stamp) = (self.client, self.facts.begun);
        if let Some(conn) = core.conns.get_mut(self.front) {
            conn.owner = Owner::Idle;
            if let Some(front) = conn.front_mut() {
                front.h1 = client;
                front.begun = begun;
                // The next stream counts itself again.
                front.streams = front.streams.saturating_sub(1);
            }
            let key = token(Kind::Conn, self.front.to_u64());
            core.wheel.schedule(key, &mut conn.timer, deadline);
        }
        Next::Over
    }

    /// Gives heads and copies back to the pools.
    fn free_messages(&mut self, core: &mut Core) {
        for message in [&mut self.request, &mut self.response] {
            if let Some(head) = message.head.take() {
                core.heads.put(head);
            }
            *message = Message::default();
        }
        if let Some(copy) = self.resend.take() {
            core.bufs.put(copy);
        }
        self.resend_broken = false;
    }

    fn close_front(&self, core: &mut Core) {
        let Some(conn) = core.conns.get_mut(self.front) else {
            return;
        };
        if !self.front_dead {
            conn.shut_write();
        }
        if conn.ready.any(Ready::READ) {
            conn.drain(&mut core.scratch, DRAIN_MAX);
        }
        core.close_conn(self.front);
    }

    fn leave_backend(&mut self, core: &mut Core) {
        if let Some(backend) = self.counted_in.take() {
            let numbers = core.state.proxy_mut(backend);
            numbers.be_conns = numbers.be_conns.saturating_sub(1);
        }
    }

    /// Counts what is known only at the end.
    fn count_end(&mut self, core: &mut Core) {
        if !self.counted {
            return;
        }
        self.settle_bytes(core);
        let (fe, be) = (self.session.frontend, self.facts.backend);
        let backend_chosen = self.facts.backend_chosen;
        if self.http && self.facts.status > 0 {
            core.state
                .proxy_mut(fe)
                .counters
                .fe
                .responses
                .count(self.facts.status);
            if backend_chosen {
                // As HAProxy: the requests of a backend are those with a status, when they end.
                let counters = &mut core.state.proxy_mut(be).counters.be;
                counters.responses.count(self.facts.status);
                counters.requests += 1;
            }
        }
        if self.facts.cause.who == Who::Internal {
            core.state.proxy_mut(fe).counters.fe.internal_errors += 1;
        }
        self.count_times(core);
    }

    /// Adds the bytes of this stream that statistics do not have yet.
    pub(super) fn settle_bytes(&mut self, core: &mut Core) {
        let (fe, be) = (self.session.frontend, self.facts.backend);
        let now = [
            self.counted_request(core),
            self.request.passed,
            self.response.counted,
            self.response.passed,
        ];
        let mut more = now;
        for (more, before) in more.iter_mut().zip(self.counted_bytes) {
            *more = more.saturating_sub(before);
        }
        self.counted_bytes = now;
        let [_, _, down, _] = more;
        core.state.proxy_mut(fe).counters.fe.bytes.add(more);
        let listener = &mut core.state.listener_mut(self.session.listener).counters;
        listener.bytes.add(more);
        core.state.process.counters.out_bytes += down;
        // Until a backend is chosen it is the frontend itself, where that has the side of one (`listen`).
        if self.facts.backend_chosen || core.config.proxy(be).caps.backend {
            core.state.proxy_mut(be).counters.be.bytes.add(more);
        }
        if let Some(server) = self.facts.server {
            core.state.server_mut(server).counters.bytes.add(more);
        }
    }

    /// Adds the times of this stream to the averages of its server and backend.
    fn count_times(&self, core: &mut Core) {
        let facts = &self.facts;
        let responded = if core.config.proxy(facts.backend).mode == Mode::Http {
            facts.response_at
        } else {
            facts.connected_at
        };
        // As HAProxy: what had no response is left out.
        let (Some(queued), Some(connected), Some(responded), Some(closed)) =
            (facts.queued_at, facts.connected_at, responded, facts.closed_at)
        else {
            return;
        };
        let begun = facts.begun.at;
        let requested = facts.request.map_or(begun, |stamp| stamp.at);
        let ms = |from: Ticks, to: Ticks| u32::try_from(to.ms_since(from)).unwrap_or(u32::MAX);
        let queue = ms(requested, queued);
        let connect = ms(queued, connected);
        let response = ms(connected, responded);
        let total = ms(begun, closed);
        let counters = &mut core.state.proxy_mut(facts.backend).counters.be;
        counters.queue_time.add(queue);
        counters.connect_time.add(connect);
        counters.response_time.add(response);
        counters.total_time.add(total);
        if let Some(server) = facts.server {
            let counters = &mut core.state.server_mut(server).counters;
            counters.queue_time.add(queue);
            counters.connect_time.add(connect);
            counters.response_time.add(response);
            counters.total_time.add(total);
        }
    }

    /// Logs the stream, unless the frontend's options keep it out.
    pub(super) fn log_now(&mut self, core: &mut Core, origin: Origin) {
        if self.silent || !self.counted || self.logged {
            return;
        }
        let frontend = core.config.proxy(self.session.frontend);
        let Some(format) = &frontend.log_format else {
            return;
        };
        if frontend.logs.is_empty() {
            return;
        }
        // As HAProxy: what the server said does not make it worth a line.
        let said_nothing = self.req.received == 0;
        if !self.http && frontend.options.dontlognull && said_nothing {
            return;
        }
        self.logged = true;
        if format.names_destination {
            self.learn_dst(core);
        }
        // As HAProxy: an early line tells of the request what statistics have by then.
        self.facts.sent_bytes = match self.facts.closed_at {
            Some(_) => self.counted_request(core),
            None => self.counted_bytes[0],
        };
        self.facts.received_bytes = self.response.counted;
        core.log_stream(&self.session, &self.facts, origin);
    }

    /// Why the line of a stream that is over is written.
    pub(super) fn origin_of_end(&self) -> Origin {
        if self.is_request {
            Origin::TxnClose
        } else {
            Origin::SessError
        }
    }

    /// Logs the stream when the server is connected (TCP) or its response head is there, if its line waits for
    /// nothing later.
    pub(super) fn log_early(&mut self, core: &mut Core) {
        let frontend = core.config.proxy(self.session.frontend);
        let asap = frontend.options.logasap;
        if frontend
            .log_format
            .as_ref()
            .is_some_and(|format| format.needs.met_by_response(asap))
        {
            let origin = if self.http {
                Origin::TxnResponse
            } else {
                Origin::TxnConnect
            };
            self.log_now(core, origin);
        }
    }

    /// Logs the stream when its request line is there, if its line waits for nothing later.
    pub(super) fn log_at_request(&mut self, core: &mut Core) {
        let frontend = core.config.proxy(self.session.frontend);
        let asap = frontend.options.logasap;
        if frontend
            .log_format
            .as_ref()
            .is_some_and(|format| format.needs.met_by_request(asap))
        {
            self.log_now(core, Origin::TxnRequest);
        }
    }

    /// Logs a connection to a frontend that has no log format, when its stream begins.
    pub(super) fn log_connect(&mut self, core: &mut Core) {
        let frontend = core.config.proxy(self.session.frontend);
        if frontend.logs.is_empty() || frontend.log_format.is_some() {
            return;
        }
        self.learn_dst(core);
        core.log_connect(&self.session);
    }

    pub(super) fn count_client_abort(&self, core: &mut Core) {
        if self.facts.backend_chosen {
            core.state.proxy_mut(self.facts.backend).counters.be.client_aborts += 1;
        }
        if let Some(server) = self.facts.server {
            core.state.server_mut(server).counters.client_aborts += 1;
        }
    }

    pub(super) fn count_server_abort(&self, core: &mut Core) {
        core.state.proxy_mut(self.facts.backend).counters.be.server_aborts += 1;
        if let Some(server) = self.facts.server {
            core.state.server_mut(server).counters.server_aborts += 1;
        }
    }
}
