//! The configuration under construction: what keyword rows fill, one section after the other.
//!
//! A [`Draft`] holds the global settings and the proxy whose section is being read. Rows put values straight
//! into the model's own structures; what only later passes can settle (names of other sections, numbers given
//! automatically, log formats) waits beside them with its place in the file. The load floor swaps proxies in and
//! out, applies `defaults` and freezes the result.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::host::Host;
use super::kw::thread_set::ThreadSet;
use super::kw::tune::TuneGiven;
use crate::base::addr::Family;
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag, Form};
use crate::conf::env::Env;
use crate::conf::row::Where;
use crate::conf::source::Span;
use crate::model::config::Declared;
use crate::model::global::Global;
use crate::model::listener::Listener;
use crate::model::proxy::{Caps, Mode, Proxy, Timeouts};
use crate::model::server::Server;

/// What kind of proxy section is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `defaults`: settings for the sections after it.
    Defaults,
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`: both.
    Listen,
}

impl Kind {
    /// The place of its keywords.
    pub fn place(self) -> Where {
        match self {
            Self::Defaults => Where::DEFAULTS,
            Self::Frontend => Where::FRONTEND,
            Self::Backend => Where::BACKEND,
            Self::Listen => Where::LISTEN,
        }
    }

    /// What it may do; `defaults` speaks for both sides.
    pub fn caps(self) -> Caps {
        Caps {
            frontend: self != Self::Backend,
            backend: self != Self::Frontend,
        }
    }

    /// The word HAProxy's messages use for such a section.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Listen => "proxy",
        }
    }
}

/// The side of a proxy that a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What faces clients.
    Front,
    /// What faces servers.
    Back,
    /// Either.
    Any,
}

impl Side {
    /// Whether a proxy with such capabilities has the side.
    pub fn within(self, caps: Caps) -> bool {
        match self {
            Self::Front => caps.frontend,
            Self::Back => caps.backend,
            Self::Any => true,
        }
    }

    /// The word for a missing side.
    fn lacking(self) -> &'static str {
        match self {
            Self::Front => "no frontend",
            Self::Back => "no backend",
            Self::Any => "neither frontend nor backend",
        }
    }
}

/// A name to be found once all sections are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRef {
    /// The name as written; `#N` stands for the proxy with that `id`.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// The format of a proxy's log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// `log-format`: the format as written.
    Custom(Arc<[u8]>),
    /// `option tcplog`.
    Tcp,
    /// `option tcplog clf`.
    TcpClf,
    /// `option httplog`.
    Http,
    /// `option httplog clf`.
    HttpClf,
    /// `option httpslog`.
    Https,
}

impl LogStyle {
    /// The statement that asks for it.
    pub fn statement(&self) -> &'static str {
        match self {
            Self::Custom(_) => "log-format",
            Self::Tcp => "option tcplog",
            Self::TcpClf => "option tcplog clf",
            Self::Http => "option httplog",
            Self::HttpClf => "option httplog clf",
            Self::Https => "option httpslog",
        }
    }
}

/// A protocol that `proto` forces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuxName {
    /// `none`: bytes are relayed.
    None,
    /// `h1`.
    H1,
}

impl MuxName {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::H1 => "h1",
        }
    }

    /// The mode of the proxies that may use it.
    pub fn mode(self) -> Mode {
        match self {
            Self::None => Mode::Tcp,
            Self::H1 => Mode::Http,
        }
    }
}

/// One `bind` or `stats socket` line: its settings and one listener per address.
#[derive(Clone, Debug)]
pub struct BindDraft {
    /// The line's words.
    pub span: Span,
    /// The addresses as written.
    pub arg: String,
    /// One listener per address and port; ids, owner and automatic numbers are set when the draft is frozen
    /// (`luid` 0 asks for one).
    pub listeners: Vec<Listener>,
    /// `proto`.
    pub mux: Option<MuxName>,
    /// `thread`.
    pub threads: ThreadSet,
}

/// One way of `init-addr` to give a server its first address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitMethod {
    /// `last`: the address of the previous process, where a state file tells it.
    Last,
    /// `libc`: the system's resolver.
    Libc,
    /// `none`: no address, the server is down for maintenance.
    None,
    /// This address.
    Ip(IpAddr),
}

/// One `server` line, or one of those that `server-template` makes.
#[derive(Clone, Debug)]
pub struct ServerDraft {
    /// The line's words.
    pub span: Span,
    /// Its settings; id, proxy and an automatic `puid` (0 asks for one) are set when the draft is frozen.
    pub server: Server,
    /// A template made it; HAProxy lets the names of such servers be those of others.
    pub template: bool,
    /// `init-addr` in order; empty for the default (`last,libc`).
    pub init_addr: Vec<InitMethod>,
    /// `resolve-prefer`: the family taken when a name has addresses of both. It concerns `resolvers`; names
    /// resolved at start take the first answer of the system, as HAProxy does.
    pub prefer: Option<Family>,
    /// `proto`.
    pub mux: Option<MuxName>,
    /// `send-proxy` and `send-proxy-v2` as last written; version 2 is sent where both are.
    pub send_proxy: SendProxyWanted,
}

