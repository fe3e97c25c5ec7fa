//! BSON documents, as far as they are there.
//!
//! A walk goes through the elements of few documents, those that its listener asks for, and passes
//! over everything else by its length: bytes that are not shown to it do no harm there.

use smallvec::SmallVec;

use super::parse::Reading;

/// Documents inside each other that are looked into.
const DEPTH_MAX: usize = 4;
/// Longer keys are in nothing that is looked into.
const KEY_MAX: usize = 256;
/// Longer values are not read.
const VALUE_MAX: u64 = 512;
/// A length and the byte that ends every document.
const DOCUMENT_MIN: i32 = 5;
const LENGTH: usize = 4;

/// What the elements of a document mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// A command.
    Command,
    /// The command that is to be explained.
    Explained,
    /// The stages of an aggregation.
    Pipeline,
    Stage,
    /// What the server says to a command.
    Reply,
    Cursor,
    /// What became of each of many writes (`bulkWrite`).
    Results,
    Result,
    WriteErrors,
    WriteError,
    WriteConcernError,
}

/// What to do with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    None,
    Value,
    /// Look at the elements of the document or array.
    Inside(Level),
}

/// A value that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Of any type of number; what follows the point is gone. Truth is 1.
    Number(i64),
    Text(&'a [u8]),
    Other,
}

/// Who is told of elements.
pub(super) trait Listener {
    /// An element begins, maybe the first of its document. It may be asked twice for the same one.
    fn wants(&mut self, level: Level, is_first: bool, key: &[u8]) -> Interest;
    /// The value that was wanted.
    fn hear(&mut self, level: Level, is_first: bool, key: &[u8], value: Value<'_>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    More,
    Invalid,
}

/// A document that is being looked into.
#[derive(Clone, Copy, Debug)]
struct Open {
    level: Level,
    /// Just after it, from the walk's beginning.
    end: u64,
    is_first: bool,
}

/// Where a walk through a document stands.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    root: Level,
    /// Bytes that are done with.
    at: u64,
    open: SmallVec<[Open; DEPTH_MAX]>,
}

impl Walk {
    pub(super) fn new(root: Level) -> Walk {
        Walk { root, at: 0, open: SmallVec::new() }
    }

    /// Goes on, with `left` bytes to the end of what the document is part of. Returns how many bytes
    /// are done with, which may be more than there are.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        left: u64,
        listener: &mut impl Listener,
    ) -> (u64, Progress) {
        let begun = self.at;
        if begun == 0 {
            match document_length(bytes) {
                Reading::Whole(length) if length <= left => {
                    self.open.push(Open { level: self.root, end: length, is_first: true });
                    self.at = LENGTH as u64;
                }
                Reading::More => return (0, Progress::More),
                _ => return (0, Progress::Invalid),
            }
        }
        loop {
            let taken = self.at - begun;
            if self.open.is_empty() {
                return (taken, Progress::Done);
            }
            let rest = usize::try_from(taken).ok().and_then(|taken| bytes.get(taken..));
            let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
                return (taken, Progress::More);
            };
            match self.element(rest, listener) {
                Reading::Whole(done) => self.at += done,
                Reading::More => return (taken, Progress::More),
                Reading::Invalid => return (taken, Progress::Invalid),
            }
        }
    }

    /// One element, or the end of a document. Returns how many bytes are done with.
    fn element(&mut self, bytes: &[u8], listener: &mut impl Listener) -> Reading<u64> {
        let depth = self.open.len();
        let (Some(open), Some(&kind)) = (self.open.last_mut(), bytes.first()) else {
            return Reading::Invalid;
        };
        let room = open.end.saturating_sub(self.at);
        if kind == 0 || room <= 1 {
            if kind != 0 || room != 1 {
                return Reading::Invalid;
            }
            self.open.pop();
            return Reading::Whole(1);
        }
        let key_and_rest = bytes.get(1..).unwrap_or_default();
        let searched = key_and_rest.get(..KEY_MAX + 1).unwrap_or(key_and_rest);
        let Some(key_length) = memchr::memchr(0, searched) else {
            return if searched.len() > KEY_MAX { Reading::Invalid } else { Reading::More };
        };
        let (key, value) = key_and_rest.split_at(key_length);
        let value = value.get(1..).unwrap_or_default();
        let head = key_length as u64 + 2;
        let size = match value_size(kind, value) {
            Reading::Whole(size) => size,
            other => return other,
        };
        if head + size >= room {
            return Reading::Invalid;
        }
        let (level, is_first) = (open.level, open.is_first);
        match listener.wants(level, is_first, key) {
            Interest::Inside(inner) if matches!(kind, DOCUMENT | ARRAY) && depth < DEPTH_MAX => {
                open.is_first = false;
                self.open.push(Open { level: inner, end: self.at + head + size, is_first: true });
                return Reading::Whole(head + LENGTH as u64);
            }
            Interest::Value if size <= VALUE_MAX => {
                let Some(value) = value.get(..size as usize) else { return Reading::More };
                listener.hear(level, is_first, key, read_value(kind, value));
            }
            _ => {}
        }
        open.is_first = false;
        Reading::Whole(head + size)
    }
}

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BOOLEAN: u8 = 0x08;
const SYMBOL: u8 = 0x0e;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;

