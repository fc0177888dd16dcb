//! What is reported about a configuration: severity, stable code, place, text, help.
//!
//! For every pass from the lexer to the cross checks. The text is for people and is built where the report is
//! made; programs look at the [`Code`]. Reports of one run gather in a [`Sink`], which is bounded as HAProxy is
//! (it gives up after 50 fatal errors). Printing is in `conf/render.rs`.

use super::source::Span;

/// After this many alerts a run stops, as in HAProxy.
pub const MAX_ALERTS: usize = 50;

/// Reports kept in one run; the rest is counted only.
pub const MAX_REPORTS: usize = 1000;

/// Longest name for which a nearest one is looked for, in bytes.
pub const MAX_NEAREST_BYTES: usize = 64;

/// How grave a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Printed in diagnostic mode (`-dD`) only; never changes the outcome.
    Diag,
    /// Information; never changes the outcome.
    Notice,
    /// Start goes on, unless `zero-warning` is set.
    Warning,
    /// Printed as an alert, yet start goes on even under `zero-warning`: HAProxy has a few such cases, where a
    /// second occurrence of a statement is ignored.
    Tolerated,
    /// The configuration is refused.
    Alert,
}

/// Declares [`Code`] with the printed form of each.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Stable identity of a report. The printed form never changes once released.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Printed form, for instance `unmatched-quote`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    // Words of a line.
    /// A quote that nothing closes.
    UnmatchedQuote = "unmatched-quote",
    /// `${` without `}`.
    UnmatchedBrace = "unmatched-brace",
    /// `\x` not followed by two hexadecimal digits.
    BadHexEscape = "bad-hex-escape",
    /// `$` followed by what cannot start a variable name, or an unknown pseudo-variable.
    BadVariableName = "bad-variable-name",
    /// `[` after a variable name, but not `[*]`.
    BadWordExpansion = "bad-word-expansion",
    /// More words on the line than allowed.
    TooManyWords = "too-many-words",
    /// A word that is empty after expansion.
    EmptyArgument = "empty-argument",
    /// NUL byte inside the file.
    StrayNul = "stray-nul",
    /// The file does not end with LF.
    MissingLf = "missing-lf",
    /// A line whose words grow past the limit when variables are expanded.
    LineTooLong = "line-too-long",
    /// The run was stopped after too many errors.
    TooManyErrors = "too-many-errors",

    // Dot directives.
    /// `.if` nested too deep.
    CondTooDeep = "cond-too-deep",
    /// The expression of `.if` or `.elif` cannot be read or evaluated.
    CondBadExpr = "cond-bad-expression",
    /// `.elif`, `.else` or `.endif` without `.if`.
    CondLone = "cond-lone",
    /// `.elif` or `.else` after `.else`.
    CondAfterElse = "cond-after-else",
    /// `.if` without `.endif`.
    CondNotClosed = "cond-not-closed",
    /// A word starting with a dot that is no directive.
    UnknownDirective = "unknown-directive",
    /// Message of `.alert`, `.warning`, `.notice` or `.diag`.
    UserMessage = "user-message",

    // Keywords and arguments.
    /// No such keyword.
    UnknownKeyword = "unknown-keyword",
    /// A keyword before the first section.
    OutOfSection = "out-of-section",
    /// The keyword exists, but not in this section.
    WrongSection = "wrong-section",
    /// HAProxy knows it, this program does not support it yet.
    NotSupported = "not-supported",
    /// A keyword that HAProxy removed or that should be replaced.
    Deprecated = "deprecated",
    /// `no` or `default` before a keyword that takes neither.
    BadModifier = "bad-modifier",
    /// An argument is missing.
    MissingArgument = "missing-argument",
    /// One argument too many.
    UnexpectedArgument = "unexpected-argument",
    /// A word that is not among those allowed.
    BadChoice = "bad-choice",
    /// Not a number, or trailing characters.
    BadNumber = "bad-number",
    /// A number outside of its range.
    OutOfRange = "out-of-range",
    /// Not a time.
    BadTime = "bad-time",
    /// A time above 2147483647 units.
    TimeOverflow = "time-overflow",
    /// Not a size.
    BadSize = "bad-size",
    /// Not an address, or one not allowed here.
    BadAddress = "bad-address",
    /// Not text (UTF-8) where a name is needed.
    BadText = "bad-text",
    /// A forbidden character in a name.
    BadName = "bad-name",
    /// An argument that is wrong in a way of its own.
    BadArgument = "bad-argument",
    /// The statement has no effect here.
    Ignored = "ignored",
    /// The setting was given before and is overwritten.
    Overwritten = "overwritten",
    /// A value that is accepted but very likely wrong.
    Suspicious = "suspicious-value",

    // Sections, names and cross checks.
    /// A section or object of this name exists.
    DuplicateName = "duplicate-name",
    /// A section without the name it needs.
    MissingName = "missing-name",
    /// A name that nothing carries.
    UnresolvedName = "unresolved-name",
    /// Two statements that exclude each other.
    Conflict = "conflict",
    /// A statement that needs another one.
    Missing = "missing-statement",
    /// The configuration as a whole is refused; the reasons came before.
    Refused = "refused",
    /// A file could not be read.
    FileError = "file-error",
    /// The system refused something at start.
    SystemError = "system-error",
}

