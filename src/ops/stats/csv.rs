//! Comma-separated output of `show stat`, and the `Name: value` lines of `show info`.
//!
//! Source: management manual, "CSV format" (RFC 4180 quoting).

use super::field::Value;
use super::rows::{MODULE_COLUMNS, PROXY_COLUMNS};
use super::views::Line;

/// The line of names.
pub fn header(out: &mut Vec<u8>) {
    out.extend_from_slice(b"# ");
    for column in PROXY_COLUMNS {
        out.extend_from_slice(column.name.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"-,");
    for column in MODULE_COLUMNS {
        out.extend_from_slice(column.name.as_bytes());
        out.push(b',');
    }
    out.push(b'\n');
}

/// One object.
pub fn line(line: &Line<'_>, out: &mut Vec<u8>) {
    for column in PROXY_COLUMNS {
        field(&column.value(line), out);
        out.push(b',');
    }
    out.extend_from_slice(b"-,");
    for column in MODULE_COLUMNS {
        field(&column.value(line), out);
        out.push(b',');
    }
    out.push(b'\n');
}

/// A value, between quotes where it holds a quote, a comma or an end of line.
pub fn field(value: &Value<'_>, out: &mut Vec<u8>) {
    match value.text() {
        Some(text) if text.bytes().any(|b| matches!(b, b'"' | b',' | b'\n' | b'\r')) => quoted(text, out),
        _ => value.print(out),
    }
}

/// Text between quotes, quotes within it doubled.
pub fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// One field of `show info`; `doc` adds its meaning.
pub fn info(name: &str, value: &Value<'_>, doc: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    value.print(out);
    description(doc, out);
    out.push(b'\n');
}

/// `:"meaning"`, if it was asked for.
pub(super) fn description(doc: Option<&str>, out: &mut Vec<u8>) {
    if let Some(doc) = doc {
        out.push(b':');
        quoted(doc, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_put_where_needed() {
        let print = |value: &Value<'_>| {
            let mut out = Vec::new();
            field(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(&Value::Str("plain")), "plain");
        assert_eq!(print(&Value::Str("a,b")), "\"a,b\"");
        assert_eq!(print(&Value::Str("a\"b")), "\"a\"\"b\"");
        assert_eq!(print(&Value::U64(7)), "7");
    }
}
