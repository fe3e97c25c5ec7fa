//! What this machine allows: one function per fact, for `alaz doctor` and for people's questions.
//!
//! Facts are read below a root that tests replace. Whether programs load and attach is not inferred
//! from them but tried, with the programs themselves (see [`surroundings`] and [`trial`]).

use std::path::Path;

use serde::Serialize;

use crate::{
    Attachment, Capture, LibraryReport, Options, ProgramReport, Refusal, TlsReport, release,
};

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Alaz works, but something is missing.
    Degraded,
    /// Alaz cannot work.
    Failed,
}

/// One fact about this machine, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when nothing.
    pub remedy: String,
}

impl Check {
    fn new(name: &str, verdict: Verdict, found: impl Into<String>, remedy: &str) -> Check {
        let remedy = if verdict == Verdict::Ok { String::new() } else { remedy.to_owned() };
        Check { name: name.to_owned(), verdict, found: found.into(), remedy }
    }
}

/// The facts that capturing with these options depends on, read below `root` (`/` but in tests).
#[must_use]
pub fn surroundings(root: &Path, options: &Options) -> Vec<Check> {
    vec![
        kernel_release(root),
        type_information(root, options.btf.as_deref()),
        pid_namespace(root),
        capabilities(root),
        lockdown(root),
    ]
}

/// What came of trying to capture.
#[derive(Clone, Debug)]
pub struct Trial {
    /// How it went, program by program.
    pub checks: Vec<Check>,
    /// How traffic is seen; `None` where it is not.
    pub attachment: Option<Attachment>,
    /// What was read inside TLS.
    pub tls: TlsReport,
    /// Better ways to see it that were refused, and why.
    pub refusals: Vec<Refusal>,
    /// What is attached, and what was refused and why.
    pub reports: Vec<ProgramReport>,
    /// Why nothing could be captured.
    pub error: Option<String>,
}

/// Loads and attaches every program for a moment, as capturing would, with a small ring.
#[must_use]
pub fn trial(options: &Options) -> Trial {
    let options = Options { ring_bytes: 64 << 10, connections: 64, ..options.clone() };
    match Capture::start(&options) {
        Ok(capture) => {
            let programs = capture.reports().iter().map(program);
            let traffic = std::iter::once(attachment(&capture)).chain(programs);
            let tls = capture.tls();
            let checks = traffic.chain(inside_tls(&tls)).collect();
            Trial {
                checks,
                attachment: Some(capture.attachment()),
                tls,
                refusals: capture.refusals().to_vec(),
                reports: capture.reports().to_vec(),
                error: None,
            }
        }
        Err(error) => {
            let remedy = "mend what is marked above, then try again";
            let check = Check::new("programs", Verdict::Failed, error.to_string(), remedy);
            Trial {
                checks: vec![check],
                attachment: None,
                tls: TlsReport::default(),
                refusals: Vec::new(),
                reports: Vec::new(),
                error: Some(error.to_string()),
            }
        }
    }
}

/// How traffic is seen, and why not in a better way.
fn attachment(capture: &Capture) -> Check {
    let mut found = format!("seen by {}", capture.attachment());
    for refusal in capture.refusals() {
        // The rest is the verifier's.
        let reason = refusal.reason.lines().next().unwrap_or_default();
        found.push_str(&format!("; not by {}: {reason}", refusal.attachment));
    }
    if capture.attachment() == Attachment::Syscall {
        found.push_str("; so what io_uring moves is not seen");
    }
    Check::new("traffic", Verdict::Ok, found, "")
}

fn program(report: &ProgramReport) -> Check {
    let (verdict, found) = match &report.refused {
        None => (Verdict::Ok, format!("attached: {}", report.purpose)),
        Some(reason) => {
            (Verdict::Degraded, format!("refused, so without {}: {reason}", report.purpose))
        }
    };
    let name = format!("program {}", report.program);
    Check::new(&name, verdict, found, "see the kernel's reason")
}

/// Which TLS libraries are probed, each with its functions, and which are not.
fn inside_tls(tls: &TlsReport) -> Vec<Check> {
    let name = "inside TLS";
    if let Some(reason) = &tls.refused {
        let found = format!("refused, so nothing is read inside TLS: {reason}");
        return vec![Check::new(name, Verdict::Degraded, found, "see the kernel's reason")];
    }
    if tls.libraries.is_empty() {
        let found = "no process uses OpenSSL's library now; those that will are found then";
        return vec![Check::new(name, Verdict::Ok, found, "")];
    }
    tls.libraries.iter().map(library).collect()
}

fn library(library: &LibraryReport) -> Check {
    let (path, users) = (library.path.display(), library.processes.len());
    let (verdict, found) = match &library.refused {
        None => {
            let functions = library.functions.join(", ");
            (Verdict::Ok, format!("{path}, used by {users}: {functions}"))
        }
        Some(reason) => (Verdict::Degraded, format!("{path}, used by {users}, not: {reason}")),
    };
    Check::new("inside TLS", verdict, found, "what these processes encrypt is only counted")
}

/// The ring buffer came with 5.8; 5.10 is the oldest kernel that Alaz is made for.
fn kernel_release(root: &Path) -> Check {
    let release = read(root, "proc/sys/kernel/osrelease");
    let verdict = if release::version(&release) >= (5, 10) { Verdict::Ok } else { Verdict::Failed };
    Check::new("kernel", verdict, release, "Alaz needs Linux 5.10 or newer")
}

