//! PostgreSQL (protocol version 3).
//!
//! Replies have no numbers: the server answers in the order in which it was asked. What it has been
//! asked stands in a queue, and each of its messages must fit the front of it:
//!
//! * A simple query is one exchange, whatever statements are in it; it ends with ReadyForQuery.
//! * In the extended protocol each Execute is one exchange. It begins with what leads up to it
//!   (Parse, Bind, Describe) and ends with its own completion. What leads up to it and fails is an
//!   exchange as well. After an error the server skips everything up to the next Sync, and so do we.
//! * Statements and portals get their names when the server confirms them.
//! * What is missing of the answer to the only open cycle does no harm: see `blind`.
//! * When other bytes are missing, everything asked is given up, and the connection is *adrift* until the
//!   client speaks after everything must have been answered. The first exchange after that is told
//!   only when ReadyForQuery confirms that nothing else was being answered. A connection older than
//!   Alaz begins like that.

mod blind;
mod pair;
mod parse;
mod requests;
mod responses;

use std::collections::VecDeque;
use std::sync::Arc;

use alaz_model::{CloseReason, Outcome, Position, Protocol, UnpairedReason};
use compact_str::CompactString;

use crate::dialogue::{Claim, Context, Dialogue, Ending, Entry, Side, Start, Told};
use crate::remembered::Remembered;
use crate::sql::{Dialect, Statement};
use crate::stream::{Input, Origin, Step};
use blind::Ready;
use pair::{Asked, Awaited, Begin, Reply, Session};

/// PostgreSQL in the list of protocols.
pub(crate) const ENTRY: Entry = Entry { protocol: Protocol::Postgresql, claim, begin };

fn claim(bytes: &[u8], cut: bool) -> Claim {
    match parse::startup(bytes) {
        parse::Reading::Is(_) => return Claim::Yes(Side::Client),
        parse::Reading::More if !cut => return Claim::Maybe,
        parse::Reading::More | parse::Reading::Invalid => {}
    }
    match parse::claim_requests(bytes) {
        Claim::Maybe if cut => Claim::No,
        claim => claim,
    }
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Where the client's direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the session begins: messages have no kind.
    Startup,
    /// Before a message.
    Message,
    /// Anywhere: messages are expected only where a segment begins.
    Adrift,
}

/// Whether the queue holds everything that the server has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It does.
    Sure,
    /// It does if the client had waited for everything before.
    Tentative,
    /// Nobody can say.
    Adrift(UnpairedReason),
}

