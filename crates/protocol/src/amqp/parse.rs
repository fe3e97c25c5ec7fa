//! Frames and methods of AMQP 0-9-1, as far as pairing needs them.

/// What a client says first (specification §4.2.2).
pub(super) const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// Type, channel, size.
const HEAD: usize = 7;
/// Larger frames are none; servers agree on 128 KiB or so.
const SIZE_MAX: u32 = 64 << 20;
/// The last byte of every frame.
const END: u8 = 0xce;
/// Of a larger method only so much is waited for: its arguments come first, then tables.
pub(super) const METHOD_SEEN: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Whole(T),
    More,
    Invalid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Method,
    Header,
    Body,
    Heartbeat,
}

/// The head of a frame, and as much of what it holds as is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: FrameKind,
    pub(super) channel: u16,
    /// Bytes of the frame, head and end included.
    pub(super) length: usize,
    pub(super) payload: &'a [u8],
    /// All of it is there.
    pub(super) is_whole: bool,
}

impl Frame<'_> {
    /// Bytes that it carries.
    pub(super) fn carries(&self) -> u64 {
        (self.length - HEAD - 1) as u64
    }
}

/// Reads the frame in front.
pub(super) fn frame(bytes: &[u8]) -> Reading<Frame<'_>> {
    let kind = match bytes.first() {
        Some(1) => FrameKind::Method,
        Some(2) => FrameKind::Header,
        Some(3) => FrameKind::Body,
        Some(8) => FrameKind::Heartbeat,
        Some(_) => return Reading::Invalid,
        None => return Reading::More,
    };
    let mut fields = Fields { bytes: bytes.get(1..).unwrap_or_default() };
    let (Some(channel), Some(size)) = (fields.short(), fields.long()) else { return Reading::More };
    let is_possible = match kind {
        FrameKind::Heartbeat => size == 0,
        FrameKind::Method => size >= 4,
        FrameKind::Header => size >= 14,
        FrameKind::Body => size > 0,
    };
    if size > SIZE_MAX || !is_possible || channel == 0 && kind == FrameKind::Body {
        return Reading::Invalid;
    }
    let length = HEAD + size as usize + 1;
    let end = bytes.get(length - 1);
    if end.is_some_and(|end| *end != END) {
        return Reading::Invalid;
    }
    let payload = bytes.get(HEAD..bytes.len().min(length - 1)).unwrap_or_default();
    Reading::Whole(Frame { kind, channel, length, payload, is_whole: end.is_some() })
}

/// How large the body is that follows a content header.
pub(super) fn body_size(payload: &[u8]) -> Option<u64> {
    let mut fields = Fields { bytes: payload };
    let (_class, _weight) = (fields.short()?, fields.short()?);
    fields.longlong()
}

/// A method: class and number.
pub(super) type Id = (u16, u16);

/// What a method says, as far as it is of interest. What was not seen, or does not occur in it, is
/// empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Method<'a> {
    pub(super) id: Id,
    pub(super) exchange: &'a [u8],
    pub(super) routing_key: &'a [u8],
    pub(super) queue: &'a [u8],
    pub(super) vhost: &'a [u8],
    pub(super) consumer: &'a [u8],
    pub(super) delivery: u64,
    pub(super) multiple: bool,
    pub(super) no_ack: bool,
    pub(super) no_wait: bool,
    /// Why something was closed or returned.
    pub(super) code: u16,
    /// The method that was at fault.
    pub(super) about: Id,
    /// All of it that is of interest was seen.
    pub(super) is_whole: bool,
}

/// Reads a method, as much of it as is there.
pub(super) fn method(payload: &[u8]) -> Option<Method<'_>> {
    let mut fields = Fields { bytes: payload };
    let id = (fields.short()?, fields.short()?);
    let mut method = Method { id, ..Method::default() };
    method.is_whole = fields.fill(&mut method).is_some();
    Some(method)
}

