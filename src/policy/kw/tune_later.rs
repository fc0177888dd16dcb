//! Rows of tuning words without a meaning here, or of features that come later: the grammar is checked, the value
//! is not kept. A file that carries them starts, as long as it does not use the feature itself.
//! Source: configuration manual, chapters 3.2 to 3.5.

use super::tune::{count, size, whole};
use super::{leading_int, loose_int, refuse, row};
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::TimeUnit;
use crate::policy::draft::Draft;

const G: Where = Where::GLOBAL;
const ONE: Arity = Arity::at_most(1);

/// `on` or `off`.
pub(super) fn switch(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    cursor.on_off().map(drop)
}

/// A number of which HAProxy reads the leading digits, 0 or more.
pub(super) fn number(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    count(cursor).map(drop)
}

/// A size in bytes.
pub(super) fn size_bytes(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    size(cursor).map(drop)
}

/// A time whose bare numbers are milliseconds.
pub(super) fn time_ms(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    cursor.time(TimeUnit::Ms).map(drop)
}

/// A percentage of which the leading digits are read.
pub(super) fn percentage(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    between(cursor, 0, 100)
}

/// A number of which the leading digits are read, between bounds.
fn between(cursor: &mut ArgCursor<'_>, min: i64, max: i64) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    match cursor.next().map(|word| leading_int(word.bytes())) {
        Some(value) if (min..=max).contains(&value) => Ok(()),
        _ => Err(refuse(
            cursor,
            format!("'{keyword}' expects a numeric value between {min} and {max}."),
        )),
    }
}

/// A number above 0.
fn positive(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    between(cursor, 1, i64::MAX)
}

