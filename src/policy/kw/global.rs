//! Rows of `global` beside process and tuning: limits, logs, HTTP/1 quirks, runtime socket numbers.
//! Source: configuration manual, chapter 3.

use super::process::loose_u32;
use super::{already, clamp_u32, loose_int, negatable, refuse, row, whole_int};
use crate::conf::cursor::{ArgCursor, Modifier};
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::policy::draft::Draft;

const G: Where = Where::GLOBAL;

/// Largest `h1-case-adjust-file`, bytes.
const MAX_CASE_FILE_BYTES: usize = 1 << 20;

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "maxconn",
        G,
        Arity::at_most(1),
        maxconn,
        "most connections of the process; 0 or none computes it from the descriptor limit",
    ),
    row(
        "maxconnrate",
        G,
        Arity::at_most(1),
        |cursor, draft| limit(cursor, |draft| &mut draft.global.settings.maxconnrate, draft),
        "most connections accepted per second, 0 for no limit",
    ),
    row(
        "maxsessrate",
        G,
        Arity::at_most(1),
        |cursor, draft| limit(cursor, |draft| &mut draft.global.settings.maxsessrate, draft),
        "most sessions accepted per second, 0 for no limit",
    ),
    row(
        "maxpipes",
        G,
        Arity::at_most(1),
        |cursor, draft| optional_limit(cursor, |draft| &mut draft.global.settings.maxpipes, draft),
        "most pipes for splicing; 0 or none computes it",
    ),
    row(
        "ulimit-n",
        G,
        Arity::at_most(1),
        |cursor, draft| optional_limit(cursor, |draft| &mut draft.global.settings.ulimit_n, draft),
        "most file descriptors; 0 or none computes it",
    ),
    row(
        "fd-hard-limit",
        G,
        Arity::at_most(1),
        |cursor, draft| optional_limit(cursor, |draft| &mut draft.global.settings.fd_hard_limit, draft),
        "highest descriptor limit that the computation may reach",
    ),
    negatable(
        "strict-limits",
        G,
        Arity::NONE,
        |cursor, draft| {
            // HAProxy's plain form changes nothing: the default is on already.
            if cursor.modifier() == Modifier::No {
                draft.global.settings.strict_limits = false;
            }
            Ok(())
        },
        "refuse to start when a limit cannot be reached (default)",
    ),
    row(
        "hard-stop-after",
        G,
        Arity::ANY,
        |cursor, draft| {
            draft.global.settings.hard_stop_after_ms = Some(delay(cursor)?);
            Ok(())
        },
        "longest soft stop, milliseconds",
    ),
    row(
        "grace",
        G,
        Arity::ANY,
        |cursor, draft| {
            draft.global.settings.grace_ms = Some(delay(cursor)?);
            Ok(())
        },
        "time between a soft stop's signal and the closing of listeners, milliseconds",
    ),
    row(
        "close-spread-time",
        G,
        Arity::ANY,
        |cursor, draft| {
            let infinite = cursor.peek().is_some_and(|word| word.is("infinite"));
            let value = if infinite { u32::MAX } else { delay(cursor)? };
            let _ = cursor.rest();
            draft.global.settings.close_spread_time_ms = Some(value);
            Ok(())
        },
        "window over which a soft stop closes idle connections, milliseconds, or 'infinite'",
    ),
    row(
        "log-tag",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            let Some(word) = cursor.next() else {
                return Err(refuse(cursor, "'log-tag' expects a tag for use in syslog."));
            };
            draft.global.settings.log_tag = Some(word.text().into());
            Ok(())
        },
        "name of the program in log lines",
    ),
    row(
        "log-send-hostname",
        G,
        Arity::ANY,
        |cursor, draft| {
            if draft.global.settings.log_send_hostname.is_some() {
                already(cursor, "'log-send-hostname' already specified. Continuing.");
                return Ok(());
            }
            draft.global.settings.log_send_hostname =
                Some(cursor.next().map(|word| word.text().into_owned()));
            let _ = cursor.rest();
            Ok(())
        },
        "name of the host in log lines; the machine's own without an argument",
    ),
    row(
        "unix-bind",
        G,
        Arity::ANY,
        unix_bind,
        "defaults of UNIX sockets: prefix, mode, user, uid, group, gid",
    ),
    row(
        "noreuseport",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.noreuseport = true;
            Ok(())
        },
        "never share a listening port between processes",
    ),
    row(
        "nosplice",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.nosplice = true;
            Ok(())
        },
        "never use splice",
    ),
    row(
        "nogetaddrinfo",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.no_getaddrinfo = true;
            Ok(())
        },
        "resolve host names with the older system call",
    ),
    row(
        "noepoll",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: epoll is the only poller",
    ),
    row(
        "nopoll",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: epoll is the only poller",
    ),
    row(
        "nokqueue",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: epoll is the only poller",
    ),
    row(
        "noevports",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: epoll is the only poller",
    ),
    row(
        "noktls",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect until TLS comes",
    ),
    row(
        "limited-quic",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect until QUIC comes",
    ),
    negatable(
        "busy-polling",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: the loop always sleeps when idle",
    ),
    row(
        "quick-exit",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: exit is always quick",
    ),
    row(
        "prealloc-fd",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: the descriptor table belongs to the system",
    ),
    row(
        "no-memory-trimming",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect: memory is trimmed by the allocator only",
    ),
    row(
        "h2-workaround-bogus-websocket-clients",
        G,
        Arity::NONE,
        accepted,
        "accepted without effect until HTTP/2 comes",
    ),
    row(
        "pp2-never-send-local",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.pp2_never_send_local = true;
            Ok(())
        },
        "health checks do not send PROXY v2 headers of type LOCAL; without effect until checks come",
    ),
    row(
        "h1-case-adjust",
        G,
        Arity::at_most(2),
        case_adjust,
        "spelling of one header name towards bogus HTTP/1 peers",
    ),
    row(
        "h1-case-adjust-file",
        G,
        Arity::at_most(1),
        case_adjust_file,
        "file of header names and their spellings",
    ),
    row(
        "h1-accept-payload-with-any-method",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.h1_accept_payload_with_any_method = true;
            Ok(())
        },
        "accept a body with GET, HEAD and DELETE in HTTP/1.0 requests too",
    ),
    row(
        "h1-do-not-close-on-insecure-transfer-encoding",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.h1_keep_on_insecure_te = true;
            Ok(())
        },
        "keep a connection alive although both Content-Length and Transfer-Encoding were there",
    ),
    row(
        "harden.reject-privileged-ports.tcp",
        G,
        Arity::ANY,
        |cursor, draft| {
            draft.global.settings.reject_privileged_ports_tcp = either(cursor)?;
            let _ = cursor.rest();
            Ok(())
        },
        "refuse clients whose source port is below 1024: on or off",
    ),
    row(
        "harden.reject-privileged-ports.quic",
        G,
        Arity::ANY,
        |cursor, _| {
            either(cursor)?;
            let _ = cursor.rest();
            Ok(())
        },
        "accepted without effect until QUIC comes: on or off",
    ),
    row(
        "spread-checks",
        G,
        Arity::at_most(1),
        |cursor, draft| {
            once(cursor, draft, |cursor, _| match loose_int(cursor)? {
                value @ 0..=50 => Ok(value),
                _ => Err(cursor.error_last(
                    Code::OutOfRange,
                    "'spread-checks' needs a positive value in range 0..50.",
                )),
            })
        },
        "random part of check intervals, percent; accepted without effect until checks come",
    ),
    row(
        "max-spread-checks",
        G,
        Arity::at_most(1),
        |cursor, _| cursor.time_ms().map(drop),
        "longest time between the first and the last check, milliseconds; accepted without effect until checks come",
    ),
    row(
        "anonkey",
        G,
        Arity::ANY,
        |cursor, _| {
            let Some(word) = cursor.next() else {
                return Err(refuse(cursor, "a key is expected after 'anonkey'."));
            };
            let value = super::leading_int(word.bytes());
            if u32::try_from(value).is_err() {
                let text = format!(
                    "'anonkey' value must be within range 0-{} (was '{word}').",
                    u32::MAX
                );
                return Err(cursor.error_last(Code::OutOfRange, text));
            }
            let _ = cursor.rest();
            Ok(())
        },
        "key of anonymised answers on the runtime socket; accepted without effect until they come",
    ),
    row(
        "dns-accept-family",
        G,
        Arity::at_most(1),
        |cursor, _| {
            let word = cursor
                .next()
                .map(|word| word.text().into_owned())
                .unwrap_or_default();
            if !word.is_empty()
                && word
                    .split(',')
                    .all(|family| matches!(family, "ipv4" | "ipv6" | "auto"))
            {
                return Ok(());
            }
            let text = format!(
                "'dns-accept-family' expects a comma-delimited list of 'ipv4' and 'ipv6' but got '{word}'."
            );
            Err(refuse(cursor, text))
        },
        "families asked of DNS servers; accepted without effect until resolvers come",
    ),
    row(
        "http-err-codes",
        G,
        Arity::ANY,
        status_codes,
        "statuses counted as errors of the client; accepted, the default classes are counted",
    ),
    row(
        "http-fail-codes",
        G,
        Arity::ANY,
        status_codes,
        "statuses counted as failures of the server; accepted, the default classes are counted",
    ),
    row(
        "warn-blocked-traffic-after",
        G,
        Arity::ANY,
        |cursor, _| {
            let value = delay(cursor)?;
            if (1..=1000).contains(&value) {
                return Ok(());
            }
            let text =
                "timer out of range in 'warn-blocked-traffic-after' (value must be between 1 and 1000 ms)";
            Err(cursor.error_last(Code::OutOfRange, text))
        },
        "time after which a stuck loop is reported, milliseconds; accepted without effect",
    ),
    row(
        "profiling.tasks",
        G,
        Arity::at_least(1),
        |cursor, _| {
            while cursor.peek().is_some() {
                cursor.choice(&[
                    ("on", ()),
                    ("off", ()),
                    ("auto", ()),
                    ("lock", ()),
                    ("no-lock", ()),
                    ("memory", ()),
                    ("no-memory", ()),
                ])?;
            }
            Ok(())
        },
        "profiling of tasks; accepted without effect",
    ),
    row(
        "profiling.memory",
        G,
        Arity::ONE,
        |cursor, _| cursor.on_off().map(drop),
        "profiling of memory; accepted without effect",
    ),
    row(
        "debug.counters",
        G,
        Arity::ONE,
        |cursor, _| cursor.on_off().map(drop),
        "developers' counters; accepted without effect",
    ),
];

