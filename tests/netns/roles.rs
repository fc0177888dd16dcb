//! The programs that run inside the namespaces: this test program itself, started again with a role in
//! its environment. A role is an ignored test, so that a usual run passes over it.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use haproxy_compat::examples::role::{self, ARGUMENTS};

/// What /slow sends: this many pieces of this size, with a pause between them.
const PIECES: usize = 40;
const PIECE: usize = 50_000;

fn protocol(word: &str) -> Protocol {
    if word == "mptcp" {
        Protocol::MPTCP
    } else {
        Protocol::TCP
    }
}

/// Whether a connected socket really speaks MPTCP. A socket that was accepted from a plain client is a
/// TCP one; a connecting one that fell back has no MPTCP token in `ss`, which the counters tell better.
fn is_multipath(socket: &Socket) -> bool {
    SockRef::from(socket).protocol().ok().flatten() == Some(Protocol::MPTCP)
}

/// A server or a client of an upstream example.
#[test]
#[ignore = "a role that another test starts inside a namespace"]
fn role_of_an_example() {
    if std::env::var_os(ARGUMENTS).is_some() {
        role::play().expect("the role is played");
    }
}

/// Serves /small and /slow for ever.
#[test]
#[ignore = "a role that another test starts inside a namespace"]
fn role_origin() {
    let Ok(word) = std::env::var(ARGUMENTS) else {
        return;
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(protocol(&word))).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    let addr: SocketAddr = ([0, 0, 0, 0], 4331).into();
    socket.bind(&addr.into()).expect("bind");
    socket.listen(64).expect("listen");
    loop {
        let Ok((mut connection, _)) = socket.accept() else {
            continue;
        };
        std::thread::spawn(move || {
            let mut request = Vec::new();
            let mut buf = [0u8; 4096];
            while !request.ends_with(b"\r\n\r\n") {
                match connection.read(&mut buf) {
                    Ok(n @ 1..) => request.extend_from_slice(&buf[..n]),
                    _ => return,
                }
            }
            let kind = if is_multipath(&connection) {
                "multipath"
            } else {
                "plain"
            };
            let slow = request.starts_with(b"GET /slow");
            let length = if slow { PIECES * PIECE } else { 5 };
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-Origin: {kind}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            );
            let _ = connection.write_all(head.as_bytes());
            if !slow {
                let _ = connection.write_all(b"small");
                return;
            }
            for _ in 0..PIECES {
                std::thread::sleep(Duration::from_millis(40));
                if connection.write_all(&[b's'; PIECE]).is_err() {
                    return;
                }
            }
        });
    }
}

/// Fetches one target and says what it saw, in one line.
#[test]
#[ignore = "a role that another test starts inside a namespace"]
fn role_client() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let words: Vec<&str> = arguments.split(' ').collect();
    let [word, addr, target] = words[..] else {
        panic!("protocol, address and target, not {arguments:?}")
    };
    let addr: SocketAddr = addr.parse().expect("an address");
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, Some(protocol(word))).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("SO_RCVTIMEO");
    socket
        .connect_timeout(&addr.into(), Duration::from_secs(5))
        .expect("connect");
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = Vec::new();
    let end = socket.read_to_end(&mut answer);
    let split = haproxy_compat::client::find(&answer, b"\r\n\r\n").map_or(answer.len(), |n| n + 4);
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let origin = haproxy_compat::client::header(&head, "x-origin")
        .unwrap_or("unknown")
        .to_string();
    let body = &answer[split..];
    let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
    // What this side negotiated, from the counters of its namespace.
    let granted = super::world::counter_here("MPCapableSYNACKRX") > 0;
    let multipath = if word == "mptcp" && granted { "yes" } else { "no" };
    println!(
        "RESULT multipath={multipath} origin={origin} length={} body={shown} end={end:?}",
        body.len()
    );
}
