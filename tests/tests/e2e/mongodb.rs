//! What the driver's own monitoring tells of its commands, against what Alaz reports.

use std::collections::BTreeMap;

use alaz_tests::alaz::{Seen, Watch};
use alaz_tests::exchange::Exchange;
use alaz_tests::mongodb::{FerretDb, client, compressor};
use alaz_tests::program::{Program, run};
use alaz_tests::{say, turn_to_capture, wait_until};

type Counts = BTreeMap<String, usize>;

fn count(lines: impl Iterator<Item = String>) -> Counts {
    let mut counts = Counts::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// What the client printed of its commands.
fn told(output: &str) -> Counts {
    count(output.lines().map(|line| line.replace('\t', " ")))
}

/// The exchanges but for handshakes, of which the client's monitoring does not tell.
fn commands(seen: &Seen, port: u16) -> Vec<&Exchange> {
    let is_hello = |exchange: &&Exchange| matches!(&*exchange.method, "hello" | "ismaster");
    let (hellos, commands): (Vec<_>, _) = seen.at(port).into_iter().partition(is_hello);
    for hello in hellos {
        assert_eq!((&*hello.target, &*hello.status, hello.error), ("admin", "ok", false));
    }
    commands
}

fn assert_same(seen: &Seen, port: u16, expected: &Counts) {
    let commands = commands(seen, port);
    let line = |exchange: &&Exchange| format!("{} {}", exchange.line(), exchange.outcome);
    assert_eq!(&count(commands.iter().map(line)), expected, "{:?}", seen.ledger);
    assert!(!seen.text.contains("canary7f3a"));
    for exchange in commands {
        let attribute = |name: &str| exchange.attributes.get(name).and_then(|value| value.as_str());
        assert_eq!(exchange.protocol, "mongodb");
        assert_eq!(exchange.latency_ns.is_some(), exchange.outcome == "complete", "{exchange:?}");
        let failed = !matches!(&*exchange.status, "ok" | "");
        assert_eq!(exchange.error, failed, "{exchange:?}");
        let code = failed.then_some(&*exchange.status);
        assert_eq!(attribute("db.response.status_code"), code);
        assert_eq!(attribute("db.system.name"), Some("mongodb"));
        assert_eq!(attribute("db.operation.name"), Some(&*exchange.method));
        assert!(exchange.target.starts_with(attribute("db.namespace").unwrap()));
    }
}

#[test]
fn a_driver_is_reported_command_by_command() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = FerretDb::start();
    let watch = Watch::start();
    let output = run(&mut client(server.port, ""));
    let seen = watch.finish();

    assert_same(&seen, server.port, &told(&output));
    let at = seen.at(server.port);
    assert!(at.iter().any(|exchange| exchange.method == "hello" || exchange.method == "ismaster"));
    let names: Vec<_> =
        at.iter().filter_map(|exchange| exchange.attributes.get("error.type")).collect();
    assert!(names.iter().any(|name| *name == "CommandNotFound"), "{names:?}");
    for exchange in at.iter().filter(|exchange| exchange.outcome == "complete") {
        assert_eq!(exchange.observed_by, "both", "{exchange:?}");
    }
    assert!(at.iter().any(|exchange| exchange.request_bytes > 900_000));
    assert!(at.iter().any(|exchange| exchange.response_bytes > 100_000));
}

#[test]
fn compressed_commands_are_reported_too() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = FerretDb::start();
    let compressors = ["zlib", "snappy", "zstd"].map(|name| (name, compressor(&server)));
    let watch = Watch::start();
    let outputs = compressors.each_ref().map(|(name, (_, port))| run(&mut client(*port, name)));
    let seen = watch.finish();
    // Behind the compressors all is plain, and known to the last byte.
    assert_same(&seen, server.port, &told(&outputs.concat()));
    for ((name, (_, port)), output) in compressors.iter().zip(&outputs) {
        assert_known(&seen, *port, &told(output), name);
    }
}

/// Of large messages only the beginning can be expanded: all are told, and what is known of them is
/// so.
fn assert_known(seen: &Seen, port: u16, expected: &Counts, compressors: &str) {
    let commands = commands(seen, port);
    assert_eq!(commands.len(), expected.values().sum::<usize>(), "{compressors}");
    assert!(!seen.text.contains("canary7f3a"));
    let mut known = 0;
    for exchange in &commands {
        let line = format!("{} {}", exchange.line(), exchange.outcome);
        let is_same = |truth: &&String| {
            let mut words = truth.split(' ').zip(line.split(' '));
            words.all(|(truth, told)| told.is_empty() || told == truth)
        };
        assert!(expected.keys().any(|truth| is_same(&truth)), "{compressors}: {line}");
        known += usize::from(expected.contains_key(&line));
    }
    say(&format!("{compressors}: {known} of {} in all their fields", commands.len()));
    assert!(known + 8 >= commands.len());
}

#[test]
fn a_connection_older_than_alaz_is_joined() {
    let Some(_turn) = turn_to_capture() else { return };
    let server = FerretDb::start();
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("go");
    let mut client = Program::start(client(server.port, "").arg(&sign));
    wait_until("the client is connected", || {
        client.assert_running();
        folder.path().join("go.ready").exists()
    });
    let watch = Watch::start();
    std::fs::write(&sign, "").unwrap();
    client.wait_for_success();
    let seen = watch.finish();
    assert_same(&seen, server.port, &told(&client.stdout()));
}
