//! Just enough of Rust's lexical grammar to read paths out of source text: words and punctuation with their
//! lines, comments and literals left out, and how many inline modules stand around each word.

/// A word, or one piece of punctuation (`::` is one piece).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// Its text.
    pub(crate) text: &'a str,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Inline modules (`mod name { ... }`) around it.
    pub(crate) modules: usize,
}

/// The tokens of a source file.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    // Depths of braces at which an inline module was opened.
    let mut modules = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    let mut line = 1;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = skipped(rest);
        if length > 0 {
            line += newlines(rest, length);
            at += length;
            continue;
        }
        let length = word(rest);
        let found = &rest[..length];
        let opens_module =
            found == "{" && matches!(&tokens[..], [.., keyword, _name] if keyword.text == "mod");
        if found == "{" {
            depth += 1;
        }
        if opens_module {
            modules.push(depth);
        }
        tokens.push(Token {
            text: found,
            line,
            modules: modules.len(),
        });
        if found == "}" {
            if modules.last() == Some(&depth) {
                modules.pop();
            }
            depth = depth.saturating_sub(1);
        }
        at += length;
    }
    tokens
}

/// The first names after the `::` at `at`: one, or those of a group in braces.
pub(crate) fn heads_of<'a>(tokens: &[Token<'a>], at: usize) -> Vec<(&'a str, usize)> {
    let mut rest = tokens.iter().skip(at + 1);
    let Some(first) = rest.next() else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![(first.text, first.line)];
    }
    let mut heads = Vec::new();
    let mut depth = 1;
    let mut at_head = true;
    for token in rest {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," => at_head = depth == 1,
            name => {
                if at_head && depth == 1 {
                    heads.push((name, token.line));
                }
                at_head = false;
            }
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn newlines(text: &str, length: usize) -> usize {
    text[..length].matches('\n').count()
}

/// Length of the blank, comment or literal at the start, 0 if there is none.
fn skipped(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes {
        [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(bytes),
        [b'"', ..] => 1 + string(&bytes[1..]),
        [b'b' | b'c', b'"', ..] => 2 + string(&bytes[2..]),
        [b'b', b'\'', ..] => 1 + character(&bytes[1..]),
        [b'\'', ..] => character(bytes),
        [b'r', b'"' | b'#', ..] => raw_string(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] => raw_string(rest, 2),
        _ => 0,
    }
}

/// Length of a block comment, those inside it included.
fn block_comment(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a string after its first quote, the last one included.
fn string(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == b'"' {
            break;
        }
    }
    at.min(bytes.len())
}

/// Length of a character literal, or of a lifetime's quote alone.
fn character(bytes: &[u8]) -> usize {
    if bytes.get(1) == Some(&b'\\') {
        let end = bytes.iter().skip(3).position(|&byte| byte == b'\'');
        return end.map_or(bytes.len(), |end| 3 + end + 1);
    }
    // One character of up to four bytes before the closing quote; otherwise a lifetime.
    let closing = bytes.iter().skip(1).take(5).position(|&byte| byte == b'\'');
    match closing {
        Some(end)
            if end > 0 && std::str::from_utf8(&bytes[1..=end]).is_ok_and(|c| c.chars().count() == 1) =>
        {
            end + 2
        }
        _ => 1,
    }
}

/// Length of a raw string whose prefix has `prefix` letters, 0 if it is a raw name.
fn raw_string(rest: &str, prefix: usize) -> usize {
    let hashes = rest[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let open = prefix + hashes;
    if rest.as_bytes().get(open) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = &rest[open + 1..];
    body.find(&end).map_or(rest.len(), |at| open + 1 + at + end.len())
}

/// Length of the word or punctuation at the start.
fn word(rest: &str) -> usize {
    let name = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    if name > 0 {
        return name;
    }
    if rest.starts_with("::") {
        2
    } else {
        rest.chars().next().map_or(1, char::len_utf8)
    }
}

#[test]
fn comments_and_literals_are_left_out() {
    let text = r####"use a::b; // crate::x
        /* crate /* y */ z */ let c = '"'; let d = b'\''; let e: &'static str = "cr\"ate";
        let f = r#"crate "quoted""#; let g = b"\\"; mod m { fn h<'a>() {} } r#type"####;
    let tokens = tokens(text);
    assert!(
        tokens
            .iter()
            .all(|token| !["crate", "x", "z", "quoted"].contains(&token.text))
    );
    let named = |name: &str| {
        tokens
            .iter()
            .find(|token| token.text == name)
            .map(|token| (token.line, token.modules))
    };
    assert_eq!(named("static"), Some((2, 0)));
    assert_eq!(named("h"), Some((3, 1)));
    assert_eq!(named("type"), Some((3, 0)));
}
