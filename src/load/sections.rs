//! Statements to drafts: which section a line belongs to, what it inherits, which row reads it.
//!
//! Names of sections, duplicates, `defaults` and `from` are settled here as HAProxy 3.4.0 settles them. A section
//! that cannot be opened swallows its lines, so that one mistake makes one report. Source: configuration manual,
//! chapters 2.1 and 4.

use std::rc::Rc;
use std::sync::Arc;

use crate::conf::ast::Document;
use crate::conf::cond::Facts;
use crate::conf::cursor::Arg;
use crate::conf::diag::{Code, Diag, Form, Severity, Sink, nearest as suggest};
use crate::conf::reader::{Pass, Reader, Statement};
use crate::conf::row::{Found, Table, Where};
use crate::conf::source::{Sources, Span};
use crate::model::config::Declared;
use crate::policy::draft::{Draft, Kind, ProxyDraft};
use crate::policy::kw::{forbidden_char, unsupported};
use crate::policy::registry;

/// Keywords of `global` that HAProxy reads ahead of everything else; those marked true are read then only.
const READ_AHEAD: &[(&str, bool)] = &[
    ("daemon", true),
    ("expose-deprecated-directives", false),
    ("localpeer", true),
    ("master-worker", true),
    ("mworker-max-reloads", true),
    ("noepoll", true),
    ("noevports", true),
    ("nokqueue", true),
    ("noktls", true),
    ("nopoll", true),
    ("pidfile", true),
    ("presetenv", false),
    ("quiet", true),
    ("resetenv", false),
    ("setenv", false),
    ("unsetenv", false),
    ("zero-warning", true),
];

/// What the lines at hand belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Current {
    /// No section, or one whose lines are skipped.
    Skipped,
    /// A header that HAProxy ignores: the first line below it is what it complains about.
    Ignored,
    /// `global`.
    Global,
    /// The proxy in the draft.
    Proxy,
}

/// A `defaults` section that was read.
#[derive(Debug)]
struct Defaults {
    draft: Rc<ProxyDraft>,
    /// Another one of its name came after it: it is found by nobody.
    hidden: bool,
    /// It came after another one of its name, whose place this is: naming it is ambiguous.
    hides: Option<Declared>,
    /// Somebody named it.
    named: bool,
    /// Somebody used it because it was the last one.
    implied: bool,
}

/// Reads documents into drafts.
#[derive(Debug)]
pub(super) struct Loader<'a> {
    sources: &'a Sources,
    facts: &'a Facts,
    /// Reports.
    pub(super) sink: &'a mut Sink,
    table: Table<Draft>,
    /// What rows fill.
    pub(super) draft: Draft,
    /// Proxies in order of declaration.
    pub(super) proxies: Vec<ProxyDraft>,
    defaults: Vec<Defaults>,
    /// The `defaults` section that the next proxy inherits from.
    last_defaults: Option<usize>,
    /// The one that the section at hand hides, for when it is closed.
    hides: Option<Declared>,
    current: Current,
    aborted: bool,
}

impl<'a> Loader<'a> {
    /// A loader that has read nothing.
    pub(super) fn new(sources: &'a Sources, facts: &'a Facts, draft: Draft, sink: &'a mut Sink) -> Self {
        Self {
            sources,
            facts,
            sink,
            table: registry::keywords(),
            draft,
            proxies: Vec::new(),
            defaults: Vec::new(),
            last_defaults: None,
            hides: None,
            current: Current::Skipped,
            aborted: false,
        }
    }

    /// Reads what HAProxy reads ahead: the environment and the modes of the process.
    pub(super) fn read_ahead(&mut self, document: &Document) -> Result<(), Refused> {
        let before = self.sink.alerts();
        let mut reader = Reader::new(self.sources, document, Pass::Discover);
        while let Some(statement) = reader.statement(&self.draft.env, self.facts, self.sink) {
            match statement.opens {
                Some(Where::GLOBAL) => self.hint_late_global(&statement),
                Some(_) => self.draft.past_global = true,
                None => {}
            }
            let known = |(name, _): &(&str, bool)| name.as_bytes() == statement.keyword();
            if statement.section == Where::GLOBAL && READ_AHEAD.iter().any(known) {
                self.at(document, &statement);
                self.keyword(&statement, Where::GLOBAL, "global");
            }
        }
        self.verdict(document, before, reader.aborted())
    }