/// No argument.
pub(super) fn flag(_: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    Ok(())
}

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "tune.applet.zero-copy-forwarding",
        G,
        ONE,
        switch,
        "on or off; accepted without effect",
    ),
    row(
        "tune.bufsize.large",
        G,
        ONE,
        |cursor, draft| buffer(cursor, &mut draft.global.tune_given.large_buffers),
        "size of large buffers, bytes; accepted without effect",
    ),
    row(
        "tune.bufsize.small",
        G,
        ONE,
        |cursor, draft| buffer(cursor, &mut draft.global.tune_given.small_buffers),
        "size of small buffers, bytes; accepted without effect",
    ),
    row(
        "tune.cli.max-payload-size",
        G,
        ONE,
        size_bytes,
        "longest payload of a runtime command, bytes; accepted without effect until such commands come",
    ),
    row(
        "tune.comp.maxlevel",
        G,
        ONE,
        |cursor, _| between(cursor, 1, 9),
        "compression effort, 1 to 9; accepted without effect until compression comes",
    ),
    row(
        "tune.disable-fast-forward",
        G,
        Arity::NONE,
        flag,
        "accepted without effect",
    ),
    row(
        "tune.disable-zero-copy-forwarding",
        G,
        Arity::NONE,
        flag,
        "accepted without effect",
    ),
    row(
        "tune.epoll.mask-events",
        G,
        ONE,
        epoll_events,
        "events left out: err, hup, rdhup; accepted without effect",
    ),
    row(
        "tune.events.max-events-at-once",
        G,
        ONE,
        |cursor, _| between(cursor, 1, 10_000),
        "events handled at once, 1 to 10000; accepted without effect",
    ),
    row(
        "tune.fail-alloc",
        G,
        ONE,
        percentage,
        "allocations made to fail, percent; accepted without effect",
    ),
    row(
        "tune.glitches.kill.cpu-usage",
        G,
        ONE,
        percentage,
        "load above which glitches end connections, percent; accepted without effect",
    ),
    row(
        "tune.h1.be.glitches-threshold",
        G,
        ONE,
        number,
        "glitches after which a server's connection ends; accepted without effect",
    ),
    row(
        "tune.h1.fe.glitches-threshold",
        G,
        ONE,
        number,
        "glitches after which a client's connection ends; accepted without effect",
    ),
    row(
        "tune.h1.zero-copy-fwd-recv",
        G,
        ONE,
        switch,
        "on or off; accepted without effect",
    ),
    row(
        "tune.h1.zero-copy-fwd-send",
        G,
        ONE,
        switch,
        "on or off; accepted without effect",
    ),
    row(
        "tune.h2.be.glitches-threshold",
        G,
        ONE,
        number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.be.initial-window-size",
        G,
        ONE,
        number,
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.be.max-concurrent-streams",
        G,
        ONE,
        number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.be.max-frames-at-once",
        G,
        ONE,
        any_number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.be.rxbuf",
        G,
        ONE,
        size_bytes,
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.glitches-threshold",
        G,
        ONE,
        number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.initial-window-size",
        G,
        ONE,
        number,
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.max-concurrent-streams",
        G,
        Arity::ANY,
        h2_streams,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.max-frames-at-once",
        G,
        ONE,
        any_number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.max-rst-at-once",
        G,
        ONE,
        any_number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.max-total-streams",
        G,
        ONE,
        number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.fe.rxbuf",
        G,
        ONE,
        size_bytes,
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.header-table-size",
        G,
        ONE,
        |cursor, _| between(cursor, 4_096, 65_536),
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.initial-window-size",
        G,
        ONE,
        number,
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.log-errors",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("none", ()), ("connection", ()), ("stream", ())]),
        "none, connection or stream; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.max-concurrent-streams",
        G,
        ONE,
        number,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.max-frame-size",
        G,
        ONE,
        |cursor, _| between(cursor, 16_384, 16_777_215),
        "bytes; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.h2.zero-copy-fwd-send",
        G,
        ONE,
        switch,
        "on or off; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.http.cookielen",
        G,
        ONE,
        |cursor, _| loose_int(cursor).map(drop),
        "longest captured cookie, bytes; accepted without effect until captures come",
    ),
    row(
        "tune.idle-pool.shared",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("full", ()), ("on", ()), ("off", ())]),
        "full, on or off; accepted, one loop has one pool",
    ),
    row(
        "tune.listener.default-shards",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("by-process", ()), ("by-thread", ()), ("by-group", ())]),
        "accepted, one loop has one socket per address",
    ),
    row(
        "tune.listener.multi-queue",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("on", ()), ("fair", ()), ("off", ())]),
        "on, fair or off; accepted without effect with one loop",
    ),
    row(
        "tune.max-checks-per-thread",
        G,
        ONE,
        any_number,
        "accepted without effect until checks come",
    ),
    row(
        "tune.max-rules-at-once",
        G,
        ONE,
        |cursor, _| {
            if loose_int(cursor)? < 0 {
                return Err(cursor.error_last(
                    Code::OutOfRange,
                    "'tune.max-rules-at-once' expects a positive numeric value",
                ));
            }
            Ok(())
        },
        "rules evaluated in one turn; accepted without effect until rules come",
    ),
    row(
        "tune.memory.hot-size",
        G,
        ONE,
        positive,
        "bytes of free objects kept per thread; accepted without effect",
    ),
    row(
        "tune.pattern.cache-size",
        G,
        ONE,
        |cursor, _| {
            if loose_int(cursor)? < 0 {
                return Err(cursor.error_last(
                    Code::OutOfRange,
                    "'tune.pattern.cache-size' expects a positive numeric value",
                ));
            }
            Ok(())
        },
        "entries of the pattern cache; accepted without effect until patterns come",
    ),
    row(
        "tune.peers.max-updates-at-once",
        G,
        ONE,
        positive,
        "accepted without effect until peers come",
    ),
    row(
        "tune.pt.zero-copy-forwarding",
        G,
        ONE,
        switch,
        "on or off; accepted without effect",
    ),
    row(
        "tune.rcvbuf.backend",
        G,
        ONE,
        |cursor, _| buffer(cursor, &mut None),
        "bytes; accepted without effect until datagram proxies come",
    ),
    row(
        "tune.rcvbuf.frontend",
        G,
        ONE,
        |cursor, _| buffer(cursor, &mut None),
        "bytes; accepted without effect until datagram proxies come",
    ),
    row(
        "tune.sndbuf.backend",
        G,
        ONE,
        |cursor, _| buffer(cursor, &mut None),
        "bytes; accepted without effect until datagram proxies come",
    ),
    row(
        "tune.sndbuf.frontend",
        G,
        ONE,
        |cursor, _| buffer(cursor, &mut None),
        "bytes; accepted without effect until datagram proxies come",
    ),
    row(
        "tune.renice.runtime",
        G,
        ONE,
        |cursor, _| whole(cursor, -20, 19),
        "process priority, -20 to 19; accepted without effect",
    ),
    row(
        "tune.renice.startup",
        G,
        ONE,
        |cursor, _| whole(cursor, -20, 19),
        "process priority while starting, -20 to 19; accepted without effect",
    ),
    row(
        "tune.ring.queues",
        G,
        ONE,
        |cursor, _| {
            let value = count(cursor)?;
            if value <= 16 {
                return Ok(());
            }
            Err(cursor.error_last(
                Code::OutOfRange,
                format!("'tune.ring.queues' expects a number between 0 and 16 but got '{value}'."),
            ))
        },
        "accepted without effect until rings come",
    ),
    row(
        "tune.sched.low-latency",
        G,
        ONE,
        switch,
        "on or off; accepted without effect",
    ),
    row(
        "tune.stick-counters",
        G,
        Arity::ANY,
        |cursor, _| {
            whole(cursor, 0, 100)?;
            let _ = cursor.rest();
            Ok(())
        },
        "number of tracked counters; accepted without effect until tracking comes",
    ),
    row(
        "tune.streams-elasticity",
        G,
        ONE,
        |cursor, _| {
            let word = cursor.next();
            match word.and_then(|word| super::whole_int(word.bytes())) {
                Some(0 | 100..) => Ok(()),
                _ => Err(refuse(
                    cursor,
                    "'tune.streams-elasticity' expects 0 or a positive percentage value of 100 or above",
                )),
            }
        },
        "percent; accepted without effect until HTTP/2 comes",
    ),
    row(
        "tune.takeover-other-tg-connections",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("none", ()), ("restricted", ()), ("full", ())]),
        "none, restricted or full; accepted without effect with one loop",
    ),
    row(
        "tune.vars.check-max-size",
        G,
        Arity::ANY,
        variable_size,
        "bytes; accepted without effect until variables come",
    ),
    row(
        "tune.vars.global-max-size",
        G,
        Arity::ANY,
        variable_size,
        "bytes; accepted without effect until variables come",
    ),
    row(
        "tune.vars.proc-max-size",
        G,
        Arity::ANY,
        variable_size,
        "bytes; accepted without effect until variables come",
    ),
    row(
        "tune.vars.reqres-max-size",
        G,
        Arity::ANY,
        variable_size,
        "bytes; accepted without effect until variables come",
    ),
    row(
        "tune.vars.sess-max-size",
        G,
        Arity::ANY,
        variable_size,
        "bytes; accepted without effect until variables come",
    ),
    row(
        "tune.vars.txn-max-size",
        G,
        Arity::ANY,
        variable_size,
        "bytes; accepted without effect until variables come",
    ),
    row(
        "tune.zlib.memlevel",
        G,
        ONE,
        |cursor, _| between(cursor, 1, 9),
        "accepted without effect until compression comes",
    ),
    row(
        "tune.zlib.windowsize",
        G,
        ONE,
        |cursor, _| between(cursor, 8, 15),
        "accepted without effect until compression comes",
    ),
    row(
        "maxcomprate",
        G,
        ONE,
        |cursor, _| loose_int(cursor).map(drop),
        "kilobytes per second; accepted without effect until compression comes",
    ),
    row(
        "maxcompcpuusage",
        G,
        ONE,
        percentage,
        "percent; accepted without effect until compression comes",
    ),
    row(
        "maxzlibmem",
        G,
        ONE,
        |cursor, _| loose_int(cursor).map(drop),
        "megabytes; accepted without effect until compression comes",
    ),
    row(
        "tune.lua.bool-sample-conversion",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("normal", ()), ("pre-3.1-bug", ())]),
        "accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.burst-timeout",
        G,
        Arity::at_least(1),
        time_ms,
        "milliseconds; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.forced-yield",
        G,
        Arity::ANY,
        |cursor, _| {
            whole(cursor, i64::MIN, i64::MAX)?;
            let _ = cursor.rest();
            Ok(())
        },
        "instructions; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.log.loggers",
        G,
        ONE,
        switch,
        "on or off; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.log.stderr",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("on", ()), ("auto", ()), ("off", ())]),
        "on, auto or off; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.maxmem",
        G,
        Arity::ANY,
        |cursor, _| {
            whole(cursor, i64::MIN, i64::MAX)?;
            let _ = cursor.rest();
            Ok(())
        },
        "megabytes; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.openlibs",
        G,
        ONE,
        lua_libraries,
        "libraries; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.service-timeout",
        G,
        Arity::at_least(1),
        time_ms,
        "milliseconds; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.session-timeout",
        G,
        Arity::at_least(1),
        time_ms,
        "milliseconds; accepted without effect until Lua comes",
    ),
    row(
        "tune.lua.task-timeout",
        G,
        Arity::at_least(1),
        time_ms,
        "milliseconds; accepted without effect until Lua comes",
    ),
    row(
        "httpclient.resolvers.disabled",
        G,
        ONE,
        switch,
        "on or off; accepted without effect until the internal client comes",
    ),
    row(
        "httpclient.resolvers.id",
        G,
        Arity::ONE,
        one_word,
        "accepted without effect until the internal client comes",
    ),
    row(
        "httpclient.resolvers.prefer",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("ipv4", ()), ("ipv6", ())]),
        "ipv4 or ipv6; accepted without effect until the internal client comes",
    ),
    row(
        "httpclient.retries",
        G,
        ONE,
        |cursor, _| loose_int(cursor).map(drop),
        "accepted without effect until the internal client comes",
    ),
    row(
        "httpclient.ssl.ca-file",
        G,
        Arity::ONE,
        one_word,
        "accepted without effect until the internal client comes",
    ),
    row(
        "httpclient.ssl.verify",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("none", ()), ("required", ())]),
        "none or required; accepted without effect until the internal client comes",
    ),
    row(
        "httpclient.timeout.connect",
        G,
        ONE,
        time_ms,
        "milliseconds; accepted without effect until the internal client comes",
    ),
];

