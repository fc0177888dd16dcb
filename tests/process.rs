//! The process from outside: command line, exit codes, reports, signals, daemons and masters, pid files, one process in
//! the place of another. The cases and what the reference does with them are in `haproxy-compat/cases/process/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::cli::ask;
use haproxy_compat::origin::Origin;
use haproxy_compat::play::play;
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::{PATIENCE, wait_for};
use std::time::Duration;

#[test]
fn checks() {
    play("process/check.case");
}

#[test]
fn conditions_on_the_command_line() {
    play("process/conditions.case");
}

#[test]
fn flags() {
    play("process/flags.case");
}

#[test]
fn reports() {
    play("process/reports.case");
}

#[test]
fn starts() {
    play("process/start.case");
}

#[test]
fn signals() {
    play("process/signals.case");
}

#[test]
fn masters() {
    play("process/master.case");
}

#[test]
fn replacements() {
    play("process/replace.case");
}

fn served(origin: &Origin) -> String {
    format!(
        "global\n nbthread 1\n stats socket \"fd@${{cli}}\"\ndefaults\n mode http\n timeout connect 1s\n timeout client 60s\n \
         timeout server 5s\nfrontend fe\n bind fd@${{fe}}\n default_backend be\nbackend be\n server s1 {}\n",
        origin.addr()
    )
}

/// `close-spread-time`: connections end one by one within the time, also those that never sent a request.
#[test]
fn soft_stop_spread_over_a_time() {
    let origin = Origin::new(Vec::new());
    let text = served(&origin).replacen("global\n", "global\n close-spread-time 4s\n", 1);
    let mut proxy = Setup::new(text).start();
    let mut clients: Vec<_> = (0..12).map(|_| proxy.client("fe")).collect();
    let fresh = proxy.client("fe");
    for client in &mut clients {
        client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let start = std::time::Instant::now();
    proxy.signal("USR1");
    let stopped = wait_for(PATIENCE, || {
        proxy.output().contains("Proxy fe stopped").then_some(())
    });
    assert!(stopped.is_some(), "{}", proxy.output());
    let status = proxy.wait(Duration::from_secs(20)).expect("all are closed");
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() > Duration::from_secs(1), "not all at once");
    drop(fresh);
}

/// SIGQUIT frees what pools keep for later. HAProxy has other pools, so this is no case.
#[test]
fn memory_is_freed() {
    let origin = Origin::new(Vec::new());
    let proxy = Setup::new(served(&origin)).start();
    let allocated = |proxy: &Proxy| -> Vec<String> {
        let pools = ask(proxy, "show pools");
        let kept = |line: &&str| {
            !line.contains(": 0 allocated") && (line.contains("buffer") || line.contains("head"))
        };
        pools.lines().filter(kept).map(str::to_owned).collect()
    };
    let mut client = proxy.client("fe");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(allocated(&proxy).len() > 1, "{}", ask(&proxy, "show pools"));
    proxy.signal("QUIT");
    let freed = wait_for(PATIENCE, || allocated(&proxy).is_empty().then_some(()));
    assert!(freed.is_some(), "{:?}", allocated(&proxy));
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    drop(client);
    proxy.stop();
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
