//! What the server says.

use alaz_model::{Outcome, Position, UnpairedReason};
use compact_str::CompactString;

use super::commands::{Effect, error_code, is_known};
use super::opening::{self, Kind, Opening};
use super::parse::{Frames, Reading, Then};
use super::pending::{Answer, Pending, Push, Response};
use super::{Conversation, Part, Place};
use crate::dialogue::Context;
use crate::pattern::pattern;
use crate::stream::{Input, Origin, Step};

/// What to make of the beginning of a message.
enum Opened {
    Is(Part),
    /// The command that it answers was not read yet.
    Wait,
    /// It answers nothing that was seen.
    Orphan,
}

impl Conversation {
    pub(super) fn read_replies(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        match self.replies {
            Place::Opaque => Some(Step::Ignore),
            Place::Inside => self.walk_reply(input, context),
            Place::Adrift => self.find_course(input, context),
            Place::Start => self.read_opening(input, context),
        }
    }

    fn read_opening(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        // A primary that is not ready says empty lines.
        let front = self.pending.front();
        let replicates = |front: &Pending| matches!(front.command.effect, Effect::Replicate { .. });
        if input.bytes.starts_with(b"\n") && front.is_some_and(replicates) {
            return Some(Step::read(1));
        }
        let opening = match opening::opening(input.bytes, input.cut) {
            Reading::Whole(opening) => opening,
            Reading::More => return Some(Step::More),
            Reading::Invalid if !self.proven => return None,
            Reading::Invalid => {
                self.lose_replies(UnpairedReason::Gap, context);
                return Some(Step::Ignore);
            }
        };
        if self.is_command(&opening) {
            return None;
        }
        // What tells of a reply comes before it, and is not part of it.
        if opening.kind == Kind::Attribute {
            let (bytes, count) = opening.attribute;
            self.reply_frames = Frames::of(count);
            self.replies = if count > 0 { Place::Inside } else { Place::Start };
            self.part = Part::Aside;
            return Some(Step::read(bytes));
        }
        match self.place(&opening, input) {
            Opened::Is(part) => {
                self.proven |= part != Part::Aside;
                self.begin_part(part, &opening, input);
                self.walk_reply(input, context)
            }
            Opened::Wait => Some(Step::Wait),
            Opened::Orphan => Some(self.orphan(context)),
        }
    }

    /// Who spoke was guessed by who said a command first; a reply may have looked like one.
    fn is_command(&self, opening: &Opening<'_>) -> bool {
        self.mid_stream && !self.proven && opening.kind == Kind::Array && is_known(opening.word)
    }

    fn place(&self, opening: &Opening<'_>, input: &Input<'_>) -> Opened {
        let confirms = opening::is_confirmation(opening.word);
        let effect = self.pending.front().map(|front| front.command.effect);
        let subscribes =
            matches!(effect, Some(Effect::Subscribe { .. } | Effect::Unsubscribe { .. }));
        let may_be_push = match effect {
            None => self.session.is_subscribed(),
            Some(effect) => subscribes || matches!(effect, Effect::Ping | Effect::Reset),
        };
        let is_resp2_array = opening.kind == Kind::Array && !self.session.is_resp3;
        match opening.kind {
            Kind::Push | Kind::Array if confirms && (subscribes || effect.is_none()) => {}
            Kind::Push if confirms => return Opened::Is(Part::Aside),
            Kind::Push => return Opened::Is(Part::Push),
            _ if is_resp2_array && may_be_push && opening::is_published(opening.word) => {
                return Opened::Is(Part::Push);
            }
            _ if self.untold > 0 => return Opened::Is(Part::Untold),
            _ => {}
        }
        match self.pending.front() {
            None if !input.forced => Opened::Wait,
            None if opening.kind == Kind::Push => Opened::Is(Part::Aside),
            None => Opened::Orphan,
            Some(front) if input.origin(0).ended_ns < front.started_ns => Opened::Orphan,
            Some(_) if confirms && subscribes => Opened::Is(Part::Confirmation),
            Some(_) => Opened::Is(Part::Reply),
        }
    }

