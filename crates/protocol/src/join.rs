//! One exchange out of the views that both ends of a connection on this host have of it.
//!
//! In: views. Out: exchanges, each once. The two ends give the same byte the same sequence number,
//! which tells that two views are of one request; the response's number must agree as well. A view
//! whose other end is on this host waits for the other for a moment; one whose other end is
//! elsewhere does not.

use std::net::{IpAddr, SocketAddr};

use alaz_model::{
    Clock, Close, Connection, ConnectionKey, Endpoint, Exchange, ObservedBy, Outcome, Role, View,
};
use hashbrown::{HashMap, HashSet};

type State = foldhash::fast::RandomState;

/// Bounds of a [`Join`].
#[derive(Clone, Copy, Debug)]
pub struct JoinLimits {
    /// Views that wait for their other half; one more is reported alone.
    pub waiting: usize,
    /// Connections whose ends are remembered, to know which exchanges have a second view.
    pub connections: usize,
    /// How long (ns) a view waits once the watermark has passed its end.
    pub patience_ns: u64,
    /// How long (ns) it is remembered that a view was reported alone, so that its other half, should
    /// it come, is not reported again.
    pub memory_ns: u64,
}

impl Default for JoinLimits {
    fn default() -> JoinLimits {
        JoinLimits {
            waiting: 65_536,
            connections: 65_536,
            patience_ns: 1_000_000_000,
            memory_ns: 60_000_000_000,
        }
    }
}

/// Joins views; see the module's page.
pub struct Join {
    limits: JoinLimits,
    /// Open connections by their two addresses, as the local end sees them.
    ends: HashMap<(SocketAddr, SocketAddr), u32, State>,
    by_key: HashMap<ConnectionKey, (SocketAddr, SocketAddr), State>,
    waiting: HashMap<Place, View, State>,
    /// When the oldest of `waiting` may be reported alone, at the earliest.
    due_ns: u64,
    alone: HashSet<Place, State>,
    /// `alone` in the order of time.
    alone_since: std::collections::VecDeque<(u64, Place)>,
    now_ns: u64,
}

/// Where on the wire a request is: the same from both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    client: SocketAddr,
    server: SocketAddr,
    sequence: u32,
}

impl Place {
    fn of(view: &View) -> Place {
        Place {
            client: view.client,
            server: view.server,
            sequence: view.request_position.sequence(),
        }
    }
}

impl Join {
    /// A join that has seen nothing.
    #[must_use]
    pub fn new(limits: JoinLimits) -> Join {
        Join {
            limits,
            ends: HashMap::default(),
            by_key: HashMap::default(),
            waiting: HashMap::default(),
            due_ns: u64::MAX,
            alone: HashSet::default(),
            alone_since: std::collections::VecDeque::new(),
            now_ns: 0,
        }
    }

    /// A connection came into sight: its other end may be on this host too.
    pub fn open(&mut self, connection: &Connection) {
        if self.by_key.len() < self.limits.connections {
            let ends = (connection.local, connection.remote);
            self.by_key.insert(connection.key, ends);
            *self.ends.entry(ends).or_insert(0) += 1;
        }
    }

    /// A connection ended. Its views may still come.
    pub fn close(&mut self, close: &Close) {
        if let Some(ends) = self.by_key.remove(&close.key)
            && let Some(count) = self.ends.get_mut(&ends)
        {
            *count -= 1;
            if *count == 0 {
                self.ends.remove(&ends);
            }
        }
    }

    /// Takes a view; an exchange that is complete by it goes to `out`.
    pub fn view(&mut self, view: View, clock: &Clock, out: &mut Vec<Exchange>) {
        let place = Place::of(&view);
        if let Some(other) = self.waiting.remove(&place) {
            if is_other_half(&view, &other) {
                let (client, server) =
                    if view.role == Role::Client { (view, other) } else { (other, view) };
                out.push(join(client, &server, clock));
                return;
            }
            // Another life of the same addresses, or a contradiction: only the first is reported,
            // since what is remembered of it takes the second for its other half.
            self.report_alone(place, other, clock, out);
        }
        if self.alone.contains(&place) {
            self.alone.remove(&place);
            return;
        }
        if !self.has_other_end(&view) {
            out.push(alone(view, clock));
            return;
        }
        if self.waiting.len() >= self.limits.waiting {
            self.report_alone(place, view, clock, out);
            return;
        }
        self.due_ns = self.due_ns.min(view.ended_ns.saturating_add(self.limits.patience_ns));
        self.waiting.insert(place, view);
    }

    /// Everything before `watermark_ns` has been given.
    pub fn advance(&mut self, watermark_ns: u64, clock: &Clock, out: &mut Vec<Exchange>) {
        self.now_ns = watermark_ns;
        if watermark_ns >= self.due_ns {
            self.report_due(watermark_ns, clock, out);
        }
        while let Some((since_ns, place)) = self.alone_since.front().copied() {
            let is_old = since_ns.saturating_add(self.limits.memory_ns) <= watermark_ns;
            if !is_old && self.alone_since.len() <= self.limits.waiting {
                break;
            }
            self.alone_since.pop_front();
            self.alone.remove(&place);
        }
    }

