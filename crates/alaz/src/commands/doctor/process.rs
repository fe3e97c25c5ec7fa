//! `alaz doctor --pid`: what one process is called, and what would be seen of it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use alaz_capture::{Attachment, LibraryReport, TlsReport};
use alaz_identity::{OptOut, ProcRoot, Processes};
use serde::Serialize;

use super::executable::Executable;
use super::runtime::Runtime;
use super::sockets::Sockets;
use super::tls::{self, TlsLibrary};
use crate::output::plain::plain;

/// What is known of one process.
#[derive(Serialize)]
pub(super) struct ProcessReport {
    pid: u32,
    name: String,
    workload: String,
    executable: String,
    cgroup: String,
    container: String,
    /// Null where the executable may not be read.
    runtime: Option<Runtime>,
    tls_libraries: Vec<TlsLibrary>,
    /// Null where they may not be read.
    sockets: Option<Sockets>,
    verdicts: Vec<Finding>,
}

/// One kind of traffic of the process, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Sight,
    why: String,
}

/// What Alaz makes of some traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Sight {
    /// Exchanges are shown.
    Seen,
    /// Bytes are counted, exchanges are not shown.
    Counted,
    /// Nothing is known of it.
    NotSeen,
}

impl Sight {
    fn word(self) -> &'static str {
        match self {
            Sight::Seen => "seen",
            Sight::Counted => "counted",
            Sight::NotSeen => "not seen",
        }
    }
}

/// Nobody can be explained under this number.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoProcess {
    #[error("there is no process {0}: check the number")]
    Missing(u32),
    #[error("process {0} may not be looked at: run as root")]
    Invisible(u32),
    #[error("{thread} is a thread of process {process}: ask for that")]
    Thread { thread: u32, process: u32 },
}

