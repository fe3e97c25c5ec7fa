//! The ways to see the bytes of TCP connections, and choosing one by trying.

use std::os::fd::AsFd;
use std::path::Path;

use libbpf_rs::{ErrorKind, Link, MapCore, Object, ObjectBuilder, OpenObject, ProgramMut};
use zerocopy::IntoBytes;

use crate::abi::Settings;
use crate::error::CaptureError;
use crate::facts::Facts;
use crate::kernel::{Options, ProgramReport};
use crate::log;
use crate::objects::{self, Aligned};
use crate::return_probe::ReturnProbe;

/// Where in the kernel the bytes of TCP connections are seen. All ways give the same segments for
/// the same traffic; they differ in what they cost and in what else they see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// The socket functions call the programs when they return (fexit). Costs nothing elsewhere,
    /// and sees io_uring and senders inside the kernel too.
    Fexit,
    /// The same functions, by breakpoints at their beginning and end (kprobe, kretprobe).
    Kprobe,
    /// The end of every system call (raw tracepoint). Costs a little on each system call of every
    /// process, and does not see io_uring.
    Syscall,
}

impl Attachment {
    /// Every way, best first.
    pub const ALL: [Attachment; 3] = [Attachment::Fexit, Attachment::Kprobe, Attachment::Syscall];

    /// Its name in reports and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Attachment::Fexit => "fexit",
            Attachment::Kprobe => "kprobe",
            Attachment::Syscall => "syscall",
        }
    }

    /// The same programs twice: reading memory directly where the kernel is new enough, and not.
    fn objects(self) -> [&'static Aligned<[u8]>; 2] {
        match self {
            Attachment::Fexit => [objects::FEXIT_DIRECT, objects::FEXIT],
            Attachment::Kprobe => [objects::KPROBE_DIRECT, objects::KPROBE],
            Attachment::Syscall => [objects::SYSCALLS_DIRECT, objects::SYSCALLS],
        }
    }
}

impl std::fmt::Display for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no way to attach of that name.
#[derive(Debug, thiserror::Error)]
#[error("is none of fexit, kprobe and syscall")]
pub struct UnknownAttachment;

impl std::str::FromStr for Attachment {
    type Err = UnknownAttachment;

    fn from_str(name: &str) -> Result<Attachment, UnknownAttachment> {
        Attachment::ALL.into_iter().find(|it| it.as_str() == name).ok_or(UnknownAttachment)
    }
}

/// A way that was tried and refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which one.
    pub attachment: Attachment,
    /// The kernel's reason.
    pub reason: String,
}

/// One object whose programs are loaded and attached.
pub(crate) struct Attached {
    // Dropped first: it uses the object.
    pub(crate) hooks: Vec<Hook>,
    pub(crate) object: Object,
    pub(crate) reports: Vec<ProgramReport>,
}

/// What keeps one program attached. The link goes before what it is linked to.
pub(crate) struct Hook {
    _link: Link,
    _probe: Option<ReturnProbe>,
}

/// Tries the ways in order, or only the one that is asked for. Where threads are preempted in
/// programs, fexit comes last: it misses some of what happens under load.
///
/// # Errors
/// When all were refused.
pub(crate) fn attach(
    options: &Options,
    facts: Facts,
) -> Result<(Attachment, Attached, Vec<Refusal>), CaptureError> {
    let mut refusals = Vec::new();
    let mut denied = true;
    for attachment in order(options.attachment, facts, &mut refusals) {
        match attach_one(attachment, options, facts) {
            Ok(attached) => return Ok((attachment, attached, refusals)),
            Err(refused) => {
                denied &= refused.denied;
                refusals.push(Refusal { attachment, reason: refused.reason });
            }
        }
    }
    Err(if denied { CaptureError::Permission } else { CaptureError::Refused { refusals } })
}

/// What to try, best first. What comes later than it could has its reason in `refusals`.
fn order(only: Option<Attachment>, facts: Facts, refusals: &mut Vec<Refusal>) -> Vec<Attachment> {
    match only {
        Some(only) => vec![only],
        None if facts.preempts => {
            let reason =
                "this kernel preempts threads in programs that are attached so, and skips \
                          those programs meanwhile"
                    .to_owned();
            refusals.push(Refusal { attachment: Attachment::Fexit, reason });
            vec![Attachment::Kprobe, Attachment::Syscall, Attachment::Fexit]
        }
        None => Attachment::ALL.to_vec(),
    }
}

/// Why an object or a program was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    reason: String,
    /// For want of privilege, before the verifier looked at anything.
    denied: bool,
}

impl Refused {
    /// For a reason that is not the kernel's.
    pub(crate) fn other(reason: String) -> Refused {
        Refused { reason, denied: false }
    }

