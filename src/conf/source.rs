//! Configuration files held in memory, and places inside them.
//!
//! For every pass that reports about the text: a [`Span`] is three small numbers and is resolved to
//! `file:line:column` only when somebody prints it. Lines are counted as HAProxy counts them: each LF ends one.
//! Source: manual chapter 2.1; the size limit is the one of `load_cfg_in_mem`.

use std::borrow::Cow;

use thiserror::Error;

/// Largest configuration file accepted, in bytes. Spans are 32 bits wide; HAProxy stops inputs without a
/// known size at 10 MB, and generated files of a few hundred megabytes have been seen.
pub const MAX_FILE_BYTES: usize = 1 << 30;

/// Most files in one configuration.
pub const MAX_FILES: usize = u16::MAX as usize;

/// Index of a file within [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u16);

impl FileId {
    /// Position of the file in the order of loading, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A range of bytes in one file, `start` included, `end` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// File that holds the bytes.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Span of `start..end` in `file`; an `end` before `start` is raised to it.
    pub fn new(file: FileId, start: u32, end: u32) -> Self {
        Self {
            file,
            start,
            end: end.max(start),
        }
    }

    /// Length in bytes.
    pub fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// True for a place between two bytes.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The empty span after the last byte.
    pub fn after(self) -> Self {
        Self {
            start: self.end,
            ..self
        }
    }

    /// The smallest span that holds both, which must be of one file (else `self` is returned).
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// Line and column of a byte, both from 1; the column counts bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line number, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

/// Why a text cannot become part of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("file is too large (limit {MAX_FILE_BYTES} bytes)")]
    TooLarge,
    /// More than [`MAX_FILES`] files.
    #[error("too many configuration files (limit {MAX_FILES})")]
    TooMany,
}

/// One file: its name as given, its bytes, and where its lines start.
#[derive(Debug)]
pub struct SourceFile {
    name: Box<[u8]>,
    text: Box<[u8]>,
    /// Offset of the first byte of each line; the first is 0.
    line_starts: Vec<u32>,
}

impl SourceFile {
    /// Name as given on the command line (bytes, as the system has them).
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Name for a person to read.
    pub fn display_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Whole text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Line and column of `offset`; an offset past the end counts as the end.
    pub fn position(&self, offset: u32) -> Position {
        let index = self
            .line_starts
            .partition_point(|&start| start <= offset)
            .saturating_sub(1);
        let start = self.line_starts.get(index).copied().unwrap_or(0);
        // The number of lines is bounded by MAX_FILE_BYTES, hence fits.
        Position {
            line: index as u32 + 1,
            column: offset.saturating_sub(start) + 1,
        }
    }

    /// Bytes of line `line` (from 1) without its LF or CRLF; empty past the end.
    pub fn line(&self, line: u32) -> &[u8] {
        let index = (line as usize).saturating_sub(1);
        let Some(&start) = self.line_starts.get(index) else {
            return &[];
        };
        let end = self
            .line_starts
            .get(index + 1)
            .map_or(self.text.len(), |&next| next as usize);
        let bytes = self.text.get(start as usize..end).unwrap_or(&[]);
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }
}

/// All files of one configuration, in the order of loading.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// No file yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a file in, after those already there.
    pub fn add(&mut self, name: &[u8], text: Vec<u8>) -> Result<FileId, SourceError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(SourceError::TooLarge);
        }
        let id = match u16::try_from(self.files.len()) {
            Ok(id) if usize::from(id) < MAX_FILES => FileId(id),
            _ => return Err(SourceError::TooMany),
        };
        let mut line_starts = vec![0];
        // An LF at the very end starts no further line.
        line_starts.extend(
            text.iter()
                .enumerate()
                .filter(|&(at, &byte)| byte == b'\n' && at + 1 < text.len())
                .map(|(at, _)| at as u32 + 1),
        );
        self.files.push(SourceFile {
            name: name.into(),
            text: text.into_boxed_slice(),
            line_starts,
        });
        Ok(id)
    }

    /// The file with this id. Ids are only made by [`Sources::add`]; one of another set gives `None`.
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.index())
    }

    /// Files with their ids, in the order of loading.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files
            .iter()
            .enumerate()
            .map(|(index, file)| (FileId(index as u16), file))
    }

    /// Bytes of a span; empty when the span is not of these files.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.file(span.file)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or(&[])
    }

    /// Line and column where a span starts.
    pub fn position(&self, span: Span) -> Position {
        self.file(span.file)
            .map_or(Position { line: 0, column: 0 }, |file| file.position(span.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &[u8]) -> (Sources, FileId) {
        let mut sources = Sources::new();
        let id = sources.add(b"t.cfg", text.to_vec()).expect("small");
        (sources, id)
    }

    #[test]
    fn positions() {
        let (sources, id) = one(b"ab\nc\r\n\nd");
        let file = sources.file(id).expect("there");
        let at = |offset| (file.position(offset).line, file.position(offset).column);
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(6), (3, 1));
        assert_eq!(at(7), (4, 1));
        assert_eq!(at(99), (4, 93));
        assert_eq!(file.line(1), b"ab");
        assert_eq!(file.line(2), b"c");
        assert_eq!(file.line(3), b"");
        assert_eq!(file.line(4), b"d");
        assert_eq!(file.line(5), b"");
    }

    #[test]
    fn last_lf_starts_no_line() {
        let (sources, id) = one(b"ab\n");
        assert_eq!(sources.file(id).map(|f| f.line_starts.len()), Some(1));
        let (sources, id) = one(b"");
        assert_eq!(
            sources.file(id).map(|f| f.position(0)),
            Some(Position { line: 1, column: 1 })
        );
    }

    #[test]
    fn spans_join() {
        let (sources, id) = one(b"one two");
        let (a, b) = (Span::new(id, 0, 3), Span::new(id, 4, 7));
        assert_eq!(sources.bytes(a.to(b)), b"one two");
        assert_eq!(sources.bytes(b.after()), b"");
        assert!(b.after().is_empty());
        assert_eq!(b.len(), 3);
    }
}
