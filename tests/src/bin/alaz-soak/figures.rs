//! What Alaz says of itself while it runs.

use std::collections::BTreeMap;

use alaz_tests::alaz::Server;
use alaz_tests::exchange::Ledger;
use alaz_tests::{holds_within, http};

use std::time::Duration;

/// How long the last bytes may take from the kernel to the ledger. Other programs of the machine go on
/// talking, so both counts are the same only now and then.
const SETTLING: Duration = Duration::from_secs(20);

/// A page of `/metrics`, by series.
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn read(alaz: &Server) -> Metrics {
        let text = http::get(alaz.address, "/metrics").text();
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Metrics(series.collect())
    }

    /// A series without labels.
    pub(crate) fn single(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("/metrics has no {name}"))
    }

    /// All series of this name with this label.
    pub(crate) fn sum(&self, name: &str, label: &str) -> f64 {
        let of = |series: &str| series.starts_with(&format!("{name}{{")) && series.contains(label);
        self.0.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
    }

    /// Exchanges with this port, whoever asked.
    pub(crate) fn requests_at(&self, port: u16) -> u64 {
        self.sum("alaz_edge_requests_total", &format!("port=\"{port}\"")) as u64
    }

    /// The name of the step at which the guard stands.
    pub(crate) fn guard_step(&self) -> String {
        let is_set = |(series, value): (&String, &f64)| {
            let name = series.strip_prefix("alaz_guard_step{step=\"")?.strip_suffix("\"}")?;
            (*value == 1.0).then(|| name.to_owned())
        };
        self.0.iter().find_map(is_set).unwrap_or_default()
    }
}

pub(crate) fn ledger(alaz: &Server) -> Ledger {
    let ledger: Ledger = serde_json::from_value(alaz.json("/api/v1/ledger")).unwrap();
    ledger.assert_balances();
    ledger
}

/// Waits until the ledger is what the kernel counted by itself; says by how much it is not.
pub(crate) fn settle(alaz: &Server) -> Result<Ledger, String> {
    let mut latest = ledger(alaz);
    let difference = |ledger: &Ledger| {
        let kernel = ledger.kernel.unwrap();
        let seen = &ledger.sources["socket"];
        (
            kernel.segments.wrapping_sub(seen.segments.seen) as i64,
            kernel.bytes.wrapping_sub(seen.bytes.seen) as i64,
        )
    };
    let is_settled = holds_within(SETTLING, || {
        latest = ledger(alaz);
        difference(&latest) == (0, 0)
    });
    match is_settled {
        true => Ok(latest),
        false => Err(format!(
            "the ledger is not what the kernel counted: (segments, bytes) {:?} missing",
            difference(&latest)
        )),
    }
}
