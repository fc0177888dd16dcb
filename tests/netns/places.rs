//! Where connections come from and where listeners stand: `source` with its ranges, devices and foreign addresses,
//! `interface`, `namespace`, and the rights these need. Every expectation was seen of HAProxy 3.4.0 first.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use haproxy_compat::examples::role::ARGUMENTS;
use haproxy_compat::netns::Namespaces;
use haproxy_compat::{PATIENCE, TempDir, client, wait_for};

/// Where the origin listens, on all its addresses.
const ORIGIN_PORT: u16 = 4331;
/// The signature of a PROXY header of version 2, for TCP over IPv4, up to its length.
const HEADER: &str = "0d0a0d0a000d0a515549540a2111";

/// A client, a proxy and an origin, each in its namespace; the origin is reached over two paths.
struct Stage {
    net: Namespaces,
    dir: TempDir,
    origin: Option<Child>,
    proxy: Option<Child>,
}

/// Sets the stage, or says why it cannot.
fn stage() -> Option<Stage> {
    let made = Stage::new();
    if let Err(reason) = &made {
        eprintln!("skipped: {reason}");
    }
    made.ok()
}

/// This program again, in a role inside a namespace.
fn role(net: &Namespaces, name: &str, role: &str, arguments: &str) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = net.inside(name, &program);
    command
        .args(["--exact", role, "--ignored", "--nocapture"])
        .env(ARGUMENTS, arguments)
        .stdout(Stdio::piped());
    command.spawn().expect("ip netns exec runs")
}

impl Stage {
    fn new() -> Result<Self, String> {
        let net = Namespaces::new(&["client", "proxy", "origin"])?;
        net.wire([("client", "c1"), ("proxy", "p1")])?;
        net.wire([("proxy", "p3"), ("origin", "o1")])?;
        net.wire([("proxy", "p4"), ("origin", "o2")])?;
        for (name, device, address) in [
            ("client", "c1", "10.77.1.1"),
            ("proxy", "p1", "10.77.1.2"),
            ("proxy", "p3", "10.77.3.1"),
            ("proxy", "p3", "10.77.3.11"),
            ("origin", "o1", "10.77.3.2"),
            ("proxy", "p4", "10.77.4.1"),
            ("origin", "o2", "10.77.4.2"),
        ] {
            net.ip(&format!(
                "-n {} addr add {address}/24 dev {device}",
                net.name(name)
            ))?;
        }
        // What the origin sends to clients comes to the proxy, and the proxy takes it for its own.
        let (proxy, origin) = (net.name("proxy"), net.name("origin"));
        net.ip(&format!("-n {origin} route add 10.77.1.0/24 via 10.77.3.1"))?;
        net.ip(&format!(
            "-n {proxy} route add local 10.77.1.0/24 dev lo table 100"
        ))?;
        net.ip(&format!("-n {proxy} rule add iif p3 to 10.77.1.0/24 lookup 100"))?;
        let origin = role(&net, "origin", "places::role_mirror", "");
        let stage = Self {
            net,
            dir: TempDir::new(),
            origin: Some(origin),
            proxy: None,
        };
        assert!(
            stage.net.await_listener("origin", ORIGIN_PORT),
            "the origin listens"
        );
        Ok(stage)
    }

    /// Starts a proxy. `{origin}` is the name of the origin's namespace, `{tmp}` a directory.
    fn spawn_proxy(&mut self, config: &str) {
        let tmp = self.dir.path().display().to_string();
        let config = config
            .replace("{origin}", &self.net.name("origin"))
            .replace("{tmp}", &tmp);
        let path = self.dir.write("cfg", &config);
        let log = std::fs::File::create(self.dir.file("output")).expect("a file for the output");
        let mut command = self.net.inside("proxy", &haproxy_compat::binary());
        command.args(["-db", "-f", &path]);
        let copy = log.try_clone().expect("a copy of the descriptor");
        command.stdout(copy).stderr(log);
        stop(&mut self.proxy);
        self.proxy = Some(command.spawn().expect("ip netns exec runs"));
    }

    /// Starts a proxy and waits until it listens on that port of its own namespace.
    fn start_proxy(&mut self, config: &str, port: u16) {
        self.spawn_proxy(config);
        let up = self.net.await_listener("proxy", port);
        assert!(up, "the proxy does not listen: {}", self.output());
    }

    /// What the proxy wrote.
    fn output(&self) -> String {
        std::fs::read_to_string(self.dir.file("output")).unwrap_or_default()
    }

