//! `replay` of capture files: what tcpdump saw against what the server logged.

use std::process::Command;

use alaz_tests::alaz::{self, read_output};
use alaz_tests::nginx::Nginx;
use alaz_tests::program::{self, Program};
use alaz_tests::{turn_to_capture, wait_until};
use rustix::process::Signal;

const REQUESTS: usize = 200;

#[test]
fn a_capture_of_tcpdump_gives_what_was_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("visit.pcap");
    let nginx = Nginx::start();
    let port = nginx.address.port();
    let mut tcpdump = Program::start(
        Command::new("tcpdump")
            .args(["-i", "lo", "-U", "--immediate-mode", "-B", "16384", "-Z", "root", "-w"])
            .arg(&file)
            .arg(format!("tcp port {port}")),
    );
    wait_until("tcpdump listens", || {
        tcpdump.assert_running();
        tcpdump.stderr().contains("listening on")
    });

    let last = REQUESTS / 2;
    let paths = [format!("/item/[1-{last}]?token=secret"), format!("/missing?n=[1-{last}]")];
    let urls = paths.map(|path| nginx.url(&path));
    program::run(Command::new("curl").args(["-sS", "-o", "/dev/null"]).args(urls));
    let log = nginx.stop();
    assert_eq!(log.len(), REQUESTS);
    // tcpdump writes packets as they come, but it takes its time to get them.
    let replay = || {
        let mut replay = Program::start(alaz::command(&["replay", "--output", "json"]).arg(&file));
        replay.wait();
        replay
    };
    wait_until("the file has all packets", || replay().stdout().lines().count() >= REQUESTS);
    assert!(tcpdump.end(Signal::INT).success(), "{}", tcpdump.stderr());

    let seen = read_output(&replay());
    let reported = seen.at(port);
    assert_eq!(reported.len(), REQUESTS);
    for (exchange, line) in reported.iter().zip(&log) {
        let target = line.target.replace("token=secret", "token=?");
        let target = target.split("n=").next().unwrap().to_owned()
            + if line.target.contains("n=") { "n=?" } else { "" };
        assert_eq!(exchange.line(), format!("{} {target} {}", line.method, line.status));
        assert_eq!(exchange.response_bytes, line.bytes_sent);
        assert_eq!(exchange.request_bytes, line.request_length);
        assert_eq!((exchange.client.port, exchange.client.pid), (line.remote_port, 0));
        assert_eq!(exchange.outcome, "complete");
    }

    // Cut off in the middle: what came before is told, then the fault.
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let mut cut = Program::start(alaz::command(&["replay", "--output", "json"]).arg(&file));
    let status = cut.wait();
    let told = cut.stdout().lines().count();
    assert!(told > 0 && told < REQUESTS, "{told}");
    assert_eq!(status.code(), Some(1), "{}", cut.stderr());
    assert!(cut.stderr().contains("cut off"), "{}", cut.stderr());
}
