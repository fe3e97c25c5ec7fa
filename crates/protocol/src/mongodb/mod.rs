//! MongoDB's wire protocol.
//!
//! Every message has its length and a number, and a reply names the number of what it answers. So
//! pairing needs no order:
//!
//! * A command is the first element of a document (OP_MSG, before 3.6 and in handshakes OP_QUERY),
//!   and what the server says is a document too. Of both few elements are looked at; all others,
//!   long arrays above all, are passed over by their lengths.
//! * A client that says `moreToCome` wants no reply: one-way.
//! * A server that says `moreToCome` (an exhaust cursor, a streaming `hello`) goes on without being
//!   asked: each reply answers the one before it. The first ends the exchange, each further one is
//!   an exchange that the server begins.
//! * Compressed messages are expanded as far as they were copied, and never without bound.
//! * After missing bytes, or on a connection that is older than Alaz, requests are found again where
//!   a segment begins with a whole one, and replies where a segment begins with one to a request
//!   that waits for it.

mod bson;
mod compressed;
mod found;
mod pair;
mod parse;
mod requests;
mod responses;

use alaz_model::{Outcome, Position, Protocol, UnpairedReason};

use crate::dialogue::{Claim, Context, Dialogue, Ending, Entry, Side, Start};
use crate::numbered::{self, Losses};
use crate::remembered::Remembered;
use crate::stream::{Input, Origin, Step};
use bson::{Level, Progress};
use pair::{Chain, Reply, Request};
use parse::{Contents, Reading};

/// MongoDB in the list of protocols.
pub(crate) const ENTRY: Entry =
    Entry { protocol: Protocol::Mongodb, wants_depth: false, claim, begin };

/// A message that makes sense to its last byte, or as far as it is there.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    match parse::said_by(bytes, cut) {
        Reading::Whole(side) => Claim::Yes(side),
        Reading::More => Claim::Maybe,
        Reading::Invalid => Claim::No,
    }
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Of a compressed message so much is waited for.
const COMPRESSED_SEEN: usize = 16 << 10;

/// Where one direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a message.
    Message,
    /// In a message of known length.
    Inside,
    /// Anywhere: a message is expected only where a segment begins.
    Adrift,
}

/// One direction.
struct Way {
    place: Place,
    /// Just after the message that is being read.
    end: Position,
    /// The message is read, or passed over, up to here.
    at: Position,
    contents: Contents,
    losses: Losses,
}