    /// Reads a whole document.
    pub(super) fn read(&mut self, document: &Document) -> Result<(), Refused> {
        let before = self.sink.alerts();
        let mut reader = Reader::new(self.sources, document, Pass::Full);
        self.current = Current::Skipped;
        while let Some(statement) = reader.statement(&self.draft.env, self.facts, self.sink) {
            self.at(document, &statement);
            if let Some(kind) = statement.opens {
                self.close();
                self.current = self.open(&statement, kind);
                if self.aborted {
                    break;
                }
            } else {
                self.line(&statement);
            }
        }
        self.close();
        self.verdict(document, before, self.aborted || reader.aborted())
    }

    /// Says that a file has errors, and whether the next one is read.
    fn verdict(&mut self, document: &Document, before: usize, aborted: bool) -> Result<(), Refused> {
        if self.sink.alerts() == before && !aborted {
            return Ok(());
        }
        let name = self
            .sources
            .file(document.file)
            .map_or_else(String::new, |file| file.display_name().into_owned());
        let text = format!("Error(s) found in configuration file : {name}");
        self.sink
            .push(Diag::alert(Code::Refused, None, text).with_form(Form::Plain));
        if aborted {
            Err(Refused::AtOnce)
        } else {
            Err(Refused::AtTheEnd)
        }
    }

    /// Remembers file and line for what is declared there.
    fn at(&mut self, document: &Document, statement: &Statement<'_>) {
        let name = self
            .sources
            .file(document.file)
            .map_or(&[][..], |file| file.name());
        if self.draft.at.file.as_bytes() != name {
            self.draft.at.file = Arc::from(String::from_utf8_lossy(name));
        }
        self.draft.at.line = statement.line.number;
    }

    /// Reads a line that opens no section.
    fn line(&mut self, statement: &Statement<'_>) {
        match self.current {
            Current::Skipped => {}
            Current::Ignored => {
                let span = statement.line.words_span();
                self.sink.push(Diag::alert(
                    Code::OutOfSection,
                    span,
                    "'listen' or 'defaults' expected.",
                ));
                self.current = Current::Skipped;
            }
            Current::Global => {
                let ahead = READ_AHEAD
                    .iter()
                    .find(|(name, _)| name.as_bytes() == statement.keyword());
                if !ahead.is_some_and(|(_, only)| *only) {
                    self.keyword(statement, Where::GLOBAL, "global");
                }
            }
            Current::Proxy => {
                let kind = self.draft.proxy.kind;
                self.keyword(statement, kind.place(), section_word(kind));
            }
        }
    }

    /// Runs the row of a line.
    fn keyword(&mut self, statement: &Statement<'_>, place: Where, section: &str) {
        match self.table.find(&statement.args, place) {
            Found::Row(row, words) => {
                let mut cursor = statement.cursor(words);
                let result = row.run(&mut cursor, &mut self.draft);
                self.sink.extend(cursor.take_notes());
                self.sink.take(result);
            }
            Found::Elsewhere(places) => self.unknown(statement, section, None, Some(places)),
            Found::Unknown(nearest) => self.unknown(statement, section, nearest, None),
        }
    }

    /// Reports a keyword without a row.
    fn unknown(
        &mut self,
        statement: &Statement<'_>,
        section: &str,
        nearest: Option<&'static str>,
        places: Option<Where>,
    ) {
        let Some(word) = statement.args.first() else {
            return;
        };
        let (list, everywhere) = if section == "global" {
            (unsupported::GLOBAL, Where::GLOBAL)
        } else {
            (unsupported::PROXY, Where::PROXY)
        };
        if list.iter().any(|known| word.is(known)) {
            let text = format!("'{word}' is not supported yet.");
            self.sink.push(Diag::alert(Code::NotSupported, word.span(), text));
            return;
        }
        // HAProxy suggests among the keywords of all proxy sections alike.
        let mut text = format!("unknown keyword '{word}' in '{section}' section");
        let names = self
            .table
            .first_words(everywhere)
            .into_iter()
            .chain(list.iter().copied());
        if let Some(best) = suggest(word.bytes(), names).filter(|best| !word.is(best)) {
            text += &format!("; did you mean '{best}' maybe ?");
        }
        let diag = Diag::alert(Code::UnknownKeyword, word.span(), text);
        let diag = match (nearest, places) {
            (_, Some(places)) => {
                let names: Vec<_> = places.names().map(|name| format!("'{name}'")).collect();
                diag.with_help(format!("it belongs in {}", names.join(", ")))
            }
            (Some(nearest), None) => diag.with_help(format!("did you mean '{nearest}'?")),
            (None, None) => diag,
        };
        self.sink.push(diag);
    }

