//! Traffic that is not HTTP: counted, and nothing made up.

use std::io::Write;

use alaz_tests::alaz::Watch;
use alaz_tests::http::{Connection, pause, read_more, serve};
use alaz_tests::turn_to_capture;

/// Answers each read with these lines, one after the other.
fn converse(says: &'static [&'static [u8]], hears: &'static [&'static [u8]]) -> u16 {
    let server = serve("127.0.0.1", move |stream| {
        for answer in hears {
            if !read_more(stream, &mut Vec::new()) || stream.write_all(answer).is_err() {
                return;
            }
        }
    });
    let mut connection = Connection::open(server);
    for line in says {
        connection.send(line);
        pause();
    }
    connection.finish();
    connection.read_to_end();
    server.port()
}

#[test]
fn other_text_protocols_are_not_taken_for_http() {
    let Some(_turn) = turn_to_capture() else { return };
    let watch = Watch::start();
    let ports = [
        // Redis, as its clients speak and as people type it: GET is a command there too.
        converse(
            &[b"*2\r\n$3\r\nGET\r\n$5\r\n/user\r\n", b"GET /user\r\n", b"PUT / x\r\n", b"PING\r\n"],
            &[b"$-1\r\n", b"$5\r\nHTTP/\r\n", b"-ERR unknown command\r\n", b"+PONG\r\n"],
        ),
        // SMTP.
        converse(
            &[b"HELO there\r\n", b"OPTIONS\r\n", b"QUIT\r\n"],
            &[b"250 here\r\n", b"502 no\r\n", b"221 bye\r\n"],
        ),
        // memcached.
        converse(&[b"get /key\r\n", b"set k 0 0 1\r\nx\r\n"], &[b"END\r\n", b"STORED\r\n"]),
        // The old way: a request without a version and without a head.
        converse(&[b"GET /\r\n"], &[b"<html></html>"]),
    ];
    let seen = watch.finish();
    for port in ports {
        let taken_for_http: Vec<_> =
            seen.at(port).into_iter().filter(|exchange| exchange.protocol == "http").collect();
        assert!(taken_for_http.is_empty(), "{taken_for_http:?}");
    }
}

#[test]
fn random_bytes_give_no_exchanges_and_do_no_harm() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = serve("127.0.0.1", |stream| {
        let mut bytes = Vec::new();
        while read_more(stream, &mut bytes) {
            bytes.reverse();
            if stream.write_all(&bytes).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    let mut watch = Watch::start();
    // xorshift64 (Marsaglia 2003): the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..50 {
        let mut connection = Connection::open(server);
        for _ in 0..10 {
            let length = (next() % 200 + 1) as usize;
            let noise: Vec<_> = (0..length).flat_map(|_| next().to_le_bytes()).collect();
            connection.send(&noise);
        }
        connection.finish();
        connection.read_to_end();
    }
    watch.program().assert_running();
    let seen = watch.finish();
    assert!(seen.at(server.port()).is_empty());
}
