//! A process that is full: out of descriptors, at a `maxconn`, at a rate. It stops accepting, rests meanwhile, serves
//! what it has, and goes on as soon as there is room. Every expectation was seen of HAProxy 3.4.0 first.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::client::Client;
use haproxy_compat::origin::Origin;
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::sink::Sink;
use haproxy_compat::{PATIENCE, cli, wait_for};
use std::time::Duration;

/// Descriptors of the process under test.
const DESCRIPTORS: usize = 40;
/// More clients than these descriptors serve, fewer than the backlog takes.
const CROWD: usize = 60;
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
/// How long a full process is watched.
const WATCHED: Duration = Duration::from_secs(2);
/// Processor time that a resting process may take while it is watched, in clock ticks of 10 ms: a loop that spins takes
/// all it gets, which on a machine shared by many is more than this.
const TICKS_MAX: u64 = 30;
/// Lines that it may log meanwhile: it looks ten times a second whether there is a descriptor.
const LINES_MAX: usize = 100;

/// Processor time of a process so far, in clock ticks.
fn ticks(proxy: &Proxy) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", proxy.pid())).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("a name")
        .split_whitespace()
        .collect();
    let number = |index: usize| fields[index].parse::<u64>().expect("a number");
    number(11) + number(12)
}

/// Watches a process that has nothing to do.
fn assert_rests(proxy: &Proxy, log: &Sink) {
    while log.next(Duration::ZERO).is_some() {}
    let before = ticks(proxy);
    std::thread::sleep(WATCHED);
    let taken = ticks(proxy) - before;
    let lines = std::iter::from_fn(|| log.next(Duration::ZERO)).take(LINES_MAX);
    let lines = lines.count();
    assert!(
        taken < TICKS_MAX && lines < LINES_MAX,
        "{taken} clock ticks and {lines} log lines in {WATCHED:?}: it does not rest"
    );
}

fn open_descriptors(proxy: &Proxy) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", proxy.pid())).map_or(0, Iterator::count)
}

/// Starts a proxy with [`DESCRIPTORS`].
fn start(mode: &str, origin: &Origin, log: &Sink) -> Proxy {
    let config = format!(
        "global\n nbthread 1\n ulimit-n {DESCRIPTORS}\n no strict-limits\n stats socket fd@${{cli}} level admin\n \
         log 127.0.0.1:{} local0\ndefaults\n mode {mode}\n log global\n option {mode}log\n option splice-auto\n \
         timeout connect 2s\n timeout client 20s\n timeout server 20s\nfrontend fe\n bind fd@${{fe}}\n \
         default_backend be\nbackend be\n server s1 {} pool-max-conn 0\n",
        log.port,
        origin.addr()
    );
    let proxy = Setup::new(config).shell("ulimit -n 40").start();
    // The first line of a process makes the socket of its log: it must have one before it is full.
    let mut client = proxy.client("fe");
    assert!(client.ask(GET).starts_with("HTTP/1.1 200 "));
    drop(client);
    log.expect("fe be/s1");
    proxy
}

/// A crowd that leaves no descriptor.
fn fill(proxy: &Proxy, log: &Sink) -> Vec<Client> {
    let crowd = (0..CROWD).map(|_| proxy.client("fe")).collect();
    log.expect("Proxy fe reached process FD limit (maxsock=");
    crowd
}

/// The runtime socket answers, and new clients are served.
fn assert_recovers(proxy: &Proxy) {
    let served = wait_for(PATIENCE, || {
        let mut client = proxy.client("fe");
        client.send(GET.as_bytes());
        let answer = client.read_response(false, PATIENCE)?;
        answer.starts_with(b"HTTP/1.1 200 ").then_some(())
    });
    assert!(served.is_some(), "it does not recover: {}", proxy.output());
    assert!(cli::ask(proxy, "show info").contains("CurrConns"));
}

#[test]
fn out_of_descriptors_in_http() {
    let (origin, log) = (Origin::new(Vec::new()), Sink::new());
    let proxy = start("http", &origin, &log);
    let mut in_flight: Vec<Client> = (0..3).map(|_| proxy.client("fe")).collect();
    for client in &mut in_flight {
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    }
    let begun = wait_for(PATIENCE, || {
        (origin.text().matches("12345").count() == 3).then_some(())
    });
    assert!(begun.is_some(), "three requests are under way");
    let mut crowd = fill(&proxy, &log);
    assert!(open_descriptors(&proxy) >= DESCRIPTORS, "it is full");
    assert_rests(&proxy, &log);

    // The runtime socket waits like everybody else.
    let mut operator = proxy.client("cli");
    operator.send(b"show info\n");
    operator.read_once(Duration::from_millis(300));
    assert!(operator.got.is_empty(), "there was a descriptor for it");

    // A client that was accepted wants a server, for which there is no socket: four attempts, then a page.
    assert!(crowd[0].ask(GET).starts_with("HTTP/1.1 503 "));
    log.expect("Proxy be reached process FD limit (maxsock=");
    let line = log.expect("GET / HTTP/1.1");
    let tail = line.split_once("fe be/s1 ").map_or("", |(_, tail)| tail);
    assert!(tail.contains(" 503 ") && tail.contains(" SC-- "), "{line}");
    assert!(tail.contains("/3 0/0 "), "three retries: {line}");

    // What was under way comes to its end as ever.
    for client in &mut in_flight {
        client.send(b"67890");
        let answer = client
            .read_response(false, PATIENCE)
            .expect("an answer while it is full");
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
    // Those who were not accepted yet are, once there is room.
    crowd.drain(..CROWD - 5);
    for client in &mut crowd {
        assert!(client.ask(GET).starts_with("HTTP/1.1 200 "));
    }
    assert!(
        operator.read_until(PATIENCE, |got| got.ends_with(b"\n\n")),
        "the operator is answered"
    );
    drop(operator);
    assert_recovers(&proxy);
    let count = |name, column| cli::count(&proxy, "be", name, column);
    assert_eq!(
        (
            count("s1", "econ"),
            count("s1", "wretr"),
            count("BACKEND", "econ")
        ),
        (1, 3, 1)
    );
    // One warm-up, three posts, five late ones, at least one at the end, and the four attempts that failed.
    assert_eq!(count("s1", "connect"), count("s1", "stot") + 4);
    proxy.stop();
}

#[test]
fn out_of_descriptors_in_tcp() {
    let (origin, log) = (Origin::new(Vec::new()), Sink::new());
    let proxy = start("tcp", &origin, &log);
    let mut in_flight: Vec<Client> = (0..3).map(|_| proxy.client("fe")).collect();
    for client in &mut in_flight {
        assert!(client.ask(GET).starts_with("HTTP/1.1 200 "));
    }
    // Relays take two descriptors each: of those for whom one is left, the connection ends.
    let crowd: Vec<Client> = (0..CROWD).map(|_| proxy.client("fe")).collect();
    let full = wait_for(PATIENCE, || {
        (open_descriptors(&proxy) + 1 >= DESCRIPTORS).then_some(())
    });
    assert!(full.is_some(), "it is full");
    log.expect("Proxy fe reached process FD limit (maxsock=");
    assert_rests(&proxy, &log);
    for client in &mut in_flight {
        assert!(client.ask(GET).starts_with("HTTP/1.1 200 "));
        // More than pipes and buffers hold, while there is no descriptor for a pipe.
        let answer = client.ask("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.len() > 4_000_000);
    }
    drop(crowd);
    assert_recovers(&proxy);
    proxy.stop();
}
