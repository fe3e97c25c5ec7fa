//! DNS over UDP: questions and answers of all ends on this host, brought together.
//!
//! In: datagrams, as either end saw them. Out: exchanges, each once. Of one exchange there are up to
//! four observations: the client's process sends the question, the server's receives it, sends the
//! answer, and the client's receives that. They meet in one table, by the client's port, the number
//! of the question and the question itself, and by the addresses as far as both ends tell them: a
//! socket that is bound to no address in particular does not.
//!
//! * A question that comes again is the same exchange, for as long as it is not answered.
//! * An exchange is told when both ends saw it whole; or some time later, when the other end is not on
//!   this host, or did not see it. It is remembered for a while, so that what still comes of it does
//!   not count again.
//! * Within one end, an answer is never older than its question. Between the ends times say little:
//!   a datagram may be received before the call that sent it has ended.
//! * Nobody knows whether a datagram that was lost on the way to Alaz was an answer. So where the
//!   ledger tells of lost datagrams, a question may be told as unanswered that was not.
//!
//! Multicast DNS (RFC 6762) is only counted: who asks there asks nobody in particular, and who
//! answers may not have been asked.

mod entry;

use alaz_model::{
    Clock, Datagram, Direction, Exchange, Ledger, LossReason, ObservedBy, Outcome, UnpairedReason,
};
use hashbrown::HashMap;

use super::parse::{self, DnsMessage};
use crate::dialogue::Side;
use entry::{Entry, Heard, Seen};

/// Port of DNS servers (RFC 1035 §4.2).
const SERVER_PORT: u16 = 53;
/// Port of multicast DNS.
const MULTICAST_PORT: u16 = 5353;
/// Between two looks at everything that waits.
const SWEEP_NS: u64 = 50_000_000;
/// Exchanges that share port and number are few, unless somebody plays games.
const SAME_NUMBER_MAX: usize = 16;
const SECOND_NS: u64 = 1_000_000_000;

/// Bounds of [`Datagrams`].
#[derive(Clone, Copy, Debug)]
pub struct DatagramLimits {
    /// Exchanges that are waited for or remembered; questions beyond are counted by reason.
    pub exchanges: usize,
    /// A question counts as never answered this long (ns) after it was last asked.
    pub silence_ns: u64,
    /// The same after it was first asked, however often it is asked again.
    pub asking_ns: u64,
    /// How far behind the watermark an observation may come, ns.
    pub lateness_ns: u64,
    /// How long (ns) an end that is known to be on this host is waited for once the other is done.
    pub patience_ns: u64,
}

impl Default for DatagramLimits {
    fn default() -> DatagramLimits {
        DatagramLimits {
            exchanges: 32_768,
            silence_ns: 10 * SECOND_NS,
            asking_ns: 60 * SECOND_NS,
            lateness_ns: 50_000_000,
            patience_ns: SECOND_NS,
        }
    }
}

/// What every observation of an exchange has in common, whoever tells the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Number {
    client_port: u16,
    id: u16,
}

/// From datagrams to exchanges; see the module's page. Deterministic, and bounded by
/// [`DatagramLimits`].
pub struct Datagrams {
    limits: DatagramLimits,
    entries: HashMap<Number, Vec<Entry>, foldhash::fast::RandomState>,
    /// Entries, and those of them that were told.
    kept: usize,
    remembered: usize,
    /// When the first entry is due, at the earliest.
    due_ns: u64,
    swept_ns: u64,
    ledger: Ledger,
}

impl Datagrams {
    /// A table that has seen nothing.
    #[must_use]
    pub fn new(limits: DatagramLimits) -> Datagrams {
        Datagrams {
            limits,
            entries: HashMap::default(),
            kept: 0,
            remembered: 0,
            due_ns: u64::MAX,
            swept_ns: 0,
            ledger: Ledger::default(),
        }
    }

