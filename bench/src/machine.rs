//! The machine that the numbers are of.

use libbpf_rs::query::LinkInfoIter;
use serde::Serialize;

/// What a reader must know to compare the numbers with others.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Release of the kernel.
    pub(crate) kernel: String,
    pub(crate) architecture: String,
    /// CPUs that this process may use.
    pub(crate) cpus: usize,
    /// As the kernel names it; empty when it does not.
    pub(crate) cpu_model: String,
    /// Processes that were running or waiting for a CPU in the last minute, before the start.
    pub(crate) load_average: f64,
    /// Programs of others that were attached somewhere, before the start: their cost is in every
    /// state.
    pub(crate) other_bpf_links: usize,
}

impl Machine {
    pub(crate) fn look() -> Machine {
        let system = rustix::system::uname();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Machine {
            kernel: system.release().to_string_lossy().into_owned(),
            architecture: system.machine().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: cpu_model(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            load_average: load.split(' ').next().and_then(|one| one.parse().ok()).unwrap_or(0.0),
            other_bpf_links: LinkInfoIter::default().count(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        let model = if self.cpu_model.is_empty() { "unknown CPUs" } else { &self.cpu_model };
        format!(
            "Linux {} {}, {} × {model}; load average {} and {} foreign BPF links before the start",
            self.kernel, self.architecture, self.cpus, self.load_average, self.other_bpf_links
        )
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let value = line.and_then(|line| line.split_once(':'));
    value.map(|(_, name)| name.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_has_a_name_on_some_machines() {
        let x86 = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9R14\n\nprocessor\t: 1\n";
        assert_eq!(cpu_model(x86), "AMD EPYC 9R14");
        assert_eq!(cpu_model("processor\t: 0\nCPU part\t: 0xd40\n"), "");
    }
}
