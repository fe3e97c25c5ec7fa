//! What the ends of a connection tell together.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use alaz_model::{
    Close, CloseReason, ConnectFailure, Connection, ConnectionEnd, ConnectionFacts, ConnectionKey,
    Endpoint, EndpointKind, Measures, ObservedBy, Position, Process, Refused, Role, TlsFacts,
};

use super::PairKey;
use super::listeners::Listener;

/// A process of this host that never did anything on its connection.
static UNKNOWN_PROCESS: LazyLock<Arc<Process>> = LazyLock::new(|| {
    Arc::new(Process {
        workload: Endpoint::UNKNOWN_PROCESS.into(),
        kind: EndpointKind::Process,
        ..Process::default()
    })
});

/// What is known of one end.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) key: ConnectionKey,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) namespace: u32,
    pub(super) role: Role,
    pub(super) pair: PairKey,
    /// It is one of Alaz's own, by its address.
    pub(super) is_own: bool,
    /// The process that was first seen to send or receive on it; 0 before.
    pub(super) pid: u32,
    pub(super) process: Option<Arc<Process>>,
    pub(super) active_ns: u64,
    pub(super) measures: Option<Measures>,
    pub(super) closed: Option<Close>,
    /// The other end, once it came into sight.
    pub(super) other: Option<ConnectionKey>,
    /// The other end, if it was over long before this one.
    pub(super) before: Option<Box<End>>,
    /// Its connection was told of.
    pub(super) is_told: bool,
    pub(super) tls: Option<TlsFacts>,
    opened_ns: u64,
    is_older: bool,
    send: Option<Position>,
    receive: Option<Position>,
}

impl End {
    pub(super) fn new(opened: &Connection, pair: PairKey, is_own: bool) -> End {
        End {
            key: opened.key,
            local: opened.local,
            remote: opened.remote,
            namespace: opened.network_namespace,
            role: opened.role,
            pair,
            is_own,
            pid: 0,
            process: None,
            active_ns: opened.time_ns,
            measures: None,
            closed: None,
            other: None,
            before: None,
            is_told: false,
            tls: None,
            opened_ns: opened.time_ns,
            is_older: opened.mid_stream,
            send: opened.send,
            receive: opened.receive,
        }
    }

    fn sent(&self) -> Option<u64> {
        passed(self.send, self.closed?.send)
    }

    fn received(&self) -> Option<u64> {
        passed(self.receive, self.closed?.receive)
    }

    fn was_reset(&self) -> bool {
        self.closed.is_some_and(|closed| closed.reason == CloseReason::Reset)
    }

    /// This end at this address; where its process did nothing, by who else may be here.
    fn endpoint(&self, address: SocketAddr, listener: Option<Listener>) -> Endpoint {
        if self.pid != 0 {
            let process = self.process.clone();
            return Endpoint { pid: self.pid, process, ..Endpoint::at(address) };
        }
        match listener {
            Some(listener) => listener.endpoint(address),
            None => {
                Endpoint { process: Some(Arc::clone(&UNKNOWN_PROCESS)), ..Endpoint::at(address) }
            }
        }
    }
}

impl Listener {
    fn endpoint(self, address: SocketAddr) -> Endpoint {
        Endpoint { pid: self.pid, process: self.process, ..Endpoint::at(address) }
    }
}

fn passed(from: Option<Position>, to: Option<Position>) -> Option<u64> {
    to?.0.checked_sub(from?.0)
}

/// The two sides of a connection whose client's end is there; `listener` is known where the server's
/// end is.
pub(super) fn endpoints(
    client: &End,
    server: Option<&End>,
    listener: Option<Listener>,
) -> (Endpoint, Endpoint) {
    let server = match (server, listener) {
        (Some(server), listener) => server.endpoint(client.remote, listener),
        (None, Some(listener)) => listener.endpoint(client.remote),
        (None, None) => Endpoint::at(client.remote),
    };
    (client.endpoint(client.local, None), server)
}

