//! The table of processes: facts by pid, each for one life of it only.
//!
//! Pids are reused, programs replace each other in one process, and exchanges are finished after
//! the process that made them is gone. So a pid's slot holds its present life, with when that began
//! and ended, and the one before it for as long as exchanges of it may still come.

use std::sync::Arc;

use alaz_model::{Clock, Endpoint, Exchange, Process, ProcessExec, ProcessExit, ProcessFork};
use hashbrown::HashMap;

use crate::cgroup::ControlGroup;
use crate::exec::Exec;
use crate::opt_out::{OptOut, VARIABLE};
use crate::procfs::{ProcRoot, Reader, Stat};
use crate::program::Program;
use crate::text::{NAME_LIMIT, PATH_LIMIT, clean};
use crate::workload::workload;

/// How long an ended process is remembered: its last exchanges wait for the watermark, and for the
/// other end's view, seconds at most.
const GRACE_NS: u64 = 30_000_000_000;
/// How old an answer of `/proc` may be before it is asked again whether this is still the same
/// process. Only for lost exit events: those that arrive end a life at once.
const CHECK_NS: u64 = 5_000_000_000;
/// Between two passes over the table.
const SWEEP_NS: u64 = 1_000_000_000;
/// A life that has not ended.
const RUNNING: u64 = u64::MAX;

/// Programs that fork inside their own control group and move the child before it runs: what is
/// known of them says nothing about their children. Beginnings of short names.
const MOVERS: &[&[u8]] =
    &[b"systemd", b"containerd-shim", b"runc", b"crun", b"conmon", b"lxc-", b"sshd"];

/// How the table is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Processes in the table now.
    pub cached: u64,
    /// Processes dropped because the table was full; asked for again, they are read again.
    pub evicted: u64,
    /// Processes of which nothing could be found: gone before they were asked, and not seen to
    /// start; or not visible to this user.
    pub unresolved: u64,
}

/// Processes by pid, bounded.
///
/// Times are ns on the monotonic clock and come with the events; between events the table does not
/// age. What is known longest without being asked for is dropped first when the table is full.
pub struct Processes {
    table: HashMap<u32, Slot>,
    limit: usize,
    /// None: facts come from events and [`Processes::insert`] only.
    reader: Option<Reader>,
    opt_out: OptOut,
    now_ns: u64,
    swept_ns: u64,
    counters: Counters,
}

/// What is known of one pid.
struct Slot {
    facts: Facts,
    /// When this life began, as far as it is told from the one before; 0: before it was first seen.
    since_ns: u64,
    /// When it ended, or [`RUNNING`].
    ended_ns: u64,
    /// When `/proc` last answered for it, or failed to.
    checked_ns: u64,
    /// When it was last asked for, or began or ended.
    used_ns: u64,
    before: Option<Box<Before>>,
}

/// What is known of one life.
enum Facts {
    /// Not asked yet; what its beginning told.
    Unread(Option<Beginning>),
    Known(Arc<Process>),
    /// Asked, and nothing was found.
    Nothing,
}

/// How a life began.
enum Beginning {
    Fork(Fork),
    Exec(Exec),
}

/// A process that was born and has not started a program: it runs on that of an ancestor.
#[derive(Clone, Copy)]
struct Fork {
    parent: u32,
    /// The nearest ancestor that is more than such a process itself, and when it was one.
    program: u32,
    program_ns: u64,
}

/// The life before the present one.
struct Before {
    process: Arc<Process>,
    until_ns: u64,
}

impl Slot {
    fn new(facts: Facts, since_ns: u64, used_ns: u64) -> Slot {
        Slot { facts, since_ns, ended_ns: RUNNING, checked_ns: used_ns, used_ns, before: None }
    }

    /// Another life begins in the same pid.
    fn replace(&mut self, facts: Facts, since_ns: u64) {
        if let Facts::Known(process) = std::mem::replace(&mut self.facts, facts) {
            let until_ns = self.ended_ns.min(since_ns);
            self.before = Some(Box::new(Before { process, until_ns }));
        }
        self.since_ns = since_ns;
        self.ended_ns = RUNNING;
    }

