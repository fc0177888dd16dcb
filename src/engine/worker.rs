//! One event loop and everything that belongs to it.
//!
//! ```text
//!  wait for events -> read the clock -> sockets, listeners, runtime sockets, signals
//!                  -> timers that are due -> streams to run (bounded turns) -> listeners that may go on
//! ```
//! Streams are taken out of their slot while they run, so that they can use everything else.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::bind::Bound;
use super::buffers::BufferWaiters;
use super::conn::{Owner, Side};
use super::control::{ControlSource, Phase};
use super::core::{Core, Wake};
use super::idle::IdleConns;
use super::listener::{Listening, Stop};
use super::logger::Logger;
use super::netns::Namespaces;
use super::poll::{Kind, Poller, Ready, token, untoken};
use super::runtime::Runtime;
use super::service::Services;
use super::stream::{Outcome, Stream};
use super::sys;
use super::tunnel::Pipes;
use crate::base::pool::{BURST_LEN, BufLimits, BufPool, Pool, Spare};
use crate::base::rng::Rng;
use crate::base::slab::{Key, Slots};
use crate::base::ticks::Ticks;
use crate::base::wheel::{Due, Timer, Wheel};
use crate::model::config::Config;
use crate::model::global::Tune;
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::listener::Owner as ListenerOwner;
use crate::model::proxy::Mode;
use crate::model::state::{ListenerStatus, State};
use crate::policy::lb::Balancer;
use crate::policy::queue::Queues;
use crate::proto::head::Head;

use super::clock::Clock;

/// Unused buffers kept for later, and unused heads and streams.
const IDLE_BUFFERS_MAX: usize = 1_024;
const IDLE_OBJECTS_MAX: usize = 1_024;

/// What a turn of the loop deals with has room from the start, so that it need not grow in the middle of traffic.
const TURN_OBJECTS: usize = 256;

/// After so long, what was not needed in the meantime is given back.
const TRIM_MS: u64 = 3_000;

/// Bytes of freed memory from which on the system gets its pages back: it costs a walk through the heap.
const RELEASE_LEN_MIN: usize = 524_288;

/// The least that each of a request under way and a response needs to come to its end is two buffers.
const RESERVE_MIN: u32 = 4;

/// What the process decided before the loop starts.
pub struct Setup {
    /// The configuration.
    pub config: Arc<Config>,
    /// Numbers, with limits already filled in.
    pub state: State,
    /// Listening sockets.
    pub bound: Vec<Bound>,
    /// The network namespaces that the configuration names.
    pub namespaces: Namespaces,
    /// Services of the floors above.
    pub services: Services,
    /// Signals and other requests to the loop.
    pub control: Vec<Box<dyn ControlSource>>,
    /// Process number for logs.
    pub pid: u32,
    /// Name of the host for logs.
    pub hostname: String,
    /// The descriptor of the socket pair with the master, under one.
    pub master_link: Option<i32>,
    /// Connections to the runtime socket that exist already (the master's).
    pub runtime_conns: Vec<socket2::Socket>,
    /// The environment that `show env` tells of.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
}

/// How the time of the loop is spent, over the last second or so (`Idle_pct`).
#[derive(Clone, Copy, Debug)]
pub(super) struct IdleShare {
    window_began_at: Ticks,
    waited_ms: u64,
    percent: u32,
}

impl IdleShare {
    const WINDOW_MS: u64 = 1_000;

    fn new(now: Ticks) -> Self {
        Self {
            window_began_at: now,
            waited_ms: 0,
            percent: 100,
        }
    }

    /// A wait lasted from `before` to `now`.
    fn waited(&mut self, before: Ticks, now: Ticks) {
        self.waited_ms += now.ms_since(before);
        let window_ms = now.ms_since(self.window_began_at);
        if window_ms >= Self::WINDOW_MS {
            self.percent = u32::try_from(self.waited_ms.min(window_ms) * 100 / window_ms).unwrap_or(100);
            self.window_began_at = now;
            self.waited_ms = 0;
        }
    }

    /// Share of the last window spent waiting.
    pub(super) fn percent(self) -> u32 {
        self.percent
    }
}

