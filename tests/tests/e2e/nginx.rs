//! nginx's access log against what Alaz reports: one by one, at a fixed rate, at saturation.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::time::Duration;

use alaz_tests::alaz::{Seen, Watch};
use alaz_tests::exchange::Exchange;
use alaz_tests::nginx::{LogLine, Nginx};
use alaz_tests::{load, program, say, turn_to_capture};

/// What connections of others on this machine may lose at the same time, and these here may not: then
/// less would be reported than was logged.
const ELSEWHERE: [&str; 2] = ["truncated", "unreadable"];

/// New processes, one request each; the rest share one process and one connection.
const PROCESSES: u32 = 300;
const REQUESTS: u32 = 1000;

#[test]
fn a_thousand_curl_requests_are_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let worker = nginx.worker();
    let watch = Watch::start();

    let curl = |url: &str| {
        program::run(Command::new("curl").args(["-sS", "-o", "/dev/null", url]));
    };
    for number in 1..=PROCESSES {
        curl(&nginx.url(&format!("/item/{number}?token=secret{number}&page=2")));
    }
    let first = PROCESSES + 1;
    curl(&nginx.url(&format!("/item/[{first}-{REQUESTS}]?token=secret&page=2")));

    let seen = watch.finish();
    let log = nginx.stop();
    assert!(seen.ledger.lost_reasons_are_only(&ELSEWHERE), "{:?}", seen.ledger);
    let reported = seen.at(port);
    assert_eq!(log.len(), REQUESTS as usize);
    assert_eq!(reported.len(), log.len());

    let by_path: HashMap<_, _> = reported.iter().map(|e| (path(&e.target), *e)).collect();
    assert_eq!(by_path.len(), log.len(), "each path was asked for once");
    for line in &log {
        let exchange = by_path[path(&line.target)];
        assert_same(exchange, line);
        assert_eq!(exchange.target, format!("{}?token=?&page=?", path(&line.target)));
        assert_eq!((&*exchange.client.process, &*exchange.client.workload), ("curl", "curl"));
        assert_eq!((&*exchange.server.workload, exchange.server.pid), ("nginx", worker));
        assert_times_are_ordered(exchange);
    }
    assert_latency_is_plausible(&by_path, &log);
}

/// How long the two loads last; the longer runs are for people.
fn seconds() -> Duration {
    let given = std::env::var("ALAZ_TEST_SECONDS").ok();
    Duration::from_secs(given.map_or(5, |text| text.parse().expect("ALAZ_TEST_SECONDS: seconds")))
}

#[test]
fn nothing_is_lost_at_ten_thousand_requests_a_second() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let watch = Watch::start();

    let sent = load::at_rate(nginx.address, "/empty", 10_000, seconds());
    say(&format!(
        "{:.0} requests/s for {:.1} s",
        sent.answered as f64 / sent.seconds,
        sent.seconds
    ));

    let seen = watch.finish();
    let log = nginx.stop();
    assert_eq!(sent.failed, 0);
    assert!(seen.ledger.lost_reasons_are_only(&ELSEWHERE), "{:?}", seen.ledger);
    assert_eq!(seen.at(port).len(), log.len());
    assert_eq!(counts(&seen, port), logged_counts(&log));
    assert_eq!(sent.answered, log.len() as u64);
}

