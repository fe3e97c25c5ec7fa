//! What many agents tell, as one map: each exchange once.
//!
//! In: reports of agents, of one second each, in any order between agents and in order from each.
//! Out: seconds, settled one by one into the store.
//!
//! An exchange between hosts may be seen from both ends, each by another agent. The client's view
//! counts. A server's view counts only where no agent tells the client's: where none is on the host
//! of the client's address, or the one there tells no client's views of that protocol
//! ([`claims`]). Both say who is who: a server that the client knows by its address only has the
//! name that its own agent gave it ([`names`]), and the latency that the server's end saw is joined
//! to the client's view where their addresses agree.
//!
//! For that, everything that was told of a second waits until all agents have told what came up to
//! a little after it. A client's view waits 5 s at most. A server's waits for as long as the agent
//! that may have the client's is away and may come back with it: 6 minutes.

mod agents;
mod claims;
mod names;
mod second;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use alaz_flow::{Limits, Recorder, Sight};
use alaz_model::{Exchange, UnixNanos};
use alaz_otlp::{Agent, Report};

pub use agents::AgentState;
use agents::Agents;
use claims::Claims;
use names::Names;
use second::Second;

const SECOND_NS: u64 = 1_000_000_000;
/// How far the clocks of two hosts, and the two ends of one exchange, may lie apart.
const APART_NS: u64 = 2 * SECOND_NS;
/// How long a client's view waits for agents that are slow.
const PATIENCE_NS: u64 = 5 * SECOND_NS;
/// An agent that was not heard of for so long is away; nothing but its own clients' views waits for it.
/// And so long after its start a server waits for all of them.
const SILENT_NS: u64 = 10 * SECOND_NS;
/// How old a report may be; agents keep theirs for a minute less. Whom nothing was heard of for so
/// long is gone.
pub(crate) const MOST_AGE_NS: u64 = 360 * SECOND_NS;
/// How far ahead an agent's clock may be.
const AHEAD_NS: u64 = 60 * SECOND_NS;
/// The most parts that wait at once, about 2 KiB each.
const MOST_HELD: usize = 100_000;
/// The most samples that wait at once, about a kilobyte each.
const MOST_SAMPLES: usize = 50_000;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It counts.
    Yes,
    /// It was told before.
    Repeated,
    /// What it is about has been settled without it.
    Late,
    /// It is about a time that has not come yet: the agent's clock is wrong.
    Ahead,
    /// There are too many agents, or too much waits: it is to be told again later.
    Full,
}

/// What became of everything that was told, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatherCounters {
    /// Exchanges and connections that count.
    pub counted: u64,
    /// Those that the client's agent told too, whose view counts.
    pub told_twice: u64,
    /// Of these, exchanges whose latency at the server could not be joined to one client's view.
    pub unjoined: u64,
    /// In reports that came too late.
    pub late: u64,
    /// In reports from the future.
    pub ahead: u64,
    /// In reports that were told again, and are not counted again.
    pub repeated: u64,
    /// Servers' views that waited for the client's agent when there was no more room to wait.
    pub full: u64,
}

/// How the gathering is doing.
#[derive(Clone, Debug, Default)]
pub struct GatherState {
    /// What became of what was told.
    pub counters: GatherCounters,
    /// Calls without the right token.
    pub calls_refused: u64,
    /// Parts that wait.
    pub held: usize,
    /// The agents that were heard of in the last minutes, by host.
    pub agents: Vec<AgentState>,
}

/// What agents told and is not settled yet, and what is known of them. Times are arguments, ns since
/// 1970 by this server's clock.
pub(crate) struct Gather {
    started_ns: u64,
    agents: Agents,
    claims: Claims,
    names: Names,
    /// By their start. Parts and samples of each agent may come at any time.
    seconds: BTreeMap<u64, Second>,
    held: usize,
    samples: usize,
    recorder: Recorder,
    counters: GatherCounters,
}

/// A second that is settled, in the recorder.
pub(crate) struct Settled<'a> {
    pub(crate) start: UnixNanos,
    pub(crate) end: UnixNanos,
    /// Its figures; to be cut.
    pub(crate) recorder: &'a mut Recorder,
    /// The exchanges that stand for the many.
    pub(crate) samples: Vec<Arc<Exchange>>,
}

impl Gather {
    pub(crate) fn new(limits: Limits, now_ns: u64) -> Gather {
        Gather {
            started_ns: now_ns,
            agents: Agents::default(),
            claims: Claims::default(),
            names: Names::default(),
            seconds: BTreeMap::new(),
            held: 0,
            samples: 0,
            recorder: Recorder::new(limits),
            counters: GatherCounters::default(),
        }
    }

