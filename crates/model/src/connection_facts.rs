//! How one TCP connection went, once it is over.

use crate::{Endpoint, ObservedBy, TlsFacts};

/// One TCP connection between two endpoints, told once, when it is over or could not be opened.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// Who opened it.
    pub client: Endpoint,
    /// Who was connected to, at the address that the client used where its end was seen.
    pub server: Endpoint,
    /// Which ends were on this host.
    pub observed_by: ObservedBy,
    /// When it was over, ns on the monotonic clock.
    pub ended_ns: u64,
    /// How it ended.
    pub end: ConnectionEnd,
    /// How long it was open, ns; `None` where it is older than Alaz.
    pub duration_ns: Option<u64>,
    /// Bytes that the client sent; of a connection older than Alaz, those since it was seen first.
    pub sent_bytes: u64,
    /// Bytes that the server sent, in the same way.
    pub received_bytes: u64,
    /// Segments that were sent again, by the ends that were seen.
    pub retransmits: u64,
    /// How long the handshake took, ns, as the client saw it.
    pub handshake_ns: Option<u64>,
    /// The smoothed round-trip time at the end (RFC 6298), ns, of the client's end where it was seen.
    pub round_trip_ns: Option<u64>,
    /// The least round-trip time of the last minutes, ns, of the same end.
    pub least_round_trip_ns: Option<u64>,
    /// Of one that carried TLS, as far as its bytes were seen.
    pub tls: Option<TlsFacts>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionEnd {
    /// Orderly, or nothing else was seen.
    Finished,
    /// The client reset it; only the server's end sees that.
    ResetByClient,
    /// The server reset it; only the client's end sees that.
    ResetByServer,
    /// The other end stopped answering.
    TimedOut,
    /// By another error of the socket.
    Failed,
    /// It never was open.
    NotOpened(ConnectFailure),
}

/// Why a connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectFailure {
    /// Nobody listened (`ECONNREFUSED`).
    Refused,
    /// Nobody answered for as long as the kernel tries (`ETIMEDOUT`).
    Timeout,
    /// A router or this host said that there is no way there (`EHOSTUNREACH`, `ENETUNREACH`).
    Unreachable,
    /// The client did not want to wait any longer.
    Abandoned,
    /// Another error of the socket.
    Other,
}

impl ConnectFailure {
    /// Every reason, in the order of the enumeration.
    pub const ALL: [ConnectFailure; 5] = [
        ConnectFailure::Refused,
        ConnectFailure::Timeout,
        ConnectFailure::Unreachable,
        ConnectFailure::Abandoned,
        ConnectFailure::Other,
    ];

    /// Its name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectFailure::Refused => "refused",
            ConnectFailure::Timeout => "timeout",
            ConnectFailure::Unreachable => "unreachable",
            ConnectFailure::Abandoned => "abandoned",
            ConnectFailure::Other => "other",
        }
    }
}
