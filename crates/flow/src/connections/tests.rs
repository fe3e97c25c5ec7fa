use alaz_model::{
    CloseReason, ConnectFailure, ConnectionEnd, Direction, Endpoint, ObservedBy, Position, Source,
};

use super::*;
use crate::testing::process;

const CLIENT: ([u8; 4], u16) = ([127, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 443);
const ELSEWHERE: ([u8; 4], u16) = ([10, 0, 0, 9], 443);
const MS: u64 = 1_000_000;

/// The connections, what they told, and one end of each part at hand.
struct Told {
    connections: Connections,
    facts: Vec<ConnectionFacts>,
}

fn key(socket: u64) -> ConnectionKey {
    ConnectionKey { socket, generation: 1 }
}

/// The client's stream begins at 1000, the server's at 5000.
fn end(socket: u64, role: Role) -> Connection {
    let is_server = role == Role::Server;
    let (client, server) = (CLIENT.into(), SERVER.into());
    let (local, remote) = if is_server { (server, client) } else { (client, server) };
    let (send, receive) = if is_server { (5000, 1000) } else { (1000, 5000) };
    Connection {
        key: key(socket),
        local,
        remote,
        network_namespace: 7,
        role,
        send: Some(Position(send)),
        receive: Some(Position(receive)),
        time_ns: 10,
        mid_stream: false,
    }
}

impl Told {
    fn new(limits: ConnectionLimits) -> Told {
        Told { connections: Connections::new(limits), facts: Vec::new() }
    }

    /// Both ends are open, and both processes have done something.
    fn both() -> Told {
        let mut told = Told::new(ConnectionLimits::default());
        told.connections.open(&end(1, Role::Client));
        told.connections.open(&end(2, Role::Server));
        told.uses(1, "curl", 11);
        told.uses(2, "nginx", 12);
        told
    }

    fn uses(&mut self, socket: u64, name: &str, pid: u32) {
        let segment = Segment {
            key: key(socket),
            direction: Direction::Send,
            position: Position(0),
            length: 1,
            head: b"",
            tail: b"",
            started_ns: 20,
            ended_ns: 20,
            pid,
            tid: pid,
            source: Source::Socket,
        };
        self.connections.segment(&segment, Some(process(name, pid)));
    }

    /// The client has sent 100 bytes and the server 700.
    fn closes(&mut self, socket: u64, reason: CloseReason, time_ns: u64) {
        let is_server = socket == 2;
        let (send, receive) = if is_server { (5700, 1100) } else { (1100, 5700) };
        self.connections.measures(&Measures {
            key: key(socket),
            time_ns,
            retransmits: socket as u32,
            handshake_ns: (!is_server).then_some(300),
            round_trip_ns: Some(socket * 1000),
            least_round_trip_ns: Some(socket * 100),
        });
        let close = Close {
            key: key(socket),
            time_ns,
            reason,
            send: Some(Position(send)),
            receive: Some(Position(receive)),
        };
        self.connections.close(&close, &mut self.facts);
    }

    fn advance(&mut self, now_ns: u64) {
        self.connections.advance(now_ns, &mut self.facts);
    }

    fn only(&self) -> &ConnectionFacts {
        assert_eq!(self.facts.len(), 1, "{:?}", self.facts);
        &self.facts[0]
    }

    fn assert_holds_nothing(&self) {
        let connections = &self.connections;
        assert!(connections.ends.is_empty() && connections.single.is_empty());
    }
}

fn names(facts: &ConnectionFacts) -> (String, String) {
    (facts.client.workload().to_string(), facts.server.workload().to_string())
}

#[test]
fn two_ends_are_told_once_whichever_is_over_first() {
    for order in [[1, 2], [2, 1]] {
        let mut told = Told::both();
        told.closes(order[0], CloseReason::Finished, 1000);
        assert!(told.facts.is_empty());
        told.closes(order[1], CloseReason::Finished, 2000);
        let facts = told.only();
        assert_eq!(names(facts), ("curl".into(), "nginx".into()));
        assert_eq!((facts.client.pid, facts.server.pid), (11, 12));
        assert_eq!((facts.sent_bytes, facts.received_bytes), (100, 700));
        assert_eq!((facts.retransmits, facts.handshake_ns), (3, Some(300)));
        assert_eq!((facts.round_trip_ns, facts.least_round_trip_ns), (Some(1000), Some(100)));
        assert_eq!((facts.end, facts.duration_ns), (ConnectionEnd::Finished, Some(1990)));
        assert_eq!(facts.observed_by, ObservedBy::Both);
        told.advance(u64::MAX);
        told.only();
        told.assert_holds_nothing();
    }
}

#[test]
fn who_reset_it_is_who_did_not_see_it() {
    for (seen_at, expected) in
        [(1, ConnectionEnd::ResetByServer), (2, ConnectionEnd::ResetByClient)]
    {
        let mut told = Told::both();
        told.closes(seen_at, CloseReason::Reset, 1000);
        told.closes(3 - seen_at, CloseReason::Finished, 2000);
        assert_eq!(told.only().end, expected);
    }
}

#[test]
fn an_end_does_not_wait_for_ever_and_the_other_one_is_left_out() {
    let mut told = Told::both();
    told.closes(1, CloseReason::Finished, 1000);
    told.advance(SETTLE_NS + 999);
    assert!(told.facts.is_empty());
    told.advance(SETTLE_NS + 1000);
    assert_eq!(names(told.only()), ("curl".into(), "nginx".into()));
    told.closes(2, CloseReason::Finished, 9000 * MS);
    told.advance(u64::MAX);
    told.only();
    told.assert_holds_nothing();
}

#[test]
fn a_servers_end_that_is_over_long_before_is_part_of_the_clients() {
    let mut told = Told::both();
    told.closes(2, CloseReason::Reset, 1000);
    told.advance(9000 * MS);
    assert!(told.facts.is_empty());
    told.closes(1, CloseReason::Finished, 9500 * MS);
    told.advance(u64::MAX);
    let facts = told.only();
    assert_eq!((facts.end, facts.retransmits), (ConnectionEnd::ResetByClient, 3));
    assert_eq!(names(facts), ("curl".into(), "nginx".into()));
    told.assert_holds_nothing();
}

#[test]
fn one_end_alone_is_told_after_a_while() {
    for (socket, role, expected) in
        [(1, Role::Client, ObservedBy::Client), (2, Role::Server, ObservedBy::Server)]
    {
        let mut told = Told::new(ConnectionLimits::default());
        told.connections.open(&end(socket, role));
        told.uses(socket, "mine", 11);
        told.closes(socket, CloseReason::Finished, 1000);
        told.advance(u64::MAX);
        let facts = told.only();
        assert_eq!(
            (facts.observed_by, facts.sent_bytes, facts.received_bytes),
            (expected, 100, 700)
        );
        let mine = if role == Role::Client { &facts.client } else { &facts.server };
        assert_eq!(mine.workload(), "mine");
    }
}

#[test]
fn translated_addresses_are_one_connection_all_the_same() {
    let mut told = Told::new(ConnectionLimits::default());
    let outside = Connection { remote: ELSEWHERE.into(), ..end(1, Role::Client) };
    told.connections.open(&outside);
    told.connections.open(&end(2, Role::Server));
    told.closes(1, CloseReason::Finished, 1000);
    told.closes(2, CloseReason::Finished, 1000);
    assert_eq!(told.only().server.address, ELSEWHERE.into());
}

#[test]
fn addresses_alone_do_not_make_two_lives_one() {
    let mut told = Told::new(ConnectionLimits::default());
    told.connections.open(&end(2, Role::Server));
    // The same port again, before the server noticed that the first one is over.
    let again = Connection { send: Some(Position(77)), ..end(1, Role::Client) };
    told.connections.open(&again);
    told.closes(1, CloseReason::Finished, 1000);
    told.closes(2, CloseReason::Finished, 1000);
    told.advance(u64::MAX);
    assert_eq!(told.facts.len(), 2);
}

#[test]
fn of_older_connections_somebody_must_know_who_opened_them() {
    let older = |socket, role| {
        let opened = end(socket, role);
        Connection { role: Role::Unknown, mid_stream: true, send: Some(Position(1050)), ..opened }
    };
    // Nobody does.
    let mut told = Told::new(ConnectionLimits::default());
    told.connections.open(&older(1, Role::Client));
    told.connections.open(&older(2, Role::Server));
    told.closes(1, CloseReason::Finished, 1000);
    told.closes(2, CloseReason::Finished, 1000);
    told.advance(u64::MAX);
    assert_eq!((told.facts.len(), told.connections.untold().role_unknown), (0, 1));
    // What is spoken on it tells, or a newer connection of the same server.
    for by_listener in [false, true] {
        let mut told = Told::new(ConnectionLimits::default());
        told.connections.open(&older(1, Role::Client));
        if by_listener {
            told.connections.open(&Connection { send: Some(Position(9)), ..end(5, Role::Server) });
            told.uses(5, "nginx", 12);
        } else {
            told.connections.learn(key(1), Role::Client, false);
        }
        told.closes(1, CloseReason::Finished, 1000);
        told.advance(u64::MAX);
        let facts = told.only();
        assert_eq!((facts.client.address, facts.sent_bytes), (CLIENT.into(), 50));
        assert_eq!(facts.duration_ns, None);
    }
}

#[test]
fn processes_that_do_nothing_are_named_by_who_listens_or_are_unknown() {
    let mut told = Told::new(ConnectionLimits::default());
    told.connections.open(&end(1, Role::Client));
    told.connections.open(&end(2, Role::Server));
    told.closes(1, CloseReason::Finished, 1000);
    told.closes(2, CloseReason::Finished, 1000);
    let unknown = Endpoint::UNKNOWN_PROCESS.to_owned();
    assert_eq!(names(told.only()), (unknown.clone(), unknown.clone()));

    let mut told = Told::both();
    let probe = |mut opened: Connection| {
        opened.key.socket += 10;
        opened.send = opened.send.map(|send| send.plus(9));
        opened.receive = opened.receive.map(|receive| receive.plus(9));
        opened
    };
    told.connections.open(&probe(end(1, Role::Client)));
    told.connections.open(&probe(end(2, Role::Server)));
    told.closes(11, CloseReason::Finished, 1000);
    told.closes(12, CloseReason::Finished, 1000);
    assert_eq!(names(told.only()), (unknown, "nginx".into()));
}

fn refused(reason: CloseReason, time_ns: u64) -> Refused {
    Refused {
        local: CLIENT.into(),
        remote: SERVER.into(),
        network_namespace: 7,
        began_ns: time_ns - 5,
        time_ns,
        pid: 11,
        reason,
    }
}

#[test]
fn connections_that_could_not_be_opened_have_a_reason() {
    for (reason, expected) in [
        (CloseReason::Refused, ConnectFailure::Refused),
        (CloseReason::TimedOut, ConnectFailure::Timeout),
        (CloseReason::Finished, ConnectFailure::Abandoned),
        (CloseReason::Failed(113), ConnectFailure::Unreachable),
        (CloseReason::Failed(101), ConnectFailure::Unreachable),
        (CloseReason::Failed(1), ConnectFailure::Other),
    ] {
        let mut told = Told::new(ConnectionLimits::default());
        let by = Some(process("curl", 11));
        told.connections.refused(&refused(reason, 100), by, &mut told.facts);
        let facts = told.only();
        assert_eq!(facts.end, ConnectionEnd::NotOpened(expected));
        assert_eq!(names(facts), ("curl".into(), "127.0.0.1".into()));
        assert_eq!(facts.duration_ns, Some(5));
    }
}

#[test]
fn who_refuses_is_who_listened_there_a_short_while_ago() {
    for (time_ns, expected) in [(1000, "nginx"), (700_000 * MS, "127.0.0.1")] {
        let mut told = Told::both();
        let attempt = refused(CloseReason::Refused, time_ns);
        told.connections.refused(&attempt, None, &mut told.facts);
        assert_eq!(told.only().server.workload(), expected);
    }
}

#[test]
fn alaz_does_not_tell_of_itself() {
    let mut told = Told::new(ConnectionLimits::default());
    told.connections.exclude_server(SERVER.into());
    told.connections.open(&end(1, Role::Client));
    told.closes(1, CloseReason::Finished, 1000);
    told.advance(u64::MAX);
    told.connections.refused(&refused(CloseReason::Refused, 100), None, &mut told.facts);
    assert_eq!((told.facts.len(), told.connections.untold().own), (0, 2));

    let mut told = Told::both();
    let alaz = Process { is_alaz: true, ..(*process("alaz", 11)).clone() };
    if let Some(end) = told.connections.get_mut(key(1)) {
        end.process = Some(Arc::new(alaz));
    }
    told.closes(1, CloseReason::Finished, 1000);
    told.closes(2, CloseReason::Finished, 1000);
    assert_eq!((told.facts.len(), told.connections.untold().own), (0, 1));
}

#[test]
fn connections_that_are_alazs_own_are_not_told_of() {
    for own in [1, 2] {
        let mut told = Told::new(ConnectionLimits::default());
        for (socket, role) in [(1, Role::Client), (2, Role::Server)] {
            let opened = end(socket, role);
            match socket == own {
                true => told.connections.open_own(&opened),
                false => told.connections.open(&opened),
            }
        }
        told.connections.open_connections(100, |client, _| panic!("{client:?}"));
        told.closes(1, CloseReason::Finished, 1000);
        told.closes(2, CloseReason::Finished, 1000);
        assert_eq!((told.facts.len(), told.connections.untold().own), (0, 1));
    }
}

#[test]
fn open_connections_are_those_of_clients_here() {
    let open = |told: &Told| {
        let mut open = Vec::new();
        told.connections.open_connections(100, |client, server| {
            open.push((client.workload().to_string(), server.workload().to_string()));
        });
        open
    };
    let mut told = Told::both();
    assert_eq!(open(&told), [("curl".to_owned(), "nginx".to_owned())]);
    told.closes(1, CloseReason::Finished, 1000);
    assert_eq!(open(&told), []);
    // The server's end alone is another host's to tell.
    let mut told = Told::new(ConnectionLimits::default());
    told.connections.open(&end(2, Role::Server));
    assert_eq!(open(&told), []);
    let mut told = Told::new(ConnectionLimits::default());
    told.connections.open(&Connection { remote: ELSEWHERE.into(), ..end(3, Role::Client) });
    told.uses(3, "curl", 11);
    assert_eq!(open(&told), [("curl".to_owned(), "10.0.0.9".to_owned())]);
}

#[test]
fn ends_and_listeners_are_bounded() {
    let limits = ConnectionLimits { ends: 4, listeners: 3 };
    let mut told = Told::new(limits);
    let numbered = |socket: u64, time_ns| {
        let mut opened = end(socket, Role::Server);
        opened.local.set_port(socket as u16);
        opened.send = Some(Position(socket * 1000));
        Connection { time_ns, ..opened }
    };
    for socket in 1..=6 {
        told.connections.open(&numbered(socket, 10));
        told.uses(socket, "server", 5);
    }
    assert_eq!((told.connections.ends.len(), told.connections.untold().too_many), (4, 2));
    assert!(told.connections.listeners.len() <= 3);
    // Ends whose close was lost make room in time.
    told.connections.open(&numbered(7, 20 + FORGOTTEN_NS));
    assert_eq!((told.connections.ends.len(), told.connections.untold().unseen_end), (1, 4));
    // So does a socket that becomes another connection.
    let mut again = numbered(7, 30 + FORGOTTEN_NS);
    again.key.generation = 2;
    told.connections.open(&again);
    assert_eq!((told.connections.ends.len(), told.connections.untold().unseen_end), (1, 5));
    assert_eq!(told.connections.single.len(), 1);
    // Those that wait are ends too.
    for socket in 11..=30 {
        told.connections.open(&numbered(socket, FORGOTTEN_NS));
        told.closes(socket, CloseReason::Finished, FORGOTTEN_NS);
        assert!(told.connections.ends.len() <= 4 && told.connections.waiting.len() <= 4);
    }
    told.connections.finish(&mut told.facts);
    told.assert_holds_nothing();
}

#[test]
fn what_tls_was_carried_is_told_once_by_whichever_end_knows() {
    let handshake = |version| Arc::new(alaz_model::TlsHandshake { version, ..Default::default() });
    let version = alaz_model::TlsVersion(0x0304);
    let mut told = Told::both();
    told.connections.learn_tls(key(1), handshake(None));
    told.connections.learn_tls(key(2), handshake(Some(version)));
    told.connections.learn(key(1), Role::Client, true);
    told.closes(1, CloseReason::Finished, 20 * MS);
    told.closes(2, CloseReason::Finished, 21 * MS);
    let tls = told.only().tls.clone().unwrap();
    assert_eq!((tls.handshake.version, tls.is_read), (Some(version), true));
}
