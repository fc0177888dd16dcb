//! The timer wheel of a loop: hierarchical, 1 ms resolution, O(1) for everything.
//!
//! The owner of a deadline keeps a [`Timer`]. Moving its deadline later only stores it there: the wheel still
//! holds the earlier time, asks the owner when that comes, and files it again. Moving it earlier files it at
//! once. Timeouts that are pushed back on every read and write thus cost one comparison. An armed timer has
//! exactly one entry, unlinked by [`Wheel::cancel`], so nothing of dead owners stays behind.
//!
//! Entries at level L share with the wheel's time all base-64 digits above digit L and differ in that one;
//! hence the lowest occupied level and its first occupied slot hold the earliest entry.

use crate::base::ticks::Ticks;

/// Bits of a slot number.
const BITS: u32 = 6;
/// Slots of one level.
const SLOTS: usize = 1 << BITS;
/// Levels: 2^42 ms, 139 years.
const LEVELS: usize = 7;
/// Later deadlines are filed here.
const HORIZON_MS: u64 = (1 << (BITS as usize * LEVELS)) - 1;
/// No entry.
const NIL: u32 = u32::MAX;

/// A deadline and what its owner knows of the wheel. Not to be copied: it stands for one entry.
#[derive(Debug)]
pub struct Timer {
    /// The time that the owner wants, `NEVER` for none.
    deadline: Ticks,
    /// The time that the wheel will ask at, `NEVER` when it will not.
    filed_at: Ticks,
    entry: u32,
    generation: u32,
}

