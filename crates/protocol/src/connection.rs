//! One connection: its two streams, who opened it, and what it speaks.

mod ear;

use std::net::SocketAddr;
use std::sync::Arc;

use alaz_model::{
    Balance, Close, CloseReason, Connection as Opened, ConnectionKey, Direction, ExchangeLedger,
    LossReason, Position, Protocol, Role, Segment, Source, TlsHandshake, View,
};

use crate::dialogue::{Context, Dialogue, Ending, Facts, PROTOCOLS};
use crate::engine::Wish;
use crate::kafka::TopicNames;
use crate::stream::{Books, End, Origin, Stream};
use crate::tls::Opening;
use ear::Ear;

/// Between two wishes for more of one connection.
pub(crate) const WISH_AGAIN_NS: u64 = 10_000_000_000;
/// A connection that disappointed so often is not believed any more.
pub(crate) const WITHDRAWALS_MAX: u32 = 2;

pub(crate) struct Connection {
    facts: Facts,
    local: SocketAddr,
    remote: SocketAddr,
    send: Stream,
    receive: Stream,
    talk: Talk,
    /// Which way the last segment went.
    last: Option<Direction>,
    /// The other side spoke before what is said now: messages begin here.
    turned: bool,
    /// The newest that was heard, sent and received.
    heard: [Origin; 2],
    /// When bytes were last missing, sent and received; see
    /// [`MISSING_NOW`](crate::dialogue::MISSING_NOW).
    missing_ns: [Option<u64>; 2],
    /// Something was said, or may have been, before what the streams show.
    mid_stream: bool,
    /// The verdict was withdrawn just now.
    withdrawn: bool,
    /// Its end, while bytes from before that may still come.
    closing: Option<Close>,
    /// It is on the engine's list of those that wait for a watermark.
    pub(crate) listed: bool,
    /// When something last happened, ns.
    pub(crate) active_ns: u64,
    /// When it was last wished that more of it be copied, or nothing, ns; 0: never.
    wished_ns: u64,
    /// What is said inside TLS, as far as a library tells: a connection of its own.
    inside: Option<Box<Connection>>,
}

/// What a connection speaks, as far as is known.
enum Talk {
    /// Nothing has been recognised in so many segments.
    Undecided { tries: u32, withdrawals: u32 },
    /// The dialogue of a protocol.
    Speaks { protocol: Protocol, dialogue: Box<dyn Dialogue>, withdrawals: u32 },
    /// TLS, of which only the beginning is read here: its contents are read elsewhere or not at all.
    Tls(Box<Opening>),
    /// Not to be looked at: Alaz's own.
    Excluded,
}

impl Talk {
    /// Whatever else is said on the connection, nothing of it will be read.
    fn needs_nothing(&self) -> bool {
        match self {
            Talk::Tls(opening) => opening.is_over(),
            Talk::Excluded => true,
            Talk::Undecided { withdrawals, .. } => *withdrawals >= WITHDRAWALS_MAX,
            Talk::Speaks { .. } => false,
        }
    }
}

/// What a connection speaks, for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Speaks(Protocol),
    Tls,
    Unknown,
}

/// How a connection goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Departure {
    /// It has ended.
    Ended(Close),
    /// It is gone, and nobody saw how.
    Unseen,
    /// It goes on, and only Alaz stops looking.
    Open,
}

/// What all connections write to.
pub(crate) struct Desk<'a> {
    pub(crate) books: Books<'a>,
    /// Of what is said inside TLS; the balance in `books` is that of what the sockets moved.
    pub(crate) tls: &'a mut Balance,
    pub(crate) exchanges: &'a mut ExchangeLedger,
    pub(crate) views: &'a mut Vec<View>,
    pub(crate) topics: &'a mut TopicNames,
}

impl Desk<'_> {
    /// For what is said inside TLS.
    fn inside(&mut self) -> Desk<'_> {
        Desk {
            books: Books {
                balance: self.tls,
                held_total: self.books.held_total,
                limits: self.books.limits,
                uncopied: self.books.uncopied,
            },
            tls: self.books.balance,
            exchanges: self.exchanges,
            views: self.views,
            topics: self.topics,
        }
    }
}

