//! The servers and clients of `peers/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::free_port;
use crate::program::{Program, run};

/// A kind of server or client: what to start, and what a person would call it.
pub struct Kind {
    /// The workload name that Alaz must give it.
    pub workload: &'static str,
    runtime: &'static [&'static str],
    source: &'static str,
}

/// Debian's Python, which its packages of aiohttp and requests are for.
const PYTHON: &[&str] = &["/usr/bin/python3"];
const NODE: &[&str] = &["node"];
const GO: &[&str] = &[];

/// The servers.
pub const SERVERS: [Kind; 4] = [
    Kind { workload: "peers/server.py", runtime: PYTHON, source: "server.py" },
    Kind { workload: "aiohttp_server.py", runtime: PYTHON, source: "aiohttp_server.py" },
    Kind { workload: "peers/server.js", runtime: NODE, source: "server.js" },
    Kind { workload: "greeter", runtime: GO, source: "server.go" },
];

/// The clients.
pub const CLIENTS: [Kind; 3] = [
    Kind { workload: "client.py", runtime: PYTHON, source: "client.py" },
    Kind { workload: "client.js", runtime: NODE, source: "client.js" },
    Kind { workload: "visitor", runtime: GO, source: "client.go" },
];

/// Forks a child for each connection.
pub const FORKING_SERVER: Kind =
    Kind { workload: "forking_server.py", runtime: PYTHON, source: "forking_server.py" };

/// HTTP/2 without TLS, by routes of its own.
pub const HTTP2_SERVER: Kind =
    Kind { workload: "http2_server.js", runtime: NODE, source: "http2_server.js" };
/// Walks through them.
pub const HTTP2_CLIENT: Kind =
    Kind { workload: "http2_client.js", runtime: NODE, source: "http2_client.js" };
/// gRPC. It keeps no log: its client prints what it knows.
pub const GRPC_SERVER: Kind =
    Kind { workload: "grpc_server.py", runtime: PYTHON, source: "grpc_server.py" };
/// Calls it in every way.
pub const GRPC_CLIENT: Kind =
    Kind { workload: "grpc_client.py", runtime: PYTHON, source: "grpc_client.py" };

/// The server of that workload name.
#[must_use]
pub fn server(workload: &str) -> &'static Kind {
    SERVERS.iter().find(|kind| kind.workload == workload).unwrap()
}

impl Kind {
    fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(self.source)
    }

    /// Go programs are compiled into `folder`; the others need nothing.
    fn compile(&self, folder: &Path) {
        if self.runtime.is_empty() {
            let mut command = Command::new("go");
            command.args(["build", "-o"]).arg(folder.join(self.workload)).arg(self.source());
            run(command.env("GO111MODULE", "off").env("GOFLAGS", ""));
        }
    }

    /// The command line, up to the arguments.
    fn command(&self, folder: &Path) -> Command {
        let Some((program, options)) = self.runtime.split_first() else {
            return Command::new(folder.join(self.workload));
        };
        let mut command = Command::new(program);
        command.args(options).arg(self.source());
        command
    }
}

/// A running server.
pub struct Server {
    _program: Program,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(kind: &Kind) -> Server {
        Server::start_with(kind, &[])
    }

    /// The same, with these variables in its environment.
    #[must_use]
    pub fn start_with(kind: &Kind, variables: &[(&str, &str)]) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        kind.compile(folder.path());
        let mut command = kind.command(folder.path());
        command.arg(address.port().to_string()).arg(folder.path().join("log"));
        command.envs(variables.iter().copied());
        let program = Program::serve(&mut command, address.port());
        Server { _program: program, folder, address }
    }

    /// A URL on it.
    #[must_use]
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// What it has answered so far: method, target and status; the status empty where it sent none.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let path: PathBuf = self.folder.path().join("log");
        let log = std::fs::read_to_string(path).unwrap();
        log.lines().map(|line| line.replace('\t', " ").trim_end_matches('-').to_owned()).collect()
    }
}

/// A client, ready to be run.
pub struct Client {
    /// What it is.
    pub kind: &'static Kind,
    folder: tempfile::TempDir,
}

impl Client {
    /// Compiles it, where it needs that.
    #[must_use]
    pub fn prepare(kind: &'static Kind) -> Client {
        let folder = tempfile::tempdir().unwrap();
        kind.compile(folder.path());
        Client { kind, folder }
    }

    /// Runs it through all its steps against a server.
    pub fn visit(&self, server: &Server) {
        run(self.command().arg(server.url("")));
    }

    /// Its command line, up to the arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        self.kind.command(self.folder.path())
    }
}
