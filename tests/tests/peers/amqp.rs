//! RabbitMQ: what the clients counted.

use alaz_tests::alaz::Watch;
use alaz_tests::program::run;
use alaz_tests::rabbitmq::Broker;
use alaz_tests::turn_to_capture;

use crate::{client, count, told};

#[test]
fn what_every_client_publishes_and_takes_is_reported() {
    let Some(_turn) = turn_to_capture() else { return };
    let broker = Broker::start();
    for source in ["amqp.py", "amqp.js", "Amqp.java"] {
        let watch = Watch::start();
        let output = run(&mut client(source, broker.port));
        let seen = watch.finish();
        assert!(!seen.text.contains("hunter2"), "a body was shown");
        let reported = seen.at(broker.port);
        let shown = count(reported.iter().map(|exchange| &*exchange.method));
        let mut total = 0;
        for line in output.lines() {
            let (method, number) = line.split_once(' ').unwrap();
            let number: usize = number.parse().unwrap();
            assert_eq!(shown.get(method), Some(&number), "{source}: {method}");
            total += number;
        }
        for exchange in &reported {
            assert!(!exchange.error, "{exchange:?}");
            let is_taken = exchange.method == "basic.deliver";
            assert!(!is_taken || exchange.line().ends_with(" ok"), "{exchange:?}");
        }
        told(
            source,
            total,
            shown["basic.publish"] + shown["basic.deliver"] + shown["queue.declare"],
        );
    }
}