    /// `/proc` tells of another process than the one that is known. It began after that one ended;
    /// where that was not noticed, when `/proc` says, but never after now: started times count the
    /// time that the machine was suspended, event times do not.
    fn reuse(&mut self, started_ns: u64, now_ns: u64) {
        let since_ns = match self.ended_ns {
            RUNNING => started_ns.min(now_ns),
            ended_ns => ended_ns.saturating_add(1),
        };
        self.replace(Facts::Unread(None), since_ns);
    }

    /// The life before, if it lasted until `time_ns`.
    fn before(&self, time_ns: u64) -> Option<Arc<Process>> {
        let before = self.before.as_deref().filter(|before| time_ns <= before.until_ns)?;
        Some(Arc::clone(&before.process))
    }

    fn forgettable(&self, now_ns: u64) -> bool {
        let last = match self.facts {
            Facts::Nothing => self.used_ns,
            _ => self.ended_ns,
        };
        last.saturating_add(GRACE_NS) <= now_ns
    }
}

impl Processes {
    /// At most `limit` processes, read from `root` when they are first asked for.
    #[must_use]
    pub fn new(root: ProcRoot, limit: usize) -> Processes {
        Processes::with(Some(Reader::new(root)), limit)
    }

    /// Of this host, from its `/proc`.
    #[must_use]
    pub fn live(limit: usize) -> Processes {
        Processes::new(ProcRoot::default(), limit)
    }

    /// Of another time or host: only what events and [`Processes::insert`] tell.
    #[must_use]
    pub fn recorded(limit: usize) -> Processes {
        Processes::with(None, limit)
    }

    fn with(reader: Option<Reader>, limit: usize) -> Processes {
        Processes {
            table: HashMap::new(),
            limit: limit.max(1),
            reader,
            opt_out: OptOut::default(),
            now_ns: 0,
            swept_ns: 0,
            counters: Counters::default(),
        }
    }

    /// The same, with processes that the settings opt out; see [`Process::opted_out`].
    #[must_use]
    pub fn opting_out(self, opt_out: OptOut) -> Processes {
        Processes { opt_out, ..self }
    }

    /// Processes that run now and are opted out. Looks at every one that there is.
    pub fn opted_out(&mut self) -> Vec<u32> {
        let Some(reader) = &mut self.reader else { return Vec::new() };
        let mut opted_out = reader.pids();
        opted_out.retain(|pid| {
            let comm = reader.stat(*pid).map(|stat| stat.comm).unwrap_or_default();
            reader.has_variable(*pid, VARIABLE)
                || self.opt_out.names(&comm, &reader.executable(*pid))
        });
        opted_out
    }

    /// A process is born. Where it is gone before it is asked for, it has its parent's facts.
    pub fn fork(&mut self, fork: &ProcessFork) {
        let (parent, time_ns) = (fork.parent, fork.time_ns);
        let inherited = match self.table.get(&parent).map(|slot| (slot, &slot.facts)) {
            Some((slot, Facts::Unread(Some(Beginning::Fork(born)))))
                if slot.since_ns <= time_ns =>
            {
                Fork { parent, ..*born }
            }
            _ => Fork { parent, program: parent, program_ns: time_ns },
        };
        self.begin(fork.pid, time_ns, Beginning::Fork(inherited));
    }

    /// A program starts: whatever was known of the pid is no longer so. Returns whether it is opted
    /// out.
    pub fn exec(&mut self, exec: &ProcessExec<'_>) -> bool {
        let mut begun = Exec::new(exec);
        begun.opted_out = exec.opted_out || self.opt_out.names(begun.comm(), begun.executable());
        let opted_out = begun.opted_out;
        self.begin(exec.pid, exec.time_ns, Beginning::Exec(begun));
        opted_out
    }

