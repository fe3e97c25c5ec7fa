//! Conversations.

use alaz_model::{CloseReason, Protocol, Role, UnpairedReason, View};

use super::testing::{
    END_HEADERS, END_STREAM, Encoder, PREFACE, data, frame, headers, reset, settings,
};
use crate::Limits;
use crate::testing::{Said, Wire};

mod damaged;
mod upgrade;

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "api.example:8080"),
    (":path", "/a?x=1"),
];
const CALL: [(&str, &str); 6] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/shop.Cart/Add"),
    (":authority", "cart"),
    ("te", "trailers"),
    ("content-type", "application/grpc+proto"),
];
const OK: [(&str, &str); 1] = [(":status", "200")];
const GRPC_OK: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

/// Both ends' encoders.
#[derive(Default)]
struct Peers {
    client: Encoder,
    server: Encoder,
}

impl Peers {
    fn ask(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
        headers(stream, &self.client.block(fields), ends)
    }

    fn answer(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
        headers(stream, &self.server.block(fields), ends)
    }
}

fn message(text: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, text.len() as u8], text].concat()
}

fn begun(role: Role) -> (Wire, Peers) {
    let mut wire = Wire::new(role);
    wire.client([PREFACE, &settings()].concat()).server(settings());
    (wire, Peers::default())
}

fn attribute<'a>(view: &'a View, name: &str) -> Option<&'a str> {
    let found = view.message.attributes.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_lost_answer_may_be_to_a_request_that_is_told_of_later() {
    let (mut wire, mut peers) = begun(Role::Client);
    wire.client(peers.ask(1, &GET, true)).server(peers.answer(1, &OK, false));
    let asked = wire.next_said(true, peers.ask(3, &GET, true));
    let answered = wire.next_said(false, peers.answer(3, &OK, true));
    let later = wire.next_said(false, [data(1, 10, true), settings()].concat());
    wire.give(&Said { unread: true, ..answered });
    wire.give(&later);
    wire.give(&asked);
    wire.pause(1_000_000_000).close(CloseReason::Finished);
    assert!(wire.told().iter().all(|line| !line.ends_with("no_response")), "{:?}", wire.views);
}

#[test]
fn both_ends_tell_the_same() {
    for role in [Role::Client, Role::Server] {
        let (mut wire, mut peers) = begun(role);
        let (ask, answer) = (peers.ask(1, &GET, true), peers.answer(1, &OK, false));
        wire.client(&ask).server(&answer).server(data(1, 10, true));
        wire.client(peers.ask(3, &GET, true)).server(peers.answer(3, &[(":status", "503")], true));
        assert_eq!(wire.told(), ["GET /a?x=? 200 complete", "GET /a?x=? 503 complete"]);
        let view = &wire.views[0];
        assert_eq!((view.role, view.message.protocol), (role, Protocol::Http2));
        assert_eq!((view.ended_ns - view.started_ns, view.pid), (2_000_000, 7));
        assert_eq!(view.response_ns, Some(view.started_ns + 1_000_000));
        assert_eq!(view.message.request_bytes, ask.len() as u64);
        assert_eq!(view.message.response_bytes, answer.len() as u64 + 9 + 10);
        assert_eq!(
            view.message.attributes.as_slice(),
            [
                ("http.request.method", "GET".into()),
                ("url.path", "/a".into()),
                ("server.address", "api.example".into())
            ]
        );
        assert_eq!([view.message.error, wire.views[1].message.error], [false, true]);
    }
}

#[test]
fn a_unary_call_has_its_names_status_and_messages() {
    let (mut wire, mut peers) = begun(Role::Client);
    let ask = [peers.ask(1, &CALL, false), frame(0, END_STREAM, 1, &message(b"in"))].concat();
    let answer = [
        peers.answer(1, &GRPC_OK, false),
        frame(0, 0, 1, &message(b"out")),
        peers.answer(1, &[("grpc-status", "13"), ("grpc-message", "secret")], true),
    ]
    .concat();
    wire.client(&ask).server(&answer);
    assert_eq!(wire.told(), ["Add shop.Cart 13 complete"]);
    let message = &wire.views[0].message;
    assert_eq!((message.protocol, &*message.route), (Protocol::Grpc, "shop.Cart"));
    assert!(message.error);
    assert_eq!(message.request_bytes, ask.len() as u64);
    assert_eq!(message.response_bytes, answer.len() as u64);
    assert_eq!(
        message.attributes.as_slice(),
        [
            ("rpc.method", "shop.Cart/Add".into()),
            ("rpc.response.status_code", "INTERNAL".into()),
            ("alaz.request.messages", "1".into()),
            ("alaz.response.messages", "1".into()),
            ("server.address", "cart".into()),
        ]
    );
}

