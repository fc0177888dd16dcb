//! The fuzz body of the configuration floor on files made of meaningful pieces, on every cut and many edits of the
//! golden ones, and on inputs large enough to show a cost that is not linear.

#[path = "fuzz/bodies/conf.rs"]
mod body;

use proptest::prelude::*;
use proptest::sample::select;

/// Pieces that configurations are made of, the hostile ones included.
const PIECES: &[&str] = &[
    "global",
    "defaults",
    "backend b",
    "setenv",
    "bind",
    "server s",
    ".if",
    ".elif",
    ".else",
    ".endif",
    ".notice",
    ".alert",
    "no",
    "default",
    "option",
    "1",
    "0",
    "defined(A)",
    "streq(\"$A\",",
    "&&",
    "||",
    "!",
    "(",
    ")",
    "\"",
    "'",
    "\\",
    "\\ ",
    "\\x41",
    "\\x",
    "#",
    "$",
    "$A",
    "${A}",
    "${A[*]}",
    "${B-d e}",
    "\"${A[*]}\"",
    "\"$A\"",
    "${.LINE}",
    "${.SECTION}",
    "[",
    "]",
    "[all]",
    "{",
    "}",
    ":80",
    "mptcp@",
    "unix@/",
    "fd@3",
    "1.2.3.4:80-90",
    ",",
    "10s",
    "16k",
    "é",
    "\r",
    "\n",
    "\n",
    "\n",
    "\r\n",
    " ",
    " ",
    " ",
    "\t",
    "\u{b}",
    "\0",
];

/// At least 2000 cases; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let defaults = ProptestConfig::default();
    ProptestConfig {
        cases: 2000.max(defaults.cases),
        failure_persistence: None,
        ..defaults
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn generated_files(pieces in proptest::collection::vec(select(PIECES), 0..80)) {
        body::fuzz_conf(pieces.concat().as_bytes());
    }
}

#[test]
fn golden_files_with_edits() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf");
    let mut seen = 0;
    for kind in ["ok", "bad"] {
        for entry in std::fs::read_dir(root.join(kind)).expect("the directory of the cases") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read(&path).expect("readable");
            if path.extension().is_none_or(|extension| extension != "cfg") || text.len() > 1000 {
                continue;
            }
            seen += 1;
            for at in (0..text.len()).step_by(3) {
                body::fuzz_conf(&text[..at]);
                for edit in [b'"', b'\\', b'\n', 0, b'$'] {
                    let mut edited = text.clone();
                    edited[at] = edit;
                    body::fuzz_conf(&edited);
                }
            }
        }
    }
    assert!(seen > 20, "golden files are missing");
}

#[test]
fn large_and_nested_inputs_stay_linear() {
    let long = |piece: &str, count: usize| format!("global\n setenv B {}\n", piece.repeat(count));
    for piece in [
        "x",
        "\\",
        "\"\"",
        "'a'",
        "\"$A\"",
        "\"${A[*]}\"",
        "${",
        "[",
        "\"$A$A$A\" ",
    ] {
        body::fuzz_conf(long(piece, 100_000).as_bytes());
    }
    for piece in ["(", "!", "1&&", "1||", "(1||", "defined(", "streq(a,"] {
        body::fuzz_conf(format!(".if {}\n", piece.repeat(100_000)).as_bytes());
    }
    body::fuzz_conf(" a\n".repeat(100_000).as_bytes());
    body::fuzz_conf(".if 1\n".repeat(100_000).as_bytes());
    body::fuzz_conf(&vec![b'\n'; 1_000_000]);
    // Doubled from line to line, the value meets the limit of a line, not that of memory.
    let doubling = " setenv X \"$X$X\"\n".repeat(200);
    body::fuzz_conf(format!("global\n setenv X xxxxxxxx\n{doubling}").as_bytes());
}
