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

/// Values by row and column.
#[derive(Debug, Default)]
pub(super) struct Counters(BTreeMap<String, Vec<u64>>);

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
        Self(lines.filter_map(row).collect())
    }

    /// What was added since; a line for every row that changed. `short`: the buffers are smaller than a row.
    pub(super) fn since(&self, before: &Self, has_pages: bool, short: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (row, now) in &self.0 {
            let was = before.0.get(row);
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
