//! Kafka with clients that count, against what Alaz reports.

use std::collections::BTreeMap;
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

/// What was reported of this method, with this target.
fn all<'a>(seen: &'a Seen, port: u16, method: &str, target: &str) -> Vec<&'a Exchange> {
    let mut found = seen.at(port);
    found.retain(|exchange| exchange.method == method && exchange.target == target);
    found
}

/// How many records these exchanges moved.
fn records(exchanges: &[&Exchange]) -> u64 {
    let count = |exchange: &&Exchange| {
        attribute(exchange, "messaging.batch.message_count")?.parse::<u64>().ok()
    };
    exchanges.iter().filter_map(count).sum()
}

fn count(exchanges: &[&Exchange], is_counted: impl Fn(&Exchange) -> bool) -> usize {
    exchanges.iter().filter(|exchange| is_counted(exchange)).count()
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
    let mut counts = BTreeMap::new();
    for exchange in seen.at(kafka.port) {
        assert_eq!(exchange.protocol, "kafka");
        *counts.entry(format!("{} {}", exchange.line(), exchange.outcome)).or_insert(0) += 1;
    }
    say(&format!("{counts:#?} {:?}", seen.ledger));
}
