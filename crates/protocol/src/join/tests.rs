use alaz_model::{Close, CloseReason, Message, ObservedBy, Outcome, Position, Protocol};
use proptest::prelude::*;

use super::*;

const PATIENCE_NS: u64 = 1_000_000_000;

fn ends(port: u16) -> (SocketAddr, SocketAddr) {
    (SocketAddr::from(([10, 0, 0, 1], port)), SocketAddr::from(([10, 0, 0, 2], 80)))
}

fn key(role: Role, port: u16) -> ConnectionKey {
    ConnectionKey { socket: u64::from(port) * 2 + u64::from(role == Role::Server), generation: 1 }
}

fn view(role: Role, port: u16, request: u64, response: Option<u64>) -> View {
    let (client, server) = ends(port);
    let is_client = role == Role::Client;
    View {
        key: key(role, port),
        role,
        client,
        server,
        network_namespace: 1,
        request_position: Position(request),
        response_position: response.map(Position),
        started_ns: if is_client { 1_000 } else { 2_000 },
        response_ns: response.map(|_| if is_client { 8_000 } else { 6_000 }),
        ended_ns: if is_client { 9_000 } else { 7_000 },
        pid: if is_client { 11 } else { 22 },
        tls: false,
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: "/".into(),
            route: "/".into(),
            status: if response.is_some() { "200".into() } else { "".into() },
            error: false,
            outcome: if response.is_some() { Outcome::Complete } else { Outcome::NoResponse },
            request_bytes: 10,
            response_bytes: if response.is_some() { 20 } else { 0 },
            attributes: Default::default(),
        },
    }
}

fn open(join: &mut Join, role: Role, port: u16) {
    let (client, server) = ends(port);
    let (local, remote) = if role == Role::Client { (client, server) } else { (server, client) };
    join.open(&Connection {
        key: key(role, port),
        local,
        remote,
        network_namespace: 1,
        role,
        send: None,
        receive: None,
        time_ns: 0,
        mid_stream: false,
    });
}

/// A join that knows both ends of the connections from these ports.
fn host(ports: &[u16]) -> Join {
    let mut join = Join::new(JoinLimits { patience_ns: PATIENCE_NS, ..JoinLimits::default() });
    for port in ports {
        open(&mut join, Role::Client, *port);
        open(&mut join, Role::Server, *port);
    }
    join
}

fn take(join: &mut Join, views: Vec<View>) -> Vec<Exchange> {
    let mut out = Vec::new();
    for view in views {
        join.view(view, &Clock::default(), &mut out);
    }
    out
}

#[test]
fn two_views_are_one_exchange_whichever_comes_first() {
    for reverse in [false, true] {
        let mut join = host(&[5]);
        // The upper half of a position is each end's own.
        let mut views = vec![
            view(Role::Client, 5, 100, Some(200)),
            view(Role::Server, 5, (7 << 32) + 100, Some((9 << 32) + 200)),
        ];
        if reverse {
            views.reverse();
        }
        let exchanges = take(&mut join, views);
        assert_eq!(exchanges.len(), 1);
        let exchange = &exchanges[0];
        assert_eq!(exchange.observed_by, ObservedBy::Both);
        assert_eq!((exchange.client.pid, exchange.server.pid), (11, 22));
        assert_eq!((exchange.latency_ns, exchange.ttfb_ns), (Some(8_000), Some(7_000)));
        assert_eq!(exchange.server_latency_ns, Some(5_000));
        assert_eq!(exchange.time.0, 1_000);
    }
}

#[test]
fn a_view_whose_other_end_is_elsewhere_does_not_wait() {
    let mut join = Join::new(JoinLimits::default());
    open(&mut join, Role::Server, 5);
    let exchanges = take(&mut join, vec![view(Role::Server, 5, 100, Some(200))]);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].observed_by, ObservedBy::Server);
    assert_eq!((exchanges[0].client.pid, exchanges[0].server.pid), (0, 22));
    assert_eq!(exchanges[0].server_latency_ns, Some(5_000));
}

