//! PostgreSQL's messages, protocol version 3 (PostgreSQL documentation, "Message Formats").

use crate::dialogue::Claim;
use crate::sql::{self, Dialect};

/// Kind and length.
pub(super) const HEADER: usize = 5;
/// The server takes and makes no longer messages.
const LENGTH_MAX: u32 = 1 << 30;
/// The server takes no longer startup packets.
const STARTUP_MAX: usize = 10_000;
/// Names that are longer are not waited for.
pub(super) const NAMES_ENOUGH: usize = 512;

/// What is known of something so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Is(T),
    More,
    Invalid,
}

/// A message, of which the beginning is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    /// Of the whole message, its kind and length included.
    pub(super) length: usize,
    /// As much as is there.
    pub(super) body: &'a [u8],
    pub(super) is_whole: bool,
}

pub(super) fn frame(bytes: &[u8]) -> Reading<Frame<'_>> {
    let Some((&[kind, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Reading::More;
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if !(4..=LENGTH_MAX).contains(&length) {
        return Reading::Invalid;
    }
    let length = length as usize + 1;
    let body = rest.get(..length - HEADER);
    Reading::Is(Frame { kind, length, body: body.unwrap_or(rest), is_whole: body.is_some() })
}

/// What the client says first, which has no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Startup<'a> {
    /// May we speak TLS, or GSSAPI? The answer is one byte.
    Encryption,
    /// Cancels what another connection does.
    Cancel,
    /// A session begins, with these parameters.
    Session { length: usize, user: &'a [u8], database: &'a [u8], application: &'a [u8] },
}

pub(super) const ENCRYPTION_LENGTH: usize = 8;

pub(super) fn startup(bytes: &[u8]) -> Reading<Startup<'_>> {
    let Some((&[a, b, c, d, e, f, g, h], _)) = bytes.split_first_chunk::<8>() else {
        return match bytes {
            [0, 0, high, ..] if *high > 0x27 => Reading::Invalid,
            [0, 0, ..] | [0] | [] => Reading::More,
            _ => Reading::Invalid,
        };
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    match (u32::from_be_bytes([e, f, g, h]), length) {
        (80_877_103 | 80_877_104, ENCRYPTION_LENGTH) => return Reading::Is(Startup::Encryption),
        // Its key has been of variable length since protocol 3.2.
        (80_877_102, 13..=268) => {
            return if bytes.len() < length { Reading::More } else { Reading::Is(Startup::Cancel) };
        }
        // Version 3.0 to 3.9, or 3.9999, which asks for what a server does not have.
        (0x3_0000..=0x3_0009 | 0x3_270f, 9..=STARTUP_MAX) => {}
        _ => return Reading::Invalid,
    }
    let Some(parameters) = bytes.get(8..length) else { return Reading::More };
    let (mut user, mut database, mut application) = (&[][..], &[][..], &[][..]);
    let mut rest = parameters;
    while let Some((name, after)) = text(rest).filter(|(name, _)| !name.is_empty()) {
        let Some((value, after)) = text(after) else { return Reading::Invalid };
        match name {
            b"user" => user = value,
            b"database" => database = value,
            b"application_name" => application = value,
            _ => {}
        }
        rest = after;
    }
    if user.is_empty() || rest != [0] {
        return Reading::Invalid;
    }
    // A database that is not named has the name of the user.
    let database = if database.is_empty() { user } else { database };
    Reading::Is(Startup::Session { length, user, database, application })
}

/// A text that ends with a zero byte, and what follows it.
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// What is read of an ErrorResponse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure<'a> {
    /// The SQLSTATE; empty where it was not seen.
    pub(super) code: &'a [u8],
    /// The connection ends with it.
    pub(super) is_fatal: bool,
}

pub(super) fn failure(body: &[u8]) -> Failure<'_> {
    let mut failure = Failure { code: &[], is_fatal: false };
    let mut rest = body;
    while let Some((&field, after)) = rest.split_first() {
        let Some((value, after)) = text(after) else { break };
        match field {
            b'C' if value.len() == 5 && value.iter().all(u8::is_ascii_alphanumeric) => {
                failure.code = value;
            }
            // Before 9.6 only the translated one.
            b'S' | b'V' => failure.is_fatal |= matches!(value, b"FATAL" | b"PANIC"),
            _ => {}
        }
        rest = after;
    }
    failure
}