    /// What `count` clients side by side are told, each after `prefix` (hexadecimal): status, then what the origin saw.
    /// A client that gets no answer is told `none`.
    fn ask(&self, from: &str, address: &str, count: usize, prefix: &str) -> Vec<String> {
        let arguments = format!("{address} {count} {prefix}");
        let child = role(&self.net, from, "places::role_clients", arguments.trim());
        let output = child.wait_with_output().expect("the clients run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .filter_map(|line| line.split_once("RESULT ").map(|(_, told)| told.to_string()))
            .collect()
    }

    /// What a single client of the client's namespace is told.
    fn told(&self, port: u16) -> String {
        self.ask("client", &format!("10.77.1.2:{port}"), 1, "").concat()
    }

    /// How many lines of the proxy's output hold that.
    fn lines(&self, part: &str) -> usize {
        self.output().lines().filter(|line| line.contains(part)).count()
    }
}

fn stop(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy wrote: {}", self.output());
        }
        stop(&mut self.proxy);
        stop(&mut self.origin);
    }
}

/// Tells each client where it came from and what stood before its request, in hexadecimal.
#[test]
#[ignore = "a role that another test starts inside a namespace"]
fn role_mirror() {
    if std::env::var_os(ARGUMENTS).is_none() {
        return;
    }
    let listener = TcpListener::bind(("0.0.0.0", ORIGIN_PORT)).expect("a free port");
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else { continue };
        std::thread::spawn(move || {
            let Ok(peer) = connection.peer_addr() else { return };
            let mut got = Vec::new();
            let mut prefix = None;
            let mut buf = [0u8; 4096];
            while let Ok(n @ 1..) = connection.read(&mut buf) {
                got.extend_from_slice(&buf[..n]);
                let Some(begin) = client::find(&got, b"GET ") else {
                    continue;
                };
                if !got.ends_with(b"\r\n\r\n") {
                    continue;
                }
                let hex: String = got[..begin].iter().map(|byte| format!("{byte:02x}")).collect();
                let prefix = prefix.get_or_insert(hex);
                let body = format!("{peer} before={prefix}");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                if connection.write_all((head + &body).as_bytes()).is_err() {
                    return;
                }
                got.clear();
            }
        });
    }
}

/// Clients that all hold their connection until each was answered. In what they are told, their own address is `SELF`.
#[test]
#[ignore = "a role that another test starts inside a namespace"]
fn role_clients() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let words: Vec<&str> = arguments.split(' ').collect();
    let address: SocketAddr = words[0].parse().expect("an address");
    let count: usize = words[1].parse().expect("a number");
    let hex = words.get(2).copied().unwrap_or_default();
    let prefix: Vec<u8> = (0..hex.len() / 2)
        .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).expect("hexadecimal"))
        .collect();
    let mut held = Vec::new();
    for _ in 0..count {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(3)) else {
            println!("RESULT refused");
            continue;
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("SO_RCVTIMEO");
        let mut bytes = prefix.clone();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        stream.write_all(&bytes).expect("the request is sent");
        let mut buf = [0u8; 4096];
        let n = stream.read(&mut buf).unwrap_or(0);
        let own = stream.local_addr().expect("an address").to_string();
        let answer = String::from_utf8_lossy(&buf[..n]).replace(&own, "SELF");
        let status = answer.split(' ').nth(1).unwrap_or("none");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let seen = if status == "200" { body } else { "" };
        println!("RESULT {status} {seen}");
        held.push(stream);
    }
}

/// The part of a configuration that all share.
const COMMON: &str = "global\n nbthread 1\n log stdout format raw local0\n{global}defaults\n mode http\n log global\n option httplog\n \
                      timeout connect 300\n timeout client 10s\n timeout server 10s\n";

/// A listen section on that port for the origin, with more lines before its server and more words on it.
fn listen(port: u16, bind: &str, lines: &str, server: &str, words: &str) -> String {
    format!("listen l{port}\n bind {bind}:{port}\n{lines} server s1 {server}:{ORIGIN_PORT} {words}\n")
}

fn config(global: &str, sections: &[String]) -> String {
    COMMON.replace("{global}", global) + &sections.concat()
}

/// As [`listen`], for the usual client and origin.
fn usual(port: u16, lines: &str, words: &str) -> String {
    listen(port, "10.77.1.2", lines, "10.77.3.2", words)
}

