//! A distribution in at most 160 counters, which merges without loss.

use crate::mapping::{self, MAX_SCALE};

/// The most buckets that one histogram keeps, as in OpenTelemetry's SDKs.
pub const MAX_BUCKETS: usize = 160;

/// A base-2 exponential histogram of durations in nanoseconds.
///
/// It starts with 32 buckets for each doubling (a bucket is 2.2 % wide, good for a spread of 32
/// times) and halves its resolution whenever the recorded values span more than [`MAX_BUCKETS`]
/// buckets; the whole range of `u64` fits at two buckets a doubling. The resolution depends on
/// nothing but the smallest and the largest value, so merging parts gives exactly the histogram of
/// the whole, in any order.
///
/// Buckets, scale and offset are those of OpenTelemetry's exponential histogram; Prometheus native
/// histograms take the same buckets with `schema = scale` and indices one higher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    count: u64,
    zero_count: u64,
    sum: u128,
    min: u64,
    max: u64,
    /// How many times the resolution was halved.
    halvings: u8,
    offset: i32,
    buckets: Vec<u64>,
}

/// The content of a [`Histogram`], to encode it or to merge from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramParts<'a> {
    /// Buckets for each doubling are `2^scale`; 1 to 5.
    pub scale: i32,
    /// Index of the first of `buckets`.
    pub offset: i32,
    /// Counts; bucket `i` of the histogram is `buckets[i - offset]`.
    pub buckets: &'a [u64],
    /// How many values were 0.
    pub zero_count: u64,
    /// Sum of all values.
    pub sum: u128,
    /// Smallest value; 0 in an empty histogram.
    pub min: u64,
    /// Largest value; 0 in an empty histogram.
    pub max: u64,
}

impl Histogram {
    /// An empty histogram. Allocates when the first value comes.
    #[must_use]
    pub fn new() -> Histogram {
        Histogram::default()
    }

    /// Adds one value, in nanoseconds. Allocates only when the value lies outside of the range of
    /// buckets that were in use at some time since the histogram was made.
    #[inline]
    pub fn record(&mut self, value_ns: u64) {
        if self.count == 0 {
            self.min = value_ns;
        }
        self.count += 1;
        self.sum += u128::from(value_ns);
        self.min = self.min.min(value_ns);
        self.max = self.max.max(value_ns);
        if value_ns == 0 {
            self.zero_count += 1;
            return;
        }
        let index = mapping::index(value_ns) >> self.halvings;
        // Negative differences become huge and miss.
        let place = index.wrapping_sub(self.offset) as usize;
        match self.buckets.get_mut(place) {
            Some(bucket) => *bucket += 1,
            None => self.record_outside(index),
        }
    }

    #[cold]
    fn record_outside(&mut self, index: i32) {
        let index = index >> self.make_room(index, index);
        if let Some(bucket) = self.buckets.get_mut(index.wrapping_sub(self.offset) as usize) {
            *bucket += 1;
        }
    }

    /// Adds all values of another histogram; exact.
    pub fn merge(&mut self, other: &Histogram) {
        self.merge_parts(&other.parts());
    }

