//! Messages in the order in which they go, bounded. Time comes as an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alaz_model::ExportLoss;
use bytes::Bytes;

use super::Limits;
use crate::counters::Counters;
use crate::random;

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// By which the server knows one that comes again.
    pub(super) number: u64,
    /// The method, `/package.Service/Method`.
    pub(super) path: &'static str,
    /// What the header for the period says; empty for spans.
    pub(super) period: &'static str,
    pub(super) body: Bytes,
    /// Exchanges and connections that it counts.
    pub(super) rows: u64,
    pub(super) made: Instant,
}

/// What an answer, or none, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It arrived; so many rows of it do not count.
    Arrived { rejected: u64 },
    /// It is of no use to send it again.
    Rejected,
    /// Again, later.
    Unavailable,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Take {
    /// Send this one, and tell what was answered.
    Message(Message),
    /// Nothing until then, or until something is pushed.
    Wait(Option<Instant>),
}

#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    waiting: VecDeque<Message>,
    bytes: usize,
    /// How often the server failed, one time after the other.
    failures: u32,
    not_before: Option<Instant>,
    counters: Arc<Counters>,
}

impl Queue {
    pub(super) fn new(limits: Limits, counters: Arc<Counters>) -> Queue {
        let waiting = VecDeque::new();
        Queue { limits, waiting, bytes: 0, failures: 0, not_before: None, counters }
    }

    /// Adds a message, whose rows were counted as queued. Where there is no room, the oldest go.
    pub(super) fn push(&mut self, message: Message) {
        let now = message.made;
        self.bytes += message.body.len();
        self.waiting.push_back(message);
        self.make_room(now);
    }

