//! `alaz run`: the API and its guards, and the commands that read from it.

use std::process::Command;
use std::time::Duration;

use alaz_tests::alaz::{self, Server};
use alaz_tests::exchange::{Ledger, read_exchanges};
use alaz_tests::http;
use alaz_tests::nginx::Nginx;
use alaz_tests::program::{self, Program};
use alaz_tests::{load, turn_to_capture, wait_until};
use serde_json::Value;

fn edge_to(map: &Value, port: u16) -> Option<&Value> {
    map["edges"].as_array().unwrap().iter().find(|edge| edge["port"] == port)
}

fn node<'a>(map: &'a Value, id: &Value) -> &'a Value {
    map["nodes"].as_array().unwrap().iter().find(|node| node["id"] == *id).unwrap()
}

#[test]
fn the_map_counts_exactly() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let mut alaz = Server::start();
    assert_eq!(http::get(alaz.address, "/healthz").status, 200);

    let urls = ["/item/[1-20]", "/missing?n=[1-7]", "/fail?n=[1-3]"].map(|path| nginx.url(path));
    program::run(Command::new("curl").args(["-sS", "-o", "/dev/null"]).args(urls));
    wait_until("the map has all requests", || {
        edge_to(&alaz.json("/api/v1/map"), port).is_some_and(|edge| edge["requests"] == 30)
    });

    let map = alaz.json("/api/v1/map?from=-5m&protocol=http");
    let edge = edge_to(&map, port).unwrap();
    assert_eq!(edge["errors"], 3);
    assert_eq!(edge["protocol"], "http");
    assert_eq!(edge["status"], serde_json::json!({"2xx": 20, "4xx": 7, "5xx": 3}));
    assert_eq!(node(&map, &edge["from"])["name"], "curl");
    assert_eq!(node(&map, &edge["to"])["name"], "nginx");
    assert!(
        edge["p50_ns"].as_u64().unwrap() > 0 && edge["p50_ns"].as_u64() <= edge["p99_ns"].as_u64()
    );

    let id = edge["id"].as_str().unwrap();
    let detail = alaz.json(&format!("/api/v1/edges/{id}"));
    assert_eq!(detail["status"], serde_json::json!({"200": 20, "404": 7, "500": 3}));
    let series = alaz.json(&format!("/api/v1/edges/{id}/series"));
    let points = series["points"].as_array().unwrap().iter();
    assert_eq!(points.map(|point| point["requests"].as_u64().unwrap()).sum::<u64>(), 30);

    let ledger: Ledger = serde_json::from_value(alaz.json("/api/v1/ledger")).unwrap();
    ledger.assert_balances();
    assert!(ledger.exchanges.reported >= 30);
    // What was not read yet is in the kernel's count only.
    let (kernel, seen) = (ledger.kernel.unwrap(), ledger.sources["socket"].segments.seen);
    assert!(kernel.segments >= seen, "{kernel:?}, {seen} seen");

    let log = nginx.stop();
    let bytes: u64 = log.iter().map(|line| line.bytes_sent).sum();
    let requests: u64 = log.iter().map(|line| line.request_length).sum();
    assert_eq!((log.len(), edge["response_bytes"].as_u64()), (30, Some(bytes)));
    assert_eq!(edge["request_bytes"].as_u64(), Some(requests));
    alaz.program().assert_running();
    assert!(alaz.stop().success());
}

#[test]
fn under_load_the_map_counts_what_was_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let alaz = Server::start();
    let sent = load::at_rate(nginx.address, "/empty", 5_000, Duration::from_secs(2));
    let logged = nginx.stop().len() as u64;
    assert_eq!((sent.failed, sent.answered), (0, logged));
    wait_until("the map has all requests", || {
        edge_to(&alaz.json("/api/v1/map"), port).is_some_and(|edge| edge["requests"] == logged)
    });
}

#[test]
fn strangers_are_turned_away() {
    let Some(_turn) = turn_to_capture() else { return };
    let alaz = Server::start();
    let own = alaz.address.to_string();
    let localhost = format!("localhost:{}", alaz.address.port());
    let status = |host: &str, target: &str, headers: &str| {
        http::try_get_as(alaz.address, host, target, headers).expect("an answer").status
    };
    for page in ["/", "/api/v1/map", "/api/v1/exchanges"] {
        assert_eq!(status(&own, page, ""), 200, "{page}");
        assert_eq!(status(&localhost, page, ""), 200, "{page}");
        // DNS rebinding: the browser was led here under a name that is not ours.
        assert_eq!(status("evil.example", page, ""), 403, "{page}");
        assert_eq!(status("127.0.0.1.evil.example", page, ""), 403, "{page}");
        let stranger = "Origin: http://evil.example\r\n";
        assert_eq!(status(&own, page, stranger), 403, "{page}");
        let ours = format!("Origin: http://{own}\r\n");
        assert_eq!(status(&own, page, &ours), 200, "{page}");
    }
    assert_eq!(status(&own, "/api/v1/nothing", ""), 404);
    assert_eq!(status(&own, "/api/v1/map?from=yesterday", ""), 400);
    assert_eq!(status(&own, "/../../etc/passwd", ""), 404);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let Some(_turn) = turn_to_capture() else { return };
    let alaz = Server::start();
    let page = http::get(alaz.address, "/");
    assert_eq!(page.status, 200);
    let head = page.head.to_lowercase();
    let policy = head.lines().find(|line| line.starts_with("content-security-policy:"));
    assert!(policy.is_some_and(|policy| policy.contains("default-src")), "{head}");
    let text = page.text();
    for attribute in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!text.contains(attribute), "{text}");
    }
}

