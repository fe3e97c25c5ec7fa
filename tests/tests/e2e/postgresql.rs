//! PostgreSQL's log of statements against what Alaz reports: psql, pgbench in all its modes.

use std::collections::BTreeMap;

use alaz_tests::alaz::{Seen, Watch};
use alaz_tests::postgresql::{Logged, Postgresql};
use alaz_tests::program::{Program, run};
use alaz_tests::{say, turn_to_capture};

#[test]
fn statements_of_psql_are_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Postgresql::start();
    let port = server.address.port();
    let watch = Watch::start();

    server.psql(&[
        "CREATE TABLE t (a int, b text)",
        "INSERT INTO t SELECT i, 'hunter2' FROM generate_series(1, 3000) i",
        "SELECT a, b FROM t WHERE b = 'hunter2' AND a IN (1, 2, 3)",
        "SELECT a, repeat(b, 4) FROM t ORDER BY a",
        "BEGIN; UPDATE t SET b = $$hunter2$$ WHERE a = 7; COMMIT",
        "DO $$ BEGIN RAISE NOTICE 'hunter2'; END $$",
        "SELECT 'hunter2' -- hunter2",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows");
    std::fs::write(&rows, "1\thunter2\n".repeat(5000)).unwrap();
    server.psql(&[
        &format!("\\copy t FROM '{}'", rows.display()),
        "\\copy t TO '/dev/null'",
        "SELECT count(*) FROM t",
    ]);
    for wrong in ["SELEC 1", "SELECT * FROM nowhere", "SELECT 1/0"] {
        let status = server.client("psql").args(["-X", "-c", wrong]).output().unwrap().status;
        assert!(!status.success());
    }
    let refused = server.client("psql").env("PGDATABASE", "nowhere").output().unwrap().status;
    assert!(!refused.success());

    let seen = watch.finish();
    let log = server.stop();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
    let lines: Vec<_> = seen.at(port).iter().map(|exchange| exchange.line()).collect();
    assert_eq!(
        lines,
        [
            "CREATE CREATE TABLE t (a int, b text) ok",
            "INSERT INSERT INTO t SELECT i, ? FROM generate_series(?, ?) i ok",
            "SELECT SELECT a, b FROM t WHERE b = ? AND a IN (?) ok",
            "SELECT SELECT a, repeat(b, ?) FROM t ORDER BY a ok",
            "BEGIN BEGIN; UPDATE t SET b = ? WHERE a = ?; COMMIT ok",
            "DO DO ? ok",
            "SELECT SELECT ? ok",
            "COPY COPY t FROM STDIN ok",
            "COPY COPY t TO STDOUT ok",
            "SELECT SELECT count(*) FROM t ok",
            " SELEC ? 42601",
            "SELECT SELECT * FROM nowhere 42P01",
            "SELECT SELECT ?/? 22012",
            "STARTUP  3D000",
        ]
    );
    assert_eq!(log.iter().filter(|line| line.state == "00000").count(), 12);
    assert!(!seen.text.contains("hunter2"), "a literal was shown");
    for exchange in seen.at(port) {
        assert_eq!((&*exchange.protocol, &*exchange.observed_by), ("postgresql", "both"));
        assert_eq!(exchange.outcome, "complete", "{exchange:?}");
        assert!(exchange.latency_ns >= exchange.server_latency_ns, "{exchange:?}");
        assert_eq!(exchange.error, exchange.status != "ok");
        assert_eq!(exchange.attributes["db.user"], "postgres");
        assert_eq!(exchange.attributes["alaz.application_name"], "psql");
    }
}

#[test]
fn statements_of_pgbench_are_reported_as_logged_in_every_mode() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Postgresql::start();
    let port = server.address.port();
    run(server.client("pgbench").args(["-i", "-q", "-s", "1"]));
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, PIPELINE).unwrap();
    let watch = Watch::start();
    for mode in ["simple", "extended", "prepared"] {
        let bench = ["-n", "-c", "4", "-t", "100", "-M", mode];
        run(server.client("pgbench").args(bench));
        run(server.client("pgbench").args(bench).arg("-S"));
        if mode != "simple" {
            run(server.client("pgbench").args(bench).arg("-f").arg(&pipeline));
        }
    }
    let seen = watch.finish();
    let log = server.stop();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
    let watched: Vec<_> = seen.at(port).iter().map(|exchange| exchange.client.port).collect();
    let log: Vec<_> = log.into_iter().filter(|line| watched.contains(&line.port)).collect();
    say(&format!("{} logged, {} reported", log.len(), seen.at(port).len()));
    assert_eq!(reported(&seen, port), logged(&log));
    assert!(log.len() > 3 * 400 * 7);
    assert!(seen.at(port).iter().all(|exchange| exchange.outcome == "complete"));
}

#[test]
fn connections_older_than_alaz_are_reported_in_part_and_truly() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Postgresql::start();
    let port = server.address.port();
    run(server.client("pgbench").args(["-i", "-q", "-s", "1"]));
    let mut load = Program::start(
        server
            .client("pgbench")
            .args(["-n", "-c", "4", "-T", "6", "-R", "400", "-S", "-M", "prepared"]),
    );
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let watch = Watch::start();
    load.wait_for_success();
    let seen = watch.finish();
    let log = server.stop();
    let exchanges = seen.at(port);
    say(&format!("{} logged, {} reported", log.len(), exchanges.len()));
    assert!(exchanges.len() > 200 && exchanges.len() <= log.len());
    for exchange in exchanges {
        assert_eq!(exchange.line(), "EXECUTE  ok", "the statement was prepared before");
        assert!(exchange.latency_ns.is_some() && !exchange.attributes.contains_key("db.user"));
    }
}

/// Several statements on their way at once.
const PIPELINE: &str = "\\set aid random(1, 100000)
\\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;
SELECT count(*) FROM pgbench_tellers;
\\endpipeline
";

/// By client port and first keyword: how many.
type Counts = BTreeMap<(u16, String), usize>;

fn reported(seen: &Seen, port: u16) -> Counts {
    let mut counts = Counts::new();
    for exchange in seen.at(port) {
        assert!(exchange.target.starts_with(|first: char| first.is_alphabetic()), "{exchange:?}");
        *counts.entry((exchange.client.port, exchange.method.clone())).or_default() += 1;
    }
    counts
}

fn logged(log: &[Logged]) -> Counts {
    let mut counts = Counts::new();
    for line in log {
        let keyword = line.text.split([' ', ';']).next().unwrap_or_default().to_uppercase();
        *counts.entry((line.port, keyword)).or_default() += 1;
    }
    counts
}
