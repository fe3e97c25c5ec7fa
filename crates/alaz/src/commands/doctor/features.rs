//! What Alaz does, whether it does it here, and what each part needs.

use std::io::{self, Write};
use std::path::Path;

use alaz_capture::Attachment;
use alaz_capture::probe::{self, Trial};
use serde::Serialize;

/// Loading programs, and letting them read memory. Before 5.8 there was only CAP_SYS_ADMIN for that,
/// which stands for both.
const PROGRAMS: &[&str] = &["CAP_BPF", "CAP_PERFMON"];
const OTHER_PROCESSES: &[&str] = &["CAP_SYS_PTRACE"];

/// One thing that Alaz does.
#[derive(Debug, Serialize)]
pub(super) struct Feature {
    name: &'static str,
    /// Whether it does it on this machine, as who it runs now.
    works: bool,
    /// How, or why not.
    how: String,
    /// Capabilities that it needs; none of them where the list is empty.
    needs: &'static [&'static str],
}

impl Feature {
    pub(super) fn print(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
        let (mark, paint) = if self.works { ("yes", "\x1b[32m") } else { ("no ", "\x1b[33m") };
        let (before, after) = if colour { (paint, "\x1b[0m") } else { ("", "") };
        let needs = if self.needs.is_empty() { "none".to_owned() } else { self.needs.join(", ") };
        writeln!(out, "{before}{mark}{after}   {:<32} {}", self.name, self.how)?;
        writeln!(out, "      {:<32} needs: {needs}", "")
    }
}

/// All of them, by what came of trying, and by the facts below `root`, `/` but in tests.
pub(super) fn all(trial: &Trial, root: &Path) -> Vec<Feature> {
    let captures = trial.attachment.is_some();
    let error = trial.error.clone().unwrap_or_default();
    let by = |attachment: Option<Attachment>| match attachment {
        Some(attachment) => format!("seen by {attachment}"),
        None => error.clone(),
    };
    let program = |name, how, works, needs| Feature { name, works, how, needs };
    let (uring_works, uring) = io_uring(trial);
    let refused = trial.reports.iter().find_map(|report| report.refused.clone());
    let short_lived = match (captures, &refused) {
        (false, _) => error.clone(),
        (true, Some(reason)) => first_line(reason).to_owned(),
        (true, None) => "told by the kernel as they start and end".to_owned(),
    };
    let names_work = probe::may_read_processes(root);
    let names = match names_work {
        true => "their files in /proc can be read",
        false => "of those of other users only what everybody may read in /proc",
    };
    vec![
        program("exchanges over TCP", by(trial.attachment), captures, PROGRAMS),
        program("how connections went", by(trial.attachment), captures, PROGRAMS),
        program("DNS over UDP", by(trial.attachment), captures, PROGRAMS),
        program("what io_uring moves", uring, uring_works, PROGRAMS),
        program(
            "names of short-lived processes",
            short_lived,
            captures && refused.is_none(),
            PROGRAMS,
        ),
        program("names of other users' processes", names.to_owned(), names_work, OTHER_PROCESSES),
        program("map, API, metrics", "on ports from 1024 on".to_owned(), true, &[]),
        program("replaying recordings", "of any machine".to_owned(), true, &[]),
    ]
}

/// Only the functions of the socket layer see it.
fn io_uring(trial: &Trial) -> (bool, String) {
    match trial.attachment {
        Some(attachment @ (Attachment::Fexit | Attachment::Kprobe)) => {
            (true, format!("seen by {attachment}"))
        }
        Some(Attachment::Syscall) => {
            let reason = |refusal: &alaz_capture::Refusal| {
                format!("not by {}: {}", refusal.attachment, first_line(&refusal.reason))
            };
            let reasons: Vec<_> = trial.refusals.iter().map(reason).collect();
            let reasons = if reasons.is_empty() {
                "nothing else was tried".into()
            } else {
                reasons.join("; ")
            };
            (false, format!("system calls do not show it; {reasons}"))
        }
        None => (false, trial.error.clone().unwrap_or_default()),
    }
}

/// The rest of a reason is the verifier's.
fn first_line(reason: &str) -> &str {
    reason.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alaz_capture::{ProgramReport, Refusal};

    fn trial(attachment: Option<Attachment>) -> Trial {
        Trial {
            tls: alaz_capture::TlsReport::default(),
            checks: Vec::new(),
            attachment,
            refusals: Vec::new(),
            reports: Vec::new(),
            error: attachment.is_none().then(|| "no permission".to_owned()),
        }
    }

    fn working(features: &[Feature]) -> Vec<&'static str> {
        features.iter().filter(|feature| feature.works).map(|feature| feature.name).collect()
    }

    #[test]
    fn what_works_follows_from_what_was_tried() {
        let root = tempfile::tempdir().unwrap();
        let nothing = all(&trial(None), root.path());
        assert_eq!(working(&nothing), ["map, API, metrics", "replaying recordings"]);
        for feature in nothing.iter().filter(|feature| feature.needs == PROGRAMS) {
            assert_eq!(feature.how, "no permission");
        }

        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        std::fs::write(root.path().join("proc/self/status"), "CapEff:\t0000000000080000\n")
            .unwrap();
        let everything = all(&trial(Some(Attachment::Kprobe)), root.path());
        assert!(everything.iter().all(|feature| feature.works), "{everything:?}");

        let mut syscalls = trial(Some(Attachment::Syscall));
        let reason = "no such function\nprocessed 3 insns".to_owned();
        syscalls.refusals = vec![Refusal { attachment: Attachment::Kprobe, reason }];
        syscalls.reports = vec![ProgramReport {
            program: "on_fork".to_owned(),
            purpose: "names",
            attachment: None,
            refused: Some("denied\nat length".to_owned()),
            verified_instructions: 0,
        }];
        let features = all(&syscalls, root.path());
        let without: Vec<_> = features.iter().filter(|feature| !feature.works).collect();
        let [uring, names] = without[..] else { panic!("{without:?}") };
        assert!(uring.how.ends_with("not by kprobe: no such function"), "{uring:?}");
        assert_eq!((names.name, &*names.how), ("names of short-lived processes", "denied"));
    }

    #[test]
    fn what_is_printed_names_the_capabilities() {
        let feature = Feature { name: "a", works: false, how: "b".to_owned(), needs: PROGRAMS };
        let mut text = Vec::new();
        feature.print(&mut text, false).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("no    a ") && text.contains("needs: CAP_BPF, CAP_PERFMON\n"));
    }
}
