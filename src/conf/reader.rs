//! Statements in document order: cooking, `.if` blocks, messages, sections.
//!
//! For the load passes: a [`Reader`] walks the lines of a document and hands out one [`Statement`] after the
//! other, each cooked with the environment as the caller has it by then, so that `setenv` acts on the lines below
//! it. What a line alone can have wrong is reported here and the next line is read. Sources: manual chapters 2.1
//! to 2.4; messages, and what ends a file early, follow HAProxy 3.4.0 as tried.

use super::ast::{Document, Line, LineKind};
use super::blocks::{Blocks, MAX_NESTED_BLOCKS, Misplaced};
use super::cond::{self, Facts};
use super::cook::{self, CookError, Cooked, Empty, MAX_EXPANSION_BYTES, MAX_LINE_WORDS, Scene};
use super::cursor::{Arg, ArgCursor, Modifier};
use super::diag::{Code, Diag, Form, Severity, Sink, nearest, shown};
use super::env::Env;
use super::lex::{Fault, Part, Parts, Syntax};
use super::row::{Where, bad_modifier};
use super::source::{Sources, Span};

/// First words that may follow `no` and `default`.
const NEGATABLE: [&str; 7] = [
    "option",
    "log",
    "busy-polling",
    "set-dumpable",
    "strict-limits",
    "insecure-fork-wanted",
    "numa-cpu-mapping",
];

/// HAProxy reads everything twice; faults of the first pass keep it from the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The first: words and conditions are checked, messages and keywords are left alone.
    Discover,
    /// The second: everything.
    Full,
    /// None of them: every line is a statement of no section, and nothing is acted upon.
    Words,
}

/// A statement: what a keyword row or a section header is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'d> {
    /// The words without the modifier; there is at least one.
    pub args: Vec<Arg>,
    /// `no` or `default` in front.
    pub modifier: Modifier,
    /// The section that this statement opens, if it opens one.
    pub opens: Option<Where>,
    /// The section in which it stands; the new one for a header.
    pub section: Where,
    /// The line.
    pub line: &'d Line,
}

impl Statement<'_> {
    /// A cursor after the first `keyword_words` words.
    pub fn cursor(&self, keyword_words: usize) -> ArgCursor<'_> {
        ArgCursor::new(&self.args, keyword_words, self.modifier, self.line.words_span())
    }

    /// First word.
    pub fn keyword(&self) -> &[u8] {
        self.args.first().map_or(&[], Arg::bytes)
    }
}

/// How reading goes on after a directive.
enum Go {
    /// With the next line.
    On,
    /// Not at all, but the end of the file is still looked at.
    Finish,
    /// Not at all.
    Abort,
}

/// Reads one document.
#[derive(Debug)]
pub struct Reader<'d> {
    sources: &'d Sources,
    lines: std::vec::IntoIter<&'d Line>,
    name: &'d [u8],
    pass: Pass,
    blocks: Blocks,
    /// Lines of the `.if`s that are open.
    opened_at: Vec<u32>,
    section: Option<Where>,
    /// What `.SECTION` stands for.
    section_name: Option<Vec<u8>>,
    last: Option<&'d Line>,
    done: bool,
    aborted: bool,
}

impl<'d> Reader<'d> {
    /// A reader at the first line of a document that was parsed from `sources`.
    pub fn new(sources: &'d Sources, document: &'d Document, pass: Pass) -> Self {
        Self {
            sources,
            lines: document.lines().collect::<Vec<_>>().into_iter(),
            name: sources.file(document.file).map_or(&[], |file| file.name()),
            pass,
            blocks: Blocks::default(),
            opened_at: Vec::new(),
            section: None,
            section_name: None,
            last: None,
            done: false,
            aborted: false,
        }
    }

    /// True when a fault, or `.alert`, forbids reading any further file.
    pub fn aborted(&self) -> bool {
        self.aborted
    }

