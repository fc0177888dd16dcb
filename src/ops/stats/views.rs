//! What the getters of the columns see: one object with its numbers, and the scene around it.
//!
//! Four kinds of objects have lines in `show stat`: frontends, listeners (with `option socket-stats`), servers
//! and backends. Sums over the servers of a backend are made once per line, here.

use crate::base::ticks::Ticks;
use crate::model::config::Config;
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::listener::Listener;
use crate::model::proxy::{Mode, Proxy};
use crate::model::server::Server;
use crate::model::state::counters::{BackendCounters, FrontendCounters, ListenerCounters, ServerCounters};
use crate::model::state::{Health, ListenerState, ProxyState, ServerState, State};

/// What all lines of one dump share.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What lives.
    pub state: &'a State,
    /// The time.
    pub now: Ticks,
    /// Addresses and algorithms may be shown (operator and admin).
    pub legends: bool,
    /// Some servers are left out (`up`, `no-maint`): backends tell how many are up.
    pub filtered: bool,
}

/// A frontend.
pub struct FrontendView<'a> {
    /// The scene.
    pub scene: Scene<'a>,
    /// What was written.
    pub proxy: &'a Proxy,
    /// What lives.
    pub state: &'a ProxyState,
    /// Its counters.
    pub counters: &'a FrontendCounters,
}

/// A listener of a frontend.
pub struct ListenerView<'a> {
    /// The scene.
    pub scene: Scene<'a>,
    /// Its frontend.
    pub proxy: &'a Proxy,
    /// What was written.
    pub listener: &'a Listener,
    /// What lives.
    pub state: &'a ListenerState,
    /// Its counters.
    pub counters: &'a ListenerCounters,
}

/// A server of a backend.
pub struct ServerView<'a> {
    /// The scene.
    pub scene: Scene<'a>,
    /// Its backend.
    pub proxy: &'a Proxy,
    /// What was written.
    pub server: &'a Server,
    /// What lives.
    pub state: &'a ServerState,
    /// Its counters.
    pub counters: &'a ServerCounters,
}

/// A backend, with sums over its servers.
pub struct BackendView<'a> {
    /// The scene.
    pub scene: Scene<'a>,
    /// What was written.
    pub proxy: &'a Proxy,
    /// What lives.
    pub state: &'a ProxyState,
    /// Its counters.
    pub counters: &'a BackendCounters,
    /// Servers that are not down.
    pub servers_up: u32,
    /// Usable active servers.
    pub active: u32,
    /// Usable backup servers.
    pub backup: u32,
    /// Weight of the servers that take traffic.
    pub weight: u32,
}

/// One line of `show stat`.
pub enum Line<'a> {
    /// A frontend's.
    Frontend(FrontendView<'a>),
    /// A listener's.
    Listener(ListenerView<'a>),
    /// A server's.
    Server(ServerView<'a>),
    /// A backend's.
    Backend(BackendView<'a>),
}

impl<'a> Line<'a> {
    /// The line of that frontend.
    pub fn frontend(scene: Scene<'a>, id: ProxyId) -> Self {
        let state = scene.state.proxy(id);
        Self::Frontend(FrontendView {
            scene,
            proxy: scene.config.proxy(id),
            state,
            counters: &state.counters.fe,
        })
    }

    /// The line of that listener of that frontend.
    pub fn listener(scene: Scene<'a>, proxy: ProxyId, id: ListenerId) -> Self {
        let state = scene.state.listener(id);
        Self::Listener(ListenerView {
            scene,
            proxy: scene.config.proxy(proxy),
            listener: scene.config.listener(id),
            state,
            counters: &state.counters,
        })
    }

    /// The line of that server of that backend.
    pub fn server(scene: Scene<'a>, proxy: ProxyId, id: ServerId) -> Self {
        let state = scene.state.server(id);
        Self::Server(ServerView {
            scene,
            proxy: scene.config.proxy(proxy),
            server: scene.config.server(id),
            state,
            counters: &state.counters,
        })
    }

    /// The line of that backend.
    pub fn backend(scene: Scene<'a>, id: ProxyId) -> Self {
        Self::Backend(BackendView::new(scene, id))
    }

    /// Letter of the kind of object in typed output.
    pub fn letter(&self) -> char {
        match self {
            Self::Frontend(_) => 'F',
            Self::Listener(_) => 'L',
            Self::Server(_) => 'S',
            Self::Backend(_) => 'B',
        }
    }

    /// Name of the kind of object in JSON output.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Frontend(_) => "Frontend",
            Self::Listener(_) => "Listener",
            Self::Server(_) => "Server",
            Self::Backend(_) => "Backend",
        }
    }

    /// The numbers that users give to the proxy and to the listener or server, 0 for the proxy itself.
    pub fn numbers(&self) -> (u32, u32) {
        match self {
            Self::Frontend(view) => (view.proxy.uuid, 0),
            Self::Listener(view) => (view.proxy.uuid, view.listener.luid),
            Self::Server(view) => (view.proxy.uuid, view.server.puid),
            Self::Backend(view) => (view.proxy.uuid, 0),
        }
    }
}

impl<'a> BackendView<'a> {
    fn new(scene: Scene<'a>, id: ProxyId) -> Self {
        let proxy = scene.config.proxy(id);
        let state = scene.state.proxy(id);
        let mut view = Self {
            scene,
            proxy,
            state,
            counters: &state.counters.be,
            servers_up: 0,
            active: 0,
            backup: 0,
            weight: 0,
        };
        let mut active_weight = 0u32;
        let mut backup_weight = 0u32;
        for id in &proxy.servers {
            let server = scene.config.server(*id);
            let state = scene.state.server(*id);
            if state.health == Health::Maint {
                continue;
            }
            view.servers_up += 1;
            if state.weight == 0 {
                continue;
            }
            if !server.backup {
                view.active += 1;
                active_weight = active_weight.saturating_add(state.weight);
            } else {
                view.backup += 1;
                if proxy.options.allbackups || view.backup == 1 {
                    backup_weight = backup_weight.saturating_add(state.weight);
                }
            }
        }
        view.weight = if view.active > 0 {
            active_weight
        } else {
            backup_weight
        };
        view
    }

    /// How many samples the averages of times stand on.
    pub fn samples(&self) -> u64 {
        match self.proxy.mode {
            Mode::Http => self.counters.requests,
            Mode::Tcp => self.counters.balanced,
        }
    }
}

impl ServerView<'_> {
    /// How many samples the averages of times stand on.
    pub fn samples(&self) -> u64 {
        match self.proxy.mode {
            Mode::Http => self.counters.requests,
            Mode::Tcp => self.counters.balanced,
        }
    }
}
