//! Which library files are probed, and for whom: each once, as long as any process uses it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::maps::{self, Inode, Mapped};
use super::report::LibraryReport;

/// Library files that are known at once; those of a host's containers are mostly the same ones.
pub(crate) const LIBRARIES_MAX: usize = 256;
/// Processes that are known to use one, each; of more it is only not known when the last is gone.
const PROCESSES_MAX: usize = 65_536;
/// A library stays probed for so long after its last process: the next one of the kind is seen from
/// its first byte on, and what nobody calls costs nothing.
pub(crate) const LINGER: Duration = Duration::from_secs(60);

/// Probes one library file. What it gives keeps the probes in place.
pub(crate) trait Attach {
    type Probes;

    /// # Errors
    /// The reason, for people.
    fn attach(&mut self, file: &Path) -> Result<(Self::Probes, Vec<&'static str>), String>;

    /// Nothing is probed any more.
    fn rest(&mut self) {}
}

pub(crate) struct Libraries<A: Attach> {
    // Dropped in this order: probes before what they run.
    by_inode: HashMap<Inode, Library<A::Probes>>,
    attach: A,
    root: PathBuf,
    /// Those that use some.
    by_process: HashMap<u32, Vec<Inode>>,
    turned_away: u64,
}

struct Library<P> {
    path: PathBuf,
    processes: HashSet<u32>,
    probes: Result<(P, Vec<&'static str>), String>,
    /// Since when no process uses it.
    idle_since: Option<Instant>,
}

impl<A: Attach> Libraries<A> {
    /// Knows none yet. `root` is `/` but in tests.
    pub(crate) fn new(attach: A, root: &Path) -> Libraries<A> {
        Libraries {
            attach,
            root: root.to_owned(),
            by_inode: HashMap::new(),
            by_process: HashMap::new(),
            turned_away: 0,
        }
    }

    /// Looks at all processes that there are.
    pub(crate) fn look_at_all(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.root.join("proc")) else { return };
        for entry in entries.flatten() {
            if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                self.look_at(pid);
            }
        }
    }

    /// Whether the process is known to use a library.
    pub(crate) fn is_known(&self, pid: u32) -> bool {
        self.by_process.contains_key(&pid)
    }

    /// Looks at what a process has mapped.
    pub(crate) fn look_at(&mut self, pid: u32) {
        let folder = self.root.join(format!("proc/{pid}"));
        let Ok(text) = std::fs::read_to_string(folder.join("maps")) else { return };
        for mapped in &maps::libraries(&text) {
            self.uses(pid, mapped, &folder);
        }
    }

    /// A process was born of another, and has the same libraries.
    pub(crate) fn forked(&mut self, pid: u32, parent: u32) {
        let inodes = self.by_process.get(&parent).cloned().unwrap_or_default();
        for inode in inodes {
            self.note(pid, &inode);
        }
    }

    /// A process has ended, or runs another program now.
    pub(crate) fn gone(&mut self, pid: u32, now: Instant) {
        for inode in self.by_process.remove(&pid).unwrap_or_default() {
            if let Some(library) = self.by_inode.get_mut(&inode) {
                library.processes.remove(&pid);
                if library.processes.is_empty() {
                    library.idle_since = Some(now);
                }
            }
        }
    }

    /// Takes the probes off libraries that nobody has used for long, and forgets processes whose end
    /// was not told of.
    pub(crate) fn tidy(&mut self, now: Instant) {
        let root = &self.root;
        let is_there = |pid: &u32| root.join(format!("proc/{pid}")).exists();
        let dead: Vec<_> = self.by_process.keys().filter(|pid| !is_there(pid)).copied().collect();
        dead.into_iter().for_each(|pid| self.gone(pid, now));
        self.by_inode.retain(|_, library| {
            library.idle_since.is_none_or(|since| now.duration_since(since) < LINGER)
        });
        if !self.has_probes() {
            self.attach.rest();
        }
    }

    fn has_probes(&self) -> bool {
        self.by_inode.values().any(|library| library.probes.is_ok())
    }

    /// What is probed and what not, by path.
    pub(crate) fn reports(&self) -> Vec<LibraryReport> {
        let mut reports: Vec<_> = self.by_inode.values().map(report).collect();
        reports.sort_by(|a, b| a.path.cmp(&b.path));
        reports
    }

    /// Libraries that there was no room for.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    fn uses(&mut self, pid: u32, mapped: &Mapped, folder: &Path) {
        if !self.by_inode.contains_key(&mapped.inode) {
            if self.by_inode.len() >= LIBRARIES_MAX {
                self.turned_away += 1;
                return;
            }
            let probes = self.probe(mapped, folder);
            let (path, processes) = (mapped.path.clone(), HashSet::new());
            let library = Library { path, processes, probes, idle_since: None };
            self.by_inode.insert(mapped.inode.clone(), library);
        }
        self.note(pid, &mapped.inode);
    }

    /// The process's own view of its root leads into containers; where the file is not there any more,
    /// its mapping still is.
    fn probe(
        &mut self,
        mapped: &Mapped,
        folder: &Path,
    ) -> Result<(A::Probes, Vec<&'static str>), String> {
        let relative = mapped.path.strip_prefix("/").unwrap_or(&mapped.path);
        let by_path = folder.join("root").join(relative);
        if !mapped.is_deleted
            && let Ok(probes) = self.attach.attach(&by_path)
        {
            return Ok(probes);
        }
        self.attach.attach(&folder.join("map_files").join(&mapped.range))
    }

    fn note(&mut self, pid: u32, inode: &Inode) {
        let Some(library) = self.by_inode.get_mut(inode) else { return };
        if library.processes.len() >= PROCESSES_MAX {
            return;
        }
        library.idle_since = None;
        if library.processes.insert(pid) {
            self.by_process.entry(pid).or_default().push(inode.clone());
        }
    }
}

