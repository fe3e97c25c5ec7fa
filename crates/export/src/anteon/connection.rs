//! Open connections as rows of `/connections/`.

use alaz_model::UnixNanos;
use serde::Serialize;

use super::ends::{EndFields, Ends};
use crate::OpenConnection;

/// A connection as the array on the wire, of 9 elements.
#[derive(Debug)]
pub(super) struct Row {
    check_ms: u64,
    ends: Ends,
}

impl Row {
    /// The row of a connection that is open now, seen on this node.
    pub(super) fn of(connection: &OpenConnection, now: UnixNanos, node: &str) -> Row {
        Row { check_ms: now.0 / 1_000_000, ends: Ends::of_connection(connection, node) }
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EndFields(from_ip, from_kind, from_id, from_port) = self.ends.from.fields();
        let EndFields(to_ip, to_kind, to_id, to_port) = self.ends.to.fields();
        (self.check_ms, from_ip, from_kind, from_id, from_port, to_ip, to_kind, to_id, to_port)
            .serialize(serializer)
    }
}
