//! What every stream of one loop works with: configuration, numbers, clock, sockets, timers, pools.
//!
//! A stream is taken out of its slot while it runs and gets `&mut Core`; it therefore reaches connections and
//! pools, but never another stream: what concerns one is left in `wakes` and done by the worker.

use std::collections::HashMap;
use std::sync::Arc;

use super::buffers::BufferWaiters;
use super::clock::Clock;
use super::conn::{BackSide, Conn, Owner, Shelf, Side};
use super::idle::{FdLimits, IdleConns};
use super::logger::Logger;
use super::netns::Namespaces;
use super::poll::{Kind, Poller, token};
use super::shortage::Shortage;
use crate::base::pool::{BufPool, Pool};
use crate::base::rng::Rng;
use crate::base::slab::{Key, Slots};
use crate::base::ticks::Ticks;
use crate::base::wheel::Wheel;
use crate::model::config::Config;
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::listener::Owner as ListenerOwner;
use crate::model::state::{Health, State};
use crate::model::txn::{Endpoint, SessionFacts, StreamFacts};
use crate::policy::lb::Balancer;
use crate::policy::log::syslog::Level;
use crate::policy::queue::{Departure, Place, Queues};
use crate::proto::h1::parse::{Rules, input_limit, max_weight};
use crate::proto::h1::write::CaseMap;
use crate::proto::head::Head;

/// Why a stream is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something may be read or written, or its turn was over before its work.
    Io,
    /// Its deadline is reached.
    Timer,
    /// It waited in a queue, and a slot is now its own.
    Granted(Granted),
    /// An operator or the end of the process asks it to stop.
    Kill,
}

/// A slot for a stream that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Whose slot.
    pub(crate) server: ServerId,
    /// Where the stream waited.
    pub(crate) departure: Departure,
}

/// What was refused: a request, meant for that backend if it got so far, or a response of that backend and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Request(Option<ProxyId>),
    Response(ProxyId, Option<ServerId>),
}

/// What was wrong with the last refused message of a proxy.
#[derive(Clone, Debug)]
pub(crate) struct CapturedError {
    /// Number of the event in this process, from 0.
    pub(crate) number: u32,
    /// When, microseconds since the epoch.
    pub(crate) wall_us: u64,
    /// The frontend of a request, the backend of a response.
    pub(crate) proxy: ProxyId,
    /// The other proxy, if there was one.
    pub(crate) other: Option<ProxyId>,
    /// The server, if there was one.
    pub(crate) server: Option<ServerId>,
    /// A response, not a request.
    pub(crate) is_response: bool,
    /// Where the client was.
    pub(crate) src: Endpoint,
    /// The bytes kept.
    pub(crate) bytes: Box<[u8]>,
    /// Where in `bytes` reading stopped.
    pub(crate) position: usize,
}

/// What every stream of one loop works with.
pub(crate) struct Core {
    /// What was written.
    pub(crate) config: Arc<Config>,
    /// What lives.
    pub(crate) state: State,
    /// The time of this turn.
    pub(crate) clock: Clock,
    /// Readiness.
    pub(crate) poller: Poller,
    /// Timers of streams, connections and duties.
    pub(crate) wheel: Wheel,
    /// Sockets of both sides.
    pub(crate) conns: Slots<Conn>,
    /// Connections to servers that wait for a next request.
    pub(crate) idle: IdleConns,
    /// Balancing state of each backend, by `ProxyId`.
    pub(crate) balancers: Vec<Option<Balancer>>,
    /// Streams that wait for a slot.
    pub(crate) queues: Queues,
    /// Buffers.
    pub(crate) bufs: BufPool,
    /// Message heads.
    pub(crate) heads: Pool<Box<Head>>,
    /// Pipes for splicing.
    pub(crate) pipes: super::tunnel::Pipes,
    /// Log lines.
    pub(crate) logger: Logger,
    /// Random choices.
    pub(crate) rng: Rng,
    /// Streams to run, with the reason.
    pub(crate) wakes: Vec<(Key, Wake)>,
    /// Client connections whose pipelined bytes or slots may let listeners go on.
    pub(crate) listeners_may_go: bool,
    /// Where bytes nobody wants are read into.
    pub(crate) scratch: Box<[u8]>,
    /// `h1-case-adjust`.
    pub(crate) case_map: CaseMap,
    /// Streams that found no free buffer.
    pub(crate) buffer_waiters: BufferWaiters,
    /// How often the loop has looked for events.
    pub(crate) turn: u64,
    /// The end of `close-spread-time` after a soft stop.
    pub(crate) closed_by: Ticks,
    /// The last refused request and response of each proxy.
    pub(crate) errors: HashMap<(ProxyId, bool), CapturedError>,
    /// How many messages were refused.
    pub(crate) errors_total: u32,
    /// Network namespaces that listeners and servers name.
    pub(crate) namespaces: Namespaces,
}

