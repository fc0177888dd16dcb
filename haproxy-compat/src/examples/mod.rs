//! Upstream's example configurations, as they are, in a small world of network namespaces that has the addresses that
//! they name. A `.stage` file of `examples/` says for one of them what stands around it and how it is tried:
//!
//! ```text
//! client ADDR/LEN       the client's address        front ADDR/LEN   the proxy's towards it
//! origin ADDR/LEN       the servers' address        back ADDR/LEN    the proxy's towards them
//! divert ADDR           what servers send to clients comes to the proxy, at this address of it
//! serve origin|proxy ADDR:PORT tcp|mptcp            a server, in whose namespace, and where
//! ask ADDR:PORT tcp|mptcp                           a request of the client
//! ```
//! The same is done with a real haproxy and with rproxy; what client and servers saw must be the same.

pub mod role;
mod world;

use std::path::{Path, PathBuf};

use crate::play::difference;
use crate::program::{Program, home};
use world::World;

/// One line of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// An address of a namespace on one of its sides.
    Address(Place, String),
    Divert(String),
    Serve(Where, String, String),
    Ask(String, String),
}

/// The four ends of the two wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Client,
    Front,
    Back,
    Origin,
}

/// A namespace that servers can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Origin,
    Proxy,
}

/// What came of an example.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Both programs did the same.
    Same,
    /// They did not: both sides.
    Different(String),
    /// Not tried, and why.
    Skipped(String),
}

/// Reads a stage; panics on what it does not understand.
fn read_stage(name: &str, text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let own = str::to_string;
        match words[..] {
            ["client", addr] => Line::Address(Place::Client, own(addr)),
            ["front", addr] => Line::Address(Place::Front, own(addr)),
            ["back", addr] => Line::Address(Place::Back, own(addr)),
            ["origin", addr] => Line::Address(Place::Origin, own(addr)),
            ["divert", addr] => Line::Divert(own(addr)),
            ["serve", "origin", addr, proto] => Line::Serve(Where::Origin, own(addr), own(proto)),
            ["serve", "proxy", addr, proto] => Line::Serve(Where::Proxy, own(addr), own(proto)),
            ["ask", addr, proto] => Line::Ask(own(addr), own(proto)),
            _ => panic!("{name}: not understood: {line}"),
        }
    };
    text.lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
        .map(line)
        .collect()
}

/// The examples of some directories, each once, by name.
pub fn found(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for directory in directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for path in entries.map(|e| e.path()) {
            let known = files.iter().any(|f| f.file_name() == path.file_name());
            if path.extension().is_some_and(|e| e == "cfg") && !known {
                files.push(path);
            }
        }
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    files
}

/// Where examples are looked for: what the distribution's package has, and what lies beside the project.
pub fn usual_places() -> Vec<PathBuf> {
    vec![
        home().join("../../shared/examples-upstream"),
        PathBuf::from("/usr/share/doc/haproxy/examples"),
    ]
}

/// Tries an example with both programs.
pub fn compare(example: &Path, real: &Program, own: &Program) -> Outcome {
    let stem = example
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if let Some(keyword) = own.refuses(example) {
        return Outcome::Skipped(format!("not yet: {keyword}"));
    }
    if let Some(report) = real.refuses(example) {
        return Outcome::Skipped(format!("this haproxy refuses it: {report}"));
    }
    let Ok(text) = std::fs::read_to_string(home().join(format!("examples/{stem}.stage"))) else {
        return Outcome::Different(format!(
            "{stem}: rproxy accepts it, and no stage says how to try it"
        ));
    };
    let stage = read_stage(&stem, &text);
    let theirs = match observe(example, real, &stage) {
        Ok(lines) => lines,
        Err(reason) => return Outcome::Skipped(reason),
    };
    match observe(example, own, &stage) {
        Ok(ours) if ours == theirs => Outcome::Same,
        Ok(ours) => Outcome::Different(difference(&stem, &theirs, &ours)),
        Err(reason) => Outcome::Skipped(reason),
    }
}

/// What client and servers saw; `Err` when there is no world to be had here.
fn observe(example: &Path, program: &Program, stage: &[Line]) -> Result<Vec<String>, String> {
    let mut world = World::new()?;
    for line in stage {
        match line {
            Line::Address(place, addr) => world.address(*place, addr)?,
            Line::Divert(addr) => world.divert(addr)?,
            Line::Serve(place, addr, proto) => world.serve(*place, addr, proto)?,
            Line::Ask(..) => {}
        }
    }
    let mut lines = Vec::new();
    let asks = stage.iter().filter_map(|line| match line {
        Line::Ask(addr, proto) => Some((addr, proto)),
        _ => None,
    });
    let mut started = false;
    for (addr, proto) in asks {
        if !std::mem::replace(&mut started, true) {
            world.start(program, example, addr)?;
        }
        lines.push(format!("= ask {addr} {proto}"));
        lines.extend(world.ask(addr, proto));
    }
    lines.extend(world.end());
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_understood() {
        for entry in std::fs::read_dir(home().join("examples"))
            .expect("stages")
            .flatten()
        {
            let text = std::fs::read_to_string(entry.path()).expect("a stage");
            let lines = read_stage(&entry.path().display().to_string(), &text);
            assert!(lines.iter().any(|l| matches!(l, Line::Ask(..))));
            assert!(lines.iter().any(|l| matches!(l, Line::Serve(..))));
        }
    }
}
