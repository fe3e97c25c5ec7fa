//! What can still be told where part of a reply was not seen.
//!
//! A client waits for the end of a reply before it sends the next command. So the reply to the only
//! open command ends with the last byte before that, however much of it is missing.

use alaz_model::{Outcome, UnpairedReason};

use super::parse::{self, Ended};
use super::{Conversation, Place};
use crate::dialogue::Context;
use crate::stream::{Input, Step};

impl Conversation {
    /// Whether the end of what is open will be found all the same.
    pub(super) fn can_miss_responses(&self) -> bool {
        let is_alone = self.queue.len() == 1 && !self.pipelines && !self.sends_file;
        is_alone && self.adrift.is_none() && (self.is_framed || self.missing.is_some())
    }

    /// The client waits for the answer to a file, and its contents are not needed.
    pub(super) fn can_miss_requests(&self) -> bool {
        self.sends_file && self.queue.len() == 1
    }

    pub(super) fn lose_requests(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        self.requests = Place::Adrift;
        if self.can_miss_requests() {
            self.file_unseen = true;
        } else {
            self.lose_course(reason, context);
        }
    }

    pub(super) fn lose_responses(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        if !self.can_miss_responses() {
            self.lose_course(reason, context);
            return;
        }
        if self.missing != Some(UnpairedReason::Gap) {
            self.missing = Some(reason);
        }
        (self.is_framed, self.tail_is_due, self.ends_here) = (false, true, false);
    }

    /// Looks at how a segment ends, of the reply of which something is missing.
    pub(super) fn read_blind(&mut self, input: &Input<'_>) -> Step {
        self.tail_is_due = input.cut;
        let ended = if input.cut { None } else { parse::ended(input.bytes) };
        self.ends_here = ended.is_some();
        match (ended, self.queue.front_mut()) {
            (Some(Ended::Failed(failure)), Some(front)) => front.fail(failure),
            (None, _) => return Step::Ignore,
            _ => {}
        }
        Step::read(input.bytes.len())
    }

    /// The client goes on at this time, so what was open before has been answered.
    pub(super) fn go_on(&mut self, at_ns: u64, context: &mut Context<'_>) {
        if self.missing.is_some() && at_ns > self.heard.1.ended_ns {
            self.conclude(context);
        }
    }

    /// Time has passed. Where only the middle of segments is missing, no other end can be.
    pub(super) fn conclude_before(&mut self, horizon_ns: u64, context: &mut Context<'_>) {
        if self.missing == Some(UnpairedReason::Truncated)
            && self.ends_here
            && self.heard.1.ended_ns <= horizon_ns
        {
            self.conclude(context);
        }
    }

    fn conclude(&mut self, context: &mut Context<'_>) {
        let Some(reason) = self.missing.take() else { return };
        if self.queue.len() != 1 {
            self.lose_course(reason, context);
            return;
        }
        let has_begun = self.queue.front().is_some_and(|front| front.reply.is_some());
        let is_whole = has_begun && self.ends_here;
        let outcome = if is_whole { Outcome::Complete } else { Outcome::Partial };
        self.finish(outcome, self.heard, context);
        (self.is_framed, self.is_continued, self.ends_here) = (true, false, false);
    }
}
