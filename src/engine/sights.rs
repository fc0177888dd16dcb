//! What services may see of the engine: its streams and conversations, its pools, its gauges, its last errors.
//!
//! Read by the runtime socket while a command runs, never on the path of requests.
//! Source: management manual, `show sess`, `show pools`, `show info`, `show errors`, `show env`.

use std::collections::HashMap;

use super::conn::Conn;
use super::core::{CapturedError, Core};
use super::runtime::RuntimeConn;
use super::service::{ErrorSight, Gauges, PoolSight, SideSight, Sights, StreamSight};
use super::stream::{Step, Stream};
use super::worker::Worker;
use crate::base::pool::{BURST_LEN, PoolStats};
use crate::base::slab::{Key, Slots};
use crate::base::ticks::Ticks;
use crate::model::config::Config;
use crate::model::ids::{ListenerId, ProxyId};
use crate::model::proxy::Mode;
use crate::model::txn::{Endpoint, Stamp};
use crate::proto::head::Head;

/// What HAProxy counts among its jobs beside listeners and connections: its watcher of server addresses.
const OWN_JOBS: u32 = 1;

/// Where conversations begin among the places of [`Sights::stream_from`], behind all streams.
const TALKS: usize = usize::MAX / 2;
/// The place of the conversation that asks, among these: it is the last that was heard of.
const OWN_TALK: usize = u32::MAX as usize;

/// What is told of a conversation.
#[derive(Clone, Copy)]
pub(super) struct TalkFacts {
    /// Its descriptor.
    pub(super) fd: i32,
    /// `None` for the pair with the master.
    pub(super) listener: Option<ListenerId>,
    /// Where it comes from.
    pub(super) src: Endpoint,
    /// When it began.
    pub(super) begun: Stamp,
    /// Its number among the streams.
    pub(super) counter: u64,
}

impl Worker {
    /// Numbers of this loop.
    pub(super) fn gauges(&self) -> Gauges {
        let (pipes_used, pipes_free) = self.core.pipes.counts();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let open = self.listeners.iter().filter(|l| l.fd().is_some()).count();
        // The pair with the master is a listener to HAProxy: conversations come in over it.
        let open = count(open + usize::from(self.master_link.is_some()));
        Gauges {
            tasks: count(self.core.wheel.len()),
            run_queue: count(self.core.wakes.len()),
            idle_pct: self.idle_share.percent(),
            pipes_used,
            pipes_free,
            out_bytes_rate: 0,
            jobs: open
                .saturating_add(self.core.state.process.conns)
                .saturating_add(count(self.runtime.len()))
                .saturating_add(OWN_JOBS),
            listeners: open,
            master_link: self.master_link,
        }
    }
}

