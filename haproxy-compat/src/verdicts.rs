//! What programs say of configurations: the exit status of `-c` and the lines that begin a report.
//!
//! The texts are those of the loading tests, `tests/load`: whole files under `ok` and `bad`, and single statements in
//! `lines.tsv`, which are put between the same few lines. Source of the facts: HAProxy 3.4.0, run.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use crate::play::difference;
use crate::program::{Program, home};
use crate::proxy::finish;
use crate::{PATIENCE, TempDir, parallel};

/// The settings that every statement of `lines.tsv` starts from.
const DEFAULTS: &str = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

/// The proxies that follow the statement.
const PROXIES: &str = "frontend fe\n bind :8080\n default_backend be\nbackend be\n server s 127.0.0.1:1\n";

/// A configuration.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it is from.
    pub name: String,
    /// The text.
    pub text: String,
    /// The exit status that 3.4.0 gave; none where rproxy refuses on purpose, for now, what 3.4.0 takes.
    pub exit: Option<i32>,
}

/// What two programs made of a configuration.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Same status, same lines.
    Same,
    /// Same status, first error at the same place or as many warnings, other words: both sides.
    Worded(String),
    /// Not to be compared, and why.
    Skipped(String),
    /// Different on purpose, and why.
    Known(String),
    /// Different: both sides.
    Different(String),
}

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    exit: Option<i32>,
    lines: Vec<String>,
}

/// A configuration with a statement in a section; panics for a section that is none.
pub fn around(section: &str, text: &str) -> String {
    match section {
        "global" => format!("global\n {text}\n{DEFAULTS}{PROXIES}"),
        "defaults" => format!("{DEFAULTS} {text}\n{PROXIES}"),
        "frontend" => format!("{DEFAULTS}frontend fx\n bind :8081\n {text}\n{PROXIES}"),
        "backend" => format!("{DEFAULTS}backend bx\n {text}\n{PROXIES}"),
        "listen" => format!("{DEFAULTS}listen lx\n bind :8081\n {text}\n{PROXIES}"),
        "tcp" => format!("{DEFAULTS}listen lx\n mode tcp\n bind :8081\n {text}\n{PROXIES}"),
        other => panic!("no place '{other}'"),
    }
}

/// `\n` and `\\` of the table as what they stand for.
pub fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

/// All configurations.
pub fn all() -> Vec<Case> {
    let folder = home().join("../tests/load");
    let table = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).expect("the table");
        let rows = text.lines().skip(1);
        rows.map(|row| row.split('\t').map(str::to_string).collect::<Vec<String>>())
            .collect::<Vec<_>>()
    };
    let mut cases = Vec::new();
    for row in table("verdicts.tsv") {
        let text = std::fs::read(folder.join(format!("{}.cfg", row[0]))).expect("the case");
        cases.push(Case {
            name: format!("load/{}", row[0]),
            text: String::from_utf8_lossy(&text).into_owned(),
            exit: row[1].parse().ok(),
        });
    }
    for row in table("lines.tsv") {
        cases.push(Case {
            name: format!("load/{}: {}", row[0], row[1]),
            text: around(&row[0], &unescaped(&row[1])),
            exit: row[2].parse().ok(),
        });
    }
    cases
}

/// Gives every configuration to both programs.
pub fn compare<'a>(real: &Program, own: &Program, cases: &'a [Case]) -> Vec<(&'a Case, Outcome)> {
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    let own_directory = |_| TempDir::new();
    parallel::each(cases, 2, own_directory, |dir, index, case| {
        let outcome = one(real, own, case, dir);
        let mut outcomes = outcomes.lock().expect("no player panicked");
        outcomes.push((index, outcome));
        true
    });
    let mut outcomes = outcomes.into_inner().expect("no player panicked");
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes
        .into_iter()
        .map(|(index, outcome)| (&cases[index], outcome))
        .collect()
}

