//! Which segments the bytes in front come from, and what was made of each.

use std::collections::VecDeque;

use alaz_model::{LossReason, Position};

use super::{Books, Origin};

/// What became of a segment, the best that was made of any of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost(LossReason),
    Counted,
    Parsed,
}

/// A segment whose bytes are not all taken yet.
#[derive(Clone, Copy, Debug)]
struct Mark {
    start: Position,
    end: Position,
    origin: Origin,
    /// More than one, where there were too many to tell apart.
    segments: u32,
    fate: Option<Fate>,
}

/// Segments that are told apart at once; of more, neighbours count as one.
pub(super) const MARKS_MAX: usize = 512;
/// As many as a stream has anyway are not charged to anybody.
const FREE: usize = 8;

/// The segments whose bytes are not all taken yet, in order.
#[derive(Default)]
pub(super) struct Marks {
    marks: VecDeque<Mark>,
}

impl Marks {
    #[inline]
    pub(super) fn add(&mut self, start: Position, end: Position, origin: Origin) {
        if self.marks.len() >= MARKS_MAX {
            self.halve();
        }
        self.marks.push_back(Mark { start, end, origin, segments: 1, fate: None });
    }

    /// Makes one of every two, but for the newest.
    #[cold]
    fn halve(&mut self) {
        let newest = self.marks.pop_back();
        let mut old = std::mem::take(&mut self.marks).into_iter();
        while let Some(mut mark) = old.next() {
            if let Some(next) = old.next() {
                mark.end = next.end;
                mark.origin.ended_ns = next.origin.ended_ns;
                mark.segments = mark.segments.saturating_add(next.segments);
                mark.fate = match next.fate {
                    Some(fate) => Some(better(mark.fate, fate)),
                    None => mark.fate,
                };
            }
            self.marks.push_back(mark);
        }
        self.marks.extend(newest);
    }

    /// Memory that they take beyond what every stream has.
    pub(super) fn bytes(&self) -> usize {
        self.marks.len().saturating_sub(FREE) * size_of::<Mark>()
    }

    /// Remembers what was made of a range.
    #[inline]
    pub(super) fn note(&mut self, position: Position, length: u64, fate: Fate) {
        let end = position.plus(length);
        for mark in self.marks.iter_mut().rev() {
            if mark.end.since(position) <= 0 {
                break;
            }
            if mark.start.since(end) < 0 {
                mark.fate = Some(better(mark.fate, fate));
            }
        }
    }

    /// Books the segments all of whose bytes are taken.
    #[inline]
    pub(super) fn settle(&mut self, taken: Option<Position>, books: &mut Books<'_>) {
        let Some(taken) = taken else { return };
        while let Some(mark) = self.marks.front() {
            if mark.end.since(taken) > 0 {
                break;
            }
            let segments = u64::from(mark.segments);
            match mark.fate {
                Some(Fate::Parsed) => books.balance.segments.parsed += segments,
                Some(Fate::Lost(reason)) => books.balance.segments.lose(reason, segments),
                Some(Fate::Counted) | None => books.balance.segments.counted += segments,
            }
            self.marks.pop_front();
        }
        if self.marks.is_empty() && self.marks.capacity() > 4 * FREE {
            self.marks = VecDeque::new();
        }
    }

    /// Whether a segment begins here.
    pub(super) fn begins(&self, position: Position) -> bool {
        self.marks.iter().rev().any(|mark| mark.start == position)
    }

    /// Where a byte comes from.
    pub(super) fn origin(&self, position: Position) -> Origin {
        self.marks
            .iter()
            .rev()
            .find(|mark| mark.start.since(position) <= 0)
            .or_else(|| self.marks.front())
            .map(|mark| mark.origin)
            .unwrap_or_default()
    }

    /// Where the newest bytes come from.
    pub(super) fn newest(&self) -> Origin {
        self.marks.back().map(|mark| mark.origin).unwrap_or_default()
    }
}

fn better(one: Option<Fate>, other: Fate) -> Fate {
    match (one, other) {
        (Some(Fate::Parsed), _) | (_, Fate::Parsed) => Fate::Parsed,
        (Some(Fate::Lost(reason)), _) | (_, Fate::Lost(reason)) => Fate::Lost(reason),
        _ => Fate::Counted,
    }
}