/// Which PROXY headers a server line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendProxyWanted {
    /// `send-proxy`.
    pub v1: bool,
    /// `send-proxy-v2`.
    pub v2: bool,
}

/// Settings that were refused explicitly (`no option ...`), where that differs from not being set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// `no option tcp-smart-accept`.
    pub tcp_smart_accept: bool,
}

/// One proxy section.
#[derive(Clone, Debug)]
pub struct ProxyDraft {
    /// What it is.
    pub kind: Kind,
    /// The line that opens it.
    pub span: Span,
    /// Everything that needs no other section. Ids and lists of ids are empty until the draft is frozen.
    pub settings: Proxy,
    /// `no option` where it matters.
    pub refused: Refused,
    /// `id`, with its place.
    pub id: Option<(u32, Span)>,
    /// Where `guid` stands.
    pub guid_span: Option<Span>,
    /// `default_backend`.
    pub default_backend: Option<NameRef>,
    /// `use_backend` lines in order.
    pub use_backend: Vec<NameRef>,
    /// The last of `option httplog`, `log-format` and their like.
    pub log_style: Option<(LogStyle, Span)>,
    /// `error-log-format`, as written.
    pub error_log_format: Option<(Arc<[u8]>, Span)>,
    /// A `balance` was written (or inherited): without one HAProxy draws servers at random.
    pub balance_given: bool,
    /// `bind` lines in order.
    pub binds: Vec<BindDraft>,
    /// `default-server` lines: the settings servers start from.
    pub default_server: Option<Box<ServerDraft>>,
    /// `server` lines in order.
    pub servers: Vec<ServerDraft>,
    /// The `defaults` section it inherits from.
    pub parent: Option<Rc<Self>>,
}

impl ProxyDraft {
    /// A section with every setting at its built-in default.
    pub fn new(kind: Kind, name: &str, span: Span, declared: Declared) -> Self {
        Self {
            kind,
            span,
            settings: Proxy::new(name, kind.caps(), declared),
            refused: Refused::default(),
            id: None,
            guid_span: None,
            default_backend: None,
            use_backend: Vec::new(),
            log_style: None,
            error_log_format: None,
            balance_given: false,
            binds: Vec::new(),
            default_server: None,
            servers: Vec::new(),
            parent: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    /// Its capabilities.
    pub fn caps(&self) -> Caps {
        self.settings.caps
    }

    /// A timeout as the section began with it: that of its `defaults` section.
    pub fn inherited(&self, field: fn(&mut Timeouts) -> &mut Option<u32>) -> Option<u32> {
        let mut inherited = self
            .parent
            .as_ref()
            .map_or_else(Timeouts::default, |parent| parent.settings.timeouts);
        *field(&mut inherited)
    }

    /// Whether the proxy has the side that a keyword belongs to; otherwise a warning is left at the cursor, with
    /// `hint` at its end, and the caller ignores the keyword where HAProxy does. `what` is the keyword or the
    /// option's name.
    pub fn has_side(&self, cursor: &mut ArgCursor<'_>, side: Side, what: &str, hint: &str) -> bool {
        if side.within(self.caps()) {
            return true;
        }
        let text = format!(
            "'{what}' ignored because {} '{}' has {} capability.{hint}",
            self.kind.noun(),
            self.name(),
            side.lacking()
        );
        let span = cursor.line_span();
        cursor.note(Diag::warning(Code::Ignored, span, text));
        false
    }

    /// Refuses a keyword that stands in a `defaults` section.
    pub fn not_in_defaults(&self, cursor: &ArgCursor<'_>) -> Result<(), Diag> {
        if self.kind != Kind::Defaults {
            return Ok(());
        }
        let text = format!("'{}' not allowed in 'defaults' section.", cursor.keyword());
        Err(cursor.error(Code::WrongSection, text))
    }
}

/// The global settings, and what rows and passes must know beside them.
#[derive(Clone, Debug, Default)]
pub struct GlobalDraft {
    /// The settings.
    pub settings: Global,
    /// `stats socket` lines.
    pub stats_sockets: Vec<BindDraft>,
    /// `expose-experimental-directives`, with its place.
    pub experimental: Option<Span>,
    /// An experimental keyword was used.
    pub experimental_used: bool,
    /// `expose-deprecated-directives`: deprecated keywords are accepted without a warning.
    pub deprecated: bool,
    /// `nogetaddrinfo` or `-dG`.
    pub no_getaddrinfo: bool,
    /// `-L` was given: `localpeer` is refused.
    pub localpeer_fixed: bool,
    /// `-Ws`: `daemon` is ignored.
    pub systemd: bool,
    /// Tuning words that count once.
    pub tune_given: TuneGiven,
    /// What was said about threads.
    pub threads: ThreadsGiven,
    /// Statements of which a second one is an error, by their text.
    pub given_once: BTreeSet<String>,
}

/// What was said about threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadsGiven {
    /// `nbthread`.
    pub number: Option<u32>,
    /// `thread-groups`.
    pub groups: Option<u32>,
    /// `thread-hard-limit`.
    pub limit: Option<u32>,
    /// There are `thread-group` lines.
    pub described: bool,
}

/// Where relative paths start (`default-path`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultPath {
    /// The directory the process was started in.
    #[default]
    Current,
    /// The directory of the configuration file.
    Config,
    /// The parent of the configuration file's directory.
    Parent,
    /// A directory of its own.
    Origin(Vec<u8>),
}

