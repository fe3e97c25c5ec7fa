//! HTTP/1: the order of a connection says which response is whose.

use std::collections::VecDeque;

use alaz_tests::tshark::Packet;

use super::{Request, Said, exactly};

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut open = VecDeque::new();
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "http") {
            if let Some(method) = layer.get("http.request.method") {
                let target = layer.get("http.request.uri").unwrap_or_default();
                open.push_back(requests.len());
                requests.push(Request {
                    client: packet.source,
                    server: packet.destination,
                    method: exactly(method),
                    target: exactly(without_values(target)),
                    // Also where tshark does not show a response, since not all of it is there.
                    status: Said::Nothing,
                });
            }
            let Some(status) = layer.get("http.response.code") else { continue };
            if status.starts_with('1') && status != "101" {
                continue;
            }
            match open.pop_front() {
                Some(number) => requests[number].status = exactly(status),
                // Its request went by before the capture began: then all others are not certain.
                None => requests.iter_mut().for_each(|request| request.status = Said::Nothing),
            }
        }
    }
    requests
}

/// Values of a query are never shown, nor a parameter that has no name.
fn without_values(target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default();
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let parameters: Vec<_> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) => format!("{name}=?"),
            None if parameter.is_empty() => String::new(),
            None => "?".to_owned(),
        })
        .collect();
    format!("{path}?{}", parameters.join("&"))
}
