//! Why a capture file cannot be read, or not to its end.

/// A capture file could not be read. What stands before the fault has been delivered.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// Neither format.
    #[error("this is no capture file: give a .pcap or .pcapng, as tcpdump and Wireshark write")]
    NotACapture,
    /// Packed with gzip.
    #[error("the capture is compressed: unpack it with `gunzip` first")]
    Compressed,
    /// Another version of the format.
    #[error("the capture is of format version {found}: convert it with `editcap -F pcapng IN OUT`")]
    Version {
        /// What the file says.
        found: u16,
    },
    /// It ends in the middle of a packet or block.
    #[error(
        "the capture is cut off after byte {whole}; everything before has been read. Drop the \
         broken end with `truncate --size={whole} FILE`"
    )]
    CutOff {
        /// Bytes up to the last whole packet or block.
        whole: u64,
    },
    /// A packet record or block makes no sense.
    #[error(
        "the capture is damaged at byte {at}: {what}; everything before has been read. Keep that \
         with `truncate --size={at} FILE`, or capture again"
    )]
    Damaged {
        /// Where the record or block begins.
        at: u64,
        /// What is wrong with it.
        what: String,
    },
    /// No packet could be read for want of its link layer.
    #[error(
        "the capture's link type {link_type} is not read: capture on an Ethernet, loopback, raw IP \
         or the `any` interface"
    )]
    LinkType {
        /// Its number in the registry of tcpdump.org.
        link_type: u32,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
