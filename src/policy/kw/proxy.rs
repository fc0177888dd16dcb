//! Rows of proxy sections beside `timeout`, `option`, `bind`, `server` and `log`.
//! Source: configuration manual, chapter 4.2; what is warned about follows HAProxy 3.4.0.

use std::sync::Arc;

use super::{based_int, clamp_u32, forbidden_char, joined, leading_int, loose_int, refuse, row};
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag, Form};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::TimeUnit;
use crate::model::proxy::{Balance, HttpReuse, Mode, RetryOn, TcpKeepAlive};
use crate::policy::draft::{Draft, Kind, LogStyle, NameRef, Side, argument_not_supported, close_form};

const P: Where = Where::PROXY;
const ANY: Arity = Arity::ANY;
const ONE: Arity = Arity::at_most(1);

/// Longest `guid`, bytes.
pub const MAX_GUID_BYTES: usize = 127;

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row("mode", P, ONE, mode, "tcp or http"),
    row("id", P, ONE, id, "number of the proxy, above 0 and unique"),
    row(
        "guid",
        P,
        ANY,
        guid,
        "unique name of the proxy that stays over reloads; nothing else uses it yet",
    ),
    row(
        "description",
        P,
        ANY,
        |cursor, draft| {
            draft.proxy.not_in_defaults(cursor)?;
            if cursor.peek().is_none() {
                return Err(refuse(cursor, "'description' expects a string argument."));
            }
            draft.proxy.settings.description = Some(joined(cursor).into());
            Ok(())
        },
        "text about the proxy in reports",
    ),
    row(
        "disabled",
        P,
        Arity::NONE,
        |_, draft| {
            draft.proxy.settings.disabled = true;
            Ok(())
        },
        "keep the proxy out of service",
    ),
    row(
        "enabled",
        P,
        Arity::NONE,
        |_, draft| {
            draft.proxy.settings.disabled = false;
            Ok(())
        },
        "revert a 'disabled' of the defaults section",
    ),
    row(
        "balance",
        P,
        ANY,
        balance,
        "how a server is chosen: roundrobin, static-rr, leastconn, first, random or random(<draws>)",
    ),
    row(
        "maxconn",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(
                cursor,
                Side::Front,
                "maxconn",
                " Maybe you want 'fullconn' instead ?",
            );
            draft.proxy.settings.maxconn = positive(loose_int(cursor)?);
            Ok(())
        },
        "most connections of the frontend, 0 for the process's",
    ),
    row(
        "backlog",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(cursor, Side::Front, "backlog", "");
            draft.proxy.settings.backlog = positive(loose_int(cursor)?);
            Ok(())
        },
        "connections the system may hold before they are accepted",
    ),
    row(
        "fullconn",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(
                cursor,
                Side::Back,
                "fullconn",
                " Maybe you want 'maxconn' instead ?",
            );
            draft.proxy.settings.fullconn = positive(loose_int(cursor)?);
            Ok(())
        },
        "load of the backend at which servers take their maxconn",
    ),
    row(
        "rate-limit",
        P,
        ANY,
        rate_limit,
        "sessions <rate>: most sessions accepted per second",
    ),
    row(
        "default_backend",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(cursor, Side::Front, "default_backend", "");
            let Some(word) = cursor.next() else {
                return Err(refuse(cursor, "'default_backend' expects a backend name."));
            };
            draft.proxy.default_backend = Some(NameRef {
                name: word.text().into_owned(),
                span: word.span(),
            });
            Ok(())
        },
        "backend of requests that no rule sends elsewhere",
    ),
    row(
        "use_backend",
        P,
        ANY,
        use_backend,
        "backend of all requests; conditions come later",
    ),
    row(
        "monitor-uri",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(cursor, Side::Front, "monitor-uri", "");
            let Some(word) = cursor.next() else {
                return Err(refuse(cursor, "'monitor-uri' expects an URI."));
            };
            draft.proxy.settings.monitor_uri = Some(word.bytes().into());
            Ok(())
        },
        "URI answered at once with 200",
    ),
    row(
        "retries",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(cursor, Side::Back, "retries", "");
            if cursor.peek().is_none() {
                return Err(refuse(
                    cursor,
                    "'retries' expects an integer argument (dispatch counts for one).",
                ));
            }
            draft.proxy.settings.retries = clamp_u32(loose_int(cursor)?);
            Ok(())
        },
        "further attempts after a failed connection",
    ),
    row(
        "retry-on",
        P,
        ANY,
        retry_on,
        "failures after which a request may be sent again",
    ),
    row(
        "http-reuse",
        P,
        ONE,
        |cursor, draft| {
            draft.proxy.has_side(cursor, Side::Back, "http-reuse", "");
            let word = cursor.next();
            let is = |name: &str| word.is_some_and(|word| word.is(name));
            draft.proxy.settings.http_reuse = if is("never") {
                HttpReuse::Never
            } else if is("safe") {
                HttpReuse::Safe
            } else if is("aggressive") {
                HttpReuse::Aggressive
            } else if is("always") {
                HttpReuse::Always
            } else {
                return Err(refuse(
                    cursor,
                    "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.",
                ));
            };
            Ok(())
        },
        "sharing of idle server connections: never, safe, aggressive or always",
    ),
    row(
        "max-keep-alive-queue",
        P,
        ANY,
        keep_alive_queue,
        "queue of a server beyond which a request leaves its connection, -1 for no limit",
    ),
    row(
        "max-session-srv-conns",
        P,
        ANY,
        |cursor, draft| {
            draft
                .proxy
                .has_side(cursor, Side::Front, "max-session-srv-conns", "");
            let Some(word) = cursor.next() else {
                return Err(refuse(
                    cursor,
                    "'max-session-srv-conns' expects a number. Got no argument",
                ));
            };
            let number = leading_int(word.bytes());
            draft.proxy.settings.max_session_srv_conns = u32::try_from(number).unwrap_or(0);
            let _ = cursor.rest();
            Ok(())
        },
        "most server connections kept idle for one client connection alone",
    ),
    row(
        "log-tag",
        P,
        ANY,
        |cursor, draft| {
            let Some(word) = cursor.next() else {
                return Err(refuse(cursor, "'log-tag' expects a tag for use in syslog."));
            };
            draft.proxy.settings.log_tag = Some(word.text().into());
            let _ = cursor.rest();
            Ok(())
        },
        "name of the program in this proxy's log lines",
    ),
    row(
        "transparent",
        P,
        Arity::NONE,
        |cursor, draft| {
            draft.proxy.settings.transparent = true;
            if !draft.global.deprecated {
                let text = "'transparent' is deprecated in 3.3 and will be removed in 3.5.";
                let help = "a server with address 0.0.0.0 does the same; 'expose-deprecated-directives' in 'global' \
                        silences this";
                cursor.note(close_form(
                    Diag::warning(Code::Deprecated, cursor.keyword_span(), text).with_help(help),
                ));
            }
            Ok(())
        },
        "connect to the address the client aimed at (deprecated)",
    ),
    row(
        "log-format",
        P,
        ANY,
        |cursor, draft| {
            let format = one_format(cursor)?;
            super::option::log_style(cursor, draft, LogStyle::Custom(format))
        },
        "format of log lines",
    ),
    row(
        "error-log-format",
        P,
        ANY,
        |cursor, draft| {
            let format = one_format(cursor)?;
            let span = cursor.line_span();
            let proxy = &mut draft.proxy;
            if proxy.error_log_format.is_some() && proxy.kind == Kind::Defaults {
                let text = "'error-log-format' overrides previous 'error-log-format' in 'defaults' section.";
                cursor.note(Diag::warning(Code::Overwritten, span, text).with_form(Form::Reader));
            }
            proxy.error_log_format = Some((format, span));
            if !proxy.caps().frontend {
                let text = format!(
                    "backend '{}' : 'error-log-format' directive is ignored in backends.",
                    proxy.name()
                );
                cursor.note(Diag::warning(Code::Ignored, span, text));
            }
            Ok(())
        },
        "format of log lines about connections that failed before a request",
    ),
    row(
        "clitcpka-cnt",
        P,
        ANY,
        |cursor, draft| {
            let value = probes(cursor, draft, Side::Front)?;
            client_probes(draft).count = value;
            Ok(())
        },
        "probes before a client's connection is called dead",
    ),
    row(
        "clitcpka-idle",
        P,
        ANY,
        |cursor, draft| {
            let value = seconds(cursor, draft, Side::Front)?;
            client_probes(draft).idle_s = value;
            Ok(())
        },
        "silence of a client before the first probe, seconds",
    ),
    row(
        "clitcpka-intvl",
        P,
        ANY,
        |cursor, draft| {
            let value = seconds(cursor, draft, Side::Front)?;
            client_probes(draft).interval_s = value;
            Ok(())
        },
        "time between two probes of a client, seconds",
    ),
    row(
        "srvtcpka-cnt",
        P,
        ANY,
        |cursor, draft| {
            let value = probes(cursor, draft, Side::Back)?;
            server_probes(draft).count = value;
            Ok(())
        },
        "probes before a server's connection is called dead",
    ),
    row(
        "srvtcpka-idle",
        P,
        ANY,
        |cursor, draft| {
            let value = seconds(cursor, draft, Side::Back)?;
            server_probes(draft).idle_s = value;
            Ok(())
        },
        "silence of a server before the first probe, seconds",
    ),
    row(
        "srvtcpka-intvl",
        P,
        ANY,
        |cursor, draft| {
            let value = seconds(cursor, draft, Side::Back)?;
            server_probes(draft).interval_s = value;
            Ok(())
        },
        "time between two probes of a server, seconds",
    ),
];

