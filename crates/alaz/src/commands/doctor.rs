//! `alaz doctor`: what this machine allows, and what would not be seen and why.

mod executable;
mod features;
mod process;
mod runtime;
mod sockets;
mod tls;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use alaz_capture::Options;
use alaz_capture::probe::{self, Check, Verdict};
use alaz_identity::OptOut;
use alaz_server::{MOST_BYTES, MOST_EXCHANGES};
use serde::Serialize;

use crate::cli::{DoctorArgs, DoctorOutput};
use crate::config::Config;
use crate::output::{streams, units};
use crate::source::PROCESS_LIMIT;
use features::Feature;
use process::ProcessReport;

/// What no check can change in this version, said so that nobody has to find out.
const LIMITS: [(&str, &str); 3] = [
    (
        "encrypted connections",
        "read where OpenSSL's library (libssl) makes the socket calls itself; all others are counted",
    ),
    ("other protocols", "those that docs/protocols.md does not name are counted only"),
    (
        "io_uring and aio",
        "where system calls are watched, their bytes are not seen, nor the exchanges they touch",
    ),
];

#[derive(Serialize)]
struct Report {
    verdict: Verdict,
    checks: Vec<Check>,
    features: Vec<Feature>,
    bounds: Vec<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessReport>,
    limits: Vec<Limit>,
}

#[derive(Serialize)]
struct Limit {
    what: &'static str,
    how: &'static str,
}

/// The most that is kept of something. What is beyond is counted, in the ledger or the map.
#[derive(Serialize)]
struct Bound {
    what: &'static str,
    most: usize,
    /// It is a number of bytes.
    bytes: bool,
}

/// What capturing with these options takes and tells apart at most.
fn bounds(options: &Options) -> Vec<Bound> {
    let protocol = alaz_protocol::Limits::default();
    let flow = alaz_flow::Limits::default();
    let number = |what, most| Bound { what, most, bytes: false };
    let memory = |what, most| Bound { what, most, bytes: true };
    vec![
        memory("ring to the kernel", options.ring_bytes as usize),
        number("connections", (options.connections as usize).min(protocol.connections)),
        memory("bytes that wait for others", protocol.held_bytes_total),
        number("processes", PROCESS_LIMIT),
        number("nodes", flow.nodes),
        number("edges", flow.edges),
        number("routes", flow.routes),
        number("exchanges to look at", MOST_EXCHANGES),
        memory("history", MOST_BYTES),
    ]
}

/// Exit code 0: everything works; 1: something is missing; 2: Alaz cannot run here.
pub(crate) fn run(
    args: &DoctorArgs,
    config: &Config,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let trial = probe::trial(options);
    let opt_out = OptOut::new(config.exclude_processes.value.clone());
    let explain =
        |pid| process::explain(Path::new("/proc"), pid, &opt_out, trial.attachment, &trial.tls);
    let process = match args.pid.map(explain).transpose() {
        Ok(process) => process,
        Err(error) if args.output == DoctorOutput::Json => {
            let answer = serde_json::json!({ "error": error.to_string() });
            streams::print(format!("{answer}\n").as_bytes())?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    };
    let features = features::all(&trial, Path::new("/"));
    let mut checks = probe::surroundings(Path::new("/"), options);
    checks.extend(trial.checks);
    let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
    let limits = LIMITS.iter().map(|&(what, how)| Limit { what, how }).collect();
    let bounds = bounds(options);
    let report = Report { verdict, checks, features, bounds, process, limits };
    let mut text = Vec::new();
    match args.output {
        DoctorOutput::Json => {
            serde_json::to_writer_pretty(&mut text, &report)?;
            writeln!(text)?;
        }
        DoctorOutput::Text => write(&mut text, &report, std::io::stdout().is_terminal())?,
    }
    streams::print(&text)?;
    Ok(ExitCode::from(match verdict {
        Verdict::Ok => 0,
        Verdict::Degraded if args.usable => 0,
        Verdict::Degraded => 1,
        Verdict::Failed => 2,
    }))
}

fn write(out: &mut impl Write, report: &Report, colour: bool) -> std::io::Result<()> {
    for check in &report.checks {
        let (mark, paint) = match check.verdict {
            Verdict::Ok => ("ok  ", "\x1b[32m"),
            Verdict::Degraded => ("warn", "\x1b[33m"),
            Verdict::Failed => ("FAIL", "\x1b[31m"),
        };
        let (before, after) = if colour { (paint, "\x1b[0m") } else { ("", "") };
        writeln!(out, "{before}{mark}{after}  {:<24} {}", check.name, check.found)?;
        if !check.remedy.is_empty() {
            writeln!(out, "      {:<24} → {}", "", check.remedy)?;
        }
    }
    writeln!(out, "\nFeatures, and the capabilities that each needs:")?;
    for feature in &report.features {
        feature.print(out, colour)?;
    }
    writeln!(out)?;
    let bound = |bound: &Bound| {
        let most =
            if bound.bytes { units::binary_size(bound.most) } else { bound.most.to_string() };
        format!("{} {most}", bound.what)
    };
    let bounds: Vec<_> = report.bounds.iter().map(bound).collect();
    writeln!(out, "      {:<24} {}", "kept at most", bounds.join(", "))?;
    if let Some(process) = &report.process {
        writeln!(out)?;
        process.print(out)?;
    }
    writeln!(out, "\nNot seen by this version:")?;
    for limit in &report.limits {
        writeln!(out, "      {:<24} {}", limit.what, limit.how)?;
    }
    let conclusion = match report.verdict {
        Verdict::Ok => "Alaz works here.",
        Verdict::Degraded => "Alaz works here, with what is marked above missing.",
        Verdict::Failed => "Alaz cannot work here until what is marked above is mended.",
    };
    writeln!(out, "\n{conclusion}")
}
