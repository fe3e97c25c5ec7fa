//! Who does the talking: process, container, Kubernetes pod, and the name a person would use.
//!
//! In flow process ids (of segments and exchanges), program starts and process ends; out flow
//! [`alaz_model::Process`] facts, shared by everything that names the process. Facts come from
//! `/proc/PID` (`proc(5)`), asked once per life of a process, and from the exec event where the
//! process is gone before it can be asked. Nothing here knows bytes or protocols.
//!
//! Of a command line only the names of scripts, jars, classes and modules are ever kept: flag
//! values may hold secrets.
//!
//! [`cluster`] knows Kubernetes: pods, services and nodes by container and by address and time.
//!
//! ```
//! use alaz_identity::{ProcRoot, Processes};
//!
//! let mut processes = Processes::new(ProcRoot::default(), 1_024);
//! let me = processes.resolve(std::process::id());
//! assert_eq!(me.map(|process| process.pid), Some(std::process::id()));
//! ```

#![forbid(unsafe_code)]

mod cgroup;
pub mod cluster;
mod exec;
mod interpreter;
mod opt_out;
mod processes;
mod procfs;
mod program;
mod text;
mod workload;

pub use opt_out::OptOut;
pub use processes::{Counters, Processes};
pub use procfs::ProcRoot;
