//! Walks through the fields of a message as the table describes them.
//!
//! The walk can stop at any byte and go on with the next ones. What tells nothing is passed over by
//! its length, seen or not.

use super::found::Found;
use super::parse::{self, BATCH_HEAD, Fields, VARINT_MAX};
use super::schema::{Field, Kind, Meaning};
use super::topics::TopicNames;

/// Groups within groups.
const LEVELS_MAX: usize = 8;
/// Longer names are not kept.
const TEXT_MAX: u64 = 1024;

/// Where in a message the next byte stands.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    fields: &'static [Field],
    version: i16,
    is_flexible: bool,
    levels: [Level; LEVELS_MAX],
    depth: usize,
    /// So many tagged fields end the innermost group.
    tags: Option<u32>,
    /// So many bytes are records.
    records: u64,
    /// Where a batch begins is not known.
    has_lost_batches: bool,
}

/// A group: fields by their place in the table.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    first: u16,
    next: u16,
    end: u16,
    /// So many more groups of this kind follow.
    left: u32,
    /// Simple fields end without tagged ones.
    is_list: bool,
}

/// What stopped a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All bytes were read, or it takes more to read the next field.
    More,
    Done,
    /// These are not the fields that they should be.
    Invalid,
}

enum Step {
    Took(u64),
    More,
    Done,
    Invalid,
}

impl Walk {
    pub(super) fn new(fields: &'static [Field], version: i16, is_flexible: bool) -> Walk {
        let mut levels = [Level::default(); LEVELS_MAX];
        levels[0].end = fields.len() as u16;
        Walk {
            fields,
            version,
            is_flexible,
            levels,
            depth: 1,
            tags: None,
            records: 0,
            has_lost_batches: false,
        }
    }

    /// Tagged fields come before the first field: those of the header.
    pub(super) fn begin_with_tags(&mut self) {
        // An empty group has nothing else.
        self.depth += 1;
    }

