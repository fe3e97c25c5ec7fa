//! The two sides of an exchange: who they are, as far as is known.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use compact_str::CompactString;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// What kind of thing an endpoint's name stands for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// A process of this host outside any container.
    Process,
    /// A container outside Kubernetes.
    Container,
    /// A Kubernetes pod.
    Pod,
    /// A Kubernetes service.
    Service,
    /// A node.
    Node,
    /// A host that Alaz does not run on.
    #[default]
    Outbound,
}

impl EndpointKind {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Process => "process",
            EndpointKind::Container => "container",
            EndpointKind::Pod => "pod",
            EndpointKind::Service => "service",
            EndpointKind::Node => "node",
            EndpointKind::Outbound => "outbound",
        }
    }
}

/// The container that a process runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Full id, as the runtime knows it.
    pub id: CompactString,
    /// Runtime that made it, as its cgroup says: `docker`, `containerd`, `cri-o`, `podman`; or empty.
    pub runtime: CompactString,
    /// UID of its Kubernetes pod, as its cgroup says; empty outside Kubernetes. For pods that a
    /// kubelet reads from files it is the hash of their configuration.
    #[serde(default, skip_serializing_if = "CompactString::is_empty")]
    pub pod: CompactString,
}

/// What of Kubernetes an endpoint is: a pod, a service or a node. Shared by all exchanges that name
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Pod, service or node.
    pub kind: EndpointKind,
    /// Its UID.
    pub uid: CompactString,
    /// Its namespace; empty for a node.
    pub namespace: CompactString,
    /// Its own name.
    pub name: CompactString,
    /// The name a person would call it by: for a pod that of what owns it in the end, else its own.
    pub workload: CompactString,
    /// Kind of what `workload` names: `Deployment`, `StatefulSet`, `CronJob`, `Pod`, `Service`…
    pub workload_kind: CompactString,
}

/// What is known of one process in one life. Shared by all exchanges that name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// Its parent's id; 0 when not known.
    pub parent: u32,
    /// When it started, ns since boot; 0 when it was gone before it could be asked.
    pub started_ns: u64,
    /// The kernel's short name (`comm`).
    pub name: CompactString,
    /// Path of the executable; empty when not readable.
    pub executable: CompactString,
    /// Path of its control group; empty when not known.
    pub cgroup: CompactString,
    /// Its container, when it runs in one.
    pub container: Option<Container>,
    /// The name a person would call it by: systemd unit, script, jar, or the program's name.
    pub workload: CompactString,
    /// What `workload` names.
    pub kind: EndpointKind,
    /// It runs the very file that the Alaz which found this out runs: that one itself, or another
    /// command of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alaz: bool,
    /// Nothing is to be told of what it says: its environment or the settings say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opted_out: bool,
}

/// One side of an exchange.
///
/// `pid` is that of the process that did this exchange's I/O; 0 means not seen from this side.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Address on the wire, IPv4-mapped addresses as IPv4.
    pub address: SocketAddr,
    /// The process that did the I/O, or 0.
    pub pid: u32,
    /// That process's facts, once identity has filled them in.
    pub process: Option<Arc<Process>>,
    /// What of Kubernetes it is, where that is known.
    pub resource: Option<Arc<Resource>>,
}

impl Endpoint {
    /// The name of a process of this host that was gone before it could be asked.
    pub const UNKNOWN_PROCESS: &'static str = "unknown process";

    /// An endpoint of which only the address is known.
    #[must_use]
    pub fn at(address: SocketAddr) -> Endpoint {
        Endpoint { address, pid: 0, process: None, resource: None }
    }

    /// The name to show and to aggregate by: the workload, or the address of an unknown host.
    #[must_use]
    pub fn workload(&self) -> CompactString {
        if let Some(resource) = &self.resource {
            return resource.workload.clone();
        }
        match &self.process {
            Some(process) => process.workload.clone(),
            None if self.pid != 0 => Endpoint::UNKNOWN_PROCESS.into(),
            None => address_name(self.address.ip()),
        }
    }

    /// What the name stands for.
    #[must_use]
    pub fn kind(&self) -> EndpointKind {
        if let Some(resource) = &self.resource {
            return resource.kind;
        }
        match &self.process {
            Some(process) => process.kind,
            None if self.pid != 0 => EndpointKind::Process,
            None => EndpointKind::Outbound,
        }
    }

    /// The Kubernetes namespace; empty outside, and where it is not known.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.resource.as_ref().map_or("", |resource| &resource.namespace)
    }

    /// The name of the pod; empty where it is none, or not known.
    #[must_use]
    pub fn pod(&self) -> &str {
        let pod = self.resource.as_ref().filter(|resource| resource.kind == EndpointKind::Pod);
        pod.map_or("", |pod| &pod.name)
    }
}

fn address_name(ip: IpAddr) -> CompactString {
    use std::fmt::Write as _;
    let mut name = CompactString::default();
    // Writing to a string cannot fail.
    let _ = write!(name, "{ip}");
    name
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let process = self.process.as_deref();
        let container = process.and_then(|p| p.container.as_ref());
        let mut out = serializer.serialize_struct("Endpoint", 9)?;
        out.serialize_field("ip", &self.address.ip())?;
        out.serialize_field("port", &self.address.port())?;
        out.serialize_field("pid", &self.pid)?;
        out.serialize_field("process", process.map_or("", |p| p.name.as_str()))?;
        out.serialize_field("container", container.map_or("", |c| c.id.as_str()))?;
        out.serialize_field("pod", self.pod())?;
        out.serialize_field("namespace", self.namespace())?;
        out.serialize_field("workload", &self.workload())?;
        out.serialize_field("kind", &self.kind())?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_gone_is_no_outside_host() {
        let outside = Endpoint::at("10.0.0.9:80".parse().unwrap());
        assert_eq!(
            (outside.workload().as_str(), outside.kind()),
            ("10.0.0.9", EndpointKind::Outbound)
        );
        let gone = Endpoint { pid: 7, ..outside };
        assert_eq!(gone.workload(), Endpoint::UNKNOWN_PROCESS);
        assert_eq!(gone.kind(), EndpointKind::Process);
    }
}
