//! Huffman codes of literals (RFC 8878 §4.2).

use super::bits::Backward;
use super::fse;

/// Longer codes are not used.
const BITS_MAX: u32 = 11;
/// Weights are written in tables of so many parts at most, as a power of two.
const WEIGHTS_LOG_MAX: u32 = 6;
const SYMBOLS_MAX: usize = 256;

/// The symbol, and how long its code is, for each of the next bits.
pub(super) struct Table {
    bits: u32,
    entries: Vec<(u8, u8)>,
}

impl Table {
    /// Reads the weights of all symbols but the last, and gives back what follows.
    pub(super) fn read(bytes: &[u8]) -> Option<(Table, &[u8])> {
        let (&head, rest) = bytes.split_first()?;
        let size = usize::from(head);
        if size < 128 {
            let (weights, rest) = rest.split_at_checked(size)?;
            return Some((Table::new(compressed_weights(weights)?)?, rest));
        }
        let count = size - 127;
        let (packed, rest) = rest.split_at_checked(count.div_ceil(2))?;
        let weights = packed.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(count);
        Some((Table::new(weights.collect())?, rest))
    }

    fn new(mut weights: Vec<u8>) -> Option<Table> {
        let part = |weight: u8| match weight {
            0 => Some(0),
            1..=11 => Some(1_u32 << (weight - 1)),
            _ => None,
        };
        let sum = weights.iter().try_fold(0, |sum, weight| Some(sum + part(*weight)?))?;
        let bits = sum.checked_ilog2()? + 1;
        // The last symbol has what is left.
        let left = (1_u32 << bits) - sum;
        if bits > BITS_MAX || !left.is_power_of_two() || weights.len() >= SYMBOLS_MAX {
            return None;
        }
        weights.push(left.ilog2() as u8 + 1);
        let mut entries = Vec::with_capacity(1 << bits);
        for weight in 1..=bits as u8 {
            let length = bits as u8 + 1 - weight;
            for (symbol, _) in weights.iter().enumerate().filter(|(_, of)| **of == weight) {
                let end = entries.len() + (1 << (weight - 1));
                entries.resize(end, (symbol as u8, length));
            }
        }
        (entries.len() == 1 << bits).then_some(Table { bits, entries })
    }

    /// Reads so many symbols from one stream.
    pub(super) fn expand(&self, stream: &[u8], count: usize, out: &mut Vec<u8>) -> Option<()> {
        let mut bits = Backward::new(stream)?;
        for _ in 0..count {
            let (symbol, length) = *self.entries.get(bits.peek(self.bits) as usize)?;
            bits.skip(u32::from(length));
            out.push(symbol);
        }
        (bits.left() == 0).then_some(())
    }
}

/// Two states take turns until the bits are at their end.
fn compressed_weights(bytes: &[u8]) -> Option<Vec<u8>> {
    let (table, stream) = fse::Table::read(bytes, WEIGHTS_LOG_MAX)?;
    let mut bits = Backward::new(stream)?;
    let mut state = table.begin(&mut bits);
    let mut other = table.begin(&mut bits);
    let mut weights = Vec::new();
    while weights.len() < SYMBOLS_MAX {
        weights.push(table.symbol(state)?);
        let next = table.next(state, &mut bits)?;
        if bits.left() < 0 {
            weights.push(table.symbol(other)?);
            return Some(weights);
        }
        (state, other) = (other, next);
    }
    None
}
