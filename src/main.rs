//! Floor 7: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rproxy::ops::boot::main(std::env::args_os())
}