/// Nothing but the word itself.
fn accepted(_: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    Ok(())
}

/// `on` or `off`, in the words of the `harden.` family.
fn either(cursor: &mut ArgCursor<'_>) -> Result<bool, Diag> {
    match cursor.next() {
        Some(word) if word.is("on") => Ok(true),
        Some(word) if word.is("off") => Ok(false),
        _ => Err(refuse(
            cursor,
            format!("'{}' expects either 'on' or 'off'.", cursor.keyword()),
        )),
    }
}

/// A time in milliseconds with the words of the stop timers; further arguments are ignored.
fn delay(cursor: &mut ArgCursor<'_>) -> Result<u32, Diag> {
    if cursor.peek().is_none() {
        return Err(refuse(
            cursor,
            format!("'{}' expects <time> as argument.", cursor.keyword()),
        ));
    }
    let value = cursor.time_ms()?;
    let _ = cursor.rest();
    Ok(value)
}

fn maxconn(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    once(cursor, draft, |cursor, draft| {
        let Some(word) = cursor.next() else {
            return Err(refuse(cursor, "'maxconn' expects an integer argument."));
        };
        let Some(value) = whole_int(word.bytes()) else {
            let text = format!("cannot parse 'maxconn' value '{word}', an integer is expected.");
            return Err(cursor.error_last(Code::BadNumber, text));
        };
        draft.global.settings.maxconn = nonzero(value);
        Ok(value)
    })
}

