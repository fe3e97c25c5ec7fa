//! Which connections are Alaz's own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are remembered at once.
const MOST: usize = 256;
/// How long after its connection an address still means it: what was said on it may come late.
const LATE: Duration = Duration::from_secs(10);

/// The addresses from which exporters connect. The kernel side leaves Alaz's own calls out, but a
/// backend on this host has an end too, of which nothing else tells who is at the other one.
#[derive(Clone, Debug, Default)]
pub struct OwnClients {
    addresses: Arc<Mutex<VecDeque<Address>>>,
}

#[derive(Debug)]
struct Address {
    address: SocketAddr,
    closed: Option<Instant>,
}

impl OwnClients {
    /// Whether what comes from there is Alaz's own.
    #[must_use]
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.contains_at(address, Instant::now())
    }

    fn contains_at(&self, address: SocketAddr, now: Instant) -> bool {
        self.lock().iter().any(|own| own.address == address && own.is_meant(now))
    }

    /// What comes from there is Alaz's own until the guard goes, and a little longer.
    #[must_use]
    pub fn add(&self, address: SocketAddr) -> OwnClient {
        let mut addresses = self.lock();
        let now = Instant::now();
        addresses.retain(|own| own.is_meant(now));
        if addresses.len() >= MOST {
            addresses.pop_front();
        }
        addresses.push_back(Address { address, closed: None });
        OwnClient { clients: self.clone(), address }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Address {
    fn is_meant(&self, now: Instant) -> bool {
        self.closed.is_none_or(|closed| now.saturating_duration_since(closed) < LATE)
    }
}

/// A connection of Alaz's own, for as long as this lives.
#[derive(Debug)]
pub struct OwnClient {
    clients: OwnClients,
    address: SocketAddr,
}

impl Drop for OwnClient {
    fn drop(&mut self) {
        let mut addresses = self.clients.lock();
        let own = addresses.iter_mut().rev().find(|own| own.address == self.address);
        if let Some(own) = own {
            own.closed = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_own_while_open_and_a_little_longer() {
        let own = OwnClients::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 40_000));
        assert!(!own.contains(address));
        let guard = own.add(address);
        assert!(own.contains_at(address, Instant::now() + 2 * LATE));
        drop(guard);
        let now = Instant::now();
        assert!(own.contains_at(address, now));
        assert!(!own.contains_at(address, now + LATE));
    }

    #[test]
    fn addresses_are_bounded() {
        let own = OwnClients::default();
        let address = |port: usize| SocketAddr::from(([127, 0, 0, 1], port as u16));
        let guards: Vec<_> = (1..=MOST + 1).map(|port| own.add(address(port))).collect();
        assert!(!own.contains(address(1)) && own.contains(address(MOST + 1)));
        assert_eq!(own.lock().len(), MOST);
        drop(guards);
    }
}
