//! The shape of the source tree: arrows point downward, `unsafe` stays in one file, files say what they are
//! for and stay small enough to be read in one sitting.
//!
//! The floors are those of `src/lib.rs`; docs/ARCHITECTURE.md tells what each is for.

mod rust_text;

use rust_text::Token;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Modules at the crate's root with their floor. A file may name its own module and those of lower floors;
/// two modules on one floor do not see each other.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("proto", 1),
    ("conf", 1),
    ("model", 2),
    ("policy", 3),
    ("load", 4),
    ("engine", 5),
    ("ops", 6),
];

/// The only file that may hold `unsafe`.
const UNSAFE_FILE: &str = "src/engine/sys.rs";

/// Lines of a file, its tests left aside, above which it needs a reason.
const FILE_LINES_MAX: usize = 700;

/// Files, or directories of files, that may be longer: how long, and why.
const LONG_FILES: &[(&str, usize, &str)] = &[
    (
        UNSAFE_FILE,
        850,
        "one small wrapper per system call, and no second file may hold them",
    ),
    (
        "src/policy/kw/",
        900,
        "rows of one subject, each with the few lines that read its arguments",
    ),
    (
        "src/policy/log/write.rs",
        750,
        "one writer per log field, side by side in the order of the formats",
    ),
    (
        "src/proto/h1/parse.rs",
        850,
        "request, response and trailers share every check",
    ),
];

/// Lines of tests at the end of a file above which they belong in a file of their own.
const TEST_LINES_MAX: usize = 300;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory of the project, as a path from the project's root.
fn rust_files(directory: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![root().join(directory)];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(&next).expect("the directory can be read") {
            let path: PathBuf = entry.expect("the entry can be read").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(root()).expect("found below the root");
                found.insert(inside.display().to_string());
            }
        }
    }
    assert!(!found.is_empty(), "no Rust file below {directory}");
    found.into_iter().collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).expect("source files are UTF-8")
}

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|&(_, floor)| floor)
}

/// The module path of a file: `src/policy/kw/mod.rs` is `[policy, kw]`.
fn module_path(file: &str) -> Vec<&str> {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut path: Vec<_> = inside.split('/').collect();
    if path.last() == Some(&"mod") {
        path.pop();
    }
    path
}

/// Every crossing of a floor that a file may not make, as a line of text each.
fn forbidden_arrows(file: &str, text: &str) -> Vec<String> {
    let own_path = module_path(file);
    let own = own_path[0];
    let tokens = rust_text::tokens(text);
    let mut found = Vec::new();
    let mut check = |target: &str, line: usize| {
        let allowed = target == own
            || match (floor(own), floor(target)) {
                (Some(from), Some(to)) => to < from,
                _ => false,
            };
        if !allowed {
            found.push(format!("{file}:{line}: {own} names crate::{target}"));
        }
    };
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "crate" && is_path_start(&tokens, at) {
            for (target, line) in rust_text::heads_of(&tokens, at + 1) {
                check(target, line);
            }
        }
        if token.text == "super" && is_path_start(&tokens, at) {
            let supers = tokens[at..]
                .chunks(2)
                .take_while(|pair| {
                    pair[0].text == "super" && pair.get(1).is_some_and(|next| next.text == "::")
                })
                .count();
            // As many steps up as there are modules around: the path goes through the root.
            if supers >= own_path.len() + token.modules {
                for (target, line) in rust_text::heads_of(&tokens, at + 2 * supers - 1) {
                    check(target, line);
                }
            }
        }
    }
    found
}

/// Whether the token begins a path (`crate::x`), rather than standing alone (`pub(crate)`) or inside one.
fn is_path_start(tokens: &[Token<'_>], at: usize) -> bool {
    let inside = at > 0 && tokens[at - 1].text == "::";
    !inside && tokens.get(at + 1).is_some_and(|next| next.text == "::")
}

#[test]
fn arrows_point_downward() {
    let mut found = Vec::new();
    for file in rust_files("src") {
        let own = module_path(&file)[0].to_owned();
        if own == "lib" || own == "main" {
            continue;
        }
        assert!(
            floor(&own).is_some(),
            "{file}: '{own}' has no floor in tests/layers.rs"
        );
        found.extend(forbidden_arrows(&file, &read(&file)));
    }
    assert!(found.is_empty(), "forbidden arrows:\n{}", found.join("\n"));
}

#[test]
fn forbidden_arrows_are_seen() {
    let arrows = |file, text| forbidden_arrows(file, text).len();
    assert_eq!(arrows("src/model/txn.rs", "use crate::policy::lb::Lb;"), 1);
    assert_eq!(arrows("src/model/txn.rs", "use crate::{base::buf, engine};"), 1);
    assert_eq!(
        arrows("src/conf/lex.rs", "fn f() { crate::proto::head::parse(); }"),
        1
    );
    assert_eq!(arrows("src/proto/mod.rs", "use crate::conf;"), 1);
    assert_eq!(
        arrows("src/policy/kw/bind.rs", "use super::super::super::ops::cli;"),
        1
    );
    assert_eq!(
        arrows("src/policy/lb.rs", "mod tests { use super::super::super::load; }"),
        1
    );
    assert_eq!(
        arrows("src/policy/lb.rs", "mod tests { use super::super::queue; }"),
        0
    );
    assert_eq!(
        arrows(
            "src/engine/worker.rs",
            "pub(crate) use crate::policy::{lb, queue};"
        ),
        0
    );
    assert_eq!(
        arrows(
            "src/base/buf.rs",
            "// crate::ops\nconst A: &str = \"crate::ops\";"
        ),
        0
    );
}

#[test]
fn unsafe_stays_in_one_file() {
    let mut found = String::new();
    for file in ["src", "tests", "examples", "haproxy-compat"]
        .into_iter()
        .flat_map(rust_files)
    {
        if file == UNSAFE_FILE {
            continue;
        }
        for token in rust_text::tokens(&read(&file)) {
            if token.text == "unsafe" || token.text == "unsafe_code" {
                let _ = writeln!(found, "{file}:{}: {}", token.line, token.text);
            }
        }
    }
    assert!(found.is_empty(), "unsafe outside {UNSAFE_FILE}:\n{found}");
}

#[test]
fn files_say_what_they_are_for() {
    let silent: Vec<_> = ["src", "tests", "examples", "haproxy-compat"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|file| {
            let text = read(file);
            let first = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("//!"))
                .unwrap_or("");
            first.trim().len() < 10
        })
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}

