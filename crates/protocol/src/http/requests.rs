//! What the client says.

use alaz_model::{Outcome, Position, UnpairedReason};

use super::chunks::Chunks;
use super::head::{self, Head, Reading, Start};
use super::pending::Pending;
use super::target::{Target, host};
use super::{ChunkRead, Conversation, Place};
use crate::dialogue::{Context, MISSING_NOW};
use crate::stream::{Input, Step};

impl Conversation {
    pub(super) fn read_requests(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        match self.requests {
            Place::Tunnel | Place::UntilClose => Some(Step::Ignore),
            Place::Chunks(mut chunks) => {
                let read = Conversation::read_chunks(&mut chunks, input);
                self.requests = Place::Chunks(chunks);
                Some(match read {
                    ChunkRead::Go(step) => step,
                    ChunkRead::End(bytes) => {
                        self.request_ends(input.position.plus(bytes as u64), context);
                        Step::read(bytes)
                    }
                    ChunkRead::Broken => {
                        self.lose_requests(UnpairedReason::Truncated, context);
                        Step::Ignore
                    }
                })
            }
            Place::Adrift => {
                let may_begin = input.is_fresh()
                    && head::begins_with_method(input.bytes)
                    && !self.pending.iter().any(Pending::waits);
                let reading = match may_begin {
                    true => head::request(input.bytes, input.cut),
                    false => Reading::Invalid,
                };
                match reading {
                    Reading::Head(head) => Some(self.begin_request(&head, input, context)),
                    Reading::More => Some(Step::More),
                    Reading::Invalid => {
                        // It may be more of them.
                        self.unseen_ns = self.unseen_ns.map(|_| MISSING_NOW);
                        Some(Step::Ignore)
                    }
                }
            }
            // What comes next may be HTTP/2.
            Place::Head if self.may_change_to_http2() && !input.forced => Some(Step::Wait),
            Place::Head | Place::Counted => self.read_request_head(input, context),
        }
    }

    fn read_request_head(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        // Empty lines before a request are passed over (RFC 9112 §2.2).
        let blank = input.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if blank > 0 {
            return Some(Step::read(blank));
        }
        match head::request(input.bytes, input.cut) {
            Reading::Head(head) => Some(self.begin_request(&head, input, context)),
            Reading::More => Some(Step::More),
            Reading::Invalid if !self.proven => None,
            Reading::Invalid => {
                self.lose_requests(UnpairedReason::Gap, context);
                Some(Step::Ignore)
            }
        }
    }

    fn begin_request(
        &mut self,
        head: &Head<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let Start::Request { method, target } = head.start else { return Step::Ignore };
        let origin = input.origin(0);
        let end = input.position.plus(head.length as u64);
        let started_ns = origin.moved_ns(self.answered_to.1.started_ns);
        // Two requests in one call: this client does not wait.
        if !input.is_fresh() && self.pending.iter().any(Pending::waits) {
            self.pipelines = true;
        }
        self.reading_newest = self.admit(started_ns, context);
        if self.reading_newest {
            self.pending.push_back(Pending {
                method: String::from_utf8_lossy(method).into(),
                target: Target::new(method, target),
                host: host(head.host),
                position: input.position,
                started_ns,
                pid: origin.pid,
                end: None,
                seen_to: end,
                is_turn: self.is_quiet(started_ns),
                may_hide_others: false,
                unseen_ns: self.unseen_ns,
                asks_for_h2c: head.is_h2c,
                reported: false,
                maybe_answered: false,
                response: None,
            });
        }
        self.place_request_body(head, end, context)
    }

    /// Whether its response will be told from those of other requests. A request that is not
    /// admitted is counted.
    fn admit(&mut self, started_ns: u64, context: &mut Context<'_>) -> bool {
        if self.pending.len() >= context.limits.pending {
            context.exchanges.give_up(UnpairedReason::TooManyPending, 1);
            self.adrift.get_or_insert(UnpairedReason::TooManyPending);
            return false;
        }
        // What was passed by may have been its response, told of before it.
        if self.responses == Place::Adrift && started_ns < self.answered_to.1.ended_ns {
            self.adrift.get_or_insert(UnpairedReason::Gap);
        }
        if let Some(reason) = self.adrift {
            if !self.is_quiet(started_ns) {
                context.exchanges.give_up(reason, 1);
                return false;
            }
            // What is being answered may have been followed by answers to unseen requests.
            for unfinished in std::mem::take(&mut self.pending) {
                unfinished.report(Outcome::Partial, context);
            }
            self.adrift = None;
        }
        true
    }

    /// Whether a request that begins now comes after every earlier one was answered.
    fn is_quiet(&self, started_ns: u64) -> bool {
        !self.pipelines
            && !self.pending.iter().any(Pending::waits)
            && started_ns >= self.answered_to.1.started_ns
    }

    /// RFC 9112 §6.3, for requests.
    fn place_request_body(
        &mut self,
        head: &Head<'_>,
        end: Position,
        context: &mut Context<'_>,
    ) -> Step {
        let body = head.body;
        let unknown = !head.is_whole || body.contradicts || body.encoded && !body.chunked;
        let mut then_pass = 0;
        if unknown {
            self.requests = Place::Adrift;
        } else if body.chunked {
            self.requests = Place::Chunks(Chunks::default());
        } else {
            then_pass = body.content_length.unwrap_or(0);
            self.requests = Place::Counted;
            if then_pass == 0 {
                self.request_ends(end, context);
            }
        }
        Step::Read { bytes: head.length, then_pass }
    }

    pub(super) fn request_ends(&mut self, end: Position, context: &mut Context<'_>) {
        self.requests = Place::Head;
        if std::mem::take(&mut self.reading_newest)
            && let Some(newest) = self.pending.back_mut()
        {
            newest.end = Some(end);
            newest.seen_to = end;
        }
        self.report_whole(context);
    }

    /// Something of what the client said is missing. Requests before it keep their place.
    pub(super) fn lose_requests(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        if self.requests == Place::Tunnel {
            return;
        }
        // The rest of a head that was cut belongs to that head, as far as anybody knows.
        if self.requests != Place::Adrift || reason == UnpairedReason::Gap {
            self.adrift.get_or_insert(reason);
        } else if let Some(newest) = self.pending.back_mut() {
            newest.may_hide_others = true;
        }
        // What was written in one go with a body, or a head, is no other request.
        let is_own = reason != UnpairedReason::Gap
            && match self.requests {
                Place::Chunks(_) => true,
                Place::Adrift => self.unseen_ns.is_none(),
                _ => false,
            };
        if !is_own {
            self.unseen_ns = Some(MISSING_NOW);
        }
        self.requests = Place::Adrift;
        self.report_whole(context);
    }

    /// A request that waits for longer than anybody would is reported, and its response, should it
    /// come, is not.
    pub(super) fn report_silence(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let silence_ns = context.limits.silence_ns;
        for pending in &mut self.pending {
            let waited_ns = watermark_ns.saturating_sub(pending.started_ns);
            if pending.response.is_none() && !pending.reported && waited_ns > silence_ns {
                pending.report(Outcome::NoResponse, context);
                pending.reported = true;
            }
        }
    }
}
