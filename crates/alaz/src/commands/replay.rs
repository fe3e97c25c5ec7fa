//! `alaz replay`: a recording, or a capture file, through the same pipeline.

use std::fs::File;
use std::io::Read;

use alaz_capture::{PcapReader, RecordingReader, is_pcap};
use alaz_model::Ledger;
use anyhow::Context;

use crate::cli::ReplayArgs;
use crate::output::printing::{Overflow, Printing};
use crate::source;

/// To the end of the file, as fast as it reads.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let name = || format!("{}", args.file.display());
    let mut printing = Printing::new(args.output, (&args.filter).into(), Overflow::Wait);
    let (ledger, end) = read(args, &mut printing).with_context(name)?;
    let result = printing.finish();
    super::print_ledger(&ledger);
    result.context("standard output")?;
    end.with_context(name)
}

/// The ledger, and whether the file was whole.
fn read(
    args: &ReplayArgs,
    printing: &mut Printing,
) -> anyhow::Result<(Ledger, anyhow::Result<()>)> {
    let mut start = Vec::new();
    File::open(&args.file)?.take(16).read_to_end(&mut start)?;
    if is_pcap(&start) {
        let mut reader = PcapReader::open(&args.file)?;
        let (ledger, end) = source::replay_packets(&mut reader, printing);
        return Ok((ledger, end.map_err(anyhow::Error::from)));
    }
    let reader = RecordingReader::open(&args.file)?;
    let (ledger, end) = source::replay(reader, printing);
    Ok((ledger, end.map_err(anyhow::Error::from)))
}
