//! Text that other programs chose, made fit to be shown.

use compact_str::CompactString;

/// Longest path kept, in characters (`PATH_MAX` of Linux).
pub(crate) const PATH_LIMIT: usize = 4_096;
/// Longest name kept, in characters.
pub(crate) const NAME_LIMIT: usize = 128;

/// At most `limit` characters of `bytes`, with U+FFFD for control characters and for what is not
/// UTF-8: names end up in terminals, and any process may choose its own.
pub(crate) fn clean(bytes: &[u8], limit: usize) -> CompactString {
    let characters = bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        valid.chain((!chunk.invalid().is_empty()).then_some('\u{fffd}'))
    });
    characters.take(limit).collect()
}

/// What stands after the last slash.
pub(crate) fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_and_cuts() {
        assert_eq!(clean(b"a\x1b[31m\xff\xfeb\n", 128), "a\u{fffd}[31m\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(clean("äöü".as_bytes(), 2), "äö");
        assert_eq!(clean(b"", 2), "");
        assert_eq!(file_name(b"/usr/bin/env"), b"env");
        assert_eq!(file_name(b"env"), b"env");
        assert_eq!(file_name(b"/"), b"");
    }
}
