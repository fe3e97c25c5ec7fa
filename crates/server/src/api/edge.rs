//! One edge: totals, routes, exchanges; and how it did over time.

use std::collections::BTreeMap;
use std::sync::Arc;

use alaz_flow::{ConnectionStats, EdgeStats, Histogram, StatusMix};
use alaz_model::{EndpointKind, Exchange, UnixNanos};
use serde::Serialize;

use super::connections::MapConnections;
use super::map::rate;
use crate::store::{EdgeId, NodeId, Period, Store};

/// What `GET /api/v1/edges/{id}` gives.
#[derive(Debug, Serialize)]
pub(crate) struct EdgeDetail {
    id: String,
    from: NodeRef,
    to: NodeRef,
    port: u16,
    protocol: &'static str,
    requests: u64,
    errors: u64,
    rate: f64,
    min_ns: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
    mean_ns: Option<u64>,
    server_p50_ns: Option<u64>,
    server_p95_ns: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
    status: BTreeMap<String, u64>,
    errors_by_code: BTreeMap<String, u64>,
    routes: Vec<Route>,
    routes_overflow: u64,
    recent: Vec<Arc<Exchange>>,
    tcp: Option<MapConnections>,
}

/// An end of an edge, by name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeRef {
    id: String,
    pub(super) name: String,
    kind: EndpointKind,
}

#[derive(Debug, Serialize)]
struct Route {
    method: String,
    route: String,
    database: String,
    requests: u64,
    errors: u64,
    p50_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
}

impl EdgeDetail {
    pub(crate) fn of(store: &Store, id: EdgeId, period: Period) -> Option<EdgeDetail> {
        let edge = store.edge(id)?;
        let mut stats = EdgeStats::default();
        for figures in store.steps(period).filter_map(|step| step.edge(id)) {
            figures.add_all_to(&mut stats);
        }
        let mut connections = ConnectionStats::default();
        if let Some(beneath) = store.connections_beneath(id) {
            for figures in store.steps(period).filter_map(|step| step.edge(beneath)) {
                figures.add_connections_to(&mut connections);
            }
        }
        Some(EdgeDetail {
            id: id.to_string(),
            from: NodeRef::of(store, edge.from)?,
            to: NodeRef::of(store, edge.to)?,
            port: edge.key.port,
            protocol: edge.key.protocol_name(),
            requests: stats.requests,
            errors: stats.errors,
            rate: rate(stats.requests, store.covered_seconds(period)),
            min_ns: stats.latency.min(),
            p50_ns: stats.latency.quantile(0.50),
            p90_ns: stats.latency.quantile(0.90),
            p95_ns: stats.latency.quantile(0.95),
            p99_ns: stats.latency.quantile(0.99),
            max_ns: stats.latency.max(),
            mean_ns: stats.latency.mean(),
            server_p50_ns: stats.server_latency.quantile(0.50),
            server_p95_ns: stats.server_latency.quantile(0.95),
            request_bytes: stats.request_bytes,
            response_bytes: stats.response_bytes,
            status: by_name(&stats.status),
            errors_by_code: by_name(&stats.errors_by_code),
            routes: routes(&stats),
            routes_overflow: stats.routes_overflow,
            recent: edge.samples.recent(period.from_ns, period.to_ns),
            tcp: MapConnections::of(&connections),
        })
    }
}

impl NodeRef {
    pub(super) fn of(store: &Store, id: NodeId) -> Option<NodeRef> {
        let key = &store.node(id)?.facts.key;
        Some(NodeRef { id: id.to_string(), name: key.name.to_string(), kind: key.kind })
    }
}

/// Each status under its own name.
pub(super) fn by_name(mix: &StatusMix) -> BTreeMap<String, u64> {
    mix.iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// The most asked for first.
fn routes(stats: &EdgeStats) -> Vec<Route> {
    let mut routes: Vec<_> = stats
        .routes
        .iter()
        .map(|(name, route)| Route {
            method: name.method.to_string(),
            route: name.route.to_string(),
            database: name.database.to_string(),
            requests: route.requests,
            errors: route.errors,
            p50_ns: route.latency.quantile(0.50),
            p95_ns: route.latency.quantile(0.95),
            p99_ns: route.latency.quantile(0.99),
        })
        .collect();
    routes.sort_by(|a, b| {
        b.requests
            .cmp(&a.requests)
            .then_with(|| a.route.cmp(&b.route))
            .then_with(|| (&a.method, &a.database).cmp(&(&b.method, &b.database)))
    });
    routes
}

/// What `GET /api/v1/edges/{id}/series` gives.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    step_seconds: u64,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    time: UnixNanos,
    requests: u64,
    errors: u64,
    p50_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
}

const SECOND_NS: u64 = 1_000_000_000;
/// The most points, unless one for each step that is kept is more.
const POINTS: u64 = 120;

impl Series {
    /// One point for each step of the period that there are figures for, also where nothing
    /// happened.
    pub(crate) fn of(store: &Store, id: EdgeId, period: Period) -> Option<Series> {
        store.edge(id)?;
        let since_ns = store.since_ns().unwrap_or(period.to_ns);
        let period = Period { from_ns: period.from_ns.max(since_ns), ..period };
        let step_ns = step_ns(store, period);
        let mut points: BTreeMap<u64, (u64, u64, Histogram)> = BTreeMap::new();
        let covered_to_ns = period.to_ns.min(store.until_ns());
        let mut time_ns = period.from_ns - period.from_ns % step_ns;
        while time_ns < covered_to_ns {
            points.insert(time_ns, Default::default());
            time_ns += step_ns;
        }
        for step in store.steps(period) {
            let Some(figures) = step.edge(id) else { continue };
            let place = step.start_ns - step.start_ns % step_ns;
            let (requests, errors, latency) = points.entry(place).or_default();
            *requests += figures.requests;
            *errors += figures.errors;
            figures.add_latency_to(latency);
        }
        let points = points.into_iter().map(|(time_ns, (requests, errors, latency))| Point {
            time: UnixNanos(time_ns),
            requests,
            errors,
            p50_ns: latency.quantile(0.50),
            p95_ns: latency.quantile(0.95),
            p99_ns: latency.quantile(0.99),
        });
        Some(Series { step_seconds: step_ns / SECOND_NS, points: points.collect() })
    }
}

/// As fine as figures are kept, but no finer than the eye needs.
fn step_ns(store: &Store, period: Period) -> u64 {
    let length_ns = period.to_ns.min(store.until_ns()).saturating_sub(period.from_ns);
    let longest_ns = store.longest_step_ns(period);
    let fits = |step_ns: &u64| length_ns / step_ns <= POINTS;
    [SECOND_NS, 10 * SECOND_NS, 60 * SECOND_NS]
        .into_iter()
        .filter(|step_ns| *step_ns >= longest_ns)
        .find(fits)
        .unwrap_or(60 * SECOND_NS)
}
