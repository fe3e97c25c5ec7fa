//! Connections that cannot be opened.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use alaz_capture::Capture;
use alaz_model::CloseReason;

use crate::check::Passed;
use crate::observe::Observed;

/// First argument of the process that tries to connect; the address follows.
pub(crate) const COMMAND: &str = "connect";
pub(crate) const NAME: &str = "connecting where nobody listens";

/// Lets a process try, and compares.
pub(crate) fn check(capture: &mut Capture, observed: &mut Observed) -> Result<Passed, String> {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        // A port that was free a moment ago.
        let address = TcpListener::bind(local).unwrap().local_addr().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([COMMAND, &address.to_string()])
            .spawn()
            .unwrap();
        let pid = child.id();
        child.wait().unwrap();
        observed.drain(capture);
        let mut found = observed.refused.iter().filter(|refused| refused.pid == pid);
        let Some(refused) = found.next() else {
            return Err(format!("nothing was said of {address}"));
        };
        let is_right = refused.remote == address
            && refused.local.ip() == address.ip()
            && refused.local.port() != 0
            && refused.reason == CloseReason::Refused
            && refused.began_ns <= refused.time_ns;
        if !is_right || found.next().is_some() {
            return Err(format!("{refused:?} is not what happened, or not all that was said"));
        }
    }
    Ok(Passed::Exact)
}

/// Tries to connect.
pub(crate) fn run(address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    assert!(TcpStream::connect(address).is_err(), "somebody listens at {address}");
}
