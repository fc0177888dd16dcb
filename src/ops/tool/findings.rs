//! Findings in the forms that programs read: JSON, SARIF 2.1.0, and the commands of GitHub's workflows.
//!
//! Codes are stable. Lines and columns count from 1; columns count bytes in JSON, characters in SARIF (as
//! `columnKind` says) and for GitHub. Sources: OASIS SARIF 2.1.0; GitHub's workflow commands.

use serde_json::{Value, json};

use super::super::version;
use crate::conf::diag::{Code, Diag, Severity};
use crate::conf::render;
use crate::conf::source::{Sources, Span};

/// The form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As `-c` prints it.
    Text,
    /// One object.
    Json,
    /// One log with one run.
    Sarif,
    /// A line per finding.
    Github,
}

impl Format {
    /// The form of that name.
    pub(super) fn read(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "json" => Self::Json,
            "sarif" => Self::Sarif,
            "github" => Self::Github,
            _ => return None,
        })
    }
}

/// What one check found.
pub(super) struct Findings<'a> {
    /// The reports, in order.
    pub(super) reports: &'a [Diag],
    /// What they are about.
    pub(super) sources: &'a Sources,
    /// Hints are wanted (`-dD`).
    pub(super) hints: bool,
    /// The configuration is not started with.
    pub(super) refused: bool,
}

/// The columns of a place: where it begins and where it ends.
#[derive(Clone, Copy)]
enum Columns {
    Bytes,
    Characters,
}

struct Place {
    file: String,
    line: u32,
    column: usize,
    end_line: u32,
    end_column: usize,
}

impl Findings<'_> {
    fn wanted(&self) -> impl Iterator<Item = &Diag> {
        let hints = self.hints;
        self.reports
            .iter()
            .filter(move |diag| diag.severity != Severity::Diag || hints)
    }

    fn place(&self, diag: &Diag, columns: Columns) -> Option<Place> {
        let span = diag.span?;
        let file = self.sources.file(span.file)?;
        let at = |offset: u32| {
            let position = self.sources.position(Span::new(span.file, offset, offset));
            let bytes = position.column as usize - 1;
            let column = match columns {
                Columns::Bytes => bytes,
                Columns::Characters => {
                    let line = file.line(position.line);
                    String::from_utf8_lossy(line.get(..bytes).unwrap_or(line))
                        .chars()
                        .count()
                }
            };
            (position.line, column + 1)
        };
        let ((line, column), (end_line, end_column)) = (at(span.start), at(span.end));
        Some(Place {
            file: file.display_name().to_string(),
            line,
            column,
            end_line,
            end_column,
        })
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Alert | Severity::Tolerated => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
        Severity::Diag => "hint",
    }
}

/// The findings as text of that form.
pub(super) fn print(findings: &Findings<'_>, format: Format) -> String {
    match format {
        Format::Text => text(findings),
        Format::Json => lines(&json_of(findings)),
        Format::Sarif => lines(&sarif(findings)),
        Format::Github => github(findings),
    }
}

fn lines(value: &Value) -> String {
    format!("{value:#}\n")
}

fn text(findings: &Findings<'_>) -> String {
    let pid = std::process::id();
    let report = |diag| render::render(diag, findings.sources, pid);
    findings.wanted().map(report).collect()
}

fn json_of(findings: &Findings<'_>) -> Value {
    let finding = |diag: &Diag| {
        let place = findings.place(diag, Columns::Bytes).map(|place| {
            json!({
                "file": place.file,
                "line": place.line,
                "column": place.column,
                "end_line": place.end_line,
                "end_column": place.end_column,
            })
        });
        json!({
            "code": diag.code.as_str(),
            "severity": severity(diag.severity),
            "message": diag.text,
            "help": diag.help,
            "place": place,
        })
    };
    json!({
        "schema": 1,
        "verdict": if findings.refused { "refused" } else { "accepted" },
        "findings": findings.wanted().map(finding).collect::<Vec<_>>(),
    })
}

