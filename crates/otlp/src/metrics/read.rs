//! From data points to parts.

use std::sync::Arc;

use alaz_flow::{
    EdgeKey, EdgeStats, Histogram, HistogramParts, MAX_BUCKETS, NodeFacts, NodeKey, Overflow, Part,
    Path, RouteName, RouteStats, Sight,
};
use alaz_model::{ConnectFailure, Protocol, UnixNanos};
use hashbrown::HashMap;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, Metric, NumberDataPoint,
};

use crate::attributes::{Given, read_agent};
use crate::names::{CLIENT, End, SERVER, attribute, metric};
use crate::{Agent, DecodeError, Report, bounded};

/// The longest period of a report, ns.
const MOST_PERIOD_NS: u64 = 3600 * 1_000_000_000;
/// The most that durations of one period add up to, ns: a double is exact to there, and beyond.
const MOST_SUM_NS: u64 = 1 << 58;
/// Routes of one edge in one message.
const MOST_ROUTES: usize = 4096;

/// What [`encode_metrics`](super::encode_metrics) wrote. Metrics of other names are passed over.
///
/// # Errors
/// When it is something else.
pub fn decode_metrics(
    message: &ExportMetricsServiceRequest,
) -> Result<(Agent, Report), DecodeError> {
    let [of_agent] = message.resource_metrics.as_slice() else {
        return Err(DecodeError("there is not one resource".to_owned()));
    };
    let agent = read_agent(of_agent.resource.as_ref())?;
    let metrics = || of_agent.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let up = metrics().find(|metric| metric.name == metric::UP).map(numbers);
    let Some(Some(up)) = up.map(<[_]>::first) else {
        return Err(DecodeError(format!("{} is missing", metric::UP)));
    };
    let (start_ns, end_ns) = (up.start_time_unix_nano, up.time_unix_nano);
    if start_ns > end_ns || end_ns - start_ns > MOST_PERIOD_NS || end_ns > u64::MAX / 2 {
        return Err(DecodeError(format!("the period {start_ns} to {end_ns} is none")));
    }
    let mut reading = Reading::default();
    for metric in metrics() {
        reading.metric(metric)?;
    }
    let parts = reading.parts()?;
    let (start, end) = (UnixNanos(start_ns), UnixNanos(end_ns));
    Ok((agent, Report { start, end, parts, overflow: reading.overflow }))
}

fn numbers(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(Data::Sum(sum)) => &sum.data_points,
        _ => &[],
    }
}

fn durations(metric: &Metric) -> &[ExponentialHistogramDataPoint] {
    match &metric.data {
        Some(Data::ExponentialHistogram(histogram)) => &histogram.data_points,
        _ => &[],
    }
}

/// Which edge: an [`EdgeKey`] without the facts of its nodes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Edge {
    client: NodeKey,
    server: NodeKey,
    port: u16,
    protocol: Option<Protocol>,
    sight: Sight,
}

#[derive(Default)]
struct Reading {
    edges: HashMap<Edge, EdgeStats>,
    routes: HashMap<(Edge, RouteName), RouteStats>,
    nodes: HashMap<NodeKey, NodeFacts>,
    overflow: Overflow,
}

