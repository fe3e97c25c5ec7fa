//! The chart and the manifests: what they say is what the API server knows.

use std::path::Path;
use std::process::Command;

use alaz_tests::cluster::{Cluster, manifests, program};
use alaz_tests::program::run;
use serde_json::json;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(manifests().join(name)).unwrap()
}

/// What the chart gives in the namespace `obs`.
fn chart(values: &[&str]) -> String {
    let mut helm = Command::new(program("helm"));
    helm.args(["template", "alaz", "--namespace", "obs", "--kube-version", "1.30.0"]);
    helm.arg(root().join("deploy/helm/alaz"));
    values.iter().for_each(|value| drop(helm.args(["--set", value])));
    run(&mut helm)
}

#[test]
fn manifests_are_what_the_chart_gives() {
    let out = tempfile::tempdir().unwrap();
    let mut render = Command::new(root().join("scripts/deploy/render.sh"));
    run(render.arg(out.path()).env("HELM", program("helm")));
    for name in ["alaz.yaml", "alaz-anteon.yaml"] {
        let rendered = std::fs::read_to_string(out.path().join(name)).unwrap();
        assert_eq!(rendered, read(name), "run scripts/deploy/render.sh deploy/kubernetes");
    }
}

#[test]
fn the_chart_is_clean_and_refuses_what_means_nothing() {
    let folder = root().join("deploy/helm/alaz");
    let helm = |arguments: &[&str]| {
        let output = Command::new(program("helm")).args(arguments).arg(&folder).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    };
    let (is_clean, said) = helm(&["lint", "--strict"]);
    assert!(is_clean, "{said}");
    let template = |value| helm(&["template", "alaz", "--kube-version", "1.30.0", "--set", value]);
    for (value, word) in [
        ("monitoringID=<MONITORING_ID>", "monitoringID"),
        ("agnet.doctor=false", "agnet"),
        ("mode=agents", "server.url"),
        ("agent.memoryLimit=1MB", "memoryLimit"),
    ] {
        let (is_taken, said) = template(value);
        assert!(!is_taken && said.contains(word), "{value}: {said}");
    }
}

#[test]
fn the_api_server_takes_everything() {
    let mut cluster = Cluster::new();
    cluster.start();
    for name in ["anteon", "obs"] {
        cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
    }
    let manifest = read("alaz.yaml");
    assert!(!manifest.contains("\"*\"") && !manifest.contains("'*'"), "everything is too much");
    cluster.would_take(&manifest.replace("<TOKEN>", "0123456789abcdef"));
    // As the original's README has it, for Cloud and for Self-Hosted.
    let manifest = read("alaz-anteon.yaml");
    assert!(manifest.contains("<MONITORING_ID>"));
    let manifest = manifest.replace("<MONITORING_ID>", "0ce2ef05-ef64-459d-90d9-7f2cbd65fff8");
    cluster.would_take(&manifest);
    let own = manifest.replace("https://api-alaz.getanteon.com:443", "http://10.0.0.1:8014/api");
    assert_ne!(own, manifest);
    cluster.would_take(&own);
    let all = "server.ingress.enabled=true,server.networkPolicy.enabled=true,commonLabels.team=x";
    for values in [
        &["monitoringID=0ce2ef05", "backendHost=http://10.0.0.1:8014/api"][..],
        &["mode=all", "monitoringID=0ce2ef05", all],
        &["mode=server", "token.existingSecret=mine"],
        &["mode=agents", "server.url=http://there:4317", "agent.securityMode=privileged"],
    ] {
        cluster.would_take(&chart(values));
    }
}
