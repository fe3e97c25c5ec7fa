//! The loss ledger: what was seen, what became of it, and why the rest was lost.
//!
//! For segments and bytes `seen = parsed + counted + lost` holds at every moment and per source.
//! Exchanges have no such sum (nobody knows how many there were), so theirs says how many were
//! reported and, by reason, how many requests or responses could not be paired.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Protocol, Source};

/// Why a segment or some of its bytes could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossReason {
    /// The ring between kernel and user side had no room.
    RingFull,
    /// The kernel's table of connections had no room.
    ConnectionTableFull,
    /// The kernel did not run the hook that would have seen it.
    HookMissed,
    /// The kernel could not read the application's buffer (its page was not in memory).
    Unreadable,
    /// Arrived after its place in the stream had been given up.
    Late,
    /// Its range overlaps another one's: two threads used the socket at once.
    Ambiguous,
    /// Needed, but longer than what is copied of a segment.
    Truncated,
    /// More bytes out of order than one connection may hold.
    BufferFull,
    /// The user side's table of connections had no room.
    TooManyConnections,
    /// Said inside TLS, and nothing tells on which connection.
    Unlinked,
    /// Alaz took more of the machine than it may, and left it unread.
    Guard,
}

impl LossReason {
    /// Every reason, in the order of the ledger.
    pub const ALL: [LossReason; 11] = [
        LossReason::RingFull,
        LossReason::ConnectionTableFull,
        LossReason::HookMissed,
        LossReason::Unreadable,
        LossReason::Late,
        LossReason::Ambiguous,
        LossReason::Truncated,
        LossReason::BufferFull,
        LossReason::TooManyConnections,
        LossReason::Unlinked,
        LossReason::Guard,
    ];

    /// Its name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LossReason::RingFull => "ring_full",
            LossReason::ConnectionTableFull => "connection_table_full",
            LossReason::HookMissed => "hook_missed",
            LossReason::Unreadable => "unreadable",
            LossReason::Late => "late",
            LossReason::Ambiguous => "ambiguous",
            LossReason::Truncated => "truncated",
            LossReason::BufferFull => "buffer_full",
            LossReason::TooManyConnections => "too_many_connections",
            LossReason::Unlinked => "unlinked",
            LossReason::Guard => "guard",
        }
    }
}

/// Why a request or a response was not reported as part of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnpairedReason {
    /// Bytes are missing before or inside it.
    Gap,
    /// The connection is older than Alaz: the other half went by before.
    MidStream,
    /// Overlapping ranges made it uncertain.
    Ambiguous,
    /// Its head was longer than what is copied.
    Truncated,
    /// More requests waiting on one connection, or over UDP, than are kept.
    TooManyPending,
    /// The verdict of the connection was withdrawn: these bytes were not this protocol.
    Withdrawn,
    /// A response that came when its request had been reported as never answered.
    Late,
    /// A response to a request that nobody was seen to make.
    Unasked,
}

impl UnpairedReason {
    /// Every reason, in the order of the ledger.
    pub const ALL: [UnpairedReason; 8] = [
        UnpairedReason::Gap,
        UnpairedReason::MidStream,
        UnpairedReason::Ambiguous,
        UnpairedReason::Truncated,
        UnpairedReason::TooManyPending,
        UnpairedReason::Withdrawn,
        UnpairedReason::Late,
        UnpairedReason::Unasked,
    ];

    /// Its name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            UnpairedReason::Gap => "gap",
            UnpairedReason::MidStream => "mid_stream",
            UnpairedReason::Ambiguous => "ambiguous",
            UnpairedReason::Truncated => "truncated",
            UnpairedReason::TooManyPending => "too_many_pending",
            UnpairedReason::Withdrawn => "withdrawn",
            UnpairedReason::Late => "late",
            UnpairedReason::Unasked => "unasked",
        }
    }
}

/// One quantity (segments, or bytes) of one source: what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Went through a parser.
    pub parsed: u64,
    /// Known not to be needed: bodies, TLS, connections of no known protocol.
    pub counted: u64,
    /// Of `counted`: of processes that were opted out of being looked at.
    pub opted_out: u64,
    lost: [u64; LossReason::ALL.len()],
}

