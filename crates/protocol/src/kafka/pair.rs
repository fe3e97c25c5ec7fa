//! A request on its way to its response, and the view that becomes of both.

use alaz_model::{Attributes, Message, Outcome, Position, Protocol};
use compact_str::{CompactString, format_compact};

use super::found::{Found, Topics};
use super::parse::RequestHead;
use super::schema::{self, Api, FETCH, JOIN_GROUP, PRODUCE, SYNC_GROUP};
use crate::dialogue::{Context, Told};
use crate::numbered::Numbered;
use crate::stream::{Input, Origin};

/// What the broker may be late with, beyond the time that it was allowed to wait.
const WAIT_MARGIN_NS: u64 = 100_000_000;

/// A request, as much of it as was seen.
pub(super) struct Request {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    /// `None` where its fields are not known.
    pub(super) api: Option<&'static Api>,
    pub(super) position: Position,
    pub(super) origin: Origin,
    pub(super) started_ns: u64,
    /// Bytes of the frame.
    pub(super) bytes: u64,
    pub(super) found: Found,
    /// It was reported as never answered.
    pub(super) reported: bool,
}

/// A response, as much of it as was seen.
pub(super) struct Response {
    pub(super) position: Position,
    pub(super) started_ns: u64,
    /// When its last byte was moved, or the last that was heard.
    pub(super) ended_ns: u64,
    pub(super) pid: u32,
    pub(super) bytes: u64,
    pub(super) found: Found,
    /// Some error codes were not seen.
    pub(super) is_unsure: bool,
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
    pub(super) fn new(head: &RequestHead<'_>, input: &Input<'_>) -> Request {
        let origin = input.origin(0);
        Request {
            key: head.key,
            version: head.version,
            correlation: head.correlation,
            api: head.api,
            position: input.position,
            origin,
            started_ns: origin.moved_ns(0),
            bytes: head.length,
            found: Found::default(),
            reported: false,
        }
    }

    /// No response is due.
    pub(super) fn is_one_way(&self) -> bool {
        self.key == PRODUCE && self.found.acks == Some(0)
    }

    /// Whether a response is due was not seen.
    pub(super) fn may_be_one_way(&self) -> bool {
        self.key == PRODUCE && self.found.acks.is_none()
    }

    /// Hands on what is known. Only a whole exchange has a latency.
    pub(super) fn report(
        &self,
        response: Option<&Response>,
        outcome: Outcome,
        context: &mut Context<'_>,
    ) {
        if self.reported {
            return;
        }
        let error = response.and_then(|response| response.found.error);
        let status = match (response, error) {
            (Some(_), Some(code)) => error_text(code),
            (Some(response), None) if !response.is_unsure && !outcome.is_error() => {
                CompactString::const_new("NONE")
            }
            _ => CompactString::default(),
        };
        let target = self.found.topics.text();
        context.tell(Told {
            request_position: self.position,
            response_position: response.map(|response| response.position),
            started_ns: self.started_ns,
            response_ns: response.map(|response| response.started_ns),
            ended_ns: response.map_or(self.started_ns, |response| response.ended_ns),
            client_pid: self.origin.pid,
            server_pid: response.map_or(self.origin.pid, |response| response.pid),
            message: Message {
                protocol: Protocol::Kafka,
                method: match schema::name(self.key) {
                    Some(name) => CompactString::const_new(name),
                    None => format_compact!("{}", self.key),
                },
                route: target.clone(),
                target,
                status,
                error: error.is_some() || outcome.is_error(),
                outcome,
                request_bytes: self.bytes,
                response_bytes: response.map_or(0, |response| response.bytes),
                attributes: self.attributes(response),
            },
        });
    }

    /// OpenTelemetry semantic conventions, messaging attributes.
    fn attributes(&self, response: Option<&Response>) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.push(("messaging.system", CompactString::const_new("kafka")));
        let (kind, moved) = match self.key {
            PRODUCE => (Some("send"), Some(&self.found)),
            FETCH => (Some("receive"), response.map(|response| &response.found)),
            _ => (None, None),
        };
        if let Some(kind) = kind {
            attributes.push(("messaging.operation.type", CompactString::const_new(kind)));
        }
        if let Some(topic) = self.found.topics.only() {
            attributes.push(("messaging.destination.name", topic.clone()));
            if self.found.partitions == 1 {
                let partition = format_compact!("{}", self.found.partition);
                attributes.push(("messaging.destination.partition.id", partition));
            }
        }
        if let Some(records) = moved.and_then(Found::record_count) {
            attributes.push(("messaging.batch.message_count", format_compact!("{records}")));
        }
        if let Some(group) = self.found.consumer_group() {
            attributes.push(("messaging.consumer.group.name", group.clone()));
        }
        if let Some(code) = response.and_then(|response| response.found.error) {
            attributes.push(("error.type", error_text(code)));
        }
        if response.is_some_and(|response| self.may_have_waited(response)) {
            attributes.push(("alaz.waiting", CompactString::const_new("true")));
        }
        attributes
    }

    /// Whether the time that the response took is no more than what the broker was asked to wait
    /// for something to tell.
    fn may_have_waited(&self, response: &Response) -> bool {
        if matches!(self.key, JOIN_GROUP | SYNC_GROUP) {
            // For the other members of the group.
            return true;
        }
        let allowed_ns = u64::from(self.found.wait_ms) * 1_000_000;
        let waited_ns = response.started_ns.saturating_sub(self.started_ns);
        allowed_ns > 0 && self.found.min_bytes > 0 && waited_ns <= allowed_ns + WAIT_MARGIN_NS
    }
}

impl Response {
    /// Begins with the first byte of the input.
    pub(super) fn new(request: &Request, bytes: u64, input: &Input<'_>) -> Response {
        let origin = input.origin(0);
        let started_ns = origin.moved_ns(request.started_ns);
        Response {
            position: input.position,
            started_ns,
            ended_ns: started_ns,
            pid: origin.pid,
            bytes,
            found: Found::default(),
            is_unsure: request.api.is_none(),
        }
    }
}

/// A code's name, or its number where it has none here.
fn error_text(code: i16) -> CompactString {
    match schema::error_name(code) {
        Some(name) => CompactString::const_new(name),
        None => format_compact!("{code}"),
    }
}

/// What a `Fetch` asks for again and again without saying so: a client says only what has changed
/// (KIP-227).
pub(super) struct FetchSession {
    pub(super) id: i32,
    pub(super) topics: Topics,
}

impl FetchSession {
    /// Completes what a request says by what its session has. `None`: it belongs to none that is
    /// known.
    pub(super) fn complete(session: Option<&mut FetchSession>, found: &mut Found) {
        if found.session_epoch.is_none_or(|epoch| epoch <= 0) {
            return;
        }
        match session.filter(|session| session.id == found.session) {
            Some(session) => {
                if found.forgets {
                    // Of which topics anything is left is not known.
                    session.topics = Topics { has_more: true, ..Topics::default() };
                }
                session.topics.join(&found.topics);
                found.topics = session.topics.clone();
            }
            None => found.topics.has_more = true,
        }
        // Partitions that did not change are fetched too.
        found.partitions = 0;
    }
}
