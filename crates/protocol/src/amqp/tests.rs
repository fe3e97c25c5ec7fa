//! Conversations, whole and damaged.

use alaz_model::{CloseReason, Protocol, Role, UnpairedReason};

use super::{CHANNELS_MAX, CONSUMERS_MAX, claim};
use crate::Limits;
use crate::dialogue::{Claim, Side};
use crate::testing::{FOREIGN, Wire};

mod properties;

/// Builds the arguments of a method.
#[derive(Clone, Default)]
struct Arguments(Vec<u8>);

impl Arguments {
    fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn short(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn long(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn longlong(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn text(mut self, value: &str) -> Self {
        self.0.push(value.len() as u8);
        self.0.extend(value.as_bytes());
        self
    }

    fn long_text(self, value: &str) -> Self {
        let mut out = self.long(value.len() as u32);
        out.0.extend(value.as_bytes());
        out
    }
}

fn args() -> Arguments {
    Arguments::default()
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let head = args().octet(kind).short(channel).long(payload.len() as u32).0;
    [&head, payload, &[0xce]].concat()
}

fn method(channel: u16, id: (u16, u16), arguments: Arguments) -> Vec<u8> {
    frame(1, channel, &[args().short(id.0).short(id.1).0, arguments.0].concat())
}

/// Header and body of a message, in frames of so many bytes.
fn content(channel: u16, size: usize, per_frame: usize) -> Vec<u8> {
    let header = args().short(60).short(0).longlong(size as u64).short(0);
    let mut out = frame(2, channel, &header.0);
    for part in vec![0xce; size].chunks(per_frame) {
        out.extend(frame(3, channel, part));
    }
    out
}

fn publish(channel: u16, exchange: &str, key: &str, size: usize) -> Vec<u8> {
    let arguments = args().short(0).text(exchange).text(key).octet(0);
    [method(channel, (60, 40), arguments), content(channel, size, 1000)].concat()
}

fn deliver(channel: u16, consumer: &str, tag: u64, key: &str, size: usize) -> Vec<u8> {
    let arguments = args().text(consumer).longlong(tag).octet(0).text("ex").text(key);
    [method(channel, (60, 60), arguments), content(channel, size, 1000)].concat()
}

/// `basic.ack`, `nack` (120) or `reject` (90).
fn ack(channel: u16, number: u16, tag: u64, multiple: bool) -> Vec<u8> {
    method(channel, (60, number), args().longlong(tag).octet(multiple.into()))
}

fn declare(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, (50, 10), args().short(0).text(queue).octet(2).long(0))
}

fn declare_ok(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, (50, 11), args().text(queue).long(0).long(0))
}

fn consume(channel: u16, queue: &str, tag: &str, no_ack: bool) -> Vec<u8> {
    let bits = u8::from(no_ack) << 1;
    method(channel, (60, 20), args().short(0).text(queue).text(tag).octet(bits).long(0))
}

fn consume_ok(channel: u16, tag: &str) -> Vec<u8> {
    method(channel, (60, 21), args().text(tag))
}

fn close(channel: u16, code: u16, about: (u16, u16)) -> Vec<u8> {
    let id = if channel == 0 { (10, 50) } else { (20, 40) };
    method(channel, id, args().short(code).text("secret").short(about.0).short(about.1))
}

fn close_ok(channel: u16) -> Vec<u8> {
    method(channel, if channel == 0 { (10, 51) } else { (20, 41) }, args())
}

/// A connection up to its open channels, of which the first confirms.
fn open(wire: &mut Wire, channels: u16) {
    wire.client(b"AMQP\0\0\x09\x01");
    let start = args().octet(0).octet(9).long(0).long_text("PLAIN").long_text("en_US");
    wire.server(method(0, (10, 10), start));
    let start_ok = args().long(0).text("PLAIN").long_text("\0guest\09SECRET9").text("en_US");
    wire.client(method(0, (10, 11), start_ok));
    wire.server(method(0, (10, 30), args().short(2047).long(131_072).short(60)));
    let tune_ok = method(0, (10, 31), args().short(2047).long(131_072).short(60));
    wire.client([tune_ok, method(0, (10, 40), args().text("/").text("").octet(0))].concat());
    wire.server(method(0, (10, 41), args().text("")));
    for channel in 1..=channels {
        wire.client(method(channel, (20, 10), args().text("")));
        wire.server(method(channel, (20, 11), args().long(0)));
    }
    if channels > 0 {
        wire.client(method(1, (85, 10), args().octet(0))).server(method(1, (85, 11), args()));
    }
}

fn client() -> Wire {
    Wire::new(Role::Client)
}

#[test]
fn an_answer_may_be_to_what_is_told_of_later() {
    let mut wire = client();
    open(&mut wire, 1);
    let asked = declare(1, "jobs");
    // What is there of it shows only when no more can come.
    wire.client(&asked[..asked.len() - 4]).server(declare_ok(1, "jobs"));
    wire.unseen(true, &asked[asked.len() - 4..]).pause(1_000_000_000).close(CloseReason::Finished);
    assert!(told(&mut wire).is_empty(), "{:?}", wire.views);
}

/// What is told after a connection was opened.
fn told(wire: &mut Wire) -> Vec<String> {
    let told = wire.told();
    let opening = |line: &String| line.starts_with("connection.st") || line.contains(".open ");
    told.into_iter().filter(|line| !opening(line) && !line.starts_with("confirm")).collect()
}

fn attribute(wire: &Wire, method: &str, name: &str) -> Option<String> {
    let view = wire.views.iter().find(|view| view.message.method == method)?;
    let found = view.message.attributes.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_string())
}

