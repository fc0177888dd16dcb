//! Rows of threads and processors. Source: configuration manual, chapter 3.1.
//!
//! One loop serves whatever these words say (README and docs/COMPATIBILITY.md tell so): their grammar is checked
//! and they are accepted, so that a file written for many cores starts.

use super::{refuse, row, whole_int};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::parse_int;
use crate::policy::draft::Draft;

/// Most threads, as HAProxy is built by default on Linux.
const MAX_THREADS: i64 = 1024;

/// Most thread groups.
const MAX_GROUPS: i64 = 32;

/// Most threads in one group, and most processors that `cpu-map` counts.
const MAX_PER_GROUP: i64 = 64;

/// Highest processor number.
const MAX_CPU: i64 = 1023;

const G: Where = Where::GLOBAL;

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "nbthread",
        G,
        Arity::at_most(1),
        nbthread,
        "number of threads; accepted, one loop serves",
    ),
    row(
        "thread-groups",
        G,
        Arity::at_most(1),
        thread_groups,
        "number of thread groups; accepted, no effect with one loop",
    ),
    row(
        "thread-group",
        G,
        Arity::ANY,
        thread_group,
        "threads of a group; accepted, no effect with one loop",
    ),
    row(
        "thread-hard-limit",
        G,
        Arity::at_most(1),
        thread_hard_limit,
        "most threads; accepted, no effect with one loop",
    ),
    row(
        "max-threads-per-group",
        G,
        Arity::at_most(1),
        threads_per_group,
        "most threads of a group; accepted, no effect with one loop",
    ),
    row(
        "cpu-map",
        G,
        Arity::ANY,
        cpu_map,
        "processors of threads; accepted, no effect with one loop",
    ),
    row(
        "cpu-policy",
        G,
        Arity::at_most(3),
        cpu_policy,
        "how threads follow processors; accepted, no effect with one loop",
    ),
    row(
        "cpu-affinity",
        G,
        Arity::at_most(2),
        cpu_affinity,
        "how threads are bound; accepted, no effect with one loop",
    ),
    row(
        "cpu-set",
        G,
        Arity::ANY,
        cpu_set,
        "processors to use or leave; accepted, no effect with one loop",
    ),
    super::negatable(
        "numa-cpu-mapping",
        G,
        Arity::ANY,
        |cursor, _| {
            let _ = cursor.rest();
            Ok(())
        },
        "stay on one memory node; accepted, no effect with one loop",
    ),
];

/// A whole number that must stand in a `global` section before any other section.
fn early_number(cursor: &mut ArgCursor<'_>, draft: &Draft, what: &str, max: i64) -> Result<i64, Diag> {
    let keyword = cursor.keyword();
    if draft.past_global {
        let text = format!(
            "'{keyword}' not allowed if a non-global section was previously defined. This parameter must be \
             declared in the first global section"
        );
        return Err(cursor.error(Code::WrongSection, text));
    }
    let number = number(cursor)?;
    if (1..=max).contains(&number) {
        return Ok(number);
    }
    let text = format!("'{keyword}' {what} must be between 1 and {max} (was {number})");
    Err(cursor.error_last(Code::OutOfRange, text))
}

/// A whole number.
fn number(cursor: &mut ArgCursor<'_>) -> Result<i64, Diag> {
    let keyword = cursor.keyword();
    let word = cursor.next();
    word.and_then(|word| whole_int(word.bytes())).ok_or_else(|| {
        let got = word.map(|word| word.text().into_owned()).unwrap_or_default();
        refuse(
            cursor,
            format!("'{keyword}' passed a missing or unparsable integer value in '{got}'"),
        )
    })
}

fn nbthread(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let value = early_number(cursor, draft, "value", MAX_THREADS)?;
    // Within range by the check above.
    draft.global.settings.nbthread = value as u32;
    draft.global.threads.number = Some(value as u32);
    Ok(())
}

fn thread_groups(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let groups = early_number(cursor, draft, "value", MAX_GROUPS)?;
    // Within range by the check above.
    draft.global.threads.groups = Some(groups as u32);
    Ok(())
}

