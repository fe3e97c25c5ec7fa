//! The exchanges kept of each edge, to look at one by one.

use std::collections::VecDeque;
use std::sync::Arc;

use alaz_model::Exchange;

/// The most exchanges kept of all edges together: about a kilobyte each.
pub(crate) const TOTAL: usize = 8192;
/// The most exchanges in one answer about an edge.
pub(crate) const RECENT: usize = 50;

/// How many errors, and how many others, an edge may keep when there are so many edges.
pub(crate) fn share(edges: usize) -> usize {
    (TOTAL / 2 / edges.max(1)).clamp(1, RECENT)
}

/// The newest exchanges of one edge; errors apart, since they are looked for most.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    errors: VecDeque<Arc<Exchange>>,
    others: VecDeque<Arc<Exchange>>,
}

impl Samples {
    pub(crate) fn add(&mut self, exchange: &Arc<Exchange>) {
        let kind = if exchange.message.error { &mut self.errors } else { &mut self.others };
        kind.push_back(Arc::clone(exchange));
    }

    /// Drops the oldest beyond `limit` of each kind.
    pub(crate) fn trim(&mut self, limit: usize) {
        for kind in [&mut self.errors, &mut self.others] {
            kind.drain(..kind.len().saturating_sub(limit));
            kind.shrink_to(limit);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.errors.len() + self.others.len()
    }

    /// At most [`RECENT`] of those that began in the period, newest first; errors have half of the
    /// places for sure.
    pub(crate) fn recent(&self, from_ns: u64, to_ns: u64) -> Vec<Arc<Exchange>> {
        let of = |kind: &VecDeque<Arc<Exchange>>| -> Vec<Arc<Exchange>> {
            let inside = |exchange: &&Arc<Exchange>| (from_ns..to_ns).contains(&exchange.time.0);
            let mut found: Vec<_> = kind.iter().filter(inside).cloned().collect();
            found.sort_by_key(|exchange| std::cmp::Reverse(exchange.time));
            found
        };
        let (mut errors, mut others) = (of(&self.errors), of(&self.others));
        errors.truncate(RECENT - others.len().min(RECENT / 2));
        others.truncate(RECENT - errors.len());
        errors.append(&mut others);
        errors.sort_by_key(|exchange| std::cmp::Reverse(exchange.time));
        errors
    }
}