    /// The next statement; `None` at the end of the file or when reading stopped. Whatever is wrong with the
    /// lines in between goes to the sink.
    pub fn statement(&mut self, env: &Env, facts: &Facts, sink: &mut Sink) -> Option<Statement<'d>> {
        while !self.done {
            let Some(line) = self.lines.next() else {
                self.finish(sink);
                break;
            };
            if let Some(cut) = self.last.replace(line).filter(|last| last.nul.is_some()) {
                self.stray_nul(cut, sink);
                break;
            }
            if sink.is_full() {
                let text = format!("too many fatal errors ({}), stopping now.", sink.alerts());
                sink.push(reader_alert(Code::TooManyErrors, line.words_span(), text));
                self.done = true;
                break;
            }
            match line.kind {
                LineKind::Scope => scope(self.sources.bytes(line.span), line, sink),
                LineKind::Bad(fault, at) => sink.push(bad_line(line, fault, at)),
                LineKind::Words if line.words.is_empty() => {}
                LineKind::Words => {
                    if let Some(statement) = self.line(line, env, facts, sink) {
                        return Some(statement);
                    }
                }
            }
        }
        None
    }

    /// Reads one line of words.
    fn line(&mut self, line: &'d Line, env: &Env, facts: &Facts, sink: &mut Sink) -> Option<Statement<'d>> {
        // What is not read is not cooked either, but for the directives that may end it.
        if !self.blocks.is_read() {
            let raw = line
                .words
                .first()
                .map_or(&[][..], |word| self.sources.bytes(word.span));
            let first = plain_text(raw);
            // HAProxy counts the words of such a line nevertheless.
            let too_many = line.words.len() > MAX_LINE_WORDS;
            if !too_many && !matches!(&first[..], b".if" | b".elif" | b".else" | b".endif") {
                return None;
            }
        }
        let scene = Scene {
            file: self.name,
            line: line.number,
            section: self.section_name.as_deref(),
        };
        let words = line
            .words
            .iter()
            .map(|word| (self.sources.bytes(word.span), word.span));
        let Cooked { mut args, empty } = match cook::cook(words, Syntax::File, env, scene) {
            Ok(cooked) => cooked,
            Err(error) => {
                sink.push(uncookable(line, error));
                return None;
            }
        };
        // HAProxy takes a line whose first word is empty for an empty line.
        let first = args.first().map_or(&[][..], Arg::bytes);
        if first.is_empty() || (first.first() != Some(&b'.') && !self.blocks.is_read()) {
            return None;
        }
        if self.pass == Pass::Words {
            return Some(Statement {
                opens: Where::section(first),
                args,
                modifier: Modifier::Set,
                section: Where::NONE,
                line,
            });
        }
        if first.first() == Some(&b'.') {
            match self.directive(line, &args, env, facts, sink) {
                Go::On => {}
                Go::Finish => self.finish(sink),
                Go::Abort => (self.done, self.aborted) = (true, true),
            }
            return None;
        }
        if let (Some(empty), Pass::Full) = (empty, self.pass) {
            sink.push(self.empty_argument(line, empty, env));
            return None;
        }
        let modifier = match first {
            b"no" => Modifier::No,
            b"default" => Modifier::Default,
            _ => Modifier::Set,
        };
        if modifier != Modifier::Set {
            args.remove(0);
            if !args
                .first()
                .is_some_and(|arg| NEGATABLE.iter().any(|name| arg.is(name)))
            {
                sink.push(bad_modifier(line.words_span()));
                return None;
            }
        }
        self.place(line, args, modifier, sink)
    }

    /// Finds the section of a statement.
    fn place(
        &mut self,
        line: &'d Line,
        args: Vec<Arg>,
        modifier: Modifier,
        sink: &mut Sink,
    ) -> Option<Statement<'d>> {
        let first = args.first()?;
        let opens = Where::section(first.bytes());
        if opens.is_some() {
            self.section = opens;
            self.section_name = Some(args.get(1).unwrap_or(first).bytes().to_vec());
        }
        let Some(section) = self.section else {
            if self.pass == Pass::Full {
                let text = format!("unknown keyword '{first}' out of section.");
                let diag = reader_alert(Code::OutOfSection, first.span(), text);
                sink.push(diag.with_nearest(first.bytes(), Where::ALL.names()));
            }
            return None;
        };
        Some(Statement {
            args,
            modifier,
            opens,
            section,
            line,
        })
    }

    /// Acts on a line whose first word starts with a dot.
    fn directive(&mut self, line: &Line, args: &[Arg], env: &Env, facts: &Facts, sink: &mut Sink) -> Go {
        let Some((name, rest)) = args.split_first() else {
            return Go::On;
        };
        match name.bytes() {
            b".if" => match self.blocks.enter() {
                Ok(asked) => {
                    self.opened_at.push(line.number);
                    if asked {
                        self.decide(name, rest, env, facts, sink)
                    } else {
                        Go::On
                    }
                }
                Err(wrong) => misplaced(name, wrong, sink),
            },
            b".elif" => match self.blocks.elif() {
                Ok(true) => self.decide(name, rest, env, facts, sink),
                Ok(false) => Go::On,
                Err(wrong) => misplaced(name, wrong, sink),
            },
            b".else" | b".endif" => {
                if let Some(extra) = rest.first().filter(|extra| !extra.bytes().is_empty()) {
                    sink.push(unexpected(name, extra, ""));
                    return Go::Finish;
                }
                let closes = name.is(".endif");
                let result = if closes {
                    self.blocks.leave()
                } else {
                    self.blocks.otherwise()
                };
                match result {
                    Ok(()) => {
                        if closes {
                            self.opened_at.pop();
                        }
                        Go::On
                    }
                    Err(wrong) => {
                        let go = misplaced(name, wrong, sink);
                        if closes { Go::Finish } else { go }
                    }
                }
            }
            _ if !self.blocks.is_read() || self.pass == Pass::Discover => Go::On,
            _ => message(name, rest, sink),
        }
    }

    /// Evaluates the condition of `.if` or `.elif`.
    fn decide(&mut self, name: &Arg, rest: &[Arg], env: &Env, facts: &Facts, sink: &mut Sink) -> Go {
        match cond::evaluate(&cond::join(rest), env, facts) {
            Ok(value) => {
                self.blocks.decide(value);
                Go::On
            }
            Err(error) => {
                let text = format!("{error} in '{name}' at position {}:", error.at + 1);
                let span = cond::locate(rest, error.at).unwrap_or_else(|| name.span());
                sink.push(reader_alert(Code::CondBadExpr, span, text));
                Go::Abort
            }
        }
    }

    /// The report about an empty argument.
    fn empty_argument(&self, line: &Line, empty: Empty, env: &Env) -> Diag {
        let text = format!(
            "argument number {} at position {} is empty and marks the end of the argument list:",
            empty.index,
            line.column(empty.at)
        );
        let rest = self
            .sources
            .bytes(Span::new(line.span.file, empty.at, line.span.end));
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let count = if empty.variable {
            rest.iter().take_while(is_word).count()
        } else {
            0
        };
        let name = rest.get(..count).unwrap_or(&[]);
        let span = Span::new(line.span.file, empty.at, empty.at + count.max(1) as u32);
        let diag = reader_alert(Code::EmptyArgument, span, text);
        if name.is_empty() {
            return diag
                .with_help("remove the argument, or see section 2.3 of HAProxy's configuration manual");
        }
        let known: Vec<_> = env
            .names()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .collect();
        match nearest(name, known) {
            Some(best) => diag.with_help(format!("did you mean '{best}'?")),
            None => diag
                .with_help("the variable is not set; write ${NAME-default}, or ${NAME[*]} for no argument"),
        }
    }

    /// A NUL that more lines follow: reading stops, as HAProxy's does.
    fn stray_nul(&mut self, cut: &Line, sink: &mut Sink) {
        let at = cut.nul.unwrap_or(cut.span.end);
        let text = format!("Stray NUL character at position {}.", cut.column(at));
        sink.push(reader_alert(
            Code::StrayNul,
            Span::new(cut.span.file, at, at + 1),
            text,
        ));
        self.end_of_blocks(cut, sink);
    }

    /// Looks at how the file ends.
    fn finish(&mut self, sink: &mut Sink) {
        let Some(line) = self.last else {
            self.done = true;
            return;
        };
        if line.nul.is_some() || !line.has_lf {
            let at = line.nul.unwrap_or(line.span.end);
            let text = format!(
                "Missing LF on last line, file might have been truncated at position {}.",
                line.column(at)
            );
            sink.push(reader_alert(
                Code::MissingLf,
                Span::new(line.span.file, at, at),
                text,
            ));
        }
        self.end_of_blocks(line, sink);
    }

    /// Ends the document at its last line.
    fn end_of_blocks(&mut self, line: &Line, sink: &mut Sink) {
        self.done = true;
        if let Some(opened_at) = self.opened_at.last() {
            let diag = reader_alert(
                Code::CondNotClosed,
                line.words_span(),
                "non-terminated '.if' block.",
            );
            sink.push(diag.with_help(format!("the '.if' of line {opened_at} needs an '.endif'")));
            self.aborted = true;
        }
    }
}

