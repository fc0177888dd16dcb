//! `balance static-rr`: weighted round robin over a precomputed map.
//!
//! The map has one entry per unit of weight (weights divided by their greatest common divisor), spread by the
//! same scoring as HAProxy's, and is computed anew when a server appears or goes. Weights do not change at run
//! time otherwise. Picking walks the map and passes over full servers.

use super::Load;
use super::roster::{Roster, Side};
use crate::model::ids::ServerId;

/// The state of `balance static-rr`.
pub(super) struct StaticRr {
    map: Vec<u32>,
    scores: Vec<i64>,
    /// Entry of the map to look at first.
    next: usize,
}

impl StaticRr {
    pub(super) fn new(roster: &Roster) -> Self {
        let largest = roster.side_weight(false).max(roster.side_weight(true)) as usize;
        let mut map = Self {
            map: Vec::with_capacity(largest),
            scores: vec![0; roster.len()],
            next: 0,
        };
        map.on_change(roster);
        map
    }

    /// Computes the map: O(total weight x servers).
    pub(super) fn on_change(&mut self, roster: &Roster) {
        self.map.clear();
        let backup = match roster.side() {
            Side::Active => false,
            Side::FirstBackup(_) | Side::Backups => true,
            Side::Nobody => return,
        };
        let total = roster.weight() as i64;
        self.scores.fill(0);
        for _ in 0..total {
            let mut best: Option<(u32, i64)> = None;
            for (server, member) in roster.iter() {
                if member.backup != backup || member.eweight == 0 {
                    continue;
                }
                if total == 1 {
                    // The first one, whatever the scores: the division below would not tell.
                    best = Some((server, 0));
                    break;
                }
                let score = &mut self.scores[server as usize];
                *score += i64::from(member.eweight);
                let rank = (*score + total) / total;
                if best.is_none_or(|(_, highest)| rank > highest) {
                    best = Some((server, rank));
                }
            }
            if let Some((server, _)) = best {
                self.scores[server as usize] -= total;
                self.map.push(server);
            }
        }
    }

    /// The next server of the map that has a free slot, preferably another than `avoid`.
    pub(super) fn pick(
        &mut self,
        roster: &Roster,
        avoid: Option<u32>,
        load: &impl Fn(ServerId) -> Load,
    ) -> Option<u32> {
        if self.next >= self.map.len() {
            self.next = 0;
        }
        let mut avoided = None;
        for step in 0..self.map.len() {
            let at = (self.next + step) % self.map.len();
            let server = self.map[at];
            if !load(roster.member(server).id).has_free_slot() {
                continue;
            }
            avoided = Some((server, at));
            if Some(server) != avoid {
                break;
            }
        }
        let (server, at) = avoided?;
        self.next = at + 1;
        Some(server)
    }
}
