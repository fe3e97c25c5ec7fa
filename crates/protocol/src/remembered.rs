//! What a client gave a name to on one connection, such as prepared statements.

use std::hash::Hash;

use hashbrown::HashMap;

/// More names of one kind are not remembered on one connection; the longest unused goes first.
pub(crate) const REMEMBERED_MAX: usize = 256;

/// Values by name, at most [`REMEMBERED_MAX`].
pub(crate) struct Remembered<K, V> {
    values: HashMap<K, (V, u64), foldhash::fast::RandomState>,
    /// Counts uses.
    clock: u64,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Remembered<K, V> {
        Remembered { values: HashMap::default(), clock: 0 }
    }
}

impl<K: Hash + Eq + Clone, V> Remembered<K, V> {
    pub(crate) fn get(&mut self, name: &K) -> Option<&mut V> {
        let (value, used) = self.values.get_mut(name)?;
        self.clock += 1;
        *used = self.clock;
        Some(value)
    }

    pub(crate) fn insert(&mut self, name: K, value: V) {
        if self.values.len() >= REMEMBERED_MAX && !self.values.contains_key(&name) {
            let oldest = self.values.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.values.remove(&oldest);
            }
        }
        self.clock += 1;
        self.values.insert(name, (value, self.clock));
    }

    pub(crate) fn remove(&mut self, name: &K) {
        self.values.remove(name);
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED_MAX, Remembered};

    #[test]
    fn the_longest_unused_is_forgotten_first() {
        let mut names = Remembered::default();
        for name in 0..REMEMBERED_MAX {
            names.insert(name, name);
        }
        assert_eq!(names.get(&0), Some(&mut 0));
        names.insert(REMEMBERED_MAX, 7);
        names.insert(REMEMBERED_MAX, 8);
        assert_eq!(
            (names.get(&0).copied(), names.get(&1).copied(), names.get(&2).copied()),
            (Some(0), None, Some(2))
        );
        assert_eq!(names.get(&REMEMBERED_MAX), Some(&mut 8));
        names.remove(&0);
        assert_eq!(names.get(&0), None);
        names.clear();
        assert_eq!(names.get(&2), None);
    }
}