/// Descriptors of the loop itself beside connections and listeners, as HAProxy counts them: what wakes it up, but
/// neither the poller nor the sockets of logs.
const OWN_DESCRIPTORS: u32 = 1;

/// Bytes of a refused message that are kept for `show errors`.
const ERROR_BYTES_MAX: usize = 16_384;

/// The spellings of `h1-case-adjust`; pairs that the load floor let through are valid.
pub(super) fn case_map(config: &Config) -> CaseMap {
    let mut map = CaseMap::default();
    for (name, spelling) in &config.global.h1_case_adjust {
        let _ = map.insert(name.as_bytes(), spelling.as_bytes());
    }
    map
}

impl Core {
    /// The time of this turn.
    pub(crate) fn now(&self) -> Ticks {
        self.clock.now()
    }

    /// The number of a stream, or of a line of the log that no stream writes (`%rt`).
    pub(crate) fn next_number(&mut self) -> u64 {
        let next = &mut self.state.process.counters.requests;
        let number = *next;
        *next += 1;
        number
    }

    /// Asks for a stream to be run.
    pub(crate) fn wake(&mut self, stream: Key, why: Wake) {
        self.wakes.push((stream, why));
    }

    /// Puts a connection in its slot and registers it for events. `None`, and the socket closed, when the
    /// poller cannot take it.
    pub(crate) fn add_conn(&mut self, conn: Conn) -> Option<Key> {
        let fd = conn.fd();
        let key = self.conns.insert(conn);
        if self.poller.register(fd, token(Kind::Conn, key.to_u64())).is_ok() {
            return Some(key);
        }
        self.conns.remove(key);
        None
    }

    /// Closes a connection: its socket, its timer, its numbers, its place among idle ones.
    pub(crate) fn close_conn(&mut self, key: Key) {
        self.idle.unlink(key, &mut self.conns, &mut self.state);
        let is_private = |back: &BackSide| back.shelf == Shelf::Session;
        if self.conns.get(key).and_then(Conn::back).is_some_and(is_private) {
            self.count_private(key, -1);
        }
        let Some(mut conn) = self.conns.remove(key) else {
            return;
        };
        self.wheel.cancel(&mut conn.timer);
        if !conn.ended && conn.back().is_some() {
            // Nobody waits for our FIN, and our port is not to stay in TIME_WAIT.
            conn.reset_on_close();
        }
        if conn.is_h1 {
            let h1 = match &conn.side {
                Side::Front(front) => &mut self.state.proxy_mut(front.facts.frontend).counters.fe.h1,
                Side::Back(back) => &mut self.state.proxy_mut(back.backend).counters.be.h1,
            };
            h1.open_conns = h1.open_conns.saturating_sub(1);
        }
        match &mut conn.side {
            Side::Front(front) => {
                let facts = front.facts;
                let private = std::mem::take(&mut front.private);
                self.count_front_closed(facts.frontend, facts.listener);
                drop(conn);
                for back in private {
                    self.close_conn(back);
                }
            }
            Side::Back(back) => {
                if let Some(server) = back.server {
                    let all = &mut self.state.server_mut(server).all_conns;
                    *all = all.saturating_sub(1);
                    if let Some(port) = back.source_port {
                        self.idle.give_source_port_back(server, port);
                    }
                }
                if let Some(front) = back.private_to
                    && let Some(front) = self.conns.get_mut(front).and_then(Conn::front_mut)
                {
                    front.private.retain(|kept| *kept != key);
                }
            }
        }
    }

    /// Bytes at the end of each buffer that only edits of heads may use: buffers have `tune.maxrewrite` bytes
    /// beyond `tune.bufsize` for them.
    pub(crate) fn reserve(&self) -> usize {
        self.bufs.capacity().saturating_sub(self.input_limit())
    }

    /// Bytes of a message that a usual buffer receives at most.
    pub(crate) fn input_limit(&self) -> usize {
        input_limit(self.config.global.tune.bufsize) as usize
    }

