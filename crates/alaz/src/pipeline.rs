//! The order of the stages, from an event to an identified exchange, and to a connection's facts.

use std::collections::HashSet;
use std::net::SocketAddr;

use alaz_capture::KernelCounters;
use alaz_flow::{ConnectionLimits, Connections};
use alaz_identity::Processes;
use alaz_model::{
    Balance, Clock, ConnectionFacts, ConnectionKey, Event, Exchange, KernelCount, Ledger,
    LossReason, View,
};
use alaz_protocol::{Datagrams, Engine, Join};

/// Takes what the pipeline gives.
pub trait Sink {
    /// An exchange is complete.
    fn exchange(&mut self, exchange: &Exchange);

    /// A connection is over, or could not be opened. Not everybody wants to know.
    fn connection(&mut self, _: &ConnectionFacts) {}
}

impl<F: FnMut(&Exchange)> Sink for F {
    fn exchange(&mut self, exchange: &Exchange) {
        self(exchange);
    }
}

/// One shard of the pipeline. Deterministic: times come with the events.
pub struct Pipeline {
    engine: Engine,
    join: Join,
    datagrams: Datagrams,
    connections: Connections,
    processes: Processes,
    clock: Clock,
    views: Vec<View>,
    joined: Vec<Exchange>,
    told: Vec<ConnectionFacts>,
    reported: u64,
    /// Exchanges of Alaz's own processes.
    own: u64,
    /// Whether bytes are left unread.
    counts_only: bool,
    /// Servers of this process. Addresses come and go; those that went are kept, up to the limit.
    excluded: HashSet<SocketAddr>,
}

/// The most addresses of servers that are left out.
const MOST_EXCLUDED: usize = 512;

impl Pipeline {
    /// With these process facts to name endpoints by, and this clock to give wall times.
    #[must_use]
    pub fn new(processes: Processes, clock: Clock) -> Pipeline {
        Pipeline {
            engine: Engine::new(alaz_protocol::Limits::default()),
            join: Join::new(alaz_protocol::JoinLimits::default()),
            datagrams: Datagrams::new(alaz_protocol::DatagramLimits::default()),
            connections: Connections::new(ConnectionLimits::default()),
            processes,
            clock,
            views: Vec::new(),
            joined: Vec::new(),
            told: Vec::new(),
            reported: 0,
            own: 0,
            counts_only: false,
            excluded: HashSet::new(),
        }
    }

    /// Only counts what is said to and by the server at this address, Alaz's own UI and API, and
    /// does not even parse it. What another Alaz serves or asks is left out by the process.
    pub fn exclude_server(&mut self, address: SocketAddr) {
        if self.excluded.len() < MOST_EXCLUDED && self.excluded.insert(address) {
            self.engine.exclude_server(address);
            self.connections.exclude_server(address);
        }
    }

    /// Whether bytes are counted and not read from now on. What would have been needed of them is lost
    /// for the reason [`LossReason::Guard`].
    pub fn count_only(&mut self, counts_only: bool, sink: &mut impl Sink) {
        if counts_only && !self.counts_only {
            // What waits for an answer would wait for one that is not read.
            self.datagrams.finish(&self.clock, &mut self.joined);
            self.report(sink);
        }
        self.counts_only = counts_only;
    }

    /// Replaces the clock, whose offset drifts as the wall clock is corrected.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// The process facts, to read or to add to.
    pub fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    /// Takes one event; what it completes goes to `sink`.
    pub fn event(&mut self, event: &Event<'_>, sink: &mut impl Sink) {
        match event {
            Event::Segment(segment) => {
                let process = self.processes.resolve(segment.pid);
                self.connections.segment(segment, process);
                match self.counts_only {
                    true => self.engine.leave_unread(segment, &mut self.views),
                    false => self.engine.segment(segment, &mut self.views),
                }
            }
            Event::Open(connection) => {
                self.engine.open(connection, &mut self.views);
                self.join.open(connection);
                self.connections.open(connection);
            }
            Event::Close(close) => {
                self.engine.close(close, &mut self.views);
                self.join.close(close);
                self.connections.close(close, &mut self.told);
            }
            Event::Datagram(datagram) if self.counts_only => {
                self.datagrams.leave_unread(datagram);
            }
            Event::Datagram(datagram) => {
                self.processes.resolve(datagram.pid);
                self.datagrams.datagram(datagram, &self.clock, &mut self.joined);
                self.report(sink);
            }
            Event::Measures(measures) => self.connections.measures(measures),
            Event::Refused(refused) => {
                let process = self.processes.resolve(refused.pid);
                self.connections.refused(refused, process, &mut self.told);
            }
            Event::Fork(fork) => self.processes.fork(fork),
            Event::Exec(exec) => self.processes.exec(exec),
            Event::Exit(exit) => self.processes.exit(exit),
        }
        self.pass_on(sink);
    }