#[test]
fn a_view_that_waits_in_vain_is_reported_once_and_its_other_half_never() {
    let mut join = host(&[5]);
    let mut out = take(&mut join, vec![view(Role::Client, 5, 100, Some(200))]);
    assert!(out.is_empty());
    join.advance(PATIENCE_NS, &Clock::default(), &mut out);
    assert!(out.is_empty(), "it ended at 9,000 ns");
    join.advance(PATIENCE_NS + 9_000, &Clock::default(), &mut out);
    assert_eq!(out.len(), 1);
    assert!(take(&mut join, vec![view(Role::Server, 5, 100, Some(200))]).is_empty());
    // The same numbers in another life, much later, are another exchange.
    join.advance(200 * PATIENCE_NS, &Clock::default(), &mut out);
    join.finish(&Clock::default(), &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn views_that_contradict_each_other_are_not_joined() {
    let mut join = host(&[5]);
    let views = vec![view(Role::Client, 5, 100, Some(200)), view(Role::Server, 5, 100, Some(300))];
    let out = take(&mut join, views);
    assert_eq!((out.len(), out[0].observed_by), (1, ObservedBy::Client), "only the first is told");
    let ledger = join.ledger();
    assert_eq!((ledger.seen, ledger.contradicted, ledger.joined), (2, 1, 0));
    let mut join = host(&[5, 6]);
    let views = vec![view(Role::Client, 5, 100, Some(200)), view(Role::Server, 6, 100, Some(200))];
    assert!(take(&mut join, views).is_empty(), "of different connections");
}

#[test]
fn the_end_that_saw_more_tells_what_was_said() {
    let mut join = host(&[5]);
    let mut cut = view(Role::Client, 5, 100, Some(200));
    cut.message.outcome = Outcome::Partial;
    cut.message.response_bytes = 0;
    let out = take(&mut join, vec![cut, view(Role::Server, 5, 100, Some(200))]);
    assert_eq!(out[0].message.outcome, Outcome::Complete);
    assert_eq!((out[0].latency_ns, out[0].server_latency_ns), (None, Some(5_000)));
    let unanswered = vec![view(Role::Client, 5, 300, None), view(Role::Server, 5, 300, None)];
    let out = take(&mut join, unanswered);
    assert_eq!((out[0].message.outcome, out[0].latency_ns), (Outcome::NoResponse, None));
    assert_eq!(out[0].observed_by, ObservedBy::Both);
}

#[test]
fn views_that_wait_are_bounded() {
    let limits = JoinLimits { waiting: 2, ..JoinLimits::default() };
    let mut join = Join::new(limits);
    for port in 1..=3 {
        open(&mut join, Role::Client, port);
        open(&mut join, Role::Server, port);
    }
    let views = |role| (1..=3).map(|port| view(role, port, 100, Some(200))).collect();
    assert_eq!(take(&mut join, views(Role::Client)).len(), 1);
    // The other half of the one that was reported alone is not reported again.
    assert_eq!(take(&mut join, views(Role::Server)).len(), 2);
}

#[test]
fn ended_connections_are_forgotten() {
    let mut join = host(&[5]);
    let close = |join: &mut Join, role| {
        let reason = CloseReason::Finished;
        join.close(&Close { key: key(role, 5), time_ns: 1, reason, send: None, receive: None });
    };
    close(&mut join, Role::Client);
    join.out_of_sight(key(Role::Server, 5));
    // Their views may still come.
    assert!(take(&mut join, vec![view(Role::Client, 5, 100, Some(200))]).is_empty());
    assert_eq!(take(&mut join, vec![view(Role::Server, 5, 100, Some(200))]).len(), 1);
    join.advance(PATIENCE_NS + 1, &Clock::default(), &mut Vec::new());
    assert_eq!(join.ends.counts(), [0; 4]);
    close(&mut join, Role::Client);
    assert_eq!(join.ends.counts(), [0; 4]);
}

#[test]
fn connections_are_bounded_and_a_lost_close_leaves_nothing() {
    let limits = JoinLimits { connections: 4, ..JoinLimits::default() };
    let mut join = Join::new(limits);
    for generation in 1..100 {
        for port in 1..=5 {
            let key = ConnectionKey { generation, ..key(Role::Client, port) };
            let beginning = u64::from(port) * 1000 + generation;
            join.open(&connection(key, Role::Client, ends(port), Some(beginning)));
            if generation % 2 == 0 {
                join.close(&close(key, generation));
            }
            assert!(join.ends.counts().iter().all(|count| *count <= 4), "{:?}", join.ends.counts());
        }
    }
    // What has ended makes room at once.
    join.open(&connection(key(Role::Server, 77), Role::Server, ends(77), Some(1)));
    for port in 1..=4 {
        join.close(&close(ConnectionKey { generation: 99, ..key(Role::Client, port) }, 99));
    }
    join.open(&connection(key(Role::Server, 78), Role::Server, ends(78), Some(2)));
    let exchanges = take(&mut join, vec![view(Role::Client, 78, 100, Some(200))]);
    assert!(exchanges.is_empty(), "its other end is known");
}

fn close(key: ConnectionKey, time_ns: u64) -> Close {
    Close { key, time_ns, reason: CloseReason::Finished, send: None, receive: None }
}

/// A connection whose streams begin at this place and one behind; older than Alaz without.
fn connection(
    key: ConnectionKey,
    role: Role,
    (client, server): (SocketAddr, SocketAddr),
    beginning: Option<u64>,
) -> Connection {
    let is_client = role == Role::Client;
    let (local, remote) = if is_client { (client, server) } else { (server, client) };
    let (own, others) = if is_client { (0, 1) } else { (1, 0) };
    Connection {
        key,
        local,
        remote,
        network_namespace: 1,
        role: if beginning.is_some() { role } else { Role::Unknown },
        send: beginning.map(|at| Position(at + own)),
        receive: beginning.map(|at| Position(at + others)),
        time_ns: 0,
        mid_stream: beginning.is_none(),
    }
}

/// What the server's end sees where its own address was translated.
fn behind(view: View) -> View {
    View { server: SocketAddr::from(([172, 17, 0, 9], 8080)), ..view }
}

/// A join that knows both ends of these connections, to a server behind another address.
fn translated(connections: &[(u16, Option<u64>)]) -> Join {
    let mut join = Join::new(JoinLimits { patience_ns: PATIENCE_NS, ..JoinLimits::default() });
    for (port, beginning) in connections {
        let (client, server) = ends(*port);
        let inner = behind(view(Role::Server, *port, 1, None)).server;
        let key = |role| key(role, *port);
        join.open(&connection(key(Role::Client), Role::Client, (client, server), *beginning));
        join.open(&connection(key(Role::Server), Role::Server, (client, inner), *beginning));
    }
    join
}

#[test]
fn ends_with_translated_addresses_are_known_by_where_their_streams_begin() {
    let mut join = translated(&[(5, Some(100)), (6, Some(7000))]);
    let mut views = vec![
        view(Role::Client, 5, 100, Some(101)),
        behind(view(Role::Server, 5, 100, Some(101))),
        // Without an answer, and as both saw it alone.
        behind(view(Role::Server, 6, 7000, None)),
        view(Role::Client, 6, 7000, None),
    ];
    let out = take(&mut join, views.clone());
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|exchange| exchange.observed_by == ObservedBy::Both));
    assert_eq!((out[0].client.pid, out[0].server.pid), (11, 22));
    assert_eq!(out[0].server.address, views[1].server, "where it is in truth");
    // Other connections are nobody's other end.
    let mut join = translated(&[(5, Some(100))]);
    join.open(&connection(key(Role::Client, 6), Role::Client, ends(6), Some(300)));
    views[0].key = key(Role::Client, 6);
    views[0].client = ends(6).0;
    assert_eq!(take(&mut join, vec![views.remove(0)]).len(), 1, "at once");
}

