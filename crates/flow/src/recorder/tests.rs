use std::collections::BTreeMap;
use std::net::IpAddr;

use alaz_model::{ConnectFailure, ConnectionEnd, Container, EndpointKind, Process};
use proptest::prelude::*;

use super::*;
use crate::testing::{connection, endpoint, exchange, process};
use crate::{Histogram, NodeKey};

const SECOND_NS: u64 = 1_000_000_000;

/// What a cut gave: the figures by `client → server:port`.
#[derive(Debug, Default)]
struct Given {
    edges: BTreeMap<String, EdgeStats>,
    samples: BTreeMap<String, Vec<u64>>,
    nodes: Vec<NodeFacts>,
    overflow: Overflow,
    counters: Counters,
}

impl Given {
    fn requests(&self) -> u64 {
        self.edges.values().map(|stats| stats.requests).sum()
    }
}

fn cut(recorder: &mut Recorder, now_ns: u64) -> Given {
    let mut given = Given::default();
    recorder.cut(UnixNanos(now_ns), |slice| {
        for edge in slice.edges() {
            let key = edge.key;
            let name = format!("{} → {}:{}", key.client.name, key.server.name, key.port);
            let samples =
                edge.errors().iter().chain(edge.others()).map(|sample| sample.time.0).collect();
            assert!(given.samples.insert(name.clone(), samples).is_none(), "{name} twice");
            given.edges.insert(name, edge.stats.clone());
        }
        given.nodes = slice.nodes().cloned().collect();
        given.overflow = slice.overflow;
        given.counters = slice.counters;
    });
    given
}

fn between(client: &Arc<Process>, server: &Arc<Process>, port: u16) -> Exchange {
    Exchange { client: endpoint(client, 40_000), server: endpoint(server, port), ..exchange(0) }
}

fn called(address: impl Into<IpAddr>, time: u64) -> Exchange {
    let mut exchange = exchange(time);
    exchange.client = endpoint(&process("app", 1), 40_000);
    exchange.server.address.set_ip(address.into());
    exchange
}

#[test]
fn figures_are_those_of_the_period() {
    let mut recorder = Recorder::new(Limits::default());
    let (web, api) = (process("web", 1), process("api", 2));
    let mut good = between(&web, &api, 8080);
    good.server_latency_ns = Some(500_000);
    let mut failed = good.clone();
    failed.message.status = "503".into();
    failed.message.error = true;
    failed.message.route = "/other".into();
    failed.latency_ns = None;
    recorder.record(&good);
    recorder.record(&failed);
    recorder.record(&good);

    let given = cut(&mut recorder, SECOND_NS);
    let stats = &given.edges["web → api:8080"];
    assert_eq!((stats.requests, stats.errors), (3, 1));
    assert_eq!((stats.request_bytes, stats.response_bytes), (3 * 78, 3 * 612));
    assert_eq!(stats.status.iter().collect::<Vec<_>>(), [("200", 2), ("503", 1)]);
    assert_eq!((stats.latency.count(), stats.latency.max()), (2, Some(812_345)));
    assert_eq!((stats.server_latency.count(), stats.server_latency.max()), (3, Some(500_000)));
    let routes: Vec<_> = stats
        .routes
        .iter()
        .map(|(name, route)| (name.route.as_str(), route.requests, route.errors))
        .collect();
    assert_eq!(routes, [("/users/{id}", 2, 0), ("/other", 1, 1)]);
    assert_eq!(given.samples["web → api:8080"].len(), 3);
    let mut nodes: Vec<_> = given
        .nodes
        .iter()
        .map(|facts| (facts.key.name.as_str(), facts.executable.as_str(), facts.pids.as_slice()))
        .collect();
    nodes.sort_unstable();
    assert_eq!(
        nodes,
        [("api", "/usr/bin/api", [2].as_slice()), ("web", "/usr/bin/web", [1].as_slice())]
    );

    assert!(cut(&mut recorder, 2 * SECOND_NS).edges.is_empty());
    recorder.record(&good);
    let given = cut(&mut recorder, 3 * SECOND_NS);
    let mut alone = EdgeStats::default();
    alone.record(&good);
    let stats = &given.edges["web → api:8080"];
    assert_eq!(
        (stats.requests, &stats.latency, &stats.status.iter().count()),
        (1, &alone.latency, &1)
    );
    assert_eq!(stats.routes.iter().filter(|(_, route)| route.requests > 0).count(), 1);
}

