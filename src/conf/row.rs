//! Rows: one entry per configuration keyword, and their look-up.
//!
//! For the tables of the policy floor and the load passes: a [`Keyword`] says where the keyword may stand, how
//! many arguments it takes and which fn reads them into the object under construction. A [`Table`] finds the row
//! of a line, longest keyword first (`option httplog` before `option`), and says why there is none.

use std::collections::HashMap;
use std::fmt;
use std::ops::BitOr;

use super::cursor::{Arg, ArgCursor, Modifier};
use super::diag::{Code, Diag, nearest};
use super::source::Span;

/// Sections in which a keyword may stand, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Where(u32);

/// Names of the sections, in the order of the bits of [`Where`].
const SECTIONS: [&str; 20] = [
    "global",
    "defaults",
    "frontend",
    "listen",
    "backend",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "http-errors",
    "ring",
    "log-forward",
    "log-profile",
    "fcgi-app",
    "crt-store",
    "traces",
    "acme",
    "healthcheck",
    "namespace_list",
];

impl Where {
    /// `global`.
    pub const GLOBAL: Self = Self(1);
    /// `defaults`.
    pub const DEFAULTS: Self = Self(1 << 1);
    /// `frontend`.
    pub const FRONTEND: Self = Self(1 << 2);
    /// `listen`.
    pub const LISTEN: Self = Self(1 << 3);
    /// `backend`.
    pub const BACKEND: Self = Self(1 << 4);
    /// `peers`.
    pub const PEERS: Self = Self(1 << 5);
    /// `resolvers`.
    pub const RESOLVERS: Self = Self(1 << 6);
    /// `userlist`.
    pub const USERLIST: Self = Self(1 << 7);
    /// `mailers`.
    pub const MAILERS: Self = Self(1 << 8);
    /// `cache`.
    pub const CACHE: Self = Self(1 << 9);
    /// `http-errors`.
    pub const HTTP_ERRORS: Self = Self(1 << 10);
    /// `ring`.
    pub const RING: Self = Self(1 << 11);
    /// `log-forward`.
    pub const LOG_FORWARD: Self = Self(1 << 12);
    /// `log-profile`.
    pub const LOG_PROFILE: Self = Self(1 << 13);
    /// `fcgi-app`.
    pub const FCGI_APP: Self = Self(1 << 14);
    /// `crt-store`.
    pub const CRT_STORE: Self = Self(1 << 15);
    /// `traces`.
    pub const TRACES: Self = Self(1 << 16);
    /// `acme`.
    pub const ACME: Self = Self(1 << 17);
    /// `healthcheck`.
    pub const HEALTHCHECK: Self = Self(1 << 18);
    /// `namespace_list`.
    pub const NAMESPACE_LIST: Self = Self(1 << 19);

    /// Every section.
    pub const ALL: Self = Self((1 << SECTIONS.len()) - 1);
    /// Nowhere.
    pub const NONE: Self = Self(0);
    /// `defaults`, `frontend`, `listen`, `backend`.
    pub const PROXY: Self = Self(0b11110);
    /// `defaults`, `frontend`, `listen`: what faces clients.
    pub const FRONT: Self = Self(0b01110);
    /// `defaults`, `listen`, `backend`: what faces servers.
    pub const BACK: Self = Self(0b11010);
    /// `frontend`, `listen`: what faces clients and is not inherited.
    pub const FRONT_ONLY: Self = Self(0b01100);
    /// `listen`, `backend`: what faces servers and is not inherited.
    pub const BACK_ONLY: Self = Self(0b11000);
    /// `frontend`, `listen`, `backend`: what is not inherited.
    pub const NAMED_PROXY: Self = Self(0b11100);

    /// Both sets together; usable in constants.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when the two sets have a section in common.
    pub const fn allows(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The section that a keyword opens, if it opens one.
    pub fn section(name: &[u8]) -> Option<Self> {
        let index = SECTIONS.iter().position(|section| section.as_bytes() == name)?;
        Some(Self(1 << index))
    }

    /// Names of the sections of the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        SECTIONS
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| name)
    }
}

impl BitOr for Where {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl fmt::Debug for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Number of arguments after the keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity {
    /// Fewest.
    pub min: u8,
    /// Most; `None` leaves the end of the line to the row.
    pub max: Option<u8>,
}

impl Arity {
    /// No argument.
    pub const NONE: Self = Self::exactly(0);
    /// One argument.
    pub const ONE: Self = Self::exactly(1);
    /// Whatever; the row checks.
    pub const ANY: Self = Self::at_least(0);

    /// `count` arguments.
    pub const fn exactly(count: u8) -> Self {
        Self {
            min: count,
            max: Some(count),
        }
    }

    /// `count` arguments or more.
    pub const fn at_least(count: u8) -> Self {
        Self {
            min: count,
            max: None,
        }
    }

    /// From `min` to `max` arguments.
    pub const fn between(min: u8, max: u8) -> Self {
        Self { min, max: Some(max) }
    }

