//! Which batch is sent next, when, and what becomes of it. Time comes as an argument.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alaz_model::ExportLoss;

use super::batch::Batch;
use super::spool::{Kept, Pushed, Spool};
use crate::counters::Counters;
use crate::random;

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
    /// Its file, where it has one.
    kept: Option<Kept>,
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

/// The batches of one exporter, bounded: in memory, and beyond that on disk.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    spool: Option<Spool>,
    disk_failure: Option<io::Error>,
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
    /// With what is left on disk, if it may use one.
    pub(super) fn new(limits: Limits, counters: Arc<Counters>, spool: Option<Spool>) -> Queue {
        counters.queue(spool.as_ref().map_or(0, Spool::rows));
        Queue {
            limits,
            spool,
            disk_failure: None,
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
        // What is on disk came before it.
        let is_room = self.bytes + batch.body.len() <= self.limits.bytes;
        if self.spool.is_some() && !(is_room && self.is_disk_empty()) {
            return self.keep(&batch);
        }
        let waiting = self.waiting(batch, None);
        self.bytes += waiting.batch.body.len();
        self.fresh.push_back(waiting);
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
        let next = self.next_fresh().or_else(|| {
            let index = self.again.iter().position(is_due)?;
            let waiting = self.again.remove(index)?;
            self.bytes -= waiting.batch.body.len();
            Some(waiting)
        });
        let Some(mut next) = next else {
            return Take::Wait(self.again.iter().filter_map(|waiting| waiting.not_before).min());
        };
        if next.attempts == 0 {
            next.arrived_before = self.arrived;
        } else {
            self.counters.retry();
        }
        next.attempts += 1;
        (next.taken, next.not_before) = (Some(now), None);
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
                return self.discard(waiting.kept);
            }
            Verdict::Rejected => {
                // It answers, after all.
                self.failures = 0;
                self.counters.lose_queued(ExportLoss::Rejected, rows);
                return self.discard(waiting.kept);
            }
            Verdict::Stop => {
                self.stop();
                waiting.attempts -= 1;
            }
            Verdict::Doubtful => {
                self.failures = 0;
                if waiting.attempts >= MOST_ATTEMPTS {
                    self.counters.lose_queued(ExportLoss::GivenUp, rows);
                    return self.discard(waiting.kept);
                }
                waiting.not_before = Some(now + self.rest(waiting.attempts));
            }
            Verdict::Unavailable { rest } => {
                self.fail(&waiting, rest, now);
                if waiting.attempts >= MOST_FAILURES && self.arrived > waiting.arrived_before {
                    self.counters.lose_queued(ExportLoss::GivenUp, rows);
                    return self.discard(waiting.kept);
                }
            }
        }
        self.put_back(waiting);
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

    /// Leaves on disk what is left, also what is under way. Gives how many rows are lost, since there
    /// is none.
    pub(super) fn give_up(&mut self) -> u64 {
        let left: Vec<_> = self
            .fresh
            .drain(..)
            .chain(self.again.drain(..))
            .chain(self.under_way.drain(..))
            .collect();
        self.bytes = 0;
        let mut lost = 0;
        for waiting in left {
            match (&self.spool, waiting.kept) {
                (Some(_), Some(_)) => {}
                (Some(_), None) => self.keep(&waiting.batch),
                (None, _) => lost += waiting.batch.rows,
            }
        }
        self.counters.lose_queued(ExportLoss::Ended, lost);
        lost
    }

    /// Why batches could not be written since this was asked last.
    pub(super) fn take_disk_failure(&mut self) -> Option<io::Error> {
        self.disk_failure.take()
    }

    fn is_empty(&self) -> bool {
        let is_memory_empty = self.fresh.is_empty() && self.again.is_empty();
        is_memory_empty && self.under_way.is_empty() && self.is_disk_empty()
    }

    fn is_disk_empty(&self) -> bool {
        self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    fn waiting(&mut self, batch: Batch, kept: Option<Kept>) -> Waiting {
        self.next_id += 1;
        Waiting {
            batch,
            kept,
            id: self.next_id,
            attempts: kept.map_or(0, |kept| kept.attempts),
            not_before: None,
            arrived_before: kept.map_or(0, |kept| kept.arrived_before),
            taken: None,
        }
    }

    /// It waits again, in memory or where it came from.
    fn put_back(&mut self, waiting: Waiting) {
        match (&mut self.spool, waiting.kept) {
            (Some(spool), Some(kept)) if waiting.not_before.is_none() => {
                let mut kept = kept;
                (kept.attempts, kept.arrived_before) = (waiting.attempts, waiting.arrived_before);
                spool.put_back(kept);
            }
            _ => {
                self.bytes += waiting.batch.body.len();
                self.again.push_back(waiting);
                self.make_room();
            }
        }
    }

    /// From memory what was never sent, which is older; else from disk.
    fn next_fresh(&mut self) -> Option<Waiting> {
        if let Some(waiting) = self.fresh.pop_front() {
            self.bytes -= waiting.batch.body.len();
            return Some(waiting);
        }
        loop {
            match self.spool.as_mut()?.take()? {
                Ok((batch, kept)) => return Some(self.waiting(batch, Some(kept))),
                Err(rows) => self.counters.lose_queued(ExportLoss::Unreadable, rows),
            }
        }
    }

    /// Writes a batch to disk, or loses it.
    fn keep(&mut self, batch: &Batch) {
        let Some(spool) = &mut self.spool else { return };
        let Pushed { lost, failure } = spool.push(batch);
        self.counters.lose_queued(ExportLoss::QueueFull, lost);
        if failure.is_some() {
            self.disk_failure = failure;
        }
    }

    /// A batch that is done with needs no file.
    fn discard(&mut self, kept: Option<Kept>) {
        if let (Some(spool), Some(kept)) = (&mut self.spool, kept) {
            spool.remove(kept);
        }
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

    /// Moves what has waited longest out of memory while there is too much.
    fn make_room(&mut self) {
        while self.bytes > self.limits.bytes {
            let Some(oldest) = self.again.pop_front().or_else(|| self.fresh.pop_front()) else {
                break;
            };
            self.bytes -= oldest.batch.body.len();
            match (&mut self.spool, oldest.kept) {
                (Some(spool), Some(kept)) => spool.put_back(kept),
                (Some(_), None) => self.keep(&oldest.batch),
                (None, _) => self.counters.lose_queued(ExportLoss::QueueFull, oldest.batch.rows),
            }
        }
    }
}

#[cfg(test)]
mod tests;
