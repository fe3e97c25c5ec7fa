//! An application under load in every state: what it still does, what it costs it, what Alaz uses, and whether
//! Alaz tells the truth about it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alaz_tests::alaz::Server;
use alaz_tests::exchange::Ledger;
use anyhow::Context;
use serde::Serialize;

use crate::application::Application;
use crate::load::{HIGHEST_RATE, Load, Workload};
use crate::process::{cpu_time, peak_rss_bytes};
use crate::state::{Attached, Bench, Series, State};
use crate::statistics::{Spread, ratios};

/// How long Alaz may take to report the last exchanges of a slice, and between two looks at them:
/// each look costs it some time itself.
const SETTLING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);
/// Where the search for half load begins.
const PROBE_RATE: f64 = 10_000.0;
/// A smaller loss with empty hooks is noise, and no yardstick.
const SMALLEST_LOSS: f64 = 0.01;

/// One kind of load in all states.
#[derive(Debug, Serialize)]
pub(crate) struct LoadRow {
    pub(crate) load: String,
    /// The rate that the client was told to keep, where it was told one.
    pub(crate) asked_per_second: Option<f64>,
    pub(crate) states: Vec<LoadState>,
    /// Throughput that Alaz takes, as a multiple of what empty hooks take. `None` where those take
    /// next to nothing.
    pub(crate) loss_in_empty_losses: Option<f64>,
    pub(crate) alaz: Alaz,
}

/// One kind of load in one state.
#[derive(Debug, Serialize)]
pub(crate) struct LoadState {
    pub(crate) state: State,
    pub(crate) requests_per_second: Compared,
    pub(crate) p50_ns: Compared,
    pub(crate) p99_ns: Compared,
    /// CPU time of the application, user and system.
    pub(crate) application_cpu_ns_per_request: Compared,
    /// Requests without an answer, in all rounds.
    pub(crate) failed: u64,
}

/// Over all rounds, and as a multiple of what it was without anything in the same round.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    #[serde(flatten)]
    pub(crate) spread: Spread,
    pub(crate) to_bare: Option<Spread>,
}

/// Alaz's own use, and its count against those of the two sides, all rounds together.
#[derive(Debug, Serialize)]
pub(crate) struct Alaz {
    pub(crate) cpu_ns_per_exchange: Spread,
    pub(crate) peak_rss_bytes: u64,
    /// Answers that the client read. It leaves in the middle of its last requests, at most one on
    /// each connection, so the application may have counted a few more.
    pub(crate) sent: u64,
    /// What the application counted: lines in nginx's access log, commands by Redis. PostgreSQL: as `sent`.
    pub(crate) logged: u64,
    /// Requests at its port on Alaz's map.
    pub(crate) reported: u64,
    /// By the ledger, on any connection of the machine.
    pub(crate) lost_segments: BTreeMap<String, u64>,
    /// By the ledger, on any connection of the machine.
    pub(crate) unpaired: BTreeMap<String, u64>,
}

/// One load in one state, once.
struct Slice {
    load: Load,
    application_cpu: Duration,
    logged: u64,
    alaz: Option<AlazSlice>,
}

struct AlazSlice {
    cpu: Duration,
    peak_rss_bytes: u64,
    reported: u64,
    lost_segments: BTreeMap<String, u64>,
    unpaired: BTreeMap<String, u64>,
}

pub(crate) fn measure(
    bench: &Bench,
    workload: Workload,
    states: &[State],
    duration: Duration,
) -> anyhow::Result<LoadRow> {
    let load = workload.describe();
    let series =
        bench.alternate(&load, states, |attached| slice(bench, workload, duration, attached))?;
    summarise(load, workload.asked_per_second(), &series)
}

/// Not measured: whatever is slower the first time.
pub(crate) fn warm_up(bench: &Bench) -> anyhow::Result<()> {
    eprintln!("warming up");
    slice(bench, Workload::KeepAlive, Duration::from_secs(1), &mut Attached::Nothing)?;
    Ok(())
}

/// As many requests as Redis answers in that time.
pub(crate) fn redis(bench: &Bench, pipeline: u32, duration: Duration) -> anyhow::Result<Workload> {
    const PROBE: u64 = 20_000;
    let probe = Workload::Redis { pipeline, requests: PROBE };
    let slice = slice(bench, probe, duration, &mut Attached::Nothing)?;
    let requests = (slice.load.requests_per_second * duration.as_secs_f64()) as u64;
    Ok(Workload::Redis { pipeline, requests: requests.max(PROBE) })
}

