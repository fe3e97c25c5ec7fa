//! PostgreSQL: the server's log of statements.

use alaz_tests::alaz::Watch;
use alaz_tests::exchange::{Exchange, shows_of};
use alaz_tests::postgresql::Postgresql;
use alaz_tests::program::run;
use alaz_tests::turn_to_capture;

use crate::{client, told};

#[test]
fn every_statement_of_every_driver_is_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    for source in ["postgresql.py", "postgresql.js", "Postgresql.java"] {
        let server = Postgresql::start();
        let port = server.address.port();
        let watch = Watch::start();
        run(&mut client(source, port));
        let seen = watch.finish();
        assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
        assert!(!seen.text.contains("hunter2"), "a value was shown");

        let (mut said, failed): (Vec<_>, Vec<_>) =
            server.stop().into_iter().partition(|line| line.state == "00000");
        let reported = seen.at(port);
        let (good, bad): (Vec<&Exchange>, Vec<&Exchange>) =
            reported.iter().copied().partition(|exchange| exchange.status == "ok");
        for exchange in &good {
            let at = said.iter().position(|line| shows_of(&exchange.target, &line.text));
            let at = at.unwrap_or_else(|| panic!("{source}: nothing is logged of {exchange:?}"));
            said.remove(at);
        }
        let mut codes: Vec<_> = failed.iter().map(|line| line.state.clone()).collect();
        let mut shown: Vec<_> = bad.iter().map(|exchange| exchange.status.clone()).collect();
        codes.sort();
        shown.sort();
        assert_eq!(shown, codes, "{source}");
        let known = good.len() + failed.len();
        // What failed may have been logged before it did.
        for line in said {
            let is_shown = bad.iter().any(|exchange| shows_of(&exchange.target, &line.text));
            assert!(is_shown, "{source}: not reported: {line:?}");
        }
        told(source, known, reported.len());
    }
}
