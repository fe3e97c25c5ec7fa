//! A request on its way to its reply, and the view that becomes of both.

use alaz_model::{Attributes, Message, Outcome, Position, Protocol};
use compact_str::CompactString;

use super::found::{Answered, Asked, Status};
use super::parse::{self, Head, Kind};
use crate::dialogue::{Context, Told};
use crate::numbered::Numbered;
use crate::stream::{Input, Origin};

/// A request, as much of it as was seen.
pub(super) struct Request {
    pub(super) id: i32,
    pub(super) asked: Asked,
    pub(super) position: Position,
    pub(super) origin: Origin,
    pub(super) started_ns: u64,
    /// Bytes of the message.
    pub(super) bytes: u64,
    /// The client wants no reply.
    pub(super) is_one_way: bool,
    /// What it asks for could not be read, not even whether a reply is due.
    pub(super) is_blind: bool,
    /// The reply is a command's.
    pub(super) is_command: bool,
    /// Nobody asked: it stands for one more reply to an earlier request.
    pub(super) is_push: bool,
    /// It was reported as never answered.
    pub(super) reported: bool,
}

/// A reply, as much of it as was seen.
pub(super) struct Reply {
    pub(super) id: i32,
    pub(super) answered: Answered,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) pid: u32,
    /// Bytes of the message.
    pub(super) bytes: u64,
    /// One more reply follows, which answers this one.
    pub(super) has_more_to_come: bool,
}

/// What more replies will come to.
pub(super) struct Chain {
    /// The number of the newest of them.
    pub(super) id: i32,
    pub(super) asked: Asked,
}

impl Numbered for Request {
    fn started_ns(&self) -> u64 {
        self.started_ns
    }

    fn is_reported(&self) -> bool {
        self.reported
    }

    fn set_reported(&mut self) {
        self.reported = true;
    }

    fn report_unanswered(&self, outcome: Outcome, context: &mut Context<'_>) {
        self.report(None, outcome, context);
    }
}

impl Request {
    /// Begins with the first byte of the input.
    pub(super) fn new(head: &Head<'_>, input: &Input<'_>) -> Request {
        let origin = input.origin(0);
        Request {
            id: head.id,
            asked: Asked::default(),
            position: input.position,
            origin,
            started_ns: origin.moved_ns(0),
            bytes: head.length,
            is_one_way: false,
            is_blind: false,
            is_command: true,
            is_push: false,
            reported: false,
        }
    }

    /// What a reply that nobody asked for answers.
    pub(super) fn of_chain(chain: &Chain, head: &Head<'_>, input: &Input<'_>) -> Request {
        Request { asked: chain.asked.clone(), bytes: 0, is_push: true, ..Request::new(head, input) }
    }

    /// Takes what the kind of its message says.
    pub(super) fn take_kind(&mut self, kind: &Kind<'_>) {
        match *kind {
            Kind::Message { .. } => self.is_one_way = kind.has_more_to_come(),
            Kind::Query { namespace } => {
                self.asked.take_namespace(namespace);
                self.is_command = parse::is_command(namespace);
                if self.is_command {
                    self.asked.collection = CompactString::default();
                } else {
                    self.asked.method = CompactString::const_new("find");
                }
            }
            Kind::Old { command, namespace, is_answered } => {
                self.asked.take_namespace(namespace);
                self.asked.method = CompactString::const_new(command);
                self.is_one_way = !is_answered;
                self.is_command = false;
            }
            Kind::Reply { .. } | Kind::Compressed(_) => self.is_blind = true,
        }
    }

    /// Hands on what is known. Only a whole exchange has a latency.
    pub(super) fn report(
        &self,
        reply: Option<&Reply>,
        outcome: Outcome,
        context: &mut Context<'_>,
    ) {
        if self.reported {
            return;
        }
        let status = reply.map(|reply| reply.answered.status()).unwrap_or_default();
        let target = self.asked.target();
        // A push has no request to begin with.
        let answer = reply.filter(|_| !self.is_push);
        context.tell(Told {
            request_position: self.position,
            response_position: answer.map(|reply| reply.position),
            started_ns: self.started_ns,
            response_ns: answer.map(|reply| reply.started_ns),
            ended_ns: reply.map_or(self.started_ns, |reply| reply.ended_ns),
            client_pid: self.origin.pid,
            server_pid: reply.map_or(self.origin.pid, |reply| reply.pid),
            message: Message {
                protocol: Protocol::Mongodb,
                method: self.asked.method.clone(),
                route: target.clone(),
                target,
                status: status.text.clone(),
                error: status.failed || outcome.is_error(),
                outcome,
                request_bytes: self.bytes,
                response_bytes: reply.map_or(0, |reply| reply.bytes),
                attributes: self.attributes(status),
            },
        });
    }

    /// OpenTelemetry semantic conventions, database attributes.
    fn attributes(&self, status: Status) -> Attributes {
        let word = CompactString::const_new;
        let mut attributes = Attributes::new();
        attributes.push(("db.system.name", word("mongodb")));
        let asked = &self.asked;
        for (key, value) in [
            ("db.operation.name", &asked.method),
            ("db.namespace", &asked.database),
            ("db.collection.name", &asked.collection),
        ] {
            if !value.is_empty() {
                attributes.push((key, value.clone()));
            }
        }
        if status.failed && !status.text.is_empty() {
            attributes.push(("db.response.status_code", status.text));
            attributes.push(("error.type", status.error_type));
        }
        if asked.waits {
            attributes.push(("alaz.waiting", word("true")));
        }
        if self.is_push {
            attributes.push(("alaz.direction", word("push")));
        }
        attributes
    }
}

impl Reply {
    /// Begins with the first byte of the input.
    pub(super) fn new(request: &Request, head: &Head<'_>, input: &Input<'_>) -> Reply {
        let origin = input.origin(0);
        let started_ns = origin.moved_ns(request.started_ns);
        Reply {
            id: head.id,
            answered: Answered::default(),
            position: input.position,
            started_ns,
            ended_ns: started_ns,
            pid: origin.pid,
            bytes: head.length,
            has_more_to_come: false,
        }
    }
}
