//! What a reader must know to judge figures: the machine, the programs, what was asked for.

use std::fs;
use std::path::Path;

use crate::contender::first_line;
use crate::process::{Cores, on_path};
use crate::rounds::Plan;

/// Names and values, in the order of the report.
pub(crate) fn facts(cores: &Cores, plan: &Plan, missing: &[String]) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_string(), value));
    add(
        "note",
        "every proxy runs one event loop on one core: rproxy uses one for now, and the others are told to"
            .into(),
    );
    add("kernel", line("/proc/sys/kernel/osrelease"));
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let count = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = model.unwrap_or_default().trim_start_matches([' ', '\t', ':']);
    add("cores", format!("{count} x {model}"));
    add(
        "memory",
        fs::read_to_string("/proc/meminfo")
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or("?")
            .into(),
    );
    add("load average", line("/proc/loadavg"));
    for name in [
        "mptcp/enabled",
        "ipv4/tcp_congestion_control",
        "ipv4/tcp_wmem",
        "ipv4/tcp_rmem",
    ] {
        let value = line(&format!("/proc/sys/net/{name}"));
        add(
            &format!("net/{name}"),
            value.split_whitespace().collect::<Vec<_>>().join(" "),
        );
    }
    add("pinning", cores.text());
    for contender in &plan.contenders {
        let text = format!("{} ({})", contender.version, contender.path.display());
        add(&contender.name, text);
    }
    for (name, word) in [("wrk", "-v"), ("h2load", "--version")] {
        let version = on_path(name).and_then(|path| first_line(Path::new(&path), word));
        add(name, version.unwrap_or_else(|| "not there".into()));
    }
    for text in missing {
        add("missing", text.clone());
    }
    add(
        "rounds",
        format!(
            "{} of {} s each, after {} s",
            plan.rounds, plan.span.seconds, plan.span.warm
        ),
    );
    facts
}

fn line(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|_| "?".into());
    text.trim().to_string()
}
