//! A question over TCP on its way to its answer, and the view that becomes of both.

use alaz_model::{CloseReason, Outcome, Position, UnpairedReason};

use super::parse::{Answer, DnsMessage};
use super::told::{self, Asked};
use super::words;
use crate::dialogue::{Context, Side, Told};
use crate::stream::Origin;

/// A question, and as much of its answer as was seen.
pub(super) struct Pending {
    pub(super) id: u16,
    pub(super) asked: Asked,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    pub(super) reply: Option<Reply>,
    /// Bytes that this side said after it were not seen: the client, the server.
    lost: [bool; 2],
}

/// What answers a question. A zone transfer (RFC 5936) takes several messages.
pub(super) struct Reply {
    answer: Answer,
    position: Position,
    started_ns: u64,
    ended_ns: u64,
    pid: u32,
    bytes: u64,
    /// Some of its bytes, or its end, were not seen.
    is_cut: bool,
    /// More messages of it may come.
    is_open: bool,
}

/// Where a message begins, whatever it says.
pub(super) struct Start {
    pub(super) position: Position,
    pub(super) origin: Origin,
    /// It did not begin to move before this.
    pub(super) not_before_ns: u64,
    /// Its length, with that of the two bytes that say so.
    pub(super) bytes: u64,
}

impl Pending {
    /// `None` where the message asks nothing.
    pub(super) fn new(message: DnsMessage, start: &Start) -> Option<Pending> {
        let question = message.question?;
        let (opcode, bytes) = (message.opcode, start.bytes);
        Some(Pending {
            id: message.id,
            asked: Asked { opcode, question, bytes, retries: 0 },
            position: start.position,
            started_ns: start.origin.moved_ns(start.not_before_ns),
            pid: start.origin.pid,
            reply: None,
            lost: [false; 2],
        })
    }

    /// Whether a message, which begins at that time, answers this.
    pub(super) fn is_answered_by(&self, message: &DnsMessage, origin: Origin) -> bool {
        let agrees = message.question.as_ref().is_none_or(|it| *it == self.asked.question);
        let open = self.reply.as_ref().is_none_or(|reply| reply.is_open);
        self.id == message.id && agrees && open && origin.ended_ns >= self.started_ns
    }

    /// A message of its answer begins.
    pub(super) fn answer(&mut self, answer: Answer, start: &Start) {
        if let Some(reply) = &mut self.reply {
            reply.bytes += start.bytes;
            reply.is_open = !ends_transfer(&self.asked, &answer, false);
            return;
        }
        let started_ns = start.origin.moved_ns(self.started_ns);
        self.reply = Some(Reply {
            position: start.position,
            started_ns,
            ended_ns: started_ns,
            pid: start.origin.pid,
            bytes: start.bytes,
            is_cut: false,
            is_open: !ends_transfer(&self.asked, &answer, true),
            answer,
        });
    }

    /// A message of its answer has ended with this byte.
    pub(super) fn ends_with(&mut self, last: Origin) {
        let Some(reply) = &mut self.reply else { return };
        reply.is_cut |= !last.is_known();
        if last.is_known() {
            reply.ended_ns = last.moved_ns(reply.ended_ns);
        }
    }

    /// The rest of a message of its answer will not be seen.
    pub(super) fn cut(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.is_cut = true;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_open)
    }

    /// Its answer may be among what was not seen.
    pub(super) fn may_be_answered(&self) -> bool {
        self.lost[1]
    }

    /// Bytes that this side said are missing. Whether it can still be told what answers it.
    pub(super) fn lose(&mut self, side: Side) -> bool {
        match side {
            Side::Client => self.lost[0] = true,
            Side::Server => self.lost[1] = true,
        }
        // It may have been answered, and another one asked that looks the same.
        self.lost != [true; 2]
    }

    /// What the connection's end, or silence, makes of it; `None` where nobody can say.
    pub(super) fn outcome_at_close(&self, reason: Option<CloseReason>) -> Option<Outcome> {
        let maybe_answered = self.may_be_answered();
        match (&self.reply, reason) {
            (Some(_), Some(CloseReason::Finished)) if !maybe_answered => Some(Outcome::Complete),
            (Some(_), None) => Some(Outcome::Partial),
            (Some(_), Some(_)) if maybe_answered => Some(Outcome::Partial),
            (None, _) if maybe_answered => None,
            (Some(_), Some(_)) | (None, Some(CloseReason::Reset)) => Some(Outcome::Reset),
            (None, _) => Some(Outcome::NoResponse),
        }
    }

    /// Hands it on, or gives it up.
    pub(super) fn conclude(
        &self,
        outcome: Option<Outcome>,
        reason: UnpairedReason,
        context: &mut Context<'_>,
    ) {
        match outcome {
            Some(outcome) => self.report(outcome, context),
            None => context.exchanges.give_up(reason, 1),
        }
    }

    pub(super) fn report(&self, outcome: Outcome, context: &mut Context<'_>) {
        let reply = self.reply.as_ref();
        let is_cut = reply.is_some_and(|reply| reply.is_cut);
        let outcome =
            if is_cut && outcome == Outcome::Complete { Outcome::Partial } else { outcome };
        let answer = reply.map(|reply| (&reply.answer, reply.bytes));
        context.tell(Told {
            request_position: self.position,
            response_position: reply.map(|reply| reply.position),
            started_ns: self.started_ns,
            response_ns: reply.map(|reply| reply.started_ns),
            ended_ns: reply.map_or(self.started_ns, |reply| reply.ended_ns),
            client_pid: self.pid,
            server_pid: reply.map_or(self.pid, |reply| reply.pid),
            message: told::message(&self.asked, "tcp", answer, outcome),
        });
    }
}

/// Whether nothing of the answer follows this message. A transfer of a zone ends with the record
/// that it began with; where that cannot be seen, only the connection's end tells.
fn ends_transfer(asked: &Asked, answer: &Answer, is_first: bool) -> bool {
    let is_transfer = asked.opcode == words::QUERY
        && matches!(asked.question.kind, words::AXFR | words::IXFR)
        && words::is_success(answer.rcode);
    let ends_with_soa = matches!(answer.kinds, Some((_, words::SOA)));
    // One record alone begins a transfer, but of IXFR it says that nothing has changed (RFC 1995 §2).
    let begins = is_first && answer.records == 1 && asked.question.kind == words::AXFR;
    !is_transfer || ends_with_soa && !begins
}
