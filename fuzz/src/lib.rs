//! Fuzz targets: what comes in from outside, in any shape, must not make Alaz panic, hang, grow, or
//! miscount.
//!
//! * `conversation`: both directions of a connection, in segments that are cut, lost, doubled and
//!   swapped as the input says. All protocols, since the input also says what is spoken.
//! * `recording`: a file of `alaz record`.
//! * `packets`: a capture file of tcpdump or Wireshark.
//!
//! `make fuzz` runs each for a while, from the seeds in `seeds/`.

#![forbid(unsafe_code)]

use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Direction, Ledger, Position, Role, Segment,
    Source,
};
use alaz_protocol::{Engine, Limits};

const KEY: ConnectionKey = ConnectionKey { socket: 1, generation: 1 };
/// As the kernel side copies.
const HEAD: usize = 4096;
const TAIL: usize = 256;

/// Plays a script: one byte about the connection, then steps of four bytes and what they carry.
///
/// A step's first byte has what it does: bit 0 the direction, bits 1 to 3 how the segment fares, bits 4
/// to 7 how much time passes. The second and third are the length of what follows.
pub fn converse(script: &[u8]) {
    let Some((about, mut rest)) = script.split_first() else { return };
    let mid_stream = about & 1 != 0;
    let role = match about >> 1 & 3 {
        0 => Role::Unknown,
        1 => Role::Client,
        _ => Role::Server,
    };
    let mut engine = Engine::new(Limits::default());
    let mut views = Vec::new();
    let (mut now_ns, mut at) = (1_000_u64, [1_000_u64, 5_000]);
    engine.open(&Connection {
        key: KEY,
        local: ([10, 0, 0, 1], 40_000).into(),
        remote: ([10, 0, 0, 2], 80).into(),
        network_namespace: 1,
        role,
        send: Some(Position(at[0])),
        receive: Some(Position(at[1])),
        time_ns: now_ns,
        mid_stream,
    });
    let (mut segments, mut bytes) = (0_u64, 0_u64);
    while let [what, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (payload, after) = after.split_at(length);
        rest = after;
        now_ns += u64::from(what >> 4) * 100_000;
        let side = usize::from(what & 1);
        let mut position = at[side];
        match what >> 1 & 7 {
            // Lost.
            1 => {
                at[side] += length as u64;
                continue;
            }
            // Told a second time.
            2 => position = position.saturating_sub(length as u64),
            // The clock goes on.
            3 => engine.advance(now_ns, &mut views),
            _ => {}
        }
        if length == 0 {
            continue;
        }
        // Only its ends.
        let copied = if what >> 1 & 7 == 4 { (length / 2, length / 4) } else { (HEAD, TAIL) };
        let head = copied.0.min(length);
        let tail = copied.1.min(length - head);
        engine.segment(
            &Segment {
                key: KEY,
                direction: if side == 0 { Direction::Send } else { Direction::Receive },
                position: Position(position),
                length: length as u32,
                head: &payload[..head],
                tail: &payload[length - tail..],
                started_ns: now_ns,
                ended_ns: now_ns,
                pid: 7,
                tid: 7,
                source: Source::Socket,
            },
            &mut views,
        );
        segments += 1;
        bytes += length as u64;
        at[side] = position + length as u64;
    }
    let reason = if about & 8 == 0 { CloseReason::Finished } else { CloseReason::Reset };
    let (send, receive) = (Some(Position(at[0])), Some(Position(at[1])));
    engine.close(&Close { key: KEY, time_ns: now_ns, reason, send, receive }, &mut views);
    engine.finish(&mut views);
    balanced(&engine.ledger(), segments, bytes);
}

/// Everything that was shown is accounted for.
fn balanced(ledger: &Ledger, segments: u64, bytes: u64) {
    assert_eq!(ledger.socket.segments.seen(), segments, "{ledger:?}");
    assert_eq!(ledger.socket.bytes.seen(), bytes, "{ledger:?}");
}