/// An alert in the form of the line reader.
fn reader_alert(code: Code, span: Span, text: impl Into<String>) -> Diag {
    Diag::alert(code, span, text).with_form(Form::Reader)
}

/// The cooked form of a word in which no variable counts.
fn plain_text(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut parts = Parts::new(raw, Syntax::File);
    while let Ok(Some((_, part))) = parts.next_part() {
        match part {
            Part::Text(bytes) => text.extend_from_slice(bytes),
            Part::Escape(byte) => text.push(byte),
            Part::Open | Part::Close | Part::Variable(_) => {}
        }
    }
    text
}

/// The report about a line that cannot be cut into words.
fn bad_line(line: &Line, fault: Fault, at: u32) -> Diag {
    let code = match fault {
        Fault::Quote => Code::UnmatchedQuote,
        Fault::Brace => Code::UnmatchedBrace,
        Fault::Name => Code::BadVariableName,
        Fault::Hex => Code::BadHexEscape,
        Fault::Expansion => Code::BadWordExpansion,
    };
    let text = format!("{fault} at position {}:", line.column(at));
    let diag = reader_alert(code, Span::new(line.span.file, at, at + 1), text);
    match fault {
        Fault::Quote => diag.with_help("close the quote, or put a backslash before it to use it as it is"),
        Fault::Brace => diag.with_help("the forms are ${NAME}, ${NAME-default} and ${NAME[*]}"),
        Fault::Name => diag
            .with_help("a dollar sign within double quotes needs a backslash before it to stand for itself"),
        Fault::Hex => {
            diag.with_help("two hexadecimal digits must follow; \\\\x stands for a backslash and an x")
        }
        Fault::Expansion => diag.with_help("the only sequence allowed there is [*]"),
    }
}

