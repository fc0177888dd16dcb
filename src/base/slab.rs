//! Generational slots: where the engine's sessions, streams and connections live.
//!
//! A [`Key`] is an index and a generation. Removing a value changes its slot's generation, so a key kept
//! elsewhere (an event of the poller, a timer, a queue) finds nothing afterwards instead of the next
//! occupant. A packed key leaves 8 bits of a `u64` to the owner, for a tag that tells which slab it is of.
//! A value can be moved out while its slot stays reserved, for code that holds one value and calls on others.

use std::collections::VecDeque;

/// Generations use 24 bits, so that a packed key leaves 8 bits for a tag.
const GENERATION_MASK: u32 = 0x00ff_ffff;
/// A slot that has used up its generations rests until this many others have too: a stale key would have to
/// outlive 2^24 times as many insertions to meet its generation again.
const RESTING_SLOTS: usize = 64;
/// End of the list of free slots.
const NIL: u32 = u32::MAX;

/// Names a value in a [`Slots`]: where it is and which occupant of that place it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// The slot.
    pub index: u32,
    /// The occupant of the slot, 1 to 2^24 - 1.
    pub generation: u32,
}

impl Key {
    /// The key as one number below 2^56, never 0.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        (((self.generation & GENERATION_MASK) as u64) << 32) | self.index as u64
    }

    /// The key that [`Key::to_u64`] packed. The upper 8 bits are ignored.
    #[must_use]
    pub const fn from_u64(packed: u64) -> Self {
        Self {
            index: packed as u32,
            generation: ((packed >> 32) as u32) & GENERATION_MASK,
        }
    }
}

enum Place<T> {
    Vacant {
        next: u32,
    },
    Occupied(T),
    /// The value is out, the slot is kept for it.
    Out,
}

struct Slot<T> {
    generation: u32,
    place: Place<T>,
}

/// Values with stable keys. Insertion, look-up and removal are O(1); memory is that of the peak.
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    resting: VecDeque<u32>,
    len: usize,
    peak: usize,
}

