//! The way back from events to records: for recordings of traffic that never was.

use std::net::{IpAddr, SocketAddr};

use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Datagram, Direction, Event, Measures, OptedOut,
    ProcessExec, ProcessExit, ProcessFork, Refused, Role, Segment, Source,
};
use zerocopy::{FromZeros, IntoBytes};

use super::{
    AF_INET, AF_INET6, CloseRecord, DatagramRecord, ExecRecord, ExitRecord, ForkRecord, Key,
    MeasuresRecord, OpenRecord, OptedOutRecord, RECORD_CLOSE, RECORD_DATAGRAM, RECORD_EXEC,
    RECORD_EXIT, RECORD_FORK, RECORD_MEASURES, RECORD_OPEN, RECORD_OPTED_OUT, RECORD_REFUSED,
    RECORD_SEGMENT, RefusedRecord, SegmentRecord,
};

/// As much as the kernel side copies of one segment.
const HEAD_MAX: usize = 4096;
const TAIL_MAX: usize = 256;

/// The record that the kernel side would have written of `event`: what [`crate::decode`] turns into
/// it again. Texts and payloads are cut to what a record has room for; a connection's positions, which
/// the kernel side always knows, are 0 where they are not known.
#[must_use]
pub fn encode(event: &Event<'_>) -> Vec<u8> {
    match event {
        Event::Segment(segment) => encode_segment(segment),
        Event::Open(connection) => encode_open(connection),
        Event::Close(close) => encode_close(close),
        Event::Measures(measures) => encode_measures(measures),
        Event::Refused(refused) => encode_refused(refused),
        Event::OptedOut(opted_out) => encode_opted_out(opted_out),
        Event::Datagram(datagram) => encode_datagram(datagram),
        Event::Fork(fork) => encode_fork(fork),
        Event::Exec(exec) => encode_exec(exec),
        Event::Exit(exit) => encode_exit(exit),
    }
}

fn encode_segment(segment: &Segment<'_>) -> Vec<u8> {
    let (head, tail) = (cut(segment.head, HEAD_MAX), cut(segment.tail, TAIL_MAX));
    let record = SegmentRecord {
        kind: RECORD_SEGMENT,
        length: segment.length,
        key: segment.key.into(),
        position: segment.position.0,
        time: segment.ended_ns,
        sent: match segment.direction {
            Direction::Send => segment.started_ns,
            Direction::Receive => 0,
        },
        pid: segment.pid,
        tid: segment.tid,
        head_length: head.len() as u16,
        tail_length: tail.len() as u16,
        direction: match segment.direction {
            Direction::Send => 0,
            Direction::Receive => 1,
        },
        source: match segment.source {
            Source::Socket => 0,
            Source::Tls => 1,
        },
        reserved: [0; 2],
    };
    [record.as_bytes(), head, tail].concat()
}

fn encode_open(connection: &Connection) -> Vec<u8> {
    let (local, remote) = (connection.local, connection.remote);
    let family = if local.is_ipv4() && remote.is_ipv4() { AF_INET } else { AF_INET6 };
    let record = OpenRecord {
        kind: RECORD_OPEN,
        role: match connection.role {
            Role::Unknown => 0,
            Role::Client => 1,
            Role::Server => 2,
        },
        mid_stream: u8::from(connection.mid_stream),
        family,
        key: connection.key.into(),
        time: connection.time_ns,
        local_address: address_bytes(family, local),
        remote_address: address_bytes(family, remote),
        local_port: local.port().to_be_bytes(),
        remote_port: remote.port().to_be_bytes(),
        network_namespace: connection.network_namespace,
        send_position: connection.send.unwrap_or_default().0,
        receive_position: connection.receive.unwrap_or_default().0,
    };
    record.as_bytes().to_vec()
}

fn address_bytes(family: u16, address: SocketAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    match address.ip() {
        IpAddr::V4(ip) if family == AF_INET => {
            for (to, from) in bytes.iter_mut().zip(ip.octets()) {
                *to = from;
            }
        }
        IpAddr::V4(ip) => bytes = ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => bytes = ip.octets(),
    }
    bytes
}

fn errno(reason: CloseReason) -> u32 {
    match reason {
        CloseReason::Finished => 0,
        CloseReason::Reset => 104,
        CloseReason::TimedOut => 110,
        CloseReason::Refused => 111,
        CloseReason::Failed(error) => error as u32,
    }
}

