//! Runs the project's varnishtest scripts (`haproxy-compat/vtc`) against the program under test, and against the
//! haproxy on PATH where there is one: a script that the real one fails is a wrong script. Without a runner the tests
//! say so and pass.

use haproxy_compat::program::{Program, on_path};
use haproxy_compat::{binary, scripts};
use std::path::{Path, PathBuf};

/// Every script passes with this program.
fn all_pass(program: &Path, fitting: &[PathBuf]) {
    let Some(runner) = scripts::runner() else {
        eprintln!("skipped: neither VTEST nor a vtest or varnishtest program on PATH");
        return;
    };
    let failures = scripts::failures(&runner, program, fitting);
    assert!(
        failures.is_empty(),
        "{} of {} scripts fail\n{}",
        failures.len(),
        fitting.len(),
        failures.concat()
    );
}

#[test]
fn with_rproxy() {
    all_pass(&binary(), &scripts::all());
}

#[test]
fn with_the_real_haproxy() {
    let Some(real) = on_path("haproxy").map(Program::new) else {
        eprintln!("skipped: no haproxy on PATH");
        return;
    };
    let (fitting, newer): (Vec<PathBuf>, Vec<PathBuf>) = scripts::all()
        .into_iter()
        .partition(|script| scripts::fits(script, &real));
    for script in newer {
        eprintln!(
            "skipped: {} is for a later one than {}",
            script.display(),
            real.version
        );
    }
    all_pass(&real.path, &fitting);
}
