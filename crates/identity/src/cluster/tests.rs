use alaz_model::{Container, Process};
use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn pod(uid: &str, name: &str, address: &str) -> Pod {
    Pod {
        uid: uid.into(),
        namespace: "shop".into(),
        name: name.into(),
        addresses: vec![address.parse().unwrap()],
        ..Pod::default()
    }
}

fn owner(kind: &str, name: &str) -> Option<Owner> {
    Some(Owner { kind: kind.into(), name: name.into(), uid: format!("{kind}-{name}").into() })
}

fn at(seconds: u64) -> UnixNanos {
    UnixNanos(seconds * SECOND)
}

impl Cluster {
    /// Namespace, workload and kind of who was at this address.
    fn name_at(&mut self, address: &str, seconds: u64) -> Option<String> {
        let mut endpoint = Endpoint::at(address.parse().unwrap());
        self.identify(&mut endpoint, at(seconds));
        let resource = endpoint.resource?;
        Some(format!("{} {}/{}", resource.workload_kind, resource.namespace, resource.workload))
    }

    fn name_in(&mut self, pod: &str, container: &str) -> Option<CompactString> {
        let container = Container { pod: pod.into(), id: container.into(), ..Container::default() };
        let process = Process { container: Some(container), ..Process::default() };
        let mut endpoint = Endpoint::at("127.0.0.1:80".parse().unwrap());
        endpoint.process = Some(Arc::new(process));
        self.identify(&mut endpoint, at(0));
        endpoint.resource.map(|resource| resource.workload.clone())
    }
}

#[test]
fn an_address_is_who_held_it_at_that_time() {
    let mut cluster = Cluster::new(10);
    cluster.change(Change::Pod(pod("a", "old", "10.0.0.1")), at(100));
    cluster.change(Change::Gone(Kind::Pod, "a".into()), at(110));
    cluster.change(Change::Pod(pod("b", "new", "10.0.0.1")), at(112));
    let name = |name: &str| Some(format!("Pod shop/{name}"));
    assert_eq!(cluster.name_at("10.0.0.1:80", 99), None);
    assert_eq!(cluster.name_at("10.0.0.1:80", 105), name("old"));
    assert_eq!(cluster.name_at("[::ffff:10.0.0.1]:80", 105), name("old"));
    assert_eq!(cluster.name_at("10.0.0.1:80", 111), None);
    assert_eq!(cluster.name_at("10.0.0.1:80", 113), name("new"));
    assert_eq!(cluster.name_at("10.0.0.2:80", 113), None);
    cluster.advance(at(111));
    assert_eq!(cluster.name_at("10.0.0.1:80", 105), name("old"));
    cluster.advance(at(171));
    assert_eq!(cluster.name_at("10.0.0.1:80", 105), None);
    assert_eq!(cluster.counters().objects, 1);
}

#[test]
fn where_two_may_have_held_it_nobody_is_named() {
    let mut cluster = Cluster::new(10);
    cluster.change(Change::Pod(pod("a", "old", "10.0.0.1")), at(100));
    cluster.change(Change::Pod(pod("b", "new", "10.0.0.1")), at(110));
    cluster.change(Change::Gone(Kind::Pod, "a".into()), at(112));
    assert_eq!(cluster.name_at("10.0.0.1:80", 111), None);
    assert_eq!(cluster.counters().ambiguous, 1);
    assert!(cluster.name_at("10.0.0.1:80", 109).is_some());
    assert!(cluster.name_at("10.0.0.1:80", 113).is_some());
}

#[test]
fn a_pod_that_is_told_late_had_its_address_since_it_started() {
    let mut cluster = Cluster::new(10);
    let started = Pod { started_ns: Some(50 * SECOND), ..pod("a", "web", "10.0.0.1") };
    cluster.change(Change::Pod(started), at(100));
    assert_eq!(cluster.name_at("10.0.0.1:80", 49), None);
    assert!(cluster.name_at("10.0.0.1:80", 51).is_some());
}

#[test]
fn one_that_ended_gave_its_address_back() {
    let mut cluster = Cluster::new(10);
    cluster.change(Change::Pod(pod("a", "once", "10.0.0.1")), at(100));
    cluster.change(Change::Pod(Pod { has_ended: true, ..pod("a", "once", "10.0.0.1") }), at(110));
    assert!(cluster.name_at("10.0.0.1:80", 105).is_some());
    assert_eq!(cluster.name_at("10.0.0.1:80", 111), None);
}

#[test]
fn what_is_missing_from_a_new_list_is_gone() {
    let mut cluster = Cluster::new(10);
    cluster.change(Change::Pod(pod("a", "a", "10.0.0.1")), at(100));
    cluster.change(Change::Pod(pod("b", "b", "10.0.0.2")), at(100));
    cluster.change(Change::Listing(Kind::Pod), at(200));
    cluster.change(Change::Pod(pod("b", "b", "10.0.0.2")), at(201));
    cluster.change(Change::Listed(Kind::Pod), at(202));
    assert_eq!(cluster.name_at("10.0.0.1:80", 203), None);
    assert!(cluster.name_at("10.0.0.1:80", 199).is_some());
    assert!(cluster.name_at("10.0.0.2:80", 203).is_some());
}

