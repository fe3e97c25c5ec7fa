//! What is asked for, over all edges: the statements that take most time, the topics and queues.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use alaz_flow::{Histogram, RouteName, RouteStats};
use alaz_model::Protocol;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use hashbrown::HashMap;
use serde::Serialize;

use super::edge::{NodeRef, by_name};
use super::{ApiError, Parameters, Shared, now_ns};
use crate::store::{Edge, EdgeId, NodeId, Period, Store};

/// How many are given, and how many may be asked for.
const LIMIT: usize = 100;
const MOST: usize = 1000;
/// The most that are told apart in one answer; exchanges of further ones are overflow.
const TOLD_APART: usize = 16_384;

/// What `GET /api/v1/operations` gives.
#[derive(Debug, Serialize)]
pub(super) struct Operations {
    /// So many there are; those beyond the limit are not given.
    total: usize,
    /// Exchanges whose operation did not fit the limits of what is told apart.
    overflow: u64,
    operations: Vec<Operation>,
}

/// One kind of request: of one caller, or of all callers of a server.
#[derive(Debug, Serialize)]
struct Operation {
    /// Null where several edges are taken together.
    edge: Option<String>,
    /// Null where several callers are taken together.
    from: Option<NodeRef>,
    callers: usize,
    to: NodeRef,
    port: u16,
    protocol: &'static str,
    /// `produce` or `consume` where messages are handed to a broker or taken from it; else empty.
    action: &'static str,
    method: String,
    route: String,
    database: String,
    requests: u64,
    errors: u64,
    errors_by_code: BTreeMap<String, u64>,
    messages: u64,
    p50_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
    /// All latencies together.
    total_ns: u64,
}

/// Which of them, and in which order.
#[derive(Debug)]
struct Wanted {
    protocols: Vec<Protocol>,
    words: Vec<String>,
    /// Only what moves messages.
    moves_messages: bool,
    by_server: bool,
    order: Order,
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    TotalTime,
    P99,
    Max,
    Requests,
    Errors,
}

impl Order {
    fn parse(text: &str) -> Option<Order> {
        Some(match text {
            "total" => Order::TotalTime,
            "p99" => Order::P99,
            "max" => Order::Max,
            "requests" => Order::Requests,
            "errors" => Order::Errors,
            _ => return None,
        })
    }

    fn of(self, stats: &RouteStats) -> u128 {
        match self {
            Order::TotalTime => stats.latency.sum(),
            Order::P99 => stats.latency.quantile(0.99).unwrap_or(0).into(),
            Order::Max => stats.latency.max().unwrap_or(0).into(),
            Order::Requests => stats.requests.into(),
            Order::Errors => stats.errors.into(),
        }
    }
}

pub(super) async fn operations(
    State(live): Shared,
    uri: Uri,
) -> Result<Json<Operations>, ApiError> {
    let known = ["from", "to", "protocol", "text", "messages", "by", "sort", "limit"];
    let parameters = Parameters::of(&uri, &known)?;
    let period = parameters.period(now_ns())?;
    let by_server = parameters.parsed("by", "caller or server", |text| match text {
        "caller" => Some(false),
        "server" => Some(true),
        _ => None,
    })?;
    let order =
        parameters.parsed("sort", "one of total, p99, max, requests, errors", Order::parse)?;
    let wanted = Wanted {
        protocols: parameters.protocols()?,
        words: parameters.words().map(str::to_lowercase).collect(),
        moves_messages: parameters.flag("messages")?,
        by_server: by_server.unwrap_or(false),
        order: order.unwrap_or(Order::TotalTime),
        limit: parameters.count("limit", MOST)?.unwrap_or(LIMIT),
    };
    Ok(Json(Operations::of(&live.store(), period, &wanted)))
}

/// Edges whose figures are taken together: one, or all that lead to one port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    from: Option<NodeId>,
    to: NodeId,
    port: u16,
    protocol: Protocol,
}

/// Figures of one operation, and one of the edges that have it.
struct Sum<'a> {
    edge: EdgeId,
    place: Place,
    name: &'a RouteName,
    stats: RouteStats,
    /// Callers, each once.
    callers: Vec<NodeId>,
}

