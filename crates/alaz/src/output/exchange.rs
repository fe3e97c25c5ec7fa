//! One exchange a line, for people or for machines.

use std::io::{self, Write};

use alaz_model::{Endpoint, Exchange};
use serde::Deserialize;

use crate::cli::WatchOutput;
use crate::output::plain::plain;
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
            WatchOutput::Text => self.print_row(&Row::of(exchange)),
        }
    }

    /// What it writes to.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Prints an exchange that is a line of JSON already.
    pub(crate) fn print_line(&mut self, json: &str) -> io::Result<()> {
        match self.format {
            WatchOutput::Json => writeln!(self.out, "{json}"),
            WatchOutput::Text => {
                let row: Row = serde_json::from_str(json)?;
                self.print_row(&row)
            }
        }
    }

    fn print_row(&mut self, row: &Row) -> io::Result<()> {
        // HH:MM:SS.mmm of an RFC 3339 time.
        let clock = plain(row.time.get(11..23).unwrap_or(&row.time));
        let is_answered = matches!(&*row.outcome, "complete" | "one_way");
        let status = plain(if is_answered { &row.status } else { &row.outcome });
        let (before, after) = self.paint(row);
        let latency = row.latency_ns.map_or_else(|| "-".to_owned(), units::duration);
        let (client, server) = (plain(&row.client.workload), plain(&row.server.workload));
        let ends = format!("{client} → {server}:{}", row.server.port);
        writeln!(
            self.out,
            "{clock}  {ends:<34}  {before}{status:<3}{after}  {latency:>8}  {:>8}  {} {}",
            units::size(row.response_bytes),
            plain(&row.method),
            plain(&row.target),
        )
    }

    /// Red for what failed, yellow for what the client did wrong.
    fn paint(&self, row: &Row) -> (&'static str, &'static str) {
        match () {
            () if !self.colour => ("", ""),
            () if row.error => ("\x1b[31m", "\x1b[0m"),
            () if row.status.starts_with('4') => ("\x1b[33m", "\x1b[0m"),
            () => ("\x1b[32m", "\x1b[0m"),
        }
    }
}

/// What a line for people shows of an exchange, whether it was found here or sent by a server.
#[derive(Deserialize)]
struct Row {
    time: String,
    client: End,
    server: End,
    method: String,
    target: String,
    status: String,
    outcome: String,
    error: bool,
    latency_ns: Option<u64>,
    response_bytes: u64,
}

#[derive(Deserialize)]
struct End {
    workload: String,
    port: u16,
}

impl Row {
    fn of(exchange: &Exchange) -> Row {
        let message = &exchange.message;
        let end = |endpoint: &Endpoint| End {
            workload: endpoint.workload().into(),
            port: endpoint.address.port(),
        };
        Row {
            time: exchange.time.to_string(),
            client: end(&exchange.client),
            server: end(&exchange.server),
            method: message.method.to_string(),
            target: message.target.to_string(),
            status: message.status.to_string(),
            outcome: message.outcome.as_str().to_owned(),
            error: message.error,
            latency_ns: exchange.latency_ns,
            response_bytes: message.response_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alaz_model::{Message, ObservedBy, Outcome, Protocol, UnixNanos};

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
                attributes: Default::default(),
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
    fn a_line_for_people_moves_no_cursor_and_json_is_exact() {
        let mut exchange = exchange();
        let process = alaz_model::Process { workload: "w\u{9b}2J".into(), ..Default::default() };
        exchange.client.process = Some(std::sync::Arc::new(process));
        exchange.message.target = "/\u{202e}gpj.exe\n".into();
        exchange.message.method = "G\x1bT".into();
        exchange.message.status = "5\u{feff}".into();
        let line = printed(WatchOutput::Text, false, &exchange);
        assert_eq!(line.matches(char::is_control).collect::<Vec<_>>(), ["\n"], "{line:?}");
        assert!(!line.contains(['\u{202e}', '\u{feff}']), "{line:?}");
        assert!(line.contains(r"w\u{9b}2J →"), "{line:?}");
        let json = printed(WatchOutput::Json, false, &exchange);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["target"], "/\u{202e}gpj.exe\n");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = printed(WatchOutput::Json, true, &exchange());
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["status"], "503");
    }

    #[test]
    fn what_a_server_sends_is_printed_the_same() {
        for format in [WatchOutput::Text, WatchOutput::Json] {
            let json = serde_json::to_string(&exchange()).unwrap();
            let mut printer = ExchangePrinter::new(Vec::new(), format, true);
            printer.print_line(&json).unwrap();
            let sent = String::from_utf8(printer.out).unwrap();
            assert_eq!(sent, printed(format, true, &exchange()));
        }
    }
}