/// Reads a number that counts once: the first value other than 0 stands, and what follows is ignored.
fn once(
    cursor: &mut ArgCursor<'_>,
    draft: &mut Draft,
    read: impl FnOnce(&mut ArgCursor<'_>, &mut Draft) -> Result<i64, Diag>,
) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    if draft.global.given_once.contains(&keyword) {
        already(cursor, format!("'{keyword}' already specified. Continuing."));
        return Ok(());
    }
    if read(cursor, draft)? != 0 {
        draft.global.given_once.insert(keyword);
    }
    Ok(())
}

/// A limit of which 0 (and what is negative) says nothing.
fn nonzero(value: i64) -> Option<u32> {
    match clamp_u32(value.min(i64::from(i32::MAX))) {
        0 => None,
        value => Some(value),
    }
}

/// A limit that counts once, 0 meaning none.
fn limit(
    cursor: &mut ArgCursor<'_>,
    field: fn(&mut Draft) -> &mut u32,
    draft: &mut Draft,
) -> Result<(), Diag> {
    once(cursor, draft, |cursor, draft| {
        let value = loose_int(cursor)?;
        *field(draft) = clamp_u32(value);
        Ok(value)
    })
}

/// A limit that counts once, 0 leaving it open.
fn optional_limit(
    cursor: &mut ArgCursor<'_>,
    field: fn(&mut Draft) -> &mut Option<u32>,
    draft: &mut Draft,
) -> Result<(), Diag> {
    once(cursor, draft, |cursor, draft| {
        let value = loose_int(cursor)?;
        *field(draft) = nonzero(value);
        Ok(value)
    })
}

