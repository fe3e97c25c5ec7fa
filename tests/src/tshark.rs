//! What tshark dissects of a capture file, in the order of the packets.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::program;

/// One packet that carries something we ask for.
#[derive(Debug)]
pub struct Packet {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// `tcp.stream`; none of UDP.
    pub stream: Option<u32>,
    /// The messages that tshark found in it, once they were whole.
    pub layers: Vec<Layer>,
}

/// One message of one protocol.
#[derive(Debug)]
pub struct Layer {
    /// tshark's name of the protocol.
    pub name: String,
    /// Its fields, in order, nested ones after that in which they stand.
    pub fields: Vec<Field>,
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// tshark's name of it.
    pub name: String,
    /// The value as a filter would say it.
    pub show: String,
    /// The line that a person would read: `Method: Declare (10)`.
    pub line: String,
    /// How deep it stands: 0 directly in the message.
    pub depth: usize,
}

impl Layer {
    /// The first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).map(|field| &*field.show)
    }

    /// All fields of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| &*field.show)
    }

    /// The word that tshark has for the value: `Declare` of `Method: Declare (10)`.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        let (_, word) = field.line.split_once(": ")?;
        Some(word.split_once(" (").map_or(word, |(word, _)| word))
    }
}

/// Everything that tshark finds of these protocols in a file. It knows most of them by their ports
/// alone: `rules` say what else is where, as `tcp.port==7,http`.
///
/// # Panics
/// When tshark fails. A file that ends in the middle of a packet is no failure.
#[must_use]
pub fn dissect(file: &Path, protocols: &str, rules: &[String]) -> Vec<Packet> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file).args(["-T", "pdml", "-Y", "tcp.len > 0 || udp"]);
    command.args(["-J", &format!("ip ipv6 tcp udp {protocols}")]);
    for rule in rules {
        command.args(["-d", rule]);
    }
    let mut tshark = program::Program::start(&mut command);
    let status = tshark.wait();
    // 2: the file is cut off in the middle of a packet.
    assert!(matches!(status.code(), Some(0 | 2)), "tshark: {status}: {}", tshark.stderr());
    read(&tshark.stdout())
}

fn read(pdml: &str) -> Vec<Packet> {
    let mut packets = Vec::new();
    let (mut layers, mut depth): (Vec<Layer>, usize) = (Vec::new(), 0);
    for tag in (Tags { rest: pdml }) {
        match (tag.name, tag.is_end) {
            ("packet", true) => packets.extend(packet(std::mem::take(&mut layers))),
            ("proto", false) => {
                depth = 0;
                layers.push(Layer { name: tag.get("name"), fields: Vec::new() });
            }
            ("field", true) => depth = depth.saturating_sub(1),
            ("field", false) => {
                if let Some(layer) = layers.last_mut() {
                    let (name, show) = (tag.get("name"), tag.get("show"));
                    layer.fields.push(Field { name, show, line: tag.get("showname"), depth });
                }
                depth += usize::from(!tag.is_empty);
            }
            _ => {}
        }
    }
    packets
}

/// None of what is carried inside another packet: Alaz does not look into tunnels.
fn packet(mut layers: Vec<Layer>) -> Option<Packet> {
    let mut networks = layers.iter().filter(|layer| matches!(&*layer.name, "ip" | "ipv6"));
    let network = networks.next()?;
    if networks.next().is_some() {
        return None;
    }
    let address = |side: &str| -> Option<IpAddr> {
        network.get(&format!("{}.{side}", network.name))?.parse().ok()
    };
    let (source, destination) = (address("src")?, address("dst")?);
    let transport = layers.iter().find(|layer| matches!(&*layer.name, "tcp" | "udp"))?;
    let port = |side: &str| -> Option<u16> {
        transport.get(&format!("{}.{side}port", transport.name))?.parse().ok()
    };
    let (source, destination) =
        (SocketAddr::new(source, port("src")?), SocketAddr::new(destination, port("dst")?));
    let stream = transport.get("tcp.stream").and_then(|number| number.parse().ok());
    layers.retain(|layer| !matches!(&*layer.name, "geninfo" | "frame" | "eth" | "ip" | "ipv6"));
    Some(Packet { source, destination, stream, layers })
}

/// One tag of XML.
struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
    /// `</name>`.
    is_end: bool,
    /// `<name/>`.
    is_empty: bool,
}

impl Tag<'_> {
    /// The value of an attribute; empty where there is none.
    fn get(&self, attribute: &str) -> String {
        let mut rest = self.attributes;
        while let Some((name, after)) = rest.split_once("=\"") {
            let Some((value, next)) = after.split_once('"') else { break };
            if name.trim() == attribute {
                return unescape(value);
            }
            rest = next;
        }
        String::new()
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once(';').unwrap_or(("", part));
        let character = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => name
                .strip_prefix("#x")
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .and_then(char::from_u32),
        };
        out.extend(character);
        out.push_str(rest);
    }
    out
}

/// The tags of a document, in order. Text between them is passed over: PDML has none.
struct Tags<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let (_, rest) = self.rest.split_once('<')?;
            let mut is_quoted = false;
            let end = rest.find(|character| {
                is_quoted ^= character == '"';
                character == '>' && !is_quoted
            })?;
            self.rest = &rest[end + 1..];
            let text = &rest[..end];
            if text.starts_with(['?', '!']) {
                continue;
            }
            let (is_end, text) = (text.starts_with('/'), text.trim_start_matches('/'));
            let is_empty = text.ends_with('/');
            let (name, attributes) = text.split_once(' ').unwrap_or((text, ""));
            return Some(Tag { name, attributes, is_end, is_empty });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_with_their_messages_and_fields() {
        let packets = read(
            r#"<?xml version="1.0"?><pdml><packet>
            <proto name="ip"><field name="ip.src" show="10.0.0.1"/><field name="ip.dst" show="10.0.0.2"/></proto>
            <proto name="tcp"><field name="tcp.srcport" show="7"/><field name="tcp.dstport" show="80"/>
            <field name="tcp.stream" show="3"/></proto>
            <proto name="http"><field name="a" showname="A: b &lt;&#x27; (7)" show="x &gt;
            y"><field name="b" show=""/></field><field name="c" show="1"/></proto>
            </packet></pdml>"#,
        );
        let [packet] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!(packet.source.to_string(), "10.0.0.1:7");
        assert_eq!(packet.stream, Some(3));
        let layer = &packet.layers[1];
        assert_eq!((layer.get("a").unwrap().len(), layer.word("a")), (17, Some("b <'")));
        let depths: Vec<_> = layer.fields.iter().map(|field| field.depth).collect();
        assert_eq!(depths, [0, 1, 0]);
    }
}
