//! A process that is opted out beside one that is not.

use alaz_capture::{Capture, CaptureError};

use crate::check::{self, Passed, drain_while};
use crate::observe::Observed;
use crate::traffic::{Connection, Peers, opted_out_cases};

pub(crate) const NAME: &str = "a process that is opted out";

/// Of the one nothing is told, and all of it is counted; of the other everything is. The one is opted
/// out by the user side, when its connections are open already; then by its environment.
pub(crate) fn check(capture: &mut Capture, observed: &mut Observed) -> Result<Passed, String> {
    let [left_out, seen] = opted_out_cases();
    let said = |error: CaptureError| error.to_string();
    let by_the_user_side = Peers::start(&left_out);
    observed.drain(capture);
    capture.opt_out(by_the_user_side.pid()).map_err(said)?;
    // Longer variables than are looked at in one piece, and one that only looks like it.
    let long = "x".repeat(1000);
    let variables = [("ALAZ_CAPTURE", "off"), ("LONG", &long), ("AN_ALAZ_CAPTURE", "off")];
    let by_its_environment = Peers::start_with(&left_out, &variables);
    let beside = Peers::start_with(&seen, &[("LONG", &long), ("ALAZ_CAPTURE", "offline")]);
    let before = capture.counters().map_err(said)?.opted_out;
    let mut expected = (0, 0);
    for mut peers in [by_the_user_side, by_its_environment] {
        let told = drain_while(capture, observed, || peers.go())?;
        peers.end();
        for connection in &told.connections {
            untold(observed, connection)?;
            expected.0 += connection.calls.len() as u64;
            expected.1 += connection.calls.iter().map(|call| call.length as u64).sum::<u64>();
        }
    }
    let outcome = check::one(capture, observed, &seen, beside)?;
    let after = capture.counters().map_err(said)?.opted_out;
    let found = (after.segments - before.segments, after.bytes - before.bytes);
    if expected.0 == 0 || found != expected {
        return Err(format!("{found:?} calls and bytes were counted, should be {expected:?}"));
    }
    observed.left_out += found.0;
    Ok(outcome)
}

fn untold(observed: &Observed, connection: &Connection) -> Result<(), String> {
    let (client, server) = (connection.client, connection.server);
    for (local, remote) in [(client, server), (server, client)] {
        let end = observed.end(local, remote)?;
        if !end.segments.is_empty() || end.measures.is_some() || end.close.is_some() {
            return Err(format!("something was told of it: {end:?}"));
        }
        if !observed.opted_out.contains(&end.connection.key) {
            return Err(format!("that it is opted out was not told of {local} to {remote}"));
        }
    }
    Ok(())
}
