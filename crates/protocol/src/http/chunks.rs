//! Finding the end of a chunked body (RFC 9112 §7.1), without looking at what it holds.

use memchr::memchr;

/// Where in the body the reader stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before the line that gives a chunk's size.
    #[default]
    Size,
    /// After the last chunk: field lines, then an empty one.
    Trailer,
}

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkStep {
    /// These bytes are framing; then comes so much content, its line end included.
    Framing {
        bytes: usize,
        content: u64,
    },
    /// These bytes are the last of the body.
    End {
        bytes: usize,
    },
    More,
    Invalid,
}

/// Longer size or trailer lines are none.
const LINE_MAX: usize = 8192;
/// The line end after a chunk's content.
const LINE_END: u64 = 2;

impl Chunks {
    /// Reads the framing in front.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> ChunkStep {
        let Some(end) = memchr(b'\n', bytes) else {
            return if bytes.len() < LINE_MAX { ChunkStep::More } else { ChunkStep::Invalid };
        };
        let line = bytes.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let bytes = end + 1;
        match self {
            Chunks::Trailer if line.is_empty() => ChunkStep::End { bytes },
            Chunks::Trailer => ChunkStep::Framing { bytes, content: 0 },
            Chunks::Size => match size(line) {
                Some(0) => {
                    *self = Chunks::Trailer;
                    ChunkStep::Framing { bytes, content: 0 }
                }
                Some(size) => ChunkStep::Framing { bytes, content: size.saturating_add(LINE_END) },
                None => ChunkStep::Invalid,
            },
        }
    }
}

/// Hexadecimal digits, then perhaps extensions.
fn size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(end)?;
    let plausible = matches!(rest.first(), None | Some(b';' | b' ' | b'\t'));
    if !plausible || !(1..=16).contains(&digits.len()) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_after_its_trailer() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.read(b"1a;x=y\r\n"), ChunkStep::Framing { bytes: 8, content: 28 });
        assert_eq!(chunks.read(b"0\r\nT: v\r\n"), ChunkStep::Framing { bytes: 3, content: 0 });
        assert_eq!(chunks.read(b"T: v\r\n\r\n"), ChunkStep::Framing { bytes: 6, content: 0 });
        assert_eq!(chunks.read(b"\r"), ChunkStep::More);
        assert_eq!(chunks.read(b"\r\nHTTP"), ChunkStep::End { bytes: 2 });
    }

    #[test]
    fn other_bytes_are_no_sizes() {
        for wrong in [&b"\r\n"[..], b"xyz\r\n", b"-1\r\n", b"11112222333344445\r\n", b"5x\r\n"] {
            assert_eq!(Chunks::Size.read(wrong), ChunkStep::Invalid);
        }
        assert_eq!(Chunks::Size.read(&[b'1'; LINE_MAX]), ChunkStep::Invalid);
        assert_eq!(
            Chunks::Size.read(b"ffffffffffffffff\n"),
            ChunkStep::Framing { bytes: 17, content: u64::MAX }
        );
    }
}
