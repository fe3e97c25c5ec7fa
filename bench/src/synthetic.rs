//! A recording of traffic that never was: the same bytes on every machine and at every time.
//!
//! It has the shape that a busy server and its client give on one host: many kept connections, each
//! exchange seen from both ends, so four segments each; neighbours overlap.

use std::net::{Ipv4Addr, SocketAddr};

use alaz_capture::{Header, KernelCounters, RecordingWriter, encode};
use alaz_model::{
    Connection, ConnectionKey, Direction, EndpointKind, Event, Position, Process, Role, Segment,
    Source,
};

use crate::speech::Speech;

const CONNECTIONS: u64 = 64;
/// Requests that are on their way at once: sent together, answered one by one, read together.
const BURST: u64 = 8;
const STEP_NS: u64 = 5_000;
/// As often as Alaz looks into a busy ring.
const DRAIN_NS: u64 = 5_000_000;
const CLIENT_PID: u32 = 1000;
const SERVER_PID: u32 = 2000;
const NAMESPACE: u32 = 4_026_531_840;
/// A recording with this many exchanges, rounded down to whole bursts.
pub(crate) fn recording(speech: &Speech, exchanges: u64) -> anyhow::Result<Vec<u8>> {
    let header = Header {
        host: "synthetic".to_owned(),
        kernel: String::new(),
        alaz: env!("CARGO_PKG_VERSION").to_owned(),
        unix_at_zero_ns: 1_795_464_000_000_000_000,
    };
    let mut bytes = Vec::new();
    let mut traffic = Traffic {
        writer: RecordingWriter::new(&mut bytes, &header)?,
        now_ns: DRAIN_NS,
        drained_ns: 0,
        connections: (0..CONNECTIONS).map(Pair::new).collect(),
        counters: KernelCounters::default(),
        speech,
    };
    traffic.introduce()?;
    traffic.begin()?;
    for burst in 0..exchanges / BURST {
        traffic.burst(burst)?;
    }
    traffic.writer.drained(traffic.now_ns)?;
    traffic.writer.end(&traffic.counters)?;
    Ok(bytes)
}

/// Both ends of one connection.
struct Pair {
    client: ConnectionKey,
    server: ConnectionKey,
    client_address: SocketAddr,
    /// Of the next request and the next response.
    request_at: Position,
    response_at: Position,
    /// So many were said.
    exchanges: u64,
}

impl Pair {
    fn new(number: u64) -> Pair {
        let key = |socket: u64| ConnectionKey { socket, generation: DRAIN_NS };
        Pair {
            client: key(0xffff_8880_0000_0000 + number * 4096),
            server: key(0xffff_8890_0000_0000 + number * 4096),
            client_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000 + number as u16)),
            // Anything: sequence numbers begin at random.
            request_at: Position(number.wrapping_mul(2_654_435_761) & 0xffff_ffff),
            response_at: Position(number.wrapping_mul(2_246_822_519) & 0xffff_ffff),
            exchanges: 0,
        }
    }

    fn said(&mut self, by_client: bool, bytes: &[u8]) {
        let at = if by_client { &mut self.request_at } else { &mut self.response_at };
        *at = at.plus(bytes.len() as u64);
    }
}

const CLIENT_SENDS: (Direction, Role) = (Direction::Send, Role::Client);
const CLIENT_GETS: (Direction, Role) = (Direction::Receive, Role::Client);
const SERVER_SENDS: (Direction, Role) = (Direction::Send, Role::Server);
const SERVER_GETS: (Direction, Role) = (Direction::Receive, Role::Server);

struct Traffic<'a> {
    writer: RecordingWriter<&'a mut Vec<u8>>,
    now_ns: u64,
    drained_ns: u64,
    connections: Vec<Pair>,
    counters: KernelCounters,
    speech: &'a Speech,
}

