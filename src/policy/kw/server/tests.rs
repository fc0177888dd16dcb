//! Server lines with the verdicts of 3.4.0 (same lines, same first alert).

use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::base::addr::Family;
use crate::model::server::{ServerNamespace, Source, UseSrc};
use crate::policy::draft::{InitMethod, Kind, MuxName};
use crate::policy::kw::testing::{read, run_in};

fn servers(lines: &[&str]) -> Vec<ServerDraft> {
    run_in(Kind::Backend, lines).expect("accepted by 3.4.0").servers
}

fn one(line: &str) -> ServerDraft {
    servers(&[line]).into_iter().next().expect("one server")
}

/// The first alert, without the place that begins it.
fn refusal(lines: &[&str]) -> String {
    let text = run_in(Kind::Backend, lines).expect_err("refused by 3.4.0");
    let place = format!("[t.cfg:{}] : ", lines.len());
    text.strip_prefix(&place)
        .map_or_else(|| text.clone(), str::to_owned)
}

fn inet(ip: &str, port: PortChoice, mptcp: bool) -> Target {
    Target::Inet {
        ip: Some(ip.parse().expect("literal")),
        port,
        mptcp,
    }
}

#[test]
fn rows_are_sorted_and_documented() {
    for pair in OPTIONS.windows(2) {
        assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
    }
    assert!(OPTIONS.iter().all(|option| !option.doc.is_empty()));
}

#[test]
fn addresses() {
    let target = |address: &str| one(&format!("server s {address}")).server.target;
    assert_eq!(
        target("127.0.0.1:80"),
        inet("127.0.0.1", PortChoice::Fixed(80), false)
    );
    assert_eq!(
        target("mptcp@127.0.0.1:80"),
        inet("127.0.0.1", PortChoice::Fixed(80), true)
    );
    for address in [
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:+0",
        "127.0.0.1:+",
    ] {
        assert_eq!(
            target(address),
            inet("127.0.0.1", PortChoice::Client(0), false),
            "{address}"
        );
    }
    assert_eq!(
        target("127.0.0.1:+70"),
        inet("127.0.0.1", PortChoice::Client(70), false)
    );
    assert_eq!(target("[::1]:-80"), inet("::1", PortChoice::Client(-80), false));
    assert_eq!(target("unix@/tmp/x"), Target::Unix(b"/tmp/x".to_vec()));
    assert_eq!(
        target("abns@x"),
        Target::Abstract {
            name: b"x".to_vec(),
            zero_padded: true
        }
    );
    assert_eq!(
        target("abnsz@x"),
        Target::Abstract {
            name: b"x".to_vec(),
            zero_padded: false
        }
    );
    let named = one("server s ipv4@web.example:80");
    assert_eq!(named.server.hostname.as_deref(), Some("web.example"));
    assert_eq!(
        named.server.target,
        Target::Inet {
            ip: None,
            port: PortChoice::Fixed(80),
            mptcp: false
        }
    );
}

#[test]
fn options_in_any_order() {
    let made = one(
        "server s 127.0.0.1:80 weight 7 backup disabled maxconn 20 minconn 5 maxqueue 9 tfo tcp-ut 3s cc reno id 4 guid \
         a:b pool-max-conn 0 pool-low-conn 2 pool-purge-delay 3s max-reuse 12 strict-maxconn send-proxy send-proxy-v2 \
         proxy-v2-options crc32c,unique-id namespace * init-addr last,libc,1.2.3.4,none resolve-prefer ipv6 proto h1 \
         source 127.0.0.2:1000-2000 usesrc clientip interface lo ws h1 no-check no-ssl",
    );
    let server = &made.server;
    assert_eq!(
        (server.weight, server.maxconn, server.minconn, server.maxqueue),
        (7, 20, 5, 9)
    );
    assert!(server.backup && server.disabled && server.tfo && server.strict_maxconn);
    assert_eq!(
        (server.tcp_ut_ms, server.cc.as_deref(), server.puid),
        (Some(3_000), Some("reno"), 4)
    );
    assert_eq!(
        (server.guid.as_deref(), server.pool_max_conn, server.pool_low_conn),
        (Some("a:b"), Some(0), 2)
    );
    assert_eq!((server.pool_purge_delay_ms, server.max_reuse), (3_000, Some(12)));
    assert_eq!(server.send_proxy, Some(SendProxy::V2));
    assert!(server.proxy_v2_options.crc32c && server.proxy_v2_options.unique_id);
    assert_eq!(server.namespace, Some(ServerNamespace::OfClient));
    let ip = InitMethod::Ip(IpAddr::from([1, 2, 3, 4]));
    assert_eq!(
        made.init_addr,
        [InitMethod::Last, InitMethod::Libc, ip, InitMethod::None]
    );
    assert_eq!((made.prefer, made.mux), (Some(Family::V6), Some(MuxName::H1)));
    assert_eq!(
        server.source,
        Some(Source {
            addr: Some(SocketAddr::from(([127, 0, 0, 2], 0))),
            ports: Some((1000, 2000)),
            usesrc: Some(UseSrc::ClientIp),
            interface: Some("lo".into()),
        })
    );
}

