use super::*;

fn from<T: k8s_openapi::serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_matters_of_a_pod_is_kept() {
    let full = from(
        r#"{"metadata": {"uid": "u", "namespace": "shop", "name": "web-6c9f-x",
              "annotations": {"kubernetes.io/config.hash": "0123"},
              "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "o"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6c9f", "uid": "r",
                 "controller": true}]},
            "spec": {"hostNetwork": true, "containers": []},
            "status": {"phase": "Running", "startTime": "2026-11-25T09:00:01Z",
              "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
              "containerStatuses": [
                {"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                 "containerID": "containerd://abc"},
                {"name": "d", "image": "", "imageID": "", "ready": false, "restartCount": 0}],
              "initContainerStatuses": [
                {"name": "i", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                 "containerID": "docker://def"}]}}"#,
    );
    let expected = Pod {
        uid: "u".into(),
        namespace: "shop".into(),
        name: "web-6c9f-x".into(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        on_host_network: true,
        has_ended: false,
        started_ns: Some(1_795_597_201_000_000_000),
        containers: vec!["abc".into(), "def".into()],
        file_uid: Some("0123".into()),
        owner: Some(Owner { kind: "ReplicaSet".into(), name: "web-6c9f".into(), uid: "r".into() }),
    };
    assert_eq!(pod(&full), Some(expected));
}

#[test]
fn a_pod_that_is_just_made_says_little() {
    let new = from(r#"{"metadata": {"uid": "u", "name": "a"}}"#);
    assert_eq!(pod(&new), Some(Pod { uid: "u".into(), name: "a".into(), ..Pod::default() }));
    let old = from(
        r#"{"metadata": {"uid": "u"}, "status": {"phase": "Succeeded", "podIP": "10.0.0.1"}}"#,
    );
    let old = pod(&old).unwrap();
    assert!(old.has_ended);
    assert_eq!(old.addresses.len(), 1);
    assert_eq!(pod(&from(r#"{"metadata": {}}"#)), None);
}

#[test]
fn services_have_all_addresses_that_lead_to_them() {
    let balanced = from(
        r#"{"metadata": {"uid": "s", "namespace": "shop", "name": "web"},
            "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"],
              "externalIPs": ["192.0.2.7"], "ports": [{"port": 80, "nodePort": 30080}, {"port": 81}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "lb"}]}}}"#,
    );
    let balanced = service(&balanced).unwrap();
    let addresses: Vec<String> = balanced.addresses.iter().map(IpAddr::to_string).collect();
    assert_eq!(addresses, ["10.96.0.7", "192.0.2.7", "192.0.2.8", "fd00::7"]);
    assert_eq!(balanced.node_ports, [30_080]);
    let headless = from(
        r#"{"metadata": {"uid": "s"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}"#,
    );
    assert_eq!(service(&headless).unwrap().addresses, [] as [IpAddr; 0]);
}

#[test]
fn nodes_have_addresses_and_names() {
    let it = from(
        r#"{"metadata": {"uid": "n", "name": "node-1"}, "status": {"addresses": [
            {"type": "InternalIP", "address": "192.168.0.1"}, {"type": "Hostname", "address": "x"}]}}"#,
    );
    let it = node(&it).unwrap();
    assert_eq!((it.name.as_str(), it.addresses.len()), ("node-1", 1));
}
