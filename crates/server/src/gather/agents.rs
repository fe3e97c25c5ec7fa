//! The agents that are there, or may come back.

use std::net::IpAddr;

use alaz_model::{Exchange, Protocol};
use alaz_otlp::Agent;
use hashbrown::HashMap;

use super::{MOST_AGE_NS, SILENT_NS, claims};

/// The most agents at once.
const MOST: usize = 4096;

/// How one agent is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentState {
    /// Its host.
    pub host: String,
    /// Whether it was heard of lately.
    pub is_up: bool,
    /// Exchanges and connections that it told of since it is known.
    pub rows: u64,
}

#[derive(Debug, Default)]
pub(super) struct Agents {
    known: HashMap<String, Known>,
    next_id: u32,
}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: u32,
    host: String,
    addresses: Vec<IpAddr>,
    /// When it was heard of first, and last.
    pub(super) first_ns: u64,
    last_ns: u64,
    /// Up to when it has told everything.
    pub(super) told_until_ns: u64,
    pub(super) ended: bool,
    pub(super) rows: u64,
    /// Of its next report.
    pub(super) samples: Vec<Exchange>,
    sequence: Option<u64>,
    /// When it last told a client's view of each protocol.
    clients: HashMap<Option<Protocol>, u64>,
}

impl Known {
    /// Whether this message is a new one.
    pub(super) fn advances(&mut self, sequence: u64) -> bool {
        let is_new = self.sequence.is_none_or(|last| sequence > last);
        if is_new {
            self.sequence = Some(sequence);
        }
        is_new
    }

    fn is_silent(&self, now_ns: u64) -> bool {
        self.last_ns + SILENT_NS < now_ns
    }
}

impl Agents {
    /// The agent, which is there; `None` when there are too many.
    pub(super) fn hear(&mut self, agent: &Agent, now_ns: u64) -> Option<&mut Known> {
        if !self.known.contains_key(&agent.instance) {
            if self.known.len() >= MOST {
                return None;
            }
            self.next_id += 1;
            let known = Known {
                id: self.next_id,
                host: agent.host.clone(),
                addresses: Vec::new(),
                first_ns: now_ns,
                last_ns: now_ns,
                told_until_ns: 0,
                ended: false,
                rows: 0,
                samples: Vec::new(),
                sequence: None,
                clients: HashMap::new(),
            };
            self.known.insert(agent.instance.clone(), known);
        }
        let known = self.known.get_mut(&agent.instance)?;
        known.last_ns = now_ns;
        if known.addresses != agent.addresses {
            known.addresses.clone_from(&agent.addresses);
        }
        Some(known)
    }

    /// It tells clients' views of this protocol.
    pub(super) fn tell_clients(&mut self, id: u32, protocol: Option<Protocol>, time_ns: u64) {
        if let Some(known) = self.known.values_mut().find(|known| known.id == id) {
            let last_ns = known.clients.entry(protocol).or_default();
            *last_ns = time_ns.max(*last_ns);
        }
    }

    /// Whether all that are there have told everything up to then.
    pub(super) fn all_told(&self, until_ns: u64, now_ns: u64) -> bool {
        let mut there = self.known.values().filter(|it| !it.ended && !it.is_silent(now_ns));
        there.all(|known| known.told_until_ns >= until_ns)
    }

    /// Whether another agent than this is on the host of this address and tells clients' views of the
    /// protocol around that time.
    pub(super) fn tell_of(
        &self,
        address: IpAddr,
        protocol: Option<Protocol>,
        but: u32,
        time_ns: u64,
    ) -> bool {
        self.of(address, but).any(|known| {
            known.clients.get(&protocol).is_some_and(|last| claims::is_around(*last, time_ns))
        })
    }

    /// Whether one that is away, and is not this, may still tell what it saw then of this address.
    pub(super) fn may_tell(&self, address: IpAddr, but: u32, until_ns: u64) -> bool {
        self.of(address, but).any(|known| !known.ended && known.told_until_ns < until_ns)
    }

    /// Whether this address is of that agent's own host, whoever else has the same: those of bridges are
    /// found on many.
    pub(super) fn is_own(&self, address: IpAddr, id: u32) -> bool {
        let own = self.known.values().find(|known| known.id == id);
        own.is_some_and(|known| known.addresses.contains(&address))
    }

    fn of(&self, address: IpAddr, but: u32) -> impl Iterator<Item = &Known> {
        let others = self.known.values().filter(move |known| known.id != but);
        others.filter(move |known| known.addresses.contains(&address))
    }

    pub(super) fn forget_gone(&mut self, now_ns: u64) {
        self.known.retain(|_, known| known.last_ns + MOST_AGE_NS >= now_ns);
    }

    pub(super) fn states(&self, now_ns: u64) -> Vec<AgentState> {
        let state = |known: &Known| AgentState {
            host: known.host.clone(),
            is_up: !known.ended && !known.is_silent(now_ns),
            rows: known.rows,
        };
        // Of several lives on one host one is told: the others are over.
        let mut states: HashMap<String, AgentState> = HashMap::new();
        for state in self.known.values().map(state) {
            let known = states.entry(state.host.clone());
            known
                .and_modify(|known| {
                    known.is_up |= state.is_up;
                    known.rows += state.rows;
                })
                .or_insert(state);
        }
        let mut states: Vec<_> = states.into_values().collect();
        states.sort_unstable_by(|a, b| a.host.cmp(&b.host));
        states
    }
}
