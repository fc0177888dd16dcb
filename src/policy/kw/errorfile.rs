//! The `errorfile` row: a whole HTTP response kept in a file, read and checked when the configuration is loaded.
//! Source: configuration manual, chapter 4.2 ("errorfile") and 10; what is refused follows HAProxy 3.4.0.

use std::sync::Arc;

use super::{leading_int, row};
use crate::conf::cursor::ArgCursor;
use crate::conf::diag::{Code, Diag};
use crate::conf::row::{Arity, Keyword, Where};
use crate::model::proxy::ErrorFile;
use crate::policy::draft::Draft;

/// The statuses that may have a file.
pub const STATUSES: [u16; 21] = [
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 431, 500, 501, 502, 503, 504,
];

/// Largest file that is read; what exceeds a buffer is cut off anyway.
const MAX_FILE_BYTES: usize = 256 << 20;

/// Most headers in a file.
const MAX_HEADERS: usize = 101;

/// The row.
pub const ROWS: &[Keyword<Draft>] = &[row(
    "errorfile",
    Where::PROXY,
    Arity::ANY,
    errorfile,
    "status code and file whose text replaces the built-in response",
)];

fn errorfile(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let (Some(code), Some(file)) = (cursor.next(), cursor.next()) else {
        let text = "errorfile : expects <status_code> and <file> as arguments.";
        return Err(cursor.error_here(Code::MissingArgument, text));
    };
    if cursor.peek().is_some() {
        return Err(cursor.error_here(
            Code::UnexpectedArgument,
            "errorfile : expects exactly two arguments.",
        ));
    }
    let number = leading_int(code.bytes());
    let Some(status) = u16::try_from(number)
        .ok()
        .filter(|status| STATUSES.contains(status))
    else {
        let text = format!("errorfile : status code '{number}' not handled.");
        return Err(Diag::alert(Code::OutOfRange, code.span(), text));
    };
    let path = draft.path(file.bytes());
    let Ok(mut bytes) = draft.host.read_file(&path, MAX_FILE_BYTES) else {
        let text = format!("errorfile : error opening file '{file}'.");
        return Err(cursor.error_last(Code::FileError, text));
    };
    let most = draft.global.settings.tune.bufsize as usize;
    if bytes.len() > most {
        let text = format!("custom error message file '{file}' larger than {most} bytes. Truncating.");
        cursor.warn(Code::FileError, text);
        bytes.truncate(most);
    }
    if let Err(why) = check(&bytes) {
        return Err(cursor.error_last(Code::FileError, format!("errorfile : '{file}': {why}")));
    }
    let files = &mut draft.proxy.settings.error_files;
    files.retain(|known| known.status != status);
    files.push(ErrorFile {
        status,
        bytes: Arc::from(bytes),
    });
    Ok(())
}

/// Why a text is no response that can be sent; an empty one sends nothing and is fine.
fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => {
            return Err("unable to parse headers (the head does not end)".to_owned());
        }
        Err(error) => return Err(format!("unable to parse headers ({error})")),
    };
    let status = response.code.unwrap_or(0);
    if status < 200 && status != 101 {
        return Err(format!(
            "invalid http status code for an error message ({status})"
        ));
    }
    let body_bytes = (bytes.len() - head_bytes) as u64;
    let bodyless = matches!(status, 204 | 304);
    let mut announced = None;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value)
                .ok()
                .and_then(|value| value.trim().parse::<u64>().ok());
            let Some(value) = value else {
                return Err("unable to parse headers (content-length is no number)".to_owned());
            };
            announced = Some(value);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") && !bodyless {
            return Err("chunk-encoded payload not supported".to_owned());
        }
    }
    if bodyless || announced == Some(0) {
        return if body_bytes == 0 {
            Ok(())
        } else {
            Err("message payload not expected".to_owned())
        };
    }
    match announced {
        Some(announced) if announced != body_bytes => Err(format!(
            "payload size does not match the announced content-length ({body_bytes} != {announced})"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses() {
        assert_eq!(check(b""), Ok(()));
        assert_eq!(
            check(b"HTTP/1.0 503 Busy\r\nContent-Type: text/html\r\n\r\n<p>busy"),
            Ok(())
        );
        assert_eq!(check(b"HTTP/1.1 503 Busy\nContent-Length: 2\n\nhi"), Ok(()));
        assert!(check(b"HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nhi").is_err());
        assert!(check(b"HTTP/1.1 503 Busy\r\n").is_err());
        assert!(check(b"<html>busy</html>").is_err());
        assert!(check(b"HTTP/1.1 100 Go on\r\n\r\n").is_err());
        assert!(check(b"HTTP/1.1 204 None\r\n\r\nx").is_err());
        assert!(check(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
