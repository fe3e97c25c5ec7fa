//! Medians, spread, and comparisons between states of the same round.

use serde::Serialize;

/// The middle of several measurements, and how far apart they lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of no values.
    pub(crate) fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Spread { median: median(&sorted)?, min, max })
    }
}

/// Of an even number of values the mean of the two in the middle.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The value below which this share of the sorted values lies (nearest rank).
pub(crate) fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Each value as a multiple of the base's in the same round; rounds whose base is 0 are left out.
pub(crate) fn ratios(values: &[f64], base: &[f64]) -> Vec<f64> {
    values.iter().zip(base).filter(|(_, base)| **base > 0.0).map(|(v, base)| v / base).collect()
}

/// Each value less the base's in the same round.
pub(crate) fn differences(values: &[f64], base: &[f64]) -> Vec<f64> {
    values.iter().zip(base).map(|(v, base)| v - base).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[5.0]), Some(Spread { median: 5.0, min: 5.0, max: 5.0 }));
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 9.0 }));
        let even = Spread::of(&[4.0, 1.0, 2.0, 100.0]);
        assert_eq!(even, Some(Spread { median: 3.0, min: 1.0, max: 100.0 }));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 0.5), Some(100));
        assert_eq!(percentile(&values, 0.99), Some(198));
        assert_eq!(percentile(&values, 1.0), Some(200));
        assert_eq!(percentile(&[7], 0.99), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn only_values_of_one_round_are_compared() {
        // The machine became twice as fast after the first round; the ratio does not notice.
        assert_eq!(ratios(&[90.0, 180.0], &[100.0, 200.0]), [0.9, 0.9]);
        assert_eq!(ratios(&[90.0, 1.0], &[100.0, 0.0]), [0.9]);
        assert_eq!(differences(&[150.0, 260.0], &[100.0, 200.0]), [50.0, 60.0]);
    }
}
