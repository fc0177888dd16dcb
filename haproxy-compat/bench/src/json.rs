//! The figures as JSON: every round, nothing rounded.

use crate::contender;
use crate::measure::Figures;
use crate::report::{Stat, cost, memory, plain, rates};
use crate::rounds::Table;

/// A value that prints as JSON.
enum Value {
    Text(String),
    Number(f64),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Value {
    fn object(fields: impl IntoIterator<Item = (impl Into<String>, Self)>) -> Self {
        Self::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Text(text) => quote(text, out),
            Self::Number(number) if number.is_finite() => out.push_str(&number.to_string()),
            Self::Number(_) => out.push_str("null"),
            Self::List(values) => {
                out.push('[');
                for (place, value) in values.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    value.print(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if place > 0 { ",\n" } else { "" });
                    quote(name, out);
                    out.push_str(": ");
                    value.print(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// The whole report.
pub(crate) fn text(machine: &[(String, String)], tables: &[Table]) -> String {
    let facts = machine
        .iter()
        .map(|(name, value)| Value::object([("name", Value::text(name)), ("value", Value::text(value))]));
    let files = contender::configurations();
    let report = Value::object([
        ("machine", Value::List(facts.collect())),
        ("workloads", Value::List(tables.iter().map(table).collect())),
        (
            "configurations",
            Value::object(files.map(|(name, text)| (name, Value::text(text)))),
        ),
    ]);
    let mut out = String::new();
    report.print(&mut out);
    out.push('\n');
    out
}

fn table(table: &Table) -> Value {
    let rows = table.rows.iter().map(|row| {
        let mut fields = vec![
            ("name", Value::text(&row.name)),
            ("command", Value::text(&row.command)),
        ];
        if let Some(reason) = &row.skipped {
            fields.push(("skipped", Value::text(reason)));
        }
        for (name, rounds) in [("closed", &row.closed), ("open", &row.open)] {
            if !rounds.is_empty() {
                fields.push((name, series(rounds)));
            }
        }
        Value::object(fields)
    });
    let mut fields = vec![
        ("name", Value::text(table.work.name)),
        ("about", Value::text(table.work.about)),
        ("load", Value::text(&table.load)),
        ("contenders", Value::List(rows.collect())),
        (
            "broken",
            Value::List(table.broken.iter().map(Value::text).collect()),
        ),
    ];
    if let Some(rate) = table.rate {
        fields.push(("open_rate", Value::Number(rate)));
    }
    Value::object(fields)
}

/// Medians with ranges, then every round.
fn series(rounds: &[Figures]) -> Value {
    let stats = [
        ("cpu_us_per_request", cost(rounds)),
        ("requests_per_second", rates(rounds)),
        ("p50_us", plain(rounds, "p50_ns", 1e3)),
        ("p99_us", plain(rounds, "p99_ns", 1e3)),
        ("pss_per_connection", memory(rounds, "pss")),
        ("private_per_connection", memory(rounds, "private")),
    ];
    let mut fields: Vec<(String, Value)> = Vec::new();
    for (name, stat) in stats {
        if let Some(Stat { median, min, max }) = stat {
            let numbers = [("median", median), ("min", min), ("max", max)];
            fields.push((
                name.into(),
                Value::object(numbers.map(|(n, v)| (n, Value::Number(v)))),
            ));
        }
    }
    let each = rounds
        .iter()
        .map(|round| Value::object(round.iter().map(|(n, v)| (n, Value::Number(*v)))));
    fields.push(("rounds".into(), Value::List(each.collect())));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let value = Value::object([
            (
                "a\"b",
                Value::List(vec![Value::Number(1.5), Value::Number(f64::NAN)]),
            ),
            ("c", Value::text("x\ny\u{1}")),
        ]);
        let mut out = String::new();
        value.print(&mut out);
        assert_eq!(out, "{\"a\\\"b\": [1.5, null],\n\"c\": \"x\\ny\\u0001\"}");
    }
}
