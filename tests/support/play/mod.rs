//! The player of case files. A file holds cases; a case says what a client sends, what the origin
//! answers, and what came of it: the client's bytes, the origin's bytes, the ends, the log lines.
//! What came of it is recorded from the reference program by `RECORD=1` and never written by hand.
//!
//! ```text
//! # about the file                      probe | shared | rawlog | slots MS | wait-log N  (flags)
//! global| defaults| frontend| backend| server|   lines added to the usual configuration
//! config| line                                   or a configuration of its own
//! file NAME bytes                                a file in {tmp}
//! case NAME
//! a> bytes\r\n        client a sends (lines join)        a to fe2 | a shut | a reset | a close
//! a read [head]       reads one response                 a end | a quiet [MS] | a wait MS | a probe
//! a silent MS         notes whether bytes came within this time
//! a until TEXT        reads until TEXT came              a slow> bytes | a small (receive window)
//! sync s1 TEXT        waits until the origin got TEXT    wait MS | cli> command
//! s1 request|head|accept|bytes N|eof     begins a block of the origin's script, when this happens:
//! s1< bytes\r\n       the origin sends                   s1 wait MS | shut | close | reset | raw
//! ---
//! = a                 what was recorded
//! ```
//! In configurations `{s1}` is an origin's address, `{dead}` one that refuses, `{full}` one that never
//! answers, `{log}` and `{log2}` log targets, `{free1}` a port that the proxy binds itself, `{tmp}` a
//! directory; `fd@${fe}` an inherited listener.

mod parse;
mod run;
mod show;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::origin::Block;

/// How many cases one process serves at most: enough to save starts, few enough to run side by side.
const SHARE: usize = 16;

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
}

/// One file of cases.
struct File {
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
    /// Log lines with their syslog head and every number of time as a mask.
    rawlog: bool,
    /// Milliseconds that timers are rounded down to; 0 shows `+` for any time.
    slots: u64,
}

/// Plays a file below `tests/` against the program under test, or records it when `RECORD` is set.
/// Panics with every difference, by case.
pub(crate) fn play(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let mut file = parse::read(path);
    let record = std::env::var_os("RECORD").is_some();
    let only = std::env::var("CASE").ok();
    let groups = groups(&file, only.as_deref());
    let results: Mutex<Vec<(usize, Vec<String>)>> = Mutex::default();
    let next = AtomicUsize::new(0);
    let flags = &file.flags;
    let cases = &file.cases;
    std::thread::scope(|scope| {
        for _ in 0..groups.len().min(8) {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run::group(group, cases, flags, record, |index, lines| {
                        results.lock().expect("no player panicked").push((index, lines));
                    });
                }
            });
        }
    });
    let results = results.into_inner().expect("no player panicked");
    if record {
        for (index, lines) in results {
            file.cases[index].expected = lines;
        }
        parse::write(&file);
        return;
    }
    let mut results = results;
    results.sort();
    let mut report = String::new();
    let mut wrong = 0;
    let known = known_differences(name);
    for (index, lines) in &results {
        let case = &cases[*index];
        match (case.expected == *lines, known.contains(&case.name)) {
            (false, false) => {
                wrong += 1;
                report.push_str(&show::difference(&case.name, &case.expected, lines));
            }
            (true, true) => {
                wrong += 1;
                report.push_str(&format!(
                    "\ncase {}: a known difference that is none any more\n",
                    case.name
                ));
            }
            (true, false) | (false, true) => {}
        }
    }
    let total = results.len();
    assert!(total > 0, "{name} holds no case");
    assert!(
        wrong == 0,
        "{name}: {wrong} of {total} cases differ from the reference\n{report}"
    );
}

/// Names of the cases of that file in which rproxy differs on purpose; none for the reference itself.
fn known_differences(file: &str) -> Vec<String> {
    let version = std::process::Command::new(super::binary())
        .arg("-v")
        .output()
        .expect("the program runs");
    if !String::from_utf8_lossy(&version.stdout).contains("rproxy") {
        return Vec::new();
    }
    let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("haproxy-compat/known-differences/cases.txt");
    let text = std::fs::read_to_string(&list).expect("the list of known differences");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .filter_map(|line| {
            let (of, rest) = line.split_once(' ')?;
            let (case, reason) = rest.split_once(": ")?;
            assert!(!reason.trim().is_empty(), "{line}: no reason");
            (of == file).then(|| case.to_string())
        })
        .collect()
}

/// The cases that run in one process each.
fn groups(file: &File, only: Option<&str>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, case) in file.cases.iter().enumerate() {
        if only.is_some_and(|o| !case.name.contains(o)) {
            continue;
        }
        let same = |g: &&mut Vec<usize>| file.cases[g[0]].config == case.config;
        match groups.iter_mut().rfind(same) {
            Some(group) if file.flags.shared && group.len() < SHARE => group.push(index),
            _ => groups.push(vec![index]),
        }
    }
    groups
}
