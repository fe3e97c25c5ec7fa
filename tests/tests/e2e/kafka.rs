//! Kafka with clients that count, against what Alaz reports.

use std::process::Command;

use alaz_tests::alaz::{Seen, Watch};
use alaz_tests::exchange::Exchange;
use alaz_tests::kafka::Kafka;
use alaz_tests::program::run;
use alaz_tests::{say, turn_to_capture};

/// kafka-python: one record a request, so that records count requests.
const KAFKA_PYTHON: &str = r#"
import sys
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
address, secret = sys.argv[1], b"canary7f3a"
admin = KafkaAdminClient(bootstrap_servers=address)
small = NewTopic("small", 1, 1, topic_configs={"max.message.bytes": "1000"})
admin.create_topics([NewTopic("orders", 2, 1), NewTopic("metrics", 1, 1), small])
producer = KafkaProducer(bootstrap_servers=address, acks=1, max_block_ms=500)
for number in range(100):
    producer.send("orders", secret * (number + 1), key=secret, partition=number % 2).get(10)
producer.send("orders", secret * 90_000, partition=0).get(10)
try:
    producer.send("small", secret * 1000).get(10)
except MessageSizeTooLargeError:
    pass
try:
    producer.send("missing", secret)
except KafkaTimeoutError:
    pass
producer.close()
careless = KafkaProducer(bootstrap_servers=address, acks=0)
for number in range(20):
    careless.send("orders", secret, partition=1).get(10)
careless.close()
consumer = KafkaConsumer(
    "orders", bootstrap_servers=address, group_id="billing", auto_offset_reset="earliest")
for received in range(121):
    assert next(consumer).value.startswith(secret)
consumer.poll(700)
consumer.commit()
consumer.close()
"#;

/// librdkafka.
const CONFLUENT: &str = r#"
import sys
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
server = {"bootstrap.servers": sys.argv[1]}
admin = AdminClient(server)
admin.create_topics([NewTopic("bills", 3, 1)])["bills"].result()
delivered = []
producer = Producer({**server, "acks": "all", "linger.ms": 20})
for number in range(60):
    producer.produce("bills", b"canary7f3a", partition=number % 3,
                     on_delivery=lambda error, message: delivered.append(error))
producer.flush()
assert delivered == [None] * 60
consumer = Consumer({**server, "group.id": "audit", "auto.offset.reset": "earliest"})
consumer.subscribe(["bills"])
for received in range(60):
    message = consumer.poll(10)
    assert message.error() is None
consumer.close()
"#;

fn attribute<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    exchange.attributes.get(name).and_then(|value| value.as_str())
}

/// Exchanges of this method, target and status; `*` stands for any target.
fn all<'a>(seen: &'a Seen, port: u16, line: &str) -> Vec<&'a Exchange> {
    let mut found = seen.at(port);
    found.retain(|exchange| {
        let any_target = format!("{} * {}", exchange.method, exchange.status);
        line == exchange.line() || line == any_target
    });
    found
}

/// How many records these exchanges moved; all must say so.
fn records(exchanges: &[&Exchange]) -> u64 {
    let count = |exchange: &&Exchange| {
        let count = attribute(exchange, "messaging.batch.message_count");
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    exchanges.iter().map(count).sum()
}

#[test]
fn clients_of_kafka_are_reported_as_they_count() {
    let Some(_turn) = turn_to_capture() else { return };
    let kafka = Kafka::start();
    kafka.wait_until_ready();
    let watch = Watch::start();

    for client in [KAFKA_PYTHON, CONFLUENT] {
        run(Command::new("/usr/bin/python3").args(["-c", client, &kafka.address()]));
    }
    let sent = ["--topic", "metrics", "--num-records", "2000", "--record-size", "200"];
    kafka.tool("ProducerPerformance", &[&sent[..], &["--throughput", "-1"]].concat());
    let received = ["--topic", "metrics", "--num-records", "2000", "--group", "graphs"];
    kafka.tool("ConsumerPerformance", &received);

    let seen = watch.finish();
    assert!(!seen.text.contains("canary7f3a"));
    let of = |line: &str| all(&seen, kafka.port, line);

    // kafka-python sent each record in a request of its own.
    let produced = of("Produce orders NONE");
    assert_eq!((produced.len(), records(&produced)), (101, 101));
    let to_first = |exchange: &&&Exchange| {
        attribute(exchange, "messaging.destination.partition.id") == Some("0")
    };
    assert_eq!(produced.iter().filter(to_first).count(), 51);
    assert!(produced.iter().any(|exchange| exchange.request_bytes > 900_000));
    let careless = of("Produce orders ");
    assert_eq!((careless.len(), records(&careless)), (20, 20));
    assert!(careless.iter().all(|exchange| exchange.outcome == "one_way"));
    assert_eq!(of("Produce small MESSAGE_TOO_LARGE").len(), 1);
    assert!(!of("Metadata * UNKNOWN_TOPIC_OR_PARTITION").is_empty());
    assert_eq!(records(&of("Fetch orders NONE")), 121);

    // librdkafka sent them in batches.
    assert_eq!(records(&of("Produce bills NONE")), 60);
    assert_eq!(records(&of("Fetch bills NONE")), 60);

    // The Java client tells topics by ids, whose names it may have asked for on another connection.
    assert_eq!(records(&of("Produce metrics NONE")), 2000);
    assert!(of("Produce  NONE").is_empty());

    for group in ["billing", "audit", "graphs"] {
        let is_in_group = |exchange: &&Exchange| {
            attribute(exchange, "messaging.consumer.group.name") == Some(group)
        };
        for method in ["JoinGroup", "SyncGroup", "LeaveGroup", "OffsetCommit", "FindCoordinator"] {
            let found = of(&format!("{method} * NONE"));
            assert!(found.into_iter().any(|exchange| is_in_group(&exchange)), "{method} {group}");
        }
    }
    for exchange in seen.at(kafka.port) {
        assert_eq!(exchange.protocol, "kafka");
        // Of a client that has left, only the broker was there to the end.
        let latency_ns = exchange.latency_ns.or(exchange.server_latency_ns);
        assert_eq!(latency_ns.is_some(), exchange.outcome == "complete", "{exchange:?}");
        let is_error = !matches!(&*exchange.status, "" | "NONE");
        assert_eq!(attribute(exchange, "error.type").is_some(), is_error, "{exchange:?}");
        // Clients leave without waiting for what they have asked for.
        let is_left = exchange.outcome == "no_response";
        assert_eq!(exchange.error, is_error || is_left, "{exchange:?}");
        if exchange.method == "Fetch" && exchange.outcome == "complete" {
            assert_eq!(attribute(exchange, "alaz.waiting"), Some("true"), "{exchange:?}");
        }
    }
    // The broker's own connection to its controller is older than the watch.
    assert!(!all(&seen, kafka.controller_port, "BrokerHeartbeat  NONE").is_empty());
    let lost = &seen.ledger.total.bytes.lost;
    let exchanges = &seen.ledger.exchanges;
    say(&format!("{} exchanges, {exchanges:?}, lost {lost:?}", seen.at(kafka.port).len()));
}
