//! The kernel side: loading the programs, attaching them, reading what they write.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::Mutex;

use alaz_model::Event;
use libbpf_rs::{
    ErrorKind, Link, MapCore, MapFlags, Object, ObjectBuilder, OpenObject, PrintLevel,
};
use zerocopy::FromBytes;

use crate::abi::{self, KernelCounters};
use crate::error::CaptureError;
use crate::objects::{self, Aligned};
use crate::ring::Ring;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// Inode of the first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
pub(crate) const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// How much room the kernel side gets.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of the ring between kernel and user side; a power of two, at least a page.
    pub ring_bytes: u32,
    /// Connections known at once. One takes about 100 bytes of kernel memory.
    pub connections: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { ring_bytes: 16 << 20, connections: 65_536 }
    }
}

/// One attached program, or why it is not.
#[derive(Clone, Debug)]
pub struct ProgramReport {
    /// Its name in `bpf/`.
    pub program: String,
    /// What would be missing without it.
    pub purpose: &'static str,
    /// The kernel's reason when it refused.
    pub refused: Option<String>,
}

/// A running capture. Everything in the kernel goes when it is dropped, or with the process.
pub struct Capture {
    // Dropped in this order: the ring before the map behind it.
    ring: Ring,
    links: Vec<Link>,
    socket: Object,
    process: Option<Object>,
    reports: Vec<ProgramReport>,
}

impl Capture {
    /// Loads and attaches the programs. Those that only add names may be refused (see
    /// [`Capture::reports`]); those that see traffic may not.
    ///
    /// # Errors
    /// See [`CaptureError`]; nothing is left in the kernel.
    pub fn start(options: &Options) -> Result<Capture, CaptureError> {
        check_surroundings()?;
        let socket = load_socket(options)?;
        let mut links = Vec::new();
        let mut reports = Vec::new();
        for (link, report) in attach_all(&socket, "traffic of TCP connections") {
            if let Some(reason) = report.refused {
                return Err(CaptureError::Refused {
                    program: "socket",
                    reason: format!("{}: {reason}", report.program),
                    log: take_log(),
                });
            }
            links.extend(link);
            reports.push(report);
        }
        let ring = open_ring(&socket, options.ring_bytes)?;

        let process = load_process(&socket);
        let process = match process {
            Ok(process) => {
                for (link, report) in attach_all(&process, NAMES_PURPOSE) {
                    links.extend(link);
                    reports.push(report);
                }
                Some(process)
            }
            Err(error) => {
                reports.push(ProgramReport {
                    program: "process".to_owned(),
                    purpose: NAMES_PURPOSE,
                    refused: Some(error.to_string()),
                });
                None
            }
        };
        Ok(Capture { ring, links, socket, process, reports })
    }

    /// Takes the programs off the kernel. What they wrote stays to be read, and the counters are
    /// final.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// What is attached, and what was refused and why.
    #[must_use]
    pub fn reports(&self) -> &[ProgramReport] {
        &self.reports
    }

    /// Hands every record that waits in the ring to `sink`, undecoded (see [`crate::decode`]).
    /// Returns how many there were. Never blocks.
    pub fn drain_records(&mut self, sink: impl FnMut(&[u8])) -> u64 {
        self.ring.drain(sink)
    }