/// How the first line names the place. HAProxy has all of these; tools match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `config : parsing [file:line] : text`, the form of keywords.
    Parsing,
    /// `config : parsing [file:line]: text`, the form of the line reader and the dot directives.
    Reader,
    /// `config : text`, although the place may be known.
    Plain,
    /// `parsing [file:line] : text`, the form of what is found once a proxy is complete.
    Checked,
    /// `config : Parsing [file:line]: text`, the form of names that are taken.
    Section,
    /// `Parsing [file:line]: text`, the form of log formats, which are read then.
    CheckedFormat,
    /// Only the text, for what is not about a configuration file.
    Bare,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Diag {
    /// How grave it is.
    pub severity: Severity,
    /// What it is, for programs.
    pub code: Code,
    /// Where it is; `None` for what belongs to no line.
    pub span: Option<Span>,
    /// How the first line names the place.
    pub form: Form,
    /// What it is, for people; one line without a final LF.
    pub text: String,
    /// What could be done about it: one line, without the word "help".
    pub help: Option<String>,
}

impl Diag {
    /// A report with all its parts; `text` as HAProxy words it where HAProxy has the case.
    pub fn new(
        severity: Severity,
        code: Code,
        span: impl Into<Option<Span>>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            span: span.into(),
            form: Form::Parsing,
            text: text.into(),
            help: None,
        }
    }

    /// An error: the configuration is refused.
    pub fn alert(code: Code, span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Alert, code, span, text)
    }

    /// A warning.
    pub fn warning(code: Code, span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, text)
    }

    /// A notice.
    pub fn notice(code: Code, span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Notice, code, span, text)
    }

    /// A hint for diagnostic mode.
    pub fn hint(code: Code, span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Diag, code, span, text)
    }

    /// The same with another form of the first line.
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The same with a line of help.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// The same with the nearest of `candidates` to `name` as help, or else the list when it is short.
    pub fn with_nearest<'c>(self, name: &[u8], candidates: impl IntoIterator<Item = &'c str>) -> Self {
        let list: Vec<&str> = candidates.into_iter().collect();
        let help = match nearest(name, list.iter().copied()) {
            Some(best) => format!("did you mean '{best}'?"),
            None if !list.is_empty() && list.len() <= 16 => format!("expected one of: {}", list.join(", ")),
            None => return self,
        };
        self.with_help(help)
    }
}

/// A byte as a character to print in a message.
pub fn shown(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() {
        char::from(byte)
    } else {
        '?'
    }
}

/// The reports of one run, in order, with a bound.
#[derive(Debug, Default)]
pub struct Sink {
    reports: Vec<Diag>,
    alerts: usize,
    warnings: usize,
}

impl Sink {
    /// Nothing reported yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a report; past [`MAX_REPORTS`] it is counted but not kept.
    pub fn push(&mut self, diag: Diag) {
        match diag.severity {
            Severity::Alert => self.alerts += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Tolerated | Severity::Notice | Severity::Diag => {}
        }
        if self.reports.len() < MAX_REPORTS {
            self.reports.push(diag);
        }
    }

    /// Keeps the value, or reports why there is none.
    pub fn take<T>(&mut self, result: Result<T, Diag>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(diag) => {
                self.push(diag);
                None
            }
        }
    }

    /// Number of alerts so far.
    pub fn alerts(&self) -> usize {
        self.alerts
    }

    /// Number of warnings so far.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// True when the configuration is to be refused.
    pub fn has_errors(&self) -> bool {
        self.alerts > 0
    }

    /// True when reading should stop because of too many errors.
    pub fn is_full(&self) -> bool {
        self.alerts >= MAX_ALERTS
    }

    /// The reports kept, in order.
    pub fn reports(&self) -> &[Diag] {
        &self.reports
    }

    /// Takes the reports kept out; the counts stay.
    pub fn drain(&mut self) -> Vec<Diag> {
        std::mem::take(&mut self.reports)
    }
}

impl Extend<Diag> for Sink {
    fn extend<I: IntoIterator<Item = Diag>>(&mut self, reports: I) {
        for diag in reports {
            self.push(diag);
        }
    }
}

