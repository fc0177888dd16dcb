//! Whole configurations through every pass: what the frozen result holds. Verdicts and reports have their own tests
//! in `tests/load.rs`.

use proptest::prelude::*;

use super::*;
use crate::conf::diag::Severity;
use crate::model::ids::ProxyId;
use crate::model::proxy::{Balance, HttpReuse, Mode, Proxy};
use crate::policy::registry;

/// Loads files named `1.cfg`, `2.cfg`, ... on a machine in memory.
fn load_files(texts: &[&str], cmdline: &CommandLine) -> (Option<Config>, Vec<Diag>) {
    let mut sources = Sources::new();
    for (number, text) in (1..).zip(texts) {
        sources
            .add(format!("{number}.cfg").as_bytes(), text.as_bytes().to_vec())
            .expect("small");
    }
    let mut sink = Sink::new();
    let config = load(&sources, cmdline, Rc::new(MemHost::default()), &mut sink);
    (config, sink.drain())
}

/// A file that must be accepted.
fn good(text: &str) -> Config {
    let (config, reports) = load_files(&[text], &CommandLine::default());
    config.unwrap_or_else(|| panic!("refused: {reports:?}"))
}

/// The proxy of a name.
fn proxy<'a>(config: &'a Config, name: &str) -> &'a Proxy {
    config
        .proxies
        .iter()
        .find(|proxy| &*proxy.name == name)
        .expect("a proxy of that name")
}

#[test]
fn empty_file_has_no_listener() {
    let config = good("");
    assert!(!has_listener(&config));
    assert!(has_listener(&good("global\n stats socket /s\n")));
    assert!(has_listener(&good("frontend f\n bind :80\n")));
    assert!(!has_listener(&good("frontend f\n bind :80\n disabled\n")));
}

#[test]
fn proxies_are_numbered_from_2_around_what_is_taken() {
    let config = good("backend a\nbackend b\n id 3\nbackend c\nbackend d\n id 1\n");
    let numbers: Vec<u32> = config.proxies.iter().map(|proxy| proxy.uuid).collect();
    assert_eq!(numbers, [2, 3, 4, 1]);
}

#[test]
fn listeners_and_servers_are_numbered_around_what_is_taken() {
    let config = good(
        "listen l\n bind :80 id 3\n bind :81-82\n bind :84 id 1\n option socket-stats\n \
         server a 127.0.0.1:1 id 2\n server b 127.0.0.1:1\n server c 127.0.0.1:1\n",
    );
    let luids: Vec<u32> = config.listeners.iter().map(|listener| listener.luid).collect();
    assert_eq!(luids, [3, 4, 5, 1]);
    assert_eq!(config.listeners[1].name.as_deref(), Some("sock-4"));
    let puids: Vec<u32> = config.servers.iter().map(|server| server.puid).collect();
    assert_eq!(puids, [2, 3, 4]);
    assert_eq!(config.proxies[0].listeners.len(), 4);
    assert_eq!(config.proxies[0].servers.len(), 3);
    assert_eq!(config.servers[2].proxy, ProxyId(0));
}

#[test]
fn each_side_inherits_its_own() {
    let config = good(
        "defaults one\n mode http\n timeout client 1s\n timeout server 2s\n timeout http-request 3s\n maxconn 5\n \
         fullconn 6\n balance leastconn\n retries 7\n default_backend b\n http-reuse always\n\
         defaults two from one\n timeout client 4s\n\
         frontend f from two\n bind :80\n\
         backend b from one\n",
    );
    let (front, back) = (proxy(&config, "f"), proxy(&config, "b"));
    assert_eq!((front.mode, back.mode), (Mode::Http, Mode::Http));
    assert_eq!(
        (front.timeouts.client_ms, back.timeouts.client_ms),
        (Some(4_000), None)
    );
    assert_eq!(
        (front.timeouts.server_ms, back.timeouts.server_ms),
        (None, Some(2_000))
    );
    assert_eq!(
        (front.timeouts.http_request_ms, back.timeouts.http_request_ms),
        (Some(3_000), Some(3_000))
    );
    assert_eq!((front.maxconn, back.maxconn), (Some(5), None));
    assert_eq!((front.fullconn, back.fullconn), (None, Some(6)));
    assert_eq!((front.retries, back.retries), (3, 7));
    assert_eq!(back.balance, Balance::LeastConn);
    assert_eq!(back.http_reuse, HttpReuse::Always);
    assert_eq!(front.default_backend, Some(back.id));
    assert_eq!(config.backend_by_name.get("b"), Some(&back.id));
    assert_eq!(config.frontend_by_name.get("b"), None);
}

