//! `balance leastconn`: the server with the fewest streams for its weight.
//!
//! As in HAProxy, servers are sorted by (streams in flight + 1) / weight, idle ones first whatever their
//! weight. Those of equal rank lie in four lists, each in order of arrival: a server joins a list drawn at
//! random, and a pick looks at the lists from a random one on. Ties thus alternate, in no fixed order.

use super::heap::{Entry, KeyHeap};
use super::roster::{Roster, Side};
use super::{EWEIGHT_MAX, Load};
use crate::base::rng::Rng;
use crate::model::ids::ServerId;

/// Lists per rank.
const LISTS: usize = 4;

struct Group {
    lists: [KeyHeap; LISTS],
}

impl Group {
    fn new(servers: usize) -> Self {
        Self {
            lists: std::array::from_fn(|_| KeyHeap::new(servers)),
        }
    }

    fn queue(&mut self, server: u32, key: u64, rng: &mut Rng) {
        self.remove(server);
        self.lists[rng.below(LISTS as u32) as usize].insert(server, key);
    }

    fn remove(&mut self, server: u32) {
        for list in &mut self.lists {
            list.remove(server);
        }
    }

    /// The first server of the lowest rank, seen from list `from` on, and its list.
    fn first(&self, from: usize) -> Option<(usize, Entry)> {
        let lowest = self
            .lists
            .iter()
            .filter_map(KeyHeap::first)
            .map(|entry| entry.key)
            .min()?;
        (0..LISTS).map(|step| (from + step) % LISTS).find_map(|list| {
            self.lists[list]
                .first()
                .filter(|entry| entry.key == lowest)
                .map(|entry| (list, entry))
        })
    }
}

/// The state of `balance leastconn`.
pub(super) struct LeastConn {
    active: Group,
    backup: Group,
    /// Streams in flight by server, as last told.
    in_flight: Vec<u32>,
    /// The rank by server, `None` when it is in no list.
    keys: Vec<Option<u64>>,
    /// Servers passed over in one pick.
    passed: Vec<(usize, Entry)>,
}

fn key_of(in_flight: u32, eweight: u32) -> u64 {
    if in_flight == 0 {
        return 0;
    }
    (u64::from(in_flight) + 1) * u64::from(EWEIGHT_MAX) / u64::from(eweight.max(1))
}

impl LeastConn {
    pub(super) fn new(roster: &Roster, rng: &mut Rng) -> Self {
        let servers = roster.len();
        let mut lc = Self {
            active: Group::new(servers),
            backup: Group::new(servers),
            in_flight: vec![0; servers],
            keys: vec![None; servers],
            passed: Vec::with_capacity(servers),
        };
        for (server, _) in roster.iter() {
            lc.on_change(roster, server, rng);
        }
        lc
    }

    fn group(&mut self, backup: bool) -> &mut Group {
        if backup {
            &mut self.backup
        } else {
            &mut self.active
        }
    }

    fn place(&mut self, server: u32, backup: bool, key: Option<u64>, rng: &mut Rng) {
        self.keys[server as usize] = key;
        match key {
            Some(key) => self.group(backup).queue(server, key, rng),
            None => self.group(backup).remove(server),
        }
    }

    /// The server's effective weight has become another, 0 for out of use.
    pub(super) fn on_change(&mut self, roster: &Roster, server: u32, rng: &mut Rng) {
        let member = roster.member(server);
        let key = (member.eweight > 0).then(|| key_of(self.in_flight[server as usize], member.eweight));
        self.place(server, member.backup, key, rng);
    }

    /// The server has so many streams in flight now, served and waiting. It keeps its place unless its rank
    /// changes.
    pub(super) fn on_load(&mut self, roster: &Roster, server: u32, in_flight: u32, rng: &mut Rng) {
        self.in_flight[server as usize] = in_flight;
        let member = roster.member(server);
        let key = (member.eweight > 0).then(|| key_of(in_flight, member.eweight));
        if key != self.keys[server as usize] {
            self.place(server, member.backup, key, rng);
        }
    }

    /// The least loaded server that has a free slot or room in its queue, preferably another than `avoid`.
    pub(super) fn pick(
        &mut self,
        roster: &Roster,
        avoid: Option<u32>,
        load: &impl Fn(ServerId) -> Load,
        rng: &mut Rng,
    ) -> Option<u32> {
        let group = match roster.side() {
            Side::Active => &mut self.active,
            Side::Backups => &mut self.backup,
            Side::FirstBackup(server) => return Some(server),
            Side::Nobody => return None,
        };
        let from = rng.below(LISTS as u32) as usize;
        let mut picked = None;
        while let Some((list, entry)) = group.first(from) {
            if load(roster.member(entry.server).id).has_room() {
                picked = Some(entry.server);
                if Some(entry.server) != avoid {
                    break;
                }
            }
            group.lists[list].remove(entry.server);
            self.passed.push((list, entry));
        }
        for (list, entry) in self.passed.drain(..) {
            group.lists[list].restore(entry);
        }
        picked
    }
}
