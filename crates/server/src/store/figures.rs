//! What happened on one edge in one step of time, at rest.

use std::sync::Arc;

use alaz_flow::{ConnectionStats, EdgeStats, RouteName, RouteStats, StatusMix};
use compact_str::CompactString;

use super::packed::Packed;

/// The most routes of one edge in one step or one answer; further ones are overflow.
pub(crate) const ROUTES: usize = 256;

/// [`EdgeStats`] in as little memory as can be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    request_bytes: u64,
    response_bytes: u64,
    status: Box<[(CompactString, u64)]>,
    errors_by_code: Box<[(CompactString, u64)]>,
    latency: Packed,
    server_latency: Packed,
    routes: Box<[RouteFigures]>,
    routes_overflow: u64,
    connections: Option<Box<ConnectionFigures>>,
}

/// [`ConnectionStats`], of which `counts` has all but the histograms.
#[derive(Clone, Debug)]
struct ConnectionFigures {
    counts: ConnectionStats,
    handshake: Packed,
    round_trip: Packed,
}

/// [`RouteStats`] of one route.
#[derive(Clone, Debug)]
pub(crate) struct RouteFigures {
    pub(crate) name: Arc<RouteName>,
    pub(crate) requests: u64,
    errors: u64,
    errors_by_code: Box<[(CompactString, u64)]>,
    messages: u64,
    latency: Packed,
}

fn pack_mix(mix: &StatusMix) -> Box<[(CompactString, u64)]> {
    mix.iter().map(|(name, count)| (name.into(), count)).collect()
}

fn add_mix(mix: &[(CompactString, u64)], to: &mut StatusMix) {
    mix.iter().for_each(|(name, count)| to.add(name, *count));
}

impl Figures {
    pub(crate) fn pack(stats: &EdgeStats) -> Figures {
        let used = stats.routes.iter().filter(|(_, route)| route.requests > 0);
        Figures {
            requests: stats.requests,
            errors: stats.errors,
            request_bytes: stats.request_bytes,
            response_bytes: stats.response_bytes,
            status: pack_mix(&stats.status),
            errors_by_code: pack_mix(&stats.errors_by_code),
            latency: Packed::of(&stats.latency),
            server_latency: Packed::of(&stats.server_latency),
            routes: used
                .map(|(name, route)| RouteFigures {
                    name: Arc::clone(name),
                    requests: route.requests,
                    errors: route.errors,
                    errors_by_code: pack_mix(&route.errors_by_code),
                    messages: route.messages,
                    latency: Packed::of(&route.latency),
                })
                .collect(),
            routes_overflow: stats.routes_overflow,
            connections: ConnectionFigures::pack(&stats.connections).map(Box::new),
        }
    }

    /// Adds everything.
    pub(crate) fn add_all_to(&self, stats: &mut EdgeStats) {
        self.add_to(stats);
        self.server_latency.add_to(&mut stats.server_latency);
        self.add_routes_to(stats);
    }

    /// Adds what the map shows: everything but the routes and the server's view.
    pub(crate) fn add_to(&self, stats: &mut EdgeStats) {
        stats.requests += self.requests;
        stats.errors += self.errors;
        stats.request_bytes += self.request_bytes;
        stats.response_bytes += self.response_bytes;
        add_mix(&self.status, &mut stats.status);
        add_mix(&self.errors_by_code, &mut stats.errors_by_code);
        self.latency.add_to(&mut stats.latency);
        self.add_connections_to(&mut stats.connections);
    }

    pub(crate) fn add_connections_to(&self, stats: &mut ConnectionStats) {
        if let Some(connections) = &self.connections {
            connections.add_to(stats);
        }
    }

    /// As many as there is room for.
    fn add_routes_to(&self, stats: &mut EdgeStats) {
        stats.routes_overflow += self.routes_overflow;
        for figures in &self.routes {
            match stats.route(&figures.name, ROUTES) {
                Some(route) => figures.add_to(route),
                None => stats.routes_overflow += figures.requests,
            }
        }
    }

    /// How requests for each route went.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &RouteFigures> {
        self.routes.iter()
    }

    /// Exchanges that are on no route.
    pub(crate) fn routes_overflow(&self) -> u64 {
        self.routes_overflow
    }

    pub(crate) fn add_latency_to(&self, latency: &mut alaz_flow::Histogram) {
        self.latency.add_to(latency);
    }

    /// Joins two steps into one.
    pub(crate) fn merge(&mut self, other: &Figures) {
        let mut both = EdgeStats::default();
        for part in [&*self, other] {
            part.add_all_to(&mut both);
        }
        *self = Figures::pack(&both);
    }

    /// Bytes that it takes, itself included. Names of routes are shared, and held by few.
    pub(crate) fn bytes(&self) -> usize {
        /// What an allocator takes for itself.
        const OVERHEAD: usize = 16;
        let routes: usize = self
            .routes
            .iter()
            .map(|route| {
                size_of::<RouteFigures>()
                    + size_of_val(&*route.errors_by_code)
                    + route.latency.bytes()
                    + OVERHEAD
            })
            .sum();
        size_of::<Figures>()
            + size_of_val(&*self.status)
            + size_of_val(&*self.errors_by_code)
            + self.latency.bytes()
            + self.server_latency.bytes()
            + routes
            + self.connections.as_ref().map_or(0, |connections| connections.bytes() + OVERHEAD)
            + 5 * OVERHEAD
    }
}

impl RouteFigures {
    pub(crate) fn add_to(&self, route: &mut RouteStats) {
        route.requests += self.requests;
        route.errors += self.errors;
        add_mix(&self.errors_by_code, &mut route.errors_by_code);
        route.messages += self.messages;
        self.latency.add_to(&mut route.latency);
    }
}

impl ConnectionFigures {
    fn pack(stats: &ConnectionStats) -> Option<ConnectionFigures> {
        if stats.is_empty() {
            return None;
        }
        let mut counts = ConnectionStats::default();
        counts.merge_counts(stats);
        let (handshake, round_trip) = (Packed::of(&stats.handshake), Packed::of(&stats.round_trip));
        Some(ConnectionFigures { counts, handshake, round_trip })
    }

    fn add_to(&self, stats: &mut ConnectionStats) {
        stats.merge_counts(&self.counts);
        self.handshake.add_to(&mut stats.handshake);
        self.round_trip.add_to(&mut stats.round_trip);
    }

    fn bytes(&self) -> usize {
        let tls = self.counts.tls.as_ref().map_or(0, |tls| tls.bytes());
        size_of::<ConnectionFigures>() + self.handshake.bytes() + self.round_trip.bytes() + tls
    }
}
