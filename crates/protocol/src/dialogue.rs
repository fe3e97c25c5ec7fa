//! What every protocol implements: reading what two sides say on one connection.

use std::net::SocketAddr;
use std::sync::Arc;

use alaz_model::{
    CloseReason, ConnectionKey, ExchangeLedger, Message, Position, Protocol, Role, TlsHandshake,
    UnpairedReason, View,
};

use crate::kafka::TopicNames;
use crate::limits::Limits;
use crate::stream::{Input, Origin, Step};

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The side that opened the connection.
    Client,
    /// The side that was connected to.
    Server,
}

/// What does not change while a connection lasts, once its role is known.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) key: ConnectionKey,
    pub(crate) role: Role,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) network_namespace: u32,
    /// Of what is said inside TLS: how that began.
    pub(crate) tls: Option<Arc<TlsHandshake>>,
}

/// Where a dialogue puts what it finds.
pub(crate) struct Context<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) views: &'a mut Vec<View>,
    pub(crate) exchanges: &'a mut ExchangeLedger,
    /// Names of Kafka's topics, as any connection was heard to tell them.
    pub(crate) topics: &'a mut TopicNames,
    pub(crate) limits: &'a Limits,
}

/// One exchange, as a dialogue tells it; what it shares with all others of its connection is added.
pub(crate) struct Told {
    pub(crate) request_position: Position,
    pub(crate) response_position: Option<Position>,
    /// First byte of the request.
    pub(crate) started_ns: u64,
    /// First byte of the response.
    pub(crate) response_ns: Option<u64>,
    /// Last byte of the response, or the last that was heard.
    pub(crate) ended_ns: u64,
    /// The local process, if the local end is the client.
    pub(crate) client_pid: u32,
    /// The local process, if the local end is the server.
    pub(crate) server_pid: u32,
    pub(crate) message: Message,
}

impl Context<'_> {
    /// Reports an exchange.
    pub(crate) fn tell(&mut self, told: Told) {
        let facts = self.facts;
        let is_server = facts.role == Role::Server;
        let mut message = told.message;
        if let Some(handshake) = &facts.tls {
            message.attributes.extend(handshake.attributes());
        }
        self.views.push(View {
            key: facts.key,
            role: facts.role,
            client: facts.client,
            server: facts.server,
            network_namespace: facts.network_namespace,
            request_position: told.request_position,
            response_position: told.response_position,
            started_ns: told.started_ns,
            response_ns: told.response_ns,
            ended_ns: told.ended_ns,
            pid: if is_server { told.server_pid } else { told.client_pid },
            tls: facts.tls.is_some(),
            message,
        });
    }
}

/// One connection's conversation in one protocol.
///
/// The stream shows each side's bytes in order, each byte until a step has taken it.
pub(crate) trait Dialogue: Send {
    /// What the bytes in front are, and how to go on. `None` when they show that this connection
    /// does not speak this protocol: the verdict is withdrawn.
    fn read(&mut self, side: Side, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step>;

    /// Passing over a body (see [`Step::Read`]) has reached its end, just before `end`.
    fn passed(&mut self, side: Side, end: Position, last: Origin, context: &mut Context<'_>);

    /// Everything up to `end` was read, passed over or ignored.
    fn heard(&mut self, side: Side, end: Position, last: Origin);

    /// Bytes are missing here, and they were not part of a body of known length. What comes next is
    /// anything.
    fn lost(&mut self, side: Side, reason: UnpairedReason, context: &mut Context<'_>);

    /// Whether nothing is given up where bytes that this side says now were not copied: they count
    /// as not needed. [`lost`](Dialogue::lost) tells of them all the same.
    fn can_miss(&self, _side: Side) -> bool {
        false
    }

    /// Everything before `watermark_ns` has been read.
    fn advance(&mut self, watermark_ns: u64, context: &mut Context<'_>);

    /// The connection has ended. What was missing before that has been told of as lost.
    fn close(&mut self, ending: Ending, context: &mut Context<'_>);

    /// These bytes were never this protocol: everything pending is given up.
    fn withdraw(&mut self, context: &mut Context<'_>);

    /// Both sides have agreed on another protocol: who reads on, from the step on that was just
    /// given. It has taken over what is pending.
    fn successor(&mut self) -> Option<Successor> {
        None
    }
}

/// The dialogue that takes the place of another.
pub(crate) struct Successor {
    pub(crate) protocol: Protocol,
    pub(crate) dialogue: Box<dyn Dialogue>,
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) reason: CloseReason,
    /// Nothing of what the server said is missing just before the end.
    pub(crate) is_answer_seen: bool,
}

/// What one protocol says of the first bytes that one side says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Not mine.
    No,
    /// Too few to tell.
    Maybe,
    /// Mine, and this side said them.
    Yes(Side),
}

/// The time of bytes that are missing just before what is being read.
pub(crate) const MISSING_NOW: u64 = u64::MAX;

/// Where a dialogue begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Start {
    /// Something was said before, or may have been.
    pub(crate) mid_stream: bool,
    /// The newest of what the server was heard to say before, if anything.
    pub(crate) server_heard: Origin,
    /// Bytes of the client's were missing before, all of them until then; see [`MISSING_NOW`]. Of what
    /// it said before the connection came into sight this says nothing.
    pub(crate) client_missing_ns: Option<u64>,
}

/// A protocol, as the list of protocols has it.
pub(crate) struct Entry {
    pub(crate) protocol: Protocol,
    /// What must be read stands anywhere in a long call, not only at its ends: several messages go
    /// in one, and bodies between them.
    pub(crate) wants_depth: bool,
    /// Looks at bytes at the beginning of a segment; whether nothing can follow them is the second.
    pub(crate) claim: fn(&[u8], bool) -> Claim,
    /// Begins a dialogue.
    pub(crate) begin: fn(Start) -> Box<dyn Dialogue>,
}

/// Every protocol, in the order in which they are asked.
pub(crate) const PROTOCOLS: &[Entry] = &[
    crate::http2::ENTRY,
    crate::http::ENTRY,
    crate::amqp::ENTRY,
    crate::kafka::ENTRY,
    crate::mongodb::ENTRY,
    crate::dns::ENTRY,
    crate::postgresql::ENTRY,
    crate::mysql::ENTRY,
    crate::redis::ENTRY,
];
