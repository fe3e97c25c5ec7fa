//! Naming by Kubernetes: a real API server, and processes in the control groups that a kubelet makes;
//! and that it takes what is in `deploy`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]

mod collector;
mod deploy;

use std::path::{Path, PathBuf};
use std::process::Command;

use alaz_tests::alaz::Server;
use alaz_tests::cluster::Cluster;
use alaz_tests::program::Program;
use alaz_tests::{free_port, turn_to_capture, wait_until};
use serde_json::{Value, json};

/// The control group of a pod's container, removed with this.
struct Group {
    path: PathBuf,
}

impl Group {
    fn of(pod: &str) -> Group {
        // Hybrid hosts have the second version beside the first.
        let unified = Path::new("/sys/fs/cgroup/unified");
        let root = if unified.exists() { unified } else { Path::new("/sys/fs/cgroup") };
        let path = root.join(format!("kubepods/besteffort/pod{pod}/{}", "4c01db0b".repeat(8)));
        std::fs::create_dir_all(&path).unwrap();
        Group { path }
    }

    /// A command that runs in it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        let file = self.path.join("cgroup.procs");
        command.arg("-c").arg(format!("echo $$ >{}; exec {program}", file.display()));
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes may still be going. The folders above may have others in them.
        let is_gone = || std::fs::remove_dir(&self.path).is_ok();
        if alaz_tests::holds_within(alaz_tests::PATIENCE, is_gone) {
            self.path.ancestors().skip(1).take(3).for_each(|path| drop(std::fs::remove_dir(path)));
        }
    }
}

/// Calls a server in one pod from another, and gives the names that the map has for the two.
fn names(server: &Server, web: &Group, client: &Group) -> (String, String) {
    let port = free_port();
    let serve = format!("python3 -m http.server --bind 127.0.0.1 {port}");
    let _web = Program::serve(&mut web.command(&serve), port);
    let ask = format!(
        "python3 -c \"import time, urllib.request as r; \
         [r.urlopen('http://127.0.0.1:{port}/').read() for _ in range(5)]; time.sleep(1)\""
    );
    Program::start(&mut client.command(&ask)).wait_for_success();
    let mut found = None;
    wait_until("the map shows the five requests", || {
        found = edge(&server.json("/api/v1/map?from=-5m"), port);
        found.is_some()
    });
    found.unwrap()
}

/// Who is at the ends of the edge at this port, once it has all five.
fn edge(map: &Value, port: u16) -> Option<(String, String)> {
    let edges = map["edges"].as_array()?.iter();
    let edges: Vec<&Value> =
        edges.filter(|edge| edge["port"] == port && edge["protocol"] == "http").collect();
    let [edge] = edges.as_slice() else { return None };
    let name = |id: &Value| {
        let node = map["nodes"].as_array().unwrap().iter().find(|node| node["id"] == *id).unwrap();
        let part = |key: &str| node[key].as_str().unwrap();
        format!("{} {}/{}", part("kind"), part("namespace"), part("name"))
    };
    (edge["requests"] == 5).then(|| (name(&edge["from"]), name(&edge["to"])))
}

fn wait_until_known(server: &Server) {
    wait_until("all of Kubernetes is known", || {
        let page = alaz_tests::http::get(server.address, "/metrics").text();
        page.lines().any(|line| line == "alaz_kubernetes_complete 1")
    });
}

/// A deployment's replica set; gives what its pods say of their owner.
fn replica_set(cluster: &Cluster) -> Value {
    cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": "shop"}}));
    let spec = json!({
        "replicas": 0, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}},
                     "spec": {"containers": [{"name": "c", "image": "none"}]}},
    });
    let apps = "/apis/apps/v1/namespaces/shop";
    let reference = |kind: &str, name: &str, uid: &str| json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true});
    let web = json!({"metadata": {"name": "web"}, "spec": spec});
    let uid = cluster.create(&format!("{apps}/deployments"), &web);
    let owners = [reference("Deployment", "web", &uid)];
    let set = json!({"metadata": {"name": "web-6c9f", "ownerReferences": owners}, "spec": spec});
    let uid = cluster.create(&format!("{apps}/replicasets"), &set);
    reference("ReplicaSet", "web-6c9f", &uid)
}

#[test]
fn pods_have_the_names_of_their_workloads() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut cluster = Cluster::new();
    cluster.start();
    cluster.allow_alaz();
    let owner = replica_set(&cluster);
    let web = Group::of(&cluster.run_pod("shop", "web-6c9f-a", "10.244.0.5", Some(&owner)));
    let client = Group::of(&cluster.run_pod("shop", "client", "10.244.0.6", None));
    let server = Server::start_with(&["--kubeconfig", &cluster.kubeconfig()]);
    wait_until_known(&server);
    let expected = ("pod shop/client".to_owned(), "pod shop/web".to_owned());
    assert_eq!(names(&server, &web, &client), expected);
    let exchanges = server.json("/api/v1/exchanges?limit=500");
    let pods = exchanges.as_array().unwrap().iter().map(|it| &it["server"]["pod"]);
    let pods: Vec<_> = pods.filter(|pod| *pod != "").collect();
    assert_eq!(pods, ["web-6c9f-a"; 5]);
}

#[test]
fn without_an_answer_everything_but_names_works_and_names_come_with_it() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut cluster = Cluster::new();
    let mut server = Server::start_with(&["--kubeconfig", &cluster.kubeconfig()]);
    wait_until("what is wrong is said", || {
        server.program().stderr().contains("the Kubernetes API does not tell of Pod objects")
    });
    let unknown = "0e2c1a54-0000-4000-8000-000000000001";
    let (one, other) = (Group::of(unknown), Group::of("0e2c1a54-0000-4000-8000-000000000002"));
    let (_, name) = names(&server, &one, &other);
    assert!(name.starts_with("container /"), "{name}");

    cluster.start();
    cluster.allow_alaz();
    wait_until_known(&server);
    let owner = replica_set(&cluster);
    let web = Group::of(&cluster.run_pod("shop", "web-6c9f-a", "10.244.0.5", Some(&owner)));
    let client = Group::of(&cluster.run_pod("shop", "client", "10.244.0.6", None));
    let expected = ("pod shop/client".to_owned(), "pod shop/web".to_owned());
    wait_until("a new pod is named", || names(&server, &web, &client) == expected);

    // Another life of the API server: what is made then is told too.
    cluster.stop();
    cluster.start();
    let late = Group::of(&cluster.run_pod("shop", "late", "10.244.0.7", None));
    let expected = ("pod shop/late".to_owned(), "pod shop/web".to_owned());
    wait_until("a pod made after the outage is named", || names(&server, &web, &late) == expected);
}
