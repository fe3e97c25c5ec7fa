//! Alaz's limits on itself.

use std::time::Duration;

use alaz_tests::alaz::Server;
use alaz_tests::exchange::Ledger;
use alaz_tests::nginx::Nginx;
use alaz_tests::{http, load, say, turn_to_capture, wait_until};

const STEPS: [&str; 3] = ["no_depth", "no_samples", "counted_only"];

#[test]
fn over_its_limit_it_leaves_work_undone_and_says_so() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    // Less than any program takes.
    let mut alaz = Server::start_with(&["--memory-limit", "1MiB"]);
    let step = || alaz.json("/api/v1/status")["guard"]["step"].clone();
    let ask = || load::at_rate(nginx.address, "/empty", 200, Duration::from_secs(1));
    let mut answered = 0;
    wait_until("nothing is read any more", || {
        answered += ask().answered;
        step() == "counted_only"
    });

    let lost = || ledger(&alaz).sources["socket"].segments.lost.get("guard").copied().unwrap_or(0);
    let before = lost();
    let sent = ask();
    assert_eq!(sent.failed, 0);
    // A request and its response, at both ends.
    wait_until("all of it is lost, for that reason", || lost() - before >= 4 * sent.answered);
    wait_until("the ledger is what the kernel counted", || {
        let ledger = ledger(&alaz);
        let seen = &ledger.sources["socket"].segments;
        ledger.assert_balances();
        ledger.kernel.is_some_and(|kernel| kernel.segments == seen.seen)
    });
    let map = alaz.json("/api/v1/map");
    let edges = map["edges"].as_array().unwrap().iter();
    let requests: u64 = edges
        .filter(|edge| edge["port"] == nginx.address.port())
        .map(|edge| edge["requests"].as_u64().unwrap())
        .sum();
    say(&format!("{requests} of {} reported", answered + sent.answered));
    assert!(requests <= answered, "{requests}");

    let metrics = http::get(alaz.address, "/metrics").text();
    for line in [
        r#"alaz_guard_step{step="none"} 0"#,
        r#"alaz_guard_step{step="counted_only"} 1"#,
        "alaz_guard_changes_total 3",
        "alaz_guard_memory_limit_bytes 1048576",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} is missing:\n{metrics}");
    }
    let said = alaz.program().stderr();
    for step in STEPS {
        assert_eq!(said.matches(&format!("({step})")).count(), 1, "{said}");
    }
    assert!(alaz.stop().success());
}

fn ledger(alaz: &Server) -> Ledger {
    serde_json::from_value(alaz.json("/api/v1/ledger")).unwrap()
}
