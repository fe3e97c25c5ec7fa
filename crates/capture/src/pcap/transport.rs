//! TCP and UDP headers (RFC 9293 §3.1, RFC 768).

use super::part::{Part, Rejected};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// One TCP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp<'a> {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) sequence: u32,
    /// Where it acknowledges anything.
    pub(super) acknowledges: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: Part<'a>,
}

/// One UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp<'a> {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) payload: Part<'a>,
}

/// Reads a TCP header.
pub(super) fn open_tcp(packet: Part<'_>) -> Result<Tcp<'_>, Rejected> {
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, ..] =
        packet.head::<20>()?;
    let header = usize::from(offset >> 4) * 4;
    if header < 20 {
        return Err(Rejected::Malformed);
    }
    Ok(Tcp {
        source_port: u16::from_be_bytes([*s0, *s1]),
        destination_port: u16::from_be_bytes([*d0, *d1]),
        sequence: u32::from_be_bytes([*q0, *q1, *q2, *q3]),
        acknowledges: (flags & ACK != 0).then(|| u32::from_be_bytes([*a0, *a1, *a2, *a3])),
        syn: flags & SYN != 0,
        fin: flags & FIN != 0,
        rst: flags & RST != 0,
        payload: packet.after(header)?,
    })
}

/// Reads a UDP header.
pub(super) fn open_udp(packet: Part<'_>) -> Result<Udp<'_>, Rejected> {
    let [s0, s1, d0, d1, l0, l1, ..] = packet.head::<8>()?;
    let packet = match u16::from_be_bytes([*l0, *l1]) {
        // A jumbogram, or left to the sender's card.
        0 => packet,
        length => packet.limit(usize::from(length)),
    };
    Ok(Udp {
        source_port: u16::from_be_bytes([*s0, *s1]),
        destination_port: u16::from_be_bytes([*d0, *d1]),
        payload: packet.after(8)?,
    })
}
