//! The calls: gRPC, gzip, one at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use hyper::Uri;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::queue::{Message, Queue, Take, Verdict};
use super::{Limits, Say, StartError};
use crate::client::Backend;
use crate::counters::Counters;
use crate::dial::Dialer;
use crate::own::OwnClients;

const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const SPANS: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Between two words on rows that are lost.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// The queue, and the call that is under way.
pub(super) struct Delivery {
    wire: Wire,
    limits: Limits,
    queue: Queue,
    call: Option<(Message, Answer)>,
    say: Say,
    said_lost: Option<Instant>,
    /// Why the server takes nothing at present, as it was said.
    said_failure: Option<String>,
}

/// The rows that do not count and why, or what went wrong.
type Answer = Pin<Box<dyn Future<Output = Result<(u64, String), Status>> + Send>>;

/// The way to the server.
#[derive(Clone)]
pub(super) struct Wire {
    server: Backend,
    own: OwnClients,
    token: Option<MetadataValue<Ascii>>,
    limits: Limits,
    channel: Option<Channel>,
}

impl Wire {
    pub(super) fn new(
        server: Backend,
        token: Option<String>,
        own: OwnClients,
        limits: Limits,
    ) -> Result<Wire, StartError> {
        let bearer = |token: String| {
            let mut value: MetadataValue<Ascii> =
                format!("Bearer {token}").parse().map_err(|_| StartError::Token)?;
            value.set_sensitive(true);
            Ok::<_, StartError>(value)
        };
        let token = token.map(bearer).transpose()?;
        Ok(Wire { server, own, token, limits, channel: None })
    }

