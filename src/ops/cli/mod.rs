//! The runtime socket: one row per command, and a conversation that turns bytes into answers.
//!
//! Everything here is sans-IO: the engine (or the master process) owns the sockets and drives a
//! [`session::CliSession`] through [`crate::engine::service::Service`]. Source: management manual, "Unix Socket
//! commands".

pub mod answer;
pub mod errors;
pub mod help;
pub mod sess;
pub mod session;
pub mod set;
pub mod show;
pub mod table;
pub mod words;

#[cfg(test)]
mod tests;

use crate::engine::service::{Opening, Service};
use crate::model::config::Config;

/// Begins a conversation: the entry that the engine is given at boot.
pub fn open(opening: Opening, config: &Config) -> Box<dyn Service> {
    Box::new(session::CliSession::new(opening, config))
}
