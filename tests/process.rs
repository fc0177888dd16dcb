//! The process from outside: flags and exit codes, signals, daemon and master, pid files, readiness
//! towards the service manager, soft and hard stops.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::origin::{Act, Block, Origin, Trigger};
use haproxy_compat::proxy::{Setup, run, signal};
use haproxy_compat::sink::Sink;
use haproxy_compat::{PATIENCE, TempDir, wait_for};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

const TIMES: &str = " timeout connect 1s\n timeout client 5s\n timeout server 5s\n";

fn good() -> String {
    format!(
        "global\n nbthread 1\ndefaults\n mode http\n{TIMES}frontend fe\n bind 127.0.0.1:1\n default_backend be\n\
         backend be\n server s1 127.0.0.1:1\n"
    )
}

fn served(origin: &Origin) -> String {
    format!(
        "global\n nbthread 1\ndefaults\n mode http\n{TIMES}frontend fe\n bind fd@${{fe}}\n default_backend be\n\
         backend be\n server s1 {}\n",
        origin.addr()
    )
}

/// Exit codes of a check, with what must and must not be said.
#[test]
fn configuration_check() {
    let dir = TempDir::new();
    dir.write("good.cfg", &good());
    dir.write(
        "warn.cfg",
        "defaults\n mode http\nfrontend fe\n bind 127.0.0.1:1\n",
    );
    dir.write(
        "bad.cfg",
        "defaults\n mode http\nfrontend fe\n bind 127.0.0.1:1\n frobnicate now\n",
    );
    dir.write("unfinished.cfg", "global\n maxconn 10");
    dir.write("half.cfg", "frontend");
    std::fs::create_dir(dir.path().join("conf.d")).expect("a directory");
    dir.write("conf.d/1.cfg", "defaults\n mode http\n");
    dir.write("conf.d/2.cfg", &good().replace("global\n nbthread 1\n", ""));
    dir.write("conf.d/3.txt", "this is not read\n");
    let none: &[&str] = &[];
    let table: &[(&[&str], i32, &str, &[&str])] = &[
        (&["-c", "-f", "good.cfg"], 0, "", none),
        (
            &["-c", "-V", "-f", "good.cfg"],
            0,
            "Configuration file is valid\n",
            none,
        ),
        (&["-c", "-q", "-f", "good.cfg"], 0, "", none),
        (
            &["-c", "-q", "-V", "-f", "good.cfg"],
            0,
            "Configuration file is valid\n",
            none,
        ),
        (&["-c", "-f", "conf.d"], 0, "", none),
        (&["-c", "--", "good.cfg"], 0, "", none),
        (&["-C", "conf.d", "-c", "-f", "2.cfg"], 0, "", none),
        (
            &["-c", "-f", "warn.cfg"],
            0,
            "Warnings were found.
",
            &["[WARNING]  (", ") : missing timeouts for frontend 'fe'."],
        ),
        (
            &["-dW", "-c", "-f", "warn.cfg"],
            1,
            "",
            &["[WARNING]  (", "[ALERT]    ("],
        ),
        (
            &["-c", "-f", "bad.cfg"],
            1,
            "",
            &[
                "[ALERT]    (",
                ") : config : parsing [bad.cfg:5] : unknown keyword 'frobnicate' in 'frontend' section",
                ") : config : Fatal errors found in configuration.",
            ],
        ),
        (&["-c", "-f", "half.cfg"], 1, "", &["parsing [half.cfg:1]"]),
        (
            &["-c", "-f", "unfinished.cfg"],
            1,
            "",
            &["[ALERT]    (", "[unfinished.cfg:2]"],
        ),
        (
            &["-c", "-f", "missing.cfg"],
            1,
            "",
            &["[ALERT]    (", "missing.cfg : No such file or directory"],
        ),
        (
            &["-c", "-f", "/dev/null"],
            2,
            "Configuration file has no error but will not start (no listener) => exit(2).\n",
            none,
        ),
        (
            &["-f", "/dev/null"],
            1,
            "",
            &["[ALERT]    (", "No enabled listener found"],
        ),
    ];
    for (args, code, stdout, stderr) in table {
        let end = run(&dir, args);
        let said = format!("{args:?}: code {:?}\n{}\n{}", end.code, end.stdout, end.stderr);
        assert_eq!(end.code, Some(*code), "{said}");
        assert_eq!(end.stdout, *stdout, "{said}");
        assert!(stderr.iter().all(|part| end.stderr.contains(part)), "{said}");
        assert!(
            !stderr.is_empty() || end.stderr.is_empty(),
            "nothing was to be said: {said}"
        );
    }
}

