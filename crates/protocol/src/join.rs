//! One exchange out of the views that both ends of a connection on this host have of it.
//!
//! In: views. Out: exchanges, each once. The two ends give the same byte the same sequence number,
//! which tells that two views are of one request; the response's number must agree as well. A view
//! whose other end is on this host waits for the other for a moment; one whose other end is
//! elsewhere does not.

mod ends;
mod exchange;
mod inside;
mod strangers;

use std::collections::VecDeque;
use std::net::SocketAddr;

use alaz_model::{Clock, Close, Connection, ConnectionKey, Exchange, Role, View, ViewLedger};
use hashbrown::{HashMap, HashSet};

use ends::Ends;
pub(crate) use exchange::{alone, join};
use inside::Inside;
use strangers::{Met, Strangers};

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
    ends: Ends,
    waiting: HashMap<Place, View, State>,
    /// Those of what is said inside TLS.
    inside: Inside,
    strangers: Strangers,
    /// When the oldest that waits may be reported alone, at the earliest.
    due_ns: u64,
    alone: HashSet<Place, State>,
    /// `alone` in the order of time.
    alone_since: VecDeque<(u64, Place)>,
    now_ns: u64,
    ledger: ViewLedger,
}

/// Where on the wire a request is: the same from both ends, by the addresses that the client's knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    client: SocketAddr,
    server: SocketAddr,
    sequence: u32,
}

impl Join {
    /// A join that has seen nothing.
    #[must_use]
    pub fn new(limits: JoinLimits) -> Join {
        Join {
            limits,
            ends: Ends::new(limits.connections),
            waiting: HashMap::default(),
            inside: Inside::default(),
            strangers: Strangers::default(),
            due_ns: u64::MAX,
            alone: HashSet::default(),
            alone_since: VecDeque::new(),
            now_ns: 0,
            ledger: ViewLedger::default(),
        }
    }

    /// A connection came into sight: its other end may be on this host too.
    pub fn open(&mut self, connection: &Connection) {
        self.ends.open(connection);
    }

    /// A connection ended. Its views may still come.
    pub fn close(&mut self, close: &Close) {
        self.ends.close(close.key, close.time_ns);
    }

    /// Nothing more will be known of a connection. Its views may still come.
    pub fn out_of_sight(&mut self, key: ConnectionKey) {
        self.ends.close(key, self.now_ns);
    }

    /// Takes a view; an exchange that is complete by it goes to `out`.
    pub fn view(&mut self, view: View, clock: &Clock, out: &mut Vec<Exchange>) {
        self.ledger.seen += 1;
        let (client, server) = self.ends.addresses(&view);
        let place = Place { client, server, sequence: view.request_position.sequence() };
        if view.tls {
            self.view_inside(place, view, clock, out);
            return;
        }
        if let Some(other) = self.waiting.remove(&place) {
            if is_other_half(&view, &other) {
                self.join_halves(view, other, clock, out);
                return;
            }
            // Another life of the same addresses, or a contradiction: only the first is reported.
            self.report_alone(place, other, clock, out);
            self.alone.remove(&place);
            self.ledger.contradicted += 1;
            return;
        }
        if self.alone.remove(&place) {
            self.ledger.late += 1;
            return;
        }
        if !self.ends.has_other(&view) {
            self.meet(view, clock, out);
            return;
        }
        if self.is_full() {
            self.report_alone(place, view, clock, out);
            return;
        }
        self.wait_until(view.ended_ns);
        self.waiting.insert(place, view);
    }

    /// A view of what is said inside TLS, whose positions are not those on the wire.
    fn view_inside(&mut self, place: Place, view: View, clock: &Clock, out: &mut Vec<Exchange>) {
        let addresses = (place.client, place.server);
        if let Some(other) = self.inside.take_half(&addresses, &view) {
            self.join_halves(view, other, clock, out);
        } else if view.request_position.is_anchored() && self.alone.remove(&place) {
            self.ledger.late += 1;
        } else if self.ends.has_other(&view) && !self.is_full() {
            self.wait_until(view.ended_ns);
            self.inside.wait(addresses, view);
        } else {
            out.push(alone(view, clock));
        }
    }