/// The pools of a loop: name, bytes of an object, counters.
pub(super) type PoolTable = [(&'static str, usize, PoolStats); 5];

/// The pools of a loop.
pub(super) fn pools(core: &Core, streams: &Slots<Box<Stream>>) -> PoolTable {
    [
        ("buffer", core.bufs.capacity(), core.bufs.stats()),
        ("burst_buffer", BURST_LEN, core.bufs.burst_stats()),
        ("head", size_of::<Head>(), core.heads.stats()),
        (
            "stream",
            size_of::<Stream>(),
            slots_stats(streams.len(), streams.peak()),
        ),
        (
            "connection",
            size_of::<Conn>(),
            slots_stats(core.conns.len(), core.conns.peak()),
        ),
    ]
}

fn slots_stats(len: usize, peak: usize) -> PoolStats {
    PoolStats {
        allocated: peak,
        in_use: len,
        peak,
        refused: 0,
    }
}

fn sight(name: &'static str, object_bytes: usize, stats: PoolStats) -> PoolSight {
    PoolSight {
        name,
        object_bytes,
        allocated: stats.allocated,
        in_use: stats.in_use,
        peak: stats.peak,
        refused: stats.refused,
    }
}

/// What services may see.
pub(super) struct View<'a> {
    /// All conversations but the one that asks.
    pub(super) talks: &'a Slots<RuntimeConn>,
    /// The one that asks: it is taken out of `talks` while it is at work.
    pub(super) own: TalkFacts,
    /// The configuration.
    pub(super) config: &'a Config,
    /// All streams.
    pub(super) streams: &'a Slots<Box<Stream>>,
    /// All connections of the traffic.
    pub(super) conns: &'a Slots<Conn>,
    /// What is kept for later.
    pub(super) pools: PoolTable,
    /// Numbers of the loop.
    pub(super) gauges: Gauges,
    /// What was refused last, by proxy and whether it was a response.
    pub(super) errors: &'a HashMap<(ProxyId, bool), CapturedError>,
    /// How many messages were refused.
    pub(super) errors_total: u32,
    /// The environment of the process.
    pub(super) env: &'a [(Vec<u8>, Vec<u8>)],
    /// `tune.bufsize`, bytes.
    pub(super) bufsize: usize,
}

impl View<'_> {
    fn fd_of(&self, key: Option<Key>) -> i32 {
        key.and_then(|key| self.conns.get(key)).map_or(-1, Conn::fd)
    }

    /// The first stream of the traffic at or behind that place.
    fn traffic_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        let mut from = u32::try_from(place).ok()?;
        let (key, stream) = loop {
            let key = self.streams.next_from(from)?;
            let stream = self.streams.get(key)?;
            // As in HAProxy a request is a stream once its head is there.
            if stream.step != Step::Request || self.config.proxy(stream.session.frontend).mode == Mode::Tcp {
                break (key, stream);
            }
            from = key.index + 1;
        };
        let facts = &stream.facts;
        let phase = match stream.step {
            Step::Request | Step::Gather | Step::Assign => "INI",
            Step::Queued => "QUE",
            Step::TurnAround => "TAR",
            Step::Connect => "CON",
            Step::Exchange => "EST",
            Step::Reply | Step::Drain | Step::Finish => "CLO",
        };
        let side = |key, phase, pending_bytes| SideSight {
            fd: self.fd_of(key),
            phase,
            pending_bytes,
            read_deadline: Ticks::NEVER,
            write_deadline: Ticks::NEVER,
        };
        let sight = StreamSight {
            id: stream.key.to_u64(),
            counter: facts.counter,
            listener: stream.session.listener,
            frontend: Some(stream.session.frontend),
            backend: facts.backend_chosen.then_some(facts.backend),
            server: facts.server,
            src: stream.session.src,
            begun: facts.begun,
            deadline: stream.timer.deadline(),
            retries: facts.retries,
            front: side(Some(stream.front), "EST", stream.req.input.len()),
            back: side(stream.back, phase, stream.res.input.len()),
            request_line: &facts.request_line,
        };
        Some((key.index as usize, sight))
    }

    /// The first conversation at or behind that place: to HAProxy they are streams as well.
    fn talk_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        let from = place.saturating_sub(TALKS);
        let other = u32::try_from(from)
            .ok()
            .and_then(|from| self.talks.next_from(from))
            .and_then(|key| Some((key.index as usize, self.talks.get(key)?.facts)));
        let own = (from <= OWN_TALK).then_some((OWN_TALK, self.own));
        let (at, facts) = other.or(own)?;
        let Some(listener) = facts.listener else {
            return self.talk_from(TALKS + at + 1);
        };
        let side = |fd, phase| SideSight {
            fd,
            phase,
            pending_bytes: 0,
            read_deadline: Ticks::NEVER,
            write_deadline: Ticks::NEVER,
        };
        let sight = StreamSight {
            // No key of a stream has this bit.
            id: 1 << 63 | facts.counter,
            counter: facts.counter,
            listener,
            frontend: None,
            backend: None,
            server: None,
            src: facts.src,
            begun: facts.begun,
            deadline: Ticks::NEVER,
            retries: 0,
            front: side(facts.fd, "EST"),
            back: side(-1, "EST"),
            request_line: b"",
        };
        Some((TALKS + at, sight))
    }
}

impl Sights for View<'_> {
    fn stream_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        self.traffic_from(place).or_else(|| self.talk_from(place))
    }

    fn pool(&self, number: usize) -> Option<PoolSight> {
        self.pools
            .get(number)
            .map(|(name, object_bytes, stats)| sight(name, *object_bytes, *stats))
    }

    fn gauges(&self) -> Gauges {
        self.gauges
    }

    fn errors_total(&self) -> u32 {
        self.errors_total
    }

    fn error(&self, proxy: ProxyId, response: bool) -> Option<ErrorSight<'_>> {
        let error = self.errors.get(&(proxy, response))?;
        Some(ErrorSight {
            number: error.number,
            wall_us: error.wall_us,
            proxy: error.proxy,
            other: error.other,
            server: error.server,
            is_response: error.is_response,
            src: error.src,
            bytes: &error.bytes,
            position: error.position,
            buffer_bytes: self.bufsize,
        })
    }

    fn env(&self, number: usize) -> Option<(&[u8], &[u8])> {
        self.env
            .get(number)
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}
