//! What of answers and reports is compared: the masks of every case, and those that a case asks for by `mask`, `keep`,
//! `drop` and `cut`.
//!
//! Always masked: process numbers, ports, the directory of the case, the program's path and the build behind its
//! version, dates, up-times, ids of streams, and what is said about a command in a list of commands (each product
//! words that itself). `mask` takes fields by name, in every form of statistics: `Uptime` is `Uptime: ...`,
//! `.Uptime.` of a typed line, `"name":"Uptime"` of JSON, a column `Uptime` of a table with a head; with `=` behind it,
//! `age=...` anywhere on a line. A `*` at its end stands for anything.

use std::time::SystemTime;

use crate::dates::{Span, mask_ages};
use crate::program::Program;
use crate::text::mask_numbers;

use super::show;

/// What a case asks for.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct View {
    /// Fields whose values are of no interest.
    mask: Vec<String>,
    /// Only lines with one of these texts, where there are any.
    keep: Vec<String>,
    /// No lines with one of these texts.
    drop: Vec<String>,
    /// Nothing of a line behind one of these texts.
    cut: Vec<String>,
}

/// What is known of a case and differs from run to run.
#[derive(Clone)]
pub(super) struct Masks {
    /// Whole numbers and their names.
    pub(super) names: Vec<(String, String)>,
    /// The directory of the case.
    pub(super) tmp: String,
    /// The sizes of the responses that the proxy made itself.
    pub(super) pages: Vec<usize>,
    /// The proxy's ports towards origins.
    pub(super) peers: Vec<u16>,
    /// `TZ` of the program.
    pub(super) zone: Option<String>,
    /// When the first case of a process began.
    start: SystemTime,
    program: String,
    /// What a build adds to the number of its version, if anything: nobody compares that.
    build: String,
}

impl Masks {
    pub(super) fn new(program: &Program, start: SystemTime) -> Self {
        let version = program.version.split(' ').nth(2).unwrap_or_default();
        Self {
            program: program.path.display().to_string(),
            build: version
                .split_once('-')
                .map_or_else(String::new, |(_, b)| format!("-{b}")),
            names: Vec::new(),
            tmp: String::new(),
            pages: Vec::new(),
            peers: Vec::new(),
            zone: None,
            start,
        }
    }

    /// The moments that dates may tell.
    pub(super) fn dates(&self) -> Span {
        Span::since(self.start, self.zone.as_deref())
    }

    /// The same with more names, which win.
    pub(super) fn with(&self, names: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut more = self.clone();
        more.names = names.into_iter().chain(more.names).collect();
        more
    }

    /// A line without what differs from run to run.
    pub(super) fn line(&self, line: &str) -> String {
        let mut text = line.to_string();
        let name = self.program.rsplit('/').next().unwrap_or_default();
        let texts = [
            (&self.tmp, "{tmp}"),
            (&self.program, "{program}"),
            (&format!("[{name}.main()]"), "[{name}.main()]"),
            (&self.build, ""),
        ];
        for (from, to) in texts {
            if !from.is_empty() {
                text = text.replace(from, to);
            }
        }
        if text.starts_with("HAProxy version ")
            && let Some(at) = text.find(" - ")
        {
            text.replace_range(at + 3.., "{who}");
        }
        let masked = mask_ages(&self.dates().mask(&mask_numbers(&text, &self.names)));
        // The columns of a table move with the length of what is masked. Reports have none.
        if masked == line || line.starts_with('[') {
            masked
        } else {
            squeezed(&masked)
        }
    }
}

/// A line with every run of blanks inside it as one.
fn squeezed(line: &str) -> String {
    let margin = line.len() - line.trim_start_matches(' ').len();
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let tail = if line.ends_with(' ') && !words.is_empty() {
        " "
    } else {
        ""
    };
    format!("{}{}{tail}", &line[..margin], words.join(" "))
}

