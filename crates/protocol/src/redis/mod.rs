//! Redis and Valkey: RESP 2 and RESP 3.
//!
//! Replies have no numbers: the first belongs to the first command. What breaks that order is known:
//!
//! * Published messages and other pushes come between replies; they are exchanges of their own.
//! * A subscription is answered by a confirmation for each channel.
//! * `CLIENT REPLY` turns replies off; then commands are told as one-way.
//! * After `MONITOR` and `PSYNC` the connection is something else, and is not read any more.
//!
//! Strings are passed over by their length, so what is missing inside them does no harm. When
//! anything else is missing, everything pending is given up and the connection is *adrift*, as with
//! [HTTP](crate::http): on course again with a command that comes when every earlier one must have
//! been answered. Clients here send many commands at once; one is believed to wait for all replies
//! before it goes on, until it was seen not to.

mod commands;
mod opening;
mod parse;
mod pending;
mod replies;
mod requests;
mod session;

use std::collections::VecDeque;

use alaz_model::{Outcome, Position, Protocol, UnpairedReason};

use crate::dialogue::{Claim, Context, Dialogue, Ending, Entry, Side, Start};
use crate::stream::{Input, Origin, Step};
use parse::{Frames, Reading};
use pending::{Pending, Push};
use session::Session;

/// Redis in the list of protocols.
pub(crate) const ENTRY: Entry = Entry { protocol: Protocol::Redis, claim, begin };

/// A command that is known, or a published message. What answers the command confirms it or takes it
/// back.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    match bytes.first() {
        Some(b'*' | b'>') => {}
        Some(b'P' | b'p' | b'I' | b'i') => return claim_inline(bytes),
        _ => return Claim::No,
    }
    let opening = opening::opening(bytes, cut);
    if let Reading::Whole(opening) = &opening
        && opening::is_published(opening.word)
        && !opening.channel.is_empty()
    {
        return Claim::Yes(Side::Server);
    }
    let command = match bytes.starts_with(b"*") {
        true => parse::command(bytes, cut, |_| 1),
        false => Reading::Invalid,
    };
    match command {
        Reading::Whole(arguments) if commands::is_known(arguments.get(0)) => {
            Claim::Yes(Side::Client)
        }
        _ if command == Reading::More || opening == Reading::More => Claim::Maybe,
        _ => Claim::No,
    }
}

/// Of what people and health checks type, only what no other protocol knows.
fn claim_inline(bytes: &[u8]) -> Claim {
    for word in [&b"PING"[..], b"INFO"] {
        let seen = bytes.len().min(word.len());
        let (Some(word), Some(said)) = (word.get(..seen), bytes.get(..seen)) else { continue };
        if said.eq_ignore_ascii_case(word) {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ';
            let rest = bytes.get(4..).unwrap_or_default();
            return match rest.iter().position(|byte| !plain(byte)) {
                None => Claim::Maybe,
                Some(end) if rest.get(end..) == Some(b"\r\n") => Claim::Yes(Side::Client),
                Some(end) if rest.get(end..) == Some(b"\r") => Claim::Maybe,
                Some(_) => Claim::No,
            };
        }
    }
    Claim::No
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Where one direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a message.
    Start,
    /// In a message.
    Inside,
    /// Anywhere: a message is expected only where a segment begins.
    Adrift,
    /// In what is not commands and replies any more.
    Opaque,
}

/// What the message is that the server is saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The reply to the oldest pending command.
    Reply,
    /// One of the confirmations that are the reply to it.
    Confirmation,
    /// A message without a request.
    Push,
    /// The reply to a command that was not kept.
    Untold,
    /// Something that tells nothing.
    Aside,
}

