//! For tests: one end of a connection, whose bytes a test says.

use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Direction, Position, Role, Segment, Source, View,
};

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
        }
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
        engine.open(&connection(known, mid_stream));
        Wire {
            engine,
            views: Vec::new(),
            now_ns: TICK_NS,
            role,
            sent: SENT,
            received: RECEIVED,
            given: (0, 0),
        }
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
        self.engine.segment(&said.segment(KEY), &mut self.views);
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

    pub(crate) fn close(&mut self, reason: CloseReason) -> &mut Wire {
        let close = Close { key: KEY, time_ns: self.now_ns, reason };
        self.engine.close(&close, &mut self.views);
        self
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

/// Harms a conversation: at each place a segment is dropped, doubled, swapped with the next, or
/// less of it was copied.
pub(crate) fn damage(said: &mut Vec<Said>, harms: &[(proptest::sample::Index, u8)]) {
    for (index, kind) in harms {
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
                let whole = said[at].clone();
                let length = whole.head.len() / 2;
                let head = whole.head[..length].to_vec();
                said[at] = Said { head, tail: Vec::new(), ..whole };
            }
        }
    }
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
