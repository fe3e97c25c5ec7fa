//! The results: as tables for people, and whole as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::loaded::{Alaz, Compared, LoadRow};
use crate::machine::Machine;
use crate::pipeline::PipelineRow;
use crate::placement::Placement;
use crate::system_calls::CallRow;
use crate::table::{Table, changes, count, counts, megabytes, time, times};

/// A client that asks less than this share of what it should even without anything is short of CPU.
const PUNCTUAL: f64 = 0.95;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) placement: Placement,
    pub(crate) rounds: usize,
    pub(crate) seconds_per_slice: f64,
    pub(crate) system_calls: Vec<CallRow>,
    pub(crate) nginx: Vec<LoadRow>,
    /// Shorter slices, and fewer of them.
    pub(crate) others: Vec<LoadRow>,
    pub(crate) pipeline: Vec<PipelineRow>,
}

/// What a system call costs that is none of Alaz's business.
pub(crate) fn system_calls(rows: &[CallRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut table = Table::new(["state", "a call", "above without", "above empty hooks"]);
        for state in &row.states {
            table.line([
                state.state.describe().to_owned(),
                times(&state.call_ns),
                state.above_bare_ns.as_ref().map(times).unwrap_or_default(),
                state.above_empty_ns.as_ref().map(times).unwrap_or_default(),
            ]);
        }
        // Writing to a string cannot fail; so also below.
        let _ =
            write!(text, "\nSystem call that moves no bytes of a socket: {}\n{table}", row.call);
    }
    text
}

/// An application under one kind of load.
pub(crate) fn load(row: &LoadRow) -> String {
    let mut table = Table::new([
        "state",
        "requests/s",
        "to without",
        "p50",
        "p99",
        "to without",
        "its CPU a request",
        "to without",
    ]);
    for state in &row.states {
        table.line([
            state.state.describe().to_owned(),
            counts(&state.requests_per_second.spread),
            to_bare(&state.requests_per_second),
            time(state.p50_ns.spread.median),
            times(&state.p99_ns.spread),
            to_bare(&state.p99_ns),
            times(&state.application_cpu_ns_per_request.spread),
            to_bare(&state.application_cpu_ns_per_request),
        ]);
    }
    let mut text = format!("\n{}\n{table}", row.load);
    let failed: u64 = row.states.iter().map(|state| state.failed).sum();
    if failed > 0 {
        let _ = writeln!(text, "  {} requests FAILED, see the JSON", count(failed as f64));
    }
    let bare = row.states.first().map(|state| state.requests_per_second.spread.median);
    if let (Some(asked), Some(bare)) = (row.asked_per_second, bare)
        && bare < asked * PUNCTUAL
    {
        let _ = writeln!(
            text,
            "  the client was LATE: this machine is too busy with other things for these latencies \
             to mean much"
        );
    }
    if let Some(loss) = row.loss_in_empty_losses {
        let _ = writeln!(text, "  alaz takes {loss:.1} × the throughput that empty hooks take");
    }
    text + &alaz(&row.alaz)
}

fn to_bare(compared: &Compared) -> String {
    compared.to_bare.as_ref().map(changes).unwrap_or_default()
}

fn alaz(alaz: &Alaz) -> String {
    format!(
        "  alaz itself: {} CPU an exchange, peak RSS {}\n  \
         counted: {} sent, {} logged, {} reported; segments lost: {}; not paired: {}\n",
        times(&alaz.cpu_ns_per_exchange),
        megabytes(alaz.peak_rss_bytes as f64),
        count(alaz.sent as f64),
        count(alaz.logged as f64),
        count(alaz.reported as f64),
        by_reason(&alaz.lost_segments),
        by_reason(&alaz.unpaired),
    )
}

fn by_reason(amounts: &BTreeMap<String, u64>) -> String {
    if amounts.is_empty() {
        return "none".to_owned();
    }
    let each = amounts.iter().map(|(reason, n)| format!("{} {reason}", count(*n as f64)));
    each.collect::<Vec<_>>().join(", ")
}

/// The stages in user space.
pub(crate) fn pipeline(rows: &[PipelineRow]) -> String {
    let mut table = Table::new([
        "recording",
        "segments/s a core",
        "exchanges/s a core",
        "allocations a segment",
        "most memory",
        "segments",
        "reported",
        "segments lost",
        "not paired",
    ]);
    for row in rows {
        table.line([
            row.recording.to_owned(),
            counts(&row.segments_per_second),
            counts(&row.exchanges_per_second),
            format!("{:.3}", row.allocations_per_segment),
            megabytes(row.peak_heap_bytes as f64),
            count(row.segments as f64),
            count(row.exchanges as f64),
            count(row.lost_segments as f64),
            count(row.unpaired as f64),
        ]);
    }
    format!("\nThe pipeline alone: kernel records in, edges out, one thread\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::LoadState;
    use crate::state::State;
    use crate::statistics::Spread;

    fn compared(median: f64, ratio: Option<f64>) -> Compared {
        let around = |median: f64| Spread { median, min: median * 0.9, max: median * 1.1 };
        Compared { spread: around(median), to_bare: ratio.map(around) }
    }

    fn load_state(state: State, throughput: f64, ratio: Option<f64>, failed: u64) -> LoadState {
        LoadState {
            state,
            requests_per_second: compared(throughput, ratio),
            p50_ns: compared(350e3, ratio),
            p99_ns: compared(5e6, ratio),
            application_cpu_ns_per_request: compared(15e3, ratio),
            failed,
        }
    }

    #[test]
    fn a_load_is_a_table_with_its_accuracy_below() {
        let row = LoadRow {
            load: "nginx, half load".to_owned(),
            asked_per_second: Some(70_000.0),
            states: vec![
                load_state(State::Bare, 60_000.0, None, 0),
                load_state(State::Alaz, 50_000.0, Some(0.833), 3),
            ],
            loss_in_empty_losses: Some(3.25),
            alaz: Alaz {
                cpu_ns_per_exchange: Spread { median: 1800.0, min: 1700.0, max: 1900.0 },
                peak_rss_bytes: 41_000_000,
                sent: 1_000_000,
                logged: 1_000_020,
                reported: 1_000_020,
                lost_segments: BTreeMap::new(),
                unpaired: BTreeMap::from([("gap".to_owned(), 2), ("mid_stream".to_owned(), 1)]),
            },
        };
        let text = load(&row);
        for part in [
            "nginx, half load\n",
            "60,000 (54,000…66,000)",
            "−16.7 % (−25.0…−8.4)",
            "the client was LATE",
            "3 requests FAILED",
            "alaz takes 3.2 × the throughput",
            "1.80 µs (1.70…1.90) CPU an exchange, peak RSS 41.0 MB",
            "1,000,000 sent, 1,000,020 logged, 1,000,020 reported",
            "segments lost: none; not paired: 2 gap, 1 mid_stream",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
