//! Whole packets out of IP fragments (RFC 791 §3.2, RFC 8200 §4.5).

use std::collections::HashMap;
use std::net::IpAddr;

use super::ip::{Carried, Fragment};

/// Packets being put together at once.
pub(super) const PENDING_MAX: usize = 256;
/// No packet is longer. Since offsets count eights of bytes, it has no more than 8,192 pieces.
const WHOLE_MAX: usize = 65_535;
/// How long hosts wait for a packet's rest (RFC 1122 §3.3.2 says 60 to 120 s, Linux does 30).
const PATIENCE_NS: u64 = 30_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

/// A packet of which some fragments have come.
struct Pending {
    since_ns: u64,
    pieces: u64,
    /// Contents, as far as any fragment reaches.
    bytes: Vec<u8>,
    /// What has come, ascending, apart from each other.
    have: Vec<(usize, usize)>,
    /// The sum of it.
    received: usize,
    /// Length of the whole, once the last fragment has come.
    length: Option<usize>,
    /// The capture cut a fragment here; what follows in `bytes` is not all true.
    captured: usize,
}

/// A packet put together.
pub(super) struct Whole {
    /// As far as it was captured.
    pub(super) captured: Vec<u8>,
    pub(super) length: usize,
}

/// Takes fragments and gives whole packets.
#[derive(Default)]
pub(super) struct Fragments {
    pending: HashMap<Key, Pending>,
    lost: u64,
}

impl Fragments {
    /// Takes one fragment; gives the packet that it completes.
    pub(super) fn take(
        &mut self,
        carried: &Carried<'_>,
        fragment: Fragment,
        now_ns: u64,
    ) -> Option<Whole> {
        let key = Key {
            source: carried.source,
            destination: carried.destination,
            protocol: carried.protocol,
            identification: fragment.identification,
        };
        let aged = |pending: &Pending| now_ns.saturating_sub(pending.since_ns) > PATIENCE_NS;
        if self.pending.get(&key).is_some_and(aged) {
            self.give_up(&key);
        }
        if self.pending.len() >= PENDING_MAX && !self.pending.contains_key(&key) {
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.since_ns);
            if let Some((&oldest, _)) = oldest {
                self.give_up(&oldest);
            }
        }
        let pending = self.pending.entry(key).or_insert_with(|| Pending::new(now_ns));
        pending.pieces += 1;
        if !pending.add(carried, fragment) {
            self.give_up(&key);
            return None;
        }
        let length = pending.whole()?;
        let mut captured = self.pending.remove(&key)?;
        captured.bytes.truncate(captured.captured.min(length));
        Some(Whole { captured: captured.bytes, length })
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self) {
        self.lost += self.pending.drain().map(|(_, pending)| pending.pieces).sum::<u64>();
    }

    /// Fragments that did not become whole packets.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn give_up(&mut self, key: &Key) {
        self.lost += self.pending.remove(key).map_or(0, |pending| pending.pieces);
    }
}

impl Pending {
    fn new(since_ns: u64) -> Pending {
        Pending {
            since_ns,
            pieces: 0,
            bytes: Vec::new(),
            have: Vec::new(),
            received: 0,
            length: None,
            captured: WHOLE_MAX,
        }
    }

    /// False when this fragment contradicts the others. One that overlaps them is that too: no
    /// honest sender cuts one packet in two ways (RFC 5722).
    fn add(&mut self, carried: &Carried<'_>, fragment: Fragment) -> bool {
        let part = carried.payload;
        let (start, end) = (fragment.offset, fragment.offset + part.length);
        if part.length == 0 || end > WHOLE_MAX || self.length.is_some_and(|length| end > length) {
            return false;
        }
        if fragment.last {
            let reached = self.have.last().map_or(0, |(_, end)| *end);
            if reached > end || self.length.is_some_and(|length| length != end) {
                return false;
            }
            self.length = Some(end);
        }
        let at = self.have.partition_point(|(other, _)| *other < start);
        if self.have.get(at).is_some_and(|range| *range == (start, end)) {
            // Captured or sent twice.
            return true;
        }
        let before = at.checked_sub(1).and_then(|before| self.have.get(before));
        let overlaps = before.is_some_and(|(_, other)| *other > start)
            || self.have.get(at).is_some_and(|(other, _)| *other < end);
        if overlaps {
            return false;
        }
        self.have.insert(at, (start, end));
        self.received += part.length;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(start..start + part.captured.len()) {
            place.copy_from_slice(part.captured);
        }
        if part.captured.len() < part.length {
            self.captured = self.captured.min(start + part.captured.len());
        }
        true
    }

    /// The length, when nothing is missing.
    fn whole(&self) -> Option<usize> {
        self.length.filter(|length| *length == self.received)
    }
}
