//! A soak: every kind of client and origin at once, for `SOAK_SECONDS` (20 unless told). It fails unless
//! memory is flat after the warm-up, open descriptors return to where they began, every pool and gauge is
//! back at 0, no stream outlives its longest timeout, and the plain requests among the abuse were all answered.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::client::Client;
use haproxy_compat::origin::{Act, Block, Origin, Trigger};
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::{PATIENCE, cli, gauges, wait_for};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest time that a stream may be seen alive, seconds: the longest timeout but the queue's is 5 s, a request
/// that fails is tried again once, and a stream that makes progress on a busy machine gets the rest.
const AGE_MAX_S: u64 = 15;
/// How much the resident memory may grow after the warm-up, in KiB: the allocator's slack, no leak. Ten
/// thousand requests that leaked 512 bytes each would be beyond it.
const GROWTH_KIB: u64 = 4096;

/// What a crowd of clients did.
#[derive(Default)]
struct Tally {
    /// Requests that had to be answered and were.
    answered: AtomicU64,
    /// Those that were not.
    lost: AtomicU64,
    /// What came instead, for the first of them.
    first_lost: Mutex<Option<String>>,
    /// Connections that were abused in some way.
    abused: AtomicU64,
}

impl Tally {
    /// Notes what came for a request that had to be answered.
    fn note(&self, crowd: Crowd, answer: Option<&[u8]>, client: &Client) {
        if answer.is_some_and(|a| a.starts_with(b"HTTP/1.1 200 ")) {
            self.answered.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_lost.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| {
            let start = &client.got[..client.got.len().min(100)];
            format!(
                "{crowd:?}: {} bytes, {:?}, then {:?}",
                client.got.len(),
                String::from_utf8_lossy(start),
                client.end
            )
        });
    }
}

/// The kinds of client behaviour, each driven by a thread of its own.
#[derive(Clone, Copy, Debug)]
enum Crowd {
    KeepAlive,
    Close,
    Post,
    AbortInRequest,
    AbortInAnswer,
    SlowReader,
    StalledReader,
    Garbage,
    OriginMisbehaves,
    Queue,
    Tcp,
    Large,
    Idle,
}

const CROWDS: [Crowd; 13] = [
    Crowd::KeepAlive,
    Crowd::Close,
    Crowd::Post,
    Crowd::AbortInRequest,
    Crowd::AbortInAnswer,
    Crowd::SlowReader,
    Crowd::StalledReader,
    Crowd::Garbage,
    Crowd::OriginMisbehaves,
    Crowd::Queue,
    Crowd::Tcp,
    Crowd::Large,
    Crowd::Idle,
];

/// The frontends of the proxy.
#[derive(Clone, Copy)]
struct Doors {
    /// The origin that answers, for clients that behave.
    good: SocketAddr,
    /// The same, with little patience: for the others.
    strict: SocketAddr,
    /// The one that misbehaves.
    bad: SocketAddr,
    /// A server that takes two requests at a time.
    narrow: SocketAddr,
    /// TCP to the origin that answers, through pipes where possible.
    tcp: SocketAddr,
}

/// An origin that resets, closes early, breaks off, answers late or says rubbish, in turn.
fn misbehaviour() -> Vec<Block> {
    let on = |trigger, acts| Block { trigger, acts };
    let send = |text: &str| Act::Send(text.into());
    let request = Trigger::Request;
    let round = [
        on(request, vec![Act::Reset]),
        on(request, vec![Act::Close]),
        on(
            request,
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
                Act::Close,
            ],
        ),
        on(
            request,
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
                Act::Reset,
            ],
        ),
        on(
            request,
            vec![
                send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
                Act::Close,
            ],
        ),
        on(request, vec![send("rubbish\r\n\r\n"), Act::Close]),
        on(
            request,
            vec![
                Act::Wait(30),
                send("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
                Act::Close,
            ],
        ),
        on(Trigger::Accept, vec![Act::Close]),
    ];
    round.into_iter().cycle().take(200_000).collect()
}

