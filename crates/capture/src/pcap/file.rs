//! The two file formats: which one it is, and packet after packet out of it.

use std::io::Read;

use super::classic::Classic;
use super::error::PcapError;
use super::ng::Ng;

/// No packet record or block is longer: the largest packets, of segmentation offload with
/// jumbograms, are a thirtieth of it.
pub(super) const LENGTH_MAX: u32 = 16 << 20;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Whether a file that begins with these bytes (four are enough) is for [`super::PcapReader`]: a
/// .pcap, a .pcapng, or a packed file, about which the reader says what to do.
#[must_use]
pub fn is_pcap(first: &[u8]) -> bool {
    first.starts_with(&GZIP)
        || first
            .first_chunk()
            .is_some_and(|magic| Classic::by_magic(*magic).is_some() || Ng::is_magic(*magic))
}

/// A packet as the file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Ns since 1970; none where the file does not say.
    pub(super) time_ns: Option<u64>,
    /// What its first bytes are, by the registry of tcpdump.org.
    pub(super) link_type: u32,
    /// As much of it as the file holds.
    pub(super) captured: &'a [u8],
    /// How many bytes it had on the wire; never less than were captured.
    pub(super) original: usize,
}

/// Numbers in the byte order of the machine that captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// A file being read from front to end.
pub(super) struct Input<R> {
    inner: R,
    /// Where the record or block being read begins: all before it is whole.
    start: u64,
    /// How far the file has been read.
    position: u64,
}

impl<R: Read> Input<R> {
    /// A record or block begins here.
    pub(super) fn begin(&mut self) {
        self.start = self.position;
    }

    /// As many bytes as the array has; `None` at the end of the file.
    pub(super) fn array_or_end<const N: usize>(&mut self) -> Result<Option<[u8; N]>, PcapError> {
        let mut array = [0; N];
        let mut filled = 0;
        while let Some(rest) = array.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.cut_off()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.position += N as u64;
        Ok(Some(array))
    }

    /// As many bytes as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PcapError> {
        self.array_or_end()?.ok_or_else(|| self.cut_off())
    }

    /// Fills `buffer` with the next `length` bytes. It grows with what is there, not with what the
    /// file claims.
    pub(super) fn bytes(&mut self, length: u32, buffer: &mut Vec<u8>) -> Result<(), PcapError> {
        buffer.clear();
        let read = self.inner.by_ref().take(u64::from(length)).read_to_end(buffer)?;
        self.position += read as u64;
        if read < length as usize { Err(self.cut_off()) } else { Ok(()) }
    }

    /// Passes over `length` bytes.
    pub(super) fn skip(&mut self, length: u32) -> Result<(), PcapError> {
        let mut rest = self.inner.by_ref().take(u64::from(length));
        let skipped = std::io::copy(&mut rest, &mut std::io::sink())?;
        self.position += skipped;
        if skipped < u64::from(length) { Err(self.cut_off()) } else { Ok(()) }
    }

    fn cut_off(&self) -> PcapError {
        PcapError::CutOff { whole: self.start }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> PcapError {
        PcapError::Damaged { at: self.start, what: what.into() }
    }
}

enum Format {
    Classic(Classic),
    Ng(Ng),
}

/// The packets of a file.
pub(super) struct Packets<R> {
    input: Input<R>,
    format: Format,
    buffer: Vec<u8>,
}

impl<R: Read> Packets<R> {
    /// Tells the format and reads the file's header.
    pub(super) fn new(inner: R) -> Result<Packets<R>, PcapError> {
        let mut input = Input { inner, start: 0, position: 0 };
        let magic = match input.array::<4>() {
            Ok(magic) => magic,
            Err(PcapError::CutOff { .. }) => return Err(PcapError::NotACapture),
            Err(other) => return Err(other),
        };
        let mut buffer = Vec::new();
        let format = if magic.starts_with(&GZIP) {
            return Err(PcapError::Compressed);
        } else if let Some(classic) = Classic::by_magic(magic) {
            Format::Classic(classic.header(&mut input)?)
        } else if Ng::is_magic(magic) {
            Format::Ng(Ng::first_section(&mut input, &mut buffer)?)
        } else {
            return Err(PcapError::NotACapture);
        };
        Ok(Packets { input, format, buffer })
    }

    /// The next packet; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, PcapError> {
        match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.input, &mut self.buffer),
            Format::Ng(ng) => ng.next(&mut self.input, &mut self.buffer),
        }
    }

    /// Blocks that were passed over.
    pub(super) fn blocks_skipped(&self) -> u64 {
        match &self.format {
            Format::Classic(_) => 0,
            Format::Ng(ng) => ng.skipped(),
        }
    }
}
