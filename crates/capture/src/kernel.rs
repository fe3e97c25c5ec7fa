//! A running capture: starting it, reading what the kernel side writes, its counters.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use alaz_model::{ConnectionKey, Event};
use libbpf_rs::{MapCore, MapFlags, Object};
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{self, KernelCounters};
use crate::attachment::{self, Attached, Attachment, Hook, Refusal, Refused, SHARED, find_map};
use crate::error::CaptureError;
use crate::facts::{Facts, KERNEL_BTF};
use crate::ring::{Drained, Ring};
use crate::tls::{Tls, TlsReport};
use crate::{btf_file, log, objects, return_probe};

/// Inode of the first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
pub(crate) const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Segments that one call is told in at most (`PARTS_MAX` of `bpf/abi.h`); of the last one only the
/// ends are copied.
pub const PARTS_MAX: u32 = 16;
/// Connections that are copied in depth at once (`depths` in `bpf/segment.h`).
pub const DEPTHS_MAX: usize = 4096;

/// Processes that are opted out at once (`opt_outs` in `bpf/shared.h`).
pub const OPT_OUTS_MAX: usize = 4096;

/// How to capture.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of the ring between kernel and user side; a power of two, at least a page.
    pub ring_bytes: u32,
    /// Connections known at once. One takes about 100 bytes of kernel memory.
    pub connections: u32,
    /// The only way to attach that is tried; `None`: the best that the kernel allows.
    pub attachment: Option<Attachment>,
    /// Type information (BTF) of this very kernel, for kernels that do not bring it themselves: a
    /// file, or a folder laid out as BTFHub's archive.
    pub btf: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options { ring_bytes: 16 << 20, connections: 65_536, attachment: None, btf: None }
    }
}

/// One attached program, or why it is not.
#[derive(Clone, Debug)]
pub struct ProgramReport {
    /// Its name in `bpf/`.
    pub program: String,
    /// What would be missing without it.
    pub purpose: &'static str,
    /// The way that was chosen for it; `None` when there is only one.
    pub attachment: Option<Attachment>,
    /// The kernel's reason when it refused.
    pub refused: Option<String>,
    /// Instructions that the kernel's verifier walked; 0 when it did not say.
    pub verified_instructions: u32,
}

/// A running capture. Everything in the kernel goes when it is dropped, or with the process.
pub struct Capture {
    // Dropped in this order: the ring before the map behind it.
    ring: Ring,
    tls: Result<Tls, String>,
    hooks: Vec<Hook>,
    traffic: Object,
    process: Option<Object>,
    reports: Vec<ProgramReport>,
    attachment: Attachment,
    refusals: Vec<Refusal>,
    facts: Facts,
    skipped: Mutex<Skipped>,
    depth_changes: AtomicU32,
}

impl Capture {
    /// Loads and attaches the programs. Those that only add to the picture may be refused (see
    /// [`Capture::reports`]); those that see traffic may not.
    ///
    /// # Errors
    /// See [`CaptureError`]; nothing is left in the kernel.
    pub fn start(options: &Options) -> Result<Capture, CaptureError> {
        check_pid_namespace()?;
        let options = Options { btf: type_information(options)?, ..options.clone() };
        log::listen();
        return_probe::remove_leftovers();
        let facts = Facts::read(options.btf.as_deref());
        let (attachment, traffic, refusals) = attachment::attach(&options, facts)?;
        let Attached { mut hooks, object: traffic, mut reports } = traffic;
        let ring = open_ring(&traffic, options.ring_bytes)?;
        let process = match attach_process(&traffic, options.btf.as_deref(), facts) {
            Ok(process) => {
                hooks.extend(process.hooks);
                reports.extend(process.reports);
                Some(process.object)
            }
            Err(refused) => {
                reports.push(ProgramReport {
                    program: "process".to_owned(),
                    purpose: attachment::NAMES_PURPOSE,
                    attachment: None,
                    refused: Some(refused.to_string()),
                    verified_instructions: 0,
                });
                None
            }
        };
        let tls = Tls::start(&traffic, options.btf.as_deref(), facts);
        let tls = tls.map_err(|refused| refused.to_string());
        let skipped = Mutex::new(Skipped { runs: 0, asked: Instant::now() });
        let depth_changes = AtomicU32::new(0);
        Ok(Capture {
            ring,
            tls,
            hooks,
            traffic,
            process,
            reports,
            attachment,
            refusals,
            facts,
            skipped,
            depth_changes,
        })
    }

    /// Takes the programs off the kernel. What they wrote stays to be read, and the counters are
    /// final.
    pub fn detach(&mut self) {
        self.tls = Err("the capture has ended".to_owned());
        self.hooks.clear();
    }

