//! Tests of the half-machines: persistence, draining, tunnels, early ends.

use super::*;

fn framing(v11: bool, body: Body) -> Framing {
    Framing {
        v11,
        body,
        length_known: body != Body::UntilClose,
        ..Framing::default()
    }
}

fn out(v11: bool) -> Outgoing {
    Outgoing {
        v11,
        length_known: true,
        ..Outgoing::default()
    }
}

#[test]
fn keep_alive_is_the_rule_in_1_1_and_asked_for_in_1_0() {
    for (v11, keep_alive, header, next) in [
        (true, false, None, After::Reuse),
        (false, true, Some("keep-alive"), After::Reuse),
        (false, false, Some("close"), After::Close),
    ] {
        let mut side = ClientSide::new();
        side.begin();
        let request = Framing {
            keep_alive,
            ..framing(v11, Body::None)
        };
        side.request_head(&request, Method::Get, false)
            .expect("first request");
        assert_eq!(
            side.response_head(200, out(true), HttpMode::KeepAlive, false),
            Ok(header)
        );
        assert_eq!(side.after(), After::Wait);
        side.response_end();
        assert_eq!(side.after(), next);
    }
}

#[test]
fn an_early_response_drains_the_request_first() {
    let mut side = ClientSide::new();
    side.request_head(&framing(true, Body::Length(9)), Method::Post, false)
        .expect("first request");
    side.response_head(403, out(true), HttpMode::KeepAlive, false)
        .expect("final head");
    side.response_end();
    assert_eq!(side.after(), After::Drain);
    side.request_end();
    assert_eq!(side.after(), After::Reuse);
    side.next_request().expect("reuse");
    assert_eq!((side.served(), side.may_parse()), (1, true));
    side.input_closed();
    assert_eq!(side.after(), After::Close);
}

#[test]
fn interim_responses_change_nothing() {
    let mut side = ClientSide::new();
    side.request_head(&framing(true, Body::None), Method::Get, false)
        .expect("first request");
    let before = side;
    assert_eq!(
        side.response_head(103, out(true), HttpMode::Close, true),
        Ok(None)
    );
    assert_eq!(side, before);
    assert_eq!(
        side.response_head(200, out(true), HttpMode::Close, false),
        Ok(Some("close"))
    );
}

#[test]
fn tunnels() {
    let mut client = ClientSide::new();
    client
        .request_head(&framing(true, Body::None), Method::Connect, false)
        .expect("first request");
    assert_eq!(
        client.response_head(200, out(true), HttpMode::Close, false),
        Ok(None)
    );
    assert_eq!(client.after(), After::Tunnel);

    let mut server = ServerSide::new();
    let asking = Outgoing {
        may_switch: true,
        ..out(true)
    };
    server
        .request_head(Method::Post, asking, true, ServerModes::default())
        .expect("first request");
    let switching = Framing {
        upgrade: true,
        ..framing(true, Body::Tunnel)
    };
    assert_eq!(server.response_head(101, &switching), Err(ConnError::EarlySwitch));
    server.request_end();
    assert_eq!(
        server.response_head(101, &framing(true, Body::Tunnel)),
        Err(ConnError::UnaskedSwitch)
    );
    assert_eq!(server.response_head(101, &switching), Ok(false));
    assert_eq!(server.after(true), After::Tunnel);
}

#[test]
fn server_connections() {
    let scl = ServerModes {
        frontend: HttpMode::ServerClose,
        ..ServerModes::default()
    };
    let fake = ServerModes {
        backend: HttpMode::Close,
        pretend_keep_alive: true,
        ..ServerModes::default()
    };
    for (modes, v11, header, next) in [
        (ServerModes::default(), true, None, After::Reuse),
        (ServerModes::default(), false, Some("keep-alive"), After::Reuse),
        (scl, true, Some("close"), After::Close),
        (scl, false, None, After::Close),
        (fake, true, None, After::Close),
        (fake, false, Some("keep-alive"), After::Close),
    ] {
        let mut side = ServerSide::new();
        assert_eq!(side.request_head(Method::Get, out(v11), false, modes), Ok(header));
        assert_eq!(side.response_head(100, &framing(true, Body::None)), Ok(true));
        assert_eq!(
            side.response_head(200, &framing(true, Body::Length(1))),
            Ok(false)
        );
        assert_eq!(side.after(false), After::Wait);
        side.response_end();
        assert_eq!(side.after(false), next);
        assert_eq!(side.after(true), After::Close);
    }
}

#[test]
fn silence_only_between_requests_or_when_asked_for() {
    let mut side = ClientSide::new();
    assert_eq!(side.early_end(false, false), EarlyEnd::Answer);
    assert_eq!(side.early_end(false, true), EarlyEnd::Silent);
    assert_eq!(side.early_end(true, true), EarlyEnd::Answer);
    side.request_head(&framing(true, Body::None), Method::Get, false)
        .expect("first request");
    side.response_head(200, out(true), HttpMode::KeepAlive, false)
        .expect("final head");
    side.response_end();
    side.next_request().expect("reuse");
    assert_eq!(side.early_end(false, false), EarlyEnd::Silent);
    assert_eq!(side.early_end(true, false), EarlyEnd::Answer);
}
