//! HTTP/1 on both sides, as a client and an origin see it: connections, bodies, headers, tunnels,
//! reuse of server connections, retries, and the answers that the proxy makes itself. The cases and
//! what the reference does with them are in `haproxy-compat/cases/http/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::play::play;

#[test]
fn keep_alive_and_close() {
    play("http/keep-alive.case");
}

#[test]
fn bodies() {
    play("http/bodies.case");
}

#[test]
fn headers() {
    play("http/headers.case");
}

#[test]
fn tunnels() {
    play("http/tunnels.case");
}

#[test]
fn reuse_of_server_connections() {
    play("http/reuse.case");
}

#[test]
fn retries_and_redispatch() {
    play("http/retries.case");
}

#[test]
fn answers_made_by_the_proxy() {
    play("http/errors.case");
}

#[test]
fn bodies_that_are_waited_for() {
    play("http/buffering.case");
}

#[test]
fn bodies_that_are_spliced() {
    play("http/splicing.case");
}

#[test]
fn clients_that_leave_early() {
    play("http/early-close.case");
}

#[test]
fn exchanges_that_go_wrong_or_overlap() {
    play("http/exchanges.case");
}
