//! Keywords that HAProxy removed: each is refused with what took its place.
//! Source: the messages of HAProxy 3.4.0 and the manual's notes on removed keywords.

use super::row;
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::policy::draft::Draft;

const P: Where = Where::PROXY;
const ANY: Arity = Arity::ANY;

/// The report: since when, and what to write instead.
fn gone(cursor: &ArgCursor<'_>, since: &str, instead: &str) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let text = if instead.is_empty() {
        format!("The '{keyword}' directive is not supported anymore since HAProxy {since}.")
    } else {
        format!(
            "The '{keyword}' directive is not supported anymore since HAProxy {since}. Use {instead} instead."
        )
    };
    Err(cursor.error(Code::Deprecated, text))
}

fn request_rewrite(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let instead = "'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header'";
    gone(cursor, "2.1", instead)
}

fn request_replace(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-request replace-header'")
}

fn request_delete(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-request del-header'")
}

fn request_deny(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-request deny'")
}

fn request_allow(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-request allow'")
}

fn request_tarpit(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-request tarpit'")
}

fn request_pass(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "")
}

fn response_replace(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-response replace-header'")
}

fn response_delete(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-response del-header'")
}

fn response_deny(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'http-response deny'")
}

fn redispatch(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    gone(cursor, "2.1", "'option redispatch'")
}

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "appsession",
        P,
        ANY,
        |cursor, _| gone(cursor, "1.6", "'stick' rules"),
        "removed: stick rules do it",
    ),
    row(
        "bind-process",
        P,
        ANY,
        |cursor, _| gone(cursor, "2.7", ""),
        "removed with the processes it named",
    ),
    row("block", P, ANY, request_deny, "removed: use 'http-request deny'"),
    row(
        "cliexp",
        P,
        ANY,
        request_rewrite,
        "removed: use http-request rules",
    ),
    row(
        "grace",
        P,
        ANY,
        |cursor, _| gone(cursor, "2.5", ""),
        "removed from proxies: see 'grace' in global",
    ),
    row(
        "monitor-net",
        P,
        ANY,
        |cursor, _| {
            let text = "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if { src ... }' \
                    instead.";
            Err(cursor.error(Code::Deprecated, text))
        },
        "removed: use 'http-request return'",
    ),
    row(
        "nbproc",
        Where::GLOBAL,
        ANY,
        |cursor, _| {
            let text = "nbproc is not supported any more since HAProxy 2.5.";
            Err(cursor.error(Code::Deprecated, text))
        },
        "removed: one process serves",
    ),
    row("redisp", P, ANY, redispatch, "removed: use 'option redispatch'"),
    row(
        "redispatch",
        P,
        ANY,
        redispatch,
        "removed: use 'option redispatch'",
    ),
    row(
        "reqadd",
        P,
        ANY,
        |cursor, _| gone(cursor, "2.1", "'http-request add-header'"),
        "removed: use 'http-request add-header'",
    ),
    row(
        "reqallow",
        P,
        ANY,
        request_allow,
        "removed: use 'http-request allow'",
    ),
    row(
        "reqdel",
        P,
        ANY,
        request_delete,
        "removed: use 'http-request del-header'",
    ),
    row(
        "reqdeny",
        P,
        ANY,
        request_deny,
        "removed: use 'http-request deny'",
    ),
    row(
        "reqiallow",
        P,
        ANY,
        request_allow,
        "removed: use 'http-request allow'",
    ),
    row(
        "reqidel",
        P,
        ANY,
        request_delete,
        "removed: use 'http-request del-header'",
    ),
    row(
        "reqideny",
        P,
        ANY,
        request_deny,
        "removed: use 'http-request deny'",
    ),
    row("reqipass", P, ANY, request_pass, "removed"),
    row(
        "reqirep",
        P,
        ANY,
        request_replace,
        "removed: use 'http-request replace-header'",
    ),
    row(
        "reqitarpit",
        P,
        ANY,
        request_tarpit,
        "removed: use 'http-request tarpit'",
    ),
    row("reqpass", P, ANY, request_pass, "removed"),
    row(
        "reqrep",
        P,
        ANY,
        request_rewrite,
        "removed: use http-request rules",
    ),
    row(
        "reqtarpit",
        P,
        ANY,
        request_tarpit,
        "removed: use 'http-request tarpit'",
    ),
    row(
        "rspadd",
        P,
        ANY,
        |cursor, _| gone(cursor, "2.1", "'http-response add-header'"),
        "removed: use 'http-response add-header'",
    ),
    row(
        "rspdel",
        P,
        ANY,
        response_delete,
        "removed: use 'http-response del-header'",
    ),
    row(
        "rspdeny",
        P,
        ANY,
        response_deny,
        "removed: use 'http-response deny'",
    ),
    row(
        "rspidel",
        P,
        ANY,
        response_delete,
        "removed: use 'http-response del-header'",
    ),
    row(
        "rspideny",
        P,
        ANY,
        response_deny,
        "removed: use 'http-response deny'",
    ),
    row(
        "rspirep",
        P,
        ANY,
        response_replace,
        "removed: use 'http-response replace-header'",
    ),
    row(
        "rsprep",
        P,
        ANY,
        response_replace,
        "removed: use 'http-response replace-header'",
    ),
    row(
        "srvexp",
        P,
        ANY,
        response_replace,
        "removed: use 'http-response replace-header'",
    ),
    row(
        "stats bind-process",
        Where::GLOBAL,
        ANY,
        |cursor, _| Err(cursor.error(Code::Deprecated, "'stats bind-process' is not supported anymore.")),
        "removed with the processes it named",
    ),
    row(
        "usesrc",
        P,
        ANY,
        |cursor, _| {
            Err(cursor.error(
                Code::WrongSection,
                "'usesrc' only allowed after a 'source' statement.",
            ))
        },
        "an argument of 'source', not a keyword",
    ),
];
