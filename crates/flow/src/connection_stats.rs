//! How the connections between two nodes went.

use alaz_model::{ConnectFailure, ConnectionEnd, ConnectionFacts};

use crate::{Histogram, TlsStats};

/// How the connections of one client to one server's port went in one period. A connection counts
/// when it is over, with all that happened on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Connections that were over.
    pub closed: u64,
    /// Those of them whose opening was seen.
    pub connects: u64,
    /// Connections that could not be opened, by the place of the reason in [`ConnectFailure::ALL`].
    pub failures: [u64; ConnectFailure::ALL.len()],
    /// Those that the client reset.
    pub client_resets: u64,
    /// Those that the server reset.
    pub server_resets: u64,
    /// Those that ended since the other end did not answer any more, or by another error.
    pub broken: u64,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Bytes that the client sent.
    pub sent_bytes: u64,
    /// Bytes that the server sent.
    pub received_bytes: u64,
    /// How long the handshake took.
    pub handshake: Histogram,
    /// The smoothed round-trip time at the end.
    pub round_trip: Histogram,
    /// The least round-trip time, ns.
    pub least_round_trip_ns: Option<u64>,
    /// Of those that carried TLS; `None` where none did.
    pub tls: Option<Box<TlsStats>>,
}

impl ConnectionStats {
    /// Adds one connection.
    pub fn record(&mut self, facts: &ConnectionFacts) {
        if let ConnectionEnd::NotOpened(reason) = facts.end {
            self.fail(reason, 1);
            return;
        }
        self.closed += 1;
        self.connects += u64::from(facts.duration_ns.is_some());
        match facts.end {
            ConnectionEnd::ResetByClient => self.client_resets += 1,
            ConnectionEnd::ResetByServer => self.server_resets += 1,
            ConnectionEnd::TimedOut | ConnectionEnd::Failed => self.broken += 1,
            ConnectionEnd::Finished | ConnectionEnd::NotOpened(_) => {}
        }
        self.retransmits += facts.retransmits;
        self.sent_bytes += facts.sent_bytes;
        self.received_bytes += facts.received_bytes;
        if let Some(handshake_ns) = facts.handshake_ns {
            self.handshake.record(handshake_ns);
        }
        if let Some(round_trip_ns) = facts.round_trip_ns {
            self.round_trip.record(round_trip_ns);
        }
        self.see_round_trip(facts.least_round_trip_ns);
        if let Some(tls) = &facts.tls {
            self.tls.get_or_insert_default().record(tls);
        }
    }

    /// Adds all of another period.
    pub fn merge(&mut self, other: &ConnectionStats) {
        self.merge_counts(other);
        self.handshake.merge(&other.handshake);
        self.round_trip.merge(&other.round_trip);
    }

    /// Adds all of another period but its histograms.
    pub fn merge_counts(&mut self, other: &ConnectionStats) {
        self.closed += other.closed;
        self.connects += other.connects;
        for (reason, count) in other.failures() {
            self.fail(reason, count);
        }
        self.client_resets += other.client_resets;
        self.server_resets += other.server_resets;
        self.broken += other.broken;
        self.retransmits += other.retransmits;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.see_round_trip(other.least_round_trip_ns);
        if let Some(tls) = &other.tls {
            self.tls.get_or_insert_default().merge(tls);
        }
    }

    /// Each reason, and how many connections could not be opened for it; zeroes too.
    pub fn failures(&self) -> impl Iterator<Item = (ConnectFailure, u64)> {
        ConnectFailure::ALL.into_iter().zip(self.failures)
    }

    /// Connections that were over, and those that could not be opened.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.closed + self.failures.iter().sum::<u64>()
    }

    /// Whether there were no connections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.closed == 0 && self.failures == [0; ConnectFailure::ALL.len()]
    }

    /// Sets all figures to zero and keeps the memory.
    pub fn clear(&mut self) {
        let (mut handshake, mut round_trip) =
            (std::mem::take(&mut self.handshake), std::mem::take(&mut self.round_trip));
        handshake.clear();
        round_trip.clear();
        *self = ConnectionStats { handshake, round_trip, ..ConnectionStats::default() };
    }

    fn fail(&mut self, reason: ConnectFailure, count: u64) {
        let counts = ConnectFailure::ALL.into_iter().zip(&mut self.failures);
        counts.filter(|(known, _)| *known == reason).for_each(|(_, known)| *known += count);
    }

    fn see_round_trip(&mut self, least_ns: Option<u64>) {
        let known = self.least_round_trip_ns.into_iter().chain(least_ns);
        self.least_round_trip_ns = known.min();
    }
}
