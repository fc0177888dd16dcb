//! Rows of the `tune.*` words that have a meaning here. Source: configuration manual, chapter 3.2.

use super::{clamp_u32, leading_int, loose_int, refuse, row, whole_int};
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::{UnitError, parse_size};
use crate::model::global::Tune;
use crate::policy::draft::Draft;

const G: Where = Where::GLOBAL;

/// Largest buffer; two pointers below what a C `int` holds.
const MAX_BUFFER_BYTES: u32 = i32::MAX as u32 - 16;

/// Buffers are rounded up to a multiple of this many bytes.
const BUFFER_ROUNDING: u32 = 16;

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "tune.bufsize",
        G,
        Arity::at_most(1),
        bufsize,
        "size of a buffer, bytes, rounded up to a multiple of 16",
    ),
    row(
        "tune.maxrewrite",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            let value = loose_int(cursor)?;
            if value < 0 {
                let text = "'tune.maxrewrite' expects a positive integer argument.";
                return Err(cursor.error_last(Code::OutOfRange, text));
            }
            draft.global.settings.tune.maxrewrite = clamp_u32(value);
            Ok(())
        },
        "bytes of a buffer kept free for changes of headers",
    ),
    row(
        "tune.http.maxhdr",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            let value = loose_int(cursor)?;
            if !(1..=32_767).contains(&value) {
                let text = "'tune.http.maxhdr' expects a numeric value between 1 and 32767";
                return Err(cursor.error_last(Code::OutOfRange, text));
            }
            draft.global.settings.tune.http_maxhdr = clamp_u32(value);
            Ok(())
        },
        "most headers of a message, start line included",
    ),
    row(
        "tune.http.logurilen",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            draft.global.settings.tune.http_logurilen = clamp_u32(loose_int(cursor)?.saturating_add(1));
            Ok(())
        },
        "longest request line in logs, bytes",
    ),
    row(
        "tune.maxaccept",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            once(
                cursor,
                draft,
                |given| &mut given.maxaccept,
                |cursor, draft| {
                    let Some(word) = cursor.next() else {
                        return Err(refuse(cursor, "'tune.maxaccept' expects an integer argument"));
                    };
                    super::hint_unless_int(cursor, word);
                    let value = leading_int(word.bytes());
                    if value > i64::from(i32::MAX) {
                        let text = "'tune.maxaccept' expects -1 or an integer from 0 to INT_MAX.";
                        return Err(cursor.error_last(Code::OutOfRange, text));
                    }
                    let tune = &mut draft.global.settings.tune;
                    match value {
                        0 => tune.maxaccept = Tune::default().maxaccept,
                        value => tune.maxaccept = u32::try_from(value).ok(),
                    }
                    Ok(value != 0)
                },
            )
        },
        "connections accepted in one turn of a listener, -1 for no bound",
    ),
    row(
        "tune.maxpollevents",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            once(
                cursor,
                draft,
                |given| &mut given.maxpollevents,
                |cursor, draft| {
                    let value = loose_int(cursor)?;
                    if value > 1_000_000 {
                        let text =
                            "'tune.maxpollevents' expects an integer value lower than or equal to 1000000.";
                        return Err(cursor.error_last(Code::OutOfRange, text));
                    }
                    if value > 0 {
                        draft.global.settings.tune.maxpollevents = clamp_u32(value);
                    }
                    Ok(value != 0)
                },
            )
        },
        "most events taken from the system at once",
    ),
    row(
        "tune.runqueue-depth",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            once(
                cursor,
                draft,
                |given| &mut given.runqueue_depth,
                |cursor, draft| {
                    let value = loose_int(cursor)?;
                    if value > 0 {
                        draft.global.settings.tune.runqueue_depth = clamp_u32(value);
                    }
                    Ok(value != 0)
                },
            )
        },
        "tasks run in one turn; without effect: each stream runs once, for a bounded time",
    ),
    row(
        "tune.recv_enough",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            let value = size(cursor)?;
            if i32::try_from(value).is_err() {
                let text = format!(
                    "'tune.recv_enough' expects a size in bytes from 0 to {}.",
                    i32::MAX
                );
                return Err(cursor.error_last(Code::OutOfRange, text));
            }
            draft.global.settings.tune.recv_enough = value;
            Ok(())
        },
        "bytes after which one read is called enough; without effect: a short read tells it exactly",
    ),
    row(
        "tune.pipesize",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            draft.global.settings.tune.pipesize = size(cursor)?;
            Ok(())
        },
        "size of pipes for splicing, bytes, 0 for the system's",
    ),
    row(
        "tune.idletimer",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            let range = "'tune.idletimer' expects a timer value between 0 and 65535 ms.";
            if cursor.peek().is_none() {
                return Err(refuse(cursor, range));
            }
            let value = cursor.time_ms()?;
            if value > 65_535 {
                return Err(cursor.error_last(Code::OutOfRange, range));
            }
            draft.global.settings.tune.idletimer_ms = value;
            Ok(())
        },
        "silence after which a stream counts as idle, milliseconds; without effect: sizes of writes do not follow it",
    ),
    row(
        "tune.rcvbuf.client",
        G,
        Arity::at_most(1),
        |cursor, draft| socket_buffer(cursor, draft, |tune| &mut tune.rcvbuf_client),
        "kernel receive buffer towards clients, bytes, 0 for the system's choice",
    ),
    row(
        "tune.rcvbuf.server",
        G,
        Arity::at_most(1),
        |cursor, draft| socket_buffer(cursor, draft, |tune| &mut tune.rcvbuf_server),
        "kernel receive buffer towards servers, bytes, 0 for the system's choice",
    ),
    row(
        "tune.sndbuf.client",
        G,
        Arity::at_most(1),
        |cursor, draft| socket_buffer(cursor, draft, |tune| &mut tune.sndbuf_client),
        "kernel send buffer towards clients, bytes, 0 for the system's choice",
    ),
    row(
        "tune.sndbuf.server",
        G,
        Arity::at_most(1),
        |cursor, draft| socket_buffer(cursor, draft, |tune| &mut tune.sndbuf_server),
        "kernel send buffer towards servers, bytes, 0 for the system's choice",
    ),
    row(
        "tune.notsent-lowat.client",
        G,
        Arity::at_most(1),
        |cursor, draft| socket_buffer(cursor, draft, |tune| &mut tune.notsent_lowat_client),
        "unsent bytes towards a client above which its socket is not writable, 0 for the system's choice",
    ),
    row(
        "tune.notsent-lowat.server",
        G,
        Arity::at_most(1),
        |cursor, draft| socket_buffer(cursor, draft, |tune| &mut tune.notsent_lowat_server),
        "unsent bytes towards a server above which its socket is not writable, 0 for the system's choice",
    ),
    row(
        "tune.buffers.limit",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            let value = count(cursor)?;
            draft.global.settings.tune.buffers_limit = if value == 0 { 0 } else { value.max(3) };
            Ok(())
        },
        "most buffers at once without the reserve, 0 for no limit, at least 3",
    ),
    row(
        "tune.buffers.reserve",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            draft.global.settings.tune.buffers_reserve = count(cursor)?;
            Ok(())
        },
        "buffers beyond tune.buffers.limit, for what was begun; fewer than 4 count as 4",
    ),
    row(
        "tune.pool-high-fd-ratio",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            draft.global.settings.tune.pool_high_fd_ratio = ratio(cursor)?;
            Ok(())
        },
        "share of descriptors in use above which idle connections are closed, percent",
    ),
    row(
        "tune.pool-low-fd-ratio",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            draft.global.settings.tune.pool_low_fd_ratio = ratio(cursor)?;
            Ok(())
        },
        "share of descriptors in use above which no connection is kept idle, percent",
    ),
    row(
        "tune.defaults.purge",
        G,
        Arity::at_most(1),
        |cursor, _| {
            let _ = cursor.rest();
            Ok(())
        },
        "accepted without effect: defaults sections never outlive the load",
    ),
    row(
        "tune.chksize",
        G,
        Arity::ANY,
        |cursor, _| {
            let text = "option 'tune.chksize' is not supported any more (tune.bufsize is used instead).";
            Err(cursor.error(Code::Deprecated, text))
        },
        "removed: checks use tune.bufsize",
    ),
];

