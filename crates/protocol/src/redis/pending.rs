//! A command on its way to its reply, and the view that becomes of both.

use alaz_model::{Attributes, CloseReason, Message, Outcome, Position, Protocol};
use compact_str::{CompactString, format_compact};

use super::commands::Command;
use super::session::Session;
use crate::dialogue::{Context, Ending, Told};
use crate::stream::Origin;

/// A command, and as much of its reply as was seen.
pub(super) struct Pending {
    pub(super) command: Command,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    /// Just after its last byte; unknown where that was not seen.
    pub(super) end: Option<Position>,
    /// A reply is due.
    pub(super) replies: bool,
    /// It came when every earlier command must have been answered.
    pub(super) is_turn: bool,
    /// It was reported as never answered.
    pub(super) reported: bool,
    /// Bytes that nobody could read came after it: they may have been its reply.
    pub(super) maybe_answered: bool,
    /// Commands after it that were not kept.
    pub(super) untold_after: u64,
    /// So many confirmations are still due, once the first has come.
    pub(super) confirmations: Option<u64>,
    pub(super) response: Option<Response>,
}

pub(super) struct Response {
    /// `ok`, or the code of the error.
    pub(super) status: CompactString,
    pub(super) what: Answer,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    /// Just after its last byte that was seen, and when that was moved.
    pub(super) heard_to: (Position, u64),
    /// So many of them are pushes.
    pub(super) pushed_bytes: u64,
    /// Its end cannot be told from its bytes, only from what comes after it.
    pub(super) is_open_ended: bool,
}

/// What matters of a reply for what comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Error,
    Queued,
    Nothing,
    Map,
    Other,
}

impl Pending {
    /// Not answered, nor being answered by something whose end must be guessed from outside.
    pub(super) fn waits(&self) -> bool {
        self.response.as_ref().is_none_or(|response| !response.is_open_ended)
    }

    /// What a connection's end makes of it; `None` where nobody can say.
    pub(super) fn outcome_at_close(&self, ending: Ending, is_alone: bool) -> Option<Outcome> {
        match &self.response {
            // Where it ends nobody can say but an orderly close of which nothing is missing.
            Some(response) if response.is_open_ended => {
                let is_orderly = ending.reason == CloseReason::Finished && ending.is_answer_seen;
                Some(if is_orderly && is_alone { Outcome::Complete } else { Outcome::Partial })
            }
            Some(_) => Some(Outcome::Reset),
            None if self.maybe_answered => None,
            None if ending.reason == CloseReason::Reset => Some(Outcome::Reset),
            None => Some(Outcome::NoResponse),
        }
    }

    /// Hands on what is known. Only a whole exchange has a latency.
    pub(super) fn report(&self, outcome: Outcome, session: &Session, context: &mut Context<'_>) {
        if self.reported {
            return;
        }
        let is_partial = self.command.is_cut && outcome == Outcome::Complete;
        let outcome = if is_partial { Outcome::Partial } else { outcome };
        let response = self.response.as_ref();
        let failed = response.is_some_and(|response| response.what == Answer::Error);
        // Where its end is not known, its size is not either.
        let response_bytes = response
            .filter(|_| outcome != Outcome::Partial)
            .map_or(0, |it| bytes(it.heard_to.0, it.position).saturating_sub(it.pushed_bytes));
        context.tell(Told {
            request_position: self.position,
            response_position: response.map(|response| response.position),
            started_ns: self.started_ns,
            response_ns: response.map(|response| response.started_ns),
            ended_ns: response.map_or(self.started_ns, |response| response.heard_to.1),
            client_pid: self.pid,
            server_pid: response.map_or(self.pid, |response| response.pid),
            message: Message {
                protocol: Protocol::Redis,
                method: self.command.method.clone(),
                target: self.command.target.clone(),
                route: self.command.target.clone(),
                status: response.map_or_else(CompactString::default, |it| it.status.clone()),
                error: failed || outcome.is_error(),
                outcome,
                request_bytes: self.end.map_or(0, |end| bytes(end, self.position)),
                response_bytes,
                attributes: self.attributes(session, failed),
            },
        });
    }

    /// OpenTelemetry semantic conventions, database attributes.
    fn attributes(&self, session: &Session, failed: bool) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.push(SYSTEM);
        if !self.command.method.is_empty() {
            attributes.push(("db.operation.name", self.command.method.clone()));
        }
        if let Some(database) = session.database {
            attributes.push(("db.namespace", format_compact!("{database}")));
        }
        if let Some(response) = self.response.as_ref().filter(|_| failed) {
            attributes.push(("db.response.status_code", response.status.clone()));
        }
        if self.command.waits {
            attributes.push(("alaz.waiting", CompactString::const_new("true")));
        }
        attributes
    }
}

const SYSTEM: (&str, CompactString) = ("db.system.name", CompactString::const_new("redis"));

/// A message that the server says without being asked.
pub(super) struct Push {
    /// Its first word, in capitals.
    pub(super) method: CompactString,
    /// The pattern of the channel.
    pub(super) target: CompactString,
    pub(super) position: Position,
    pub(super) origin: Origin,
}

impl Push {
    pub(super) fn bytes(&self, end: Position) -> u64 {
        bytes(end, self.position)
    }

    /// Hands it on; `end` is just after its last byte.
    pub(super) fn report(self, end: Position, last: Origin, context: &mut Context<'_>) {
        let response_bytes = self.bytes(end);
        context.tell(Told {
            request_position: self.position,
            response_position: None,
            started_ns: self.origin.started_ns,
            response_ns: None,
            ended_ns: last.moved_ns(self.origin.started_ns),
            client_pid: self.origin.pid,
            server_pid: self.origin.pid,
            message: Message {
                protocol: Protocol::Redis,
                attributes: [
                    SYSTEM,
                    ("db.operation.name", self.method.clone()),
                    ("alaz.direction", CompactString::const_new("push")),
                ]
                .into_iter()
                .collect(),
                method: self.method,
                route: self.target.clone(),
                target: self.target,
                status: CompactString::default(),
                error: false,
                outcome: Outcome::OneWay,
                request_bytes: 0,
                response_bytes,
            },
        });
    }
}

fn bytes(end: Position, start: Position) -> u64 {
    u64::try_from(end.since(start)).unwrap_or(0)
}
