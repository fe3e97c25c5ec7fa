//! One direction of one connection: bytes in order, and what is missing named.
//!
//! In: segments with their positions, in any order. Out: calls of a [`Reader`], which sees each byte
//! that was copied once and in order, is told of every hole, and says how to go on. What the reader
//! does not need (bodies) is passed over by its length alone, so that holes in bodies do no harm.

use std::collections::VecDeque;

use alaz_model::{Balance, LossReason, Position, Segment, UnpairedReason};

use crate::limits::Limits;

/// What a reader makes of the bytes in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes are part of a message, and so many after them, which may reach far beyond the
    /// input, are to be passed over unseen.
    Read { bytes: usize, then_pass: u64 },
    /// It takes more bytes to tell.
    More,
    /// The other direction must be read first.
    Wait,
    /// Nothing in this input is needed.
    Ignore,
    /// Something has changed: show the same bytes again.
    Again,
}

impl Step {
    /// So many bytes are part of a message.
    pub(crate) fn read(bytes: usize) -> Step {
        Step::Read { bytes, then_pass: 0 }
    }
}

/// When and by whom a byte was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// See [`Segment::started_ns`].
    pub(crate) started_ns: u64,
    /// See [`Segment::ended_ns`].
    pub(crate) ended_ns: u64,
    pub(crate) pid: u32,
}

impl Origin {
    /// Of a byte that was not seen itself, only passed over, nothing is known.
    pub(crate) fn is_known(&self) -> bool {
        *self != Origin::default()
    }

    /// When the byte was moved, but not before what it follows: a send whose bytes were only queued
    /// tells the time of an earlier transmission.
    pub(crate) fn moved_ns(&self, not_before_ns: u64) -> u64 {
        if self.started_ns >= not_before_ns { self.started_ns } else { self.ended_ns }
    }
}

/// Bytes in order, shown to a reader.
pub(crate) struct Input<'a> {
    /// Never empty.
    pub(crate) bytes: &'a [u8],
    pub(crate) position: Position,
    /// What follows these bytes will not be seen: [`Step::More`] gets nothing more.
    pub(crate) cut: bool,
    /// There is nothing left to wait for: [`Step::Wait`] is in vain.
    pub(crate) forced: bool,
    marks: &'a VecDeque<Mark>,
}

impl Input<'_> {
    /// Whether the input begins where a segment begins: people write messages in one go.
    pub(crate) fn is_fresh(&self) -> bool {
        self.marks.iter().rev().any(|mark| mark.start == self.position)
    }

    /// Where its byte `offset` comes from.
    pub(crate) fn origin(&self, offset: usize) -> Origin {
        origin_of(self.marks, self.position.plus(offset as u64))
    }
}

/// Who the stream shows its bytes to; see [`Dialogue`](crate::dialogue::Dialogue) for what each means.
pub(crate) trait Reader {
    fn read(&mut self, input: &Input<'_>) -> Step;
    fn passed(&mut self, end: Position, last: Origin);
    fn heard(&mut self, end: Position, last: Origin);
    fn can_miss(&mut self) -> bool;
    fn lost(&mut self, reason: UnpairedReason);
}

/// What all streams write to.
pub(crate) struct Books<'a> {
    pub(crate) balance: &'a mut Balance,
    pub(crate) held_total: &'a mut usize,
    pub(crate) limits: &'a Limits,
}

/// What became of a segment, the best that was made of any of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
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
    fate: Option<Fate>,
}

/// A segment, or what is left of one, that waits for its turn.
struct Held {
    position: Position,
    length: u32,
    head: Vec<u8>,
    tail: Vec<u8>,
    origin: Origin,
    /// Its mark is set already: part of it has been read.
    marked: bool,
}

/// A segment about to be shown.
struct Piece<'a> {
    position: Position,
    length: u32,
    head: &'a [u8],
    tail: &'a [u8],
    origin: Origin,
    marked: bool,
}

#[derive(Default)]
pub(crate) struct Stream {
    /// Where the next segment must begin.
    at: Option<Position>,
    /// The bytes just before `at` that no step has taken yet.
    buffer: Vec<u8>,
    /// So many bytes from `at` on are a body.
    pass: u64,
    /// The last step was [`Step::Ignore`].
    ignoring: bool,
    /// The last step was [`Step::Wait`]; what it was about is the first of `held`.
    stalled: bool,
    marks: VecDeque<Mark>,
    held: VecDeque<Held>,
    held_bytes: usize,
}

