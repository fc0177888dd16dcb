//! Requests to the loop from outside the traffic: soft stop, stop, pause. And how the loop ends.
//!
//! Signals reach the loop as a descriptor that becomes readable; who turns signals into [`Control`] stands
//! above. Source: management manual, "Stopping and restarting HAProxy"; configuration manual,
//! `hard-stop-after`, `grace`, `close-spread-time`.

use std::os::fd::RawFd;

use socket2::Socket;

use super::conn::{Conn, Owner, Side};
use super::core::{Core, Wake};
use super::poll::{Kind, token};
use super::worker::{Duty, Worker};
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::model::ids::ProxyId;
use crate::model::listener::Owner as ListenerOwner;
use crate::model::proxy::Proxy;
use crate::model::state::ListenerStatus;
use crate::policy::log::syslog::Level;

/// What the loop may be asked for.
#[derive(Debug)]
pub enum Control {
    /// Stop listening, let what runs come to its end, then end (SIGUSR1).
    SoftStop,
    /// End now (SIGTERM, SIGINT).
    Stop,
    /// Release the listening ports, keep serving (SIGTTOU).
    Pause,
    /// Listen again (SIGTTIN).
    Resume,
    /// Log the state of servers and proxies (SIGHUP).
    DumpState,
    /// Free what pools keep for later (SIGQUIT).
    FreePools,
    /// Take over a conversation that the master hands down.
    Adopt(Socket),
}

/// Where requests come from.
pub trait ControlSource {
    /// The descriptor that becomes readable when there are some.
    fn fd(&self) -> RawFd;
    /// The next one, until there is none.
    fn next(&mut self) -> Option<Control>;
}

/// How far the loop is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In full service.
    Serving,
    /// A soft stop was asked for; the grace time runs.
    Grace,
    /// No new connections; the rest comes to its end.
    Stopping,
    /// Streams were cut off; what is left has a moment to go.
    Killing,
    /// To be left at once.
    Over,
}

/// Milliseconds between a hard stop and the end of the process, where something outlives it.
const KILL_WAIT_MS: u64 = 1_000;

impl Worker {
    pub(super) fn on_control(&mut self, index: usize) {
        while let Some(control) = self.control.get_mut(index).and_then(|source| source.next()) {
            self.obey(control);
        }
    }

    /// Does what is asked for.
    pub(super) fn obey(&mut self, control: Control) {
        match control {
            Control::SoftStop => self.soft_stop(),
            Control::Stop => self.phase = Phase::Over,
            Control::Pause => self.pause(),
            Control::Resume => self.resume(),
            Control::DumpState => self.dump_state(),
            Control::FreePools => self.free_pools(),
            Control::Adopt(socket) => self.adopt_runtime_conn(socket),
        }
    }

    fn soft_stop(&mut self) {
        if self.phase != Phase::Serving {
            return;
        }
        self.core.state.process.stopping = true;
        let now = self.core.now();
        match self.core.config.global.grace_ms {
            Some(grace_ms) if grace_ms > 0 => {
                self.phase = Phase::Grace;
                let text = format!("Scheduling a soft-stop in {grace_ms} ms.");
                log::info!("{text}");
                self.log_for(None, Level::Warning, &text);
                let when = now.plus_ms(u64::from(grace_ms));
                self.core.wheel.schedule(Duty::Grace.key(), &mut self.grace, when);
            }
            _ => self.begin_stopping(),
        }
    }

    /// The grace time is over: the soft stop begins.
    pub(super) fn grace_over(&mut self) {
        let text = "Grace period expired, proceeding with soft-stop now.";
        log::info!("{text}");
        self.log_for(None, Level::Notice, text);
        self.begin_stopping();
    }

    /// Closes the listeners and the connections of idle clients; idle servers may still be of use.
    pub(super) fn begin_stopping(&mut self) {
        self.phase = Phase::Stopping;
        let now = self.core.now();
        if let Some(after_ms) = self.core.config.global.hard_stop_after_ms {
            let when = now.plus_ms(u64::from(after_ms));
            self.core
                .wheel
                .schedule(Duty::HardStop.key(), &mut self.hard_stop, when);
        }
        let config = self.core.config.clone();
        // As HAProxy says it: proxies with listeners end with their last one, the others after them.
        let listeners: Vec<ListenerOwner> = self
            .by_protocol(&config)
            .iter()
            .filter_map(|place| Some(config.listener(self.listeners.get(*place)?.id).owner))
            .collect();
        let ends_at = |id: ProxyId| {
            listeners
                .iter()
                .rposition(|owner| *owner == ListenerOwner::Proxy(id))
        };
        for listening in &mut self.listeners {
            self.core.wheel.cancel(&mut listening.timer);
            listening.close();
            self.core.state.listener_mut(listening.id).status = ListenerStatus::Closed;
        }
        self.core.closed_by = match self.core.config.global.close_spread_time_ms {
            Some(spread_ms) if spread_ms != u32::MAX => now.plus_ms(u64::from(spread_ms)),
            _ => Ticks::NEVER,
        };
        let mut stopped: Vec<&Proxy> = config.proxies.iter().map(|proxy| &**proxy).collect();
        stopped.retain(|proxy| !proxy.disabled);
        stopped.sort_by_key(|proxy| ends_at(proxy.id).unwrap_or(usize::MAX));
        for proxy in stopped {
            self.core.state.proxy_mut(proxy.id).stopped = true;
            self.tell_stopped(proxy);
        }
        self.close_idle_clients();
    }

