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

/// Whether all that is shown, placeholders left out, stands in the text in this order, beginning with
/// its beginning. White space does not count.
#[must_use]
pub fn shows_of(shown: &str, text: &str) -> bool {
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let (shown, mut rest) = (dense(&shown.replace("{id}", "?").replace('…', "?")), dense(text));
    shown.split('?').enumerate().all(|(number, part)| match rest.find(part) {
        Some(at) if number > 0 || at == 0 || rest.starts_with(['/', '-', '#']) => {
            rest = rest.split_off(at + part.len());
            true
        }
        _ => false,
    })
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
    /// The kernel's own count of the calls of sockets and TLS libraries; none of packets from a file.
    pub kernel: Option<Count>,
}

/// Segments and bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Count {
    pub segments: u64,
    pub bytes: u64,
}

/// What became of the views that exchanges are made of.
#[derive(Clone, Copy, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Views {
    pub seen: u64,
    pub own: u64,
    pub joined: u64,
    pub late: u64,
    pub contradicted: u64,
    pub waiting: u64,
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
    #[serde(default)]
    pub opted_out: u64,
    pub lost: BTreeMap<String, u64>,
}

/// What became of requests and responses.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub struct Exchanges {
    pub reported: u64,
    pub unpaired: BTreeMap<String, u64>,
    pub views: Views,
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
        assert!(self.opted_out <= self.counted, "{what}: opted out are counted: {self:?}");
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
        let (views, reported) = (self.exchanges.views, self.exchanges.reported);
        let accounted = views.own + views.joined + views.late + views.contradicted + views.waiting;
        assert_eq!(views.seen, reported + accounted, "views: {views:?}");
    }

    /// # Panics
    /// When it is not what the kernel counted by itself, once everything is accounted for.
    pub fn assert_follows_the_kernel(&self) {
        let Some(kernel) = self.kernel else { return };
        let calls: Vec<_> =
            ["socket", "tls"].iter().filter_map(|source| self.sources.get(*source)).collect();
        let seen = Count {
            segments: calls.iter().map(|source| source.segments.seen).sum(),
            bytes: calls.iter().map(|source| source.bytes.seen).sum(),
        };
        assert_eq!(seen, kernel, "the ledger and the kernel's own count");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(kernel: u64) -> Ledger {
        let tally = |seen| {
            let lost = serde_json::json!({"ring_full": 1});
            serde_json::json!({"seen": seen, "parsed": seen - 1, "counted": 0, "lost": lost})
        };
        let balance = serde_json::json!({"segments": tally(7), "bytes": tally(90)});
        let views = serde_json::json!(
            {"seen": 6, "own": 1, "joined": 1, "late": 0, "contradicted": 1, "waiting": 0}
        );
        let json = serde_json::json!({
            "segments": balance["segments"], "bytes": balance["bytes"],
            "sources": {"socket": balance},
            "exchanges": {"reported": 3, "unpaired": {}, "views": views},
            "connections": {"open": 0, "by_verdict": {}},
            "kernel": {"segments": kernel, "bytes": 90},
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_statement_is_shown_by_all_that_is_no_value() {
        assert!(shows_of(
            "SELECT ? FROM t WHERE a IN (?)",
            "SELECT 'x'  FROM t\n WHERE a IN (1, 2)"
        ));
        assert!(!shows_of("SELECT ? FROM u", "SELECT 'x' FROM t"));
        assert!(!shows_of("FROM t", "SELECT 'x' FROM t"));
        assert!(!shows_of("a ? c ? b", "a b c"));
    }

    #[test]
    fn a_ledger_that_is_right_is_accepted() {
        ledger(7).assert_balances();
        ledger(7).assert_follows_the_kernel();
    }

    #[test]
    #[should_panic = "the kernel's own count"]
    fn one_that_the_kernel_does_not_agree_with_is_not() {
        ledger(8).assert_follows_the_kernel();
    }

    #[test]
    #[should_panic = "views"]
    fn one_that_lost_a_view_is_not() {
        let mut ledger = ledger(7);
        ledger.exchanges.views.contradicted = 0;
        ledger.assert_balances();
    }
}
