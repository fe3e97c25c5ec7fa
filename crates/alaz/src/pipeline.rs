//! The order of the stages, from an event to an identified exchange, and to a connection's facts.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use alaz_capture::{KernelCounters, OPT_OUTS_MAX};
use alaz_export::{OpenConnection, OwnClients};
use alaz_flow::{ConnectionLimits, Connections, RouteLimits, Routes};
use alaz_identity::Processes;
use alaz_identity::cluster::Cluster;
use alaz_model::{
    Balance, Clock, Connection, ConnectionFacts, ConnectionKey, Event, Exchange, KernelCount,
    Ledger, LossReason, ObservedBy, Process, Source, View,
};
use alaz_protocol::{Datagrams, Engine, Join, Wish};

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
    cluster: Cluster,
    routes: Routes,
    clock: Clock,
    views: Vec<View>,
    joined: Vec<Exchange>,
    told: Vec<ConnectionFacts>,
    reported: u64,
    /// Exchanges of Alaz's own processes.
    own: u64,
    /// Calls of processes that are opted out, which the kernel side told of before it knew.
    left_out: LeftOut,
    /// Processes that turned out to be opted out.
    opt_outs: Vec<u32>,
    /// Whether bytes are left unread.
    counts_only: bool,
    /// Servers of this process. Addresses come and go; those that went are kept, up to the limit.
    excluded: HashSet<SocketAddr>,
    /// Where this process's own clients connect from.
    own_clients: OwnClients,
}

/// The most Kubernetes pods, services, nodes and owners that are known, each: four times the pods of
/// a cluster of 5,000.
const MOST_OBJECTS: usize = 20_000;

/// By source.
#[derive(Default)]
struct LeftOut {
    socket: Balance,
    tls: Balance,
    datagram: Balance,
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
            cluster: Cluster::new(MOST_OBJECTS),
            routes: Routes::new(RouteLimits::default()),
            clock,
            views: Vec::new(),
            joined: Vec::new(),
            told: Vec::new(),
            reported: 0,
            own: 0,
            left_out: LeftOut::default(),
            opt_outs: Vec::new(),
            counts_only: false,
            excluded: HashSet::new(),
            own_clients: OwnClients::default(),
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

    /// Leaves out what these clients of this process say, whoever they talk to.
    pub fn exclude_clients(&mut self, own: OwnClients) {
        self.own_clients = own;
    }

    /// Tells of the connections that are open at this time (monotonic), as far as their clients are
    /// on this host.
    pub fn open_connections(&self, now_ns: u64, mut tell: impl FnMut(OpenConnection)) {
        self.connections.open_connections(now_ns, |client, server| {
            tell(OpenConnection { client, server });
        });
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

    /// What is known of Kubernetes, to read or to add to.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Takes one event; what it completes goes to `sink`.
    pub fn event(&mut self, event: &Event<'_>, sink: &mut impl Sink) {
        match event {
            Event::Segment(segment) => {
                let process = self.processes.resolve(segment.pid);
                if is_opted_out(&process) {
                    let left_out = match segment.source {
                        Source::Socket => &mut self.left_out.socket,
                        Source::Tls => &mut self.left_out.tls,
                    };
                    leave_out(left_out, segment.length);
                    self.opt_out(segment.pid);
                    self.leave_connection_out(segment.key);
                    return self.pass_on(sink);
                }
                // What is said inside TLS has been counted when it was moved.
                if segment.source == Source::Socket {
                    self.connections.segment(segment, process);
                }
                match self.counts_only {
                    true => self.engine.leave_unread(segment, &mut self.views),
                    false => self.engine.segment(segment, &mut self.views),
                }
            }
            Event::Open(connection) => {
                self.engine.open(connection, &mut self.views);
                self.join.open(connection);
                self.open_connection(connection);
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
                if is_opted_out(&self.processes.resolve(datagram.pid)) {
                    leave_out(&mut self.left_out.datagram, datagram.length);
                    return self.opt_out(datagram.pid);
                }
                self.datagrams.datagram(datagram, &self.clock, &mut self.joined);
                self.report(sink);
            }
            Event::Measures(measures) => self.connections.measures(measures),
            Event::Refused(refused) => {
                let process = self.processes.resolve(refused.pid);
                if !is_opted_out(&process) {
                    self.connections.refused(refused, process, &mut self.told);
                }
            }
            Event::OptedOut(opted_out) => self.leave_connection_out(opted_out.key),
            Event::Fork(fork) => self.processes.fork(fork),
            Event::Exec(exec) => {
                if self.processes.exec(exec) {
                    self.opt_out(exec.pid);
                }
            }
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
        self.cluster.advance(self.clock.unix(watermark_ns));
    }

    /// Connections of which more should be copied, or nothing; see [`Engine::take_wishes`].
    pub fn take_wishes(&mut self) -> std::vec::Drain<'_, (ConnectionKey, Wish)> {
        self.engine.take_wishes()
    }

    /// Processes that were found to speak TLS; see [`Engine::take_tls_speakers`].
    pub fn take_tls_speakers(&mut self) -> std::vec::Drain<'_, u32> {
        self.engine.take_tls_speakers()
    }