#[test]
fn saturation_gives_all_or_fewer_and_never_wrong_ones() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let watch = Watch::start();
    let connections = 32;

    let read = load::wrk(&nginx.url("/empty"), connections, seconds(), &[]);

    let seen = watch.finish();
    let log = nginx.stop();
    let (complete, cut): (Vec<_>, Vec<_>) =
        seen.at(port).into_iter().partition(|exchange| exchange.outcome == "complete");
    say(&format!(
        "{read} read by wrk, {} logged, {} reported, {} cut, lost {:?}",
        log.len(),
        complete.len(),
        cut.len(),
        seen.ledger.total.segments.lost,
    ));
    // wrk leaves in the middle of its last requests, at most one on each connection.
    assert!(cut.len() <= connections as usize, "{:?}", cut.first());
    assert!(complete.len() <= log.len());
    if seen.ledger.lost_nothing() {
        assert!(complete.len() + cut.len() >= log.len(), "nothing was lost, yet some are missing");
        assert!(complete.len() as u64 >= read, "wrk has read more answers than were reported");
    }
    let size = log[0].bytes_sent;
    for exchange in complete {
        assert_eq!(exchange.line(), "GET /empty 200");
        assert_eq!((exchange.response_bytes, &*exchange.observed_by), (size, "both"));
        assert_eq!((&*exchange.client.workload, &*exchange.server.workload), ("wrk", "nginx"));
    }
    let logged = logged_counts(&log);
    for (key, reported) in counts(&seen, port) {
        let logged = logged.get(&key).copied().unwrap_or(0);
        // The one that was cut may be in the log or not.
        assert!(reported <= logged + 1, "{key:?}: {reported} reported, {logged} logged");
    }
}

#[test]
fn new_connections_for_every_request_are_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let watch = Watch::start();

    load::wrk(&nginx.url("/empty"), 8, Duration::from_secs(2), &["Connection: close"]);

    let seen = watch.finish();
    let log = nginx.stop();
    let complete = seen.at(port).iter().filter(|e| e.outcome == "complete").count();
    say(&format!("{} logged, {complete} reported", log.len()));
    assert!(complete <= log.len());
    if seen.ledger.lost_nothing() {
        assert!(complete + 8 >= log.len(), "nothing was lost, yet more than the last are missing");
    }
}

/// By client port and what was said: how many.
type Counts = BTreeMap<(u16, String), usize>;

fn counts(seen: &Seen, port: u16) -> Counts {
    let mut counts = Counts::new();
    for exchange in seen.at(port).into_iter().filter(|e| e.outcome == "complete") {
        *counts.entry((exchange.client.port, exchange.line())).or_default() += 1;
    }
    counts
}

fn logged_counts(log: &[LogLine]) -> Counts {
    let mut counts = Counts::new();
    for line in log {
        let said = format!("{} {} {}", line.method, line.target, line.status);
        *counts.entry((line.remote_port, said)).or_default() += 1;
    }
    counts
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap()
}

fn assert_same(exchange: &Exchange, line: &LogLine) {
    assert_eq!(exchange.method, line.method);
    assert_eq!(exchange.status, line.status);
    assert_eq!(exchange.response_bytes, line.bytes_sent, "{exchange:?}");
    assert_eq!(exchange.request_bytes, line.request_length, "{exchange:?}");
    assert_eq!(exchange.client.port, line.remote_port);
    assert_eq!((&*exchange.outcome, &*exchange.observed_by), ("complete", "both"), "{exchange:?}");
    assert!(!exchange.error && !exchange.tls);
    assert_eq!(exchange.protocol, "http");
}

fn assert_times_are_ordered(exchange: &Exchange) {
    let (Some(latency), Some(first), Some(server)) =
        (exchange.latency_ns, exchange.ttfb_ns, exchange.server_latency_ns)
    else {
        panic!("a time is missing: {exchange:?}");
    };
    assert!(first <= latency, "first byte after the last: {exchange:?}");
    assert!(server <= latency, "the server took longer than the client waited: {exchange:?}");
}

/// nginx tells whole milliseconds by a clock that it reads once per round of its loop, so single
/// ones may be off by as much as it was held up; the middle one is not.
fn assert_latency_is_plausible(by_path: &HashMap<&str, &Exchange>, log: &[LogLine]) {
    let mut off: Vec<_> = log
        .iter()
        .map(|line| {
            let ours = by_path[path(&line.target)].server_latency_ns.unwrap() as f64 / 1e6;
            (ours - line.request_time_ms as f64).abs()
        })
        .collect();
    off.sort_by(f64::total_cmp);
    let middle = off[off.len() / 2];
    say(&format!("server latency is {middle:.3} ms off nginx's in the median"));
    assert!(middle < 2.0, "latency is {middle} ms off nginx's own in the median");
}