    /// Goes on with these bytes; so many are `left` of the message, these included. Returns how many
    /// were taken, which may be more than there are: those need not be seen.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        left: u64,
        found: &mut Found,
        names: &mut TopicNames,
    ) -> (u64, Progress) {
        let mut taken = 0;
        loop {
            let rest = usize::try_from(taken).ok().and_then(|taken| bytes.get(taken..));
            let Some(rest) = rest else { return (taken, Progress::More) };
            match self.step(rest, left - taken, found, names) {
                Step::Took(bytes) if bytes <= left - taken => taken += bytes,
                Step::Took(_) | Step::Invalid => return (taken, Progress::Invalid),
                // There is no more.
                Step::More if rest.len() as u64 >= left - taken => {
                    return (taken, Progress::Invalid);
                }
                Step::More => return (taken, Progress::More),
                Step::Done => return (taken, Progress::Done),
            }
        }
    }

    /// So many bytes were missed. False when they were not all records: then where it stands is not
    /// known.
    pub(super) fn miss(&mut self, bytes: u64) -> bool {
        let left = self.records.checked_sub(bytes);
        self.records = left.unwrap_or(0);
        self.has_lost_batches = true;
        left.is_some()
    }

    pub(super) fn is_in_records(&self) -> bool {
        self.records > 0
    }

    /// So many bytes of records will not be seen.
    pub(super) fn skip_records(&mut self, found: &mut Found) -> u64 {
        found.is_uncounted |= self.records > 0;
        std::mem::take(&mut self.records)
    }

    /// Whether what follows may have such a field.
    pub(super) fn may_find(&self, is_wanted: fn(Meaning) -> bool) -> bool {
        let has = |from: u16, to: u16| {
            let fields = self.fields.get(usize::from(from)..usize::from(to)).unwrap_or_default();
            fields.iter().any(|field| is_wanted(field.meaning) && field.is_in(self.version))
        };
        self.records > 0 && is_wanted(Meaning::Records)
            || self.levels.iter().take(self.depth).any(|level| {
                has(level.next, level.end) || level.left > 0 && has(level.first, level.end)
            })
    }

    fn step(&mut self, bytes: &[u8], left: u64, found: &mut Found, names: &mut TopicNames) -> Step {
        if std::mem::take(&mut self.has_lost_batches) {
            found.is_uncounted = true;
            return Step::Took(std::mem::take(&mut self.records));
        }
        if self.records > 0 {
            return self.step_records(bytes, found);
        }
        let Some(level) = self.depth.checked_sub(1).and_then(|at| self.levels.get_mut(at)) else {
            return Step::Done;
        };
        if level.next >= level.end {
            return self.end_group(bytes, left, found, names);
        }
        let Some(field) = self.fields.get(usize::from(level.next)) else { return Step::Invalid };
        let parts = level.next + 1;
        level.next = parts + field.kind.parts();
        if !field.is_in(self.version) {
            return Step::Took(0);
        }
        let step = self.field(field, parts, bytes, left, found, names);
        if let Step::More = step
            && let Some(level) = self.levels.get_mut(self.depth - 1)
        {
            // The same again.
            level.next = parts - 1;
        }
        step
    }

    fn field(
        &mut self,
        field: &Field,
        parts: u16,
        bytes: &[u8],
        left: u64,
        found: &mut Found,
        names: &mut TopicNames,
    ) -> Step {
        let mut fields = Fields { bytes };
        match field.kind {
            Kind::Fixed(size) if field.meaning == Meaning::Nothing => Step::Took(size.into()),
            Kind::Fixed(size) => match fields.take(size.into()) {
                Some(value) if found.fixed(field.meaning, value, names) => Step::Took(size.into()),
                Some(_) => Step::Invalid,
                None => Step::More,
            },
            Kind::Text => {
                let Some(length) = self.length(&mut fields, true) else {
                    return unless_long(bytes);
                };
                let length = length.unwrap_or(0);
                let before = (bytes.len() - fields.bytes.len()) as u64;
                if field.meaning != Meaning::Nothing && length <= TEXT_MAX {
                    match fields.take(length as usize) {
                        Some(text) => found.text(field.meaning, text, names),
                        None if before + length > left => return Step::Invalid,
                        None => return Step::More,
                    }
                } else if field.meaning != Meaning::Nothing {
                    found.text(field.meaning, &[], names);
                }
                Step::Took(before + length)
            }
            Kind::Bytes => {
                let Some(length) = self.length(&mut fields, false) else {
                    return unless_long(bytes);
                };
                let length = length.unwrap_or(0);
                let before = (bytes.len() - fields.bytes.len()) as u64;
                if field.meaning != Meaning::Records {
                    return Step::Took(before + length);
                }
                if before + length > left {
                    return Step::Invalid;
                }
                self.records = length;
                found.record_bytes = found.record_bytes.saturating_add(length);
                Step::Took(before)
            }
            Kind::Array(_) | Kind::List(_) => self.begin_array(field, parts, bytes, left),
            Kind::Group(_) => self.begin_group(field, parts, 1, 0),
            Kind::Optional(_) => match fields.take(1) {
                Some([0xff]) => Step::Took(1),
                Some([1]) => self.begin_group(field, parts, 1, 1),
                Some(_) => Step::Invalid,
                None => Step::More,
            },
        }
    }

    /// Length of a text (`is_short`), of bytes or of an array; null is `Some(None)`.
    fn length(&self, fields: &mut Fields<'_>, is_short: bool) -> Option<Option<u64>> {
        if self.is_flexible {
            return fields.varint().map(|length| u64::from(length).checked_sub(1));
        }
        let length = if is_short { fields.short()?.into() } else { fields.long()? };
        Some(u64::try_from(length).ok())
    }

    fn begin_array(&mut self, field: &Field, parts: u16, bytes: &[u8], left: u64) -> Step {
        let mut fields = Fields { bytes };
        let Some(count) = self.length(&mut fields, false) else { return unless_long(bytes) };
        let count = count.unwrap_or(0);
        let before = (bytes.len() - fields.bytes.len()) as u64;
        // Each takes a byte at least.
        if count > left {
            return Step::Invalid;
        }
        match self.fields.get(usize::from(parts)) {
            Some(Field { kind: Kind::Fixed(size), meaning: Meaning::Nothing, .. })
                if matches!(field.kind, Kind::List(_)) =>
            {
                Step::Took(before + count * u64::from(*size))
            }
            Some(_) if count > 0 => {
                self.begin_group(field, parts, u32::try_from(count).unwrap_or(u32::MAX), before)
            }
            _ => Step::Took(before),
        }
    }

    fn begin_group(&mut self, field: &Field, parts: u16, count: u32, before: u64) -> Step {
        let Some(level) = self.levels.get_mut(self.depth) else { return Step::Invalid };
        *level = Level {
            first: parts,
            next: parts,
            end: parts + field.kind.parts(),
            left: count.saturating_sub(1),
            is_list: matches!(field.kind, Kind::List(_)),
        };
        self.depth += 1;
        Step::Took(before)
    }

    /// A group has had all its fields, but for the tagged ones.
    fn end_group(
        &mut self,
        bytes: &[u8],
        left: u64,
        found: &mut Found,
        names: &mut TopicNames,
    ) -> Step {
        let Some(level) = self.levels.get_mut(self.depth - 1) else { return Step::Invalid };
        let mut fields = Fields { bytes };
        let mut taken = 0;
        if self.is_flexible && !level.is_list {
            let Some(tags) = self.tags.or_else(|| fields.varint()) else {
                return unless_long(bytes);
            };
            taken = (bytes.len() - fields.bytes.len()) as u64;
            if u64::from(tags) > left {
                return Step::Invalid;
            }
            if self.tags.is_none() && tags > 0 {
                self.tags = Some(tags);
                return Step::Took(taken);
            }
            if tags > 0 {
                let (Some(_), Some(length)) = (fields.varint(), fields.varint()) else {
                    return if bytes.len() < 2 * VARINT_MAX { Step::More } else { Step::Invalid };
                };
                self.tags = Some(tags - 1);
                return Step::Took((bytes.len() - fields.bytes.len()) as u64 + u64::from(length));
            }
            self.tags = None;
        }
        found.settle(names);
        if level.left > 0 {
            level.left -= 1;
            level.next = level.first;
        } else {
            self.depth -= 1;
        }
        Step::Took(taken)
    }

    fn step_records(&mut self, bytes: &[u8], found: &mut Found) -> Step {
        let whole = bytes.len() as u64 >= self.records;
        let head = bytes.get(..BATCH_HEAD.min(bytes.len())).unwrap_or_default();
        match parse::batch(head) {
            // A fetched batch may be cut at the end: that one does not count.
            Some(batch) if batch.length <= self.records => {
                found.batch(batch.records);
                self.records -= batch.length;
                Step::Took(batch.length)
            }
            None if !whole && bytes.len() < BATCH_HEAD => Step::More,
            batch => {
                if batch.is_none() && self.records >= BATCH_HEAD as u64 {
                    found.batch(None);
                }
                Step::Took(std::mem::take(&mut self.records))
            }
        }
    }
}

/// A number is not whole: more of it may come, unless it is too long for one.
fn unless_long(bytes: &[u8]) -> Step {
    if bytes.len() < VARINT_MAX { Step::More } else { Step::Invalid }
}
