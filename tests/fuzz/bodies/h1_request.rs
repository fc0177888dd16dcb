//! Fuzz body: any bytes as an HTTP/1 request, as a client sends them.
//!
//! What must hold: no panic; a split anywhere changes nothing; and what is written to the server reads back as
//! one request with the same method, target and body (nothing can be smuggled past the proxy).

use rproxy::proto::h1::conn::{ServerModes, ServerSide};
use rproxy::proto::h1::parse::{Parsed, Parser, Rules};
use rproxy::proto::h1::target::{Parts, split_port};
use rproxy::proto::h1::write::{WriteRules, write_request};
use rproxy::proto::head::Head;

/// Runs one input. The first byte says where to split, the second whether violations pass.
pub(crate) fn run(data: &[u8]) {
    let [split, lenient, message @ ..] = data else {
        return;
    };
    let rules = Rules {
        lenient: lenient & 1 == 1,
        ..Rules::default()
    };
    let end = message.len() as u32;

    let mut store = message.to_vec();
    store.resize(message.len() + 64, 0);
    let reserve = end..store.len() as u32;
    let mut head = Head::with_capacity(101);
    head.reserve = reserve.clone();
    let parsed = Parser::request(rules).parse(&mut store, 0..end, false, &mut head);

    let mut pieces_store = message.to_vec();
    pieces_store.resize(message.len() + 64, 0);
    let mut pieces_head = Head::with_capacity(101);
    pieces_head.reserve = reserve;
    let mut parser = Parser::request(rules);
    let cut = u32::from(*split).min(end);
    let mut pieces = parser.parse(&mut pieces_store, 0..cut, false, &mut pieces_head);
    if pieces == Parsed::NeedMore {
        pieces = parser.parse(&mut pieces_store, 0..end, false, &mut pieces_head);
    }
    assert_eq!(parsed, pieces);

    let Parsed::Done { body_at, framing } = parsed else {
        return;
    };
    assert!(body_at <= end);
    assert!(head.iter(&store).eq(pieces_head.iter(&pieces_store)));
    let mut out = vec![0; message.len() * 2 + 256];
    let mut side = ServerSide::new();
    let written = write_request(
        &head,
        &store,
        &framing,
        &mut side,
        &WriteRules::default(),
        ServerModes::default(),
        &mut out,
    );
    let (Ok(written), false) = (written, rules.lenient) else {
        return;
    };
    let mut again = Head::with_capacity(102);
    let parsed = Parser::request(Rules::default()).parse(&mut out, 0..written.len as u32, false, &mut again);
    let Parsed::Done {
        body_at,
        framing: framing_again,
    } = parsed
    else {
        // `CONNECT a:443:443` with the same Host is accepted, as HAProxy does, and Host loses its last port: what is
        // written names another authority. Nothing else that is accepted may be refused after writing.
        let authority = Parts::of(head.target(&store)).authority;
        let ports_twice = split_port(split_port(authority).0).1.is_some();
        let excused = head.method_text(&store) == b"CONNECT" && ports_twice;
        assert!(excused, "refused what it wrote: {parsed:?}");
        return;
    };
    assert_eq!(body_at as usize, written.len);
    assert_eq!(framing.body, framing_again.body);
    assert_eq!(head.method_text(&store), again.method_text(&out));
    // A second normalisation may find another default port in an absolute target ("http://a:80:/").
    if head.target(&store).starts_with(b"/") {
        assert_eq!(head.target(&store), again.target(&out));
    }
}
