//! What a case added to the counters of `show stat` and `show info`: every row, every column that only grows, the
//! largest values seen. Source: management manual, section 9.1 "CSV format", section 9.3 `show info`.

use std::collections::BTreeMap;

use crate::cli;
use crate::proxy::Proxy;

/// Columns that grow by what happens, neither by time nor by who else is there. Not `resbout`, in which HAProxy counts
/// pages that nobody gets, some of them twice; not `h1_bytes_in` and `h1_bytes_out`, in which it counts what came in
/// parts again with each part.
const COLUMNS: &[&str] = &[
    "stot",
    "bin",
    "bout",
    "reqbin",
    "reqbout",
    "resbin",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "intercepted",
    "dcon",
    "dses",
    "h1sess",
    "sess_other",
    "h1req",
    "h2req",
    "h3req",
    "req_other",
    "wrew",
    "connect",
    "reuse",
    "conn_tot",
    "lbtot",
    "eint",
    "h1_total_connections",
    "h1_total_streams",
];

/// Columns of which it depends on the kernel how much they grow: that they grew is all that is compared.
const GROWN: &[&str] = &["h1_spliced_bytes_in", "h1_spliced_bytes_out"];

/// Columns with the largest value seen, for processes that served one case alone.
const MAXIMA: &[&str] = &["qmax", "smax"];

/// The same for the rates of a second, which may be the next one as well: that they were seen is all that is compared.
const RATES: &[&str] = &[
    "rate_max",
    "conn_rate_max",
    "req_rate_max",
    "MaxConnRate",
    "MaxSessRate",
];

/// The same for times in milliseconds, where cases tell times apart.
const TIMES: &[&str] = &["qtime_max", "ctime_max", "rtime_max", "ttime_max"];

/// Columns that hold the lengths of error pages, which each program words itself.
const WITH_PAGES: &[&str] = &["bout", "resbin"];

/// The row of `show info`.
const PROCESS: &str = "process";

/// Its values that grow, with what the question itself adds.
const VALUES: &[(&str, u64)] = &[
    ("CumConns", 1),
    ("CumReq", 1),
    ("CumStreams", 1),
    ("DroppedLogs", 0),
    ("MaxconnReached", 0),
];

/// Those of which it is compared that they grew.
const GROWN_VALUES: &[&str] = &["TotalSplicedBytesOut"];

/// From here on a number of bytes is that of a transfer which stopped in the middle: the kernels' affair.
const MANY: u64 = 2_000_000;

/// What the columns begin with that HAProxy cuts off where a row is longer than `tune.bufsize`.
const CUT_OFF: &str = "h1_";

/// The value of `show info` that HAProxy cuts off likewise.
const LAST_VALUE: &str = "CumStreams";

/// How numbers are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// The case had pages that the program made itself.
    pub(super) has_pages: bool,
    /// The buffers are smaller than a row.
    pub(super) is_short: bool,
    /// The process served this case alone: largest values are the case's.
    pub(super) is_alone: bool,
    /// Milliseconds that times are rounded down to; 0 leaves them out.
    pub(super) slots: u64,
}

/// How the line begins that names the columns which a program does not have, since it is older than they are.
const WITHOUT: &str = ". without ";

/// Values by column.
type Row = BTreeMap<String, u64>;

/// Values by row and column.
#[derive(Debug, Default)]
pub(super) struct Counters {
    rows: BTreeMap<String, Row>,
    absent: Vec<&'static str>,
}

/// What is expected of the program that gave `got`: without the columns that it does not have.
pub(super) fn fitting(expected: &[String], got: &[String]) -> Vec<String> {
    let mut lines = expected.to_vec();
    let without = got.iter().find_map(|line| line.strip_prefix(WITHOUT));
    let (Some(without), Some(start)) = (without, lines.iter().position(|l| l == "= counters")) else {
        return lines;
    };
    let absent: Vec<&str> = without.split(' ').collect();
    let end = lines.iter().skip(start + 1).position(|l| l.starts_with("= "));
    let end = end.map_or(lines.len(), |n| start + 1 + n);
    let mut block = vec![format!("{WITHOUT}{without}")];
    for line in &lines[start + 1..end] {
        let has = |word: &&str| {
            !word
                .split_once('=')
                .is_some_and(|(column, _)| absent.contains(&column))
        };
        let words: Vec<&str> = line.split(' ').filter(has).collect();
        if words.len() > 2 {
            block.push(words.join(" "));
        }
    }
    lines.splice(start + 1..end, block);
    lines
}

