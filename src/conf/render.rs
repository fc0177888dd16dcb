//! Reports as text: HAProxy's first line, then the source line, a caret and one line of help.
//!
//! For the command line and the start-up log. The first line is what people and tools search for, hence its shape
//! and padding are HAProxy 3.4.0's; what follows is indented by two columns.

use super::diag::{Diag, Form, Severity};
use super::source::{Position, Sources};

/// Columns of a source line that are shown.
const WIDTH: usize = 80;

/// What a severity is called.
fn label(severity: Severity) -> &'static str {
    match severity {
        Severity::Alert | Severity::Tolerated => "[ALERT]",
        Severity::Warning => "[WARNING]",
        Severity::Notice => "[NOTICE]",
        Severity::Diag => "[DIAG]",
    }
}

/// The beginning of any line on standard error: `[ALERT]    (pid) : `.
pub fn head(severity: Severity, pid: u32) -> String {
    format!("{:<10} ({pid}) : ", label(severity))
}

/// The first line of a report, without LF.
pub fn first_line(diag: &Diag, sources: &Sources, pid: u32) -> String {
    let mut line = head(diag.severity, pid);
    let place = diag
        .span
        .and_then(|span| Some((sources.file(span.file)?, sources.position(span))));
    match (diag.form, place) {
        (Form::Bare, _) => {}
        (Form::Parsing, Some((file, Position { line: number, .. }))) => {
            line += &format!("config : parsing [{}:{number}] : ", file.display_name());
        }
        (Form::Reader, Some((file, Position { line: number, .. }))) => {
            line += &format!("config : parsing [{}:{number}]: ", file.display_name());
        }
        (Form::Section, Some((file, Position { line: number, .. }))) => {
            line += &format!("config : Parsing [{}:{number}]: ", file.display_name());
        }
        (Form::Checked, Some((file, Position { line: number, .. }))) => {
            line += &format!("parsing [{}:{number}] : ", file.display_name());
        }
        (Form::CheckedFormat, Some((file, Position { line: number, .. }))) => {
            line += &format!("Parsing [{}:{number}]: ", file.display_name());
        }
        (Form::Checked | Form::CheckedFormat, None) => {}
        (Form::Plain, _) | (Form::Parsing | Form::Reader | Form::Section, None) => line += "config : ",
    }
    // One line stays one line, whatever the configuration put into it.
    line.extend(diag.text.chars().map(|c| if c.is_control() { '?' } else { c }));
    line
}

/// A whole report, each line with its LF.
pub fn render(diag: &Diag, sources: &Sources, pid: u32) -> String {
    let mut out = first_line(diag, sources, pid);
    out.push('\n');
    let place = diag
        .span
        .and_then(|span| Some((sources.file(span.file)?, sources.position(span))));
    if let (Some((file, at)), true) = (place, diag.form != Form::Bare) {
        let line = file.line(at.line);
        let (text, column) = excerpt(line, at.column as usize - 1);
        if !text.is_empty() {
            out += &format!("  {text}\n  {:column$}^\n", "");
        }
    }
    if let Some(help) = &diag.help {
        out += &format!("  help: {help}\n");
    }
    out
}

/// A printable part of a line around byte `at`, without its indentation, and the column of that byte in it.
fn excerpt(line: &[u8], at: usize) -> (String, usize) {
    let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let body = line.get(indent..).unwrap_or(&[]);
    let at = at.saturating_sub(indent).min(body.len());
    // Decode no more than can be shown on either side of the place.
    let from = at.saturating_sub(WIDTH * 4);
    let to = body.len().min(at + WIDTH * 4);
    let show = |bytes: &[u8]| -> Vec<char> {
        let text = String::from_utf8_lossy(bytes);
        let printable = |c: char| {
            if c.is_whitespace() {
                ' '
            } else if c.is_control() {
                '?'
            } else {
                c
            }
        };
        text.chars().map(printable).collect()
    };
    let before = show(body.get(from..at).unwrap_or(&[]));
    let after = show(body.get(at..to).unwrap_or(&[]));
    let mut text = String::new();
    // Keep the beginning as long as the place is in sight, else put the place in the middle.
    let column = if from == 0 && before.len() < WIDTH {
        text.extend(&before);
        before.len()
    } else {
        let kept = WIDTH / 2 - 3;
        text.push_str("...");
        text.extend(before.iter().skip(before.len().saturating_sub(kept)));
        kept.min(before.len()) + 3
    };
    let room = WIDTH.saturating_sub(column);
    if after.len() > room {
        text.extend(after.iter().take(room.saturating_sub(3)));
        text.push_str("...");
    } else {
        text.extend(after.iter());
    }
    (text, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::diag::Code;
    use crate::conf::source::Span;

    fn show(text: &str, start: u32, form: Form, severity: Severity) -> String {
        let mut sources = Sources::new();
        let file = sources.add(b"a.cfg", text.as_bytes().to_vec()).expect("small");
        let diag = Diag::new(
            severity,
            Code::BadName,
            Span::new(file, start, start + 1),
            "bad\n\x1b[1m",
        );
        render(&diag.with_form(form).with_help("do better"), &sources, 42)
    }

    #[test]
    fn shapes() {
        let expected =
            "[ALERT]    (42) : config : parsing [a.cfg:2]: bad??[1m\n  foo bar\n      ^\n  help: do better\n";
        assert_eq!(
            show("x\n \tfoo bar\r\n", 8, Form::Reader, Severity::Alert),
            expected
        );
        let first = |form, severity| {
            let text = show("x\n foo\n", 3, form, severity);
            text.lines().next().map(str::to_owned)
        };
        for (form, severity, head) in [
            (
                Form::Parsing,
                Severity::Warning,
                "[WARNING]  (42) : config : parsing [a.cfg:2] :",
            ),
            (
                Form::Checked,
                Severity::Warning,
                "[WARNING]  (42) : parsing [a.cfg:2] :",
            ),
            (
                Form::CheckedFormat,
                Severity::Alert,
                "[ALERT]    (42) : Parsing [a.cfg:2]:",
            ),
            (Form::Plain, Severity::Notice, "[NOTICE]   (42) : config :"),
            (Form::Bare, Severity::Diag, "[DIAG]     (42) :"),
        ] {
            assert_eq!(first(form, severity), Some(format!("{head} bad??[1m")));
        }
        assert_eq!(show("x\n", 0, Form::Bare, Severity::Alert).lines().count(), 2);
    }

    #[test]
    fn excerpts() {
        assert_eq!(excerpt(b"  a b", 4), ("a b".into(), 2));
        assert_eq!(excerpt("é\u{1} x".as_bytes(), 4), ("é? x".into(), 3));
        assert_eq!(excerpt(b"ab", 99), ("ab".into(), 2));
        assert_eq!(excerpt(b"", 0), (String::new(), 0));
        let long = "x".repeat(1000);
        let (text, column) = excerpt(long.as_bytes(), 500);
        assert_eq!((text.chars().count(), column), (WIDTH, WIDTH / 2));
        assert!(text.starts_with("...") && text.ends_with("..."));
        let (text, column) = excerpt(long.as_bytes(), 10);
        assert_eq!((text.chars().count(), column), (WIDTH, 10));
        let (text, column) = excerpt(long.as_bytes(), 999);
        assert_eq!((text.chars().count(), column), (WIDTH / 2 + 1, WIDTH / 2));
    }
}
