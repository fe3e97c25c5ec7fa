//! For tests: messages as clients and servers write them.

use super::words;

fn header(id: u16, flags: u16, records: u16, additional: u16) -> Vec<u8> {
    [id, flags, 1, records, 0, additional].iter().flat_map(|it| it.to_be_bytes()).collect()
}

fn asked(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes
}

/// An OPT record (RFC 6891) with the upper bits of the rcode.
fn opt(rcode: u16) -> Vec<u8> {
    vec![0, 0, words::OPT as u8, 0x04, 0xd0, (rcode >> 4) as u8, 0, 0, 0, 0, 0]
}

/// A recursive question with EDNS.
pub(super) fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    [header(id, 0x0100, 0, 1), asked(name, kind), opt(0)].concat()
}

/// An answer with IPv4 addresses.
pub(super) fn answer(id: u16, name: &str, kind: u16, addresses: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = [header(id, 0x8180, addresses.len() as u16, 0), asked(name, kind)].concat();
    for address in addresses {
        // The owner's name is that of the question.
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend_from_slice(address);
    }
    bytes
}

/// An answer without records.
pub(super) fn refusal(id: u16, name: &str, kind: u16, rcode: u16) -> Vec<u8> {
    [header(id, 0x8180 | rcode & 15, 0, 1), asked(name, kind), opt(rcode)].concat()
}

/// As it is sent over TCP (RFC 1035 §4.2.2).
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}
