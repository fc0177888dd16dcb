//! The servers of a backend as balancing sees them: who is usable, with which weight, active or backup.
//!
//! Keeps what HAProxy keeps per backend: counts and total weights of the usable active and backup servers,
//! and the first usable backup, which alone replaces the active ones unless `option allbackups` is set.
//! Servers are known here by their position, in order of declaration.

use super::LbServer;
use crate::model::ids::ServerId;

/// Not a position.
const NIL: u32 = u32::MAX;

/// One server.
pub(super) struct Member {
    pub(super) id: ServerId,
    /// The user-visible number (`id`), which orders `first` and seeds `random`.
    pub(super) puid: u32,
    pub(super) backup: bool,
    /// Effective weight, 0 when the server is not to be used.
    pub(super) eweight: u32,
}

/// Which servers are balanced over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// The usable active servers.
    Active,
    /// Only this backup server.
    FirstBackup(u32),
    /// All usable backup servers.
    Backups,
    /// None is usable.
    Nobody,
}

/// The servers of a backend.
pub(super) struct Roster {
    members: Vec<Member>,
    /// Position by `ServerId`, from the lowest one on.
    positions: Vec<u32>,
    lowest_id: u32,
    allbackups: bool,
    active: u32,
    backups: u32,
    active_weight: u64,
    backup_weight: u64,
    first_backup: Option<u32>,
}

impl Roster {
    /// The servers with their effective weights.
    pub(super) fn new(servers: impl Iterator<Item = (LbServer, u32)>, allbackups: bool) -> Self {
        let members: Vec<Member> = servers
            .map(|(server, eweight)| Member {
                id: server.id,
                puid: server.puid,
                backup: server.backup,
                eweight: if server.usable { eweight } else { 0 },
            })
            .collect();
        let lowest_id = members.iter().map(|member| member.id.0).min().unwrap_or(0);
        let mut positions = Vec::new();
        for (position, member) in members.iter().enumerate() {
            let slot = (member.id.0 - lowest_id) as usize;
            if slot >= positions.len() {
                positions.resize(slot + 1, NIL);
            }
            positions[slot] = position as u32;
        }
        let mut roster = Self {
            members,
            positions,
            lowest_id,
            allbackups,
            active: 0,
            backups: 0,
            active_weight: 0,
            backup_weight: 0,
            first_backup: None,
        };
        roster.recount();
        roster
    }

    /// Position of a server.
    pub(super) fn position(&self, id: ServerId) -> Option<u32> {
        let slot = id.0.checked_sub(self.lowest_id)?;
        self.positions
            .get(slot as usize)
            .copied()
            .filter(|&position| position != NIL)
    }

    /// The server at a position that came from here.
    pub(super) fn member(&self, position: u32) -> &Member {
        &self.members[position as usize]
    }

    /// All servers with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Member)> {
        self.members
            .iter()
            .enumerate()
            .map(|(position, member)| (position as u32, member))
    }

    /// Number of servers, usable or not.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Changes the effective weight of a server, 0 to take it out. Returns the previous one.
    pub(super) fn set(&mut self, position: u32, eweight: u32) -> u32 {
        let before = std::mem::replace(&mut self.members[position as usize].eweight, eweight);
        if before != eweight {
            self.recount();
        }
        before
    }

    fn recount(&mut self) {
        let usable = |backup: bool| {
            self.members
                .iter()
                .filter(move |member| member.backup == backup && member.eweight > 0)
        };
        self.active = usable(false).count() as u32;
        self.backups = usable(true).count() as u32;
        self.active_weight = usable(false).map(|member| u64::from(member.eweight)).sum();
        self.backup_weight = usable(true).map(|member| u64::from(member.eweight)).sum();
        self.first_backup = if self.allbackups {
            None
        } else {
            let first = self
                .members
                .iter()
                .position(|member| member.backup && member.eweight > 0);
            first.map(|position| position as u32)
        };
    }

    /// Which servers are balanced over at present.
    pub(super) fn side(&self) -> Side {
        match self.first_backup {
            _ if self.active > 0 => Side::Active,
            Some(position) => Side::FirstBackup(position),
            None if self.backups > 0 => Side::Backups,
            None => Side::Nobody,
        }
    }

    /// Usable servers that are active.
    pub(super) fn active(&self) -> u32 {
        self.active
    }

    /// Usable servers that are backups.
    pub(super) fn backups(&self) -> u32 {
        self.backups
    }

    /// Sum of the effective weights of the usable active (or backup) servers.
    pub(super) fn side_weight(&self, backup: bool) -> u64 {
        if backup {
            self.backup_weight
        } else {
            self.active_weight
        }
    }

    /// Sum of the effective weights of the servers that are balanced over.
    pub(super) fn weight(&self) -> u64 {
        match self.side() {
            Side::Active => self.active_weight,
            Side::FirstBackup(position) => u64::from(self.member(position).eweight),
            Side::Backups => self.backup_weight,
            Side::Nobody => 0,
        }
    }

    /// Whether a server may take streams from the backend's queue: it is among those balanced over.
    pub(super) fn serves_backend(&self, position: u32) -> bool {
        let member = self.member(position);
        member.eweight > 0
            && match self.side() {
                Side::Active => !member.backup,
                Side::FirstBackup(first) => first == position,
                Side::Backups => member.backup,
                Side::Nobody => false,
            }
    }
}
