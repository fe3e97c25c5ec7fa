//! What happens when there is no room.

use alaz_capture::{Capture, CaptureError, OPT_OUTS_MAX, Options};

use crate::check::{self, Passed, drain_while};
use crate::observe::Observed;
use crate::report::Report;
use crate::traffic::{Peers, Told, crowd, opted_out_cases};

/// More than process ids go (PID_MAX_LIMIT, include/linux/threads.h).
const NOBODY: u32 = 4 << 20;

/// Each with a capture of its own, as `options` say otherwise.
pub(crate) fn check(options: &Options, report: &mut Report) {
    let mut case = |name, options: Options, check: fn(&mut Capture) -> Result<Passed, String>| {
        let outcome = Capture::start(&options).map_err(said).and_then(|mut it| check(&mut it));
        report.case(options.attachment.expect("one is asked for"), name, outcome);
    };
    let options = || options.clone();
    case("a full table of connections", Options { connections: 64, ..options() }, full_table);
    case("a full ring", Options { ring_bytes: 64 << 10, ..options() }, full_ring);
    case("a full table of processes", options(), full_opt_outs);
}

fn said(error: CaptureError) -> String {
    error.to_string()
}

/// Calls on connections that there is no room for are counted; when others have gone, there is room.
fn full_table(capture: &mut Capture) -> Result<Passed, String> {
    let mut observed = Observed::default();
    let mut peers = Peers::start(&crowd());
    let told = drain_while(capture, &mut observed, || peers.go())?;
    balanced(capture, &observed, &told, |lost| lost.table_full > 0 && lost.ring_full == 0)?;
    peers.end();
    let [_, case] = opted_out_cases();
    check::one(capture, &mut Observed::default(), &case, Peers::start(&case))
}

/// Nobody reads while there is traffic. What finds no room is counted, and afterwards all is well.
fn full_ring(capture: &mut Capture) -> Result<Passed, String> {
    let mut observed = Observed::default();
    let mut peers = Peers::start(&crowd());
    let told = peers.go()?;
    observed.drain(capture);
    balanced(capture, &observed, &told, |lost| lost.ring_full > 0 && lost.table_full == 0)?;
    peers.end();
    observed.drain(capture);
    let [_, case] = opted_out_cases();
    check::one(capture, &mut observed, &case, Peers::start(&case))
}

/// Who finds no room is told of, and the user side knows.
fn full_opt_outs(capture: &mut Capture) -> Result<Passed, String> {
    for number in 0..OPT_OUTS_MAX as u32 {
        capture.opt_out(NOBODY + number).map_err(said)?;
    }
    if capture.opt_out(NOBODY + OPT_OUTS_MAX as u32).is_ok() {
        return Err(format!("there is room for more than {OPT_OUTS_MAX}"));
    }
    let [_, case] = opted_out_cases();
    check::one(capture, &mut Observed::default(), &case, Peers::start(&case))
}

/// Segments that were lost, by reason.
struct Lost {
    table_full: u64,
    ring_full: u64,
}

/// Every call is either told or counted as lost for a reason that is right.
fn balanced(
    capture: &Capture,
    observed: &Observed,
    told: &Told,
    is_right: fn(&Lost) -> bool,
) -> Result<(), String> {
    let counters = capture.counters().map_err(said)?;
    let (table_full, ring_full) = (counters.table_full.segments, counters.ring_full.segments);
    let accounted = observed.segments + table_full + ring_full + counters.hook_missed.segments;
    let calls: usize = told.connections.iter().map(|connection| connection.calls.len()).sum();
    // Others may make traffic here as well.
    if counters.seen.segments != accounted || accounted < calls as u64 {
        return Err(format!("{accounted} of {calls} calls are accounted for: {counters:?}"));
    }
    match is_right(&Lost { table_full, ring_full }) {
        true => Ok(()),
        false => Err(format!("nothing was lost, or for another reason: {counters:?}")),
    }
}
