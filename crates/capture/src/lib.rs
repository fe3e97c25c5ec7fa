//! Where segments come from: the kernel programs of `bpf/`, or a recording of what they wrote.
//!
//! In: what all processes send and receive. Out: [`alaz_model::Event`]s in the order in which the
//! kernel wrote them, and counters of what it could not write. This crate knows no protocol and no
//! name.
//!
//! ```no_run
//! use alaz_capture::{Capture, Options};
//!
//! let mut capture = Capture::start(&Options::default())?;
//! loop {
//!     capture.drain(|event| println!("{event:?}"));
//!     std::thread::sleep(std::time::Duration::from_millis(5));
//! }
//! # Ok::<(), alaz_capture::CaptureError>(())
//! ```
//!
//! The ring never wakes its reader: a wake-up would land in the application's own system call and
//! cost it fifty times what the record costs. Come by every few milliseconds instead.

#![deny(unsafe_code)]

mod abi;
mod attachment;
mod btf_file;
mod error;
mod facts;
mod kernel;
mod log;
mod objects;
mod pcap;
pub mod probe;
mod recording;
mod release;
mod return_probe;
#[allow(unsafe_code, reason = "shares memory with the kernel")]
mod ring;
mod tls;

pub use abi::{KernelCounters, Quantity, decode, encode};
pub use attachment::{Attachment, Refusal, UnknownAttachment};
pub use error::CaptureError;
pub use kernel::{Capture, DEPTHS_MAX, OPT_OUTS_MAX, Options, PARTS_MAX, ProgramReport};
pub use pcap::{
    Datagram, OutOfSight, PCAP_LATENESS_NS, PcapCounters, PcapError, PcapItem, PcapReader,
    TcpBytes, is_pcap,
};
pub use recording::{Frame, Header, RecordingError, RecordingReader, RecordingWriter};
pub use ring::Drained;
pub use tls::{LibraryReport, TlsReport};
