//! `alaz record`: what the kernel side sees, in a file.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alaz_capture::{
    Capture, Header, KernelCounters, Options, RecordingError, RecordingWriter, decode,
};
use alaz_identity::Processes;
use alaz_model::Event;
use anyhow::Context;

use crate::cli::RecordArgs;
use crate::config::Config;
use crate::output::streams::say;
use crate::output::units;
use crate::source;

const TICK: Duration = Duration::from_millis(5);

/// Records until the duration is over or the user stops it.
pub(crate) fn run(args: &RecordArgs, config: &Config, options: &Options) -> anyhow::Result<()> {
    let name = args.file.display();
    let stop = source::stop_signal()?;
    let header = header();
    let mut capture = super::start_capture(options)?;
    let writer = RecordingWriter::create(&args.file, &header).with_context(|| format!("{name}"))?;
    say(format_args!("alaz: recording to {name}: raw traffic, passwords and tokens included"));

    let mut recorder = Recorder {
        writer,
        processes: source::live_processes(config),
        written: HashSet::new(),
        opt_outs: Vec::new(),
        left_out: KernelCounters::default(),
    };
    let opted_out = recorder.processes.opted_out();
    source::opt_out(&capture, opted_out.into_iter());
    let started = Instant::now();
    let mut records = 0;
    loop {
        records += recorder.pass(&mut capture).with_context(|| format!("{name}"))?;
        source::opt_out(&capture, recorder.opt_outs.drain(..));
        if stop.load(Ordering::Relaxed) || args.duration.is_some_and(|d| started.elapsed() >= d) {
            break;
        }
        std::thread::sleep(TICK);
    }
    source::detach(&mut capture);
    records += recorder.pass(&mut capture)?;
    let mut counters = capture.counters()?;
    counters.opted_out.segments += recorder.left_out.opted_out.segments;
    counters.opted_out.bytes += recorder.left_out.opted_out.bytes;
    counters.datagrams_opted_out.segments += recorder.left_out.datagrams_opted_out.segments;
    counters.datagrams_opted_out.bytes += recorder.left_out.datagrams_opted_out.bytes;
    let bytes = recorder.writer.end(&counters).with_context(|| format!("{name}"))?;
    say(format_args!(
        "alaz: {records} records, {} in {:.1} s; {} segments lost for want of room in the ring",
        units::size(bytes),
        started.elapsed().as_secs_f64(),
        counters.ring_full.segments,
    ));
    Ok(())
}

struct Recorder<W: std::io::Write> {
    writer: RecordingWriter<W>,
    processes: Processes,
    /// Processes whose facts stand in the file already, in this life.
    written: HashSet<u32>,
    /// Processes that turned out to be opted out.
    opt_outs: Vec<u32>,
    /// Their calls that the kernel side told of before it knew.
    left_out: KernelCounters,
}

impl<W: std::io::Write> Recorder<W> {
    fn pass(&mut self, capture: &mut Capture) -> Result<u64, RecordingError> {
        let before = source::monotonic_ns();
        let mut result = Ok(());
        let drained = capture.drain_records(|record| {
            if result.is_ok() {
                result = self.record(record);
            }
        });
        result?;
        if drained.complete {
            self.writer.drained(before)?;
        }
        Ok(drained.records)
    }

    /// Facts of a process go before the first segment that names it: replays have no `/proc`.
    fn record(&mut self, record: &[u8]) -> Result<(), RecordingError> {
        match decode(record) {
            Some(Event::Fork(fork)) => {
                self.processes.fork(&fork);
                self.written.remove(&fork.pid);
            }
            Some(Event::Exec(exec)) => {
                if self.processes.exec(&exec) {
                    self.leave_out(exec.pid);
                }
                self.written.remove(&exec.pid);
            }
            Some(Event::Exit(exit)) => {
                self.processes.exit(&exit);
                self.written.remove(&exit.pid);
            }
            Some(Event::Segment(segment)) => {
                let process = self.processes.resolve(segment.pid);
                if process.as_ref().is_some_and(|process| process.opted_out) {
                    self.leave_out(segment.pid);
                    self.left_out.opted_out.segments += 1;
                    self.left_out.opted_out.bytes += u64::from(segment.length);
                    return Ok(());
                }
                if let Some(process) = process
                    && self.written.insert(segment.pid)
                {
                    self.writer.process(&process)?;
                }
            }
            Some(Event::Datagram(datagram)) => {
                let process = self.processes.resolve(datagram.pid);
                if process.is_some_and(|process| process.opted_out) {
                    self.leave_out(datagram.pid);
                    self.left_out.datagrams_opted_out.segments += 1;
                    self.left_out.datagrams_opted_out.bytes += u64::from(datagram.length);
                    return Ok(());
                }
            }
            _ => {}
        }
        self.writer.record(record)
    }

    fn leave_out(&mut self, pid: u32) {
        if self.opt_outs.last() != Some(&pid) {
            self.opt_outs.push(pid);
        }
    }
}

fn header() -> Header {
    let system = rustix::system::uname();
    Header {
        host: system.nodename().to_string_lossy().into_owned(),
        kernel: system.release().to_string_lossy().into_owned(),
        alaz: env!("CARGO_PKG_VERSION").to_owned(),
        unix_at_zero_ns: source::clock_now().unix_at_zero_ns,
    }
}
