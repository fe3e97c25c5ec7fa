//! One connection seen from outside: the bytes of both directions put in the order in which the
//! two ends used them.
//!
//! A segment is passed on when the bytes before it have been (or were given up), and so have those
//! that it acknowledges: an answer never goes before its question. Until then it is held. What is
//! missing is given up soon where the peer has acknowledged it (then it was there, and the capture
//! missed it), late where not (then it may be sent again), and at once where too much is held.

use std::collections::{BTreeMap, VecDeque};

use alaz_model::{ConnectionKey, Direction, Event, Position, Segment, Source};

use super::part::Part;
use super::{PCAP_LATENESS_NS, PcapCounters, PcapItem, Sink};

/// How far packets may be out of order in the file: captured on several CPUs or interfaces.
pub(super) const DISORDER_NS: u64 = 10_000_000;
/// How long bytes that nobody has acknowledged may take to be sent again.
const RESEND_NS: u64 = 30_000_000_000;
/// Held by one connection, as [`Held::cost`] counts.
pub(super) const HELD_MAX: usize = 8 << 20;
/// Beside its bytes, what a held segment takes.
const HELD_OVERHEAD: usize = 128;
/// Holes that are remembered, to tell late bytes from those sent twice.
const HOLES_MAX: usize = 16;
/// Farther from what is expected than this is not of this connection, or damaged. Windows are far
/// smaller.
pub(super) const PLAUSIBLE: u32 = 64 << 20;

/// Positions are kept this much higher than they are given out, so that bytes before the first one
/// seen do not fall below zero. The low half stays the sequence number.
const HEADROOM: u64 = 1 << 32;

/// Where items go, and what is counted on the way.
pub(super) struct Output<'a, 's> {
    pub(super) sink: &'a mut Sink<'s>,
    pub(super) counters: &'a mut PcapCounters,
    /// The file's clock.
    pub(super) now_ns: u64,
}

/// Payload of one packet, at its place in the stream.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) direction: Direction,
    pub(super) position: u64,
    /// Up to where the other direction had come when this was sent.
    pub(super) acknowledges: Option<u64>,
    pub(super) time_ns: u64,
    pub(super) payload: Part<'a>,
}

struct Held {
    arrival: u64,
    acknowledges: Option<u64>,
    time_ns: u64,
    captured: Vec<u8>,
    length: usize,
}

impl Held {
    fn cost(&self) -> usize {
        self.captured.len() + HELD_OVERHEAD
    }
}

/// One direction.
#[derive(Default)]
struct Side {
    /// The sequence number of its SYN, where that was seen.
    initial: Option<u32>,
    /// Everything before has been passed on or given up; none while nothing is known.
    next: Option<u64>,
    /// The peer has everything before.
    acknowledged: Option<u64>,
    /// Its FIN stands here.
    end: Option<u64>,
    /// By position, not overlapping, all at or after `next`.
    held: BTreeMap<u64, Held>,
    /// The last holes that were given up.
    holes: VecDeque<(u64, u64)>,
}

impl Side {
    /// Bytes before this were sent, even if the capture does not have them.
    fn surely_sent(&self) -> Option<u64> {
        self.acknowledged.map(|acknowledged| acknowledged.min(self.end.unwrap_or(u64::MAX)))
    }

    fn is_behind_acknowledged(&self) -> bool {
        matches!((self.next, self.surely_sent()), (Some(next), Some(sent)) if sent > next)
    }

    /// Everything that `acknowledges` covers has been passed on or given up.
    fn has_passed(&self, acknowledges: Option<u64>) -> bool {
        match (self.next, acknowledges) {
            (Some(next), Some(until)) => until.min(self.end.unwrap_or(u64::MAX)) <= next,
            _ => true,
        }
    }

    fn remember_hole(&mut self, from: u64, to: u64) {
        if self.holes.len() >= HOLES_MAX {
            self.holes.pop_front();
        }
        self.holes.push_back((from, to));
    }

    /// How much of a range was given up.
    fn given_up(&self, from: u64, to: u64) -> u64 {
        let overlap = |(start, end): &(u64, u64)| (*end).min(to).saturating_sub((*start).max(from));
        self.holes.iter().map(overlap).sum()
    }
}

