//! What the command line prints about the program and its configuration: `-dC`, `-dK`, `-dL`.
//!
//! Source: management manual, "Starting HAProxy", and runs of 3.4.0 for the layouts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::cli::table::{BUILT_IN, COMMANDS};
use crate::conf::ast::{Document, Line};
use crate::conf::source::Sources;
use crate::policy::registry::KEYWORDS;

/// The configuration as words: sections at the margin, their lines after a tab.
pub fn configuration(sources: &Sources, with_place: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (file, _) in sources.iter() {
        let document = Document::parse(sources, file);
        for line in &document.preamble {
            words(sources, line, with_place, "", &mut out);
        }
        for section in &document.sections {
            words(sources, &section.header, with_place, "", &mut out);
            for line in &section.lines {
                words(sources, line, with_place, "\t", &mut out);
            }
        }
    }
    out
}

fn words(sources: &Sources, line: &Line, with_place: bool, indent: &str, out: &mut Vec<u8>) {
    if line.words.is_empty() {
        return;
    }
    if with_place {
        out.extend_from_slice(format!("{}\t", line.number).as_bytes());
    }
    out.extend_from_slice(indent.as_bytes());
    for word in &line.words {
        out.extend_from_slice(sources.bytes(word.span));
        out.push(b' ');
    }
    out.push(b'\n');
}

/// The keywords of these classes.
pub fn keywords(classes: &str) -> String {
    let mut text = String::new();
    let mut all = false;
    for class in classes.split(',') {
        if class == "help" {
            text += "# List of supported keyword classes:\n\
                all: list all keywords\n\
                acl: ACL keywords\n\
                cfg: configuration keywords\n\
                cli: CLI keywords\n\
                cnv: sample converter keywords\n\
                flt: filter names\n\
                smp: sample fetch functions\n\
                svc: service names\n";
            continue;
        }
        all |= class == "all";
        for (name, title, list) in CLASSES {
            if all || class == *name {
                text += &format!("# List of registered {title}:\n{}", list());
            }
        }
    }
    text
}

type Class = (&'static str, &'static str, fn() -> String);

/// The classes in the order of `all`. ACLs, samples, filters and services come with later parts: their lists are
/// empty.
const CLASSES: &[Class] = &[
    ("acl", "ACL keywords", String::new),
    ("cfg", "configuration keywords", configuration_keywords),
    ("cli", "CLI keywords", commands),
    ("cnv", "sample converter functions", String::new),
    ("flt", "filter names", String::new),
    ("smp", "sample fetch functions", String::new),
    ("svc", "service names", String::new),
];

fn configuration_keywords() -> String {
    let names: BTreeMap<&str, &str> = KEYWORDS
        .iter()
        .flat_map(|table| table.iter())
        .map(|row| (row.name, row.doc))
        .collect();
    names.keys().map(|name| format!("\t{name}\n")).collect()
}

fn commands() -> String {
    let rows = COMMANDS.iter().chain(BUILT_IN);
    rows.map(|command| format!("{} [WORKER]\n", command.words.join(" ")))
        .collect()
}

/// The program and the libraries that it loaded.
pub fn loaded_objects() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = fs::read_link("/proc/self/exe")
        .unwrap_or_default()
        .display()
        .to_string();
    let mut seen = BTreeSet::new();
    let paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.starts_with('/'));
    let libraries: String = paths
        .filter(|path| *path != program && seen.insert((*path).to_owned()))
        .map(|path| format!("{path}\n"))
        .collect();
    format!("List of loaded object files:\n{program}\n{libraries}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_as_words() {
        let mut sources = Sources::new();
        sources
            .add(
                b"a.cfg",
                b"# c\nglobal\n  maxconn   10 # d\n\nfrontend \"f\"\n bind :80\n".to_vec(),
            )
            .unwrap();
        let print = |with_place| String::from_utf8(configuration(&sources, with_place)).unwrap();
        assert_eq!(
            print(false),
            "global \n\tmaxconn 10 \nfrontend \"f\" \n\tbind :80 \n"
        );
        assert!(print(true).starts_with("2\tglobal \n3\t\tmaxconn 10 \n"));
    }

    #[test]
    fn keyword_classes() {
        assert!(keywords("help").starts_with("# List of supported keyword classes:\nall: "));
        assert!(keywords("cfg").starts_with("# List of registered configuration keywords:\n\t"));
        assert!(keywords("cfg").contains("\tmaxconn\n"));
        assert!(keywords("cli").contains("show stat [WORKER]\n"));
        assert_eq!(keywords("all").matches("# List").count(), CLASSES.len());
        assert_eq!(keywords("nonsense"), "");
        assert!(loaded_objects().starts_with("List of loaded object files:\n/"));
    }
}
