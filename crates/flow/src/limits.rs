//! How much is told apart.

/// Bounds of a [`Recorder`](crate::Recorder). What lies beyond them is counted under a common name
/// or as overflow; it is never dropped in silence.
///
/// With the defaults a recorder that is full holds about 30 MB, most of it histograms; an
/// idle one holds next to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes known at once. Exchanges of further ones are overflow.
    pub nodes: usize,
    /// Outside hosts known at once, each by its address; they count as nodes too. Further ones
    /// share the node [`OTHER_OUTBOUND`](crate::NodeKey::OTHER_OUTBOUND). Hosts that call in fill
    /// at most half of these places, so that a crowd of clients leaves room for what is called.
    pub outbound_hosts: usize,
    /// Edges known at once. Exchanges on further ones are overflow.
    pub edges: usize,
    /// Pairs of nodes and ports known at once whose connections are told apart. Further ones are
    /// counted together.
    pub connection_edges: usize,
    /// Routes known at once on one edge.
    pub routes_per_edge: usize,
    /// Routes known at once on all edges. Exchanges of further ones count on their edge, and in
    /// its `routes_overflow`.
    pub routes: usize,
    /// Exchanges kept of one edge and period: so many errors, half as many slow ones, and so many
    /// others.
    pub samples: usize,
    /// How long a node or an edge keeps its place after its last exchange, ns.
    pub keep_ns: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            nodes: 1024,
            outbound_hosts: 256,
            edges: 2048,
            connection_edges: 2048,
            // Applications have hundreds of statements.
            routes_per_edge: 256,
            routes: 8192,
            samples: 8,
            // Somewhat longer than the hour that the store remembers: what it still shows is still
            // known here, so that its tables need no limits of their own.
            keep_ns: 62 * 60 * 1_000_000_000,
        }
    }
}
