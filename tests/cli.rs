//! The stats socket: its line protocol and the commands that tools call first.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::cli::{ask, count, info, stat};
use haproxy_compat::client::Client;
use haproxy_compat::origin::{Act, Block, Origin, Trigger};
use haproxy_compat::proxy::{Proxy, Setup};
use haproxy_compat::{PATIENCE, wait_for};

fn start(origin: &Origin, level: &str) -> Proxy {
    Setup::new(format!(
        "global\n nbthread 1\n stats socket fd@${{cli}} level {level}\n stats socket {{tmp}}/stats level {level} mode 600\n\
         defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
         frontend fe\n bind fd@${{fe}}\n default_backend be\nbackend be\n balance roundrobin\n server s1 {}\n \
         server s2 {} backup\n server s3 {} disabled weight 7\n",
        origin.addr(),
        origin.addr(),
        origin.addr()
    ))
    .start()
}

/// The columns of `show stat` up to where HAProxy 1.8 ended, which tools read by name and by place.
const COLUMNS: &str = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,\
    wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,\
    rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,\
    hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,\
    lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,\
    agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,\
    conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,";

/// Answers end with an empty line; several commands in one line; the connection ends behind them.
#[test]
fn one_line_one_answer() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let version = ask(&proxy, "show version");
    let (first, rest) = version.split_once('\n').expect("a line");
    assert!(first.starts_with("3.4.0"), "{version:?}");
    assert_eq!(rest, "\n");
    assert_eq!(ask(&proxy, "show version; show version"), version.repeat(2));
    assert_eq!(ask(&proxy, "show version;show version"), version.repeat(2));
    // Only the first line counts outside interactive mode.
    assert_eq!(ask(&proxy, "show version\nshow version"), version);
    assert_eq!(ask(&proxy, ""), "\n");
    assert_eq!(ask(&proxy, "quit"), "");
    proxy.stop();
}

/// The connection is closed behind the answer even if the client keeps its side open.
#[test]
fn answer_ends_without_half_close() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let mut client = proxy.client("cli");
    client.send(b"show version\n");
    assert!(client.read_to_end(PATIENCE), "{:?}", client.got);
    assert!(client.got.starts_with(b"3.4.0"));
    proxy.stop();
}

/// A command cut by a pause is put together; one without a line end is answered after the half-close.
#[test]
fn commands_in_pieces() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let mut client = proxy.client("cli");
    client.dribble(b"show version\n", std::time::Duration::from_millis(1));
    assert!(client.read_to_end(PATIENCE));
    assert!(client.got.starts_with(b"3.4.0"), "{:?}", client.got);
    proxy.stop();
}

/// The unix socket of the configuration, its mode, and interactive use.
#[test]
fn prompt_on_the_unix_socket() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let path = proxy.dir.file("stats");
    let mode = std::fs::metadata(&path)
        .expect("the socket is there")
        .permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let mut client = Client::unix(&path).expect("the socket listens");
    client.send(b"prompt\n");
    assert!(
        client.read_until(PATIENCE, |g| g.ends_with(b"\n> ")),
        "{:?}",
        client.got
    );
    client.got.clear();
    for _ in 0..3 {
        client.send(b"show version\n");
        assert!(
            client.read_until(PATIENCE, |g| g.ends_with(b"\n\n> ")),
            "{:?}",
            client.got
        );
        assert!(client.got.starts_with(b"3.4.0"), "{:?}", client.got);
        client.got.clear();
    }
    client.send(b"quit\n");
    assert!(client.read_to_end(PATIENCE));
    proxy.stop();
}

/// An unknown command names what exists; help lists what this issue asks for.
#[test]
fn help_and_unknown_commands() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let help = ask(&proxy, "help");
    assert!(
        help.starts_with("The following commands are valid at this level:\n"),
        "{help}"
    );
    for command in [
        "help",
        "prompt",
        "quit",
        "show errors",
        "show info",
        "show sess",
        "show stat",
        "show version",
    ] {
        let listed = help.lines().any(|l| l.trim_start().starts_with(command));
        assert!(listed, "{command} is not in {help}");
    }
    let unknown = ask(&proxy, "frobnicate");
    assert!(unknown.starts_with("Unknown command: 'frobnicate'"), "{unknown}");
    assert!(unknown.ends_with("\n\n"), "{unknown:?}");
    proxy.stop();
}

