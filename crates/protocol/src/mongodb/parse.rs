//! Messages of MongoDB's wire protocol, as far as they are there.

use super::bson::{self, Level, Listener, Progress, Walk};
use super::compressed;
use super::found::{Answered, Asked};
use crate::dialogue::Side;

/// Length, number, number of what is answered, kind.
const HEADER: usize = 16;
/// What servers take and say at most (`maxMessageSizeBytes`).
const MESSAGE_MAX: i32 = 48_000_000;
/// Longer names of collections are none.
const NAMESPACE_MAX: usize = 256;
/// Of a message that goes on, as much as the kernel side copies is enough evidence.
const EVIDENCE: usize = 4096;
const CHECKSUM: u64 = 4;

const CHECKSUM_PRESENT: u32 = 1;
const MORE_TO_COME: u32 = 1 << 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Whole(T),
    More,
    Invalid,
}

/// What stands before the documents of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// Bytes of the message.
    pub(super) length: u64,
    pub(super) id: i32,
    /// The number of the message that this one answers; requests have 0.
    pub(super) answers: i32,
    pub(super) kind: Kind<'a>,
    /// Bytes of all this.
    pub(super) size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// OP_MSG.
    Message { flags: u32 },
    /// OP_QUERY: a command where the collection is `$cmd`.
    Query { namespace: &'a [u8] },
    /// OP_REPLY.
    Reply { flags: u32, documents: u32 },
    /// A kind that servers since 5.1 do not know any more, in the words of the command that took its
    /// place.
    Old { command: &'static str, namespace: &'a [u8], is_answered: bool },
    /// OP_COMPRESSED.
    Compressed(Compressed),
}

/// What is said of a compressed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compressed {
    opcode: i32,
    /// Bytes without header before they were compressed.
    size: u32,
    compressor: u8,
}

impl Kind<'_> {
    /// The sender says more, or wants to hear nothing.
    pub(super) fn has_more_to_come(&self) -> bool {
        matches!(self, Kind::Message { flags } if flags & MORE_TO_COME != 0)
    }
}

impl Head<'_> {
    /// Requests answer nothing.
    fn side(&self) -> Side {
        if self.answers == 0 { Side::Client } else { Side::Server }
    }
}

/// Reads what stands before the documents of the message in front.
pub(super) fn head(bytes: &[u8]) -> Reading<Head<'_>> {
    let mut fields = Fields { bytes };
    let Some(length) = fields.number() else { return Reading::More };
    if !(HEADER as i32..=MESSAGE_MAX).contains(&length) {
        return Reading::Invalid;
    }
    let (Some(id), Some(answers), Some(opcode)) =
        (fields.number(), fields.number(), fields.number())
    else {
        return Reading::More;
    };
    let length = u64::from(length.unsigned_abs());
    let kind = match kind(opcode, &mut fields) {
        Reading::Whole(kind) => kind,
        Reading::More if (bytes.len() as u64) < length => return Reading::More,
        _ => return Reading::Invalid,
    };
    let size = bytes.len() - fields.bytes.len();
    if size as u64 > length {
        return Reading::Invalid;
    }
    Reading::Whole(Head { length, id, answers, kind, size })
}

const REPLY: i32 = 1;
const QUERY: i32 = 2004;
const COMPRESSED: i32 = 2012;
const MESSAGE: i32 = 2013;

fn kind<'a>(opcode: i32, fields: &mut Fields<'a>) -> Reading<Kind<'a>> {
    let command = match opcode {
        REPLY => return reply(fields),
        QUERY => return query(fields),
        COMPRESSED => return compressed(fields),
        MESSAGE => return message(fields),
        2001 => "update",
        2002 => "insert",
        2005 => "getMore",
        2006 => "delete",
        2007 => return Reading::Whole(old("killCursors", &[])),
        _ => return Reading::Invalid,
    };
    if fields.number().is_none() {
        return Reading::More;
    }
    fields.namespace().map(|namespace| old(command, namespace))
}

fn old<'a>(command: &'static str, namespace: &'a [u8]) -> Kind<'a> {
    Kind::Old { command, namespace, is_answered: command == "getMore" }
}

fn message<'a>(fields: &mut Fields<'_>) -> Reading<Kind<'a>> {
    let Some(flags) = fields.number() else { return Reading::More };
    let flags = flags as u32;
    // Of the lower half all flags must be understood.
    if flags & 0xffff & !(CHECKSUM_PRESENT | MORE_TO_COME) != 0 {
        return Reading::Invalid;
    }
    Reading::Whole(Kind::Message { flags })
}