/// One event loop.
pub struct Worker {
    pub(super) core: Core,
    pub(super) streams: Slots<Box<Stream>>,
    pub(super) spare_streams: Spare<Box<Stream>>,
    pub(super) listeners: Vec<Listening>,
    pub(super) runtime: Runtime,
    pub(super) control: Vec<Box<dyn ControlSource>>,
    pub(super) phase: Phase,
    /// Ends the process when it stops softly for too long.
    pub(super) hard_stop: Timer,
    /// Gives back what pools hold and nobody needs any more.
    trim: Timer,
    /// Runs before a soft stop takes effect.
    pub(super) grace: Timer,
    events: Vec<(u64, Ready)>,
    due: Vec<u64>,
    running: Vec<(Key, Wake)>,
    victims: Vec<Key>,
    /// Some listener stopped because its turn was over.
    accept_again: bool,
    pub(super) idle_share: IdleShare,
    /// The descriptor of the socket pair with the master.
    pub(super) master_link: Option<i32>,
    pub(super) env: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Duties of the loop that have a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Purge the idle connections of a server.
    Purge(ServerId),
    /// The hard stop after a soft one.
    HardStop,
    /// The end of the grace time.
    Grace,
    /// Give back memory that nobody has needed for a while.
    Trim,
}

impl Duty {
    const HARD_STOP: u64 = 1 << 40;
    const GRACE: u64 = 2 << 40;
    const TRIM: u64 = 3 << 40;

    pub(super) fn key(self) -> u64 {
        match self {
            Self::Purge(server) => token(Kind::Duty, u64::from(server.0)),
            Self::HardStop => token(Kind::Duty, Self::HARD_STOP),
            Self::Grace => token(Kind::Duty, Self::GRACE),
            Self::Trim => token(Kind::Duty, Self::TRIM),
        }
    }

    fn of(rest: u64) -> Option<Self> {
        match rest {
            Self::HARD_STOP => Some(Self::HardStop),
            Self::GRACE => Some(Self::Grace),
            Self::TRIM => Some(Self::Trim),
            server => u32::try_from(server)
                .ok()
                .map(|server| Self::Purge(ServerId(server))),
        }
    }
}

/// The pool of buffers that the configuration asks for.
fn buffers(tune: &Tune) -> BufPool {
    let limits = (tune.buffers_limit > 0).then_some(BufLimits {
        limit: tune.buffers_limit as usize,
        reserve: tune.buffers_reserve.max(RESERVE_MIN) as usize,
    });
    let capacity = tune.bufsize as usize + tune.maxrewrite as usize;
    let bufs = BufPool::new(capacity, IDLE_BUFFERS_MAX, limits);
    // Who asks for little memory gets no large buffers, and who asks for larger ones has them.
    let wants_bursts = limits.is_none() && tune.bufsize >= Tune::default().bufsize && capacity < BURST_LEN;
    if wants_bursts { bufs.with_bursts() } else { bufs }
}

