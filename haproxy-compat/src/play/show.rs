//! Results as lines: masks for what differs from run to run, and the report of a difference.

use super::Flags;
use super::view::Masks;
use crate::client::End;
use crate::text::{escape_lines, mask_numbers};

/// What marks bytes that a client got.
pub(super) const TO_CLIENT: char = '<';

/// Bytes with the known numbers masked, one line per line feed, each behind `mark`.
pub(super) fn bytes(mark: char, bytes: &[u8], names: &[(String, String)]) -> Vec<String> {
    escape_lines(bytes)
        .iter()
        .map(|l| format!("{mark} {}", mask_numbers(mask_key(l), names)))
        .collect()
}

/// A key that the proxy made up for a WebSocket request, masked: it is random, and its name is written as no field that
/// was passed on is.
fn mask_key(line: &str) -> &str {
    const MADE_UP: &str = "Sec-Websocket-Key: ";
    /// Characters of 16 bytes in base64.
    const KEY_LEN: usize = 24;
    let key = line.strip_prefix(MADE_UP).and_then(|l| l.strip_suffix("\\r\\n"));
    match key {
        Some(key) if key.len() == KEY_LEN && key.ends_with("==") => "Sec-Websocket-Key: {key}\\r\\n",
        _ => line,
    }
}

/// The end of a connection in one word.
pub(super) fn end(end: End) -> &'static str {
    match end {
        End::Open => ". open",
        End::Closed => ". closed",
        End::Reset => ". reset",
    }
}

/// A log line, masked.
pub(super) fn log(line: &str, flags: &Flags, masks: &Masks) -> String {
    let line = line.strip_suffix("\\n").unwrap_or(line);
    let line = if flags.rawlog { line } else { strip_head(line) };
    let mut words: Vec<String> = line.split(' ').map(String::from).collect();
    let slashed = |w: &String, n: &[usize]| {
        let parts: Vec<&str> = w.split('/').collect();
        n.contains(&parts.len())
            && parts
                .iter()
                .all(|p| p.trim_start_matches(['+', '-']).parse::<u64>().is_ok())
    };
    if let Some(at) = words.iter().position(|w| slashed(w, &[3, 5])) {
        let http = words[at].split('/').count() == 5;
        words[at] = words[at]
            .split('/')
            .map(|t| timer(t, flags.slots))
            .collect::<Vec<_>>()
            .join("/");
        let size = at + if http { 2 } else { 1 };
        if let Some(word) = words.get_mut(size)
            && masks
                .pages
                .iter()
                .any(|p| p.to_string() == word.trim_start_matches('+'))
        {
            *word = "{page}".into();
        }
        // A transfer that stopped in the middle of much data: how much is the kernels' affair.
        if let Some(word) = words.get_mut(size)
            && word.parse::<u64>().is_ok_and(|n| n >= 1_000_000)
        {
            *word = "{many}".into();
        }
        if let Some(counts) = words.iter_mut().skip(at + 1).find(|w| slashed(w, &[5]))
            && flags.shared
            && let Some((_, retries)) = counts.rsplit_once('/')
        {
            *counts = format!("*/*/*/*/{retries}");
        }
    }
    if let Some(first) = words.iter().position(|w| w == "\"\"")
        && line.contains("+0000] \"")
    {
        // The common log format spreads the times and counts over words.
        let number = |w: &&mut String| w.bytes().all(|b| b.is_ascii_digit()) && !w.is_empty();
        words
            .iter_mut()
            .skip(first)
            .filter(number)
            .for_each(|w| *w = "N".into());
    }
    for word in &mut words {
        if let Some(masked) = tagged(word, flags.slots, masks) {
            *word = masked;
        }
    }
    let mut text = words.join(" ");
    if text.ends_with(')')
        && let Some(at) = text.rfind("\\*")
    {
        // Where a line is cut depends on how many digits stand before.
        text.replace_range(at.., "{cut}");
    }
    masks.dates().mask(&mask_numbers(&text, &masks.names))
}

/// The names of times in a format.
const TIMES: &[&str] = &["Ta", "Tc", "Td", "Th", "Ti", "Tq", "Tr", "TR", "Tt", "Tu", "Tw"];

/// A value of a log line that its format gave a name, masked; `None` where it stands for itself.
fn tagged(word: &str, slots: u64, masks: &Masks) -> Option<String> {
    let (tag, value) = word.split_once('=')?;
    let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let masked = match tag {
        _ if TIMES.contains(&tag) => timer(value, slots),
        "Ts" if masks.dates().holds_seconds(value.parse().ok()?) => "{seconds}".into(),
        "ms" if is_number && value.len() == 3 => "{ms}".into(),
        "bp" if masks.peers.contains(&value.parse().ok()?) => "{peer}".into(),
        _ if tag.starts_with('x') => {
            let is_it = |(number, _): &&(String, String)| {
                number
                    .parse::<u32>()
                    .is_ok_and(|number| format!("{number:04X}") == value)
            };
            masks.names.iter().find(is_it)?.1.clone()
        }
        _ => return None,
    };
    Some(format!("{tag}={masked}"))
}

/// A time of a log line: -1 stays, others are rounded down to a slot or shown as `+`.
fn timer(text: &str, slots: u64) -> String {
    let (plus, number) = text.strip_prefix('+').map_or(("", text), |n| ("+", n));
    match number.parse::<u64>() {
        Ok(ms) if slots > 0 => format!("{plus}{}", ms / slots * slots),
        Ok(_) => format!("{plus}+"),
        Err(_) => text.to_string(),
    }
}

/// A log line without its syslog head, which ends behind `]: `.
fn strip_head(line: &str) -> &str {
    line.find("]: ").map_or(line, |n| &line[n + 3..])
}

/// Both results side by side: what only the reference gave behind `-`, what only this program gave
/// behind `+`.
pub fn difference(name: &str, expected: &[String], got: &[String]) -> String {
    let (rows, columns) = (expected.len(), got.len());
    let mut common = vec![vec![0usize; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            common[i][j] = if expected[i] == got[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut out = format!("\ncase {name}\n");
    let (mut i, mut j) = (0, 0);
    while i < rows || j < columns {
        let (sign, line) = if i < rows && j < columns && expected[i] == got[j] {
            (i, j) = (i + 1, j + 1);
            (' ', &got[j - 1])
        } else if j >= columns || (i < rows && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', &expected[i - 1])
        } else {
            j += 1;
            ('+', &got[j - 1])
        };
        out.push_str(&format!("  {sign} {line}\n"));
    }
    out
}