    /// Closes client connections that wait for a next request, or has the wait end within `close-spread-time`.
    fn close_idle_clients(&mut self) {
        let core = &mut self.core;
        let is_idle = |conn: &Conn| matches!((&conn.side, conn.owner), (Side::Front(_), Owner::Idle));
        let conns = core.conns.iter();
        let idle: Vec<Key> = conns
            .filter(|(_, conn)| is_idle(conn))
            .map(|(key, _)| key)
            .collect();
        for key in idle {
            let Some(conn) = core.conns.get(key) else { continue };
            let deadline = conn.timer.deadline();
            let Some(front) = conn.front() else { continue };
            let (frontend, served) = (front.facts.frontend, front.streams > 0);
            if served && core.closes_idle(frontend) {
                core.close_conn(key);
                continue;
            }
            let when = core.idle_deadline(frontend, deadline);
            if let Some(conn) = core.conns.get_mut(key) {
                let timer_key = token(Kind::Conn, key.to_u64());
                core.wheel.schedule_by(timer_key, &mut conn.timer, when);
            }
        }
    }

    fn tell_stopped(&mut self, proxy: &Proxy) {
        let counters = &self.core.state.proxy(proxy.id).counters;
        let (fe, be) = (counters.fe.conns, counters.be.sessions);
        log::warn!(
            "Proxy {} stopped (cumulated conns: FE: {fe}, BE: {be}).",
            proxy.name
        );
        let text = format!(
            "Proxy {} stopped (cumulated conns: FE: {fe}, BE: {be}).",
            proxy.name
        );
        self.log_for(Some(proxy), Level::Warning, &text);
    }

    /// Sends a message about a proxy to its log targets, or one about the process to those of `global`.
    pub(super) fn log_for(&mut self, proxy: Option<&Proxy>, level: Level, text: &str) {
        let wall_us = self.core.clock.stamp().wall_us;
        self.core.logger.line.clear();
        self.core.logger.line.extend_from_slice(text.as_bytes());
        let config = self.core.config.clone();
        self.core
            .logger
            .send_line(&config, proxy.map(|proxy| proxy.id), level, wall_us);
    }

    /// Logs each server's and proxy's state, as SIGHUP asks for.
    fn dump_state(&mut self) {
        log::warn!("SIGHUP received, dumping servers states.");
        let config = self.core.config.clone();
        for proxy in &config.proxies {
            for id in &proxy.servers {
                let server = config.server(*id);
                let numbers = self.core.state.server(*id);
                let up = if numbers.health == crate::model::state::Health::Up {
                    "UP"
                } else {
                    "DOWN"
                };
                let text = format!(
                    "SIGHUP: Server {}/{} is {up}. Conn: {} act, {} pend, {} tot.",
                    proxy.name, server.name, numbers.sessions, numbers.queued, numbers.counters.sessions
                );
                log::warn!("{text}");
                self.log_for(Some(proxy), Level::Notice, &text);
            }
            let text = self.proxy_state(proxy);
            log::warn!("{text}");
            self.log_for(Some(proxy), Level::Notice, &text);
        }
    }

    fn proxy_state(&self, proxy: &Proxy) -> String {
        let numbers = self.core.state.proxy(proxy.id);
        let (fe, be) = (&numbers.counters.fe, &numbers.counters.be);
        let conns = format!(
            "act(FE+BE): {}+{}, {} pend ({} unass), tot(FE+BE): {}+{}.",
            numbers.fe_conns, numbers.be_conns, numbers.queued, numbers.queued, fe.conns, be.sessions
        );
        let what = match self.core.usable_servers(proxy.id) {
            _ if proxy.servers.is_empty() => "has no servers.".to_owned(),
            (0, 0) => "has no server available !".to_owned(),
            (0, _) => "is running on backup servers !".to_owned(),
            (active, backups) => {
                format!("has {active} active servers and {backups} backup servers available.")
            }
        };
        format!("SIGHUP: Proxy {} {what} Conn: {conns}", proxy.name)
    }

