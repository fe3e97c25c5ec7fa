//! The exchanges kept of each edge, to look at one by one.

use std::collections::VecDeque;
use std::sync::Arc;

use alaz_flow::EdgeSlice;
use alaz_model::Exchange;
use hashbrown::HashSet;

/// The most exchanges kept of all edges together: about a kilobyte each.
pub(crate) const TOTAL: usize = 8192;
/// The most exchanges in one answer about an edge.
pub(crate) const RECENT: usize = 50;

/// How many errors, how many slow ones and how many others an edge may keep when there are so many
/// edges.
pub(crate) fn share(edges: usize) -> usize {
    (TOTAL / 3 / edges.max(1)).clamp(1, RECENT)
}

/// The newest exchanges of one edge; errors and slow ones apart, since they are looked for most.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    errors: VecDeque<Arc<Exchange>>,
    slow: VecDeque<Arc<Exchange>>,
    others: VecDeque<Arc<Exchange>>,
}

impl Samples {
    pub(crate) fn add(&mut self, slice: &EdgeSlice<'_>) {
        self.errors.extend(slice.errors().iter().cloned());
        self.slow.extend(slice.slowest().iter().cloned());
        self.others.extend(slice.others().iter().cloned());
    }

    /// Drops what ended before `oldest_ns`, and the oldest beyond `limit` of each kind. Of slow
    /// ones the newer half stays, and of the older half the slowest.
    pub(crate) fn trim(&mut self, limit: usize, oldest_ns: u64) {
        let ended_ns = |exchange: &Exchange| exchange.time.0 + exchange.latency_ns.unwrap_or(0);
        for kind in [&mut self.errors, &mut self.slow, &mut self.others] {
            while kind.front().is_some_and(|oldest| ended_ns(oldest) < oldest_ns) {
                kind.pop_front();
            }
        }
        while self.slow.len() > limit {
            let older = self.slow.iter().take(self.slow.len().div_ceil(2)).enumerate();
            let least_slow = older.min_by_key(|(_, exchange)| exchange.latency_ns);
            let Some((place, _)) = least_slow else { break };
            self.slow.remove(place);
        }
        for kind in [&mut self.errors, &mut self.slow, &mut self.others] {
            kind.drain(..kind.len().saturating_sub(limit));
            kind.shrink_to(limit);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.errors.len() + self.slow.len() + self.others.len()
    }

    /// All that are kept, in no order. Slow ones may come twice.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Exchange>> {
        self.errors.iter().chain(&self.slow).chain(&self.others)
    }

    /// At most [`RECENT`] of those that began in the period, newest first: the newest errors, the
    /// slowest and the newest others, each with a third of the places for sure.
    pub(crate) fn recent(&self, from_ns: u64, to_ns: u64) -> Vec<Arc<Exchange>> {
        let inside = |exchange: &&Arc<Exchange>| (from_ns..to_ns).contains(&exchange.time.0);
        let mut kinds = [&self.errors, &self.slow, &self.others]
            .map(|kind| kind.iter().filter(inside).collect::<Vec<_>>());
        let [errors, slow, others] = &mut kinds;
        // Each is taken from its end.
        errors.sort_by_key(|exchange| exchange.time);
        slow.sort_by_key(|exchange| exchange.latency_ns);
        others.sort_by_key(|exchange| exchange.time);
        let mut chosen = HashSet::new();
        let mut recent = Vec::new();
        while recent.len() < RECENT && kinds.iter().any(|kind| !kind.is_empty()) {
            for kind in &mut kinds {
                let fresh = |exchange: &&Arc<Exchange>| chosen.insert(Arc::as_ptr(exchange));
                let next = std::iter::from_fn(|| kind.pop()).find(fresh);
                recent.extend(next.cloned());
            }
        }
        recent.truncate(RECENT);
        recent.sort_by_key(|exchange| std::cmp::Reverse(exchange.time));
        recent
    }
}