#[test]
fn defaults_of_a_server() {
    let made = one("server s 127.0.0.1:80");
    let server = &made.server;
    assert_eq!(
        (
            server.weight,
            server.pool_purge_delay_ms,
            server.pool_max_conn,
            server.max_reuse
        ),
        (1, 5_000, None, None)
    );
    assert_eq!((server.maxconn, server.minconn, server.send_proxy), (0, 0, None));
    assert!(made.init_addr.is_empty());
}

#[test]
fn limits_follow_each_other() {
    let limits = |line: &str| {
        let server = one(line).server;
        (server.minconn, server.maxconn)
    };
    assert_eq!(limits("server s 127.0.0.1:80 minconn 5"), (5, 5));
    assert_eq!(limits("server s 127.0.0.1:80 minconn 5 maxconn 3"), (5, 5));
    assert_eq!(limits("server s 127.0.0.1:80 maxconn 3"), (3, 3));
    assert_eq!(limits("server s 127.0.0.1:80 maxconn x"), (0, 0));
}

#[test]
fn no_forms_take_back() {
    let server = one(
        "server s 127.0.0.1:80 backup no-backup tfo no-tfo disabled enabled send-proxy send-proxy-v2 no-send-proxy-v2",
    )
    .server;
    assert!(!server.backup && !server.tfo && !server.disabled);
    assert_eq!(server.send_proxy, Some(SendProxy::V1));
}

#[test]
fn default_server_accumulates() {
    let all = servers(&[
        "server a 127.0.0.1:80",
        "default-server weight 5 maxconn 10",
        "default-server backup pool-max-conn -1",
        "server b 127.0.0.1:81 weight 6",
        "server c 127.0.0.1:82 no-backup",
    ]);
    let facts: Vec<_> = all
        .iter()
        .map(|made| &made.server)
        .map(|s| (s.weight, s.maxconn, s.backup))
        .collect();
    assert_eq!(facts, [(1, 0, false), (6, 10, true), (5, 10, false)]);
    assert_eq!(
        (all[2].server.name.as_ref(), all[2].server.declared.line),
        ("c", 5)
    );
    assert!(run_in(Kind::Defaults, &["default-server maxconn 3"]).is_ok());
}

