//! RabbitMQ with a client that counts, against what Alaz reports.

use std::collections::BTreeMap;
use std::process::Command;

use alaz_tests::alaz::Watch;
use alaz_tests::program::run;
use alaz_tests::rabbitmq::Broker;
use alaz_tests::turn_to_capture;

const CLIENT: &str = r#"
import pika, sys
secret = b"canary7f3a"
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
channel = connection.channel()
channel.exchange_declare("shop", "topic")
channel.queue_declare("orders")
channel.queue_bind("orders", "shop", "orders.#")
for number in range(100):
    channel.basic_publish("shop", f"orders.{number}", secret * number)
confirming = connection.channel()
confirming.confirm_delivery()
for number in range(50):
    confirming.basic_publish("", "orders", secret * 5000)
try:
    confirming.basic_publish("", "nowhere", secret, mandatory=True)
except pika.exceptions.UnroutableError:
    pass
assert channel.basic_get("orders", auto_ack=True)[0]
received = 0
for method, properties, body in channel.consume("orders"):
    received += 1
    if received % 10 == 0:
        channel.basic_reject(method.delivery_tag, requeue=False)
    else:
        channel.basic_ack(method.delivery_tag)
    if received == 149:
        break
channel.cancel()
assert channel.basic_get("orders", auto_ack=True)[0] is None
try:
    channel.queue_declare("missing", passive=True)
except pika.exceptions.ChannelClosedByBroker as closed:
    assert closed.reply_code == 404
connection.close()
"#;

#[test]
fn a_client_of_rabbitmq_is_reported_method_by_method() {
    let Some(_turn) = turn_to_capture() else { return };
    let broker = Broker::start();
    let watch = Watch::start();

    run(Command::new("/usr/bin/python3").args(["-c", CLIENT, &broker.port.to_string()]));

    let seen = watch.finish();
    let mut counts = BTreeMap::new();
    for exchange in seen.at(broker.port) {
        assert_eq!(exchange.protocol, "amqp");
        let line = format!("{} {}", exchange.line(), exchange.outcome);
        *counts.entry(line).or_insert(0) += 1;
    }
    let expected = [
        ("connection.start-ok  ok complete", 1),
        ("connection.open  ok complete", 1),
        ("channel.open  ok complete", 2),
        ("exchange.declare shop ok complete", 1),
        ("queue.declare orders ok complete", 1),
        ("queue.bind orders ok complete", 1),
        ("basic.publish shop/orders.{id}  one_way", 100),
        ("confirm.select  ok complete", 1),
        ("basic.publish orders ok complete", 50),
        ("basic.publish nowhere ok complete", 1),
        ("basic.return nowhere 312 one_way", 1),
        ("basic.get orders ok complete", 2),
        ("basic.consume orders ok complete", 1),
        ("basic.deliver orders ok complete", 135),
        ("basic.deliver orders reject complete", 14),
        ("basic.cancel orders ok complete", 1),
        ("queue.declare missing 404 complete", 1),
        ("channel.close  404 complete", 1),
        ("channel.close  ok complete", 1),
        ("connection.close  ok complete", 1),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(line, count)| (line.to_owned(), count)).collect();
    assert_eq!(counts, expected, "{:?}", seen.ledger);
    assert!(!seen.text.contains("canary7f3a"));
    for exchange in seen.at(broker.port) {
        let attribute = |name: &str| exchange.attributes.get(name).and_then(|value| value.as_str());
        let is_error = !matches!(&*exchange.status, "" | "ok" | "reject");
        assert_eq!(exchange.error, is_error, "{exchange:?}");
        assert_eq!(exchange.latency_ns.is_some(), exchange.outcome == "complete", "{exchange:?}");
        if exchange.method == "basic.deliver" {
            assert_eq!(attribute("alaz.direction"), Some("push"));
        }
        if exchange.line() == "basic.publish orders ok" {
            assert_eq!(attribute("messaging.message.body.size"), Some("50000"));
        }
    }
}
