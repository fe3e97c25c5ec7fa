//! From what the kernel tells of the ends of connections to the facts of each connection, once.
//!
//! A connection between two processes of this host has two ends here. They are one by the two
//! random numbers at which its streams begin, which hold through translated addresses too, or,
//! where it is older than Alaz, by their addresses. An end that is over waits a little for the
//! other one to be over as well; then what is known is told. If the client's end is told alone, the
//! server's says nothing any more.

mod facts;
mod listeners;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use alaz_model::{
    Close, Connection, ConnectionFacts, ConnectionKey, Endpoint, Measures, Process, Refused, Role,
    Segment, TlsHandshake, UntoldConnections,
};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use facts::End;
use listeners::Listeners;

/// How long an end that is over waits for the other one.
const SETTLE_NS: u64 = 200_000_000;
/// An end whose close was lost may go after this long without a byte, when room is needed.
const FORGOTTEN_NS: u64 = 3600 * 1_000_000_000;
/// Between two looks for such ends.
const FORGET_AGAIN_NS: u64 = 1_000_000_000;

/// Bounds of [`Connections`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Ends of connections known at once. Nothing is told of further ones.
    pub ends: usize,
    /// Addresses of this host where somebody is known to listen. Beyond, they are learned anew.
    pub listeners: usize,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits { ends: 65_536, listeners: 4096 }
    }
}

/// What makes two ends those of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PairKey {
    /// Where its streams begin, the lesser number first.
    Beginning(u32, u32),
    /// Both addresses in order; and the network namespace where they mean something only there.
    Addresses(SocketAddr, SocketAddr, u32),
}

/// The ends of connections of this host. Deterministic: times come with what is given.
pub struct Connections {
    limits: ConnectionLimits,
    /// By socket, which is one connection at a time.
    ends: HashMap<u64, End, RandomState>,
    /// Ends whose other end did not come into sight yet.
    single: HashMap<PairKey, ConnectionKey, RandomState>,
    /// Those that are over and wait, with when they have waited long enough.
    waiting: VecDeque<(u64, ConnectionKey)>,
    listeners: Listeners,
    excluded: HashSet<SocketAddr>,
    untold: UntoldConnections,
    /// Until then no end is worth forgetting.
    forget_ns: u64,
}

