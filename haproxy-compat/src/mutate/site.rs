//! Places of the sources that can be broken, and how.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::program::home;

/// The directories and files whose behaviour cases can see. What reads configurations and what starts the process has
/// tests of its own.
const WHERE: &[&str] = &[
    "src/proto",
    "src/engine/stream",
    "src/engine/conn.rs",
    "src/engine/connect.rs",
    "src/engine/idle.rs",
    "src/engine/listener.rs",
    "src/engine/service.rs",
    "src/engine/session.rs",
    "src/engine/slots.rs",
    "src/engine/traffic_log.rs",
    "src/engine/tunnel.rs",
    "src/model/cause.rs",
    "src/ops/cli",
    "src/ops/stats",
    "src/policy/lb",
    "src/policy/log",
    "src/policy/queue",
];

/// In which way a place is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A byte that is compared or sent.
    Byte,
    /// A word of several bytes: a header name, a token, a piece of an answer.
    Word,
    /// Another timeout than the one that counts.
    Timeout,
    /// A counter that counts too much.
    Counter,
    /// A termination flag.
    Flag,
    /// A status code.
    Status,
    /// A condition turned around.
    Condition,
    /// A call that is not made.
    Call,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Byte,
        Self::Word,
        Self::Timeout,
        Self::Counter,
        Self::Flag,
        Self::Status,
        Self::Condition,
        Self::Call,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Word => "word",
            Self::Timeout => "timeout",
            Self::Counter => "counter",
            Self::Flag => "flag",
            Self::Status => "status",
            Self::Condition => "condition",
            Self::Call => "call",
        }
    }
}

/// One place and what stands there instead.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The file, from the project's root.
    pub(super) file: String,
    /// The whole file as it is.
    pub(super) text: Arc<str>,
    /// The way.
    pub(super) kind: Kind,
    /// Bytes of the file that are replaced.
    start: usize,
    end: usize,
    instead: String,
}

impl Site {
    /// The number of its line, from 1.
    fn line(&self) -> usize {
        self.text[..self.start].matches('\n').count() + 1
    }

    /// The file with the place broken.
    pub(super) fn broken(&self) -> String {
        format!(
            "{}{}{}",
            &self.text[..self.start],
            self.instead,
            &self.text[self.end..]
        )
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, line) = (&self.text[..self.start], self.line());
        let from = before.rfind('\n').map_or(0, |n| n + 1);
        let to = self.text[self.end..]
            .find('\n')
            .map_or(self.text.len(), |n| self.end + n);
        write!(
            f,
            "{} {}:{line}: {} -> {}",
            self.kind.name(),
            self.file,
            self.text[from..to].trim(),
            if self.instead.is_empty() {
                "(nothing)"
            } else {
                &self.instead
            }
        )
    }
}

/// The project's root.
pub(super) fn root() -> &'static Path {
    home().parent().unwrap_or_else(home)
}

/// All places, in the order that the seed draws: kinds take turns, so that none outweighs the others. `only`: in the files
/// with one of these in their names, or on one of these lines (`file.rs:7`).
pub(super) fn drawn(seed: u64, only: &[String]) -> Vec<Site> {
    let mut files = Vec::new();
    WHERE
        .iter()
        .for_each(|place| collect(&root().join(place), &mut files));
    files.sort();
    let mut by_kind: Vec<Vec<Site>> = Kind::ALL.iter().map(|_| Vec::new()).collect();
    for path in files {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let text: Arc<str> = std::fs::read_to_string(&path)
            .expect("the sources are readable")
            .into();
        for site in sites(&name, &text) {
            let place = format!("{name}:{}", site.line());
            let fits = |part: &String| match part.contains(':') {
                true => place.ends_with(part.as_str()),
                false => name.contains(part.as_str()),
            };
            if only.is_empty() || only.iter().any(fits) {
                by_kind[site.kind as usize].push(site);
            }
        }
    }
    let mut random = Random(seed);
    // A line that holds several places of a kind must not weigh more than others: one of them is drawn.
    let mut lines = HashSet::new();
    for sites in &mut by_kind {
        random.shuffle(sites);
        let named = only.iter().any(|part| part.contains(':'));
        sites.retain(|site| named || lines.insert((site.kind, site.file.clone(), site.line())));
    }
    let longest = by_kind.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|turn| by_kind.iter().filter_map(move |sites| sites.get(turn).cloned()))
        .collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if is_test_module(path) {
        return;
    }
    if let Ok(entries) = std::fs::read_dir(path) {
        entries.flatten().for_each(|entry| collect(&entry.path(), files));
    } else if path.extension().is_some_and(|e| e == "rs") {
        files.push(path.to_path_buf());
    }
}