/// How a cycle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended<'a> {
    Complete { bytes_after: usize },
    Failed { code: &'a [u8], bytes_after: usize },
    Unknown,
}

const READY: [u8; 5] = [b'Z', 0, 0, 0, 5];
/// Longest CommandComplete that is looked for.
const COMPLETE_MAX: usize = 80;

/// Reads backwards from the end of a segment that ends with ReadyForQuery.
pub(super) fn ended(bytes: &[u8]) -> Option<Ended<'_>> {
    let (rest, ready) = bytes.split_at_checked(bytes.len().checked_sub(READY.len() + 1)?)?;
    if !ready.starts_with(&READY) || !matches!(ready.last(), Some(b'I' | b'T' | b'E')) {
        return None;
    }
    let mut before = rest;
    while let [earlier @ .., b'1' | b'2' | b'3' | b'n', 0, 0, 0, 4] = before {
        before = earlier;
    }
    let bytes_after = bytes.len() - before.len();
    if let [.., b's' | b'I', 0, 0, 0, 4] = before {
        return Some(Ended::Complete { bytes_after });
    }
    for length in HEADER + 1..=before.len() {
        let Some(message) = before.get(before.len() - length..) else { break };
        let (Reading::Is(frame), Some(0)) = (frame(message), message.last()) else { continue };
        if frame.length != length {
            continue;
        }
        if frame.kind == b'C' && length <= COMPLETE_MAX && is_tag(frame.body) {
            return Some(Ended::Complete { bytes_after });
        }
        let code = failure(frame.body).code;
        if frame.kind == b'E' && frame.body.ends_with(&[0, 0]) && !code.is_empty() {
            return Some(Ended::Failed { code, bytes_after });
        }
    }
    Some(Ended::Unknown)
}

/// Words and numbers in capitals.
fn is_tag(tag: &[u8]) -> bool {
    let Some((0, words)) = tag.split_last() else { return false };
    let is_tag = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    words.first().is_some_and(u8::is_ascii_uppercase) && words.iter().all(is_tag)
}

/// Whether this may be a message of the client's, by its kind and length.
pub(super) fn is_request(frame: &Frame<'_>) -> bool {
    match frame.kind {
        b'H' | b'S' | b'X' | b'c' => frame.length == HEADER,
        b'Q' | b'f' | b'p' => frame.length > HEADER,
        b'P' | b'B' | b'F' => frame.length >= HEADER + 4,
        b'E' => frame.length >= HEADER + 5,
        b'D' | b'C' => frame.length >= HEADER + 2,
        b'd' => true,
        _ => false,
    }
}

/// Whether this may be a message of the server's, by its kind and length.
pub(super) fn is_response(frame: &Frame<'_>) -> bool {
    match frame.kind {
        b'1' | b'2' | b'3' | b'n' | b'I' | b's' | b'c' => frame.length == HEADER,
        b'Z' => frame.length == HEADER + 1,
        b'C' | b'E' | b'N' => frame.length > HEADER,
        b'T' | b't' | b'D' => frame.length >= HEADER + 2,
        b'R' | b'V' | b'v' => frame.length >= HEADER + 4,
        b'G' | b'H' | b'W' => frame.length >= HEADER + 3,
        b'A' | b'K' | b'S' | b'd' => true,
        _ => false,
    }
}

/// Whether bytes at the beginning of a segment are a client's messages. Only what holds together
/// by more than a kind and a length counts.
pub(super) fn claim_requests(bytes: &[u8]) -> Claim {
    let (mut rest, mut points) = (bytes, 0);
    loop {
        let is_certain = points >= 2;
        if rest.is_empty() {
            return if is_certain { Claim::Yes(crate::dialogue::Side::Client) } else { Claim::No };
        }
        let frame = match frame(rest) {
            Reading::Is(frame) if is_request(&frame) => frame,
            Reading::More if is_certain || may_begin(rest) => return certain_or_maybe(is_certain),
            Reading::Is(_) | Reading::More | Reading::Invalid => return Claim::No,
        };
        let Some(more) = evidence(&frame) else { return Claim::No };
        points += more;
        if !frame.is_whole {
            return certain_or_maybe(points >= 2);
        }
        rest = rest.get(frame.length..).unwrap_or_default();
    }
}