impl Connection {
    pub(crate) fn new(opened: &Opened, excluded: bool) -> Connection {
        let mut connection = Connection {
            facts: Facts {
                key: opened.key,
                role: Role::Unknown,
                client: opened.local,
                server: opened.remote,
                network_namespace: opened.network_namespace,
                tls: None,
            },
            local: opened.local,
            remote: opened.remote,
            send: Stream::from(opened.send),
            receive: Stream::from(opened.receive),
            talk: match excluded {
                true => Talk::Excluded,
                false => Talk::Undecided { tries: 0, withdrawals: 0 },
            },
            last: None,
            turned: false,
            heard: [Origin::default(); 2],
            missing_ns: [None; 2],
            mid_stream: opened.mid_stream,
            withdrawn: false,
            closing: None,
            listed: false,
            active_ns: opened.time_ns,
            wished_ns: 0,
            inside: None,
        };
        connection.set_role(opened.role);
        connection
    }

    pub(crate) fn key(&self) -> ConnectionKey {
        self.facts.key
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match &self.talk {
            Talk::Speaks { protocol, .. } => Verdict::Speaks(*protocol),
            Talk::Tls(_) => match self.inside.as_ref().map(|inside| inside.verdict()) {
                Some(Verdict::Speaks(protocol)) => Verdict::Speaks(protocol),
                _ => Verdict::Tls,
            },
            Talk::Undecided { .. } | Talk::Excluded => Verdict::Unknown,
        }
    }

    pub(crate) fn segment(&mut self, segment: &Segment<'_>, desk: &mut Desk<'_>) {
        match (segment.source, &self.talk) {
            (Source::Socket, _) => self.read(segment, desk),
            (Source::Tls, Talk::Tls(opening)) => {
                self.active_ns = self.active_ns.max(segment.ended_ns);
                let facts =
                    Facts { tls: Some(Arc::clone(opening.handshake())), ..self.facts.clone() };
                let (local, remote) = (self.local, self.remote);
                let inside = self.inside.get_or_insert_with(|| {
                    Box::new(Connection::inside(facts, local, remote, segment))
                });
                inside.read(segment, &mut desk.inside());
            }
            (Source::Tls, Talk::Excluded) => {
                desk.tls.segments.counted += 1;
                desk.tls.bytes.counted += u64::from(segment.length);
            }
            // What the connection carries is no TLS: the library used it for something else.
            (Source::Tls, _) => {
                desk.tls.segments.lose(LossReason::Unlinked, 1);
                desk.tls.bytes.lose(LossReason::Unlinked, u64::from(segment.length));
            }
        }
    }

    /// What is said inside TLS, of which this is the first segment that came.
    fn inside(
        facts: Facts,
        local: SocketAddr,
        remote: SocketAddr,
        first: &Segment<'_>,
    ) -> Connection {
        let beginning = first.position.is_anchored().then_some(Position(0));
        let opened = Opened {
            key: facts.key,
            local,
            remote,
            network_namespace: facts.network_namespace,
            role: facts.role,
            send: beginning,
            receive: beginning,
            time_ns: first.ended_ns,
            mid_stream: beginning.is_none(),
        };
        let mut inside = Connection::new(&opened, false);
        inside.facts.tls = facts.tls;
        inside
    }

    fn read(&mut self, segment: &Segment<'_>, desk: &mut Desk<'_>) {
        self.active_ns = self.active_ns.max(segment.ended_ns);
        let direction = segment.direction;
        self.turned |= self.last.replace(direction) != Some(direction);
        let (stream, mut reader, mut books) = self.side(direction, desk);
        stream.segment(segment, &mut reader, &mut books);
        self.leave_body_after(direction);
        let (other, mut reader, mut books) = self.side(direction.opposite(), desk);
        other.resume(&mut reader, &mut books);
        self.leave_body_after(direction.opposite());
    }

