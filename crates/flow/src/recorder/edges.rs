//! The figures of each edge, found by its two nodes.

use std::hash::BuildHasher;
use std::sync::Arc;

use alaz_model::{ConnectionFacts, Exchange, Protocol};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

use super::EdgeSlice;
use crate::route::{self, RouteName, RouteStats};
use crate::samples::Samples;
use crate::{EdgeKey, EdgeStats, Limits, NodeKey, Part, Sight};

/// The edges, each in a place that stays until something is forgotten.
#[derive(Debug, Default)]
pub(super) struct Edges {
    places: Vec<Edge>,
    /// How many of them stand for connections.
    of_connections: usize,
    by_ends: HashMap<Ends, u32>,
    by_route: HashTable<RoutePlace>,
    /// Those that had exchanges or connections in this period.
    touched: Vec<u32>,
    hasher: RandomState,
}

/// An [`EdgeKey`] by the places of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) client: u32,
    pub(super) server: u32,
    pub(super) port: u16,
    pub(super) protocol: Option<Protocol>,
    pub(super) sight: Option<Sight>,
}

#[derive(Clone, Copy, Debug)]
struct RoutePlace {
    edge: u32,
    route: u32,
}

#[derive(Debug)]
struct Edge {
    ends: Ends,
    key: EdgeKey,
    stats: EdgeStats,
    samples: Samples,
    used_ns: u64,
    /// When each of `stats.routes` was last used.
    routes_used_ns: Vec<u64>,
}

impl Edges {
    /// The edge between these nodes; `None` when there is no place for it.
    #[inline]
    pub(super) fn find(
        &mut self,
        ends: Ends,
        end: impl Fn(u32) -> Option<Arc<NodeKey>>,
        limits: &Limits,
    ) -> Option<u32> {
        if let Some(edge) = self.by_ends.get(&ends) {
            return Some(*edge);
        }
        let (known, most) = match ends.protocol {
            Some(_) => (self.places.len() - self.of_connections, limits.edges),
            None => (self.of_connections, limits.connection_edges),
        };
        if known >= most {
            return None;
        }
        let edge = u32::try_from(self.places.len()).ok()?;
        let key = EdgeKey {
            client: end(ends.client)?,
            server: end(ends.server)?,
            port: ends.port,
            protocol: ends.protocol,
            sight: ends.sight,
        };
        self.of_connections += usize::from(ends.protocol.is_none());
        self.by_ends.insert(ends, edge);
        self.places.push(Edge {
            ends,
            key,
            stats: EdgeStats::default(),
            samples: Samples::new(limits.samples),
            used_ns: 0,
            routes_used_ns: Vec::new(),
        });
        Some(edge)
    }

    /// Counts an exchange on its edge. Returns whether its route had a place.
    #[inline]
    pub(super) fn record(&mut self, edge: u32, exchange: &Exchange, limits: &Limits) -> bool {
        let message = &exchange.message;
        let name = || Arc::new(RouteName::of(message));
        let route = self.find_route(edge, route::key(message), name, limits);
        let Some(place) = self.places.get_mut(edge as usize) else { return false };
        if place.stats.is_empty() {
            self.touched.push(edge);
        }
        place.stats.record(exchange);
        match route.and_then(|route| place.stats.routes.get_mut(route as usize)) {
            Some((_, stats)) => {
                stats.record(exchange);
                true
            }
            None => {
                place.stats.routes_overflow += 1;
                false
            }
        }
    }

    /// Counts a connection on its edge.
    pub(super) fn record_connection(&mut self, edge: u32, facts: &ConnectionFacts) {
        let Some(place) = self.places.get_mut(edge as usize) else { return };
        if place.stats.is_empty() {
            self.touched.push(edge);
        }
        place.stats.connections.record(facts);
    }

    /// Adds what was counted elsewhere to this edge. Returns how many exchanges' routes had no place.
    pub(super) fn add(&mut self, edge: u32, stats: &EdgeStats, limits: &Limits) -> u64 {
        let Some(place) = self.places.get_mut(edge as usize) else { return 0 };
        if place.stats.is_empty() {
            self.touched.push(edge);
        }
        place.stats.merge(stats);
        let mut unplaced = 0;
        for (name, route) in &stats.routes {
            let found = self.find_route(edge, name.key(), || Arc::clone(name), limits);
            let Some(place) = self.places.get_mut(edge as usize) else { break };
            match found.and_then(|route| place.stats.routes.get_mut(route as usize)) {
                Some((_, known)) => known.merge(route),
                None => unplaced += route.requests,
            }
        }
        if let Some(place) = self.places.get_mut(edge as usize) {
            place.stats.routes_overflow += unplaced;
        }
        unplaced
    }

    /// The edge between these ends, if it had exchanges in this period.
    pub(super) fn counted(&self, ends: &Ends) -> Option<u32> {
        let edge = *self.by_ends.get(ends)?;
        let place = self.places.get(edge as usize)?;
        (!place.stats.is_empty()).then_some(edge)
    }

    #[inline]
    pub(super) fn offer_sample(&mut self, edge: u32, exchange: &Exchange) -> Option<Arc<Exchange>> {
        self.places.get_mut(edge as usize)?.samples.offer(exchange)
    }