fn sarif(findings: &Findings<'_>) -> Value {
    let mut rules: Vec<Code> = findings.wanted().map(|diag| diag.code).collect();
    rules.sort_by_key(|code| code.as_str());
    rules.dedup();
    let result = |diag: &Diag| {
        let level = match diag.severity {
            Severity::Alert | Severity::Tolerated => "error",
            Severity::Warning => "warning",
            Severity::Notice | Severity::Diag => "note",
        };
        let locations = findings.place(diag, Columns::Characters).map(|place| {
            json!({ "physicalLocation": {
                "artifactLocation": { "uri": place.file },
                "region": {
                    "startLine": place.line,
                    "startColumn": place.column,
                    "endLine": place.end_line,
                    "endColumn": place.end_column,
                },
            } })
        });
        json!({
            "ruleId": diag.code.as_str(),
            "level": level,
            "message": { "text": message(diag) },
            "locations": locations.into_iter().collect::<Vec<_>>(),
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "rproxy",
                "version": version::VERSION,
                "rules": rules.iter().map(|code| json!({ "id": code.as_str() })).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.wanted().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// The text with its help.
fn message(diag: &Diag) -> String {
    match &diag.help {
        Some(help) => format!("{}\nhelp: {help}", diag.text),
        None => diag.text.clone(),
    }
}

fn github(findings: &Findings<'_>) -> String {
    let mut out = String::new();
    for diag in findings.wanted() {
        let command = match diag.severity {
            Severity::Alert | Severity::Tolerated => "error",
            Severity::Warning => "warning",
            Severity::Notice | Severity::Diag => "notice",
        };
        let place = findings.place(diag, Columns::Characters).map(|place| {
            let same_line = place.line == place.end_line;
            let end = if same_line {
                format!(",endColumn={}", place.end_column)
            } else {
                String::new()
            };
            format!(
                "file={},line={},endLine={},col={}{end},",
                property(&place.file),
                place.line,
                place.end_line,
                place.column
            )
        });
        out.push_str(&format!(
            "::{command} {}title={}::{}\n",
            place.unwrap_or_default(),
            property(diag.code.as_str()),
            data(&message(diag))
        ));
    }
    out
}

/// What would end a command is written as `%XX`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value before the message, where more bytes mean something.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print_all(format: Format) -> String {
        let mut sources = Sources::new();
        let file = sources
            .add(
                "a,b.cfg".as_bytes(),
                "global\n # \u{e9}\u{e9} x y\n".as_bytes().to_vec(),
            )
            .expect("small");
        // `y`, behind two characters of two bytes each.
        let span = Span::new(file, 16, 17);
        let reports = [
            Diag::alert(Code::UnknownKeyword, span, "50% of 'y'").with_help("is \"it\"?"),
            Diag::warning(Code::Missing, None, "nowhere"),
            Diag::hint(Code::Missing, None, "a hint"),
        ];
        let findings = Findings {
            reports: &reports,
            sources: &sources,
            hints: false,
            refused: true,
        };
        print(&findings, format)
    }

    #[test]
    fn json_has_places_in_bytes() {
        let value: Value = serde_json::from_str(&print_all(Format::Json)).expect("JSON");
        assert_eq!(value["verdict"], "refused");
        assert_eq!(value["findings"].as_array().map(Vec::len), Some(2));
        let first = &value["findings"][0];
        assert_eq!(first["code"], "unknown-keyword");
        assert_eq!(first["help"], "is \"it\"?");
        assert_eq!(
            first["place"],
            json!({ "file": "a,b.cfg", "line": 2, "column": 10, "end_line": 2, "end_column": 11 })
        );
        assert_eq!(value["findings"][1]["place"], Value::Null);
    }

    #[test]
    fn sarif_has_places_in_characters() {
        let value: Value = serde_json::from_str(&print_all(Format::Sarif)).expect("JSON");
        let run = &value["runs"][0];
        assert_eq!(run["results"][0]["level"], "error");
        assert_eq!(
            run["results"][0]["locations"][0]["physicalLocation"]["region"],
            json!({ "startLine": 2, "startColumn": 8, "endLine": 2, "endColumn": 9 })
        );
        assert_eq!(run["results"][1]["locations"], json!([]));
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        assert_eq!(rules.len(), 2);
    }

    #[test]
    fn github_escapes() {
        assert_eq!(
            print_all(Format::Github),
            "::error file=a%2Cb.cfg,line=2,endLine=2,col=8,endColumn=9,title=unknown-keyword::50%25 of 'y'%0Ahelp: is \
             \"it\"?\n::warning title=missing-statement::nowhere\n"
        );
    }
}
