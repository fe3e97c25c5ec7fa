//! The names on the wire. They stand in docs/server.md, and stay.

/// `service.name` of what agents tell.
pub(crate) const SERVICE: &str = "alaz-agent";
pub(crate) const SCOPE: &str = "alaz";

pub(crate) mod resource {
    pub(crate) const SERVICE_NAME: &str = "service.name";
    pub(crate) const SERVICE_VERSION: &str = "service.version";
    pub(crate) const INSTANCE: &str = "service.instance.id";
    pub(crate) const HOST_NAME: &str = "host.name";
    pub(crate) const HOST_IP: &str = "host.ip";
}

pub(crate) mod metric {
    pub(crate) const UP: &str = "alaz.agent.up";
    pub(crate) const NODE: &str = "alaz.node.info";
    pub(crate) const OVERFLOW: &str = "alaz.overflow.exchanges";
    pub(crate) const OVERFLOW_EDGES: &str = "alaz.overflow.edges";
    pub(crate) const EXCHANGES: &str = "alaz.exchanges";
    pub(crate) const ERRORS: &str = "alaz.exchange.errors";
    pub(crate) const REQUEST_BYTES: &str = "alaz.exchange.request.size";
    pub(crate) const RESPONSE_BYTES: &str = "alaz.exchange.response.size";
    pub(crate) const DURATION: &str = "alaz.exchange.duration";
    pub(crate) const SERVER_DURATION: &str = "alaz.exchange.server.duration";
    pub(crate) const OPERATIONS: &str = "alaz.operation.exchanges";
    pub(crate) const OPERATION_ERRORS: &str = "alaz.operation.errors";
    pub(crate) const OPERATION_MESSAGES: &str = "alaz.operation.messages";
    pub(crate) const OPERATION_DURATION: &str = "alaz.operation.duration";
    pub(crate) const OPERATIONS_OVERFLOW: &str = "alaz.operation.overflow";
    pub(crate) const CLOSED: &str = "alaz.connections.closed";
    pub(crate) const OPENED: &str = "alaz.connections.opened";
    pub(crate) const FAILED: &str = "alaz.connections.failed";
    pub(crate) const RESETS: &str = "alaz.connections.reset";
    pub(crate) const BROKEN: &str = "alaz.connections.broken";
    pub(crate) const RETRANSMITS: &str = "alaz.connections.retransmits";
    pub(crate) const SENT_BYTES: &str = "alaz.connections.sent";
    pub(crate) const RECEIVED_BYTES: &str = "alaz.connections.received";
    pub(crate) const HANDSHAKE: &str = "alaz.connections.handshake";
    pub(crate) const ROUND_TRIP: &str = "alaz.connections.round_trip";
    pub(crate) const LEAST_ROUND_TRIP: &str = "alaz.connections.least_round_trip";
}

pub(crate) mod attribute {
    pub(crate) const PROTOCOL: &str = "alaz.protocol";
    pub(crate) const SEEN_BY: &str = "alaz.seen_by";
    pub(crate) const SERVER_PORT: &str = "server.port";
    pub(crate) const STATUS: &str = "alaz.status";
    pub(crate) const ERROR_TYPE: &str = "error.type";
    pub(crate) const METHOD: &str = "alaz.method";
    pub(crate) const ROUTE: &str = "alaz.route";
    pub(crate) const DATABASE: &str = "db.namespace";
    pub(crate) const RESET_BY: &str = "alaz.reset_by";
    pub(crate) const KIND: &str = "alaz.kind";
    pub(crate) const NAMESPACE: &str = "alaz.namespace";
    pub(crate) const NAME: &str = "alaz.name";
    pub(crate) const CONTAINER: &str = "container.id";
    pub(crate) const EXECUTABLE: &str = "process.executable.path";
    pub(crate) const PIDS: &str = "alaz.pids";
    pub(crate) const TLS: &str = "alaz.tls";
    pub(crate) const TARGET: &str = "alaz.target";
    pub(crate) const OUTCOME: &str = "alaz.outcome";
    pub(crate) const ERROR: &str = "alaz.error";
    pub(crate) const REQUEST_BYTES: &str = "alaz.request.size";
    pub(crate) const RESPONSE_BYTES: &str = "alaz.response.size";
    pub(crate) const LATENCY: &str = "alaz.latency";
    pub(crate) const TTFB: &str = "alaz.time_to_first_byte";
    pub(crate) const SERVER_LATENCY: &str = "alaz.server.latency";
}

/// What is told of each of the two ends, on edges and on spans.
pub(crate) struct End {
    pub(crate) kind: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
    pub(crate) port: &'static str,
    pub(crate) pid: &'static str,
    pub(crate) process: &'static str,
    pub(crate) container: &'static str,
    pub(crate) pod: &'static str,
}

pub(crate) const CLIENT: End = End {
    kind: "alaz.client.kind",
    namespace: "alaz.client.namespace",
    name: "alaz.client.name",
    address: "alaz.client.address",
    port: "alaz.client.port",
    pid: "alaz.client.pid",
    process: "alaz.client.process",
    container: "alaz.client.container",
    pod: "alaz.client.pod",
};

pub(crate) const SERVER: End = End {
    kind: "alaz.server.kind",
    namespace: "alaz.server.namespace",
    name: "alaz.server.name",
    address: "alaz.server.address",
    port: attribute::SERVER_PORT,
    pid: "alaz.server.pid",
    process: "alaz.server.process",
    container: "alaz.server.container",
    pod: "alaz.server.pod",
};
