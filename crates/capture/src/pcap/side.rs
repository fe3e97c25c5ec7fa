//! One direction of a connection: how far it has come, what waits, what was given up.

use std::collections::{BTreeMap, VecDeque};

/// How far packets may be out of order in the file: captured on several CPUs or interfaces.
pub(super) const DISORDER_NS: u64 = 10_000_000;
/// Acknowledgements that follow each other closer than this are taken together.
const CLOSELY_NS: u64 = 1_000_000;
/// Beside its bytes, what a held segment takes.
pub(super) const HELD_OVERHEAD: usize = 128;
/// Holes that are remembered, to tell late bytes from those sent twice.
const HOLES_MAX: usize = 16;

/// Payload that waits.
pub(super) struct Held {
    pub(super) arrival: u64,
    pub(super) acknowledges: Option<u64>,
    pub(super) time_ns: u64,
    pub(super) captured: Vec<u8>,
    pub(super) length: usize,
}

impl Held {
    pub(super) fn cost(&self) -> usize {
        self.captured.len() + HELD_OVERHEAD
    }
}

/// One direction.
#[derive(Default)]
pub(super) struct Side {
    /// The sequence number of its SYN, where that was seen.
    pub(super) initial: Option<u32>,
    /// Everything before has been passed on or given up; none while nothing is known.
    pub(super) next: Option<u64>,
    /// What the peer has acknowledged beyond `next`, ascending; of what was said long ago, the last.
    acknowledged: VecDeque<Acknowledged>,
    /// Its FIN stands here.
    pub(super) end: Option<u64>,
    /// By position, not overlapping, all at or after `next`.
    pub(super) held: BTreeMap<u64, Held>,
    /// The last holes that were given up.
    holes: VecDeque<(u64, u64)>,
}

/// What a peer had of a direction's stream at one time.
#[derive(Clone, Copy)]
struct Acknowledged {
    until: u64,
    /// Several are taken together that follow closely.
    first_ns: u64,
    last_ns: u64,
}

impl Side {
    /// The peer has everything before `until`.
    pub(super) fn acknowledge(&mut self, until: u64, now_ns: u64) {
        let next = self.next.unwrap_or(0);
        while self.acknowledged.front().is_some_and(|oldest| oldest.until <= next) {
            self.acknowledged.pop_front();
        }
        while self.acknowledged.get(1).is_some_and(|second| second.is_settled(now_ns)) {
            self.acknowledged.pop_front();
        }
        match self.acknowledged.back_mut() {
            Some(latest) if until <= latest.until => {}
            Some(latest) if now_ns.saturating_sub(latest.first_ns) < CLOSELY_NS => {
                *latest = Acknowledged { until, last_ns: now_ns, ..*latest };
            }
            _ if until <= next => {}
            _ => {
                let latest = Acknowledged { until, first_ns: now_ns, last_ns: now_ns };
                self.acknowledged.push_back(latest);
            }
        }
    }

    /// Bytes before this were surely sent, and those that the capture does not have by now will not
    /// come.
    pub(super) fn settled(&self, now_ns: u64) -> Option<u64> {
        let settled = self.acknowledged.iter().rev().find(|it| it.is_settled(now_ns))?;
        Some(settled.until.min(self.end.unwrap_or(u64::MAX)))
    }

    /// When that will be so for the next byte, if that is missing.
    pub(super) fn settles_ns(&self) -> Option<u64> {
        let is_missing =
            |next: &u64| self.end.is_none_or(|end| end > *next) && self.due().is_none();
        let next = self.next.filter(is_missing)?;
        self.acknowledged.iter().find(|it| it.until > next).map(Acknowledged::settles_ns)
    }

    /// The first held segment, if it comes next.
    pub(super) fn due(&self) -> Option<&Held> {
        let (position, held) = self.held.first_key_value()?;
        (self.next == Some(*position)).then_some(held)
    }

    /// When the first held segment arrived, among all of the connection.
    pub(super) fn first_arrival(&self) -> Option<u64> {
        self.held.first_key_value().map(|(_, held)| held.arrival)
    }

    /// Everything that `acknowledges` covers has been passed on or given up.
    pub(super) fn has_passed(&self, acknowledges: Option<u64>) -> bool {
        match (self.next, acknowledges) {
            (Some(next), Some(until)) => until.min(self.end.unwrap_or(u64::MAX)) <= next,
            _ => true,
        }
    }

    pub(super) fn remember_hole(&mut self, from: u64, to: u64) {
        if self.holes.len() >= HOLES_MAX {
            self.holes.pop_front();
        }
        self.holes.push_back((from, to));
    }

    /// How much of a range was given up.
    pub(super) fn given_up(&self, from: u64, to: u64) -> u64 {
        let overlap = |(start, end): &(u64, u64)| (*end).min(to).saturating_sub((*start).max(from));
        self.holes.iter().map(overlap).sum()
    }
}

impl Acknowledged {
    fn settles_ns(&self) -> u64 {
        self.last_ns.saturating_add(DISORDER_NS)
    }

    fn is_settled(&self, now_ns: u64) -> bool {
        self.settles_ns() <= now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_kept_for_as_long_as_it_takes_and_in_limited_number() {
        let mut side = Side { next: Some(100), ..Side::default() };
        for number in 0..100_000 {
            // One every microsecond, for a tenth of a second.
            let now_ns = number * 1_000;
            side.acknowledge(101 + number, now_ns);
            assert!(side.acknowledged.len() as u64 <= DISORDER_NS / CLOSELY_NS + 2);
            let settled = side.settled(now_ns).unwrap_or(100);
            // None too early, and none much later.
            let due = (101 + number).saturating_sub(DISORDER_NS / 1_000).max(100);
            assert!(settled <= due && settled + CLOSELY_NS / 1_000 >= due, "{settled} {due}");
        }
        side.next = Some(200_000);
        side.acknowledge(150_000, 0);
        assert_eq!(side.acknowledged.len(), 0, "what is behind needs no keeping");
    }

    #[test]
    fn the_last_holes_are_remembered() {
        let mut side = Side::default();
        for number in 0..=HOLES_MAX as u64 {
            side.remember_hole(number * 10, number * 10 + 4);
        }
        assert_eq!(side.holes.len(), HOLES_MAX);
        assert_eq!(side.given_up(0, 10), 0);
        assert_eq!(side.given_up(12, 22), 2 + 2);
    }
}
