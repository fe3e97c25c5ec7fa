//! Exchanges with a Kafka broker as rows of `/events/kafka/`, one a record.

use alaz_model::{Exchange, LeftOut, Message, ObservedBy};
use compact_str::CompactString;
use serde::Serialize;

use super::ends::{EndFields, Ends};

/// Records of one exchange that rows are made of.
pub(super) const MOST_RECORDS: u64 = 500;

/// A record as the array on the wire, of 16 elements. Keys and values are never read.
#[derive(Debug)]
pub(super) struct Row {
    start_ms: u64,
    latency_ns: u64,
    ends: Ends,
    topic: CompactString,
    partition: u32,
    kind: &'static str,
    tls: bool,
}

impl Row {
    /// The row of each record of an exchange that was seen on this node, and how many records it
    /// moved: one at least, where that is not known.
    pub(super) fn of(exchange: &Exchange, node: &str) -> Result<(Row, u64), LeftOut> {
        if exchange.observed_by == ObservedBy::Server {
            return Err(LeftOut::ServerView);
        }
        let message = &exchange.message;
        let kind = match message.method.as_str() {
            "Produce" => "PUBLISH",
            "Fetch" => "CONSUME",
            _ => return Err(LeftOut::Operation),
        };
        if message.error {
            return Err(LeftOut::Failed);
        }
        let records = number(message, "messaging.batch.message_count");
        if records == Some(0) {
            return Err(LeftOut::NoRecords);
        }
        let partition = number(message, "messaging.destination.partition.id");
        let row = Row {
            start_ms: exchange.time.0 / 1_000_000,
            latency_ns: exchange.latency_ns.unwrap_or(0),
            ends: Ends::of(exchange, node),
            topic: message.target.clone(),
            partition: partition.and_then(|number| number.try_into().ok()).unwrap_or(0),
            kind,
            tls: exchange.tls,
        };
        Ok((row, records.unwrap_or(1)))
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EndFields(from_ip, from_kind, from_id, from_port) = self.ends.from.fields();
        let EndFields(to_ip, to_kind, to_id, to_port) = self.ends.to.fields();
        let (key, value) = ("", "");
        (
            self.start_ms,
            self.latency_ns,
            from_ip,
            from_kind,
            from_id,
            from_port,
            to_ip,
            to_kind,
            to_id,
            to_port,
            &self.topic,
            self.partition,
            key,
            value,
            self.kind,
            self.tls,
        )
            .serialize(serializer)
    }
}

fn number(message: &Message, name: &str) -> Option<u64> {
    let (_, text) = message.attributes.iter().find(|(found, _)| *found == name)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use alaz_model::Protocol;
    use serde_json::json;

    use super::*;
    use crate::anteon::testing::exchange;

    fn produce(records: &str) -> Exchange {
        let mut exchange = exchange();
        exchange.message.protocol = Protocol::Kafka;
        exchange.message.method = "Produce".into();
        exchange.message.target = "orders".into();
        exchange.message.status = "NONE".into();
        exchange.message.attributes =
            [("messaging.destination.partition.id", "3".into())].into_iter().collect();
        if !records.is_empty() {
            exchange.message.attributes.push(("messaging.batch.message_count", records.into()));
        }
        exchange
    }

    #[test]
    fn a_record_is_a_row_of_16() {
        let (row, records) = Row::of(&produce("7"), "n").unwrap();
        let expected = json!([
            1_726_300_000_123_u64,
            4_210_345,
            "10.42.0.15",
            "outbound",
            "curl@n",
            51514,
            "10.43.12.8",
            "outbound",
            "10.43.12.8",
            8080,
            "orders",
            3,
            "",
            "",
            "PUBLISH",
            false
        ]);
        assert_eq!((serde_json::to_value(row).unwrap(), records), (expected, 7));
        // The broker is not the sender of what is fetched.
        let mut fetch = produce("");
        fetch.message.method = "Fetch".into();
        let (row, records) = Row::of(&fetch, "n").unwrap();
        let row = serde_json::to_value(row).unwrap();
        assert_eq!((&row[2], &row[14], records), (&json!("10.42.0.15"), &json!("CONSUME"), 1));
    }

    #[test]
    fn what_moved_nothing_has_no_row() {
        let left_out = |change: fn(&mut Exchange)| {
            let mut exchange = produce("0");
            change(&mut exchange);
            Row::of(&exchange, "n").unwrap_err()
        };
        assert_eq!(left_out(|_| {}), LeftOut::NoRecords);
        assert_eq!(left_out(|it| it.message.error = true), LeftOut::Failed);
        assert_eq!(left_out(|it| it.message.method = "Metadata".into()), LeftOut::Operation);
        assert_eq!(left_out(|it| it.observed_by = ObservedBy::Server), LeftOut::ServerView);
    }
}