#[test]
fn older_ends_with_translated_addresses_are_known_by_what_is_said() {
    let mut join = translated(&[(5, None)]);
    let first = [
        behind(view(Role::Server, 5, 100, Some(200))),
        view(Role::Client, 5, (7 << 32) + 100, Some((7 << 32) + 200)),
    ];
    let out = take(&mut join, first.to_vec());
    assert_eq!((out.len(), out[0].observed_by), (1, ObservedBy::Both));
    // From then on also what says little.
    let next = vec![view(Role::Client, 5, 110, None), behind(view(Role::Server, 5, 110, None))];
    let out = take(&mut join, next);
    assert_eq!((out.len(), out[0].observed_by), (1, ObservedBy::Both));
}

#[test]
fn views_that_are_not_alike_in_everything_are_not_joined() {
    type Change = fn(&mut View);
    let changes: [Change; 7] = [
        |view| view.request_position = Position(101),
        |view| view.response_position = Some(Position(201)),
        |view| view.message.request_bytes += 1,
        |view| view.message.response_bytes += 1,
        |view| view.message.protocol = Protocol::Redis,
        |view| view.started_ns += 2 * PATIENCE_NS,
        |view| view.client = SocketAddr::from(([10, 9, 9, 9], 999)),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut join = translated(&[(5, None)]);
        let mut other = behind(view(Role::Server, 5, 100, Some(200)));
        change(&mut other);
        let mut out = take(&mut join, vec![view(Role::Client, 5, 100, Some(200)), other]);
        join.finish(&Clock::default(), &mut out);
        assert_eq!(out.len(), 2, "{number}");
        assert!(out.iter().all(|exchange| exchange.observed_by != ObservedBy::Both), "{number}");
    }
    // Nor where a second one is as like.
    let mut join = translated(&[(5, None), (6, None)]);
    let alike = vec![
        view(Role::Client, 5, 100, Some(200)),
        view(Role::Client, 6, 100, Some(200)),
        behind(view(Role::Server, 5, 100, Some(200))),
    ];
    let mut out = take(&mut join, alike);
    join.finish(&Clock::default(), &mut out);
    assert_eq!(out.len(), 3);
}

