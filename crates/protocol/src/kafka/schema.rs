//! How messages are described: the terms of the table that is made from Kafka's own definitions.

use std::ops::RangeInclusive;

use super::table::{APIS, ERRORS};

/// What a request asks for, in the versions that look alike.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) name: &'static str,
    /// Versions.
    pub(super) first: i16,
    pub(super) last: i16,
    /// From this version on lengths are compact, and tagged fields may follow.
    pub(super) flexible: i16,
    pub(super) request: &'static [Field],
    pub(super) response: &'static [Field],
}

/// A field, in the order of the wire. Those that a field is made of follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) meaning: Meaning,
    /// The first and the last version that have it.
    pub(super) first: u8,
    pub(super) last: u8,
}

/// How a field is written. Numbers are those of the fields that it is made of, but of `Fixed` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// So many bytes; neighbours that tell nothing are one.
    Fixed(u8),
    Text,
    Bytes,
    /// A group, any number of times.
    Array(u8),
    /// One simple field, any number of times.
    List(u8),
    Group(u8),
    /// A group, or a sign that there is none.
    Optional(u8),
}

/// What a field tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing of interest.
    Nothing,
    Topic,
    TopicId,
    /// A topic that is not fetched any more, by name or id.
    Forgotten,
    Partition,
    ConsumerGroup,
    /// Of `FindCoordinator`: a group where the type says so.
    CoordinatorKey,
    CoordinatorType,
    /// How many brokers must have it before the answer; 0 says that there is none.
    Acks,
    /// How long the broker may wait for something to tell, ms.
    WaitMs,
    /// So many bytes are worth an answer at once.
    MinBytes,
    /// A number under which the broker remembers what is fetched.
    Session,
    /// Where in the session a `Fetch` stands.
    SessionEpoch,
    Records,
    Error,
}

pub(super) const fn any(kind: Kind) -> Field {
    said(kind, Meaning::Nothing)
}

pub(super) const fn any_in(kind: Kind, versions: RangeInclusive<u8>) -> Field {
    said_in(kind, Meaning::Nothing, versions)
}

pub(super) const fn said(kind: Kind, meaning: Meaning) -> Field {
    said_in(kind, meaning, 0..=u8::MAX)
}

pub(super) const fn said_in(kind: Kind, meaning: Meaning, versions: RangeInclusive<u8>) -> Field {
    Field { kind, meaning, first: *versions.start(), last: *versions.end() }
}

/// Of every answer to this request the oldest form is understood: who asks in a version that the
/// broker does not know learns so in version 0.
pub(super) const API_VERSIONS: i16 = 18;
pub(super) const PRODUCE: i16 = 0;
pub(super) const FETCH: i16 = 1;
pub(super) const CONTROLLED_SHUTDOWN: i16 = 7;
pub(super) const JOIN_GROUP: i16 = 11;
pub(super) const SYNC_GROUP: i16 = 14;
pub(super) const SASL_HANDSHAKE: i16 = 17;

/// The API of that key in that version.
pub(super) fn api(key: i16, version: i16) -> Option<&'static Api> {
    let at = APIS.partition_point(|api| (api.key, api.last) < (key, version));
    APIS.get(at).filter(|api| api.key == key && api.first <= version)
}

/// The name of the API of that key, whatever its version.
pub(super) fn name(key: i16) -> Option<&'static str> {
    let at = APIS.partition_point(|api| api.key < key);
    APIS.get(at).filter(|api| api.key == key).map(|api| api.name)
}

/// The name of an error code.
pub(super) fn error_name(code: i16) -> Option<&'static str> {
    let at = ERRORS.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    ERRORS.get(at).map(|(_, name)| *name)
}

impl Api {
    pub(super) fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible
    }
}

impl Kind {
    /// So many of the fields that follow are part of it.
    pub(super) fn parts(self) -> u16 {
        match self {
            Kind::Fixed(_) | Kind::Text | Kind::Bytes => 0,
            Kind::Array(parts) | Kind::List(parts) | Kind::Group(parts) | Kind::Optional(parts) => {
                parts.into()
            }
        }
    }
}

impl Field {
    pub(super) fn is_in(&self, version: i16) -> bool {
        (i16::from(self.first)..=i16::from(self.last)).contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_and_version_is_found_once() {
        for pair in APIS.windows(2) {
            let (one, next) = (&pair[0], &pair[1]);
            assert!(one.first <= one.last, "{}", one.name);
            assert!((one.key, one.last) < (next.key, next.first), "{}", one.name);
        }
        for row in &APIS {
            for version in row.first..=row.last {
                assert!(std::ptr::eq(api(row.key, version).unwrap(), row));
            }
            assert_eq!(name(row.key), Some(row.name));
        }
        for (key, version) in [(-1, 0), (0, 99), (0, -1), (44, 2), (95, 0), (i16::MAX, 0)] {
            assert!(api(key, version).is_none(), "{key} {version}");
        }
        // In every version from the first broker on, and those that Kafka 4 does not speak any more.
        assert_eq!((api(0, 0).unwrap().name, api(0, 13).unwrap().name), ("Produce", "Produce"));
        assert_eq!((name(7), name(94)), (Some("ControlledShutdown"), Some("UnregisterController")));
        assert_eq!((error_name(0), error_name(-1)), (Some("NONE"), Some("UNKNOWN_SERVER_ERROR")));
        assert_eq!((error_name(6), error_name(999)), (Some("NOT_LEADER_OR_FOLLOWER"), None));
    }

    /// The fewest bytes that fields take.
    fn least(fields: &[Field], version: i16, flexible: bool) -> u64 {
        let (mut at, mut bytes) = (0, 0);
        while let Some(field) = fields.get(at) {
            let parts = &fields[at + 1..at + 1 + usize::from(field.kind.parts())];
            at += 1 + parts.len();
            if !field.is_in(version) {
                continue;
            }
            bytes += match field.kind {
                Kind::Fixed(size) => u64::from(size),
                Kind::Group(_) => least(parts, version, flexible) + u64::from(flexible),
                _ => 1,
            };
            // What may repeat takes bytes each time: this bounds the work by the length.
            let ends = u64::from(flexible && matches!(field.kind, Kind::Array(_)));
            if matches!(field.kind, Kind::Array(_) | Kind::List(_)) {
                assert!(least(parts, version, flexible) + ends > 0);
            }
        }
        bytes
    }

    #[test]
    fn what_repeats_is_never_empty() {
        for api in &APIS {
            for version in api.first..=api.last {
                for fields in [api.request, api.response] {
                    least(fields, version, api.is_flexible(version));
                }
            }
        }
    }
}
