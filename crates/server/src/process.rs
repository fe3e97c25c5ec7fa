//! What Alaz itself takes of the machine.

/// CPU and memory of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnProcess {
    /// CPU time in user and kernel mode together, s.
    pub cpu_seconds: f64,
    /// Memory that is resident.
    pub resident_bytes: u64,
}

impl OwnProcess {
    /// From proc_pid_stat(5) and proc_pid_statm(5); zeroes where they cannot be read.
    #[must_use]
    pub fn read() -> OwnProcess {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}"));
        let (stat, statm) = (read("stat").unwrap_or_default(), read("statm").unwrap_or_default());
        OwnProcess {
            cpu_seconds: cpu_ticks(&stat).unwrap_or(0) as f64
                / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: resident_pages(&statm).unwrap_or(0) * rustix::param::page_size() as u64,
        }
    }
}

/// utime and stime: fields 14 and 15, counted behind the name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 100 1 2\n";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
        assert_eq!(resident_pages("9000 1234 800 1 0 2 0\n"), Some(1234));
        assert!(OwnProcess::read().resident_bytes > 0);
    }
}
