//! redis-benchmark as the client, and what it reports.

use anyhow::Context;

use alaz_tests::redis::Redis;

use crate::load::Load;

const CONNECTIONS: &str = "16";

/// Asks so many times for a key that is not there, `pipeline` times before it reads an answer.
pub(crate) fn run(redis: &Redis, pipeline: u32, requests: u64) -> anyhow::Result<Load> {
    let (pipeline, number) = (pipeline.to_string(), requests.to_string());
    let arguments = ["--csv", "-t", "get", "-c", CONNECTIONS, "-P", &pipeline, "-n", &number];
    let text = redis.client("redis-benchmark", &arguments);
    parse(&text, requests)
        .with_context(|| format!("redis-benchmark's report is of an unknown form:\n{text}"))
}

/// A line with the names of the columns, and one with their values.
fn parse(text: &str, requests: u64) -> anyhow::Result<Load> {
    let mut lines = text.lines().map(|line| line.split(',').map(|cell| cell.trim_matches('"')));
    let names = lines.next().context("nothing")?;
    let values: Vec<_> = names.zip(lines.next().context("one line")?).collect();
    let value = |wanted: &str| {
        let found = values.iter().find(|(name, _)| *name == wanted);
        let (_, value) = found.with_context(|| format!("no column '{wanted}'"))?;
        value.parse::<f64>().with_context(|| format!("{wanted} '{value}'"))
    };
    let nanoseconds = |wanted: &str| value(wanted).map(|ms| (ms * 1e6).round() as u64);
    Ok(Load {
        requests,
        requests_per_second: value("rps")?,
        p50_ns: nanoseconds("p50_latency_ms")?,
        p99_ns: nanoseconds("p99_latency_ms")?,
        failed: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"
\"GET\",\"66666.66\",\"0.150\",\"0.040\",\"0.143\",\"0.239\",\"0.303\",\"0.871\"
";

    #[test]
    fn reads_a_report() {
        let load = parse(REPORT, 20_000).unwrap();
        assert_eq!((load.requests, load.requests_per_second), (20_000, 66_666.66));
        assert_eq!((load.p50_ns, load.p99_ns, load.failed), (143_000, 303_000, 0));
    }

    #[test]
    fn says_what_a_strange_report_lacks() {
        assert!(parse("", 1).is_err() && parse("\"test\"", 1).is_err());
        let error = parse(&REPORT.replace("p99_latency_ms", "p98"), 1).unwrap_err();
        assert!(error.to_string().contains("p99_latency_ms"), "{error}");
        assert!(parse(&REPORT.replace("66666.66", "many"), 1).is_err());
    }
}