/// The rate at which nginx is half busy. That is less than half of what it does for wrk: requests
/// that come one by one cost it more than those that come in heaps.
pub(crate) fn half_load(bench: &Bench) -> anyhow::Result<Workload> {
    eprintln!("looking for half load");
    let duration = Duration::from_secs(1);
    let probe = Workload::Paced { rate: PROBE_RATE };
    let slice = slice(bench, probe, duration, &mut Attached::Nothing)?;
    let busy = slice.application_cpu.as_secs_f64() / duration.as_secs_f64();
    let rate = slice.load.requests_per_second * 0.5 / busy.max(0.01);
    Ok(Workload::Paced { rate: rate.min(HIGHEST_RATE).round() })
}

fn slice(
    bench: &Bench,
    workload: Workload,
    duration: Duration,
    attached: &mut Attached,
) -> anyhow::Result<Slice> {
    let application = bench.placement.server(|| Application::start(workload))?;
    let port = application.port();
    let alaz_before = attached.alaz().map(|server| cpu_time(server.program().pid())).transpose()?;

    let before = application.cpu_time()?;
    let load = bench.placement.client(|| workload.run(&application, duration))??;
    let application_cpu = application.cpu_time()?.saturating_sub(before);

    let logged = application.stop().unwrap_or(load.requests);
    let alaz = match (attached.alaz(), alaz_before) {
        (Some(server), Some(before)) => Some(look_at(server, before, port, logged)?),
        _ => None,
    };
    Ok(Slice { load, application_cpu, logged, alaz })
}

/// Waits until Alaz has reported what it will, then reads what it used and counted.
fn look_at(
    server: &mut Server,
    cpu_before: Duration,
    port: u16,
    logged: u64,
) -> anyhow::Result<AlazSlice> {
    let ended = Instant::now();
    let mut reported = 0;
    while reported < logged && ended.elapsed() < SETTLING {
        std::thread::sleep(LOOK);
        reported = requests_at(&server.json("/api/v1/map?from=-1h"), port);
    }
    let pid = server.program().pid();
    let cpu = cpu_time(pid)?.saturating_sub(cpu_before);
    let peak_rss_bytes = peak_rss_bytes(pid)?;
    let ledger: Ledger = serde_json::from_value(server.json("/api/v1/ledger"))
        .context("alaz gives a ledger of an unknown form")?;
    ledger.assert_balances();
    Ok(AlazSlice {
        cpu,
        peak_rss_bytes,
        reported,
        lost_segments: ledger.total.segments.lost,
        unpaired: ledger.exchanges.unpaired,
    })
}

