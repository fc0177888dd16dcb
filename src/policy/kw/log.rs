//! The `log` rows of `global` and of proxies: where log lines go, as which facility, from which level on.
//!
//! Source: configuration manual, `log`; order of the checks and messages are those of HAProxy 3.4.0. Rings, log
//! backends, stream targets and log profiles come later.

use std::net::SocketAddr;

use super::bind::resolve_now;
use super::{leading_int, negatable, whole_int};
use crate::base::addr::{Addr, Target, Transport};
use crate::conf::addr::{Rules, parse};
use crate::conf::cursor::{Arg, ArgCursor, Modifier};
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::model::logging::{LogHeader, LogSample, LogSink, LogTarget};
use crate::policy::draft::Draft;
use crate::policy::log::syslog::{FACILITIES, HEADERS, LEVELS};

/// Longest line by default, bytes.
const LEN_DEFAULT: u32 = 1024;

/// Port of syslog.
const PORT: u16 = 514;

/// Bytes of an abstract socket name in its address, after the first NUL.
const ABSTRACT_BYTES: usize = 107;

/// Most ranges of one `sample`.
const MAX_RANGES: usize = 1024;

/// `log` appends to `draft.global.settings.logs` or `draft.proxy.settings.logs` (`log global` copies the former,
/// as they stand, into the latter), `no log` empties the list.
pub const ROWS: &[Keyword<Draft>] = &[
    negatable(
        "log",
        Where::GLOBAL,
        Arity::ANY,
        in_global,
        "where log lines of the process go",
    ),
    negatable(
        "log",
        Where::PROXY,
        Arity::ANY,
        in_proxy,
        "where log lines of the proxy go, or global",
    ),
];

fn in_global(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if removes(cursor)? {
        draft.global.settings.logs.clear();
        return Ok(());
    }
    if cursor.remaining() == 1 && cursor.peek().is_some_and(|word| word.is("global")) {
        return Err(fault(
            cursor,
            Code::WrongSection,
            "'global' is not supported for a global syslog server",
        ));
    }
    let mut target = target(cursor, draft, "")?;
    target.global_line = Some(draft.global.settings.logs.len() as u32);
    draft.global.settings.logs.push(target);
    Ok(())
}

fn in_proxy(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let global = draft.global.settings.logs.clone();
    if removes(cursor)? {
        draft.proxy.settings.logs.clear();
    } else if cursor.remaining() == 1 && cursor.accept("global") {
        let logs = &mut draft.proxy.settings.logs;
        for target in global {
            // A line that was inherited already is not added again.
            if !logs.iter().any(|known| known.global_line == target.global_line) {
                logs.push(target);
            }
        }
    } else {
        let target = target(cursor, draft, "or global")?;
        draft.proxy.settings.logs.push(target);
    }
    Ok(())
}

/// A refusal in the words of HAProxy, about the argument read last.
fn fault(cursor: &ArgCursor<'_>, code: Code, text: &str) -> Diag {
    cursor.error_last(code, format!("log : {text}"))
}

/// The same about the next argument.
fn fault_here(cursor: &ArgCursor<'_>, code: Code, text: &str) -> Diag {
    cursor.error_here(code, format!("log : {text}"))
}

/// Whether the line is `no log`.
fn removes(cursor: &ArgCursor<'_>) -> Result<bool, Diag> {
    match (cursor.modifier(), cursor.remaining()) {
        (Modifier::No, 0) => Ok(true),
        (Modifier::No, _) => Err(fault_here(
            cursor,
            Code::UnexpectedArgument,
            "'no log' does not expect arguments",
        )),
        _ => Ok(false),
    }
}

