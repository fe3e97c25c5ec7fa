//! What the frames of a connection do.

use alaz_model::{Position, UnpairedReason};

use super::grpc::Messages;
use super::pair::{Answer, Fields, Reset, Stream, Way, error_name};
use super::parse::{self, Chain, END_HEADERS, END_STREAM, HEADER, Header, Kind, PREFACE};
use super::{Conversation, Place};
use crate::dialogue::{Context, Side};
use crate::stream::{Input, Origin, Step};

/// So few frames do not yet make a wrong one the exception.
const FRAMES_DOUBTED: u64 = 4;

/// A header block, which may go on over several frames.
pub(super) struct Block {
    stream: u32,
    kind: Kind,
    ends_stream: bool,
    position: Position,
    origin: Origin,
    started_ns: u64,
    /// Bytes of its frames.
    size: u64,
    /// What of it stood in earlier frames.
    bytes: Vec<u8>,
    /// Nothing of it is missing so far.
    is_whole: bool,
}

impl Conversation {
    pub(super) fn read_preface(&mut self, input: &Input<'_>) -> Step {
        if input.bytes.starts_with(PREFACE) {
            self.client.place = Place::Frame;
            self.client.missed = None;
            return Step::read(PREFACE.len());
        }
        if PREFACE.starts_with(input.bytes) && !input.cut {
            return Step::More;
        }
        self.lose(Side::Client, UnpairedReason::MidStream);
        Step::Again
    }

    /// While adrift: are these frames?
    pub(super) fn find_frames(&mut self, side: Side, input: &Input<'_>) -> Step {
        if !input.is_fresh() {
            return Step::Ignore;
        }
        let is_open = |stream| self.streams.contains_key(&stream);
        let is_proven =
            Chain::read(input.bytes, self.newest).is_some_and(|chain| chain.proves(side, is_open));
        if !is_proven {
            return Step::Ignore;
        }
        self.half(side).place = Place::Frame;
        Step::Again
    }

    pub(super) fn read_frame(
        &mut self,
        side: Side,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        let Some(header) = Header::read(input.bytes) else {
            return Some(if input.cut { self.ignore_rest(side) } else { Step::More });
        };
        let newest = self.newest;
        let half = self.half(side);
        let is_frame = match half.missed {
            Some(_) => header.is_plausible(newest),
            // Both sides begin with their settings (RFC 9113 §3.4).
            None if half.frames == 0 => header.is_valid() && header.kind == Kind::Settings,
            None => header.is_valid(),
        };
        let is_in_order = match &half.block {
            Some(block) => header.kind == Kind::Continuation && header.stream == block.stream,
            None => header.kind != Kind::Continuation,
        };
        if !is_frame || !is_in_order {
            return self.disbelieve(side);
        }
        let step = match header.kind {
            Kind::Data => self.read_data(side, &header, input, context),
            Kind::Headers | Kind::PushPromise | Kind::Continuation => {
                return self.read_headers(side, &header, input, context);
            }
            Kind::RstStream => self.read_reset(side, &header, input, context),
            Kind::GoAway if side == Side::Server => self.read_goaway(input, &header),
            _ => Step::Read { bytes: HEADER, then_pass: u64::from(header.length) },
        };
        if let Step::Read { .. } = step {
            self.half(side).frames += 1;
        }
        Some(step)
    }

    /// These are no frames: either we lost our course, or it never was HTTP/2.
    fn disbelieve(&mut self, side: Side) -> Option<Step> {
        let is_new = self.client.frames + self.server.frames < FRAMES_DOUBTED;
        if self.half(side).frames == 0 || is_new {
            return None;
        }
        self.lose(side, UnpairedReason::Gap);
        Some(Step::Ignore)
    }

    fn ignore_rest(&mut self, side: Side) -> Step {
        self.lose(side, UnpairedReason::Truncated);
        Step::Ignore
    }

    fn read_data(
        &mut self,
        side: Side,
        header: &Header,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        if side == Side::Client {
            self.notice(header);
        }
        if let Some(stream) = self.streams.get_mut(&header.stream) {
            let way = stream.way(side);
            if !take_messages(way, header, input) {
                return Step::More;
            }
            way.bytes += header.size();
            stream.active_ns = input.origin(0).ended_ns;
            if let Some(answer) = stream.answer.as_mut().filter(|_| side == Side::Server) {
                answer.is_final = true;
            }
        }
        self.pass(side, header, HEADER, header.has(END_STREAM), input, context)
    }

