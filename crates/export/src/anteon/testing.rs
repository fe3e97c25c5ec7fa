//! What the tests of this crate tell its exporters.

use std::sync::Arc;

use alaz_model::{
    Container, Endpoint, EndpointKind, Exchange, Message, ObservedBy, Outcome, Process, Protocol,
    UnixNanos,
};

/// A process of this name, in a container of the pod with this UID, if any.
pub(crate) fn process(workload: &str, pod: &str) -> Arc<Process> {
    Arc::new(Process {
        pid: 7,
        workload: workload.into(),
        container: Some(Container { pod: pod.into(), ..Container::default() }),
        kind: EndpointKind::Process,
        ..Process::default()
    })
}

/// `GET /users/42?id=?`, answered with 200 after 4 ms.
pub(crate) fn exchange() -> Exchange {
    Exchange {
        time: UnixNanos(1_726_300_000_123_999_999),
        tls: false,
        client: Endpoint {
            address: ([10, 42, 0, 15], 51_514).into(),
            pid: 7,
            process: Some(process("curl", "")),
            resource: None,
        },
        server: Endpoint::at(([10, 43, 12, 8], 8080).into()),
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: "/users/42?id=?".into(),
            route: "/users/{id}".into(),
            status: "200".into(),
            error: false,
            outcome: Outcome::Complete,
            request_bytes: 78,
            response_bytes: 612,
            attributes: Default::default(),
        },
        latency_ns: Some(4_210_345),
        ttfb_ns: Some(4_000_000),
        server_latency_ns: None,
        observed_by: ObservedBy::Client,
    }
}
