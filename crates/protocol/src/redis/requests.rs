//! What the client says.

use alaz_model::{Outcome, Position, UnpairedReason};

use super::commands::{Command, Effect, wanted};
use super::parse::{self, Arguments, Frames, Reading, Then};
use super::pending::Pending;
use super::{Conversation, Place, claim};
use crate::dialogue::{Claim, Context, Side};
use crate::stream::{Input, Step};

impl Conversation {
    pub(super) fn read_requests(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        match self.requests {
            Place::Opaque => return Some(Step::Ignore),
            Place::Inside => return Some(self.walk_request(0, input, context)),
            Place::Start => {}
            Place::Adrift if !input.is_fresh() || self.waits() => return Some(Step::Ignore),
            Place::Adrift => match claim(input.bytes, input.cut) {
                Claim::Yes(Side::Client) => {}
                Claim::Maybe => return Some(Step::More),
                _ if !self.proven => return None,
                _ => return Some(Step::Ignore),
            },
        }
        match parse::command(input.bytes, input.cut, wanted) {
            Reading::Whole(arguments) => Some(self.begin_request(&arguments, input, context)),
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
        arguments: &Arguments<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        self.requests = Place::Start;
        // Empty lines and empty arrays are passed over.
        if arguments.count == 0 {
            return Step::read(arguments.taken);
        }
        self.is_resp |= input.bytes.starts_with(b"*");
        let command = Command::new(arguments);
        let origin = input.origin(0);
        let started_ns = origin.moved_ns(self.answered_to.1.started_ns);
        let Some(replies) = self.session.expects_reply(command.effect) else {
            self.become_opaque(context);
            return Step::Ignore;
        };
        if self.admit(&command, started_ns, replies, context) {
            self.reading = Some(Pending {
                command,
                position: input.position,
                started_ns,
                pid: origin.pid,
                end: None,
                replies,
                is_turn: self.is_quiet(started_ns),
                reported: false,
                maybe_answered: false,
                untold_after: 0,
                confirmations: None,
                response: None,
            });
        }
        if self.requests == Place::Opaque {
            return Step::Ignore;
        }
        self.said_ns = Some(started_ns);
        self.requests = Place::Inside;
        self.request_frames = Frames::of(arguments.due);
        self.walk_request(arguments.taken, input, context)
    }

    /// Goes on in a command, of which the first `from` bytes of the input are read.
    fn walk_request(&mut self, from: usize, input: &Input<'_>, context: &mut Context<'_>) -> Step {
        let walk = self.request_frames.walk(input.bytes.get(from..).unwrap_or_default());
        let bytes = from + walk.taken;
        match walk.then {
            Then::End => {
                self.request_ends(input.position.plus(bytes as u64), context);
                Step::read(bytes)
            }
            Then::Pass(content) => Step::Read { bytes, then_pass: content },
            Then::More if bytes > 0 => Step::read(bytes),
            Then::More => Step::More,
            Then::Invalid => {
                self.lose_requests(UnpairedReason::Gap, context);
                Step::Ignore
            }
        }
    }

    pub(super) fn request_ends(&mut self, end: Position, context: &mut Context<'_>) {
        self.requests = Place::Start;
        if let Some(mut request) = self.reading.take() {
            request.end = Some(end);
            self.expect_reply(request, context);
        }
    }

    /// A command was said, with or without its end being seen.
    fn expect_reply(&mut self, request: Pending, context: &mut Context<'_>) {
        if request.replies {
            self.pending.push_back(request);
            return;
        }
        request.report(Outcome::OneWay, &self.session, context);
        if matches!(request.command.effect, Effect::Replicate { .. }) {
            self.become_opaque(context);
        }
    }

    /// Whether its reply will be told from those of other commands. A command that is not admitted is
    /// counted.
    fn admit(
        &mut self,
        command: &Command,
        started_ns: u64,
        replies: bool,
        context: &mut Context<'_>,
    ) -> bool {
        // What was passed by may have been its reply, told of before it.
        if self.replies == Place::Adrift && started_ns < self.answered_to.1.ended_ns {
            self.adrift.get_or_insert(UnpairedReason::Gap);
        }
        if let Some(reason) = self.adrift {
            if !self.is_quiet(started_ns) {
                context.exchanges.give_up(reason, 1);
                self.skip(command, context);
                return false;
            }
            // What is being answered may have been followed by replies to unseen commands.
            for unfinished in std::mem::take(&mut self.pending) {
                unfinished.report(Outcome::Partial, &self.session, context);
            }
            self.adrift = None;
        }
        self.notice_pipelining(started_ns);
        if self.pending.len() < context.limits.pending {
            return true;
        }
        let reason = UnpairedReason::TooManyPending;
        context.exchanges.give_up(reason, 1);
        match self.pending.back_mut() {
            Some(back) if replies && command.effect == Effect::None => back.untold_after += 1,
            _ if !replies => {}
            _ => {
                self.adrift = Some(reason);
                self.skip(command, context);
            }
        }
        false
    }

    /// A command that changes what the connection is, and whose reply will not be recognised.
    fn skip(&mut self, command: &Command, context: &mut Context<'_>) {
        match command.effect {
            Effect::Monitor | Effect::Replicate { .. } | Effect::Replies(_) => {
                self.become_opaque(context);
            }
            Effect::Select(_) | Effect::Exec | Effect::Reset => self.session.database = None,
            _ => {}
        }
    }

    /// Whether a command that begins now comes after every earlier one was answered: the server was
    /// the last who spoke.
    fn is_quiet(&self, started_ns: u64) -> bool {
        !self.pipelines
            && !self.waits()
            && self.reading.is_none()
            && started_ns >= self.answered_to.1.started_ns
            && self.said_ns.is_none_or(|said_ns| said_ns < self.answered_to.1.ended_ns)
    }

    /// A client that goes on while some of its commands are answered and others not never waits.
    fn notice_pipelining(&mut self, started_ns: u64) {
        let answered_ns = self.answered_to.1.started_ns;
        self.pipelines |= self.pending.front().is_some_and(|front| {
            front.waits() && front.started_ns < answered_ns && answered_ns < started_ns
        });
    }

    /// Something of what the client said is missing. Commands before it keep their place.
    pub(super) fn lose_requests(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        if self.requests == Place::Opaque {
            return;
        }
        self.adrift.get_or_insert(reason);
        self.said_ns = Some(u64::MAX);
        self.requests = Place::Adrift;
        self.session = self.session.forget();
        if let Some(request) = self.reading.take() {
            self.expect_reply(request, context);
        }
        for pending in &mut self.pending {
            if let Effect::Select(_) | Effect::Reset = pending.command.effect {
                pending.command.effect = Effect::None;
            }
        }
    }

    /// A command that waits for longer than anybody would is reported, and its reply, should it come,
    /// is not.
    pub(super) fn report_silence(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let silence_ns = context.limits.silence_ns;
        for pending in &mut self.pending {
            let waited_ns = watermark_ns.saturating_sub(pending.started_ns);
            let is_silent = pending.response.is_none() && !pending.command.waits;
            if is_silent && !pending.reported && waited_ns > silence_ns {
                pending.report(Outcome::NoResponse, &self.session, context);
                pending.reported = true;
            }
        }
    }
}
