//! Rows of `global` about TLS: the grammar is checked and they are accepted as long as no line asks for TLS, since
//! they stand in every distribution's default file. Source: configuration manual, chapter 3.1 and 3.2.

use super::tune_later::{flag, number, switch};
use super::{leading_int, refuse, row};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::TimeUnit;
use crate::policy::draft::Draft;
use crate::policy::host::PathKind;

const G: Where = Where::GLOBAL;
const ONE: Arity = Arity::at_most(1);

/// Largest file with parameters, bytes.
const MAX_DH_BYTES: usize = 1 << 20;

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "ca-base",
        G,
        ONE,
        directory,
        "directory of authorities; accepted without effect until TLS comes",
    ),
    row(
        "crt-base",
        G,
        ONE,
        directory,
        "directory of certificates; accepted without effect until TLS comes",
    ),
    row(
        "key-base",
        G,
        ONE,
        directory,
        "directory of keys; accepted without effect until TLS comes",
    ),
    row(
        "issuers-chain-path",
        G,
        ONE,
        chains,
        "directory of chains; accepted without effect until TLS comes",
    ),
    row(
        "maxsslconn",
        G,
        ONE,
        required_number,
        "most TLS connections; accepted without effect until TLS comes",
    ),
    row(
        "maxsslrate",
        G,
        ONE,
        required_number,
        "most TLS handshakes per second; accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-bind-ciphers",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-bind-ciphersuites",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-bind-client-sigalgs",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-bind-curves",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-bind-options",
        G,
        Arity::ANY,
        bind_options,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-bind-sigalgs",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-server-ciphers",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-server-ciphersuites",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-server-client-sigalgs",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-server-curves",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-server-options",
        G,
        Arity::ANY,
        server_options,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-default-server-sigalgs",
        G,
        ONE,
        text,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-dh-param-file",
        G,
        ONE,
        dh_params,
        "read and checked; accepted without effect until TLS comes",
    ),
    row(
        "ssl-load-extra-del-ext",
        G,
        Arity::ANY,
        |cursor, _| {
            let _ = cursor.rest();
            Ok(())
        },
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-load-extra-files",
        G,
        Arity::ANY,
        extra_files,
        "accepted without effect until TLS comes",
    ),
    row(
        "ssl-security-level",
        G,
        Arity::ANY,
        |cursor, _| {
            super::tune::whole(cursor, 0, 5)?;
            let _ = cursor.rest();
            Ok(())
        },
        "0 to 5; accepted without effect until TLS comes",
    ),
    row(
        "ssl-server-verify",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("none", ()), ("required", ())]),
        "none or required; accepted without effect until TLS comes",
    ),
    row(
        "ssl-skip-self-issued-ca",
        G,
        Arity::NONE,
        flag,
        "accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.cachesize",
        G,
        ONE,
        required_number,
        "sessions; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.capture-buffer-size",
        G,
        ONE,
        required_number,
        "bytes; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.capture-cipherlist-size",
        G,
        ONE,
        |cursor, draft| {
            let text = "'tune.ssl.capture-cipherlist-size' is deprecated. Please use 'tune.ssl.capture-buffer-size' instead.";
            cursor.warn(Code::Deprecated, text);
            required_number(cursor, draft)
        },
        "bytes; deprecated; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.certificate-compression",
        G,
        ONE,
        |cursor, _| cursor.choice(&[("auto", ()), ("off", ())]),
        "auto or off; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.default-dh-param",
        G,
        ONE,
        |cursor, _| {
            let value = super::loose_int(cursor)?;
            if value >= 1024 {
                return Ok(());
            }
            Err(cursor.error_last(
                Code::OutOfRange,
                "'tune.ssl.default-dh-param' expects a value >= 1024.",
            ))
        },
        "bits; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.force-private-cache",
        G,
        Arity::NONE,
        flag,
        "accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.hard-maxrecord",
        G,
        ONE,
        required_number,
        "bytes; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.keylog",
        G,
        ONE,
        switch,
        "on or off; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.lifetime",
        G,
        ONE,
        |cursor, _| cursor.time(TimeUnit::S).map(drop),
        "seconds; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.maxrecord",
        G,
        ONE,
        required_number,
        "bytes; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.ocsp-update.maxdelay",
        G,
        ONE,
        number,
        "seconds; deprecated; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.ocsp-update.mindelay",
        G,
        ONE,
        number,
        "seconds; deprecated; accepted without effect until TLS comes",
    ),
    row(
        "tune.ssl.ssl-ctx-cache-size",
        G,
        ONE,
        required_number,
        "contexts; accepted without effect until TLS comes",
    ),
    row(
        "ocsp-update.disable",
        G,
        ONE,
        switch,
        "on or off; accepted without effect until TLS comes",
    ),
    row(
        "ocsp-update.maxdelay",
        G,
        ONE,
        number,
        "seconds; accepted without effect until TLS comes",
    ),
    row(
        "ocsp-update.mindelay",
        G,
        ONE,
        number,
        "seconds; accepted without effect until TLS comes",
    ),
    row(
        "ocsp-update.mode",
        G,
        ONE,
        switch,
        "on or off; accepted without effect until TLS comes",
    ),
];