#[test]
fn sources_of_connections_to_servers() {
    let Some(mut stage) = stage() else { return };
    let sections = [
        usual(5001, "", "source 10.77.3.11"),
        usual(5002, " source 10.77.3.11\n", ""),
        usual(5003, " source 10.77.3.11\n", "source 10.77.3.1"),
        usual(5004, "", "source 10.77.3.11:4444"),
        usual(5005, "", "source 0.0.0.0 interface p4"),
        usual(5006, " source 0.0.0.0 interface p3\n", ""),
        usual(5007, "", "source 0.0.0.0 interface nosuch"),
        usual(5008, "", "source 203.0.113.7"),
    ];
    stage.start_proxy(&config("", &sections), 5008);
    for (port, source) in [
        (5001, "10.77.3.11:"),
        (5002, "10.77.3.11:"),
        (5003, "10.77.3.1:"),
        (5004, "10.77.3.11:4444 "),
        // The device decides the way, and with it the address.
        (5005, "10.77.4.1:"),
        (5006, "10.77.3.1:"),
        // One that is not there is passed over.
        (5007, "10.77.3.1:"),
    ] {
        let told = stage.told(port);
        assert!(told.starts_with(&format!("200 {source}")), "{port}: {told}");
    }
    assert_eq!(stage.told(5008), "503 ");
    let line = "Cannot bind to source address before connect() for backend l5008.";
    assert!(stage.lines(line) >= 4, "an attempt and three retries");
}

#[test]
fn sources_that_are_the_clients() {
    let Some(mut stage) = stage() else { return };
    let sections = [
        usual(5001, "", "source 0.0.0.0 usesrc clientip"),
        usual(5002, " source 0.0.0.0 usesrc clientip\n", ""),
        usual(5003, "", "source 0.0.0.0 usesrc client"),
        usual(5004, "", "source 0.0.0.0 usesrc 10.77.1.77:3333"),
        // The range is drawn from, and the client's address is bound all the same.
        usual(5005, "", "source 0.0.0.0:2000-2001 usesrc clientip"),
    ];
    stage.start_proxy(&config("", &sections), 5005);
    for (port, source) in [
        (5001, "10.77.1.1:"),
        (5002, "10.77.1.1:"),
        (5003, "SELF "),
        (5004, "10.77.1.77:3333 "),
        (5005, "10.77.1.1:"),
    ] {
        let told = stage.told(port);
        assert!(told.starts_with(&format!("200 {source}")), "{port}: {told}");
    }
}

#[test]
fn a_range_of_source_ports_that_is_used_up() {
    let Some(mut stage) = stage() else { return };
    let sections = [
        usual(5001, " mode tcp\n option tcplog\n", "source 10.77.3.11:2000-2003"),
        // Each client keeps the connection that was made for it.
        usual(5002, " http-reuse never\n", "source 10.77.3.11:2000-2003"),
    ];
    stage.start_proxy(&config("", &sections), 5002);
    let ports: Vec<String> = (2000..2004).map(|port| format!("10.77.3.11:{port}")).collect();
    for (section, end) in [(5001, "none "), (5002, "503 ")] {
        let address = format!("10.77.1.2:{section}");
        // Four of five clients get a port each, whichever is free first; the ports come back with their end.
        for round in 0..2 {
            let mut told = stage.ask("client", &address, 5, "");
            assert_eq!(told.pop().as_deref(), Some(end), "{section}, round {round}");
            told.sort();
            let wanted: Vec<String> = ports.iter().map(|p| format!("200 {p} before=")).collect();
            assert_eq!(told, wanted, "{section}, round {round}");
            let name = format!("Cannot bind to source address before connect() for backend l{section}.");
            let written = wait_for(PATIENCE, || (stage.lines(&name) >= 4 * (round + 1)).then_some(()));
            assert!(written.is_some(), "four attempts: {}", stage.output());
        }
    }
    assert!(
        stage.lines(" SC ") >= 2 && stage.lines(" 503 0 - - SC-- ") >= 2,
        "{}",
        stage.output()
    );
}

#[test]
fn devices_of_listeners() {
    let Some(mut stage) = stage() else { return };
    let sections = [
        listen(5001, "0.0.0.0", "", "10.77.3.2", "").replace(":5001\n", ":5001 interface p3\n"),
        listen(5002, "0.0.0.0", "", "10.77.3.2", "").replace(":5002\n", ":5002 interface nosuch\n"),
    ];
    stage.start_proxy(&config("", &sections), 5002);
    assert_eq!(
        stage.told(5001),
        "refused",
        "it listens on the other device alone"
    );
    let inside = stage.ask("origin", "10.77.3.1:5001", 1, "").concat();
    assert!(inside.starts_with("200 "), "{inside}");
    // A device that is not there is a warning, and the listener has them all.
    assert_eq!(
        stage.lines("cannot bind receiver to device 'nosuch' (No such device) for [0.0.0.0:5002]."),
        1
    );
    assert!(stage.told(5002).starts_with("200 "));
}

