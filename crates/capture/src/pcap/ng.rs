//! The pcapng file format (draft-ietf-opsawg-pcapng): blocks, of which some hold packets.

use std::io::Read;

use super::error::PcapError;
use super::file::{ByteOrder, Input, LENGTH_MAX, Packet};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const MAJOR_VERSION: u16 = 1;
/// Type and length before a block's body, and the length again behind it.
const FRAME: u32 = 12;
/// Captures have as many as the machine has interfaces.
const INTERFACES_MAX: usize = 65_536;

const OPTION_END: u16 = 0;
const OPTION_TIME_RESOLUTION: u16 = 9;
const OPTION_TIME_OFFSET: u16 = 14;

/// What the packets of one interface are made of.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u32,
    snap_length: u32,
    clock: Clock,
}

/// What an interface's time stamps count.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Parts of a second: a power of ten, or with the highest bit of two.
    resolution: u8,
    offset_s: i64,
}

impl Clock {
    const MICROSECONDS: Clock = Clock { resolution: 6, offset_s: 0 };

    fn unix_ns(self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks);
        let exponent = u32::from(self.resolution & 0x7f);
        let ns = if self.resolution & 0x80 != 0 {
            (ticks * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            ticks * 10_u128.pow(9 - exponent)
        } else {
            10_u128.checked_pow(exponent - 9).map_or(0, |divisor| ticks / divisor)
        };
        let offset = i128::from(self.offset_s) * 1_000_000_000;
        let ns = i128::try_from(ns).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
    }
}

/// A file in this format.
pub(super) struct Ng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    skipped: u64,
}

impl Ng {
    /// By the first four bytes, which read the same in both byte orders.
    pub(super) fn is_magic(magic: [u8; 4]) -> bool {
        u32::from_be_bytes(magic) == SECTION_HEADER
    }

    /// Reads the rest of the first block.
    pub(super) fn first_section(
        input: &mut Input<impl Read>,
        buffer: &mut Vec<u8>,
    ) -> Result<Ng, PcapError> {
        let mut ng = Ng { order: ByteOrder::Little, interfaces: Vec::new(), skipped: 0 };
        let length = input.array()?;
        ng.section(input, length, buffer)?;
        Ok(ng)
    }

