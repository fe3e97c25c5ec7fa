//! Who serves at which address, as the agent beside it says.

use std::net::IpAddr;
use std::sync::Arc;

use alaz_flow::NodeFacts;
use alaz_model::{Endpoint, EndpointKind, Process, Resource};
use hashbrown::HashMap;

use super::SECOND_NS;

/// The most servers that are known at once.
const MOST: usize = 65_536;
/// How long after it was told last.
const KEPT_NS: u64 = 600 * SECOND_NS;

#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<(IpAddr, u16), Named>,
}

#[derive(Debug)]
struct Named {
    node: NodeFacts,
    agent: u32,
    last_ns: u64,
    /// Two agents say different things.
    is_ambiguous: bool,
}

impl Names {
    /// This agent says who serves there.
    pub(super) fn learn(&mut self, at: (IpAddr, u16), node: &NodeFacts, agent: u32, time_ns: u64) {
        let is_name =
            node.key.kind != EndpointKind::Outbound && node.key.name != Endpoint::UNKNOWN_PROCESS;
        if !is_name || self.known.len() >= MOST && !self.known.contains_key(&at) {
            return;
        }
        let named = || Named { node: node.clone(), agent, last_ns: time_ns, is_ambiguous: false };
        let known = self.known.entry(at).or_insert_with(named);
        if known.node.key == node.key || known.agent == agent {
            known.node.clone_from(node);
            known.agent = agent;
            known.last_ns = known.last_ns.max(time_ns);
        } else if known.last_ns + super::APART_NS >= time_ns {
            known.is_ambiguous = true;
        } else {
            *known = named();
        }
    }

    /// Who serves there, as another agent than this says.
    pub(super) fn of(&self, at: (IpAddr, u16), but: u32) -> Option<&NodeFacts> {
        let known = self.known.get(&at)?;
        (known.agent != but && !known.is_ambiguous).then_some(&known.node)
    }

    pub(super) fn forget(&mut self, now_ns: u64) {
        self.known.retain(|_, named| named.last_ns + KEPT_NS >= now_ns);
    }
}

/// An endpoint of that node, at the address of this one.
pub(super) fn endpoint(node: &NodeFacts, at: &Endpoint) -> Endpoint {
    let key = &node.key;
    let mut endpoint = Endpoint::at(at.address);
    match key.kind {
        EndpointKind::Process | EndpointKind::Container => {
            endpoint.process = Some(Arc::new(Process {
                name: key.name.clone(),
                executable: node.executable.clone(),
                workload: key.name.clone(),
                kind: key.kind,
                ..Process::default()
            }));
        }
        kind => {
            endpoint.resource = Some(Arc::new(Resource {
                kind,
                namespace: key.namespace.clone(),
                workload: key.name.clone(),
                ..Resource::default()
            }));
        }
    }
    endpoint
}
