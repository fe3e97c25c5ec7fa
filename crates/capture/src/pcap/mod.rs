//! Capture files of tcpdump and Wireshark (.pcap, .pcapng) as a source of segments.
//!
//! In: packets. Out: [`PcapItem`]s, of which most are the same [`Event`]s that the kernel side
//! gives. Packets are seen on the wire and not at a socket, so each connection is told once, as
//! seen from one end: from the side that opened it, where its SYN is in the file.
//!
//! Stages, in the order of the data: `file` (with `classic` and `ng`, the two formats) gives
//! packets, `link`, `ip` and `transport` take off their headers, `fragments` puts IP fragments
//! together, `connections` tells connections apart, `order` puts the bytes of both
//! of a connection's directions (`side`) in order.
//!
//! Times are those in the file, ns since 1970: `Clock { unix_at_zero_ns: 0 }` goes with them.

mod assemble;
mod classic;
mod connections;
mod counters;
mod error;
mod file;
mod fragments;
mod ip;
mod link;
mod ng;
mod order;
mod part;
mod side;
mod table;
#[cfg(test)]
mod tests;
mod transport;

use std::fs::File;
use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;

use alaz_model::{ConnectionKey, Event};

pub use counters::{PcapCounters, TcpBytes};
pub use error::PcapError;
pub use file::is_pcap;

use assemble::Assembly;
use file::Packets;

/// How far an item's time may lie behind the latest packet before it, ns: packets may be out of
/// order in the file, and held until what is missing before them comes or is given up.
///
/// Within a connection, times never go back. Only when the file's clock does, by more than this,
/// do all times follow it ([`PcapCounters::clock_set_back`]).
pub const PCAP_LATENESS_NS: u64 = 1_000_000_000;

/// What a capture file tells.
#[derive(Clone, Copy, Debug)]
pub enum PcapItem<'a> {
    /// What the kernel side would have told too: a connection, its bytes, its end.
    Event(Event<'a>),
    /// A UDP datagram.
    Datagram(Datagram<'a>),
    /// A connection of which nothing more will be known.
    OutOfSight(OutOfSight),
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When it was captured, ns since 1970.
    pub time_ns: u64,
    /// Who sent it; IPv4-mapped IPv6 addresses are given as IPv4.
    pub source: SocketAddr,
    /// To whom, in the same form.
    pub destination: SocketAddr,
    /// Its bytes, as far as they were captured.
    pub payload: &'a [u8],
    /// How many there were.
    pub length: u32,
}

/// A connection was still open at the end of the file, when its addresses were used for another
/// one, or when the table of connections needed its place. Whether and how it ended is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfSight {
    /// Which connection.
    pub key: ConnectionKey,
    /// When, ns since 1970.
    pub time_ns: u64,
}

/// Where items go.
type Sink<'s> = dyn FnMut(PcapItem<'_>) + 's;

/// Reads a capture file from front to end.
pub struct PcapReader<R> {
    packets: Packets<R>,
    assembly: Assembly,
}

impl PcapReader<BufReader<File>> {
    /// Opens a file and tells its format by its first bytes.
    ///
    /// # Errors
    /// When it cannot be read, or is no capture file.
    pub fn open(path: &Path) -> Result<Self, PcapError> {
        Self::new(BufReader::with_capacity(1 << 20, File::open(path)?))
    }
}

impl<R: Read> PcapReader<R> {
    /// Reads the file's header.
    ///
    /// # Errors
    /// When `input` cannot be read, or is no capture file.
    pub fn new(input: R) -> Result<Self, PcapError> {
        Ok(PcapReader { packets: Packets::new(input)?, assembly: Assembly::new() })
    }

    /// Gives the whole file to `sink`.
    ///
    /// # Errors
    /// When the file is damaged or cut off. All before has been given then, and
    /// [`PcapReader::counters`] counts it.
    pub fn for_each(
        &mut self,
        mut sink: impl FnMut(PcapItem<'_>),
    ) -> Result<PcapCounters, PcapError> {
        while self.read_packet(&mut sink)? {}
        Ok(self.counters())
    }

    /// Reads one packet, and gives to `sink` what is known now: nothing, or one item or several.
    /// False at the end of the file, when all that was open has gone out of sight.
    ///
    /// # Errors
    /// When the file is damaged or cut off: the end of the file too.
    pub fn read_packet(&mut self, mut sink: impl FnMut(PcapItem<'_>)) -> Result<bool, PcapError> {
        let end = match self.packets.next() {
            Ok(Some(packet)) => {
                self.assembly.take(&packet, &mut sink);
                return Ok(true);
            }
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        self.assembly.finish(&mut sink);
        match (end, self.assembly.unread_link()) {
            (Ok(_), Some(link_type)) => Err(PcapError::LinkType { link_type }),
            (end, _) => end,
        }
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counters(&self) -> PcapCounters {
        PcapCounters { blocks_skipped: self.packets.blocks_skipped(), ..self.assembly.counters() }
    }
}
