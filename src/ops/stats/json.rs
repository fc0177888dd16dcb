//! JSON output: arrays of self-describing fields. Source: management manual, `show stat`, `show info` (`json`).

use super::field::{Tag, Value};
use super::rows::column;
use super::views::Line;

/// Integers beyond this lose precision in readers that keep numbers as doubles (RFC 8259, section 6).
const INT_MAX: u64 = (1 << 53) - 1;

/// One field of one object, nothing when it is empty. `first` leaves the separating comma out.
/// Returns whether anything was written.
pub fn field(line: &Line<'_>, number: usize, first: bool, out: &mut Vec<u8>) -> bool {
    let Some(column) = column(number) else {
        return false;
    };
    let value = column.value(line);
    if value.type_name().is_none() {
        return false;
    }
    let (proxy, object) = line.numbers();
    if !first {
        out.push(b',');
    }
    let head = format!(
        "{{\"objType\":\"{}\",\"proxyId\":{proxy},\"id\":{object},",
        line.kind()
    );
    out.extend_from_slice(head.as_bytes());
    tail(number, column.name, column.tag_on(line), &value, out);
    true
}

/// One field of `show info`, nothing when it is empty. Returns whether anything was written.
pub fn info(number: usize, name: &str, tag: Tag, value: &Value<'_>, first: bool, out: &mut Vec<u8>) -> bool {
    if value.type_name().is_none() {
        return false;
    }
    if !first {
        out.push(b',');
    }
    out.push(b'{');
    tail(number, name, tag, value, out);
    true
}

fn tail(number: usize, name: &str, tag: Tag, value: &Value<'_>, out: &mut Vec<u8>) {
    let [origin, nature, scope] = tag.words();
    let head = format!(
        "\"field\":{{\"pos\":{number},\"name\":\"{name}\"}},\"processNum\":1,\
         \"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\
         \"value\":{{\"type\":\"{}\",\"value\":",
        value.type_name().unwrap_or_default()
    );
    out.extend_from_slice(head.as_bytes());
    match value {
        Value::U64(n) => Value::U64((*n).min(INT_MAX)).print(out),
        _ => match value.text() {
            Some(text) => string(text, out),
            None => value.print(out),
        },
    }
    out.extend_from_slice(b"}}");
}

/// A JSON string (RFC 8259, section 7).
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        string("a\"b\\c\n", &mut out);
        assert_eq!(out, b"\"a\\\"b\\\\c\\u000a\"");
    }

    #[test]
    fn fields_describe_themselves() {
        let mut out = Vec::new();
        assert!(info(3, "Nbthread", Tag::SETTING, &Value::U32(2), true, &mut out));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"field\":{\"pos\":3,\"name\":\"Nbthread\"},\"processNum\":1,\"tags\":{\"origin\":\"Config\",\
             \"nature\":\"Gauge\",\"scope\":\"Service\"},\"value\":{\"type\":\"u32\",\"value\":2}}"
        );
        assert!(!info(0, "x", Tag::GAUGE, &Value::Empty, false, &mut Vec::new()));
    }
}