/// Bytes of a value (BSON specification 1.1).
fn value_size(kind: u8, bytes: &[u8]) -> Reading<u64> {
    let fixed = match kind {
        DOUBLE | 0x09 | 0x11 | INT64 => 8,
        DOCUMENT | ARRAY => return document_length(bytes),
        // Code with a scope.
        0x0f => return length_and(bytes, 14, 0),
        STRING | 0x0d | SYMBOL => return length_and(bytes, 1, LENGTH as u64),
        // Binary: its length, its kind, itself.
        0x05 => return length_and(bytes, 0, LENGTH as u64 + 1),
        // A pointer: a string and an id.
        0x0c => return length_and(bytes, 1, LENGTH as u64 + 12),
        0x0b => return two_texts(bytes),
        0x06 | 0x0a | 0xff | 0x7f => 0,
        0x07 => 12,
        BOOLEAN => 1,
        INT32 => 4,
        0x13 => 16,
        _ => return Reading::Invalid,
    };
    Reading::Whole(fixed)
}

/// Bytes of the document in front.
pub(super) fn document_length(bytes: &[u8]) -> Reading<u64> {
    length_and(bytes, DOCUMENT_MIN, 0)
}

fn length_and(bytes: &[u8], at_least: i32, more: u64) -> Reading<u64> {
    let Some(length) = bytes.first_chunk() else { return Reading::More };
    let length = i32::from_le_bytes(*length);
    if length < at_least {
        return Reading::Invalid;
    }
    Reading::Whole(u64::from(length.unsigned_abs()) + more)
}

/// A regular expression: pattern and options, each up to a zero.
fn two_texts(bytes: &[u8]) -> Reading<u64> {
    let searched = bytes.get(..VALUE_MAX as usize).unwrap_or(bytes);
    match memchr::memchr_iter(0, searched).nth(1) {
        Some(end) => Reading::Whole(end as u64 + 1),
        None if searched.len() as u64 == VALUE_MAX => Reading::Invalid,
        None => Reading::More,
    }
}

fn read_value(kind: u8, bytes: &[u8]) -> Value<'_> {
    let number = match (kind, bytes) {
        (BOOLEAN, [value]) => Some(i64::from(*value != 0)),
        (INT32, bytes) => bytes.first_chunk().map(|bytes| i64::from(i32::from_le_bytes(*bytes))),
        (INT64, bytes) => bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)),
        (DOUBLE, bytes) => bytes.first_chunk().map(|bytes| f64::from_le_bytes(*bytes) as i64),
        (STRING | SYMBOL, bytes) => {
            let text = bytes.get(LENGTH..bytes.len().saturating_sub(1)).unwrap_or_default();
            return Value::Text(text);
        }
        _ => None,
    };
    number.map_or(Value::Other, Value::Number)
}
