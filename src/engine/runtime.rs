//! Connections to the runtime socket: bytes between a socket and a [`Service`], one object each.
//!
//! Not on the path of requests. Output is produced in bounded pieces as the peer takes it.
//! Source: management manual, "Unix Socket commands"; configuration manual, `stats timeout`, `stats maxconn`.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::Socket;

use super::conn::Conn;
use super::core::{CapturedError, Core};
use super::listener::endpoint_of;
use super::poll::{Kind, Ready, token};
use super::service::{
    Cx, Effects, ErrorSight, Gauges, Opening, PoolSight, Service, Services, SideSight, Sights, StreamSight,
};
use super::stream::{Step, Stream};
use super::worker::Worker;
use crate::base::pool::{BURST_LEN, PoolStats};
use crate::base::slab::{Key, Slots};
use crate::base::ticks::Ticks;
use crate::base::wheel::{Due, Timer};
use crate::model::config::Config;
use crate::model::ids::{ListenerId, ProxyId};
use crate::model::listener::{Level, Owner};
use crate::model::proxy::Mode;
use crate::model::txn::{Endpoint, Stamp};
use crate::proto::head::Head;

/// Bytes read or produced at a time.
const PIECE_BYTES: usize = 16_384;
/// Pieces in one turn, so that a long dump does not hold up the traffic.
const PIECES_MAX: usize = 16;

/// What HAProxy counts among its jobs beside listeners and connections: its watcher of server addresses.
const OWN_JOBS: u32 = 1;

/// Where conversations begin among the places of [`Sights::stream_from`], behind all streams.
const TALKS: usize = usize::MAX / 2;
/// The place of the conversation that asks, among these: it is the last that was heard of.
const OWN_TALK: usize = u32::MAX as usize;

/// What is told of a conversation.
#[derive(Clone, Copy)]
struct TalkFacts {
    fd: i32,
    /// `None` for the pair with the master.
    listener: Option<ListenerId>,
    src: Endpoint,
    begun: Stamp,
    counter: u64,
}

/// One connection.
struct RuntimeConn {
    socket: Socket,
    facts: TalkFacts,
    ready: Ready,
    service: Box<dyn Service>,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    read_closed: bool,
    idle_timeout_ms: u32,
    timer: Timer,
}

/// All connections to the runtime socket.
pub(super) struct Runtime {
    services: Services,
    conns: Slots<RuntimeConn>,
}

impl Runtime {
    pub(super) fn new(services: Services) -> Self {
        Self {
            services,
            conns: Slots::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }
}

/// What a turn leaves of a connection.
enum After {
    Wait,
    Again,
    Close,
}

impl Worker {
    /// Takes an accepted connection to the runtime socket into service.
    pub(super) fn on_runtime_accepted(&mut self, id: ListenerId, socket: Socket) {
        let listener = self.core.config.listener(id);
        let opening = Opening {
            listener: id,
            level: listener.level,
            from_master: listener.owner == Owner::MasterCli,
        };
        self.add_runtime_conn(socket, opening);
    }

    /// Takes a connection that the master made before the loop began.
    pub(super) fn adopt_runtime_conn(&mut self, socket: Socket) {
        self.add_runtime_conn(
            socket,
            Opening {
                listener: ListenerId(u32::MAX),
                level: Level::Admin,
                from_master: true,
            },
        );
    }

    fn add_runtime_conn(&mut self, socket: Socket, opening: Opening) {
        let config = self.core.config.clone();
        let service = (self.runtime.services.cli)(opening, &config);
        let fd = socket.as_raw_fd();
        let idle_timeout_ms = if opening.from_master {
            0
        } else {
            config.global.stats_timeout_ms
        };
        let src = socket
            .peer_addr()
            .map_or(Endpoint::Unknown, |addr| endpoint_of(&addr));
        let facts = TalkFacts {
            fd,
            listener: Some(opening.listener).filter(|id| id.index() < config.listeners.len()),
            src,
            begun: self.core.clock.stamp(),
            counter: self.core.state.process.counters.requests,
        };
        let key = self.runtime.conns.insert(RuntimeConn {
            socket,
            facts,
            ready: Ready::WRITE,
            service,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            read_closed: false,
            idle_timeout_ms,
            timer: Timer::new(),
        });
        if self
            .core
            .poller
            .register(fd, token(Kind::Service, key.to_u64()))
            .is_err()
        {
            self.runtime.conns.remove(key);
            return;
        }
        // To HAProxy, and to whoever adds up its numbers, such a connection is one stream like any other.
        let process = &mut self.core.state.process;
        process.streams += 1;
        process.counters.conns += 1;
        process.count_if_full();
        process.counters.streams += 1;
        self.core.next_number();
        self.rearm_runtime(key);
    }

