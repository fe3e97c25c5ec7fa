//! From IP to what it carries (RFC 791, RFC 8200).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::link::Ip;
use super::part::{Part, Rejected};

const HOP_BY_HOP: u8 = 0;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// What an IP packet carries, and between whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried<'a> {
    /// IPv4-mapped addresses as IPv4.
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// The protocol of `payload`, or of the whole that `payload` is a fragment of.
    pub(super) protocol: u8,
    pub(super) payload: Part<'a>,
    pub(super) fragment: Option<Fragment>,
}

/// Which piece of a larger packet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Common to all fragments of one packet.
    pub(super) identification: u32,
    /// Of its first byte in the whole, in bytes.
    pub(super) offset: usize,
    /// It is the end of the whole.
    pub(super) last: bool,
}

/// Reads the IP header, and IPv6's extension headers.
pub(super) fn open(ip: Ip<'_>) -> Result<Carried<'_>, Rejected> {
    match ip {
        Ip::V4(packet) => open_v4(packet),
        Ip::V6(packet) => open_v6(packet),
    }
}

fn open_v4(packet: Part<'_>) -> Result<Carried<'_>, Rejected> {
    let [first, _, rest @ ..] = packet.head::<20>()?;
    let [high, low, id_high, id_low, flags, offset_low, _, protocol, _, _, addresses @ ..] = rest;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = *addresses;
    let header = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header < 20 {
        return Err(Rejected::Malformed);
    }
    // Zero: the sender's card will cut it up and fill in the length (segmentation offload).
    let total = match u16::from_be_bytes([*high, *low]) {
        0 => packet.length,
        total => usize::from(total),
    };
    // Frames are padded up to a minimum. A frame that is shorter than the packet it holds is damaged,
    // or was cut by a tool that hid it: its bytes are missing rather than guessed.
    let payload = packet.limit(total).after(header)?;
    let more = flags & 0x20 != 0;
    let offset = usize::from(u16::from_be_bytes([flags & 0x1f, *offset_low])) * 8;
    let fragment = (more || offset > 0).then(|| Fragment {
        identification: u32::from(u16::from_be_bytes([*id_high, *id_low])),
        offset,
        last: !more,
    });
    Ok(Carried {
        source: Ipv4Addr::new(s0, s1, s2, s3).into(),
        destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
        protocol: *protocol,
        payload,
        fragment,
    })
}

fn open_v6(packet: Part<'_>) -> Result<Carried<'_>, Rejected> {
    let [first, _, _, _, high, low, next, _, addresses @ ..] = packet.head::<40>()?;
    let (source, destination) = addresses.split_at(16);
    if first >> 4 != 6 {
        return Err(Rejected::Malformed);
    }
    let after = packet.after(40)?;
    // Zero: a jumbogram (RFC 2675), or left to the sender's card.
    let payload = match u16::from_be_bytes([*high, *low]) {
        0 => after,
        length => after.limit(usize::from(length)),
    };
    let address = |bytes: &[u8]| match bytes.first_chunk::<16>() {
        Some(bytes) => Ok(Ipv6Addr::from(*bytes).to_canonical()),
        None => Err(Rejected::Malformed),
    };
    let (protocol, payload, fragment) = skip_extensions(*next, payload)?;
    Ok(Carried {
        source: address(source)?,
        destination: address(destination)?,
        protocol,
        payload,
        fragment,
    })
}

/// Passes over IPv6 extension headers up to the transport, or to a fragment's piece. Each is at
/// least eight bytes long, so this ends.
pub(super) fn skip_extensions(
    mut next: u8,
    mut rest: Part<'_>,
) -> Result<(u8, Part<'_>, Option<Fragment>), Rejected> {
    loop {
        let header = match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                let [_, length] = rest.head()?;
                (usize::from(*length) + 1) * 8
            }
            AUTHENTICATION => {
                let [_, length] = rest.head()?;
                // At least eight, so that a length of zero moves on too.
                (usize::from(*length) + 2) * 4
            }
            FRAGMENT => {
                let [inner, _, high, low, identification @ ..] = rest.head::<8>()?;
                let field = u16::from_be_bytes([*high, *low]);
                let (offset, last) = (usize::from(field & 0xfff8), field & 1 == 0);
                if offset > 0 || !last {
                    let identification = u32::from_be_bytes(*identification);
                    let fragment = Fragment { identification, offset, last };
                    return Ok((*inner, rest.after(8)?, Some(fragment)));
                }
                8
            }
            _ => return Ok((next, rest, None)),
        };
        let [inner] = rest.head()?;
        next = *inner;
        rest = rest.after(header)?;
    }
}
