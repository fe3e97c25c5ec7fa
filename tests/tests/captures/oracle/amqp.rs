//! AMQP: methods that begin something, with what their channel says next.

use alaz_tests::tshark::{Layer, Packet};

use super::{Request, Said, exactly};

/// Methods that only answer another one, or that are no exchange.
const ANSWERS: [&str; 12] = [
    "connection.start",
    "connection.secure",
    "connection.secure-ok",
    "connection.tune",
    "connection.tune-ok",
    "connection.blocked",
    "connection.unblocked",
    "basic.ack",
    "basic.nack",
    "basic.reject",
    "basic.get-empty",
    "basic.recover-async",
];

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let Some((client, server)) = ends(packets) else { return Vec::new() };
    let mut requests: Vec<Request> = Vec::new();
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "amqp") {
            let Some(method) = name(layer) else { continue };
            let is_answer = method.ends_with("-ok") && method != "connection.start-ok";
            if is_answer || ANSWERS.contains(&&*method) {
                continue;
            }
            let argument = |name: &str| {
                layer.get(&format!("amqp.method.arguments.{name}")).unwrap_or_default()
            };
            let target = match &*method {
                "basic.publish" | "basic.deliver" | "basic.return" => {
                    let (exchange, key) = (argument("exchange"), argument("routing_key"));
                    Said::WithValues(match exchange {
                        "" => key.to_owned(),
                        _ => format!("{exchange}/{key}"),
                    })
                }
                _ => Said::Nothing,
            };
            let target = if method == "basic.deliver" { Said::Nothing } else { target };
            let status = match argument("reply_code") {
                "" => Said::Nothing,
                "200" => exactly("ok"),
                code => exactly(code),
            };
            requests.push(Request { client, server, method: exactly(method), target, status });
        }
    }
    requests
}

/// The client is who says which protocol, or who begins what only clients begin.
fn ends(packets: &[&Packet]) -> Option<(std::net::SocketAddr, std::net::SocketAddr)> {
    let packet = packets.first()?;
    let is_from_server = packet.source.port() == 5672;
    Some(if is_from_server {
        (packet.destination, packet.source)
    } else {
        (packet.source, packet.destination)
    })
}

/// `queue.declare`.
fn name(layer: &Layer) -> Option<String> {
    let class = layer.word("amqp.method.class")?;
    let method = layer.word("amqp.method.method")?;
    Some(format!("{}.{}", class.to_lowercase(), method.to_lowercase()))
}