/// The report about a line that cannot be cooked.
fn uncookable(line: &Line, error: CookError) -> Diag {
    match error {
        CookError::Lex(error) => bad_line(line, error.fault, error.at as u32),
        CookError::TooManyWords(last, position) => {
            let text = format!(
                "too many words, truncating after word {MAX_LINE_WORDS}, position {position}: <{last}>."
            );
            reader_alert(Code::TooManyWords, last.span(), text)
        }
        CookError::TooLong => {
            let text = format!("line too long, its variables add more than {MAX_EXPANSION_BYTES} bytes.");
            reader_alert(Code::LineTooLong, line.words_span(), text)
        }
    }
}

/// The report about an argument that a directive does not take.
fn unexpected(name: &Arg, extra: &Arg, hint: &str) -> Diag {
    let text = format!("Unexpected argument '{extra}' for '{name}'.{hint}");
    reader_alert(Code::UnexpectedArgument, extra.span(), text)
}

/// Reports a directive that cannot stand where it does; reading stops.
fn misplaced(name: &Arg, wrong: Misplaced, sink: &mut Sink) -> Go {
    let (code, text) = match wrong {
        Misplaced::Lone => (Code::CondLone, format!("lone '{name}' with no matching '.if'.")),
        Misplaced::AfterElse => (
            Code::CondAfterElse,
            format!("'{name}' after '.else' is not permitted."),
        ),
        Misplaced::TooDeep => (
            Code::CondTooDeep,
            format!("too many nested '.if', max is {}.", MAX_NESTED_BLOCKS + 1),
        ),
    };
    sink.push(reader_alert(code, name.span(), text));
    Go::Abort
}

