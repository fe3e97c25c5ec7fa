//! Facts of TCP connections, against what clients and servers counted themselves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use alaz_tests::alaz::Server;
use alaz_tests::nginx::Nginx;
use alaz_tests::program;
use alaz_tests::{free_port, http, turn_to_capture, wait_until};
use serde_json::Value;

/// The edge of these connections, once so many of them are told: over, or not opened.
fn edge_after(alaz: &Server, port: u16, connections: u64) -> (Value, Value) {
    let mut found = (Value::Null, Value::Null);
    wait_until("the map has all connections", || {
        let map = alaz.json("/api/v1/map");
        let edges = map["edges"].as_array().unwrap();
        let mut at_port = edges.iter().filter(|edge| edge["port"] == port);
        let Some(edge) = at_port.next() else { return false };
        assert_eq!(at_port.next(), None, "one client, one server, one edge");
        let failures = edge["tcp"]["failures"].as_object();
        let failures: u64 = failures.into_iter().flatten().map(|(_, n)| n.as_u64().unwrap()).sum();
        let told = edge["tcp"]["closed"].as_u64().unwrap_or(0) + failures;
        found = (map.clone(), edge.clone());
        assert!(told <= connections, "more than there were: {edge}");
        told == connections
    });
    found
}

fn names(map: &Value, edge: &Value) -> (String, String) {
    let name = |end: &str| {
        let nodes = map["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|node| node["id"] == edge[end]).unwrap();
        node["name"].as_str().unwrap().to_owned()
    };
    (name("from"), name("to"))
}

#[test]
fn curls_connections_are_counted_once() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let alaz = Server::start();
    let url = nginx.url("/item/[1-5]");
    let mut reported = Vec::new();
    for _ in 0..7 {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-o", "/dev/null", "-w", "%{num_connects} %{size_request}\n", &url]);
        reported.push(program::run(&mut curl));
    }
    let lines: Vec<Vec<u64>> = reported
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect())
        .collect();
    let connects: u64 = lines.iter().map(|line| line[0]).sum();
    let sent: u64 = lines.iter().map(|line| line[1]).sum();
    assert_eq!((lines.len(), connects), (35, 7));

    let (map, edge) = edge_after(&alaz, nginx.address.port(), connects);
    assert_eq!(names(&map, &edge), ("curl".to_owned(), "nginx".to_owned()));
    assert_eq!((edge["protocol"].as_str(), edge["requests"].as_u64()), (Some("http"), Some(35)));
    let tcp = &edge["tcp"];
    assert_eq!((tcp["connects"].as_u64(), tcp["sent_bytes"].as_u64()), (Some(7), Some(sent)));
    let received: u64 = nginx.stop().iter().map(|line| line.bytes_sent).sum();
    assert_eq!(tcp["received_bytes"].as_u64(), Some(received));
    assert_eq!(tcp["failures"], serde_json::json!({}));
    for time in ["handshake_p50_ns", "round_trip_p50_ns", "least_round_trip_ns"] {
        let nanoseconds = tcp[time].as_u64().unwrap_or(0);
        assert!((1..1_000_000_000).contains(&nanoseconds), "{time}: {tcp}");
    }
}

#[test]
fn refused_connections_have_their_reason() {
    let Some(_turn) = turn_to_capture() else { return };
    let alaz = Server::start();
    let port = free_port();
    for _ in 0..3 {
        let url = format!("http://127.0.0.1:{port}/");
        let status = Command::new("curl").args(["-s", &url]).status().unwrap();
        // Failed to connect.
        assert_eq!(status.code(), Some(7));
    }
    let (map, edge) = edge_after(&alaz, port, 3);
    assert_eq!(names(&map, &edge), ("curl".to_owned(), "127.0.0.1".to_owned()));
    assert_eq!(edge["protocol"], "tcp");
    assert_eq!(edge["tcp"]["failures"], serde_json::json!({"refused": 3}));
    assert_eq!((&edge["tcp"]["connects"], &edge["tcp"]["closed"]), (&0.into(), &0.into()));

    let metrics = http::get(alaz.address, "/metrics").text();
    let line = metrics.lines().find(|line| {
        line.starts_with("alaz_tcp_connect_failures_total{client=\"curl\"")
            && line.contains(&format!("port=\"{port}\""))
    });
    assert!(line.is_some_and(|line| line.ends_with(",reason=\"refused\"} 3")), "{line:?}");
}

/// A server that takes nobody any more drops what comes, as a host does that is not there.
#[test]
fn connections_that_nobody_answers_have_their_reason() {
    let Some(_turn) = turn_to_capture() else { return };
    let alaz = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = TcpStream::connect(address).unwrap();
    let curl = Command::new("curl")
        .args(["-s", "--connect-timeout", "1", &format!("http://{address}/")])
        .status();
    // Operation timed out.
    assert_eq!(curl.unwrap().code(), Some(28));
    let (map, edge) = edge_after(&alaz, address.port(), 1);
    assert_eq!(names(&map, &edge), ("curl".to_owned(), "127.0.0.1".to_owned()));
    assert_eq!(edge["tcp"]["failures"], serde_json::json!({"abandoned": 1}));
    drop(waiting);
}

#[test]
fn encrypted_connections_are_edges_with_their_bytes() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start_tls();
    let port = nginx.address.port();
    // Counts what goes by, and adds nothing.
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let relayed = relay.local_addr().unwrap().port();
    let alaz = Server::start();
    let to = nginx.address;
    let counting = std::thread::spawn(move || {
        let (client, _) = relay.accept().unwrap();
        let server = TcpStream::connect(to).unwrap();
        let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let sent = std::thread::spawn(move || pump(&mut up, &mut down));
        let received = pump(&mut { server }, &mut { client });
        (sent.join().unwrap(), received)
    });
    let url = format!("https://127.0.0.1:{relayed}/item/[1-5]");
    program::run(Command::new("curl").args(["-sSk", "-o", "/dev/null", &url]));
    let (sent, received) = counting.join().unwrap();
    assert!(sent > 0 && received > 0);
    for port in [port, relayed] {
        let (map, edge) = figures_at(&alaz, port);
        let tcp = &edge["tcp"];
        assert_eq!(tcp["connects"], 1, "{edge}");
        assert_eq!(
            (tcp["sent_bytes"].as_u64(), tcp["received_bytes"].as_u64()),
            (Some(sent), Some(received)),
        );
        let (client, server) = names(&map, &edge);
        let known = if port == relayed { (client, "curl") } else { (server, "nginx") };
        assert_eq!(known.0, known.1);
    }
}

/// The edge with the figures of the one connection. What the library of one of its ends tells is an
/// edge beside it, whose other end has no name.
fn figures_at(alaz: &Server, port: u16) -> (Value, Value) {
    let mut found = (Value::Null, Value::Null);
    wait_until("the connection is over", || {
        let map = alaz.json("/api/v1/map");
        let edges = map["edges"].as_array().unwrap();
        let edge = edges.iter().find(|it| it["port"] == port && it["tcp"]["closed"] == 1).cloned();
        found = (map, edge.clone().unwrap_or_default());
        edge.is_some()
    });
    found
}

/// Until the end of the one; how many bytes went by.
fn pump(from: &mut TcpStream, to: &mut TcpStream) -> u64 {
    let (mut bytes, mut passed) = ([0; 4096], 0);
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        passed += length as u64;
        to.write_all(&bytes[..length]).unwrap();
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
    passed
}