    /// Whether more of it should be copied, or nothing, than was of this segment. A wish that was not
    /// granted, or only for a while, comes again.
    pub(crate) fn wish(&mut self, segment: &Segment<'_>) -> Option<Wish> {
        if segment.source == Source::Tls {
            let wish = self.inside.as_mut()?.wish_for(segment);
            // What is not copied of it is what the socket moves.
            return wish.filter(|wish| *wish == Wish::More);
        }
        self.wish_for(segment)
    }

    fn wish_for(&mut self, segment: &Segment<'_>) -> Option<Wish> {
        let (now_ns, copied) = (segment.ended_ns, segment.copied());
        let wish = match &self.talk {
            Talk::Speaks { protocol, .. } if copied < segment.length as usize => {
                let wants = PROTOCOLS.iter().any(|it| it.protocol == *protocol && it.wants_depth);
                wants.then_some(Wish::More)
            }
            talk => (copied > 0 && talk.needs_nothing()).then_some(Wish::Nothing),
        }?;
        if self.wished_ns != 0 && now_ns.saturating_sub(self.wished_ns) <= WISH_AGAIN_NS {
            return None;
        }
        self.wished_ns = now_ns.max(1);
        Some(wish)
    }

    /// What is known of how its TLS began, if that is more than was told before.
    pub(crate) fn take_handshake(&mut self) -> Option<Arc<TlsHandshake>> {
        match &mut self.talk {
            Talk::Tls(opening) => opening.take_news(),
            _ => None,
        }
    }

    /// Returns whether something still waits for a watermark.
    pub(crate) fn advance(&mut self, watermark_ns: u64, desk: &mut Desk<'_>) -> bool {
        self.read_on(watermark_ns, desk);
        self.dialogue(desk, |dialogue, context| dialogue.advance(watermark_ns, context));
        if let Some(inside) = &mut self.inside {
            inside.advance(watermark_ns, &mut desk.inside());
        }
        self.is_waiting()
    }

