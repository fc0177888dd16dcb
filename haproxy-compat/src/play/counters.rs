//! What a case added to the counters of `show stat`: every row, every column that only grows. Source: management
//! manual, section 9.1 "CSV format".

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
    "wrew",
    "connect",
    "reuse",
    "conn_tot",
    "lbtot",
    "eint",
    "h1_total_connections",
    "h1_total_streams",
];

/// Columns that hold the lengths of error pages, which each program words itself.
const WITH_PAGES: &[&str] = &["bout", "resbin"];

/// From here on a number of bytes is that of a transfer which stopped in the middle: the kernels' affair.
const MANY: u64 = 2_000_000;

/// What the columns begin with that HAProxy cuts off where a row is longer than `tune.bufsize`.
const CUT_OFF: &str = "h1_";

/// How the line begins that names the columns which a program does not have, since it is older than they are.
const WITHOUT: &str = ". without ";

/// Values by row and column.
#[derive(Debug, Default)]
pub(super) struct Counters {
    rows: BTreeMap<String, Vec<u64>>,
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
        let answer = cli::ask(proxy, "show stat");
        let mut lines = answer.lines();
        let head = lines.next().unwrap_or_default();
        let names: Vec<&str> = head.trim_start_matches("# ").split(',').collect();
        let places: Vec<Option<usize>> = COLUMNS
            .iter()
            .map(|column| names.iter().position(|name| name == column))
            .collect();
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            let value = |place: &Option<usize>| place.and_then(|at| cells.get(at)?.parse().ok()).unwrap_or(0);
            let name = format!("{}/{}", cells.first()?, cells.get(1)?);
            Some((name, places.iter().map(value).collect()))
        };
        let absent = COLUMNS.iter().zip(&places).filter(|(_, place)| place.is_none());
        Self {
            absent: absent.map(|(column, _)| *column).collect(),
            rows: lines.filter_map(row).collect(),
        }
    }

    /// What was added since; a line for every row that changed. `short`: the buffers are smaller than a row.
    pub(super) fn since(&self, before: &Self, has_pages: bool, short: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.absent.is_empty() {
            lines.push(format!("{WITHOUT}{}", self.absent.join(" ")));
        }
        for (row, now) in &self.rows {
            let was = before.rows.get(row);
            let mut line = String::new();
            for (at, (column, now)) in COLUMNS.iter().zip(now).enumerate() {
                let was = was.and_then(|was| was.get(at)).copied().unwrap_or(0);
                match now.wrapping_sub(was) {
                    0 => {}
                    _ if short && column.starts_with(CUT_OFF) => {}
                    MANY.. => line.push_str(&format!(" {column}={{many}}")),
                    _ if has_pages && WITH_PAGES.contains(column) => line.push_str(&format!(" {column}=+")),
                    more => line.push_str(&format!(" {column}={more}")),
                }
            }
            if !line.is_empty() {
                lines.push(format!(". {row}{line}"));
            }
        }
        lines
    }
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
