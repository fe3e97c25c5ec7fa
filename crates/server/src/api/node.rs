//! One node: facts, totals on both sides, edges.

use alaz_flow::{EdgeStats, Histogram};
use serde::Serialize;

use super::connections::listed;
use super::map::{MapEdge, MapNode, Traffic, rate, slow_edges, sums};
use crate::store::{Edge, NodeId, Period, Store};

/// What `GET /api/v1/nodes/{id}` gives.
#[derive(Debug, Serialize)]
pub(crate) struct NodeDetail {
    #[serde(flatten)]
    node: MapNode,
    /// Null where it never answered in the hour.
    as_server: Option<Side>,
    /// Null where it never asked in the hour.
    as_client: Option<Side>,
    edges: Vec<MapEdge>,
}

/// Totals of one side.
#[derive(Debug, Serialize)]
struct Side {
    requests: u64,
    errors: u64,
    rate: f64,
    p50_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
}

impl NodeDetail {
    pub(crate) fn of(store: &Store, id: NodeId, period: Period) -> Option<NodeDetail> {
        let node = store.node(id)?;
        let seconds = store.covered_seconds(period);
        let stats = sums(store, period);
        let slow = slow_edges(store, period, &stats);
        let mut own = store.edges();
        own.retain(|(_, edge)| edge.from == id || edge.to == id);
        let side = |is_ours: &dyn Fn(&Edge) -> bool| {
            let spoken = own.iter().filter(|(_, edge)| edge.key.protocol.is_some());
            let ours: Vec<_> = spoken.filter(|(_, edge)| is_ours(edge)).collect();
            let figures = ours.iter().filter_map(|(edge_id, _)| stats.get(edge_id));
            (!ours.is_empty()).then(|| Side::of(figures, seconds))
        };
        let as_server = side(&|edge| edge.to == id);
        let as_client = side(&|edge| edge.from == id);
        let requests =
            |side: &Option<Side>| side.as_ref().map_or((0, 0), |s| (s.requests, s.errors));
        let (requests_in, errors_in) = requests(&as_server);
        let (requests_out, errors_out) = requests(&as_client);
        let figures = own.iter().filter_map(|(edge_id, _)| stats.get(edge_id));
        let has_connections = figures.into_iter().any(|stats| !stats.connections.is_empty());
        let traffic = Traffic { requests_in, errors_in, requests_out, errors_out, has_connections };
        let edges = listed(store, &stats);
        let own = edges.iter().filter(|listed| listed.edge.from == id || listed.edge.to == id);
        Some(NodeDetail {
            node: MapNode::of(store, id, node, traffic),
            as_server,
            as_client,
            edges: own
                .map(|listed| MapEdge::of(listed, seconds, slow.contains(&listed.id)))
                .collect(),
        })
    }
}

impl Side {
    fn of<'a>(edges: impl Iterator<Item = &'a EdgeStats>, seconds: f64) -> Side {
        let (mut requests, mut errors, mut latency) = (0, 0, Histogram::new());
        for stats in edges {
            requests += stats.requests;
            errors += stats.errors;
            latency.merge(&stats.latency);
        }
        Side {
            requests,
            errors,
            rate: rate(requests, seconds),
            p50_ns: latency.quantile(0.50),
            p95_ns: latency.quantile(0.95),
            p99_ns: latency.quantile(0.99),
        }
    }
}
