//! TCP mode: the relay with its half-closes, the PROXY protocol, splicing. Scripts with their recordings are in
//! `haproxy-compat/cases/tcp/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::cli;
use haproxy_compat::client::Client;
use haproxy_compat::origin::{Act, Block, Origin, Trigger};
use haproxy_compat::play::play;
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::{PATIENCE, wait_for};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::time::Duration;

#[test]
fn relay() {
    play("tcp/relay.case");
}

#[test]
fn clients_that_leave_early() {
    play("tcp/early-close.case");
}

#[test]
fn proxy_protocol() {
    play("tcp/proxy-protocol.case");
}

#[test]
fn proxy_header_options() {
    play("tcp/proxy-options.case");
}

/// An origin that answers the first byte with `text` and closes.
fn greeter(text: &str) -> Vec<Block> {
    let block = Block {
        trigger: Trigger::Bytes(1),
        acts: vec![Act::Send(text.into()), Act::Wait(20), Act::Close],
    };
    vec![block; 16]
}

fn config(binds: &str, server: &str) -> String {
    format!(
        "global\n nbthread 1\n stats socket fd@${{cli}} level admin\ndefaults\n mode tcp\n timeout connect 1s\n \
         timeout client 3s\n timeout server 3s\nlisten front\n{binds}\n server s1 {server}\n"
    )
}

/// What the proxy gives to one byte sent over a new connection.
fn greeting(mut client: Client) -> String {
    client.send(b"x");
    assert!(client.read_to_end(PATIENCE), "no end: {:?}", client.got);
    String::from_utf8_lossy(&client.got).into_owned()
}

/// One inherited descriptor in two bind lines: whichever of them accepts, the connection is served.
#[test]
fn same_descriptor_in_two_binds() {
    let origin = Origin::new(greeter("shared"));
    let text = format!(
        "{}listen second\n bind fd@${{fe}}\n server s1 {}\n",
        config(" bind fd@${fe}", &origin.addr().to_string()),
        origin.addr()
    );
    let proxy = Setup::new(text).start();
    for _ in 0..8 {
        assert_eq!(greeting(proxy.client("fe")), "shared");
    }
    let served =
        cli::count(&proxy, "front", "FRONTEND", "stot") + cli::count(&proxy, "second", "FRONTEND", "stot");
    assert_eq!(served, 8);
    proxy.stop();
}

/// Moves `size` bytes from origin to client and back through a proxy with the given options.
fn transfer(options: &str, size: usize) -> Proxy {
    let data: Vec<u8> = (0..size)
        .map(|n| u8::try_from(n % 251).expect("below 251"))
        .collect();
    let script = vec![Block {
        trigger: Trigger::Bytes(1),
        acts: vec![Act::Send(data.clone()), Act::Shut],
    }];
    let origin = Origin::new(script);
    let text = config(
        &format!(" bind fd@${{fe}}\n{options}"),
        &origin.addr().to_string(),
    );
    let proxy = Setup::new(text).start();
    let mut client = proxy.client("fe");
    client.send(b"x");
    assert!(
        client.read_to_end(PATIENCE),
        "no end after {} bytes",
        client.got.len()
    );
    assert!(
        client.got == data,
        "{options}: {} bytes came, not those that were sent",
        client.got.len()
    );
    client.send(&data);
    client.shut();
    let all = wait_for(PATIENCE, || {
        (origin.records().first()?.bytes.len() > data.len()).then_some(())
    });
    assert!(
        all.is_some() && origin.records()[0].bytes[1..] == data,
        "{options}: the other direction"
    );
    drop(client);
    proxy
}

/// splice moves the bytes when it is asked for, and `show info` counts them; the bytes are the same
/// either way.
#[test]
fn splice_is_used_when_asked_and_counted() {
    const SIZE: usize = 3_000_000;
    let spliced = |proxy: &Proxy| {
        cli::info(proxy, "TotalSplicedBytesOut")
            .parse::<u64>()
            .expect("a number")
    };
    let plain = transfer("", SIZE);
    assert_eq!(spliced(&plain), 0);
    plain.stop();
    for options in [
        " option splice-response",
        " option splice-request",
        " option splice-request\n option splice-response",
    ] {
        let proxy = transfer(options, SIZE);
        assert!(spliced(&proxy) > 0, "{options}");
        proxy.stop();
    }
    let auto = transfer(" option splice-auto", SIZE);
    auto.stop();
}