impl Timer {
    /// A timer without a deadline.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            deadline: Ticks::NEVER,
            filed_at: Ticks::NEVER,
            entry: NIL,
            generation: 0,
        }
    }

    /// The deadline that was set last, `NEVER` for none.
    #[must_use]
    pub const fn deadline(&self) -> Ticks {
        self.deadline
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Wheel::check`] finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// The deadline is reached; the timer has none any more.
    Fired,
    /// Not yet: the deadline was moved, and the wheel will ask again.
    Later,
}

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    at: u64,
    next: u32,
    prev: u32,
    generation: u32,
    level: u8,
    slot: u8,
    filed: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    head: u32,
    /// No later than the earliest entry.
    earliest: u64,
}

#[derive(Clone, Copy)]
struct Level {
    occupied: u64,
    slots: [Slot; SLOTS],
}

/// The timers of one loop, known by `u64` keys.
pub struct Wheel {
    /// The wheel's time: everything due up to here was given out, but for what was filed since in the past.
    elapsed: u64,
    levels: Box<[Level; LEVELS]>,
    entries: Vec<Entry>,
    free: u32,
    len: usize,
}

impl Wheel {
    /// A wheel without timers, at time 0.
    #[must_use]
    pub fn new() -> Self {
        let level = Level {
            occupied: 0,
            slots: [Slot {
                head: NIL,
                earliest: u64::MAX,
            }; SLOTS],
        };
        Self {
            elapsed: 0,
            levels: Box::new([level; LEVELS]),
            entries: Vec::new(),
            free: NIL,
            len: 0,
        }
    }

    /// Entries in the wheel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the wheel has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets the deadline of the timer of `key`, `NEVER` for none. Later than the one the wheel knows: only
    /// stored. Earlier: filed at once. A deadline in the past comes out of the next [`Wheel::expire`].
    pub fn schedule(&mut self, key: u64, timer: &mut Timer, deadline: Ticks) {
        timer.deadline = deadline;
        if deadline < timer.filed_at {
            self.unfile(timer);
            self.file(key, timer);
        }
    }

    /// Sets the deadline to the earlier of the present one and `deadline`.
    pub fn schedule_by(&mut self, key: u64, timer: &mut Timer, deadline: Ticks) {
        if deadline < timer.deadline {
            self.schedule(key, timer, deadline);
        }
    }

    /// Takes the timer out of the wheel: what an owner does at its end. A timer may be scheduled again.
    pub fn cancel(&mut self, timer: &mut Timer) {
        timer.deadline = Ticks::NEVER;
        self.unfile(timer);
    }

    /// Appends to `due` the keys whose filed time is reached. Each is to be passed to [`Wheel::check`] if its
    /// owner still lives, or its timer stops.
    pub fn expire(&mut self, now: Ticks, due: &mut Vec<u64>) {
        let now = now.as_ms().min(HORIZON_MS);
        while let Some((level, slot)) = self.first_slot() {
            let start = self.slot_start(level, slot);
            if start > now {
                break;
            }
            self.elapsed = self.elapsed.max(start);
            let mut index = self.take_slot(level, slot);
            while let Some(&entry) = self.entries.get(index as usize) {
                if entry.at <= now {
                    due.push(entry.key);
                    self.release(index);
                } else {
                    self.link(index);
                }
                index = entry.next;
            }
        }
        self.elapsed = self.elapsed.max(now);
    }

    /// Asks the timer of a key that [`Wheel::expire`] gave whether its deadline is reached, and files it again
    /// if that was moved. Harmless on any other timer.
    pub fn check(&mut self, key: u64, timer: &mut Timer, now: Ticks) -> Due {
        if timer.deadline.is_past(now) {
            self.cancel(timer);
            return Due::Fired;
        }
        if !self.is_filed(timer) {
            timer.filed_at = Ticks::NEVER;
            if timer.deadline.is_set() {
                self.file(key, timer);
            }
        }
        Due::Later
    }

    /// When [`Wheel::expire`] must next be called: no later than the earliest filed deadline, and that one
    /// exactly unless it was cancelled. `None` without timers.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Ticks> {
        let (level, slot) = self.first_slot()?;
        Some(Ticks::from_ms(self.levels.get(level)?.slots.get(slot)?.earliest))
    }

    fn first_slot(&self) -> Option<(usize, usize)> {
        self.levels
            .iter()
            .enumerate()
            .find_map(|(level, l)| (l.occupied != 0).then(|| (level, l.occupied.trailing_zeros() as usize)))
    }

    /// The first millisecond of a slot ahead of the wheel's time.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = BITS as usize * level;
        let above = self.elapsed >> (shift + BITS as usize) << (shift + BITS as usize);
        above | (slot as u64) << shift
    }

    fn take_slot(&mut self, level: usize, slot: usize) -> u32 {
        let l = &mut self.levels[level];
        l.occupied &= !(1 << slot);
        std::mem::replace(
            &mut l.slots[slot],
            Slot {
                head: NIL,
                earliest: u64::MAX,
            },
        )
        .head
    }

    fn is_filed(&self, timer: &Timer) -> bool {
        self.entries
            .get(timer.entry as usize)
            .is_some_and(|entry| entry.filed && entry.generation == timer.generation)
    }

    fn file(&mut self, key: u64, timer: &mut Timer) {
        let at = timer.deadline.as_ms().min(HORIZON_MS);
        let entry = Entry {
            key,
            at,
            next: NIL,
            prev: NIL,
            generation: 0,
            level: 0,
            slot: 0,
            filed: true,
        };
        let index = match self.entries.get_mut(self.free as usize) {
            Some(free) => {
                let index = self.free;
                self.free = free.next;
                *free = Entry {
                    generation: free.generation,
                    ..entry
                };
                index
            }
            None => {
                let index = u32::try_from(self.entries.len()).unwrap_or(NIL);
                assert!(index != NIL, "more timers than indices");
                self.entries.push(entry);
                index
            }
        };
        self.len += 1;
        self.link(index);
        timer.filed_at = timer.deadline;
        timer.entry = index;
        timer.generation = self.entries[index as usize].generation;
    }

    fn unfile(&mut self, timer: &mut Timer) {
        if self.is_filed(timer) {
            self.unlink(timer.entry);
            self.release(timer.entry);
        }
        timer.filed_at = Ticks::NEVER;
        timer.entry = NIL;
    }

    /// Hangs an entry into the slot of its time, seen from the wheel's time.
    fn link(&mut self, index: u32) {
        let at = self.entries[index as usize].at.max(self.elapsed);
        // The highest base-64 digit in which the two times differ; digit 0 if they are equal.
        let level = ((63 - ((at ^ self.elapsed) | 1).leading_zeros()) / BITS) as usize;
        let slot = (at >> (BITS as usize * level)) as usize % SLOTS;
        let l = &mut self.levels[level];
        let head = l.slots[slot].head;
        l.slots[slot].head = index;
        l.slots[slot].earliest = l.slots[slot].earliest.min(at);
        l.occupied |= 1 << slot;
        if let Some(second) = self.entries.get_mut(head as usize) {
            second.prev = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.next = head;
        entry.prev = NIL;
        // Both fit: there are 7 levels of 64 slots.
        entry.level = level as u8;
        entry.slot = slot as u8;
    }

    fn unlink(&mut self, index: u32) {
        let Entry {
            next,
            prev,
            level,
            slot,
            ..
        } = self.entries[index as usize];
        if let Some(after) = self.entries.get_mut(next as usize) {
            after.prev = prev;
        }
        if let Some(before) = self.entries.get_mut(prev as usize) {
            before.next = next;
            return;
        }
        let l = &mut self.levels[level as usize];
        let place = &mut l.slots[slot as usize];
        place.head = next;
        if next == NIL {
            place.earliest = u64::MAX;
            l.occupied &= !(1 << slot);
        }
    }

    fn release(&mut self, index: u32) {
        let free = self.free;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.filed = false;
            entry.generation = entry.generation.wrapping_add(1);
            entry.next = free;
            self.free = index;
            self.len = self.len.saturating_sub(1);
        }
    }
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(ms: u64) -> Ticks {
        Ticks::from_ms(ms)
    }

    fn expire(wheel: &mut Wheel, now: u64) -> Vec<u64> {
        let mut due = Vec::new();
        wheel.expire(at(now), &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn fires_on_the_millisecond() {
        for deadline in [0, 1, 63, 64, 65, 4_095, 4_096, 300_000, 86_400_000, 1 << 40] {
            let mut wheel = Wheel::new();
            let mut timer = Timer::new();
            wheel.schedule(7, &mut timer, at(deadline));
            assert_eq!(wheel.next_deadline(), Some(at(deadline)));
            if deadline > 0 {
                assert!(expire(&mut wheel, deadline - 1).is_empty());
                assert_eq!(wheel.next_deadline(), Some(at(deadline)));
            }
            assert_eq!(expire(&mut wheel, deadline), [7]);
            assert_eq!(wheel.check(7, &mut timer, at(deadline)), Due::Fired);
            assert_eq!((wheel.next_deadline(), timer.deadline()), (None, Ticks::NEVER));
        }
    }

    #[test]
    fn extending_only_stores() {
        let mut wheel = Wheel::new();
        let mut timer = Timer::new();
        wheel.schedule(1, &mut timer, at(100));
        for ms in 101..1_000 {
            wheel.schedule(1, &mut timer, at(ms));
        }
        assert_eq!((wheel.len(), wheel.next_deadline()), (1, Some(at(100))));
        assert_eq!(expire(&mut wheel, 100), [1]);
        assert_eq!(wheel.check(1, &mut timer, at(100)), Due::Later);
        assert_eq!((wheel.len(), wheel.next_deadline()), (1, Some(at(999))));
        // No deadline at all is the latest one.
        wheel.schedule(1, &mut timer, Ticks::NEVER);
        assert_eq!(expire(&mut wheel, 999), [1]);
        assert_eq!(wheel.check(1, &mut timer, at(999)), Due::Later);
        assert!(wheel.is_empty());
    }

    #[test]
    fn shortening_files_at_once() {
        let mut wheel = Wheel::new();
        let mut timer = Timer::new();
        wheel.schedule(1, &mut timer, at(60_000));
        wheel.schedule_by(1, &mut timer, at(50));
        wheel.schedule_by(1, &mut timer, at(70));
        assert_eq!((wheel.len(), wheel.next_deadline()), (1, Some(at(50))));
        assert_eq!(expire(&mut wheel, 50), [1]);
    }

    #[test]
    fn a_timer_moved_between_expiry_and_check_is_filed_once() {
        let mut wheel = Wheel::new();
        let (mut a, mut b) = (Timer::new(), Timer::new());
        wheel.schedule(1, &mut a, at(10));
        assert_eq!(expire(&mut wheel, 20), [1]);
        wheel.schedule(1, &mut a, at(30));
        // Takes the entry that `a` had.
        wheel.schedule(2, &mut b, at(40));
        assert_eq!(wheel.check(1, &mut a, at(20)), Due::Later);
        assert_eq!(wheel.len(), 2);
        wheel.schedule(1, &mut a, at(25));
        wheel.cancel(&mut a);
        assert_eq!((wheel.len(), b.deadline()), (1, at(40)));
        assert_eq!(expire(&mut wheel, 100), [2]);
    }

    #[test]
    fn a_deadline_in_the_past_comes_at_once() {
        let mut wheel = Wheel::new();
        let mut timer = Timer::new();
        assert!(expire(&mut wheel, 5_000).is_empty());
        wheel.schedule(1, &mut timer, at(10));
        assert_eq!(wheel.next_deadline(), Some(at(5_000)));
        assert_eq!(expire(&mut wheel, 5_000), [1]);
    }

    #[test]
    fn dead_owners_leave_nothing() {
        let mut wheel = Wheel::new();
        for key in 0..10_000 {
            let mut timer = Timer::new();
            wheel.schedule(key, &mut timer, at(3_600_000 + key));
            wheel.cancel(&mut timer);
        }
        assert!(wheel.is_empty());
        assert_eq!(wheel.entries.len(), 1);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Schedule(usize, u64),
        Never(usize),
        Cancel(usize),
        Advance(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        let delay = prop_oneof![0..4u64, 0..200u64, 0..20_000u64, 0..10_000_000u64];
        prop_oneof![
            6 => (0..12usize, delay.clone()).prop_map(|(k, d)| Op::Schedule(k, d)),
            1 => (0..12usize).prop_map(Op::Never),
            1 => (0..12usize).prop_map(Op::Cancel),
            4 => delay.prop_map(Op::Advance),
        ]
    }

    proptest! {
        /// The wheel fires what a sorted map would, at the same times, and never asks to sleep past a deadline.
        #[test]
        fn agrees_with_a_sorted_map(start in 0..5_000_000u64, ops in prop::collection::vec(op(), 1..200)) {
            let mut wheel = Wheel::new();
            let mut timers: Vec<Timer> = (0..12).map(|_| Timer::new()).collect();
            let mut model: BTreeMap<usize, u64> = BTreeMap::new();
            let mut due = Vec::new();
            let mut now = start;
            wheel.expire(at(now), &mut due);
            for op in ops {
                match op {
                    Op::Schedule(k, delay) => {
                        wheel.schedule(k as u64, &mut timers[k], at(now + delay));
                        model.insert(k, now + delay);
                    }
                    Op::Never(k) => {
                        wheel.schedule(k as u64, &mut timers[k], Ticks::NEVER);
                        model.remove(&k);
                    }
                    Op::Cancel(k) => {
                        wheel.cancel(&mut timers[k]);
                        model.remove(&k);
                    }
                    Op::Advance(ms) => {
                        now += ms;
                        due.clear();
                        wheel.expire(at(now), &mut due);
                        let mut fired = Vec::new();
                        for key in &due {
                            let k = *key as usize;
                            if wheel.check(*key, &mut timers[k], at(now)) == Due::Fired {
                                fired.push(k);
                            }
                        }
                        fired.sort_unstable();
                        let expected: Vec<usize> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(k, _)| *k).collect();
                        prop_assert_eq!(fired, expected);
                        model.retain(|_, at| *at > now);
                    }
                }
                if let Some(earliest) = model.values().min() {
                    let next = wheel.next_deadline().map(Ticks::as_ms);
                    prop_assert!(next.is_some_and(|next| next <= (*earliest).max(now)), "{next:?} > {earliest}");
                }
                prop_assert!(wheel.len() <= timers.len());
                prop_assert!(wheel.entries.len() <= timers.len());
            }
        }
    }
}
