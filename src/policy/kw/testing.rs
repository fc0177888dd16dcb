//! Runs single lines through the keyword tables, for the tests of rows. Words are separated by blanks.

use crate::conf::cursor::{Arg, ArgCursor, Modifier};
use crate::conf::diag::{Diag, Severity};
use crate::conf::row::{Found, Where};
use crate::conf::source::{FileId, Sources, Span};
use crate::model::config::Declared;
use crate::policy::draft::{Draft, Kind, ProxyDraft};
use crate::policy::registry::keywords;

/// What came of some lines.
pub(crate) struct Outcome {
    /// The draft after them.
    pub(crate) draft: Draft,
    /// All reports, in order.
    pub(crate) reports: Vec<Diag>,
}

impl Outcome {
    /// Text of the first alert.
    pub(crate) fn alert(&self) -> Option<&str> {
        let alert = self
            .reports
            .iter()
            .find(|report| report.severity == Severity::Alert);
        alert.map(|report| report.text.as_str())
    }

    /// Texts of the reports of a severity.
    pub(crate) fn texts(&self, severity: Severity) -> Vec<&str> {
        let of_severity = self.reports.iter().filter(|report| report.severity == severity);
        of_severity.map(|report| report.text.as_str()).collect()
    }
}

fn words(file: FileId, text: &str, mut at: u32) -> Vec<Arg> {
    let mut list = Vec::new();
    for word in text.split(' ') {
        let span = Span::new(file, at, at + word.len() as u32);
        at = span.end + 1;
        if !word.is_empty() {
            list.push(Arg::plain(word.as_bytes(), span));
        }
    }
    list
}

/// Reads lines of a `global` section (`None`) or of a proxy section named `b`, numbered from 1 in `t.cfg`; lines
/// after a refused one are read all the same.
pub(crate) fn read(kind: Option<Kind>, lines: &[&str]) -> Outcome {
    let mut draft = crate::policy::draft::tests::draft();
    let text = lines.join("\n");
    let mut sources = Sources::new();
    let file = sources.add(b"t.cfg", text.into_bytes()).expect("small");
    if let Some(kind) = kind {
        draft.proxy = ProxyDraft::new(kind, "b", Span::new(file, 0, 0), Declared::default());
    }
    let place = kind.map_or(Where::GLOBAL, Kind::place);
    let table = keywords();
    let mut reports = Vec::new();
    let mut at = 0;
    for (number, line) in lines.iter().enumerate() {
        draft.at = Declared {
            file: "t.cfg".into(),
            line: number as u32 + 1,
        };
        let all = words(file, line, at);
        let span = Span::new(file, at, at + line.len() as u32);
        at = span.end + 1;
        let (modifier, words) = match all.first() {
            Some(word) if word.is("no") => (Modifier::No, &all[1..]),
            Some(word) if word.is("default") => (Modifier::Default, &all[1..]),
            _ => (Modifier::Set, &all[..]),
        };
        let Found::Row(row, count) = table.find(words, place) else {
            panic!("no row for {line}");
        };
        let mut cursor = ArgCursor::new(words, count, modifier, span);
        let result = row.run(&mut cursor, &mut draft);
        reports.extend(cursor.take_notes());
        reports.extend(result.err());
    }
    Outcome { draft, reports }
}

/// Reads lines of a `global` section that must be accepted; the text of the first alert otherwise.
pub(crate) fn run(lines: &[&str]) -> Result<Draft, String> {
    let outcome = read(None, lines);
    outcome.alert().map(str::to_owned).map_or(Ok(outcome.draft), Err)
}

/// Whether 3.4.0 would accept lines of a `global` section, or its first alert.
pub(crate) fn verdict(lines: &[&str]) -> Result<(), String> {
    run(lines).map(|_| ())
}

/// Reads lines of a section that must be accepted; the text of the first alert otherwise.
pub(crate) fn run_in(kind: Kind, lines: &[&str]) -> Result<ProxyDraft, String> {
    let outcome = read(Some(kind), lines);
    outcome
        .alert()
        .map(str::to_owned)
        .map_or(Ok(outcome.draft.proxy), Err)
}