    #[inline]
    fn find_route(
        &mut self,
        edge: u32,
        key: (&str, &str, &str),
        name: impl FnOnce() -> Arc<RouteName>,
        limits: &Limits,
    ) -> Option<u32> {
        let hash = self.hash(edge, key);
        let names = |place: &RoutePlace| self.places.get(place.edge as usize)?.route(place.route);
        let found = self.by_route.find(hash, |place| {
            place.edge == edge && names(place).is_some_and(|(name, _)| name.key() == key)
        });
        match found {
            Some(place) => Some(place.route),
            None => self.add_route(edge, name, hash, limits),
        }
    }

    #[cold]
    fn add_route(
        &mut self,
        edge: u32,
        name: impl FnOnce() -> Arc<RouteName>,
        hash: u64,
        limits: &Limits,
    ) -> Option<u32> {
        let place = self.places.get_mut(edge as usize)?;
        if place.stats.routes.len() >= limits.routes_per_edge
            || self.by_route.len() >= limits.routes
        {
            return None;
        }
        let route = u32::try_from(place.stats.routes.len()).ok()?;
        place.stats.routes.push((name(), RouteStats::default()));
        place.routes_used_ns.push(0);
        self.insert_route(hash, RoutePlace { edge, route });
        Some(route)
    }

    #[inline]
    fn hash(&self, edge: u32, route: (&str, &str, &str)) -> u64 {
        self.hasher.hash_one((edge, route))
    }

    /// Tells edges apart that have no place.
    pub(super) fn overflow_hash(&self, exchange: &Exchange) -> u64 {
        let (client, server) = (&exchange.client, &exchange.server);
        self.hasher.hash_one((
            client.workload(),
            server.workload(),
            server.address.port(),
            exchange.message.protocol,
        ))
    }

    /// The same, of an edge of another Alaz.
    pub(super) fn overflow_hash_of(&self, part: &Part) -> u64 {
        let (client, server) = (&part.client.key.name, &part.server.key.name);
        self.hasher.hash_one((client, server, part.port, part.protocol))
    }

    fn insert_route(&mut self, hash: u64, place: RoutePlace) {
        let (places, hasher) = (&self.places, &self.hasher);
        self.by_route.insert_unique(hash, place, |place| {
            let name = places.get(place.edge as usize).and_then(|edge| edge.route(place.route));
            name.map_or(0, |(name, _)| hasher.hash_one((place.edge, name.key())))
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn touched(&self) -> impl Iterator<Item = EdgeSlice<'_>> {
        self.touched
            .iter()
            .filter_map(|&edge| self.places.get(edge as usize))
            .map(|edge| EdgeSlice { key: &edge.key, stats: &edge.stats, samples: &edge.samples })
    }

    /// The nodes of this period's edges, some of them several times.
    pub(super) fn ends(&self) -> impl Iterator<Item = u32> {
        let edges = self.touched.iter().filter_map(|&edge| self.places.get(edge as usize));
        edges.flat_map(|edge| [edge.ends.client, edge.ends.server])
    }

    pub(super) fn close_period(&mut self, now_ns: u64) {
        for &edge in &self.touched {
            let Some(edge) = self.places.get_mut(edge as usize) else { continue };
            edge.used_ns = now_ns;
            for ((_, stats), used_ns) in edge.stats.routes.iter().zip(&mut edge.routes_used_ns) {
                if stats.requests > 0 {
                    *used_ns = now_ns;
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        for edge in self.touched.drain(..) {
            if let Some(edge) = self.places.get_mut(edge as usize) {
                edge.stats.clear();
                edge.samples.clear();
            }
        }
    }

    /// Gives up the places of edges, and of routes, that were last used before. Between periods.
    pub(super) fn forget(&mut self, edges_before_ns: u64, routes_before_ns: u64) {
        self.places.retain(|edge| edge.used_ns >= edges_before_ns);
        for edge in &mut self.places {
            let used_ns = &edge.routes_used_ns;
            let mut place = 0;
            edge.stats.routes.retain(|_| {
                place += 1;
                used_ns.get(place - 1).is_some_and(|used_ns| *used_ns >= routes_before_ns)
            });
            edge.routes_used_ns.retain(|used_ns| *used_ns >= routes_before_ns);
        }
        self.find_anew();
    }

    /// The nodes have other places now. Edges of forgotten ones were forgotten before them.
    pub(super) fn move_ends(&mut self, moved: &[Option<u32>]) {
        let now_at = |node: u32| moved.get(node as usize).copied().flatten();
        self.places.retain_mut(|edge| match (now_at(edge.ends.client), now_at(edge.ends.server)) {
            (Some(client), Some(server)) => {
                edge.ends = Ends { client, server, ..edge.ends };
                true
            }
            _ => false,
        });
        self.find_anew();
    }

    fn find_anew(&mut self) {
        self.by_ends.clear();
        self.by_route.clear();
        self.of_connections =
            self.places.iter().filter(|edge| edge.ends.protocol.is_none()).count();
        for place in 0..self.places.len() {
            let Some(edge) = self.places.get(place) else { continue };
            let index = place as u32;
            self.by_ends.insert(edge.ends, index);
            let hashes: Vec<_> =
                edge.stats.routes.iter().map(|(name, _)| self.hash(index, name.key())).collect();
            for (route, hash) in hashes.into_iter().enumerate() {
                self.insert_route(hash, RoutePlace { edge: index, route: route as u32 });
            }
        }
    }
}

impl Edge {
    fn route(&self, route: u32) -> Option<&(Arc<RouteName>, RouteStats)> {
        self.stats.routes.get(route as usize)
    }
}
