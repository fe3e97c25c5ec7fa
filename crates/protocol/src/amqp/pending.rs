//! A method on its way to what answers it, and the view that becomes of both.

use alaz_model::{Attributes, Message, Outcome, Position, Protocol};
use compact_str::{CompactString, format_compact};

use super::parse::{
    BASIC_DELIVER, BASIC_GET, BASIC_PUBLISH, BASIC_RETURN, Frame, Id, Method, known,
};
use crate::dialogue::{Context, Side, Told};
use crate::pattern::pattern;
use crate::stream::{Input, Origin};

/// A method that was said, with its content, as much of both as was seen.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: Id,
    /// Who said it.
    pub(super) by: Side,
    pub(super) target: CompactString,
    pub(super) routing_key: CompactString,
    /// What a delivery or a publishing is known by.
    pub(super) tag: u64,
    pub(super) position: Position,
    pub(super) origin: Origin,
    pub(super) started_ns: u64,
    /// Of `basic.consume`: the tag that the consumer gets, if the client chose it.
    pub(super) consumer: CompactString,
    /// Deliveries to that consumer, or this one, are not acknowledged.
    pub(super) no_ack: bool,
    /// Bytes of its frames.
    pub(super) bytes: u64,
    pub(super) body_bytes: Option<u64>,
    /// Something that it needs was not seen.
    pub(super) is_partial: bool,
    /// It was reported as never answered.
    pub(super) reported: bool,
    pub(super) answer: Option<Answer>,
}

/// What answered a method.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) pid: u32,
    pub(super) bytes: u64,
    /// Its end was not seen.
    pub(super) is_cut: bool,
    pub(super) status: CompactString,
    pub(super) failed: bool,
}

pub(super) const OK: CompactString = CompactString::const_new("ok");

impl Pending {
    /// Begins with the first byte of the input; `bytes` are those of the frame.
    pub(super) fn new(
        method: &Method<'_>,
        by: Side,
        bytes: usize,
        not_before_ns: u64,
        input: &Input<'_>,
    ) -> Pending {
        let origin = input.origin(0);
        let (exchange, routing_key) = (pattern(method.exchange), pattern(method.routing_key));
        let target = match method.id {
            BASIC_PUBLISH | BASIC_DELIVER | BASIC_RETURN => route(&exchange, &routing_key),
            _ if method.queue.is_empty() => exchange,
            _ => pattern(method.queue),
        };
        Pending {
            id: method.id,
            by,
            target,
            routing_key,
            tag: method.delivery,
            position: input.position,
            origin,
            started_ns: origin.moved_ns(not_before_ns),
            consumer: String::from_utf8_lossy(method.consumer).into(),
            no_ack: method.no_ack,
            bytes: bytes as u64,
            body_bytes: None,
            is_partial: !method.is_whole,
            reported: false,
            answer: None,
        }
    }

    /// Hands on what is known. Only a whole exchange has a latency.
    pub(super) fn report(&self, outcome: Outcome, vhost: &str, context: &mut Context<'_>) {
        if self.reported {
            return;
        }
        let answer = self.answer.as_ref();
        let is_partial = self.is_partial || answer.is_some_and(|answer| answer.is_cut);
        let is_cut = is_partial && outcome == Outcome::Complete;
        let outcome = if is_cut { Outcome::Partial } else { outcome };
        let name = known(self.id).map_or("", |(name, _)| name);
        let answered = answer.map_or(0, |answer| answer.bytes);
        let (request_bytes, response_bytes) = match self.by {
            // What the server says on its own account comes from the server.
            Side::Server => (answered, self.bytes),
            Side::Client => (self.bytes, answered),
        };
        let pid = answer.map_or(self.origin.pid, |answer| answer.pid);
        let status = answer.filter(|_| !is_cut).map(|answer| answer.status.clone());
        context.tell(Told {
            request_position: self.position,
            response_position: answer.map(|answer| answer.position),
            started_ns: self.started_ns,
            response_ns: answer.map(|answer| answer.started_ns),
            ended_ns: answer.map_or(self.started_ns, |answer| answer.ended_ns),
            client_pid: if self.by == Side::Client { self.origin.pid } else { pid },
            server_pid: if self.by == Side::Client { pid } else { self.origin.pid },
            message: Message {
                protocol: Protocol::Amqp,
                method: CompactString::const_new(name),
                target: self.target.clone(),
                route: self.target.clone(),
                status: status.unwrap_or_default(),
                error: answer.is_some_and(|answer| answer.failed) || outcome.is_error(),
                outcome,
                request_bytes,
                response_bytes,
                attributes: self.attributes(name, vhost),
            },
        });
    }

    /// OpenTelemetry semantic conventions, messaging attributes.
    fn attributes(&self, name: &'static str, vhost: &str) -> Attributes {
        let text = CompactString::const_new;
        let mut attributes = Attributes::new();
        attributes.push(("messaging.system", text("rabbitmq")));
        attributes.push(("messaging.operation.name", text(name)));
        let kind = match self.id {
            BASIC_PUBLISH => Some("send"),
            BASIC_DELIVER => Some("process"),
            BASIC_GET => Some("receive"),
            _ => None,
        };
        if let Some(kind) = kind {
            attributes.push(("messaging.operation.type", text(kind)));
        }
        for (key, value) in [
            ("messaging.destination.name", &self.target),
            ("messaging.rabbitmq.destination.routing_key", &self.routing_key),
        ] {
            if !value.is_empty() {
                attributes.push((key, value.clone()));
            }
        }
        if let Some(bytes) = self.body_bytes {
            attributes.push(("messaging.message.body.size", format_compact!("{bytes}")));
        }
        if !vhost.is_empty() {
            attributes.push(("alaz.vhost", vhost.into()));
        }
        if self.by == Side::Server {
            attributes.push(("alaz.direction", text("push")));
        }
        attributes
    }
}

impl Answer {
    /// The frame that the input begins with.
    pub(super) fn new(frame: &Frame<'_>, not_before_ns: u64, input: &Input<'_>) -> Answer {
        let origin = input.origin(0);
        let started_ns = origin.moved_ns(not_before_ns);
        let last = input.origin(frame.length.min(input.bytes.len()).saturating_sub(1));
        Answer {
            position: input.position,
            started_ns,
            ended_ns: last.moved_ns(started_ns),
            pid: origin.pid,
            bytes: frame.length as u64,
            is_cut: !frame.is_whole,
            status: OK,
            failed: false,
        }
    }

    /// The same with the code of why something was refused or closed (200, and 0 as some clients
    /// say: nothing was wrong).
    pub(super) fn with_code(self, code: u16) -> Answer {
        if code == SUCCESS || code == 0 {
            return self;
        }
        Answer { status: format_compact!("{code}"), failed: true, ..self }
    }
}

/// `reply-success` (specification §1.2).
const SUCCESS: u16 = 200;

/// The default exchange has no name: its routing keys are names of queues.
fn route(exchange: &str, routing_key: &str) -> CompactString {
    match (exchange, routing_key) {
        ("", queue) => queue.into(),
        (exchange, "") => exchange.into(),
        _ => format_compact!("{exchange}/{routing_key}"),
    }
}
