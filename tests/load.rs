//! Golden tests of loading: whole files under `tests/load/{ok,bad,later}`, single statements in `lines.tsv`.
//!
//! `verdicts.tsv` and `lines.tsv` hold what HAProxy 3.4.0 said when it was given the same text: its exit code under
//! `-c` (0 fine, 1 refused, 2 nothing to listen to), the lines that its alerts name (`-` for one without a line) and,
//! where it accepts, the number of its warnings. Cases under `later` are accepted by HAProxy and refused here by
//! name, at the line given, as not supported yet. The `.txt` beside a file holds the whole reports and the exit
//! code; with `BLESS=1` in the environment of the tests they are written anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use haproxy_compat::verdicts::{around, unescaped};
use rproxy::conf::cond::Facts;
use rproxy::conf::diag::{Code, Diag, Severity, Sink};
use rproxy::conf::render;
use rproxy::conf::source::Sources;
use rproxy::load::{CommandLine, MemHost, has_listener, load};

/// What came of a text.
struct Outcome {
    exit: u8,
    /// Lines of the alerts, sorted as text; `-` for one that names none.
    lines: Vec<String>,
    warnings: usize,
    reports: String,
    diags: Vec<Diag>,
}

/// The text without which nothing can be said: what became of the files as a whole.
fn is_summary(diag: &Diag) -> bool {
    diag.code == Code::Refused
}

/// The line that the first line of a report names.
fn named_line(first_line: &str) -> String {
    let place = first_line.split_once('[').map_or("", |(_, rest)| rest);
    let place = place.split_once('[').map_or("", |(_, rest)| rest);
    let line = place
        .split_once(']')
        .and_then(|(place, _)| place.rsplit_once(':'));
    line.map_or_else(|| "-".to_owned(), |(_, line)| line.to_owned())
}

fn outcome(text: &str) -> Outcome {
    let mut sources = Sources::new();
    sources.add(b"c.cfg", text.as_bytes().to_vec()).expect("small");
    let cmdline = CommandLine {
        facts: Facts {
            version: "3.4.0".into(),
            ..Facts::default()
        },
        ..CommandLine::default()
    };
    let mut sink = Sink::new();
    let mut host = MemHost::default();
    host.directories.extend([
        b"/tmp".to_vec(),
        b"/mnt".to_vec(),
        b".".to_vec(),
        b"../.".to_vec(),
    ]);
    host.files.insert(b"/dev/null".to_vec(), Vec::new());
    let config = load(&sources, &cmdline, Rc::new(host), &mut sink);
    let exit = match &config {
        None => 1,
        Some(config) if has_listener(config) => 0,
        Some(_) => 2,
    };
    let diags: Vec<Diag> = sink
        .drain()
        .into_iter()
        .filter(|diag| diag.severity != Severity::Diag)
        .collect();
    let alert = |diag: &&Diag| diag.severity >= Severity::Tolerated && !is_summary(diag);
    let alerts = diags.iter().filter(alert);
    let mut lines: Vec<String> = alerts
        .map(|diag| named_line(&render::first_line(diag, &sources, 1)))
        .collect();
    lines.sort();
    Outcome {
        exit,
        lines,
        warnings: diags
            .iter()
            .filter(|diag| diag.severity == Severity::Warning)
            .count(),
        reports: diags
            .iter()
            .map(|diag| render::render(diag, &sources, 1))
            .collect(),
        diags,
    }
}

/// Differences between an outcome and the columns exit, alert lines and warnings of a table.
fn differences(got: &Outcome, columns: &[&str]) -> Option<String> {
    let [exit, lines, warnings] = columns else {
        return Some("a row of the table lacks columns".to_owned());
    };
    let got_lines = if got.lines.is_empty() {
        "-".to_owned()
    } else {
        got.lines.join(",")
    };
    let mut faults = Vec::new();
    if *exit == "later" {
        let codes: Vec<Code> = got
            .diags
            .iter()
            .filter(|diag| !is_summary(diag) && diag.severity == Severity::Alert)
            .map(|diag| diag.code)
            .collect();
        if got.exit != 1 || codes.is_empty() || codes.iter().any(|code| *code != Code::NotSupported) {
            faults.push(format!(
                "expected a refusal by name, got exit {} and {codes:?}",
                got.exit
            ));
        }
    } else if *exit != got.exit.to_string() {
        faults.push(format!("exit {} instead of {exit}", got.exit));
    }
    if *lines != got_lines {
        faults.push(format!("alerts at {got_lines} instead of {lines}"));
    }
    if *warnings != "-" && *warnings != got.warnings.to_string() {
        faults.push(format!("{} warnings instead of {warnings}", got.warnings));
    }
    (!faults.is_empty()).then(|| format!("{}\n{}", faults.join("; "), got.reports))
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/load")
}

fn table(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).expect("the table")
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn single_statements() {
    let table = table("lines.tsv");
    let mut faults = Vec::new();
    let mut count = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [section, text, rest @ ..] = &*columns else {
            panic!("'{row}' is no row");
        };
        let got = outcome(&around(section, &unescaped(text)));
        faults.extend(differences(&got, rest).map(|fault| format!("{section}: {text}: {fault}")));
        count += 1;
    }
    assert!(count > 500, "the table is not all there");
    assert_none(&faults);
}

#[test]
fn whole_files() {
    let table = table("verdicts.tsv");
    let verdicts: HashMap<&str, Vec<&str>> = table
        .lines()
        .skip(1)
        .filter_map(|row| {
            let mut columns = row.split('\t');
            Some((columns.next()?, columns.collect()))
        })
        .collect();
    let bless = std::env::var_os("BLESS").is_some();
    let mut faults = Vec::new();
    let mut seen = HashMap::new();
    for kind in ["ok", "bad", "later"] {
        let entries = std::fs::read_dir(directory().join(kind)).expect("the directory of the cases");
        let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        cases.retain(|path| path.extension().is_some_and(|extension| extension == "cfg"));
        cases.sort();
        for case in cases {
            let name = format!("{kind}/{}", case.file_stem().expect("a name").to_string_lossy());
            let text = std::fs::read_to_string(&case).expect("readable");
            let got = outcome(&text);
            match verdicts.get(&*name) {
                Some(columns) => {
                    faults.extend(differences(&got, columns).map(|fault| format!("{name}: {fault}")));
                }
                None => faults.push(format!("{name} has no verdict")),
            }
            *seen.entry(kind).or_insert(0) += 1;
            let expected = case.with_extension("txt");
            let golden = format!("{}exit {}\n", got.reports, got.exit);
            if bless {
                std::fs::write(&expected, golden).expect("writable");
            } else if std::fs::read_to_string(&expected).ok().as_deref() != Some(&*golden) {
                faults.push(format!("{name}: other reports than expected:\n{golden}"));
            }
        }
    }
    assert!(seen["ok"] >= 30 && seen["bad"] >= 60, "cases are missing");
    assert_eq!(
        seen.values().sum::<i32>(),
        verdicts.len() as i32,
        "verdicts without a case"
    );
    assert_none(&faults);
}