/// The exit codes of `-cc`: 0 true, 1 false, 2 for what cannot be read.
#[test]
fn conditions_on_the_command_line() {
    let dir = TempDir::new();
    let table = [
        ("version_atleast(3.4)", 0),
        ("version_atleast(3.4.0)", 0),
        ("version_atleast(2.0-dev0)", 0),
        ("version_atleast(3.4-dev14)", 0),
        ("version_atleast(9.0)", 1),
        ("version_before(3.4)", 1),
        ("version_before(3.5)", 0),
        ("1", 0),
        ("0", 1),
        ("!0", 0),
        ("1 && 0 || 1", 0),
        ("(0 || 1) && 1", 0),
        ("streq(a,a)", 0),
        ("streq(a,b)", 1),
        ("strneq(a,b)", 0),
        ("strstr(hello,ell)", 0),
        ("defined(NOT_DEFINED_ANYWHERE)", 1),
        ("defined(PATH)", 0),
        ("feature(EPOLL)", 0),
        ("feature(QUIC)", 1),
        ("feature(NO_SUCH_THING)", 1),
        ("true", 2),
        ("streq(a", 2),
        ("version_atleast(x", 2),
        ("1 &&", 2),
        ("(1", 2),
    ];
    for (condition, code) in table {
        let end = run(&dir, &["-cc", condition]);
        assert_eq!(end.code, Some(code), "{condition}: {}{}", end.stdout, end.stderr);
    }
}

/// What tools read from the version and help output.
#[test]
fn versions_and_help() {
    let dir = TempDir::new();
    let version = run(&dir, &["-v"]);
    assert_eq!(version.code, Some(0));
    let first = version.stdout.lines().next().unwrap_or_default();
    let words: Vec<&str> = first.split(' ').collect();
    assert_eq!(words[..2], ["HAProxy", "version"], "{first}");
    assert!(words[2] == "3.4.0" || words[2].starts_with("3.4.0-"), "{first}");
    for (flag, wanted) in [("-vqs", "3.4.0\n"), ("-vqb", "3.4\n")] {
        let end = run(&dir, &[flag]);
        assert_eq!((end.code, end.stdout.as_str()), (Some(0), wanted), "{flag}");
    }
    assert!(run(&dir, &["-vq"]).stdout.starts_with("3.4.0"));
    let long = run(&dir, &["-vv"]);
    assert_eq!(long.code, Some(0));
    let starting = |word: &str| {
        long.stdout
            .lines()
            .filter(|l| l.trim_start().starts_with(word))
            .count()
    };
    assert_eq!(starting("HAProxy version 3.4.0"), 1, "{}", long.stdout);
    assert_eq!(starting("TARGET"), 1, "{}", long.stdout);
    assert!(
        long.stdout.lines().any(|l| l.trim() == "TARGET  = linux-glibc"),
        "{}",
        long.stdout
    );
    assert_eq!(starting("Feature list :"), 1, "{}", long.stdout);
    assert_eq!(starting("Available services :"), 1, "{}", long.stdout);
    let features = long
        .stdout
        .lines()
        .find(|l| l.starts_with("Feature list :"))
        .unwrap_or_default();
    assert!(
        features.contains(" +EPOLL") && features.contains(" -QUIC"),
        "{features}"
    );
    for args in [&[][..], &["--no-such-flag"], &["-Z"], &["explain"]] {
        let end = run(&dir, args);
        assert_eq!(end.code, Some(1), "{args:?}");
        assert!(end.stderr.contains("Usage : "), "{args:?}: {}", end.stderr);
    }
}