impl Counters {
    /// Reads them now.
    pub(super) fn read(proxy: &Proxy) -> Self {
        let answer = cli::ask(proxy, "show info;show stat");
        let mut lines = answer.lines();
        let number = |name: &str, value: &str| Some((name.to_string(), value.parse().ok()?));
        let values = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, value)| number(name, value));
        let mut rows: BTreeMap<String, Row> = BTreeMap::from([(PROCESS.to_string(), values.collect())]);
        let head = lines.next().unwrap_or_default();
        let names: Vec<&str> = head.trim_start_matches("# ").split(',').collect();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            if let [proxy, row, ..] = cells[..] {
                let pairs = names.iter().zip(&cells);
                let values = pairs.filter_map(|(name, cell)| number(name, cell));
                rows.insert(format!("{proxy}/{row}"), values.collect());
            }
        }
        let columns = [COLUMNS, GROWN, MAXIMA, &["rate_max"], TIMES].concat();
        let mut absent: Vec<&str> = columns.into_iter().filter(|name| !names.contains(name)).collect();
        let values = VALUES.iter().map(|(name, _)| *name);
        absent.extend(values.filter(|name| !rows[PROCESS].contains_key(*name)));
        Self { rows, absent }
    }

    /// What was added since; a line for every row that changed.
    pub(super) fn since(&self, before: &Self, view: View) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.absent.is_empty() && !view.is_short {
            lines.push(format!("{WITHOUT}{}", self.absent.join(" ")));
        }
        let nothing = Row::new();
        for (name, now) in &self.rows {
            let before = before.rows.get(name).unwrap_or(&nothing);
            let mut words = if name == PROCESS {
                grown_process(now, before, view)
            } else {
                grown_columns(now, before, view)
            };
            if view.is_alone {
                words.extend(largest(now, view.slots));
            }
            if !words.is_empty() {
                lines.push(format!(". {name} {}", words.join(" ")));
            }
        }
        lines
    }
}

fn value(row: &Row, name: &str) -> u64 {
    row.get(name).copied().unwrap_or(0)
}

fn grown(now: &Row, before: &Row, name: &str) -> u64 {
    value(now, name).wrapping_sub(value(before, name))
}

/// What was added to the columns of a row.
fn grown_columns(now: &Row, before: &Row, view: View) -> Vec<String> {
    let mut words = Vec::new();
    for name in COLUMNS {
        match grown(now, before, name) {
            0 => {}
            _ if view.is_short && name.starts_with(CUT_OFF) => {}
            MANY.. => words.push(format!("{name}={{many}}")),
            _ if view.has_pages && WITH_PAGES.contains(name) => words.push(format!("{name}=+")),
            more => words.push(format!("{name}={more}")),
        }
    }
    let has_grown = |name: &&&str| grown(now, before, name) > 0 && !view.is_short;
    words.extend(GROWN.iter().filter(has_grown).map(|name| format!("{name}=+")));
    words
}

/// What was added to the values of the process.
fn grown_process(now: &Row, before: &Row, view: View) -> Vec<String> {
    let is_there = |name: &str| now.contains_key(name) && !(view.is_short && name == LAST_VALUE);
    let known = VALUES.iter().filter(|(name, _)| is_there(name));
    let added = known.filter_map(|(name, own)| match grown(now, before, name).wrapping_sub(*own) {
        0 => None,
        more => Some(format!("{name}={more}")),
    });
    let has_grown = |name: &&&str| grown(now, before, name) > 0;
    let seen = GROWN_VALUES.iter().filter(has_grown);
    added.chain(seen.map(|name| format!("{name}=+"))).collect()
}

/// The largest values seen.
fn largest(now: &Row, slots: u64) -> Vec<String> {
    let is_there = |name: &&&str| value(now, name) > 0;
    let most = MAXIMA.iter().filter(is_there);
    let mut words: Vec<String> = most.map(|name| format!("{name}={}", value(now, name))).collect();
    words.extend(RATES.iter().filter(is_there).map(|name| format!("{name}=+")));
    for name in TIMES {
        match value(now, name).checked_div(slots) {
            None | Some(0) => {}
            Some(times) => words.push(format!("{name}={}", times * slots)),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_program_cannot_count() {
        let lines = |text: &str| text.lines().map(str::to_string).collect::<Vec<_>>();
        let expected =
            lines("= a\n. open\n= counters\n. fe/FRONTEND bin=1 reqbin=1\n. fe/l reqbin=2\n= log\n. x");
        let older = lines("= counters\n. without reqbin resbin\n. fe/FRONTEND bin=2");
        assert_eq!(
            fitting(&expected, &older),
            lines("= a\n. open\n= counters\n. without reqbin resbin\n. fe/FRONTEND bin=1\n= log\n. x")
        );
        assert_eq!(
            fitting(&expected, &lines("= counters\n. fe/FRONTEND bin=2")),
            expected
        );
    }
}
