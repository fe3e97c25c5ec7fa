//! Frames (RFC 9113 §4 and §6): their headers, and what proves that bytes are frames at all.

use super::hpack::{Field, Table};
use crate::dialogue::Side;

/// What the client says first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before a frame's payload.
pub(super) const HEADER: usize = 9;
/// What nobody exceeds unless he is allowed to (RFC 9113 §6.5.2), which few are.
const LENGTH_USUAL: u32 = 16_384;
/// Those who are do it for content.
const CONTENT_USUAL: u32 = 1 << 20;
/// Streams begun while frames could not be read are not more than this.
const STREAMS_MISSED_MAX: u32 = 1 << 20;
/// The largest error code (RFC 9113 §7).
const ERROR_MAX: u32 = 0xd;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// Frame types (RFC 9113 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// An extension, to be passed over (RFC 9113 §5.5).
    Other,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Of the payload.
    pub(super) length: u32,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// A bit that is always zero was not.
    is_reserved: bool,
}

impl Header {
    /// The header in front; `None` when it is not whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let &[a, b, c, kind, flags, s, t, u, v] = bytes.first_chunk::<HEADER>()?;
        Some(Header {
            length: u32::from_be_bytes([0, a, b, c]),
            kind: match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                2 => Kind::Priority,
                3 => Kind::RstStream,
                4 => Kind::Settings,
                5 => Kind::PushPromise,
                6 => Kind::Ping,
                7 => Kind::GoAway,
                8 => Kind::WindowUpdate,
                9 => Kind::Continuation,
                _ => Kind::Other,
            },
            flags,
            stream: u32::from_be_bytes([s & 0x7f, t, u, v]),
            is_reserved: s & 0x80 != 0,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Header and payload.
    pub(super) fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }

    /// Whether the standard allows it.
    pub(super) fn is_valid(&self) -> bool {
        let (on_stream, on_connection) = (self.stream != 0, self.stream == 0);
        match self.kind {
            Kind::Data | Kind::Continuation => on_stream,
            Kind::Headers => on_stream && self.length >= self.prefix(),
            Kind::Priority => on_stream && self.length == 5,
            Kind::RstStream => on_stream && self.length == 4,
            Kind::Settings if self.has(ACK) => on_connection && self.length == 0,
            Kind::Settings => on_connection && self.length.is_multiple_of(6),
            Kind::PushPromise => on_stream && self.length >= self.prefix(),
            Kind::Ping => on_connection && self.length == 8,
            Kind::GoAway => on_connection && self.length >= 8,
            Kind::WindowUpdate => self.length == 4,
            Kind::Other => true,
        }
    }

    /// Whether it is what people really send, which few other bytes are. `newest`: the latest stream
    /// that is known, if any is.
    pub(super) fn is_plausible(&self, newest: u32) -> bool {
        let flags = match self.kind {
            Kind::Data => END_STREAM | PADDED,
            Kind::Headers => END_STREAM | END_HEADERS | PADDED | PRIORITY,
            Kind::PushPromise => END_HEADERS | PADDED,
            Kind::Continuation => END_HEADERS,
            Kind::Settings | Kind::Ping => ACK,
            Kind::Priority | Kind::RstStream | Kind::GoAway | Kind::WindowUpdate => 0,
            Kind::Other => return false,
        };
        let may_be_open = newest == 0 || self.stream <= newest.saturating_add(STREAMS_MISSED_MAX);
        self.is_valid()
            && self.flags & !flags == 0
            && !self.is_reserved
            && self.length <= if self.kind == Kind::Data { CONTENT_USUAL } else { LENGTH_USUAL }
            && may_be_open
            && (self.stream == 0 || self.is_by_client())
    }

    /// Clients begin the odd ones.
    pub(super) fn is_by_client(&self) -> bool {
        !self.stream.is_multiple_of(2)
    }

    /// Bytes of the payload before a header block, without the padding at its end.
    fn prefix(&self) -> u32 {
        let padding = u32::from(self.has(PADDED));
        match self.kind {
            Kind::Headers if self.has(PRIORITY) => padding + 5,
            Kind::PushPromise => padding + 4,
            Kind::Data | Kind::Headers => padding,
            _ => 0,
        }
    }

    /// The part of the payload that is a header block or content, as far as it is there, and whether
    /// that is all of it. `None` when the padding leaves no room.
    pub(super) fn content<'a>(&self, payload: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let may_pad = matches!(self.kind, Kind::Data | Kind::Headers | Kind::PushPromise);
        let padding = match payload.first() {
            Some(padding) if may_pad && self.has(PADDED) => usize::from(*padding),
            _ => 0,
        };
        let (start, length) = (self.prefix() as usize, self.length as usize);
        let end = length.checked_sub(padding).filter(|end| *end >= start)?;
        let content = payload.get(start..end.min(payload.len())).unwrap_or_default();
        Some((content, payload.len() >= end))
    }
}

/// A 31-bit number, as stream identifiers and increments are.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Frames in a row, as far as they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// Headers of frames.
    frames: u32,
    /// The last frame ends where the bytes end.
    is_even: bool,
    /// The first frame is content of this stream.
    content_of: Option<u32>,
    /// Who says such things, as header blocks tell.
    speaker: Option<Side>,
}

impl Chain {
    /// `None` when something in it is no plausible frame.
    pub(super) fn read(bytes: &[u8], newest: u32) -> Option<Chain> {
        let mut chain = Chain::default();
        let mut rest = bytes;
        while let Some(header) = Header::read(rest) {
            if !header.is_plausible(newest) {
                return None;
            }
            let payload = rest.get(HEADER..).unwrap_or_default();
            if chain.frames == 0 && header.kind == Kind::Data {
                chain.content_of = Some(header.stream);
            }
            chain.frames += 1;
            let Some((payload, after)) = payload.split_at_checked(header.length as usize) else {
                return Some(chain);
            };
            chain.look_into(&header, payload)?;
            rest = after;
        }
        chain.is_even = rest.is_empty();
        Some(chain)
    }

