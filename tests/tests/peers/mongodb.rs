//! MongoDB's protocol: what the drivers' own monitoring tells.

use alaz_tests::alaz::Watch;
use alaz_tests::mongodb::{self, FerretDb};
use alaz_tests::program::run;
use alaz_tests::turn_to_capture;

use crate::{client, count, told};

#[test]
fn every_command_of_every_driver_is_reported_as_monitored() {
    let Some(_turn) = turn_to_capture() else { return };
    for name in ["mongodb.js", "pymongo"] {
        let server = FerretDb::start();
        let watch = Watch::start();
        let output = run(&mut match name {
            "pymongo" => mongodb::client(server.port, ""),
            source => client(source, server.port),
        });
        let seen = watch.finish();
        assert!(!seen.text.contains("hunter2"), "a value was shown");
        assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
        // Monitoring leaves out the greeting, and tells the end without waiting for its reply.
        let is_asked =
            |method: &str| !["hello", "ismaster", "isMaster", "endSessions"].contains(&method);
        let mut reported = seen.at(server.port);
        reported.retain(|exchange| is_asked(&exchange.method));
        let lines = output.lines().filter_map(|line| {
            let words: Vec<_> = line.split(['\t', ' ']).take(3).collect();
            is_asked(words[0]).then(|| words.join(" "))
        });
        let known = count(lines);
        assert_eq!(count(reported.iter().map(|exchange| exchange.line())), known, "{name}");
        told(name, known.values().sum(), reported.len());
    }
}
