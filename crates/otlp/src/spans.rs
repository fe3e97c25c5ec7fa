//! Sampled exchanges as spans, one each: they have no parent, and nobody else knows their ids.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use alaz_model::{
    Container, Endpoint, EndpointKind, Exchange, Message, ObservedBy, Outcome, Process, Protocol,
    Resource, UnixNanos,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::attributes::{Attributes, Given, read_agent, scope, write_agent};
use crate::names::{CLIENT, End, SERVER, attribute};
use crate::{Agent, DecodeError};

/// Spans in one message: a few kilobytes each at most.
const MOST_SPANS: usize = 512;
/// Names of attributes of protocols that are known at once; further ones are passed over.
const MOST_NAMES: usize = 512;

/// Exchanges, in messages of bounded size. `number` makes the ids: no other message of this agent has it.
#[must_use]
pub fn encode_spans(
    agent: &Agent,
    exchanges: &[Arc<Exchange>],
    number: u64,
) -> Vec<ExportTraceServiceRequest> {
    let instance = u64::from_str_radix(&agent.instance, 16).unwrap_or_default();
    let message = |(chunk, exchanges): (usize, &[Arc<Exchange>])| {
        let span = |(place, exchange): (usize, &Arc<Exchange>)| {
            // An id of zeroes is none, so from 1 on.
            let place = (chunk * MOST_SPANS + place) as u64 + 1;
            write(exchange, instance, number.wrapping_mul(1 << 24).wrapping_add(place))
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(write_agent(agent)),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans: exchanges.iter().enumerate().map(span).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    };
    exchanges.chunks(MOST_SPANS).enumerate().map(message).collect()
}

fn write(exchange: &Exchange, instance: u64, number: u64) -> Span {
    let message = &exchange.message;
    let mut attributes = Attributes::default();
    attributes.text(attribute::PROTOCOL, message.protocol.as_str());
    attributes.text(attribute::SEEN_BY, exchange.observed_by.as_str());
    attributes.flag(attribute::TLS, exchange.tls);
    write_end(&mut attributes, &CLIENT, &exchange.client);
    write_end(&mut attributes, &SERVER, &exchange.server);
    attributes.text(attribute::METHOD, &message.method);
    attributes.text(attribute::TARGET, &message.target);
    attributes.text(attribute::ROUTE, &message.route);
    attributes.text(attribute::STATUS, &message.status);
    attributes.flag(attribute::ERROR, message.error);
    attributes.text(attribute::OUTCOME, message.outcome.as_str());
    attributes.number(attribute::REQUEST_BYTES, message.request_bytes);
    attributes.number(attribute::RESPONSE_BYTES, message.response_bytes);
    for (key, time_ns) in [
        (attribute::LATENCY, exchange.latency_ns),
        (attribute::TTFB, exchange.ttfb_ns),
        (attribute::SERVER_LATENCY, exchange.server_latency_ns),
    ] {
        if let Some(time_ns) = time_ns {
            attributes.number(key, time_ns);
        }
    }
    for (key, value) in &message.attributes {
        attributes.text(key, value);
    }
    let kind = match exchange.observed_by {
        ObservedBy::Server => SpanKind::Server,
        ObservedBy::Client | ObservedBy::Both => SpanKind::Client,
    };
    let code = if message.error { StatusCode::Error } else { StatusCode::Unset };
    let name = [message.method.as_str(), &message.route].map(str::trim);
    Span {
        trace_id: [instance.to_be_bytes(), number.to_be_bytes()].concat(),
        span_id: number.to_be_bytes().to_vec(),
        name: name.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
        kind: kind.into(),
        start_time_unix_nano: exchange.time.0,
        end_time_unix_nano: exchange.time.0.saturating_add(exchange.latency_ns.unwrap_or(0)),
        attributes: attributes.0,
        status: Some(Status { code: code.into(), ..Status::default() }),
        ..Span::default()
    }
}

fn write_end(attributes: &mut Attributes, names: &End, endpoint: &Endpoint) {
    let process = endpoint.process.as_deref();
    attributes.text(names.address, &endpoint.address.ip().to_string());
    attributes.number(names.port, endpoint.address.port().into());
    attributes.number(names.pid, endpoint.pid.into());
    attributes.text(names.kind, endpoint.kind().as_str());
    attributes.text(names.name, &endpoint.workload());
    attributes.text(names.namespace, endpoint.namespace());
    attributes.text(names.pod, endpoint.pod());
    attributes.text(names.process, process.map_or("", |process| &process.name));
    let container = process.and_then(|process| process.container.as_ref());
    attributes.text(names.container, container.map_or("", |container| &container.id));
}

/// What [`encode_spans`] wrote.
///
/// # Errors
/// When it is something else.
pub fn decode_spans(
    message: &ExportTraceServiceRequest,
) -> Result<(Agent, Vec<Exchange>), DecodeError> {
    let [of_agent] = message.resource_spans.as_slice() else {
        return Err(DecodeError("there is not one resource".to_owned()));
    };
    let agent = read_agent(of_agent.resource.as_ref())?;
    let spans = of_agent.scope_spans.iter().flat_map(|scope| &scope.spans);
    Ok((agent, spans.map(read).collect::<Result<_, _>>()?))
}

fn read(span: &Span) -> Result<Exchange, DecodeError> {
    let given = Given(&span.attributes);
    let wrong = |what: &str, text: &str| DecodeError(format!("{what} '{text}'"));
    let protocol = given.text(attribute::PROTOCOL)?;
    let protocol =
        Protocol::from_name(protocol).ok_or_else(|| wrong("a span of the protocol", protocol))?;
    let observed_by = match given.text(attribute::SEEN_BY)? {
        "both" => ObservedBy::Both,
        "client" => ObservedBy::Client,
        "server" => ObservedBy::Server,
        other => return Err(wrong("a span seen by", other)),
    };
    let outcomes = [
        Outcome::Complete,
        Outcome::OneWay,
        Outcome::NoResponse,
        Outcome::Reset,
        Outcome::Refused,
        Outcome::Partial,
    ];
    let outcome = given.text(attribute::OUTCOME)?;
    let outcome = outcomes.into_iter().find(|known| known.as_str() == outcome);
    let text = |key| given.text(key).map(Into::into);
    let count = |key| given.number(key).map(Option::unwrap_or_default);
    Ok(Exchange {
        time: UnixNanos(span.start_time_unix_nano.min(u64::MAX / 2)),
        tls: given.flag(attribute::TLS),
        client: read_end(given, &CLIENT)?,
        server: read_end(given, &SERVER)?,
        message: Message {
            protocol,
            method: text(attribute::METHOD)?,
            target: text(attribute::TARGET)?,
            route: text(attribute::ROUTE)?,
            status: text(attribute::STATUS)?,
            error: given.flag(attribute::ERROR),
            outcome: outcome.unwrap_or(Outcome::Partial),
            request_bytes: count(attribute::REQUEST_BYTES)?,
            response_bytes: count(attribute::RESPONSE_BYTES)?,
            attributes: span.attributes.iter().filter_map(of_protocol).collect(),
        },
        latency_ns: given.number(attribute::LATENCY)?,
        ttfb_ns: given.number(attribute::TTFB)?,
        server_latency_ns: given.number(attribute::SERVER_LATENCY)?,
        observed_by,
    })
}

fn read_end(given: Given<'_>, names: &End) -> Result<Endpoint, DecodeError> {
    let missing = || DecodeError(format!("a span without {}", names.address));
    let ip = given.address(names.address)?.ok_or_else(missing)?;
    let address = SocketAddr::new(ip, given.port(names.port)?);
    let pid = given.number(names.pid)?.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    let kind = given.kind(names.kind)?;
    let workload = given.text(names.name)?;
    let container = given.text(names.container)?;
    let is_process = matches!(kind, EndpointKind::Process | EndpointKind::Container);
    let name = given.text(names.process)?;
    let process = (is_process || !name.is_empty() || !container.is_empty()).then(|| {
        Arc::new(Process {
            pid,
            name: name.into(),
            workload: workload.into(),
            kind: if is_process { kind } else { EndpointKind::Process },
            container: (!container.is_empty())
                .then(|| Container { id: container.into(), ..Container::default() }),
            ..Process::default()
        })
    });
    let pod = given.text(names.pod)?;
    let is_resource = !is_process && kind != EndpointKind::Outbound;
    let namespace = given.text(names.namespace)?;
    let resource = is_resource.then(|| {
        Arc::new(Resource {
            kind,
            namespace: namespace.into(),
            name: if pod.is_empty() { workload } else { pod }.into(),
            workload: workload.into(),
            ..Resource::default()
        })
    });
    Ok(Endpoint { address, pid, process, resource })
}

/// What a protocol told beyond what every exchange has.
fn of_protocol(pair: &KeyValue) -> Option<(&'static str, compact_str::CompactString)> {
    let Some(Value::StringValue(value)) = pair.value.as_ref()?.value.as_ref() else { return None };
    if OURS.iter().any(|ours| *ours == pair.key) {
        return None;
    }
    Some((lasting(&pair.key)?, value.as_str().into()))
}

/// Attributes of text that every span has.
const OURS: [&str; 21] = [
    attribute::PROTOCOL,
    attribute::SEEN_BY,
    attribute::METHOD,
    attribute::TARGET,
    attribute::ROUTE,
    attribute::STATUS,
    attribute::OUTCOME,
    CLIENT.address,
    CLIENT.kind,
    CLIENT.name,
    CLIENT.namespace,
    CLIENT.pod,
    CLIENT.process,
    CLIENT.container,
    SERVER.address,
    SERVER.kind,
    SERVER.name,
    SERVER.namespace,
    SERVER.pod,
    SERVER.process,
    SERVER.container,
];

/// The name of an attribute, which lives as long as the program: protocols have a few dozen of them.
fn lasting(name: &str) -> Option<&'static str> {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Default::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if names.len() >= MOST_NAMES || name.len() > 128 {
        return None;
    }
    let lasting: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(lasting);
    Some(lasting)
}
