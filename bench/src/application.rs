//! The applications under load: nginx, Redis, PostgreSQL, and what each counts itself.

use std::time::Duration;

use alaz_tests::nginx::Nginx;
use alaz_tests::postgresql::Postgresql;
use alaz_tests::program;
use alaz_tests::redis::Redis;

use crate::load::Workload;
use crate::process::{cpu_time, cpu_time_with_children};

/// A running server.
pub(crate) enum Application {
    Nginx(Nginx),
    Redis(Redis),
    Postgresql(Postgresql),
}

impl Application {
    /// The one that this load is for, with nothing in its counts. A fresh one each time: its port has
    /// no connections of earlier slices that linger.
    pub(crate) fn start(workload: Workload) -> Application {
        match workload {
            Workload::Redis { .. } => Application::Redis(Redis::start()),
            Workload::Postgresql { .. } => {
                let server = Postgresql::start_quiet();
                program::run(server.client("pgbench").args(["-i", "-q"]));
                Application::Postgresql(server)
            }
            _ => Application::Nginx(Nginx::start()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Application::Nginx(nginx) => nginx.address.port(),
            Application::Redis(redis) => redis.port,
            Application::Postgresql(server) => server.address.port(),
        }
    }

    /// CPU time of what serves: nginx's worker, Redis, all of PostgreSQL's processes that are over.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        match self {
            Application::Nginx(nginx) => cpu_time(nginx.worker()),
            Application::Redis(redis) => cpu_time(redis.pid()),
            Application::Postgresql(server) => cpu_time_with_children(server.pid()),
        }
    }

    /// Ends it. Returns how many requests it counted; `None` where only its client did.
    pub(crate) fn stop(self) -> Option<u64> {
        match self {
            Application::Nginx(nginx) => Some(nginx.stop().len() as u64),
            Application::Redis(redis) => {
                // The question itself is not in the answer.
                let calls: usize = redis.calls().values().sum();
                Some(1 + calls as u64)
            }
            Application::Postgresql(_) => None,
        }
    }
}
