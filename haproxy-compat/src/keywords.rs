//! docs/keywords.md, made from the rows: the reference cannot say anything that the program does not do.

use std::fmt::Write as _;

use rproxy::policy::kw::unsupported;

use crate::rows::{self, Class, Entry};

const HEAD: &str = "\
# Keywords

Made from the tables of the program by `cargo run -p haproxy-compat -- keywords`; not to be edited by hand. What each
word means in full is in HAProxy's own configuration manual: this list says which of them rproxy reads, where
they may stand, and how many arguments they take.
";

/// The text of docs/keywords.md.
pub(crate) fn reference() -> String {
    let mut text = HEAD.to_owned();
    let entries = rows::all();
    for class in [
        Class::Global,
        Class::Proxy,
        Class::Bind,
        Class::Server,
        Class::LogField,
        Class::Command,
        Class::StatColumn,
        Class::InfoField,
        Class::Flag,
    ] {
        let entries: Vec<_> = entries.iter().filter(|entry| entry.class == class).collect();
        table(&mut text, class, &entries);
    }
    refused(&mut text);
    text
}

fn title(class: Class) -> (&'static str, [&'static str; 2]) {
    match class {
        Class::Global => ("Keywords of `global`", ["sections", "arguments"]),
        Class::Proxy => (
            "Keywords of `defaults`, `frontend`, `listen`, `backend`",
            ["sections", "arguments"],
        ),
        Class::Bind => ("Options of `bind` and `stats socket`", ["", ""]),
        Class::Server => (
            "Options of `server`, `server-template` and `default-server`",
            ["", ""],
        ),
        Class::LogField => ("Values of log formats", ["needs", ""]),
        Class::Command => ("Commands of the runtime socket", ["level", "usage"]),
        Class::StatColumn => ("Columns of `show stat`", ["", ""]),
        Class::Flag => ("Flags of the command line", ["", "value"]),
        Class::InfoField => ("Fields of `show info`", ["", ""]),
    }
}

fn table(text: &mut String, class: Class, entries: &[&Entry]) {
    let (heading, columns) = title(class);
    let named: Vec<_> = columns.into_iter().filter(|column| !column.is_empty()).collect();
    let _ = write!(text, "\n## {heading}\n\n| name |");
    for column in &named {
        let _ = write!(text, " {column} |");
    }
    let _ = writeln!(text, " what it does |\n|{}", " --- |".repeat(named.len() + 2));
    for entry in entries {
        let _ = write!(text, "| `{}` |", cell(&entry.name));
        for (column, value) in columns.into_iter().zip([&entry.place, &entry.arguments]) {
            if !column.is_empty() {
                let _ = write!(text, " {} |", cell(value));
            }
        }
        let _ = writeln!(text, " {} |", cell(entry.doc));
    }
}

/// A bar would end the cell.
fn cell(value: &str) -> String {
    value.replace('|', "\\|").replace('<', "&lt;")
}

fn refused(text: &mut String) {
    text.push_str("\n## Known to HAProxy 3.4.0, refused by name as not supported yet\n");
    for (heading, names) in [
        ("Sections", unsupported::SECTIONS),
        ("Keywords of `global`", unsupported::GLOBAL),
        ("First words in proxy sections", unsupported::PROXY),
        ("Words after `option`", unsupported::OPTIONS),
    ] {
        let mut names = names.to_vec();
        names.sort_unstable();
        let list: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "\n{heading}: {}.", list.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/keywords.md");
        let kept = std::fs::read_to_string(path).expect("docs/keywords.md is part of the project");
        let made = reference();
        let difference = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
        assert!(
            kept == made,
            "docs/keywords.md is not what the rows say (first difference: {difference:?}); \
             run: cargo run -p haproxy-compat -- keywords > docs/keywords.md"
        );
    }
}
