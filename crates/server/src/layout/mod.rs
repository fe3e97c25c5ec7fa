//! Where nodes stand on the map: callers to the left of what they call.
//!
//! Columns come from the graph alone; rows are remembered, and change only as far as they must.
//! A column has no gaps: its nodes stand in the rows from 0 on.

#[cfg(test)]
mod tests;

use hashbrown::{HashMap, HashSet};

use crate::store::NodeId;

/// A place on the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Column, from the left.
    pub(crate) layer: u32,
    /// Row within the column, from the top.
    pub(crate) row: u32,
}

/// How often rows are sorted by their neighbours when all of them are.
const ROUNDS: usize = 4;

/// The places of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    places: HashMap<NodeId, Place>,
    /// How many nodes there were when rows were last sorted.
    sorted_for: usize,
}

impl Layout {
    /// The place of a node; the first one if it has none.
    pub(crate) fn place(&self, node: NodeId) -> Place {
        self.places.get(&node).copied().unwrap_or_default()
    }

    /// Places these nodes. Both lists are in the order in which their entries first came: where
    /// calls run in a circle, the one that came last is drawn backwards.
    pub(crate) fn update(&mut self, nodes: &[NodeId], edges: &[(NodeId, NodeId)]) {
        let graph = Graph::new(nodes, edges);
        let layers = graph.layers();
        let before: Vec<_> = nodes.iter().map(|node| self.places.get(node).copied()).collect();
        // Sorting moves everything, so it is done only when the map has doubled: a few times in
        // all, and most of them in the first seconds.
        let rows = if nodes.len() >= 2 * self.sorted_for.max(1) {
            self.sorted_for = nodes.len();
            sorted_rows(&graph, &layers, &before)
        } else {
            self.sorted_for = self.sorted_for.min(nodes.len());
            kept_rows(&graph, &layers, &before)
        };
        self.places.clear();
        for ((node, layer), row) in nodes.iter().zip(layers).zip(rows) {
            self.places.insert(*node, Place { layer, row });
        }
    }
}

/// Calls between nodes by their index, without circles.
struct Graph {
    callees: Vec<Vec<usize>>,
    callers: Vec<Vec<usize>>,
}

impl Graph {
    fn new(nodes: &[NodeId], edges: &[(NodeId, NodeId)]) -> Graph {
        let index: HashMap<NodeId, usize> =
            nodes.iter().enumerate().map(|(index, node)| (*node, index)).collect();
        let mut graph = Graph {
            callees: vec![Vec::new(); nodes.len()],
            callers: vec![Vec::new(); nodes.len()],
        };
        let mut known = HashSet::new();
        for (from, to) in edges {
            let (Some(&from), Some(&to)) = (index.get(from), index.get(to)) else { continue };
            if from != to && known.insert((from, to)) && !graph.leads(to, from) {
                graph.callees[from].push(to);
                graph.callers[to].push(from);
            }
        }
        graph
    }

    /// Whether there is a way from one node to the other.
    fn leads(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.callees.len()];
        let mut waiting = vec![from];
        while let Some(node) = waiting.pop() {
            if node == to {
                return true;
            }
            if !std::mem::replace(&mut seen[node], true) {
                waiting.extend(&self.callees[node]);
            }
        }
        false
    }

    /// As far right as its longest line of callers pushes it; who is called by nobody stands just
    /// left of what it calls.
    fn layers(&self) -> Vec<u32> {
        let mut layers = vec![0_u32; self.callees.len()];
        let mut missing: Vec<_> = self.callers.iter().map(Vec::len).collect();
        let mut ready: Vec<_> = (0..layers.len()).filter(|node| missing[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            for &callee in &self.callees[node] {
                layers[callee] = layers[callee].max(layers[node] + 1);
                missing[callee] -= 1;
                if missing[callee] == 0 {
                    ready.push(callee);
                }
            }
        }
        for node in 0..layers.len() {
            if self.callers[node].is_empty()
                && let Some(nearest) = self.callees[node].iter().map(|&to| layers[to]).min()
            {
                layers[node] = nearest.saturating_sub(1);
            }
        }
        layers
    }
}

/// Each layer's nodes, in their order.
fn columns(layers: &[u32]) -> Vec<Vec<usize>> {
    let count = layers.iter().max().map_or(0, |last| *last as usize + 1);
    let mut columns = vec![Vec::new(); count];
    for (node, layer) in layers.iter().enumerate() {
        columns[*layer as usize].push(node);
    }
    columns
}

/// The mean row of these nodes.
fn mean_row(nodes: &[usize], rows: &[u32]) -> Option<f64> {
    let sum: f64 = nodes.iter().map(|node| f64::from(rows[*node])).sum();
    (!nodes.is_empty()).then(|| sum / nodes.len() as f64)
}

/// Rows by the mean of their neighbours', back and forth: few calls cross.
fn sorted_rows(graph: &Graph, layers: &[u32], before: &[Option<Place>]) -> Vec<u32> {
    let mut columns = columns(layers);
    let mut rows = vec![0; layers.len()];
    for column in &mut columns {
        // Near to where they were; new ones last, in the order in which they came.
        column.sort_by_key(|node| before[*node].map_or(u32::MAX, |place| place.row));
        number(column, &mut rows);
    }
    for round in 0..ROUNDS {
        let rightwards = round % 2 == 0;
        let neighbours = if rightwards { &graph.callers } else { &graph.callees };
        let mut sort = |column: &mut Vec<usize>| {
            let mut keyed: Vec<_> = column
                .iter()
                .map(|&node| {
                    let own = f64::from(rows[node]);
                    (mean_row(&neighbours[node], &rows).unwrap_or(own), node)
                })
                .collect();
            keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            *column = keyed.into_iter().map(|(_, node)| node).collect();
            number(column, &mut rows);
        };
        if rightwards {
            columns.iter_mut().for_each(&mut sort);
        } else {
            columns.iter_mut().rev().for_each(&mut sort);
        }
    }
    rows
}

fn number(column: &[usize], rows: &mut [u32]) {
    for (row, node) in (0..).zip(column) {
        rows[*node] = row;
    }
}

/// Rows as they were, wherever the node is still in that column and the row still exists; the
/// others take what is free, in the order of their neighbours.
fn kept_rows(graph: &Graph, layers: &[u32], before: &[Option<Place>]) -> Vec<u32> {
    let mut rows: Vec<_> =
        before.iter().map(|place| place.map_or(u32::MAX, |place| place.row)).collect();
    let known = |nodes: &[usize]| -> Vec<usize> {
        nodes.iter().copied().filter(|node| before[*node].is_some()).collect()
    };
    let wanted: Vec<_> = (0..layers.len())
        .map(|node| {
            let neighbours = [known(&graph.callers[node]), known(&graph.callees[node])].concat();
            let own = before[node].map_or(f64::INFINITY, |place| f64::from(place.row));
            mean_row(&neighbours, &rows).unwrap_or(own)
        })
        .collect();
    for (layer, column) in (0..).zip(columns(layers)) {
        let mut taken = vec![false; column.len()];
        let mut homeless = Vec::new();
        for &node in &column {
            let stays = before[node].filter(|place| place.layer == layer);
            match stays.and_then(|place| taken.get_mut(place.row as usize)) {
                Some(taken) => *taken = true,
                None => homeless.push(node),
            }
        }
        homeless.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
        let free = (0..).zip(&taken).filter(|(_, taken)| !**taken).map(|(row, _)| row);
        for (node, row) in homeless.into_iter().zip(free) {
            rows[node] = row;
        }
    }
    rows
}
