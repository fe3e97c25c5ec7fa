//! Frames, headers and batches of Kafka, as far as they are there.

use super::found::Found;
use super::schema::{self, Api, CONTROLLED_SHUTDOWN, PRODUCE};
use super::topics::TopicNames;
use super::walk::{Progress, Walk};

/// The length in front of a frame.
pub(super) const LENGTH: usize = 4;
/// Key, version, correlation id.
const REQUEST_HEAD: usize = 8;
/// A response has at least its correlation id.
pub(super) const RESPONSE_HEAD: usize = 4;
/// What brokers take at most, unless they are told to take more (`socket.request.max.bytes`).
/// Longer frames are no evidence.
pub(super) const LENGTH_BELIEVED: u64 = 100 << 20;
/// Longer names of clients are none.
const CLIENT_MAX: usize = 1024;
/// Of a frame that goes on, as much as the kernel side copies is enough evidence.
const EVIDENCE: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Whole(T),
    More,
    Invalid,
}

/// The header of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHead<'a> {
    /// Bytes of the frame, its length included.
    pub(super) length: u64,
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    /// `None` where the table does not have it.
    pub(super) api: Option<&'static Api>,
    pub(super) client: &'a [u8],
    /// Bytes of length and header.
    pub(super) size: usize,
}

/// Reads the header of the request in front.
pub(super) fn request_head(bytes: &[u8]) -> Reading<RequestHead<'_>> {
    let mut fields = Fields { bytes };
    let Some(length) = fields.long() else { return Reading::More };
    if length < REQUEST_HEAD as i32 {
        return Reading::Invalid;
    }
    let (Some(key), Some(version), Some(correlation)) =
        (fields.short(), fields.short(), fields.long())
    else {
        return Reading::More;
    };
    let api = schema::api(key, version);
    let mut head = RequestHead {
        length: LENGTH as u64 + u64::from(length.unsigned_abs()),
        key,
        version,
        correlation,
        api,
        client: &[],
        size: LENGTH + REQUEST_HEAD,
    };
    let Some(api) = api else { return Reading::Whole(head) };
    if (key, version) != (CONTROLLED_SHUTDOWN, 0) {
        let Some(client) = fields.short() else { return head.unless_at_end(bytes) };
        // None is written as -1.
        let client = usize::try_from(client).unwrap_or(0);
        if client > CLIENT_MAX {
            return Reading::Invalid;
        }
        let Some(client) = fields.take(client) else { return head.unless_at_end(bytes) };
        head.client = client;
    }
    if api.is_flexible(version) && fields.tags().is_none() {
        return head.unless_at_end(bytes);
    }
    head.size = bytes.len() - fields.bytes.len();
    if head.size as u64 > head.length { Reading::Invalid } else { Reading::Whole(head) }
}

impl RequestHead<'_> {
    /// More of the header is needed, but for how much there is in the frame.
    fn unless_at_end<'a>(&self, bytes: &'a [u8]) -> Reading<RequestHead<'a>> {
        if bytes.len() as u64 >= self.length { Reading::Invalid } else { Reading::More }
    }
}

/// Whether this is a request, judged by all that can be: its length, its header, and its fields up
/// to the last byte, or as far as they are there.
pub(super) fn is_request(bytes: &[u8], cut: bool) -> Reading<()> {
    let head = match request_head(bytes) {
        Reading::Whole(head) => head,
        Reading::More if !cut && is_likely(bytes) => return Reading::More,
        _ => return Reading::Invalid,
    };
    let Some(api) = head.api else { return Reading::Invalid };
    if head.length > LENGTH_BELIEVED || !is_printable(head.client) || head.correlation < 0 {
        return Reading::Invalid;
    }
    let left = head.length - head.size as u64;
    let body = bytes.get(head.size..).unwrap_or_default();
    let body = usize::try_from(left).ok().and_then(|left| body.get(..left)).unwrap_or(body);
    let mut walk = Walk::new(api.request, head.version, api.is_flexible(head.version));
    let mut found = Found::default();
    let (taken, progress) = walk.read(body, left, &mut found, &mut TopicNames::default());
    match progress {
        // Zeros, and nobody produces nothing.
        Progress::Done if head.key == PRODUCE && found.partitions == 0 => Reading::Invalid,
        Progress::Done if taken == left => Reading::Whole(()),
        Progress::More if !cut && bytes.len() < EVIDENCE => Reading::More,
        // A name, and fields that make sense.
        Progress::More if !head.client.is_empty() && taken > 0 => Reading::Whole(()),
        _ => Reading::Invalid,
    }
}

/// Whether these few bytes may begin a request.
fn is_likely(bytes: &[u8]) -> bool {
    let mut fields = Fields { bytes };
    match fields.long() {
        Some(length) => length > 0 && u64::from(length.unsigned_abs()) <= LENGTH_BELIEVED,
        None => bytes.first().is_none_or(|first| u64::from(*first) << 24 <= LENGTH_BELIEVED),
    }
}

fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// Length of the frame, its own included, and correlation id of the response in front.
pub(super) fn response_head(bytes: &[u8]) -> Reading<(u64, i32)> {
    let mut fields = Fields { bytes };
    match (fields.long(), fields.long()) {
        (Some(length), _) if length < RESPONSE_HEAD as i32 => Reading::Invalid,
        (Some(length), Some(id)) => {
            Reading::Whole((LENGTH as u64 + u64::from(length.unsigned_abs()), id))
        }
        _ => Reading::More,
    }
}

/// Length of what follows the length in front, where nothing else is known of it.
pub(super) fn raw_frame(bytes: &[u8]) -> Option<u64> {
    let length = Fields { bytes }.long().and_then(|length| u64::try_from(length).ok())?;
    (length <= LENGTH_BELIEVED).then_some(length)
}

/// Bytes of a batch's header that tell how many records are in it.
pub(super) const BATCH_HEAD: usize = 61;

/// A batch of records, or in old formats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Bytes, its header included.
    pub(super) length: u64,
    /// `None` where they are compressed together.
    pub(super) records: Option<u32>,
}

/// Reads the header of the batch in front.
pub(super) fn batch(bytes: &[u8]) -> Option<Batch> {
    /// Offset and length.
    const FRONT: u64 = 12;
    /// In the attributes.
    const COMPRESSION: u8 = 7;
    const CONTROL: u8 = 1 << 5;
    let mut fields = Fields { bytes };
    fields.take(8)?;
    let length = FRONT + u64::try_from(fields.long()?).ok()?;
    fields.take(4)?;
    let magic = fields.take(1)?.first().copied()?;
    let records = match magic {
        2 => {
            let attributes = fields.take(6)?.get(5).copied()?;
            fields.take(34)?;
            let records = u32::try_from(fields.long()?).ok()?;
            // Marks of transactions are nobody's records.
            Some(if attributes & CONTROL == 0 { records } else { 0 })
        }
        0 | 1 => (fields.take(1)?.first()? & COMPRESSION == 0).then_some(1),
        _ => return None,
    };
    Some(Batch { length, records })
}

/// Takes fields from the front.
pub(super) struct Fields<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn short(&mut self) -> Option<i16> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(i16::from_be_bytes(*first))
    }

    pub(super) fn long(&mut self) -> Option<i32> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(i32::from_be_bytes(*first))
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for (at, byte) in self.bytes.iter().take(VARINT_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.take(at + 1)?;
                return u32::try_from(value).ok();
            }
        }
        None
    }

    /// Passes over tagged fields.
    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(length as usize)?;
        }
        Some(())
    }
}

/// Bytes of the longest number of that kind.
pub(super) const VARINT_MAX: usize = 5;
