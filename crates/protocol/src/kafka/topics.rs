//! Names of topics by their ids, whoever was heard to tell them.

use compact_str::CompactString;
use hashbrown::HashMap;

/// Number of a topic that never changes (KIP-516): a random UUID, so no two clusters share one.
pub(super) type TopicId = [u8; 16];

/// More names are not remembered; those that were not used for long go, half of them at once.
pub(super) const TOPICS_MAX: usize = 8192;

type Names = HashMap<TopicId, CompactString, foldhash::fast::RandomState>;

/// Names of topics of all connections. Clients ask for names on one connection, and speak of ids on
/// others.
#[derive(Default)]
pub(crate) struct TopicNames {
    /// At most half of all.
    newer: Names,
    /// What was in `newer` when that was full, and was not used since.
    older: Names,
}

impl TopicNames {
    /// The name, unless two were told.
    pub(super) fn get(&mut self, id: &TopicId) -> Option<CompactString> {
        if let Some(name) = self.older.remove(id) {
            self.keep(*id, name);
        }
        self.newer.get(id).filter(|name| !name.is_empty()).cloned()
    }

    /// A name was told. Where it is not the one that was told before, which of them it is nobody
    /// knows.
    pub(super) fn learn(&mut self, id: TopicId, name: &CompactString) {
        if let Some(name) = self.older.remove(&id) {
            self.keep(id, name);
        }
        match self.newer.get_mut(&id) {
            Some(known) if known == name => {}
            Some(known) => known.clear(),
            None => self.keep(id, name.clone()),
        }
    }

    fn keep(&mut self, id: TopicId, name: CompactString) {
        if self.newer.len() >= TOPICS_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(id, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> TopicId {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        id
    }

    #[test]
    fn names_in_use_stay_and_there_are_never_more_than_may_be() {
        let mut names = TopicNames::default();
        for number in 0..3 * TOPICS_MAX {
            names.learn(id(number), &format!("topic-{number}").into());
            assert_eq!(names.get(&id(0)).as_deref(), Some("topic-0"), "{number}");
            assert!(names.newer.len() + names.older.len() <= TOPICS_MAX);
        }
        assert_eq!(names.get(&id(1)), None);
        let last = 3 * TOPICS_MAX - 1;
        assert_eq!(names.get(&id(last)), Some(format!("topic-{last}").into()));
    }

    #[test]
    fn of_two_names_neither_is_told() {
        let mut names = TopicNames::default();
        names.learn(id(1), &"orders".into());
        names.learn(id(1), &"orders".into());
        assert_eq!(names.get(&id(1)).as_deref(), Some("orders"));
        names.learn(id(1), &"bills".into());
        assert_eq!(names.get(&id(1)), None);
        names.learn(id(1), &"bills".into());
        assert_eq!(names.get(&id(1)), None);
    }
}
