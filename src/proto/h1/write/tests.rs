//! Tests of the head writers: bytes as HAProxy 3.4.0 put them on the wire for the same input.

use super::*;
use crate::proto::h1::Body;
use crate::proto::h1::parse::{Parsed, Parser, Rules};

fn parse(mut parser: Parser, message: &[u8]) -> (Vec<u8>, Head, Framing) {
    let mut store = message.to_vec();
    let mut head = Head::with_capacity(101);
    let parsed = parser.parse(&mut store, 0..message.len() as u32, false, &mut head);
    let Parsed::Done { framing, .. } = parsed else {
        panic!("{parsed:?}: {:?}", String::from_utf8_lossy(message))
    };
    store.resize(message.len() + 256, 0);
    head.reserve = message.len() as u32..store.len() as u32;
    (store, head, framing)
}

fn request(message: &str) -> (Vec<u8>, Head, Framing) {
    parse(Parser::request(Rules::default()), message.as_bytes())
}

/// What goes to the server, its encoding, and whether the connection may serve another request.
fn to_server(message: &str, modes: ServerModes) -> Result<(String, Encoding, bool), WriteError> {
    let (store, head, framing) = request(message);
    let mut side = ServerSide::new();
    let mut out = [0; 512];
    let written = write_request(
        &head,
        &store,
        &framing,
        &mut side,
        &WriteRules::default(),
        modes,
        &mut out,
    )?;
    let keep = side.wish() == crate::proto::h1::conn::Wish::KeepAlive;
    Ok((
        String::from_utf8_lossy(&out[..written.len]).into_owned(),
        written.encoding,
        keep,
    ))
}

/// What goes to a client that sent `asked`.
fn to_client(asked: &str, message: &str, mode: HttpMode) -> (String, Encoding) {
    let (_, head, framing) = request(asked);
    let mut side = ClientSide::new();
    side.request_head(&framing, head.method(), false)
        .expect("first request");
    let (store, head, framing) = parse(
        Parser::response(Rules::default(), head.method()),
        message.as_bytes(),
    );
    let mut out = [0; 512];
    let rules = WriteRules::default();
    let written = write_response(
        &head,
        &store,
        &framing,
        &mut side,
        &rules,
        (mode, false),
        &mut out,
    )
    .expect("room");
    (
        String::from_utf8_lossy(&out[..written.len]).into_owned(),
        written.encoding,
    )
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";
const GET_10_KEEP: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn requests() {
    use Encoding::{Chunked, Identity, Nothing};
    for (message, expected, encoding) in [
        (GET, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", Nothing),
        (
            GET_10,
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            Nothing,
        ),
        (
            "GET / HTTP/1.2\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            Nothing,
        ),
        (
            "GET / HTTP/0.8\r\n\r\n",
            "GET / HTTP/0.8\r\nconnection: keep-alive\r\n\r\n",
            Nothing,
        ),
        (
            "GET http://A:80 HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nKeep-Alive: x\r\nProxy-Connection: x\r\n\r\n",
            "GET http://A/ HTTP/1.1\r\nhost: A\r\nte: trailers\r\nkeep-alive: x\r\nproxy-connection: x\r\n\r\n",
            Nothing,
        ),
        (
            "GET / HTTP/1.1\r\nTE: gzip\r\nConnection: keep-alive, Upgrade\r\nUpgrade: foo\r\n\r\n",
            "GET / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: foo\r\n\r\n",
            Nothing,
        ),
        (
            "GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            Nothing,
        ),
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
            Nothing,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 03, 3\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n",
            Identity,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            Nothing,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            Chunked,
        ),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            Chunked,
        ),
    ] {
        let (text, found, _) = to_server(message, ServerModes::default()).expect("room");
        assert_eq!((text.as_str(), found), (expected, encoding));
    }
    let refused = to_server(
        "CONNECT a:443 HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
        ServerModes::default(),
    );
    assert_eq!(refused, Err(WriteError::ContentLength));
}

