//! Tests of addresses; the table holds the verdicts and messages of HAProxy 3.4.0 for `bind`.

use super::*;
use proptest::prelude::*;

/// Addresses of a bind line, and what is wrong with them. Names of hosts are not resolved here, hence those that
/// no resolver knows are missing from the table.
const BIND: &[(&str, Option<&str>)] = &[
    (r#":80"#, None),
    (r#"*:80"#, None),
    (r#"0.0.0.0:80"#, None),
    (r#"127.0.0.1:8080-8090"#, None),
    (r#"127.0.0.1:90-80"#, Some(r#"invalid port range '90-80'"#)),
    (
        r#"127.0.0.1"#,
        Some(r#"missing port specification in '127.0.0.1'"#),
    ),
    (r#"[::]"#, Some(r#"missing port specification in '[::]'"#)),
    (r#"::"#, Some(r#"missing port specification in '::'"#)),
    (r#":::80"#, None),
    (r#"[::]:80"#, None),
    (r#"[::1]:80"#, None),
    (r#"::1:80"#, None),
    (r#"[::1:80"#, Some(r#"invalid address: '[::1' in '[::1:80'"#)),
    (r#"::1]:80"#, Some(r#"invalid address: '::1]' in '::1]:80'"#)),
    (r#"ipv4@:80"#, None),
    (r#"ipv4@*:80"#, None),
    (
        r#"ipv4@[::]:80"#,
        Some(r#"invalid address: '[::]' in 'ipv4@[::]:80'"#),
    ),
    (r#"ipv6@:::80"#, None),
    (r#"ipv6@*:80"#, None),
    (r#"ipv6@:80"#, None),
    (
        r#"ipv6@127.0.0.1:80"#,
        Some(r#"invalid address: '127.0.0.1' in 'ipv6@127.0.0.1:80'"#),
    ),
    (r#"tcp@:80"#, None),
    (r#"tcp4@127.0.0.1:80"#, None),
    (r#"tcp6@::1:80"#, None),
    (r#"mptcp@:80"#, None),
    (r#"mptcp4@1.2.3.4:80"#, None),
    (r#"mptcp6@::1:80"#, None),
    (r#"ip@1.2.3.4:80"#, None),
    (
        r#"udp@:80"#,
        Some(r#"dgram-type address not acceptable in 'udp@:80'"#),
    ),
    (
        r#"udp4@:80"#,
        Some(r#"dgram-type address not acceptable in 'udp4@:80'"#),
    ),
    (
        r#"dgram+ipv4@:80"#,
        Some(r#"dgram-type address not acceptable in 'dgram+ipv4@:80'"#),
    ),
    (r#"stream+ipv4@:80"#, None),
    (r#"stream+mptcp@:80"#, None),
    (
        r#"stream+udp@:80"#,
        Some(r#"dgram-type address not acceptable in 'stream+udp@:80'"#),
    ),
    (r#"dgram+mptcp@:80"#, None),
    (
        r#"quic4@:80"#,
        Some(
            r#"unsupported stream protocol for datagram family 2 address 'quic4@:80'; QUIC is not compiled in if this is what you were looking for."#,
        ),
    ),
    (
        r#"quic6@:80"#,
        Some(
            r#"unsupported stream protocol for datagram family 10 address 'quic6@:80'; QUIC is not compiled in if this is what you were looking for."#,
        ),
    ),
    (
        r#"quic+ipv4@:80"#,
        Some(
            r#"unsupported stream protocol for datagram family 2 address 'quic+ipv4@:80'; QUIC is not compiled in if this is what you were looking for."#,
        ),
    ),
    (r#"unix@/tmp/x"#, None),
    (r#"uxst@/tmp/x"#, None),
    (
        r#"uxdg@/tmp/x"#,
        Some(r#"dgram-type address not acceptable in 'uxdg@/tmp/x'"#),
    ),
    (r#"unix@rel"#, None),
    (r#"unix@"#, None),
    (r#"/tmp/x"#, None),
    (r#"abns@foo"#, None),
    (r#"abnsz@foo"#, None),
    (r#"abnsz@"#, None),
    (r#"abns@"#, None),
    (
        r#"fd@x"#,
        Some(r#"file descriptor 'x' is not a valid integer in 'fd@x'"#),
    ),
    (
        r#"fd@"#,
        Some(r#"file descriptor '' is not a valid integer in 'fd@'"#),
    ),
    (
        r#"fd@-1"#,
        Some(r#"file descriptor '-1' is not a valid integer in 'fd@-1'"#),
    ),
    (
        r#"sockpair@x"#,
        Some(r#"file descriptor 'x' is not a valid integer in 'sockpair@x'"#),
    ),
    (
        r#"sockpair@"#,
        Some(r#"file descriptor '' is not a valid integer in 'sockpair@'"#),
    ),
    (r#"rev@x"#, Some(r#"missing port specification in 'rev@x'"#)),
    (r#":0"#, Some(r#"invalid port '0'"#)),
    (r#":65535"#, None),
    (r#":65536"#, Some(r#"invalid port '65536'"#)),
    (
        r#":99999999999999999999"#,
        Some(r#"invalid port '99999999999999999999'"#),
    ),
    (
        r#":80x"#,
        Some(r#"invalid character 'x' in port number '80x' in ':80x'"#),
    ),
    (
        r#":x"#,
        Some(r#"invalid character 'x' in port number 'x' in ':x'"#),
    ),
    (r#":+5"#, Some(r#"port offset not permitted here in ':+5'"#)),
    (r#":-5"#, Some(r#"port offset not permitted here in ':-5'"#)),
    (r#":"#, Some(r#"missing port specification in ':'"#)),
    (r#":80-"#, Some(r#"invalid port ''"#)),
    (
        r#":80-x"#,
        Some(r#"invalid character 'x' in port number 'x' in ':80-x'"#),
    ),
    (r#":1-65536"#, Some(r#"invalid port '65536'"#)),
    (
        r#":80-90-100"#,
        Some(r#"invalid character '-' in port number '90-100' in ':80-90-100'"#),
    ),
    (r#":80,:81"#, None),
    (r#":80,"#, None),
    (
        r#":80,,:81"#,
        Some(r#"'' resolves to an empty address (environment variable missing?)"#),
    ),
    (
        r#","#,
        Some(r#"'' resolves to an empty address (environment variable missing?)"#),
    ),
    (
        r#":80,:x"#,
        Some(r#"invalid character 'x' in port number 'x' in ':x'"#),
    ),
    (
        r#"127.0.0.1:"#,
        Some(r#"missing port specification in '127.0.0.1:'"#),
    ),
    (r#"1.2.3:80"#, None),
    (r#"01.2.3.4:80"#, None),
    (
        r#"foo@bar:80"#,
        Some(r#"invalid address: 'foo@bar' in 'foo@bar:80'"#),
    ),
    (r#"[]:80"#, Some(r#"invalid address: '[]' in '[]:80'"#)),
    (r#"[:]:80"#, Some(r#"invalid address: '[:]' in '[:]:80'"#)),
    (r#"[127.0.0.1]:80"#, None),
    (r#"[::ffff:1.2.3.4]:80"#, None),
    (
        r#"[fe80::1%eth0]:80"#,
        Some(r#"invalid address: '[fe80::1%eth0]' in '[fe80::1%eth0]:80'"#),
    ),
    (r#"ABNS@foo"#, Some(r#"missing port specification in 'ABNS@foo'"#)),
    (r#"IPV4@:80"#, Some(r#"invalid address: 'IPV4@' in 'IPV4@:80'"#)),
];

fn env() -> Env {
    let mut env = Env::new();
    env.set(b"ADDR", b"[::1]").expect("room");
    env.set(b"FD", b"7").expect("room");
    env
}

fn read(text: &str, rules: &Rules) -> Result<Addr, String> {
    parse(text.as_bytes(), rules, b"", &env()).map_err(|error| error.text)
}

fn ip(transport: Transport, ip: &str, ports: Ports) -> Result<Addr, String> {
    Ok(Addr {
        transport,
        target: Target::Ip {
            ip: ip.parse().expect("literal"),
            ports,
        },
    })
}

fn name(host: &str, family: Family, ports: Ports) -> Result<Addr, String> {
    Ok(Addr {
        transport: Transport::Stream,
        target: Target::Name {
            host: host.into(),
            family,
            ports,
        },
    })
}

fn other(target: Target) -> Result<Addr, String> {
    Ok(Addr {
        transport: Transport::Stream,
        target,
    })
}

#[test]
fn verdicts_of_haproxy() {
    for &(text, expected) in BIND {
        let error = parse_list(text.as_bytes(), &Rules::BIND, b"", &env())
            .err()
            .map(|error| error.text);
        assert_eq!(error.as_deref(), expected, "{text}");
    }
}

#[test]
fn values() {
    let bind = |text| read(text, &Rules::BIND);
    assert_eq!(bind(":80"), ip(Transport::Stream, "0.0.0.0", Ports::One(80)));
    assert_eq!(
        bind("*:80-81"),
        ip(Transport::Stream, "0.0.0.0", Ports::Range(80, 81))
    );
    assert_eq!(bind(":80-80"), ip(Transport::Stream, "0.0.0.0", Ports::One(80)));
    assert_eq!(bind("mptcp@[::]:80"), ip(Transport::Mptcp, "::", Ports::One(80)));
    assert_eq!(bind("mptcp6@*:80"), ip(Transport::Mptcp, "::", Ports::One(80)));
    assert_eq!(
        bind("dgram+mptcp4@1.2.3.4:80"),
        ip(Transport::Mptcp, "1.2.3.4", Ports::One(80))
    );
    assert_eq!(
        bind("[127.0.0.1]:80"),
        ip(Transport::Stream, "127.0.0.1", Ports::One(80))
    );
    assert_eq!(
        bind("localhost:80"),
        name("localhost", Family::Any, Ports::One(80))
    );
    assert_eq!(bind("/tmp/x"), other(Target::Unix((*b"/tmp/x").into())));
    assert_eq!(bind("stream+unix@x"), other(Target::Unix((*b"x").into())));
    let abstracted = |zero_terminated| Target::Abstract {
        name: (*b"n").into(),
        zero_terminated,
    };
    assert_eq!(bind("abns@n"), other(abstracted(false)));
    assert_eq!(bind("abnsz@n"), other(abstracted(true)));
    assert_eq!(bind("fd@3"), other(Target::Fd(3)));
    assert_eq!(bind("sockpair@4"), other(Target::SockPair(4)));
    assert_eq!(bind("${ADDR}:80"), ip(Transport::Stream, "::1", Ports::One(80)));
    assert_eq!(bind("fd@$FD"), other(Target::Fd(7)));
    assert_eq!(bind("$NONE:80"), ip(Transport::Stream, "0.0.0.0", Ports::One(80)));
    let long = format!("fd@{}", u64::MAX);
    assert!(bind(&long).is_err() && bind("rhttp@x").is_err());
}

#[test]
fn statements_differ() {
    let server = |text| read(text, &Rules::SERVER);
    assert_eq!(server("1.2.3.4"), ip(Transport::Stream, "1.2.3.4", Ports::None));
    assert_eq!(server("1.2.3.4:"), ip(Transport::Stream, "1.2.3.4", Ports::None));
    assert_eq!(
        server("mptcp@1.2.3.4:+10"),
        ip(Transport::Mptcp, "1.2.3.4", Ports::Offset(10))
    );
    assert_eq!(
        server("1.2.3.4:-10"),
        ip(Transport::Stream, "1.2.3.4", Ports::Offset(-10))
    );
    assert_eq!(
        server("ipv6@web-1.example.org:80"),
        name("web-1.example.org", Family::V6, Ports::One(80))
    );
    assert_eq!(server("foo@bar:80"), name("foo@bar", Family::Any, Ports::One(80)));
    assert_eq!(
        server("1.2.3.4:80-90"),
        Err("port range not permitted here in '1.2.3.4:80-90'".into())
    );
    assert_eq!(
        server("1.2.3.4:+x"),
        Err("invalid character 'x' in port number 'x' in '1.2.3.4:+x'".into())
    );
    assert_eq!(
        server("fd@3"),
        Err("a file descriptor is not acceptable here in 'fd@3'".into())
    );
    assert_eq!(
        read("1.2.3.4:80-90", &Rules::SERVER_SOURCE),
        ip(Transport::Stream, "1.2.3.4", Ports::Range(80, 90))
    );
    assert_eq!(
        read("127.0.0.1:514", &Rules::LOG),
        ip(Transport::Datagram, "127.0.0.1", Ports::One(514))
    );
    assert_eq!(
        read("tcp@127.0.0.1", &Rules::LOG),
        ip(Transport::Stream, "127.0.0.1", Ports::None)
    );
    assert_eq!(
        read("stream+ipv4@:1", &Rules::DGRAM_BIND),
        Err("stream-type address not acceptable in 'stream+ipv4@:1'".into())
    );
    let none = Rules {
        port: PortRule::Forbidden,
        names: Names::Never,
        ..Rules::SOURCE
    };
    assert_eq!(
        read("1.2.3.4:80", &none),
        Err("port specification not permitted here in '1.2.3.4:80'".into())
    );
    assert_eq!(
        read("localhost", &none),
        Err("invalid address: 'localhost' in 'localhost'".into())
    );
}

/// Addresses of a server line, and what is wrong with them in HAProxy 3.4.0.
#[test]
fn verdicts_of_haproxy_for_servers() {
    let table = [
        ("1.2.3.4:+", None),
        (
            "1.2.3.4:-x",
            Some("invalid character 'x' in port number 'x' in '1.2.3.4:-x'"),
        ),
        ("1.2.3.4:0", None),
        ("1.2.3.4:70000", Some("invalid port '70000'")),
        (
            "1.2.3.4:80x",
            Some("invalid character 'x' in port number '80x' in '1.2.3.4:80x'"),
        ),
        (
            "fd@x",
            Some("file descriptor 'x' is not a valid integer in 'fd@x'"),
        ),
        (
            "sockpair@x",
            Some("file descriptor 'x' is not a valid integer in 'sockpair@x'"),
        ),
        (
            "quic4@:80",
            Some("QUIC protocol selected but support not compiled in (check build options)."),
        ),
        ("udp@1.2.3.4:1", None),
        ("[::1]", None),
        ("[::1:80", None),
        (":80", None),
        ("*", None),
    ];
    for (text, expected) in table {
        assert_eq!(read(text, &Rules::SERVER).err().as_deref(), expected, "{text}");
    }
    assert_eq!(read("::1", &Rules::SERVER), name(":", Family::Any, Ports::One(1)));
}

#[test]
fn lengths() {
    let bind = |text: String| read(&text, &Rules::BIND);
    assert!(bind(format!("abns@{}", "x".repeat(MAX_ABSTRACT_BYTES))).is_ok());
    let name = format!("abns@{}", "x".repeat(MAX_ABSTRACT_BYTES + 1));
    assert_eq!(
        bind(name.clone()),
        Err(format!("socket path '{name}' too long (max 107)"))
    );
    let path = format!("/{}", "x".repeat(MAX_UNIX_BYTES - 1));
    assert!(bind(path.clone()).is_ok());
    let error = parse(path.as_bytes(), &Rules::BIND, b"/run/", &env()).expect_err("too long");
    assert_eq!(error.text, format!("socket path '{path}' too long (max 92)"));
    let prefixed = parse(b"/x", &Rules::BIND, b"/run", &env()).map(|addr| addr.target);
    assert_eq!(prefixed, Ok(Target::Unix((*b"/run/x").into())));
    let many = ":1,".repeat(MAX_LIST + 1);
    assert!(parse_list(many.as_bytes(), &Rules::BIND, b"", &env()).is_err());
}

#[test]
fn places() {
    let at = |text: &[u8]| parse_list(text, &Rules::BIND, b"", &env()).expect_err("bad").at;
    assert_eq!(at(b":80,:8x"), 6..7);
    assert_eq!(at(b":80,[::1:80"), 4..8);
    assert_eq!(at(b"1.2.3.4:90-80"), 8..13);
    assert_eq!(at(b"${ADDR}:x"), 0..9);
    assert_eq!(at(b"unix@/a,:"), 9..9);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_answered(text in proptest::collection::vec(prop_oneof![
        any::<u8>(),
        proptest::sample::select(&b"0123456789.:[]@+-,*$/"[..]),
    ], 0..60)) {
        for rules in [Rules::BIND, Rules::SERVER, Rules::LOG] {
            if let Err(error) = parse_list(&text, &rules, b"/p", &env()) {
                prop_assert!(error.at.start <= error.at.end && error.at.end <= text.len());
            }
        }
    }

    #[test]
    fn prints_back(prefix in "(mptcp[46]?@|tcp@|stream[+]ipv4@|)", octets in any::<u32>(), port in 1..=u16::MAX) {
        prop_assume!(!prefix.contains('6'));
        let text = format!("{prefix}{}:{port}", Ipv4Addr::from(octets));
        let addr = read(&text, &Rules::SERVER).map_err(TestCaseError::fail)?;
        prop_assert_eq!(read(&addr.to_string(), &Rules::SERVER), Ok(addr));
    }
}
