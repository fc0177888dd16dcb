//! Floor 6: what an operator touches. Command line, start order, signals, master process, runtime socket and
//! statistics; each a table of rows where it can be.

mod anon;
pub mod args;
pub mod boot;
pub mod cli;
pub mod daemon;
pub mod dump;
pub mod host;
pub mod limits;
pub mod master;
pub mod messages;
mod serve;
pub mod signals;
pub mod stats;
mod tar;
mod tool;
pub mod version;

#[cfg(test)]
mod fixture;
