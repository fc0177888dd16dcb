//! A server, a slot on it, a connection to it; and what follows when one of the three is not to be had.
//!
//! Source: configuration manual, `balance`, `maxconn`, `timeout queue`, `retries`, `option redispatch`,
//! `http-reuse`, `dispatch`, `option transparent`.

use super::super::conn::Conn;
use super::super::connect::{ClientSight, DialError, Route, dial};
use super::super::core::{Core, Granted};
use super::super::listener::endpoint_of;
use super::super::poll::Ready;
use super::super::sys;
use super::{Next, Step, Stream, own};
use crate::base::freq::SECOND_MS;
use crate::base::ticks::Ticks;
use crate::model::cause::{When, Who};
use crate::model::ids::{ProxyId, ServerId};
use crate::model::proxy::{HttpReuse, Mode};
use crate::model::server::{ServerNamespace, Source, Target};
use crate::model::state::Health;
use crate::model::txn::Endpoint;
use crate::policy::lb::{BackendLoad, Load, Pick};
use crate::policy::queue::{Admission, Place, admit};
use crate::proto::h1::conn::ServerSide;

/// Milliseconds of rest before the same server is tried again, at most.
const TURN_AROUND_MS: u32 = 1_000;

impl Stream {
    /// Enters a backend: from here on it counts the stream.
    pub(super) fn enter_backend(&mut self, core: &mut Core, chosen: Option<ProxyId>) {
        let Some(backend) = chosen.filter(|_| self.counted_in.is_none()) else {
            return;
        };
        self.facts.backend = backend;
        self.facts.backend_chosen = true;
        self.counted_in = Some(backend);
        let now = core.now();
        let numbers = core.state.proxy_mut(backend);
        numbers.be_conns += 1;
        numbers.be_sess_rate.add(now, SECOND_MS, 1);
        let rate = numbers.be_sess_rate.rate(now, SECOND_MS);
        let counters = &mut numbers.counters.be;
        counters.sessions += 1;
        counters.conns_max = counters.conns_max.max(numbers.be_conns);
        counters.session_rate_max = counters.session_rate_max.max(rate);
    }

    /// Finds a server and a slot on it, or a queue to wait in.
    pub(super) fn assign(&mut self, core: &mut Core) -> Next {
        if !self.counted {
            self.count_stream(core);
        }
        if self.counted_in.is_none() {
            self.choose_backend(core);
        }
        if !self.facts.backend_chosen {
            // As HAProxy, whose request date is set when the backend is.
            self.facts.request = None;
            return self.no_server(core);
        }
        if !self.http && core.config.proxy(self.backend()).mode == Mode::Http {
            // A TCP frontend leads to an HTTP backend: the same stream speaks HTTP from here on.
            self.http = true;
            self.facts.is_http = true;
            core.count_h1_conn(self.front);
            self.open_h1_front(core);
            self.step = Step::Request;
            return Next::Go;
        }
        if let (true, Some(server)) = (self.assigned, self.facts.server) {
            return self.ask_slot(core, server);
        }
        let proxy = core.config.proxy(self.backend());
        if proxy.servers.is_empty() && (proxy.dispatch.is_some() || proxy.transparent) {
            return self.connect(core);
        }
        let preferred = self.preferred(core);
        let picked = preferred.map_or_else(|| self.balance(core), Pick::Server);
        match picked {
            Pick::Server(server) => {
                self.note_change_of_server(core, server);
                if preferred.is_none() && self.failed_at != Some(server) {
                    core.state.server_mut(server).counters.balanced += 1;
                    core.state.proxy_mut(self.facts.backend).counters.be.balanced += 1;
                }
                self.facts.server = Some(server);
                self.assigned = true;
                self.ask_slot(core, server)
            }
            Pick::Full => self.enqueue(core, Place::Backend(self.backend())),
            Pick::NoServer => self.no_server(core),
        }
    }

    /// The first server to which this session keeps a connection, with `option prefer-last-server` or after a
    /// login.
    fn preferred(&self, core: &Core) -> Option<ServerId> {
        let proxy = core.config.proxy(self.backend());
        let front = core.conns.get(self.front)?.front()?;
        if !(proxy.options.prefer_last_server || front.prefers_private) {
            return None;
        }
        let suits = |server: &ServerId| {
            let load = Load::of(&core.config, &core.state, *server, core.now());
            let has_room =
                load.has_free_slot() || proxy.max_keep_alive_queue.is_none_or(|max| load.queued < max);
            self.failed_at != Some(*server)
                && core.state.server(*server).health == Health::Up
                && (front.prefers_private || has_room)
        };
        let kept = front
            .private
            .iter()
            .filter_map(|key| core.conns.get(*key)?.back());
        kept.filter(|back| back.backend == self.backend())
            .filter_map(|back| back.server)
            .find(suits)
    }

