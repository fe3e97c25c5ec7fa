//! Messages (RFC 1035 §4): header, question, and as much of the records as is needed.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use compact_str::CompactString;

use super::{name, words};

/// Bytes of a message's header.
pub(super) const HEADER: usize = 12;
/// Addresses of an answer that are kept.
const ADDRESSES_MAX: usize = 8;
const CLASS_IN: u16 = 1;
/// Internet, Chaos, Hesiod, none, any.
const CLASSES: [u16; 5] = [CLASS_IN, 3, 4, 254, 255];

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// See [`name::first`].
    pub(super) name: CompactString,
    pub(super) kind: u16,
    pub(super) class: u16,
}

/// What the records of an answer say, as far as they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// With the upper bits that stand in the OPT record (RFC 6891 §6.1.3), where that was seen.
    pub(super) rcode: u16,
    /// The rest did not fit (TC).
    pub(super) is_truncated: bool,
    /// Records in the answer section, as the header says.
    pub(super) records: u16,
    /// The first of its addresses, with commas between.
    pub(super) addresses: CompactString,
    /// Types of the first and the last of its records, if all were seen.
    pub(super) kinds: Option<(u16, u16)>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DnsMessage {
    pub(super) id: u16,
    pub(super) opcode: u8,
    pub(super) question: Option<Question>,
    /// `None` in what is asked.
    pub(super) answer: Option<Answer>,
    /// Nothing in it is out of place: what no other protocol's bytes are by chance.
    pub(super) is_certain: bool,
}

/// Reads a message, of which the end may be missing. `None` where it is none, where it has more than
/// one question, or a request has none: then there is nothing to tell it by.
pub(super) fn message(bytes: &[u8]) -> Option<DnsMessage> {
    let mut reader = Reader { bytes, at: 0 };
    let (id, flags) = (reader.number()?, reader.number()?);
    let (questions, records) = (reader.number()?, reader.number()?);
    let more_records = u32::from(reader.number()?) + u32::from(reader.number()?);
    let is_response = flags & 0x8000 != 0;
    let opcode = (flags >> 11 & 15) as u8;
    let question = match questions {
        1 => Some(reader.question()?),
        0 if is_response => None,
        _ => return None,
    };
    let is_known = question
        .as_ref()
        .is_some_and(|question| CLASSES.contains(&question.class) && words::is_type(question.kind));
    let mut answer = Answer {
        rcode: flags & 15,
        is_truncated: flags & 0x0200 != 0,
        records,
        ..Answer::default()
    };
    let whole = reader.records(records, more_records, &mut answer).is_some();
    let is_certain = is_known && is_header(bytes) && (is_response || whole);
    Some(DnsMessage { id, opcode, question, answer: is_response.then_some(answer), is_certain })
}

/// Whether these bytes begin with a header in which nothing is out of place.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    let Some(&[_, _, high, low, 0, 1, records @ ..]) = bytes.first_chunk::<HEADER>() else {
        return false;
    };
    let (is_response, opcode) = (high & 0x80 != 0, high >> 3 & 15);
    let known = [words::QUERY, words::NOTIFY, words::UPDATE].contains(&opcode);
    // One bit is always 0; what is asked has no result, is never cut and holds no answers.
    let plain = is_response || high & 2 == 0 && low & 15 == 0;
    let empty = is_response || opcode != words::QUERY || records.starts_with(&[0, 0]);
    known && low & 0x40 == 0 && plain && empty
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn question(&mut self) -> Option<Question> {
        let (name, end) = name::first(self.bytes, self.at)?;
        self.at = end;
        Some(Question { name, kind: self.number()?, class: self.number()? })
    }

    /// Goes through the records: those of the answer, and those after it. `None` where they, or their
    /// end, were not seen; each takes bytes, so there are never more of them than bytes.
    fn records(&mut self, answers: u16, others: u32, answer: &mut Answer) -> Option<()> {
        let (mut kept, mut first, mut last) = (0, None, None);
        for _ in 0..answers {
            let record = self.record()?;
            first = first.or(Some(record.kind));
            last = Some(record.kind);
            if kept < ADDRESSES_MAX && record.push_address(&mut answer.addresses) {
                kept += 1;
            }
        }
        answer.kinds = first.zip(last);
        for _ in 0..others {
            let record = self.record()?;
            if record.kind == words::OPT {
                answer.rcode |= u16::from(record.upper_rcode) << 4;
            }
        }
        (self.at == self.bytes.len()).then_some(())
    }

    fn record(&mut self) -> Option<Record<'a>> {
        self.at = name::end(self.bytes, self.at)?;
        let (kind, class) = (self.number()?, self.number()?);
        // Elsewhere it is the first byte of the time to live.
        let upper_rcode = *self.take(4)?.first()?;
        let length = self.number()?;
        let data = self.take(usize::from(length))?;
        Some(Record { kind, class, upper_rcode, data })
    }
}

