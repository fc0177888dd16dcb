//! What the program does besides serving: `rproxy check`, `rproxy fmt`.
//!
//! A first argument that is no flag is refused by HAProxy, so that these names collide with nothing.

mod check;
mod findings;
mod fmt;

use std::ffi::OsString;
use std::process::ExitCode;

/// The work that a first argument names, if it names one: its own arguments in, exit code out.
#[must_use]
pub(super) fn named(args: &[OsString]) -> Option<ExitCode> {
    let [program, name, rest @ ..] = args else {
        return None;
    };
    match name.to_str()? {
        "check" => Some(check::run(program, rest)),
        "fmt" => Some(fmt::run(rest)),
        _ => None,
    }
}
