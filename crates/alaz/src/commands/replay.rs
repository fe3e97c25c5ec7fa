//! `alaz replay`: a recording through the same pipeline.

use alaz_capture::RecordingReader;
use anyhow::Context;

use crate::cli::ReplayArgs;
use crate::output::printing::Printing;
use crate::source;

/// To the end of the recording, as fast as it reads.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let name = || format!("{}", args.file.display());
    let reader = RecordingReader::open(&args.file).with_context(name)?;
    let mut printing = Printing::new(args.output, (&args.filter).into());
    let ledger = source::replay(reader, &mut printing).with_context(name)?;
    let result = printing.finish();
    super::print_ledger(&ledger);
    result.context("standard output")
}
