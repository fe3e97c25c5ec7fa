//! What Alaz prints, read back: exchanges and the ledger.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One line of `alaz watch --output json`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Exchange {
    pub time: String,
    pub protocol: String,
    pub tls: bool,
    pub client: Endpoint,
    pub server: Endpoint,
    pub method: String,
    pub target: String,
    pub route: String,
    pub status: String,
    pub error: bool,
    pub outcome: String,
    pub latency_ns: Option<u64>,
    pub ttfb_ns: Option<u64>,
    pub server_latency_ns: Option<u64>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub observed_by: String,
    pub attributes: BTreeMap<String, Value>,
}

/// One side of an exchange.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Endpoint {
    pub ip: String,
    pub port: u16,
    pub pid: u32,
    pub process: String,
    pub workload: String,
    pub kind: String,
}

impl Exchange {
    /// Method, target and status, by which most tests compare.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.status)
    }
}

/// Reads one object a line.
///
/// # Panics
/// When a line is none.
#[must_use]
pub fn read_exchanges(text: &str) -> Vec<Exchange> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What became of everything that was seen.
#[derive(Clone, Debug, Deserialize)]
pub struct Ledger {
    /// All sources together.
    #[serde(flatten)]
    pub total: Balance,
    /// Each source alone.
    pub sources: BTreeMap<String, Balance>,
    /// Reported, and given up by reason.
    pub exchanges: Exchanges,
    /// Open now, and what they speak.
    pub connections: Connections,
}

/// Segments and bytes.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Balance {
    pub segments: Tally,
    pub bytes: Tally,
}

/// What became of one quantity.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Tally {
    pub seen: u64,
    pub parsed: u64,
    pub counted: u64,
    pub lost: BTreeMap<String, u64>,
}

/// What became of requests and responses.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Exchanges {
    pub reported: u64,
    pub unpaired: BTreeMap<String, u64>,
}

/// Connections by verdict.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Connections {
    pub open: u64,
    pub by_verdict: BTreeMap<String, u64>,
}

impl Tally {
    /// Lost for any reason.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    fn assert_balances(&self, what: &str) {
        let accounted = self.parsed + self.counted + self.lost_total();
        assert_eq!(self.seen, accounted, "{what}: seen = parsed + counted + lost: {self:?}");
    }
}

impl Ledger {
    /// # Panics
    /// When `seen = parsed + counted + lost` fails anywhere, or the sources do not add up.
    pub fn assert_balances(&self) {
        for (name, balance) in &self.sources {
            balance.segments.assert_balances(&format!("segments of {name}"));
            balance.bytes.assert_balances(&format!("bytes of {name}"));
        }
        self.total.segments.assert_balances("segments");
        self.total.bytes.assert_balances("bytes");
        let sum = |pick: fn(&Balance) -> u64| self.sources.values().map(pick).sum::<u64>();
        assert_eq!(self.total.segments.seen, sum(|balance| balance.segments.seen));
        assert_eq!(self.total.bytes.seen, sum(|balance| balance.bytes.seen));
    }

    /// Whether nothing was lost for other reasons than these.
    #[must_use]
    pub fn lost_reasons_are_only(&self, reasons: &[&str]) -> bool {
        let all = self.total.segments.lost.iter().chain(&self.total.bytes.lost);
        all.into_iter().all(|(reason, count)| *count == 0 || reasons.contains(&reason.as_str()))
    }

    /// Whether anything at all was lost, on any connection of the machine.
    #[must_use]
    pub fn lost_nothing(&self) -> bool {
        self.total.segments.lost_total() == 0 && self.total.bytes.lost_total() == 0
    }
}
