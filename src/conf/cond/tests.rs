//! Tests of conditions; the table holds the verdicts and messages of HAProxy 3.4.0 for `-cc`.

use super::*;

/// Conditions with V=`val` and E empty in the environment.
const VERDICTS: &[(&str, Result<bool, &str>)] = &[
    (r#"1"#, Ok(true)),
    (r#"0"#, Ok(false)),
    (r#"00"#, Ok(false)),
    (r#"0x0"#, Ok(false)),
    (
        r#"0x"#,
        Err(r#"unexpected character 'x' at the end of conditional expression '0x'"#),
    ),
    (
        r#"0b1"#,
        Err(r#"unexpected character 'b' at the end of conditional expression '0b1'"#),
    ),
    (
        r#"08"#,
        Err(r#"unexpected character '8' at the end of conditional expression '08'"#),
    ),
    (r#"-0"#, Ok(false)),
    (r#"+5"#, Ok(true)),
    (
        r#"1a"#,
        Err(r#"unexpected character 'a' at the end of conditional expression '1a'"#),
    ),
    (r#"!1"#, Ok(false)),
    (r#"!!1"#, Ok(true)),
    (r#"! ! 0"#, Ok(false)),
    (r#"(1)"#, Ok(true)),
    (r#"(1"#, Err(r#"expected ')' after conditional expression '(1'"#)),
    (r#"((0)||1)"#, Ok(true)),
    (r#"1&&"#, Err(r#"unparsable conditional expression '&&'"#)),
    (r#"1 &&"#, Err(r#"unparsable conditional expression '&&'"#)),
    (r#"1 ||"#, Err(r#"unparsable conditional expression '1 ||'"#)),
    (r#"1 || 0 &&"#, Err(r#"unparsable conditional expression '&&'"#)),
    (r#"0 && 1 || 1"#, Ok(true)),
    (r#"1 || 0 && 0"#, Ok(true)),
    (r#"()"#, Err(r#"unparsable conditional expression ')'"#)),
    (r#"!"#, Err(r#"unparsable conditional expression '!'"#)),
    (r#"foo"#, Err(r#"unparsable conditional expression 'foo'"#)),
    (r#"foo("#, Err(r#"unparsable conditional expression 'foo('"#)),
    (r#"defined"#, Ok(false)),
    (r#"defined()"#, Ok(false)),
    (r#"defined(V)"#, Ok(true)),
    (r#"defined( V )"#, Ok(false)),
    (
        r#"defined(V"#,
        Err(r#"expected ')' in argument 1 of predicate 'defined' used in conditional expression"#),
    ),
    (
        r#"defined(V)x"#,
        Err(r#"unexpected character 'x' at the end of conditional expression 'defined(V)x'"#),
    ),
    (
        r#"defined(V,x)"#,
        Err(
            r#"expected ')' before ',x)' in argument 1 of predicate 'defined' used in conditional expression"#,
        ),
    ),
    (
        r#"streq"#,
        Err(
            r#"missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' used in conditional expression"#,
        ),
    ),
    (
        r#"streq(a"#,
        Err(
            r#"missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' used in conditional expression"#,
        ),
    ),
    (
        r#"streq(a,a"#,
        Err(r#"expected ')' in argument 1 of predicate 'streq' used in conditional expression"#),
    ),
    (r#"streq(a,a)"#, Ok(true)),
    (
        r#"streq(a,a,b)"#,
        Err(r#"expected ')' before ',b)' in argument 1 of predicate 'streq' used in conditional expression"#),
    ),
    (
        r#"streq(\"a,\",'a,')"#,
        Err(r#"expected ')' before ',)' in argument 1 of predicate 'streq' used in conditional expression"#),
    ),
    (r#"streq(\\a,\\\\a)"#, Ok(true)),
    (r#"streq("$V",val)"#, Ok(true)),
    (r#"strneq(a,b)"#, Ok(true)),
    (
        r#"strneq(a)"#,
        Err(
            r#"missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'strneq' used in conditional expression"#,
        ),
    ),
    (r#"strstr(abc,bc)"#, Ok(true)),
    (r#"strstr(abc,)"#, Ok(true)),
    (r#"strstr(,a)"#, Ok(false)),
    (r#"version_atleast(3.4)"#, Ok(true)),
    (r#"version_atleast(3.4.0)"#, Ok(true)),
    (r#"version_atleast(3.4.1)"#, Ok(false)),
    (r#"version_atleast(3.5-dev1)"#, Ok(false)),
    (r#"version_atleast(3.4-dev14)"#, Ok(true)),
    (r#"version_atleast()"#, Ok(true)),
    (r#"version_atleast(x)"#, Ok(true)),
    (r#"version_atleast(3.4.0-1)"#, Ok(false)),
    (r#"version_atleast(3.4.0-64a335366)"#, Ok(true)),
    (r#"version_before(3.4)"#, Ok(false)),
    (r#"version_before(3.4.1)"#, Ok(true)),
    (r#"version_before(3.5-dev0)"#, Ok(true)),
    (r#"version_before(3.4.0.0)"#, Ok(false)),
    (r#"version_before(3.4.0.1)"#, Ok(true)),
    (r#"version_before(4-)"#, Ok(true)),
    (
        r#"1 2"#,
        Err(r#"unexpected character '2' at the end of conditional expression '1 2'"#),
    ),
    (
        r#"1 # 2"#,
        Err(r#"unexpected character '#' at the end of conditional expression '1 # 2'"#),
    ),
    (r#""$UNSET""#, Ok(false)),
    (r#""$E""#, Ok(false)),
    (
        r#"1 )"#,
        Err(r#"unexpected character ')' at the end of conditional expression '1 )'"#),
    ),
    (
        r#"1)"#,
        Err(r#"unexpected character ')' at the end of conditional expression '1)'"#),
    ),
    (r#") 1"#, Err(r#"unparsable conditional expression ') 1'"#)),
    (r#"|| 1"#, Err(r#"unparsable conditional expression '|| 1'"#)),
    (
        r#"1 | 1"#,
        Err(r#"unexpected character '|' at the end of conditional expression '1 | 1'"#),
    ),
    (
        r#"1 & 1"#,
        Err(r#"unexpected character '&' at the end of conditional expression '1 & 1'"#),
    ),
    (r#"1 || || 1"#, Err(r#"unparsable conditional expression '|| 1'"#)),
    (r#"(1 && )"#, Err(r#"unparsable conditional expression ')'"#)),
    (
        r#"(1) (1)"#,
        Err(r#"unexpected character '(' at the end of conditional expression '(1) (1)'"#),
    ),
    (r#"99999999999999999999999"#, Ok(true)),
    (r#"defined(V) && !defined(W)"#, Ok(true)),
    (
        r#"defined(V\"#,
        Err(
            r#"failed to parse '\' after 'V' as type 'string' at position 1 in argument 0 of predicate 'defined' used in conditional expression"#,
        ),
    ),
];

fn env() -> Env {
    let mut env = Env::new();
    env.set(b"V", b"val").expect("room");
    env.set(b"E", b"").expect("room");
    env
}

fn facts() -> Facts {
    Facts {
        version: "3.4.0-64a335366".into(),
        features: vec!["EPOLL".into(), "TFO".into()],
        enabled: vec!["SPLICE".into()],
        tls_library: None,
    }
}

fn check(condition: &str) -> Result<bool, String> {
    evaluate_argument(condition.as_bytes(), &env(), &facts()).map_err(|diag| diag.text)
}

#[test]
fn verdicts_of_haproxy() {
    for (condition, expected) in VERDICTS {
        let expected = expected.map_err(|text| format!("Failed to evaluate condition: {text}"));
        assert_eq!(check(condition), expected, "{condition}");
    }
}

#[test]
fn facts_are_asked() {
    assert_eq!(
        check("feature(EPOLL) && !feature(POLL) && !feature(EPOL)"),
        Ok(true)
    );
    assert_eq!(check("enabled(SPLICE) && !enabled(POLL)"), Ok(true));
    assert_eq!(check("ssllib_name_startswith(Open)"), Ok(false));
    let mut facts = facts();
    facts.tls_library = Some("OpenSSL 3.0.1".into());
    assert_eq!(
        evaluate(b"ssllib_name_startswith(Open)", &env(), &facts),
        Ok(true)
    );
    assert_eq!(
        evaluate(
            b"version_atleast(3.5)",
            &env(),
            &Facts {
                version: "3.5-dev3".into(),
                ..facts
            }
        ),
        Ok(false)
    );
}

#[test]
fn what_is_not_there_is_an_error_only_when_asked() {
    let text = "Failed to evaluate condition: invalid argument to conditional expression predicate \
                'openssl_version_atleast': '1.1.1'";
    assert_eq!(check("openssl_version_atleast(1.1.1)"), Err(text.into()));
    assert_eq!(check("1 || awslc_api_before(1)"), Ok(true));
    assert_eq!(check("0 && awslc_api_atleast(1)"), Ok(false));
}

#[test]
fn words_of_the_argument() {
    assert_eq!(
        check("\"1"),
        Err("Syntax Error in condition: Unmatched quote.".into())
    );
    assert_eq!(
        check("\\x4"),
        Err("Syntax Error in condition: Truncated or invalid hexadecimal sequence.".into())
    );
    assert!(check("\"${V\"").is_err() && check("\"$1\"").is_err() && check("\"${V[}\"").is_err());
    assert_eq!(
        check(&"1 ".repeat(65)),
        Err("Error in condition: Too many words.".into())
    );
    assert_eq!(check("streq(\"$V\",    1)"), Ok(false));
    assert_eq!(check("streq( 1,    1)"), Ok(true));
}

#[test]
fn depth_is_bounded() {
    let nested = |count: usize| format!("{}1{}", "(".repeat(count), ")".repeat(count));
    assert_eq!(evaluate(nested(300).as_bytes(), &env(), &facts()), Ok(true));
    assert!(evaluate(nested(100_000).as_bytes(), &env(), &facts()).is_err());
    let chain = |count: usize| vec!["1"; count].join("&&");
    assert_eq!(evaluate(chain(1000).as_bytes(), &env(), &facts()), Ok(true));
    assert!(evaluate(chain(100_000).as_bytes(), &env(), &facts()).is_err());
    let argument = format!("defined({})", "x".repeat(MAX_ARG_BYTES + 1));
    assert!(evaluate(argument.as_bytes(), &env(), &facts()).is_err());
}

#[test]
fn versions() {
    let order = [
        "2.8",
        "3.0-dev1",
        "3.0-dev2",
        "3.0-rc1",
        "3.0",
        "3.0.1",
        "3.0.1-5",
        "3.0.1-abcdef-7",
        "3.10",
    ];
    let parsed: Vec<_> = order.iter().map(|text| version(text.as_bytes())).collect();
    assert!(
        parsed.iter().all(Option::is_some) && parsed.is_sorted(),
        "{parsed:?}"
    );
    for bad in ["", "x", "1.x", "1.2.3.4.5", "3.0-dev1x", "3.0-a-"] {
        assert_eq!(version(bad.as_bytes()), None, "{bad}");
    }
}
