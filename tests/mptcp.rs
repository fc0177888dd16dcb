//! Multipath TCP end to end: `examples/mptcp.cfg` between clients and the demo origin, over MPTCP where the
//! kernel has it, and over plain TCP on the same port in any case.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{BufRead, BufReader};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use haproxy_compat::client::{Client, End};
use haproxy_compat::ports::free_ports;
use haproxy_compat::proxy::{Proxy, Setup, signal};
use haproxy_compat::{PATIENCE, wait_for};

/// The demo origin as a child process.
struct Origin {
    child: Child,
    /// What it said when it was ready.
    ready: String,
    port: u16,
}

impl Origin {
    fn start() -> Self {
        let mut child = Command::new(Self::program())
            .args(["--parent", &std::process::id().to_string(), "[::]:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`cargo test` builds it; for this test alone: cargo build --example mptcp-backend");
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut ready)
            .expect("one line once it listens");
        let port = ready
            .split("[::]:")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let port = port
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no port in '{ready}'"));
        Self { child, ready, port }
    }

    /// Beside this test's directory: where cargo puts examples.
    fn program() -> PathBuf {
        let rproxy = Path::new(env!("CARGO_BIN_EXE_rproxy"));
        rproxy.with_file_name("examples").join("mptcp-backend")
    }

    fn address(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port).into()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_mptcp() -> bool {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::MPTCP));
    if let Err(error) = &socket {
        eprintln!("skipped: the MPTCP half of this test, as the kernel has none ({error})");
    }
    socket.is_ok()
}

/// A client over that protocol.
fn connect(address: SocketAddr, protocol: Protocol) -> Client {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(protocol)).expect("a socket");
    socket
        .connect_timeout(&address.into(), PATIENCE)
        .expect("somebody listens");
    Client::over(socket).expect("connected")
}

/// Whether the machine lists an MPTCP connection between the two ports, as the one that accepted sees it. A
/// connection that fell back to TCP is not among them. `None` without the `ss` program.
fn is_listed(own: u16, peer: u16) -> Option<bool> {
    let output = Command::new("ss").args(["-H", "-M", "-n"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let has =
        |column: Option<&str>, port: u16| column.is_some_and(|text| text.ends_with(&format!(":{port}")));
    Some(text.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(3);
        has(columns.next(), own) && has(columns.next(), peer)
    }))
}

/// The example with other ports, and where it listens.
fn start_example(origin: &Origin) -> (Proxy, SocketAddr) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mptcp.cfg");
    let text = std::fs::read_to_string(file).expect("the example is there");
    let port = free_ports(1);
    let text = text
        .replace("mptcp@[::]:5000", &format!("mptcp@[::]:{port}"))
        .replace("mptcp@[::]:4331", &format!("mptcp@[::]:{}", origin.port));
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let mut proxy = Setup::new(text).no_wait().start();
    let up = wait_for(PATIENCE, || match Client::try_connect(address) {
        Ok(_) => Some(true),
        Err(_) => proxy.exited().map(|_| false),
    });
    assert_eq!(up, Some(true), "the example does not start: {}", proxy.output());
    (proxy, address)
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: demo\r\n\r\n";

#[test]
fn both_legs_of_the_example() {
    if !has_mptcp() {
        return;
    }
    let origin = Origin::start();
    assert!(origin.ready.ends_with("over MPTCP\n"), "{}", origin.ready);
    let (proxy, address) = start_example(&origin);
    for protocol in [Protocol::MPTCP, Protocol::TCP] {
        let mut client = connect(address, protocol);
        for _ in 0..50 {
            let response = client.ask(GET);
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
            assert!(
                response.contains("connection to the origin: MPTCP\n"),
                "{response}"
            );
            assert!(
                response.contains("request: GET /a HTTP/1.1\nhost: demo\n"),
                "{response}"
            );
        }
        if let Some(listed) = is_listed(address.port(), client.port) {
            assert_eq!(
                listed,
                protocol == Protocol::MPTCP,
                "the client's leg as the machine sees it"
            );
        }
    }
    proxy.stop();
}

/// What the README tells people to try.
#[test]
fn curl_with_and_without_mptcpize() {
    let there = |program: &str| {
        let run = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        run.is_ok()
    };
    if !has_mptcp() || !there("curl") || !there("mptcpize") {
        eprintln!("skipped: curl, mptcpize and an MPTCP kernel are needed");
        return;
    }
    let origin = Origin::start();
    let (proxy, address) = start_example(&origin);
    let url = format!("http://localhost:{}/tried", address.port());
    let curl = ["curl", "-sS", "-m", "8", &url];
    let mptcpize = [&["mptcpize", "run"], &curl[..]].concat();
    for command in [&curl[..], &mptcpize] {
        let output = Command::new(command[0])
            .args(&command[1..])
            .output()
            .expect("it ran before");
        let answer = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            answer.contains("connection to the origin: MPTCP\n"),
            "{command:?}: {answer}"
        );
        assert!(
            answer.contains("request: GET /tried HTTP/1.1\n"),
            "{command:?}: {answer}"
        );
    }
    proxy.stop();
}

#[test]
fn a_plain_client_sees_a_plain_origin() {
    let origin = Origin::start();
    let mut client = connect(origin.address(), Protocol::TCP);
    let response = client.ask(GET);
    assert!(response.contains("connection to the origin: TCP\n"), "{response}");
    if has_mptcp() {
        let response = connect(origin.address(), Protocol::MPTCP).ask(GET);
        assert!(
            response.contains("connection to the origin: MPTCP\n"),
            "{response}"
        );
    }
}

#[test]
fn the_origin_keeps_to_http() {
    let origin = Origin::start();
    let mut client = connect(origin.address(), Protocol::TCP);
    let head = client.ask("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let chunked =
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n";
    assert!(client.ask(chunked).contains("request: POST /c HTTP/1.1\n"));
    let length = "POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert!(client.ask(length).contains("request: POST /l HTTP/1.1\n"));
    let both = "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(client.ask(both).starts_with("HTTP/1.1 400 "));
    client.read_to_end(PATIENCE);
    assert_eq!(client.end, End::Closed);
}

#[test]
fn the_origin_ends_when_it_should() {
    for name in ["INT", "TERM"] {
        let mut origin = Origin::start();
        signal(origin.child.id(), name);
        let ended = wait_for(PATIENCE, || origin.child.try_wait().ok().flatten());
        assert_eq!(ended.and_then(|status| status.code()), Some(0), "SIG{name}");
    }
    // Process 0 is nobody's parent: as if the parent were gone already.
    let mut orphan = Command::new(Origin::program())
        .args(["--parent", "0", "[::1]:0"])
        .stdout(Stdio::null())
        .spawn()
        .expect("`cargo test` builds it; for this test alone: cargo build --example mptcp-backend");
    let ended = wait_for(PATIENCE, || orphan.try_wait().ok().flatten());
    if ended.is_none() {
        let _ = orphan.kill();
    }
    assert_eq!(
        ended.and_then(|status| status.code()),
        Some(0),
        "without its parent"
    );
}
