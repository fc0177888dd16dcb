//! Bytes as readable lines and back, and the masks for what differs from run to run: process ids,
//! ports, and the wording of the pages that a proxy makes itself (each product has its own). Dates have their own file.

/// Writes bytes as one readable line: printable ASCII as it is, the rest as `\r`, `\n`, `\t`, `\\`
/// or `\xNN`; a byte repeated 48 times or more as `\*N(byte)`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let b = bytes[at];
        let run = bytes[at..].iter().take_while(|x| **x == b).count();
        if run >= 48 {
            out.push_str(&format!("\\*{run}({})", escape(&[b])));
            at += run;
            continue;
        }
        match b {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(b)),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
        at += 1;
    }
    out
}

/// Writes bytes as lines that end behind each line feed. A blank at the end of a line is `\x20`.
pub fn escape_lines(bytes: &[u8]) -> Vec<String> {
    bytes
        .split_inclusive(|b| *b == b'\n')
        .map(|line| {
            let mut text = escape(line);
            if text.ends_with(' ') {
                text.pop();
                text.push_str("\\x20");
            }
            text
        })
        .collect()
}

/// Reads what `escape` writes; also `\0`, and any text in `\*N(text)`. Panics on anything else.
pub fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let kind = bytes
            .get(at + 1)
            .copied()
            .unwrap_or_else(|| panic!("a lone backslash ends {text:?}"));
        at += 2;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let hex = text.get(at..at + 2).and_then(|h| u8::from_str_radix(h, 16).ok());
                out.push(hex.unwrap_or_else(|| panic!("\\x needs two hexadecimal digits in {text:?}")));
                at += 2;
            }
            b'*' => {
                let open = at
                    + text[at..]
                        .find('(')
                        .unwrap_or_else(|| panic!("\\*N(..) in {text:?}"));
                let close = open
                    + text[open..]
                        .find(')')
                        .unwrap_or_else(|| panic!("\\*N(..) in {text:?}"));
                let times: usize = text[at..open]
                    .parse()
                    .unwrap_or_else(|_| panic!("\\*N(..) in {text:?}"));
                out.extend(unescape(&text[open + 1..close]).repeat(times));
                at = close + 1;
            }
            _ => panic!("unknown escape \\{} in {text:?}", char::from(kind)),
        }
    }
    out
}

/// Replaces the body of every page made by the proxy by `{page}` and its length by `{len}`. Such a
/// page is known by `cache-control: no-cache` with `content-type: text/html`, which no origin of
/// these tests sends. Returns the masked bytes and the full size of each masked response.
pub fn mask_pages(bytes: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut out = Vec::new();
    let mut sizes = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let page = rest.starts_with(b"HTTP/1.").then(|| page_head(rest)).flatten();
        let Some((head_end, length)) = page else {
            out.push(rest[0]);
            at += 1;
            continue;
        };
        for line in rest[..head_end].split_inclusive(|b| *b == b'\n') {
            match line.iter().position(|b| *b == b':') {
                Some(colon) if line[..colon].eq_ignore_ascii_case(b"content-length") => {
                    out.extend_from_slice(&line[..=colon]);
                    out.extend_from_slice(b" {len}\r\n");
                }
                _ => out.extend_from_slice(line),
            }
        }
        let body = rest.len() >= head_end + length && length > 0 && rest[head_end] == b'<';
        if body {
            out.extend_from_slice(b"{page}");
        }
        let total = head_end + if body { length } else { 0 };
        sizes.push(total);
        at += total;
    }
    (out, sizes)
}

/// The end of the head and the content length of a page that the proxy made.
fn page_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = super::client::find(bytes, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let is = |name: &str, value: &str| super::client::header(head, name) == Some(value);
    if !is("cache-control", "no-cache") || !is("content-type", "text/html") {
        return None;
    }
    Some((end, super::client::header(head, "content-length")?.parse().ok()?))
}

