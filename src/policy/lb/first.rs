//! `balance first`: the first server, by its `id` number, that has a free slot.
//!
//! Packs the load onto as few servers as possible; `maxconn` tells when the next one is needed, and weights
//! do not matter beyond zero.

use super::Load;
use super::roster::{Roster, Side};
use crate::model::ids::ServerId;

/// The state of `balance first`: servers by number.
pub(super) struct First {
    /// All servers, usable or not.
    by_number: Vec<u32>,
}

impl First {
    pub(super) fn new(roster: &Roster) -> Self {
        let mut by_number: Vec<u32> = roster.iter().map(|(server, _)| server).collect();
        by_number.sort_by_key(|&server| roster.member(server).puid);
        Self { by_number }
    }

    /// The first server that has a free slot, preferably another than `avoid`.
    pub(super) fn pick(
        &self,
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
        let mut avoided = None;
        for &server in &self.by_number {
            let member = roster.member(server);
            if member.backup != backup || member.eweight == 0 || !load(member.id).has_free_slot() {
                continue;
            }
            if Some(server) != avoid {
                return Some(server);
            }
            avoided = Some(server);
        }
        avoided
    }
}
