//! A few exchanges to stand for many.

use std::sync::Arc;

use alaz_model::Exchange;

/// Exchanges of one edge and period: errors and slow ones apart, so that many good ones never hide
/// them.
#[derive(Debug)]
pub(crate) struct Samples {
    errors: EvenChoice,
    slowest: Slowest,
    others: EvenChoice,
}

impl Samples {
    /// Keeps at most `limit` errors, half as many of the slowest, and `limit` of all that are no
    /// errors.
    pub(crate) fn new(limit: usize) -> Samples {
        Samples {
            errors: EvenChoice::new(limit),
            slowest: Slowest::new(limit.div_ceil(2)),
            others: EvenChoice::new(limit),
        }
    }

    /// Takes a copy of the exchange, or passes it by.
    #[inline]
    pub(crate) fn offer(&mut self, exchange: &Exchange) -> Option<Arc<Exchange>> {
        if exchange.message.error {
            return self.errors.is_due().then(|| self.errors.keep(Arc::new(exchange.clone())));
        }
        let (slow, due) = (self.slowest.takes(exchange), self.others.is_due());
        if !slow && !due {
            return None;
        }
        let exchange = Arc::new(exchange.clone());
        if slow {
            self.slowest.keep(Arc::clone(&exchange));
        }
        Some(if due { self.others.keep(exchange) } else { exchange })
    }

    pub(crate) fn errors(&self) -> &[Arc<Exchange>] {
        &self.errors.kept
    }

    pub(crate) fn slowest(&self) -> &[Arc<Exchange>] {
        &self.slowest.kept
    }

    pub(crate) fn others(&self) -> &[Arc<Exchange>] {
        &self.others.kept
    }

    pub(crate) fn clear(&mut self) {
        self.errors.clear();
        self.slowest.clear();
        self.others.clear();
    }
}

/// The slowest so far, but for little differences: one that is hardly slower than those that are
/// kept is passed by, so that a server which slows down does not cost a copy for each exchange.
#[derive(Debug)]
struct Slowest {
    kept: Vec<Arc<Exchange>>,
    limit: usize,
    /// What takes no longer than this is not slow enough; told without looking at those kept.
    enough_ns: Option<u64>,
}

impl Slowest {
    fn new(limit: usize) -> Slowest {
        Slowest { kept: Vec::new(), limit, enough_ns: None }
    }

    #[inline]
    fn takes(&self, exchange: &Exchange) -> bool {
        self.limit > 0 && exchange.latency_ns.is_some() && exchange.latency_ns > self.enough_ns
    }

    /// Puts one that it takes into a free place, or in that of the least slow.
    fn keep(&mut self, exchange: Arc<Exchange>) {
        if self.kept.len() < self.limit {
            self.kept.push(exchange);
        } else if let Some(least) = self.kept.iter_mut().min_by_key(|kept| kept.latency_ns) {
            *least = exchange;
        }
        if self.kept.len() == self.limit {
            let least_ns = self.kept.iter().filter_map(|kept| kept.latency_ns).min();
            self.enough_ns = least_ns.map(|least_ns| least_ns.saturating_add(least_ns / 8));
        }
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.enough_ns = None;
    }
}

/// Every n-th of a stream whose length nobody knows: n doubles whenever there is no more room.
#[derive(Debug)]
struct EvenChoice {
    kept: Vec<Arc<Exchange>>,
    limit: usize,
    /// A power of two.
    stride: u64,
    passed: u64,
}

impl EvenChoice {
    fn new(limit: usize) -> EvenChoice {
        EvenChoice { kept: Vec::new(), limit, stride: 1, passed: 0 }
    }

    /// Whether the next one is to be kept; it is passed in any case.
    #[inline]
    fn is_due(&mut self) -> bool {
        let place = self.passed;
        self.passed += 1;
        if place & (self.stride - 1) != 0 || self.limit == 0 {
            return false;
        }
        if self.kept.len() < self.limit {
            return true;
        }
        self.stride *= 2;
        let mut index = 0;
        self.kept.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        place & (self.stride - 1) == 0 && self.kept.len() < self.limit
    }

    fn keep(&mut self, exchange: Arc<Exchange>) -> Arc<Exchange> {
        self.kept.push(Arc::clone(&exchange));
        exchange
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.stride = 1;
        self.passed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;
    use proptest::prelude::*;

    fn times(choice: &EvenChoice) -> Vec<u64> {
        choice.kept.iter().map(|exchange| exchange.time.0).collect()
    }

    #[test]
    fn errors_are_not_crowded_out() {
        let mut samples = Samples::new(4);
        for time in 0..10_000 {
            let mut exchange = exchange(time);
            exchange.message.error = time % 4_000 == 3_999;
            samples.offer(&exchange);
        }
        let times: Vec<_> = samples.errors().iter().map(|e| e.time.0).collect();
        assert_eq!(times, [3_999, 7_999]);
        assert!((2..=4).contains(&samples.others().len()), "{samples:?}");
        samples.clear();
        let kept = [samples.errors(), samples.slowest(), samples.others()];
        assert_eq!(kept.map(<[_]>::len), [0; 3]);
    }

    #[test]
    fn slow_ones_are_not_crowded_out_and_cost_few_copies() {
        let mut samples = Samples::new(4);
        let slow = |time: u64, latency_ns: Option<u64>| Exchange { latency_ns, ..exchange(time) };
        for time in 0..10_000 {
            // The 1,001st, the 5,001st and the 9,001st are slow; every tenth never ended.
            let latency_ns = if time % 4_000 == 1_000 { time * 1_000_000 } else { 800_000 };
            samples.offer(&slow(time, (time % 10 != 9).then_some(latency_ns)));
        }
        let mut times: Vec<_> = samples.slowest().iter().map(|e| e.time.0).collect();
        times.sort_unstable();
        assert_eq!(times, [5_000, 9_000]);

        let mut samples = Samples::new(4);
        let ramp = (1_000_000..1_100_000).map(|ns| samples.offer(&slow(ns, Some(ns))));
        let copies = ramp.filter(Option::is_some).count();
        assert!(copies < 60, "{copies}");
        assert_eq!(samples.slowest().len(), 2);
        // Where nothing may be kept, nothing is.
        let mut none = Samples::new(0);
        assert!((0..9).all(|time| none.offer(&slow(time, Some(1 + time))).is_none()));
    }

    proptest! {
        #[test]
        fn the_choice_is_even_and_bounded(limit in 1_usize..10, length in 0_u64..5_000) {
            let mut choice = EvenChoice::new(limit);
            for time in 0..length {
                if choice.is_due() {
                    choice.keep(Arc::new(exchange(time)));
                }
            }
            let kept = times(&choice);
            prop_assert!(kept.len() <= limit);
            let expected: Vec<_> = (0..length).step_by(choice.stride as usize).collect();
            prop_assert_eq!(&kept, &expected[..kept.len()]);
            // Nothing is missing but what came since the last doubling.
            prop_assert!(kept.len() as u64 * 2 >= length.min(limit as u64));
        }
    }
}
