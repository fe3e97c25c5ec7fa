//! From the API's objects to what is kept of them.

use std::net::IpAddr;

use alaz_identity::cluster::{Kind, Node, Owned, Owner, Pod, Service};
use compact_str::CompactString;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

/// The most containers of a pod that are kept; the kubelet gives each a control group in the pod's,
/// by which all others are known too.
const MOST_CONTAINERS: usize = 64;
/// Where the API tells the UID that the kubelet gave to a pod it has from a file.
const FILE_UID: &str = "kubernetes.io/config.hash";

/// `None` for one without a UID, which the API does not serve.
pub(crate) fn pod(pod: &core::Pod) -> Option<Pod> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    let listed = status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten();
    let mut addresses: Vec<IpAddr> = listed.filter_map(|ip| ip.ip.parse().ok()).collect();
    if addresses.is_empty() {
        addresses.extend(address(status.and_then(|status| status.pod_ip.as_ref())));
    }
    let phase = status.and_then(|status| status.phase.as_deref());
    Some(Pod {
        uid: metadata.uid.as_deref()?.into(),
        namespace: text(metadata.namespace.as_ref()),
        name: text(metadata.name.as_ref()),
        addresses,
        on_host_network: spec.and_then(|spec| spec.host_network).unwrap_or_default(),
        has_ended: matches!(phase, Some("Succeeded" | "Failed")),
        started_ns: status.and_then(|status| status.start_time.as_ref()).and_then(unix_ns),
        containers: status.map(containers).unwrap_or_default(),
        file_uid: metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(FILE_UID))
            .map(CompactString::from),
        owner: owner(metadata),
    })
}

pub(crate) fn service(service: &core::Service) -> Option<Service> {
    let metadata = &service.metadata;
    let spec = service.spec.as_ref();
    let of_cluster = spec.and_then(|spec| spec.cluster_ips.as_ref()).into_iter().flatten();
    let first = spec.and_then(|spec| spec.cluster_ip.as_ref());
    let external = spec.and_then(|spec| spec.external_ips.as_ref()).into_iter().flatten();
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    let balanced = ingress.filter_map(|ingress| ingress.ip.as_ref());
    // Headless services say "None", which is no address.
    let all = of_cluster.chain(first).chain(external).chain(balanced);
    let mut addresses: Vec<IpAddr> = all.filter_map(|text| address(Some(text))).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
    Some(Service {
        uid: metadata.uid.as_deref()?.into(),
        namespace: text(metadata.namespace.as_ref()),
        name: text(metadata.name.as_ref()),
        addresses,
        node_ports: ports.filter_map(|port| u16::try_from(port.node_port?).ok()).collect(),
    })
}

pub(crate) fn node(node: &core::Node) -> Option<Node> {
    let status = node.status.as_ref();
    let addresses = status.and_then(|status| status.addresses.as_ref()).into_iter().flatten();
    let of_kind = addresses.filter(|it| matches!(it.type_.as_str(), "InternalIP" | "ExternalIP"));
    Some(Node {
        uid: node.metadata.uid.as_deref()?.into(),
        name: text(node.metadata.name.as_ref()),
        addresses: of_kind.filter_map(|it| it.address.parse().ok()).collect(),
    })
}

pub(crate) fn owned(kind: Kind, metadata: &ObjectMeta) -> Option<Owned> {
    let uid = metadata.uid.as_deref()?.into();
    Some(Owned { uid, kind: kind.as_str().into(), owner: owner(metadata) })
}

fn owner(metadata: &ObjectMeta) -> Option<Owner> {
    let mut references = metadata.owner_references.iter().flatten();
    let controller = references.find(|reference| reference.controller == Some(true))?;
    Some(Owner {
        kind: controller.kind.as_str().into(),
        name: controller.name.as_str().into(),
        uid: controller.uid.as_str().into(),
    })
}

/// Of containers of any sort, `RUNTIME://ID` without the runtime.
fn containers(status: &core::PodStatus) -> Vec<CompactString> {
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let ids = lists.into_iter().flatten().flatten().filter_map(|it| it.container_id.as_deref());
    let ids = ids.filter_map(|id| id.split_once("://")).map(|(_, id)| id.into());
    ids.take(MOST_CONTAINERS).collect()
}

fn address(text: Option<&String>) -> Option<IpAddr> {
    text?.parse().ok()
}

fn text(text: Option<&String>) -> CompactString {
    text.map(CompactString::from).unwrap_or_default()
}

fn unix_ns(time: &Time) -> Option<u64> {
    u64::try_from(time.0.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests;
