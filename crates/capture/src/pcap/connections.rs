//! The connections of a capture: which packets belong together, who opened, how it ended.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use alaz_model::{Close, CloseReason, Connection, ConnectionKey, Direction, Event, Position, Role};

use super::order::{Data, Order, Output, PLAUSIBLE};
use super::side::DISORDER_NS;
use super::table::{Table, Worth};
use super::transport::Tcp;
use super::{OutOfSight, PcapItem};

/// Connections known at once.
pub(super) const CONNECTIONS_MAX: usize = 65_536;
/// Held by all connections together, as [`Order::cost`] counts.
pub(super) const HELD_TOTAL_MAX: usize = 64 << 20;
/// After its end, packets of a connection may still be on their way for this long (the usual
/// TIME-WAIT); then its addresses may be used again.
const AFTERLIFE_NS: u64 = 60_000_000_000;
/// After a silence this long, only bytes that go on exactly where it ended are the same connection.
const SILENCE_NS: u64 = 3_600_000_000_000;
/// Bytes that a SYN may carry, and its answer acknowledge (RFC 7413).
const SYN_DATA_MAX: u32 = 65_536;

/// One TCP packet and whose it is.
#[derive(Clone, Copy)]
pub(super) struct TcpPacket<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) time_ns: u64,
    pub(super) tcp: Tcp<'a>,
}

/// Two addresses, the lower one first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair(SocketAddr, SocketAddr);

impl Pair {
    fn of(packet: &TcpPacket<'_>) -> Pair {
        let (source, destination) = (packet.source, packet.destination);
        Pair(source.min(destination), source.max(destination))
    }
}

struct Entry {
    order: Order,
    local: SocketAddr,
    /// The last packet's time.
    seen_ns: u64,
    closed_ns: Option<u64>,
    /// As it stands in [`Connections::deadlines`].
    deadline_ns: Option<u64>,
}

/// All connections of a capture.
pub(super) struct Connections {
    table: Table<Pair, Entry>,
    /// The slots of those that hold something, by when they stop waiting.
    deadlines: BTreeSet<(u64, u32)>,
    /// Held by all of them.
    cost: usize,
    opened: u64,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Connections {
        Connections { table: Table::new(limit), deadlines: BTreeSet::new(), cost: 0, opened: 0 }
    }

    /// Takes one packet.
    pub(super) fn take(&mut self, packet: &TcpPacket<'_>, out: &mut Output<'_, '_>) {
        let pair = Pair::of(packet);
        let known = self.table.find(&pair);
        let slot = match known {
            Some(slot) if self.table.get_mut(slot).is_some_and(|it| it.owns(packet, out)) => slot,
            _ if packet.opens() => self.open(pair, known, packet, out),
            _ => {
                out.counters.bytes.after_close += packet.tcp.payload.length as u64;
                return;
            }
        };
        self.with(slot, out, |entry, out| entry.take(packet, out));
        let Some(entry) = self.table.get_mut(slot) else { return };
        let worth = if entry.closed_ns.is_some() { Worth::Spent } else { Worth::Live };
        self.table.touch(slot, worth);
        while self.cost > HELD_TOTAL_MAX
            && let Some((_, slot)) = self.deadlines.first().copied()
        {
            self.with(slot, out, |entry, out| entry.order.flush(out));
        }
    }

    /// Gives up what has been waited for long enough.
    pub(super) fn advance(&mut self, out: &mut Output<'_, '_>) {
        while let Some((deadline_ns, slot)) = self.deadlines.first().copied()
            && deadline_ns <= out.now_ns
        {
            self.with(slot, out, |entry, out| {
                entry.order.expire(out);
                entry.close_if_ended(out.now_ns, out);
            });
        }
    }

    /// Gives up all that is waited for.
    pub(super) fn flush(&mut self, out: &mut Output<'_, '_>) {
        while let Some((_, slot)) = self.deadlines.first().copied() {
            self.with(slot, out, |entry, out| entry.order.flush(out));
        }
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, out: &mut Output<'_, '_>) {
        for slot in 0..self.table.slots() {
            self.with(slot, out, Entry::retire);
        }
    }

