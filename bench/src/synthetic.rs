//! A recording of traffic that never was: the same bytes on every machine and at every time.
//!
//! It has the shape that a busy nginx and its client give on one host: many kept connections, each
//! exchange seen from both ends, so four segments each; neighbours overlap.

use std::net::{Ipv4Addr, SocketAddr};

use alaz_capture::{Header, KernelCounters, RecordingWriter, encode};
use alaz_model::{
    Connection, ConnectionKey, Direction, EndpointKind, Event, Position, Process, Role, Segment,
    Source,
};

const CONNECTIONS: u64 = 64;
/// Requests that are on their way at once: sent together, answered one by one, read together.
const BURST: u64 = 8;
const STEP_NS: u64 = 5_000;
/// As often as Alaz looks into a busy ring.
const DRAIN_NS: u64 = 5_000_000;
const CLIENT_PID: u32 = 1000;
const SERVER_PID: u32 = 2000;
const NAMESPACE: u32 = 4_026_531_840;
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.26.3\r\n\
    Date: Mon, 23 Nov 2026 20:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 28\r\n\
    Connection: keep-alive\r\n\
    \r\n\
    {\"id\":42,\"name\":\"something\"}";

/// A recording with this many exchanges, rounded down to whole bursts.
pub(crate) fn recording(exchanges: u64) -> anyhow::Result<Vec<u8>> {
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
    };
    traffic.introduce()?;
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
        }
    }
}

struct Traffic<'a> {
    writer: RecordingWriter<&'a mut Vec<u8>>,
    now_ns: u64,
    drained_ns: u64,
    connections: Vec<Pair>,
    counters: KernelCounters,
}

impl Traffic<'_> {
    /// Both processes and all connections come into sight.
    fn introduce(&mut self) -> anyhow::Result<()> {
        for (pid, name) in [(CLIENT_PID, "wrk"), (SERVER_PID, "nginx")] {
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
        let server_address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
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

    /// One request on each of a few neighbouring connections, and the answers.
    fn burst(&mut self, number: u64) -> anyhow::Result<()> {
        let first = number * BURST;
        let each = || first..first + BURST;
        for exchange in each() {
            self.segment(exchange, Direction::Send, Role::Client)?;
        }
        for exchange in each() {
            self.segment(exchange, Direction::Receive, Role::Server)?;
            self.segment(exchange, Direction::Send, Role::Server)?;
        }
        for exchange in each() {
            self.segment(exchange, Direction::Receive, Role::Client)?;
            let pair = &mut self.connections[(exchange % CONNECTIONS) as usize];
            pair.request_at = pair.request_at.plus(request(exchange).len() as u64);
            pair.response_at = pair.response_at.plus(RESPONSE.len() as u64);
        }
        Ok(())
    }

    fn segment(&mut self, exchange: u64, direction: Direction, end: Role) -> anyhow::Result<()> {
        if self.now_ns - self.drained_ns >= DRAIN_NS {
            self.writer.drained(self.now_ns)?;
            self.drained_ns = self.now_ns;
        }
        self.now_ns += STEP_NS;
        let pair = &self.connections[(exchange % CONNECTIONS) as usize];
        let is_request = (end == Role::Client) == (direction == Direction::Send);
        let request = request(exchange);
        let (bytes, position) = match is_request {
            true => (request.as_bytes(), pair.request_at),
            false => (RESPONSE, pair.response_at),
        };
        let (key, pid) = match end {
            Role::Client => (pair.client, CLIENT_PID),
            _ => (pair.server, SERVER_PID),
        };
        let segment = Segment {
            key,
            direction,
            position,
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

fn request(exchange: u64) -> String {
    format!(
        "GET /items/{}?token=secret HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1\r\n\
         Accept: */*\r\n\r\n",
        exchange % 1000
    )
}

#[cfg(test)]
mod tests {
    use alaz_capture::{Frame, RecordingReader, decode};

    use super::*;

    #[test]
    fn the_response_is_as_long_as_it_says() {
        let text = std::str::from_utf8(RESPONSE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        assert_eq!(length.lines().next().unwrap(), body.len().to_string());
    }

    #[test]
    fn both_ends_of_each_exchange_are_there_in_order_and_without_gaps() {
        let bytes = recording(200).unwrap();
        assert_eq!(bytes, recording(200).unwrap(), "the same each time");
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
