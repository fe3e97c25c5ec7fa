//! The map: nodes, edges, and how they did in a period.

use std::collections::BTreeMap;

use alaz_flow::{EdgeStats, Histogram, StatusMix};
use alaz_model::{EndpointKind, Protocol, UnixNanos};
use compact_str::CompactString;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::connections::{Listed, MapConnections, listed};
use crate::store::{Edge, EdgeId, Node, NodeId, Period, Store};

/// What `GET /api/v1/map` gives; docs/api.md describes the fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of docs/api.md")]
pub struct Map {
    pub from: String,
    pub to: String,
    pub seconds: f64,
    pub nodes: Vec<MapNode>,
    pub edges: Vec<MapEdge>,
    pub overflow: MapOverflow,
}

/// One node of a [`Map`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of docs/api.md")]
pub struct MapNode {
    pub id: String,
    pub kind: EndpointKind,
    pub name: String,
    pub namespace: String,
    pub zombie: bool,
    pub container: String,
    pub executable: String,
    pub pids: Vec<u32>,
    pub layer: u32,
    pub row: u32,
    pub requests_in: u64,
    pub errors_in: u64,
    pub requests_out: u64,
    pub errors_out: u64,
}

/// One edge of a [`Map`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of docs/api.md")]
pub struct MapEdge {
    pub id: String,
    pub from: String,
    pub to: String,
    pub port: u16,
    pub protocol: String,
    pub requests: u64,
    pub errors: u64,
    pub rate: f64,
    pub p50_ns: Option<u64>,
    pub p95_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub status: BTreeMap<String, u64>,
    pub slow: bool,
    #[serde(default)]
    pub tcp: Option<MapConnections>,
}

/// Exchanges that are on no edge of a [`Map`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of docs/api.md")]
pub struct MapOverflow {
    pub edges: u64,
    pub requests: u64,
}

/// Which part of the map to show; empty lists leave nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapFilter {
    /// Only edges of these protocols, and nodes that have one; `None` stands for connections of which
    /// it is not known what they speak.
    pub protocols: Vec<Option<Protocol>>,
    /// Only nodes of this namespace, and those that they talk to.
    pub namespace: Option<CompactString>,
}

impl MapFilter {
    fn takes(&self, edge: &Edge) -> bool {
        let key = &edge.key;
        let protocol = self.protocols.is_empty() || self.protocols.contains(&key.protocol);
        protocol
            && self.namespace.as_ref().is_none_or(|namespace| {
                key.client.namespace == *namespace || key.server.namespace == *namespace
            })
    }

    fn takes_all(&self) -> bool {
        self.protocols.is_empty() && self.namespace.is_none()
    }
}

/// p95 from which an edge may be called slow, ns.
const SLOW_FROM_NS: u64 = 10_000_000;

impl Map {
    /// The map of a period.
    #[must_use]
    pub fn of(store: &Store, period: Period, filter: &MapFilter) -> Map {
        let stats = sums(store, period);
        let seconds = store.covered_seconds(period);
        let shown: Vec<_> =
            store.edges().into_iter().filter(|(_, edge)| filter.takes(edge)).collect();
        let slow = slow_edges(store, period, &stats);
        let edges: Vec<_> = listed(store, &stats)
            .iter()
            .filter(|listed| filter.takes(listed.edge))
            .map(|listed| MapEdge::of(listed, seconds, slow.contains(&listed.id)))
            .collect();
        let nodes = map_nodes(store, period, filter, &shown, &stats);
        let mut overflow = MapOverflow::default();
        for step in store.steps(period) {
            overflow.edges = overflow.edges.max(step.overflow.edges);
            overflow.requests += step.overflow.requests;
        }
        Map {
            from: UnixNanos(period.from_ns).to_string(),
            to: UnixNanos(period.to_ns).to_string(),
            seconds,
            nodes,
            edges,
            overflow,
        }
    }
}

/// All edges that had exchanges in the period, without routes.
pub(super) fn sums(store: &Store, period: Period) -> HashMap<EdgeId, EdgeStats> {
    let mut sums: HashMap<EdgeId, EdgeStats> = HashMap::new();
    for step in store.steps(period) {
        for (id, figures) in step.edges() {
            figures.add_to(sums.entry(id).or_default());
        }
    }
    sums
}

