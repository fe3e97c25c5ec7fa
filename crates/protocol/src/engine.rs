//! All connections: who they are, their bytes, and the balance of what became of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use alaz_model::{
    Close, Connection as Opened, ConnectionKey, Ledger, LossReason, Segment, Source, TlsHandshake,
    View,
};
use hashbrown::HashMap;

use crate::connection::{Connection, Departure, Desk, Verdict};
use crate::kafka::TopicNames;
use crate::limits::Limits;
use crate::stream::Books;

/// Between two looks at every connection.
const SWEEP_NS: u64 = 1_000_000_000;
/// A connection whose end was not told of may go after this long without a byte, when room is needed.
const FORGOTTEN_NS: u64 = 3600 * 1_000_000_000;

/// From segments to views: one shard. Deterministic, and bounded by [`Limits`].
pub struct Engine {
    limits: Limits,
    /// By socket, which is one connection at a time.
    connections: HashMap<u64, Connection, State>,
    /// Generations by socket of connections that there was no room for, as many as may be known.
    turned_away: HashMap<u64, u64, State>,
    excluded: Vec<SocketAddr>,
    /// Connections in which something waits for a watermark.
    waiting: Vec<ConnectionKey>,
    held_total: usize,
    /// Connections of which more should be copied, or nothing; at most as many as there are.
    wishes: Vec<(ConnectionKey, Wish)>,
    /// Processes that were found to speak TLS; at most as many as connections.
    tls_speakers: Vec<u32>,
    /// How TLS began on connections, told again where more is known; at most as many as connections.
    handshakes: Vec<(ConnectionKey, Arc<TlsHandshake>)>,
    /// What one connection tells and others speak of.
    topics: TopicNames,
    ledger: Ledger,
    swept_ns: u64,
    /// Until then no connection is worth forgetting.
    forget_ns: u64,
}

/// How much should be copied of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Long calls whole: its protocol says more than once in a call what must be known.
    More,
    /// Nothing, for good: it speaks TLS, or what will never be understood.
    Nothing,
}

type State = foldhash::fast::RandomState;

impl Engine {
    /// An engine that knows no connection yet.
    #[must_use]
    pub fn new(limits: Limits) -> Engine {
        Engine {
            limits,
            connections: HashMap::default(),
            turned_away: HashMap::default(),
            excluded: Vec::new(),
            waiting: Vec::new(),
            held_total: 0,
            wishes: Vec::new(),
            tls_speakers: Vec::new(),
            handshakes: Vec::new(),
            topics: TopicNames::default(),
            ledger: Ledger::default(),
            swept_ns: 0,
            forget_ns: 0,
        }
    }

    /// What is said to and by the server that listens at this address of this host is counted only.
    pub fn exclude_server(&mut self, address: SocketAddr) {
        self.excluded.push(address);
    }

    /// A connection came into sight. If its socket was another connection before, that is over. Where
    /// there is no room for it, its segments are lost for that reason.
    pub fn open(&mut self, opened: &Opened, views: &mut Vec<View>) {
        let socket = opened.key.socket;
        match self.connections.get(&socket).map(|earlier| earlier.key().generation) {
            // Told twice, or of a life that is over.
            Some(known) if known >= opened.key.generation => return,
            Some(_) => self.remove(socket, Departure::Unseen, views),
            None => {}
        }
        self.turned_away.remove(&socket);
        if self.connections.len() >= self.limits.connections {
            self.forget(opened.time_ns, views);
        }
        if self.connections.len() < self.limits.connections {
            self.connections.insert(socket, Connection::new(opened, self.is_excluded(opened)));
        } else {
            self.turn_away(opened.key);
        }
    }

    /// Bytes moved; exchanges that they complete go to `views`.
    pub fn segment(&mut self, segment: &Segment<'_>, views: &mut Vec<View>) {
        self.take(segment, LossReason::Unreadable, views);
    }

    /// Bytes moved that are not to be read, though they were copied. Where they would have been
    /// needed, they are lost for the reason [`LossReason::Guard`], like any that could not be read.
    pub fn leave_unread(&mut self, segment: &Segment<'_>, views: &mut Vec<View>) {
        // What is known not to be needed is not read either way.
        let is_passed_by = |known: &Connection| {
            segment.source == Source::Socket && known.key() == segment.key && known.is_passed_by()
        };
        if self.connections.get(&segment.key.socket).is_some_and(is_passed_by) {
            return self.segment(segment, views);
        }
        let unread = Segment { head: &[], tail: &[], ..*segment };
        self.take(&unread, LossReason::Guard, views);
    }

