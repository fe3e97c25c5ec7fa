//! A table of limited size that forgets what was not used for the longest time.

use std::collections::HashMap;
use std::hash::Hash;

const NONE: u32 = u32::MAX;

/// Which entries are forgotten first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// As long as there are any of these, no others are forgotten.
    Spent,
    /// Still of use.
    Live,
}

/// Entries by key, each in a slot whose number stays the same for as long as the entry is there.
pub(super) struct Table<K, V> {
    limit: usize,
    slots: Vec<Slot<K, V>>,
    by_key: HashMap<K, u32>,
    spent: List,
    live: List,
}

struct Slot<K, V> {
    key: K,
    value: V,
    worth: Worth,
    /// In the list of its worth: used just before and just after this one.
    older: u32,
    newer: u32,
}

struct List {
    oldest: u32,
    newest: u32,
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    /// Empty, for at most `limit` entries.
    pub(super) fn new(limit: usize) -> Table<K, V> {
        let list = || List { oldest: NONE, newest: NONE };
        Table { limit, slots: Vec::new(), by_key: HashMap::new(), spent: list(), live: list() }
    }

    pub(super) fn find(&self, key: &K) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut V> {
        self.slots.get_mut(slot as usize).map(|slot| &mut slot.value)
    }

    /// Slots in use are those below this.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The slot that the next new key will take away from its entry.
    pub(super) fn next_evicted(&self) -> Option<u32> {
        if self.slots.len() < self.limit {
            return None;
        }
        [self.spent.oldest, self.live.oldest].into_iter().find(|slot| *slot != NONE)
    }

    /// Adds an entry, which is live and just used, under a key that is not there; returns its slot.
    pub(super) fn insert(&mut self, key: K, value: V) -> u32 {
        let entry = Slot { key, value, worth: Worth::Live, older: NONE, newer: NONE };
        let slot = match self.next_evicted() {
            Some(slot) => {
                self.unlink(slot);
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    self.by_key.remove(&place.key);
                    *place = entry;
                }
                slot
            }
            None => {
                self.slots.push(entry);
                self.slots.len() as u32 - 1
            }
        };
        self.by_key.insert(key, slot);
        self.link(slot);
        slot
    }

    /// Notes that an entry has been used, and what it is worth from now on.
    pub(super) fn touch(&mut self, slot: u32, worth: Worth) {
        self.unlink(slot);
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.worth = worth;
        }
        self.link(slot);
    }

    fn list(&mut self, worth: Worth) -> &mut List {
        match worth {
            Worth::Spent => &mut self.spent,
            Worth::Live => &mut self.live,
        }
    }

    fn link(&mut self, slot: u32) {
        let Some(worth) = self.slots.get(slot as usize).map(|entry| entry.worth) else { return };
        let list = self.list(worth);
        let older = std::mem::replace(&mut list.newest, slot);
        if older == NONE {
            list.oldest = slot;
        }
        if let Some(entry) = self.slots.get_mut(older as usize) {
            entry.newer = slot;
        }
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.older = older;
            entry.newer = NONE;
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(entry) = self.slots.get(slot as usize) else { return };
        let (worth, older, newer) = (entry.worth, entry.older, entry.newer);
        match self.slots.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.list(worth).oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.list(worth).newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_was_not_used_longest_and_the_spent_before_the_live() {
        let mut table = Table::new(3);
        let slots: Vec<u32> = (0..3).map(|key| table.insert(key, key * 10)).collect();
        assert_eq!(table.next_evicted(), Some(slots[0]));
        table.touch(slots[0], Worth::Live);
        assert_eq!(table.insert(3, 30), slots[1]);
        assert_eq!(table.find(&1), None);
        table.touch(slots[0], Worth::Spent);
        assert_eq!(table.insert(4, 40), slots[0]);
        table.touch(slots[2], Worth::Spent);
        table.touch(slots[2], Worth::Live);
        // In the order of use: 3, 4, 2.
        for (new, gone) in [(5, 3), (6, 4), (7, 2)] {
            table.insert(new, 0);
            assert_eq!(table.find(&gone), None);
            assert!(table.find(&new).is_some());
        }
        assert_eq!(table.slots(), 3);
    }

    #[test]
    fn agrees_with_a_list_that_is_searched() {
        let mut table = Table::new(4);
        // Oldest first.
        let mut model: Vec<(u8, Worth)> = Vec::new();
        let mut random = super::super::tests::Random(7);
        for _ in 0..10_000 {
            let key = random.below(9) as u8;
            let worth = if random.below(3) == 0 { Worth::Spent } else { Worth::Live };
            match table.find(&key) {
                Some(slot) => {
                    table.touch(slot, worth);
                    model.retain(|(other, _)| *other != key);
                    model.push((key, worth));
                }
                None => {
                    if model.len() == 4 {
                        let spent = model.iter().position(|(_, worth)| *worth == Worth::Spent);
                        model.remove(spent.unwrap_or(0));
                    }
                    table.insert(key, ());
                    model.push((key, Worth::Live));
                }
            }
            for key in 0..9 {
                let expected = model.iter().any(|(other, _)| *other == key);
                assert_eq!(table.find(&key).is_some(), expected);
            }
        }
    }
}
