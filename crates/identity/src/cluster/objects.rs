//! What is kept of Kubernetes objects: little, so that thousands fit.

use std::net::IpAddr;

use compact_str::CompactString;

/// A kind of object that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `v1` pods.
    Pod,
    /// `v1` services.
    Service,
    /// `v1` nodes.
    Node,
    /// `apps/v1` replica sets: what stands between a pod and its deployment.
    ReplicaSet,
    /// `batch/v1` jobs: what stands between a pod and its cron job.
    Job,
}

impl Kind {
    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Pod => "Pod",
            Kind::Service => "Service",
            Kind::Node => "Node",
            Kind::ReplicaSet => "ReplicaSet",
            Kind::Job => "Job",
        }
    }
}

/// Something that the API server told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All objects of this kind follow, then [`Change::Listed`]: what is not among them is gone.
    Listing(Kind),
    /// All objects of this kind were told.
    Listed(Kind),
    /// A pod as it is now.
    Pod(Pod),
    /// A service as it is now.
    Service(Service),
    /// A node as it is now.
    Node(Node),
    /// What stands between pods and their workload, as it is now.
    Owner(Kind, Owned),
    /// The object of this kind and UID is no more.
    Gone(Kind, CompactString),
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// UID.
    pub uid: CompactString,
    /// Namespace.
    pub namespace: CompactString,
    /// Name.
    pub name: CompactString,
    /// `status.podIPs`.
    pub addresses: Vec<IpAddr>,
    /// `spec.hostNetwork`: its addresses are its node's.
    pub on_host_network: bool,
    /// Its phase is `Succeeded` or `Failed`: it gave its addresses back.
    pub has_ended: bool,
    /// `status.startTime`, ns since 1970.
    pub started_ns: Option<u64>,
    /// Ids of its containers, without the runtime's name.
    pub containers: Vec<CompactString>,
    /// For pods that the kubelet reads from files: the UID that their cgroup is named by.
    pub file_uid: Option<CompactString>,
    /// What controls it.
    pub owner: Option<Owner>,
}

impl Pod {
    /// Other names that processes know it by.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &CompactString> {
        self.containers.iter().chain(&self.file_uid)
    }
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// UID.
    pub uid: CompactString,
    /// Namespace.
    pub namespace: CompactString,
    /// Name.
    pub name: CompactString,
    /// Cluster addresses, external addresses and those of load balancers; none for a headless one.
    pub addresses: Vec<IpAddr>,
    /// Ports of the nodes that lead to it.
    pub node_ports: Vec<u16>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// UID.
    pub uid: CompactString,
    /// Name.
    pub name: CompactString,
    /// Internal and external addresses.
    pub addresses: Vec<IpAddr>,
}

/// An object that owns others and may be owned itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// UID.
    pub uid: CompactString,
    /// Kind, as its dependents name it.
    pub kind: CompactString,
    /// What controls it.
    pub owner: Option<Owner>,
}

/// A reference to what controls an object (`metadata.ownerReferences` with `controller: true`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Kind.
    pub kind: CompactString,
    /// Name, in the same namespace.
    pub name: CompactString,
    /// UID.
    pub uid: CompactString,
}