#[test]
fn statuses_of_calls_are_errors_or_not() {
    for (status, is_error) in [("0", false), ("1", false), ("5", false), ("14", true), ("2", true)]
    {
        let (mut wire, mut peers) = begun(Role::Client);
        wire.client(peers.ask(1, &CALL, true));
        // Trailers only.
        let fields = [(":status", "200"), ("grpc-status", status)];
        wire.server(peers.answer(1, &fields, true));
        assert_eq!(wire.told(), [format!("Add shop.Cart {status} complete")]);
        assert_eq!(wire.views[0].message.error, is_error, "{status}");
    }
    // A proxy's own answer, and a server that forgets its status.
    for (status, is_error, shown) in
        [("503", true, Some("503")), ("404", false, Some("404")), ("200", true, None)]
    {
        let (mut wire, mut peers) = begun(Role::Client);
        wire.client(peers.ask(1, &CALL, true));
        wire.server(peers.answer(1, &[(":status", status)], true));
        assert_eq!(wire.told(), ["Add shop.Cart  complete"]);
        let view = &wire.views[0];
        assert_eq!(view.message.error, is_error, "{status}");
        assert_eq!(attribute(view, "http.response.status_code"), shown);
    }
}

#[test]
fn streaming_calls_count_their_messages_over_frames_and_segments() {
    let (mut wire, mut peers) = begun(Role::Server);
    wire.client(peers.ask(1, &CALL, false));
    wire.server(peers.answer(1, &GRPC_OK, false));
    for number in 0..3 {
        wire.client(frame(0, 0, 1, &[message(b"one"), message(b"two")].concat()));
        // A message over two frames, the second frame over two segments.
        wire.server(frame(0, 0, 1, b"\0\0\0\0\x0aabcde"));
        let rest = frame(0, 0, 1, &[b"fghij".as_slice(), &message(b"x")].concat());
        wire.server(&rest[..15]).server(&rest[15..]);
        // A large one, most of which is not copied.
        let large = [b"\0\0\0\x27\x10".as_slice(), &[b'z'; 10_000]].concat();
        wire.server(frame(0, 0, 1, &large));
        assert!(wire.views.is_empty(), "{number}");
    }
    wire.client(frame(0, END_STREAM, 1, b""));
    wire.server(peers.answer(1, &[("grpc-status", "0")], true));
    assert_eq!(wire.told(), ["Add shop.Cart 0 complete"]);
    assert_eq!(attribute(&wire.views[0], "alaz.request.messages"), Some("6"));
    assert_eq!(attribute(&wire.views[0], "alaz.response.messages"), Some("9"));
}

#[test]
fn messages_in_holes_are_not_counted_and_do_no_other_harm() {
    let (mut wire, mut peers) = begun(Role::Client);
    let many = message(b"0123456789").repeat(1000);
    wire.client(peers.ask(1, &CALL, true));
    wire.server([peers.answer(1, &GRPC_OK, false), frame(0, 0, 1, &many)].concat());
    wire.server(peers.answer(1, &[("grpc-status", "0")], true));
    assert_eq!(wire.told(), ["Add shop.Cart 0 complete"]);
    assert_eq!(attribute(&wire.views[0], "alaz.response.messages"), None);
    assert_eq!(attribute(&wire.views[0], "alaz.request.messages"), Some("0"));
}

#[test]
fn streams_are_answered_in_any_order_and_interleaved() {
    let (mut wire, mut peers) = begun(Role::Client);
    let asks: Vec<_> = [1, 3, 5].iter().flat_map(|id| peers.ask(*id, &GET, true)).collect();
    wire.client(asks);
    wire.server([peers.answer(5, &OK, false), peers.answer(1, &OK, false)].concat());
    wire.server([data(1, 5, false), data(5, 7, true), peers.answer(3, &OK, true)].concat());
    wire.server(data(1, 0, true));
    let lines = wire.told();
    assert_eq!(lines.len(), 3);
    let sizes: Vec<_> = wire.views.iter().map(|view| view.message.response_bytes).collect();
    assert_eq!(sizes, [10 + 16, 10, 10 + 14 + 9]);
}

