//! `record` and `replay`: the same exchanges as were watched, without privileges, and filters.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use alaz_capture::{Frame, KernelCounters, RecordingReader};
use alaz_tests::alaz::{self, Seen, Watch, read_output};
use alaz_tests::peers::{self, CLIENTS, Client, Server};
use alaz_tests::program::Program;
use alaz_tests::{turn_to_capture, wait_until};
use rustix::process::Signal;

/// What does not depend on when exactly each of two captures looked.
fn facts(seen: &Seen, port: u16) -> Vec<String> {
    let mut facts: Vec<_> = seen
        .at(port)
        .iter()
        .map(|e| {
            format!(
                "{} {} {} {} {} {} {} {} {} {} {} {}",
                e.line(),
                e.route,
                e.outcome,
                e.error,
                e.client.port,
                e.client.pid,
                e.client.workload,
                e.server.pid,
                e.server.workload,
                e.request_bytes,
                e.response_bytes,
                e.observed_by,
            )
        })
        .collect();
    facts.sort();
    facts
}

fn replay(file: &Path, arguments: &[&str]) -> Seen {
    let mut command = alaz::command(&["replay", "--output", "json"]);
    let mut program = Program::start(command.args(arguments).arg(file));
    program.wait_for_success();
    read_output(&program)
}

/// Records and watches one visit of a client.
fn record(file: &Path) -> (Seen, Server) {
    let server = Server::start(peers::server("greeter"));
    let client = Client::prepare(&CLIENTS[1]);
    let mut recorder = Program::start(alaz::command(&["record"]).arg(file));
    wait_until("alaz record has begun", || {
        recorder.assert_running();
        recorder.stderr().contains("recording to")
    });
    let watch = Watch::start();
    client.visit(&server);
    let seen = watch.finish();
    let status = recorder.end(Signal::INT);
    assert!(status.success(), "alaz record: {status}: {}", recorder.stderr());
    (seen, server)
}

#[test]
fn a_replay_gives_what_was_watched() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("visit.alazrec");
    let (seen, server) = record(&file);
    let port = server.address.port();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let replayed = replay(&file, &[]);
    assert_eq!(seen.at(port).len(), 9);
    assert_eq!(facts(&replayed, port), facts(&seen, port));
    let again = replay(&file, &[]);
    assert_eq!(again.text, replayed.text, "a replay is the same each time");

    // The ledger against the kernel's own count, which it is not made from.
    let kernel = counters(&file);
    let ledger = &replayed.ledger.sources["socket"];
    assert_eq!(ledger.segments.seen, kernel.seen.segments);
    assert_eq!(ledger.bytes.seen, kernel.seen.bytes);
    assert_eq!(replayed.ledger.kernel.unwrap().segments, kernel.seen.segments);

    // Each filter shows what it says, and the ledger is the same: it is kept before any filter.
    let filtered = |arguments: &[&str]| {
        let shown = replay(&file, arguments);
        assert_eq!(
            shown.ledger.total.segments.seen, replayed.ledger.total.segments.seen,
            "{arguments:?}"
        );
        assert_eq!(shown.ledger.exchanges.reported, replayed.ledger.exchanges.reported);
        shown.exchanges
    };
    let by_port = filtered(&["--port", &port.to_string()]);
    assert_eq!(by_port.len(), 9);
    let pid = by_port[0].client.pid;
    let by_pid = filtered(&["--pid", &pid.to_string(), "--protocol", "http"]);
    assert_eq!(by_pid.len(), 9);
    let failed = filtered(&["--errors", "--port", &port.to_string()]);
    let mut said: Vec<_> = failed.iter().map(|exchange| &*exchange.outcome).collect();
    said.sort_unstable();
    assert_eq!(said, ["complete", "no_response"], "/fail and /stall");
    assert!(filtered(&["--slower-than", "1h"]).is_empty());
    assert!(filtered(&["--port", "1"]).is_empty());

    // Cut off or damaged at the very end: everything before is told, then the fault.
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let end = damaged.len() - size_of::<KernelCounters>() - 5;
    damaged[end] = 200;
    for (bytes, word) in [(&whole[..whole.len() - 3], "cut off"), (&damaged[..], "damaged")] {
        std::fs::write(&file, bytes).unwrap();
        let mut cut = Program::start(alaz::command(&["replay", "--output", "json"]).arg(&file));
        assert_eq!(cut.wait().code(), Some(1));
        assert_eq!(cut.stdout().lines().count(), replayed.exchanges.len());
        let said = cut.stderr();
        let last = said.lines().last().unwrap();
        assert!(said.starts_with("ledger: ") && last.contains(word), "{said}");
    }
}

fn counters(file: &Path) -> KernelCounters {
    let mut reader = RecordingReader::open(file).unwrap();
    let mut last = None;
    while let Some(frame) = reader.next_frame().unwrap() {
        if let Frame::End(counters) = frame {
            last = Some(counters);
        }
    }
    *last.expect("the recording has an end")
}

#[test]
fn a_replay_needs_no_privileges() {
    let Some(_turn) = turn_to_capture() else { return };
    // Somewhere that nobody may look into.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (program, file) = (folder.path().join("alaz"), folder.path().join("visit.alazrec"));
    std::fs::copy(alaz::binary(), &program).unwrap();
    let (_, server) = record(&file);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();

    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
    nobody.arg(program).args(["replay", "--output", "json"]).arg(&file);
    let mut replay = Program::start(&mut nobody);
    replay.wait_for_success();
    assert_eq!(read_output(&replay).at(server.address.port()).len(), 9);
}
