//! What is known of the last hour: nodes, edges, and their figures over time.
//!
//! In: slices of the recorder, one a second. Out: sums over any period, by the pages of the API.
//! The recorder's limits bound how many nodes and edges there are (it remembers a little longer
//! than this does), [`MOST_BYTES`] bounds their history.

mod figures;
mod ids;
mod packed;
mod samples;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use alaz_flow::{Counters, EdgeKey, EdgeSlice, EdgeStats, NodeFacts, NodeKey, Slice};
use alaz_model::{Exchange, UnixNanos};
use hashbrown::HashMap;

use crate::layout::{Layout, Place};
pub(crate) use figures::Figures;
pub(crate) use ids::{EdgeId, NodeId};
pub(crate) use samples::{Samples, TOTAL as MOST_SAMPLES};
use steps::{REMEMBERED_NS, Step, Steps};

/// The most memory that history takes. An hour of 100 edges with five routes each fits, all of them
/// busy all the time; of more, steps become longer before their time, and beyond about 250 such
/// edges less than an hour is remembered.
pub const MOST_BYTES: usize = 32 << 20;

const SECOND_NS: u64 = 1_000_000_000;

/// From `from_ns` up to but without `to_ns`, ns since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// When it starts.
    pub from_ns: u64,
    /// When it is over.
    pub to_ns: u64,
}

/// The last hour.
#[derive(Debug)]
pub struct Store {
    nodes: HashMap<NodeId, Node>,
    edges: HashMap<EdgeId, Edge>,
    steps: Steps,
    layout: Layout,
    /// Counts nodes and edges as they come, to keep them in order.
    arrivals: u64,
    /// From when on everything is known; `None` before the first slice.
    since_ns: Option<u64>,
    until_ns: u64,
    counters: Counters,
}

/// A node, known since some time in the hour.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) facts: NodeFacts,
    pub(crate) first_ns: u64,
    last_ns: u64,
    arrival: u64,
}

/// An edge, known since some time in the hour.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) key: EdgeKey,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) samples: Samples,
    /// Everything since it came, without routes: counters only rise.
    pub(crate) total: EdgeStats,
    last_ns: u64,
    arrival: u64,
}

impl Default for Store {
    fn default() -> Store {
        Store::new(MOST_BYTES)
    }
}

impl Store {
    /// An empty one whose history takes at most so many bytes.
    #[must_use]
    pub fn new(most_bytes: usize) -> Store {
        Store {
            nodes: HashMap::new(),
            edges: HashMap::new(),
            steps: Steps::new(most_bytes),
            layout: Layout::default(),
            arrivals: 0,
            since_ns: None,
            until_ns: 0,
            counters: Counters::default(),
        }
    }

    /// Takes what happened from `start` to `end` (wall time).
    pub fn apply(&mut self, slice: &Slice<'_>, start: UnixNanos, end: UnixNanos) {
        let known = (self.nodes.len(), self.edges.len());
        for facts in slice.nodes() {
            self.see_node(facts, start.0);
        }
        let edges: Vec<_> =
            slice.edges().filter_map(|edge| self.see_edge(&edge, start.0)).collect();
        self.counters = slice.counters;
        // What agents tell may be older than what was told before.
        self.since_ns = Some(self.since_ns.map_or(start.0, |since_ns| since_ns.min(start.0)));
        self.until_ns = self.until_ns.max(end.0);
        let step = Step::of(slice, start.0, edges);
        if let Some(dropped_until_ns) = self.steps.push(step, self.until_ns) {
            self.since_ns = self.since_ns.max(Some(dropped_until_ns));
        }
        let forgotten = self.forget();
        if forgotten || known != (self.nodes.len(), self.edges.len()) {
            self.arrange();
        }
    }

    fn see_node(&mut self, facts: &NodeFacts, now_ns: u64) {
        let id = self.node_id(&facts.key);
        let arrival = self.next_arrival();
        let node = self.nodes.entry(id).or_insert_with(|| Node {
            facts: facts.clone(),
            first_ns: now_ns,
            last_ns: now_ns,
            arrival,
        });
        node.last_ns = node.last_ns.max(now_ns);
        if node.facts != *facts {
            node.facts.clone_from(facts);
        }
    }

    fn see_edge(&mut self, slice: &EdgeSlice<'_>, now_ns: u64) -> Option<(EdgeId, Figures)> {
        let key = slice.key;
        let (from, to) = (self.node_id(&key.client), self.node_id(&key.server));
        let mut id = EdgeId::of(key, from, to);
        while self.edges.get(&id).is_some_and(|edge| edge.key != *key) {
            id = id.next();
        }
        let arrival = self.next_arrival();
        let share = samples::share(self.edges.len());
        let oldest_ns = now_ns.saturating_sub(REMEMBERED_NS);
        let edge = self.edges.entry(id).or_insert_with(|| Edge {
            key: key.clone(),
            from,
            to,
            samples: Samples::default(),
            total: EdgeStats::default(),
            last_ns: now_ns,
            arrival,
        });
        edge.last_ns = edge.last_ns.max(now_ns);
        edge.samples.add(slice);
        edge.samples.trim(share, oldest_ns);
        let figures = Figures::pack(slice.stats);
        figures.add_to(&mut edge.total);
        Some((id, figures))
    }

    fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// The node's id: its own, or the next free one where another node has that.
    fn node_id(&self, key: &NodeKey) -> NodeId {
        let mut id = NodeId::of(key);
        while self.nodes.get(&id).is_some_and(|node| *node.facts.key != *key) {
            id = id.next();
        }
        id
    }

    /// Edges and nodes without exchanges for longer than is remembered.
    fn forget(&mut self) -> bool {
        let known = (self.nodes.len(), self.edges.len());
        let oldest_ns = self.until_ns.saturating_sub(REMEMBERED_NS);
        self.edges.retain(|_, edge| edge.last_ns >= oldest_ns);
        self.nodes.retain(|_, node| node.last_ns >= oldest_ns);
        known != (self.nodes.len(), self.edges.len())
    }

    fn arrange(&mut self) {
        let mut nodes: Vec<_> = self.nodes.iter().map(|(id, node)| (node.arrival, *id)).collect();
        nodes.sort_unstable();
        let edges = self.edges.values().map(|edge| (edge.arrival, edge.from, edge.to));
        let mut edges: Vec<_> = edges.collect();
        edges.sort_unstable();
        let nodes: Vec<_> = nodes.into_iter().map(|(_, id)| id).collect();
        let edges: Vec<_> = edges.into_iter().map(|(_, from, to)| (from, to)).collect();
        self.layout.update(&nodes, &edges);
        let share = samples::share(self.edges.len());
        let oldest_ns = self.until_ns.saturating_sub(REMEMBERED_NS);
        self.edges.values_mut().for_each(|edge| edge.samples.trim(share, oldest_ns));
    }

    /// From when on everything is known, at most an hour ago; `None` before the first slice.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        let remembered_ns = self.until_ns.saturating_sub(REMEMBERED_NS);
        self.since_ns.map(|since_ns| since_ns.max(remembered_ns))
    }

    /// Up to when everything is known.
    pub(crate) fn until_ns(&self) -> u64 {
        self.until_ns
    }

    /// How much of the period there are figures for, s.
    pub(crate) fn covered_seconds(&self, period: Period) -> f64 {
        let Some(since_ns) = self.since_ns() else { return 0.0 };
        let from_ns = period.from_ns.max(since_ns);
        let to_ns = period.to_ns.min(self.until_ns);
        to_ns.saturating_sub(from_ns) as f64 / 1e9
    }

    /// Bytes that history takes.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        self.steps.bytes()
    }

    /// What met a limit since the start.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(crate) fn edge(&self, id: EdgeId) -> Option<&Edge> {
        self.edges.get(&id)
    }

    /// The edge that stands for the connections beneath this one, or this one if it does.
    pub(crate) fn connections_beneath(&self, id: EdgeId) -> Option<EdgeId> {
        let above = self.edges.get(&id)?;
        let key = EdgeKey { protocol: None, ..above.key.clone() };
        let mut id = EdgeId::of(&key, above.from, above.to);
        while self.edges.get(&id)?.key != key {
            id = id.next();
        }
        Some(id)
    }

    /// What is kept of the exchanges of all edges, in no order. Some come twice.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Arc<Exchange>> {
        self.edges.values().flat_map(|edge| edge.samples.iter())
    }

    pub(crate) fn place(&self, id: NodeId) -> Place {
        self.layout.place(id)
    }

    /// All nodes, in the order in which they came.
    pub(crate) fn nodes(&self) -> Vec<(NodeId, &Node)> {
        let mut nodes: Vec<_> = self.nodes.iter().map(|(id, node)| (*id, node)).collect();
        nodes.sort_unstable_by_key(|(_, node)| node.arrival);
        nodes
    }

    /// All edges, in the order in which they came.
    pub(crate) fn edges(&self) -> Vec<(EdgeId, &Edge)> {
        let mut edges: Vec<_> = self.edges.iter().map(|(id, edge)| (*id, edge)).collect();
        edges.sort_unstable_by_key(|(_, edge)| edge.arrival);
        edges
    }

    /// The steps that start in the period. The first of all belongs to it also where only its part
    /// since the start does.
    pub(crate) fn steps(&self, period: Period) -> impl Iterator<Item = &Step> {
        let mut from_ns = period.from_ns;
        if self.since_ns().is_some_and(|since_ns| from_ns <= since_ns) {
            from_ns -= from_ns % SECOND_NS;
        }
        self.steps.within(from_ns, period.to_ns)
    }

    /// Length of the longest steps that the period is made of, ns.
    pub(crate) fn longest_step_ns(&self, period: Period) -> u64 {
        self.steps.longest_ns(period.from_ns, period.to_ns)
    }
}