impl Operations {
    fn of(store: &Store, period: Period, wanted: &Wanted) -> Operations {
        let mut sums: HashMap<(Place, &RouteName), Sum<'_>> = HashMap::new();
        let mut overflow = 0;
        for step in store.steps(period) {
            for (id, figures) in step.edges() {
                let Some(edge) = store.edge(id) else { continue };
                let Some(place) = Place::of(edge, wanted) else { continue };
                overflow += figures.routes_overflow();
                for route in figures.routes() {
                    let name = &*route.name;
                    let key = (place, name);
                    if sums.len() >= TOLD_APART && !sums.contains_key(&key) {
                        overflow += route.requests;
                        continue;
                    }
                    let sum = sums.entry(key).or_insert_with(|| Sum {
                        edge: id,
                        place,
                        name,
                        stats: RouteStats::default(),
                        callers: Vec::new(),
                    });
                    route.add_to(&mut sum.stats);
                    if !sum.callers.contains(&edge.from) {
                        sum.callers.push(edge.from);
                    }
                }
            }
        }
        let mut found: Vec<_> = sums.into_values().filter(|sum| sum.is(store, wanted)).collect();
        found.sort_by_cached_key(|sum| {
            let key = (Reverse(wanted.order.of(&sum.stats)), Reverse(sum.stats.requests));
            (key, sum.name, sum.edge)
        });
        let total = found.len();
        let shown = found.into_iter().take(wanted.limit);
        let operations = shown.filter_map(|sum| Operation::of(store, sum)).collect();
        Operations { total, overflow, operations }
    }
}

impl Place {
    /// Where an edge's figures belong; `None` where nobody wants them.
    fn of(edge: &Edge, wanted: &Wanted) -> Option<Place> {
        let protocol = edge.key.protocol?;
        let is_wanted = wanted.protocols.is_empty() || wanted.protocols.contains(&protocol);
        is_wanted.then_some(Place {
            from: (!wanted.by_server).then_some(edge.from),
            to: edge.to,
            port: edge.key.port,
            protocol,
        })
    }
}

impl Sum<'_> {
    /// Each word must be found in the names of both ends, the protocol, or what is asked for.
    fn is(&self, store: &Store, wanted: &Wanted) -> bool {
        if wanted.moves_messages && action(self.place.protocol, &self.name.method).is_empty() {
            return false;
        }
        if wanted.words.is_empty() {
            return true;
        }
        let name = |id: &NodeId| store.node(*id).map(|node| node.facts.key.name.to_lowercase());
        let mut text = format!("{} {}", self.place.protocol.as_str(), self.name.database);
        for end in self.callers.iter().chain([&self.place.to]).filter_map(name) {
            text.push(' ');
            text.push_str(&end);
        }
        let asked = format!(" {} {}", self.name.method, self.name.route);
        text.push_str(&asked.to_lowercase());
        let port = format!(":{}", self.place.port);
        wanted.words.iter().all(|word| *word == port || text.contains(word))
    }
}

impl Operation {
    fn of(store: &Store, sum: Sum<'_>) -> Option<Operation> {
        let Sum { place, name, stats, .. } = sum;
        let latency: &Histogram = &stats.latency;
        Some(Operation {
            edge: place.from.map(|_| sum.edge.to_string()),
            from: place.from.and_then(|from| NodeRef::of(store, from)),
            callers: sum.callers.len(),
            to: NodeRef::of(store, place.to)?,
            port: place.port,
            protocol: place.protocol.as_str(),
            action: action(place.protocol, &name.method),
            method: name.method.to_string(),
            route: name.route.to_string(),
            database: name.database.to_string(),
            requests: stats.requests,
            errors: stats.errors,
            errors_by_code: by_name(&stats.errors_by_code),
            messages: stats.messages,
            p50_ns: latency.quantile(0.50),
            p95_ns: latency.quantile(0.95),
            p99_ns: latency.quantile(0.99),
            max_ns: latency.max(),
            total_ns: u64::try_from(latency.sum()).unwrap_or(u64::MAX),
        })
    }
}

/// What an operation does with messages of a broker.
fn action(protocol: Protocol, method: &str) -> &'static str {
    match (protocol, method) {
        (Protocol::Kafka, "Produce") | (Protocol::Amqp, "basic.publish") => "produce",
        (Protocol::Kafka, "Fetch" | "ShareFetch") => "consume",
        (Protocol::Amqp, "basic.deliver" | "basic.get") => "consume",
        _ => "",
    }
}
