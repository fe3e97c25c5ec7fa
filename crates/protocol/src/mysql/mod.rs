//! MySQL and MariaDB (handshake version 10, protocol 4.1).
//!
//! The client sends a command, whose packet has the sequence number 0, and the server answers with
//! packets that are numbered on from there. Replies come in the order of the commands. Where a reply
//! ends depends on what was agreed upon at the beginning (whether an EOF packet follows the column
//! definitions, for instance) and is found from the first result where that was not seen.
//!
//! * The number of each packet must follow that of the one before: what does not fit is not paired.
//! * What is missing of the reply to the only open command does no harm: the client waits for its
//!   end. Of large results only the beginning and the end are copied.
//! * When other bytes are missing, the connection is *adrift* until the client sends a command after
//!   everything must have been answered.
//! * What is compressed, encrypted, or a stream of replication events is not read.

mod blind;
mod pair;
mod parse;
mod requests;
mod responses;

use std::collections::VecDeque;
use std::sync::Arc;

use alaz_model::{CloseReason, Outcome, Position, Protocol, UnpairedReason};

use crate::dialogue::{Context, Dialogue, Ending, Entry, Side, Start};
use crate::remembered::Remembered;
use crate::sql::{Dialect, Statement};
use crate::stream::{Input, Origin, Step};
use pair::{Asked, Session, Stage};

/// MySQL in the list of protocols.
pub(crate) const ENTRY: Entry = Entry { protocol: Protocol::Mysql, claim: parse::claim, begin };

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Where the client's direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the answer to the greeting.
    Login,
    Packet,
    /// In a packet that the next one continues.
    Continued,
    /// Anywhere: commands are expected only where a segment begins.
    Adrift,
    /// In what is not read.
    Opaque,
}

/// What is said on one connection.
struct Conversation {
    requests: Place,
    /// The server's next packet continues the one before.
    is_continued: bool,
    /// Why commands may be open that were not seen.
    adrift: Option<UnpairedReason>,
    /// Where the server's next packet begins is known.
    is_framed: bool,
    /// What was agreed upon.
    session: Session,
    /// Commands without their whole reply.
    queue: VecDeque<Asked>,
    /// Something is missing of the reply to the only open command.
    missing: Option<UnpairedReason>,
    /// The end of the segment that lacks something has not been seen.
    tail_is_due: bool,
    /// The segment that was heard last ends like a reply.
    ends_here: bool,
    /// The client sends the file that the server has asked for.
    sends_file: bool,
    /// Some of that file was not seen, perhaps also its end.
    file_unseen: bool,
    statements: Remembered<u32, Arc<Statement>>,
    last_prepared: Option<u32>,
    dialect: Dialect,
    /// The client was seen not to wait for the end of a reply.
    pipelines: bool,
    /// The server was heard to answer as it should.
    proven: bool,
    /// Just after the last byte that the server said.
    heard: (Position, Origin),
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        Conversation {
            requests: if start.mid_stream { Place::Adrift } else { Place::Login },
            is_continued: false,
            adrift: start.mid_stream.then_some(UnpairedReason::MidStream),
            is_framed: !start.mid_stream,
            session: Session::default(),
            queue: VecDeque::new(),
            missing: None,
            tail_is_due: false,
            ends_here: false,
            sends_file: false,
            file_unseen: false,
            statements: Remembered::default(),
            last_prepared: None,
            dialect: Dialect::MYSQL,
            pipelines: false,
            proven: false,
            heard: (Position::default(), start.server_heard),
        }
    }

    /// Gives up everything that was asked: what answers it cannot be told.
    fn lose_course(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        self.adrift.get_or_insert(reason);
        let given_up = self.queue.iter().filter(|asked| !asked.is_reported).count();
        context.exchanges.give_up(reason, given_up as u64);
        self.queue.clear();
        (self.is_framed, self.is_continued) = (false, false);
        (self.missing, self.ends_here) = (None, false);
        (self.sends_file, self.file_unseen) = (false, false);
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        match side {
            _ if self.requests == Place::Opaque => Some(Step::Ignore),
            Side::Client => self.read_requests(input, context),
            Side::Server => self.read_responses(input, context),
        }
    }

    /// What is passed over was counted as part of its packet when that began.
    fn passed(&mut self, _: Side, _: Position, _: Origin, _: &mut Context<'_>) {}

    fn heard(&mut self, side: Side, end: Position, last: Origin) {
        if side == Side::Server {
            self.heard = (end, last);
            if std::mem::take(&mut self.tail_is_due) && self.missing.is_some() {
                // An end may have been there.
                self.missing = Some(UnpairedReason::Gap);
            }
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        if self.requests == Place::Opaque {
            return;
        }
        match side {
            Side::Client => self.lose_requests(reason, context),
            Side::Server => self.lose_responses(reason, context),
        }
    }

    fn can_miss(&self, side: Side) -> bool {
        match side {
            Side::Client => self.can_miss_requests(),
            Side::Server => self.can_miss_responses(),
        }
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let limits = context.limits;
        self.conclude_before(watermark_ns.saturating_sub(limits.lateness_ns), context);
        let horizon_ns = watermark_ns.saturating_sub(limits.silence_ns);
        if let Some(front) = self.queue.front_mut()
            && front.reply.is_none()
            && front.begin.started_ns < horizon_ns
            && !front.is_reported
        {
            front.is_reported = true;
            self.tell(0, Outcome::NoResponse, None, context);
        }
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        self.conclude_before(u64::MAX, context);
        if self.missing == Some(UnpairedReason::Gap) {
            // Its end may have been there.
            self.lose_course(UnpairedReason::Gap, context);
        }
        for index in 0..self.queue.len() {
            let Some(asked) = self.queue.get(index).filter(|asked| !asked.is_reported) else {
                continue;
            };
            let outcome = match (&asked.reply, ending.reason) {
                // It goes on until one side has enough.
                (Some(_), CloseReason::Finished) if asked.stage == Stage::Events => {
                    if ending.is_answer_seen { Outcome::Complete } else { Outcome::Partial }
                }
                (None, CloseReason::Finished) => Outcome::NoResponse,
                _ => Outcome::Reset,
            };
            self.tell(index, outcome, Some(self.heard), context);
        }
        self.queue.clear();
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        context.exchanges.give_up(UnpairedReason::Withdrawn, self.queue.len() as u64);
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests;
