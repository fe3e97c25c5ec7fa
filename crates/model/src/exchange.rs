//! A request paired with its response: first as one connection saw it, then as one thing.

use std::net::SocketAddr;

use compact_str::CompactString;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::{ConnectionKey, Endpoint, Position, Role, UnixNanos};

/// The application protocol of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1 (RFC 9112).
    Http,
    /// HTTP/2 (RFC 9113).
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// PostgreSQL's frontend/backend protocol, version 3.
    Postgresql,
    /// MySQL's and MariaDB's client/server protocol.
    Mysql,
    /// Redis and Valkey: RESP 2 and 3.
    Redis,
    /// AMQP 0-9-1, RabbitMQ's protocol.
    Amqp,
    /// Apache Kafka's protocol.
    Kafka,
    /// MongoDB's wire protocol.
    Mongodb,
    /// DNS over UDP and TCP.
    Dns,
}

impl Protocol {
    /// Every protocol Alaz understands, in the order of the enumeration.
    pub const ALL: [Protocol; 10] = [
        Protocol::Http,
        Protocol::Http2,
        Protocol::Grpc,
        Protocol::Postgresql,
        Protocol::Mysql,
        Protocol::Redis,
        Protocol::Amqp,
        Protocol::Kafka,
        Protocol::Mongodb,
        Protocol::Dns,
    ];

    /// Its name in JSON, flags and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Http2 => "http2",
            Protocol::Grpc => "grpc",
            Protocol::Postgresql => "postgresql",
            Protocol::Mysql => "mysql",
            Protocol::Redis => "redis",
            Protocol::Amqp => "amqp",
            Protocol::Kafka => "kafka",
            Protocol::Mongodb => "mongodb",
            Protocol::Dns => "dns",
        }
    }

    /// The protocol of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Protocol> {
        Protocol::ALL.iter().copied().find(|protocol| protocol.as_str() == name)
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Request and response were seen whole.
    Complete,
    /// No reply is due.
    OneWay,
    /// The connection ended, or went silent past the limit, without a response.
    NoResponse,
    /// The connection was reset, or ended before the response was whole.
    Reset,
    /// No request was possible: the connection was refused.
    Refused,
    /// Parts were not seen: what is not known is empty.
    Partial,
}

impl Outcome {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::OneWay => "one_way",
            Outcome::NoResponse => "no_response",
            Outcome::Reset => "reset",
            Outcome::Refused => "refused",
            Outcome::Partial => "partial",
        }
    }

    /// Whether the outcome alone makes the exchange an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        matches!(self, Outcome::NoResponse | Outcome::Reset | Outcome::Refused)
    }
}

/// Which ends of the exchange were on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObservedBy {
    /// Only the client's.
    Client,
    /// Only the server's.
    Server,
    /// Both: joined into one exchange.
    Both,
}

impl ObservedBy {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ObservedBy::Client => "client",
            ObservedBy::Server => "server",
            ObservedBy::Both => "both",
        }
    }
}

/// Facts under OpenTelemetry's attribute names. As many as most exchanges have take no allocation.
pub type Attributes = SmallVec<[(&'static str, CompactString); 4]>;

/// What was asked and answered, in the protocol's own terms. Holds no secret: literals,
/// query-string values and credentials are gone before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The protocol spoken.
    pub protocol: Protocol,
    /// HTTP: the method. SQL: the first keyword. Others: the command.
    pub method: CompactString,
    /// HTTP: the request target, redacted. SQL: the statement without literals. Others: what the
    /// command is about.
    pub target: CompactString,
    /// The target with its variable parts replaced, for grouping.
    pub route: CompactString,
    /// HTTP: the status code. Others: `ok` or an error code. Empty when there was no response.
    pub status: CompactString,
    /// The server failed the request (HTTP: status 500 or more, or no whole response).
    pub error: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the request on the wire, head and body.
    pub request_bytes: u64,
    /// Bytes of the response on the wire, head and body.
    pub response_bytes: u64,
    /// Further facts under OpenTelemetry's attribute names.
    pub attributes: Attributes,
}

/// One exchange as one end of its connection saw it.
#[derive(Clone, Debug)]
pub struct View {
    /// The connection it was seen on.
    pub key: ConnectionKey,
    /// The part that the local socket plays: `Client` or `Server`, or `Unknown` where only one
    /// direction gave evidence.
    pub role: Role,
    /// Address of the side that opened the connection.
    pub client: SocketAddr,
    /// Address of the side that was connected to.
    pub server: SocketAddr,
    /// Inode of the network namespace of the local socket.
    pub network_namespace: u32,
    /// Where the request starts in its direction's stream.
    pub request_position: Position,
    /// Where the response starts in its direction's stream, if there was one.
    pub response_position: Option<Position>,
    /// First byte of the request sent (client) or received (server), ns on the monotonic clock.
    pub started_ns: u64,
    /// First byte of the response received (client) or sent (server).
    pub response_ns: Option<u64>,
    /// Last byte of the response, or the moment it was given up.
    pub ended_ns: u64,
    /// The local process that did the I/O.
    pub pid: u32,
    /// Was it read from a TLS library?
    pub tls: bool,
    /// What was said.
    pub message: Message,
}

/// A request and its response, once, whoever saw it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the request's first byte was sent, or received where only the server was seen.
    pub time: UnixNanos,
    /// Spoken under TLS?
    pub tls: bool,
    /// Who opened the connection.
    pub client: Endpoint,
    /// Who was connected to.
    pub server: Endpoint,
    /// What was said.
    pub message: Message,
    /// From the request's first byte to the response's last, ns; seen from the client where it is
    /// on this host, else from the server. `None` without a response.
    pub latency_ns: Option<u64>,
    /// From the request's first byte to the response's first, ns, seen from the same side.
    pub ttfb_ns: Option<u64>,
    /// Latency as seen from the server, ns, when it is on this host.
    pub server_latency_ns: Option<u64>,
    /// Which ends were on this host.
    pub observed_by: ObservedBy,
}

