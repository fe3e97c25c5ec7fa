//! Segments that wait for their turn: out of order, or until the other direction has been read.

use std::collections::VecDeque;

use alaz_model::{LossReason, Position, Segment};

use super::{Books, Origin, lose_segment};

/// A segment, or what is left of one, that waits for its turn.
pub(super) struct Held {
    pub(super) position: Position,
    pub(super) length: u32,
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) origin: Origin,
    /// Its mark is set already: part of it has been read.
    pub(super) marked: bool,
    /// Why nothing of it was copied, if nothing was.
    pub(super) uncopied: LossReason,
}

/// A segment about to be shown.
pub(super) struct Piece<'a> {
    pub(super) position: Position,
    pub(super) length: u32,
    pub(super) head: &'a [u8],
    pub(super) tail: &'a [u8],
    pub(super) origin: Origin,
    pub(super) marked: bool,
    pub(super) uncopied: LossReason,
}

/// Segments held at once, whatever their size.
const HELD_MAX: usize = 1024;

/// What one stream holds, in order.
#[derive(Default)]
pub(super) struct Queue {
    held: VecDeque<Held>,
    bytes: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Held> {
        self.held.front()
    }

    /// How far the stream reaches from here without a gap; `None` where there is one.
    pub(super) fn reach(&self, at: Position) -> Option<Position> {
        self.held.iter().try_fold(at, |at, held| {
            let is_next = held.position.since(at) <= 0;
            is_next.then(|| held.end())
        })
    }

    pub(super) fn pop_front(&mut self, books: &mut Books<'_>) -> Option<Held> {
        let held = self.held.pop_front()?;
        self.give_back(held.bytes(), books);
        Some(held)
    }

    pub(super) fn push_front(&mut self, held: Held, books: &mut Books<'_>) {
        self.bytes += held.bytes();
        *books.held_total += held.bytes();
        self.held.push_front(held);
    }

    /// Takes a segment whose turn has not come.
    pub(super) fn insert(&mut self, segment: &Segment<'_>, books: &mut Books<'_>) {
        let place = self.held.partition_point(|held| held.position.since(segment.position) < 0);
        let overlaps = |held: &Held| {
            held.position.since(segment.end()) < 0 && segment.position.since(held.end()) < 0
        };
        // Two threads that write at once cannot be told apart: neither is believed.
        if let Some(index) = [place.wrapping_sub(1), place]
            .into_iter()
            .find(|&index| self.held.get(index).is_some_and(overlaps))
        {
            lose_segment(books, LossReason::Ambiguous, segment.length);
            if self.held.get(index).is_some_and(|held| !held.marked)
                && let Some(held) = self.held.remove(index)
            {
                self.give_back(held.bytes(), books);
                lose_segment(books, LossReason::Ambiguous, held.length);
            }
            return;
        }
        let bytes = segment.copied();
        if self.held.len() >= HELD_MAX
            || self.bytes + bytes > books.limits.held_bytes
            || *books.held_total + bytes > books.limits.held_bytes_total
        {
            lose_segment(books, LossReason::BufferFull, segment.length);
            return;
        }
        self.bytes += bytes;
        *books.held_total += bytes;
        let piece = Piece::of(segment, books);
        self.held.insert(
            place,
            Held {
                position: piece.position,
                length: piece.length,
                head: piece.head.to_vec(),
                tail: piece.tail.to_vec(),
                origin: piece.origin,
                marked: false,
                uncopied: piece.uncopied,
            },
        );
    }

    fn give_back(&mut self, bytes: usize, books: &mut Books<'_>) {
        self.bytes -= bytes;
        *books.held_total -= bytes;
    }
}

impl Piece<'_> {
    pub(super) fn of<'a>(segment: &Segment<'a>, books: &Books<'_>) -> Piece<'a> {
        Piece {
            position: segment.position,
            length: segment.length,
            head: segment.head,
            tail: segment.tail,
            origin: Origin {
                started_ns: segment.started_ns,
                ended_ns: segment.ended_ns,
                pid: segment.pid,
            },
            marked: false,
            uncopied: books.uncopied,
        }
    }
}

impl Held {
    fn end(&self) -> Position {
        self.position.plus(u64::from(self.length))
    }

    fn bytes(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    pub(super) fn piece(&self) -> Piece<'_> {
        Piece {
            position: self.position,
            length: self.length,
            head: &self.head,
            tail: &self.tail,
            origin: self.origin,
            marked: self.marked,
            uncopied: self.uncopied,
        }
    }
}