/// What keyword rows fill.
#[derive(Debug)]
pub struct Draft {
    /// The machine.
    pub host: Rc<dyn Host>,
    /// File and line being read.
    pub at: Declared,
    /// The environment as it stands at that line.
    pub env: Env,
    /// A section other than `global` was seen: thread settings must stand before.
    pub past_global: bool,
    /// The global settings.
    pub global: GlobalDraft,
    /// `default-path`.
    pub default_path: DefaultPath,
    /// The proxy section being read; meaningless while another kind of section is.
    pub proxy: ProxyDraft,
}

impl Draft {
    /// Nothing but built-in defaults; `span` stands for the place of a section not yet read.
    pub fn new(host: Rc<dyn Host>, span: Span) -> Self {
        Self {
            at: Declared::default(),
            env: Env::of(host.environment()),
            host,
            past_global: false,
            global: GlobalDraft::default(),
            default_path: DefaultPath::default(),
            proxy: ProxyDraft::new(Kind::Defaults, "", span, Declared::default()),
        }
    }

    /// A path as the file system must see it: relative ones start where `default-path` says.
    pub fn path(&self, path: &[u8]) -> Vec<u8> {
        if path.first() == Some(&b'/') {
            return path.to_vec();
        }
        let file = self.at.file.as_bytes();
        let directory = file
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(&b""[..], |slash| &file[..slash]);
        let base = match &self.default_path {
            DefaultPath::Current => Vec::new(),
            DefaultPath::Config => directory.to_vec(),
            DefaultPath::Parent if directory.is_empty() => b"..".to_vec(),
            DefaultPath::Parent => [directory, b"/.."].concat(),
            DefaultPath::Origin(origin) => origin.clone(),
        };
        if base.is_empty() {
            path.to_vec()
        } else {
            [&base, &b"/"[..], path].concat()
        }
    }
}

/// The report for something that exists in HAProxy and not here yet.
pub fn not_supported(cursor: &ArgCursor<'_>, what: &str) -> Diag {
    cursor.error(Code::NotSupported, format!("{what} is not supported yet."))
}

/// The same about the argument read last.
pub fn argument_not_supported(cursor: &ArgCursor<'_>, what: &str) -> Diag {
    cursor.error_last(Code::NotSupported, format!("{what} is not supported yet."))
}

/// A report that HAProxy prints with the place but without a space before the colon.
pub fn close_form(diag: Diag) -> Diag {
    diag.with_form(Form::Reader)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::conf::source::Sources;
    use crate::policy::host::MemHost;

    /// An empty draft on a machine in memory.
    pub(crate) fn draft() -> Draft {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", Vec::new()).expect("small");
        Draft::new(Rc::new(MemHost::default()), Span::new(file, 0, 0))
    }

    #[test]
    fn relative_paths_follow_default_path() {
        let mut draft = draft();
        draft.at.file = "/etc/haproxy/h.cfg".into();
        assert_eq!(draft.path(b"e.http"), b"e.http");
        draft.default_path = DefaultPath::Config;
        assert_eq!(draft.path(b"e.http"), b"/etc/haproxy/e.http");
        assert_eq!(draft.path(b"/e.http"), b"/e.http");
        draft.default_path = DefaultPath::Parent;
        assert_eq!(draft.path(b"e.http"), b"/etc/haproxy/../e.http");
        draft.at.file = "h.cfg".into();
        assert_eq!(draft.path(b"e.http"), b"../e.http");
        draft.default_path = DefaultPath::Origin(b"/srv".to_vec());
        assert_eq!(draft.path(b"e.http"), b"/srv/e.http");
    }
}