    /// The frame was read up to `seen`; what is left of it is passed over.
    fn pass(
        &mut self,
        side: Side,
        header: &Header,
        seen: usize,
        ends: bool,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let stream = header.stream;
        let then_pass = header.size() - seen as u64;
        if then_pass > 0 {
            self.half(side).place = Place::Passing { stream, ends };
        } else if ends {
            self.end_stream(side, stream, input.origin(seen - 1), context);
        }
        Step::Read { bytes: seen, then_pass }
    }

    fn read_headers(
        &mut self,
        side: Side,
        header: &Header,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        if self.must_wait(side, header, input) {
            return Some(Step::Wait);
        }
        let size = usize::try_from(header.size()).unwrap_or(usize::MAX);
        let seen = input.bytes.len().min(size);
        if seen < size && !input.cut {
            return Some(Step::More);
        }
        let payload = input.bytes.get(HEADER..seen).unwrap_or_default();
        let Some((fragment, is_whole)) = header.content(payload) else {
            return self.disbelieve(side);
        };
        let half = self.half(side);
        half.frames += 1;
        let before_ns = half.before_ns;
        let mut block = half.block.take().unwrap_or_else(|| Block {
            stream: header.stream,
            kind: header.kind,
            ends_stream: header.kind == Kind::Headers && header.has(END_STREAM),
            position: input.position,
            origin: input.origin(0),
            started_ns: input.origin(0).moved_ns(before_ns),
            size: 0,
            bytes: Vec::new(),
            is_whole: true,
        });
        block.size += header.size();
        if !header.has(END_HEADERS) {
            block.go_on(fragment, is_whole, context.limits.head_bytes);
            half.block = Some(block);
            return Some(self.pass(side, header, seen, false, input, context));
        }
        let fields = if block.bytes.is_empty() && block.is_whole {
            self.decode(side, fragment, is_whole)
        } else {
            block.go_on(fragment, is_whole, context.limits.head_bytes);
            self.decode(side, &block.bytes, block.is_whole)
        };
        match (side, block.kind) {
            (Side::Client, Kind::Headers) => self.ask(&block, fields, context),
            (Side::Server, Kind::Headers) => self.answer(&block, &fields, context),
            _ => {}
        }
        // What a tunnel carries is nobody's request or response.
        let opens_tunnel = side == Side::Server && self.open_tunnel(block.stream);
        let ends = block.ends_stream || opens_tunnel;
        Some(self.pass(side, header, seen, ends, input, context))
    }

    /// Whether the request that this belongs to may still be on its way to us.
    fn must_wait(&self, side: Side, header: &Header, input: &Input<'_>) -> bool {
        let may_begin = matches!(header.kind, Kind::Headers | Kind::RstStream);
        side == Side::Server
            && may_begin
            && header.is_by_client()
            && header.stream > self.newest
            && !input.forced
    }

    fn decode(&mut self, side: Side, block: &[u8], is_whole: bool) -> Fields {
        let mut fields = Fields::default();
        let table = &mut self.half(side).table;
        if table.decode(block, |field| fields.add(field)).is_err() || !is_whole {
            table.forget();
            fields.is_partial = true;
        }
        fields
    }

    /// The client has begun this stream, whether that was seen or not.
    fn notice(&mut self, header: &Header) {
        if header.is_by_client() {
            self.newest = self.newest.max(header.stream);
        }
    }

    /// A header block of the client.
    fn ask(&mut self, block: &Block, fields: Fields, context: &mut Context<'_>) {
        let id = block.stream;
        if let Some(stream) = self.streams.get_mut(&id) {
            // Trailers.
            stream.request.bytes += block.size;
            stream.active_ns = block.origin.ended_ns;
            return;
        }
        if id.is_multiple_of(2) || id <= self.newest {
            return;
        }
        if let Some(reason) = self.client.missed.filter(|_| id > self.newest + 2) {
            self.unseen = (self.newest, id, reason);
        }
        self.newest = id;
        if !fields.is_request {
            // Trailers of a request that went by before, or one of which nothing is known.
            if fields.is_partial {
                context.exchanges.give_up(self.reason(), 1);
            }
            return;
        }
        if !self.make_room(context) {
            context.exchanges.give_up(UnpairedReason::TooManyPending, 1);
            return;
        }
        let messages = (fields.is_grpc == Some(true)).then(Messages::default);
        let refused = (id > self.last_accepted).then_some(block.started_ns);
        let has_gap =
            self.server.place == Place::Adrift || self.losses.may_answer(block.started_ns);
        let stream = Stream {
            fields,
            position: block.position,
            started_ns: block.started_ns,
            pid: block.origin.pid,
            request: Way { bytes: block.size, messages, ..Way::default() },
            response: Way { messages, has_gap, ..Way::default() },
            answer: None,
            reset: refused.map(refusal),
            ended_ns: 0,
            active_ns: block.origin.ended_ns,
        };
        self.streams.insert(id, stream);
    }