/// What is said on one connection.
struct Conversation {
    requests: Place,
    course: Course,
    /// Where the server's next message begins is known.
    is_framed: bool,
    queue: VecDeque<Asked>,
    /// Where what leads up to the next Execute begins.
    batch: Option<Begin>,
    /// The client's last message was one that the server ends with ReadyForQuery.
    cycle_ended: bool,
    /// When the client said the first message since the one before that.
    cycle_began_ns: u64,
    /// The server skips what it is asked until a Sync that has not been read yet.
    skips: bool,
    /// The server takes COPY data: it does not answer a Sync before their end.
    copies_in: bool,
    /// Some of the COPY data was not seen, perhaps also their end.
    copies_unseen: bool,
    /// Something is missing of the answer to the only open cycle.
    missing: Option<UnpairedReason>,
    /// The end of the segment that lacks something has not been seen.
    tail_is_due: bool,
    /// Its end, perhaps.
    ready: Option<Ready>,
    /// The first of what the server has said to the front of the queue.
    reply: Option<Reply>,
    /// Waits for the course to be confirmed.
    unconfirmed: Option<Told>,
    statements: Remembered<CompactString, Arc<Statement>>,
    portals: Remembered<CompactString, Arc<Statement>>,
    session: Session,
    dialect: Dialect,
    /// The client was seen not to wait for ReadyForQuery.
    pipelines: bool,
    /// The server was heard to answer as it should.
    proven: bool,
    /// The newest of what the server said.
    heard: Origin,
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        let mid_stream = start.mid_stream;
        Conversation {
            requests: if mid_stream { Place::Adrift } else { Place::Startup },
            course: match mid_stream {
                true => Course::Adrift(UnpairedReason::MidStream),
                false => Course::Sure,
            },
            is_framed: !mid_stream,
            queue: VecDeque::new(),
            batch: None,
            cycle_ended: true,
            cycle_began_ns: 0,
            skips: false,
            copies_in: false,
            copies_unseen: false,
            missing: None,
            tail_is_due: false,
            ready: None,
            reply: None,
            unconfirmed: None,
            statements: Remembered::default(),
            portals: Remembered::default(),
            session: Session::default(),
            dialect: Dialect::POSTGRESQL,
            pipelines: false,
            proven: false,
            heard: start.server_heard,
        }
    }

    /// Gives up everything that was asked: what answers it cannot be told.
    fn lose_course(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        if !matches!(self.course, Course::Adrift(_)) {
            self.course = Course::Adrift(reason);
        }
        self.is_framed = false;
        let unconfirmed = u64::from(self.unconfirmed.take().is_some());
        let mut given_up = unconfirmed;
        for asked in std::mem::take(&mut self.queue) {
            given_up += u64::from(asked.is_exchange() && !asked.is_reported);
            self.doubt(&asked.awaited);
        }
        context.exchanges.give_up(reason, given_up);
        (self.batch, self.reply) = (None, None);
        (self.missing, self.ready) = (None, None);
        (self.skips, self.copies_in, self.copies_unseen) = (false, false, false);
    }

    /// Whether the server confirms this will not be known: what its name stands for is not either.
    fn doubt(&mut self, awaited: &Awaited) {
        match awaited {
            Awaited::Parse { name, .. } | Awaited::Close { name, is_portal: false } => {
                self.statements.remove(name);
            }
            Awaited::Bind { portal: name, .. } | Awaited::Close { name, is_portal: true } => {
                self.portals.remove(name);
            }
            _ => {}
        }
    }

    fn forget_names(&mut self) {
        self.statements.clear();
        self.portals.clear();
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        match side {
            Side::Client => self.read_requests(input, context),
            Side::Server => self.read_responses(input, context),
        }
    }

    /// What is passed over was counted as part of its message when that began.
    fn passed(&mut self, _: Side, _: Position, _: Origin, _: &mut Context<'_>) {}

    fn heard(&mut self, side: Side, _: Position, last: Origin) {
        if side == Side::Server {
            self.heard = last;
            if std::mem::take(&mut self.tail_is_due) && self.missing.is_some() {
                // An end may have been there.
                self.missing = Some(UnpairedReason::Gap);
            }
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
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
        let lateness_ns = context.limits.lateness_ns;
        self.conclude_before(watermark_ns.saturating_sub(lateness_ns), context);
        if self.reply.is_some() {
            return;
        }
        let horizon_ns = watermark_ns.saturating_sub(context.limits.silence_ns);
        let Some(first) = self.queue.iter().position(Asked::is_exchange) else { return };
        if let Some(asked) = self.queue.get_mut(first)
            && asked.begin.started_ns < horizon_ns
            && !asked.is_reported
        {
            self.tell_unanswered(first, Outcome::NoResponse, context);
            if let Some(asked) = self.queue.get_mut(first) {
                asked.is_reported = true;
            }
        }
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        let unconfirmed = u64::from(self.unconfirmed.take().is_some());
        context.exchanges.give_up(UnpairedReason::MidStream, unconfirmed);
        self.conclude_before(u64::MAX, context);
        if self.missing == Some(UnpairedReason::Gap) {
            // Its end may have been there.
            self.lose_course(UnpairedReason::Gap, context);
        }
        for index in 0..self.queue.len() {
            let is_told =
                self.queue.get(index).is_none_or(|asked| !asked.is_exchange() || asked.is_reported);
            if is_told {
                continue;
            }
            let is_cut = self.reply.is_some() || ending.reason != CloseReason::Finished;
            let outcome = if is_cut { Outcome::Reset } else { Outcome::NoResponse };
            self.tell_unanswered(index, outcome, context);
            self.reply = None;
        }
        self.queue.clear();
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        let unanswered = self.queue.drain(..).filter(|asked| asked.is_exchange()).count();
        context.exchanges.give_up(UnpairedReason::Withdrawn, unanswered as u64);
    }
}

#[cfg(test)]
mod tests;