/// `<target> [len <bytes>] [format <name>] [sample <ranges>:<size>] <facility> [<max> [<min>]]`
fn target(cursor: &mut ArgCursor<'_>, draft: &Draft, or_global: &str) -> Result<LogTarget, Diag> {
    let address = match cursor.next() {
        Some(address) if cursor.remaining() > 0 => address,
        _ => {
            let text = format!("expects <address> and <facility> {or_global} as arguments");
            return Err(fault_here(cursor, Code::MissingArgument, &text));
        }
    };
    let len_max = len(cursor)?;
    let header = header(cursor)?;
    let sample = sample(cursor)?;
    if cursor.accept("profile") {
        return Err(fault(
            cursor,
            Code::NotSupported,
            "'profile' is not supported yet.",
        ));
    }
    let facility = name_of(cursor, &FACILITIES).map_err(|found| {
        fault(
            cursor,
            Code::BadChoice,
            &format!("unknown log facility '{found}'"),
        )
    })?;
    let level_max = level(cursor, 7, "level")?;
    let level_min = level(cursor, 0, "minimum log level")?;
    if let Some(word) = cursor.next() {
        let text = format!("cannot handle unexpected argument '{word}'");
        return Err(fault(cursor, Code::UnexpectedArgument, &text));
    }
    Ok(LogTarget {
        sink: sink(address, draft)?,
        header,
        len_max,
        sample,
        facility,
        level_max,
        level_min,
        global_line: None,
    })
}

fn len(cursor: &mut ArgCursor<'_>) -> Result<u32, Diag> {
    if !cursor.accept("len") {
        return Ok(LEN_DEFAULT);
    }
    let word = cursor.next();
    let value = word.map_or(0, |word| leading_int(word.bytes()));
    match u32::try_from(value) {
        Ok(len @ 80..=65_535) => {
            if let Some(word) = word.filter(|word| whole_int(word.bytes()).is_none()) {
                let text =
                    format!("'len' takes '{word}' as {len}: only the digits a word begins with count.");
                cursor.note(Diag::hint(Code::Suspicious, word.span(), text));
            }
            Ok(len)
        }
        _ => {
            let found = word.map_or_else(String::new, |word| word.text().into_owned());
            let text = format!("invalid log length '{found}', must be between 80 and 65535");
            Err(fault(cursor, Code::OutOfRange, &text))
        }
    }
}

fn header(cursor: &mut ArgCursor<'_>) -> Result<LogHeader, Diag> {
    if !cursor.accept("format") {
        return Ok(LogHeader::Unspecified);
    }
    let word = cursor.next();
    let row = HEADERS
        .iter()
        .find(|(name, _)| word.is_some_and(|word| word.is(name)));
    row.map(|&(_, header)| header).ok_or_else(|| {
        let found = word.map_or_else(String::new, |word| word.text().into_owned());
        let diag = fault(cursor, Code::BadChoice, &format!("unknown log format '{found}'"));
        diag.with_nearest(found.as_bytes(), HEADERS.iter().map(|(name, _)| *name))
    })
}

/// The number of the next word in a list of names, or that word.
fn name_of(cursor: &mut ArgCursor<'_>, names: &[&str]) -> Result<u8, String> {
    let Some(word) = cursor.next() else {
        return Err(String::new());
    };
    let at = names.iter().position(|name| word.is(name));
    // The lists are short.
    at.map(|at| at as u8).ok_or_else(|| word.text().into_owned())
}

fn level(cursor: &mut ArgCursor<'_>, default: u8, what: &str) -> Result<u8, Diag> {
    if cursor.remaining() == 0 {
        return Ok(default);
    }
    let what = if what == "level" { "log level" } else { what };
    name_of(cursor, &LEVELS).map_err(|found| {
        let diag = fault(
            cursor,
            Code::BadChoice,
            &format!("unknown optional {what} '{found}'"),
        );
        diag.with_nearest(found.as_bytes(), LEVELS)
    })
}

/// `1,3-5:10`
fn sample(cursor: &mut ArgCursor<'_>) -> Result<Option<LogSample>, Diag> {
    if !cursor.accept("sample") {
        return Ok(None);
    }
    let text = cursor.next().map_or(&b""[..], Arg::bytes);
    let sample = parse_sample(text).map_err(|text| fault(cursor, Code::BadArgument, &text))?;
    Ok(Some(sample))
}

