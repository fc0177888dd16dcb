//! `balance random(n)`: the least loaded of n servers drawn at random.
//!
//! A draw is a random point on the consistent-hash ring, where each server owns as many points as its
//! effective weight; the nearer of the two neighbours is drawn. Points come from the server's `id` number, so
//! the shares are those of HAProxy. The server with fewer streams for its weight wins, at equal load the one
//! with the lower session rate, and if that one is full, the stream waits in the backend's queue.

use super::Load;
use super::roster::{Roster, Side};
use crate::base::hash::avalanche;
use crate::base::rng::Rng;
use crate::model::ids::ServerId;

/// Points that belong to one number; points of heavier servers than this cannot exist.
const POINTS_PER_ID: u32 = super::EWEIGHT_MAX;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    key: u32,
    server: u32,
}

/// A consistent-hash ring: the usable servers of one side.
#[derive(Default)]
struct Ring {
    points: Vec<Point>,
}

impl Ring {
    /// Gives a server the points of its effective weight: O(points).
    fn set(&mut self, roster: &Roster, server: u32) {
        let member = roster.member(server);
        self.points.retain(|point| point.server != server);
        self.points.extend((0..member.eweight).map(|n| {
            let key = avalanche(member.puid.wrapping_mul(POINTS_PER_ID).wrapping_add(n));
            Point { key, server }
        }));
        self.points.sort_unstable();
    }

    /// The server whose point is nearest to `key`, or the next one after it that is not `avoid`.
    fn nearest(&self, key: u32, avoid: Option<u32>) -> Option<u32> {
        let count = self.points.len();
        let last = count.checked_sub(1)?;
        let next = self.points.partition_point(|point| point.key < key) % count;
        let previous = next.checked_sub(1).unwrap_or(last);
        let behind = key.wrapping_sub(self.points[previous].key);
        let ahead = self.points[next].key.wrapping_sub(key);
        let start = if behind <= ahead { previous } else { next };
        let (before, after) = self.points.split_at(start);
        let other = after
            .iter()
            .chain(before)
            .find(|point| Some(point.server) != avoid);
        Some(other.unwrap_or(&self.points[start]).server)
    }
}

/// The state of `balance random`.
pub(super) struct Random {
    draws: u32,
    active: Ring,
    backup: Ring,
}

impl Random {
    pub(super) fn new(roster: &Roster, draws: u32) -> Self {
        let mut random = Self {
            draws: draws.max(1),
            active: Ring::default(),
            backup: Ring::default(),
        };
        for (server, member) in roster.iter() {
            let ring = if member.backup {
                &mut random.backup
            } else {
                &mut random.active
            };
            ring.points.extend((0..member.eweight).map(|n| {
                let key = avalanche(member.puid.wrapping_mul(POINTS_PER_ID).wrapping_add(n));
                Point { key, server }
            }));
        }
        random.active.points.sort_unstable();
        random.backup.points.sort_unstable();
        random
    }

    /// The server's effective weight has become another, 0 for out of use.
    pub(super) fn on_change(&mut self, roster: &Roster, server: u32) {
        let ring = if roster.member(server).backup {
            &mut self.backup
        } else {
            &mut self.active
        };
        ring.set(roster, server);
    }

    /// The best of the draws, unless it is full.
    pub(super) fn pick(
        &self,
        roster: &Roster,
        avoid: Option<u32>,
        load: &impl Fn(ServerId) -> Load,
        rng: &mut Rng,
    ) -> Option<u32> {
        let mut best: Option<(u32, Load)> = None;
        for _ in 0..self.draws {
            let key = rng.next_u32();
            let drawn = match roster.side() {
                Side::Active => self.active.nearest(key, avoid)?,
                Side::Backups => self.backup.nearest(key, avoid)?,
                Side::FirstBackup(server) => server,
                Side::Nobody => return None,
            };
            let drawn_load = load(roster.member(drawn).id);
            let keep = best.is_some_and(|(server, best_load)| {
                server == drawn || stays_ahead(roster, (server, best_load), (drawn, drawn_load))
            });
            if !keep {
                best = Some((drawn, drawn_load));
            }
        }
        best.filter(|(_, load)| load.queued == 0 && load.has_free_slot())
            .map(|(server, _)| server)
    }
}

/// Whether the server drawn before stays ahead of the one drawn now.
fn stays_ahead(roster: &Roster, (before, load_before): (u32, Load), (now, load_now): (u32, Load)) -> bool {
    let (weight_before, weight_now) = (
        u64::from(roster.member(before).eweight),
        u64::from(roster.member(now).eweight),
    );
    let served_now = u64::from(load_now.served) * weight_before;
    let served_before = u64::from(load_before.served) * weight_now;
    if served_now != served_before {
        return served_now > served_before;
    }
    let rate_now = u64::from(load_now.session_rate) * weight_before;
    let rate_before = u64::from(load_before.session_rate) * weight_now;
    rate_before < rate_now
}
