//! Fuzz body: any bytes as an HTTP/1 response, as a server sends them.
//!
//! What must hold: no panic; a split anywhere changes nothing; and what is written to the client reads back as
//! one response with the same status and body.

use rproxy::proto::h1::Body;
use rproxy::proto::h1::conn::{ClientSide, HttpMode};
use rproxy::proto::h1::parse::{Parsed, Parser, Rules};
use rproxy::proto::h1::write::{WriteRules, write_response};
use rproxy::proto::h1::{Declared, Framing};
use rproxy::proto::head::{Head, Method};

/// Runs one input. The first byte says where to split, the second the request's method and whether violations
/// pass.
pub(crate) fn run(data: &[u8]) {
    let [split, settings, message @ ..] = data else {
        return;
    };
    let rules = Rules {
        lenient: settings & 1 == 1,
        ..Rules::default()
    };
    let asked = [Method::Get, Method::Head, Method::Connect, Method::Post][usize::from(settings >> 1 & 3)];
    let end = message.len() as u32;

    let mut store = message.to_vec();
    let mut head = Head::with_capacity(101);
    let parsed = Parser::response(rules, asked).parse(&mut store, 0..end, false, &mut head);

    let mut pieces_store = message.to_vec();
    let mut pieces_head = Head::with_capacity(101);
    let mut parser = Parser::response(rules, asked);
    let cut = u32::from(*split).min(end);
    let mut pieces = parser.parse(&mut pieces_store, 0..cut, false, &mut pieces_head);
    if pieces == Parsed::NeedMore {
        pieces = parser.parse(&mut pieces_store, 0..end, false, &mut pieces_head);
    }
    assert_eq!(parsed, pieces);

    let Parsed::Done { framing, .. } = parsed else {
        return;
    };
    assert!(head.iter(&store).eq(pieces_head.iter(&pieces_store)));
    let mut side = ClientSide::new();
    let request = Framing {
        v11: true,
        length_known: true,
        declared: Declared::Nothing,
        ..Framing::default()
    };
    side.request_head(&request, asked, false)
        .expect("a new connection takes a request");
    let mut out = vec![0; message.len() * 2 + 256];
    let settings = (HttpMode::KeepAlive, false);
    let written = write_response(
        &head,
        &store,
        &framing,
        &mut side,
        &WriteRules::default(),
        settings,
        &mut out,
    );
    let (Ok(written), false) = (written, rules.lenient) else {
        return;
    };
    let mut again = Head::with_capacity(102);
    let parsed =
        Parser::response(Rules::default(), asked).parse(&mut out, 0..written.len as u32, false, &mut again);
    let Parsed::Done {
        body_at,
        framing: framing_again,
    } = parsed
    else {
        panic!("refused what it wrote: {parsed:?}");
    };
    assert_eq!(body_at as usize, written.len);
    assert_eq!(head.status(), again.status());
    // Statuses below 100 belong to no class; HAProxy drops their framing.
    if head.status() >= 100 || framing.body == Body::UntilClose {
        assert_eq!(framing.body, framing_again.body);
    }
}
