//! Pools of reusable buffers and objects, so that steady state allocates nothing.
//!
//! A pool hands out what was given back to it and allocates only when it has none. It keeps at most a
//! configured number of idle objects, may refuse beyond a hard limit, and counts for `show pools`.

use crate::base::buf::Buf;

/// What `show pools` tells of one pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// Objects that exist: handed out and idle.
    pub allocated: usize,
    /// Objects handed out.
    pub in_use: usize,
    /// Highest `in_use` so far.
    pub peak: usize,
    /// Times that an object was refused because of the hard limit.
    pub refused: u64,
}

/// Objects of a kind that are kept however long nobody needs them, so that a request now and then finds them.
const SPARE_KEPT: usize = 8;

/// Objects that wait for their next use, the last one given back first.
///
/// It knows how many of them nobody has needed for a while: [`Spare::trim_unused`], called from time to time, drops
/// what a crowd left behind that is gone.
pub struct Spare<T> {
    idle: Vec<T>,
    max: usize,
    /// The fewest that there were since the last trim.
    fewest: usize,
}

impl<T> Spare<T> {
    /// Room for at most `max` objects.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            idle: Vec::new(),
            max,
            fewest: 0,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    /// Whether [`Spare::trim_unused`] will find anything, if nobody needs it.
    #[must_use]
    pub fn is_trimmable(&self) -> bool {
        self.idle.len() > SPARE_KEPT
    }

    /// The object given back last.
    pub fn pop(&mut self) -> Option<T> {
        let object = self.idle.pop();
        self.fewest = self.fewest.min(self.idle.len());
        object
    }

    /// Keeps an object, unless there are enough.
    pub fn push(&mut self, object: T) {
        if self.idle.len() < self.max {
            self.idle.push(object);
        }
    }

    /// Drops what was not needed since the last call, but for a few. Returns how many.
    pub fn trim_unused(&mut self) -> usize {
        let unused = self.fewest.min(self.idle.len().saturating_sub(SPARE_KEPT));
        self.idle.drain(..unused);
        self.fewest = self.idle.len();
        unused
    }

    /// Drops all. Returns how many.
    pub fn clear(&mut self) -> usize {
        let count = self.idle.len();
        self.idle = Vec::new();
        self.fewest = 0;
        count
    }
}

/// Reusable objects of one kind.
pub struct Pool<T> {
    idle: Spare<T>,
    limit: Option<usize>,
    reset: fn(&mut T),
    in_use: usize,
    peak: usize,
    refused: u64,
}

impl<T> Pool<T> {
    /// A pool that keeps at most `max_idle` unused objects, hands out at most `limit` at a time, and calls
    /// `reset` on each object given back.
    #[must_use]
    pub fn new(max_idle: usize, limit: Option<usize>, reset: fn(&mut T)) -> Self {
        Self {
            idle: Spare::new(max_idle),
            limit,
            reset,
            in_use: 0,
            peak: 0,
            refused: 0,
        }
    }

    /// An object: the one given back last, or a new one from `make`. `None` at the hard limit.
    pub fn take(&mut self, make: impl FnOnce() -> T) -> Option<T> {
        if self.limit.is_some_and(|limit| self.in_use >= limit) {
            self.refused += 1;
            return None;
        }
        let object = self.idle.pop().unwrap_or_else(make);
        self.in_use += 1;
        self.peak = self.peak.max(self.in_use);
        Some(object)
    }

    /// Gives an object back. It is reset, and dropped when enough idle ones are kept already.
    pub fn put(&mut self, mut object: T) {
        debug_assert!(self.in_use > 0, "more objects given back than taken");
        self.in_use = self.in_use.saturating_sub(1);
        (self.reset)(&mut object);
        self.idle.push(object);
    }

    /// Drops all idle objects. Returns how many.
    pub fn trim(&mut self) -> usize {
        self.idle.clear()
    }

    /// Drops the idle objects that were not needed since the last call. Returns how many.
    pub fn trim_unused(&mut self) -> usize {
        self.idle.trim_unused()
    }

    /// How many objects may still be handed out.
    #[must_use]
    pub fn left(&self) -> usize {
        self.limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(self.in_use))
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            allocated: self.in_use + self.idle.len(),
            in_use: self.in_use,
            peak: self.peak,
            refused: self.refused,
        }
    }
}

/// How much depends on a buffer, when there are few: who is nearer to the end of what it does, and so to giving
/// buffers back, may take more of the reserve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Urgency {
    /// Something new: nothing of the reserve.
    Begin,
    /// A request under way: half of the reserve.
    #[default]
    Request,
    /// A response: all of it.
    Response,
}

