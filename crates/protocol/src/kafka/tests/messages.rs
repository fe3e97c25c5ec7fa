//! Messages, written by hand as Kafka's protocol guide lays them out.

/// Builds a message.
#[derive(Clone, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

pub(super) fn bytes() -> Bytes {
    Bytes::default()
}

/// A text in front, of a compact length.
pub(super) fn wire_text(text: &str) -> Bytes {
    bytes().text(text)
}

/// A text in front, of a length in two bytes.
pub(super) fn wire_short(text: &str) -> Bytes {
    bytes().short_text(text)
}

impl Bytes {
    pub(super) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend(value);
        self
    }

    fn varint(mut self, mut value: usize) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    pub(super) fn short_text(self, text: &str) -> Self {
        self.u16(text.len() as u16).raw(text.as_bytes())
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.varint(text.len() + 1).raw(text.as_bytes())
    }

    /// No tagged fields.
    pub(super) fn tags(self) -> Self {
        self.u8(0)
    }

    /// One that nobody knows.
    fn odd_tags(self) -> Self {
        self.varint(1).varint(300).varint(3).raw(b"xyz")
    }

    fn each<T>(self, items: &[T], item: impl Fn(Self, &T) -> Self) -> Self {
        let counted = self.u32(items.len() as u32);
        items.iter().fold(counted, item)
    }

    fn each_compact<T>(self, items: &[T], item: impl Fn(Self, &T) -> Self) -> Self {
        let counted = self.varint(items.len() + 1);
        items.iter().fold(counted, item)
    }
}

pub(super) fn framed(payload: &[u8]) -> Vec<u8> {
    bytes().u32(payload.len() as u32).raw(payload).0
}

/// Versions from which requests have tagged fields.
fn is_flexible(key: u16, version: u16) -> bool {
    match key {
        0 => version >= 9,
        1 => version >= 12,
        3 => version >= 9,
        18 => version >= 3,
        _ => false,
    }
}

pub(super) fn request(key: u16, version: u16, id: u32, body: &Bytes) -> Vec<u8> {
    let head = bytes().u16(key).u16(version).u32(id).short_text("SECRET-client");
    let head = if is_flexible(key, version) { head.tags() } else { head };
    framed(&head.raw(&body.0).0)
}

/// A response without tagged fields in its header.
pub(super) fn answer(id: u32, body: &[u8]) -> Vec<u8> {
    framed(&bytes().u32(id).raw(body).0)
}

/// A batch of so many records, each of a byte or two (KIP-98).
pub(super) fn batch(records: i32) -> Vec<u8> {
    let body = "SECRET".repeat(records as usize / 5 + 1);
    let length = 49 + body.len();
    let head = bytes().u64(900).u32(length as u32).u32(0).u8(2).u32(0xabcd).u16(0);
    let head = head.u32(records as u32 - 1).u64(5).u64(6).u64(u64::MAX).u16(0xffff).u32(u32::MAX);
    head.u32(records as u32).raw(body.as_bytes()).0
}

fn batches(of: &[i32]) -> Vec<u8> {
    of.iter().flat_map(|records| batch(*records)).collect()
}

