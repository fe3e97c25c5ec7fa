//! Whether what capture reports is what happened.

use std::time::{Duration, Instant};

use alaz_capture::{Attachment, Capture};
use alaz_model::{CloseReason, Direction, Position, Role};

use crate::observe::{End, Observed, Segment};
use crate::traffic::{Call, Case, Connection, Peers, Seen, Side, When, content};

/// Until it is clear that something will not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a case went that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Exact,
    /// Calls are missing, as this way to attach allows, and are counted.
    Missed,
}

/// Lets one case run, and compares.
pub(crate) fn one(
    capture: &mut Capture,
    observed: &mut Observed,
    case: &Case,
    mut peers: Peers,
) -> Result<Passed, String> {
    let told = drain_while(capture, observed, || peers.go())?;
    let calls = || told.connections.iter().flat_map(|connection| &connection.calls);
    observed.told += calls().count() as u64;
    if capture.attachment() == Attachment::Syscall {
        observed.too_many += calls().filter(|call| call.seen == Seen::AtSocketsOnly).count() as u64;
    }
    let compared = told.connections.iter().try_for_each(|connection| {
        compare(observed, capture.attachment(), case.when, told.pid, connection)
    });
    if let Err(reason) = compared {
        return excused(capture, observed, reason);
    }
    peers.end();
    // The kernel may still be at it when their process is gone.
    let started = Instant::now();
    loop {
        observed.drain(capture);
        let closed = told.connections.iter().try_for_each(|it| closed(observed, it));
        if closed.is_ok() || started.elapsed() > PATIENCE {
            return closed.map(|()| Passed::Exact);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether something that is missing was missed as it may be, and counted.
fn excused(capture: &Capture, observed: &mut Observed, reason: String) -> Result<Passed, String> {
    if !capture.may_skip() {
        return Err(reason);
    }
    // That counter is brought up to date once a second.
    std::thread::sleep(Duration::from_secs(2));
    let counters = capture.counters().map_err(|error| error.to_string())?;
    let before = std::mem::replace(&mut observed.missed, counters.hook_missed.segments);
    if observed.missed > before { Ok(Passed::Missed) } else { Err(reason) }
}

/// Empties the ring while the traffic goes on, and after: when a call has returned, its record is
/// there.
pub(crate) fn drain_while<T: Send>(
    capture: &mut Capture,
    observed: &mut Observed,
    traffic: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let traffic = scope.spawn(traffic);
        while !traffic.is_finished() {
            observed.drain(capture);
            std::thread::sleep(Duration::from_millis(5));
        }
        observed.drain(capture);
        traffic.join().expect("the traffic's process is talked to")
    })
}

fn compare(
    observed: &Observed,
    attachment: Attachment,
    when: When,
    pid: u32,
    connection: &Connection,
) -> Result<(), String> {
    let client = observed.end(connection.client, connection.server)?;
    let server = observed.end(connection.server, connection.client)?;
    let begun = when == When::BeforeTheCapture;
    for (end, role) in [(client, Role::Client), (server, Role::Server)] {
        same("role", end.connection.role, if begun { Role::Unknown } else { role })?;
        if !begun || connection.calls.iter().all(|call| call.offset > 0) {
            same("mid_stream", end.connection.mid_stream, begun)?;
        }
    }
    let mut starts = Vec::new();
    for (side, end) in [(Side::Client, client), (Side::Server, server)] {
        for direction in [Direction::Send, Direction::Receive] {
            let sends = direction == Direction::Send;
            let is_seen = |call: &&Call| {
                call.by == side && call.sends == sends && call.is_seen_by(attachment)
            };
            let mut calls: Vec<Call> = connection.calls.iter().filter(is_seen).cloned().collect();
            for call in &mut calls {
                if call.beyond && attachment == Attachment::Syscall {
                    (call.head, call.tail) = (0, 0);
                }
            }
            let start = stream(end, direction, pid, &calls)
                .map_err(|error| format!("{side:?}, {direction:?}: {error}"))?;
            let told = if sends { end.connection.send } else { end.connection.receive };
            if !begun && let Some(start) = start {
                same("where the connection says it starts", told, Some(Position(start)))?;
            }
            starts.push(start);
        }
    }
    // Both ends give the same byte the same position.
    let [client_sent, client_received, server_sent, server_received] = starts[..] else {
        unreachable!()
    };
    if let (Some(sent), Some(received)) = (client_sent, server_received) {
        same("where the client's stream starts", received, sent)?;
    }
    if let (Some(sent), Some(received)) = (server_sent, client_received) {
        same("where the server's stream starts", received, sent)?;
    }
    Ok(())
}

/// Compares one direction of one end; returns the position of the stream's first byte.
fn stream(
    end: &End,
    direction: Direction,
    pid: u32,
    calls: &[Call],
) -> Result<Option<u64>, String> {
    let segments = joined(end.segments.iter().filter(|segment| segment.direction == direction));
    let lengths: Vec<usize> = segments.iter().map(|segment| segment.length).collect();
    let expected = joined_calls(calls);
    let expected_lengths: Vec<usize> = expected.iter().map(|call| call.length).collect();
    let pairs = lengths.iter().zip(&expected_lengths);
    let agree = pairs.take_while(|(found, expected)| found == expected).count();
    let rest = |all: &[usize]| all.iter().skip(agree).take(5).copied().collect::<Vec<_>>();
    same(&format!("lengths behind {agree} right ones"), rest(&lengths), rest(&expected_lengths))?;
    let mut start = None;
    for (segment, call) in segments.iter().zip(&expected) {
        let place = segment.position.wrapping_sub(call.offset);
        same("position of a segment", place, *start.get_or_insert(place))?;
        same("pid and tid", (segment.pid, segment.tid), (pid, call.tid))?;
        let what = format!("of {} bytes at {}", call.length, call.offset);
        same(
            &format!("copied {what}"),
            (segment.head.len(), segment.tail.len()),
            (call.head, call.tail),
        )?;
        let tail_at = call.offset + (call.length - call.tail) as u64;
        if segment.head != content(call.offset, call.head)
            || segment.tail != content(tail_at, call.tail)
        {
            return Err(format!("the copied bytes {what} are others"));
        }
    }
    Ok(start)
}

/// A call that moves a file's pages may be several for the socket.
fn joined<'a>(segments: impl Iterator<Item = &'a Segment>) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::new();
    for segment in segments {
        let is_counted = |segment: &Segment| segment.head.is_empty() && segment.tail.is_empty();
        match joined.last_mut() {
            Some(last)
                if is_counted(last)
                    && is_counted(segment)
                    && last.position + last.length as u64 == segment.position =>
            {
                last.length += segment.length;
            }
            _ => joined.push(segment.clone()),
        }
    }
    joined
}

