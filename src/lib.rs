//! The map of the floors of rproxy, HAProxy's drop-in replacement.
//!
//! A file imports lower floors and its own floor, never a higher one (`tests/layers.rs` proves it).
//! docs/ARCHITECTURE.md tells what each floor is for and how a request walks through them.

pub mod base;

pub mod conf;
pub mod proto;

pub mod model;

pub mod engine;
pub mod load;
pub mod ops;
pub mod policy;