    pub(super) fn on_runtime_event(&mut self, key: Key, ready: Ready) {
        if let Some(conn) = self.runtime.conns.get_mut(key) {
            conn.ready.insert(ready);
            self.drive_runtime(key);
        }
    }

    pub(super) fn on_runtime_timer(&mut self, key: Key) {
        let now = self.core.now();
        let timer_key = token(Kind::Service, key.to_u64());
        let Some(conn) = self.runtime.conns.get_mut(key) else {
            return;
        };
        if self.core.wheel.check(timer_key, &mut conn.timer, now) != Due::Fired {
            return;
        }
        if conn.ready.any(Ready::READ) || conn.sent < conn.output.len() && conn.ready.any(Ready::WRITE) {
            // It was only waiting for its next turn.
            self.drive_runtime(key);
        } else if conn.service.is_busy() {
            self.rearm_runtime(key);
        } else {
            self.close_runtime(key);
        }
    }

    fn rearm_runtime(&mut self, key: Key) {
        let now = self.core.now();
        if let Some(conn) = self.runtime.conns.get_mut(key) {
            let deadline = Ticks::after(now, Some(conn.idle_timeout_ms));
            self.core
                .wheel
                .schedule(token(Kind::Service, key.to_u64()), &mut conn.timer, deadline);
        }
    }

    fn close_runtime(&mut self, key: Key) {
        if let Some(mut conn) = self.runtime.conns.remove(key) {
            self.core.wheel.cancel(&mut conn.timer);
            let streams = &mut self.core.state.process.streams;
            *streams = streams.saturating_sub(1);
        }
        self.core.listeners_may_go = true;
    }

    /// Lets a connection work for one turn.
    fn drive_runtime(&mut self, key: Key) {
        let Some(mut conn) = self.runtime.conns.take_out(key) else {
            return;
        };
        let after = self.work_on(&mut conn);
        // The slot was kept: nothing else can be in it.
        let _ = self.runtime.conns.put_back(key, conn);
        match after {
            After::Close => self.close_runtime(key),
            After::Wait => self.rearm_runtime(key),
            After::Again => {
                let soon = self.core.now().plus_ms(1);
                if let Some(conn) = self.runtime.conns.get_mut(key) {
                    self.core
                        .wheel
                        .schedule(token(Kind::Service, key.to_u64()), &mut conn.timer, soon);
                }
            }
        }
    }

    fn work_on(&mut self, conn: &mut RuntimeConn) -> After {
        for _ in 0..PIECES_MAX {
            match conn.flush() {
                Ok(true) => {}
                Ok(false) => return After::Wait,
                Err(_) => return After::Close,
            }
            if self.produce(conn) > 0 {
                continue;
            }
            if conn.service.is_finished() {
                let _ = conn.socket.shutdown(std::net::Shutdown::Write);
                return After::Close;
            }
            if !conn.input.is_empty() && self.feed(conn) > 0 {
                continue;
            }
            if conn.read_closed {
                return After::Close;
            }
            match conn.read() {
                Ok(0) => {
                    conn.read_closed = true;
                    conn.service.input_closed();
                    // What the end of the input releases is produced, then the connection ends.
                    if self.feed(conn) == 0 && self.produce(conn) == 0 && conn.output.is_empty() {
                        return After::Close;
                    }
                }
                Ok(_) => {}
                Err(ErrorKind::WouldBlock) => return After::Wait,
                Err(_) => return After::Close,
            }
        }
        After::Again
    }

    fn feed(&mut self, conn: &mut RuntimeConn) -> usize {
        let input = std::mem::take(&mut conn.input);
        let taken = self.with_cx(conn, |service, cx| service.input(&input, cx));
        conn.input = input;
        conn.input.drain(..taken.min(conn.input.len()));
        taken
    }

    fn produce(&mut self, conn: &mut RuntimeConn) -> usize {
        let mut room = std::mem::take(&mut conn.output);
        room.clear();
        room.resize(PIECE_BYTES, 0);
        let made = self.with_cx(conn, |service, cx| service.output(&mut room, cx));
        room.truncate(made);
        conn.output = room;
        conn.sent = 0;
        self.core.state.process.counters.out_bytes += made as u64;
        made
    }

