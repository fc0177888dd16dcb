//! Connections to servers that wait for a next request, and which request may have which.
//!
//! Each server has two shelves: `idle` for connections that carried one request only, `safe` for those that
//! proved themselves. Which shelf a request may take from follows `http-reuse`. The most recently used
//! connection goes first; what no traffic needs is purged from the other end.
//! Source: configuration manual, `http-reuse`, `pool-max-conn`, `pool-low-conn`, `pool-purge-delay`.

use std::collections::VecDeque;

use super::conn::{Conn, Owner, Shelf};
use crate::base::list::{ListId, Lists};
use crate::base::slab::{Key, Slots};
use crate::base::ticks::Ticks;
use crate::base::wheel::Timer;
use crate::model::config::Config;
use crate::model::ids::ServerId;
use crate::model::proxy::HttpReuse;
use crate::model::state::{Health, State};

/// Connections with another hash that a search steps over before it gives up.
const SEARCH_MAX: usize = 64;

/// The shelves of one server, and its source ports.
struct ServerShelves {
    idle: ListId,
    safe: ListId,
    /// Estimate of the connections that the traffic needs.
    needed: u32,
    /// When the next purge is due.
    purge: Timer,
    /// Free ports of `source addr:low-high`.
    source_ports: VecDeque<u16>,
}

/// Idle connections of all servers.
pub(crate) struct IdleConns {
    lists: Lists,
    servers: Vec<ServerShelves>,
}

/// What limits the number of idle connections in the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FdLimits {
    /// Descriptors in use.
    pub(crate) used: u32,
    /// No connection is kept at or above this (`tune.pool-high-fd-ratio`).
    pub(crate) high: u32,
    /// Below this, connections are kept generously (`tune.pool-low-fd-ratio`).
    pub(crate) low: u32,
}

