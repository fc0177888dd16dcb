//! Runs the project's varnishtest scripts (`haproxy-compat/vtc`) against the program under test, and against the
//! haproxy on PATH where there is one: a script that the real one fails is a wrong script. A script with a line
//! `#REQUIRE_VERSION=3.4` is not for an older one. The runner is `VTEST` when that is set, else `vtest` or
//! `varnishtest` on PATH; without one the tests say so and pass.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test starts processes and threads of its own

use haproxy_compat::program::{Program, on_path, two_numbers};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The runner that is there.
fn runner() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("VTEST") {
        let named = PathBuf::from(named);
        assert!(
            named.exists(),
            "VTEST names {}, which does not exist",
            named.display()
        );
        return Some(named);
    }
    let found = ["vtest", "varnishtest"].into_iter().find_map(on_path);
    if found.is_none() {
        eprintln!("skipped: neither VTEST nor a vtest or varnishtest program on PATH");
    }
    found
}

/// The version that a script asks for.
fn required(script: &Path) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string(script).expect("the script is readable");
    let wanted = text.lines().find_map(|l| l.strip_prefix("#REQUIRE_VERSION="))?;
    Some(two_numbers(wanted).expect("a version"))
}

/// The scripts, sorted.
fn all_scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy-compat/vtc");
    let entries = std::fs::read_dir(&folder).expect("the scripts are there");
    let mut scripts: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "vtc"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 15, "the scripts are there");
    scripts
}

/// Runs one script; gives the end of its output when it fails.
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
    let telling: Vec<&str> = text
        .lines()
        .filter(|l| {
            l.starts_with("----") || l.contains("ALERT") || l.contains("panicked") || l.contains("EXPECT")
        })
        .collect();
    Some(format!(
        "{}: {}\n{}\n",
        script.display(),
        output.status,
        telling.join("\n")
    ))
}

/// Every script passes with this program.
fn all_pass(runner: &Path, program: &Path, scripts: &[PathBuf]) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(text) = failure(runner, program, script) {
                        failures.lock().expect("no runner panicked").push(text);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no runner panicked");
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} scripts fail with {}\n{}",
        failures.len(),
        scripts.len(),
        program.display(),
        failures.concat()
    );
}

#[test]
fn scripts() {
    let Some(runner) = runner() else { return };
    all_pass(&runner, &haproxy_compat::binary(), &all_scripts());
}

#[test]
fn scripts_with_the_real_haproxy() {
    let Some(runner) = runner() else { return };
    let Some(real) = on_path("haproxy").map(Program::new) else {
        eprintln!("skipped: no haproxy on PATH");
        return;
    };
    let has = real.numbers().expect("a version");
    let (fitting, newer): (Vec<PathBuf>, Vec<PathBuf>) = all_scripts()
        .into_iter()
        .partition(|script| required(script).is_none_or(|wanted| wanted <= has));
    for script in newer {
        eprintln!(
            "skipped: {} is for a later haproxy than {has:?}",
            script.display()
        );
    }
    all_pass(&runner, &real.path, &fitting);
}