    /// Settings of message parsers.
    pub(crate) fn parser_rules(&self, lenient: bool) -> Rules {
        let global = &self.config.global;
        Rules {
            lenient,
            payload_with_any_method: global.h1_accept_payload_with_any_method,
            keep_on_insecure_te: global.h1_keep_on_insecure_te,
            max_weight: max_weight(global.tune.bufsize, global.tune.maxrewrite),
        }
    }

    /// An empty head from the pool.
    pub(crate) fn take_head(&mut self) -> Option<Box<Head>> {
        let maxhdr = self.config.global.tune.http_maxhdr as usize;
        self.heads.take(|| Box::new(Head::with_capacity(maxhdr)))
    }

    /// Has streams run again for which there are buffers now.
    pub(super) fn serve_buffer_waiters(&mut self) {
        let wakes = &mut self.wakes;
        self.buffer_waiters
            .take_ready(&self.bufs, |stream| wakes.push((stream, Wake::Io)));
    }

    /// Takes a stream out of the queue it waits in, and notes for its log line where it stood.
    pub(crate) fn queues_cancel(&mut self, stream: Key, facts: &mut StreamFacts) {
        let Some(departure) = self.queues.cancel(stream) else {
            return;
        };
        match departure.place {
            Place::Server(_) => facts.server_queue = departure.position,
            Place::Backend(_) => facts.backend_queue = departure.position,
        }
        self.note_queue(departure.place);
    }

    /// Whether a server may get one more connection: under `strict-maxconn` only while all it has, idle ones too,
    /// are fewer than its `maxconn`. Idle ones are closed to make room, private ones are not.
    pub(crate) fn has_room_for_conn(&mut self, id: ServerId) -> bool {
        let config = self.config.clone();
        let server = config.server(id);
        if !server.strict_maxconn {
            return true;
        }
        loop {
            let numbers = self.state.server(id);
            let maxconn = numbers.maxconn.unwrap_or(server.maxconn);
            if maxconn == 0 || numbers.all_conns < maxconn {
                return true;
            }
            match self.idle.oldest(id, &self.conns) {
                Some(victim) => self.close_conn(victim),
                None => return false,
            }
        }
    }

    /// A connection to a server is no longer in use.
    pub(crate) fn release_back(&mut self, key: Key) {
        if let Some(server) = self
            .conns
            .get(key)
            .and_then(Conn::back)
            .and_then(|back| back.server)
        {
            let numbers = self.state.server_mut(server);
            numbers.used_conns = numbers.used_conns.saturating_sub(1);
        }
    }

    /// Makes a connection to a server belong to one client connection alone, from now to its end.
    pub(crate) fn make_private(&mut self, back: Key, front: Key) {
        if let Some(side) = self.conns.get_mut(back).and_then(Conn::back_mut)
            && side.private_to.is_none()
            && let Some(owner) = self.conns.get_mut(front).and_then(Conn::front_mut)
        {
            owner.private.push(back);
            if let Some(side) = self.conns.get_mut(back).and_then(Conn::back_mut) {
                side.private_to = Some(front);
            }
        }
    }

    /// Keeps a private connection that is in use no more for its client's next request. False: close it.
    pub(crate) fn keep_private(&mut self, back: Key, front: Key) -> bool {
        self.make_private(back, front);
        let Some(owner) = self.conns.get(front).and_then(Conn::front) else {
            return false;
        };
        let is_idle = |key: &&Key| {
            let side = self.conns.get(**key).and_then(Conn::back);
            side.is_some_and(|side| side.shelf == Shelf::Session)
        };
        let idle = owner.private.iter().filter(is_idle).count();
        let limit = self.config.proxy(owner.facts.frontend).max_session_srv_conns;
        let now = self.now();
        let Some(conn) = self.conns.get_mut(back) else {
            return false;
        };
        let Some(side) = conn.back_mut() else { return false };
        let in_maintenance = side
            .server
            .is_some_and(|server| self.state.server(server).health == Health::Maint);
        if idle >= limit as usize || in_maintenance {
            return false;
        }
        side.shelf = Shelf::Session;
        side.idle_since = now;
        conn.owner = Owner::Idle;
        self.release_back(back);
        self.count_private(back, 1);
        true
    }

