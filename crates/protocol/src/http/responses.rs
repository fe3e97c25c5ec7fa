//! What the server says.

use alaz_model::{Outcome, Position, UnpairedReason};

use super::chunks::Chunks;
use super::head::{self, Head, Reading, Start};
use super::pending::{Pending, Response};
use super::{ChunkRead, Conversation, Place};
use crate::dialogue::Context;
use crate::http2;
use crate::stream::{Input, Origin, Step};

impl Conversation {
    pub(super) fn read_responses(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        match self.responses {
            Place::Tunnel | Place::UntilClose => Some(Step::Ignore),
            Place::Chunks(mut chunks) => {
                let read = Conversation::read_chunks(&mut chunks, input);
                self.responses = Place::Chunks(chunks);
                Some(match read {
                    ChunkRead::Go(step) => step,
                    ChunkRead::End(bytes) => {
                        let end = input.position.plus(bytes as u64);
                        self.response_ends(end, input.origin(bytes - 1), context);
                        Step::read(bytes)
                    }
                    ChunkRead::Broken => {
                        self.lose_responses(UnpairedReason::Truncated, context);
                        Step::Ignore
                    }
                })
            }
            Place::Adrift => self.find_course(input, context),
            Place::Head | Place::Counted => self.read_response_head(input, context),
        }
    }

    fn read_response_head(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let reading = head::response(input.bytes, input.cut);
        let Some(front) = self.pending.front().filter(|front| front.response.is_none()) else {
            return if input.forced { self.orphan(&reading, context) } else { Some(Step::Wait) };
        };
        if input.origin(0).ended_ns < front.started_ns {
            return self.orphan(&reading, context);
        }
        match reading {
            Reading::Head(head) => Some(self.begin_response(&head, input, context)),
            Reading::More => Some(Step::More),
            Reading::Invalid if !self.proven => None,
            Reading::Invalid => {
                self.lose_responses(UnpairedReason::Gap, context);
                Some(Step::Ignore)
            }
        }
    }

    /// A response to a request that was not seen.
    fn orphan(&mut self, reading: &Reading<'_>, context: &mut Context<'_>) -> Option<Step> {
        let reason = self.adrift.unwrap_or(UnpairedReason::Gap);
        match reading {
            Reading::Invalid if !self.proven => return None,
            Reading::Head(_) => context.exchanges.give_up(reason, 1),
            Reading::Invalid | Reading::More => {}
        }
        self.responses = Place::Adrift;
        let next_is_certain = self.pending.front().is_some_and(|front| front.is_turn);
        if !next_is_certain {
            self.lose_course(reason, context);
        }
        Some(Step::Ignore)
    }

    /// While adrift: is this the response to a request that came after all others were answered?
    fn find_course(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let before = usize::from(self.pending.front().is_some_and(|p| p.response.is_some()));
        let is_due = self.pending.get(before).is_some_and(|next| {
            next.is_turn && input.is_fresh() && input.origin(0).ended_ns >= next.started_ns
        });
        if !is_due {
            self.pass_by(before, input, context);
            return Some(Step::Ignore);
        }
        match head::response(input.bytes, input.cut) {
            Reading::Head(head) => {
                self.conclude_open_ended(context);
                Some(self.begin_response(&head, input, context))
            }
            Reading::More => Some(Step::More),
            Reading::Invalid if !self.proven => None,
            // Something before that request was not answered after all.
            Reading::Invalid => {
                self.find_pipelining(UnpairedReason::Gap, context);
                Some(Step::Ignore)
            }
        }
    }

    /// What is not read may answer a request that had been sent when it came.
    fn pass_by(&mut self, next: usize, input: &Input<'_>, context: &mut Context<'_>) {
        let last_ns = input.origin(input.bytes.len() - 1).ended_ns;
        let is_due = |next: &Pending| next.is_turn && last_ns >= next.started_ns;
        if self.pending.get(next).is_some_and(is_due) {
            self.lose_course(self.adrift.unwrap_or(UnpairedReason::Gap), context);
        }
    }

    fn begin_response(
        &mut self,
        head: &Head<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        self.proven = true;
        let Start::Response { status } = head.start else { return Step::Ignore };
        // Interim responses (RFC 9110 §15.2) come before the one that counts.
        if (100..200).contains(&status) && status != 101 {
            self.responses = Place::Head;
            return Step::read(head.length);
        }
        if status == 101 && head.is_h2c && self.may_change_to_http2() {
            self.change_to_http2();
            return Step::read(head.length);
        }
        let Some(front) = self.pending.front_mut() else { return Step::Ignore };
        if front.unseen_ns.is_some_and(|unseen_ns| self.strange_ns <= unseen_ns) {
            self.lose_course(self.adrift.unwrap_or(UnpairedReason::Gap), context);
            self.responses = Place::Adrift;
            return Step::Ignore;
        }
        self.unseen_ns = self.unseen_ns.filter(|_| front.unseen_ns.is_none());
        let origin = input.origin(0);
        let started_ns = origin.moved_ns(front.started_ns);
        let end = input.position.plus(head.length as u64);
        front.response = Some(Response {
            status,
            position: input.position,
            started_ns,
            pid: origin.pid,
            heard_to: (end, started_ns),
            is_open_ended: false,
            is_whole: false,
            is_timed: true,
        });
        self.place_response_body(status, head, end, input, context)
    }

