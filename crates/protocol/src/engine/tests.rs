use alaz_model::{
    CloseReason, ConnectionKey, Direction, LossReason, Protocol, Role, UnpairedReason,
};

use super::*;
use crate::connection::WISH_AGAIN_NS;
use crate::testing::{COPIED, KEY, Said, Wire, connection};

const REQUEST: &str = "GET / HTTP/1.1\r\n\r\n";

#[test]
fn connections_beyond_the_limit_are_counted() {
    let mut engine = Engine::new(Limits { connections: 2, ..Limits::default() });
    let mut views = Vec::new();
    for socket in 1..=3 {
        let key = ConnectionKey { socket, generation: 1 };
        engine.open(&Opened { key, ..connection(Role::Client, false) }, &mut views);
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
    let late = Opened { key, time_ns: 2 * FORGOTTEN_NS, ..connection(Role::Client, false) };
    engine.open(&late, &mut views);
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
fn what_comes_after_the_close_is_waited_for() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut wire = Wire::new(Role::Client);
    let response = wire.client(REQUEST).next_said(false, ok);
    wire.close(CloseReason::Finished);
    assert_eq!(wire.engine.ledger().connections.open, 1);
    wire.give(&response);
    assert_eq!(wire.engine.ledger().connections.open, 0, "nothing is missing any more");
    assert_eq!(wire.told(), ["GET / 200 complete"]);

    let mut wire = Wire::new(Role::Client);
    let response = wire.client(REQUEST).next_said(false, ok);
    wire.close(CloseReason::Finished).pause(1_000_000_000);
    assert_eq!(wire.engine.ledger().connections.open, 0);
    wire.give(&response);
    assert!(wire.told().is_empty());
    let ledger = wire.engine.ledger();
    assert_eq!(ledger.socket.segments.lost(LossReason::Late), 1);
    assert_eq!(ledger.exchanges.unpaired(UnpairedReason::Gap), 1);
}

#[test]
fn an_open_of_a_known_socket_ends_its_earlier_life() {
    let mut wire = Wire::new(Role::Client);
    wire.client(REQUEST);
    let earlier = wire.next_said(false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let key = ConnectionKey { generation: KEY.generation + 1, ..KEY };
    let opened = Opened { key, ..connection(Role::Client, false) };
    wire.engine.open(&opened, &mut wire.views);
    // Told again, and the one before again.
    wire.engine.open(&opened, &mut wire.views);
    wire.engine.open(&connection(Role::Client, false), &mut wire.views);
    assert!(wire.views.is_empty(), "how it ended is not known");
    let ledger = wire.engine.ledger();
    assert_eq!(ledger.connections.open, 1);
    assert_eq!(ledger.exchanges.unpaired(UnpairedReason::Gap), 1);
    wire.give(&earlier);
    assert_eq!(wire.engine.ledger().socket.segments.lost(LossReason::Late), 1);
    let said = Said::new(Direction::Send, 1000, 5, REQUEST.as_bytes(), COPIED);
    wire.engine.segment(&said.segment(key), &mut wire.views);
    assert_eq!(wire.engine.ledger().connections.speaks(Protocol::Http), 1);
    // The end of the earlier life does not end this one.
    wire.close(CloseReason::Finished);
    wire.engine.out_of_sight(KEY, &mut wire.views);
    assert_eq!(wire.engine.ledger().connections.open, 1);
}

#[test]
fn what_is_not_to_be_read_is_lost_and_nothing_is_told_of_it() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut wire = Wire::new(Role::Client);
    wire.client("GET /1 HTTP/1.1\r\n\r\n").server(OK);
    // Its answer is not read, nor is the next question.
    wire.client("GET /2 HTTP/1.1\r\n\r\n");
    let mut unread = vec![wire.next_said(false, OK)];
    unread.push(wire.next_said(true, "GET /3 HTTP/1.1\r\n\r\n"));
    for said in &mut unread {
        said.unread = true;
        wire.give(said);
    }
    // However long it takes, nobody may say that there was no answer.
    wire.pause(3600 * 1_000_000_000);
    wire.server(OK).client("GET /4 HTTP/1.1\r\n\r\n").server(OK);
    assert_eq!(wire.told(), ["GET /1 200 complete", "GET /4 200 complete"]);
    let ledger = wire.engine.ledger();
    assert_eq!(ledger.socket.segments.lost(LossReason::Guard), 2);
    let bytes = unread.iter().map(|said| u64::from(said.length)).sum::<u64>();
    assert_eq!(ledger.socket.bytes.lost(LossReason::Guard), bytes);
    assert_eq!(wire.engine.held_total, 0);
}

#[test]
fn what_is_not_needed_is_not_lost_when_it_is_not_to_be_read() {
    let mut wire = Wire::new(Role::Client);
    let hello =
        b"\x16\x03\x01\x00\x2c\x01\x00\x00\x28\x03\x03abcdefghijklmnopqrstuvwxyzabcdefghijkl";
    wire.client(hello);
    let said = Said { unread: true, ..wire.next_said(false, [0x17; 100]) };
    wire.give(&said);
    let ledger = wire.engine.ledger();
    assert_eq!((ledger.socket.segments.counted, ledger.connections.tls), (2, 1));
    assert_eq!(ledger.socket.segments.lost_total(), 0);
}

#[test]
fn looking_for_room_is_not_repeated_in_vain() {
    let mut engine = Engine::new(Limits { connections: 2, ..Limits::default() });
    let mut views = Vec::new();
    let mut open = |engine: &mut Engine, socket, time_ns| {
        let key = ConnectionKey { socket, generation: 1 };
        engine.open(&Opened { key, time_ns, ..connection(Role::Client, false) }, &mut views);
        key
    };
    for socket in 1..=12 {
        open(&mut engine, socket, socket);
    }
    assert_eq!(engine.forget_ns, 1 + FORGOTTEN_NS, "the first may be forgotten then");
    assert_eq!(engine.turned_away.len(), 2, "no more than may be known");
    // One goes and makes room. The next could go as well, but is not looked for again at once.
    let now_ns = 1 + FORGOTTEN_NS;
    open(&mut engine, 20, now_ns);
    assert_eq!((engine.connections.len(), engine.forget_ns), (2, now_ns + SWEEP_NS));
    let refused = open(&mut engine, 21, now_ns + SWEEP_NS - 1);
    let last = open(&mut engine, 22, now_ns + SWEEP_NS);
    assert_eq!(engine.connections.len(), 2);
    let said = Said::new(Direction::Send, 1000, 5, REQUEST.as_bytes(), COPIED);
    let mut lost = |key| {
        let before = engine.ledger().socket.segments.lost(LossReason::TooManyConnections);
        engine.segment(&said.segment(key), &mut Vec::new());
        engine.ledger().socket.segments.lost(LossReason::TooManyConnections) - before
    };
    assert_eq!((lost(refused), lost(last)), (1, 0));
}

#[test]
fn heads_that_are_not_complete_count_to_what_is_held() {
    let limits = Limits { held_bytes_total: 10_000, ..Limits::default() };
    let mut engine = Engine::new(limits);
    let mut views = Vec::new();
    let head = format!("GET / HTTP/1.1\r\nCookie: {}", "c".repeat(1000));
    for socket in 1..=50 {
        let key = ConnectionKey { socket, generation: 1 };
        engine.open(&Opened { key, ..connection(Role::Client, false) }, &mut views);
        let said = Said::new(Direction::Send, 1000, 5, head.as_bytes(), COPIED);
        engine.segment(&said.segment(key), &mut views);
        assert!(engine.held_total <= 10_000, "{}", engine.held_total);
    }
    assert!(engine.held_total > 9_000, "as many as fit are kept");
    // What does not fit is told as far as it goes.
    assert_eq!(engine.ledger().connections.speaks(Protocol::Http), 41);
    engine.finish(&mut views);
    assert_eq!((engine.held_total, engine.ledger().socket.segments.seen()), (0, 50));
}

#[test]
fn nothing_is_passed_over_by_a_verdict_that_was_withdrawn() {
    let mut wire = Wire::new(Role::Client);
    wire.client("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n").server("no, not HTTP\r\n");
    wire.client(REQUEST).server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.told(), ["GET / 200 complete"]);
}