impl View {
    /// Reads a line of a case file; false when it is none of these.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let (word, text) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "mask" => self
                .mask
                .extend(text.split(", ").map(|item| item.trim().to_string())),
            "keep" => self.keep.push(text.to_string()),
            "drop" => self.drop.push(text.to_string()),
            "cut" => self.cut.push(text.to_string()),
            _ => return false,
        }
        true
    }

    /// A line up to where it is cut.
    fn short(&self, line: &str) -> String {
        let ends = self
            .cut
            .iter()
            .filter_map(|text| Some(line.find(text.as_str())? + text.len()));
        line[..ends.min().unwrap_or(line.len())].to_string()
    }

    /// Whether a line is compared.
    fn wants(&self, line: &str) -> bool {
        let has = |texts: &[String]| texts.iter().any(|text| line.contains(text.as_str()));
        (self.keep.is_empty() || has(&self.keep)) && !has(&self.drop)
    }

    /// Lines of a text, masked, those that are of interest.
    pub(super) fn lines(&self, text: &str, masks: &Masks) -> Vec<String> {
        let mut columns = Vec::new();
        let lines = text.lines().map(|line| {
            if let Some(head) = line.strip_prefix("# ")
                && head.ends_with(',')
            {
                columns = head.split(',').map(|name| self.has(name)).collect();
                return line.to_string();
            }
            let line = if line.matches(',').count() + 1 == columns.len() {
                masked_columns(line, &columns)
            } else {
                self.field(line)
            };
            masks.line(&self.short(&command_of_list(&buffer_masked(&id_masked(&line)))))
        });
        lines.filter(|line| self.wants(line)).collect()
    }

    /// An answer of a runtime socket, as lines of a case.
    pub(super) fn answer(&self, bytes: &[u8], masks: &Masks) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        let text = if text.starts_with("[{") || text.starts_with("{\"") {
            text.replace("},{", "},\n{")
        } else {
            text.into_owned()
        };
        let mut lines = self.lines(&text, masks);
        let (last, whole) = (lines.len(), text.ends_with('\n'));
        for (number, line) in lines.iter_mut().enumerate() {
            if whole || number + 1 < last {
                line.push('\n');
            }
        }
        show::bytes(show::TO_CLIENT, lines.concat().as_bytes(), &[])
    }

    fn has(&self, name: &str) -> bool {
        self.mask.iter().any(|item| match item.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => item == name,
        })
    }

    /// A line with the values of masked fields as `*`.
    fn field(&self, line: &str) -> String {
        let mut line = line.to_string();
        for item in self.mask.iter().filter(|item| item.ends_with('=')) {
            line = value_masked(&line, item);
        }
        let name = json_name(&line).or_else(|| typed_name(&line));
        if name.is_some_and(|name| self.has(name))
            && let Some(at) = value_start(&line)
        {
            line.replace_range(at.., "*");
            return line;
        }
        if let Some(at) = line.find([':', '='])
            && self.has(line[..at].trim())
        {
            line.replace_range(at + 1.., " *");
        }
        line
    }
}

/// The name of a field of JSON.
fn json_name(line: &str) -> Option<&str> {
    line.split_once("\"name\":\"")?
        .1
        .split_once('"')
        .map(|(name, _)| name)
}

/// The name of a field of a typed line: `2.0.35.hrsp_1xx.1:MCP:u64:0`.
fn typed_name(line: &str) -> Option<&str> {
    let (id, _) = line.split_once(':')?;
    let (id, _process) = id.rsplit_once('.')?;
    id.rsplit_once('.').map(|(_, name)| name)
}

/// Where the value of a field of JSON or of a typed line begins.
fn value_start(line: &str) -> Option<usize> {
    const JSON: &str = "\"value\":{";
    if let Some(at) = line.find(JSON) {
        return Some(at + JSON.len());
    }
    line.match_indices(':').nth(2).map(|(at, _)| at + 1)
}

/// A row with the masked columns as `*`.
fn masked_columns(line: &str, masked: &[bool]) -> String {
    let cell = |(cell, masked): (&str, &bool)| {
        if *masked {
            "*".to_string()
        } else {
            cell.to_string()
        }
    };
    let cells: Vec<String> = line.split(',').zip(masked).map(cell).collect();
    cells.join(",")
}