struct Record<'a> {
    kind: u16,
    class: u16,
    upper_rcode: u8,
    data: &'a [u8],
}

impl Record<'_> {
    /// Adds its address, if it has one.
    fn push_address(&self, addresses: &mut CompactString) -> bool {
        if self.class != CLASS_IN {
            return false;
        }
        let comma = if addresses.is_empty() { "" } else { "," };
        let written = match self.kind {
            words::A => <[u8; 4]>::try_from(self.data)
                .map(|data| write!(addresses, "{comma}{}", Ipv4Addr::from(data))),
            words::AAAA => <[u8; 16]>::try_from(self.data)
                .map(|data| write!(addresses, "{comma}{}", Ipv6Addr::from(data))),
            _ => return false,
        };
        matches!(written, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{answer, question, refusal};
    use proptest::prelude::*;

    #[test]
    fn a_question_is_read() {
        let message = message(&question(0x1234, "WWW.example.org", words::AAAA)).unwrap();
        let expected = Question { name: "www.example.org".into(), kind: 28, class: 1 };
        assert_eq!((message.id, message.question), (0x1234, Some(expected)));
        assert!(message.answer.is_none() && message.is_certain);
    }

    #[test]
    fn an_answer_has_its_addresses_and_its_whole_rcode() {
        let bytes = answer(7, "a.example", words::A, &[[10, 0, 0, 1], [10, 0, 0, 2]]);
        let read = message(&bytes).unwrap().answer.unwrap();
        assert_eq!((read.rcode, read.records, &*read.addresses), (0, 2, "10.0.0.1,10.0.0.2"));
        assert_eq!(read.kinds, Some((words::A, words::A)));
        // BADVERS is 16: all of it stands in the OPT record.
        let bytes = refusal(7, "a.example", words::A, 16);
        assert_eq!(message(&bytes).unwrap().answer.unwrap().rcode, 16);
    }

    #[test]
    fn records_are_told_as_far_as_they_are_seen() {
        let bytes = answer(7, "a.example", words::A, &[[10, 0, 0, 1], [10, 0, 0, 2]]);
        let read = message(&bytes[..bytes.len() - 13]).unwrap().answer.unwrap();
        assert_eq!((read.records, &*read.addresses, read.kinds), (2, "10.0.0.1", None));
        let many = answer(7, "a.example", words::A, &[[10, 0, 0, 1]; 40]);
        let read = message(&many).unwrap().answer.unwrap();
        assert_eq!((read.records, read.addresses.split(',').count()), (40, ADDRESSES_MAX));
    }

    #[test]
    fn a_refusal_may_leave_out_the_question_and_a_request_may_not() {
        let mut bytes = refusal(7, "a.example", words::A, 1);
        bytes.truncate(HEADER);
        bytes[4..12].fill(0);
        let read = message(&bytes).unwrap();
        assert_eq!((read.question, read.answer.unwrap().rcode), (None, 1));
        let mut bytes = question(7, "a.example", words::A);
        bytes[5] = 0;
        assert_eq!(message(&bytes), None);
        bytes[5] = 2;
        assert_eq!(message(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = message(&bytes);
        }

        #[test]
        fn a_prefix_never_says_what_the_whole_does_not(cut in 0_usize..120, flip in 0_usize..120, value in any::<u8>()) {
            let mut bytes = answer(7, "a.example", words::A, &[[10, 0, 0, 1], [10, 0, 0, 2]]);
            if let Some(byte) = bytes.get_mut(flip) {
                *byte = value;
            }
            let whole = message(&bytes);
            let Some(part) = message(&bytes[..cut.min(bytes.len())]) else { return Ok(()) };
            let whole = whole.unwrap();
            prop_assert_eq!((part.id, part.question), (whole.id, whole.question));
            if let (Some(part), Some(whole)) = (part.answer, whole.answer) {
                prop_assert!(whole.addresses.starts_with(&*part.addresses));
            }
        }
    }
}
