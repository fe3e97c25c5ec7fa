//! The figures of one edge by themselves, to be told to another Alaz.

use alaz_model::Protocol;
use hashbrown::HashMap;

use crate::{EdgeStats, NodeFacts, NodeKey, Sight, Slice};

/// How one edge went in one period, as one Alaz saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Who opened the connections.
    pub client: NodeFacts,
    /// Who was connected to.
    pub server: NodeFacts,
    /// The server's port.
    pub port: u16,
    /// What they spoke; `None` stands for the connections themselves.
    pub protocol: Option<Protocol>,
    /// From which end it was seen.
    pub sight: Sight,
    /// How it went. Routes without requests are left out.
    pub stats: EdgeStats,
}

impl Part {
    /// Exchanges and connections that it counts.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.stats.requests + self.stats.connections.total()
    }
}

impl Slice<'_> {
    /// The edges of a recorder that tells from which end each was seen
    /// ([`Recorder::telling_sights`](crate::Recorder::telling_sights)); of any other recorder, none.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let facts: HashMap<&NodeKey, &NodeFacts> =
            self.nodes().map(|facts| (&*facts.key, facts)).collect();
        let part = |edge: crate::EdgeSlice<'_>| {
            let mut stats = edge.stats.clone();
            stats.routes.retain(|(_, route)| route.requests > 0);
            Some(Part {
                client: (*facts.get(&*edge.key.client)?).clone(),
                server: (*facts.get(&*edge.key.server)?).clone(),
                port: edge.key.port,
                protocol: edge.key.protocol,
                sight: edge.key.sight?,
                stats,
            })
        };
        self.edges().filter_map(part).collect()
    }
}
