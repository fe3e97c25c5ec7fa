//! What the server says.

use alaz_model::{Outcome, UnpairedReason};

use super::bson::{Level, Progress};
use super::found::Answered;
use super::pair::{Chain, Reply, Request};
use super::parse::{self, Contents, Head, Kind, Reading};
use super::{Conversation, Place, is_enough};
use crate::dialogue::{Context, Side};
use crate::stream::{Input, Origin, Step};

/// OP_REPLY: the cursor that was asked for is not there.
const CURSOR_NOT_FOUND: u32 = 1;
/// OP_REPLY: the document says what went wrong.
const QUERY_FAILURE: u32 = 2;

/// Whom a reply answers.
enum Answers {
    Pending(usize),
    Chain,
    /// A request and a chain have the same number.
    Both(usize),
    Unknown,
}

impl Conversation {
    /// While adrift: is this the reply to something that waits for it?
    pub(super) fn find_reply(&mut self, input: &Input<'_>) -> Step {
        let reading = match input.is_fresh() {
            true => parse::said_by(input.bytes, input.cut),
            false => Reading::Invalid,
        };
        match (reading, parse::head(input.bytes)) {
            (Reading::More, _) => return Step::More,
            (Reading::Whole(Side::Server), Reading::Whole(head)) => {
                if !matches!(self.answers(head.answers, input), Answers::Unknown) {
                    self.server.place = Place::Message;
                    return Step::Again;
                }
                if !input.forced && self.may_come(head.answers) {
                    return Step::Wait;
                }
            }
            _ => {}
        }
        // What is passed by may answer anything that was said since.
        self.lose_course(Side::Server, self.reason);
        Step::Ignore
    }

    pub(super) fn read_reply(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        let head = match parse::head(input.bytes) {
            Reading::Whole(head) => head,
            Reading::More => return Some(Step::More),
            Reading::Invalid => return self.wrong(Side::Server),
        };
        if matches!(head.kind, Kind::Compressed(_)) && !is_enough(&head, input) {
            return Some(Step::More);
        }
        let request = match self.answers(head.answers, input) {
            Answers::Pending(at) => Some(self.pending.remove(at)),
            Answers::Chain => {
                self.chain.take().map(|chain| Request::of_chain(&chain, &head, input))
            }
            Answers::Both(at) => {
                let request = self.pending.remove(at);
                self.chain = None;
                let given_up = 1 + u64::from(!request.reported);
                context.exchanges.give_up(UnpairedReason::Ambiguous, given_up);
                self.untold += 1;
                None
            }
            Answers::Unknown if !input.forced && self.may_come(head.answers) => {
                return Some(Step::Wait);
            }
            Answers::Unknown if !self.proven && self.reason == UnpairedReason::Ambiguous => {
                return None;
            }
            Answers::Unknown => {
                self.hear_unknown(input, context);
                None
            }
        };
        let mut contents = Contents::Nothing;
        self.answering = request.map(|request| {
            let mut reply = Reply::new(&request, &head, input);
            contents = reply.take(&head, &request, input.bytes);
            (request, reply)
        });
        self.enter(Side::Server, &head, contents, input.position);
        if head.length == head.size as u64 {
            self.message_ends(Side::Server, input.origin(head.size - 1), context);
        }
        Some(Step::read(head.size))
    }

    fn answers(&self, id: i32, input: &Input<'_>) -> Answers {
        // What was moved before a request was answers something else.
        let is_newer = |request: &Request| input.origin(0).ended_ns >= request.started_ns;
        let pending = self.pending.iter().position(|request| request.id == id && is_newer(request));
        let is_chain = self.chain.as_ref().is_some_and(|chain| chain.id == id);
        match (pending, is_chain) {
            (Some(at), true) => Answers::Both(at),
            (Some(at), false) => Answers::Pending(at),
            (None, true) => Answers::Chain,
            (None, false) => Answers::Unknown,
        }
    }

    /// The reply to a request that was not seen, or not kept.
    fn hear_unknown(&mut self, input: &Input<'_>, context: &mut Context<'_>) {
        match self.untold.checked_sub(1) {
            Some(untold) => self.untold = untold,
            None => context.exchanges.give_up(self.reason, 1),
        }
        // Its request may be told of later.
        self.server.losses.pass_by(input.origin(0));
    }

    /// Whether the request that has this number may still be read.
    fn may_come(&self, id: i32) -> bool {
        let is_being_read = self.asking.as_ref().is_some_and(|asking| asking.id == id);
        is_being_read || self.client.place != Place::Adrift && self.untold == 0
    }

    pub(super) fn reply_ends(&mut self, last: Origin, context: &mut Context<'_>) {
        let Some((request, mut reply)) = self.answering.take() else { return };
        self.proven = true;
        let outcome = match last.is_known() {
            true if request.is_push => Outcome::OneWay,
            true => Outcome::Complete,
            false => Outcome::Partial,
        };
        if last.is_known() {
            reply.ended_ns = last.moved_ns(reply.started_ns);
        }
        request.report(Some(&reply), outcome, context);
        match (request.asked.cursor, reply.answered.cursor) {
            (Some(cursor), Some(0)) => self.waiting_cursors.remove(&cursor),
            (_, Some(cursor)) if cursor != 0 && request.asked.opens_waiting => {
                self.waiting_cursors.insert(cursor, ());
            }
            _ => {}
        }
        if reply.has_more_to_come {
            self.chain = Some(Chain { id: reply.id, asked: request.asked });
        }
    }
}

impl Reply {
    /// Takes what its message says before its document. Returns how to read that.
    fn take(&mut self, head: &Head<'_>, request: &Request, bytes: &[u8]) -> Contents {
        self.answered.is_bulk = request.asked.method == "bulkWrite";
        let Kind::Compressed(how) = head.kind else {
            return self.take_kind(&head.kind, request);
        };
        let message = how.expand(head, parse::body(head, bytes));
        let inner = message.as_deref().map(parse::head);
        let (Some(message), Some(Reading::Whole(inner))) = (&message, inner) else {
            self.answered.is_torn = true;
            return Contents::Nothing;
        };
        let mut contents = self.take_kind(&inner.kind, request);
        let (body, left) = (parse::body(&inner, message), inner.length - inner.size as u64);
        let progress = contents.read(body, left, Level::Reply, &mut self.answered).1;
        self.answered.is_torn |= progress != Progress::Done;
        Contents::Nothing
    }

    fn take_kind(&mut self, kind: &Kind<'_>, request: &Request) -> Contents {
        self.has_more_to_come = kind.has_more_to_come();
        match *kind {
            Kind::Message { .. } => {}
            Kind::Reply { documents: 1, .. } if request.is_command => {}
            Kind::Reply { flags, documents: 1 } if flags & QUERY_FAILURE != 0 => {
                self.answered.fail();
            }
            Kind::Reply { flags, .. } if !request.is_command => {
                self.answered = match flags & CURSOR_NOT_FOUND {
                    0 => Answered::fine(),
                    _ => Answered::with_code(43, "CursorNotFound"),
                };
                return Contents::Nothing;
            }
            _ => {
                self.answered.is_torn = true;
                return Contents::Nothing;
            }
        }
        Contents::of(kind, Level::Reply)
    }
}
