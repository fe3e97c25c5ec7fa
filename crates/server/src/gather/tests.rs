use alaz_flow::{EdgeStats, NodeFacts, NodeKey, Overflow, Part, Path};
use alaz_model::{Endpoint, EndpointKind, ObservedBy, Process, Protocol};
use proptest::prelude::*;

use super::*;
use crate::api::{Map, MapFilter};
use crate::store::{Period, Store};
use crate::testing::{START_NS, exchange};

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";

fn agent(host: &str, address: &str) -> Agent {
    let instance = format!("{:016x}", host.bytes().map(u64::from).sum::<u64>());
    Agent { host: host.to_owned(), instance, addresses: vec![address.parse().unwrap()] }
}

fn node(kind: EndpointKind, name: &str) -> NodeFacts {
    let key = NodeKey { kind, namespace: Default::default(), name: name.into() };
    NodeFacts {
        key: Arc::new(key),
        container: Default::default(),
        executable: Default::default(),
        pids: Vec::new(),
    }
}

fn process(name: &str) -> NodeFacts {
    node(EndpointKind::Process, name)
}

fn outside(address: &str) -> NodeFacts {
    node(EndpointKind::Outbound, address)
}

fn part(client: NodeFacts, server: NodeFacts, sight: Sight, requests: u64) -> Part {
    let mut stats = EdgeStats { requests, ..EdgeStats::default() };
    stats.status.add("200", requests);
    (0..requests).for_each(|_| stats.latency.record(1000));
    if !matches!(sight, Sight::Client(_)) {
        (0..requests).for_each(|_| stats.server_latency.record(500));
    }
    Part { client, server, port: 80, protocol: Some(Protocol::Http), sight, stats }
}

/// What the client's agent, on host A, sees of calls to nginx on host B.
fn at_client(requests: u64) -> Part {
    part(process("web"), outside(B), Sight::Client(path()), requests)
}

/// What the server's agent sees of them.
fn at_server(requests: u64) -> Part {
    part(outside(A), process("nginx"), Sight::Server(path()), requests)
}

fn path() -> Path {
    Path { client: A.parse().unwrap(), server: B.parse().unwrap() }
}

/// A gathering with its store, and a clock that tests move.
struct Cluster {
    gather: Gather,
    store: Store,
    now_ns: u64,
    sequence: u64,
    samples: usize,
}

impl Cluster {
    /// It has run for a minute.
    fn new() -> Cluster {
        let mut cluster = Cluster::started();
        cluster.now_ns += 60 * SECOND_NS;
        cluster
    }

    fn started() -> Cluster {
        let gather = Gather::new(Limits::default(), START_NS);
        Cluster { gather, store: Store::default(), now_ns: START_NS, sequence: 0, samples: 0 }
    }

    fn tell(&mut self, agent: &Agent, start_ns: u64, parts: Vec<Part>) -> Taken {
        self.sequence += 1;
        self.tell_as(self.sequence, agent, start_ns, parts)
    }

    fn tell_as(&mut self, number: u64, agent: &Agent, start_ns: u64, parts: Vec<Part>) -> Taken {
        let (start, end) = (UnixNanos(start_ns), UnixNanos(start_ns + SECOND_NS));
        let report = Report { start, end, parts, overflow: Overflow::default() };
        self.gather.take(agent, number, report, (true, false), self.now_ns)
    }