/// The fields of `show info` that tools read, and that they move.
#[test]
fn show_info_counts() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let text = ask(&proxy, "show info");
    assert!(text.starts_with("Name: HAProxy\nVersion: 3.4.0"), "{text}");
    let wanted = [
        "Name",
        "Version",
        "Release_date",
        "Nbthread",
        "Nbproc",
        "Process_num",
        "Pid",
        "Uptime",
        "Uptime_sec",
        "Memmax_MB",
        "Ulimit-n",
        "Maxsock",
        "Maxconn",
        "Hard_maxconn",
        "CurrConns",
        "CumConns",
        "CumReq",
        "Maxpipes",
        "PipesUsed",
        "PipesFree",
        "ConnRate",
        "ConnRateLimit",
        "MaxConnRate",
        "SessRate",
        "Tasks",
        "Run_queue",
        "Idle_pct",
        "node",
        "Stopping",
        "Jobs",
        "Listeners",
        "ActivePeers",
        "DroppedLogs",
        "BusyPolling",
        "TotalBytesOut",
        "TotalSplicedBytesOut",
        "BytesOutRate",
    ];
    for name in wanted {
        assert!(
            text.lines().any(|l| l.starts_with(&format!("{name}: "))),
            "no {name} in {text}"
        );
    }
    assert_eq!(info(&proxy, "Pid"), proxy.pid().to_string());
    assert_eq!(info(&proxy, "Nbthread"), "1");
    let number = |name: &str| info(&proxy, name).parse::<u64>().expect("a number");
    // A conversation of the runtime socket counts as a connection, a stream and a request of its own.
    let counted = |name: &str| [number(name), number(name)];
    for name in ["CumConns", "CumReq", "CumStreams"] {
        let [first, second] = counted(name);
        assert_eq!(second, first + 1, "{name}");
    }
    assert!(number("CurrStreams") >= 1);
    assert_eq!(counted("CurrConns"), [0, 0]);
    let [first, second] = counted("TotalBytesOut");
    assert!(second > first + 1000, "{first} {second}");
    let before = number("CumReq");
    let mut client = proxy.client("fe");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(number("CurrConns"), 1, "the client, not the command itself");
    assert!(number("CumReq") >= before + 2);
    drop(client);
    proxy.stop();
}