/// `.alert`, `.warning`, `.notice`, `.diag`.
fn message(name: &Arg, rest: &[Arg], sink: &mut Sink) -> Go {
    let severity = match name.bytes() {
        b".alert" => Severity::Alert,
        b".warning" => Severity::Warning,
        b".notice" => Severity::Notice,
        b".diag" => Severity::Diag,
        _ => {
            let diag = reader_alert(
                Code::UnknownDirective,
                name.span(),
                format!("unknown directive '{name}'."),
            );
            let names = [
                ".if", ".elif", ".else", ".endif", ".alert", ".warning", ".notice", ".diag",
            ];
            sink.push(diag.with_nearest(name.bytes(), names));
            return Go::On;
        }
    };
    if let Some(extra) = rest.get(1).filter(|extra| !extra.bytes().is_empty()) {
        sink.push(unexpected(
            name,
            extra,
            " Use quotes if the message should contain spaces.",
        ));
        return Go::On;
    }
    let text = format!("'{}'.", rest.first().map_or_else(|| "".into(), Arg::text));
    let span = rest.first().unwrap_or(name).span();
    sink.push(Diag::new(severity, Code::UserMessage, span, text).with_form(Form::Reader));
    if severity == Severity::Alert {
        Go::Abort
    } else {
        Go::On
    }
}

/// Checks a scope line; scopes themselves matter only to filters with files of their own.
fn scope(bytes: &[u8], line: &Line, sink: &mut Sink) {
    let Some(open) = bytes.iter().position(|&byte| byte == b'[') else {
        return;
    };
    let span = |at: usize| {
        Span::new(
            line.span.file,
            line.span.start + at as u32,
            line.span.start + at as u32 + 1,
        )
    };
    let rest = bytes.get(open + 1..).unwrap_or(&[]);
    let name_bytes = match rest.iter().position(|&byte| byte == b']') {
        None | Some(0) => {
            sink.push(Diag::alert(
                Code::BadName,
                span(open),
                "empty scope name is forbidden.",
            ));
            return;
        }
        Some(count) => count,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.');
    let name = rest.get(..name_bytes).unwrap_or(&[]);
    if let Some((at, &byte)) = name.iter().enumerate().find(|&(_, &byte)| !allowed(byte)) {
        let text = format!("character '{}' is not permitted in a scope name.", shown(byte));
        sink.push(Diag::alert(Code::BadName, span(open + 1 + at), text));
        return;
    }
    let after = rest.get(name_bytes + 1..).unwrap_or(&[]);
    let end = after
        .iter()
        .enumerate()
        .find(|&(_, byte)| !byte.is_ascii_whitespace() && *byte != 0x0b);
    if let Some((at, &byte)) = end.filter(|&(_, &byte)| byte != b'#' && byte != 0) {
        let text = format!(
            "character '{}' is not permitted after scope declaration.",
            shown(byte)
        );
        sink.push(Diag::alert(
            Code::UnexpectedArgument,
            span(open + name_bytes + 2 + at),
            text,
        ));
    }
}
