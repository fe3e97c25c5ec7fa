//! HTTP/2 in clear text (RFC 9113), and gRPC in it.
//!
//! Requests and responses are paired by the number of their stream, which is never used twice. So
//! what must be found is frames, and what their header blocks say:
//!
//! * Every frame tells its length. Content is passed over by it; what is missing inside does no harm.
//! * When anything else is missing, that direction is *adrift*. It is on course again where a segment
//!   begins with what can only be frames (see [`parse::Chain`]).
//! * Header blocks are read in the order of the wire. After a missed one, and on a connection older
//!   than Alaz, the header table is unknown (see [`hpack`]): what refers to it stays empty, what is
//!   said from then on is exact.
//! * Streams that were open when bytes went missing may have got, or ended, anything there. One whose
//!   response begins later is exact all the same, since a response begins once; the others are
//!   reported in part, or given up.
//!
//! A response is told when both sides have ended the stream, so that its sizes are whole. A reset may
//! cross the end of the response, so it counts only when nothing earlier can come any more.
//!
//! Sizes are those of the stream's HEADERS, CONTINUATION and DATA frames, headers and padding of the
//! frames included; interim responses do not count. Streams that servers begin (push) are read for
//! the header table only.

mod grpc;
mod hpack;
mod pair;
mod parse;
mod read;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use alaz_model::{CloseReason, Outcome, Position, Protocol, UnpairedReason};
use compact_str::CompactString;

use crate::dialogue::{Claim, Context, Dialogue, Ending, Entry, Side, Start, Successor};
use crate::http::target::Target;
use crate::numbered::Losses;
use crate::stream::{Input, Origin, Step};
use hpack::Table;
use pair::Stream;
use parse::{Chain, PREFACE};

/// HTTP/2 in the list of protocols.
pub(crate) const ENTRY: Entry =
    Entry { protocol: Protocol::Http2, wants_depth: true, claim, begin };

/// The preface is certain. Later on, frames in a row are, if a header block among them tells who
/// speaks.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    if bytes.starts_with(PREFACE) {
        return Claim::Yes(Side::Client);
    }
    if PREFACE.starts_with(bytes) && !cut {
        return Claim::Maybe;
    }
    match Chain::read(bytes, 0).and_then(|chain| chain.claims()) {
        Some(side) => Claim::Yes(side),
        None => Claim::No,
    }
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// A request of HTTP/1 that is answered in HTTP/2.
pub(crate) struct Upgraded {
    pub(crate) method: CompactString,
    pub(crate) target: Target,
    pub(crate) host: CompactString,
    pub(crate) position: Position,
    pub(crate) started_ns: u64,
    pub(crate) pid: u32,
    /// Of its head and body.
    pub(crate) bytes: u64,
}

/// Goes on after a change from HTTP/1 (RFC 7540 §3.2): the request is stream 1, which the client has
/// ended, and both sides begin as always.
pub(crate) fn upgraded(request: Upgraded) -> Successor {
    let mut conversation = Conversation::new(Start::default());
    conversation.newest = FIRST;
    conversation.streams.insert(FIRST, Stream::upgraded(request));
    Successor { protocol: Protocol::Http2, dialogue: Box::new(conversation) }
}

/// The first stream of a client.
const FIRST: u32 = 1;

/// Where one direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the preface, if that was not missed.
    Preface,
    /// Before a frame.
    Frame,
    /// In what is left of a frame, after which the stream may have ended.
    Passing { stream: u32, ends: bool },
    /// Anywhere: frames are looked for where a segment begins.
    Adrift,
}

/// One direction of the connection.
struct Half {
    place: Place,
    table: Table,
    /// A header block that goes on in the next frame.
    block: Option<read::Block>,
    /// Frames read so far.
    frames: u64,
    /// Why something may not have been seen, if so.
    missed: Option<UnpairedReason>,
    /// When the call ended that moved what came before.
    before_ns: u64,
}

impl Half {
    fn new(place: Place, is_whole: bool) -> Half {
        Half {
            place: if is_whole { place } else { Place::Adrift },
            table: if is_whole { Table::new() } else { Table::unknown() },
            block: None,
            frames: 0,
            missed: (!is_whole).then_some(UnpairedReason::MidStream),
            before_ns: 0,
        }
    }
}

