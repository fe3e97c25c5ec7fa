use std::path::Path;

use alaz_model::{EndpointKind, Message, ObservedBy, Outcome, Protocol, UnixNanos};
use tempfile::TempDir;

use super::*;

const SECOND: u64 = 1_000_000_000;
const ID: &str = "4c01db0b339c4f7a8d9e2f1a6b5c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c";

/// A made-up `/proc`.
struct Host(TempDir);

impl Host {
    fn new() -> Host {
        Host(tempfile::tempdir().unwrap())
    }

    fn processes(&self, limit: usize) -> Processes {
        Processes::new(ProcRoot::at(self.0.path()), limit)
    }

    fn folder(&self, pid: u32) -> std::path::PathBuf {
        self.0.path().join(pid.to_string())
    }

    /// A process that started so many ticks (10 ms) after boot.
    fn start(&self, pid: u32, ticks: u64, executable: &str, arguments: &str, cgroup: &str) {
        self.stop(pid);
        let folder = self.folder(pid);
        let file = executable.strip_suffix(" (deleted)").unwrap_or(executable);
        let comm = Path::new(file).file_name().unwrap().to_str().unwrap();
        std::fs::create_dir(&folder).unwrap();
        let zeroes = "0 ".repeat(17);
        std::fs::write(folder.join("stat"), format!("{pid} ({comm}) S 1 {zeroes}{ticks} 0 0\n"))
            .unwrap();
        std::fs::write(folder.join("cmdline"), arguments).unwrap();
        std::fs::write(folder.join("cgroup"), cgroup).unwrap();
        std::os::unix::fs::symlink(executable, folder.join("exe")).unwrap();
    }

    fn stop(&self, pid: u32) {
        if self.folder(pid).exists() {
            std::fs::remove_dir_all(self.folder(pid)).unwrap();
        }
    }

    /// As the kernel shows a process that waits to be reaped.
    fn zombie(&self, pid: u32) {
        let stat = std::fs::read_to_string(self.folder(pid).join("stat")).unwrap();
        std::fs::write(self.folder(pid).join("stat"), stat.replacen(") S", ") Z", 1)).unwrap();
        std::fs::write(self.folder(pid).join("cmdline"), "").unwrap();
        std::fs::remove_file(self.folder(pid).join("exe")).unwrap();
    }
}

fn exec(pid: u32, parent: u32, time_ns: u64, filename: &str, arguments: &'static str) -> Exec {
    Exec { pid, parent, time_ns, filename: filename.to_owned(), arguments }
}

struct Exec {
    pid: u32,
    parent: u32,
    time_ns: u64,
    filename: String,
    arguments: &'static str,
}

impl Exec {
    fn tell(&self, processes: &mut Processes) {
        processes.exec(&self.event());
    }

    fn event(&self) -> ProcessExec<'_> {
        let comm = self.filename.rsplit('/').next().unwrap();
        ProcessExec {
            pid: self.pid,
            parent: self.parent,
            time_ns: self.time_ns,
            comm: &comm.as_bytes()[..comm.len().min(15)],
            filename: self.filename.as_bytes(),
            arguments: self.arguments.as_bytes(),
            opted_out: false,
        }
    }
}

fn name_of(processes: &mut Processes, pid: u32) -> Option<String> {
    processes.resolve(pid).map(|process| process.workload.to_string())
}

fn exchange(pid: u32, ended_ns: u64) -> Exchange {
    let address = "127.0.0.1:80".parse().unwrap();
    let latency_ns = SECOND / 10;
    Exchange {
        time: UnixNanos(ended_ns - latency_ns + 1_000 * SECOND),
        tls: false,
        client: Endpoint { pid, ..Endpoint::at(address) },
        server: Endpoint::at(address),
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: "/".into(),
            route: "/".into(),
            status: "200".into(),
            error: false,
            outcome: Outcome::Complete,
            request_bytes: 1,
            response_bytes: 1,
            attributes: Default::default(),
        },
        latency_ns: Some(latency_ns),
        ttfb_ns: None,
        server_latency_ns: None,
        observed_by: ObservedBy::Client,
    }
}

/// Who an exchange of this pid, ended at this monotonic time, was of.
fn identified(processes: &mut Processes, pid: u32, ended_ns: u64) -> Option<String> {
    let mut exchange = exchange(pid, ended_ns);
    processes.identify(&mut exchange, &Clock { unix_at_zero_ns: 1_000 * SECOND });
    assert!(exchange.server.process.is_none());
    exchange.client.process.map(|process| process.workload.to_string())
}

