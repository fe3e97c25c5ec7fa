//! How often each status was answered.

use alaz_model::Message;
use compact_str::CompactString;

/// Counts by exact status, for a bounded number of different ones.
///
/// Exchanges without a status (no response came) count under the name of their outcome, so the
/// counts always add up to the number of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusMix {
    exact: Vec<(CompactString, u64)>,
    other: u64,
}

impl StatusMix {
    /// The most different statuses that are told apart; further ones count as `other`.
    pub const LIMIT: usize = 32;
    /// The name that statuses beyond the limit go by.
    pub const OTHER: &'static str = "other";

    /// Counts one exchange.
    #[inline]
    pub fn record(&mut self, message: &Message) {
        let status = message.status.as_str();
        self.add(if status.is_empty() { message.outcome.as_str() } else { status }, 1);
    }

    /// Counts one exchange that failed by what it failed with: how it ended where that alone is an
    /// error (a reset may come after a good status), else its status.
    #[inline]
    pub fn record_error(&mut self, message: &Message) {
        let outcome = message.outcome;
        let by_outcome = outcome.is_error() || message.status.is_empty();
        self.add(if by_outcome { outcome.as_str() } else { &message.status }, 1);
    }

    /// Counts `amount` of one status.
    pub fn add(&mut self, status: &str, amount: u64) {
        if let Some((_, count)) = self.exact.iter_mut().find(|(name, _)| name == status) {
            *count += amount;
        } else if status != StatusMix::OTHER && self.exact.len() < StatusMix::LIMIT {
            self.exact.push((status.into(), amount));
        } else {
            self.other += amount;
        }
    }

    /// Adds the counts of another mix.
    pub fn merge(&mut self, other: &StatusMix) {
        other.iter().for_each(|(status, count)| self.add(status, count));
    }

    /// Each status and its count, in no particular order; zeroes left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.exact
            .iter()
            .map(|(status, count)| (status.as_str(), *count))
            .chain(std::iter::once((StatusMix::OTHER, self.other)))
            .filter(|(_, count)| *count > 0)
    }

    /// Bytes that it holds beside itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let beside = self.exact.iter().filter(|(name, _)| name.is_heap_allocated());
        self.exact.capacity() * size_of::<(CompactString, u64)>()
            + beside.map(|(name, _)| name.capacity()).sum::<usize>()
    }

    /// Sets all counts to zero and remembers the names, so that counting them again is free.
    pub fn clear(&mut self) {
        self.other = 0;
        if self.exact.len() == StatusMix::LIMIT {
            // Full: give statuses that are no longer answered a chance to go.
            self.exact.retain(|(_, count)| *count > 0);
        }
        self.exact.iter_mut().for_each(|(_, count)| *count = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_as_many_apart_as_the_limit_says() {
        let mut mix = StatusMix::default();
        for code in 0..StatusMix::LIMIT + 3 {
            mix.add(&format!("{code}"), 2);
        }
        assert_eq!(mix.iter().count(), StatusMix::LIMIT + 1);
        assert_eq!(mix.iter().find(|(name, _)| *name == StatusMix::OTHER), Some(("other", 6)));
        let mut sum = StatusMix::default();
        sum.merge(&mix);
        sum.merge(&mix);
        assert_eq!(sum.iter().map(|(_, count)| count).sum::<u64>(), 2 * 2 * 35);
        mix.clear();
        assert_eq!(mix.iter().count(), 0);
    }
}
