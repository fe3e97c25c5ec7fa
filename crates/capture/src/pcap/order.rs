//! One connection seen from outside: the bytes of both directions put in the order in which the
//! two ends used them.
//!
//! A segment is passed on when the bytes before it have been (or were given up), and so have those
//! that it acknowledges: an answer never goes before its question. Until then it is held. What is
//! missing is given up soon where the peer has acknowledged it (then it was there, and the capture
//! missed it), late where not (then it may be sent again), and at once where too much is held.

use alaz_model::{ConnectionKey, Direction, Event, Position, Segment, Source};

use super::part::Part;
use super::side::{Held, Side};
use super::{PCAP_LATENESS_NS, PcapCounters, PcapItem, Sink};

/// How long bytes that nobody has acknowledged may take to be sent again.
const RESEND_NS: u64 = 30_000_000_000;
/// Held by one connection, as [`Held::cost`] counts.
pub(super) const HELD_MAX: usize = 8 << 20;
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

/// Both directions of one connection.
pub(super) struct Order {
    key: ConnectionKey,
    send: Side,
    receive: Side,
    arrivals: u64,
    cost: usize,
    /// The time of the last item.
    last_ns: u64,
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

    /// Behind the last byte of a direction that was passed on or given up.
    pub(super) fn stand(&self, direction: Direction) -> Option<Position> {
        Some(Position(self.side(direction).next?.wrapping_sub(HEADROOM)))
    }

    /// The peer has everything of this direction up to here.
    pub(super) fn acknowledge(&mut self, direction: Direction, until: u64, now_ns: u64) {
        self.side_mut(direction).acknowledge(until, now_ns);
    }

    /// The direction's FIN stands here; what is held of later bytes is not of this stream.
    pub(super) fn end(&mut self, direction: Direction, at: u64, out: &mut Output<'_, '_>) {
        let side = self.side_mut(direction);
        let end = *side.end.get_or_insert(at);
        let mut beyond = side.held.split_off(&end);
        if let Some((position, held)) = side.held.last_key_value()
            && position + held.length as u64 > end
        {
            // Damaged: no honest FIN stands within a packet's bytes.
            beyond.extend(side.held.pop_last());
        }
        for held in beyond.values() {
            self.cost -= held.cost();
            out.counters.bytes.after_close += held.length as u64;
        }
    }

    /// A FIN was seen.
    pub(super) fn is_ending(&self) -> bool {
        BOTH.iter().any(|direction| self.side(*direction).end.is_some())
    }

    /// Both FINs were seen, and all before them.
    pub(super) fn has_ended(&self) -> bool {
        BOTH.iter().all(|direction| {
            let side = self.side(*direction);
            side.end.is_some_and(|end| side.next >= Some(end))
        })
    }

    /// Something is held, or an end that has been seen is not reached.
    fn is_waiting(&self) -> bool {
        let both_end = self.send.end.is_some() && self.receive.end.is_some();
        self.cost > 0 || (both_end && !self.has_ended())
    }

    /// Takes the payload of one packet, and passes on what is in order now.
    pub(super) fn take(&mut self, data: &Data<'_>, out: &mut Output<'_, '_>) {
        let side = self.side(data.direction);
        let Some(next) = side.next else { return };
        let start = data.position;
        let end = start + data.payload.length as u64;
        if data.payload.length == 1 && side.settled(out.now_ns) >= Some(end) {
            // A keep-alive repeats the last byte, or sends any in its place (RFC 9293 §3.8.4).
            out.counters.bytes.duplicate += 1;
            return;
        }
        let beyond = end.saturating_sub(side.end.unwrap_or(u64::MAX).max(start));
        out.counters.bytes.after_close += beyond;
        let end = end - beyond;
        self.count_passed(data.direction, start, end.min(next), out);
        let held_before = self.arrivals;
        self.take_new(data, start.max(next), end, out);
        out.counters.out_of_order += u64::from(self.arrivals > held_before);
        self.release(out);
        while self.cost > HELD_MAX {
            self.force(out);
        }
    }

    /// Takes note of a packet without payload.
    pub(super) fn look(&mut self, out: &mut Output<'_, '_>) {
        self.release(out);
    }

    /// Counts payload that comes after the end of the connection.
    pub(super) fn take_after_close(&self, data: &Data<'_>, out: &mut Output<'_, '_>) {
        let end = data.position + data.payload.length as u64;
        let next = self.side(data.direction).next.unwrap_or(0);
        out.counters.bytes.after_close += end.saturating_sub(next.max(data.position));
        self.count_passed(data.direction, data.position, end.min(next), out);
    }

    /// When to give up what is missing, if something waits for it.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        if !self.is_waiting() {
            return None;
        }
        let of_side = |side: &Side| {
            let held = side.held.first_key_value();
            let sent_again = held.map(|(_, held)| held.time_ns.saturating_add(RESEND_NS));
            [side.settles_ns(), sent_again]
        };
        [of_side(&self.send), of_side(&self.receive)].into_iter().flatten().flatten().min()
    }

    /// The deadline has come: gives up what is missing.
    pub(super) fn expire(&mut self, out: &mut Output<'_, '_>) {
        self.settle(out.now_ns, out);
        if self.deadline_ns().is_some_and(|deadline| deadline <= out.now_ns) {
            self.force(out);
        }
    }

    /// Passes on all that is held, and waits for nothing more.
    pub(super) fn flush(&mut self, out: &mut Output<'_, '_>) {
        while self.cost > 0 {
            self.force(out);
        }
        self.settle(u64::MAX, out);
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
        while let Some(direction) = self.next_in_order().or_else(|| self.next_in_knot()) {
            self.pass_on_first(direction, out);
        }
    }

    /// The direction whose first held segment has come to its turn; if both, the one that came
    /// first.
    fn next_in_order(&self) -> Option<Direction> {
        let is_due = |direction: &Direction| {
            let side = self.side(*direction);
            let acknowledges = side.due().map(|held| held.acknowledges);
            acknowledges.is_some_and(|it| self.side(direction.opposite()).has_passed(it))
        };
        BOTH.into_iter()
            .filter(is_due)
            .min_by_key(|direction| self.side(*direction).first_arrival())
    }

    /// Each direction waits only for the other: one of the two segments was sent again, and now
    /// acknowledges even the answer to itself. That is the one that came later.
    fn next_in_knot(&self) -> Option<Direction> {
        let are_due = BOTH.iter().all(|direction| self.side(*direction).due().is_some());
        BOTH.into_iter()
            .filter(|_| are_due)
            .max_by_key(|direction| self.side(*direction).first_arrival())
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

    /// Gives up the missing bytes that were surely sent, as it will be known then, where something
    /// waits for them.
    fn settle(&mut self, then_ns: u64, out: &mut Output<'_, '_>) {
        let mut moves = true;
        while moves && self.is_waiting() {
            moves = false;
            for direction in BOTH {
                let side = self.side(direction);
                let Some(settled) = side.settled(then_ns) else { continue };
                let first = side.held.first_key_value().map_or(u64::MAX, |(position, _)| *position);
                let to = settled.min(first);
                if side.next.is_some_and(|next| next < to) {
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
        self.settle(u64::MAX, out);
        if self.cost == cost
            && let Some(direction) = BOTH
                .into_iter()
                .filter(|direction| !self.side(*direction).held.is_empty())
                .min_by_key(|direction| self.side(*direction).first_arrival())
        {
            self.pass_on_first(direction, out);
            self.release(out);
        }
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
