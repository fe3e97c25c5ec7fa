//! wrk as the client that asks as much as it can, and what it reports.

use std::process::Command;
use std::time::Duration;

use alaz_tests::program;
use anyhow::Context;

use crate::load::Load;

/// Runs wrk with one thread against a URL.
pub(crate) fn run(
    url: &str,
    connections: u32,
    duration: Duration,
    headers: &[&str],
) -> anyhow::Result<Load> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", duration.as_secs())]);
    for header in headers {
        command.args(["-H", header]);
    }
    let text = program::run(command.args(["--latency", url]));
    parse(&text).with_context(|| format!("wrk's report is of an unknown form:\n{text}"))
}

/// wrk 4: one fact a line, found by its words.
fn parse(text: &str) -> anyhow::Result<Load> {
    let requests_per_second = field(text, "Requests/sec:")?;
    let requests = text
        .lines()
        .find(|line| line.contains(" requests in "))
        .and_then(|line| line.split_whitespace().next())
        .context("no line '… requests in …'")?;
    let mut failed = 0;
    if let Some(errors) = value(text, "Socket errors:") {
        // connect 0, read 3, write 0, timeout 0
        for error in errors.split(',') {
            let count =
                error.split_whitespace().last().context("a socket error without a count")?;
            failed += count.parse::<u64>().with_context(|| format!("socket errors '{errors}'"))?;
        }
    }
    if let Some(count) = value(text, "Non-2xx or 3xx responses:") {
        failed += count.parse::<u64>().with_context(|| format!("responses '{count}'"))?;
    }
    Ok(Load {
        requests: requests.parse().with_context(|| format!("requests '{requests}'"))?,
        requests_per_second: requests_per_second
            .parse()
            .with_context(|| format!("requests a second '{requests_per_second}'"))?,
        p50_ns: nanoseconds(field(text, "50%")?)?,
        p99_ns: nanoseconds(field(text, "99%")?)?,
        failed,
    })
}

/// What follows `name` at the start of a line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(name)).map(str::trim)
}

fn field<'a>(text: &'a str, name: &str) -> anyhow::Result<&'a str> {
    value(text, name).with_context(|| format!("no line '{name}'"))
}

/// `593.43us`, `1.03ms`, `2.00s`, `1.50m`, `1.00h`
fn nanoseconds(text: &str) -> anyhow::Result<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit_at.with_context(|| format!("'{text}' has no unit"))?);
    let unit_ns = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => anyhow::bail!("'{text}' has an unknown unit"),
    };
    let number: f64 = number.parse().with_context(|| format!("'{text}' is no time"))?;
    Ok((number * unit_ns).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
Running 2s test @ http://127.0.0.1:8080/empty
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   593.43us    1.03ms  24.09ms   94.63%
    Req/Sec    64.33k     8.40k   79.22k    71.43%
  Latency Distribution
     50%  350.00us
     75%  520.00us
     90%    1.20ms
     99%    5.01ms
  134390 requests in 2.10s, 21.40MB read
Requests/sec:  63994.92
Transfer/sec:     10.19MB
";

    #[test]
    fn reads_a_report() {
        let load = parse(REPORT).unwrap();
        let expected = Load {
            requests: 134_390,
            requests_per_second: 63_994.92,
            p50_ns: 350_000,
            p99_ns: 5_010_000,
            failed: 0,
        };
        assert_eq!(load, expected);
    }

    #[test]
    fn counts_every_kind_of_failure() {
        let report = REPORT.replace(
            "Requests/sec:",
            "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  \
             Non-2xx or 3xx responses: 50000\nRequests/sec:",
        );
        assert_eq!(parse(&report).unwrap().failed, 54_321);
    }

    #[test]
    fn knows_all_units_of_time() {
        for (text, expected) in [
            ("0.00us", 0),
            ("999.99us", 999_990),
            ("1.03ms", 1_030_000),
            ("1.50s", 1_500_000_000),
            ("1.00m", 60_000_000_000),
            ("1.00h", 3_600_000_000_000),
        ] {
            assert_eq!(nanoseconds(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "5", "ms", "1.2.3ms", "5d"] {
            assert!(nanoseconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn says_what_a_strange_report_lacks() {
        for line in ["50%", "99%", "Requests/sec:"] {
            let error = parse(&REPORT.replace(line, "?")).unwrap_err();
            assert!(error.to_string().contains(line), "{error}");
        }
        let error = parse(&REPORT.replace("requests in", "?")).unwrap_err();
        assert!(error.to_string().contains("requests in"), "{error}");
        assert!(parse(&REPORT.replace("134390", "many")).is_err());
        assert!(parse(&REPORT.replace("63994.92", "many")).is_err());
    }
}