/// Replaces each whole number that `names` knows by its name.
pub fn mask_numbers(text: &str, names: &[(String, String)]) -> String {
    let is_number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
    let words = names.iter().filter(|(known, _)| !is_number(known));
    let text = words.fold(text.to_string(), |text, (known, name)| text.replace(known, name));
    let mut out = String::new();
    let mut digits = String::new();
    let mut before = ' ';
    let flush = |digits: &mut String, out: &mut String, before: char, after: char| {
        let whole = !before.is_ascii_alphabetic() && !after.is_ascii_alphabetic();
        match names.iter().find(|(n, _)| whole && n == digits) {
            Some((_, name)) => out.push_str(name),
            None => out.push_str(digits),
        }
        digits.clear();
    };
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        flush(&mut digits, &mut out, before, c);
        out.push(c);
        before = c;
    }
    flush(&mut digits, &mut out, before, ' ');
    out
}

/// Joins the chunks of every chunked body into one chunk: a proxy may cut a body as it likes, and how
/// it does depends on how the bytes came. What is not plainly chunked stays as it is.
pub fn join_chunks(bytes: &[u8]) -> Vec<u8> {
    use super::client::{find, header};
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(end) = find(&bytes[at..], b"\r\n\r\n").map(|n| at + n + 4) {
        let head = String::from_utf8_lossy(&bytes[at..end]).into_owned();
        out.extend_from_slice(&bytes[at..end]);
        at = end;
        if !header(&head, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            continue;
        }
        let mut data = Vec::new();
        while let Some((size, line)) = chunk_size(&bytes[at..]) {
            let whole = at + line + size + 2;
            if size == 0 || whole > bytes.len() || bytes[whole - 2..whole] != *b"\r\n" {
                break;
            }
            data.extend_from_slice(&bytes[at + line..at + line + size]);
            at = whole;
        }
        if !data.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
            out.extend_from_slice(&data);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

/// The size of a chunk and the length of its line, as long as nothing but digits stand on it.
fn chunk_size(bytes: &[u8]) -> Option<(usize, usize)> {
    let line = super::client::find(bytes, b"\r\n")?;
    let digits = std::str::from_utf8(&bytes[..line]).ok()?;
    let plain = !digits.is_empty() && digits.len() < 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain
        .then(|| usize::from_str_radix(digits, 16).ok())
        .flatten()
        .map(|n| (n, line + 2))
}

/// Writes a PROXY header of version 2 at the beginning as text, so that its ports can be masked and its
/// checksum is judged instead of shown.
pub fn proxy_v2_as_text(bytes: &[u8]) -> Vec<u8> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let length = match bytes.get(14..16) {
        Some(size) if bytes.starts_with(SIGNATURE) => usize::from(size[0]) * 256 + usize::from(size[1]),
        _ => return bytes.to_vec(),
    };
    let Some(body) = bytes.get(16..16 + length) else {
        return bytes.to_vec();
    };
    let mut text = format!("{{PROXY v2 {:02x} {:02x} length {length}", bytes[12], bytes[13]);
    let mut tlvs = body;
    if let (0x11, [a, b, c, d, e, f, g, h, p, q, r, s, rest @ ..]) = (bytes[13], body) {
        let port = |high: u8, low: u8| u16::from(high) * 256 + u16::from(low);
        text.push_str(&format!(
            " {a}.{b}.{c}.{d}:{} {e}.{f}.{g}.{h}:{}",
            port(*p, *q),
            port(*r, *s)
        ));
        tlvs = rest;
    }
    while let [kind, high, low, rest @ ..] = tlvs {
        let size = usize::from(*high) * 256 + usize::from(*low);
        let Some(value) = rest.get(..size) else { break };
        if *kind == 3 {
            let mut zeroed = bytes[..16 + length].to_vec();
            let at = 16 + length - rest.len();
            zeroed[at..at + size].fill(0);
            let right = crc32c(&zeroed).to_be_bytes() == *value;
            text.push_str(if right { " crc32c right" } else { " crc32c WRONG" });
        } else {
            text.push_str(&format!(" type {kind:02x} {}", escape(value)));
        }
        tlvs = &rest[size..];
    }
    text.push_str("}\n");
    [text.as_bytes(), &bytes[16 + length..]].concat()
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        if crc & 1 == 1 {
            crc >> 1 ^ 0x82f6_3b78
        } else {
            crc >> 1
        }
    };
    !bytes.iter().fold(u32::MAX, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| step(c))
    })
}
