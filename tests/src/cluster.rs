//! A real Kubernetes API server on a real etcd, without nodes: pods are what the tests say.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::Program;
use crate::{free_port, wait_until};

/// Who may do everything, by the token of the same name.
const ADMIN: &str = "admin";
/// Who may do what Alaz needs, once [`Cluster::allow_alaz`] was called.
const ALAZ: &str = "alaz";

/// etcd, and an API server that can be stopped and started again.
pub struct Cluster {
    folder: tempfile::TempDir,
    _etcd: Program,
    etcd_port: u16,
    port: u16,
    api: Option<Program>,
}

impl Cluster {
    /// etcd runs; the API server does not yet.
    #[must_use]
    pub fn new() -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let (etcd_port, peer_port) = (free_port(), free_port());
        let client = format!("http://127.0.0.1:{etcd_port}");
        let peer = format!("http://127.0.0.1:{peer_port}");
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(folder.path().join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        let etcd = Program::serve(&mut command, etcd_port);
        let tokens = format!("{ADMIN},{ADMIN},1,system:masters\n{ALAZ},{ALAZ},2\n");
        std::fs::write(folder.path().join("tokens.csv"), tokens).unwrap();
        let mut key = Command::new("openssl");
        key.args(["genrsa", "-out"]).arg(folder.path().join("accounts.key"));
        Program::start(key.arg("2048")).wait_for_success();
        let cluster = Cluster { folder, _etcd: etcd, etcd_port, port: free_port(), api: None };
        cluster.write_kubeconfig();
        cluster
    }

    /// Starts the API server and waits until it is ready.
    pub fn start(&mut self) {
        let path = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let mut command = Command::new(program("kube-apiserver"));
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--cert-dir={}", path("certificates")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            format!("--service-account-key-file={}", path("accounts.key")),
            format!("--service-account-signing-key-file={}", path("accounts.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--token-auth-file={}", path("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            // As kubeadm has it; an agent may be told to be privileged.
            "--allow-privileged=true".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]);
        self.api = Some(Program::serve(&mut command, self.port));
        wait_until("the API server is ready", || self.ask("GET", "/readyz", "", None) == "ok");
    }

    /// Ends the API server. What it knew stays in etcd.
    pub fn stop(&mut self) {
        if let Some(mut api) = self.api.take() {
            api.end(Signal::KILL);
        }
    }

    /// A kubeconfig file for Alaz.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.folder.path().join("kubeconfig").to_string_lossy().into_owned()
    }

    fn write_kubeconfig(&self) {
        let server = format!("https://127.0.0.1:{}", self.port);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test",
                          "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "alaz", "user": {"token": ALAZ}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "alaz"}}],
        });
        std::fs::write(self.kubeconfig(), config.to_string()).unwrap();
    }

    /// Allows Alaz what the manifest allows an agent, and nothing else.
    pub fn allow_alaz(&self) {
        let manifest = std::fs::read_to_string(manifests().join("alaz.yaml")).unwrap();
        let role = documents(&manifest).find(|it| kind(it) == "ClusterRole").unwrap();
        let made = self.post(role, "");
        assert_eq!(made["kind"], "ClusterRole", "{made}");
        self.create(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            &json!({
                "metadata": {"name": "alaz"},
                "subjects": [{"kind": "User", "name": ALAZ}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                            "name": made["metadata"]["name"]},
            }),
        );
    }

    /// Whether the API server would make all objects of this manifest, which knows each of their fields.
    /// Namespaces of the manifest are made.
    pub fn would_take(&self, manifest: &str) {
        for document in documents(manifest) {
            let query = match kind(document) {
                "Namespace" => "",
                _ => "?dryRun=All&fieldValidation=Strict",
            };
            let made = self.post(document, query);
            assert_eq!(made["kind"], kind(document), "{made}: {document}");
        }
    }

    /// Makes the object that a document in YAML says, and gives the answer.
    fn post(&self, document: &str, query: &str) -> Value {
        let of = |key: &str| value(document, key).to_owned();
        let version = of("apiVersion: ");
        let api = if version.contains('/') { "apis" } else { "api" };
        let namespace = match value(document, "  namespace: ") {
            // Bindings name that of their subject.
            _ if kind(document).starts_with("Cluster") => String::new(),
            "" => String::new(),
            name => format!("/namespaces/{name}"),
        };
        let singular = kind(document).to_lowercase();
        let plural = match singular.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None if singular.ends_with('s') => format!("{singular}es"),
            None => format!("{singular}s"),
        };
        let path = format!("/{api}/{version}{namespace}/{plural}{query}");
        let made = self.send("POST", &path, "application/yaml", Some(document));
        serde_json::from_str(&made).unwrap_or_else(|_| panic!("{path}: {made}"))
    }

    /// Creates an object and gives its UID.
    pub fn create(&self, path: &str, object: &Value) -> String {
        let made = self.ask("POST", path, "application/json", Some(object));
        let made: Value = serde_json::from_str(&made).unwrap();
        let uid = made["metadata"]["uid"].as_str();
        uid.unwrap_or_else(|| panic!("{path}: {made}")).to_owned()
    }

    /// A pod that runs, at this address, owned by this, as a kubelet would report it; gives its UID.
    pub fn run_pod(
        &self,
        namespace: &str,
        name: &str,
        address: &str,
        owner: Option<&Value>,
    ) -> String {
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let uid = self.create(
            &pods,
            &json!({
                "metadata": {"name": name, "ownerReferences": owner.into_iter().collect::<Vec<_>>()},
                "spec": {"nodeName": "node", "containers": [{"name": "c", "image": "none"}]},
            }),
        );
        let status = json!({"status": {"phase": "Running", "podIP": address,
                                       "podIPs": [{"ip": address}]}});
        let path = format!("{pods}/{name}/status");
        self.ask("PATCH", &path, "application/merge-patch+json", Some(&status));
        uid
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> String {
        self.send(method, path, kind, body.map(Value::to_string).as_deref())
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: Option<&str>) -> String {
        let mut command = Command::new("curl");
        command.args(["-sk", "-X", method, "-H", &format!("Authorization: Bearer {ADMIN}")]);
        if let Some(body) = body {
            command.args(["-H", &format!("Content-Type: {kind}"), "--data-binary", body]);
        }
        let output =
            command.arg(format!("https://127.0.0.1:{}{path}", self.port)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The folder of the manifests.
#[must_use]
pub fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// A program that `make test-cluster` builds.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("ALAZ_CLUSTER_BIN").map(PathBuf::from);
    folder.expect("ALAZ_CLUSTER_BIN is not set: run make test-cluster").join(name)
}

/// Those with anything in them.
fn documents(manifest: &str) -> impl Iterator<Item = &str> {
    manifest.split("\n---").filter(|document| !kind(document).is_empty())
}

fn kind(document: &str) -> &str {
    value(document, "kind: ")
}

/// The rest of the first line that begins so.
fn value<'a>(document: &'a str, beginning: &str) -> &'a str {
    let mut lines = document.lines();
    lines.find_map(|line| line.strip_prefix(beginning)).unwrap_or_default()
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster::new()
    }
}