    /// Takes the connection that a client connection keeps to that server (`None`: to where its backend
    /// dispatches to) into use.
    pub(crate) fn take_private(
        &mut self,
        front: Key,
        backend: ProxyId,
        server: Option<ServerId>,
        hash: u64,
    ) -> Option<Key> {
        let owner = self.conns.get(front)?.front()?;
        let fits = |key: &Key| {
            let side = self.conns.get(*key).and_then(Conn::back);
            side.is_some_and(|side| {
                side.shelf == Shelf::Session
                    && (side.backend, side.server, side.hash) == (backend, server, hash)
            })
        };
        let back = owner.private.iter().copied().find(fits)?;
        self.count_private(back, -1);
        self.conns.get_mut(back)?.back_mut()?.shelf = Shelf::None;
        if let Some(server) = server {
            let numbers = self.state.server_mut(server);
            numbers.used_conns += 1;
            numbers.used_conns_max = numbers.used_conns_max.max(numbers.used_conns);
        }
        Some(back)
    }

    fn count_private(&mut self, back: Key, change: i32) {
        if let Some(server) = self
            .conns
            .get(back)
            .and_then(Conn::back)
            .and_then(|back| back.server)
        {
            let count = &mut self.state.server_mut(server).private_idle_conns;
            *count = count.saturating_add_signed(change);
        }
    }

    /// How many descriptors are in use, and from where on idle connections are not kept.
    pub(crate) fn fd_limits(&self) -> FdLimits {
        let tune = &self.config.global.tune;
        let all = u64::from(self.state.process.maxsock);
        let share =
            |percent: u32| u32::try_from((all * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX);
        FdLimits {
            used: u32::try_from(self.conns.len() + self.config.listeners.len()).unwrap_or(u32::MAX)
                + OWN_DESCRIPTORS,
            high: share(tune.pool_high_fd_ratio),
            low: share(tune.pool_low_fd_ratio),
        }
    }

    /// Has the idle connections of a server looked at after its `pool-purge-delay`.
    pub(crate) fn schedule_purge(&mut self, server: ServerId) {
        let delay_ms = self.config.server(server).pool_purge_delay_ms;
        let now = self.now();
        let Some(timer) = self.idle.purge_timer(server) else {
            return;
        };
        if timer.deadline().is_never() {
            let key = token(Kind::Duty, u64::from(server.0));
            self.wheel.schedule(key, timer, now.plus_ms(u64::from(delay_ms)));
        }
    }

    /// Tells the operator about a proxy: on the terminal and in its logs.
    pub(crate) fn tell(&mut self, proxy: ProxyId, level: Level, text: &str) {
        log::error!("{text}");
        self.log_message(proxy, level, text);
    }

    /// Tells the logs of a frontend that the system refused to accept. Runtime sockets have no logs.
    pub(crate) fn log_refused_accept(&mut self, id: ListenerId, shortage: Shortage) {
        let ListenerOwner::Proxy(frontend) = self.config.listener(id).owner else {
            return;
        };
        let process = &self.state.process;
        let name = &self.config.proxy(frontend).name;
        let text = shortage.accept_line(name, process.maxsock, process.conns);
        self.log_message(frontend, Level::Emerg, &text);
    }

    /// Sends a message about a proxy to its logs.
    pub(super) fn log_message(&mut self, proxy: ProxyId, level: Level, text: &str) {
        let config = self.config.clone();
        let wall_us = self.clock.stamp().wall_us;
        self.logger.line.clear();
        self.logger.line.extend_from_slice(text.as_bytes());
        self.logger.send_line(&config, Some(proxy), level, wall_us);
    }

    /// Keeps a refused message for `show errors`. Names of fields that were read already stand in small letters, as they
    /// would have gone out.
    pub(crate) fn capture_error(
        &mut self,
        session: &SessionFacts,
        refused: Refused,
        bytes: &[u8],
        position: usize,
    ) {
        let (proxy, other, server) = match refused {
            Refused::Request(backend) => (session.frontend, backend, None),
            Refused::Response(backend, server) => (backend, Some(session.frontend), server),
        };
        let is_response = matches!(refused, Refused::Response(..));
        let kept = bytes.get(..bytes.len().min(ERROR_BYTES_MAX)).unwrap_or_default();
        let error = CapturedError {
            number: self.errors_total,
            wall_us: self.clock.stamp().wall_us,
            proxy,
            other,
            server,
            is_response,
            src: session.src,
            bytes: kept.into(),
            position: position.min(kept.len()),
        };
        self.errors_total = self.errors_total.wrapping_add(1);
        self.errors.insert((proxy, is_response), error);
    }

    /// Makes a client connection wait for its next request, or a server's for its next stream, until `deadline`.
    pub(crate) fn park(&mut self, key: Key, deadline: Ticks) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.owner = Owner::Idle;
            self.wheel
                .schedule(token(Kind::Conn, key.to_u64()), &mut conn.timer, deadline);
        }
    }
}
