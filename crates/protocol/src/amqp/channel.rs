//! What is going on in one channel.

use std::collections::VecDeque;

use alaz_model::{Outcome, UnpairedReason};
use compact_str::CompactString;

use super::parse::BASIC_GET;
use super::pending::Pending;
use crate::dialogue::{Context, Side};

/// Deliveries remembered to find out whether their consumer acknowledges.
const UNSURE_MAX: usize = 64;

/// One channel; number 0 is the connection itself.
#[derive(Default)]
pub(super) struct Channel {
    /// Methods of the client that are to be answered, oldest first.
    pub(super) asked: VecDeque<Pending>,
    /// The client asked again before it was answered.
    pub(super) pipelines: bool,
    /// Something was lost after that: answers cannot be told apart any more.
    pub(super) is_adrift: bool,
    /// What client and server are saying that has content.
    saying: [Option<Content>; 2],
    pub(super) confirms: Confirms,
    /// What the client published and the server has not confirmed, by tag.
    pub(super) published: VecDeque<Pending>,
    /// What the server delivered and the client has not acknowledged, by tag.
    pub(super) delivered: VecDeque<Pending>,
    /// The tag of the last delivery, where every one of them was seen.
    pub(super) last_delivery: Option<u64>,
    /// Deliveries to consumers of which the beginning was not seen.
    pub(super) unsure: VecDeque<(u64, CompactString)>,
    /// The queue that was declared last: the one that is meant by no name.
    pub(super) last_queue: CompactString,
    /// The server's closing of it.
    pub(super) closing: Option<Pending>,
}

/// Whether what is published gets confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Confirms {
    /// It was not asked for, as far as was seen.
    #[default]
    Off,
    /// The next publishing has this tag, where every one before was seen.
    On { next: Option<u64> },
}

/// A method whose content is being said.
pub(super) struct Content {
    pub(super) pending: Pending,
    /// So many bytes of the body are still to come, once the header has told.
    pub(super) left: Option<u64>,
}

impl Channel {
    /// One that is being opened.
    pub(super) fn opened() -> Channel {
        Channel { last_delivery: Some(0), ..Channel::default() }
    }

    pub(super) fn saying(&mut self, side: Side) -> &mut Option<Content> {
        let [client, server] = &mut self.saying;
        match side {
            Side::Client => client,
            Side::Server => server,
        }
    }

    /// An acknowledgement comes while what it is for, or may be for, is still being read. When that
    /// is waited for in `vain`, nobody can say what became of it.
    pub(super) fn is_unfinished(&mut self, side: Side, tag: u64, vain: bool) -> bool {
        match self.saying(side) {
            Some(Content { pending, .. }) if (1..=tag).contains(&pending.tag) => {
                if vain {
                    (pending.tag, pending.is_partial) = (0, true);
                }
                !vain
            }
            _ => false,
        }
    }

    /// Everything that is kept for later.
    pub(super) fn waiting(&self) -> usize {
        self.asked.len() + self.published.len() + self.delivered.len()
    }

    /// Takes out what an acknowledgement settles. Tag 0 with `multiple` means all.
    pub(super) fn settle(queue: &mut VecDeque<Pending>, tag: u64, multiple: bool) -> Vec<Pending> {
        let to = match tag {
            0 => queue.len(),
            _ => queue.partition_point(|pending| pending.tag <= tag),
        };
        if multiple {
            return queue.drain(..to).collect();
        }
        let found = to.checked_sub(1).filter(|&at| queue.get(at).is_some_and(|p| p.tag == tag));
        found.and_then(|at| queue.remove(at)).into_iter().collect()
    }

    /// A delivery to a consumer that nothing is known of.
    pub(super) fn remember_unsure(&mut self, tag: u64, consumer: CompactString) {
        if self.unsure.len() >= UNSURE_MAX {
            self.unsure.pop_front();
        }
        self.unsure.push_back((tag, consumer));
    }

    /// Something of what a side said is missing.
    pub(super) fn lose(
        &mut self,
        side: Side,
        reason: UnpairedReason,
        vhost: &str,
        context: &mut Context<'_>,
    ) {
        self.is_adrift |= self.pipelines;
        if let Some(content) = self.saying(side).take() {
            if content.pending.id == BASIC_GET {
                content.pending.report(Outcome::Partial, vhost, context);
            } else {
                context.exchanges.give_up(reason, 1);
            }
        }
        match side {
            Side::Client => {
                if let Confirms::On { next } = &mut self.confirms {
                    *next = None;
                }
                // They may have been acknowledged.
                for delivered in self.delivered.drain(..) {
                    delivered.report(Outcome::Partial, vhost, context);
                }
                // So may the closing.
                context.exchanges.give_up(reason, u64::from(self.closing.take().is_some()));
            }
            Side::Server => {
                self.last_delivery = None;
                let given_up = self.asked.drain(..).chain(self.published.drain(..));
                let given_up = given_up.filter(|pending| !pending.reported).count();
                context.exchanges.give_up(reason, given_up as u64);
            }
        }
    }

    /// It has ended: nothing in it will be answered. A delivery that was not acknowledged goes to
    /// somebody else.
    pub(super) fn end(&mut self, outcome: Outcome, vhost: &str, context: &mut Context<'_>) {
        let publishing = self.saying(Side::Client).take().map(|content| content.pending);
        let receiving = self.saying(Side::Server).take().map(|content| content.pending);
        let unanswered = self.asked.drain(..).chain(self.published.drain(..)).chain(publishing);
        for pending in unanswered.chain(self.closing.take()) {
            pending.report(outcome, vhost, context);
        }
        for delivered in self.delivered.drain(..) {
            delivered.report(Outcome::OneWay, vhost, context);
        }
        if let Some(receiving) = receiving {
            receiving.report(Outcome::Partial, vhost, context);
        }
    }
}
