//! What a system call costs that moves no bytes of a socket: all others of the machine pay this.

use std::fs::File;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::state::{Bench, Series, State};
use crate::statistics::{Spread, differences};

/// Calls between two looks at the clock: about a tenth of a millisecond.
const BATCH: u32 = 500;
const STATES: [State; 4] = [State::Bare, State::Empty, State::EmptyPair, State::Alaz];

/// One call in all states.
#[derive(Debug, Serialize)]
pub(crate) struct CallRow {
    pub(crate) call: &'static str,
    pub(crate) states: Vec<CallState>,
}

/// One call in one state, ns.
#[derive(Debug, Serialize)]
pub(crate) struct CallState {
    pub(crate) state: State,
    pub(crate) call_ns: Spread,
    /// More than without, in the same round. Not of that state itself.
    pub(crate) above_bare_ns: Option<Spread>,
    /// More than with empty hooks, in the same round. Of states that add to them.
    pub(crate) above_empty_ns: Option<Spread>,
}

/// Times of one call of each kind, ns.
struct Sample {
    getppid_ns: f64,
    read_ns: f64,
}

pub(crate) fn measure(bench: &Bench, duration: Duration) -> anyhow::Result<Vec<CallRow>> {
    let zeroes = File::open("/dev/zero").context("/dev/zero")?;
    let getppid = || {
        black_box(rustix::process::getppid());
        Ok(())
    };
    let read = || rustix::io::read(&zeroes, &mut [0_u8]).map(|_| ());
    let series = bench.alternate("system calls", &STATES, |_| {
        let samples = bench.placement.server(|| {
            let getppid_ns = time(duration / 2, getppid)?;
            let read_ns = time(duration / 2, read)?;
            anyhow::Ok(Sample { getppid_ns, read_ns })
        });
        samples?
    })?;
    Ok(vec![
        row("getppid", &series, |sample| sample.getppid_ns)?,
        row("read of a file, 1 byte of /dev/zero", &series, |sample| sample.read_ns)?,
    ])
}

/// Time of one call: of the middle batch, so that interruptions do not count.
fn time(duration: Duration, call: impl Fn() -> rustix::io::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut batches = Vec::new();
    while batches.is_empty() || started.elapsed() < duration {
        let batch = Instant::now();
        for _ in 0..BATCH {
            call().context("the timed system call failed")?;
        }
        batches.push(batch.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    Ok(Spread::of(&batches).context("no time was measured")?.median)
}

fn row(
    call: &'static str,
    series: &Series<Sample>,
    pick: fn(&Sample) -> f64,
) -> anyhow::Result<CallRow> {
    let values = |wanted: State| -> Vec<f64> {
        let samples = series.iter().filter(|(state, _)| *state == wanted);
        samples.flat_map(|(_, samples)| samples).map(pick).collect()
    };
    let (bare, empty) = (values(State::Bare), values(State::Empty));
    let states = series
        .iter()
        .map(|(state, _)| {
            let own = values(*state);
            let above = |base| Spread::of(&differences(&own, base));
            let (above_bare_ns, above_empty_ns) = match state {
                State::Bare => (None, None),
                State::Empty => (above(&bare), None),
                State::EmptyPair | State::Alaz => (above(&bare), above(&empty)),
            };
            let call_ns = Spread::of(&own).context("no round was measured")?;
            Ok(CallState { state: *state, call_ns, above_bare_ns, above_empty_ns })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(CallRow { call, states })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_taken_within_a_round() {
        let sample = |ns| Sample { getppid_ns: ns, read_ns: 2.0 * ns };
        // In the second round everything took twice as long.
        let series = vec![
            (State::Bare, vec![sample(100.0), sample(200.0)]),
            (State::Empty, vec![sample(150.0), sample(250.0)]),
            (State::Alaz, vec![sample(160.0), sample(260.0)]),
        ];
        let row = row("read", &series, |sample| sample.read_ns).unwrap();
        let [bare, empty, alaz] = &row.states[..] else { panic!("{row:?}") };
        assert_eq!((bare.call_ns.median, bare.above_bare_ns), (300.0, None));
        let same = |ns| Some(Spread { median: ns, min: ns, max: ns });
        assert_eq!((empty.above_bare_ns, empty.above_empty_ns), (same(100.0), None));
        assert_eq!((alaz.above_bare_ns, alaz.above_empty_ns), (same(120.0), same(20.0)));
    }

    #[test]
    fn a_call_takes_time() {
        let ns = time(Duration::ZERO, || {
            black_box(rustix::process::getppid());
            Ok(())
        });
        assert!(ns.unwrap() > 0.0);
        assert!(time(Duration::ZERO, || Err(rustix::io::Errno::BADF)).is_err());
    }
}
