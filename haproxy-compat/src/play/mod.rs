//! The player of case files. A file holds cases; a case says what a client sends, what the origin
//! answers, and what came of it: the client's bytes, the origin's bytes, the ends, the log lines.
//! What came of it is recorded from the reference program by `RECORD=1` and never written by hand.
//!
//! ```text
//! # about the file                      probe | shared | counters | rawlog | routes | slots MS     (flags)
//! needs ipv6 mptcp root                  what the machine must have, else the file is skipped
//! global| defaults| frontend| backend| server|   lines added to the usual configuration
//! config| line                                   or a configuration of its own
//! file NAME bytes                                a file in {tmp}
//! case NAME
//! a> bytes\r\n        client a sends (lines join)        a to fe2 | a shut | a reset | a close
//! a read [head]       reads one response                 a end | a quiet [MS] | a wait MS | a probe
//! a silent MS         notes whether bytes came within this time
//! a until TEXT        reads until TEXT came              a slow> bytes | a small (receive window)
//! sync s1 TEXT        waits until the origin got TEXT    wait MS | cli> command
//! s2 at ADDRESS       an origin with an address of its own, as `mptcp@127.0.0.1:0`, `{run}/name`, `abns@{tag}`
//! a to ADDRESS        the same for a client's target     listeners     notes what the program listens on
//! s1 request|head|accept|bytes N|eof     begins a block of the origin's script, when this happens:
//! s1< bytes\r\n       the origin sends                   s1 wait MS | shut | close | reset | raw
//! ---
//! = a                 what was recorded
//! ```
//! In configurations `{s1}` is an origin's address, `{dead}` one that refuses, `{full}` one that never
//! answers, `{log}` and `{log2}` log targets, `{free1}` a port that the proxy binds itself (`{free1.port+1}` to
//! `{free1.port+3}` follow it), `{tmp}` the configuration's directory, `{run}` another one, `{tag}` a word of this run;
//! `fd@${fe}` an inherited listener.

mod counters;
mod judge;
mod parse;
mod places;
mod run;
mod show;

use std::path::PathBuf;

pub use judge::{Verdict, Wrong, stale_known_differences};
pub use parse::recorded_line;
pub use show::difference;

use crate::origin::Block;
use crate::program::Program;

/// One step of a client's script.
#[derive(Clone, Debug)]
enum Step {
    To(char, String),
    Send(char, Vec<u8>),
    Slow(char, Vec<u8>),
    Shut(char),
    Reset(char),
    Close(char),
    Read(char, bool),
    End(char),
    Quiet(char, u64),
    Silent(char, u64),
    Probe(char),
    Until(char, Vec<u8>),
    Small(char),
    Wait(u64),
    Sync(String, Vec<u8>),
    Cli(String),
    Listeners,
}

/// One case.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    /// The lines of the case as written, without its results.
    source: Vec<String>,
    config: Config,
    steps: Vec<Step>,
    origins: Vec<(String, Vec<Block>)>,
    expected: Vec<String>,
}

/// The parts of a configuration, in the order given.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Config {
    global: Vec<String>,
    defaults: Vec<String>,
    frontend: Vec<String>,
    backend: Vec<String>,
    server: Vec<String>,
    whole: Vec<String>,
    /// Files beside the configuration: name and content.
    files: Vec<(String, Vec<u8>)>,
    /// Origins with an address of their own.
    at: Vec<(String, String)>,
}

/// One file of cases.
pub struct File {
    /// Subject and file, as `http/bodies.case`.
    pub name: String,
    path: PathBuf,
    /// The lines before the first case.
    head: Vec<String>,
    flags: Flags,
    cases: Vec<Case>,
}

/// How a file is played.
#[derive(Clone, Default, Debug)]
struct Flags {
    /// A client without an explicit end asks whether its connection still lives.
    probe: bool,
    /// Cases with one configuration share a process, one after the other.
    shared: bool,
    /// What a case adds to the counters of `show stat` and `show info` is noted, and what is still in use when its
    /// clients and origins are gone.
    counters: bool,
    /// Log lines with their syslog head and every number of time as a mask.
    rawlog: bool,
    /// Each connection to an origin is shown with its addresses.
    routes: bool,
    /// What the machine must have: `ipv6`, `mptcp`, `root`.
    needs: Vec<String>,
    /// Milliseconds that timers are rounded down to; 0 shows `+` for any time.
    slots: u64,
}

/// Plays a file of `cases/` with the program under test and panics with every difference from the recording; records
/// it anew when `RECORD` is set. `CASE=part-of-a-name` plays some of the cases only.
pub fn play(name: &str) {
    let mut file = File::read(name);
    let program = Program::new(crate::binary());
    let only = std::env::var("CASE").ok();
    if std::env::var_os("RECORD").is_some() {
        file.record(&program, only.as_deref());
        return;
    }
    let verdict = file.judge(&program, only.as_deref());
    if let Some(reason) = &verdict.skipped {
        eprintln!("skipped: {name}: {reason}");
        return;
    }
    assert!(verdict.total > 0 || only.is_some(), "{name} holds no case");
    for uneven in &verdict.uneven {
        eprintln!(
            "{name}: this came out right only when it was played again{}",
            uneven.text
        );
    }
    let text: Vec<&str> = verdict.wrong.iter().map(|w| w.text.as_str()).collect();
    assert!(
        text.is_empty(),
        "{name}: {} of {} cases differ from the reference\n{}",
        text.len(),
        verdict.total,
        text.concat()
    );
}