fn query<'a>(fields: &mut Fields<'a>) -> Reading<Kind<'a>> {
    let Some(flags) = fields.number() else { return Reading::More };
    if flags & !0xff != 0 {
        return Reading::Invalid;
    }
    let namespace = match fields.namespace() {
        Reading::Whole(namespace) => namespace,
        Reading::More => return Reading::More,
        Reading::Invalid => return Reading::Invalid,
    };
    // So many to skip, and so many to return.
    if fields.number().is_none() || fields.number().is_none() {
        return Reading::More;
    }
    Reading::Whole(Kind::Query { namespace })
}

fn reply<'a>(fields: &mut Fields<'_>) -> Reading<Kind<'a>> {
    let Some(flags) = fields.number() else { return Reading::More };
    let (Some(_), Some(_), Some(_)) = (fields.number(), fields.number(), fields.number()) else {
        return Reading::More;
    };
    let Some(documents) = fields.number() else { return Reading::More };
    match u32::try_from(documents) {
        Ok(documents) if flags & !0xf == 0 => {
            Reading::Whole(Kind::Reply { flags: flags.unsigned_abs(), documents })
        }
        _ => Reading::Invalid,
    }
}

fn compressed<'a>(fields: &mut Fields<'_>) -> Reading<Kind<'a>> {
    let (Some(opcode), Some(size)) = (fields.number(), fields.number()) else {
        return Reading::More;
    };
    let Some(compressor) = fields.byte() else { return Reading::More };
    let is_known = matches!(opcode, REPLY | QUERY | MESSAGE | 2001..=2002 | 2005..=2007)
        && (0..=MESSAGE_MAX).contains(&size)
        && compressed::is_known(compressor);
    if !is_known {
        return Reading::Invalid;
    }
    let size = size.unsigned_abs();
    Reading::Whole(Kind::Compressed(Compressed { opcode, size, compressor }))
}

impl Compressed {
    /// The beginning of the message as it was before, with a header. `None` where nothing can be
    /// said of it.
    pub(super) fn expand(&self, head: &Head<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
        let length = i32::try_from(self.size).ok()?.checked_add(HEADER as i32)?;
        let body = compressed::expand(self.compressor, bytes, self.size as usize)?;
        let mut message = Vec::with_capacity(HEADER + body.len());
        for field in [length, head.id, head.answers, self.opcode] {
            message.extend(field.to_le_bytes());
        }
        message.extend(body);
        Some(message)
    }
}

/// Whether a query for this collection is a command.
pub(super) fn is_command(namespace: &[u8]) -> bool {
    let dot = memchr::memchr(b'.', namespace);
    dot.and_then(|dot| namespace.get(dot..)).is_some_and(|collection| collection == b".$cmd")
}

/// What is there of a message after its head.
pub(super) fn body<'a>(head: &Head<'_>, bytes: &'a [u8]) -> &'a [u8] {
    let end = usize::try_from(head.length).unwrap_or(usize::MAX);
    bytes.get(head.size..end.min(bytes.len())).unwrap_or_default()
}

/// What follows the head of a message, as far as it was read.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    /// Sections of OP_MSG; so many bytes after them are none.
    Sections { after: u64 },
    /// A document. Nothing that matters follows it.
    Document(Walk),
    /// Nothing that matters.
    Nothing,
}

impl Contents {
    /// `root` is what the document means.
    pub(super) fn of(kind: &Kind<'_>, root: Level) -> Contents {
        match kind {
            Kind::Message { flags } => {
                let after = if flags & CHECKSUM_PRESENT != 0 { CHECKSUM } else { 0 };
                Contents::Sections { after }
            }
            Kind::Query { namespace } if is_command(namespace) => {
                Contents::Document(Walk::new(root))
            }
            Kind::Reply { documents: 1, .. } => Contents::Document(Walk::new(root)),
            _ => Contents::Nothing,
        }
    }

    /// Goes on, with `left` bytes to the end of the message. Returns how many bytes are done with,
    /// which may be more than there are.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        left: u64,
        root: Level,
        listener: &mut impl Listener,
    ) -> (u64, Progress) {
        let mut taken = 0;
        while let Contents::Sections { after } = *self {
            let left = left.saturating_sub(taken).saturating_sub(after);
            let rest = usize::try_from(taken).ok().and_then(|taken| bytes.get(taken..));
            let Some((kind, rest)) = rest.and_then(<[u8]>::split_first) else {
                let is_over = left == 0;
                return (taken, if is_over { Progress::Invalid } else { Progress::More });
            };
            let length = match (kind, bson::document_length(rest)) {
                (0..=1, Reading::Whole(length)) if length < left => length,
                (0..=1, Reading::More) if left > 5 => return (taken, Progress::More),
                _ => return (taken, Progress::Invalid),
            };
            // A sequence of documents has a length like one.
            match kind {
                0 => *self = Contents::Document(Walk::new(root)),
                _ => taken += length,
            }
            taken += 1;
        }
        let Contents::Document(walk) = self else { return (taken, Progress::Done) };
        let rest = usize::try_from(taken).ok().and_then(|taken| bytes.get(taken..));
        let left = left.saturating_sub(taken);
        let (more, progress) = walk.read(rest.unwrap_or_default(), left, listener);
        (taken + more, progress)
    }
}

