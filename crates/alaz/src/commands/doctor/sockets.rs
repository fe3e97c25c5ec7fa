//! What a process talks over, by its descriptors and the tables of its network namespace.

use std::path::Path;

use serde::Serialize;

/// Sockets and rings that a process has open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sockets {
    /// Established TCP connections.
    pub(super) connections: usize,
    /// TCP ports that it listens on, each once.
    pub(super) listening: Vec<u16>,
    /// UDP sockets.
    pub(super) udp: usize,
    /// Unix domain sockets, of any kind.
    pub(super) unix: usize,
    /// Rings of io_uring.
    pub(super) io_uring: usize,
    /// Queues of asynchronous I/O (`io_setup(2)`).
    pub(super) aio: usize,
}

/// States of proc_net_tcp(5).
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

impl Sockets {
    /// Of the process whose folder below `/proc` this is; `None` where its descriptors may not be
    /// read.
    pub(super) fn of(process: &Path) -> Option<Sockets> {
        let descriptors: Vec<_> = std::fs::read_dir(process.join("fd"))
            .ok()?
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect();
        let is_own = |inode: &str| descriptors.contains(&format!("socket:[{inode}]"));
        let table = |name: &str| {
            let text = std::fs::read_to_string(process.join("net").join(name));
            let rows = text.unwrap_or_default();
            let rows = rows.lines().skip(1);
            rows.map(|row| row.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        // Columns: number, local, remote, state, …, inode as the tenth.
        let inet = |name: &str| {
            let own = |row: &Vec<String>| row.get(9).is_some_and(|inode| is_own(inode));
            [table(name), table(&format!("{name}6"))].concat().into_iter().filter(own)
        };
        let mut sockets = Sockets {
            io_uring: descriptors.iter().filter(|target| target.contains("[io_uring]")).count(),
            // A queue is a mapping of that name, and no descriptor (fs/aio.c).
            aio: std::fs::read_to_string(process.join("maps"))
                .map_or(0, |maps| maps.lines().filter(|line| line.contains(" /[aio]")).count()),
            udp: inet("udp").count(),
            // Of proc_net_unix the seventh.
            unix: table("unix")
                .iter()
                .filter(|row| row.get(6).is_some_and(|inode| is_own(inode)))
                .count(),
            ..Sockets::default()
        };
        for row in inet("tcp") {
            match row.get(3).map(String::as_str) {
                Some(ESTABLISHED) => sockets.connections += 1,
                Some(LISTEN) => sockets.listening.extend(row.get(1).and_then(|at| port(at))),
                _ => {}
            }
        }
        sockets.listening.sort_unstable();
        sockets.listening.dedup();
        Some(sockets)
    }
}

/// `1F90` of `0100007F:1F90`.
fn port(address: &str) -> Option<u16> {
    u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_process_itself_has_open_counts() {
        let folder = tempfile::tempdir().unwrap();
        let process = folder.path();
        assert_eq!(Sockets::of(process), None);
        std::fs::create_dir(process.join("fd")).unwrap();
        std::fs::create_dir(process.join("net")).unwrap();
        for (number, target) in [
            "socket:[11]",
            "socket:[12]",
            "socket:[13]",
            "socket:[14]",
            "anon_inode:[io_uring]",
            "/a",
        ]
        .iter()
        .enumerate()
        {
            std::os::unix::fs::symlink(target, process.join(format!("fd/{number}"))).unwrap();
        }
        let row = |state: &str, inode: u32| {
            format!("  0: 0100007F:1F90 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0 100\n")
        };
        let head = "  sl  local_address rem_address st tx rx tr tm uid timeout inode\n";
        let tcp = [head, &row("0A", 11), &row("01", 12), &row("01", 99), &row("06", 13)].concat();
        std::fs::write(process.join("net/tcp"), tcp).unwrap();
        std::fs::write(process.join("net/udp6"), [head, &row("07", 13)].concat()).unwrap();
        let unix = "Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 1 1 1 14 /run/a\n";
        std::fs::write(process.join("net/unix"), unix).unwrap();
        let maps = "7f-80 rw-s 00000000 00:0f 99   /[aio] (deleted)\n80-81 r-xp 0 08:01 9 /aio\n";
        std::fs::write(process.join("maps"), maps).unwrap();
        let expected =
            Sockets { connections: 1, listening: vec![8080], udp: 1, unix: 1, io_uring: 1, aio: 1 };
        assert_eq!(Sockets::of(process), Some(expected));
    }
}
