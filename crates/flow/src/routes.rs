//! Routes learned from what is asked for: which parts of a server's paths vary.
//!
//! A part that looks like an identifier is `{id}` already when it comes here, by its shape. What
//! looks like a word may vary all the same: names of users, slugs, letters alone. So the paths of a
//! server are kept as a tree, and where too many different words stand in one place, that place
//! varies: its words become `{id}`, but those that much of its traffic asks for (`/users/me`).

use std::net::SocketAddr;

use alaz_model::{Exchange, Protocol};
use compact_str::CompactString;
use hashbrown::HashMap;

/// What a part that varies goes by; the parsers use the same.
const VARIABLE: &str = "{id}";
/// Parts of one path that are looked at; what follows is as the parser had it.
const DEPTH: usize = 16;
/// A word stays a word where one of so many requests asks for it.
const OFTEN: u64 = 16;
/// After so long without requests a server gives up its place when another one needs it, ns.
const UNUSED_NS: u64 = 3600 * 1_000_000_000;

/// Bounds of [`Routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// Servers, by address, whose paths are known at once.
    pub servers: usize,
    /// Different words in one place before it varies.
    pub words: usize,
    /// Places and words known at once of one server.
    pub places_per_server: usize,
    /// The same of all servers: about 100 bytes each.
    pub places: usize,
}

impl Default for RouteLimits {
    fn default() -> RouteLimits {
        RouteLimits { servers: 1024, words: 64, places_per_server: 4096, places: 65_536 }
    }
}

/// What is known of the paths of all servers.
#[derive(Debug)]
pub struct Routes {
    limits: RouteLimits,
    servers: HashMap<SocketAddr, Tree, foldhash::fast::RandomState>,
    places: usize,
    unlearned: u64,
}

#[derive(Debug, Default)]
struct Tree {
    root: Place,
    places: usize,
    used_ns: u64,
}

/// What follows one beginning of a path.
#[derive(Debug, Default)]
struct Place {
    words: HashMap<CompactString, Place, foldhash::fast::RandomState>,
    /// What follows where an identifier stands here.
    variable: Option<Box<Place>>,
    /// All words but those known are identifiers.
    varies: bool,
    hits: u64,
}

impl Place {
    /// How many places follow.
    fn size(&self) -> usize {
        let words: usize = self.words.values().map(|place| 1 + place.size()).sum();
        words + self.variable.as_ref().map_or(0, |place| 1 + place.size())
    }

    /// Too many words: all but the frequent ones go. What followed them is learned anew behind the
    /// variable part.
    fn vary(&mut self) {
        let hits = self.hits;
        self.words.retain(|_, word| word.hits.saturating_mul(OFTEN) >= hits);
        self.varies = true;
    }
}

impl Routes {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(limits: RouteLimits) -> Routes {
        Routes { limits, servers: HashMap::default(), places: 0, unlearned: 0 }
    }

    /// Exchanges of whose path nothing could be learned: there is no room.
    #[must_use]
    pub fn unlearned(&self) -> u64 {
        self.unlearned
    }

    /// Replaces the parts of the exchange's route that are known to vary, and learns from it. What a
    /// server did not find says nothing of its paths, and is not learned from.
    pub fn apply(&mut self, exchange: &mut Exchange) {
        let message = &mut exchange.message;
        let is_path = matches!(message.protocol, Protocol::Http | Protocol::Http2);
        let Some(path) = message.route.strip_prefix('/').filter(|_| is_path) else { return };
        let learns = matches!(message.status.as_bytes().first(), Some(b'2' | b'3'));
        let server = exchange.server.address;
        if learns {
            self.make_room(server, exchange.time.0);
        }
        let (places, limits) = (self.places, self.limits);
        let tree = match self.servers.len() < limits.servers && learns {
            true => Some(self.servers.entry(server).or_default()),
            false => self.servers.get_mut(&server),
        };
        let Some(tree) = tree else {
            self.unlearned += u64::from(learns);
            return;
        };
        tree.used_ns = tree.used_ns.max(exchange.time.0);
        let before = tree.places;
        let room = limits.places.saturating_sub(places);
        let room = room.min(limits.places_per_server.saturating_sub(before));
        let walked = walk(tree, path, learns.then_some(room), limits.words);
        self.places = (places + tree.places).saturating_sub(before);
        self.unlearned += u64::from(walked.is_full);
        if walked.variable != 0 {
            message.route = with_variables(path, walked.variable);
        }
    }