    fn balance(&self, core: &mut Core) -> Pick {
        let id = self.backend();
        let now = core.now();
        let numbers = core.state.proxy(id);
        let load = BackendLoad {
            served: numbers.served,
            queued: numbers.queued,
            conns: numbers.be_conns,
        };
        let (config, state) = (&core.config, &core.state);
        let Some(Some(balancer)) = core.balancers.get_mut(id.index()) else {
            return Pick::NoServer;
        };
        balancer.pick(load, self.failed_at, |server| {
            Load::of(config, state, server, now)
        })
    }

    /// Another server than the one that failed is a redispatch, the same one a retry.
    fn note_change_of_server(&mut self, core: &mut Core, server: ServerId) {
        let Some(former) = self.failed_at else { return };
        let counters = &mut core.state.proxy_mut(self.facts.backend).counters.be;
        if former == server {
            counters.retries += 1;
            core.state.server_mut(former).counters.retries += 1;
        } else {
            counters.redispatches += 1;
            core.state.server_mut(former).counters.redispatches += 1;
            self.facts.redispatched = true;
        }
    }

    fn ask_slot(&mut self, core: &mut Core, server: ServerId) -> Next {
        let load = Load::of(&core.config, &core.state, server, core.now());
        match admit(load) {
            Admission::Serve => {
                core.take_slot(server);
                self.slot = Some(server);
                self.connect(core)
            }
            Admission::Wait => self.enqueue(core, Place::Server(server)),
            Admission::QueueFull => {
                self.assigned = false;
                self.enqueue(core, Place::Backend(self.backend()))
            }
        }
    }

    fn enqueue(&mut self, core: &mut Core, place: Place) -> Next {
        let now = core.now();
        core.queues.enqueue(self.key, place, now);
        core.note_queue(place);
        let timeouts = &core.config.proxy(self.backend()).timeouts;
        self.phase_deadline = Ticks::after(now, timeouts.queue_ms);
        self.step = Step::Queued;
        Next::Wait
    }

    /// A slot was granted: it is held already.
    pub(super) fn on_granted(&mut self, core: &mut Core, granted: Granted) {
        if self.step != Step::Queued || core.queues.place_of(self.key).is_some() {
            // It gave up waiting, and may wait for another request already.
            core.free_slot(granted.server);
            return;
        }
        match granted.departure.place {
            Place::Server(_) => self.facts.server_queue = granted.departure.position,
            Place::Backend(_) => self.facts.backend_queue = granted.departure.position,
        }
        if self.facts.server != Some(granted.server) {
            self.note_change_of_server(core, granted.server);
        }
        self.facts.server = Some(granted.server);
        self.assigned = true;
        self.slot = Some(granted.server);
        self.step = Step::Assign;
        // Whatever comes of it is the step that runs next.
        self.connect(core);
    }

    pub(super) fn queue_too_late(&mut self, core: &mut Core) {
        core.queues_cancel(self.key, &mut self.facts);
        self.facts.queued_at = Some(core.now());
        self.count_failed_conn(core);
        self.fail_connection(core, 503, Who::ServerTimeout, When::Queue);
    }

    fn no_server(&mut self, core: &mut Core) -> Next {
        self.count_failed_conn(core);
        self.fail_connection(core, 503, Who::Server, When::Connect);
        Next::Go
    }

    /// What a client gets when no server can be had: a page in HTTP, the end of its connection in TCP.
    fn fail_connection(&mut self, core: &mut Core, status: u16, who: Who, when: When) {
        self.release_slot(core);
        if self.http {
            self.reply_page(core, status, who, when);
        } else {
            self.facts.cause.set(who, when);
            self.front_dead = true;
            self.step = Step::Finish;
        }
    }

