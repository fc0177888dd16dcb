//! The byte buffer of a connection's direction: linear, of fixed capacity, allocated once by its pool.
//!
//! Data lies in `start..end` of the storage. It never wraps: a message head keeps absolute offsets into the
//! storage, and head parsers want one slice. Filling stops `reserve` bytes before the end of the storage
//! (`tune.maxrewrite`), so that a head that was read whole can still grow by rewrites. Counts beyond what
//! there is are cut to what there is; they are bugs of the caller, which debug builds stop at.

use std::fmt;

/// A linear byte buffer of fixed capacity. Moving or swapping one moves a pointer, never the bytes.
pub struct Buf {
    storage: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buf {
    /// An empty buffer of `capacity` bytes. Allocates: steady-state code takes buffers from a pool.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            storage: vec![0; capacity].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// A buffer without storage: what stays in a place whose buffer was lent away. Allocates nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            storage: Box::default(),
            start: 0,
            end: 0,
        }
    }

    /// Size of the storage, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Whether there is storage at all; false for [`Buf::empty`].
    #[must_use]
    pub fn is_allocated(&self) -> bool {
        !self.storage.is_empty()
    }

    /// Bytes of data.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is no data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Offset of the first byte of data in the storage.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Offset past the last byte of data in the storage.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    /// The data, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.end]
    }

    /// The whole storage, data or not: what absolute offsets refer to.
    #[must_use]
    pub fn storage(&self) -> &[u8] {
        &self.storage
    }

    /// The whole storage, to be changed in place.
    pub fn storage_mut(&mut self) -> &mut [u8] {
        &mut self.storage
    }

    /// Bytes that can be added behind the data while the last `reserve` bytes of the storage stay free.
    #[must_use]
    pub fn room_len(&self, reserve: usize) -> usize {
        self.storage
            .len()
            .saturating_sub(reserve)
            .saturating_sub(self.end)
    }

    /// Bytes that could be added after [`Buf::compact`], while the last `reserve` bytes stay free.
    #[must_use]
    pub fn room_len_compacted(&self, reserve: usize) -> usize {
        self.storage
            .len()
            .saturating_sub(reserve)
            .saturating_sub(self.len())
    }

    /// The free bytes behind the data, without the last `reserve` bytes of the storage. Fill from the front,
    /// then [`Buf::commit`].
    pub fn room(&mut self, reserve: usize) -> &mut [u8] {
        let limit = self.storage.len().saturating_sub(reserve).max(self.end);
        &mut self.storage[self.end..limit]
    }

    /// Turns the first `n` bytes of the room into data.
    pub fn commit(&mut self, n: usize) {
        let free = self.storage.len() - self.end;
        debug_assert!(n <= free, "commit of {n} bytes into {free}");
        self.end += n.min(free);
    }

    /// Drops `n` bytes from the front of the data. A buffer that becomes empty starts at offset 0 again.
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "consume of {n} bytes out of {}", self.len());
        self.start += n.min(self.len());
        if self.start == self.end {
            self.clear();
        }
    }

    /// Moves the data to the front of the storage. Returns whether anything moved: offsets into the storage
    /// are then void.
    pub fn compact(&mut self) -> bool {
        if self.start == 0 {
            return false;
        }
        self.storage.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        true
    }

    /// Appends `bytes` whole, into the reserve too; false, with nothing done, when they do not fit behind the
    /// data.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self
            .storage
            .get_mut(self.end..self.end.saturating_add(bytes.len()))
        else {
            return false;
        };
        room.copy_from_slice(bytes);
        self.end += bytes.len();
        true
    }

    /// Puts `bytes` right before the data; false, with nothing done, when there is no room in front of it.
    pub fn push_front(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else {
            return false;
        };
        self.storage[start..self.start].copy_from_slice(bytes);
        self.start = start;
        true
    }

    /// Drops all data.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// [`Buf::empty`], so that `std::mem::take` lends a buffer away.
impl Default for Buf {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({}..{} of {})", self.start, self.end, self.storage.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn fill_consume_compact() {
        let mut b = Buf::with_capacity(10);
        assert_eq!(b.room(4).len(), 6);
        b.room(4)[..3].copy_from_slice(b"abc");
        b.commit(3);
        assert_eq!((b.data(), b.start(), b.end()), (&b"abc"[..], 0, 3));
        b.consume(1);
        assert_eq!(
            (b.data(), b.room_len(4), b.room_len_compacted(4)),
            (&b"bc"[..], 3, 4)
        );
        assert!(b.compact());
        assert!(!b.compact());
        assert_eq!((b.data(), b.start()), (&b"bc"[..], 0));
        b.consume(2);
        assert!(b.is_empty());
        assert_eq!(b.end(), 0);
    }

    #[test]
    fn push_may_use_the_reserve_and_is_all_or_nothing() {
        let mut b = Buf::with_capacity(4);
        assert!(b.push(b"abc"));
        assert!(b.room(2).is_empty());
        assert!(!b.push(b"de"));
        assert_eq!(b.data(), b"abc");
        assert!(b.push(b"d"));
        assert_eq!(b.room_len(0), 0);
    }

    #[test]
    fn empty_and_swap() {
        let mut a = Buf::empty();
        let mut b = Buf::with_capacity(8);
        assert!(b.push(b"hi"));
        std::mem::swap(&mut a, &mut b);
        assert_eq!(a.data(), b"hi");
        assert!(!b.is_allocated());
        assert!(b.room(0).is_empty());
        assert!(!b.push(b"x"));
        assert!(b.push(b""));
    }

    #[derive(Debug, Clone)]
    enum Op {
        PushFront(Vec<u8>),
        Push(Vec<u8>),
        Consume(usize),
        Compact,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..24).prop_map(Op::Push),
            prop::collection::vec(any::<u8>(), 0..8).prop_map(Op::PushFront),
            (0..24usize).prop_map(Op::Consume),
            Just(Op::Compact),
        ]
    }

    proptest! {
        /// Whatever is done, the data is what a queue of bytes would hold.
        #[test]
        fn behaves_as_a_byte_queue(ops in prop::collection::vec(op(), 0..60)) {
            let mut buf = Buf::with_capacity(32);
            let mut model: VecDeque<u8> = VecDeque::new();
            for op in ops {
                match op {
                    Op::Push(bytes) => {
                        let fits = buf.end() + bytes.len() <= 32;
                        prop_assert_eq!(buf.push(&bytes), fits);
                        if fits {
                            model.extend(&bytes);
                        }
                    }
                    Op::PushFront(bytes) => {
                        let fits = buf.start() >= bytes.len();
                        prop_assert_eq!(buf.push_front(&bytes), fits);
                        if fits {
                            bytes.iter().rev().for_each(|byte| model.push_front(*byte));
                        }
                    }
                    Op::Consume(n) => {
                        let n = n.min(model.len());
                        buf.consume(n);
                        model.drain(..n);
                    }
                    Op::Compact => {
                        let moved = buf.start() > 0;
                        prop_assert_eq!(buf.compact(), moved);
                        prop_assert_eq!(buf.start(), 0);
                    }
                }
                prop_assert_eq!(buf.data(), model.make_contiguous());
                prop_assert_eq!(&buf.storage()[buf.start()..buf.end()], model.make_contiguous());
            }
        }
    }
}
