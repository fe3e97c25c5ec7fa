//! What TLS the connections between two nodes carried.

use alaz_model::{Role, TlsFacts};
use compact_str::format_compact;

use crate::StatusMix;

/// The TLS of one client's connections to one server's port in one period. Each mix counts
/// connections of which that is known, by name, and is bounded as [`StatusMix`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsStats {
    /// Connections that carried TLS.
    pub connections: u64,
    /// Those of them inside which exchanges were read.
    pub read: u64,
    /// By version, such as `1.3`.
    pub versions: StatusMix,
    /// By cipher suite, as IANA names them.
    pub ciphers: StatusMix,
    /// By the name that the client asked for.
    pub server_names: StatusMix,
    /// By the application protocol that the server chose.
    pub protocols: StatusMix,
    /// By who gave up and why, such as `client: unknown_ca`.
    pub failures: StatusMix,
}

impl TlsStats {
    /// Adds one connection.
    pub(crate) fn record(&mut self, facts: &TlsFacts) {
        self.connections += 1;
        self.read += u64::from(facts.is_read);
        let handshake = &facts.handshake;
        if let Some(version) = handshake.version {
            self.versions.add(version.as_str(), 1);
        }
        if let Some(cipher) = handshake.cipher {
            self.ciphers.add(&cipher.name(), 1);
        }
        if let Some(name) = &handshake.server_name {
            self.server_names.add(name, 1);
        }
        if let Some(protocol) = &handshake.protocol {
            self.protocols.add(protocol, 1);
        }
        if let Some(failure) = handshake.failure {
            let by = if failure.by == Role::Server { "server" } else { "client" };
            self.failures.add(&format_compact!("{by}: {}", failure.as_str()), 1);
        }
    }

    /// Adds all of another period.
    pub(crate) fn merge(&mut self, other: &TlsStats) {
        self.connections += other.connections;
        self.read += other.read;
        self.versions.merge(&other.versions);
        self.ciphers.merge(&other.ciphers);
        self.server_names.merge(&other.server_names);
        self.protocols.merge(&other.protocols);
        self.failures.merge(&other.failures);
    }

    /// Bytes that it takes, itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let mixes =
            [&self.versions, &self.ciphers, &self.server_names, &self.protocols, &self.failures];
        size_of::<TlsStats>() + mixes.iter().map(|mix| mix.bytes()).sum::<usize>()
    }
}