fn report<P>(library: &Library<P>) -> LibraryReport {
    let (functions, refused) = match &library.probes {
        Ok((_, functions)) => (functions.clone(), None),
        Err(reason) => (Vec::new(), Some(reason.clone())),
    };
    let pids: BTreeSet<u32> = library.processes.iter().copied().collect();
    LibraryReport { path: library.path.clone(), processes: pids, functions, refused }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Which files were probed, and how often each was let go again.
    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Vec<(PathBuf, bool)>>>);

    struct Held(Rc<RefCell<Vec<(PathBuf, bool)>>>, usize);

    impl Drop for Held {
        fn drop(&mut self) {
            self.0.borrow_mut()[self.1].1 = true;
        }
    }

    impl Attach for Fake {
        type Probes = Held;

        fn attach(&mut self, file: &Path) -> Result<(Held, Vec<&'static str>), String> {
            if file.to_string_lossy().contains("broken") {
                return Err("no such function".to_owned());
            }
            self.0.borrow_mut().push((file.to_owned(), false));
            Ok((Held(Rc::clone(&self.0), self.0.borrow().len() - 1), vec!["SSL_write"]))
        }
    }

    fn process(root: &Path, pid: u32, libraries: &[(u32, &str)]) {
        let folder = root.join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        let line = |(inode, path): &(u32, &str)| format!("1-2 r-xp 0 fe:00 {inode} {path}\n");
        std::fs::write(folder.join("maps"), libraries.iter().map(line).collect::<String>())
            .unwrap();
    }

    #[test]
    fn a_library_is_probed_once_and_until_its_last_process_is_long_gone() {
        let root = tempfile::tempdir().unwrap();
        let fake = Fake::default();
        let mut libraries = Libraries::new(fake.clone(), root.path());
        process(root.path(), 10, &[(7, "/lib/libssl.so.3")]);
        process(root.path(), 11, &[(7, "/lib/libssl.so.3"), (8, "/opt/libssl.so.1.1")]);
        process(root.path(), 12, &[(9, "/lib/libc.so.6")]);
        libraries.look_at_all();
        libraries.look_at(10);
        libraries.look_at(99);
        assert_eq!(fake.0.borrow().len(), 2);
        libraries.forked(13, 10);

        let start = Instant::now();
        std::fs::remove_dir_all(root.path().join("proc/11")).unwrap();
        process(root.path(), 13, &[]);
        libraries.tidy(start);
        libraries.tidy(start + LINGER);
        let held: Vec<_> =
            fake.0.borrow().iter().map(|(path, gone)| (path.clone(), *gone)).collect();
        let is_gone = |name| held.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
        assert!(is_gone("opt/libssl.so.1.1") && !is_gone("lib/libssl.so.3"));

        libraries.gone(10, start);
        libraries.gone(13, start);
        libraries.tidy(start);
        assert!(libraries.has_probes(), "it lingers");
        // A new process in time keeps it.
        process(root.path(), 14, &[(7, "/lib/libssl.so.3")]);
        libraries.look_at(14);
        libraries.tidy(start + LINGER);
        assert!(libraries.has_probes());
        libraries.gone(14, start);
        libraries.tidy(start + LINGER);
        assert!(!libraries.has_probes() && libraries.by_process.is_empty());
    }

    #[test]
    fn what_is_refused_is_tried_by_its_mapping_and_said() {
        let root = tempfile::tempdir().unwrap();
        let fake = Fake::default();
        let mut libraries = Libraries::new(fake.clone(), root.path());
        process(root.path(), 10, &[(7, "/broken/libssl.so.3"), (8, "/lib/libssl.so.3 (deleted)")]);
        libraries.look_at(10);
        let tried: Vec<_> = fake.0.borrow().iter().map(|(path, _)| path.clone()).collect();
        let mapping = root.path().join("proc/10/map_files/1-2");
        assert_eq!(tried, [mapping.clone(), mapping]);
        let mut refused = Libraries::new(Refuse, root.path());
        refused.look_at(10);
        refused.look_at(10);
        assert!(!refused.has_probes());
        let reports = refused.reports();
        assert_eq!(reports.len(), 2);
        assert_eq!(reports[0].refused.as_deref(), Some("never"));
    }

    struct Refuse;

    impl Attach for Refuse {
        type Probes = ();

        fn attach(&mut self, _: &Path) -> Result<((), Vec<&'static str>), String> {
            Err("never".to_owned())
        }
    }

    #[test]
    fn more_than_are_known_are_turned_away() {
        let root = tempfile::tempdir().unwrap();
        let mut libraries = Libraries::new(Fake::default(), root.path());
        let names: Vec<_> =
            (0..=LIBRARIES_MAX as u32).map(|inode| (inode, "/libssl.so.3")).collect();
        process(root.path(), 10, &names);
        libraries.look_at(10);
        assert_eq!((libraries.reports().len(), libraries.turned_away()), (LIBRARIES_MAX, 1));
    }
}