impl Tally {
    /// Everything there was.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.parsed + self.counted + self.lost_total()
    }

    /// Lost for one reason.
    #[must_use]
    pub fn lost(&self, reason: LossReason) -> u64 {
        self.lost[reason as usize]
    }

    /// Lost for any reason.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Notes what is counted only, since its process was opted out.
    pub fn leave_out(&mut self, amount: u64) {
        self.counted += amount;
        self.opted_out += amount;
    }

    /// Notes a loss.
    pub fn lose(&mut self, reason: LossReason, amount: u64) {
        self.lost[reason as usize] += amount;
    }

    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Tally) {
        self.parsed += other.parsed;
        self.counted += other.counted;
        self.opted_out += other.opted_out;
        for (mine, theirs) in self.lost.iter_mut().zip(other.lost) {
            *mine += theirs;
        }
    }
}

/// Entries by name, those that are not zero.
struct NonZero<I>(I);

impl<I: Iterator<Item = (&'static str, u64)> + Clone> Serialize for NonZero<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone().filter(|(_, amount)| *amount > 0))
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lost = LossReason::ALL.iter().map(|reason| (reason.as_str(), self.lost(*reason)));
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("seen", &self.seen())?;
        out.serialize_entry("parsed", &self.parsed)?;
        out.serialize_entry("counted", &self.counted)?;
        if self.opted_out > 0 {
            out.serialize_entry("opted_out", &self.opted_out)?;
        }
        out.serialize_entry("lost", &NonZero(lost))?;
        out.end()
    }
}

/// Segments and bytes of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Segments.
    pub segments: Tally,
    /// Bytes.
    pub bytes: Tally,
}

/// What became of the views of exchanges: where both ends are on this host, there are two of each.
///
/// `seen = exchanges reported + own + joined + late + contradicted + waiting`, at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ViewLedger {
    /// Views that there were.
    pub seen: u64,
    /// Of exchanges of Alaz's own processes, which are not reported.
    pub own: u64,
    /// Second halves of an exchange, reported as one with the first.
    pub joined: u64,
    /// Second halves that came after the first was reported alone; not reported again.
    pub late: u64,
    /// Second halves that say otherwise than the first; not reported.
    pub contradicted: u64,
    /// Those that still wait for their other half.
    pub waiting: u64,
}

impl ViewLedger {
    /// Adds another ledger to this one.
    pub fn add(&mut self, other: &ViewLedger) {
        self.seen += other.seen;
        self.own += other.own;
        self.joined += other.joined;
        self.late += other.late;
        self.contradicted += other.contradicted;
        self.waiting += other.waiting;
    }
}

/// What became of requests and responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeLedger {
    /// Exchanges reported, each once.
    pub reported: u64,
    /// What became of the views that they are made of.
    pub views: ViewLedger,
    /// Those whose route was not learned from, since there was no room; the route is what the
    /// shape of its parts says.
    pub routes_unlearned: u64,
    unpaired: [u64; UnpairedReason::ALL.len()],
}

impl ExchangeLedger {
    /// Not paired for one reason.
    #[must_use]
    pub fn unpaired(&self, reason: UnpairedReason) -> u64 {
        self.unpaired[reason as usize]
    }

    /// Notes requests or responses that stay without their other half.
    pub fn give_up(&mut self, reason: UnpairedReason, amount: u64) {
        self.unpaired[reason as usize] += amount;
    }

    /// Adds another ledger to this one.
    pub fn add(&mut self, other: &ExchangeLedger) {
        self.reported += other.reported;
        self.views.add(&other.views);
        self.routes_unlearned += other.routes_unlearned;
        for (mine, theirs) in self.unpaired.iter_mut().zip(other.unpaired) {
            *mine += theirs;
        }
    }
}

impl Serialize for ExchangeLedger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unpaired =
            UnpairedReason::ALL.iter().map(|reason| (reason.as_str(), self.unpaired(*reason)));
        let mut out = serializer.serialize_map(Some(4))?;
        out.serialize_entry("reported", &self.reported)?;
        out.serialize_entry("unpaired", &NonZero(unpaired))?;
        out.serialize_entry("views", &self.views)?;
        out.serialize_entry("routes_unlearned", &self.routes_unlearned)?;
        out.end()
    }
}

/// Connections by what they turned out to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLedger {
    /// Open now.
    pub open: u64,
    /// Open now and seen to speak TLS, inside which nothing is known to be spoken.
    pub tls: u64,
    /// Open now and not known to speak anything.
    pub unknown: u64,
    /// Those whose facts were not told.
    pub untold: UntoldConnections,
    speaks: [u64; Protocol::ALL.len()],
}

