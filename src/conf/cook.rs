//! Raw words become cooked ones: quotes and escapes go, variables are replaced.
//!
//! For `conf/reader.rs`, line by line in document order, with the environment as it is at that line. One raw word
//! may become several (`"${A[*]}"`) or none. Every cooked byte keeps the place it comes from. Sources: manual
//! chapters 2.2 and 2.3; what counts as an empty argument, and where HAProxy says it stands, follow 3.4.0.

use super::cursor::{Arg, Piece};
use super::env::Env;
use super::lex::{LexError, Name, Part, Parts, Pseudo, Syntax, Variable};
use super::source::Span;

/// Most words on a line.
pub const MAX_LINE_WORDS: usize = 64;

/// Most bytes that variables may add to one line.
pub const MAX_EXPANSION_BYTES: usize = 1 << 20;

/// What pseudo-variables stand for.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'s> {
    /// `.FILE`.
    pub file: &'s [u8],
    /// `.LINE`.
    pub line: u32,
    /// `.SECTION`; none before the first section, as if the variable did not exist.
    pub section: Option<&'s [u8]>,
}

/// Where the first empty argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    /// Number of the argument, the keyword being 0.
    pub index: usize,
    /// File offset of what made it empty: the start of the word, or the name of a variable that does not exist.
    pub at: u32,
    /// True when `at` is the name of a variable.
    pub variable: bool,
}

/// A cooked line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cooked {
    /// The words.
    pub args: Vec<Arg>,
    /// The first empty one.
    pub empty: Option<Empty>,
}

/// Why a line cannot be cooked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookError {
    /// A word is not readable; the offset is one of the file. The tree marks such lines, see `conf/ast.rs`.
    Lex(LexError),
    /// More than [`MAX_LINE_WORDS`] words: the last one within the limit, and its position in the cooked line,
    /// from 1.
    TooManyWords(Arg, usize),
    /// Variables make the line longer than [`MAX_EXPANSION_BYTES`].
    TooLong,
}

/// Cooks the words of a line, given as (raw bytes, span).
pub fn cook<'t>(
    words: impl IntoIterator<Item = (&'t [u8], Span)>,
    syntax: Syntax,
    env: &Env,
    scene: Scene<'_>,
) -> Result<Cooked, CookError> {
    let mut cook = Cook {
        env,
        scene,
        done: Cooked::default(),
        expanded_bytes: 0,
        first_hollow: None,
        missing: None,
    };
    for (raw, span) in words {
        cook.word(raw, span, syntax)?;
    }
    let Cook {
        mut done,
        first_hollow,
        ..
    } = cook;
    if let Some(index) = done.args.iter().position(|arg| arg.bytes().is_empty()) {
        let at = done.args.get(index).map_or(0, |arg| arg.span().start);
        let (at, variable) = first_hollow.unwrap_or((at, false));
        done.empty = Some(Empty { index, at, variable });
    }
    Ok(done)
}

/// Work on one line.
struct Cook<'e> {
    env: &'e Env,
    scene: Scene<'e>,
    done: Cooked,
    expanded_bytes: usize,
    /// First word to which nothing was added after its last variable, with what HAProxy blames for an empty
    /// word. It may blame a word that is not empty, before the one that is.
    first_hollow: Option<(u32, bool)>,
    /// Name of the first variable that does not exist, forgotten at the next one that does.
    missing: Option<u32>,
}

/// A word under construction.
struct Draft {
    bytes: Vec<u8>,
    map: Vec<Piece>,
    /// What made the word exist, be it empty.
    begin: Option<u32>,
    /// Nothing was added since the last variable (see [`Cook::first_hollow`]).
    hollow: bool,
}

