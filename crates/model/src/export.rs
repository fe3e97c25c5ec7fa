//! What became of what an exporter was given.

/// Why a row never arrived at the system that it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportLoss {
    /// The exporter fell behind: counted in exchanges, of which no rows were made yet.
    Behind,
    /// The queue was full; what had waited longest went.
    QueueFull,
    /// Answered in a way that sending it again does not change.
    Rejected,
    /// Sent as often as is worth it, while others arrived.
    GivenUp,
    /// Its batch arrived, but this row was answered with an error.
    Refused,
    /// The backend asked for nothing more to be sent (status 402).
    Stopped,
    /// More records in one exchange than rows are made of.
    TooMany,
    /// Alaz ended, and there was no disk to keep it on.
    Ended,
    /// What was kept on disk could not be read back, or was for another backend.
    Unreadable,
}

impl ExportLoss {
    /// Every reason, in the order of the enumeration.
    pub const ALL: [ExportLoss; 9] = [
        ExportLoss::Behind,
        ExportLoss::QueueFull,
        ExportLoss::Rejected,
        ExportLoss::GivenUp,
        ExportLoss::Refused,
        ExportLoss::Stopped,
        ExportLoss::TooMany,
        ExportLoss::Ended,
        ExportLoss::Unreadable,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ExportLoss::Behind => "behind",
            ExportLoss::QueueFull => "queue_full",
            ExportLoss::Rejected => "rejected",
            ExportLoss::GivenUp => "given_up",
            ExportLoss::Refused => "refused",
            ExportLoss::Stopped => "stopped",
            ExportLoss::TooMany => "too_many",
            ExportLoss::Ended => "ended",
            ExportLoss::Unreadable => "unreadable",
        }
    }
}

/// Why an exchange is none for the other system, which has no word for it or counts it elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// Its protocol has no name there.
    Protocol,
    /// Its operation has no name there.
    Operation,
    /// Only its server was seen: it is the client's to tell.
    ServerView,
    /// It moved no records.
    NoRecords,
    /// It failed, and there is no way to say so.
    Failed,
}

impl LeftOut {
    /// Every reason, in the order of the enumeration.
    pub const ALL: [LeftOut; 5] = [
        LeftOut::Protocol,
        LeftOut::Operation,
        LeftOut::ServerView,
        LeftOut::NoRecords,
        LeftOut::Failed,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LeftOut::Protocol => "protocol",
            LeftOut::Operation => "operation",
            LeftOut::ServerView => "server_view",
            LeftOut::NoRecords => "no_records",
            LeftOut::Failed => "failed",
        }
    }
}

/// What became of an exporter's rows since the start: each one was sent, waits, or is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportLedger {
    /// Which exporter.
    pub exporter: &'static str,
    /// Rows that arrived.
    pub sent: u64,
    /// Batches that were sent again.
    pub retried: u64,
    /// Rows that wait, or are on their way.
    pub queued: u64,
    /// Rows that were lost, by [`ExportLoss::ALL`].
    pub lost: [u64; ExportLoss::ALL.len()],
    /// Exchanges of which no rows are made, by [`LeftOut::ALL`].
    pub left_out: [u64; LeftOut::ALL.len()],
    /// The backend wants nothing sent at present.
    pub is_stopped: bool,
}

impl ExportLedger {
    /// Rows that were lost for this reason.
    #[must_use]
    pub fn lost(&self, reason: ExportLoss) -> u64 {
        self.lost[reason as usize]
    }

    /// Exchanges of which no rows are made, for this reason.
    #[must_use]
    pub fn left_out(&self, reason: LeftOut) -> u64 {
        self.left_out[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_in_the_order_of_their_numbers() {
        let losses: Vec<_> = ExportLoss::ALL.iter().map(|reason| *reason as usize).collect();
        assert!(losses.into_iter().eq(0..ExportLoss::ALL.len()));
        let left_out: Vec<_> = LeftOut::ALL.iter().map(|reason| *reason as usize).collect();
        assert!(left_out.into_iter().eq(0..LeftOut::ALL.len()));
    }
}