/// The first configuration that gets another verdict than 3.4.0's.
pub fn first_wrong(own: &Program) -> Option<String> {
    let dir = TempDir::new();
    let cases = all();
    let wrong = |case: &&Case| {
        dir.write("c.cfg", &case.text);
        case.exit
            .is_some_and(|exit| ask(&own.path, dir.path()).exit != Some(exit))
    };
    cases.iter().find(wrong).map(|case| case.name.clone())
}

fn one(real: &Program, own: &Program, case: &Case, dir: &TempDir) -> Outcome {
    dir.write("c.cfg", &case.text);
    let Some(exit) = case.exit else {
        let said = ask(&own.path, dir.path());
        let refusal = said.lines.iter().find_map(|line| refusal(line));
        return match refusal {
            Some(text) => Outcome::Known(text),
            None => Outcome::Different("not refused by name any more: its line says 'later'".into()),
        };
    };
    let theirs = ask(&real.path, dir.path());
    if theirs.exit != Some(exit) {
        let text = format!("this haproxy gives {:?}, 3.4.0 gave {exit}", theirs.exit);
        return if real.is_reference() {
            Outcome::Different(text)
        } else {
            Outcome::Skipped(text)
        };
    }
    let ours = ask(&own.path, dir.path());
    let shown = |said: &Said| {
        let mut lines = vec![format!("exit {:?}", said.exit)];
        lines.extend(said.lines.iter().cloned());
        lines
    };
    let text = difference(&case.name, &shown(&theirs), &shown(&ours));
    match () {
        () if theirs == ours => Outcome::Same,
        () if theirs.exit != ours.exit => Outcome::Different(text),
        // What is said changes from version to version.
        () if !real.is_reference() => Outcome::Same,
        () if theirs.gist() == ours.gist() => Outcome::Worded(text),
        () => Outcome::Different(text),
    }
}

impl Said {
    /// What must be the same: where the first error is, or how many warnings there are when there is none.
    fn gist(&self) -> Result<&str, usize> {
        let place = |line: &'_ str| -> Option<(usize, usize)> {
            let start = line.find("[c.cfg")?;
            Some((start, start + line[start..].find(']')?))
        };
        match self.lines.iter().find(|line| line.starts_with("[ALERT]")) {
            Some(line) => Ok(place(line).map_or("", |(start, end)| &line[start..end])),
            None => Err(self.lines.len()),
        }
    }
}

/// Asks for the verdict on `c.cfg` of a directory.
fn ask(program: &Path, directory: &Path) -> Said {
    let mut command = Command::new(program);
    command.args(["-c", "-f", "c.cfg"]).current_dir(directory);
    let said = match finish(&mut command, PATIENCE) {
        Ok(said) => said,
        Err(text) => {
            return Said {
                exit: None,
                lines: vec![format!("[ALERT] no end: {text}")],
            };
        }
    };
    let heads = ["[ALERT]", "[WARNING]"];
    let lines: Vec<String> = said
        .stderr
        .lines()
        .filter(|line| heads.iter().any(|head| line.starts_with(head)))
        .map(without_pid)
        .collect();
    Said {
        exit: said.code,
        lines,
    }
}

/// What rproxy says of a word that it knows and does not do, without the place.
pub fn refusal(line: &str) -> Option<String> {
    let end = line.find(" not supported ")?;
    let start = line[..end].rfind(" : ").map_or(0, |at| at + 3);
    Some(line[start..].to_string())
}

/// `[ALERT]    (1234) : text` as `[ALERT] text`.
fn without_pid(line: &str) -> String {
    match line.split_once(" : ") {
        Some((head, text)) => {
            let severity = head.split_whitespace().next().unwrap_or_default();
            format!("{severity} {text}")
        }
        None => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_what_must_differ() {
        assert_eq!(
            without_pid("[ALERT]    (123) : config : [c.cfg:3] : no : good"),
            "[ALERT] config : [c.cfg:3] : no : good"
        );
        assert_eq!(unescaped("a\\nb\\\\n"), "a\nb\\n");
        assert!(all().len() > 500);
    }
}