    /// The next one, if it is time for it. The one before was settled.
    pub(super) fn take(&mut self, now: Instant) -> Take {
        self.make_room(now);
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Take::Wait(Some(until));
        }
        let Some(next) = self.waiting.pop_front() else { return Take::Wait(None) };
        self.bytes -= next.body.len();
        if self.failures > 0 {
            self.counters.retry();
        }
        Take::Message(next)
    }

    /// What was answered to the one that was taken.
    pub(super) fn settle(&mut self, message: Message, verdict: Verdict, now: Instant) {
        let rows = message.rows;
        match verdict {
            Verdict::Arrived { rejected } => {
                let rejected = rejected.min(rows);
                self.counters.lose_queued(ExportLoss::Rejected, rejected);
                self.counters.send(rows - rejected);
                self.failures = 0;
            }
            Verdict::Rejected => {
                self.counters.lose_queued(ExportLoss::Rejected, rows);
                self.failures = 0;
            }
            Verdict::Unavailable => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = Some(now + self.rest());
                self.bytes += message.body.len();
                self.waiting.push_front(message);
                self.make_room(now);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Loses what is left, and gives how many rows that are.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = self.waiting.drain(..).map(|message| message.rows).sum();
        self.bytes = 0;
        self.counters.lose_queued(ExportLoss::Ended, lost);
        lost
    }

    /// Doubled with each failure, and up to a quarter longer, so that agents that failed together do
    /// not come back together.
    fn rest(&self) -> Duration {
        let factor = 1 << self.failures.saturating_sub(1).min(16);
        let rest = self.limits.first_rest.saturating_mul(factor).min(self.limits.longest_rest);
        rest + rest.mul_f64(random() as f64 / u64::MAX as f64 / 4.0)
    }

    fn make_room(&mut self, now: Instant) {
        let too_old = |message: &Message| now.duration_since(message.made) > self.limits.queue_age;
        while let Some(oldest) = self.waiting.front()
            && (self.bytes > self.limits.queue_bytes || too_old(oldest))
        {
            let (bytes, rows) = (oldest.body.len(), oldest.rows);
            self.waiting.pop_front();
            self.bytes -= bytes;
            self.counters.lose_queued(ExportLoss::QueueFull, rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        queue: Queue,
        counters: Arc<Counters>,
        now: Instant,
        number: u64,
    }

    impl Fixture {
        fn new() -> Fixture {
            let counters = Arc::new(Counters::default());
            let limits = Limits {
                queue_bytes: 1000,
                queue_age: Duration::from_secs(300),
                first_rest: Duration::from_secs(1),
                longest_rest: Duration::from_secs(4),
                ..Limits::default()
            };
            let queue = Queue::new(limits, Arc::clone(&counters));
            Fixture { queue, counters, now: Instant::now(), number: 0 }
        }

        fn push(&mut self, bytes: usize) {
            self.number += 1;
            self.counters.queue(10);
            self.queue.push(Message {
                number: self.number,
                path: "",
                period: "",
                body: vec![0; bytes].into(),
                rows: 10,
                made: self.now,
            });
        }

        fn take(&mut self) -> Message {
            match self.queue.take(self.now) {
                Take::Message(message) => message,
                Take::Wait(until) => panic!("waits until {until:?}"),
            }
        }

        /// Sent, queued and lost for the reason.
        fn counts(&self, reason: ExportLoss) -> (u64, u64, u64) {
            let ledger = self.counters.read("x");
            assert_eq!(ledger.lost.iter().sum::<u64>(), ledger.lost(reason));
            (ledger.sent, ledger.queued, ledger.lost(reason))
        }
    }

    #[test]
    fn messages_go_in_order_one_at_a_time_until_they_arrived() {
        let mut test = Fixture::new();
        test.push(10);
        test.push(10);
        let first = test.take();
        test.queue.settle(first, Verdict::Unavailable, test.now);
        assert!(test.queue.is_failing());
        let Take::Wait(Some(until)) = test.queue.take(test.now) else { panic!("no rest") };
        assert!((test.now + Duration::from_secs(1)..).contains(&until));
        test.now = until;
        let first = test.take();
        assert_eq!(first.number, 1);
        test.queue.settle(first, Verdict::Arrived { rejected: 0 }, test.now);
        let second = test.take();
        test.queue.settle(second, Verdict::Arrived { rejected: 4 }, test.now);
        assert!(test.queue.is_empty() && !test.queue.is_failing());
        assert_eq!(test.counts(ExportLoss::Rejected), (16, 0, 4));
        assert_eq!(test.counters.read("x").retried, 1);
    }

    #[test]
    fn rests_grow_to_a_limit() {
        let mut test = Fixture::new();
        test.push(10);
        for seconds in [1, 2, 4, 4] {
            let message = test.take();
            test.queue.settle(message, Verdict::Unavailable, test.now);
            let Take::Wait(Some(until)) = test.queue.take(test.now) else { panic!("no rest") };
            let rest = until - test.now;
            let least = Duration::from_secs(seconds);
            assert!((least..=least.mul_f64(1.25)).contains(&rest), "{rest:?}");
            test.now = until;
        }
    }

    #[test]
    fn beyond_the_bytes_the_oldest_go_and_are_counted() {
        let mut test = Fixture::new();
        (0..7).for_each(|_| test.push(200));
        assert_eq!(test.counts(ExportLoss::QueueFull), (0, 50, 20));
        assert_eq!(test.take().number, 3);
        // One that comes back when there is no room for it goes.
        let mut test = Fixture::new();
        test.push(600);
        let message = test.take();
        test.push(600);
        test.queue.settle(message, Verdict::Unavailable, test.now);
        assert_eq!(test.counts(ExportLoss::QueueFull), (0, 10, 10));
        test.now += Duration::from_secs(60);
        assert_eq!(test.take().number, 2);
    }

    #[test]
    fn what_has_waited_for_too_long_goes() {
        let mut test = Fixture::new();
        test.push(10);
        test.now += Duration::from_secs(299);
        test.push(10);
        test.now += Duration::from_secs(2);
        assert_eq!(test.take().number, 2);
        assert_eq!(test.counts(ExportLoss::QueueFull), (0, 10, 10));
    }

    #[test]
    fn what_is_left_at_the_end_is_counted() {
        let mut test = Fixture::new();
        test.push(10);
        test.push(10);
        assert_eq!(test.queue.give_up(), 20);
        assert_eq!(test.counts(ExportLoss::Ended), (0, 0, 20));
    }
}
