//! From HTTP/1 to HTTP/2, and from HTTP/2 to what tunnels carry.

use super::*;
use crate::testing::Said;

const ASK: &str = "GET /a?x=1 HTTP/1.1\r\nHost: api\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
const AGREE: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

#[test]
fn the_request_that_asked_for_it_is_answered_in_http2() {
    for role in [Role::Client, Role::Server] {
        let (mut wire, mut peers) = (Wire::new(role), Peers::default());
        wire.client(ASK);
        // One write: the change, the settings and the answer.
        let answer = [peers.answer(1, &OK, false), data(1, 10, true)].concat();
        wire.server([AGREE.as_bytes(), &settings(), &answer].concat());
        wire.client([PREFACE, &settings()].concat());
        wire.client(peers.ask(3, &GET, true)).server(peers.answer(3, &[(":status", "404")], true));
        assert_eq!(wire.engine.ledger().connections.speaks(Protocol::Http2), 1);
        assert_eq!(wire.told(), ["GET /a?x=? 200 complete", "GET /a?x=? 404 complete"]);
        let view = &wire.views[0];
        assert_eq!((view.message.protocol, view.role), (Protocol::Http2, role));
        assert_eq!(view.message.request_bytes, ASK.len() as u64);
        assert_eq!(view.message.response_bytes, answer.len() as u64);
        assert_eq!(view.ended_ns - view.started_ns, 1_000_000);
        assert_eq!(attribute(view, "server.address"), Some("api"));
    }
}

#[test]
fn what_the_client_goes_on_with_waits_for_the_change() {
    let (mut wire, mut peers) = (Wire::new(Role::Client), Peers::default());
    wire.client(ASK);
    let agree = wire.next_said(false, [AGREE.as_bytes(), &settings()].concat());
    let more = [PREFACE, &settings(), &peers.ask(3, &GET, true)].concat();
    // Told of in the wrong order.
    let preface = wire.next_said(true, more);
    wire.give(&preface);
    wire.give(&agree);
    wire.server(peers.answer(1, &OK, true)).server(peers.answer(3, &OK, true));
    assert_eq!(wire.told(), ["GET /a?x=? 200 complete"; 2]);
}

#[test]
fn who_does_not_agree_goes_on_in_http1() {
    let mut wire = Wire::new(Role::Client);
    let answer = "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok";
    wire.client(ASK).server(answer).client(ASK).server(answer);
    let other = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    wire.client(ASK).server(other).client(b"\x81\x05hello").server(b"\x81\x05hello");
    wire.close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        ["GET /a?x=? 200 complete", "GET /a?x=? 200 complete", "GET /a?x=? 101 complete"]
    );
    assert!(wire.views.iter().all(|view| view.message.protocol == Protocol::Http));
}

#[test]
fn whatever_is_missing_nothing_wrong_is_told() {
    let mut peers = Peers::default();
    let answer = [peers.answer(1, &OK, false), data(1, 10, true)].concat();
    let parts: [(bool, Vec<u8>); 6] = [
        (true, ASK.into()),
        (false, AGREE.into()),
        (false, settings()),
        (true, [PREFACE, &settings(), &peers.ask(3, &GET, true)].concat()),
        (false, answer),
        (false, peers.answer(3, &[(":status", "404")], true)),
    ];
    for missing in 0..1 << parts.len() {
        let mut wire = Wire::new(Role::Client);
        let said: Vec<Said> =
            parts.iter().map(|(by_client, bytes)| wire.next_said(*by_client, bytes)).collect();
        for (at, said) in said.iter().enumerate() {
            if missing & 1 << at == 0 {
                wire.give(said);
            }
        }
        wire.close(CloseReason::Finished);
        for told in wire.told() {
            let is_true = told.ends_with(" 200 complete")
                || told.ends_with(" 404 complete")
                || told.ends_with(" partial");
            assert!(is_true, "{missing:06b}: {told}");
        }
        wire.assert_balances();
    }
}

#[test]
fn a_tunnel_is_told_once_it_is_open_and_what_it_carries_is_not_read() {
    let (mut wire, mut peers) = begun(Role::Client);
    // RFC 8441 §5.1.
    let chat = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "server.example.com"),
        ("sec-websocket-version", "13"),
    ];
    let (ask, answer) = (peers.ask(1, &chat, false), peers.answer(1, &OK, false));
    wire.client(&ask).server(&answer);
    assert_eq!(wire.views.len(), 1);
    wire.client(data(1, 100, false)).server(data(1, 100, false));
    // Others go on beside it, and it may end in any way.
    wire.client(peers.ask(3, &GET, true)).server(peers.answer(3, &OK, true));
    wire.client(data(1, 5, true)).server(reset(1, 8)).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["CONNECT /chat 200 complete", "GET /a?x=? 200 complete"]);
    let view = &wire.views[0];
    assert_eq!(view.ended_ns - view.started_ns, 1_000_000);
    assert_eq!(view.message.request_bytes, ask.len() as u64);
    assert_eq!(view.message.response_bytes, answer.len() as u64);

    // Refused: an exchange like any other.
    let (mut wire, mut peers) = begun(Role::Client);
    wire.client(peers.ask(1, &chat, false)).server(peers.answer(1, &[(":status", "404")], false));
    assert_eq!(wire.views.len(), 0);
    wire.client(data(1, 0, true)).server(data(1, 10, true));
    assert_eq!(wire.told(), ["CONNECT /chat 404 complete"]);
}
