//! `alaz watch`: exchanges as they complete.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use alaz_capture::Options;
use anyhow::Context;

use crate::cli::WatchArgs;
use crate::commands::remote::Remote;
use crate::config::Config;
use crate::output::printing::{Overflow, Printing};
use crate::output::streams::say;
use crate::source::{self, Duties};

/// How long to wait for a line before looking at the clock and for signals.
const TICK: Duration = Duration::from_millis(50);
/// Lines that may wait to be printed.
const WAITING: usize = 1024;

/// Until the duration is over, the user stops it, or nobody reads any more.
pub(crate) fn run(args: &WatchArgs, config: &Config, options: &Options) -> anyhow::Result<()> {
    let stop = source::stop_signal()?;
    match Remote::find(&args.from, config.listen.value)? {
        Some(remote) => read(args, &remote, &stop),
        None => capture(args, config, options, &stop),
    }
}

fn capture(
    args: &WatchArgs,
    config: &Config,
    options: &Options,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let capture = super::start_capture(options)?;
    let mut printing = Printing::new(args.output, (&args.filter).into(), Overflow::Drop);
    let pipeline = source::live_pipeline(config);
    let ledger =
        source::capture(capture, pipeline, stop, args.duration, Duties::default(), &mut printing)?;
    let result = printing.finish();
    super::print_ledger(&ledger);
    result.context("standard output")
}

fn read(args: &WatchArgs, remote: &Remote, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let started = Instant::now();
    let body = remote.follow(&(&args.filter).into())?;
    let (sender, lines) = mpsc::sync_channel(WAITING);
    // Reading blocks for as long as nothing happens; it ends with the program.
    std::thread::Builder::new()
        .name("alaz-read".to_owned())
        .spawn(move || send_lines(body, &sender))
        .context("cannot start a thread to read")?;
    let mut printing = Printing::new(args.output, (&args.filter).into(), Overflow::Drop);
    let mut has_ended = false;
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => match lost(&line) {
                Some(lost) => say(format_args!(
                    "alaz: {lost} exchanges are missing here: they came faster than they were read"
                )),
                None => printing.line(&line),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => has_ended = true,
        }
        if printing.tick().is_break()
            || has_ended
            || stop.load(Ordering::Relaxed)
            || args.duration.is_some_and(|limit| started.elapsed() >= limit)
        {
            break;
        }
    }
    printing.finish().context("standard output")?;
    if has_ended {
        anyhow::bail!("the Alaz at {} has ended", remote.url());
    }
    say(format_args!("ledger: {}", remote.ledger()?));
    Ok(())
}

fn send_lines(body: impl BufRead, sender: &SyncSender<String>) {
    for line in body.lines() {
        let Ok(line) = line else { break };
        if sender.send(line).is_err() {
            break;
        }
    }
}

/// How many exchanges this line stands for that the server could not send.
fn lost(line: &str) -> Option<u64> {
    line.strip_prefix("{\"lost\":")?.strip_suffix('}')?.parse().ok()
}
