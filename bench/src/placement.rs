//! Which CPU runs what.

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// Client and server each on a CPU of their own, where there are two: the kernel's own placing
/// changes between runs, and throughput with it. Alaz stays free and takes its time where it finds
/// it, as it would on any machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Placement {
    /// Of the client.
    client: Option<usize>,
    /// Of the application.
    server: Option<usize>,
}

impl Placement {
    /// By the CPUs that this process may use.
    pub(crate) fn choose() -> anyhow::Result<Placement> {
        let allowed = sched_getaffinity(None).context("asking which CPUs may be used")?;
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        Ok(Placement::of(&cpus, &siblings))
    }

    /// The first CPU, and the next one that is not its hyper-thread; if there is none, the next.
    fn of(cpus: &[usize], siblings: &dyn Fn(usize) -> String) -> Placement {
        let Some((&client, others)) = cpus.split_first() else {
            return Placement { client: None, server: None };
        };
        let core = siblings(client);
        let apart = others.iter().find(|cpu| siblings(**cpu) != core || core.is_empty());
        match apart.or(others.first()) {
            Some(&server) => Placement { client: Some(client), server: Some(server) },
            None => Placement { client: None, server: None },
        }
    }

    pub(crate) fn describe(&self) -> String {
        match (self.client, self.server) {
            (Some(client), Some(server)) => format!(
                "client on CPU {client}, application (nginx: one worker) on CPU {server}, alaz wherever \
                 the kernel puts it"
            ),
            _ => "one CPU for all: client, application and alaz share it".to_owned(),
        }
    }

    /// Runs `work` where the client belongs, with all that it starts.
    pub(crate) fn client<T>(&self, work: impl FnOnce() -> T) -> anyhow::Result<T> {
        on(self.client, work)
    }

    /// Runs `work` where the server belongs, with all that it starts.
    pub(crate) fn server<T>(&self, work: impl FnOnce() -> T) -> anyhow::Result<T> {
        on(self.server, work)
    }
}

/// Processes and threads inherit their CPUs from the thread that starts them.
fn on<T>(cpu: Option<usize>, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let Some(cpu) = cpu else { return Ok(work()) };
    let before = sched_getaffinity(None).context("asking which CPUs may be used")?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("moving to CPU {cpu}"))?;
    let result = work();
    sched_setaffinity(None, &before).context("moving back to all CPUs")?;
    Ok(result)
}

/// The CPUs of the same core, as the kernel lists them; empty when it does not say.
fn siblings(cpu: usize) -> String {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        cpus: &[usize],
        siblings: &dyn Fn(usize) -> String,
    ) -> (Option<usize>, Option<usize>) {
        let placement = Placement::of(cpus, siblings);
        (placement.client, placement.server)
    }

    #[test]
    fn hyper_threads_of_one_core_are_avoided() {
        let neighbours = |cpu: usize| format!("{}-{}", cpu & !1, cpu | 1);
        assert_eq!(chosen(&[0, 1, 2, 3], &neighbours), (Some(0), Some(2)));
        assert_eq!(chosen(&[0, 1], &neighbours), (Some(0), Some(1)));
        let halves = |cpu: usize| format!("{},{}", cpu % 2, cpu % 2 + 2);
        assert_eq!(chosen(&[0, 1, 2, 3], &halves), (Some(0), Some(1)));
        assert_eq!(chosen(&[0, 2, 3], &halves), (Some(0), Some(3)));
    }

    #[test]
    fn an_unknown_topology_or_one_cpu_is_no_problem() {
        assert_eq!(chosen(&[4, 7], &|_| String::new()), (Some(4), Some(7)));
        assert_eq!(chosen(&[4], &|_| String::new()), (None, None));
        assert_eq!(chosen(&[], &|_| String::new()), (None, None));
    }

    #[test]
    fn work_runs_on_the_given_cpu_and_leaves_no_trace() {
        let allowed = sched_getaffinity(None).unwrap();
        let cpu = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap();
        let (count, started) = on(Some(cpu), || {
            let inherited = std::thread::spawn(|| sched_getaffinity(None).unwrap().count());
            (sched_getaffinity(None).unwrap().count(), inherited.join().unwrap())
        })
        .unwrap();
        assert_eq!((count, started), (1, 1));
        assert_eq!(sched_getaffinity(None).unwrap(), allowed);
    }
}
