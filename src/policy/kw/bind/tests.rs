//! `bind` lines with the verdicts of 3.4.0 (same lines, same first alert).

use super::*;
use crate::conf::diag::Severity;
use crate::policy::draft::Kind;
use crate::policy::kw::testing::{read, run_in};

fn listeners(line: &str) -> Vec<Listener> {
    let proxy = run_in(Kind::Frontend, &[line]).expect("accepted by 3.4.0");
    proxy.binds.into_iter().next().expect("one line").listeners
}

fn refusal(line: &str) -> String {
    run_in(Kind::Frontend, &[line]).expect_err("refused by 3.4.0")
}

fn shown(listeners: &[Listener]) -> Vec<String> {
    listeners
        .iter()
        .map(|listener| listener.addr.to_string())
        .collect()
}

#[test]
fn rows_are_sorted_and_documented() {
    for pair in OPTIONS.windows(2) {
        assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
    }
    assert!(OPTIONS.iter().all(|option| !option.doc.is_empty()));
}

#[test]
fn addresses_make_listeners() {
    assert_eq!(shown(&listeners("bind :80")), ["0.0.0.0:80"]);
    assert_eq!(
        shown(&listeners("bind 127.0.0.1:80-82,mptcp@[::1]:443,")),
        ["127.0.0.1:80", "127.0.0.1:81", "127.0.0.1:82", "mptcp@[::1]:443"]
    );
    assert_eq!(shown(&listeners("bind localhost:80")), ["127.0.0.1:80"]);
    assert_eq!(shown(&listeners("bind /tmp/s mode 0600")), ["unix@/tmp/s"]);
    assert_eq!(listeners("bind 127.0.0.1:1-65535").len(), 65_535);
    for (line, text) in [
        (
            "bind",
            "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.",
        ),
        (
            "bind 127.0.0.1",
            "'bind' : missing port specification in '127.0.0.1'",
        ),
        (
            "bind 127.0.0.1:",
            "'bind' : missing port specification in '127.0.0.1:'",
        ),
        ("bind 127.0.0.1:80-79", "'bind' : invalid port range '80-79'"),
        ("bind 127.0.0.1:0", "'bind' : invalid port '0'"),
        (
            "bind 127.0.0.1:80,bad",
            "'bind' : missing port specification in 'bad'",
        ),
        (
            "bind 127.0.0.1:80,,127.0.0.1:81",
            "'bind' : '' resolves to an empty address (environment variable missing?)",
        ),
        (
            "bind nohost.invalid:80",
            "'bind' : invalid address: 'nohost.invalid' in 'nohost.invalid:80'",
        ),
        (
            "bind udp@127.0.0.1:80",
            "'bind' : dgram-type address not acceptable in 'udp@127.0.0.1:80'",
        ),
    ] {
        assert_eq!(refusal(line), text, "{line}");
    }
    let everything = format!("bind {}", ["0.0.0.0:1-65535"; 3].join(","));
    assert!(refusal(&everything).starts_with("'bind' : more than 131072 listeners on one line in "));
}

