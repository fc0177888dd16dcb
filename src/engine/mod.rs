//! Floor 5: the only floor that owns a file descriptor or reads a clock.
//!
//! A [`worker::Worker`] is one event loop with everything that belongs to it: sockets, streams, timers,
//! buffers, idle server connections. The rooms follow one request: listener, session, stream (request,
//! assign, forward, response, end), with connect and idle for the server side.

pub mod bind;
mod buffers;
mod channel;
pub mod clock;
mod conn;
mod connect;
pub mod control;
mod core;
mod idle;
mod listener;
mod logger;
pub mod netns;
mod pause;
pub mod poll;
mod runtime;
pub mod service;
mod session;
mod shortage;
mod sights;
mod slots;
mod stream;
pub mod sys;
mod traffic_log;
mod tunnel;
mod weights;
pub mod worker;
