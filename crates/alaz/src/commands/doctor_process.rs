//! `alaz doctor --pid`: what one process is called, and what could be seen of it.

use std::io::Write;

use alaz_identity::Processes;
use anyhow::bail;
use serde::Serialize;

use crate::output::plain::plain;

/// What is known of one process.
#[derive(Serialize)]
pub(crate) struct ProcessReport {
    pid: u32,
    name: String,
    workload: String,
    executable: String,
    cgroup: String,
    container: String,
    /// Established TCP connections of its own.
    connections: usize,
    /// TLS libraries that it has loaded.
    tls_libraries: Vec<String>,
    /// Rings of io_uring that it has open; what they move is not seen.
    io_uring: usize,
}

/// Reads `/proc/PID`.
pub(crate) fn explain(pid: u32) -> anyhow::Result<ProcessReport> {
    let Some(process) = Processes::live(1).resolve(pid) else {
        bail!("there is no process {pid}, or it is not visible: check the number, run as root");
    };
    let descriptors = descriptors(pid);
    let io_uring = descriptors.iter().filter(|target| target.contains("[io_uring]")).count();
    Ok(ProcessReport {
        pid,
        name: process.name.to_string(),
        workload: process.workload.to_string(),
        executable: process.executable.to_string(),
        cgroup: process.cgroup.to_string(),
        container: process.container.as_ref().map_or_else(String::new, |c| c.id.to_string()),
        connections: connections(pid, &descriptors),
        tls_libraries: tls_libraries(pid),
        io_uring,
    })
}

impl ProcessReport {
    pub(crate) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let shown =
            |text: &str| if text.is_empty() { "not known".to_owned() } else { text.to_owned() };
        writeln!(out, "Process {} is shown as “{}”", self.pid, plain(&self.workload))?;
        for (what, value) in [
            ("name", shown(&self.name)),
            ("executable", shown(&self.executable)),
            ("control group", shown(&self.cgroup)),
            (
                "container",
                if self.container.is_empty() { "none".into() } else { self.container.clone() },
            ),
            ("TCP connections", self.connections.to_string()),
            (
                "TLS libraries",
                if self.tls_libraries.is_empty() {
                    "none loaded".into()
                } else {
                    self.tls_libraries.join(", ")
                },
            ),
            (
                "io_uring",
                if self.io_uring == 0 {
                    "not used".into()
                } else {
                    format!("{} rings: what they move is not seen", self.io_uring)
                },
            ),
        ] {
            writeln!(out, "      {what:<24} {}", plain(&value))?;
        }
        Ok(())
    }
}

/// Targets of its open descriptors.
fn descriptors(pid: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// Established (state 01) sockets of its network namespace that it holds, by inode (proc_net_tcp).
fn connections(pid: u32, descriptors: &[String]) -> usize {
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .map(|table| {
            table
                .lines()
                .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
                .filter(|fields| fields.get(3) == Some(&"01"))
                .filter_map(|fields| fields.get(9).map(|inode| format!("socket:[{inode}]")))
                .filter(|socket| descriptors.contains(socket))
                .count()
        })
        .sum()
}

fn tls_libraries(pid: u32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found: Vec<String> = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .filter(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            ["libssl", "libgnutls", "libnss3", "libmbedtls"].iter().any(|tls| name.starts_with(tls))
        })
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}
