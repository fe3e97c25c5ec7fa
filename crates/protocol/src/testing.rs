//! For tests: one end of a connection, whose bytes a test says.

use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Direction, Position, Role, Segment, Source, View,
};
use proptest::prelude::*;

use crate::{Engine, Limits};

/// A segment that owns its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) direction: Direction,
    pub(crate) position: u64,
    pub(crate) time_ns: u64,
    pub(crate) length: u32,
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
    /// Told of, and not to be read.
    pub(crate) unread: bool,
}

impl Said {
    /// As the kernel side copies it: the first `head` bytes and the last `tail`.
    pub(crate) fn new(
        direction: Direction,
        position: u64,
        time_ns: u64,
        bytes: &[u8],
        (head, tail): (usize, usize),
    ) -> Said {
        let head = head.min(bytes.len());
        let tail = tail.min(bytes.len() - head);
        Said {
            direction,
            position,
            time_ns,
            length: bytes.len() as u32,
            head: bytes[..head].to_vec(),
            tail: bytes[bytes.len() - tail..].to_vec(),
            unread: false,
        }
    }

    /// The same, of which only so many of the first bytes were copied.
    pub(crate) fn cut(&self, head: usize) -> Said {
        Said { head: self.head[..head].to_vec(), tail: Vec::new(), ..self.clone() }
    }

    pub(crate) fn segment(&self, key: ConnectionKey) -> Segment<'_> {
        Segment {
            key,
            direction: self.direction,
            position: Position(self.position),
            length: self.length,
            head: &self.head,
            tail: &self.tail,
            started_ns: self.time_ns,
            ended_ns: self.time_ns,
            pid: 7,
            tid: 7,
            source: Source::Socket,
        }
    }
}

/// How much the kernel side copies.
pub(crate) const COPIED: (usize, usize) = (4096, 256);
pub(crate) const KEY: ConnectionKey = ConnectionKey { socket: 1, generation: 1 };
/// Where both directions begin.
const SENT: u64 = 1000;
const RECEIVED: u64 = 5000;
const TICK_NS: u64 = 1_000_000;

/// One end of a connection and an engine that hears it.
pub(crate) struct Wire {
    pub(crate) engine: Engine,
    pub(crate) views: Vec<View>,
    pub(crate) now_ns: u64,
    role: Role,
    sent: u64,
    received: u64,
    given: (u64, u64),
}

impl Wire {
    pub(crate) fn new(role: Role) -> Wire {
        Wire::with(role, role, false, Limits::default())
    }

    /// The role that the local end plays, and as far as it is known.
    pub(crate) fn with(role: Role, known: Role, mid_stream: bool, limits: Limits) -> Wire {
        let mut engine = Engine::new(limits);
        let mut views = Vec::new();
        engine.open(&connection(known, mid_stream), &mut views);
        Wire { engine, views, now_ns: TICK_NS, role, sent: SENT, received: RECEIVED, given: (0, 0) }
    }

    fn direction(&self, by_client: bool) -> Direction {
        if by_client == (self.role == Role::Client) { Direction::Send } else { Direction::Receive }
    }

    /// What is said next, not given yet.
    pub(crate) fn next_said(&mut self, by_client: bool, bytes: impl AsRef<[u8]>) -> Said {
        let bytes = bytes.as_ref();
        self.now_ns += TICK_NS;
        let direction = self.direction(by_client);
        let position = match direction {
            Direction::Send => &mut self.sent,
            Direction::Receive => &mut self.received,
        };
        let said = Said::new(direction, *position, self.now_ns, bytes, COPIED);
        *position += bytes.len() as u64;
        said
    }

    pub(crate) fn give(&mut self, said: &Said) {
        self.given.0 += 1;
        self.given.1 += u64::from(said.length);
        let segment = said.segment(KEY);
        match said.unread {
            true => self.engine.leave_unread(&segment, &mut self.views),
            false => self.engine.segment(&segment, &mut self.views),
        }
    }

    pub(crate) fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Wire {
        let said = self.next_said(true, bytes);
        self.give(&said);
        self
    }

    pub(crate) fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Wire {
        let said = self.next_said(false, bytes);
        self.give(&said);
        self
    }

    /// Said, but never seen.
    pub(crate) fn unseen(&mut self, by_client: bool, bytes: impl AsRef<[u8]>) -> &mut Wire {
        self.next_said(by_client, bytes);
        self
    }

    /// Time passes, and everything until then has been given.
    pub(crate) fn pause(&mut self, ns: u64) -> &mut Wire {
        self.now_ns += ns;
        self.engine.advance(self.now_ns, &mut self.views);
        self
    }

    /// The connection ends behind everything that was said, seen or not.
    pub(crate) fn close(&mut self, reason: CloseReason) -> &mut Wire {
        let ends = (Position(self.sent), Position(self.received));
        self.close_at(reason, ends)
    }

