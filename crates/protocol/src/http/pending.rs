//! A request on its way to its response, and the view that becomes of both.

use alaz_model::{Attributes, CloseReason, Message, Outcome, Position, Protocol};
use compact_str::CompactString;

use super::Place;
use super::target::Target;
use crate::dialogue::{Context, Ending, Told};

/// A request, and as much of its response as was seen.
pub(super) struct Pending {
    pub(super) method: CompactString,
    pub(super) target: Target,
    pub(super) host: CompactString,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    /// Just after its last byte, once that is known.
    pub(super) end: Option<Position>,
    /// Just after its last byte that was seen.
    pub(super) seen_to: Position,
    /// It came when every earlier request must have been answered.
    pub(super) is_turn: bool,
    /// Its head was cut, and the rest may hide requests sent together with it.
    pub(super) may_hide_others: bool,
    /// Requests before it may not have been seen, the last of them then.
    pub(super) unseen_ns: Option<u64>,
    /// It asks to go on in HTTP/2.
    pub(super) asks_for_h2c: bool,
    /// It was reported as never answered.
    pub(super) reported: bool,
    /// Bytes that nobody could read came after it: they may have been its response.
    pub(super) maybe_answered: bool,
    pub(super) response: Option<Response>,
}

pub(super) struct Response {
    pub(super) status: u16,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    /// Just after its last byte that was seen, and when that was moved.
    pub(super) heard_to: (Position, u64),
    /// Its end cannot be told from its bytes, only from what comes after it.
    pub(super) is_open_ended: bool,
    /// Its end is known.
    pub(super) is_whole: bool,
    /// Its last byte was seen, and so when it came.
    pub(super) is_timed: bool,
}

impl Pending {
    /// Neither answered nor being answered by something whose end must be guessed from outside.
    pub(super) fn waits(&self) -> bool {
        match &self.response {
            None => true,
            Some(response) => !response.is_open_ended && !response.is_whole,
        }
    }

    /// What a connection's end makes of it; `None` where nobody can say.
    pub(super) fn outcome_at_close(
        &self,
        ending: Ending,
        responses: Place,
        is_alone: bool,
    ) -> Option<Outcome> {
        let is_orderly = ending.reason == CloseReason::Finished;
        let ends_here = is_orderly && ending.is_answer_seen;
        match &self.response {
            Some(response) if response.is_whole && response.is_timed => Some(Outcome::Complete),
            Some(response) if response.is_whole => Some(Outcome::Partial),
            // Where it ends nobody can say but an orderly close of which nothing is missing.
            Some(response) if response.is_open_ended && ends_here && is_alone => {
                Some(self.outcome_at_turn())
            }
            Some(response) if response.is_open_ended => Some(Outcome::Partial),
            Some(_) if responses == Place::UntilClose && ends_here => Some(Outcome::Complete),
            Some(_) if responses == Place::UntilClose && is_orderly => Some(Outcome::Partial),
            Some(_) => Some(Outcome::Reset),
            None if self.maybe_answered => None,
            None if ending.reason == CloseReason::Reset => Some(Outcome::Reset),
            None => Some(Outcome::NoResponse),
        }
    }

    /// What the beginning of the next turn makes of it, when its end did not show: where unseen
    /// requests may have been answered as well, it is not the end of this response.
    pub(super) fn outcome_at_turn(&self) -> Outcome {
        if self.may_hide_others { Outcome::Partial } else { Outcome::Complete }
    }

    /// Hands on what is known. Only a whole exchange has a latency.
    pub(super) fn report(&self, outcome: Outcome, context: &mut Context<'_>) {
        if self.reported {
            return;
        }
        let response = self.response.as_ref();
        let status =
            response.map_or_else(CompactString::default, |response| three_digits(response.status));
        let failed = response.is_some_and(|response| response.status >= 500);
        // Where its end is not known, its size is not either.
        let response_bytes = response
            .filter(|response| outcome != Outcome::Partial || response.is_whole)
            .map_or(0, |response| bytes(response.heard_to.0, response.position));
        context.tell(Told {
            request_position: self.position,
            response_position: response.map(|response| response.position),
            started_ns: self.started_ns,
            response_ns: response.map(|response| response.started_ns),
            ended_ns: response.map_or(self.started_ns, |response| response.heard_to.1),
            client_pid: self.pid,
            server_pid: response.map_or(self.pid, |response| response.pid),
            message: Message {
                protocol: Protocol::Http,
                method: self.method.clone(),
                target: self.target.shown.clone(),
                route: self.target.route.clone(),
                status,
                error: failed || outcome.is_error(),
                outcome,
                request_bytes: bytes(self.end.unwrap_or(self.seen_to), self.position),
                response_bytes,
                attributes: self.attributes(),
            },
        });
    }

    /// OpenTelemetry semantic conventions, HTTP attributes.
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.push(("http.request.method", self.method.clone()));
        if !self.target.path.is_empty() {
            attributes.push(("url.path", self.target.path.clone()));
        }
        if !self.host.is_empty() {
            attributes.push(("server.address", self.host.clone()));
        }
        attributes
    }
}

/// A status code as text; this is on the way of every exchange, and formatting takes long.
fn three_digits(status: u16) -> CompactString {
    let digit = |of: u16| char::from_digit(u32::from(status / of % 10), 10);
    [100, 10, 1].into_iter().filter_map(digit).collect()
}

fn bytes(end: Position, start: Position) -> u64 {
    u64::try_from(end.since(start)).unwrap_or(0)
}
