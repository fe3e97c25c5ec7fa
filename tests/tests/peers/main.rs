//! `make test-peers`: several clients of each protocol, one after the other, against what the server
//! or the client itself counted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]

mod amqp;
mod dns;
mod http;
mod mariadb;
mod mongodb;
mod postgresql;
mod redis;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use alaz_tests::say;

/// Where `scripts/deps.sh peers` puts the drivers.
fn drivers() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let path = target.unwrap_or(workspace).join("peers/clients");
    assert!(path.exists(), "{} is missing: run scripts/deps.sh peers", path.display());
    path.canonicalize().unwrap()
}

/// A program of `tests/peers/clients`, told at which port the server is.
fn client(source: &str, port: u16) -> Command {
    let mut command = program(source);
    command.arg(port.to_string());
    command
}

/// A program of `tests/peers/clients`.
fn program(source: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/clients").join(source);
    let mut command = match source.rsplit_once('.') {
        Some((_, "py")) => {
            // -P: what is imported is never one of these programs.
            let mut command = Command::new("/usr/bin/python3");
            command.arg("-P").env("PYTHONPATH", drivers().join("python"));
            command
        }
        Some((_, "js")) => {
            let mut command = Command::new("node");
            command
                .arg("--preserve-symlinks-main")
                .env("NODE_PATH", drivers().join("node_modules"));
            command
        }
        Some((_, "go")) => {
            let mut command = Command::new("go");
            command.arg("run").env("GO111MODULE", "off").env("GOFLAGS", "");
            command
        }
        _ => {
            let mut command = Command::new("java");
            command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
            command.arg(drivers().join("jars/*"));
            command
        }
    };
    command.arg(path);
    command
}

/// Tells how a client fared, as a line of the table that all tests print together.
fn told(client: &str, known: usize, reported: usize) {
    say(&format!("{client:<24}{known:>8} known {reported:>8} reported"));
}

/// How often each line occurs.
fn count<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.into()).or_default() += 1;
    }
    counts
}
