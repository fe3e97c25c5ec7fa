//! Which agent tells the views of which clients, by the addresses of pods.

use std::net::IpAddr;

use alaz_model::Protocol;
use hashbrown::HashMap;

use super::SECOND_NS;

/// The most that are known at once: the pods of a cluster, in several protocols each.
const MOST: usize = 131_072;
/// How long after its last view an agent still counts as telling of a client.
const AROUND_NS: u64 = 60 * SECOND_NS;

/// Whether what was told last is near enough to that time.
pub(super) fn is_around(last_ns: u64, time_ns: u64) -> bool {
    last_ns + AROUND_NS >= time_ns
}

#[derive(Debug, Default)]
pub(super) struct Claims {
    known: HashMap<(IpAddr, Option<Protocol>), Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    agent: u32,
    last_ns: u64,
}

impl Claims {
    /// This agent tells of that client. Where there is no room, what was told last goes uncounted as a
    /// claim, and the views of both ends count.
    pub(super) fn claim(
        &mut self,
        client: IpAddr,
        protocol: Option<Protocol>,
        agent: u32,
        time_ns: u64,
    ) {
        let key = (client, protocol);
        if self.known.len() >= MOST && !self.known.contains_key(&key) {
            return;
        }
        let claim = self.known.entry(key).or_insert(Claim { agent, last_ns: time_ns });
        if time_ns >= claim.last_ns {
            *claim = Claim { agent, last_ns: time_ns };
        }
    }

    /// Who tells of that client around that time.
    pub(super) fn of(
        &self,
        client: IpAddr,
        protocol: Option<Protocol>,
        time_ns: u64,
    ) -> Option<u32> {
        let claim = self.known.get(&(client, protocol))?;
        is_around(claim.last_ns, time_ns).then_some(claim.agent)
    }

    pub(super) fn forget(&mut self, now_ns: u64) {
        if self.known.len() > MOST / 2 {
            let oldest_ns = now_ns.saturating_sub(AROUND_NS + super::MOST_AGE_NS);
            self.known.retain(|_, claim| claim.last_ns >= oldest_ns);
        }
    }
}
