//! Request by request: `alaz replay` against tshark.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alaz_tests::alaz;
use alaz_tests::exchange::{Exchange, read_exchanges};
use alaz_tests::program::Program;
use alaz_tests::{say, tshark};

use crate::oracle::{ORACLES, Oracle, Request, connections};
use crate::{for_each, foreign, kept};

/// How many requests of one protocol were compared, and how that went.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    files: usize,
    requests: usize,
    /// Method, target and status are the same.
    agree: usize,
    /// What is shown agrees, but not all of it is known.
    less: usize,
    /// Only tshark has it.
    missing: usize,
    /// Both have it and say something else of it.
    differ: usize,
    /// Only Alaz has it.
    extra: usize,
}

/// Captures of public collections in which tshark is wrong, or says less.
const TSHARK_IS_WRONG: [(&str, &str); 2] = [
    ("binary-in-sql.pcap", "it ends a text where a byte is no character"),
    ("soap.pcap", "it does not show requests whose body is not there"),
];

#[derive(Default)]
struct Report {
    /// What differs or is extra, where tshark is not known to be wrong.
    wrong: usize,
    tallies: BTreeMap<&'static str, Tally>,
    differences: Vec<String>,
}

#[test]
fn replays_agree_with_tshark_request_by_request() {
    let report = compare(&kept());
    say(&report.table());
    assert!(report.differences.is_empty(), "{}", report.differences.join("\n"));
    assert_eq!(report.tallies.len(), ORACLES.len(), "a protocol has no capture");
}

#[test]
fn replays_of_foreign_captures_agree_with_tshark_request_by_request() {
    let files = foreign();
    if files.is_empty() {
        say("nothing to do: ALAZ_CAPTURES names no folder of captures");
        return;
    }
    let report = compare(&files);
    say(&report.table());
    say(&report.differences.join("\n"));
    assert_eq!(report.wrong, 0, "requests of which Alaz says something else than tshark");
}

fn compare(files: &[PathBuf]) -> Report {
    let mut report = Report::default();
    let layers: Vec<_> = ORACLES.iter().flat_map(|oracle| oracle.layers).copied().collect();
    let layers = layers.join(" ");
    let both = for_each(files, |file| {
        let exchanges = replay(file);
        let packets = tshark::dissect(file, &layers, &rules(&exchanges));
        (exchanges, packets)
    });
    for (file, (exchanges, packets)) in &both {
        for oracle in &ORACLES {
            let mut known = BTreeMap::new();
            for of_one in connections(packets, oracle.layers).values() {
                for request in (oracle.read)(of_one) {
                    let ends = (request.client, request.server);
                    known.entry(ends).or_insert_with(Vec::new).push(request);
                }
            }
            let mut reported: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for exchange in exchanges {
                if oracle.protocols.contains(&&*exchange.protocol) {
                    reported.entry(ends(exchange)).or_default().push(exchange);
                }
            }
            if known.is_empty() && reported.is_empty() {
                continue;
            }
            report.tallies.entry(oracle.protocols[0]).or_default().files += 1;
            for ends in known.keys().chain(reported.keys().filter(|ends| !known.contains_key(ends)))
            {
                let known = known.get(ends).map_or(&[][..], Vec::as_slice);
                let reported = reported.get(ends).cloned().unwrap_or_default();
                report.connection(file, oracle, known, reported);
            }
        }
    }
    report
}

fn replay(file: &Path) -> Vec<Exchange> {
    let mut replay = Program::start(alaz::command(&["replay", "--output", "json"]).arg(file));
    let status = replay.wait();
    // 1: the file is cut off; what came before is told.
    assert!(matches!(status.code(), Some(0 | 1)), "{}: {}", file.display(), replay.stderr());
    read_exchanges(&replay.stdout())
}

