//! Header compression (RFC 7541): one direction's blocks in the order of the wire, also when the
//! first ones were missed.
//!
//! Indices into the dynamic table count from its newest entry. So what was inserted since joining is
//! found by every later index, and an index beyond it means an entry from before, which is
//! [`Field::Unknown`]. Fields end where they end whatever they refer to, so what comes after an
//! unknown one is still exact.
//!
//! The table never needs to be as small as the peer's: an entry that the peer has dropped is not
//! referred to any more. So sizes are only estimated, from below, and the settings that limit the
//! peer's table are not followed: it announces its own size in the block (§6.3).

mod field;
mod huffman;

use std::collections::VecDeque;

pub(super) use field::{Field, Name};

/// Entries of the static table (RFC 7541, appendix A).
const STATIC: usize = 61;
/// What an entry costs beside its text (RFC 7541 §4.1).
const ENTRY_COST: usize = 32;
/// Size of a table before anything else is said (RFC 9113 §6.5.2).
const SIZE_DEFAULT: usize = 4096;
/// No more is kept of a table, whatever its size: older entries become unknown.
const SIZE_MAX: usize = 64 << 10;
/// At so many bits the longest Huffman code word: a byte of it is this part of a byte of text.
const HUFFMAN_WORST: (usize, usize) = (8, 30);
/// A Huffman-coded name that matters is no longer than the name itself.
const NAME_MAX: usize = 12;
/// Kept for the next string.
const SCRATCH_KEPT: usize = 4096;

/// The bytes are no header block, or end in the middle of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// One direction's dynamic table, as far as it is known.
pub(super) struct Table {
    /// Newest first.
    inserted: VecDeque<Entry>,
    size: usize,
    size_max: usize,
    scratch: Vec<u8>,
}

struct Entry {
    field: Field,
    size: usize,
}

/// A string as it stands in a block.
#[derive(Clone, Copy)]
struct Text<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl Table {
    /// The table at the beginning of a connection: empty.
    pub(super) fn new() -> Table {
        Table { inserted: VecDeque::new(), size: 0, size_max: SIZE_DEFAULT, scratch: Vec::new() }
    }

    /// A table that may hold anything.
    pub(super) fn unknown() -> Table {
        Table { size_max: SIZE_MAX, ..Table::new() }
    }

    /// A block was missed, or part of one: what stands where cannot be told any more.
    pub(super) fn forget(&mut self) {
        self.inserted.clear();
        self.size = 0;
        self.size_max = SIZE_MAX;
    }

    /// Reads a whole block and shows its fields in order. Those shown before an error are right; the
    /// table is not any more.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        mut see: impl FnMut(&Field),
    ) -> Result<(), Broken> {
        let mut block = Block(block);
        let mut may_resize = true;
        while let Some(first) = block.peek() {
            match first {
                0x80.. => {
                    let index = block.integer(7)?;
                    self.with_field(index, &mut see)?;
                }
                0x40.. => {
                    let name = block.integer(6)?;
                    let (field, size) = self.literal(name, &mut block)?;
                    see(&field);
                    self.insert(field, size);
                }
                0x20.. if may_resize => {
                    self.size_max = block.integer(5)?.min(SIZE_MAX);
                    self.shrink();
                    continue;
                }
                // Sizes change at the beginning of a block only.
                0x20.. => return Err(Broken),
                _ => {
                    let name = block.integer(4)?;
                    see(&self.literal(name, &mut block)?.0);
                }
            }
            may_resize = false;
        }
        Ok(())
    }

    fn with_field(&self, index: usize, see: &mut impl FnMut(&Field)) -> Result<(), Broken> {
        match index.checked_sub(STATIC + 1) {
            Some(place) => {
                see(self.inserted.get(place).map_or(&Field::Unknown, |entry| &entry.field));
            }
            None if index == 0 => return Err(Broken),
            None => see(&Field::of_static(index)),
        }
        Ok(())
    }

    /// A field whose value, and perhaps its name, stand in the block; with the least that it takes
    /// in the table.
    fn literal(&mut self, name: usize, block: &mut Block<'_>) -> Result<(Field, usize), Broken> {
        let name = match name.checked_sub(STATIC + 1) {
            Some(place) => self.inserted.get(place).map_or(Name::Unknown, |e| e.field.name()),
            None if name == 0 => {
                let text = block.text()?;
                if text.bytes.len() <= NAME_MAX { Name::of(self.read(text)?) } else { Name::Other }
            }
            None => Name::of_static(name),
        };
        let value = block.text()?;
        Ok(match name {
            Name::Other => (Field::Other, value.length_at_least()),
            Name::Unknown => (Field::Unknown, value.length_at_least()),
            Name::Scheme => (Field::Scheme, value.length_at_least()),
            _ => {
                let value = self.read(value)?;
                (name.field(value), value.len())
            }
        })
    }

    fn read<'a>(&'a mut self, text: Text<'a>) -> Result<&'a [u8], Broken> {
        if !text.is_huffman {
            return Ok(text.bytes);
        }
        if self.scratch.capacity() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
        self.scratch.clear();
        huffman::decode(text.bytes, &mut self.scratch).ok_or(Broken)?;
        Ok(&self.scratch)
    }

    fn insert(&mut self, field: Field, text: usize) {
        let size = ENTRY_COST + text;
        self.inserted.push_front(Entry { field, size });
        self.size += size;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.size > self.size_max
            && let Some(oldest) = self.inserted.pop_back()
        {
            self.size -= oldest.size;
        }
    }
}

impl Text<'_> {
    fn length_at_least(&self) -> usize {
        let (worst, bits) = HUFFMAN_WORST;
        if self.is_huffman { self.bytes.len() * worst / bits } else { self.bytes.len() }
    }
}

/// What is left of a block.
struct Block<'a>(&'a [u8]);

impl<'a> Block<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken)?;
        self.0 = rest;
        Ok(*first)
    }

    /// RFC 7541 §5.1.
    fn integer(&mut self, prefix_bits: u32) -> Result<usize, Broken> {
        let mask = (1_u8 << prefix_bits) - 1;
        let prefix = self.next()? & mask;
        let mut value = usize::from(prefix);
        if prefix < mask {
            return Ok(value);
        }
        // Four more bytes reach far beyond any block.
        for shift in [0, 7, 14, 21] {
            let byte = self.next()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    /// RFC 7541 §5.2.
    fn text(&mut self) -> Result<Text<'a>, Broken> {
        let is_huffman = self.peek().ok_or(Broken)? & 0x80 != 0;
        let length = self.integer(7)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(Text { bytes, is_huffman })
    }
}

#[cfg(test)]
mod tests;