/// Both directions of one connection.
pub(super) struct Order {
    key: ConnectionKey,
    send: Side,
    receive: Side,
    arrivals: u64,
    cost: usize,
    /// The time of the last item.
    last_ns: u64,
    /// Since when something waits for bytes that are known to have been sent.
    evidence_ns: Option<u64>,
}

const BOTH: [Direction; 2] = [Direction::Send, Direction::Receive];

impl Order {
    pub(super) fn new(key: ConnectionKey) -> Order {
        Order {
            key,
            send: Side::default(),
            receive: Side::default(),
            arrivals: 0,
            cost: 0,
            last_ns: 0,
            evidence_ns: None,
        }
    }

    pub(super) fn key(&self) -> ConnectionKey {
        self.key
    }

    /// What held segments take.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// The sequence number of a direction's SYN, where that was seen.
    pub(super) fn initial(&self, direction: Direction) -> Option<u32> {
        self.side(direction).initial
    }

    /// A SYN: the direction's first byte has the number after it.
    pub(super) fn begin(&mut self, direction: Direction, initial: u32) {
        let side = self.side_mut(direction);
        side.initial = Some(initial);
        side.next.get_or_insert(HEADROOM + u64::from(initial.wrapping_add(1)));
    }

    /// The other side acknowledged a SYN that was not seen itself.
    pub(super) fn begin_if_unknown(&mut self, direction: Direction, initial: u32) {
        if self.side(direction).next.is_none() {
            self.begin(direction, initial);
        }
    }

    /// The direction begins in the middle, at this sequence number, unless it has begun.
    pub(super) fn join(&mut self, direction: Direction, sequence: u32) {
        let side = self.side_mut(direction);
        if side.next.is_none() {
            let next = HEADROOM + u64::from(sequence);
            side.next = Some(next);
            // What came before was there, but never passed on.
            side.remember_hole(0, next);
        }
    }

    /// How far a sequence number lies ahead of what the direction passed on last, or behind.
    pub(super) fn ahead(&self, direction: Direction, sequence: u32) -> Option<i32> {
        let next = self.side(direction).next?;
        Some(sequence.wrapping_sub(next as u32).cast_signed())
    }

    /// The position of a sequence number; none before the direction has begun.
    pub(super) fn position(&self, direction: Direction, sequence: u32) -> Option<u64> {
        let next = self.side(direction).next?;
        Some(next.wrapping_add_signed(i64::from(self.ahead(direction, sequence)?)))
    }

    /// The peer has everything of this direction up to here.
    pub(super) fn acknowledge(&mut self, direction: Direction, until: u64) {
        let side = self.side_mut(direction);
        side.acknowledged = side.acknowledged.max(Some(until));
    }

    /// The direction's FIN stands here.
    pub(super) fn end(&mut self, direction: Direction, at: u64) {
        self.side_mut(direction).end.get_or_insert(at);
    }

    /// A FIN was seen.
    pub(super) fn is_ending(&self) -> bool {
        BOTH.iter().any(|direction| self.side(*direction).end.is_some())
    }

    /// Both FINs were seen, and all before them.
    pub(super) fn has_ended(&self) -> bool {
        BOTH.iter().all(|direction| {
            let side = self.side(*direction);
            let reached = side.next.max(side.acknowledged);
            side.held.is_empty() && side.end.is_some_and(|end| reached >= Some(end))
        })
    }

    /// Takes the payload of one packet, and passes on what is in order now.
    pub(super) fn take(&mut self, data: &Data<'_>, out: &mut Output<'_, '_>) {
        let side = self.side(data.direction);
        let Some(next) = side.next else { return };
        let start = data.position;
        let end = start + data.payload.length as u64;
        let acknowledged = side.acknowledged.unwrap_or(0);
        if data.payload.length == 1 && end <= acknowledged {
            // A keep-alive repeats the last byte, or sends any in its place (RFC 9293 §3.8.4).
            out.counters.bytes.duplicate += 1;
            return;
        }
        let beyond = end.saturating_sub(side.end.unwrap_or(u64::MAX).max(start));
        out.counters.bytes.after_close += beyond;
        let end = end - beyond;
        self.count_passed(data.direction, start, end.min(next), out);
        let acknowledges = match acknowledged > start {
            // Sent again: what it acknowledges may be the answer to it.
            true => None,
            false => data.acknowledges,
        };
        let held_before = self.arrivals;
        self.take_new(&Data { acknowledges, ..*data }, start.max(next), end, out);
        out.counters.out_of_order += u64::from(self.arrivals > held_before);
        self.release(out);
        while self.cost > HELD_MAX {
            self.force(out);
        }
        self.note_evidence(out.now_ns);
    }

