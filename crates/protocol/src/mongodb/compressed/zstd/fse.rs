//! Finite state entropy (RFC 8878 §4.1).

use super::bits::{Backward, Forward};

/// No table has more symbols.
const SYMBOLS_MAX: usize = 256;

#[derive(Clone, Copy, Default)]
struct Entry {
    symbol: u8,
    bits: u8,
    base: u16,
}

/// What each state means.
#[derive(Clone, Default)]
pub(super) struct Table {
    log: u32,
    entries: Vec<Entry>,
}

impl Table {
    /// Reads how likely each symbol is, and gives back what follows.
    pub(super) fn read(bytes: &[u8], log_max: u32) -> Option<(Table, &[u8])> {
        let mut bits = Forward::new(bytes);
        let log = bits.peek(4) + 5;
        bits.skip(4)?;
        if log > log_max {
            return None;
        }
        let mut chances = Vec::new();
        let mut left = (1_i32 << log) + 1;
        while left > 1 {
            let width = 32 - (left as u32).leading_zeros();
            // The lowest values are written with one bit less.
            let short = (1_u32 << width) - 1 - left as u32;
            let low = bits.peek(width - 1);
            let value = if low < short {
                bits.skip(width - 1)?;
                low
            } else {
                let value = bits.peek(width);
                bits.skip(width)?;
                if value >= 1 << (width - 1) { value - short } else { value }
            };
            let chance = value as i32 - 1;
            left -= chance.abs();
            chances.push(chance as i16);
            // So many more have none either, and so on while it says three.
            let mut more = if chance == 0 { 3 } else { 0 };
            while more == 3 && chances.len() <= SYMBOLS_MAX {
                more = bits.peek(2);
                bits.skip(2)?;
                chances.resize(chances.len() + more as usize, 0);
            }
            if chances.len() > SYMBOLS_MAX {
                return None;
            }
        }
        if left != 1 {
            return None;
        }
        Some((Table::new(&chances, log)?, bits.rest()))
    }

    /// From how likely each symbol is, in parts of the table; -1 is less than one part.
    pub(super) fn new(chances: &[i16], log: u32) -> Option<Table> {
        let size = 1_usize << log;
        let mut entries = vec![Entry::default(); size];
        let mut high = size;
        for (symbol, _) in chances.iter().enumerate().filter(|(_, chance)| **chance == -1) {
            high = high.checked_sub(1)?;
            entries.get_mut(high)?.symbol = symbol as u8;
        }
        let step = (size >> 1) + (size >> 3) + 3;
        let mut at = 0;
        for (symbol, chance) in chances.iter().enumerate().filter(|(_, chance)| **chance > 0) {
            for _ in 0..*chance {
                entries.get_mut(at)?.symbol = symbol as u8;
                at = (at + step) & (size - 1);
                while at >= high && high > 0 {
                    at = (at + step) & (size - 1);
                }
            }
        }
        let mut next: Vec<u32> =
            chances.iter().map(|chance| u32::from(chance.unsigned_abs())).collect();
        for entry in &mut entries {
            let state = next.get_mut(usize::from(entry.symbol))?;
            let bits = log.checked_sub(state.checked_ilog2()?)?;
            entry.bits = bits as u8;
            entry.base = u16::try_from((*state << bits).checked_sub(size as u32)?).ok()?;
            *state += 1;
        }
        Some(Table { log, entries })
    }

    /// Every state means the same.
    pub(super) fn of_one(symbol: u8) -> Table {
        Table { log: 0, entries: vec![Entry { symbol, bits: 0, base: 0 }] }
    }

    /// The first state.
    pub(super) fn begin(&self, bits: &mut Backward<'_>) -> usize {
        bits.take(self.log) as usize
    }

    pub(super) fn symbol(&self, state: usize) -> Option<u8> {
        self.entries.get(state).map(|entry| entry.symbol)
    }

    /// The state after this one.
    pub(super) fn next(&self, state: usize, bits: &mut Backward<'_>) -> Option<usize> {
        let entry = self.entries.get(state)?;
        Some(usize::from(entry.base) + bits.take(u32::from(entry.bits)) as usize)
    }
}
