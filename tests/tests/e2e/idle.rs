//! What Alaz takes when there is nothing to do.

use std::time::Duration;

use alaz_tests::alaz::Server;
use alaz_tests::{say, turn_to_capture};

const LONG_ENOUGH: Duration = Duration::from_secs(5);
const MOST_KIB: u64 = 60 << 10;

#[test]
fn idle_it_is_small() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut alaz = Server::start();
    let pid = alaz.program().pid();
    let before = cpu_ticks(pid);
    std::thread::sleep(LONG_ENOUGH);
    let ticks = cpu_ticks(pid) - before;
    let hertz = rustix::param::clock_ticks_per_second() as f64;
    let share = ticks as f64 / hertz / LONG_ENOUGH.as_secs_f64();
    let resident = resident_kib(pid);
    // The machine may be busy with other things, which Alaz sees: CPU is told, not judged.
    say(&format!("{:.1} MiB resident, {:.1} % of a core", resident as f64 / 1024.0, share * 100.0));
    assert!(resident < MOST_KIB, "{resident} KiB resident");
}

/// utime and stime of proc_pid_stat(5).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
