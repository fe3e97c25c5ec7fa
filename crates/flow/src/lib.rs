//! Exchanges and connections in, edges out: who calls whom, how often, how slowly, and what fails.
//!
//! [`Recorder`] takes every exchange on the hot path and, once a period, gives up what it counted
//! as a [`Slice`]: exact figures per edge ([`EdgeStats`]), facts of the nodes at their ends, and a
//! few of the exchanges themselves. It knows nothing of where slices are kept, and of no clock but
//! the times it is given. [`Routes`] learns which parts of paths vary, before exchanges are counted.
//! [`Part`] is an edge's figures on their way to another Alaz, which adds them to its own recorder.
//! [`Connections`] makes the facts of connections of what the kernel tells.
//!
//! ```
//! use alaz_flow::{Limits, Recorder};
//! use alaz_model::UnixNanos;
//!
//! let mut recorder = Recorder::new(Limits::default());
//! // recorder.record(&exchange) as they complete; then, about once a second:
//! recorder.cut(UnixNanos(1_000_000_000), |slice| assert_eq!(slice.edges().count(), 0));
//! ```

#![forbid(unsafe_code)]

mod connection_stats;
mod connections;
mod edge;
mod histogram;
mod limits;
mod mapping;
mod node;
mod part;
mod recorder;
mod route;
mod routes;
mod samples;
mod sight;
mod status;
#[cfg(test)]
mod testing;
mod tls_stats;

pub use connection_stats::ConnectionStats;
pub use connections::{ConnectionLimits, Connections};
pub use edge::{EdgeKey, EdgeStats};
pub use histogram::{Histogram, HistogramParts, MAX_BUCKETS};
pub use limits::Limits;
pub use node::{NodeFacts, NodeKey};
pub use part::Part;
pub use recorder::{Counters, EdgeSlice, Overflow, Recorder, Slice};
pub use route::{RouteName, RouteStats};
pub use routes::{RouteLimits, Routes};
pub use sight::{Path, Sight};
pub use status::StatusMix;
pub use tls_stats::TlsStats;
