//! Whether what capture reports is what happened.

use alaz_capture::{Attachment, Capture};
use alaz_model::{CloseReason, Direction, Role};

use crate::observe::{End, Observed, Segment};
use crate::traffic::{Call, Case, Connection, Peers, Seen, Side, When, content};

/// Lets one case run, and compares.
pub(crate) fn one(
    capture: &mut Capture,
    observed: &mut Observed,
    case: &Case,
    mut peers: Peers,
) -> Result<(), String> {
    let told = peers.go()?;
    // Each call has returned, so its record is in the ring.
    observed.drain(capture);
    for connection in &told.connections {
        compare(observed, capture.attachment(), case.when, told.pid, connection)?;
    }
    peers.end();
    observed.drain(capture);
    told.connections.iter().try_for_each(|connection| closed(observed, connection))
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
                call.by == side
                    && call.sends == sends
                    && (call.seen == Seen::ByAll || attachment == Attachment::Syscall)
            };
            let calls: Vec<&Call> = connection.calls.iter().filter(is_seen).collect();
            let start = stream(end, direction, pid, &calls)
                .map_err(|error| format!("{side:?}, {direction:?}: {error}"))?;
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
    calls: &[&Call],
) -> Result<Option<u64>, String> {
    let segments = joined(end.segments.iter().filter(|segment| segment.direction == direction));
    let lengths: Vec<usize> = segments.iter().map(|segment| segment.length).collect();
    let expected = joined_calls(calls);
    same("lengths", lengths, expected.iter().map(|call| call.length).collect())?;
    let mut start = None;
    for (segment, call) in segments.iter().zip(&expected) {
        let place = segment.position.wrapping_sub(call.offset);
        same("position of a segment", place, *start.get_or_insert(place))?;
        same("pid and tid", (segment.pid, segment.tid), (pid, call.tid))?;
        let what = format!("of {} bytes at {}", call.length, call.offset);
        same(&format!("copied {what}"), (segment.head.len(), segment.tail.len()), (call.head, call.tail))?;
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

fn joined_calls(calls: &[&Call]) -> Vec<Call> {
    let mut joined: Vec<Call> = Vec::new();
    for call in calls {
        match joined.last_mut() {
            Some(last) if last.head == 0 && call.head == 0 => last.length += call.length,
            _ => joined.push((*call).clone()),
        }
    }
    joined
}

/// The traffic's process is gone, and so are its connections.
fn closed(observed: &Observed, connection: &Connection) -> Result<(), String> {
    for (local, remote) in
        [(connection.client, connection.server), (connection.server, connection.client)]
    {
        match observed.end(local, remote)?.close {
            Some(close) if close.reason == CloseReason::Finished => {}
            other => return Err(format!("{local} to {remote} ended as {other:?}")),
        }
    }
    Ok(())
}

/// Where nobody else makes traffic, every call is accounted for.
pub(crate) fn losses(capture: &Capture, observed: &Observed) -> Result<(), String> {
    let counters = capture.counters().map_err(|error| error.to_string())?;
    let lost = [
        counters.ring_full.segments,
        counters.table_full.segments,
        counters.hook_missed.segments,
        counters.unreadable.segments,
        counters.events_lost,
    ];
    same("segments that were lost", lost, [0; 5])?;
    same("segments that were seen", counters.seen.segments, observed.segments)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, should be {expected:?}"))
}
