//! From the link layer to IP. Link types by their numbers in the registry of tcpdump.org.

use super::part::{Part, Rejected};

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const RAW: [u32; 3] = [101, 12, 14];
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_SLL2: u32 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and what was used before the latter.
const ETHERTYPE_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

const AF_INET: u32 = 2;
/// Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
const AF_INET6: [u32; 4] = [10, 24, 28, 30];

/// An IP packet, as the link layer announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ip<'a> {
    V4(Part<'a>),
    V6(Part<'a>),
}

/// Takes off the link layer of a frame.
pub(super) fn open(link_type: u32, frame: Part<'_>) -> Result<Ip<'_>, Rejected> {
    match link_type {
        ETHERNET => {
            let [.., high, low] = frame.head::<14>()?;
            by_ethertype(u16::from_be_bytes([*high, *low]), frame.after(14)?)
        }
        LINUX_SLL => {
            let [.., high, low] = frame.head::<16>()?;
            by_ethertype(u16::from_be_bytes([*high, *low]), frame.after(16)?)
        }
        LINUX_SLL2 => {
            let [high, low, ..] = frame.head::<20>()?;
            by_ethertype(u16::from_be_bytes([*high, *low]), frame.after(20)?)
        }
        NULL | LOOP => {
            // NULL is in the byte order of whoever captured; families are small numbers.
            let family = u32::from_be_bytes(*frame.head()?);
            by_family(family.min(family.swap_bytes()), frame.after(4)?)
        }
        IPV4 => Ok(Ip::V4(frame)),
        IPV6 => Ok(Ip::V6(frame)),
        raw if RAW.contains(&raw) => {
            let [first] = frame.head()?;
            match first >> 4 {
                4 => Ok(Ip::V4(frame)),
                6 => Ok(Ip::V6(frame)),
                _ => Err(Rejected::NotIp),
            }
        }
        _ => Err(Rejected::UnknownLink),
    }
}

fn by_ethertype(mut ethertype: u16, mut rest: Part<'_>) -> Result<Ip<'_>, Rejected> {
    while ETHERTYPE_VLAN.contains(&ethertype) {
        let [_, _, high, low] = rest.head()?;
        ethertype = u16::from_be_bytes([*high, *low]);
        rest = rest.after(4)?;
    }
    match ethertype {
        ETHERTYPE_IPV4 => Ok(Ip::V4(rest)),
        ETHERTYPE_IPV6 => Ok(Ip::V6(rest)),
        _ => Err(Rejected::NotIp),
    }
}

fn by_family(family: u32, rest: Part<'_>) -> Result<Ip<'_>, Rejected> {
    match family {
        AF_INET => Ok(Ip::V4(rest)),
        family if AF_INET6.contains(&family) => Ok(Ip::V6(rest)),
        _ => Err(Rejected::NotIp),
    }
}
