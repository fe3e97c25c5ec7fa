//! Coming and going: connections older than Alaz, and what is left when it is killed.

use std::time::Duration;

use alaz_tests::alaz::{Server, Watch};
use alaz_tests::bpf::{Objects, pinned};
use alaz_tests::http::{Connection, answer_all, serve};
use alaz_tests::nginx::Nginx;
use alaz_tests::{load, turn_to_capture, wait_until};
use rustix::process::Signal;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_connection_older_than_alaz_counts_from_its_next_exchange() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    // This server waits in a blocking read on every connection when Alaz comes.
    let blocking = serve("127.0.0.1", answer_all(OK));
    let mut connections = [nginx.address, blocking].map(Connection::open);
    for connection in &mut connections {
        for number in 0..3 {
            connection.send_get(&format!("/before/{number}"));
            connection.answer();
        }
    }
    let watch = Watch::start();
    for connection in &mut connections {
        for number in 0..5 {
            connection.send_get(&format!("/after/{number}"));
            connection.answer();
        }
    }
    let seen = watch.finish();
    for server in [nginx.address, blocking] {
        let reported = seen.at(server.port());
        let said: Vec<_> = reported.iter().map(|exchange| exchange.line()).collect();
        let expected: Vec<_> = (0..5).map(|number| format!("GET /after/{number} 200")).collect();
        assert_eq!(said, expected, "{server}");
        for exchange in reported {
            assert_eq!(exchange.observed_by, "both", "{exchange:?}");
        }
    }
}

#[test]
fn killed_under_load_it_leaves_nothing_and_nobody_notices() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let pinned_before = pinned();
    let address = nginx.address;
    let client =
        std::thread::spawn(move || load::at_rate(address, "/empty", 2_000, Duration::from_secs(4)));

    let mut watch = Watch::start();
    let objects = Objects::of_process(watch.program().pid());
    assert!(!objects.links.is_empty() && !objects.maps.is_empty(), "{objects:?}");
    assert_eq!(objects.left(), objects, "the kernel has what the process holds");
    watch.program().end(Signal::KILL);
    // The kernel takes its time to free them.
    wait_until("everything of a killed Alaz is gone", || objects.left().is_empty());
    assert_eq!(pinned(), pinned_before);

    let mut server = Server::start();
    let objects = Objects::of_process(server.program().pid());
    server.program().end(Signal::KILL);
    wait_until("everything of a killed server is gone", || objects.left().is_empty());

    // A new one works while the load goes on, and after it.
    let watch = Watch::start();
    let sent = client.join().unwrap();
    assert_eq!(sent.failed, 0, "{sent:?}");
    let mut connection = Connection::open(address);
    connection.send_get("/afterwards");
    assert_eq!(connection.answer().status, 200);
    let seen = watch.finish();
    let afterwards = seen.at(address.port()).iter().filter(|e| e.target == "/afterwards").count();
    assert_eq!(afterwards, 1);
    assert_eq!(nginx.stop().len() as u64, sent.answered + 1);
}

#[test]
fn ended_politely_it_leaves_nothing_either() {
    let Some(_turn) = turn_to_capture() else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let mut watch = Watch::start();
        let objects = Objects::of_process(watch.program().pid());
        let status = watch.program().end(signal);
        assert!(status.success(), "{signal:?}: {status}");
        assert!(watch.program().stderr().lines().last().unwrap().starts_with("ledger: {"));
        wait_until("everything is gone", || objects.left().is_empty());
    }
}
