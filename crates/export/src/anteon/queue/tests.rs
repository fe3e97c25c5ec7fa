//! The order of batches, and every end that one can come to.

use std::path::Path;

use alaz_model::ExportLedger;

use super::super::batch::Stream;
use super::*;

const UNAVAILABLE: Verdict = Verdict::Unavailable { rest: None };
const ARRIVED: Verdict = Verdict::Arrived { refused: 0 };
const BATCH_BYTES: u64 = 33;
const SECOND: Duration = Duration::from_secs(1);

/// A queue with a clock.
struct Bench {
    queue: Queue,
    counters: Arc<Counters>,
    now: Instant,
}

impl Bench {
    fn new(bytes: usize) -> Bench {
        Bench::with(bytes, None)
    }

    /// With a disk that holds so many batches.
    fn on_disk(bytes: usize, folder: &Path, batches: u64) -> Bench {
        let (spool, _) = Spool::open(folder, "test", batches * BATCH_BYTES).unwrap();
        Bench::with(bytes, Some(spool))
    }

    fn with(bytes: usize, spool: Option<Spool>) -> Bench {
        let counters = Arc::new(Counters::default());
        let limits = Limits { bytes, first_rest: SECOND, longest_rest: 30 * SECOND };
        let queue = Queue::new(limits, Arc::clone(&counters), spool);
        Bench { queue, counters, now: Instant::now() }
    }

    /// Batches of one row, which say their number.
    fn push(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.counters.queue(1);
            let body = format!("{{\"metadata\":{{}},\"requests\":[{number:04}]}}").into();
            self.queue.push(Batch { stream: Stream::Requests, rows: 1, body });
        }
    }

    fn take(&mut self) -> Option<Waiting> {
        match self.queue.take(self.now) {
            Take::Batch(waiting) => Some(waiting),
            Take::Wait(_) | Take::Ended => None,
        }
    }

    /// Sends whatever is due until this much time is over; gives the numbers of what was sent.
    fn send(&mut self, time: Duration, verdict: impl Fn(u64) -> Verdict) -> Vec<u64> {
        let end = self.now + time;
        let mut sent = Vec::new();
        loop {
            match self.queue.take(self.now) {
                Take::Batch(waiting) => {
                    let number = number(&waiting);
                    sent.push(number);
                    self.queue.settle(waiting, verdict(number), self.now);
                }
                Take::Wait(Some(until)) if until <= end => self.now = until,
                Take::Wait(_) | Take::Ended => {
                    self.now = end;
                    return sent;
                }
            }
        }
    }

    fn ledger(&self) -> ExportLedger {
        self.counters.read("test")
    }

    #[track_caller]
    fn assert_counts(&self, sent: u64, queued: u64, lost: &[(ExportLoss, u64)]) {
        let ledger = self.ledger();
        let found: Vec<_> = ExportLoss::ALL
            .into_iter()
            .map(|reason| (reason, ledger.lost(reason)))
            .filter(|(_, rows)| *rows > 0)
            .collect();
        assert_eq!((ledger.sent, ledger.queued, &*found), (sent, queued, lost));
    }
}

fn number(waiting: &Waiting) -> u64 {
    let text = std::str::from_utf8(&waiting.batch.body).unwrap();
    text[text.len() - 6..text.len() - 2].parse().unwrap()
}

#[test]
fn what_came_first_goes_first() {
    let mut bench = Bench::new(10_000);
    bench.push(1..=3);
    assert_eq!(bench.send(SECOND, |_| ARRIVED), [1, 2, 3]);
    bench.assert_counts(3, 0, &[]);
    bench.push(4..=4);
    bench.send(SECOND, |_| Verdict::Arrived { refused: 9 });
    bench.assert_counts(3, 0, &[(ExportLoss::Refused, 1)]);
}