/// What is said on one connection.
struct Conversation {
    requests: Place,
    replies: Place,
    /// What is left of the command, and of what the server is saying.
    request_frames: Frames,
    reply_frames: Frames,
    /// The command that is being read.
    reading: Option<Pending>,
    /// Commands without their whole reply, oldest first.
    pending: VecDeque<Pending>,
    /// So many replies come before those to `pending`, to commands that were not kept.
    untold: u64,
    part: Part,
    push: Option<Push>,
    session: Session,
    /// Why the next command cannot be told apart from unseen ones.
    adrift: Option<UnpairedReason>,
    /// The client was seen to go on before all replies were there.
    pipelines: bool,
    /// A reply or a push was seen.
    proven: bool,
    mid_stream: bool,
    /// A command was seen that no person typed.
    is_resp: bool,
    /// When the client last said anything; `u64::MAX` where that was not seen, `None` when never.
    said_ns: Option<u64>,
    /// Just after the last byte of it that was read or passed by.
    said_to: Option<Position>,
    /// Just after the last byte that the server said.
    answered_to: (Position, Origin),
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        let place = if start.mid_stream { Place::Adrift } else { Place::Start };
        Conversation {
            requests: place,
            replies: place,
            request_frames: Frames::default(),
            reply_frames: Frames::default(),
            reading: None,
            pending: VecDeque::new(),
            untold: 0,
            part: Part::Aside,
            push: None,
            session: if start.mid_stream { Session::unknown() } else { Session::new() },
            adrift: start.mid_stream.then_some(UnpairedReason::MidStream),
            pipelines: false,
            proven: false,
            mid_stream: start.mid_stream,
            is_resp: false,
            said_ns: start.mid_stream.then_some(0),
            said_to: None,
            answered_to: (Position::default(), start.server_heard),
        }
    }

    /// Whether any reply is still due.
    fn waits(&self) -> bool {
        self.untold > 0 || self.pending.iter().any(Pending::waits)
    }

    /// Gives up everything pending: what answered it cannot be told.
    fn lose_course(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        self.adrift.get_or_insert(reason);
        self.session = self.session.forget();
        self.untold = 0;
        let reading = self.reading.take();
        for pending in std::mem::take(&mut self.pending).into_iter().chain(reading) {
            if pending.response.is_some() {
                pending.report(Outcome::Partial, &self.session, context);
            } else if !pending.reported {
                context.exchanges.give_up(reason, 1);
            }
        }
    }

    /// What follows is not commands and replies.
    fn become_opaque(&mut self, context: &mut Context<'_>) {
        self.lose_course(self.adrift.unwrap_or(UnpairedReason::Ambiguous), context);
        (self.requests, self.replies) = (Place::Opaque, Place::Opaque);
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        match side {
            Side::Client => self.read_requests(input, context),
            Side::Server => self.read_replies(input, context),
        }
    }

    fn passed(&mut self, side: Side, end: Position, last: Origin, context: &mut Context<'_>) {
        match side {
            Side::Client if self.requests == Place::Inside && self.request_frames.is_done() => {
                self.request_ends(end, context);
            }
            Side::Server if self.replies == Place::Inside && self.reply_frames.is_done() => {
                self.part_ends(end, last, context);
            }
            _ => {}
        }
    }

    fn heard(&mut self, side: Side, end: Position, last: Origin) {
        if side == Side::Client {
            // A command that is not there yet is not said.
            if self.said_to.replace(end) != Some(end) {
                self.said_ns = Some(last.ended_ns);
            }
            return;
        }
        self.answered_to = (end, last);
        let is_adrift = self.replies == Place::Adrift;
        let Some(front) = self.pending.front_mut() else { return };
        match &mut front.response {
            Some(response) => response.heard_to = (end, last.moved_ns(response.started_ns)),
            None => front.maybe_answered |= is_adrift && last.ended_ns >= front.started_ns,
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        match side {
            Side::Client => self.lose_requests(reason, context),
            Side::Server => self.lose_replies(reason, context),
        }
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        self.report_silence(watermark_ns, context);
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        // Who was answered cannot be told, or whether anybody would have been.
        let is_lost = !self.proven && (self.mid_stream || !self.is_resp)
            || self.pipelines && self.replies == Place::Adrift;
        let reading = self.reading.take();
        // What came until the end may be the replies to others.
        let is_only = self.pending.len() == 1 && reading.is_none() && self.untold == 0;
        let is_alone = is_only && !self.pipelines && self.adrift.is_none();
        for pending in std::mem::take(&mut self.pending).into_iter().chain(reading) {
            match pending.outcome_at_close(ending, is_alone) {
                Some(outcome) if !is_lost || pending.response.is_some() => {
                    pending.report(outcome, &self.session, context);
                }
                _ if pending.reported => {}
                _ => context.exchanges.give_up(self.adrift.unwrap_or(UnpairedReason::Gap), 1),
            }
        }
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        let reading = self.reading.take();
        let given_up = self.pending.drain(..).chain(reading).filter(|pending| !pending.reported);
        context.exchanges.give_up(UnpairedReason::Withdrawn, given_up.count() as u64);
    }
}

#[cfg(test)]
mod tests;
