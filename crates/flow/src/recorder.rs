//! The hot path: one exchange after the other into the figures of the present period.

mod edges;
mod nodes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use alaz_model::{ConnectionFacts, Endpoint, Exchange, ObservedBy, UnixNanos};
use hashbrown::HashSet;

use crate::{EdgeKey, EdgeStats, Limits, NodeFacts, Part, Path, Sight};
use edges::{Edges, Ends};
use nodes::{Nodes, Side};

/// Between two passes that forget what was not used for long.
const SWEEP_NS: u64 = 60 * 1_000_000_000;
/// The most edges beyond the limit that are told apart to count them.
const OVERFLOW_EDGES: usize = 4096;

/// Counts exchanges by edge until [`Recorder::cut`] gives the figures up.
///
/// In steady state recording allocates nothing but the few samples it keeps: names are looked up
/// once per process, address and route.
#[derive(Debug)]
pub struct Recorder {
    limits: Limits,
    nodes: Nodes,
    edges: Edges,
    /// Edges of this period that did not fit, by a hash of their key.
    overflow_edges: HashSet<u64>,
    overflow_requests: u64,
    /// Edges that did not fit where they were seen.
    told_overflow_edges: u64,
    counters: Counters,
    swept_ns: u64,
    tells_sights: bool,
}

/// Exchanges, and connections, that met a limit, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Not on any edge: there are too many nodes.
    pub nodes: u64,
    /// Not on any edge: there are too many edges.
    pub edges: u64,
    /// Not on any route: there are too many routes, of the edge or of all.
    pub routes: u64,
    /// On an edge of the node for other hosts, and so are connections: there are too many outside hosts.
    pub outbound_hosts: u64,
    /// Connections that are not on any edge: there are too many nodes, or too many edges of
    /// connections.
    pub connections: u64,
}

/// Exchanges of one period that were counted but are on no edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Edges that did not fit; of very many, as many as are told apart.
    pub edges: u64,
    /// Exchanges on them.
    pub requests: u64,
}

/// The figures of one period.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    edges: &'a Edges,
    nodes: &'a Nodes,
    /// What did not fit.
    pub overflow: Overflow,
    /// What met a limit since the start.
    pub counters: Counters,
}

/// The figures of one edge in one period.
#[derive(Clone, Copy, Debug)]
pub struct EdgeSlice<'a> {
    /// Which edge.
    pub key: &'a EdgeKey,
    /// Its figures.
    pub stats: &'a EdgeStats,
    samples: &'a crate::samples::Samples,
}

impl<'a> EdgeSlice<'a> {
    /// Some of the errors: an even choice, oldest first.
    #[must_use]
    pub fn errors(&self) -> &'a [Arc<Exchange>] {
        self.samples.errors()
    }

    /// The slowest of those that are no errors, in no order; one that is less than an eighth slower
    /// than another may be missing.
    #[must_use]
    pub fn slowest(&self) -> &'a [Arc<Exchange>] {
        self.samples.slowest()
    }

    /// Some of those that are no errors: an even choice, oldest first. Slow ones may be among them.
    #[must_use]
    pub fn others(&self) -> &'a [Arc<Exchange>] {
        self.samples.others()
    }
}

impl<'a> Slice<'a> {
    /// The edges that had exchanges or connections, each once.
    pub fn edges(&self) -> impl Iterator<Item = EdgeSlice<'a>> + use<'a> {
        self.edges.touched()
    }

    /// The nodes at the ends of these edges, each once.
    pub fn nodes(&self) -> impl Iterator<Item = &'a NodeFacts> + use<'a> {
        self.nodes.touched()
    }
}

impl Recorder {
    /// An empty one. Allocates as it fills.
    #[must_use]
    pub fn new(limits: Limits) -> Recorder {
        Recorder {
            limits,
            nodes: Nodes::default(),
            edges: Edges::default(),
            overflow_edges: HashSet::new(),
            overflow_requests: 0,
            told_overflow_edges: 0,
            counters: Counters::default(),
            swept_ns: 0,
            tells_sights: false,
        }
    }

    /// The same, of which edges are told apart also by the end that they were seen from, so that
    /// somebody else can join them with what others saw.
    #[must_use]
    pub fn telling_sights(limits: Limits) -> Recorder {
        Recorder { tells_sights: true, ..Recorder::new(limits) }
    }

    /// Counts one exchange. Returns the copy that was kept as a sample, if it was one, for others
    /// to share.
    #[inline]
    pub fn record(&mut self, exchange: &Exchange) -> Option<Arc<Exchange>> {
        let edge = self.count(exchange)?;
        self.edges.offer_sample(edge, exchange)
    }

    /// Counts one exchange, and keeps no copy.
    pub fn record_uncopied(&mut self, exchange: &Exchange) {
        self.count(exchange);
    }

    /// The place of its edge.
    #[inline]
    fn count(&mut self, exchange: &Exchange) -> Option<u32> {
        let Some(nodes) = self.find_nodes(&exchange.client, &exchange.server) else {
            self.counters.nodes += 1;
            self.overflow(exchange);
            return None;
        };
        let ends = Ends {
            client: nodes.0,
            server: nodes.1,
            port: exchange.server.address.port(),
            protocol: Some(exchange.message.protocol),
            sight: self.sight(nodes, exchange.observed_by, &exchange.client, &exchange.server),
        };
        let Some(edge) = self.edges.find(ends, |node| self.nodes.key(node), &self.limits) else {
            self.counters.edges += 1;
            self.overflow(exchange);
            return None;
        };
        if !self.edges.record(edge, exchange, &self.limits) {
            self.counters.routes += 1;
        }
        Some(edge)
    }

