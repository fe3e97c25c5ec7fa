//! MongoDB's protocol: FerretDB as the server, pymongo as the client.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::free_port;
use crate::program::Program;

/// A running server without data.
pub struct FerretDb {
    _program: Program,
    _folder: tempfile::TempDir,
    /// Where it takes connections.
    pub port: u16,
}

/// Where `scripts/deps.sh` puts server and driver.
fn peers() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let path = target.unwrap_or(workspace).join("peers/mongodb");
    assert!(path.exists(), "{} is missing: run scripts/deps.sh test", path.display());
    path
}

impl FerretDb {
    /// Starts it without users and TLS.
    pub fn start() -> FerretDb {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let data = format!("{}/", folder.path().display());
        let mut command = Command::new(peers().join("ferretdb"));
        command
            .args(["--handler=sqlite", "--telemetry=disable", "--debug-addr=-"])
            .args(["--log-level=ERROR", &format!("--listen-addr=127.0.0.1:{port}")])
            .args([format!("--sqlite-url=file:{data}"), format!("--state-dir={data}")]);
        FerretDb { _program: Program::serve(&mut command, port), _folder: folder, port }
    }
}

/// A program of `peers/` that uses the driver.
fn python(source: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", peers().join("python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(source));
    command
}

/// The client of `peers/mongodb_client.py`, with these compressors.
#[must_use]
pub fn client(port: u16, compressors: &str) -> Command {
    let mut command = python("mongodb_client.py");
    command.args([&port.to_string(), compressors]);
    command
}

/// What compresses before a server that does not; returns where it takes connections, too.
#[must_use]
pub fn compressor(server: &FerretDb) -> (Program, u16) {
    let port = free_port();
    let mut command = python("mongodb_compressor.py");
    command.args([port.to_string(), server.port.to_string()]);
    (Program::serve(&mut command, port), port)
}