    /// Takes note of a packet without payload.
    pub(super) fn look(&mut self, out: &mut Output<'_, '_>) {
        self.release(out);
        self.note_evidence(out.now_ns);
    }

    /// Counts payload that comes after the end of the connection.
    pub(super) fn take_after_close(&self, data: &Data<'_>, out: &mut Output<'_, '_>) {
        let end = data.position + data.payload.length as u64;
        let next = self.side(data.direction).next.unwrap_or(0);
        out.counters.bytes.after_close += end.saturating_sub(next.max(data.position));
        self.count_passed(data.direction, data.position, end.min(next), out);
    }

    /// When to give up what is missing, if something is held.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        let oldest_ns = BOTH
            .iter()
            .filter_map(|direction| self.side(*direction).held.first_key_value())
            .map(|(_, held)| held.time_ns)
            .min()?;
        let unacknowledged = oldest_ns.saturating_add(RESEND_NS);
        Some(match self.evidence_ns {
            Some(since) => since.saturating_add(DISORDER_NS).min(unacknowledged),
            None => unacknowledged,
        })
    }

    /// The deadline has come: gives up what is missing.
    pub(super) fn expire(&mut self, out: &mut Output<'_, '_>) {
        self.settle(out);
        self.note_evidence(out.now_ns);
        if self.deadline_ns().is_some_and(|deadline| deadline <= out.now_ns) {
            self.force(out);
        }
    }

    /// Passes on all that is held.
    pub(super) fn flush(&mut self, out: &mut Output<'_, '_>) {
        while self.cost > 0 {
            self.force(out);
        }
    }

    /// The time of an item of this connection: never before the last one, nor later than the
    /// file's clock, nor farther behind it than is promised.
    pub(super) fn stamp(&mut self, time_ns: u64, now_ns: u64) -> u64 {
        let earliest = now_ns.saturating_sub(PCAP_LATENESS_NS);
        self.last_ns = time_ns.max(self.last_ns).max(earliest).min(now_ns);
        self.last_ns
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Send => &self.send,
            Direction::Receive => &self.receive,
        }
    }

    fn side_mut(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Send => &mut self.send,
            Direction::Receive => &mut self.receive,
        }
    }

    /// Counts bytes whose place has passed.
    fn count_passed(&self, direction: Direction, from: u64, to: u64, out: &mut Output<'_, '_>) {
        let late = self.side(direction).given_up(from, to);
        out.counters.bytes.late += late;
        out.counters.bytes.duplicate += to.saturating_sub(from).saturating_sub(late);
    }

    /// Passes on or holds those bytes between `start` and `end` that are not held yet.
    fn take_new(&mut self, data: &Data<'_>, start: u64, end: u64, out: &mut Output<'_, '_>) {
        let mut at = start;
        while at < end {
            let side = self.side(data.direction);
            let covered = side
                .held
                .range(..=at)
                .next_back()
                .map_or(at, |(position, held)| (position + held.length as u64).clamp(at, end));
            if covered > at {
                out.counters.bytes.duplicate += covered - at;
                at = covered;
                continue;
            }
            let until = side.held.range(at..end).next().map_or(end, |(position, _)| *position);
            let from = (at - data.position) as usize;
            let captured = data.payload.captured.get(from..).unwrap_or_default();
            let piece = Part::new(captured, (until - at) as usize);
            if side.next == Some(at)
                && self.side(data.direction.opposite()).has_passed(data.acknowledges)
            {
                self.pass_on(data.direction, at, piece, data.time_ns, out);
            } else {
                self.hold(data, at, piece);
            }
            at = until;
        }
    }

    fn hold(&mut self, data: &Data<'_>, at: u64, piece: Part<'_>) {
        let held = Held {
            arrival: self.arrivals,
            acknowledges: data.acknowledges,
            time_ns: data.time_ns,
            captured: piece.captured.to_vec(),
            length: piece.length,
        };
        self.arrivals += 1;
        self.cost += held.cost();
        self.side_mut(data.direction).held.insert(at, held);
    }

    /// Passes on what is held and in order, oldest first.
    fn release(&mut self, out: &mut Output<'_, '_>) {
        while let Some(direction) = self.oldest_held(|order, direction, position, held| {
            order.side(direction).next == Some(position)
                && order.side(direction.opposite()).has_passed(held.acknowledges)
        }) {
            self.pass_on_first(direction, out);
        }
    }

    /// The direction whose first held segment arrived first, of those that `suit`.
    fn oldest_held(
        &self,
        suits: impl Fn(&Order, Direction, u64, &Held) -> bool,
    ) -> Option<Direction> {
        BOTH.into_iter()
            .filter_map(|direction| {
                let (position, held) = self.side(direction).held.first_key_value()?;
                suits(self, direction, *position, held).then_some((held.arrival, direction))
            })
            .min_by_key(|(arrival, _)| *arrival)
            .map(|(_, direction)| direction)
    }

    /// Gives up whatever hole is before a direction's first held segment, and passes that on.
    fn pass_on_first(&mut self, direction: Direction, out: &mut Output<'_, '_>) {
        let Some((position, held)) = self.side_mut(direction).held.pop_first() else { return };
        self.cost -= held.cost();
        self.skip(direction, position, out);
        let piece = Part::new(&held.captured, held.length);
        self.pass_on(direction, position, piece, held.time_ns, out);
    }

    /// Gives up the bytes before `to`.
    fn skip(&mut self, direction: Direction, to: u64, out: &mut Output<'_, '_>) {
        let side = self.side_mut(direction);
        let Some(next) = side.next.filter(|next| *next < to) else { return };
        side.remember_hole(next, to);
        side.next = Some(to);
        out.counters.holes += 1;
        out.counters.missing_bytes += to - next;
    }

    /// Gives up the missing bytes that the peer has acknowledged, where something waits for them.
    fn settle(&mut self, out: &mut Output<'_, '_>) {
        let mut moves = true;
        while moves && self.cost > 0 {
            moves = false;
            for direction in BOTH {
                let side = self.side(direction);
                let Some(sent) = side.surely_sent() else { continue };
                let first = side.held.first_key_value().map_or(u64::MAX, |(position, _)| *position);
                let to = sent.min(first);
                if self.cost > 0 && side.next.is_some_and(|next| next < to) {
                    self.skip(direction, to, out);
                    self.release(out);
                    moves = true;
                }
            }
        }
    }

    /// Passes on at least one held segment, whatever is missing.
    fn force(&mut self, out: &mut Output<'_, '_>) {
        let cost = self.cost;
        self.settle(out);
        if self.cost == cost
            && let Some(direction) = self.oldest_held(|_, _, _, _| true)
        {
            self.pass_on_first(direction, out);
            self.release(out);
        }
        self.note_evidence(out.now_ns);
    }

    fn note_evidence(&mut self, now_ns: u64) {
        let behind = self.send.is_behind_acknowledged() || self.receive.is_behind_acknowledged();
        self.evidence_ns = match self.cost > 0 && behind {
            true => Some(self.evidence_ns.unwrap_or(now_ns)),
            false => None,
        };
    }

    fn pass_on(
        &mut self,
        direction: Direction,
        position: u64,
        piece: Part<'_>,
        time_ns: u64,
        out: &mut Output<'_, '_>,
    ) {
        self.side_mut(direction).next = Some(position + piece.length as u64);
        let stamp_ns = self.stamp(time_ns, out.now_ns);
        out.counters.bytes.delivered += piece.length as u64;
        (out.sink)(PcapItem::Event(Event::Segment(Segment {
            key: self.key,
            direction,
            position: Position(position.wrapping_sub(HEADROOM)),
            // A packet's length is 32 bits wide.
            length: piece.length as u32,
            head: piece.captured,
            tail: &[],
            started_ns: stamp_ns,
            ended_ns: stamp_ns,
            pid: 0,
            tid: 0,
            source: Source::Socket,
        })));
    }
}