#[test]
fn options_in_any_order() {
    let proxy = run_in(Kind::Listen, &[
        "bind 127.0.0.1:80-81 name x backlog 5 maxconn 7 nice -3 v4v6 v6only transparent mss -40 cc reno tfo \
         defer-accept tcp-ut 5s accept-proxy interface lo guid-prefix g shards by-thread thread 1-4 proto h1 label l",
        "bind 127.0.0.1:90 id 5 uid 3 gid 4x mode 640 level user severity-output number",
    ])
    .expect("accepted by 3.4.0");
    let [first, second] = &*proxy.binds else {
        panic!("two lines")
    };
    let guids: Vec<_> = first
        .listeners
        .iter()
        .map(|listener| listener.guid.as_deref())
        .collect();
    assert_eq!(guids, [Some("g-0"), Some("g-1")]);
    let listener = &first.listeners[1];
    assert_eq!(listener.name.as_deref(), Some("x"));
    assert_eq!(
        (listener.backlog, listener.maxconn, listener.nice),
        (Some(5), 7, -3)
    );
    assert_eq!(
        (listener.v6only, listener.mss, listener.tcp_ut_ms),
        (V6Only::Only, Some(-40), Some(5_000))
    );
    assert_eq!(
        (listener.cc.as_deref(), listener.interface.as_deref()),
        (Some("reno"), Some("lo"))
    );
    assert!(listener.tfo && listener.defer_accept && listener.accept_proxy && listener.transparent);
    assert_eq!((first.mux, listener.luid), (Some(MuxName::H1), 0));
    let listener = &second.listeners[0];
    assert_eq!(
        (listener.luid, listener.uid, listener.gid, listener.mode),
        (5, Some(3), Some(4), Some(0o640))
    );
    assert_eq!(
        (listener.level, listener.severity_output),
        (Level::User, SeverityOutput::Number)
    );
    assert_eq!(listener.declared.line, 2);
}

#[test]
fn options_refused_as_by_3_4_0() {
    for (option, text) in [
        ("name", "'name' : missing name"),
        ("id", "'id' : expects an integer argument"),
        ("id x", "'id' : expects an integer argument, found 'x'"),
        ("id 0", "'id' : custom id has to be > 0"),
        ("backlog", "'backlog' : missing value"),
        ("backlog -1", "'backlog' : invalid value -1, must be > 0"),
        ("maxconn", "'maxconn' : missing value"),
        ("maxconn -5", "'maxconn' : invalid value -5, must be >= 0"),
        (
            "nice 2000",
            "'nice' : invalid value 2000, allowed range is -1024..1024",
        ),
        ("mss", "'mss' : missing MSS value"),
        (
            "mss 0",
            "'mss' : expects an MSS with and absolute value between 1 and 65535",
        ),
        (
            "mss -70000",
            "'mss' : expects an MSS with and absolute value between 1 and 65535",
        ),
        ("tcp-ut", "'tcp-ut' : missing TCP User Timeout value"),
        ("tcp-ut x", "'tcp-ut' : expects a positive delay in milliseconds"),
        (
            "tcp-ut 30d",
            "timer overflow in argument '30d' to 'tcp-ut' (maximum value is 2147483647 ms or ~24.8 days)",
        ),
        ("interface", "'interface' : missing interface name"),
        ("namespace", "'namespace' : missing namespace id"),
        ("cc", "'cc' : missing TCP congestion control algorithm"),
        (
            "mode",
            "'mode' : missing or invalid mode '' (octal integer expected)",
        ),
        (
            "mode 9",
            "'mode' : missing or invalid mode '9' (octal integer expected)",
        ),
        (
            "mode 0x1",
            "'mode' : missing or invalid mode '0x1' (octal integer expected)",
        ),
        ("user zzz", "'user' : unknown user name 'zzz'"),
        ("group zzz", "'group' : unknown group name 'zzz'"),
        ("uid", "'uid' : missing value"),
        ("level", "'level' : missing level"),
        (
            "level x",
            "'level' only supports 'user', 'operator', and 'admin' (got 'x')",
        ),
        ("expose-fd x", "'expose-fd' only supports 'listeners' (got 'x')"),
        ("severity-output", "'severity-output' : missing severity format"),
        (
            "severity-output x",
            "'severity-output' only supports 'none', 'number', and 'string' (got 'x')",
        ),
        ("proto", "'proto' : missing value"),
        ("proto x", "'proto' :  unknown MUX protocol 'x'"),
        ("shards", "'shards' : missing value"),
        (
            "shards 0",
            "'shards' : invalid value 0, allowed range is 1..1024 or 'by-thread'",
        ),
        (
            "thread a",
            "invalid first thread number 'a', permitted range is 1..1024, or 'all', 'odd', 'even'.",
        ),
        (
            "process 1",
            "'process 1' on 'bind' lines is not supported anymore, please use 'thread' instead.",
        ),
        ("guid-prefix", "'guid-prefix' : expects an argument"),
        ("label", "'label' : missing label"),
        ("ssl crt x", "'ssl' is not supported yet."),
        ("crt x", "'crt' is not supported yet."),
        ("quic-socket listener", "'quic-socket' is not supported yet."),
        ("proto h2", "'proto h2' is not supported yet."),
    ] {
        let line = format!("bind 127.0.0.1:80 {option}");
        assert_eq!(
            refusal(&line),
            format!("'bind 127.0.0.1:80' in section 'frontend' : {text}"),
            "{line}"
        );
    }
}

