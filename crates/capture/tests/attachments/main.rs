//! Every way to attach, against every way to move bytes over TCP and UDP: what capture reports must be what
//! the traffic's own process says it did, to the byte. So all ways report the same.
//!
//! Runs wherever capturing is allowed: on this machine by `cargo test`, and in other kernels by
//! `make test-kernels`, which reads what is printed. Arguments: `--expect fexit,kprobe,syscall` says
//! which ways this kernel must allow; `--btf FILE` takes type information from a file; `--alone` that
//! nobody else makes traffic here; `--few-returns` tests instead what happens where the kernel catches
//! the returns of few calls at a time (tracefs must not be mounted).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]

mod check;
mod datagrams;
mod depth;
mod limits;
mod observe;
mod opted_out;
mod refused;
mod report;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;

use alaz_capture::{Attachment, Capture, Options};

use observe::Observed;
use report::Report;
use traffic::{Case, Peers, When};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, case] = arguments.as_slice()
        && command == traffic::COMMAND
    {
        traffic::run(case);
        return ExitCode::SUCCESS;
    }
    if let [command, address] = arguments.as_slice()
        && command == refused::COMMAND
    {
        refused::run(address);
        return ExitCode::SUCCESS;
    }
    if arguments == [datagrams::COMMAND] {
        datagrams::run();
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: capturing needs root");
        return if std::env::var_os("CI").is_none() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let settings = Settings {
        expected: value("--expect").unwrap_or_else(|| "syscall".to_owned()),
        btf: value("--btf").map(PathBuf::from),
        alone: arguments.iter().any(|argument| argument == "--alone"),
    };
    println!("clang {}", env!("ALAZ_CLANG"));
    let mut report = Report::default();
    if arguments.iter().any(|argument| argument == "--few-returns") {
        few_returns(&mut report);
        return report.outcome();
    }
    for attachment in Attachment::ALL {
        run_attachment(attachment, &settings, &mut report);
    }
    report.chosen(Capture::start(&Options { btf: settings.btf, ..Options::default() }));
    report.outcome()
}

struct Settings {
    /// Ways that this kernel must allow, separated by commas.
    expected: String,
    btf: Option<PathBuf>,
    /// Nobody else makes traffic here.
    alone: bool,
}

/// One capture for all cases: those whose connections are older than it, then the others.
fn run_attachment(attachment: Attachment, settings: &Settings, report: &mut Report) {
    let cases = traffic::cases();
    let (before, during): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| case.when == When::BeforeTheCapture);
    let older: Vec<Peers> = before.iter().map(|case| Peers::start(case)).collect();
    let btf = settings.btf.clone();
    let options = Options { attachment: Some(attachment), btf, ..Options::default() };
    let mut capture = match Capture::start(&options) {
        Ok(capture) => capture,
        Err(error) => {
            let must = settings.expected.split(',').any(|name| name == attachment.as_str());
            report.refused(attachment, &error.to_string(), must);
            return;
        }
    };
    report.attached(&capture);
    let mut observed = Observed::default();
    let younger = during.iter().map(|case| (*case, None));
    for (case, peers) in before.iter().copied().zip(older.into_iter().map(Some)).chain(younger) {
        let peers = peers.unwrap_or_else(|| Peers::start(case));
        let outcome = check::one(&mut capture, &mut observed, case, peers);
        report.case(attachment, case.name, outcome);
    }
    for case in traffic::deep_cases() {
        let outcome = depth::check(&mut capture, &mut observed, &case);
        report.case(attachment, case.name, outcome);
    }
    let outcome = depth::check_counted(&mut capture, &mut observed);
    report.case(attachment, depth::COUNTED, outcome);
    // After those: what is said of one connection is not of another of the same socket.
    let outcome = opted_out::check(&mut capture, &mut observed);
    report.case(attachment, opted_out::NAME, outcome);
    let outcome = refused::check(&mut capture, &mut observed);
    report.case(attachment, refused::NAME, outcome);
    let outcome = datagrams::check(&mut capture, &mut observed);
    report.case(attachment, datagrams::NAME, outcome);
    if settings.alone {
        report.case(attachment, "nothing is lost", check::losses(&mut capture, &mut observed));
    }
    drop(capture);
    limits::check(&options, report);
}

/// More threads wait in a function than the kernel catches returns of.
fn few_returns(report: &mut Report) {
    let case = traffic::more_readers_than_returns();
    let options = Options { attachment: Some(Attachment::Kprobe), ..Options::default() };
    let outcome = match Capture::start(&options) {
        Ok(mut capture) => {
            let peers = Peers::start(&case);
            check::accounted(&mut capture, &mut Observed::default(), peers)
        }
        Err(error) => Err(error.to_string()),
    };
    report.case(Attachment::Kprobe, case.name, outcome);
}