    /// These agents tell of empty seconds from now on for so long, and what can be is settled.
    fn go_on(&mut self, agents: &[&Agent], seconds: u64) {
        for _ in 0..seconds {
            let start_ns = self.now_ns - self.now_ns % SECOND_NS;
            self.now_ns += SECOND_NS;
            for agent in agents {
                assert_eq!(self.tell(agent, start_ns, Vec::new()), Taken::Yes);
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        let (store, samples, now_ns) = (&mut self.store, &mut self.samples, self.now_ns);
        self.gather.settle(now_ns, |settled| {
            *samples += settled.samples.len();
            let (start, end) = (settled.start, settled.end);
            settled.recorder.cut(UnixNanos(now_ns), |slice| store.apply(slice, start, end));
        });
    }

    /// `client → server` and requests of each edge.
    fn edges(&self) -> Vec<(String, u64)> {
        let period = Period { from_ns: 0, to_ns: u64::MAX };
        let map = Map::of(&self.store, period, &MapFilter::default());
        let name =
            |id: &str| map.nodes.iter().find(|node| node.id == id).map(|node| node.name.clone());
        let name = |id: &str| name(id).unwrap();
        let edge = |edge: &crate::MapEdge| {
            (format!("{} → {}", name(&edge.from), name(&edge.to)), edge.requests)
        };
        map.edges.iter().map(edge).collect()
    }

    fn server_latencies(&self) -> u64 {
        let edges = self.store.edges();
        let period = Period { from_ns: 0, to_ns: u64::MAX };
        let mut stats = EdgeStats::default();
        for (id, _) in edges {
            let steps = self.store.steps(period).filter_map(|step| step.edge(id));
            steps.for_each(|figures| figures.add_all_to(&mut stats));
        }
        stats.server_latency.count()
    }
}

fn edge(name: &str, requests: u64) -> (String, u64) {
    (name.to_owned(), requests)
}

#[test]
fn what_both_ends_tell_counts_once_and_is_joined() {
    for client_first in [true, false] {
        let mut cluster = Cluster::new();
        let (a, b) = (agent("a", A), agent("b", B));
        let start_ns = cluster.now_ns - SECOND_NS;
        let mut told = [(&a, at_client(5)), (&b, at_server(5))];
        if !client_first {
            told.reverse();
        }
        for (agent, part) in told {
            cluster.tell(agent, start_ns, vec![part]);
        }
        cluster.go_on(&[&a, &b], 5);
        assert_eq!(cluster.edges(), [edge("web → nginx", 5)]);
        assert_eq!(cluster.server_latencies(), 5);
        let counters = cluster.gather.state(cluster.now_ns).counters;
        assert_eq!((counters.counted, counters.told_twice, counters.unjoined), (5, 5, 0));
        assert_eq!(cluster.gather.held, 0);
    }
}

#[test]
fn two_clients_on_one_address_are_told_apart_and_nothing_is_joined_by_guess() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", A), agent("b", B));
    let other = part(process("batch"), outside(B), Sight::Client(path()), 2);
    let start_ns = cluster.now_ns - SECOND_NS;
    cluster.tell(&a, start_ns, vec![at_client(3), other]);
    cluster.tell(&b, start_ns, vec![at_server(5)]);
    cluster.go_on(&[&a, &b], 5);
    let mut edges = cluster.edges();
    edges.sort();
    assert_eq!(edges, [edge("batch → nginx", 2), edge("web → nginx", 3)]);
    assert_eq!(cluster.server_latencies(), 0);
    assert_eq!(cluster.gather.counters.unjoined, 5);
}

#[test]
fn a_servers_view_counts_where_no_agent_tells_the_clients() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", "10.0.0.7"), agent("b", B));
    let mut tcp = at_server(0);
    tcp.protocol = None;
    tcp.stats.connections.closed = 4;
    let start_ns = cluster.now_ns - SECOND_NS;
    // Another protocol of the same client is another matter, and loopback is nobody else's.
    let mut dns = part(process("web"), outside("10.0.0.53"), Sight::Client(path()), 1);
    (dns.protocol, dns.port) = (Some(Protocol::Dns), 53);
    let on_loopback = Path { client: "127.0.0.1".parse().unwrap(), ..path() };
    let local = part(outside("127.0.0.1"), process("nginx"), Sight::Server(on_loopback), 2);
    cluster.tell(&a, start_ns, vec![dns]);
    cluster.tell(&b, start_ns, vec![at_server(5), local, tcp]);
    cluster.go_on(&[&a, &b], 5);
    let mut edges = cluster.edges();
    edges.sort();
    let expected =
        [edge("10.0.0.1 → nginx", 5), edge("127.0.0.1 → nginx", 2), edge("web → 10.0.0.53", 1)];
    assert_eq!(edges, expected);
}

#[test]
fn pods_are_their_agents_by_their_own_addresses() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", "10.0.0.7"), agent("b", "10.0.0.8"));
    let pod = |name| node(EndpointKind::Pod, name);
    let start_ns = cluster.now_ns - SECOND_NS;
    let client = part(pod("web"), outside(B), Sight::Client(path()), 5);
    cluster.tell(&b, start_ns, vec![part(pod("web"), pod("shop"), Sight::Server(path()), 5)]);
    cluster.tell(&a, start_ns, vec![client]);
    cluster.go_on(&[&a, &b], 5);
    assert_eq!(cluster.edges(), [edge("web → shop", 5)]);
    assert_eq!(cluster.server_latencies(), 5);
}

#[test]
fn addresses_that_both_hosts_have_name_nobody_elsewhere() {
    let mut cluster = Cluster::new();
    let bridge = "172.17.0.1";
    let [mut a, mut b] = [agent("a", A), agent("b", B)];
    a.addresses.push(bridge.parse().unwrap());
    b.addresses.push(bridge.parse().unwrap());
    let path = Path { client: bridge.parse().unwrap(), server: bridge.parse().unwrap() };
    let start_ns = cluster.now_ns - SECOND_NS;
    cluster.tell(&a, start_ns, vec![part(process("x"), outside(bridge), Sight::Client(path), 1)]);
    cluster.tell(&b, start_ns, vec![part(outside(bridge), process("y"), Sight::Server(path), 2)]);
    cluster.go_on(&[&a, &b], 5);
    let mut edges = cluster.edges();
    edges.sort();
    assert_eq!(edges, [edge("172.17.0.1 → y", 2), edge("x → 172.17.0.1", 1)]);
}

