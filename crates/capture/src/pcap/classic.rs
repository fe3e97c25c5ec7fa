//! The pcap file format (draft-ietf-opsawg-pcap): a header, then one record for each packet.

use std::io::Read;

use super::error::PcapError;
use super::file::{ByteOrder, Input, LENGTH_MAX, Packet};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Written by a tcpdump of old Linux distributions; its records have eight bytes more.
const PATCHED: u32 = 0xa1b2_cd34;
const PATCH: u32 = 8;

const MAJOR_VERSION: u16 = 2;

/// A file in this format.
pub(super) struct Classic {
    order: ByteOrder,
    nanoseconds: bool,
    patched: bool,
    link_type: u32,
}

impl Classic {
    /// By the first four bytes; the rest of the header is still to be read.
    pub(super) fn by_magic(magic: [u8; 4]) -> Option<Classic> {
        [ByteOrder::Little, ByteOrder::Big].into_iter().find_map(|order| {
            let number = order.u32(magic);
            matches!(number, MICROSECONDS | NANOSECONDS | PATCHED).then_some(Classic {
                order,
                nanoseconds: number == NANOSECONDS,
                patched: number == PATCHED,
                link_type: 0,
            })
        })
    }

    /// Reads the rest of the header.
    pub(super) fn header(self, input: &mut Input<impl Read>) -> Result<Classic, PcapError> {
        let [v0, v1, _, _, _, _, _, _, _, _, _, _, _, _, _, _, link @ ..] = input.array::<20>()?;
        let found = self.order.u16([v0, v1]);
        // Some writers give the version in the other byte order.
        if found != MAJOR_VERSION && found.swap_bytes() != MAJOR_VERSION {
            return Err(PcapError::Version { found });
        }
        // The upper half tells of frame check sequences; IP knows its own length.
        let link_type = self.order.u32(link) & 0xffff;
        Ok(Classic { link_type, ..self })
    }

    pub(super) fn next<'b>(
        &mut self,
        input: &mut Input<impl Read>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Packet<'b>>, PcapError> {
        input.begin();
        let Some(seconds) = input.array_or_end::<4>()? else { return Ok(None) };
        let [f0, f1, f2, f3, c0, c1, c2, c3, original @ ..] = input.array::<12>()?;
        let seconds = u64::from(self.order.u32(seconds));
        let fraction = u64::from(self.order.u32([f0, f1, f2, f3]));
        let length = self.order.u32([c0, c1, c2, c3]);
        let original = self.order.u32(original);
        if length > LENGTH_MAX {
            return Err(input.damaged(format!("a packet of {length} bytes")));
        }
        if self.patched {
            input.skip(PATCH)?;
        }
        input.bytes(length, buffer)?;
        let fraction_ns = if self.nanoseconds { fraction } else { fraction * 1_000 };
        Ok(Some(Packet {
            time_ns: Some(seconds * 1_000_000_000 + fraction_ns),
            link_type: self.link_type,
            captured: buffer,
            original: (original as usize).max(buffer.len()),
        }))
    }
}