fn requests_at(map: &serde_json::Value, port: u16) -> u64 {
    let edges = map["edges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let at_port = edges.iter().filter(|edge| edge["port"] == port);
    at_port.filter_map(|edge| edge["requests"].as_u64()).sum()
}

fn summarise(
    load: String,
    asked_per_second: Option<f64>,
    series: &Series<Slice>,
) -> anyhow::Result<LoadRow> {
    let bare = slices(series, State::Bare);
    let states = series
        .iter()
        .map(|(state, slices)| load_state(*state, slices, bare))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let loss = |wanted: State| {
        let state = states.iter().find(|state| state.state == wanted)?;
        Some(1.0 - state.requests_per_second.to_bare?.median)
    };
    let loss_in_empty_losses =
        loss(State::Alaz).zip(loss(State::Empty)).and_then(|(own, empty)| {
            let has_loss = empty >= SMALLEST_LOSS;
            has_loss.then_some(own / empty)
        });
    let alaz = alaz(slices(series, State::Alaz))?;
    Ok(LoadRow { load, asked_per_second, states, loss_in_empty_losses, alaz })
}

fn slices(series: &Series<Slice>, wanted: State) -> &[Slice] {
    let found = series.iter().find(|(state, _)| *state == wanted);
    found.map(|(_, slices)| slices.as_slice()).unwrap_or_default()
}

fn load_state(state: State, slices: &[Slice], bare: &[Slice]) -> anyhow::Result<LoadState> {
    let compared = |pick: fn(&Slice) -> f64| {
        let values: Vec<f64> = slices.iter().map(pick).collect();
        let base: Vec<f64> = bare.iter().map(pick).collect();
        let spread = Spread::of(&values).context("no round was measured")?;
        let to_bare = if state == State::Bare { None } else { Spread::of(&ratios(&values, &base)) };
        anyhow::Ok(Compared { spread, to_bare })
    };
    Ok(LoadState {
        state,
        requests_per_second: compared(|slice| slice.load.requests_per_second)?,
        p50_ns: compared(|slice| slice.load.p50_ns as f64)?,
        p99_ns: compared(|slice| slice.load.p99_ns as f64)?,
        application_cpu_ns_per_request: compared(|slice| {
            slice.application_cpu.as_nanos() as f64 / (slice.logged.max(1)) as f64
        })?,
        failed: slices.iter().map(|slice| slice.load.failed).sum(),
    })
}

fn alaz(slices: &[Slice]) -> anyhow::Result<Alaz> {
    let own = || slices.iter().filter_map(|slice| slice.alaz.as_ref());
    let cpu: Vec<f64> = own()
        .filter(|own| own.reported > 0)
        .map(|own| own.cpu.as_nanos() as f64 / own.reported as f64)
        .collect();
    let mut lost_segments = BTreeMap::new();
    let mut unpaired = BTreeMap::new();
    for slice in own() {
        add(&mut lost_segments, &slice.lost_segments);
        add(&mut unpaired, &slice.unpaired);
    }
    Ok(Alaz {
        cpu_ns_per_exchange: Spread::of(&cpu).context("alaz has reported nothing of it")?,
        peak_rss_bytes: own().map(|own| own.peak_rss_bytes).max().unwrap_or(0),
        sent: slices.iter().map(|slice| slice.load.requests).sum(),
        logged: slices.iter().map(|slice| slice.logged).sum(),
        reported: own().map(|own| own.reported).sum(),
        lost_segments,
        unpaired,
    })
}

fn add(total: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (reason, amount) in more {
        *total.entry(reason.clone()).or_default() += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(requests_per_second: f64, alaz: Option<AlazSlice>) -> Slice {
        Slice {
            load: Load { requests: 999, requests_per_second, p50_ns: 10, p99_ns: 20, failed: 1 },
            application_cpu: Duration::from_millis(5),
            logged: 1000,
            alaz,
        }
    }

    fn alaz_slice(reported: u64) -> Option<AlazSlice> {
        let ring_full = BTreeMap::from([("ring_full".to_owned(), 7)]);
        Some(AlazSlice {
            cpu: Duration::from_micros(2000),
            peak_rss_bytes: reported << 10,
            reported,
            lost_segments: ring_full,
            unpaired: BTreeMap::new(),
        })
    }

    #[test]
    fn a_row_compares_within_rounds_and_adds_up_counts() {
        let series = vec![
            (State::Bare, vec![slice(100.0, None), slice(200.0, None)]),
            (State::Empty, vec![slice(95.0, None), slice(190.0, None)]),
            (State::Alaz, vec![slice(80.0, alaz_slice(1000)), slice(160.0, alaz_slice(500))]),
        ];
        let row = summarise("load".to_owned(), None, &series).unwrap();
        let [bare, _, with] = &row.states[..] else { panic!("{row:?}") };
        assert!(bare.requests_per_second.to_bare.is_none());
        assert_eq!(bare.application_cpu_ns_per_request.spread.median, 5000.0);
        let throughput = with.requests_per_second.to_bare.unwrap();
        assert_eq!((throughput.min, throughput.max), (0.8, 0.8));
        let loss = row.loss_in_empty_losses.unwrap();
        assert!((loss - 4.0).abs() < 1e-9, "20 % are four times 5 %: {loss}");
        assert_eq!(with.failed, 2);
        assert_eq!((row.alaz.sent, row.alaz.logged, row.alaz.reported), (1998, 2000, 1500));
        assert_eq!(row.alaz.lost_segments["ring_full"], 14);
        assert_eq!(row.alaz.peak_rss_bytes, 1000 << 10);
        assert_eq!(
            (row.alaz.cpu_ns_per_exchange.min, row.alaz.cpu_ns_per_exchange.max),
            (2e3, 4e3)
        );
    }

    #[test]
    fn noise_is_no_yardstick() {
        let series = vec![
            (State::Bare, vec![slice(100.0, None)]),
            (State::Empty, vec![slice(99.5, None)]),
            (State::Alaz, vec![slice(80.0, alaz_slice(1))]),
        ];
        assert_eq!(summarise("load".to_owned(), None, &series).unwrap().loss_in_empty_losses, None);
    }

    #[test]
    fn an_alaz_that_reports_nothing_is_an_error() {
        let series = vec![
            (State::Bare, vec![slice(100.0, None)]),
            (State::Alaz, vec![slice(80.0, alaz_slice(0))]),
        ];
        let error = summarise("load".to_owned(), None, &series).unwrap_err();
        assert!(error.to_string().contains("reported nothing"), "{error}");
    }

    #[test]
    fn requests_are_those_of_all_edges_to_the_port() {
        let map = serde_json::json!({"edges": [
            {"port": 80, "requests": 3}, {"port": 81, "requests": 4}, {"port": 80, "requests": 5},
        ]});
        assert_eq!(requests_at(&map, 80), 8);
        assert_eq!(requests_at(&serde_json::json!({}), 80), 0);
    }
}
