//! DNS (RFC 1035, and those that came after), over UDP and over TCP.
//!
//! Questions and answers have a number, and answers repeat the question; both must agree. So answers
//! may come in any order, and what is missing elsewhere does not matter.
//!
//! * Over UDP ([`Datagrams`]) both ends' views of an exchange come together in one table, since a
//!   datagram has no position by which [`Join`](crate::Join) could join them.
//! * Over TCP (this file) each message has its length in front. Only the beginning of a message is
//!   needed, the rest is passed over. When anything else is missing, that direction is *adrift*,
//!   until a segment begins with a message in which nothing is out of place. A question is given up
//!   once bytes of both sides are missing after it: another one with its number may have been asked.
//!
//! Names are compared, and shown, in lower case. Of the records only addresses are kept.

mod datagrams;
mod name;
mod pair;
mod parse;
#[cfg(test)]
mod testing;
mod told;
mod words;

use std::ops::RangeInclusive;

use alaz_model::{Outcome, Position, Protocol, UnpairedReason};

pub use datagrams::{DatagramLimits, Datagrams};

use crate::dialogue::{self, Claim, Context, Dialogue, Ending, Entry, Side};
use crate::numbered::Losses;
use crate::stream::{Input, Origin, Step};
use pair::{Pending, Start};
use parse::DnsMessage;

/// DNS over TCP in the list of protocols.
pub(crate) const ENTRY: Entry = Entry { protocol: Protocol::Dns, wants_depth: false, claim, begin };

/// The length in front of a message.
const FRAME: usize = 2;
/// Lengths of questions: header, name, type and class, maybe some options.
const QUESTION_BYTES: RangeInclusive<usize> = parse::HEADER + 5..=512;
/// So much of a message is looked at.
const SEEN: usize = 4096;

/// A message in which nothing is out of place, as far as it is seen. Only what is likely to become one
/// is waited for: waiting takes the beginning of a segment from what comes next.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    match frame(bytes, cut) {
        Frame::Message { message: Some(message), .. } if message.is_certain => {
            Claim::Yes(said_by(&message))
        }
        Frame::More if is_length(bytes) || bytes.get(FRAME..).is_some_and(parse::is_header) => {
            Claim::Maybe
        }
        Frame::More | Frame::Message { .. } | Frame::Invalid => Claim::No,
    }
}

/// Whether this is the length of a question, alone: many write and read it by a call of its own.
fn is_length(bytes: &[u8]) -> bool {
    let length = <[u8; FRAME]>::try_from(bytes).map(u16::from_be_bytes);
    length.is_ok_and(|length| QUESTION_BYTES.contains(&usize::from(length)))
}

fn said_by(message: &DnsMessage) -> Side {
    if message.answer.is_some() { Side::Server } else { Side::Client }
}

fn begin(start: dialogue::Start) -> Box<dyn Dialogue> {
    let reason = start.mid_stream.then_some(UnpairedReason::MidStream);
    let half = Half { is_adrift: start.mid_stream, before_ns: 0 };
    Box::new(Conversation {
        client: half,
        server: half,
        pending: Vec::new(),
        passing: None,
        missed: reason,
        // What was heard before this may be answers to what is read from here on.
        losses: Losses::before(start.server_heard.ended_ns),
        proven: false,
    })
}

/// What stands in front.
enum Frame {
    /// Too few bytes to tell.
    More,
    /// A message of so many bytes, its length included, if it could be read.
    Message {
        bytes: usize,
        message: Option<DnsMessage>,
    },
    Invalid,
}

fn frame(bytes: &[u8], cut: bool) -> Frame {
    let Some((length, rest)) = bytes.split_first_chunk::<FRAME>() else { return Frame::More };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < parse::HEADER {
        return Frame::Invalid;
    }
    let visible = rest.get(..length.min(SEEN)).unwrap_or(rest);
    if visible.len() < length.min(SEEN) && !cut {
        return Frame::More;
    }
    Frame::Message { bytes: FRAME + length, message: parse::message(visible) }
}

/// Where one direction stands.
#[derive(Clone, Copy)]
struct Half {
    /// Anywhere: a message is expected only where a segment begins.
    is_adrift: bool,
    /// When the call ended that moved what came before.
    before_ns: u64,
}

/// What is said on one connection.
struct Conversation {
    client: Half,
    server: Half,
    /// Questions without their whole answer, oldest first.
    pending: Vec<Pending>,
    /// The number of the question whose answer is being passed over.
    passing: Option<u16>,
    /// Why something may not have been seen, if so.
    missed: Option<UnpairedReason>,
    /// What the server said and was not seen. A question may be told of only after it.
    losses: Losses,
    /// An answer was seen to its question.
    proven: bool,
}

impl Conversation {
    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Why a half of an exchange may be missing.
    fn reason(&self) -> UnpairedReason {
        self.missed.unwrap_or(UnpairedReason::Unasked)
    }