/// One connection of a crowd.
fn visit(crowd: Crowd, doors: Doors, tally: &Tally) {
    let soon = Duration::from_millis(300);
    let target = match crowd {
        Crowd::OriginMisbehaves => doors.bad,
        Crowd::Queue => return queue(doors.narrow, tally),
        Crowd::Tcp => doors.tcp,
        Crowd::KeepAlive | Crowd::Close | Crowd::Post | Crowd::Large => doors.good,
        _ => doors.strict,
    };
    let Ok(mut client) = Client::try_connect(target) else {
        tally.lost.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let get = "GET /soak HTTP/1.1\r\nHost: soak\r\nUser-Agent: soak\r\n\r\n";
    let ask = |client: &mut Client, request: &str| {
        client.send(request.as_bytes());
        let answer = client.read_response(false, PATIENCE);
        tally.note(crowd, answer.as_deref(), client);
    };
    match crowd {
        Crowd::KeepAlive => (0..50).for_each(|_| ask(&mut client, get)),
        Crowd::Close => ask(
            &mut client,
            "GET / HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n",
        ),
        Crowd::Post => {
            let body = "x".repeat(30_000);
            ask(
                &mut client,
                &format!("POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 30000\r\n\r\n{body}"),
            );
            ask(
                &mut client,
                &format!(
                    "POST / HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n7530\r\n{body}\r\n0\r\n\r\n"
                ),
            );
        }
        Crowd::AbortInRequest => {
            client.send(b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nonly this");
            client.read_once(Duration::from_millis(3));
            client.reset();
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
        Crowd::AbortInAnswer => {
            client.send(b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n");
            client.read_once(soon);
            client.reset();
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
        Crowd::SlowReader => {
            client.small_window();
            client.send(b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n");
            for _ in 0..5 {
                client.read_once(Duration::from_millis(20));
                std::thread::sleep(Duration::from_millis(10));
            }
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
        Crowd::StalledReader => {
            client.small_window();
            client.send(b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n");
            // Longer than the client's timeout: it is the proxy that gives up.
            std::thread::sleep(Duration::from_millis(1_500));
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
        Crowd::Tcp => {
            ask(&mut client, get);
            ask(&mut client, "GET /large HTTP/1.1\r\nHost: soak\r\n\r\n");
            client.send(b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n");
            client.read_once(soon);
            client.reset();
        }
        Crowd::Large => {
            ask(&mut client, "GET /large HTTP/1.1\r\nHost: soak\r\n\r\n");
            ask(
                &mut client,
                "GET /large HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n",
            );
        }
        Crowd::Queue => {}
        Crowd::Garbage => {
            client.send(b"\x16\x03\x01 no such thing\r\n\r\n");
            client.read_to_end(soon);
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
        Crowd::OriginMisbehaves => {
            client.send(get.as_bytes());
            client.read_response(false, soon);
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
        Crowd::Idle => {
            client.read_once(Duration::from_millis(40));
            tally.abused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// More clients at once than the server takes: some leave while they wait, the others are answered in the end.
fn queue(narrow: SocketAddr, tally: &Tally) {
    let get = b"GET /wait HTTP/1.1\r\nHost: soak\r\n\r\n";
    let mut waiting: Vec<Client> = (0..9).filter_map(|_| Client::try_connect(narrow).ok()).collect();
    waiting.iter_mut().for_each(|client| {
        client.send(get);
    });
    let patient = waiting.split_off(waiting.len() / 2);
    for (number, client) in waiting.into_iter().enumerate() {
        match number % 2 {
            0 => client.reset(),
            _ => drop(client),
        }
        tally.abused.fetch_add(1, Ordering::Relaxed);
    }
    for mut client in patient {
        let answer = client.read_response(false, PATIENCE);
        tally.note(Crowd::Queue, answer.as_deref(), &client);
    }
}

/// Resident memory of a process, in KiB.
fn resident_kib(proxy: &Proxy) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("the proxy lives");
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    line.split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number of KiB")
}

/// Open descriptors of a process, without those of pipes that it keeps for the next splicing.
fn descriptors(proxy: &Proxy) -> usize {
    let pipes: usize = cli::info(proxy, "PipesFree").parse().expect("a number");
    // The connection of that question is closed when the proxy sees that this side has gone.
    std::thread::sleep(Duration::from_millis(50));
    let open = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid()))
        .expect("the proxy lives")
        .count();
    open.saturating_sub(2 * pipes)
}

/// Seconds since the oldest stream began, from `show sess` (its `age=` field).
fn oldest_s(proxy: &Proxy) -> u64 {
    let sessions = cli::ask(proxy, "show sess older 1");
    let ages = sessions
        .lines()
        .filter_map(|l| l.split(" age=").nth(1)?.split(' ').next());
    ages.map(|age| {
        let seconds = age.strip_suffix('s').and_then(|n| n.parse().ok());
        seconds.unwrap_or(u64::MAX) // minutes or more
    })
    .max()
    .unwrap_or(0)
}

/// Tells the crowds to end when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Drives all crowds for `length`; gives the age of the oldest stream seen, in seconds.
fn drive(length: Duration, proxy: &Proxy, doors: Doors, tally: &Tally) -> u64 {
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for crowd in CROWDS {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    visit(crowd, doors, tally);
                }
            });
        }
        let start = Instant::now();
        // However this ends, the crowds end with it.
        let _end = End(over);
        let mut oldest = 0;
        while start.elapsed() < length {
            std::thread::sleep(Duration::from_millis(500));
            oldest = oldest.max(oldest_s(proxy));
        }
        oldest
    })
}

/// Waits until nothing is in flight; gives what is left otherwise.
fn settle(proxy: &Proxy, descriptors_before: usize) -> Result<(), String> {
    let left = || (gauges::in_use(proxy, true), descriptors(proxy));
    let quiet = wait_for(Duration::from_secs(20), || {
        let (in_use, open) = left();
        // Idle connections to the origins are purged little by little.
        (in_use.is_empty() && open <= descriptors_before).then_some(())
    });
    quiet.ok_or_else(|| {
        let (in_use, open) = left();
        format!("{open} descriptors open ({descriptors_before} before), in use: {in_use:#?}")
    })
}

#[test]
fn memory_and_descriptors_stay() {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20);
    let origin = Origin::new(Vec::new()).forgetful();
    let bad = Origin::new(misbehaviour()).forgetful();
    // A request that has to be answered gets 5 s, more than a busy machine makes origin or client wait.
    let proxy = Setup::new(format!(
        "global\n nbthread 1\n stats socket fd@${{cli}} level admin\ndefaults\n mode http\n timeout connect 5s\n \
         timeout client 5s\n timeout server 5s\n timeout queue 10s\n\
         frontend good\n bind fd@${{good}}\n default_backend be-good\n\
         frontend strict\n timeout client 1s\n timeout http-request 1s\n bind fd@${{strict}}\n \
         default_backend be-good\n\
         frontend bad\n timeout client 1s\n bind fd@${{bad}}\n default_backend be-bad\n\
         frontend narrow\n bind fd@${{narrow}}\n default_backend be-narrow\n\
         listen tcp\n mode tcp\n bind fd@${{tcp}}\n option splice-auto\n server s1 {0}\n\
         backend be-good\n http-reuse always\n server s1 {0} pool-purge-delay 500ms\n\
         backend be-bad\n timeout connect 1s\n timeout server 1s\n retries 1\n server s1 {1} pool-purge-delay 500ms\n\
         backend be-narrow\n server s1 {0} maxconn 2 pool-purge-delay 500ms\n",
        origin.addr(),
        bad.addr()
    ))
    .start();
    let tally = Tally::default();
    let doors = Doors {
        good: proxy.addr("good"),
        strict: proxy.addr("strict"),
        bad: proxy.addr("bad"),
        narrow: proxy.addr("narrow"),
        tcp: proxy.addr("tcp"),
    };
    let descriptors_before = descriptors(&proxy);
    drive(
        Duration::from_secs((seconds / 4).clamp(2, 60)),
        &proxy,
        doors,
        &tally,
    );
    settle(&proxy, descriptors_before).expect("after the warm-up");
    origin.reset(Vec::new());
    bad.reset(misbehaviour());
    let memory_before = resident_kib(&proxy);
    let oldest = drive(Duration::from_secs(seconds), &proxy, doors, &tally);
    settle(&proxy, descriptors_before).expect("after the soak");
    let memory_after = resident_kib(&proxy);
    let [answered, lost, abused] =
        [&tally.answered, &tally.lost, &tally.abused].map(|n| n.load(Ordering::Relaxed));
    eprintln!(
        "soak: {seconds} s, {answered} answered, {lost} lost, {abused} abused; \
         {memory_before} KiB then {memory_after} KiB; {descriptors_before} descriptors; \
         oldest stream {oldest} s"
    );
    assert_eq!(
        lost, 0,
        "requests that had to be answered and were not ({answered} were), the first: {:?}",
        tally.first_lost
    );
    assert!(
        answered > 100 && abused > 100,
        "{answered} answered, {abused} abused: hardly a soak"
    );
    let growth = memory_after.saturating_sub(memory_before);
    assert!(
        growth <= GROWTH_KIB,
        "memory grew from {memory_before} to {memory_after} KiB"
    );
    assert!(oldest <= AGE_MAX_S, "a stream lived for {oldest} s");
    let sessions = cli::ask(&proxy, "show sess");
    let streams = sessions
        .lines()
        .filter(|l| l.starts_with("0x") && !l.contains("fe=GLOBAL"))
        .count();
    assert_eq!(streams, 0, "streams left: {sessions}");
    proxy.stop();
}
