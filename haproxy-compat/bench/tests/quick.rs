//! The bench works: one short round with rproxy and the relay answers requests and has figures for them. What the
//! figures are is no matter here; machines that run tests are no place to measure.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The rproxy of the same build, one directory above this test.
fn rproxy() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let mut places = own.ancestors().skip(1).take(2).map(|place| place.join("rproxy"));
    places
        .find(|path| path.is_file())
        .expect("no rproxy beside this test: cargo build")
}

/// Every number that stands behind `"name": `.
fn numbers(json: &str, name: &str) -> Vec<f64> {
    let key = format!("\"{name}\": ");
    let number = |rest: &str| rest.split([',', '}']).next().and_then(|n| n.trim().parse().ok());
    json.split(&key).skip(1).filter_map(number).collect()
}

fn bench(words: &[&str], json: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rproxy-bench"))
        .arg("--rproxy")
        .arg(rproxy())
        .args(["--rounds", "1", "--only", "null", "--only", "rproxy", "--json"])
        .arg(json)
        .args(words)
        .output()
        .expect("the bench starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{messages}");
    std::fs::read_to_string(json).expect("the figures are written")
}

#[test]
fn one_second_of_it() {
    let directory = std::env::temp_dir().join(format!("bench-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
    let (file, plot) = (directory.join("figures.json"), directory.join("plot.svg"));
    let plot_words = ["--plot", plot.to_str().unwrap_or_default()];
    let words = [
        "--workload",
        "small",
        "--seconds",
        "0.5",
        "--warm",
        "0.2",
        "--rate",
        "200",
    ];
    let json = bench(&[&words[..], &plot_words].concat(), &file);
    // Two contenders, a closed and an open loop each.
    for name in ["answers", "cpu_run_ns", "p50_ns", "p99_ns", "window_ns"] {
        let found = numbers(&json, name);
        assert_eq!(found.len(), 4, "{name}: {json}");
        assert!(found.iter().all(|number| *number > 0.0), "{name}: {json}");
    }
    assert!(
        numbers(&json, "errors").iter().all(|number| *number == 0.0),
        "{json}"
    );
    let drawing = std::fs::read_to_string(&plot).expect("the drawing is written");
    assert!(drawing.starts_with("<svg ") && drawing.contains("rproxy"));
    let _ = std::fs::remove_dir_all(&directory);
}
