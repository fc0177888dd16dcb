//! Limits of connections and rates, and the queues in front of servers. The cases and what the
//! reference does with them are in `haproxy-compat/cases/limits/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::play::play;

#[test]
fn connection_limits_and_queues() {
    play("limits/limits.case");
}

#[test]
fn few_buffers() {
    play("limits/buffers.case");
}

#[test]
fn strict_maxconn() {
    play("limits/strict.case");
}

#[test]
fn which_server_gets_which_request() {
    play("limits/balance.case");
}

#[test]
fn the_less_busy_server() {
    play("limits/leastconn.case");
}
