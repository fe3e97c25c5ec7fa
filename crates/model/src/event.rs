//! What capture yields, in the order in which it happened.

use crate::{Close, Connection, ConnectionKey, Datagram, Measures, Refused, Segment};

/// A program started in a process (`execve` succeeded).
#[derive(Clone, Copy, Debug)]
pub struct ProcessExec<'a> {
    /// The process, in the initial pid namespace.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// When, ns on the monotonic clock.
    pub time_ns: u64,
    /// The kernel's short name of it (at most 15 bytes).
    pub comm: &'a [u8],
    /// Path that was executed, as given to `execve`; may be cut.
    pub filename: &'a [u8],
    /// The first bytes of the arguments, NUL-separated; may be cut.
    pub arguments: &'a [u8],
    /// Its environment opts it out: nothing is to be told of what it says.
    pub opted_out: bool,
}

/// A process was born of another, whose program it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessFork {
    /// The process, in the initial pid namespace.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// When, ns on the monotonic clock.
    pub time_ns: u64,
}

/// A process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessExit {
    /// The process, in the initial pid namespace.
    pub pid: u32,
    /// When, ns on the monotonic clock.
    pub time_ns: u64,
}

/// A process that was opted out uses a connection: nothing more is told of it, nor how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptedOut {
    /// The connection.
    pub key: ConnectionKey,
    /// When, ns on the monotonic clock.
    pub time_ns: u64,
}

/// One thing that the kernel side saw.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A connection came into sight.
    Open(Connection),
    /// Bytes moved.
    Segment(Segment<'a>),
    /// A connection ended.
    Close(Close),
    /// What was measured on a connection that ends.
    Measures(Measures),
    /// A connection could not be opened.
    Refused(Refused),
    /// A connection is one of a process that was opted out.
    OptedOut(OptedOut),
    /// A datagram was sent or received.
    Datagram(Datagram<'a>),
    /// A process was born.
    Fork(ProcessFork),
    /// A program started.
    Exec(ProcessExec<'a>),
    /// A process ended.
    Exit(ProcessExit),
}

impl Event<'_> {
    /// When it happened, ns on the monotonic clock.
    #[must_use]
    pub fn time_ns(&self) -> u64 {
        match self {
            Event::Open(connection) => connection.time_ns,
            Event::Segment(segment) => segment.ended_ns,
            Event::Close(close) => close.time_ns,
            Event::Measures(measures) => measures.time_ns,
            Event::Refused(refused) => refused.time_ns,
            Event::OptedOut(opted_out) => opted_out.time_ns,
            Event::Datagram(datagram) => datagram.time_ns,
            Event::Fork(fork) => fork.time_ns,
            Event::Exec(exec) => exec.time_ns,
            Event::Exit(exit) => exit.time_ns,
        }
    }
}
