//! One second, as all agents told it: what of it counts.

use std::net::IpAddr;
use std::sync::Arc;

use alaz_flow::{NodeFacts, Overflow, Part, Path, Recorder, Sight};
use alaz_model::{EndpointKind, Exchange, ObservedBy, Protocol};
use alaz_otlp::Report;
use hashbrown::HashMap;

use super::agents::Agents;
use super::claims::Claims;
use super::names::{self, Names};
use super::{APART_NS, GatherCounters};

/// What waits, each with the agent that told it.
#[derive(Debug)]
pub(super) struct Second {
    /// When the first of it came.
    pub(super) arrived_ns: u64,
    pub(super) parts: Vec<(u32, Part)>,
    pub(super) samples: Vec<(u32, Exchange)>,
    overflow: Overflow,
}

/// What a server's view is to be done with.
enum Verdict {
    /// It counts: nobody tells the client's.
    Counts,
    /// The client's agent tells it.
    ToldByClient,
    /// That agent may still tell it.
    Waits,
    /// It may, and there is no room to wait.
    Lost,
}

/// What is known when a second is settled.
pub(super) struct Judge<'a> {
    pub(super) agents: &'a Agents,
    pub(super) claims: &'a Claims,
    pub(super) names: &'a Names,
    /// All that are there have told of it.
    pub(super) knows_all: bool,
    /// It has waited for as long as anybody may be away.
    pub(super) is_final: bool,
    /// So much waits that the oldest must go.
    pub(super) is_pressed: bool,
    pub(super) end_ns: u64,
}

impl Judge<'_> {
    /// Who serves at an address that this agent knows nothing else of.
    fn name(&self, agent: u32, address: IpAddr, port: u16) -> Option<&NodeFacts> {
        let is_own = address.is_loopback() || self.agents.is_own(address, agent);
        if is_own { None } else { self.names.of((address, port), agent) }
    }

    /// Of the server's view of this agent.
    fn view(&self, agent: u32, client: IpAddr, protocol: Option<Protocol>) -> Verdict {
        if client.is_loopback() || self.agents.is_own(client, agent) {
            return Verdict::Counts;
        }
        let claimed = self.claims.of(client, protocol, self.end_ns).filter(|by| *by != agent);
        if claimed.is_some() || self.agents.tell_of(client, protocol, agent, self.end_ns) {
            return Verdict::ToldByClient;
        }
        let until_ns = self.end_ns + APART_NS;
        let is_awaited = !self.knows_all || self.agents.may_tell(client, agent, until_ns);
        match is_awaited && !self.is_final {
            true if self.is_pressed => Verdict::Lost,
            true => Verdict::Waits,
            false => Verdict::Counts,
        }
    }
}

impl Second {
    pub(super) fn new(now_ns: u64) -> Second {
        let overflow = Overflow::default();
        Second { arrived_ns: now_ns, parts: Vec::new(), samples: Vec::new(), overflow }
    }

    pub(super) fn add(&mut self, agent: u32, report: Report, samples: Vec<Exchange>) {
        self.parts.extend(report.parts.into_iter().map(|part| (agent, part)));
        self.samples.extend(samples.into_iter().map(|sample| (agent, sample)));
        self.overflow.requests += report.overflow.requests;
        self.overflow.edges = self.overflow.edges.max(report.overflow.edges);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.samples.is_empty()
    }

    /// Moves what counts to the recorder, and drops what others tell. What must wait, stays. Returns
    /// whether anything counts.
    pub(super) fn settle(
        &mut self,
        judge: &Judge<'_>,
        recorder: &mut Recorder,
        samples: &mut Vec<Arc<Exchange>>,
        counters: &mut GatherCounters,
    ) -> bool {
        let mut counted = Vec::new();
        let mut twice = Vec::new();
        let mut waiting = Vec::new();
        for (agent, mut part) in self.parts.drain(..) {
            match part.sight {
                Sight::Both => counted.push(part),
                Sight::Client(path) => {
                    if part.server.key.kind == EndpointKind::Outbound
                        && let Some(node) = judge.name(agent, path.server, part.port)
                    {
                        part.server.clone_from(node);
                    }
                    counted.push(part);
                }
                Sight::Server(path) => match judge.view(agent, path.client, part.protocol) {
                    Verdict::Counts => counted.push(part),
                    Verdict::ToldByClient => twice.push((path, part)),
                    Verdict::Waits => waiting.push((agent, part)),
                    Verdict::Lost => counters.full += part.rows(),
                },
            }
        }
        self.parts = waiting;
        join(&mut counted, twice, counters);
        let overflow = std::mem::take(&mut self.overflow);
        let changed = !counted.is_empty() || overflow.requests > 0;
        recorder.add_overflow(overflow);
        for part in &counted {
            counters.counted += part.rows();
            recorder.add(part);
        }
        self.offer(judge, recorder, samples);
        changed || !samples.is_empty()
    }

    /// Samples of what counts.
    fn offer(&mut self, judge: &Judge<'_>, recorder: &mut Recorder, kept: &mut Vec<Arc<Exchange>>) {
        let mut waiting = Vec::new();
        for (agent, mut sample) in self.samples.drain(..) {
            let server = sample.server.address;
            match sample.observed_by {
                ObservedBy::Both => {}
                ObservedBy::Client => {
                    if sample.server.kind() == EndpointKind::Outbound
                        && let Some(node) = judge.name(agent, server.ip(), server.port())
                    {
                        sample.server = names::endpoint(node, &sample.server);
                    }
                }
                ObservedBy::Server => {
                    let client = sample.client.address.ip();
                    match judge.view(agent, client, Some(sample.message.protocol)) {
                        Verdict::Counts => {}
                        Verdict::ToldByClient | Verdict::Lost => continue,
                        Verdict::Waits => {
                            waiting.push((agent, sample));
                            continue;
                        }
                    }
                }
            }
            kept.push(recorder.offer(&sample).unwrap_or_else(|| Arc::new(sample)));
        }
        self.samples = waiting;
    }
}

/// Adds the latency that servers saw to the views of the clients, where the same addresses are on one
/// edge only.
fn join(counted: &mut [Part], twice: Vec<(Path, Part)>, counters: &mut GatherCounters) {
    type Key = (Path, u16, Option<Protocol>);
    let mut edges: HashMap<Key, Option<usize>> = HashMap::new();
    if !twice.is_empty() {
        for (place, part) in counted.iter().enumerate() {
            if let Sight::Client(path) = part.sight {
                let edge = edges.entry((path, part.port, part.protocol));
                edge.and_modify(|edge| *edge = None).or_insert(Some(place));
            }
        }
    }
    for (path, part) in twice {
        counters.told_twice += part.rows();
        let key = (path, part.port, part.protocol);
        let edge = edges.get(&key).copied().flatten().and_then(|place| counted.get_mut(place));
        match edge {
            Some(edge) => edge.stats.server_latency.merge(&part.stats.server_latency),
            None => counters.unjoined += part.stats.requests,
        }
    }
}
