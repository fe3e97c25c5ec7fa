//! MariaDB: the server's general log.

use alaz_tests::alaz::Watch;
use alaz_tests::exchange::shows_of;
use alaz_tests::mariadb::Mariadb;
use alaz_tests::program::run;
use alaz_tests::turn_to_capture;

use crate::{client, told};

/// Commands that the log has not, or not by a text.
const WITHOUT_TEXT: [&str; 6] =
    ["INIT_DB", "PING", "RESET", "CHANGE_USER", "CONNECT", "SET_OPTION"];

#[test]
fn every_statement_of_every_driver_is_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    for source in ["mysql.py", "mysql.js", "Mysql.java"] {
        let server = Mariadb::start();
        let port = server.address.port();
        let watch = Watch::start();
        run(&mut client(source, port));
        let seen = watch.finish();
        assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
        assert!(!seen.text.contains("hunter2"), "a value was shown");

        let log = server.stop();
        let mut said: Vec<_> = log
            .iter()
            .filter(|line| ["Query", "Prepare", "Execute"].contains(&&*line.command))
            .collect();
        let known = said.len();
        let mut reported = seen.at(port);
        reported.retain(|exchange| !WITHOUT_TEXT.contains(&&*exchange.method));
        for exchange in &reported {
            let at = said.iter().position(|line| {
                (exchange.method == "PREPARE") == (line.command == "Prepare")
                    && shows_of(&exchange.target, &line.text)
            });
            let at = at.unwrap_or_else(|| panic!("{source}: nothing is logged of {exchange:?}"));
            said.remove(at);
            assert_eq!(exchange.outcome, "complete", "{exchange:?}");
        }
        assert!(said.is_empty(), "{source}: not reported: {said:?}");
        let failed: Vec<_> = reported.iter().filter(|exchange| exchange.error).collect();
        let codes: Vec<_> = failed.iter().map(|exchange| &*exchange.status).collect();
        assert_eq!(codes, ["1146", "1064"], "{source}");
        told(source, known, reported.len());
    }
}
