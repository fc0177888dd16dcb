//! As much of HTTP/1.1 as the two ends of a benchmark need: where a head ends, how long its body is, whether the
//! connection ends after it. Source: RFC 9112.

/// The largest head that is waited for, bytes.
pub(crate) const HEAD_MAX: usize = 16 * 1024;

/// What follows from a head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    /// Its bytes, the empty line included.
    pub(crate) size: usize,
    /// Bytes of the body; `None` where no length is told.
    pub(crate) length: Option<u64>,
    /// `Connection: close`.
    pub(crate) close: bool,
}

/// Reads a head at the beginning of `data`; `None` while it is not whole.
pub(crate) fn head(data: &[u8]) -> Option<Head> {
    let mut head = Head {
        size: 0,
        length: None,
        close: false,
    };
    let mut start = 0;
    while let Some(end) = data[start..]
        .iter()
        .position(|b| *b == b'\n')
        .map(|at| start + at)
    {
        let line = &data[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            head.size = end + 1;
            return Some(head);
        }
        // Most lines are told apart by their first letter.
        if matches!(line[0], b'C' | b'c') {
            if let Some(value) = value(line, b"content-length") {
                head.length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            } else if let Some(value) = value(line, b"connection") {
                head.close = value.eq_ignore_ascii_case(b"close");
            }
        }
        start = end + 1;
    }
    None
}

/// The value of a field line, if it has that name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.strip_prefix(b":")?.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Len"), None);
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length:  12\r\nCookie: a\r\nConnection: Close\r\n\r\nabc";
        let wanted = Head {
            size: whole.len() - 3,
            length: Some(12),
            close: true,
        };
        assert_eq!(head(whole), Some(wanted));
        assert_eq!(head(b"GET / HTTP/1.1\r\n\r\n").and_then(|h| h.length), None);
    }
}
