//! Makes packets and capture files.

use std::net::{IpAddr, SocketAddr};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ETHERNET: u32 = 1;

/// A packet and when it was captured.
#[derive(Clone, Debug)]
pub(super) struct Captured {
    pub(super) time_ns: u64,
    pub(super) frame: Vec<u8>,
    /// Its length on the wire.
    pub(super) original: usize,
}

impl Captured {
    pub(super) fn new(time_ns: u64, frame: Vec<u8>) -> Captured {
        let original = frame.len();
        Captured { time_ns, frame, original }
    }
}

/// A TCP packet: flags as letters of "SAFRP".
pub(super) fn tcp(
    (source_port, destination_port): (u16, u16),
    flags: &str,
    sequence: u32,
    acknowledges: u32,
    payload: &[u8],
) -> Vec<u8> {
    let bits = [('F', 1), ('S', 2), ('R', 4), ('P', 8), ('A', 16)];
    let flags = bits.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, bit)| bit).sum();
    let mut packet = Vec::new();
    packet.extend(source_port.to_be_bytes());
    packet.extend(destination_port.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(acknowledges.to_be_bytes());
    // With twelve bytes of options (NOPs).
    packet.extend([8 << 4, flags, 1, 0, 0, 0, 0, 0]);
    packet.extend([1; 12]);
    packet.extend(payload);
    packet
}

pub(super) fn udp((source_port, destination_port): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(source_port.to_be_bytes());
    packet.extend(destination_port.to_be_bytes());
    packet.extend((payload.len() as u16 + 8).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

/// An IP packet of either version, by its addresses.
pub(super) fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => {
            ip4_fragment(source, destination, protocol, 0, (0, false), payload)
        }
        _ => ip6(source, destination, protocol, payload),
    }
}

/// A fragment of an IPv4 packet, at this offset, with more to come or not.
pub(super) fn ip4_fragment(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u16,
    (offset, more): (usize, bool),
    payload: &[u8],
) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) else {
        panic!("IPv4 addresses");
    };
    let mut packet = vec![0x45, 0];
    packet.extend((payload.len() as u16 + 20).to_be_bytes());
    packet.extend(identification.to_be_bytes());
    packet.extend((offset as u16 / 8 + (u16::from(more) << 13)).to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

/// An IPv6 packet; `next` may be an extension header that `payload` begins with.
pub(super) fn ip6(source: IpAddr, destination: IpAddr, next: u8, payload: &[u8]) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(octets(source));
    packet.extend(octets(destination));
    packet.extend(payload);
    packet
}

pub(super) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(ethertype(packet));
    frame.extend(packet);
    frame
}

pub(super) fn ethertype(packet: &[u8]) -> [u8; 2] {
    if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] }
}

/// A .pcap in microseconds, little-endian.
pub(super) fn pcap(link_type: u32, packets: &[Captured]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, link_type] {
        file.extend(word.to_le_bytes());
    }
    for packet in packets {
        file.extend(((packet.time_ns / 1_000_000_000) as u32).to_le_bytes());
        file.extend(((packet.time_ns % 1_000_000_000 / 1_000) as u32).to_le_bytes());
        file.extend((packet.frame.len() as u32).to_le_bytes());
        file.extend((packet.original as u32).to_le_bytes());
        file.extend(&packet.frame);
    }
    file
}

/// What a client and a server say to each other, a packet every millisecond.
#[derive(Clone)]
pub(super) struct Talk {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) packets: Vec<Captured>,
    pub(super) time_ns: u64,
}

impl Talk {
    pub(super) fn new() -> Talk {
        Talk {
            client: "10.0.0.1:4000".parse().unwrap(),
            server: "10.0.0.2:80".parse().unwrap(),
            packets: Vec::new(),
            time_ns: 0,
        }
    }

    /// With the handshake done, from the initial sequence numbers 1000 and 5000.
    pub(super) fn open() -> Talk {
        let mut talk = Talk::new();
        talk.client("S", 1000, 0, "").server("SA", 5000, 1001, "").client("A", 1001, 5001, "");
        talk
    }

    /// The client sends.
    pub(super) fn client(&mut self, flags: &str, seq: u32, ack: u32, payload: &str) -> &mut Talk {
        self.packet(self.client, self.server, flags, (seq, ack), payload.as_bytes())
    }

    /// The server sends.
    pub(super) fn server(&mut self, flags: &str, seq: u32, ack: u32, payload: &str) -> &mut Talk {
        self.packet(self.server, self.client, flags, (seq, ack), payload.as_bytes())
    }

    pub(super) fn packet(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        flags: &str,
        (seq, ack): (u32, u32),
        payload: &[u8],
    ) -> &mut Talk {
        let packet = tcp((source.port(), destination.port()), flags, seq, ack, payload);
        self.time_ns += 1_000_000;
        let frame = ethernet(&ip(source.ip(), destination.ip(), TCP, &packet));
        self.packets.push(Captured::new(self.time_ns, frame));
        self
    }

    /// Time passes.
    pub(super) fn wait_ms(&mut self, ms: u64) -> &mut Talk {
        self.time_ns += ms * 1_000_000;
        self
    }

    pub(super) fn pcap(&self) -> Vec<u8> {
        pcap(ETHERNET, &self.packets)
    }
}

/// Writes in one byte order or the other.
#[derive(Clone)]
pub(super) struct Bytes {
    big: bool,
    pub(super) out: Vec<u8>,
}

impl Bytes {
    pub(super) fn new(big: bool) -> Bytes {
        Bytes { big, out: Vec::new() }
    }

    pub(super) fn u16(mut self, number: u16) -> Bytes {
        self.out.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Bytes {
        self.out.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    pub(super) fn u64(mut self, number: u64) -> Bytes {
        self.out.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    /// Padded to a multiple of four.
    pub(super) fn padded(mut self, bytes: &[u8]) -> Bytes {
        self.out.extend(bytes);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Bytes {
        self.out.extend(bytes);
        self
    }

    /// A pcapng block.
    pub(super) fn block(self, kind: u32, body: Bytes) -> Bytes {
        let length = body.out.len() as u32 + 12;
        self.u32(kind).u32(length).bytes(&body.out).u32(length)
    }

    pub(super) fn section(self) -> Bytes {
        let body = Bytes::new(self.big).u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
        self.block(0x0a0d_0d0a, body)
    }

    pub(super) fn interface(self, link_type: u16, snap_length: u32, options: Bytes) -> Bytes {
        let body = Bytes::new(self.big).u16(link_type).u16(0).u32(snap_length);
        self.block(1, body.bytes(&options.out))
    }

    pub(super) fn enhanced(self, interface: u32, ticks: u64, frame: &[u8]) -> Bytes {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let length = frame.len() as u32;
        let body = Bytes::new(self.big).u32(interface).u32(high).u32(low).u32(length).u32(length);
        self.block(6, body.padded(frame))
    }
}