/// The one argument of a log format.
fn one_format(cursor: &mut ArgCursor<'_>) -> Result<Arc<[u8]>, Diag> {
    let keyword = cursor.keyword();
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, format!("{keyword} expects an argument.")));
    };
    if cursor.peek().is_some() {
        let text = format!("{keyword} expects only one argument, don't forget to escape spaces!");
        return Err(cursor.error_here(Code::UnexpectedArgument, text));
    }
    Ok(word.bytes().into())
}

/// A number of which 0 and less say nothing.
fn positive(value: i64) -> Option<u32> {
    match clamp_u32(value.min(i64::from(i32::MAX))) {
        0 => None,
        value => Some(value),
    }
}

fn mode(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let name = cursor
        .next()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    draft.proxy.settings.mode = match &*name {
        "tcp" => Mode::Tcp,
        "http" => Mode::Http,
        "health" => {
            let text =
                "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.";
            return Err(cursor.error_last(Code::Deprecated, text));
        }
        "log" | "spop" | "haterm" => {
            return Err(argument_not_supported(cursor, &format!("'mode {name}'")));
        }
        _ => {
            let diag = refuse(cursor, format!("unknown proxy mode '{name}'."));
            return Err(diag.with_nearest(name.as_bytes(), ["tcp", "http"]));
        }
    };
    Ok(())
}

