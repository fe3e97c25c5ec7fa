//! What an agent saw, as OTLP (OpenTelemetry Protocol 1.x), and back.
//!
//! In one direction: the parts of a [`Report`] become metrics, its samples spans. In the other: an
//! `alaz server` reads them again, exactly; any other receiver of OTLP finds counters, exponential
//! histograms and spans with attributes of the standard's names where it has one, and `alaz.…`
//! where it has none. docs/server.md lists them. Knows nothing of the network.
//!
//! Input may be anything: what is no report of an agent is an error, never a panic, and numbers are
//! bounded so that adding them up overflows nothing.

#![forbid(unsafe_code)]

mod attributes;
mod metrics;
mod names;
mod spans;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use alaz_flow::{Overflow, Part, Slice};
use alaz_model::{Exchange, UnixNanos};

pub use metrics::{decode_metrics, encode_metrics};
pub use spans::{decode_spans, encode_spans};

/// The header (gRPC metadata) with the number of a message: rising, and the same when it is told again.
pub const SEQUENCE: &str = "alaz-sequence";
/// The header that says whether more of its period follows (`more`), or nothing at all (`end`); else
/// this was all of it (`last`).
pub const PERIOD: &str = "alaz-period";

/// Who tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// The name of its host (`host.name`).
    pub host: String,
    /// This life of it (`service.instance.id`): 16 hexadecimal digits.
    pub instance: String,
    /// The addresses of its host (`host.ip`).
    pub addresses: Vec<IpAddr>,
}

/// What an agent saw in one period.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When the period began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// Its edges, with what is exact.
    pub parts: Vec<Part>,
    /// Exchanges that are on no edge.
    pub overflow: Overflow,
}

impl Report {
    /// Of a slice of a recorder that tells sights.
    #[must_use]
    pub fn of(slice: &Slice<'_>, start: UnixNanos, end: UnixNanos) -> Report {
        Report { start, end, parts: slice.parts(), overflow: slice.overflow }
    }

    /// Exchanges and connections that it counts.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(Part::rows).sum::<u64>() + self.overflow.requests
    }
}

/// The exchanges that stand for the many of a slice, each once.
#[must_use]
pub fn samples(slice: &Slice<'_>) -> Vec<Arc<Exchange>> {
    let mut samples: Vec<Arc<Exchange>> = slice
        .edges()
        .flat_map(|edge| edge.errors().iter().chain(edge.slowest()).chain(edge.others()))
        .cloned()
        .collect();
    samples.sort_unstable_by_key(Arc::as_ptr);
    samples.dedup_by(|a, b| Arc::ptr_eq(a, b));
    samples
}

/// What came is no report of an agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not what an Alaz agent tells: {0}")]
pub struct DecodeError(pub(crate) String);

/// The largest number that is believed: those of a message can be added up without overflow.
const MOST: u64 = 1 << 44;

pub(crate) fn bounded(number: u64, what: &str) -> Result<u64, DecodeError> {
    match number <= MOST {
        true => Ok(number),
        false => Err(DecodeError(format!("{what} is {number}, which nothing counts to"))),
    }
}