/// The facts of a connection by its ends, at least one of which is there and over; `listener` is
/// known where the server's end is.
pub(super) fn of_ends(
    client: Option<&End>,
    server: Option<&End>,
    listener: Option<Listener>,
) -> Option<ConnectionFacts> {
    let first = client.or(server)?;
    let observed_by = match (client, server) {
        (Some(_), Some(_)) => ObservedBy::Both,
        (Some(_), None) => ObservedBy::Client,
        _ => ObservedBy::Server,
    };
    let closed = [client, server].into_iter().flatten().filter_map(|end| end.closed);
    let ended_ns = closed.map(|closed| closed.time_ns).max()?;
    // As the client knows them.
    let (client_address, server_address) = match client {
        Some(client) => (client.local, client.remote),
        None => (first.remote, first.local),
    };
    let measures = first.measures;
    let retransmits = |end: Option<&End>| {
        end.and_then(|end| end.measures).map_or(0, |measures| u64::from(measures.retransmits))
    };
    let both = |one: Option<u64>, other: Option<u64>| one.or(other).unwrap_or(0);
    Some(ConnectionFacts {
        client: match client {
            Some(client) => client.endpoint(client_address, None),
            None => Endpoint::at(client_address),
        },
        server: match server {
            Some(server) => server.endpoint(server_address, listener),
            None => Endpoint::at(server_address),
        },
        observed_by,
        ended_ns,
        end: ended(client, server),
        duration_ns: (!first.is_older).then(|| ended_ns.saturating_sub(first.opened_ns)),
        sent_bytes: both(client.and_then(End::sent), server.and_then(End::received)),
        received_bytes: both(server.and_then(End::sent), client.and_then(End::received)),
        retransmits: retransmits(client) + retransmits(server),
        handshake_ns: client.and(measures).and_then(|measures| measures.handshake_ns),
        round_trip_ns: measures.and_then(|measures| measures.round_trip_ns),
        least_round_trip_ns: measures.and_then(|measures| measures.least_round_trip_ns),
        tls: tls(client, server),
    })
}

/// Both ends hear the same; one of them may have been seen later than the other.
fn tls(client: Option<&End>, server: Option<&End>) -> Option<TlsFacts> {
    let of = |end: Option<&End>| end.and_then(|end| end.tls.clone());
    match (of(client), of(server)) {
        (Some(client), Some(server)) => {
            let is_read = client.is_read || server.is_read;
            let is_known = client.handshake.version.is_some();
            Some(TlsFacts { is_read, ..if is_known { client } else { server } })
        }
        (client, server) => client.or(server),
    }
}

fn ended(client: Option<&End>, server: Option<&End>) -> ConnectionEnd {
    if client.is_some_and(End::was_reset) {
        return ConnectionEnd::ResetByServer;
    }
    if server.is_some_and(End::was_reset) {
        return ConnectionEnd::ResetByClient;
    }
    let mut reasons =
        [client, server].into_iter().flatten().filter_map(|end| Some(end.closed?.reason));
    match reasons.find(|reason| *reason != CloseReason::Finished) {
        None => ConnectionEnd::Finished,
        Some(CloseReason::TimedOut) => ConnectionEnd::TimedOut,
        Some(_) => ConnectionEnd::Failed,
    }
}

/// The facts of a connection that could not be opened; `server` is who listened there before.
pub(super) fn of_refused(
    refused: &Refused,
    process: Option<Arc<Process>>,
    server: Option<Listener>,
) -> ConnectionFacts {
    /// `ENETUNREACH` and `EHOSTUNREACH` (include/uapi/asm-generic/errno.h).
    const UNREACHABLE: [i32; 2] = [101, 113];
    let failure = match refused.reason {
        CloseReason::Refused => ConnectFailure::Refused,
        CloseReason::TimedOut => ConnectFailure::Timeout,
        CloseReason::Finished => ConnectFailure::Abandoned,
        CloseReason::Failed(errno) if UNREACHABLE.contains(&errno) => ConnectFailure::Unreachable,
        CloseReason::Failed(_) | CloseReason::Reset => ConnectFailure::Other,
    };
    ConnectionFacts {
        client: Endpoint { pid: refused.pid, process, ..Endpoint::at(refused.local) },
        server: match server {
            Some(listener) => listener.endpoint(refused.remote),
            None => Endpoint::at(refused.remote),
        },
        observed_by: ObservedBy::Client,
        ended_ns: refused.time_ns,
        end: ConnectionEnd::NotOpened(failure),
        duration_ns: Some(refused.time_ns.saturating_sub(refused.began_ns)),
        sent_bytes: 0,
        received_bytes: 0,
        retransmits: 0,
        handshake_ns: None,
        round_trip_ns: None,
        least_round_trip_ns: None,
        tls: None,
    }
}