fn unix_bind(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    while let Some(option) = cursor.next() {
        if option.is("prefix") {
            let given = draft.global.settings.unix_bind.prefix.is_some();
            let Some(prefix) = cursor.next() else {
                let text = "unix_bind 'prefix' expects a path as an argument.";
                return Err(cursor.error_here(Code::MissingArgument, text));
            };
            if given {
                let text = "unix-bind 'prefix' already specified. Continuing.";
                let diag = Diag::new(
                    crate::conf::diag::Severity::Tolerated,
                    Code::Overwritten,
                    option.span(),
                    text,
                );
                cursor.note(diag);
            } else {
                draft.global.settings.unix_bind.prefix = Some(prefix.text().into_owned());
            }
        } else if option.is("mode") {
            let digits = cursor.next().map_or(&b""[..], |word| word.bytes());
            let octal = digits.iter().take_while(|byte| (b'0'..=b'7').contains(byte));
            let mode = octal.fold(0_u32, |mode, digit| {
                mode.wrapping_shl(3) | u32::from(digit - b'0')
            });
            draft.global.settings.unix_bind.mode = Some(mode);
        } else if option.is("uid") {
            draft.global.settings.unix_bind.uid = Some(loose_u32(cursor));
        } else if option.is("gid") {
            draft.global.settings.unix_bind.gid = Some(loose_u32(cursor));
        } else if option.is("user") || option.is("group") {
            let name = cursor
                .next()
                .map(|word| word.text().into_owned())
                .unwrap_or_default();
            let found = if option.is("user") {
                draft.host.user_id(&name)
            } else {
                draft.host.group_id(&name)
            };
            let Ok(id) = found else {
                let text = format!("'unix-bind' : '{name}' unknown {option}.");
                return Err(cursor.error_last(Code::UnresolvedName, text));
            };
            let settings = &mut draft.global.settings.unix_bind;
            *if option.is("user") {
                &mut settings.uid
            } else {
                &mut settings.gid
            } = Some(id);
        } else {
            let text =
                "'unix-bind' only supports the 'prefix', 'mode', 'uid', 'gid', 'user' and 'group' options.";
            return Err(cursor.error_last(Code::BadChoice, text));
        }
    }
    Ok(())
}

