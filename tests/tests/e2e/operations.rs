//! What `alaz run` tells of statements, topics and errors, against what the clients did.

use std::process::Command;

use alaz_tests::alaz::{Server, Watch};
use alaz_tests::kafka::Kafka;
use alaz_tests::nginx::Nginx;
use alaz_tests::postgresql::Postgresql;
use alaz_tests::program::{Program, run};
use alaz_tests::{free_port, turn_to_capture, wait_until};
use serde_json::{Value, json};

fn operations(alaz: &Server, query: &str) -> Vec<Value> {
    let answer = alaz.json(&format!("/api/v1/operations?{query}"));
    assert_eq!(answer["overflow"], 0, "{answer}");
    answer["operations"].as_array().unwrap().clone()
}

fn requests(operations: &[Value]) -> u64 {
    operations.iter().map(|row| row["requests"].as_u64().unwrap()).sum()
}

/// The edge that leads to this port from a caller of this name.
fn edge(alaz: &Server, port: u16, caller: &str) -> Value {
    let map = alaz.json("/api/v1/map");
    let nodes = map["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["name"] == caller).expect(caller);
    let edges = map["edges"].as_array().unwrap();
    let found = edges.iter().find(|edge| edge["port"] == port && edge["from"] == node["id"]);
    alaz.json(&format!("/api/v1/edges/{}", found.expect("an edge")["id"].as_str().unwrap()))
}

#[test]
fn slow_statements_come_first_by_caller_and_by_database() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Postgresql::start();
    let port = server.address.port();
    let alaz = Server::start();

    server.psql(&["CREATE TABLE t (a int)"]);
    server.psql(&["SELECT pg_sleep(0.2)"; 3]);
    server.psql(&["SELECT count(*) FROM t"; 40]);
    let canceled = "SET statement_timeout = 50; SELECT pg_sleep(0.3)";
    assert!(!server.client("psql").args(["-X", "-c", canceled]).output().unwrap().status.success());
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.sql");
    std::fs::write(&script, "SELECT pg_sleep(0.15)\n").unwrap();
    run(server.client("pgbench").args(["-n", "-t", "5", "-f"]).arg(&script));

    let query = format!("protocol=postgresql&text=:{port}");
    wait_until("all statements are told", || {
        requests(&operations(&alaz, &format!("{query}+pg_sleep"))) == 9
    });
    let rows = operations(&alaz, &query);
    let fields = |row: &Value| {
        let (caller, route) = (row["from"]["name"].clone(), row["route"].clone());
        let numbers = (row["requests"].clone(), row["errors"].clone());
        (caller, route, row["database"].clone(), numbers)
    };
    let (sleep, database) = (json!("SELECT pg_sleep(?)"), json!("postgres"));
    let row = |caller: &str, requests: u64| {
        (json!(caller), sleep.clone(), database.clone(), (json!(requests), json!(0)))
    };
    assert_eq!(fields(&rows[0]), row("pgbench", 5), "{rows:?}");
    assert_eq!(fields(&rows[1]), row("psql", 3), "{rows:?}");
    for (row, least_ns, requests) in [(&rows[0], 150_000_000, 5), (&rows[1], 200_000_000, 3)] {
        // A quantile is as exact as the buckets are wide.
        assert!(row["p50_ns"].as_u64().unwrap() >= least_ns * 95 / 100, "{row}");
        assert!(row["max_ns"].as_u64() >= row["p50_ns"].as_u64(), "{row}");
        assert!(row["total_ns"].as_u64().unwrap() >= requests * least_ns, "{row}");
    }
    let failed = rows.iter().find(|row| row["errors"] == 1).expect("the one that was canceled");
    assert_eq!(failed["errors_by_code"], json!({"57014": 1}));
    assert_eq!(edge(&alaz, port, "psql")["errors_by_code"], json!({"57014": 1}));

    let rows = operations(&alaz, &format!("{query}&by=server&sort=p99"));
    let sleeping = rows.iter().find(|row| row["route"] == sleep).unwrap();
    assert_eq!((&sleeping["requests"], &sleeping["callers"]), (&json!(8), &json!(2)));
    let rows = operations(&alaz, &format!("{query}&sort=requests"));
    assert_eq!(
        (&rows[0]["route"], &rows[0]["requests"]),
        (&json!("SELECT count(*) FROM t"), &json!(40))
    );
    assert!(alaz.stop().success());
}

