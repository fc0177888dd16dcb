//! The report for people: a table per workload, medians with ranges.

use std::fmt::Write;

use crate::measure::Figures;
use crate::rounds::{Row, Table, per_answer, rate_of};
use crate::workload::Kind;

/// Median, least, most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Stat {
    /// Of some values; `None` without any.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Some(Self { median, min, max })
    }
}

/// Microseconds of CPU per request.
pub(crate) fn cost(rounds: &[Figures]) -> Option<Stat> {
    Stat::of(
        rounds
            .iter()
            .filter_map(|f| per_answer(f, "cpu_run_ns"))
            .map(|v| v / 1e3),
    )
}

/// Answers per second.
pub(crate) fn rates(rounds: &[Figures]) -> Option<Stat> {
    Stat::of(rounds.iter().filter_map(rate_of))
}

/// One figure as it is, divided by `unit`.
pub(crate) fn plain(rounds: &[Figures], name: &str, unit: f64) -> Option<Stat> {
    Stat::of(rounds.iter().filter_map(|f| f.get(name)).map(|v| v / unit))
}

/// User-space memory per connection, bytes.
pub(crate) fn memory(rounds: &[Figures], name: &str) -> Option<Stat> {
    let each = |f: &Figures| {
        let grown = f.get(&format!("{name}_with"))? - f.get(&format!("{name}_before"))?;
        Some(grown / f.get("conns")?)
    };
    Stat::of(rounds.iter().filter_map(each))
}

/// The table of one workload.
pub(crate) fn text(table: &Table) -> String {
    let mut text = format!("\n== {}: {}\n", table.work.name, table.work.about);
    match table.work.kind {
        Kind::Idle | Kind::Slow => memory_table(&mut text, table),
        Kind::Rate | Kind::Wrk | Kind::H2load => cost_table(&mut text, table),
    }
    for row in &table.rows {
        if let Some(reason) = &row.skipped {
            let _ = writeln!(text, "skipped: {}: {reason}", row.name);
        }
    }
    for reason in &table.broken {
        let _ = writeln!(text, "BROKEN: {reason}");
    }
    text
}

fn cost_table(text: &mut String, table: &Table) {
    let _ = writeln!(
        text,
        "{:<22} {:>8} {:>15} {:>7} {:>7} {:>5} {:>8} {:>6} {:>6} {:>8} {:>8} {:>9} {:>9} {:>4}",
        "closed loop",
        "CPU us",
        "(range)",
        "user",
        "system",
        "busy",
        "req/s",
        "/null",
        "/best",
        "p50 us",
        "p99 us",
        "",
        "",
        "err"
    );
    lines(text, &table.rows, |row| &row.closed);
    if let Some(rate) = table.rate {
        let _ = writeln!(
            text,
            "open loop, {rate} requests/s, latency from the intended time:"
        );
        lines(text, &table.rows, |row| &row.open);
    }
}

fn lines(text: &mut String, rows: &[Row], rounds: impl Fn(&Row) -> &Vec<Figures>) {
    let median = |row: &Row| cost(rounds(row)).map(|stat| stat.median);
    let floor = rows.iter().find(|row| row.is_null).and_then(median);
    let real = rows.iter().filter(|row| row.is_haproxy).filter_map(median);
    let best = real.min_by(f64::total_cmp);
    for row in rows {
        let figures = rounds(row);
        let Some(cost) = cost(figures) else {
            continue;
        };
        let part = |name: &str| {
            Stat::of(
                figures
                    .iter()
                    .filter_map(|f| per_answer(f, name))
                    .map(|v| v / 1e3),
            )
        };
        let busy = |f: &Figures| Some(f.get("cpu_run_ns")? / f.get("window_ns")? * 100.0);
        let p50 = plain(figures, "p50_ns", 1e3);
        let p99 = plain(figures, "p99_ns", 1e3);
        let wrong = |f: &Figures| {
            f.get("errors").copied().unwrap_or(0.0) + f.get("unanswered").copied().unwrap_or(0.0)
        };
        let ratio = |to: Option<f64>| to.map_or_else(|| "-".into(), |to| format!("{:.2}", cost.median / to));
        let _ = writeln!(
            text,
            "{:<22} {:>8.2} {:>15} {:>7} {:>7} {:>4}% {:>8} {:>6} {:>6} {:>8} {:>8} {:>19} {:>4}",
            row.name,
            cost.median,
            format!("({:.2}-{:.2})", cost.min, cost.max),
            number(part("cpu_user_ns"), 2),
            number(part("cpu_system_ns"), 2),
            number(Stat::of(figures.iter().filter_map(busy)), 0),
            number(rates(figures), 0),
            ratio(floor),
            ratio(best),
            number(p50, 0),
            number(p99, 0),
            p99.map_or(String::new(), |s| format!("({:.0}-{:.0})", s.min, s.max)),
            figures.iter().map(wrong).sum::<f64>(),
        );
        let (lines, answers) = (plain(figures, "log_lines", 1.0), plain(figures, "total", 1.0));
        if let (Some(lines), Some(answers), false) = (lines, answers, row.is_null) {
            let _ = writeln!(
                text,
                "    {:.0} log lines for {:.0} answers",
                lines.median, answers.median
            );
        }
    }
}

fn memory_table(text: &mut String, table: &Table) {
    let _ = writeln!(
        text,
        "{:<22} {:>14} {:>19} {:>14} {:>12} {:>12}",
        "bytes", "Pss per conn", "(range)", "private/conn", "Pss before", "Pss with"
    );
    for row in &table.rows {
        let Some(pss) = memory(&row.closed, "pss") else {
            continue;
        };
        let _ = writeln!(
            text,
            "{:<22} {:>14.0} {:>19} {:>14} {:>12} {:>12}",
            row.name,
            pss.median,
            format!("({:.0}-{:.0})", pss.min, pss.max),
            number(memory(&row.closed, "private"), 0),
            number(plain(&row.closed, "pss_before", 1.0), 0),
            number(plain(&row.closed, "pss_with", 1.0), 0),
        );
    }
}

fn number(stat: Option<Stat>, digits: usize) -> String {
    stat.map_or_else(|| "-".into(), |stat| format!("{:.digits$}", stat.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let stat = |values: &[f64]| Stat::of(values.iter().copied());
        let (median, min, max) = (2.0, 1.0, 9.0);
        assert_eq!(stat(&[9.0, 1.0, 2.0]), Some(Stat { median, min, max }));
        assert_eq!(stat(&[4.0, 2.0]).map(|s| s.median), Some(3.0));
        assert_eq!(stat(&[]), None);
    }
}
