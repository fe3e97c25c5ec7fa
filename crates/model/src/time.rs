//! Two clocks: the kernel stamps with the monotonic one, people read the wall.

use serde::{Serialize, Serializer};

/// Nanoseconds since 1970-01-01T00:00:00Z. Serialises as RFC 3339 with nine digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

impl std::fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = i64::try_from(self.0 / 1_000_000_000).unwrap_or(i64::MAX);
        let nanos = (self.0 % 1_000_000_000) as i32;
        match jiff::Timestamp::new(seconds, nanos) {
            Ok(timestamp) => write!(f, "{timestamp:.9}"),
            Err(_) => write!(f, "{seconds}.{nanos:09}"),
        }
    }
}

impl Serialize for UnixNanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Turns monotonic times into wall times by the offset between the two clocks.
///
/// The offset is taken when the clock is made; make a new one from time to time, since the wall
/// clock is corrected while the machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Wall time at monotonic time zero, ns since 1970.
    pub unix_at_zero_ns: u64,
}

impl Clock {
    /// From one reading of each clock, taken together (ns).
    #[must_use]
    pub fn from_readings(monotonic_ns: u64, unix_ns: u64) -> Clock {
        Clock { unix_at_zero_ns: unix_ns.saturating_sub(monotonic_ns) }
    }

    /// The wall time of a monotonic time.
    #[must_use]
    pub fn unix(&self, monotonic_ns: u64) -> UnixNanos {
        UnixNanos(self.unix_at_zero_ns.saturating_add(monotonic_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, UnixNanos};

    #[test]
    fn prints_rfc_3339_with_nine_digits() {
        assert_eq!(
            UnixNanos(1_795_464_000_123_456_789).to_string(),
            "2026-11-23T20:00:00.123456789Z"
        );
        assert_eq!(UnixNanos(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert!(!UnixNanos(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn offset_applies_to_any_time() {
        let clock = Clock::from_readings(5_000, 1_000_005_000);
        assert_eq!(clock.unix(7_000), UnixNanos(1_000_007_000));
    }
}
