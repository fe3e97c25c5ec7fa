//! PostgreSQL, whose log of statements is the oracle.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::free_port;
use crate::program::{Program, run};

/// A running server with an empty database cluster of its own.
pub struct Postgresql {
    program: Program,
    _folder: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A statement that was run, or failed, as the server logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The client's port.
    pub port: u16,
    /// `00000`, or what failed.
    pub state: String,
    /// The statement as it was sent; of a failure, its message.
    pub text: String,
}

/// The newest of Debian's.
fn binary(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is not installed");
    let mut folders: Vec<_> = versions.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.last().expect("PostgreSQL is not installed").join("bin").join(name)
}

/// The server refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl Postgresql {
    /// Starts it without TLS; everybody may log in.
    pub fn start() -> Postgresql {
        Postgresql::start_logging("all")
    }

    /// The same, without a log of statements.
    #[must_use]
    pub fn start_quiet() -> Postgresql {
        Postgresql::start_logging("none")
    }

    fn start_logging(statements: &str) -> Postgresql {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        run(unprivileged(&binary("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data));
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = unprivileged(&binary("postgres"));
        command.arg("-D").arg(&data).arg("-p").arg(address.port().to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            &format!("log_statement={statements}"),
            "log_line_prefix=|%r|%e|",
            "log_min_messages=error",
            "max_connections=50",
        ] {
            command.args(["-c", setting]);
        }
        let program = Program::serve(&mut command, address.port());
        Postgresql { program, _folder: folder, address }
    }

    /// A client's program with this server as its default.
    #[must_use]
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.address.port().to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
            .env("PGSSLMODE", "prefer");
        command
    }

    /// Runs statements by psql, each of them on its own, and gives back what it printed.
    pub fn psql(&self, statements: &[&str]) -> String {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-A", "-t"]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        run(&mut command)
    }

    /// The process that started all others.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Its log so far.
    #[must_use]
    pub fn logged(&self) -> Vec<Logged> {
        self.program.stderr().lines().filter_map(read_line).collect()
    }

    /// Ends it and reads its log.
    #[must_use]
    pub fn stop(mut self) -> Vec<Logged> {
        self.program.end(Signal::INT);
        self.logged()
    }
}

/// `|127.0.0.1(51514)|00000|LOG:  statement: SELECT 1`, `… execute P0_1: …` or `…|42601|ERROR:  …`.
fn read_line(line: &str) -> Option<Logged> {
    let mut fields = line.splitn(4, '|').skip(1);
    let port = fields.next()?.split_once('(')?.1.trim_end_matches(')').parse().ok()?;
    let state = fields.next()?.to_owned();
    let (kind, rest) = fields.next()?.split_once(": ")?;
    let rest = rest.trim_start();
    let text = match kind {
        "LOG" if rest.starts_with("statement: ") => rest.strip_prefix("statement: ")?,
        "LOG" if rest.starts_with("execute ") => rest.split_once(": ")?.1,
        "ERROR" => rest,
        _ => return None,
    };
    Some(Logged { port, state, text: text.to_owned() })
}
