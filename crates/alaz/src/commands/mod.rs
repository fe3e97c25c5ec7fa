//! One file per command; this one picks it and turns its end into an exit code.

mod agent;
mod doctor;
mod handing;
mod map;
mod record;
mod remote;
mod replay;
mod run;
mod server;
mod settings;
mod watch;

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use alaz_capture::{Capture, Options};
use alaz_model::Ledger;
use anyhow::Context;

use crate::cli::{Cli, Command, RunArgs};
use crate::config::{Config, Surroundings};
use crate::output::streams::say;

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::read();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("alaz: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config.as_deref();
    let config = |args: &RunArgs| {
        let variable = |name: &str| std::env::var(name).ok();
        let is_root = rustix::process::geteuid().is_root();
        let host_name = host_name();
        Config::resolve(
            args,
            file,
            &Surroundings { variable: &variable, is_root, host_name: &host_name },
        )
    };
    let options = cli.capture.options();
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(&config(&args)?, &options)?,
        Command::Agent(args) => agent::run(&config(&args.settings())?, &options)?,
        Command::Server(args) => server::run(&config(&args.settings())?)?,
        Command::Watch(args) => watch::run(&args, &config(&RunArgs::default())?, &options)?,
        Command::Map(args) => map::run(&args, &config(&RunArgs::default())?, &options)?,
        Command::Doctor(args) => {
            return doctor::run(&args, &config(&RunArgs::default())?, &options);
        }
        Command::Record(args) => record::run(&args, &config(&RunArgs::default())?, &options)?,
        Command::Replay(args) => replay::run(&args)?,
        Command::Config(args) => settings::run(&config(&args)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A listener on this address, which an option gives.
fn bind(listen: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .with_context(|| format!("cannot listen on {listen}; choose another address with {option}"))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Starts capturing, or says why not and where to look further.
fn start_capture(options: &Options) -> anyhow::Result<Capture> {
    let capture =
        Capture::start(options).context("cannot capture here (`alaz doctor` tells more)")?;
    for report in capture.reports() {
        if let Some(reason) = &report.refused {
            say(format_args!(
                "alaz: without {}: the kernel refused {}: {reason}",
                report.purpose, report.program
            ));
        }
    }
    Ok(capture)
}

/// The last line of everything that captures or replays.
fn print_ledger(ledger: &Ledger) {
    match serde_json::to_string(ledger) {
        Ok(json) => say(format_args!("ledger: {json}")),
        Err(error) => say(format_args!("alaz: the ledger could not be printed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use alaz_capture::{PcapReader, RecordingReader};

    use super::*;
    use crate::cli::FromArgs;
    use crate::commands::remote::Remote;

    #[test]
    fn errors_say_each_cause_once() {
        let missing = Path::new("/nonexistent/file");
        let surroundings = Surroundings { variable: &|_| None, is_root: true, host_name: "host" };
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let from = FromArgs { server: Some(format!("http://{nowhere}")), capture: false };
        let io = std::io::Error::from_raw_os_error(1);
        let errors: [anyhow::Error; 5] = [
            Config::resolve(&RunArgs::default(), Some(missing), &surroundings).unwrap_err().into(),
            RecordingReader::open(missing).err().unwrap().into(),
            PcapReader::open(missing).err().unwrap().into(),
            Remote::find(&from, nowhere).err().unwrap(),
            alaz_capture::CaptureError::System { what: "mapping the ring", cause: io }.into(),
        ];
        for error in errors {
            let said = format!("{error:#}");
            let mut parts: Vec<_> = said.split(": ").collect();
            let all = parts.len();
            parts.sort_unstable();
            parts.dedup();
            assert_eq!(parts.len(), all, "{said}");
        }
    }
}
