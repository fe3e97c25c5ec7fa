//! HTTP/1.1 as it is met: pipelining, interim answers, bodies of every framing, upgrades, IPv6.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use alaz_tests::alaz::Watch;
use alaz_tests::exchange::Exchange;
use alaz_tests::http::{Connection, answer_all, pause, read_more, serve};
use alaz_tests::peers::{self, Server};
use alaz_tests::{program, turn_to_capture};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn lines(exchanges: &[&Exchange]) -> Vec<String> {
    exchanges.iter().map(|exchange| exchange.line()).collect()
}

#[test]
fn pipelined_requests_are_paired_in_order() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Server::start(peers::server("peers/server.js"));
    let watch = Watch::start();
    let mut connection = Connection::open(server.address);
    let paths = ["/hello", "/missing", "/fail", "/chunked", "/hello"];
    let requests: String =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    connection.send(requests.as_bytes());
    let statuses: Vec<_> = paths.iter().map(|_| connection.answer().status).collect();
    let seen = watch.finish();

    let expected: Vec<_> =
        paths.iter().zip(&statuses).map(|(path, status)| format!("GET {path} {status}")).collect();
    assert_eq!(statuses, [200, 404, 500, 200, 200]);
    assert_eq!(lines(&seen.at(server.address.port())), expected);
}

#[test]
fn a_head_in_single_bytes_is_one_exchange() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = serve("127.0.0.1", |stream| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && read_more(stream, &mut request) {}
        for byte in OK {
            let _ = stream.write_all(&[*byte]);
        }
    });
    let watch = Watch::start();
    let mut connection = Connection::open(server);
    for byte in b"GET /slowly?a=b HTTP/1.1\r\nHost: test\r\n\r\n" {
        connection.send(&[*byte]);
    }
    assert_eq!(connection.answer().status, 200);
    let seen = watch.finish();
    assert_eq!(lines(&seen.at(server.port())), ["GET /slowly?a=? 200"]);
}

#[test]
fn interim_answers_belong_to_the_final_one() {
    let Some(_turn) = turn_to_capture() else { return };
    let servers = ["peers/server.py", "greeter"].map(|name| Server::start(peers::server(name)));
    let watch = Watch::start();
    for server in &servers {
        program::run(
            Command::new("curl")
                .args(["-sS", "-H", "Expect: 100-continue", "--data", "a body of a few bytes"])
                .arg(server.url("/upload")),
        );
    }
    let seen = watch.finish();
    for server in &servers {
        assert_eq!(lines(&seen.at(server.address.port())), ["POST /upload 200"]);
    }
}

#[test]
fn bodies_of_every_framing_end_where_they_end() {
    let Some(_turn) = turn_to_capture() else { return };
    // Bodies that look like answers must not be taken for some.
    let server = serve("127.0.0.1", |stream| {
        let mut request = Vec::new();
        for answer in [
            &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 500 No\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n13;x=y\r\nHTTP/1.1 500 No\r\n\r\n\r\n0\r\nTrailer: t\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nuntil the end, HTTP/1.1 500 No\r\n\r\n",
        ] {
            request.clear();
            while !request.ends_with(b"\r\n\r\n") && read_more(stream, &mut request) {}
            let _ = stream.write_all(answer);
            pause();
        }
    });
    let watch = Watch::start();
    let mut connection = Connection::open(server);
    for number in 1..=5 {
        connection.send_get(&format!("/{number}"));
        if number < 5 {
            // Trailers are left in the reader by a client as simple as ours.
            pause();
            pause();
        }
    }
    connection.read_to_end();
    // What is delimited by the end of the connection ends with it.
    drop(connection);
    let seen = watch.finish();
    assert_eq!(
        lines(&seen.at(server.port())),
        ["GET /1 204", "GET /2 304", "GET /3 200", "GET /4 200", "GET /5 200"]
    );
}

