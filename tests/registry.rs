//! The tables of rows are complete: every row can be reached by its name, none hides another, every one says
//! in a line what it is for, and no name is both supported and refused as not supported yet.

use std::collections::{BTreeMap, BTreeSet};

use rproxy::conf::row::{Found, Where};
use rproxy::conf::source::{Sources, Span};
use rproxy::conf::{cursor::Arg, row::Keyword};
use rproxy::ops::{cli, stats};
use rproxy::policy::draft::Draft;
use rproxy::policy::kw::unsupported;
use rproxy::policy::log::fields;
use rproxy::policy::registry;

fn rows() -> impl Iterator<Item = &'static Keyword<Draft>> {
    registry::KEYWORDS.iter().flat_map(|table| table.iter())
}

/// The section of that name.
fn section(name: &str) -> Where {
    Where::section(name.as_bytes()).expect("a name that the set itself gave")
}

/// The words of a keyword, as a line of a file has them.
fn words(name: &str) -> Vec<Arg> {
    let mut sources = Sources::new();
    let file = sources.add(b"t.cfg", name.as_bytes().to_vec()).expect("small");
    let span = Span::new(file, 0, u32::try_from(name.len()).expect("short"));
    name.split(' ')
        .map(|word| Arg::plain(word.as_bytes(), span))
        .collect()
}

/// Faults of a line of documentation.
fn doc_faults(what: &str, doc: &str) -> Option<String> {
    let good = doc.len() >= 4
        && doc.trim() == doc
        && !doc.contains('\n')
        && (!doc.ends_with('.') || doc.ends_with("..."));
    (!good).then(|| format!("{what}: '{doc}' is no line for the reference"))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Names that occur more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names
        .filter(|name| !seen.insert(*name))
        .map(|name| format!("{name} is there twice"))
        .collect()
}

#[test]
fn keywords_are_documented() {
    assert!(rows().count() > 300, "the tables are not the whole of it");
    let mut faults: Vec<_> = rows().filter_map(|row| doc_faults(row.name, row.doc)).collect();
    faults.extend(
        rows()
            .filter(|row| {
                row.name
                    .split(' ')
                    .any(|word| word.is_empty() || word != word.trim())
            })
            .map(|row| format!("'{}' is no list of words", row.name)),
    );
    faults.extend(
        rows()
            .filter(|row| row.place == Where::NONE)
            .map(|row| format!("{} stands nowhere", row.name)),
    );
    assert_none(&faults);
}

#[test]
fn keywords_do_not_hide_each_other() {
    let mut places: BTreeMap<&str, Vec<Where>> = BTreeMap::new();
    let mut faults = Vec::new();
    for row in rows() {
        let before = places.entry(row.name).or_default();
        if before.iter().any(|place| place.allows(row.place)) {
            faults.push(format!("{} is there twice for one section", row.name));
        }
        before.push(row.place);
    }
    assert_none(&faults);
}

#[test]
fn keywords_are_found_by_their_names() {
    let table = registry::keywords();
    let mut faults = Vec::new();
    for row in rows() {
        let line = words(row.name);
        for name in row.place.names() {
            match table.find(&line, section(name)) {
                Found::Row(found, count)
                    if (found.name, found.place, count) == (row.name, row.place, line.len()) => {}
                other => faults.push(format!("{} in {name}: {other:?}", row.name)),
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn nothing_is_both_supported_and_not() {
    let in_rows = |name: String, place: Where| rows().any(|row| row.name == name && row.place.allows(place));
    let mut faults = Vec::new();
    for (names, prefix, place) in [
        (unsupported::GLOBAL, "", Where::GLOBAL),
        (unsupported::PROXY, "", Where::PROXY),
        (unsupported::OPTIONS, "option ", Where::PROXY),
    ] {
        faults.extend(repeated(names.iter().copied()));
        let twice = names
            .iter()
            .filter(|name| in_rows(format!("{prefix}{name}"), place));
        faults.extend(
            twice.map(|name| format!("{prefix}{name} has a row, and is refused as not supported yet")),
        );
    }
    assert_none(&faults);
}

#[test]
fn commands_are_complete() {
    let commands = || cli::table::COMMANDS.iter().chain(cli::table::BUILT_IN);
    let mut faults: Vec<_> = commands()
        .filter_map(|command| doc_faults(&command.words.join(" "), command.doc))
        .collect();
    for command in commands() {
        let line: Vec<String> = command.words.iter().map(ToString::to_string).collect();
        let name = line.join(" ");
        if !cli::table::find(&line).is_some_and(|found| std::ptr::eq(found, command)) {
            faults.push(format!("{name} is hidden by another command"));
        }
        if !command.usage.is_empty() && !command.usage.starts_with(&name) {
            faults.push(format!("the usage of {name} shows another command"));
        }
    }
    assert_none(&faults);
}

#[test]
fn statistics_are_complete() {
    let columns: Vec<_> = (0..stats::rows::count())
        .filter_map(stats::rows::column)
        .collect();
    let mut faults = repeated(columns.iter().map(|column| column.name));
    faults.extend(
        columns
            .iter()
            .filter_map(|column| doc_faults(column.name, column.doc)),
    );
    faults.extend(repeated(stats::info::FIELDS.iter().map(|field| field.name)));
    faults.extend(
        stats::info::FIELDS
            .iter()
            .filter_map(|field| doc_faults(field.name, field.doc)),
    );
    assert_eq!(columns.len(), stats::rows::count());
    assert_none(&faults);
}

#[test]
fn log_fields_are_complete() {
    let name = |row: &fields::Row| match row.name {
        fields::Name::Alias(name) => format!("%{name}"),
        fields::Name::Expression(text) => format!("%[{text}]"),
    };
    let names: Vec<_> = fields::FIELDS.iter().map(name).collect();
    let mut faults = repeated(names.iter().map(String::as_str));
    faults.extend(
        fields::FIELDS
            .iter()
            .filter_map(|row| doc_faults(&name(row), row.doc)),
    );
    assert_none(&faults);
}
