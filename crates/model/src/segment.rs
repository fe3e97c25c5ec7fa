//! The bytes of one I/O call: of a stream, or a datagram.

use std::net::SocketAddr;

use crate::ConnectionKey;

/// Which way bytes move, as seen from the local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The local process sends.
    Send,
    /// The local process receives.
    Receive,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Send => Direction::Receive,
            Direction::Receive => Direction::Send,
        }
    }
}

/// Where the bytes were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A socket call.
    Socket,
    /// A call of a TLS library, before encryption or after decryption.
    Tls,
}

/// `PLAINTEXT_UNANCHORED` of `bpf/abi.h`. No stream is as long.
const UNANCHORED: u64 = 1 << 62;

/// A place in one direction's byte stream.
///
/// 64 bits wide, and its low 32 bits are the TCP sequence number (RFC 9293 §3.4). Both ends of a
/// connection therefore give the same byte the same position, which is how their two views join. What
/// is said inside TLS is counted from its first byte on, see [`is_anchored`](Position::is_anchored).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    /// From a TCP sequence number and the count of bytes that the kernel says have passed in this
    /// direction up to it. The count may be a little off (it is read while packets arrive) without
    /// changing the result.
    #[must_use]
    pub fn from_kernel(sequence: u32, passed: u64) -> Position {
        let base = sequence.wrapping_sub(passed as u32);
        Position(passed.wrapping_add(u64::from(base)))
    }

    /// The TCP sequence number of this byte.
    #[must_use]
    pub fn sequence(self) -> u32 {
        self.0 as u32
    }

    /// Of plaintext inside TLS: whether this end saw all that was said before, so that the other end
    /// gives the byte the same position. Else it is only good for the order on this end.
    #[must_use]
    pub fn is_anchored(self) -> bool {
        self.0 & UNANCHORED == 0
    }

    /// `bytes` further on.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Position {
        Position(self.0.wrapping_add(bytes))
    }

    /// `bytes` before.
    #[must_use]
    pub fn minus(self, bytes: u64) -> Position {
        Position(self.0.wrapping_sub(bytes))
    }

    /// Bytes from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Position) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }
}

/// The bytes of one I/O call: all of them counted, the first and the last ones copied.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Whose bytes.
    pub key: ConnectionKey,
    /// Which way they went.
    pub direction: Direction,
    /// Position of the first byte.
    pub position: Position,
    /// How many bytes the call moved.
    pub length: u32,
    /// The first bytes, as many as were copied. Together with `tail` never more than `length`.
    pub head: &'a [u8],
    /// The last bytes, when `head` does not reach the end; what lies between was only counted.
    pub tail: &'a [u8],
    /// Sends: when the bytes left, as far as the kernel tells: the transport's own stamp of its last
    /// transmission, if it had begun to transmit these bytes when the call ended; of what was given
    /// to a TLS library, when the call began. Receives, and else: when the call ended. Ns on the
    /// monotonic clock.
    pub started_ns: u64,
    /// When the call ended, ns on the monotonic clock. Never before `started_ns`.
    pub ended_ns: u64,
    /// Process of the thread that made the call, in the initial pid namespace.
    pub pid: u32,
    /// The thread that made the call.
    pub tid: u32,
    /// Socket or TLS library.
    pub source: Source,
}

impl Segment<'_> {
    /// Position just after the last byte.
    #[must_use]
    pub fn end(&self) -> Position {
        self.position.plus(u64::from(self.length))
    }

    /// Bytes copied.
    #[must_use]
    pub fn copied(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

/// One UDP datagram, as one end sees it.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The local address; all zeroes where the socket takes what comes for any of this host's.
    pub local: SocketAddr,
    /// The other side's address, where the call or the socket named one.
    pub remote: Option<SocketAddr>,
    /// Inode of the network namespace. Loopback addresses mean something only inside one.
    pub network_namespace: u32,
    /// Which way it went.
    pub direction: Direction,
    /// How many bytes it has.
    pub length: u32,
    /// Its first bytes, as many as were copied.
    pub head: &'a [u8],
    /// When the call ended, ns on the monotonic clock.
    pub time_ns: u64,
    /// Process of the thread that made the call, in the initial pid namespace; 0 where it is not
    /// known.
    pub pid: u32,
    /// The thread that made the call.
    pub tid: u32,
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn low_half_is_the_sequence_number_and_wraps_upwards() {
        let isn = 0xffff_ff00_u32;
        let before = Position::from_kernel(isn.wrapping_add(0x80), 0x80);
        let after = Position::from_kernel(isn.wrapping_add(0x180), 0x180);
        assert_eq!(before.sequence(), 0xffff_ff80);
        assert_eq!(after.sequence(), 0x80);
        assert_eq!(after.since(before), 0x100);
    }

    #[test]
    fn what_follows_the_unanchored_is_so_too() {
        assert!(Position(0).is_anchored() && Position(1 << 40).is_anchored());
        let unanchored = Position((1 << 62) + 7);
        assert!(!unanchored.is_anchored() && !unanchored.plus(1 << 40).is_anchored());
        assert!(unanchored.since(Position(1 << 40)) > 0);
    }

    #[test]
    fn a_count_read_too_early_or_late_gives_the_same_position() {
        let exact = Position::from_kernel(5_000_000, 1_000_000);
        for off in [-90_000_i64, -1, 1, 65_536] {
            let passed = 1_000_000_u64.wrapping_add_signed(off);
            assert_eq!(Position::from_kernel(5_000_000, passed), exact);
        }
    }
}