impl Draft {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            map: Vec::new(),
            begin: None,
            hollow: true,
        }
    }

    /// Adds bytes of the file itself.
    fn write(&mut self, bytes: &[u8], raw: u32, literal: bool) {
        self.push(bytes, raw, literal);
        self.hollow = false;
    }

    fn push(&mut self, bytes: &[u8], raw: u32, literal: bool) {
        if !bytes.is_empty() {
            self.begin.get_or_insert(raw);
            self.map.push(Piece {
                cooked: self.bytes.len() as u32,
                raw,
                literal,
            });
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl Cook<'_> {
    /// Cooks one raw word into none, one or several.
    fn word(&mut self, raw: &[u8], span: Span, syntax: Syntax) -> Result<(), CookError> {
        let mut draft = Draft::new();
        let mut parts = Parts::new(raw, syntax);
        // Quotes with nothing in them make an empty word, unless there is a list in them.
        let mut quotes_empty = false;
        let offset = |at: usize| span.start + at as u32;
        loop {
            let (at, part) = match parts.next_part() {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(error) => {
                    return Err(CookError::Lex(LexError {
                        at: offset(error.at) as usize,
                        ..error
                    }));
                }
            };
            match part {
                Part::Open => quotes_empty = true,
                Part::Close if quotes_empty => {
                    draft.begin.get_or_insert_with(|| offset(at));
                }
                Part::Close => {}
                Part::Text(bytes) => {
                    draft.write(bytes, offset(at), true);
                    quotes_empty = false;
                }
                Part::Escape(byte) => {
                    draft.write(&[byte], offset(at), false);
                    quotes_empty = false;
                }
                Part::Variable(variable) => {
                    quotes_empty &= !variable.list;
                    let line = self.scene.line.to_string();
                    let env = self.env;
                    let value = match variable.name {
                        Name::Env(name) => env.value(name),
                        Name::Pseudo(Pseudo::File) => Some(self.scene.file),
                        Name::Pseudo(Pseudo::Line) => Some(line.as_bytes()),
                        Name::Pseudo(Pseudo::Section) => self.scene.section,
                    };
                    match value.or(variable.default) {
                        Some(value) => {
                            quotes_empty &= value.is_empty();
                            self.expand(&mut draft, value, variable, offset(at), span)?;
                        }
                        None if variable.list => {}
                        None => {
                            draft.begin.get_or_insert_with(|| offset(at));
                            self.missing.get_or_insert_with(|| offset(at + variable.name_at));
                        }
                    }
                }
            }
        }
        if draft.begin.is_some() {
            self.finish(draft, span)
        } else {
            Ok(())
        }
    }

    /// Adds the value of a variable; a list may finish words.
    fn expand(
        &mut self,
        draft: &mut Draft,
        value: &[u8],
        variable: Variable<'_>,
        at: u32,
        span: Span,
    ) -> Result<(), CookError> {
        self.expanded_bytes = self.expanded_bytes.saturating_add(value.len());
        if self.expanded_bytes > MAX_EXPANSION_BYTES {
            return Err(CookError::TooLong);
        }
        self.missing = None;
        if !variable.list {
            draft.push(value, at, false);
            draft.hollow |= !value.is_empty();
            return Ok(());
        }
        let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        for (index, piece) in value.split(is_space).enumerate() {
            if index > 0 && draft.begin.is_some() {
                self.finish(std::mem::replace(draft, Draft::new()), span)?;
            }
            if !piece.is_empty() {
                draft.push(piece, at, false);
                draft.hollow = true;
            }
        }
        Ok(())
    }

    /// Takes a word in.
    fn finish(&mut self, draft: Draft, span: Span) -> Result<(), CookError> {
        if draft.hollow && self.first_hollow.is_none() {
            let begin = draft.begin.unwrap_or(span.start);
            self.first_hollow = Some(self.missing.map_or((begin, false), |name| (name, true)));
        }
        // Words are C strings in HAProxy: what follows `\x00` is lost.
        let mut bytes = draft.bytes;
        if let Some(nul) = bytes.iter().position(|&byte| byte == 0) {
            bytes.truncate(nul);
        }
        if self.done.args.len() >= MAX_LINE_WORDS {
            let before = self
                .done
                .args
                .iter()
                .rev()
                .skip(1)
                .map(|arg| arg.bytes().len() + 1)
                .sum::<usize>();
            let last = self.done.args.pop().unwrap_or_else(|| Arg::plain(*b"", span));
            return Err(CookError::TooManyWords(last, before + 1));
        }
        self.done.args.push(Arg::new(bytes, span, draft.map));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::lex;
    use crate::conf::source::Sources;

    /// Cooks a line with A=`x  y`, E empty, and V=`val`.
    fn line(text: &str) -> Result<Cooked, CookError> {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", text.as_bytes().to_vec()).expect("small");
        let mut env = Env::new();
        for (name, value) in [("A", " x  y"), ("E", ""), ("V", "val")] {
            env.set(name.as_bytes(), value.as_bytes()).expect("room");
        }
        let raw = lex::line(text.as_bytes(), Syntax::File);
        let words = raw.words.iter().map(|word| {
            (
                &text.as_bytes()[word.start..word.end],
                Span::new(file, word.start as u32, word.end as u32),
            )
        });
        cook(
            words,
            Syntax::File,
            &env,
            Scene {
                file: b"t.cfg",
                line: 7,
                section: Some(b"global"),
            },
        )
    }

    fn words(text: &str) -> Vec<String> {
        line(text)
            .expect("no fault")
            .args
            .iter()
            .map(|arg| arg.text().into_owned())
            .collect()
    }

    fn empty(text: &str) -> Option<(usize, u32, bool)> {
        line(text)
            .expect("no fault")
            .empty
            .map(|empty| (empty.index, empty.at, empty.variable))
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(
            words(r#"a\ b "c d"'e f' \x41\t \1 "\$V$V\"\'" '\x41$V"' \'"#),
            ["a b", "c de f", "A\t", "\\1", "$Vval\"'", "\\x41$V\"", "'"]
        );
        assert_eq!(words("$V \"$V\"x"), ["$V", "valx"]);
    }

    #[test]
    fn variables() {
        assert_eq!(
            words(r#""${V}x" "${N-d "e}" "${E-d}x" "$N-x""#),
            ["valx", "d \"e", "x", "-x"]
        );
        assert_eq!(
            words(r#""${.LINE}" "$.FILE" "${.SECTION-x}""#),
            ["7", "t.cfg", "global"]
        );
    }

    #[test]
    fn lists() {
        assert_eq!(words(r#"k "${A[*]}""#), ["k", "x", "y"]);
        assert_eq!(words(r#"k a"${A[*]}"b c"#), ["k", "a", "x", "yb", "c"]);
        assert_eq!(words(r#"k "${N[*]}" "${E[*]}" z"#), ["k", "z"]);
        assert_eq!(words(r#"k "${N[*]-p q}""#), ["k", "p", "q"]);
        assert_eq!(words(r#"k "$A""#), ["k", " x  y"]);
    }

    #[test]
    fn empty_words() {
        // The places are those that HAProxy 3.4.0 prints, less one.
        assert_eq!(empty(r#"k a "" b"#), Some((2, 5, false)));
        assert_eq!(empty(r#"k "$N""#), Some((1, 4, true)));
        assert_eq!(empty(r#"k "${N}""#), Some((1, 5, true)));
        assert_eq!(empty(r#"k "$E""#), Some((1, 5, false)));
        assert_eq!(empty(r#"k "$V" """#), Some((2, 3, false)));
        assert_eq!(empty(r#"k "$V" x"#), None);
        assert_eq!(empty(r#"k \x00"#), Some((1, 2, false)));
        assert_eq!(words(r"k ab\x00c"), ["k", "ab"]);
    }

    #[test]
    fn limits() {
        let full = vec!["w"; MAX_LINE_WORDS].join(" ");
        assert_eq!(words(&full).len(), MAX_LINE_WORDS);
        match line(&format!("{full} more")) {
            Err(CookError::TooManyWords(last, 127)) => assert!(last.is("w")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_of_bytes() {
        let cooked = line(r#"k "a\x20$V"b"#).expect("no fault");
        let arg = &cooked.args[1];
        assert_eq!(arg.text(), "a valb");
        let starts: Vec<_> = (0..7).map(|at| arg.span_at(at).start).collect();
        assert_eq!(starts, [3, 4, 8, 8, 8, 11, 12]);
    }
}