    /// The only request is whole, waits for its response, and offers to get it in HTTP/2.
    pub(super) fn may_change_to_http2(&self) -> bool {
        let is_due = |only: &Pending| {
            only.asks_for_h2c && only.response.is_none() && only.end.is_some() && !only.reported
        };
        self.requests == Place::Head
            && self.pending.len() == 1
            && self.pending.front().is_some_and(is_due)
    }

    /// Both sides go on in HTTP/2, where the request is answered as stream 1 (RFC 7540 §3.2).
    fn change_to_http2(&mut self) {
        let Some(request) = self.pending.pop_front() else { return };
        let Some(end) = request.end else { return };
        let bytes = u64::try_from(end.since(request.position)).unwrap_or(0);
        self.successor = Some(http2::upgraded(http2::Upgraded {
            method: request.method,
            target: request.target,
            host: request.host,
            position: request.position,
            started_ns: request.started_ns,
            pid: request.pid,
            bytes,
        }));
    }

    /// RFC 9112 §6.3, for responses.
    fn place_response_body(
        &mut self,
        status: u16,
        head: &Head<'_>,
        end: Position,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let body = head.body;
        let Some(front) = self.pending.front_mut() else { return Step::Ignore };
        let opens_tunnel =
            status == 101 || front.method == "CONNECT" && (200..300).contains(&status);
        let has_none = front.method == "HEAD" || matches!(status, 204 | 304) || opens_tunnel;
        let mut then_pass = 0;
        if !has_none && !body.contradicts && body.chunked {
            self.responses = Place::Chunks(Chunks::default());
        } else if !has_none && (!head.is_whole || body.contradicts) {
            self.responses = Place::Adrift;
            if let Some(response) = &mut front.response {
                response.is_open_ended = true;
            }
        } else if !has_none && (body.encoded || body.content_length.is_none()) {
            self.responses = Place::UntilClose;
        } else {
            self.responses = Place::Counted;
            then_pass = if has_none { 0 } else { body.content_length.unwrap_or(0) };
            if then_pass == 0 {
                let last = input.origin(head.length.saturating_sub(1));
                self.response_ends(end, last, context);
            }
            if opens_tunnel {
                (self.requests, self.responses) = (Place::Tunnel, Place::Tunnel);
            }
        }
        Step::Read { bytes: head.length, then_pass }
    }

    pub(super) fn response_ends(&mut self, end: Position, last: Origin, context: &mut Context<'_>) {
        self.responses = Place::Head;
        self.answered_to = (end, last);
        let Some(front) = self.pending.front_mut() else { return };
        let Some(response) = &mut front.response else { return };
        let ended_ns = last.moved_ns(response.started_ns);
        response.heard_to = (end, ended_ns);
        response.is_whole = true;
        response.is_timed = last.is_known();
        if self.pending.get(1).is_some_and(|next| next.started_ns < ended_ns) {
            self.pipelines = true;
        }
        self.report_whole(context);
    }

    /// Reports what has been answered, unless its request is still being read.
    pub(super) fn report_whole(&mut self, context: &mut Context<'_>) {
        while let Some(front) = self.pending.front() {
            let is_whole = front.response.as_ref().is_some_and(|response| response.is_whole);
            if !is_whole || front.end.is_none() && self.requests != Place::Adrift {
                break;
            }
            let is_timed = front.response.as_ref().is_some_and(|response| response.is_timed);
            let outcome = if is_timed { Outcome::Complete } else { Outcome::Partial };
            front.report(outcome, context);
            self.pending.pop_front();
            if self.pending.is_empty() {
                self.reading_newest = false;
            }
        }
    }

    /// Something of what the server said is missing.
    pub(super) fn lose_responses(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        match self.responses {
            Place::Tunnel | Place::UntilClose => return,
            // The end of this one will show in the next request, if the client waits for it.
            Place::Chunks(_) | Place::Adrift => {
                let mut unanswered = self.pending.iter().filter(|p| p.response.is_none());
                let is_alone = unanswered.next().is_none();
                match self.pending.front_mut().and_then(|front| front.response.as_mut()) {
                    Some(response) if is_alone => response.is_open_ended = true,
                    Some(_) => self.find_pipelining(reason, context),
                    None => self.lose_course(reason, context),
                }
            }
            Place::Head | Place::Counted => self.lose_course(reason, context),
        }
        self.responses = Place::Adrift;
    }

    /// The client does not wait, so nothing tells any more which request a response belongs to.
    fn find_pipelining(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        self.pipelines = true;
        self.lose_course(reason, context);
    }

    /// The response before a turn has ended, since the client went on.
    fn conclude_open_ended(&mut self, context: &mut Context<'_>) {
        if self.pending.front().is_some_and(|front| front.response.is_some())
            && let Some(front) = self.pending.pop_front()
        {
            front.report(front.outcome_at_turn(), context);
        }
    }

    /// The same, once nothing from before that turn can come any more.
    pub(super) fn conclude_before(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let horizon_ns = watermark_ns.saturating_sub(context.limits.lateness_ns);
        let is_over = self.responses == Place::Adrift
            && self.pending.get(1).is_some_and(|next: &Pending| {
                next.is_turn && next.response.is_none() && next.started_ns <= horizon_ns
            });
        if is_over {
            self.conclude_open_ended(context);
        }
    }
}
