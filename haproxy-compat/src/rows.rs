//! Everything that has a row in rproxy, in one shape: for the reference and for the ledger.

use rproxy::conf::row::{Arity, Where};
use rproxy::model::listener::Level;
use rproxy::ops::{args, cli, stats};
use rproxy::policy::log::fields;
use rproxy::policy::{kw, registry};

/// Tables of the reference, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Keywords of `global`.
    Global,
    /// Keywords of proxy sections.
    Proxy,
    /// Options of `bind` and `stats socket` lines.
    Bind,
    /// Options of `server` lines and their like.
    Server,
    /// Values of log formats.
    LogField,
    /// Commands of the runtime socket.
    Command,
    /// Columns of `show stat`.
    StatColumn,
    /// Fields of `show info`.
    InfoField,
    /// Flags of the command line.
    Flag,
}

/// One row.
pub(crate) struct Entry {
    /// Its table.
    pub(crate) class: Class,
    /// Its name.
    pub(crate) name: String,
    /// Where it may stand, or who may use it.
    pub(crate) place: String,
    /// What it takes.
    pub(crate) arguments: String,
    /// What it is for.
    pub(crate) doc: &'static str,
}

/// All rows, by table and name.
pub(crate) fn all() -> Vec<Entry> {
    let mut entries: Vec<Entry> = keywords().collect();
    entries.extend(
        kw::bind::OPTIONS
            .iter()
            .map(|option| plain(Class::Bind, option.name, option.doc)),
    );
    entries.extend(
        kw::server_options::OPTIONS
            .iter()
            .map(|option| plain(Class::Server, option.name, option.doc)),
    );
    entries.extend(args::FLAGS.iter().map(|flag| {
        Entry {
            arguments: flag.value.into(),
            place: flag
                .no_effect
                .map(|why| format!("no effect: {why}"))
                .unwrap_or_default(),
            ..plain(Class::Flag, &format!("-{}", flag.letters), flag.doc)
        }
    }));
    entries.extend(fields::FIELDS.iter().map(|row| {
        let name = match row.name {
            fields::Name::Alias(name) => format!("%{name}"),
            fields::Name::Expression(text) => format!("%[{text}]"),
        };
        Entry {
            place: if row.is_http { "mode http" } else { "" }.into(),
            ..plain(Class::LogField, &name, row.doc)
        }
    }));
    let commands = cli::table::COMMANDS.iter().chain(cli::table::BUILT_IN);
    entries.extend(commands.map(|command| Entry {
        place: level(command.level).into(),
        arguments: command.usage.into(),
        ..plain(Class::Command, &command.words.join(" "), command.doc)
    }));
    let columns = (0..stats::rows::count()).filter_map(stats::rows::column);
    entries.extend(columns.map(|column| plain(Class::StatColumn, column.name, column.doc)));
    entries.extend(
        stats::info::FIELDS
            .iter()
            .map(|field| plain(Class::InfoField, field.name, field.doc)),
    );
    // The statistics keep the order in which they are printed.
    entries.sort_by(|a, b| {
        let printed = matches!(a.class, Class::StatColumn | Class::InfoField);
        let names = if printed {
            std::cmp::Ordering::Equal
        } else {
            a.name.cmp(&b.name)
        };
        a.class.cmp(&b.class).then(names)
    });
    entries
}

fn keywords() -> impl Iterator<Item = Entry> {
    registry::KEYWORDS
        .iter()
        .flat_map(|table| table.iter())
        .map(|row| {
            let class = if row.place.allows(Where::GLOBAL) {
                Class::Global
            } else {
                Class::Proxy
            };
            let place: Vec<_> = row.place.names().collect();
            let negation = if row.negatable { "; no, default" } else { "" };
            Entry {
                place: place.join(", "),
                arguments: format!("{}{negation}", arity(row.arity)),
                ..plain(class, row.name, row.doc)
            }
        })
}

fn plain(class: Class, name: &str, doc: &'static str) -> Entry {
    Entry {
        class,
        name: name.to_owned(),
        place: String::new(),
        arguments: String::new(),
        doc,
    }
}

fn arity(arity: Arity) -> String {
    match (arity.min, arity.max) {
        (0, None) => "any".to_owned(),
        (min, None) => format!("{min} or more"),
        (0, Some(0)) => "none".to_owned(),
        (min, Some(max)) if min == max => min.to_string(),
        (min, Some(max)) => format!("{min} to {max}"),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::User => "user",
        Level::Operator => "operator",
        Level::Admin => "admin",
    }
}
