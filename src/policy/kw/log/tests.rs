//! `log` lines with the verdicts of 3.4.0 (same lines, same first alert).

use super::*;
use crate::policy::draft::Kind;
use crate::policy::kw::testing::{read, run, run_in, verdict};

fn targets(lines: &[&str]) -> Vec<LogTarget> {
    run(lines).expect("accepted by 3.4.0").global.settings.logs
}

fn udp(text: &str) -> LogSink {
    LogSink::Udp(text.parse().expect("address"))
}

#[test]
fn targets_and_their_options() {
    let all = targets(&[
        "log 127.0.0.1 local0",
        "log [::1]:1514 len 80x format rfc5424 sample 3,1-2:5 daemon notice err",
        "log stdout format raw local7",
        "log stderr kern",
        "log fd@7 user debug",
        "log /dev/log cron2",
        "log abns@x local0",
        "log abnsz@x local0",
        "log udp@localhost:0 local0",
    ]);
    let plain = LogTarget {
        sink: udp("127.0.0.1:514"),
        header: LogHeader::Unspecified,
        len_max: 1024,
        sample: None,
        facility: 16,
        level_max: 7,
        level_min: 0,
        global_line: Some(0),
    };
    assert_eq!(all[0], plain);
    let sample = LogSample {
        ranges: vec![(1, 2), (3, 3)],
        size: 5,
    };
    assert_eq!(
        all[1],
        LogTarget {
            sink: udp("[::1]:1514"),
            header: LogHeader::Rfc5424,
            len_max: 80,
            sample: Some(sample),
            facility: 3,
            level_max: 5,
            level_min: 3,
            global_line: Some(1),
        }
    );
    assert_eq!(
        (&all[2].sink, all[2].header, all[2].facility),
        (&LogSink::Fd(1), LogHeader::Raw, 23)
    );
    assert_eq!((&all[3].sink, all[3].facility), (&LogSink::Fd(2), 0));
    assert_eq!((&all[4].sink, all[4].level_max), (&LogSink::Fd(7), 7));
    assert_eq!(
        (&all[5].sink, all[5].facility),
        (&LogSink::UnixDatagram(b"/dev/log".to_vec()), 15)
    );
    let mut padded = vec![0; 107];
    padded[0] = b'x';
    assert_eq!(all[6].sink, LogSink::AbstractDatagram(padded));
    assert_eq!(all[7].sink, LogSink::AbstractDatagram(b"x".to_vec()));
    assert_eq!(all[8].sink, udp("127.0.0.1:514"));
}

#[test]
fn refusals_of_3_4_0() {
    for (line, text) in [
        ("log", "expects <address> and <facility>  as arguments"),
        (
            "log global",
            "'global' is not supported for a global syslog server",
        ),
        ("log global x", "unknown log facility 'x'"),
        ("log 127.0.0.1", "expects <address> and <facility>  as arguments"),
        ("log 127.0.0.1 x", "unknown log facility 'x'"),
        ("log 127.0.0.1 local0 x", "unknown optional log level 'x'"),
        (
            "log 127.0.0.1 local0 info x",
            "unknown optional minimum log level 'x'",
        ),
        (
            "log 127.0.0.1 local0 info notice x",
            "cannot handle unexpected argument 'x'",
        ),
        (
            "log 127.0.0.1 len",
            "invalid log length '', must be between 80 and 65535",
        ),
        (
            "log 127.0.0.1 len 79 local0",
            "invalid log length '79', must be between 80 and 65535",
        ),
        (
            "log 127.0.0.1 len 65536 local0",
            "invalid log length '65536', must be between 80 and 65535",
        ),
        ("log 127.0.0.1 format x local0", "unknown log format 'x'"),
        ("log 127.0.0.1 sample local0", "Missing sample size"),
        (
            "log 127.0.0.1 sample 1: local0",
            "wrong sample size '' for sample range '1'",
        ),
        (
            "log 127.0.0.1 sample 1:5x local0",
            "wrong sample size '5x' for sample range '1'",
        ),
        (
            "log 127.0.0.1 sample 2:1 local0",
            "sample size 1 should be greater or equal to 2 the maximum of the high ranges limits",
        ),
        ("log 127.0.0.1 sample 1-3,2:5 local0", "ranges are overlapping"),
        ("log 127.0.0.1 sample 3-1:5 local0", "wrong sample range '3-1'"),
        ("log 127.0.0.1 sample 3-3:5 local0", "wrong sample range '3-3'"),
        ("log 127.0.0.1 sample :5 local0", "no sampling ranges given"),
        ("log 127.0.0.1 sample 1x:5 local0", "wrong sample range '1x'"),
        (
            "log 127.0.0.1 format raw len 80 local0",
            "unknown log facility 'len'",
        ),
        (
            "log fd@x local0",
            "file descriptor 'x' is not a valid integer in 'fd@x'",
        ),
        (
            "log unixd@/dev/log local0",
            "invalid address: 'unixd@/dev/log' in 'unixd@/dev/log'",
        ),
        (
            "log nohost.invalid local0",
            "invalid address: 'nohost.invalid' in 'nohost.invalid'",
        ),
        (
            "log 127.0.0.1:514-515 local0",
            "port range not permitted here in '127.0.0.1:514-515'",
        ),
        ("log 127.0.0.1:99999 local0", "invalid port '99999'"),
        ("no log x", "'no log' does not expect arguments"),
    ] {
        assert_eq!(verdict(&[line]), Err(format!("log : {text}")), "{line}");
    }
}