fn joined_calls(calls: &[Call]) -> Vec<Call> {
    let mut joined: Vec<Call> = Vec::new();
    for call in calls {
        match joined.last_mut() {
            Some(last) if last.head == 0 && call.head == 0 => last.length += call.length,
            _ => joined.push(call.clone()),
        }
    }
    joined
}

/// The traffic's process is gone, and so are its connections.
fn closed(observed: &Observed, connection: &Connection) -> Result<(), String> {
    for (side, local, remote) in [
        (Side::Client, connection.client, connection.server),
        (Side::Server, connection.server, connection.client),
    ] {
        let end = observed.end(local, remote)?;
        let close = match end.close {
            Some(close) if close.reason == CloseReason::Finished => close,
            other => return Err(format!("{local} to {remote} ended as {other:?}")),
        };
        let Some(measures) = end.measures else {
            return Err(format!("{local} to {remote} was not measured"));
        };
        if end.connection.mid_stream || end.connection.role == Role::Unknown {
            continue;
        }
        let is_client = side == Side::Client;
        same("measured a handshake", measures.handshake_ns.is_some(), is_client)?;
        let moved = |sends: bool| {
            let calls = connection.calls.iter();
            let lengths = calls.filter(|it| it.by == side && it.sends == sends).map(|it| it.length);
            lengths.sum::<usize>() as u64
        };
        let (sent, received) = (end.connection.send, end.connection.receive);
        same("where sending ended", close.send, sent.map(|it| it.plus(moved(true))))?;
        same("where receiving ended", close.receive, received.map(|it| it.plus(moved(false))))?;
    }
    Ok(())
}

/// Where nobody else makes traffic, every call is accounted for, and none is lost; or it is counted.
pub(crate) fn losses(capture: &mut Capture, observed: &mut Observed) -> Result<Passed, String> {
    capture.detach();
    observed.drain(capture);
    let counters = capture.counters().map_err(|error| error.to_string())?;
    let lost = [
        counters.ring_full.segments,
        counters.table_full.segments,
        counters.unreadable.segments,
        counters.events_lost,
    ];
    same("segments that were lost", lost, [0; 4])?;
    let missed = counters.hook_missed.segments;
    same(
        "segments that were seen",
        counters.seen.segments,
        observed.segments + observed.left_out + missed,
    )?;
    if !capture.may_skip() || missed == 0 {
        same("segments that were missed", missed, observed.too_many)?;
        Ok(Passed::Exact)
    } else if counters.seen.segments < observed.told {
        Err(format!("only {} of {} calls are counted", counters.seen.segments, observed.told))
    } else {
        Ok(Passed::Missed)
    }
}

/// Where the kernel catches too few returns of functions, what is missing is accounted for, to the
/// byte.
pub(crate) fn accounted(
    capture: &mut Capture,
    observed: &mut Observed,
    mut peers: Peers,
) -> Result<Passed, String> {
    let told = drain_while(capture, observed, || peers.go())?;
    let calls = || told.connections.iter().flat_map(|connection| &connection.calls);
    let counters = capture.counters().map_err(|error| error.to_string())?;
    same("calls seen", counters.seen.segments, calls().count() as u64)?;
    same("bytes seen", counters.seen.bytes, calls().map(|call| call.length as u64).sum())?;
    let reported = counters.seen.segments - counters.hook_missed.segments;
    same("segments reported", observed.segments, reported)?;
    if counters.hook_missed.segments == 0 {
        return Err("nothing was missed, so this tests nothing".to_owned());
    }
    Ok(Passed::Exact)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, should be {expected:?}"))
}
