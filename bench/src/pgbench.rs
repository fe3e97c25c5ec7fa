//! pgbench as the client, and what it reports.

use std::path::Path;
use std::time::Duration;

use alaz_tests::postgresql::Postgresql;
use alaz_tests::program;
use anyhow::Context;

use crate::load::Load;
use crate::statistics::percentile;

const CONNECTIONS: &str = "8";

/// Selects single rows for so long, as many as go or so many a second.
pub(crate) fn run(
    server: &Postgresql,
    rate: Option<f64>,
    duration: Duration,
) -> anyhow::Result<Load> {
    let folder = tempfile::tempdir().context("no folder for pgbench's log")?;
    let mut command = server.client("pgbench");
    command.args(["-S", "-n", "-c", CONNECTIONS, "-T", &duration.as_secs().max(1).to_string()]);
    command.arg("-l").arg("--log-prefix").arg(folder.path().join("log"));
    if let Some(rate) = rate {
        command.arg("-R").arg(format!("{rate:.0}"));
    }
    let text = program::run(&mut command);
    let latencies_ns = latencies(folder.path())?;
    parse(&text, &latencies_ns)
        .with_context(|| format!("pgbench's report is of an unknown form:\n{text}"))
}

fn parse(text: &str, sorted_ns: &[u64]) -> anyhow::Result<Load> {
    let number = |words: &str| {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(words));
        let line = line.with_context(|| format!("no line '{words}'"))?;
        let digits = line.trim().split([' ', '/']).next().unwrap_or_default();
        digits.parse::<f64>().with_context(|| format!("{words} '{line}'"))
    };
    let at = |share| percentile(sorted_ns, share).context("an empty log");
    Ok(Load {
        requests: number("number of transactions actually processed:")? as u64,
        requests_per_second: number("tps =")?,
        p50_ns: at(0.5)?,
        p99_ns: at(0.99)?,
        failed: number("number of failed transactions:")? as u64,
    })
}

/// From its log of transactions, whose third field is the time each took, µs.
fn latencies(folder: &Path) -> anyhow::Result<Vec<u64>> {
    let mut latencies_ns = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        for line in std::fs::read_to_string(entry?.path())?.lines() {
            let us = line.split(' ').nth(2).and_then(|us| us.parse::<u64>().ok());
            latencies_ns.push(1000 * us.with_context(|| format!("pgbench logs '{line}'"))?);
        }
    }
    latencies_ns.sort_unstable();
    Ok(latencies_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
transaction type: <builtin: select only>
number of transactions actually processed: 25142
number of failed transactions: 3 (0.000%)
latency average = 0.636 ms
initial connection time = 14.563 ms
tps = 12574.601327 (without initial connection time)
";

    #[test]
    fn reads_a_report() {
        let load = parse(REPORT, &[1000, 2000, 3000]).unwrap();
        assert_eq!((load.requests, load.requests_per_second), (25_142, 12_574.601_327));
        assert_eq!((load.p50_ns, load.p99_ns, load.failed), (2000, 3000, 3));
        assert!(parse(REPORT, &[]).is_err());
        for words in ["number of transactions actually processed:", "tps ="] {
            let error = parse(&REPORT.replace(words, "?"), &[1]).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn the_log_has_a_line_a_transaction() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log.1"), "0 1 700 0 1795464000 1\n1 1 90 0 1 2\n")
            .unwrap();
        std::fs::write(folder.path().join("log.1.1"), "0 2 100 0 1795464000 3\n").unwrap();
        assert_eq!(latencies(folder.path()).unwrap(), [90_000, 100_000, 700_000]);
        std::fs::write(folder.path().join("log.2"), "progress\n").unwrap();
        assert!(latencies(folder.path()).is_err());
    }
}