#[test]
fn lives_of_one_workload_are_one_node() {
    let mut recorder = Recorder::new(Limits::default());
    let server = process("api", 7);
    for pid in 1..=40 {
        let mut client = Process::clone(&process("curl", pid));
        client.kind = EndpointKind::Container;
        client.container = Some(Container { id: format!("c{pid}").into(), ..Default::default() });
        recorder.record(&between(&Arc::new(client), &server, 80));
    }
    let given = cut(&mut recorder, SECOND_NS);
    assert_eq!(given.requests(), 40);
    let curl = given.nodes.iter().find(|facts| facts.key.name == "curl").unwrap();
    assert_eq!(curl.container, "c40");
    assert_eq!(curl.pids, (25..=40).collect::<Vec<u32>>());
}

#[test]
fn processes_of_ended_exchanges_are_let_go() {
    let mut recorder = Recorder::new(Limits::default());
    let client = process("curl", 1);
    recorder.record(&between(&client, &process("api", 2), 80));
    cut(&mut recorder, SECOND_NS);
    cut(&mut recorder, 2 * SECOND_NS);
    assert_eq!(Arc::strong_count(&client), 1);
}

#[test]
fn many_processes_pass_through_a_small_cache() {
    let mut recorder = Recorder::new(Limits::default());
    let server = process("api", 1);
    for pid in 2..10_002 {
        recorder.record(&between(&process("curl", pid), &server, 80));
    }
    let given = cut(&mut recorder, SECOND_NS);
    assert_eq!((given.requests(), given.edges.len()), (10_000, 1));
}

#[test]
fn beyond_the_limit_of_nodes_is_overflow() {
    let limits = Limits { nodes: 3, ..Limits::default() };
    let mut recorder = Recorder::new(limits);
    let server = process("api", 1);
    for turn in 0..2 {
        for pid in 2..7 {
            recorder.record(&between(&process(&format!("client {pid}"), pid), &server, 80));
        }
        let given = cut(&mut recorder, SECOND_NS * (turn + 1));
        assert_eq!((given.edges.len(), given.requests()), (2, 2));
        assert_eq!(given.overflow, Overflow { edges: 3, requests: 3 });
        assert_eq!(given.counters.nodes, 3 * (turn + 1));
    }
}

#[test]
fn beyond_the_limit_of_edges_is_overflow() {
    let mut recorder = Recorder::new(Limits { edges: 2, ..Limits::default() });
    let (client, server) = (process("web", 1), process("api", 2));
    for port in [1, 2, 3, 4, 4, 1] {
        recorder.record(&between(&client, &server, port));
    }
    let given = cut(&mut recorder, SECOND_NS);
    assert_eq!((given.edges.len(), given.requests()), (2, 3));
    assert_eq!(given.overflow, Overflow { edges: 2, requests: 3 });
    assert_eq!((given.counters.edges, given.counters.nodes), (3, 0));
    assert_eq!(cut(&mut recorder, 2 * SECOND_NS).overflow, Overflow::default());
}

#[test]
fn edges_that_do_not_fit_are_told_apart_up_to_a_limit() {
    let mut recorder = Recorder::new(Limits { edges: 0, ..Limits::default() });
    let (client, server) = (process("web", 1), process("api", 2));
    for port in 0..=u16::MAX {
        recorder.record(&between(&client, &server, port));
    }
    let overflow = cut(&mut recorder, SECOND_NS).overflow;
    assert_eq!(overflow, Overflow { edges: OVERFLOW_EDGES as u64, requests: 65_536 });
}

#[test]
fn beyond_the_limits_of_routes_counts_on_the_edge() {
    let limits = Limits { routes_per_edge: 3, routes: 5, ..Limits::default() };
    let mut recorder = Recorder::new(limits);
    let (client, server) = (process("web", 1), process("api", 2));
    for port in [1, 2] {
        for route in 0..10 {
            let mut exchange = between(&client, &server, port);
            exchange.message.route = format!("/{route}").into();
            recorder.record(&exchange);
            recorder.record(&exchange);
        }
    }
    let given = cut(&mut recorder, SECOND_NS);
    let facts: Vec<_> = given
        .edges
        .values()
        .map(|stats| (stats.requests, stats.routes.len(), stats.routes_overflow))
        .collect();
    assert_eq!(facts, [(20, 3, 14), (20, 2, 16)]);
    assert_eq!(given.counters.routes, 30);
}