/// Takes fields from the front.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*first)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take().map(|[octet]| octet)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn long(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn longlong(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.octet()?);
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(text)
    }

    fn bit(&mut self, number: u8) -> Option<bool> {
        self.bytes.first().map(|bits| bits >> number & 1 == 1)
    }

    /// The arguments of each method, in their order (specification, XML).
    fn fill(&mut self, method: &mut Method<'a>) -> Option<()> {
        match method.id {
            CONNECTION_OPEN => method.vhost = self.text()?,
            CONNECTION_CLOSE | CHANNEL_CLOSE => {
                method.code = self.short()?;
                self.text()?;
                method.about = (self.short()?, self.short()?);
            }
            EXCHANGE_DECLARE => {
                self.short()?;
                method.exchange = self.text()?;
                self.text()?;
                method.no_wait = self.bit(4)?;
            }
            EXCHANGE_DELETE => {
                self.short()?;
                method.exchange = self.text()?;
                method.no_wait = self.bit(1)?;
            }
            EXCHANGE_BIND | EXCHANGE_UNBIND => {
                self.short()?;
                method.exchange = self.text()?;
                self.text()?;
                self.text()?;
                method.no_wait = self.bit(0)?;
            }
            QUEUE_DECLARE => {
                self.short()?;
                method.queue = self.text()?;
                method.no_wait = self.bit(4)?;
            }
            QUEUE_DECLARE_OK => method.queue = self.text()?,
            QUEUE_BIND | QUEUE_UNBIND => {
                self.short()?;
                method.queue = self.text()?;
                method.exchange = self.text()?;
                method.routing_key = self.text()?;
                method.no_wait = method.id == QUEUE_BIND && self.bit(0)?;
            }
            QUEUE_PURGE => {
                self.short()?;
                method.queue = self.text()?;
                method.no_wait = self.bit(0)?;
            }
            QUEUE_DELETE => {
                self.short()?;
                method.queue = self.text()?;
                method.no_wait = self.bit(2)?;
            }
            BASIC_CONSUME => {
                self.short()?;
                method.queue = self.text()?;
                method.consumer = self.text()?;
                method.no_ack = self.bit(1)?;
                method.no_wait = self.bit(3)?;
            }
            BASIC_CONSUME_OK | BASIC_CANCEL_OK => method.consumer = self.text()?,
            BASIC_CANCEL => {
                method.consumer = self.text()?;
                method.no_wait = self.bit(0)?;
            }
            BASIC_PUBLISH => {
                self.short()?;
                method.exchange = self.text()?;
                method.routing_key = self.text()?;
                self.octet()?;
            }
            BASIC_RETURN => {
                method.code = self.short()?;
                self.text()?;
                method.exchange = self.text()?;
                method.routing_key = self.text()?;
            }
            BASIC_DELIVER => {
                method.consumer = self.text()?;
                method.delivery = self.longlong()?;
                self.octet()?;
                method.exchange = self.text()?;
                method.routing_key = self.text()?;
            }
            BASIC_GET => {
                self.short()?;
                method.queue = self.text()?;
                method.no_ack = self.bit(0)?;
            }
            BASIC_GET_OK => {
                method.delivery = self.longlong()?;
                self.octet()?;
                method.exchange = self.text()?;
                method.routing_key = self.text()?;
                self.long()?;
            }
            BASIC_ACK | BASIC_REJECT | BASIC_NACK => {
                method.delivery = self.longlong()?;
                // Of a rejection the bit means something else.
                method.multiple = self.bit(0)? && method.id != BASIC_REJECT;
            }
            CONFIRM_SELECT => method.no_wait = self.bit(0)?,
            _ => {}
        }
        Some(())
    }
}