    fn begin(&mut self, pid: u32, time_ns: u64, beginning: Beginning) {
        self.now_ns = self.now_ns.max(time_ns);
        let facts = Facts::Unread(Some(beginning));
        if let Some(slot) = self.table.get_mut(&pid) {
            // Late by way of another ring: of a life that is over.
            if time_ns < slot.since_ns {
                return;
            }
            let ended_ns = slot.ended_ns;
            slot.replace(facts, time_ns);
            slot.used_ns = self.now_ns;
            if time_ns <= ended_ns {
                slot.ended_ns = ended_ns;
            }
            return;
        }
        self.make_room();
        self.table.insert(pid, Slot::new(facts, time_ns, self.now_ns));
    }

    /// A process ends. Its facts stay for 30 s, since exchanges of it may not be finished.
    pub fn exit(&mut self, exit: &ProcessExit) {
        self.now_ns = self.now_ns.max(exit.time_ns);
        let Some(slot) = self.table.get_mut(&exit.pid) else { return };
        // Late, of a life before this one; or the second of two.
        if exit.time_ns < slot.since_ns || slot.ended_ns != RUNNING {
            return;
        }
        slot.ended_ns = exit.time_ns;
        slot.used_ns = self.now_ns;
        if matches!(slot.facts, Facts::Nothing) && slot.before.is_none() {
            self.table.remove(&exit.pid);
        }
    }

    /// Facts that were found elsewhere, such as in a recording: of the pid's present life.
    pub fn insert(&mut self, process: Arc<Process>) {
        let pid = process.pid;
        if let Some(slot) = self.table.get_mut(&pid) {
            slot.used_ns = self.now_ns;
            if matches!(slot.facts, Facts::Known(_)) && slot.ended_ns != RUNNING {
                slot.replace(Facts::Known(process), slot.ended_ns.saturating_add(1));
            } else {
                slot.facts = Facts::Known(process);
            }
            return;
        }
        self.make_room();
        self.table.insert(pid, Slot::new(Facts::Known(process), 0, self.now_ns));
    }

    /// The process that has, or last had, this pid. The first time it is read from `/proc`; then
    /// it is one look into a table. `None` where nothing can be found, and for pid 0.
    ///
    /// Ask at the first sign of a process: those that live for milliseconds are gone later, and
    /// then only what their start told is known.
    pub fn resolve(&mut self, pid: u32) -> Option<Arc<Process>> {
        self.resolve_at(pid, RUNNING)
    }

    /// Fills in the processes of both ends, where their pids are known. `clock` is the one that
    /// the exchange's time was made with: it tells which life of a pid the exchange was of.
    pub fn identify(&mut self, exchange: &mut Exchange, clock: &Clock) {
        // The end: a server may be started by the request that it then answers.
        let ended_ns = exchange
            .time
            .0
            .saturating_sub(clock.unix_at_zero_ns)
            .saturating_add(exchange.latency_ns.unwrap_or(0));
        let fill = |processes: &mut Processes, endpoint: &mut Endpoint| {
            if endpoint.pid != 0 {
                endpoint.process = processes.resolve_at(endpoint.pid, ended_ns);
            }
        };
        fill(self, &mut exchange.client);
        fill(self, &mut exchange.server);
    }

    /// The time is `now_ns`: forgets what ended 30 s ago. Costs a pass over the table once a second,
    /// else nothing.
    pub fn advance(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        if self.now_ns.saturating_sub(self.swept_ns) < SWEEP_NS {
            return;
        }
        self.swept_ns = self.now_ns;
        self.table.retain(|_, slot| {
            let expired =
                |before: &mut Box<Before>| before.until_ns.saturating_add(GRACE_NS) <= self.now_ns;
            slot.before.take_if(expired);
            slot.before.is_some() || !slot.forgettable(self.now_ns)
        });
    }