impl Worker {
    /// A loop ready to run.
    ///
    /// # Errors
    /// When the system has no poller, or refuses a listening socket in it.
    pub fn new(setup: Setup) -> io::Result<Self> {
        let Setup {
            config,
            state,
            bound,
            namespaces,
            services,
            control,
            pid,
            hostname,
            master_link,
            runtime_conns,
            env,
        } = setup;
        let tune = &config.global.tune;
        let poller = Poller::new(tune.maxpollevents as usize)?;
        let clock = Clock::start();
        let mut rng = Rng::new(clock.stamp().wall_us ^ (u64::from(pid) << 32));
        let balancers = (0..config.proxies.len())
            .map(|index| {
                let id = ProxyId(u32::try_from(index).unwrap_or(u32::MAX));
                config
                    .proxy(id)
                    .caps
                    .backend
                    .then(|| Balancer::of(&config, &state, id, rng.next_u64()))
            })
            .collect();
        let mut core = Core {
            wheel: Wheel::new(),
            conns: Slots::new(),
            idle: IdleConns::new(&config),
            balancers,
            queues: Queues::new(),
            bufs: buffers(tune),
            heads: Pool::new(IDLE_OBJECTS_MAX, None, |head: &mut Box<Head>| head.clear()),
            pipes: Pipes::new(state.process.maxpipes, tune.pipesize),
            logger: Logger::new(pid, &hostname),
            rng,
            wakes: Vec::with_capacity(TURN_OBJECTS),
            listeners_may_go: false,
            scratch: vec![0; tune.bufsize as usize].into_boxed_slice(),
            case_map: super::core::case_map(&config),
            buffer_waiters: BufferWaiters::default(),
            turn: 0,
            closed_by: Ticks::NEVER,
            errors: HashMap::new(),
            errors_total: 0,
            namespaces,
            clock,
            poller,
            state,
            config,
        };
        let mut listeners = Vec::with_capacity(bound.len());
        for socket in bound {
            let listening = Listening::new(socket);
            if let Some(fd) = listening.fd() {
                core.poller
                    .register_read(fd, token(Kind::Listener, listeners.len() as u64))?;
            }
            core.note_listener(listening.id, ListenerStatus::Open);
            core.state.listener_mut(listening.id).bound = listening.bound_address();
            listeners.push(listening);
        }
        for (index, source) in control.iter().enumerate() {
            core.poller
                .register_read(source.fd(), token(Kind::Control, index as u64))?;
        }
        let idle_share = IdleShare::new(core.now());
        let mut worker = Self {
            core,
            streams: Slots::new(),
            spare_streams: Spare::new(IDLE_OBJECTS_MAX),
            trim: Timer::new(),
            listeners,
            runtime: Runtime::new(services),
            control,
            phase: Phase::Serving,
            hard_stop: Timer::new(),
            grace: Timer::new(),
            events: Vec::with_capacity(TURN_OBJECTS),
            due: Vec::with_capacity(TURN_OBJECTS),
            running: Vec::with_capacity(TURN_OBJECTS),
            victims: Vec::new(),
            accept_again: true,
            idle_share,
            master_link,
            env,
        };
        for socket in runtime_conns {
            worker.adopt_runtime_conn(socket);
        }
        Ok(worker)
    }