    /// A header block of the server.
    fn answer(&mut self, block: &Block, fields: &Fields, context: &mut Context<'_>) {
        let id = block.stream;
        let Some(stream) = self.streams.get_mut(&id) else {
            let (after, up_to, reason) = self.unseen;
            let is_answer = fields.status.is_some_and(|status| status >= 200);
            if id > self.newest && !id.is_multiple_of(2) {
                // Nobody has seen its request.
                context.exchanges.give_up(self.reason(), 1);
                self.newest = id;
            } else if is_answer && after < id && id < up_to {
                context.exchanges.give_up(reason, 1);
            }
            return;
        };
        let answer = Answer {
            status: fields.status,
            position: block.position,
            started_ns: block.started_ns.max(stream.started_ns),
            pid: block.origin.pid,
            is_final: fields.status.is_some(),
        };
        stream.hear(fields, answer, block.size, block.ends_stream);
        stream.active_ns = block.origin.ended_ns;
    }

    /// A tunnel's request and response are over with their heads.
    fn open_tunnel(&mut self, id: u32) -> bool {
        let stream = self.streams.get_mut(&id).filter(|stream| stream.is_tunnel());
        if let Some(stream) = stream {
            stream.request.is_done = true;
            return true;
        }
        false
    }

    fn read_reset(
        &mut self,
        side: Side,
        header: &Header,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        if self.must_wait(side, header, input) {
            return Step::Wait;
        }
        let size = HEADER + header.length as usize;
        let Some(code) = input.bytes.get(HEADER..).and_then(parse::number) else {
            return if input.cut { self.ignore_rest(side) } else { Step::More };
        };
        if side == Side::Client {
            self.notice(header);
        }
        let at_ns = input.origin(size - 1).moved_ns(self.half(side).before_ns);
        if let Some(stream) = self.streams.get_mut(&header.stream) {
            // After its response a server may ask for no more of the request (RFC 9113 §8.1).
            let is_answered = side == Side::Server && stream.response.is_done;
            if !is_answered {
                stream.reset.get_or_insert(Reset { by: side, code: error_name(code), at_ns });
            }
            stream.request.is_done |= is_answered || side == Side::Client;
            self.settle(header.stream, context);
        }
        Step::read(size)
    }

    /// The server ends the connection: streams after the one it names are not looked at (RFC 9113
    /// §6.8).
    fn read_goaway(&mut self, input: &Input<'_>, header: &Header) -> Step {
        let Some(last) = input.bytes.get(HEADER..).and_then(parse::number) else {
            return if input.cut { self.ignore_rest(Side::Server) } else { Step::More };
        };
        self.last_accepted = self.last_accepted.min(last & 0x7fff_ffff);
        let at_ns = input.origin(0).moved_ns(self.server.before_ns);
        let refused = self.streams.range_mut(self.last_accepted.saturating_add(1)..);
        for (_, stream) in refused.filter(|(_, stream)| stream.answer.is_none()) {
            stream.reset.get_or_insert_with(|| refusal(at_ns.max(stream.started_ns)));
        }
        let seen = HEADER + 4;
        Step::Read { bytes: seen, then_pass: header.size() - seen as u64 }
    }
}

/// What happens to a stream on a connection that the server has ended.
fn refusal(at_ns: u64) -> Reset {
    Reset { by: Side::Server, code: "GOAWAY", at_ns }
}

/// Counts the messages in a DATA frame. False when it takes more of the frame to do so.
fn take_messages(way: &mut Way, header: &Header, input: &Input<'_>) -> bool {
    let Some(messages) = &mut way.messages else { return true };
    let payload = input.bytes.get(HEADER..).unwrap_or_default();
    let length = header.length as usize;
    let payload = payload.get(..length).unwrap_or(payload);
    // Nobody pads gRPC; where somebody does, nothing is counted.
    if header.has(parse::PADDED) {
        messages.lose_count();
    } else if !messages.take(payload, length) {
        if !input.cut {
            return false;
        }
        messages.lose_count();
    }
    true
}

impl Block {
    /// Takes a part, if nothing before it is missing.
    fn go_on(&mut self, fragment: &[u8], is_whole: bool, bytes_max: usize) {
        if self.is_whole {
            let room = bytes_max.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(fragment.get(..room).unwrap_or(fragment));
            self.is_whole = is_whole && fragment.len() <= room;
        }
    }
}
