//! What became of an exporter's rows, counted by all of its threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alaz_model::{ExportLedger, ExportLoss, LeftOut};

/// Of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent: AtomicU64,
    retried: AtomicU64,
    queued: AtomicU64,
    lost: [AtomicU64; ExportLoss::ALL.len()],
    left_out: [AtomicU64; LeftOut::ALL.len()],
    pub(crate) is_stopped: AtomicBool,
}

impl Counters {
    pub(crate) fn queue(&self, rows: u64) {
        self.queued.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows that were queued arrived.
    pub(crate) fn send(&self, rows: u64) {
        self.sent.fetch_add(rows, Ordering::Relaxed);
        self.queued.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Rows that were queued are lost.
    pub(crate) fn lose_queued(&self, reason: ExportLoss, rows: u64) {
        self.lose(reason, rows);
        self.queued.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Rows were lost before they were queued.
    pub(crate) fn lose(&self, reason: ExportLoss, rows: u64) {
        self.lost[reason as usize].fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave_out(&self, reason: LeftOut) {
        self.left_out[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, exporter: &'static str) -> ExportLedger {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ExportLedger {
            exporter,
            sent: read(&self.sent),
            retried: read(&self.retried),
            queued: read(&self.queued),
            lost: ExportLoss::ALL.map(|reason| read(&self.lost[reason as usize])),
            left_out: LeftOut::ALL.map(|reason| read(&self.left_out[reason as usize])),
            is_stopped: self.is_stopped.load(Ordering::Relaxed),
        }
    }
}
