//! The syntax tree: Document > Section > Line > Word, by spans into the text it was read from.
//!
//! For the load passes, the formatter and run-time edits. Nothing is lost: blanks, comments, quotes, line ends and
//! unreadable lines are all there, so that printing gives the same bytes. Words are raw; what they mean is decided
//! by `conf/reader.rs` and `conf/cook.rs` in document order. Sections are those of the text: a header inside a
//! false `.if` still opens one here. Source: manual chapter 2.1.

use super::lex::{self, Fault, Part, Parts, Syntax};
use super::row::Where;
use super::source::{FileId, Sources, Span};

/// A raw word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its bytes with quotes and escapes.
    pub span: Span,
    /// True when the bytes stand for themselves.
    pub plain: bool,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Words, or nothing but blanks and a comment.
    Words,
    /// `[name]`: a scope, used by some filters' own files.
    Scope,
    /// Not readable: the fault and the place it is about. The words before the fault are kept.
    Bad(Fault, u32),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number within the file, from 1.
    pub number: u32,
    /// The whole line with its LF.
    pub span: Span,
    /// What it is.
    pub kind: LineKind,
    /// Its words in order.
    pub words: Vec<Word>,
    /// The comment from its `#` on, without LF.
    pub comment: Option<Span>,
    /// Offset of a NUL, which ends the line early.
    pub nul: Option<u32>,
    /// False for a last line that lacks its LF.
    pub has_lf: bool,
}

impl Line {
    /// Column of a file offset in this line, from 1.
    pub fn column(&self, offset: u32) -> u32 {
        offset.saturating_sub(self.span.start) + 1
    }

    /// From the first word to the last; the empty start of the line when there is none.
    pub fn words_span(&self) -> Span {
        let start = Span::new(self.span.file, self.span.start, self.span.start);
        self.words
            .first()
            .zip(self.words.last())
            .map_or(start, |(first, last)| first.span.to(last.span))
    }
}

/// A section: its header and the lines up to the next header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What the header opens.
    pub kind: Where,
    /// The header.
    pub header: Line,
    /// The lines below it.
    pub lines: Vec<Line>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The file it was read from.
    pub file: FileId,
    /// Lines above the first section.
    pub preamble: Vec<Line>,
    /// The sections in order.
    pub sections: Vec<Section>,
}

impl Document {
    /// Reads a file. Never fails: what cannot be read is a line of kind [`LineKind::Bad`].
    /// An id of other sources gives an empty document.
    pub fn parse(sources: &Sources, file: FileId) -> Self {
        let mut document = Self {
            file,
            preamble: Vec::new(),
            sections: Vec::new(),
        };
        let text = sources.file(file).map_or(&[][..], |file| file.text());
        let mut start = 0;
        let mut number = 0;
        for bytes in text.split_inclusive(|&byte| byte == b'\n') {
            number += 1;
            let line = parse_line(file, number, start, bytes);
            // Sources are limited to what 32 bits address.
            start += bytes.len() as u32;
            let opens = line
                .words
                .first()
                .and_then(|word| section_of(sources.bytes(word.span)));
            match (opens, document.sections.last_mut()) {
                (Some(kind), _) if line.kind == LineKind::Words => {
                    document.sections.push(Section {
                        kind,
                        header: line,
                        lines: Vec::new(),
                    });
                }
                (_, Some(section)) => section.lines.push(line),
                (_, None) => document.preamble.push(line),
            }
        }
        document
    }

    /// All lines in order.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        let sections = self.sections.iter();
        let below = sections.flat_map(|section| std::iter::once(&section.header).chain(&section.lines));
        self.preamble.iter().chain(below)
    }

    /// The text again, byte for byte, put together from the tree: the gaps between words are copied, and nothing
    /// outside of the lines.
    pub fn print(&self, sources: &Sources) -> Vec<u8> {
        let mut out = Vec::new();
        for line in self.lines() {
            let mut at = line.span.start;
            let mut upto = |end: u32| {
                out.extend_from_slice(sources.bytes(Span::new(self.file, at, end)));
                at = end;
            };
            for word in &line.words {
                upto(word.span.start);
                upto(word.span.end);
            }
            if let Some(comment) = line.comment {
                upto(comment.start);
                upto(comment.end);
            }
            upto(line.span.end);
        }
        out
    }
}