    fn close_at(
        &mut self,
        reason: CloseReason,
        (send, receive): (Position, Position),
    ) -> &mut Wire {
        let (send, receive) = (Some(send), Some(receive));
        let close = Close { key: KEY, time_ns: self.now_ns, reason, send, receive };
        self.engine.close(&close, &mut self.views);
        self
    }

    /// Hears what was said on it, to the end.
    pub(crate) fn hear(&mut self, said: &[Said], ending: &Ending) {
        let late = usize::from(ending.is_last_late && ending.how != How::Open);
        let (before, after) = said.split_at(said.len().saturating_sub(late));
        let give = |wire: &mut Wire, segment: &Said| {
            wire.now_ns = wire.now_ns.max(segment.time_ns);
            wire.give(segment);
            wire.engine.advance(segment.time_ns.saturating_sub(20_000_000), &mut wire.views);
        };
        before.iter().for_each(|segment| give(self, segment));
        match ending.how {
            How::Open => {}
            How::Closed(reason) => {
                self.close_at(reason, ending.ends);
            }
            // The end was not told of, and the socket is the next connection.
            How::Unseen => {
                let key = ConnectionKey { generation: KEY.generation + 1, ..KEY };
                let next = Connection { key, ..connection(self.role, false) };
                self.engine.open(&next, &mut self.views);
            }
        }
        after.iter().for_each(|segment| give(self, segment));
        self.pause(2_000_000_000);
        self.engine.finish(&mut self.views);
        self.assert_balances();
    }

    /// Ends everything, checks the balance, and tells what was reported: `METHOD target status outcome`.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.engine.finish(&mut self.views);
        self.assert_balances();
        self.views.iter().map(line).collect()
    }

    /// Every segment and byte that was given is accounted for.
    pub(crate) fn assert_balances(&self) {
        let socket = self.engine.ledger().socket;
        assert_eq!((socket.segments.seen(), socket.bytes.seen()), self.given, "{socket:?}");
    }
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Not at all, as far as Alaz looks.
    Open,
    Closed(CloseReason),
    /// The close was lost.
    Unseen,
}

/// The end of a conversation, to be told of after what was said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    how: How,
    /// The last segment is told of after the close.
    is_last_late: bool,
    /// Just behind everything that was said, sent and received.
    ends: (Position, Position),
}

impl Ending {
    /// None: Alaz stops looking.
    pub(crate) fn open() -> Ending {
        let ends = (Position::default(), Position::default());
        Ending { how: How::Open, is_last_late: false, ends }
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.how == How::Closed(CloseReason::Reset)
    }
}

/// What befalls a conversation on its way to Alaz.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    harms: Vec<(prop::sample::Index, u8)>,
    /// So many of the last segments are lost besides.
    lost_at_end: usize,
    /// So many segments from there on are not to be read.
    unread: Option<(prop::sample::Index, usize)>,
    how: How,
    is_last_late: bool,
}

/// No damage.
impl From<How> for Damage {
    fn from(how: How) -> Damage {
        Damage { harms: Vec::new(), lost_at_end: 0, unread: None, how, is_last_late: false }
    }
}

/// Any damage, and any end.
pub(crate) fn damages() -> impl Strategy<Value = Damage> {
    let harms = proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..8);
    let lost_at_end = prop_oneof![3 => Just(0_usize), 2 => 1_usize..4];
    let unread = proptest::option::weighted(0.25, (any::<prop::sample::Index>(), 1_usize..6));
    let how = prop_oneof![
        Just(How::Open),
        Just(How::Unseen),
        Just(How::Closed(CloseReason::Finished)),
        Just(How::Closed(CloseReason::Finished)),
        Just(How::Closed(CloseReason::Reset)),
    ];
    let parts = (harms, lost_at_end, unread, how, any::<bool>());
    parts.prop_map(|(harms, lost_at_end, unread, how, is_last_late)| Damage {
        harms,
        lost_at_end,
        unread,
        how,
        is_last_late,
    })
}

/// Harms a conversation: at each place a segment is dropped, doubled, swapped with the next, or
/// less of it was copied; then some of the last are dropped, and some are left unread. Returns how it
/// ends in truth.
pub(crate) fn damage(said: &mut Vec<Said>, damage: &Damage) -> Ending {
    let ending = Ending {
        how: damage.how,
        is_last_late: damage.is_last_late,
        ends: (end(said, Direction::Send, SENT), end(said, Direction::Receive, RECEIVED)),
    };
    for (index, kind) in &damage.harms {
        if said.is_empty() {
            break;
        }
        let at = index.index(said.len());
        match kind {
            0 => {
                said.remove(at);
            }
            1 => {
                let copy = said[at].clone();
                said.insert(at, copy);
            }
            2 if at + 1 < said.len() => said.swap(at, at + 1),
            _ => {
                said[at] = said[at].cut(said[at].head.len() / 2);
            }
        }
    }
    said.truncate(said.len().saturating_sub(damage.lost_at_end));
    if let Some((from, length)) = damage.unread
        && !said.is_empty()
    {
        let from = from.index(said.len());
        said.iter_mut().skip(from).take(length).for_each(|said| said.unread = true);
    }
    ending
}

