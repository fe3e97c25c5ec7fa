//! Exchanges as rows of `/requests/`.

use alaz_model::{Exchange, LeftOut, Message, ObservedBy, Protocol};
use compact_str::{CompactString, format_compact};
use serde::Serialize;

use super::ends::{EndFields, Ends};

/// The methods of HTTP that have a name on the wire.
const HTTP_METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "CONNECT", "OPTIONS", "TRACE"];
const UNKNOWN: &str = "Unknown";

/// Statuses of what is no HTTP: done, failed, and not known.
const DONE: u16 = 1;
const FAILED: u16 = 2;
const NOT_KNOWN: u16 = 0;
/// Redis has its own.
const REDIS_NOT_KNOWN: u16 = 3;
/// gRPC: the status of a call that ended without one (`UNKNOWN`, what clients make of that).
const GRPC_UNKNOWN: u16 = 2;

/// Fields 10 to 14 of a row, and which end is named first.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    protocol: &'static str,
    status: u16,
    method: CompactString,
    path: CompactString,
    /// The server began: it is the one that the row comes from.
    is_reversed: bool,
}

/// An exchange as the array on the wire, of 16 elements.
#[derive(Debug)]
pub(super) struct Row {
    start_ms: u64,
    latency_ns: u64,
    ends: Ends,
    said: Said,
    tls: bool,
}

impl Row {
    /// The row of an exchange that was seen on this node.
    pub(super) fn of(exchange: &Exchange, node: &str) -> Result<Row, LeftOut> {
        if exchange.observed_by == ObservedBy::Server {
            return Err(LeftOut::ServerView);
        }
        let said = say(&exchange.message, exchange.tls)?;
        let ends = Ends::of(exchange, node);
        Ok(Row {
            start_ms: exchange.time.0 / 1_000_000,
            latency_ns: exchange.latency_ns.unwrap_or(0),
            ends: if said.is_reversed { ends.reversed() } else { ends },
            said,
            tls: exchange.tls,
        })
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EndFields(from_ip, from_kind, from_id, from_port) = self.ends.from.fields();
        let EndFields(to_ip, to_kind, to_id, to_port) = self.ends.to.fields();
        let Said { protocol, status, method, path, is_reversed: _ } = &self.said;
        let reason = "";
        let to = (to_ip, to_kind, to_id, to_port);
        (
            self.start_ms,
            self.latency_ns,
            from_ip,
            from_kind,
            from_id,
            from_port,
            to.0,
            to.1,
            to.2,
            to.3,
            protocol,
            status,
            reason,
            method,
            path,
            self.tls,
        )
            .serialize(serializer)
    }
}

/// What was said, in the words of the wire.
fn say(message: &Message, tls: bool) -> Result<Said, LeftOut> {
    let is_push = message.attributes.iter().any(|(name, _)| *name == "alaz.direction");
    let is_prepared = message.attributes.iter().any(|(name, _)| *name == "alaz.prepared");
    let said = |protocol, status, method: &str, path: CompactString| Said {
        protocol,
        status,
        method: method.into(),
        path,
        is_reversed: false,
    };
    let target = || message.target.clone();
    Ok(match message.protocol {
        // One word for both versions, which the wire tells apart by TLS only.
        Protocol::Http | Protocol::Http2 => {
            let known = HTTP_METHODS.iter().find(|known| **known == message.method);
            let protocol = if tls { "HTTPS" } else { "HTTP" };
            let status = message.status.parse().unwrap_or(NOT_KNOWN);
            said(protocol, status, known.unwrap_or(&UNKNOWN), target())
        }
        Protocol::Grpc => {
            let path = format_compact!("/{}/{}", message.target, message.method);
            said("gRPC", message.status.parse().unwrap_or(GRPC_UNKNOWN), "POST", path)
        }
        Protocol::Postgresql => {
            let method = match (message.method.as_str(), is_prepared) {
                ("" | "CANCEL" | "STARTUP" | "SYNC", _) => UNKNOWN,
                (_, true) => "EXTENDED_QUERY",
                (_, false) => "SIMPLE_QUERY",
            };
            said("POSTGRES", answered(message, NOT_KNOWN), method, statement(message))
        }
        Protocol::Mysql => {
            let is_text = starts_with(&message.target, &message.method);
            let method = match (message.method.as_str(), is_prepared) {
                ("" | "INIT_DB" | "FIELD_LIST" | "FETCH" | "RESET", _) if !is_text => UNKNOWN,
                (_, true) => "EXEC_STMT",
                ("PREPARE", false) if !is_text => "PREPARE_STMT",
                (_, false) if message.target.is_empty() => UNKNOWN,
                (_, false) => "TEXT_QUERY",
            };
            said("MYSQL", answered(message, NOT_KNOWN), method, statement(message))
        }
        Protocol::Redis if is_push => Said {
            is_reversed: true,
            ..said("REDIS", DONE, "PUSHED_EVENT", resp(&message.method, &message.target))
        },
        Protocol::Redis => {
            let method = if message.method == "PING" { "PING" } else { "COMMAND" };
            let path = resp(&message.method, &message.target);
            said("REDIS", answered(message, REDIS_NOT_KNOWN), method, path)
        }
        Protocol::Mongodb => {
            let path = if message.target.is_empty() {
                message.method.clone()
            } else {
                format_compact!("{} {}", message.method, collection(&message.target))
            };
            said("MONGO", answered(message, NOT_KNOWN), UNKNOWN, path)
        }
        Protocol::Amqp => match message.method.as_str() {
            "basic.publish" => said("AMQP", 0, "PUBLISH", CompactString::default()),
            "basic.deliver" => {
                Said { is_reversed: true, ..said("AMQP", 0, "DELIVER", CompactString::default()) }
            }
            _ => return Err(LeftOut::Operation),
        },
        // Their records have rows of their own.
        Protocol::Kafka => return Err(LeftOut::Operation),
        Protocol::Dns => return Err(LeftOut::Protocol),
    })
}

/// The status of what answers `ok` or an error.
fn answered(message: &Message, not_known: u16) -> u16 {
    match message.status.as_str() {
        "ok" => DONE,
        "" if message.outcome.is_error() => FAILED,
        "" => not_known,
        _ => FAILED,
    }
}

/// The statement without its values, or the command's name where it has no text.
fn statement(message: &Message) -> CompactString {
    if message.target.is_empty() { message.method.clone() } else { message.target.clone() }
}

fn starts_with(text: &str, word: &str) -> bool {
    !word.is_empty() && text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word))
}

/// Backends show the collection without its database.
fn collection(target: &str) -> &str {
    target.split_once('.').map_or(target, |(_, collection)| collection)
}

/// A command as Redis' protocol writes it, of what may be shown: its words and its key's pattern.
fn resp(command: &str, key: &str) -> CompactString {
    let words = command.split(' ').chain([key]).filter(|word| !word.is_empty());
    let mut text = format_compact!("*{}\r\n", words.clone().count());
    for word in words {
        text.push_str(&format_compact!("${}\r\n{word}\r\n", word.len()));
    }
    text
}

#[cfg(test)]
mod tests;