/// Connections of which nothing was told when they were over, since the start, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UntoldConnections {
    /// Ends that there was no room for.
    pub too_many: u64,
    /// It is not known who opened them: they are older than Alaz.
    pub role_unknown: u64,
    /// Ends of which the close was not seen.
    pub unseen_end: u64,
    /// Alaz's own.
    pub own: u64,
    /// Ends at which a process was that is opted out.
    pub opted_out: u64,
}

impl UntoldConnections {
    /// Each reason and its count.
    #[must_use]
    pub fn by_reason(&self) -> [(&'static str, u64); 5] {
        [
            ("too_many", self.too_many),
            ("role_unknown", self.role_unknown),
            ("unseen_end", self.unseen_end),
            ("own", self.own),
            ("opted_out", self.opted_out),
        ]
    }

    fn add(&mut self, other: &UntoldConnections) {
        self.too_many += other.too_many;
        self.role_unknown += other.role_unknown;
        self.unseen_end += other.unseen_end;
        self.own += other.own;
        self.opted_out += other.opted_out;
    }
}

impl ConnectionLedger {
    /// Open now and proven to speak one protocol.
    #[must_use]
    pub fn speaks(&self, protocol: Protocol) -> u64 {
        self.speaks[protocol as usize]
    }

    /// Counts one that speaks this protocol.
    pub fn count(&mut self, protocol: Protocol) {
        self.speaks[protocol as usize] += 1;
    }

    /// Adds another ledger to this one.
    pub fn add(&mut self, other: &ConnectionLedger) {
        self.open += other.open;
        self.tls += other.tls;
        self.unknown += other.unknown;
        self.untold.add(&other.untold);
        for (mine, theirs) in self.speaks.iter_mut().zip(other.speaks) {
            *mine += theirs;
        }
    }

    /// Each verdict and how many connections have it; protocols that none speaks are left out.
    pub fn by_verdict(&self) -> impl Iterator<Item = (&'static str, u64)> + Clone + '_ {
        let speaks = Protocol::ALL
            .iter()
            .map(|protocol| (protocol.as_str(), self.speaks(*protocol)))
            .filter(|(name, amount)| *amount > 0 || *name == Protocol::Http.as_str());
        speaks.chain([("tls", self.tls), ("unknown", self.unknown)])
    }
}

impl Serialize for ConnectionLedger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ByVerdict<'a>(&'a ConnectionLedger);
        impl Serialize for ByVerdict<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.by_verdict())
            }
        }
        let mut out = serializer.serialize_map(Some(3))?;
        out.serialize_entry("open", &self.open)?;
        out.serialize_entry("by_verdict", &ByVerdict(self))?;
        out.serialize_entry("untold", &self.untold)?;
        out.end()
    }
}

/// What the kernel side counted by itself, before anything could be lost on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KernelCount {
    /// Calls of sockets and of TLS libraries that moved bytes.
    pub segments: u64,
    /// Bytes that they moved.
    pub bytes: u64,
}

/// The whole ledger: per source, and what became of the exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The kernel's own count of [`socket`](Ledger::socket) and [`tls`](Ledger::tls), which the ledger
    /// is not made from. Not where packets were read from a capture file, nor of a recording without
    /// its end.
    pub kernel: Option<KernelCount>,
    /// Socket calls.
    pub socket: Balance,
    /// TLS library calls.
    pub tls: Balance,
    /// Datagrams, each of which counts as a segment.
    pub datagram: Balance,
    /// Requests and responses.
    pub exchanges: ExchangeLedger,
    /// Connections.
    pub connections: ConnectionLedger,
}

impl Ledger {
    /// The balance of one source, to be written to.
    pub fn source_mut(&mut self, source: Source) -> &mut Balance {
        match source {
            Source::Socket => &mut self.socket,
            Source::Tls => &mut self.tls,
        }
    }

    /// Segments and bytes that the kernel counted and the ledger does not know of (negative: the
    /// other way round), where there is such a count. While Alaz runs these are on their way: in the
    /// ring, or held until their turn comes. In the end both are 0, or the ledger is wrong.
    #[must_use]
    pub fn unaccounted(&self) -> Option<(i64, i64)> {
        let kernel = self.kernel?;
        let difference = |kernel: u64, seen: u64| kernel.wrapping_sub(seen) as i64;
        Some((
            difference(kernel.segments, self.socket.segments.seen() + self.tls.segments.seen()),
            difference(kernel.bytes, self.socket.bytes.seen() + self.tls.bytes.seen()),
        ))
    }

