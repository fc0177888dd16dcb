//! Whole conversations against what HAProxy 3.4.0 answers on its socket, byte for byte where it has the case.

use super::session::CliSession;
use crate::engine::service::{Opening, Service};
use crate::model::ids::ListenerId;
use crate::model::listener::Level;
use crate::ops::fixture::Stage;
use proptest::prelude::*;

/// Drives a conversation as the engine does: input in pieces, output as it comes, then the end of the input.
fn talk_in_pieces(
    stage: &mut Stage,
    level: Level,
    input: &[u8],
    piece: usize,
    room: usize,
) -> (String, bool) {
    let opening = Opening {
        listener: ListenerId(2),
        level,
        from_master: false,
    };
    let mut session = CliSession::new(opening, &stage.config);
    let mut out = Vec::new();
    let mut buffer = vec![0; room];
    let mut drain = |session: &mut CliSession, stage: &mut Stage| loop {
        let count = session.output(&mut buffer, &mut stage.cx());
        if count == 0 {
            break;
        }
        out.extend_from_slice(&buffer[..count]);
    };
    let mut rest = input;
    while !rest.is_empty() && !session.is_finished() {
        let taken = session.input(&rest[..piece.min(rest.len())], &mut stage.cx());
        rest = &rest[taken..];
        drain(&mut session, stage);
    }
    let open = !session.is_finished();
    session.input_closed();
    drain(&mut session, stage);
    assert!(session.is_finished());
    (String::from_utf8_lossy(&out).into_owned(), open)
}

fn talk(input: &str) -> String {
    talk_in_pieces(&mut Stage::new(), Level::Admin, input.as_bytes(), 4096, 4096).0
}

fn talk_as(level: Level, input: &str) -> String {
    talk_in_pieces(&mut Stage::new(), level, input.as_bytes(), 4096, 4096).0
}

const V: &str = "3.4.0-rproxy\n\n";

#[test]
fn one_line_per_connection_unless_interactive() {
    assert_eq!(talk("show version"), "");
    assert_eq!(talk("show version\n"), V);
    // The CR ends the command, and what is behind it is an empty one.
    assert_eq!(talk("show version\r\n"), format!("{V}\n"));
    assert_eq!(talk("show version\nshow cli level\n"), V);
    assert_eq!(talk("show version;show cli level\n"), format!("{V}admin\n\n"));
    assert_eq!(talk("show version ;;;\n"), format!("{V}\n\n\n"));
    assert_eq!(talk("; show version\n"), format!("\n{V}"));
    assert_eq!(talk("\n"), "\n");
    assert_eq!(talk("quit;show version\n"), "");
    assert_eq!(talk("show version;quit;show version\n"), V);
}

#[test]
fn prompts() {
    assert_eq!(
        talk("prompt\nshow version\nshow cli level;show version\nquit\n"),
        format!("\n> {V}> admin\n\n{V}> ")
    );
    assert_eq!(talk("prompt\n\n\n"), "\n> \n> \n> ");
    assert_eq!(
        talk("prompt i\nshow version\nshow version;show cli level\n"),
        format!("\n{V}{V}admin\n\n")
    );
    assert_eq!(
        talk("prompt timed\nshow version\n"),
        format!("\n[0:00:00:05]> {V}[0:00:00:05]> ")
    );
    assert_eq!(talk("prompt\nprompt\nshow version\n"), "\n> \n");
    assert!(talk("prompt x\n").starts_with("Usage: prompt "));
    let (_, open) = talk_in_pieces(&mut Stage::new(), Level::Admin, b"prompt\nshow version\n", 99, 99);
    assert!(open);
}

#[test]
fn payloads_are_taken_whole() {
    assert_eq!(talk("show version <<END\nabc\nEND\n"), V);
    assert_eq!(
        talk("prompt\nshow version <<\nabc\n\nshow cli level\n"),
        format!("\n> {V}> admin\n\n> ")
    );
    let (slow, _) = talk_in_pieces(
        &mut Stage::new(),
        Level::Admin,
        b"prompt\nshow version <<\na\n\n",
        1,
        99,
    );
    assert!(slow.contains("+ "), "{slow}");
}

#[test]
fn words_and_refusals() {
    assert_eq!(talk("echo a\\ b c\\;d \\\\e \"q\"\n"), "a b c;d \\e \"q\"\n\n");
    assert_eq!(talk("echo\n"), "\n\n");
    assert_eq!(
        talk(&("a ".repeat(70) + "\n")),
        "Too many arguments. Commands must have at most 64 arguments.\n\n"
    );
    let long = talk(&("x".repeat(20_000) + "\n"));
    assert!(long.contains("too big") && long.ends_with('\n') && !long.ends_with("\n\n"));
}