#[test]
fn files_stay_readable() {
    let mut found = String::new();
    for file in ["src", "haproxy-compat"].into_iter().flat_map(rust_files) {
        let text = read(&file);
        let lines: Vec<_> = text.lines().collect();
        let tests_at = lines.iter().position(|line| *line == "mod tests {");
        let code = tests_at.unwrap_or(lines.len());
        let limit = LONG_FILES
            .iter()
            .find(|(name, ..)| file.starts_with(name))
            .map_or(FILE_LINES_MAX, |&(_, limit, _)| limit);
        let is_tests = file.ends_with("tests.rs") || file.contains("/tests/");
        if code > limit && !is_tests {
            let _ = writeln!(found, "{file}: {code} lines of at most {limit}");
        }
        if lines.len() - code > TEST_LINES_MAX {
            let _ = writeln!(
                found,
                "{file}: its {} lines of tests want a file",
                lines.len() - code
            );
        }
    }
    for (file, _, reason) in LONG_FILES {
        let _ = match root().join(file).exists() && !reason.is_empty() {
            true => Ok(()),
            false => writeln!(found, "{file}: listed as long, but it is gone or has no reason"),
        };
    }
    assert!(found.is_empty(), "\n{found}");
}

/// Settings of the configuration that nothing reads once it is loaded, and why that is right. Each of them says
/// so in its row, and docs/COMPATIBILITY.md tells users.
const UNREAD_SETTINGS: &[(&str, &str)] = &[
    ("unix_bind", "goes into the listeners while the lines are read"),
    ("prefix", "of unix_bind"),
    ("ip", "read by Network itself"),
    ("prefix_bits", "read by Network itself"),
    ("statuses", "read by RetryOn itself"),
    (
        "early_data_rejected",
        "read by RetryOn itself; never happens without TLS",
    ),
    ("guid", "checked to be unique"),
    ("max_reuse", "HAProxy does not bind HTTP/1 by it"),
    ("nice", "no scheduler"),
    ("runqueue_depth", "no scheduler"),
    ("recv_enough", "a short read tells the end exactly"),
    ("idletimer_ms", "sizes of writes do not follow it"),
    ("http_no_delay", "nothing is held back"),
    ("mworker_max_reloads", "with reloads"),
    ("expose_fd_listeners", "with reloads"),
    ("pp2_never_send_local", "with health checks"),
    ("log_health_checks", "with health checks"),
    ("check_ms", "with health checks"),
    ("use_proxy_header", "with authentication"),
    ("persist", "with cookies"),
    ("tarpit_ms", "with tarpits"),
    ("disable_h2_upgrade", "with HTTP/2"),
];

/// Whether a file may be what gives settings their effect.
fn acts_on_settings(file: &str) -> bool {
    let acts = ["src/engine/", "src/ops/", "src/policy/"];
    acts.iter().any(|directory| file.starts_with(directory))
        && !file.starts_with("src/policy/kw/")
        && !file.ends_with("tests.rs")
        && !file.ends_with("fixture.rs")
}

/// A setting that is accepted has its effect, or is known to have none.
#[test]
fn settings_are_read() {
    let mut read_names = BTreeSet::new();
    for file in rust_files("src").iter().filter(|file| acts_on_settings(file)) {
        let text = read(file);
        let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        let tokens = rust_text::tokens(code);
        for three in tokens.windows(3).filter(|three| three[0].text == ".") {
            if three[2].text != "(" {
                read_names.insert(three[1].text.to_owned());
            }
        }
    }
    let mut settings = BTreeSet::new();
    for file in ["global", "listener", "proxy", "server"] {
        let text = read(&format!("src/model/{file}.rs"));
        for line in text.lines() {
            let field = line
                .strip_prefix("    pub ")
                .and_then(|rest| rest.split_once(':'));
            if let Some((name, _)) = field.filter(|(name, _)| !name.contains(['(', ' '])) {
                settings.insert(name.to_owned());
            }
        }
    }
    assert!(settings.len() > 150, "the fields of the model were not found");
    let unread: Vec<_> = settings.difference(&read_names).map(String::as_str).collect();
    let mut known: Vec<_> = UNREAD_SETTINGS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(unread, known, "settings without a reader, and those known");
}
