//! Connections that are copied in depth: all bytes of long calls are there.

use alaz_capture::{Capture, PARTS_MAX};
use alaz_model::Direction;

use crate::check::{Passed, drain_while};
use crate::observe::{End, Observed};
use crate::traffic::{Case, Peers, Side, content, counted_case};

/// What is copied of one segment's beginning.
const HEAD: usize = 4096;

/// Lets one case run on connections that are copied in depth.
pub(crate) fn check(
    capture: &mut Capture,
    observed: &mut Observed,
    case: &Case,
) -> Result<Passed, String> {
    let mut peers = Peers::start(case);
    observed.drain(capture);
    for key in observed.open() {
        capture.copy_in_depth(key).map_err(|error| error.to_string())?;
    }
    let told = drain_while(capture, observed, || peers.go())?;
    let mut deep = 0;
    for connection in &told.connections {
        let client = observed.end(connection.client, connection.server)?;
        let server = observed.end(connection.server, connection.client)?;
        for call in &connection.calls {
            let end = if call.by == Side::Client { client } else { server };
            let direction = if call.sends { Direction::Send } else { Direction::Receive };
            let length = call.length.min(HEAD * PARTS_MAX as usize);
            deep += u32::from(length > HEAD);
            if copied(end, direction, call.offset, length) != content(call.offset, length) {
                return Err(format!("not all was copied, or other bytes: {call:?}"));
            }
        }
    }
    peers.end();
    if deep == 0 { Err("no call was long".to_owned()) } else { Ok(Passed::Exact) }
}

pub(crate) const COUNTED: &str = "counted only";

/// Lets a case run on connections of which nothing is wanted: everything is told, nothing is copied.
pub(crate) fn check_counted(
    capture: &mut Capture,
    observed: &mut Observed,
) -> Result<Passed, String> {
    let case = counted_case();
    let mut peers = Peers::start(&case);
    observed.drain(capture);
    for key in observed.open() {
        capture.count_only(key).map_err(|error| error.to_string())?;
        // There is no way back.
        capture.copy_ends(key);
        capture.count_only(key).map_err(|error| error.to_string())?;
    }
    let told = drain_while(capture, observed, || peers.go())?;
    for connection in &told.connections {
        let (client, server) = (connection.client, connection.server);
        for (by, local, remote) in [(Side::Client, client, server), (Side::Server, server, client)]
        {
            let end = observed.end(local, remote)?;
            if let Some(copied) = end.segments.iter().find(|it| !it.head.is_empty()) {
                return Err(format!("something was copied: {copied:?}"));
            }
            let found: Vec<_> = end.segments.iter().map(|it| it.length).collect();
            let calls = connection.calls.iter().filter(|call| call.by == by);
            let expected: Vec<_> = calls.map(|call| call.length).collect();
            if found != expected {
                return Err(format!("calls of {found:?} bytes were told, not of {expected:?}"));
            }
        }
    }
    peers.end();
    Ok(Passed::Exact)
}

/// What was copied of a range, as far as it is without holes.
fn copied(end: &End, direction: Direction, offset: u64, length: usize) -> Vec<u8> {
    let start =
        if direction == Direction::Send { end.connection.send } else { end.connection.receive };
    let first = start.expect("the kernel knows").0 + offset;
    let mut bytes = Vec::new();
    let mut segments: Vec<_> =
        end.segments.iter().filter(|segment| segment.direction == direction).collect();
    segments.sort_by_key(|segment| segment.position);
    for segment in segments {
        let behind = first + bytes.len() as u64;
        let skip = behind.wrapping_sub(segment.position) as usize;
        if segment.position <= behind && skip < segment.head.len() {
            bytes.extend_from_slice(&segment.head[skip..]);
        }
        if bytes.len() >= length {
            break;
        }
    }
    bytes.truncate(length);
    bytes
}