    /// Adds all values of a histogram given by its parts; exact. Buckets beyond
    /// [`MAX_BUCKETS`] and scales outside of 1 to 5 do not come from a histogram: nothing is added.
    pub fn merge_parts(&mut self, parts: &HistogramParts<'_>) {
        if !(1..=MAX_SCALE).contains(&parts.scale) || parts.buckets.len() > MAX_BUCKETS {
            return;
        }
        let counts = parts.buckets.iter().chain([&parts.zero_count]);
        let count = counts.fold(0_u64, |sum, count| sum.saturating_add(*count));
        let length = parts.buckets.len() as i32;
        let Some(end) = parts.offset.checked_add(length).filter(|_| count > 0) else {
            return;
        };
        self.min = if self.count == 0 { parts.min } else { self.min.min(parts.min) };
        self.max = self.max.max(parts.max);
        // Parts that come from elsewhere may say anything.
        self.count = self.count.saturating_add(count);
        self.zero_count = self.zero_count.saturating_add(parts.zero_count);
        self.sum = self.sum.saturating_add(parts.sum);
        if parts.buckets.is_empty() {
            return;
        }
        let theirs = (MAX_SCALE - parts.scale) as u8;
        if theirs > self.halvings {
            self.halve(theirs - self.halvings);
        }
        let shift = self.halvings - theirs;
        let first = parts.offset >> shift;
        let last = (end - 1) >> shift;
        let shift = shift + self.make_room(first, last);
        for (index, count) in (parts.offset..).zip(parts.buckets) {
            let place = (index >> shift).wrapping_sub(self.offset) as usize;
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = bucket.saturating_add(*count);
            }
        }
    }

    /// Makes the buckets `first..=last` (at the present scale) exist, halving the resolution where
    /// they would be too many. Returns the number of halvings.
    fn make_room(&mut self, first: i32, last: i32) -> u8 {
        let (mut low, mut high) = (first, last);
        if !self.buckets.is_empty() {
            low = low.min(self.offset);
            high = high.max(self.offset + self.buckets.len() as i32 - 1);
        }
        let mut halvings = 0;
        while (high >> halvings) - (low >> halvings) >= MAX_BUCKETS as i32 {
            halvings += 1;
        }
        self.halve(halvings);
        let (low, high) = (low >> halvings, high >> halvings);
        let used = self.buckets.len();
        let length = (high - low + 1) as usize;
        if used == 0 {
            self.buckets.resize(length, 0);
        } else {
            let before = (self.offset - low) as usize;
            self.buckets.resize(length, 0);
            self.buckets.copy_within(0..used, before);
            self.buckets[..before].fill(0);
        }
        self.offset = low;
        halvings
    }

    /// Joins neighbouring buckets, `halvings` times.
    fn halve(&mut self, halvings: u8) {
        self.halvings += halvings;
        if halvings == 0 || self.buckets.is_empty() {
            return;
        }
        let offset = self.offset >> halvings;
        let last = (self.offset + self.buckets.len() as i32 - 1) >> halvings;
        for (from, index) in (self.offset..).enumerate().take(self.buckets.len()) {
            // Never after `from`, so nothing is overwritten before it is read.
            let to = ((index >> halvings) - offset) as usize;
            let count = std::mem::take(&mut self.buckets[from]);
            self.buckets[to] = self.buckets[to].saturating_add(count);
        }
        self.buckets.truncate((last - offset + 1) as usize);
        self.offset = offset;
    }

    /// Empties the histogram and keeps its memory.
    pub fn clear(&mut self) {
        let mut buckets = std::mem::take(&mut self.buckets);
        buckets.clear();
        *self = Histogram { buckets, ..Histogram::default() };
    }

    /// Its content.
    #[must_use]
    pub fn parts(&self) -> HistogramParts<'_> {
        HistogramParts {
            scale: MAX_SCALE - i32::from(self.halvings),
            offset: self.offset,
            buckets: &self.buckets,
            zero_count: self.zero_count,
            sum: self.sum,
            min: self.min,
            max: self.max,
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, ns.
    #[must_use]
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The smallest value, ns.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest value, ns.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The mean, ns, rounded down.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok()
    }

    /// The value below or at which a share `q` (0 to 1) of the values lies, ns.
    ///
    /// The true value lies in the same bucket, so at full resolution the answer is off by less
    /// than 2.2 %, and by less than 9.1 % where the values spread over twenty doublings.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank <= self.zero_count {
            return Some(0);
        }
        let mut before = self.zero_count;
        let scale = MAX_SCALE - i32::from(self.halvings);
        for (index, &count) in (self.offset..).zip(&self.buckets) {
            if before + count >= rank {
                let low = mapping::lower_bound(index, scale);
                let high = mapping::lower_bound(index + 1, scale);
                let share = ((rank - before) as f64 - 0.5) / count as f64;
                let value = low + (high - low) * share;
                return Some((value.round() as u64).clamp(self.min, self.max));
            }
            before += count;
        }
        Some(self.max)
    }

    /// How many values are at most `2^exponent` ns. Exact, since every power of two is the bound of
    /// a bucket at every scale.
    #[must_use]
    pub fn count_at_most_power_of_two(&self, exponent: u32) -> u64 {
        let scale = MAX_SCALE - i32::from(self.halvings);
        let end = (exponent.min(64) as i32) << scale;
        let within = (end - self.offset).clamp(0, self.buckets.len() as i32) as usize;
        self.zero_count + self.buckets[..within].iter().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    /// Latencies from nothing to centuries, most of them ordinary.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![
            1 => Just(0_u64),
            8 => 20_000_u64..50_000_000,
            4 => 1_u64..100_000_000_000,
            1 => any::<u64>(),
        ];
        proptest::collection::vec(value, 0..200)
    }

    #[test]
    fn empty_has_no_statistics() {
        let empty = Histogram::new();
        assert_eq!(
            (empty.count(), empty.min(), empty.max(), empty.mean(), empty.quantile(0.5)),
            (0, None, None, None, None)
        );
    }

    #[test]
    fn resolution_halves_only_when_the_range_demands_it() {
        // Five doublings are 160 buckets: (2^10, 2^15].
        let mut histogram = of(&[1025, 1 << 15]);
        assert_eq!((histogram.parts().scale, histogram.parts().buckets.len()), (5, 160));
        histogram.record((1 << 15) + 1);
        assert_eq!((histogram.parts().scale, histogram.parts().buckets.len()), (4, 81));
        let everything = of(&[1, u64::MAX]);
        assert_eq!(everything.parts().scale, 1);
        assert!(everything.parts().buckets.len() <= MAX_BUCKETS);
    }

    #[test]
    fn clear_keeps_the_memory_and_nothing_else() {
        let mut histogram = of(&[1, 5_000_000]);
        let capacity = histogram.buckets.capacity();
        histogram.clear();
        assert_eq!(histogram, Histogram::new());
        assert_eq!(histogram.buckets.capacity(), capacity);
    }

    #[test]
    fn counts_at_powers_of_two_are_exact() {
        let histogram = of(&[0, 1, 2, 3, 4, 5, 1 << 40]);
        for (exponent, expected) in [(0, 2), (1, 3), (2, 5), (3, 6), (39, 6), (40, 7), (64, 7)] {
            assert_eq!(histogram.count_at_most_power_of_two(exponent), expected, "2^{exponent}");
        }
    }

    #[test]
    fn parts_that_no_histogram_has_are_refused() {
        let mut histogram = of(&[7]);
        let before = histogram.clone();
        let wide = [1; MAX_BUCKETS + 1];
        let parts = Histogram::new();
        histogram.merge_parts(&HistogramParts { buckets: &wide, ..parts.parts() });
        histogram.merge_parts(&HistogramParts { scale: 9, buckets: &[1], ..parts.parts() });
        assert_eq!(histogram, before);
    }

    proptest! {
        #[test]
        fn merging_parts_equals_recording_all(a in values(), b in values()) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let mut reverse = of(&b);
            reverse.merge(&of(&a));
            let all = of(&[a, b].concat());
            prop_assert_eq!(&merged, &all);
            prop_assert_eq!(&reverse, &all);
        }

        #[test]
        fn order_does_not_matter(mut values in values()) {
            let forwards = of(&values);
            values.reverse();
            prop_assert_eq!(forwards, of(&values));
        }

        #[test]
        fn counts_balance(values in values()) {
            let histogram = of(&values);
            let parts = histogram.parts();
            prop_assert_eq!(
                parts.zero_count + parts.buckets.iter().sum::<u64>(),
                values.len() as u64
            );
            prop_assert!(parts.buckets.len() <= MAX_BUCKETS);
        }

        #[test]
        fn quantiles_are_within_one_bucket(
            mut values in values(),
            one: u32,
            q in 0.0_f64..=1.0,
        ) {
            values.push(u64::from(one));
            let histogram = of(&values);
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            let estimate = histogram.quantile(q).unwrap() as f64;
            let width = (1.0 / f64::from(1 << histogram.parts().scale)).exp2();
            // Rounding to whole nanoseconds adds up to one.
            prop_assert!(estimate <= exact * width + 1.0, "{estimate} for {exact}");
            prop_assert!(exact <= estimate * width + 1.0, "{estimate} for {exact}");
        }
    }
}