#[test]
fn both_ends_tell_the_same() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        open(&mut wire, 2);
        wire.client(frame(8, 0, &[])).server(frame(8, 0, &[]));
        wire.client(declare(2, "orders.42")).server(declare_ok(2, "orders.42"));
        wire.client(publish(2, "", "orders.42", 2500)).client(close(2, 0, (0, 0)));
        wire.server(close_ok(2)).client(close(0, 200, (0, 0))).server(close_ok(0));
        wire.close(CloseReason::Finished);
        assert_eq!(
            wire.told(),
            [
                "connection.start-ok  ok complete",
                "connection.open  ok complete",
                "channel.open  ok complete",
                "channel.open  ok complete",
                "confirm.select  ok complete",
                "queue.declare orders.{id} ok complete",
                "basic.publish orders.{id}  one_way",
                "channel.close  ok complete",
                "connection.close  ok complete",
            ]
        );
        assert!(wire.views.iter().all(|view| view.role == role && !view.message.error));
        let published = &wire.views[6].message;
        assert_eq!(published.request_bytes, publish(2, "", "orders.42", 2500).len() as u64);
        assert_eq!(attribute(&wire, "basic.publish", "alaz.vhost").as_deref(), Some("/"));
        assert_eq!(
            attribute(&wire, "basic.publish", "messaging.message.body.size").as_deref(),
            Some("2500")
        );
        assert_eq!(wire.views[5].ended_ns - wire.views[5].started_ns, 1_000_000);
        assert!(!format!("{:?}", wire.views).contains("SECRET"));
    }
}

#[test]
fn frames_split_at_every_byte_are_whole() {
    let request = publish(1, "ex", "key", 20);
    let response = ack(1, 80, 1, false);
    for cut in 1..request.len() {
        let mut wire = client();
        open(&mut wire, 1);
        wire.client(&request[..cut]).client(&request[cut..]).server(&response);
        assert_eq!(told(&mut wire), ["basic.publish ex/key ok complete"], "{cut}");
        assert_eq!(wire.views.last().unwrap().message.request_bytes, request.len() as u64);
    }
    for cut in 1..response.len() {
        let mut wire = client();
        open(&mut wire, 1);
        wire.client(&request).server(&response[..cut]).server(&response[cut..]);
        assert_eq!(told(&mut wire), ["basic.publish ex/key ok complete"], "{cut}");
        assert_eq!(wire.views.last().unwrap().ended_ns, wire.now_ns);
    }
}

