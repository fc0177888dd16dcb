//! Runs the project's varnishtest scripts (`haproxy-compat/vtc`) against the program under test. The
//! runner is `VTEST` when that is set, else `vtest` or `varnishtest` on PATH; without one the test says
//! so and passes.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test starts processes and threads of its own

mod support;

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
    let path = std::env::var_os("PATH")?;
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    ["vtest", "varnishtest"]
        .iter()
        .find_map(|name| places.iter().map(|p| p.join(name)).find(|p| p.is_file()))
}

/// Runs one script; gives the end of its output when it fails.
fn failure(runner: &Path, script: &Path) -> Option<String> {
    let output = Command::new(runner)
        .args(["-t", "20", "-b", "2M"])
        .arg(script)
        .env("HAPROXY_PROGRAM", support::binary())
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

#[test]
fn scripts() {
    let Some(runner) = runner() else {
        eprintln!("skipped: neither VTEST nor a vtest or varnishtest program on PATH");
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy-compat/vtc");
    let entries = std::fs::read_dir(&folder).expect("the scripts are there");
    let mut scripts: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "vtc"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 15, "the scripts are there");
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(text) = failure(&runner, script) {
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
        "{} of {} scripts fail\n{}",
        failures.len(),
        scripts.len(),
        failures.concat()
    );
}
