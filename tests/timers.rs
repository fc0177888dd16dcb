//! Every timeout of the proxy: when it strikes, what the client gets, and the log line of it. The
//! cases and what the reference does with them are in `haproxy-compat/cases/timers/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::play::play;

#[test]
fn http_timeouts() {
    play("timers/timers.case");
}

#[test]
fn tcp_timeouts() {
    play("timers/tcp-timers.case");
}