/// Reads one line that starts at file offset `start`; `bytes` holds its LF.
fn parse_line(file: FileId, number: u32, start: u32, bytes: &[u8]) -> Line {
    let body = bytes.strip_suffix(b"\n");
    let has_lf = body.is_some();
    let body = body.unwrap_or(bytes);
    let nul = body.iter().position(|&byte| byte == 0);
    let text = nul.and_then(|nul| body.get(..nul)).unwrap_or(body);
    let span = |from: usize, to: usize| Span::new(file, start + from as u32, start + to as u32);
    let mut line = Line {
        number,
        span: span(0, bytes.len()),
        kind: LineKind::Words,
        words: Vec::new(),
        comment: None,
        nul: nul.map(|nul| start + nul as u32),
        has_lf,
    };
    // Leading blanks include CR here, unlike behind a word.
    let indent = text
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b)
        .count();
    let text = text.get(indent..).unwrap_or(&[]);
    if text.first() == Some(&b'[') {
        line.kind = LineKind::Scope;
        return line;
    }
    let found = lex::line(text, Syntax::File);
    line.words = found
        .words
        .iter()
        .map(|word| Word {
            span: span(indent + word.start, indent + word.end),
            plain: word.plain,
        })
        .collect();
    if let Some(error) = found.error {
        line.kind = LineKind::Bad(error.fault, start + (indent + error.at) as u32);
    }
    if found.comment {
        line.comment = Some(span(indent + found.end, body.len()));
    }
    line
}

/// The section that a raw first word opens; a word with variables opens none in the tree.
fn section_of(raw: &[u8]) -> Option<Where> {
    let mut name = Vec::new();
    let mut parts = Parts::new(raw, Syntax::File);
    while let Ok(Some((_, part))) = parts.next_part() {
        match part {
            Part::Text(bytes) => name.extend_from_slice(bytes),
            Part::Escape(byte) => name.push(byte),
            Part::Open | Part::Close => {}
            Part::Variable(_) => return None,
        }
    }
    Where::section(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> (Sources, Document) {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", text.to_vec()).expect("small");
        let document = Document::parse(&sources, file);
        (sources, document)
    }

    #[test]
    fn sections_and_lines() {
        let text = b"# top\nglobal # g\n  maxconn 5\n\n'front'end \"a b\"\n bind :80\nlisten";
        let (sources, document) = read(text);
        assert_eq!(document.preamble.len(), 1);
        let kinds: Vec<_> = document.sections.iter().map(|section| section.kind).collect();
        assert_eq!(kinds, [Where::GLOBAL, Where::FRONTEND, Where::LISTEN]);
        assert_eq!(document.sections[0].lines.len(), 2);
        assert_eq!(
            document.sections[0]
                .header
                .comment
                .map(|span| sources.bytes(span).to_vec()),
            Some(b"# g".to_vec())
        );
        assert_eq!(document.sections[1].header.number, 5);
        assert!(!document.sections[2].header.has_lf);
        assert_eq!(document.print(&sources), text);
    }

    #[test]
    fn bad_lines_do_not_stop_reading() {
        let text = b"global\n a 'b\n[all]\n c\0d\n e\n";
        let (sources, document) = read(text);
        let lines = &document.sections[0].lines;
        assert_eq!(lines[0].kind, LineKind::Bad(Fault::Quote, 10));
        assert_eq!(lines[0].column(10), 4);
        assert_eq!(lines[1].kind, LineKind::Scope);
        assert_eq!(lines[2].nul, Some(21));
        assert_eq!(sources.bytes(lines[3].words_span()), b"e");
        assert_eq!(document.print(&sources), text);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn prints_back(text in proptest::collection::vec(prop_oneof![
            any::<u8>(),
            proptest::sample::select(&b" \t\r\n\0#'\"\\$x4{}-[*].abLINE"[..]),
        ], 0..200)) {
            let (sources, document) = read(&text);
            prop_assert_eq!(document.print(&sources), text.clone());
            let mut at = 0;
            for (index, line) in document.lines().enumerate() {
                prop_assert_eq!(line.number as usize, index + 1);
                prop_assert_eq!(line.span.start, at);
                at = line.span.end;
                let mut last = line.span.start;
                for word in &line.words {
                    prop_assert!(word.span.start >= last && !word.span.is_empty());
                    // Only blanks between words.
                    let gap = sources.bytes(Span::new(document.file, last, word.span.start));
                    prop_assert!(gap.iter().all(|&byte| byte.is_ascii_whitespace() || byte == 0x0b));
                    let raw = sources.bytes(word.span);
                    prop_assert!(!word.plain || !raw.iter().any(|&byte| b" '\"#".contains(&byte)));
                    last = word.span.end;
                }
            }
            prop_assert_eq!(at as usize, text.len());
        }
    }
}
