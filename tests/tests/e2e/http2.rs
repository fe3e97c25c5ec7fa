//! HTTP/2 and gRPC: many streams on one connection, against what servers and clients know.

use std::collections::BTreeMap;
use std::process::Command;

use alaz_tests::alaz::{Seen, Watch};
use alaz_tests::exchange::Exchange;
use alaz_tests::nginx::Nginx;
use alaz_tests::peers::{Client, GRPC_CLIENT, GRPC_SERVER, HTTP2_CLIENT, HTTP2_SERVER, Server};
use alaz_tests::program::{self, Program};
use alaz_tests::{free_port, say, turn_to_capture, wait_until};

#[test]
fn h2load_with_nghttpd_is_reported_to_the_last_stream() {
    let Some(_turn) = turn_to_capture() else { return };
    let (_server, _root, port) = start_nghttpd();
    let watch = Watch::start();
    h2load(port, &["small?token=secret", "none"], &["-n3000", "-c5", "-m10"]);
    let seen = watch.finish();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);

    let expected = [("GET /none 404", 1500), ("GET /small?token=? 200", 1500)];
    let counts = count(&seen.at(port), Exchange::line);
    assert_eq!(counts, expected.map(|(line, count)| (line.to_owned(), count)).into());
    for exchange in seen.at(port) {
        assert_whole(exchange, "http2");
        assert_eq!((&*exchange.client.workload, &*exchange.server.workload), ("h2load", "nghttpd"));
    }
}

/// Servers put the frames of many streams into one write, more of them than is copied of it.
#[test]
fn frames_that_are_not_copied_leave_fewer_and_never_wrong_ones() {
    let Some(_turn) = turn_to_capture() else { return };
    let (_server, _root, port) = start_nghttpd();
    let watch = Watch::start();
    h2load(port, &["large", "small"], &["-n2000", "-c4", "-m50"]);
    let seen = watch.finish();

    let reported = seen.at(port);
    let complete: Vec<_> = reported.iter().filter(|e| e.outcome == "complete").copied().collect();
    say(&format!(
        "{} of 2000 complete, {} in part; {:?}",
        complete.len(),
        reported.len() - complete.len(),
        seen.ledger.exchanges
    ));
    assert!(reported.iter().all(|e| matches!(&*e.outcome, "complete" | "partial")));
    assert!(reported.len() <= 2000);
    for exchange in complete {
        let body = match exchange.target.as_str() {
            "/large" => LARGE,
            "/small" => SMALL,
            // What the header table held before the last gap.
            "" => continue,
            other => panic!("{other} was never asked for"),
        };
        let headers = exchange.response_bytes.checked_sub(body as u64);
        assert!(headers.is_some_and(|bytes| (18..300).contains(&bytes)), "{exchange:?}");
    }
}

const SMALL: usize = 5;
const LARGE: usize = 10_000;

fn start_nghttpd() -> (Program, tempfile::TempDir, u16) {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("small"), "x".repeat(SMALL)).unwrap();
    std::fs::write(root.path().join("large"), "x".repeat(LARGE)).unwrap();
    let port = free_port();
    let mut nghttpd = Command::new("nghttpd");
    nghttpd.args(["--no-tls", "-d"]).arg(root.path()).arg(port.to_string());
    (Program::serve(&mut nghttpd, port), root, port)
}

/// Asks for the paths in turns.
fn h2load(port: u16, paths: &[&str], options: &[&str]) {
    let urls = paths.iter().map(|path| format!("http://127.0.0.1:{port}/{path}"));
    let out = program::run(Command::new("h2load").args(options).args(urls));
    assert!(out.contains(" 0 errored, 0 timeout"), "{out}");
}

/// Clients that ask in HTTP/1 whether the server speaks HTTP/2 too; nghttpx does.
#[test]
fn requests_that_change_to_http2_are_reported_once() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let port = free_port();
    let mut proxy = Command::new("nghttpx");
    proxy.arg(format!("-f127.0.0.1,{port};no-tls"));
    proxy.arg(format!("-b127.0.0.1,{}", nginx.address.port())).args(["--workers=1"]);
    let _proxy = Program::serve(&mut proxy, port);
    let watch = Watch::start();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let mut curl = Command::new("curl");
    curl.args(["--http2", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_version}\n"]);
    let versions = program::run(curl.args([url("/empty"), url("/missing?a=b")]));
    assert_eq!(versions, "2\n2\n");
    program::run(Command::new("nghttp").args(["-n", "-u", &url("/fail")]));
    let seen = watch.finish();

    let lines: Vec<_> = seen.at(port).iter().map(|exchange| exchange.line()).collect();
    assert_eq!(lines, ["GET /empty 200", "GET /missing?a=? 404", "GET /fail 500"]);
    for exchange in seen.at(port) {
        assert_whole(exchange, "http2");
        assert_eq!(exchange.server.workload, "nghttpx");
    }
    assert_eq!(seen.at(nginx.address.port()).len(), 3);
}

