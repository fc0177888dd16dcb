//! What lives while the configuration stands still: numbers by the same ids as `Config`.
//!
//! Every loop will own its counter blocks; what must be one for all loops (server slots, health)
//! is reached through the methods here, so that atomics can take their place.

pub mod counters;

use std::net::SocketAddr;

use counters::{ListenerCounters, ProcessCounters, ProxyCounters, ServerCounters};

use super::config::Config;
use super::ids::{ListenerId, ProxyId, ServerId};
use crate::base::freq::Freq;
use crate::base::ticks::Ticks;

/// Administrative and operational state of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// In use; without health checks a server is always up.
    #[default]
    Up,
    /// `disabled`: takes no traffic.
    Maint,
}

/// What a listener does at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerStatus {
    /// Not bound yet.
    #[default]
    New,
    /// Accepting.
    Open,
    /// Not accepting until a slot is free.
    Full,
    /// Not accepting until its rate or the process allows it.
    Waiting,
    /// Paused by a signal or a command.
    Paused,
    /// Unbound for good.
    Closed,
}

/// Living numbers of one proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxyState {
    /// Connections (frontend side) at present.
    pub fe_conns: u32,
    /// Streams (backend side) at present.
    pub be_conns: u32,
    /// Streams waiting in the backend's queue.
    pub queued: u32,
    /// Streams served by the backend's servers at present (for `leastconn` and `fullconn`).
    pub served: u32,
    /// Lines logged for it so far (`%lc`); wraps.
    pub log_count: u32,
    /// The proxy was stopped for good.
    pub stopped: bool,
    /// Its listeners were paused by a signal or a command.
    pub paused: bool,
    /// Effective `maxconn` of the frontend: its own, else the process's; the CLI may change it.
    pub maxconn: u32,
    /// Effective `fullconn` of the backend: its own, else a tenth of what its frontends may send.
    pub fullconn: u32,
    /// Rate of sessions accepted (frontend) .
    pub fe_sess_rate: Freq,
    /// Rate of connections accepted (frontend).
    pub fe_conn_rate: Freq,
    /// Rate of HTTP requests (frontend).
    pub fe_req_rate: Freq,
    /// Rate of sessions assigned (backend).
    pub be_sess_rate: Freq,
    /// When the backend last changed between up and down.
    pub last_change_at: Ticks,
    /// When a stream was last assigned to the backend.
    pub last_session_at: Option<Ticks>,
    /// Counters of both sides.
    pub counters: ProxyCounters,
}

/// Living numbers of one server.
#[derive(Clone, Debug, Default)]
pub struct ServerState {
    /// Its state.
    pub health: Health,
    /// Streams whose connection to it is under way or there (`scur`).
    pub sessions: u32,
    /// Streams that hold a slot, those on their way out of a queue included.
    pub served: u32,
    /// Streams waiting in its queue.
    pub queued: u32,
    /// `maxconn` as set by the operator, 0 for none; `None` is what was written.
    pub maxconn: Option<u32>,
    /// Weight as set by the operator, 0 to 256.
    pub weight: u32,
    /// Connections kept idle at present, private ones not counted.
    pub idle_conns: u32,
    /// Of these, usable only for sessions that already had a request ("safe" list).
    pub safe_conns: u32,
    /// Idle connections that belong to one client session each.
    pub private_idle_conns: u32,
    /// Connections in use at present.
    pub used_conns: u32,
    /// All connections at present: begun, in use, idle, private.
    pub all_conns: u32,
    /// Most connections in use at once during the last purge period.
    pub used_conns_max: u32,
    /// Rate of sessions assigned.
    pub sess_rate: Freq,
    /// When it last changed state.
    pub last_change_at: Ticks,
    /// When a stream was last assigned.
    pub last_session_at: Option<Ticks>,
    /// Its counters.
    pub counters: ServerCounters,
}

/// Living numbers of one listener.
#[derive(Clone, Debug, Default)]
pub struct ListenerState {
    /// What it does.
    pub status: ListenerStatus,
    /// The IP address that its socket is bound to, once it is.
    pub bound: Option<SocketAddr>,
    /// Connections at present.
    pub conns: u32,
    /// Its counters.
    pub counters: ListenerCounters,
}

/// Living numbers of the process.
#[derive(Clone, Debug, Default)]
pub struct ProcessState {
    /// Client connections at present.
    pub conns: u32,
    /// Streams at present.
    pub streams: u32,
    /// Effective `maxconn`.
    pub maxconn: u32,
    /// `maxconn` that the descriptor limit allows.
    pub hard_maxconn: u32,
    /// Descriptors needed at most.
    pub maxsock: u32,
    /// Effective descriptor limit.
    pub ulimit_n: u32,
    /// Effective `maxpipes`.
    pub maxpipes: u32,
    /// Process number, as `show info` and logs print it.
    pub pid: u32,
    /// When the process started, microseconds since the epoch.
    pub started_wall_us: u64,
    /// Milliseconds from the start of the process until it served.
    pub boot_ms: u32,
    /// A soft stop is under way.
    pub stopping: bool,
    /// Rate of connections accepted.
    pub conn_rate: Freq,
    /// Rate of sessions accepted.
    pub sess_rate: Freq,
    /// Its counters.
    pub counters: ProcessCounters,
}

impl ProcessState {
    /// Counts a connection that leaves room for none, as HAProxy does: with one more to come.
    pub fn count_if_full(&mut self) {
        if self.maxconn > 0 && self.conns + 1 >= self.maxconn {
            self.counters.maxconn_reached += 1;
        }
    }
}

/// All that lives, by the ids of the configuration it belongs to.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The process.
    pub process: ProcessState,
    /// By `ProxyId`.
    pub proxies: Vec<ProxyState>,
    /// By `ServerId`.
    pub servers: Vec<ServerState>,
    /// By `ListenerId`.
    pub listeners: Vec<ListenerState>,
}

impl State {
    /// Fresh numbers for a configuration.
    pub fn new(config: &Config, now: Ticks) -> Self {
        let servers: Vec<ServerState> = config
            .servers
            .iter()
            .map(|server| ServerState {
                health: if server.disabled || server.is_unresolved() {
                    Health::Maint
                } else {
                    Health::Up
                },
                weight: server.weight,
                last_change_at: now,
                ..ServerState::default()
            })
            .collect();
        let proxies = config
            .proxies
            .iter()
            .map(|_| ProxyState {
                last_change_at: now,
                ..ProxyState::default()
            })
            .collect();
        Self {
            process: ProcessState::default(),
            proxies,
            servers,
            listeners: vec![ListenerState::default(); config.listeners.len()],
        }
    }

    /// The proxy's numbers.
    pub fn proxy(&self, id: ProxyId) -> &ProxyState {
        &self.proxies[id.index()]
    }

    /// The proxy's numbers, to change.
    pub fn proxy_mut(&mut self, id: ProxyId) -> &mut ProxyState {
        &mut self.proxies[id.index()]
    }

    /// The server's numbers.
    pub fn server(&self, id: ServerId) -> &ServerState {
        &self.servers[id.index()]
    }

    /// The server's numbers, to change.
    pub fn server_mut(&mut self, id: ServerId) -> &mut ServerState {
        &mut self.servers[id.index()]
    }

    /// The listener's numbers.
    pub fn listener(&self, id: ListenerId) -> &ListenerState {
        &self.listeners[id.index()]
    }

    /// The listener's numbers, to change.
    pub fn listener_mut(&mut self, id: ListenerId) -> &mut ListenerState {
        &mut self.listeners[id.index()]
    }
}
