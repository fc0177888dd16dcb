//! The compatibility harness: what rproxy does beside what HAProxy does.
//!
//! ```text
//! cargo run -p haproxy-compat -- keywords             prints docs/keywords.md from the rows
//! cargo run -p haproxy-compat -- ledger NAMES.tsv     counts HAProxy's names that are done, refused, unknown
//! ```
//! The vtc tests of the harness are in `vtc/`, for varnishtest; `make test` runs them.

mod keywords;
mod ledger;
mod rows;

use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: haproxy-compat keywords | haproxy-compat ledger NAMES.tsv
  keywords          print the reference of everything that rproxy knows (docs/keywords.md)
  ledger NAMES.tsv  compare with a list of HAProxy's names: class, tab, name, and further columns";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = match words[..] {
        ["keywords"] => keywords::reference(),
        ["ledger", file] => match std::fs::read_to_string(file) {
            Ok(names) => ledger::report(&names),
            Err(error) => {
                eprintln!("haproxy-compat: {file}: {error}");
                return ExitCode::FAILURE;
            }
        },
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
