//! What stands above the engine and answers on a byte stream: the runtime socket, for now.
//!
//! The engine owns the connection and lends bytes, time and a view of itself; a [`Service`] is sans-IO and is
//! handed to the engine at boot as a table, so that no arrow points upward. One object per connection: this
//! is not on the path of requests.

use std::sync::Arc;

use crate::base::ticks::Ticks;
use crate::model::config::Config;
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::listener::Level;
use crate::model::state::State;
use crate::model::txn::{Endpoint, Stamp};
use crate::policy::log::calendar::Zone;

/// A pool, for `show pools`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSight {
    /// Its name.
    pub name: &'static str,
    /// Size of one object, bytes.
    pub object_bytes: usize,
    /// Objects that exist.
    pub allocated: usize,
    /// Objects handed out.
    pub in_use: usize,
    /// Most handed out at once.
    pub peak: usize,
    /// Times that an object was refused.
    pub refused: u64,
}

/// One side of a stream, for `show sess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SideSight {
    /// Its descriptor, -1 for none.
    pub fd: i32,
    /// Phase, as a short word: `INI`, `QUE`, `CON`, `EST`, `CLO`...
    pub phase: &'static str,
    /// Bytes received from this side and not sent on yet.
    pub pending_bytes: usize,
    /// When waiting for this side to send is over.
    pub read_deadline: Ticks,
    /// When waiting for this side to take data is over.
    pub write_deadline: Ticks,
}

/// A stream, for `show sess`.
#[derive(Clone, Copy, Debug)]
pub struct StreamSight<'a> {
    /// Identity, stable for the life of the stream and never 0: slab index and generation.
    pub id: u64,
    /// Number of the stream in this process.
    pub counter: u64,
    /// The listener that accepted.
    pub listener: ListenerId,
    /// The frontend; `None` for a session of the runtime socket.
    pub frontend: Option<ProxyId>,
    /// The backend, once chosen.
    pub backend: Option<ProxyId>,
    /// The server, once chosen.
    pub server: Option<ServerId>,
    /// Where the client is.
    pub src: Endpoint,
    /// When the stream began.
    pub begun: Stamp,
    /// When the stream's next timer strikes.
    pub deadline: Ticks,
    /// Connection attempts after the first.
    pub retries: u32,
    /// The client's side.
    pub front: SideSight,
    /// The server's side.
    pub back: SideSight,
    /// Request line, empty while none was seen or for TCP.
    pub request_line: &'a [u8],
}

/// Numbers of the loop that are no counters of the model, for `show info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Timers and tasks that exist.
    pub tasks: u32,
    /// Streams waiting to run.
    pub run_queue: u32,
    /// Part of the last turns spent waiting for events, percent.
    pub idle_pct: u32,
    /// Pipes that splice data at present.
    pub pipes_used: u32,
    /// Pipes kept for later.
    pub pipes_free: u32,
    /// Bytes sent to clients during the last second.
    pub out_bytes_rate: u64,
    /// Things that keep the process from ending: listeners and connections.
    pub jobs: u32,
    /// Bound listeners, and the socket pair with the master.
    pub listeners: u32,
    /// The descriptor of that pair, under a master.
    pub master_link: Option<i32>,
}

/// What was wrong with the last refused message of a proxy, for `show errors`.
#[derive(Clone, Copy, Debug)]
pub struct ErrorSight<'a> {
    /// Number of the event in this process, from 0.
    pub number: u32,
    /// When, microseconds since the epoch.
    pub wall_us: u64,
    /// The frontend of a request, the backend of a response.
    pub proxy: ProxyId,
    /// The other proxy, if there was one.
    pub other: Option<ProxyId>,
    /// The server, if there was one.
    pub server: Option<ServerId>,
    /// A response, not a request.
    pub is_response: bool,
    /// Where the client was.
    pub src: Endpoint,
    /// The bytes kept.
    pub bytes: &'a [u8],
    /// Where in `bytes` reading stopped.
    pub position: usize,
    /// Size of the buffer that they lay in.
    pub buffer_bytes: usize,
}

/// What a service may see of the engine. Everything is asked for piecewise, so that long dumps can stop and resume.
pub trait Sights {
    /// The first live stream at or after that place of the slab, and its place.
    fn stream_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)>;
    /// The pool of that number, from 0 without gaps.
    fn pool(&self, number: usize) -> Option<PoolSight>;
    /// Numbers of the loop.
    fn gauges(&self) -> Gauges;
    /// How many refused messages were captured since the start.
    fn errors_total(&self) -> u32;
    /// The last refused request or response of that proxy.
    fn error(&self, proxy: ProxyId, response: bool) -> Option<ErrorSight<'_>>;
    /// The environment of the process, the entry of that number: name and value.
    fn env(&self, number: usize) -> Option<(&[u8], &[u8])>;
}

/// What a service asks the engine to do once it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// A limit was raised: listeners that wait for a slot look again.
    pub wake_listeners: bool,
    /// The limit of a server was changed: its queue looks again.
    pub serve_queue: Option<ServerId>,
    /// The weight of a server was changed: its backend balances accordingly.
    pub weigh: Option<ServerId>,
    /// From now on the connection may stay idle so long, milliseconds.
    pub idle_timeout_ms: Option<u32>,
}

/// What the engine lends for one call.
pub struct Cx<'a> {
    /// The configuration.
    pub config: &'a Arc<Config>,
    /// What lives.
    pub state: &'a mut State,
    /// Monotonic time.
    pub now: Ticks,
    /// Wall clock, microseconds since the epoch.
    pub wall_us: u64,
    /// How far local time is ahead of UTC.
    pub zone: Zone,
    /// The engine's own things.
    pub sights: &'a dyn Sights,
    /// What to do afterwards.
    pub effects: &'a mut Effects,
}

/// One conversation on a byte stream.
///
/// The engine calls `input` with what it read, then `output` until it returns 0 or the socket is full; after
/// output was sent it calls both again with what remains. It closes the connection when `is_finished`.
pub trait Service {
    /// Takes bytes from the peer; returns how many. Fewer than given means: output first.
    fn input(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> usize;

    /// The peer sends no more.
    fn input_closed(&mut self);

    /// Writes what is to be sent; returns how many bytes. 0 means that more input is needed.
    fn output(&mut self, room: &mut [u8], cx: &mut Cx<'_>) -> usize;

    /// Nothing more will come: close once what was written is sent.
    fn is_finished(&self) -> bool;

    /// A command is running: waiting for the peer to send is not limited by the idle timeout.
    fn is_busy(&self) -> bool;
}

/// How a conversation begins.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The listener that accepted.
    pub listener: ListenerId,
    /// Rights of that listener.
    pub level: Level,
    /// The peer is the master process.
    pub from_master: bool,
}

/// The services given to the engine at boot.
#[derive(Clone, Copy)]
pub struct Services {
    /// Answers on the runtime socket.
    pub cli: fn(Opening, &Config) -> Box<dyn Service>,
}