    /// Points at a `global` section behind others, in either reading.
    fn hint_late_global(&mut self, statement: &Statement<'_>) {
        if self.draft.past_global {
            let text = "global section detected after a non-global one, the prevalence of their statements is \
                        unspecified";
            let span = statement.line.words_span();
            self.sink.push(Diag::hint(Code::Suspicious, span, text));
        }
    }

    /// Opens the section of a header.
    fn open(&mut self, statement: &Statement<'_>, kind: Where) -> Current {
        let span = statement.line.words_span();
        if kind == Where::GLOBAL {
            self.hint_late_global(statement);
            if let Some(extra) = statement.args.get(1) {
                let text = format!("'global' cannot handle unexpected argument '{extra}'.");
                self.sink
                    .push(Diag::alert(Code::UnexpectedArgument, extra.span(), text));
            }
            return Current::Global;
        }
        self.draft.past_global = true;
        let kind = match kind {
            Where::DEFAULTS => Kind::Defaults,
            Where::FRONTEND => Kind::Frontend,
            Where::BACKEND => Kind::Backend,
            Where::LISTEN => Kind::Listen,
            _ => {
                let name = statement
                    .args
                    .first()
                    .map_or_else(String::new, |word| word.text().into_owned());
                let text = format!("section '{name}' is not supported yet.");
                self.sink.push(Diag::alert(Code::NotSupported, span, text));
                return Current::Skipped;
            }
        };
        match self.proxy(statement, kind, span) {
            Ok(current) => current,
            Err(diag) => {
                self.sink.push(diag);
                self.aborted = true;
                Current::Skipped
            }
        }
    }

    /// Opens a proxy section, or says why nothing below it can be read.
    fn proxy(&mut self, statement: &Statement<'_>, kind: Kind, span: Span) -> Result<Current, Diag> {
        let section = section_word(kind);
        let args = &statement.args;
        let word = |at: usize| args.get(at);
        let is_from = |at: usize| word(at).is_some_and(|word| word.is("from"));
        if kind != Kind::Defaults {
            let Some(name) = word(1) else {
                let text = format!("'{section}' expects an <id> argument");
                return Err(Diag::alert(Code::MissingName, span.after(), text));
            };
            self.tolerate_name(name, &format!("'{section}' name '{name}'"));
            let extra = word(2).is_some() && (word(3).is_none() || !is_from(2));
            if let Some(fifth) = word(4).filter(|_| !extra) {
                let text = format!("'{section}' cannot handle unexpected argument '{fifth}'.");
                self.sink
                    .push(Diag::alert(Code::UnexpectedArgument, fifth.span(), text));
                return Ok(Current::Skipped);
            }
            if let Some(third) = word(2).filter(|_| extra) {
                if kind == Kind::Backend {
                    return Ok(Current::Ignored);
                }
                let text = "please use the 'bind' keyword for listening addresses.";
                self.sink
                    .push(Diag::alert(Code::UnexpectedArgument, third.span(), text));
                return Ok(Current::Skipped);
            }
        }
        let mut name = word(1).map_or_else(String::new, |word| word.text().into_owned());
        self.hides = None;
        if kind == Kind::Defaults {
            self.last_defaults = None;
            self.hide_older(&name, span)?;
        }
        self.refuse_same_name(&name, kind, span)?;
        let mut from_at = 2;
        if kind == Kind::Defaults && is_from(1) && word(2).is_some() && word(3).is_none() {
            (from_at, name) = (1, String::new());
        }
        let parent = if is_from(from_at) {
            Some(self.named_defaults(word(from_at + 1), kind, &name, span)?)
        } else if kind == Kind::Defaults {
            None
        } else {
            self.implied_defaults(span)
        };
        self.draft.proxy = inherit(kind, &name, span, self.draft.at.clone(), parent);
        Ok(Current::Proxy)
    }

    /// Prints an alert about a forbidden character in a name, which HAProxy lets pass.
    fn tolerate_name(&mut self, name: &Arg, what: &str) {
        if let Some(found) = forbidden_char(name.bytes()) {
            let text = format!("character '{found}' is not permitted in {what}.");
            self.sink
                .push(Diag::new(Severity::Tolerated, Code::BadName, name.span(), text));
        }
    }

