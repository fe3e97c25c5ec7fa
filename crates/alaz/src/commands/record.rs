//! `alaz record`: what the kernel side sees, in a file.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alaz_capture::{Capture, Header, Options, RecordingError, RecordingWriter, decode};
use alaz_identity::Processes;
use alaz_model::Event;
use anyhow::Context;

use crate::cli::RecordArgs;
use crate::output::streams::say;
use crate::output::units;
use crate::source::{self, PROCESS_LIMIT};

const TICK: Duration = Duration::from_millis(5);

/// Records until the duration is over or the user stops it.
pub(crate) fn run(args: &RecordArgs, options: &Options) -> anyhow::Result<()> {
    let name = args.file.display();
    let stop = source::stop_signal()?;
    let header = header();
    let mut capture = super::start_capture(options)?;
    let writer = RecordingWriter::create(&args.file, &header).with_context(|| format!("{name}"))?;
    say(format_args!("alaz: recording to {name}: raw traffic, passwords and tokens included"));

    let mut recorder =
        Recorder { writer, processes: Processes::live(PROCESS_LIMIT), written: HashSet::new() };
    let started = Instant::now();
    let mut records = 0;
    loop {
        records += recorder.pass(&mut capture).with_context(|| format!("{name}"))?;
        if stop.load(Ordering::Relaxed) || args.duration.is_some_and(|d| started.elapsed() >= d) {
            break;
        }
        std::thread::sleep(TICK);
    }
    source::detach(&mut capture);
    records += recorder.pass(&mut capture)?;
    let counters = capture.counters()?;
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
                self.processes.exec(&exec);
                self.written.remove(&exec.pid);
            }
            Some(Event::Exit(exit)) => {
                self.processes.exit(&exit);
                self.written.remove(&exit.pid);
            }
            Some(Event::Segment(segment)) if self.written.insert(segment.pid) => {
                if let Some(process) = self.processes.resolve(segment.pid) {
                    self.writer.process(&process)?;
                }
            }
            _ => {}
        }
        self.writer.record(record)
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
