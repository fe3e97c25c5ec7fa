//! From which end the exchanges of an edge were seen, where several Alaz tell of one edge.

use std::net::{IpAddr, Ipv4Addr};

use alaz_model::ObservedBy;

/// Which ends were on the host that tells, and the addresses by which another host may know the
/// same exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sight {
    /// Both were: nobody else sees these.
    Both,
    /// Only the client's was.
    Client(Path),
    /// Only the server's was.
    Server(Path),
}

/// Two addresses as one end knows them. [`Path::UNKNOWN`] stands for those of hosts beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// The client's.
    pub client: IpAddr,
    /// The server's.
    pub server: IpAddr,
}

impl Path {
    /// An address that is not told.
    pub const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
}

impl Sight {
    /// Of what these ends saw between these addresses.
    #[must_use]
    pub fn of(observed_by: ObservedBy, path: Path) -> Sight {
        match observed_by {
            ObservedBy::Both => Sight::Both,
            ObservedBy::Client => Sight::Client(path),
            ObservedBy::Server => Sight::Server(path),
        }
    }

    /// The addresses, where only one end was seen.
    #[must_use]
    pub fn path(self) -> Option<Path> {
        match self {
            Sight::Both => None,
            Sight::Client(path) | Sight::Server(path) => Some(path),
        }
    }
}