    /// How the table is doing.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { cached: self.table.len() as u64, ..self.counters }
    }

    /// The process that had this pid at this time.
    fn resolve_at(&mut self, pid: u32, time_ns: u64) -> Option<Arc<Process>> {
        if pid == 0 {
            return None;
        }
        if let Some(slot) = self.table.get_mut(&pid) {
            slot.used_ns = self.now_ns;
            if time_ns < slot.since_ns {
                return slot.before(time_ns);
            }
            let certain = match slot.ended_ns {
                RUNNING => self.now_ns.saturating_sub(slot.checked_ns) < CHECK_NS,
                ended_ns => time_ns <= ended_ns,
            };
            match &slot.facts {
                Facts::Known(process) if certain => return Some(Arc::clone(process)),
                Facts::Nothing if certain => return None,
                _ => {}
            }
        }
        self.look(pid, time_ns)
    }

    /// Asks `/proc`: the first time, and when it is in doubt whether this is still the same life.
    #[cold]
    fn look(&mut self, pid: u32, time_ns: u64) -> Option<Arc<Process>> {
        let now_ns = self.now_ns;
        let stat = self.reader.as_mut().and_then(|reader| reader.stat(pid));
        if !self.table.contains_key(&pid) {
            self.make_room();
        }
        let slot =
            self.table.entry(pid).or_insert_with(|| Slot::new(Facts::Unread(None), 0, now_ns));
        slot.checked_ns = now_ns;
        match (&slot.facts, &stat) {
            (Facts::Known(process), Some(stat)) if stat.started_ns != process.started_ns => {
                slot.reuse(stat.started_ns, now_ns);
            }
            // Any exit was that of the life before: this one had been read ahead of it.
            (Facts::Known(_), Some(stat)) if !stat.zombie => slot.ended_ns = RUNNING,
            // It ended, and that was not noticed. A recording cannot be asked.
            (Facts::Known(_), None) if self.reader.is_some() => {
                slot.ended_ns = slot.ended_ns.min(now_ns);
            }
            // It ended before it was ever asked for, and yet there is one: another.
            (_, Some(stat)) if slot.ended_ns != RUNNING && !stat.zombie => {
                self.settle(pid, None);
                self.table.get_mut(&pid)?.reuse(stat.started_ns, now_ns);
            }
            _ => {}
        }
        let slot = self.table.get(&pid)?;
        match &slot.facts {
            _ if time_ns < slot.since_ns => slot.before(time_ns),
            Facts::Known(process) => Some(Arc::clone(process)),
            Facts::Unread(_) | Facts::Nothing => self.settle(pid, stat),
        }
    }

    /// Finds out what can be known of the present life, `stat` being what `/proc` says of it.
    fn settle(&mut self, pid: u32, stat: Option<Stat>) -> Option<Arc<Process>> {
        let asked = std::mem::replace(&mut self.table.get_mut(&pid)?.facts, Facts::Nothing);
        let first = !matches!(asked, Facts::Nothing);
        let process = match asked {
            Facts::Unread(Some(Beginning::Fork(fork))) => self.read_born(pid, stat, fork),
            Facts::Unread(Some(Beginning::Exec(exec))) => self.read(pid, stat, Some(exec)),
            Facts::Unread(None) | Facts::Nothing => self.read(pid, stat, None),
            Facts::Known(process) => Some(process),
        };
        match &process {
            Some(process) => self.table.get_mut(&pid)?.facts = Facts::Known(Arc::clone(process)),
            None => self.counters.unresolved += u64::from(first),
        }
        process
    }

    /// The facts of a process that started no program: its own while it is there, else those of the
    /// program that it ran on, unless it may have been moved away from that one's control group.
    fn read_born(&mut self, pid: u32, stat: Option<Stat>, fork: Fork) -> Option<Arc<Process>> {
        let started_ns = stat.as_ref().map_or(0, |stat| stat.started_ns);
        if let Some(stat) = stat.filter(|stat| !stat.zombie) {
            let own = self.read(pid, Some(stat), None);
            // What is read while a process ends is read in part; this goes before it is a zombie.
            if self.reader.as_mut().is_some_and(|reader| !reader.executable(pid).is_empty()) {
                return own;
            }
        }
        let program = self.resolve_at(fork.program, fork.program_ns)?;
        // One that started later has only its pid.
        if program.started_ns > fork.program_ns || moves_children(program.name.as_bytes()) {
            return None;
        }
        Some(Arc::new(Process { pid, parent: fork.parent, started_ns, ..(*program).clone() }))
    }

    /// The facts of a process: from `/proc` where it is there, completed by what its start told.
    fn read(&mut self, pid: u32, stat: Option<Stat>, exec: Option<Exec>) -> Option<Arc<Process>> {
        let present = stat.is_some();
        let mut executable = Vec::new();
        let mut group = ControlGroup::default();
        let mut is_alaz = false;
        let mut opted_out = exec.as_ref().is_some_and(|exec| exec.opted_out);
        if let Some(reader) = self.reader.as_mut().filter(|_| present) {
            is_alaz = reader.is_own(pid);
            opted_out = opted_out || reader.has_variable(pid, VARIABLE);
            executable = reader.executable(pid);
            group = reader.control_group(pid);
        }
        let (comm, parent, started_ns) = match (stat, &exec) {
            (Some(stat), _) => (stat.comm, stat.parent, stat.started_ns),
            (None, Some(exec)) => (exec.comm().to_vec(), exec.parent, 0),
            (None, None) => return None,
        };
        if let Some(exec) = &exec {
            if executable.is_empty() {
                executable = exec.executable().to_vec();
            }
            if group.path.is_empty() {
                group = self.inherited(exec);
            }
        }
        let arguments = match self.reader.as_mut().filter(|_| present) {
            Some(reader) => reader.arguments(pid),
            None => b"",
        };
        let arguments = match &exec {
            Some(exec) if arguments.is_empty() => exec.arguments(),
            _ => arguments,
        };
        let program = Program { comm: &comm, executable: &executable, arguments };
        let (workload, kind) = workload(&program, &group);
        Some(Arc::new(Process {
            pid,
            parent,
            started_ns,
            name: clean(&comm, NAME_LIMIT),
            executable: clean(&executable, PATH_LIMIT),
            cgroup: group.path,
            container: group.container,
            workload,
            kind,
            is_alaz,
            opted_out: opted_out || self.opt_out.names(&comm, &executable),
        }))
    }

    /// The parent's control group, which a child is born into; nothing where the parent is not
    /// known, was another process when the child began, or moves its children.
    fn inherited(&mut self, exec: &Exec) -> ControlGroup {
        if let Some(slot) = self.table.get(&exec.parent)
            && let Facts::Known(parent) = &slot.facts
            && (slot.since_ns..=slot.ended_ns).contains(&exec.time_ns)
        {
            return match moves_children(parent.name.as_bytes()) {
                true => ControlGroup::default(),
                false => ControlGroup::at(parent.cgroup.as_bytes()),
            };
        }
        let Some(reader) = &mut self.reader else { return ControlGroup::default() };
        match reader.stat(exec.parent) {
            // Started times count suspension too: after one a parent may be doubted wrongly,
            // never believed wrongly.
            Some(stat) if stat.started_ns <= exec.time_ns && !moves_children(&stat.comm) => {
                reader.control_group(exec.parent)
            }
            _ => ControlGroup::default(),
        }
    }

    /// Makes sure that one more fits: drops the sixteenth that was longest not asked for, so that
    /// the pass over the table is shared by as many insertions.
    fn make_room(&mut self) {
        if self.table.len() < self.limit {
            return;
        }
        let mut ages: Vec<(u64, u32)> =
            self.table.iter().map(|(pid, slot)| (slot.used_ns, *pid)).collect();
        let batch = (self.limit / 16).clamp(1, ages.len());
        ages.select_nth_unstable(batch - 1);
        for (_, pid) in ages.iter().take(batch) {
            self.table.remove(pid);
        }
        self.counters.evicted += batch as u64;
    }
}

fn moves_children(name: &[u8]) -> bool {
    MOVERS.iter().any(|mover| name.starts_with(mover))
}

#[cfg(test)]
mod tests;