/// tshark is told what Alaz takes each port for, and has to make sense of it.
fn rules(exchanges: &[Exchange]) -> Vec<String> {
    let mut rules = BTreeSet::from(["tcp.port==27017,mongo".to_owned()]);
    for exchange in exchanges {
        let port = exchange.server.port;
        let layer = ORACLES.iter().find(|oracle| oracle.protocols.contains(&&*exchange.protocol));
        rules.extend(layer.map(|oracle| format!("tcp.port=={port},{}", oracle.layers[0])));
    }
    rules.into_iter().collect()
}

fn ends(exchange: &Exchange) -> (SocketAddr, SocketAddr) {
    let [client, server] = [&exchange.client, &exchange.server]
        .map(|end| SocketAddr::new(end.ip.parse().unwrap(), end.port));
    (client, server)
}

impl Report {
    fn connection(
        &mut self,
        file: &Path,
        oracle: &Oracle,
        known: &[Request],
        mut reported: Vec<&Exchange>,
    ) {
        let tally = self.tallies.entry(oracle.protocols[0]).or_default();
        tally.requests += known.len();
        let mut left: Vec<&Request> = Vec::new();
        for request in known {
            if take(&mut reported, |exchange| agrees(request, exchange)) {
                tally.agree += 1;
            } else {
                left.push(request);
            }
        }
        left.retain(|request| {
            let is_known = take(&mut reported, |exchange| agrees_as_far(request, exchange));
            tally.less += usize::from(is_known);
            !is_known
        });
        let differ = left.len().min(reported.len());
        tally.differ += differ;
        tally.missing += left.len() - differ;
        tally.extra += reported.len() - differ;
        if !TSHARK_IS_WRONG.iter().any(|(name, _)| file.ends_with(name)) {
            self.wrong += reported.len();
        }
        let name = file.display();
        for request in left {
            let texts = [&request.method, &request.target, &request.status].map(|said| said.text());
            let (client, server) = (request.client, request.server);
            let text = texts.join(" | ");
            self.differences.push(format!("{name}: {client} → {server}: tshark: {text}"));
        }
        for exchange in reported {
            let (client, server) = ends(exchange);
            let (outcome, method) = (&exchange.outcome, &exchange.method);
            let text = format!("{method} | {} | {} ({outcome})", exchange.target, exchange.status);
            let protocol = &exchange.protocol;
            self.differences.push(format!("{name}: {client} → {server}: {protocol}: {text}"));
        }
    }

    fn table(&self) -> String {
        let mut text = String::from("what Alaz says of what tshark dissects");
        let names = ["files", "requests", "agree", "less", "missing", "differ", "extra"];
        write!(text, "\n{:>12}", "").unwrap();
        names.iter().for_each(|name| write!(text, "{name:>10}").unwrap());
        for (protocol, tally) in &self.tallies {
            write!(text, "\n{protocol:>12}").unwrap();
            let Tally { files, requests, agree, less, missing, differ, extra } = tally;
            for number in [files, requests, agree, less, missing, differ, extra] {
                write!(text, "{number:>10}").unwrap();
            }
        }
        text
    }
}

/// Takes the first of which this holds.
fn take(reported: &mut Vec<&Exchange>, holds: impl Fn(&Exchange) -> bool) -> bool {
    let found = reported.iter().position(|exchange| holds(exchange));
    found.map(|at| reported.remove(at)).is_some()
}

fn agrees(request: &Request, exchange: &Exchange) -> bool {
    request.method.is(&exchange.method)
        && request.target.is(&exchange.target)
        && request.status.is(&exchange.status)
}

/// Alaz knows less, and says nothing else.
fn agrees_as_far(request: &Request, exchange: &Exchange) -> bool {
    // That a statement is executed says nothing of it.
    let is_unknown = exchange.method == "EXECUTE" && exchange.target.is_empty();
    let method = if is_unknown { "" } else { &exchange.method };
    [
        (&request.method, method),
        (&request.target, &*exchange.target),
        (&request.status, &*exchange.status),
    ]
    .iter()
    .all(|(said, shown)| shown.is_empty() || said.is(shown))
}
