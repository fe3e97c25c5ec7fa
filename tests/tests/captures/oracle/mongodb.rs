//! MongoDB: replies name the request that they answer.

use std::collections::BTreeMap;

use alaz_tests::tshark::{Layer, Packet};

use super::{Request, Said, exactly};

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut open = BTreeMap::new();
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "mongo") {
            let elements = elements(layer);
            let answered = layer.get("mongo.response_to").unwrap_or_default();
            let is_reply = requests.first().is_some_and(|first| packet.source == first.server);
            if is_reply {
                if let Some(at) = open.get(answered) {
                    let request: &mut Request = &mut requests[*at];
                    request.status = status(&elements, layer);
                }
                continue;
            }
            let is_orphan = requests.is_empty() && !is_zero(answered);
            if is_orphan {
                continue;
            }
            let is_message = layer.get("mongo.opcode") == Some("2013");
            let command = elements.first().map(|(name, _)| name.clone());
            let value = |name: &str| {
                let element = elements.iter().find(|(element, _)| element == name);
                element.map(|(_, value)| value.clone())
            };
            let target = match (value("$db"), command.as_deref()) {
                (Some(database), Some("getMore")) => {
                    let of = value("collection").unwrap_or_default();
                    exactly(format!("{database}.{of}"))
                }
                // Its argument is the name of a log.
                (Some(database), Some("getLog")) => exactly(database),
                (Some(database), Some(command)) => match value(command) {
                    Some(of) if !of.is_empty() && of.parse::<f64>().is_err() => {
                        exactly(format!("{database}.{of}"))
                    }
                    _ => exactly(database),
                },
                _ => Said::Nothing,
            };
            open.insert(
                layer.get("mongo.request_id").unwrap_or_default().to_owned(),
                requests.len(),
            );
            requests.push(Request {
                client: packet.source,
                server: packet.destination,
                method: command.filter(|_| is_message).map_or(Said::Nothing, exactly),
                target: if is_message { target } else { Said::Nothing },
                status: exactly(""),
            });
        }
    }
    requests
}

/// What is asked answers nothing; some clients fill that in all the same.
fn is_zero(number: &str) -> bool {
    number.trim_start_matches("0x").chars().all(|digit| digit == '0')
}

/// Names and values of the elements of the first document, those inside others left out.
fn elements(layer: &Layer) -> Vec<(String, String)> {
    let names =
        || layer.fields.iter().enumerate().filter(|(_, field)| field.name == "mongo.element.name");
    let Some(depth) = names().map(|(_, field)| field.depth).min() else { return Vec::new() };
    names()
        .filter(|(_, field)| field.depth == depth)
        .map(|(at, field)| {
            let inner = layer.fields[at + 1..].iter().take_while(|inner| inner.depth > depth);
            let value = inner
                .filter(|inner| inner.depth == depth + 1)
                .find(|inner| {
                    inner.name.starts_with("mongo.element.value") && !inner.name.ends_with("length")
                })
                .map_or(String::new(), |value| value.show.clone());
            (field.show.clone(), value)
        })
        .collect()
}

fn status(elements: &[(String, String)], layer: &Layer) -> Said {
    let value =
        |name: &str| elements.iter().find(|(element, _)| element == name).map(|(_, v)| &**v);
    let has_write_errors = layer.all("mongo.element.name").any(|name| name == "writeErrors");
    match (value("ok"), value("code")) {
        (Some(_), Some(code)) => exactly(code),
        (Some("1"), None) if !has_write_errors => exactly("ok"),
        _ => Said::Nothing,
    }
}