    /// Makes an older `defaults` section of the name invisible, unless somebody refers to it.
    fn hide_older(&mut self, name: &str, span: Span) -> Result<(), Diag> {
        let same = |defaults: &&mut Defaults| !defaults.hidden && &**defaults.draft.name() == name;
        let Some(older) = self.defaults.iter_mut().find(same).filter(|_| !name.is_empty()) else {
            return Ok(());
        };
        let declared = &older.draft.settings.declared;
        if older.named {
            let text = format!(
                "defaults '{name}' has the same name as another defaults section declared at {}:{} which was \
                 explicitly referenced hence cannot be replaced. Please remove or rename one of the offending \
                 defaults section.",
                declared.file, declared.line
            );
            return Err(Diag::alert(Code::DuplicateName, span, text).with_form(Form::Section));
        }
        older.hidden = true;
        self.hides = Some(declared.clone());
        Ok(())
    }

    /// Refuses a name that another section has.
    fn refuse_same_name(&mut self, name: &str, kind: Kind, span: Span) -> Result<(), Diag> {
        let same = |other: &&ProxyDraft| &**other.name() == name && !name.is_empty();
        let defaults = self
            .defaults
            .iter()
            .filter(|defaults| !defaults.hidden && kind != Kind::Defaults);
        let mut others = self
            .proxies
            .iter()
            .chain(defaults.map(|defaults| &*defaults.draft));
        let Some(other) = others.find(same) else {
            return Ok(());
        };
        let declared = &other.settings.declared;
        let text = format!(
            "{} '{name}' has the same name as {} '{name}' declared at {}:{}.",
            kind.noun(),
            other.kind.noun(),
            declared.file,
            declared.line
        );
        let alert = |text: String| Diag::alert(Code::DuplicateName, span, text).with_form(Form::Section);
        // HAProxy says it twice where both could take the same place.
        let sides = |kind: Kind| match kind {
            Kind::Defaults => (false, false),
            Kind::Frontend => (true, false),
            Kind::Backend => (false, true),
            Kind::Listen => (true, true),
        };
        let ((front, back), (other_front, other_back)) = (sides(kind), sides(other.kind));
        if front && other_front || back && other_back {
            self.sink.push(alert(text.clone()));
        }
        let text = text + " This is no longer supported as of 3.3. Please rename one or the other.";
        Err(alert(text))
    }

    /// The `defaults` section after `from`.
    fn named_defaults(
        &mut self,
        word: Option<&Arg>,
        kind: Kind,
        name: &str,
        span: Span,
    ) -> Result<Rc<ProxyDraft>, Diag> {
        let wanted = word.map_or_else(String::new, |word| word.text().into_owned());
        let at = word.map_or_else(|| span.after(), Arg::span);
        let same = |defaults: &Defaults| !defaults.hidden && **defaults.draft.name() == *wanted;
        let found = self
            .defaults
            .iter()
            .rposition(same)
            .filter(|_| !wanted.is_empty());
        let Some(defaults) = found.and_then(|found| self.defaults.get_mut(found)) else {
            let text = format!(
                "defaults section '{wanted}' not found for {} '{name}'.",
                kind.noun()
            );
            let names: Vec<_> = self
                .defaults
                .iter()
                .map(|defaults| Arc::clone(defaults.draft.name()))
                .collect();
            let diag = Diag::alert(Code::UnresolvedName, at, text);
            let names = names.iter().map(|name| &**name).filter(|name| !name.is_empty());
            return Err(diag.with_nearest(wanted.as_bytes(), names));
        };
        defaults.named = true;
        let parent = Rc::clone(&defaults.draft);
        if let Some(hidden) = &defaults.hides {
            let declared = &parent.settings.declared;
            let text = format!(
                "ambiguous defaults section name '{wanted}' referenced by {} '{name}' exists at least at {}:{} and \
                 {}:{}.",
                kind.noun(),
                declared.file,
                declared.line,
                hidden.file,
                hidden.line
            );
            self.sink
                .push(Diag::new(Severity::Tolerated, Code::DuplicateName, at, text));
        }
        if let Some(word) = word {
            let declared = &parent.settings.declared;
            let what = format!(
                "defaults section name '{wanted}' when designated by its name (section found at {}:{})",
                declared.file, declared.line
            );
            self.tolerate_name(word, &what);
        }
        if let Some(found) = found {
            self.warn_mixed(found, span);
        }
        Ok(parent)
    }

    /// The last `defaults` section, if there is one.
    fn implied_defaults(&mut self, span: Span) -> Option<Rc<ProxyDraft>> {
        let last = self.last_defaults?;
        let defaults = self.defaults.get_mut(last)?;
        defaults.implied = true;
        let parent = Rc::clone(&defaults.draft);
        self.warn_mixed(last, span);
        Some(parent)
    }

