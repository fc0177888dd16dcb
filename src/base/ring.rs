//! A bounded ring of messages in one block of bytes: log lines waiting for their target, traces, events.
//!
//! Messages go in whole and come out whole, in order. When there is no room, a ring either refuses the new
//! message ([`Ring::push`], which counts it as dropped) or forgets the oldest ones ([`Ring::push_evicting`]).
//! Each message costs its length and four bytes more. Nothing is allocated after the ring is made.

/// Bytes of the length in front of each message.
const HEADER: usize = 4;

/// Messages in a fixed block of bytes.
pub struct Ring {
    storage: Box<[u8]>,
    /// Offset of the oldest message.
    start: usize,
    /// Bytes used, headers included.
    used: usize,
    messages: usize,
    dropped: u64,
    pushed: u64,
}

impl Ring {
    /// A ring of `capacity` bytes, headers included.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            storage: vec![0; capacity].into_boxed_slice(),
            start: 0,
            used: 0,
            messages: 0,
            dropped: 0,
            pushed: 0,
        }
    }

    /// Messages held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Size of the block, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Bytes used, four per message included.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Messages refused or forgotten so far for want of room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Messages taken so far.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Adds a message; false when there is no room for it, and it is counted as dropped.
    pub fn push(&mut self, message: &[u8]) -> bool {
        let Some(len) = self.fits(message) else {
            self.dropped += 1;
            return false;
        };
        let at = self.used;
        self.write(at, &len.to_le_bytes());
        self.write(at + HEADER, message);
        self.used += HEADER + message.len();
        self.messages += 1;
        self.pushed += 1;
        true
    }

    /// Adds a message, forgetting the oldest ones as needed. False only for one larger than the ring.
    pub fn push_evicting(&mut self, message: &[u8]) -> bool {
        if message.len() + HEADER <= self.storage.len() {
            while self.storage.len() - self.used < HEADER + message.len() && self.pop() {
                self.dropped += 1;
            }
        }
        self.push(message)
    }

    /// The oldest message, in the two pieces that it may lie in.
    #[must_use]
    pub fn front(&self) -> Option<(&[u8], &[u8])> {
        (self.messages > 0).then(|| self.slices(HEADER, self.length_at(0)))
    }

    /// Drops the oldest message; false when there is none.
    pub fn pop(&mut self) -> bool {
        if self.messages == 0 {
            return false;
        }
        let size = HEADER + self.length_at(0);
        self.start = (self.start + size) % self.storage.len();
        self.used -= size;
        self.messages -= 1;
        if self.messages == 0 {
            self.start = 0;
        }
        true
    }

    /// Copies the oldest message into `out` (cleared first) and drops it; false when there is none.
    pub fn pop_into(&mut self, out: &mut Vec<u8>) -> bool {
        out.clear();
        if let Some((head, tail)) = self.front() {
            out.extend_from_slice(head);
            out.extend_from_slice(tail);
        }
        self.pop()
    }

    /// All messages, oldest first, each in the two pieces that it may lie in.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut at = 0;
        (0..self.messages).map(move |_| {
            let len = self.length_at(at);
            let message = self.slices(at + HEADER, len);
            at += HEADER + len;
            message
        })
    }

    fn fits(&self, message: &[u8]) -> Option<u32> {
        let len = u32::try_from(message.len()).ok()?;
        (message.len() + HEADER <= self.storage.len() - self.used).then_some(len)
    }

    /// The `len` bytes at `at`, counted from the oldest message. Both within the used part.
    fn slices(&self, at: usize, len: usize) -> (&[u8], &[u8]) {
        let capacity = self.storage.len();
        let from = (self.start + at) % capacity;
        let until_end = len.min(capacity - from);
        (
            &self.storage[from..from + until_end],
            &self.storage[..len - until_end],
        )
    }

    fn length_at(&self, at: usize) -> usize {
        let (head, tail) = self.slices(at, HEADER);
        let mut bytes = [0; HEADER];
        bytes[..head.len()].copy_from_slice(head);
        bytes[head.len()..].copy_from_slice(tail);
        u32::from_le_bytes(bytes) as usize
    }

    /// Writes at `at`, counted from the oldest message, where `fits` found room.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let capacity = self.storage.len();
        let from = (self.start + at) % capacity;
        let until_end = bytes.len().min(capacity - from);
        self.storage[from..from + until_end].copy_from_slice(&bytes[..until_end]);
        self.storage[..bytes.len() - until_end].copy_from_slice(&bytes[until_end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn joined((head, tail): (&[u8], &[u8])) -> Vec<u8> {
        [head, tail].concat()
    }

    #[test]
    fn refuses_when_full_and_counts() {
        let mut ring = Ring::with_capacity(16);
        assert!(ring.push(b"12345678"));
        assert!(!ring.push(b"x"));
        assert_eq!(
            (ring.len(), ring.dropped(), ring.pushed(), ring.used()),
            (1, 1, 1, 12)
        );
        assert!(ring.push(b""));
        assert!(ring.pop() && ring.pop() && !ring.pop());
        assert!(!Ring::with_capacity(0).push(b""));
        assert!(!ring.push_evicting(b"more than sixteen"));
        assert!(ring.is_empty());
    }

    proptest! {
        /// Messages come out whole and in order, wherever the ring wraps.
        #[test]
        fn behaves_as_a_bounded_queue(
            capacity in 0..64usize,
            ops in prop::collection::vec((0..3u8, prop::collection::vec(any::<u8>(), 0..20)), 0..100),
        ) {
            let mut ring = Ring::with_capacity(capacity);
            let mut model: VecDeque<Vec<u8>> = VecDeque::new();
            let mut out = Vec::new();
            let size = |model: &VecDeque<Vec<u8>>| model.iter().map(|m| m.len() + HEADER).sum::<usize>();
            for (op, message) in ops {
                match op {
                    0 => {
                        let fits = size(&model) + message.len() + HEADER <= capacity;
                        prop_assert_eq!(ring.push(&message), fits);
                        if fits {
                            model.push_back(message);
                        }
                    }
                    1 => {
                        let fits = message.len() + HEADER <= capacity;
                        prop_assert_eq!(ring.push_evicting(&message), fits);
                        if fits {
                            while size(&model) + message.len() + HEADER > capacity {
                                model.pop_front();
                            }
                            model.push_back(message);
                        }
                    }
                    _ => {
                        let expected = model.pop_front();
                        prop_assert_eq!(ring.pop_into(&mut out), expected.is_some());
                        prop_assert_eq!(&out, &expected.unwrap_or_default());
                    }
                }
                prop_assert_eq!(ring.used(), size(&model));
                prop_assert_eq!(ring.front().map(joined), model.front().cloned());
                prop_assert!(ring.iter().map(joined).eq(model.iter().cloned()));
            }
        }
    }
}
