//! Driving the pipeline: from the kernel as it happens, or from a recording as fast as it reads.

use std::cell::Cell;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alaz_capture::{
    Capture, Datagram as PacketDatagram, Frame, PCAP_LATENESS_NS, PcapError, PcapItem, PcapReader,
    RecordingError, RecordingReader, decode,
};
use alaz_export::{OpenConnection, OwnClients};
use alaz_identity::{OptOut, Processes};
use alaz_model::{Clock, Datagram, Direction, Event, GuardState, GuardStep, Ledger, UnixNanos};
use anyhow::Context;

use crate::cluster::ClusterWatch;
use crate::config::Config;
use crate::depth::Depth;
use crate::guard::Guard;
use crate::own_addresses;
use crate::pipeline::{Pipeline, Sink};

/// Between two passes over the ring while there is traffic, and while there is none.
const BUSY_TICK: Duration = Duration::from_millis(5);
const IDLE_TICK: Duration = Duration::from_millis(20);
/// Above this share of the ring the next pass follows at once, and only the ends of long calls are
/// copied.
const PRESSING_FILL: f64 = 0.25;
/// How long a record may lie between its time stamp and the ring, on another CPU.
const IN_FLIGHT_NS: u64 = 1_000_000;
/// Time in a capture file between two looks at what waits.
const PACKETS_TICK_NS: u64 = 20_000_000;
/// Between two looks at the wall clock, and at this host's addresses.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Processes whose facts are kept.
pub(crate) const PROCESS_LIMIT: usize = 16_384;

/// What a command does with what the pipeline gives.
pub(crate) trait Consumer: Sink {
    /// A pass over the ring is done; `ledger` gives the balance so far. Breaking ends the capture.
    fn pass(&mut self, ledger: &dyn Fn() -> Ledger) -> ControlFlow<()>;

    /// Whether it is time to tell it of all connections that are open. Not everybody wants to know.
    fn wants_open_connections(&mut self) -> bool {
        false
    }

    /// This one is open.
    fn open_connection(&mut self, _: OpenConnection) {}

    /// What Alaz takes of the machine, and what is left undone from now on. Only where somebody
    /// looks.
    fn guard(&mut self, _: &GuardState) {}
}

/// What is done between two passes over the ring, where it is.
#[derive(Default)]
pub(crate) struct Duties {
    /// What is said to the server of this process that listens here is left out.
    pub(crate) serving: Option<SocketAddr>,
    /// What clients of this process say is left out: where they connect from.
    pub(crate) own_clients: OwnClients,
    /// Names pods and services.
    pub(crate) cluster: Option<ClusterWatch>,
    /// Work is left undone as it says.
    pub(crate) guard: Option<Guard>,
}

