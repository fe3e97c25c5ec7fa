//! What holds for any traffic, however the capture disorders, doubles or loses it.

use alaz_model::{Direction, Event};
use proptest::prelude::*;

use super::build::{Captured, ETHERNET, TCP, ethernet, ip, pcap, tcp};
use super::{Random, assert_balance};
use crate::pcap::{PCAP_LATENESS_NS, PcapCounters, PcapItem, PcapReader};

/// A packet with payload: which side's, where in its stream, and how much of the other side's
/// stream had arrived by then.
#[derive(Clone, Debug)]
struct Sent {
    side: usize,
    start: usize,
    end: usize,
    acknowledges: usize,
    time_ns: u64,
}

/// What two sides say, in bursts between which time passes.
#[derive(Clone, Debug)]
struct Script {
    initial: [u32; 2],
    streams: [Vec<u8>; 2],
    bursts: Vec<Vec<Sent>>,
}

/// What was passed on.
struct Passed {
    side: usize,
    start: usize,
    bytes: Vec<u8>,
    time_ns: u64,
}

const PACKET_NS: u64 = 100_000;

fn scripts() -> impl Strategy<Value = Script> {
    // A turn: whose, the lengths of its packets, and the pause before it in ms (mostly none).
    let turn = (0..2_usize, prop::collection::vec(1..50_usize, 1..6), 0..120_u64);
    let initial = prop_oneof![any::<u32>(), (u32::MAX - 500)..];
    ((initial.clone(), initial), prop::collection::vec(turn, 1..25)).prop_map(|(initial, turns)| {
        let mut script = Script {
            initial: [initial.0, initial.1],
            streams: [Vec::new(), Vec::new()],
            bursts: vec![Vec::new()],
        };
        let mut time_ns = 1_000_000_000;
        for (side, lengths, pause_ms) in turns {
            if let Some(pause_ms) = pause_ms.checked_sub(80) {
                time_ns += pause_ms * 1_000_000;
                script.bursts.push(Vec::new());
            }
            for length in lengths {
                let start = script.streams[side].len();
                let fill = (start..start + length).map(|at| (at * 7 + side * 3 + at / 256) as u8);
                script.streams[side].extend(fill);
                time_ns += PACKET_NS;
                let acknowledges = script.streams[1 - side].len();
                let end = start + length;
                let sent = Sent { side, start, end, acknowledges, time_ns };
                script.bursts.last_mut().unwrap().push(sent);
            }
        }
        script
    })
}

impl Script {
    /// Changes the order of packets within each burst by a few places.
    fn disorder(&mut self, random: &mut Random) {
        let times_follow = random.below(2) == 0;
        for burst in &mut self.bursts {
            let times: Vec<u64> = burst.iter().map(|sent| sent.time_ns).collect();
            let mut keyed: Vec<(u64, Sent)> = std::mem::take(burst)
                .into_iter()
                .zip(0..)
                .map(|(sent, at)| (at + random.below(8), sent))
                .collect();
            keyed.sort_by_key(|(key, _)| *key);
            burst.extend(keyed.into_iter().map(|(_, sent)| sent));
            if times_follow {
                burst.iter_mut().zip(times).for_each(|(sent, time_ns)| sent.time_ns = time_ns);
            }
        }
    }

    /// Some packets come twice.
    fn double(&mut self, random: &mut Random) {
        for burst in &mut self.bursts {
            let copies = std::mem::take(burst).into_iter().flat_map(|sent| {
                let times = if random.below(4) == 0 { 2 } else { 1 };
                vec![sent; times]
            });
            *burst = copies.collect();
        }
    }

    /// Some of what was said in earlier bursts is sent again, cut up in other ways.
    fn send_again(&mut self, random: &mut Random) {
        let mut said = [0, 0];
        for burst in &mut self.bursts {
            let Some(time_ns) = burst.first().map(|sent| sent.time_ns) else { continue };
            let before = said;
            for sent in burst.iter() {
                said[sent.side] = said[sent.side].max(sent.end);
            }
            let side = random.below(2) as usize;
            if random.below(3) == 0 && before[side] > 0 {
                let start = random.below(before[side] as u64) as usize;
                let end = start + 1 + random.below((before[side] - start) as u64) as usize;
                let acknowledges = before[1 - side];
                burst.insert(0, Sent { side, start, end, acknowledges, time_ns });
            }
        }
    }

    /// The capture misses some packets; returns which.
    fn lose(&mut self, random: &mut Random, one_in: u64) {
        for burst in &mut self.bursts {
            burst.retain(|_| random.below(one_in) != 0);
        }
    }

