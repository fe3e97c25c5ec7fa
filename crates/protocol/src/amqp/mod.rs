//! AMQP 0-9-1, the protocol of RabbitMQ.
//!
//! Frames have a channel and a length, and methods have numbers, so pairing does not depend on the
//! order of everything:
//!
//! * A method that a client waits for is answered by its own kind of answer, in its channel.
//! * What is published is one-way, unless the channel confirms: then the confirmation names it by its
//!   number, counted from `confirm.select` on.
//! * What is delivered is an exchange that the server begins; where the consumer acknowledges, it
//!   ends with that.
//! * A server that closes a channel or the connection says which method was at fault; that one is
//!   answered by the reply code.
//!
//! Bodies are passed over by the lengths of their frames. After anything else is missing, frames are
//! found again where a segment begins with a whole method; what may have been answered in between is
//! given up, and so are the numbers of what was published.

mod channel;
mod client;
mod parse;
mod pending;
mod server;

use alaz_model::{CloseReason, Outcome, Position, Protocol, UnpairedReason};
use compact_str::CompactString;
use hashbrown::HashMap;

use crate::dialogue::{Claim, Context, Dialogue, Ending, Entry, Side, Start};
use crate::stream::{Input, Origin, Step};
use channel::{Channel, Content};
use parse::{By, Frame, FrameKind, METHOD_SEEN, Method, PROTOCOL_HEADER, Reading};
use pending::Pending;

/// AMQP in the list of protocols.
pub(crate) const ENTRY: Entry = Entry { protocol: Protocol::Amqp, claim, begin };

/// The protocol header, or a whole frame with a method that only one side says.
fn claim(bytes: &[u8], cut: bool) -> Claim {
    let head = bytes.get(..PROTOCOL_HEADER.len().min(bytes.len())).unwrap_or_default();
    if bytes.starts_with(PROTOCOL_HEADER) {
        return Claim::Yes(Side::Client);
    }
    if PROTOCOL_HEADER.starts_with(head) {
        return Claim::Maybe;
    }
    match whole_method(bytes, cut) {
        Reading::Whole(By::Client) => Claim::Yes(Side::Client),
        Reading::Whole(By::Server) => Claim::Yes(Side::Server),
        Reading::More => Claim::Maybe,
        _ => Claim::No,
    }
}

/// Who says the method in front, all of which must be there.
fn whole_method(bytes: &[u8], cut: bool) -> Reading<By> {
    let frame = match parse::frame(bytes) {
        Reading::Whole(frame) if frame.kind == FrameKind::Method => frame,
        Reading::More if bytes.starts_with(&[1]) && !cut => return Reading::More,
        _ => return Reading::Invalid,
    };
    let Some(method) = parse::method(frame.payload) else {
        return if cut { Reading::Invalid } else { Reading::More };
    };
    match parse::known(method.id) {
        // Channel 0 is for the connection, all others are for everything else.
        Some(_) if (frame.channel == 0) != (method.id.0 == 10) => Reading::Invalid,
        Some((_, by)) if frame.is_whole && method.is_whole => Reading::Whole(by),
        Some(_) if !frame.is_whole && frame.length <= METHOD_SEEN && !cut => Reading::More,
        _ => Reading::Invalid,
    }
}

fn says(side: Side, by: By) -> bool {
    by == By::Both || (by == By::Client) == (side == Side::Client)
}

fn begin(start: Start) -> Box<dyn Dialogue> {
    Box::new(Conversation::new(start))
}

/// Channels known at once; clients and servers agree on 2047 at most.
const CHANNELS_MAX: usize = 2047;
/// Consumers of a connection whose queue is remembered.
const CONSUMERS_MAX: usize = 1024;

type State = foldhash::fast::RandomState;

/// Where one direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a frame.
    Frame,
    /// Anywhere: a method is expected only where a segment begins.
    Adrift,
}

/// One direction.
#[derive(Clone, Copy)]
struct Direction {
    place: Place,
    /// A frame of content whose rest is passed over.
    passing: Option<Passing>,
    /// Something was lost in the segment that is being read.
    is_losing: bool,
    /// What was said until then may be answered by what was lost.
    lost_to_ns: u64,
}

#[derive(Clone, Copy)]
struct Passing {
    channel: u16,
    kind: FrameKind,
    length: u64,
    carries: u64,
}

/// Who gets deliveries under a tag.
struct Consumer {
    queue: CompactString,
    no_ack: bool,
}

/// What is said on one connection.
struct Conversation {
    client: Direction,
    server: Direction,
    channels: HashMap<u16, Channel, State>,
    consumers: HashMap<(u16, CompactString), Consumer, State>,
    /// At least so many methods wait in all channels.
    waiting: usize,
    vhost: CompactString,
    /// A method was seen.
    proven: bool,
    /// Why something may be answered that was not seen.
    reason: UnpairedReason,
}

/// What became of a frame.
enum Took {
    Frame,
    /// What it is about was not read yet.
    Wait,
}