impl Connections {
    /// None known yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Connections {
        Connections {
            limits,
            ends: HashMap::default(),
            single: HashMap::default(),
            waiting: VecDeque::new(),
            listeners: Listeners::new(limits.listeners),
            excluded: HashSet::new(),
            untold: UntoldConnections::default(),
            forget_ns: 0,
        }
    }

    /// Connections to this server are Alaz's own. The caller bounds how many there are.
    pub fn exclude_server(&mut self, address: SocketAddr) {
        self.excluded.insert(address);
    }

    /// A connection came into sight. If its socket was another one before, that end was not seen.
    pub fn open(&mut self, opened: &Connection) {
        self.add(opened, self.is_own(opened));
    }

    /// The same of one that is Alaz's own, though its addresses do not tell: nothing is told of it.
    pub fn open_own(&mut self, opened: &Connection) {
        self.add(opened, true);
    }

    fn add(&mut self, opened: &Connection, is_own: bool) {
        let key = opened.key;
        match self.ends.get(&key.socket) {
            Some(known) if known.key.generation >= key.generation => return,
            Some(known) => {
                self.untold.unseen_end += u64::from(known.closed.is_none());
                self.remove(known.key);
            }
            None => {}
        }
        if self.ends.len() >= self.limits.ends {
            self.forget(opened.time_ns);
        }
        if self.ends.len() >= self.limits.ends {
            self.untold.too_many += 1;
            return;
        }
        let pair = PairKey::of(opened);
        let mut end = End::new(opened, pair, is_own);
        match self.single.remove(&pair) {
            Some(other) if let Some(first) = self.get_mut(other) => {
                first.other = Some(key);
                end.other = Some(other);
            }
            _ => {
                self.single.insert(pair, key);
            }
        }
        self.ends.insert(key.socket, end);
    }

    /// Bytes moved, by this process, as far as it is known.
    #[inline]
    pub fn segment(&mut self, segment: &Segment<'_>, process: Option<Arc<Process>>) {
        let Some(end) = self.ends.get_mut(&segment.key.socket) else { return };
        if end.key != segment.key {
            return;
        }
        end.active_ns = segment.ended_ns;
        if end.pid == 0 && segment.pid != 0 {
            end.pid = segment.pid;
            end.process = process;
            if end.role == Role::Server {
                self.listeners.learn(end);
            }
        }
    }

    /// An exchange was read on a connection, inside TLS or not: it proves which part the local end
    /// plays.
    pub fn learn(&mut self, key: ConnectionKey, role: Role, is_inside_tls: bool) {
        let Some(end) = self.get_mut(key) else { return };
        if end.role == Role::Unknown {
            end.role = role;
        }
        if is_inside_tls {
            end.tls.get_or_insert_default().is_read = true;
        }
    }

    /// A connection carries TLS, of which so much is known.
    pub fn learn_tls(&mut self, key: ConnectionKey, handshake: Arc<TlsHandshake>) {
        if let Some(end) = self.get_mut(key) {
            end.tls.get_or_insert_default().handshake = handshake;
        }
    }

    /// What the kernel measured, just before the close.
    pub fn measures(&mut self, measures: &Measures) {
        if let Some(end) = self.get_mut(measures.key) {
            end.measures = Some(*measures);
        }
    }

    /// An end is over. The facts of its connection go to `told`, now or after some time.
    pub fn close(&mut self, close: &Close, told: &mut Vec<ConnectionFacts>) {
        let Some(end) = self.get_mut(close.key) else { return };
        if end.closed.is_some() {
            return;
        }
        end.closed = Some(*close);
        let (is_told, other) = (end.is_told, end.other);
        if is_told {
            self.remove(close.key);
        } else if other.and_then(|other| self.get(other)).is_some_and(|end| end.closed.is_some()) {
            self.settle(close.key, told);
        } else {
            if self.waiting.len() >= self.limits.ends
                && let Some((_, first)) = self.waiting.pop_front()
            {
                self.settle(first, told);
            }
            self.waiting.push_back((close.time_ns.saturating_add(SETTLE_NS), close.key));
        }
    }

    /// This end is one of a process that was opted out: nothing is told of it. Its other end, if that
    /// is on this host, speaks for itself.
    pub fn opt_out(&mut self, key: ConnectionKey) {
        let Some(end) = self.remove(key) else { return };
        self.untold.opted_out += 1;
        if let Some(other) = end.other.and_then(|other| self.get_mut(other)) {
            other.other = None;
        }
    }

    /// A connection could not be opened by this process, as far as it is known.
    pub fn refused(
        &mut self,
        refused: &Refused,
        process: Option<Arc<Process>>,
        told: &mut Vec<ConnectionFacts>,
    ) {
        if self.excluded.contains(&refused.remote) {
            self.untold.own += 1;
            return;
        }
        let at = (refused.remote, refused.network_namespace);
        let server = self.listeners.find(at, refused.time_ns);
        self.tell(facts::of_refused(refused, process, server), told);
    }

    /// Everything before `watermark_ns` (monotonic) has been given: tells what has waited for it.
    pub fn advance(&mut self, watermark_ns: u64, told: &mut Vec<ConnectionFacts>) {
        while let Some((until_ns, key)) = self.waiting.front().copied()
            && until_ns <= watermark_ns
        {
            self.waiting.pop_front();
            self.settle(key, told);
        }
    }

    /// Nothing more will come. Of connections that are still open nothing is told.
    pub fn finish(&mut self, told: &mut Vec<ConnectionFacts>) {
        self.advance(u64::MAX, told);
        self.ends.clear();
        self.single.clear();
    }

    /// The connections that are open now, as far as their client is on this host: it, and the server
    /// at the address that it used.
    pub fn open_connections(&self, now_ns: u64, mut tell: impl FnMut(Endpoint, Endpoint)) {
        for end in self.ends.values() {
            let other = end.other.and_then(|other| self.get(other));
            let is_own = end.is_own || other.is_some_and(|other| other.is_own);
            if is_own || end.closed.is_some() || self.role_of(end, other) != Role::Client {
                continue;
            }
            let at = other.map_or((end.remote, end.namespace), |it| (it.local, it.namespace));
            let (client, server) = facts::endpoints(end, other, self.listeners.find(at, now_ns));
            let is_alaz = |end: &Endpoint| end.process.as_ref().is_some_and(|it| it.is_alaz);
            if !is_alaz(&client) && !is_alaz(&server) {
                tell(client, server);
            }
        }
    }

    /// What became of those that nothing was told of.
    #[must_use]
    pub fn untold(&self) -> UntoldConnections {
        self.untold
    }

    /// Tells of the connection that this end, which is over, belongs to.
    fn settle(&mut self, key: ConnectionKey, told: &mut Vec<ConnectionFacts>) {
        let Some(end) = self.remove(key) else { return };
        let Some(other) = end.other.and_then(|other| self.get(other)) else {
            // The other end was over long before, is elsewhere, or was not seen.
            let before = end.before.as_deref();
            return self.tell_pair(&end, before, told);
        };
        if other.closed.is_some() {
            let other = other.key;
            if let Some(other) = self.remove(other) {
                self.tell_pair(&end, Some(&other), told);
            }
            return;
        }
        match self.role_of(&end, Some(other)) {
            // The client's end will tell.
            Role::Server => {
                let other = other.key;
                if let Some(client) = self.get_mut(other) {
                    client.before = Some(Box::new(end));
                }
            }
            Role::Client | Role::Unknown => {
                let other = other.clone();
                self.tell_pair(&end, Some(&other), told);
                if let Some(other) = self.get_mut(other.key) {
                    other.is_told = true;
                }
            }
        }
    }

    fn tell_pair(&mut self, end: &End, other: Option<&End>, told: &mut Vec<ConnectionFacts>) {
        if end.is_own || other.is_some_and(|other| other.is_own) {
            self.untold.own += 1;
            return;
        }
        let (client, server) = match self.role_of(end, other) {
            Role::Client => (Some(end), other),
            Role::Server => (other, Some(end)),
            Role::Unknown => {
                self.untold.role_unknown += 1;
                return;
            }
        };
        let listener = end.closed.and_then(|closed| match server {
            Some(server) => self.listeners.find((server.local, server.namespace), closed.time_ns),
            None => None,
        });
        if let Some(facts) = facts::of_ends(client, server, listener) {
            self.tell(facts, told);
        }
    }

    fn tell(&mut self, facts: ConnectionFacts, told: &mut Vec<ConnectionFacts>) {
        let is_alaz = |process: &Option<Arc<Process>>| process.as_ref().is_some_and(|p| p.is_alaz);
        if is_alaz(&facts.client.process) || is_alaz(&facts.server.process) {
            self.untold.own += 1;
        } else {
            told.push(facts);
        }
    }

    /// What is known of an end itself, of the other one, or of who listens here.
    fn role_of(&self, end: &End, other: Option<&End>) -> Role {
        let others = other.map_or(Role::Unknown, |other| other.role.opposite());
        if end.role != Role::Unknown {
            return end.role;
        }
        if others != Role::Unknown {
            return others;
        }
        let listens = |address| self.listeners.knows((address, end.namespace));
        match (listens(end.local), listens(end.remote)) {
            (true, false) => Role::Server,
            (false, true) => Role::Client,
            _ => Role::Unknown,
        }
    }

    fn is_own(&self, opened: &Connection) -> bool {
        let same_host = opened.remote.ip().is_loopback() || opened.local.ip() == opened.remote.ip();
        let everywhere = |port| {
            let any: [SocketAddr; 2] = [([0; 4], port).into(), ([0; 16], port).into()];
            any.iter().any(|address| self.excluded.contains(address))
        };
        [opened.local, opened.remote]
            .iter()
            .any(|end| self.excluded.contains(end) || same_host && everywhere(end.port()))
    }

    fn get(&self, key: ConnectionKey) -> Option<&End> {
        self.ends.get(&key.socket).filter(|end| end.key == key)
    }

    fn get_mut(&mut self, key: ConnectionKey) -> Option<&mut End> {
        self.ends.get_mut(&key.socket).filter(|end| end.key == key)
    }

    fn remove(&mut self, key: ConnectionKey) -> Option<End> {
        self.get(key)?;
        let end = self.ends.remove(&key.socket)?;
        if self.single.get(&end.pair) == Some(&key) {
            self.single.remove(&end.pair);
        }
        Some(end)
    }

    /// Makes room by dropping ends that nothing was heard of for an hour.
    fn forget(&mut self, now_ns: u64) {
        if now_ns < self.forget_ns {
            return;
        }
        let mut oldest_ns = u64::MAX;
        let single = &mut self.single;
        let mut forgotten = 0;
        self.ends.retain(|_, end| {
            let until_ns = end.active_ns.saturating_add(FORGOTTEN_NS);
            if until_ns > now_ns {
                oldest_ns = oldest_ns.min(until_ns);
                return true;
            }
            if single.get(&end.pair) == Some(&end.key) {
                single.remove(&end.pair);
            }
            forgotten += 1;
            false
        });
        self.untold.unseen_end += forgotten;
        self.forget_ns = oldest_ns.max(now_ns.saturating_add(FORGET_AGAIN_NS));
    }
}

impl PairKey {
    fn of(opened: &Connection) -> PairKey {
        match (opened.send, opened.receive) {
            (Some(send), Some(receive)) if !opened.mid_stream => {
                let (send, receive) = (send.sequence(), receive.sequence());
                PairKey::Beginning(send.min(receive), send.max(receive))
            }
            _ => {
                let (local, remote) = (opened.local, opened.remote);
                let is_loopback = local.ip().is_loopback() || remote.ip().is_loopback();
                let namespace = if is_loopback { opened.network_namespace } else { 0 };
                PairKey::Addresses(local.min(remote), local.max(remote), namespace)
            }
        }
    }
}