#[test]
fn a_servers_view_waits_for_an_agent_that_is_away() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", A), agent("b", B));
    cluster.go_on(&[&a, &b], 3);
    // The client's agent is cut off; what it sees meanwhile comes later.
    let start_ns = cluster.now_ns;
    cluster.now_ns += SECOND_NS;
    cluster.tell(&b, start_ns, vec![at_server(5)]);
    cluster.go_on(&[&b], 200);
    assert_eq!(cluster.edges(), []);
    assert_eq!(cluster.gather.held, 1);
    assert_eq!(cluster.tell(&a, start_ns, vec![at_client(5)]), Taken::Yes);
    cluster.go_on(&[&a, &b], 5);
    assert_eq!(cluster.edges(), [edge("web → nginx", 5)]);
    assert_eq!(cluster.gather.held, 0);
}

#[test]
fn a_servers_view_counts_once_the_clients_agent_is_gone() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", A), agent("b", B));
    cluster.go_on(&[&a, &b], 3);
    let start_ns = cluster.now_ns;
    cluster.now_ns += SECOND_NS;
    cluster.tell(&b, start_ns, vec![at_server(5)]);
    cluster.go_on(&[&b], MOST_AGE_NS / SECOND_NS + 10);
    assert_eq!(cluster.edges(), [edge("10.0.0.1 → nginx", 5)]);
    // Should it come back, what is settled is not counted again.
    assert_eq!(cluster.tell(&a, start_ns, vec![at_client(5)]), Taken::Late);
    cluster.go_on(&[&a, &b], 5);
    assert_eq!(cluster.edges(), [edge("10.0.0.1 → nginx", 5)]);
    assert_eq!(cluster.gather.counters.late, 5);
}

#[test]
fn a_server_that_has_just_started_waits_for_all_agents() {
    let mut cluster = Cluster::started();
    let (a, b) = (agent("a", A), agent("b", B));
    // What was seen while it was down, first from the server's agent, then from the client's.
    let start_ns = START_NS - 30 * SECOND_NS;
    cluster.tell(&b, start_ns, vec![at_server(5)]);
    cluster.go_on(&[&b], 7);
    assert_eq!(cluster.edges(), []);
    assert_eq!(cluster.tell(&a, start_ns, vec![at_client(5)]), Taken::Yes);
    cluster.go_on(&[&a, &b], 10);
    assert_eq!(cluster.edges(), [edge("web → nginx", 5)]);
}

#[test]
fn what_cannot_count_is_told_so() {
    let mut cluster = Cluster::new();
    let a = agent("a", A);
    let now_ns = cluster.now_ns;
    assert_eq!(cluster.tell(&a, now_ns - SECOND_NS, vec![at_client(1)]), Taken::Yes);
    let number = cluster.sequence;
    let again = cluster.tell_as(number, &a, now_ns - SECOND_NS, vec![at_client(1)]);
    assert_eq!(again, Taken::Repeated);
    let old_ns = now_ns - MOST_AGE_NS - 2 * SECOND_NS;
    assert_eq!(cluster.tell(&a, old_ns, vec![at_client(2)]), Taken::Late);
    // From before anybody knew of it, though this server ran.
    let unknown_ns = now_ns - SILENT_NS - 2 * SECOND_NS;
    assert_eq!(cluster.tell(&a, unknown_ns, vec![at_client(3)]), Taken::Late);
    let future_ns = now_ns + AHEAD_NS;
    assert_eq!(cluster.tell(&a, future_ns, vec![at_client(4)]), Taken::Ahead);
    let counters = cluster.gather.state(now_ns).counters;
    assert_eq!((counters.repeated, counters.late, counters.ahead), (1, 5, 4));
    cluster.go_on(&[&a], 5);
    assert_eq!(cluster.edges(), [edge("web → 10.0.0.2", 1)]);
}

