//! `balance roundrobin`: smooth weighted round robin whose weights may change at any time.
//!
//! The algorithm is HAProxy's, so that the order of servers is the same. A group (active servers, backups) has
//! a position that counts picks. A server that was picked is filed at the position where it is due again:
//! the group's weight divided by its own, with the remainder carried over. A server that is due beyond the
//! present round waits in the tree of the next round, heaviest first; what has not been picked in this round
//! yet waits in the tree "init", and fills the holes. Full servers are passed over as if picked.

use super::heap::KeyHeap;
use super::roster::{Roster, Side};
use super::{EWEIGHT_MAX, Load, UWEIGHT_RANGE, WEIGHT_SCALE};
use crate::model::ids::ServerId;

/// The tree of servers that were picked in this round and are due again in it.
const CURRENT: usize = 2;
/// In no tree.
const NOWHERE: usize = 3;

#[derive(Clone, Copy)]
struct Place {
    /// Position at which the server is next due; 0 before it was first picked.
    next: i64,
    /// What the divisions left over so far, below the server's weight.
    remainder: i64,
    /// The tree: two that serve as "init" and "next" in turns, `CURRENT` or `NOWHERE`.
    tree: usize,
}

struct Group {
    trees: [KeyHeap; 3],
    /// Which tree is "init".
    init: usize,
    position: i64,
    /// Total weight that this round began with.
    weight: i64,
}

impl Group {
    fn new(servers: usize, weight: i64) -> Self {
        Self {
            trees: [
                KeyHeap::new(servers),
                KeyHeap::new(servers),
                KeyHeap::new(servers),
            ],
            init: 0,
            position: weight,
            weight,
        }
    }

    fn switch(&mut self, weight: i64) {
        self.init = 1 - self.init;
        self.weight = weight;
        self.position = weight;
    }
}

/// The state of `balance roundrobin`.
pub(super) struct RoundRobin {
    active: Group,
    backup: Group,
    places: Vec<Place>,
    /// Servers passed over in one pick.
    passed: Vec<u32>,
}

impl RoundRobin {
    pub(super) fn new(roster: &Roster) -> Self {
        let servers = roster.len();
        let mut rr = Self {
            active: Group::new(servers, roster.side_weight(false) as i64),
            backup: Group::new(servers, roster.side_weight(true) as i64),
            places: vec![
                Place {
                    next: 0,
                    remainder: 0,
                    tree: NOWHERE
                };
                servers
            ],
            passed: Vec::with_capacity(servers),
        };
        for (server, member) in roster.iter().filter(|(_, member)| member.eweight > 0) {
            let init = rr.group(member.backup).init;
            rr.queue_by_weight(roster, server, init);
        }
        rr
    }

    fn group(&mut self, backup: bool) -> &mut Group {
        if backup {
            &mut self.backup
        } else {
            &mut self.active
        }
    }

    fn queue_by_weight(&mut self, roster: &Roster, server: u32, tree: usize) {
        let member = roster.member(server);
        let key = u64::from(EWEIGHT_MAX.saturating_sub(member.eweight));
        self.group(member.backup).trees[tree].insert(server, key);
        self.places[server as usize].tree = tree;
    }

    fn dequeue(&mut self, server: u32, backup: bool) {
        let tree = self.places[server as usize].tree;
        if tree != NOWHERE {
            self.group(backup).trees[tree].remove(server);
        }
    }

    /// Files a server by the position where it is due: in this round, or in the next one.
    fn queue(&mut self, roster: &Roster, server: u32) {
        let member = roster.member(server);
        let eweight = i64::from(member.eweight);
        let next_weight = roster.side_weight(member.backup) as i64;
        let Group { weight, init, .. } = *self.group(member.backup);
        let place = &mut self.places[server as usize];
        if place.next >= 2 * weight || place.next >= weight + next_weight {
            place.next -= weight;
            self.queue_by_weight(roster, server, 1 - init);
            return;
        }
        let urgency = (i64::from(EWEIGHT_MAX) + place.remainder - eweight) / i64::from(WEIGHT_SCALE);
        let key = i64::from(UWEIGHT_RANGE) * place.next + urgency;
        place.tree = CURRENT;
        self.group(member.backup).trees[CURRENT].insert(server, key.max(0).cast_unsigned());
    }

