//! `rproxy check`: what `-c` finds, for people, editors and pipelines.
//!
//! ```text
//! rproxy check [--format text|json|sarif|github] [-f FILE]... [flags of the program]
//! ```
//!
//! Findings go to the standard output. 0: the configuration would be started with; 1: it is refused; 2: the command line
//! makes no sense.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::ExitCode;
use std::rc::Rc;

use super::super::args::{self, Stop};
use super::super::boot;
use super::super::host::RealHost;
use super::super::messages::Voice;
use super::super::version;
use super::findings::{self, Findings, Format};
use crate::conf::diag::{Code, Diag, Form, Severity, Sink};
use crate::load;

const USAGE: &str = "Usage: rproxy check [--format text|json|sarif|github] [-f FILE]... [flags]\n";

const SENSELESS: u8 = 2;

/// Checks what the arguments name.
pub(super) fn run(program: &OsStr, args: &[OsString]) -> ExitCode {
    let Some((format, flags)) = split(args) else {
        return senseless("");
    };
    // In front, as `--` takes all words to the end for files.
    let all = [program.to_owned(), "-c".into()].into_iter().chain(flags);
    let invocation = match args::parse(all) {
        Ok(invocation) => invocation,
        Err(Stop::Refuse(why)) => return senseless(&format!("{why}\n")),
        Err(_) => return senseless(""),
    };
    let dumps =
        invocation.dump_config.is_some() || invocation.dump_keywords.is_some() || invocation.dump_libs;
    if invocation.condition.is_some() || dumps {
        return senseless("-cc, -dC, -dK, -dL and -dA are no flags of this command.\n");
    }
    let mut voice = Voice::new(program);
    for warning in &invocation.warnings {
        voice.warning(warning);
    }
    if let Err(code) = boot::enter_directory(&invocation, &mut voice) {
        return code;
    }
    let sources = match boot::read_files(&invocation, &mut voice) {
        Ok(sources) => sources,
        Err(code) => return code,
    };
    let host = Rc::new(RealHost::named_version(version::VERSION));
    let (mut sink, mut refused) = (Sink::new(), false);
    let loaded = load::discover(&sources, &invocation.load, host, &mut sink)
        .and_then(|discovered| discovered.complete(&sources, &invocation.load, &mut sink));
    let strict =
        |config: &crate::model::config::Config| config.global.zero_warning || invocation.load.zero_warning;
    let hinted = |diag: &Diag| invocation.diagnose && diag.severity == Severity::Diag;
    let warned = voice.warnings() > 0 || sink.warnings() > 0 || sink.reports().iter().any(hinted);
    match &loaded {
        None => refused = true,
        Some(config) if strict(config) && warned => {
            refused = true;
            let text = "Some warnings were found and 'zero-warning' is set. Aborting.";
            sink.push(Diag::new(Severity::Alert, Code::Refused, None, text).with_form(Form::Bare));
        }
        Some(_) => {}
    }
    let findings = Findings {
        reports: sink.reports(),
        sources: &sources,
        hints: invocation.diagnose,
        refused,
    };
    // Nothing can be done about a closed output.
    let _ = std::io::stdout().write_all(findings::print(&findings, format).as_bytes());
    ExitCode::from(u8::from(refused))
}

/// Takes `--format` out of the arguments.
fn split(args: &[OsString]) -> Option<(Format, Vec<OsString>)> {
    let mut format = Format::Text;
    let mut flags = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_str().unwrap_or_default();
        let value = match text.strip_prefix("--format") {
            Some("") => args.next()?.to_str()?,
            Some(rest) if rest.starts_with('=') => &rest[1..],
            _ => {
                flags.push(arg.clone());
                continue;
            }
        };
        format = Format::read(value)?;
    }
    Some((format, flags))
}

fn senseless(why: &str) -> ExitCode {
    let _ = std::io::stderr().write_all(format!("{why}{USAGE}").as_bytes());
    ExitCode::from(SENSELESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_may_stand_anywhere() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            split(&words("-f a --format json -V")),
            Some((Format::Json, words("-f a -V")))
        );
        assert_eq!(
            split(&words("--format=github -f a")),
            Some((Format::Github, words("-f a")))
        );
        assert_eq!(split(&words("-f a")), Some((Format::Text, words("-f a"))));
        assert_eq!(split(&words("--format xml -f a")), None);
        assert_eq!(split(&words("-f a --format")), None);
    }
}
