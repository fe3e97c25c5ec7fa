//! Why capturing cannot start, and what to do about it.

use std::path::PathBuf;

use crate::attachment::Refusal;

/// Capturing could not start. The message names the cause and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel refused for want of privilege.
    #[error(
        "no permission to load BPF programs: run as root, or with CAP_BPF, CAP_PERFMON and \
         CAP_SYS_PTRACE"
    )]
    Permission,
    /// The kernel does not describe its own types, and no file was given that does.
    #[error(
        "this kernel has no type information ({path} is missing): use a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y, or name a file that describes it with --btf (BTFHub has one for most)"
    )]
    NoBtf {
        /// Where it was looked for.
        path: &'static str,
    },
    /// The file or folder that was given does not describe this kernel.
    #[error("{path}: {reason}")]
    BtfFile {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Process ids would be those of a container, not those the kernel side reports.
    #[error(
        "Alaz runs in a pid namespace of its own and could not tell whose traffic it sees: start \
         the container in the host's (docker run --pid=host, or hostPID: true in Kubernetes)"
    )]
    PidNamespace,
    /// Every way to see traffic was refused by the kernel.
    #[error("the kernel refused every way to see traffic{}", listed(refusals))]
    Refused {
        /// The ways that were tried, best first.
        refusals: Vec<Refusal>,
    },
    /// The ring could not be mapped, or a counter not read.
    #[error("{what}: {cause}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The system's error. A part of the message, so not its source as well.
        cause: std::io::Error,
    },
}

fn listed(refusals: &[Refusal]) -> String {
    let line = |refusal: &Refusal| format!("\n{}: {}", refusal.attachment, refusal.reason);
    refusals.iter().map(line).collect()
}
