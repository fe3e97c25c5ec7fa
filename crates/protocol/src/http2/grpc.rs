//! What gRPC adds to HTTP/2: messages inside the content, and a status of its own.

use compact_str::CompactString;

/// A flag and a length before every message.
const PREFIX: usize = 5;

/// The messages that one side sends on one stream, counted by their lengths alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    count: u64,
    /// So many bytes of the newest are still to come.
    left: u64,
    /// The beginning of the next one's prefix.
    prefix: [u8; PREFIX],
    held: usize,
    /// A prefix was not seen, or was none.
    is_uncertain: bool,
}

impl Messages {
    /// Takes a frame's content of this length, of which `seen` is there. Returns false, and takes
    /// nothing, when it takes more of it to tell.
    pub(super) fn take(&mut self, seen: &[u8], length: usize) -> bool {
        let mut next = *self;
        let mut at = 0;
        while at < length && !next.is_uncertain {
            if next.left > 0 {
                let part = next.left.min((length - at) as u64);
                next.left -= part;
                at += part as usize;
                continue;
            }
            let Some(byte) = seen.get(at) else { return false };
            at += 1;
            next.take_prefix(*byte);
        }
        *self = next;
        true
    }

    fn take_prefix(&mut self, byte: u8) {
        if let Some(place) = self.prefix.get_mut(self.held) {
            *place = byte;
        }
        self.held += 1;
        if self.held == PREFIX {
            let [flag, length @ ..] = self.prefix;
            self.held = 0;
            self.count += 1;
            self.left = u64::from(u32::from_be_bytes(length));
            self.is_uncertain |= flag > 1;
        }
    }

    /// A part that was not seen may have held any number of them.
    pub(super) fn lose_count(&mut self) {
        self.is_uncertain = true;
    }

    /// How many there were, if that is certain now that the last one has ended.
    pub(super) fn count(&self) -> Option<u64> {
        let is_whole = self.left == 0 && self.held == 0;
        (is_whole && !self.is_uncertain).then_some(self.count)
    }
}

/// Whether the server failed the call: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
/// UNAVAILABLE, DATA_LOSS.
pub(super) fn is_failure(status: u16) -> bool {
    matches!(status, 2 | 4 | 12 | 13 | 14 | 15)
}

/// A status by its name, as OpenTelemetry has it; unknown ones by their number.
pub(super) fn status_name(status: u16) -> CompactString {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    match NAMES.get(usize::from(status)) {
        Some(name) => CompactString::const_new(name),
        None => compact_str::format_compact!("{status}"),
    }
}

/// `/package.Service/Method` as service and method.
pub(super) fn service_and_method(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.rsplit_once('/').unwrap_or((path, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_counted_by_their_lengths() {
        let mut messages = Messages::default();
        assert!(messages.take(b"\0\0\0\0\x03ab", 7));
        assert_eq!(messages.count(), None, "not whole");
        // The rest is not seen, but one prefix after it is needed.
        assert!(messages.take(b"", 1));
        assert_eq!(messages.count(), Some(1));
        assert!(messages.take(b"\x01\0\0\x10\0xyz", 5 + 0x1000));
        assert_eq!(messages.count(), Some(2));
        assert!(!messages.take(b"\0\0", 5 + 2), "a prefix that is not there yet");
        assert!(messages.take(b"\0\0\0\0\x02", 5 + 2));
        assert_eq!(messages.count(), Some(3));
        assert!(messages.take(b"\x02\0\0\0\0", 5));
        assert_eq!(messages.count(), None, "no such flag");
    }

    #[test]
    fn paths_have_two_parts() {
        assert_eq!(service_and_method("/a.b.C/D"), ("a.b.C", "D"));
        assert_eq!(service_and_method("/prefix/a.C/D"), ("prefix/a.C", "D"));
        assert_eq!(service_and_method("x"), ("x", ""));
    }

    proptest! {
        #[test]
        fn frames_may_end_anywhere(
            lengths in proptest::collection::vec(0_usize..50, 0..20),
            cuts in proptest::collection::vec(1_usize..30, 1..10),
        ) {
            let mut bytes = Vec::new();
            for length in &lengths {
                bytes.extend_from_slice(&[0, 0, 0, 0, *length as u8]);
                bytes.resize(bytes.len() + length, 9);
            }
            let (mut messages, mut rest, mut cuts) =
                (Messages::default(), &bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                prop_assert!(messages.take(&rest[..cut], cut));
                rest = &rest[cut..];
            }
            prop_assert_eq!(messages.count(), Some(lengths.len() as u64));
        }
    }
}
