//! The list of the tables, and the look-ups over them.
//!
//! One line per table, no link-time tricks. The same rows give the parser, the suggestions and the lists that
//! `-dK` prints.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::conf::row::{Keyword, Table, Where};

use super::draft::{Draft, Side};
use super::kw;

/// The keyword tables of `global` and of the proxy sections.
pub const KEYWORDS: &[&[Keyword<Draft>]] = &[
    kw::global::ROWS,
    kw::process::ROWS,
    kw::threads::ROWS,
    kw::tune::ROWS,
    kw::tune_later::ROWS,
    kw::tls::ROWS,
    kw::quic::ROWS,
    kw::stats::ROWS,
    kw::log::ROWS,
    kw::bind::ROWS,
    kw::server::ROWS,
    kw::proxy::ROWS,
    kw::timeout::ROWS,
    kw::option::ROWS,
    &kw::option::PLAIN_ROWS,
    kw::errorfile::ROWS,
    kw::removed::ROWS,
];

/// All keywords by name.
pub fn keywords() -> Table<Draft> {
    Table::new(KEYWORDS)
}

/// The keywords as `-dKcfg` lists them: one section after the other, names in order of their bytes, first words only
/// where a keyword has several. Removed keywords have rows that only say so, and are left out.
pub fn dump_keywords() -> String {
    let rows = || {
        KEYWORDS
            .iter()
            .filter(|table| !std::ptr::eq(**table, kw::removed::ROWS))
            .flat_map(|table| table.iter())
    };
    let first_words = |place: Where| -> BTreeSet<&str> {
        let here = rows().filter(|row| row.place.allows(place));
        here.filter_map(|row| row.name.split(' ').next()).collect()
    };
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("global"));
    for name in first_words(Where::GLOBAL) {
        line(format_args!("\t{name}"));
    }
    line(format_args!("listen"));
    for name in first_words(Where::PROXY)
        .into_iter()
        .filter(|name| *name != "option")
    {
        line(format_args!("\t{name}"));
    }
    for name in kw::bind::OPTIONS
        .iter()
        .map(|option| option.name)
        .collect::<BTreeSet<_>>()
    {
        line(format_args!("\tbind <addr> {name}"));
    }
    for name in kw::server_options::OPTIONS
        .iter()
        .map(|option| option.name)
        .collect::<BTreeSet<_>>()
    {
        line(format_args!("\tserver <name> <addr> {name}"));
    }
    for plain in kw::option::PLAIN {
        let sides = match plain.side {
            Side::Front => "FE",
            Side::Back => "BE",
            Side::Any => "FE BE",
        };
        let http = if plain.http { " HTTP" } else { "" };
        line(format_args!("\t{} [ {sides}{http} ]", plain.row));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_has_every_section_once() {
        let dump = dump_keywords();
        assert!(dump.starts_with("global\n\t"));
        assert_eq!(dump.lines().filter(|line| *line == "listen").count(), 1);
        assert!(dump.contains("\tmaxconn\n") && dump.contains("\tbind <addr> accept-proxy\n"));
        assert!(dump.contains("\toption clitcpka [ FE ]\n") && !dump.contains("reqrep"));
    }
}
