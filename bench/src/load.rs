//! What the clients ask of nginx: all they can, or a fixed rate.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use alaz_tests::http::Connection;
use anyhow::Context;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::application::Application;
use crate::statistics::percentile;
use crate::{pgbench, redis_benchmark, wrk};

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// Answers read.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    /// Requests without an answer, or with another status than 200.
    pub(crate) failed: u64,
}

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Workload {
    /// As many requests as go, on connections that stay.
    KeepAlive,
    /// As many requests as go, each on a connection of its own.
    NewConnections,
    /// So many requests a second, on connections that stay.
    Paced { rate: f64 },
    /// As many long answers as go.
    Large,
    /// As many requests as go, beside many connections on which nothing is said.
    BesideIdle,
    /// So many requests in all, so many at once on each connection.
    Redis { pipeline: u32, requests: u64 },
    /// Statements, as many as go or so many a second.
    Postgresql { rate: Option<f64> },
}

/// Enough to keep one worker busy.
const KEPT_CONNECTIONS: u32 = 32;
const NEW_CONNECTIONS: u32 = 8;
const LARGE_CONNECTIONS: u32 = 8;
const IDLE_CONNECTIONS: usize = 10_000;
const PACED_CONNECTIONS: u32 = 16;
/// Of the paced client. Sleeping costs it more than asking, so requests that are due at one tick go
/// together.
const TICK: Duration = Duration::from_micros(500);
/// The paced client can do no more: one request at each tick on each connection.
pub(crate) const HIGHEST_RATE: f64 = 32_000.0;
/// nginx answers with a head only: the hardest case, since nothing hides what a call costs more.
const TARGET: &str = "/empty";

impl Workload {
    pub(crate) fn describe(self) -> String {
        match self {
            Workload::KeepAlive => {
                format!("nginx, saturated, kept connections (wrk, {KEPT_CONNECTIONS} connections)")
            }
            Workload::NewConnections => {
                format!(
                    "nginx, saturated, a new connection per request (wrk, {NEW_CONNECTIONS} at once)"
                )
            }
            Workload::Paced { rate } => format!(
                "nginx, half load, {rate:.0} requests/s (paced client, {PACED_CONNECTIONS} connections)"
            ),
            Workload::Large => {
                format!("nginx, saturated, 256 KiB answers (wrk, {LARGE_CONNECTIONS} connections)")
            }
            Workload::BesideIdle => format!(
                "nginx, saturated, kept connections beside {IDLE_CONNECTIONS} idle ones (wrk, \
                 {KEPT_CONNECTIONS} connections)"
            ),
            Workload::Redis { pipeline: 1, .. } => "Redis, saturated (redis-benchmark)".to_owned(),
            Workload::Redis { pipeline, .. } => {
                format!("Redis, saturated, pipelines of {pipeline} (redis-benchmark)")
            }
            Workload::Postgresql { rate: None } => "PostgreSQL, saturated (pgbench -S)".to_owned(),
            Workload::Postgresql { rate: Some(rate) } => {
                format!("PostgreSQL, half load, {rate:.0} statements/s (pgbench -S)")
            }
        }
    }

    /// The rate that the client is told to keep, if any.
    pub(crate) fn asked_per_second(self) -> Option<f64> {
        match self {
            Workload::Paced { rate } => Some(rate),
            Workload::Postgresql { rate } => rate,
            _ => None,
        }
    }

    /// Runs it against the application that it is for.
    pub(crate) fn run(self, application: &Application, duration: Duration) -> anyhow::Result<Load> {
        let nginx = match (self, application) {
            (_, Application::Nginx(nginx)) => nginx,
            (Workload::Redis { pipeline, requests }, Application::Redis(redis)) => {
                return redis_benchmark::run(redis, pipeline, requests);
            }
            (Workload::Postgresql { rate }, Application::Postgresql(server)) => {
                return pgbench::run(server, rate, duration);
            }
            _ => anyhow::bail!("{}: not for this server", self.describe()),
        };
        let url = nginx.url(TARGET);
        match self {
            Workload::KeepAlive => wrk::run(&url, KEPT_CONNECTIONS, duration, &[]),
            Workload::NewConnections => {
                wrk::run(&url, NEW_CONNECTIONS, duration, &["Connection: close"])
            }
            Workload::Paced { rate } => at_rate(nginx.address, rate, duration),
            Workload::Large => wrk::run(&nginx.url("/large"), LARGE_CONNECTIONS, duration, &[]),
            Workload::BesideIdle => {
                let _idle = idle(nginx.address)?;
                wrk::run(&url, KEPT_CONNECTIONS, duration, &[])
            }
            Workload::Redis { .. } | Workload::Postgresql { .. } => {
                anyhow::bail!("{}: not for nginx", self.describe())
            }
        }
    }
}

