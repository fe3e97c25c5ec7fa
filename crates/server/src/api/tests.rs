mod operations;

use std::collections::BTreeSet;
use std::sync::Arc;

use alaz_flow::Limits;
use alaz_model::{Exchange, ExportLedger, ExportLoss, GuardState, GuardStep, Ledger, LeftOut};
use axum::body::Body;
use axum::http::Request;
use hyper::body::Body as _;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::live::Feed;
use crate::testing::{SECOND_NS, between, connection};

/// A server with a feed, and a present that the tests move.
struct Site {
    live: Arc<Live>,
    feed: Feed,
    now_ns: u64,
    router: Router,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    fn new() -> Site {
        let live = Live::new("test-host".to_owned());
        let mut feed = Feed::new(Arc::clone(&live), Limits::default());
        let hosts = Hosts::new("127.0.0.1:8014".parse().unwrap(), &["alaz.example".to_owned()]);
        let router = router(Arc::clone(&live), hosts, crate::Pages::All);
        // A minute of data up to now.
        let now_ns = now_ns();
        let now_ns = now_ns - now_ns % SECOND_NS - 60 * SECOND_NS;
        feed.pass(UnixNanos(now_ns), Ledger::default);
        Site { live, feed, now_ns, router }
    }

    fn second(&mut self, exchanges: &[Exchange]) {
        for exchange in exchanges {
            self.feed.exchange(&Exchange { time: UnixNanos(self.now_ns), ..exchange.clone() });
        }
        self.now_ns += SECOND_NS;
        self.feed.pass(UnixNanos(self.now_ns), || {
            let mut ledger = Ledger::default();
            ledger.socket.segments.parsed = 7;
            ledger.exchanges.reported = 3;
            ledger.exchanges.views.contradicted = 2;
            ledger.kernel = Some(alaz_model::KernelCount { segments: 8, bytes: 900 });
            ledger
        });
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(request(target, &[("host", "127.0.0.1:8014")])).await
    }

    async fn json(&self, target: &str) -> Value {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text);
        answer.json()
    }
}

