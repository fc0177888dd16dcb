//! Upstream's example configurations, as they are, in a small world of network namespaces that has the addresses that
//! they name. A `.stage` file of `examples/` says for one of them what stands around it and how it is tried:
//!
//! ```text
//! client ADDR/LEN       the client's address        front ADDR/LEN   the proxy's towards it
//! origin ADDR/LEN       the servers' address        back ADDR/LEN    the proxy's towards them
//! divert ADDR           what servers send to clients comes to the proxy, at this address of it
//! serve origin|proxy ADDR:PORT tcp|mptcp            a server, in whose namespace, and where
//! ask ADDR:PORT tcp|mptcp                           a request of the client
//! ---
//! = ask ...             what client and servers saw of HAProxy 3.4.0: recorded, never written by hand
//! ```
//! A recording is of the statements of one edition of the example; another edition is not held against it.

pub mod role;
mod stage;
mod world;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::play::difference;
use crate::program::{Program, home};
use crate::proxy::finish;
use crate::verdicts::refusal;
use crate::{PATIENCE, TempDir};
use stage::{Line, Stage, digest};
use world::World;

/// An example configuration.
pub struct Example {
    /// Its name without an ending.
    pub name: String,
    path: PathBuf,
    stage: Option<Stage>,
    /// Holds the file where it had to be unpacked.
    _unpacked: Option<TempDir>,
}

/// What came of an example.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// As recorded.
    Same,
    /// Not as recorded, or without a recording: both sides, or why.
    Different(String),
    /// The program refuses it: what it says, or the words that it does not know yet.
    Refused(String),
    /// Not tried, and why.
    Skipped(String),
}

/// The examples of some directories, each once, by name.
pub fn found(directories: &[PathBuf]) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for directory in directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for example in entries.filter_map(|e| Example::at(&e.path())) {
            if !examples.iter().any(|e| e.name == example.name) {
                examples.push(example);
            }
        }
    }
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    examples
}

/// Where examples are looked for: what lies beside the project, and what the distribution's package has.
pub fn usual_places() -> Vec<PathBuf> {
    vec![
        home().join("../../shared/examples-upstream"),
        PathBuf::from("/usr/share/doc/haproxy/examples"),
    ]
}

impl Example {
    /// The example in a file, unless the name says that it is none. Packages pack longer ones.
    fn at(path: &Path) -> Option<Self> {
        let file = path.file_name()?.to_str()?;
        let name = file.strip_suffix(".gz").unwrap_or(file).strip_suffix(".cfg")?;
        let (path, unpacked) = if file.ends_with(".gz") {
            let dir = TempDir::new();
            let text = finish(Command::new("gzip").arg("-dc").arg(path), PATIENCE).ok()?;
            let path = dir.write(&format!("{name}.cfg"), &text.stdout);
            (PathBuf::from(path), Some(dir))
        } else {
            (path.to_path_buf(), None)
        };
        Some(Self {
            name: name.to_string(),
            path,
            stage: Stage::of(name),
            _unpacked: unpacked,
        })
    }

    /// How many behaviours of it are looked at.
    pub fn behaviours(&self) -> usize {
        self.stage.as_ref().map_or(1, Stage::asks)
    }

    /// Tries it with a program and holds what is seen against the recording. `launch`: the arguments with which the
    /// running program takes a role of [`role`].
    pub fn judge(&self, program: &Program, launch: &[&str]) -> Outcome {
        if let Some(report) = program.refuses(&self.path) {
            return Outcome::Refused(in_short(&report));
        }
        let Some(stage) = &self.stage else {
            return Outcome::Different("it is accepted, and no stage says how to try it".into());
        };
        if stage.of != Some(self.digest()) {
            let what = match stage.of {
                Some(_) => "another edition than the recorded one",
                None => "nothing is recorded",
            };
            return Outcome::Skipped(what.into());
        }
        match self.observe(program, stage, launch) {
            Ok(seen) if seen == stage.expected => Outcome::Same,
            Ok(seen) => Outcome::Different(difference(&self.name, &stage.expected, &seen)),
            Err(reason) => Outcome::Skipped(reason),
        }
    }

    /// Tries it with the reference and writes down what is seen.
    ///
    /// # Errors
    /// Why it could not be tried or written.
    pub fn record(&self, program: &Program, launch: &[&str]) -> Result<(), String> {
        if let Some(report) = program.refuses(&self.path) {
            return Err(in_short(&report));
        }
        let stage = self.stage.as_ref().ok_or("no stage")?;
        let seen = self.observe(program, stage, launch)?;
        let written = stage.write(&program.version, &self.text(), &seen);
        written.map_err(|e| e.to_string())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    fn digest(&self) -> String {
        digest(&self.text())
    }

    /// What client and servers saw; `Err` when there is no world to be had here.
    fn observe(&self, program: &Program, stage: &Stage, launch: &[&str]) -> Result<Vec<String>, String> {
        let mut world = World::new(launch)?;
        for line in &stage.lines {
            match line {
                Line::Address(place, addr) => world.address(*place, addr)?,
                Line::Divert(addr) => world.divert(addr)?,
                Line::Serve(place, addr, proto) => world.serve(*place, addr, proto)?,
                Line::Ask(..) => {}
            }
        }
        let mut lines = Vec::new();
        let asks = stage.lines.iter().filter_map(|line| match line {
            Line::Ask(addr, proto) => Some((addr, proto)),
            _ => None,
        });
        for (number, (addr, proto)) in asks.enumerate() {
            if number == 0
                && let Err(why) = world.start(program, &self.path, addr)
            {
                return Ok(why.lines().map(|l| format!("= not started: {l}")).collect());
            }
            lines.push(format!("= ask {addr} {proto}"));
            lines.extend(world.ask(addr, proto));
        }
        lines.extend(world.end());
        Ok(lines)
    }
}

/// The words of a report that rproxy does not do yet, each once; its first line where that is not what it is about.
fn in_short(report: &[String]) -> String {
    let mut words: Vec<String> = Vec::new();
    for text in report.iter().filter_map(|line| refusal(line)) {
        let word = text.trim_end_matches(" is not supported yet.").to_string();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if !words.is_empty() {
        return format!("not yet: {}", words.join(", "));
    }
    let first = report.first().map_or("no reason given", String::as_str);
    // `config : parsing [path:12] : text`
    let place = first
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once("] : "));
    match place.and_then(|(place, text)| Some((place.rsplit_once(':')?.1, text))) {
        Some((line, text)) => format!("line {line}: {text}"),
        None => first.to_string(),
    }
}