/// `show stat`: the header line, one row per object, and the counters of traffic.
#[test]
fn show_stat_counts() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let text = ask(&proxy, "show stat");
    let head = text.lines().next().unwrap_or_default();
    assert!(head.starts_with(COLUMNS), "{head}");
    assert!(text.ends_with("\n\n"));
    let names: Vec<String> = text
        .lines()
        .skip(1)
        .filter(|l| !l.is_empty())
        .map(|l| l.split(',').take(2).collect::<Vec<_>>().join("/"))
        .collect();
    assert_eq!(names, ["fe/FRONTEND", "be/s1", "be/s2", "be/s3", "be/BACKEND"]);
    let width = head.split(',').count();
    assert!(
        text.lines()
            .skip(1)
            .filter(|l| !l.is_empty())
            .all(|l| l.split(',').count() == width),
        "{text}"
    );
    let cells = [
        ("fe", "FRONTEND", "status", "OPEN"),
        ("be", "s1", "status", "no check"),
        ("be", "s3", "status", "MAINT"),
        ("be", "s3", "weight", "7"),
        ("be", "s1", "act", "1"),
        ("be", "s2", "bck", "1"),
        ("be", "BACKEND", "status", "UP"),
        ("be", "BACKEND", "act", "1"),
        ("be", "BACKEND", "bck", "1"),
        ("fe", "FRONTEND", "type", "0"),
        ("be", "BACKEND", "type", "1"),
        ("be", "s1", "type", "2"),
        ("fe", "FRONTEND", "mode", "http"),
        ("be", "BACKEND", "algo", "roundrobin"),
        ("be", "s1", "pid", "1"),
        ("be", "s1", "sid", "1"),
    ];
    for (proxy_name, server, column, value) in cells {
        assert_eq!(
            stat(&proxy, proxy_name, server, column),
            value,
            "{proxy_name}/{server} {column}"
        );
    }
    let mut client = proxy.client("fe");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut bad = proxy.client("fe");
    bad.send(b"rubbish\r\n\r\n");
    assert!(bad.read_to_end(PATIENCE));
    let numbers = || {
        let fe = ["stot", "req_tot", "hrsp_2xx", "hrsp_4xx", "ereq", "bin", "bout"]
            .map(|c| count(&proxy, "fe", "FRONTEND", c));
        let be = ["stot", "hrsp_2xx", "econ", "lbtot"].map(|c| count(&proxy, "be", "s1", c));
        (fe, be)
    };
    let right = wait_for(PATIENCE, || {
        let ([stot, requests, ok, client_error, bad, bin, bout], [server, server_ok, econ, lb]) = numbers();
        let totals = (stot, requests, ok, client_error, bad) == (2, 3, 2, 1, 1);
        (totals && bin > 50 && bout > 100 && (server, server_ok, econ, lb) == (2, 2, 0, 2)).then_some(())
    });
    assert!(right.is_some(), "{:?}", numbers());
    drop(client);
    proxy.stop();
}

/// `show sess` lists the streams in flight, one line each.
#[test]
fn show_sess_lists_streams() {
    let origin = Origin::new(vec![Block {
        trigger: Trigger::Request,
        acts: Vec::new(),
    }]);
    let proxy = start(&origin, "admin");
    let mut client = proxy.client("fe");
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(wait_for(PATIENCE, || (origin.text().contains("GET")).then_some(())).is_some());
    let text = ask(&proxy, "show sess");
    let line = text
        .lines()
        .find(|l| l.contains(&format!("src=127.0.0.1:{}", client.port)));
    let line = line.unwrap_or_else(|| panic!("no stream of the client: {text}"));
    for part in [": proto=tcpv4 ", " fe=fe ", " be=be ", " srv=s1 ", " age="] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    assert!(line.starts_with("0x"), "{line}");
    drop(client);
    proxy.stop();
}

/// `show errors` keeps the last malformed message of each proxy.
#[test]
fn show_errors_keeps_the_last() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let before = ask(&proxy, "show errors");
    assert!(
        before.starts_with("Total events captured on [") && before.ends_with("] : 0\n\n"),
        "{before:?}"
    );
    let mut client = proxy.client("fe");
    client.send(b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n");
    assert!(client.read_to_end(PATIENCE));
    let after = ask(&proxy, "show errors");
    assert!(
        after.lines().next().is_some_and(|l| l.ends_with("] : 1")),
        "{after}"
    );
    assert!(after.contains("frontend fe (#2): invalid request"), "{after}");
    assert!(after.contains("bad header: x"), "{after}");
    proxy.stop();
}

