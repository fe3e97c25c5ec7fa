//! What capture reports, kept by connection end.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use alaz_capture::Capture;
use alaz_model::{Close, Connection, ConnectionKey, Direction, Event, Measures, Refused};

/// A segment that outlives the ring.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) direction: Direction,
    pub(crate) position: u64,
    pub(crate) length: usize,
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
}

/// A datagram that outlives the ring.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) local: SocketAddr,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) direction: Direction,
    pub(crate) length: usize,
    pub(crate) head: Vec<u8>,
    pub(crate) time_ns: u64,
    pub(crate) pid: u32,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) segments: Vec<Segment>,
    pub(crate) measures: Option<Measures>,
    pub(crate) close: Option<Close>,
}

/// Everything that a capture has reported.
#[derive(Default)]
pub(crate) struct Observed {
    ends: HashMap<ConnectionKey, End>,
    pub(crate) segments: u64,
    pub(crate) datagrams: Vec<Datagram>,
    pub(crate) refused: Vec<Refused>,
    /// Connections of which it was told that they are opted out.
    pub(crate) opted_out: HashSet<ConnectionKey>,
    /// Segments that are not told since their process is opted out.
    pub(crate) left_out: u64,
    /// Calls that the traffic's processes say they made.
    pub(crate) told: u64,
    /// Calls among them that the capture must count as missed.
    pub(crate) too_many: u64,
    /// Segments that the capture has counted as missed.
    pub(crate) missed: u64,
}

impl Observed {
    pub(crate) fn drain(&mut self, capture: &mut Capture) {
        capture.drain(|event| match event {
            Event::Open(connection) => {
                let end = End { connection, segments: Vec::new(), measures: None, close: None };
                assert!(self.ends.insert(connection.key, end).is_none(), "opened twice");
            }
            Event::Segment(segment) => {
                self.segments += 1;
                let end = self.ends.get_mut(&segment.key).expect("a segment before its connection");
                end.segments.push(Segment {
                    direction: segment.direction,
                    position: segment.position.0,
                    length: segment.length as usize,
                    head: segment.head.to_vec(),
                    tail: segment.tail.to_vec(),
                    pid: segment.pid,
                    tid: segment.tid,
                });
            }
            Event::Close(close) => {
                if let Some(end) = self.ends.get_mut(&close.key) {
                    end.close = Some(close);
                }
            }
            Event::Datagram(datagram) => self.datagrams.push(Datagram {
                local: datagram.local,
                remote: datagram.remote,
                direction: datagram.direction,
                length: datagram.length as usize,
                head: datagram.head.to_vec(),
                time_ns: datagram.time_ns,
                pid: datagram.pid,
            }),
            Event::Measures(measures) => {
                if let Some(end) = self.ends.get_mut(&measures.key) {
                    end.measures = Some(measures);
                }
            }
            Event::Refused(refused) => self.refused.push(refused),
            Event::OptedOut(opted_out) => {
                self.opted_out.insert(opted_out.key);
            }
            Event::Fork(_) | Event::Exec(_) | Event::Exit(_) => {}
        });
    }

    /// Connections that have not ended.
    pub(crate) fn open(&self) -> Vec<ConnectionKey> {
        let is_open =
            |key: &ConnectionKey, end: &End| end.close.is_none() && !self.opted_out.contains(key);
        self.ends.iter().filter(|(key, end)| is_open(key, end)).map(|(key, _)| *key).collect()
    }

    /// The one end with these addresses.
    pub(crate) fn end(&self, local: SocketAddr, remote: SocketAddr) -> Result<&End, String> {
        let mut found = self
            .ends
            .values()
            .filter(|end| end.connection.local == local && end.connection.remote == remote);
        match (found.next(), found.next()) {
            (Some(end), None) => Ok(end),
            (None, _) => Err(format!("{local} to {remote} was not seen")),
            _ => Err(format!("{local} to {remote} was seen as several connections")),
        }
    }
}
