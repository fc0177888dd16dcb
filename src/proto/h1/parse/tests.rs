//! Tests of the head parsers: recorded verdicts, any split of any input, moves of the storage.

use proptest::prelude::*;

use super::*;
use crate::proto::h1::body::{Decoder, Step};
use crate::proto::h1::{Body, Declared};

#[path = "verdicts.rs"]
mod verdicts;

const MAXHDR: usize = 101;

/// A parsed head, spelled out.
#[derive(Debug, PartialEq, Eq)]
struct Spelled {
    parsed: Parsed,
    line: [Vec<u8>; 3],
    fields: Vec<(Known, Vec<u8>, Vec<u8>)>,
}

fn spell(parsed: Parsed, base: u32, head: &Head, store: &[u8]) -> Spelled {
    let parsed = match parsed {
        Parsed::Done { body_at, mut framing } => {
            framing.tolerated = framing.tolerated.map(|at| at - base);
            Parsed::Done {
                body_at: body_at - base,
                framing,
            }
        }
        other => {
            return Spelled {
                parsed: other,
                line: Default::default(),
                fields: Vec::new(),
            };
        }
    };
    let (first, second) = match head.start {
        StartLine::Empty => (Span::default(), Span::default()),
        StartLine::Request { name, target, .. } => (name, target),
        StartLine::Response { code, reason, .. } => (code, reason),
    };
    let line = [first, second, head.version_text].map(|span| span.of(store).to_vec());
    let fields = head
        .iter(store)
        .map(|(id, name, value)| (id, name.to_vec(), value.to_vec()))
        .collect();
    Spelled { parsed, line, fields }
}

/// Storage with the message at `base` and room behind it.
fn storage(message: &[u8], base: usize) -> Vec<u8> {
    let mut store = vec![b'?'; base];
    store.extend_from_slice(message);
    store.resize(base + message.len() + 64, b'!');
    store
}

fn new_head(store: &[u8]) -> Head {
    let mut head = Head::with_capacity(MAXHDR);
    head.reserve = (store.len() - 64) as u32..store.len() as u32;
    head
}

/// Parses the whole message in one call.
fn at_once(mut parser: Parser, message: &[u8], base: usize) -> Spelled {
    let mut store = storage(message, base);
    let mut head = new_head(&store);
    let parsed = parser.parse(
        &mut store,
        base as u32..(base + message.len()) as u32,
        false,
        &mut head,
    );
    spell(parsed, base as u32, &head, &store)
}

/// Parses the message in pieces: each cut adds bytes, and moves the message to another place if it is odd.
fn in_pieces(mut parser: Parser, message: &[u8], cuts: &[usize]) -> Spelled {
    let mut store = storage(message, 0);
    let mut head = new_head(&store);
    let (mut base, mut end) = (0, 0);
    for cut in cuts.iter().copied().chain([message.len()]) {
        end = end.max(cut.min(message.len()));
        if cut % 2 == 1 {
            let to = base + 1;
            let moved = store[base..base + message.len()].to_vec();
            store.insert(0, b'?');
            store[to..to + message.len()].copy_from_slice(&moved);
            head.reserve = (store.len() - 64) as u32..store.len() as u32;
            base = to;
        }
        let parsed = parser.parse(&mut store, base as u32..(base + end) as u32, false, &mut head);
        if parsed != Parsed::NeedMore {
            return spell(parsed, base as u32, &head, &store);
        }
    }
    spell(Parsed::NeedMore, base as u32, &head, &store)
}