/// What statistics count of exchanges that fail: each failed connection to a server and each answer that never
/// came, each request that is sent again twice, timeouts of relays as aborts; pages of the proxy are no traffic.
#[test]
fn failures_are_counted() {
    let closes = || Block {
        trigger: Trigger::Request,
        acts: vec![Act::Close],
    };
    let cuts = Block {
        trigger: Trigger::Request,
        acts: vec![
            Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".to_vec()),
            Act::Close,
        ],
    };
    let origin = Origin::new(vec![closes(), cuts, closes(), closes()]);
    let silent = Origin::new(vec![Block {
        trigger: Trigger::Bytes(1),
        acts: Vec::new(),
    }]);
    let proxy = Setup::new(format!(
        "global\n nbthread 1\n stats socket \"fd@${{cli}}\"\ndefaults\n mode http\n timeout connect 2s\n \
         timeout client 5s\n timeout server 5s\nfrontend fe\n bind \"fd@${{fe}}\"\n default_backend be\n\
         frontend again\n bind \"fd@${{again}}\"\n default_backend ba\n\
         frontend tcp\n mode tcp\n timeout client 200ms\n bind \"fd@${{tcp}}\"\n default_backend bt\n\
         backend be\n server s1 {0}\nbackend ba\n retries 1\n retry-on empty-response\n server s1 {0}\n\
         backend bt\n mode tcp\n server s1 {1}\n",
        origin.addr(),
        silent.addr()
    ))
    .start();
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(proxy.client("fe").ask(get).starts_with("HTTP/1.1 502 "));
    let be = |column| count(&proxy, "be", "BACKEND", column);
    assert_eq!((be("eresp"), be("bout"), be("srv_abrt")), (2, 0, 0));
    let mut cut = proxy.client("fe");
    cut.send(get.as_bytes());
    assert!(cut.read_to_end(PATIENCE));
    assert_eq!((be("eresp"), be("srv_abrt")), (3, 1));
    assert!(proxy.client("again").ask(get).starts_with("HTTP/1.1 502 "));
    let ba = |column| count(&proxy, "ba", "s1", column);
    assert_eq!((ba("eresp"), ba("wretr")), (3, 2));
    let mut late = proxy.client("tcp");
    late.send(b"x");
    assert!(late.read_to_end(PATIENCE));
    assert_eq!(count(&proxy, "bt", "BACKEND", "cli_abrt"), 1);
}

/// The sockets and jobs that a process counts, alone and under a master.
#[test]
fn what_a_worker_counts() {
    let config = "global\n nbthread 1\n stats socket fd@${cli} level admin\ndefaults\n mode http\n timeout client 5s\n \
                  timeout connect 1s\n timeout server 5s\nfrontend fe\n bind fd@${fe}\n";
    for (args, listeners, unstoppable) in [(&["-db"][..], 2, 0), (&["-W", "-S", "{tmp}/m"][..], 3, 1)] {
        let proxy = Setup::new(config).args(args).no_wait().start();
        let number = |name: &str| info(&proxy, name).parse::<i32>().expect("a number");
        assert_eq!(number("Listeners"), listeners, "{args:?}");
        // The listeners, this conversation, and one that HAProxy keeps to itself.
        assert_eq!(number("Jobs"), listeners + 2, "{args:?}");
        assert_eq!(number("Unstoppable Jobs"), unstoppable, "{args:?}");
        let client = proxy.client("fe");
        let counted = wait_for(PATIENCE, || (number("Jobs") == listeners + 3).then_some(()));
        assert!(counted.is_some(), "a client's connection is a job");
        drop(client);
        let sockets = ask(&proxy, "show cli sockets");
        let pairs = sockets
            .lines()
            .filter(|line| line.starts_with("sockpair@") && line.ends_with(" admin all"));
        assert_eq!(pairs.count(), unstoppable as usize, "{sockets}");
        proxy.stop();
    }
}

/// Buffers that a crowd needed are given back some seconds after it is gone, but for a few.
#[test]
fn memory_of_a_crowd_is_given_back() {
    let origin = Origin::new(Vec::new());
    let proxy = start(&origin, "admin");
    let buffers = || {
        let text = ask(&proxy, "show pools");
        let line = text.lines().find(|line| line.contains("Pool buffer "));
        let line = line.unwrap_or_else(|| panic!("no buffers in {text}"));
        let number = line
            .split("bytes) : ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        number
            .and_then(|number| number.parse::<u64>().ok())
            .expect("a number")
    };
    let crowd: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = proxy.client("fe");
            client.send(b"GET / HTT");
            client
        })
        .collect();
    assert!(wait_for(PATIENCE, || (buffers() >= 60).then_some(())).is_some());
    drop(crowd);
    let few = wait_for(4 * PATIENCE, || (buffers() <= 8).then_some(()));
    assert!(few.is_some(), "{} buffers are kept", buffers());
    proxy.stop();
}