#[test]
fn nobody_is_looked_for_for_ever() {
    let mut join = translated(&[(5, None)]);
    let mut out = Vec::new();
    for number in 0..6 {
        let waited = number < 4;
        let mut view = view(Role::Client, 5, 100 + number, Some(200 + number));
        let now_ns = number * 10 * PATIENCE_NS;
        (view.started_ns, view.ended_ns) = (now_ns, now_ns);
        join.view(view, &Clock::default(), &mut out);
        assert_eq!(out.len() as u64, number + u64::from(!waited));
        join.advance(now_ns + PATIENCE_NS, &Clock::default(), &mut out);
        assert_eq!(out.len() as u64, number + 1);
    }
}

#[test]
fn strangers_count_to_what_waits() {
    let mut join = translated(&[(5, None)]);
    join.limits.waiting = 2;
    let views = (0..5).map(|at| view(Role::Client, 5, 100 + at, Some(200 + at))).collect();
    assert_eq!(take(&mut join, views).len(), 3);
    assert_eq!(join.ledger().waiting, 2);
}

proptest! {
    /// Any views of connections of all kinds, in any order and at any time: each exchange is told
    /// once, and every view is accounted for.
    #[test]
    fn each_exchange_is_told_once_and_the_ledger_balances(
        seen in proptest::collection::vec((0_u16..4, 0_u64..20, any::<bool>(), any::<bool>()), 0..80),
        pauses in proptest::collection::vec(0_u64..100, 80),
    ) {
        // By address, by beginning, by what is said, and with the other end elsewhere.
        let mut join = translated(&[(1, Some(5000)), (2, None)]);
        open(&mut join, Role::Client, 0);
        open(&mut join, Role::Server, 0);
        open(&mut join, Role::Client, 3);
        let mut out = Vec::new();
        let mut given = std::collections::BTreeMap::new();
        let mut now_ns = 0;
        for ((port, number, by_client, contradicts), pause) in seen.into_iter().zip(pauses) {
            let is_client = by_client || port == 3;
            let role = if is_client { Role::Client } else { Role::Server };
            let seen: &mut [bool; 2] = given.entry((port, number)).or_default();
            if std::mem::replace(&mut seen[usize::from(is_client)], true) {
                continue;
            }
            let at = 1000 * u64::from(port) + 10 * number;
            let mut one = view(role, port, at, Some(at + u64::from(contradicts && port == 0)));
            if matches!(port, 1 | 2) && !is_client {
                one = behind(one);
            }
            now_ns += pause * PATIENCE_NS / 100;
            (one.started_ns, one.ended_ns) = (now_ns, now_ns);
            join.view(one, &Clock::default(), &mut out);
            join.advance(now_ns, &Clock::default(), &mut out);
            let ledger = join.ledger();
            let told = out.len() as u64 + ledger.joined + ledger.late + ledger.contradicted;
            prop_assert_eq!(ledger.seen, told + ledger.waiting);
        }
        join.finish(&Clock::default(), &mut out);
        let ledger = join.ledger();
        prop_assert_eq!(ledger.waiting, 0);
        prop_assert_eq!(ledger.seen, out.len() as u64 + ledger.joined + ledger.late + ledger.contradicted);
        // Only those who are known by what is said, and came too far apart, are told twice.
        let certain = given.keys().filter(|(port, _)| *port != 2).count();
        let told = out.iter().filter(|exchange| exchange.client.address.port() != 2).count();
        prop_assert_eq!(told, certain);
    }
}