impl<T> Slots<T> {
    /// No values, nothing allocated.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NIL,
            resting: VecDeque::new(),
            len: 0,
            peak: 0,
        }
    }

    /// Values held, those taken out included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no value is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Highest `len` so far.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// Stores a value.
    ///
    /// # Panics
    /// With 2^32 - 1 slots in use, more than any process has file descriptors for.
    pub fn insert(&mut self, value: T) -> Key {
        self.insert_with(|_| value)
    }

    /// Stores the value that `make` builds knowing its key.
    ///
    /// # Panics
    /// As [`Slots::insert`].
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let key = match self.slots.get(self.free as usize) {
            Some(slot) => Key {
                index: self.free,
                generation: slot.generation,
            },
            None => {
                let index = u32::try_from(self.slots.len()).unwrap_or(NIL);
                assert!(index != NIL, "more values than indices");
                Key { index, generation: 1 }
            }
        };
        let value = make(key);
        if let Some(slot) = self.slots.get_mut(key.index as usize) {
            if let Place::Vacant { next } = slot.place {
                self.free = next;
            }
            slot.place = Place::Occupied(value);
        } else {
            self.slots.push(Slot {
                generation: key.generation,
                place: Place::Occupied(value),
            });
        }
        self.len += 1;
        self.peak = self.peak.max(self.len);
        key
    }

    fn slot(&self, key: Key) -> Option<&Slot<T>> {
        self.slots
            .get(key.index as usize)
            .filter(|slot| slot.generation == key.generation)
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot<T>> {
        self.slots
            .get_mut(key.index as usize)
            .filter(|slot| slot.generation == key.generation)
    }

    /// The value of `key`, unless it is gone or taken out.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        match &self.slot(key)?.place {
            Place::Occupied(value) => Some(value),
            Place::Vacant { .. } | Place::Out => None,
        }
    }

    /// The value of `key`, unless it is gone or taken out.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match &mut self.slot_mut(key)?.place {
            Place::Occupied(value) => Some(value),
            Place::Vacant { .. } | Place::Out => None,
        }
    }

    /// Whether `key` still names a value, taken out or not.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.slot(key)
            .is_some_and(|slot| !matches!(slot.place, Place::Vacant { .. }))
    }

    /// Removes a value that is in its slot. One that is taken out stays: see [`Slots::discard`].
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slot_mut(key)?;
        if !matches!(slot.place, Place::Occupied(_)) {
            return None;
        }
        let place = std::mem::replace(&mut slot.place, Place::Out);
        self.vacate(key.index);
        match place {
            Place::Occupied(value) => Some(value),
            Place::Vacant { .. } | Place::Out => None,
        }
    }

    /// Moves the value out and keeps its slot: until [`Slots::put_back`] or [`Slots::discard`], the key finds
    /// nothing and no other value takes its place. `None` if there is no value or it is out already.
    pub fn take_out(&mut self, key: Key) -> Option<T> {
        let slot = self.slot_mut(key)?;
        if !matches!(slot.place, Place::Occupied(_)) {
            return None;
        }
        match std::mem::replace(&mut slot.place, Place::Out) {
            Place::Occupied(value) => Some(value),
            Place::Vacant { .. } | Place::Out => None,
        }
    }

    /// Moves a value that was taken out back into its slot.
    ///
    /// # Errors
    /// The value, when `key` has no value that is out.
    pub fn put_back(&mut self, key: Key, value: T) -> Result<(), T> {
        match self.slot_mut(key) {
            Some(slot) if matches!(slot.place, Place::Out) => {
                slot.place = Place::Occupied(value);
                Ok(())
            }
            _ => Err(value),
        }
    }

    /// Frees the slot of a value that was taken out and will not come back. False if none is out.
    pub fn discard(&mut self, key: Key) -> bool {
        let out = self
            .slot(key)
            .is_some_and(|slot| matches!(slot.place, Place::Out));
        if out {
            self.vacate(key.index);
        }
        out
    }

    fn vacate(&mut self, index: u32) {
        self.len = self.len.saturating_sub(1);
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        if slot.generation < GENERATION_MASK {
            slot.generation += 1;
            slot.place = Place::Vacant { next: self.free };
            self.free = index;
            return;
        }
        // Generation 0 is in no key: nothing finds a resting slot.
        slot.generation = 0;
        slot.place = Place::Vacant { next: NIL };
        self.resting.push_back(index);
        if self.resting.len() > RESTING_SLOTS
            && let Some(rested) = self.resting.pop_front()
            && let Some(slot) = self.slots.get_mut(rested as usize)
        {
            slot.generation = 1;
            slot.place = Place::Vacant { next: self.free };
            self.free = rested;
        }
    }

    /// The values in their slots, by index.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| match &slot.place {
                Place::Occupied(value) => Some((
                    Key {
                        index: index as u32,
                        generation: slot.generation,
                    },
                    value,
                )),
                Place::Vacant { .. } | Place::Out => None,
            })
    }

    /// The first value at slot `from` or after it: walks that go on after other calls keep
    /// `key.index + 1` and come back.
    #[must_use]
    pub fn next_from(&self, from: u32) -> Option<Key> {
        let slots = self.slots.get(from as usize..)?;
        let offset = slots
            .iter()
            .position(|slot| matches!(slot.place, Place::Occupied(_)))?;
        let index = from + offset as u32;
        Some(Key {
            index,
            generation: slots.get(offset)?.generation,
        })
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stale_keys_find_nothing() {
        let mut slots = Slots::new();
        let a = slots.insert("a");
        assert_eq!(slots.remove(a), Some("a"));
        let b = slots.insert("b");
        assert_eq!(a.index, b.index);
        assert_eq!(slots.get(a), None);
        assert_eq!(slots.get_mut(a), None);
        assert_eq!(slots.remove(a), None);
        assert_eq!(slots.take_out(a), None);
        assert_eq!(slots.get(b), Some(&"b"));
        assert_eq!((slots.len(), slots.peak()), (1, 1));
    }

    #[test]
    fn keys_pack_into_56_bits() {
        let key = Key {
            index: u32::MAX - 1,
            generation: GENERATION_MASK,
        };
        assert!(key.to_u64() < 1 << 56);
        assert_eq!(Key::from_u64(key.to_u64() | 0xab << 56), key);
        let mut slots = Slots::new();
        assert_ne!(slots.insert(()).to_u64(), 0);
    }

    #[test]
    fn values_move_out_and_back() {
        let mut slots = Slots::new();
        let a = slots.insert(String::from("a"));
        let out = slots.take_out(a).unwrap();
        assert_eq!(slots.get(a), None);
        assert!(slots.contains(a));
        assert_eq!(slots.remove(a), None);
        assert_eq!(slots.len(), 1);
        let b = slots.insert(String::from("b"));
        assert_ne!(a.index, b.index);
        assert!(slots.put_back(a, out).is_ok());
        assert!(slots.put_back(a, String::from("twice")).is_err());
        assert_eq!(slots.get(a).unwrap(), "a");
        assert!(!slots.discard(a));
        let _gone = slots.take_out(a).unwrap();
        assert!(slots.discard(a));
        assert!(!slots.contains(a));
        assert_eq!(slots.len(), 1);
        assert_eq!(slots.insert(String::from("c")).index, a.index);
    }

    #[test]
    fn a_slot_without_generations_left_rests() {
        let mut slots = Slots::new();
        let first = slots.insert(0);
        slots.remove(first);
        slots.slots[0].generation = GENERATION_MASK;
        let last = slots.insert(1);
        assert_eq!((last.index, last.generation), (0, GENERATION_MASK));
        slots.remove(last);
        let next = slots.insert(2);
        assert_eq!(next.index, 1);
        assert_eq!(slots.get(first), None);
        assert_eq!(
            slots.get(Key {
                index: 0,
                generation: 0
            }),
            None
        );
        slots.remove(next);
        for _ in 0..RESTING_SLOTS {
            let key = slots.insert(3);
            slots.remove(key);
            slots.slots[key.index as usize].generation = GENERATION_MASK;
            let key = slots.insert(4);
            slots.remove(key);
        }
        assert_eq!(slots.resting.len(), RESTING_SLOTS);
        assert_eq!(
            slots.insert(5),
            Key {
                index: 0,
                generation: 1
            }
        );
    }

    #[test]
    fn keyed_construction_and_walks() {
        let mut slots = Slots::new();
        let keys: Vec<Key> = (0..4).map(|_| slots.insert_with(|key| key.to_u64())).collect();
        assert!(slots.iter().all(|(key, value)| key.to_u64() == *value));
        slots.remove(keys[1]);
        assert_eq!(slots.next_from(0), Some(keys[0]));
        assert_eq!(slots.next_from(1), Some(keys[2]));
        assert_eq!(slots.next_from(4), None);
        assert_eq!(slots.next_from(99), None);
        assert_eq!(slots.iter().count(), 3);
    }

    proptest! {
        /// Every key finds its own value and no other, whatever the order of operations.
        #[test]
        fn each_key_finds_its_value(ops in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 0..200)) {
            let mut slots = Slots::new();
            let mut live: Vec<(Key, u32)> = Vec::new();
            let mut out: Vec<(Key, u32)> = Vec::new();
            let mut dead: Vec<Key> = Vec::new();
            let mut next = 0;
            for (op, pick) in ops {
                match op {
                    0 => {
                        live.push((slots.insert(next), next));
                        next += 1;
                    }
                    1 if !live.is_empty() => {
                        let (key, value) = live.swap_remove(pick.index(live.len()));
                        prop_assert_eq!(slots.remove(key), Some(value));
                        dead.push(key);
                    }
                    2 if !live.is_empty() => {
                        let (key, value) = live.swap_remove(pick.index(live.len()));
                        prop_assert_eq!(slots.take_out(key), Some(value));
                        out.push((key, value));
                    }
                    3 if !out.is_empty() => {
                        let (key, value) = out.swap_remove(pick.index(out.len()));
                        if value % 2 == 0 {
                            prop_assert_eq!(slots.put_back(key, value), Ok(()));
                            live.push((key, value));
                        } else {
                            prop_assert!(slots.discard(key));
                            dead.push(key);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(slots.len(), live.len() + out.len());
            }
            for (key, value) in &live {
                prop_assert_eq!(slots.get(*key), Some(value));
            }
            for key in dead {
                prop_assert!(!slots.contains(key));
            }
            prop_assert_eq!(slots.iter().count(), live.len());
        }
    }
}
