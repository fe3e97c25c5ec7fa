//! The last hour in memory, the API and the UI over it.
//!
//! In: exchanges and the ledger, through a [`Feed`] held by the thread that captures. Out: the pages
//! that docs/api.md describes, and the UI. Knows nothing of the kernel, and nothing of how exchanges
//! are found.
//!
//! - [`Live`] is what both sides share; [`Store`] in it is the hour, [`Server`] the listener.
//! - [`Map`] can also be made without any server, of a [`Store`] that something else fills.
//!
//! Memory is bounded: 32 MiB of history ([`MOST_BYTES`]), [`MOST_EXCHANGES`] of about a kilobyte
//! each, and what the recorder's limits allow. Nothing
//! of it is taken before it is needed.

#![forbid(unsafe_code)]

mod api;
mod filter;
mod follow;
mod gather;
mod guard;
mod ingest;
mod layout;
mod live;
mod process;
mod recent;
mod serve;
mod store;
#[cfg(test)]
mod testing;
mod ui;

pub use api::{Map, MapConnections, MapEdge, MapFilter, MapNode, MapOverflow};
pub use filter::{ExchangeFilter, parse_duration};
pub use gather::{AgentState, GatherCounters, GatherState};
pub use guard::Hosts;
pub use ingest::Ingest;
pub use live::{ClusterState, Feed, Live, Tell};
pub use process::OwnProcess;
pub use recent::MOST_EXCHANGES;
pub use serve::{Pages, Server};
pub use store::{MOST_BYTES, Period, Store};
