//! Exchanges to test with.

use std::sync::Arc;

use alaz_model::{
    ConnectionEnd, ConnectionFacts, Endpoint, EndpointKind, Exchange, Message, ObservedBy, Outcome,
    Process, Protocol, UnixNanos,
};

/// A good one from an outside host to another, at this time.
pub(crate) fn exchange(time: u64) -> Exchange {
    Exchange {
        time: UnixNanos(time),
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

/// A process of this workload.
pub(crate) fn process(workload: &str, pid: u32) -> Arc<Process> {
    Arc::new(Process {
        pid,
        name: workload.into(),
        executable: format!("/usr/bin/{workload}").into(),
        workload: workload.into(),
        kind: EndpointKind::Process,
        ..Process::default()
    })
}

/// The endpoint of a process on loopback.
pub(crate) fn endpoint(process: &Arc<Process>, port: u16) -> Endpoint {
    Endpoint {
        pid: process.pid,
        process: Some(Arc::clone(process)),
        ..Endpoint::at(([127, 0, 0, 1], port).into())
    }
}

/// A connection between these, over after 1 s, with these figures.
pub(crate) fn connection(
    client: Endpoint,
    server: Endpoint,
    end: ConnectionEnd,
) -> ConnectionFacts {
    ConnectionFacts {
        client,
        server,
        observed_by: ObservedBy::Both,
        ended_ns: 2_000_000_000,
        end,
        duration_ns: Some(1_000_000_000),
        sent_bytes: 100,
        received_bytes: 700,
        retransmits: 2,
        handshake_ns: Some(50_000),
        round_trip_ns: Some(30_000),
        least_round_trip_ns: Some(20_000),
        tls: None,
    }
}
