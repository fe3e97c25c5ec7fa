//! The last hour in steps of time, which grow as they age.

use std::collections::VecDeque;

use alaz_flow::{Overflow, Slice};

use super::figures::Figures;
use super::ids::EdgeId;

const SECOND_NS: u64 = 1_000_000_000;

/// Steps of one length.
#[derive(Clone, Copy, Debug)]
struct Tier {
    step_ns: u64,
    /// Until what age there are such steps.
    age_ns: u64,
    /// So many of the newest stay also when memory is short.
    least: usize,
}

/// Finest first; the last one ends what is remembered.
const TIERS: [Tier; 3] = [
    Tier { step_ns: SECOND_NS, age_ns: 2 * 60 * SECOND_NS, least: 10 },
    Tier { step_ns: 10 * SECOND_NS, age_ns: 17 * 60 * SECOND_NS, least: 6 },
    Tier { step_ns: 60 * SECOND_NS, age_ns: REMEMBERED_NS, least: 0 },
];

/// How long anything is remembered.
pub(crate) const REMEMBERED_NS: u64 = 60 * 60 * SECOND_NS;

/// All edges during one step of time. It belongs to the moment at which it starts.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) start_ns: u64,
    pub(crate) overflow: Overflow,
    /// By id.
    edges: Vec<(EdgeId, Figures)>,
    bytes: usize,
}

impl Step {
    pub(crate) fn of(slice: &Slice<'_>, start_ns: u64, edges: Vec<(EdgeId, Figures)>) -> Step {
        let mut step = Step { start_ns, overflow: slice.overflow, edges, bytes: 0 };
        step.edges.sort_unstable_by_key(|(id, _)| *id);
        step.weigh();
        step
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = (EdgeId, &Figures)> {
        self.edges.iter().map(|(id, figures)| (*id, figures))
    }

    pub(crate) fn edge(&self, id: EdgeId) -> Option<&Figures> {
        let place = self.edges.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.edges.get(place).map(|(_, figures)| figures)
    }

    fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.overflow == Overflow::default()
    }

    fn merge(&mut self, other: Step) {
        self.overflow.requests += other.overflow.requests;
        // The same edges most likely: their number does not add up, so this many at least.
        self.overflow.edges = self.overflow.edges.max(other.overflow.edges);
        for (id, figures) in other.edges {
            match self.edges.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(place) => {
                    if let Some((_, mine)) = self.edges.get_mut(place) {
                        mine.merge(&figures);
                    }
                }
                Err(place) => self.edges.insert(place, (id, figures)),
            }
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let edges = self.edges.iter();
        let held: usize = edges.map(|(_, figures)| size_of::<EdgeId>() + figures.bytes()).sum();
        self.bytes = size_of::<Step>() + held;
    }
}

/// The steps of all tiers.
#[derive(Debug)]
pub(crate) struct Steps {
    tiers: [VecDeque<Step>; TIERS.len()],
    bytes: usize,
    most_bytes: usize,
}

impl Steps {
    /// Keeps at most so many bytes. Beyond, steps are joined before their time, and if that is not
    /// enough, the oldest are forgotten before theirs.
    pub(crate) fn new(most_bytes: usize) -> Steps {
        Steps { tiers: Default::default(), bytes: 0, most_bytes }
    }

    /// Takes the newest step and moves on to `now_ns`: what has aged is joined to longer steps, or
    /// forgotten. Returns the end of what had to go before its time, if anything had.
    pub(crate) fn push(&mut self, step: Step, now_ns: u64) -> Option<u64> {
        if !step.is_empty() {
            self.insert(0, step);
        }
        for (tier, Tier { age_ns, .. }) in TIERS.iter().enumerate() {
            let oldest_ns = now_ns.saturating_sub(*age_ns);
            while let Some(step) = self.pop_before(tier, oldest_ns) {
                self.insert(tier + 1, step);
            }
        }
        let mut dropped_until_ns = None;
        while self.bytes > self.most_bytes {
            if self.join_early() {
                continue;
            }
            let Some((step, length_ns)) = self.pop_oldest() else { break };
            dropped_until_ns = Some(step.start_ns.saturating_add(length_ns));
        }
        dropped_until_ns
    }

    /// Makes the oldest of the finest steps part of a longer one.
    fn join_early(&mut self) -> bool {
        for (tier, Tier { least, .. }) in TIERS.iter().enumerate().take(TIERS.len() - 1) {
            let spare = self.tiers.get(tier).is_some_and(|steps| steps.len() > *least);
            if spare && let Some(step) = self.pop_before(tier, u64::MAX) {
                self.insert(tier + 1, step);
                return true;
            }
        }
        false
    }

    /// Those that start in this period, in order of time within each tier.
    pub(crate) fn within(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = &Step> {
        self.tiers.iter().rev().flat_map(move |steps| {
            let first = steps.partition_point(|step| step.start_ns < from_ns);
            let end = steps.partition_point(|step| step.start_ns < to_ns);
            steps.range(first..end.max(first))
        })
    }

    /// Length of the longest steps that the period is made of, ns.
    pub(crate) fn longest_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        let inside = |step: &Step| (from_ns..to_ns).contains(&step.start_ns);
        let used = self.tiers.iter().zip(TIERS).rev().find(|(steps, _)| steps.iter().any(inside));
        used.map_or(SECOND_NS, |(_, tier)| tier.step_ns)
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a step to its tier; behind the last one it is forgotten.
    fn insert(&mut self, tier: usize, mut step: Step) {
        let (Some(Tier { step_ns, .. }), Some(steps)) = (TIERS.get(tier), self.tiers.get_mut(tier))
        else {
            return;
        };
        step.start_ns -= step.start_ns % step_ns;
        // At the end, but for a clock that was set back.
        let place = steps.partition_point(|other| other.start_ns < step.start_ns);
        match steps.get_mut(place) {
            Some(same) if same.start_ns == step.start_ns => {
                self.bytes -= same.bytes;
                same.merge(step);
                self.bytes += same.bytes;
            }
            _ => {
                self.bytes += step.bytes;
                steps.insert(place, step);
            }
        }
    }

    fn pop_before(&mut self, tier: usize, oldest_ns: u64) -> Option<Step> {
        let steps = self.tiers.get_mut(tier)?;
        if steps.front()?.start_ns >= oldest_ns {
            return None;
        }
        let step = steps.pop_front()?;
        self.bytes -= step.bytes;
        Some(step)
    }

    fn pop_oldest(&mut self) -> Option<(Step, u64)> {
        for (steps, tier) in self.tiers.iter_mut().zip(TIERS).rev() {
            if let Some(step) = steps.pop_front() {
                self.bytes -= step.bytes;
                return Some((step, tier.step_ns));
            }
        }
        None
    }
}
