//! The player of case files. A file holds cases; a case says what a client sends, what the origin
//! answers, and what came of it: the client's bytes, the origin's bytes, the ends, the log lines.
//! What came of it is recorded from the reference program by `RECORD=1` and never written by hand.
//!
//! ```text
//! # about the file          probe | shared | counters | rawlog | routes | slots MS | process     (flags)
//! needs ipv6 mptcp root                  what the machine must have, else the file is skipped
//! global| defaults| frontend| backend| server|   lines added to the usual configuration
//! config| line                                   or a configuration of its own
//! file NAME bytes | NAME| line                   a file in {tmp}, as bytes or line by line
//! mask FIELD, ... | keep TEXT | drop TEXT | cut TEXT      what of answers and reports is compared: see `view.rs`
//! case NAME
//! a> bytes\r\n        client a sends (lines join)        a to fe2 | a shut | a reset | a close
//! a read [head]       reads one response                 a end | a quiet [MS] | a wait MS | a probe
//! a silent MS         notes whether bytes came within this time
//! a until TEXT        reads until TEXT came              a slow> bytes | a small (receive window)
//! sync s1 TEXT        waits until the origin got TEXT    wait MS
//! cli> commands       asks the runtime socket fd@${cli}; `cli NAME> ` another one, inherited or in {tmp}
//! a asks NAME         connects to a runtime socket
//! s2 at ADDRESS       an origin with an address of its own, as `mptcp@127.0.0.1:0`, `{run}/name`, `abns@{tag}`
//! a to ADDRESS        the same for a client's target     listeners     notes what the program listens on
//! s1 request|head|accept|bytes N|eof     begins a block of the origin's script, when this happens:
//! s1< bytes\r\n       the origin sends                   s1 wait MS | shut | close | reset | raw
//! ---
//! = a                 what was recorded
//! ```
//! In a file with the flag `process` a case runs and starts the program itself, in {tmp}, with no other environment than
//! it sets:
//!
//! ```text
//! run WORDS           to its end; words with blanks stand between '
//! p1 start WORDS      until it polls what it inherits    p1 begin WORDS (does not wait)
//! p1 signal NAME [daemon|worker]                         p1 gone [daemon|worker] | p1 alive [daemon|worker]
//! p1 until TEXT       waits until TEXT was said          p1 exit (waits for its end) | p1 output (what was said)
//! show FILE           notes what is in a file            kind FILE (notes what it is)
//! env NAME=VALUE | shell COMMAND (first, in the process that becomes the program) | notify (a service manager listens)
//! ```
//! Noted are the end (`. exit 1`, `. signal 15`), standard output behind `|`, and standard error behind `!`: the first
//! line of each report, those of one process together. What explains a report is indented, and each product's own.
//! `{p1}`, `{p1.worker}`, `{p1.daemon}` stand for process numbers, also in WORDS.
//!
//! In configurations `{s1}` is an origin's address, `{dead}` one that refuses, `{full}` one that never
//! answers, `{log}` and `{log2}` log targets, `{free1}` a port that the proxy binds itself (`{free1.port+1}` to
//! `{free1.port+3}` follow it), `{tmp}` the configuration's directory, `{run}` another one, `{tag}` a word of this run;
//! `fd@${fe}` an inherited listener. In log lines the values behind `Ta=` and its like are rounded as other times are,
//! `Ts=`, `ms=` and `bp=` (the proxy's port towards an origin) are masked where they are right, and what stands behind a tag
//! that begins with `x` may be a known number in hexadecimal form.

mod actors;
mod counters;
mod judge;
mod parse;
mod places;
mod process;
mod run;
mod scene;
mod show;
mod troupe;
mod view;

use std::path::PathBuf;

pub use judge::{Verdict, Wrong, stale_known_differences};
pub use parse::recorded_line;
pub use show::difference;

use crate::origin::Block;
use crate::program::Program;

/// One step of a client's script.
#[derive(Clone, Debug)]
enum Step {
    /// Where the client connects to, and whether that is a runtime socket.
    To(char, String, bool),
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
    Listeners,
    /// Where it is asked, and what.
    Cli(String, String),
    Process(process::Deed),
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
    /// What of answers and reports is compared.
    view: view::View,
}

impl Case {
    /// All texts that may name places.
    fn everything(&self) -> String {
        let config = &self.config;
        let texts = config.texts.iter().flat_map(|(_, lines)| lines);
        let env = config.env.iter().map(|(_, value)| value);
        let mut all: Vec<&String> = texts.chain(env).collect();
        all.extend(self.steps.iter().flat_map(|step| match step {
            Step::Process(deed) => deed.words(),
            _ => &[],
        }));
        all.iter().map(|text| format!("{text}\n")).collect()
    }
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
    /// The same as lines.
    texts: Vec<(String, Vec<String>)>,
    /// Variables of what is started.
    env: Vec<(String, String)>,
    /// What a shell does before it becomes the program.
    shell: Option<String>,
    /// Processes are given a service manager to tell.
    notify: bool,
}

impl Config {
    /// The files beside the configuration, their texts as `set` makes them.
    fn beside(&self, mut set: impl FnMut(&str) -> String) -> Vec<(String, Vec<u8>)> {
        let texts = self.texts.iter();
        let texts = texts.map(|(name, lines)| (name.clone(), set(&(lines.join("\n") + "\n")).into_bytes()));
        self.files.iter().cloned().chain(texts).collect()
    }
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
    /// Cases run and start the program themselves.
    process: bool,
    /// What of answers and reports is compared.
    view: view::View,
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
