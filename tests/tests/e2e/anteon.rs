//! An Anteon backend gets what nginx logged, over outages, and is on no map itself.

#[allow(dead_code, unreachable_pub, reason = "the tests of the exporter use all of it")]
#[path = "../../../crates/export/tests/wire/backend.rs"]
mod backend;
#[path = "../../../crates/export/tests/wire/check.rs"]
#[allow(unreachable_pub, reason = "as above")]
mod check;

use std::collections::BTreeMap;
use std::process::Command;

use alaz_tests::alaz::Server;
use alaz_tests::http::{self, Connection};
use alaz_tests::nginx::{LogLine, Nginx};
use alaz_tests::{program, turn_to_capture, wait_until};
use backend::{Backend, Reply};
use serde_json::Value;

/// How many requests curl makes each time.
const REQUESTS: usize = 220;

fn settings(backend: &str) -> [(&str, &str); 5] {
    [
        ("MONITORING_ID", "0ce2ef05-ef64-459d-90d9-7f2cbd65fff8"),
        ("BACKEND_HOST", backend),
        ("NODE_NAME", "node-1"),
        ("BATCH_SIZE", "50"),
        ("SEND_ALIVE_TCP_CONNECTIONS", "true"),
    ]
}

fn ask(nginx: &Nginx) {
    let urls = ["/item/[1-200]?token=secret", "/missing?n=[1-13]", "/fail?n=[1-7]"]
        .map(|path| nginx.url(path));
    program::run(Command::new("curl").args(["-sS", "-o", "/dev/null"]).args(urls));
}

/// Rows that went to this port.
fn rows_to(backend: &Backend, path: &str, port: u16) -> Vec<Value> {
    let port_at = if path == "/connections/" { 8 } else { 9 };
    let mut rows = backend.rows(path);
    rows.retain(|row| row[port_at] == port);
    rows
}

/// By client port and what was said: how many.
type Counts = BTreeMap<(u64, String), usize>;

fn sent(rows: &[Value]) -> Counts {
    let mut counts = Counts::new();
    for row in rows {
        let text = |at: usize| row[at].as_str().unwrap().to_owned();
        let path = text(14);
        let path = path.split('?').next().unwrap();
        let said = format!("{} {path} {}", text(13), row[11]);
        *counts.entry((row[5].as_u64().unwrap(), said)).or_default() += 1;
    }
    counts
}

fn logged(log: &[LogLine]) -> Counts {
    let mut counts = Counts::new();
    for line in log {
        let path = line.target.split('?').next().unwrap();
        let said = format!("{} {path} {}", line.method, line.status);
        *counts.entry((u64::from(line.remote_port), said)).or_default() += 1;
    }
    counts
}

/// The value of a metric, of the line that begins like this.
fn metric(alaz: &Server, name: &str) -> u64 {
    let page = http::get(alaz.address, "/metrics").text();
    let line = page.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
}

#[test]
fn a_backend_gets_what_nginx_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut backend = Backend::start(|_| Reply::OK);
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let alaz = Server::start_in(&settings(&backend.url()));
    let arrived = |backend: &Backend| rows_to(backend, "/requests/", port).len();

    ask(&nginx);
    wait_until("the first rows have arrived", || arrived(&backend) >= REQUESTS);
    wait_until("the agent has said that it is there", || backend.calls("/healthcheck/") > 0);

    // What is seen while the backend is away arrives later.
    backend.go_away();
    ask(&nginx);
    let retries = || metric(&alaz, "alaz_export_retries_total");
    wait_until("the backend is missed", || retries() > 0);
    assert!(metric(&alaz, "alaz_export_queued_rows") >= REQUESTS as u64);
    backend.listen();
    wait_until("all rows have arrived", || arrived(&backend) >= 2 * REQUESTS);
    let open = Connection::open(nginx.address);
    let lists_it = |backend: &Backend| !rows_to(backend, "/connections/", port).is_empty();
    wait_until("the open connection has arrived", || lists_it(&backend));
    drop(open);

    let map = alaz.json("/api/v1/map?from=-5m");
    let edges = map["edges"].as_array().unwrap();
    // The backend knocks at its own door when it goes away, and says nothing.
    let is_silent = |edge: &Value| edge["requests"] == 0 && edge["tcp"]["sent_bytes"] == 0;
    let is_to_backend = |edge: &Value| edge["port"] == backend.address.port();
    let to_backend: Vec<_> =
        edges.iter().filter(|edge| is_to_backend(edge) && !is_silent(edge)).collect();
    assert_eq!(to_backend, [&Value::Null; 0]);
    assert!(edges.iter().any(|edge| edge["port"] == port));
    for reason in ["behind", "queue_full", "rejected", "given_up", "refused", "stopped"] {
        let name =
            format!("alaz_export_lost_rows_total{{exporter=\"anteon\",reason=\"{reason}\"}}");
        assert_eq!(metric(&alaz, &name), 0, "{name}");
    }
    assert!(alaz.stop().success());
    backend.assert_all_was_right();

    let log = nginx.stop();
    let rows = rows_to(&backend, "/requests/", port);
    assert_eq!(sent(&rows), logged(&log));
    for row in &rows {
        let [from, to] = [(3, 4), (7, 8)].map(|(kind, id)| (&row[kind], &row[id]));
        assert_eq!(from, (&"outbound".into(), &"curl@node-1".into()), "{row}");
        assert_eq!(to, (&"outbound".into(), &"nginx@node-1".into()), "{row}");
        assert_eq!((&row[10], &row[15]), (&"HTTP".into(), &false.into()));
        assert!(row[1].as_u64().unwrap() > 0 && !row.to_string().contains("secret"), "{row}");
    }
}

#[test]
fn half_a_setting_is_refused() {
    let mut command = alaz_tests::alaz::command(&["run"]);
    let output = command.env("BACKEND_HOST", "http://127.0.0.1:1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("MONITORING_ID"), "{said}");
}
