//! `rproxy fmt`: lays configuration files out.
//!
//! ```text
//! rproxy fmt [--check] FILE...      writes each file anew, or says which would change
//! rproxy fmt < FILE                 from the standard input to the standard output
//! ```
//!
//! 0: done, or nothing to do; 1: with `--check`, a file would change, or a file could not be read or written; 2: the
//! command line makes no sense.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use crate::conf::ast::Document;
use crate::conf::fmt;
use crate::conf::source::Sources;

const USAGE: &str = "Usage: rproxy fmt [--check] [FILE]...\n";

/// Formats what the arguments name.
pub(super) fn run(args: &[OsString]) -> ExitCode {
    let mut check = false;
    let mut files = Vec::new();
    for arg in args {
        match arg.as_bytes() {
            b"--check" => check = true,
            text if text.starts_with(b"-") => {
                say(USAGE);
                return ExitCode::from(2);
            }
            _ => files.push(arg),
        }
    }
    let good = if files.is_empty() {
        standard(check)
    } else {
        // Every file has its turn, whatever came of the others.
        files.into_iter().filter(|name| !file(name, check)).count() == 0
    };
    ExitCode::from(u8::from(!good))
}

fn say(text: &str) {
    // Nothing can be done about a closed standard error.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The text laid out, or why it cannot be a configuration.
fn formatted(name: &OsStr, text: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut sources = Sources::new();
    let file = sources
        .add(name.as_bytes(), text)
        .map_err(|error| error.to_string())?;
    Ok(fmt::format(&Document::parse(&sources, file), &sources))
}

fn standard(check: bool) -> bool {
    let mut text = Vec::new();
    let done = io::stdin()
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())
        .and_then(|_| formatted(OsStr::new("-"), text.clone()));
    match done {
        Ok(made) if check => made == text,
        Ok(made) => io::stdout().write_all(&made).is_ok(),
        Err(why) => {
            say(&format!("rproxy fmt: {why}\n"));
            false
        }
    }
}

fn file(name: &OsStr, check: bool) -> bool {
    let done = fs::read(name)
        .map_err(|error| error.to_string())
        .and_then(|text| Ok((formatted(name, text.clone())?, text)));
    let outcome = match done {
        Ok((made, text)) if made == text => return true,
        Ok(_) if check => {
            // Names go to the standard output, for other programs.
            let _ = io::stdout().write_all(&[name.as_bytes(), b"\n"].concat());
            return false;
        }
        Ok((made, _)) => replace(Path::new(name), &made).map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    if let Err(why) = &outcome {
        say(&format!("rproxy fmt: {}: {why}\n", name.display()));
    }
    outcome.is_ok()
}

/// Puts a text in the place of a file at once: nobody ever sees half of it, and its rights stay.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // A name that is taken is nobody's to write over.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&new)?;
    let written = file
        .write_all(text)
        .and_then(|()| fs::set_permissions(&new, fs::metadata(&path)?.permissions()))
        .and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // What is half done must not stay.
        let _ = fs::remove_file(&new);
    }
    written
}
