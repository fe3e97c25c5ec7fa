//! The name of a program: what a person would say is running.

use compact_str::CompactString;

use crate::exec::names;
use crate::interpreter;
use crate::text::{NAME_LIMIT, clean, file_name};

/// What is known of a program in execution.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Program<'a> {
    /// The kernel's short name.
    pub(crate) comm: &'a [u8],
    /// Path of the executable, or empty.
    pub(crate) executable: &'a [u8],
    /// The arguments, NUL-separated, or what the program has overwritten them with.
    pub(crate) arguments: &'a [u8],
}

impl<'a> Program<'a> {
    /// The script, jar, class or module that an interpreter runs; else the program's own name.
    pub(crate) fn name(&self) -> CompactString {
        interpreter::name(self)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| clean(self.own_name(), NAME_LIMIT))
    }

    /// The arguments one by one, the program's name first.
    pub(crate) fn arguments(&self) -> Arguments<'a> {
        // Rewritten titles are padded with NULs.
        let end = self.arguments.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Arguments(self.arguments.get(..end).filter(|arguments| !arguments.is_empty()))
    }

    /// The first word of the first argument, without folders, and without what title writers put
    /// around it: `nginx: master process …`, `[celeryd: …`, `-bash`.
    pub(crate) fn title(&self) -> &'a [u8] {
        let first = self.arguments().next().unwrap_or_default();
        let word = first.split(|byte| *byte == b' ').next().unwrap_or_default();
        let word = word.strip_prefix(b"-").unwrap_or(word);
        let word = word.strip_prefix(b"[").unwrap_or(word);
        file_name(word.strip_suffix(b":").unwrap_or(word))
    }

    /// The name of the program itself.
    fn own_name(&self) -> &'a [u8] {
        // What was called, where it is what the kernel started: a link's name says more than its
        // target's (`redis-server` → `redis-check-rdb`, `httpd` → `busybox`).
        let title = self.title();
        if !title.is_empty() && names(self.comm, title) {
            return title;
        }
        // Else the file: threads and titles are named by the program as it likes. A file in memory
        // only (`memfd_create(2)`) has no name that anybody knows.
        let file = file_name(self.executable);
        if !file.is_empty() && !self.executable.starts_with(b"/memfd:") {
            return file;
        }
        [self.comm, title].into_iter().find(|name| !name.is_empty()).unwrap_or(b"unknown")
    }
}

/// The arguments of a program.
#[derive(Clone, Debug)]
pub(crate) struct Arguments<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let mut halves = rest.splitn(2, |byte| *byte == 0);
        let argument = halves.next();
        self.0 = halves.next();
        argument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_what_it_was_started_as() {
        for (comm, executable, arguments, name) in [
            ("curl", "/usr/bin/curl", "curl\0-u\0user:password\0http://a/\0", "curl"),
            ("nginx", "/usr/sbin/nginx", "nginx: worker process\0\0\0\0", "nginx"),
            (
                "nginx",
                "/usr/sbin/nginx",
                "nginx: master process /usr/sbin/nginx -g daemon off;",
                "nginx",
            ),
            (
                "postgres",
                "/usr/lib/postgresql/16/bin/postgres",
                "postgres: 16/main: shop shop [local] idle\0",
                "postgres",
            ),
            (
                "redis-server",
                "/usr/bin/redis-check-rdb",
                "/usr/bin/redis-server 127.0.0.1:6379\0\0",
                "redis-server",
            ),
            ("httpd", "/bin/busybox", "httpd\0-f\0", "httpd"),
            (
                "clickhouse-serv",
                "/usr/bin/clickhouse",
                "/usr/bin/clickhouse-server\0--config=x\0",
                "clickhouse-server",
            ),
            // The main thread has another name than its program.
            ("worker-main", "/opt/acme/shop", "/opt/acme/shop\0--token\0secret\0", "shop"),
            ("shop", "/opt/acme/shop", "", "shop"),
            ("main", "/tmp/go-build123/b001/exe/main", "/tmp/go-build123/b001/exe/main\0", "main"),
            ("runc:[2:INIT]", "/memfd:runc_cloned:/proc/self/exe", "runc\0init\0", "runc:[2:INIT]"),
            ("my app", "/opt/My Tools/my app", "/opt/My Tools/my app\0", "my app"),
            ("private", "", "", "private"),
            ("", "", "tool\0", "tool"),
            ("", "", "", "unknown"),
            ("a\x1b[1m", "", "", "a\u{fffd}[1m"),
        ] {
            let program = Program {
                comm: comm.as_bytes(),
                executable: executable.as_bytes(),
                arguments: arguments.as_bytes(),
            };
            assert_eq!(program.name(), name, "{comm} {executable} {arguments:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_and_names_are_short(comm: Vec<u8>, executable: Vec<u8>, arguments: Vec<u8>) {
            let program = Program { comm: &comm, executable: &executable, arguments: &arguments };
            let name = program.name();
            assert!(!name.is_empty() && name.chars().count() <= NAME_LIMIT);
            assert!(!name.chars().any(char::is_control));
        }
    }
}
