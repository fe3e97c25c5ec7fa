//! A few exchanges to stand for many.

use std::sync::Arc;

use alaz_model::Exchange;

/// Exchanges of one edge and period: errors apart, so that many good ones never hide them.
#[derive(Debug)]
pub(crate) struct Samples {
    errors: EvenChoice,
    others: EvenChoice,
}

impl Samples {
    /// Keeps at most `limit` errors and as many others.
    pub(crate) fn new(limit: usize) -> Samples {
        Samples { errors: EvenChoice::new(limit), others: EvenChoice::new(limit) }
    }

    /// Takes a copy of the exchange, or passes it by.
    #[inline]
    pub(crate) fn offer(&mut self, exchange: &Exchange) -> Option<Arc<Exchange>> {
        let choice = if exchange.message.error { &mut self.errors } else { &mut self.others };
        choice.is_due().then(|| choice.keep(Arc::new(exchange.clone())))
    }

    /// Errors first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Exchange>> {
        self.errors.kept.iter().chain(&self.others.kept)
    }

    pub(crate) fn clear(&mut self) {
        self.errors.clear();
        self.others.clear();
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
        let kept: Vec<_> = samples.iter().map(|e| (e.message.error, e.time.0)).collect();
        assert_eq!(kept[..2], [(true, 3_999), (true, 7_999)]);
        assert!((2..=4).contains(&(kept.len() - 2)), "{kept:?}");
        samples.clear();
        assert_eq!(samples.iter().count(), 0);
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
