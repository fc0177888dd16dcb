//! The values that a log line may hold: one row per alias of the log-format language.
//!
//! For the parser of formats ([`super::format`]) and for the reference. A row tells how the value is called, and
//! what must be known before it can be printed. Source: configuration manual, "Custom log format".

use crate::model::format::{Field, Needs};

/// How a value is written in a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `%name`
    Alias(&'static str),
    /// `%[name]`: an expression that the built-in formats hold, known by its text.
    Expression(&'static str),
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// How it is written.
    pub name: Name,
    /// Which value it is.
    pub field: Field,
    /// It has a value in HTTP mode only.
    pub is_http: bool,
    /// What it waits for.
    pub needs: Needs,
    /// What it is, with its unit.
    pub doc: &'static str,
}

const NOTHING: Needs = Needs {
    request: false,
    end: false,
    other: false,
};
const REQUEST: Needs = Needs {
    request: true,
    ..NOTHING
};
const END: Needs = Needs { end: true, ..NOTHING };
const OTHER: Needs = Needs {
    other: true,
    ..NOTHING
};

const fn alias(name: &'static str, field: Field, is_http: bool, needs: Needs, doc: &'static str) -> Row {
    Row {
        name: Name::Alias(name),
        field,
        is_http,
        needs,
        doc,
    }
}

const fn expr(name: &'static str, field: Field, doc: &'static str) -> Row {
    Row {
        name: Name::Expression(name),
        field,
        is_http: false,
        needs: OTHER,
        doc,
    }
}

/// All values.
pub const FIELDS: &[Row] = &[
    alias(
        "o",
        Field::Options,
        false,
        NOTHING,
        "no value: its flags hold for the aliases that follow",
    ),
    alias(
        "OG",
        Field::Origin,
        false,
        NOTHING,
        "what caused the line: txn_close, sess_error, ...",
    ),
    alias(
        "B",
        Field::BytesRead,
        false,
        END,
        "bytes sent by the server to the client",
    ),
    alias(
        "CC",
        Field::RequestCookie,
        true,
        OTHER,
        "captured cookie of the request",
    ),
    alias(
        "CS",
        Field::ResponseCookie,
        true,
        OTHER,
        "captured cookie of the response",
    ),
    alias("H", Field::Hostname, false, NOTHING, "name of this host"),
    alias(
        "ID",
        Field::UniqueId,
        false,
        END,
        "unique identifier of the request",
    ),
    alias(
        "ST",
        Field::StatusCode,
        true,
        OTHER,
        "status sent to the client, 0 for none",
    ),
    alias(
        "T",
        Field::AcceptDateGmt,
        false,
        NOTHING,
        "date of the accept, GMT",
    ),
    alias(
        "Ta",
        Field::ActiveTime,
        true,
        END,
        "milliseconds from the first byte of the request to the end",
    ),
    alias(
        "Tc",
        Field::ConnectTime,
        false,
        END,
        "milliseconds to connect to the server, -1 if never",
    ),
    alias(
        "Th",
        Field::HandshakeTime,
        false,
        END,
        "milliseconds of handshakes before the first request",
    ),
    alias(
        "Ti",
        Field::IdleTime,
        true,
        END,
        "milliseconds of idleness before the request",
    ),
    alias(
        "Tl",
        Field::AcceptDateLocal,
        false,
        NOTHING,
        "date of the accept, local time with its offset",
    ),
    alias(
        "Tq",
        Field::QueryTime,
        true,
        END,
        "milliseconds from the accept to the whole request: Th + Ti + TR",
    ),
    alias(
        "Tr",
        Field::ResponseTime,
        true,
        END,
        "milliseconds the server took to respond, -1 if it did not",
    ),
    alias(
        "TR",
        Field::RequestTime,
        true,
        END,
        "milliseconds to receive the request, -1 if it never was complete",
    ),
    alias("Td", Field::DataTime, false, END, "milliseconds of data transfer"),
    alias(
        "Ts",
        Field::AcceptSeconds,
        false,
        NOTHING,
        "date of the accept, seconds since 1970",
    ),
    alias(
        "Tt",
        Field::TotalTime,
        false,
        END,
        "milliseconds from the accept to the end",
    ),
    alias(
        "Tu",
        Field::UserTime,
        false,
        END,
        "milliseconds as the user felt them: Tt - Ti",
    ),
    alias(
        "Tw",
        Field::QueueTime,
        false,
        END,
        "milliseconds of waiting in queues, -1 if it never left them",
    ),
    alias(
        "U",
        Field::BytesUploaded,
        false,
        END,
        "bytes sent by the client to the server",
    ),
    alias("ac", Field::ActiveConns, false, END, "connections of the process"),
    alias("b", Field::BackendName, false, NOTHING, "backend"),
    alias(
        "bc",
        Field::BackendConns,
        false,
        END,
        "connections of the backend",
    ),
    alias(
        "bi",
        Field::BackendSourceIp,
        false,
        OTHER,
        "local address of the connection to the server",
    ),
    alias(
        "bp",
        Field::BackendSourcePort,
        false,
        OTHER,
        "local port of the connection to the server",
    ),
    alias(
        "bq",
        Field::BackendQueue,
        false,
        END,
        "requests that were ahead in the backend's queue",
    ),
    alias("ci", Field::ClientIp, false, OTHER, "client address"),
    alias(
        "cp",
        Field::ClientPort,
        false,
        OTHER,
        "client port, or the listener's number on a UNIX socket",
    ),
    alias("f", Field::FrontendName, false, NOTHING, "frontend"),
    alias(
        "fc",
        Field::FrontendConns,
        false,
        END,
        "connections of the frontend",
    ),
    alias(
        "fi",
        Field::FrontendIp,
        false,
        OTHER,
        "address that the client connected to",
    ),
    alias(
        "fp",
        Field::FrontendPort,
        false,
        OTHER,
        "port that the client connected to",
    ),
    alias(
        "ft",
        Field::FrontendNameTransport,
        false,
        NOTHING,
        "frontend, with `~` after it on TLS",
    ),
    alias(
        "hr",
        Field::RequestCaptures,
        false,
        OTHER,
        "captured request headers: {a|b}",
    ),
    alias(
        "hrl",
        Field::RequestCapturesList,
        false,
        OTHER,
        "captured request headers as separate words",
    ),
    alias(
        "hs",
        Field::ResponseCaptures,
        false,
        OTHER,
        "captured response headers: {a|b}",
    ),
    alias(
        "hsl",
        Field::ResponseCapturesList,
        false,
        OTHER,
        "captured response headers as separate words",
    ),
    alias("HM", Field::HttpMethod, true, REQUEST, "method"),
    alias(
        "HP",
        Field::HttpPath,
        true,
        REQUEST,
        "request target without its query",
    ),
    alias("HPO", Field::HttpPathOnly, true, REQUEST, "path alone"),
    alias(
        "HQ",
        Field::HttpQuery,
        true,
        REQUEST,
        "query, from its question mark on",
    ),
    alias("HU", Field::HttpUri, true, REQUEST, "request target"),
    alias("HV", Field::HttpVersion, true, REQUEST, "version"),
    alias(
        "lc",
        Field::LogCounter,
        false,
        NOTHING,
        "number of the line in its frontend",
    ),
    alias(
        "ms",
        Field::AcceptMilliseconds,
        false,
        NOTHING,
        "milliseconds of the date of the accept",
    ),
    alias("pid", Field::Pid, false, NOTHING, "number of this process"),
    alias("r", Field::HttpRequest, true, REQUEST, "request line"),
    alias(
        "rc",
        Field::Retries,
        false,
        END,
        "connection attempts after the first, with `+` for a redispatch",
    ),
    alias(
        "rt",
        Field::RequestCounter,
        true,
        REQUEST,
        "number of the request in this process",
    ),
    alias("s", Field::ServerName, false, OTHER, "server"),
    alias("sc", Field::ServerConns, false, END, "connections of the server"),
    alias("si", Field::ServerIp, false, OTHER, "server address"),
    alias("sp", Field::ServerPort, false, OTHER, "server port"),
    alias(
        "sq",
        Field::ServerQueue,
        false,
        END,
        "requests that were ahead in the server's queue",
    ),
    alias(
        "sslc",
        Field::TlsCipher,
        false,
        OTHER,
        "TLS cipher of the client connection",
    ),
    alias(
        "sslv",
        Field::TlsVersion,
        false,
        OTHER,
        "TLS version of the client connection",
    ),
    alias(
        "t",
        Field::AcceptDate,
        false,
        NOTHING,
        "date of the accept, local time with milliseconds",
    ),
    alias(
        "tr",
        Field::RequestDate,
        true,
        NOTHING,
        "date of the request, local time with milliseconds",
    ),
    alias(
        "trg",
        Field::RequestDateGmt,
        true,
        NOTHING,
        "date of the request, GMT",
    ),
    alias(
        "trl",
        Field::RequestDateLocal,
        true,
        NOTHING,
        "date of the request, local time with its offset",
    ),
    alias(
        "ts",
        Field::TerminationState,
        false,
        END,
        "who ended the stream and when, two letters",
    ),
    alias(
        "tsc",
        Field::TerminationStateCookie,
        false,
        NOTHING,
        "the same and two letters on persistence cookies",
    ),
    expr(
        "fc_err",
        Field::ConnError,
        "number of the client connection's error, 0 for none",
    ),
    expr(
        "ssl_fc_err,hex",
        Field::TlsError,
        "last error of the TLS library on the client connection",
    ),
    expr(
        "ssl_c_err",
        Field::TlsClientError,
        "error met while checking the client's certificate",
    ),
    expr(
        "ssl_c_ca_err",
        Field::TlsClientCaError,
        "error met while checking the chain of the client's certificate",
    ),
    expr(
        "ssl_fc_is_resumed",
        Field::TlsResumed,
        "1 when the client's TLS session was resumed, else 0",
    ),
    expr(
        "ssl_fc_sni",
        Field::TlsSni,
        "server name asked for by the client in TLS",
    ),
];

/// The row of `%name`.
pub fn by_alias(name: &[u8]) -> Option<&'static Row> {
    FIELDS
        .iter()
        .find(|row| matches!(row.name, Name::Alias(alias) if alias.as_bytes() == name))
}

/// The row of `%[text]`.
pub fn by_expression(text: &[u8]) -> Option<&'static Row> {
    FIELDS
        .iter()
        .find(|row| matches!(row.name, Name::Expression(expr) if expr.as_bytes() == text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_complete() {
        for (at, row) in FIELDS.iter().enumerate() {
            assert!(!row.doc.is_empty(), "{:?}", row.name);
            let later = &FIELDS[at + 1..];
            assert!(
                later
                    .iter()
                    .all(|other| other.name != row.name && other.field != row.field),
                "{:?}",
                row.name
            );
        }
        assert_eq!(
            by_alias(b"hrl").map(|row| row.field),
            Some(Field::RequestCapturesList)
        );
        assert_eq!(
            by_expression(b"fc_err").map(|row| row.field),
            Some(Field::ConnError)
        );
        assert!(by_alias(b"fc_err").is_none() && by_expression(b"ci").is_none());
        assert_eq!(by_alias(b"pid").map(|row| row.field), Some(Field::Pid));
    }
}
