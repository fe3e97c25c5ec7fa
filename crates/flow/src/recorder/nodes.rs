//! From an endpoint to its node, by a look at its process or address.

use std::net::IpAddr;
use std::sync::Arc;

use alaz_model::{Endpoint, EndpointKind, Process, Resource};
use compact_str::ToCompactString;
use hashbrown::HashMap;

use super::Counters;
use crate::{Limits, NodeFacts, NodeKey};

/// Processes, and resources of Kubernetes, whose node is remembered. Beyond, all are looked up by
/// name once more.
const CACHED: usize = 4096;

/// Which end of the exchange an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The nodes, each in a place that stays until something is forgotten.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    places: Vec<Node>,
    by_name: HashMap<Arc<NodeKey>, u32>,
    by_address: HashMap<IpAddr, u32>,
    /// By the address of the facts in memory, which the entry keeps from being reused.
    by_process: HashMap<usize, Cached<Process>>,
    /// The same, of those that no process of this host is behind.
    by_resource: HashMap<usize, Cached<Resource>>,
    other_outbound: Option<u32>,
    /// Those at the ends of this period's edges.
    touched: Vec<u32>,
    period_started_ns: u64,
}

#[derive(Debug)]
struct Node {
    facts: NodeFacts,
    /// End of the last period in which it was at the end of an edge, or when it came.
    used_ns: u64,
    touched: bool,
}

#[derive(Debug)]
struct Cached<T> {
    _keeps: Arc<T>,
    /// The process's resource when it was looked up: it may become known later.
    resource: usize,
    node: u32,
    used: bool,
}

impl<T> Cached<T> {
    fn new(of: &Arc<T>, resource: usize, node: u32) -> Cached<T> {
        Cached { _keeps: Arc::clone(of), resource, node, used: true }
    }
}

impl Nodes {
    /// The node of this endpoint; `None` when there is no place for it.
    #[inline]
    pub(super) fn find(
        &mut self,
        endpoint: &Endpoint,
        side: Side,
        limits: &Limits,
        met: &mut Counters,
    ) -> Option<u32> {
        let resource = endpoint.resource.as_ref().map_or(0, |it| Arc::as_ptr(it) as usize);
        match (&endpoint.process, &endpoint.resource) {
            (Some(process), _) => match self.by_process.get_mut(&(Arc::as_ptr(process) as usize)) {
                Some(cached) if cached.resource == resource => {
                    cached.used = true;
                    Some(cached.node)
                }
                _ => self.find_process(endpoint, process, resource, limits),
            },
            (None, Some(it)) => match self.by_resource.get_mut(&resource) {
                Some(cached) => {
                    cached.used = true;
                    Some(cached.node)
                }
                None => self.find_resource(endpoint, it, resource, limits),
            },
            (None, None) if endpoint.pid != 0 => self.intern(NodeKey::of(endpoint), limits.nodes),
            (None, None) => match self.by_address.get(&endpoint.address.ip()) {
                Some(node) => Some(*node),
                None => self.find_outbound(endpoint.address.ip(), side, limits, met),
            },
        }
    }

    #[cold]
    fn find_process(
        &mut self,
        endpoint: &Endpoint,
        process: &Arc<Process>,
        resource: usize,
        limits: &Limits,
    ) -> Option<u32> {
        let node = self.intern(NodeKey::of(endpoint), limits.nodes)?;
        if let Some(place) = self.places.get_mut(node as usize) {
            place.facts.see(process);
        }
        if self.by_process.len() >= CACHED {
            self.by_process.clear();
        }
        let cached = Cached::new(process, resource, node);
        self.by_process.insert(Arc::as_ptr(process) as usize, cached);
        Some(node)
    }

    #[cold]
    fn find_resource(
        &mut self,
        endpoint: &Endpoint,
        it: &Arc<Resource>,
        resource: usize,
        limits: &Limits,
    ) -> Option<u32> {
        let node = self.intern(NodeKey::of(endpoint), limits.nodes)?;
        if self.by_resource.len() >= CACHED {
            self.by_resource.clear();
        }
        self.by_resource.insert(resource, Cached::new(it, resource, node));
        Some(node)
    }

    #[cold]
    fn find_outbound(
        &mut self,
        address: IpAddr,
        side: Side,
        limits: &Limits,
        met: &mut Counters,
    ) -> Option<u32> {
        let most = match side {
            Side::Client => limits.outbound_hosts / 2,
            Side::Server => limits.outbound_hosts,
        };
        if self.by_address.len() >= most {
            met.outbound_hosts += 1;
            return self.find_other();
        }
        let node = self.intern(NodeKey::outbound(address.to_compact_string()), limits.nodes)?;
        self.by_address.insert(address, node);
        Some(node)
    }