    /// How traffic is seen.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// Better ways to see it that this kernel refused, and why.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Whether the kernel may skip the programs that see traffic: while a thread that was preempted
    /// in one waits for its CPU. What is missed then is counted, and may be counted too high.
    #[must_use]
    pub fn may_skip(&self) -> bool {
        let attached = |name: &str| {
            self.traffic.progs_mut().any(|program| program.name() == name && program.autoload())
        };
        match self.attachment {
            Attachment::Fexit => self.facts.preempts,
            Attachment::Kprobe => false,
            Attachment::Syscall => self.facts.preempts_tracepoints && attached("on_call_end"),
        }
    }

    /// What is attached, and what was refused and why.
    #[must_use]
    pub fn reports(&self) -> &[ProgramReport] {
        &self.reports
    }

    /// Hands every record that waits in the ring to `sink`, undecoded (see [`crate::decode`]). Never
    /// blocks.
    pub fn drain_records(&mut self, mut sink: impl FnMut(&[u8])) -> Drained {
        let tls = self.tls.as_ref();
        self.ring.drain(|record| {
            if let Ok(tls) = tls
                && let Some(event) = abi::decode(record)
            {
                tls.hear(&event);
            }
            sink(record);
        })
    }

    /// Hands every event that waits in the ring to `sink`.
    pub fn drain(&mut self, mut sink: impl FnMut(Event<'_>)) -> Drained {
        let tls = self.tls.as_ref();
        self.ring.drain(|record| {
            if let Some(event) = abi::decode(record) {
                if let Ok(tls) = tls {
                    tls.hear(&event);
                }
                sink(event);
            }
        })
    }

    /// What is read inside TLS, and what not and why.
    #[must_use]
    pub fn tls(&self) -> TlsReport {
        match &self.tls {
            Ok(tls) => tls.report(),
            Err(reason) => TlsReport { refused: Some(reason.clone()), ..TlsReport::default() },
        }
    }

    /// This process speaks TLS, and nothing of it is read: perhaps it has loaded its library lately.
    pub fn look_for_tls(&self, pid: u32) {
        if let Ok(tls) = &self.tls {
            tls.speaks(pid);
        }
    }

    /// From now on calls on this connection that move more than what is copied of a segment are told
    /// in several segments, and so copied whole as far as [`PARTS_MAX`] of them reach: for protocols
    /// that say more than once in a call what must be known. As many connections as
    /// [`DEPTHS_MAX`] are treated so; those that moved much longest ago make room.
    ///
    /// # Errors
    /// When the kernel refuses to write its own map.
    pub fn copy_in_depth(&self, key: ConnectionKey) -> Result<(), CaptureError> {
        self.set_depth(key, PARTS_MAX)
    }

    /// From its next call on nothing is copied of this connection any more: only that there are calls,
    /// and how long they are, is told. For as long as it lasts: there is no way back.
    ///
    /// # Errors
    /// When the kernel refuses to write its own map.
    pub fn count_only(&self, key: ConnectionKey) -> Result<(), CaptureError> {
        self.set_depth(key, 0)
    }

    fn set_depth(&self, key: ConnectionKey, parts: u32) -> Result<(), CaptureError> {
        let depth = abi::Depth { generation: key.generation, parts, reserved: 0 };
        let write = || {
            let map = find_map(&self.traffic, "depths")?;
            map.update(&key.socket.to_ne_bytes(), depth.as_bytes(), MapFlags::ANY)?;
            self.note_depth_change()
        };
        write().map_err(|error| CaptureError::System {
            what: "telling the kernel side how much to copy of a connection",
            cause: std::io::Error::other(error),
        })
    }

    /// The connection is over, or not worth it any more.
    pub fn copy_ends(&self, key: ConnectionKey) {
        if let Ok(map) = find_map(&self.traffic, "depths") {
            // It may have made room for another.
            let _ = map.delete(&key.socket.to_ne_bytes());
            // Where the kernel does not take it, it stays until another change.
            let _ = self.note_depth_change();
        }
    }

    /// The kernel side looks only when the number is another one.
    fn note_depth_change(&self) -> libbpf_rs::Result<()> {
        let change = self.depth_changes.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let map = find_map(&self.traffic, "depth_changes")?;
        map.update(&0_u32.to_ne_bytes(), &change.to_ne_bytes(), MapFlags::ANY)
    }

    /// From now on calls of this process, and what others move on its connections, are neither copied
    /// nor told of, only counted. Its children are born so; a
    /// program that it starts is not, unless its environment holds `ALAZ_CAPTURE=off`. Processes that
    /// are born so are opted out by the kernel side itself.
    ///
    /// # Errors
    /// When the kernel refuses to write its own maps: [`OPT_OUTS_MAX`] processes are opted out already.
    /// Its calls are told of then.
    pub fn opt_out(&self, pid: u32) -> Result<(), CaptureError> {
        let write = || {
            let opt_outs = find_map(&self.traffic, "opt_outs")?;
            opt_outs.update(&pid.to_ne_bytes(), &[1], MapFlags::ANY)?;
            let flag = find_map(&self.traffic, "has_opt_outs")?;
            flag.update(&0_u32.to_ne_bytes(), &1_u32.to_ne_bytes(), MapFlags::ANY)
        };
        write().map_err(|error| CaptureError::System {
            what: "telling the kernel side to leave a process out",
            cause: std::io::Error::other(error),
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
            let map = find_map(&self.traffic, "counters")?;
            let mut total = KernelCounters::default();
            for lane in 0..map.max_entries() {
                let values = map.lookup_percpu(&lane.to_ne_bytes(), MapFlags::ANY)?;
                for value in values.unwrap_or_default() {
                    if let Ok((counters, _)) = KernelCounters::read_from_prefix(&value) {
                        total.add(&counters);
                    }
                }
            }
            total.miss(self.skipped_runs());
            Ok(total)
        };
        read().map_err(|error| CaptureError::System {
            what: "reading the kernel side's counters",
            cause: std::io::Error::other(error),
        })
    }

    /// How often the kernel did not run a program that sees traffic, because it was running already
    /// on that CPU and was preempted there. Such a call may have moved nothing.
    fn skipped_runs(&self) -> u64 {
        // Kprobes are not preempted, and account for themselves.
        if self.attachment == Attachment::Kprobe {
            return 0;
        }
        let Ok(mut skipped) = self.skipped.lock() else { return 0 };
        if skipped.asked.elapsed() > SKIPPED_AGE || self.hooks.is_empty() {
            let programs = self.traffic.progs_mut().filter(|it| it.autoload());
            skipped.runs = programs.map(|it| fact(it.as_fd(), "recursion_misses:")).sum();
            skipped.asked = Instant::now();
        }
        skipped.runs
    }

    /// Kernel memory that the maps take, in bytes, as the kernel accounts it.
    #[must_use]
    pub fn map_bytes(&self) -> u64 {
        let shared = |name: &std::ffi::OsStr| SHARED.iter().any(|shared| name == *shared);
        let own = self.traffic.maps().map(|map| map_bytes(&map)).sum::<u64>();
        let process = self.process.iter().flat_map(|object| object.maps());
        own + process.filter(|map| !shared(map.name())).map(|map| map_bytes(&map)).sum::<u64>()
    }
}

/// The kernel counts skipped runs by program; asking it costs more than reading a map.
struct Skipped {
    runs: u64,
    asked: Instant,
}

const SKIPPED_AGE: Duration = Duration::from_secs(1);

fn map_bytes(map: &libbpf_rs::Map<'_>) -> u64 {
    fact(map.as_fd(), "memlock:")
}

/// A number that the kernel gives for an object of ours (proc_pid_fdinfo(5)); 0 when it does not.
fn fact(object: BorrowedFd<'_>, name: &str) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", object.as_raw_fd());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn check_pid_namespace() -> Result<(), CaptureError> {
    let namespace = std::fs::read_link("/proc/self/ns/pid");
    match namespace {
        Ok(namespace) if namespace.as_os_str() != FIRST_PID_NAMESPACE => {
            Err(CaptureError::PidNamespace)
        }
        _ => Ok(()),
    }
}

/// The file to take type information from; `None` for the kernel's own.
fn type_information(options: &Options) -> Result<Option<PathBuf>, CaptureError> {
    match &options.btf {
        Some(path) => btf_file::find(path, Path::new("/")).map(Some),
        None if Path::new(KERNEL_BTF).exists() => Ok(None),
        None => Err(CaptureError::NoBtf { path: KERNEL_BTF }),
    }
}

/// The process programs, writing to the same ring and counters.
fn attach_process(traffic: &Object, btf: Option<&Path>, facts: Facts) -> Result<Attached, Refused> {
    let load = || {
        let mut open = attachment::open(objects::PROCESS, btf, facts)?;
        attachment::share_maps(&mut open, traffic)?;
        open.load()
    };
    let object = load().map_err(|error| Refused::new("", &error))?;
    attachment::attach_programs(object, None)
}

fn open_ring(traffic: &Object, size: u32) -> Result<Ring, CaptureError> {
    find_map(traffic, "ring")
        .map_err(std::io::Error::other)
        .and_then(|map| Ring::open(map.as_fd(), size))
        .map_err(|cause| CaptureError::System { what: "mapping the ring", cause })
}
