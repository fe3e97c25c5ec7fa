//! Who called whom, where and in which protocol, and how that went.

use std::sync::Arc;

use alaz_model::{Exchange, Protocol};
use compact_str::CompactString;

use crate::{Histogram, NodeKey, StatusMix};

/// What makes an edge the same edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// Who opened the connections.
    pub client: Arc<NodeKey>,
    /// Who was connected to.
    pub server: Arc<NodeKey>,
    /// The server's port.
    pub port: u16,
    /// What they spoke.
    pub protocol: Protocol,
}

/// What was asked for, with its variable parts taken out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteName {
    /// HTTP: the method.
    pub method: CompactString,
    /// HTTP: the path with variable parts replaced.
    pub route: CompactString,
}

/// How requests for one route went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteStats {
    /// Exchanges.
    pub requests: u64,
    /// Those of them that the server failed.
    pub errors: u64,
    /// Latency of those that were answered.
    pub latency: Histogram,
}

impl RouteStats {
    /// Adds another period's figures.
    pub fn merge(&mut self, other: &RouteStats) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latency.merge(&other.latency);
    }

    pub(crate) fn record(&mut self, exchange: &Exchange) {
        self.requests += 1;
        self.errors += u64::from(exchange.message.error);
        if let Some(latency_ns) = exchange.latency_ns {
            self.latency.record(latency_ns);
        }
    }
}

/// How the exchanges of one edge went in one period.
///
/// Counts are exact: every exchange that was recorded is in them. Only `samples` is a choice.
#[derive(Clone, Debug, Default)]
pub struct EdgeStats {
    /// Exchanges.
    pub requests: u64,
    /// Those of them that the server failed.
    pub errors: u64,
    /// Bytes of all requests.
    pub request_bytes: u64,
    /// Bytes of all responses.
    pub response_bytes: u64,
    /// How often each status was answered.
    pub status: StatusMix,
    /// Latency of those that were answered: as seen by the client where it is on this host, else
    /// by the server.
    pub latency: Histogram,
    /// Latency as seen by the server, where it is on this host.
    pub server_latency: Histogram,
    /// The same by route, sorted by name; at most [`Limits::routes_per_edge`](crate::Limits).
    pub routes: Vec<(Arc<RouteName>, RouteStats)>,
    /// Exchanges whose route did not fit the limit.
    pub routes_overflow: u64,
    /// Some of the exchanges, oldest first: errors before others, and an even choice of those.
    pub samples: Vec<Arc<Exchange>>,
}
