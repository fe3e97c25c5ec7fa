//! What the client says.

use alaz_model::{Outcome, UnpairedReason};

use super::pair::{FetchSession, Request};
use super::parse::{self, Reading, RequestHead};
use super::schema::{FETCH, SASL_HANDSHAKE};
use super::walk::Walk;
use super::{Conversation, Place};
use crate::dialogue::{Context, Side};
use crate::stream::{Input, Step};

impl Conversation {
    /// While adrift: is this a request?
    pub(super) fn find_request(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Step {
        let reading = match input.is_fresh() {
            true => parse::is_request(input.bytes, input.cut),
            false => Reading::Invalid,
        };
        match reading {
            Reading::Whole(()) => {
                self.client.place = Place::Frame;
                Step::Again
            }
            Reading::More => Step::More,
            Reading::Invalid => {
                self.lose_course(Side::Client, self.reason, context);
                Step::Ignore
            }
        }
    }

    pub(super) fn read_request(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        if self.has_raw_frames {
            match parse::is_request(input.bytes, input.cut) {
                Reading::Whole(()) => {}
                Reading::More => return Some(Step::More),
                Reading::Invalid => return self.read_oddity(input, context),
            }
        }
        let head = match parse::request_head(input.bytes) {
            Reading::Whole(head) => head,
            Reading::More => return Some(Step::More),
            Reading::Invalid => return self.read_oddity(input, context),
        };
        if head.api.is_none() && !self.proven {
            return None;
        }
        self.has_raw_frames = false;
        self.begin_request(&head, input, context);
        if self.client.place == Place::Opaque {
            return Some(Step::Again);
        }
        self.client.place = Place::Inside;
        self.client.at = input.position.plus(head.size as u64);
        self.client.end = input.position.plus(head.length);
        self.client.walk =
            head.api.map(|api| Walk::new(api.request, head.version, api.is_flexible(head.version)));
        if head.length == head.size as u64 {
            self.frame_ends(Side::Client, input.origin(head.size - 1), context);
        }
        Some(Step::read(head.size))
    }

    /// No request: a token of who the client is, or nothing that Kafka says.
    fn read_oddity(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        if self.has_raw_frames
            && let Some(frame) = parse::raw_frame(input.bytes)
        {
            return Some(Step::Read { bytes: parse::LENGTH, then_pass: frame });
        }
        if !self.proven {
            return None;
        }
        self.lose_course(Side::Client, UnpairedReason::Gap, context);
        Some(Step::Ignore)
    }

    fn begin_request(
        &mut self,
        head: &RequestHead<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        self.repeats |= self.pending.iter().any(|other| other.correlation == head.correlation);
        if self.repeats && self.reason != UnpairedReason::Ambiguous {
            // Something was missing already.
            self.become_opaque(context);
            return;
        }
        self.asking = Some(Request::new(head, input));
    }

    pub(super) fn request_ends(&mut self, context: &mut Context<'_>) {
        let Some(mut request) = self.asking.take() else { return };
        request.found.settle(context.topics);
        if request.key == FETCH {
            FetchSession::complete(self.session.as_mut(), &mut request.found);
        }
        self.has_raw_frames = (request.key, request.version) == (SASL_HANDSHAKE, 0);
        if request.is_one_way() {
            request.report(None, Outcome::OneWay, context);
            return;
        }
        if self.pending.len() >= context.limits.pending {
            let is_stale = self.pending.front().is_some_and(|oldest| self.may_be_answered(oldest));
            if is_stale {
                let oldest = self.pending.pop_front();
                let is_new = oldest.is_some_and(|oldest| !oldest.reported);
                context.exchanges.give_up(self.reason, u64::from(is_new));
            } else {
                context.exchanges.give_up(UnpairedReason::TooManyPending, 1);
                self.untold += 1;
                return;
            }
        }
        self.pending.push_back(request);
    }
}
