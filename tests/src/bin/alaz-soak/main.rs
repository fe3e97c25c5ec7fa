//! Alaz under mixed load for long: does its memory stay flat, does the ledger stay right, does it say
//! what servers say, and does nobody notice when it stalls or is killed?
//!
//! Three stages, each with servers of its own, so that their logs and counts are of that stage:
//!
//! 1. *mixed*: most of the time. nginx on kept and on new connections, Redis with and without
//!    pipelines, PostgreSQL. Memory after the warm-up is held against memory at the end.
//! 2. *stalled*: Alaz is stopped for 5 s under full load, and must account for all that passed.
//! 3. *killed*: Alaz is killed under load, and started again. No client may see an error.
//!
//! What is wrong is collected and told at the end; then the exit code is 1.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "as in tests, a panic is the failure")]

mod figures;
mod load;
mod stages;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Runs Alaz under mixed load for long and checks that it holds
///
/// Needs root, and the servers of the end-to-end tests.
#[derive(Debug, Parser)]
#[command(name = "alaz-soak")]
struct Arguments {
    /// The program to test
    #[arg(long, value_name = "BINARY")]
    alaz: PathBuf,

    /// How long it takes in all, at least 90
    #[arg(long, value_name = "SECONDS", default_value_t = 3600,
          value_parser = clap::value_parser!(u64).range(90..))]
    seconds: u64,

    /// Write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What the stages after the first one take, about.
const OTHER_STAGES: Duration = Duration::from_secs(45);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(_turn) = alaz_tests::turn_to_capture() else { return ExitCode::FAILURE };
    let mixed = Duration::from_secs(arguments.seconds).saturating_sub(OTHER_STAGES);
    let mut report = stages::Report::default();
    stages::mixed(&arguments.alaz, mixed, &mut report);
    stages::stalled(&arguments.alaz, &mut report);
    stages::killed(&arguments.alaz, &mut report);
    print!("{}", report.table());
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report).unwrap();
        std::fs::write(path, json + "\n").unwrap();
    }
    for wrong in &report.wrong {
        eprintln!("alaz-soak: {wrong}");
    }
    if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
