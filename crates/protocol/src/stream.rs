//! One direction of one connection: bytes in order, and what is missing named.
//!
//! In: segments with their positions, in any order. Out: calls of a [`Reader`], which sees each byte
//! that was copied once and in order, is told of every hole, and says how to go on. What the reader
//! does not need (bodies) is passed over by its length alone, so that holes in bodies do no harm.

mod held;
mod marks;
#[cfg(test)]
mod tests;

use alaz_model::{Balance, LossReason, Position, Segment, UnpairedReason};

use crate::limits::Limits;
use held::{Held, Piece, Queue};
use marks::{Fate, Marks};

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
    marks: &'a Marks,
}

impl Input<'_> {
    /// Whether the input begins where a segment begins: people write messages in one go.
    pub(crate) fn is_fresh(&self) -> bool {
        self.marks.begins(self.position)
    }

    /// Where its byte `offset` comes from.
    pub(crate) fn origin(&self, offset: usize) -> Origin {
        self.marks.origin(self.position.plus(offset as u64))
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
    /// Why nothing of a segment was copied, of those that are taken now.
    pub(crate) uncopied: LossReason,
}

#[derive(Default)]
pub(crate) struct Stream {
    /// Where the next segment must begin.
    at: Option<Position>,
    /// The bytes just before `at` that no step has taken yet.
    buffer: Vec<u8>,
    /// How many of them the reader has seen, and asked for more.
    shown: usize,
    /// Bytes that were shown in vain since the last that were taken.
    vain: usize,
    /// So many bytes from `at` on are a body.
    pass: u64,
    /// The last step was [`Step::Ignore`].
    ignoring: bool,
    /// The last step was [`Step::Wait`]; what it was about is the first of `held`.
    stalled: bool,
    marks: Marks,
    held: Queue,
    /// Bytes of `buffer` and `marks`, as they are charged to [`Books::held_total`].
    charged: usize,
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Behind this byte.
    At(Position),
    /// Behind the last that was seen, as far as anybody knows.
    Here,
    /// Nobody saw where.
    Unseen,
}