/// Status of the answer to a request, 0 if it goes to a server.
fn verdict(message: &[u8], lenient: bool) -> u16 {
    let rules = Rules {
        lenient,
        max_weight: max_weight(16384, 1024),
        ..Rules::default()
    };
    let mut store = storage(message, 0);
    let mut head = new_head(&store);
    let end = message.len() as u32;
    let (mut at, body) = match Parser::request(rules).parse(&mut store, 0..end, false, &mut head) {
        Parsed::Done { body_at, framing } => (body_at, framing.body),
        Parsed::Error(error) => return error.request_status(),
        Parsed::NeedMore => return 0,
    };
    let mut decoder = Decoder::new(body);
    loop {
        match decoder.decode(&message[at as usize..]) {
            Step::Skip(count) | Step::Data(count) => at += count as u32,
            Step::Trailers => {
                let mut trailers = Head::with_capacity(MAXHDR);
                match Parser::trailers(rules).parse(&mut store, at..end, false, &mut trailers) {
                    Parsed::Done { body_at, .. } => {
                        at = body_at;
                        decoder.trailers_done();
                    }
                    Parsed::Error(_) => return 400,
                    Parsed::NeedMore => return 0,
                }
            }
            Step::Error(_) => return 400,
            Step::End | Step::NeedMore => return 0,
        }
    }
}

#[test]
fn verdicts_as_recorded() {
    for &(message, strict, lenient) in verdicts::VERDICTS {
        let text = String::from_utf8_lossy(message);
        assert_eq!(verdict(message, false), strict, "strict: {text:?}");
        assert_eq!(verdict(message, true), lenient, "lenient: {text:?}");
    }
}

#[test]
fn recorded_requests_in_single_bytes() {
    for &(message, ..) in verdicts::VERDICTS {
        for lenient in [false, true] {
            let parser = Parser::request(Rules {
                lenient,
                ..Rules::default()
            });
            let cuts: Vec<usize> = (0..message.len()).collect();
            let whole = at_once(parser.clone(), message, 5);
            assert_eq!(
                in_pieces(parser, message, &cuts),
                whole,
                "{:?}",
                String::from_utf8_lossy(message)
            );
        }
    }
}

#[test]
fn a_bad_byte_is_refused_at_once() {
    for prefix in [
        &b"\x16\x03"[..],
        b"GET /\x01",
        b"GET / HTTP/1.1\r\nX Y",
        b"GET / HTTP/1.1\r\n H",
        b"GET / h",
    ] {
        assert_eq!(
            verdict(prefix, false),
            400,
            "{:?}",
            String::from_utf8_lossy(prefix)
        );
        let cut = &prefix[..prefix.len() - 1];
        assert!(matches!(
            at_once(Parser::request(Rules::default()), cut, 0).parsed,
            Parsed::NeedMore | Parsed::Error(_)
        ));
    }
}

#[test]
fn a_full_buffer_tells_line_from_fields() {
    for (message, error, status) in [
        (&b"GET /aaaa"[..], HeadError::LineTooLong, 414),
        (b"GET / HTTP/1.1\r\nX: aaaa", HeadError::TooLarge, 431),
    ] {
        let mut store = message.to_vec();
        let mut head = Head::with_capacity(MAXHDR);
        let parsed =
            Parser::request(Rules::default()).parse(&mut store, 0..message.len() as u32, true, &mut head);
        assert_eq!(parsed, Parsed::Error(error));
        assert_eq!(error.request_status(), status);
    }
}

#[test]
fn fields_are_counted_without_the_dropped_ones() {
    let message = |count: usize, field: &str| {
        let mut text = String::from("GET / HTTP/1.1\r\n");
        (0..count).for_each(|_| text.push_str(field));
        text + "\r\n"
    };
    for (count, field, status) in [
        (100, "x: y\r\n", 0),
        (101, "x: y\r\n", 400),
        (150, "host: a\r\n", 0),
        (100, "host: a\r\n", 0),
    ] {
        assert_eq!(
            verdict(message(count, field).as_bytes(), false),
            status,
            "{count} {field}"
        );
    }
    assert_eq!(
        verdict(message(250, "connection: close\r\n").as_bytes(), false),
        0
    );
}