fn type_information(root: &Path, file: Option<&Path>) -> Check {
    let (verdict, found) = match file {
        Some(file) => (Verdict::Ok, format!("given by {}", file.display())),
        None if root.join("sys/kernel/btf/vmlinux").exists() => {
            (Verdict::Ok, "the kernel describes its types (BTF)".to_owned())
        }
        None => (Verdict::Failed, "/sys/kernel/btf/vmlinux is missing".to_owned()),
    };
    Check::new(
        "type information",
        verdict,
        found,
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or name a file that describes this one: \
         --btf FILE (BTFHub has one for most)",
    )
}

fn pid_namespace(root: &Path) -> Check {
    let namespace = std::fs::read_link(root.join("proc/self/ns/pid")).unwrap_or_default();
    let (verdict, found) = if namespace.as_os_str() == crate::kernel::FIRST_PID_NAMESPACE {
        (Verdict::Ok, "the host's".to_owned())
    } else {
        (Verdict::Failed, format!("one of its own ({})", namespace.display()))
    };
    Check::new(
        "pid namespace",
        verdict,
        found,
        "start the container with --pid=host (Docker) or hostPID: true (Kubernetes)",
    )
}

/// include/uapi/linux/capability.h: number, name, what for, and whether Alaz works without.
const CAPABILITIES: [(u32, &str, &str, Verdict); 3] = [
    (39, "CAP_BPF", "loading programs", Verdict::Failed),
    (38, "CAP_PERFMON", "reading kernel and application memory", Verdict::Failed),
    (CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "names of other users' processes", Verdict::Degraded),
];
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_PTRACE: u32 = 19;

/// Whether the files of other users' processes may be read below `/proc`, by the facts below `root`.
#[must_use]
pub fn may_read_processes(root: &Path) -> bool {
    effective_capabilities(root) >> CAP_SYS_PTRACE & 1 == 1
}

fn effective_capabilities(root: &Path) -> u64 {
    let status = read(root, "proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|value| u64::from_str_radix(value.trim(), 16).ok()).unwrap_or(0)
}

fn capabilities(root: &Path) -> Check {
    let effective = effective_capabilities(root);
    let has = |number: u32| effective >> number & 1 == 1;
    // CAP_SYS_ADMIN stands for the two newer ones (capabilities(7)).
    let missing: Vec<_> = CAPABILITIES
        .iter()
        .filter(|(number, ..)| !(has(*number) || has(CAP_SYS_ADMIN) && *number >= 38))
        .collect();
    let verdict = missing.iter().map(|(.., verdict)| *verdict).max().unwrap_or(Verdict::Ok);
    let found = if missing.is_empty() {
        "all that are needed".to_owned()
    } else {
        let list: Vec<_> =
            missing.iter().map(|(_, name, purpose, _)| format!("{name} ({purpose})")).collect();
        format!("missing {}", list.join(", "))
    };
    Check::new("capabilities", verdict, found, "run as root, or grant them to the program")
}

/// In confidentiality mode the kernel refuses that programs read its memory (kernel_lockdown(7)).
fn lockdown(root: &Path) -> Check {
    let modes = read(root, "sys/kernel/security/lockdown");
    let mode = modes.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap_or("none");
    let verdict = if mode == "confidentiality" { Verdict::Failed } else { Verdict::Ok };
    Check::new("lockdown", verdict, mode, "boot with lockdown=integrity or none")
}

fn read(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine made of a few files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let namespaces = root.path().join("proc/self/ns");
        std::fs::create_dir_all(&namespaces).unwrap();
        std::os::unix::fs::symlink("pid:[4026531836]", namespaces.join("pid")).unwrap();
        root
    }

    fn verdicts(root: &tempfile::TempDir) -> Vec<Verdict> {
        surroundings(root.path(), &Options::default()).iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn a_usual_machine_has_all() {
        let root = machine(&[
            ("proc/sys/kernel/osrelease", "6.1.0-56-cloud-amd64\n"),
            ("sys/kernel/btf/vmlinux", ""),
            ("proc/self/status", "Name:\tx\nCapEff:\t000001fffeffffff\n"),
            ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
        ]);
        assert_eq!(verdicts(&root), [Verdict::Ok; 5]);
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let root = machine(&[
            ("proc/sys/kernel/osrelease", "5.4.0-200-generic\n"),
            ("proc/self/status", "CapEff:\t0000000000080000\n"),
            ("sys/kernel/security/lockdown", "none integrity [confidentiality]\n"),
        ]);
        use Verdict::{Failed, Ok};
        assert_eq!(verdicts(&root), [Failed, Failed, Ok, Failed, Failed]);
        let checks = surroundings(root.path(), &Options::default());
        assert!(checks[3].found.contains("CAP_BPF") && !checks[3].found.contains("SYS_PTRACE"));
        assert!(checks.iter().all(|c| c.remedy.is_empty() == (c.verdict == Ok)));
    }

    #[test]
    fn a_file_stands_in_for_the_kernels_types() {
        let root = machine(&[("proc/sys/kernel/osrelease", "5.10.0-46-amd64\n")]);
        assert_eq!(type_information(root.path(), None).verdict, Verdict::Failed);
        let check = type_information(root.path(), Some(Path::new("/x.btf")));
        assert_eq!((check.verdict, check.found.as_str()), (Verdict::Ok, "given by /x.btf"));
    }

    #[test]
    fn without_ptrace_only_names_are_missing() {
        let root = machine(&[("proc/self/status", "CapEff:\t000000c000000000\n")]);
        let check = capabilities(root.path());
        assert_eq!(check.verdict, Verdict::Degraded);
        let root = machine(&[("proc/self/status", "CapEff:\t0000000000280000\n")]);
        assert_eq!(capabilities(root.path()).verdict, Verdict::Ok);
    }
}