#[test]
fn templates() {
    let all = servers(&[
        "server-template s 2-4 web.example:80 weight 3 id 9 guid g",
        "server-template t 1 127.0.0.1:80",
    ]);
    let facts: Vec<_> = all
        .iter()
        .map(|made| &made.server)
        .map(|s| (s.name.as_ref(), s.puid, s.weight))
        .collect();
    assert_eq!(facts, [("s2", 9, 3), ("s3", 0, 3), ("s4", 0, 3), ("t1", 0, 1)]);
    assert_eq!(
        (all[0].server.guid.as_deref(), all[1].server.guid.as_deref()),
        (Some("g"), None)
    );
    for (line, text) in [
        (
            "server-template",
            "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.",
        ),
        (
            "server-template s 3",
            "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.",
        ),
        (
            "server-template s x 127.0.0.1:80",
            "Wrong server-template number or range arg 'x'.",
        ),
        (
            "server-template s -1-3 127.0.0.1:80",
            "Wrong server-template number or range arg '-1-3'.",
        ),
        (
            "server-template s 3-1 127.0.0.1:80",
            "Wrong server-template number or range arg '3-1'.",
        ),
        (
            "server-template s 0 127.0.0.1:80",
            "Wrong server-template number or range arg '0'.",
        ),
        (
            "server-template s 1-99999999 127.0.0.1:80",
            "Wrong server-template number or range arg '1-99999999'.",
        ),
        (
            "server-template s! 2 127.0.0.1:80",
            "character '!' is not permitted in server-template prefix 's!'.",
        ),
        (
            "server-template s 2 127.0.0.1:99999",
            "'server b/(null)' : invalid port '99999'",
        ),
        (
            "server-template s 2 127.0.0.1:80 weight 300",
            "'server b/(null)' : weight of server (null) is not within 0 and 256 (300)..",
        ),
    ] {
        assert_eq!(refusal(&[line]), text, "{line}");
    }
}

#[test]
fn lines_refused_as_by_3_4_0() {
    for (line, text) in [
        (
            "server",
            "'server' expects <name> and <addr>[:<port>] as arguments.",
        ),
        (
            "server a",
            "'server' expects <name> and <addr>[:<port>] as arguments.",
        ),
        (
            "server s!1 127.0.0.1:80",
            "character '!' is not permitted in server name 's!1'.",
        ),
        (
            "server s 127.0.0.1:80-90",
            "'server b/s' : port range not permitted here in '127.0.0.1:80-90'",
        ),
        ("server s 127.0.0.1:99999", "'server b/s' : invalid port '99999'"),
        (
            "server s fd@3",
            "'server b/s' : a file descriptor is not acceptable here in 'fd@3'",
        ),
        (
            "server s 127.0.0.1:80 weigth 3",
            "'server b/s' : unknown keyword 'weigth'; did you mean 'weight' maybe ?",
        ),
        (
            "default-server 127.0.0.1:80",
            "unknown keyword '127.0.0.1:80'. Hint: no address was expected for this server.",
        ),
        (
            "default-server weight 300",
            "weight of server default-server is not within 0 and 256 (300)..",
        ),
    ] {
        assert_eq!(refusal(&[line]), text, "{line}");
    }
}