#[test]
fn what_nobody_says() {
    let config = good("listen l\n bind :80\n timeout connect 5s\n mode http\n server s 127.0.0.1:1\n");
    let listen = proxy(&config, "l");
    assert_eq!(listen.balance, Balance::RoundRobin);
    assert_eq!(listen.timeouts.queue_ms, Some(5_000));
    assert!(listen.options.tcp_smart_accept);
    assert_eq!(config.global.node, "localhost");
    assert_eq!(config.global.localpeer, "localhost");
    assert_eq!(config.global.tune.maxrewrite, 1024);
    let config =
        good("global\n tune.bufsize 1000\nfrontend f\n bind :80\n mode http\n no option tcp-smart-accept\n");
    assert!(!proxy(&config, "f").options.tcp_smart_accept);
    assert_eq!(config.global.tune.bufsize, 1008);
    assert_eq!(config.global.tune.maxrewrite, 504);
}

#[test]
fn the_command_line_wins() {
    let cmdline = CommandLine {
        maxconn: Some(10),
        proxy_maxconn: Some(20),
        localpeer: Some("me".into()),
        daemon: true,
        pidfile: Some(b"/run/p".to_vec()),
        ..CommandLine::default()
    };
    let text = "global\n maxconn 5\n log-tag \"$HAPROXY_LOCALPEER\"\nfrontend f\n bind :80\n";
    let config = load_files(&[text], &cmdline).0.expect("accepted");
    assert_eq!(config.global.maxconn, Some(10));
    assert_eq!(proxy(&config, "f").maxconn, Some(20));
    assert_eq!(config.global.localpeer, "me");
    assert_eq!(config.global.log_tag.as_deref(), Some("me"));
    assert!(config.global.daemon);
    assert_eq!(
        config.global.pidfile.as_deref(),
        Some(std::path::Path::new("/run/p"))
    );
    let (config, _) = load_files(&["global\n localpeer you\nfrontend f\n bind :80\n"], &cmdline);
    assert!(config.is_none(), "-L forbids localpeer");
}

#[test]
fn files_are_read_in_order_and_defaults_reach_over() {
    let files = ["defaults\n timeout client 7s\n", "frontend f\n bind :80\n"];
    let config = load_files(&files, &CommandLine::default()).0.expect("accepted");
    assert_eq!(proxy(&config, "f").timeouts.client_ms, Some(7_000));
    assert_eq!(&*proxy(&config, "f").declared.file, "2.cfg");
    // A statement never belongs to a section of the file before.
    let (config, reports) = load_files(
        &["frontend f\n bind :80\n", " maxconn 5\n"],
        &CommandLine::default(),
    );
    assert!(config.is_none());
    assert!(reports.iter().any(|diag| diag.code == Code::OutOfSection));
}

#[test]
fn environment_acts_on_what_follows_and_on_the_first_reading() {
    let config =
        good("global\n setenv N 5\n presetenv N 6\n maxconn \"$N\"\n unsetenv N\nfrontend f\n bind :80\n");
    assert_eq!(config.global.maxconn, Some(5));
    // What the first reading set is there when the second one comes by.
    let config = good("global\n maxconn \"$N\"\n setenv N 5\nfrontend f\n bind :80\n");
    assert_eq!(config.global.maxconn, Some(5));
}

