//! Streams that wait for a slot on a server: the queues of servers and backends, and when to use them.
//!
//! A stream with a chosen server waits in that server's queue, one without in its backend's. When a server has
//! a free slot, it takes the older of the two heads. Timeouts and wake-ups are the caller's: this is the order
//! of waiting alone, over keys of streams, O(1) for everything, without allocation in steady state.
//! Source: configuration manual, "maxconn", "minconn", "fullconn", "maxqueue", "timeout queue".

use crate::base::list::{ListId, Lists};
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::model::ids::{ProxyId, ServerId};
use crate::policy::lb::Load;

/// How many streams a server may serve at a time, 0 for no limit: `maxconn`, or with `minconn` the share of it
/// that `conns` streams in the backend are of `fullconn`, but no less than `minconn`.
#[must_use]
pub fn dynamic_maxconn(maxconn: u32, minconn: u32, conns: u32, fullconn: u32) -> u32 {
    // `minconn` alone, or above `maxconn`, stands for both.
    if minconn >= maxconn {
        return minconn;
    }
    if minconn == 0 || conns >= fullconn {
        return maxconn;
    }
    // Below `maxconn`, since `conns` is below `fullconn`.
    let share = u64::from(conns) * u64::from(maxconn) / u64::from(fullconn);
    minconn.max(u32::try_from(share).unwrap_or(maxconn))
}

/// `fullconn` where it is not set: a tenth, rounded up, of the summed `maxconn` of the frontends that lead to
/// the backend.
#[must_use]
pub fn default_fullconn(frontend_maxconns: u64) -> u32 {
    u32::try_from(frontend_maxconns.div_ceil(10))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Whether a stream gets a slot of the server that was chosen for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// At once.
    Serve,
    /// It waits in the server's queue.
    Wait,
    /// `maxqueue` streams wait already: another server must be found, or the backend's queue used.
    QueueFull,
}

/// Whether a stream gets a slot of a server with this load.
#[must_use]
pub fn admit(load: Load) -> Admission {
    if load.has_free_slot() {
        Admission::Serve
    } else if load.max_queue > 0 && load.queued >= load.max_queue {
        Admission::QueueFull
    } else {
        Admission::Wait
    }
}

/// Where a stream waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// For any server of the backend.
    Backend(ProxyId),
    /// For this server.
    Server(ServerId),
}

/// A stream that has left a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Departure {
    /// The stream.
    pub key: Key,
    /// Where it waited.
    pub place: Place,
    /// When it came.
    pub since: Ticks,
    /// Its position, as the logs tell it (`%sq`, `%bq`): streams that were served from the queue while it
    /// waited, plus one.
    pub position: u32,
}

struct Queue {
    list: ListId,
    /// Streams taken from this queue so far.
    taken: u64,
}

#[derive(Clone, Copy)]
struct Waiter {
    key: Key,
    place: Place,
    since: Ticks,
    /// `Queue::taken` when it came.
    taken_before: u64,
}

/// All queues of a process.
#[derive(Default)]
pub struct Queues {
    lists: Lists,
    backends: Vec<Option<Queue>>,
    servers: Vec<Option<Queue>>,
    /// By index of the stream's key.
    waiters: Vec<Option<Waiter>>,
}