    /// Takes the exchanges that stand for those of the agent's next report.
    pub(crate) fn take_samples(
        &mut self,
        agent: &Agent,
        sequence: u64,
        samples: Vec<Exchange>,
        now_ns: u64,
    ) -> Taken {
        let Some(known) = self.agents.hear(agent, now_ns) else { return Taken::Full };
        if !known.advances(sequence) {
            return Taken::Repeated;
        }
        if self.samples + samples.len() <= MOST_SAMPLES {
            self.samples += samples.len();
            known.samples.extend(samples);
        }
        Taken::Yes
    }

    /// Takes what an agent saw in a period. `is_last`: nothing more of this period will come from
    /// it; `ends`: nothing more at all.
    pub(crate) fn take(
        &mut self,
        agent: &Agent,
        sequence: u64,
        report: Report,
        (is_last, ends): (bool, bool),
        now_ns: u64,
    ) -> Taken {
        let rows = report.rows();
        let started_ns = self.started_ns;
        let is_full = self.held + report.parts.len() > MOST_HELD;
        let Some(known) = self.agents.hear(agent, now_ns).filter(|_| !is_full) else {
            return Taken::Full;
        };
        if !known.advances(sequence) {
            self.counters.repeated += rows;
            return Taken::Repeated;
        }
        known.ended = ends;
        // What others saw before anybody knew of it has been settled without it.
        let unknown_then =
            report.start.0 >= started_ns && report.end.0 + SILENT_NS < known.first_ns;
        if report.end.0 + MOST_AGE_NS < now_ns || unknown_then {
            self.counters.late += rows;
            return Taken::Late;
        }
        if report.end.0 > now_ns + AHEAD_NS {
            self.counters.ahead += rows;
            return Taken::Ahead;
        }
        let samples = std::mem::take(&mut known.samples);
        if is_last {
            known.told_until_ns = known.told_until_ns.max(report.end.0);
        }
        known.rows += rows;
        let (id, start_ns) = (known.id, report.start.0 - report.start.0 % SECOND_NS);
        self.learn(id, agent, &report);
        self.held += report.parts.len();
        let second = self.seconds.entry(start_ns).or_insert_with(|| Second::new(now_ns));
        second.add(id, report, samples);
        Taken::Yes
    }

    fn learn(&mut self, id: u32, agent: &Agent, report: &Report) {
        let is_host = |address| agent.addresses.contains(&address);
        for part in &report.parts {
            match part.sight {
                Sight::Both => {}
                Sight::Client(path) => {
                    self.agents.tell_clients(id, part.protocol, report.end.0);
                    if is_pod(&part.client) {
                        self.claims.claim(path.client, part.protocol, id, report.end.0);
                    }
                }
                Sight::Server(path) if is_host(path.server) || is_pod(&part.server) => {
                    self.names.learn((path.server, part.port), &part.server, id, report.end.0);
                }
                Sight::Server(_) => {}
            }
        }
    }

    /// Settles what can be, oldest first.
    pub(crate) fn settle(&mut self, now_ns: u64, mut show: impl FnMut(Settled<'_>)) {
        self.agents.forget_gone(now_ns);
        self.claims.forget(now_ns);
        self.names.forget(now_ns);
        let starts: Vec<u64> = self.seconds.keys().copied().collect();
        for start_ns in starts {
            let Some(second) = self.seconds.get_mut(&start_ns) else { continue };
            let end_ns = start_ns + SECOND_NS;
            let is_told = self.agents.all_told(end_ns + APART_NS, now_ns);
            let waited_ns = now_ns.saturating_sub(second.arrived_ns);
            if !is_told && waited_ns < PATIENCE_NS {
                continue;
            }
            // A server that has just started does not know yet whom it knows.
            let knows_all = is_told && now_ns >= self.started_ns + SILENT_NS;
            let judge = second::Judge {
                agents: &self.agents,
                claims: &self.claims,
                names: &self.names,
                is_final: waited_ns >= MOST_AGE_NS,
                is_pressed: self.held > MOST_HELD / 2,
                knows_all,
                end_ns,
            };
            let before = (second.parts.len(), second.samples.len());
            let mut samples = Vec::new();
            let changed =
                second.settle(&judge, &mut self.recorder, &mut samples, &mut self.counters);
            self.held -= before.0 - second.parts.len();
            self.samples -= (before.1 - second.samples.len()).min(self.samples);
            if second.is_empty() {
                self.seconds.remove(&start_ns);
            }
            if changed {
                let (start, end) = (UnixNanos(start_ns), UnixNanos(end_ns));
                show(Settled { start, end, recorder: &mut self.recorder, samples });
            }
        }
    }

    /// How it is doing.
    pub(crate) fn state(&self, now_ns: u64) -> GatherState {
        GatherState {
            counters: self.counters,
            calls_refused: 0,
            held: self.held,
            agents: self.agents.states(now_ns),
        }
    }
}

/// Whether its addresses are its own in the whole cluster: those of containers elsewhere are found on
/// many hosts.
fn is_pod(node: &alaz_flow::NodeFacts) -> bool {
    node.key.kind == alaz_model::EndpointKind::Pod
}