/// The candidate that resembles `name` most, if it is near enough to be what was meant.
///
/// The measure is HAProxy's, so that suggestions agree: two names are as far apart as the letters that only one
/// of them has, and the steps from letter to letter that one has more often than the other; anything above twice
/// the length of either is too far. Ties go to the first candidate.
pub fn nearest<'c>(name: &[u8], candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.is_empty() || name.len() > MAX_NEAREST_BYTES {
        return None;
    }
    let wanted = Shape::of(name);
    let near = |candidate: &'c str| {
        let length = name.len().min(candidate.len());
        let usable = !candidate.is_empty() && candidate.len() <= MAX_NEAREST_BYTES;
        usable.then(|| {
            (
                wanted.distance(&Shape::of(candidate.as_bytes())),
                length * 2,
                candidate,
            )
        })
    };
    let best = candidates
        .into_iter()
        .filter_map(near)
        .min_by_key(|&(distance, ..)| distance);
    best.filter(|&(distance, most, _)| distance <= most)
        .map(|(.., candidate)| candidate)
}

/// Letters, one class for digits, one for everything else including both ends of a name; 0 counts presence.
const CLASSES: usize = 29;
const DIGIT: usize = 27;
const OTHER: usize = 28;

/// What [`nearest`] compares: which classes a name has, and how often each step from class to class occurs.
struct Shape([u8; CLASSES * CLASSES]);

impl Shape {
    /// Shape of a name of at most [`MAX_NEAREST_BYTES`], hence no count overflows.
    fn of(name: &[u8]) -> Self {
        let mut counts = [0; CLASSES * CLASSES];
        let mut from = OTHER;
        let classes = name.iter().map(|byte| match byte.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => usize::from(letter - b'a') + 1,
            b'0'..=b'9' => DIGIT,
            _ => OTHER,
        });
        for to in classes {
            counts[to] = 1;
            counts[CLASSES * from + to] += 1;
            from = to;
        }
        counts[CLASSES * from + OTHER] += 1;
        Self(counts)
    }

    fn distance(&self, other: &Self) -> usize {
        self.0
            .iter()
            .zip(&other.0)
            .map(|(a, b)| usize::from(a.abs_diff(*b)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        // What HAProxy 3.4.0 suggests or does not, among names that it knows in these places.
        let names = [
            "timeout",
            "maxconn",
            "mode",
            "balance",
            "bind",
            "use_backend",
            "server",
            "retries",
            "daemon",
        ];
        let suggestions = [
            ("timout", Some("timeout")),
            ("TIMOUT", Some("timeout")),
            ("maxcon", Some("maxconn")),
            ("mod", Some("mode")),
            ("balanse", Some("balance")),
            ("bnd", Some("bind")),
            ("use-backend", Some("use_backend")),
            ("usebackend", Some("use_backend")),
            ("sever", Some("server")),
            ("retrys", Some("retries")),
            ("deamon", Some("daemon")),
            ("foo", None),
            ("xyz", None),
        ];
        for (name, expected) in suggestions {
            assert_eq!(nearest(name.as_bytes(), names), expected, "{name}");
        }
        assert_eq!(nearest(b"timout", ["maxconn", "mode"]), None);
        assert_eq!(nearest(b"", names), None);
        assert_eq!(nearest(&[b'a'; 65], names), None);
        assert_eq!(nearest(b"x", []), None);
    }

    #[test]
    fn codes_are_unique_and_spelled_alike() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code:?} twice");
            assert!(
                code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{code:?}"
            );
        }
    }

    #[test]
    fn sink_counts_and_bounds() {
        let mut sink = Sink::new();
        for _ in 0..MAX_REPORTS + 5 {
            sink.push(Diag::warning(Code::Ignored, None, "x"));
        }
        assert_eq!(sink.reports().len(), MAX_REPORTS);
        assert_eq!(sink.warnings(), MAX_REPORTS + 5);
        assert!(!sink.has_errors());
        assert_eq!(
            sink.take::<u8>(Err(Diag::alert(Code::BadNumber, None, "y"))),
            None
        );
        assert!(sink.has_errors() && !sink.is_full());
        for _ in 0..MAX_ALERTS {
            sink.push(Diag::alert(Code::BadNumber, None, "y"));
        }
        assert!(sink.is_full());
    }

    #[test]
    fn help_from_candidates() {
        let diag = Diag::alert(Code::BadChoice, None, "x").with_nearest(b"tpc", ["tcp", "http"]);
        assert_eq!(diag.help.as_deref(), Some("did you mean 'tcp'?"));
        let diag = Diag::alert(Code::BadChoice, None, "x").with_nearest(b"zzzzz", ["tcp", "http"]);
        assert_eq!(diag.help.as_deref(), Some("expected one of: tcp, http"));
    }
}