    fn with_cx<R>(
        &mut self,
        conn: &mut RuntimeConn,
        call: impl FnOnce(&mut dyn Service, &mut Cx<'_>) -> R,
    ) -> R {
        let gauges = self.gauges();
        let core = &mut self.core;
        let stamp = core.clock.stamp();
        let zone = core.logger.zone(stamp.wall_us);
        let view = View {
            talks: &self.runtime.conns,
            own: conn.facts,
            config: &core.config,
            streams: &self.streams,
            conns: &core.conns,
            pools: pools(core, &self.streams),
            gauges,
            errors: &core.errors,
            errors_total: core.errors_total,
            env: &self.env,
            bufsize: core.config.global.tune.bufsize as usize,
        };
        let mut effects = Effects::default();
        let config: Arc<Config> = core.config.clone();
        let mut cx = Cx {
            config: &config,
            state: &mut core.state,
            now: stamp.at,
            wall_us: stamp.wall_us,
            zone,
            sights: &view,
            effects: &mut effects,
        };
        let result = call(&mut *conn.service, &mut cx);
        if let Some(timeout_ms) = effects.idle_timeout_ms {
            conn.idle_timeout_ms = timeout_ms;
        }
        if effects.wake_listeners {
            core.listeners_may_go = true;
        }
        if let Some(server) = effects.serve_queue {
            core.serve_queues(server, config.server(server).proxy);
        }
        result
    }

    fn gauges(&self) -> Gauges {
        let (pipes_used, pipes_free) = self.core.pipes.counts();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let open = self.listeners.iter().filter(|l| l.fd().is_some()).count();
        // The pair with the master is a listener to HAProxy: conversations come in over it.
        let open = count(open + usize::from(self.master_link.is_some()));
        Gauges {
            tasks: count(self.core.wheel.len()),
            run_queue: count(self.core.wakes.len()),
            idle_pct: self.idle_share.percent(),
            pipes_used,
            pipes_free,
            out_bytes_rate: 0,
            jobs: open
                .saturating_add(self.core.state.process.conns)
                .saturating_add(count(self.runtime.len()))
                .saturating_add(OWN_JOBS),
            listeners: open,
            master_link: self.master_link,
        }
    }
}

/// The pools of a loop: name, bytes of an object, counters.
type PoolTable = [(&'static str, usize, PoolStats); 5];

fn pools(core: &Core, streams: &Slots<Box<Stream>>) -> PoolTable {
    [
        ("buffer", core.bufs.capacity(), core.bufs.stats()),
        ("burst_buffer", BURST_LEN, core.bufs.burst_stats()),
        ("head", size_of::<Head>(), core.heads.stats()),
        (
            "stream",
            size_of::<Stream>(),
            slots_stats(streams.len(), streams.peak()),
        ),
        (
            "connection",
            size_of::<Conn>(),
            slots_stats(core.conns.len(), core.conns.peak()),
        ),
    ]
}

fn slots_stats(len: usize, peak: usize) -> PoolStats {
    PoolStats {
        allocated: peak,
        in_use: len,
        peak,
        refused: 0,
    }
}

fn sight(name: &'static str, object_bytes: usize, stats: PoolStats) -> PoolSight {
    PoolSight {
        name,
        object_bytes,
        allocated: stats.allocated,
        in_use: stats.in_use,
        peak: stats.peak,
        refused: stats.refused,
    }
}

impl RuntimeConn {
    /// Sends what waits. True when nothing is left.
    fn flush(&mut self) -> Result<bool, ErrorKind> {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match (&self.socket).write(rest) {
                Ok(n) => self.sent += n,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        self.ready.remove(Ready::WRITE);
                        return Ok(false);
                    }
                    kind => return Err(kind),
                },
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Reads a piece. 0 is the end.
    fn read(&mut self) -> Result<usize, ErrorKind> {
        let held = self.input.len();
        self.input.resize(held + PIECE_BYTES, 0);
        let result = loop {
            match (&self.socket).read(self.input.get_mut(held..).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error.kind()),
                Ok(n) => break Ok(n),
            }
        };
        self.input.truncate(held + result.unwrap_or(0));
        if result == Err(ErrorKind::WouldBlock) {
            self.ready.remove(Ready::READ);
        }
        result
    }
}

/// What services may see.
struct View<'a> {
    talks: &'a Slots<RuntimeConn>,
    own: TalkFacts,
    config: &'a Config,
    streams: &'a Slots<Box<Stream>>,
    conns: &'a Slots<Conn>,
    pools: PoolTable,
    gauges: Gauges,
    errors: &'a std::collections::HashMap<(ProxyId, bool), CapturedError>,
    errors_total: u32,
    env: &'a [(Vec<u8>, Vec<u8>)],
    bufsize: usize,
}

impl View<'_> {
    fn fd_of(&self, key: Option<Key>) -> i32 {
        key.and_then(|key| self.conns.get(key)).map_or(-1, Conn::fd)
    }

