//! Accepting: bursts within a turn's bound, limits that make a listener wait, pauses and the end.
//!
//! Events are edge-triggered, so a listener that stops before the queue is empty keeps `ready` and is looked
//! at again when its reason is gone: a slot, a second of its rate, a descriptor.
//! Source: configuration manual, `maxconn`, `rate-limit sessions`, `maxconnrate`, `tune.maxaccept`.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use socket2::{SockAddr, Socket};

use super::bind::{self, Bound, Fault};
use super::core::Core;
use super::netns::Namespaces;
use super::shortage::Shortage;
use super::sys;
use crate::base::addr::Target;
use crate::base::freq::SECOND_MS;
use crate::base::ticks::Ticks;
use crate::base::wheel::Timer;
use crate::model::config::Config;
use crate::model::ids::{ListenerId, ProxyId};
use crate::model::listener::{Listener, Owner};
use crate::model::state::ListenerStatus;
use crate::model::txn::Endpoint;

/// Milliseconds for which accepting rests when the system refuses to accept.
const REFUSED_REST_MS: u64 = 100;

/// One listening socket of the loop.
pub(crate) struct Listening {
    /// Which listener of the configuration.
    pub(crate) id: ListenerId,
    socket: Option<Socket>,
    /// Connections may be waiting.
    pub(crate) ready: bool,
    /// When a rate or the system allows more; runs while waiting for that.
    pub(crate) timer: Timer,
    /// Paused by a signal or a command.
    pub(crate) paused: bool,
}

/// Why accepting stops for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The queue is empty.
    Drained,
    /// The turn is over.
    Turn,
    /// No free slot, in the process or in the frontend.
    Full,
    /// The rate is reached, or the network refuses: again at that time.
    Until(Ticks),
    /// Descriptors or memory are short: again at that time.
    Short(Shortage, Ticks),
}

impl Listening {
    /// A socket that listens.
    pub(crate) fn new(bound: Bound) -> Self {
        Self {
            id: bound.listener,
            socket: Some(bound.socket),
            ready: true,
            timer: Timer::new(),
            paused: false,
        }
    }

    /// Its descriptor, unless it is closed.
    pub(crate) fn fd(&self) -> Option<i32> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Whether it may accept at all.
    pub(crate) fn is_open(&self) -> bool {
        self.socket.is_some() && !self.paused
    }

    /// Stops listening for good.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.ready = false;
        self.paused = false;
    }

    /// Stops taking new connections, unless it did already. An IP socket stays bound and refuses them. A UNIX socket that was shut down
    /// would never listen again, so that clients wait where it has a path; an abstract name, which nobody else could
    /// take otherwise, is given up.
    pub(crate) fn pause(&mut self, listener: &Listener) -> bool {
        let Some(socket) = self.socket.as_ref().filter(|_| !self.paused) else {
            // A socket that is shut down once more gives its connections no input, also after it listens again.
            return false;
        };
        self.paused = true;
        if matches!(listener.addr.target, Target::Abstract { .. }) {
            self.socket = None;
            return true;
        }
        let is_unix = socket.local_addr().is_ok_and(|addr| addr.is_unix());
        is_unix || socket.shutdown(std::net::Shutdown::Read).is_ok()
    }

    /// Listens again after a pause. A new socket is to be registered for events by the caller, who gets its descriptor.
    pub(crate) fn resume(&mut self, config: &Config, namespaces: &Namespaces) -> Result<Option<i32>, Fault> {
        self.paused = false;
        self.ready = true;
        let listener = config.listener(self.id);
        if let Some(socket) = &self.socket {
            let backlog = i32::try_from(bind::backlog(config, listener)).unwrap_or(i32::MAX);
            return socket.listen(backlog).map(|()| None).map_err(Fault::Listen);
        }
        self.socket = Some(bind::open(config, namespaces, listener)?);
        Ok(self.fd())
    }

    /// The address it is bound to, for IP sockets.
    pub(crate) fn bound_address(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.local_addr().ok()?.as_socket()
    }

    /// Accepts one connection.
    pub(crate) fn accept(&self, now: Ticks) -> Result<(Socket, SockAddr), Stop> {
        let Some(fd) = self.fd() else {
            return Err(Stop::Drained);
        };
        loop {
            match sys::accept(fd) {
                Ok(accepted) => return Ok(accepted),
                Err(error) => match (error.kind(), error.raw_os_error()) {
                    // The peer gave up before it was accepted: there may be others.
                    (ErrorKind::Interrupted | ErrorKind::ConnectionAborted, _) => continue,
                    // A socket that is paused refuses with EINVAL: nothing waits in it.
                    (ErrorKind::WouldBlock | ErrorKind::InvalidInput, _) => return Err(Stop::Drained),
                    // Descriptors or memory are short, or the new connection brought an error of the network:
                    // others may wait behind it, and no further edge would tell.
                    _ => {
                        let again = now.plus_ms(REFUSED_REST_MS);
                        return Err(match Shortage::of(&error) {
                            Some(shortage) => Stop::Short(shortage, again),
                            None => Stop::Until(again),
                        });
                    }
                },
            }
        }
    }
}