impl IdleConns {
    /// Empty shelves for all servers of a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        let mut lists = Lists::new();
        let servers = config
            .servers
            .iter()
            .map(|server| {
                let range = server.source.as_ref().and_then(|source| source.ports);
                ServerShelves {
                    idle: lists.add_list(),
                    safe: lists.add_list(),
                    needed: 0,
                    purge: Timer::new(),
                    source_ports: range
                        .map(|(low, high)| (low..=high).collect())
                        .unwrap_or_default(),
                }
            })
            .collect();
        Self { lists, servers }
    }

    /// Takes a port of the server's source range. `None` when all are in use.
    pub(crate) fn take_source_port(&mut self, server: ServerId) -> Option<u16> {
        self.servers.get_mut(server.index())?.source_ports.pop_front()
    }

    /// Gives a port of the server's source range back; it is the last one to be used again.
    pub(crate) fn give_source_port_back(&mut self, server: ServerId, port: u16) {
        if let Some(shelves) = self.servers.get_mut(server.index()) {
            shelves.source_ports.push_back(port);
        }
    }

    /// The purge timer of a server, to be scheduled by the caller.
    pub(crate) fn purge_timer(&mut self, server: ServerId) -> Option<&mut Timer> {
        self.servers
            .get_mut(server.index())
            .map(|shelves| &mut shelves.purge)
    }

    /// Takes a connection for a request. `retryable`: the request may be sent again if the server closed in
    /// the meantime (it is not the session's first, or `retry-on` covers all such failures).
    pub(crate) fn take(
        &mut self,
        server: ServerId,
        reuse: HttpReuse,
        retryable: bool,
        hash: u64,
        conns: &mut Slots<Conn>,
        state: &mut State,
    ) -> Option<Key> {
        let shelves = self.servers.get(server.index())?;
        let (idle, safe) = (shelves.idle, shelves.safe);
        let order: &[ListId] = match (reuse, retryable) {
            (HttpReuse::Never, _) | (HttpReuse::Safe, false) => &[],
            (HttpReuse::Aggressive, false) => &[safe],
            (HttpReuse::Always, false) => &[safe, idle],
            (_, true) => &[idle, safe],
        };
        let key = order.iter().find_map(|list| self.find(*list, hash, conns))?;
        self.unlink(key, conns, state);
        let numbers = state.server_mut(server);
        numbers.used_conns += 1;
        numbers.used_conns_max = numbers.used_conns_max.max(numbers.used_conns);
        Some(key)
    }

    fn find(&self, list: ListId, hash: u64, conns: &Slots<Conn>) -> Option<Key> {
        self.lists.iter(list).take(SEARCH_MAX).find_map(|index| {
            let key = conns.next_from(index)?;
            let conn = conns.get(key)?;
            (conn.back()?.hash == hash).then_some(key)
        })
    }

    /// Puts a connection that was in use on a shelf of its server, if the rules allow it. False: close it.
    pub(crate) fn shelve(
        &mut self,
        key: Key,
        limits: FdLimits,
        now: Ticks,
        config: &Config,
        conns: &mut Slots<Conn>,
        state: &mut State,
    ) -> bool {
        let Some(conn) = conns.get_mut(key) else {
            return false;
        };
        let Some(back) = conn.back_mut() else { return false };
        let Some(id) = back.server else { return false };
        let server = config.server(id);
        let Some(shelves) = self.servers.get(id.index()) else {
            return false;
        };
        let numbers = state.server_mut(id);
        let is_safe = back.requests > 1;
        let reuse = config.proxy(back.backend).http_reuse;
        if reuse == HttpReuse::Never
            || back.private_to.is_some()
            || server.pool_purge_delay_ms == 0
            || numbers.health == Health::Maint
            || limits.used >= limits.high
            || server.pool_max_conn.is_some_and(|max| numbers.idle_conns >= max)
        {
            return false;
        }
        let is_first = self.lists.is_empty(shelves.safe) && (is_safe || self.lists.is_empty(shelves.idle));
        let used = numbers.used_conns;
        let is_needed = used + numbers.idle_conns
            <= used
                .max(shelves.needed)
                .max(numbers.used_conns_max)
                .saturating_add(server.pool_low_conn);
        let is_kept = is_first || (limits.used < limits.low && is_needed);
        if !is_kept {
            return false;
        }
        numbers.used_conns = used.saturating_sub(1);
        numbers.idle_conns += 1;
        numbers.safe_conns += u32::from(is_safe);
        back.shelf = if is_safe { Shelf::Safe } else { Shelf::Idle };
        back.idle_since = now;
        conn.owner = Owner::Idle;
        self.lists
            .push_front(if is_safe { shelves.safe } else { shelves.idle }, key.index);
        true
    }

    /// Takes a connection off its shelf, if it is on one, with its numbers.
    pub(crate) fn unlink(&mut self, key: Key, conns: &mut Slots<Conn>, state: &mut State) {
        let Some(back) = conns.get_mut(key).and_then(Conn::back_mut) else {
            return;
        };
        let (Shelf::Idle | Shelf::Safe, Some(server)) = (back.shelf, back.server) else {
            return;
        };
        let numbers = state.server_mut(server);
        numbers.idle_conns = numbers.idle_conns.saturating_sub(1);
        if back.shelf == Shelf::Safe {
            numbers.safe_conns = numbers.safe_conns.saturating_sub(1);
        }
        back.shelf = Shelf::None;
        self.lists.unlink(key.index);
    }

    /// Chooses the connections of a server that its traffic does not need: half of what exceeds the larger
    /// of the last period's peak and the running estimate, oldest first. Returns whether any is left.
    pub(crate) fn purge(
        &mut self,
        server: ServerId,
        conns: &Slots<Conn>,
        state: &mut State,
        victims: &mut Vec<Key>,
    ) -> bool {
        let Some(shelves) = self.servers.get_mut(server.index()) else {
            return false;
        };
        let numbers = state.server_mut(server);
        let held = numbers.used_conns + numbers.idle_conns;
        let excess = held.saturating_sub(numbers.used_conns_max.max(shelves.needed));
        shelves.needed = ((shelves.needed + numbers.used_conns_max) / 2).max(numbers.used_conns_max);
        numbers.used_conns_max = numbers.used_conns;
        let mut to_close = excess.div_ceil(2) as usize;
        let before = victims.len();
        for list in [shelves.idle, shelves.safe] {
            let mut at = self.lists.back(list);
            while let (Some(index), true) = (at, to_close > 0) {
                at = self.lists.prev(index);
                victims.extend(conns.next_from(index));
                to_close -= 1;
            }
        }
        numbers.idle_conns as usize > victims.len() - before
    }

    /// The idle connection of a server that was not used for the longest time, one that proved itself last.
    pub(crate) fn oldest(&self, server: ServerId, conns: &Slots<Conn>) -> Option<Key> {
        let shelves = self.servers.get(server.index())?;
        let lists = [shelves.idle, shelves.safe];
        let index = lists.into_iter().find_map(|list| self.lists.back(list))?;
        conns.next_from(index)
    }

    /// All idle connections of all servers: what the end of the process closes.
    pub(crate) fn all(&self, conns: &Slots<Conn>) -> Vec<Key> {
        let lists = self
            .servers
            .iter()
            .flat_map(|shelves| [shelves.idle, shelves.safe]);
        lists
            .flat_map(|list| self.lists.iter(list))
            .filter_map(|index| conns.next_from(index))
            .collect()
    }
}
