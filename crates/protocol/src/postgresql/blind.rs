//! What can still be told where messages were not seen.
//!
//! The server ends each cycle (a simple query, or everything up to a Sync) with ReadyForQuery, and
//! hands that on at once. So where exactly one cycle is open, a segment of the server's that ends
//! with ReadyForQuery ends that cycle, however much is missing before: large results are copied only
//! in part, and their rows are not needed. It is told when the client has gone on, which shows that
//! no other request was overlooked. In the same way the data of a COPY may be missing, since
//! the client says nothing else before the server has ended it.

use super::pair::{Asked, Awaited};
use super::parse::{self, Ended};
use super::{Conversation, Course, Place};
use crate::dialogue::Context;
use crate::stream::{Input, Origin, Step};
use alaz_model::{Outcome, Position, UnpairedReason};

/// What looks like the end of the only open cycle.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    /// Just after the last byte of the reply.
    end: Position,
    last: Origin,
    /// Whether it failed is known.
    is_known: bool,
}

impl Conversation {
    /// Cycles that were begun by then and are open.
    fn open_cycles(&self, until_ns: u64) -> usize {
        let begun = self.queue.iter().take_while(|asked| asked.begin.started_ns <= until_ns);
        let mut cycles = 0;
        let mut is_open = false;
        for asked in begun {
            is_open = !asked.ends_cycle();
            cycles += usize::from(!is_open);
        }
        cycles + usize::from(is_open)
    }

    /// Whether the end of what is open will be found all the same.
    pub(super) fn can_miss_responses(&self) -> bool {
        let is_on_course = !matches!(self.course, Course::Adrift(_)) && !self.copies_unseen;
        let is_placed = self.is_framed || self.missing.is_some();
        is_on_course && is_placed && self.open_cycles(u64::MAX) == 1
    }

    /// What the client says while it copies is not needed.
    pub(super) fn can_miss_requests(&self) -> bool {
        self.copies_in && self.missing.is_none() && self.open_cycles(u64::MAX) <= 1
    }

    /// Some of what the server said is missing.
    pub(super) fn lose_responses(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        if !self.can_miss_responses() {
            self.lose_course(reason, context);
            return;
        }
        self.is_framed = false;
        if self.missing != Some(UnpairedReason::Gap) {
            self.missing = Some(reason);
        }
        self.tail_is_due = true;
        // It was not the end.
        self.ready = None;
    }

    /// Some of what the client said is missing.
    pub(super) fn lose_requests(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        self.requests = Place::Adrift;
        self.cycle_ended = true;
        if self.can_miss_requests() {
            self.copies_unseen = true;
        } else {
            self.forget_names();
            self.lose_course(reason, context);
        }
    }

    /// Looks for the end of the only open cycle, of whose answer something is missing.
    pub(super) fn read_blind(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Step {
        self.tail_is_due = input.cut;
        if self.ready.is_some() {
            // The client has gone on, or the end was not the end.
            if !input.forced {
                return Step::Wait;
            }
            self.lose_course(UnpairedReason::Gap, context);
            return Step::Ignore;
        }
        let last = input.origin(input.bytes.len().saturating_sub(1));
        let ended = if input.cut { None } else { parse::ended(input.bytes) };
        let Some(ended) = ended else { return Step::Ignore };
        let is_simple = self.queue.front().is_some_and(Asked::ends_cycle);
        let (bytes_after, is_known) = match ended {
            Ended::Complete { bytes_after } => (bytes_after, true),
            Ended::Failed { code, bytes_after } => {
                self.note_error(code);
                (bytes_after, true)
            }
            Ended::Unknown => (0, false),
        };
        let bytes_after = if is_simple { 0 } else { bytes_after };
        let end = input.position.plus((input.bytes.len() - bytes_after) as u64);
        self.ready = Some(Ready { end, last, is_known });
        Step::read(input.bytes.len())
    }

    /// The client goes on at this time, so what ended before has ended.
    pub(super) fn go_on(&mut self, at_ns: u64, context: &mut Context<'_>) {
        if self.ready.is_some_and(|ready| at_ns > ready.last.ended_ns) {
            self.conclude(context);
        }
    }

    /// Time has passed. Where only the middle of segments is missing, no other end can be.
    pub(super) fn conclude_before(&mut self, horizon_ns: u64, context: &mut Context<'_>) {
        if self.missing == Some(UnpairedReason::Truncated)
            && self.ready.is_some_and(|ready| ready.last.ended_ns <= horizon_ns)
        {
            self.conclude(context);
        }
    }

    fn conclude(&mut self, context: &mut Context<'_>) {
        let (Some(ready), Some(reason)) = (self.ready.take(), self.missing.take()) else { return };
        if self.open_cycles(ready.last.ended_ns) != 1 {
            self.lose_course(reason, context);
            return;
        }
        let left = self.queue.iter().take_while(|asked| !asked.ends_cycle());
        let left = left.filter(|asked| asked.is_exchange()).count();
        let is_front = self.queue.front().is_some_and(Asked::is_exchange);
        let is_simple = self.queue.front().is_some_and(Asked::ends_cycle);
        if is_front && (is_simple || left == 1) {
            let has_begun = self.reply.is_some_and(|reply| {
                self.queue.front().is_some_and(|front| front.begin.position == reply.to)
            });
            let is_whole = has_begun && ready.is_known;
            let outcome = if is_whole { Outcome::Complete } else { Outcome::Partial };
            if !self.tell_front(outcome, (ready.end, ready.last), context) {
                self.lose_course(reason, context);
                return;
            }
            self.confirm_front();
            if !is_simple {
                self.end_cycle();
            }
        } else {
            context.exchanges.give_up(reason, left as u64);
            self.end_cycle();
        }
        self.reply = None;
        self.is_framed = true;
        self.be_ready(&ready.last, context);
    }

    /// Takes the rest of a cycle off the queue.
    fn end_cycle(&mut self) {
        while let Some(asked) = self.queue.pop_front() {
            self.doubt(&asked.awaited);
            if asked.ends_cycle() {
                break;
            }
        }
    }
}

impl Asked {
    /// Whether the server ends its answer with ReadyForQuery.
    fn ends_cycle(&self) -> bool {
        matches!(
            self.awaited,
            Awaited::Query(_) | Awaited::FunctionCall | Awaited::Sync | Awaited::Startup
        )
    }
}