/// A size in bytes, up to 32 bits.
pub(super) fn size(cursor: &mut ArgCursor<'_>) -> Result<u32, Diag> {
    let keyword = cursor.keyword();
    let Some(word) = cursor.next() else {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects an integer argument."),
        ));
    };
    match parse_size(word.bytes(), u64::from(u32::MAX), false) {
        // Bounded above.
        Ok(size) => Ok(size as u32),
        Err(UnitError::Unexpected(at)) => {
            let rest = String::from_utf8_lossy(word.bytes().get(at..).unwrap_or(&[])).into_owned();
            let text = format!("unexpected '{rest}' after size passed to '{keyword}'");
            Err(Diag::alert(Code::BadSize, word.span_at(at), text)
                .with_help("a size is a number with k, m or g"))
        }
        Err(UnitError::Overflow | UnitError::Underflow) => {
            let text = format!("unexpected '{word}' after size passed to '{keyword}'");
            let help = format!("the largest size is {}", u32::MAX);
            Err(cursor.error_last(Code::OutOfRange, text).with_help(help))
        }
    }
}

/// A number of things, 0 or more; a missing one is 0, as everywhere where HAProxy does not look.
pub(super) fn count(cursor: &mut ArgCursor<'_>) -> Result<u32, Diag> {
    let keyword = cursor.keyword();
    let word = cursor.next();
    if let Some(word) = word {
        super::hint_unless_int(cursor, word);
    }
    match word.map_or(0, |word| leading_int(word.bytes())) {
        value if value < 0 => {
            let got = word.map(|word| word.text().into_owned()).unwrap_or_default();
            let text = format!("'{keyword}' expects a non-negative number but got '{got}'.");
            Err(refuse(cursor, text))
        }
        value => Ok(clamp_u32(value)),
    }
}