    /// Takes an idle connection or opens one.
    fn connect(&mut self, core: &mut Core) -> Next {
        let now = core.now();
        if self.facts.queued_at.is_none() {
            self.facts.queued_at = Some(now);
        }
        core.state.proxy_mut(self.facts.backend).last_session_at = Some(now);
        let config = core.config.clone();
        let proxy = config.proxy(self.backend());
        let server = self.slot.map(|id| config.server(id));
        if self.needs_dst(core) {
            self.learn_dst(core);
        }
        let sight = ClientSight {
            src: self.session.src,
            dst: self.session.dst,
            netns: self.netns(core),
        };
        let source = server
            .and_then(|server| server.source.as_ref())
            .or(proxy.source.as_ref());
        let Some(route) = self.route(core, source, sight) else {
            return self.no_server(core);
        };
        let (netns, netns_of_client) = match server.and_then(|server| server.namespace.as_ref()) {
            Some(ServerNamespace::Named(name)) => (core.namespaces.find(name.as_bytes()), false),
            Some(ServerNamespace::OfClient) => (sight.netns, true),
            None => (None, false),
        };
        let route = route.inside(netns);
        let sends_header = server.is_some_and(|server| server.send_proxy.is_some());
        let follows = sends_header || netns_of_client || self.target_follows_client(core);
        let mut hash = route.hash(follows);
        if sends_header {
            hash ^= client_hash(sight, self.authority(core).unwrap_or_default());
        }
        self.facts.server_addr = route.endpoint();
        self.reused = false;
        if self.http && self.take_idle(core, proxy.http_reuse, hash) {
            self.learn_source(core);
            self.count_session_on_server(core);
            return self.established(core);
        }
        let may_hurry = self.facts.retries == 0 && server.is_some_and(|server| server.tfo);
        let early_data = may_hurry && self.has_early_data(core);
        match dial(
            core,
            &route,
            self.backend(),
            self.slot,
            self.key,
            hash,
            early_data,
        ) {
            Ok(back) => {
                self.count_session_on_server(core);
                self.count_connect(core);
                self.open_h1_back(core, back);
                self.back = Some(back);
                self.learn_source(core);
                self.server = ServerSide::new();
                self.phase_deadline = Ticks::after(now, proxy.timeouts.connect_ms);
                self.step = Step::Connect;
                self.dialed_in = core.turn;
                self.wait_connect(core)
            }
            Err(error) => self.dial_failed(core, error),
        }
    }

    /// No attempt is under way: tries again where that may help.
    fn dial_failed(&mut self, core: &mut Core, error: DialError) -> Next {
        if error != DialError::NoRoom {
            self.count_attempt(core);
        }
        let name = &core.config.proxy(self.backend()).name;
        if let Some((level, text)) = error.message(name, core.state.process.maxsock) {
            core.tell(self.backend(), level, &text);
        }
        if let DialError::Unusable(_) = error {
            self.count_session_on_server(core);
            self.count_failed_conn(core);
            self.fail_connection(core, 500, Who::Internal, When::Connect);
        } else {
            self.retry_connection(core, false, false);
        }
        Next::Go
    }

    /// The server of the slot has one more session.
    fn count_session_on_server(&mut self, core: &mut Core) {
        let Some(id) = self.slot else { return };
        let now = core.now();
        self.in_session = true;
        let numbers = core.state.server_mut(id);
        numbers.sessions += 1;
        numbers.counters.sessions_max = numbers.counters.sessions_max.max(numbers.sessions);
        numbers.sess_rate.add(now, SECOND_MS, 1);
        let rate = numbers.sess_rate.rate(now, SECOND_MS);
        numbers.last_session_at = Some(now);
        numbers.counters.sessions += 1;
        numbers.counters.session_rate_max = numbers.counters.session_rate_max.max(rate);
    }

    /// Whether there is something to send to the server as soon as it can be reached.
    fn has_early_data(&self, core: &Core) -> bool {
        let front = core.conns.get(self.front);
        self.http || front.is_some_and(|conn| sys::peek(conn.fd(), &mut [0]).is_ok_and(|n| n > 0))
    }

    fn route(&self, core: &Core, source: Option<&Source>, sight: ClientSight) -> Option<Route> {
        match self.target(core) {
            Some(target) => Route::new(target, source, sight),
            // `option transparent`: where the client wanted to go.
            None => Route::to_client_destination(source, sight),
        }
    }