fn certain_or_maybe(is_certain: bool) -> Claim {
    if is_certain { Claim::Yes(crate::dialogue::Side::Client) } else { Claim::Maybe }
}

/// Fewer bytes than a header, of a message shorter than 16 MiB.
fn may_begin(bytes: &[u8]) -> bool {
    matches!(bytes, [b'Q' | b'P' | b'B' | b'E'] | [b'Q' | b'P' | b'B' | b'E', 0, ..])
}

/// How much a message proves, 2 being enough; `None` where it is none.
fn evidence(frame: &Frame<'_>) -> Option<u32> {
    let body = frame.body;
    match frame.kind {
        _ if frame.length > 1 << 24 => None,
        b'Q' => match text(body) {
            Some((_, [])) if frame.is_whole => Some(2),
            None if !frame.is_whole => Some(begins_with_keyword(body)),
            _ => None,
        },
        b'P' => match text(body).map(|(name, rest)| (is_name(name), text(rest), rest)) {
            Some((true, Some((_, [high, low, types @ ..])), _)) if frame.is_whole => {
                let types_due = 4 * usize::from(u16::from_be_bytes([*high, *low]));
                (types.len() == types_due).then_some(2)
            }
            Some((true, _, query)) if !frame.is_whole => Some(begins_with_keyword(query)),
            None if !frame.is_whole && body.len() < NAMES_ENOUGH => Some(0),
            _ => None,
        },
        b'B' if frame.is_whole => is_bind(body)?.then_some(2),
        b'B' => {
            let names = text(body).and_then(|(portal, rest)| Some((portal, text(rest)?.0)));
            match names {
                Some((portal, statement)) => (is_name(portal) && is_name(statement)).then_some(1),
                None => (body.len() < NAMES_ENOUGH).then_some(0),
            }
        }
        b'E' if frame.is_whole => {
            text(body).is_some_and(|(name, rest)| is_name(name) && rest.len() == 4).then_some(1)
        }
        b'D' | b'C' if frame.is_whole => match body {
            [b'S' | b'P', rest @ ..] => {
                text(rest).is_some_and(|(name, rest)| is_name(name) && rest.is_empty()).then_some(1)
            }
            _ => None,
        },
        b'H' | b'S' => Some(1),
        b'X' | b'F' | b'E' | b'D' | b'C' => Some(0),
        _ => None,
    }
}

fn begins_with_keyword(text: &[u8]) -> u32 {
    let statement = sql::normalise(text.get(..64).unwrap_or(text), false, Dialect::POSTGRESQL);
    if statement.method.is_empty() { 0 } else { 2 }
}

fn is_name(name: &[u8]) -> bool {
    name.len() <= NAMES_ENOUGH && !name.iter().any(u8::is_ascii_control)
}

/// Portal, statement, formats of parameters, parameters, formats of results; nothing else.
fn is_bind(body: &[u8]) -> Option<bool> {
    let (portal, rest) = text(body)?;
    let (statement, mut rest) = text(rest)?;
    let mut number = || {
        let (number, after) = rest.split_first_chunk::<2>()?;
        rest = after;
        Some(usize::from(u16::from_be_bytes(*number)))
    };
    let formats = number()?;
    let mut rest = rest.get(2 * formats..)?;
    let (parameters, after) = rest.split_first_chunk::<2>()?;
    rest = after;
    for _ in 0..u16::from_be_bytes(*parameters) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        // -1 is a null.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        rest = after.get(length..)?;
    }
    let (results, after) = rest.split_first_chunk::<2>()?;
    let is_end = after.len() == 2 * usize::from(u16::from_be_bytes(*results));
    Some(is_end && is_name(portal) && is_name(statement))
}
