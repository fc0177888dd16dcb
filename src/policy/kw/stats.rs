//! The `stats` rows of `global`: the runtime socket. Source: management manual, chapter 9.3; configuration manual,
//! "stats socket". The `stats` words of proxies come with the statistics page.

use std::rc::Rc;

use super::bind::{Line, addresses, new_bind, read_options};
use super::{leading_int, refuse, row};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::{TimeUnit, UnitError, parse_time};
use crate::policy::draft::Draft;

/// Priority of the runtime socket's connections.
const NICE: i32 = -64;

/// `stats socket` appends a `BindDraft` to `draft.global.stats_sockets`; its options are those of `bind`.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "stats socket",
        Where::GLOBAL,
        Arity::ANY,
        socket,
        "address of a runtime socket, and its options",
    ),
    row(
        "stats timeout",
        Where::GLOBAL,
        Arity::ANY,
        timeout,
        "milliseconds before an idle runtime connection is closed",
    ),
    row(
        "stats maxconn",
        Where::GLOBAL,
        Arity::ANY,
        maxconn,
        "runtime connections at once",
    ),
    row(
        "stats calculate-max-counters",
        Where::GLOBAL,
        Arity::ANY,
        max_counters,
        "whether the highest values are kept: on or off; accepted, they are always kept",
    ),
    row(
        "stats",
        Where::GLOBAL,
        Arity::ANY,
        other,
        "beginning of the words above",
    ),
];

fn socket(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let Some(word) = cursor.next() else {
        let text = "'stats socket' in global section expects an address or a path to a UNIX socket";
        return Err(cursor.error_here(Code::MissingArgument, text));
    };
    let addrs = addresses(word, b"", draft).map_err(|error| {
        let (file, line) = (&draft.at.file, draft.at.line);
        let text = format!("parsing [{file}:{line}] : 'stats socket' : {}", error.text);
        Diag::alert(error.code, word.span_of(error.at.start, error.at.end), text)
    })?;
    let mut bind = new_bind(cursor, word, addrs, draft);
    let host = Rc::clone(&draft.host);
    read_options(
        cursor,
        Line::StatsSocket,
        &*host,
        &mut bind,
        &draft.global.stats_sockets,
    )?;
    for listener in &mut bind.listeners {
        listener.nice = NICE;
    }
    draft.global.stats_sockets.push(bind);
    Ok(())
}

fn timeout(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let word = cursor.next();
    let text = word.map_or(&b""[..], Arg::bytes);
    let limit = |kind, end| {
        let shown = String::from_utf8_lossy(text);
        format!("timer {kind} in argument '{shown}' to 'stats timeout' ({end})")
    };
    let unexpected = |at: usize| {
        let found = text
            .get(at)
            .map_or_else(String::new, |&byte| format!("{}'", char::from(byte)));
        format!("'stats timeout' : unexpected character '{found}")
    };
    let time = match parse_time(text, TimeUnit::Ms) {
        Ok(time) => time.trailing.map_or(Ok(time.value), |at| Err(unexpected(at))),
        Err(UnitError::Unexpected(at)) => Err(unexpected(at)),
        Err(UnitError::Overflow) => Err(limit("overflow", "maximum value is 2147483647 ms or ~24.8 days")),
        Err(UnitError::Underflow) => Err(limit("underflow", "minimum non-null value is 1 ms")),
    };
    let time = time.map_err(|text| cursor.error_last(Code::BadTime, text))?;
    if time == 0 {
        return Err(refuse(cursor, "'stats timeout' expects a positive value"));
    }
    draft.global.settings.stats_timeout_ms = time;
    leave(cursor);
    Ok(())
}

fn maxconn(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let value = cursor.next().map_or(0, |word| leading_int(word.bytes())) as i32;
    let Some(count) = u32::try_from(value).ok().filter(|count| *count > 0) else {
        return Err(refuse(cursor, "'stats maxconn' expects a positive value"));
    };
    draft.global.settings.stats_maxconn = count;
    leave(cursor);
    Ok(())
}

/// Highest values cost nothing here: with one loop, they are kept whatever this says.
fn max_counters(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let found = cursor.next().map_or(&b""[..], Arg::bytes);
    if !found.eq_ignore_ascii_case(b"on") && !found.eq_ignore_ascii_case(b"off") {
        let found = String::from_utf8_lossy(found);
        let text = format!("'calculate-max-counters' only supports 'on' and 'off', received '{found}'");
        return Err(refuse(cursor, text));
    }
    leave(cursor);
    Ok(())
}