    fn begin_part(&mut self, part: Part, opening: &Opening<'_>, input: &Input<'_>) {
        self.replies = Place::Inside;
        self.part = part;
        self.reply_frames = Frames::of(1);
        self.session.is_resp3 |= opening.kind == Kind::Push;
        match part {
            Part::Push => {
                self.push = Some(Push {
                    method: push_name(opening.word),
                    target: pattern(opening.channel),
                    position: input.position,
                    origin: input.origin(0),
                });
            }
            Part::Reply | Part::Confirmation => {
                if part == Part::Confirmation {
                    self.session.confirmed(opening.word, opening.total);
                }
                if let Some(front) = self.pending.front_mut()
                    && front.response.is_none()
                {
                    front.response = Some(response(opening, front.started_ns, input));
                }
            }
            Part::Untold | Part::Aside => {}
        }
    }

    fn walk_reply(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let walk = self.reply_frames.walk(input.bytes);
        let bytes = walk.taken;
        Some(match walk.then {
            Then::End => {
                let last = input.origin(bytes.saturating_sub(1));
                self.part_ends(input.position.plus(bytes as u64), last, context);
                Step::read(bytes)
            }
            Then::Pass(content) => Step::Read { bytes, then_pass: content },
            Then::More if bytes > 0 => Step::read(bytes),
            Then::More => Step::More,
            Then::Invalid => {
                self.lose_replies(UnpairedReason::Gap, context);
                Step::Ignore
            }
        })
    }

    /// A reply to a command that was not seen.
    fn orphan(&mut self, context: &mut Context<'_>) -> Step {
        let reason = self.adrift.unwrap_or(UnpairedReason::Gap);
        context.exchanges.give_up(reason, 1);
        self.replies = Place::Adrift;
        let next_is_certain = self.pending.front().is_some_and(|front| front.is_turn);
        if !next_is_certain {
            self.lose_course(reason, context);
        }
        Step::Ignore
    }

    /// While adrift: is this the reply to a command that came after all others were answered?
    fn find_course(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let before = usize::from(self.pending.front().is_some_and(|p| p.response.is_some()));
        let is_due = self
            .pending
            .get(before)
            .is_some_and(|next| next.is_turn && input.origin(0).ended_ns >= next.started_ns);
        if !is_due && self.reading.is_some() {
            // It may answer what is still being read.
            if !input.forced {
                return Some(Step::Wait);
            }
            self.lose_course(self.adrift.unwrap_or(UnpairedReason::Gap), context);
        }
        if !input.is_fresh() || !is_due && before > 0 {
            self.pass_by(before, input, context);
            return Some(Step::Ignore);
        }
        match opening::opening(input.bytes, input.cut) {
            Reading::Whole(opening)
                if is_due || opening::is_published(opening.word) && !opening.channel.is_empty() =>
            {
                self.conclude_open_ended(context);
                self.read_opening(input, context)
            }
            // This may be the middle of anything, and tells nothing.
            _ if !is_due => {
                self.pass_by(before, input, context);
                Some(Step::Ignore)
            }
            Reading::Whole(_) | Reading::More => Some(Step::More),
            Reading::Invalid if !self.proven => None,
            // Something before that command was not answered after all.
            Reading::Invalid => {
                self.pipelines = true;
                self.lose_course(UnpairedReason::Gap, context);
                Some(Step::Ignore)
            }
        }
    }

    /// What is not read may answer a command that had been sent when it came.
    fn pass_by(&mut self, next: usize, input: &Input<'_>, context: &mut Context<'_>) {
        let last_ns = input.origin(input.bytes.len() - 1).ended_ns;
        let is_due = |next: &Pending| next.is_turn && last_ns >= next.started_ns;
        if self.pending.get(next).is_some_and(is_due) {
            self.lose_course(self.adrift.unwrap_or(UnpairedReason::Gap), context);
        }
    }

    /// What the server was saying has ended.
    pub(super) fn part_ends(&mut self, end: Position, last: Origin, context: &mut Context<'_>) {
        self.replies = Place::Start;
        match std::mem::replace(&mut self.part, Part::Aside) {
            Part::Reply => self.reply_ends(end, last, context),
            Part::Confirmation => {
                let Some(front) = self.pending.front_mut() else { return };
                let due = front.confirmations.unwrap_or_else(|| match front.command.effect {
                    Effect::Unsubscribe { channels: 0, of } => self.session.confirmations(of),
                    Effect::Unsubscribe { channels, .. } | Effect::Subscribe { channels } => {
                        channels
                    }
                    _ => 1,
                });
                front.confirmations = Some(due.saturating_sub(1));
                if due <= 1 {
                    self.reply_ends(end, last, context);
                }
            }
            Part::Push => {
                let Some(push) = self.push.take() else { return };
                // Between the confirmations of one reply.
                if let Some(response) = self.pending.front_mut().and_then(|p| p.response.as_mut()) {
                    response.pushed_bytes += push.bytes(end);
                }
                push.report(end, last, context);
            }
            Part::Untold => self.untold = self.untold.saturating_sub(1),
            Part::Aside => {}
        }
    }

