//! Who is at one end of a row: a kind of resource, and its id.

use alaz_model::{Endpoint, EndpointKind, Exchange, Protocol};
use compact_str::{CompactString, format_compact};

/// The kinds of resources that a row can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Kubernetes pod, by its UID.
    Pod,
    /// A Kubernetes service, by its UID.
    Service,
    /// Everything that is no Kubernetes resource.
    Outbound,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Pod => "pod",
            Kind::Service => "service",
            Kind::Outbound => "outbound",
        }
    }
}

/// One end of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) id: CompactString,
}

impl Place {
    /// This end, on this node. A process outside of Kubernetes is `workload@node`, and an outside
    /// host its address.
    pub(super) fn of(endpoint: &Endpoint, node: &str) -> Place {
        if let Some(resource) = &endpoint.resource {
            let id = resource.uid.clone();
            match resource.kind {
                EndpointKind::Pod => return Place { kind: Kind::Pod, id },
                EndpointKind::Service => return Place { kind: Kind::Service, id },
                _ => {}
            }
        }
        let Some(process) = &endpoint.process else {
            return Place::outbound(format_compact!("{}", endpoint.address.ip()));
        };
        // Before the API has told of the pod, or where it is not asked.
        let pod = process.container.as_ref().map(|container| &container.pod);
        match pod.filter(|uid| !uid.is_empty()) {
            Some(id) => Place { kind: Kind::Pod, id: id.clone() },
            None => Place::outbound(format_compact!("{}@{node}", process.workload)),
        }
    }

    /// The same for who was asked: an outside host is called as the client called it, where its
    /// protocol says.
    pub(super) fn of_server(exchange: &Exchange, node: &str) -> Place {
        let says_host =
            matches!(exchange.message.protocol, Protocol::Http | Protocol::Http2 | Protocol::Grpc);
        let mut attributes = exchange.message.attributes.iter();
        match attributes.find(|(name, _)| *name == "server.address") {
            Some((_, host))
                if says_host
                    && exchange.server.process.is_none()
                    && exchange.server.resource.is_none() =>
            {
                Place::outbound(host.clone())
            }
            _ => Place::of(&exchange.server, node),
        }
    }

    fn outbound(id: CompactString) -> Place {
        Place { kind: Kind::Outbound, id }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alaz_model::Resource;

    use super::*;
    use crate::anteon::testing::{exchange, process};

    const UID: &str = "5b2c1f0e-0b0e-4c0e-9d43-1f6f3a0c7a11";

    #[test]
    fn ends_are_pods_processes_or_outside_hosts() {
        let mut exchange = exchange();
        let place = |endpoint: &Endpoint| {
            let Place { kind, id } = Place::of(endpoint, "node-1");
            (kind.as_str(), id.to_string())
        };
        exchange.client.process = Some(process("curl", UID));
        assert_eq!(place(&exchange.client), ("pod", UID.to_owned()));
        exchange.client.process = Some(process("curl", ""));
        assert_eq!(place(&exchange.client), ("outbound", "curl@node-1".to_owned()));
        let resource =
            |kind| Some(Arc::new(Resource { kind, uid: UID.into(), ..Resource::default() }));
        exchange.server.process = None;
        exchange.server.resource = resource(EndpointKind::Service);
        assert_eq!(place(&exchange.server), ("service", UID.to_owned()));
        exchange.server.resource = resource(EndpointKind::Pod);
        assert_eq!(place(&exchange.server), ("pod", UID.to_owned()));
        exchange.server.resource = None;
        exchange.server.address = "[2001:db8::1]:443".parse().unwrap();
        assert_eq!(place(&exchange.server), ("outbound", "2001:db8::1".to_owned()));
        // Who is outside is called as the client did.
        exchange.message.attributes.push(("server.address", "api.example:8443".into()));
        assert_eq!(Place::of_server(&exchange, "node-1").id, "api.example:8443");
        exchange.server.process = Some(process("nginx", ""));
        assert_eq!(Place::of_server(&exchange, "node-1").id, "nginx@node-1");
    }
}