#[test]
fn errors_of_redis_are_told_apart_by_code() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    let _redis = Program::serve(command.arg("--dir").arg(folder.path()), port);
    let alaz = Server::start();
    for command in ["SET k v", "LPUSH k 1", "LPUSH k 2", "EVALSHA aa 0", "GET k"] {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &port.to_string()]).args(command.split(' '));
        client.output().unwrap();
    }
    wait_until("all commands are told", || {
        requests(&operations(&alaz, &format!("protocol=redis&text=:{port}"))) >= 5
    });
    let codes = &edge(&alaz, port, "redis-cli")["errors_by_code"];
    assert_eq!(*codes, json!({"WRONGTYPE": 2, "NOSCRIPT": 1}));
}

#[test]
fn parts_of_paths_that_vary_are_learned() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let watch = Watch::start();
    // 78 words in one place, 26 in another.
    for path in ["/item/[a-z][a-c]", "/item/zz", "/other/[a-z]"] {
        run(Command::new("curl").args(["-sS", "-o", "/dev/null"]).arg(nginx.url(path)));
    }
    let seen = watch.finish();
    let exchanges = seen.at(nginx.address.port());
    let route = |target: &str| {
        let found = exchanges.iter().find(|exchange| exchange.target == target);
        found.map(|exchange| exchange.route.clone()).expect(target)
    };
    assert_eq!(exchanges.len(), 78 + 1 + 26);
    assert_eq!(route("/item/aa"), "/item/aa");
    assert_eq!(route("/item/zz"), "/item/{id}");
    assert_eq!(route("/other/z"), "/other/z");
}

/// kafka-python; each record is a request.
const PRODUCER: &str = r#"
import sys
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import MessageSizeTooLargeError
admin = KafkaAdminClient(bootstrap_servers=sys.argv[1])
small = NewTopic("small", 1, 1, topic_configs={"max.message.bytes": "1000"})
admin.create_topics([NewTopic("orders", 1, 1), small])
producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks=1)
for number in range(30):
    producer.send("orders", b"value").get(10)
for number in range(2):
    try:
        producer.send("small", b"x" * 5000).get(10)
    except MessageSizeTooLargeError:
        pass
producer.close()
"#;

#[test]
fn topics_of_kafka_tell_who_produced_and_consumed() {
    let Some(_turn) = turn_to_capture() else { return };
    let kafka = Kafka::start();
    kafka.wait_until_ready();
    let alaz = Server::start();
    run(Command::new("/usr/bin/python3").args(["-c", PRODUCER, &kafka.address()]));
    let consume = ["-q", "-C", "-t", "orders", "-o", "beginning", "-c", "30", "-b"];
    let printed = run(Command::new("kcat").args(consume).arg(kafka.address()));
    assert_eq!(printed.lines().count(), 30);

    let query = format!("protocol=kafka&messages=true&text=:{}", kafka.port);
    let moved = |action: &str, topic: &str| -> (u64, u64) {
        let rows = operations(&alaz, &query);
        let rows = rows.iter().filter(|row| row["action"] == action && row["route"] == topic);
        let sum = |name: &str| rows.clone().map(|row| row[name].as_u64().unwrap()).sum();
        (sum("messages"), sum("errors"))
    };
    wait_until("all records are told", || moved("consume", "orders").0 >= 30);
    assert_eq!(moved("produce", "orders"), (30, 0));
    assert_eq!(moved("consume", "orders").0, 30);
    assert_eq!(moved("produce", "small").1, 2);
    let rows = operations(&alaz, &query);
    let consumed = rows.iter().find(|row| row["action"] == "consume").unwrap();
    assert_eq!(consumed["from"]["name"], "kcat", "{consumed}");
    let codes = rows.iter().find(|row| row["route"] == "small").unwrap();
    assert_eq!(codes["errors_by_code"], json!({"MESSAGE_TOO_LARGE": 2}));
}