    /// Processes that the kernel side should leave out from now on.
    pub fn take_opt_outs(&mut self) -> std::vec::Drain<'_, u32> {
        self.opt_outs.drain(..)
    }

    /// Has those left out that run now and are opted out.
    pub fn find_opt_outs(&mut self) {
        for pid in self.processes.opted_out() {
            self.opt_out(pid);
        }
    }

    /// Where there are too many at once, the kernel side is told when the process is seen again.
    fn opt_out(&mut self, pid: u32) {
        if self.opt_outs.last() != Some(&pid) && self.opt_outs.len() < OPT_OUTS_MAX {
            self.opt_outs.push(pid);
        }
    }

    fn leave_connection_out(&mut self, key: ConnectionKey) {
        self.engine.out_of_sight(key, &mut self.views);
        self.join.out_of_sight(key);
        self.connections.opt_out(key);
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
        ledger.exchanges.routes_unlearned = self.routes.unlearned();
        ledger.connections.untold = self.connections.untold();
        for (balance, left_out) in [
            (&mut ledger.socket, &self.left_out.socket),
            (&mut ledger.tls, &self.left_out.tls),
            (&mut ledger.datagram, &self.left_out.datagram),
        ] {
            balance.segments.add(&left_out.segments);
            balance.bytes.add(&left_out.bytes);
        }
        let Some(kernel) = kernel else { return ledger };
        add_datagrams(&mut ledger.datagram, kernel);
        let segments = kernel.seen.segments + kernel.tls_seen.segments;
        let bytes = kernel.seen.bytes + kernel.tls_seen.bytes;
        ledger.kernel = Some(KernelCount { segments, bytes });
        ledger.socket.segments.leave_out(kernel.opted_out.segments);
        ledger.socket.bytes.leave_out(kernel.opted_out.bytes);
        for (reason, lost) in [
            (LossReason::RingFull, kernel.ring_full),
            (LossReason::ConnectionTableFull, kernel.table_full),
            (LossReason::HookMissed, kernel.hook_missed),
        ] {
            ledger.socket.segments.lose(reason, lost.segments);
            ledger.socket.bytes.lose(reason, lost.bytes);
        }
        for (reason, lost) in [
            (LossReason::RingFull, kernel.tls_ring_full),
            (LossReason::HookMissed, kernel.tls_missed),
            (LossReason::Unlinked, kernel.tls_unlinked),
        ] {
            ledger.tls.segments.lose(reason, lost.segments);
            ledger.tls.bytes.lose(reason, lost.bytes);
        }
        ledger
    }

    fn open_connection(&mut self, opened: &Connection) {
        let ends = [opened.local, opened.remote];
        match ends.into_iter().any(|end| self.own_clients.contains(end)) {
            true => self.connections.open_own(opened),
            false => self.connections.open(opened),
        }
    }

    fn pass_on(&mut self, sink: &mut impl Sink) {
        for (key, handshake) in self.engine.take_handshakes() {
            self.connections.learn_tls(key, handshake);
        }
        if self.views.is_empty() && self.told.is_empty() {
            return;
        }
        for view in self.views.drain(..) {
            self.connections.learn(view.key, view.role, view.tls);
            self.join.view(view, &self.clock, &mut self.joined);
        }
        self.report(sink);
    }

    fn report(&mut self, sink: &mut impl Sink) {
        for mut exchange in self.joined.drain(..) {
            self.processes.identify(&mut exchange, &self.clock);
            if is_alaz(&exchange) || is_of_client(&exchange, &self.own_clients) {
                self.own += 1;
                continue;
            }
            self.cluster.identify(&mut exchange.client, exchange.time);
            self.cluster.identify(&mut exchange.server, exchange.time);
            self.routes.apply(&mut exchange);
            self.reported += 1;
            sink.exchange(&exchange);
        }
        for mut facts in self.told.drain(..) {
            let time = self.clock.unix(facts.ended_ns);
            self.cluster.identify(&mut facts.client, time);
            self.cluster.identify(&mut facts.server, time);
            sink.connection(&facts);
        }
    }
}

/// Adds the datagrams that the kernel side did not hand on.
fn add_datagrams(balance: &mut Balance, kernel: &KernelCounters) {
    balance.segments.counted += kernel.datagrams_passed.segments;
    balance.bytes.counted += kernel.datagrams_passed.bytes;
    balance.segments.leave_out(kernel.datagrams_opted_out.segments);
    balance.bytes.leave_out(kernel.datagrams_opted_out.bytes);
    for (reason, lost) in [
        (LossReason::RingFull, kernel.datagrams_ring_full),
        (LossReason::HookMissed, kernel.datagrams_missed),
    ] {
        balance.segments.lose(reason, lost.segments);
        balance.bytes.lose(reason, lost.bytes);
    }
}

fn is_opted_out(process: &Option<Arc<Process>>) -> bool {
    process.as_ref().is_some_and(|process| process.opted_out)
}

fn leave_out(balance: &mut Balance, length: u32) {
    balance.segments.leave_out(1);
    balance.bytes.leave_out(u64::from(length));
}

/// An Alaz, this one or another, is at either end.
fn is_alaz(exchange: &Exchange) -> bool {
    let ends = [&exchange.client, &exchange.server];
    ends.iter().any(|end| end.process.as_ref().is_some_and(|process| process.is_alaz))
}

/// One of these clients of this process was heard by a server of this host. The kernel side leaves
/// this process's own calls out, so nothing else tells.
fn is_of_client(exchange: &Exchange, own: &OwnClients) -> bool {
    exchange.observed_by == ObservedBy::Server && own.contains(exchange.client.address)
}

#[cfg(test)]
mod tests;
