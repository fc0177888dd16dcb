//! What the command line prints about the program and its configuration: `-dC`, `-dK`, `-dL`.
//!
//! Source: management manual, "Starting HAProxy", and runs of 3.4.0 for the layouts.

use std::collections::BTreeMap;

use super::anon;
use super::args::DumpConfig;
use super::cli::table::{BUILT_IN, COMMANDS};
use super::tar;
use crate::conf::ast::Document;
use crate::conf::cond::Facts;
use crate::conf::cursor::Arg;
use crate::conf::diag::{Code, Diag, Form, Sink};
use crate::conf::env::Env;
use crate::conf::reader::{Pass, Reader};
use crate::conf::source::Sources;
use crate::policy::registry::KEYWORDS;

/// The configuration as words, as the environment of the process makes them: sections at the margin, their lines after
/// a tab. No line is acted upon, be it `.if` or `setenv`; with a key, see the module `anon`. Also what is no word, up to
/// the end of the first file that has some.
pub fn configuration(sources: &Sources, env: &Env, options: DumpConfig) -> (Vec<u8>, Sink) {
    let mut sink = Sink::new();
    let mut out = Vec::new();
    for (file, about) in sources.iter() {
        let document = Document::parse(sources, file);
        let mut reader = Reader::new(sources, &document, Pass::Words);
        while let Some(statement) = reader.statement(env, &Facts::default(), &mut sink) {
            if options.with_place {
                out.extend_from_slice(format!("{}\t", statement.line.number).as_bytes());
            }
            let words: Vec<&[u8]> = statement.args.iter().map(Arg::bytes).collect();
            if statement.opens.is_none() {
                out.push(b'\t');
            }
            out.extend(match (options.key, statement.opens) {
                (0, _) => [words.join(&b' '), b" ".to_vec()].concat(),
                (key, None) => anon::line(key, &words),
                (key, Some(_)) => anon::header(key, &words),
            });
            out.push(b'\n');
        }
        if sink.has_errors() {
            let texts = [
                format!("Error(s) found in configuration file : {}", about.display_name()),
                "Fatal errors found in configuration.".to_owned(),
            ];
            sink.extend(texts.map(|text| Diag::alert(Code::Refused, None, text).with_form(Form::Plain)));
            break;
        }
    }
    (out, sink)
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
    format!(
        "List of loaded object files:\n{}\n",
        tar::loaded_objects().join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_as_words() {
        let mut sources = Sources::new();
        let text =
            "# c\nglobal\n  maxconn   10 # d\n setenv A x\n.if 0\n\nfrontend \"f g\"\n bind $A\"${B}:80\"\n";
        sources.add(b"a.cfg", text.as_bytes().to_vec()).unwrap();
        let mut env = Env::new();
        env.set(b"B", b"b").unwrap();
        let print = |with_place, key| {
            String::from_utf8(configuration(&sources, &env, DumpConfig { with_place, key }).0).unwrap()
        };
        assert_eq!(
            print(false, 0),
            "global \n\tmaxconn 10 \n\tsetenv A x \n\t.if 0 \nfrontend f g \n\tbind $Ab:80 \n"
        );
        assert!(print(true, 0).starts_with("2\tglobal \n3\t\tmaxconn 10 \n"));
        assert!(print(true, 77).starts_with("2\tglobal\n3\t\tmaxconn 10\n"));
        sources.add(b"b.cfg", b"global\n x \"y\n".to_vec()).unwrap();
        let options = DumpConfig {
            with_place: false,
            key: 0,
        };
        let (text, sink) = configuration(&sources, &env, options);
        assert!(text.ends_with(b"global \n") && sink.has_errors());
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
