//! The exporter to `alaz server` against a receiver that does to it what a server may.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is for others")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alaz_export::server::{Limits, ServerExporter, Settings};
use alaz_export::{OwnClients, server::StartError};
use alaz_flow::Recorder;
use alaz_model::{
    Endpoint, Exchange, ExportLedger, ExportLoss, Message, ObservedBy, Outcome, Protocol, UnixNanos,
};
use alaz_otlp::{decode_metrics, decode_spans};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::runtime::Runtime;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

const SECOND_NS: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits {
    queue_bytes: 1 << 20,
    queue_age: Duration::from_secs(300),
    attempt_timeout: Duration::from_secs(5),
    first_rest: Duration::from_millis(20),
    longest_rest: Duration::from_millis(100),
    look_again: Duration::from_secs(10),
    linger: Duration::from_secs(20),
};

/// What the receiver does with a message of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Takes,
    /// It takes the message, and the answer does not arrive.
    Breaks,
    Unavailable,
    Unauthenticated,
    Rejects,
    RejectsPart,
}

#[derive(Debug, Default)]
struct Got {
    /// Number, period and requests of each message of metrics, as often as it came.
    metrics: Vec<(u64, String, u64)>,
    spans: usize,
    tokens: Vec<String>,
    replies: Vec<Reply>,
}

#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Got>>);

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut got = self.0.lock().unwrap();
        let header = |name: &str| {
            let value = request.metadata().get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        let reply = if got.replies.is_empty() { Reply::Takes } else { got.replies.remove(0) };
        got.tokens.push(header("authorization"));
        let (agent, report) = decode_metrics(request.get_ref()).unwrap();
        assert_eq!(agent.host, "host");
        assert_eq!(agent.addresses, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
        if matches!(reply, Reply::Takes | Reply::Breaks | Reply::RejectsPart) {
            let number = header(alaz_otlp::SEQUENCE).parse().unwrap();
            got.metrics.push((number, header(alaz_otlp::PERIOD), report.rows()));
        }
        let partial_success = (reply == Reply::RejectsPart).then(|| ExportMetricsPartialSuccess {
            rejected_data_points: 7,
            error_message: "too late".to_owned(),
        });
        match reply {
            Reply::Takes | Reply::RejectsPart => {
                Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
            }
            Reply::Breaks => Err(Status::internal("the connection broke")),
            Reply::Unavailable => Err(Status::unavailable("busy")),
            Reply::Unauthenticated => Err(Status::unauthenticated("not that token")),
            Reply::Rejects => Err(Status::invalid_argument("no report")),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (_, spans) = decode_spans(request.get_ref()).unwrap();
        self.0.lock().unwrap().spans += spans.len();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    fn listen(&self, address: SocketAddr) -> (Runtime, SocketAddr) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let incoming = {
            let _inside = runtime.enter();
            tonic::transport::server::TcpIncoming::bind(address).unwrap()
        };
        let address = incoming.local_addr().unwrap();
        let gzip = CompressionEncoding::Gzip;
        let server = tonic::transport::Server::builder()
            .add_service(MetricsServiceServer::new(self.clone()).accept_compressed(gzip))
            .add_service(TraceServiceServer::new(self.clone()).accept_compressed(gzip))
            .serve_with_incoming(incoming);
        runtime.spawn(server);
        (runtime, address)
    }

    fn got<T>(&self, look: impl FnOnce(&Got) -> T) -> T {
        look(&self.0.lock().unwrap())
    }

    /// Requests in messages of different numbers.
    fn requests(&self) -> u64 {
        self.got(|got| {
            let mut metrics = got.metrics.clone();
            metrics.sort_unstable();
            metrics.dedup();
            metrics.iter().map(|(_, _, rows)| rows).sum()
        })
    }
}

struct Agent {
    exporter: ServerExporter,
    ledger: Box<dyn Fn() -> ExportLedger>,
    said: Arc<Mutex<Vec<String>>>,
    recorder: Recorder,
    now_ns: u64,
    told: u64,
}

fn start(address: SocketAddr, token: &str, limits: Limits) -> Result<Agent, StartError> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&said);
    let exporter = ServerExporter::start(Settings {
        server: format!("http://{address}").parse().unwrap(),
        token: Some(token.to_owned()),
        host: "host".to_owned(),
        addresses: Box::new(|| vec!["10.0.0.1".parse().unwrap()]),
        own: OwnClients::default(),
        say: Arc::new(move |line| hears.lock().unwrap().push(line.to_owned())),
        limits,
    })?;
    let ledger = Box::new(exporter.ledger());
    let recorder = Recorder::telling_sights(alaz_flow::Limits::default());
    Ok(Agent { exporter, ledger, said, recorder, now_ns: 1_000 * SECOND_NS, told: 0 })
}

impl Agent {
    fn start(address: SocketAddr) -> Agent {
        start(address, "secret", LIMITS).unwrap()
    }

    /// Tells of a second with so many requests.
    fn second(&mut self, requests: u64) {
        (0..requests).for_each(|_| drop(self.recorder.record(&exchange())));
        let start = UnixNanos(self.now_ns);
        self.now_ns += SECOND_NS;
        self.told += requests;
        let (end, exporter) = (UnixNanos(self.now_ns), &self.exporter);
        self.recorder.cut(end, |slice| exporter.tell(slice, start, end));
    }

    fn has_said(&self, words: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(words))
    }

    fn finish(self) -> ExportLedger {
        drop(self.exporter);
        (self.ledger)()
    }
}

