//! The `timeout` rows of proxies. Source: configuration manual, chapter 4.2; the warnings follow HAProxy 3.4.0.

use super::row;
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::model::proxy::Timeouts;
use crate::policy::draft::{Draft, Kind, Side};

const P: Where = Where::PROXY;
const ANY: Arity = Arity::ANY;

/// A bare number of milliseconds below this is probably meant in seconds.
const SUSPICIOUS_BELOW_MS: u32 = 100;

/// The rows; 0 switches a timeout off.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "timeout check",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Back, |t| &mut t.check_ms),
        "further time for the answer of a health check, milliseconds; without effect until checks come",
    ),
    row(
        "timeout client",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Front, |t| &mut t.client_ms),
        "silence of the client, milliseconds",
    ),
    row(
        "timeout client-fin",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Front, |t| &mut t.client_fin_ms),
        "silence of the client when one direction is closed, milliseconds",
    ),
    row(
        "timeout client-hs",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Front, |t| &mut t.client_hs_ms),
        "time for the handshakes of the client's connection, milliseconds",
    ),
    row(
        "timeout connect",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Back, |t| &mut t.connect_ms),
        "time for a connection to a server to be established, milliseconds",
    ),
    row(
        "timeout http-keep-alive",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Any, |t| &mut t.http_keep_alive_ms),
        "time for the next request to begin, milliseconds",
    ),
    row(
        "timeout http-request",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Any, |t| &mut t.http_request_ms),
        "time for a whole request head, milliseconds",
    ),
    row(
        "timeout queue",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Back, |t| &mut t.queue_ms),
        "time in the queue of a backend or server, milliseconds",
    ),
    row(
        "timeout server",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Back, |t| &mut t.server_ms),
        "silence of the server, milliseconds",
    ),
    row(
        "timeout server-fin",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Back, |t| &mut t.server_fin_ms),
        "silence of the server when one direction is closed, milliseconds",
    ),
    row(
        "timeout tarpit",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Any, |t| &mut t.tarpit_ms),
        "how long a tarpitted request is held, milliseconds; without effect until tarpits come",
    ),
    row(
        "timeout tunnel",
        P,
        ANY,
        |cursor, draft| set(cursor, draft, Side::Back, |t| &mut t.tunnel_ms),
        "silence of a tunnel, both directions together, milliseconds",
    ),
    row(
        "timeout",
        P,
        ANY,
        |cursor, _| {
            let word = cursor.next();
            let got = word.map(|word| word.text().into_owned()).unwrap_or_default();
            let text = format!(
                "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'handshake', 'http-keep-alive', \
             'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got '{got}')"
            );
            let diag = match word {
                Some(_) => cursor.error_last(Code::BadChoice, text),
                None => cursor.error_here(Code::MissingArgument, text),
            };
            let names = ROWS.iter().filter_map(|row| row.name.strip_prefix("timeout "));
            Err(diag.with_nearest(got.as_bytes(), names))
        },
        "a timeout by name",
    ),
    row(
        "clitimeout",
        P,
        ANY,
        |cursor, _| replaced(cursor, "timeout client"),
        "removed: use 'timeout client'",
    ),
    row(
        "srvtimeout",
        P,
        ANY,
        |cursor, _| replaced(cursor, "timeout server"),
        "removed: use 'timeout server'",
    ),
    row(
        "contimeout",
        P,
        ANY,
        |cursor, _| replaced(cursor, "timeout connect"),
        "removed: use 'timeout connect'",
    ),
];

/// The report for one of the oldest names.
fn replaced(cursor: &ArgCursor<'_>, by: &str) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let text = format!("the '{keyword}' directive is not supported anymore since HAProxy 2.1. Use '{by}'.");
    Err(cursor.error(Code::Deprecated, text))
}

/// Reads a timeout into its field.
fn set(
    cursor: &mut ArgCursor<'_>,
    draft: &mut Draft,
    side: Side,
    field: fn(&mut Timeouts) -> &mut Option<u32>,
) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let word = cursor.peek();
    let value = cursor.time_ms()?;
    if let Some(extra) = cursor.peek() {
        let given = word.map(|word| word.text().into_owned()).unwrap_or_default();
        let text = format!("'{keyword}' : unexpected extra argument '{extra}' after value '{given}'.");
        return Err(cursor.error_here(Code::UnexpectedArgument, text));
    }
    let proxy = &mut draft.proxy;
    let value_ms = (value > 0).then_some(value);
    // One warning per line, the last one that holds, as HAProxy has it.
    let mut warning = None;
    let bare = word.is_some_and(|word| word.bytes().iter().all(u8::is_ascii_digit));
    if bare && (1..SUSPICIOUS_BELOW_MS).contains(&value) {
        let text = format!(
            "'{keyword} {value}' in {} '{}' is suspiciously small for a value in milliseconds. Please use an \
             explicit unit ('{value}ms') if that was the intent.",
            proxy.kind.noun(),
            proxy.name()
        );
        warning = Some((Code::Suspicious, text));
    }
    let before = *field(&mut proxy.settings.timeouts);
    if !side.within(proxy.caps()) {
        let lacking = if side == Side::Back { "backend" } else { "frontend" };
        let text = format!(
            "'{keyword}' will be ignored because {} '{}' has no {lacking} capability",
            proxy.kind.noun(),
            proxy.name()
        );
        warning = Some((Code::Ignored, text));
    } else if proxy.kind != Kind::Defaults && before != proxy.inherited(field) {
        warning = Some((
            Code::Overwritten,
            format!("overwriting '{keyword}' which was already specified"),
        ));
    }
    if let Some((code, text)) = warning {
        cursor.note(Diag::warning(code, cursor.line_span(), text));
    }
    *field(&mut proxy.settings.timeouts) = value_ms;
    Ok(())
}
