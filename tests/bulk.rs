//! Bodies of megabytes, with peers that take them slowly: every byte arrives once and in order, whatever buffers they
//! went through, and no buffer is kept. Source: `engine/stream/burst.rs`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use haproxy_compat::cli::ask;
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::{PATIENCE, wait_for};

/// More than every buffer between two programs of one machine holds.
const SIZE: usize = 12_000_000;

/// Bytes that tell where they belong.
fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect()
}

/// How a body tells its end.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunks(usize),
    Close,
}

impl Framing {
    fn head(self) -> String {
        match self {
            Self::Length => format!("Content-Length: {SIZE}\r\n\r\n"),
            Self::Chunks(_) => "Transfer-Encoding: chunked\r\n\r\n".into(),
            Self::Close => "Connection: close\r\n\r\n".into(),
        }
    }

    fn body(self, data: &[u8]) -> Vec<u8> {
        let Self::Chunks(size) = self else {
            return data.to_vec();
        };
        let mut text = Vec::new();
        for chunk in data.chunks(size) {
            text.extend(format!("{:x}\r\n", chunk.len()).bytes());
            text.extend(chunk);
            text.extend(b"\r\n");
        }
        text.extend(b"0\r\n\r\n");
        text
    }

    /// The body that came in this form.
    fn read(self, text: &[u8]) -> Vec<u8> {
        if !matches!(self, Self::Chunks(_)) {
            return text.to_vec();
        }
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let end = text[at..].iter().position(|b| *b == b'\n').expect("a chunk head") + at;
            let size = std::str::from_utf8(&text[at..end - 1]).expect("digits");
            let size = usize::from_str_radix(size, 16).expect("a size");
            if size == 0 {
                return body;
            }
            body.extend(&text[end + 1..end + 1 + size]);
            at = end + 1 + size + 2;
        }
    }
}

/// Reads to the end, resting now and then, so that whoever sends must wait.
fn read_slowly(stream: &mut TcpStream) -> Vec<u8> {
    read_slowly_until(stream, |_| false)
}

/// The same until what came is enough.
fn read_slowly_until(stream: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut got, mut room, mut rested) = (Vec::new(), vec![0; 100_000], 0);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    loop {
        if enough(&got) {
            return got;
        }
        match stream.read(&mut room) {
            Ok(0) => return got,
            Ok(n) => got.extend(&room[..n]),
            Err(e) => panic!("{e} after {} bytes", got.len()),
        }
        if got.len() - rested > 2_000_000 {
            std::thread::sleep(Duration::from_millis(30));
            rested = got.len();
        }
    }
}

fn start(global: &str, mode: &str, origin: &TcpListener) -> Proxy {
    Setup::new(format!(
        "global\n nbthread 1\n stats socket \"fd@${{cli}}\" level admin\n {global}\ndefaults\n mode {mode}\n \
         timeout connect 5s\n timeout client 20s\n timeout server 20s\nfrontend fe\n bind \"fd@${{fe}}\"\n \
         default_backend be\nbackend be\n server s {}\n",
        origin.local_addr().expect("an address")
    ))
    .start()
}

fn origin() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// The line of `show pools` about burst buffers: how many are in use, and how many there ever were at once.
fn bursts(proxy: &Proxy) -> (u64, u64) {
    let text = ask(proxy, "show pools");
    let line = text
        .lines()
        .find(|line| line.contains("burst_buffer"))
        .unwrap_or_else(|| panic!("no burst buffers in {text}"));
    let behind = |text: &str, from: &str, to: &str| {
        let rest = text
            .split(from)
            .nth(1)
            .unwrap_or_else(|| panic!("no {from} in {text}"));
        let digits = rest.split(to).next().unwrap_or_default();
        digits
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{digits} is no number"))
    };
    (
        behind(line, "bytes), ", " used"),
        behind(line, "needed_avg ", ","),
    )
}

/// What is behind the head of a message.
fn body_of(text: &[u8]) -> &[u8] {
    let end = text.windows(4).position(|w| w == b"\r\n\r\n");
    &text[end.expect("a whole head") + 4..]
}

/// The body that a client gets.
fn download(proxy: &Proxy, framing: Framing) -> Vec<u8> {
    let mut client = TcpStream::connect(proxy.addr("fe")).expect("the proxy listens");
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .expect("the proxy reads");
    let got = read_slowly(&mut client);
    assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"));
    framing.read(body_of(&got))
}

/// Responses in every form, to a client that reads slowly.
#[test]
fn responses_of_every_form_arrive_whole() {
    let data = pattern(SIZE);
    for global in ["", "tune.bufsize 8192"] {
        for framing in [
            Framing::Length,
            Framing::Close,
            Framing::Chunks(700),
            Framing::Chunks(8_000),
            Framing::Chunks(100_000),
            Framing::Chunks(SIZE),
        ] {
            let origin = origin();
            let proxy = start(global, "http", &origin);
            let text = [
                format!("HTTP/1.1 200 OK\r\n{}", framing.head()).into_bytes(),
                framing.body(&data),
            ]
            .concat();
            let server = std::thread::spawn(move || {
                let (mut conn, _) = origin.accept().expect("a connection");
                let _ = conn.read(&mut [0; 4096]).expect("a request");
                conn.write_all(&text).expect("the proxy reads");
            });
            let got = download(&proxy, framing);
            assert!(got == data, "{framing:?} {global}: {} bytes", got.len());
            server.join().expect("the origin sent all");
            let (used, ever) = bursts(&proxy);
            assert_eq!((used, ever > 0), (0, global.is_empty()), "{framing:?} {global}");
            proxy.stop();
        }
    }
}

