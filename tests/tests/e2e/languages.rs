//! Servers and clients in the languages people run, each with each: names, sizes, every status.

use alaz_tests::alaz::Watch;
use alaz_tests::exchange::Exchange;
use alaz_tests::peers::{CLIENTS, Client, SERVERS, Server};
use alaz_tests::{load, program, turn_to_capture};
use std::process::Command;
use std::time::Duration;

const LARGE: u64 = 1 << 20;
/// Heads and the framing of chunks are less than this.
const FRAMING: u64 = 4096;

#[test]
fn every_client_with_every_server() {
    let Some(_turn) = turn_to_capture() else { return };
    let servers: Vec<_> = SERVERS.iter().map(|kind| (kind, Server::start(kind))).collect();
    let clients: Vec<_> = CLIENTS.iter().map(Client::prepare).collect();
    let watch = Watch::start();
    for (_, server) in &servers {
        for client in &clients {
            client.visit(server);
        }
    }
    let seen = watch.finish();
    // Chunk sizes inside very large reads are not copied: those bytes are lost, the exchange is not.
    assert!(seen.ledger.lost_reasons_are_only(&["truncated", "unreadable"]), "{:?}", seen.ledger);

    for (kind, server) in &servers {
        let reported = seen.at(server.address.port());
        let mut said: Vec<_> = reported.iter().map(|exchange| exchange.line()).collect();
        let mut logged: Vec<_> = server.log().iter().map(|line| redacted(line)).collect();
        said.sort();
        logged.sort();
        assert_eq!(said, logged, "{}", kind.workload);
        for client in &clients {
            let workload = client.kind.workload;
            let count = reported.iter().filter(|e| e.client.workload == workload).count();
            assert!(count >= 9, "{workload} has {count} exchanges with {}", kind.workload);
        }
        for exchange in reported {
            assert_eq!(exchange.server.workload, kind.workload, "{exchange:?}");
            assert_eq!(exchange.observed_by, "both", "{exchange:?}");
            assert_sizes_and_outcome(exchange);
        }
    }
}

#[test]
fn curl_and_wrk_with_servers_in_every_language() {
    let Some(_turn) = turn_to_capture() else { return };
    let servers: Vec<_> = SERVERS.iter().map(|kind| (kind, Server::start(kind))).collect();
    let watch = Watch::start();
    for (_, server) in &servers {
        let urls = ["/hello", "/chunked", "/missing", "/fail"].map(|path| server.url(path));
        program::run(Command::new("curl").args(["-sS", "-o", "/dev/null"]).args(urls));
        load::wrk(&server.url("/hello"), 4, Duration::from_secs(1), &[]);
    }
    let seen = watch.finish();

    for (kind, server) in &servers {
        let logged = server.log().len();
        let reported = seen.at(server.address.port());
        let complete = reported.iter().filter(|e| e.outcome == "complete").count();
        assert!(complete <= logged, "{}: {complete} of {logged}", kind.workload);
        if seen.ledger.lost_nothing() {
            // wrk leaves in the middle of its last four.
            assert!(complete + 4 >= logged, "{}: {complete} of {logged}", kind.workload);
        }
        for exchange in reported {
            assert_eq!(exchange.server.workload, kind.workload);
            assert!(["curl", "wrk"].contains(&&*exchange.client.workload), "{exchange:?}");
        }
    }
}

fn redacted(line: &str) -> String {
    line.replace("token=abc&n=1", "token=?&n=?")
}

fn assert_sizes_and_outcome(exchange: &Exchange) {
    let about = |bytes: u64, body: u64| (body..body + FRAMING).contains(&bytes);
    let route = exchange.target.split('?').next().unwrap();
    let (request, response) = match route {
        "/large" => (0, LARGE),
        "/upload" => (LARGE, 0),
        _ => (0, 0),
    };
    assert!(about(exchange.request_bytes, request), "{exchange:?}");
    assert!(about(exchange.response_bytes, response), "{exchange:?}");
    if route == "/stall" {
        assert_eq!((&*exchange.outcome, &*exchange.status), ("no_response", ""), "{exchange:?}");
        assert!(exchange.error && exchange.response_bytes == 0, "{exchange:?}");
    } else {
        assert_eq!(exchange.outcome, "complete", "{exchange:?}");
        assert_eq!(exchange.error, exchange.status == "500", "{exchange:?}");
    }
}