#[test]
fn one_mistake_makes_one_report() {
    let (_, reports) = load_files(
        &[
            "cache c\n total-max-size 4\n max-age 5\nfrontend f 1.2.3.4:80\n bind :80\n foo\nbackend b\n mode htpp\n",
        ],
        &CommandLine::default(),
    );
    let codes: Vec<Code> = reports
        .iter()
        .map(|diag| diag.code)
        .filter(|code| *code != Code::Refused)
        .collect();
    assert_eq!(
        codes,
        [Code::NotSupported, Code::UnexpectedArgument, Code::BadArgument]
    );
}

#[test]
fn http_statements_go_where_nobody_speaks_http() {
    let text = "listen l\n bind :80\n option forwardfor\n option http-no-delay\n monitor-uri /m\n timeout client 1s\n";
    let (config, reports) = load_files(&[text], &CommandLine::default());
    let config = config.expect("accepted");
    let listen = proxy(&config, "l");
    assert!(listen.forwardfor.is_none() && !listen.options.http_no_delay && listen.monitor_uri.is_none());
    assert_eq!(
        reports.iter().filter(|diag| diag.code == Code::Ignored).count(),
        3
    );
    // A frontend that leads to HTTP keeps them.
    let config =
        good("frontend f\n bind :80\n option forwardfor\n default_backend b\nbackend b\n mode http\n");
    assert!(proxy(&config, "f").forwardfor.is_some());
}

/// Lines that look like configuration: headers, keywords of the tables with all kinds of words behind.
fn line() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = registry::KEYWORDS
        .iter()
        .flat_map(|rows| rows.iter().map(|row| row.name))
        .collect();
    let headers = [
        "global",
        "defaults",
        "defaults d",
        "frontend f",
        "backend b from d",
        "listen l",
        "backend f",
    ];
    let words = prop_oneof![
        Just("0"),
        Just("1"),
        Just("-1"),
        Just("99999999999999999999"),
        Just("5s"),
        Just("10k"),
        Just("on"),
        Just("off"),
        Just("tcp"),
        Just("http"),
        Just("if"),
        Just("127.0.0.1:80"),
        Just(":80-90"),
        Just("mptcp@:1"),
        Just("/x"),
        Just("f"),
        Just("b"),
        Just("\\#2"),
        Just("random(3)"),
        Just("%ci"),
        Just("except"),
        Just("10.0.0.0/8"),
        Just("\"\""),
        Just("$X"),
        Just("global"),
        Just("127.0.0.1"),
        Just("s"),
        Just("1-3"),
        Just("\\xff"),
        Just("é"),
    ];
    let keyword = (
        proptest::sample::select(names),
        proptest::collection::vec(words, 0..5),
    );
    prop_oneof![
        1 => proptest::sample::select(headers.to_vec()).prop_map(str::to_owned),
        8 => keyword.prop_map(|(name, words)| format!(" {name} {}", words.join(" "))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that a file says makes the loader fall; what is refused has a reason, and the reason a place.
    #[test]
    fn any_lines_end_in_a_verdict(lines in proptest::collection::vec(line(), 0..40)) {
        let text = lines.join("\n") + "\n";
        let (config, reports) = load_files(&[&text], &CommandLine::default());
        let alerts: Vec<&Diag> = reports
            .iter()
            .filter(|diag| diag.severity == Severity::Alert && diag.code != Code::Refused)
            .collect();
        prop_assert_eq!(config.is_none(), !alerts.is_empty(), "{}\n{:?}", text, alerts);
        prop_assert!(alerts.iter().all(|diag| diag.span.is_some()), "{}\n{:?}", text, alerts);
        for diag in &reports {
            prop_assert!(!diag.text.contains('\n'), "{:?}", diag);
        }
    }
}
