//! Who called whom, where and in which protocol, and how that went.

use std::sync::Arc;

use alaz_model::{Exchange, Protocol};

use crate::{ConnectionStats, Histogram, NodeKey, RouteName, RouteStats, Sight, StatusMix};

/// What makes an edge the same edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// Who opened the connections.
    pub client: Arc<NodeKey>,
    /// Who was connected to.
    pub server: Arc<NodeKey>,
    /// The server's port.
    pub port: u16,
    /// What they spoke; `None` stands for the connections themselves, whatever is spoken on them.
    pub protocol: Option<Protocol>,
    /// From which end it was seen, where that is told apart.
    pub sight: Option<Sight>,
}

impl EdgeKey {
    /// The name by which the connections themselves go in place of a protocol's.
    pub const TCP: &'static str = "tcp";

    /// The protocol's name in JSON and metrics.
    #[must_use]
    pub fn protocol_name(&self) -> &'static str {
        self.protocol.map_or(EdgeKey::TCP, Protocol::as_str)
    }
}

/// How the exchanges of one edge went in one period. Exact: every exchange that was recorded is in
/// every figure that it has a value for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What those that the server failed failed with.
    pub errors_by_code: StatusMix,
    /// Latency of those that were answered: as seen by the client where it is on this host, else
    /// by the server.
    pub latency: Histogram,
    /// Latency as seen by the server, where it is on this host.
    pub server_latency: Histogram,
    /// The same by route, each name once, in no particular order. Those that had no requests may
    /// stand there with zeroes.
    pub routes: Vec<(Arc<RouteName>, RouteStats)>,
    /// Exchanges whose route did not fit the limit.
    pub routes_overflow: u64,
    /// The connections themselves, where the edge stands for them; nothing else counts there.
    pub connections: ConnectionStats,
}

impl EdgeStats {
    /// Adds one exchange to everything but the routes.
    #[inline]
    pub fn record(&mut self, exchange: &Exchange) {
        let message = &exchange.message;
        self.requests += 1;
        if message.error {
            self.errors += 1;
            self.errors_by_code.record_error(message);
        }
        self.request_bytes += message.request_bytes;
        self.response_bytes += message.response_bytes;
        self.status.record(message);
        if let Some(latency_ns) = exchange.latency_ns {
            self.latency.record(latency_ns);
        }
        if let Some(latency_ns) = exchange.server_latency_ns {
            self.server_latency.record(latency_ns);
        }
    }

    /// Adds everything of another period but the routes.
    pub fn merge(&mut self, other: &EdgeStats) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.status.merge(&other.status);
        self.errors_by_code.merge(&other.errors_by_code);
        self.latency.merge(&other.latency);
        self.server_latency.merge(&other.server_latency);
        self.routes_overflow += other.routes_overflow;
        self.connections.merge(&other.connections);
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests == 0 && self.connections.is_empty()
    }

    /// The figures of a route, which gets a place if there are fewer than `limit`.
    pub fn route(&mut self, name: &Arc<RouteName>, limit: usize) -> Option<&mut RouteStats> {
        // Names are shared, so the first look is enough nearly always.
        let place = self
            .routes
            .iter()
            .position(|(known, _)| Arc::ptr_eq(known, name))
            .or_else(|| self.routes.iter().position(|(known, _)| known == name));
        let place = match place {
            Some(place) => place,
            None if self.routes.len() < limit => {
                self.routes.push((Arc::clone(name), RouteStats::default()));
                self.routes.len() - 1
            }
            None => return None,
        };
        self.routes.get_mut(place).map(|(_, stats)| stats)
    }

    /// Sets all figures to zero and keeps names and memory.
    pub fn clear(&mut self) {
        self.requests = 0;
        self.errors = 0;
        self.request_bytes = 0;
        self.response_bytes = 0;
        self.status.clear();
        self.errors_by_code.clear();
        self.latency.clear();
        self.server_latency.clear();
        self.routes.iter_mut().for_each(|(_, stats)| stats.clear());
        self.routes_overflow = 0;
        self.connections.clear();
    }
}