fn encode_measures(measures: &Measures) -> Vec<u8> {
    let us = |ns: Option<u64>| u32::try_from(ns.unwrap_or(0) / 1_000).unwrap_or(u32::MAX);
    let record = MeasuresRecord {
        kind: RECORD_MEASURES,
        retransmits: measures.retransmits,
        key: measures.key.into(),
        time: measures.time_ns,
        handshake: measures.handshake_ns.unwrap_or(0),
        round_trip: us(measures.round_trip_ns),
        least_round_trip: us(measures.least_round_trip_ns),
    };
    record.as_bytes().to_vec()
}

fn encode_opted_out(opted_out: &OptedOut) -> Vec<u8> {
    let OptedOut { key, time_ns } = *opted_out;
    let record =
        OptedOutRecord { kind: RECORD_OPTED_OUT, reserved: 0, key: key.into(), time: time_ns };
    record.as_bytes().to_vec()
}

fn encode_refused(refused: &Refused) -> Vec<u8> {
    let (local, remote) = (refused.local, refused.remote);
    let family = if local.is_ipv4() && remote.is_ipv4() { AF_INET } else { AF_INET6 };
    let record = RefusedRecord {
        kind: RECORD_REFUSED,
        error: errno(refused.reason),
        time: refused.time_ns,
        began: refused.began_ns,
        local_address: address_bytes(family, local),
        remote_address: address_bytes(family, remote),
        local_port: local.port().to_be_bytes(),
        remote_port: remote.port().to_be_bytes(),
        family,
        reserved: 0,
        network_namespace: refused.network_namespace,
        pid: refused.pid,
    };
    record.as_bytes().to_vec()
}

fn encode_close(close: &Close) -> Vec<u8> {
    let record = CloseRecord {
        kind: RECORD_CLOSE,
        error: errno(close.reason),
        key: close.key.into(),
        time: close.time_ns,
        send_position: close.send.unwrap_or_default().0,
        receive_position: close.receive.unwrap_or_default().0,
    };
    record.as_bytes().to_vec()
}

fn encode_datagram(datagram: &Datagram<'_>) -> Vec<u8> {
    let head = cut(datagram.head, HEAD_MAX);
    let remote = datagram.remote.unwrap_or(SocketAddr::new(datagram.local.ip(), 0));
    let family = if datagram.local.is_ipv4() && remote.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut record = DatagramRecord::new_zeroed();
    record.kind = RECORD_DATAGRAM;
    record.family = family;
    record.local_address = address_bytes(family, datagram.local);
    record.local_port = datagram.local.port().to_be_bytes();
    if let Some(remote) = datagram.remote {
        record.remote_address = address_bytes(family, remote);
        record.remote_port = remote.port().to_be_bytes();
    }
    record.network_namespace = datagram.network_namespace;
    record.call.kind = RECORD_SEGMENT;
    record.call.length = datagram.length;
    record.call.time = datagram.time_ns;
    record.call.pid = datagram.pid;
    record.call.tid = datagram.tid;
    record.call.head_length = head.len() as u16;
    record.call.direction = u8::from(datagram.direction == Direction::Receive);
    [record.as_bytes(), head].concat()
}

fn encode_fork(fork: &ProcessFork) -> Vec<u8> {
    let (pid, parent, time) = (fork.pid, fork.parent, fork.time_ns);
    ForkRecord { kind: RECORD_FORK, pid, parent, reserved: 0, time }.as_bytes().to_vec()
}

fn encode_exec(exec: &ProcessExec<'_>) -> Vec<u8> {
    let mut record = ExecRecord::new_zeroed();
    record.kind = RECORD_EXEC;
    record.pid = exec.pid;
    record.parent = exec.parent;
    record.time = exec.time_ns;
    fill(&mut record.comm, exec.comm);
    record.filename_length = fill(&mut record.filename, exec.filename);
    record.arguments_length = fill(&mut record.arguments, exec.arguments);
    record.opted_out = u32::from(exec.opted_out);
    record.as_bytes().to_vec()
}

fn encode_exit(exit: &ProcessExit) -> Vec<u8> {
    let record = ExitRecord { kind: RECORD_EXIT, pid: exit.pid, time: exit.time_ns };
    record.as_bytes().to_vec()
}

/// Copies what there is room for and says how much that was.
fn fill(field: &mut [u8], bytes: &[u8]) -> u16 {
    let mut length = 0;
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
        length += 1;
    }
    length
}

