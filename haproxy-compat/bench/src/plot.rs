//! A drawing of the costs: bars of CPU time per request in each workload, with the range over the rounds.

use std::fmt::Write;

use crate::report::{Stat, cost, memory};
use crate::rounds::Table;
use crate::workload::Kind;

const WIDTH: f64 = 900.0;
/// Where bars begin and how long the longest is.
const LEFT: f64 = 170.0;
const LONGEST: f64 = 600.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;

/// One drawing with all workloads.
pub(crate) fn svg(tables: &[Table]) -> String {
    let mut body = String::new();
    let mut top = 30.0;
    for table in tables {
        let (unit, bars) = bars(table);
        let longest = bars.iter().map(|(_, stat)| stat.max).fold(0.0, f64::max);
        if longest <= 0.0 {
            continue;
        }
        let title = format!("{}: {} ({unit})", table.work.name, table.work.about);
        text(&mut body, 10.0, top, "bold", &title);
        top += 10.0;
        for (name, stat) in bars {
            let scale = |value: f64| value.max(0.0) / longest * LONGEST;
            let middle = top + BAR / 2.0;
            text(&mut body, 10.0, middle + 4.0, "normal", name);
            let colour = if name.starts_with("rproxy") {
                "#b5482a"
            } else {
                "#7d8ca3"
            };
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{top:.1}" width="{:.1}" height="{BAR}" fill="{colour}"/>"#,
                scale(stat.median)
            );
            let (from, to) = (LEFT + scale(stat.min), LEFT + scale(stat.max));
            let _ = writeln!(
                body,
                r#"<path d="M{from:.1} {middle:.1}H{to:.1}M{from:.1} {0:.1}v6M{to:.1} {0:.1}v6" stroke="black"/>"#,
                middle - 3.0
            );
            text(
                &mut body,
                LEFT + LONGEST + 12.0,
                middle + 4.0,
                "normal",
                &format!("{:.2}", stat.median),
            );
            top += STEP;
        }
        top += 30.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top:.0}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn bars(table: &Table) -> (&'static str, Vec<(&str, Stat)>) {
    let is_memory = matches!(table.work.kind, Kind::Idle | Kind::Slow);
    let stat = |rounds| {
        if is_memory {
            memory(rounds, "pss")
        } else {
            cost(rounds)
        }
    };
    let rows = table.rows.iter();
    let bars = rows
        .filter_map(|row| Some((row.name.as_str(), stat(&row.closed)?)))
        .collect();
    let unit = if is_memory {
        "bytes per connection"
    } else {
        "CPU microseconds per request"
    };
    (unit, bars)
}

fn text(out: &mut String, x: f64, y: f64, weight: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        out,
        r#"<text x="{x}" y="{y:.1}" font-weight="{weight}">{text}</text>"#
    );
}
