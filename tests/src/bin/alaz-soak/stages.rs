//! The stages, what each wants to hold, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alaz_tests::alaz::Server;
use alaz_tests::bpf::Objects;
use alaz_tests::load as clients;
use alaz_tests::nginx::Nginx;
use alaz_tests::postgresql::Postgresql;
use alaz_tests::redis::Redis;
use alaz_tests::wait_until;
use rustix::process::Signal;
use serde::Serialize;

use crate::figures::{Metrics, ledger, settle};
use crate::load::{self, Done};

/// Memory may be so much more at the end than after the warm-up, and so much above that, which is what
/// an allocator moves by. The history that fills for an hour is not counted.
const GROWTH_SHARE: f64 = 0.10;
const GROWTH_BYTES: f64 = 4e6;
/// The part of the mixed stage that is warm-up, and the longest that it is.
const WARM_UP_SHARE: f64 = 0.25;
const MOST_WARM_UP: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// How long Alaz is stopped, and how long the load goes on before and after.
const STALL: Duration = Duration::from_secs(5);
const AROUND: Duration = Duration::from_secs(3);

/// What came of all stages.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    stages: Vec<Stage>,
    /// Empty where everything holds.
    pub(crate) wrong: Vec<String>,
}

/// One stage.
#[derive(Default, Serialize)]
struct Stage {
    name: &'static str,
    seconds: f64,
    /// By what the clients of nginx count.
    answered: u64,
    failed: u64,
    /// By server: what it counted itself, and what Alaz reported of it.
    counted: BTreeMap<&'static str, Counts>,
    lost_segments: BTreeMap<String, u64>,
    /// After the warm-up and at the end, without the history.
    resident_bytes: Option<(f64, f64)>,
    cpu_seconds: f64,
}

#[derive(Clone, Copy, Serialize)]
struct Counts {
    server: u64,
    reported: u64,
}

impl Report {
    fn want(&mut self, stage: &str, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(format!("{stage}: {}", what()));
        }
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for stage in &self.stages {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<8} {:>6.0} s   nginx answered {}, {} failed; alaz took {:.1} s CPU",
                stage.name, stage.seconds, stage.answered, stage.failed, stage.cpu_seconds
            );
            for (server, Counts { server: counted, reported }) in &stage.counted {
                let _ = writeln!(
                    text,
                    "                    {server:<10} counted {counted:>9}, reported {reported:>9}"
                );
            }
            let _ = writeln!(text, "                    segments lost: {:?}", stage.lost_segments);
            if let Some((warm, end)) = stage.resident_bytes {
                let _ = writeln!(
                    text,
                    "                    resident without history: {:.1} MB warm, {:.1} MB at the end",
                    warm / 1e6,
                    end / 1e6
                );
            }
        }
        text
    }
}

/// Mixed load; memory, exactness and the ledger along the way.
pub(crate) fn mixed(alaz: &Path, duration: Duration, report: &mut Report) {
    const NAME: &str = "mixed";
    let started = Instant::now();
    let (nginx, redis, postgresql) = (Nginx::start(), Redis::start(), Postgresql::start());
    alaz_tests::program::run(postgresql.client("pgbench").args(["-i", "-q"]));
    let mut server = Server::start_of(alaz, &[]);
    let calls_before: usize = redis.calls().values().sum();
    let statements_before = postgresql.logged().len();

    let done = Done::default();
    let warm_up = duration.mul_f64(WARM_UP_SHARE).min(MOST_WARM_UP);
    let (mut warm, mut late) = (Vec::new(), Vec::new());
    let mut furthest = "none".to_owned();
    std::thread::scope(|scope| {
        load::kept(scope, nginx.address, duration, &done);
        load::new_connections(scope, nginx.address, duration, &done);
        load::redis(scope, &redis, duration);
        load::postgresql(scope, &postgresql, duration);
        let began = Instant::now();
        while began.elapsed() + LOOK < duration {
            std::thread::sleep(LOOK);
            server.program().assert_running();
            // Checks that it balances.
            ledger(&server);
            let metrics = Metrics::read(&server);
            let resident = metrics.single("process_resident_memory_bytes")
                - metrics.single("alaz_history_bytes");
            let elapsed = began.elapsed();
            // As much time at the beginning of what follows the warm-up as at the end.
            let part = (duration - warm_up) / 4;
            if elapsed >= warm_up && elapsed < warm_up + part {
                warm.push(resident);
            } else if elapsed >= duration - part {
                late.push(resident);
            }
            let step = metrics.guard_step();
            if step != "none" {
                furthest = step;
            }
        }
    });
    report.want(NAME, furthest == "none", || format!("the guard was at {furthest}"));

    let ledger = settle(&server);
    let calls: usize = redis.calls().values().sum();
    let metrics = Metrics::read(&server);
    let (nginx_port, redis_port) = (nginx.address.port(), redis.port);
    let asked = (calls - calls_before) as u64;
    let postgresql_port = postgresql.address.port();
    let statements = (postgresql.stop().len() - statements_before) as u64;
    let counted = BTreeMap::from([
        (
            "nginx",
            Counts { server: nginx.stop().len() as u64, reported: metrics.requests_at(nginx_port) },
        ),
        ("redis", Counts { server: asked, reported: metrics.requests_at(redis_port) }),
        (
            "postgresql",
            Counts { server: statements, reported: metrics.requests_at(postgresql_port) },
        ),
    ]);
    let lost_segments = match &ledger {
        Ok(ledger) => ledger.total.segments.lost.clone(),
        Err(wrong) => {
            report.wrong.push(format!("{NAME}: {wrong}"));
            BTreeMap::new()
        }
    };
    let has_lost = !lost_segments.is_empty();
    for (name, Counts { server, reported }) in &counted {
        // Redis is asked for its counts beside the load: up to two more or less.
        let slack = if *name == "redis" { 2 } else { 0 };
        let is_right = match has_lost {
            true => *reported <= server + slack,
            false => reported.abs_diff(*server) <= slack,
        };
        report.want(NAME, is_right, || format!("{name} counted {server}, reported are {reported}"));
    }
    let failed = done.failed.load(Ordering::Relaxed);
    report.want(NAME, failed == 0, || format!("{failed} requests failed"));
    let untold = metrics.sum("alaz_untold_connections_total", "too_many");
    let limited = metrics.sum("alaz_limited_exchanges_total", "limit");
    report.want(NAME, untold + limited == 0.0, || {
        format!("{untold} connections and {limited} exchanges met a limit")
    });
    let resident = median(&mut warm).zip(median(&mut late));
    report.want(NAME, resident.is_some(), || "memory was not looked at".to_owned());
    if let Some((warm, late)) = resident {
        let most = warm * (1.0 + GROWTH_SHARE) + GROWTH_BYTES;
        report.want(NAME, late <= most, || {
            format!("memory grew from {:.1} to {:.1} MB", warm / 1e6, late / 1e6)
        });
    }
    let status = server.stop();
    report.want(NAME, status.success(), || format!("alaz ended with {status}"));
    report.stages.push(Stage {
        name: NAME,
        seconds: started.elapsed().as_secs_f64(),
        answered: done.answered.load(Ordering::Relaxed),
        failed,
        counted,
        lost_segments,
        resident_bytes: resident,
        cpu_seconds: metrics.single("process_cpu_seconds_total"),
    });
}

