//! One file per command; this one picks it and turns its end into an exit code.

mod doctor;
mod map;
mod record;
mod remote;
mod replay;
mod run;
mod settings;
mod watch;

use std::process::ExitCode;

use alaz_capture::{Capture, Options};
use alaz_model::Ledger;
use anyhow::Context;
use clap::Parser;

use crate::cli::{Cli, Command, RunArgs};
use crate::config::{Config, Surroundings};

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("alaz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config.as_deref();
    let config = |args: &RunArgs| {
        let variable = |name: &str| std::env::var(name).ok();
        let is_root = rustix::process::geteuid().is_root();
        Config::resolve(args, file, &Surroundings { variable: &variable, is_root })
    };
    let options = cli.capture.options();
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(&config(&args)?, &options)?,
        Command::Watch(args) => watch::run(&args, &config(&RunArgs::default())?, &options)?,
        Command::Map(args) => map::run(&args, &config(&RunArgs::default())?, &options)?,
        Command::Doctor(args) => return doctor::run(&args, &options),
        Command::Record(args) => record::run(&args, &options)?,
        Command::Replay(args) => replay::run(&args)?,
        Command::Config(args) => settings::run(&config(&args)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts capturing, or says why not and where to look further.
fn start_capture(options: &Options) -> anyhow::Result<Capture> {
    let capture =
        Capture::start(options).context("cannot capture here (`alaz doctor` tells more)")?;
    for report in capture.reports() {
        if let Some(reason) = &report.refused {
            eprintln!(
                "alaz: without {}: the kernel refused {}: {reason}",
                report.purpose, report.program
            );
        }
    }
    Ok(capture)
}

/// The last line of everything that captures or replays.
fn print_ledger(ledger: &Ledger) {
    match serde_json::to_string(ledger) {
        Ok(json) => eprintln!("ledger: {json}"),
        Err(error) => eprintln!("alaz: the ledger could not be printed: {error}"),
    }
}
