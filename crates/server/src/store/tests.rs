use super::*;
use crate::api::{Map, MapFilter};
use crate::testing::{Filled, SECOND_NS, START_NS, between};
use alaz_model::Exchange;
use proptest::prelude::*;
use std::sync::Arc;

const ALL: Period = Period { from_ns: 0, to_ns: u64::MAX };

fn map(store: &Store, period: Period) -> Map {
    Map::of(store, period, &MapFilter::default())
}

fn requests(store: &Store, period: Period) -> u64 {
    map(store, period).edges.iter().map(|edge| edge.requests).sum()
}

/// At this second after the start.
fn at(second: u64) -> u64 {
    START_NS + second * SECOND_NS
}

#[test]
fn an_edge_keeps_its_id_also_when_it_was_forgotten() {
    let mut filled = Filled::new(Store::default());
    filled.second(at(0), &[between("web", "api", 80), between("web", "db", 5432)]);
    let before = map(&filled.store, ALL);
    filled.second(at(3700), &[between("other", "api", 80)]);
    let meanwhile = map(&filled.store, ALL);
    assert_eq!((meanwhile.nodes.len(), meanwhile.edges.len()), (2, 1));
    filled.second(at(3701), &[between("web", "api", 80)]);
    let after = map(&filled.store, ALL);
    let id = |map: &Map| {
        map.edges
            .iter()
            .find(|edge| edge.port == 80 && edge.from == before.nodes[0].id)
            .unwrap()
            .id
            .clone()
    };
    assert_eq!(id(&before), id(&after));
    assert_eq!(before.nodes[0].name, "web");
}

#[test]
fn ids_that_meet_are_told_apart() {
    let mut filled = Filled::new(Store::default());
    filled.second(at(0), &[between("web", "api", 80)]);
    let store = &mut filled.store;
    let key = store.nodes().iter().map(|(_, node)| node.facts.key.clone()).next().unwrap();
    let own = store.node_id(&key);
    // Another node has the id of this one.
    store.nodes.get_mut(&own).unwrap().facts.key =
        Arc::new(NodeKey { name: "another".into(), ..NodeKey::clone(&key) });
    assert_eq!(store.node_id(&key), own.next());
}

#[test]
fn zombies_are_those_without_requests_in_the_period() {
    let mut filled = Filled::new(Store::default());
    filled.second(at(0), &[between("old", "api", 80)]);
    filled.second(at(100), &[between("new", "api", 80)]);
    let store = &filled.store;
    let zombies = |from, to| -> Vec<(String, bool)> {
        let map = map(store, Period { from_ns: at(from), to_ns: at(to) });
        map.nodes.into_iter().map(|node| (node.name, node.zombie)).collect()
    };
    let named = |name: &str, zombie| (name.to_owned(), zombie);
    assert_eq!(zombies(50, 101), [named("old", true), named("api", false), named("new", false)]);
    assert_eq!(zombies(0, 50), [named("old", false), named("api", false)], "not yet known");
}

#[test]
fn slow_is_against_the_rest_of_the_hour() {
    let mut filled = Filled::new(Store::default());
    let taking = |client, ms: u64| {
        let mut exchange = between(client, "api", 80);
        exchange.latency_ns = Some(ms * 1_000_000);
        exchange
    };
    let usual = [taking("slower", 20), taking("same", 100), taking("tiny", 1)];
    for second in 0..60 {
        filled.second(at(second), &usual);
    }
    let late = [taking("slower", 50), taking("same", 150), taking("tiny", 9), taking("new", 500)];
    filled.second(at(60), &late);
    let map = map(&filled.store, Period { from_ns: at(60), to_ns: at(61) });
    let name = |id: &str| map.nodes.iter().find(|node| node.id == id).unwrap().name.as_str();
    let slow: Vec<_> =
        map.edges.iter().filter(|edge| edge.slow).map(|edge| name(&edge.from)).collect();
    assert_eq!(slow, ["slower"]);
}