/// SIGUSR1: what is in flight is served to its end, new connections are refused, then the process ends.
#[test]
fn soft_stop_loses_nothing() {
    let reply = |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    let slow = Block {
        trigger: Trigger::Request,
        acts: vec![Act::Wait(600), Act::Send(reply("slow answer").into())],
    };
    let origin = Origin::new(vec![slow.clone(), slow]);
    let mut proxy = Setup::new(served(&origin)).start();
    let mut clients = [proxy.client("fe"), proxy.client("fe")];
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let arrived = wait_for(PATIENCE, || {
        (origin.text().matches("GET /").count() == 2).then_some(())
    });
    assert!(arrived.is_some(), "the requests did not reach the origin");
    let addr = proxy.addr("fe");
    proxy.signal("USR1");
    let closed = wait_for(PATIENCE, || {
        haproxy_compat::client::Client::try_connect(addr)
            .is_err()
            .then_some(())
    });
    assert!(closed.is_some(), "a stopping proxy takes no new connections");
    assert!(proxy.exited().is_none(), "it waits for what is in flight");
    for client in &mut clients {
        let answer = client
            .read_response(false, PATIENCE)
            .expect("the answer comes whole");
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.ends_with("slow answer"), "{text}");
        assert!(
            text.contains("\r\nconnection: close\r\n"),
            "no further request is wanted: {text}"
        );
        assert!(client.read_to_end(PATIENCE));
    }
    let status = proxy.wait(PATIENCE).expect("with nothing left it ends");
    assert_eq!(status.code(), Some(0), "{}", proxy.output());
}

/// An idle kept-alive client does not hold a stopping process for its whole time-out.
#[test]
fn soft_stop_closes_idle_connections() {
    let origin = Origin::new(Vec::new());
    let mut proxy = Setup::new(served(&origin)).start();
    let mut client = proxy.client("fe");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    proxy.signal("USR1");
    let status = proxy
        .wait(Duration::from_secs(4))
        .expect("an idle connection is closed");
    assert_eq!(status.code(), Some(0));
    assert!(client.read_to_end(PATIENCE));
}

/// `grace`: the signal is noted, and everything goes on as before until the time is over.
#[test]
fn grace_before_a_soft_stop() {
    let origin = Origin::new(Vec::new());
    let text = served(&origin).replacen("global\n", "global\n grace 1500ms\n", 1);
    let mut proxy = Setup::new(text).start();
    proxy.signal("USR1");
    let noted = wait_for(PATIENCE, || {
        let output = proxy.output();
        output
            .contains("Scheduling a soft-stop in 1500 ms.")
            .then_some(())
    });
    assert!(noted.is_some(), "{}", proxy.output());
    let mut client = proxy.client("fe");
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("connection:"),
            "{answer}"
        );
    }
    let status = proxy.wait(PATIENCE).expect("the soft stop follows");
    assert_eq!(status.code(), Some(0));
    assert!(client.read_to_end(PATIENCE));
    assert!(
        proxy
            .output()
            .contains("Grace period expired, proceeding with soft-stop now.")
    );
}

/// `option idle-close-on-response`: an idle connection gets one more answer, which tells its end.
#[test]
fn idle_connections_may_end_with_an_answer() {
    let origin = Origin::new(Vec::new());
    let text = served(&origin).replace(" bind fd", " option idle-close-on-response\n bind fd");
    let mut proxy = Setup::new(text).start();
    let mut client = proxy.client("fe");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    proxy.signal("USR1");
    expect_stopping(&proxy);
    assert!(proxy.exited().is_none(), "{}", proxy.output());
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(client.read_to_end(PATIENCE));
    let status = proxy.wait(PATIENCE).expect("nothing is left");
    assert_eq!(status.code(), Some(0));
}

fn expect_stopping(proxy: &haproxy_compat::proxy::Proxy) {
    let stopped = wait_for(PATIENCE, || {
        proxy.output().contains("Proxy fe stopped").then_some(())
    });
    assert!(stopped.is_some(), "{}", proxy.output());
}