fn thread_group(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let group = early_number(cursor, draft, "thread-group number", MAX_GROUPS)?;
    let mut threads = std::collections::BTreeSet::new();
    while let Some(word) = cursor.next() {
        let Some((low, high)) = range(word.bytes(), 1, MAX_THREADS) else {
            let text = format!(
                "'thread-group {group}' passed an unparsable or invalid thread number '{word}' (valid range is 1 \
                 to {MAX_THREADS})"
            );
            return Err(cursor.error_last(Code::BadArgument, text));
        };
        threads.extend(low..=high);
    }
    let span = threads
        .first()
        .zip(threads.last())
        .map_or(0, |(first, last)| last - first + 1);
    if span > threads.len() as i64 {
        let text = format!("'thread-group {group}' assigned sparse threads, only contiguous supported");
        return Err(cursor.error(Code::BadArgument, text));
    }
    draft.global.threads.described = true;
    Ok(())
}

fn thread_hard_limit(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let value = number(cursor)?;
    if (1..=MAX_THREADS).contains(&value) {
        draft.global.threads.limit = u32::try_from(value).ok();
        return Ok(());
    }
    let text = format!("'thread-hard-limit' value must be at least 1 (was {value})");
    Err(cursor.error_last(Code::OutOfRange, text))
}

fn threads_per_group(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let word = cursor.next();
    match word.and_then(|word| whole_int(word.bytes())) {
        Some(0..=MAX_PER_GROUP) => Ok(()),
        _ => {
            let got = word.map(|word| word.text().into_owned()).unwrap_or_default();
            let text = format!(
                "'max-threads-per-group' value must be an integer between 1 and {MAX_PER_GROUP}, got '{got}'"
            );
            Err(refuse(cursor, text))
        }
    }
}

/// `N` or `N-M` within bounds, both ends included.
fn range(bytes: &[u8], min: i64, max: i64) -> Option<(i64, i64)> {
    let dash = bytes.iter().position(|&byte| byte == b'-');
    let (low, high) = match dash {
        Some(dash) => (&bytes[..dash], &bytes[dash + 1..]),
        None => (bytes, bytes),
    };
    let low = parse_int(low).ok()?;
    let high = parse_int(high).ok()?;
    let within = min..=max;
    (within.contains(&low) && within.contains(&high)).then_some((low, high))
}

/// How many processors a set names: numbers and ranges separated by commas, an open range reaching the last one.
/// `None` when it is no such set.
fn cpu_set_size(word: &Arg) -> Option<usize> {
    let mut cpus = std::collections::BTreeSet::new();
    for part in word.bytes().split(|&byte| byte == b',') {
        let (low, high) = open_range(part, 0, MAX_CPU)?;
        cpus.extend(low.min(high)..=low.max(high));
    }
    Some(cpus.len())
}

/// `N`, `N-M` or `N-`, the latter up to `max`.
fn open_range(bytes: &[u8], min: i64, max: i64) -> Option<(i64, i64)> {
    match bytes.strip_suffix(b"-") {
        Some(low) if !low.contains(&b'-') => range(low, min, max).map(|(low, _)| (low, max)),
        _ => range(bytes, min, max),
    }
}

/// How many thread groups or threads are named: `all`, `odd`, `even`, a number or a range.
fn number_set_size(bytes: &[u8]) -> Option<usize> {
    match bytes {
        // Bounds are small constants.
        b"all" => Some(MAX_PER_GROUP as usize),
        b"odd" | b"even" => Some(MAX_PER_GROUP as usize / 2),
        _ => open_range(bytes, 1, MAX_PER_GROUP).map(|(low, high)| low.abs_diff(high) as usize + 1),
    }
}

fn cpu_map(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let (Some(target), Some(_)) = (cursor.next(), cursor.peek()) else {
        let text = "cpu-map expects a thread group number ('all', 'odd', 'even', a number or a range), followed by \
                    a list of CPU ranges";
        return Err(cursor.error_here(Code::MissingArgument, text));
    };
    let bytes = target.bytes();
    let auto = bytes.strip_prefix(b"auto:");
    let bytes = auto.unwrap_or(bytes);
    let (group, thread) = match bytes.iter().position(|&byte| byte == b'/') {
        Some(slash) => (
            number_set_size(&bytes[..slash]),
            number_set_size(&bytes[slash + 1..]),
        ),
        None => (number_set_size(bytes), Some(MAX_PER_GROUP as usize)),
    };
    let (Some(groups), Some(threads)) = (group, thread) else {
        let text = format!(
            "cpu-map : '{target}' is not a valid number/range. It supports numbers from 1 to {MAX_PER_GROUP}."
        );
        return Err(cursor.error_last(Code::BadArgument, text));
    };
    let mut cpus = 0;
    while let Some(word) = cursor.next() {
        match cpu_set_size(word) {
            Some(size) => cpus += size,
            None => {
                let text = format!("cpu-map : '{word}' is not a CPU range.");
                return Err(cursor.error_last(Code::BadArgument, text));
            }
        }
    }
    if auto.is_some() && groups != cpus && threads != cpus {
        let text =
            "cpu-map : TGROUP/THREAD range and CPU sets must have the same size to be automatically bound";
        return Err(cursor.error(Code::BadArgument, text));
    }
    Ok(())
}

