//! One exchange a line, for people or for machines.

use std::io::{self, Write};

use alaz_model::{Endpoint, Exchange, Outcome};

use crate::cli::WatchOutput;
use crate::output::units;

/// Writes exchanges to `out`, coloured where a person looks on.
pub(crate) struct ExchangePrinter<W: Write> {
    out: W,
    format: WatchOutput,
    colour: bool,
}

impl<W: Write> ExchangePrinter<W> {
    pub(crate) fn new(out: W, format: WatchOutput, colour: bool) -> Self {
        ExchangePrinter { out, format, colour }
    }

    pub(crate) fn print(&mut self, exchange: &Exchange) -> io::Result<()> {
        match self.format {
            WatchOutput::Json => {
                serde_json::to_writer(&mut self.out, exchange)?;
                self.out.write_all(b"\n")
            }
            WatchOutput::Text => self.line(exchange),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn line(&mut self, exchange: &Exchange) -> io::Result<()> {
        let message = &exchange.message;
        let time = exchange.time.to_string();
        // HH:MM:SS.mmm of an RFC 3339 time.
        let clock = time.get(11..23).unwrap_or(&time);
        let status = match message.outcome {
            Outcome::Complete | Outcome::OneWay => message.status.as_str(),
            other => other.as_str(),
        };
        let (before, after) = self.paint(exchange);
        let latency = exchange.latency_ns.map_or_else(|| "-".to_owned(), units::duration);
        writeln!(
            self.out,
            "{clock}  {:<34}  {before}{status:<3}{after}  {latency:>8}  {:>8}  {} {}",
            format!("{} → {}", exchange.client.workload(), server(&exchange.server)),
            units::size(message.response_bytes),
            message.method,
            message.target,
        )
    }

    /// Red for what failed, yellow for what the client did wrong.
    fn paint(&self, exchange: &Exchange) -> (&'static str, &'static str) {
        match () {
            () if !self.colour => ("", ""),
            () if exchange.message.error => ("\x1b[31m", "\x1b[0m"),
            () if exchange.message.status.starts_with('4') => ("\x1b[33m", "\x1b[0m"),
            () => ("\x1b[32m", "\x1b[0m"),
        }
    }
}

fn server(endpoint: &Endpoint) -> String {
    format!("{}:{}", endpoint.workload(), endpoint.address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alaz_model::{Message, ObservedBy, Protocol, UnixNanos};

    fn exchange() -> Exchange {
        Exchange {
            time: UnixNanos(1_795_464_000_123_456_789),
            tls: false,
            client: Endpoint::at("10.0.0.5:51514".parse().unwrap()),
            server: Endpoint::at("10.0.0.9:80".parse().unwrap()),
            message: Message {
                protocol: Protocol::Http,
                method: "GET".into(),
                target: "/users/42?id=?".into(),
                route: "/users/{id}".into(),
                status: "503".into(),
                error: true,
                outcome: Outcome::Complete,
                request_bytes: 78,
                response_bytes: 612,
                attributes: Vec::new(),
            },
            latency_ns: Some(812_345),
            ttfb_ns: None,
            server_latency_ns: None,
            observed_by: ObservedBy::Client,
        }
    }

    fn printed(format: WatchOutput, colour: bool, exchange: &Exchange) -> String {
        let mut printer = ExchangePrinter::new(Vec::new(), format, colour);
        printer.print(exchange).unwrap();
        String::from_utf8(printer.out).unwrap()
    }

    #[test]
    fn a_line_says_who_what_and_how_it_went() {
        let line = printed(WatchOutput::Text, false, &exchange());
        assert_eq!(
            line,
            "20:00:00.123  10.0.0.5 → 10.0.0.9:80              503    812 µs     612 B  GET /users/42?id=?\n"
        );
        let mut unanswered = exchange();
        unanswered.message.outcome = Outcome::NoResponse;
        unanswered.latency_ns = None;
        let line = printed(WatchOutput::Text, true, &unanswered);
        assert!(line.contains("\x1b[31mno_response\x1b[0m"), "{line:?}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = printed(WatchOutput::Json, true, &exchange());
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["status"], "503");
    }
}
