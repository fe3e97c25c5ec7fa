//! What Alaz leaves undone where it takes more of the machine than it may.

use serde::{Serialize, Serializer};

/// How much is left undone; each step includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardStep {
    /// Nothing is left undone.
    #[default]
    None,
    /// Only the ends of long calls are copied, whatever is spoken.
    NoDepth,
    /// No exchange is kept or sent on by itself; all are counted.
    NoSamples,
    /// Traffic is counted and not parsed: lost for the reason
    /// [`LossReason::Guard`](crate::LossReason::Guard).
    CountedOnly,
}

impl GuardStep {
    /// Every step, the least first.
    pub const ALL: [GuardStep; 4] =
        [GuardStep::None, GuardStep::NoDepth, GuardStep::NoSamples, GuardStep::CountedOnly];

    /// Its name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GuardStep::None => "none",
            GuardStep::NoDepth => "no_depth",
            GuardStep::NoSamples => "no_samples",
            GuardStep::CountedOnly => "counted_only",
        }
    }

    /// The one after it, or itself where there is none.
    #[must_use]
    pub fn further(self) -> GuardStep {
        match self {
            GuardStep::None => GuardStep::NoDepth,
            GuardStep::NoDepth => GuardStep::NoSamples,
            GuardStep::NoSamples | GuardStep::CountedOnly => GuardStep::CountedOnly,
        }
    }

    /// The one before it, or itself where there is none.
    #[must_use]
    pub fn back(self) -> GuardStep {
        match self {
            GuardStep::None | GuardStep::NoDepth => GuardStep::None,
            GuardStep::NoSamples => GuardStep::NoDepth,
            GuardStep::CountedOnly => GuardStep::NoSamples,
        }
    }
}

impl Serialize for GuardStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What Alaz takes of the machine, what it may take, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GuardState {
    /// What is left undone now.
    pub step: GuardStep,
    /// How often that has changed.
    pub changes: u64,
    /// CPU time taken lately, in seconds a second.
    pub cpu_cores: f64,
    /// The most that may be taken of it.
    pub cpu_limit_cores: f64,
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// The most that may be.
    pub memory_limit_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_and_end() {
        for pair in GuardStep::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert_eq!((pair[0].further(), pair[1].back()), (pair[1], pair[0]));
        }
        assert_eq!(GuardStep::None.back(), GuardStep::None);
        assert_eq!(GuardStep::CountedOnly.further(), GuardStep::CountedOnly);
    }
}