/// A view of what is said inside TLS.
fn inside(role: Role, request: u64, target: &str) -> View {
    let mut view = View { tls: true, ..view(role, 7, request, Some(request + 50)) };
    view.message.target = target.into();
    view
}

const UNANCHORED: u64 = 1 << 62;

#[test]
fn inside_tls_anchored_positions_tell_the_halves() {
    let mut join = host(&[7]);
    let views = vec![
        inside(Role::Client, 0, "/a"),
        inside(Role::Client, 90, "/a"),
        inside(Role::Server, 90, "/a"),
        inside(Role::Server, 0, "/a"),
    ];
    let joined = take(&mut join, views);
    assert_eq!(joined.len(), 2);
    assert!(joined.iter().all(|it| it.observed_by == ObservedBy::Both && it.tls));
    assert_eq!((join.ledger().joined, join.ledger().waiting), (2, 0));
}

#[test]
fn inside_tls_the_unanchored_meet_by_what_they_say_while_the_client_waits() {
    let mut join = host(&[7]);
    let at = |view: View, by_ns: u64| View {
        started_ns: view.started_ns + by_ns,
        ended_ns: view.ended_ns + by_ns,
        ..view
    };
    let later = |role, target| at(inside(role, UNANCHORED + 900, target), 100_000);
    let views = vec![
        inside(Role::Server, UNANCHORED + 3, "/a"),
        // Another time, another target: nobody's half.
        later(Role::Client, "/a"),
        later(Role::Server, "/b"),
        // One end alone is anchored.
        inside(Role::Client, 70, "/a"),
    ];
    let joined = take(&mut join, views);
    assert_eq!(joined.len(), 1);
    assert_eq!((joined[0].observed_by, &*joined[0].message.target), (ObservedBy::Both, "/a"));
    let mut alone = Vec::new();
    join.advance(10 * PATIENCE_NS, &Clock::default(), &mut alone);
    assert_eq!(alone.len(), 2);
    assert_eq!(join.ledger().waiting, 0);
    assert_eq!(join.ledger().seen, 4);
}

#[test]
fn inside_tls_what_waits_is_bounded_and_late_halves_are_known() {
    let mut join = host(&[7]);
    join.limits.waiting = 1;
    let views = vec![inside(Role::Client, 0, "/a"), inside(Role::Client, 90, "/b")];
    let out = take(&mut join, views);
    assert_eq!(out.len(), 1, "the second finds no room to wait");
    let mut alone = Vec::new();
    join.advance(10 * PATIENCE_NS, &Clock::default(), &mut alone);
    assert_eq!(alone.len(), 1);
    assert!(take(&mut join, vec![inside(Role::Server, 0, "/a")]).is_empty());
    assert_eq!(join.ledger().late, 1);
}
