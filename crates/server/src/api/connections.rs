//! The connections beneath an edge, as the pages show them; and which edges a page lists.

use std::collections::BTreeMap;

use alaz_flow::{ConnectionStats, EdgeStats, StatusMix, TlsStats};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::store::{Edge, EdgeId, NodeId, Store};

/// How the TCP connections from a client to a port of a server went, those that were over in the
/// period. Null in its place: there were none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of docs/api.md")]
pub struct MapConnections {
    pub connects: u64,
    pub closed: u64,
    pub failures: BTreeMap<String, u64>,
    pub client_resets: u64,
    pub server_resets: u64,
    pub broken: u64,
    pub retransmits: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub handshake_p50_ns: Option<u64>,
    pub handshake_p95_ns: Option<u64>,
    pub handshake_p99_ns: Option<u64>,
    pub round_trip_p50_ns: Option<u64>,
    pub round_trip_p95_ns: Option<u64>,
    pub round_trip_p99_ns: Option<u64>,
    pub least_round_trip_ns: Option<u64>,
    pub tls: Option<MapTls>,
}

/// What TLS those connections carried. Null in its place: they carried none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of docs/api.md")]
pub struct MapTls {
    pub connections: u64,
    pub read: u64,
    pub versions: BTreeMap<String, u64>,
    pub ciphers: BTreeMap<String, u64>,
    pub server_names: BTreeMap<String, u64>,
    pub protocols: BTreeMap<String, u64>,
    pub failures: BTreeMap<String, u64>,
}

impl MapTls {
    fn of(stats: &TlsStats) -> MapTls {
        let named =
            |mix: &StatusMix| mix.iter().map(|(name, count)| (name.to_owned(), count)).collect();
        MapTls {
            connections: stats.connections,
            read: stats.read,
            versions: named(&stats.versions),
            ciphers: named(&stats.ciphers),
            server_names: named(&stats.server_names),
            protocols: named(&stats.protocols),
            failures: named(&stats.failures),
        }
    }
}

impl MapConnections {
    pub(super) fn of(stats: &ConnectionStats) -> Option<MapConnections> {
        let failures = stats.failures().filter(|(_, count)| *count > 0);
        let (handshake, round_trip) = (&stats.handshake, &stats.round_trip);
        (!stats.is_empty()).then(|| MapConnections {
            connects: stats.connects,
            closed: stats.closed,
            failures: failures.map(|(reason, count)| (reason.as_str().to_owned(), count)).collect(),
            client_resets: stats.client_resets,
            server_resets: stats.server_resets,
            broken: stats.broken,
            retransmits: stats.retransmits,
            sent_bytes: stats.sent_bytes,
            received_bytes: stats.received_bytes,
            handshake_p50_ns: handshake.quantile(0.50),
            handshake_p95_ns: handshake.quantile(0.95),
            handshake_p99_ns: handshake.quantile(0.99),
            round_trip_p50_ns: round_trip.quantile(0.50),
            round_trip_p95_ns: round_trip.quantile(0.95),
            round_trip_p99_ns: round_trip.quantile(0.99),
            least_round_trip_ns: stats.least_round_trip_ns,
            tls: stats.tls.as_deref().map(MapTls::of),
        })
    }
}

/// An edge that a page lists.
pub(super) struct Listed<'a> {
    pub(super) id: EdgeId,
    pub(super) edge: &'a Edge,
    /// What was said on it in the period; `None` where only connections were over.
    pub(super) stats: Option<&'a EdgeStats>,
    pub(super) connections: Option<&'a ConnectionStats>,
}

/// From whom to whom, on which port.
type Ends = (NodeId, NodeId, u16);

fn ends(edge: &Edge) -> Ends {
    (edge.from, edge.to, edge.key.port)
}

/// The edges that had exchanges in the period, each with the connections beneath it; and for
/// connections without exchanges the protocol that was spoken there earlier in the hour, or, where
/// none is known, the connections themselves. In the order in which the edges came.
pub(super) fn listed<'a>(
    store: &'a Store,
    stats: &'a HashMap<EdgeId, EdgeStats>,
) -> Vec<Listed<'a>> {
    let mut connections: HashMap<Ends, &ConnectionStats> = HashMap::new();
    let mut spoken: HashMap<Ends, EdgeId> = HashMap::new();
    let mut is_silent: HashMap<Ends, bool> = HashMap::new();
    let edges = store.edges();
    for (id, edge) in &edges {
        let ends = ends(edge);
        let figures = stats.get(id);
        if edge.key.protocol.is_none() {
            connections.extend(figures.map(|figures| (ends, &figures.connections)));
        } else {
            spoken.insert(ends, *id);
            *is_silent.entry(ends).or_insert(true) &= figures.is_none();
        }
    }
    edges
        .into_iter()
        .filter_map(|(id, edge)| {
            let ends = ends(edge);
            let connections = connections.get(&ends).copied();
            let figures = stats.get(&id).filter(|_| edge.key.protocol.is_some());
            let stands_for_connections = match edge.key.protocol {
                None => !spoken.contains_key(&ends),
                Some(_) => spoken.get(&ends) == Some(&id) && is_silent.get(&ends) == Some(&true),
            };
            let is_listed = figures.is_some() || connections.is_some() && stands_for_connections;
            is_listed.then_some(Listed { id, edge, stats: figures, connections })
        })
        .collect()
}