impl Queues {
    /// No queues.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lists: Lists::new(),
            backends: Vec::new(),
            servers: Vec::new(),
            waiters: Vec::new(),
        }
    }

    fn queue(&self, place: Place) -> Option<&Queue> {
        match place {
            Place::Backend(id) => self.backends.get(id.index())?.as_ref(),
            Place::Server(id) => self.servers.get(id.index())?.as_ref(),
        }
    }

    fn queue_or_new(&mut self, place: Place) -> &mut Queue {
        let (queues, index) = match place {
            Place::Backend(id) => (&mut self.backends, id.index()),
            Place::Server(id) => (&mut self.servers, id.index()),
        };
        if index >= queues.len() {
            queues.resize_with(index + 1, || None);
        }
        queues[index].get_or_insert_with(|| Queue {
            list: self.lists.add_list(),
            taken: 0,
        })
    }

    /// Streams that wait there.
    #[must_use]
    pub fn len(&self, place: Place) -> usize {
        self.queue(place).map_or(0, |queue| self.lists.len(queue.list))
    }

    /// Whether no stream waits there.
    #[must_use]
    pub fn is_empty(&self, place: Place) -> bool {
        self.len(place) == 0
    }

    /// Where a stream waits.
    #[must_use]
    pub fn place_of(&self, key: Key) -> Option<Place> {
        self.waiter(key).map(|waiter| waiter.place)
    }

    fn waiter(&self, key: Key) -> Option<&Waiter> {
        self.waiters
            .get(key.index as usize)?
            .as_ref()
            .filter(|waiter| waiter.key == key)
    }

    /// Puts a stream at the end of a queue. Returns how many wait there now. A stream waits in one place: it
    /// leaves the one where it was.
    pub fn enqueue(&mut self, key: Key, place: Place, now: Ticks) -> usize {
        let queue = self.queue_or_new(place);
        let (list, taken_before) = (queue.list, queue.taken);
        let slot = key.index as usize;
        if slot >= self.waiters.len() {
            self.waiters.resize(slot + 1, None);
        }
        self.waiters[slot] = Some(Waiter {
            key,
            place,
            since: now,
            taken_before,
        });
        self.lists.push_back(list, key.index);
        self.lists.len(list)
    }

    /// Takes a stream out of its queue, for a timeout, an abort or a server that went down. `None` when it is
    /// in none.
    pub fn cancel(&mut self, key: Key) -> Option<Departure> {
        self.waiter(key)?;
        self.leave(key.index, false)
    }

    fn leave(&mut self, index: u32, taken: bool) -> Option<Departure> {
        let waiter = self.waiters.get_mut(index as usize)?.take()?;
        self.lists.unlink(index);
        let queue = self.queue_or_new(waiter.place);
        let ahead = queue.taken.saturating_sub(waiter.taken_before);
        queue.taken += u64::from(taken);
        Some(Departure {
            key: waiter.key,
            place: waiter.place,
            since: waiter.since,
            position: u32::try_from(ahead + 1).unwrap_or(u32::MAX),
        })
    }

    fn head(&self, place: Place) -> Option<Waiter> {
        let index = self.lists.front(self.queue(place)?.list)?;
        *self.waiters.get(index as usize)?
    }

    /// The stream that a free slot of `server` goes to: the older of the first one in its queue and, with
    /// `serves_backend` (usable, and not a backup that is not needed), the first one in the queue of `backend`.
    /// The server's own goes first if they came in the same millisecond. To be repeated while the server is
    /// below its limit; the stream that just ended still counts in the backend then, as in HAProxy.
    pub fn take_next(
        &mut self,
        server: ServerId,
        backend: ProxyId,
        serves_backend: bool,
    ) -> Option<Departure> {
        let own = self.head(Place::Server(server));
        let shared = if serves_backend {
            self.head(Place::Backend(backend))
        } else {
            None
        };
        let next = match (own, shared) {
            (Some(own), Some(shared)) if shared.since < own.since => shared,
            (Some(own), _) => own,
            (None, Some(shared)) => shared,
            (None, None) => return None,
        };
        self.leave(next.key.index, true)
    }

    /// The streams that wait there, oldest first.
    pub fn iter(&self, place: Place) -> impl Iterator<Item = Key> {
        let list = self.queue(place).map(|queue| queue.list);
        list.into_iter()
            .flat_map(|list| self.lists.iter(list))
            .filter_map(|index| self.waiters.get(index as usize).copied().flatten())
            .map(|waiter| waiter.key)
    }
}

#[cfg(test)]
mod tests;
