//! Files that are cut off or damaged anywhere: never a panic, never a contradiction.

use std::collections::HashMap;

use alaz_model::{ConnectionKey, Direction, Event};

use super::build::{
    Bytes, Captured, ETHERNET, TCP, Talk, UDP, ethernet, ip4_fragment, ip6, pcap, tcp, udp,
};
use super::{Random, assert_balance};
use crate::pcap::{PcapItem, PcapReader};

/// A little of everything.
fn packets() -> Vec<Captured> {
    let mut talk = Talk::open();
    talk.client("A", 1004, 5001, "def")
        .client("A", 1001, 5001, "abc")
        .server("A", 5001, 1007, "answer")
        .server("A", 5001, 1007, "answer")
        .server("A", 5010, 1010, "after two holes")
        .client("AF", 1010, 5025, "")
        .server("AF", 5025, 1011, "")
        .client("S", 9000, 0, "")
        .server("RA", 0, 9001, "");
    let (source, destination) = ("10.0.0.9".parse().unwrap(), "10.0.0.8".parse().unwrap());
    let whole = udp((53, 53), b"a datagram in three fragments, more or less");
    let mut add = |packet: Vec<u8>| talk.packets.push(Captured::new(40_000_000, ethernet(&packet)));
    for (number, piece) in whole.chunks(16).enumerate() {
        let place = (number * 16, (number + 1) * 16 < whole.len());
        add(ip4_fragment(source, destination, UDP, 7, place, piece));
    }
    let (source, destination) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let mut inside = vec![TCP, 0, 0, 0, 0, 0, 0, 0];
    inside.extend(tcp((5, 6), "A", u32::MAX - 3, 1, b"over the edge"));
    add(ip6(source, destination, 60, &inside));
    let mut tagged = ethernet(&ip6(source, destination, UDP, &udp((1, 2), b"tagged")));
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    talk.packets.push(Captured::new(41_000_000, tagged));
    talk.packets[4].frame.truncate(60);
    talk.packets
}

fn files() -> [Vec<u8>; 2] {
    let packets = packets();
    let mut ng = Bytes::new(true).section().interface(1, 0, Bytes::new(true));
    ng = ng.block(0x0bad_cafe, Bytes::new(true).padded(b"whatever else"));
    for packet in &packets {
        ng = ng.enhanced(0, packet.time_ns / 1_000, &packet.frame);
    }
    [pcap(ETHERNET, &packets), ng.out]
}

/// Reads a file that may be damaged; whatever it tells must fit together.
fn assert_consistent(file: &[u8]) {
    #[derive(Default)]
    struct Seen {
        is_closed: bool,
        reached: [Option<i64>; 2],
        time_ns: u64,
    }
    let mut connections: HashMap<ConnectionKey, Seen> = HashMap::new();
    let mut went_back = 0;
    let Ok(mut reader) = PcapReader::new(file) else { return };
    let _ = reader.for_each(|item| {
        let (key, time_ns) = match &item {
            PcapItem::Datagram(datagram) => {
                assert!(datagram.payload.len() <= datagram.length as usize);
                return;
            }
            PcapItem::Event(Event::Open(open)) => {
                let before = connections.insert(open.key, Seen::default());
                assert!(before.is_none());
                (open.key, open.time_ns)
            }
            PcapItem::Event(Event::Segment(segment)) => {
                assert!(segment.length > 0 && segment.copied() <= segment.length as usize);
                (segment.key, segment.ended_ns)
            }
            PcapItem::Event(Event::Close(close)) => (close.key, close.time_ns),
            PcapItem::OutOfSight(gone) => (gone.key, gone.time_ns),
            PcapItem::Event(other) => panic!("{other:?}"),
        };
        let seen = connections.get_mut(&key).unwrap();
        assert!(!seen.is_closed);
        went_back += u64::from(time_ns < seen.time_ns);
        seen.time_ns = time_ns;
        match &item {
            PcapItem::Event(Event::Segment(segment)) => {
                let side = usize::from(segment.direction == Direction::Receive);
                let start = segment.position.0.cast_signed();
                assert!(seen.reached[side].is_none_or(|reached| start >= reached));
                seen.reached[side] = Some(start + i64::from(segment.length));
            }
            PcapItem::Event(Event::Open(_)) => {}
            _ => seen.is_closed = true,
        }
    });
    assert!(connections.values().all(|seen| seen.is_closed));
    let counters = reader.counters();
    assert_balance(&counters);
    assert_eq!(counters.connections, connections.len() as u64);
    assert!(counters.clock_set_back > 0 || went_back == 0);
}

#[test]
fn cut_off_anywhere() {
    for file in files() {
        for length in 0..file.len() {
            assert_consistent(&file[..length]);
        }
    }
}

#[test]
fn packets_cut_off_anywhere() {
    for snap_length in 0..120 {
        let mut packets = packets();
        for packet in &mut packets {
            packet.frame.truncate(snap_length);
        }
        assert_consistent(&pcap(ETHERNET, &packets));
    }
}

#[test]
fn every_byte_damaged() {
    for file in files() {
        for at in 0..file.len() {
            for to in [0, 0xff, file[at] ^ 1, file[at] ^ 0x80, file[at].wrapping_add(5)] {
                let mut damaged = file.clone();
                damaged[at] = to;
                assert_consistent(&damaged);
            }
        }
    }
}

#[test]
fn many_bytes_damaged() {
    let mut random = Random(0x5eed);
    for file in files() {
        for _ in 0..4_000 {
            let mut damaged = file.clone();
            for _ in 0..1 + random.below(12) {
                let at = random.below(damaged.len() as u64) as usize;
                match random.below(6) {
                    0 => drop(damaged.drain(at..(at + 8).min(damaged.len()))),
                    1 => damaged.insert(at, random.next() as u8),
                    2 => damaged.extend_from_within(at..(at + 200).min(damaged.len())),
                    _ => damaged[at] = random.next() as u8,
                }
                if damaged.is_empty() {
                    break;
                }
            }
            assert_consistent(&damaged);
        }
    }
}

#[test]
fn every_packet_damaged_but_the_file_whole() {
    let mut random = Random(0xcafe);
    let link_types = [0, 1, 101, 108, 113, 228, 229, 276];
    for round in 0..4_000 {
        let mut packets = packets();
        for _ in 0..random.below(4) {
            let at = random.below(packets.len() as u64) as usize;
            let copy = packets[at].clone();
            packets.insert(random.below(packets.len() as u64) as usize, copy);
        }
        for packet in &mut packets {
            for _ in 0..random.below(3) {
                let at = random.below(packet.frame.len() as u64) as usize;
                packet.frame[at] = random.next() as u8;
            }
            match random.below(40) {
                0 => packet.time_ns = random.below(1 << 61),
                1 => packet.time_ns += random.below(40_000_000_000),
                2 => packet.original = random.below(1 << 20) as usize,
                _ => {}
            }
        }
        let link_type = if round % 4 == 0 { link_types[round / 4 % 8] } else { ETHERNET };
        assert_consistent(&pcap(link_type, &packets));
    }
}
