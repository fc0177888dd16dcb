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

/// A server that refuses is left at once where there is another one to go to: only who has nowhere else to go rests for
/// a second between attempts.
#[test]
fn redispatching_does_not_rest() {
    // Bound and not listening: these ports refuse, and nobody else gets them.
    let closed = || {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("a free port");
        socket
    };
    let port = |socket: &socket2::Socket| {
        let addr = socket.local_addr().ok().and_then(|addr| addr.as_socket());
        addr.expect("an IP address").port()
    };
    let servers = [closed(), closed()];
    let config = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n retries 8\n \
         option redispatch\nfrontend fe\n bind fd@${{fe}}\n default_backend be\nbackend be\n balance roundrobin\n \
         server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n",
        port(&servers[0]),
        port(&servers[1])
    );
    let proxy = Setup::new(config).start();
    let begin = Instant::now();
    let mut client = proxy.client("fe");
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = client
        .read_response(false, Duration::from_secs(20))
        .expect("an answer");
    assert!(
        answer.starts_with(b"HTTP/1.1 503 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(client);
    proxy.stop();
}