    fn look_into(&mut self, header: &Header, payload: &[u8]) -> Option<()> {
        match header.kind {
            Kind::Headers if header.has(END_HEADERS) => {
                let (block, is_whole) = header.content(payload)?;
                let speaker = speaker(block).filter(|_| is_whole)?;
                if speaker.is_some() && self.speaker.is_some() && speaker != self.speaker {
                    return None;
                }
                self.speaker = self.speaker.or(speaker);
                Some(())
            }
            Kind::WindowUpdate => number(payload).filter(|n| (1..1 << 31).contains(n)).map(drop),
            Kind::RstStream => number(payload).filter(|code| *code <= ERROR_MAX).map(drop),
            _ => Some(()),
        }
    }

    /// Whether bytes of which nothing is known are the frames of one side of HTTP/2, and of which:
    /// header blocks must say so. A status alone is little, so there must be more.
    pub(super) fn claims(&self) -> Option<Side> {
        self.speaker.filter(|side| *side == Side::Client || self.frames > 1)
    }

    /// Whether bytes of this side of a connection that speaks HTTP/2 are frames. One header is proof
    /// when its frame ends with the bytes, or is content of a stream that is open.
    pub(super) fn proves(&self, side: Side, is_open: impl Fn(u32) -> bool) -> bool {
        let is_proof = match (self.frames, self.content_of) {
            (0, _) => false,
            (1, Some(stream)) => is_open(stream),
            (1, None) => self.is_even,
            _ => true,
        };
        is_proof && self.speaker.is_none_or(|speaker| speaker == side)
    }
}

/// Who says such a header block, if that can be told; the outer `None` when it is no block.
fn speaker(block: &[u8]) -> Option<Option<Side>> {
    let (mut asks, mut answers) = (0, 0);
    let read = Table::unknown().decode(block, |field| match field {
        Field::Method(_) | Field::Path(_) | Field::Authority(_) | Field::Scheme => asks += 1,
        Field::Status(_) => answers += 1,
        _ => {}
    });
    match (read, asks, answers) {
        (Err(_), ..) => None,
        (Ok(()), 2.., 0) => Some(Some(Side::Client)),
        (Ok(()), 0, 1) => Some(Some(Side::Server)),
        (Ok(()), 0 | 1, 0) => Some(None),
        // Both, or a status twice.
        (Ok(()), ..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::testing::{data, frame};
    use proptest::prelude::*;

    #[test]
    fn a_header_has_its_parts() {
        let header = Header::read(b"\x00\x01\x02\x01\x25\x80\x00\x00\x05rest").unwrap();
        assert_eq!((header.length, header.kind, header.stream), (258, Kind::Headers, 5));
        assert!(header.has(END_STREAM) && header.has(PRIORITY) && !header.has(PADDED));
        assert_eq!(Header::read(b"\x00\x01\x02\x01\x25\x80\x00\x00"), None);
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let header = Header::read(b"\x00\x00\x0b\x01\x28\x00\x00\x00\x01").unwrap();
        let payload = b"\x02\x00\x00\x00\x00\x10abc\0\0";
        assert_eq!(header.content(payload), Some((&b"abc"[..], true)));
        assert_eq!(header.content(&payload[..8]), Some((&b"ab"[..], false)));
        assert_eq!(header.content(b"\x06"), None, "more padding than there is room");
        assert_eq!(header.content(b"\x05"), Some((&b""[..], false)));
    }

    #[test]
    fn chains_that_prove_frames_and_some_that_do_not() {
        let ask = frame(1, END_HEADERS | END_STREAM, 5, b"\x83\x86\xc0\xbf");
        let answer = frame(1, END_HEADERS, 5, b"\x88\xc0");
        let content = data(5, 5000, false);
        let claims = |bytes: &[u8]| Chain::read(bytes, 0).and_then(|chain| chain.claims());
        assert_eq!(claims(&ask), Some(Side::Client));
        assert_eq!(claims(&answer), None, "too little");
        assert_eq!(claims(&[&answer[..], &content[..100]].concat()), Some(Side::Server));
        assert_eq!(claims(&[&content[..], &ask[..]].concat()), Some(Side::Client));
        assert_eq!(claims(&[&ask[..], &answer[..]].concat()), None, "both sides at once");
        let proves = |bytes: &[u8], side| {
            Chain::read(bytes, 7).is_some_and(|chain| chain.proves(side, |stream| stream == 5))
        };
        assert!(proves(&answer, Side::Server) && !proves(&answer, Side::Client));
        assert!(proves(&content[..3000], Side::Server));
        assert!(!proves(&data(3, 5000, false)[..3000], Side::Server), "not open");
        assert!(!proves(&data(3, 5, false)[..13], Side::Server));
        assert!(proves(
            &[frame(8, 0, 0, b"\0\0\x10\0"), frame(6, 1, 0, &[7; 8])].concat(),
            Side::Client
        ));
        assert!(!proves(&[0; 18], Side::Server));
    }

    proptest! {
        #[test]
        fn random_bytes_are_no_frames(bytes in proptest::collection::vec(any::<u8>(), 9..300)) {
            let chain = Chain::read(&bytes, 0);
            prop_assert!(chain.is_none_or(|chain| chain.claims().is_none()));
        }
    }
}