/// `close-spread-time infinite`: a soft stop neither closes idle connections nor has answers tell an end.
#[test]
fn soft_stop_that_closes_nothing() {
    let origin = Origin::new(Vec::new());
    let text = served(&origin).replacen("global\n", "global\n close-spread-time infinite\n", 1);
    let mut proxy = Setup::new(text).start();
    let mut client = proxy.client("fe");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    proxy.signal("USR1");
    expect_stopping(&proxy);
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("connection:"),
            "{answer}"
        );
    }
    assert!(proxy.exited().is_none());
    drop(client);
    let status = proxy.wait(PATIENCE).expect("the client left");
    assert_eq!(status.code(), Some(0));
}

/// `close-spread-time`: connections end one by one within the time, also those that never sent a request.
#[test]
fn soft_stop_spread_over_a_time() {
    let origin = Origin::new(Vec::new());
    let text = served(&origin)
        .replacen("global\n", "global\n close-spread-time 4s\n", 1)
        .replace("timeout client 5s", "timeout client 60s");
    let mut proxy = Setup::new(text).start();
    let mut clients: Vec<_> = (0..12).map(|_| proxy.client("fe")).collect();
    let fresh = proxy.client("fe");
    for client in &mut clients {
        client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let start = std::time::Instant::now();
    proxy.signal("USR1");
    expect_stopping(&proxy);
    let status = proxy.wait(Duration::from_secs(20)).expect("all are closed");
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() > Duration::from_secs(1), "not all at once");
    drop(fresh);
}

/// `hard-stop-after` bounds a soft stop.
#[test]
fn hard_stop_after_a_soft_one() {
    let never = Block {
        trigger: Trigger::Request,
        acts: Vec::new(),
    };
    let origin = Origin::new(vec![never]);
    let text = served(&origin).replacen("global\n", "global\n hard-stop-after 300ms\n", 1);
    let mut proxy = Setup::new(text).start();
    let mut client = proxy.client("fe");
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(PATIENCE, || (origin.accepted() == 1).then_some(()));
    let start = std::time::Instant::now();
    proxy.signal("USR1");
    proxy.wait(Duration::from_secs(4)).expect("the hard stop comes");
    assert!(
        start.elapsed() >= Duration::from_millis(250),
        "not before its time"
    );
}

