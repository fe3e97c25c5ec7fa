//! DNS: by number, addresses and question; a question that comes again is the same.

use alaz_tests::tshark::{Layer, Packet};

use super::{Request, Said, exactly};

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    // Number and question of each, and whether it was answered.
    let mut asked: Vec<(String, bool)> = Vec::new();
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "dns") {
            if layer.get("dns.count.queries") != Some("1") {
                continue;
            }
            let (client, server) = match layer.get("dns.flags.response") {
                Some("0") => (packet.source, packet.destination),
                _ => (packet.destination, packet.source),
            };
            if server.port() != 53 && packet.stream.is_none() {
                continue;
            }
            let question = [layer.get("dns.id"), layer.get("dns.qry.type")];
            let name = layer.get("dns.qry.name").unwrap_or_default().to_lowercase();
            let question = format!("{client} {server} {question:?} {name}");
            let open = asked.iter().position(|(other, done)| *other == question && !done);
            match (layer.get("dns.flags.response"), open) {
                (Some("0"), None) => {
                    asked.push((question, false));
                    requests.push(Request {
                        client,
                        server,
                        method: method(layer),
                        target: target(layer),
                        status: exactly(""),
                    });
                }
                (Some("1"), Some(at)) => {
                    asked[at].1 = true;
                    requests[at].status = status(layer);
                }
                _ => {}
            }
        }
    }
    requests
}

fn method(layer: &Layer) -> Said {
    match layer.get("dns.flags.opcode") {
        Some("0") => {
            // `NULL RR` is how tshark calls NULL.
            match layer.word("dns.qry.type").unwrap_or_default().trim_end_matches(" RR") {
                "" => Said::Nothing,
                word if word.starts_with("Unknown") => Said::Nothing,
                word => exactly(word),
            }
        }
        _ => Said::Nothing,
    }
}

fn target(layer: &Layer) -> Said {
    let name = layer.get("dns.qry.name").unwrap_or_default();
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_plain { exactly(name.to_lowercase()) } else { Said::Nothing }
}

fn status(layer: &Layer) -> Said {
    let extended = layer.get("dns.resp.ext_rcode").is_some_and(|rcode| rcode != "0x00");
    match layer.get("dns.flags.rcode") {
        _ if extended => Said::Nothing,
        Some("0") => exactly("NOERROR"),
        Some("1") => exactly("FORMERR"),
        Some("2") => exactly("SERVFAIL"),
        Some("3") => exactly("NXDOMAIN"),
        Some("4") => exactly("NOTIMP"),
        Some("5") => exactly("REFUSED"),
        _ => Said::Nothing,
    }
}