pub(super) const CONNECTION_START_OK: Id = (10, 11);
pub(super) const CONNECTION_OPEN: Id = (10, 40);
pub(super) const CONNECTION_CLOSE: Id = (10, 50);
pub(super) const CONNECTION_CLOSE_OK: Id = (10, 51);
pub(super) const CHANNEL_OPEN: Id = (20, 10);
pub(super) const CHANNEL_CLOSE: Id = (20, 40);
pub(super) const CHANNEL_CLOSE_OK: Id = (20, 41);
const EXCHANGE_DECLARE: Id = (40, 10);
const EXCHANGE_DELETE: Id = (40, 20);
const EXCHANGE_BIND: Id = (40, 30);
const EXCHANGE_UNBIND: Id = (40, 40);
pub(super) const QUEUE_DECLARE: Id = (50, 10);
pub(super) const QUEUE_DECLARE_OK: Id = (50, 11);
const QUEUE_BIND: Id = (50, 20);
const QUEUE_PURGE: Id = (50, 30);
const QUEUE_DELETE: Id = (50, 40);
const QUEUE_UNBIND: Id = (50, 50);
pub(super) const BASIC_CONSUME: Id = (60, 20);
pub(super) const BASIC_CONSUME_OK: Id = (60, 21);
pub(super) const BASIC_CANCEL: Id = (60, 30);
pub(super) const BASIC_CANCEL_OK: Id = (60, 31);
pub(super) const BASIC_PUBLISH: Id = (60, 40);
pub(super) const BASIC_RETURN: Id = (60, 50);
pub(super) const BASIC_DELIVER: Id = (60, 60);
pub(super) const BASIC_GET: Id = (60, 70);
pub(super) const BASIC_GET_OK: Id = (60, 71);
pub(super) const BASIC_ACK: Id = (60, 80);
pub(super) const BASIC_REJECT: Id = (60, 90);
pub(super) const BASIC_NACK: Id = (60, 120);
pub(super) const CONFIRM_SELECT: Id = (85, 10);

/// Who says a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Client,
    Server,
    Both,
}

/// A method's name and who says it; `None` for numbers that mean nothing.
pub(super) fn known(id: Id) -> Option<(&'static str, By)> {
    use By::{Both, Client, Server};
    Some(match id {
        (10, 10) => ("connection.start", Server),
        (10, 11) => ("connection.start-ok", Client),
        (10, 20) => ("connection.secure", Server),
        (10, 21) => ("connection.secure-ok", Client),
        (10, 30) => ("connection.tune", Server),
        (10, 31) => ("connection.tune-ok", Client),
        (10, 40) => ("connection.open", Client),
        (10, 41) => ("connection.open-ok", Server),
        (10, 50) => ("connection.close", Both),
        (10, 51) => ("connection.close-ok", Both),
        (10, 60) => ("connection.blocked", Server),
        (10, 61) => ("connection.unblocked", Server),
        (10, 70) => ("connection.update-secret", Client),
        (10, 71) => ("connection.update-secret-ok", Server),
        (20, 10) => ("channel.open", Client),
        (20, 11) => ("channel.open-ok", Server),
        (20, 20) => ("channel.flow", Both),
        (20, 21) => ("channel.flow-ok", Both),
        (20, 40) => ("channel.close", Both),
        (20, 41) => ("channel.close-ok", Both),
        (40, 10) => ("exchange.declare", Client),
        (40, 11) => ("exchange.declare-ok", Server),
        (40, 20) => ("exchange.delete", Client),
        (40, 21) => ("exchange.delete-ok", Server),
        (40, 30) => ("exchange.bind", Client),
        (40, 31) => ("exchange.bind-ok", Server),
        (40, 40) => ("exchange.unbind", Client),
        (40, 51) => ("exchange.unbind-ok", Server),
        (50, 10) => ("queue.declare", Client),
        (50, 11) => ("queue.declare-ok", Server),
        (50, 20) => ("queue.bind", Client),
        (50, 21) => ("queue.bind-ok", Server),
        (50, 30) => ("queue.purge", Client),
        (50, 31) => ("queue.purge-ok", Server),
        (50, 40) => ("queue.delete", Client),
        (50, 41) => ("queue.delete-ok", Server),
        (50, 50) => ("queue.unbind", Client),
        (50, 51) => ("queue.unbind-ok", Server),
        (60, 10) => ("basic.qos", Client),
        (60, 11) => ("basic.qos-ok", Server),
        (60, 20) => ("basic.consume", Client),
        (60, 21) => ("basic.consume-ok", Server),
        (60, 30) => ("basic.cancel", Both),
        (60, 31) => ("basic.cancel-ok", Both),
        (60, 40) => ("basic.publish", Client),
        (60, 50) => ("basic.return", Server),
        (60, 60) => ("basic.deliver", Server),
        (60, 70) => ("basic.get", Client),
        (60, 71) => ("basic.get-ok", Server),
        (60, 72) => ("basic.get-empty", Server),
        (60, 80) => ("basic.ack", Both),
        (60, 90) => ("basic.reject", Client),
        (60, 100) => ("basic.recover-async", Client),
        (60, 110) => ("basic.recover", Client),
        (60, 111) => ("basic.recover-ok", Server),
        (60, 120) => ("basic.nack", Both),
        (85, 10) => ("confirm.select", Client),
        (85, 11) => ("confirm.select-ok", Server),
        (90, 10) => ("tx.select", Client),
        (90, 11) => ("tx.select-ok", Server),
        (90, 20) => ("tx.commit", Client),
        (90, 21) => ("tx.commit-ok", Server),
        (90, 30) => ("tx.rollback", Client),
        (90, 31) => ("tx.rollback-ok", Server),
        _ => return None,
    })
}