fn id(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    draft.proxy.not_in_defaults(cursor)?;
    let Some(word) = cursor.peek() else {
        return Err(refuse(cursor, "'id' expects an integer argument."));
    };
    let span = word.span();
    match loose_int(cursor)? {
        value if value > 0 && value <= i64::from(i32::MAX) => {
            draft.proxy.id = Some((clamp_u32(value), span));
            Ok(())
        }
        _ => Err(cursor.error_last(Code::OutOfRange, "custom id has to be > 0.")),
    }
}

fn guid(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    draft.proxy.not_in_defaults(cursor)?;
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, "'guid' : expects an argument"));
    };
    check_guid(word.bytes()).map_err(|why| cursor.error_last(Code::BadName, format!("'guid': {why}")))?;
    draft.proxy.settings.guid = Some(word.text().into());
    draft.proxy.guid_span = Some(cursor.line_span());
    let _ = cursor.rest();
    Ok(())
}

/// Why a text is no `guid`.
pub(crate) fn check_guid(guid: &[u8]) -> Result<(), String> {
    if guid.is_empty() || guid.len() > MAX_GUID_BYTES {
        return Err("invalid length".to_owned());
    }
    match forbidden_char(guid) {
        Some(found) => Err(format!("invalid character '{found}'")),
        None => Ok(()),
    }
}

/// Balancing algorithms that come later.
const LATER: &[&str] = &[
    "source",
    "uri",
    "url_param",
    "hash",
    "log-hash",
    "sticky",
    "rdp-cookie",
    "hdr",
];

