//! The balance, and the kernel's own count beside it.

use alaz_capture::Quantity;
use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Datagram, Direction, Position, Role, Segment,
    Source,
};

use super::super::*;

const KEY: ConnectionKey = ConnectionKey { socket: 1, generation: 1 };

fn segment(at: u64) -> Event<'static> {
    Event::Segment(Segment {
        key: KEY,
        direction: Direction::Send,
        position: Position(at),
        length: 10,
        head: b"0123456789",
        tail: &[],
        started_ns: at,
        ended_ns: at,
        pid: 7,
        tid: 7,
        source: Source::Socket,
    })
}

/// A connection that was seen to send twenty bytes, and ten more after its end.
fn played() -> Pipeline {
    let clock = Clock::default();
    let mut pipeline = Pipeline::new(Processes::recorded(16), clock);
    let (send, receive) = (Some(Position(20)), Some(Position(0)));
    let close = Close { key: KEY, time_ns: 30, reason: CloseReason::Finished, send, receive };
    let events = [Event::Open(opened()), segment(0), segment(10), Event::Close(close), segment(20)];
    for event in events {
        pipeline.event(&event, &mut |_: &Exchange| {});
    }
    pipeline
}

fn opened() -> Connection {
    Connection {
        key: KEY,
        local: "10.0.0.5:51514".parse().unwrap(),
        remote: "10.0.0.9:80".parse().unwrap(),
        network_namespace: 1,
        role: Role::Client,
        send: Some(Position(0)),
        receive: Some(Position(0)),
        time_ns: 0,
        mid_stream: false,
    }
}

#[test]
fn the_ledger_is_held_against_the_kernels_own_count() {
    let pipeline = played();
    assert_eq!(pipeline.ledger(None).unaccounted(), None);
    let mut kernel = KernelCounters {
        seen: Quantity { segments: 5, bytes: 50 },
        ring_full: Quantity { segments: 1, bytes: 10 },
        hook_missed: Quantity { segments: 1, bytes: 10 },
        ..KernelCounters::default()
    };
    assert_eq!(pipeline.ledger(Some(&kernel)).unaccounted(), Some((0, 0)));
    // One that went missing on the way, and one that came twice.
    kernel.seen.segments += 1;
    kernel.seen.bytes -= 10;
    assert_eq!(pipeline.ledger(Some(&kernel)).unaccounted(), Some((1, -10)));
}

#[test]
fn what_the_guard_leaves_unread_is_in_the_ledger() {
    let mut pipeline = played();
    let mut reported = Vec::new();
    let mut sink = |exchange: &Exchange| reported.push(exchange.clone());
    // A question to which no answer is read.
    pipeline.event(&Event::Datagram(question(40)), &mut sink);
    pipeline.count_only(true, &mut sink);
    pipeline.count_only(true, &mut sink);
    pipeline.event(&Event::Datagram(question(50)), &mut sink);
    let key = ConnectionKey { socket: 2, ..KEY };
    pipeline.event(&Event::Open(Connection { key, ..opened() }), &mut sink);
    let Event::Segment(unread) = segment(0) else { unreachable!() };
    pipeline.event(&Event::Segment(Segment { key, ..unread }), &mut sink);
    pipeline.count_only(false, &mut sink);
    pipeline.advance(3600 * 1_000_000_000, &mut sink);
    let ledger = pipeline.ledger(None);
    assert_eq!(ledger.socket.segments.lost(LossReason::Guard), 1);
    assert_eq!(ledger.socket.bytes.lost(LossReason::Guard), 10);
    assert_eq!(ledger.socket.segments.seen(), 4);
    let datagrams = ledger.datagram.segments;
    assert_eq!((datagrams.parsed, datagrams.lost(LossReason::Guard)), (1, 1));
    assert!(reported.is_empty(), "nobody knows whether it was answered: {reported:?}");
}

/// Of the address of `a`, to a server elsewhere.
fn question(time_ns: u64) -> Datagram<'static> {
    const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    Datagram {
        local: "10.0.0.5:40000".parse().unwrap(),
        remote: Some("10.0.0.9:53".parse().unwrap()),
        network_namespace: 1,
        direction: Direction::Send,
        length: QUESTION.len() as u32,
        head: QUESTION,
        time_ns,
        pid: 7,
        tid: 7,
    }
}
