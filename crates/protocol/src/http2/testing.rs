//! For tests: frames and header blocks, as peers make them.

use std::collections::VecDeque;

pub(super) const PREFACE: &[u8] = super::parse::PREFACE;
pub(super) const END_STREAM: u8 = super::parse::END_STREAM;
pub(super) const END_HEADERS: u8 = super::parse::END_HEADERS;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut out = length.to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// A DATA frame with so many bytes of content.
pub(super) fn data(stream: u32, length: usize, ends: bool) -> Vec<u8> {
    frame(0, u8::from(ends), stream, &vec![b'd'; length])
}

/// A HEADERS frame with a whole block.
pub(super) fn headers(stream: u32, block: &[u8], ends: bool) -> Vec<u8> {
    frame(1, END_HEADERS | u8::from(ends), stream, block)
}

pub(super) fn settings() -> Vec<u8> {
    frame(4, 0, 0, b"\x00\x03\x00\x00\x00\x64")
}

pub(super) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, &code.to_be_bytes())
}

/// One direction's encoder: everything goes into the table and is referred to from then on.
#[derive(Default)]
pub(super) struct Encoder {
    /// Newest first.
    table: VecDeque<(String, String)>,
}

impl Encoder {
    pub(super) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in fields {
            match (*name, *value) {
                (":method", "GET") => out.push(0x82),
                (":method", "POST") => out.push(0x83),
                (":scheme", _) => out.push(0x86),
                (":status", "200") => out.push(0x88),
                (":status", "404") => out.push(0x8d),
                (":status", "500") => out.push(0x8e),
                _ => self.encode(name, value, &mut out),
            }
        }
        out
    }

    fn encode(&mut self, name: &str, value: &str, out: &mut Vec<u8>) {
        let known = self.table.iter().position(|(n, v)| n == name && v == value);
        if let Some(place) = known {
            integer(0x80, 7, 62 + place, out);
            return;
        }
        match name {
            ":path" => out.push(0x44),
            ":status" => out.push(0x48),
            _ => {
                out.push(0x40);
                text(name, out);
            }
        }
        text(value, out);
        self.table.push_front((name.into(), value.into()));
        let size = |table: &VecDeque<(String, String)>| -> usize {
            table.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        };
        while size(&self.table) > 4096 {
            self.table.pop_back();
        }
    }
}

fn integer(first: u8, prefix_bits: u32, value: usize, out: &mut Vec<u8>) {
    let mask = (1 << prefix_bits) - 1;
    if value < mask {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn text(text: &str, out: &mut Vec<u8>) {
    integer(0, 7, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}
