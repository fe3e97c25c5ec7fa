//! Why capturing cannot start, and what to do about it.

/// Capturing could not start. The message names the cause and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel refused for want of privilege.
    #[error(
        "no permission to load BPF programs: run as root, or with CAP_BPF, CAP_PERFMON and \
         CAP_SYS_PTRACE"
    )]
    Permission,
    /// The kernel does not describe its own types.
    #[error(
        "this kernel has no type information ({path} is missing): Alaz needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf {
        /// Where it was looked for.
        path: &'static str,
    },
    /// Process ids would be those of a container, not those the kernel side reports.
    #[error(
        "Alaz runs in a pid namespace of its own and could not tell whose traffic it sees: start \
         the container in the host's (docker run --pid=host, or hostPID: true in Kubernetes)"
    )]
    PidNamespace,
    /// A program was refused by the kernel.
    #[error("the kernel refused the program {program}: {reason}{}", log_excerpt(log))]
    Refused {
        /// Which one.
        program: &'static str,
        /// The kernel's error.
        reason: String,
        /// The end of what libbpf and the verifier said.
        log: String,
    },
    /// The ring could not be mapped, or a counter not read.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

fn log_excerpt(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("\n{log}") }
}
