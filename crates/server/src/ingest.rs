//! Where agents tell what they saw: OTLP over gRPC, with a token.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alaz_flow::Limits;
use alaz_model::UnixNanos;
use alaz_otlp::{Report, decode_metrics, decode_spans};
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
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::gather::{Gather, Taken};
use crate::live::Live;

const WORKERS: usize = 2;
/// The largest message, decompressed. Agents' own have 3 MiB at most.
const MOST_BYTES: usize = 16 << 20;
/// Calls of one connection that are worked on at once.
const CALLS: usize = 8;
/// Between two looks at what can be settled.
const SETTLE_EVERY: Duration = Duration::from_millis(200);
/// How long calls may go on when the server ends.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// Bounds for a cluster, where [`Limits::default`] is for a host.
const LIMITS: Limits = Limits {
    nodes: 8192,
    outbound_hosts: 1024,
    edges: 16_384,
    connection_edges: 16_384,
    routes_per_edge: 256,
    routes: 65_536,
    samples: 8,
    keep_ns: 62 * 60 * 1_000_000_000,
};

/// Where agents are listened to. It ends with [`Ingest::stop`].
#[derive(Debug)]
pub struct Ingest {
    runtime: Runtime,
}

impl Ingest {
    /// Takes what agents with this token tell, and shows it on `live`, on threads of its own.
    ///
    /// # Errors
    /// When the system gives no threads, or the listener is none.
    pub fn start(listener: TcpListener, token: &str, live: Arc<Live>) -> io::Result<Ingest> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("alaz-ingest")
            .enable_io()
            .enable_time()
            .build()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared {
            gather: Mutex::new(Gather::new(LIMITS, now_ns())),
            token: format!("Bearer {token}"),
            refused: AtomicU64::new(0),
            live,
        });
        let door = Door(Arc::clone(&shared));
        let metrics = MetricsServiceServer::new(door.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MOST_BYTES);
        let traces = TraceServiceServer::new(door)
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MOST_BYTES);
        let serving = tonic::transport::Server::builder()
            .concurrency_limit_per_connection(CALLS)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .add_service(metrics)
            .add_service(traces)
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(serving);
        runtime.spawn(settle(shared));
        Ok(Ingest { runtime })
    }

    /// Takes no more, and ends.
    pub fn stop(self) {
        self.runtime.shutdown_timeout(END_TIMEOUT);
    }
}

struct Shared {
    gather: Mutex<Gather>,
    /// What stands in `authorization`.
    token: String,
    /// Calls without the right token.
    refused: AtomicU64,
    live: Arc<Live>,
}

impl Shared {
    fn gather(&self) -> MutexGuard<'_, Gather> {
        self.gather.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn settle(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SETTLE_EVERY).await;
        let now_ns = now_ns();
        let mut gather = shared.gather();
        gather.settle(now_ns, |settled| shared.live.show_settled(settled, UnixNanos(now_ns)));
        let mut state = gather.state(now_ns);
        drop(gather);
        state.calls_refused = shared.refused.load(Ordering::Relaxed);
        shared.live.set_gather(state);
    }
}

/// The two services.
#[derive(Clone)]
struct Door(Arc<Shared>);

impl Door {
    /// Whoever has not the token is told so, and nothing else.
    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let given = metadata.get("authorization").map(|given| given.as_bytes());
        let problem = match given {
            Some(given) if is_same(given, self.0.token.as_bytes()) => return Ok(()),
            Some(_) => "the token is not that of this server",
            None => "a token is needed",
        };
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        let remedy = "set ALAZ_TOKEN to the same text on the server and on all agents";
        Err(Status::unauthenticated(format!("{problem}: {remedy}")))
    }
}

/// Takes as long for any text of one length.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differs = given.iter().zip(expected).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && differs == 0
}

/// The number of a message, by which one that is told again is known.
fn sequence(metadata: &MetadataMap) -> Result<u64, Status> {
    let number = metadata.get(alaz_otlp::SEQUENCE).and_then(|it| it.to_str().ok()?.parse().ok());
    let missing =
        || Status::invalid_argument("only Alaz agents may tell here: alaz-sequence is missing");
    number.ok_or_else(missing)
}

fn taken(taken: Taken) -> Result<&'static str, Status> {
    match taken {
        Taken::Yes | Taken::Repeated => Ok(""),
        Taken::Late => Ok("too late: its time has been settled"),
        Taken::Ahead => Ok("it is from the future: compare the clocks of the two hosts"),
        Taken::Full => Err(Status::resource_exhausted("too much waits here: tell it again later")),
    }
}

#[tonic::async_trait]
impl MetricsService for Door {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.admit(request.metadata())?;
        let sequence = sequence(request.metadata())?;
        let period = request.metadata().get(alaz_otlp::PERIOD).map(|it| it.as_bytes());
        let (is_last, ends) = match period {
            Some(b"more") => (false, false),
            Some(b"end") => (true, true),
            _ => (true, false),
        };
        let (agent, report): (_, Report) = decode_metrics(request.get_ref())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let rows = report.rows();
        let taken =
            taken(self.0.gather().take(&agent, sequence, report, (is_last, ends), now_ns()))?;
        let partial_success = (!taken.is_empty()).then(|| ExportMetricsPartialSuccess {
            rejected_data_points: i64::try_from(rows).unwrap_or(i64::MAX),
            error_message: taken.to_owned(),
        });
        Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl TraceService for Door {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.admit(request.metadata())?;
        let sequence = sequence(request.metadata())?;
        let (agent, samples) = decode_spans(request.get_ref())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        taken(self.0.gather().take_samples(&agent, sequence, samples, now_ns()))?;
        Ok(Response::new(ExportTraceServiceResponse { partial_success: None }))
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