    /// Where a server that appears, or that changes its weight, comes in.
    fn enter(&mut self, roster: &Roster, server: u32) {
        let member = roster.member(server);
        let next_weight = roster.side_weight(member.backup) as i64;
        let Group {
            weight,
            position,
            init,
            ..
        } = *self.group(member.backup);
        let place = &mut self.places[server as usize];
        if place.tree == init {
            place.remainder = 0;
        }
        place.next = position + (next_weight + weight - position) / i64::from(member.eweight.max(1));
        self.queue(roster, server);
    }

    /// The server's effective weight has become another, 0 for out of use.
    pub(super) fn on_change(&mut self, roster: &Roster, server: u32) {
        let member = roster.member(server);
        self.dequeue(server, member.backup);
        if member.eweight == 0 {
            self.places[server as usize].tree = NOWHERE;
        } else {
            self.enter(roster, server);
        }
    }

    /// The server that is due, in this round's tree or in "init".
    fn first(&mut self, backup: bool) -> Option<u32> {
        let group = if backup { &self.backup } else { &self.active };
        let due = group.trees[CURRENT].first().map(|entry| entry.server);
        if let Some(server) = due
            && self.places[server as usize].next <= group.position
        {
            return Some(server);
        }
        if let Some(fresh) = group.trees[group.init].first() {
            let place = &mut self.places[fresh.server as usize];
            place.next = 0;
            place.remainder = 0;
            return Some(fresh.server);
        }
        due
    }

    fn advance(&mut self, roster: &Roster, server: u32, backup: bool) {
        let next_weight = roster.side_weight(backup) as i64;
        let eweight = i64::from(roster.member(server).eweight.max(1));
        let position = self.group(backup).position;
        let place = &mut self.places[server as usize];
        if place.next == 0 {
            place.next = position;
        }
        place.next += next_weight / eweight;
        place.remainder += next_weight % eweight;
        if place.remainder >= eweight {
            place.remainder -= eweight;
            place.next += 1;
        }
        self.dequeue(server, backup);
        self.group(backup).position += 1;
    }

    /// The next server that has a free slot, preferably another than `avoid`.
    pub(super) fn pick(
        &mut self,
        roster: &Roster,
        avoid: Option<u32>,
        load: &impl Fn(ServerId) -> Load,
    ) -> Option<u32> {
        let backup = match roster.side() {
            Side::Active => false,
            Side::Backups => true,
            Side::FirstBackup(server) => return Some(server),
            Side::Nobody => return None,
        };
        let next_weight = roster.side_weight(backup) as i64;
        let mut switched = false;
        let mut avoided = None;
        self.passed.clear();
        let picked = loop {
            let group = self.group(backup);
            if group.weight == 0 {
                group.weight = next_weight;
                group.position = next_weight;
            }
            let Some(server) = self.first(backup) else {
                if switched {
                    break avoided;
                }
                switched = true;
                self.group(backup).switch(next_weight);
                continue;
            };
            self.advance(roster, server, backup);
            if load(roster.member(server).id).has_free_slot() {
                if Some(server) != avoid || avoided.is_some() {
                    break Some(server);
                }
                avoided = Some(server);
            }
            self.passed.push(server);
        };
        if let Some(server) = picked {
            self.queue(roster, server);
        }
        self.requeue_passed(roster, picked, switched, backup);
        picked
    }

    /// Files the servers that were passed over again, the last one first. After a switch their place is lost
    /// and only their weight counts.
    fn requeue_passed(&mut self, roster: &Roster, picked: Option<u32>, switched: bool, backup: bool) {
        let init = self.group(backup).init;
        while let Some(server) = self.passed.pop() {
            if Some(server) == picked {
                continue;
            }
            if switched {
                self.queue_by_weight(roster, server, init);
            } else {
                self.queue(roster, server);
            }
        }
    }
}