    /// Changes one entry, and notes what it holds afterwards and until when.
    fn with(
        &mut self,
        slot: u32,
        out: &mut Output<'_, '_>,
        change: impl FnOnce(&mut Entry, &mut Output<'_, '_>),
    ) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        let cost = entry.order.cost();
        change(entry, out);
        self.cost = self.cost - cost + entry.order.cost();
        let deadline_ns = entry.order.deadline_ns();
        let noted_ns = std::mem::replace(&mut entry.deadline_ns, deadline_ns);
        if noted_ns != deadline_ns {
            if let Some(noted_ns) = noted_ns {
                self.deadlines.remove(&(noted_ns, slot));
            }
            if let Some(deadline_ns) = deadline_ns {
                self.deadlines.insert((deadline_ns, slot));
            }
        }
    }

    /// A connection comes into sight; another one of the same addresses, or the one longest
    /// unused, makes room.
    fn open(
        &mut self,
        pair: Pair,
        known: Option<u32>,
        packet: &TcpPacket<'_>,
        out: &mut Output<'_, '_>,
    ) -> u32 {
        let evicted = known.or_else(|| self.table.next_evicted());
        if let Some(slot) = evicted {
            let live = self.table.get_mut(slot).is_some_and(|entry| entry.closed_ns.is_none());
            out.counters.connections_evicted += u64::from(known.is_none() && live);
            self.with(slot, out, Entry::retire);
        }
        self.opened += 1;
        out.counters.connections += 1;
        let entry = Entry::open(self.opened, packet, out);
        match known.and_then(|slot| self.table.get_mut(slot)) {
            Some(place) => {
                *place = entry;
                known.unwrap_or_default()
            }
            None => self.table.insert(pair, entry),
        }
    }
}

impl TcpPacket<'_> {
    /// It shows a connection that was not known: by its SYN, or by its bytes.
    fn opens(&self) -> bool {
        !self.tcp.rst && (self.tcp.syn || self.tcp.payload.length > 0)
    }
}

impl Entry {
    fn open(number: u64, packet: &TcpPacket<'_>, out: &mut Output<'_, '_>) -> Entry {
        let key = ConnectionKey { socket: number, generation: packet.time_ns };
        let tcp = &packet.tcp;
        // A SYN is sent by the client, its answer to it. Else nothing is known of the roles.
        let (local, remote) = match tcp.syn && tcp.acknowledges.is_some() {
            true => (packet.destination, packet.source),
            false => (packet.source, packet.destination),
        };
        // The number after its SYN's is a side's first byte.
        let first = |sequence: u32| Some(Position(u64::from(sequence)));
        let (send, receive) = match (tcp.syn, tcp.acknowledges) {
            (true, None) => (first(tcp.sequence.wrapping_add(1)), None),
            (true, Some(next)) => (first(next), first(tcp.sequence.wrapping_add(1))),
            (false, _) => (None, None),
        };
        let mut order = Order::new(key);
        let time_ns = order.stamp(packet.time_ns, out.now_ns);
        (out.sink)(PcapItem::Event(Event::Open(Connection {
            key,
            local,
            remote,
            network_namespace: 0,
            role: if tcp.syn { Role::Client } else { Role::Unknown },
            send,
            receive,
            time_ns,
            mid_stream: !tcp.syn,
        })));
        Entry { order, local, seen_ns: packet.time_ns, closed_ns: None, deadline_ns: None }
    }

    /// Which way a packet of this connection goes.
    fn direction(&self, packet: &TcpPacket<'_>) -> Direction {
        match packet.source == self.local {
            true => Direction::Send,
            false => Direction::Receive,
        }
    }

    /// Whether a packet between the same addresses belongs to this connection.
    fn owns(&self, packet: &TcpPacket<'_>, out: &Output<'_, '_>) -> bool {
        let (direction, tcp) = (self.direction(packet), &packet.tcp);
        let (own, other) =
            (self.order.initial(direction), self.order.initial(direction.opposite()));
        let since_end = self.closed_ns.map_or(0, |closed| out.now_ns.saturating_sub(closed));
        match (tcp.syn, tcp.acknowledges) {
            (true, None) => {
                let at_once = self.order.ahead(direction, tcp.sequence).is_none()
                    && other.is_some()
                    && self.closed_ns.is_none();
                // The same again on purpose, by a stack that starts over after a refusal.
                let starts_over = since_end > DISORDER_NS;
                (own == Some(tcp.sequence) && !starts_over) || at_once
            }
            (true, Some(acknowledges)) => {
                own.is_none_or(|own| own == tcp.sequence)
                    && other.is_some_and(|other| {
                        let data = acknowledges.wrapping_sub(other.wrapping_add(1));
                        data <= SYN_DATA_MAX
                    })
            }
            (false, _) if tcp.rst => true,
            (false, _) => since_end <= AFTERLIFE_NS && self.goes_on_with(direction, packet),
        }
    }