fn balance(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    draft.proxy.has_side(cursor, Side::Back, "balance", "");
    let word = cursor.next();
    let name = word.map(|word| word.text().into_owned()).unwrap_or_default();
    let algorithm = match &*name {
        "roundrobin" => Balance::RoundRobin,
        "static-rr" => Balance::StaticRr,
        "leastconn" => Balance::LeastConn,
        "first" => Balance::First,
        "" => Balance::Random(2),
        _ if name.starts_with("random") => Balance::Random(draws(cursor, name.as_bytes())?),
        _ if LATER.iter().any(|later| name.split('(').next() == Some(later)) => {
            return Err(argument_not_supported(cursor, &format!("'balance {name}'")));
        }
        _ => {
            let text = "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'first', 'random', 'source', \
                        'uri', 'url_param', 'hash', 'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options.";
            let names = ["roundrobin", "static-rr", "leastconn", "first", "random"];
            return Err(cursor
                .error_last(Code::BadChoice, text)
                .with_nearest(name.as_bytes(), names));
        }
    };
    // Further words are ignored by HAProxy.
    let _ = cursor.rest();
    draft.proxy.settings.balance = algorithm;
    draft.proxy.balance_given = true;
    Ok(())
}

/// The number in `random(<draws>)`, 2 without one.
fn draws(cursor: &ArgCursor<'_>, name: &[u8]) -> Result<u32, Diag> {
    let Some(argument) = name
        .strip_prefix(b"random(")
        .filter(|argument| !argument.starts_with(b")"))
    else {
        return Ok(2);
    };
    let error = |text: String| Err(cursor.error_last(Code::BadArgument, text));
    let (number, rest) = match based_int(argument) {
        Ok(_) => (0, &b""[..]),
        Err(at) => argument
            .split_at_checked(at)
            .map_or((0, &b""[..]), |(number, rest)| {
                (based_int(number).unwrap_or(0), rest)
            }),
    };
    match rest.first() {
        None => error("balance random : missing closing parenthesis.".to_owned()),
        Some(b')') if number < 1 => error("balance random : number of draws must be at least 1.".to_owned()),
        Some(b')') => Ok(clamp_u32(number)),
        Some(&other) => {
            let other = char::from(other).escape_default().to_string();
            error(format!(
                "balance random : unexpected character '{other}' after argument."
            ))
        }
    }
}

/// An integer of any base, with the words of the statements that use one.
fn any_base(cursor: &mut ArgCursor<'_>, prefix: &str) -> Result<i64, Diag> {
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, format!("{prefix} expects an integer value")));
    };
    based_int(word.bytes()).map_err(|at| {
        let found = word
            .bytes()
            .get(at)
            .map_or_else(String::new, |&byte| char::from(byte).escape_default().to_string());
        let text = format!("{prefix} : unexpected character '{found}' in integer value '{word}'");
        Diag::alert(Code::BadNumber, word.span_at(at), text)
    })
}

/// Warns when the proxy lacks the side of a keyword, in the words of those that still take the value.
fn note_side(cursor: &mut ArgCursor<'_>, draft: &Draft, side: Side, what: &str) -> bool {
    let proxy = &draft.proxy;
    if side.within(proxy.caps()) {
        return true;
    }
    let lacking = if side == Side::Back { "backend" } else { "frontend" };
    let text = format!(
        "{what} will be ignored because {} '{}' has no {lacking} capability",
        proxy.kind.noun(),
        proxy.name()
    );
    cursor.note(Diag::warning(Code::Ignored, cursor.line_span(), text));
    false
}

fn rate_limit(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if !cursor.accept("sessions") {
        let got = cursor
            .next()
            .map(|word| word.text().into_owned())
            .unwrap_or_default();
        return Err(refuse(
            cursor,
            format!("'rate-limit' only supports 'sessions' (got '{got}')"),
        ));
    }
    let value = any_base(cursor, "'rate-limit sessions'")?;
    let proxy = &draft.proxy;
    let before = proxy.settings.rate_limit_sessions;
    let inherited = proxy
        .parent
        .as_ref()
        .map_or(0, |parent| parent.settings.rate_limit_sessions);
    if note_side(cursor, draft, Side::Front, "rate-limit sessions")
        && draft.proxy.kind != Kind::Defaults
        && before != inherited
    {
        let text = "overwriting rate-limit sessions which was already specified";
        cursor.note(Diag::warning(Code::Overwritten, cursor.line_span(), text));
    }
    draft.proxy.settings.rate_limit_sessions = clamp_u32(value);
    let _ = cursor.rest();
    Ok(())
}

fn keep_alive_queue(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let value = any_base(cursor, "'max-keep-alive-queue'")?;
    note_side(cursor, draft, Side::Back, "max-keep-alive-queue");
    draft.proxy.settings.max_keep_alive_queue = u32::try_from(value).ok();
    let _ = cursor.rest();
    Ok(())
}

