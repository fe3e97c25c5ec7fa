//! What people get wrong: one clear sentence with the remedy, an exit code, nothing half done.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use alaz_capture::{Header, KernelCounters, RecordingWriter};
use alaz_tests::alaz::{self, Server};
use alaz_tests::program::Program;
use alaz_tests::{free_port, turn_to_capture};

/// Runs a command that must fail, and checks how it does: by exit code, with one sentence that
/// holds these words.
fn assert_fails(command: &mut Command, words: &[&str]) {
    let mut program = Program::start(command);
    let status = program.wait();
    let said = program.stderr();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 1, "one sentence: {said}");
    assert!(lines[0].starts_with("alaz: "), "{said}");
    for word in words {
        assert!(said.contains(word), "'{word}' is missing: {said}");
    }
    assert!(program.stdout().is_empty(), "{}", program.stdout());
}

fn recording(folder: &Path) -> PathBuf {
    let path = folder.join("good.alazrec");
    let header =
        Header { host: "here".into(), kernel: "6.18".into(), alaz: "0".into(), unix_at_zero_ns: 1 };
    let mut writer = RecordingWriter::create(&path, &header).unwrap();
    writer.drained(1).unwrap();
    writer.end(&KernelCounters::default()).unwrap();
    path
}

#[test]
fn recordings_of_another_kind() {
    let folder = tempfile::tempdir().unwrap();
    let good = recording(folder.path());
    let bytes = std::fs::read(&good).unwrap();
    let replay = |name: &str, bytes: &[u8], words: &[&str]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut words = words.to_vec();
        words.push(name);
        assert_fails(alaz::command(&["replay"]).arg(&path), &words);
    };
    let mut other = bytes.clone();
    other[8] = 99;
    replay("other-version.alazrec", &other, &["version", "record again"]);
    replay("cut-in-header.alazrec", &bytes[..20], &["cut off inside its header", "record again"]);
    replay("not-one.txt", b"just a text, longer than twelve bytes", &["not a recording"]);
    replay("empty.alazrec", b"", &["cut off inside its header"]);

    let missing = folder.path().join("missing.alazrec");
    assert_fails(alaz::command(&["replay"]).arg(&missing), &["missing.alazrec"]);
    let mut whole = Program::start(alaz::command(&["replay"]).arg(&good));
    whole.wait_for_success();
}

#[test]
fn settings_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alaz.yaml");
    let run = || {
        let mut command = alaz::command(&["run", "--config"]);
        command.arg(&file);
        command
    };
    std::fs::write(&file, "listen: 127.0.0.1:8014\nlisten_adress: x\n").unwrap();
    let mut program = Program::start(&mut run());
    assert_eq!(program.wait().code(), Some(1));
    let said = program.stderr();
    assert!(said.contains("alaz.yaml") && said.contains("listen_adress"), "{said}");

    std::fs::remove_file(&file).unwrap();
    assert_fails(&mut run(), &["alaz.yaml", "--config"]);
    assert_fails(
        alaz::command(&["run"]).env("ALAZ_LISTEN", "here"),
        &["ALAZ_LISTEN", "here", "127.0.0.1:8014"],
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [&["config"][..], &["doctor"], &["doctor", "--output", "json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = alaz::command(arguments).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        // What doctor finds of this machine is its exit code all the same.
        let expected = if arguments[0] == "doctor" { 0..=2 } else { 0..=0 };
        assert!(expected.contains(&output.status.code().unwrap()), "{arguments:?}");
    }
}

#[test]
fn a_port_that_is_taken_and_a_folder_that_cannot_be() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_fails(
        alaz::command(&["run", "--listen", &address, "--data-dir"]).arg(&data),
        &[&address, "--listen"],
    );
    let free = format!("127.0.0.1:{}", free_port());
    // No user may make a folder below a file.
    assert_fails(
        &mut alaz::command(&["run", "--listen", &free, "--data-dir", "/dev/null/alaz"]),
        &["/dev/null/alaz", "--data-dir"],
    );
}

#[test]
fn a_second_instance_leaves_the_first_alone() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut first = Server::start();
    let address = first.address.to_string();
    let folder = tempfile::tempdir().unwrap();
    assert_fails(
        alaz::command(&["run", "--listen", &address, "--data-dir"]).arg(folder.path()),
        &[&address, "--listen"],
    );
    first.program().assert_running();
    assert_eq!(alaz_tests::http::get(first.address, "/readyz").status, 200);
    assert!(first.stop().success());
}

#[test]
fn a_recording_is_never_overwritten() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let before = std::fs::read(&file).unwrap();
    let name = file.display().to_string();
    assert_fails(alaz::command(&["record", "--duration", "1s"]).arg(&file), &[&name, "remove it"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

/// The program where any user can start it.
fn for_everyone() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("alaz");
    std::fs::copy(alaz::binary(), &program).unwrap();
    (folder, program)
}

#[test]
fn without_privileges() {
    let Some(_turn) = turn_to_capture() else { return };
    let (folder, program) = for_everyone();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o777)).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program).args(arguments);
        command
    };
    let listen = format!("127.0.0.1:{}", free_port());
    let file = data.join("x.alazrec");
    let words = ["root", "CAP_BPF"];
    assert_fails(&mut as_nobody(&["watch", "--capture", "--duration", "1s"]), &words);
    assert_fails(&mut as_nobody(&["map", "--capture", "--duration", "1s"]), &words);
    assert_fails(as_nobody(&["run", "--listen", &listen, "--data-dir"]).arg(&data), &words);
    assert_fails(as_nobody(&["record"]).arg(&file), &words);
    assert!(!file.exists(), "nothing half done");
    let mut doctor = Program::start(&mut as_nobody(&["doctor"]));
    assert_eq!(doctor.wait().code(), Some(2), "{}", doctor.stdout());
}

#[test]
fn root_without_its_capabilities() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-bpf,-perfmon,-sys_admin"]).arg(alaz::binary());
    command.args(["watch", "--capture", "--duration", "1s"]);
    assert_fails(&mut command, &["CAP_BPF"]);
}

#[test]
fn a_kernel_that_does_not_describe_itself() {
    let Some(_turn) = turn_to_capture() else { return };
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    // In a mount namespace of its own: nobody else sees the change.
    command.args(["--mount", "sh", "-c"]);
    command.arg(r#"mount --bind "$0" /sys/kernel/btf && exec "$@""#);
    command.arg(empty.path()).arg(alaz::binary());
    command.args(["watch", "--capture", "--duration", "1s"]);
    assert_fails(&mut command, &["type information", "CONFIG_DEBUG_INFO_BTF=y"]);
}

#[test]
fn a_pid_namespace_of_its_own() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(alaz::binary());
    command.args(["watch", "--capture", "--duration", "1s"]);
    assert_fails(&mut command, &["pid namespace", "--pid=host"]);
}
