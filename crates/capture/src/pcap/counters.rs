//! What became of the packets and bytes of a capture.

/// Counts of one capture file so far.
///
/// Every packet ends in one place: `packets + reassembled = unknown_link + not_ip + cut_headers +
/// malformed + fragments + other_transport + tcp_packets + datagrams`. Checksums are never
/// verified, since on the sending host the network card fills them in after the capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcapCounters {
    /// Packets in the file.
    pub packets: u64,
    /// Blocks of a pcapng file that hold neither packets nor what is needed to read them.
    pub blocks_skipped: u64,
    /// Packets of which the capture kept only a part (the snap length).
    pub truncated: u64,
    /// Packets of a link layer that is not read.
    pub unknown_link: u64,
    /// Packets that carry no IP, such as ARP.
    pub not_ip: u64,
    /// Packets cut off inside their headers.
    pub cut_headers: u64,
    /// Packets whose headers contradict themselves.
    pub malformed: u64,
    /// Packets that are fragments of larger ones.
    pub fragments: u64,
    /// Those among `fragments` that did not become whole packets.
    pub fragments_lost: u64,
    /// Whole packets made of fragments, counted again as what they are.
    pub reassembled: u64,
    /// Packets of neither TCP nor UDP.
    pub other_transport: u64,
    /// TCP packets.
    pub tcp_packets: u64,
    /// UDP datagrams.
    pub datagrams: u64,
    /// Connections that came into sight.
    pub connections: u64,
    /// Connections forgotten while open, for want of room.
    pub connections_evicted: u64,
    /// TCP packets kept until the bytes before them, or those they answer, came or were given up.
    pub out_of_order: u64,
    /// Holes in a direction's stream that were given up.
    pub holes: u64,
    /// Bytes in those holes: sent, but not in the capture.
    pub missing_bytes: u64,
    /// TCP payload in the capture.
    pub bytes: TcpBytes,
    /// Times that the file's clock went back by more than [`super::PCAP_LATENESS_NS`].
    pub clock_set_back: u64,
}

/// What became of the TCP payload bytes of a capture.
///
/// At the end of the file, `seen = delivered + duplicate + late + after_close`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpBytes {
    /// On the wire, in packets of the capture; those that the snap length cut off included.
    pub seen: u64,
    /// Given on in segments.
    pub delivered: u64,
    /// Sent before: retransmissions, overlaps, keep-alives, packets captured twice.
    pub duplicate: u64,
    /// Lost: came after their place in the stream had been given up.
    pub late: u64,
    /// Lost: came after the end of their connection.
    pub after_close: u64,
}
