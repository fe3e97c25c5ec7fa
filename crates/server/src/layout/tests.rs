use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Nodes by number.
fn id(number: u8) -> NodeId {
    NodeId::parse(&format!("n{number:012x}")).unwrap()
}

fn ids(numbers: &[u8]) -> Vec<NodeId> {
    numbers.iter().copied().map(id).collect()
}

fn calls(edges: &[(u8, u8)]) -> Vec<(NodeId, NodeId)> {
    edges.iter().map(|&(from, to)| (id(from), id(to))).collect()
}

/// Column and row by number.
fn places(layout: &Layout, numbers: &[u8]) -> BTreeMap<u8, (u32, u32)> {
    let place = |number: &u8| layout.place(id(*number));
    numbers.iter().map(|number| (*number, (place(number).layer, place(number).row))).collect()
}

fn laid_out(nodes: &[u8], edges: &[(u8, u8)]) -> BTreeMap<u8, (u32, u32)> {
    let mut layout = Layout::default();
    layout.update(&ids(nodes), &calls(edges));
    places(&layout, nodes)
}

#[test]
fn callers_stand_left_of_what_they_call() {
    // 0 → 1 → 2 → 3, and 0 → 3 directly; 4 calls only the last.
    let places = laid_out(&[0, 1, 2, 3, 4], &[(0, 1), (1, 2), (0, 3), (2, 3), (4, 3)]);
    let layers: Vec<_> = places.values().map(|(layer, _)| *layer).collect();
    assert_eq!(layers, [0, 1, 2, 3, 2]);
}

#[test]
fn of_a_circle_the_newest_call_runs_backwards() {
    let places = laid_out(&[0, 1, 2], &[(0, 1), (1, 2), (2, 0), (1, 1)]);
    assert_eq!(places, BTreeMap::from([(0, (0, 0)), (1, (1, 0)), (2, (2, 0))]));
}

#[test]
fn rows_are_sorted_so_that_calls_do_not_cross() {
    // Came in the order that crosses most.
    let places = laid_out(&[0, 1, 2, 5, 4, 3], &[(0, 3), (1, 4), (2, 5)]);
    assert_eq!([places[&3].1, places[&4].1, places[&5].1], [0, 1, 2]);
}

#[test]
fn a_newcomer_moves_nobody() {
    let mut layout = Layout::default();
    let (mut nodes, mut edges) = (vec![0, 1, 2, 3], vec![(0, 2), (1, 3)]);
    layout.update(&ids(&nodes), &calls(&edges));
    let before = places(&layout, &nodes);
    nodes.push(4);
    edges.push((0, 4));
    layout.update(&ids(&nodes), &calls(&edges));
    let after = places(&layout, &nodes);
    assert_eq!(after[&4], (1, 2));
    assert!(before.iter().all(|(node, place)| after[node] == *place), "{before:?} {after:?}");
}

#[test]
fn who_goes_leaves_no_gap_and_moves_one() {
    let mut layout = Layout::default();
    layout.update(&ids(&[0, 1, 2, 3, 4]), &calls(&[(0, 1), (0, 2), (0, 3), (0, 4)]));
    layout.update(&ids(&[0, 2, 3, 4]), &calls(&[(0, 2), (0, 3), (0, 4)]));
    let after = places(&layout, &[2, 3, 4]);
    assert_eq!(after, BTreeMap::from([(2, (1, 1)), (3, (1, 2)), (4, (1, 0))]));
}

fn graphs() -> impl Strategy<Value = Vec<Vec<(u8, u8)>>> {
    let graph = proptest::collection::vec((0_u8..14, 0_u8..14), 0..30);
    proptest::collection::vec(graph, 1..6)
}

fn nodes_of(edges: &[(u8, u8)]) -> Vec<u8> {
    let mut nodes: Vec<_> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

proptest! {
    #[test]
    fn every_graph_has_a_layout(graphs in graphs()) {
        let mut layout = Layout::default();
        let mut before: BTreeMap<u8, (u32, u32)> = BTreeMap::new();
        for edges in graphs {
            let nodes = nodes_of(&edges);
            let sorted_for = layout.sorted_for;
            layout.update(&ids(&nodes), &calls(&edges));
            let now = places(&layout, &nodes);
            prop_assert_eq!(layout.places.len(), nodes.len());

            // No gaps in columns and rows, which also means that no two share a place.
            let mut columns: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            now.values().for_each(|(layer, row)| columns.entry(*layer).or_default().push(*row));
            for (expected, (layer, rows)) in (0..).zip(&mut columns) {
                rows.sort_unstable();
                prop_assert_eq!(*layer, expected);
                prop_assert_eq!(&*rows, &(0..rows.len() as u32).collect::<Vec<_>>());
            }

            // Who stays in a column keeps the row, if there is such a row still.
            if layout.sorted_for <= sorted_for {
                for (node, (layer, row)) in &now {
                    if let Some((old_layer, old_row)) = before.get(node)
                        && old_layer == layer
                        && (*old_row as usize) < columns[layer].len()
                    {
                        prop_assert_eq!(row, old_row);
                    }
                }
            }

            // The same again changes nothing.
            layout.update(&ids(&nodes), &calls(&edges));
            prop_assert_eq!(&places(&layout, &nodes), &now);
            before = now;
        }
    }

    #[test]
    fn without_circles_every_call_runs_right(edges in proptest::collection::vec((0_u8..12, 0_u8..12), 0..40)) {
        let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from < to).collect();
        let places = laid_out(&nodes_of(&edges), &edges);
        for (from, to) in edges {
            prop_assert!(places[&from].0 < places[&to].0);
        }
    }
}