type Partitions<'a> = &'a [(u32, &'a [i32])];

/// `Produce` in version 7: of each topic partitions with batches.
pub(super) fn produce(id: u32, acks: u16, topics: &[(&str, Partitions<'_>)]) -> Vec<u8> {
    let body = bytes().u16(0xffff).u16(acks).u32(30_000).each(topics, |out, (name, partitions)| {
        out.short_text(name).each(partitions, |out, (index, records)| {
            let records = batches(records);
            out.u32(*index).u32(records.len() as u32).raw(&records)
        })
    });
    request(0, 7, id, &body)
}

/// Of each topic partitions with error codes.
pub(super) fn produced(id: u32, topics: &[(&str, &[(u32, u16)])]) -> Vec<u8> {
    let body = bytes().each(topics, |out, (name, partitions)| {
        out.short_text(name).each(partitions, |out, (index, error)| {
            out.u32(*index).u16(*error).u64(1).u64(u64::MAX).u64(0)
        })
    });
    answer(id, &body.u32(0).0)
}

/// `Produce` in version 13: one batch of so many records.
pub(super) fn produce_by_id(id: u32, topic: [u8; 16], records: i32) -> Vec<u8> {
    let records = batch(records);
    let partition = bytes().u32(0).varint(records.len() + 1).raw(&records).tags();
    let topics = bytes().varint(2).raw(&topic).varint(2).raw(&partition.0).odd_tags();
    request(0, 13, id, &bytes().text("tx").u16(0xffff).u32(1000).raw(&topics.0).tags())
}

pub(super) fn produced_by_id(id: u32, topic: [u8; 16], error: u16) -> Vec<u8> {
    let partition = bytes().u32(0).u16(error).u64(0).u64(0).u64(0).varint(1).varint(0).odd_tags();
    let topics = bytes().varint(2).raw(&topic).varint(2).raw(&partition.0).tags();
    answer(id, &bytes().tags().raw(&topics.0).u32(0).tags().0)
}

/// `Fetch` in version 11 of topics with a partition each, which waits half a second for a byte.
pub(super) fn fetch(id: u32, topics: &[(&str, u32)]) -> Vec<u8> {
    let body = bytes().u32(u32::MAX).u32(500).u32(1).u32(1 << 20).u8(0).u32(0).u32(u32::MAX);
    let body = body.each(topics, |out, (name, partition)| {
        let out = out.short_text(name).u32(1).u32(*partition);
        out.u32(3).u64(17).u64(u64::MAX).u32(1 << 20)
    });
    request(1, 11, id, &body.u32(0).short_text(""))
}

/// Of partitions: topic, number, error code, batches.
pub(super) fn fetched(id: u32, error: u16, parts: &[(&str, u32, u16, &[i32])]) -> Vec<u8> {
    let body = bytes().u32(0).u16(error).u32(0);
    let body = body.each(parts, |out, (name, partition, error, records)| {
        let records = batches(records);
        let out = out.short_text(name).u32(1).u32(*partition).u16(*error).u64(20).u64(20).u64(0);
        out.u32(u32::MAX).u32(u32::MAX).u32(records.len() as u32).raw(&records)
    });
    answer(id, &body.0)
}

fn fetch_17(id: u32, session: u32, epoch: u32, topics: &[[u8; 16]], gone: &[[u8; 16]]) -> Vec<u8> {
    let body = bytes().u32(500).u32(1).u32(1 << 20).u8(1).u32(session).u32(epoch);
    let body = body.each_compact(topics, |out, topic| {
        let out = out.raw(topic).varint(2).u32(4).u32(3).u64(17).u32(1).u64(0).u32(1 << 20);
        out.tags().tags()
    });
    let body = body.each_compact(gone, |out, topic| out.raw(topic).varint(2).u32(4).tags());
    request(1, 17, id, &body.text("rack").tags())
}

/// `Fetch` in version 17.
pub(super) fn fetch_by_id(id: u32, session: u32, epoch: u32, topics: &[[u8; 16]]) -> Vec<u8> {
    fetch_17(id, session, epoch, topics, &[])
}

pub(super) fn fetch_that_forgets(id: u32, session: u32, epoch: u32, topic: [u8; 16]) -> Vec<u8> {
    fetch_17(id, session, epoch, &[], &[topic])
}

/// Of each topic one batch of so many records.
pub(super) fn fetched_by_id(
    id: u32,
    error: u16,
    session: u32,
    topics: &[([u8; 16], i32)],
) -> Vec<u8> {
    let body = bytes().tags().u32(0).u16(error).u32(session);
    let body = body.each_compact(topics, |out, (topic, records)| {
        let records = batch(*records);
        let out = out.raw(topic).varint(2).u32(4).u16(0).u64(9).u64(9).u64(0).varint(0);
        out.u32(u32::MAX).varint(records.len() + 1).raw(&records).odd_tags().tags()
    });
    answer(id, &body.odd_tags().0)
}

/// `Metadata` in version 12, by name; of none, of all.
pub(super) fn metadata(id: u32, topics: &[&str]) -> Vec<u8> {
    let body = match topics {
        [] => bytes().varint(0),
        _ => bytes().each_compact(topics, |out, name| out.raw(&[0; 16]).text(name).tags()),
    };
    request(3, 12, id, &body.u8(1).u8(0).tags())
}

pub(super) fn described(id: u32, topics: &[(&str, [u8; 16])]) -> Vec<u8> {
    let body = bytes().tags().u32(0).varint(2).u32(1).text("SECRET-host").u32(9092).varint(0);
    let body = body.tags().text("cluster").u32(1).each_compact(topics, |out, (name, topic)| {
        let out = out.u16(0).text(name).raw(topic).u8(0).varint(2);
        let out =
            out.u16(0).u32(0).u32(1).u32(3).varint(2).u32(1).varint(2).u32(1).varint(1).tags();
        out.u32(1 << 31).tags()
    });
    answer(id, &body.tags().0)
}
