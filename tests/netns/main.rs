//! What needs network namespaces: where connections come from (in `places`), and here:
//! Multipath TCP between three network namespaces (client, proxy, origin), with two veth paths on each
//! leg: used on both legs, plain TCP beside it, a path that dies, an origin without MPTCP; and upstream's example
//! configurations. Where namespaces are not permitted the tests say so and pass.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

mod places;
mod roles;
mod world;

use haproxy_compat::examples::{self, Outcome};
use haproxy_compat::program::Program;
use haproxy_compat::{PATIENCE, binary, wait_for};
use std::time::Duration;
use world::World;

/// The proxy's configuration, with the address words under test.
fn config(bind: &str, server: &str) -> String {
    format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 3s\n timeout client 20s\n timeout server 20s\n\
         frontend front\n bind {bind}:5000\n default_backend back\nbackend back\n server s1 {server}:4331\n"
    )
}

/// Sets the stage, or says why it cannot.
fn world() -> Option<World> {
    let world = World::new();
    if let Err(reason) = &world {
        eprintln!("skipped: {reason}");
    }
    world.ok()
}

#[test]
fn multipath_on_both_legs_and_plain_tcp_beside_it() {
    let Some(mut world) = world() else { return };
    world.start_origin("mptcp");
    world.start_proxy(&config("mptcp@0.0.0.0", "mptcp@10.77.3.2"));
    let answer = world.client("mptcp", "10.77.1.2:5000", "/small");
    assert!(
        answer.contains("multipath=yes"),
        "the client's own view: {answer}"
    );
    assert!(answer.contains("origin=multipath"), "the origin's view: {answer}");
    assert!(
        world.counter("proxy", "MPCapableACKRX") >= 1,
        "the client's connection is MPTCP"
    );
    assert!(
        world.counter("proxy", "MPCapableSYNACKRX") >= 1,
        "the origin's connection is MPTCP"
    );
    assert!(world.counter("origin", "MPCapableACKRX") >= 1);
    // The same port serves plain TCP.
    let before = world.counter("proxy", "MPCapableACKRX");
    let plain = world.client("tcp", "10.77.1.2:5000", "/small");
    assert!(
        plain.contains("multipath=no") && plain.contains("body=small"),
        "{plain}"
    );
    assert_eq!(
        world.counter("proxy", "MPCapableACKRX"),
        before,
        "a plain client stays plain"
    );
}

#[test]
fn plain_addresses_do_not_use_it() {
    let Some(mut world) = world() else { return };
    world.start_origin("mptcp");
    world.start_proxy(&config("0.0.0.0", "10.77.3.2"));
    let answer = world.client("mptcp", "10.77.1.2:5000", "/small");
    assert!(
        answer.contains("multipath=no") && answer.contains("origin=plain"),
        "{answer}"
    );
    assert_eq!(world.counter("proxy", "MPCapableSYNTX"), 0);
}

#[test]
fn fallback_to_an_origin_without_multipath() {
    let Some(mut world) = world() else { return };
    world.start_origin("tcp");
    world.start_proxy(&config("mptcp@0.0.0.0", "mptcp@10.77.3.2"));
    let answer = world.client("mptcp", "10.77.1.2:5000", "/small");
    assert!(
        answer.contains("multipath=yes") && answer.contains("body=small"),
        "{answer}"
    );
    assert!(world.counter("proxy", "MPCapableSYNTX") >= 1, "it was asked for");
    assert_eq!(world.counter("proxy", "MPCapableSYNACKRX"), 0, "and not granted");
}

/// A slow transfer during which a path is lost, as `lose` does it, once on each leg.
fn loses_a_path(lose: impl Fn(&World, &str)) {
    for (leg, link) in [("client", "c1"), ("origin", "o1")] {
        let Some(mut world) = world() else { return };
        world.start_origin("mptcp");
        world.start_proxy(&config("mptcp@0.0.0.0", "mptcp@10.77.3.2"));
        let transfer = world.start_client("mptcp", "10.77.1.2:5000", "/slow");
        // Both legs have a second path before the first is lost.
        let joined = wait_for(PATIENCE, || {
            let both =
                world.counter("proxy", "MPJoinAckRx") >= 1 && world.counter("origin", "MPJoinAckRx") >= 1;
            both.then_some(())
        });
        assert!(joined.is_some(), "no second path: {}", world.proxy_output());
        std::thread::sleep(Duration::from_millis(200));
        lose(&world, link);
        let answer = transfer.wait();
        assert!(
            answer.contains("length=2000000"),
            "the {leg} leg lost {link}: {answer}"
        );
    }
}

#[test]
fn a_lost_path_does_not_end_the_transfer() {
    loses_a_path(World::cut);
}

/// The harder case: no device goes down, packets only cease to arrive.
#[test]
fn a_silent_path_does_not_end_the_transfer() {
    loses_a_path(World::silence);
}

/// The arguments with which this program takes a role of an example.
const LAUNCH: [&str; 4] = ["--exact", "roles::role_of_an_example", "--ignored", "--nocapture"];

/// Upstream's examples, as far as they are here, against what HAProxy 3.4.0 did with them.
#[test]
fn upstream_examples() {
    let places = examples::usual_places();
    let found = examples::found(&places);
    if found.is_empty() {
        eprintln!("skipped: upstream's examples: none in {places:?}");
    }
    let program = Program::new(binary());
    let mut wrong = Vec::new();
    for example in found {
        match example.judge(&program, &LAUNCH) {
            Outcome::Same => {}
            Outcome::Refused(reason) if !reason.starts_with("not yet") => {
                wrong.push(format!("{}: {reason}\n", example.name));
            }
            Outcome::Refused(reason) | Outcome::Skipped(reason) => {
                eprintln!("skipped: {}: {reason}", example.name);
            }
            Outcome::Different(text) => wrong.push(format!("{}\n{text}", example.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}
