//! The varnishtest scripts of `vtc/`, run against any program. A script with a line `#REQUIRE_VERSION=3.4` is not for
//! an older haproxy.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::parallel;
use crate::program::{Program, home, on_path, two_numbers};

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
    let output = Command::new(runner)
        .args(["-t", "20", "-b", "2M"])
        .arg(script)
        .env("HAPROXY_PROGRAM", program)
        .env("HAPROXY_ARGS", "-dM -dI -dW")
        .stdin(Stdio::null())
        .output()
        .expect("the runner runs");
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_telling = |l: &&str| {
        l.starts_with("----") || l.contains("ALERT") || l.contains("panicked") || l.contains("EXPECT")
    };
    let telling: Vec<&str> = text.lines().filter(is_telling).collect();
    Some(format!(
        "{} with {}: {}\n{}\n",
        script.display(),
        program.display(),
        output.status,
        telling.join("\n")
    ))
}
