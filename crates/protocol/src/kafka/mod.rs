//! Kafka's protocol.
//!
//! Every frame has its length, every request a number (correlation id) that its response repeats. A
//! broker answers in the order of the requests, so both must agree.
//!
//! * What a request asks for, and in which version, says how it and its response are written; a
//!   table made from Kafka's own definitions knows all of them.
//! * Records are passed over by the lengths of their batches. Where what follows them was not
//!   copied, the frame is passed over to its end, and what stood there stays unknown.
//! * `Produce` without acknowledgements is one-way.
//! * After missing bytes, or on a connection that is older than Alaz, requests are found again where
//!   a segment begins with one, and responses where a segment begins with the number of a request
//!   that waits for it.
//! * Topics that are told by id have the names that any connection was heard to tell before.
//!
//! A client that has two requests of the same number under way is followed by order alone, and not
//! any more once something is missing.

mod found;
mod pair;
mod parse;
mod requests;
mod responses;
mod schema;
#[rustfmt::skip]
mod table;
mod topics;
mod walk;

use std::collections::VecDeque;

use alaz_model::{Outcome, Position, Protocol, UnpairedReason};

use crate::dialogue::{Claim, Context, Dialogue, Ending, Entry, Side, Start};
use crate::numbered::{self, Losses};
use crate::stream::{Input, Origin, Step};
use pair::{FetchSession, Request, Response};
use parse::Reading;
use schema::Meaning;
pub(crate) use topics::TopicNames;
use walk::{Progress, Walk};

/// Kafka in the list of protocols.
pub(crate) const ENTRY: Entry =
    Entry { protocol: Protocol::Kafka, wants_depth: true, claim, begin };

/// A request that makes sense to its last byte, or as far as it is there. Responses tell too little.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    match parse::is_request(bytes, cut) {
        Reading::Whole(()) => Claim::Yes(Side::Client),
        Reading::More => Claim::Maybe,
        Reading::Invalid => Claim::No,
    }
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Where one direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a frame.
    Frame,
    /// In a frame of known length.
    Inside,
    /// Anywhere: a frame is expected only where a segment begins.
    Adrift,
    /// Nobody can tell what belongs together.
    Opaque,
}

/// One direction.
struct Way {
    place: Place,
    /// Just after the frame that is being read.
    end: Position,
    /// The frame is read, or passed over, up to here.
    at: Position,
    /// Who moved the last byte of the frame, where that was not copied: nobody was asked to read it.
    ended: Option<Origin>,
    /// Its fields; `None` where what is left of them is not read.
    walk: Option<Walk>,
    losses: Losses,
}