    /// What became of all views so far.
    #[must_use]
    pub fn ledger(&self) -> ViewLedger {
        let waiting = self.waiting.len() + self.inside.len() + self.strangers.len();
        ViewLedger { waiting: waiting as u64, ..self.ledger }
    }

    /// Everything before `watermark_ns` has been given.
    pub fn advance(&mut self, watermark_ns: u64, clock: &Clock, out: &mut Vec<Exchange>) {
        self.now_ns = watermark_ns;
        self.ends.forget_before(watermark_ns.saturating_sub(self.limits.patience_ns));
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

    /// A view whose other end is elsewhere, as far as addresses tell.
    fn meet(&mut self, view: View, clock: &Clock, out: &mut Vec<Exchange>) {
        if !self.ends.may_have_other(view.key) || self.is_full() {
            out.push(alone(view, clock));
            return;
        }
        self.ends.learn(&view);
        let ended_ns = view.ended_ns;
        match self.strangers.view(view, self.limits.patience_ns) {
            Met::Nobody => self.wait_until(ended_ns),
            Met::Other(view, other) => {
                self.ends.link(view.key, other.key);
                self.join_halves(view, other, clock, out);
            }
            Met::Nothing(view, other) => {
                out.extend([Some(view), other].into_iter().flatten().map(|it| alone(it, clock)));
            }
        }
    }

    fn join_halves(&mut self, one: View, other: View, clock: &Clock, out: &mut Vec<Exchange>) {
        self.ledger.joined += 1;
        let (client, server) = if one.role == Role::Client { (one, other) } else { (other, one) };
        out.push(join(client, &server, clock));
    }

    fn is_full(&self) -> bool {
        self.waiting.len() + self.inside.len() + self.strangers.len() >= self.limits.waiting
    }

    fn wait_until(&mut self, ended_ns: u64) {
        self.due_ns = self.due_ns.min(ended_ns.saturating_add(self.limits.patience_ns));
    }

    fn report_due(&mut self, watermark_ns: u64, clock: &Clock, out: &mut Vec<Exchange>) {
        let patience_ns = self.limits.patience_ns;
        let is_due = |view: &View| {
            let due_ns = view.ended_ns.saturating_add(patience_ns);
            due_ns <= watermark_ns || watermark_ns == u64::MAX
        };
        let waiting = self.waiting.extract_if(|_, view| is_due(view));
        let mut due: Vec<_> = waiting.map(|(place, view)| (Some(place), view)).collect();
        for stranger in self.strangers.take(is_due) {
            self.ends.miss(stranger.key);
            due.push((None, stranger));
        }
        for ((client, server), view) in self.inside.take(is_due) {
            let sequence = view.request_position.sequence();
            let is_known = view.request_position.is_anchored();
            due.push((is_known.then_some(Place { client, server, sequence }), view));
        }
        due.sort_by_key(|(_, view)| view.started_ns);
        for (place, view) in due {
            match place {
                Some(place) => self.report_alone(place, view, clock, out),
                None => out.push(alone(view, clock)),
            }
        }
        let waiting = self.waiting.values().map(|view| view.ended_ns).min();
        let others = [self.inside.first_ended_ns(), self.strangers.first_ended_ns()];
        let next = waiting.into_iter().chain(others.into_iter().flatten()).min();
        self.due_ns = next.map_or(u64::MAX, |ended_ns| ended_ns.saturating_add(patience_ns));
    }

    fn report_alone(&mut self, place: Place, view: View, clock: &Clock, out: &mut Vec<Exchange>) {
        out.push(alone(view, clock));
        if self.alone.insert(place) {
            self.alone_since.push_back((self.now_ns, place));
        }
    }
}

fn is_other_half(one: &View, other: &View) -> bool {
    let answers_agree = match (one.response_position, other.response_position) {
        (Some(one), Some(other)) => one.sequence() == other.sequence(),
        _ => true,
    };
    one.role == other.role.opposite() && one.key != other.key && answers_agree
}

#[cfg(test)]
mod tests;
