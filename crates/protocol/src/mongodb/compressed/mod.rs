//! What compressed messages (OP_COMPRESSED) begin with.
//!
//! Only the beginning is expanded, and never more than [`EXPANDED_MAX`], whatever the message says
//! of itself.

mod snappy;
mod zstd;

/// Bytes that a message is expanded to.
pub(super) const EXPANDED_MAX: usize = 128 << 10;

const NONE: u8 = 0;
const SNAPPY: u8 = 1;
const ZLIB: u8 = 2;
const ZSTD: u8 = 3;

/// Whether there is a compressor of that number.
pub(super) fn is_known(compressor: u8) -> bool {
    matches!(compressor, NONE | SNAPPY | ZLIB | ZSTD)
}

/// The beginning of what was compressed, as far as the bytes tell, with the size that it is said to
/// have. `None` where they tell nothing.
pub(super) fn expand(compressor: u8, bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let limit = size.min(EXPANDED_MAX);
    let expanded = match compressor {
        NONE => bytes.get(..limit.min(bytes.len()))?.to_vec(),
        SNAPPY => snappy::expand(bytes, limit)?,
        ZLIB => inflate(bytes, limit)?,
        ZSTD => zstd::expand(bytes, limit)?,
        _ => return None,
    };
    (!expanded.is_empty()).then_some(expanded)
}

/// zlib (RFC 1950).
fn inflate(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    use miniz_oxide::inflate::TINFLStatus::{Done, HasMoreOutput, NeedsMoreInput};
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
    let mut state = Box::new(DecompressorOxide::new());
    let mut expanded = vec![0; limit];
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut state, bytes, &mut expanded, 0, flags);
    expanded.truncate(written);
    matches!(status, Done | HasMoreOutput | NeedsMoreInput).then_some(expanded)
}
