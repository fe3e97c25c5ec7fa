//! What earlier commands have set for later ones.

use super::commands::{Effect, Replies, Subscriptions};

/// The state of a connection, as far as it shows. What was not seen to be set is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Session {
    /// The selected database.
    pub(super) database: Option<u32>,
    /// The one that a transaction will have selected.
    pub(super) queued_database: Option<u32>,
    /// Channels, patterns and shard channels subscribed to.
    subscriptions: Option<[u64; 3]>,
    /// Replies are RESP 3: pushes cannot be taken for replies.
    pub(super) is_resp3: bool,
    /// Between `MULTI` and its end, as the client says it.
    is_queueing: bool,
    replies: Replies,
}

impl Session {
    /// That of a new connection.
    pub(super) fn new() -> Session {
        Session { database: Some(0), subscriptions: Some([0; 3]), ..Session::default() }
    }

    /// That of a connection of which the beginning was not seen.
    pub(super) fn unknown() -> Session {
        Session::default()
    }

    /// What is left of it when commands were missed. The version of the replies shows in them.
    pub(super) fn forget(self) -> Session {
        Session { is_resp3: self.is_resp3, ..Session::default() }
    }

    /// Whether messages may be published to this connection.
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscriptions.is_none_or(|counts| counts.iter().any(|count| *count > 0))
    }

    /// The client says a command: whether it is to be answered. `None` where nobody can say what
    /// will be answered from here on.
    pub(super) fn expects_reply(&mut self, effect: Effect) -> Option<bool> {
        let was_queueing = self.is_queueing;
        match effect {
            Effect::Multi => self.is_queueing = true,
            Effect::Exec | Effect::Discard | Effect::Reset => self.is_queueing = false,
            // Done when the transaction is, in the middle of its reply.
            Effect::Replies(_)
            | Effect::Subscribe { .. }
            | Effect::Unsubscribe { .. }
            | Effect::Monitor
            | Effect::Replicate { .. }
                if was_queueing =>
            {
                return None;
            }
            _ => {}
        }
        let expects = match (self.replies, effect) {
            (_, Effect::Replies(Replies::On)) => {
                self.replies = Replies::On;
                true
            }
            (Replies::On, Effect::Replies(mode)) => {
                self.replies = mode;
                false
            }
            (_, Effect::Replies(Replies::Off)) => {
                self.replies = Replies::Off;
                false
            }
            (Replies::Skip, _) => {
                self.replies = Replies::On;
                false
            }
            (Replies::Off, _) | (_, Effect::Replicate { replies: false }) => false,
            (Replies::On, _) => true,
        };
        Some(expects)
    }

    /// How many confirmations the end of all subscriptions of a kind has.
    pub(super) fn confirmations(&self, of: Subscriptions) -> u64 {
        let counts = self.subscriptions.unwrap_or_default();
        counts.get(index(of)).copied().unwrap_or_default().max(1)
    }

    /// A confirmation tells how many subscriptions there are now: of channels and patterns together,
    /// or of shard channels.
    pub(super) fn confirmed(&mut self, word: &[u8], total: Option<u64>) {
        let (Some(counts), Some(total)) = (&mut self.subscriptions, total) else {
            self.subscriptions = None;
            return;
        };
        let of = match word.first() {
            Some(b'p') => Subscriptions::Patterns,
            Some(b's')
                if word.starts_with(b"ss")
                    || word.starts_with(b"su") && word.get(2) == Some(&b'n') =>
            {
                Subscriptions::Shards
            }
            _ => Subscriptions::Channels,
        };
        let [channels, patterns, shards] = *counts;
        let before = if of == Subscriptions::Shards { shards } else { channels + patterns };
        if let Some(count) = counts.get_mut(index(of)) {
            *count = (*count + total.saturating_sub(before).min(1))
                .saturating_sub(before.saturating_sub(total).min(1));
        }
    }
}

fn index(of: Subscriptions) -> usize {
    match of {
        Subscriptions::Channels => 0,
        Subscriptions::Patterns => 1,
        Subscriptions::Shards => 2,
    }
}