fn parse_sample(text: &[u8]) -> Result<LogSample, String> {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some(colon) = text.iter().position(|byte| *byte == b':') else {
        return Err("Missing sample size".to_owned());
    };
    let (list, size_text) = (&text[..colon], &text[colon + 1..]);
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
        let wrong = || format!("wrong sample range '{}'", shown(rest));
        let (low, high) = range(&rest[..end]).ok_or_else(wrong)?;
        // As HAProxy tests it: a range that encloses an earlier one is not noticed.
        let within = |&(from, to): &(u32, u32)| (from..=to).contains(&low) || (from..=to).contains(&high);
        if ranges.iter().any(within) {
            return Err("ranges are overlapping".to_owned());
        }
        if ranges.len() >= MAX_RANGES {
            return Err(format!("more than {MAX_RANGES} sampling ranges"));
        }
        ranges.push((low, high));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    let Some(most) = ranges.iter().map(|&(_, high)| high).max() else {
        return Err("no sampling ranges given".to_owned());
    };
    let size = number(size_text).filter(|size| *size > 0);
    let Some(size) = size else {
        return Err(format!(
            "wrong sample size '{}' for sample range '{}'",
            shown(size_text),
            shown(list)
        ));
    };
    if size < most {
        return Err(format!(
            "sample size {size} should be greater or equal to {most} the maximum of the high ranges limits"
        ));
    }
    ranges.sort_unstable();
    Ok(LogSample { ranges, size })
}

/// `3` or `3-5`, from 1, the second above the first.
fn range(text: &[u8]) -> Option<(u32, u32)> {
    match text.iter().position(|byte| *byte == b'-') {
        None => number(text).filter(|at| *at > 0).map(|at| (at, at)),
        Some(dash) => {
            let (low, high) = (number(&text[..dash])?, number(&text[dash + 1..])?);
            (low > 0 && high > low).then_some((low, high))
        }
    }
}

fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u32::from(digit - b'0')),
        _ => None,
    })
}

fn sink(word: &Arg, draft: &Draft) -> Result<LogSink, Diag> {
    let diag = |code, text: String| Diag::alert(code, word.span(), format!("log : {text}"));
    let later = |what: &str| {
        diag(
            Code::NotSupported,
            format!("{what} as log target is not supported yet."),
        )
    };
    match word.bytes() {
        b"stdout" => return Ok(LogSink::Fd(1)),
        b"stderr" => return Ok(LogSink::Fd(2)),
        bytes if bytes.starts_with(b"ring@") => return Err(later("a ring")),
        bytes if bytes.starts_with(b"backend@") => return Err(later("a log backend")),
        _ => {}
    }
    let mut addr = parse(word.bytes(), &Rules::LOG, b"", &draft.env).map_err(|error| {
        let span = word.span_of(error.at.start, error.at.end);
        Diag::alert(error.code, span, format!("log : {}", error.text))
    })?;
    resolve_now(&mut addr, draft).map_err(|host| {
        diag(
            Code::UnresolvedName,
            format!("invalid address: '{host}' in '{word}'"),
        )
    })?;
    let Addr { transport, target } = addr;
    match target {
        Target::Fd(fd) => Ok(LogSink::Fd(fd)),
        _ if transport != Transport::Datagram => Err(later("a stream")),
        Target::Ip { ip, ports } => {
            let port = if ports.low() == 0 { PORT } else { ports.low() };
            Ok(LogSink::Udp(SocketAddr::new(ip, port)))
        }
        Target::Unix(path) => Ok(LogSink::UnixDatagram(path.into_vec())),
        Target::Abstract {
            name,
            zero_terminated,
        } => {
            let mut name = name.into_vec();
            if !zero_terminated {
                name.resize(name.len().max(ABSTRACT_BYTES), 0);
            }
            Ok(LogSink::AbstractDatagram(name))
        }
        Target::SockPair(_) => Err(later("a pair of sockets")),
        Target::Name { host, .. } => Err(diag(
            Code::UnresolvedName,
            format!("invalid address: '{host}' in '{word}'"),
        )),
    }
}

#[cfg(test)]
mod tests;
