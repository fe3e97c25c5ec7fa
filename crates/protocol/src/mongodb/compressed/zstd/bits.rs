//! Bits, from the first to the last and the other way round.

/// Reads from the lowest bit of the first byte on.
pub(super) struct Forward<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Forward<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Forward<'a> {
        Forward { bytes, at: 0 }
    }

    /// The next bits, 16 at most, which are not taken; beyond the end they are 0.
    pub(super) fn peek(&self, count: u32) -> u32 {
        (window(self.bytes, self.at) & ((1 << count) - 1)) as u32
    }

    /// `None` beyond the end.
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// The bytes after the one that the last bit that was taken is in.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at.div_ceil(8)..).unwrap_or_default()
    }
}

/// Reads from the end: the highest bit that is set in the last byte only marks it.
pub(super) struct Backward<'a> {
    bytes: &'a [u8],
    /// So many bits are left; fewer than none where more were taken than there were.
    left: i64,
}

impl<'a> Backward<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Backward<'a>> {
        let mark = bytes.last()?.checked_ilog2()?;
        Some(Backward { bytes, left: bytes.len() as i64 * 8 - 8 + i64::from(mark) })
    }

    /// The next bits, 32 at most; beyond the beginning they are 0.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.left -= i64::from(count);
        bits
    }

    pub(super) fn peek(&self, count: u32) -> u32 {
        let from = self.left - i64::from(count);
        let mask = (1_u64 << count) - 1;
        let bits = match usize::try_from(from) {
            Ok(from) => window(self.bytes, from),
            Err(_) if self.left <= 0 || from <= -64 => 0,
            Err(_) => window(self.bytes, 0) << from.unsigned_abs(),
        };
        (bits & mask) as u32
    }

    pub(super) fn skip(&mut self, count: u32) {
        self.left -= i64::from(count);
    }

    pub(super) fn left(&self) -> i64 {
        self.left
    }
}

/// 57 bits or more from this one on.
fn window(bytes: &[u8], at: usize) -> u64 {
    let from = bytes.get(at / 8..).unwrap_or_default();
    let bits = match from.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => super::little_endian(from),
    };
    bits >> (at % 8)
}