fn exchange() -> Exchange {
    Exchange {
        time: UnixNanos(1_726_300_000_123_000_000),
        tls: false,
        client: Endpoint::at(([10, 42, 0, 15], 51_514).into()),
        server: Endpoint::at(([10, 43, 12, 8], 8080).into()),
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: "/item/7".into(),
            route: "/item/{id}".into(),
            status: "200".into(),
            error: false,
            outcome: Outcome::Complete,
            request_bytes: 78,
            response_bytes: 612,
            attributes: Default::default(),
        },
        latency_ns: Some(4_210_345),
        ttfb_ns: Some(4_000_000),
        server_latency_ns: None,
        observed_by: ObservedBy::Client,
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn what_is_seen_arrives_in_order_and_the_end_is_told() {
    let receiver = Receiver::default();
    let (_running, address) = receiver.listen(anywhere());
    let mut agent = Agent::start(address);
    for requests in [5, 0, 7] {
        agent.second(requests);
    }
    let ledger = agent.finish();
    assert_eq!((ledger.sent, ledger.queued, ledger.retried), (12, 0, 0));
    receiver.got(|got| {
        let told: Vec<_> =
            got.metrics.iter().map(|(_, period, rows)| (period.as_str(), *rows)).collect();
        assert_eq!(told, [("last", 5), ("last", 0), ("last", 7), ("end", 0)]);
        assert!(got.metrics.is_sorted());
        assert!((2..=12).contains(&got.spans), "{}", got.spans);
        assert!(got.tokens.iter().all(|token| token == "Bearer secret"));
    });
}

#[test]
fn what_may_not_have_arrived_comes_again_under_the_same_number() {
    let receiver = Receiver::default();
    receiver.0.lock().unwrap().replies =
        vec![Reply::Breaks, Reply::Unavailable, Reply::Breaks, Reply::Takes];
    let (_running, address) = receiver.listen(anywhere());
    let mut agent = Agent::start(address);
    agent.second(5);
    wait_until("it has arrived", || (agent.ledger)().sent == 5);
    assert!(agent.has_said("the server takes nothing, it waits here: the connection broke"));
    assert!(agent.has_said("the server takes what is seen again"));
    assert_eq!(receiver.requests(), 5);
    receiver.got(|got| assert_eq!(got.metrics.len(), 3, "{got:?}"));
    assert_eq!(agent.finish().retried, 3);
}

#[test]
fn what_is_seen_while_the_server_is_away_arrives_later() {
    let receiver = Receiver::default();
    let (running, address) = receiver.listen(anywhere());
    let mut agent = Agent::start(address);
    agent.second(3);
    wait_until("it has arrived", || (agent.ledger)().sent == 3);
    running.shutdown_background();
    for _ in 0..5 {
        agent.second(4);
    }
    wait_until("the server is missed", || agent.has_said("the server takes nothing"));
    assert_eq!((agent.ledger)().queued, 20);
    let (_running, _) = receiver.listen(address);
    wait_until("it has arrived", || (agent.ledger)().sent == 23);
    let ledger = agent.finish();
    assert_eq!((ledger.queued, ledger.lost.iter().sum::<u64>()), (0, 0));
    assert_eq!(receiver.requests(), 23);
}

#[test]
fn beyond_the_queue_the_oldest_is_lost_and_counted() {
    let receiver = Receiver::default();
    let (running, address) = receiver.listen(anywhere());
    running.shutdown_background();
    let limits = Limits { queue_bytes: 8 << 10, ..LIMITS };
    let mut agent = start(address, "secret", limits).unwrap();
    for _ in 0..60 {
        agent.second(4);
        wait_until("it is queued or lost", || {
            let ledger = (agent.ledger)();
            ledger.queued + ledger.lost.iter().sum::<u64>() == agent.told
        });
    }
    let lost = |agent: &Agent| (agent.ledger)().lost(ExportLoss::QueueFull);
    wait_until("the bound is met", || lost(&agent) > 100);
    let (_running, _) = receiver.listen(address);
    wait_until("the rest has arrived", || (agent.ledger)().queued == 0);
    let told = agent.told;
    let ledger = agent.finish();
    let lost: u64 = ledger.lost.iter().sum();
    assert_eq!(ledger.sent + lost, told, "{ledger:?}");
    assert_eq!(receiver.requests(), ledger.sent);
    assert!(ledger.sent > 0);
}

#[test]
fn a_wrong_token_is_said_and_waited_for_and_nonsense_is_lost() {
    let receiver = Receiver::default();
    receiver.0.lock().unwrap().replies = vec![
        Reply::Unauthenticated,
        Reply::Unauthenticated,
        Reply::Takes,
        Reply::Rejects,
        Reply::RejectsPart,
    ];
    let (_running, address) = receiver.listen(anywhere());
    let mut agent = Agent::start(address);
    for requests in [1, 2, 4, 8] {
        agent.second(requests);
    }
    wait_until("all is settled", || (agent.ledger)().queued == 0);
    assert!(agent.has_said("not that token"));
    assert!(agent.has_said("the server rejects what is seen: no report"));
    let ledger = agent.finish();
    assert_eq!((ledger.sent, ledger.lost(ExportLoss::Rejected)), (9, 6), "{ledger:?}");
}

#[test]
fn a_token_that_no_header_holds_is_refused() {
    let error = start(anywhere(), "two\nlines", LIMITS).err().unwrap();
    assert!(matches!(error, StartError::Token), "{error}");
}