/// What is said on one connection.
struct Conversation {
    client: Way,
    server: Way,
    /// The request that is being read.
    asking: Option<Request>,
    /// Requests without reply, oldest first.
    pending: Vec<Request>,
    /// The reply that is being read, unless it answers nothing that was seen.
    answering: Option<(Request, Reply)>,
    /// What more replies will come to.
    chain: Option<Chain>,
    /// So many requests were not kept.
    untold: u64,
    /// Cursors on which the server waits until there is something to tell.
    waiting_cursors: Remembered<i64, ()>,
    /// A reply was paired.
    proven: bool,
    /// Why something may be answered that was not seen.
    reason: UnpairedReason,
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        let way = || Way {
            place: if start.mid_stream { Place::Adrift } else { Place::Message },
            end: Position::default(),
            at: Position::default(),
            contents: Contents::Nothing,
            // What was heard then may answer what is read only now.
            losses: Losses::before(start.server_heard.ended_ns),
        };
        Conversation {
            client: way(),
            server: way(),
            asking: None,
            pending: Vec::new(),
            answering: None,
            chain: None,
            untold: 0,
            waiting_cursors: Remembered::default(),
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

    /// Begins a message whose head is the first bytes of the input.
    fn enter(&mut self, side: Side, head: &parse::Head<'_>, contents: Contents, at: Position) {
        let way = self.way(side);
        way.place = Place::Inside;
        way.at = at.plus(head.size as u64);
        way.end = at.plus(head.length);
        way.contents = contents;
        way.losses.torn = None;
    }

    /// Goes on in a message.
    fn read_inside(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Step {
        if input.position.since(self.way(side).at) > 0 {
            self.tear(side);
        }
        let left = match u64::try_from(self.way(side).end.since(input.position)) {
            Ok(left) if left > 0 => left,
            // The end was missing, and maybe more.
            overrun => {
                self.tear(side);
                let reason = self.way(side).losses.torn.unwrap_or(UnpairedReason::Gap);
                self.message_ends(side, Origin::default(), context);
                if overrun.is_err() {
                    self.lose_course(side, reason);
                }
                return Step::Again;
            }
        };
        let visible = usize::try_from(left).ok().and_then(|left| input.bytes.get(..left));
        let visible = visible.unwrap_or(input.bytes);
        let Some(taken) = self.read_contents(side, visible, left, input.cut) else {
            return Step::More;
        };
        self.way(side).at = input.position.plus(taken);
        let seen = visible.len().min(usize::try_from(taken).unwrap_or(usize::MAX));
        let then_pass = taken - seen as u64;
        if taken == left && then_pass == 0 {
            self.message_ends(side, input.origin(seen.saturating_sub(1)), context);
        }
        Step::Read { bytes: seen, then_pass }
    }

    /// Returns how many bytes are done with; `None` where it takes more to go on.
    fn read_contents(&mut self, side: Side, visible: &[u8], left: u64, cut: bool) -> Option<u64> {
        let (taken, progress) = match (side, &mut self.asking, &mut self.answering) {
            (Side::Client, Some(request), _) => {
                self.client.contents.read(visible, left, Level::Command, &mut request.asked)
            }
            (Side::Server, _, Some((_, reply))) => {
                self.server.contents.read(visible, left, Level::Reply, &mut reply.answered)
            }
            _ => (0, Progress::Done),
        };
        match progress {
            Progress::More if taken > visible.len() as u64 || taken > 0 && !cut => {
                return Some(taken);
            }
            Progress::More if !cut => return None,
            Progress::Done => self.way(side).contents = Contents::Nothing,
            Progress::More | Progress::Invalid => self.tear(side),
        }
        Some(left)
    }

    /// What is left of the message is not read.
    fn tear(&mut self, side: Side) {
        let contents = std::mem::replace(&mut self.way(side).contents, Contents::Nothing);
        if matches!(contents, Contents::Nothing) {
            return;
        }
        match (side, &mut self.asking, &mut self.answering) {
            (Side::Client, Some(request), _) => request.asked.is_torn = true,
            (Side::Server, _, Some((_, reply))) => reply.answered.is_torn = true,
            _ => {}
        }
    }

    fn message_ends(&mut self, side: Side, last: Origin, context: &mut Context<'_>) {
        let way = self.way(side);
        (way.place, way.contents, way.losses.torn) = (Place::Message, Contents::Nothing, None);
        match side {
            Side::Client => self.request_ends(context),
            Side::Server => self.reply_ends(last, context),
        }
    }

    /// Bytes between messages are missing, or are none.
    fn lose_course(&mut self, side: Side, reason: UnpairedReason) {
        self.reason = reason;
        let way = self.way(side);
        (way.place, way.contents) = (Place::Adrift, Contents::Nothing);
        way.losses.is_losing = true;
    }

    /// These bytes are no message.
    fn wrong(&mut self, side: Side) -> Option<Step> {
        if !self.proven {
            return None;
        }
        self.lose_course(side, UnpairedReason::Gap);
        Some(Step::Ignore)
    }

    /// Whether the reply to a request may be among what was lost.
    fn may_be_answered(&self, request: &Request) -> bool {
        request.is_blind || self.server.losses.may_answer(request.started_ns)
    }
}

/// Whether a compressed message has been waited for long enough.
fn is_enough(head: &parse::Head<'_>, input: &Input<'_>) -> bool {
    let seen = input.bytes.len();
    input.cut || seen >= COMPRESSED_SEEN || seen as u64 >= head.length
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        match (self.way(side).place, side) {
            (Place::Inside, _) => Some(self.read_inside(side, input, context)),
            (Place::Adrift, Side::Client) => Some(self.find_request(input)),
            (Place::Adrift, Side::Server) => Some(self.find_reply(input)),
            (Place::Message, Side::Client) => self.read_request(input, context),
            (Place::Message, Side::Server) => self.read_reply(input, context),
        }
    }

    fn passed(&mut self, side: Side, end: Position, last: Origin, context: &mut Context<'_>) {
        let way = self.way(side);
        if way.place == Place::Inside && way.end == end {
            self.message_ends(side, last, context);
        }
    }

    fn heard(&mut self, side: Side, _end: Position, last: Origin) {
        let way = self.way(side);
        way.losses.heard(last, true);
        if side == Side::Server
            && let Some((_, reply)) = &mut self.answering
        {
            reply.ended_ns = last.moved_ns(reply.started_ns).max(reply.ended_ns);
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, _context: &mut Context<'_>) {
        match self.way(side).place {
            // Its end is known all the same: what comes next shows whether it is missing too.
            Place::Inside => self.way(side).losses.torn = Some(reason),
            Place::Message | Place::Adrift => self.lose_course(side, reason),
        }
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let losses = &self.server.losses;
        let may_be_answered =
            |request: &Request| request.is_blind || losses.may_answer(request.started_ns);
        let pending = self.pending.iter_mut();
        numbered::end_silent(pending, watermark_ns, may_be_answered, self.reason, context);
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        let server_torn = self.server.losses.torn;
        self.tear(Side::Client);
        self.tear(Side::Server);
        if let Some((request, reply)) = self.answering.take() {
            let is_torn = server_torn.is_some() || !ending.is_answer_seen;
            let outcome = if is_torn { Outcome::Partial } else { Outcome::Reset };
            request.report(Some(&reply), outcome, context);
        }
        let lost = server_torn.unwrap_or(self.reason);
        let asking = self.asking.take().filter(|asking| !asking.is_one_way);
        let pending = std::mem::take(&mut self.pending).into_iter().chain(asking);
        numbered::end_all(pending, ending, |request| self.may_be_answered(request), lost, context);
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        let left = self.pending.drain(..).chain(self.asking.take());
        let left = left.chain(self.answering.take().map(|(request, _)| request));
        let given_up = left.filter(|request| !request.reported && !request.is_push).count();
        context.exchanges.give_up(UnpairedReason::Withdrawn, given_up as u64);
    }
}

#[cfg(test)]
mod tests;