#[test]
fn a_period_counts_only_what_there_is_data_for() {
    let mut filled = Filled::new(Store::default());
    for second in 0..10 {
        filled.second(at(second), &[between("web", "api", 80), between("web", "api", 80)]);
    }
    let map = map(&filled.store, Period { from_ns: at(0) - 290 * SECOND_NS, to_ns: at(10) });
    assert_eq!((map.seconds, map.edges[0].rate, map.edges[0].requests), (10.0, 2.0, 20));
    assert_eq!(map.from, "2026-11-23T19:55:10.000000000Z");
}

#[test]
fn history_is_bounded_in_time() {
    let mut filled = Filled::new(Store::default());
    for second in 0..2 * 3600 {
        filled.second(at(second), &[between("web", "api", 80)]);
    }
    let store = &filled.store;
    let steps = store.steps(ALL).count();
    assert!(steps <= 120 + 92 + 45 + 2, "{steps} steps");
    let remembered = requests(store, ALL);
    assert!((3500..=3660).contains(&remembered), "{remembered}");
    assert_eq!(store.since_ns(), Some(at(3600)));
    assert_eq!(store.edges().len(), 1);
    assert_eq!(store.edges()[0].1.total.requests, 2 * 3600, "counters only rise");
}

#[test]
fn history_is_bounded_in_memory() {
    let most = 200_000;
    let mut filled = Filled::new(Store::new(most));
    let edges = 100;
    for second in 0..300 {
        let exchanges: Vec<_> = (0..edges).map(|port| between("web", "api", port)).collect();
        filled.second(at(second), &exchanges);
        assert!(filled.store.history_bytes() <= most);
    }
    let store = &filled.store;
    assert!(store.history_bytes() > most / 2);
    // What is left is whole, and it is known from when on.
    let since_ns = store.since_ns().unwrap();
    assert!(since_ns > at(0) && since_ns < at(299));
    let left_seconds = (at(300) - since_ns) / SECOND_NS;
    assert_eq!(
        requests(store, Period { from_ns: since_ns, to_ns: at(300) }),
        left_seconds * u64::from(edges)
    );
}

#[test]
fn samples_are_bounded_whatever_the_number_of_edges() {
    let mut filled = Filled::new(Store::default());
    let mut failed = between("web", "api", 1);
    failed.message.error = true;
    let slow = Exchange { latency_ns: Some(SECOND_NS), ..between("web", "api", 1) };
    for second in 0..300 {
        let mut exchanges: Vec<Exchange> = vec![between("web", "api", 1); 20];
        exchanges.extend((second == 7).then(|| slow.clone()));
        filled.second(at(second), &exchanges);
        filled.second(at(second), std::slice::from_ref(&failed));
    }
    let kept = |store: &Store| {
        let counts = store.edges.values().map(|edge| edge.samples.len());
        (counts.clone().max().unwrap(), counts.sum::<usize>())
    };
    assert_eq!(kept(&filled.store), (150, 150));
    // Five minutes ago; it is not forgotten for those that were not slow.
    assert!(filled.store.samples().any(|exchange| exchange.latency_ns == Some(SECOND_NS)));
    let exchanges: Vec<_> =
        (1..=2000).flat_map(|port| vec![between("web", "api", port); 20]).collect();
    for second in 300..310 {
        filled.second(at(second), &exchanges);
    }
    let (most, all) = kept(&filled.store);
    assert!(most <= 3 && all <= samples::TOTAL, "{most} {all}");
}