/// A PROXY header in hexadecimal that names a namespace.
fn header(namespace: &str) -> String {
    let name: String = namespace.bytes().map(|byte| format!("{byte:02x}")).collect();
    let length = 12 + 3 + namespace.len();
    format!(
        "{HEADER}{length:04x}0707070708080808{:04x}{:04x}30{:04x}{name}",
        1000,
        2000,
        namespace.len()
    )
}

#[test]
fn namespaces_of_listeners_and_servers() {
    let Some(mut stage) = stage() else { return };
    let there = |port: u16, server: &str, words: &str| {
        listen(port, "10.77.3.2", "", server, words)
            .replace(&format!(":{port}\n"), &format!(":{port} namespace {{origin}}\n"))
    };
    let behind_header = |port: u16| {
        listen(port, "10.77.1.2", "", "127.0.0.1", "namespace *")
            .replace(&format!(":{port}\n"), &format!(":{port} accept-proxy\n"))
    };
    let sections = [
        there(5001, "10.77.3.2", ""),
        there(5002, "127.0.0.1", "namespace {origin}"),
        there(5003, "127.0.0.1", "namespace *"),
        there(5004, "10.77.3.2", "send-proxy-v2"),
        listen(5005, "10.77.1.2", "", "127.0.0.1", "namespace {origin}"),
        usual(5006, "", "namespace *"),
        usual(5007, "", "namespace {origin} source 10.77.4.2"),
        behind_header(5008),
    ];
    // What needs a file later would not find it.
    stage.start_proxy(&config(" chroot {tmp}\n", &sections), 5008);
    for (port, source) in [(5001, "10.77.3.1:"), (5002, "127.0.0.1:"), (5003, "127.0.0.1:")] {
        let told = stage.ask("origin", &format!("10.77.3.2:{port}"), 1, "").concat();
        assert!(told.starts_with(&format!("200 {source}")), "{port}: {told}");
    }
    for (port, source) in [(5005, "127.0.0.1:"), (5006, "10.77.3.1:"), (5007, "10.77.4.2:")] {
        let told = stage.told(port);
        assert!(told.starts_with(&format!("200 {source}")), "{port}: {told}");
    }
    // The namespace goes on to the next proxy.
    let name = stage.net.name("origin");
    let told = stage.ask("origin", "10.77.3.2:5004", 1, "").concat();
    assert!(
        told.contains(HEADER) && told.ends_with(&header(&name)[header(&name).len() - 6 - 2 * name.len()..]),
        "{told}"
    );
    // And what another proxy tells counts, if it is a name that is known here.
    let told = stage.ask("client", "10.77.1.2:5008", 1, &header(&name)).concat();
    assert!(told.starts_with("200 127.0.0.1:"), "{told}");
    let told = stage.ask("client", "10.77.1.2:5008", 1, &header("nosuch"));
    assert_eq!(
        told.concat(),
        "503 ",
        "nobody listens there at the proxy's own place"
    );
}

/// Settings that need rights while serving: the start is refused where they are given up, and works where they are kept.
#[test]
fn rights_for_foreign_addresses_and_namespaces() {
    let Some(mut stage) = stage() else { return };
    let foreign = usual(5001, "", "source 0.0.0.0 usesrc clientip");
    let namespace = listen(5001, "10.77.1.2", "", "127.0.0.1", "namespace {origin}");
    for (section, rights, source) in [
        (&foreign, "cap_net_raw", "10.77.1.1:"),
        (&foreign, "cap_net_admin", "10.77.1.1:"),
        (&namespace, "cap_sys_admin", "127.0.0.1:"),
    ] {
        let user = " uid 65534\n gid 65534\n chroot {tmp}\n";
        let sections = [section.clone()];
        stage.spawn_proxy(&config(user, &sections));
        let proxy = stage.proxy.as_mut().expect("it was started");
        let end = wait_for(PATIENCE, || proxy.try_wait().ok().flatten());
        let code = end.and_then(|status| status.code());
        assert_eq!(code, Some(1), "{section}: {}", stage.output());
        let told = "Some configuration options require full privileges, so global.uid cannot be changed";
        assert_eq!(stage.lines(told), 1, "{}", stage.output());
        assert!(stage.output().contains("setcap cap_"), "{}", stage.output());

        stage.start_proxy(&config(&format!("{user} setcap {rights}\n"), &sections), 5001);
        let told = stage.told(5001);
        assert!(told.starts_with(&format!("200 {source}")), "{rights}: {told}");
    }
}
