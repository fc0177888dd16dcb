//! Every timeout of the proxy: when it strikes, what the client gets, and the log line of it. The
//! cases and what the reference does with them are in `haproxy-compat/cases/timers/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::origin::{Act, Block, Origin, Trigger};
use haproxy_compat::play::play;
use haproxy_compat::proxy::Setup;
use std::time::{Duration, Instant};

#[test]
fn http_timeouts() {
    play("timers/timers.case");
}

#[test]
fn tcp_timeouts() {
    play("timers/tcp-timers.case");
}

/// `option independent-streams`: what is sent to a side does not show that it lives. One side talks all the
/// time, the other one is silent for longer than its time-out.
#[test]
fn independent_streams() {
    for (options, ends) in [
        ([" option independent-streams\n", ""], false),
        (["", " option independent-streams\n"], true),
    ] {
        let origin = Origin::new(vec![Block {
            trigger: Trigger::Eof,
            acts: vec![Act::Close],
        }]);
        let proxy = Setup::new(format!(
            "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 20s\n \
             timeout server 1s\nfrontend fe\n bind fd@${{fe}}\n default_backend be\n{}backend be\n{} server s1 {}\n",
            options[0],
            options[1],
            origin.addr()
        ))
        .start();
        let mut client = proxy.client("fe");
        let start = Instant::now();
        let mut ended = false;
        while !ended && start.elapsed() < Duration::from_secs(4) {
            client.send(b"x");
            ended = client.read_to_end(Duration::from_millis(150));
        }
        assert_eq!(ended, ends, "{options:?} after {:?}", start.elapsed());
        assert!(start.elapsed() > Duration::from_millis(900));
        proxy.stop();
    }
}
