//! What single lines cannot see: names between sections, modes that must agree, statements without effect,
//! timeouts that are missing. Conditions and first lines of the reports follow HAProxy 3.4.0 as tried; it stops at
//! the first proxy with an error, this goes on.
//!
//! What is found without effect is taken back, so that the frozen configuration says what will happen.

use std::collections::HashMap;
use std::sync::Arc;

use crate::conf::diag::{Code, Diag, Form, Sink};
use crate::conf::source::Span;
use crate::model::ids::ProxyId;
use crate::model::proxy::{Balance, Mode};
use crate::policy::draft::{Draft, LogStyle, NameRef, ProxyDraft, ServerDraft};
use crate::policy::kw::option::{PLAIN, Plain};
use crate::policy::kw::{bind, server};
use crate::policy::log::format;

/// Proxies by name and side, and by number.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) frontends: HashMap<Arc<str>, ProxyId>,
    pub(super) backends: HashMap<Arc<str>, ProxyId>,
    backends_by_number: HashMap<u32, ProxyId>,
}

impl Names {
    /// Indexes numbered proxies.
    fn new(proxies: &[ProxyDraft]) -> Self {
        let mut names = Self::default();
        // Fewer proxies than lines, which 32 bits count.
        for (index, proxy) in (0..).zip(proxies) {
            let id = ProxyId(index);
            let caps = proxy.caps();
            if caps.frontend {
                names.frontends.insert(Arc::clone(proxy.name()), id);
            }
            if caps.backend {
                names.backends.insert(Arc::clone(proxy.name()), id);
                names.backends_by_number.insert(proxy.settings.uuid, id);
            }
        }
        names
    }

    /// The backend of a name; `#N` is the one numbered N.
    fn backend(&self, name: &str) -> Option<ProxyId> {
        let number = name
            .strip_prefix('#')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match number.and_then(|digits| digits.parse().ok()) {
            Some(number) => self.backends_by_number.get(&number).copied(),
            None => self.backends.get(name).copied(),
        }
    }
}

/// Checks all proxies, finds what their names stand for, and gives numbers to those without.
pub(super) fn run(draft: &Draft, proxies: &mut [ProxyDraft], sink: &mut Sink) -> Names {
    number(proxies);
    let names = Names::new(proxies);
    guids(draft, proxies, sink);
    super::globals::run(draft, sink);
    let sockets = draft.global.stats_sockets.iter();
    sink.extend(sockets.filter_map(|line| bind::check_mux(line, Mode::Tcp, "frontend 'GLOBAL'")));
    threads(draft, proxies, sink);
    let mut plain = Vec::new();
    for index in 0..proxies.len() {
        let Some(proxy) = proxies.get_mut(index).filter(|proxy| !proxy.settings.disabled) else {
            continue;
        };
        // The order is that of HAProxy's messages.
        fall_back(proxy, sink);
        modes_of_listeners(proxy, sink);
        no_listener(proxy, sink);
        balance(proxy, sink);
        let upgrades = targets(proxies, index, &names, sink);
        let Some(proxy) = proxies.get_mut(index) else {
            continue;
        };
        formats(proxy, sink);
        timeouts(proxy, sink);
        servers(proxy, sink);
        front(proxy, sink);
        if proxy.settings.mode == Mode::Tcp && !upgrades {
            without_http(proxy, sink);
            plain.push(index);
        }
        modes_of_servers(proxy, sink);
    }
    for index in plain {
        if let Some(proxy) = proxies.get_mut(index) {
            without_extensions(proxy, sink);
        }
    }
    if let (Some(span), false) = (draft.global.experimental, draft.global.experimental_used) {
        let text =
            "Option 'expose-experimental-directives' is set in the global section but is no longer used.";
        let diag = Diag::warning(Code::Ignored, span, text).with_form(Form::Bare);
        sink.push(diag.with_help("remove it, so that no experimental keyword slips in later"));
    }
    names
}

/// A report about a finished proxy: HAProxy prints neither file nor line there.
fn bare(code: Code, span: impl Into<Option<Span>>, text: String) -> Diag {
    Diag::warning(code, span, text).with_form(Form::Bare)
}

/// The same as an error.
fn bare_alert(code: Code, span: impl Into<Option<Span>>, text: String) -> Diag {
    Diag::alert(code, span, text).with_form(Form::Bare)
}