/// Alaz does not run for a while, under as much load as there can be.
pub(crate) fn stalled(alaz: &Path, report: &mut Report) {
    const NAME: &str = "stalled";
    let started = Instant::now();
    let nginx = Nginx::start();
    let mut server = Server::start_of(alaz, &[]);
    let (url, duration) = (nginx.url("/empty"), STALL + 2 * AROUND);
    let answered = std::thread::scope(|scope| {
        let client = scope.spawn(|| clients::wrk(&url, 16, duration, &[]));
        std::thread::sleep(AROUND);
        server.program().signal(Signal::STOP);
        std::thread::sleep(STALL);
        server.program().signal(Signal::CONT);
        client.join().unwrap()
    });
    let lost_segments = match settle(&server) {
        Ok(ledger) => ledger.total.segments.lost,
        Err(wrong) => {
            report.wrong.push(format!("{NAME}: {wrong}"));
            BTreeMap::new()
        }
    };
    let metrics = Metrics::read(&server);
    let reported = metrics.requests_at(nginx.address.port());
    let logged = nginx.stop().len() as u64;
    let counts = Counts { server: logged, reported };
    let is_right = if lost_segments.is_empty() { reported == logged } else { reported <= logged };
    report.want(NAME, is_right, || format!("nginx counted {logged}, reported are {reported}"));
    let status = server.stop();
    report.want(NAME, status.success(), || format!("alaz ended with {status}"));
    report.stages.push(Stage {
        name: NAME,
        seconds: started.elapsed().as_secs_f64(),
        answered,
        counted: BTreeMap::from([("nginx", counts)]),
        lost_segments,
        cpu_seconds: metrics.single("process_cpu_seconds_total"),
        ..Stage::default()
    });
}

/// Alaz is killed, and comes again.
pub(crate) fn killed(alaz: &Path, report: &mut Report) {
    const NAME: &str = "killed";
    let started = Instant::now();
    let nginx = Nginx::start();
    let mut server = Server::start_of(alaz, &[]);
    let objects = Objects::of_process(server.program().pid());
    let done = Done::default();
    let again = std::thread::scope(|scope| {
        let duration = 3 * AROUND;
        load::kept(scope, nginx.address, duration, &done);
        load::new_connections(scope, nginx.address, duration, &done);
        std::thread::sleep(AROUND);
        server.program().end(Signal::KILL);
        wait_until("everything of it is gone", || objects.left().is_empty());
        Server::start_of(alaz, &[])
    });
    let (answered, failed) =
        (done.answered.load(Ordering::Relaxed), done.failed.load(Ordering::Relaxed));
    report.want(NAME, failed == 0, || format!("{failed} requests failed"));
    let reported = Metrics::read(&again).requests_at(nginx.address.port());
    report.want(NAME, reported > 0, || "the second Alaz reports nothing".to_owned());
    let status = again.stop();
    report.want(NAME, status.success(), || format!("alaz ended with {status}"));
    let logged = nginx.stop().len() as u64;
    report.want(NAME, logged == answered, || {
        format!("nginx counted {logged}, its clients {answered}")
    });
    report.stages.push(Stage {
        name: NAME,
        seconds: started.elapsed().as_secs_f64(),
        answered,
        failed,
        ..Stage::default()
    });
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