    /// At most `max` arguments; a missing one is the row's to report, with its own words.
    pub const fn at_most(max: u8) -> Self {
        Self {
            min: 0,
            max: Some(max),
        }
    }
}

/// One keyword. `T` is what the row fills in: the section under construction.
pub struct Keyword<T: 'static> {
    /// Words of the keyword, one space between: `timeout client`.
    pub name: &'static str,
    /// Sections that may hold it.
    pub place: Where,
    /// Number of arguments.
    pub arity: Arity,
    /// True when `no` and `default` may stand in front.
    pub negatable: bool,
    /// Reads the arguments into the target. The end of the line is checked before (by arity) and after.
    pub parse: fn(&mut ArgCursor<'_>, &mut T) -> Result<(), Diag>,
    /// One line for the reference: what it does, with units.
    pub doc: &'static str,
}

impl<T> Keyword<T> {
    /// Checks modifier and number of arguments, reads the arguments, and refuses what is left of the line.
    pub fn run(&self, cursor: &mut ArgCursor<'_>, target: &mut T) -> Result<(), Diag> {
        if cursor.modifier() != Modifier::Set && !self.negatable {
            return Err(bad_modifier(cursor.keyword_span()));
        }
        let given = cursor.remaining();
        if given < usize::from(self.arity.min) {
            let text = match self.arity.min {
                1 => format!("'{}' expects an argument.", self.name),
                min => format!("'{}' expects at least {min} arguments.", self.name),
            };
            return Err(cursor.error_here(Code::MissingArgument, text).with_help(self.doc));
        }
        if let Some(extra) = self.arity.max.and_then(|max| cursor.peek_at(usize::from(max))) {
            return Err(cursor.unexpected(extra));
        }
        (self.parse)(cursor, target)?;
        cursor.end()
    }
}

impl<T> fmt::Debug for Keyword<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyword")
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// The report for `no` or `default` before a keyword that takes neither.
pub fn bad_modifier(span: Span) -> Diag {
    let text = "negation/default currently supported only for options, log, busy-polling, set-dumpable, \
                strict-limits, insecure-fork-wanted and numa-cpu-mapping.";
    Diag::alert(Code::BadModifier, span, text).with_form(super::diag::Form::Reader)
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found<T: 'static> {
    /// A row that may stand in the section, and how many words its keyword has.
    Row(&'static Keyword<T>, usize),
    /// The keyword exists, in other sections only.
    Elsewhere(Where),
    /// No such keyword; the nearest one that may stand here.
    Unknown(Option<&'static str>),
}

/// Rows of many tables by their first word.
pub struct Table<T: 'static> {
    by_first: HashMap<&'static str, Vec<&'static Keyword<T>>>,
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("first_words", &self.by_first.len())
            .finish()
    }
}

impl<T> Table<T> {
    /// Collects the rows of several lists; within one first word the longest keyword comes first, then the
    /// order of the lists.
    pub fn new(lists: &[&'static [Keyword<T>]]) -> Self {
        let mut by_first: HashMap<_, Vec<_>> = HashMap::new();
        for row in lists.iter().flat_map(|list| list.iter()) {
            let first = row.name.split(' ').next().unwrap_or(row.name);
            by_first.entry(first).or_default().push(row);
        }
        for rows in by_first.values_mut() {
            rows.sort_by_key(|row| std::cmp::Reverse(row.name.split(' ').count()));
        }
        Self { by_first }
    }

    /// All rows, in no order.
    pub fn rows(&self) -> impl Iterator<Item = &'static Keyword<T>> {
        self.by_first.values().flatten().copied()
    }

    /// First words of the rows that may stand in one of the sections, in alphabetical order.
    pub fn first_words(&self, place: Where) -> Vec<&'static str> {
        let here = self
            .by_first
            .iter()
            .filter(|(_, rows)| rows.iter().any(|row| row.place.allows(place)));
        let mut words: Vec<_> = here.map(|(first, _)| *first).collect();
        words.sort_unstable();
        words
    }

    /// The row for a line (without its modifier) in a section.
    pub fn find(&self, words: &[Arg], place: Where) -> Found<T> {
        let mut elsewhere = Where::NONE;
        let first = words.first().and_then(Arg::as_str).unwrap_or("");
        for row in self.by_first.get(first).into_iter().flatten() {
            let count = row.name.split(' ').count();
            let same =
                words.len() >= count && row.name.split(' ').zip(words).all(|(name, word)| word.is(name));
            if same && row.place.allows(place) {
                return Found::Row(row, count);
            }
            if same {
                elsewhere = elsewhere | row.place;
            }
        }
        if elsewhere != Where::NONE {
            Found::Elsewhere(elsewhere)
        } else {
            Found::Unknown(self.nearest(words, place))
        }
    }