    fn file(&self) -> Vec<u8> {
        let addresses = [("10.0.0.1", 4000), ("10.0.0.2", 80)];
        let packet = |side: usize, time_ns, flags: &str, [seq, ack]: [u32; 2], payload: &[u8]| {
            let ((source, from), (destination, to)) = (addresses[side], addresses[1 - side]);
            let packet = tcp((from, to), flags, seq, ack, payload);
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            Captured::new(time_ns, ethernet(&ip(source, destination, TCP, &packet)))
        };
        let [client, server] = self.initial;
        let number =
            |side: usize, at: usize| self.initial[side].wrapping_add(1).wrapping_add(at as u32);
        let mut packets = vec![
            packet(0, 999_000_000, "S", [client, 0], b""),
            packet(1, 999_100_000, "SA", [server, number(0, 0)], b""),
        ];
        packets.extend(self.bursts.iter().flatten().map(|sent| {
            let numbers = [number(sent.side, sent.start), number(1 - sent.side, sent.acknowledges)];
            let payload = &self.streams[sent.side][sent.start..sent.end];
            packet(sent.side, sent.time_ns, "A", numbers, payload)
        }));
        // Ends, a while later.
        let time_ns = packets.last().unwrap().time_ns + 1_000_000_000;
        let ends = [number(0, self.streams[0].len()), number(1, self.streams[1].len())];
        packets.push(packet(0, time_ns, "AF", ends, b""));
        packets.push(packet(1, time_ns, "AF", [ends[1], ends[0].wrapping_add(1)], b""));
        pcap(ETHERNET, &packets)
    }

    fn read(&self) -> (Vec<Passed>, PcapCounters) {
        let file = self.file();
        let (mut passed, mut opened, mut closed) = (Vec::new(), 0, 0);
        let mut latest_ns = 0;
        let counters = PcapReader::new(&file[..]).unwrap().for_each(|item| match item {
            PcapItem::Event(Event::Segment(segment)) => {
                let side = usize::from(segment.direction == Direction::Receive);
                let first = u64::from(self.initial[side].wrapping_add(1));
                assert_eq!(segment.length as usize, segment.head.len());
                passed.push(Passed {
                    side,
                    start: (segment.position.0 - first) as usize,
                    bytes: segment.head.to_vec(),
                    time_ns: segment.ended_ns,
                });
                latest_ns = latest_ns.max(segment.ended_ns);
                assert!(segment.ended_ns + PCAP_LATENESS_NS >= latest_ns);
            }
            PcapItem::Event(Event::Open(_)) => opened += 1,
            PcapItem::Event(Event::Close(_)) => closed += 1,
            other => panic!("{other:?}"),
        });
        assert_eq!((opened, closed), (1, 1));
        let counters = counters.unwrap();
        assert_balance(&counters);
        (passed, counters)
    }
}

/// What holds in any case: bytes are those of their place, each place comes once and in order, and
/// times do not go back.
fn assert_true(script: &Script, passed: &[Passed], counters: &PcapCounters) {
    let mut reached = [0, 0];
    let mut delivered = 0;
    let mut time_ns = 0;
    for piece in passed {
        let end = piece.start + piece.bytes.len();
        assert!(piece.start >= reached[piece.side]);
        assert_eq!(script.streams[piece.side][piece.start..end], piece.bytes);
        assert!(piece.time_ns >= time_ns);
        reached[piece.side] = end;
        delivered += piece.bytes.len() as u64;
        time_ns = piece.time_ns;
    }
    assert_eq!(delivered, counters.bytes.delivered);
    // The ends were seen and acknowledged, so what is missing is known to the byte.
    let said: usize = script.streams.iter().map(Vec::len).sum();
    assert_eq!(delivered + counters.missing_bytes, said as u64);
}

/// No bytes come after others that answer them.
fn assert_causes_first(packets: &[Sent], passed: &[Passed]) {
    let mut reached = [0, 0];
    for piece in passed {
        let other = 1 - piece.side;
        assert!(piece.start >= reached[piece.side], "its answer went before it");
        let last = piece.start + piece.bytes.len() - 1;
        let packet = packets
            .iter()
            .find(|sent| sent.side == piece.side && (sent.start..sent.end).contains(&last))
            .unwrap();
        reached[other] = reached[other].max(packet.acknowledges);
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_was_captured(script in scripts(), seed in 1_u64..) {
        let mut random = Random(seed);
        let packets = script.bursts.concat();
        let mut changed = script.clone();
        changed.double(&mut random);
        changed.disorder(&mut random);
        let (passed, counters) = changed.read();
        assert_true(&script, &passed, &counters);
        assert_causes_first(&packets, &passed);
        prop_assert_eq!(counters.holes, 0);
        prop_assert_eq!(counters.bytes.late + counters.bytes.after_close, 0);
        changed.send_again(&mut random);
        let (passed, counters) = changed.read();
        assert_true(&script, &passed, &counters);
        prop_assert_eq!(counters.holes, 0);
        prop_assert_eq!(counters.bytes.late + counters.bytes.after_close, 0);
    }

    #[test]
    fn what_was_missed_is_a_hole_of_its_size(
        script in scripts(),
        seed in 1_u64..,
        one_in in 2_u64..20,
    ) {
        let mut random = Random(seed);
        let packets = script.bursts.concat();
        let mut changed = script.clone();
        changed.lose(&mut random, one_in);
        changed.double(&mut random);
        changed.disorder(&mut random);
        let (passed, counters) = changed.read();
        assert_true(&script, &passed, &counters);
        assert_causes_first(&packets, &passed);
        // Nothing came too late, so all that was captured is there.
        prop_assert_eq!(counters.bytes.late + counters.bytes.after_close, 0);
        changed.send_again(&mut random);
        let (passed, counters) = changed.read();
        assert_true(&script, &passed, &counters);
    }
}