/// Numbers the proxies that have no `id`: from 2 on, as HAProxy does, leaving out what is taken.
fn number(proxies: &mut [ProxyDraft]) {
    let taken: Vec<u32> = proxies
        .iter()
        .filter_map(|proxy| proxy.id.map(|(id, _)| id))
        .collect();
    let mut next = 2;
    for proxy in proxies {
        proxy.settings.uuid = match proxy.id {
            Some((id, _)) => id,
            None => {
                while taken.contains(&next) {
                    next += 1;
                }
                next += 1;
                next - 1
            }
        };
    }
}

/// No two objects may have the same `guid`.
fn guids(draft: &Draft, proxies: &[ProxyDraft], sink: &mut Sink) {
    let mut seen: HashMap<Arc<str>, String> = HashMap::new();
    // The object that has the same, if there is one.
    let mut other = |guid: &Option<Arc<str>>, name: String| {
        let guid = guid.as_ref()?;
        let known = seen.get(guid).cloned();
        seen.entry(Arc::clone(guid)).or_insert(name);
        known
    };
    for proxy in proxies {
        let name = format!("{} {}", proxy.kind.noun(), proxy.name());
        if let Some(other) = other(&proxy.settings.guid, name) {
            let text = format!("'guid': duplicate entry with {other}");
            let span = proxy.guid_span.unwrap_or(proxy.span);
            sink.push(Diag::alert(Code::DuplicateName, span, text));
        }
        for ServerDraft { span, server, .. } in &proxy.servers {
            let name = format!("server {}/{}", proxy.name(), server.name);
            let at = &server.declared;
            if let Some(other) = other(&server.guid, name.clone()) {
                let text = format!(
                    "[{}:{}] : '{name}' : 'guid': duplicate entry with {other}.",
                    at.file, at.line
                );
                sink.push(Diag::alert(Code::DuplicateName, *span, text).with_form(Form::Plain));
            }
        }
    }
    // HAProxy numbers listeners once all else has its own.
    let lines = proxies
        .iter()
        .flat_map(|proxy| proxy.binds.iter().map(|line| (&**proxy.name(), line)));
    let sockets = draft.global.stats_sockets.iter().map(|line| ("GLOBAL", line));
    for (proxy, line) in sockets.chain(lines) {
        for listener in &line.listeners {
            let at = &listener.declared;
            let name = format!("listener {proxy} ({}:{})", at.file, at.line);
            if let Some(other) = other(&listener.guid, name) {
                sink.push(bind::guid_refused(line, &format!("duplicate entry with {other}")));
                break;
            }
        }
    }
}

/// Finds the backends a proxy names; true when one of them understands HTTP.
fn targets(proxies: &mut [ProxyDraft], index: usize, names: &Names, sink: &mut Sink) -> bool {
    let Some(proxy) = proxies.get(index) else {
        return false;
    };
    let mut found = Vec::new();
    let wanted = proxy.default_backend.iter().map(|name| ("default_backend", name));
    let wanted = wanted.chain(proxy.use_backend.iter().map(|name| ("use_backend", name)));
    for (keyword, name) in wanted {
        match target(proxies, proxy, index, keyword, name, names) {
            Ok(id) => found.push((keyword, id)),
            Err(diag) => sink.push(diag),
        }
    }
    let upgrades = found.iter().any(|(_, id)| {
        proxies
            .get(id.index())
            .is_some_and(|target| target.settings.mode == Mode::Http)
    });
    let Some(proxy) = proxies.get_mut(index) else {
        return false;
    };
    let first = |wanted: &str| {
        found
            .iter()
            .find(|(keyword, _)| *keyword == wanted)
            .map(|(_, id)| *id)
    };
    proxy.settings.default_backend = first("default_backend");
    proxy.settings.use_backend = first("use_backend");
    if proxy.settings.default_backend.is_some() && !proxy.servers.is_empty() {
        let text = format!(
            "In proxy '{}', the 'default_backend' rule always has precedence over the servers, which will never be \
             used.",
            proxy.name()
        );
        sink.push(bare(Code::Ignored, proxy.span, text));
    }
    upgrades
}