impl Traffic<'_> {
    /// Both processes and all connections come into sight.
    fn introduce(&mut self) -> anyhow::Result<()> {
        for (pid, name) in [(CLIENT_PID, "wrk"), (SERVER_PID, "server")] {
            self.writer.process(&Process {
                pid,
                parent: 1,
                started_ns: 1,
                name: name.into(),
                workload: name.into(),
                kind: EndpointKind::Process,
                ..Process::default()
            })?;
        }
        let server_address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.speech.port));
        for pair in &self.connections {
            let client = Connection {
                key: pair.client,
                local: pair.client_address,
                remote: server_address,
                network_namespace: NAMESPACE,
                role: Role::Client,
                time_ns: self.now_ns,
                send: Some(pair.request_at),
                receive: Some(pair.response_at),
                mid_stream: false,
            };
            let server = Connection {
                key: pair.server,
                local: server_address,
                remote: pair.client_address,
                role: Role::Server,
                send: Some(pair.response_at),
                receive: Some(pair.request_at),
                ..client
            };
            for connection in [client, server] {
                self.writer.record(&encode(&Event::Open(connection)))?;
            }
        }
        Ok(())
    }

    /// What connections begin with, at both ends.
    fn begin(&mut self) -> anyhow::Result<()> {
        for number in 0..self.connections.len() {
            for (by_client, bytes) in (self.speech.begin)() {
                let ends = if by_client {
                    [CLIENT_SENDS, SERVER_GETS]
                } else {
                    [SERVER_SENDS, CLIENT_GETS]
                };
                for end in ends {
                    self.segment(number, end, &bytes)?;
                }
                self.connections[number].said(by_client, &bytes);
            }
        }
        Ok(())
    }

    /// One request on each of a few neighbouring connections, and the answers.
    fn burst(&mut self, number: u64) -> anyhow::Result<()> {
        let first = number * BURST;
        let each = (first..first + BURST).map(|exchange| (exchange % CONNECTIONS) as usize);
        let speech = self.speech;
        let said: Vec<_> = each
            .map(|number| (number, (speech.exchange)(self.connections[number].exchanges)))
            .collect();
        for (number, (request, _)) in &said {
            self.segment(*number, CLIENT_SENDS, request)?;
        }
        for (number, (request, response)) in &said {
            self.segment(*number, SERVER_GETS, request)?;
            self.segment(*number, SERVER_SENDS, response)?;
        }
        for (number, (request, response)) in &said {
            self.segment(*number, CLIENT_GETS, response)?;
            let pair = &mut self.connections[*number];
            pair.said(true, request);
            pair.said(false, response);
            pair.exchanges += 1;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        number: usize,
        (direction, end): (Direction, Role),
        bytes: &[u8],
    ) -> anyhow::Result<()> {
        if self.now_ns - self.drained_ns >= DRAIN_NS {
            self.writer.drained(self.now_ns)?;
            self.drained_ns = self.now_ns;
        }
        self.now_ns += STEP_NS;
        let pair = &self.connections[number];
        let is_request = (end == Role::Client) == (direction == Direction::Send);
        let (key, pid) = match end {
            Role::Client => (pair.client, CLIENT_PID),
            _ => (pair.server, SERVER_PID),
        };
        let segment = Segment {
            key,
            direction,
            position: if is_request { pair.request_at } else { pair.response_at },
            length: bytes.len() as u32,
            head: bytes,
            tail: &[],
            started_ns: match direction {
                Direction::Send => self.now_ns - STEP_NS / 2,
                Direction::Receive => self.now_ns,
            },
            ended_ns: self.now_ns,
            pid,
            tid: pid,
            source: Source::Socket,
        };
        self.counters.seen.segments += 1;
        self.counters.seen.bytes += bytes.len() as u64;
        self.writer.record(&encode(&Event::Segment(segment)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alaz_capture::{Frame, RecordingReader, decode};

    use super::*;
    use crate::speech::SPEECHES;

    #[test]
    fn both_ends_of_each_exchange_are_there_in_order_and_without_gaps() {
        let bytes = recording(&SPEECHES[0], 200).unwrap();
        assert_eq!(bytes, recording(&SPEECHES[0], 200).unwrap(), "the same each time");
        let mut reader = RecordingReader::new(&bytes[..]).unwrap();
        let (mut opened, mut segments, mut drained, mut last_ns) = (0, 0, 0, 0);
        let mut next = std::collections::HashMap::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            match frame {
                Frame::Record(record) => match decode(record).unwrap() {
                    Event::Open(_) => opened += 1,
                    Event::Segment(segment) => {
                        segments += 1;
                        assert!(segment.started_ns >= drained && segment.ended_ns > last_ns);
                        last_ns = segment.ended_ns;
                        let end = segment.end();
                        if let Some(before) = next.insert((segment.key, segment.direction), end) {
                            assert_eq!(before, segment.position);
                        }
                    }
                    other => panic!("{other:?}"),
                },
                Frame::Drained(time_ns) => drained = time_ns,
                Frame::End(counters) => assert_eq!(counters.seen.segments, segments),
                Frame::Process(process) => assert!(process.pid > 0),
            }
        }
        assert_eq!((opened, segments), (2 * CONNECTIONS, 4 * 200));
        // Two directions at each end.
        assert_eq!(next.len() as u64, 4 * CONNECTIONS);
    }
}
