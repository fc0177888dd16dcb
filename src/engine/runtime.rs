//! Connections to the runtime socket: bytes between a socket and a [`Service`], one object each.
//!
//! Not on the path of requests. Output is produced in bounded pieces as the peer takes it.
//! Source: management manual, "Unix Socket commands"; configuration manual, `stats timeout`, `stats maxconn`.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::Socket;

use super::core::Core;
use super::listener::endpoint_of;
use super::poll::{Kind, Ready, token};
use super::service::{Cx, Effects, Opening, Service, Services};
use super::sights::{TalkFacts, View, pools};
use super::worker::Worker;
use crate::base::slab::{Key, Slots};
use crate::base::ticks::Ticks;
use crate::base::wheel::{Due, Timer};
use crate::model::config::Config;
use crate::model::ids::ListenerId;
use crate::model::listener::{Level, Owner};
use crate::model::txn::Endpoint;

/// Bytes read or produced at a time.
const PIECE_BYTES: usize = 16_384;
/// Pieces in one turn, so that a long dump does not hold up the traffic.
const PIECES_MAX: usize = 16;

/// One connection.
pub(super) struct RuntimeConn {
    socket: Socket,
    /// What others may be told of it.
    pub(super) facts: TalkFacts,
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
        if let Some(server) = effects.weigh {
            core.note_weight(server);
        }
        result
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

impl Core {
    /// Whether the runtime socket takes one more connection.
    pub(super) fn may_accept_runtime(&self, held: usize) -> bool {
        held < self.config.global.stats_maxconn as usize
    }
}