impl Reading {
    fn metric(&mut self, metric: &Metric) -> Result<(), DecodeError> {
        for point in numbers(metric) {
            self.number(&metric.name, Given(&point.attributes), value(point)?)?;
        }
        for point in durations(metric) {
            let given = Given(&point.attributes);
            match metric.name.as_str() {
                metric::DURATION => add_durations(point, &mut self.edge(given)?.latency)?,
                metric::SERVER_DURATION => {
                    add_durations(point, &mut self.edge(given)?.server_latency)?;
                }
                metric::OPERATION_DURATION => {
                    add_durations(point, &mut self.route(given)?.latency)?;
                }
                metric::HANDSHAKE => {
                    add_durations(point, &mut self.edge(given)?.connections.handshake)?;
                }
                metric::ROUND_TRIP => {
                    add_durations(point, &mut self.edge(given)?.connections.round_trip)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn number(&mut self, name: &str, given: Given<'_>, count: u64) -> Result<(), DecodeError> {
        match name {
            metric::NODE => self.node(given)?,
            metric::OVERFLOW => self.overflow.requests += count,
            metric::OVERFLOW_EDGES => self.overflow.edges = self.overflow.edges.max(count),
            metric::EXCHANGES => {
                let status = given.text(attribute::STATUS)?;
                let edge = self.edge(given)?;
                edge.status.add(status, count);
                edge.requests += count;
            }
            metric::ERRORS => {
                let code = given.text(attribute::ERROR_TYPE)?;
                let edge = self.edge(given)?;
                edge.errors_by_code.add(code, count);
                edge.errors += count;
            }
            metric::REQUEST_BYTES => self.edge(given)?.request_bytes += count,
            metric::RESPONSE_BYTES => self.edge(given)?.response_bytes += count,
            metric::OPERATIONS_OVERFLOW => self.edge(given)?.routes_overflow += count,
            metric::OPERATIONS => self.route(given)?.requests += count,
            metric::OPERATION_MESSAGES => self.route(given)?.messages += count,
            metric::OPERATION_ERRORS => {
                let code = given.text(attribute::ERROR_TYPE)?;
                let route = self.route(given)?;
                route.errors_by_code.add(code, count);
                route.errors += count;
            }
            _ => self.connections(name, given, count)?,
        }
        Ok(())
    }

    fn connections(&mut self, name: &str, given: Given<'_>, count: u64) -> Result<(), DecodeError> {
        match name {
            metric::CLOSED => self.edge(given)?.connections.closed += count,
            metric::OPENED => self.edge(given)?.connections.connects += count,
            metric::FAILED => {
                let reason = given.text(attribute::ERROR_TYPE)?;
                let failures = &mut self.edge(given)?.connections.failures;
                let known = ConnectFailure::ALL.iter().position(|it| it.as_str() == reason);
                let place = known.unwrap_or(ConnectFailure::Other as usize);
                if let Some(failed) = failures.get_mut(place) {
                    *failed += count;
                }
            }
            metric::RESETS => {
                let by = given.text(attribute::RESET_BY)?;
                let connections = &mut self.edge(given)?.connections;
                match by {
                    "client" => connections.client_resets += count,
                    _ => connections.server_resets += count,
                }
            }
            metric::BROKEN => self.edge(given)?.connections.broken += count,
            metric::RETRANSMITS => self.edge(given)?.connections.retransmits += count,
            metric::SENT_BYTES => self.edge(given)?.connections.sent_bytes += count,
            metric::RECEIVED_BYTES => self.edge(given)?.connections.received_bytes += count,
            metric::LEAST_ROUND_TRIP => {
                let known = &mut self.edge(given)?.connections.least_round_trip_ns;
                *known = Some(known.map_or(count, |known| known.min(count)));
            }
            _ => {}
        }
        Ok(())
    }

    fn node(&mut self, given: Given<'_>) -> Result<(), DecodeError> {
        let key = NodeKey {
            kind: given.kind(attribute::KIND)?,
            namespace: given.text(attribute::NAMESPACE)?.into(),
            name: given.text(attribute::NAME)?.into(),
        };
        let pids = given.list(attribute::PIDS).filter_map(|pid| match pid {
            Value::IntValue(pid) => u32::try_from(*pid).ok(),
            _ => None,
        });
        let facts = NodeFacts {
            key: Arc::new(key.clone()),
            container: given.text(attribute::CONTAINER)?.into(),
            executable: given.text(attribute::EXECUTABLE)?.into(),
            pids: pids.take(NodeFacts::PIDS).collect(),
        };
        self.nodes.insert(key, facts);
        Ok(())
    }

    fn edge(&mut self, given: Given<'_>) -> Result<&mut EdgeStats, DecodeError> {
        Ok(self.edges.entry(read_edge(given)?).or_default())
    }

    fn route(&mut self, given: Given<'_>) -> Result<&mut RouteStats, DecodeError> {
        let name = RouteName {
            method: given.text(attribute::METHOD)?.into(),
            route: given.text(attribute::ROUTE)?.into(),
            database: given.text(attribute::DATABASE)?.into(),
        };
        Ok(self.routes.entry((read_edge(given)?, name)).or_default())
    }

    fn parts(&mut self) -> Result<Vec<Part>, DecodeError> {
        for ((edge, name), route) in self.routes.drain() {
            let Some(stats) = self.edges.get_mut(&edge) else {
                return Err(DecodeError("an operation of an edge without exchanges".to_owned()));
            };
            if stats.routes.len() >= MOST_ROUTES {
                return Err(DecodeError("too many operations of one edge".to_owned()));
            }
            stats.routes.push((Arc::new(name), route));
        }
        let nodes = &self.nodes;
        let facts = |key: NodeKey| {
            nodes.get(&key).cloned().unwrap_or_else(|| NodeFacts {
                key: Arc::new(key),
                container: Default::default(),
                executable: Default::default(),
                pids: Vec::new(),
            })
        };
        let part = |(edge, stats): (Edge, EdgeStats)| Part {
            client: facts(edge.client),
            server: facts(edge.server),
            port: edge.port,
            protocol: edge.protocol,
            sight: edge.sight,
            stats,
        };
        Ok(self.edges.drain().map(part).collect())
    }
}

fn value(point: &NumberDataPoint) -> Result<u64, DecodeError> {
    match point.value {
        Some(Number::AsInt(number)) if number >= 0 => bounded(number as u64, "a count"),
        _ => Err(DecodeError("a count is no whole number".to_owned())),
    }
}

fn read_edge(given: Given<'_>) -> Result<Edge, DecodeError> {
    let end = |names: &End| {
        Ok(NodeKey {
            kind: given.kind(names.kind)?,
            namespace: given.text(names.namespace)?.into(),
            name: given.text(names.name)?.into(),
        })
    };
    let protocol = match given.text(attribute::PROTOCOL)? {
        EdgeKey::TCP => None,
        name => match Protocol::from_name(name) {
            Some(protocol) => Some(protocol),
            None => return Err(DecodeError(format!("the protocol '{name}' is not known here"))),
        },
    };
    let path = || {
        let unknown = |address: Option<_>| address.unwrap_or(Path::UNKNOWN);
        Ok(Path {
            client: unknown(given.address(CLIENT.address)?),
            server: unknown(given.address(SERVER.address)?),
        })
    };
    let sight = match given.text(attribute::SEEN_BY)? {
        "both" => Sight::Both,
        "client" => Sight::Client(path()?),
        "server" => Sight::Server(path()?),
        other => return Err(DecodeError(format!("seen by '{other}'"))),
    };
    let port = given.port(attribute::SERVER_PORT)?;
    Ok(Edge { client: end(&CLIENT)?, server: end(&SERVER)?, port, protocol, sight })
}

fn add_durations(
    point: &ExponentialHistogramDataPoint,
    to: &mut Histogram,
) -> Result<(), DecodeError> {
    let wrong = |what: &str| Err(DecodeError(format!("a histogram's {what} cannot be")));
    let Some(buckets) = &point.positive else { return wrong("buckets") };
    if !(1..=5).contains(&point.scale) || buckets.bucket_counts.len() > MAX_BUCKETS {
        return wrong("resolution");
    }
    // Bucket 2047 holds 2^64 at the finest scale.
    if !(-1..=2048).contains(&buckets.offset) {
        return wrong("offset");
    }
    for count in buckets.bucket_counts.iter().chain([&point.zero_count]) {
        bounded(*count, "a histogram's count")?;
    }
    let whole = |value: Option<f64>| match value {
        // As much as fits; not a number becomes 0.
        Some(value) => value as u64,
        None => 0,
    };
    let (sum, min, max) = (whole(point.sum), whole(point.min), whole(point.max));
    if min > max || sum > MOST_SUM_NS {
        return wrong("values");
    }
    to.merge_parts(&HistogramParts {
        scale: point.scale,
        offset: buckets.offset,
        buckets: &buckets.bucket_counts,
        zero_count: point.zero_count,
        sum: sum.into(),
        min,
        max,
    });
    Ok(())
}
