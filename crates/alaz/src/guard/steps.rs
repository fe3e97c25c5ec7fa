//! From what is taken to what is left undone. Pure: numbers in, a step out.

use std::collections::VecDeque;

use alaz_model::{GuardState, GuardStep};

use super::Limits;

/// So many readings (seconds) are looked at together, and pass before the next step, so that the last
/// one shows in them and a short burst costs nothing.
const SETTLING: usize = 5;
/// Below these shares of the limits there is room to do more.
const ROOM_CPU: f64 = 0.7;
const ROOM_MEMORY: f64 = 0.9;
/// So many readings in a row with room take a step back.
const PATIENCE: u32 = 10;
/// Each time that a step back did not hold the patience doubles, up to this.
const MOST_PATIENCE: u32 = 320;
/// A step back held that was not taken again in so many readings.
const HELD: u32 = 60;

/// What was taken in a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// CPU time, in seconds a second.
    pub(crate) cpu_cores: f64,
    pub(crate) resident_bytes: u64,
}

/// The step, and what decides on the next one.
pub(crate) struct Steps {
    limits: Limits,
    step: GuardStep,
    changes: u64,
    /// Of the last readings since the step changed.
    cpu_cores: VecDeque<f64>,
    with_room: u32,
    patience: u32,
    /// Readings since the last step back.
    since_back: u32,
}

impl Steps {
    pub(crate) fn new(limits: Limits) -> Steps {
        Steps {
            limits,
            step: GuardStep::None,
            changes: 0,
            cpu_cores: VecDeque::with_capacity(SETTLING),
            with_room: 0,
            patience: PATIENCE,
            since_back: HELD,
        }
    }

    /// Takes a reading; gives what follows from it.
    pub(crate) fn next(&mut self, reading: Reading) -> GuardState {
        if self.cpu_cores.len() == SETTLING {
            self.cpu_cores.pop_front();
        }
        self.cpu_cores.push_back(reading.cpu_cores);
        self.since_back = self.since_back.saturating_add(1);
        let cpu_cores = self.cpu_cores.iter().sum::<f64>() / self.cpu_cores.len() as f64;
        let (cpu_limit_cores, memory) = (self.limits.cpu.as_f64(), self.limits.memory.0);
        let has_settled = self.cpu_cores.len() == SETTLING;
        let is_over = cpu_cores > cpu_limit_cores || reading.resident_bytes > memory;
        let has_room = cpu_cores <= cpu_limit_cores * ROOM_CPU
            && reading.resident_bytes as f64 <= memory as f64 * ROOM_MEMORY;
        self.with_room = if has_room { self.with_room + 1 } else { 0 };
        if is_over && has_settled {
            self.go_further();
        } else if self.with_room >= self.patience {
            self.go_back();
        }
        GuardState {
            step: self.step,
            changes: self.changes,
            cpu_cores,
            cpu_limit_cores,
            resident_bytes: reading.resident_bytes,
            memory_limit_bytes: memory,
        }
    }

    fn go_further(&mut self) {
        let further = self.step.further();
        if further == self.step {
            return;
        }
        if self.since_back < HELD {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
            // What follows is the same attempt.
            self.since_back = HELD;
        }
        self.change(further);
    }

    fn go_back(&mut self) {
        self.with_room = 0;
        if self.step == GuardStep::None {
            // All is done, and has been for as long as was waited before.
            self.patience = if self.since_back > HELD { PATIENCE } else { self.patience };
            return;
        }
        self.since_back = 0;
        self.change(self.step.back());
    }

    fn change(&mut self, step: GuardStep) {
        self.step = step;
        self.changes += 1;
        self.cpu_cores.clear();
        self.with_room = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, Cores};
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const LIMIT_BYTES: u64 = 100 * MIB;

    fn steps() -> Steps {
        let cpu = Cores::parse("0.5", 1).unwrap();
        Steps::new(Limits { cpu, memory: Bytes(LIMIT_BYTES) })
    }

    fn reading(cpu_cores: f64, mib: u64) -> Reading {
        Reading { cpu_cores, resident_bytes: mib * MIB }
    }

    /// The step after so many equal readings.
    fn after(steps: &mut Steps, seconds: u32, reading: Reading) -> GuardStep {
        (0..seconds).map(|_| steps.next(reading).step).last().unwrap()
    }

