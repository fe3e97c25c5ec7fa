//! What Alaz needs: three capabilities, and no more. Without one of them it says what is missing.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use alaz_tests::alaz::{Watch, binary};
use alaz_tests::nginx::Nginx;
use alaz_tests::{http, turn_to_capture};
use serde_json::Value;

const ALL: [&str; 3] = ["bpf", "perfmon", "sys_ptrace"];

/// A copy of the program that everybody may run.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn make() -> Copy {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(binary(), folder.path().join("alaz")).unwrap();
        Copy { folder }
    }

    /// Run by nobody, with these capabilities, and nothing by which to get others.
    fn with(&self, capabilities: &[&str]) -> Command {
        let list = capabilities.iter().fold("-all".to_owned(), |list, name| list + ",+" + name);
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            command.arg(format!("{set}={list}"));
        }
        command.arg(self.folder.path().join("alaz"));
        command
    }

    fn doctor(&self, capabilities: &[&str]) -> (Option<i32>, Value) {
        let mut command = self.with(capabilities);
        let output = command.args(["doctor", "--output", "json"]).output().unwrap();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }
}

#[test]
fn with_just_these_it_sees_and_names_other_users_traffic() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let watch = Watch::start_by(Copy::make().with(&ALL));
    for number in 0..10 {
        assert_eq!(http::get(nginx.address, &format!("/{number}")).status, 200);
    }
    let seen = watch.finish();
    let reported = seen.at(nginx.address.port());
    assert_eq!(reported.len(), 10);
    for exchange in reported {
        assert_eq!((&*exchange.observed_by, &*exchange.server.workload), ("both", "nginx"));
    }
}

#[test]
fn each_that_is_missing_is_named_by_what_does_not_work() {
    let Some(_turn) = turn_to_capture() else { return };
    let copy = Copy::make();
    let (code, whole) = copy.doctor(&ALL);
    assert_ne!(code, Some(2), "{whole}");
    for missing in ALL {
        let rest: Vec<_> = ALL.into_iter().filter(|name| *name != missing).collect();
        let (code, report) = copy.doctor(&rest);
        assert_eq!(code, Some(if missing == "sys_ptrace" { 1 } else { 2 }), "{report}");
        let capability = format!("CAP_{}", missing.to_uppercase());
        let (with, without) = (whole["features"].as_array(), report["features"].as_array());
        for (with, without) in with.unwrap().iter().zip(without.unwrap()) {
            let needs = without["needs"].as_array().unwrap().contains(&capability.as_str().into());
            let expected = with["works"].as_bool().unwrap() && !needs;
            assert_eq!(without["works"], expected, "without {missing}: {without}");
        }
    }
}