    /// Bytes of this side are missing, or could not be read.
    fn miss(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        self.missed = Some(reason);
        if side == Side::Server {
            self.losses.is_losing = true;
            if let Some(id) = self.passing.take()
                && let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id)
            {
                pending.cut();
                self.settle(id, context);
            }
        }
        self.pending.retain_mut(|pending| {
            let stays = pending.lose(side);
            if !stays {
                let outcome = pending.reply.is_some().then_some(Outcome::Partial);
                pending.conclude(outcome, reason, context);
            }
            stays
        });
    }

    /// Reports a question whose answer has come.
    fn settle(&mut self, id: u16, context: &mut Context<'_>) {
        if let Some(index) = self.pending.iter().position(|it| it.id == id && it.is_over()) {
            self.pending.remove(index).report(Outcome::Complete, context);
        }
    }

    fn ask(&mut self, message: DnsMessage, start: &Start, context: &mut Context<'_>) {
        let Some(mut new) = Pending::new(message, start) else { return };
        if self.losses.may_answer(new.started_ns) {
            new.lose(Side::Server);
        }
        if let Some(index) = self.pending.iter().position(|pending| pending.id == new.id) {
            let same = &mut self.pending[index];
            let is_unanswered = same.reply.is_none() && !same.may_be_answered();
            if is_unanswered && same.asked.question == new.asked.question {
                same.asked.retries += 1;
                return;
            }
            let old = self.pending.remove(index);
            let outcome = old.reply.is_some().then_some(Outcome::Partial);
            old.conclude(outcome, self.missed.unwrap_or(UnpairedReason::Ambiguous), context);
        }
        if self.pending.len() >= context.limits.pending {
            context.exchanges.give_up(UnpairedReason::TooManyPending, 1);
        } else {
            self.pending.push(new);
        }
    }

    /// A message in front that can be read.
    fn hear(
        &mut self,
        side: Side,
        message: DnsMessage,
        bytes: usize,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let seen = bytes.min(input.bytes.len());
        let step = Step::Read { bytes: seen, then_pass: (bytes - seen) as u64 };
        let origin = input.origin(0);
        let not_before_ns = self.half(side).before_ns;
        let start = Start { position: input.position, origin, not_before_ns, bytes: bytes as u64 };
        if side == Side::Client {
            self.ask(message, &start, context);
            return step;
        }
        let is_it = |pending: &&mut Pending| pending.is_answered_by(&message, origin);
        let Some(pending) = self.pending.iter_mut().find(is_it) else {
            if !input.forced {
                return Step::Wait;
            }
            context.exchanges.give_up(self.reason(), 1);
            // Its question may be told of later.
            self.losses.pass_by(origin);
            return step;
        };
        self.proven = true;
        let id = message.id;
        pending.answer(message.answer.unwrap_or_default(), &start);
        if seen == bytes {
            pending.ends_with(input.origin(seen.saturating_sub(1)));
            self.settle(id, context);
        } else {
            self.passing = Some(id);
        }
        step
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        if self.half(side).is_adrift {
            if input.is_fresh() {
                match claim(input.bytes, input.cut) {
                    Claim::Maybe => return Some(Step::More),
                    Claim::Yes(by) => self.half(side).is_adrift = by != side,
                    Claim::No => {}
                }
            }
            if self.half(side).is_adrift {
                let reason = self.reason();
                self.miss(side, reason, context);
                return Some(Step::Ignore);
            }
        }
        match frame(input.bytes, input.cut) {
            Frame::More => Some(Step::More),
            Frame::Message { bytes, message: Some(message) } if said_by(&message) == side => {
                Some(self.hear(side, message, bytes, input, context))
            }
            _ if !self.proven => None,
            // Of a kind that is not known: sessions (RFC 8490), for instance.
            Frame::Message { bytes, .. } => {
                self.miss(side, UnpairedReason::Ambiguous, context);
                let seen = bytes.min(input.bytes.len());
                Some(Step::Read { bytes: seen, then_pass: (bytes - seen) as u64 })
            }
            Frame::Invalid => {
                self.lost(side, UnpairedReason::Gap, context);
                Some(Step::Ignore)
            }
        }
    }

    fn passed(&mut self, side: Side, _: Position, last: Origin, context: &mut Context<'_>) {
        if side == Side::Server
            && let Some(id) = self.passing.take()
            && let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id)
        {
            pending.ends_with(last);
            self.settle(id, context);
        }
    }

    fn heard(&mut self, side: Side, _: Position, last: Origin) {
        self.half(side).before_ns = last.ended_ns;
        if side == Side::Server {
            self.losses.heard(last, true);
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        self.half(side).is_adrift = true;
        self.miss(side, reason, context);
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let silent_ns = watermark_ns.saturating_sub(context.limits.silence_ns);
        let reason = self.reason();
        self.pending.retain(|pending| {
            let stays = pending.started_ns >= silent_ns;
            if !stays {
                pending.conclude(pending.outcome_at_close(None), reason, context);
            }
            stays
        });
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        if !ending.is_answer_seen {
            self.miss(Side::Server, self.missed.unwrap_or(UnpairedReason::Gap), context);
        }
        // In the middle of a message it did not end well.
        let passing = self.passing.take();
        let unpaired = self.reason();
        for mut pending in std::mem::take(&mut self.pending) {
            if passing == Some(pending.id) {
                pending.cut();
            }
            pending.conclude(pending.outcome_at_close(Some(ending.reason)), unpaired, context);
        }
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        context.exchanges.give_up(UnpairedReason::Withdrawn, self.pending.len() as u64);
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests;
