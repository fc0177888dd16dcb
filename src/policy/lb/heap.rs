//! A sorted multiset of servers by a numeric key, first come first served among equal keys.
//!
//! The order is that of the balanced trees on which HAProxy's algorithms stand. Here it is an indexed binary
//! heap over the servers' positions in their roster: first, insert and remove are O(1) and O(log n), a server
//! is removed from wherever it stands, and nothing is allocated once the heap is made.

/// Not in the heap.
const ABSENT: u32 = u32::MAX;

/// A server in the heap. Ordered by key, then by arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: u64,
    /// When it came, compared with the others.
    arrival: u64,
    /// Position of the server in its roster.
    pub(super) server: u32,
}

/// Servers sorted by key.
pub(super) struct KeyHeap {
    entries: Vec<Entry>,
    /// Position in `entries` by server.
    places: Vec<u32>,
    arrivals: u64,
}

impl KeyHeap {
    /// An empty heap for a roster of `servers`.
    pub(super) fn new(servers: usize) -> Self {
        Self {
            entries: Vec::with_capacity(servers),
            places: vec![ABSENT; servers],
            arrivals: 0,
        }
    }

    /// The server with the lowest key that came first.
    pub(super) fn first(&self) -> Option<Entry> {
        self.entries.first().copied()
    }

    /// Adds a server behind those of the same key, or moves it there.
    pub(super) fn insert(&mut self, server: u32, key: u64) {
        self.arrivals += 1;
        self.restore(Entry {
            key,
            arrival: self.arrivals,
            server,
        });
    }

    /// Puts an entry that was taken out back to where it stood among the others.
    pub(super) fn restore(&mut self, entry: Entry) {
        self.remove(entry.server);
        if let Some(place) = self.places.get_mut(entry.server as usize) {
            let at = self.entries.len();
            *place = at as u32;
            self.entries.push(entry);
            self.sift_up(at);
        }
    }

    /// Takes a server out.
    pub(super) fn remove(&mut self, server: u32) -> Option<Entry> {
        let place = self.places.get_mut(server as usize)?;
        let at = std::mem::replace(place, ABSENT) as usize;
        if at >= self.entries.len() {
            return None;
        }
        let entry = self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at) {
            self.places[moved.server as usize] = at as u32;
            self.sift_down(at);
            self.sift_up(at);
        }
        Some(entry)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.entries.swap(a, b);
        self.places[self.entries[a].server as usize] = a as u32;
        self.places[self.entries[b].server as usize] = b as u32;
    }

    fn sift_up(&mut self, mut at: usize) {
        while at > 0 && self.entries[at] < self.entries[(at - 1) / 2] {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            let right = left + 1;
            let mut least = at;
            if left < self.entries.len() && self.entries[left] < self.entries[least] {
                least = left;
            }
            if right < self.entries.len() && self.entries[right] < self.entries[least] {
                least = right;
            }
            if least == at {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The first of the heap is the first of a list kept in stable order.
        #[test]
        fn agrees_with_a_stable_sort(ops in prop::collection::vec((0..4u8, 0..12u32, 0..6u64), 0..200)) {
            let mut heap = KeyHeap::new(12);
            let mut model: Vec<Entry> = Vec::new();
            for (op, server, key) in ops {
                match op {
                    0 | 1 => {
                        heap.insert(server, key);
                        model.retain(|entry| entry.server != server);
                        model.push(Entry { key, arrival: heap.arrivals, server });
                    }
                    2 => {
                        let known = model.iter().position(|entry| entry.server == server);
                        prop_assert_eq!(heap.remove(server), known.map(|at| model[at]));
                        known.map(|at| model.remove(at));
                    }
                    _ => {
                        if let Some(first) = heap.first() {
                            heap.remove(first.server);
                            heap.restore(first);
                        }
                    }
                }
                model.sort();
                prop_assert_eq!(heap.first(), model.first().copied());
            }
            for expected in model {
                prop_assert_eq!(heap.first(), Some(expected));
                heap.remove(expected.server);
            }
            prop_assert_eq!(heap.first(), None);
        }
    }
}