/// The words after an argument that HAProxy does not look at.
fn leave(cursor: &mut ArgCursor<'_>) {
    if let Some(word) = cursor.peek() {
        let text = format!("'{}' does not look at '{word}'.", cursor.keyword());
        let diag = Diag::hint(Code::Ignored, word.span(), text);
        cursor.note(diag);
    }
    let _ = cursor.rest();
}

fn other(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let found = cursor
        .next()
        .map_or_else(String::new, |word| word.text().into_owned());
    // Two blanks, as HAProxy prints it.
    let text = format!(
        "'stats' only supports 'socket', 'maxconn', 'bind-process', 'calculate-max-counters'  and 'timeout' (got \
         '{found}')"
    );
    Err(refuse(cursor, text))
}

#[cfg(test)]
mod tests {
    use crate::base::addr::Target;
    use crate::model::listener::{Level, SeverityOutput};
    use crate::policy::kw::testing::{run, verdict};

    #[test]
    fn sockets() {
        let draft = run(&[
            "stats socket /a,/b level admin mode 660 user root expose-fd listeners severity-output string",
            "stats socket 127.0.0.1:9999 id 7",
            "stats timeout 30s",
            "stats maxconn 20x",
            "stats calculate-max-counters OFF",
        ])
        .expect("accepted by 3.4.0");
        let [first, second] = &*draft.global.stats_sockets else {
            panic!("two lines")
        };
        assert_eq!(first.listeners.len(), 2);
        let listener = &first.listeners[1];
        assert_eq!(listener.addr.target, Target::Unix(b"/b"[..].into()));
        assert_eq!(
            (listener.level, listener.mode, listener.uid),
            (Level::Admin, Some(0o660), Some(0))
        );
        assert!(listener.expose_fd_listeners);
        assert_eq!(
            (listener.severity_output, listener.nice),
            (SeverityOutput::String, -64)
        );
        assert_eq!(
            (second.listeners[0].luid, second.listeners[0].level),
            (7, Level::Operator)
        );
        let settings = &draft.global.settings;
        assert_eq!((settings.stats_timeout_ms, settings.stats_maxconn), (30_000, 20));
    }

    #[test]
    fn refusals_of_3_4_0() {
        for (line, text) in [
            (
                "stats socket",
                "'stats socket' in global section expects an address or a path to a UNIX socket",
            ),
            (
                "stats socket /a level x",
                "'stats socket' : ''level' only supports 'user', 'operator', and 'admin' (got 'x')'",
            ),
            (
                "stats socket /a level",
                "'stats socket' : ''level' : missing level'",
            ),
            (
                "stats socket /a levl",
                "'stats socket' : unknown keyword 'levl'. Did you mean 'level' maybe ?",
            ),
            (
                "stats socket /a mode 9",
                "'stats socket' : ''mode' : missing or invalid mode '9' (octal integer expected)'",
            ),
            (
                "stats socket /a user zz",
                "'stats socket' : ''user' : unknown user name 'zz''",
            ),
            (
                "stats socket 127.0.0.1",
                "parsing [t.cfg:1] : 'stats socket' : missing port specification in '127.0.0.1'",
            ),
            (
                "stats socket udp@127.0.0.1:5",
                "parsing [t.cfg:1] : 'stats socket' : dgram-type address not acceptable in 'udp@127.0.0.1:5'",
            ),
            ("stats timeout", "'stats timeout' : unexpected character '"),
            ("stats timeout x", "'stats timeout' : unexpected character 'x'"),
            ("stats timeout 0", "'stats timeout' expects a positive value"),
            (
                "stats timeout 30d",
                "timer overflow in argument '30d' to 'stats timeout' (maximum value is 2147483647 ms or ~24.8 days)",
            ),
            ("stats maxconn", "'stats maxconn' expects a positive value"),
            ("stats maxconn x", "'stats maxconn' expects a positive value"),
            ("stats maxconn 0", "'stats maxconn' expects a positive value"),
            (
                "stats calculate-max-counters x",
                "'calculate-max-counters' only supports 'on' and 'off', received 'x'",
            ),
            (
                "stats enable",
                "'stats' only supports 'socket', 'maxconn', 'bind-process', 'calculate-max-counters'  and 'timeout' (got \
                 'enable')",
            ),
        ] {
            assert_eq!(verdict(&[line]), Err(text.to_owned()), "{line}");
        }
    }
}