/// One word: a list of algorithms, a file.
fn text(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    match cursor.next() {
        Some(_) => Ok(()),
        None => Err(refuse(
            cursor,
            format!("global statement '{keyword}' expects a value as an argument."),
        )),
    }
}

/// A directory, which may be given once.
fn directory(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    if cursor.next().is_none() {
        let text = format!("global statement '{keyword}' expects a directory path as an argument.");
        return Err(refuse(cursor, text));
    }
    if !draft.global.given_once.insert(keyword.clone()) {
        return Err(cursor.error(Code::Overwritten, format!("'{keyword}' already specified.")));
    }
    Ok(())
}

/// A directory that must be there.
fn chains(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let word = cursor.next();
    let text = match word.map(|word| draft.host.path_kind(&draft.path(word.bytes()))) {
        Some(Ok(PathKind::Directory)) => return Ok(()),
        Some(Ok(_)) => {
            let name = word.map(Arg::text).unwrap_or_default();
            format!("global statement '{keyword}': {name} is not a directory.")
        }
        Some(Err(_)) | None => {
            format!("global statement '{keyword}' expects a directory path as an argument.")
        }
    };
    Err(refuse(cursor, text))
}

/// A file with parameters of Diffie and Hellman, which nothing uses without TLS: that they are there is checked, since a
/// file that went missing must show at the start.
fn dh_params(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let Some(word) = cursor.next() else {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects a file path as an argument."),
        ));
    };
    let read = draft.host.read_file(&draft.path(word.bytes()), MAX_DH_BYTES);
    let holds = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        ["DH PARAMETERS", "X9.42 DH PARAMETERS"].iter().any(|label| {
            let after = text.split_once(&format!("-----BEGIN {label}-----"));
            after.is_some_and(|(_, after)| after.contains(&format!("-----END {label}-----")))
        })
    };
    if read.is_ok_and(|text| holds(&text)) {
        return Ok(());
    }
    let text = format!("'{keyword}': unable to load DH parameters from file <{word}>.");
    Err(cursor.error_last(Code::FileError, text))
}

/// A number that must be there, 0 or more.
fn required_number(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let Some(word) = cursor.next() else {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects an integer argument."),
        ));
    };
    if leading_int(word.bytes()) < 0 {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects a positive numeric value."),
        ));
    }
    Ok(())
}

/// TLS versions.
const VERSIONS: [&str; 5] = ["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// Options that allow or force one version.
const VERSION_OPTIONS: [&str; 10] = [
    "no-sslv3",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
];

/// A list of options of which `own` are not about versions.
fn options(cursor: &mut ArgCursor<'_>, own: &[&'static str]) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    if cursor.peek().is_none() {
        let text = format!("global statement '{keyword}' expects an option as an argument.");
        return Err(refuse(cursor, text));
    }
    while let Some(word) = cursor.next() {
        if word.is("ssl-min-ver") || word.is("ssl-max-ver") {
            match cursor.next() {
                Some(version) if VERSIONS.iter().any(|known| version.is(known)) => {}
                Some(version) => {
                    let text =
                        format!("'{version}' : unknown ssl/tls version on global statement '{keyword}'.");
                    let diag = cursor.error_last(Code::BadChoice, text);
                    return Err(diag.with_nearest(version.bytes(), VERSIONS));
                }
                None => {
                    let text =
                        format!("'{word}' : missing the ssl/tls version on global statement '{keyword}'.");
                    return Err(cursor.error_here(Code::MissingArgument, text));
                }
            }
        } else if !own.iter().chain(&VERSION_OPTIONS).any(|known| word.is(known)) {
            let text = format!("unknown option '{word}' on global statement '{keyword}'.");
            let names = own.iter().chain(&VERSION_OPTIONS).copied();
            return Err(cursor
                .error_last(Code::BadChoice, text)
                .with_nearest(word.bytes(), names));
        }
    }
    Ok(())
}

fn bind_options(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    options(
        cursor,
        &[
            "no-tls-tickets",
            "tls-tickets",
            "prefer-client-ciphers",
            "strict-sni",
            "no-strict-sni",
        ],
    )
}

fn server_options(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    options(cursor, &["no-tls-tickets", "renegotiate", "no-renegotiate"])
}

fn extra_files(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let count = cursor.remaining();
    if count == 0 {
        let text = "'ssl-load-extra-files' expects one or multiple arguments (none, all, bundle, sctl, ocsp, issuer).";
        return Err(refuse(cursor, text));
    }
    while cursor.peek().is_some() {
        let alone = cursor.choice(&[
            ("none", true),
            ("all", true),
            ("bundle", false),
            ("sctl", false),
            ("ocsp", false),
            ("issuer", false),
            ("key", false),
        ])?;
        if alone && count > 1 {
            let text = "'ssl-load-extra-files' 'none' and 'all' can be only used alone";
            return Err(cursor.error_last(Code::Conflict, text));
        }
    }
    Ok(())
}
