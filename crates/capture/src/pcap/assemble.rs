//! From packet to items: takes off the headers and hands each packet to what puts it together.

use std::net::SocketAddr;

use super::connections::{CONNECTIONS_MAX, Connections, TcpPacket};
use super::file::Packet;
use super::fragments::Fragments;
use super::ip::{self, Carried};
use super::link;
use super::order::Output;
use super::part::{Part, Rejected};
use super::transport::{open_tcp, open_udp};
use super::{Datagram, PCAP_LATENESS_NS, PcapCounters, PcapItem, Sink};

/// Everything between packets and items.
pub(super) struct Assembly {
    fragments: Fragments,
    connections: Connections,
    counters: PcapCounters,
    /// The latest time in the file.
    now_ns: u64,
    /// Of the last packet whose link layer is not read.
    unknown_link: Option<u32>,
}

impl Assembly {
    pub(super) fn new() -> Assembly {
        Assembly {
            fragments: Fragments::default(),
            connections: Connections::new(CONNECTIONS_MAX),
            counters: PcapCounters::default(),
            now_ns: 0,
            unknown_link: None,
        }
    }

    pub(super) fn counters(&self) -> PcapCounters {
        PcapCounters { fragments_lost: self.fragments.lost(), ..self.counters }
    }

    /// The link type of packets of which not one could be read.
    pub(super) fn unread_link(&self) -> Option<u32> {
        self.unknown_link.filter(|_| self.counters.unknown_link == self.counters.packets)
    }

    /// Takes the next packet of the file.
    pub(super) fn take(&mut self, packet: &Packet<'_>, sink: &mut Sink<'_>) {
        self.counters.packets += 1;
        self.counters.truncated += u64::from(packet.captured.len() < packet.original);
        let time_ns = packet.time_ns.unwrap_or(self.now_ns);
        self.tick(time_ns, sink);
        let frame = Part::new(packet.captured, packet.original);
        let counter = match self.open(packet.link_type, frame, time_ns, sink) {
            Ok(()) => return,
            Err(Rejected::UnknownLink) => {
                self.unknown_link = Some(packet.link_type);
                &mut self.counters.unknown_link
            }
            Err(Rejected::NotIp) => &mut self.counters.not_ip,
            Err(Rejected::CutHeaders) => &mut self.counters.cut_headers,
            Err(Rejected::Malformed) => &mut self.counters.malformed,
            Err(Rejected::OtherTransport) => &mut self.counters.other_transport,
        };
        *counter += 1;
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        self.fragments.finish();
        let mut out = Output { sink, counters: &mut self.counters, now_ns: self.now_ns };
        self.connections.finish(&mut out);
    }

    /// The file's clock moves.
    fn tick(&mut self, time_ns: u64, sink: &mut Sink<'_>) {
        let set_back = time_ns.saturating_add(PCAP_LATENESS_NS) < self.now_ns;
        if set_back {
            self.counters.clock_set_back += 1;
            let mut out = Output { sink, counters: &mut self.counters, now_ns: self.now_ns };
            self.connections.flush(&mut out);
            self.now_ns = time_ns;
        } else {
            self.now_ns = self.now_ns.max(time_ns);
            let mut out = Output { sink, counters: &mut self.counters, now_ns: self.now_ns };
            self.connections.advance(&mut out);
        }
    }

    fn open(
        &mut self,
        link_type: u32,
        frame: Part<'_>,
        time_ns: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), Rejected> {
        let carried = ip::open(link::open(link_type, frame)?)?;
        let Some(fragment) = carried.fragment else {
            return self.transport(&carried, time_ns, sink);
        };
        self.counters.fragments += 1;
        let Some(whole) = self.fragments.take(&carried, fragment, self.now_ns) else {
            return Ok(());
        };
        self.counters.reassembled += 1;
        let whole = Part::new(&whole.captured, whole.length);
        // With IPv6, more extension headers may have been inside.
        let (protocol, payload, fragment) = match carried.source {
            std::net::IpAddr::V6(_) => ip::skip_extensions(carried.protocol, whole)?,
            std::net::IpAddr::V4(_) => (carried.protocol, whole, None),
        };
        if fragment.is_some() {
            return Err(Rejected::Malformed);
        }
        self.transport(&Carried { protocol, payload, ..carried }, time_ns, sink)
    }

    fn transport(
        &mut self,
        carried: &Carried<'_>,
        time_ns: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), Rejected> {
        let addresses = |source_port, destination_port| {
            (
                SocketAddr::new(carried.source, source_port),
                SocketAddr::new(carried.destination, destination_port),
            )
        };
        match carried.protocol {
            ip::TCP => {
                let tcp = open_tcp(carried.payload)?;
                let (source, destination) = addresses(tcp.source_port, tcp.destination_port);
                self.counters.tcp_packets += 1;
                self.counters.bytes.seen += tcp.payload.length as u64;
                let mut out = Output { sink, counters: &mut self.counters, now_ns: self.now_ns };
                self.connections.take(&TcpPacket { source, destination, time_ns, tcp }, &mut out);
            }
            ip::UDP => {
                let udp = open_udp(carried.payload)?;
                let (source, destination) = addresses(udp.source_port, udp.destination_port);
                self.counters.datagrams += 1;
                sink(PcapItem::Datagram(Datagram {
                    time_ns,
                    source,
                    destination,
                    payload: udp.payload.captured,
                    length: udp.payload.length as u32,
                }));
            }
            _ => return Err(Rejected::OtherTransport),
        }
        Ok(())
    }
}