#[test]
fn frames_split_at_every_byte_are_whole() {
    let (_, mut peers) = begun(Role::Client);
    let block = peers.client.block(&CALL);
    let mut padded = vec![3, 0, 0, 0, 0, 16];
    padded.extend_from_slice(&block[..20]);
    padded.extend_from_slice(&[0; 3]);
    let ask = [
        frame(1, 0x8 | 0x20, 1, &padded),
        frame(9, 0, 1, &block[20..30]),
        frame(9, END_HEADERS, 1, &block[30..]),
        frame(0, END_STREAM | 0x8, 1, b"\x02\0\0\0\0\0\0\0"),
    ]
    .concat();
    let answer = [
        frame(8, 0, 0, b"\0\0\x01\0"),
        frame(0x0a, 0, 1, b"alt"),
        peers.answer(1, &[(":status", "103")], false),
        peers.answer(1, &GRPC_OK, false),
        frame(0, 0, 1, &message(b"out")),
        peers.answer(1, &[("grpc-status", "0")], true),
    ]
    .concat();
    for by_client in [true, false] {
        let length = if by_client { ask.len() } else { answer.len() };
        for cut in 1..length {
            let (mut wire, _) = begun(Role::Client);
            if by_client {
                wire.client(&ask[..cut]).client(&ask[cut..]).server(&answer);
            } else {
                wire.client(&ask).server(&answer[..cut]).server(&answer[cut..]);
            }
            assert_eq!(wire.told(), ["Add shop.Cart 0 complete"], "{by_client} {cut}");
            assert_eq!(wire.views[0].message.request_bytes, ask.len() as u64);
        }
    }
}

#[test]
fn an_answer_that_is_told_of_first_waits_for_its_request() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        let mut peers = Peers::default();
        let hello = wire.next_said(true, [PREFACE, &settings()].concat());
        let ask = wire.next_said(true, peers.ask(1, &GET, true));
        let answer = wire.next_said(false, [settings(), peers.answer(1, &OK, true)].concat());
        for said in [&answer, &hello, &ask] {
            wire.give(said);
        }
        assert_eq!(wire.told(), ["GET /a?x=? 200 complete"]);
    }
}

#[test]
fn early_answers_wait_for_the_rest_of_the_request() {
    let (mut wire, mut peers) = begun(Role::Client);
    let ask = peers.ask(1, &CALL, false);
    wire.client(&ask).server(peers.answer(1, &[(":status", "413")], true));
    assert!(wire.views.is_empty());
    wire.client(data(1, 100, true));
    // The server does not want the rest.
    wire.client(peers.ask(3, &CALL, false)).server(peers.answer(3, &[(":status", "413")], true));
    wire.server(reset(3, 0));
    // The client gives up sending it.
    wire.client(peers.ask(5, &CALL, false)).server(peers.answer(5, &[(":status", "413")], true));
    wire.client(reset(5, 8));
    assert_eq!(wire.told(), ["Add shop.Cart  complete"; 3]);
    assert_eq!(wire.views[0].message.request_bytes, ask.len() as u64 + 109);
}

#[test]
fn resets_are_told_apart() {
    let (mut wire, mut peers) = begun(Role::Client);
    wire.client(peers.ask(1, &GET, true)).server(reset(1, 7));
    wire.client(peers.ask(3, &GET, true)).server(peers.answer(3, &OK, false)).client(reset(3, 8));
    // What was on its way is not an exchange of its own.
    wire.server(data(3, 10, true));
    wire.client(peers.ask(5, &GET, true)).client(reset(5, 8)).pause(100_000_000);
    wire.client(peers.ask(7, &CALL, false)).server(reset(7, 0xffff)).pause(2_000_000_000);
    assert_eq!(
        wire.told(),
        ["GET /a?x=?  reset", "GET /a?x=? 200 reset", "GET /a?x=?  reset", "Add shop.Cart  reset"]
    );
    let types: Vec<_> = wire.views.iter().map(|view| attribute(view, "error.type")).collect();
    assert_eq!(types, [Some("REFUSED_STREAM"), Some("CANCEL"), Some("CANCEL"), Some("UNKNOWN")]);
    assert!(wire.views.iter().all(|view| view.message.error));
}

#[test]
fn a_reset_that_crosses_the_end_of_the_response_changes_nothing() {
    let (mut wire, mut peers) = begun(Role::Server);
    wire.client(peers.ask(1, &GET, true));
    let answer = wire.next_said(false, peers.answer(1, &OK, true));
    let reset = wire.next_said(true, reset(1, 8));
    wire.give(&reset);
    wire.give(&answer);
    assert_eq!(wire.told(), ["GET /a?x=? 200 complete"]);
}

