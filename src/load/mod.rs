//! Floor 4: from text and rows to a checked `Config`.
//!
//! [`discover`] reads what decides how the process starts, [`Discovered::complete`] the rest: it cooks and runs every
//! line of the files in order, applies `defaults`, finds the names that sections give each other, checks what single
//! lines cannot see, and freezes the result. [`load`] does both. What there is to say goes into a sink; several errors
//! per run.

mod environment;
mod freeze;
mod globals;
pub mod resolve_names;
mod sections;
mod verify;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::conf::ast::Document;
use crate::conf::cond::Facts;
use crate::conf::diag::{Code, Diag, Form, Sink};
use crate::conf::env::Env;
use crate::conf::source::{Sources, Span};
use crate::model::config::Config;
use crate::model::global::Global;
use crate::policy::draft::Draft;

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
    /// `-c`: nothing is started, not even a worker.
    pub check: bool,
    /// What `.if` may ask about this program.
    pub facts: Facts,
}

/// Files whose first reading is done: the modes of the process are known, nothing else is.
#[derive(Debug)]
pub struct Discovered {
    documents: Vec<Document>,
    draft: Draft,
    /// The environment before the first reading.
    at_start: Env,
}

/// Reads what decides how the process starts (`master-worker`, `daemon`, `pidfile` and their like) and the
/// environment. A master reads no more than that: it is its worker that completes the reading.
pub fn discover(
    sources: &Sources,
    cmdline: &CommandLine,
    host: Rc<dyn Host>,
    sink: &mut Sink,
) -> Option<Discovered> {
    let documents: Vec<Document> = sources
        .iter()
        .map(|(file, _)| Document::parse(sources, file))
        .collect();
    let Some(first) = documents.first() else {
        sink.push(Diag::alert(Code::FileError, None, "no configuration file.").with_form(Form::Plain));
        return None;
    };
    let mut draft = Draft::new(host, Span::new(first.file, 0, 0));
    draft.global.localpeer_fixed = cmdline.localpeer.is_some();
    draft.global.settings.master_worker = cmdline.master_worker;
    draft.global.systemd = cmdline.systemd;
    draft.global.no_getaddrinfo = cmdline.nogetaddrinfo;
    draft.global.settings.pidfile = cmdline.pidfile.as_deref().map(freeze::path_buf);
    let at_start = draft.env.clone();
    environment::begin(&mut draft.env);
    let mut loader = Loader::new(sources, &cmdline.facts, draft, sink);
    read(&mut loader, &documents, |loader, document| {
        loader.read_ahead(document)
    })?;
    let mut draft = loader.draft;
    draft.past_global = false;
    environment::end(&mut draft.env, sources);
    Some(Discovered {
        documents,
        draft,
        at_start,
    })
}

/// The environment in which the files are read for the first time.
pub fn first_environment(host: &dyn Host) -> Env {
    let mut env = Env::of(host.environment());
    environment::begin(&mut env);
    env
}

/// Reads all documents in one of the two ways.
fn read(
    loader: &mut Loader<'_>,
    documents: &[Document],
    how: impl Fn(&mut Loader<'_>, &Document) -> Result<(), Refused>,
) -> Option<()> {
    let mut refused = false;
    for document in documents {
        match how(loader, document) {
            Ok(()) => {}
            Err(Refused::AtTheEnd) => refused = true,
            Err(Refused::AtOnce) => return None,
        }
    }
    if !refused {
        return Some(());
    }
    let text = "Fatal errors found in configuration.";
    let diag = Diag::alert(Code::Refused, None, text).with_form(Form::Plain);
    loader.sink.push(diag);
    None
}

impl Discovered {
    /// What is known of the global settings; the command line has had its word.
    pub fn global(&self, cmdline: &CommandLine) -> Global {
        freeze::global(&self.draft, cmdline)
    }

    /// The environment as the first reading left it, which is a master's.
    pub fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.draft.env.in_order()
    }

    /// Reads the rest and makes a configuration of it. `None` means that it is refused.
    pub fn complete(self, sources: &Sources, cmdline: &CommandLine, sink: &mut Sink) -> Option<Config> {
        let Self {
            documents,
            mut draft,
            at_start,
        } = self;
        let is_worker = draft.global.settings.master_worker && !cmdline.check;
        environment::between(&mut draft, at_start, is_worker, cmdline);
        environment::begin(&mut draft.env);
        let mut loader = Loader::new(sources, &cmdline.facts, draft, sink);
        read(&mut loader, &documents, |loader, document| loader.read(document))?;
        let Loader {
            mut draft,
            mut proxies,
            ..
        } = loader;
        environment::end(&mut draft.env, sources);
        let before = sink.alerts();
        let names = verify::run(&draft, &mut proxies, sink);
        resolve_names::run(&draft, &mut proxies, cmdline, sink);
        (sink.alerts() == before).then(|| freeze::run(draft, proxies, names, cmdline))
    }
}

/// Loads the files in order. Whatever there is to say goes to `sink`; `None` means that the configuration is
/// refused. Warnings refuse nothing here: whoever starts the process looks at `zero_warning` and the sink.
pub fn load(sources: &Sources, cmdline: &CommandLine, host: Rc<dyn Host>, sink: &mut Sink) -> Option<Config> {
    discover(sources, cmdline, host, sink)?.complete(sources, cmdline, sink)
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