    /// The keyword allowed in the section that is nearest to what was written, compared over as many words.
    pub fn nearest(&self, words: &[Arg], place: Where) -> Option<&'static str> {
        let mut names: Vec<&'static str> = self
            .rows()
            .filter(|row| row.place.allows(place))
            .map(|row| row.name)
            .collect();
        names.sort_unstable();
        let most = names
            .iter()
            .map(|name| name.split(' ').count())
            .max()
            .unwrap_or(0);
        // A second word that was mistyped is the likelier case: `timeout clent`.
        (1..=most.min(words.len())).rev().find_map(|count| {
            let written: Vec<_> = words.iter().take(count).map(Arg::bytes).collect();
            let same_length = names
                .iter()
                .copied()
                .filter(|name| name.split(' ').count() == count);
            nearest(&written.join(&b' '), same_length)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::source::Sources;

    const ROWS: &[Keyword<Vec<String>>] = &[
        Keyword {
            name: "timeout client",
            place: Where::FRONT,
            arity: Arity::ONE,
            negatable: false,
            parse: |cursor, target| {
                target.push(cursor.time_ms()?.to_string());
                Ok(())
            },
            doc: "time to wait for the client, in milliseconds",
        },
        Keyword {
            name: "option httplog",
            place: Where::PROXY,
            arity: Arity::at_most(1),
            negatable: true,
            parse: |cursor, target| {
                target.push(format!("{:?} {}", cursor.modifier(), cursor.accept("clf")));
                Ok(())
            },
            doc: "log requests",
        },
    ];

    fn args(text: &str) -> (Vec<Arg>, Span) {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", text.as_bytes().to_vec()).expect("small");
        let span = Span::new(file, 0, text.len() as u32);
        (
            text.split(' ')
                .map(|word| Arg::plain(word.as_bytes(), span))
                .collect(),
            span,
        )
    }

    fn run(text: &str, modifier: Modifier, place: Where) -> Result<Vec<String>, String> {
        let (words, line) = args(text);
        match Table::new(&[ROWS]).find(&words, place) {
            Found::Row(row, count) => {
                let mut target = Vec::new();
                let mut cursor = ArgCursor::new(&words, count, modifier, line);
                row.run(&mut cursor, &mut target)
                    .map(|()| target)
                    .map_err(|diag| diag.text)
            }
            Found::Elsewhere(place) => Err(format!("elsewhere {place:?}")),
            Found::Unknown(best) => Err(format!("unknown {best:?}")),
        }
    }

    #[test]
    fn finds_and_runs() {
        assert_eq!(
            run("timeout client 5s", Modifier::Set, Where::FRONTEND),
            Ok(vec!["5000".into()])
        );
        assert_eq!(
            run("option httplog clf", Modifier::No, Where::LISTEN),
            Ok(vec!["No true".into()])
        );
        assert_eq!(
            run("option httplog clf x", Modifier::Set, Where::LISTEN),
            Err("'option httplog' cannot handle unexpected argument 'x'.".into())
        );
        assert_eq!(
            run("option httplog x", Modifier::Set, Where::LISTEN),
            Err("'option httplog' cannot handle unexpected argument 'x'.".into())
        );
        assert_eq!(
            run("timeout client", Modifier::Set, Where::LISTEN),
            Err("'timeout client' expects an argument.".into())
        );
        assert!(
            run("timeout client 1", Modifier::No, Where::LISTEN)
                .is_err_and(|text| text.starts_with("negation/default"))
        );
    }

    #[test]
    fn says_why_not() {
        let elsewhere = r#"elsewhere {"defaults", "frontend", "listen"}"#;
        assert_eq!(
            run("timeout client 5s", Modifier::Set, Where::BACKEND),
            Err(elsewhere.into())
        );
        assert_eq!(
            run("timeout clent 5s", Modifier::Set, Where::FRONTEND),
            Err(r#"unknown Some("timeout client")"#.into())
        );
        assert_eq!(
            run("option htplog", Modifier::Set, Where::BACKEND),
            Err(r#"unknown Some("option httplog")"#.into())
        );
        assert_eq!(
            run("zzz", Modifier::Set, Where::BACKEND),
            Err("unknown None".into())
        );
    }

    #[test]
    fn words_to_suggest() {
        let table = Table::new(&[ROWS]);
        assert_eq!(table.first_words(Where::FRONTEND), ["option", "timeout"]);
        assert_eq!(table.first_words(Where::BACKEND), ["option"]);
        assert!(table.first_words(Where::GLOBAL).is_empty());
    }

    #[test]
    fn section_names() {
        assert_eq!(Where::section(b"backend"), Some(Where::BACKEND));
        assert_eq!(Where::section(b"bakend"), None);
        assert_eq!(
            Where::PROXY.names().collect::<Vec<_>>(),
            ["defaults", "frontend", "listen", "backend"]
        );
        assert_eq!(Where::section(b"crt-store"), Some(Where::CRT_STORE));
        assert_eq!(Where::section(b"namespace_list"), Some(Where::NAMESPACE_LIST));
    }
}
