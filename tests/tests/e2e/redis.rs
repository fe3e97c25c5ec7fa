//! Redis's own count of commands against what Alaz reports.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use alaz_tests::alaz::{Seen, Watch};
use alaz_tests::program::run;
use alaz_tests::redis::Redis;
use alaz_tests::{say, turn_to_capture};

/// How often each command was reported, but the `INFO` that asked for the server's count.
fn reported(seen: &Seen, port: u16) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in seen.at(port) {
        assert_eq!(exchange.protocol, "redis");
        let is_push = exchange.attributes.contains_key("alaz.direction");
        if !is_push && exchange.method != "INFO" {
            *counts.entry(exchange.method.clone()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_benchmark_with_pipelines_is_reported_as_counted() {
    let Some(_turn) = turn_to_capture() else { return };
    let redis = Redis::start();
    let watch = Watch::start();

    for pipeline in ["16", "1"] {
        let load = ["-q", "-c", "4", "-n", "12800", "-r", "1000", "-P", pipeline, "-t", "set,get"];
        redis.client("redis-benchmark", &load);
    }

    let calls = redis.calls();
    let seen = watch.finish();
    let counts = reported(&seen, redis.port);
    say(&format!("{calls:?} called, {counts:?} reported"));
    if seen.ledger.lost_nothing() {
        assert_eq!(counts, calls);
    }
    for (command, count) in counts {
        assert!(count <= calls[&command], "{command}: more than there were");
    }
    let complete: Vec<_> =
        seen.at(redis.port).into_iter().filter(|e| e.outcome == "complete").collect();
    for exchange in &complete {
        assert_eq!((&*exchange.status, &*exchange.observed_by), ("ok", "both"), "{exchange:?}");
        if exchange.method == "SET" {
            assert_eq!((&*exchange.target, exchange.response_bytes), ("key:{id}", 5));
            assert!(exchange.latency_ns.is_some());
        }
    }
    assert!(complete.iter().any(|e| e.client.workload == "redis-benchmark"));
}

/// Each call carries more commands than are copied of a call's ends, until its connection is copied in
/// depth.
#[test]
fn pipelines_longer_than_a_segment_are_read_once_they_are_known() {
    const COMMANDS: usize = 200;
    const ROUNDS: usize = 60;
    let Some(_turn) = turn_to_capture() else { return };
    let redis = Redis::start();
    let watch = Watch::start();
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    let pipeline = "*2\r\n$3\r\nGET\r\n$12\r\nnothing:here\r\n".repeat(COMMANDS);
    for _ in 0..ROUNDS {
        connection.write_all(pipeline.as_bytes()).unwrap();
        let mut replies = vec![0; "$-1\r\n".len() * COMMANDS];
        connection.read_exact(&mut replies).unwrap();
        // Time to find out, and to ask the kernel side for more.
        std::thread::sleep(Duration::from_millis(30));
    }
    drop(connection);
    let seen = watch.finish();
    let reported = reported(&seen, redis.port)["GET"];
    say(&format!("{} called, {reported} reported", COMMANDS * ROUNDS));
    assert!(reported <= COMMANDS * ROUNDS);
    // The first calls are lost in part, the others are not.
    assert!(reported > COMMANDS * ROUNDS / 2, "{:?}", seen.ledger);
    for exchange in seen.at(redis.port).iter().filter(|it| it.method == "GET") {
        assert!(["complete", "partial"].contains(&&*exchange.outcome), "{exchange:?}");
    }
}

const CLIENT: &str = r#"
import redis, sys
r = redis.Redis(port=int(sys.argv[1]), db=2)
secret = "canary7f3a" * 500
for number in range(50):
    r.set(f"user:{number}:cart", secret)
    assert r.get(f"user:{number}:cart") == secret.encode()
with r.pipeline(transaction=True) as pipe:
    for number in range(10):
        pipe.incr(f"counter:{number}")
    pipe.execute()
r.rpush("queue:jobs", "canary7f3a")
r.blpop("queue:jobs")
try:
    r.lpush("user:1:cart", "canary7f3a")
except redis.ResponseError:
    pass
r.hset("big", mapping={f"canary7f3a-{number}": number for number in range(1000)})
assert len(r.hgetall("big")) == 1000
listener = redis.Redis(port=int(sys.argv[1])).pubsub()
listener.subscribe("news:1", "chat")
# Published before the subscription is confirmed, it would reach nobody.
confirmed = 0
while confirmed < 2:
    message = listener.get_message(timeout=5)
    confirmed += message is not None and message["type"] == "subscribe"
for number in range(20):
    r.publish("chat", "canary7f3a")
messages = 0
while messages < 20:
    message = listener.get_message(timeout=5)
    messages += message is not None and message["type"] == "message"
"#;

#[test]
fn a_client_is_reported_with_its_keys_and_without_its_values() {
    let Some(_turn) = turn_to_capture() else { return };
    let redis = Redis::start();
    let watch = Watch::start();

    run(Command::new("/usr/bin/python3").args(["-c", CLIENT, &redis.port.to_string()]));

    let calls = redis.calls();
    let seen = watch.finish();
    assert!(seen.ledger.lost_reasons_are_only(&["truncated"]), "{:?}", seen.ledger);
    assert_eq!(reported(&seen, redis.port), calls);
    assert!(!seen.text.contains("canary7f3a"));

    let count = |line: &str| seen.at(redis.port).iter().filter(|e| e.line() == line).count();
    assert_eq!(count("SET user:{id}:cart ok"), 50);
    assert_eq!(count("GET user:{id}:cart ok"), 50);
    assert_eq!(count("INCRBY counter:{id} ok"), 10);
    assert_eq!(count("LPUSH user:{id}:cart WRONGTYPE"), 1);
    assert_eq!(count("HGETALL big ok"), 1);
    assert_eq!(count("MESSAGE chat "), 20);
    for exchange in seen.at(redis.port) {
        let attribute = |name: &str| exchange.attributes.get(name).and_then(|value| value.as_str());
        assert_eq!(exchange.error, exchange.status == "WRONGTYPE", "{exchange:?}");
        match &*exchange.method {
            "BLPOP" => assert_eq!(attribute("alaz.waiting"), Some("true")),
            "MESSAGE" => assert_eq!(attribute("alaz.direction"), Some("push")),
            "SET" => assert_eq!(attribute("db.namespace"), Some("2")),
            _ => {}
        }
    }
}