/// A hard stop cuts every stream off, tells so in its log line, and says on the way what it does. A client that
/// has not finished its first request holds the end up for a moment.
#[test]
fn hard_stop_logs_what_it_cuts_off() {
    let answer = |bytes: &[u8]| Block {
        trigger: Trigger::Request,
        acts: vec![Act::Raw, Act::Send(bytes.to_vec())],
    };
    let never = |trigger| Block {
        trigger,
        acts: Vec::new(),
    };
    let waits = Origin::new(vec![never(Trigger::Request)]);
    let transfers = Origin::new(vec![answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")]);
    let relays = Origin::new(vec![never(Trigger::Bytes(5))]);
    let sink = Sink::new();
    let text = format!(
        "global\n nbthread 1\n hard-stop-after 1s\n log 127.0.0.1:{} local0\ndefaults\n log global\n mode http\n \
         option httplog\n timeout connect 9s\n timeout client 9s\n timeout server 9s\n\
         frontend f1\n bind fd@${{f1}}\n default_backend b1\nbackend b1\n server s1 {} maxconn 1\n\
         frontend f2\n bind fd@${{f2}}\n default_backend b2\nbackend b2\n server s1 {}\n\
         frontend f3\n mode tcp\n option tcplog\n bind fd@${{f3}}\n default_backend b3\n\
         backend b3\n mode tcp\n server s1 {}\n",
        sink.port,
        waits.addr(),
        transfers.addr(),
        relays.addr()
    );
    let mut proxy = Setup::new(text).start();
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut half = proxy.client("f1");
    half.send(b"GET /");
    let mut waiting = proxy.client("f1");
    waiting.send(get);
    wait_for(PATIENCE, || waits.text().contains("GET /").then_some(()));
    let mut queued = proxy.client("f1");
    queued.send(get);
    let mut transfer = proxy.client("f2");
    transfer.send(get);
    assert!(transfer.read_until(PATIENCE, |got| got.ends_with(b"abc")));
    let mut relay = proxy.client("f3");
    relay.send(b"hello");
    wait_for(PATIENCE, || relays.text().contains("hello").then_some(()));
    proxy.signal("USR1");
    sink.expect("]: soft-stop running for too long, performing a hard-stop.");
    sink.expect("]: Proxy f1 hard-stopped (3 remaining conns will be closed).");
    let timers = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let at = words
            .iter()
            .position(|word| word.contains("/s1") || word.contains("/<NOSRV>"));
        words[at.expect("a server")..].join(" ")
    };
    let line = timers(&sink.expect(" f1 b1/s1 "));
    assert!(
        line.contains("/-1/") && line.contains(" 500 0 - - KC-- 5/3/1/0/0 0/0 "),
        "{line}"
    );
    let line = timers(&sink.expect(" f1 b1/<NOSRV> "));
    assert!(
        line.contains("/-1/-1/-1/") && line.contains(" 500 0 - - KC-- 4/2/0/0/0 0/1 "),
        "{line}"
    );
    let line = timers(&sink.expect(" f2 b2/s1 "));
    assert!(line.contains(" 500 54 - - KC-- 3/1/0/0/0 0/0 "), "{line}");
    let line = timers(&sink.expect(" f3 b3/s1 "));
    assert!(line.contains(" 0 KC 2/1/0/0/0 0/0"), "{line}");
    sink.expect("]: Some tasks resisted to hard-stop, exiting now.");
    proxy.wait(PATIENCE).expect("the process ends");
    for client in [&mut half, &mut waiting, &mut queued, &mut transfer, &mut relay] {
        let seen = client.got.len();
        assert!(client.read_to_end(PATIENCE));
        assert_eq!(client.got.len(), seen, "nobody is told anything");
    }
}

/// SIGINT and SIGTERM end at once, whatever is in flight. Without a master the signal shows.
#[test]
fn hard_stop() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let never = Block {
            trigger: Trigger::Request,
            acts: Vec::new(),
        };
        let origin = Origin::new(vec![never]);
        let mut proxy = Setup::new(served(&origin)).start();
        let mut client = proxy.client("fe");
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for(PATIENCE, || (origin.accepted() == 1).then_some(()));
        proxy.signal(name);
        let status = proxy
            .wait(Duration::from_secs(2))
            .expect("a hard stop does not linger");
        let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
        assert_eq!(code, Some(128 + number), "{name}: {status:?}");
    }
}

/// A shell has what it runs in the background ignore SIGINT; that must not make a proxy that cannot be ended.
#[test]
fn sigint_ends_a_proxy_that_inherited_it_ignored() {
    let origin = Origin::new(Vec::new());
    let proxy = Setup::new(served(&origin)).shell("trap '' INT").start();
    proxy.stop();
}

