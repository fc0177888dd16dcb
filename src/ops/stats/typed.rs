//! Typed output: one field per line with its position, name, letters and type.
//!
//! Source: management manual, "Typed output format".

use super::csv::description;
use super::field::{Tag, Value};
use super::rows::column;
use super::views::Line;

/// One field of one object, nothing when it is empty. `number` is the column's.
pub fn field(line: &Line<'_>, number: usize, doc: bool, out: &mut Vec<u8>) {
    let Some(column) = column(number) else { return };
    let value = column.value(line);
    if value.type_name().is_none() {
        return;
    }
    let (proxy, object) = line.numbers();
    out.extend_from_slice(format!("{}.{proxy}.{object}.", line.letter()).as_bytes());
    tail(
        number,
        column.name,
        column.tag_on(line),
        &value,
        doc.then_some(column.doc),
        out,
    );
}

/// One field of `show info`, nothing when it is empty.
pub fn info(number: usize, name: &str, tag: Tag, value: &Value<'_>, doc: Option<&str>, out: &mut Vec<u8>) {
    if value.type_name().is_some() {
        tail(number, name, tag, value, doc, out);
    }
}

/// `position.name.process:letters:type:value`.
fn tail(number: usize, name: &str, tag: Tag, value: &Value<'_>, doc: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{number}.{name}.1:").as_bytes());
    out.extend_from_slice(&tag.letters());
    out.push(b':');
    out.extend_from_slice(value.type_name().unwrap_or_default().as_bytes());
    out.push(b':');
    value.print(out);
    description(doc, out);
    out.push(b'\n');
}
