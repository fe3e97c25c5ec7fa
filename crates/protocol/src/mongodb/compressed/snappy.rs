//! Snappy's raw format: the length of what was compressed, then pieces of it and copies of what came
//! before.

/// Longer lengths are not written.
const LENGTH_BYTES_MAX: usize = 5;

/// Expands as much as the bytes tell, `limit` at most. `None` where they are no such thing.
pub(super) fn expand(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let ends = bytes.iter().take(LENGTH_BYTES_MAX).position(|byte| byte & 0x80 == 0);
    let mut rest = match ends {
        Some(end) => bytes.get(end + 1..)?,
        None if bytes.len() < LENGTH_BYTES_MAX => &[],
        None => return None,
    };
    let mut out = Vec::with_capacity(limit);
    while out.len() < limit {
        let Some((&tag, after)) = rest.split_first() else { break };
        let room = limit - out.len();
        let kind = tag & 3;
        let (length, offset, extra) = match kind {
            0 => {
                let short = usize::from(tag >> 2);
                let extra = short.saturating_sub(59);
                let Some(written) = after.get(..extra) else { break };
                let length = if extra == 0 { short } else { little_endian(written) };
                (length.saturating_add(1), 0, extra)
            }
            1 => {
                let Some(low) = after.first() else { break };
                let offset = usize::from(tag >> 5) << 8 | usize::from(*low);
                (usize::from(tag >> 2 & 7) + 4, offset, 1)
            }
            _ => {
                let extra = if kind == 2 { 2 } else { 4 };
                let Some(written) = after.get(..extra) else { break };
                (usize::from(tag >> 2) + 1, little_endian(written), extra)
            }
        };
        rest = after.get(extra..)?;
        if kind == 0 {
            let piece = rest.get(..length).unwrap_or(rest);
            out.extend_from_slice(piece.get(..room).unwrap_or(piece));
            rest = rest.get(length..).unwrap_or_default();
        } else {
            let from = out.len().checked_sub(offset).filter(|_| offset > 0)?;
            // It may copy what it has just written.
            for at in from..from + length.min(room) {
                out.push(*out.get(at)?);
            }
        }
    }
    Some(out)
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn pieces_and_copies() {
        // "ab", and copies of it that overlap themselves; then one of each other kind.
        let bytes = b"\x13\x04ab\x01\x02\x09\x02\xf0\x00x\x0f\x01\0\0\0\x06\x04\0";
        let whole = b"ababababababxxxxxxx";
        assert_eq!(expand(bytes, 100).unwrap(), whole);
        for limit in 0..whole.len() {
            assert_eq!(expand(bytes, limit).unwrap(), whole[..limit], "{limit}");
        }
        for end in 0..bytes.len() {
            assert!(whole.starts_with(&expand(&bytes[..end], 100).unwrap()), "{end}");
        }
    }

    #[test]
    fn what_copies_from_nowhere_is_none() {
        assert_eq!(expand(b"\x08\x04ab\x01\x03", 100), None);
        assert_eq!(expand(b"\x08\x04ab\x01\x00", 100), None);
        assert_eq!(expand(b"\xff\xff\xff\xff\xff\x01\x04ab", 100), None);
    }
}