/// SIGHUP in a single process reports the servers and harms nothing.
#[test]
fn sighup_harms_nothing() {
    let origin = Origin::new(Vec::new());
    let proxy = Setup::new(served(&origin)).start();
    proxy.signal("HUP");
    let mut client = proxy.client("fe");
    assert!(
        client
            .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    let output = wait_for(PATIENCE, || {
        Some(proxy.output()).filter(|text| text.contains("SIGHUP: Proxy be "))
    });
    let output = output.unwrap_or_else(|| panic!("nothing is said: {}", proxy.output()));
    for line in [
        "SIGHUP: Server be/s1 is UP. Conn: ",
        "SIGHUP: Proxy fe has no servers. Conn: ",
        "SIGHUP: Proxy be has 1 active servers and 0 backup servers available. Conn: ",
    ] {
        assert!(output.contains(line), "{output}");
    }
    drop(client);
    proxy.stop();
}

/// -D: the command returns when the daemon serves; its pid is in the file.
#[test]
fn daemon_with_a_pid_file() {
    let origin = Origin::new(Vec::new());
    let mut proxy = Setup::new(served(&origin))
        .args(&["-D", "-p", "pid"])
        .no_wait()
        .start();
    let status = wait_for(PATIENCE, || proxy.exited()).expect("the command returns");
    assert_eq!(status.code(), Some(0), "{}", proxy.output());
    let text = std::fs::read_to_string(proxy.dir.path().join("pid")).expect("the pid file is written");
    let pid: u32 = text
        .strip_suffix('\n')
        .unwrap_or(&text)
        .parse()
        .expect("one pid, nothing else");
    assert_ne!(pid, proxy.pid(), "the daemon is another process");
    let mut client = proxy.client("fe");
    assert!(
        client
            .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    signal(pid, "TERM");
    let gone = wait_for(PATIENCE, || {
        (!std::path::Path::new(&format!("/proc/{pid}/fd")).exists() || ended(pid)).then_some(())
    });
    assert!(gone.is_some(), "SIGTERM ends the daemon");
}

/// Whether a process is gone or only waits for its parent.
fn ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_none_or(|s| s.is_empty() || s.starts_with('Z'))
}

/// -W: the command is the master; it has a worker, serves, writes its pid, and ends it on SIGINT.
#[test]
fn master_and_worker() {
    let origin = Origin::new(Vec::new());
    let mut proxy = Setup::new(served(&origin))
        .args(&["-W", "-p", "pid"])
        .no_wait()
        .start();
    let path = proxy.dir.path().join("pid");
    let text = wait_for(Duration::from_secs(3), || {
        std::fs::read_to_string(&path).ok().filter(|t| !t.is_empty())
    });
    let text = text.unwrap_or_else(|| panic!("no pid file: {}", proxy.output()));
    assert_eq!(
        text.trim_end_matches('\n'),
        proxy.pid().to_string(),
        "the master's pid"
    );
    let mut client = proxy.client("fe");
    assert!(
        client
            .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(!children(proxy.pid()).is_empty(), "a worker of its own");
    proxy.signal("INT");
    let status = proxy
        .wait(Duration::from_secs(3))
        .expect("the master and its worker end");
    assert_eq!(status.code(), Some(130), "{}", proxy.output());
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}

/// A worker that dies takes the master with it, and the master's exit code tells.
#[test]
fn dead_worker_ends_the_master() {
    let origin = Origin::new(Vec::new());
    let mut proxy = Setup::new(served(&origin)).args(&["-W"]).no_wait().start();
    let mut client = proxy.client("fe");
    assert!(
        client
            .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    let worker = *children(proxy.pid()).first().expect("a worker");
    signal(worker, "KILL");
    let status = proxy.wait(PATIENCE).expect("the master ends");
    assert_eq!(status.code(), Some(137), "{}", proxy.output());
}

/// -Ws: the first datagram to the service manager says READY=1, and nothing before it.
#[test]
fn readiness_towards_the_service_manager() {
    let dir = TempDir::new();
    let path = dir.file("notify");
    let manager = UnixDatagram::bind(&path).expect("a notify socket");
    manager
        .set_read_timeout(Some(Duration::from_millis(3300)))
        .expect("SO_RCVTIMEO");
    let origin = Origin::new(Vec::new());
    let mut proxy = Setup::new(served(&origin))
        .args(&["-Ws", "-p", "pid", "-S", "{tmp}/master.sock"])
        .env("NOTIFY_SOCKET", &path)
        .no_wait()
        .start();
    let mut buf = [0u8; 4096];
    let n = manager
        .recv(&mut buf)
        .unwrap_or_else(|e| panic!("no notification ({e}): {}", proxy.output()));
    let text = String::from_utf8_lossy(&buf[..n]).into_owned();
    assert!(text.lines().any(|l| l == "READY=1"), "{text:?}");
    let mut client = proxy.client("fe");
    assert!(
        client
            .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    let socket = proxy.dir.file("master.sock");
    let mut master = haproxy_compat::client::Client::unix(&socket).expect("the master's socket");
    master.send(b"show proc\n");
    master.shut();
    assert!(master.read_to_end(PATIENCE));
    let answer = String::from_utf8_lossy(&master.got).into_owned();
    assert!(
        answer.contains(&proxy.pid().to_string()) && answer.contains("master"),
        "{answer}"
    );
    assert!(answer.contains("worker"), "{answer}");
    proxy.signal("TERM");
    let status = proxy
        .wait(Duration::from_secs(3))
        .expect("SIGTERM ends master and worker");
    assert_eq!(status.code(), Some(0), "{}", proxy.output());
}

/// A command that has the worker wait for more does not keep the answers of the next ones back, nor the end.
#[test]
fn prompt_of_the_worker_through_the_master() {
    let origin = Origin::new(Vec::new());
    let mut proxy = Setup::new(served(&origin))
        .args(&["-W", "-S", "{tmp}/master.sock"])
        .no_wait()
        .start();
    let ready = wait_for(PATIENCE, || {
        proxy.output().contains("Loading success.").then_some(())
    });
    assert!(ready.is_some(), "{}", proxy.output());
    let socket = proxy.dir.file("master.sock");
    let mut master = haproxy_compat::client::Client::unix(&socket).expect("the master's socket");
    master.send(b"@1 prompt\n@1 show cli level\n");
    master.shut();
    assert!(master.read_to_end(PATIENCE), "{:?}", master.got);
    assert_eq!(String::from_utf8_lossy(&master.got), "\n> admin\n\n");
    proxy.signal("TERM");
    proxy.wait(PATIENCE).expect("SIGTERM ends master and worker");
}

/// SIGTTOU pauses listeners, as a new process asks for that wants their addresses, and SIGTTIN has all of them listen
/// again. Clients of a path wait meanwhile; an abstract name is free.
#[test]
fn paused_unix_listeners_come_back() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let origin = Origin::new(Vec::new());
    let name = format!("rproxy-pause-{}", std::process::id());
    let text = served(&origin).replace(
        "frontend fe\n",
        &format!("frontend fe\n bind unix@{{tmp}}/u\n bind abns@{name}\n"),
    );
    let proxy = Setup::new(text).start();
    let path = proxy.dir.file("u");
    // HAProxy's abstract names end with the whole of their room.
    let mut padded = name.into_bytes();
    padded.resize(107, 0);
    let abstract_name = SocketAddr::from_abstract_name(&padded).expect("a name");
    let take = || UnixListener::bind_addr(&abstract_name).ok().map(drop);
    assert!(take().is_none(), "the name is taken");
    proxy.signal("TTOU");
    assert!(wait_for(PATIENCE, take).is_some(), "the name is free");
    let mut waiting = haproxy_compat::client::Client::unix(&path).expect("the path still listens");
    proxy.signal("TTIN");
    assert!(
        waiting
            .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    let back = wait_for(PATIENCE, || take().is_none().then_some(()));
    assert!(back.is_some(), "the name is taken again");
    proxy.stop();
}

/// SIGUSR1 to the master is a soft stop of the worker, and the master ends with it.
#[test]
fn soft_stop_through_the_master() {
    let slow = Block {
        trigger: Trigger::Request,
        acts: vec![
            Act::Wait(400),
            Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec()),
        ],
    };
    let origin = Origin::new(vec![slow]);
    let mut proxy = Setup::new(served(&origin)).args(&["-W"]).no_wait().start();
    let mut client = proxy.client("fe");
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(PATIENCE, || (origin.text().contains("GET /")).then_some(()));
    proxy.signal("USR1");
    let answer = client
        .read_response(false, PATIENCE)
        .expect("the answer comes whole");
    assert!(answer.ends_with(b"slow"));
    let status = proxy.wait(PATIENCE).expect("the master ends with its worker");
    assert_eq!(status.code(), Some(0), "{}", proxy.output());
}

/// A port that is taken: an alert that names the line, and exit code 1.
#[test]
fn taken_port() {
    let taken = haproxy_compat::proxy::listener(1);
    let addr = taken
        .local_addr()
        .ok()
        .and_then(|a| a.as_socket())
        .expect("a TCP address");
    let dir = TempDir::new();
    dir.write(
        "cfg",
        &good().replace("127.0.0.1:1\n default", &format!("{addr}\n default")),
    );
    let end = run(&dir, &["-db", "-f", "cfg"]);
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    let line = format!(
        "Binding [cfg:9] for frontend fe: protocol tcpv4: cannot bind socket (Address already in use) for [{addr}]"
    );
    assert!(
        end.stderr.contains("[ALERT]    (") && end.stderr.contains(&line),
        "{}",
        end.stderr
    );
    assert!(
        end.stderr
            .contains("Some protocols failed to start their listeners! Exiting."),
        "{}",
        end.stderr
    );
}
