//! What a process has used so far, by `/proc` (proc_pid_stat(5), proc_pid_status(5)).

use std::time::Duration;

use anyhow::Context;

/// CPU time of a process, all its threads, user and system. In steps of the kernel's clock tick,
/// 10 ms mostly.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    cpu_time_of(pid, 2)
}

fn cpu_time_of(pid: u32, fields: usize) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let ticks = cpu_ticks(&text, fields)
        .with_context(|| format!("{path} is of an unknown form: {text}"))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The same, with that of the processes that it started, which are over.
pub(crate) fn cpu_time_with_children(pid: u32) -> anyhow::Result<Duration> {
    cpu_time_of(pid, 4)
}

/// The most memory that was resident at once, bytes.
pub(crate) fn peak_rss_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let kib = high_water_kib(&text).with_context(|| format!("{path} has no VmHWM"))?;
    Ok(kib * 1024)
}

/// utime, stime, cutime and cstime, the first so many of the fields from 14 on. The name in parentheses may hold anything, so count behind it.
fn cpu_ticks(stat: &str, fields: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut values = rest.split_whitespace().skip(11);
    (0..fields).map(|_| values.next()?.parse::<u64>().ok()).sum()
}

fn high_water_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_confuse() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194304 163 0 0 0 700 50 40 3 20 0 1 0 9 0 0";
        assert_eq!(cpu_ticks(stat, 2), Some(750));
        assert_eq!(cpu_ticks(stat, 4), Some(793));
        assert_eq!(cpu_ticks("42 (a) S 1 2 3", 2), None);
        assert_eq!(cpu_ticks("", 2), None);
    }

    #[test]
    fn memory_has_a_unit() {
        assert_eq!(high_water_kib("Name:\tx\nVmHWM:\t   30720 kB\nVmRSS:\t 1 kB\n"), Some(30_720));
        assert_eq!(high_water_kib("VmHWM:\t30720\n"), None);
        assert_eq!(high_water_kib(""), None);
    }

    #[test]
    fn this_process_uses_some() {
        let pid = std::process::id();
        assert!(peak_rss_bytes(pid).unwrap() > 1 << 20);
        let before = cpu_time(pid).unwrap();
        while cpu_time(pid).unwrap() == before {
            std::hint::spin_loop();
        }
    }
}
