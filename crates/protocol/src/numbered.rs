//! For protocols whose responses name their request by number: what was lost, and
//! what becomes of requests that got no response.

use alaz_model::{CloseReason, Outcome, UnpairedReason};

use crate::dialogue::{Context, Ending};
use crate::stream::Origin;

/// What may not have been seen of one direction.
pub(crate) struct Losses {
    /// Why something was lost since the message that is being read began, and maybe after it.
    pub(crate) torn: Option<UnpairedReason>,
    /// Something was lost in the segment that is being read.
    pub(crate) is_losing: bool,
    /// What was said until then may be answered by what was lost.
    lost_to_ns: u64,
}

impl Losses {
    /// What was said up to this time is not read, and may be anything.
    pub(crate) fn before(lost_to_ns: u64) -> Losses {
        Losses { torn: None, is_losing: false, lost_to_ns }
    }

    /// All that was said up to `last` was taken; not `is_understood` where nobody knows what it was.
    pub(crate) fn heard(&mut self, last: Origin, is_understood: bool) {
        if std::mem::take(&mut self.is_losing) || !is_understood {
            self.lost_to_ns = last.ended_ns;
        }
    }

    /// This came from a message that cannot be placed.
    pub(crate) fn pass_by(&mut self, origin: Origin) {
        self.lost_to_ns = self.lost_to_ns.max(origin.ended_ns);
    }

    /// Whether the answer to what was asked at this time may be among what was lost.
    pub(crate) fn may_answer(&self, started_ns: u64) -> bool {
        self.is_losing || self.torn.is_some() || started_ns <= self.lost_to_ns
    }
}

/// A request that waits for its response.
pub(crate) trait Numbered {
    fn started_ns(&self) -> u64;
    /// Told of, or given up, before its response came.
    fn is_reported(&self) -> bool;
    fn set_reported(&mut self);
    fn report_unanswered(&self, outcome: Outcome, context: &mut Context<'_>);
}

/// A request that waits for longer than anybody would is told of, or given up where it may have been
/// answered; its response, should it come, is not told.
pub(crate) fn end_silent<'a, A: Numbered + 'a>(
    pending: impl Iterator<Item = &'a mut A>,
    watermark_ns: u64,
    may_be_answered: impl Fn(&A) -> bool,
    reason: UnpairedReason,
    context: &mut Context<'_>,
) {
    let silence_ns = context.limits.silence_ns;
    for request in pending {
        let waited_ns = watermark_ns.saturating_sub(request.started_ns());
        if request.is_reported() || waited_ns <= silence_ns {
            continue;
        }
        if may_be_answered(request) {
            context.exchanges.give_up(reason, 1);
        } else {
            request.report_unanswered(Outcome::NoResponse, context);
        }
        request.set_reported();
    }
}

/// The connection has ended, and these got no response.
pub(crate) fn end_all<A: Numbered>(
    pending: impl Iterator<Item = A>,
    ending: Ending,
    may_be_answered: impl Fn(&A) -> bool,
    reason: UnpairedReason,
    context: &mut Context<'_>,
) {
    let outcome = match ending.reason {
        CloseReason::Reset => Outcome::Reset,
        _ => Outcome::NoResponse,
    };
    for request in pending {
        if ending.is_answer_seen && !may_be_answered(&request) {
            request.report_unanswered(outcome, context);
        } else if !request.is_reported() {
            context.exchanges.give_up(reason, 1);
        }
    }
}