    /// Warns about a `defaults` section that is both named and implied.
    fn warn_mixed(&mut self, index: usize, span: Span) {
        let Some(defaults) = self
            .defaults
            .get(index)
            .filter(|defaults| defaults.named && defaults.implied)
        else {
            return;
        };
        let declared = &defaults.draft.settings.declared;
        let text = format!(
            "defaults section '{}' (declared at {}:{}) is explicitly referenced by another proxy and implicitly used \
             here.",
            defaults.draft.name(),
            declared.file,
            declared.line
        );
        let help = "always name it, or add a last defaults section that nobody names";
        self.sink
            .push(Diag::warning(Code::Suspicious, span, text).with_help(help));
    }

    /// Files the section that was read.
    fn close(&mut self) {
        if self.current != Current::Proxy {
            return;
        }
        self.current = Current::Skipped;
        let empty = ProxyDraft::new(Kind::Defaults, "", self.draft.proxy.span, Declared::default());
        let proxy = std::mem::replace(&mut self.draft.proxy, empty);
        if proxy.kind == Kind::Defaults {
            self.last_defaults = Some(self.defaults.len());
            self.defaults.push(Defaults {
                draft: Rc::new(proxy),
                hidden: false,
                hides: self.hides.take(),
                named: false,
                implied: false,
            });
            return;
        }
        if let Some((id, span)) = proxy.id
            && let Some(other) = self
                .proxies
                .iter()
                .find(|other| other.id.is_some_and(|(other, _)| other == id))
        {
            let declared = &other.settings.declared;
            let text = format!(
                "{} {} reuses same custom id as {} {} (declared at {}:{}).",
                proxy.kind.noun(),
                proxy.name(),
                other.kind.noun(),
                other.name(),
                declared.file,
                declared.line
            );
            self.sink
                .push(Diag::alert(Code::DuplicateName, span, text).with_form(Form::Reader));
        }
        self.proxies.push(proxy);
    }
}

/// Why reading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No further file is read.
    AtOnce,
    /// The other files are still read.
    AtTheEnd,
}

/// The keyword that opens a section.
fn section_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Defaults => "defaults",
        Kind::Frontend => "frontend",
        Kind::Backend => "backend",
        Kind::Listen => "listen",
    }
}

/// A new section with the settings of the `defaults` section it inherits from, as far as they concern its side.
fn inherit(
    kind: Kind,
    name: &str,
    span: Span,
    declared: Declared,
    parent: Option<Rc<ProxyDraft>>,
) -> ProxyDraft {
    let mut draft = ProxyDraft::new(kind, name, span, declared);
    let Some(parent) = parent else { return draft };
    let caps = kind.caps();
    let built_in = draft.settings.clone();
    let mut settings = parent.settings.clone();
    (settings.name, settings.caps, settings.declared) = (built_in.name, built_in.caps, built_in.declared);
    settings.description = None;
    settings.guid = None;
    let mut own = settings.timeouts;
    if !caps.frontend {
        settings.maxconn = built_in.maxconn;
        settings.backlog = built_in.backlog;
        settings.max_session_srv_conns = built_in.max_session_srv_conns;
        settings.rate_limit_sessions = built_in.rate_limit_sessions;
        settings.client_keep_alive = built_in.client_keep_alive;
        settings.monitor_uri = None;
        (own.client_ms, own.client_hs_ms, own.client_fin_ms) = (None, None, None);
    }
    if !caps.backend {
        settings.balance = built_in.balance;
        settings.fullconn = built_in.fullconn;
        settings.retries = built_in.retries;
        settings.redispatch_interval = built_in.redispatch_interval;
        settings.max_keep_alive_queue = built_in.max_keep_alive_queue;
        settings.source = None;
        settings.server_keep_alive = built_in.server_keep_alive;
        settings.transparent = false;
        settings.forwarded = None;
        own.connect_ms = None;
        (own.server_ms, own.server_fin_ms) = (None, None);
        (own.check_ms, own.queue_ms, own.tunnel_ms) = (None, None, None);
    }
    settings.timeouts = own;
    draft.settings = settings;
    draft.refused = parent.refused;
    draft.balance_given = parent.balance_given && caps.backend;
    draft.default_server = parent.default_server.clone();
    if caps.frontend {
        draft.default_backend = parent.default_backend.clone();
        draft.log_style = parent.log_style.clone();
        draft.error_log_format = parent.error_log_format.clone();
    }
    draft.parent = Some(parent);
    draft
}
