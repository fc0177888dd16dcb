//! The compatibility harness as a command.
//!
//! ```text
//! cargo run -p haproxy-compat -- run [--haproxy PROGRAM] [--rproxy PROGRAM] [NAME...]   both side by side
//! cargo run -p haproxy-compat -- record --haproxy PROGRAM [NAME...]                     records 3.4.0 anew
//! cargo run -p haproxy-compat -- mutate [--count N] [--seed N] [--jobs N] [FILE...]     are broken programs noticed?
//! cargo run -p haproxy-compat -- keywords             prints docs/keywords.md from the rows
//! cargo run -p haproxy-compat -- ledger [NAMES.tsv]   what became of HAProxy's names; from a list, written anew
//! ```

mod keywords;
mod ledger;
mod rows;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use haproxy_compat::live::Plan;
use haproxy_compat::play::File;
use haproxy_compat::program::{Program, on_path};
use haproxy_compat::{examples, mutate};

const USAGE: &str = "usage: haproxy-compat COMMAND
  run [--haproxy PROGRAM] [--rproxy PROGRAM] [--wording] [NAME...]
                    play every case, script and example with both programs and show the differences; a NAME is
                    part of the name of a file or case (http/, chunked, vtc/, examples/, load/); --wording shows
                    reports that differ in their words alone
  record [--haproxy PROGRAM] [NAME...]
                    record what HAProxy 3.4.0 does with the cases of the files with NAME in their names, and with
                    upstream's examples (examples/NAME; root, for network namespaces)
  mutate [--count 200] [--seed 1] [--jobs 6] [FILE...]
                    break a copy of rproxy in many ways and see whether the cases notice; a FILE is part of the name
                    of a source file, with :LINE every place of that line
  keywords          print the reference of everything that rproxy knows (docs/keywords.md)
  ledger [NAMES]    count what became of HAProxy's names; NAMES (class, tab, name, and further columns) writes
                    the ledger anew";

/// The words behind `run` and `record`.
struct Words {
    haproxy: PathBuf,
    rproxy: PathBuf,
    wording: bool,
    names: Vec<String>,
}

impl Words {
    fn read(args: &[String]) -> Result<Self, String> {
        let (mut haproxy, mut rproxy, mut wording, mut names) = (None, None, false, Vec::new());
        let mut args = args.iter();
        while let Some(word) = args.next() {
            let place = match word.as_str() {
                "--haproxy" => &mut haproxy,
                "--rproxy" => &mut rproxy,
                "--wording" => {
                    wording = true;
                    continue;
                }
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                name => {
                    names.push(name.to_string());
                    continue;
                }
            };
            let value = args.next().ok_or_else(|| format!("{word} needs a program"))?;
            *place = Some(PathBuf::from(value));
        }
        let haproxy = haproxy.or_else(|| on_path("haproxy"));
        Ok(Self {
            haproxy: haproxy.ok_or("no haproxy on PATH; --haproxy PROGRAM names one")?,
            rproxy: rproxy.unwrap_or_else(haproxy_compat::binary),
            wording,
            names,
        })
    }
}

fn run(args: &[String]) -> Result<bool, String> {
    let words = Words::read(args)?;
    let plan = Plan {
        real: Program::new(words.haproxy),
        own: Program::new(words.rproxy),
        only: words.names,
        wording: words.wording,
        launch: &["role"],
    };
    Ok(plan.run())
}

fn record(args: &[String]) -> Result<bool, String> {
    let words = Words::read(args)?;
    let program = Program::new(words.haproxy);
    let wanted =
        |file: &String| words.names.is_empty() || words.names.iter().any(|n| file.contains(n.as_str()));
    if !program.is_reference() {
        return Err(format!("only HAProxy 3.4.0 is recorded, not {}", program.version));
    }
    for name in File::all().into_iter().filter(wanted) {
        File::read(&name).record(&program, None);
        println!("{name}: recorded");
    }
    for example in examples::found(&examples::usual_places()) {
        let name = format!("examples/{}", example.name);
        if wanted(&name) {
            match example.record(&program, &["role"]) {
                Ok(()) => println!("{name}: recorded"),
                Err(reason) => println!("{name}: not recorded: {reason}"),
            }
        }
    }
    Ok(true)
}

fn mutate(args: &[String]) -> Result<bool, String> {
    // Builds go beside the program's own.
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let target = own.ancestors().nth(2).ok_or("no build directory")?.to_path_buf();
    let mut plan = mutate::Plan {
        count: 200,
        seed: 1,
        // Cases wait more than they compute.
        jobs: 6,
        target,
        only: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(word) = args.next() {
        let mut number = || -> Result<u64, String> {
            let value = args.next().and_then(|n| n.parse().ok());
            value.ok_or_else(|| format!("{word} needs a number"))
        };
        match word.as_str() {
            "--count" => plan.count = usize::try_from(number()?).map_err(|e| e.to_string())?,
            "--seed" => plan.seed = number()?,
            "--jobs" => plan.jobs = usize::try_from(number()?).map_err(|e| e.to_string())?,
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            name => plan.only.push(name.to_string()),
        }
    }
    Ok(plan.run())
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["run", ..] => run(&args[1..]),
        ["record", ..] => record(&args[1..]),
        ["role"] => examples::role::play().map(|()| true).map_err(|e| e.to_string()),
        ["mutate", ..] => mutate(&args[1..]),
        ["keywords"] => return print(&keywords::reference()),
        ["ledger"] => return print(&ledger::totals()),
        ["ledger", names] => match std::fs::read_to_string(names) {
            Ok(names) => match ledger::update(&names) {
                Ok(()) => return print(&ledger::totals()),
                Err(error) => Err(error),
            },
            Err(error) => Err(format!("{names}: {error}")),
        },
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("haproxy-compat: {error}");
            ExitCode::from(2)
        }
    }
}
