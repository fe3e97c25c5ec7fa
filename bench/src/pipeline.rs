//! The stages in user space alone, on one thread: kernel records in, edges out.
//!
//! Records are laid out in memory first, so that neither files nor the ring's copying count; what is
//! timed is what the thread behind the ring does with them.

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alaz::pipeline::Pipeline;
use alaz_capture::{Frame, KernelCounters, RecordingReader, decode};
use alaz_flow::{Limits, Recorder};
use alaz_identity::Processes;
use alaz_model::{Clock, Exchange, Process, UnpairedReason};
use alaz_tests::alaz::command_of;
use alaz_tests::program::Program;
use alaz_tests::wait_until;
use anyhow::Context;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::allocations;
use crate::application::Application;
use crate::load::Workload;
use crate::speech::SPEECHES;
use crate::state::Bench;
use crate::statistics::Spread;
use crate::synthetic;

/// About a second of a slow core, and a hundred megabytes.
const EXCHANGES: u64 = 100_000;
const RECORDING: Duration = Duration::from_secs(1);
/// As many as `alaz` keeps.
const PROCESS_LIMIT: usize = 16_384;
/// How often edges are handed on.
const CUT_NS: u64 = 1_000_000_000;
/// As `alaz` allows records to be under way to the ring.
const IN_FLIGHT_NS: u64 = 1_000_000;

/// One recording, run through several times.
#[derive(Debug, Serialize)]
pub(crate) struct PipelineRow {
    pub(crate) recording: &'static str,
    /// By CPU time of the thread, so that others on the machine do not count.
    pub(crate) segments_per_second: Spread,
    pub(crate) exchanges_per_second: Spread,
    /// In the second half of the recording: all tables have their size by then.
    pub(crate) allocations_per_segment: f64,
    /// The most memory that the stages held at once.
    pub(crate) peak_heap_bytes: u64,
    pub(crate) segments: u64,
    pub(crate) exchanges: u64,
    pub(crate) lost_segments: u64,
    /// Requests and responses without their other half.
    pub(crate) unpaired: u64,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<PipelineRow>> {
    eprintln!("pipeline alone");
    let mut rows = Vec::new();
    for speech in &SPEECHES {
        let made_up = Tape::read(&synthetic::recording(speech, EXCHANGES)?)?;
        let row = row(speech.name, &made_up, bench)?;
        anyhow::ensure!(
            row.exchanges == EXCHANGES && row.lost_segments == 0 && row.unpaired == 0,
            "{}: of {EXCHANGES} exchanges {} were reported, {} segments lost, {} not paired",
            speech.name,
            row.exchanges,
            row.lost_segments,
            row.unpaired,
        );
        rows.push(row);
    }

    eprintln!("pipeline alone, recorded here");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("nginx.alazrec");
    record(bench, &file)?;
    let bytes = std::fs::read(&file).context("reading the recording")?;
    let recorded = Tape::read(&bytes)?;
    rows.push(row("recorded here: nginx and wrk, kept connections", &recorded, bench)?);
    Ok(rows)
}

/// `alaz record` while wrk asks nginx all it can.
fn record(bench: &Bench, file: &Path) -> anyhow::Result<()> {
    let nginx = bench.placement.server(|| Application::start(Workload::KeepAlive))?;
    let mut recorder = Program::start(command_of(&bench.alaz, &["record"]).arg(file));
    wait_until("alaz record has begun", || {
        recorder.assert_running();
        recorder.stderr().contains("recording to")
    });
    bench.placement.client(|| Workload::KeepAlive.run(&nginx, RECORDING))??;
    let status = recorder.end(Signal::INT);
    anyhow::ensure!(status.success(), "alaz record: {status}: {}", recorder.stderr());
    Ok(())
}

fn row(recording: &'static str, tape: &Tape, bench: &Bench) -> anyhow::Result<PipelineRow> {
    let mut runs = Vec::new();
    for _ in 0..bench.rounds {
        bench.check_stop()?;
        runs.push(tape.play());
    }
    let rate = |pick: fn(&Run) -> u64| {
        let rates: Vec<f64> = runs.iter().map(|run| pick(run) as f64 / run.seconds).collect();
        Spread::of(&rates).context("no round was measured")
    };
    let last = runs.last().context("no round was measured")?;
    Ok(PipelineRow {
        recording,
        segments_per_second: rate(|run| run.segments)?,
        exchanges_per_second: rate(|run| run.exchanges)?,
        allocations_per_segment: last.late_allocations as f64 / last.late_segments.max(1) as f64,
        peak_heap_bytes: last.peak_heap_bytes,
        segments: last.segments,
        exchanges: last.exchanges,
        lost_segments: last.lost_segments,
        unpaired: last.unpaired,
    })
}

/// A recording, in memory and in pieces.
struct Tape {
    bytes: Vec<u8>,
    steps: Vec<Step>,
    clock: Clock,
    counters: KernelCounters,
}

enum Step {
    /// Where the record is in `bytes`.
    Record(Range<usize>),
    Drained(u64),
    Process(Arc<Process>),
}

/// One run through.
struct Run {
    seconds: f64,
    segments: u64,
    exchanges: u64,
    lost_segments: u64,
    unpaired: u64,
    /// In the second half.
    late_segments: u64,
    late_allocations: u64,
    peak_heap_bytes: u64,
}

impl Tape {
    fn read(recording: &[u8]) -> anyhow::Result<Tape> {
        let mut reader = RecordingReader::new(recording)?;
        let mut tape = Tape {
            bytes: Vec::with_capacity(recording.len()),
            steps: Vec::new(),
            clock: reader.header().clock(),
            counters: KernelCounters::default(),
        };
        while let Some(frame) = reader.next_frame()? {
            tape.steps.push(match frame {
                Frame::Record(record) => {
                    let start = tape.bytes.len();
                    tape.bytes.extend_from_slice(record);
                    Step::Record(start..tape.bytes.len())
                }
                Frame::Drained(time_ns) => Step::Drained(time_ns),
                Frame::Process(process) => Step::Process(Arc::new(*process)),
                Frame::End(counters) => {
                    tape.counters = *counters;
                    continue;
                }
            });
        }
        Ok(tape)
    }