    /// The first stream of the traffic at or behind that place.
    fn traffic_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        let mut from = u32::try_from(place).ok()?;
        let (key, stream) = loop {
            let key = self.streams.next_from(from)?;
            let stream = self.streams.get(key)?;
            // As in HAProxy a request is a stream once its head is there.
            if stream.step != Step::Request || self.config.proxy(stream.session.frontend).mode == Mode::Tcp {
                break (key, stream);
            }
            from = key.index + 1;
        };
        let facts = &stream.facts;
        let phase = match stream.step {
            Step::Request | Step::Gather | Step::Assign => "INI",
            Step::Queued => "QUE",
            Step::TurnAround => "TAR",
            Step::Connect => "CON",
            Step::Exchange => "EST",
            Step::Reply | Step::Drain | Step::Finish => "CLO",
        };
        let side = |key, phase, pending_bytes| SideSight {
            fd: self.fd_of(key),
            phase,
            pending_bytes,
            read_deadline: Ticks::NEVER,
            write_deadline: Ticks::NEVER,
        };
        let sight = StreamSight {
            id: stream.key.to_u64(),
            counter: facts.counter,
            listener: stream.session.listener,
            frontend: Some(stream.session.frontend),
            backend: facts.backend_chosen.then_some(facts.backend),
            server: facts.server,
            src: stream.session.src,
            begun: facts.begun,
            deadline: stream.timer.deadline(),
            retries: facts.retries,
            front: side(Some(stream.front), "EST", stream.req.input.len()),
            back: side(stream.back, phase, stream.res.input.len()),
            request_line: &facts.request_line,
        };
        Some((key.index as usize, sight))
    }

    /// The first conversation at or behind that place: to HAProxy they are streams as well.
    fn talk_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        let from = place.saturating_sub(TALKS);
        let other = u32::try_from(from)
            .ok()
            .and_then(|from| self.talks.next_from(from))
            .and_then(|key| Some((key.index as usize, self.talks.get(key)?.facts)));
        let own = (from <= OWN_TALK).then_some((OWN_TALK, self.own));
        let (at, facts) = other.or(own)?;
        let Some(listener) = facts.listener else {
            return self.talk_from(TALKS + at + 1);
        };
        let side = |fd, phase| SideSight {
            fd,
            phase,
            pending_bytes: 0,
            read_deadline: Ticks::NEVER,
            write_deadline: Ticks::NEVER,
        };
        let sight = StreamSight {
            // No key of a stream has this bit.
            id: 1 << 63 | facts.counter,
            counter: facts.counter,
            listener,
            frontend: None,
            backend: None,
            server: None,
            src: facts.src,
            begun: facts.begun,
            deadline: Ticks::NEVER,
            retries: 0,
            front: side(facts.fd, "EST"),
            back: side(-1, "EST"),
            request_line: b"",
        };
        Some((TALKS + at, sight))
    }
}

impl Sights for View<'_> {
    fn stream_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        self.traffic_from(place).or_else(|| self.talk_from(place))
    }

    fn pool(&self, number: usize) -> Option<PoolSight> {
        self.pools
            .get(number)
            .map(|(name, object_bytes, stats)| sight(name, *object_bytes, *stats))
    }

    fn gauges(&self) -> Gauges {
        self.gauges
    }

    fn errors_total(&self) -> u32 {
        self.errors_total
    }

    fn error(&self, proxy: ProxyId, response: bool) -> Option<ErrorSight<'_>> {
        let error = self.errors.get(&(proxy, response))?;
        Some(ErrorSight {
            number: error.number,
            wall_us: error.wall_us,
            proxy: error.proxy,
            other: error.other,
            server: error.server,
            is_response: error.is_response,
            src: error.src,
            bytes: &error.bytes,
            position: error.position,
            buffer_bytes: self.bufsize,
        })
    }

    fn env(&self, number: usize) -> Option<(&[u8], &[u8])> {
        self.env
            .get(number)
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

impl Core {
    /// Whether the runtime socket takes one more connection.
    pub(super) fn may_accept_runtime(&self, held: usize) -> bool {
        held < self.config.global.stats_maxconn as usize
    }
}
