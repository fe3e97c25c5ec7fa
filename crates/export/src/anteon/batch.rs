//! Rows on their way into the body of a request.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;

use crate::random;

/// A body is closed when it has so many bytes, however few rows: proxies in front of backends take a
/// mebibyte.
const FULL_BYTES: usize = 768 << 10;

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Requests,
    Connections,
    KafkaEvents,
}

impl Stream {
    pub(super) const ALL: [Stream; 3] =
        [Stream::Requests, Stream::Connections, Stream::KafkaEvents];

    pub(super) fn path(self) -> &'static str {
        match self {
            Stream::Requests => "/requests/",
            Stream::Connections => "/connections/",
            Stream::KafkaEvents => "/events/kafka/",
        }
    }

    /// The key of the rows in the body.
    pub(super) fn key(self) -> &'static str {
        match self {
            Stream::Requests => "requests",
            Stream::Connections => "connections",
            Stream::KafkaEvents => "kafka_events",
        }
    }
}

/// Who sends, in every body.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) monitoring_id: String,
    pub(super) node: String,
}

/// The object `metadata`; backends of the original want this order.
#[derive(Debug, Serialize)]
pub(super) struct Metadata<'a> {
    monitoring_id: &'a str,
    idempotency_key: String,
    node_id: &'a str,
    alaz_version: &'static str,
}

impl Sender {
    /// With a new key.
    pub(super) fn metadata(&self) -> Metadata<'_> {
        Metadata {
            monitoring_id: &self.monitoring_id,
            idempotency_key: random_uuid(),
            node_id: &self.node,
            alaz_version: concat!("v", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// A body that is complete, with the key by which a backend knows it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) stream: Stream,
    pub(super) rows: u64,
    pub(super) body: Bytes,
}

/// Rows of one stream that wait for others.
#[derive(Debug)]
pub(super) struct Pile {
    stream: Stream,
    most_rows: u64,
    rows: u64,
    body: Vec<u8>,
    begun: Option<Instant>,
}

impl Pile {
    pub(super) fn new(stream: Stream, most_rows: u64) -> Pile {
        Pile { stream, most_rows: most_rows.max(1), rows: 0, body: Vec::new(), begun: None }
    }

    /// Adds a row; gives the batch that it completes.
    pub(super) fn add(&mut self, row: &impl Serialize, from: &Sender) -> Option<Batch> {
        if self.rows == 0 {
            self.begin(from);
        } else {
            self.body.push(b',');
        }
        // Rows have nothing that JSON does not have, and memory takes everything.
        let _ = serde_json::to_writer(&mut self.body, row);
        self.rows += 1;
        let is_full = self.rows >= self.most_rows || self.body.len() >= FULL_BYTES;
        if is_full { self.take() } else { None }
    }

    /// When its first row came.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// What there is.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.begun.take()?;
        self.body.extend_from_slice(b"]}");
        let body = std::mem::take(&mut self.body).into();
        Some(Batch { stream: self.stream, rows: std::mem::take(&mut self.rows), body })
    }

    fn begin(&mut self, from: &Sender) {
        self.begun = Some(Instant::now());
        self.body.extend_from_slice(b"{\"metadata\":");
        let _ = serde_json::to_writer(&mut self.body, &from.metadata());
        self.body.extend_from_slice(format!(",\"{}\":[", self.stream.key()).as_bytes());
    }
}

/// A UUID of version 4 (RFC 9562 §5.4).
fn random_uuid() -> String {
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};

    use super::*;

    fn sender() -> Sender {
        Sender { monitoring_id: "id \"1\"".to_owned(), node: "node".to_owned() }
    }

    #[test]
    fn bodies_have_the_order_of_the_wire_and_as_many_rows_as_allowed() {
        let mut pile = Pile::new(Stream::KafkaEvents, 2);
        assert_eq!(pile.take(), None);
        assert_eq!(pile.add(&(1, "a"), &sender()), None);
        let batch = pile.add(&(2, "\u{2028}"), &sender()).unwrap();
        let text = std::str::from_utf8(&batch.body).unwrap();
        let begin = r#"{"metadata":{"monitoring_id":"id \"1\"","idempotency_key":""#;
        assert!(text.starts_with(begin), "{text}");
        let end = concat!(
            r#"","node_id":"node","alaz_version":"v"#,
            env!("CARGO_PKG_VERSION"),
            "\"},\"kafka_events\":[[1,\"a\"],[2,\"\u{2028}\"]]}"
        );
        assert!(text.ends_with(end), "{text}");
        assert_eq!((batch.rows, pile.begun()), (2, None));
        assert_eq!(pile.add(&(3,), &sender()), None);
        let left = pile.take().unwrap();
        let body: Value = serde_json::from_slice(&left.body).unwrap();
        assert_eq!((left.rows, &body["kafka_events"]), (1, &json!([[3]])));
    }

    #[test]
    fn long_rows_close_a_body() {
        let mut pile = Pile::new(Stream::Requests, 1000);
        let row = "x".repeat(FULL_BYTES / 3);
        let closed = (0..4).filter_map(|_| pile.add(&row, &sender())).count();
        assert_eq!(closed, 1);
    }

    #[test]
    fn keys_are_uuids_and_never_the_same() {
        let keys: HashSet<_> = (0..10_000).map(|_| random_uuid()).collect();
        assert_eq!(keys.len(), 10_000);
        for key in keys {
            let bytes = key.as_bytes();
            assert_eq!((bytes.len(), bytes[14]), (36, b'4'), "{key}");
            assert!(b"89ab".contains(&bytes[19]), "{key}");
        }
    }
}