#[test]
fn options_refused_as_by_3_4_0() {
    for (option, text) in [
        ("weight 300", "weight of server s is not within 0 and 256 (300).."),
        ("weight -1", "weight of server s is not within 0 and 256 (-1).."),
        ("id", "'id' : expects an integer argument."),
        ("id 0", "'id' : custom id has to be between 1 and 4294967295.."),
        ("guid", "'guid' : expects an argument."),
        ("guid a!b", "'guid': invalid character '!'."),
        ("pool-max-conn -2", "'pool-max-conn' must be >= -1."),
        ("pool-max-conn", "'pool-max-conn' expects <value> as argument.."),
        ("pool-low-conn", "'pool-low-conn' expects <value> as argument.."),
        (
            "pool-purge-delay",
            "'pool-purge-delay' expects <value> as argument..",
        ),
        (
            "pool-purge-delay 5x",
            "unexpected character 'x' in argument to <pool-purge-delay>..",
        ),
        (
            "pool-purge-delay 99d",
            "timer overflow in argument '99d' to 'pool-purge-delay' (maximum value is 2147483647 ms or ~24.8 days).",
        ),
        ("max-reuse", "'max-reuse' expects <value> as argument.."),
        ("namespace", "'namespace' : expects <name> as argument."),
        ("namespace zz", "Cannot open namespace 'zz'."),
        ("tcp-ut", "'tcp-ut' : missing TCP User Timeout value."),
        ("tcp-ut x", "'tcp-ut' : expects a positive delay in milliseconds."),
        ("cc", "'cc' : missing TCP congestion control algorithm."),
        ("proxy-v2-options", "'' : proxy v2 option not implemented."),
        ("proxy-v2-options x", "'x' : proxy v2 option not implemented."),
        (
            "init-addr zz",
            "'init-addr' : unknown init-addr method 'zz', supported methods are 'libc', 'last', 'none'..",
        ),
        (
            "init-addr 1.2.3.4,1.2.3.5",
            "'init-addr' : initial address already specified, cannot add '1.2.3.5'..",
        ),
        (
            "init-addr last,last,last,last,last,last,last,last,last,last,last",
            "'init-addr' : too many init-addr methods when trying to add 'last'.",
        ),
        (
            "resolve-prefer x",
            "'resolve-prefer' expects either ipv4 or ipv6 as argument..",
        ),
        ("proto", "'proto' : missing value."),
        ("proto x", "'proto' :  unknown MUX protocol 'x'."),
        ("ws x", "'ws' has to be 'auto', 'h1' or 'h2'."),
        (
            "usesrc client",
            "'usesrc' only allowed after a 'source' statement..",
        ),
        (
            "source",
            "'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as \
             argument..",
        ),
        (
            "source bad!",
            "'source bad!' : invalid address: 'bad!' in 'bad!'.",
        ),
        (
            "source 127.0.0.2:20-10",
            "'source 127.0.0.2:20-10' : invalid port range '20-10'.",
        ),
        (
            "source 127.0.0.2 usesrc",
            "'usesrc' expects <addr>[:<port>], 'client', 'clientip', or 'hdr_ip(name,#)' as argument.",
        ),
        (
            "source 127.0.0.2 usesrc bad!",
            "'usesrc bad!' : invalid address: 'bad!' in 'bad!'",
        ),
        ("source 127.0.0.2 interface", "'server' : missing interface name."),
        ("check inter 2s", "'check' is not supported yet."),
        ("ssl verify none", "'ssl' is not supported yet."),
        ("proto h2", "'proto h2' is not supported yet."),
        (
            "set-proxy-v2-tlv-fmt(0x20) x",
            "'set-proxy-v2-tlv-fmt(0x20)' is not supported yet.",
        ),
        (
            "source 0.0.0.0 usesrc hdr_ip(x)",
            "'usesrc hdr_ip' is not supported yet.",
        ),
    ] {
        let line = format!("server s 127.0.0.1:80 {option}");
        assert_eq!(refusal(&[&line]), format!("'server b/s' : {text}"), "{line}");
    }
}

#[test]
fn numbers_are_unique() {
    assert_eq!(
        refusal(&["server s1 127.0.0.1:80 id 3", "server s2 127.0.0.1:80 id 3"]),
        "'server b/s2' : 'id' : custom id 3 already used at t.cfg:1 ('server s1')."
    );
}

#[test]
fn default_server_leaves_out_what_is_personal() {
    let outcome = read(
        Some(Kind::Backend),
        &["default-server id 3 weight 4", "server s 127.0.0.1:80"],
    );
    assert_eq!(outcome.alert(), None);
    assert_eq!(
        outcome.texts(Severity::Tolerated),
        ["[t.cfg:1] : 'id' option is not accepted in default-server sections"]
    );
    let server = &outcome.draft.proxy.servers[0].server;
    assert_eq!((server.puid, server.weight), (0, 4));
}

#[test]
fn places() {
    let refused = |kind, line| run_in(kind, &[line]).expect_err("refused by 3.4.0");
    assert_eq!(
        refused(Kind::Defaults, "server s 127.0.0.1:80"),
        "[t.cfg:1] : 'server' not allowed in 'defaults' section."
    );
    assert_eq!(
        refused(Kind::Frontend, "server s 127.0.0.1:80"),
        "[t.cfg:1] : parsing [t.cfg:1] : 'server' not allowed because frontend 'b' has no backend capability."
    );
    assert_eq!(
        refused(Kind::Defaults, "dispatch 127.0.0.1:80"),
        "'dispatch' not allowed in 'defaults' section."
    );
    let outcome = read(Some(Kind::Frontend), &["source 127.0.0.2"]);
    assert_eq!(
        outcome.texts(Severity::Warning),
        ["'source' ignored because frontend 'b' has no backend capability."]
    );
}