fn client_probes(draft: &mut Draft) -> &mut TcpKeepAlive {
    &mut draft.proxy.settings.client_keep_alive
}

fn server_probes(draft: &mut Draft) -> &mut TcpKeepAlive {
    &mut draft.proxy.settings.server_keep_alive
}

/// A number of probes; 0 leaves the system's.
fn probes(cursor: &mut ArgCursor<'_>, draft: &Draft, side: Side) -> Result<Option<u32>, Diag> {
    let keyword = cursor.keyword();
    let value = any_base(cursor, &format!("'{keyword}'"))?;
    note_side(cursor, draft, side, &keyword);
    let _ = cursor.rest();
    Ok(positive(value))
}

/// A time between probes in seconds; 0 leaves the system's.
fn seconds(cursor: &mut ArgCursor<'_>, draft: &Draft, side: Side) -> Result<Option<u32>, Diag> {
    let keyword = cursor.keyword();
    if cursor.peek().is_none() {
        return Err(refuse(cursor, format!("'{keyword}' expects an integer value")));
    }
    let value = cursor.time(TimeUnit::S)?;
    note_side(cursor, draft, side, &keyword);
    let _ = cursor.rest();
    Ok((value > 0).then_some(value))
}

fn use_backend(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    draft.proxy.not_in_defaults(cursor)?;
    draft.proxy.has_side(cursor, Side::Front, "use_backend", "");
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, "'use_backend' expects a backend name."));
    };
    if word.bytes().contains(&b'%') {
        return Err(argument_not_supported(
            cursor,
            "a backend name with a log-format in it",
        ));
    }
    match cursor.next() {
        None => {}
        Some(condition) if condition.is("if") || condition.is("unless") => {
            return Err(argument_not_supported(cursor, "a condition after 'use_backend'"));
        }
        Some(other) => {
            let text = format!(
                "unexpected keyword '{other}' after switching rule, only 'if' and 'unless' are allowed."
            );
            return Err(cursor.error_last(Code::UnexpectedArgument, text));
        }
    }
    draft.proxy.use_backend.push(NameRef {
        name: word.text().into_owned(),
        span: word.span(),
    });
    Ok(())
}

fn retry_on(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if cursor.peek().is_none() {
        return Err(refuse(
            cursor,
            "'retry-on' needs at least one keyword to specify when to retry",
        ));
    }
    if !draft.proxy.caps().backend {
        return Err(cursor.error(
            Code::WrongSection,
            "'retry-on' only available in backend or listen section",
        ));
    }
    let mut found = RetryOn {
        conn_failure: false,
        ..RetryOn::default()
    };
    let status_bit = |status: u16| {
        let at = RetryOn::STATUSES
            .iter()
            .position(|known| *known == status && status != 0);
        at.map_or(0, |bit| 1_u16 << bit)
    };
    let mut first = true;
    while let Some(word) = cursor.next() {
        match &*word.text() {
            "conn-failure" => found.conn_failure = true,
            "empty-response" => found.empty_response = true,
            "response-timeout" => found.response_timeout = true,
            "junk-response" => found.junk_response = true,
            "0rtt-rejected" => found.early_data_rejected = true,
            "all-retryable-errors" => {
                found.conn_failure = true;
                found.empty_response = true;
                found.response_timeout = true;
                found.junk_response = true;
                found.early_data_rejected = true;
                found.statuses |= [500, 502, 503, 504]
                    .into_iter()
                    .fold(0, |bits, status| bits | status_bit(status));
            }
            "none" if first && cursor.peek().is_none() => {}
            "none" => {
                return Err(cursor.error_last(Code::Conflict, "'retry-on' 'none' keyword only usable alone"));
            }
            name => match name.parse().map_or(0, status_bit) {
                0 => {
                    let text = format!("'retry-on': unknown keyword '{name}'");
                    let names = [
                        "none",
                        "conn-failure",
                        "empty-response",
                        "junk-response",
                        "response-timeout",
                        "0rtt-rejected",
                        "all-retryable-errors",
                    ];
                    return Err(cursor
                        .error_last(Code::BadChoice, text)
                        .with_nearest(name.as_bytes(), names));
                }
                bit => found.statuses |= bit,
            },
        }
        first = false;
    }
    draft.proxy.settings.retry_on = found;
    Ok(())
}