    /// Runs until the process is to end.
    ///
    /// # Errors
    /// When waiting for events fails for another reason than a signal.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_over() {
            let timeout = self.wait_time();
            self.events.clear();
            let mut events = std::mem::take(&mut self.events);
            let before = self.core.now();
            let waited = self.core.poller.wait(timeout, &mut events);
            self.core.clock.tick();
            self.core.turn += 1;
            self.idle_share.waited(before, self.core.now());
            for (event, ready) in events.drain(..) {
                self.dispatch(event, ready);
            }
            self.events = events;
            waited?;
            self.fire_timers();
            self.run_streams();
            self.accept_all();
        }
        // Servers are not left with connections in which nothing comes any more.
        for key in self.core.idle.all(&self.core.conns) {
            self.core.close_conn(key);
        }
        Ok(())
    }

    fn wait_time(&self) -> Option<Duration> {
        if !self.core.wakes.is_empty() || self.accept_again {
            return Some(Duration::ZERO);
        }
        let deadline = self.core.wheel.next_deadline()?;
        // One more millisecond, so that the deadline is past when the wait is over.
        let now = self.core.now();
        Some(Duration::from_millis(
            deadline.ms_left(now).map_or(0, |ms| ms.saturating_add(1)),
        ))
    }

    fn dispatch(&mut self, event: u64, ready: Ready) {
        let (kind, rest) = untoken(event);
        match kind {
            Kind::Conn => self.on_conn_event(Key::from_u64(rest), ready),
            Kind::Listener => {
                let index = usize::try_from(rest).unwrap_or(usize::MAX);
                if let Some(listening) = self.listeners.get_mut(index) {
                    listening.ready = true;
                    self.accept_again = true;
                }
            }
            Kind::Service => self.on_runtime_event(Key::from_u64(rest), ready),
            Kind::Control => self.on_control(usize::try_from(rest).unwrap_or(usize::MAX)),
            Kind::Stream | Kind::Duty => {}
        }
    }

    fn on_conn_event(&mut self, key: Key, ready: Ready) {
        let Some(conn) = self.core.conns.get_mut(key) else {
            return;
        };
        conn.ready.insert(ready);
        match (conn.owner, &conn.side) {
            (Owner::Stream(stream), _) => self.core.wake(stream, Wake::Io),
            (Owner::Handshake, _) => self.on_handshake(key),
            (Owner::Idle, Side::Front(_)) => {
                if ready.any(Ready::READ | Ready::ERROR) {
                    self.begin_stream(key);
                }
            }
            (Owner::Idle, Side::Back(_)) => {
                // Nothing may come while it is idle: the server closed it, or broke the protocol.
                if ready.any(Ready::READ | Ready::READ_CLOSED | Ready::ERROR) {
                    self.core.close_conn(key);
                }
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = self.core.now();
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        self.core.wheel.expire(now, &mut due);
        for key in due.drain(..) {
            self.fire_timer(key, now);
        }
        self.due = due;
    }

    fn fire_timer(&mut self, key: u64, now: Ticks) {
        let (kind, rest) = untoken(key);
        match kind {
            Kind::Stream => {
                if let Some(stream) = self.streams.get_mut(Key::from_u64(rest))
                    && self.core.wheel.check(key, &mut stream.timer, now) == Due::Fired
                {
                    self.core.wake(Key::from_u64(rest), Wake::Timer);
                }
            }
            Kind::Conn => {
                let conn = Key::from_u64(rest);
                if let Some(found) = self.core.conns.get_mut(conn)
                    && self.core.wheel.check(key, &mut found.timer, now) == Due::Fired
                {
                    self.on_conn_timeout(conn);
                }
            }
            Kind::Listener => {
                let index = usize::try_from(rest).unwrap_or(usize::MAX);
                if let Some(listening) = self.listeners.get_mut(index)
                    && self.core.wheel.check(key, &mut listening.timer, now) == Due::Fired
                {
                    self.accept_again = true;
                }
            }
            Kind::Service => self.on_runtime_timer(Key::from_u64(rest)),
            Kind::Duty => self.do_duty(key, rest, now),
            Kind::Control => {}
        }
    }

    fn do_duty(&mut self, key: u64, rest: u64, now: Ticks) {
        match Duty::of(rest) {
            Some(Duty::Purge(server)) => {
                let Some(timer) = self.core.idle.purge_timer(server) else {
                    return;
                };
                if self.core.wheel.check(key, timer, now) == Due::Fired {
                    self.purge_idle(server);
                }
            }
            Some(Duty::HardStop) if self.core.wheel.check(key, &mut self.hard_stop, now) == Due::Fired => {
                self.hard_stop();
            }
            Some(Duty::Grace) if self.core.wheel.check(key, &mut self.grace, now) == Due::Fired => {
                self.grace_over();
            }
            Some(Duty::Trim) if self.core.wheel.check(key, &mut self.trim, now) == Due::Fired => {
                self.trim_pools();
            }
            Some(Duty::HardStop | Duty::Grace | Duty::Trim) | None => {}
        }
    }

    /// Has the pools looked at after a while, if that is not planned yet.
    fn plan_trim(&mut self) {
        if !self.trim.deadline().is_set() {
            let when = self.core.now().plus_ms(TRIM_MS);
            self.core.wheel.schedule(Duty::Trim.key(), &mut self.trim, when);
        }
    }

    /// Gives back what a crowd that is gone left in the pools, and comes back while they hold anything.
    fn trim_pools(&mut self) {
        let freed_len = self.core.bufs.trim_unused()
            + self.core.heads.trim_unused() * Head::size(self.core.config.global.tune.http_maxhdr as usize)
            + self.spare_streams.trim_unused() * size_of::<Stream>();
        if freed_len >= RELEASE_LEN_MIN {
            sys::release_memory();
        }
        if self.spare_streams.is_trimmable() {
            self.plan_trim();
        }
    }

    /// Closes what a server's traffic does not need, and comes back while some is left.
    fn purge_idle(&mut self, server: ServerId) {
        let mut victims = std::mem::take(&mut self.victims);
        victims.clear();
        let core = &mut self.core;
        let any_left = core
            .idle
            .purge(server, &core.conns, &mut core.state, &mut victims);
        for victim in victims.drain(..) {
            core.close_conn(victim);
        }
        self.victims = victims;
        if any_left {
            core.schedule_purge(server);
        }
    }

    /// Runs each stream that was woken, once; those that wake again wait for the next turn.
    fn run_streams(&mut self) {
        std::mem::swap(&mut self.running, &mut self.core.wakes);
        let mut running = std::mem::take(&mut self.running);
        for (key, why) in running.drain(..) {
            self.run_stream(key, why);
            self.core.serve_buffer_waiters();
        }
        self.running = running;
    }

    pub(super) fn run_stream(&mut self, key: Key, why: Wake) {
        let Some(mut stream) = self.streams.take_out(key) else {
            // The stream ended while its slot was on the way: others may want it.
            if let Wake::Granted(granted) = why {
                self.core.free_slot(granted.server);
            }
            return;
        };
        match stream.run(&mut self.core, why) {
            Outcome::Live => {
                // The slot was kept: nothing else can be in it.
                let _ = self.streams.put_back(key, stream);
            }
            Outcome::Over => {
                self.streams.discard(key);
                self.core.wheel.cancel(&mut stream.timer);
                let streams = &mut self.core.state.process.streams;
                *streams = streams.saturating_sub(1);
                self.spare_streams.push(stream);
                self.plan_trim();
            }
        }
    }

    /// Accepts on every listener that may have connections waiting.
    fn accept_all(&mut self) {
        if std::mem::take(&mut self.core.listeners_may_go) {
            self.accept_again = true;
        }
        if !std::mem::take(&mut self.accept_again) {
            return;
        }
        for index in 0..self.listeners.len() {
            self.accept_burst(index);
        }
    }

    fn accept_burst(&mut self, index: usize) {
        let turn_max = self.core.config.global.tune.maxaccept.unwrap_or(u32::MAX);
        let mut taken = 0;
        let stop = loop {
            let Some(listening) = self.listeners.get(index) else {
                return;
            };
            if !listening.ready || !listening.is_open() {
                return;
            }
            let id = listening.id;
            if taken >= turn_max {
                break Stop::Turn;
            }
            if let Err(stop) = self.may_accept(id) {
                break stop;
            }
            match listening.accept(self.core.now()) {
                Ok((socket, address)) => {
                    taken += 1;
                    match self.core.config.listener(id).owner {
                        ListenerOwner::Proxy(frontend) => self.on_accepted(frontend, id, socket, &address),
                        ListenerOwner::Cli | ListenerOwner::MasterCli => self.on_runtime_accepted(id, socket),
                    }
                }
                Err(stop) => break stop,
            }
        };
        let Some(listening) = self.listeners.get_mut(index) else {
            return;
        };
        let id = listening.id;
        let status = match stop {
            Stop::Drained => {
                listening.ready = false;
                ListenerStatus::Open
            }
            Stop::Turn => {
                self.accept_again = true;
                ListenerStatus::Open
            }
            Stop::Full => ListenerStatus::Full,
            Stop::Until(when) | Stop::Short(_, when) => {
                let key = token(Kind::Listener, index as u64);
                self.core.wheel.schedule(key, &mut listening.timer, when);
                ListenerStatus::Waiting
            }
        };
        self.core.note_listener(id, status);
        if let Stop::Short(shortage, _) = stop {
            self.core.log_refused_accept(id, shortage);
        }
    }

    fn may_accept(&self, id: ListenerId) -> Result<(), Stop> {
        match self.core.config.listener(id).owner {
            ListenerOwner::Proxy(_) => self.core.may_accept(id),
            ListenerOwner::Cli if !self.core.may_accept_runtime(self.runtime.len()) => Err(Stop::Full),
            ListenerOwner::Cli | ListenerOwner::MasterCli => Ok(()),
        }
    }

    /// A stream in its slot for that client connection.
    pub(super) fn add_stream(&mut self, front: Key) -> Option<Key> {
        let now = self.core.now();
        let side = self.core.conns.get_mut(front)?.front_mut()?;
        let http = self.core.config.proxy(side.facts.frontend).mode == Mode::Http;
        let spare = self.spare_streams.pop();
        self.core.state.process.streams += 1;
        Some(
            self.streams
                .insert_with(|key| Stream::begin(key, front, side, http, now, spare)),
        )
    }
}
