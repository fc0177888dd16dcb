//! The varnishtest scripts of `vtc/`, run against any program. A script with a line `#REQUIRE_VERSION=3.4` is not for
//! an older haproxy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::parallel;
use crate::program::{Program, home, on_path, two_numbers};
use crate::proxy::finish;

/// The longest that a script may take: the runner itself gives it 20 seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// The program that runs scripts: `VTEST` when that is set, else `vtest` or `varnishtest` on PATH.
pub fn runner() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("VTEST") {
        let named = PathBuf::from(named);
        assert!(
            named.exists(),
            "VTEST names {}, which does not exist",
            named.display()
        );
        return Some(named);
    }
    ["vtest", "varnishtest"].into_iter().find_map(on_path)
}

/// The scripts, sorted.
pub fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home().join("vtc")).expect("the scripts are there");
    let mut scripts: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "vtc"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 15, "the scripts are there");
    scripts
}

/// Whether a script is for a program of that version.
pub fn fits(script: &Path, program: &Program) -> bool {
    let text = std::fs::read_to_string(script).expect("the script is readable");
    let wanted = text.lines().find_map(|l| l.strip_prefix("#REQUIRE_VERSION="));
    wanted
        .is_none_or(|wanted| two_numbers(wanted).expect("a version") <= program.numbers().expect("a version"))
}

/// Runs scripts with a program; gives the telling part of the output of each that fails.
pub fn failures(runner: &Path, program: &Path, scripts: &[PathBuf]) -> Vec<String> {
    let failures = Mutex::new(Vec::new());
    let none = |_| ();
    parallel::each(scripts, 4, none, |(), _, script| {
        if let Some(text) = failure(runner, program, script) {
            failures.lock().expect("no runner panicked").push(text);
        }
        true
    });
    let mut failures = failures.into_inner().expect("no runner panicked");
    failures.sort();
    failures
}

fn failure(runner: &Path, program: &Path, script: &Path) -> Option<String> {
    let mut command = Command::new(runner);
    command
        .args(["-t", "20", "-b", "2M"])
        .arg(script)
        .env("HAPROXY_PROGRAM", program)
        .env("HAPROXY_ARGS", "-dM -dI -dW");
    let (status, text) = match finish(&mut command, LIMIT) {
        Ok(ended) if ended.code == Some(0) => return None,
        Ok(ended) => (format!("status {:?}", ended.code), ended.stdout),
        Err(text) => ("no end".to_string(), text),
    };
    let is_telling = |l: &&str| {
        l.starts_with("----") || l.contains("ALERT") || l.contains("panicked") || l.contains("EXPECT")
    };
    let telling: Vec<&str> = text.lines().filter(is_telling).collect();
    Some(format!(
        "{} with {}: {status}\n{}\n",
        script.display(),
        program.display(),
        telling.join("\n")
    ))
}
