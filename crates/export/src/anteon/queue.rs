//! Which batch is sent next, when, and what becomes of it. Time comes as an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alaz_model::ExportLoss;

use super::batch::{Batch, random};
use crate::counters::Counters;

/// A batch that the backend finds wrong is sent so often: as often as the original did.
const MOST_ATTEMPTS: u32 = 3;
/// One that fails in another way, while others arrive, may yet be the cause of that.
const MOST_FAILURES: u32 = 10;
/// The longest that a backend is obeyed when it wants to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Bounds and times of a [`Queue`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bodies that wait in memory, together.
    pub(super) bytes: usize,
    /// How long to wait after a failure; twice as long after each further one.
    pub(super) first_rest: Duration,
    /// The most that becomes.
    pub(super) longest_rest: Duration,
}

/// A batch that was not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) batch: Batch,
    id: u64,
    attempts: u32,
    not_before: Option<Instant>,
    /// How many batches had arrived when this one was sent first, and when it was sent last.
    arrived_before: u64,
    taken: Option<Instant>,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Take {
    /// Send this one, and tell what was answered.
    Batch(Waiting),
    /// Nothing until then, or until something is told to the queue.
    Wait(Option<Instant>),
    /// Nothing more will come.
    Ended,
}

/// What an answer, or none, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It arrived; so many rows of it are wrong.
    Arrived { refused: u64 },
    /// The backend wants nothing sent any more.
    Stop,
    /// It is of no use to send it again.
    Rejected,
    /// This batch may be wrong, or else the backend is: again.
    Doubtful,
    /// The backend has a problem: everything must wait, for so long where it says so.
    Unavailable { rest: Option<Duration> },
}

/// The batches of one exporter, bounded.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    fresh: VecDeque<Waiting>,
    /// Those that failed. They stand behind the others, which may not be the cause.
    again: VecDeque<Waiting>,
    under_way: Vec<Waiting>,
    bytes: usize,
    next_id: u64,
    arrived: u64,
    /// How often the backend failed, one time after the other.
    failures: u32,
    failed: Option<Instant>,
    not_before: Option<Instant>,
    is_stopped: bool,
    is_ending: bool,
    counters: Arc<Counters>,
}

impl Queue {
    pub(super) fn new(limits: Limits, counters: Arc<Counters>) -> Queue {
        Queue {
            limits,
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            under_way: Vec::new(),
            bytes: 0,
            next_id: 0,
            arrived: 0,
            failures: 0,
            failed: None,
            not_before: None,
            is_stopped: false,
            is_ending: false,
            counters,
        }
    }

    /// Adds a batch, whose rows were counted as queued. Where there is no room, what has waited longest goes.
    pub(super) fn push(&mut self, batch: Batch) {
        if self.is_stopped {
            self.counters.lose_queued(ExportLoss::Stopped, batch.rows);
            return;
        }
        self.next_id += 1;
        let (id, attempts, arrived_before) = (self.next_id, 0, 0);
        self.bytes += batch.body.len();
        self.fresh.push_back(Waiting {
            batch,
            id,
            attempts,
            not_before: None,
            arrived_before,
            taken: None,
        });
        self.make_room();
    }

