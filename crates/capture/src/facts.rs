//! What the kernel is like, as far as the programs must know.

use std::path::Path;

use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::{Func, FuncProto};

use crate::release;

/// Where kernels with type information (BTF) have it.
pub(crate) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Facts about the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// How many arguments `tcp_recvmsg` has.
    pub(crate) receive_arguments: u32,
    /// `tcp_sendpage` is there, which 6.5 took away.
    pub(crate) has_send_page: bool,
    /// UDP over IPv6 is there, and no module that may come and go.
    pub(crate) has_udp6: bool,
    /// A thread can lose its CPU while one of our programs runs for it. Meanwhile the kernel skips
    /// that program for the threads that get the CPU, and what they do is not seen: it keeps
    /// programs from being entered twice on one CPU. Kprobes and tracepoints do not let it happen.
    pub(crate) preempts: bool,
    /// In tracepoints too, but not in their older kind.
    pub(crate) preempts_tracepoints: bool,
}

impl Facts {
    /// Functions are told by `btf`, a file, or the kernel's own type information; where that does
    /// not describe functions (BTFHub also has files that were cut down to some structures), by the
    /// kernel's version.
    pub(crate) fn read(btf: Option<&Path>) -> Facts {
        let btf = Btf::from_path(btf.unwrap_or(Path::new(KERNEL_BTF))).ok();
        let version = release::version(&release::running());
        let preempts = preempts(&release::build(), Path::new("/"));
        Facts::new(btf.as_ref(), version, preempts)
    }

    fn new(btf: Option<&Btf<'_>>, version: (u32, u32), preempts: bool) -> Facts {
        let parameters = |function| btf.and_then(|btf| parameters(btf, function));
        let (receive_arguments, has_send_page) = match parameters("tcp_recvmsg") {
            Some(number) => (number, parameters("tcp_sendpage").is_some()),
            // That it went from 5 to 4 later makes a difference to fexit only, which does not work
            // without descriptions.
            None => (if version < (5, 19) { 6 } else { 5 }, version < (6, 5)),
        };
        let has_udp6 = parameters("udp_sendmsg").is_none() || parameters("udpv6_sendmsg").is_some();
        let preempts_tracepoints = preempts && version >= (7, 0);
        Facts { receive_arguments, has_send_page, has_udp6, preempts, preempts_tracepoints }
    }
}

/// How many the function has; `None` when it is not described.
fn parameters(btf: &Btf<'_>, function: &str) -> Option<u32> {
    let prototype = btf.type_by_name::<Func<'_>>(function)?.next_type()?;
    FuncProto::try_from(prototype).ok().map(|prototype| prototype.len() as u32)
}

/// By what `uname -v` says, and facts below `root`, `/` but in tests.
fn preempts(build: &str, root: &Path) -> bool {
    if !build.contains("PREEMPT") {
        return false;
    }
    // Kernels with PREEMPT_DYNAMIC can do without, and have the mode in parentheses here.
    let modes = std::fs::read_to_string(root.join("sys/kernel/debug/sched/preempt"));
    !modes.is_ok_and(|modes| modes.contains("(none)") || modes.contains("(voluntary)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_counted_by_their_parameters() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &crate::objects::SYSCALLS.0).unwrap();
        let btf = Btf::from_path(file.path()).unwrap();
        assert_eq!(parameters(&btf, "introduce"), Some(5));
        assert_eq!(parameters(&btf, "record_segment"), Some(4));
        assert_eq!(parameters(&btf, "tcp_recvmsg"), None);
    }

    #[test]
    fn without_descriptions_the_version_tells() {
        let facts = |version| {
            let facts = Facts::new(None, version, true);
            (facts.receive_arguments, facts.has_send_page, facts.preempts_tracepoints)
        };
        assert_eq!(facts((5, 10)), (6, true, false));
        assert_eq!(facts((5, 19)), (5, true, false));
        assert_eq!(facts((6, 5)), (5, false, false));
        assert_eq!(facts((7, 0)), (5, false, true));
    }

    #[test]
    fn a_kernel_that_can_and_does_not_is_told_by_its_mode() {
        let root = tempfile::tempdir().unwrap();
        assert!(!preempts("#1 SMP Debian 5.10.262-1", root.path()));
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2";
        assert!(preempts(dynamic, root.path()));
        let folder = root.path().join("sys/kernel/debug/sched");
        std::fs::create_dir_all(&folder).unwrap();
        for (modes, expected) in [
            ("none (voluntary) full\n", false),
            ("none voluntary (full)\n", true),
            ("full (lazy)\n", true),
        ] {
            std::fs::write(folder.join("preempt"), modes).unwrap();
            assert_eq!(preempts(dynamic, root.path()), expected, "{modes}");
        }
    }
}
