//! From parts to data points.

use alaz_flow::{
    ConnectionStats, EdgeStats, Histogram, NodeFacts, Overflow, Part, RouteName, RouteStats, Sight,
    StatusMix,
};
use alaz_model::UnixNanos;
use hashbrown::{HashMap, HashSet};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};

use crate::attributes::{Attributes, scope, write_agent};
use crate::names::{CLIENT, End, SERVER, attribute, metric};
use crate::{Agent, Report};

/// Edges in one message: with the most routes and the widest histograms about 3 MiB.
const MOST_PARTS: usize = 32;

/// A report, in messages of bounded size, each with the exchanges and connections that it counts.
/// There is always one, which says that the agent is there.
#[must_use]
pub fn encode_metrics(agent: &Agent, report: &Report) -> Vec<(ExportMetricsServiceRequest, u64)> {
    let none: &[Part] = &[];
    let chunks = match report.parts.is_empty() {
        true => vec![none],
        false => report.parts.chunks(MOST_PARTS).collect(),
    };
    let last = chunks.len() - 1;
    let message = |(place, parts): (usize, &[Part])| {
        let overflow = if place == last { report.overflow } else { Overflow::default() };
        let period = (report.start, report.end);
        let rows = parts.iter().map(Part::rows).sum::<u64>() + overflow.requests;
        (encode(agent, period, overflow, parts), rows)
    };
    chunks.into_iter().enumerate().map(message).collect()
}

