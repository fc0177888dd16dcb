//! Requests in steady state allocate nothing: the whole proxy runs in this process under a counting allocator, while
//! clients and servers that allocate nothing themselves talk through it.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use haproxy_compat::{PATIENCE, TempDir, ports, wait_for};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before counting begins: pools, slabs and log lines reach their size.
const WARM_UP: usize = 50;
/// Requests that are counted.
const COUNTED: usize = 800;
/// Rounds of so many requests, of which one at least must be without any allocation.
const ROUNDS_MAX: usize = 5;
const CLIENTS: usize = 4;

/// Bytes of the small response, and of the one that goes through bursts.
const BODY: &str = "0123456789";
const LARGE_LEN: usize = 300_000;

/// Answers every request that ends in what it was told to expect, from memory that it has.
fn serve(listener: TcpListener) {
    let small = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{BODY}\r\n0\r\n\r\n");
    let large = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {LARGE_LEN}\r\n\r\n{}",
        "x".repeat(LARGE_LEN)
    );
    let texts: &'static [String; 3] = Box::leak(Box::new([small, chunked, large]));
    for conn in listener.incoming() {
        let mut conn = conn.expect("a connection");
        std::thread::spawn(move || {
            let mut room = vec![0; 65_536];
            let mut held = 0;
            while let Ok(n @ 1..) = conn.read(&mut room[held..]) {
                held += n;
                if !is_whole(&room[..held]) {
                    continue;
                }
                let text = match room[..held].split(|b| *b == b' ').nth(1) {
                    Some(b"/chunked") => &texts[1],
                    Some(b"/large") => &texts[2],
                    _ => &texts[0],
                };
                held = 0;
                if conn.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// A number behind a name, in lower case or not.
fn length(head: &[u8]) -> usize {
    let at = find(head, b"ontent-").and_then(|at| Some(at + find(&head[at..], b": ")? + 2));
    let digits = at.map_or(&[][..], |at| &head[at..]);
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

/// Whether a whole message is there: by its length, by its last chunk, or without a body.
fn is_whole(text: &[u8]) -> bool {
    let Some(end) = find(text, b"\r\n\r\n") else {
        return false;
    };
    if find(&text[..end], b"ransfer-").is_some() {
        return text.ends_with(b"0\r\n\r\n");
    }
    text.len() >= end + 4 + length(&text[..end])
}

/// One request and the whole response on each connection; all of them are under way at the same time.
fn exchange(clients: &mut [TcpStream], request: &[u8], room: &mut [u8]) {
    for client in &mut *clients {
        client.write_all(request).expect("the proxy reads");
    }
    for client in clients {
        let mut held = 0;
        while !is_whole(&room[..held]) {
            let n = client.read(&mut room[held..]).expect("the proxy answers");
            assert!(n > 0, "the proxy closed");
            held += n;
        }
        assert!(room.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

/// Runs the program in a thread of this process. It ends with it.
fn start(dir: &TempDir, servers: SocketAddr, log: SocketAddr) -> SocketAddr {
    let front = SocketAddr::from(([127, 0, 0, 1], ports::free_ports(1)));
    let path = dir.write(
        "cfg",
        &format!(
            "global\n nbthread 1\n maxconn 100\n log {log} local0\ndefaults\n mode http\n log global\n option httplog\n \
             option forwardfor\n http-reuse always\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
             frontend fe\n bind {front}\n default_backend be\nbackend be\n server s1 {servers}\n server s2 {servers}\n"
        ),
    );
    std::thread::spawn(move || {
        rproxy::ops::boot::main(["rproxy", "-db", "-f", &path].map(Into::into));
    });
    let listens = wait_for(PATIENCE, || TcpStream::connect(front).ok());
    assert!(listens.is_some(), "the proxy does not listen");
    front
}

/// Allocations of the process while so many requests of a kind are answered and logged.
fn counted(clients: &mut [TcpStream], request: &str, room: &mut [u8], log: &UdpSocket) -> usize {
    let mut line = [0; 2048];
    while log.recv(&mut line).is_ok() {}
    let mut lines = 0;
    let region = Region::new(ALLOCATOR);
    for _ in 0..COUNTED / CLIENTS {
        exchange(clients, request.as_bytes(), room);
        while log.recv(&mut line).is_ok() {
            lines += 1;
        }
    }
    let change = region.change();
    assert!(lines >= COUNTED / 2, "{lines} log lines came");
    change.allocations + change.reallocations
}

#[test]
fn requests_allocate_nothing() {
    let dir = TempDir::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let servers = listener.local_addr().expect("an address");
    std::thread::spawn(|| serve(listener));
    let log = UdpSocket::bind("127.0.0.1:0").expect("a port");
    log.set_nonblocking(true).expect("O_NONBLOCK");
    let front = start(&dir, servers, log.local_addr().expect("an address"));
    let mut room = vec![0; 2 * LARGE_LEN];
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| TcpStream::connect(front).expect("the proxy listens"))
        .collect();
    let upload = format!(
        "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n{}",
        "y".repeat(20_000)
    );
    let table = [
        (
            "GET",
            "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
        ),
        (
            "POST",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345",
        ),
        (
            "POST of chunks",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        ("response in chunks", "GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("large response", "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("large request", &upload),
    ];
    for (what, request) in table {
        for _ in 0..WARM_UP {
            exchange(&mut clients, request.as_bytes(), &mut room);
        }
        // A pool may meet a new peak by chance; what requests need each time would never end.
        let steady = (0..ROUNDS_MAX).any(|_| counted(&mut clients, request, &mut room, &log) == 0);
        assert!(steady, "{what}: allocations in each round of {COUNTED} requests");
    }
}
