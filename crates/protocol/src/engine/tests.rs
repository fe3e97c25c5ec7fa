use alaz_model::{
    CloseReason, ConnectionKey, Direction, LossReason, Protocol, Role, UnpairedReason,
};

use super::*;
use crate::testing::{COPIED, KEY, Said, Wire, connection};

const REQUEST: &str = "GET / HTTP/1.1\r\n\r\n";

#[test]
fn connections_beyond_the_limit_are_counted() {
    let mut engine = Engine::new(Limits { connections: 2, ..Limits::default() });
    let mut views = Vec::new();
    for socket in 1..=3 {
        let key = ConnectionKey { socket, generation: 1 };
        engine.open(&Opened { key, ..connection(Role::Client, false) });
        let said = Said::new(Direction::Send, 1000, 5, REQUEST.as_bytes(), COPIED);
        engine.segment(&said.segment(key), &mut views);
    }
    let ledger = engine.ledger();
    assert_eq!(ledger.connections.open, 2);
    assert_eq!(ledger.connections.speaks(Protocol::Http), 2);
    assert_eq!(ledger.socket.segments.lost(LossReason::TooManyConnections), 1);
    assert_eq!(ledger.socket.bytes.lost(LossReason::TooManyConnections), REQUEST.len() as u64);
    // One that nothing was heard of for long makes room, with an end that was not told of.
    let key = ConnectionKey { socket: 4, generation: 1 };
    engine.open(&Opened { key, time_ns: 2 * FORGOTTEN_NS, ..connection(Role::Client, false) });
    assert_eq!(engine.ledger().connections.open, 1);
}

#[test]
fn what_is_held_out_of_order_is_bounded_per_connection_and_in_total() {
    for (per_connection, total) in [(100, 10_000), (10_000, 100)] {
        let limits =
            Limits { held_bytes: per_connection, held_bytes_total: total, ..Limits::default() };
        let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
        wire.unseen(true, "x");
        for _ in 0..5 {
            wire.client([b'a'; 40]);
        }
        let lost = wire.engine.ledger().socket.segments.lost(LossReason::BufferFull);
        assert_eq!(lost, 3, "two of forty fit into a hundred");
        wire.told();
        assert_eq!(wire.engine.held_total, 0);
    }
}

#[test]
fn a_head_that_never_ends_is_bounded() {
    let limits = Limits { head_bytes: 1000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client("GET / HTTP/1.1\r\n");
    for _ in 0..1000 {
        wire.client("X: y\r\n");
    }
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.told(), ["GET / 200 complete"]);
}

#[test]
fn two_threads_that_write_at_once_are_not_believed() {
    let mut wire = Wire::new(Role::Client);
    // Both tell the end of the stream after both have written.
    let first = wire.next_said(true, "GET /a HTTP/1.1\r\n\r\n");
    let second = wire.next_said(true, "GET /bb HTTP/1.1\r\n\r\n");
    let wrong = Said { position: first.position + u64::from(second.length), ..first };
    wire.give(&wrong);
    wire.give(&second);
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").pause(1_000_000_000);
    assert!(wire.told().is_empty());
    assert_eq!(wire.engine.ledger().socket.segments.lost(LossReason::Ambiguous), 2);
}

#[test]
fn what_comes_after_its_place_was_given_up_is_late() {
    let mut wire = Wire::new(Role::Client);
    let late = wire.next_said(true, "GET /late HTTP/1.1\r\n\r\n");
    wire.client(REQUEST).pause(1_000_000_000);
    wire.give(&late);
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wire.told();
    assert_eq!(wire.engine.ledger().socket.segments.lost(LossReason::Late), 1);
}

#[test]
fn tls_and_unknown_bytes_are_counted() {
    let mut wire = Wire::new(Role::Client);
    wire.client(b"\x16\x03\x01\x00\x05hello").server(b"\x16\x03\x03\x00\x05hello").client(REQUEST);
    let ledger = wire.engine.ledger();
    assert_eq!((ledger.connections.tls, ledger.socket.segments.counted), (1, 3));
    let mut wire = Wire::new(Role::Client);
    wire.client("EHLO client.example\r\n").server("250 mail.example\r\n");
    let ledger = wire.engine.ledger();
    assert_eq!((ledger.connections.unknown, ledger.socket.segments.counted), (1, 2));
    assert!(wire.told().is_empty());
}

#[test]
fn a_connection_that_disappoints_twice_is_left_alone() {
    let mut wire = Wire::new(Role::Client);
    for _ in 0..10 {
        wire.client(REQUEST).server("no, not HTTP\r\n");
    }
    assert!(wire.told().is_empty());
    let unpaired = wire.engine.ledger().exchanges.unpaired(UnpairedReason::Withdrawn);
    assert_eq!(unpaired, u64::from(crate::connection::WITHDRAWALS_MAX));
}

#[test]
fn alaz_itself_is_counted_only() {
    let mut engine = Engine::new(Limits::default());
    let opened = connection(Role::Client, false);
    engine.exclude_server(opened.remote);
    engine.open(&opened);
    let mut views = Vec::new();
    let said = Said::new(Direction::Send, 1000, 5, REQUEST.as_bytes(), COPIED);
    engine.segment(&said.segment(KEY), &mut views);
    engine.close(
        &Close { key: KEY, time_ns: 9, reason: CloseReason::Finished, send: None, receive: None },
        &mut views,
    );
    assert!(views.is_empty());
    assert_eq!(engine.ledger().socket.segments.counted, 1);
}