#[test]
fn alaz_is_not_on_its_own_map() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let alaz = Server::start();
    for _ in 0..20 {
        assert_eq!(http::get(alaz.address, "/api/v1/map").status, 200);
    }
    program::run(Command::new("curl").args(["-sS", "-o", "/dev/null", &nginx.url("/[1-3]")]));
    wait_until("the map has what came after", || {
        edge_to(&alaz.json("/api/v1/map"), nginx.address.port())
            .is_some_and(|edge| edge["requests"] == 3)
    });
    let map = alaz.json("/api/v1/map");
    assert!(edge_to(&map, alaz.address.port()).is_none(), "{map}");
}

#[test]
fn no_alaz_is_on_the_map_of_another() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let alaz = Server::start();
    let watch = alaz::Watch::start();
    for _ in 0..20 {
        assert_eq!(http::get(alaz.address, "/api/v1/map").status, 200);
    }
    let port = nginx.address.port();
    program::run(Command::new("curl").args(["-sS", "-o", "/dev/null", &nginx.url("/[1-3]")]));
    wait_until("the map has what came after", || {
        edge_to(&alaz.json("/api/v1/map"), port).is_some_and(|edge| edge["requests"] == 3)
    });
    let seen = watch.finish();
    assert_eq!(seen.at(port).len(), 3);
    assert_eq!(seen.at(alaz.address.port()).len(), 0);
}

#[test]
fn other_commands_read_from_the_running_one() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = nginx.address.port().to_string();
    let alaz = Server::start();
    let url = alaz.url();
    // One is told where to look, the other finds it where the settings say.
    let mut told = Program::start(&mut alaz::command(&[
        "watch", "--server", &url, "--output", "json", "--port", &port,
    ]));
    let mut found = Program::start(
        alaz::command(&["watch", "--output", "json", "--port", &port])
            .env("ALAZ_LISTEN", alaz.address.to_string()),
    );
    for watch in [&mut told, &mut found] {
        wait_until("watch says where it reads from", || {
            watch.assert_running();
            watch.stderr().contains(&alaz.address.to_string())
        });
    }
    let mut asked = 0;
    wait_until("both watches report", || {
        program::run(Command::new("curl").args([
            "-sS",
            "-o",
            "/dev/null",
            &nginx.url("/here?x=1"),
        ]));
        asked += 1;
        !told.stdout().is_empty() && !found.stdout().is_empty()
    });
    for watch in [&mut told, &mut found] {
        watch.end(rustix::process::Signal::INT);
        let exchanges = read_exchanges(&watch.stdout());
        assert!(!exchanges.is_empty() && exchanges.len() <= asked);
        for exchange in exchanges {
            assert_eq!(exchange.line(), "GET /here?x=? 200");
        }
    }

    let map = |output: &str| {
        program::run(&mut alaz::command(&["map", "--server", &url, "--output", output]))
    };
    let text = map("text");
    assert!(text.contains("curl") && text.contains("nginx") && text.contains(&port), "{text}");
    let json: Value = serde_json::from_str(&map("json")).unwrap();
    assert!(edge_to(&json, nginx.address.port()).is_some(), "{json}");
    let dot = map("dot");
    assert!(dot.starts_with("digraph") && dot.contains("nginx") && dot.contains("->"), "{dot}");
    let mermaid = map("mermaid");
    assert!(mermaid.starts_with("flowchart LR") && mermaid.contains("nginx"), "{mermaid}");
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let Some(_turn) = turn_to_capture() else { return };
    let alaz = Server::start();
    let answer = http::get(alaz.address, "/metrics");
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let samples: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(!samples.is_empty());
    for sample in samples {
        let value = sample.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{sample}");
    }
    for quantity in ["segments", "bytes"] {
        assert!(text.contains(&format!("\nalaz_kernel_seen_{quantity}_total ")), "{text}");
    }
    let api = alaz.json("/api/v1/openapi.json");
    assert!(api["openapi"].as_str().unwrap().starts_with("3."));
    assert!(api["paths"].as_object().unwrap().len() >= 5);
}