#[test]
fn an_outage_is_waited_for_ever_longer_and_loses_nothing() {
    let mut bench = Bench::new(10_000);
    bench.push(1..=3);
    let tries = bench.send(3600 * SECOND, |_| UNAVAILABLE).len();
    // 1 + 2 + 4 + 8 + 16 seconds, then 30 and a bit each.
    assert!((95..=125).contains(&tries), "{tries}");
    bench.assert_counts(0, 3, &[]);
    assert!(bench.queue.is_failing());
    let mut sent = bench.send(60 * SECOND, |_| ARRIVED);
    sent.sort_unstable();
    assert_eq!(sent, [1, 2, 3]);
    bench.assert_counts(3, 0, &[]);
    assert_eq!(bench.ledger().retried, tries as u64);
}

#[test]
fn one_batch_at_a_time_finds_out_whether_an_outage_is_over() {
    let mut bench = Bench::new(10_000);
    bench.push(1..=5);
    let (first, second) = (bench.take().unwrap(), bench.take().unwrap());
    bench.queue.settle(first, UNAVAILABLE, bench.now);
    bench.queue.settle(second, UNAVAILABLE, bench.now);
    assert_eq!(bench.queue.failures, 1, "they failed together");
    assert!(bench.take().is_none());
    bench.now += 2 * SECOND;
    let probe = bench.take().unwrap();
    assert!(bench.take().is_none());
    bench.queue.settle(probe, ARRIVED, bench.now);
    assert!(bench.take().is_some() && bench.take().is_some());
}

#[test]
fn backends_are_left_alone_for_as_long_as_they_ask() {
    let mut bench = Bench::new(10_000);
    bench.push(1..=2);
    let busy = bench.take().unwrap();
    let rest = Some(7 * SECOND);
    bench.queue.settle(busy, Verdict::Unavailable { rest }, bench.now);
    assert_eq!(bench.send(6 * SECOND, |_| ARRIVED), [0; 0]);
    assert_eq!(bench.send(SECOND, |_| ARRIVED), [2, 1]);
    // Not for hours.
    bench.push(3..=3);
    let busy = bench.take().unwrap();
    let rest = Some(Duration::from_secs(u64::MAX / 4));
    bench.queue.settle(busy, Verdict::Unavailable { rest }, bench.now);
    assert_eq!(bench.send(LONGEST_REST, |_| ARRIVED), [3]);
}

#[test]
fn a_batch_that_is_always_wrong_holds_up_nobody_and_is_given_up() {
    for (verdict, attempts) in [(Verdict::Doubtful, MOST_ATTEMPTS), (UNAVAILABLE, MOST_FAILURES)] {
        let mut bench = Bench::new(10_000);
        let mut tried = 0;
        for number in 1..=40 {
            bench.push(number..=number);
            let sent =
                bench.send(40 * SECOND, |number| if number == 1 { verdict } else { ARRIVED });
            tried += sent.iter().filter(|number| **number == 1).count();
        }
        assert_eq!(tried, attempts as usize);
        bench.assert_counts(39, 0, &[(ExportLoss::GivenUp, 1)]);
    }
    let mut bench = Bench::new(10_000);
    bench.push(1..=2);
    let rejected = bench.send(SECOND, |it| if it == 1 { Verdict::Rejected } else { ARRIVED });
    assert_eq!(rejected, [1, 2]);
    bench.assert_counts(1, 0, &[(ExportLoss::Rejected, 1)]);
}

#[test]
fn a_full_queue_loses_the_oldest_and_counts_them() {
    let mut bench = Bench::new(5 * BATCH_BYTES as usize);
    bench.push(1..=7);
    bench.assert_counts(0, 5, &[(ExportLoss::QueueFull, 2)]);
    let failed = bench.take().unwrap();
    bench.push(8..=8);
    // It comes back to a full queue.
    bench.queue.settle(failed, UNAVAILABLE, bench.now);
    bench.assert_counts(0, 5, &[(ExportLoss::QueueFull, 3)]);
    assert_eq!(bench.send(60 * SECOND, |_| ARRIVED), [4, 5, 6, 7, 8]);
}