#[test]
fn beyond_the_limit_outside_hosts_share_a_node() {
    let mut recorder = Recorder::new(Limits { outbound_hosts: 4, ..Limits::default() });
    let app = process("app", 1);
    // Callers first: they leave half of the places to what is called.
    for host in 0..6 {
        let mut exchange = exchange(0);
        exchange.client.address.set_ip([10, 1, 0, host].into());
        exchange.server = endpoint(&app, 80);
        recorder.record(&exchange);
    }
    for host in 0..6 {
        recorder.record(&called([10, 2, 0, host], 0));
    }
    let given = cut(&mut recorder, SECOND_NS);
    let names: Vec<_> = given.edges.iter().map(|(name, e)| (name.as_str(), e.requests)).collect();
    let other = NodeKey::OTHER_OUTBOUND;
    assert_eq!(
        names,
        [
            ("10.1.0.0 → app:80", 1),
            ("10.1.0.1 → app:80", 1),
            ("app → 10.2.0.0:80", 1),
            ("app → 10.2.0.1:80", 1),
            (&format!("app → {other}:80"), 4),
            (&format!("{other} → app:80"), 4),
        ]
    );
    assert_eq!(given.counters.outbound_hosts, 8);
    assert_eq!(given.overflow, Overflow::default());
}

#[test]
fn outside_hosts_take_no_more_places_than_there_are_nodes() {
    let mut recorder = Recorder::new(Limits { nodes: 2, ..Limits::default() });
    recorder.record(&called([10, 0, 0, 1], 0));
    recorder.record(&called([10, 0, 0, 2], 0));
    let given = cut(&mut recorder, SECOND_NS);
    assert_eq!((given.edges.len(), given.counters.nodes), (1, 1));
}

#[test]
fn what_is_unused_for_long_gives_up_its_place() {
    let limits = Limits { edges: 3, nodes: 6, keep_ns: 600 * SECOND_NS, ..Limits::default() };
    let mut recorder = Recorder::new(limits);
    let server = process("api", 1);
    let lasting = between(&process("lasting", 2), &server, 80);
    for minute in 0..60 {
        // Each one is new; together they are far beyond the limits.
        let passing = process(&format!("passing {minute}"), 3);
        if minute % 10 == 0 {
            recorder.record(&between(&passing, &server, 80));
        }
        recorder.record(&lasting);
        let given = cut(&mut recorder, minute * 60 * SECOND_NS);
        assert_eq!(given.edges["lasting → api:80"].requests, 1);
        assert_eq!(given.overflow.requests, 0, "minute {minute}");
        assert_eq!(given.requests(), if minute % 10 == 0 { 2 } else { 1 });
        assert!(recorder.edges.len() <= 3);
    }
}

#[test]
fn routes_give_up_their_places_within_minutes() {
    let mut recorder = Recorder::new(Limits { routes_per_edge: 2, ..Limits::default() });
    for minute in 0..30_u64 {
        let mut exchange = called([10, 0, 0, 1], 0);
        recorder.record(&exchange);
        exchange.message.route = format!("/of-minute/{}", minute / 3).into();
        recorder.record(&exchange);
        let stats = &cut(&mut recorder, minute * 60 * SECOND_NS).edges["app → 10.0.0.1:80"];
        let lasting = stats.routes.iter().find(|(name, _)| name.route == "/users/{id}").unwrap();
        assert_eq!(lasting.1.requests, 1);
        // The one before is forgotten in its second minute without requests.
        assert_eq!(stats.routes_overflow, u64::from(minute >= 3 && minute % 3 < 2), "{minute}");
    }
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    let mut recorder = Recorder::new(Limits::default());
    for now_ns in [10_000 * SECOND_NS, 1, u64::MAX, 0, 20_000 * SECOND_NS] {
        recorder.record(&called([10, 0, 0, 1], 0));
        assert_eq!(cut(&mut recorder, now_ns).requests(), 1);
    }
}

proptest! {
    /// However the stream is cut, the parts add up to the whole.
    #[test]
    fn periods_add_up(
        stream in proptest::collection::vec((0_u8..4, 0_u8..3, 0_u64..2_000_000, any::<bool>()), 0..200),
        every in 1_usize..50,
    ) {
        let mut recorder = Recorder::new(Limits::default());
        let names = ["a", "b", "c", "d"].map(|name| process(name, 1));
        let mut cuts = Vec::new();
        let mut expected: BTreeMap<String, (u64, u64, Histogram)> = BTreeMap::new();
        for (index, &(client, server, latency_ns, error)) in stream.iter().enumerate() {
            let (client, server) = (&names[usize::from(client)], &names[usize::from(server)]);
            let mut exchange = between(client, server, 80);
            exchange.latency_ns = Some(latency_ns);
            exchange.message.error = error;
            recorder.record(&exchange);
            let name = format!("{} → {}:80", client.name, server.name);
            let sum = expected.entry(name).or_default();
            sum.0 += 1;
            sum.1 += u64::from(error);
            sum.2.record(latency_ns);
            if index % every == 0 {
                cuts.push(cut(&mut recorder, index as u64 * 40 * SECOND_NS));
            }
        }
        cuts.push(cut(&mut recorder, u64::MAX));
        let mut sums: BTreeMap<String, (u64, u64, Histogram)> = BTreeMap::new();
        for (name, stats) in cuts.into_iter().flat_map(|given| given.edges) {
            let routes: u64 = stats.routes.iter().map(|(_, route)| route.requests).sum();
            prop_assert_eq!(routes, stats.requests);
            let sum = sums.entry(name).or_default();
            sum.0 += stats.requests;
            sum.1 += stats.errors;
            sum.2.merge(&stats.latency);
        }
        prop_assert_eq!(sums, expected);
    }
}