#[test]
fn pods_have_the_name_of_their_workload_once_it_is_told() {
    let mut cluster = Cluster::new(10);
    let web = Pod { owner: owner("ReplicaSet", "web-6c9f"), ..pod("a", "web-6c9f-x", "10.0.0.1") };
    cluster.change(Change::Pod(web), at(1));
    assert_eq!(cluster.name_at("10.0.0.1:80", 2), Some("ReplicaSet shop/web-6c9f".into()));
    let set = Owned {
        uid: "ReplicaSet-web-6c9f".into(),
        kind: "ReplicaSet".into(),
        owner: owner("Deployment", "web"),
    };
    cluster.change(Change::Owner(Kind::ReplicaSet, set), at(2));
    assert_eq!(cluster.name_at("10.0.0.1:80", 2), Some("Deployment shop/web".into()));
    // A pod that outlives its owners keeps its name until it goes.
    cluster.change(Change::Gone(Kind::ReplicaSet, "ReplicaSet-web-6c9f".into()), at(3));
    assert!(cluster.name_at("10.0.0.1:80", 4).is_some());
}

#[test]
fn owners_that_own_each_other_come_to_an_end() {
    let mut cluster = Cluster::new(10);
    cluster
        .change(Change::Pod(Pod { owner: owner("Job", "j"), ..pod("a", "a", "10.0.0.1") }), at(1));
    let job = Owned { uid: "Job-j".into(), kind: "Job".into(), owner: owner("Job", "j") };
    cluster.change(Change::Owner(Kind::Job, job), at(1));
    assert_eq!(cluster.name_at("10.0.0.1:80", 2), Some("Job shop/j".into()));
}

#[test]
fn processes_are_known_by_their_container_whatever_their_address() {
    let mut cluster = Cluster::new(10);
    let web = Pod {
        on_host_network: true,
        containers: vec!["c1".into()],
        file_uid: Some("hash".into()),
        ..pod("a", "web", "192.168.0.1")
    };
    cluster.change(Change::Pod(web), at(1));
    for (uid, container) in [("a", ""), ("hash", ""), ("", "c1"), ("other", "c1")] {
        assert_eq!(cluster.name_in(uid, container).as_deref(), Some("web"), "{uid} {container}");
    }
    assert_eq!(cluster.name_in("b", "c2"), None);
    // The address is the node's.
    assert_eq!(cluster.name_at("192.168.0.1:80", 2), None);
    let renewed = Pod { containers: vec!["c2".into()], ..pod("a", "web", "10.0.0.1") };
    cluster.change(Change::Pod(renewed), at(2));
    assert_eq!(cluster.name_in("", "c1"), None);
    assert!(cluster.name_in("", "c2").is_some());
}

#[test]
fn services_and_nodes_are_known_by_address_and_port() {
    let mut cluster = Cluster::new(10);
    cluster.change(
        Change::Node(Node {
            uid: "n".into(),
            name: "node-1".into(),
            addresses: vec!["192.168.0.1".parse().unwrap()],
        }),
        at(1),
    );
    let web = Service {
        uid: "s".into(),
        namespace: "shop".into(),
        name: "web".into(),
        addresses: vec!["10.96.0.7".parse().unwrap()],
        node_ports: vec![30_080],
    };
    cluster.change(Change::Service(web), at(1));
    let service = Some("Service shop/web".into());
    assert_eq!(cluster.name_at("10.96.0.7:80", 2), service);
    assert_eq!(cluster.name_at("192.168.0.1:30080", 2), service);
    assert_eq!(cluster.name_at("192.168.0.1:22", 2), Some("Node /node-1".into()));
    cluster.change(Change::Gone(Kind::Service, "s".into()), at(3));
    assert_eq!(cluster.name_at("10.96.0.7:80", 4), None);
    assert_eq!(cluster.name_at("192.168.0.1:30080", 4), Some("Node /node-1".into()));
}

#[test]
fn a_full_table_refuses_and_counts() {
    let mut cluster = Cluster::new(2);
    for (number, uid) in ["a", "b", "c"].into_iter().enumerate() {
        let address = format!("10.0.0.{number}");
        cluster.change(Change::Pod(pod(uid, uid, &address)), at(1));
    }
    assert_eq!(cluster.counters().objects, 2);
    assert_eq!(cluster.counters().refused, 1);
    assert_eq!(cluster.name_at("10.0.0.2:80", 2), None);
    // Addresses have a limit of their own.
    let many = (0..20).map(|number| IpAddr::from([10, 1, 0, number])).collect();
    cluster.change(Change::Pod(Pod { addresses: many, ..pod("a", "a", "10.0.0.0") }), at(2));
    assert!(cluster.counters().refused > 1);
}

proptest! {
    /// Addresses handed on at random: who is named is who held it, whatever the delay with which
    /// it is told, as long as things are told in the order in which they happened.
    #[test]
    fn nobody_is_named_wrongly(
        delays in proptest::collection::vec((0u64..5, 0u64..5), 1..40),
        asked in proptest::collection::vec(0u64..500, 1..40),
    ) {
        let mut cluster = Cluster::new(1_000);
        // One address; each pod has it for ten seconds, with two between.
        let mut told = 0;
        for (number, (came, went)) in delays.iter().enumerate() {
            let number = number as u64;
            told = told.max(number * 12 + came);
            let name = format!("p{number}");
            let started_ns = Some(number * 12 * SECOND);
            let it = Pod { started_ns, ..pod(&name, &name, "10.0.0.1") };
            cluster.change(Change::Pod(it), at(told));
            told = told.max(number * 12 + 10 + went);
            cluster.change(Change::Gone(Kind::Pod, name.into()), at(told));
        }
        for second in asked {
            if let Some(name) = cluster.name_at("10.0.0.1:80", second) {
                // In between nobody has it, and the one before may be told to.
                let is_held = second % 12 <= 10 && second / 12 < delays.len() as u64;
                let holder = format!("Pod shop/p{}", second / 12);
                prop_assert!(!is_held || name == holder, "{} at {}", name, second);
            }
        }
    }
}
