//! HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112).
//!
//! Requests and responses have no numbers: the first response belongs to the first request. So the
//! order is all there is, and it is kept strictly:
//!
//! * A body of known length is passed over by its length. What is missing inside it does no harm.
//! * When anything else is missing, nobody can say which requests were answered in it. All that
//!   were pending are given up, and the connection is *adrift*.
//! * It is on course again with a request that comes when every earlier one must have been answered:
//!   clients wait for the response before they send the next request. On a connection where a client
//!   was seen not to wait (pipelining), that proves nothing, and it stays adrift.
//! * The response to that request must be the very next byte of the other direction; bytes that
//!   were moved before the request was sent answer something else.
//! * Where requests may not have been seen, what the server says next may answer them: it is nobody's
//!   response, and the request after that is the first to be told.
//!
//! The same rule brings a connection on course that is older than Alaz.
//!
//! Known limit: requests pipelined in separate writes leave no trace when their answers are lost
//! before they are read.

mod chunks;
mod head;
mod pending;
mod requests;
mod responses;
pub(crate) mod target;

use std::collections::VecDeque;

use alaz_model::{Outcome, Position, Protocol, UnpairedReason};

use crate::dialogue::{
    Claim, Context, Dialogue, Ending, Entry, MISSING_NOW, Side, Start, Successor,
};
use crate::stream::{Input, Origin, Step};
use chunks::{ChunkStep, Chunks};
use pending::Pending;

/// HTTP/1 in the list of protocols.
pub(crate) const ENTRY: Entry =
    Entry { protocol: Protocol::Http, wants_depth: false, claim, begin };

/// A request line with its version is proof enough to listen; what the other side says confirms it
/// or takes it back.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    if !head::begins_with_method(bytes) {
        return Claim::No;
    }
    match head::request(bytes, cut) {
        head::Reading::Head(_) => Claim::Yes(Side::Client),
        head::Reading::More => Claim::Maybe,
        head::Reading::Invalid => Claim::No,
    }
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Where one direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a head.
    Head,
    /// In a body of known length, which the stream passes over.
    Counted,
    /// In a chunked body.
    Chunks(Chunks),
    /// In a body that ends with the connection.
    UntilClose,
    /// Anywhere: a head is expected only where a segment begins.
    Adrift,
    /// In what is no longer HTTP.
    Tunnel,
}

/// What is said on one connection.
struct Conversation {
    requests: Place,
    responses: Place,
    /// Requests without their whole response, oldest first.
    pending: VecDeque<Pending>,
    /// The newest of `pending` is the request that is being read.
    reading_newest: bool,
    /// Why the next request cannot be told apart from unseen ones.
    adrift: Option<UnpairedReason>,
    /// The client was seen to send a request before the response to the one before was there.
    pipelines: bool,
    /// A response was seen.
    proven: bool,
    /// Just after the last byte that the server said.
    answered_to: (Position, Origin),
    /// Requests may not have been seen, the last of them then; see [`MISSING_NOW`].
    unseen_ns: Option<u64>,
    /// When the server last said what answers nothing that was seen.
    strange_ns: u64,
    /// Who reads on after a change to HTTP/2.
    successor: Option<Successor>,
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        Conversation {
            requests: Place::Head,
            responses: if start.mid_stream { Place::Adrift } else { Place::Head },
            pending: VecDeque::new(),
            reading_newest: false,
            adrift: start.mid_stream.then_some(UnpairedReason::MidStream),
            pipelines: false,
            proven: false,
            answered_to: (Position::default(), start.server_heard),
            unseen_ns: start.client_missing_ns,
            strange_ns: start.server_heard.ended_ns,
            successor: None,
        }
    }

    /// Gives up everything pending: what answered it cannot be told.
    fn lose_course(&mut self, reason: UnpairedReason, context: &mut Context<'_>) {
        self.adrift.get_or_insert(reason);
        for pending in std::mem::take(&mut self.pending) {
            if pending.response.is_some() {
                pending.report(Outcome::Partial, context);
            } else if !pending.reported {
                context.exchanges.give_up(reason, 1);
            }
        }
        self.reading_newest = false;
    }

    /// One step through a chunked body.
    fn read_chunks(chunks: &mut Chunks, input: &Input<'_>) -> ChunkRead {
        match chunks.read(input.bytes) {
            ChunkStep::Framing { bytes, content } => {
                ChunkRead::Go(Step::Read { bytes, then_pass: content })
            }
            ChunkStep::More if !input.cut => ChunkRead::Go(Step::More),
            ChunkStep::More | ChunkStep::Invalid => ChunkRead::Broken,
            ChunkStep::End { bytes } => ChunkRead::End(bytes),
        }
    }
}

enum ChunkRead {
    Go(Step),
    End(usize),
    Broken,
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        match side {
            Side::Client => self.read_requests(input, context),
            Side::Server => self.read_responses(input, context),
        }
    }

    fn passed(&mut self, side: Side, end: Position, last: Origin, context: &mut Context<'_>) {
        match side {
            Side::Client if self.requests == Place::Counted => self.request_ends(end, context),
            Side::Server if self.responses == Place::Counted => {
                self.response_ends(end, last, context);
            }
            // A chunk: its framing goes on.
            _ => {}
        }
    }

    fn heard(&mut self, side: Side, end: Position, last: Origin) {
        match side {
            Side::Client => {
                if self.unseen_ns == Some(MISSING_NOW) {
                    self.unseen_ns = Some(last.ended_ns);
                }
                if self.reading_newest
                    && let Some(newest) = self.pending.back_mut()
                {
                    newest.seen_to = end;
                }
            }
            Side::Server => {
                self.answered_to = (end, last);
                let is_adrift = self.responses == Place::Adrift;
                let front = self.pending.front_mut();
                let is_older = |front: &Pending| last.ended_ns < front.started_ns;
                if is_adrift && front.as_deref().is_none_or(is_older) {
                    self.strange_ns = last.ended_ns;
                }
                let Some(front) = front else { return };
                match &mut front.response {
                    Some(response) if !response.is_whole => {
                        response.heard_to = (end, last.moved_ns(response.started_ns));
                    }
                    Some(_) => {}
                    None => front.maybe_answered |= is_adrift && last.ended_ns >= front.started_ns,
                }
            }
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        match side {
            Side::Client => self.lose_requests(reason, context),
            Side::Server => self.lose_responses(reason, context),
        }
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        self.conclude_before(watermark_ns, context);
        self.report_silence(watermark_ns, context);
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        // Who was answered cannot be told.
        let is_lost = self.pipelines && self.responses == Place::Adrift;
        // What came until the end may be the answers to others.
        let is_alone = !self.pipelines && self.adrift.is_none() && self.pending.len() == 1;
        for pending in std::mem::take(&mut self.pending) {
            match pending.outcome_at_close(ending, self.responses, is_alone) {
                Some(outcome) if !is_lost || pending.response.is_some() => {
                    pending.report(outcome, context);
                }
                _ if pending.reported => {}
                _ => context.exchanges.give_up(self.adrift.unwrap_or(UnpairedReason::Gap), 1),
            }
        }
    }

    fn successor(&mut self) -> Option<Successor> {
        self.successor.take()
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        let unanswered = self.pending.drain(..).filter(|pending| !pending.reported).count();
        context.exchanges.give_up(UnpairedReason::Withdrawn, unanswered as u64);
    }
}

#[cfg(test)]
mod tests;
