//! Tests of the whole way from file to items.

mod build;
mod damage;
mod formats;
mod layers;
mod life;
mod properties;
mod sequence;

use alaz_model::{Direction, Event};

use super::{PcapCounters, PcapError, PcapItem, PcapReader};

/// A small generator of numbers (xorshift64), the same ones in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of `0..limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// An item as a line: times in ms, positions as they are, `…` where bytes were not captured.
fn line(item: &PcapItem<'_>) -> String {
    let ms = |time_ns: u64| time_ns as f64 / 1e6;
    match item {
        PcapItem::Event(Event::Open(open)) => format!(
            "{}: open {} {} {:?}{} @{}",
            open.key.socket,
            open.local,
            open.remote,
            open.role,
            if open.mid_stream { " mid-stream" } else { "" },
            ms(open.time_ns)
        ),
        PcapItem::Event(Event::Segment(segment)) => format!(
            "{}: {} {} {}{} @{}",
            segment.key.socket,
            if segment.direction == Direction::Send { ">" } else { "<" },
            segment.position.0,
            String::from_utf8_lossy(segment.head),
            if segment.copied() < segment.length as usize {
                format!("…{}", segment.length)
            } else {
                String::new()
            },
            ms(segment.ended_ns)
        ),
        PcapItem::Event(Event::Close(close)) => {
            format!("{}: {:?} @{}", close.key.socket, close.reason, ms(close.time_ns))
        }
        PcapItem::OutOfSight(gone) => {
            format!("{}: out of sight @{}", gone.key.socket, ms(gone.time_ns))
        }
        PcapItem::Datagram(datagram) => format!(
            "{} {} {}{} @{}",
            datagram.source,
            datagram.destination,
            String::from_utf8_lossy(datagram.payload),
            if datagram.payload.len() < datagram.length as usize {
                format!("…{}", datagram.length)
            } else {
                String::new()
            },
            ms(datagram.time_ns)
        ),
        PcapItem::Event(other) => panic!("packets tell of no processes: {other:?}"),
    }
}

/// Reads a file; its items as lines, and how it went.
fn read(file: &[u8]) -> (Vec<String>, PcapCounters, Result<(), PcapError>) {
    let mut lines = Vec::new();
    let mut reader = match PcapReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (lines, PcapCounters::default(), Err(error)),
    };
    let result = reader.for_each(|item| lines.push(line(&item)));
    assert_balance(&reader.counters());
    (lines, reader.counters(), result.map(|_| ()))
}

/// Reads a file that is whole.
fn tell(file: &[u8]) -> (Vec<String>, PcapCounters) {
    let (lines, counters, result) = read(file);
    result.unwrap();
    (lines, counters)
}

/// What is told of a whole file before its end is reached.
fn before_end(file: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told = 0;
    let mut reader = PcapReader::new(file).unwrap();
    while reader.read_packet(|item| lines.push(line(&item))).unwrap() {
        told = lines.len();
    }
    lines.truncate(told);
    lines
}

/// Every packet and byte ends in one place.
fn assert_balance(counters: &PcapCounters) {
    let c = counters;
    assert_eq!(
        c.packets + c.reassembled,
        c.unknown_link
            + c.not_ip
            + c.cut_headers
            + c.malformed
            + c.fragments
            + c.other_transport
            + c.tcp_packets
            + c.datagrams,
        "{c:?}"
    );
    let bytes = &c.bytes;
    assert_eq!(
        bytes.seen,
        bytes.delivered + bytes.duplicate + bytes.late + bytes.after_close,
        "{c:?}"
    );
    assert!(c.fragments_lost <= c.fragments);
}