/// Requests with a length and in chunks, to a server that reads slowly, with a next request behind them.
#[test]
fn requests_of_every_form_arrive_whole() {
    let data = pattern(SIZE);
    for framing in [
        Framing::Length,
        Framing::Chunks(900),
        Framing::Chunks(60_000),
        Framing::Chunks(SIZE),
    ] {
        let origin = origin();
        let proxy = start("", "http", &origin);
        let server = std::thread::spawn(move || {
            let (mut conn, _) = origin.accept().expect("a connection");
            let whole = |got: &[u8]| match framing {
                Framing::Chunks(_) => got.ends_with(b"\r\n0\r\n\r\n"),
                Framing::Length | Framing::Close => got.len() > SIZE && body_of(got).len() == SIZE,
            };
            let got = read_slowly_until(&mut conn, whole);
            conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .expect("the proxy reads");
            let next = read_slowly_until(&mut conn, |got| got.ends_with(b"\r\n\r\n"));
            assert!(
                next.starts_with(b"GET /next "),
                "{}",
                String::from_utf8_lossy(&next)
            );
            got
        });
        let mut client = TcpStream::connect(proxy.addr("fe")).expect("the proxy listens");
        let text = [
            format!("POST /a HTTP/1.1\r\nHost: h\r\n{}", framing.head()).into_bytes(),
            framing.body(&data),
            b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        ]
        .concat();
        client.write_all(&text).expect("the proxy reads");
        let got = server.join().expect("the origin read all");
        let body = framing.read(body_of(&got));
        assert!(body == data, "{framing:?}: {} bytes", body.len());
        drop(client);
        let (used, ever) = bursts(&proxy);
        assert!(used == 0 && ever > 0, "{framing:?}: {used} in use, {ever}");
        proxy.stop();
    }
}

/// A relay, both ways at once.
#[test]
fn relays_move_both_ways_at_once() {
    let data = pattern(SIZE);
    let origin = origin();
    let proxy = start("", "tcp", &origin);
    let both_ways = |mut stream: TcpStream, data: Vec<u8>| {
        let mut writer = stream.try_clone().expect("a descriptor");
        let sender = std::thread::spawn(move || {
            writer.write_all(&data).expect("the other side reads");
            writer.shutdown(std::net::Shutdown::Write).expect("a connection");
        });
        let got = read_slowly(&mut stream);
        sender.join().expect("all is sent");
        got
    };
    let reverse: Vec<u8> = data.iter().rev().copied().collect();
    let sent = reverse.clone();
    let server = std::thread::spawn(move || {
        let (conn, _) = origin.accept().expect("a connection");
        both_ways(conn, sent)
    });
    let client = TcpStream::connect(proxy.addr("fe")).expect("the proxy listens");
    assert!(both_ways(client, data.clone()) == reverse, "from the server");
    assert!(server.join().expect("a server") == data, "from the client");
    let freed = wait_for(PATIENCE, || (bursts(&proxy).0 == 0).then_some(()));
    assert!(freed.is_some() && bursts(&proxy).1 > 0);
    proxy.stop();
}

/// A client that stops reading holds what a burst left over, not a burst, and others are served meanwhile.
#[test]
fn clients_that_do_not_read_hold_little() {
    let data = pattern(SIZE);
    let origin = origin();
    let proxy = start("", "http", &origin);
    let text = [
        format!("HTTP/1.1 200 OK\r\n{}", Framing::Length.head()).into_bytes(),
        data.clone(),
    ]
    .concat();
    std::thread::spawn(move || {
        for conn in origin.incoming().flatten() {
            let (mut conn, text) = (conn, text.clone());
            std::thread::spawn(move || {
                let _ = conn.read(&mut [0; 4096]);
                let _ = conn.write_all(&text);
            });
        }
    });
    let mut idle: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut client = TcpStream::connect(proxy.addr("fe")).expect("the proxy listens");
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                .expect("the proxy reads");
            client
        })
        .collect();
    let blocked = wait_for(PATIENCE, || {
        let text = ask(&proxy, "show sess");
        (text.matches("fe=fe").count() == 20).then_some(())
    });
    assert!(blocked.is_some());
    assert!(download(&proxy, Framing::Length) == data);
    let (used, _) = bursts(&proxy);
    assert!(
        used <= 4,
        "{used} burst buffers are held by clients that do not read"
    );
    for client in &mut idle {
        let got = read_slowly(client);
        assert!(got.ends_with(&data), "{} bytes", got.len());
    }
    proxy.stop();
}
