//! MariaDB, whose general log is the oracle.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::free_port;
use crate::program::{Program, run};

/// A running server with empty tables of its own.
pub struct Mariadb {
    program: Program,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A command as the server logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// `Query`, `Prepare`, `Execute`, `Init DB`…
    pub command: String,
    /// What it was about.
    pub text: String,
}

impl Mariadb {
    /// Starts it without TLS; root may log in without a password.
    pub fn start() -> Mariadb {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        run(Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .arg(format!("--datadir={}", path("data"))));
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let program = Program::serve(
            Command::new("mariadbd")
                .args(["--no-defaults", "--user=mysql", "--bind-address=127.0.0.1"])
                .args(["--skip-name-resolve", "--general-log=1", "--local-infile=1"])
                .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"])
                .arg(format!("--port={}", address.port()))
                .arg(format!("--datadir={}", path("data")))
                .arg(format!("--socket={}", path("socket")))
                .arg(format!("--general-log-file={}", path("general.log")))
                .arg(format!("--pid-file={}", path("pid"))),
            address.port(),
        );
        Mariadb { program, folder, address }
    }

    /// A client's program with this server as its destination.
    #[must_use]
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-uroot"])
            .arg(format!("-P{}", self.address.port()));
        command
    }

    /// Runs statements by the `mariadb` client, also after one that fails.
    pub fn query(&self, statements: &str) {
        let mut client = self.client("mariadb");
        let output = client.args(["--local-infile=1", "-e", statements, "-f"]).output();
        assert!(output.unwrap().status.code().is_some_and(|code| code <= 1));
    }

    /// A file of its own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it and reads its log.
    #[must_use]
    pub fn stop(mut self) -> Vec<Logged> {
        self.program.end(Signal::TERM);
        let log = std::fs::read_to_string(self.folder.path().join("general.log")).unwrap();
        log.lines().filter_map(read_line).collect()
    }
}

/// A time or nothing, then the connection's number and the command, then what it is about.
fn read_line(line: &str) -> Option<Logged> {
    let mut fields = line.split('\t').skip_while(|field| {
        let mut words = field.split_whitespace();
        let number = words.next().and_then(|word| word.parse::<u32>().ok());
        number.is_none() || words.next().is_none_or(|word| !word.starts_with(char::is_alphabetic))
    });
    let (_, command) = fields.next()?.trim().split_once(' ')?;
    let text = fields.collect::<Vec<_>>().join("\t");
    Some(Logged { command: command.trim().to_owned(), text })
}