    /// Nothing more will be known of a connection, nor how it ended.
    pub fn out_of_sight(&mut self, key: ConnectionKey, sink: &mut impl Sink) {
        self.engine.out_of_sight(key, &mut self.views);
        self.join.out_of_sight(key);
        self.pass_on(sink);
    }

    /// Everything before `watermark_ns` (monotonic) has been taken: gives up what waited for it.
    pub fn advance(&mut self, watermark_ns: u64, sink: &mut impl Sink) {
        self.engine.advance(watermark_ns, &mut self.views);
        self.pass_on(sink);
        self.join.advance(watermark_ns, &self.clock, &mut self.joined);
        self.datagrams.advance(watermark_ns, &self.clock, &mut self.joined);
        self.connections.advance(watermark_ns, &mut self.told);
        self.report(sink);
        self.processes.advance(watermark_ns);
    }

    /// Connections of which more should be copied; see [`Engine::take_wishes`].
    pub fn take_wishes(&mut self) -> std::vec::Drain<'_, ConnectionKey> {
        self.engine.take_wishes()
    }

    /// Nothing more will come: reports or gives up whatever is pending.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.engine.finish(&mut self.views);
        self.pass_on(sink);
        self.join.finish(&self.clock, &mut self.joined);
        self.datagrams.finish(&self.clock, &mut self.joined);
        self.connections.finish(&mut self.told);
        self.report(sink);
    }

    /// What became of everything so far, the kernel side's losses included where it has counted.
    #[must_use]
    pub fn ledger(&self, kernel: Option<&KernelCounters>) -> Ledger {
        let mut ledger = self.engine.ledger();
        ledger.add(&self.datagrams.ledger());
        ledger.exchanges.reported = self.reported;
        ledger.exchanges.views.add(&self.join.ledger());
        ledger.exchanges.views.own = self.own;
        ledger.connections.untold = self.connections.untold();
        let Some(kernel) = kernel else { return ledger };
        add_datagrams(&mut ledger.datagram, kernel);
        let (segments, bytes) = (kernel.seen.segments, kernel.seen.bytes);
        ledger.kernel = Some(KernelCount { segments, bytes });
        for (reason, lost) in [
            (LossReason::RingFull, kernel.ring_full),
            (LossReason::ConnectionTableFull, kernel.table_full),
            (LossReason::HookMissed, kernel.hook_missed),
        ] {
            ledger.socket.segments.lose(reason, lost.segments);
            ledger.socket.bytes.lose(reason, lost.bytes);
        }
        ledger
    }

    fn pass_on(&mut self, sink: &mut impl Sink) {
        if self.views.is_empty() && self.told.is_empty() {
            return;
        }
        for view in self.views.drain(..) {
            self.connections.learn(view.key, view.role);
            self.join.view(view, &self.clock, &mut self.joined);
        }
        self.report(sink);
    }

    fn report(&mut self, sink: &mut impl Sink) {
        for mut exchange in self.joined.drain(..) {
            self.processes.identify(&mut exchange, &self.clock);
            if is_own(&exchange) {
                self.own += 1;
                continue;
            }
            self.reported += 1;
            sink.exchange(&exchange);
        }
        self.told.drain(..).for_each(|facts| sink.connection(&facts));
    }
}

/// Adds the datagrams that the kernel side did not hand on.
fn add_datagrams(balance: &mut Balance, kernel: &KernelCounters) {
    balance.segments.counted += kernel.datagrams_passed.segments;
    balance.bytes.counted += kernel.datagrams_passed.bytes;
    for (reason, lost) in [
        (LossReason::RingFull, kernel.datagrams_ring_full),
        (LossReason::HookMissed, kernel.datagrams_missed),
    ] {
        balance.segments.lose(reason, lost.segments);
        balance.bytes.lose(reason, lost.bytes);
    }
}

/// An Alaz, this one or another, is at either end.
fn is_own(exchange: &Exchange) -> bool {
    let ends = [&exchange.client, &exchange.server];
    ends.iter().any(|end| end.process.as_ref().is_some_and(|process| process.is_alaz))
}

#[cfg(test)]
mod tests;
