//! Which open connections of this host are the two ends of one.
//!
//! Mostly their addresses tell: what one end calls remote is the other's local. Where addresses are
//! translated between them (a Kubernetes service, a published port of a container), the numbers do:
//! both ends count the same bytes with the same TCP sequence numbers, which begin at random in each
//! direction. Of connections older than Alaz the beginning is not known; those are found by what is
//! said on them (see [`strangers`](super::strangers)).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use alaz_model::{Connection, ConnectionKey, Role, View};
use hashbrown::HashMap;

type State = foldhash::fast::RandomState;

/// Client and server as the client's end sees them.
pub(super) type Addresses = (SocketAddr, SocketAddr);

/// After so many views without another half nobody is looked for.
const MISSES_MAX: u8 = 4;

/// One end of a connection.
struct End {
    key: ConnectionKey,
    local: SocketAddr,
    remote: SocketAddr,
    role: Role,
    /// Where the client's stream begins and where the server's, if that was seen.
    beginning: Option<(u32, u32)>,
    /// It is older than Alaz.
    is_older: bool,
    /// The other end is on this host, and is known by these addresses.
    linked: Option<Addresses>,
    /// Views that waited in vain for another half.
    misses: u8,
}

pub(super) struct Ends {
    limit: usize,
    by_socket: HashMap<u64, End, State>,
    /// By local and remote address, how many.
    by_addresses: HashMap<(SocketAddr, SocketAddr), u32, State>,
    /// Sockets by where both streams begin.
    by_beginning: HashMap<(u32, u32), u64, State>,
    /// Ended, when, but their views may still come.
    ended: VecDeque<(u64, ConnectionKey)>,
}

impl Ends {
    pub(super) fn new(limit: usize) -> Ends {
        Ends {
            limit,
            by_socket: HashMap::default(),
            by_addresses: HashMap::default(),
            by_beginning: HashMap::default(),
            ended: VecDeque::new(),
        }
    }

    /// A connection came into sight. If its socket was another one before, that is over.
    pub(super) fn open(&mut self, opened: &Connection) {
        let key = opened.key;
        match self.by_socket.get(&key.socket).map(|earlier| earlier.key) {
            Some(earlier) if earlier.generation >= key.generation => return,
            Some(earlier) => self.remove(earlier),
            None => {}
        }
        while self.by_socket.len() >= self.limit
            && let Some((_, ended)) = self.ended.pop_front()
        {
            self.remove(ended);
        }
        if self.by_socket.len() >= self.limit {
            return;
        }
        *self.by_addresses.entry((opened.local, opened.remote)).or_insert(0) += 1;
        let end = End {
            key,
            local: opened.local,
            remote: opened.remote,
            role: opened.role,
            beginning: beginning(opened),
            is_older: opened.mid_stream,
            linked: None,
            misses: 0,
        };
        let beginning = end.beginning;
        self.by_socket.insert(key.socket, end);
        if let Some(beginning) = beginning {
            let other = *self.by_beginning.entry(beginning).or_insert(key.socket);
            if let Some(other) = self.by_socket.get(&other).map(|other| other.key) {
                self.link(key, other);
            }
        }
    }

    /// A connection ended, or went out of sight.
    pub(super) fn close(&mut self, key: ConnectionKey, time_ns: u64) {
        if self.get(key).is_some() {
            self.ended.push_back((time_ns, key));
            if self.ended.len() > self.limit
                && let Some((_, oldest)) = self.ended.pop_front()
            {
                self.remove(oldest);
            }
        }
    }

    /// No views will come of what had ended by then.
    pub(super) fn forget_before(&mut self, horizon_ns: u64) {
        while let Some((ended_ns, key)) = self.ended.front().copied() {
            if ended_ns > horizon_ns {
                break;
            }
            self.ended.pop_front();
            self.remove(key);
        }
    }

    /// These are the two ends of one connection, if nothing speaks against it.
    pub(super) fn link(&mut self, one: ConnectionKey, other: ConnectionKey) {
        let (Some(a), Some(b)) = (self.get(one), self.get(other)) else { return };
        let is_free = a.linked.is_none() && b.linked.is_none();
        let addresses = match (a.role, b.role) {
            (Role::Client, Role::Server) => (a.local, a.remote),
            (Role::Server, Role::Client) => (b.local, b.remote),
            _ => return,
        };
        for key in [one, other] {
            if is_free && let Some(end) = self.by_socket.get_mut(&key.socket) {
                end.linked = Some(addresses);
            }
        }
    }

    /// A view has proven which part its connection's local end plays.
    pub(super) fn learn(&mut self, view: &View) {
        if let Some(end) = self.by_socket.get_mut(&view.key.socket)
            && end.key == view.key
        {
            end.role = view.role;
        }
    }

    /// By which addresses a view's connection is known at both ends.
    pub(super) fn addresses(&self, view: &View) -> Addresses {
        // The client's end knows no others.
        let own = (view.client, view.server);
        match view.role {
            Role::Client => own,
            _ => self.get(view.key).and_then(|end| end.linked).unwrap_or(own),
        }
    }

    /// Whether the other end of the view's connection is on this host.
    pub(super) fn has_other(&self, view: &View) -> bool {
        let (local, remote) = match view.role {
            Role::Server => (view.server, view.client),
            Role::Client | Role::Unknown => (view.client, view.server),
        };
        let is_loopback = match remote.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        is_loopback
            || local.ip() == remote.ip()
            || self.by_addresses.contains_key(&(remote, local))
            || self.get(view.key).is_some_and(|end| end.linked.is_some())
    }

    /// Whether it may be on this host all the same, under other addresses.
    pub(super) fn may_have_other(&self, key: ConnectionKey) -> bool {
        let is_open = |end: &End| end.is_older && end.misses < MISSES_MAX;
        self.get(key).is_some_and(is_open)
    }

    /// No other half has come of a view.
    pub(super) fn miss(&mut self, key: ConnectionKey) {
        if let Some(end) = self.by_socket.get_mut(&key.socket)
            && end.key == key
        {
            end.misses = end.misses.saturating_add(1);
        }
    }

    fn get(&self, key: ConnectionKey) -> Option<&End> {
        self.by_socket.get(&key.socket).filter(|end| end.key == key)
    }

    fn remove(&mut self, key: ConnectionKey) {
        if self.get(key).is_none() {
            return;
        }
        let Some(end) = self.by_socket.remove(&key.socket) else { return };
        if let Some(count) = self.by_addresses.get_mut(&(end.local, end.remote)) {
            *count -= 1;
            if *count == 0 {
                self.by_addresses.remove(&(end.local, end.remote));
            }
        }
        if let Some(beginning) = end.beginning
            && self.by_beginning.get(&beginning) == Some(&key.socket)
        {
            self.by_beginning.remove(&beginning);
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 4] {
        [self.by_socket.len(), self.by_addresses.len(), self.by_beginning.len(), self.ended.len()]
    }
}

fn beginning(opened: &Connection) -> Option<(u32, u32)> {
    let (send, receive) = (opened.send?.sequence(), opened.receive?.sequence());
    match opened.role {
        // It stands somewhere else at each end by now.
        _ if opened.mid_stream => None,
        Role::Client => Some((send, receive)),
        Role::Server => Some((receive, send)),
        Role::Unknown => None,
    }
}
