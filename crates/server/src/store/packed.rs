//! Histograms at rest: a byte or two for each bucket instead of eight.

use alaz_flow::{Histogram, HistogramParts, MAX_BUCKETS};

/// A histogram as variable-length integers (LEB128): scale, offset, zero count, sum, smallest and
/// largest value, then the buckets. Empty histograms take no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    pub(crate) fn of(histogram: &Histogram) -> Packed {
        if histogram.count() == 0 {
            return Packed::default();
        }
        let parts = histogram.parts();
        let mut bytes = Vec::with_capacity(32 + parts.buckets.len() * 2);
        let mut put = |value: u64| write(&mut bytes, value);
        put(parts.scale as u64);
        // From -1 on.
        put((i64::from(parts.offset) + 1) as u64);
        put(parts.zero_count);
        put(parts.sum as u64);
        put((parts.sum >> 64) as u64);
        put(parts.min);
        put(parts.max);
        parts.buckets.iter().for_each(|count| put(*count));
        Packed(bytes.into())
    }

    /// Adds what it holds.
    pub(crate) fn add_to(&self, histogram: &mut Histogram) {
        // What was packed here unpacks; should it not, adding nothing is the best that is left.
        let _ = self.try_add_to(histogram);
    }

    fn try_add_to(&self, histogram: &mut Histogram) -> Option<()> {
        let mut bytes = &*self.0;
        if bytes.is_empty() {
            return Some(());
        }
        let mut take = || read(&mut bytes);
        let scale = i32::try_from(take()?).ok()?;
        let offset = i32::try_from(take()?).ok()? - 1;
        let zero_count = take()?;
        let sum = u128::from(take()?) | u128::from(take()?) << 64;
        let (min, max) = (take()?, take()?);
        let mut buckets = [0; MAX_BUCKETS];
        let mut used = 0;
        while let Some(count) = read(&mut bytes) {
            *buckets.get_mut(used)? = count;
            used += 1;
        }
        let buckets = buckets.get(..used)?;
        histogram.merge_parts(&HistogramParts {
            scale,
            offset,
            buckets,
            zero_count,
            sum,
            min,
            max,
        });
        Some(())
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpacking_gives_what_was_packed(
            values in proptest::collection::vec(
                prop_oneof![Just(0), 1_u64..1000, 50_000_u64..5_000_000_000, any::<u64>()],
                0..300,
            ),
        ) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.record(*value));
            let packed = Packed::of(&histogram);
            let mut unpacked = Histogram::new();
            packed.add_to(&mut unpacked);
            prop_assert_eq!(&unpacked, &histogram);
            prop_assert!(packed.bytes() <= 64 + 2 * values.len().max(MAX_BUCKETS));
        }

        #[test]
        fn bytes_of_any_kind_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            Packed(bytes.into()).add_to(&mut Histogram::new());
        }
    }
}
