//! What a connection is taken for, without knowing its ports, against what tshark says it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alaz_capture::{PcapItem, PcapReader};
use alaz_model::{ConnectionKey, Event};
use alaz_protocol::{Engine, Limits};
use alaz_tests::{say, tshark};

use crate::{for_each, foreign, kept};

/// tshark's layers that have a name among the verdicts.
const VERDICT_OF: [(&str, &str); 10] = [
    ("http", "http"),
    ("http2", "http2"),
    ("pgsql", "postgresql"),
    ("mysql", "mysql"),
    ("kafka", "kafka"),
    ("amqp", "amqp"),
    ("mongo", "mongodb"),
    ("dns", "dns"),
    ("tls", "tls"),
    ("resp", "redis"),
];
/// What tshark says of a connection because of its port, or that is no protocol of an application.
const GUESSES: [&str; 6] = ["ajp13", "sip", "sll", "smpp", "vlan", "x11"];
/// A capture of a public collection with TLS on port 8080, which tshark takes for HTTP.
const TLS_ON_8080: &str = "ookla.pcap";
const OTHER: &str = "other";
const UNDISSECTED: &str = "undissected";
const UNKNOWN: &str = "unknown";

/// True protocol, then verdict, then connections.
#[derive(Default)]
struct Matrix {
    counts: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    wrong: Vec<String>,
}

#[test]
fn no_connection_of_the_kept_captures_is_taken_for_what_it_is_not() {
    let matrix = matrix(&kept());
    let table = matrix.table();
    say(&table);
    assert!(matrix.wrong.is_empty(), "{}", matrix.wrong.join("\n"));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocols.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    assert!(docs.contains(&table), "docs/protocols.md has another matrix");
}

#[test]
fn no_connection_of_foreign_captures_is_taken_for_what_it_is_not() {
    let files = foreign();
    if files.is_empty() {
        say("nothing to do: ALAZ_CAPTURES names no folder of captures");
        return;
    }
    let matrix = matrix(&files);
    say(&matrix.table());
    assert!(matrix.wrong.is_empty(), "{}", matrix.wrong.join("\n"));
}

fn matrix(files: &[PathBuf]) -> Matrix {
    let mut matrix = Matrix::default();
    for (file, (truth, verdicts)) in for_each(files, |file| (truth(file), verdicts(file))) {
        for (ends, verdict) in verdicts {
            let layers = truth.get(&ends).cloned().unwrap_or_default();
            let known = layers.iter().find_map(|layer| verdict_of(layer));
            let known = known.unwrap_or(if layers.is_empty() { UNDISSECTED } else { OTHER });
            let is_right = layers.iter().any(|layer| verdict_of(layer) == Some(verdict));
            let row = if is_right { verdict } else { known };
            *matrix.counts.entry(row).or_default().entry(verdict).or_default() += 1;
            // Where tshark has no idea, what Alaz tells of the connection is compared by the other test.
            let is_excused = file.ends_with(TLS_ON_8080) && verdict == "tls";
            if !is_right && verdict != UNKNOWN && known != UNDISSECTED && !is_excused {
                let (name, layers) = (file.display(), Vec::from_iter(&layers));
                matrix.wrong.push(format!("{name}: {ends:?} is {layers:?}, taken for {verdict}"));
            }
        }
    }
    matrix
}

fn verdict_of(layer: &str) -> Option<&'static str> {
    VERDICT_OF.iter().find(|(name, _)| *name == layer).map(|(_, verdict)| *verdict)
}

/// Both ends, in the order of their addresses.
type Ends = [SocketAddr; 2];

fn in_order(one: SocketAddr, other: SocketAddr) -> Ends {
    [one.min(other), one.max(other)]
}

/// The layers that tshark finds above TCP.
fn truth(file: &Path) -> BTreeMap<Ends, BTreeSet<String>> {
    let mut truth: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for packet in tshark::dissect(file, "", &["tcp.port==27017,mongo".to_owned()]) {
        let ends = in_order(packet.source, packet.destination);
        let layers = packet.layers.iter().map(|layer| layer.name.clone());
        let layers = layers.filter(|name| !matches!(&**name, "tcp" | "udp" | "fake-field-wrapper"));
        let found = truth.entry(ends).or_default();
        found.extend(layers.filter(|name| name != "data" && !name.starts_with("_ws.")));
        found.retain(|name| !GUESSES.contains(&&**name));
    }
    truth
}

/// What each TCP connection of a file is taken for in the end.
fn verdicts(file: &Path) -> Vec<(Ends, &'static str)> {
    let mut engines: HashMap<ConnectionKey, (Ends, Engine)> = HashMap::new();
    let (mut views, mut latest_ns) = (Vec::new(), 0);
    let Ok(mut reader) = PcapReader::open(file) else { return Vec::new() };
    // Connections stay open: their verdicts are read at the end of the file.
    while let Ok(true) = reader.read_packet(|item| {
        let PcapItem::Event(event) = item else { return };
        latest_ns = latest_ns.max(event.time_ns());
        match event {
            Event::Open(opened) => {
                let ends = in_order(opened.local, opened.remote);
                let new = || (ends, Engine::new(Limits::default()));
                engines.entry(opened.key).or_insert_with(new).1.open(&opened, &mut views);
            }
            Event::Segment(segment) => {
                if let Some((_, engine)) = engines.get_mut(&segment.key) {
                    engine.segment(&segment, &mut views);
                }
            }
            _ => {}
        }
        views.clear();
    }) {}
    let mut found = Vec::new();
    for (ends, mut engine) in engines.into_values() {
        engine.advance(latest_ns + 60_000_000_000, &mut views);
        let ledger = engine.ledger();
        let verdict = ledger.connections.by_verdict().find(|(_, amount)| *amount > 0);
        let has_bytes = ledger.socket.bytes.seen() > 0;
        found.extend(verdict.filter(|_| has_bytes).map(|(verdict, _)| (ends, verdict)));
    }
    found
}

impl Matrix {
    /// In Markdown.
    fn table(&self) -> String {
        let verdicts: BTreeSet<_> = self.counts.values().flat_map(|row| row.keys()).collect();
        let mut text = String::from("| is | ");
        verdicts.iter().for_each(|verdict| write!(text, "{verdict} | ").unwrap());
        text = format!("{}\n|---|{}", text.trim_end(), "--:|".repeat(verdicts.len()));
        for (known, row) in &self.counts {
            write!(text, "\n| {known} |").unwrap();
            for verdict in &verdicts {
                let count = row.get(**verdict).map_or(String::new(), usize::to_string);
                write!(text, " {count} |").unwrap();
            }
        }
        text
    }
}