/// Bounds of a pool of buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufLimits {
    /// Most buffers at once, for anything.
    pub limit: usize,
    /// Buffers beyond it, to go on with what was begun.
    pub reserve: usize,
}

/// Size of a burst buffer, in bytes: what a core's cache holds twice, and enough that calls are few.
pub const BURST_LEN: usize = 131_072;

/// Burst buffers at once, all but the one at work holding what a consumer did not take.
const BURSTS_MAX: usize = 64;

/// Unused burst buffers that are kept.
const BURSTS_IDLE_MAX: usize = 16;

/// Buffers of one capacity, and a few large ones that bulk data rushes through.
pub struct BufPool {
    pool: Pool<Buf>,
    bursts: Option<Pool<Buf>>,
    capacity: usize,
    reserve: usize,
}

impl BufPool {
    /// A pool of buffers of `capacity` bytes (`tune.bufsize`) that keeps at most `max_idle` unused ones and
    /// hands out at most `limits` at a time (`tune.buffers.limit`, `tune.buffers.reserve`).
    #[must_use]
    pub fn new(capacity: usize, max_idle: usize, limits: Option<BufLimits>) -> Self {
        let hard = limits.map(|limits| limits.limit.saturating_add(limits.reserve));
        Self {
            pool: Pool::new(max_idle, hard, Buf::clear),
            bursts: None,
            capacity,
            reserve: limits.map_or(0, |limits| limits.reserve),
        }
    }

    /// The same with burst buffers.
    #[must_use]
    pub fn with_bursts(mut self) -> Self {
        debug_assert!(self.capacity < BURST_LEN, "a buffer is known by its size");
        self.bursts = Some(Pool::new(BURSTS_IDLE_MAX, Some(BURSTS_MAX), Buf::clear));
        self
    }

    /// An empty burst buffer, of [`BURST_LEN`] bytes; `None` where there are none, or too many are in use.
    pub fn take_burst(&mut self) -> Option<Buf> {
        self.bursts.as_mut()?.take(|| Buf::with_capacity(BURST_LEN))
    }

    /// Whether this is a burst buffer.
    #[must_use]
    pub fn is_burst(&self, buf: &Buf) -> bool {
        buf.capacity() > self.capacity
    }

    /// The counters of the burst buffers.
    #[must_use]
    pub fn burst_stats(&self) -> PoolStats {
        self.bursts.as_ref().map(Pool::stats).unwrap_or_default()
    }

    /// An empty buffer; `None` when what is left is for more urgent things.
    pub fn take(&mut self, urgency: Urgency) -> Option<Buf> {
        if self.left(urgency) == 0 {
            self.pool.refused += 1;
            return None;
        }
        let capacity = self.capacity;
        self.pool.take(|| Buf::with_capacity(capacity))
    }

    /// How many buffers `take` would still hand out.
    #[must_use]
    pub fn left(&self, urgency: Urgency) -> usize {
        let kept = match urgency {
            Urgency::Begin => self.reserve,
            Urgency::Request => self.reserve.div_ceil(2),
            Urgency::Response => 0,
        };
        self.pool.left().saturating_sub(kept)
    }

