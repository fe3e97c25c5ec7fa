//! What a process holds in the kernel, and what is left of it.

use std::collections::BTreeSet;

use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter};

/// Programs, maps and links, by the kernel's ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Programs.
    pub programs: BTreeSet<u32>,
    /// Maps.
    pub maps: BTreeSet<u32>,
    /// Links: programs that are attached.
    pub links: BTreeSet<u32>,
}

impl Objects {
    /// Those that a process holds open (proc_pid_fdinfo(5)).
    #[must_use]
    pub fn of_process(pid: u32) -> Objects {
        let mut objects = Objects::default();
        for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten() {
            let info = std::fs::read_to_string(entry.path()).unwrap_or_default();
            for line in info.lines() {
                let Some((name, value)) = line.split_once(':') else { continue };
                let Ok(id) = value.trim().parse() else { continue };
                match name {
                    "prog_id" => objects.programs.insert(id),
                    "map_id" => objects.maps.insert(id),
                    "link_id" => objects.links.insert(id),
                    _ => continue,
                };
            }
        }
        objects
    }

    /// Those of these that the kernel still has.
    #[must_use]
    pub fn left(&self) -> Objects {
        let programs: BTreeSet<_> = ProgInfoIter::default().map(|info| info.id).collect();
        let maps: BTreeSet<_> = MapInfoIter::default().map(|info| info.id).collect();
        let links: BTreeSet<_> = LinkInfoIter::default().map(|info| info.id).collect();
        Objects {
            programs: &self.programs & &programs,
            maps: &self.maps & &maps,
            links: &self.links & &links,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Objects::default()
    }
}

/// Everything pinned on this machine: paths below `/sys/fs/bpf`.
#[must_use]
pub fn pinned() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/fs/bpf");
    entries.into_iter().flatten().flatten().map(|e| e.path().display().to_string()).collect()
}
