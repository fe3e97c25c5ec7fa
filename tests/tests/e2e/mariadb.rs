//! MariaDB's general log against what Alaz reports: its own client, prepared statements, a load.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use alaz_tests::alaz::Watch;
use alaz_tests::mariadb::Mariadb;
use alaz_tests::program::run;
use alaz_tests::{say, turn_to_capture};

#[test]
fn statements_of_its_client_are_reported_as_sent() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Mariadb::start();
    let port = server.address.port();
    let rows = server.path("rows");
    std::fs::write(&rows, "1\thunter2\n".repeat(5000)).unwrap();
    let watch = Watch::start();

    server.query("CREATE DATABASE shop");
    let load = format!("LOAD DATA LOCAL INFILE '{}' INTO TABLE t", rows.display());
    let statements = [
        "USE shop",
        "CREATE TABLE t (a int, b text)",
        &load,
        "SELECT a, b FROM t WHERE b = \"hunter2\" AND a IN (1, 2, 3)",
        "INSERT INTO t VALUES (1, 'hunter2'), (2, 'hunter2')",
        "SELECT * FROM nowhere",
        "SELECT b FROM t",
        "SELEC 1",
    ];
    server.query(&statements.join(";\n"));
    let refused = server.client("mariadb").args(["-phunter2", "-e", "SELECT 1"]).output().unwrap();
    assert!(!refused.status.success());

    let seen = watch.finish();
    let log = server.stop();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
    let lines: Vec<_> = seen.at(port).iter().map(|exchange| exchange.line()).collect();
    assert_eq!(
        lines,
        [
            "CREATE CREATE DATABASE shop ok",
            "SELECT SELECT DATABASE() ok",
            "INIT_DB shop ok",
            "CREATE CREATE TABLE t (a int, b text) ok",
            "LOAD LOAD DATA LOCAL INFILE ? INTO TABLE t ok",
            "SELECT SELECT a, b FROM t WHERE b = ? AND a IN (?) ok",
            "INSERT INSERT INTO t VALUES (?) ok",
            "SELECT SELECT * FROM nowhere 1146",
            "SELECT SELECT b FROM t ok",
            " SELEC ? 1064",
            "CONNECT  1045",
        ]
    );
    assert_eq!(log.iter().filter(|line| line.command == "Query").count(), 9);
    assert!(!seen.text.contains("hunter2"), "a literal was shown");
    for exchange in seen.at(port) {
        assert_eq!((&*exchange.protocol, &*exchange.observed_by), ("mysql", "both"));
        assert_eq!(exchange.outcome, "complete", "{exchange:?}");
        assert!(exchange.latency_ns >= exchange.server_latency_ns, "{exchange:?}");
        assert_eq!(exchange.error, exchange.status != "ok");
        assert_eq!(exchange.attributes["db.system.name"], "mariadb");
    }
}

#[test]
fn prepared_statements_and_a_load_are_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Mariadb::start();
    let port = server.address.port();
    server.query("CREATE DATABASE shop; CREATE TABLE shop.t (a int, b text)");
    let before = std::fs::read_to_string(server.path("general.log")).unwrap().lines().count();
    let watch = Watch::start();

    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/prepared.pl");
    run(Command::new("perl").arg(client).args(["127.0.0.1", &port.to_string(), "300"]));
    run(server
        .client("mariadb-slap")
        .args(["--auto-generate-sql", "--concurrency=4"])
        .args(["--number-of-queries=2000", "--auto-generate-sql-load-type=mixed"]));

    let seen = watch.finish();
    let log = server.stop();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
    let mut logged = BTreeMap::<String, usize>::new();
    for line in log.iter().skip(before - 3) {
        let keyword = line.text.split_whitespace().next().unwrap_or_default().to_uppercase();
        let method = match &*line.command {
            "Query" | "Execute" => keyword,
            "Prepare" => "PREPARE".to_owned(),
            _ => continue,
        };
        *logged.entry(method).or_default() += 1;
    }
    let mut reported = BTreeMap::<String, usize>::new();
    for exchange in seen.at(port) {
        assert_eq!((&*exchange.outcome, &*exchange.observed_by), ("complete", "both"));
        if exchange.method != "INIT_DB" && exchange.method != "RESET" {
            *reported.entry(exchange.method.clone()).or_default() += 1;
        }
    }
    say(&format!("{reported:?} reported"));
    assert_eq!(reported, logged);
    let line = "SELECT SELECT a, b FROM t WHERE a = ? ok";
    assert_eq!(seen.at(port).iter().filter(|exchange| exchange.line() == line).count(), 300);
    assert!(!seen.text.contains("hunter2"), "a value was shown");
}