#[test]
fn of_tls_nothing_is_wanted_any_more_and_uncopied_it_is_counted_all_the_same() {
    let data: Vec<u8> = [b"\x17\x03\x03\x0f\xfa".as_slice(), &[7; 4090]].concat();
    let mut engine = Engine::new(Limits::default());
    let mut views = Vec::new();
    engine.open(&connection(Role::Client, false), &mut views);
    let mut positions = [1000, 5000];
    let mut say = |engine: &mut Engine, direction, at, copied| {
        let position = &mut positions[usize::from(direction == Direction::Receive)];
        let said = Said::new(direction, *position, at, &data, copied);
        *position += data.len() as u64;
        engine.segment(&said.segment(KEY), &mut Vec::new());
        engine.take_wishes().collect::<Vec<_>>()
    };
    assert_eq!(say(&mut engine, Direction::Receive, 4, COPIED), []);
    let mut say = |engine: &mut Engine, at, copied| say(engine, Direction::Send, at, copied);
    assert_eq!(say(&mut engine, 5, COPIED), [(KEY, Wish::Nothing)]);
    // It was heard.
    for at in [6, 7 + WISH_AGAIN_NS] {
        assert_eq!(say(&mut engine, at, (0, 0)), []);
    }
    // It was not.
    assert_eq!(say(&mut engine, 8 + WISH_AGAIN_NS, COPIED), [(KEY, Wish::Nothing)]);
    assert_eq!(say(&mut engine, 9 + WISH_AGAIN_NS, COPIED), []);
    let socket = engine.ledger().socket;
    assert_eq!((socket.segments.counted, socket.segments.seen()), (6, 6));
    assert_eq!(socket.bytes.counted, 6 * data.len() as u64);
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
    let mut views = Vec::new();
    engine.open(&opened, &mut views);
    let said = Said::new(Direction::Send, 1000, 5, REQUEST.as_bytes(), COPIED);
    engine.segment(&said.segment(KEY), &mut views);
    engine.close(
        &Close { key: KEY, time_ns: 9, reason: CloseReason::Finished, send: None, receive: None },
        &mut views,
    );
    assert!(views.is_empty());
    assert_eq!(engine.ledger().socket.segments.counted, 1);
}

