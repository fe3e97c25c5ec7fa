//! Hooks on the ends of kernel functions (kretprobes) that many threads are in at once.
//!
//! The kernel catches the return of a limited number of calls at a time, by default twice the
//! number of CPUs: too few for a function in which threads wait for data. More are to be had only
//! through tracefs, where a probe is a line in a file (Documentation/trace/kprobetrace.rst). Such a
//! line is not tied to its process: it is taken out when the hook goes, and one that a killed
//! process left (disarmed: it costs nothing) when the next capture starts.

use std::io::Write;
use std::path::{Path, PathBuf};

use libbpf_rs::{Link, ProgramMut, TracepointCategory};

/// What the kernel allows at most (KRETPROBE_MAXACTIVE_MAX). About 400 KB of kernel memory.
const CALLS_AT_ONCE: u32 = 4096;
const GROUP: &str = "alaz";

/// A line in `kprobe_events`. Drop it after the link that uses it.
pub(crate) struct ReturnProbe {
    events: PathBuf,
    name: String,
}

impl ReturnProbe {
    /// Hooks `program` on the end of `function`.
    pub(crate) fn attach(
        program: &ProgramMut<'_>,
        function: &str,
    ) -> Result<(Link, ReturnProbe), String> {
        let events = events_file().ok_or("tracefs is not mounted")?;
        let name = format!("{function}_{}", std::process::id());
        append(&events, &format!("r{CALLS_AT_ONCE}:{GROUP}/{name} {function}"))?;
        let probe = ReturnProbe { events, name };
        let category = TracepointCategory::Custom(GROUP.to_owned());
        match program.attach_tracepoint(category, &probe.name) {
            Ok(link) => Ok((link, probe)),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

impl Drop for ReturnProbe {
    fn drop(&mut self) {
        // A failure leaves a disarmed line, which the next start finds.
        let _ = remove(&self.events, &self.name);
    }
}

/// Takes out what processes left that are no more.
pub(crate) fn remove_leftovers() {
    let Some(events) = events_file() else { return };
    let lines = std::fs::read_to_string(&events).unwrap_or_default();
    for name in leftovers(&lines, |pid| Path::new("/proc").join(pid).exists()) {
        let _ = remove(&events, name);
    }
}

fn leftovers(lines: &str, is_alive: impl Fn(&str) -> bool) -> Vec<&str> {
    let names = lines.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.strip_prefix(GROUP)?.strip_prefix('/')?.split(' ').next()
    });
    names.filter(|name| name.rsplit('_').next().is_some_and(|pid| !is_alive(pid))).collect()
}

fn events_file() -> Option<PathBuf> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .map(|folder| Path::new(folder).join("kprobe_events"))
        .find(|file| file.exists())
}

fn remove(events: &Path, name: &str) -> Result<(), String> {
    append(events, &format!("-:{GROUP}/{name}"))
}

/// One write, which the kernel takes as one command.
fn append(events: &Path, command: &str) -> Result<(), String> {
    std::fs::OpenOptions::new()
        .append(true)
        .open(events)
        .and_then(|mut file| file.write_all(format!("{command}\n").as_bytes()))
        .map_err(|error| format!("{}: {error}", events.display()))
}

#[cfg(test)]
mod tests {
    use super::leftovers;

    #[test]
    fn only_what_a_dead_process_left_goes() {
        let lines = "r4096:alaz/tcp_recvmsg_12 tcp_recvmsg\np:other/tcp_recvmsg_12 tcp_recvmsg\n\
                     r4096:alaz/tcp_sendmsg_13 tcp_sendmsg\n";
        assert_eq!(leftovers(lines, |pid| pid == "13"), ["tcp_recvmsg_12"]);
        assert!(leftovers("", |_| false).is_empty());
    }
}
