//! What the client says.

use alaz_model::{Outcome, UnpairedReason};

use super::bson::{Level, Progress};
use super::pair::Request;
use super::parse::{self, Contents, Kind, Reading};
use super::{Conversation, Place, is_enough};
use crate::dialogue::{Context, Side};
use crate::stream::{Input, Step};

impl Conversation {
    /// While adrift: is this a request?
    pub(super) fn find_request(&mut self, input: &Input<'_>) -> Step {
        let reading = match input.is_fresh() {
            true => parse::said_by(input.bytes, input.cut),
            false => Reading::Invalid,
        };
        match reading {
            Reading::Whole(Side::Client) => {
                self.client.place = Place::Message;
                Step::Again
            }
            Reading::More => Step::More,
            Reading::Whole(Side::Server) | Reading::Invalid => {
                self.lose_course(Side::Client, self.reason);
                Step::Ignore
            }
        }
    }

    pub(super) fn read_request(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        let head = match parse::head(input.bytes) {
            Reading::Whole(head) => head,
            Reading::More => return Some(Step::More),
            Reading::Invalid => return self.wrong(Side::Client),
        };
        let mut request = Request::new(&head, input);
        let contents = match head.kind {
            Kind::Compressed(_) if !is_enough(&head, input) => return Some(Step::More),
            Kind::Compressed(how) => {
                let body = parse::body(&head, input.bytes);
                request.take_expanded(how.expand(&head, body).as_deref());
                Contents::Nothing
            }
            kind => {
                request.take_kind(&kind);
                Contents::of(&kind, Level::Command)
            }
        };
        self.asking = Some(request);
        self.enter(Side::Client, &head, contents, input.position);
        if head.length == head.size as u64 {
            self.message_ends(Side::Client, input.origin(head.size - 1), context);
        }
        Some(Step::read(head.size))
    }

    pub(super) fn request_ends(&mut self, context: &mut Context<'_>) {
        let Some(mut request) = self.asking.take() else { return };
        if let Some(cursor) = request.asked.cursor {
            request.asked.waits |= self.waiting_cursors.get(&cursor).is_some();
        }
        if request.is_one_way {
            request.report(None, Outcome::OneWay, context);
            return;
        }
        let same = self.pending.iter().position(|other| other.id == request.id);
        if let Some(same) = same {
            // Which of the two is answered next nobody can say.
            let other = self.pending.remove(same);
            let given_up = 1 + u64::from(!other.reported);
            context.exchanges.give_up(UnpairedReason::Ambiguous, given_up);
            self.untold += 2;
            return;
        }
        if self.pending.len() >= context.limits.pending {
            let is_stale = self.pending.first().is_some_and(|oldest| self.may_be_answered(oldest));
            if !is_stale {
                context.exchanges.give_up(UnpairedReason::TooManyPending, 1);
                self.untold += 1;
                return;
            }
            let oldest = self.pending.remove(0);
            context.exchanges.give_up(self.reason, u64::from(!oldest.reported));
        }
        self.pending.push(request);
    }
}

impl Request {
    /// Takes what a compressed message says; `None` where it could not be expanded.
    fn take_expanded(&mut self, message: Option<&[u8]>) {
        let Some(message) = message else {
            (self.is_blind, self.asked.is_torn) = (true, true);
            return;
        };
        let Reading::Whole(head) = parse::head(message) else {
            (self.is_blind, self.asked.is_torn) = (true, true);
            return;
        };
        self.take_kind(&head.kind);
        let (body, left) = (parse::body(&head, message), head.length - head.size as u64);
        let mut contents = Contents::of(&head.kind, Level::Command);
        let progress = contents.read(body, left, Level::Command, &mut self.asked).1;
        self.asked.is_torn = progress != Progress::Done;
    }
}
