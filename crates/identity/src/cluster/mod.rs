//! Kubernetes objects, as far as they say who an endpoint is, each with the time it was so.
//!
//! In flow [`Change`]s, as the API server tells them; out flow [`Resource`]s for the endpoints of
//! exchanges and connections. Nothing here does I/O: what watches the API hands the changes over.
//!
//! A process of this host is found by its container, wherever its addresses come from. Everybody else is
//! found by address *and time*: an address that a pod gave back is another pod's within seconds, and
//! the API tells both with a delay. Where two may have held it at that time, nobody is named.

mod addresses;
mod objects;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use alaz_model::{Endpoint, EndpointKind, Resource, UnixNanos};
use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};

use addresses::{Addresses, Holder};
pub use objects::{Change, Kind, Node, Owned, Owner, Pod, Service};

/// How long what is gone is remembered: exchanges that it took part in are still being paired.
const GRACE_NS: u64 = 60_000_000_000;
/// Between two passes that forget.
const SWEEP_NS: u64 = 5_000_000_000;
/// The most owners between a pod and its workload. Real chains have two: `CronJob` → `Job` → pod.
const MOST_OWNERS: usize = 8;

/// How the table is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterCounters {
    /// Pods, services and nodes that are known now, those that are gone for less than a minute
    /// included.
    pub objects: u64,
    /// Objects, owners included, that were not taken in because the table was full.
    pub refused: u64,
    /// Endpoints whose address may have been held by two at the time: they were not named.
    pub ambiguous: u64,
}

/// The objects of one cluster, bounded.
pub struct Cluster {
    limit: usize,
    pods: HashMap<CompactString, Known<Pod>>,
    services: HashMap<CompactString, Known<Service>>,
    nodes: HashMap<CompactString, Known<Node>>,
    /// What may own a pod, or another such.
    owners: HashMap<CompactString, Owned>,
    /// Raised whenever an owner comes or goes: workloads may have other names then.
    owners_version: u64,
    /// UID of the pod by a further name for it: its containers, and the hash in its cgroup's name.
    aliases: HashMap<CompactString, CompactString>,
    addresses: Addresses,
    /// Kinds that are being listed, with what was known of them and has not been told again.
    listings: HashMap<Kind, HashSet<CompactString>>,
    swept_ns: u64,
    counters: ClusterCounters,
}

/// An object, and what endpoints are given for it.
struct Known<T> {
    object: T,
    resource: Arc<Resource>,
    /// The version of the owners that it was made with.
    owners_version: u64,
    gone_ns: Option<u64>,
}

impl Cluster {
    /// An empty one, of at most `limit` pods, services, nodes and owners each.
    #[must_use]
    pub fn new(limit: usize) -> Cluster {
        Cluster {
            limit,
            pods: HashMap::new(),
            services: HashMap::new(),
            nodes: HashMap::new(),
            owners: HashMap::new(),
            owners_version: 0,
            aliases: HashMap::new(),
            addresses: Addresses::new(limit.saturating_mul(4)),
            listings: HashMap::new(),
            swept_ns: 0,
            counters: ClusterCounters::default(),
        }
    }

    /// Takes what was seen at this time.
    pub fn change(&mut self, change: Change, now: UnixNanos) {
        match change {
            Change::Listing(kind) => {
                self.listings.insert(kind, self.uids(kind));
            }
            Change::Listed(kind) => {
                for uid in self.listings.remove(&kind).into_iter().flatten() {
                    self.gone(kind, &uid, now.0);
                }
            }
            Change::Gone(kind, uid) => self.gone(kind, &uid, now.0),
            Change::Pod(pod) => {
                self.told(Kind::Pod, &pod.uid);
                self.pod(pod, now.0);
            }
            Change::Service(service) => {
                self.told(Kind::Service, &service.uid);
                self.service(service, now.0);
            }
            Change::Node(node) => {
                self.told(Kind::Node, &node.uid);
                self.node(node, now.0);
            }
            Change::Owner(kind, owned) => {
                self.told(kind, &owned.uid);
                self.owner(owned);
            }
        }
    }

    /// Says what of Kubernetes the endpoint was at this time, if anything.
    pub fn identify(&mut self, endpoint: &mut Endpoint, time: UnixNanos) {
        if self.pods.is_empty() && self.services.is_empty() && self.nodes.is_empty() {
            return;
        }
        endpoint.resource = match &endpoint.process {
            Some(process) => {
                let Some(container) = &process.container else { return };
                self.pod_of(&container.pod, &container.id)
            }
            // A process of this host that was gone before it could be asked: the address says only
            // which network it was in.
            None if endpoint.pid != 0 => None,
            None => self.at(endpoint.address, time.0),
        };
    }