fn map_nodes(
    store: &Store,
    period: Period,
    filter: &MapFilter,
    shown: &[(EdgeId, &Edge)],
    stats: &HashMap<EdgeId, EdgeStats>,
) -> Vec<MapNode> {
    let mut traffic: HashMap<NodeId, Traffic> = HashMap::new();
    for (id, edge) in shown {
        let (requests, errors) = stats.get(id).map_or((0, 0), |s| (s.requests, s.errors));
        let has_connections = stats.get(id).is_some_and(|s| !s.connections.is_empty());
        let from = traffic.entry(edge.from).or_default();
        from.requests_out += requests;
        from.errors_out += errors;
        from.has_connections |= has_connections;
        let to = traffic.entry(edge.to).or_default();
        to.requests_in += requests;
        to.errors_in += errors;
        to.has_connections |= has_connections;
    }
    let nodes = store.nodes().into_iter().filter(|(id, node)| {
        node.first_ns < period.to_ns && (filter.takes_all() || traffic.contains_key(id))
    });
    nodes
        .map(|(id, node)| {
            MapNode::of(store, id, node, traffic.get(&id).copied().unwrap_or_default())
        })
        .collect()
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) requests_in: u64,
    pub(super) errors_in: u64,
    pub(super) requests_out: u64,
    pub(super) errors_out: u64,
    pub(super) has_connections: bool,
}

impl MapNode {
    pub(super) fn of(store: &Store, id: NodeId, node: &Node, traffic: Traffic) -> MapNode {
        let place = store.place(id);
        let facts = &node.facts;
        MapNode {
            id: id.to_string(),
            kind: facts.key.kind,
            name: facts.key.name.to_string(),
            namespace: facts.key.namespace.to_string(),
            zombie: traffic.requests_in + traffic.requests_out == 0 && !traffic.has_connections,
            container: facts.container.to_string(),
            executable: facts.executable.to_string(),
            pids: facts.pids.clone(),
            layer: place.layer,
            row: place.row,
            requests_in: traffic.requests_in,
            errors_in: traffic.errors_in,
            requests_out: traffic.requests_out,
            errors_out: traffic.errors_out,
        }
    }
}

impl MapEdge {
    pub(super) fn of(listed: &Listed<'_>, seconds: f64, slow: bool) -> MapEdge {
        let none = EdgeStats::default();
        let (edge, stats) = (listed.edge, listed.stats.unwrap_or(&none));
        MapEdge {
            id: listed.id.to_string(),
            from: edge.from.to_string(),
            to: edge.to.to_string(),
            port: edge.key.port,
            protocol: edge.key.protocol_name().to_owned(),
            requests: stats.requests,
            errors: stats.errors,
            rate: rate(stats.requests, seconds),
            p50_ns: stats.latency.quantile(0.50),
            p95_ns: stats.latency.quantile(0.95),
            p99_ns: stats.latency.quantile(0.99),
            request_bytes: stats.request_bytes,
            response_bytes: stats.response_bytes,
            status: status_classes(&stats.status),
            slow,
            tcp: listed.connections.and_then(MapConnections::of),
        }
    }
}

/// Requests a second, to three digits after the point.
pub(super) fn rate(requests: u64, seconds: f64) -> f64 {
    if seconds <= 0.0 { 0.0 } else { (requests as f64 / seconds * 1e3).round() / 1e3 }
}

/// HTTP status codes by their first digit (`2xx`), everything else under its own name.
pub(crate) fn status_classes(mix: &StatusMix) -> BTreeMap<String, u64> {
    let mut classes = BTreeMap::new();
    for (status, count) in mix.iter() {
        *classes.entry(status_class(status)).or_default() += count;
    }
    classes
}

fn status_class(status: &str) -> String {
    match status.as_bytes() {
        [first @ b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => format!("{}xx", char::from(*first)),
        _ => status.to_owned(),
    }
}

/// Edges of which the p95 is at least 10 ms, and more than twice that of the rest of the hour.
pub(super) fn slow_edges(
    store: &Store,
    period: Period,
    stats: &HashMap<EdgeId, EdgeStats>,
) -> hashbrown::HashSet<EdgeId> {
    let mut candidates: HashMap<EdgeId, (u64, Histogram)> = stats
        .iter()
        .filter_map(|(id, stats)| Some((*id, stats.latency.quantile(0.95)?)))
        .filter(|(_, p95_ns)| *p95_ns > SLOW_FROM_NS)
        .map(|(id, p95_ns)| (id, (p95_ns, Histogram::new())))
        .collect();
    if candidates.is_empty() {
        return Default::default();
    }
    let before = Period { from_ns: 0, to_ns: period.from_ns };
    let after = Period { from_ns: period.to_ns, to_ns: u64::MAX };
    for step in store.steps(before).chain(store.steps(after)) {
        for (id, figures) in step.edges() {
            if let Some((_, rest)) = candidates.get_mut(&id) {
                figures.add_latency_to(rest);
            }
        }
    }
    let slow = |p95_ns: u64, rest: &Histogram| {
        rest.quantile(0.95).is_some_and(|usual_ns| p95_ns / 2 > usual_ns)
    };
    let found = candidates.into_iter().filter(|(_, (p95_ns, rest))| slow(*p95_ns, rest));
    found.map(|(id, _)| id).collect()
}
