//! Tests of the argument cursor; messages are HAProxy 3.4.0's where it has the case.

use super::*;
use crate::conf::source::Sources;

/// Words of a line without quotes, with true spans.
fn words(text: &str) -> (Vec<Arg>, Span) {
    let mut sources = Sources::new();
    let file = sources.add(b"t.cfg", text.as_bytes().to_vec()).expect("small");
    let mut at = 0;
    let mut list = Vec::new();
    for word in text.split(' ') {
        let span = Span::new(file, at, at + word.len() as u32);
        list.push(Arg::plain(word.as_bytes(), span));
        at = span.end + 1;
    }
    (list, Span::new(file, 0, text.len() as u32))
}

/// Runs a helper over a line whose first word is the keyword.
fn with<T>(text: &str, read: impl FnOnce(&mut ArgCursor<'_>) -> Result<T, Diag>) -> Result<T, (String, u32)> {
    let (list, line) = words(text);
    let mut cursor = ArgCursor::new(&list, 1, Modifier::Set, line);
    read(&mut cursor).map_err(|diag| (diag.text, diag.span.map_or(999, |span| span.start)))
}

#[test]
fn walks() {
    let (list, line) = words("timeout client 5s x");
    let mut cursor = ArgCursor::new(&list, 2, Modifier::Set, line);
    assert_eq!(cursor.keyword(), "timeout client");
    assert_eq!((cursor.keyword_span().start, cursor.keyword_span().end), (0, 14));
    assert_eq!(cursor.remaining(), 2);
    assert_eq!(cursor.time_ms(), Ok(5000));
    assert!(!cursor.accept("y"));
    let error = cursor.end().expect_err("x is left");
    assert_eq!(
        error.text,
        "'timeout client' cannot handle unexpected argument 'x'."
    );
    assert!(cursor.accept("x"));
    assert_eq!(cursor.end(), Ok(()));
    assert_eq!(cursor.here().start, 19);
    assert!(cursor.next().is_none() && cursor.rest().is_empty());
}

#[test]
fn times() {
    assert_eq!(with("t 1h", |c| c.time_ms()), Ok(3_600_000));
    assert_eq!(
        with("t 10x", |c| c.time_ms()),
        Err(("unexpected character 'x' in 't'".into(), 4))
    );
    let overflow = "timer overflow in argument '25d' to 't' (maximum value is 2147483647 ms or ~24.8 days)";
    assert_eq!(with("t 25d", |c| c.time_ms()), Err((overflow.into(), 2)));
    assert_eq!(
        with("t", |c| c.time_ms()),
        Err(("'t' expects an integer value (in milliseconds)".into(), 1))
    );
    let notes = with("t 10sec", |cursor| {
        cursor.time_ms()?;
        Ok(cursor.take_notes())
    });
    assert_eq!(
        notes.map(|notes| notes[0].span.map(|span| span.start)),
        Ok(Some(5))
    );
}

#[test]
fn numbers() {
    assert_eq!(with("n 16k", |c| c.size(1 << 20, false)), Ok(16384));
    assert_eq!(with("n 50%", |c| c.percent()), Ok(50));
    assert_eq!(with("n off", |c| c.on_off()), Ok(false));
    assert_eq!(
        with("n of", |c| c.on_off()),
        Err(("'n' expects 'on' or 'off' (got 'of').".into(), 2))
    );
}

#[test]
fn offsets_inside_words() {
    let file = words("x").1.file;
    // Raw: "a\x20$V" at 10, cooked: `a `, then the value of V.
    let map = vec![
        Piece {
            cooked: 0,
            raw: 11,
            literal: true,
        },
        Piece {
            cooked: 1,
            raw: 12,
            literal: false,
        },
        Piece {
            cooked: 2,
            raw: 16,
            literal: false,
        },
    ];
    let word = Arg::new(*b"a val", Span::new(file, 10, 19), map);
    assert_eq!(word.span_at(0).start, 11);
    assert_eq!(word.span_at(1).start, 12);
    assert_eq!(word.span_at(4).start, 16);
    assert_eq!(word.span_at(5).start, 19);
    assert_eq!((word.span_of(0, 3).start, word.span_of(0, 3).end), (11, 17));
}