/// Segments held at once, whatever their size.
const HELD_MAX: usize = 1024;
/// A reader that never settles is not followed for longer.
const AGAIN_MAX: u32 = 8;

impl Stream {
    /// A stream whose next byte has this position, where that is known.
    pub(crate) fn from(at: Option<Position>) -> Stream {
        Stream { at, ..Stream::default() }
    }

    /// Takes a segment.
    pub(crate) fn segment(
        &mut self,
        segment: &Segment<'_>,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) {
        let at = *self.at.get_or_insert(segment.position);
        let ahead = segment.position.since(at);
        if ahead == 0 && self.held.is_empty() {
            self.deliver(&Piece::of(segment), false, reader, books);
        } else if ahead >= 0 {
            self.hold(segment, books);
            self.go_on(None, reader, books);
        } else {
            // It was given up, or is told a second time; past `at` it contradicts what was read.
            let contradicts = segment.end().since(at) > 0;
            let reason = if contradicts { LossReason::Ambiguous } else { LossReason::Late };
            lose_segment(books, reason, segment.length);
        }
    }

    /// The other direction has been read further: what waited for that may go on.
    pub(crate) fn resume(&mut self, reader: &mut impl Reader, books: &mut Books<'_>) {
        if self.stalled {
            self.go_on(None, reader, books);
        }
    }

    /// Nothing from before `watermark_ns` will come any more: what waited for it goes on without.
    pub(crate) fn advance(
        &mut self,
        watermark_ns: u64,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) {
        self.go_on(Some(watermark_ns), reader, books);
    }

    /// Nothing more will come at all. Bytes that are part of no message are counted.
    pub(crate) fn finish(&mut self, reader: &mut impl Reader, books: &mut Books<'_>) {
        self.go_on(Some(u64::MAX), reader, books);
        self.cut_buffer(reader, books);
        self.settle_marks(self.at, books);
    }