/// The backend that a statement names.
fn target(
    proxies: &[ProxyDraft],
    proxy: &ProxyDraft,
    index: usize,
    keyword: &str,
    wanted: &NameRef,
    names: &Names,
) -> Result<ProxyId, Diag> {
    let name = &wanted.name;
    let found = names
        .backend(name)
        .and_then(|id| Some((id, proxies.get(id.index())?)));
    let Some((id, target)) = found else {
        let text = format!(
            "Proxy '{}': unable to find required {keyword}: '{name}'.",
            proxy.name()
        );
        let known = proxies
            .iter()
            .filter(|proxy| proxy.caps().backend)
            .map(|proxy| &**proxy.name());
        return Err(bare_alert(Code::UnresolvedName, wanted.span, text).with_nearest(name.as_bytes(), known));
    };
    if id.index() == index {
        let text = format!("Proxy '{}': loop detected for {keyword}: '{name}'.", proxy.name());
        return Err(bare_alert(Code::Conflict, wanted.span, text));
    }
    let modes = (proxy.settings.mode, target.settings.mode);
    if modes.0 != modes.1 && modes != (Mode::Tcp, Mode::Http) {
        let place = |proxy: &ProxyDraft| {
            let declared = &proxy.settings.declared;
            let mode = mode_word(proxy.settings.mode);
            (
                mode,
                proxy.kind.noun(),
                Arc::clone(proxy.name()),
                format!("{}:{}", declared.file, declared.line),
            )
        };
        let (mode, noun, own, at) = place(proxy);
        let (other_mode, other_noun, other, other_at) = place(target);
        let end = if keyword == "use_backend" {
            "in a 'use_backend' rule"
        } else {
            "as its default backend"
        };
        let text = format!(
            "{mode} {noun} '{own}' ({at}) tries to use incompatible {other_mode} {other_noun} '{other}' ({other_at}) \
             {end} (see 'mode')."
        );
        return Err(bare_alert(Code::Conflict, wanted.span, text));
    }
    Ok(id)
}

/// Listeners must be served by threads that exist.
fn threads(draft: &Draft, proxies: &[ProxyDraft], sink: &mut Sink) {
    let Some(threads) = super::globals::asked_threads(draft) else {
        return;
    };
    let sockets = draft.global.stats_sockets.iter();
    sink.extend(sockets.filter_map(|line| bind::check_threads(line, threads, "frontend 'GLOBAL'")));
    for proxy in proxies.iter().filter(|proxy| !proxy.settings.disabled) {
        let owner = called(proxy);
        let lines = proxy.binds.iter();
        sink.extend(lines.filter_map(|line| bind::check_threads(line, threads, &owner)));
    }
}

/// What messages call a proxy.
fn called(proxy: &ProxyDraft) -> String {
    format!("{} '{}'", proxy.kind.noun(), proxy.name())
}

/// Protocols of listeners must go with the mode.
fn modes_of_listeners(proxy: &ProxyDraft, sink: &mut Sink) {
    let (mode, owner) = (proxy.settings.mode, called(proxy));
    let lines = proxy.binds.iter();
    sink.extend(lines.filter_map(|line| bind::check_mux(line, mode, &owner)));
}

/// The same for servers.
fn modes_of_servers(proxy: &ProxyDraft, sink: &mut Sink) {
    let (mode, owner) = (proxy.settings.mode, called(proxy));
    let lines = proxy.servers.iter();
    sink.extend(lines.filter_map(|line| server::check_mode(line, mode, &owner)));
}

/// The word for a mode.
fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Tcp => "tcp",
        Mode::Http => "http",
    }
}

/// Log formats for HTTP fall back to those for TCP outside of HTTP.
fn fall_back(proxy: &mut ProxyDraft, sink: &mut Sink) {
    if proxy.settings.mode == Mode::Tcp
        && let Some((style, span)) = &mut proxy.log_style
    {
        let instead = match style {
            LogStyle::Http | LogStyle::Https => Some(LogStyle::Tcp),
            LogStyle::HttpClf => Some(LogStyle::TcpClf),
            LogStyle::Tcp | LogStyle::TcpClf | LogStyle::Custom(_) => None,
        };
        if let Some(instead) = instead {
            let text = format!(
                "'{}' not usable with {} '{}' (needs 'mode http'). Falling back to '{}'.",
                style.statement(),
                proxy.kind.noun(),
                proxy.settings.name,
                instead.statement()
            );
            sink.push(Diag::warning(Code::Ignored, *span, text).with_form(Form::Checked));
            *style = instead;
        }
    }
}