    /// Nothing more will come: reports every view that still waits.
    pub fn finish(&mut self, clock: &Clock, out: &mut Vec<Exchange>) {
        self.report_due(u64::MAX, clock, out);
    }

    fn report_due(&mut self, watermark_ns: u64, clock: &Clock, out: &mut Vec<Exchange>) {
        let patience_ns = self.limits.patience_ns;
        let is_due = |view: &View| view.ended_ns.saturating_add(patience_ns) <= watermark_ns;
        let mut due: Vec<_> =
            self.waiting.extract_if(|_, view| is_due(view) || watermark_ns == u64::MAX).collect();
        due.sort_by_key(|(_, view)| view.started_ns);
        for (place, view) in due {
            self.report_alone(place, view, clock, out);
        }
        let next = self.waiting.values().map(|view| view.ended_ns).min();
        self.due_ns = next.map_or(u64::MAX, |ended_ns| ended_ns.saturating_add(patience_ns));
    }

    fn report_alone(&mut self, place: Place, view: View, clock: &Clock, out: &mut Vec<Exchange>) {
        out.push(alone(view, clock));
        if self.alone.insert(place) {
            self.alone_since.push_back((self.now_ns, place));
        }
    }

    /// Whether the other end of the view's connection is on this host.
    fn has_other_end(&self, view: &View) -> bool {
        let (local, remote) = match view.role {
            Role::Server => (view.server, view.client),
            Role::Client | Role::Unknown => (view.client, view.server),
        };
        let is_loopback = match remote.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        is_loopback || local.ip() == remote.ip() || self.ends.contains_key(&(remote, local))
    }
}

fn is_other_half(one: &View, other: &View) -> bool {
    let answers_agree = match (one.response_position, other.response_position) {
        (Some(one), Some(other)) => one.sequence() == other.sequence(),
        _ => true,
    };
    one.role == other.role.opposite() && one.key != other.key && answers_agree
}

/// The client's times count; of what was said, the end that saw more of it.
pub(crate) fn join(client: View, server: &View, clock: &Clock) -> Exchange {
    let server_latency_ns = latency_ns(server);
    // Both saw the response to its last byte, whatever only one of them could make of it.
    let is_whole = server_latency_ns.is_some()
        && client.response_position.is_some()
        && client.response_ns.is_some_and(|first_ns| client.ended_ns >= first_ns)
        && client.message.response_bytes == server.message.response_bytes;
    let whole_ns = is_whole.then(|| client.ended_ns.saturating_sub(client.started_ns));
    let (server_address, server_pid) = (server.server, server.pid);
    let sees_more = |one: &View, other: &View| {
        let rank = |view: &View| match view.message.outcome {
            Outcome::Complete | Outcome::OneWay => 2,
            Outcome::Partial => 1,
            Outcome::NoResponse | Outcome::Reset | Outcome::Refused => 0,
        };
        rank(one) > rank(other)
            || rank(one) == rank(other) && one.message.status.len() > other.message.status.len()
    };
    let message = if sees_more(server, &client) { Some(server.message.clone()) } else { None };
    let mut exchange = alone(client, clock);
    exchange.observed_by = ObservedBy::Both;
    exchange.latency_ns = exchange.latency_ns.or(whole_ns);
    exchange.server_latency_ns = server_latency_ns;
    exchange.server = Endpoint { address: server_address, pid: server_pid, process: None };
    if let Some(message) = message {
        exchange.message = message;
    }
    exchange
}

/// What one end alone knows.
pub(crate) fn alone(view: View, clock: &Clock) -> Exchange {
    let latency_ns = latency_ns(&view);
    let ttfb_ns = view.response_ns.map(|first_ns| first_ns.saturating_sub(view.started_ns));
    let at =
        |address, local| Endpoint { address, pid: if local { view.pid } else { 0 }, process: None };
    let is_server = view.role == Role::Server;
    Exchange {
        time: clock.unix(view.started_ns),
        tls: view.tls,
        client: at(view.client, !is_server),
        server: at(view.server, is_server),
        latency_ns,
        ttfb_ns,
        server_latency_ns: latency_ns.filter(|_| is_server),
        observed_by: if is_server { ObservedBy::Server } else { ObservedBy::Client },
        message: view.message,
    }
}

/// Only of an exchange that was seen whole.
fn latency_ns(view: &View) -> Option<u64> {
    let is_whole = view.message.outcome == Outcome::Complete && view.response_ns.is_some();
    is_whole.then(|| view.ended_ns.saturating_sub(view.started_ns))
}

#[cfg(test)]
mod tests;
