//! `make bench`: rproxy beside HAProxy, nginx, and a relay that parses nothing.
//!
//! Each contender in turn gets the same load from the same generator in front of the same origin, several rounds over.
//! The figure that counts is CPU time per request, from the scheduler's account of all threads: it tells what a core can
//! do, whether or not the generator could fill it. README.md beside this crate says how to read the rest.
//!
//! A crate of its own, apart from haproxy-compat: it needs neither the proxy's library nor the harness of the cases, and
//! so is built in seconds with all optimisations; what it shares with them is nothing but the programs it starts.

#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // sockets, clocks and processes are what this is made of

mod client;
mod contender;
mod crowd;
mod figures;
mod hist;
mod json;
mod load;
mod machine;
mod measure;
mod null;
mod options;
mod origin;
mod plot;
mod process;
mod report;
mod roles;
mod rounds;
mod sink;
mod sockets;
mod wire;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use contender::Contender;
use measure::{Rig, Span};
use options::Args;
use process::{Cores, on_path};
use rounds::{Plan, Table};

const USAGE: &str = "usage: rproxy-bench [OPTIONS]
  --rproxy PROGRAM       the rproxy to measure (the one beside this program unless told)
  --haproxy PROGRAM      a HAProxy to measure; may be there more than once (the one on PATH unless told)
  --contender NAME=CMD   a command to measure as well, with {port}, {origin1} and {origin2} in it
  --only PART            contenders with PART in their names; may be there more than once
  --workload PART        workloads with PART in their names
  --rounds 5             rounds
  --seconds 4            seconds of each measurement; --warm 0.5 before it
  --rate N               requests per second of the open loop (half of the slowest proxy's closed loop unless told)
  --json FILE, --plot FILE   the figures as JSON, a drawing of the costs as SVG
  --list                 say what the workloads are
The parts that it plays itself:
";

/// What a person asked for.
struct Words {
    plan: Plan,
    json: Option<PathBuf>,
    plot: Option<PathBuf>,
    /// What is not there.
    missing: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((first, rest)) if first == "role" => match rest.split_first() {
            Some((role, rest)) => roles::play(role, rest.to_vec()).map(|()| true),
            None => Err("role of what?".into()),
        },
        Some((first, [])) if first == "--list" => {
            for work in workload::ALL {
                println!("{:<16} {}", work.name, work.about);
            }
            Ok(true)
        }
        _ => read(Args::new(words)).and_then(|words| run(&words)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rproxy-bench: {error}\n{USAGE}{}", roles::USAGE);
            ExitCode::from(2)
        }
    }
}

fn read(mut args: Args) -> Result<Words, String> {
    let mut missing = Vec::new();
    let mut contenders = vec![Contender::null()?];
    let rproxy = match args.one("--rproxy")? {
        Some(path) => path,
        None => {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            own.with_file_name("rproxy")
        }
    };
    contenders.push(Contender::haproxy(&rproxy)?);
    let mut haproxies: Vec<PathBuf> = args.all("--haproxy")?;
    if haproxies.is_empty() {
        haproxies.extend(on_path("haproxy"));
    }
    if haproxies.is_empty() {
        missing.push("haproxy: none on PATH, none named with --haproxy".into());
    }
    for path in haproxies {
        let mut haproxy = Contender::haproxy(&path)?;
        if contenders.iter().any(|other| other.name == haproxy.name) {
            haproxy.name = format!("{}#{}", haproxy.name, contenders.len());
        }
        contenders.push(haproxy);
    }
    match Contender::nginx() {
        Some(nginx) => contenders.push(nginx),
        None => missing.push("nginx: none on PATH".into()),
    }
    for text in args.all::<String>("--contender")? {
        contenders.push(Contender::other(&text)?);
    }
    let only: Vec<String> = args.all("--only")?;
    if !only.is_empty() {
        contenders.retain(|one| only.iter().any(|part| one.name.contains(part.as_str())));
    }
    let part: String = args.one("--workload")?.unwrap_or_default();
    let mut workloads: Vec<_> = workload::ALL
        .iter()
        .copied()
        .filter(|w| w.name.contains(&part))
        .collect();
    // A whole name means that one alone.
    if let Some(exact) = workloads.iter().find(|work| work.name == part) {
        workloads = vec![*exact];
    }
    if workloads.is_empty() {
        return Err(format!("no workload has '{part}' in its name; --list tells them"));
    }
    let span = Span {
        warm: args.one("--warm")?.unwrap_or(0.5),
        seconds: args.one("--seconds")?.unwrap_or(4.0),
    };
    for seconds in [span.warm, span.seconds] {
        roles::seconds(seconds)?;
    }
    let words = Words {
        plan: Plan {
            contenders,
            workloads,
            rounds: args.one("--rounds")?.unwrap_or(5).max(1),
            span,
            rate: args.one("--rate")?,
        },
        json: args.one("--json")?,
        plot: args.one("--plot")?,
        missing,
    };
    args.end()?;
    Ok(words)
}

/// Measures and reports; whether all went well.
fn run(words: &Words) -> Result<bool, String> {
    let directory = Scratch::new()?;
    let rig = Rig::start(&directory.0, Cores::found())?;
    let machine = machine::facts(&rig.cores, &words.plan, &words.missing);
    for (name, value) in &machine {
        println!("{name}: {value}");
    }
    let mut tables: Vec<Table> = Vec::new();
    for work in &words.plan.workloads {
        let table = rounds::run(&words.plan, &rig, work);
        println!("{}", report::text(&table).trim_end());
        tables.push(table);
    }
    println!("\n== commands and configurations of the last round");
    for table in &tables {
        println!("{}: load: {}", table.work.name, table.load);
        for row in table.rows.iter().filter(|row| !row.command.is_empty()) {
            println!("{}: {}: {}", table.work.name, row.name, row.command);
        }
    }
    let has_nginx = words
        .plan
        .contenders
        .iter()
        .any(|one| one.kind == contender::Kind::Nginx);
    let is_used = |name: &str| {
        let is_wanted = words
            .plan
            .workloads
            .iter()
            .any(|work| work.tcp == name.contains("tcp"));
        is_wanted && (has_nginx || !name.starts_with("nginx"))
    };
    for (name, text) in contender::configurations()
        .into_iter()
        .filter(|(name, _)| is_used(name))
    {
        println!("\n-- {name}\n{}", text.trim_end());
    }
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &words.json {
        write(path, json::text(&machine, &tables))?;
    }
    if let Some(path) = &words.plot {
        write(path, plot::svg(&tables))?;
    }
    Ok(tables.iter().all(|table| table.broken.is_empty()))
}

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("rproxy-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