/// Compiles log formats.
fn formats(proxy: &mut ProxyDraft, sink: &mut Sink) {
    if !proxy.caps().frontend {
        return;
    }
    if let Some((style, span)) = &proxy.log_style {
        let compiled = match style {
            LogStyle::Tcp => Ok(format::builtin(format::TCP)),
            LogStyle::TcpClf => Ok(format::builtin(format::TCP_CLF)),
            LogStyle::Http => Ok(format::builtin(format::HTTP)),
            LogStyle::HttpClf => Ok(format::builtin(format::HTTP_CLF)),
            LogStyle::Https => Ok(format::builtin(format::HTTPS)),
            LogStyle::Custom(text) => format::parse(text),
        };
        match compiled {
            Ok(format) => proxy.settings.log_format = Some(Arc::new(format)),
            Err(why) => sink.push(bad_format("log-format", *span, &why)),
        }
    }
    if let Some((text, span)) = &proxy.error_log_format {
        match format::parse(text) {
            Ok(format) => proxy.settings.error_log_format = Some(Arc::new(format)),
            Err(why) => sink.push(bad_format("error-log-format", *span, &why)),
        }
    }
}

/// The report for a log format that cannot be compiled.
fn bad_format(keyword: &str, span: Span, why: &format::FormatError) -> Diag {
    let later = matches!(
        why.problem,
        format::Problem::Expression(_) | format::Problem::Encoding(_)
    );
    let code = if later {
        Code::NotSupported
    } else {
        Code::BadArgument
    };
    Diag::alert(code, span, format!("failed to parse {keyword} : {why}.")).with_form(Form::CheckedFormat)
}

/// A frontend without listeners is none.
fn no_listener(proxy: &ProxyDraft, sink: &mut Sink) {
    if proxy.caps().frontend && proxy.binds.iter().all(|bind| bind.listeners.is_empty()) {
        let owner = called(proxy);
        let text =
            format!("{owner} has no 'bind' directive. Please declare it as a backend if this was intended.");
        sink.push(bare(Code::Missing, proxy.span, text));
    }
}

/// Clients and servers must not be able to hold connections for ever.
fn timeouts(proxy: &mut ProxyDraft, sink: &mut Sink) {
    let caps = proxy.caps();
    let times = &proxy.settings.timeouts;
    let no_server_time =
        times.server_ms.is_none() && (proxy.settings.mode == Mode::Http || times.tunnel_ms.is_none());
    let front_lacks = caps.frontend && times.client_ms.is_none();
    let back_lacks =
        caps.backend && !proxy.servers.is_empty() && (times.connect_ms.is_none() || no_server_time);
    if front_lacks || back_lacks {
        let text = format!("missing timeouts for {}.", called(proxy));
        let diag = bare(Code::Missing, proxy.span, text);
        sink.push(
            diag.with_help("set 'timeout client', 'timeout connect' and 'timeout server' to a value above 0"),
        );
    }
    let times = &mut proxy.settings.timeouts;
    if caps.backend {
        times.queue_ms = times.queue_ms.or(times.connect_ms);
    }
}

/// What concerns the side of the clients.
fn front(proxy: &mut ProxyDraft, sink: &mut Sink) {
    let caps = proxy.caps();
    if caps.frontend && proxy.settings.logs.is_empty() && proxy.log_style.is_some() {
        let owner = called(proxy);
        let text = format!("log format ignored for {owner} since it has no log address.");
        sink.push(bare(Code::Ignored, proxy.span, text));
    }
    // HTTP sends its requests whole: quick acknowledgements are a waste unless somebody insists.
    let wanted = proxy.settings.mode == Mode::Http && !proxy.refused.tcp_smart_accept;
    proxy.settings.options.tcp_smart_accept |= wanted && caps.frontend;
}

/// How servers are chosen, if there is a choice.
fn balance(proxy: &mut ProxyDraft, sink: &mut Sink) {
    if !proxy.caps().backend {
        return;
    }
    let (noun, name) = (proxy.kind.noun(), Arc::clone(proxy.name()));
    if proxy.balance_given {
        if proxy.settings.transparent {
            let text = format!("{noun} '{name}' cannot use both transparent and balance mode.");
            sink.push(bare_alert(Code::Conflict, proxy.span, text));
        } else if proxy.settings.dispatch.is_some() {
            let text = format!("dispatch address of {noun} '{name}' will be ignored in balance mode.");
            sink.push(bare(Code::Ignored, proxy.span, text));
        }
    } else if !proxy.settings.transparent && proxy.settings.dispatch.is_none() {
        // 3.4.0 takes `random` here; in turn is what this product promises (docs/COMPATIBILITY.md).
        proxy.settings.balance = Balance::RoundRobin;
    }
    if proxy.settings.dispatch.is_some() {
        proxy.settings.transparent = false;
    }
}

