//! Golden tests of the configuration floor: one file per case, under `tests/conf/ok` and `tests/conf/bad`.
//!
//! A `.cfg` is read as the load passes read it, with three variables in the environment (V=`val`, E empty,
//! A=` x  y`); the `.txt` beside it holds the statements (`ok`) or the whole reports (`bad`). Verdicts and first
//! lines were compared with HAProxy 3.4.0's; the few differences are named in the file that has one. With
//! `BLESS=1` in the environment of the tests the expectations are written anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rproxy::conf::ast::Document;
use rproxy::conf::cond::Facts;
use rproxy::conf::cursor::Modifier;
use rproxy::conf::diag::Sink;
use rproxy::conf::env::Env;
use rproxy::conf::reader::{Pass, Reader, Statement};
use rproxy::conf::render;
use rproxy::conf::source::Sources;

fn facts() -> Facts {
    Facts {
        version: "3.4.0".into(),
        features: vec!["EPOLL".into()],
        enabled: vec!["SPLICE".into()],
        tls_library: None,
    }
}

/// One statement as a line: section, modifier, quoted words.
fn show(statement: &Statement<'_>) -> String {
    let section: Vec<_> = statement.section.names().collect();
    let mut line = format!("{}:", section.join("|"));
    match statement.modifier {
        Modifier::Set => {}
        Modifier::No => line.push_str(" no"),
        Modifier::Default => line.push_str(" default"),
    }
    for arg in &statement.args {
        let _ = write!(line, " \"{}\"", arg.bytes().escape_ascii());
    }
    line + "\n"
}

/// What `setenv` and its kin do, as far as the cases need it.
fn apply(statement: &Statement<'_>, env: &mut Env) {
    let word = |index: usize| statement.args.get(index).map_or(&[][..], |arg| arg.bytes());
    match statement.keyword() {
        b"setenv" => env.set(word(1), word(2)).expect("room"),
        b"presetenv" => env.preset(word(1), word(2)).expect("room"),
        b"unsetenv" => env.unset(word(1)),
        b"resetenv" => env.retain(|name| statement.args.iter().any(|arg| arg.bytes() == name)),
        _ => {}
    }
}

/// Reads a text twice, as HAProxy does, and answers with the statements and the reports.
fn read(name: &str, text: Vec<u8>) -> (String, String, bool) {
    let mut sources = Sources::new();
    let file = sources.add(name.as_bytes(), text).expect("small");
    let document = Document::parse(&sources, file);
    let mut sink = Sink::new();
    let mut statements = String::new();
    for pass in [Pass::Discover, Pass::Full] {
        let mut env = Env::new();
        for (name, value) in [("V", "val"), ("E", ""), ("A", " x  y")] {
            env.set(name.as_bytes(), value.as_bytes()).expect("room");
        }
        let mut reader = Reader::new(&sources, &document, pass);
        while let Some(statement) = reader.statement(&env, &facts(), &mut sink) {
            apply(&statement, &mut env);
            if pass == Pass::Full {
                statements += &show(&statement);
            }
        }
        if sink.has_errors() {
            break;
        }
    }
    let reports = sink
        .reports()
        .iter()
        .map(|diag| render::render(diag, &sources, 1))
        .collect();
    (statements, reports, sink.has_errors())
}

/// The cases of a directory, in order of their names.
fn cases(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/conf")
        .join(kind);
    let entries = std::fs::read_dir(&dir).expect("the directory of the cases");
    let mut list: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    list.retain(|path| path.extension().is_some_and(|extension| extension == "cfg"));
    list.sort();
    assert!(list.len() > 5, "cases of {kind} are missing");
    list
}

/// Compares with the expectation beside the case, or writes it.
fn compare(case: &Path, got: &str) {
    let expected = case.with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expected, got).expect("writable");
        return;
    }
    let text =
        std::fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
    assert_eq!(got, text, "{}", case.display());
}

#[test]
fn good_files() {
    for case in cases("ok") {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let (statements, reports, refused) = read(&name, std::fs::read(&case).expect("readable"));
        assert!(!refused, "{name}:\n{reports}");
        compare(&case, &(statements + &reports));
    }
}

#[test]
fn bad_files() {
    for case in cases("bad") {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let (statements, reports, refused) = read(&name, std::fs::read(&case).expect("readable"));
        assert!(refused, "{name}:\n{statements}");
        compare(&case, &reports);
    }
}
