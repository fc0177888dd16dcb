//! Floor 0: buffers, timers, slots, hashes, addresses. No I/O, no clock, no HAProxy semantics.

pub mod addr;
pub mod ascii;
pub mod buf;
pub mod freq;
pub mod hash;
pub mod iptext;
pub mod list;
pub mod pool;
pub mod rng;
pub mod slab;
pub mod ticks;
pub mod wheel;