    /// Gives the memory of everything that is kept for later back.
    fn free_pools(&mut self) {
        self.core.bufs.trim();
        self.core.heads.trim();
        self.spare_streams.clear();
    }

    /// Whether the loop is to be left.
    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Over => true,
            Phase::Stopping | Phase::Killing => {
                self.core.state.process.conns == 0 && self.streams.is_empty() && self.runtime.is_empty()
            }
            Phase::Serving | Phase::Grace => false,
        }
    }

    /// The soft stop takes too long: cuts every stream off, each with its log line. What has no stream (a client
    /// that has not finished its first request, a conversation of the runtime socket) goes a moment later.
    pub(super) fn hard_stop(&mut self) {
        if self.phase == Phase::Killing {
            self.tell_all("Some tasks resisted to hard-stop, exiting now.");
            self.phase = Phase::Over;
            return;
        }
        self.tell_all("soft-stop running for too long, performing a hard-stop.");
        let config = self.core.config.clone();
        for proxy in config.proxies.iter().filter(|proxy| proxy.caps.frontend) {
            let conns = self.core.state.proxy(proxy.id).fe_conns;
            if conns > 0 {
                let text = format!(
                    "Proxy {} hard-stopped ({conns} remaining conns will be closed).",
                    proxy.name
                );
                log::warn!("{text}");
                self.log_for(Some(proxy), Level::Warning, &text);
            }
        }
        self.kill_streams();
        self.phase = Phase::Killing;
        let when = self.core.now().plus_ms(KILL_WAIT_MS);
        self.core
            .wheel
            .schedule(Duty::HardStop.key(), &mut self.hard_stop, when);
    }

    fn kill_streams(&mut self) {
        let keys: Vec<Key> = self.streams.iter().map(|(key, _)| key).collect();
        for key in &keys {
            // No slot that one of them frees is to go to another.
            if let Some(stream) = self.streams.get_mut(*key) {
                self.core.queues_cancel(*key, &mut stream.facts);
            }
        }
        for key in keys {
            self.run_stream(key, Wake::Kill);
        }
    }

    /// Tells the operator about the process: on the terminal and in the global logs.
    fn tell_all(&mut self, text: &str) {
        log::warn!("{text}");
        let wall_us = self.core.clock.stamp().wall_us;
        self.core.logger.line.clear();
        self.core.logger.line.extend_from_slice(text.as_bytes());
        let config = self.core.config.clone();
        self.core.logger.send_line(&config, None, Level::Warning, wall_us);
    }
}

impl Core {
    /// Whether the soft stop has a client's connection end after this answer, or now if it waits for another
    /// request: always, never (`close-spread-time infinite`), or the more likely the more of the window is over.
    pub(super) fn ends_reuse(&mut self, frontend: ProxyId) -> bool {
        if !self.state.proxy(frontend).stopped {
            return false;
        }
        match self.config.global.close_spread_time_ms {
            None | Some(0) => true,
            Some(u32::MAX) => false,
            Some(spread_ms) => {
                let left_ms = self.closed_by.ms_left(self.now()).unwrap_or(0);
                left_ms <= u64::from(self.rng.below(spread_ms))
            }
        }
    }

    /// Whether the soft stop closes a connection that waits for another request, unless
    /// `option idle-close-on-response` lets it have one more answer.
    pub(super) fn closes_idle(&mut self, frontend: ProxyId) -> bool {
        !self.config.proxy(frontend).options.idle_close_on_response && self.ends_reuse(frontend)
    }

    /// When a connection that waits for a request is closed: at `deadline`, or at some moment of the window in
    /// which a soft stop closes connections.
    pub(super) fn idle_deadline(&mut self, frontend: ProxyId, deadline: Ticks) -> Ticks {
        if self.closed_by.is_never() || !self.state.proxy(frontend).stopped || deadline < self.closed_by {
            return deadline;
        }
        let left_ms = self.closed_by.ms_left(self.now()).unwrap_or(0);
        let left_ms = u32::try_from(left_ms).unwrap_or(u32::MAX);
        let wait_ms = if left_ms == 0 { 0 } else { self.rng.below(left_ms) };
        self.now().plus_ms(u64::from(wait_ms))
    }
}

/// HAProxy's word for a proxy in messages.
pub(super) fn kind_name(proxy: &Proxy) -> &'static str {
    match (proxy.caps.frontend, proxy.caps.backend) {
        (true, true) => "proxy",
        (true, false) => "frontend",
        _ => "backend",
    }
}
