//! Traffic that is known to the byte, in a process of its own: a capture does not see itself.
//!
//! The process opens its connections and says `ready`; on a line from its parent it moves bytes and
//! says which calls it made; on the next it ends.

mod cases;
mod pair;
#[allow(unsafe_code, reason = "a system call that rustix does not have")]
mod recvmmsg;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use alaz_capture::Attachment;
use serde::{Deserialize, Serialize};

pub(crate) use cases::{
    cases, counted_case, crowd, deep_cases, more_readers_than_returns, opted_out_cases,
};
use pair::Pair;
pub(crate) use pair::{Side, content};
pub(crate) use recvmmsg::receive_messages;

/// First argument of the process that makes the traffic.
pub(crate) const COMMAND: &str = "traffic";

/// One way to move bytes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) when: When,
    /// How many, all of which are open before bytes move on any.
    connections: usize,
    /// They are used by a thread each, rather than one after the other.
    at_once: bool,
    /// Connects, and does what must be done before the capture begins.
    open: fn() -> Pair,
    /// Moves the bytes.
    run: fn(&mut Pair),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    BeforeTheCapture,
    DuringTheCapture,
}

/// Which ways to attach see a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    Everywhere,
    /// It began before the capture did.
    AtSyscallsOnly,
    /// One of too many messages in a system call: where these are watched, it is counted as missed.
    AtSocketsOnly,
}

/// One call that moved bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) by: Side,
    pub(crate) sends: bool,
    /// Place of its first byte in its direction's stream.
    pub(crate) offset: u64,
    pub(crate) length: usize,
    /// How much is copied of its beginning and its end.
    pub(crate) head: usize,
    pub(crate) tail: usize,
    pub(crate) tid: u32,
    pub(crate) seen: Seen,
    /// One of so many messages in a system call that it is only counted where these are watched.
    pub(crate) beyond: bool,
}

impl Call {
    pub(crate) fn is_seen_by(&self, attachment: Attachment) -> bool {
        match self.seen {
            Seen::Everywhere => true,
            Seen::AtSyscallsOnly => attachment == Attachment::Syscall,
            Seen::AtSocketsOnly => attachment != Attachment::Syscall,
        }
    }
}

/// What was done on one connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) calls: Vec<Call>,
}

/// What the traffic's process says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) pid: u32,
    pub(crate) connections: Vec<Connection>,
}

/// The process of one case, from outside.
pub(crate) struct Peers {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peers {
    /// Returns when its connections are open.
    pub(crate) fn start(case: &Case) -> Peers {
        Peers::start_with(case, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with(case: &Case, variables: &[(&str, &str)]) -> Peers {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([COMMAND, case.name])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut peers = Peers { child, input, output };
        peers.line();
        peers
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it move its bytes. `Err` when it could not.
    pub(crate) fn go(&mut self) -> Result<Told, String> {
        writeln!(self.input).unwrap();
        let line = self.line();
        serde_json::from_str(&line).map_err(|error| format!("the traffic failed: {error}: {line}"))
    }

    /// Lets it close its connections and end.
    pub(crate) fn end(&mut self) {
        writeln!(self.input).unwrap();
        self.child.wait().unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of one case, from inside.
pub(crate) fn run(name: &str) {
    let cases: Vec<Case> = cases()
        .into_iter()
        .chain(deep_cases())
        .chain(opted_out_cases())
        .chain([counted_case(), crowd(), more_readers_than_returns()])
        .collect();
    let case = cases.iter().find(|case| case.name == name).unwrap();
    let mut lines = std::io::stdin().lines();
    let mut pairs: Vec<Pair> = (0..case.connections).map(|_| (case.open)()).collect();
    println!("ready");
    lines.next();
    if case.at_once {
        std::thread::scope(|scope| {
            for pair in &mut pairs {
                scope.spawn(|| (case.run)(pair));
            }
        });
    } else {
        pairs.iter_mut().for_each(case.run);
    }
    let connections = pairs.iter_mut().map(Pair::told).collect();
    let told = Told { pid: std::process::id(), connections };
    println!("{}", serde_json::to_string(&told).unwrap());
    lines.next();
}