    fn target<'c>(&self, core: &'c Core) -> Option<&'c Target> {
        match self.slot {
            Some(id) => Some(&core.config.server(id).target),
            None => core.config.proxy(self.backend()).dispatch.as_ref(),
        }
    }

    fn target_follows_client(&self, core: &Core) -> bool {
        self.target(core).is_none_or(Target::follows_client)
    }

    /// Whether anything on the way to this server depends on the address that the client connected to.
    fn needs_dst(&self, core: &Core) -> bool {
        let sends_header = self
            .slot
            .is_some_and(|id| core.config.server(id).send_proxy.is_some());
        sends_header || self.target_follows_client(core)
    }

    /// Asks the system for the address that the server sees, where logs tell it.
    fn learn_source(&mut self, core: &Core) {
        let format = core.config.proxy(self.session.frontend).log_format.as_ref();
        if format.is_some_and(|format| format.names_source)
            && let Some(conn) = self.back.and_then(|back| core.conns.get(back))
            && let Ok(addr) = conn.socket().local_addr()
        {
            self.facts.server_src = endpoint_of(&addr);
        }
    }

    /// Asks the system for the address that the client connected to, once.
    pub(super) fn learn_dst(&mut self, core: &mut Core) {
        if self.session.dst != Endpoint::Unknown {
            return;
        }
        let Some(conn) = core.conns.get_mut(self.front) else {
            return;
        };
        let dst = match conn.socket().local_addr() {
            Ok(addr) => addr.as_socket().map_or(Endpoint::Unix, Endpoint::Inet),
            Err(_) => return,
        };
        self.session.dst = dst;
        if let Some(front) = conn.front_mut() {
            front.facts.dst = dst;
        }
    }

    /// Takes a connection that waits, if the rules of `http-reuse` allow it for this request.
    fn take_idle(&mut self, core: &mut Core, reuse: HttpReuse, hash: u64) -> bool {
        let kept = core.take_private(self.front, self.backend(), self.slot, hash);
        let not_first = self.client.served() > 0;
        let retry = core.config.proxy(self.backend()).retry_on;
        let retryable = not_first || (retry.conn_failure && retry.empty_response && retry.response_timeout);
        let Some(key) = kept.or_else(|| {
            let (conns, state) = (&mut core.conns, &mut core.state);
            core.idle.take(self.slot?, reuse, retryable, hash, conns, state)
        }) else {
            return false;
        };
        own(core, key, self.key);
        self.server = core
            .conns
            .get(key)
            .and_then(Conn::back)
            .map_or_else(ServerSide::new, |back| back.h1);
        self.back = Some(key);
        self.open_h1_back(core, key);
        self.reused = true;
        self.ever_reused = true;
        if let Some(server) = self.slot {
            core.state.server_mut(server).counters.reuses += 1;
        }
        core.state.proxy_mut(self.facts.backend).counters.be.reuses += 1;
        true
    }

    /// Waits for the outcome of an attempt.
    pub(super) fn wait_connect(&mut self, core: &mut Core) -> Next {
        let Some(conn) = self.back.and_then(|back| core.conns.get_mut(back)) else {
            self.step = Step::Assign;
            return Next::Go;
        };
        if conn.ready.any(Ready::ERROR | Ready::WRITE_CLOSED)
            && conn.socket().take_error().is_ok_and(|e| e.is_some())
        {
            self.connect_failed(core, false);
            return Next::Go;
        }
        if conn.ready.any(Ready::WRITE) {
            return self.established(core);
        }
        let front = core.conns.get(self.front);
        if self.dialed_in == core.turn && front.is_some_and(|front| front.ready.any(Ready::READ_CLOSED)) {
            // A server next door has accepted by the next turn, before the client's end counts. The stream may be
            // run more than once in one turn.
            return Next::Yield;
        }
        match self.gone_while_waiting(core, When::Connect) {
            Some(when) => self.give_up(core, when),
            None => Next::Wait,
        }
    }

    /// The connection to the server is there.
    fn established(&mut self, core: &mut Core) -> Next {
        let now = core.now();
        self.facts.connected_at = Some(now);
        self.hear_back(now);
        self.front_active_at = self.front_active_at.max(now);
        self.phase_deadline = Ticks::NEVER;
        self.step = Step::Exchange;
        if std::mem::take(&mut self.again) {
            self.server = self.resend_side;
            self.tally_bytes(core);
            self.req.sent = 0;
            self.restart_tally();
            self.proxy_header_len = 0;
            if !self.reused {
                self.put_proxy_header(core);
            }
            self.count_request_on_back(core);
        } else if !self.http {
            self.greets = self
                .slot
                .is_some_and(|id| core.config.server(id).send_proxy.is_some());
            self.log_early(core);
        }
        Next::Go
    }

    /// An attempt failed: by an error, or because its time was over.
    pub(super) fn connect_failed(&mut self, core: &mut Core, timed_out: bool) {
        self.retry_connection(core, timed_out, !timed_out);
    }

    /// Tries again, here or elsewhere, or gives up. `rests`: the same server is not tried again at once.
    fn retry_connection(&mut self, core: &mut Core, timed_out: bool, rests: bool) {
        let reused = self.ever_reused;
        let server = self.slot;
        self.drop_back(core, false);
        let config = core.config.clone();
        let proxy = config.proxy(self.backend());
        if self.facts.retries >= proxy.retries || !proxy.retry_on.conn_failure {
            self.count_failed_conn(core);
            let who = if timed_out {
                Who::ServerTimeout
            } else {
                Who::Server
            };
            if reused {
                // The client is to send it again on another connection: it must not be told anything else.
                self.facts.status = 503;
                self.facts.cause.set(who, When::Connect);
                self.front_dead = true;
                self.step = Step::Finish;
            } else {
                self.fail_connection(core, 503, who, When::Connect);
            }
            return;
        }
        let elsewhere = self.choose_redispatch(core, server);
        self.step = Step::Assign;
        if rests && !reused && (!elsewhere || self.active_servers(core) <= 1) {
            let rest_ms = proxy
                .timeouts
                .connect_ms
                .map_or(TURN_AROUND_MS, |ms| ms.min(TURN_AROUND_MS));
            self.phase_deadline = core.now().plus_ms(u64::from(rest_ms));
            self.step = Step::TurnAround;
        }
    }

    /// One more attempt after one that failed at `server`: there again, or (true) wherever balancing leads.
    pub(super) fn choose_redispatch(&mut self, core: &mut Core, server: Option<ServerId>) -> bool {
        self.facts.retries += 1;
        self.failed_at = server;
        let Some(id) = server else { return false };
        let elsewhere = self.redispatches_now(core, id);
        if elsewhere {
            self.assigned = false;
        } else {
            core.state.server_mut(id).counters.retries += 1;
            core.state.proxy_mut(self.facts.backend).counters.be.retries += 1;
        }
        elsewhere
    }

    /// Whether this retry may go to another server.
    fn redispatches_now(&self, core: &Core, server: ServerId) -> bool {
        let proxy = core.config.proxy(self.backend());
        let Some(interval) = proxy.redispatch_interval else {
            return false;
        };
        let retries = i64::from(self.facts.retries);
        let every = match i64::from(interval) {
            from_last if from_last < 0 => i64::from(proxy.retries) + 1 + from_last,
            every => every,
        };
        let due = retries.checked_rem(every) == Some(0);
        let is_down = core.state.server(server).health != Health::Up;
        // No balancing at hand binds a request to its server: any other one will do.
        due || is_down || self.active_servers(core) > 1
    }

    /// How many servers of the backend take traffic, backups aside.
    fn active_servers(&self, core: &Core) -> u32 {
        core.usable_servers(self.backend()).0
    }

    /// Frees the held slot, for the next in the queues.
    pub(super) fn release_slot(&mut self, core: &mut Core) {
        if let Some(server) = self.slot.take() {
            if std::mem::take(&mut self.in_session) {
                let sessions = &mut core.state.server_mut(server).sessions;
                *sessions = sessions.saturating_sub(1);
            }
            core.free_slot(server);
        }
    }

    /// An attempt to connect. As HAProxy: once a request was on a connection that served others, its other
    /// attempts count as reuse, too.
    fn count_attempt(&self, core: &mut Core) {
        let again = u64::from(self.ever_reused);
        let counters = &mut core.state.proxy_mut(self.facts.backend).counters.be;
        counters.reuses += again;
        counters.connects += 1 - again;
        if let Some(server) = self.slot {
            let counters = &mut core.state.server_mut(server).counters;
            counters.reuses += again;
            counters.connects += 1 - again;
        }
    }

    fn count_connect(&self, core: &mut Core) {
        self.count_attempt(core);
        if let Some(server) = self.slot {
            let numbers = core.state.server_mut(server);
            numbers.used_conns += 1;
            numbers.used_conns_max = numbers.used_conns_max.max(numbers.used_conns);
        }
    }

    fn count_failed_conn(&self, core: &mut Core) {
        core.state.proxy_mut(self.facts.backend).counters.be.failed_conns += 1;
        if let Some(server) = self.facts.server {
            core.state.server_mut(server).counters.failed_conns += 1;
        }
    }
}

/// What tells clients apart in a PROXY header.
fn client_hash(sight: ClientSight, authority: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    authority.hash(&mut hasher);
    sight.netns.hash(&mut hasher);
    for end in [sight.src, sight.dst] {
        match end {
            Endpoint::Inet(addr) => addr.hash(&mut hasher),
            Endpoint::Unix => 1_u8.hash(&mut hasher),
            Endpoint::Unknown => 0_u8.hash(&mut hasher),
        }
    }
    hasher.finish() | 1
}