    /// The next batch to send, if it is time for one.
    pub(super) fn take(&mut self, now: Instant) -> Take {
        if self.is_ending && (self.is_stopped || self.failures > 0 || self.is_empty()) {
            return Take::Ended;
        }
        if self.is_stopped {
            return Take::Wait(None);
        }
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Take::Wait(Some(until));
        }
        // After a failure one batch tells whether the others would arrive.
        if self.failures > 0 && !self.under_way.is_empty() {
            return Take::Wait(None);
        }
        let is_due = |waiting: &Waiting| waiting.not_before.is_none_or(|until| until <= now);
        let next = self.fresh.pop_front().or_else(|| {
            let index = self.again.iter().position(is_due)?;
            self.again.remove(index)
        });
        let Some(mut next) = next else {
            return Take::Wait(self.again.iter().filter_map(|waiting| waiting.not_before).min());
        };
        self.bytes -= next.batch.body.len();
        if next.attempts == 0 {
            next.arrived_before = self.arrived;
        } else {
            self.counters.retry();
        }
        next.attempts += 1;
        next.taken = Some(now);
        self.under_way.push(next.clone());
        Take::Batch(next)
    }

    /// What was answered to a batch that was taken.
    pub(super) fn settle(&mut self, mut waiting: Waiting, verdict: Verdict, now: Instant) {
        self.under_way.retain(|other| other.id != waiting.id);
        let rows = waiting.batch.rows;
        match verdict {
            Verdict::Arrived { refused } => {
                let refused = refused.min(rows);
                self.counters.lose_queued(ExportLoss::Refused, refused);
                self.counters.send(rows - refused);
                self.arrived += 1;
                self.failures = 0;
                self.not_before = None;
                return;
            }
            Verdict::Rejected => {
                // It answers, after all.
                self.failures = 0;
                return self.counters.lose_queued(ExportLoss::Rejected, rows);
            }
            Verdict::Stop => {
                self.stop();
                waiting.attempts -= 1;
            }
            Verdict::Doubtful => {
                self.failures = 0;
                if waiting.attempts >= MOST_ATTEMPTS {
                    return self.counters.lose_queued(ExportLoss::GivenUp, rows);
                }
                waiting.not_before = Some(now + self.rest(waiting.attempts));
            }
            Verdict::Unavailable { rest } => {
                self.fail(&waiting, rest, now);
                if waiting.attempts >= MOST_FAILURES && self.arrived > waiting.arrived_before {
                    return self.counters.lose_queued(ExportLoss::GivenUp, rows);
                }
            }
        }
        self.bytes += waiting.batch.body.len();
        self.again.push_back(waiting);
        self.make_room();
    }

    /// Nothing is sent or taken any more, until [`Queue::resume`].
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        self.counters.is_stopped.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn resume(&mut self) {
        self.is_stopped = false;
        self.counters.is_stopped.store(false, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Nothing more will be pushed.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
    }

    /// Gives up what is left, also what is under way; returns how many rows that are.
    pub(super) fn give_up(&mut self) -> u64 {
        let left = self.fresh.drain(..).chain(self.again.drain(..)).chain(self.under_way.drain(..));
        let rows = left.map(|waiting| waiting.batch.rows).sum();
        self.bytes = 0;
        self.counters.lose_queued(ExportLoss::Ended, rows);
        rows
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty() && self.under_way.is_empty()
    }

    fn fail(&mut self, waiting: &Waiting, rest: Option<Duration>, now: Instant) {
        // What was under way when another one failed tells nothing new.
        if self.failures == 0 || waiting.taken > self.failed {
            self.failures = self.failures.saturating_add(1);
            self.failed = Some(now);
        }
        let rest = rest.map_or_else(|| self.rest(self.failures), |rest| rest.min(LONGEST_REST));
        let until = now + rest;
        self.not_before = Some(self.not_before.map_or(until, |other| other.max(until)));
    }

    /// How long to wait after the nth failure, and up to a quarter longer, so that agents that failed
    /// together do not come back together.
    fn rest(&self, nth: u32) -> Duration {
        let factor = 1 << nth.saturating_sub(1).min(16);
        let rest = self.limits.first_rest.saturating_mul(factor).min(self.limits.longest_rest);
        rest + rest.mul_f64(random() as f64 / u64::MAX as f64 / 4.0)
    }

    fn make_room(&mut self) {
        while self.bytes > self.limits.bytes {
            let Some(oldest) = self.again.pop_front().or_else(|| self.fresh.pop_front()) else {
                break;
            };
            self.bytes -= oldest.batch.body.len();
            self.counters.lose_queued(ExportLoss::QueueFull, oldest.batch.rows);
        }
    }
}

#[cfg(test)]
mod tests;
