//! The order of the stages, from an event to an identified exchange.

use std::net::SocketAddr;

use alaz_capture::KernelCounters;
use alaz_identity::Processes;
use alaz_model::{Clock, ConnectionKey, Event, Exchange, KernelCount, Ledger, LossReason, View};
use alaz_protocol::{Engine, Join};

/// One shard of the pipeline. Deterministic: times come with the events.
pub struct Pipeline {
    engine: Engine,
    join: Join,
    processes: Processes,
    clock: Clock,
    views: Vec<View>,
    joined: Vec<Exchange>,
    reported: u64,
}

impl Pipeline {
    /// With these process facts to name endpoints by, and this clock to give wall times.
    #[must_use]
    pub fn new(processes: Processes, clock: Clock) -> Pipeline {
        Pipeline {
            engine: Engine::new(alaz_protocol::Limits::default()),
            join: Join::new(alaz_protocol::JoinLimits::default()),
            processes,
            clock,
            views: Vec::new(),
            joined: Vec::new(),
            reported: 0,
        }
    }

    /// Leaves out what is said to and by the server at this address: Alaz's own UI and API.
    pub fn exclude_server(&mut self, address: SocketAddr) {
        self.engine.exclude_server(address);
    }

    /// Replaces the clock, whose offset drifts as the wall clock is corrected.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// The process facts, to read or to add to.
    pub fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    /// Takes one event; exchanges that it completes go to `sink`.
    pub fn event(&mut self, event: &Event<'_>, sink: &mut impl FnMut(&Exchange)) {
        match event {
            Event::Segment(segment) => {
                self.processes.resolve(segment.pid);
                self.engine.segment(segment, &mut self.views);
            }
            Event::Open(connection) => {
                self.engine.open(connection, &mut self.views);
                self.join.open(connection);
            }
            Event::Close(close) => {
                self.engine.close(close, &mut self.views);
                self.join.close(close);
            }
            Event::Fork(fork) => self.processes.fork(fork),
            Event::Exec(exec) => self.processes.exec(exec),
            Event::Exit(exit) => self.processes.exit(exit),
        }
        self.pass_on(sink);
    }

    /// Nothing more will be known of a connection, nor how it ended.
    pub fn out_of_sight(&mut self, key: ConnectionKey, sink: &mut impl FnMut(&Exchange)) {
        self.engine.out_of_sight(key, &mut self.views);
        self.join.out_of_sight(key);
        self.pass_on(sink);
    }

    /// Everything before `watermark_ns` (monotonic) has been taken: gives up what waited for it.
    pub fn advance(&mut self, watermark_ns: u64, sink: &mut impl FnMut(&Exchange)) {
        self.engine.advance(watermark_ns, &mut self.views);
        self.pass_on(sink);
        self.join.advance(watermark_ns, &self.clock, &mut self.joined);
        self.report(sink);
        self.processes.advance(watermark_ns);
    }

    /// Nothing more will come: reports or gives up whatever is pending.
    pub fn finish(&mut self, sink: &mut impl FnMut(&Exchange)) {
        self.engine.finish(&mut self.views);
        self.pass_on(sink);
        self.join.finish(&self.clock, &mut self.joined);
        self.report(sink);
    }

    /// What became of everything so far, the kernel side's losses included where it has counted.
    #[must_use]
    pub fn ledger(&self, kernel: Option<&KernelCounters>) -> Ledger {
        let mut ledger = self.engine.ledger();
        ledger.exchanges.reported = self.reported;
        ledger.exchanges.views = self.join.ledger();
        let Some(kernel) = kernel else { return ledger };
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

    fn pass_on(&mut self, sink: &mut impl FnMut(&Exchange)) {
        if self.views.is_empty() {
            return;
        }
        for view in self.views.drain(..) {
            self.join.view(view, &self.clock, &mut self.joined);
        }
        self.report(sink);
    }

    fn report(&mut self, sink: &mut impl FnMut(&Exchange)) {
        for mut exchange in self.joined.drain(..) {
            self.processes.identify(&mut exchange, &self.clock);
            self.reported += 1;
            sink(&exchange);
        }
    }
}

#[cfg(test)]
mod tests {
    use alaz_capture::Quantity;
    use alaz_model::{
        Close, CloseReason, Connection, ConnectionKey, Direction, Position, Role, Segment, Source,
    };

    use super::*;

    const KEY: ConnectionKey = ConnectionKey { socket: 1, generation: 1 };

    fn segment(at: u64) -> Event<'static> {
        Event::Segment(Segment {
            key: KEY,
            direction: Direction::Send,
            position: Position(at),
            length: 10,
            head: b"0123456789",
            tail: &[],
            started_ns: at,
            ended_ns: at,
            pid: 7,
            tid: 7,
            source: Source::Socket,
        })
    }

    /// A connection that was seen to send twenty bytes, and ten more after its end.
    fn played() -> Pipeline {
        let clock = Clock::default();
        let mut pipeline = Pipeline::new(Processes::recorded(16), clock);
        let opened = Connection {
            key: KEY,
            local: "10.0.0.5:51514".parse().unwrap(),
            remote: "10.0.0.9:80".parse().unwrap(),
            network_namespace: 1,
            role: Role::Client,
            send: Some(Position(0)),
            receive: Some(Position(0)),
            time_ns: 0,
            mid_stream: false,
        };
        let (send, receive) = (Some(Position(20)), Some(Position(0)));
        let close = Close { key: KEY, time_ns: 30, reason: CloseReason::Finished, send, receive };
        let events =
            [Event::Open(opened), segment(0), segment(10), Event::Close(close), segment(20)];
        for event in events {
            pipeline.event(&event, &mut |_| {});
        }
        pipeline
    }

    #[test]
    fn the_ledger_is_held_against_the_kernels_own_count() {
        let pipeline = played();
        assert_eq!(pipeline.ledger(None).unaccounted(), None);
        let mut kernel = KernelCounters {
            seen: Quantity { segments: 5, bytes: 50 },
            ring_full: Quantity { segments: 1, bytes: 10 },
            hook_missed: Quantity { segments: 1, bytes: 10 },
            ..KernelCounters::default()
        };
        assert_eq!(pipeline.ledger(Some(&kernel)).unaccounted(), Some((0, 0)));
        // One that went missing on the way, and one that came twice.
        kernel.seen.segments += 1;
        kernel.seen.bytes -= 10;
        assert_eq!(pipeline.ledger(Some(&kernel)).unaccounted(), Some((1, -10)));
    }
}