#[test]
fn confirmations_give_latencies() {
    let mut wire = client();
    open(&mut wire, 1);
    for key in ["a", "b", "c", "d"] {
        wire.client(publish(1, "ex", key, 10));
    }
    wire.server(ack(1, 80, 4, false)).server(ack(1, 80, 2, true)).server(ack(1, 120, 3, false));
    wire.client(publish(1, "ex", "e", 0)).close(CloseReason::Finished);
    assert_eq!(
        told(&mut wire),
        [
            "basic.publish ex/d ok complete",
            "basic.publish ex/a ok complete",
            "basic.publish ex/b ok complete",
            "basic.publish ex/c nack complete",
            "basic.publish ex/e  no_response",
        ]
    );
    let errors: Vec<_> = wire.views.iter().rev().take(5).map(|view| view.message.error).collect();
    assert_eq!(errors, [true, true, false, false, false]);
}

#[test]
fn deliveries_end_with_their_acknowledgement() {
    let mut wire = client();
    open(&mut wire, 2);
    wire.client(consume(2, "jobs", "", false)).server(consume_ok(2, "tag"));
    for tag in 1..=5 {
        wire.server(deliver(2, "tag", tag, "key", 2000));
    }
    wire.client(ack(2, 90, 3, true)).client(ack(2, 80, 2, true)).client(ack(2, 120, 4, false));
    wire.client(consume(2, "logs", "mine", true)).server(consume_ok(2, "mine"));
    wire.server(deliver(2, "mine", 6, "key", 10)).close(CloseReason::Finished);
    assert_eq!(
        told(&mut wire),
        [
            "basic.consume jobs ok complete",
            "basic.deliver jobs reject complete",
            "basic.deliver jobs ok complete",
            "basic.deliver jobs ok complete",
            "basic.deliver jobs nack complete",
            "basic.consume logs ok complete",
            "basic.deliver logs  one_way",
            "basic.deliver jobs  one_way",
        ]
    );
    assert_eq!(attribute(&wire, "basic.deliver", "alaz.direction").as_deref(), Some("push"));
    let rejected = wire.views.iter().find(|view| view.message.status == "reject").unwrap();
    assert!(!rejected.message.error, "the server did nothing wrong");
    assert_eq!(rejected.message.response_bytes, deliver(2, "tag", 3, "key", 2000).len() as u64);
    assert_eq!(rejected.ended_ns - rejected.started_ns, 3_000_000);
}

#[test]
fn messages_are_fetched_and_returned() {
    let mut wire = client();
    open(&mut wire, 2);
    let get = |queue: &str| method(2, (60, 70), args().short(0).text(queue).octet(0));
    let got = args().longlong(1).octet(0).text("ex").text("key").long(7);
    wire.client(get("jobs")).server([method(2, (60, 71), got), content(2, 3000, 1000)].concat());
    wire.client(get("jobs")).server(method(2, (60, 72), args().text("")));
    wire.client(publish(2, "ex", "nowhere", 10));
    let returned = args().short(312).text("NO_ROUTE").text("ex").text("nowhere");
    wire.server([method(2, (60, 50), returned), content(2, 10, 1000)].concat());
    wire.server(method(2, (60, 30), args().text("gone").octet(1)));
    assert_eq!(
        told(&mut wire),
        [
            "basic.get jobs ok complete",
            "basic.get jobs ok complete",
            "basic.publish ex/nowhere  one_way",
            "basic.return ex/nowhere 312 one_way",
            "basic.cancel   one_way",
        ]
    );
    let got = wire.views.iter().find(|view| view.message.method == "basic.get").unwrap();
    assert!(got.message.response_bytes > 3000 && !got.message.error);
    assert!(wire.views.iter().any(|view| view.message.status == "312" && view.message.error));
}

