//! One row per field of `show info`, in the order of HAProxy 3.4.0.
//!
//! Source: management manual, `show info`. Fields of features that are not there hold the 0 that HAProxy prints
//! when they are not used.

use super::field::Value::{self, Empty, Str, U32, U64};
use super::field::{Tag, Value::Flt};
use crate::base::freq::SECOND_MS;
use crate::base::ticks::Ticks;
use crate::engine::service::{Gauges, Sights};
use crate::model::config::Config;
use crate::model::state::State;
use crate::ops::version;

/// Sums over all pools.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolSums {
    /// Bytes allocated.
    pub allocated_bytes: u64,
    /// Bytes handed out.
    pub used_bytes: u64,
    /// Times that a pool refused.
    pub refused: u64,
}

impl PoolSums {
    /// The sums of now.
    pub fn of(sights: &dyn Sights) -> Self {
        let mut sums = Self::default();
        for pool in (0..).map_while(|number| sights.pool(number)) {
            let object_bytes = pool.object_bytes as u64;
            sums.allocated_bytes += pool.allocated as u64 * object_bytes;
            sums.used_bytes += pool.in_use as u64 * object_bytes;
            sums.refused += pool.refused;
        }
        sums
    }
}

/// What the getters see.
pub struct InfoView<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What lives.
    pub state: &'a State,
    /// The time: also the time since the start.
    pub now: Ticks,
    /// Numbers of the loop.
    pub gauges: Gauges,
    /// Sums over the pools.
    pub pools: PoolSums,
    /// Times and rates with their fractions (`float`).
    pub float: bool,
}

/// One field of `show info`.
pub struct Field {
    /// Name as printed.
    pub name: &'static str,
    /// What kind of thing it is.
    pub tag: Tag,
    /// What it tells, with units (`desc`).
    pub doc: &'static str,
    get: for<'a> fn(&InfoView<'a>) -> Value<'a>,
}

impl Field {
    const fn new(
        name: &'static str,
        tag: Tag,
        doc: &'static str,
        get: for<'a> fn(&InfoView<'a>) -> Value<'a>,
    ) -> Self {
        Self { name, tag, doc, get }
    }

    /// The value of now.
    pub fn value<'a>(&self, view: &InfoView<'a>) -> Value<'a> {
        (self.get)(view)
    }
}

