//! Reading and writing of `.stage` files: what stands around an example, and what was recorded of it.

use std::path::PathBuf;

use rproxy::base::hash::xxh64;

use crate::play::recorded_line;
use crate::program::home;

/// Where the digest of the recorded configuration stands.
const OF: &str = "# of the statements ";

/// One line of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An address of a namespace on one of its sides.
    Address(Place, String),
    Divert(String),
    Serve(Where, String, String),
    Ask(String, String),
}

/// The four ends of the two wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Client,
    Front,
    Back,
    Origin,
}

/// A namespace that servers can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Origin,
    Proxy,
}

/// How an example is tried, and what the reference did.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    path: PathBuf,
    /// What a person wrote.
    source: Vec<String>,
    pub(super) lines: Vec<Line>,
    /// The digest of the configuration that was recorded.
    pub(super) of: Option<String>,
    pub(super) expected: Vec<String>,
}

/// A digest of what a configuration says: comments and blanks around statements are left out.
pub(super) fn digest(config: &str) -> String {
    let statements: Vec<&str> = config
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    format!("{:016x}", xxh64(statements.join("\n").as_bytes(), 0))
}

impl Stage {
    /// The stage of an example, if there is one; panics on what it does not understand.
    pub(super) fn of(example: &str) -> Option<Self> {
        let path = home().join(format!("examples/{example}.stage"));
        let text = std::fs::read_to_string(&path).ok()?;
        Some(Self::read(path, &text))
    }

    fn read(path: PathBuf, text: &str) -> Self {
        let (source, expected) = text.split_once("---\n").unwrap_or((text, ""));
        let of = source.lines().find_map(|line| line.strip_prefix(OF));
        let of = of.map(str::to_string);
        let made = |line: &&str| line.starts_with(OF) || line.starts_with(&recorded_line(None));
        let source: Vec<String> = source.lines().filter(|l| !made(l)).map(str::to_string).collect();
        let lines = source
            .iter()
            .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
            .map(|l| line(l).unwrap_or_else(|| panic!("{}: not understood: {l}", path.display())))
            .collect();
        Self {
            path,
            source,
            lines,
            of,
            expected: expected.lines().map(str::to_string).collect(),
        }
    }

    /// How many requests it has: that many behaviours are seen.
    pub(super) fn asks(&self) -> usize {
        self.lines.iter().filter(|l| matches!(l, Line::Ask(..))).count()
    }

    /// Writes it back with what was seen of a configuration, and with the version line of the program that did it.
    pub(super) fn write(&self, version: &str, config: &str, seen: &[String]) -> std::io::Result<()> {
        let head = format!("{}\n{OF}{}\n", recorded_line(Some(version)), digest(config));
        let text = format!("{head}{}\n---\n{}\n", self.source.join("\n"), seen.join("\n"));
        std::fs::write(&self.path, text)
    }
}

fn line(text: &str) -> Option<Line> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let own = str::to_string;
    Some(match words[..] {
        ["client", addr] => Line::Address(Place::Client, own(addr)),
        ["front", addr] => Line::Address(Place::Front, own(addr)),
        ["back", addr] => Line::Address(Place::Back, own(addr)),
        ["origin", addr] => Line::Address(Place::Origin, own(addr)),
        ["divert", addr] => Line::Divert(own(addr)),
        ["serve", "origin", addr, proto] => Line::Serve(Where::Origin, own(addr), own(proto)),
        ["serve", "proxy", addr, proto] => Line::Serve(Where::Proxy, own(addr), own(proto)),
        ["ask", addr, proto] => Line::Ask(own(addr), own(proto)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_understood_and_recorded() {
        let entries = std::fs::read_dir(home().join("examples")).expect("stages");
        for path in entries.flatten().map(|e| e.path()) {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let stage = Stage::of(&name).expect("a stage");
            let serves = stage.lines.iter().any(|l| matches!(l, Line::Serve(..)));
            assert!(serves && stage.asks() > 0, "{name}");
            assert!(stage.of.is_some() && !stage.expected.is_empty(), "{name}");
        }
    }

    #[test]
    fn comments_do_not_change_what_a_configuration_says() {
        assert_eq!(digest("a b\n # c\n\n  d\n"), digest("# e\n\ta b\nd"));
        assert_ne!(digest("a b\n"), digest("a\nb\n"));
    }
}
