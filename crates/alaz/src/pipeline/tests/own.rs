//! Alaz leaves itself out.

use alaz_model::{Connection, Direction, EndpointKind, Position, Process, Role, Segment, Source};
use std::sync::Arc;

use super::super::*;

const CURL: u32 = 10;
const SERVER: u32 = 11;
/// At another address than loopback: addresses alone do not tell who that is.
const CLIENT_ADDRESS: ([u8; 4], u16) = ([172, 17, 0, 2], 40_000);
const SERVER_ADDRESS: ([u8; 4], u16) = ([172, 17, 0, 1], 8014);

fn process(pid: u32, is_alaz: bool) -> Arc<Process> {
    let kind = EndpointKind::Process;
    // What it is called does not matter.
    Arc::new(Process { pid, workload: "alaz".into(), kind, is_alaz, ..Process::default() })
}

/// One request, seen at the ends that have a pid.
fn reported(processes: Processes, ends: &[(Role, u32)]) -> (usize, Ledger) {
    reported_by(Pipeline::new(processes, Clock { unix_at_zero_ns: 0 }), ends)
}

fn reported_by(mut pipeline: Pipeline, ends: &[(Role, u32)]) -> (usize, Ledger) {
    let mut exchanges = 0;
    let mut sink = |_: &Exchange| exchanges += 1;
    let (client, server) = (CLIENT_ADDRESS.into(), SERVER_ADDRESS.into());
    for (role, pid) in ends {
        let key = ConnectionKey { socket: u64::from(*pid), generation: 1 };
        let (local, remote) = match role {
            Role::Client => (client, server),
            _ => (server, client),
        };
        pipeline.event(
            &Event::Open(Connection {
                key,
                local,
                remote,
                network_namespace: *pid,
                role: *role,
                send: Some(Position(0)),
                receive: Some(Position(0)),
                time_ns: 1,
                mid_stream: false,
            }),
            &mut sink,
        );
    }
    let request: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let response: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (bytes, from, time_ns) in [(request, Role::Client, 10), (response, Role::Server, 20)] {
        for (role, pid) in ends {
            let direction = if *role == from { Direction::Send } else { Direction::Receive };
            let segment = Segment {
                key: ConnectionKey { socket: u64::from(*pid), generation: 1 },
                direction,
                position: Position(0),
                length: bytes.len() as u32,
                head: bytes,
                tail: b"",
                started_ns: time_ns,
                ended_ns: time_ns,
                pid: *pid,
                tid: *pid,
                source: Source::Socket,
            };
            pipeline.event(&Event::Segment(segment), &mut sink);
        }
    }
    pipeline.finish(&mut sink);
    let ledger = pipeline.ledger(None);
    (exchanges, ledger)
}

#[test]
fn what_an_alaz_serves_or_asks_is_not_reported() {
    let both = [(Role::Client, CURL), (Role::Server, SERVER)];
    for (client_is_alaz, server_is_alaz, ends, expected) in [
        (false, false, &both[..], 1),
        (false, true, &both[..], 0),
        (true, false, &both[..], 0),
        // A browser elsewhere; a server elsewhere.
        (false, true, &both[1..], 0),
        (true, false, &both[..1], 0),
        (false, false, &both[..1], 1),
    ] {
        let mut processes = Processes::recorded(8);
        processes.insert(process(CURL, client_is_alaz));
        processes.insert(process(SERVER, server_is_alaz));
        let (exchanges, ledger) = reported(processes, ends);
        assert_eq!(exchanges, expected, "{client_is_alaz} {server_is_alaz} {ends:?}");
        assert_eq!(ledger.exchanges.reported, expected as u64);
        assert_eq!(ledger.socket.segments.parsed, 2 * ends.len() as u64);
    }
}

#[test]
fn what_own_clients_say_to_a_server_of_this_host_is_not_reported() {
    for (own_address, expected) in [(CLIENT_ADDRESS, 0), (SERVER_ADDRESS, 1)] {
        let own = OwnClients::default();
        let _connection = own.add(own_address.into());
        let mut pipeline = Pipeline::new(Processes::recorded(8), Clock { unix_at_zero_ns: 0 });
        pipeline.exclude_clients(own);
        let (exchanges, ledger) = reported_by(pipeline, &[(Role::Server, SERVER)]);
        assert_eq!((exchanges, ledger.exchanges.views.own), (expected, 1 - expected as u64));
    }
}

#[test]
fn servers_that_are_left_out_are_told_by_address_and_bounded() {
    let server: SocketAddr = SERVER_ADDRESS.into();
    let excluded = |addresses: &[SocketAddr]| {
        let mut pipeline = Pipeline::new(Processes::recorded(8), Clock { unix_at_zero_ns: 0 });
        addresses.iter().for_each(|address| pipeline.exclude_server(*address));
        pipeline.excluded.len()
    };
    assert_eq!(excluded(&[server, server]), 1);
    let many: Vec<_> = (1..=u16::MAX).map(|port| SocketAddr::new(server.ip(), port)).collect();
    assert_eq!(excluded(&many), MOST_EXCLUDED);
}