    /// Where a new server finds no place, that of the one that was longest without requests, if that
    /// is long.
    fn make_room(&mut self, server: SocketAddr, now_ns: u64) {
        if self.servers.len() < self.limits.servers || self.servers.contains_key(&server) {
            return;
        }
        let oldest = self.servers.iter().min_by_key(|(_, tree)| tree.used_ns);
        let is_old = |tree: &Tree| tree.used_ns.saturating_add(UNUSED_NS) <= now_ns;
        let Some(server) = oldest.filter(|(_, tree)| is_old(tree)).map(|(server, _)| *server)
        else {
            return;
        };
        if let Some(tree) = self.servers.remove(&server) {
            self.places = self.places.saturating_sub(tree.places);
        }
    }
}

/// What came of following a path.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    /// Which parts vary, as bits.
    variable: u32,
    /// There was no room for what was new.
    is_full: bool,
}

/// Follows a path through the tree, which takes up to `room` new places; `None` where nothing is to
/// be learned.
fn walk(tree: &mut Tree, path: &str, room: Option<usize>, most_words: usize) -> Walked {
    let Tree { root, places, .. } = tree;
    let most_places = room.map(|room| *places + room);
    let (mut place, mut walked) = (root, Walked::default());
    for (index, part) in path.split('/').take(DEPTH).enumerate() {
        place.hits += u64::from(room.is_some());
        let is_word = place.words.contains_key(part);
        let varies = part == VARIABLE || place.varies && !is_word;
        walked.variable |= u32::from(varies && part != VARIABLE) << index;
        let is_known = if varies { place.variable.is_some() } else { is_word };
        if !is_known {
            let Some(most_places) = most_places else { return walked };
            if !varies && place.words.len() >= most_words {
                let before = place.size();
                place.vary();
                *places = places.saturating_sub(before - place.size());
                walked.variable |= 1 << index;
                // What follows is learned from the next one on.
                return walked;
            }
            if *places >= most_places {
                walked.is_full = true;
                return walked;
            }
            *places += 1;
        }
        place = if varies {
            place.variable.get_or_insert_default()
        } else if is_word {
            let Some(word) = place.words.get_mut(part) else { return walked };
            word
        } else {
            place.words.entry(part.into()).or_default()
        };
    }
    place.hits += u64::from(room.is_some());
    walked
}