    fn play(&self) -> Run {
        allocations::reset_peak();
        let started = cpu_seconds();
        let mut stages = Stages {
            pipeline: Pipeline::new(Processes::recorded(PROCESS_LIMIT), self.clock),
            recorder: Recorder::new(Limits::default()),
            clock: self.clock,
            cut_ns: 0,
        };
        let (early, late) = self.steps.split_at(self.steps.len() / 2);
        self.feed(early, &mut stages);
        let halfway_ledger = stages.pipeline.ledger(Some(&self.counters));
        let halfway_allocations = allocations::count();
        self.feed(late, &mut stages);
        let late_allocations = allocations::count() - halfway_allocations;
        stages.finish();
        let seconds = cpu_seconds() - started;

        let ledger = stages.pipeline.ledger(Some(&self.counters));
        let segments = ledger.socket.segments.seen();
        let unpaired = |reason: &UnpairedReason| ledger.exchanges.unpaired(*reason);
        Run {
            seconds,
            segments,
            exchanges: ledger.exchanges.reported,
            lost_segments: ledger.socket.segments.lost_total(),
            unpaired: UnpairedReason::ALL.iter().map(unpaired).sum(),
            late_segments: segments - halfway_ledger.socket.segments.seen(),
            late_allocations,
            peak_heap_bytes: allocations::peak_bytes(),
        }
    }

    fn feed(&self, steps: &[Step], stages: &mut Stages) {
        for step in steps {
            match step {
                Step::Record(place) => {
                    if let Some(record) = self.bytes.get(place.clone()) {
                        stages.record(record);
                    }
                }
                Step::Drained(time_ns) => stages.drained(*time_ns),
                Step::Process(process) => stages.pipeline.processes().insert(Arc::clone(process)),
            }
        }
    }
}

/// All that stands between the ring and the store.
struct Stages {
    pipeline: Pipeline,
    recorder: Recorder,
    clock: Clock,
    cut_ns: u64,
}

impl Stages {
    fn record(&mut self, record: &[u8]) {
        if let Some(event) = decode(record) {
            self.pipeline.event(&event, &mut into_edges(&mut self.recorder));
        }
    }

    fn drained(&mut self, time_ns: u64) {
        let watermark_ns = time_ns.saturating_sub(IN_FLIGHT_NS);
        self.pipeline.advance(watermark_ns, &mut into_edges(&mut self.recorder));
        if time_ns.saturating_sub(self.cut_ns) >= CUT_NS {
            self.cut_ns = time_ns;
            self.recorder.cut(self.clock.unix(time_ns), |slice| {
                black_box(slice.edges().count());
            });
        }
    }

    fn finish(&mut self) {
        self.pipeline.finish(&mut into_edges(&mut self.recorder));
    }
}

fn into_edges(recorder: &mut Recorder) -> impl FnMut(&Exchange) {
    |exchange| {
        recorder.record(exchange);
    }
}

/// CPU time of this thread.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_made_up_comes_out_whole() {
        let exchanges = 2000;
        for speech in &SPEECHES {
            let tape = Tape::read(&synthetic::recording(speech, exchanges).unwrap()).unwrap();
            let run = tape.play();
            assert_eq!(run.exchanges, exchanges, "{}", speech.name);
            // Request and response, at both ends, and how connections begin.
            assert!(run.segments >= 4 * exchanges);
            assert_eq!((run.lost_segments, run.unpaired), (0, 0), "{}", speech.name);
            assert!(run.late_segments > 0 && run.late_segments < run.segments);
            assert!(run.seconds > 0.0 && run.peak_heap_bytes > 0);
        }
    }
}