    /// The time is `now`: forgets what is gone for a minute.
    pub fn advance(&mut self, now: UnixNanos) {
        if now.0.saturating_sub(self.swept_ns) < SWEEP_NS {
            return;
        }
        self.swept_ns = now.0;
        let before_ns = now.0.saturating_sub(GRACE_NS);
        let aliases = &mut self.aliases;
        self.pods.retain(|_, pod| {
            let keep = pod.gone_ns.is_none_or(|gone_ns| gone_ns > before_ns);
            if !keep {
                pod.object.aliases().for_each(|alias| drop(aliases.remove(alias)));
            }
            keep
        });
        self.services.retain(|_, known| known.gone_ns.is_none_or(|gone_ns| gone_ns > before_ns));
        self.nodes.retain(|_, known| known.gone_ns.is_none_or(|gone_ns| gone_ns > before_ns));
        self.addresses.forget(before_ns);
    }

    /// How the table is doing.
    #[must_use]
    pub fn counters(&self) -> ClusterCounters {
        let objects = self.pods.len() + self.services.len() + self.nodes.len();
        let refused = self.counters.refused + self.addresses.refused;
        ClusterCounters { objects: objects as u64, refused, ..self.counters }
    }

    fn uids(&self, kind: Kind) -> HashSet<CompactString> {
        fn present<T>(objects: &HashMap<CompactString, Known<T>>) -> HashSet<CompactString> {
            objects
                .iter()
                .filter(|(_, known)| known.gone_ns.is_none())
                .map(|(uid, _)| uid.clone())
                .collect()
        }
        match kind {
            Kind::Pod => present(&self.pods),
            Kind::Service => present(&self.services),
            Kind::Node => present(&self.nodes),
            Kind::ReplicaSet | Kind::Job => {
                let of_kind = self.owners.values().filter(|owned| owned.kind == kind.as_str());
                of_kind.map(|owned| owned.uid.clone()).collect()
            }
        }
    }

    fn told(&mut self, kind: Kind, uid: &CompactString) {
        if let Some(untold) = self.listings.get_mut(&kind) {
            untold.remove(uid);
        }
    }

    fn pod(&mut self, pod: Pod, now_ns: u64) {
        let uid = pod.uid.clone();
        let before = self.pods.get(&uid);
        if before.is_none() && self.pods.len() >= self.limit {
            self.counters.refused += 1;
            return;
        }
        if let Some(before) = before {
            for alias in before.object.aliases() {
                self.aliases.remove(alias);
            }
        }
        for alias in pod.aliases() {
            self.aliases.insert(alias.clone(), uid.clone());
        }
        // It has its address some time before that is told, and since its start at the earliest:
        // so whoever had it before, and is told to be gone as late, is not taken for it.
        let since_ns = pod.started_ns.map_or(now_ns, |started_ns| started_ns.min(now_ns));
        // On the network of its node, addresses are the node's; and it holds none once it has ended.
        let held: &[IpAddr] = match pod.on_host_network || pod.has_ended {
            true => &[],
            false => &pod.addresses,
        };
        self.addresses.hold(&Holder::Pod(uid.clone()), held.iter().copied(), since_ns, now_ns);
        let resource = Arc::new(self.pod_resource(&pod));
        let owners_version = self.owners_version;
        self.pods.insert(uid, Known { object: pod, resource, owners_version, gone_ns: None });
    }

    fn service(&mut self, service: Service, now_ns: u64) {
        let uid = service.uid.clone();
        if !self.services.contains_key(&uid) && self.services.len() >= self.limit {
            self.counters.refused += 1;
            return;
        }
        // Addresses of services are not handed on within seconds.
        let since_ns = if self.services.contains_key(&uid) { now_ns } else { 0 };
        let holder = Holder::Service(uid.clone());
        self.addresses.hold(&holder, service.addresses.iter().copied(), since_ns, now_ns);
        self.addresses.hold_ports(&uid, &service.node_ports);
        let resource = Arc::new(Resource {
            kind: EndpointKind::Service,
            uid: uid.clone(),
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            workload: service.name.clone(),
            workload_kind: "Service".into(),
        });
        self.services
            .insert(uid, Known { object: service, resource, owners_version: 0, gone_ns: None });
    }

