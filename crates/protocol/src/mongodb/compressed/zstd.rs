//! Zstandard (RFC 8878), as far as whole blocks are there.
//!
//! The output is all there is of a window: what would reach further back is nothing that fits into
//! the limit. Checksums and dictionaries are not looked at; drivers use none.

mod bits;
mod fse;
mod huffman;
mod sequences;

use sequences::Sequences;

const MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// No block is larger, before or after.
const BLOCK_MAX: usize = 128 << 10;

/// What a block leaves for the next one.
#[derive(Default)]
struct Frame {
    huffman: Option<huffman::Table>,
    sequences: Sequences,
}

/// Expands as many blocks as there are, `limit` bytes at most. `None` where they are no such thing.
pub(super) fn expand(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut rest = blocks(bytes.strip_prefix(MAGIC)?)?;
    let mut out = Vec::with_capacity(limit.min(BLOCK_MAX));
    let mut frame = Frame::default();
    while out.len() < limit {
        let Some((header, after)) = rest.split_first_chunk::<3>() else { break };
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let (is_last, kind, size) = (header & 1 == 1, header >> 1 & 3, (header >> 3) as usize);
        if size > BLOCK_MAX {
            return None;
        }
        let room = limit - out.len();
        let length = if kind == 1 { 1 } else { size };
        let block = after.get(..length);
        match (kind, block) {
            (0, _) => {
                let there = block.unwrap_or(after);
                out.extend_from_slice(there.get(..room).unwrap_or(there));
            }
            (1, Some(&[byte])) => out.resize(out.len() + size.min(room), byte),
            // Its last bytes are read first.
            (2, Some(block)) => frame.block(block, limit, &mut out)?,
            (1 | 2, None) => {}
            _ => return None,
        }
        let (Some(_), false) = (block, is_last) else { break };
        rest = after.get(length..)?;
    }
    Some(out)
}

/// What follows the header of a frame.
fn blocks(bytes: &[u8]) -> Option<&[u8]> {
    let (descriptor, rest) = bytes.split_first()?;
    let is_single = descriptor & 0x20 != 0;
    let content = match descriptor >> 6 {
        0 => usize::from(is_single),
        size => 1 << size,
    };
    if descriptor & 0b1011 != 0 {
        return None;
    }
    rest.get(usize::from(!is_single) + content..)
}

impl Frame {
    fn block(&mut self, block: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<()> {
        let (literals, rest) = self.literals(block)?;
        self.sequences.run(rest, &literals, limit, out)
    }

    /// The literals of a block, and what follows them.
    fn literals<'a>(&mut self, block: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
        let first = *block.first()?;
        let (kind, format) = (first & 3, first >> 2 & 3);
        if kind < 2 {
            let (header, shift) = match format {
                0 | 2 => (1, 3),
                1 => (2, 4),
                _ => (3, 4),
            };
            let size = little_endian(block.get(..header)?) as usize >> shift;
            let rest = block.get(header..)?;
            if size > BLOCK_MAX {
                return None;
            }
            return match kind {
                0 => Some((rest.get(..size)?.to_vec(), rest.get(size..)?)),
                _ => Some((vec![*rest.first()?; size], rest.get(1..)?)),
            };
        }
        let (header, width) = match format {
            0 | 1 => (3, 10),
            2 => (4, 14),
            _ => (5, 18),
        };
        let fields = little_endian(block.get(..header)?) >> 4;
        let mask = (1_u64 << width) - 1;
        let (size, packed) = ((fields & mask) as usize, (fields >> width & mask) as usize);
        let mut streams = block.get(header..header + packed)?;
        let rest = block.get(header + packed..)?;
        if size > BLOCK_MAX {
            return None;
        }
        if kind == 2 {
            let (table, after) = huffman::Table::read(streams)?;
            self.huffman = Some(table);
            streams = after;
        }
        let table = self.huffman.as_ref()?;
        let mut literals = Vec::with_capacity(size);
        if format == 0 {
            table.expand(streams, size, &mut literals)?;
        } else {
            let (jumps, mut streams) = streams.split_first_chunk::<6>()?;
            let each = size.div_ceil(4);
            for jump in jumps.chunks_exact(2) {
                let (stream, after) = streams.split_at_checked(little_endian(jump) as usize)?;
                table.expand(stream, each, &mut literals)?;
                streams = after;
            }
            table.expand(streams, size.checked_sub(each * 3)?, &mut literals)?;
        }
        Some((literals, rest))
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