/// Whatever one word says.
fn one_word(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    cursor.expect_word("a value").map(drop)
}

/// A number that HAProxy does not check at all.
fn any_number(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    if let Some(word) = cursor.next() {
        super::hint_unless_int(cursor, word);
    }
    Ok(())
}

/// A size above 0.
fn buffer(cursor: &mut ArgCursor<'_>, field: &mut Option<u32>) -> Result<(), Diag> {
    let value = size(cursor)?;
    if value > 0 {
        *field = Some(value);
        return Ok(());
    }
    let text = format!("'{}' expects a positive integer argument.", cursor.keyword());
    Err(cursor.error_last(Code::OutOfRange, text))
}

/// The size of a scope of variables: digits only, none being 0; further words are ignored.
fn variable_size(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    if cursor.peek().is_some() {
        whole(cursor, i64::MIN, i64::MAX)?;
    }
    let _ = cursor.rest();
    Ok(())
}

fn epoll_events(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let Some(word) = cursor.next() else { return Ok(()) };
    let list = word.bytes().strip_suffix(b",").unwrap_or_else(|| word.bytes());
    if list
        .split(|&byte| byte == b',')
        .all(|event| matches!(event, b"err" | b"hup" | b"rdhup"))
    {
        return Ok(());
    }
    let text = format!(
        "'tune.epoll.mask-events' expects a comma-delimited list of 'err', 'hup' and 'rdhup' but got '{word}'."
    );
    Err(cursor.error_last(Code::BadChoice, text))
}

