//! HTTP/2 and gRPC: by the numbers of the streams.

use std::collections::BTreeMap;

use alaz_tests::tshark::{Layer, Packet};

use super::{Request, Said, exactly};

#[derive(Default)]
struct Stream {
    request: Option<(std::net::SocketAddr, std::net::SocketAddr, BTreeMap<String, String>)>,
    /// Header fields of the response and its trailers, interim responses left out.
    response: BTreeMap<String, String>,
    is_reset: bool,
}

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut streams: BTreeMap<u64, Stream> = BTreeMap::new();
    let mut away = u64::MAX;
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "http2") {
            let Some(number) = layer.get("http2.streamid").and_then(|number| number.parse().ok())
            else {
                continue;
            };
            if let Some(last) = layer.get("http2.goaway.last_stream_id") {
                away = away.min(last.parse().unwrap_or(away));
            }
            if number == 0 {
                continue;
            }
            let stream = streams.entry(number).or_default();
            stream.is_reset |= layer.get("http2.rst_stream.error").is_some();
            let fields = header_fields(layer);
            if fields.contains_key(":method") {
                stream.request = Some((packet.source, packet.destination, fields));
            } else if !fields.get(":status").is_some_and(|status| status.starts_with('1'))
                && stream.request.as_ref().is_some_and(|(client, ..)| *client == packet.destination)
            {
                stream.response.extend(fields);
            }
        }
    }
    streams.iter().filter_map(|(number, stream)| request(stream, *number > away)).collect()
}

fn header_fields(layer: &Layer) -> BTreeMap<String, String> {
    let names = layer.all("http2.header.name");
    let values = layer.fields.iter().filter(|field| field.name == "http2.header.value");
    names.map(str::to_owned).zip(values.map(|field| field.show.clone())).collect()
}

fn request(stream: &Stream, is_refused: bool) -> Option<Request> {
    let (client, server, fields) = stream.request.as_ref()?;
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let is_grpc = field("content-type").starts_with("application/grpc");
    let of_response = |name: &str| match stream.response.get(name) {
        Some(status) => exactly(status.clone()),
        None if stream.is_reset || is_refused => Said::Nothing,
        None => exactly(""),
    };
    let (method, target, status) = match field(":path").rsplit_once('/') {
        Some((service, method)) if is_grpc => {
            let service = service.trim_start_matches('/').to_owned();
            (method.to_owned(), exactly(service), of_response("grpc-status"))
        }
        _ => (field(":method"), Said::WithValues(field(":path")), of_response(":status")),
    };
    Some(Request { client: *client, server: *server, method: exactly(method), target, status })
}
