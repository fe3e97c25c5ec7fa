//! Secrets stay in: a canary in every place where people put them, and a look at every output.

use alaz_tests::alaz::{self, Server, Watch};
use alaz_tests::http::{self, Connection, answer_all, serve};
use alaz_tests::program::Program;
use alaz_tests::{turn_to_capture, wait_until};
use std::io::Read;

const CANARY: &str = "canary7f3a";
const ANSWER: &[u8] = b"HTTP/1.1 200 canary7f3a\r\nSet-Cookie: session=canary7f3a\r\n\
                        Location: /next?code=canary7f3a\r\nContent-Length: 10\r\n\r\ncanary7f3a";

/// Requests whose only readable parts are harmless.
fn ask(server: std::net::SocketAddr) -> usize {
    let authority = format!("127.0.0.1:{}", server.port());
    let mut connection = Connection::open(server);
    let targets = [
        "/plain?password=canary7f3a".to_owned(),
        "/several?a=1&canary7f3a=2&c".replace("canary7f3a=", "b=canary7f3a&d="),
        "/bare?canary7f3a".to_owned(),
        "/twice?x=?canary7f3a&y=canary7f3a#canary7f3a".to_owned(),
        "/semicolon?x=1;y=canary7f3a".to_owned(),
        "/encoded?x=%26canary7f3a".to_owned(),
        format!("http://user:canary7f3a@{authority}/absolute"),
        format!("http://canary7f3a@{authority}/user-only?x=canary7f3a"),
        "/path@with-at?x=canary7f3a".to_owned(),
    ];
    for target in &targets {
        connection.send(
            format!(
                "GET {target} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {CANARY}\r\n\
                 Cookie: a={CANARY}\r\nX-Api-Key: {CANARY}\r\nReferer: http://x/?y={CANARY}\r\n\
                 User-Agent: {CANARY}\r\n\r\n"
            )
            .as_bytes(),
        );
        assert_eq!(connection.answer().status, 200);
    }
    targets.len()
}

#[test]
fn nothing_secret_is_printed_or_served() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = serve("127.0.0.1", answer_all(ANSWER));
    let alaz = Server::start();
    let url = alaz.url();
    let mut text = Program::start(&mut alaz::command(&["watch", "--server", &url]));
    let watch = Watch::start();

    let asked = ask(server);

    let port = server.port();
    let exchanges = format!("/api/v1/exchanges?port={port}&limit=100");
    wait_until("the server has all exchanges", || rows(&alaz.json(&exchanges)) == asked);
    wait_until("the text output has all exchanges", || {
        text.assert_running();
        text.stdout().matches(&format!(":{port} ")).count() == asked
    });
    let map = alaz.json("/api/v1/map");
    let edges = map["edges"].as_array().unwrap();
    let edge = edges.iter().find(|edge| edge["port"] == port).unwrap();
    let edge_id = edge["id"].as_str().unwrap();
    let mut pages = vec![exchanges, "/metrics".to_owned(), "/api/v1/map".to_owned()];
    pages.extend(["/api/v1/ledger", "/api/v1/status"].map(str::to_owned));
    pages.push(format!("/api/v1/edges/{edge_id}"));
    pages.push(format!("/api/v1/edges/{edge_id}/series"));
    for side in ["from", "to"] {
        pages.push(format!("/api/v1/nodes/{}", edge[side].as_str().unwrap()));
    }
    for page in pages {
        let answer = http::get(alaz.address, &page);
        assert_eq!(answer.status, 200, "{page}");
        assert_silent(&page, &answer.text());
    }
    assert_silent("the text output", &(text.stdout() + &text.stderr()));

    let seen = watch.finish();
    assert_eq!(seen.at(port).len(), asked);
    assert_silent("alaz watch", &seen.text);
    alaz.stop();
}

#[test]
fn a_body_of_any_kind_stays_inside() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = serve("127.0.0.1", |stream| {
        // The whole body, then the answer, then close.
        let mut bytes = Vec::new();
        let _ = stream.take(60_000).read_to_end(&mut bytes);
        let _ = std::io::Write::write_all(stream, ANSWER);
    });
    let watch = Watch::start();
    let mut connection = Connection::open(server);
    let head = "POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: ";
    let length = 60_000 - head.len() - "59000\r\n\r\n".len();
    let mut request = format!("{head}{length}\r\n\r\n");
    while request.len() < 60_000 - 40 {
        request.push_str("GET /canary7f3a HTTP/1.1\r\n\r\n");
    }
    request.push_str(&"x".repeat(60_000 - request.len()));
    connection.send(request.as_bytes());
    assert_eq!(connection.answer().status, 200);
    let seen = watch.finish();
    assert_eq!(seen.at(server.port()).len(), 1);
    assert_silent("alaz watch", &seen.text);
}

/// `/exchanges` gives a list, bare or under its name.
fn rows(page: &serde_json::Value) -> usize {
    let list = page.as_array().or_else(|| page["exchanges"].as_array());
    list.map_or(0, Vec::len)
}

fn assert_silent(what: &str, text: &str) {
    if let Some(at) = text.find(CANARY) {
        let around: String = text[at.saturating_sub(200)..].chars().take(300).collect();
        panic!("{what} tells a secret: …{around}…");
    }
}