/// What answers a method that a client waits for; empty for all others.
pub(super) fn answers(id: Id) -> &'static [Id] {
    match id {
        (10, 11 | 21) => &[(10, 30), (10, 20)],
        (10, 40) => &[(10, 41)],
        (10, 50) => &[(10, 51)],
        (10, 70) => &[(10, 71)],
        (20, 10) => &[(20, 11)],
        (20, 20) => &[(20, 21)],
        (20, 40) => &[(20, 41)],
        (40, 10) => &[(40, 11)],
        (40, 20) => &[(40, 21)],
        (40, 30) => &[(40, 31)],
        (40, 40) => &[(40, 51)],
        (50, 10) => &[(50, 11)],
        (50, 20) => &[(50, 21)],
        (50, 30) => &[(50, 31)],
        (50, 40) => &[(50, 41)],
        (50, 50) => &[(50, 51)],
        (60, 10) => &[(60, 11)],
        (60, 20) => &[(60, 21)],
        (60, 30) => &[(60, 31)],
        (60, 70) => &[(60, 71), (60, 72)],
        (60, 110) => &[(60, 111)],
        (85, 10) => &[(85, 11)],
        (90, 10) => &[(90, 11)],
        (90, 20) => &[(90, 21)],
        (90, 30) => &[(90, 31)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_and_methods_are_read() {
        let bytes = b"\x01\0\x01\0\0\0\x16\0\x3c\0\x28\0\0\x06orders\x07created\0\xcerest";
        let Reading::Whole(frame) = frame(bytes) else { panic!() };
        assert_eq!((frame.kind, frame.channel, frame.length), (FrameKind::Method, 1, 30));
        assert!(frame.is_whole && frame.carries() == 22);
        let method = method(frame.payload).unwrap();
        assert_eq!(known(method.id), Some(("basic.publish", By::Client)));
        assert_eq!((method.exchange, method.routing_key), (&b"orders"[..], &b"created"[..]));
        assert!(method.is_whole);
        for cut in 0..7 {
            assert_eq!(super::frame(&bytes[..cut]), Reading::More);
        }
        for wrong in
            [&b"\x04\0\0\0\0\0\0\xce"[..], b"\x08\0\0\0\0\0\0\xcd", b"\x03\0\x01\0\0\0\0\xce"]
        {
            assert_eq!(super::frame(wrong), Reading::Invalid);
        }
    }

    #[test]
    fn every_answer_is_a_known_method_of_the_server() {
        for class in 0..100 {
            for number in 0..130 {
                for answer in answers((class, number)) {
                    assert!(
                        matches!(known(*answer), Some((_, By::Server | By::Both))),
                        "{answer:?}"
                    );
                    assert!(matches!(known((class, number)), Some((_, By::Client | By::Both))));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), class in 0_u16..100, number in 0_u16..130) {
            let _ = frame(&bytes);
            let _ = body_size(&bytes);
            let head = [class.to_be_bytes(), number.to_be_bytes()].concat();
            bytes.splice(0..0, head);
            let _ = method(&bytes);
        }
    }
}
