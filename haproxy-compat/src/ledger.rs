//! The ledger: what became of every name that HAProxy 3.4.0 knows.
//!
//! `ledger/names.tsv` has a line for each: class, name, state, note. It is generated: a name with a row is done, one
//! without is for later, and `ledger/reasons.tsv`, which is kept by hand, says what the rows cannot: that something is
//! missing of a name, that it will never come, or that a name of a class without rows is there. A test generates it
//! anew and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use rproxy::policy::kw::unsupported;

use crate::rows::{self, Class};

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// All that it does is there.
    Done,
    /// Something is missing: the note says what.
    Partial,
    /// Refused, or not known yet.
    Later,
    /// It will not come: the note says why.
    Never,
}

impl State {
    const ALL: [Self; 4] = [Self::Done, Self::Partial, Self::Later, Self::Never];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Later => "later",
            Self::Never => "never",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == word)
    }
}

/// What the rows know of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// It is refused by name.
    refused: bool,
    /// It is read, and nothing follows from it: why.
    idle: Option<String>,
}

/// What is kept by hand of a name.
struct Reason {
    state: State,
    note: String,
}

/// Class and name.
type Key = (String, String);

/// Words by which a row says that nothing follows from it.
const IDLE: &str = "without effect";

/// What the tables of the program know, by the classes of the list.
fn known() -> BTreeMap<Key, Row> {
    let mut known = BTreeMap::new();
    let mut add = |class: &str, name: &str, row: &Row| {
        known.insert((class.to_owned(), name.to_owned()), row.clone());
    };
    let refused = Row {
        refused: true,
        idle: None,
    };
    for (class, names) in [
        ("section", unsupported::SECTIONS),
        ("global", unsupported::GLOBAL),
        ("proxy", unsupported::PROXY),
        ("option", unsupported::OPTIONS),
    ] {
        names.iter().for_each(|name| add(class, name, &refused));
    }
    for entry in rows::all() {
        let class = match entry.class {
            Class::Global => "global",
            Class::Proxy => "proxy",
            Class::Bind => "bind",
            Class::Server => "srv",
            Class::LogField => "logformat-alias",
            Class::Command => "cli",
            Class::StatColumn => "stat-column",
            Class::InfoField => "info-field",
            Class::Flag => "cmdline",
        };
        let because = |text: &str| text.split_once(IDLE).map(|_| text.to_owned());
        let flag = entry.place.strip_prefix("no effect: ").map(str::to_owned);
        let row = Row {
            refused: entry.doc.ends_with("not supported yet"),
            idle: flag.or_else(|| because(entry.doc)),
        };
        let name = entry.name.trim_start_matches('%');
        if let (Class::Proxy, Some(option)) = (entry.class, name.strip_prefix("option ")) {
            add("option", option, &row);
        }
        add(class, name, &row);
    }
    for section in ["global", "defaults", "frontend", "listen", "backend"] {
        let there = Row {
            refused: false,
            idle: None,
        };
        add("section", section, &there);
    }
    known
}

/// A line of a table, cut at its tabs.
fn columns(line: &str) -> [&str; 4] {
    let mut columns = line.split('\t');
    std::array::from_fn(|_| columns.next().unwrap_or_default())
}

fn path(name: &str) -> PathBuf {
    haproxy_compat::program::home().join("ledger").join(name)
}

fn file(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names by hand; `*` stands for all of a class.
fn reasons(text: &str) -> Result<BTreeMap<Key, Reason>, String> {
    let mut reasons = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let [class, name, state, note] = columns(line);
        let state = State::read(state).ok_or_else(|| format!("no state: {line}"))?;
        if note.is_empty() && state != State::Done {
            return Err(format!("no reason: {line}"));
        }
        let reason = Reason {
            state,
            note: note.to_owned(),
        };
        if reasons
            .insert((class.to_owned(), name.to_owned()), reason)
            .is_some()
        {
            return Err(format!("twice: {line}"));
        }
    }
    Ok(reasons)
}

/// Makes the ledger of a list of names (class, tab, name, and whatever else).
fn make(list: &str, by_hand: &str) -> Result<String, String> {
    let known = known();
    let reasons = reasons(by_hand)?;
    let mut used = BTreeSet::new();
    let mut text = String::from("class\tname\tstate\tnote\n");
    for line in list.lines().skip(1) {
        let [class, name, ..] = columns(line);
        let (state, note) = judge(&known, &reasons, class, name, &mut used)?;
        let _ = writeln!(text, "{class}\t{name}\t{}\t{note}", state.name());
    }
    match reasons.keys().find(|key| !used.contains(*key)) {
        Some((class, name)) => Err(format!("a reason for no name: {class} {name}")),
        None => Ok(text),
    }
}