    pub(crate) fn new(program: &str, error: &libbpf_rs::Error) -> Refused {
        let log = log::take_reason();
        let denied = error.kind() == ErrorKind::PermissionDenied && !log.contains("processed");
        let mut reason = format!("{error:#}");
        if !program.is_empty() {
            reason = format!("{program}: {reason}");
        }
        if !log.is_empty() {
            reason = format!("{reason}\n{}", log.trim_end());
        }
        Refused { reason, denied }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Loading does not tell: there are kernels that load what they then cannot attach.
fn attach_one(
    attachment: Attachment,
    options: &Options,
    facts: Facts,
) -> Result<Attached, Refused> {
    let attach = |object, held| {
        log::take_reason();
        let object = load(object, held, options, facts);
        attach_programs(object.map_err(|error| Refused::new("", &error))?, Some(attachment))
    };
    let [direct, plain] = attachment.objects();
    if attachment == Attachment::Syscall && facts.preempts_tracepoints {
        let held = attach(direct, true);
        if held.is_ok() {
            return held;
        }
    }
    attach(direct, false).or_else(|_| attach(plain, false))
}

/// With `held`, programs whose threads stay on their CPU, as far as there is a choice.
fn load(
    object: &Aligned<[u8]>,
    held: bool,
    options: &Options,
    facts: Facts,
) -> libbpf_rs::Result<Object> {
    let mut open = open(object, options.btf.as_deref(), facts)?;
    for mut map in open.maps_mut() {
        match map.name().to_str() {
            Some("ring") => map.set_max_entries(options.ring_bytes)?,
            Some("connections") => map.set_max_entries(options.connections)?,
            _ => {}
        }
    }
    for mut program in open.progs_mut() {
        match program.name().to_str() {
            Some("on_call_end") => program.set_autoload(!held),
            Some("on_call_end_held") => program.set_autoload(held),
            Some(name) if name.starts_with("on_send_page") => {
                program.set_autoload(facts.has_send_page);
            }
            Some(name) if name.starts_with("on_udp6") => program.set_autoload(facts.has_udp6),
            _ => {}
        }
    }
    open.load()
}

/// Opens an object and gives it its settings.
pub(crate) fn open(
    object: &Aligned<[u8]>,
    btf: Option<&Path>,
    facts: Facts,
) -> libbpf_rs::Result<OpenObject> {
    let mut builder = ObjectBuilder::default();
    if let Some(file) = btf {
        builder.btf_custom_path(file)?;
    }
    let mut open = builder.open_memory(&object.0)?;
    let settings =
        Settings { own_pid: std::process::id(), receive_arguments: facts.receive_arguments };
    for mut map in open.maps_mut() {
        if map.name().to_string_lossy().ends_with(".rodata") {
            map.set_initial_value(settings.as_bytes())?;
        }
    }
    for mut program in open.progs_mut() {
        // BPF_LOG_STATS: how much the verifier had to walk.
        program.set_log_level(4);
    }
    Ok(open)
}

/// Attaches every program of an object. `Err` when one that matters was refused.
pub(crate) fn attach_programs(
    object: Object,
    attachment: Option<Attachment>,
) -> Result<Attached, Refused> {
    let efforts = log::take_efforts();
    let mut hooks = Vec::new();
    let mut reports = Vec::new();
    for program in object.progs_mut().filter(|program| program.autoload()) {
        let name = program.name().to_string_lossy().into_owned();
        let (purpose, must) = purpose(&name);
        let refused = match attach_program(&program) {
            Ok(hook) => {
                hooks.push(hook);
                None
            }
            Err(error) if must => return Err(Refused::new(&name, &error)),
            Err(error) => Some(Refused::new("", &error).reason),
        };
        let effort = efforts.iter().rev().find(|(program, _)| *program == name);
        reports.push(ProgramReport {
            program: name,
            purpose,
            attachment,
            refused,
            verified_instructions: effort.map_or(0, |(_, instructions)| *instructions),
        });
    }
    Ok(Attached { hooks, object, reports })
}

fn attach_program(program: &ProgramMut<'_>) -> libbpf_rs::Result<Hook> {
    let section = program.section().to_string_lossy();
    if let Some(function) = section.strip_prefix("kretprobe/")
        && let Ok((link, probe)) = ReturnProbe::attach(program, function)
    {
        return Ok(Hook { _link: link, _probe: Some(probe) });
    }
    Ok(Hook { _link: program.attach()?, _probe: None })
}

pub(crate) const NAMES_PURPOSE: &str = "names of processes that live only for moments";

/// What would be missing without it, and whether capturing makes no sense without it.
fn purpose(program: &str) -> (&'static str, bool) {
    match program {
        "on_fork" | "on_exec" | "on_exit" => (NAMES_PURPOSE, false),
        "on_send_page" | "on_send_page_begin" | "on_send_page_end" => {
            ("bytes that sendfile(2) and splice(2) send", false)
        }
        "on_splice_read" | "on_splice_read_begin" | "on_splice_read_end" => {
            ("bytes that splice(2) receives", false)
        }
        name if name.starts_with("on_udp") => ("datagrams, and so DNS", false),
        _ => ("traffic of TCP connections", true),
    }
}

/// Maps that all objects that have them have in common.
pub(crate) const SHARED: [&str; 8] = [
    "ring",
    "counters",
    "depths",
    "segment_scratch",
    "tls_calls",
    "tls_probed",
    "opt_outs",
    "has_opt_outs",
];

/// Lets `object` use the maps of `owner`.
pub(crate) fn share_maps(object: &mut OpenObject, owner: &Object) -> libbpf_rs::Result<()> {
    for mut map in object.maps_mut() {
        let name = map.name().to_owned();
        if SHARED.iter().any(|shared| name == *shared) {
            map.reuse_fd(find_map(owner, &name.to_string_lossy())?.as_fd())?;
        }
    }
    Ok(())
}

pub(crate) fn find_map<'a>(
    object: &'a Object,
    name: &str,
) -> libbpf_rs::Result<libbpf_rs::Map<'a>> {
    object.maps().find(|map| map.name() == name).ok_or_else(|| {
        libbpf_rs::Error::from(std::io::Error::other(format!("the object has no map {name}")))
    })
}

#[cfg(test)]
mod tests {
    use super::Attachment;

    #[test]
    fn every_way_has_a_name() {
        for attachment in Attachment::ALL {
            assert_eq!(attachment.as_str().parse::<Attachment>().unwrap(), attachment);
        }
        assert!("ptrace".parse::<Attachment>().is_err());
    }
}