    /// Whether there is a limit at all.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.pool.limit.is_some()
    }

    /// Gives a buffer of either size back, with or without data. A [`Buf::empty`] place-holder is ignored, so that the
    /// buffers of a closing stream can be given back without asking which ones were lent away.
    pub fn put(&mut self, buf: Buf) {
        if !buf.is_allocated() {
            return;
        }
        if let Some(bursts) = &mut self.bursts
            && buf.capacity() == BURST_LEN
        {
            bursts.put(buf);
            return;
        }
        debug_assert_eq!(buf.capacity(), self.capacity, "a buffer of another pool");
        self.pool.put(buf);
    }

    /// Gives the buffer of a place back and leaves none there.
    pub fn put_from(&mut self, place: &mut Buf) {
        self.put(std::mem::take(place));
    }

    /// Size of each usual buffer, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Drops all idle buffers. Returns how many.
    pub fn trim(&mut self) -> usize {
        self.pool.trim() + self.bursts.as_mut().map_or(0, Pool::trim)
    }

    /// Drops the idle buffers that were not needed since the last call. Returns how many bytes they had.
    pub fn trim_unused(&mut self) -> usize {
        let bursts = self.bursts.as_mut().map_or(0, Pool::trim_unused);
        self.pool.trim_unused() * self.capacity + bursts * BURST_LEN
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_and_counted() {
        let mut pool = BufPool::new(64, 1, None);
        let mut a = pool.take(Urgency::Begin).unwrap();
        let b = pool.take(Urgency::Begin).unwrap();
        assert!(a.push(b"left over"));
        let storage = a.storage().as_ptr();
        pool.put(a);
        pool.put(b);
        assert_eq!(
            pool.stats(),
            PoolStats {
                allocated: 1,
                in_use: 0,
                peak: 2,
                refused: 0
            }
        );
        let c = pool.take(Urgency::Begin).unwrap();
        assert_eq!(c.storage().as_ptr(), storage);
        assert!(c.is_empty());
        assert_eq!(c.capacity(), 64);
    }

    #[test]
    fn hard_limit_refuses_until_one_comes_back() {
        let limits = BufLimits { limit: 2, reserve: 0 };
        let mut pool = BufPool::new(8, 10, Some(limits));
        let a = pool.take(Urgency::Begin).unwrap();
        let _b = pool.take(Urgency::Begin).unwrap();
        assert_eq!(pool.left(Urgency::Response), 0);
        assert!(pool.take(Urgency::Response).is_none());
        assert_eq!(pool.stats().refused, 1);
        pool.put(a);
        assert!(pool.take(Urgency::Begin).is_some());
    }

    #[test]
    fn the_reserve_is_for_what_was_begun() {
        let limits = BufLimits { limit: 1, reserve: 4 };
        let mut pool = BufPool::new(8, 10, Some(limits));
        let mut held = Vec::new();
        for (urgency, expected) in [(Urgency::Begin, 1), (Urgency::Request, 2), (Urgency::Response, 2)] {
            assert_eq!(pool.left(urgency), expected);
            for _ in 0..expected {
                held.push(pool.take(urgency).unwrap());
            }
            assert!(pool.take(urgency).is_none());
        }
        assert_eq!(pool.stats().in_use, 5);
        assert!(pool.is_limited() && !BufPool::new(8, 10, None).is_limited());
    }

    #[test]
    fn place_holders_are_not_counted() {
        let mut pool = BufPool::new(8, 10, None);
        pool.put(Buf::empty());
        assert_eq!(pool.stats(), PoolStats::default());
        let mut place = pool.take(Urgency::Begin).unwrap();
        pool.put_from(&mut place);
        pool.put_from(&mut place);
        assert_eq!(
            pool.stats(),
            PoolStats {
                allocated: 1,
                in_use: 0,
                peak: 1,
                refused: 0
            }
        );
        assert_eq!(pool.trim(), 1);
        assert_eq!(pool.stats().allocated, 0);
    }

    #[test]
    fn bursts_are_known_by_their_size_and_few() {
        let mut pool = BufPool::new(64, 10, None);
        assert!(pool.take_burst().is_none());
        let mut pool = pool.with_bursts();
        let burst = pool.take_burst().unwrap();
        let usual = pool.take(Urgency::Begin).unwrap();
        assert!(pool.is_burst(&burst) && !pool.is_burst(&usual));
        assert_eq!((burst.capacity(), pool.burst_stats().in_use), (BURST_LEN, 1));
        pool.put(burst);
        pool.put(usual);
        assert_eq!((pool.burst_stats().in_use, pool.stats().in_use), (0, 0));
        let all: Vec<_> = std::iter::from_fn(|| pool.take_burst()).collect();
        assert_eq!(all.len(), BURSTS_MAX);
        all.into_iter().for_each(|burst| pool.put(burst));
        assert_eq!(pool.burst_stats().allocated, BURSTS_IDLE_MAX);
    }

    #[test]
    fn what_is_not_needed_for_a_while_goes() {
        let mut spare = Spare::new(20);
        for n in 0..25 {
            spare.push(n);
        }
        assert_eq!((spare.len(), spare.trim_unused()), (20, 0));
        // All but twelve stay idle.
        let used: Vec<_> = (0..12).filter_map(|_| spare.pop()).collect();
        used.into_iter().for_each(|n| spare.push(n));
        assert_eq!((spare.trim_unused(), spare.len()), (8, 12));
        assert!(spare.is_trimmable());
        assert_eq!((spare.trim_unused(), spare.len()), (12 - SPARE_KEPT, SPARE_KEPT));
        assert!(!spare.is_trimmable() && !spare.is_empty());
        assert_eq!(
            (spare.trim_unused(), spare.clear(), spare.len()),
            (0, SPARE_KEPT, 0)
        );
        assert!(spare.pop().is_none());
    }

    #[test]
    fn objects_are_reset() {
        let mut pool: Pool<Vec<u32>> = Pool::new(4, None, Vec::clear);
        let mut v = pool.take(Vec::new).unwrap();
        v.extend([1, 2, 3]);
        let cap = v.capacity();
        pool.put(v);
        let v = pool.take(|| unreachable!("one is idle")).unwrap();
        assert!(v.is_empty());
        assert_eq!(v.capacity(), cap);
    }
}
