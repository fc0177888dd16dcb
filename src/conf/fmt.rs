//! The formatter: the same configuration, laid out alike everywhere.
//!
//! Sections stand at the margin, their lines behind four blanks, the lines of `.if` blocks four further in; words are one
//! blank apart, a comment behind words two. Words keep their quotes, comments their text; a comment at the margin stays
//! there. Blank lines are never more than one, there is one before a section, none at the beginning and the end of a
//! file. What cannot be read is left as it is, and so is a last line without its end, since HAProxy judges it.

use super::ast::{Document, Line, LineKind};
use super::source::{Sources, Span};

/// One step to the right.
const STEP: &str = "    ";

/// The text of a document, laid out.
#[must_use]
pub fn format(document: &Document, sources: &Sources) -> Vec<u8> {
    let mut page = Page::default();
    for line in &document.preamble {
        page.line(line, sources, false);
    }
    for section in &document.sections {
        page.header(&section.header, sources);
        for line in &section.lines {
            page.line(line, sources, true);
        }
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: Vec<u8>,
    /// A blank line is due, unless nothing follows.
    blank: bool,
    /// The last line is a comment alone: it may belong to the section that follows.
    after_comment: bool,
    /// Open `.if` blocks.
    depth: usize,
}

impl Page {
    fn header(&mut self, line: &Line, sources: &Sources) {
        self.blank |= !self.after_comment;
        self.words(line, sources, 0);
    }

    fn line(&mut self, line: &Line, sources: &Sources, in_section: bool) {
        let is_blank = line.words.is_empty() && line.comment.is_none();
        if line.kind != LineKind::Words || line.nul.is_some() || (is_blank && !line.has_lf) {
            self.begin();
            self.text.extend_from_slice(sources.bytes(line.span));
            self.after_comment = false;
            return;
        }
        let Some(first) = line.words.first() else {
            return self.comment(line, sources, in_section);
        };
        let word = sources.bytes(first.span);
        if matches!(word, b".elif" | b".else" | b".endif") {
            self.depth = self.depth.saturating_sub(1);
        }
        self.words(line, sources, usize::from(in_section) + self.depth);
        if matches!(word, b".if" | b".elif" | b".else") {
            self.depth += 1;
        }
    }

    /// A line without words: a comment, or nothing.
    fn comment(&mut self, line: &Line, sources: &Sources, in_section: bool) {
        let Some(comment) = line.comment else {
            self.blank = true;
            self.after_comment = false;
            return;
        };
        self.begin();
        if comment.start > line.span.start {
            self.indent(usize::from(in_section) + self.depth);
        }
        self.text.extend_from_slice(trim_end(sources.bytes(comment)));
        self.end(line);
        self.after_comment = true;
    }

    fn words(&mut self, line: &Line, sources: &Sources, steps: usize) {
        self.begin();
        self.indent(steps);
        let mut before = None;
        for word in &line.words {
            if let Some(before) = before {
                self.gap(before, word.span, b" ", sources);
            }
            self.text.extend_from_slice(sources.bytes(word.span));
            before = Some(word.span);
        }
        if let (Some(comment), Some(before)) = (line.comment, before) {
            self.gap(before, comment, b"  ", sources);
            self.text.extend_from_slice(trim_end(sources.bytes(comment)));
        }
        self.end(line);
        self.after_comment = false;
    }

    /// What stands between two words. A backslash before it would take a blank, though not a tab, into its word.
    fn gap(&mut self, before: Span, behind: Span, usual: &[u8], sources: &Sources) {
        let gap = if sources.bytes(before).ends_with(b"\\") {
            sources.bytes(Span::new(before.file, before.end, behind.start))
        } else {
            usual
        };
        self.text.extend_from_slice(gap);
    }

    /// The blank line that is due.
    fn begin(&mut self) {
        if std::mem::take(&mut self.blank) && !self.text.is_empty() {
            self.text.push(b'\n');
        }
    }

    fn indent(&mut self, steps: usize) {
        for _ in 0..steps {
            self.text.extend_from_slice(STEP.as_bytes());
        }
    }

    fn end(&mut self, line: &Line) {
        if line.has_lf {
            self.text.push(b'\n');
        }
    }
}

/// Without blanks at the end; a comment's last backslash keeps what it stands before.
fn trim_end(comment: &[u8]) -> &[u8] {
    let end = comment.trim_ascii_end();
    if end.ends_with(b"\\") { comment } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::cond::Facts;
    use crate::conf::diag::Sink;
    use crate::conf::env::Env;
    use crate::conf::reader::{Pass, Reader};
    use proptest::prelude::*;

    fn formatted(text: &[u8]) -> Vec<u8> {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", text.to_vec()).expect("small");
        format(&Document::parse(&sources, file), &sources)
    }

    /// All statements of a text, and how many faults it has.
    fn meaning(text: &[u8]) -> (Vec<Vec<Vec<u8>>>, usize) {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", text.to_vec()).expect("small");
        let document = Document::parse(&sources, file);
        let mut reader = Reader::new(&sources, &document, Pass::Words);
        let (mut all, mut sink) = (Vec::new(), Sink::new());
        let env = Env::default();
        while let Some(statement) = reader.statement(&env, &Facts::default(), &mut sink) {
            all.push(statement.args.iter().map(|arg| arg.bytes().to_vec()).collect());
        }
        (all, sink.alerts())
    }

    #[test]
    fn layout() {
        let text =
            b"\n\n# top\nglobal # g\n\tmaxconn   5 # many\n\n\n  # inside\n# at the margin\nlisten  'a b'\n\
            bind :80\n.if  streq(a,b)\nmode tcp\n.else\nmode http\n.endif\n\n\n";
        let wanted = "# top\nglobal  # g\n    maxconn 5  # many\n\n    # inside\n# at the margin\nlisten 'a b'\n    \
            bind :80\n    .if streq(a,b)\n        mode tcp\n    .else\n        mode http\n    .endif\n";
        assert_eq!(String::from_utf8_lossy(&formatted(text)), wanted);
    }

    #[test]
    fn what_cannot_be_read_stays() {
        for text in [
            &b"global\n  a 'b\n"[..],
            b"global\n[all]\n",
            b"global\n  c\0d\n",
            b"global\n    maxconn 5",
        ] {
            assert_eq!(formatted(text), text);
        }
        assert_eq!(formatted(b""), b"");
        assert_eq!(formatted(b"\n \n"), b"");
    }

    proptest! {
        #[test]
        fn twice_is_once_and_means_the_same(
            lines in prop::collection::vec(
                prop_oneof![
                    "[ \t]{0,3}(global|frontend a|listen b|\\.if 1|\\.else|\\.endif)[ \t]{0,2}(#x)?",
                    "[ \t]{0,3}[a-z]{1,4}([ \t]{1,3}('a  b'|\"c # d\"|e\\\\ f|[a-z#]{1,3})){0,3}[ \t]{0,2}",
                    "[ \t]{0,2}#[ -~]{0,6}",
                    "[ -~\t\r]{0,12}",
                ],
                0..12,
            ),
            end in any::<bool>(),
        ) {
            let mut text = lines.join("\n").into_bytes();
            if end {
                text.push(b'\n');
            }
            let once = formatted(&text);
            prop_assert_eq!(&formatted(&once), &once);
            prop_assert_eq!(meaning(&once), meaning(&text));
        }
    }
}