#[test]
fn later_targets_are_refused_by_name() {
    for (line, text) in [
        ("log ring@x local0", "a ring as log target is not supported yet."),
        (
            "log backend@x local0",
            "a log backend as log target is not supported yet.",
        ),
        (
            "log tcp@127.0.0.1:514 local0",
            "a stream as log target is not supported yet.",
        ),
        (
            "log mptcp@127.0.0.1:514 local0",
            "a stream as log target is not supported yet.",
        ),
        (
            "log 127.0.0.1 profile x local0",
            "'profile' is not supported yet.",
        ),
    ] {
        assert_eq!(verdict(&[line]), Err(format!("log : {text}")), "{line}");
    }
}

#[test]
fn proxies_copy_the_global_lines_once() {
    let mut outcome = read(None, &["log 127.0.0.1 local0", "log 127.0.0.1 local0"]);
    assert_eq!(outcome.alert(), None);
    let words = |text: &str| {
        text.split(' ')
            .map(|word| Arg::plain(word.as_bytes(), outcome.draft.proxy.span))
            .collect()
    };
    let line = |draft: &mut Draft, words: &Vec<Arg>, count| {
        let mut cursor = ArgCursor::new(words, count, Modifier::Set, draft.proxy.span);
        in_proxy(&mut cursor, draft)
    };
    let global: Vec<Arg> = words("log global");
    let own: Vec<Arg> = words("log 127.0.0.1 local0");
    let draft = &mut outcome.draft;
    line(draft, &global, 1).expect("accepted by 3.4.0");
    assert_eq!(draft.proxy.settings.logs.len(), 2);
    line(draft, &own, 1).expect("accepted by 3.4.0");
    line(draft, &global, 1).expect("accepted by 3.4.0");
    assert_eq!(draft.proxy.settings.logs.len(), 3);
    assert_eq!(draft.proxy.settings.logs[2].global_line, None);
}

#[test]
fn lines_of_proxies() {
    for (line, text) in [
        (
            "log",
            "log : expects <address> and <facility> or global as arguments",
        ),
        (
            "default log",
            "log : expects <address> and <facility> or global as arguments",
        ),
        ("log global x", "log : unknown log facility 'x'"),
    ] {
        assert_eq!(
            run_in(Kind::Listen, &[line]).map(|_| ()),
            Err(text.to_owned()),
            "{line}"
        );
    }
    let proxy = run_in(
        Kind::Defaults,
        &["log stdout local0", "no log", "log 127.0.0.1 local0 info"],
    );
    let logs = proxy.expect("accepted by 3.4.0").settings.logs;
    assert_eq!((logs.len(), logs[0].level_max), (1, 6));
}
