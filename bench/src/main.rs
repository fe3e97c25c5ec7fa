//! What Alaz costs, and whether it tells the truth meanwhile: one command, one set of tables.
//!
//! Cost lands in the application that is watched, so that is where it is measured: nginx under load,
//! without anything, with empty kernel programs where Alaz hooks in, and with Alaz, in turns. Beside
//! it what Alaz uses itself, and what client, nginx, Alaz and its ledger counted. Then the stages in
//! user space alone, fed from recordings. `docs/benchmarks.md` says how to read the tables.
//!
//! Servers and clients are those of the end-to-end tests; as there, a failure in them is a panic.
//! Everything that was started ends on the way out.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "an allocator's methods are unsafe")]
mod allocations;
mod application;
mod hooks;
mod load;
mod loaded;
mod machine;
mod pgbench;
mod pipeline;
mod placement;
mod process;
mod redis_benchmark;
mod report;
mod speech;
mod state;
mod statistics;
mod synthetic;
mod system_calls;
mod table;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use alaz_tests::alaz::Server;
use anyhow::Context;
use clap::Parser;

use crate::load::Workload;
use crate::loaded::LoadRow;
use crate::machine::Machine;
use crate::placement::Placement;
use crate::report::Report;
use crate::state::{Bench, State};

/// Measures what Alaz costs on this machine
///
/// Needs root, nginx, wrk, Redis and PostgreSQL. Takes about ten minutes, or two and a half with
/// --quick.
#[derive(Debug, Parser)]
#[command(name = "alaz-bench")]
struct Arguments {
    /// The program to measure
    #[arg(long, value_name = "BINARY")]
    alaz: PathBuf,

    /// Write the results, all of them, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Fewer and shorter rounds: a first impression, no result
    #[arg(long)]
    quick: bool,

    /// Measure the stages in user space only, for work on them
    #[arg(long, conflicts_with = "json")]
    only_pipeline: bool,
}

/// How much is measured.
struct Plan {
    rounds: usize,
    slice: Duration,
    /// The same of the loads that are measured shorter.
    other_rounds: usize,
    other_slice: Duration,
    system_calls: Duration,
    /// Of the first load.
    states: &'static [State],
}

const STATES: &[State] = &[State::Bare, State::Empty, State::Alaz];
const STATES_AND_PAIR: &[State] = &[State::Bare, State::Empty, State::EmptyPair, State::Alaz];

const QUICK: Plan = Plan {
    rounds: 3,
    slice: Duration::from_secs(2),
    other_rounds: 1,
    other_slice: Duration::from_secs(1),
    system_calls: Duration::from_millis(100),
    states: STATES,
};
const FULL: Plan = Plan {
    rounds: 6,
    slice: Duration::from_secs(5),
    other_rounds: 3,
    other_slice: Duration::from_secs(2),
    system_calls: Duration::from_millis(400),
    states: STATES_AND_PAIR,
};

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("alaz-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    check(&arguments.alaz)?;
    load::allow_connections()?;
    // Tests that load the machine would be in the way; they wait, and are waited for.
    let _turn = alaz_tests::turn_to_capture();
    if arguments.only_pipeline {
        let bench = bench(arguments, stop_signal()?)?;
        print!("{}", report::pipeline(&pipeline::measure(&bench)?));
        return Ok(());
    }
    let report = measure(arguments, stop_signal()?)?;
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn plan(arguments: &Arguments) -> &'static Plan {
    if arguments.quick { &QUICK } else { &FULL }
}

fn bench(arguments: &Arguments, stop: Arc<AtomicBool>) -> anyhow::Result<Bench> {
    let (alaz, rounds) = (arguments.alaz.clone(), plan(arguments).rounds);
    Ok(Bench { alaz, placement: Placement::choose()?, rounds, stop })
}

fn measure(arguments: &Arguments, stop: Arc<AtomicBool>) -> anyhow::Result<Report> {
    let started = Instant::now();
    let plan = plan(arguments);
    let machine = Machine::look();
    let bench = bench(arguments, stop)?;
    let slice_seconds = plan.slice.as_secs_f64();
    println!("{}", machine.describe());
    println!("{}", bench.placement.describe());
    println!("{} rounds of {slice_seconds} s in each state: median (least … most)", plan.rounds);

    try_alaz(&bench.alaz)?;
    loaded::warm_up(&bench)?;
    let system_calls = system_calls::measure(&bench, plan.system_calls)?;
    print!("{}", report::system_calls(&system_calls));

    let half_load = loaded::half_load(&bench)?;
    let mut loads = Vec::new();
    for (workload, states) in [
        (Workload::KeepAlive, plan.states),
        (Workload::NewConnections, STATES),
        (half_load, STATES),
    ] {
        let row = loaded::measure(&bench, workload, states, plan.slice)?;
        print!("{}", report::load(&row));
        loads.push(row);
    }

    let others = others(&bench, plan)?;
    let pipeline = pipeline::measure(&bench)?;
    print!("{}", report::pipeline(&pipeline));
    println!("\ntook {:.0} s", started.elapsed().as_secs_f64());
    Ok(Report {
        machine,
        placement: bench.placement,
        rounds: plan.rounds,
        seconds_per_slice: slice_seconds,
        system_calls,
        nginx: loads,
        others,
        pipeline,
    })
}

/// Other applications and other loads, shorter: what they lose is mostly less.
fn others(bench: &Bench, plan: &Plan) -> anyhow::Result<Vec<LoadRow>> {
    const STATES: &[State] = &[State::Bare, State::Alaz];
    let short = Bench { rounds: plan.other_rounds, ..bench.clone() };
    let mut rows = Vec::new();
    let mut measure = |workload| {
        let row = loaded::measure(&short, workload, STATES, plan.other_slice)?;
        print!("{}", report::load(&row));
        let rate = row.states.first().map(|bare| bare.requests_per_second.spread.median);
        rows.push(row);
        anyhow::Ok(rate.unwrap_or_default())
    };
    measure(Workload::Large)?;
    measure(Workload::BesideIdle)?;
    for pipeline in [1, 16] {
        measure(loaded::redis(bench, pipeline, plan.other_slice)?)?;
    }
    let rate = measure(Workload::Postgresql { rate: None })?;
    measure(Workload::Postgresql { rate: Some(rate / 2.0) })?;
    Ok(rows)
}

/// Says what is missing before anything is started.
fn check(alaz: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(rustix::process::geteuid().is_root(), "capturing needs root: sudo make bench");
    anyhow::ensure!(alaz.is_file(), "{} is missing: make build", alaz.display());
    for (name, argument) in
        [("nginx", "-v"), ("wrk", "-v"), ("redis-benchmark", "--version"), ("pgbench", "--version")]
    {
        let found = Command::new(name).arg(argument).output();
        found.with_context(|| format!("{name} cannot be started: make deps-test"))?;
    }
    Ok(())
}

/// Fails early if Alaz does not work here, and says if the empty hooks do not stand for it.
fn try_alaz(alaz: &Path) -> anyhow::Result<()> {
    let mut server = Server::start_of(alaz, &[]);
    if let Some(difference) = hooks::difference(server.program().pid()) {
        println!("WARNING: {difference}");
    }
    let status = server.stop();
    anyhow::ensure!(status.success(), "alaz ended with {status}");
    Ok(())
}

/// Set when the user wants to stop (SIGINT, SIGTERM); looked at between slices.
fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second one ends the program at once, should it hang.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for signals")?;
    }
    Ok(stop)
}