    /// Whether anything waits for a watermark.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    fn go_on(
        &mut self,
        watermark_ns: Option<u64>,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) {
        while let Some(first) = self.held.front() {
            let due = watermark_ns.is_some_and(|watermark_ns| {
                first.origin.ended_ns.saturating_add(books.limits.lateness_ns) <= watermark_ns
                    || watermark_ns == u64::MAX
            });
            let missing = self.at.map_or(0, |at| first.position.since(at));
            if missing > 0 {
                if !due {
                    break;
                }
                self.gap(missing as u64, reader, books);
            }
            let Some(held) = self.held.pop_front() else { break };
            self.held_bytes -= held.bytes();
            *books.held_total -= held.bytes();
            self.stalled = false;
            self.deliver(&held.piece(), due, reader, books);
            if self.stalled {
                break;
            }
        }
    }

    fn deliver(
        &mut self,
        piece: &Piece<'_>,
        forced: bool,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) {
        let end = piece.position.plus(u64::from(piece.length));
        if !piece.marked {
            let mark = Mark { start: piece.position, end, origin: piece.origin, fate: None };
            self.marks.push_back(mark);
        }
        self.ignoring = false;
        let copied = (piece.head.len() + piece.tail.len()) as u64;
        let hole = u64::from(piece.length).saturating_sub(copied);
        let rest = self.show(piece.head, hole > 0, forced, reader, books);
        if let Some(unread) = rest {
            self.stall(unread, piece, hole, books);
            return;
        }
        if hole > 0 {
            let reason = if copied == 0 { LossReason::Unreadable } else { LossReason::Truncated };
            self.hole(hole, reason, reader, books);
        }
        if let Some(unread) = self.show(piece.tail, false, forced, reader, books) {
            self.stall(unread, &Piece { head: &[], tail: &[], ..*piece }, 0, books);
            return;
        }
        let taken = end.minus(self.buffer.len() as u64);
        reader.heard(taken, piece.origin);
        self.settle_marks(Some(taken), books);
    }

    /// Shows bytes that follow those shown before. Returns those that have to wait.
    fn show(
        &mut self,
        bytes: &[u8],
        cut: bool,
        forced: bool,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) -> Option<Vec<u8>> {
        if bytes.is_empty() && (!cut || self.buffer.is_empty()) {
            return None;
        }
        let at = self.at.unwrap_or_default().plus(bytes.len() as u64);
        self.at = Some(at);
        let mut own = std::mem::take(&mut self.buffer);
        let mut left = if own.is_empty() {
            bytes
        } else {
            own.extend_from_slice(bytes);
            &own[..]
        };
        let mut again = 0;
        let mut waits = None;
        while !left.is_empty() {
            let position = at.minus(left.len() as u64);
            if self.pass > 0 {
                let taken = self.pass.min(left.len() as u64);
                self.pass -= taken;
                books.balance.bytes.counted += taken;
                left = &left[taken as usize..];
                self.mark(position, taken, Fate::Counted);
                self.tell_passed(position.plus(taken), reader);
                continue;
            }
            let cut = cut || left.len() >= books.limits.head_bytes;
            let input = Input { bytes: left, position, cut, forced, marks: &self.marks };
            match reader.read(&input) {
                Step::Read { bytes, then_pass } => {
                    let taken = bytes.min(left.len());
                    books.balance.bytes.parsed += taken as u64;
                    self.mark(position, taken as u64, Fate::Parsed);
                    left = &left[taken..];
                    self.pass = then_pass;
                    again = if taken == 0 && then_pass == 0 { again + 1 } else { 0 };
                }
                Step::Again => again += 1,
                Step::More if !cut => break,
                Step::Wait if !forced => {
                    waits = Some(left.to_vec());
                    break;
                }
                step @ (Step::More | Step::Wait) => {
                    if step == Step::More && reader.can_miss() {
                        self.count(position, left.len(), books);
                    } else {
                        let reason = LossReason::Truncated;
                        books.balance.bytes.lose(reason, left.len() as u64);
                        self.mark(position, left.len() as u64, Fate::Lost(reason));
                    }
                    left = &[];
                    reader.lost(UnpairedReason::Truncated);
                }
                Step::Ignore => {
                    self.count(position, left.len(), books);
                    left = &[];
                    self.ignoring = true;
                }
            }
            if again > AGAIN_MAX {
                self.count(position, left.len(), books);
                left = &[];
            }
        }
        if waits.is_none() && !left.is_empty() {
            if own.is_empty() {
                self.buffer.extend_from_slice(left);
            } else {
                let taken = own.len() - left.len();
                own.drain(..taken);
                self.buffer = own;
            }
        } else if self.buffer.capacity() == 0 && own.capacity() <= 4096 {
            // Kept for the next message that comes in parts.
            own.clear();
            self.buffer = own;
        }
        waits
    }

    /// Bytes of this segment that were not copied.
    fn hole(
        &mut self,
        length: u64,
        reason: LossReason,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) {
        let position = self.at.unwrap_or_default();
        self.at = Some(position.plus(length));
        let passed = self.pass.min(length);
        self.pass -= passed;
        if passed > 0 {
            self.tell_passed(position.plus(passed), reader);
        }
        let is_needed = passed < length && !self.ignoring;
        let counted = if is_needed && !reader.can_miss() { passed } else { length };
        books.balance.bytes.counted += counted;
        if counted > 0 {
            self.mark(position, counted, Fate::Counted);
        }
        if counted < length {
            books.balance.bytes.lose(reason, length - counted);
            self.mark(position.plus(counted), length - counted, Fate::Lost(reason));
        }
        if is_needed {
            reader.lost(UnpairedReason::Truncated);
        }
    }

    /// Bytes that were never told of. Who lost them has counted them.
    fn gap(&mut self, length: u64, reader: &mut impl Reader, books: &mut Books<'_>) {
        if self.pass >= length {
            self.pass -= length;
            self.at = self.at.map(|at| at.plus(length));
            if self.pass == 0 {
                reader.passed(self.at.unwrap_or_default(), Origin::default());
            }
            return;
        }
        self.cut_buffer(reader, books);
        self.pass = 0;
        self.at = self.at.map(|at| at.plus(length));
        reader.lost(UnpairedReason::Gap);
    }

    /// What is in the buffer will not be followed by anything.
    fn cut_buffer(&mut self, reader: &mut impl Reader, books: &mut Books<'_>) {
        if !self.buffer.is_empty() {
            let _ = self.show(&[], true, true, reader, books);
            self.settle_marks(self.at, books);
        }
    }

    fn tell_passed(&mut self, end: Position, reader: &mut impl Reader) {
        if self.pass == 0 {
            reader.passed(end, origin_of(&self.marks, end.minus(1)));
        }
    }

    fn count(&mut self, position: Position, bytes: usize, books: &mut Books<'_>) {
        books.balance.bytes.counted += bytes as u64;
        self.mark(position, bytes as u64, Fate::Counted);
    }

    /// Remembers what was made of a range.
    fn mark(&mut self, position: Position, length: u64, fate: Fate) {
        let end = position.plus(length);
        for mark in self.marks.iter_mut().rev() {
            if mark.end.since(position) <= 0 {
                break;
            }
            if mark.start.since(end) < 0 {
                mark.fate = match (mark.fate, fate) {
                    (Some(Fate::Parsed), _) | (_, Fate::Parsed) => Some(Fate::Parsed),
                    (Some(Fate::Lost(reason)), _) | (_, Fate::Lost(reason)) => {
                        Some(Fate::Lost(reason))
                    }
                    _ => Some(Fate::Counted),
                };
            }
        }
    }

    /// Books the segments all of whose bytes are taken.
    fn settle_marks(&mut self, taken: Option<Position>, books: &mut Books<'_>) {
        let Some(taken) = taken else { return };
        while let Some(mark) = self.marks.front() {
            if mark.end.since(taken) > 0 {
                break;
            }
            match mark.fate {
                Some(Fate::Parsed) => books.balance.segments.parsed += 1,
                Some(Fate::Lost(reason)) => books.balance.segments.lose(reason, 1),
                Some(Fate::Counted) | None => books.balance.segments.counted += 1,
            }
            self.marks.pop_front();
        }
    }

    fn hold(&mut self, segment: &Segment<'_>, books: &mut Books<'_>) {
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
                self.held_bytes -= held.bytes();
                *books.held_total -= held.bytes();
                lose_segment(books, LossReason::Ambiguous, held.length);
            }
            return;
        }
        let bytes = segment.copied();
        if self.held.len() >= HELD_MAX
            || self.held_bytes + bytes > books.limits.held_bytes
            || *books.held_total + bytes > books.limits.held_bytes_total
        {
            lose_segment(books, LossReason::BufferFull, segment.length);
            return;
        }
        self.held_bytes += bytes;
        *books.held_total += bytes;
        let piece = Piece::of(segment);
        self.held.insert(
            place,
            Held {
                position: piece.position,
                length: piece.length,
                head: piece.head.to_vec(),
                tail: piece.tail.to_vec(),
                origin: piece.origin,
                marked: false,
            },
        );
    }

    /// Keeps what is left of a piece, unread bytes first, until the other direction has been read.
    fn stall(&mut self, unread: Vec<u8>, piece: &Piece<'_>, hole: u64, books: &mut Books<'_>) {
        let position = self.at.unwrap_or_default().minus(unread.len() as u64);
        self.at = Some(position);
        self.stalled = true;
        let length = unread.len() as u64 + hole + piece.tail.len() as u64;
        let held = Held {
            position,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            head: unread,
            tail: piece.tail.to_vec(),
            origin: piece.origin,
            marked: true,
        };
        self.held_bytes += held.bytes();
        *books.held_total += held.bytes();
        self.held.push_front(held);
        self.settle_marks(Some(position), books);
    }

    /// Gives back what it holds, when the connection is dropped.
    pub(crate) fn release(&mut self, books: &mut Books<'_>) {
        *books.held_total -= self.held_bytes;
        self.held_bytes = 0;
    }
}

fn lose_segment(books: &mut Books<'_>, reason: LossReason, length: u32) {
    books.balance.segments.lose(reason, 1);
    books.balance.bytes.lose(reason, u64::from(length));
}

fn origin_of(marks: &VecDeque<Mark>, position: Position) -> Origin {
    marks
        .iter()
        .rev()
        .find(|mark| mark.start.since(position) <= 0)
        .or_else(|| marks.front())
        .map(|mark| mark.origin)
        .unwrap_or_default()
}

impl Piece<'_> {
    fn of<'a>(segment: &Segment<'a>) -> Piece<'a> {
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

    fn piece(&self) -> Piece<'_> {
        Piece {
            position: self.position,
            length: self.length,
            head: &self.head,
            tail: &self.tail,
            origin: self.origin,
            marked: self.marked,
        }
    }
}