    /// Counts one connection, which is over or could not be opened.
    pub fn record_connection(&mut self, facts: &ConnectionFacts) {
        let ends = self.find_nodes(&facts.client, &facts.server).map(|nodes| Ends {
            client: nodes.0,
            server: nodes.1,
            port: facts.server.address.port(),
            protocol: None,
            sight: self.sight(nodes, facts.observed_by, &facts.client, &facts.server),
        });
        let edge =
            ends.and_then(|ends| self.edges.find(ends, |node| self.nodes.key(node), &self.limits));
        match edge {
            Some(edge) => self.edges.record_connection(edge, facts),
            None => self.counters.connections += 1,
        }
    }

    /// Adds what another Alaz counted, as an edge of this one. Gives whether there was a place.
    pub fn add(&mut self, part: &Part) -> bool {
        let (limits, met) = (&self.limits, &mut self.counters);
        let client = self.nodes.find_told(&part.client, Side::Client, limits, met);
        let server = self.nodes.find_told(&part.server, Side::Server, limits, met);
        let (stats, is_exchanges) = (&part.stats, part.protocol.is_some());
        let ends = client.zip(server).map(|(client, server)| Ends {
            client,
            server,
            port: part.port,
            protocol: part.protocol,
            sight: None,
        });
        let edge =
            ends.and_then(|ends| self.edges.find(ends, |node| self.nodes.key(node), &self.limits));
        match edge {
            Some(edge) => {
                self.counters.routes += self.edges.add(edge, stats, &self.limits);
                return true;
            }
            None if !is_exchanges => self.counters.connections += stats.connections.total(),
            None => {
                match ends {
                    Some(_) => self.counters.edges += stats.requests,
                    None => self.counters.nodes += stats.requests,
                }
                self.overflow_requests += stats.requests;
                self.remember_overflow(|edges| edges.overflow_hash_of(part));
            }
        }
        false
    }

    /// Adds exchanges that were on no edge where they were seen.
    pub fn add_overflow(&mut self, overflow: Overflow) {
        self.told_overflow_edges = self.told_overflow_edges.max(overflow.edges);
        self.overflow_requests += overflow.requests;
    }

    /// Offers an exchange, which [`Recorder::add`] has counted in this period, as a sample of its
    /// edge. Returns the copy that was kept.
    pub fn offer(&mut self, exchange: &Exchange) -> Option<Arc<Exchange>> {
        let (client, server) = self.find_nodes(&exchange.client, &exchange.server)?;
        let edge = self.edges.counted(&Ends {
            client,
            server,
            port: exchange.server.address.port(),
            protocol: Some(exchange.message.protocol),
            sight: None,
        })?;
        self.edges.offer_sample(edge, exchange)
    }

    /// Where the node stands for many hosts, their addresses are not told apart either.
    #[inline]
    fn sight(
        &self,
        (client, server): (u32, u32),
        observed_by: ObservedBy,
        at_client: &Endpoint,
        at_server: &Endpoint,
    ) -> Option<Sight> {
        if !self.tells_sights {
            return None;
        }
        let address = |node, endpoint: &Endpoint| match self.nodes.is_other(node) {
            true => Path::UNKNOWN,
            false => endpoint.address.ip(),
        };
        let path = Path { client: address(client, at_client), server: address(server, at_server) };
        Some(Sight::of(observed_by, path))
    }

    #[inline]
    fn find_nodes(&mut self, client: &Endpoint, server: &Endpoint) -> Option<(u32, u32)> {
        let (limits, met) = (&self.limits, &mut self.counters);
        let client = self.nodes.find(client, Side::Client, limits, met);
        let server = self.nodes.find(server, Side::Server, limits, met);
        Some((client?, server?))
    }

    #[cold]
    fn overflow(&mut self, exchange: &Exchange) {
        self.overflow_requests += 1;
        self.remember_overflow(|edges| edges.overflow_hash(exchange));
    }

    fn remember_overflow(&mut self, hash: impl FnOnce(&Edges) -> u64) {
        if self.overflow_edges.len() < OVERFLOW_EDGES {
            self.overflow_edges.insert(hash(&self.edges));
        }
    }

    /// Ends the period: hands its figures to `sink` and starts the next one in the same memory.
    /// `now` is the wall time; what was not used for [`Limits::keep_ns`] loses its place.
    pub fn cut(&mut self, now: UnixNanos, sink: impl FnOnce(&Slice<'_>)) {
        self.edges.close_period(now.0);
        self.nodes.close_period(self.edges.ends(), now.0);
        let overflow = Overflow {
            edges: self.overflow_edges.len() as u64 + std::mem::take(&mut self.told_overflow_edges),
            requests: std::mem::take(&mut self.overflow_requests),
        };
        sink(&Slice { edges: &self.edges, nodes: &self.nodes, overflow, counters: self.counters });
        self.edges.clear();
        self.nodes.clear();
        self.overflow_edges.clear();
        if now.0.abs_diff(self.swept_ns) >= SWEEP_NS {
            self.sweep(now.0);
        }
    }

    fn sweep(&mut self, now_ns: u64) {
        let unused_since_ns = now_ns.saturating_sub(self.limits.keep_ns);
        // Routes come and go faster, and nobody relies on their places.
        let routes_unused_since_ns = self.swept_ns.min(now_ns);
        self.edges.forget(unused_since_ns, routes_unused_since_ns);
        if let Some(moved) = self.nodes.forget(unused_since_ns) {
            self.edges.move_ends(&moved);
        }
        self.swept_ns = now_ns;
    }
}