#[test]
fn weight_is_haproxys() {
    // The longest single field that passes with tune.bufsize 16384 and tune.maxrewrite 1024, as measured.
    let message = |len: usize| {
        [
            b"GET / HTTP/1.1\r\nX: ".as_slice(),
            &vec![b'a'; len - 23],
            b"\r\n\r\n",
        ]
        .concat()
    };
    assert_eq!(verdict(&message(15285), false), 0);
    assert_eq!(verdict(&message(15286), false), 431);
    assert_eq!(input_limit(16384), 16328);
}

#[test]
fn names_fold_and_values_unfold() {
    let spelled = at_once(
        Parser::request(Rules::default()),
        b"\r\nPOST  http://u@H:80 HTTP/1.7\nHOST:\th \nX-Fold: a\r\n \tb\n\nrest",
        3,
    );
    let Parsed::Done { body_at, framing } = spelled.parsed else {
        panic!("{:?}", spelled.parsed)
    };
    assert_eq!((body_at, framing.v11), (56, true));
    assert_eq!(
        spelled.line,
        [b"POST".to_vec(), b"http://u@H/".to_vec(), b"HTTP/1.7".to_vec()]
    );
    assert_eq!(spelled.fields[0], (Known::Host, b"host".to_vec(), b"H".to_vec()));
    assert_eq!(spelled.fields[1].2, b"a   \tb");
}

#[test]
fn hop_by_hop_words_leave_connection() {
    let spelled = at_once(
        Parser::request(Rules::default()),
        b"GET / HTTP/1.0\r\nConnection: close, x-a , Keep-Alive, x-b\r\nConnection: keep-alive\r\nUpgrade: foo\r\n\r\n",
        0,
    );
    let Parsed::Done { framing, .. } = spelled.parsed else {
        panic!("{:?}", spelled.parsed)
    };
    assert!(framing.close && framing.keep_alive && !framing.upgrade);
    assert_eq!(
        spelled.fields,
        [(Known::Connection, b"connection".to_vec(), b"x-a,x-b".to_vec())]
    );
}

fn response(message: &[u8], asked: Method) -> Result<Framing, HeadError> {
    match at_once(Parser::response(Rules::default(), asked), message, 1).parsed {
        Parsed::Done { framing, .. } => Ok(framing),
        Parsed::Error(error) => Err(error),
        Parsed::NeedMore => panic!("incomplete: {:?}", String::from_utf8_lossy(message)),
    }
}

#[test]
fn bodies_of_responses() {
    let cases: &[(&[u8], Method, Body, Declared)] = &[
        (
            b"200 OK\r\nContent-Length: 5\r\n\r\n",
            Method::Get,
            Body::Length(5),
            Declared::Length(5),
        ),
        (
            b"200 OK\r\nContent-Length: 5\r\n\r\n",
            Method::Head,
            Body::None,
            Declared::Length(5),
        ),
        (
            b"200 OK\r\nContent-Length: 0\r\n\r\n",
            Method::Get,
            Body::None,
            Declared::Length(0),
        ),
        (
            b"304 N\r\nContent-Length: 5\r\n\r\n",
            Method::Get,
            Body::None,
            Declared::Length(5),
        ),
        (
            b"204 N\r\nContent-Length: 5\r\n\r\n",
            Method::Get,
            Body::None,
            Declared::Nothing,
        ),
        (
            b"100 C\r\nTransfer-Encoding: chunked\r\n\r\n",
            Method::Get,
            Body::None,
            Declared::Nothing,
        ),
        (
            b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Method::Get,
            Body::Chunked,
            Declared::Chunked,
        ),
        (
            b"200 OK\r\n\r\n",
            Method::Get,
            Body::UntilClose,
            Declared::Nothing,
        ),
        (b"200 OK\r\n\r\n", Method::Head, Body::None, Declared::Nothing),
        (
            b"200 OK\r\nContent-Length: 5\r\n\r\n",
            Method::Connect,
            Body::Tunnel,
            Declared::Nothing,
        ),
        (
            b"404 N\r\nContent-Length: 5\r\n\r\n",
            Method::Connect,
            Body::Length(5),
            Declared::Length(5),
        ),
        (
            b"101 S\r\nContent-Length: 5\r\n\r\n",
            Method::Get,
            Body::Tunnel,
            Declared::Nothing,
        ),
    ];
    for &(message, asked, body, declared) in cases {
        let framing = response(&[b"HTTP/1.1 ", message].concat(), asked).expect("valid");
        let known = body != Body::UntilClose;
        assert_eq!(
            (framing.body, framing.declared, framing.length_known),
            (body, declared, known),
            "{message:?}"
        );
    }
}

