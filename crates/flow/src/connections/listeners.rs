//! Who is known to listen where on this host.

use std::net::SocketAddr;
use std::sync::Arc;

use alaz_model::Process;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::facts::End;

/// How long after its last new connection a listener is believed to be there still.
const BELIEVED_NS: u64 = 600 * 1_000_000_000;

/// An address, and the network namespace in which it is that.
pub(super) type At = (SocketAddr, u32);

/// The process that did the I/O, its pid, and when that was first seen.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) pid: u32,
    pub(super) process: Option<Arc<Process>>,
    seen_ns: u64,
}

/// Listeners by address. Those that were learned from connections, not asked for.
pub(super) struct Listeners {
    limit: usize,
    by_address: HashMap<At, Listener, RandomState>,
}

impl Listeners {
    pub(super) fn new(limit: usize) -> Listeners {
        Listeners { limit, by_address: HashMap::default() }
    }

    /// This end is a server's, and its process is known now.
    pub(super) fn learn(&mut self, end: &End) {
        let at = (end.local, end.namespace);
        if self.by_address.len() >= self.limit && !self.by_address.contains_key(&at) {
            self.by_address.clear();
        }
        let process = end.process.clone();
        self.by_address.insert(at, Listener { pid: end.pid, process, seen_ns: end.active_ns });
    }

    pub(super) fn knows(&self, at: At) -> bool {
        self.by_address.contains_key(&at)
    }

    /// Who listens there, unless that was long ago.
    pub(super) fn find(&self, at: At, now_ns: u64) -> Option<Listener> {
        let found = self.by_address.get(&at)?;
        (now_ns.saturating_sub(found.seen_ns) < BELIEVED_NS).then(|| found.clone())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }
}
