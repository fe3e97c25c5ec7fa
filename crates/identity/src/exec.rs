//! What the start of a program told, kept for the case that the process is gone before it is asked.

use alaz_model::ProcessExec;

use crate::text::file_name;

/// Longest short name of the kernel, without its NUL (`TASK_COMM_LEN` less one).
const COMM_LENGTH: usize = 15;

/// The facts of an exec event, in one piece of memory: most of them are never looked at again.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) parent: u32,
    pub(crate) time_ns: u64,
    /// Its environment or the settings opt it out.
    pub(crate) opted_out: bool,
    /// `comm`, `filename`, `arguments`.
    bytes: Box<[u8]>,
    filename_at: usize,
    arguments_at: usize,
}

impl Exec {
    pub(crate) fn new(exec: &ProcessExec<'_>) -> Exec {
        Exec {
            parent: exec.parent,
            time_ns: exec.time_ns,
            opted_out: false,
            bytes: [exec.comm, exec.filename, whole(exec.arguments)].concat().into_boxed_slice(),
            filename_at: exec.comm.len(),
            arguments_at: exec.comm.len() + exec.filename.len(),
        }
    }

    /// The short name.
    pub(crate) fn comm(&self) -> &[u8] {
        self.bytes.get(..self.filename_at).unwrap_or_default()
    }

    /// The whole arguments, NUL-separated.
    pub(crate) fn arguments(&self) -> &[u8] {
        self.bytes.get(self.arguments_at..).unwrap_or_default()
    }

    /// Path of the executable; empty where the event does not tell it.
    pub(crate) fn executable(&self) -> &[u8] {
        let filename = self.bytes.get(self.filename_at..self.arguments_at).unwrap_or_default();
        // The kernel has just made the short name from the path, so a path that ends otherwise was
        // cut on its way here. A relative one says nothing without the working directory.
        if !filename.starts_with(b"/") || !names(self.comm(), file_name(filename)) {
            return b"";
        }
        // A script is run by its `#!` interpreter, which the kernel puts before it: the interpreter,
        // at most one argument, the script (`execve(2)`).
        let mut arguments = self.arguments().split(|byte| *byte == 0);
        match arguments.next() {
            Some(interpreter)
                if interpreter.starts_with(b"/")
                    && interpreter != filename
                    && arguments.take(2).any(|argument| argument == filename) =>
            {
                interpreter
            }
            _ => filename,
        }
    }
}

/// Whether a short name is that of a file, as far as the kernel keeps it.
pub(crate) fn names(comm: &[u8], file: &[u8]) -> bool {
    file == comm || (comm.len() == COMM_LENGTH && file.starts_with(comm))
}

/// Without a last argument that is not closed by NUL: it was cut, and half a name is a wrong one.
fn whole(arguments: &[u8]) -> &[u8] {
    let end = arguments.iter().rposition(|byte| *byte == 0).map_or(0, |last| last + 1);
    arguments.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(comm: &str, filename: &str, arguments: &str) -> Exec {
        Exec::new(&ProcessExec {
            pid: 1,
            parent: 0,
            time_ns: 0,
            comm: comm.as_bytes(),
            filename: filename.as_bytes(),
            arguments: arguments.as_bytes(),
            opted_out: false,
        })
    }

    #[test]
    fn the_executable_of_a_script_is_its_interpreter() {
        let plain = exec("curl", "/usr/bin/curl", "curl\0http://a/\0");
        assert_eq!(plain.executable(), b"/usr/bin/curl");
        let script =
            exec("gunicorn", "/opt/gunicorn", "/usr/bin/python3\0/opt/gunicorn\0shop.wsgi\0");
        assert_eq!(script.executable(), b"/usr/bin/python3");
        let with_flag = exec("run.sh", "/srv/run.sh", "/bin/sh\0-e\0/srv/run.sh\0");
        assert_eq!(with_flag.executable(), b"/bin/sh");
        let on_itself = exec("cat", "/bin/cat", "cat\0/bin/cat\0");
        assert_eq!(on_itself.executable(), b"/bin/cat");
    }

    #[test]
    fn what_was_cut_is_left_out() {
        assert_eq!(exec("server", "/very/long/path/ser", "").executable(), b"");
        assert_eq!(exec("server", "./server", "").executable(), b"");
        let long = exec("a-program-with-", "/opt/a-program-with-a-name", "");
        assert_eq!(long.executable(), b"/opt/a-program-with-a-name");
        assert_eq!(exec("python3", "", "python3\0/srv/mai").arguments(), b"python3\0");
        assert_eq!(exec("python3", "", "python3").arguments(), b"");
    }
}
