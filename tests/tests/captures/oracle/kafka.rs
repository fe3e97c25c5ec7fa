//! Kafka: by correlation numbers. Of versions that tshark does not know it says only the API.

use std::collections::BTreeMap;

use alaz_tests::tshark::{Layer, Packet};

use super::{Request, Said, exactly};

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut open = BTreeMap::new();
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "kafka") {
            let number = layer.get("kafka.correlation_id").unwrap_or_default().to_owned();
            let is_known = layer.get("kafka.unsupported_api_version").is_none()
                && layer.get("kafka.pdu_length_mismatch").is_none();
            if layer.get("kafka.request_key").is_some() {
                let is_known = is_known && layer.get("kafka.topic_name").is_some();
                open.insert(number, requests.len());
                requests.push(Request {
                    client: packet.source,
                    server: packet.destination,
                    method: match layer.word("kafka.api_key") {
                        // As it was called until version 1.
                        Some("Offsets") => exactly("ListOffsets"),
                        Some("Unknown") | None => Said::Nothing,
                        Some(name) => exactly(name),
                    },
                    target: if is_known { topics(layer) } else { Said::Nothing },
                    status: Said::Nothing,
                });
            } else if let Some(at) = open.remove(&number) {
                requests[at].status = if is_known { status(layer) } else { Said::Nothing };
            }
        }
    }
    requests
}

fn topics(layer: &Layer) -> Said {
    let mut topics: Vec<_> = layer.all("kafka.topic_name").collect();
    topics.dedup();
    exactly(topics.join(","))
}

fn status(layer: &Layer) -> Said {
    match layer.all("kafka.error").find(|error| *error != "0") {
        None if layer.get("kafka.error").is_some() => exactly("NONE"),
        Some("3") => exactly("UNKNOWN_TOPIC_OR_PARTITION"),
        Some("15") => exactly("COORDINATOR_NOT_AVAILABLE"),
        Some("16") => exactly("NOT_COORDINATOR"),
        Some("27") => exactly("REBALANCE_IN_PROGRESS"),
        Some("79") => exactly("MEMBER_ID_REQUIRED"),
        _ => Said::Nothing,
    }
}
