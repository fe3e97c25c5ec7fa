//! The words of the wire, protocol by protocol.

use alaz_model::Outcome;
use serde_json::{Value, json};

use super::*;
use crate::anteon::testing::exchange;

fn message(protocol: Protocol, method: &str, target: &str, status: &str) -> Message {
    let outcome = if status.is_empty() { Outcome::NoResponse } else { Outcome::Complete };
    let (method, target, status) = (method.into(), target.into(), status.into());
    Message { protocol, method, target, status, outcome, ..exchange().message }
}

/// Fields 10, 11, 13, 14.
fn words(message: &Message, tls: bool) -> (&'static str, u16, String, String) {
    let said = say(message, tls).unwrap();
    (said.protocol, said.status, said.method.to_string(), said.path.to_string())
}

#[track_caller]
fn assert_says(message: &Message, expected: (&'static str, u16, &str, &str)) {
    let (protocol, status, method, path) = words(message, false);
    assert_eq!((protocol, status, &*method, &*path), expected);
}

#[test]
fn a_request_is_a_row_of_16() {
    let row = serde_json::to_value(Row::of(&exchange(), "n").unwrap()).unwrap();
    let expected = json!([
        1_726_300_000_123_u64,
        4_210_345,
        "10.42.0.15",
        "outbound",
        "curl@n",
        51514,
        "10.43.12.8",
        "outbound",
        "10.43.12.8",
        8080,
        "HTTP",
        200,
        "",
        "GET",
        "/users/42?id=?",
        false
    ]);
    assert_eq!(row, expected);
}

#[test]
fn http_of_both_versions_is_told_apart_by_tls_only() {
    for protocol in [Protocol::Http, Protocol::Http2] {
        let get = message(protocol, "GET", "/", "503");
        assert_eq!(words(&get, false), ("HTTP", 503, "GET".into(), "/".into()));
        assert_eq!(words(&get, true).0, "HTTPS");
        assert_says(&message(protocol, "PROPFIND", "/", ""), ("HTTP", 0, "Unknown", "/"));
    }
}

#[test]
fn grpc_has_its_real_status() {
    let call = |status| message(Protocol::Grpc, "Add", "shop.Cart", status);
    assert_says(&call("0"), ("gRPC", 0, "POST", "/shop.Cart/Add"));
    assert_says(&call("14"), ("gRPC", 14, "POST", "/shop.Cart/Add"));
    // Without one it is no success.
    assert_says(&call(""), ("gRPC", 2, "POST", "/shop.Cart/Add"));
}

#[test]
fn databases_answer_done_failed_or_not_known() {
    let sql = "SELECT * FROM t WHERE id = ?";
    let mut select = message(Protocol::Postgresql, "SELECT", sql, "ok");
    assert_says(&select, ("POSTGRES", 1, "SIMPLE_QUERY", sql));
    select.attributes.push(("alaz.prepared", "true".into()));
    select.status = "42P01".into();
    assert_says(&select, ("POSTGRES", 2, "EXTENDED_QUERY", sql));
    let refused = message(Protocol::Postgresql, "STARTUP", "", "28P01");
    assert_says(&refused, ("POSTGRES", 2, "Unknown", "STARTUP"));

    let mut select = message(Protocol::Mysql, "SELECT", sql, "");
    assert_says(&select, ("MYSQL", 2, "TEXT_QUERY", sql));
    select.outcome = Outcome::Partial;
    assert_says(&select, ("MYSQL", 0, "TEXT_QUERY", sql));
    select.attributes.push(("alaz.prepared", "true".into()));
    assert_says(&select, ("MYSQL", 0, "EXEC_STMT", sql));
    let prepare = message(Protocol::Mysql, "PREPARE", sql, "ok");
    assert_says(&prepare, ("MYSQL", 1, "PREPARE_STMT", sql));
    assert_says(&message(Protocol::Mysql, "PING", "", "ok"), ("MYSQL", 1, "Unknown", "PING"));

    let find = message(Protocol::Mongodb, "find", "shop.users", "ok");
    assert_says(&find, ("MONGO", 1, "Unknown", "find users"));
    assert_says(&message(Protocol::Mongodb, "ping", "", "13"), ("MONGO", 2, "Unknown", "ping"));
}

#[test]
fn redis_is_written_in_its_own_protocol_without_values() {
    let get = message(Protocol::Redis, "GET", "user:{id}", "ok");
    assert_says(&get, ("REDIS", 1, "COMMAND", "*2\r\n$3\r\nGET\r\n$9\r\nuser:{id}\r\n"));
    let config = message(Protocol::Redis, "CONFIG GET", "", "NOAUTH");
    assert_says(&config, ("REDIS", 2, "COMMAND", "*2\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n"));
    let mut skipped = message(Protocol::Redis, "PING", "", "");
    skipped.outcome = Outcome::OneWay;
    assert_says(&skipped, ("REDIS", 3, "PING", "*1\r\n$4\r\nPING\r\n"));
}

#[test]
fn what_the_server_begins_comes_from_it() {
    let mut told = exchange();
    for (protocol, method, word) in
        [(Protocol::Amqp, "basic.deliver", "DELIVER"), (Protocol::Redis, "MESSAGE", "PUSHED_EVENT")]
    {
        told.message = message(protocol, method, "news", "");
        told.message.outcome = Outcome::OneWay;
        told.message.attributes = [("alaz.direction", "push".into())].into_iter().collect();
        let row: Value = serde_json::to_value(Row::of(&told, "n").unwrap()).unwrap();
        let ends = [2, 4, 5, 6, 8, 9, 13].map(|at| row[at].clone());
        let expected =
            json!(["10.43.12.8", "10.43.12.8", 8080, "10.42.0.15", "curl@n", 51514, word]);
        assert_eq!(Value::from(ends.to_vec()), expected);
    }
    let publish = message(Protocol::Amqp, "basic.publish", "x/y", "");
    assert_says(&publish, ("AMQP", 0, "PUBLISH", ""));
}

#[test]
fn what_the_wire_has_no_word_for_is_left_out() {
    let left_out = |protocol, method| say(&message(protocol, method, "", "ok"), false).unwrap_err();
    assert_eq!(left_out(Protocol::Dns, "A"), LeftOut::Protocol);
    assert_eq!(left_out(Protocol::Amqp, "queue.declare"), LeftOut::Operation);
    assert_eq!(left_out(Protocol::Kafka, "Metadata"), LeftOut::Operation);
    let mut seen = exchange();
    seen.observed_by = ObservedBy::Server;
    assert_eq!(Row::of(&seen, "n").unwrap_err(), LeftOut::ServerView);
}
