//! The newest exchanges of all edges, for who wants to see them one by one.

use std::collections::VecDeque;
use std::sync::Arc;

use alaz_model::Exchange;

use crate::filter::ExchangeFilter;
use crate::store::MOST_SAMPLES;

/// The most errors, and the most others, that are kept: about a kilobyte each.
const KEPT: usize = 2048;
/// The most exchanges that are kept one by one: those of the edges, and the newest of all.
pub const MOST_EXCHANGES: usize = MOST_SAMPLES + 2 * KEPT;
/// How many errors, and how many others, are taken in one second before only a choice is.
const PER_SECOND: u64 = 2000;

/// Exchanges in the order in which they completed, errors apart, so that many good ones do not
/// push them out.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    errors: VecDeque<Arc<Exchange>>,
    others: VecDeque<Arc<Exchange>>,
}

impl Recent {
    /// Takes these and drops the oldest beyond the limit.
    pub(crate) fn add(&mut self, exchanges: impl Iterator<Item = Arc<Exchange>>) {
        for exchange in exchanges {
            let kind = if exchange.message.error { &mut self.errors } else { &mut self.others };
            if kind.len() >= KEPT {
                kind.pop_front();
            }
            kind.push_back(exchange);
        }
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Exchange>> {
        self.errors.iter().chain(&self.others)
    }
}

/// The newest that are wanted, newest first, each once.
pub(crate) fn newest(
    mut exchanges: Vec<Arc<Exchange>>,
    filter: &ExchangeFilter,
    limit: usize,
) -> Vec<Arc<Exchange>> {
    exchanges.retain(|exchange| filter.takes(exchange));
    // What was taken twice is shared.
    exchanges.sort_by_key(|exchange| (std::cmp::Reverse(exchange.time), Arc::as_ptr(exchange)));
    exchanges.dedup_by(|a, b| Arc::ptr_eq(a, b));
    exchanges.truncate(limit);
    exchanges
}

/// Decides which exchanges are taken when there are more than anybody reads: every n-th, by what
/// the second before had.
#[derive(Debug)]
pub(crate) struct Choice {
    stride: u64,
    passed: u64,
    taken: u64,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice { stride: 1, passed: 0, taken: 0 }
    }
}

impl Choice {
    /// Whether the next exchange is taken. It passes in any case.
    #[inline]
    pub(crate) fn takes_next(&mut self) -> bool {
        let due = self.passed.is_multiple_of(self.stride) && self.taken < 2 * PER_SECOND;
        self.passed += 1;
        self.taken += u64::from(due);
        due
    }

    /// A second is over.
    pub(crate) fn next_second(&mut self) {
        *self = Choice { stride: self.passed.div_ceil(PER_SECOND).max(1), passed: 0, taken: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    #[test]
    fn newest_come_first_and_errors_stay() {
        let mut recent = Recent::default();
        let mut failed = exchange(3);
        failed.message.error = true;
        recent.add([Arc::new(failed)].into_iter());
        recent.add((10..10 + 2 * KEPT as u64).map(|time| Arc::new(exchange(time))));
        let newest = |filter: &ExchangeFilter, limit| {
            newest(recent.iter().cloned().collect(), filter, limit)
        };
        let all = newest(&ExchangeFilter::default(), usize::MAX);
        assert_eq!(all.len(), KEPT + 1);
        assert!(all.is_sorted_by_key(|exchange| std::cmp::Reverse(exchange.time)));
        assert_eq!((all[0].time.0, all[KEPT].time.0), (9 + 2 * KEPT as u64, 3));
        let errors = ExchangeFilter { errors: true, ..ExchangeFilter::default() };
        assert_eq!(newest(&errors, 10).len(), 1);
        assert_eq!(newest(&ExchangeFilter::default(), 2).len(), 2);
    }

    #[test]
    fn of_many_only_some_are_taken() {
        let mut choice = Choice::default();
        let mut second = |passing: u64| {
            let taken = (0..passing).filter(|_| choice.takes_next()).count() as u64;
            choice.next_second();
            taken
        };
        assert_eq!(second(PER_SECOND), PER_SECOND);
        assert_eq!(second(1_000_000), 2 * PER_SECOND, "a burst out of nothing");
        assert_eq!(second(1_000_000), PER_SECOND, "evenly");
        assert_eq!(second(100), 1, "too few, once");
        assert_eq!(second(100), 100);
    }
}