#[test]
fn what_is_kept_of_an_edge_leaves_room_for_each_kind() {
    let exchange = |time: u64, error: bool, latency_ns| {
        let mut exchange = between("web", "api", 80);
        exchange.time = UnixNanos(at(time));
        exchange.latency_ns = Some(latency_ns);
        exchange.message.error = error;
        exchange
    };
    let mut filled = Filled::new(Store::default());
    let kinds = |store: &Store, from, to| {
        let (_, edge) = store.edges().pop().unwrap();
        let recent = edge.samples.recent(at(from), at(to));
        assert!(recent.is_sorted_by_key(|exchange| std::cmp::Reverse(exchange.time)));
        let errors = recent.iter().filter(|exchange| exchange.message.error).count();
        let slow = recent.iter().filter(|exchange| exchange.latency_ns > Some(1_000)).count();
        (errors, slow, recent.len() - errors - slow)
    };
    for second in 0..60 {
        filled.second(at(second), &[exchange(second, true, 1)]);
    }
    assert_eq!(kinds(&filled.store, 0, 60), (50, 0, 0));
    for second in 60..70 {
        filled.second(at(second), &[exchange(second, false, 1)]);
    }
    assert_eq!(kinds(&filled.store, 0, 100), (40, 0, 10));
    assert_eq!(kinds(&filled.store, 58, 62), (2, 0, 2));
    for second in 100..200 {
        let mut exchanges = vec![exchange(second, false, 1_000_000)];
        exchanges.extend((0..200).map(|_| exchange(second, false, 1_000)));
        filled.second(at(second), &exchanges);
    }
    let (errors, slow, others) = kinds(&filled.store, 0, 1000);
    assert!(errors >= 16 && slow >= 16 && others >= 10, "{errors} {slow} {others}");
    assert_eq!(errors + slow + others, samples::RECENT);
    // An hour later only what happened since is recent.
    filled.second(at(3_800), &[exchange(3_800, false, 1_000)]);
    assert_eq!(kinds(&filled.store, 0, 4_000), (0, 0, 1));
}

#[test]
fn a_clock_that_is_set_back_adds_to_what_is_there() {
    let mut filled = Filled::new(Store::default());
    for second in [100, 101, 50, 51, 100, 102] {
        filled.second(at(second), &[between("web", "api", 80)]);
    }
    assert_eq!(requests(&filled.store, ALL), 6);
    assert_eq!(requests(&filled.store, Period { from_ns: at(100), to_ns: at(101) }), 2);
}

proptest! {
    /// However a time is divided, the parts add up to the whole: each exchange counts once.
    #[test]
    fn parts_of_time_add_up(
        seconds in proptest::collection::vec((0_u64..40, 0_usize..4), 1..120),
        mut cuts in proptest::collection::vec(0_u64..5_000_000, 0..6),
    ) {
        let mut filled = Filled::new(Store::default());
        let (mut second, mut all) = (0, 0);
        for (pause, count) in seconds {
            // More than an hour is not kept.
            if second + 1 + pause >= 3500 {
                break;
            }
            second += 1 + pause;
            let exchanges: Vec<_> =
                (0..count).map(|index| between("web", ["api", "db"][index % 2], 80)).collect();
            filled.second(at(second), &exchanges);
            all += count as u64;
        }
        let store = &filled.store;
        cuts.extend([0, 5_000_000]);
        cuts.sort_unstable();
        let times: Vec<_> = cuts.iter().map(|ms| START_NS + ms * 1_000_000).collect();
        let parts: u64 = times
            .windows(2)
            .map(|pair| requests(store, Period { from_ns: pair[0], to_ns: pair[1] }))
            .sum();
        prop_assert_eq!(parts, all);
        prop_assert_eq!(requests(store, ALL), all);
    }

    /// Joining steps loses nothing: sums of everything are those of the exchanges.
    #[test]
    fn ageing_changes_no_sum(latencies in proptest::collection::vec(1_u64..20_000_000_000, 1..200)) {
        let mut filled = Filled::new(Store::default());
        let mut expected = EdgeStats::default();
        for (second, latency_ns) in (0..).zip(&latencies) {
            let mut exchange = between("web", "api", 80);
            exchange.latency_ns = Some(*latency_ns);
            exchange.message.status = if latency_ns % 7 == 0 { "503".into() } else { "200".into() };
            expected.record(&exchange);
            filled.second(at(second * 17), &[exchange]);
        }
        let (id, _) = filled.store.edges()[0];
        let mut found = EdgeStats::default();
        for figures in filled.store.steps(ALL).filter_map(|step| step.edge(id)) {
            figures.add_to(&mut found);
        }
        let sorted = |stats: &EdgeStats| {
            let mut status: Vec<_> = stats.status.iter().map(|(s, n)| (s.to_owned(), n)).collect();
            status.sort();
            status
        };
        prop_assert_eq!(sorted(&found), sorted(&expected));
        prop_assert_eq!((found.requests, &found.latency), (expected.requests, &expected.latency));
    }
}