fn h2_streams(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let most = count(cursor)?;
    while let Some(option) = cursor.next() {
        let value = cursor.next();
        let number = value.map_or(0, |word| leading_int(word.bytes()));
        if option.is("rq-load") {
            let named = value.is_some_and(|word| word.is("ignore") || word.is("auto"));
            if !named && number <= 0 {
                let text = "'tune.h2.fe.max-concurrent-streams' expects a strictly positive run-queue length, or \
                            'auto' or 'ignore'.";
                return Err(refuse(cursor, text));
            }
        } else if option.is("min") {
            if number <= 0 || number > i64::from(most) {
                let text = "'tune.h2.fe.max-concurrent-streams' expects a strictly positive minimum number of \
                            streams, not above the maximum.";
                return Err(refuse(cursor, text));
            }
        } else {
            let text = format!(
                "'tune.h2.fe.max-concurrent-streams' only supports 'rq-load' or 'min' after the numeric value, but \
                 found '{option}'."
            );
            return Err(Diag::alert(Code::BadChoice, option.span(), text));
        }
    }
    Ok(())
}

fn lua_libraries(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    const LIBRARIES: [&str; 10] = [
        "all", "none", "table", "io", "os", "string", "math", "utf8", "package", "debug",
    ];
    let Some(word) = cursor.next() else {
        let text = "'tune.lua.openlibs' expects 'all', 'none', or a comma-separated list of libraries";
        return Err(refuse(cursor, text));
    };
    let text = word.text();
    let names: Vec<&str> = text.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = names.iter().find(|name| !LIBRARIES.contains(name)) {
        let text = format!("'tune.lua.openlibs': unknown library '{unknown}'.");
        let diag = cursor.error_last(Code::BadChoice, text);
        return Err(diag.with_nearest(unknown.as_bytes(), LIBRARIES));
    }
    if names.contains(&"none") && names.iter().any(|name| *name != "none") {
        let text = "'tune.lua.openlibs': 'none' cannot be combined with other libraries.";
        return Err(cursor.error_last(Code::Conflict, text));
    }
    Ok(())
}
