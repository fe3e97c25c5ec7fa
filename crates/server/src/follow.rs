//! Exchanges as they complete, for any number of readers, none of whom holds up the capture.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alaz_model::Exchange;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// The most exchanges in a batch, and the most batches that wait for the slowest reader.
pub(crate) const BATCH: usize = 256;
const BATCHES: usize = 64;
/// The most readers at once.
const READERS: usize = 32;

/// Some exchanges, and the number of the first of them, by which a reader knows what it missed.
#[derive(Debug)]
struct Batch {
    first: u64,
    exchanges: Vec<Arc<Exchange>>,
}

/// The sending side, of which there is one.
#[derive(Debug)]
pub(crate) struct Follow {
    sender: broadcast::Sender<Arc<Batch>>,
    sent: AtomicU64,
}

impl Default for Follow {
    fn default() -> Follow {
        Follow { sender: broadcast::Sender::new(BATCHES), sent: AtomicU64::new(0) }
    }
}

impl Follow {
    pub(crate) fn has_readers(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Sends these. Who does not keep up misses the oldest.
    pub(crate) fn send(&self, exchanges: Vec<Arc<Exchange>>) {
        let first = self.sent.fetch_add(exchanges.len() as u64, Ordering::Relaxed);
        // An error means that nobody listens any more.
        let _ = self.sender.send(Arc::new(Batch { first, exchanges }));
    }

    /// So many exchanges are not sent; readers are told.
    pub(crate) fn skip(&self, exchanges: u64) {
        self.sent.fetch_add(exchanges, Ordering::Relaxed);
        self.send(Vec::new());
    }

    /// A new reader, from now on; `None` when there are too many.
    pub(crate) fn reader(&self) -> Option<Reader> {
        if self.sender.receiver_count() >= READERS {
            return None;
        }
        let receiver = self.sender.subscribe();
        // Asked after subscribing: what is sent in between is not taken for missed.
        Some(Reader { receiver, next: self.sent.load(Ordering::Relaxed) })
    }
}

/// The receiving side.
#[derive(Debug)]
pub(crate) struct Reader {
    receiver: broadcast::Receiver<Arc<Batch>>,
    /// The number of the exchange that should come next.
    next: u64,
}

/// What a reader gets at once.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How many exchanges were missed before these.
    pub(crate) lost: u64,
    pub(crate) exchanges: Vec<Arc<Exchange>>,
}

impl Reader {
    /// Waits for exchanges and takes all that are there; `None` when none will come any more.
    pub(crate) async fn receive(&mut self) -> Option<Received> {
        let mut received = Received::default();
        loop {
            match self.receiver.recv().await {
                Ok(batch) => {
                    self.take(&batch, &mut received);
                    break;
                }
                // How many exchanges that are, the next batch says.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
        while received.exchanges.len() < BATCH {
            match self.receiver.try_recv() {
                Ok(batch) => self.take(&batch, &mut received),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(received)
    }

    fn take(&mut self, batch: &Batch, received: &mut Received) {
        received.lost += batch.first.saturating_sub(self.next);
        received.exchanges.extend(batch.exchanges.iter().cloned());
        self.next = batch.first + batch.exchanges.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    fn send(follow: &Follow, count: u64) {
        follow.send((0..count).map(|number| Arc::new(exchange(number))).collect());
    }

    #[tokio::test]
    async fn who_keeps_up_gets_everything() {
        let follow = Follow::default();
        send(&follow, 5);
        let mut reader = follow.reader().unwrap();
        send(&follow, 2);
        send(&follow, 1);
        let received = reader.receive().await.unwrap();
        assert_eq!((received.lost, received.exchanges.len()), (0, 3));
        drop(follow);
        assert!(reader.receive().await.is_none());
    }

    #[tokio::test]
    async fn who_does_not_is_told_how_many_are_missing() {
        let follow = Follow::default();
        let mut reader = follow.reader().unwrap();
        let batches = BATCHES as u64 + 10;
        for _ in 0..batches {
            send(&follow, 4);
        }
        let (mut lost, mut seen) = (0, 0);
        while lost + seen < batches * 4 {
            let received = reader.receive().await.unwrap();
            lost += received.lost;
            seen += received.exchanges.len() as u64;
        }
        assert_eq!((lost, seen), (40, BATCHES as u64 * 4));
    }

    #[tokio::test]
    async fn what_is_not_sent_is_told() {
        let follow = Follow::default();
        let mut reader = follow.reader().unwrap();
        send(&follow, 2);
        follow.skip(7);
        let received = reader.receive().await.unwrap();
        assert_eq!((received.lost, received.exchanges.len()), (7, 2));
        send(&follow, 1);
        let received = reader.receive().await.unwrap();
        assert_eq!((received.lost, received.exchanges.len()), (0, 1));
    }

    #[test]
    fn there_are_only_so_many_readers() {
        let follow = Follow::default();
        let readers: Vec<_> = (0..READERS).map(|_| follow.reader().unwrap()).collect();
        assert!(follow.reader().is_none());
        drop(readers);
        assert!(follow.reader().is_some() && !follow.has_readers());
    }
}