#[test]
fn weight_zero_leaves_a_hint() {
    let outcome = read(Some(Kind::Backend), &["server s 127.0.0.1:80 weight 0"]);
    assert_eq!(
        outcome.texts(Severity::Diag),
        [
            "[t.cfg:1] : 'server b/s' : configured with weight of 0 will never be selected by load balancing algorithms"
        ]
    );
}

#[test]
fn source_of_a_proxy() {
    let source =
        |line: &str| run_in(Kind::Defaults, &[line]).map(|proxy| proxy.settings.source.expect("set"));
    assert_eq!(
        source("source 0.0.0.0 interface eth0 usesrc 127.0.0.3:80"),
        Ok(Source {
            addr: Some(SocketAddr::from(([0, 0, 0, 0], 0))),
            ports: None,
            usesrc: Some(UseSrc::Fixed(SocketAddr::from(([127, 0, 0, 3], 80)))),
            interface: Some("eth0".into()),
        })
    );
    for (line, text) in [
        (
            "source",
            "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>.",
        ),
        (
            "source 127.0.0.2:80-90",
            "'source 127.0.0.2:80-90' : port range not permitted here in '127.0.0.2:80-90'",
        ),
        ("source bad!", "'source bad!' : invalid address: 'bad!' in 'bad!'"),
        (
            "source 127.0.0.2 usesrc",
            "'usesrc' expects <addr>[:<port>], 'client', or 'clientip' as argument.",
        ),
        (
            "source 127.0.0.2 usesrc x!",
            "'usesrc x!' : invalid address: 'x!' in 'x!'",
        ),
        ("source 127.0.0.2 interface", "'source' : missing interface name."),
        (
            "source 127.0.0.2 foo",
            "'source' only supports optional keywords 'interface' and 'usesrc'.",
        ),
    ] {
        assert_eq!(source(line), Err(text.to_owned()), "{line}");
    }
}

#[test]
fn dispatch_is_a_server_of_its_own() {
    let outcome = read(Some(Kind::Listen), &["dispatch 127.0.0.1:80"]);
    assert_eq!(outcome.alert(), None);
    assert_eq!(
        outcome.draft.proxy.settings.dispatch,
        Some(inet("127.0.0.1", PortChoice::Fixed(80), false))
    );
    assert!(outcome.texts(Severity::Warning)[0].starts_with("'dispatch' is deprecated in 3.3"));
    for (line, text) in [
        (
            "dispatch",
            "'dispatch' : '' resolves to an empty address (environment variable missing?)",
        ),
        (
            "dispatch 127.0.0.1",
            "'dispatch' : missing port specification in '127.0.0.1'",
        ),
        (
            "dispatch nohost.invalid:80",
            "'dispatch' : invalid address: 'nohost.invalid' in 'nohost.invalid:80'",
        ),
        (
            "dispatch 127.0.0.1:80 x",
            "'dispatch' cannot handle unexpected argument 'x'.",
        ),
        (
            "dispatch 127.0.0.1:80-90",
            "'dispatch' : port range not permitted here in '127.0.0.1:80-90'",
        ),
    ] {
        assert_eq!(
            run_in(Kind::Backend, &[line]).map(|_| ()),
            Err(text.to_owned()),
            "{line}"
        );
    }
}

#[test]
fn mode_of_the_proxy() {
    let made = one("server s 127.0.0.1:80 proto h1");
    assert_eq!(check_mode(&made, Mode::Http, "backend 'b'"), None);
    assert_eq!(
        check_mode(&made, Mode::Tcp, "backend 'b'")
            .map(|diag| diag.text)
            .as_deref(),
        Some("backend 'b' : MUX protocol 'h1' is not usable for server 's' at [t.cfg:1].")
    );
    let made = one("server s udp@127.0.0.1:80");
    assert_eq!(
        check_mode(&made, Mode::Tcp, "backend 'b'")
            .map(|diag| diag.text)
            .as_deref(),
        Some("[t.cfg:1] : unsupported transport for server address in 'tcp' backend.")
    );
}
