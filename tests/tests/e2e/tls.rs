//! What is said inside TLS, against nginx's access log: OpenSSL at both ends.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use alaz_tests::alaz::{Seen, Server, Watch};
use alaz_tests::nginx::{LogLine, Nginx, certificate};
use alaz_tests::program::Program;
use alaz_tests::{free_port, program, turn_to_capture, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// What connections of others on this machine may lose at the same time. Programs that do not let
/// their library use the socket itself are among them.
const ELSEWHERE: [&str; 3] = ["truncated", "unreadable", "unlinked"];

fn curl(arguments: &[&str], url: &str) {
    program::run(Command::new("curl").args(["-sSk", "-o", "/dev/null"]).args(arguments).arg(url));
}

fn python(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", script]).args(arguments);
    command
}

/// `/PATH/N` by urllib, a connection each; by one connection of http.client; by requests.
const PYTHON: &str = "
import http.client, requests, ssl, sys, urllib.request, warnings
warnings.simplefilter('ignore')
port, context = sys.argv[1], ssl._create_unverified_context()
for n in range(10):
    urllib.request.urlopen('https://127.0.0.1:%s/urllib/%d' % (port, n), context=context).read()
connection = http.client.HTTPSConnection('127.0.0.1', int(port), context=context)
for n in range(50):
    connection.request('GET', '/client/%d' % n)
    connection.getresponse().read()
connection.close()
session = requests.Session()
for n in range(20):
    session.get('https://127.0.0.1:%s/requests/%d' % (port, n), verify=False).content
";

/// Asks by HTTP/1.1 and HTTP/2, over short connections and long ones.
fn ask(nginx: &Nginx) {
    let url = |target: &str| format!("https://{}{target}", nginx.address);
    for number in 1..=20 {
        curl(&["--http1.1"], &url(&format!("/short/{number}")));
    }
    curl(&["--http1.1", "--tls-max", "1.2"], &url("/older/[1-20]"));
    curl(&["--http1.1"], &url("/long/[1-100]"));
    curl(&["--http2"], &url("/two/[1-50]"));
    curl(&["--http1.1"], &url("/missing"));
    program::run(&mut python(PYTHON, &[&nginx.address.port().to_string()]));
}

/// Every request that was logged is reported once, as both ends saw it, and no other.
fn assert_as_logged(seen: &Seen, port: u16, log: &[LogLine]) {
    assert!(seen.ledger.lost_reasons_are_only(&ELSEWHERE), "{:?}", seen.ledger);
    let reported = seen.at(port);
    assert_eq!(reported.len(), log.len());
    let by_target: HashMap<_, _> = reported.iter().map(|it| (&*it.target, *it)).collect();
    assert_eq!(by_target.len(), log.len(), "each was asked for once");
    for line in log {
        let exchange = by_target[&*line.target];
        assert_eq!((&exchange.method, &exchange.status), (&line.method, &line.status));
        assert_eq!(exchange.client.port, line.remote_port);
        assert!(exchange.tls, "{exchange:?}");
        assert_eq!((&*exchange.outcome, &*exchange.observed_by), ("complete", "both"));
        let is_two = line.target.starts_with("/two/");
        assert_eq!(&*exchange.protocol, if is_two { "http2" } else { "http" });
        assert_eq!(&*exchange.server.workload, "nginx");
        if !is_two {
            let sizes = (exchange.request_bytes, exchange.response_bytes);
            assert_eq!(sizes, (line.request_length, line.bytes_sent), "{exchange:?}");
        }
        let (Some(latency), Some(server)) = (exchange.latency_ns, exchange.server_latency_ns)
        else {
            panic!("a time is missing: {exchange:?}");
        };
        assert!(server <= latency, "{exchange:?}");
    }
    assert!(seen.ledger.sources["tls"].segments.parsed > 0);
}

#[test]
fn requests_inside_tls_are_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start_tls();
    let port = nginx.address.port();
    let watch = Watch::start();
    ask(&nginx);
    let seen = watch.finish();
    assert_as_logged(&seen, port, &nginx.stop());
}