    fn reply_ends(&mut self, end: Position, last: Origin, context: &mut Context<'_>) {
        let Some(mut front) = self.pending.pop_front() else { return };
        self.untold += front.untold_after;
        let Some(response) = &mut front.response else { return };
        response.heard_to = (end, last.moved_ns(response.started_ns));
        let answer = response.what;
        // Its last bytes were passed over unseen: when they came is not known.
        let is_timed = last.is_known();
        let outcome = if is_timed { Outcome::Complete } else { Outcome::Partial };
        front.report(outcome, &self.session, context);
        self.apply(front.command.effect, answer, context);
    }

    /// What a command has changed, by its reply.
    fn apply(&mut self, effect: Effect, answer: Answer, context: &mut Context<'_>) {
        let session = &mut self.session;
        match (effect, answer) {
            (_, Answer::Error) => {}
            (Effect::Select(database), Answer::Queued) => session.queued_database = database,
            (Effect::Select(database), _) => session.database = database,
            (Effect::Exec, Answer::Other) => {
                session.database = session.queued_database.take().or(session.database);
            }
            (Effect::Exec | Effect::Discard, _) => session.queued_database = None,
            (Effect::Hello, _) => session.is_resp3 = answer == Answer::Map,
            (Effect::Reset, _) => *session = super::Session::new(),
            (Effect::Monitor | Effect::Replicate { .. }, _) => self.become_opaque(context),
            _ => {}
        }
    }

    /// Something of what the server said is missing.
    pub(super) fn lose_replies(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        if self.replies == Place::Opaque {
            return;
        }
        let is_reply = self.replies == Place::Adrift || self.part == Part::Reply;
        let is_alone = self.pending.iter().filter(|pending| pending.response.is_none()).count()
            == 0
            && self.untold == 0
            && self.reading.is_none();
        let front = self.pending.front_mut();
        match front.and_then(|front| front.response.as_mut()) {
            // The end of this one will show in the next command, if the client waits for it.
            Some(response) if is_reply && is_alone && !self.pipelines => {
                response.is_open_ended = true;
            }
            _ => self.lose_course(reason, context),
        }
        self.replies = Place::Adrift;
        self.part = Part::Aside;
        self.push = None;
    }

    /// The reply before a turn has ended, since the client went on.
    fn conclude_open_ended(&mut self, context: &mut Context<'_>) {
        if self.pending.front().is_some_and(|front| front.response.is_some())
            && let Some(front) = self.pending.pop_front()
        {
            front.report(Outcome::Complete, &self.session, context);
        }
    }
}

fn response(opening: &Opening<'_>, not_before_ns: u64, input: &Input<'_>) -> Response {
    let origin = input.origin(0);
    let started_ns = origin.moved_ns(not_before_ns);
    let (what, status) = match opening.kind {
        Kind::Error => (Answer::Error, error_code(opening.word)),
        Kind::Simple if opening.word == b"QUEUED" => (Answer::Queued, OK),
        Kind::Null => (Answer::Nothing, OK),
        Kind::Map => (Answer::Map, OK),
        _ => (Answer::Other, OK),
    };
    Response {
        status,
        what,
        position: input.position,
        started_ns,
        pid: origin.pid,
        heard_to: (input.position, started_ns),
        pushed_bytes: 0,
        is_open_ended: false,
    }
}

const OK: CompactString = CompactString::const_new("ok");

/// Known pushes by their word; others, such as those of modules, without a name.
fn push_name(word: &[u8]) -> CompactString {
    CompactString::const_new(match word {
        b"message" => "MESSAGE",
        b"pmessage" => "PMESSAGE",
        b"smessage" => "SMESSAGE",
        b"invalidate" => "INVALIDATE",
        _ => "PUSH",
    })
}
