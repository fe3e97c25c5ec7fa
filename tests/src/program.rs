//! A process that a test started, with its output in files, ended when it goes out of scope.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, holds_within, wait_until};

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    output: tempfile::TempDir,
}

impl Program {
    /// Starts a command. What it prints goes to files, so that no pipe ever blocks it.
    pub fn start(command: &mut Command) -> Program {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(output.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Program { name, child, output }
    }

    /// Starts a server and waits until it takes connections on this port.
    pub fn serve(command: &mut Command, port: u16) -> Program {
        Program::serve_at(command, ([127, 0, 0, 1], port).into())
    }

    /// The same, at this address.
    pub fn serve_at(command: &mut Command, address: SocketAddr) -> Program {
        let mut program = Program::start(command);
        wait_until(&format!("{} listens on {address}", program.name), || {
            program.assert_running();
            TcpStream::connect(address).is_ok()
        });
        program
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that takes its standard output.
    #[must_use]
    pub fn stdout_path(&self) -> PathBuf {
        self.output.path().join("stdout")
    }

    /// What it has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has said on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.output.path().join(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// # Panics
    /// When the program has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended ({status}): {}", self.name, self.stderr());
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on for longer than the patience of the tests.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = holds_within(PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "{} does not end: {}", self.name, self.stderr());
        status.unwrap()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it ends otherwise than with success.
    pub fn wait_for_success(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{}: {status}: {}{}", self.name, self.stdout(), self.stderr());
    }

    /// Sends it a signal and waits for its end.
    pub fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // First the signal that lets a server end its workers.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let ended = || !matches!(self.child.try_wait(), Ok(None));
            if !holds_within(Duration::from_secs(3), ended) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

/// Runs a command to its end and gives back what it printed.
///
/// # Panics
/// When it fails.
pub fn run(command: &mut Command) -> String {
    let mut program = Program::start(command);
    program.wait_for_success();
    program.stdout()
}
