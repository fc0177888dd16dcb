//! Log lines byte for byte, dates, ports and process ids masked: which events are logged, at which
//! level, in which format. The cases and what the reference writes are in `haproxy-compat/cases/logs/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::dates::Span;
use haproxy_compat::play::play;
use haproxy_compat::proxy::Setup;
use haproxy_compat::sink::Sink;
use haproxy_compat::text::mask_numbers;

#[test]
fn http_lines() {
    play("logs/http.case");
}

#[test]
fn tcp_lines() {
    play("logs/tcp.case");
}

#[test]
fn syslog_formats() {
    play("logs/formats.case");
}

#[test]
fn fields_of_formats() {
    play("logs/fields.case");
}

/// The lines of a start and of a soft stop, in order, with their levels.
#[test]
fn start_and_stop_messages() {
    let start = std::time::SystemTime::now();
    let sink = Sink::new();
    let mut proxy = Setup::new(format!(
        "global\n nbthread 1\n log 127.0.0.1:{} local0\ndefaults\n log global\n mode http\n timeout client 1s\n \
         timeout server 1s\n timeout connect 1s\nfrontend front\n bind fd@${{fe}}\n default_backend back\n\
         backend back\n server s1 127.0.0.1:1 disabled\n",
        sink.port
    ))
    .start();
    let masks = [(proxy.pid().to_string(), "{pid}".to_string())];
    proxy.signal("USR1");
    let status = proxy
        .wait(haproxy_compat::PATIENCE)
        .expect("a soft stop without connections ends at once");
    assert_eq!(status.code(), Some(0), "{}", proxy.output());
    let lines = sink.collect(
        usize::MAX,
        std::time::Duration::from_millis(300),
        std::time::Duration::ZERO,
        |_| true,
    );
    let dates = Span::since(start, None);
    let lines: Vec<String> = lines
        .iter()
        .map(|l| dates.mask(&mask_numbers(l, &masks)))
        .collect();
    let line = |name: &str| {
        format!(
            "<132>{{syslog-date}} haproxy[{{pid}}]: Proxy {name} stopped (cumulated conns: FE: 0, BE: 0).\\n"
        )
    };
    assert_eq!(lines, [line("front"), line("back")]);
}

/// A line longer than the target's length is cut, and the cut line has exactly that length.
#[test]
fn length_of_a_cut_line() {
    for (option, length) in [("", 1024), ("len 120", 120), ("len 300", 300)] {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free UDP port");
        socket
            .set_read_timeout(Some(haproxy_compat::PATIENCE))
            .expect("SO_RCVTIMEO");
        let target = socket.local_addr().expect("a bound socket");
        let proxy = Setup::new(format!(
            "global\n nbthread 1\n log {target} {option} local0\ndefaults\n log global\n mode http\n option httplog\n \
             timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend front\n bind fd@${{fe}}\n"
        ))
        .start();
        let mut client = proxy.client("fe");
        client.ask(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "p".repeat(3000)));
        let mut buf = [0u8; 9000];
        let n = loop {
            let n = socket.recv(&mut buf).expect("a log line");
            if String::from_utf8_lossy(&buf[..n]).contains("GET /") || n >= length {
                break n;
            }
        };
        assert_eq!(n, length, "{option}: {:?}", String::from_utf8_lossy(&buf[..n]));
        assert_eq!(buf[n - 1], b'\n', "{option}");
        proxy.stop();
    }
}

/// A log target on standard output and one on a unix datagram socket get the same lines.
#[test]
fn stdout_and_unix_targets() {
    let socket_dir = haproxy_compat::TempDir::new();
    let path = socket_dir.file("log");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a unix datagram socket");
    socket
        .set_read_timeout(Some(haproxy_compat::PATIENCE))
        .expect("SO_RCVTIMEO");
    let proxy = Setup::new(format!(
        "global\n nbthread 1\n log {path} format raw local0\n log stdout format raw local0\n\
         defaults\n log global\n mode http\n option httplog\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
         frontend front\n bind fd@${{fe}}\n"
    ))
    .start();
    let mut client = proxy.client("fe");
    assert!(
        client
            .ask("GET /seen HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 503 ")
    );
    let mut buf = [0u8; 4096];
    let line = loop {
        let n = socket.recv(&mut buf).expect("a log line on the unix socket");
        let line = String::from_utf8_lossy(&buf[..n]).into_owned();
        if line.contains("/seen") {
            break line;
        }
    };
    assert!(line.ends_with(" 0/0 \"GET /seen HTTP/1.1\"\n"), "{line:?}");
    let on_stdout = haproxy_compat::wait_for(haproxy_compat::PATIENCE, || {
        proxy.output().contains(&line).then_some(())
    });
    assert!(on_stdout.is_some(), "{line:?} is not in {:?}", proxy.output());
    drop(client);
    proxy.stop();
}

/// A log server that is away loses what it is not there for, and gets the first line that comes after it is back.
#[test]
fn log_server_that_comes_back() {
    let sink = Sink::new();
    let port = sink.port;
    let proxy = Setup::new(format!(
        "global\n nbthread 1\n log 127.0.0.1:{port} local0\ndefaults\n log global\n mode http\n option httplog\n \
         timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend fe\n bind fd@${{fe}}\n \
         default_backend be\nbackend be\n",
    ))
    .start();
    let ask = |path: &str| {
        let answer = proxy
            .client("fe")
            .ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    };
    ask("/before");
    sink.expect("GET /before");
    drop(sink);
    for path in ["/lost", "/lost", "/lost"] {
        ask(path);
    }
    let socket = std::net::UdpSocket::bind(("127.0.0.1", port)).expect("the port is free again");
    ask("/after");
    let mut line = [0; 2048];
    socket
        .set_read_timeout(Some(haproxy_compat::PATIENCE))
        .expect("a timeout");
    // The last of the lost ones may have been on its way.
    loop {
        let n = socket.recv(&mut line).expect("a line");
        let line = String::from_utf8_lossy(&line[..n]);
        if line.contains("GET /after") {
            break;
        }
        assert!(line.contains("GET /lost"), "{line}");
    }
    proxy.stop();
}
