//! All connections: who they are, their bytes, and the balance of what became of them.

use std::net::{IpAddr, SocketAddr};

use alaz_model::{Close, Connection as Opened, ConnectionKey, Ledger, LossReason, Segment, View};
use hashbrown::HashMap;

use crate::connection::{Connection, Desk, Verdict};
use crate::limits::Limits;
use crate::stream::Books;

/// Between two looks at every connection.
const SWEEP_NS: u64 = 1_000_000_000;
/// A connection whose end was not told of may go after this long without a byte, when room is needed.
const FORGOTTEN_NS: u64 = 3600 * 1_000_000_000;

/// From segments to views: one shard. Deterministic, and bounded by [`Limits`].
pub struct Engine {
    limits: Limits,
    connections: HashMap<ConnectionKey, Connection, foldhash::fast::RandomState>,
    excluded: Vec<SocketAddr>,
    /// Connections in which something waits for a watermark.
    waiting: Vec<ConnectionKey>,
    held_total: usize,
    ledger: Ledger,
    swept_ns: u64,
}

impl Engine {
    /// An engine that knows no connection yet.
    #[must_use]
    pub fn new(limits: Limits) -> Engine {
        Engine {
            limits,
            connections: HashMap::default(),
            excluded: Vec::new(),
            waiting: Vec::new(),
            held_total: 0,
            ledger: Ledger::default(),
            swept_ns: 0,
        }
    }

    /// What is said to and by the server that listens at this address of this host is counted only.
    pub fn exclude_server(&mut self, address: SocketAddr) {
        self.excluded.push(address);
    }

    /// A connection came into sight. Where there is no room for it, its segments are lost for that
    /// reason.
    pub fn open(&mut self, opened: &Opened) {
        if self.connections.len() >= self.limits.connections {
            self.forget(opened.time_ns);
        }
        if self.connections.len() < self.limits.connections {
            let connection = Connection::new(opened, self.is_excluded(opened));
            self.connections.insert(opened.key, connection);
        }
    }

    /// Bytes moved; exchanges that they complete go to `views`.
    pub fn segment(&mut self, segment: &Segment<'_>, views: &mut Vec<View>) {
        let Some(connection) = self.connections.get_mut(&segment.key) else {
            let balance = self.ledger.source_mut(segment.source);
            balance.segments.lose(LossReason::TooManyConnections, 1);
            balance.bytes.lose(LossReason::TooManyConnections, u64::from(segment.length));
            return;
        };
        let mut desk = desk(&mut self.ledger, &mut self.held_total, &self.limits, views);
        connection.segment(segment, &mut desk);
        if connection.is_waiting() && !connection.listed {
            connection.listed = true;
            self.waiting.push(segment.key);
        }
    }

    /// A connection ended.
    pub fn close(&mut self, close: &Close, views: &mut Vec<View>) {
        if let Some(mut connection) = self.connections.remove(&close.key) {
            let mut desk = desk(&mut self.ledger, &mut self.held_total, &self.limits, views);
            connection.close(Some(close.reason), &mut desk);
        }
    }

    /// Nothing more will be known of a connection, nor how it ended: requests that were being
    /// answered are not reported.
    pub fn out_of_sight(&mut self, key: ConnectionKey, views: &mut Vec<View>) {
        if let Some(mut connection) = self.connections.remove(&key) {
            let mut desk = desk(&mut self.ledger, &mut self.held_total, &self.limits, views);
            connection.close(None, &mut desk);
        }
    }

    /// Everything from before `watermark_ns` (monotonic) has been given: what waited for it goes on
    /// without.
    pub fn advance(&mut self, watermark_ns: u64, views: &mut Vec<View>) {
        let mut desk = desk(&mut self.ledger, &mut self.held_total, &self.limits, views);
        self.waiting.retain(|key| {
            let Some(connection) = self.connections.get_mut(key) else { return false };
            connection.listed = connection.advance(watermark_ns, &mut desk);
            connection.listed
        });
        if watermark_ns.saturating_sub(self.swept_ns) >= SWEEP_NS {
            self.swept_ns = watermark_ns;
            for connection in self.connections.values_mut() {
                connection.advance(watermark_ns, &mut desk);
            }
        }
    }

    /// Nothing more will come. Requests that are still being answered are not reported.
    pub fn finish(&mut self, views: &mut Vec<View>) {
        let mut desk = desk(&mut self.ledger, &mut self.held_total, &self.limits, views);
        for (_, mut connection) in self.connections.drain() {
            connection.close(None, &mut desk);
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

    /// Makes room by dropping connections that nothing was heard of for an hour.
    fn forget(&mut self, now_ns: u64) {
        let mut views = Vec::new();
        let mut desk = desk(&mut self.ledger, &mut self.held_total, &self.limits, &mut views);
        self.connections.retain(|_, connection| {
            let keep = connection.active_ns.saturating_add(FORGOTTEN_NS) > now_ns;
            if !keep {
                connection.close(None, &mut desk);
            }
            keep
        });
    }
}

fn desk<'a>(
    ledger: &'a mut Ledger,
    held_total: &'a mut usize,
    limits: &'a Limits,
    views: &'a mut Vec<View>,
) -> Desk<'a> {
    Desk {
        books: Books { balance: &mut ledger.socket, held_total, limits },
        exchanges: &mut ledger.exchanges,
        views,
    }
}

#[cfg(test)]
mod tests;
