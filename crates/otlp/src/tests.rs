use alaz_flow::{
    EdgeStats, Histogram, Limits, NodeFacts, NodeKey, Recorder, RouteName, RouteStats,
};
use alaz_flow::{Path, Sight};
use alaz_model::{
    ConnectFailure, Container, Endpoint, EndpointKind, Message, ObservedBy, Outcome, Process,
    Protocol, Resource,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn agent() -> Agent {
    Agent {
        host: "node-1".to_owned(),
        instance: "00c0ffee00c0ffee".to_owned(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
    }
}

fn node(kind: EndpointKind, namespace: &str, name: &str, pids: Vec<u32>) -> NodeFacts {
    let key = NodeKey { kind, namespace: namespace.into(), name: name.into() };
    let executable = if pids.is_empty() { "" } else { "/usr/bin/it" };
    NodeFacts {
        key: Arc::new(key),
        container: Default::default(),
        executable: executable.into(),
        pids,
    }
}

fn durations(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::new();
    values.iter().for_each(|value| histogram.record(*value));
    histogram
}

fn stats(values: &[u64], codes: &[String]) -> EdgeStats {
    let mut stats = EdgeStats { request_bytes: 3, response_bytes: 7, ..EdgeStats::default() };
    for code in codes {
        stats.requests += 1;
        stats.errors += 1;
        stats.status.add(code, 1);
        stats.errors_by_code.add(code, 1);
    }
    stats.requests += 1;
    stats.status.add("200", 1);
    stats.latency = durations(values);
    stats.server_latency = durations(&values.iter().map(|value| value / 2).collect::<Vec<_>>());
    let name = |route: &str| {
        Arc::new(RouteName { method: "GET".into(), route: route.into(), database: "d".into() })
    };
    for route in ["/a", "/b/{id}"] {
        let figures = RouteStats {
            requests: 5,
            errors: 2,
            errors_by_code: stats.errors_by_code.clone(),
            messages: 9,
            latency: durations(values),
        };
        // Errors are told by their codes.
        let errors = figures.errors_by_code.iter().map(|(_, count)| count).sum();
        stats.routes.push((name(route), RouteStats { errors, ..figures }));
    }
    stats.routes_overflow = 4;
    stats
}

fn connections(values: &[u64]) -> EdgeStats {
    let mut stats = EdgeStats::default();
    let connections = &mut stats.connections;
    connections.closed = 6;
    connections.connects = 5;
    connections.failures = [1, 2, 3, 4, 5];
    connections.client_resets = 1;
    connections.server_resets = 2;
    connections.broken = 3;
    connections.retransmits = 8;
    connections.sent_bytes = 1 << 43;
    connections.received_bytes = 11;
    connections.handshake = durations(values);
    connections.round_trip = durations(values);
    connections.least_round_trip_ns = Some(17);
    stats
}

fn report(values: &[u64], codes: &[String], edges: usize) -> Report {
    let path = Path { client: "10.0.0.5".parse().unwrap(), server: "fd00::9".parse().unwrap() };
    let mut parts = Vec::new();
    for place in 0..edges {
        let name = format!("server {place}");
        let sight = [Sight::Both, Sight::Client(path), Sight::Server(path)][place % 3];
        let part = Part {
            client: node(EndpointKind::Pod, "shop", "web", vec![4, 2]),
            server: node(EndpointKind::Outbound, "", &name, Vec::new()),
            port: 80,
            protocol: Some(Protocol::Http),
            sight,
            stats: stats(values, codes),
        };
        let stats = connections(values);
        parts.push(Part { protocol: None, stats, ..part.clone() });
        parts.push(part);
    }
    let overflow = Overflow { edges: 2, requests: 31 };
    Report { start: UnixNanos(1_000_000_000), end: UnixNanos(2_000_000_000), parts, overflow }
}

/// In an order that does not matter, since there is none on the wire.
fn sorted(mut report: Report) -> Report {
    for part in &mut report.parts {
        part.stats.routes.sort_by(|(a, _), (b, _)| a.cmp(b));
        for mix in [&mut part.stats.status, &mut part.stats.errors_by_code] {
            sort(mix);
        }
        part.stats.routes.iter_mut().for_each(|(_, route)| sort(&mut route.errors_by_code));
    }
    let key = |part: &Part| (part.server.key.name.clone(), part.protocol, part.sight);
    report.parts.sort_by_key(key);
    report
}

fn sort(mix: &mut alaz_flow::StatusMix) {
    let mut counts: Vec<_> = mix.iter().map(|(code, count)| (code.to_owned(), count)).collect();
    counts.sort();
    *mix = Default::default();
    counts.iter().for_each(|(code, count)| mix.add(code, *count));
}

/// All messages of a report, over the wire and back, as one again.
fn carried(report: &Report) -> Report {
    let mut all = Report { parts: Vec::new(), overflow: Overflow::default(), ..*report };
    let mut rows = 0;
    for (message, counted) in encode_metrics(&agent(), report) {
        let bytes = message.encode_to_vec();
        assert!(bytes.len() < 4 << 20, "{} bytes", bytes.len());
        let message = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
        let (from, part) = decode_metrics(&message).unwrap();
        assert_eq!((from, part.start, part.end), (agent(), report.start, report.end));
        assert_eq!(part.rows(), counted);
        rows += counted;
        all.parts.extend(part.parts);
        all.overflow.requests += part.overflow.requests;
        all.overflow.edges += part.overflow.edges;
    }
    assert_eq!(rows, report.rows());
    all
}

#[test]
fn a_report_without_edges_says_that_the_agent_is_there() {
    let report = Report { overflow: Overflow::default(), ..report(&[], &[], 0) };
    assert_eq!(encode_metrics(&agent(), &report).len(), 1);
    assert_eq!(carried(&report), report);
}

#[test]
fn large_reports_are_told_in_bounded_messages() {
    let codes: Vec<_> = (0..40).map(|code| code.to_string()).collect();
    let mut large = report(&[1, 1 << 20, 1 << 40, u64::MAX >> 12], &codes, 60);
    for part in large.parts.iter_mut().filter(|part| part.protocol.is_some()) {
        let (_, route) = part.stats.routes[0].clone();
        part.stats.routes = (0..256)
            .map(|number| {
                let route_name = format!("/route/{number}").into();
                let (method, database) = ("GET".into(), "d".into());
                let name = RouteName { method, route: route_name, database };
                let quiet =
                    RouteStats { errors: 0, errors_by_code: Default::default(), ..route.clone() };
                (Arc::new(name), quiet)
            })
            .collect();
    }
    let messages = encode_metrics(&agent(), &large);
    let largest = messages.iter().map(|(message, _)| message.encoded_len()).max().unwrap();
    assert!(messages.len() > 2 && largest < 16 << 20, "{} of {largest}", messages.len());
}

fn exchange(observed_by: ObservedBy) -> Exchange {
    let process = |name: &str, container: Option<&str>, kind| {
        Some(Arc::new(Process {
            pid: 7,
            name: name.into(),
            workload: name.into(),
            kind,
            container: container.map(|id| Container { id: id.into(), ..Container::default() }),
            ..Process::default()
        }))
    };
    let mut client = Endpoint::at("10.0.0.5:51514".parse().unwrap());
    client.pid = 7;
    client.process = process("curl", None, EndpointKind::Process);
    let mut server = Endpoint::at("[fd00::9]:80".parse().unwrap());
    server.pid = 7;
    server.process = process("nginx", Some("c0de"), EndpointKind::Container);
    server.resource = Some(Arc::new(Resource {
        kind: EndpointKind::Pod,
        namespace: "shop".into(),
        name: "web-1".into(),
        workload: "web".into(),
        ..Resource::default()
    }));
    Exchange {
        time: UnixNanos(1_795_464_000_000_000_001),
        tls: true,
        client,
        server,
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: "/users/42?id=?".into(),
            route: "/users/{id}".into(),
            status: "503".into(),
            error: true,
            outcome: Outcome::Complete,
            request_bytes: 78,
            response_bytes: 612,
            attributes: [("http.request.method", "GET".into()), ("server.address", "x".into())]
                .into_iter()
                .collect(),
        },
        latency_ns: Some(812_345),
        ttfb_ns: None,
        server_latency_ns: Some(5),
        observed_by,
    }
}

#[test]
fn exchanges_come_back_as_they_were() {
    let mut outside = exchange(ObservedBy::Client);
    outside.server = Endpoint::at("192.0.2.1:443".parse().unwrap());
    let mut service = exchange(ObservedBy::Server);
    let resource = Resource {
        kind: EndpointKind::Service,
        namespace: "shop".into(),
        name: "web".into(),
        workload: "web".into(),
        ..Resource::default()
    };
    service.server = Endpoint::at("10.96.0.1:80".parse().unwrap());
    service.server.resource = Some(Arc::new(resource));
    let told: Vec<_> =
        [exchange(ObservedBy::Both), outside, service].into_iter().map(Arc::new).collect();
    let messages = encode_spans(&agent(), &told, 3);
    let [message] = messages.as_slice() else { panic!("{}", messages.len()) };
    let bytes = message.encode_to_vec();
    let message = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    let (from, read) = decode_spans(&message).unwrap();
    assert_eq!(from, agent());
    let json = |exchange: &Exchange| serde_json::to_value(exchange).unwrap();
    assert_eq!(
        read.iter().map(json).collect::<Vec<_>>(),
        told.iter().map(|exchange| json(exchange)).collect::<Vec<_>>()
    );
    let spans = &message.resource_spans[0].scope_spans[0].spans;
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!((ids.len(), spans[0].trace_id.len()), (3, 16));
}

#[test]
fn a_slice_gives_its_parts_and_each_sample_once() {
    let mut recorder = Recorder::telling_sights(Limits::default());
    for observed_by in [ObservedBy::Client, ObservedBy::Server, ObservedBy::Both] {
        recorder.record(&exchange(observed_by));
        recorder.record(&exchange(observed_by));
    }
    let (start, end) = (UnixNanos(1), UnixNanos(2));
    recorder.cut(end, |slice| {
        let report = Report::of(slice, start, end);
        assert_eq!((report.parts.len(), report.rows()), (3, 6));
        assert_eq!(samples(slice).len(), 6);
        assert_eq!(sorted(carried(&report)), sorted(report));
    });
    // One that does not tell sights has none to give.
    let mut recorder = Recorder::new(Limits::default());
    recorder.record(&exchange(ObservedBy::Client));
    recorder.cut(end, |slice| assert!(slice.parts().is_empty()));
}

#[test]
fn what_is_no_report_is_refused() {
    let message = || encode_metrics(&agent(), &report(&[5], &[], 1)).remove(0).0;
    let of = |change: fn(&mut ExportMetricsServiceRequest)| {
        let mut message = message();
        change(&mut message);
        decode_metrics(&message).map_err(|error| error.to_string())
    };
    assert!(of(|_| ()).is_ok());
    let errors = [
        of(|message| message.resource_metrics.clear()),
        of(|message| message.resource_metrics[0].resource = None),
        of(|message| message.resource_metrics[0].scope_metrics.clear()),
        of(|message| {
            let metrics = &mut message.resource_metrics[0].scope_metrics[0].metrics;
            metrics.retain(|metric| metric.name != names::metric::EXCHANGES);
            metrics.retain(|metric| !metric.name.starts_with("alaz.exchange"));
            metrics.retain(|metric| metric.name != names::metric::OPERATIONS_OVERFLOW);
        }),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(error.contains("not what an Alaz agent tells"), "{error}");
    }
    assert!(decode_metrics(&ExportMetricsServiceRequest::default()).is_err());
    assert!(decode_spans(&ExportTraceServiceRequest::default()).is_err());
}

proptest! {
    #[test]
    fn reports_come_back_exactly(
        values in proptest::collection::vec(
            prop_oneof![Just(0), 1_u64..1000, 50_000_u64..5_000_000_000, 0..u64::MAX >> 20],
            0..50,
        ),
        codes in proptest::collection::vec("[a-z0-9]{1,4}", 0..40),
        edges in 0_usize..5,
    ) {
        let told = report(&values, &codes, edges);
        prop_assert_eq!(sorted(carried(&told)), sorted(told));
    }

    #[test]
    fn damage_does_no_harm(at in 0_usize..4000, bits in any::<u8>(), cut in any::<bool>()) {
        let told = report(&[1, 2, 3], &["500".to_owned()], 2);
        let mut bytes = encode_metrics(&agent(), &told).remove(0).0.encode_to_vec();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(message) = ExportMetricsServiceRequest::decode(&*bytes) {
            let _ = decode_metrics(&message);
        }
        let told = [Arc::new(exchange(ObservedBy::Both))];
        let mut bytes = encode_spans(&agent(), &told, 1).remove(0).encode_to_vec();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        if let Ok(message) = ExportTraceServiceRequest::decode(&*bytes) {
            let _ = decode_spans(&message);
        }
    }
}

#[test]
fn every_reason_has_its_place() {
    for (place, reason) in ConnectFailure::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place);
    }
}
