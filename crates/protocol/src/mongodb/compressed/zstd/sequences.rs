//! Sequences: so many literals, then a copy of what came before (RFC 8878 §3.1.1.3.2).

use super::bits::Backward;
use super::fse::Table;

/// The tables and offsets that the next block may use again.
pub(super) struct Sequences {
    /// Of literal lengths, offsets, match lengths.
    tables: [Option<Table>; 3],
    offsets: [usize; 3],
}

impl Default for Sequences {
    fn default() -> Sequences {
        Sequences { tables: [None, None, None], offsets: [1, 4, 8] }
    }
}

/// Longer tables are not used, as powers of two.
const LOG_MAX: [u32; 3] = [9, 8, 9];
/// Offsets have so many bits at most, or they reach too far.
const OFFSET_BITS_MAX: u8 = 31;

impl Sequences {
    /// Writes what a block's sequences mean, up to `limit` bytes in all.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        literals: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (count, rest) = count(bytes)?;
        let mut literals = literals;
        if count > 0 {
            let stream = self.read_tables(rest)?;
            self.copy(count, stream, &mut literals, limit, out)?;
        }
        let room = limit.saturating_sub(out.len());
        out.extend_from_slice(literals.get(..room).unwrap_or(literals));
        Some(())
    }

    /// Reads how the three kinds of codes are written. Returns what follows.
    fn read_tables<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (modes, mut rest) = bytes.split_first()?;
        for (kind, shift) in [6, 4, 2].into_iter().enumerate() {
            let slot = self.tables.get_mut(kind)?;
            let log_max = *LOG_MAX.get(kind)?;
            match modes >> shift & 3 {
                0 => *slot = Some(predefined(kind)?),
                1 => {
                    let (symbol, after) = rest.split_first()?;
                    (*slot, rest) = (Some(Table::of_one(*symbol)), after);
                }
                2 => {
                    let (table, after) = Table::read(rest, log_max)?;
                    (*slot, rest) = (Some(table), after);
                }
                // The same as in the block before.
                _ => {}
            }
        }
        Some(rest)
    }

    fn copy(
        &mut self,
        count: usize,
        stream: &[u8],
        literals: &mut &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let [Some(lengths), Some(offsets), Some(matches)] = &self.tables else { return None };
        let mut bits = Backward::new(stream)?;
        let mut length_state = lengths.begin(&mut bits);
        let mut offset_state = offsets.begin(&mut bits);
        let mut match_state = matches.begin(&mut bits);
        for at in 0..count {
            let offset_bits = offsets.symbol(offset_state)?;
            if offset_bits > OFFSET_BITS_MAX {
                return None;
            }
            let offset = (1_u32 << offset_bits) + bits.take(offset_bits.into());
            let (base, more) = match_length(matches.symbol(match_state)?)?;
            let match_length = (base + bits.take(more)) as usize;
            let (base, more) = literal_length(lengths.symbol(length_state)?)?;
            let length = (base + bits.take(more)) as usize;
            if at + 1 < count {
                length_state = lengths.next(length_state, &mut bits)?;
                match_state = matches.next(match_state, &mut bits)?;
                offset_state = offsets.next(offset_state, &mut bits)?;
            }
            if bits.left() < 0 {
                return None;
            }
            let offset = resolve(&mut self.offsets, offset as usize, length == 0)?;
            let (piece, after) = literals.split_at_checked(length)?;
            *literals = after;
            let room = limit.checked_sub(out.len())?;
            out.extend_from_slice(piece.get(..room).unwrap_or(piece));
            let room = limit.checked_sub(out.len())?;
            if room == 0 {
                *literals = &[];
                break;
            }
            let from = out.len().checked_sub(offset)?;
            // It may copy what it has just written.
            for at in from..from + match_length.min(room) {
                out.push(*out.get(at)?);
            }
        }
        Some(())
    }
}

/// How many sequences there are, and what follows.
fn count(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let first = usize::from(first);
    match first {
        0..128 => Some((first, rest)),
        128..255 => {
            let (&second, rest) = rest.split_first()?;
            Some((((first - 128) << 8) + usize::from(second), rest))
        }
        _ => {
            let (size, rest) = rest.split_first_chunk()?;
            Some((usize::from(u16::from_le_bytes(*size)) + 0x7f00, rest))
        }
    }
}

/// The first three values mean the latest offsets; without literals, those but the latest.
fn resolve(latest: &mut [usize; 3], value: usize, has_no_literals: bool) -> Option<usize> {
    let [first, second, third] = *latest;
    let (offset, next) = match (value + usize::from(has_no_literals), value) {
        (_, 4..) => (value - 3, [value - 3, first, second]),
        (1, _) => (first, *latest),
        (2, _) => (second, [second, first, third]),
        (3, _) => (third, [third, first, second]),
        _ => (first.checked_sub(1)?, [first.checked_sub(1)?, first, second]),
    };
    *latest = next;
    (offset > 0).then_some(offset)
}

/// The smallest length that a code means, and how many bits say how much longer it is.
fn literal_length(code: u8) -> Option<(u32, u32)> {
    let code = u32::from(code);
    match code {
        0..=15 => Some((code, 0)),
        16..=24 => {
            [(16, 1), (18, 1), (20, 1), (22, 1), (24, 2), (28, 2), (32, 3), (40, 3), (48, 4)]
                .get(code as usize - 16)
                .copied()
        }
        25..=35 => Some((1 << (code - 19), code - 19)),
        _ => None,
    }
}

fn match_length(code: u8) -> Option<(u32, u32)> {
    let code = u32::from(code);
    match code {
        0..=31 => Some((code + 3, 0)),
        32..=42 => [
            (35, 1),
            (37, 1),
            (39, 1),
            (41, 1),
            (43, 2),
            (47, 2),
            (51, 3),
            (59, 3),
            (67, 4),
            (83, 4),
            (99, 5),
        ]
        .get(code as usize - 32)
        .copied(),
        43..=52 => Some(((1 << (code - 36)) + 3, code - 36)),
        _ => None,
    }
}

/// The tables of which nothing is said (RFC 8878 §3.1.1.3.2.2).
fn predefined(kind: usize) -> Option<Table> {
    match kind {
        0 => Table::new(
            &[
                4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1,
                1, 1, 1, 1, -1, -1, -1, -1,
            ],
            6,
        ),
        1 => Table::new(
            &[
                1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1,
                -1, -1,
            ],
            5,
        ),
        _ => Table::new(
            &[
                1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
            ],
            6,
        ),
    }
}