#[test]
fn rights() {
    let denied = "Permission denied\n\n";
    for command in [
        "show sess",
        "show errors",
        "show env",
        "clear counters",
        "set maxconn global 1",
        "operator",
    ] {
        assert_eq!(talk_as(Level::User, &format!("{command}\n")), denied, "{command}");
    }
    for command in ["clear counters all", "set maxconn global 1", "expert-mode on"] {
        assert_eq!(
            talk_as(Level::Operator, &format!("{command}\n")),
            denied,
            "{command}"
        );
    }
    assert_eq!(
        talk("user;show cli level;operator;show cli level;show sess\n"),
        format!("\nuser\n\n{denied}user\n\n{denied}")
    );
    assert_eq!(talk("operator -\n"), "");
    assert_eq!(talk("operator -;show cli level\n"), "operator\n\n");
}

#[test]
fn unknown_commands_and_help() {
    let unknown = talk("foo\n");
    assert!(
        unknown
            .starts_with("Unknown command: 'foo', but maybe one of the following ones is a better match:\n")
    );
    assert!(unknown.ends_with("\n\n"));
    let lines: Vec<&str> = unknown.trim_end().lines().rev().take(3).collect();
    assert!(lines[0].starts_with("  quit                                    : "));
    assert!(lines[1].starts_with("  prompt [help | n | i | p | timed ]*     : "));
    assert!(lines[2].starts_with("  help [<command>]                        : "));
    let help = talk("help\n");
    assert!(help.starts_with(
        "The following commands are valid at this level:\n  clear counters [all]                    : "
    ));
    assert!(
        talk("help show\n")
            .lines()
            .skip(1)
            .take(3)
            .all(|line| line.starts_with("  show "))
    );
    assert!(
        talk("set severity-output string; foo;set maxconn global\n")
            .contains("\n[info]: Unknown command: 'foo'")
    );
    assert!(
        talk("set severity-output number; set maxconn global\n")
            .ends_with("\n[3]: Expects an integer value.\n\n")
    );
}

#[test]
fn settings() {
    for (command, answer) in [
        ("set maxconn global", "Expects an integer value.\n\n"),
        ("set maxconn global 999999", "Value out of range.\n\n"),
        ("set maxconn frontend", "A frontend name is expected.\n\n"),
        ("set maxconn frontend zz 10", "No such frontend.\n\n"),
        ("set maxconn frontend fe", "Integer value expected.\n\n"),
        ("set maxconn frontend fe -1", "Value out of range.\n\n"),
        ("set timeout cli", "Expects an integer value.\n\n"),
        ("set timeout cli zz", "Invalid timeout value.\n\n"),
        ("set timeout cli 0", "Invalid timeout value.\n\n"),
        ("set timeout foo 3", "'set timeout' only supports 'cli'.\n\n"),
        (
            "set severity-output",
            "one of 'none', 'number', 'string' is a required argument\n\n",
        ),
        ("show env ZZZ", "Variable not found\n\n"),
        ("show env HOME", "HOME=/root\n\n"),
        ("show stat domain foo", "Invalid statistics domain.\n\n"),
        ("show stat xxx 1 1", "No such proxy.\n\n"),
        ("show errors zz", "No such proxy.\n\n"),
        (
            "show sess foo",
            "Unsupported option 'foo', try 'help' for more info.\n\n",
        ),
        ("show sess 0x123", "Session not found.\n\n"),
        ("show backend", "# name\nbe\nempty\ntcpl\n\n"),
        ("expert-mode", "expert-mode is OFF\n\n"),
        ("expert-mode on;expert-mode", "\nexpert-mode is ON\n\n"),
        ("show env", "HOME=/root\nA=b=c\n\n"),
    ] {
        assert_eq!(talk(&format!("{command}\n")), answer, "{command}");
    }
    assert_eq!(
        talk("show cli sockets\n"),
        "# socket lvl processes\nunix@/run/a.sock admin all\nunix@/run/u.sock user all\nunix@/run/o.sock operator all\n\n"
    );
}

#[test]
fn settings_change_the_state() {
    let mut stage = Stage::new();
    let input = b"set maxconn global 100;set maxconn frontend fe 7;set timeout cli 5m\n";
    assert_eq!(
        talk_in_pieces(&mut stage, Level::Admin, input, 999, 999).0,
        "\n\n\n"
    );
    assert_eq!(
        (stage.state.process.maxconn, stage.state.proxies[0].maxconn),
        (100, 7)
    );
    assert_eq!(stage.effects.idle_timeout_ms, Some(300_000));
    assert!(stage.effects.wake_listeners);
    let input = b"set maxconn global 0\n";
    talk_in_pieces(&mut stage, Level::Admin, input, 999, 999);
    assert_eq!(stage.state.process.maxconn, 9984);
}