/// The fields.
pub static FIELDS: &[Field] = &[
    Field::new("Name", Tag::PRODUCT, "Name that tools expect", |_| {
        Str(version::PRODUCT)
    }),
    Field::new(
        "Version",
        Tag::PRODUCT,
        "Version of HAProxy that this program stands for",
        |_| Str(version::VERSION),
    ),
    Field::new("Release_date", Tag::PRODUCT, "Date of that version", |_| {
        Str(version::RELEASE_DATE)
    }),
    Field::new(
        "Nbthread",
        Tag::SETTING,
        "Loops that run, 1 whatever nbthread asks for",
        |_| U32(1),
    ),
    Field::new("Nbproc", Tag::SETTING, "Worker processes, always 1", |_| U32(1)),
    Field::new(
        "Process_num",
        Tag::KEY_PROCESS,
        "Number of the worker process, always 1",
        |_| U32(1),
    ),
    Field::new("Pid", Tag::STATUS, "Process number", |v| U32(v.state.process.pid)),
    Field::new(
        "Uptime",
        Tag::DURATION,
        "Time since the start, in days, hours, minutes, seconds",
        uptime,
    ),
    Field::new("Uptime_sec", Tag::DURATION, "Seconds since the start", |v| {
        seconds(v, v.now.as_ms().saturating_mul(1000))
    }),
    Field::new("Memmax_MB", Tag::LIMIT, "-m, MiB, 0 for none", |v| {
        U32(v.config.global.memory_max_mib)
    }),
    Field::new("PoolAlloc_MB", Tag::GAUGE, "MiB allocated by pools", |v| {
        U32(mebibytes(v.pools.allocated_bytes))
    }),
    Field::new("PoolUsed_MB", Tag::GAUGE, "MiB of the pools in use", |v| {
        U32(mebibytes(v.pools.used_bytes))
    }),
    Field::new("PoolFailed", Tag::COUNTER, "Times that a pool refused", |v| {
        U32(capped(v.pools.refused))
    }),
    Field::new("Ulimit-n", Tag::LIMIT, "Limit of descriptors", |v| {
        U32(v.state.process.ulimit_n)
    }),
    Field::new("Maxsock", Tag::LIMIT, "Descriptors needed at most", |v| {
        U32(v.state.process.maxsock)
    }),
    Field::new(
        "Maxconn",
        Tag::LIMIT,
        "Connections allowed: maxconn or computed",
        |v| U32(v.state.process.maxconn),
    ),
    Field::new(
        "Hard_maxconn",
        Tag::LIMIT,
        "Connections that the descriptors allow",
        |v| U32(v.state.process.hard_maxconn),
    ),
    Field::new("CurrConns", Tag::GAUGE, "Connections now", |v| {
        U32(v.state.process.conns)
    }),
    Field::new("CumConns", Tag::COUNTER, "Connections since the start", |v| {
        U32(wrapped(v.state.process.counters.conns))
    }),
    Field::new("CumReq", Tag::COUNTER, "Requests since the start", |v| {
        U32(wrapped(v.state.process.counters.requests))
    }),
    Field::new(
        "MaxSslConns",
        Tag::MAX,
        "TLS connections allowed, 0 for no limit",
        |_| U32(0),
    ),
    Field::new(
        "CurrSslConns",
        Tag::GAUGE,
        "TLS connections now; there is no TLS yet",
        |_| U32(0),
    ),
    Field::new(
        "CumSslConns",
        Tag::COUNTER,
        "TLS connections since the start",
        |_| U32(0),
    ),
    Field::new("Maxpipes", Tag::LIMIT, "Pipes allowed for splicing", |v| {
        U32(v.state.process.maxpipes)
    }),
    Field::new("PipesUsed", Tag::GAUGE, "Pipes in use now", |v| {
        U32(v.gauges.pipes_used)
    }),
    Field::new("PipesFree", Tag::GAUGE, "Pipes kept for later", |v| {
        U32(v.gauges.pipes_free)
    }),
    Field::new("ConnRate", Tag::RATE, "Connections during the last second", |v| {
        rate(v, v.state.process.conn_rate.rate(v.now, SECOND_MS))
    }),
    Field::new("ConnRateLimit", Tag::LIMIT, "maxconnrate", |v| {
        U32(v.config.global.maxconnrate)
    }),
    Field::new("MaxConnRate", Tag::MAX, "Most connections in one second", |v| {
        U32(v.state.process.counters.conn_rate_max)
    }),
    Field::new("SessRate", Tag::RATE, "Sessions during the last second", |v| {
        rate(v, v.state.process.sess_rate.rate(v.now, SECOND_MS))
    }),
    Field::new("SessRateLimit", Tag::LIMIT, "maxsessrate", |v| {
        U32(v.config.global.maxsessrate)
    }),
    Field::new("MaxSessRate", Tag::RATE, "Most sessions in one second", |v| {
        U32(v.state.process.counters.sess_rate_max)
    }),
    Field::new(
        "SslRate",
        Tag::RATE,
        "TLS connections during the last second",
        |v| rate(v, 0),
    ),
    Field::new("SslRateLimit", Tag::LIMIT, "maxsslrate", |_| U32(0)),
    Field::new(
        "MaxSslRate",
        Tag::MAX,
        "Most TLS connections in one second",
        |_| U32(0),
    ),
    Field::new(
        "SslFrontendKeyRate",
        Tag::GAUGE,
        "TLS key computations for clients during the last second",
        |v| rate(v, 0),
    ),
    Field::new(
        "SslFrontendMaxKeyRate",
        Tag::MAX,
        "Most of them in one second",
        |_| U32(0),
    ),
    Field::new(
        "SslFrontendSessionReuse_pct",
        Tag::GAUGE,
        "Percentage of clients' TLS connections that needed none",
        |v| rate(v, 0),
    ),
    Field::new(
        "SslBackendKeyRate",
        Tag::RATE,
        "TLS key computations for servers during the last second",
        |v| rate(v, 0),
    ),
    Field::new(
        "SslBackendMaxKeyRate",
        Tag::MAX,
        "Most of them in one second",
        |_| U32(0),
    ),
    Field::new(
        "SslCacheLookups",
        Tag::COUNTER,
        "TLS sessions looked up in the cache",
        |_| U32(0),
    ),
    Field::new(
        "SslCacheMisses",
        Tag::COUNTER,
        "TLS sessions not found in the cache",
        |_| U32(0),
    ),
    Field::new(
        "CompressBpsIn",
        Tag::RATE,
        "Bytes given to the compressor during the last second; there is none yet",
        |v| rate(v, 0),
    ),
    Field::new(
        "CompressBpsOut",
        Tag::RATE,
        "Bytes that it gave back during the last second",
        |v| rate(v, 0),
    ),
    Field::new(
        "CompressBpsRateLim",
        Tag::LIMIT,
        "maxcomprate, bytes per second",
        |_| U32(0),
    ),
    Field::new(
        "ZlibMemUsage",
        Tag::GAUGE,
        "Memory of zlib, which is not used",
        |_| Empty,
    ),
    Field::new("MaxZlibMemUsage", Tag::LIMIT, "Limit of that memory", |_| Empty),
    Field::new("Tasks", Tag::GAUGE, "Tasks and timers that exist", |v| {
        U32(v.gauges.tasks)
    }),
    Field::new("Run_queue", Tag::GAUGE, "Tasks that wait to run", |v| {
        U32(v.gauges.run_queue)
    }),
    Field::new(
        "Idle_pct",
        Tag::AVG,
        "Percentage of the time spent waiting for events",
        |v| U32(v.gauges.idle_pct),
    ),
    Field::new("node", Tag::SET_TEXT, "node", |v| Str(&v.config.global.node)),
    Field::new("description", Tag::SET_TEXT, "description", |v| {
        v.config.global.description.as_deref().map_or(Empty, Str)
    }),
    Field::new("Stopping", Tag::GAUGE, "1 while a soft stop is under way", |v| {
        U32(u32::from(v.state.process.stopping))
    }),
    Field::new(
        "Jobs",
        Tag::GAUGE,
        "What keeps the process from ending: listeners and connections",
        |v| U32(v.gauges.jobs),
    ),
    Field::new(
        "Unstoppable Jobs",
        Tag::GAUGE,
        "Those that a soft stop does not wait for: the socket pair with the master",
        |v| U32(u32::from(v.gauges.master_link.is_some())),
    ),
    Field::new("Listeners", Tag::GAUGE, "Listeners that are bound", |v| {
        U32(v.gauges.listeners)
    }),
    Field::new(
        "ActivePeers",
        Tag::GAUGE,
        "Peers in contact; there are none yet",
        |_| U32(0),
    ),
    Field::new("ConnectedPeers", Tag::GAUGE, "Peers connected", |_| U32(0)),
    Field::new(
        "DroppedLogs",
        Tag::GAUGE,
        "Log lines that could not be sent",
        |v| U32(capped(v.state.process.counters.dropped_logs)),
    ),
    Field::new(
        "BusyPolling",
        Tag::GAUGE,
        "1 if busy-polling is on; it never is",
        |_| U32(0),
    ),
    Field::new(
        "FailedResolutions",
        Tag::GAUGE,
        "Host names that could not be resolved at run time",
        |_| U32(0),
    ),
    Field::new("TotalBytesOut", Tag::GAUGE, "Bytes sent since the start", |v| {
        U64(v.state.process.counters.out_bytes)
    }),
    Field::new(
        "TotalSplicedBytesOut",
        Tag::GAUGE,
        "Bytes sent by splicing since the start",
        |v| U64(v.state.process.counters.spliced_out_bytes),
    ),
    Field::new(
        "BytesOutRate",
        Tag::RATE,
        "Bytes sent during the last second",
        |v| U64(v.gauges.out_bytes_rate),
    ),
    Field::new(
        "DebugCommandsIssued",
        Tag::GAUGE,
        "Debug commands given; there are none",
        |_| U32(0),
    ),
    Field::new(
        "CumRecvLogs",
        Tag::COUNTER,
        "Log lines received for forwarding; there is no log-forward yet",
        |_| U32(0),
    ),
    Field::new("Build info", Tag::PRODUCT, "Version of this program", |_| {
        Str(version::BUILD_INFO)
    }),
    Field::new("Memmax_bytes", Tag::LIMIT, "-m, bytes, 0 for none", |v| {
        U32(v.config.global.memory_max_mib.wrapping_mul(1 << 20))
    }),
    Field::new("PoolAlloc_bytes", Tag::GAUGE, "Bytes allocated by pools", |v| {
        U64(v.pools.allocated_bytes)
    }),
    Field::new("PoolUsed_bytes", Tag::GAUGE, "Bytes of the pools in use", |v| {
        U64(v.pools.used_bytes)
    }),
    Field::new(
        "Start_time_sec",
        Tag::DURATION,
        "When the process started, seconds since the epoch",
        |v| seconds(v, v.state.process.started_wall_us),
    ),
    Field::new(
        "Tainted",
        Tag::STATUS,
        "Marks of experimental or unsafe features, 0 for none",
        |_| Str("0"),
    ),
    Field::new(
        "TotalWarnings",
        Tag::COUNTER,
        "Warnings given since the start",
        |v| U32(capped(v.state.process.counters.warnings)),
    ),
    Field::new(
        "MaxconnReached",
        Tag::COUNTER,
        "Times that a connection reached Maxconn",
        |v| U32(capped(v.state.process.counters.maxconn_reached)),
    ),
    Field::new(
        "BootTime_ms",
        Tag::DURATION,
        "Milliseconds from the start of the process until it served",
        |v| U32(v.state.process.boot_ms),
    ),
    Field::new(
        "Niced_tasks",
        Tag::GAUGE,
        "Tasks that wait to run with another priority",
        |_| U32(0),
    ),
    Field::new("CurrStreams", Tag::GAUGE, "Streams now", |v| {
        U64(u64::from(v.state.process.streams))
    }),
    Field::new("CumStreams", Tag::GAUGE, "Streams since the start", |v| {
        U64(v.state.process.counters.streams)
    }),
    Field::new(
        "BlockedTrafficWarnings",
        Tag::GAUGE,
        "Warnings about traffic held up by a slow task; there are none",
        |_| U32(0),
    ),
    Field::new(
        "PatternsAdded",
        Tag::GAUGE,
        "Patterns of ACLs and maps added",
        |_| U64(0),
    ),
    Field::new(
        "PatternsFreed",
        Tag::GAUGE,
        "Patterns of ACLs and maps removed",
        |_| U64(0),
    ),
    Field::new(
        "NbThreadGroups",
        Tag::SETTING,
        "Groups of loops, always 1",
        |_| U32(1),
    ),
];

/// A count that cannot pass what its type holds.
fn capped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A count that starts anew after 32 bits, as HAProxy's do here.
fn wrapped(count: u64) -> u32 {
    u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn mebibytes(bytes: u64) -> u32 {
    capped(bytes >> 20)
}

fn rate<'a>(view: &InfoView<'a>, per_second: u32) -> Value<'a> {
    if view.float {
        Flt(f64::from(per_second))
    } else {
        U32(per_second)
    }
}

fn seconds<'a>(view: &InfoView<'a>, us: u64) -> Value<'a> {
    if view.float {
        Flt(us as f64 / 1e6)
    } else {
        U32(capped(us / 1_000_000))
    }
}

fn uptime<'a>(view: &InfoView<'a>) -> Value<'a> {
    let s = view.now.as_ms() / 1000;
    Value::Text(format!(
        "{}d {}h{:02}m{:02}s",
        s / 86_400,
        s / 3600 % 24,
        s / 60 % 60,
        s % 60
    ))
}
