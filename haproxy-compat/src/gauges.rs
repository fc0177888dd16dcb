//! What a proxy has in use: gauges of `show stat` and `show info`, and rproxy's pools. When nothing is in flight all are
//! back at 0; what is not was forgotten. Source: management manual, sections 9.1 and 9.3.

use crate::cli;
use crate::proxy::Proxy;

/// Columns of `show stat` that count what there is at present.
const COLUMNS: &[&str] = &[
    "qcur",
    "scur",
    "srv_icur",
    "idle_conn_cur",
    "safe_conn_cur",
    "used_conn_cur",
    "priv_idle_cur",
    "h1_open_connections",
    "h1_open_streams",
];

/// Values of `show info` when nothing is in flight: the question itself is a stream.
const VALUES: &[(&str, &str)] = &[("CurrConns", "0"), ("PipesUsed", "0"), ("CurrStreams", "1")];

/// What is not back at 0, a line for each. `pools`: rproxy's pools as well; HAProxy keeps objects of its own in them.
pub fn in_use(proxy: &Proxy, pools: bool) -> Vec<String> {
    let answer = cli::ask(
        proxy,
        if pools {
            "show info;show stat;show pools"
        } else {
            "show info;show stat"
        },
    );
    assert!(answer.starts_with("Name: "), "no answer to show info: {answer}");
    let mut left = Vec::new();
    for (name, wanted) in VALUES {
        let value = answer
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
        // HAProxy cuts its answer off where buffers are small.
        if let Some(value) = value.filter(|value| value != wanted) {
            left.push(format!(". process {name}={value}"));
        }
    }
    let mut rows = answer.lines().skip_while(|line| !line.starts_with("# pxname"));
    let names: Vec<&str> = rows.next().unwrap_or_default().split(',').collect();
    for line in rows.take_while(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let busy = names
            .iter()
            .zip(&cells)
            .filter(|(name, cell)| COLUMNS.contains(name) && !matches!(**cell, "" | "0"));
        left.extend(busy.map(|(name, cell)| format!(". {}/{} {name}={cell}", cells[0], cells[1])));
    }
    let used = answer
        .lines()
        .filter(|line| pools && line.starts_with("  - Pool ") && !line.contains(" 0 used,"));
    left.extend(used.map(|line| format!(".{line}")));
    left
}
