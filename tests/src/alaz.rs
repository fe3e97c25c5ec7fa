//! The program under test.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use crate::exchange::{Exchange, Ledger, read_exchanges};
use crate::http;
use crate::program::Program;
use crate::{free_port, wait_until};

/// Where the binary is.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn binary() -> PathBuf {
    let path = std::env::var_os("ALAZ_BIN").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
            target.unwrap_or(workspace).join("release/alaz")
        },
        PathBuf::from,
    );
    assert!(path.exists(), "{} is missing: run `make build`, or set ALAZ_BIN", path.display());
    path
}

/// `alaz` with these arguments, and no settings of the surroundings.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    command_of(&binary(), arguments)
}

/// The same, of another binary.
#[must_use]
pub fn command_of(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ALAZ_") {
            command.env_remove(name);
        }
    }
    for name in ["MONITORING_ID", "BACKEND_HOST", "NODE_NAME"] {
        command.env_remove(name);
    }
    command
}

/// `alaz watch --capture --output json`, already seeing.
pub struct Watch {
    program: Program,
    beacon: u16,
}

/// What a watch saw until it was ended.
pub struct Seen {
    /// All exchanges, in the order of the output.
    pub exchanges: Vec<Exchange>,
    /// The last line on standard error.
    pub ledger: Ledger,
    /// Everything printed, standard error included.
    pub text: String,
}

impl Watch {
    /// Starts it and waits until it reports traffic.
    #[must_use]
    pub fn start() -> Watch {
        Watch::start_by(command(&[]))
    }

    /// The same, by a command to which the arguments are added.
    #[must_use]
    pub fn start_by(mut command: Command) -> Watch {
        let beacon = Beacon::start();
        let arguments = ["watch", "--capture", "--output", "json"];
        let mut program = Program::start(command.args(arguments));
        let mark = beacon.target();
        wait_until("alaz watch reports traffic", || {
            program.assert_running();
            beacon.flash();
            program.stdout().contains(&mark)
        });
        Watch { program, beacon: beacon.port }
    }

    /// The running program.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Ends it as Ctrl-C does and reads what it printed.
    pub fn finish(mut self) -> Seen {
        let status = self.program.end(Signal::INT);
        assert!(status.success(), "alaz watch: {status}: {}", self.program.stderr());
        let mut seen = read_output(&self.program);
        seen.exchanges.retain(|exchange| exchange.server.port != self.beacon);
        seen
    }
}

/// Reads what an ended `watch` or `replay` printed, and checks that its ledger balances.
#[must_use]
pub fn read_output(program: &Program) -> Seen {
    let (stdout, stderr) = (program.stdout(), program.stderr());
    let last = stderr.lines().last().unwrap_or_default();
    let json = last.strip_prefix("ledger: ").unwrap_or_else(|| panic!("no ledger: {stderr}"));
    let ledger: Ledger = serde_json::from_str(json).unwrap();
    ledger.assert_balances();
    ledger.assert_follows_the_kernel();
    Seen { exchanges: read_exchanges(&stdout), ledger, text: stdout + &stderr }
}

impl Seen {
    /// The exchanges with this server port.
    #[must_use]
    pub fn at(&self, port: u16) -> Vec<&Exchange> {
        self.exchanges.iter().filter(|exchange| exchange.server.port == port).collect()
    }
}

/// A tiny server, asked again and again until Alaz reports it: then Alaz sees.
struct Beacon {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Beacon {
    fn start() -> Beacon {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(mut stream) = stream else { continue };
                let _ = stream.read(&mut [0; 1024]);
                let _ = std::io::Write::write_all(
                    &mut stream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
        });
        Beacon { port, stop }
    }

    fn target(&self) -> String {
        format!("/beacon-{}", self.port)
    }

    fn flash(&self) {
        http::get(SocketAddr::from(([127, 0, 0, 1], self.port)), &self.target());
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// `alaz run` on a free port with a data directory of its own, ready.
pub struct Server {
    program: Program,
    /// Where it listens.
    pub address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Server {
    /// Starts it and waits until it is ready.
    #[must_use]
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// The same, with further options.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Server {
        Server::start_of(&binary(), options)
    }

    /// The same, with these variables.
    #[must_use]
    pub fn start_in(variables: &[(&str, &str)]) -> Server {
        Server::start_as(&binary(), &[], variables)
    }

    /// The same, of another binary.
    #[must_use]
    pub fn start_of(binary: &Path, options: &[&str]) -> Server {
        Server::start_as(binary, options, &[])
    }

    fn start_as(binary: &Path, options: &[&str], variables: &[(&str, &str)]) -> Server {
        let data = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let arguments = ["run", "--listen", &address.to_string(), "--data-dir"];
        let mut command = command_of(binary, &arguments);
        command.arg(data.path().join("data")).args(options).envs(variables.iter().copied());
        let mut program = Program::start(&mut command);
        wait_until("alaz run is ready", || {
            program.assert_running();
            http::try_get(address, "/readyz").is_some_and(|answer| answer.status == 200)
        });
        Server { program, address, _data: data }
    }

    /// The running program.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its URL, as `--server` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A page of the API, which must be there.
    #[must_use]
    pub fn json(&self, path: &str) -> Value {
        let answer = http::get(self.address, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(mut self) -> ExitStatus {
        self.program.end(Signal::INT)
    }
}