    /// Blocks that were passed over.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    pub(super) fn next<'b>(
        &mut self,
        input: &mut Input<impl Read>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Packet<'b>>, PcapError> {
        let (time_ns, link_type, captured, original) = loop {
            input.begin();
            let Some(kind) = input.array_or_end::<4>()? else { return Ok(None) };
            let length = input.array()?;
            match self.order.u32(kind) {
                SECTION_HEADER => self.section(input, length, buffer)?,
                INTERFACE => {
                    self.body(input, length, buffer)?;
                    self.interface(input, buffer)?;
                }
                ENHANCED_PACKET => {
                    self.body(input, length, buffer)?;
                    break self.enhanced(input, buffer)?;
                }
                SIMPLE_PACKET => {
                    self.body(input, length, buffer)?;
                    break self.simple(input, buffer)?;
                }
                OBSOLETE_PACKET => {
                    self.body(input, length, buffer)?;
                    break self.obsolete(input, buffer)?;
                }
                _ => {
                    let body = self.body_length(input, length)?;
                    input.skip(body)?;
                    self.end(input, length)?;
                    self.skipped += 1;
                }
            }
        };
        let captured = buffer.get(captured).unwrap_or_default();
        let original = (original as usize).max(captured.len());
        Ok(Some(Packet { time_ns, link_type, captured, original }))
    }

    /// A section begins: byte order and interfaces are its own.
    fn section(
        &mut self,
        input: &mut Input<impl Read>,
        length: [u8; 4],
        buffer: &mut Vec<u8>,
    ) -> Result<(), PcapError> {
        let magic = input.array()?;
        self.order = match [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .find(|order| order.u32(magic) == BYTE_ORDER_MAGIC)
        {
            Some(order) => order,
            None => return Err(input.damaged("a section without byte order")),
        };
        self.interfaces.clear();
        let Some(rest) = self.body_length(input, length)?.checked_sub(4) else {
            return Err(input.damaged("a section header that is too short"));
        };
        if rest > LENGTH_MAX {
            return Err(input.damaged(format!("a section header of {rest} bytes")));
        }
        input.bytes(rest, buffer)?;
        self.end(input, length)?;
        let Some([v0, v1]) = buffer.first_chunk() else {
            return Err(input.damaged("a section header that is too short"));
        };
        match self.order.u16([*v0, *v1]) {
            MAJOR_VERSION => Ok(()),
            found => Err(PcapError::Version { found }),
        }
    }

    /// Reads a block to its end.
    fn body(
        &self,
        input: &mut Input<impl Read>,
        length: [u8; 4],
        buffer: &mut Vec<u8>,
    ) -> Result<(), PcapError> {
        let body = self.body_length(input, length)?;
        if body > LENGTH_MAX {
            return Err(input.damaged(format!("a packet of {body} bytes")));
        }
        input.bytes(body, buffer)?;
        self.end(input, length)
    }

    fn body_length(&self, input: &Input<impl Read>, length: [u8; 4]) -> Result<u32, PcapError> {
        let length = self.order.u32(length);
        match length.checked_sub(FRAME) {
            Some(body) if length.is_multiple_of(4) => Ok(body),
            _ => Err(input.damaged(format!("a block of {length} bytes"))),
        }
    }

    fn end(&self, input: &mut Input<impl Read>, length: [u8; 4]) -> Result<(), PcapError> {
        let repeated: [u8; 4] = input.array()?;
        if repeated == length {
            return Ok(());
        }
        let (first, second) = (self.order.u32(length), self.order.u32(repeated));
        Err(input.damaged(format!("a block of {first} bytes by its front and {second} by its end")))
    }

    fn interface(&mut self, input: &Input<impl Read>, body: &[u8]) -> Result<(), PcapError> {
        let Some(([l0, l1, _, _, s0, s1, s2, s3], options)) = body.split_first_chunk::<8>() else {
            return Err(input.damaged("an interface block that is too short"));
        };
        if self.interfaces.len() >= INTERFACES_MAX {
            return Err(input.damaged(format!("more than {INTERFACES_MAX} interfaces")));
        }
        self.interfaces.push(Interface {
            link_type: u32::from(self.order.u16([*l0, *l1])),
            snap_length: self.order.u32([*s0, *s1, *s2, *s3]),
            clock: self.clock(options),
        });
        Ok(())
    }

    fn clock(&self, mut options: &[u8]) -> Clock {
        let mut clock = Clock::MICROSECONDS;
        while let Some(([c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
            let code = self.order.u16([*c0, *c1]);
            let length = usize::from(self.order.u16([*l0, *l1]));
            let value = rest.get(..length).unwrap_or_default();
            match code {
                OPTION_END => break,
                OPTION_TIME_RESOLUTION => {
                    clock.resolution = value.first().copied().unwrap_or(clock.resolution);
                }
                OPTION_TIME_OFFSET => {
                    let offset = value.first_chunk().map_or(0, |bytes| self.order.u64(*bytes));
                    clock.offset_s = offset.cast_signed();
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        clock
    }

    fn enhanced(&self, input: &Input<impl Read>, body: &[u8]) -> Result<Found, PcapError> {
        let [interface, high, low, captured, original] = self.words(input, body)?;
        self.timed(input, body, interface, (high, low), captured, original)
    }

    fn obsolete(&self, input: &Input<impl Read>, body: &[u8]) -> Result<Found, PcapError> {
        let [_, high, low, captured, original] = self.words(input, body)?;
        let interface = body.first_chunk().map_or(0, |bytes| self.order.u16(*bytes));
        self.timed(input, body, u32::from(interface), (high, low), captured, original)
    }

    fn timed(
        &self,
        input: &Input<impl Read>,
        body: &[u8],
        interface: u32,
        (high, low): (u32, u32),
        captured: u32,
        original: u32,
    ) -> Result<Found, PcapError> {
        let Some(interface) = self.interfaces.get(interface as usize) else {
            return Err(input.damaged(format!("a packet of interface {interface}, which is none")));
        };
        const DATA: usize = 20;
        let end = DATA.saturating_add(captured as usize);
        if end > body.len() {
            return Err(input.damaged(format!("a packet of {captured} bytes in a shorter block")));
        }
        let time_ns = interface.clock.unix_ns(u64::from(high) << 32 | u64::from(low));
        Ok((Some(time_ns), interface.link_type, DATA..end, original))
    }

    fn simple(&self, input: &Input<impl Read>, body: &[u8]) -> Result<Found, PcapError> {
        let [original] = self.words(input, body)?;
        let Some(interface) = self.interfaces.first() else {
            return Err(input.damaged("a packet before any interface"));
        };
        const DATA: usize = 4;
        let limit = match interface.snap_length {
            0 => original,
            limit => original.min(limit),
        };
        let end = DATA.saturating_add(limit as usize).min(body.len());
        Ok((None, interface.link_type, DATA..end, original))
    }

    /// The first words of a block's body.
    fn words<const N: usize>(
        &self,
        input: &Input<impl Read>,
        body: &[u8],
    ) -> Result<[u32; N], PcapError> {
        let (chunks, _) = body.as_chunks::<4>();
        match chunks.first_chunk::<N>() {
            Some(words) => Ok(words.map(|word| self.order.u32(word))),
            None => Err(input.damaged("a packet block that is too short")),
        }
    }
}

/// Time, link type, where in the block the packet's bytes are, and its length on the wire.
type Found = (Option<u64>, u32, std::ops::Range<usize>, u32);