/// Connections on which nothing is said, open for as long as they are kept.
fn idle(server: SocketAddr) -> anyhow::Result<Vec<TcpStream>> {
    let open = |number| {
        TcpStream::connect(server).with_context(|| format!("opening idle connection {number}"))
    };
    (1..=IDLE_CONNECTIONS).map(open).collect()
}

/// Lets this process, and what it starts, have as many connections as the loads need.
pub(crate) fn allow_connections() -> anyhow::Result<()> {
    let most = Some(2 * IDLE_CONNECTIONS as u64);
    let limit = Rlimit { current: most, maximum: most };
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files")
}

/// Asks `rate` times a second, a few requests together at each tick. Where that is too much it is
/// late, and what was not asked by the end is left out, which shows in the rate.
///
/// Latency counts from when a request was sent; where it was late because answers before it were,
/// from when it was due: a slow server must not look good by holding its client up.
fn at_rate(address: SocketAddr, rate: f64, duration: Duration) -> anyhow::Result<Load> {
    let mut connections: Vec<_> =
        (0..PACED_CONNECTIONS).map(|_| Connection::open(address)).collect();
    let mut latencies_ns = Vec::new();
    let (mut asked, mut failed) = (0, 0);
    let started = Instant::now();
    let mut due = started;
    while due + TICK <= started + duration {
        due += TICK;
        let early = due.saturating_duration_since(Instant::now());
        std::thread::sleep(early);
        let now = Instant::now();
        if now > started + duration {
            break;
        }
        let since = if early.is_zero() { due } else { now };

        let total = (rate * (due - started).as_secs_f64()).round() as usize;
        let burst = connections.len().min(total - asked);
        asked = total;
        for connection in connections.iter_mut().take(burst) {
            connection.send_get(TARGET);
        }
        for connection in connections.iter_mut().take(burst) {
            match connection.try_answer() {
                Some(answer) if answer.status == 200 => {
                    latencies_ns.push(since.elapsed().as_nanos() as u64);
                }
                _ => {
                    failed += 1;
                    *connection = Connection::open(address);
                }
            }
        }
    }
    let requests = latencies_ns.len();
    latencies_ns.sort_unstable();
    let at = |share| percentile(&latencies_ns, share).context("nginx answered nothing");
    Ok(Load {
        requests: requests as u64,
        requests_per_second: requests as f64 / started.elapsed().as_secs_f64(),
        p50_ns: at(0.5)?,
        p99_ns: at(0.99)?,
        failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alaz_tests::http::{answer_all, serve};

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn the_paced_client_asks_no_more_often_than_it_was_told() {
        let server = serve("127.0.0.1", answer_all(OK));
        let load = at_rate(server, 1400.0, Duration::from_millis(500)).unwrap();
        // A busy machine may have kept it from some.
        assert!(load.requests <= 700 && load.failed == 0, "{load:?}");
        assert!(load.p50_ns > 0 && load.p50_ns <= load.p99_ns);
    }

    #[test]
    fn a_request_that_had_to_wait_counts_from_when_it_was_due() {
        // Each answer takes 20 ms, and one request is due at every tick.
        let server = serve("127.0.0.1", |stream| {
            let mut request = [0; 1024];
            while std::io::Read::read(stream, &mut request).is_ok_and(|read| read > 0) {
                std::thread::sleep(Duration::from_millis(20));
                if std::io::Write::write_all(stream, OK).is_err() {
                    return;
                }
            }
        });
        let load = at_rate(server, 2000.0, Duration::from_millis(200)).unwrap();
        assert!((1..=11).contains(&load.requests), "{load:?}");
        assert!(load.p99_ns >= load.requests * 19_000_000, "the last was due at first: {load:?}");
    }

    #[test]
    fn other_answers_count_as_failed() {
        let server = serve(
            "127.0.0.1",
            answer_all(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        );
        let error = at_rate(server, 80.0, Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("answered nothing"), "{error}");
    }
}
