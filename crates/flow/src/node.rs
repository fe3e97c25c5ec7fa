//! Who takes part: endpoints grouped by the name a person would call them by.

use std::sync::Arc;

use alaz_model::EndpointKind;
use compact_str::CompactString;

/// What makes a node the same node: kind, namespace and name.
///
/// A host outside is one node per address, whatever its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeKey {
    /// What the name stands for.
    pub kind: EndpointKind,
    /// Kubernetes namespace; empty outside Kubernetes.
    pub namespace: CompactString,
    /// The workload, or the address of an outside host.
    pub name: CompactString,
}

impl NodeKey {
    /// The name of the one node that stands for all outside hosts beyond the limit.
    pub const OTHER_OUTBOUND: &'static str = "other outbound hosts";
}

/// A node and what is known of the processes behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which node.
    pub key: Arc<NodeKey>,
    /// Container id of the process seen last; empty outside containers.
    pub container: CompactString,
    /// Executable of the process seen last; empty when not known.
    pub executable: CompactString,
    /// Processes seen, the newest last; at most [`NodeFacts::PIDS`].
    pub pids: Vec<u32>,
}

impl NodeFacts {
    /// The most process ids that are kept for a node; older ones make room.
    pub const PIDS: usize = 16;
}
