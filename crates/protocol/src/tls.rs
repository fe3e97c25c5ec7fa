//! Recognising TLS by the header of its records (RFC 8446 §5.1, RFC 5246 §6.2.1).

/// Type, version and length.
const HEADER: usize = 5;
/// A record of TLS 1.2 may be this much longer than its 2^14 bytes of plaintext.
const LENGTH_MAX: u16 = (1 << 14) + 2048;

/// Whether a segment that begins like this carries TLS records.
pub(crate) fn is_record(bytes: &[u8]) -> bool {
    let Some(&[kind, major, minor, high, low]) = bytes.first_chunk::<HEADER>() else {
        return false;
    };
    // change_cipher_spec, alert, handshake, application_data; versions 3.0 (SSL 3) to 3.4.
    let length = u16::from_be_bytes([high, low]);
    (20..=23).contains(&kind) && major == 3 && minor <= 4 && (1..=LENGTH_MAX).contains(&length)
}

#[cfg(test)]
mod tests {
    use super::is_record;

    #[test]
    fn records_of_every_kind_and_nothing_else() {
        assert!(is_record(&[22, 3, 1, 2, 0, 1]), "a ClientHello");
        assert!(is_record(&[23, 3, 3, 0x40, 0x11]), "application data");
        assert!(!is_record(&[22, 3, 1, 2]), "too short to tell");
        assert!(!is_record(&[22, 3, 1, 0, 0]), "empty");
        assert!(!is_record(&[22, 3, 1, 0xff, 0xff]), "too long");
        assert!(!is_record(b"GET / HTTP/1.1"));
        assert!(!is_record(&[24, 3, 3, 0, 5]));
    }
}