#[test]
fn reads_all_of_a_process_once() {
    let host = Host::new();
    let cgroup = format!("0::/system.slice/docker-{ID}.scope\n");
    host.start(7, 250, "/usr/bin/python3.12 (deleted)", "python3\0/srv/worker.py\0", &cgroup);
    let mut processes = host.processes(8);
    let process = processes.resolve(7).unwrap();
    assert_eq!(
        *process,
        Process {
            pid: 7,
            parent: 1,
            started_ns: 2_500_000_000,
            name: "python3.12".into(),
            executable: "/usr/bin/python3.12".into(),
            cgroup: format!("/system.slice/docker-{ID}.scope").into(),
            container: Some(alaz_model::Container {
                id: ID.into(),
                runtime: "docker".into(),
                ..Default::default()
            }),
            workload: "worker.py".into(),
            kind: EndpointKind::Container,
            is_alaz: false,
            opted_out: false,
        }
    );
    host.stop(7);
    assert!(Arc::ptr_eq(&process, &processes.resolve(7).unwrap()));
    assert_eq!(processes.resolve(0), None);
    assert_eq!(processes.counters(), Counters { cached: 1, evicted: 0, unresolved: 0 });
}

#[test]
fn this_process_is_known() {
    let process = Processes::live(1).resolve(std::process::id()).unwrap();
    let executable = std::env::current_exe().unwrap();
    assert_eq!(process.executable, executable.to_str().unwrap());
    assert!(process.executable.contains(process.name.as_str()));
    assert!(process.started_ns > 0 && process.parent > 0);
    assert!(process.cgroup.starts_with('/'));
    assert!(!process.workload.is_empty());
}

#[test]
fn a_process_is_opted_out_by_its_environment_or_by_the_settings() {
    let host = Host::new();
    for (pid, program, environment) in [
        (7, "/usr/bin/a", "PATH=/bin\0ALAZ_CAPTURE=off\0"),
        (8, "/usr/bin/a", "ALAZ_CAPTURE=offline\0XALAZ_CAPTURE=off\0ALAZ_CAPTURE=on\0"),
        (9, "/usr/bin/vault", ""),
    ] {
        host.start(pid, 1, program, "", "0::/\n");
        std::fs::write(host.folder(pid).join("environ"), environment).unwrap();
    }
    let settings = OptOut::new(vec!["vault".to_owned()]);
    let mut processes = host.processes(8).opting_out(settings);
    let mut opted_out = processes.opted_out();
    opted_out.sort_unstable();
    assert_eq!(opted_out, [7, 9]);
    let facts = |processes: &mut Processes, pid| processes.resolve(pid).unwrap().opted_out;
    assert_eq!([7, 8, 9].map(|pid| facts(&mut processes, pid)), [true, false, true]);
    // Another program in the same process, with another environment.
    std::fs::write(host.folder(7).join("environ"), "").unwrap();
    for (pid, filename, opted_out, expected) in [
        (7, "/usr/bin/a", false, false),
        (8, "/usr/bin/a", true, true),
        (8, "/usr/bin/vault", false, true),
    ] {
        let exec = exec(pid, 1, SECOND, filename, "");
        let event = ProcessExec { opted_out, ..exec.event() };
        assert_eq!(processes.exec(&event), expected);
        assert_eq!(facts(&mut processes, pid), expected);
    }
    // One that is gone before it is asked for is known by its parent.
    processes.fork(&ProcessFork { pid: 10, parent: 8, time_ns: 2 * SECOND });
    assert!(facts(&mut processes, 10));
    assert!(Processes::recorded(1).opted_out().is_empty());
}

#[test]
fn an_alaz_is_told_by_its_file_and_not_by_its_name() {
    let host = Host::new();
    let program = host.0.path().join("alaz");
    let namesake = host.0.path().join("other/alaz");
    std::fs::create_dir(host.0.path().join("other")).unwrap();
    std::fs::write(&program, "").unwrap();
    std::fs::write(&namesake, "").unwrap();
    host.start(7, 1, program.to_str().unwrap(), "alaz\0run\0", "0::/\n");
    host.start(8, 1, namesake.to_str().unwrap(), "alaz\0run\0", "0::/\n");
    host.start(9, 1, "/not/there", "alaz\0run\0", "0::/\n");
    let found = |host: &Host| {
        let mut processes = host.processes(8);
        [7, 8, 9].map(|pid| processes.resolve(pid).unwrap().is_alaz)
    };
    // Where it is not known which file runs here, nobody is taken for an Alaz.
    assert_eq!(found(&host), [false; 3]);
    std::os::unix::fs::symlink("7", host.0.path().join("self")).unwrap();
    assert_eq!(found(&host), [true, false, false]);
    assert!(Processes::live(1).resolve(std::process::id()).unwrap().is_alaz);
}