fn request(target: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn failed(mut exchange: Exchange) -> Exchange {
    exchange.message.status = "503".into();
    exchange.message.error = true;
    exchange.message.route = "/broken".into();
    exchange
}

/// web → api three times, once failed; api → db once, a second later.
fn busy() -> Site {
    let mut site = Site::new();
    let web = between("web", "api", 8080);
    site.second(&[web.clone(), failed(web.clone()), web]);
    site.second(&[between("api", "db", 5432)]);
    site
}

#[tokio::test]
async fn the_map_is_as_documented() {
    let site = busy();
    let map = site.json("/api/v1/map").await;
    let names: Vec<_> = map["nodes"].as_array().unwrap().iter().map(|n| &n["name"]).collect();
    assert_eq!(names, ["web", "api", "db"]);
    let (web, api, edge) = (&map["nodes"][0], &map["nodes"][1], &map["edges"][0]);
    assert_eq!(
        *web,
        json!({"id": web["id"], "kind": "process", "name": "web", "namespace": "", "zombie": false,
               "container": "", "executable": "/usr/bin/web", "pids": [3], "layer": 0, "row": 0,
               "requests_in": 0, "errors_in": 0, "requests_out": 3, "errors_out": 1})
    );
    assert_eq!(
        (&api["requests_in"], &api["requests_out"], &api["layer"]),
        (&json!(3), &json!(1), &json!(1))
    );
    let latency = &edge["p50_ns"];
    assert!((800_000..830_000).contains(&latency.as_u64().unwrap()), "{latency}");
    assert_eq!(
        *edge,
        json!({"id": edge["id"], "from": web["id"], "to": api["id"], "port": 8080, "protocol": "http",
               "requests": 3, "errors": 1, "rate": 1.5, "p50_ns": latency, "p95_ns": latency, "p99_ns": latency,
               "request_bytes": 234, "response_bytes": 1836, "status": {"2xx": 2, "5xx": 1}, "slow": false, "tcp": null})
    );
    assert_eq!(
        (&map["seconds"], &map["overflow"]),
        (&json!(2.0), &json!({"edges": 0, "requests": 0}))
    );
    // The period of an answer, asked for again, is the same period.
    let (from, to) = (map["from"].as_str().unwrap(), map["to"].as_str().unwrap());
    assert_eq!(site.json(&format!("/api/v1/map?from={from}&to={to}&protocol=http")).await, map);
    assert_eq!(site.json("/api/v1/map?namespace=shop").await["nodes"], json!([]));
}

#[tokio::test]
async fn an_edge_is_as_documented() {
    let site = busy();
    let map = site.json("/api/v1/map").await;
    let id = map["edges"][0]["id"].as_str().unwrap();
    let edge = site.json(&format!("/api/v1/edges/{id}")).await;
    assert_eq!(
        edge["from"],
        json!({"id": map["nodes"][0]["id"], "name": "web", "kind": "process"})
    );
    assert_eq!(edge["status"], json!({"200": 2, "503": 1}));
    assert_eq!(edge["errors_by_code"], json!({"503": 1}));
    let routes: Vec<_> = edge["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (&r["route"], &r["requests"], &r["errors"]))
        .collect();
    assert_eq!(
        routes,
        [(&json!("/users/{id}"), &json!(2), &json!(0)), (&json!("/broken"), &json!(1), &json!(1))]
    );
    assert_eq!((edge["recent"].as_array().unwrap().len(), &edge["mean_ns"]), (3, &json!(812_345)));
    assert_eq!((&edge["server_p50_ns"], &edge["routes_overflow"]), (&Value::Null, &json!(0)));

    let series = site.json(&format!("/api/v1/edges/{id}/series?from=-90s")).await;
    let points = series["points"].as_array().unwrap();
    let requests: Vec<_> =
        points.iter().map(|point| (&point["requests"], point["p50_ns"].is_null())).collect();
    assert_eq!(
        (&series["step_seconds"], requests),
        (&json!(1), vec![(&json!(3), false), (&json!(0), true)])
    );
    let series = site.json(&format!("/api/v1/edges/{id}/series")).await;
    let total = |name: &str| {
        series["points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point[name].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((total("requests"), total("errors"), &series["step_seconds"]), (3, 1, &json!(1)));
}

#[tokio::test]
async fn a_node_is_as_documented() {
    let site = busy();
    let map = site.json("/api/v1/map").await;
    let id = map["nodes"][1]["id"].as_str().unwrap();
    let node = site.json(&format!("/api/v1/nodes/{id}")).await;
    assert_eq!(
        (&node["name"], &node["pids"], &node["zombie"]),
        (&json!("api"), &json!([3]), &json!(false))
    );
    let side = |side: &str| (node[side]["requests"].as_u64(), node[side]["errors"].as_u64());
    assert_eq!((side("as_server"), side("as_client")), ((Some(3), Some(1)), (Some(1), Some(0))));
    assert_eq!(node["edges"], map["edges"]);
    let id = map["nodes"][0]["id"].as_str().unwrap();
    assert_eq!(site.json(&format!("/api/v1/nodes/{id}")).await["as_server"], Value::Null);
}

#[tokio::test]
async fn exchanges_are_filtered_and_newest_first() {
    let site = busy();
    let ports = |list: &Value| -> Vec<u64> {
        list.as_array().unwrap().iter().map(|e| e["server"]["port"].as_u64().unwrap()).collect()
    };
    for (query, expected) in [
        ("", vec![5432, 8080, 8080, 8080]),
        ("?limit=1", vec![5432]),
        ("?port=8080&errors=true", vec![8080]),
        ("?errors=false&protocol=http&limit=1000&pid=2", vec![5432]),
        ("?slower_than=1s", vec![]),
        ("?slower_than=&pid=", vec![5432, 8080, 8080, 8080]),
        ("?text=DB+get", vec![5432]),
        ("?text=:8080%20503", vec![8080]),
        ("?text=:808", vec![]),
    ] {
        assert_eq!(
            ports(&site.json(&format!("/api/v1/exchanges{query}")).await),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_busy_edge_does_not_hide_the_others_nor_its_own_trouble() {
    let mut site = Site::new();
    let mut slow = between("web", "api", 8080);
    slow.latency_ns = Some(2 * SECOND_NS);
    let busy = between("web", "api", 8080);
    site.second(&[busy.clone(), slow, failed(busy.clone()), between("job", "db", 5432)]);
    for _ in 0..5 {
        site.second(&vec![busy.clone(); 10_000]);
    }
    let count = async |query: &str| {
        site.json(&format!("/api/v1/exchanges?limit=1000{query}")).await.as_array().unwrap().len()
    };
    assert_eq!(count("&port=5432").await, 1);
    assert_eq!(count("&port=8080&errors=true").await, 1);
    assert_eq!(count("&slower_than=1s").await, 1);
    assert_eq!(count("").await, 1000);
}

#[tokio::test]
async fn following_gives_lines_until_the_server_ends() {
    let mut site = Site::new();
    let asked = request("/api/v1/exchanges?follow=true&port=8080", &[("host", "127.0.0.1:8014")]);
    let response = site.router.clone().oneshot(asked).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut body = response.into_body();
    site.second(&[]);
    site.second(&[between("web", "api", 8080), between("web", "api", 9090)]);
    let line = frame(&mut body).await.unwrap();
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line:?}");
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["server"]["port"], 8080);

    // Too slow: what is missing is counted, where it is missing and in all.
    for _ in 0..200 {
        site.second(&vec![between("web", "api", 8080); 100]);
    }
    let (mut seen, mut lost) = (0, 0);
    while seen + lost < 20_000 {
        for line in frame(&mut body).await.unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            lost += line["lost"].as_u64().unwrap_or(0);
            seen += u64::from(line.get("time").is_some());
        }
    }
    assert!(lost > 0 && seen > 0);
    let metrics = site.get("/metrics").await.text;
    assert!(metrics.contains(&format!("\nalaz_follow_lost_exchanges_total {lost}\n")));

    site.live.end();
    assert_eq!(frame(&mut body).await, None);
}

async fn frame(body: &mut Body) -> Option<String> {
    let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn mistakes_are_answered_with_a_sentence() {
    let site = busy();
    for (target, status, word) in [
        ("/api/v1/map?from=yesterday", 400, "'yesterday'"),
        ("/api/v1/map?protocol=gopher", 400, "gopher"),
        ("/api/v1/map?colour=red", 400, "'colour'"),
        ("/api/v1/edges/e1", 404, "'e1'"),
        ("/api/v1/edges/e000000000000/series", 404, "/api/v1/map"),
        ("/api/v1/nodes/%2e%2e", 404, "'..'"),
        ("/api/v1/edges/%ff", 400, "UTF-8"),
        ("/api/v1/edges/%ff/series", 400, "UTF-8"),
        ("/api/v1/nodes/%c3%28", 400, "UTF-8"),
        ("/api/v1/map?protocol=%ff", 400, "protocol"),
        ("/api/v1/exchanges?limit=0", 400, "1 to 1000"),
        ("/api/v1/exchanges?limit=5&follow=true", 400, "limit"),
        ("/api/v1/exchanges?pid=-1", 400, "pid"),
        ("/api/v1/exchanges?port=65536", 400, "65535"),
        ("/api/v1/exchanges?errors=yes", 400, "true or false"),
        ("/api/v1/exchanges?slower_than=50", 400, "50ms"),
        ("/api/v1/operations?sort=name", 400, "p99"),
        ("/api/v1/operations?by=port", 400, "server"),
        ("/api/v1/operations?limit=1001", 400, "1 to 1000"),
        ("/api/v1/ledger?x", 400, "'x'"),
        ("/api/v1/nothing", 404, "openapi"),
        ("/../../etc/passwd", 404, "passwd"),
        ("/assets/", 404, "assets"),
    ] {
        let answer = site.get(target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(word), "{target}: {error}");
    }
    let mut posted = request("/api/v1/map", &[("host", "localhost")]);
    *posted.method_mut() = axum::http::Method::POST;
    assert_eq!(site.ask(posted).await.status, 405);
}

#[tokio::test]
async fn strangers_are_turned_away_from_every_page() {
    let site = busy();
    for target in ["/", "/api/v1/map", "/api/v1/exchanges?follow=true", "/metrics", "/nothing"] {
        let refused: [&[(&str, &str)]; 8] = [
            &[],
            &[("host", "evil.example")],
            &[("host", "127.0.0.1.evil.example:8014")],
            &[("host", "127.0.0.1:8014"), ("host", "evil.example")],
            &[("host", "127.0.0.1:8014"), ("origin", "http://evil.example")],
            &[("host", "127.0.0.1:8014"), ("origin", "http://127.0.0.1:9999")],
            &[("host", "127.0.0.1:8014"), ("origin", "null")],
            &[
                ("host", "localhost"),
                ("origin", "http://localhost"),
                ("origin", "http://evil.example"),
            ],
        ];
        for headers in refused {
            let answer = site.ask(request(target, headers)).await;
            assert_eq!(answer.status, 403, "{target} {headers:?}");
            assert!(answer.json()["error"].is_string());
            assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        }
        let absolute = format!("http://evil.example{target}");
        assert_eq!(site.ask(request(&absolute, &[("host", "localhost")])).await.status, 403);
    }
    for headers in [
        [("host", "localhost:8014"), ("origin", "http://localhost:8014")],
        [("host", "alaz.example"), ("origin", "https://alaz.example")],
        [("host", "[::1]:8014"), ("accept", "*/*")],
    ] {
        assert_eq!(site.ask(request("/api/v1/map", &headers)).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn the_page_and_its_files_are_served() {
    let site = Site::new();
    let page = site.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), "no-cache");
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let files = page.text.split('"').filter(|part| part.starts_with("./assets/"));
    let mut types = BTreeSet::new();
    for file in files {
        let answer = site.get(&file[1..]).await;
        assert_eq!(answer.status, 200, "{file}");
        assert!(answer.header("cache-control").contains("immutable"));
        types.insert(answer.header("content-type").to_owned());
    }
    assert!(
        types.contains("text/javascript; charset=utf-8")
            && types.contains("text/css; charset=utf-8"),
        "{types:?}"
    );
    assert_eq!(site.get("/api/v1/map").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn readiness_gives_the_reason() {
    let site = Site::new();
    let answer = site.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["error"].as_str().unwrap().contains("starting"));
    site.live.set_ready(4096);
    assert_eq!(site.get("/readyz").await.status, 200);
    assert_eq!(site.get("/healthz").await.status, 200);
}

fn guard() -> GuardState {
    GuardState {
        step: GuardStep::NoSamples,
        changes: 4,
        cpu_cores: 0.75,
        cpu_limit_cores: 0.5,
        resident_bytes: 40 << 20,
        memory_limit_bytes: 512 << 20,
    }
}

#[tokio::test]
async fn the_status_tells_what_is_left_undone() {
    let site = Site::new();
    assert_eq!(site.json("/api/v1/status").await["guard"], json!(null));
    site.live.set_guard(guard());
    assert_eq!(
        site.json("/api/v1/status").await["guard"],
        json!({"step": "no_samples", "changes": 4, "cpu_cores": 0.75, "cpu_limit_cores": 0.5,
               "resident_bytes": 40 << 20, "memory_limit_bytes": 512 << 20})
    );
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let mut site = busy();
    let mut odd = between("web \"x\"\\\n", "api", 8080);
    odd.latency_ns = Some(1 << 20);
    site.second(&[odd]);
    site.live.set_ready(4096);
    let mut lost = [0; ExportLoss::ALL.len()];
    lost[ExportLoss::QueueFull as usize] = 5;
    site.live.add_export(move || ExportLedger {
        exporter: "anteon",
        sent: 40,
        retried: 2,
        queued: 3,
        lost,
        left_out: [0; LeftOut::ALL.len()],
        is_stopped: true,
    });
    site.live.set_guard(guard());
    let text = site.get("/metrics").await.text;
    let mut families = BTreeSet::new();
    let mut samples = BTreeSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(family.split(' ').next().unwrap()), "{family} twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(series), "{series} twice");
            let name = series.split('{').next().unwrap();
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(families.contains(name) || families.contains(family.unwrap_or("")), "{name}");
        }
    }
    let edge = r#"client="web",client_kind="process",server="api",server_kind="process",port="8080",protocol="http""#;
    for line in [
        format!("alaz_edge_requests_total{{{edge}}} 3"),
        format!("alaz_edge_errors_total{{{edge}}} 1"),
        format!("alaz_edge_response_bytes_total{{{edge}}} 1836"),
        format!("alaz_edge_responses_total{{{edge},status=\"2xx\"}} 2"),
        format!("alaz_edge_latency_seconds_bucket{{{edge},le=\"0.000524288\"}} 0"),
        format!("alaz_edge_latency_seconds_bucket{{{edge},le=\"0.001048576\"}} 3"),
        format!("alaz_edge_latency_seconds_bucket{{{edge},le=\"+Inf\"}} 3"),
        format!("alaz_edge_latency_seconds_sum{{{edge}}} 0.002437035"),
        r#"alaz_export_sent_rows_total{exporter="anteon"} 40"#.to_owned(),
        r#"alaz_export_queued_rows{exporter="anteon"} 3"#.to_owned(),
        r#"alaz_export_stopped{exporter="anteon"} 1"#.to_owned(),
        r#"alaz_export_lost_rows_total{exporter="anteon",reason="queue_full"} 5"#.to_owned(),
        r#"alaz_export_lost_rows_total{exporter="anteon",reason="behind"} 0"#.to_owned(),
        r#"alaz_seen_segments_total{source="socket"} 7"#.to_owned(),
        r#"alaz_lost_bytes_total{source="tls",reason="ring_full"} 0"#.to_owned(),
        r#"alaz_exchanges_unpaired_total{reason="gap"} 0"#.to_owned(),
        "alaz_exchanges_reported_total 3".to_owned(),
        "alaz_kernel_seen_segments_total 8".to_owned(),
        "alaz_kernel_seen_bytes_total 900".to_owned(),
        r#"alaz_views_dropped_total{reason="contradicted"} 2"#.to_owned(),
        "alaz_kernel_map_bytes 4096".to_owned(),
        "alaz_capture_up 1".to_owned(),
        r#"alaz_guard_step{step="none"} 0"#.to_owned(),
        r#"alaz_guard_step{step="no_samples"} 1"#.to_owned(),
        "alaz_guard_changes_total 4".to_owned(),
        "alaz_guard_cpu_limit_cores 0.5".to_owned(),
        "alaz_guard_memory_limit_bytes 536870912".to_owned(),
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is missing:\n{text}");
    }
    assert!(text.contains(r#"client="web \"x\"\\\n","#), "{text}");
}

#[tokio::test]
async fn the_description_is_that_of_the_pages() {
    let site = busy();
    site.live.set_guard(guard());
    let map = site.json("/api/v1/map").await;
    let api = site.json("/api/v1/openapi.json").await;
    let id = |path: &str| {
        map[if path.contains("edges") { "edges" } else { "nodes" }][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let paths = api["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 12);
    for (path, page) in paths {
        let target = path.replace("{id}", &id(path));
        let parameters = page["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let query: Vec<_> = query.map(|p| format!("{}=", p["name"].as_str().unwrap())).collect();
        // Every parameter is known to the page.
        let answer = site.get(&format!("{target}?{}", query.join("&"))).await;
        assert!([200, 503].contains(&answer.status), "{path}: {}", answer.text);
        let content = &page["get"]["responses"][answer.status.to_string()]["content"];
        let media = answer.header("content-type").split(';').next().unwrap();
        let schema = &content[media]["schema"];
        assert!(schema.is_object(), "{path}: {media}");
        if media == "application/json" {
            assert_fits(&api, schema, &answer.json(), path);
        }
    }
}

/// As far as the description goes: types, required fields, and no field that is not described.
fn assert_fits(api: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return assert_fits(api, &api["components"]["schemas"][name], value, place);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().for_each(|schema| assert_fits(api, schema, value, place));
    }
    if let Some(one) = schema["oneOf"].as_array() {
        let schema = if value.is_null() { one.last() } else { one.first() };
        return assert_fits(api, schema.unwrap(), value, place);
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        single => single.as_str().into_iter().collect(),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.is_empty()
        || types.contains(&found)
        || (found == "integer" && types.contains(&"number"));
    assert!(fits, "{place}: {found}, but {types:?} is described");
    for item in value.as_array().into_iter().flatten() {
        assert_fits(api, &schema["items"], item, place);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        let place = format!("{place} {name}");
        assert_fits(api, &properties[name], value.get(name).expect(&place), &place);
    }
}

#[tokio::test]
async fn connections_stand_beneath_their_edge_or_for_themselves() {
    use alaz_model::{ConnectFailure, ConnectionEnd};
    let mut site = Site::new();
    let finished = ConnectionEnd::Finished;
    let refused = ConnectionEnd::NotOpened(ConnectFailure::Refused);
    site.feed.connection(&connection("web", "api", 8080, finished));
    site.feed.connection(&connection("web", "api", 8080, ConnectionEnd::ResetByClient));
    site.feed.connection(&connection("web", "db", 5432, finished));
    site.feed.connection(&connection("web", "db", 5432, refused));
    site.second(&[between("web", "api", 8080)]);
    // Later on the same connections, but no requests.
    let later = UnixNanos(site.now_ns).to_string();
    site.feed.connection(&connection("web", "api", 8080, finished));
    site.second(&[]);

    let map = site.json("/api/v1/map").await;
    let edges = map["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 2, "{edges:?}");
    let tcp = json!({
        "connects": 3, "closed": 3, "failures": {}, "client_resets": 1, "server_resets": 0,
        "broken": 0, "retransmits": 6, "sent_bytes": 300, "received_bytes": 2100,
        "handshake_p50_ns": 50_000, "handshake_p95_ns": 50_000, "handshake_p99_ns": 50_000,
        "round_trip_p50_ns": 30_000, "round_trip_p95_ns": 30_000, "round_trip_p99_ns": 30_000,
        "least_round_trip_ns": 20_000, "tls": null,
    });
    let edge = |protocol| edges.iter().find(|edge| edge["protocol"] == protocol).unwrap();
    assert_eq!((&edge("http")["requests"], &edge("http")["tcp"]), (&json!(1), &tcp));
    assert_eq!((&edge("tcp")["port"], &edge("tcp")["requests"]), (&json!(5432), &json!(0)));
    assert_eq!(edge("tcp")["tcp"]["failures"], json!({"refused": 1}));
    assert!(map["nodes"].as_array().unwrap().iter().all(|node| node["zombie"] == false));

    let id = |protocol| edge(protocol)["id"].as_str().unwrap().to_owned();
    let detail = site.json(&format!("/api/v1/edges/{}", id("http"))).await;
    assert_eq!((&detail["protocol"], &detail["tcp"]), (&json!("http"), &tcp));
    let detail = site.json(&format!("/api/v1/edges/{}", id("tcp"))).await;
    assert_eq!((&detail["protocol"], &detail["tcp"]["connects"]), (&json!("tcp"), &json!(1)));

    // What was spoken there earlier is known.
    let quiet = site.json(&format!("/api/v1/map?from={later}")).await;
    let edges = quiet["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 1, "{edges:?}");
    assert_eq!((&edges[0]["protocol"], &edges[0]["requests"]), (&json!("http"), &json!(0)));
    assert_eq!(edges[0]["tcp"]["closed"], 1);

    let protocols = |map: &Value| -> Vec<_> {
        map["edges"].as_array().unwrap().iter().map(|edge| edge["protocol"].clone()).collect()
    };
    assert_eq!(protocols(&site.json("/api/v1/map?protocol=tcp").await), ["tcp"]);
    assert_eq!(protocols(&site.json("/api/v1/map?protocol=http").await), ["http"]);
    assert_eq!(site.get("/api/v1/exchanges?protocol=tcp").await.status, 400);

    let metrics = site.get("/metrics").await.text;
    let labels = "client=\"web\",client_kind=\"process\",server=\"db\",server_kind=\"process\",port=\"5432\"";
    for line in [
        format!("alaz_tcp_connects_total{{{labels}}} 1"),
        format!("alaz_tcp_connect_failures_total{{{labels},reason=\"refused\"}} 1"),
        format!("alaz_tcp_retransmits_total{{{labels}}} 2"),
        format!("alaz_tcp_sent_bytes_total{{{labels}}} 100"),
        format!("alaz_tcp_handshake_seconds_count{{{labels}}} 1"),
        format!("alaz_tcp_handshake_seconds_sum{{{labels}}} 0.00005"),
        format!("alaz_tcp_round_trip_seconds_bucket{{{labels},le=\"0.000016384\"}} 0"),
        format!("alaz_tcp_round_trip_seconds_bucket{{{labels},le=\"0.000065536\"}} 1"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    assert!(
        !metrics.contains(
            "alaz_edge_requests_total{client=\"web\",client_kind=\"process\",server=\"db\""
        )
    );
}