    /// Takes a segment of which something may not have been copied, for this reason where that is all
    /// of it.
    fn take(&mut self, segment: &Segment<'_>, uncopied: LossReason, views: &mut Vec<View>) {
        let key = segment.key;
        let known = self.connections.get_mut(&key.socket);
        let Some(connection) = known.filter(|known| known.key() == key) else {
            let reason = self.why_unknown(key);
            let balance = self.ledger.source_mut(segment.source);
            balance.segments.lose(reason, 1);
            balance.bytes.lose(reason, u64::from(segment.length));
            return;
        };
        let mut desk =
            desk(&mut self.ledger, &mut self.held_total, &mut self.topics, &self.limits, views);
        desk.books.uncopied = uncopied;
        let was_tls = connection.verdict() == Verdict::Tls;
        connection.segment(segment, &mut desk);
        if !was_tls
            && connection.verdict() == Verdict::Tls
            && self.tls_speakers.len() < self.limits.connections
        {
            self.tls_speakers.push(segment.pid);
        }
        if self.handshakes.len() < self.limits.connections
            && let Some(handshake) = connection.take_handshake()
        {
            self.handshakes.push((key, handshake));
        }
        if self.wishes.len() < self.limits.connections
            && let Some(wish) = connection.wish(segment)
        {
            self.wishes.push((key, wish));
        }
        if let Some(close) = connection.due_close(0) {
            self.remove(key.socket, Departure::Ended(close), views);
        } else if connection.is_waiting() && !connection.listed {
            connection.listed = true;
            self.waiting.push(key);
        }
    }

    /// A connection ended. While bytes are missing before its end it is waited for them, as long as
    /// they may be late.
    pub fn close(&mut self, close: &Close, views: &mut Vec<View>) {
        let key = close.key;
        let known = self.connections.get_mut(&key.socket);
        let Some(connection) = known.filter(|known| known.key() == key) else {
            if self.turned_away.get(&key.socket) == Some(&key.generation) {
                self.turned_away.remove(&key.socket);
            }
            return;
        };
        if connection.is_whole(close) {
            self.remove(key.socket, Departure::Ended(*close), views);
            return;
        }
        connection.close_later(close);
        if !connection.listed {
            connection.listed = true;
            self.waiting.push(key);
        }
    }

    /// Nothing more will be known of a connection, nor how it ended: requests that were being
    /// answered are given up.
    pub fn out_of_sight(&mut self, key: ConnectionKey, views: &mut Vec<View>) {
        if self.connections.get(&key.socket).is_some_and(|known| known.key() == key) {
            self.remove(key.socket, Departure::Unseen, views);
        }
    }

    /// Everything from before `watermark_ns` (monotonic) has been given: what waited for it goes on
    /// without.
    pub fn advance(&mut self, watermark_ns: u64, views: &mut Vec<View>) {
        let horizon_ns = watermark_ns.saturating_sub(self.limits.lateness_ns);
        let mut desk =
            desk(&mut self.ledger, &mut self.held_total, &mut self.topics, &self.limits, views);
        self.waiting.retain(|key| {
            let known = self.connections.get_mut(&key.socket);
            let Some(connection) = known.filter(|known| known.key() == *key) else { return false };
            connection.listed = connection.advance(watermark_ns, &mut desk);
            if let Some(close) = connection.due_close(horizon_ns) {
                connection.depart(Departure::Ended(close), &mut desk);
                self.connections.remove(&key.socket);
                return false;
            }
            connection.listed
        });
        if watermark_ns.saturating_sub(self.swept_ns) >= SWEEP_NS {
            self.swept_ns = watermark_ns;
            for connection in self.connections.values_mut() {
                connection.advance(watermark_ns, &mut desk);
            }
        }
    }