/// Captures until `stop`, the deadline, or the consumer says so; returns the final ledger.
pub(crate) fn capture(
    mut capture: Capture,
    mut pipeline: Pipeline,
    stop: &AtomicBool,
    duration: Option<Duration>,
    mut duties: Duties,
    consumer: &mut impl Consumer,
) -> anyhow::Result<Ledger> {
    let started = Instant::now();
    let mut step = GuardStep::None;
    let mut looked_at = started;
    exclude(&mut pipeline, duties.serving);
    pipeline.exclude_clients(std::mem::take(&mut duties.own_clients));
    let latest = Cell::new(capture.counters()?);
    let mut depth = Depth::default();
    pipeline.find_opt_outs();
    opt_out(&capture, pipeline.take_opt_outs());
    loop {
        if let Some(cluster) = &mut duties.cluster {
            cluster.pass(&mut pipeline);
        }
        let records = pass(&mut capture, &mut pipeline, consumer);
        let is_pressing = capture.fill() >= PRESSING_FILL;
        opt_out(&capture, pipeline.take_opt_outs());
        pipeline.take_tls_speakers().for_each(|pid| capture.look_for_tls(pid));
        if let Some(state) = duties.guard.as_mut().and_then(Guard::look) {
            step = state.step;
            pipeline.count_only(step >= GuardStep::CountedOnly, consumer);
            consumer.guard(&state);
        }
        let has_room = !is_pressing && step < GuardStep::NoDepth;
        depth.steer(&capture, has_room, pipeline.take_wishes());
        // Asking the kernel takes longer than a short pass: only when somebody wants to know.
        let counters = || {
            latest.set(capture.counters().unwrap_or(latest.get()));
            latest.get()
        };
        if consumer.pass(&|| pipeline.ledger(Some(&counters()))).is_break()
            || stop.load(Ordering::Relaxed)
            || duration.is_some_and(|limit| started.elapsed() >= limit)
        {
            break;
        }
        if consumer.wants_open_connections() {
            pipeline.open_connections(monotonic_ns(), |open| consumer.open_connection(open));
        }
        if looked_at.elapsed() > LOOK_AGAIN {
            looked_at = Instant::now();
            pipeline.set_clock(clock_now());
            exclude(&mut pipeline, duties.serving);
        }
        if !is_pressing {
            let tick = if records == 0 { IDLE_TICK } else { BUSY_TICK };
            let left = duration.map_or(tick, |limit| limit.saturating_sub(started.elapsed()));
            std::thread::sleep(tick.min(left));
        }
    }
    detach(&mut capture);
    pass(&mut capture, &mut pipeline, consumer);
    pipeline.finish(consumer);
    let counters = capture.counters()?;
    let ledger = pipeline.ledger(Some(&counters));
    let _ = consumer.pass(&|| ledger);
    Ok(ledger)
}

/// Has the kernel side leave out what is opted out. Where it has no room, the pipeline does so.
pub(crate) fn opt_out(capture: &Capture, opt_outs: impl Iterator<Item = u32>) {
    for pid in opt_outs {
        let _ = capture.opt_out(pid);
    }
}

fn exclude(pipeline: &mut Pipeline, serving: Option<SocketAddr>) {
    let addresses = serving.map(|listen| own_addresses::of(listen, Path::new("/proc")));
    addresses.into_iter().flatten().for_each(|address| pipeline.exclude_server(address));
}

fn pass(capture: &mut Capture, pipeline: &mut Pipeline, consumer: &mut impl Consumer) -> u64 {
    let before = monotonic_ns();
    let drained = capture.drain(|event| pipeline.event(&event, consumer));
    if drained.complete {
        pipeline.advance(before.saturating_sub(IN_FLIGHT_NS), consumer);
    }
    drained.records
}

/// Takes the programs off, and lets those end that are running on other CPUs, so that what was seen is
/// final before it is balanced.
pub(crate) fn detach(capture: &mut Capture) {
    capture.detach();
    std::thread::sleep(BUSY_TICK);
}

/// Runs a recording through the pipeline; returns the ledger, and where it could not be read on.
/// What came before is told all the same.
pub(crate) fn replay(
    mut reader: RecordingReader<impl Read>,
    consumer: &mut impl Consumer,
) -> (Ledger, Result<(), RecordingError>) {
    let clock = reader.header().clock();
    let mut pipeline = Pipeline::new(Processes::recorded(PROCESS_LIMIT), clock);
    let mut counters = None;
    let end = loop {
        let frame = match reader.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        match frame {
            Frame::Record(record) => match decode(record) {
                Some(event) => pipeline.event(&event, consumer),
                None => break Err(reader.damaged("a record that is none")),
            },
            Frame::Drained(time_ns) => {
                pipeline.advance(time_ns.saturating_sub(IN_FLIGHT_NS), consumer);
                if consumer.pass(&|| pipeline.ledger(counters.as_ref())).is_break() {
                    break Ok(());
                }
            }
            Frame::Process(process) => pipeline.processes().insert(Arc::new(*process)),
            Frame::End(end) => counters = Some(*end),
        }
    };
    pipeline.finish(consumer);
    let ledger = pipeline.ledger(counters.as_ref());
    let _ = consumer.pass(&|| ledger);
    (ledger, end)
}