/// Names of CPU policies.
const POLICIES: &[&str] = &[
    "none",
    "performance",
    "group-by-ccx",
    "group-by-2-ccx",
    "group-by-3-ccx",
    "group-by-4-ccx",
    "group-by-cluster",
    "group-by-2-clusters",
    "group-by-3-clusters",
    "group-by-4-clusters",
    "efficiency",
    "resource",
    "first-usable-node",
];

fn cpu_policy(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let Some(policy) = cursor.next() else {
        return Err(refuse(cursor, "'cpu-policy' passed an unknown CPU policy ''."));
    };
    if !POLICIES.iter().any(|known| policy.is(known)) {
        let text = format!("'cpu-policy' passed an unknown CPU policy '{policy}'.");
        let diag = cursor.error_last(Code::BadChoice, text);
        return Err(diag.with_nearest(policy.bytes(), POLICIES.iter().copied()));
    }
    let Some(option) = cursor.next() else {
        return Ok(());
    };
    if !option.is("threads-per-core") {
        let text = format!(
            "'cpu-policy' passed an unknown keyword '{option}', the only known values are threads-per-core"
        );
        return Err(cursor.error_last(Code::BadChoice, text));
    }
    match cursor.next() {
        Some(value) if value.is("1") || value.is("auto") => Ok(()),
        value => {
            let got = value.map(|word| word.text().into_owned()).unwrap_or_default();
            let text = format!(
                "'cpu-policy' passed an unknown value '{got}' to keyword 'threads-per-core', known values are 1 or \
                 auto"
            );
            Err(refuse(cursor, text))
        }
    }
}

fn cpu_affinity(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let kind = cursor.next();
    let known = ["per-core", "per-group", "per-thread", "per-ccx", "auto"];
    let Some(kind) = kind.filter(|kind| known.iter().any(|known| kind.is(known))) else {
        let got = kind.map(|word| word.text().into_owned()).unwrap_or_default();
        let text = format!("'cpu-affinity' parsed an unknown directive '{got}'.");
        return Err(refuse(cursor, text).with_nearest(got.as_bytes(), known));
    };
    match cursor.next() {
        None => Ok(()),
        Some(option) if kind.is("per-group") && (option.is("loose") || option.is("auto")) => Ok(()),
        Some(option) => {
            let text = format!("'{kind}' provided with unknown optional argument '{option}'.");
            Err(cursor.error_last(Code::BadChoice, text))
        }
    }
}

fn cpu_set(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    const SETS: [&str; 10] = [
        "only-cpu",
        "drop-cpu",
        "only-node",
        "drop-node",
        "only-cluster",
        "drop-cluster",
        "only-core",
        "drop-core",
        "only-thread",
        "drop-thread",
    ];
    if cursor.peek().is_none() {
        return Err(refuse(
            cursor,
            "'cpu-set' requires a directive and an optional value",
        ));
    }
    while let Some(word) = cursor.next() {
        if word.is("reset") {
            continue;
        }
        if !SETS.iter().any(|known| word.is(known)) {
            let text = format!("'cpu-set' passed an unknown directive '{word}'");
            let diag = cursor.error_last(Code::BadChoice, text);
            return Err(diag.with_nearest(word.bytes(), SETS));
        }
        match cursor.next() {
            Some(set) if cpu_set_size(set).is_some() => {}
            Some(set) => {
                let text = format!("'cpu-set {word}': '{set}' is not a CPU range.");
                return Err(cursor.error_last(Code::BadArgument, text));
            }
            None => return Err(refuse(cursor, format!("'cpu-set {word}': missing set"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range(b"1-4", 1, 64), Some((1, 4)));
        assert_eq!(range(b"5", 1, 64), Some((5, 5)));
        assert_eq!(range(b"0-4", 1, 64), None);
        assert_eq!(open_range(b"60-", 1, 64), Some((60, 64)));
        assert_eq!(open_range(b"-", 1, 64), None);
        assert_eq!(number_set_size(b"4-2"), Some(3));
        assert_eq!(number_set_size(b"odd"), Some(32));
        assert_eq!(number_set_size(b""), None);
        assert_eq!(number_set_size(b"2/3"), None);
    }
}
