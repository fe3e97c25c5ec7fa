//! How much of everything is kept.

/// Bounds of the [`Engine`](crate::Engine); what goes beyond is counted by reason.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections known at once.
    pub connections: usize,
    /// Requests of one connection that wait for their response.
    pub pending: usize,
    /// Bytes of one direction that are kept while a message head is not complete.
    pub head_bytes: usize,
    /// Bytes of one direction that are kept out of order, or until the other direction is read.
    pub held_bytes: usize,
    /// The same over all connections, with message heads that are not complete and what is
    /// remembered of the segments they came in.
    pub held_bytes_total: usize,
    /// How far behind the watermark a segment may come (ns) before its place is given up.
    pub lateness_ns: u64,
    /// After this long (ns) a request counts as never answered. A response that comes after all is
    /// not reported a second time.
    pub silence_ns: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 65_536,
            pending: 256,
            head_bytes: 64 << 10,
            held_bytes: 256 << 10,
            held_bytes_total: 32 << 20,
            lateness_ns: 50_000_000,
            silence_ns: 15 * 60 * 1_000_000_000,
        }
    }
}