    /// Hands every event that waits in the ring to `sink`. Returns how many records there were.
    pub fn drain(&mut self, mut sink: impl FnMut(Event<'_>)) -> u64 {
        self.ring.drain(|record| {
            if let Some(event) = abi::decode(record) {
                sink(event);
            }
        })
    }

    /// How full the ring is, from 0 to 1.
    #[must_use]
    pub fn fill(&self) -> f64 {
        self.ring.waiting() as f64 / self.ring.capacity() as f64
    }

    /// The kernel side's counters, summed over all CPUs.
    ///
    /// # Errors
    /// When the kernel refuses to read its own map.
    pub fn counters(&self) -> Result<KernelCounters, CaptureError> {
        let read = || -> libbpf_rs::Result<KernelCounters> {
            let map = find_map(&self.socket, "counters")?;
            let key = 0_u32.to_ne_bytes();
            let values = map.lookup_percpu(&key, MapFlags::ANY)?.unwrap_or_default();
            let mut total = KernelCounters::default();
            for value in values {
                if let Ok((counters, _)) = KernelCounters::read_from_prefix(&value) {
                    total.add(&counters);
                }
            }
            Ok(total)
        };
        read().map_err(|error| CaptureError::System {
            what: "reading the kernel side's counters",
            source: std::io::Error::other(error),
        })
    }

    /// Kernel memory that the maps take, in bytes, as the kernel accounts it.
    #[must_use]
    pub fn map_bytes(&self) -> u64 {
        let shared = |name: &std::ffi::OsStr| name == "ring" || name == "counters";
        let own = self.socket.maps().map(|map| map_bytes(&map)).sum::<u64>();
        let process = self.process.iter().flat_map(|object| object.maps());
        own + process.filter(|map| !shared(map.name())).map(|map| map_bytes(&map)).sum::<u64>()
    }
}

const NAMES_PURPOSE: &str = "names of processes that live only for moments";

fn map_bytes(map: &libbpf_rs::Map<'_>) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let memory = text.lines().find_map(|line| line.strip_prefix("memlock:"));
    memory.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn check_surroundings() -> Result<(), CaptureError> {
    install_log();
    if std::fs::read_link("/proc/self/ns/pid")
        .is_ok_and(|namespace| namespace.as_os_str() != FIRST_PID_NAMESPACE)
    {
        return Err(CaptureError::PidNamespace);
    }
    if !Path::new(KERNEL_BTF).exists() {
        return Err(CaptureError::NoBtf { path: KERNEL_BTF });
    }
    Ok(())
}

/// The socket programs, reading kernel memory directly where the kernel is new enough.
fn load_socket(options: &Options) -> Result<Object, CaptureError> {
    let load = |bytes: &Aligned<[u8]>| {
        let mut open = open(bytes)?;
        for mut map in open.maps_mut() {
            match map.name().to_str() {
                Some("ring") => map.set_max_entries(options.ring_bytes)?,
                Some("connections") => map.set_max_entries(options.connections)?,
                _ => {}
            }
        }
        open.load()
    };
    load(objects::SOCKET_DIRECT)
        .or_else(|_| {
            take_log();
            load(objects::SOCKET)
        })
        .map_err(|error| refused("socket", &error))
}

/// The process programs, writing to the same ring and counters.
fn load_process(socket: &Object) -> Result<Object, CaptureError> {
    let load = || {
        let mut open = open(objects::PROCESS)?;
        for mut map in open.maps_mut() {
            let name = map.name().to_owned();
            if name == "ring" || name == "counters" {
                map.reuse_fd(find_map(socket, &name.to_string_lossy())?.as_fd())?;
            }
        }
        open.load()
    };
    load().map_err(|error| refused("process", &error))
}

fn open(object: &Aligned<[u8]>) -> libbpf_rs::Result<OpenObject> {
    let mut open = ObjectBuilder::default().open_memory(&object.0)?;
    let own_pid = std::process::id().to_ne_bytes();
    for mut map in open.maps_mut() {
        if map.name().to_string_lossy().ends_with(".rodata") {
            // `own_pid` is the only constant.
            let size = map.initial_value().map_or(0, <[u8]>::len);
            if size == own_pid.len() {
                map.set_initial_value(&own_pid)?;
            }
        }
    }
    Ok(open)
}

fn attach_all<'a>(
    object: &'a Object,
    purpose: &'static str,
) -> impl Iterator<Item = (Option<Link>, ProgramReport)> + 'a {
    object.progs_mut().map(move |program| {
        let (link, refused) = match program.attach() {
            Ok(link) => (Some(link), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let program = program.name().to_string_lossy().into_owned();
        (link, ProgramReport { program, purpose, refused })
    })
}

fn open_ring(socket: &Object, size: u32) -> Result<Ring, CaptureError> {
    find_map(socket, "ring")
        .map_err(std::io::Error::other)
        .and_then(|map| Ring::open(map.as_fd(), size))
        .map_err(|source| CaptureError::System { what: "mapping the ring", source })
}

fn find_map<'a>(object: &'a Object, name: &str) -> libbpf_rs::Result<libbpf_rs::Map<'a>> {
    object.maps().find(|map| map.name() == name).ok_or_else(|| {
        libbpf_rs::Error::from(std::io::Error::other(format!("the object has no map {name}")))
    })
}

fn refused(program: &'static str, error: &libbpf_rs::Error) -> CaptureError {
    let log = take_log();
    if error.kind() == ErrorKind::PermissionDenied && !log.contains("processed") {
        return CaptureError::Permission;
    }
    CaptureError::Refused { program, reason: format!("{error:#}"), log }
}

/// libbpf's and the verifier's words, kept until an error wants them. Bounded.
static LOG: Mutex<String> = Mutex::new(String::new());
const LOG_BYTES: usize = 4096;

fn install_log() {
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| {
        let Ok(mut log) = LOG.lock() else { return };
        log.push_str(&line);
        if log.len() > LOG_BYTES {
            // The verifier gives its reason at the end.
            let cut = log.len() - LOG_BYTES;
            let cut = log.ceil_char_boundary(cut);
            log.drain(..cut);
        }
    })));
}

fn take_log() -> String {
    LOG.lock().map(|mut log| std::mem::take(&mut *log)).unwrap_or_default()
}