    /// Connections of which more should be copied from now on, or less, than the ends of long calls,
    /// each told once, and again after 10 s if that was not heard.
    pub fn take_wishes(&mut self) -> std::vec::Drain<'_, (ConnectionKey, Wish)> {
        self.wishes.drain(..)
    }

    /// Processes on one of whose connections TLS was found, once for each.
    pub fn take_tls_speakers(&mut self) -> std::vec::Drain<'_, u32> {
        self.tls_speakers.drain(..)
    }

    /// How TLS began on connections: as soon as it is found, and again where more becomes known.
    pub fn take_handshakes(&mut self) -> std::vec::Drain<'_, (ConnectionKey, Arc<TlsHandshake>)> {
        self.handshakes.drain(..)
    }

    /// Nothing more will come. Requests that are still being answered are not reported.
    pub fn finish(&mut self, views: &mut Vec<View>) {
        let mut desk =
            desk(&mut self.ledger, &mut self.held_total, &mut self.topics, &self.limits, views);
        for (_, mut connection) in self.connections.drain() {
            connection.depart(Departure::Open, &mut desk);
        }
        self.waiting.clear();
    }

    /// What became of everything that was given, and what the open connections speak.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.ledger;
        ledger.connections.open = self.connections.len() as u64;
        for connection in self.connections.values() {
            match connection.verdict() {
                Verdict::Speaks(protocol) => ledger.connections.count(protocol),
                Verdict::Tls => ledger.connections.tls += 1,
                Verdict::Unknown => ledger.connections.unknown += 1,
            }
        }
        ledger
    }

    fn is_excluded(&self, opened: &Opened) -> bool {
        let is_loopback = match opened.remote.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        let same_host = is_loopback || opened.local.ip() == opened.remote.ip();
        let names = |server: SocketAddr, end: SocketAddr| {
            let everywhere = match server.ip() {
                IpAddr::V4(ip) => ip.is_unspecified(),
                IpAddr::V6(ip) => ip.is_unspecified(),
            };
            server.port() == end.port() && (server.ip() == end.ip() || everywhere && same_host)
        };
        self.excluded
            .iter()
            .any(|server| names(*server, opened.local) || names(*server, opened.remote))
    }

    fn remove(&mut self, socket: u64, departure: Departure, views: &mut Vec<View>) {
        if let Some(mut connection) = self.connections.remove(&socket) {
            let mut desk =
                desk(&mut self.ledger, &mut self.held_total, &mut self.topics, &self.limits, views);
            connection.depart(departure, &mut desk);
        }
    }

    /// Makes room by dropping connections that nothing was heard of for an hour. Looking for them
    /// takes time, so it is not done again before it can be of use, nor at every new connection.
    fn forget(&mut self, now_ns: u64, views: &mut Vec<View>) {
        if now_ns < self.forget_ns {
            return;
        }
        let mut oldest_ns = u64::MAX;
        let mut desk =
            desk(&mut self.ledger, &mut self.held_total, &mut self.topics, &self.limits, views);
        let old = self.connections.extract_if(|_, connection| {
            let until_ns = connection.active_ns.saturating_add(FORGOTTEN_NS);
            if until_ns > now_ns {
                oldest_ns = oldest_ns.min(until_ns);
            }
            until_ns <= now_ns
        });
        for (socket, mut connection) in old {
            connection.depart(Departure::Unseen, &mut desk);
            if self.turned_away.len() < self.limits.connections {
                self.turned_away.insert(socket, connection.key().generation);
            }
        }
        self.forget_ns = oldest_ns.max(now_ns.saturating_add(SWEEP_NS));
    }

    fn turn_away(&mut self, key: ConnectionKey) {
        if self.turned_away.len() < self.limits.connections {
            self.turned_away.insert(key.socket, key.generation);
        }
    }

    /// Why a segment's connection is not known: there was no room for it, or it is over.
    fn why_unknown(&self, key: ConnectionKey) -> LossReason {
        let is_full = self.turned_away.len() >= self.limits.connections;
        match self.turned_away.get(&key.socket) {
            Some(generation) if *generation == key.generation => LossReason::TooManyConnections,
            None if is_full => LossReason::TooManyConnections,
            _ => LossReason::Late,
        }
    }
}

fn desk<'a>(
    ledger: &'a mut Ledger,
    held_total: &'a mut usize,
    topics: &'a mut TopicNames,
    limits: &'a Limits,
    views: &'a mut Vec<View>,
) -> Desk<'a> {
    Desk {
        books: Books {
            balance: &mut ledger.socket,
            held_total,
            limits,
            uncopied: LossReason::Unreadable,
        },
        tls: &mut ledger.tls,
        exchanges: &mut ledger.exchanges,
        views,
        topics,
    }
}

#[cfg(test)]
mod tests;