#[test]
fn streams_after_the_last_that_a_server_takes_are_refused() {
    let (mut wire, mut peers) = begun(Role::Client);
    wire.client([peers.ask(1, &GET, true), peers.ask(3, &GET, true)].concat());
    wire.server(frame(7, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0"));
    wire.server(frame(7, 0, 0, b"\0\0\0\x01\0\0\0\0bye"));
    wire.client(peers.ask(5, &GET, true));
    wire.server(peers.answer(1, &OK, true)).pause(2_000_000_000);
    assert_eq!(wire.told(), ["GET /a?x=?  reset", "GET /a?x=? 200 complete", "GET /a?x=?  reset"]);
    assert_eq!(attribute(&wire.views[2], "error.type"), Some("GOAWAY"));
}

#[test]
fn what_the_end_of_the_connection_leaves_open() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let (mut wire, mut peers) = begun(Role::Client);
        wire.client([peers.ask(1, &GET, true), peers.ask(3, &GET, true)].concat());
        wire.server([peers.answer(1, &OK, false), data(1, 10, false)].concat()).close(reason);
        let expected = ["GET /a?x=? 200 reset".to_owned(), format!("GET /a?x=?  {outcome}")];
        assert_eq!(wire.told(), expected);
    }
}

#[test]
fn silence_is_reported_once() {
    let limits = Limits { silence_ns: 5_000_000_000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    let mut peers = Peers::default();
    wire.client([PREFACE, &settings()].concat()).server(settings());
    wire.client([peers.ask(1, &GET, true), peers.ask(3, &GET, true)].concat());
    // A response that goes on is no silence.
    wire.server(peers.answer(3, &OK, false)).pause(4_000_000_000).pause(4_000_000_000);
    wire.server(peers.answer(1, &OK, true)).server(data(3, 1, true));
    assert_eq!(wire.told(), ["GET /a?x=?  no_response", "GET /a?x=? 200 complete"]);
}

#[test]
fn open_streams_are_bounded() {
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    let mut peers = Peers::default();
    wire.client([PREFACE, &settings()].concat()).server(settings());
    for number in 0..5 {
        wire.client(peers.ask(1 + 2 * number, &GET, true));
    }
    for number in 0..5 {
        wire.server(peers.answer(1 + 2 * number, &OK, true));
    }
    wire.client(peers.ask(11, &GET, true)).server(peers.answer(11, &OK, true));
    assert_eq!(wire.told(), ["GET /a?x=? 200 complete"; 4]);
    let exchanges = wire.engine.ledger().exchanges;
    assert_eq!(exchanges.unpaired(UnpairedReason::TooManyPending), 2);
}

#[test]
fn header_blocks_are_bounded() {
    let limits = Limits { head_bytes: 1000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    let mut peers = Peers::default();
    wire.client([PREFACE, &settings()].concat()).server(settings());
    let ask = frame(1, END_STREAM, 1, &peers.client.block(&GET));
    wire.client(&ask);
    for _ in 0..1000 {
        wire.client(frame(9, 0, 1, b"\0\x01x\x01y"));
    }
    wire.client(frame(9, END_HEADERS, 1, b"")).server(peers.answer(1, &OK, true));
    assert_eq!(wire.told(), ["GET /a?x=? 200 complete"]);
    assert_eq!(wire.views[0].message.request_bytes, ask.len() as u64 + 1000 * 14 + 9);
}

#[test]
fn a_head_longer_than_what_is_copied_costs_the_table_only() {
    let (mut wire, mut peers) = begun(Role::Client);
    let long = "c".repeat(9_000);
    let fields = [&GET[..], &[("cookie", &long)]].concat();
    wire.client(peers.ask(1, &fields, true)).server(peers.answer(1, &OK, true));
    wire.client(peers.ask(3, &GET, true)).server(peers.answer(3, &OK, true));
    // The host stood in the table before.
    wire.client(peers.ask(5, &[&GET[..3], &[(":path", "/new")]].concat(), true));
    wire.server(peers.answer(5, &OK, true));
    assert_eq!(
        wire.told(),
        ["GET /a?x=? 200 complete", "GET /a?x=? 200 complete", "GET /new 200 complete"]
    );
    assert!(wire.views[0].message.request_bytes > 9_000);
}

#[test]
fn an_older_connection_is_exact_from_what_it_says_next() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::with(role, Role::Unknown, true, Limits::default());
        let mut peers = Peers::default();
        // Said before: it fills both tables, and one stream is still open.
        let late = [(":status", "429")];
        for id in [1, 3] {
            wire.unseen(true, peers.ask(id, &GET, true));
            wire.unseen(false, peers.answer(id, &late, id == 1));
        }
        // The rest of some content.
        wire.server([b'd'; 100]);
        wire.client(peers.ask(101, &GET, true));
        wire.server([peers.answer(101, &late, false), data(101, 3, true)].concat());
        wire.server(data(3, 10, true));
        wire.client(peers.ask(103, &[&GET[..2], &[(":path", "/new")]].concat(), true));
        wire.server([peers.answer(103, &OK, false), data(103, 3, true)].concat());
        wire.client(peers.ask(105, &[&GET[..2], &[(":path", "/new")]].concat(), true));
        wire.server(peers.answer(105, &[(":status", "418")], true)).pause(100_000_000);
        // The path and the status of the first stand in what was not seen. Nobody knows whether its
        // response had begun before.
        let told = wire.told();
        assert_eq!(told[1..], ["GET /new 200 complete", "GET /new 418 complete"], "{role:?}");
        assert_eq!(told[0], "GET   partial");
        assert_eq!(wire.views[0].role, role);
    }
}

