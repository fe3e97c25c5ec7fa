//! Redis, whose own count of commands is the oracle.

use std::collections::BTreeMap;
use std::process::Command;

use crate::free_port;
use crate::program::{Program, run};

/// A running server that keeps nothing on disk.
pub struct Redis {
    program: Program,
    _folder: tempfile::TempDir,
    /// Where it listens, on loopback.
    pub port: u16,
}

impl Redis {
    /// Starts it.
    #[must_use]
    pub fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
        Redis { program: Program::serve(&mut command, port), _folder: folder, port }
    }

    /// The process that serves.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Runs a program of its package against it.
    pub fn client(&self, name: &str, arguments: &[&str]) -> String {
        run(Command::new(name).args(["-p", &self.port.to_string()]).args(arguments))
    }

    /// How often each command was called, in the words of the exchanges. Asking is an `INFO`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, usize> {
        let read = |line: &str| {
            let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = counts.split(',').next()?.parse().ok()?;
            Some((name.replace('|', " ").to_uppercase(), calls))
        };
        self.client("redis-cli", &["INFO", "commandstats"]).lines().filter_map(read).collect()
    }
}
