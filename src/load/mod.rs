//! Floor 4: from text and rows to a checked `Config`.
//!
//! [`load`] reads the files in order, cooks and runs every line, applies `defaults`, finds the names that
//! sections give each other, checks what single lines cannot see, and freezes the result. Everything it has to
//! say goes into one sink; several errors per run.

mod freeze;
pub mod resolve_names;
mod sections;
mod verify;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::conf::ast::Document;
use crate::conf::cond::Facts;
use crate::conf::diag::{Code, Diag, Form, Sink};
use crate::conf::source::{Sources, Span};
use crate::model::config::Config;
use crate::policy::draft::Draft;
use crate::policy::log::format;

pub use crate::policy::host::{Host, HostError, MemHost, PathKind};

use sections::{Loader, Refused};

/// What the command line decides about the configuration; it wins over the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `-n`: `maxconn` of the process.
    pub maxconn: Option<u32>,
    /// `-N`: `maxconn` of frontends that set none.
    pub proxy_maxconn: Option<u32>,
    /// `-m`: memory ceiling, MiB, 0 for none.
    pub memory_max_mib: u32,
    /// `-L`: `localpeer`.
    pub localpeer: Option<String>,
    /// `-D`: `daemon`.
    pub daemon: bool,
    /// `-W` or `-Ws`: `master-worker`.
    pub master_worker: bool,
    /// `-Ws`: `daemon` in a file is ignored.
    pub systemd: bool,
    /// `-q`: `quiet`.
    pub quiet: bool,
    /// `-dW`: `zero-warning`.
    pub zero_warning: bool,
    /// `-p`: `pidfile`.
    pub pidfile: Option<Vec<u8>>,
    /// `-dr`: a server whose name has no address is kept without one.
    pub ignore_unresolved: bool,
    /// `-4`: host names resolve to IPv4 addresses only.
    pub ipv4_only: bool,
    /// `-dS`: `nosplice`.
    pub nosplice: bool,
    /// `-dR`: `noreuseport`.
    pub noreuseport: bool,
    /// `-dG`: `nogetaddrinfo`.
    pub nogetaddrinfo: bool,
    /// `-dI`: `insecure-fork-wanted`.
    pub insecure_fork: bool,
    /// What `.if` may ask about this program.
    pub facts: Facts,
}

/// The branch that this program stands for: `HAPROXY_BRANCH`.
const BRANCH: &str = "3.4";

/// Variables that exist while files are read, and only then.
const FORMATS: &[(&str, &str)] = &[
    ("HAPROXY_HTTP_LOG_FMT", format::HTTP),
    ("HAPROXY_HTTP_CLF_LOG_FMT", format::HTTP_CLF),
    ("HAPROXY_HTTPS_LOG_FMT", format::HTTPS),
    ("HAPROXY_TCP_LOG_FMT", format::TCP),
    ("HAPROXY_TCP_CLF_LOG_FMT", format::TCP_CLF),
];

/// Loads the files in order. Whatever there is to say goes to `sink`; `None` means that the configuration is
/// refused. Warnings refuse nothing here: whoever starts the process looks at `zero_warning` and the sink.
pub fn load(sources: &Sources, cmdline: &CommandLine, host: Rc<dyn Host>, sink: &mut Sink) -> Option<Config> {
    let documents: Vec<Document> = sources
        .iter()
        .map(|(file, _)| Document::parse(sources, file))
        .collect();
    let Some(first) = documents.first() else {
        sink.push(Diag::alert(Code::FileError, None, "no configuration file.").with_form(Form::Plain));
        return None;
    };
    let draft = start(cmdline, host, Span::new(first.file, 0, 0));
    let mut loader = Loader::new(sources, &cmdline.facts, draft, sink);
    let mut refused = false;
    for full in [false, true] {
        for document in &documents {
            let result = if full {
                loader.read(document)
            } else {
                loader.read_ahead(document)
            };
            match result {
                Ok(()) => {}
                Err(Refused::AtTheEnd) => refused = true,
                Err(Refused::AtOnce) => return None,
            }
        }
        if refused {
            let text = "Fatal errors found in configuration.";
            loader
                .sink
                .push(Diag::alert(Code::Refused, None, text).with_form(Form::Plain));
            return None;
        }
    }
    let Loader {
        draft, mut proxies, ..
    } = loader;
    let before = sink.alerts();
    let names = verify::run(&draft, &mut proxies, sink);
    resolve_names::run(&draft, &mut proxies, cmdline, sink);
    (sink.alerts() == before).then(|| freeze::run(draft, proxies, names, cmdline))
}

/// A draft with what the command line decides before the first line is read.
fn start(cmdline: &CommandLine, host: Rc<dyn Host>, span: Span) -> Draft {
    let mut draft = Draft::new(host, span);
    draft.global.localpeer_fixed = cmdline.localpeer.is_some();
    draft.global.systemd = cmdline.systemd;
    draft.global.no_getaddrinfo = cmdline.nogetaddrinfo;
    let localpeer = cmdline.localpeer.clone().unwrap_or_else(|| draft.host.hostname());
    let made = FORMATS
        .iter()
        .chain(&[("HAPROXY_BRANCH", BRANCH)])
        .map(|(name, value)| (*name, *value));
    for (name, value) in made.chain([("HAPROXY_LOCALPEER", &*localpeer)]) {
        // A full environment lacks the last ones: the lines that use them say so.
        if draft.env.set(name.as_bytes(), value.as_bytes()).is_err() {
            break;
        }
    }
    draft
}

/// Whether the process would have anything to listen to, the runtime socket counting too: without, it does not start
/// and leaves with code 2.
pub fn has_listener(config: &Config) -> bool {
    let proxies = config
        .proxies
        .iter()
        .any(|proxy| !proxy.disabled && !proxy.listeners.is_empty());
    proxies || !config.global.stats_sockets.is_empty()
}