#[test]
fn a_gap_leaves_open_streams_in_part_and_later_ones_exact() {
    let (mut wire, mut peers) = begun(Role::Client);
    wire.client([1, 3, 5].map(|id| peers.ask(id, &GET, true)).concat());
    wire.server([peers.answer(1, &OK, false), data(1, 10, false)].concat());
    // The answer to one of them, perhaps.
    wire.unseen(false, peers.answer(3, &[(":status", "401")], true));
    wire.server([data(1, 5, true), frame(6, 0, 0, &[0; 8])].concat()).pause(100_000_000);
    // It begins here, so nothing of it was missed.
    wire.server(peers.answer(5, &OK, true));
    wire.client(peers.ask(7, &GET, true));
    wire.server(peers.answer(7, &[(":status", "402")], true)).pause(100_000_000);
    wire.close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        ["GET /a?x=? 200 partial", "GET /a?x=? 200 complete", "GET /a?x=? 402 complete"]
    );
    assert_eq!(wire.views[0].message.response_bytes, 0);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 1);
}

#[test]
fn a_lost_request_is_never_paired() {
    let (mut wire, mut peers) = begun(Role::Client);
    wire.client(peers.ask(1, &GET, true)).unseen(true, peers.ask(3, &GET, true));
    wire.server([peers.answer(3, &OK, true), peers.answer(1, &OK, true)].concat());
    wire.client([peers.ask(5, &GET, true), frame(6, 0, 0, &[0; 8])].concat());
    wire.server(peers.answer(5, &OK, true)).pause(100_000_000);
    // Its path was inserted before the gap.
    assert_eq!(wire.told(), ["GET /a?x=? 200 complete", "GET  200 complete"]);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 1);
}

#[test]
fn what_is_not_http_2_after_all_is_withdrawn() {
    let mut wire = Wire::new(Role::Client);
    let mut peers = Peers::default();
    wire.client([PREFACE, &settings(), &peers.ask(1, &GET, true)].concat());
    wire.server("HTTP/1.1 400 Bad Request\r\n\r\n").close(CloseReason::Finished);
    assert!(wire.told().is_empty());
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Withdrawn), 1);
}

#[test]
fn what_others_say_is_not_claimed() {
    use super::claim;
    use crate::dialogue::{Claim, Side};
    for other in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"PRI * HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        b"+OK\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00me\x00database\x00shop\x00\x00",
        b"Q\x00\x00\x00\x0dSELECT 1\x00",
        b"Z\x00\x00\x00\x05I",
        b"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00",
        b"\x09\x00\x00\x00\x03SELECT 1",
        b"\x01\x00\x00\x01\x01\x17\x00\x00\x02\x03def",
        // Kafka: ApiVersions, and a response whose size looks like a frame type.
        b"\x00\x00\x00\x1d\x00\x12\x00\x03\x00\x00\x00\x01\x00\x08consumer\x00",
        b"\x00\x00\x00\x08\x00\x00\x00\x07\x00\x00\x00\x00",
        b"\x00\x00\x00\x01\x00\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00\x00\x00\x00",
        b"AMQP\x00\x00\x09\x01",
        b"\x01\x00\x00\x00\x00\x00\x0d\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\xce",
        b"\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00",
        b"220 mail.example ESMTP\r\n",
        b"EHLO me\r\n",
        &[0; 64],
        &[0xff; 64],
    ] {
        for length in 1..=other.len() {
            let said = claim(&other[..length], true);
            assert_eq!(said, Claim::No, "{}", other[..length].escape_ascii());
        }
    }
    assert_eq!(claim(&PREFACE[..5], false), Claim::Maybe);
    assert_eq!(claim(&PREFACE[..5], true), Claim::No);
    assert_eq!(claim(PREFACE, false), Claim::Yes(Side::Client));
}