/// Attributes as one JSON object.
struct AttributeMap<'a>(&'a [(&'static str, CompactString)]);

impl Serialize for AttributeMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Exchange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = &self.message;
        let mut out = serializer.serialize_struct("Exchange", 18)?;
        out.serialize_field("time", &self.time)?;
        out.serialize_field("protocol", message.protocol.as_str())?;
        out.serialize_field("tls", &self.tls)?;
        out.serialize_field("client", &self.client)?;
        out.serialize_field("server", &self.server)?;
        out.serialize_field("method", &message.method)?;
        out.serialize_field("target", &message.target)?;
        out.serialize_field("route", &message.route)?;
        out.serialize_field("status", &message.status)?;
        out.serialize_field("error", &message.error)?;
        out.serialize_field("outcome", message.outcome.as_str())?;
        out.serialize_field("latency_ns", &self.latency_ns)?;
        out.serialize_field("ttfb_ns", &self.ttfb_ns)?;
        out.serialize_field("server_latency_ns", &self.server_latency_ns)?;
        out.serialize_field("request_bytes", &message.request_bytes)?;
        out.serialize_field("response_bytes", &message.response_bytes)?;
        out.serialize_field("observed_by", self.observed_by.as_str())?;
        out.serialize_field("attributes", &AttributeMap(&message.attributes))?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointKind, Process};
    use std::sync::Arc;

    #[test]
    fn json_has_the_names_others_rely_on() {
        let exchange = Exchange {
            time: UnixNanos(1_795_464_000_000_000_001),
            tls: false,
            client: Endpoint {
                address: "127.0.0.1:51514".parse().unwrap(),
                pid: 4242,
                process: Some(Arc::new(Process {
                    pid: 4242,
                    name: "curl".into(),
                    workload: "curl".into(),
                    kind: EndpointKind::Process,
                    ..Process::default()
                })),
                resource: None,
            },
            server: Endpoint::at("10.0.0.9:80".parse().unwrap()),
            message: Message {
                protocol: Protocol::Http,
                method: "GET".into(),
                target: "/users/42?id=?".into(),
                route: "/users/{id}".into(),
                status: "200".into(),
                error: false,
                outcome: Outcome::Complete,
                request_bytes: 78,
                response_bytes: 612,
                attributes: [("http.request.method", "GET".into())].into_iter().collect(),
            },
            latency_ns: Some(812_345),
            ttfb_ns: Some(790_100),
            server_latency_ns: None,
            observed_by: ObservedBy::Client,
        };
        let json = serde_json::to_value(&exchange).unwrap();
        let expected = serde_json::json!({
            "time": "2026-11-23T20:00:00.000000001Z", "protocol": "http", "tls": false,
            "client": {"ip": "127.0.0.1", "port": 51514, "pid": 4242, "process": "curl", "container": "",
                       "pod": "", "namespace": "", "workload": "curl", "kind": "process"},
            "server": {"ip": "10.0.0.9", "port": 80, "pid": 0, "process": "", "container": "",
                       "pod": "", "namespace": "", "workload": "10.0.0.9", "kind": "outbound"},
            "method": "GET", "target": "/users/42?id=?", "route": "/users/{id}", "status": "200",
            "error": false, "outcome": "complete",
            "latency_ns": 812_345, "ttfb_ns": 790_100, "server_latency_ns": null,
            "request_bytes": 78, "response_bytes": 612, "observed_by": "client",
            "attributes": {"http.request.method": "GET"}
        });
        assert_eq!(json, expected);
    }
}