#[test]
fn what_a_server_closes_is_answered_by_its_code() {
    let mut wire = client();
    open(&mut wire, 2);
    wire.client(declare(2, "missing")).server(close(2, 404, (50, 10))).client(close_ok(2));
    wire.client(publish(1, "missing", "key", 5)).server(close(1, 404, (60, 40)));
    wire.client(close_ok(1)).server(close(0, 320, (0, 0))).client(close_ok(0));
    assert_eq!(
        told(&mut wire),
        [
            "queue.declare missing 404 complete",
            "channel.close  404 complete",
            "basic.publish missing/key 404 complete",
            "channel.close  404 complete",
            "connection.close  320 complete",
        ]
    );
    assert!(wire.views.iter().rev().take(5).all(|view| view.message.error));
    // Refused credentials.
    let mut wire = client();
    wire.client(b"AMQP\0\0\x09\x01").server(method(0, (10, 10), args().octet(0).octet(9)));
    wire.client(method(0, (10, 11), args().long(0))).server(close(0, 403, (0, 0)));
    wire.client(close_ok(0));
    assert_eq!(
        wire.told(),
        ["connection.start-ok  403 complete", "connection.close  403 complete"]
    );
}

#[test]
fn holes_in_bodies_do_no_harm() {
    let mut wire = client();
    open(&mut wire, 1);
    let arguments = args().short(0).text("ex").text("key").octet(0);
    wire.client([method(1, (60, 40), arguments), content(1, 100_000, 131_064)].concat());
    wire.server(ack(1, 80, 1, false));
    let large = publish(1, "ex", "key", 900);
    wire.client(&large[..200]).unseen(true, &large[200..300]).client(&large[300..]);
    wire.pause(100_000_000).server(ack(1, 80, 2, false));
    assert_eq!(told(&mut wire), ["basic.publish ex/key ok complete"; 2]);
}

#[test]
fn after_a_loss_only_what_is_certain_is_paired() {
    let mut wire = client();
    open(&mut wire, 2);
    wire.client(publish(1, "ex", "a", 10)).unseen(false, ack(1, 80, 1, false));
    wire.client(publish(1, "ex", "b", 10)).server(ack(1, 80, 2, true)).pause(100_000_000);
    wire.client(publish(1, "ex", "c", 10)).server(ack(1, 80, 3, false));
    wire.unseen(true, publish(1, "ex", "d", 10)).client(publish(1, "ex", "e", 10));
    wire.pause(100_000_000).server(ack(1, 80, 4, false)).server(ack(1, 80, 5, false));
    wire.client(declare(2, "jobs")).server(declare_ok(2, "jobs"));
    assert_eq!(
        told(&mut wire),
        [
            "basic.publish ex/c ok complete",
            "basic.publish ex/e  partial",
            "queue.declare jobs ok complete",
        ]
    );
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 2);
}

#[test]
fn an_older_connection_is_read_from_its_next_method() {
    for (role, known) in [(Role::Client, Role::Unknown), (Role::Server, Role::Server)] {
        let mut wire = Wire::with(role, known, true, Limits::default());
        wire.server(b"rest of a body \xce").client(publish(5, "ex", "key", 10));
        wire.client(declare(5, "jobs")).server(declare_ok(5, "jobs"));
        // Who acknowledges once always does.
        wire.server(deliver(5, "tag", 70, "key", 10)).client(ack(5, 80, 70, false));
        wire.server(deliver(5, "tag", 71, "key", 10)).client(ack(5, 80, 71, false));
        assert_eq!(
            wire.told(),
            [
                "basic.publish ex/key  one_way",
                "queue.declare jobs ok complete",
                "basic.deliver ex/key  one_way",
                "basic.deliver ex/key ok complete",
            ]
        );
        assert!(wire.views.iter().all(|view| view.role == role));
    }
}

#[test]
fn an_answer_that_is_told_of_first_waits_for_its_method() {
    let mut wire = client();
    open(&mut wire, 1);
    let request = wire.next_said(true, publish(1, "ex", "a", 10));
    let mut response = wire.next_said(false, ack(1, 80, 1, false));
    response.time_ns += 1;
    wire.give(&response);
    wire.give(&request);
    assert_eq!(told(&mut wire), ["basic.publish ex/a ok complete"]);
}