impl Conversation {
    fn new(start: Start) -> Conversation {
        let place = if start.mid_stream { Place::Adrift } else { Place::Frame };
        let direction = Direction { place, passing: None, is_losing: false, lost_to_ns: 0 };
        Conversation {
            client: direction,
            server: direction,
            channels: HashMap::default(),
            consumers: HashMap::default(),
            waiting: 0,
            vhost: CompactString::default(),
            proven: false,
            reason: match start.mid_stream {
                true => UnpairedReason::MidStream,
                false => UnpairedReason::Gap,
            },
        }
    }

    fn direction(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// A channel, which may have been opened before anything was seen. `None` where there are too
    /// many.
    fn channel(&mut self, number: u16) -> Option<&mut Channel> {
        if !self.channels.contains_key(&number) && self.channels.len() >= CHANNELS_MAX {
            return None;
        }
        Some(self.channels.entry(number).or_default())
    }

    /// Whether one more method can wait for its answer; one that cannot is counted.
    fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        let limit = context.limits.pending;
        if self.waiting >= limit {
            self.waiting = self.channels.values().map(Channel::waiting).sum();
        }
        if self.waiting >= limit {
            context.exchanges.give_up(UnpairedReason::TooManyPending, 1);
            return false;
        }
        self.waiting += 1;
        true
    }

    fn read_frame(
        &mut self,
        side: Side,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        let is_enough = match frame.kind {
            FrameKind::Method => frame.is_whole || frame.payload.len() >= METHOD_SEEN || input.cut,
            FrameKind::Header => parse::body_size(frame.payload).is_some(),
            FrameKind::Body => true,
            FrameKind::Heartbeat => frame.is_whole,
        };
        if !is_enough {
            return Some(Step::More);
        }
        if frame.kind == FrameKind::Method {
            let Some(method) = parse::method(frame.payload) else { return Some(Step::More) };
            match parse::known(method.id) {
                Some((_, by)) if says(side, by) => {}
                _ => return self.wrong(side, context),
            }
            self.proven |= frame.is_whole && method.is_whole;
            // What it settles was not seen: it may be anything that waits.
            if !method.is_whole
                && matches!(method.id, parse::BASIC_ACK | parse::BASIC_NACK | parse::BASIC_REJECT)
                && let Some(channel) = self.channels.get_mut(&frame.channel)
            {
                channel.lose(side, UnpairedReason::Truncated, &self.vhost, context);
            }
            let took = match side {
                Side::Client => self.client_says(&method, frame, input, context),
                Side::Server => self.server_says(&method, frame, input, context),
            };
            if let Took::Wait = took {
                return Some(Step::Wait);
            }
        }
        let bytes = frame.length.min(input.bytes.len());
        let then_pass = (frame.length - bytes) as u64;
        if matches!(frame.kind, FrameKind::Header | FrameKind::Body) {
            let content = Passing {
                channel: frame.channel,
                kind: frame.kind,
                length: frame.length as u64,
                carries: frame.carries(),
            };
            if frame.kind == FrameKind::Header
                && let Some(channel) = self.channels.get_mut(&frame.channel)
                && let Some(said) = channel.saying(side)
            {
                said.left = parse::body_size(frame.payload);
                said.pending.body_bytes = said.left;
            }
            if then_pass == 0 {
                let last = input.origin(bytes.saturating_sub(1));
                self.content_goes_on(side, content, last, context);
            } else {
                self.direction(side).passing = Some(content);
            }
        }
        Some(Step::Read { bytes, then_pass })
    }

    /// A frame of content has ended, maybe with bytes that were not seen: then when is not known.
    fn content_goes_on(
        &mut self,
        side: Side,
        frame: Passing,
        last: Origin,
        context: &mut Context<'_>,
    ) {
        let Some(channel) = self.channels.get_mut(&frame.channel) else { return };
        let Some(content) = channel.saying(side) else { return };
        match &mut content.pending.answer {
            // What is being asked for, not what is asked.
            Some(answer) if content.pending.by != side => {
                answer.bytes += frame.length;
                answer.is_cut |= !last.is_known();
                answer.ended_ns = last.moved_ns(answer.started_ns);
            }
            _ => content.pending.bytes += frame.length,
        }
        let body = if frame.kind == FrameKind::Body { frame.carries } else { 0 };
        content.left = content.left.and_then(|left| left.checked_sub(body));
        match content.left {
            Some(0) => {}
            Some(_) => return,
            // More than was said to come.
            None => {
                channel.saying(side).take();
                context.exchanges.give_up(self.reason, 1);
                return;
            }
        }
        if let Some(Content { pending, .. }) = channel.saying(side).take() {
            self.content_ends(frame.channel, pending, context);
        }
    }