    /// Takes a datagram; an exchange that is complete by it goes to `out`.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, clock: &Clock, out: &mut Vec<Exchange>) {
        let Some((message, seen)) = self.read(datagram) else { return };
        let end = if (datagram.direction == Direction::Send) == message.answer.is_none() {
            Side::Client
        } else {
            Side::Server
        };
        let number = Number { client_port: seen.client.port(), id: message.id };
        match message.answer {
            None => self.ask(number, end, &message, &seen, clock, out),
            Some(_) => self.answer(number, end, message, &seen, clock, out),
        }
    }

    /// Books a datagram that is not to be read. What is waited for should be ended by
    /// [`Datagrams::finish`] before: the answer may be among such.
    pub fn leave_unread(&mut self, datagram: &Datagram<'_>) {
        let (balance, length) = (&mut self.ledger.datagram, u64::from(datagram.length));
        if is_dns(datagram) {
            balance.segments.lose(LossReason::Guard, 1);
            balance.bytes.lose(LossReason::Guard, length);
        } else {
            balance.segments.counted += 1;
            balance.bytes.counted += length;
        }
    }

    /// Everything before `watermark_ns` has been given: tells what has waited long enough.
    pub fn advance(&mut self, watermark_ns: u64, clock: &Clock, out: &mut Vec<Exchange>) {
        if watermark_ns >= self.due_ns && watermark_ns >= self.swept_ns.saturating_add(SWEEP_NS) {
            self.swept_ns = watermark_ns;
            self.sweep(watermark_ns, clock, out);
        }
    }

    /// Nothing more will come. Questions that are still being answered are not reported.
    pub fn finish(&mut self, clock: &Clock, out: &mut Vec<Exchange>) {
        let mut left: Vec<Entry> = self.entries.drain().flat_map(|(_, entries)| entries).collect();
        left.sort_by_key(Entry::started_ns);
        for entry in left {
            if entry.is_answered() || !entry.is_asked() {
                self.tell(&entry, clock, out);
            }
        }
        (self.kept, self.remembered, self.due_ns) = (0, 0, u64::MAX);
    }

    /// What became of everything that was given.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The message in a datagram and what is known around it, if it is DNS; books it.
    fn read(&mut self, datagram: &Datagram<'_>) -> Option<(DnsMessage, Seen)> {
        let balance = &mut self.ledger.datagram;
        let length = u64::from(datagram.length);
        let is_cut = datagram.head.len() < datagram.length as usize;
        if !is_dns(datagram) {
            balance.segments.counted += 1;
            balance.bytes.counted += length;
            return None;
        }
        let message = parse::message(datagram.head);
        let seen = message.as_ref().and_then(|message| Seen::of(datagram, message));
        let lost = match (&message, &seen) {
            // Who asks stands in the application's memory too.
            (Some(_), None) if datagram.remote.is_none() => Some(LossReason::Unreadable),
            (None, _) if datagram.head.is_empty() && is_cut => Some(LossReason::Unreadable),
            (None, _) if is_cut => Some(LossReason::Truncated),
            _ => None,
        };
        match (lost, &seen) {
            (Some(reason), _) => {
                balance.segments.lose(reason, 1);
                balance.bytes.lose(reason, length);
            }
            (None, None) => {
                balance.segments.counted += 1;
                balance.bytes.counted += length;
            }
            (None, Some(_)) => {
                let parsed = (datagram.head.len() as u64).min(length);
                balance.segments.parsed += 1;
                balance.bytes.parsed += parsed;
                balance.bytes.counted += length - parsed;
            }
        }
        message.zip(seen)
    }

    fn ask(
        &mut self,
        number: Number,
        end: Side,
        message: &DnsMessage,
        seen: &Seen,
        clock: &Clock,
        out: &mut Vec<Exchange>,
    ) {
        let entries = self.entries.get_mut(&number).map(Vec::as_mut_slice).unwrap_or_default();
        let mut over = None;
        for (index, entry) in entries.iter_mut().enumerate() {
            if !entry.agrees(end, seen) || !entry.asks(message) {
                continue;
            }
            match entry.ask(end, seen) {
                Heard::Taken => {
                    if entry.drop_older_answers() {
                        self.ledger.exchanges.give_up(UnpairedReason::Unasked, 1);
                    }
                    self.settle(number, index, clock, out);
                    return;
                }
                Heard::Another => over = Some(index),
            }
        }
        if let Some(index) = over {
            // The same words begin another exchange.
            self.remove(number, index, clock, out);
        }
        let Some(mut entry) = Entry::new(message, seen) else { return };
        entry.ask(end, seen);
        self.insert(number, entry);
    }

    fn answer(
        &mut self,
        number: Number,
        end: Side,
        message: DnsMessage,
        seen: &Seen,
        clock: &Clock,
        out: &mut Vec<Exchange>,
    ) {
        let entries = self.entries.get_mut(&number).map(Vec::as_mut_slice).unwrap_or_default();
        let mut fits = entries.iter_mut().enumerate().filter(|(_, entry)| {
            entry.agrees(end, seen) && entry.is_answered_by(end, &message, seen)
        });
        let first = fits.next();
        // An answer without the question in it can be that to any of them.
        let is_ambiguous = message.question.is_none() && fits.next().is_some();
        match first {
            Some(_) if is_ambiguous => {
                self.ledger.exchanges.give_up(UnpairedReason::Ambiguous, 1);
            }
            Some((index, entry)) => {
                if entry.answer(end, message, seen) {
                    self.ledger.exchanges.give_up(UnpairedReason::Late, 1);
                }
                self.settle(number, index, clock, out);
            }
            // Maybe its question is still on its way.
            None => match Entry::new(&message, seen) {
                Some(mut entry) => {
                    entry.answer(end, message, seen);
                    self.insert(number, entry);
                }
                None => self.ledger.exchanges.give_up(UnpairedReason::Unasked, 1),
            },
        }
    }

    fn insert(&mut self, number: Number, entry: Entry) {
        if self.kept >= self.limits.exchanges {
            self.forget();
        }
        let reason = match entry.is_asked() {
            true => UnpairedReason::TooManyPending,
            false => UnpairedReason::Unasked,
        };
        let is_full = self.kept >= self.limits.exchanges;
        let same = self.entries.get(&number).map_or(0, Vec::len);
        if is_full || same >= SAME_NUMBER_MAX {
            self.ledger.exchanges.give_up(reason, 1);
            return;
        }
        self.due_ns = self.due_ns.min(entry.due_ns(&self.limits));
        self.kept += 1;
        self.entries.entry(number).or_insert_with(|| Vec::with_capacity(1)).push(entry);
    }

    /// Makes room by dropping all that was told, if that is enough for a while.
    fn forget(&mut self) {
        if self.remembered * 4 < self.limits.exchanges {
            return;
        }
        self.entries.retain(|_, entries| {
            entries.retain(|entry| !entry.is_told);
            !entries.is_empty()
        });
        self.kept -= self.remembered;
        self.remembered = 0;
    }

    /// Something was added to an entry: tells it if nothing more is to come.
    fn settle(&mut self, number: Number, index: usize, clock: &Clock, out: &mut Vec<Exchange>) {
        let entries = self.entries.get_mut(&number).map(Vec::as_mut_slice).unwrap_or_default();
        let Some(entry) = entries.get_mut(index) else { return };
        let whole = (entry.is_whole() && !entry.is_told).then(|| entry.clone());
        entry.is_told |= whole.is_some();
        self.due_ns = self.due_ns.min(entry.due_ns(&self.limits));
        if let Some(whole) = whole {
            self.remembered += 1;
            self.tell(&whole, clock, out);
        }
    }

    /// Takes an entry out, and tells it unless it was told.
    fn remove(&mut self, number: Number, index: usize, clock: &Clock, out: &mut Vec<Exchange>) {
        let Some(entries) = self.entries.get_mut(&number) else { return };
        if index >= entries.len() {
            return;
        }
        let entry = entries.swap_remove(index);
        if entries.is_empty() {
            self.entries.remove(&number);
        }
        self.kept -= 1;
        if entry.is_told {
            self.remembered -= 1;
        } else {
            self.tell(&entry, clock, out);
        }
    }

    /// Tells what is due, and forgets what was told long enough ago.
    fn sweep(&mut self, watermark_ns: u64, clock: &Clock, out: &mut Vec<Exchange>) {
        let limits = self.limits;
        let mut due = Vec::new();
        let mut next_ns = u64::MAX;
        self.entries.retain(|_, entries| {
            entries.retain_mut(|entry| {
                if entry.due_ns(&limits) <= watermark_ns {
                    let was_told = entry.is_told;
                    if !was_told {
                        due.push(entry.clone());
                        entry.is_told = true;
                    }
                    let stays = !was_told && entry.is_asked();
                    self.kept -= usize::from(!stays);
                    self.remembered -= usize::from(was_told);
                    self.remembered += usize::from(stays);
                    if !stays {
                        return false;
                    }
                }
                next_ns = next_ns.min(entry.due_ns(&limits));
                true
            });
            !entries.is_empty()
        });
        self.due_ns = next_ns;
        due.sort_by_key(Entry::started_ns);
        for entry in due {
            self.tell(&entry, clock, out);
        }
    }

    fn tell(&mut self, entry: &Entry, clock: &Clock, out: &mut Vec<Exchange>) {
        if entry.is_told {
            return;
        }
        let outcome = if entry.is_answered() { Outcome::Complete } else { Outcome::NoResponse };
        match entry.exchange(outcome, clock) {
            Some(exchange) => {
                let is_both = exchange.observed_by == ObservedBy::Both;
                let views = &mut self.ledger.exchanges.views;
                views.seen += 1 + u64::from(is_both);
                views.joined += u64::from(is_both);
                out.push(exchange);
            }
            None => self.ledger.exchanges.give_up(UnpairedReason::Unasked, 1),
        }
    }
}

/// Whether it is to be read. Where only one end's address is known, the other may be a server's.
fn is_dns(datagram: &Datagram<'_>) -> bool {
    let local_port = datagram.local.port();
    match datagram.remote {
        Some(remote) => [local_port, remote.port()].contains(&SERVER_PORT),
        None => local_port != MULTICAST_PORT,
    }
}

#[cfg(test)]
mod tests;
