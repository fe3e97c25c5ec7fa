//! From what tshark dissects to the requests that Alaz must report: one file per protocol, each with
//! its own, plain way of finding what belongs together.

mod amqp;
mod dns;
mod http;
mod http2;
mod kafka;
mod mongodb;
mod mysql;
mod postgresql;
mod redis;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use alaz_tests::exchange::shows_of;
use alaz_tests::tshark::Packet;

/// A request with its reply, as tshark's dissection has it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Who asked.
    pub(crate) client: SocketAddr,
    /// Who was asked.
    pub(crate) server: SocketAddr,
    pub(crate) method: Said,
    pub(crate) target: Said,
    pub(crate) status: Said,
}

/// What tshark says of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Exactly this.
    Exactly(String),
    /// A text of which Alaz shows the parts that are no values, in order.
    WithValues(String),
    /// Nothing.
    Nothing,
}

pub(crate) fn exactly(text: impl Into<String>) -> Said {
    Said::Exactly(text.into())
}

impl Said {
    /// Whether what Alaz shows is what was said.
    pub(crate) fn is(&self, shown: &str) -> bool {
        match self {
            Said::Nothing => true,
            Said::Exactly(text) => text == shown,
            Said::WithValues(text) => shows_of(shown, text),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Said::Nothing => "(unknown)",
            Said::Exactly(text) | Said::WithValues(text) => text,
        }
    }
}

/// How the requests of one protocol are found.
pub(crate) struct Oracle {
    /// The names that Alaz gives.
    pub(crate) protocols: &'static [&'static str],
    /// The layers that tshark gives.
    pub(crate) layers: &'static [&'static str],
    pub(crate) read: fn(&[&Packet]) -> Vec<Request>,
}

pub(crate) const ORACLES: [Oracle; 9] = [
    Oracle { protocols: &["http"], layers: &["http"], read: http::read },
    Oracle { protocols: &["http2", "grpc"], layers: &["http2"], read: http2::read },
    Oracle { protocols: &["postgresql"], layers: &["pgsql"], read: postgresql::read },
    Oracle { protocols: &["mysql"], layers: &["mysql"], read: mysql::read },
    Oracle { protocols: &["redis"], layers: &["resp"], read: redis::read },
    Oracle { protocols: &["kafka"], layers: &["kafka"], read: kafka::read },
    Oracle { protocols: &["amqp"], layers: &["amqp"], read: amqp::read },
    Oracle { protocols: &["mongodb"], layers: &["mongo"], read: mongodb::read },
    Oracle { protocols: &["dns"], layers: &["dns"], read: dns::read },
];

/// The packets of each connection in which one of these layers was found; UDP's are one for all.
pub(crate) fn connections<'a>(
    packets: &'a [Packet],
    layers: &[&str],
) -> BTreeMap<Option<u32>, Vec<&'a Packet>> {
    let has = |packet: &Packet| packet.layers.iter().any(|layer| layers.contains(&&*layer.name));
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    packets.iter().for_each(|packet| found.entry(packet.stream).or_default().push(packet));
    found.retain(|_, packets| packets.iter().any(|packet| has(packet)));
    found
}
