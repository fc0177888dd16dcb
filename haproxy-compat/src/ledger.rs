//! The ledger: which names of HAProxy 3.4.0 rproxy has a row for, refuses by name, or does not know.
//!
//! The list of names is an input (a table of class, name and whatever else), not part of the project. A row says
//! that the name is read and acted upon; whether it does all that HAProxy does is what tests are for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rproxy::policy::kw::unsupported;

use crate::rows::{self, Class};

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It has a row.
    Row,
    /// It is refused by name as not supported yet.
    Refused,
    /// Nothing in the tables.
    Unknown,
}

/// What the tables know, by the classes of the list.
struct Known {
    rows: BTreeMap<&'static str, BTreeSet<String>>,
    refused: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Known {
    fn new() -> Self {
        let mut rows: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut refused: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for entry in rows::all() {
            let later = entry.doc.ends_with("not supported yet");
            let class = match entry.class {
                Class::Global => "global",
                Class::Proxy => "proxy",
                Class::Bind => "bind",
                Class::LogField => "logformat-alias",
                Class::Command => "cli",
                Class::StatColumn => "stat-column",
                Class::InfoField => "info-field",
            };
            let name = entry.name.trim_start_matches('%').to_owned();
            let list = if later { &mut refused } else { &mut rows };
            if let (Class::Proxy, Some(option)) = (entry.class, name.strip_prefix("option ")) {
                list.entry("option").or_default().insert(option.to_owned());
            }
            list.entry(class).or_default().insert(name);
        }
        for (class, names) in [
            ("section", unsupported::SECTIONS),
            ("global", unsupported::GLOBAL),
            ("proxy", unsupported::PROXY),
            ("option", unsupported::OPTIONS),
        ] {
            refused
                .entry(class)
                .or_default()
                .extend(names.iter().map(ToString::to_string));
        }
        let read = ["global", "defaults", "frontend", "listen", "backend"];
        rows.entry("section").or_default().extend(read.map(str::to_owned));
        Self { rows, refused }
    }

    fn verdict(&self, class: &str, name: &str) -> Verdict {
        let holds = |lists: &BTreeMap<&'static str, BTreeSet<String>>, name: &str| {
            lists.get(class).is_some_and(|names| names.contains(name))
        };
        let first = name.split(' ').next().unwrap_or(name);
        if holds(&self.rows, name) {
            Verdict::Row
        } else if holds(&self.refused, name) || holds(&self.refused, first) {
            Verdict::Refused
        } else {
            Verdict::Unknown
        }
    }
}

/// Counts per class, then the names that the tables do not know.
pub(crate) fn report(list: &str) -> String {
    let known = Known::new();
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut unknown: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in list.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(class), Some(name)) = (
            columns.next(),
            columns.next().map(|name| name.trim_start_matches('%')),
        ) else {
            continue;
        };
        let verdict = known.verdict(class, name);
        counts.entry(class).or_default()[verdict as usize] += 1;
        if verdict == Verdict::Unknown {
            unknown.entry(class).or_default().push(name);
        }
    }
    let mut text = format!("{:<22}{:>8}{:>9}{:>9}\n", "class", "row", "refused", "unknown");
    for (class, [row, refused, unknown]) in &counts {
        let _ = writeln!(text, "{class:<22}{row:>8}{refused:>9}{unknown:>9}");
    }
    for (class, names) in unknown {
        let has_rows = counts
            .get(class)
            .is_some_and(|[row, refused, _]| row + refused > 0);
        if has_rows {
            let _ = writeln!(text, "\nunknown in {class}: {}", names.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let known = Known::new();
        assert_eq!(known.verdict("proxy", "maxconn"), Verdict::Row);
        assert_eq!(known.verdict("option", "httplog"), Verdict::Row);
        assert_eq!(known.verdict("proxy", "http-request"), Verdict::Refused);
        assert_eq!(known.verdict("proxy", "no such word"), Verdict::Unknown);
        let report = report("class\tkeyword\nproxy\tmode\t1\nproxy\tnosuch\t1\n");
        assert!(report.contains("unknown in proxy: nosuch"), "{report}");
    }
}