#[test]
fn every_kind_of_stream_is_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Server::start(&HTTP2_SERVER);
    let watch = Watch::start();
    Client::prepare(&HTTP2_CLIENT).visit(&server);
    let seen = watch.finish();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);

    let reported = seen.at(server.address.port());
    assert_eq!(count(&reported, Exchange::line), logged(&server));
    for exchange in reported {
        let cut = match exchange.target.as_str() {
            "/refuse" => Some("REFUSED_STREAM"),
            "/stall" => Some("CANCEL"),
            _ => None,
        };
        let Some(reason) = cut else {
            assert_whole(exchange, "http2");
            continue;
        };
        assert_eq!((&*exchange.outcome, exchange.error), ("reset", true), "{exchange:?}");
        assert_eq!(exchange.attributes["error.type"], reason);
    }
}

#[test]
fn on_an_older_connection_what_is_new_is_exact() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Server::start(&HTTP2_SERVER);
    let client = Client::prepare(&HTTP2_CLIENT);
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let mut visit = Program::start(client.command().arg(server.url("")).arg(&go));
    wait_until("the client is connected", || go.with_extension("ready").exists());
    let before = logged(&server);
    assert_eq!(before.values().sum::<usize>(), 1);

    let watch = Watch::start();
    std::fs::write(&go, "").unwrap();
    visit.wait_for_success();
    let seen = watch.finish();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);

    // Both ends' header tables hold what was said before; all of these paths are new.
    let mut expected = logged(&server);
    for line in before.keys() {
        expected.remove(line);
    }
    let mut reported = count(&seen.at(server.address.port()), Exchange::line);
    for line in before.keys() {
        reported.remove(line);
    }
    assert_eq!(reported, expected);
}

#[test]
fn calls_of_all_four_kinds_are_reported_as_their_client_knows_them() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Server::start(&GRPC_SERVER);
    let client = Client::prepare(&GRPC_CLIENT);
    let watch = Watch::start();
    let out = program::run(client.command().arg(server.address.to_string()));
    let seen = watch.finish();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);

    let reported = seen.at(server.address.port());
    let mut known = BTreeMap::new();
    for line in out.lines() {
        *known.entry(line.to_owned()).or_default() += 1;
    }
    assert_eq!(count(&reported, call), known);
    for exchange in reported {
        assert_eq!(exchange.target, "shop.Cart");
        let is_error = matches!(&*exchange.status, "4" | "12" | "13" | "15" | "");
        assert_eq!(exchange.error, is_error, "{exchange:?}");
        if exchange.outcome != "reset" {
            assert_whole(exchange, "grpc");
        }
    }
    assert_nothing_secret(&seen);
}

/// As the client prints it.
fn call(exchange: &Exchange) -> String {
    let attribute = |name: &str| exchange.attributes.get(name).and_then(|value| value.as_str());
    // At the deadline the client cancels and the server says so: whichever comes first counts.
    match (exchange.outcome.as_str(), exchange.status.as_str()) {
        ("reset", _) | (_, "4") => format!("{} - - -", exchange.method),
        _ => format!(
            "{} {} {} {}",
            exchange.method,
            exchange.status,
            attribute("alaz.request.messages").unwrap_or("unknown"),
            attribute("alaz.response.messages").unwrap_or("unknown"),
        ),
    }
}

fn assert_whole(exchange: &Exchange, protocol: &str) {
    assert_eq!((&*exchange.protocol, &*exchange.outcome), (protocol, "complete"), "{exchange:?}");
    assert_eq!(exchange.observed_by, "both", "{exchange:?}");
    assert!(exchange.latency_ns >= exchange.ttfb_ns, "{exchange:?}");
}

fn assert_nothing_secret(seen: &Seen) {
    assert!(!seen.text.contains("secret"), "a status message was printed");
}

fn count(exchanges: &[&Exchange], name: impl Fn(&Exchange) -> String) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in exchanges {
        *counts.entry(name(exchange)).or_default() += 1;
    }
    counts
}

/// What the server has logged, values of queries left out.
fn logged(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in server.log() {
        let parts: Vec<_> = line.split(' ').collect();
        let [method, target, status] = parts[..] else { panic!("{line}") };
        let target = match target.split_once('=') {
            Some((name, _)) => format!("{name}=?"),
            None => target.to_owned(),
        };
        *counts.entry(format!("{method} {target} {status}")).or_default() += 1;
    }
    counts
}