#[test]
fn what_waits_is_bounded() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", A), agent("b", B));
    cluster.go_on(&[&a, &b], 3);
    // The client's agent is away. Each second has as many views as a message may have.
    let views = |count: usize| vec![at_server(1); count];
    let mut told = 0;
    let most = MOST_HELD / 4;
    for _ in 0..4 {
        let start_ns = cluster.now_ns - SECOND_NS;
        told += most as u64;
        assert_eq!(cluster.tell(&b, start_ns, views(most)), Taken::Yes);
        cluster.now_ns += SECOND_NS;
    }
    assert_eq!(cluster.tell(&b, cluster.now_ns - SECOND_NS, views(1)), Taken::Full);
    cluster.now_ns += 20 * SECOND_NS;
    cluster.go_on(&[&b], 5);
    let counters = cluster.gather.counters;
    assert!(cluster.gather.held <= MOST_HELD / 2, "{} held", cluster.gather.held);
    let waiting = cluster.gather.held as u64;
    assert_eq!(counters.full + waiting + counters.counted, told, "{counters:?}");
    assert!(counters.full > 0);
}

fn sample(observed_by: ObservedBy) -> Exchange {
    let mut sample = exchange(START_NS);
    let process = |name: &str| {
        let (name, kind) = (name.into(), EndpointKind::Process);
        Some(Arc::new(Process { workload: name, kind, ..Process::default() }))
    };
    sample.client = Endpoint::at(format!("{A}:40000").parse().unwrap());
    sample.server = Endpoint::at(format!("{B}:80").parse().unwrap());
    match observed_by {
        ObservedBy::Server => sample.server.process = process("nginx"),
        ObservedBy::Client | ObservedBy::Both => sample.client.process = process("web"),
    }
    sample.observed_by = observed_by;
    sample
}

#[test]
fn samples_follow_what_counts() {
    let mut cluster = Cluster::new();
    let (a, b) = (agent("a", A), agent("b", B));
    for (number, agent, by) in [(1, &a, ObservedBy::Client), (1, &b, ObservedBy::Server)] {
        let samples = vec![sample(by)];
        let now_ns = cluster.now_ns;
        assert_eq!(cluster.gather.take_samples(agent, number, samples, now_ns), Taken::Yes);
    }
    cluster.sequence = 1;
    let start_ns = cluster.now_ns - SECOND_NS;
    cluster.tell(&a, start_ns, vec![at_client(1)]);
    cluster.tell(&b, start_ns, vec![at_server(1)]);
    cluster.go_on(&[&a, &b], 5);
    assert_eq!((cluster.samples, cluster.gather.samples), (1, 0));
    let kept: Vec<_> = cluster.store.samples().map(|kept| kept.server.workload()).collect();
    assert!(!kept.is_empty() && kept.iter().all(|name| name == "nginx"), "{kept:?}");
}

proptest! {
    /// Whatever the order and the delays, each exchange counts once, under the names of its ends.
    #[test]
    fn every_exchange_counts_once_however_it_comes(
        calls in proptest::collection::vec((0_u64..5, 0_u64..5, 0_u64..8, 0_u64..8), 1..30),
    ) {
        let mut cluster = Cluster::new();
        let (a, b) = (agent("a", A), agent("b", B));
        cluster.go_on(&[&a, &b], 3);
        // Of each second: calls from a host with an agent and from one without, and how much later
        // than the one before each agent tells of it.
        let path = Path { client: "192.0.2.9".parse().unwrap(), ..path() };
        let first_ns = cluster.now_ns;
        let mut due: Vec<(u64, u64, bool)> = Vec::new();
        let (mut at_a, mut at_b) = (0, 0);
        for (second, (_, _, delay_a, delay_b)) in (1..).zip(&calls) {
            at_a = second.max(at_a) + u64::from(*delay_a == 7) * 20;
            at_b = second.max(at_b) + u64::from(*delay_b == 7) * 20;
            due.push((at_a, second - 1, true));
            due.push((at_b, second - 1, false));
        }
        due.sort();
        for (at, second, by_client) in due {
            while cluster.now_ns < first_ns + at * SECOND_NS {
                cluster.now_ns += SECOND_NS;
                cluster.settle();
            }
            let (inside, from_outside, ..) = calls[second as usize];
            let start_ns = first_ns + second * SECOND_NS;
            let outside = part(outside("192.0.2.9"), process("nginx"), Sight::Server(path), from_outside);
            let taken = match by_client {
                true => cluster.tell(&a, start_ns, vec![at_client(inside)]),
                false => cluster.tell(&b, start_ns, vec![at_server(inside), outside]),
            };
            prop_assert_eq!(taken, Taken::Yes);
        }
        cluster.go_on(&[&a, &b], 15);
        let inside: u64 = calls.iter().map(|call| call.0).sum();
        let from_outside: u64 = calls.iter().map(|call| call.1).sum();
        let count = |end: &str| {
            let edges = cluster.edges();
            edges.iter().filter(|(name, _)| name.starts_with(end)).map(|(_, count)| count).sum::<u64>()
        };
        prop_assert_eq!((count("web"), count("192.0.2.9"), count(A)), (inside, from_outside, 0));
    }
}
