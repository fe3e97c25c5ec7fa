//! Header fields, as far as Alaz looks at them. Values of all others are never kept.

use std::sync::{Arc, LazyLock};

use compact_str::CompactString;

use crate::http::target::{Target, host};

/// Longer methods are cut.
const METHOD_MAX: usize = 32;

/// A field by what matters of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http2) enum Field {
    Method(CompactString),
    /// Already without its secrets.
    Path(Arc<Target>),
    /// The host alone.
    Authority(CompactString),
    Scheme,
    Status(u16),
    /// Whether it is that of gRPC.
    ContentType {
        is_grpc: bool,
    },
    GrpcStatus(u16),
    /// One that does not matter.
    Other,
    /// One that stands in a part of the table that was not seen, or says nothing that makes sense.
    Unknown,
}

/// The name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http2) enum Name {
    Method,
    Path,
    Authority,
    Scheme,
    Status,
    ContentType,
    GrpcStatus,
    Other,
    Unknown,
}

static ROOT: LazyLock<Field> = LazyLock::new(|| Name::Path.field(b"/"));

impl Field {
    /// Entry 1 to 61 of the static table (RFC 7541, appendix A).
    pub(super) fn of_static(index: usize) -> Field {
        match index {
            2 => Field::Method(CompactString::const_new("GET")),
            3 => Field::Method(CompactString::const_new("POST")),
            4 => ROOT.clone(),
            5 => Name::Path.field(b"/index.html"),
            8 => Field::Status(200),
            9 => Field::Status(204),
            10 => Field::Status(206),
            11 => Field::Status(304),
            12 => Field::Status(400),
            13 => Field::Status(404),
            14 => Field::Status(500),
            _ => Name::of_static(index).field(b""),
        }
    }

    pub(super) fn name(&self) -> Name {
        match self {
            Field::Method(_) => Name::Method,
            Field::Path(_) => Name::Path,
            Field::Authority(_) => Name::Authority,
            Field::Scheme => Name::Scheme,
            Field::Status(_) => Name::Status,
            Field::ContentType { .. } => Name::ContentType,
            Field::GrpcStatus(_) => Name::GrpcStatus,
            Field::Other => Name::Other,
            Field::Unknown => Name::Unknown,
        }
    }
}

impl Name {
    pub(super) fn of(name: &[u8]) -> Name {
        match name {
            b":method" => Name::Method,
            b":path" => Name::Path,
            b":authority" => Name::Authority,
            b":scheme" => Name::Scheme,
            b":status" => Name::Status,
            b"content-type" => Name::ContentType,
            b"grpc-status" => Name::GrpcStatus,
            _ => Name::Other,
        }
    }

    /// The name of an entry of the static table.
    pub(super) fn of_static(index: usize) -> Name {
        match index {
            1 => Name::Authority,
            2 | 3 => Name::Method,
            4 | 5 => Name::Path,
            6 | 7 => Name::Scheme,
            8..=14 => Name::Status,
            31 => Name::ContentType,
            _ => Name::Other,
        }
    }

    /// The field of this name and value.
    pub(super) fn field(self, value: &[u8]) -> Field {
        match self {
            Name::Method => Field::Method(method(value)),
            Name::Path => Field::Path(Arc::new(Target::new(b"", value))),
            Name::Authority => Field::Authority(host(Some(value))),
            Name::Scheme => Field::Scheme,
            Name::Status => match number(value) {
                Some(status @ 100..=999) => Field::Status(status),
                _ => Field::Unknown,
            },
            Name::ContentType => Field::ContentType { is_grpc: is_grpc(value) },
            Name::GrpcStatus => number(value).map_or(Field::Unknown, Field::GrpcStatus),
            Name::Other => Field::Other,
            Name::Unknown => Field::Unknown,
        }
    }
}

fn method(value: &[u8]) -> CompactString {
    String::from_utf8_lossy(value.get(..METHOD_MAX).unwrap_or(value)).into()
}

fn number(value: &[u8]) -> Option<u16> {
    let is_number = (1..=3).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    digits.parse().ok()
}

/// `application/grpc`, alone or with the name of a format; not the variants for browsers, which
/// say their status in the body.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}