#[test]
fn processes_that_start_later_are_seen_from_their_first_request() {
    let Some(_turn) = turn_to_capture() else { return };
    let watch = Watch::start();
    let nginx = Nginx::start_tls();
    let port = nginx.address.port();
    ask(&nginx);
    let seen = watch.finish();
    assert_as_logged(&seen, port, &nginx.stop());
}

/// What a client and nginx are made to agree on is what is told of their connections.
#[test]
fn how_tls_began_is_told() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start_tls();
    let port = nginx.address.port();
    let alaz = Server::start();
    let (older, newer) = ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256");
    let url = |name: &str| format!("https://{name}:{port}/named/{name}");
    for (name, options) in [
        ("older.example", ["--tls-max", "1.2", "--ciphers", older]),
        ("newer.example", ["--tlsv1.3", "--http1.1", "--tls13-ciphers", newer]),
    ] {
        let resolve = format!("{name}:{port}:127.0.0.1");
        curl(&[&options[..], &["--resolve", &resolve]].concat(), &url(name));
    }
    // It does not know who signed the certificate, and says so openly in the older version.
    let refusing = Command::new("curl")
        .args(["-sS", "--tls-max", "1.2", &format!("https://127.0.0.1:{port}/")])
        .status();
    assert!(!refusing.unwrap().success());

    let mut tls = Value::Null;
    wait_until("the map has all connections", || {
        let map = alaz.json("/api/v1/map");
        let mut edges = map["edges"].as_array().unwrap().iter();
        let Some(edge) = edges.find(|edge| edge["port"] == port) else { return false };
        tls = edge["tcp"]["tls"].clone();
        edge["tcp"]["closed"] == 3
    });
    let expected = json!({
        "connections": 3, "read": 2,
        "versions": {"1.2": 2, "1.3": 1},
        "ciphers": tls["ciphers"],
        "server_names": {"older.example": 1, "newer.example": 1},
        "protocols": {"h2": 2},
        "failures": {"client: unknown_ca": 1},
    });
    assert_eq!(tls, expected);
    let ciphers = &tls["ciphers"];
    assert_eq!(ciphers["TLS_AES_128_GCM_SHA256"], 1, "{tls}");
    assert!(ciphers["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"].as_u64() >= Some(1), "{tls}");

    let exchanges = alaz.json("/api/v1/exchanges?limit=100");
    let attributes = |name: &str| {
        let all = exchanges.as_array().unwrap();
        let named = all.iter().find(|it| it["target"] == format!("/named/{name}"));
        named.unwrap_or_else(|| panic!("{exchanges}"))["attributes"].clone()
    };
    let newer = attributes("newer.example");
    assert_eq!(newer["tls.protocol.version"], "1.3");
    assert_eq!(newer["tls.cipher"], "TLS_AES_128_GCM_SHA256");
    assert_eq!(newer["tls.client.server_name"], "newer.example");
    let older = attributes("older.example");
    assert_eq!(
        (&older["tls.protocol.version"], &older["tls.next_protocol"]),
        (&json!("1.2"), &json!("h2"))
    );
}

/// Asks on one connection until a file is there.
const UNTIL: &str = "
import http.client, os, ssl, sys, time
context = ssl._create_unverified_context()
connection = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[1]), context=context)
n = 0
while not os.path.exists(sys.argv[2]):
    n += 1
    connection.request('GET', '/old/%d' % n)
    assert connection.getresponse().read() == b'hello\\n'
    print(n, flush=True)
    time.sleep(0.01)
";

fn client_until(nginx: &Nginx, file: &Path) -> Program {
    let port = nginx.address.port().to_string();
    Program::start(&mut python(UNTIL, &[&port, file.to_str().unwrap()]))
}

fn answers(client: &Program) -> usize {
    client.stdout().lines().count()
}