/// Reads the process's folder below `proc`. `attachment` is how traffic is seen here, if it is, and
/// `probed` what is read inside TLS.
pub(super) fn explain(
    proc: &Path,
    pid: u32,
    opt_out: &OptOut,
    attachment: Option<Attachment>,
    probed: &TlsReport,
) -> Result<ProcessReport, NoProcess> {
    let folder = proc.join(pid.to_string());
    if !folder.exists() {
        return Err(NoProcess::Missing(pid));
    }
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let status = read(&folder.join("status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    if let Some(process) = group.and_then(|id| id.trim().parse().ok()).filter(|id| *id != pid) {
        return Err(NoProcess::Thread { thread: pid, process });
    }
    let resolved = Processes::new(ProcRoot::at(proc), 1).opting_out(opt_out.clone()).resolve(pid);
    let process = resolved.ok_or(NoProcess::Invisible(pid))?;
    let executable = File::open(folder.join("exe")).and_then(Executable::read).ok();
    let mapped = mapped_files(&read(&folder.join("maps")).unwrap_or_default());
    // As the process sees it: from within its container.
    let inside = |path: &str| read(&folder.join("root").join(path.trim_start_matches('/')));
    let path = process.executable.as_str();
    let tls_libraries = tls::libraries(path, executable.as_ref(), &mapped);
    let sockets = Sockets::of(&folder);
    let verdicts = if process.is_alaz {
        let why = "this is an Alaz, whose own traffic is left out".to_owned();
        vec![Finding { what: "all", verdict: Sight::NotSeen, why }]
    } else if process.opted_out {
        let why = "opted out by ALAZ_CAPTURE=off or exclude_processes: only counted".to_owned();
        vec![Finding { what: "all", verdict: Sight::Counted, why }]
    } else {
        verdicts(&tls_libraries, &inside_tls(pid, probed), sockets.as_ref(), attachment)
    };
    Ok(ProcessReport {
        pid,
        name: process.name.to_string(),
        workload: process.workload.to_string(),
        executable: path.to_owned(),
        cgroup: process.cgroup.to_string(),
        container: process.container.as_ref().map_or_else(String::new, |c| c.id.to_string()),
        runtime: Runtime::of(path, executable.as_ref(), &mapped, inside),
        tls_libraries,
        sockets,
        verdicts,
    })
}

/// What becomes of each kind of traffic that the process has, or may have.
fn verdicts(
    tls: &[TlsLibrary],
    inside: &[Finding],
    sockets: Option<&Sockets>,
    attachment: Option<Attachment>,
) -> Vec<Finding> {
    let Some(attachment) = attachment else {
        let why = "Alaz cannot capture here: see what is marked above".to_owned();
        return vec![Finding { what: "all", verdict: Sight::NotSeen, why }];
    };
    let mut found = vec![Finding {
        what: "TCP in the clear",
        verdict: Sight::Seen,
        why: format!("by {attachment}, where docs/protocols.md names the protocol; else counted"),
    }];
    if !tls.is_empty() {
        let names: Vec<_> = tls.iter().map(|library| library.name).collect();
        let names = names.join(", ");
        let why = match inside.is_empty() {
            true => format!("what {names} encrypts is not read"),
            false => format!("what {names} encrypts is not read, but for what follows"),
        };
        found.push(Finding { what: "encrypted TCP", verdict: Sight::Counted, why });
        found.extend_from_slice(inside);
    }
    let Some(sockets) = sockets else { return found };
    for (what, ways, way) in [
        ("TCP by io_uring", sockets.io_uring, "ring"),
        ("TCP by asynchronous I/O", sockets.aio, "queue"),
    ] {
        if ways == 0 {
            continue;
        }
        let ways = plural(ways, way);
        let (verdict, why) = match attachment {
            Attachment::Syscall => (
                Sight::NotSeen,
                format!("{ways}; not visible here: where system calls are watched these pass by"),
            ),
            Attachment::Fexit | Attachment::Kprobe => {
                (Sight::Seen, format!("{ways}, as any other TCP"))
            }
        };
        found.push(Finding { what, verdict, why });
    }
    for (what, number) in [("UDP", sockets.udp), ("Unix sockets", sockets.unix)] {
        if number > 0 {
            let why = format!("{}; only TCP is watched", plural(number, "socket"));
            found.push(Finding { what, verdict: Sight::NotSeen, why });
        }
    }
    found
}

/// Which of the process's libraries are probed, and why others are not.
fn inside_tls(pid: u32, probed: &TlsReport) -> Vec<Finding> {
    let what = "inside TLS";
    if let Some(reason) = &probed.refused {
        let why = format!("the kernel refused the programs: {reason}");
        return vec![Finding { what, verdict: Sight::Counted, why }];
    }
    let used = probed.libraries.iter().filter(|library| library.processes.contains(&pid));
    let finding = |library: &LibraryReport| match &library.refused {
        None => {
            let why = format!(
                "by {} of {}, where these make the socket calls themselves",
                library.functions.join(", "),
                library.path.display()
            );
            Finding { what, verdict: Sight::Seen, why }
        }
        Some(reason) => {
            let why = format!("{} is not probed: {reason}", library.path.display());
            Finding { what, verdict: Sight::Counted, why }
        }
    };
    used.map(finding).collect()
}

fn describe(tls: &TlsLibrary) -> String {
    let place = if tls.is_static { "built in" } else { tls.path.as_str() };
    let version = if tls.version.is_empty() { "" } else { " " };
    format!("{}{version}{} ({place})", tls.name, tls.version)
}

fn plural(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Files that are mapped, each once (proc_pid_maps(5)).
fn mapped_files(maps: &str) -> Vec<String> {
    let mut files: Vec<_> = maps
        .lines()
        // Five columns, then the path, which may hold blanks.
        .filter_map(|line| line.find('/').and_then(|start| line.get(start..)))
        .map(|path| path.strip_suffix(" (deleted)").unwrap_or(path).to_owned())
        .collect();
    files.sort();
    files.dedup();
    files
}

impl ProcessReport {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let shown = |text: &str, empty: &str| {
            if text.is_empty() { empty.to_owned() } else { plain(text).into_owned() }
        };
        let hidden = || "not known: run as root".to_owned();
        let runtime = self.runtime.as_ref().map_or_else(hidden, |runtime| {
            format!("{} {}", runtime.name, runtime.version).trim_end().to_owned()
        });
        let tls: Vec<_> = self.tls_libraries.iter().map(describe).collect();
        let ports = |ports: &[u16]| {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            if ports.is_empty() {
                String::new()
            } else {
                format!("; listens on {}", ports.join(", "))
            }
        };
        let connections = self.sockets.as_ref().map_or_else(hidden, |sockets| {
            format!("{} established{}", sockets.connections, ports(&sockets.listening))
        });
        writeln!(out, "Process {} is shown as “{}”", self.pid, plain(&self.workload))?;
        for (what, value) in [
            ("name", shown(&self.name, "not known")),
            ("executable", shown(&self.executable, "not known")),
            ("control group", shown(&self.cgroup, "not known")),
            ("container", shown(&self.container, "none")),
            ("runtime", runtime),
            ("TLS", shown(&tls.join(", "), "none found")),
            ("TCP connections", connections),
        ] {
            writeln!(out, "      {what:<24} {value}")?;
        }
        for Finding { what, verdict, why } in &self.verdicts {
            writeln!(out, "      {what:<24} {}: {}", verdict.word(), plain(why))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &'static str, is_static: bool) -> TlsLibrary {
        TlsLibrary { name, version: "3".to_owned(), path: "/lib/x.so.3".to_owned(), is_static }
    }

    fn found(
        sockets: &Sockets,
        tls: &[TlsLibrary],
        attachment: Attachment,
    ) -> Vec<(&'static str, Sight)> {
        let found = verdicts(tls, &[], Some(sockets), Some(attachment));
        found.into_iter().map(|finding| (finding.what, finding.verdict)).collect()
    }

    #[test]
    fn each_kind_of_traffic_has_its_verdict() {
        let none = Sockets::default();
        let clear = ("TCP in the clear", Sight::Seen);
        assert_eq!(found(&none, &[], Attachment::Syscall), [clear]);
        let rings = Sockets { io_uring: 1, aio: 1, udp: 2, unix: 1, ..Sockets::default() };
        let others = [("UDP", Sight::NotSeen), ("Unix sockets", Sight::NotSeen)];
        let ring = |sight| [("TCP by io_uring", sight), ("TCP by asynchronous I/O", sight)];
        let by_calls = found(&rings, &[], Attachment::Syscall);
        assert_eq!(by_calls, [&[clear], &ring(Sight::NotSeen)[..], &others[..]].concat());
        let by_functions = found(&rings, &[], Attachment::Fexit);
        assert_eq!(by_functions, [&[clear], &ring(Sight::Seen)[..], &others[..]].concat());
        let tls = [library("OpenSSL", false), library("rustls", true)];
        let encrypted = verdicts(&tls, &[], None, Some(Attachment::Kprobe));
        assert_eq!(encrypted[1].why, "what OpenSSL, rustls encrypts is not read");
        assert_eq!(describe(&tls[0]), "OpenSSL 3 (/lib/x.so.3)");
        assert_eq!(describe(&tls[1]), "rustls 3 (built in)");
        assert_eq!(verdicts(&tls, &[], Some(&none), None)[0].verdict, Sight::NotSeen);
    }

    #[test]
    fn libraries_are_told_with_what_is_probed_in_them() {
        let library = |path: &str, pid, refused: Option<&str>| LibraryReport {
            path: path.into(),
            processes: [pid].into(),
            functions: vec!["SSL_read", "SSL_write"],
            refused: refused.map(str::to_owned),
        };
        let libraries = vec![
            library("/a/libssl.so.3", 7, None),
            library("/b/libssl.so.3", 7, Some("no symbols")),
            library("/c/libssl.so.3", 8, None),
        ];
        let probed = TlsReport { libraries, ..TlsReport::default() };
        let found = inside_tls(7, &probed);
        let told: Vec<_> = found.iter().map(|it| (it.verdict, it.why.as_str())).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].0 == Sight::Seen && told[0].1.contains("SSL_write of /a/libssl.so.3"));
        assert_eq!(told[1], (Sight::Counted, "/b/libssl.so.3 is not probed: no symbols"));
        let refused = TlsReport { refused: Some("denied".to_owned()), ..TlsReport::default() };
        assert!(inside_tls(7, &refused)[0].why.contains("denied"));
        let tls = [self::library("OpenSSL", false)];
        let all = verdicts(&tls, &found, None, Some(Attachment::Kprobe));
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_number_without_a_process_is_told_from_one_that_is_hidden() {
        let proc = tempfile::tempdir().unwrap();
        let explain = |pid| {
            explain(proc.path(), pid, &OptOut::default(), None, &TlsReport::default())
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert!(explain(7).starts_with("there is no process 7"));
        std::fs::create_dir(proc.path().join("7")).unwrap();
        assert!(explain(7).contains("root"));
        std::fs::write(proc.path().join("7/status"), "Name:\tx\nTgid:\t5\nPid:\t7\n").unwrap();
        assert!(explain(7).contains("process 5"));
    }

    #[test]
    fn one_that_is_opted_out_is_told_so() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let settings = OptOut::new(vec!["sleep".to_owned()]);
        let proc = Path::new("/proc");
        let found = |opt_out: &OptOut| {
            let report =
                explain(proc, child.id(), opt_out, Some(Attachment::Fexit), &TlsReport::default())
                    .unwrap();
            report.verdicts.first().map(|finding| (finding.what, finding.verdict))
        };
        // Not before it is that program.
        while std::fs::read(proc.join(format!("{}/comm", child.id()))).unwrap() != b"sleep\n" {
            std::thread::yield_now();
        }
        let verdicts = [found(&settings), found(&OptOut::default())];
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(verdicts[0], Some(("all", Sight::Counted)));
        assert_eq!(verdicts[1], Some(("TCP in the clear", Sight::Seen)));
    }

    #[test]
    fn this_very_process_is_explained() {
        let pid = std::process::id();
        let (none, probed) = (OptOut::default(), TlsReport::default());
        let attachment = Some(Attachment::Syscall);
        let report = explain(Path::new("/proc"), pid, &none, attachment, &probed).unwrap();
        assert_eq!(report.runtime.as_ref().unwrap().name, "native");
        let mut text = Vec::new();
        report.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        // A test that looks at its own file is taken for an Alaz, as an Alaz is.
        assert!(text.contains("left out") && text.contains("runtime"), "{text}");
    }

    #[test]
    fn mapped_files_may_have_blanks() {
        let maps = "7f-80 r-xp 0 08:01 9 /opt/my app/libssl.so.3 (deleted)\n80-81 rw-p 0 0:0 0 \n\
                    81-82 r-xp 0 08:01 9 /opt/my app/libssl.so.3\n82-83 rw-p 0 0:0 0 [stack]\n";
        assert_eq!(mapped_files(maps), ["/opt/my app/libssl.so.3"]);
    }
}