fn end(said: &[Said], direction: Direction, otherwise: u64) -> Position {
    let ours = said.iter().filter(|said| said.direction == direction);
    let end = ours.map(|said| said.position + u64::from(said.length)).max();
    Position(end.unwrap_or(otherwise))
}

/// Any bytes, by the client or not; before some of them something was said and not seen.
pub(crate) type Noise = Vec<(bool, Vec<u8>, bool)>;

pub(crate) fn noise() -> impl Strategy<Value = Noise> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..60);
    proptest::collection::vec((any::<bool>(), bytes, prop::bool::weighted(0.05)), 1..40)
}

/// Hears all that, and the end of the connection.
pub(crate) fn hear(wire: &mut Wire, noise: Noise) {
    for (by_client, bytes, is_after_a_gap) in noise {
        if is_after_a_gap {
            wire.unseen(by_client, &bytes);
        }
        if by_client {
            wire.client(&bytes)
        } else {
            wire.server(&bytes)
        };
    }
    wire.pause(2_000_000_000).close(CloseReason::Finished);
}

/// Bytes to be replaced, by segment and place in it.
pub(crate) type Mutations = Vec<(prop::sample::Index, prop::sample::Index, u8)>;

pub(crate) fn mutations() -> impl Strategy<Value = Mutations> {
    let places = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>());
    proptest::collection::vec(places, 1..20)
}

pub(crate) fn mutate(said: &mut [Said], mutations: &Mutations) {
    for (segment, byte, value) in mutations {
        let head = &mut segment.get_mut(said).head;
        if !head.is_empty() {
            *byte.get_mut(head) = *value;
        }
    }
}

/// Whether a view says nothing that is not so, given that in truth this was all asked and wholly
/// answered (`METHOD target status outcome`): no failure, no status, no outcome that was not there.
/// `is_same` compares what was asked, as far as it is known.
pub(crate) fn is_honest<'a>(
    view: &View,
    mut truths: impl Iterator<Item = &'a str>,
    is_same: impl Fn(&str, &str) -> bool,
) -> bool {
    let message = &view.message;
    let asked = format!("{} {}", message.method, message.target);
    let (outcome, status) = (message.outcome.as_str(), message.status.as_str());
    truths.any(|truth| {
        let mut words = truth.rsplitn(3, ' ');
        let (end, code) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_outcome = outcome == end || outcome == "partial";
        let is_status = status == code || status.is_empty() && outcome == "partial";
        is_outcome && is_status && is_same(&asked, words.next().unwrap_or_default())
    })
}

pub(crate) fn line(view: &View) -> String {
    let message = &view.message;
    let outcome = message.outcome.as_str();
    format!("{} {} {} {outcome}", message.method, message.target, message.status)
}

pub(crate) fn connection(role: Role, mid_stream: bool) -> Connection {
    let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    let (local, remote) = if role == Role::Server { (server, client) } else { (client, server) };
    Connection {
        key: KEY,
        local,
        remote,
        network_namespace: 1,
        role,
        send: (!mid_stream).then_some(Position(SENT)),
        receive: (!mid_stream).then_some(Position(RECEIVED)),
        time_ns: 0,
        mid_stream,
    }
}

/// How conversations of many protocols begin: what is not a protocol's own it must not claim.
pub(crate) const FOREIGN: &[(&str, &[u8])] = &[
    ("http", b"GET /users/42 HTTP/1.1\r\nHost: api\r\n\r\n"),
    ("http response", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ("tls", b"\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x03abcdefghijklmnop"),
    ("redis", b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
    ("postgresql", b"\0\0\0\x17\0\x03\0\0user\0me\0db\0x\0\0"),
    ("postgresql query", b"Q\0\0\0\x0dSELECT 1\0"),
    ("mysql", b"\x4a\0\0\0\x0a8.0.36\0\x0b\0\0\0abcdefgh\0\xff\xf7\xff\x02\0\xff\xdf\x15\0"),
    ("mysql query", b"\x09\0\0\0\x03SELECT 1"),
    ("kafka", b"\0\0\0\x1a\0\x12\0\x03\0\0\0\x01\0\x08producer\0\x02a\x04\x31.0\0"),
    ("amqp", b"AMQP\0\0\x09\x01"),
    ("amqp 1.0", b"AMQP\0\x01\0\0"),
    (
        "mongodb",
        b"\x25\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x10\0\0\0\x10ping\0\x01\0\0\0",
    ),
    ("smtp", b"220 mail.example ESMTP\r\n"),
    ("smtp client", b"EHLO client.example\r\n"),
    ("pop3", b"+OK POP3 ready\r\n"),
    ("memcached", b"set key 0 0 5\r\nhello\r\n"),
    ("nats", b"INFO {\"server_id\":\"x\"}\r\nPING\r\n"),
    ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("mqtt", b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04id12"),
    ("random", b"\x01\x99\x7f\xce\xce\x01\0\0\0\x08\xff$1\r\n*\r\n"),
];