/// What concerns the servers.
fn servers(proxy: &ProxyDraft, sink: &mut Sink) {
    if !proxy.caps().backend {
        return;
    }
    let name = proxy.name();
    same_server_names(proxy, sink);
    let retry_on = proxy.settings.retry_on;
    let safe = retry_on.empty_response && retry_on.response_timeout;
    for server in proxy.servers.iter().filter(|server| server.server.tfo && !safe) {
        let declared = &server.server.declared;
        let text = format!(
            "[{}:{}] : 'server {name}/{}' : server has tfo activated, the backend should be configured with at least \
             'conn-failure', 'empty-response' and 'response-timeout' or we wouldn't be able to retry the connection \
             on failure.",
            declared.file, declared.line, server.server.name
        );
        sink.push(bare(Code::Suspicious, server.span, text));
    }
}

/// No two servers of a backend may have the same name.
fn same_server_names(proxy: &ProxyDraft, sink: &mut Sink) {
    let mut lines: HashMap<&str, u32> = HashMap::new();
    for draft in proxy.servers.iter().filter(|draft| !draft.template) {
        let server = &draft.server;
        if let Some(line) = lines.get(&*server.name) {
            let text = format!(
                "parsing [{}:{}] : {} '{}', another server named '{}' was already defined at line {line}, please use \
                 distinct names.",
                server.declared.file,
                server.declared.line,
                proxy.kind.noun(),
                proxy.name(),
                server.name
            );
            sink.push(bare_alert(Code::DuplicateName, draft.span, text));
        }
        lines.insert(&server.name, server.declared.line);
    }
}

/// Options for HTTP about which HAProxy speaks after the others, in this order.
const HTTP_OPTIONS_LAST: [&str; 6] = [
    "accept-unsafe-violations-in-http-request",
    "accept-unsafe-violations-in-http-response",
    "http-use-proxy-header",
    "http-pretend-keepalive",
    "http-no-delay",
    "disable-h2-upgrade",
];

/// Takes back what needs HTTP in a proxy that neither speaks it nor leads to one that does.
fn without_http(proxy: &mut ProxyDraft, sink: &mut Sink) {
    let (noun, name) = (proxy.kind.noun(), Arc::clone(proxy.name()));
    if proxy.settings.monitor_uri.take().is_some() {
        let text = format!("'monitor-uri' statement ignored for {noun} '{name}' as it requires HTTP mode.");
        sink.push(bare(Code::Ignored, proxy.span, text));
    }
    let caps = proxy.caps();
    let suits = |plain: &&Plain| plain.http && plain.side.within(caps);
    let mut options: Vec<&Plain> = PLAIN.iter().filter(suits).collect();
    options.sort_by_key(|plain| {
        let place = HTTP_OPTIONS_LAST.iter().position(|name| *name == plain.name());
        place.map_or(0, |place| place + 1)
    });
    for plain in options {
        let field = (plain.field)(&mut proxy.settings);
        if std::mem::take(field) {
            let text = format!(
                "'{}' ignored for {noun} '{name}' as it requires HTTP mode.",
                plain.row
            );
            sink.push(bare(Code::Ignored, proxy.span, text));
        }
    }
}

/// The same for the header fields that tell of the client.
fn without_extensions(proxy: &mut ProxyDraft, sink: &mut Sink) {
    let owner = called(proxy);
    let settings = &mut proxy.settings;
    let given = [
        ("forwarded", settings.forwarded.take().is_some()),
        ("forwardfor", settings.forwardfor.take().is_some()),
        ("originalto", settings.originalto.take().is_some()),
    ];
    for (option, _) in given.iter().filter(|(_, given)| *given) {
        let text = format!("'option {option}' ignored for {owner} as it requires HTTP mode.");
        sink.push(bare(Code::Ignored, proxy.span, text));
    }
}