/// What is said on one connection.
struct Conversation {
    client: Way,
    server: Way,
    /// The request that is being read.
    asking: Option<Request>,
    /// Requests without response, oldest first.
    pending: VecDeque<Request>,
    /// The response that is being read, unless it answers nothing that was seen.
    answering: Option<(Request, Response)>,
    /// So many requests were not kept.
    untold: u64,
    session: Option<FetchSession>,
    /// Credentials come in frames without headers (KIP-43, before version 1 of the handshake).
    has_raw_frames: bool,
    /// Two requests of the same number were under way.
    repeats: bool,
    /// A response was paired.
    proven: bool,
    /// Why something may be answered that was not seen.
    reason: UnpairedReason,
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        let way = |lost_to_ns| Way {
            place: if start.mid_stream { Place::Adrift } else { Place::Frame },
            end: Position::default(),
            at: Position::default(),
            ended: None,
            walk: None,
            losses: Losses::before(lost_to_ns),
        };
        Conversation {
            client: way(0),
            // What was heard before may be the answers to what is read from here on.
            server: way(start.server_heard.ended_ns),
            asking: None,
            pending: VecDeque::new(),
            answering: None,
            untold: 0,
            session: None,
            has_raw_frames: false,
            repeats: false,
            proven: false,
            reason: match start.mid_stream {
                true => UnpairedReason::MidStream,
                false => UnpairedReason::Ambiguous,
            },
        }
    }

    fn way(&mut self, side: Side) -> &mut Way {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Goes on in a frame.
    fn read_inside(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Step {
        let way = self.way(side);
        let missed = u64::try_from(input.position.since(way.at)).unwrap_or(0);
        if missed > 0 && way.walk.as_mut().is_some_and(|walk| !walk.miss(missed)) {
            self.tear(side);
        }
        let left = match u64::try_from(self.way(side).end.since(input.position)) {
            Ok(left) if left > 0 => left,
            // The end was missing, and maybe more.
            overrun => {
                self.tear(side);
                if overrun.is_err() {
                    let reason = self.way(side).losses.torn.unwrap_or(UnpairedReason::Gap);
                    self.lose_course(side, reason, context);
                }
                self.frame_ends(side, Origin::default(), context);
                return Step::Again;
            }
        };
        let visible = usize::try_from(left).ok().and_then(|left| input.bytes.get(..left));
        let visible = visible.unwrap_or(input.bytes);
        let taken = self.walk(side, visible, left, input.cut, context.topics);
        let Some(taken) = taken else { return Step::More };
        self.way(side).at = input.position.plus(taken);
        let seen = visible.len().min(usize::try_from(taken).unwrap_or(usize::MAX));
        let then_pass = taken - seen as u64;
        if taken == left && then_pass == 0 {
            self.frame_ends(side, input.origin(seen.saturating_sub(1)), context);
        }
        Step::Read { bytes: seen, then_pass }
    }

    /// Reads fields. Returns how many bytes are done with; `None` where it takes more to go on.
    fn walk(
        &mut self,
        side: Side,
        visible: &[u8],
        left: u64,
        cut: bool,
        names: &mut TopicNames,
    ) -> Option<u64> {
        let (way, found) = match side {
            Side::Client => {
                (&mut self.client, self.asking.as_mut().map(|asking| &mut asking.found))
            }
            Side::Server => {
                let answering = self.answering.as_mut();
                (&mut self.server, answering.map(|(_, response)| &mut response.found))
            }
        };
        let (Some(walk), Some(found)) = (&mut way.walk, found) else { return Some(left) };
        let (mut taken, progress) = walk.read(visible, left, found, names);
        if cut && progress == Progress::More {
            // The next batch will not be seen, but what follows the records may.
            taken += walk.skip_records(found);
        }
        match progress {
            Progress::More if taken > 0 => return Some(taken),
            Progress::More if !cut => return None,
            Progress::Done => way.walk = None,
            Progress::More | Progress::Invalid => self.tear(side),
        }
        Some(left)
    }

    /// What is left of the frame is not read.
    fn tear(&mut self, side: Side) {
        let Some(walk) = self.way(side).walk.take() else { return };
        let is_topic = |meaning| matches!(meaning, Meaning::Topic | Meaning::TopicId);
        let found = match (side, &mut self.asking, &mut self.answering) {
            (Side::Client, Some(asking), _) => &mut asking.found,
            (Side::Server, _, Some((_, response))) => {
                response.is_unsure |= walk.may_find(|meaning| meaning == Meaning::Error);
                &mut response.found
            }
            _ => return,
        };
        found.tear(walk.may_find(is_topic), walk.may_find(|meaning| meaning == Meaning::Records));
    }

    fn frame_ends(&mut self, side: Side, last: Origin, context: &mut Context<'_>) {
        let way = self.way(side);
        (way.walk, way.losses.torn, way.ended) = (None, None, None);
        if way.place == Place::Inside {
            way.place = Place::Frame;
        }
        match side {
            Side::Client => self.request_ends(context),
            Side::Server => self.response_ends(last, context),
        }
    }

    /// Ends frames of which the last bytes were not copied.
    fn settle(&mut self, context: &mut Context<'_>) {
        for side in [Side::Client, Side::Server] {
            if let Some(last) = self.way(side).ended {
                self.tear(side);
                self.frame_ends(side, last, context);
            }
        }
    }

    /// Bytes between frames are missing, or are none.
    fn lose_course(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        self.reason = reason;
        let way = self.way(side);
        (way.place, way.walk) = (Place::Adrift, None);
        way.losses.is_losing = true;
        if self.repeats {
            self.become_opaque(context);
        }
    }

    fn become_opaque(&mut self, context: &mut Context<'_>) {
        for way in [&mut self.client, &mut self.server] {
            (way.place, way.walk) = (Place::Opaque, None);
        }
        let left = self.pending.drain(..).chain(self.asking.take());
        let left = left.chain(self.answering.take().map(|(request, _)| request));
        let given_up = left.filter(|request| !request.reported).count();
        context.exchanges.give_up(self.reason, given_up as u64);
    }

    /// Whether the answer to a request may be among what was lost, or none is due.
    fn may_be_answered(&self, request: &Request) -> bool {
        request.may_be_one_way() || self.server.losses.may_answer(request.started_ns)
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        self.settle(context);
        match (self.way(side).place, side) {
            (Place::Opaque, _) => Some(Step::Ignore),
            (Place::Inside, _) => Some(self.read_inside(side, input, context)),
            (Place::Adrift, Side::Client) => Some(self.find_request(input, context)),
            (Place::Adrift, Side::Server) => Some(self.find_response(input, context)),
            (Place::Frame, Side::Client) => self.read_request(input, context),
            (Place::Frame, Side::Server) => self.read_response(input, context),
        }
    }

    fn passed(&mut self, side: Side, end: Position, last: Origin, context: &mut Context<'_>) {
        let way = self.way(side);
        if way.place == Place::Inside && way.end == end {
            self.frame_ends(side, last, context);
        }
    }

    fn heard(&mut self, side: Side, end: Position, last: Origin) {
        let way = self.way(side);
        let left = way.end.since(end);
        if way.place == Place::Inside && way.losses.torn.is_some() && left >= 0 {
            way.losses.torn = None;
            way.ended = (left == 0).then_some(last);
        }
        // What was not understood may have been anything.
        way.losses.heard(last, way.place != Place::Adrift);
        if side == Side::Server
            && let Some((request, response)) = &mut self.answering
        {
            response.ended_ns = last.moved_ns(request.started_ns).max(response.ended_ns);
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        self.settle(context);
        match self.way(side).place {
            // Its end is known all the same: what comes next shows whether it is missing too.
            Place::Inside => self.way(side).losses.torn = Some(reason),
            Place::Frame | Place::Adrift => self.lose_course(side, reason, context),
            Place::Opaque => {}
        }
    }

    fn can_miss(&self, side: Side) -> bool {
        let way = match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        };
        way.ended.is_none() && way.walk.as_ref().is_some_and(Walk::is_in_records)
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        self.settle(context);
        let losses = &self.server.losses;
        let may_be_answered =
            |request: &Request| request.may_be_one_way() || losses.may_answer(request.started_ns);
        let pending = self.pending.iter_mut();
        numbered::end_silent(pending, watermark_ns, may_be_answered, self.reason, context);
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        self.settle(context);
        self.tear(Side::Client);
        self.tear(Side::Server);
        if let Some((request, response)) = self.answering.take() {
            let is_torn = self.server.losses.torn.is_some() || !ending.is_answer_seen;
            let outcome = if is_torn { Outcome::Partial } else { Outcome::Reset };
            request.report(Some(&response), outcome, context);
        }
        let lost = self.server.losses.torn.unwrap_or(self.reason);
        let asking = self.asking.take().filter(|asking| !asking.is_one_way());
        let pending = std::mem::take(&mut self.pending).into_iter().chain(asking);
        numbered::end_all(pending, ending, |request| self.may_be_answered(request), lost, context);
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        self.reason = UnpairedReason::Withdrawn;
        self.become_opaque(context);
    }
}

#[cfg(test)]
mod tests;
