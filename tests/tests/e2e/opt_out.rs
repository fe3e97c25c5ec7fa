//! Processes that are opted out: nothing is told of what they say, and all of it is counted.

use std::process::Command;

use alaz_tests::alaz::Watch;
use alaz_tests::peers::{FORKING_SERVER, Server};
use alaz_tests::{program, turn_to_capture};

const OFF: (&str, &str) = ("ALAZ_CAPTURE", "off");

fn curl(url: &str, variables: &[(&str, &str)]) {
    let mut curl = Command::new("curl");
    program::run(curl.args(["-sS", url]).envs(variables.iter().copied()));
}

#[test]
fn of_processes_that_are_opted_out_nothing_is_told() {
    let Some(_turn) = turn_to_capture() else { return };
    // One is older than Alaz, one younger; both fork a child for each connection.
    let older = Server::start_with(&FORKING_SERVER, &[OFF]);
    let seen_server = Server::start(&FORKING_SERVER);
    let watch = Watch::start();
    let younger = Server::start_with(&FORKING_SERVER, &[OFF]);
    for number in 0..20 {
        let target = format!("/hidden-{number}");
        for server in [&older, &younger] {
            curl(&server.url(&target), &[OFF]);
        }
        curl(&seen_server.url(&format!("/seen-{number}")), &[]);
        // Each tells what it says itself.
        curl(&seen_server.url("/by-the-server"), &[OFF]);
        curl(&older.url("/by-the-client"), &[]);
    }
    let seen = watch.finish();
    assert!(!seen.text.contains("hidden"), "{}", seen.text);
    assert!(seen.at(younger.address.port()).is_empty());
    let count = |server: &Server, path: &str, observed_by: &str| {
        let exchanges = seen.at(server.address.port()).into_iter();
        let is_one = |target: &str, by: &str| target.starts_with(path) && by == observed_by;
        exchanges.filter(|it| is_one(&it.target, &it.observed_by)).count()
    };
    assert_eq!(count(&seen_server, "/seen-", "both"), 20);
    assert_eq!(count(&seen_server, "/by-the-server", "server"), 20);
    assert_eq!(count(&older, "/by-the-client", "client"), 20);
    assert_eq!(seen.at(older.address.port()).len(), 20);
    assert_eq!(seen.at(seen_server.address.port()).len(), 40);
    let hidden_by_server = seen.at(older.address.port()).iter().all(|it| it.server.pid == 0);
    assert!(hidden_by_server, "{:?}", seen.at(older.address.port()));
    // A request and a response at each of 120 ends, at least, and more bytes than that.
    let total = &seen.ledger.total;
    assert!(total.segments.opted_out >= 2 * 120, "{:?}", seen.ledger);
    assert!(total.bytes.opted_out > total.segments.opted_out, "{:?}", seen.ledger);
}
