//! What comes of processes that are opted out before the kernel side knows.

use std::sync::Arc;

use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Datagram, Direction, Measures, OptedOut,
    Position, Role, Segment, Source,
};

use alaz_capture::Quantity;

use super::super::*;

const KEY: ConnectionKey = ConnectionKey { socket: 1, generation: 1 };
const OPTED_OUT: u32 = 7;
const OTHER: u32 = 8;

/// A request in one segment, and its answer in another.
fn conversation(pid: u32) -> [Event<'static>; 5] {
    let segment = |direction, head: &'static [u8], at| {
        Event::Segment(Segment {
            key: KEY,
            direction,
            position: Position(0),
            length: head.len() as u32,
            head,
            tail: &[],
            started_ns: at,
            ended_ns: at,
            pid,
            tid: pid,
            source: Source::Socket,
        })
    };
    let (request, response) = (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 x\r\n\r\n");
    let measures = Measures {
        key: KEY,
        time_ns: 30,
        retransmits: 0,
        handshake_ns: None,
        round_trip_ns: Some(5),
        least_round_trip_ns: None,
    };
    [
        Event::Open(Connection {
            key: KEY,
            local: "10.0.0.5:51514".parse().unwrap(),
            remote: "10.0.0.9:80".parse().unwrap(),
            network_namespace: 1,
            role: Role::Client,
            send: Some(Position(0)),
            receive: Some(Position(0)),
            time_ns: 0,
            mid_stream: false,
        }),
        segment(Direction::Send, request, 10),
        segment(Direction::Receive, response, 20),
        Event::Measures(measures),
        Event::Close(Close {
            key: KEY,
            time_ns: 30,
            reason: CloseReason::Finished,
            send: Some(Position(request.len() as u64)),
            receive: Some(Position(response.len() as u64)),
        }),
    ]
}

#[derive(Default)]
struct Told {
    exchanges: usize,
    connections: usize,
}

impl Sink for Told {
    fn exchange(&mut self, _: &Exchange) {
        self.exchanges += 1;
    }

    fn connection(&mut self, _: &ConnectionFacts) {
        self.connections += 1;
    }
}

fn pipeline() -> Pipeline {
    let mut processes = Processes::recorded(16);
    for (pid, opted_out) in [(OPTED_OUT, true), (OTHER, false)] {
        processes.insert(Arc::new(Process { pid, opted_out, ..Process::default() }));
    }
    Pipeline::new(processes, Clock::default())
}

#[test]
fn calls_of_a_process_that_is_opted_out_are_counted_and_not_told() {
    for (pid, told) in [(OPTED_OUT, 0), (OTHER, 1)] {
        let mut pipeline = pipeline();
        let mut sink = Told::default();
        conversation(pid).iter().for_each(|event| pipeline.event(event, &mut sink));
        pipeline.finish(&mut sink);
        assert_eq!((sink.exchanges, sink.connections), (told, told));
        let ledger = pipeline.ledger(None);
        let left_out = if told == 0 { 2 } else { 0 };
        assert_eq!(ledger.socket.segments.opted_out, left_out);
        assert_eq!((ledger.socket.segments.seen(), ledger.socket.segments.lost_total()), (2, 0));
        assert_eq!(ledger.connections.untold.opted_out, left_out / 2);
        assert_eq!(pipeline.take_opt_outs().len() as u64, left_out / 2);
    }
}

#[test]
fn nothing_more_is_told_of_a_connection_that_the_kernel_side_says_is_opted_out() {
    let mut pipeline = pipeline();
    let mut sink = Told::default();
    let [open, request, _, measures, close] = conversation(OTHER);
    let opted_out = Event::OptedOut(OptedOut { key: KEY, time_ns: 15 });
    for event in [open, request, opted_out, measures, close] {
        pipeline.event(&event, &mut sink);
    }
    pipeline.finish(&mut sink);
    assert_eq!((sink.exchanges, sink.connections), (0, 0));
    let kernel = KernelCounters {
        seen: Quantity { segments: 3, bytes: 18 + 40 },
        opted_out: Quantity { segments: 2, bytes: 40 },
        datagrams_opted_out: Quantity { segments: 1, bytes: 9 },
        ..KernelCounters::default()
    };
    let ledger = pipeline.ledger(Some(&kernel));
    assert_eq!(ledger.unaccounted(), Some((0, 0)));
    assert_eq!((ledger.socket.segments.opted_out, ledger.datagram.bytes.opted_out), (2, 9));
}

#[test]
fn the_kernel_side_is_told_of_a_bounded_number_at_once() {
    let mut pipeline = pipeline();
    let mut processes = Processes::recorded(2 * OPT_OUTS_MAX);
    for pid in 1..=OPT_OUTS_MAX as u32 + 5 {
        processes.insert(Arc::new(Process { pid, opted_out: true, ..Process::default() }));
    }
    *pipeline.processes() = processes;
    for pid in 1..=OPT_OUTS_MAX as u32 + 5 {
        let datagram = Datagram {
            local: "10.0.0.5:53".parse().unwrap(),
            remote: None,
            network_namespace: 1,
            direction: Direction::Receive,
            length: 3,
            head: b"abc",
            time_ns: 1,
            pid,
            tid: pid,
        };
        pipeline.event(&Event::Datagram(datagram), &mut Told::default());
    }
    assert_eq!(pipeline.take_opt_outs().len(), OPT_OUTS_MAX);
    assert_eq!(pipeline.ledger(None).datagram.segments.opted_out, OPT_OUTS_MAX as u64 + 5);
}