/// Adds one spelling; `None` when it is one, else why not.
fn add_spelling(draft: &mut Draft, from: &str, to: &str) -> Option<String> {
    if to.is_empty() {
        return Some("expect <to>".to_owned());
    }
    if !from.eq_ignore_ascii_case(to) {
        return Some("<from> and <to> must not differ except the case".to_owned());
    }
    // Only the same spelling counts as the same entry; of several the first one is used.
    if !draft.global.given_once.insert(format!("h1-case-adjust {from}")) {
        return Some(format!("duplicate entry '{from}'"));
    }
    let table = &mut draft.global.settings.h1_case_adjust;
    if !table.iter().any(|(known, _)| known.eq_ignore_ascii_case(from)) {
        table.push((from.to_ascii_lowercase(), to.to_owned()));
    }
    None
}

fn case_adjust(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let (Some(from), Some(to)) = (cursor.next(), cursor.next()) else {
        return Err(refuse(
            cursor,
            "'h1-case-adjust' expects <from> and <to> as argument.",
        ));
    };
    match add_spelling(draft, &from.text(), &to.text()) {
        None => Ok(()),
        Some(text) => Err(cursor.error_last(Code::BadArgument, text)),
    }
}

fn case_adjust_file(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let Some(word) = cursor.next() else {
        return Err(refuse(
            cursor,
            "'h1-case-adjust-file' expects <file> as argument.",
        ));
    };
    let path = draft.path(word.bytes());
    let Ok(text) = draft.host.read_file(&path, MAX_CASE_FILE_BYTES) else {
        let text = format!("h1-headers-case-adjust-file '{word}': failed to open file.");
        return Err(cursor.error_last(Code::FileError, text));
    };
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (from, to) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
        if let Some(why) = add_spelling(draft, from, to.trim_start_matches([' ', '\t'])) {
            let text = format!(
                "h1-headers-case-adjust-file '{word}' : {why} at line {}.",
                number + 1
            );
            return Err(cursor.error_last(Code::BadArgument, text));
        }
    }
    Ok(())
}

/// Ranges of statuses, `[+-]low[-high][,...]`.
fn status_codes(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    if cursor.peek().is_none() {
        return Err(refuse(
            cursor,
            format!("Missing status codes range for '{keyword}'."),
        ));
    }
    while let Some(word) = cursor.next() {
        let bytes = word.bytes();
        let list = bytes
            .strip_prefix(b"+")
            .or_else(|| bytes.strip_prefix(b"-"))
            .unwrap_or(bytes);
        for part in list.split(|&byte| byte == b',') {
            let text = String::from_utf8_lossy(part);
            let (low, high) = text.split_once('-').unwrap_or((&text, &text));
            let number = |digits: &str| {
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                plain.then(|| digits.parse::<u32>().unwrap_or(u32::MAX))
            };
            let (Some(low), Some(high)) = (number(low), number(high)) else {
                let text = format!("Invalid status codes range '{word}' in '{keyword}'.");
                let help = "ranges have the form [+-]{low[-{high}]}[,...]";
                return Err(cursor.error_last(Code::BadArgument, text).with_help(help));
            };
            if high < low || low < 100 || high > 599 {
                let text = format!("Invalid status codes range '{word}' in '{keyword}'.");
                let help = "codes stand between 100 and 599, ranges in ascending order";
                return Err(cursor.error_last(Code::OutOfRange, text).with_help(help));
            }
        }
    }
    Ok(())
}
