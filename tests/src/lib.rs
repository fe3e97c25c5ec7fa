//! What the end-to-end tests share: the program under test, real servers and clients, and what
//! both sides say about the same traffic.
//!
//! The tests stand in `tests/`, one file per concern. Each starts the built `alaz` (`ALAZ_BIN`, or
//! the release build of this workspace), real servers on free ports of the loopback device and real
//! clients, and compares what Alaz reports with what the servers logged. The machine may be busy
//! with other things: Alaz sees those too, and the tests look at their own ports only.
//!
//! Capturing needs root. Without it those tests say that they were skipped, or fail where `CI` is
//! set. A test ends every process that it started, also when it fails.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]

pub mod alaz;
pub mod bpf;
pub mod cluster;
pub mod exchange;
pub mod http;
pub mod kafka;
pub mod lan;
pub mod load;
pub mod mariadb;
pub mod mongodb;
pub mod nginx;
pub mod peers;
pub mod postgresql;
pub mod program;
pub mod rabbitmq;
pub mod redis;
pub mod tshark;
pub mod unbound;

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// How long anything that must happen may take before the test gives up. Generous: it says that
/// something hangs, never that it is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The right to capture, alone: tests that load the machine would slow each other down.
pub struct Turn {
    _lock: File,
}

/// Waits until no other test captures. `None` when this machine does not allow capturing: the test
/// has said so and must return.
#[must_use]
pub fn turn_to_capture() -> Option<Turn> {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "capturing needs root, and CI is set");
        say("skipped: capturing needs root");
        return None;
    }
    let lock = File::create(std::env::temp_dir().join("alaz-tests.lock")).unwrap();
    lock.lock().unwrap();
    Some(Turn { _lock: lock })
}

/// Tells the person who runs the tests, also when the test passes.
pub fn say(text: &str) {
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    // Not println!, which the test runner swallows.
    let _ = writeln!(std::io::stderr(), "    {test}: {text}");
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "gave up waiting until {what}");
}

/// Whether `condition` came to hold within `limit`.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port of the loopback device that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