#[test]
fn one_that_is_gone_is_known_by_its_start_and_its_parents_group() {
    let host = Host::new();
    let cgroup = format!("0::/docker/{ID}\n");
    host.start(5, 100, "/bin/bash", "bash\0", &cgroup);
    host.start(6, 100, "/usr/bin/containerd-shim", "", "0::/system.slice/containerd.service\n");
    let mut processes = host.processes(8);
    exec(7, 5, 2 * SECOND, "/usr/bin/curl", "curl\0http://a/\0").tell(&mut processes);
    processes.exit(&ProcessExit { pid: 7, time_ns: 3 * SECOND });
    let process = processes.resolve(7).unwrap();
    assert_eq!((process.workload.as_str(), process.kind), ("curl", EndpointKind::Container));
    assert_eq!((process.parent, process.started_ns), (5, 0));
    assert_eq!(process.executable, "/usr/bin/curl");
    assert_eq!(process.container.as_ref().map(|c| c.id.as_str()), Some(ID));

    // The shim's own group is not its children's.
    exec(8, 6, 2 * SECOND, "/usr/bin/curl", "curl\0").tell(&mut processes);
    assert_eq!(processes.resolve(8).unwrap().cgroup, "");
    // Nor is that of a parent which began after the child.
    exec(9, 5, SECOND / 2, "/usr/bin/curl", "curl\0").tell(&mut processes);
    assert_eq!(processes.resolve(9).unwrap().cgroup, "");
    // The table's knowledge of the parent serves as well.
    processes.resolve(5);
    host.stop(5);
    exec(10, 5, 2 * SECOND, "/usr/bin/wget", "wget\0").tell(&mut processes);
    assert_eq!(processes.resolve(10).unwrap().cgroup, format!("/docker/{ID}"));
    assert_eq!(processes.counters().unresolved, 0);
}

#[test]
fn a_zombie_is_completed_by_its_start() {
    let host = Host::new();
    host.start(7, 100, "/usr/bin/python3.12", "python3\0/srv/worker.py\0", "0::/a\n");
    host.zombie(7);
    let mut processes = host.processes(8);
    exec(7, 1, 2 * SECOND, "/usr/bin/python3.12", "python3\0/srv/worker.py\0").tell(&mut processes);
    processes.exit(&ProcessExit { pid: 7, time_ns: 3 * SECOND });
    let process = processes.resolve(7).unwrap();
    assert_eq!(process.workload, "worker.py");
    assert_eq!(process.executable, "/usr/bin/python3.12");
    assert_eq!((process.cgroup.as_str(), process.started_ns), ("/a", SECOND));
}

#[test]
fn a_program_replaces_the_one_before_it() {
    let host = Host::new();
    let mut processes = host.processes(8);
    host.start(7, 100, "/bin/bash", "bash\0", "0::/\n");
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("bash"));
    host.start(7, 100, "/usr/bin/curl", "curl\0", "0::/\n");
    exec(7, 1, 2 * SECOND, "/usr/bin/curl", "curl\0").tell(&mut processes);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("curl"));
    // What was said before was said by the one before.
    assert_eq!(identified(&mut processes, 7, SECOND).as_deref(), Some("bash"));
    assert_eq!(identified(&mut processes, 7, 2 * SECOND).as_deref(), Some("curl"));
    // An event that comes late changes nothing.
    exec(7, 1, SECOND, "/usr/bin/env", "env\0").tell(&mut processes);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("curl"));
    processes.advance(40 * SECOND);
    assert_eq!(identified(&mut processes, 7, SECOND), None);
    assert_eq!(processes.counters().cached, 1);
}

