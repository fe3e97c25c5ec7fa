//! The two ends of a row: who it comes from and whom it goes to.

use std::net::SocketAddr;

use alaz_model::Exchange;
use compact_str::{CompactString, ToCompactString};

use super::place::Place;
use crate::OpenConnection;

/// One end.
#[derive(Clone, Debug)]
pub(super) struct End {
    address: SocketAddr,
    place: Place,
}

/// Both, in the order of the row.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) from: End,
    pub(super) to: End,
}

/// Address, kind, id, port: the four fields of an end, as they stand in a row.
pub(super) struct EndFields<'a>(
    pub(super) CompactString,
    pub(super) &'static str,
    pub(super) &'a str,
    pub(super) u16,
);

impl Ends {
    pub(super) fn of(exchange: &Exchange, node: &str) -> Ends {
        let (client, server) = (&exchange.client, &exchange.server);
        Ends {
            from: End { address: client.address, place: Place::of(client, node) },
            to: End { address: server.address, place: Place::of_server(exchange, node) },
        }
    }

    pub(super) fn of_connection(connection: &OpenConnection, node: &str) -> Ends {
        let end = |endpoint: &alaz_model::Endpoint| End {
            address: endpoint.address,
            place: Place::of(endpoint, node),
        };
        Ends { from: end(&connection.client), to: end(&connection.server) }
    }

    pub(super) fn reversed(self) -> Ends {
        Ends { from: self.to, to: self.from }
    }
}

impl End {
    pub(super) fn fields(&self) -> EndFields<'_> {
        EndFields(
            self.address.ip().to_compact_string(),
            self.place.kind.as_str(),
            &self.place.id,
            self.address.port(),
        )
    }
}