#[test]
fn closing_requests() {
    let scl = ServerModes {
        frontend: HttpMode::ServerClose,
        ..ServerModes::default()
    };
    let fake = ServerModes {
        backend: HttpMode::Close,
        pretend_keep_alive: true,
        ..ServerModes::default()
    };
    for (message, modes, expected, keep) in [
        (
            GET,
            scl,
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            false,
        ),
        (GET_10_KEEP, scl, "GET / HTTP/1.0\r\n\r\n", false),
        (GET, fake, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", false),
        (
            GET_10_KEEP,
            fake,
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            false,
        ),
        (
            GET_10,
            ServerModes::default(),
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            ServerModes::default(),
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            false,
        ),
    ] {
        let (text, _, kept) = to_server(message, modes).expect("room");
        assert_eq!((text.as_str(), kept), (expected, keep));
    }
}

#[test]
fn responses() {
    use Encoding::{Chunked, Identity, Nothing, Tunnel};
    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = GET.replacen("GET", "HEAD", 1);
    let upgrade = "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    let cases: &[(&str, &str, &str, Encoding)] = &[
        (
            GET,
            LENGTH,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
            Identity,
        ),
        (
            GET_10,
            LENGTH,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n",
            Identity,
        ),
        (
            GET_10_KEEP,
            LENGTH,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n",
            Identity,
        ),
        (
            GET,
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n",
            Identity,
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
            Identity,
        ),
        (
            GET,
            "HTTP/1.9 299\r\n\r\n",
            "HTTP/1.1 299 Success\r\nconnection: close\r\n\r\n",
            Identity,
        ),
        (
            GET,
            CHUNKED,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            Chunked,
        ),
        (
            GET_10,
            CHUNKED,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            Chunked,
        ),
        (
            &head,
            CHUNKED,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            Nothing,
        ),
        (
            &head,
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            Nothing,
        ),
        (
            GET,
            "HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 204 N\r\n\r\n",
            Nothing,
        ),
        (
            GET,
            "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 N\r\ncontent-length: 5\r\n\r\n",
            Nothing,
        ),
        (
            GET,
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
            "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n",
            Nothing,
        ),
        (
            upgrade,
            "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n",
            "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n",
            Tunnel,
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            LENGTH,
            "HTTP/1.1 200 OK\r\n\r\n",
            Tunnel,
        ),
    ];
    for &(asked, message, expected, encoding) in cases {
        let (text, found) = to_client(asked, message, HttpMode::KeepAlive);
        assert_eq!((text.as_str(), found), (expected, encoding));
    }
    let (text, _) = to_client(GET, LENGTH, HttpMode::Close);
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn fields_that_were_added_do_not_change_the_framing() {
    let write = |message: &str, edit: fn(&mut Head, &mut [u8])| {
        let (mut store, mut head, framing) = request(message);
        edit(&mut head, &mut store);
        let mut out = [0; 256];
        let mut side = ServerSide::new();
        let rules = WriteRules::default();
        let written = write_request(
            &head,
            &store,
            &framing,
            &mut side,
            &rules,
            ServerModes::default(),
            &mut out,
        );
        written.map(|written| {
            (
                String::from_utf8_lossy(&out[..written.len]).into_owned(),
                written.encoding,
            )
        })
    };
    let post = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
    let spoiled = write(post, |head, store| head.set_value(store, 0, b"x").expect("room"));
    assert_eq!(spoiled, Err(WriteError::ContentLength));
    let closing = write(GET, |head, store| {
        head.append(store, b"Connection", b"close").expect("room")
    });
    assert_eq!(
        closing.expect("room").0,
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    );
    let chunked = write(post, |head, store| {
        head.append(store, b"Transfer-Encoding", b"chunked")
            .expect("room")
    });
    assert_eq!(
        chunked.expect("room").0,
        "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn no_room_changes_nothing() {
    let (store, head, framing) = request(GET);
    assert_eq!(framing.body, Body::None);
    let mut side = ServerSide::new();
    let mut out = [0; 27];
    for len in 0..27 {
        let rules = WriteRules::default();
        let room = &mut out[..len];
        let written = write_request(
            &head,
            &store,
            &framing,
            &mut side,
            &rules,
            ServerModes::default(),
            room,
        );
        assert_eq!(written, Err(WriteError::Full));
        assert_eq!(side, ServerSide::new());
    }
    let rules = WriteRules::default();
    let written = write_request(
        &head,
        &store,
        &framing,
        &mut side,
        &rules,
        ServerModes::default(),
        &mut out,
    );
    assert_eq!(written.map(|written| written.len), Ok(27));
}

#[test]
fn adjusted_case_server_name_and_key() {
    let mut case = CaseMap::default();
    assert_eq!(case.insert(b"host", b"HOST"), Ok(()));
    assert_eq!(case.insert(b"connection", b"Connection"), Ok(()));
    assert_eq!(case.insert(b"host", b"Host"), Err(CaseError::Duplicate));
    assert_eq!(case.insert(b"a", b"b"), Err(CaseError::Different));
    assert_eq!(case.insert(b"a", b""), Err(CaseError::Empty));
    let rules = WriteRules {
        case: Some(&case),
        server_name: Some((b"x-srv", b"s1")),
        websocket_key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
        ..WriteRules::default()
    };
    let lenient = Rules {
        lenient: true,
        ..Rules::default()
    };
    let text =
        b"GET / HTTP/1.0\r\nHost: a\r\nX-Srv: forged\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (store, head, framing) = parse(Parser::request(lenient), text);
    let mut out = [0; 256];
    let mut side = ServerSide::new();
    let written = write_request(
        &head,
        &store,
        &framing,
        &mut side,
        &rules,
        ServerModes::default(),
        &mut out,
    );
    let text = String::from_utf8_lossy(&out[..written.expect("room").len]).into_owned();
    assert_eq!(
        text,
        "GET / HTTP/1.0\r\nHOST: a\r\nConnection: upgrade\r\nupgrade: websocket\r\nx-srv: s1\r\n\
         Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
}

#[test]
fn trailers_go_after_the_last_chunk() {
    let (store, trailers, _) = parse(Parser::trailers(Rules::default()), b"X-Sum: 1\r\nY: 2\r\n\r\n");
    let mut out = [0; 64];
    let len = write_trailers(&trailers, &store, &WriteRules::default(), false, &mut out).expect("room");
    assert_eq!(&out[..len], b"x-sum: 1\r\ny: 2\r\n\r\n");
    let len = write_trailers(&trailers, &store, &WriteRules::default(), true, &mut out).expect("room");
    assert_eq!(&out[..len], b"\r\n");
}

#[test]
fn restricted_names() {
    let text = "GET / HTTP/1.1\r\nX_Y: 1\r\nX-Y: 2\r\nZ.: 3\r\n\r\n";
    for (restriction, accepted, left) in [
        (NameRestriction::Preserve, true, 3),
        (NameRestriction::Delete, true, 1),
        (NameRestriction::Reject, false, 3),
    ] {
        let (store, mut head, _) = request(text);
        assert_eq!(
            (restriction.apply(&mut head, &store), head.len()),
            (accepted, left)
        );
    }
    let (store, mut head, _) = request(GET);
    assert!(NameRestriction::Reject.apply(&mut head, &store));
}

proptest::proptest! {
    /// Lines that are copied as they stand are those that would be written one by one, whatever stands between them.
    #[test]
    fn runs_of_lines_are_the_same_lines(
        lines in proptest::collection::vec(
            ("(A|b|Host|TE|Content-Length|Connection|X-Y)", "(:|: |:  |:\t)", "(|a|close|5|trailers|é)", "(| |\t)"),
            0..8,
        ),
        edits in proptest::collection::vec((0..8_usize, "[a-z]{0,9}"), 0..3),
    ) {
        let mut seen = Vec::new();
        let mut text = String::from("POST / HTTP/1.1\r\n");
        for (name, colon, value, blank) in &lines {
            // One of each that frames, and with a value that fits.
            let value = match name.as_str() {
                "Content-Length" | "Host" if seen.contains(name) => continue,
                "Content-Length" => "5",
                "Host" => "a",
                _ => value,
            };
            seen.push(name.clone());
            text += &format!("{name}{colon}{value}{blank}\r\n");
        }
        let (mut store, mut head, framing) = request(&(text + "\r\n"));
        for (at, value) in &edits {
            if head.slots().get(*at).is_some_and(|slot| !slot.id.frames()) {
                head.set_value(&mut store, *at, value.as_bytes()).expect("there is room");
            }
        }
        let write = |case: Option<&CaseMap>| {
            let mut out = [0; 1024];
            let rules = WriteRules { case, ..WriteRules::default() };
            let modes = ServerModes::default();
            let side = &mut ServerSide::new();
            let written = write_request(&head, &store, &framing, side, &rules, modes, &mut out).expect("it fits");
            out[..written.len].to_vec()
        };
        proptest::prop_assert_eq!(write(None), write(Some(&CaseMap::default())));
    }
}
