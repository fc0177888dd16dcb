//! Where the proxy listens, connects to and connects from: scripts with their recordings in
//! `haproxy-compat/cases/addresses/`.

use haproxy_compat::play::play;

#[test]
fn binds() {
    play("addresses/binds.case");
}

#[test]
fn servers() {
    play("addresses/servers.case");
}

#[test]
fn ipv6() {
    play("addresses/ipv6.case");
}

#[test]
fn multipath_tcp() {
    play("addresses/mptcp.case");
}

#[test]
fn what_needs_the_superuser() {
    play("addresses/root.case");
}