impl Core {
    /// Whether one more connection may be taken from that listener, and why not.
    pub(crate) fn may_accept(&self, id: ListenerId) -> Result<(), Stop> {
        let listener = self.config.listener(id);
        let Owner::Proxy(frontend) = listener.owner else {
            return Ok(());
        };
        let process = &self.state.process;
        let numbers = self.state.proxy(frontend);
        let proxy = self.config.proxy(frontend);
        if process.maxconn > 0 && process.conns >= process.maxconn {
            return Err(Stop::Full);
        }
        if numbers.maxconn > 0 && numbers.fe_conns >= numbers.maxconn {
            return Err(Stop::Full);
        }
        if listener.maxconn > 0 && self.state.listener(id).conns >= listener.maxconn {
            return Err(Stop::Full);
        }
        let now = self.now();
        let global = &self.config.global;
        let limits = [
            (&process.conn_rate, global.maxconnrate),
            (&process.sess_rate, global.maxsessrate),
            (&numbers.fe_sess_rate, proxy.rate_limit_sessions),
        ];
        for (rate, limit) in limits {
            if limit > 0 && rate.remaining(now, SECOND_MS, limit, 0) == 0 {
                let delay_ms = rate.next_event_delay_ms(now, SECOND_MS, limit, 0).max(1);
                return Err(Stop::Until(now.plus_ms(u64::from(delay_ms))));
            }
        }
        Ok(())
    }

    /// Counts a connection that was accepted.
    pub(crate) fn count_front_accepted(&mut self, frontend: ProxyId, id: ListenerId) {
        let now = self.now();
        let process = &mut self.state.process;
        process.conns += 1;
        process.counters.conns += 1;
        process.count_if_full();
        process.conn_rate.add(now, SECOND_MS, 1);
        let rate = process.conn_rate.rate(now, SECOND_MS);
        process.counters.conn_rate_max = process.counters.conn_rate_max.max(rate);
        // As HAProxy: for the process a connection is a session, whatever becomes of its handshakes.
        process.sess_rate.add(now, SECOND_MS, 1);
        let rate = process.sess_rate.rate(now, SECOND_MS);
        process.counters.sess_rate_max = process.counters.sess_rate_max.max(rate);
        let numbers = self.state.proxy_mut(frontend);
        numbers.fe_conns += 1;
        numbers.fe_conn_rate.add(now, SECOND_MS, 1);
        let rate = numbers.fe_conn_rate.rate(now, SECOND_MS);
        let counters = &mut numbers.counters.fe;
        counters.conns += 1;
        counters.conns_max = counters.conns_max.max(numbers.fe_conns);
        counters.conn_rate_max = counters.conn_rate_max.max(rate);
        let listener = self.state.listener_mut(id);
        listener.conns += 1;
        listener.counters.conns += 1;
        listener.counters.conns_max = listener.counters.conns_max.max(listener.conns);
    }

    /// Counts a session: a connection whose handshakes are done.
    pub(crate) fn count_session(&mut self, frontend: ProxyId, id: ListenerId) {
        let now = self.now();
        let numbers = self.state.proxy_mut(frontend);
        numbers.fe_sess_rate.add(now, SECOND_MS, 1);
        let rate = numbers.fe_sess_rate.rate(now, SECOND_MS);
        let counters = &mut numbers.counters.fe;
        counters.sessions += 1;
        counters.session_rate_max = counters.session_rate_max.max(rate);
        self.state.listener_mut(id).counters.sessions += 1;
    }

    /// Counts a client connection that is closed; listeners that waited for its slot may go on.
    pub(crate) fn count_front_closed(&mut self, frontend: ProxyId, id: ListenerId) {
        let process = &mut self.state.process;
        process.conns = process.conns.saturating_sub(1);
        let numbers = self.state.proxy_mut(frontend);
        numbers.fe_conns = numbers.fe_conns.saturating_sub(1);
        let listener = self.state.listener_mut(id);
        listener.conns = listener.conns.saturating_sub(1);
        self.listeners_may_go = true;
    }

    /// Notes what a listener does, for statistics.
    pub(crate) fn note_listener(&mut self, id: ListenerId, status: ListenerStatus) {
        self.state.listener_mut(id).status = status;
    }
}

/// The client's end of an accepted connection.
pub(crate) fn endpoint_of(address: &SockAddr) -> Endpoint {
    match address.as_socket() {
        Some(addr) => Endpoint::Inet(addr),
        None => Endpoint::Unix,
    }
}