    /// The node that another Alaz tells of; `None` when there is no place for it.
    pub(super) fn find_told(
        &mut self,
        told: &NodeFacts,
        side: Side,
        limits: &Limits,
        met: &mut Counters,
    ) -> Option<u32> {
        if told.key.kind == EndpointKind::Outbound {
            // The one that stands for many hosts there is none of an address here.
            return match told.key.name.parse() {
                Ok(address) => match self.by_address.get(&address) {
                    Some(node) => Some(*node),
                    None => self.find_outbound(address, side, limits, met),
                },
                Err(_) => self.find_other(),
            };
        }
        let node = self.intern((*told.key).clone(), limits.nodes)?;
        if let Some(place) = self.places.get_mut(node as usize)
            && !told.container.is_empty() | !told.executable.is_empty() | !told.pids.is_empty()
        {
            let key = Arc::clone(&place.facts.key);
            place.facts = NodeFacts { key, ..told.clone() };
        }
        Some(node)
    }

    /// Whether this one stands for many hosts.
    #[inline]
    pub(super) fn is_other(&self, node: u32) -> bool {
        self.other_outbound == Some(node)
    }

    /// The node for outside hosts beyond the limit: one more than the limit of nodes, since there is no
    /// other place for these.
    fn find_other(&mut self) -> Option<u32> {
        if self.other_outbound.is_none() {
            let node = self.intern(NodeKey::outbound(NodeKey::OTHER_OUTBOUND), usize::MAX)?;
            self.other_outbound = Some(node);
        }
        self.other_outbound
    }

    fn intern(&mut self, key: NodeKey, limit: usize) -> Option<u32> {
        if let Some(node) = self.by_name.get(&key) {
            return Some(*node);
        }
        if self.places.len() >= limit {
            return None;
        }
        let node = u32::try_from(self.places.len()).ok()?;
        let key = Arc::new(key);
        self.by_name.insert(Arc::clone(&key), node);
        let facts = NodeFacts::of(key);
        self.places.push(Node { facts, used_ns: self.period_started_ns, touched: false });
        Some(node)
    }

    pub(super) fn key(&self, node: u32) -> Option<Arc<NodeKey>> {
        self.places.get(node as usize).map(|place| Arc::clone(&place.facts.key))
    }

    pub(super) fn touched(&self) -> impl Iterator<Item = &NodeFacts> {
        self.touched.iter().filter_map(|&node| self.places.get(node as usize)).map(|n| &n.facts)
    }

    pub(super) fn close_period(&mut self, ends: impl Iterator<Item = u32>, now_ns: u64) {
        for node in ends {
            if let Some(place) = self.places.get_mut(node as usize)
                && !place.touched
            {
                place.touched = true;
                place.used_ns = now_ns;
                self.touched.push(node);
            }
        }
        self.period_started_ns = now_ns;
    }

    /// Processes that ended are let go within two periods.
    pub(super) fn clear(&mut self) {
        for node in self.touched.drain(..) {
            if let Some(place) = self.places.get_mut(node as usize) {
                place.touched = false;
            }
        }
        self.by_process.retain(|_, cached| std::mem::take(&mut cached.used));
        self.by_resource.retain(|_, cached| std::mem::take(&mut cached.used));
    }

    /// Gives up the places of nodes that were last used before. If there are any, returns where
    /// each of the old places is now.
    pub(super) fn forget(&mut self, unused_since_ns: u64) -> Option<Vec<Option<u32>>> {
        if self.places.iter().all(|place| place.used_ns >= unused_since_ns) {
            return None;
        }
        let mut moved = Vec::with_capacity(self.places.len());
        let mut kept = 0;
        self.places.retain(|place| {
            let keep = place.used_ns >= unused_since_ns;
            moved.push(keep.then_some(kept));
            kept += u32::from(keep);
            keep
        });
        let now_at = |node: &mut u32| match moved.get(*node as usize).copied().flatten() {
            Some(place) => {
                *node = place;
                true
            }
            None => false,
        };
        self.by_name.retain(|_, node| now_at(node));
        self.by_address.retain(|_, node| now_at(node));
        self.by_process.retain(|_, cached| now_at(&mut cached.node));
        self.by_resource.retain(|_, cached| now_at(&mut cached.node));
        if !self.other_outbound.as_mut().is_some_and(now_at) {
            self.other_outbound = None;
        }
        Some(moved)
    }
}

impl NodeKey {
    fn of(endpoint: &Endpoint) -> NodeKey {
        NodeKey {
            kind: endpoint.kind(),
            namespace: endpoint.namespace().into(),
            name: endpoint.workload(),
        }
    }

    fn outbound(name: impl Into<compact_str::CompactString>) -> NodeKey {
        NodeKey { kind: EndpointKind::Outbound, namespace: Default::default(), name: name.into() }
    }
}

impl NodeFacts {
    fn of(key: Arc<NodeKey>) -> NodeFacts {
        NodeFacts {
            key,
            container: Default::default(),
            executable: Default::default(),
            pids: Vec::new(),
        }
    }

    fn see(&mut self, process: &Process) {
        self.container =
            process.container.as_ref().map(|container| container.id.clone()).unwrap_or_default();
        self.executable = process.executable.clone();
        if process.pid == 0 {
            return;
        }
        self.pids.retain(|pid| *pid != process.pid);
        if self.pids.len() >= NodeFacts::PIDS {
            self.pids.remove(0);
        }
        self.pids.push(process.pid);
    }
}