#[test]
fn an_acknowledgement_is_not_read_before_what_it_is_for() {
    let mut wire = client();
    open(&mut wire, 2);
    wire.client(consume(2, "jobs", "tag", false)).server(consume_ok(2, "tag"));
    let mut cut = wire.next_said(true, declare(2, "other"));
    cut.head.truncate(10);
    wire.give(&cut);
    // The answer waits for what was cut, and everything behind it.
    wire.server(declare_ok(2, "other")).server(deliver(2, "tag", 1, "key", 4));
    wire.client(ack(2, 80, 1, false)).close(CloseReason::Finished);
    let told = told(&mut wire);
    assert_eq!(told, ["basic.consume jobs ok complete", "basic.deliver jobs ok complete"]);
}

#[test]
fn what_is_lost_just_before_the_close_is_no_failure() {
    let mut wire = client();
    open(&mut wire, 2);
    wire.client(publish(1, "ex", "a", 10)).unseen(false, ack(1, 80, 1, false));
    wire.close(CloseReason::Finished);
    assert!(told(&mut wire).is_empty());
    // Whether it was acknowledged was not seen, nor whether the client agreed to the end.
    let mut wire = client();
    open(&mut wire, 2);
    wire.client(consume(2, "jobs", "tag", false)).server(consume_ok(2, "tag"));
    wire.server(deliver(2, "tag", 1, "key", 4)).server(close(1, 320, (0, 0)));
    wire.unseen(true, [ack(2, 80, 1, false), close_ok(1)].concat()).close(CloseReason::Finished);
    let told = told(&mut wire);
    assert_eq!(told, ["basic.consume jobs ok complete", "basic.deliver jobs  partial"]);
}

#[test]
fn everything_that_is_kept_is_bounded() {
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    open(&mut wire, 2);
    for key in ["a", "b", "c", "d"] {
        wire.client(publish(1, "ex", key, 1));
    }
    wire.server(ack(1, 80, 4, true)).client(publish(1, "ex", "e", 1)).server(ack(1, 80, 5, false));
    let told = told(&mut wire);
    assert_eq!(told[0], "basic.publish ex/d  partial");
    assert_eq!(told.iter().filter(|line| line.ends_with("complete")).count(), 4);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::TooManyPending), 1);

    let mut wire = client();
    open(&mut wire, 1);
    for number in 0..=CONSUMERS_MAX {
        let tag = number.to_string();
        wire.client(consume(1, "jobs", &tag, false)).server(consume_ok(1, &tag));
    }
    wire.server(deliver(1, "1", 1, "key", 1)).client(ack(1, 80, 1, false));
    wire.server(deliver(1, &CONSUMERS_MAX.to_string(), 2, "key", 1));
    let told = wire.told();
    assert_eq!(
        told[told.len() - 2..],
        ["basic.deliver jobs ok complete", "basic.deliver ex/key  one_way"]
    );

    let mut wire = client();
    open(&mut wire, 0);
    for channel in 1..=CHANNELS_MAX as u16 + 1 {
        wire.client(publish(channel, "ex", "key", 1));
    }
    let told = wire.told();
    assert_eq!(told.len(), 2 + CHANNELS_MAX - 1, "channel 0 is one of them");
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 2);
}

#[test]
fn only_amqp_is_claimed() {
    let yes = |bytes: &[u8]| match claim(bytes, true) {
        Claim::Yes(side) => Some(side),
        _ => None,
    };
    assert_eq!(yes(b"AMQP\0\0\x09\x01"), Some(Side::Client));
    assert_eq!(yes(&declare(3, "jobs")), Some(Side::Client));
    assert_eq!(yes(&deliver(3, "tag", 1, "key", 10)), Some(Side::Server));
    assert_eq!(yes(&ack(3, 80, 1, false)), None, "both sides say that");
    assert_eq!(yes(&declare(0, "jobs")), None, "not in channel 0");
    for (name, bytes) in FOREIGN.iter().filter(|(name, _)| *name != "amqp") {
        for end in 1..=bytes.len() {
            assert_eq!(yes(&bytes[..end]), None, "{name} at {end}");
        }
        let mut wire = client();
        wire.client(bytes).server(bytes).close(CloseReason::Finished);
        wire.told();
        assert!(!wire.views.iter().any(|view| view.message.protocol == Protocol::Amqp), "{name}");
    }
}
