//! TLS libraries in what a process has mapped (`/proc/PID/maps`, proc_pid_maps(5)).

use std::path::PathBuf;

/// A file, whatever its name: device and inode, as the kernel writes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Inode {
    device: String,
    number: u64,
}

/// A TLS library that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) inode: Inode,
    /// As the process sees it, below its own root.
    pub(crate) path: PathBuf,
    /// The file has been replaced or taken away since.
    pub(crate) is_deleted: bool,
    /// The range of addresses, by which `/proc/PID/map_files` names it.
    pub(crate) range: String,
}

/// The TLS libraries in the text of a process's `maps`, each once.
pub(crate) fn libraries(maps: &str) -> Vec<Mapped> {
    let mut found: Vec<Mapped> = Vec::new();
    for mapped in maps.lines().filter_map(library) {
        if found.iter().all(|known| known.inode != mapped.inode) {
            found.push(mapped);
        }
    }
    found
}

/// Address range, rights, offset, device, inode and path, of which only the last may hold blanks.
fn library(line: &str) -> Option<Mapped> {
    let (path, is_deleted) = match line.strip_suffix(" (deleted)") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let path = path.get(path.find('/')?..)?;
    let name = path.rsplit('/').next()?;
    if !is_library(name) {
        return None;
    }
    let mut fields = line.split_ascii_whitespace();
    let range = fields.next()?.to_owned();
    let device = fields.nth(2)?.to_owned();
    let number = fields.next()?.parse().ok()?;
    Some(Mapped { inode: Inode { device, number }, path: path.into(), is_deleted, range })
}

/// `libssl.so.3`, `libssl.so.1.1`, and as wheels of Python bring it, `libssl-1a2b3c.so.1.1`. That of
/// NSS is called `libssl3.so`, and has other functions.
fn is_library(name: &str) -> bool {
    name.strip_prefix("libssl").is_some_and(|rest| {
        rest.starts_with(".so") || rest.starts_with('-') && rest.contains(".so")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c1a00000-55d0c1a30000 r--p 00000000 fe:00 131 /usr/sbin/nginx
7f10a0000000-7f10a0021000 r--p 00000000 fe:00 777 /usr/lib/x86_64-linux-gnu/libssl.so.3
7f10a0021000-7f10a0080000 r-xp 00021000 fe:00 777 /usr/lib/x86_64-linux-gnu/libssl.so.3
7f10a1000000-7f10a1001000 r-xp 00000000 fe:01 9 /opt/my app/libssl-1a2b.so.1.1 (deleted)
7f10a2000000-7f10a2001000 r-xp 00000000 fe:01 10 /usr/lib/libssl3.so
7f10a2000000-7f10a2001000 r-xp 00000000 fe:01 11 /usr/lib/libcrypto.so.3
7ffc5f000000-7ffc5f021000 rw-p 00000000 00:00 0 [stack]
";

    #[test]
    fn each_library_is_found_once() {
        let found = libraries(MAPS);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].path, PathBuf::from("/usr/lib/x86_64-linux-gnu/libssl.so.3"));
        assert_eq!(found[0].inode, Inode { device: "fe:00".to_owned(), number: 777 });
        assert_eq!((found[0].is_deleted, &*found[0].range), (false, "7f10a0000000-7f10a0021000"));
        assert_eq!(found[1].path, PathBuf::from("/opt/my app/libssl-1a2b.so.1.1"));
        assert!(found[1].is_deleted);
    }

    #[test]
    fn lines_that_end_anywhere_do_no_harm() {
        for end in 0..MAPS.len() {
            let _ = libraries(&MAPS[..end]);
        }
        assert_eq!(libraries("/libssl.so.3"), []);
        assert_eq!(libraries("a b c d e /libssl.so.3"), []);
    }
}
