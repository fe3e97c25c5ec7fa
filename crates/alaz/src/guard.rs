//! Alaz's own limits: what it takes of the machine is looked at every second, and where that is more
//! than it may, work is left undone, step by step, until it is not.

mod limits;
mod steps;

use std::time::{Duration, Instant};

use alaz_model::GuardState;
use alaz_server::OwnProcess;

pub(crate) use limits::{Bytes, Cores, DEFAULT_MEMORY, Limits};
use steps::{Reading, Steps};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at this process.
pub(crate) struct Guard {
    steps: Steps,
    looked: Instant,
    cpu_seconds: f64,
}

impl Guard {
    /// From now on: what was taken before, to start, does not count.
    pub(crate) fn new(limits: Limits) -> Guard {
        let cpu_seconds = OwnProcess::read().cpu_seconds;
        Guard { steps: Steps::new(limits), looked: Instant::now(), cpu_seconds }
    }

    /// Call it often. Gives what was found, when it was time to look.
    pub(crate) fn look(&mut self) -> Option<GuardState> {
        let elapsed = self.looked.elapsed();
        if elapsed < LOOK_EVERY {
            return None;
        }
        let own = OwnProcess::read();
        let cpu_cores = (own.cpu_seconds - self.cpu_seconds) / elapsed.as_secs_f64();
        self.looked += elapsed;
        self.cpu_seconds = own.cpu_seconds;
        Some(self.steps.next(Reading { cpu_cores, resident_bytes: own.resident_bytes }))
    }
}