/// As a library tells it, with the position in the plaintext.
fn inside(direction: Direction, position: u64, time_ns: u64, text: &str) -> Said {
    Said::new(direction, position, time_ns, text.as_bytes(), COPIED)
}

fn give_inside(wire: &mut Wire, said: &Said) {
    let segment = alaz_model::Segment { source: alaz_model::Source::Tls, ..said.segment(KEY) };
    wire.engine.segment(&segment, &mut wire.views);
}

const HELLO: [u8; 6] = [22, 3, 1, 0, 1, 1];
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn what_is_said_inside_tls_is_read_and_balanced_on_its_own() {
    for base in [0, 1 << 62] {
        let mut wire = Wire::new(Role::Client);
        wire.client(HELLO).server(HELLO);
        give_inside(&mut wire, &inside(Direction::Send, base, 10_000_000, REQUEST));
        give_inside(&mut wire, &inside(Direction::Receive, base, 11_000_000, ANSWER));
        wire.pause(1);
        assert_eq!(wire.views.len(), 1, "from {base}");
        let view = &wire.views[0];
        assert!(view.tls && view.key == KEY);
        assert_eq!((view.request_position.0, view.message.status.as_str()), (base, "200"));
        let ledger = wire.engine.ledger();
        assert_eq!((ledger.connections.speaks(Protocol::Http), ledger.connections.tls), (1, 0));
        assert_eq!((ledger.socket.segments.counted, ledger.tls.segments.parsed), (2, 2));
        assert_eq!(ledger.tls.bytes.seen(), (REQUEST.len() + ANSWER.len()) as u64);
        assert_eq!(ledger.socket.bytes.seen(), 2 * HELLO.len() as u64);
    }
}

#[test]
fn what_was_missed_inside_tls_is_never_paired_across() {
    let mut wire = Wire::new(Role::Client);
    wire.client(HELLO);
    give_inside(&mut wire, &inside(Direction::Send, 0, 10_000_000, REQUEST));
    // The kernel side saw ciphertext go by that no call is known to have moved.
    give_inside(&mut wire, &inside(Direction::Receive, 1 << 62, 11_000_000, ANSWER));
    wire.pause(10_000_000_000);
    assert!(wire.views.iter().all(|view| view.message.status != "200"), "{:?}", wire.views);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 1);
}

#[test]
fn what_a_library_says_on_a_connection_without_tls_is_unlinked() {
    let mut wire = Wire::new(Role::Client);
    wire.client(REQUEST);
    give_inside(&mut wire, &inside(Direction::Send, 0, 10_000_000, REQUEST));
    let ledger = wire.engine.ledger();
    assert_eq!(ledger.tls.segments.lost(LossReason::Unlinked), 1);
    assert_eq!(ledger.tls.bytes.lost(LossReason::Unlinked), REQUEST.len() as u64);
    assert_eq!(ledger.socket.segments.lost_total(), 0);
}

#[test]
fn a_close_waits_for_what_is_still_told_inside_tls() {
    let mut wire = Wire::new(Role::Client);
    wire.client(HELLO).server(HELLO);
    give_inside(&mut wire, &inside(Direction::Send, 0, 10_000_000, REQUEST));
    wire.close(CloseReason::Finished);
    give_inside(&mut wire, &inside(Direction::Receive, 0, 11_000_000, ANSWER));
    wire.pause(10_000_000_000);
    assert_eq!(wire.views.len(), 1);
    assert_eq!(wire.views[0].message.status, "200");
    assert_eq!(wire.engine.ledger().connections.open, 0);
}
