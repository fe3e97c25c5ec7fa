//! From bytes to exchanges: order, meaning, pairing.
//!
//! In: connections and their [`Segment`](alaz_model::Segment)s, as capture saw them. Out: exchanges,
//! and a [`Ledger`](alaz_model::Ledger) of what became of every segment and byte. This crate does no
//! I/O, reads no clock and does not know where the bytes come from.
//!
//! ```text
//! segments ─► stream (order, gaps) ─► verdict ─► dialogue of a protocol ─► views ─► join ─► exchanges
//! ```
//!
//! * [`Engine`] holds a connection's two streams, decides what it speaks, and hands the bytes to that
//!   protocol's dialogue, which pairs requests with responses into [`View`](alaz_model::View)s.
//! * [`Join`] makes one [`Exchange`](alaz_model::Exchange) of the two views that the two ends of a
//!   connection on this host have.
//! * [`Datagrams`] takes what comes over UDP instead, and gives exchanges at once: datagrams have no
//!   connection and no order.
//!
//! What must hold, whatever comes in: a longer input never takes back a fact; nothing is paired
//! across bytes that were not seen, unless their length proves that it does not matter; no input
//! makes it panic, loop, or take more memory than [`Limits`] say.
//!
//! ```
//! use alaz_model::{Clock, Connection, ConnectionKey, Direction, Position, Role, Segment, Source};
//! use alaz_protocol::{Engine, Join, JoinLimits, Limits};
//!
//! let key = ConnectionKey { socket: 1, generation: 1 };
//! let mut engine = Engine::new(Limits::default());
//! let mut views = Vec::new();
//! let opened = Connection {
//!     key,
//!     local: "10.0.0.5:51514".parse()?,
//!     remote: "10.0.0.9:80".parse()?,
//!     network_namespace: 1,
//!     role: Role::Client,
//!     send: Some(Position(1)),
//!     receive: Some(Position(1)),
//!     time_ns: 0,
//!     mid_stream: false,
//! };
//! engine.open(&opened, &mut views);
//! let mut say = |direction, at, time_ns, text: &str| {
//!     engine.segment(
//!         &Segment {
//!             key,
//!             direction,
//!             position: Position(at),
//!             length: text.len() as u32,
//!             head: text.as_bytes(),
//!             tail: &[],
//!             started_ns: time_ns,
//!             ended_ns: time_ns,
//!             pid: 4242,
//!             tid: 4242,
//!             source: Source::Socket,
//!         },
//!         &mut views,
//!     );
//! };
//! say(Direction::Send, 1, 1_000, "GET /users/42?id=7 HTTP/1.1\r\nHost: api\r\n\r\n");
//! say(Direction::Receive, 1, 5_000, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
//!
//! let mut join = Join::new(JoinLimits::default());
//! let mut exchanges = Vec::new();
//! for view in views {
//!     join.view(view, &Clock::default(), &mut exchanges);
//! }
//! join.finish(&Clock::default(), &mut exchanges);
//! let exchange = &exchanges[0];
//! assert_eq!(exchange.message.target, "/users/42?id=?");
//! assert_eq!(exchange.message.route, "/users/{id}");
//! assert_eq!((exchange.message.status.as_str(), exchange.latency_ns), ("200", Some(4_000)));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

#![forbid(unsafe_code)]

mod amqp;
mod connection;
mod dialogue;
mod dns;
mod engine;
mod http;
mod http2;
mod join;
mod kafka;
mod limits;
mod mongodb;
mod mysql;
mod numbered;
mod pattern;
mod postgresql;
mod redis;
mod remembered;
mod sql;
mod stream;
#[cfg(test)]
mod testing;
mod tls;

pub use dns::{DatagramLimits, Datagrams};
pub use engine::{Engine, Wish};
pub use join::{Join, JoinLimits};
pub use limits::Limits;
