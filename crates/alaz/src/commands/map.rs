//! `alaz map`: the service map once.

use std::ops::ControlFlow;
use std::time::Duration;

use alaz_capture::Options;
use alaz_flow::{Limits, Recorder};
use alaz_model::{ConnectionFacts, Exchange, Ledger, UnixNanos};
use alaz_server::{Map, MapFilter, Period, Store};

use crate::cli::MapArgs;
use crate::commands::remote::Remote;
use crate::config::Config;
use crate::output;
use crate::output::streams::{print, say};
use crate::pipeline::Sink;
use crate::source::{self, Consumer, Duties};

/// Of a running Alaz, or of a capture that lasts as long as is asked for.
pub(crate) fn run(args: &MapArgs, config: &Config, options: &Options) -> anyhow::Result<()> {
    let map = match Remote::find(&args.from, config.listen.value)? {
        Some(remote) => remote.map(args.duration)?,
        None => capture(args.duration, config, options)?,
    };
    let mut text = Vec::new();
    output::map::write(&mut text, &map, args.output)?;
    print(&text)
}

fn capture(duration: Duration, config: &Config, options: &Options) -> anyhow::Result<Map> {
    let stop = source::stop_signal()?;
    let capture = super::start_capture(options)?;
    say(format_args!("alaz: watching for {} s", duration.as_secs_f64()));
    let start = source::unix_now();
    let mut counting = Counting { recorder: Recorder::new(Limits::default()) };
    let pipeline = source::live_pipeline(config);
    source::capture(capture, pipeline, &stop, Some(duration), Duties::default(), &mut counting)?;
    let end = source::unix_now();
    Ok(counting.map(start, end))
}

/// All of it in one period.
struct Counting {
    recorder: Recorder,
}

impl Counting {
    fn map(mut self, start: UnixNanos, end: UnixNanos) -> Map {
        let mut store = Store::default();
        self.recorder.cut(end, |slice| store.apply(slice, start, end));
        Map::of(&store, Period { from_ns: start.0, to_ns: end.0 }, &MapFilter::default())
    }
}

impl Sink for Counting {
    fn exchange(&mut self, exchange: &Exchange) {
        self.recorder.record(exchange);
    }

    fn connection(&mut self, facts: &ConnectionFacts) {
        self.recorder.record_connection(facts);
    }
}

impl Consumer for Counting {
    fn pass(&mut self, _: &dyn Fn() -> Ledger) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
