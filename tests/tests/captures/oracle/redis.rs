//! Redis: tshark's dissection knows RESP 2 only, so of the connections that it takes for Redis the
//! bytes are read here, as far as every byte is there.

use std::collections::VecDeque;
use std::net::SocketAddr;

use alaz_tests::tshark::Packet;

use super::{Request, Said, exactly};

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let Some((client, server)) = ends(packets) else { return Vec::new() };
    let said_by = |side| {
        let mut bytes = Vec::new();
        for packet in packets.iter().filter(|packet| packet.source == side) {
            for layer in packet.layers.iter().filter(|layer| layer.name == "tcp") {
                let is_repeated = layer.get("tcp.analysis.retransmission").is_some();
                let payload = layer.get("tcp.payload").filter(|_| !is_repeated);
                bytes.extend(payload.into_iter().flat_map(from_hex));
            }
        }
        bytes
    };
    let (asked, answered) = (said_by(client), said_by(server));
    let mut replies = values(&answered).into_iter().collect::<VecDeque<_>>();
    let commands = values(&asked).into_iter();
    commands
        .map(|command| Request {
            client,
            server,
            method: match &command {
                Value::List(words) => Said::WithValues(words.join(" ").to_uppercase()),
                _ => Said::Nothing,
            },
            target: Said::Nothing,
            status: match replies.pop_front() {
                Some(Value::Error(word)) => exactly(word),
                Some(_) => exactly("ok"),
                None => Said::Nothing,
            },
        })
        .collect()
}

/// The server is who has the port.
fn ends(packets: &[&Packet]) -> Option<(SocketAddr, SocketAddr)> {
    let first = packets.first()?;
    let (one, other) = (first.source, first.destination);
    Some(if one.port() == 6379 { (other, one) } else { (one, other) })
}

fn from_hex(text: &str) -> Vec<u8> {
    text.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

enum Value {
    List(Vec<String>),
    Error(String),
    Other,
}

/// Whole values from the beginning, up to what is none.
fn values(mut bytes: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    while let Some((value, rest)) = value(bytes) {
        found.push(value);
        bytes = rest;
    }
    found
}

fn value(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, mut rest) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]);
    let (kind, text) = line.split_at_checked(1)?;
    match kind {
        "+" | ":" | "_" | "#" | "," | "(" => Some((Value::Other, rest)),
        "-" => {
            let word = text.split(' ').next().unwrap_or_default();
            Some((Value::Error(word.to_owned()), rest))
        }
        "$" | "=" => {
            let length = usize::try_from(text.parse::<i64>().ok()?).ok();
            let Some(length) = length else { return Some((Value::Other, rest)) };
            let string = String::from_utf8_lossy(rest.get(..length)?).into_owned();
            Some((Value::List(vec![string]), rest.get(length + 2..)?))
        }
        "*" | "~" | ">" | "%" => {
            let count = text.parse::<i64>().ok()? * if kind == "%" { 2 } else { 1 };
            let mut words = Vec::new();
            for _ in 0..count {
                let (element, next) = value(rest)?;
                if let Value::List(mut strings) = element {
                    words.append(&mut strings);
                }
                rest = next;
            }
            Some((Value::List(words), rest))
        }
        _ => None,
    }
}