    fn goes_on_with(&self, direction: Direction, packet: &TcpPacket<'_>) -> bool {
        let tcp = &packet.tcp;
        let ahead = self.order.ahead(direction, tcp.sequence).unwrap_or(0);
        let acknowledged_ahead = tcp
            .acknowledges
            .and_then(|until| self.order.ahead(direction.opposite(), until))
            .unwrap_or(0);
        let plausible = |ahead: i32| ahead >= 0 || ahead.unsigned_abs() <= PLAUSIBLE;
        let silence = packet.time_ns.saturating_sub(self.seen_ns);
        plausible(ahead)
            && plausible(acknowledged_ahead)
            // A keep-alive is one behind.
            && (silence <= SILENCE_NS || matches!(ahead, -1 | 0))
    }

    fn take(&mut self, packet: &TcpPacket<'_>, out: &mut Output<'_, '_>) {
        let (direction, tcp) = (self.direction(packet), &packet.tcp);
        self.seen_ns = self.seen_ns.max(packet.time_ns);
        if tcp.rst {
            out.counters.bytes.after_close += tcp.payload.length as u64;
            return self.reset(direction, packet, out);
        }
        // The SYN itself takes a number.
        let sequence = tcp.sequence.wrapping_add(u32::from(tcp.syn));
        if tcp.syn {
            self.order.begin(direction, tcp.sequence);
        } else {
            self.order.join(direction, sequence);
        }
        let acknowledges =
            tcp.acknowledges.and_then(|until| self.acknowledge(direction, tcp, until, out.now_ns));
        let Some(position) = self.order.position(direction, sequence) else { return };
        let data = Data {
            direction,
            position,
            acknowledges,
            time_ns: packet.time_ns,
            payload: tcp.payload,
        };
        if self.closed_ns.is_some() {
            self.order.take_after_close(&data, out);
            return;
        }
        if tcp.fin {
            self.order.end(direction, position + tcp.payload.length as u64, out);
        }
        if tcp.payload.length > 0 {
            self.order.take(&data, out);
        } else {
            self.order.look(out);
        }
        self.close_if_ended(packet.time_ns, out);
    }

    /// Notes what a packet acknowledges of the other direction; none if that cannot be true.
    fn acknowledge(
        &mut self,
        direction: Direction,
        tcp: &Tcp<'_>,
        until: u32,
        now_ns: u64,
    ) -> Option<u64> {
        let other = direction.opposite();
        if tcp.syn {
            // What the other side's SYN began with, should that have gone unseen.
            self.order.begin_if_unknown(other, until.wrapping_sub(1));
        } else {
            self.order.join(other, until);
        }
        let ahead = self.order.ahead(other, until)?;
        let until = self.order.position(other, until)?;
        (ahead.unsigned_abs() <= PLAUSIBLE).then(|| {
            self.order.acknowledge(other, until, now_ns);
            until
        })
    }

    fn reset(&mut self, direction: Direction, packet: &TcpPacket<'_>, out: &mut Output<'_, '_>) {
        let tcp = &packet.tcp;
        if self.closed_ns.is_some() {
            return;
        }
        let reason = match self.order.ahead(direction, tcp.sequence) {
            Some(ahead) if ahead.unsigned_abs() <= PLAUSIBLE => CloseReason::Reset,
            Some(_) => return,
            None => {
                // Nothing was ever heard of this side: its answer to a SYN, if it names that.
                let opened = self.order.initial(direction.opposite());
                let named = tcp.acknowledges.map(|until| until.wrapping_sub(1));
                match opened.is_some() && opened == named {
                    true => CloseReason::Refused,
                    false => return,
                }
            }
        };
        self.order.flush(out);
        self.close(packet.time_ns, reason, out);
    }

    fn close_if_ended(&mut self, time_ns: u64, out: &mut Output<'_, '_>) {
        if self.closed_ns.is_none() && self.order.has_ended() {
            self.close(time_ns, CloseReason::Finished, out);
        }
    }

    fn close(&mut self, time_ns: u64, reason: CloseReason, out: &mut Output<'_, '_>) {
        let time_ns = self.order.stamp(time_ns, out.now_ns);
        self.closed_ns = Some(time_ns);
        let close = Close {
            key: self.order.key(),
            time_ns,
            reason,
            send: self.order.stand(Direction::Send),
            receive: self.order.stand(Direction::Receive),
        };
        (out.sink)(PcapItem::Event(Event::Close(close)));
    }

    /// Nothing more will be known of it.
    fn retire(&mut self, out: &mut Output<'_, '_>) {
        self.order.flush(out);
        if self.closed_ns.is_some() {
            return;
        }
        if self.order.is_ending() {
            self.close(out.now_ns, CloseReason::Finished, out);
            return;
        }
        let time_ns = self.order.stamp(out.now_ns, out.now_ns);
        self.closed_ns = Some(time_ns);
        let key = self.order.key();
        (out.sink)(PcapItem::OutOfSight(OutOfSight { key, time_ns }));
    }
}