fn cut(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

impl From<ConnectionKey> for Key {
    fn from(key: ConnectionKey) -> Key {
        Key { socket: key.socket, generation: key.generation }
    }
}

#[cfg(test)]
mod tests {
    use alaz_model::Position;

    use super::*;
    use crate::decode;

    const KEY: ConnectionKey = ConnectionKey { socket: 0xffff_8881, generation: 77 };

    /// Through the record and back; compared as text, since events have no equality.
    fn there_and_back(event: Event<'_>) {
        let record = encode(&event);
        assert_eq!(format!("{:?}", decode(&record).unwrap()), format!("{event:?}"));
    }

    fn segment<'a>(direction: Direction, head: &'a [u8], tail: &'a [u8]) -> Event<'a> {
        Event::Segment(Segment {
            key: KEY,
            direction,
            position: Position(1 << 40),
            length: 10_000,
            head,
            tail,
            started_ns: if direction == Direction::Send { 90 } else { 100 },
            ended_ns: 100,
            pid: 5,
            tid: 6,
            source: Source::Socket,
        })
    }

    #[test]
    fn every_event_comes_back_as_it_was() {
        there_and_back(segment(Direction::Send, b"GET / HTTP/1.1\r\n", b""));
        there_and_back(segment(Direction::Receive, b"head", b"tail"));
        for (local, remote) in [
            ("127.0.0.1:80", "10.0.0.9:51000"),
            ("[2001:db8::1]:80", "[::1]:1"),
            ("[2001:db8::1]:80", "10.0.0.9:51000"),
        ] {
            for role in [Role::Unknown, Role::Client, Role::Server] {
                there_and_back(Event::Open(Connection {
                    key: KEY,
                    local: local.parse().unwrap(),
                    remote: remote.parse().unwrap(),
                    network_namespace: 4_026_531_840,
                    role,
                    time_ns: 77,
                    send: Some(Position(1 << 33)),
                    receive: Some(Position(5)),
                    mid_stream: role == Role::Unknown,
                }));
            }
        }
        for reason in [
            CloseReason::Finished,
            CloseReason::Reset,
            CloseReason::TimedOut,
            CloseReason::Refused,
            CloseReason::Failed(5),
        ] {
            there_and_back(Event::Refused(alaz_model::Refused {
                local: "10.0.0.1:40000".parse().unwrap(),
                remote: "10.0.0.2:80".parse().unwrap(),
                network_namespace: 9,
                began_ns: 5,
                time_ns: 6,
                pid: 7,
                reason,
            }));
            there_and_back(Event::OptedOut(OptedOut { key: KEY, time_ns: 8 }));
            there_and_back(Event::Measures(alaz_model::Measures {
                key: KEY,
                time_ns: 3,
                retransmits: 4,
                handshake_ns: Some(77),
                round_trip_ns: Some(5_000),
                least_round_trip_ns: None,
            }));
            there_and_back(Event::Close(Close {
                key: KEY,
                time_ns: 99,
                reason,
                send: Some(Position(7)),
                receive: Some(Position(1 << 33)),
            }));
        }
        there_and_back(Event::Exec(ProcessExec {
            pid: 5,
            parent: 1,
            time_ns: 3,
            comm: b"nginx",
            filename: b"/usr/sbin/nginx",
            arguments: b"nginx\0-g\0daemon off;\0",
            opted_out: true,
        }));
        there_and_back(Event::Exit(ProcessExit { pid: 5, time_ns: 4 }));
    }

    #[test]
    fn what_is_longer_than_its_place_is_cut() {
        let long = [b'x'; 5000];
        let record = encode(&segment(Direction::Send, &long, &long));
        let Some(Event::Segment(cut)) = decode(&record) else { panic!("not a segment") };
        assert_eq!((cut.head.len(), cut.tail.len(), cut.length), (4096, 256, 10_000));
        let exec = ProcessExec {
            pid: 5,
            parent: 1,
            time_ns: 3,
            comm: &long,
            filename: &long,
            arguments: &long,
            opted_out: false,
        };
        let record = encode(&Event::Exec(exec));
        let Some(Event::Exec(cut)) = decode(&record) else { panic!("not an exec") };
        assert_eq!((cut.comm.len(), cut.filename.len(), cut.arguments.len()), (16, 128, 256));
    }
}