/// Who says the message in front, judged by all that can be: its length, its kind, its flags, and
/// its document up to the last byte, or as far as it is there.
pub(super) fn said_by(bytes: &[u8], cut: bool) -> Reading<Side> {
    let head = match head(bytes) {
        Reading::Whole(head) => head,
        Reading::More if !cut => return Reading::More,
        _ => return Reading::Invalid,
    };
    let body = body(&head, bytes);
    let is_whole = bytes.len() as u64 >= head.length;
    let is_enough = cut || is_whole || bytes.len() >= EVIDENCE;
    if let Kind::Compressed(how) = head.kind {
        if !is_enough {
            return Reading::More;
        }
        return match how.expand(&head, body) {
            Some(message) if !message.is_empty() => judge_inside(&message),
            _ => Reading::Invalid,
        };
    }
    match judge(&head, body) {
        Progress::Done => Reading::Whole(head.side()),
        Progress::More if !is_enough => Reading::More,
        Progress::More if has_evidence(&head, body) => Reading::Whole(head.side()),
        _ => Reading::Invalid,
    }
}

/// The same of what was compressed, which may not be compressed again.
fn judge_inside(message: &[u8]) -> Reading<Side> {
    let Reading::Whole(head) = head(message) else { return Reading::Invalid };
    let body = body(&head, message);
    match judge(&head, body) {
        Progress::Done => Reading::Whole(head.side()),
        Progress::More if has_evidence(&head, body) => Reading::Whole(head.side()),
        _ => Reading::Invalid,
    }
}

fn judge(head: &Head<'_>, body: &[u8]) -> Progress {
    let left = head.length - head.size as u64;
    match (head.side(), head.kind) {
        (Side::Client, Kind::Query { namespace }) if !is_command(namespace) => {
            match bson::document_length(body) {
                Reading::Whole(length) if length <= left => Progress::Done,
                Reading::More => Progress::More,
                _ => Progress::Invalid,
            }
        }
        (Side::Client, Kind::Message { .. } | Kind::Query { .. }) => {
            let mut asked = Asked::default();
            let progress = Contents::of(&head.kind, Level::Command)
                .read(body, left, Level::Command, &mut asked)
                .1;
            match progress {
                // A document is no command before it has a name.
                Progress::Done if asked.method.is_empty() => Progress::Invalid,
                progress => progress,
            }
        }
        (Side::Server, Kind::Message { .. } | Kind::Reply { documents: 1, .. }) => {
            let mut answered = Answered::default();
            Contents::of(&head.kind, Level::Reply).read(body, left, Level::Reply, &mut answered).1
        }
        _ => Progress::Invalid,
    }
}

/// Whether a message makes sense whose end is not there: its command has a name, or its document
/// fills it.
fn has_evidence(head: &Head<'_>, body: &[u8]) -> bool {
    let left = head.length - head.size as u64;
    if head.side() == Side::Client {
        let mut asked = Asked::default();
        Contents::of(&head.kind, Level::Command).read(body, left, Level::Command, &mut asked);
        return !asked.method.is_empty();
    }
    let (document, around) = match head.kind {
        Kind::Message { flags } if flags & CHECKSUM_PRESENT != 0 => (body.get(1..), 1 + CHECKSUM),
        Kind::Message { .. } => (body.get(1..), 1),
        _ => (Some(body), 0),
    };
    let length = bson::document_length(document.unwrap_or_default());
    left.checked_sub(around).is_some_and(|left| length == Reading::Whole(left))
}

/// Little-endian fields, one after the other.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<i32> {
        let (number, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(i32::from_le_bytes(*number))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    /// A database, a dot and a collection.
    fn namespace(&mut self) -> Reading<&'a [u8]> {
        let searched = self.bytes.get(..NAMESPACE_MAX + 1).unwrap_or(self.bytes);
        let Some(end) = memchr::memchr(0, searched) else {
            let is_short = searched.len() <= NAMESPACE_MAX;
            return if is_short { Reading::More } else { Reading::Invalid };
        };
        let (namespace, rest) = self.bytes.split_at(end);
        self.bytes = rest.get(1..).unwrap_or_default();
        match memchr::memchr(b'.', namespace) {
            Some(1..) if !namespace.iter().any(u8::is_ascii_control) => Reading::Whole(namespace),
            _ => Reading::Invalid,
        }
    }
}

impl<T> Reading<T> {
    fn map<U>(self, to: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Reading::Whole(value) => Reading::Whole(to(value)),
            Reading::More => Reading::More,
            Reading::Invalid => Reading::Invalid,
        }
    }
}
