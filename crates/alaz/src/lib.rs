//! The program: commands, settings, and the wiring of the stages.
//!
//! In: events of the kernel side or of a recording. Out: exchanges on the terminal, the map in the
//! browser. The stages themselves live in their own crates; what runs here is their order:
//!
//! ```text
//! capture ─► protocol (engine) ─► protocol (join) ─► identity ─► flow ─► server
//!                                                              └► export
//! ```
//!
//! [`pipeline::Pipeline`] is that order up to identified exchanges, free of threads, clocks and
//! files, so that a live capture, a replay and a benchmark run the very same code.

#![forbid(unsafe_code)]

mod cli;
mod cluster;
mod commands;
mod config;
mod depth;
mod export;
mod guard;
mod output;
mod own_addresses;
pub mod pipeline;
mod source;

pub use commands::main;
