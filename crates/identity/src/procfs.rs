//! Reading `/proc/PID` with few calls and reused memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cgroup::ControlGroup;

/// Nanoseconds in one of the ticks that `/proc` counts in: `USER_HZ` is 100 on every architecture
/// that Alaz runs on, whatever the kernel's own `CONFIG_HZ`.
const TICK_NS: u64 = 10_000_000;
/// Room for a command line: class paths of several 10 KB are common, with the class after them.
const BUFFER_SIZE: usize = 128 << 10;

/// Where the proc file system is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcRoot(PathBuf);

impl ProcRoot {
    /// At another place than `/proc`: the host's, mounted into a container, or a made-up one.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> ProcRoot {
        ProcRoot(path.into())
    }
}

impl Default for ProcRoot {
    fn default() -> ProcRoot {
        ProcRoot::at("/proc")
    }
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The short name (field 2), that of the thread group's leader.
    pub(crate) comm: Vec<u8>,
    /// It has ended and waits to be reaped (field 3): only this file says anything of it.
    pub(crate) zombie: bool,
    /// The parent's id (field 4).
    pub(crate) parent: u32,
    /// When it started (field 22), ns since boot, in steps of 10 ms. Together with the pid it
    /// names one life of one process.
    pub(crate) started_ns: u64,
}

impl Stat {
    /// Reads the text of `/proc/PID/stat`; `None` where it is not of that form.
    fn parse(text: &[u8]) -> Option<Stat> {
        // The name may hold blanks and parentheses; nothing after it does.
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let comm = text.get(open + 1..close)?;
        let mut fields = text.get(close + 1..)?.trim_ascii().split(|byte| *byte == b' ');
        let state = fields.next()?;
        let parent = number(fields.next()?)?;
        let started_ticks = number(fields.nth(17)?)?;
        Some(Stat {
            comm: comm.to_vec(),
            zombie: matches!(state, b"Z" | b"X" | b"x"),
            parent: u32::try_from(parent).ok()?,
            started_ns: started_ticks.checked_mul(TICK_NS)?,
        })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads files of processes. Where a file cannot be read (the process is gone, or another user's),
/// what it would say is not known.
pub(crate) struct Reader {
    /// The root, then `/PID/file` of the last one read.
    path: Vec<u8>,
    root_length: usize,
    buffer: Vec<u8>,
    /// The file that this program runs.
    own_executable: Option<FileId>,
}

/// Device and inode: names one file under all its names, also once it has none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> Option<FileId> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(FileId(metadata.dev(), metadata.ino()))
    }
}

impl Reader {
    pub(crate) fn new(root: ProcRoot) -> Reader {
        let own_executable = FileId::of(&root.0.join("self/exe"));
        let path = root.0.into_os_string().into_vec();
        Reader { root_length: path.len(), path, buffer: vec![0; BUFFER_SIZE], own_executable }
    }

    /// All processes that there are.
    pub(crate) fn pids(&mut self) -> Vec<u32> {
        self.path.truncate(self.root_length);
        let entries = std::fs::read_dir(OsStr::from_bytes(&self.path)).ok();
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    pub(crate) fn stat(&mut self, pid: u32) -> Option<Stat> {
        Stat::parse(self.read(pid, "stat")?)
    }

    /// Path of the executable, without the mark of one that was removed or replaced since; empty
    /// when not readable.
    pub(crate) fn executable(&mut self, pid: u32) -> Vec<u8> {
        let Ok(target) = std::fs::read_link(self.path(pid, "exe")) else {
            return Vec::new();
        };
        let mut target = target.into_os_string().into_vec();
        if target.ends_with(b" (deleted)") {
            target.truncate(target.len() - b" (deleted)".len());
        }
        target
    }

    /// Whether it runs the same file as this program. Told by the file, not by its name, which
    /// anybody may use.
    pub(crate) fn is_own(&mut self, pid: u32) -> bool {
        self.own_executable.is_some() && FileId::of(self.path(pid, "exe")) == self.own_executable
    }

    pub(crate) fn control_group(&mut self, pid: u32) -> ControlGroup {
        self.read(pid, "cgroup").map(ControlGroup::parse).unwrap_or_default()
    }

    /// Whether its environment, as its program was started with it, holds this `NAME=value`. Looks at
    /// as much of it as the buffer takes.
    pub(crate) fn has_variable(&mut self, pid: u32, variable: &[u8]) -> bool {
        let text = self.read(pid, "environ").unwrap_or_default();
        text.split(|byte| *byte == 0).any(|found| found == variable)
    }

    /// The whole arguments, NUL-separated: one that the buffer cut off is left out.
    pub(crate) fn arguments(&mut self, pid: u32) -> &[u8] {
        let text = self.read(pid, "cmdline").unwrap_or_default();
        if text.len() < BUFFER_SIZE {
            return text;
        }
        let whole = text.iter().rposition(|byte| *byte == 0).unwrap_or(0);
        text.get(..whole).unwrap_or_default()
    }

    /// One call of `read` is enough: the kernel makes each of these files whole, as far as the
    /// buffer reaches.
    fn read(&mut self, pid: u32, name: &str) -> Option<&[u8]> {
        let mut file = File::open(self.path(pid, name)).ok()?;
        let length = loop {
            match file.read(&mut self.buffer) {
                Ok(length) => break length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        };
        self.buffer.get(..length)
    }

    fn path(&mut self, pid: u32, name: &str) -> &Path {
        self.path.truncate(self.root_length);
        // Writing to memory cannot fail.
        let _ = write!(self.path, "/{pid}/{name}");
        Path::new(OsStr::from_bytes(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let rest = "S 811 13846 6804 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 683369 3133440";
        for comm in ["nginx", "a b", ") R 1 (", "((sd-pam))", ""] {
            let text = format!("4242 ({comm}) {rest}\n");
            let expected = Stat {
                comm: comm.as_bytes().to_vec(),
                zombie: false,
                parent: 811,
                started_ns: 6_833_690_000_000,
            };
            assert_eq!(Stat::parse(text.as_bytes()), Some(expected));
        }
        let zombie = format!("1 (x) {}", rest.replacen('S', "Z", 1));
        assert!(Stat::parse(zombie.as_bytes()).is_some_and(|stat| stat.zombie));
    }

    #[test]
    fn what_is_no_stat_is_not_known() {
        for text in ["", "1", "1 (x", "1 x) S", "1 )x( S 1", "1 (x) S 1 2 3", "1 (x) S -"] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_command_line_longer_than_the_buffer_ends_at_a_whole_argument() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("7")).unwrap();
        let long = format!("java\0-cp\0{}\0", "x".repeat(BUFFER_SIZE));
        std::fs::write(folder.path().join("7/cmdline"), long).unwrap();
        let mut reader = Reader::new(ProcRoot::at(folder.path()));
        assert_eq!(reader.arguments(7), b"java\0-cp");
        assert_eq!(reader.arguments(8), b"");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken(text: Vec<u8>) {
            Stat::parse(&text);
        }

        #[test]
        fn any_fields_are_taken(text in r"[0-9]{1,3} \([a-z )(]{0,9}\)( -?[0-9SZ]{0,25}){0,30}") {
            Stat::parse(text.as_bytes());
        }
    }
}
