//! Load of several kinds at once, at rates that leave a small machine some air.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use alaz_tests::postgresql::Postgresql;
use alaz_tests::program::run;
use alaz_tests::redis::Redis;
use alaz_tests::{http, load};

const KEPT_RATE: u32 = 1000;
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(5);
const BETWEEN_BENCHMARKS: Duration = Duration::from_millis(500);
const STATEMENTS_PER_SECOND: u32 = 100;

/// What clients did.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// Asks on connections that stay.
pub(crate) fn kept<'a>(
    scope: &'a Scope<'a, '_>,
    nginx: SocketAddr,
    duration: Duration,
    done: &'a Done,
) {
    scope.spawn(move || {
        let sent = load::at_rate(nginx, "/empty", KEPT_RATE, duration);
        done.answered.fetch_add(sent.answered, Ordering::Relaxed);
        done.failed.fetch_add(sent.failed, Ordering::Relaxed);
    });
}

/// Asks each time on a new connection.
pub(crate) fn new_connections<'a>(
    scope: &'a Scope<'a, '_>,
    nginx: SocketAddr,
    duration: Duration,
    done: &'a Done,
) {
    let started = Instant::now();
    scope.spawn(move || {
        while started.elapsed() < duration {
            let is_answered = http::try_get(nginx, "/new").is_some_and(|it| it.status == 200);
            let count = if is_answered { &done.answered } else { &done.failed };
            count.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(BETWEEN_CONNECTIONS);
        }
    });
}

/// Many short benchmarks, one by one and in pipelines.
pub(crate) fn redis<'a>(scope: &'a Scope<'a, '_>, redis: &'a Redis, duration: Duration) {
    let started = Instant::now();
    scope.spawn(move || {
        for pipeline in ["1", "16"].iter().cycle() {
            if started.elapsed() >= duration {
                break;
            }
            let load = ["-q", "-c", "4", "-n", "2000", "-r", "1000", "-P", pipeline];
            redis.client("redis-benchmark", &[&load[..], &["-t", "set,get"]].concat());
            std::thread::sleep(BETWEEN_BENCHMARKS);
        }
    });
}

/// Selects by pgbench, whose tables are there.
pub(crate) fn postgresql<'a>(scope: &'a Scope<'a, '_>, server: &'a Postgresql, duration: Duration) {
    let (seconds, rate) = (duration.as_secs().to_string(), STATEMENTS_PER_SECOND.to_string());
    scope.spawn(move || {
        let load = ["-S", "-n", "-c", "2", "-R", &rate, "-T", &seconds];
        run(server.client("pgbench").args(load));
    });
}
