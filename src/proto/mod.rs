//! Floor 1: wire formats without sockets. Bytes and `now` come in as arguments, events go out.

pub mod forwarded;
pub mod h1;
pub mod head;
pub mod proxyhdr;