#[test]
fn nothing_is_sent_or_taken_while_stopped() {
    let mut bench = Bench::new(10_000);
    bench.push(1..=2);
    assert_eq!(bench.send(SECOND, |_| Verdict::Stop), [1]);
    assert!(bench.ledger().is_stopped);
    bench.push(3..=3);
    bench.assert_counts(0, 2, &[(ExportLoss::Stopped, 1)]);
    assert_eq!(bench.send(3600 * SECOND, |_| ARRIVED), [0; 0]);
    bench.queue.resume();
    bench.push(4..=4);
    assert_eq!(bench.send(SECOND, |_| ARRIVED), [2, 4, 1]);
    bench.assert_counts(3, 0, &[(ExportLoss::Stopped, 1)]);
}

#[test]
fn the_end_comes_when_all_is_sent_or_the_backend_is_away() {
    let mut bench = Bench::new(10_000);
    bench.push(1..=2);
    bench.queue.end();
    let one = bench.take().unwrap();
    bench.send(SECOND, |_| ARRIVED);
    assert!(matches!(bench.queue.take(bench.now), Take::Wait(None)), "one is under way");
    bench.queue.settle(one, ARRIVED, bench.now);
    assert!(matches!(bench.queue.take(bench.now), Take::Ended));

    let mut bench = Bench::new(10_000);
    bench.push(1..=3);
    let failed = bench.take().unwrap();
    let _under_way = bench.take().unwrap();
    bench.queue.settle(failed, UNAVAILABLE, bench.now);
    bench.queue.end();
    assert!(matches!(bench.queue.take(bench.now), Take::Ended));
    assert_eq!(bench.queue.give_up(), 3);
    bench.assert_counts(0, 0, &[(ExportLoss::Ended, 3)]);
}

#[test]
fn what_does_not_fit_in_memory_waits_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let memory = 3 * BATCH_BYTES as usize;
    let mut bench = Bench::on_disk(memory, folder.path(), 4);
    bench.push(1..=7);
    bench.assert_counts(0, 7, &[]);
    assert_eq!((bench.queue.bytes, bench.queue.spool.as_ref().map(Spool::rows)), (memory, Some(4)));
    bench.push(8..=9);
    bench.assert_counts(0, 7, &[(ExportLoss::QueueFull, 2)]);
    // An outage moves them about, and loses nothing more.
    bench.send(600 * SECOND, |_| UNAVAILABLE);
    assert!(bench.queue.bytes <= memory);
    let mut sent = bench.send(60 * SECOND, |_| ARRIVED);
    sent.sort_unstable();
    assert_eq!(sent, [1, 2, 3, 6, 7, 8, 9]);
    bench.assert_counts(7, 0, &[(ExportLoss::QueueFull, 2)]);
    // Their files are gone, and what comes next needs none.
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), ["lock", "target"].len());
    bench.push(1..=2);
    assert_eq!(files(), 2);
}

#[test]
fn what_is_left_at_the_end_is_sent_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = 3 * BATCH_BYTES as usize;
    let mut bench = Bench::on_disk(memory, folder.path(), 100);
    bench.push(1..=9);
    let failed = bench.take().unwrap();
    let _under_way = bench.take().unwrap();
    bench.queue.settle(failed, UNAVAILABLE, bench.now);
    bench.queue.end();
    assert_eq!(bench.queue.give_up(), 0);
    bench.assert_counts(0, 9, &[]);
    drop(bench);
    let mut bench = Bench::on_disk(memory, folder.path(), 100);
    bench.assert_counts(0, 9, &[]);
    let mut sent = bench.send(SECOND, |_| ARRIVED);
    sent.sort_unstable();
    assert_eq!(sent, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    bench.assert_counts(9, 0, &[]);
}

#[test]
fn what_is_wrong_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::on_disk(BATCH_BYTES as usize, folder.path(), 100);
    bench.push(1..=4);
    bench.send(3600 * SECOND, |number| match number {
        1 => Verdict::Rejected,
        2 => Verdict::Doubtful,
        3 => UNAVAILABLE,
        _ => ARRIVED,
    });
    let lost = [(ExportLoss::Rejected, 1), (ExportLoss::GivenUp, 2)];
    bench.assert_counts(1, 0, &lost);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