/// A reader that never settles is not followed for longer.
const AGAIN_MAX: u32 = 8;
/// So many bytes are shown in vain before the reader has to wait until they have become more by an
/// eighth, or time has passed: a head that comes in single bytes is not to cost its square.
const VAIN_MAX: usize = 256 << 10;
/// A larger buffer is not kept for the next message.
const KEPT_MAX: usize = 4096;

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
            self.deliver(&Piece::of(segment, books), false, reader, books);
        } else if ahead >= 0 {
            self.held.insert(segment, books);
            self.go_on(None, false, reader, books);
        } else {
            // It was given up, or is told a second time; past `at` it contradicts what was read.
            let contradicts = segment.end().since(at) > 0;
            let reason = if contradicts { LossReason::Ambiguous } else { LossReason::Late };
            lose_segment(books, reason, segment.length);
        }
        self.charge(books);
    }

    /// The other direction has been read further: what waited for that may go on.
    pub(crate) fn resume(&mut self, reader: &mut impl Reader, books: &mut Books<'_>) {
        if self.stalled {
            self.go_on(None, false, reader, books);
            self.charge(books);
        }
    }

    /// Nothing from before `watermark_ns` will come any more: what waited for it goes on without.
    /// What waits for the other direction goes on only with `force`, and then one piece of it. Returns
    /// whether anything was read.
    pub(crate) fn advance(
        &mut self,
        watermark_ns: u64,
        force: bool,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) -> bool {
        self.show_rest(reader, books);
        let has_moved = self.go_on(Some(watermark_ns), force, reader, books);
        self.charge(books);
        has_moved
    }

    /// The stream ends. Bytes that are part of no message are counted, and what is missing before
    /// the end is lost. Returns whether the end was seen.
    pub(crate) fn finish(
        &mut self,
        end: End,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) -> bool {
        let is_seen = match (end, self.at) {
            (End::Here, _) => true,
            (End::At(end), Some(at)) => {
                let missing = end.since(at);
                if missing > 0 {
                    self.gap(missing as u64, reader, books);
                }
                missing <= 0
            }
            (End::At(_), None) | (End::Unseen, _) => {
                self.cut_buffer(reader, books);
                self.pass = 0;
                reader.lost(UnpairedReason::Gap);
                false
            }
        };
        self.cut_buffer(reader, books);
        self.marks.settle(self.at, books);
        self.buffer = Vec::new();
        self.charge(books);
        is_seen
    }

    /// Whether anything waits for a watermark.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.held.is_empty() || self.buffer.len() > self.shown
    }

    /// When the first of what waits was moved; `u64::MAX` where nothing does.
    pub(crate) fn waits_since(&self) -> u64 {
        self.held.front().map_or(u64::MAX, |first| first.origin.ended_ns)
    }

    /// Whether everything up to this end has come.
    pub(crate) fn reaches(&self, end: Option<Position>) -> bool {
        let Some(end) = end else { return true };
        let reached = self.at.and_then(|at| self.held.reach(at));
        reached.is_some_and(|reached| end.since(reached) <= 0)
    }

    /// What was taken for a body is none.
    pub(crate) fn leave_body(&mut self) {
        self.pass = 0;
    }

    /// Reads what is held as far as it goes: over gaps and, with `force`, one piece that waits, where
    /// that is due. Returns whether anything was read.
    fn go_on(
        &mut self,
        watermark_ns: Option<u64>,
        force: bool,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) -> bool {
        let mut has_moved = false;
        while let Some(first) = self.held.front() {
            let is_due = watermark_ns.is_some_and(|watermark_ns| {
                first.origin.ended_ns.saturating_add(books.limits.lateness_ns) <= watermark_ns
                    || watermark_ns == u64::MAX
            });
            let missing = self.at.map_or(0, |at| first.position.since(at));
            if missing > 0 {
                if !is_due {
                    break;
                }
                self.gap(missing as u64, reader, books);
            }
            let Some(held) = self.held.pop_front(books) else { break };
            let is_forced = force && is_due;
            self.stalled = false;
            self.deliver(&held.piece(), is_forced, reader, books);
            has_moved |= !self.stalled || self.at != Some(held.position);
            if self.stalled || is_forced {
                break;
            }
        }
        has_moved
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
            self.marks.add(piece.position, end, piece.origin);
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
            let reason = if copied == 0 { piece.uncopied } else { LossReason::Truncated };
            self.hole(hole, reason, reader, books);
        }
        if let Some(unread) = self.show(piece.tail, false, forced, reader, books) {
            self.stall(unread, &Piece { head: &[], tail: &[], ..*piece }, 0, books);
            return;
        }
        let taken = end.minus(self.buffer.len() as u64);
        reader.heard(taken, piece.origin);
        self.marks.settle(Some(taken), books);
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
        self.at = Some(self.at.unwrap_or_default().plus(bytes.len() as u64));
        let length = self.buffer.len() + bytes.len();
        let is_little = length < self.shown + self.shown / 8 && length < books.limits.head_bytes;
        if self.vain > VAIN_MAX && is_little && !cut && !forced {
            self.buffer.extend_from_slice(bytes);
            return None;
        }
        self.show_all(bytes, cut, forced, reader, books)
    }

    /// Shows the buffer and what follows it.
    fn show_all(
        &mut self,
        bytes: &[u8],
        mut cut: bool,
        mut forced: bool,
        reader: &mut impl Reader,
        books: &mut Books<'_>,
    ) -> Option<Vec<u8>> {
        let at = self.at.unwrap_or_default();
        let mut own = std::mem::take(&mut self.buffer);
        let is_own = !own.is_empty();
        let mut left = if is_own {
            own.extend_from_slice(bytes);
            &own[..]
        } else {
            bytes
        };
        self.shown = 0;
        let (mut again, mut waits, mut is_full) = (0, None, false);
        while !left.is_empty() {
            let position = at.minus(left.len() as u64);
            if self.pass > 0 {
                let taken = self.pass.min(left.len() as u64);
                self.pass -= taken;
                books.balance.bytes.counted += taken;
                left = &left[taken as usize..];
                self.marks.note(position, taken, Fate::Counted);
                self.tell_passed(position.plus(taken), reader);
                continue;
            }
            cut |= left.len() >= books.limits.head_bytes;
            let input = Input { bytes: left, position, cut, forced, marks: &self.marks };
            let has_room = || self.has_room(own.capacity().max(left.len()), books);
            match reader.read(&input) {
                Step::Read { bytes, then_pass } => {
                    let taken = bytes.min(left.len());
                    books.balance.bytes.parsed += taken as u64;
                    self.marks.note(position, taken as u64, Fate::Parsed);
                    left = &left[taken..];
                    self.pass = then_pass;
                    again = if taken == 0 && then_pass == 0 { again + 1 } else { 0 };
                    self.vain = if taken == 0 { self.vain } else { 0 };
                }
                Step::Again => again += 1,
                Step::More if !cut && has_room() => {
                    self.vain += left.len();
                    self.shown = left.len();
                    break;
                }
                Step::Wait if !forced && has_room() => {
                    waits = Some(left.to_vec());
                    break;
                }
                // What cannot be kept gets nothing more.
                Step::More if !cut => (cut, is_full) = (true, true),
                Step::Wait if !forced => (forced, is_full) = (true, true),
                step @ (Step::More | Step::Wait) => {
                    if step == Step::More && reader.can_miss() {
                        self.count(position, left.len(), books);
                    } else {
                        let reason = match is_full {
                            true => LossReason::BufferFull,
                            false => LossReason::Truncated,
                        };
                        books.balance.bytes.lose(reason, left.len() as u64);
                        self.marks.note(position, left.len() as u64, Fate::Lost(reason));
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
        if waits.is_some() || left.is_empty() {
            self.vain = 0;
            own.clear();
        } else if is_own {
            let taken = own.len() - left.len();
            own.drain(..taken);
        } else {
            own.extend_from_slice(&bytes[bytes.len() - left.len()..]);
        }
        // An empty one is kept for the next message that comes in parts.
        let may_keep = *books.held_total < books.limits.held_bytes_total / 2;
        if !own.is_empty() || own.capacity() <= KEPT_MAX && may_keep {
            self.buffer = own;
        }
        waits
    }

    /// Shows what was not shown yet because it was only a little more.
    fn show_rest(&mut self, reader: &mut impl Reader, books: &mut Books<'_>) {
        if self.buffer.len() <= self.shown {
            return;
        }
        let origin = self.marks.newest();
        let at = self.at.unwrap_or_default();
        if let Some(unread) = self.show_all(&[], false, false, reader, books) {
            let rest = Piece {
                position: at,
                length: 0,
                head: &[],
                tail: &[],
                origin,
                marked: true,
                uncopied: books.uncopied,
            };
            self.stall(unread, &rest, 0, books);
            return;
        }
        let taken = at.minus(self.buffer.len() as u64);
        reader.heard(taken, origin);
        self.marks.settle(Some(taken), books);
    }

    /// Whether this stream may keep so many bytes.
    fn has_room(&self, bytes: usize, books: &Books<'_>) -> bool {
        let others = books.held_total.saturating_sub(self.charged);
        others + bytes <= books.limits.held_bytes_total
    }

    /// Charges what is kept now, in place of what was kept before.
    fn charge(&mut self, books: &mut Books<'_>) {
        let bytes = self.buffer.capacity() + self.marks.bytes();
        *books.held_total = books.held_total.saturating_sub(self.charged) + bytes;
        self.charged = bytes;
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
            self.marks.note(position, counted, Fate::Counted);
        }
        if counted < length {
            books.balance.bytes.lose(reason, length - counted);
            self.marks.note(position.plus(counted), length - counted, Fate::Lost(reason));
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
            self.marks.settle(self.at, books);
        }
    }

    fn tell_passed(&mut self, end: Position, reader: &mut impl Reader) {
        if self.pass == 0 {
            reader.passed(end, self.marks.origin(end.minus(1)));
        }
    }

    fn count(&mut self, position: Position, bytes: usize, books: &mut Books<'_>) {
        books.balance.bytes.counted += bytes as u64;
        self.marks.note(position, bytes as u64, Fate::Counted);
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
            uncopied: piece.uncopied,
        };
        self.held.push_front(held, books);
        self.marks.settle(Some(position), books);
    }
}

fn lose_segment(books: &mut Books<'_>, reason: LossReason, length: u32) {
    books.balance.segments.lose(reason, 1);
    books.balance.bytes.lose(reason, u64::from(length));
}