#[test]
fn a_connection_older_than_alaz_is_read_from_somewhere_on_and_each_exchange_counts_once() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start_tls();
    let port = nginx.address.port();
    let folder = tempfile::tempdir().unwrap();
    let stop = folder.path().join("stop");
    let mut client = client_until(&nginx, &stop);
    wait_until("the client is answered", || answers(&client) > 10);
    let watch = Watch::start();
    let before = answers(&client);
    wait_until("the client was answered often", || answers(&client) > before + 200);
    std::fs::write(&stop, "").unwrap();
    client.wait_for_success();
    let asked = answers(&client);
    let seen = watch.finish();
    assert_eq!(nginx.stop().len(), asked);

    let number = |target: &str| target.strip_prefix("/old/").unwrap().parse::<usize>().unwrap();
    let reported = seen.at(port);
    let mut numbers: Vec<_> = reported.iter().map(|it| number(&it.target)).collect();
    numbers.sort_unstable();
    let first = numbers[0];
    assert!(first <= before + 1, "from {first} on, though Alaz was there from {before} on");
    // While the probes come, one end may have been seen, and the other not.
    assert_eq!(numbers, (first..=asked).collect::<Vec<_>>());
    let alone: Vec<_> = reported.iter().filter(|it| it.observed_by != "both").collect();
    assert!(alone.len() <= 2, "{alone:?}");
    assert!(reported.iter().all(|it| it.tls && it.status == "200" && it.outcome == "complete"));
}

#[test]
fn probed_processes_outlive_an_alaz_that_is_killed() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start_tls();
    let folder = tempfile::tempdir().unwrap();
    let stop = folder.path().join("stop");
    let mut client = client_until(&nginx, &stop);
    for _ in 0..2 {
        let mut watch = Watch::start();
        let before = answers(&client);
        wait_until("the client is answered", || answers(&client) > before + 20);
        watch.program().end(Signal::KILL);
        let before = answers(&client);
        wait_until("the client is still answered", || answers(&client) > before + 20);
    }
    curl(&["--http1.1"], &format!("https://{}/after", nginx.address));
    std::fs::write(&stop, "").unwrap();
    client.wait_for_success();
    assert_eq!(nginx.stop().len(), answers(&client) + 1);
}

#[test]
fn other_protocols_are_read_inside_tls_too() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = certificate(folder.path());
    let port = free_port();
    let at = port.to_string();
    let mut server = Program::serve(
        Command::new("redis-server")
            .args(["--port", "0", "--tls-port", &at, "--bind", "127.0.0.1", "--save", ""])
            .args(["--tls-key-file", &key, "--tls-cert-file", &certificate])
            .args(["--tls-auth-clients", "no", "--dir", folder.path().to_str().unwrap()]),
        port,
    );
    let watch = Watch::start();
    for number in 1..=10 {
        let name = format!("key{number}");
        let command = ["--tls", "--insecure", "-p", &at, "SET", &name, "secret"];
        program::run(Command::new("redis-cli").args(command));
    }
    let seen = watch.finish();
    server.end(Signal::TERM);
    let said: Vec<_> = seen.at(port).iter().map(|it| (it.line(), it.tls)).collect();
    let expected: Vec<_> = (1..=10).map(|n| (format!("SET key{n} ok"), true)).collect();
    assert_eq!(said, expected);
    assert!(seen.at(port).iter().all(|it| it.observed_by == "both" && it.protocol == "redis"));
    assert!(!seen.text.contains("secret"));
}

/// asyncio gives its library memory, and moves the bytes itself.
const ASYNCIO: &str = "
import asyncio, ssl, sys
async def ask():
    context = ssl._create_unverified_context()
    reader, writer = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]), ssl=context)
    for n in range(20):
        writer.write(b'GET /asyncio/%d HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % n)
        await reader.readuntil(b'hello\\n')
    writer.close()
asyncio.run(ask())
";

#[test]
fn what_cannot_be_linked_is_counted_and_seen_from_the_other_end() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start_tls();
    let port = nginx.address.port();
    let watch = Watch::start();
    program::run(&mut python(ASYNCIO, &[&port.to_string()]));
    let seen = watch.finish();
    let log = nginx.stop();
    assert_eq!((log.len(), seen.at(port).len()), (20, 20));
    assert!(seen.at(port).iter().all(|it| it.observed_by == "server"), "{:?}", seen.at(port));
    let unlinked = seen.ledger.sources["tls"].segments.lost.get("unlinked");
    assert!(unlinked.is_some_and(|number| *number >= 20), "{:?}", seen.ledger);
}
