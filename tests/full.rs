//! A process that is full: out of descriptors, at a `maxconn`, at a rate. It stops accepting, rests meanwhile, serves
//! what it has, and goes on as soon as there is room. Every expectation was seen of HAProxy 3.4.0 first.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::client::Client;
use haproxy_compat::origin::Origin;
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::sink::Sink;
use haproxy_compat::{PATIENCE, cli, wait_for};
use std::time::{Duration, Instant};

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
    // First it may have a crowd to turn away, which takes its time on a busy machine.
    let is_quiet = || {
        while log.next(Duration::ZERO).is_some() {}
        std::thread::sleep(WATCHED / 4);
        let lines = std::iter::from_fn(|| log.next(Duration::ZERO)).take(LINES_MAX / 4);
        (lines.count() < LINES_MAX / 4).then_some(())
    };
    assert!(wait_for(PATIENCE, is_quiet).is_some(), "it never comes to rest");
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

/// Connections that the limits under test allow at once, and events that they allow per second.
const LIMIT: usize = 5;
const RATE: usize = 10;

/// Starts a proxy with a line in `global`, in the frontend, and more words on its `bind` line. There is a second
/// frontend without limits.
fn start_limited(global: &str, frontend: &str, bind: &str, origin: &Origin) -> Proxy {
    let config = format!(
        "global\n nbthread 1\n stats socket fd@${{cli}} level admin\n{global}defaults\n mode http\n backlog 200\n \
         timeout connect 2s\n timeout client 20s\n timeout server 20s\nfrontend fe\n bind fd@${{fe}} {bind}\n{frontend} \
         default_backend be\nfrontend fe2\n bind fd@${{fe2}}\n default_backend be\nbackend be\n server s1 {}\n",
        origin.addr()
    );
    Setup::new(config).start()
}

/// A crowd in which everybody asked.
fn asking(proxy: &Proxy, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = proxy.client("fe");
        client.send(GET.as_bytes());
        client
    };
    (0..count).map(ask).collect()
}

/// Takes those who were answered out of the crowd.
fn take_answered(crowd: &mut Vec<Client>) -> Vec<Client> {
    let is_answered = |client: &mut Client| {
        client.read_once(Duration::ZERO);
        assert!(client.got.is_empty() || client.got.starts_with(b"HTTP/1.1 200 "));
        !client.got.is_empty()
    };
    crowd.extract_if(.., is_answered).collect()
}

/// Takes the answered out of the crowd until there are `count`.
fn await_answered(crowd: &mut Vec<Client>, count: usize) -> Vec<Client> {
    let mut served = Vec::new();
    let done = wait_for(PATIENCE, || {
        served.append(&mut take_answered(crowd));
        (served.len() >= count).then_some(())
    });
    assert!(
        done.is_some() && served.len() == count,
        "{} of {count} answered",
        served.len()
    );
    served
}

#[test]
fn at_a_limit_of_connections() {
    let origin = Origin::new(Vec::new());
    let line = format!(" maxconn {LIMIT}\n");
    for (global, frontend, bind, stops_others) in [
        (line.as_str(), "", "", true),
        ("", line.as_str(), "", false),
        ("", "", line.trim(), false),
    ] {
        let proxy = start_limited(global, frontend, bind, &origin);
        let log = Sink::new();
        let mut crowd = asking(&proxy, 20);
        let served = await_answered(&mut crowd, LIMIT);
        assert_rests(&proxy, &log);
        assert_eq!(take_answered(&mut crowd).len(), 0, "nobody else is accepted");
        assert_eq!(
            cli::info(&proxy, "CurrConns"),
            LIMIT.to_string(),
            "the operator is served"
        );
        let mut other = proxy.client("fe2");
        other.send(GET.as_bytes());
        let answer = other.read_response(
            false,
            Duration::from_millis(if stops_others { 300 } else { 8_000 }),
        );
        assert_eq!(answer.is_none(), stops_others, "the other frontend");
        drop((served, other));
        while !crowd.is_empty() {
            let next = LIMIT.min(crowd.len());
            await_answered(&mut crowd, next);
        }
        let gone = wait_for(PATIENCE, || (cli::info(&proxy, "CurrConns") == "0").then_some(()));
        assert!(gone.is_some(), "every slot is free again");
        proxy.stop();
    }
}

#[test]
fn at_a_rate() {
    let origin = Origin::new(Vec::new());
    for (global, frontend) in [
        ("", " rate-limit sessions 10\n"),
        (" maxconnrate 10\n", ""),
        (" maxsessrate 10\n", ""),
    ] {
        let proxy = start_limited(global, frontend, "", &origin);
        let log = Sink::new();
        let begun = Instant::now();
        let mut crowd = asking(&proxy, 3 * RATE);
        let mut served = take_answered(&mut crowd).len();
        assert_rests(&proxy, &log);
        while !crowd.is_empty() && begun.elapsed() < PATIENCE {
            served += take_answered(&mut crowd).len();
            let seconds = begun.elapsed().as_secs_f64();
            // What the first second may have at once, and the tenths of those that followed.
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let too_many = served as f64 > (RATE as f64) * (1.0 + seconds) + 1.0;
            assert!(!too_many, "{served} in {seconds} s");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(crowd.is_empty(), "{served} answered");
        proxy.stop();
    }
}