#[test]
fn connections_are_edges_of_their_own() {
    use ConnectFailure::{Abandoned, Refused};
    let mut recorder = Recorder::new(Limits::default());
    let (web, api) = (process("web", 1), process("api", 2));
    let of = |end| connection(endpoint(&web, 40_000), endpoint(&api, 80), end);
    recorder.record(&between(&web, &api, 80));
    let tls = alaz_model::TlsFacts::default();
    let older =
        ConnectionFacts { duration_ns: None, tls: Some(tls), ..of(ConnectionEnd::Finished) };
    recorder.record_connection(&older);
    for end in [
        ConnectionEnd::Finished,
        ConnectionEnd::ResetByClient,
        ConnectionEnd::ResetByServer,
        ConnectionEnd::TimedOut,
        ConnectionEnd::NotOpened(Refused),
        ConnectionEnd::NotOpened(Refused),
        ConnectionEnd::NotOpened(Abandoned),
    ] {
        recorder.record_connection(&of(end));
    }
    let mut edges = Vec::new();
    recorder.cut(UnixNanos(SECOND_NS), |slice| {
        edges.extend(slice.edges().map(|edge| (edge.key.protocol_name(), edge.stats.clone())));
    });
    let [("http", requests), ("tcp", connections)] = &edges[..] else { panic!("{edges:?}") };
    assert!(requests.connections.is_empty() && connections.requests == 0);
    let stats = &connections.connections;
    assert_eq!((stats.closed, stats.connects, stats.failures), (5, 4, [2, 0, 0, 1, 0]));
    assert_eq!((stats.client_resets, stats.server_resets, stats.broken), (1, 1, 1));
    assert_eq!((stats.retransmits, stats.sent_bytes, stats.received_bytes), (10, 500, 3500));
    assert_eq!((stats.handshake.count(), stats.round_trip.max()), (5, Some(30_000)));
    assert_eq!(stats.least_round_trip_ns, Some(20_000));
    // The next period starts with nothing, and merging adds all but the histograms.
    let mut merged = stats.clone();
    merged.merge_counts(stats);
    assert_eq!((merged.closed, merged.failures[0], merged.handshake.count()), (10, 4, 5));
    assert_eq!(merged.tls.map(|tls| tls.connections), Some(2));
    assert!(cut(&mut recorder, 2 * SECOND_NS).edges.is_empty());
}

#[test]
fn edges_of_connections_have_a_limit_of_their_own() {
    let mut recorder = Recorder::new(Limits { edges: 1, connection_edges: 2, ..Limits::default() });
    let (web, api) = (process("web", 1), process("api", 2));
    for port in [1, 2, 3, 3] {
        let (client, server) = (endpoint(&web, 40_000), endpoint(&api, port));
        recorder.record_connection(&connection(client, server, ConnectionEnd::Finished));
    }
    recorder.record(&between(&web, &api, 80));
    recorder.record(&between(&web, &api, 81));
    let given = cut(&mut recorder, SECOND_NS);
    assert_eq!((given.edges.len(), given.counters.connections, given.counters.edges), (3, 2, 1));
    assert_eq!(given.overflow, Overflow { edges: 1, requests: 1 });
    // Their places are found again after others were forgotten.
    cut(&mut recorder, SECOND_NS + Limits::default().keep_ns * 2);
    for port in [4, 5, 6] {
        let (client, server) = (endpoint(&web, 40_000), endpoint(&api, port));
        recorder.record_connection(&connection(client, server, ConnectionEnd::Finished));
    }
    let given = cut(&mut recorder, 2 * SECOND_NS + Limits::default().keep_ns * 2);
    assert_eq!((given.edges.len(), given.counters.connections), (2, 3));
}
