//! What a stream keeps, and how much of it a reader has to look at.

use alaz_model::{ConnectionKey, Direction, Source};

use super::*;

/// Takes messages of one length, and counts what it is shown.
struct Messages {
    length: usize,
    shown: usize,
    read: usize,
}

impl Messages {
    fn of(length: usize) -> Messages {
        Messages { length, shown: 0, read: 0 }
    }
}

impl Reader for Messages {
    fn read(&mut self, input: &Input<'_>) -> Step {
        self.shown += input.bytes.len();
        if input.bytes.len() < self.length {
            return Step::More;
        }
        self.read += 1;
        Step::read(self.length)
    }

    fn passed(&mut self, _: Position, _: Origin) {}
    fn heard(&mut self, _: Position, _: Origin) {}
    fn can_miss(&mut self) -> bool {
        false
    }
    fn lost(&mut self, _: UnpairedReason) {}
}

struct Desk {
    balance: Balance,
    held_total: usize,
    limits: Limits,
}

impl Desk {
    fn new() -> Desk {
        Desk { balance: Balance::default(), held_total: 0, limits: Limits::default() }
    }

    fn books(&mut self) -> Books<'_> {
        Books {
            balance: &mut self.balance,
            held_total: &mut self.held_total,
            limits: &self.limits,
            uncopied: LossReason::Unreadable,
        }
    }
}

/// One byte, the one at this place of the stream.
fn byte(at: u64) -> Segment<'static> {
    Segment {
        key: ConnectionKey { socket: 1, generation: 1 },
        direction: Direction::Send,
        position: Position(at),
        length: 1,
        head: b"x",
        tail: &[],
        started_ns: at,
        ended_ns: at,
        pid: 7,
        tid: 7,
        source: Source::Socket,
    }
}

#[test]
fn a_head_in_single_bytes_does_not_cost_its_square() {
    let (mut desk, mut reader) = (Desk::new(), Messages::of(60_000));
    let mut stream = Stream::from(Some(Position(0)));
    for at in 0..60_000 {
        stream.segment(&byte(at), &mut reader, &mut desk.books());
    }
    // Eager at first, then at each growth by an eighth.
    assert!(reader.shown < VAIN_MAX + 10 * 60_000, "{}", reader.shown);
    assert!(stream.marks.bytes() < 64 * marks::MARKS_MAX);
    assert!(desk.held_total >= stream.buffer.len(), "{}", desk.held_total);
    // Time passes, and what has become whole is read.
    assert!(stream.is_waiting());
    stream.advance(60_000, false, &mut reader, &mut desk.books());
    assert_eq!((reader.read, stream.is_waiting()), (1, false));
    assert!(stream.finish(End::Here, &mut reader, &mut desk.books()));
    assert_eq!((desk.balance.segments.parsed, desk.balance.bytes.parsed), (60_000, 60_000));
    assert_eq!(desk.held_total, 0);
}

#[test]
fn a_short_message_is_read_with_its_last_byte() {
    let (mut desk, mut reader) = (Desk::new(), Messages::of(700));
    let mut stream = Stream::from(Some(Position(0)));
    for at in 0..7_000 {
        stream.segment(&byte(at), &mut reader, &mut desk.books());
        assert_eq!(reader.read as u64, (at + 1) / 700);
    }
}

#[test]
fn the_end_tells_what_is_missing() {
    for (end, is_seen) in [
        (End::At(Position(3)), true),
        (End::At(Position(2)), true),
        (End::Here, true),
        (End::At(Position(4)), false),
        (End::Unseen, false),
    ] {
        let (mut desk, mut reader) = (Desk::new(), Messages::of(1));
        let mut stream = Stream::from(Some(Position(0)));
        for at in 0..3 {
            stream.segment(&byte(at), &mut reader, &mut desk.books());
        }
        assert!(stream.reaches(Some(Position(3))) && !stream.reaches(Some(Position(4))));
        assert_eq!(stream.finish(end, &mut reader, &mut desk.books()), is_seen, "{end:?}");
    }
    // Where it began was not told of either.
    let (mut desk, mut reader) = (Desk::new(), Messages::of(1));
    let mut stream = Stream::from(None);
    assert!(!stream.finish(End::At(Position(4)), &mut reader, &mut desk.books()));
}