#[test]
fn counters_are_cleared() {
    let mut stage = Stage::new();
    let fill = |stage: &mut Stage| {
        let fe = &mut stage.state.proxies[0].counters.fe;
        (fe.conns_max, fe.sessions, fe.h1.open_conns, fe.h1.total_conns) = (5, 6, 7, 8);
        stage.state.servers[0].counters.queue_time.max_ms = 9;
    };
    fill(&mut stage);
    talk_in_pieces(&mut stage, Level::Operator, b"clear counters\n", 99, 99);
    let fe = stage.state.proxies[0].counters.fe;
    assert_eq!(
        (fe.conns_max, fe.sessions, fe.h1.open_conns, fe.h1.total_conns),
        (0, 6, 7, 8)
    );
    assert_eq!(stage.state.servers[0].counters.queue_time.max_ms, 0);
    fill(&mut stage);
    talk_in_pieces(&mut stage, Level::Admin, b"clear counters all\n", 99, 99);
    let fe = stage.state.proxies[0].counters.fe;
    assert_eq!(
        (fe.conns_max, fe.sessions, fe.h1.open_conns, fe.h1.total_conns),
        (0, 0, 7, 0)
    );
}

#[test]
fn streams_and_errors_and_pools() {
    let list = talk("show sess\n");
    assert_eq!(list.lines().count(), 3);
    assert!(list.starts_with(
        "0x10000: proto=tcpv4 src=10.0.0.9:4000 fe=fe be=be srv=s1 ts=00 epoch=0 age=4s calls=1 rate=0 cpu=0 \
         lat=0 rq[f=000000h,i=0,an=00h,ax=] rp[f=000000h,i=0,an=00h,ax=] scf=[8,0h,fd=7,rex=7s,wex=] \
         scb=[0,0h,fd=-1,rex=7s,wex=] exp=7s rc=0 c_exp=\n0x10005: "
    ));
    assert!(talk("show sess show-uri\n").contains(" uri=\"GET /x HTTP/1.1\"\n"));
    assert_eq!(talk("show sess older 10\n"), "\n");
    assert_eq!(talk("show sess backend empty\n"), "\n");
    assert_eq!(talk("show sess server be/s1\n").lines().count(), 3);
    assert!(talk("show sess 0x10005\n").starts_with("0x10005: [14/Nov/2023:22:13:20.000] id=6 "));
    assert_eq!(talk("show sess all\n").matches("\n  scf: ").count(), 2);
    assert_eq!(
        talk("show errors\n"),
        "Total events captured on [14/Nov/2023:22:13:24.000] : 1\n \n\
         [14/Nov/2023:22:13:20.123] frontend fe (#2): invalid request\n\
         \x20 backend <NONE> (#-1), server <NONE> (#-1), event #0, src 10.0.0.9:4000\n\
         \x20 buffer starts at 0 (including 0 out), 16365 free,\n\
         \x20 len 19, wraps at 16384, error at position 5\n\
         \x20 \n\
         \x20 00000  GET /\\x01 HTTP/1.1\\r\\n\n\
         \x20 00017  \\r\\n\n\n"
    );
    assert_eq!(talk("show errors be\n").lines().count(), 2);
    assert_eq!(talk("show errors fe response\n").lines().count(), 2);
    let pools = talk("show pools\n");
    assert!(pools.contains(
        "  - Pool buffer (16384 bytes) : 4 allocated (65536 bytes), 2 used, needed_avg 3, 1 failures\n"
    ));
    assert!(pools.ends_with("Total: 1 pools, 65536 bytes allocated, 32768 used.\n\n"));
}

#[test]
fn long_answers_need_little_memory() {
    let opening = Opening {
        listener: ListenerId(2),
        level: Level::Admin,
        from_master: false,
    };
    let mut stage = Stage::new();
    let mut session = CliSession::new(opening, &stage.config);
    let line = b"show stat json\n";
    assert_eq!(session.input(line, &mut stage.cx()), line.len());
    // The peer takes nothing: nothing more is made, nothing more is read.
    for _ in 0..100 {
        assert_eq!(session.output(&mut [], &mut stage.cx()), 0);
    }
    assert!(session.is_busy());
    assert_eq!(session.input(b"show info\n", &mut stage.cx()), 0);
    let mut out = Vec::new();
    let mut room = [0; 100];
    while !session.is_finished() {
        let count = session.output(&mut room, &mut stage.cx());
        out.extend_from_slice(&room[..count]);
    }
    assert_eq!(String::from_utf8(out).unwrap(), talk("show stat json\n"));
}

proptest! {
    /// However input and output are cut, the same bytes come out; and nothing makes it panic.
    #[test]
    fn any_split_answers_the_same(
        commands in prop::collection::vec("(show (info|stat|sess|version|cli level|x)|echo [a-c;\\\\<]{0,5}|prompt|prompt i|help|user|)", 1..6),
        piece in 1usize..40,
        room in 1usize..200,
    ) {
        let input = commands.join("\n") + "\n";
        let whole = talk_in_pieces(&mut Stage::new(), Level::Admin, input.as_bytes(), usize::MAX, 4096);
        let mut cut = talk_in_pieces(&mut Stage::new(), Level::Admin, input.as_bytes(), piece, room);
        // The sign that a payload may go on depends on how it arrives.
        cut.0 = cut.0.replace("+ ", "");
        prop_assert_eq!((whole.0.replace("+ ", ""), whole.1), cut);
    }
}