    fn node(&mut self, node: Node, now_ns: u64) {
        let uid = node.uid.clone();
        if !self.nodes.contains_key(&uid) && self.nodes.len() >= self.limit {
            self.counters.refused += 1;
            return;
        }
        let since_ns = if self.nodes.contains_key(&uid) { now_ns } else { 0 };
        let holder = Holder::Node(uid.clone());
        self.addresses.hold(&holder, node.addresses.iter().copied(), since_ns, now_ns);
        let resource = Arc::new(Resource {
            kind: EndpointKind::Node,
            uid: uid.clone(),
            namespace: CompactString::default(),
            name: node.name.clone(),
            workload: node.name.clone(),
            workload_kind: "Node".into(),
        });
        self.nodes.insert(uid, Known { object: node, resource, owners_version: 0, gone_ns: None });
    }

    fn owner(&mut self, owned: Owned) {
        let before = self.owners.get(&owned.uid);
        if before == Some(&owned) {
            return;
        }
        if before.is_none() && self.owners.len() >= self.limit {
            self.counters.refused += 1;
            return;
        }
        self.owners_version += 1;
        self.owners.insert(owned.uid.clone(), owned);
    }

    fn gone(&mut self, kind: Kind, uid: &CompactString, now_ns: u64) {
        let holder = match kind {
            Kind::Pod => {
                mark_gone(&mut self.pods, uid, now_ns);
                Holder::Pod(uid.clone())
            }
            Kind::Service => {
                mark_gone(&mut self.services, uid, now_ns);
                self.addresses.hold_ports(uid, &[]);
                Holder::Service(uid.clone())
            }
            Kind::Node => {
                mark_gone(&mut self.nodes, uid, now_ns);
                Holder::Node(uid.clone())
            }
            // The pods have their names already.
            Kind::ReplicaSet | Kind::Job => {
                self.owners.remove(uid);
                return;
            }
        };
        self.addresses.hold(&holder, std::iter::empty(), now_ns, now_ns);
    }

    fn pod_of(&mut self, uid: &str, container: &str) -> Option<Arc<Resource>> {
        let uid = match self.pods.contains_key(uid) {
            true => uid,
            false => self.aliases.get(uid).or_else(|| self.aliases.get(container))?,
        };
        let uid = CompactString::from(uid);
        self.present_pod(&uid)
    }

    /// Who held this address at this time.
    fn at(&mut self, address: SocketAddr, time_ns: u64) -> Option<Arc<Resource>> {
        let mut holders = self.addresses.at(address.ip(), time_ns);
        let first = holders.next()?;
        if holders.next().is_some() {
            self.counters.ambiguous += 1;
            return None;
        }
        match first {
            Holder::Pod(uid) => {
                let uid = uid.clone();
                drop(holders);
                self.present_pod(&uid)
            }
            Holder::Service(uid) => self.services.get(uid).map(|known| Arc::clone(&known.resource)),
            Holder::Node(uid) => {
                let service = self.addresses.service_at_port(address.port());
                let service = service.and_then(|uid| self.services.get(uid));
                let node = || self.nodes.get(uid).map(|known| Arc::clone(&known.resource));
                service.map(|known| Arc::clone(&known.resource)).or_else(node)
            }
        }
    }

    /// The pod's resource, with the workload's name of now.
    fn present_pod(&mut self, uid: &str) -> Option<Arc<Resource>> {
        let known = self.pods.get(uid)?;
        if known.owners_version == self.owners_version || known.gone_ns.is_some() {
            return Some(Arc::clone(&known.resource));
        }
        let present = self.pod_resource(&known.object);
        let known = self.pods.get_mut(uid)?;
        known.owners_version = self.owners_version;
        if present != *known.resource {
            known.resource = Arc::new(present);
        }
        Some(Arc::clone(&known.resource))
    }

    fn pod_resource(&self, pod: &Pod) -> Resource {
        let (workload_kind, workload) = match &pod.owner {
            Some(owner) => self.workload(owner),
            None => ("Pod".into(), pod.name.clone()),
        };
        Resource {
            kind: EndpointKind::Pod,
            uid: pod.uid.clone(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            workload,
            workload_kind,
        }
    }

    /// Kind and name of what owns this in the end, as far as is known.
    fn workload(&self, owner: &Owner) -> (CompactString, CompactString) {
        let mut last = owner;
        for _ in 0..MOST_OWNERS {
            match self.owners.get(&last.uid).and_then(|owned| owned.owner.as_ref()) {
                Some(next) => last = next,
                None => break,
            }
        }
        (last.kind.clone(), last.name.clone())
    }
}

fn mark_gone<T>(objects: &mut HashMap<CompactString, Known<T>>, uid: &str, now_ns: u64) {
    if let Some(known) = objects.get_mut(uid) {
        known.gone_ns.get_or_insert(now_ns);
    }
}