    /// What was waiting goes on, each direction as far as it goes by itself. Only when neither does is
    /// one piece made to, the oldest.
    fn read_on(&mut self, watermark_ns: u64, desk: &mut Desk<'_>) {
        let mut force = false;
        while self.send.is_waiting() || self.receive.is_waiting() {
            let oldest = match self.send.waits_since() <= self.receive.waits_since() {
                true => Direction::Send,
                false => Direction::Receive,
            };
            let mut has_moved = false;
            for direction in self.requests_first() {
                let is_forced = force && direction == oldest;
                let (stream, mut reader, mut books) = self.side(direction, desk);
                has_moved |= stream.advance(watermark_ns, is_forced, &mut reader, &mut books);
                self.leave_body_after(direction);
            }
            if force && !has_moved {
                break;
            }
            force = !has_moved;
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.closing.is_some()
            || self.send.is_waiting()
            || self.receive.is_waiting()
            || self.inside.as_ref().is_some_and(|inside| inside.is_waiting())
    }

    /// It has ended, but a segment from before that may still come.
    pub(crate) fn close_later(&mut self, close: &Close) {
        self.closing = Some(*close);
    }

    /// Its end, once everything from before that has come, or can come no more.
    pub(crate) fn due_close(&self, horizon_ns: u64) -> Option<Close> {
        let close = self.closing.as_ref()?;
        (close.time_ns <= horizon_ns || self.is_whole(close)).then_some(*close)
    }

    /// Whether everything up to this end has come. Nothing tells where what is said inside TLS ends.
    pub(crate) fn is_whole(&self, close: &Close) -> bool {
        self.inside.is_none()
            && self.send.reaches(close.send)
            && self.receive.reaches(close.receive)
    }

    /// Its last. Where its end was told of, that counts, whatever happens to it now.
    pub(crate) fn depart(&mut self, departure: Departure, desk: &mut Desk<'_>) {
        let departure = self.closing.map_or(departure, Departure::Ended);
        if let Some(mut inside) = self.inside.take() {
            let departure = match departure {
                Departure::Ended(close) => {
                    Departure::Ended(Close { send: None, receive: None, ..close })
                }
                other => other,
            };
            inside.depart(departure, &mut desk.inside());
        }
        // First what is there, then what is missing.
        self.read_on(u64::MAX, desk);
        let mut seen = [true; 2];
        for (direction, seen) in self.requests_first().into_iter().zip(&mut seen) {
            let at = |end: Option<Position>| end.map_or(End::Here, End::At);
            let end = match (departure, direction) {
                (Departure::Ended(close), Direction::Send) => at(close.send),
                (Departure::Ended(close), Direction::Receive) => at(close.receive),
                (Departure::Unseen, _) => End::Unseen,
                (Departure::Open, _) => End::Here,
            };
            let (stream, mut reader, mut books) = self.side(direction, desk);
            *seen = stream.finish(end, &mut reader, &mut books);
            self.leave_body_after(direction);
        }
        let reason = match departure {
            Departure::Ended(close) => close.reason,
            Departure::Unseen => CloseReason::Finished,
            Departure::Open => return,
        };
        let [_, is_answer_seen] = seen;
        let ending = Ending { reason, is_answer_seen };
        self.dialogue(desk, |dialogue, context| dialogue.close(ending, context));
    }

    /// Whether its bytes are known not to be needed.
    pub(crate) fn is_passed_by(&self) -> bool {
        matches!(self.talk, Talk::Tls(_) | Talk::Excluded)
    }

    /// When what was read in one direction took the verdict back, nothing in the other is a body by
    /// that verdict any more.
    fn leave_body_after(&mut self, direction: Direction) {
        if std::mem::take(&mut self.withdrawn) {
            match direction {
                Direction::Send => self.receive.leave_body(),
                Direction::Receive => self.send.leave_body(),
            }
        }
    }

    fn requests_first(&self) -> [Direction; 2] {
        match self.facts.role {
            Role::Server => [Direction::Receive, Direction::Send],
            Role::Client | Role::Unknown => [Direction::Send, Direction::Receive],
        }
    }

    fn set_role(&mut self, role: Role) {
        self.facts.role = role;
        (self.facts.client, self.facts.server) = match role {
            Role::Server => (self.remote, self.local),
            Role::Client | Role::Unknown => (self.local, self.remote),
        };
    }

    fn dialogue(
        &mut self,
        desk: &mut Desk<'_>,
        act: impl FnOnce(&mut dyn Dialogue, &mut Context<'_>),
    ) {
        if let Talk::Speaks { dialogue, .. } = &mut self.talk {
            let mut context = Context {
                facts: &self.facts,
                views: desk.views,
                exchanges: desk.exchanges,
                topics: desk.topics,
                limits: desk.books.limits,
            };
            act(dialogue.as_mut(), &mut context);
        }
    }

    /// One direction's stream, with what it needs to be read.
    fn side<'a>(
        &'a mut self,
        direction: Direction,
        desk: &'a mut Desk<'_>,
    ) -> (&'a mut Stream, Ear<'a>, Books<'a>) {
        let limits = desk.books.limits;
        let stream = match direction {
            Direction::Send => &mut self.send,
            Direction::Receive => &mut self.receive,
        };
        let ear = Ear {
            direction,
            turned: &mut self.turned,
            withdrawn: &mut self.withdrawn,
            facts: &mut self.facts,
            ends: (self.local, self.remote),
            talk: &mut self.talk,
            heard: &mut self.heard,
            missing_ns: &mut self.missing_ns,
            mid_stream: &mut self.mid_stream,
            views: desk.views,
            exchanges: desk.exchanges,
            topics: desk.topics,
            limits,
        };
        let Books { balance, held_total, uncopied, .. } = &mut desk.books;
        let books = Books { balance, held_total, limits, uncopied: *uncopied };
        (stream, ear, books)
    }
}