fn judge(
    known: &BTreeMap<Key, Row>,
    reasons: &BTreeMap<Key, Reason>,
    class: &str,
    name: &str,
    used: &mut BTreeSet<Key>,
) -> Result<(State, String), String> {
    let bare = name.trim_start_matches('%');
    let first = bare.split(' ').next().unwrap_or(bare);
    let row = |name: &str| known.get(&(class.to_owned(), name.to_owned()));
    // A name of several words is read by the row of its first one, where no row has them all.
    let row = row(bare).or_else(|| row(first));
    let found = [bare, "*"].into_iter().find_map(|name| {
        let key = (class.to_owned(), name.to_owned());
        reasons.get(&key).map(|reason| (key, reason))
    });
    let by_rows = match row {
        None => (State::Later, String::new()),
        Some(row) if row.refused => (State::Later, "refused by name".to_owned()),
        Some(Row { idle: Some(why), .. }) => (State::Partial, why.clone()),
        Some(_) => (State::Done, String::new()),
    };
    let Some((key, reason)) = found else {
        return Ok(by_rows);
    };
    used.insert(key);
    let has_row = row.is_some_and(|row| !row.refused);
    let contradicts = match reason.state {
        // Only what the tables do not list is said to be there by hand.
        State::Done => row.is_some_and(|row| row.refused),
        State::Partial => row.is_some_and(|row| row.refused),
        State::Later | State::Never => has_row,
    };
    if contradicts {
        return Err(format!("the rows contradict the reason: {class} {name}"));
    }
    Ok((reason.state, reason.note.clone()))
}

/// Writes the ledger anew from a list of names.
pub(crate) fn update(list: &str) -> Result<(), String> {
    let text = make(list, &file("reasons.tsv"))?;
    std::fs::write(path("names.tsv"), text).map_err(|error| error.to_string())
}

/// The totals of each class, as a table that documents can hold.
pub(crate) fn totals() -> String {
    let ledger = file("names.tsv");
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    let mut sums = [0; 4];
    for line in ledger.lines().skip(1) {
        let [class, _, state, _] = columns(line);
        if let Some(state) = State::read(state) {
            counts.entry(class).or_default()[state as usize] += 1;
            sums[state as usize] += 1;
        }
    }
    let mut text =
        String::from("| class | done | partial | later | never |\n| --- | --: | --: | --: | --: |\n");
    for (class, counts) in counts.into_iter().chain([("**all**", sums)]) {
        let _ = write!(text, "| {class} |");
        for count in counts {
            let _ = write!(text, " {count} |");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_what_the_rows_say() {
        let ledger = file("names.tsv");
        let made = make(&ledger, &file("reasons.tsv")).expect("the reasons fit");
        for (kept, made) in ledger.lines().zip(made.lines()) {
            assert_eq!(kept, made, "make ledger NAMES=... writes it anew");
        }
    }

    /// Where the list of names is, the ledger has each of them.
    #[test]
    fn every_name_is_in_the_ledger() {
        let list = haproxy_compat::program::home().join("../../shared/reference/keywords-3.4.0.tsv");
        let Ok(list) = std::fs::read_to_string(list) else {
            return;
        };
        assert_eq!(
            make(&list, &file("reasons.tsv")).as_deref(),
            Ok(&*file("names.tsv"))
        );
    }

    #[test]
    fn the_document_shows_the_totals() {
        let document = haproxy_compat::program::home().join("../docs/COMPATIBILITY.md");
        let document = std::fs::read_to_string(document).expect("the document is there");
        assert!(document.contains(&totals()), "{}", totals());
    }

    #[test]
    fn reasons_do_not_contradict_rows() {
        let list = "class\tname\nproxy\tmaxconn\nproxy\thttp-request\nproxy\tnosuch\nsection\tcache\n";
        let made = |reasons: &str| make(list, reasons);
        assert_eq!(
            made("").expect("fits"),
            "class\tname\tstate\tnote\nproxy\tmaxconn\tdone\t\nproxy\thttp-request\tlater\trefused by name\n\
             proxy\tnosuch\tlater\t\nsection\tcache\tlater\trefused by name\n"
        );
        assert!(made("proxy\tnosuch\tnever\tno need").is_ok());
        for wrong in [
            "proxy\tmaxconn\tnever\tno need",
            "proxy\thttp-request\tdone\t",
            "proxy\tunheard\tnever\tno need",
            "proxy\tnosuch\tnever\t",
            "proxy\tnosuch\tsoon\twhy",
        ] {
            assert!(made(wrong).is_err(), "{wrong}");
        }
    }
}