fn encode(
    agent: &Agent,
    (start, end): (UnixNanos, UnixNanos),
    overflow: Overflow,
    parts: &[Part],
) -> ExportMetricsServiceRequest {
    let mut points = Points::new(start, end);
    points.gauge(metric::UP, "1", Attributes::default(), 1);
    points.count(metric::OVERFLOW, "{exchange}", &Attributes::default(), overflow.requests);
    if overflow.edges > 0 {
        points.gauge(metric::OVERFLOW_EDGES, "{edge}", Attributes::default(), overflow.edges);
    }
    let mut nodes = HashSet::new();
    for part in parts {
        for node in [&part.client, &part.server] {
            if nodes.insert(&node.key) {
                write_node(&mut points, node);
            }
        }
        let edge = edge(part);
        write_exchanges(&mut points, &edge, &part.stats);
        write_connections(&mut points, &edge, &part.stats.connections);
    }
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(write_agent(agent)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: points.metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// What is known of a node, where anything is.
fn write_node(points: &mut Points, node: &NodeFacts) {
    if node.container.is_empty() && node.executable.is_empty() && node.pids.is_empty() {
        return;
    }
    let mut attributes = Attributes::default();
    attributes.text(attribute::KIND, node.key.kind.as_str());
    attributes.text(attribute::NAMESPACE, &node.key.namespace);
    attributes.text(attribute::NAME, &node.key.name);
    attributes.text(attribute::CONTAINER, &node.container);
    attributes.text(attribute::EXECUTABLE, &node.executable);
    let pids = node.pids.iter().map(|pid| Value::IntValue(i64::from(*pid)));
    attributes.list(attribute::PIDS, pids);
    points.gauge(metric::NODE, "1", attributes, 1);
}

fn edge(part: &Part) -> Attributes {
    let mut edge = Attributes::default();
    let mut end = |names: &End, node: &NodeFacts| {
        edge.text(names.kind, node.key.kind.as_str());
        edge.text(names.namespace, &node.key.namespace);
        edge.text(names.name, &node.key.name);
    };
    end(&CLIENT, &part.client);
    end(&SERVER, &part.server);
    edge.number(attribute::SERVER_PORT, part.port.into());
    let protocol = part.protocol.map_or(alaz_flow::EdgeKey::TCP, |protocol| protocol.as_str());
    edge.text(attribute::PROTOCOL, protocol);
    let seen_by = match part.sight {
        Sight::Both => "both",
        Sight::Client(_) => "client",
        Sight::Server(_) => "server",
    };
    edge.text(attribute::SEEN_BY, seen_by);
    if let Some(path) = part.sight.path() {
        edge.text(CLIENT.address, &path.client.to_string());
        edge.text(SERVER.address, &path.server.to_string());
    }
    edge
}

fn write_exchanges(points: &mut Points, edge: &Attributes, stats: &EdgeStats) {
    points.mix(metric::EXCHANGES, edge, attribute::STATUS, &stats.status);
    points.mix(metric::ERRORS, edge, attribute::ERROR_TYPE, &stats.errors_by_code);
    points.count(metric::REQUEST_BYTES, "By", edge, stats.request_bytes);
    points.count(metric::RESPONSE_BYTES, "By", edge, stats.response_bytes);
    points.durations(metric::DURATION, edge, &stats.latency);
    points.durations(metric::SERVER_DURATION, edge, &stats.server_latency);
    points.count(metric::OPERATIONS_OVERFLOW, "{exchange}", edge, stats.routes_overflow);
    for (name, route) in &stats.routes {
        write_route(points, edge.clone(), name, route);
    }
}

fn write_route(points: &mut Points, mut edge: Attributes, name: &RouteName, route: &RouteStats) {
    edge.text(attribute::METHOD, &name.method);
    edge.text(attribute::ROUTE, &name.route);
    edge.text(attribute::DATABASE, &name.database);
    points.count(metric::OPERATIONS, "{exchange}", &edge, route.requests);
    points.mix(metric::OPERATION_ERRORS, &edge, attribute::ERROR_TYPE, &route.errors_by_code);
    points.count(metric::OPERATION_MESSAGES, "{message}", &edge, route.messages);
    points.durations(metric::OPERATION_DURATION, &edge, &route.latency);
}

fn write_connections(points: &mut Points, edge: &Attributes, stats: &ConnectionStats) {
    const UNIT: &str = "{connection}";
    points.count(metric::CLOSED, UNIT, edge, stats.closed);
    points.count(metric::OPENED, UNIT, edge, stats.connects);
    for (reason, count) in stats.failures() {
        points.count_of(
            metric::FAILED,
            UNIT,
            edge,
            (attribute::ERROR_TYPE, reason.as_str()),
            count,
        );
    }
    for (by, count) in [("client", stats.client_resets), ("server", stats.server_resets)] {
        points.count_of(metric::RESETS, UNIT, edge, (attribute::RESET_BY, by), count);
    }
    points.count(metric::BROKEN, UNIT, edge, stats.broken);
    points.count(metric::RETRANSMITS, "{segment}", edge, stats.retransmits);
    points.count(metric::SENT_BYTES, "By", edge, stats.sent_bytes);
    points.count(metric::RECEIVED_BYTES, "By", edge, stats.received_bytes);
    points.durations(metric::HANDSHAKE, edge, &stats.handshake);
    points.durations(metric::ROUND_TRIP, edge, &stats.round_trip);
    if let Some(least_ns) = stats.least_round_trip_ns {
        points.gauge(metric::LEAST_ROUND_TRIP, "ns", edge.clone(), least_ns);
    }
}

/// Data points of one period, by metric. Zeroes are not told.
struct Points {
    start_ns: u64,
    end_ns: u64,
    metrics: Vec<Metric>,
    places: HashMap<&'static str, usize>,
}

impl Points {
    fn new(start: UnixNanos, end: UnixNanos) -> Points {
        let (metrics, places) = (Vec::new(), HashMap::new());
        Points { start_ns: start.0, end_ns: end.0, metrics, places }
    }

    fn mix(&mut self, name: &'static str, edge: &Attributes, key: &str, mix: &StatusMix) {
        for (status, count) in mix.iter() {
            self.count_of(name, "{exchange}", edge, (key, status), count);
        }
    }

    fn count_of(
        &mut self,
        name: &'static str,
        unit: &str,
        edge: &Attributes,
        (key, value): (&str, &str),
        count: u64,
    ) {
        if count > 0 {
            let mut attributes = edge.clone();
            attributes.text(key, value);
            self.count(name, unit, &attributes, count);
        }
    }

    fn count(&mut self, name: &'static str, unit: &str, attributes: &Attributes, count: u64) {
        if count == 0 {
            return;
        }
        let point = self.number(attributes.clone(), count);
        let sum = || {
            Data::Sum(Sum {
                data_points: Vec::new(),
                aggregation_temporality: AggregationTemporality::Delta.into(),
                is_monotonic: true,
            })
        };
        if let Some(Data::Sum(sum)) = self.data(name, unit, sum) {
            sum.data_points.push(point);
        }
    }

    fn gauge(&mut self, name: &'static str, unit: &str, attributes: Attributes, value: u64) {
        let point = self.number(attributes, value);
        let gauge = || Data::Gauge(Gauge::default());
        if let Some(Data::Gauge(gauge)) = self.data(name, unit, gauge) {
            gauge.data_points.push(point);
        }
    }

    fn number(&self, attributes: Attributes, value: u64) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes.0,
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.end_ns,
            value: Some(Number::AsInt(i64::try_from(value).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        }
    }

    fn durations(&mut self, name: &'static str, attributes: &Attributes, values: &Histogram) {
        if values.count() == 0 {
            return;
        }
        let parts = values.parts();
        let point = ExponentialHistogramDataPoint {
            attributes: attributes.0.clone(),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.end_ns,
            count: values.count(),
            // Exact up to 2^53 ns: the durations of one period do not add up to more.
            sum: Some(parts.sum as f64),
            scale: parts.scale,
            zero_count: parts.zero_count,
            positive: Some(Buckets { offset: parts.offset, bucket_counts: parts.buckets.to_vec() }),
            min: Some(parts.min as f64),
            max: Some(parts.max as f64),
            ..ExponentialHistogramDataPoint::default()
        };
        let histogram = || {
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: Vec::new(),
                aggregation_temporality: AggregationTemporality::Delta.into(),
            })
        };
        if let Some(Data::ExponentialHistogram(histogram)) = self.data(name, "ns", histogram) {
            histogram.data_points.push(point);
        }
    }

    fn data(
        &mut self,
        name: &'static str,
        unit: &str,
        data: impl FnOnce() -> Data,
    ) -> Option<&mut Data> {
        let place = *self.places.entry(name).or_insert_with(|| {
            self.metrics.push(Metric {
                name: name.to_owned(),
                unit: unit.to_owned(),
                data: Some(data()),
                ..Metric::default()
            });
            self.metrics.len() - 1
        });
        self.metrics.get_mut(place)?.data.as_mut()
    }
}