    fn content_ends(&mut self, number: u16, mut pending: Pending, context: &mut Context<'_>) {
        let other = if pending.by == Side::Client { self.server } else { self.client };
        let may_be_answered = other.is_losing || pending.started_ns <= other.lost_to_ns;
        if pending.tag > 0 && may_be_answered {
            (pending.tag, pending.is_partial) = (0, true);
        }
        match (pending.id, pending.tag) {
            (parse::BASIC_GET, _) => pending.report(Outcome::Complete, &self.vhost, context),
            (parse::BASIC_PUBLISH, 1..) => {
                if !self.has_room(context) {
                    pending.report(Outcome::Partial, &self.vhost, context);
                } else if let Some(channel) = self.channels.get_mut(&number) {
                    channel.published.push_back(pending);
                }
            }
            (parse::BASIC_DELIVER, 1..) if !pending.no_ack => {
                if !self.has_room(context) {
                    pending.report(Outcome::OneWay, &self.vhost, context);
                } else if let Some(channel) = self.channels.get_mut(&number) {
                    channel.delivered.push_back(pending);
                }
            }
            _ if pending.is_partial => pending.report(Outcome::Partial, &self.vhost, context),
            _ => pending.report(Outcome::OneWay, &self.vhost, context),
        }
    }

    /// These bytes are no AMQP.
    fn wrong(&mut self, side: Side, context: &mut Context<'_>) -> Option<Step> {
        if !self.proven {
            return None;
        }
        self.lost(side, UnpairedReason::Gap, context);
        Some(Step::Ignore)
    }

    /// Ends a channel, or with number 0 all of them.
    fn end_channel(&mut self, number: u16, context: &mut Context<'_>) {
        let outcome = Outcome::NoResponse;
        if number == 0 {
            for channel in self.channels.values_mut() {
                channel.end(outcome, &self.vhost, context);
            }
            self.channels.clear();
            self.consumers.clear();
        } else if let Some(mut channel) = self.channels.remove(&number) {
            channel.end(outcome, &self.vhost, context);
            self.consumers.retain(|(of, _), _| *of != number);
        }
    }

    fn remember_consumer(&mut self, number: u16, tag: CompactString, consumer: Consumer) {
        let key = (number, tag);
        if self.consumers.len() < CONSUMERS_MAX || self.consumers.contains_key(&key) {
            self.consumers.insert(key, consumer);
        }
    }

    fn consumer(&self, number: u16, method: &Method<'_>) -> Option<&Consumer> {
        self.consumers.get(&(number, CompactString::from_utf8_lossy(method.consumer)))
    }
}

impl Dialogue for Conversation {
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        if self.direction(side).place == Place::Adrift {
            let is_header = side == Side::Client && input.bytes.starts_with(PROTOCOL_HEADER);
            let may_begin = match whole_method(input.bytes, input.cut) {
                _ if !input.is_fresh() => false,
                Reading::Whole(by) => says(side, by),
                Reading::More => return Some(Step::More),
                Reading::Invalid => is_header,
            };
            if !may_begin {
                // What is passed by may answer anything that was said since.
                self.lost(side, self.reason, context);
                return Some(Step::Ignore);
            }
            self.direction(side).place = Place::Frame;
        }
        let head = input.bytes.get(..PROTOCOL_HEADER.len().min(input.bytes.len()));
        match head.unwrap_or_default() {
            // A server that speaks another version answers with its own header, and closes.
            whole if whole.starts_with(b"AMQP") && whole.len() == PROTOCOL_HEADER.len() => {
                return Some(Step::read(whole.len()));
            }
            part if PROTOCOL_HEADER.starts_with(part) => return Some(Step::More),
            _ => {}
        }
        match parse::frame(input.bytes) {
            Reading::Whole(frame) => self.read_frame(side, &frame, input, context),
            Reading::More => Some(Step::More),
            Reading::Invalid => self.wrong(side, context),
        }
    }

    fn passed(&mut self, side: Side, _end: Position, last: Origin, context: &mut Context<'_>) {
        if let Some(content) = self.direction(side).passing.take() {
            self.content_goes_on(side, content, last, context);
        }
    }

    fn heard(&mut self, side: Side, _end: Position, last: Origin) {
        let direction = self.direction(side);
        if std::mem::take(&mut direction.is_losing) {
            direction.lost_to_ns = last.ended_ns;
        }
    }

    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>) {
        let direction = self.direction(side);
        (direction.place, direction.passing) = (Place::Adrift, None);
        direction.is_losing = true;
        for channel in self.channels.values_mut() {
            channel.lose(side, reason, &self.vhost, context);
        }
    }

    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>) {
        let silence_ns = context.limits.silence_ns;
        for channel in self.channels.values_mut() {
            for pending in channel.asked.iter_mut().chain(&mut channel.published) {
                let waited_ns = watermark_ns.saturating_sub(pending.started_ns);
                if !pending.reported && waited_ns > silence_ns {
                    pending.report(Outcome::NoResponse, &self.vhost, context);
                    pending.reported = true;
                }
            }
        }
    }

    fn close(&mut self, ending: Ending, context: &mut Context<'_>) {
        let outcome = match ending.reason {
            CloseReason::Reset => Outcome::Reset,
            _ => Outcome::NoResponse,
        };
        for channel in self.channels.values_mut() {
            channel.end(outcome, &self.vhost, context);
        }
    }

    fn withdraw(&mut self, context: &mut Context<'_>) {
        let given_up: usize = self.channels.values().map(Channel::waiting).sum();
        context.exchanges.give_up(UnpairedReason::Withdrawn, given_up as u64);
    }
}

#[cfg(test)]
mod tests;
