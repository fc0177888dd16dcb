//! Pauses: a new process that wants the addresses of this one has it stop listening (SIGTTOU), and listen again when it
//! fails (SIGTTIN). Source: management manual, "Stopping and restarting HAProxy".
//!
//! Listeners are gone through by protocol, as HAProxy does, and a proxy is said to pause with its last one: what is said
//! comes in the same order.

use super::bind::Fault;
use super::control::kind_name;
use super::poll::{Kind, token};
use super::worker::Worker;
use crate::base::addr::Target;
use crate::model::config::Config;
use crate::model::ids::ListenerId;
use crate::model::listener::Owner;
use crate::model::state::ListenerStatus;
use crate::policy::log::syslog::Level;

impl Worker {
    /// Stops listening, everywhere.
    pub(super) fn pause(&mut self) {
        let config = self.core.config.clone();
        let mut paused = Vec::new();
        for index in self.by_protocol(&config) {
            let Some(listening) = self.listeners.get_mut(index) else {
                continue;
            };
            let listener = config.listener(listening.id);
            if listening.pause(listener) {
                self.core.state.listener_mut(listening.id).status = ListenerStatus::Paused;
                if let Owner::Proxy(id) = listener.owner {
                    self.core.state.proxy_mut(id).paused = true;
                }
                paused.push(listener.owner);
            }
        }
        self.tell_owners("Paused", &paused, &config);
    }

    /// Listens again.
    pub(super) fn resume(&mut self) {
        let config = self.core.config.clone();
        let mut owners = Vec::new();
        for index in self.by_protocol(&config) {
            let Some(listening) = self.listeners.get_mut(index).filter(|l| l.paused) else {
                continue;
            };
            let key = token(Kind::Listener, index as u64);
            let resumed = listening.resume(&config, &self.core.namespaces);
            let done = resumed.and_then(|new| match new {
                Some(fd) => self.core.poller.register_read(fd, key).map_err(Fault::Listen),
                None => Ok(()),
            });
            let id = listening.id;
            match done {
                Ok(()) => self.core.state.listener_mut(id).status = ListenerStatus::Open,
                Err(fault) => log::warn!("A listener cannot go on: {fault}."),
            }
            let owner = config.listener(id).owner;
            if let Owner::Proxy(id) = owner {
                self.core.state.proxy_mut(id).paused = false;
            }
            owners.push(owner);
        }
        self.tell_owners("Resumed", &owners, &config);
        self.core.listeners_may_go = true;
    }

    /// The places of the listeners, those of one protocol together.
    pub(super) fn by_protocol(&self, config: &Config) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.listeners.len()).collect();
        let rank = |place: &usize| self.listeners.get(*place).map(|l| rank(config, l.id));
        places.sort_by_key(rank);
        places
    }

    /// Says what became of the owners of listeners, of each at its last one.
    fn tell_owners(&mut self, what: &str, owners: &[Owner], config: &Config) {
        for (place, owner) in owners.iter().enumerate() {
            if owners.iter().skip(place + 1).any(|other| other == owner) {
                continue;
            }
            let Owner::Proxy(id) = *owner else {
                log::warn!("{what} frontend GLOBAL.");
                continue;
            };
            let proxy = config.proxy(id);
            let text = format!("{what} {} {}.", kind_name(proxy), proxy.name);
            log::warn!("{text}");
            self.log_for(Some(proxy), Level::Warning, &text);
        }
    }
}

/// Where a listener comes: its protocol, and in that, runtime sockets first. Under a master, those of a worker have one
/// more listener, which comes last.
fn rank(config: &Config, id: ListenerId) -> (u8, bool) {
    let listener = config.listener(id);
    let is_proxy = matches!(listener.owner, Owner::Proxy(_));
    let protocol = match &listener.addr.target {
        _ if config.global.master_worker && !is_proxy => 3,
        Target::Unix(_) => 1,
        Target::Abstract { .. } => 2,
        Target::Ip { .. } | Target::Fd(_) | Target::SockPair(_) | Target::Name { .. } => 0,
    };
    (protocol, is_proxy)
}