/// What is said on one connection.
struct Conversation {
    client: Half,
    server: Half,
    /// Requests without their whole response.
    streams: BTreeMap<u32, Stream>,
    /// The newest stream that the client is known to have begun.
    newest: u32,
    /// Requests on streams after the first of these, up to the second, may not have been seen, and
    /// why.
    unseen: (u32, u32, UnpairedReason),
    /// The server has said that it takes no streams after this one.
    last_accepted: u32,
    /// What the server said and was not seen. A request may be told of only after it.
    losses: Losses,
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        let mut client = Half::new(Place::Preface, true);
        client.missed = start.mid_stream.then_some(UnpairedReason::MidStream);
        Conversation {
            client,
            server: Half::new(Place::Frame, !start.mid_stream),
            streams: BTreeMap::new(),
            newest: 0,
            unseen: (0, 0, UnpairedReason::MidStream),
            last_accepted: u32::MAX,
            losses: Losses::before(start.server_heard.ended_ns),
        }
    }

    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Why a half of an exchange may be missing.
    fn reason(&self) -> UnpairedReason {
        self.client.missed.or(self.server.missed).unwrap_or(UnpairedReason::Gap)
    }

    /// Bytes of this side are missing, or cannot be read.
    fn lose(&mut self, side: Side, reason: UnpairedReason) {
        if side == Side::Server {
            self.losses.is_losing = true;
        }
        let half = self.half(side);
        half.block = None;
        half.missed = Some(reason);
        if half.place == Place::Adrift {
            return;
        }
        half.place = Place::Adrift;
        half.table.forget();
        for stream in self.streams.values_mut() {
            let way = stream.way(side);
            way.has_gap |= !way.is_done;
        }
    }

    /// This side has ended the stream.
    fn end_stream(&mut self, side: Side, id: u32, last: Origin, context: &mut Context<'_>) {
        let before_ns = self.half(side).before_ns;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.way(side).is_done = true;
        // Content whose end was passed over unseen came at a time that nobody knows.
        stream.way(side).has_gap |= side == Side::Server && !last.is_known();
        if side == Side::Server {
            let begun_ns = stream.answer.as_ref().map_or(0, |answer| answer.started_ns);
            stream.ended_ns = last.moved_ns(before_ns.max(begun_ns));
        }
        self.settle(id, context);
    }

    /// Reports a stream that is over.
    fn settle(&mut self, id: u32, context: &mut Context<'_>) {
        if self.streams.get(&id).is_some_and(Stream::is_over)
            && let Some(stream) = self.streams.remove(&id)
        {
            let outcome = stream.outcome();
            stream.report(outcome, context);
        }
    }

    /// Where as many streams are open as may be, whether one of them could go.
    fn make_room(&mut self, context: &mut Context<'_>) -> bool {
        if self.streams.len() < context.limits.pending {
            return true;
        }
        let idle = self.streams.iter().find(|(_, stream)| stream.may_be_over());
        let Some(id) = idle.map(|(id, _)| *id) else { return false };
        let Some(stream) = self.streams.remove(&id) else { return false };
        let outcome = stream.outcome_at_close(CloseReason::Finished);
        self.conclude(stream, outcome, context);
        true
    }

    fn conclude(&self, stream: Stream, outcome: Option<Outcome>, context: &mut Context<'_>) {
        match outcome {
            Some(outcome) => stream.report(outcome, context),
            None => context.exchanges.give_up(self.reason(), 1),
        }
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        match self.half(side).place {
            Place::Preface => Some(self.read_preface(input)),
            Place::Adrift => Some(self.find_frames(side, input)),
            Place::Frame | Place::Passing { .. } => self.read_frame(side, input, context),
        }
    }

    fn passed(&mut self, side: Side, _: Position, last: Origin, context: &mut Context<'_>) {
        let half = self.half(side);
        if let Place::Passing { stream, ends } = half.place {
            half.place = Place::Frame;
            if ends {
                self.end_stream(side, stream, last, context);
            }
        }
    }

    fn heard(&mut self, side: Side, _: Position, last: Origin) {
        self.half(side).before_ns = last.ended_ns;
        if side == Side::Server {
            self.losses.heard(last, self.server.place != Place::Adrift);
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, _: &mut Context<'_>) {
        self.lose(side, reason);
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let horizon_ns = watermark_ns.saturating_sub(context.limits.lateness_ns);
        let silent_ns = watermark_ns.saturating_sub(context.limits.silence_ns);
        let is_due = |stream: &Stream| {
            // An answer that has begun may go on whenever it likes.
            let is_open = stream.answer.is_some() && !stream.may_be_over();
            stream.reset.is_some_and(|reset| reset.at_ns <= horizon_ns)
                || stream.active_ns < silent_ns && !is_open
        };
        while let Some(id) = self.streams.iter().find(|(_, s)| is_due(s)).map(|(id, _)| *id) {
            let Some(stream) = self.streams.remove(&id) else { break };
            let outcome = stream.outcome_at_close(CloseReason::Finished);
            self.conclude(stream, outcome, context);
        }
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        for stream in std::mem::take(&mut self.streams).into_values() {
            let outcome = stream.outcome_at_close(ending.reason);
            self.conclude(stream, outcome, context);
        }
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        context.exchanges.give_up(UnpairedReason::Withdrawn, self.streams.len() as u64);
        self.streams.clear();
    }
}

#[cfg(test)]
mod tests;