/// Whether a file is a module of tests: its parent declares it so.
fn is_test_module(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let Some(directory) = path.parent() else {
        return false;
    };
    let declared = |parent: PathBuf| {
        let text = std::fs::read_to_string(parent).unwrap_or_default();
        text.contains(&format!("#[cfg(test)]\nmod {name};"))
    };
    // What tests include is theirs as well.
    let included = std::fs::read_to_string(directory.join("tests.rs")).unwrap_or_default();
    included.contains(&format!("mod {name};"))
        || declared(directory.join("mod.rs"))
        || declared(directory.with_extension("rs"))
}

/// splitmix64: the same order on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            list.swap(last, usize::try_from(other).unwrap_or(0));
        }
    }
}

/// So many places of one kind on one line are a row of a table.
const ROW: usize = 5;

/// The places of one file: its code, neither tests nor comments.
fn sites(file: &str, text: &Arc<str>) -> Vec<Site> {
    let code = text.find("#[cfg(test)]").unwrap_or(text.len());
    let mut found = Vec::new();
    let mut offset = 0;
    for line in text[..code].split_inclusive('\n') {
        let trimmed = line.trim_start();
        let is_code =
            !trimmed.starts_with("//") && !trimmed.starts_with('#') && !line.contains("debug_assert");
        if is_code {
            let mut add = |kind: Kind, start: usize, end: usize, instead: String| {
                found.push(Site {
                    file: file.to_string(),
                    text: Arc::clone(text),
                    kind,
                    start: offset + start,
                    end: offset + end,
                    instead,
                });
            };
            let code = line.split(" // ").next().unwrap_or(line);
            of_line(code, &mut add);
            // What a row of many values does depends on the day or on what is configured: unit tests cover such rows whole.
            let mut counts = [0; Kind::ALL.len()];
            let own = |site: &&Site| site.start >= offset;
            found
                .iter()
                .rev()
                .take_while(own)
                .for_each(|site| counts[site.kind as usize] += 1);
            found.retain(|site| site.start < offset || counts[site.kind as usize] < ROW);
        }
        offset += line.len();
    }
    found
}

/// The places of a line.
fn of_line(line: &str, add: &mut impl FnMut(Kind, usize, usize, String)) {
    literals(line, add);
    for (list, kind) in [(TIMEOUTS, Kind::Timeout), (WHO, Kind::Flag), (WHEN, Kind::Flag)] {
        for (index, word) in list.iter().enumerate() {
            for (at, _) in line.match_indices(word) {
                let behind = line[at + word.len()..].bytes().next();
                if !behind.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    let other = list[(index + 1) % list.len()];
                    add(kind, at, at + word.len(), other.to_string());
                }
            }
        }
    }
    for (from, to, kind) in OPERATORS {
        for (at, _) in line.match_indices(from) {
            add(kind, at, at + from.len(), to.to_string());
        }
    }
    status(line, add);
    let trimmed = line.trim();
    if trimmed.starts_with("self.") && trimmed.ends_with(");") && !trimmed.contains('=') {
        let start = line.find("self.").unwrap_or(0);
        add(Kind::Call, start, start + trimmed.len(), String::new());
    }
}

/// Timeouts and which one stands in for each.
const TIMEOUTS: &[&str] = &[
    ".client_ms",
    ".tunnel_ms",
    ".server_ms",
    ".queue_ms",
    ".connect_ms",
    ".server_fin_ms",
    ".http_request_ms",
    ".client_fin_ms",
    ".http_keep_alive_ms",
];

/// First letters of the termination state.
const WHO: &[&str] = &[
    "Who::Client",
    "Who::Server",
    "Who::ClientTimeout",
    "Who::ServerTimeout",
    "Who::Proxy",
    "Who::Local",
];