#[test]
fn faults_of_responses() {
    for (message, error) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"[..],
            HeadError::ContentLength,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            HeadError::UnknownCoding,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            HeadError::TransferEncoding,
        ),
        (b"HTTP/1.1 2000 OK\r\n", HeadError::Syntax),
        (b"HTTP/1.1\r\n", HeadError::Syntax),
        (b"HTTP/1.10 200 OK\r\n\r\n", HeadError::Version),
        (
            b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            HeadError::WebsocketKey,
        ),
    ] {
        assert_eq!(
            response(message, Method::Get),
            Err(error),
            "{:?}",
            String::from_utf8_lossy(message)
        );
    }
}

#[test]
fn a_tolerated_name_is_dropped_and_reported() {
    let rules = Rules {
        lenient: true,
        ..Rules::default()
    };
    let spelled = at_once(
        Parser::request(rules),
        b"GET / HTTP/1.1\r\na b: c\r\nd: e\r\n\r\n",
        9,
    );
    let Parsed::Done { framing, .. } = spelled.parsed else {
        panic!("{:?}", spelled.parsed)
    };
    assert_eq!(framing.tolerated, Some(17));
    assert_eq!(spelled.fields, [(Known::Other, b"d".to_vec(), b"e".to_vec())]);
}

#[test]
fn expectations() {
    for (text, expected) in [
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue, x\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: x, 100-continue\r\n\r\n",
            false,
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", false),
    ] {
        let spelled = at_once(Parser::request(Rules::default()), text.as_bytes(), 0);
        let Parsed::Done { framing, .. } = spelled.parsed else {
            panic!("{:?}", spelled.parsed)
        };
        assert_eq!(framing.expect_continue, expected, "{text:?}");
    }
}

/// Pieces of messages, so that random input gets past the first line.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"GET ",
        b"CONNECT ",
        b"POST ",
        b"/",
        b"*",
        b"http://a",
        b"a:80",
        b":",
        b" ",
        b"\t",
        b"\r\n",
        b"\n",
        b"\r",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"Host: a\r\n",
        b"host:b\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X: y\r\n z\r\n",
        b"Connection: close, upgrade\r\n",
        b"Upgrade: h2c, websocket\r\n",
        b"\r\n\r\n",
        b"\0",
        b"\x80",
        b"#",
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 101 \r\n",
        b"2000",
        b",",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_gives_the_same(
        message in soup(), cuts in prop::collection::vec(0_usize..200, 0..8), lenient: bool, kind in 0..3,
    ) {
        let rules = Rules { lenient, ..Rules::default() };
        let parser = match kind {
            0 => Parser::request(rules),
            1 => Parser::response(rules, Method::Get),
            _ => Parser::trailers(rules),
        };
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(in_pieces(parser.clone(), &message, &cuts), at_once(parser, &message, 7));
    }

    #[test]
    fn what_a_prefix_decides_stays(message in soup(), cut in 0_usize..100) {
        let parser = Parser::request(Rules::default());
        let early = at_once(parser.clone(), &message[..cut.min(message.len())], 0);
        if early.parsed != Parsed::NeedMore {
            prop_assert_eq!(early, at_once(parser, &message, 0));
        }
    }
}
