//! The words of Alaz as types: what each stage hands to the next.
//!
//! Nothing here does anything. Capture yields [`Event`]s (connections, [`Segment`]s, process facts);
//! `protocol` turns them into [`View`]s and joins two views of one exchange into an [`Exchange`];
//! `identity` fills in who the two [`Endpoint`]s are; `flow` makes edges of them; every stage
//! accounts for what it could not use in the [`Ledger`].
//!
//! ```
//! use alaz_model::{Direction, Position};
//!
//! // Positions are 64-bit, but their low half is the TCP sequence number, so the two ends of a
//! // connection name the same byte by the same number.
//! let end = Position::from_kernel(0xffff_fff0, 0x10);
//! assert_eq!(end.sequence(), 0xffff_fff0);
//! assert_eq!(Direction::Send.opposite(), Direction::Receive);
//! ```

#![forbid(unsafe_code)]

mod connection;
mod connection_facts;
mod endpoint;
mod event;
mod exchange;
mod export;
mod guard;
mod ledger;
mod time;
mod tls;

pub use connection::{Close, CloseReason, Connection, ConnectionKey, Measures, Refused, Role};
pub use connection_facts::{ConnectFailure, ConnectionEnd, ConnectionFacts};
pub use endpoint::{Container, Endpoint, EndpointKind, Process, Resource};
pub use event::{Event, OptedOut, ProcessExec, ProcessExit, ProcessFork};
pub use exchange::{Attributes, Exchange, Message, ObservedBy, Outcome, Protocol, View};
pub use export::{ExportLedger, ExportLoss, LeftOut};
pub use guard::{GuardState, GuardStep};
pub use ledger::{
    Balance, ConnectionLedger, ExchangeLedger, KernelCount, Ledger, LossReason, Tally,
    UnpairedReason, UntoldConnections, ViewLedger,
};
pub use segment::{Datagram, Direction, Position, Segment, Source};
pub use time::{Clock, UnixNanos};
pub use tls::{CipherSuite, TlsFacts, TlsFailure, TlsHandshake, TlsVersion};

mod segment;