    /// Adds another ledger (another shard's, say) to this one.
    pub fn add(&mut self, other: &Ledger) {
        if let Some(other) = other.kernel {
            let kernel = self.kernel.get_or_insert_default();
            kernel.segments += other.segments;
            kernel.bytes += other.bytes;
        }
        for (mine, theirs) in [
            (&mut self.socket, &other.socket),
            (&mut self.tls, &other.tls),
            (&mut self.datagram, &other.datagram),
        ] {
            mine.segments.add(&theirs.segments);
            mine.bytes.add(&theirs.bytes);
        }
        self.exchanges.add(&other.exchanges);
        self.connections.add(&other.connections);
    }
}

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Sources<'a> {
            socket: &'a Balance,
            tls: &'a Balance,
            datagram: &'a Balance,
        }
        let mut total = self.socket;
        for other in [&self.tls, &self.datagram] {
            total.segments.add(&other.segments);
            total.bytes.add(&other.bytes);
        }
        let entries = 5 + usize::from(self.kernel.is_some());
        let mut out = serializer.serialize_map(Some(entries))?;
        out.serialize_entry("segments", &total.segments)?;
        out.serialize_entry("bytes", &total.bytes)?;
        out.serialize_entry("exchanges", &self.exchanges)?;
        out.serialize_entry("connections", &self.connections)?;
        let Ledger { socket, tls, datagram, .. } = self;
        out.serialize_entry("sources", &Sources { socket, tls, datagram })?;
        if let Some(kernel) = &self.kernel {
            out.serialize_entry("kernel", kernel)?;
        }
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_index_their_own_slot() {
        for (index, protocol) in Protocol::ALL.iter().enumerate() {
            assert_eq!(*protocol as usize, index);
            assert_eq!(Protocol::from_name(protocol.as_str()), Some(*protocol));
        }
        let mut connections = ConnectionLedger { open: 3, unknown: 1, ..Default::default() };
        connections.count(Protocol::Redis);
        let json = serde_json::to_value(connections).unwrap();
        let expected = serde_json::json!({"http": 0, "redis": 1, "tls": 0, "unknown": 1});
        assert_eq!(json["by_verdict"], expected);
    }

    #[test]
    fn reasons_index_their_own_slot() {
        for (index, reason) in LossReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        for (index, reason) in UnpairedReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }

    #[test]
    fn what_only_the_kernel_counted_shows() {
        let mut ledger = Ledger::default();
        ledger.socket.segments.parsed = 3;
        ledger.socket.segments.lose(LossReason::RingFull, 2);
        ledger.socket.bytes.counted = 90;
        assert_eq!(ledger.unaccounted(), None);
        assert!(serde_json::to_value(ledger).unwrap().get("kernel").is_none());
        ledger.kernel = Some(KernelCount { segments: 5, bytes: 90 });
        assert_eq!(ledger.unaccounted(), Some((0, 0)));
        ledger.kernel = Some(KernelCount { segments: 6, bytes: 89 });
        assert_eq!(ledger.unaccounted(), Some((1, -1)));
        let mut both = ledger;
        both.add(&ledger);
        assert_eq!(both.unaccounted(), Some((2, -2)));
        assert_eq!(serde_json::to_value(both).unwrap()["kernel"]["segments"], 12);
    }

    #[test]
    fn json_sums_sources_and_leaves_out_zeroes() {
        let mut ledger = Ledger::default();
        ledger.socket.segments.parsed = 3;
        ledger.socket.segments.lose(LossReason::RingFull, 2);
        ledger.tls.segments.leave_out(1);
        ledger.datagram.segments.parsed = 2;
        ledger.exchanges.reported = 1;
        ledger.exchanges.give_up(UnpairedReason::Gap, 1);
        let json = serde_json::to_value(ledger).unwrap();
        assert_eq!(
            json["segments"],
            serde_json::json!({"seen": 8, "parsed": 5, "counted": 1, "opted_out": 1, "lost": {"ring_full": 2}})
        );
        assert_eq!(json["exchanges"]["reported"], 1);
        assert_eq!(json["exchanges"]["unpaired"], serde_json::json!({"gap": 1}));
        assert_eq!(json["exchanges"]["views"]["contradicted"], 0);
        assert_eq!(json["sources"]["tls"]["segments"]["seen"], 1);
        assert_eq!(json["sources"]["datagram"]["segments"]["seen"], 2);
        assert_eq!(json["connections"]["by_verdict"]["unknown"], 0);
    }
}
