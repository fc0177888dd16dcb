//! Streams that wait for buffers, and whose turn it is when some are free.
//!
//! Who is nearer to the end of what it does comes first; among equals, who came first and needs no more than
//! there is. A stream that waits holds no empty buffer, so that a wait ends only where something went on.
//! Source: configuration manual, `tune.buffers.limit`, `tune.buffers.reserve`.

use std::collections::{HashMap, VecDeque};

use crate::base::pool::{BufPool, Urgency};
use crate::base::slab::Key;

/// The order in which waiters are looked at.
const ORDER: [Urgency; 3] = [Urgency::Response, Urgency::Request, Urgency::Begin];

/// Streams that wait for buffers.
#[derive(Debug, Default)]
pub(crate) struct BufferWaiters {
    /// In the order of `ORDER`, each with how many buffers it needs at once.
    queues: [VecDeque<(Key, usize)>; 3],
    /// Who waits, and in which queue.
    known: HashMap<Key, Urgency>,
}

impl BufferWaiters {
    /// Notes a stream. One that waits for something less urgent already waits for this from now on.
    pub(super) fn add(&mut self, stream: Key, urgency: Urgency, need: usize) {
        match self.known.get(&stream) {
            Some(known) if *known > urgency || urgency == Urgency::Begin => return,
            Some(known) => {
                let former = *known;
                self.queue(former).retain(|(key, _)| *key != stream);
            }
            None => {}
        }
        self.known.insert(stream, urgency);
        self.queue(urgency).push_back((stream, need));
    }

    fn queue(&mut self, urgency: Urgency) -> &mut VecDeque<(Key, usize)> {
        let [response, request, begin] = &mut self.queues;
        match urgency {
            Urgency::Response => response,
            Urgency::Request => request,
            Urgency::Begin => begin,
        }
    }

    /// Takes those out that the pool can serve now.
    pub(super) fn take_ready(&mut self, bufs: &BufPool, mut wake: impl FnMut(Key)) {
        if self.known.is_empty() {
            return;
        }
        let mut promised = 0;
        for (urgency, queue) in ORDER.into_iter().zip(&mut self.queues) {
            let left = bufs.left(urgency);
            let mut place = 0;
            while promised < left
                && let Some((stream, need)) = queue.get(place).copied()
            {
                if promised + need > left {
                    place += 1;
                    continue;
                }
                promised += need;
                queue.remove(place);
                self.known.remove(&stream);
                wake(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::pool::BufLimits;

    fn key(n: u64) -> Key {
        Key::from_u64(n)
    }

    fn ready(waiters: &mut BufferWaiters, bufs: &BufPool) -> Vec<u64> {
        let mut woken = Vec::new();
        waiters.take_ready(bufs, |key| woken.push(key.to_u64()));
        woken
    }

    #[test]
    fn the_most_urgent_that_can_be_served_comes_first() {
        let limits = BufLimits { limit: 1, reserve: 4 };
        let mut bufs = BufPool::new(8, 8, Some(limits));
        let mut held: Vec<_> = (0..5).filter_map(|_| bufs.take(Urgency::Response)).collect();
        let mut waiters = BufferWaiters::default();
        waiters.add(key(1), Urgency::Begin, 1);
        waiters.add(key(2), Urgency::Request, 1);
        waiters.add(key(3), Urgency::Response, 2);
        waiters.add(key(4), Urgency::Begin, 1);
        waiters.add(key(4), Urgency::Response, 1);
        waiters.add(key(4), Urgency::Begin, 1);
        assert!(ready(&mut waiters, &bufs).is_empty());
        let mut free = |bufs: &mut BufPool| bufs.put(held.pop().expect("one is held"));
        free(&mut bufs);
        assert_eq!(ready(&mut waiters, &bufs), [4]);
        free(&mut bufs);
        assert_eq!(ready(&mut waiters, &bufs), [3]);
        free(&mut bufs);
        assert_eq!(ready(&mut waiters, &bufs), [2]);
        free(&mut bufs);
        assert!(ready(&mut waiters, &bufs).is_empty());
        free(&mut bufs);
        assert_eq!(ready(&mut waiters, &bufs), [1]);
        assert!(waiters.known.is_empty());
    }
}