fn with_variables(path: &str, variable: u32) -> CompactString {
    let mut route = CompactString::default();
    for (index, part) in path.split('/').enumerate() {
        route.push('/');
        let varies = index < DEPTH && variable & (1 << index) != 0;
        route.push_str(if varies { VARIABLE } else { part });
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;
    use proptest::prelude::*;

    fn asked(routes: &mut Routes, path: &str, status: &str, port: u16) -> String {
        let mut exchange = exchange(0);
        exchange.server.address.set_port(port);
        exchange.message.route = path.into();
        exchange.message.status = status.into();
        routes.apply(&mut exchange);
        exchange.message.route.to_string()
    }

    fn get(routes: &mut Routes, path: &str) -> String {
        asked(routes, path, "200", 80)
    }

    /// A word of letters alone.
    fn word(number: usize) -> String {
        number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
    }

    #[test]
    fn a_place_with_too_many_words_varies_and_keeps_the_frequent_ones() {
        let mut routes = Routes::new(RouteLimits::default());
        let limit = RouteLimits::default().words;
        for number in 0..limit - 1 {
            let path = format!("/users/{}/cart", word(number));
            assert_eq!(get(&mut routes, &path), path, "a word until shown otherwise");
            assert_eq!(get(&mut routes, "/users/me/cart"), "/users/me/cart");
        }
        assert_eq!(get(&mut routes, "/users/{id}/cart"), "/users/{id}/cart", "known by its shape");
        assert_eq!(get(&mut routes, "/users/zoe/cart"), "/users/{id}/cart");
        assert_eq!(get(&mut routes, "/users/a/cart"), "/users/{id}/cart");
        assert_eq!(get(&mut routes, "/users/me/cart"), "/users/me/cart");
        // Elsewhere nothing varies, nor on other servers.
        assert_eq!(get(&mut routes, "/orders/a"), "/orders/a");
        assert_eq!(asked(&mut routes, "/users/a/cart", "200", 81), "/users/a/cart");
    }

    #[test]
    fn parts_behind_a_variable_one_are_learned_too() {
        let limits = RouteLimits { words: 4, ..RouteLimits::default() };
        let mut routes = Routes::new(limits);
        for number in 0..200 {
            get(&mut routes, &format!("/{}/posts/{}", word(number), word(number)));
        }
        assert_eq!(get(&mut routes, "/new/posts/other"), "/{id}/posts/{id}");
        assert_eq!(get(&mut routes, "/new/drafts"), "/{id}/drafts");
    }

    #[test]
    fn what_is_not_found_is_not_learned_from() {
        let mut routes = Routes::new(RouteLimits { words: 4, ..RouteLimits::default() });
        for number in 0..100 {
            let path = format!("/{}", word(number));
            assert_eq!(asked(&mut routes, &path, "404", 80), path);
        }
        assert_eq!((routes.places, routes.servers.len(), routes.unlearned()), (0, 0, 0));
        (0..100).for_each(|number| drop(get(&mut routes, &format!("/{}", word(number)))));
        assert_eq!(asked(&mut routes, "/nowhere", "404", 80), "/{id}", "what is known holds");
    }

    #[test]
    fn other_protocols_and_forms_stay_as_they_are() {
        let mut routes = Routes::new(RouteLimits { words: 0, ..RouteLimits::default() });
        assert_eq!(get(&mut routes, "*"), "*");
        assert_eq!(get(&mut routes, "host:443"), "host:443");
        let mut exchange = exchange(0);
        exchange.message.protocol = Protocol::Redis;
        exchange.message.route = "/key".into();
        routes.apply(&mut exchange);
        assert_eq!(exchange.message.route, "/key");
        assert_eq!(routes.places, 0);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_stays_as_it_is() {
        let limits = RouteLimits { servers: 2, words: 64, places_per_server: 3, places: 5 };
        let mut routes = Routes::new(limits);
        for (path, port, unlearned) in [
            ("/a/b/c", 1, 0),
            ("/a/b/d", 1, 1),
            ("/a/b/c", 1, 1),
            ("/a/b", 2, 1),
            ("/c", 2, 2),
            ("/a", 3, 3),
        ] {
            assert_eq!(asked(&mut routes, path, "200", port), path);
            assert_eq!(routes.unlearned(), unlearned, "{path} {port}");
        }
        assert_eq!((routes.places, routes.servers.len()), (5, 2));
        // A server that was silent for an hour makes room.
        let mut later = exchange(UNUSED_NS);
        later.server.address.set_port(3);
        routes.apply(&mut later);
        assert_eq!((routes.unlearned(), routes.servers.len()), (3, 2));
    }

    proptest! {
        #[test]
        fn the_tree_is_bounded_and_counts_its_places(
            paths in proptest::collection::vec(("[ab/]{0,3}[a-f]{0,2}[/a-f]{0,40}", 0_u16..4), 0..120),
        ) {
            let limits = RouteLimits { servers: 3, words: 3, places_per_server: 40, places: 60 };
            let mut routes = Routes::new(limits);
            for (path, port) in paths {
                let path = format!("/{path}");
                let route = asked(&mut routes, &path, "200", port);
                // Part by part the same, or variable.
                prop_assert_eq!(route.split('/').count(), path.split('/').count());
                let mut parts = route.split('/').zip(path.split('/'));
                prop_assert!(parts.all(|(shown, part)| shown == part || shown == VARIABLE));
                let sizes: Vec<_> = routes.servers.values().map(|tree| tree.root.size()).collect();
                let places: Vec<_> = routes.servers.values().map(|tree| tree.places).collect();
                prop_assert_eq!(&sizes, &places);
                prop_assert!(places.iter().all(|places| *places <= limits.places_per_server));
                prop_assert_eq!(places.iter().sum::<usize>(), routes.places);
                prop_assert!(routes.places <= limits.places);
            }
        }
    }
}