#[test]
fn a_reused_pid_never_inherits() {
    let host = Host::new();
    let mut processes = host.processes(8);
    host.start(7, 100, "/usr/bin/curl", "curl\0", "0::/\n");
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("curl"));
    processes.exit(&ProcessExit { pid: 7, time_ns: 5 * SECOND });
    // A worker forked without an exec.
    host.start(7, 510, "/usr/bin/nginx", "nginx: worker\0", "0::/\n");
    assert_eq!(identified(&mut processes, 7, 5 * SECOND).as_deref(), Some("curl"));
    assert_eq!(identified(&mut processes, 7, 6 * SECOND).as_deref(), Some("nginx"));
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    assert_eq!(identified(&mut processes, 7, 5 * SECOND).as_deref(), Some("curl"));

    // The same for one that was never asked for while it ran.
    exec(8, 1, SECOND, "/usr/bin/wget", "wget\0").tell(&mut processes);
    processes.exit(&ProcessExit { pid: 8, time_ns: 5 * SECOND });
    host.start(8, 510, "/usr/bin/nginx", "nginx: worker\0", "0::/\n");
    assert_eq!(identified(&mut processes, 8, 5 * SECOND).as_deref(), Some("wget"));
    assert_eq!(name_of(&mut processes, 8).as_deref(), Some("nginx"));
}

#[test]
fn a_lost_exit_is_noticed_by_the_start_time() {
    let host = Host::new();
    let mut processes = host.processes(8);
    host.start(7, 100, "/usr/bin/curl", "curl\0", "0::/\n");
    processes.advance(2 * SECOND);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("curl"));
    host.start(7, 300, "/usr/bin/nginx", "nginx\0", "0::/\n");
    processes.advance(7 * SECOND);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    assert_eq!(identified(&mut processes, 7, 2 * SECOND).as_deref(), Some("curl"));

    // One that merely went is remembered for as long as if it had been told.
    host.stop(7);
    processes.advance(20 * SECOND);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    processes.advance(49 * SECOND);
    assert_eq!(processes.counters().cached, 1);
    processes.advance(50 * SECOND);
    assert_eq!(processes.counters().cached, 0);
}

#[test]
fn an_exit_told_after_the_next_life_was_read_does_not_end_it() {
    let host = Host::new();
    let mut processes = host.processes(8);
    host.start(7, 300, "/usr/bin/nginx", "nginx\0", "0::/\n");
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    processes.exit(&ProcessExit { pid: 7, time_ns: 2 * SECOND });
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    processes.advance(60 * SECOND);
    assert_eq!(processes.counters().cached, 1);
}

#[test]
fn the_ended_are_kept_for_a_while_and_then_forgotten() {
    let host = Host::new();
    let mut processes = host.processes(8);
    exec(7, 1, SECOND, "/usr/bin/curl", "curl\0").tell(&mut processes);
    processes.exit(&ProcessExit { pid: 7, time_ns: 2 * SECOND });
    processes.advance(31 * SECOND);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("curl"));
    processes.advance(32 * SECOND);
    assert_eq!(processes.counters().cached, 0);
    assert_eq!(processes.resolve(7), None);
    assert_eq!(processes.counters().unresolved, 1);
}

#[test]
fn what_is_not_found_is_counted_once_and_asked_again_later() {
    let host = Host::new();
    let mut processes = host.processes(8);
    assert_eq!(processes.resolve(7), None);
    host.start(7, 100, "/usr/bin/nginx", "nginx\0", "0::/\n");
    assert_eq!(processes.resolve(7), None);
    processes.advance(5 * SECOND);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    assert_eq!(processes.resolve(8), None);
    processes.advance(10 * SECOND);
    assert_eq!(processes.resolve(8), None);
    assert_eq!(processes.counters().unresolved, 2);
    // Its end is told: whoever has the pid next is asked at once.
    processes.exit(&ProcessExit { pid: 8, time_ns: 11 * SECOND });
    host.start(8, 1_200, "/usr/bin/nginx", "nginx\0", "0::/\n");
    assert_eq!(name_of(&mut processes, 8).as_deref(), Some("nginx"));
    processes.resolve(9);
    processes.advance(60 * SECOND);
    assert_eq!(processes.counters().cached, 2);
}