/// A line with what stands behind `name=`, wherever that is, as `*`.
fn value_masked(line: &str, name: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(name) {
        let (before, behind) = rest.split_at(at + name.len());
        let inside = rest[..at]
            .bytes()
            .next_back()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let end = behind.find([' ', ',', ']']).unwrap_or(behind.len());
        out.push_str(before);
        if inside {
            rest = behind;
        } else {
            out.push('*');
            rest = &behind[end..];
        }
    }
    out + rest
}

/// A line without the number that names a stream.
fn id_masked(line: &str) -> String {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    match line.strip_prefix("0x") {
        Some(rest) if digits(rest) > 0 => format!("{{id}}{}", &rest[digits(rest)..]),
        _ => line.to_string(),
    }
}

/// A line of `show errors` without where the buffer ends, which each product lays out its own way.
fn buffer_masked(line: &str) -> String {
    const WRAPS: &str = ", wraps at ";
    let Some((before, rest)) = line.split_once(WRAPS) else {
        return line.to_string();
    };
    format!(
        "{before}{WRAPS}*{}",
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
    )
}

/// A line of a list of commands without what is said about the command.
fn command_of_list(line: &str) -> String {
    const NAMES: usize = 42;
    let listed = line.starts_with("  ") && !line.starts_with("   ") && line.len() > NAMES;
    match line.get(NAMES - 2..).and_then(|rest| rest.find(": ")) {
        Some(at) if listed => {
            let usage = line[..NAMES - 2 + at].trim_end();
            format!("{usage} : {{doc}}")
        }
        _ => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks() -> Masks {
        let program = Program {
            path: "/opt/x".into(),
            version: "HAProxy version 3.4.0-abc 2026/06/03".into(),
        };
        Masks::new(&program, SystemTime::now())
    }

    fn view(lines: &[&str]) -> View {
        let mut view = View::default();
        assert!(lines.iter().all(|line| view.read(line)));
        view
    }

    #[test]
    fn fields_in_every_form() {
        let view = view(&["mask Uptime, h2_*, age="]);
        let masks = masks();
        let text = "Uptime: 1d\nUptime_sec: 2\n8.Uptime.1:MDP:str:1d\n9.h2_x.1:M:u32:1\n# a,h2_y,c,\n1,2,3,\nage=5s page=6 x[age=7]\n";
        assert_eq!(
            view.lines(text, &masks),
            [
                "Uptime: *",
                "Uptime_sec: 2",
                "8.Uptime.1:MDP:str:*",
                "9.h2_x.1:M:u32:*",
                "# a,h2_y,c,",
                "1,*,3,",
                "age=* page=6 x[age=*]",
            ]
        );
        let json = "{\"field\":{\"pos\":8,\"name\":\"Uptime\"},\"value\":{\"type\":\"str\",\"value\":\"1\"}}";
        assert_eq!(
            view.lines(json, &masks),
            ["{\"field\":{\"pos\":8,\"name\":\"Uptime\"},\"value\":{*"]
        );
    }

    #[test]
    fn lines_that_are_of_interest() {
        let masks = Masks {
            tmp: "/tmp/x".into(),
            names: vec![("77".into(), "{pid}".into())],
            ..masks()
        };
        assert_eq!(view(&["keep a", "drop b"]).lines("a\nab\nc\n", &masks), ["a"]);
        let all = View::default();
        assert_eq!(
            all.answer(
                b"  show x [y]                              : text\n0x12ab: a=/tmp/x/s 77   b\n\n",
                &masks
            ),
            ["< show x [y] : {doc}\\n", "< {id}: a={tmp}/s {pid} b\\n", "< \\n"]
                .map(|line| line.replace("< show", "<   show"))
        );
        assert_eq!(all.answer(b"> ", &masks), ["< >\\x20"]);
        assert_eq!(all.answer(b"\n", &masks), ["< \\n"]);
    }
}
