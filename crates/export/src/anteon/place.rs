//! Who is at one end of a row: a kind of resource, and its id.

use alaz_model::{Endpoint, Exchange, Protocol};
use compact_str::{CompactString, format_compact};

/// The kinds of resources that a row can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Kubernetes pod, by its UID.
    Pod,
    /// Everything that is no Kubernetes resource.
    Outbound,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Pod => "pod",
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
        let Some(process) = &endpoint.process else {
            return Place::outbound(format_compact!("{}", endpoint.address.ip()));
        };
        match pod_uid(&process.cgroup) {
            Some(id) => Place { kind: Kind::Pod, id },
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
            Some((_, host)) if says_host && exchange.server.process.is_none() => {
                Place::outbound(host.clone())
            }
            _ => Place::of(&exchange.server, node),
        }
    }

    fn outbound(id: CompactString) -> Place {
        Place { kind: Kind::Outbound, id }
    }
}

/// The pod that a control group belongs to, as the kubelet names them: `…/podUID/…` with the
/// cgroupfs driver, `…-podUID.slice/…` with `_` for `-` with systemd's.
fn pod_uid(cgroup: &str) -> Option<CompactString> {
    cgroup.split('/').find_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let uid = part
            .rsplit_once("pod")
            .filter(|(before, _)| before.is_empty() || before.ends_with('-'))?
            .1;
        let uid: CompactString = uid.chars().map(|c| if c == '_' { '-' } else { c }).collect();
        is_uid(&uid).then_some(uid)
    })
}

/// Whether this is a UUID (RFC 9562), as the API server gives to resources.
fn is_uid(text: &str) -> bool {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match HYPHENS.contains(&at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anteon::testing::{exchange, process};

    const UID: &str = "5b2c1f0e-0b0e-4c0e-9d43-1f6f3a0c7a11";

    #[test]
    fn pods_are_known_by_their_control_groups() {
        let flat = UID.replace('-', "_");
        for (cgroup, expected) in [
            (format!("/kubepods/burstable/pod{UID}/0123abcd"), true),
            (format!("/kubepods/pod{UID}"), true),
            (
                format!(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{flat}.slice/cri-containerd-0.scope"
                ),
                true,
            ),
            (format!("/kubelet/kubepods/pod{UID}/0"), true),
            ("/system.slice/podman.service".to_owned(), false),
            ("/kubepods/pod".to_owned(), false),
            (format!("/user.slice/tripod{UID}"), false),
            (format!("/kubepods/pod{}", &UID[1..]), false),
            (String::new(), false),
        ] {
            let found = pod_uid(&cgroup);
            assert_eq!(found.as_deref(), expected.then_some(UID), "{cgroup}");
        }
    }

    #[test]
    fn ends_are_pods_processes_or_outside_hosts() {
        let mut exchange = exchange();
        let place = |endpoint: &Endpoint| {
            let Place { kind, id } = Place::of(endpoint, "node-1");
            (kind.as_str(), id.to_string())
        };
        exchange.client.process = Some(process("curl", &format!("/kubepods/pod{UID}/0")));
        assert_eq!(place(&exchange.client), ("pod", UID.to_owned()));
        exchange.client.process = Some(process("curl", "/user.slice"));
        assert_eq!(place(&exchange.client), ("outbound", "curl@node-1".to_owned()));
        exchange.server.process = None;
        exchange.server.address = "[2001:db8::1]:443".parse().unwrap();
        assert_eq!(place(&exchange.server), ("outbound", "2001:db8::1".to_owned()));
        // Who is outside is called as the client did.
        exchange.message.attributes.push(("server.address", "api.example:8443".into()));
        assert_eq!(Place::of_server(&exchange, "node-1").id, "api.example:8443");
        exchange.server.process = Some(process("nginx", ""));
        assert_eq!(Place::of_server(&exchange, "node-1").id, "nginx@node-1");
    }
}
