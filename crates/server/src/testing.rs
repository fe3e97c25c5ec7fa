//! Exchanges and slices to test with.

use std::sync::Arc;

use alaz_flow::{Limits, Recorder};
use alaz_model::{
    ConnectionEnd, ConnectionFacts, Endpoint, EndpointKind, Exchange, Message, ObservedBy, Outcome,
    Process, Protocol, UnixNanos,
};

use crate::Store;

pub(crate) const SECOND_NS: u64 = 1_000_000_000;
/// A round time to start from, a whole minute.
pub(crate) const START_NS: u64 = 1_795_464_000 * SECOND_NS;

/// A good one, from an outside host to another.
pub(crate) fn exchange(time_ns: u64) -> Exchange {
    Exchange {
        time: UnixNanos(time_ns),
        tls: false,
        client: Endpoint::at("10.0.0.5:51514".parse().unwrap()),
        server: Endpoint::at("10.0.0.9:80".parse().unwrap()),
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: "/users/42".into(),
            route: "/users/{id}".into(),
            status: "200".into(),
            error: false,
            outcome: Outcome::Complete,
            request_bytes: 78,
            response_bytes: 612,
            attributes: Default::default(),
        },
        latency_ns: Some(812_345),
        ttfb_ns: Some(790_100),
        server_latency_ns: None,
        observed_by: ObservedBy::Client,
    }
}

/// A good one between two processes of this host.
pub(crate) fn between(client: &str, server: &str, port: u16) -> Exchange {
    let endpoint = |workload: &str, port| Endpoint {
        address: ([127, 0, 0, 1], port).into(),
        pid: workload.len() as u32,
        process: Some(Arc::new(Process {
            pid: workload.len() as u32,
            name: workload.into(),
            executable: format!("/usr/bin/{workload}").into(),
            workload: workload.into(),
            kind: EndpointKind::Process,
            ..Process::default()
        })),
        resource: None,
    };
    Exchange {
        client: endpoint(client, 40_000),
        server: endpoint(server, port),
        ..exchange(START_NS)
    }
}

/// A connection between two processes of this host.
pub(crate) fn connection(
    client: &str,
    server: &str,
    port: u16,
    end: ConnectionEnd,
) -> ConnectionFacts {
    let Exchange { client, server, .. } = between(client, server, port);
    ConnectionFacts {
        client,
        server,
        observed_by: ObservedBy::Both,
        ended_ns: 0,
        end,
        duration_ns: Some(SECOND_NS),
        sent_bytes: 100,
        received_bytes: 700,
        retransmits: 2,
        handshake_ns: Some(50_000),
        round_trip_ns: Some(30_000),
        least_round_trip_ns: Some(20_000),
        tls: None,
    }
}

/// A store and the recorder that fills it.
pub(crate) struct Filled {
    pub(crate) store: Store,
    recorder: Recorder,
}

impl Filled {
    pub(crate) fn new(store: Store) -> Filled {
        Filled { store, recorder: Recorder::new(Limits::default()) }
    }

    /// One second, with these exchanges in it.
    pub(crate) fn second(&mut self, start_ns: u64, exchanges: &[Exchange]) {
        for exchange in exchanges {
            self.recorder.record(exchange);
        }
        let (start, end) = (UnixNanos(start_ns), UnixNanos(start_ns + SECOND_NS));
        self.recorder.cut(end, |slice| self.store.apply(slice, start, end));
    }
}