/// A percentage that must be there.
fn ratio(cursor: &mut ArgCursor<'_>) -> Result<u32, Diag> {
    let keyword = cursor.keyword();
    match cursor.next().map(|word| leading_int(word.bytes())) {
        Some(value @ 0..=100) => Ok(clamp_u32(value)),
        _ => Err(refuse(
            cursor,
            format!("'{keyword}' expects an integer argument between 0 and 100."),
        )),
    }
}

/// Settings that HAProxy takes once only, the first non-zero value counting.
#[derive(Clone, Copy, Debug, Default)]
pub struct TuneGiven {
    maxaccept: bool,
    maxpollevents: bool,
    runqueue_depth: bool,
    /// `tune.bufsize.large`, bytes.
    pub large_buffers: Option<u32>,
    /// `tune.bufsize.small`, bytes.
    pub small_buffers: Option<u32>,
}

/// Runs `read` unless the setting was given before; it says whether the value counts as given.
fn once(
    cursor: &mut ArgCursor<'_>,
    draft: &mut Draft,
    flag: fn(&mut TuneGiven) -> &mut bool,
    read: fn(&mut ArgCursor<'_>, &mut Draft) -> Result<bool, Diag>,
) -> Result<(), Diag> {
    if *flag(&mut draft.global.tune_given) {
        overwritten(cursor);
        return Ok(());
    }
    let given = read(cursor, draft)?;
    *flag(&mut draft.global.tune_given) = given;
    Ok(())
}

/// Warns that the setting stands already and that this line is ignored.
fn overwritten(cursor: &mut ArgCursor<'_>) {
    let text = format!("'{}' already specified. Continuing.", cursor.keyword());
    let span = cursor.keyword_span();
    let _ = cursor.rest();
    cursor.note(Diag::warning(Code::Overwritten, span, text));
}

/// A kernel buffer size that may be given once.
fn socket_buffer(
    cursor: &mut ArgCursor<'_>,
    draft: &mut Draft,
    field: fn(&mut Tune) -> &mut u32,
) -> Result<(), Diag> {
    if *field(&mut draft.global.settings.tune) != 0 {
        overwritten(cursor);
        return Ok(());
    }
    *field(&mut draft.global.settings.tune) = size(cursor)?;
    Ok(())
}

fn bufsize(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if cursor.peek().is_none() {
        return Err(refuse(cursor, "'tune.bufsize' expects an integer argument"));
    }
    let value = size(cursor)?;
    if value > MAX_BUFFER_BYTES {
        let text = format!("'tune.bufsize' expects a size in bytes from 0 to {MAX_BUFFER_BYTES}.");
        return Err(cursor.error_last(Code::OutOfRange, text));
    }
    if value == 0 {
        let text = "'tune.bufsize' expects a positive integer argument.";
        return Err(cursor.error_last(Code::OutOfRange, text));
    }
    draft.global.settings.tune.bufsize = value.next_multiple_of(BUFFER_ROUNDING);
    Ok(())
}

/// A whole number between bounds, for words whose value is checked and not kept.
pub(super) fn whole(cursor: &mut ArgCursor<'_>, min: i64, max: i64) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let word = cursor.next();
    match word.map(|word| whole_int(word.bytes())) {
        Some(Some(value)) if (min..=max).contains(&value) => Ok(()),
        _ => {
            let got = word.map(|word| word.text().into_owned()).unwrap_or_default();
            let text = format!("'{keyword}' expects an integer between {min} and {max}, got '{got}'.");
            Err(refuse(cursor, text))
        }
    }
}
