//! Names: from labels to text, and the route of a name.

use compact_str::{CompactString, format_compact};

use crate::pattern::pattern;

/// A name has at most so many bytes, lengths of labels included (RFC 1035 §2.3.4).
const WIRE_MAX: usize = 255;
const LABEL_MAX: u8 = 63;
/// The two highest bits of a label's length say that the rest stands elsewhere (RFC 1035 §4.1.4).
const POINTER: u8 = 0xc0;
/// Longer ones are shown cut. Only names with escapes are.
pub(super) const SHOWN_MAX: usize = 255;
const CUT: &str = "…";
/// Names of addresses: their labels are the numbers of it.
const REVERSE: [&str; 2] = [".in-addr.arpa", ".ip6.arpa"];

/// The name at `at`, and where it ends. Only for a message's first name: pointers lead back, and
/// before the first there is nothing to lead to.
///
/// In lower case, since names are compared so (RFC 4343) and clients mix cases at random; bytes that
/// are not part of host names are escaped as in zone files (`\032`, RFC 1035 §5.1).
pub(super) fn first(bytes: &[u8], at: usize) -> Option<(CompactString, usize)> {
    let mut text = CompactString::default();
    let mut rest = bytes.get(at..)?;
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            rest = after;
            break;
        }
        if length > LABEL_MAX || bytes.len() - after.len() + usize::from(length) - at >= WIRE_MAX {
            return None;
        }
        let (label, after) = after.split_at_checked(usize::from(length))?;
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            push(&mut text, *byte);
        }
        rest = after;
    }
    if text.is_empty() {
        text.push('.');
    }
    Some((text, bytes.len() - rest.len()))
}

fn push(text: &mut CompactString, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-_*/".contains(&byte) {
        text.push(char::from(byte.to_ascii_lowercase()));
    } else {
        text.push_str(&format_compact!("\\{byte:03}"));
    }
}

/// Where the name at `at` ends, whatever it refers to.
pub(super) fn end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length if length >= POINTER => return Some(at + 2),
            length if length <= LABEL_MAX => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// As much of a name as is shown.
pub(super) fn shown(name: &CompactString) -> CompactString {
    if name.len() <= SHOWN_MAX {
        return name.clone();
    }
    // All of it is ASCII.
    let mut cut = CompactString::from(name.get(..SHOWN_MAX - CUT.len()).unwrap_or_default());
    cut.push_str(CUT);
    cut
}

/// The name for grouping: labels that are no words are replaced, addresses as a whole.
pub(super) fn route(name: &str) -> CompactString {
    match REVERSE.iter().find(|suffix| name.ends_with(**suffix)) {
        Some(suffix) => format_compact!("{{id}}{suffix}"),
        None => pattern(name.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(wire: &[u8]) -> Option<(CompactString, usize)> {
        first(wire, 0)
    }

    #[test]
    fn labels_are_joined_in_lower_case_and_the_rest_is_escaped() {
        let name = |text: &str, end| Some((CompactString::from(text), end));
        assert_eq!(text(b"\x03wWw\x07eXample\x03ORG\0rest"), name("www.example.org", 17));
        assert_eq!(text(b"\0"), name(".", 1));
        assert_eq!(text(b"\x05_sip*\x040/25\0"), name("_sip*.0/25", 12));
        assert_eq!(text(b"\x03a.b\x04\xc3\xa9 \\\0"), name("a\\046b.\\195\\169\\032\\092", 10));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(text(b""), None);
        assert_eq!(text(b"\x03ww"), None);
        assert_eq!(text(b"\x03www"), None);
        assert_eq!(text(b"\x01a\xc0\x00"), None, "to itself");
        assert_eq!(text(b"\x40aaaaaaa\0"), None);
        let label = [&[63][..], &[b'a'; 63]].concat();
        let three = label.repeat(3);
        assert!(text(&[&three[..], &[61], &[b'a'; 61], b"\0"].concat()).is_some(), "255 bytes");
        assert_eq!(text(&[&three[..], &[62], &[b'a'; 62], b"\0"].concat()), None, "256 bytes");
    }

    #[test]
    fn the_end_of_a_name_is_where_it_or_its_pointer_ends() {
        assert_eq!(end(b"\x01a\0", 0), Some(3));
        assert_eq!(end(b"\x01a\xc0\x00x", 0), Some(4));
        assert_eq!(end(b"\x01a\x80\x00", 0), None);
        assert_eq!(end(b"\x09a", 0), None);
    }

    #[test]
    fn a_route_has_no_part_that_differs_each_time() {
        for (name, expected) in [
            (".", "."),
            ("www.example.org", "www.example.org"),
            ("db-1.internal", "db-1.internal"),
            ("_sip._tcp.example.org", "_sip._tcp.example.org"),
            ("3f2504e04f8911d39a0c.tracker.example", "{id}.tracker.example"),
            ("ip-10-0-3-17.ec2.internal", "{id}.ec2.internal"),
            ("9.0.0.127.in-addr.arpa", "{id}.in-addr.arpa"),
            ("b.a.9.8.7.ip6.arpa", "{id}.ip6.arpa"),
            ("a\\032b.example", "{id}.example"),
        ] {
            assert_eq!(route(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_name(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some((name, end)) = first(&bytes, 0) {
                prop_assert!(end <= WIRE_MAX && end <= bytes.len());
                prop_assert!(!name.is_empty() && name.is_ascii());
                prop_assert!(shown(&name).len() <= SHOWN_MAX);
                prop_assert_eq!(super::end(&bytes, 0), Some(end));
            }
        }
    }
}