/// Bodies of HTTP go through a pipe too: with a length, in chunks, and the same bytes come out.
#[test]
fn bodies_are_spliced_when_asked() {
    let body: Vec<u8> = (0..1_000_000_u32)
        .map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)])
        .collect();
    let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let chunk = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:X}\r\n",
        body.len()
    );
    for (head, tail) in [(length.as_str(), ""), (chunk.as_str(), "\r\n0\r\n\r\n")] {
        let answer = [head.as_bytes(), &body, tail.as_bytes()].concat();
        let origin = Origin::new(vec![Block {
            trigger: Trigger::Bytes(1),
            acts: vec![Act::Send(answer)],
        }]);
        let proxy = Setup::new(format!(
            "global\n nbthread 1\n stats socket fd@${{cli}} level admin\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n \
             option splice-response\nfrontend fe\n bind fd@${{fe}}\n default_backend be\nbackend be\n server s1 {}\n",
            origin.addr()
        ))
        .start();
        let mut client = proxy.client("fe");
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert!(
            client.read_to_end(PATIENCE),
            "no end after {} bytes",
            client.got.len()
        );
        let end = [&body, tail.as_bytes()].concat();
        assert!(
            client.got.ends_with(&end),
            "{} bytes came, not those that were sent",
            client.got.len()
        );
        let spliced: u64 = cli::info(&proxy, "TotalSplicedBytesOut")
            .parse()
            .expect("a number");
        assert!(spliced > 0, "nothing was spliced");
        drop(client);
        proxy.stop();
    }
}

/// Bytes and sessions of the relay in `show stat`.
#[test]
fn relay_counters() {
    let origin = Origin::new(greeter("12345"));
    let proxy = Setup::new(config(" bind fd@${fe}", &origin.addr().to_string())).start();
    for _ in 0..3 {
        assert_eq!(greeting(proxy.client("fe")), "12345");
    }
    let counters = || ["stot", "bin", "bout"].map(|c| cli::count(&proxy, "front", "FRONTEND", c));
    let settled = wait_for(PATIENCE, || (counters() == [3, 3, 15]).then_some(()));
    assert!(settled.is_some(), "{:?}", counters());
    assert_eq!(cli::count(&proxy, "front", "s1", "stot"), 3);
    assert_eq!(cli::count(&proxy, "front", "BACKEND", "bout"), 15);
    proxy.stop();
}

/// `harden.reject-privileged-ports.tcp`: clients from ports below 1024 are closed at once.
#[test]
fn privileged_client_ports_may_be_refused() {
    for hardened in [false, true] {
        let origin = Origin::new(greeter("12345"));
        let switch = if hardened { "on" } else { "off" };
        let text = config(" bind fd@${fe}", &origin.addr().to_string()).replacen(
            "global\n",
            &format!("global\n harden.reject-privileged-ports.tcp {switch}\n"),
            1,
        );
        let proxy = Setup::new(text).start();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let _ = socket.set_reuse_address(true);
        let bound = (700..1_023).any(|port| {
            let from = SocketAddr::from(([127, 0, 0, 1], port));
            socket.bind(&from.into()).is_ok()
        });
        if !bound {
            eprintln!("no right to a privileged port: not tested");
            return;
        }
        socket.connect(&proxy.addr("fe").into()).expect("it connects");
        let mut client = Client::over(socket).expect("a client");
        client.send(b"x");
        assert!(client.read_to_end(PATIENCE));
        assert_eq!(client.got.is_empty(), hardened);
        assert_eq!(origin.accepted(), usize::from(!hardened));
        assert_eq!(greeting(proxy.client("fe")), "12345");
        proxy.stop();
    }
}

/// `option contstats`: bytes are counted while the relay goes on.
#[test]
fn continuous_counters() {
    let origin = Origin::new(vec![Block {
        trigger: Trigger::Bytes(1),
        acts: vec![Act::Send("12345".into())],
    }]);
    let text = config(" bind fd@${fe}\n option contstats", &origin.addr().to_string()).replace(
        "timeout client 3s\n timeout server 3s",
        "timeout client 60s\n timeout server 60s",
    );
    let proxy = Setup::new(text).start();
    let mut client = proxy.client("fe");
    client.send(b"x");
    assert!(client.read_until(PATIENCE, |got| got == b"12345"));
    let counters = || ["bin", "bout"].map(|c| cli::count(&proxy, "front", "FRONTEND", c));
    // HAProxy looks every five seconds.
    let counted = wait_for(PATIENCE * 2, || (counters() == [1, 5]).then_some(()));
    assert!(counted.is_some(), "{:?}", counters());
    assert!(!client.read_once(Duration::from_millis(1)));
    drop(client);
    proxy.stop();
}