#[test]
fn at_the_limit_the_longest_unasked_goes() {
    let host = Host::new();
    let mut processes = host.processes(3);
    for (pid, second) in [(1, 1), (2, 2), (3, 3)] {
        exec(pid, 0, second * SECOND, "/bin/a", "a\0").tell(&mut processes);
    }
    processes.advance(4 * SECOND);
    assert!(processes.resolve(1).is_some());
    exec(4, 0, 5 * SECOND, "/bin/a", "a\0").tell(&mut processes);
    assert_eq!(processes.counters(), Counters { cached: 3, evicted: 1, unresolved: 0 });
    for known in [1, 3, 4] {
        assert!(processes.resolve(known).is_some(), "{known}");
    }
    assert_eq!(processes.resolve(2), None);
    assert_eq!(processes.counters(), Counters { cached: 3, evicted: 2, unresolved: 1 });

    let mut crowd = host.processes(64);
    for pid in 1..=10_000 {
        exec(pid, 0, u64::from(pid), "/bin/a", "a\0").tell(&mut crowd);
        assert!(crowd.counters().cached <= 64);
    }
    assert_eq!(crowd.counters().evicted + crowd.counters().cached, 10_000);
    assert!(crowd.resolve(10_000).is_some());
}

#[test]
fn a_recording_brings_its_own_facts() {
    let mut processes = Processes::recorded(8);
    assert_eq!(processes.resolve(std::process::id()), None);
    let fact = |workload: &str| {
        Arc::new(Process { pid: 7, started_ns: 1, workload: workload.into(), ..Process::default() })
    };
    processes.insert(fact("bash"));
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("bash"));
    exec(7, 1, 2 * SECOND, "/usr/bin/curl", "curl\0").tell(&mut processes);
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("curl"));
    processes.insert(fact("nginx"));
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    processes.advance(10 * SECOND);
    processes.exit(&ProcessExit { pid: 7, time_ns: 10 * SECOND });
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("nginx"));
    processes.insert(fact("redis"));
    assert_eq!(name_of(&mut processes, 7).as_deref(), Some("redis"));
    assert_eq!(identified(&mut processes, 7, 10 * SECOND).as_deref(), Some("nginx"));
}

#[test]
fn a_child_that_started_no_program_is_its_parents_once_it_is_gone() {
    let host = Host::new();
    host.start(7, 1, "/usr/lib/postgresql/15/bin/postgres", "postgres\0-D\0/data\0", "0::/db\n");
    let mut processes = host.processes(8);
    fork(&mut processes, 8, 7, 2 * SECOND);
    fork(&mut processes, 9, 8, 3 * SECOND);
    let child = processes.resolve(8).unwrap();
    assert_eq!((child.pid, child.parent, &*child.name, &*child.cgroup), (8, 7, "postgres", "/db"));
    // Its child, too, though nothing was ever asked of the one between.
    let grandchild = processes.resolve(9).unwrap();
    assert_eq!((grandchild.pid, grandchild.parent, &*grandchild.name), (9, 8, "postgres"));
    // While it is there, it speaks for itself.
    host.start(10, 400, "/usr/bin/worker", "worker\0", "0::/jobs\n");
    fork(&mut processes, 10, 7, 4 * SECOND);
    assert_eq!(&*processes.resolve(10).unwrap().name, "worker");
    // And waiting to be reaped, it cannot.
    host.start(11, 400, "/usr/bin/postgres", "", "0::/\n");
    host.zombie(11);
    fork(&mut processes, 11, 7, 4 * SECOND);
    assert_eq!(&*processes.resolve(11).unwrap().cgroup, "/db");
    processes.exit(&ProcessExit { pid: 11, time_ns: 5 * SECOND });
    let after = identified(&mut processes, 11, 6 * SECOND);
    assert_eq!(after.as_deref(), Some("postgres"), "it is still the same");
    exec(8, 7, 5 * SECOND, "/usr/bin/curl", "curl\0").tell(&mut processes);
    assert_eq!(&*processes.resolve(8).unwrap().name, "curl");
}

#[test]
fn a_child_inherits_from_none_but_its_own_parent() {
    let host = Host::new();
    // What moves its children elsewhere; and a pid that had another process at that time.
    host.start(7, 1, "/usr/bin/containerd-shim", "", "0::/shim\n");
    host.start(8, 900, "/usr/bin/nginx", "nginx\0", "0::/web\n");
    let mut processes = host.processes(8);
    for parent in [7, 8, 99] {
        fork(&mut processes, 20 + parent, parent, 2 * SECOND);
        assert_eq!(processes.resolve(20 + parent), None, "of {parent}");
    }
    assert_eq!(processes.counters().unresolved, 4, "three children and one parent");
}

fn fork(processes: &mut Processes, pid: u32, parent: u32, time_ns: u64) {
    processes.fork(&ProcessFork { pid, parent, time_ns });
}
