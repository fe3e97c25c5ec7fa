//! Who it was, also of those that are gone before anybody asks.

use std::process::Command;

use alaz_tests::alaz::Watch;
use alaz_tests::peers::{FORKING_SERVER, Server};
use alaz_tests::{program, turn_to_capture};

#[test]
fn children_that_end_with_their_answer_have_their_parents_name() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = Server::start(&FORKING_SERVER);
    let watch = Watch::start();
    for _ in 0..4 {
        let urls: Vec<_> = (0..25).map(|number| server.url(&format!("/{number}"))).collect();
        // A connection each: the server closes after its answer.
        program::run(Command::new("curl").args(["-sS", "-Z"]).args(urls));
    }
    let seen = watch.finish();
    let reported = seen.at(server.address.port());
    assert_eq!(server.log().len(), 100);
    assert_eq!(reported.len(), 100);
    let children: std::collections::BTreeSet<_> =
        reported.iter().map(|exchange| exchange.server.pid).collect();
    assert_eq!(children.len(), 100, "a child for each connection");
    for exchange in reported {
        assert_eq!(exchange.server.workload, FORKING_SERVER.workload, "{exchange:?}");
        assert_eq!(exchange.client.workload, "curl", "{exchange:?}");
    }
}