    #[test]
    fn each_limit_is_enough_and_each_step_gets_its_time() {
        for over in [reading(0.6, 10), reading(0.1, 101)] {
            let mut steps = steps();
            for step in GuardStep::ALL {
                assert_eq!(after(&mut steps, 4, over), step);
                steps.next(over);
            }
            assert_eq!(after(&mut steps, 1000, over), GuardStep::CountedOnly);
            assert_eq!(steps.changes, 3);
        }
    }

    #[test]
    fn a_burst_and_the_limit_itself_change_nothing() {
        let mut steps = steps();
        for second in 0..1000 {
            let cpu_cores = if second % 10 == 0 { 2.0 } else { 0.1 };
            assert_eq!(steps.next(reading(cpu_cores, 10)).step, GuardStep::None);
        }
        assert_eq!(after(&mut steps, 100, reading(0.5, 100)), GuardStep::None);
    }

    #[test]
    fn it_comes_back_with_room_and_not_before() {
        let mut steps = steps();
        after(&mut steps, 15, reading(0.6, 10));
        // Below the limits, and not far enough.
        assert_eq!(after(&mut steps, 500, reading(0.4, 10)), GuardStep::CountedOnly);
        assert_eq!(after(&mut steps, 500, reading(0.1, 95)), GuardStep::CountedOnly);
        let room = reading(0.1, 10);
        for step in [GuardStep::NoSamples, GuardStep::NoDepth, GuardStep::None] {
            assert_ne!(after(&mut steps, PATIENCE - 1, room), step);
            assert_eq!(steps.next(room).step, step);
        }
    }

    /// Where there is room only because work is left undone, trying again gets rarer.
    #[test]
    fn it_does_not_swing_for_long() {
        let mut steps = steps();
        let mut step = GuardStep::None;
        let mut changes = [0; 2];
        for changed in &mut changes {
            let before = steps.changes;
            for _ in 0..1800 {
                let cpu_cores = if step == GuardStep::CountedOnly { 0.1 } else { 0.9 };
                step = steps.next(reading(cpu_cores, 10)).step;
            }
            *changed = steps.changes - before;
        }
        let [first, later] = changes;
        // A try is two changes.
        assert!(later < first && later <= 2 * (1 + 1800 / u64::from(MOST_PATIENCE)), "{changes:?}");
        // The load is gone, all is done again, and that lasts: the next time it is as at first.
        assert_eq!(after(&mut steps, 2000, reading(0.1, 10)), GuardStep::None);
        assert_eq!(steps.patience, PATIENCE);
    }

    proptest! {
        #[test]
        fn it_goes_one_step_at_a_time_and_only_for_a_reason(
            readings in prop::collection::vec((0.0_f64..1.0, 0_u64..200, 1_u32..40), 0..60),
        ) {
            let mut steps = steps();
            let mut before = steps.next(reading(0.0, 0));
            let mut since_change = 1;
            for (cpu_cores, mib, times) in readings {
                for _ in 0..times {
                    let state = steps.next(reading(cpu_cores, mib));
                    since_change += 1;
                    let (from, to) = (before.step, state.step);
                    if to > from {
                        prop_assert_eq!(to, from.further());
                        prop_assert!(state.cpu_cores > 0.5 || mib > 100);
                        prop_assert!(since_change >= SETTLING);
                    } else if to < from {
                        prop_assert_eq!(to, from.back());
                        prop_assert!(state.cpu_cores <= 0.35 && mib <= 90);
                        prop_assert!(since_change >= PATIENCE as usize);
                    }
                    prop_assert_eq!(state.changes - before.changes, u64::from(from != to));
                    if from != to {
                        since_change = 0;
                    }
                    prop_assert!((PATIENCE..=MOST_PATIENCE).contains(&steps.patience));
                    before = state;
                }
            }
            // Whatever was, quiet brings everything back.
            let quiet = 3 * MOST_PATIENCE + SETTLING as u32;
            prop_assert_eq!(after(&mut steps, quiet, reading(0.0, 1)), GuardStep::None);
            // And a load that lasts takes it all.
            prop_assert_eq!(after(&mut steps, 20, reading(0.9, 1)), GuardStep::CountedOnly);
        }
    }
}