    /// Opened when it is used first, and again when it broke.
    fn channel(&mut self) -> Result<Channel, Status> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let broken = |error: String| Status::internal(error);
        let dialer = Dialer::new(self.server.clone(), self.own.clone(), "h2")
            .map_err(|error| broken(error.to_string()))?;
        let endpoint = Endpoint::from_shared(self.server.to_string())
            .map_err(|error| broken(error.to_string()))?
            .keep_alive_while_idle(true)
            .http2_keep_alive_interval(Duration::from_secs(20));
        let connector = tower::service_fn(move |_: Uri| {
            let dialer = dialer.clone();
            async move { dialer.dial().await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector_lazy(connector);
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    fn call(&mut self, message: &Message) -> Answer {
        let channel = self.channel();
        let (message, token, limits) = (message.clone(), self.token.clone(), self.limits);
        Box::pin(async move {
            let call = call(channel?, message, token);
            match tokio::time::timeout(limits.attempt_timeout, call).await {
                Ok(answer) => answer,
                Err(_) => Err(Status::deadline_exceeded("no answer in time")),
            }
        })
    }
}

async fn call(
    channel: Channel,
    message: Message,
    token: Option<MetadataValue<Ascii>>,
) -> Result<(u64, String), Status> {
    let mut grpc = Grpc::new(channel)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    grpc.ready().await.map_err(|error| Status::unavailable(causes(&error)))?;
    let mut request = Request::new(message.body);
    let headers = request.metadata_mut();
    if let Some(token) = token {
        headers.insert("authorization", token);
    }
    headers.insert(alaz_otlp::SEQUENCE, message.number.into());
    if !message.period.is_empty() {
        headers.insert(alaz_otlp::PERIOD, MetadataValue::from_static(message.period));
    }
    let answer = grpc.unary(request, PathAndQuery::from_static(message.path), AsItIs).await?;
    if message.path != METRICS {
        return Ok((0, String::new()));
    }
    let answer = ExportMetricsServiceResponse::decode(answer.into_inner()).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    let is_rejected = partial.rejected_data_points > 0;
    let rejected = if is_rejected { message.rows } else { 0 };
    Ok((rejected, partial.error_message))
}

/// An error with what caused it: the first of them alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

impl Delivery {
    pub(super) fn new(wire: Wire, limits: Limits, counters: Arc<Counters>, say: Say) -> Delivery {
        let queue = Queue::new(limits, counters);
        Delivery { wire, limits, queue, call: None, say, said_lost: None, said_failure: None }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn push_metrics(
        &mut self,
        number: u64,
        period: &'static str,
        message: &ExportMetricsServiceRequest,
        rows: u64,
    ) {
        self.push(number, METRICS, period, message.encode_to_vec(), rows);
    }

    pub(super) fn push_spans(&mut self, number: u64, message: &ExportTraceServiceRequest) {
        self.push(number, SPANS, "", message.encode_to_vec(), 0);
    }

    fn push(
        &mut self,
        number: u64,
        path: &'static str,
        period: &'static str,
        body: Vec<u8>,
        rows: u64,
    ) {
        let made = Instant::now();
        self.queue.push(Message { number, path, period, body: body.into(), rows, made });
    }

    /// Does what is to be done next, if anything is. May be given up at any time and asked again.
    pub(super) async fn go_on(&mut self) {
        if self.call.is_none() {
            match self.queue.take(Instant::now()) {
                Take::Message(message) => {
                    let answer = self.wire.call(&message);
                    self.call = Some((message, answer));
                }
                Take::Wait(Some(until)) => return tokio::time::sleep_until(until.into()).await,
                Take::Wait(None) => return std::future::pending().await,
            }
        }
        let Some((_, answer)) = &mut self.call else { return };
        let answer = answer.await;
        if let Some((message, _)) = self.call.take() {
            self.settle(message, answer);
        }
    }

    /// Sends what is left.
    pub(super) async fn finish(&mut self) {
        while self.call.is_some() || !self.queue.is_empty() {
            self.go_on().await;
        }
    }

    /// Loses what is left.
    pub(super) fn give_up(&mut self) {
        if let Some((message, _)) = self.call.take() {
            self.queue.settle(message, Verdict::Unavailable, Instant::now());
        }
        let lost = self.queue.give_up();
        if lost > 0 {
            (self.say)(&format!("{lost} exchanges and connections could not be sent any more"));
        }
    }

    fn settle(&mut self, message: Message, answer: Result<(u64, String), Status>) {
        let (verdict, said) = match answer {
            Ok((rejected, said)) => (Verdict::Arrived { rejected }, said),
            Err(status) => (verdict(&status), said(&status)),
        };
        let was_failing = self.queue.is_failing();
        self.queue.settle(message, verdict, Instant::now());
        match verdict {
            Verdict::Arrived { .. } | Verdict::Rejected => {
                if was_failing {
                    self.said_failure = None;
                    (self.say)("the server takes what is seen again");
                }
                if !said.is_empty() {
                    self.say_lost(&format!("the server rejects what is seen: {said}"));
                }
            }
            Verdict::Unavailable => {
                if self.said_failure.as_ref() != Some(&said) {
                    (self.say)(&format!("the server takes nothing, it waits here: {said}"));
                    self.said_failure = Some(said);
                }
            }
        }
    }

    fn say_lost(&mut self, said: &str) {
        if self.said_lost.is_none_or(|last| last.elapsed() >= SAY_AGAIN) {
            self.said_lost = Some(Instant::now());
            (self.say)(said);
        }
    }
}

/// The codes that OTLP calls worth a retry, and a wrong token, which somebody may put right.
fn verdict(status: &Status) -> Verdict {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unimplemented => Verdict::Rejected,
        _ => Verdict::Unavailable,
    }
}

fn said(status: &Status) -> String {
    match status.message() {
        "" => format!("gRPC status {:?}", status.code()),
        message => message.to_owned(),
    }
}

/// Messages are encoded when they are queued, which bounds what waits; here they go as they are.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs;

impl Codec for AsItIs {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = AsItIs;
    type Decoder = AsItIs;

    fn encoder(&mut self) -> AsItIs {
        AsItIs
    }

    fn decoder(&mut self) -> AsItIs {
        AsItIs
    }
}

impl Encoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