#[test]
fn unknown_options() {
    assert_eq!(
        refusal("bind 127.0.0.1:80 nam x"),
        "'bind 127.0.0.1:80' in section 'frontend': unknown keyword 'nam'; did you mean 'name' maybe ?"
    );
    assert_eq!(
        refusal("bind 127.0.0.1:80 guid-prefix a b"),
        "'bind 127.0.0.1:80' in section 'frontend': unknown keyword 'b'."
    );
}

#[test]
fn numbers_of_listeners() {
    assert_eq!(
        refusal("bind 127.0.0.1:80-81 id 5"),
        "'bind 127.0.0.1:80-81' in section 'frontend' : 'id' can only be used with a single socket"
    );
    assert_eq!(
        run_in(
            Kind::Frontend,
            &["bind 127.0.0.1:80 id 5", "bind 127.0.0.1:81 id 5"]
        )
        .expect_err("refused by 3.4.0"),
        "'bind 127.0.0.1:81' in section 'frontend' : 'id' : custom id 5 already used at t.cfg:1 ('bind 127.0.0.1:80')"
    );
}

#[test]
fn sloppy_numbers_leave_a_hint() {
    let outcome = read(Some(Kind::Frontend), &["bind 127.0.0.1:80 backlog x"]);
    assert_eq!(outcome.alert(), None);
    assert_eq!(
        outcome.texts(Severity::Diag),
        ["'backlog' takes 'x' as 0: only the digits a word begins with count."]
    );
    assert_eq!(outcome.draft.proxy.binds[0].listeners[0].backlog, None);
}

#[test]
fn places() {
    assert_eq!(
        run_in(Kind::Defaults, &["bind :80"]).expect_err("refused by 3.4.0"),
        "'bind' not allowed in 'defaults' section."
    );
    let outcome = read(Some(Kind::Backend), &["bind :80"]);
    assert_eq!(outcome.alert(), None);
    assert_eq!(
        outcome.texts(Severity::Warning),
        ["'bind' ignored because backend 'b' has no frontend capability."]
    );
}

#[test]
fn namespaces_must_exist() {
    let outcome = read(Some(Kind::Frontend), &["bind 127.0.0.1:80 namespace zz"]);
    assert_eq!(
        outcome.texts(Severity::Alert),
        [
            "Cannot open namespace 'zz'.",
            "'bind 127.0.0.1:80' in section 'frontend' : error encountered while processing 'namespace'."
        ]
    );
}

#[test]
fn proto_goes_with_the_mode() {
    let proxy = run_in(Kind::Frontend, &["bind 127.0.0.1:80 proto h1"]).expect("accepted by 3.4.0");
    let bind = &proxy.binds[0];
    assert_eq!(check_mux(bind, Mode::Http, "frontend 'b'"), None);
    let diag = check_mux(bind, Mode::Tcp, "frontend 'b'").expect("refused by 3.4.0");
    assert_eq!(
        diag.text,
        "frontend 'b' : MUX protocol 'h1' is not usable for 'bind 127.0.0.1:80' at [t.cfg:1]."
    );
}