/// Second letters.
const WHEN: &[&str] = &[
    "When::Request",
    "When::Queue",
    "When::Connect",
    "When::Headers",
    "When::Data",
    "When::Last",
];

/// Words of the language, and what turns them around.
const OPERATORS: [(&str, &str, Kind); 7] = [
    (" += 1;", " += 2;", Kind::Counter),
    (" -= 1;", " -= 0;", Kind::Counter),
    (" == ", " != ", Kind::Condition),
    (" != ", " == ", Kind::Condition),
    (" && ", " || ", Kind::Condition),
    (" || ", " && ", Kind::Condition),
    ("if !", "if ", Kind::Condition),
];

/// Byte and byte-string literals.
fn literals(line: &str, add: &mut impl FnMut(Kind, usize, usize, String)) {
    for (at, _) in line.match_indices("b'") {
        let rest = &line[at + 2..];
        let plain = rest
            .as_bytes()
            .first()
            .is_some_and(|b| b.is_ascii_graphic() && *b != b'\\' && *b != b'\'');
        if plain && rest.as_bytes().get(1) == Some(&b'\'') {
            let other = if rest.starts_with('x') { 'y' } else { 'x' };
            add(Kind::Byte, at + 2, at + 3, other.to_string());
        }
    }
    let mut from = 0;
    while let Some(at) = line[from..].find("b\"").map(|n| from + n) {
        let Some(length) = line[at + 2..].find('"') else {
            return;
        };
        let body = &line[at + 2..at + 2 + length];
        if let Some(letter) = body.bytes().position(|b| b.is_ascii_alphanumeric())
            && !body.contains('\\')
        {
            let place = at + 2 + letter;
            let other = if line[place..].starts_with(['x', 'X']) {
                "y"
            } else {
                "x"
            };
            add(Kind::Word, place, place + 1, other.to_string());
        }
        from = at + 3 + length;
    }
}

/// Status codes: numbers from 400 to 505.
fn status(line: &str, add: &mut impl FnMut(Kind, usize, usize, String)) {
    let bytes = line.as_bytes();
    for at in 0..bytes.len().saturating_sub(2) {
        let digits = &bytes[at..at + 3];
        let around = |n: Option<usize>| {
            n.and_then(|n| bytes.get(n))
                .is_some_and(|b| b.is_ascii_alphanumeric() || b"_.\"".contains(b))
        };
        if (digits[0] == b'4' || digits[0] == b'5')
            && digits.iter().all(u8::is_ascii_digit)
            && !around(at.checked_sub(1))
            && !around(Some(at + 3))
        {
            let other = if digits == b"500" { "400" } else { "500" };
            add(Kind::Status, at, at + 3, other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(line: &str) -> Vec<(Kind, String)> {
        let text: Arc<str> = format!("{line}\n").into();
        let of = |site: Site| (site.kind, site.broken().trim().to_string());
        sites("f.rs", &text).into_iter().map(of).collect()
    }

    #[test]
    fn places_of_a_line() {
        assert_eq!(
            broken("x == b'a'"),
            [
                (Kind::Byte, "x == b'x'".to_string()),
                (Kind::Condition, "x != b'a'".to_string()),
            ]
        );
        assert_eq!(
            broken("self.end(503);"),
            [
                (Kind::Status, "self.end(500);".to_string()),
                (Kind::Call, String::new()),
            ]
        );
        assert_eq!(
            broken("(Who::Client, t.client_ms)")[0].1,
            "(Who::Client, t.tunnel_ms)"
        );
        assert_eq!(
            broken("name(b\"via\")"),
            [(Kind::Word, "name(b\"xia\")".to_string())]
        );
        assert!(broken("// x == y").is_empty());
        assert!(broken("[b'a', b'b', b'c', b'd', b'e']").is_empty());
        assert_eq!(broken("[b'a', b'b', b'c', b'd']").len(), 4);
        assert!(broken("#[cfg(test)]\nx == y").is_empty());
    }

    #[test]
    fn a_seed_draws_the_same_places() {
        let order = |seed| {
            drawn(seed, &[])
                .iter()
                .take(50)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let all = drawn(1, &[]);
        assert!(all.len() > 1000);
        assert!(
            all.iter()
                .all(|site| !site.file.ends_with("verdicts.rs") && !site.file.ends_with("tests.rs"))
        );
    }
}
