//! What the fields of one message tell.

use compact_str::CompactString;
use smallvec::SmallVec;

use super::parse::Fields;
use super::schema::Meaning;
use super::topics::{TopicId, TopicNames};

/// Of more topics in one message only so many are named.
pub(super) const TOPICS_MAX: usize = 8;

/// Topics by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Topics {
    pub(super) names: SmallVec<[CompactString; 1]>,
    /// There are more, or some whose name is not known.
    pub(super) has_more: bool,
}

/// What was found in a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) topics: Topics,
    pub(super) partitions: u32,
    pub(super) partition: i32,
    pub(super) group: CompactString,
    pub(super) groups: u32,
    coordinator: CompactString,
    coordinator_type: u8,
    pub(super) acks: Option<i16>,
    pub(super) wait_ms: u32,
    pub(super) min_bytes: u32,
    pub(super) session: i32,
    pub(super) session_epoch: Option<i32>,
    /// Something is not fetched any more.
    pub(super) forgets: bool,
    pub(super) batches: u32,
    pub(super) records: u64,
    /// Records were seen that could not be counted.
    pub(super) is_uncounted: bool,
    pub(super) record_bytes: u64,
    /// The first that is one.
    pub(super) error: Option<i16>,
    /// Name and id of the topic that is being told of.
    name: Option<CompactString>,
    id: Option<TopicId>,
}

impl Found {
    /// A number or an id. False where it cannot be.
    pub(super) fn fixed(&mut self, meaning: Meaning, value: &[u8], names: &mut TopicNames) -> bool {
        let mut fields = Fields { bytes: value };
        match (meaning, value.len()) {
            (Meaning::TopicId, _) => {
                let id = TopicId::try_from(value).ok().filter(|id| *id != TopicId::default());
                self.topic(None, id, names);
            }
            (Meaning::Forgotten, _) => self.forgets = true,
            (Meaning::CoordinatorType, _) => {
                self.coordinator_type = value.first().copied().unwrap_or(0);
            }
            (Meaning::Acks, _) => {
                self.acks = fields.short();
                return self.acks.is_some_and(|acks| (-1..=1).contains(&acks));
            }
            (Meaning::Error, _) => {
                let code = fields.short().filter(|code| *code != 0);
                self.error = self.error.or(code);
            }
            (_, 4) => return fields.long().is_some_and(|value| self.number(meaning, value)),
            _ => {}
        }
        true
    }

    fn number(&mut self, meaning: Meaning, value: i32) -> bool {
        match meaning {
            Meaning::Partition => {
                self.partitions = self.partitions.saturating_add(1);
                self.partition = value;
                return value >= 0;
            }
            Meaning::WaitMs => self.wait_ms = u32::try_from(value).unwrap_or(0),
            Meaning::MinBytes => self.min_bytes = u32::try_from(value).unwrap_or(0),
            Meaning::Session => self.session = value,
            Meaning::SessionEpoch => self.session_epoch = Some(value),
            _ => {}
        }
        true
    }

    /// A name; empty where it is none, or too long.
    pub(super) fn text(&mut self, meaning: Meaning, text: &[u8], names: &mut TopicNames) {
        match meaning {
            Meaning::Topic => self.topic(topic_name(text), None, names),
            Meaning::Forgotten => self.forgets = true,
            Meaning::ConsumerGroup => {
                self.group = CompactString::from_utf8_lossy(text);
                self.groups = self.groups.saturating_add(1);
            }
            Meaning::CoordinatorKey => {
                self.coordinator = CompactString::from_utf8_lossy(text);
                self.groups = self.groups.saturating_add(1);
            }
            _ => {}
        }
    }

    /// Half of what a topic is known by; the other half may stand beside it.
    fn topic(&mut self, name: Option<CompactString>, id: Option<TopicId>, names: &mut TopicNames) {
        if name.is_some() && self.name.is_some() || id.is_some() && self.id.is_some() {
            self.settle(names);
        }
        self.name = name.or_else(|| self.name.take());
        self.id = id.or(self.id);
    }

    /// What comes next tells of something else.
    pub(super) fn settle(&mut self, names: &mut TopicNames) {
        let (name, id) = (self.name.take(), self.id.take());
        let name = match (name, id) {
            (Some(name), Some(id)) => {
                names.learn(id, &name);
                name
            }
            (Some(name), None) => name,
            (None, Some(id)) => match names.get(&id) {
                Some(name) => name,
                None => return self.topics.has_more = true,
            },
            (None, None) => return,
        };
        self.topics.add(name);
    }

    /// Topics or records that may follow were not seen.
    pub(super) fn tear(&mut self, has_topics: bool, has_records: bool) {
        self.topics.has_more |= has_topics;
        self.is_uncounted |= has_records;
    }

    pub(super) fn batch(&mut self, records: Option<u32>) {
        self.batches = self.batches.saturating_add(1);
        self.is_uncounted |= records.is_none();
        self.records = self.records.saturating_add(u64::from(records.unwrap_or(0)));
    }

    /// How many records were in it, where all could be counted.
    pub(super) fn record_count(&self) -> Option<u64> {
        (self.batches > 0 && !self.is_uncounted).then_some(self.records)
    }

    /// The one group that the request is about.
    pub(super) fn consumer_group(&self) -> Option<&CompactString> {
        const GROUP: u8 = 0;
        let group = match self.coordinator_type {
            GROUP if self.group.is_empty() => &self.coordinator,
            _ => &self.group,
        };
        (self.groups == 1 && !group.is_empty()).then_some(group)
    }
}

impl Topics {
    pub(super) fn add(&mut self, name: CompactString) {
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() < TOPICS_MAX {
            self.names.push(name);
        } else {
            self.has_more = true;
        }
    }

    pub(super) fn join(&mut self, others: &Topics) {
        self.has_more |= others.has_more;
        for name in &others.names {
            self.add(name.clone());
        }
    }

    /// Their names; `…` stands for what is not named, where anything is.
    pub(super) fn text(&self) -> CompactString {
        let Some((first, others)) = self.names.split_first() else {
            return CompactString::default();
        };
        let mut text = first.clone();
        for name in others {
            text.push(',');
            text.push_str(name);
        }
        if self.has_more {
            text.push_str(",…");
        }
        text
    }

    /// The one topic that there is.
    pub(super) fn only(&self) -> Option<&CompactString> {
        self.names.first().filter(|_| self.names.len() == 1 && !self.has_more)
    }
}

/// TopicNames of topics have letters, digits, dots, dashes and underscores, 249 at most.
fn topic_name(text: &[u8]) -> Option<CompactString> {
    const LONGEST: usize = 249;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let is_name = !text.is_empty() && text.len() <= LONGEST && text.iter().all(is_plain);
    is_name.then(|| CompactString::from_utf8_lossy(text))
}
