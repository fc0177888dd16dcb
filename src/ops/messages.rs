//! What the process says on its standard error, in HAProxy's shape: `[WARNING]  (pid) : text`.
//!
//! While it starts, the first alert or warning is preceded by who is speaking (version and path). Later messages
//! come from the `log` crate's macros, through the same writer. Source: runs of 3.4.0; management manual, "Logging".

use std::ffi::OsStr;
use std::io::Write;

use log::LevelFilter;

use super::version;
use crate::conf::diag::{Severity, Sink};
use crate::conf::render;
use crate::conf::source::Sources;

/// The voice of a process that starts.
#[derive(Debug)]
pub struct Voice {
    called: String,
    quiet: bool,
    introduced: bool,
    warnings: u64,
}

impl Voice {
    /// The voice of the program called by that name. Only one exists: it also writes what the `log` macros say.
    pub fn new(called: &OsStr) -> Self {
        let format = |out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
            let severity = match record.level() {
                log::Level::Error => Severity::Alert,
                log::Level::Warn => Severity::Warning,
                log::Level::Info => Severity::Notice,
                log::Level::Debug | log::Level::Trace => Severity::Diag,
            };
            writeln!(
                out,
                "{}{}",
                render::head(severity, std::process::id()),
                record.args()
            )
        };
        let mut builder = env_logger::Builder::new();
        builder
            .format(format)
            .filter_level(LevelFilter::Info)
            .parse_env("RPROXY_LOG");
        // A second voice in one process (tests) shares the writer of the first.
        let _ = builder.try_init();
        Self {
            called: called.to_string_lossy().into_owned(),
            quiet: false,
            introduced: false,
            warnings: 0,
        }
    }

    /// What the program was called by, as it was written.
    pub fn called(&self) -> &str {
        &self.called
    }

    /// The same without directories.
    pub fn program(&self) -> &str {
        self.called.rsplit('/').next().unwrap_or_default()
    }

    /// How many warnings there were.
    pub fn warnings(&self) -> u64 {
        self.warnings
    }

    /// Says nothing from now on, or speaks again.
    pub fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
        log::set_max_level(if quiet {
            LevelFilter::Off
        } else {
            LevelFilter::Trace
        });
    }

    /// Something that keeps the process from starting.
    pub fn alert(&mut self, text: &str) {
        self.introduce();
        log::error!("{text}");
    }

    /// Something that may be wrong.
    pub fn warning(&mut self, text: &str) {
        self.introduce();
        self.warnings += 1;
        log::warn!("{text}");
    }

    /// Something to know.
    pub fn notice(&mut self, text: &str) {
        log::info!("{text}");
    }

    /// What loading the configuration reported; hints only in diagnostic mode, where they count as warnings.
    pub fn reports(&mut self, sink: &Sink, sources: &Sources, diagnose: bool) {
        for diag in sink.reports() {
            match diag.severity {
                Severity::Diag if !diagnose => continue,
                Severity::Notice => {}
                Severity::Diag => {
                    self.introduce();
                    self.warnings += 1;
                }
                _ => self.introduce(),
            }
            if !self.quiet {
                // Nothing can be done about a closed standard error.
                let _ =
                    std::io::stderr().write_all(render::render(diag, sources, std::process::id()).as_bytes());
            }
        }
        self.warnings += sink.warnings() as u64;
    }

    fn introduce(&mut self) {
        if std::mem::replace(&mut self.introduced, true) {
            return;
        }
        self.notice(&format!("haproxy version is {}", version::VERSION));
        if let Ok(path) = std::env::current_exe() {
            self.notice(&format!("path to executable is {}", path.display()));
        }
    }
}