/// Runs a capture file of tcpdump or Wireshark through the pipeline; returns the ledger, and where the
/// file could not be read on. What came before is told all the same.
pub(crate) fn replay_packets(
    reader: &mut PcapReader<impl Read>,
    consumer: &mut impl Consumer,
) -> (Ledger, Result<(), PcapError>) {
    // Times in the file are wall times.
    let mut pipeline =
        Pipeline::new(Processes::recorded(PROCESS_LIMIT), Clock { unix_at_zero_ns: 0 });
    let (mut latest_ns, mut advanced_ns) = (0, 0);
    let end = loop {
        let read = reader.read_packet(|item| match item {
            PcapItem::Event(event) => {
                latest_ns = latest_ns.max(event.time_ns());
                pipeline.event(&event, consumer);
            }
            PcapItem::OutOfSight(gone) => pipeline.out_of_sight(gone.key, consumer),
            PcapItem::Datagram(packet) => {
                latest_ns = latest_ns.max(packet.time_ns);
                pipeline.event(&Event::Datagram(seen_from_one_end(&packet)), consumer);
            }
        });
        if latest_ns >= advanced_ns + PACKETS_TICK_NS {
            advanced_ns = latest_ns;
            pipeline.advance(latest_ns.saturating_sub(PCAP_LATENESS_NS), consumer);
            if consumer.pass(&|| pipeline.ledger(None)).is_break() {
                break Ok(());
            }
        }
        match read {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    pipeline.finish(consumer);
    let ledger = pipeline.ledger(None);
    let _ = consumer.pass(&|| ledger);
    (ledger, end)
}

/// A packet is seen on the wire, and told as one end would have: the one with the higher port (that of
/// a client), or address. So both directions are told from the same end.
fn seen_from_one_end<'a>(packet: &PacketDatagram<'a>) -> Datagram<'a> {
    let place = |address: SocketAddr| (address.port(), address.ip());
    let is_sent = place(packet.source) > place(packet.destination);
    let (local, remote, direction) = match is_sent {
        true => (packet.source, packet.destination, Direction::Send),
        false => (packet.destination, packet.source, Direction::Receive),
    };
    Datagram {
        local,
        remote: Some(remote),
        network_namespace: 0,
        direction,
        length: packet.length,
        head: packet.payload,
        time_ns: packet.time_ns,
        pid: 0,
        tid: 0,
    }
}

/// A pipeline that names processes by this host's `/proc`.
pub(crate) fn live_pipeline(config: &Config) -> Pipeline {
    Pipeline::new(live_processes(config), clock_now())
}

/// The processes of this host, less those that the settings opt out.
pub(crate) fn live_processes(config: &Config) -> Processes {
    let opt_out = OptOut::new(config.exclude_processes.value.clone());
    Processes::live(PROCESS_LIMIT).opting_out(opt_out)
}

/// Nanoseconds on the clock that the kernel side stamps with.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The wall clock.
pub(crate) fn unix_now() -> UnixNanos {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX))
}

/// Both clocks, read one after the other.
pub(crate) fn clock_now() -> Clock {
    let unix = unix_now();
    Clock::from_readings(monotonic_ns(), unix.0)
}

/// Set when the user wants to stop (SIGINT, SIGTERM).
pub(crate) fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second one ends the program at once, should it hang.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for signals")?;
    }
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_told_from_the_same_end() {
        for (client, server) in [
            ("10.0.0.1:40000", "10.0.0.9:53"),
            ("10.0.0.9:53", "10.0.0.1:53"),
            ("[::1]:53", "127.0.0.1:53"),
        ] {
            let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
            let packet = |source, destination| {
                let datagram =
                    PacketDatagram { time_ns: 1, source, destination, payload: b"x", length: 9 };
                let Datagram { local, remote, direction, .. } = seen_from_one_end(&datagram);
                (local, remote, direction)
            };
            assert_eq!(packet(client, server), (client, Some(server), Direction::Send));
            assert_eq!(packet(server, client), (client, Some(server), Direction::Receive));
        }
    }
}
