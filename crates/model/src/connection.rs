//! One TCP connection as one end of it sees it.

use std::net::SocketAddr;

use crate::Position;

/// Names one end of one TCP connection for as long as Alaz runs.
///
/// The kernel reuses socket memory, so its address alone is not enough: the generation is the time
/// (ns, monotonic clock) at which the kernel side first saw this socket in this life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// Address of the kernel's socket. Never leaves the host and is never shown.
    pub socket: u64,
    /// When that socket was first seen in this life, ns on the monotonic clock.
    pub generation: u64,
}

/// Which part the local socket plays: who opened the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// The opening was not seen and nothing has proven it yet.
    #[default]
    Unknown,
    /// The local process connected.
    Client,
    /// The local process accepted.
    Server,
}

impl Role {
    /// The part that the other end plays.
    #[must_use]
    pub fn opposite(self) -> Role {
        match self {
            Role::Unknown => Role::Unknown,
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}

/// A connection came into sight: it was opened, or its first bytes moved after Alaz started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name in all later events.
    pub key: ConnectionKey,
    /// The local address; IPv4-mapped IPv6 addresses are given as IPv4.
    pub local: SocketAddr,
    /// The peer's address, in the same form.
    pub remote: SocketAddr,
    /// Inode of the network namespace. Loopback addresses mean something only inside one.
    pub network_namespace: u32,
    /// Who opened it, where that was seen.
    pub role: Role,
    /// Position of the next byte that is sent, where known: what is missing at the beginning shows.
    pub send: Option<Position>,
    /// Position of the next byte that is received, where known.
    pub receive: Option<Position>,
    /// When it came into sight, ns on the monotonic clock.
    pub time_ns: u64,
    /// It was already open when Alaz first saw it, so bytes before are unknown.
    pub mid_stream: bool,
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Which connection.
    pub key: ConnectionKey,
    /// When, ns on the monotonic clock.
    pub time_ns: u64,
    /// How it ended.
    pub reason: CloseReason,
    /// Position behind the last byte that was sent, where known: what is missing at the end shows.
    pub send: Option<Position>,
    /// Position behind the last byte that the application received, where known. Of what came and
    /// was not read nothing is known.
    pub receive: Option<Position>,
}

/// What the kernel measured on a connection, told just before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measures {
    /// Which connection.
    pub key: ConnectionKey,
    /// When it was told, ns on the monotonic clock.
    pub time_ns: u64,
    /// TCP segments that this side sent again.
    pub retransmits: u32,
    /// How long the handshake took, in ns, where this side opened and that was seen.
    pub handshake_ns: Option<u64>,
    /// The smoothed round-trip time at the end (RFC 6298), in ns.
    pub round_trip_ns: Option<u64>,
    /// The least round-trip time of the last minutes, in ns.
    pub least_round_trip_ns: Option<u64>,
}

/// A connection that could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where from.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// Inode of the network namespace.
    pub network_namespace: u32,
    /// When the first SYN was sent, ns on the monotonic clock.
    pub began_ns: u64,
    /// When it was given up, ns on the monotonic clock.
    pub time_ns: u64,
    /// The process that wanted to connect, in the initial pid namespace.
    pub pid: u32,
    /// Why; [`CloseReason::Finished`] where the application gave it up itself.
    pub reason: CloseReason,
}

/// How a connection ended, from the socket's error at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Orderly: both sides finished, or this side closed first.
    Finished,
    /// The peer reset it (`ECONNRESET`, `EPIPE`).
    Reset,
    /// Nobody listened (`ECONNREFUSED`); the connection never existed.
    Refused,
    /// The peer stopped answering (`ETIMEDOUT`).
    TimedOut,
    /// Another error of the socket, by its errno.
    Failed(i32),
}