#[test]
fn requests_that_are_never_answered_are_reported() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = serve("127.0.0.1", |stream| {
        read_more(stream, &mut Vec::new());
    });
    let watch = Watch::start();
    let mut connection = Connection::open(server);
    connection.send_get("/unheard");
    assert!(connection.try_answer().is_none());
    drop(connection);
    let seen = watch.finish();
    let reported = seen.at(server.port());
    assert_eq!(lines(&reported), ["GET /unheard "]);
    assert_eq!((&*reported[0].outcome, reported[0].error), ("no_response", true));
    assert_eq!(reported[0].observed_by, "both");
}

#[test]
fn an_answer_takes_as_long_as_it_took() {
    let Some(_turn) = turn_to_capture() else { return };
    let (before, within) = (Duration::from_millis(200), Duration::from_millis(100));
    let server = serve("127.0.0.1", move |stream| {
        read_more(stream, &mut Vec::new());
        std::thread::sleep(before);
        let _ = stream.write_all(&OK[..OK.len() - 2]);
        std::thread::sleep(within);
        let _ = stream.write_all(b"ok");
    });
    let watch = Watch::start();
    let mut connection = Connection::open(server);
    connection.send_get("/slow");
    assert_eq!(connection.answer().status, 200);
    let seen = watch.finish();
    let reported = seen.at(server.port());
    let first = Duration::from_nanos(reported[0].ttfb_ns.unwrap());
    let last = Duration::from_nanos(reported[0].latency_ns.unwrap());
    let server_last = Duration::from_nanos(reported[0].server_latency_ns.unwrap());
    // The sleeps are lower bounds; clocks may differ by their grain.
    let grain = Duration::from_millis(1);
    assert!(first + grain >= before, "first byte after {first:?}");
    assert!(last + grain >= before + within, "last byte after {last:?}");
    assert!(server_last + grain >= before + within, "sent after {server_last:?}");
    // How late the first was read is the scheduler's business.
    assert!(first < last, "{first:?} to {last:?}");
}

#[test]
fn after_an_upgrade_the_bytes_are_nobodys_business() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = serve("127.0.0.1", |stream| {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") && read_more(stream, &mut bytes) {}
        let _ = stream.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        pause();
        let _ = stream.write_all(b"\x81\x20HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        while read_more(stream, &mut bytes) {}
    });
    let watch = Watch::start();
    let mut connection = Connection::open(server);
    connection.send(
        b"GET /socket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(connection.answer().status, 101);
    for _ in 0..5 {
        connection.send(b"GET /not-a-request HTTP/1.1\r\nHost: test\r\n\r\n");
        pause();
    }
    connection.finish();
    connection.read_to_end();
    let seen = watch.finish();
    assert_eq!(lines(&seen.at(server.port())), ["GET /socket 101"]);
}

#[test]
fn event_streams_are_reported_at_their_end() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Server::start(peers::server("aiohttp_server.py"));
    let watch = Watch::start();
    program::run(Command::new("curl").args(["-sSN", &server.url("/events")]));
    let seen = watch.finish();
    let reported = seen.at(server.address.port());
    assert_eq!(lines(&reported), ["GET /events 200"]);
    let latency = Duration::from_nanos(reported[0].latency_ns.unwrap());
    assert!(latency >= Duration::from_millis(100), "three events, 50 ms apart: {latency:?}");
}

#[test]
fn ipv6_and_mapped_addresses_are_what_they_stand_for() {
    let Some(_turn) = turn_to_capture() else { return };
    let six = serve("::1", answer_all(OK));
    let both = serve("::", answer_all(OK));
    let watch = Watch::start();
    for address in [six, (std::net::Ipv4Addr::LOCALHOST, both.port()).into()] {
        let mut connection = Connection::open(address);
        connection.send_get("/");
        connection.answer();
    }
    let seen = watch.finish();
    for (server, ip) in [(six, "::1"), (both, "127.0.0.1")] {
        let reported = seen.at(server.port());
        assert_eq!(lines(&reported), ["GET / 200"]);
        assert_eq!((&*reported[0].client.ip, &*reported[0].server.ip), (ip, ip));
        assert_eq!(reported[0].observed_by, "both");
    }
}
