//! Exchanges on their way to other systems.
//!
//! In: exchanges and open connections, through a [`Sink`] held by the thread that captures. Out:
//! what another system takes, over the network. Each system is one [`Exporter`] behind a [`Sink`]:
//! the capture never waits for it, and what it could not take, keep or deliver is in its
//! [`ExportLedger`](alaz_model::ExportLedger). Knows nothing of how exchanges are found or stored.
//!
//! - [`server`]: `alaz server`, and whoever else takes OTLP.
//! - [`anteon`]: Anteon and Ddosify backends, as Alaz 0.11 spoke with them.

#![forbid(unsafe_code)]

pub mod anteon;
mod client;
mod counters;
mod dial;
mod own;
pub mod server;
mod sink;

use std::hash::{BuildHasher, RandomState};

pub use client::{Backend, BackendError};
pub use own::{OwnClient, OwnClients};
pub use sink::{Exporter, OpenConnection, Sink};

/// A number that nobody can tell beforehand: the keys of the standard library's hashes come from the
/// system's source of randomness.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
