//! What is asked for, over all edges.

use alaz_model::{Outcome, Protocol};

use super::*;

/// `client` asks the database on port 5432.
fn statement(client: &str, text: &str, latency_ns: u64) -> Exchange {
    let mut exchange = between(client, "postgres", 5432);
    let message = &mut exchange.message;
    message.protocol = Protocol::Postgresql;
    message.method = "SELECT".into();
    message.route = text.into();
    message.status = "ok".into();
    message.attributes.push(("db.namespace", "orders".into()));
    exchange.latency_ns = Some(latency_ns);
    exchange
}

fn canceled(mut exchange: Exchange) -> Exchange {
    exchange.message.status = "57014".into();
    exchange.message.error = true;
    exchange
}

/// `client` and a broker of this protocol move so many messages.
fn moved(protocol: Protocol, client: &str, method: &str, target: &str, count: &str) -> Exchange {
    let mut exchange = between(client, "broker", 9092);
    let message = &mut exchange.message;
    message.protocol = protocol;
    message.method = method.into();
    message.route = target.into();
    let name = match protocol {
        Protocol::Kafka => "messaging.batch.message_count",
        _ => "messaging.message.body.size",
    };
    message.attributes.push((name, count.into()));
    exchange
}

fn rows<'a>(answer: &'a Value, fields: &[&str]) -> Vec<Vec<&'a Value>> {
    let operations = answer["operations"].as_array().unwrap();
    operations.iter().map(|row| fields.iter().map(|name| &row[name]).collect()).collect()
}

#[tokio::test]
async fn statements_that_take_most_time_come_first() {
    const MS: u64 = 1_000_000;
    let mut site = Site::new();
    let fast = |client| statement(client, "SELECT a FROM t WHERE id = ?", MS);
    let slow = |client| statement(client, "SELECT pg_sleep(?)", 400 * MS);
    let mut seen: Vec<_> = (0..50).map(|_| fast("web")).collect();
    seen.extend([slow("web"), slow("report"), canceled(slow("report")), between("web", "x", 80)]);
    site.second(&seen);
    // Steps add up.
    site.second(&[slow("report")]);

    let fields = ["from", "route", "database", "requests", "errors", "max_ns", "total_ns"];
    let sql = "/api/v1/operations?protocol=postgresql,mysql";
    let answer = site.json(sql).await;
    let mut found = rows(&answer, &fields);
    let callers: Vec<_> = found.iter_mut().map(|row| row.remove(0)["name"].clone()).collect();
    assert_eq!(callers, ["report", "web", "web"]);
    let (sleep, by_id) = (json!("SELECT pg_sleep(?)"), json!("SELECT a FROM t WHERE id = ?"));
    let (orders, max) = (json!("orders"), json!(400 * MS));
    let total = |ms: u64| json!(ms * MS);
    assert_eq!(
        found,
        [
            [&sleep, &orders, &json!(3), &json!(1), &max, &total(1200)],
            [&sleep, &orders, &json!(1), &json!(0), &max, &total(400)],
            [&by_id, &orders, &json!(50), &json!(0), &json!(MS), &total(50)],
        ]
    );
    assert_eq!(answer["operations"][0]["errors_by_code"], json!({"57014": 1}));
    assert_eq!((&answer["total"], &answer["overflow"]), (&json!(3), &json!(0)));

    let answer = site.json(&format!("{sql}&by=server&sort=p99")).await;
    let fields = ["route", "callers", "requests", "from", "edge"];
    assert_eq!(
        rows(&answer, &fields),
        [
            [&sleep, &json!(2), &json!(4), &Value::Null, &Value::Null],
            [&by_id, &json!(1), &json!(50), &Value::Null, &Value::Null],
        ]
    );
    let first = |answer: &Value| answer["operations"][0]["route"].clone();
    assert_eq!(first(&site.json(&format!("{sql}&sort=requests")).await), by_id);
    let answer = site.json(&format!("{sql}&limit=1")).await;
    assert_eq!((rows(&answer, &["route"]).len(), &answer["total"]), (1, &json!(3)));
    for (text, total) in
        [("REPORT", 1), ("pg_sleep+web", 1), (":5432", 3), (":5433", 0), ("orders+from", 1)]
    {
        let answer = site.json(&format!("{sql}&text={text}")).await;
        assert_eq!(answer["total"], total, "{text}");
    }
}

#[tokio::test]
async fn topics_and_queues_tell_what_was_produced_and_consumed() {
    let mut site = Site::new();
    let (kafka, amqp) = (Protocol::Kafka, Protocol::Amqp);
    let mut refused = moved(kafka, "shop", "Produce", "orders", "4");
    refused.message.status = "NOT_LEADER_OR_FOLLOWER".into();
    refused.message.error = true;
    let mut silent = moved(kafka, "shop", "Produce", "orders", "");
    silent.message.outcome = Outcome::NoResponse;
    silent.message.error = true;
    site.second(&[
        moved(kafka, "shop", "Produce", "orders", "10"),
        moved(kafka, "shop", "Produce", "orders", "5"),
        refused,
        silent,
        moved(kafka, "billing", "Fetch", "orders", "15"),
        moved(kafka, "billing", "Heartbeat", "", ""),
        moved(amqp, "shop", "basic.publish", "mail", "120"),
        moved(amqp, "mailer", "basic.deliver", "mail", "120"),
        moved(amqp, "mailer", "queue.declare", "mail", "120"),
    ]);
    let answer = site.json("/api/v1/operations?messages=true&sort=requests").await;
    let fields = ["route", "protocol", "action", "requests", "messages", "errors_by_code"];
    let mut found = rows(&answer, &fields);
    found.sort_by_key(|row| row[..3].iter().map(|field| field.to_string()).collect::<Vec<_>>());
    let (produce, consume, none) = (json!("produce"), json!("consume"), json!({}));
    let failed = json!({"NOT_LEADER_OR_FOLLOWER": 1, "no_response": 1});
    assert_eq!(
        found,
        [
            [&json!("mail"), &json!("amqp"), &consume, &json!(1), &json!(1), &none],
            [&json!("mail"), &json!("amqp"), &produce, &json!(1), &json!(1), &none],
            [&json!("orders"), &json!("kafka"), &consume, &json!(1), &json!(15), &none],
            [&json!("orders"), &json!("kafka"), &produce, &json!(4), &json!(19), &failed],
        ]
    );
}

#[tokio::test]
async fn what_does_not_fit_is_told_as_overflow() {
    let mut site = Site::new();
    let limit = Limits::default().routes_per_edge;
    let seen: Vec<_> =
        (0..limit + 7).map(|n| statement("web", &format!("SELECT {n}"), 1_000)).collect();
    site.second(&seen);
    let answer = site.json("/api/v1/operations?limit=1000").await;
    assert_eq!((&answer["total"], &answer["overflow"]), (&json!(limit), &json!(7)));
    // Not those of other protocols.
    let answer = site.json("/api/v1/operations?protocol=kafka").await;
    assert_eq!((&answer["total"], &answer["overflow"]), (&json!(0), &json!(0)));
}
