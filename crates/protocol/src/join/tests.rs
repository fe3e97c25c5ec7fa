use alaz_model::{Close, CloseReason, Message, Position, Protocol};

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
    assert!(out.iter().all(|exchange| exchange.observed_by != ObservedBy::Both));
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
    for role in [Role::Client, Role::Server] {
        let reason = CloseReason::Finished;
        join.close(&Close { key: key(role, 5), time_ns: 1, reason, send: None, receive: None });
    }
    assert!(join.ends.is_empty() && join.by_key.is_empty());
}
